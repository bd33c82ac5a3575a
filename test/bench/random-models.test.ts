/** The GGUF files of real shapes with random weights that bench/peers measures. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cria, root } from '../api/support/built.js'

const { SHAPES, FILE_TYPES, layout, writeRandomLlama } = await import(
  new URL('bench/support/random-llama.mjs', root).href
)

describe('random models', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-random-'))

  test.each(Object.keys(FILE_TYPES))('%s loads, and comes out the same again', async (type) => {
    const [path, again] = [join(folder, type), join(folder, `${type}-again`)]
    for (const target of [path, again]) {
      writeRandomLlama(target, { shape: SHAPES.tiny, type, name: `tiny ${type}` })
    }
    expect(readFileSync(again).equals(readFileSync(path))).toBe(true)

    const { metadata, tensors, fileBytes } = await cria.Model.inspect(path)
    expect(metadata).toMatchObject({ 'general.name': `tiny ${type}`, 'llama.block_count': 8 })
    expect(fileBytes).toBe(statSync(path).size)
    expect(tensors.map(({ name, shape, type }) => ({ name, shape, type }))).toEqual(
      layout(SHAPES.tiny, type)
    )

    const model = await cria.Model.load(path, { threads: 1 })
    const { tokens } = await model.generate('ba be bi', { maxTokens: 24, temperature: 0 })
    expect(tokens).toHaveLength(24)
    // Weights whose mean is not 0 give one token over and over.
    expect(new Set(tokens).size).toBeGreaterThan(2)
    expect(model.tokenizer.pieceOf(260)).toBe('▁ba')
    await model.dispose()
    for (const target of [path, again]) rmSync(target)
  })

  test('q4_k_m: half of the layers have finer attn_v and ffn_down, every output is Q6_K', () => {
    const types = new Map<string, string>(
      layout({ ...SHAPES.tiny, layers: 32 }, 'q4_k_m').map(
        ({ name, type }: { name: string; type: string }) => [name, type]
      )
    )
    const finer = [...types.keys()].filter((name) => types.get(name) === 'Q6_K')
    expect(finer.filter((name) => name.includes('attn_v'))).toHaveLength(16)
    expect(finer.filter((name) => name.includes('ffn_down'))).toHaveLength(16)
    expect(finer).toHaveLength(33)
    expect(types.get('blk.0.attn_v.weight')).toBe('Q6_K')
    expect(types.get('blk.4.attn_v.weight')).toBe('Q4_K')
  })

  test('rows that are no whole blocks are refused', () => {
    const shape = { ...SHAPES.tiny, feedForward: 100 }
    expect(() => writeRandomLlama(join(folder, 'x'), { shape, type: 'q4_0', name: '' })).toThrow(
      'no whole blocks'
    )
    rmSync(folder, { recursive: true })
  })
})
