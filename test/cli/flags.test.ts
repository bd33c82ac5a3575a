/** Command lines as pure functions: flags to options, and what is wrong with them. */
import { describe, expect, test } from 'vitest'
import { UsageError } from '../../lib/cli/exit.js'
import { type Flag, parseFlags } from '../../lib/cli/flags.js'
import { generateFlags, loadFlags, toGenerateOptions, toLoadOptions } from '../../lib/cli/groups.js'
import { commandHelp, programHelp } from '../../lib/cli/help.js'
import { bytes, timingsLine, visible } from '../../lib/cli/output.js'
import { runCommand } from '../../lib/cli/run.js'

const flags: Flag[] = [...loadFlags, ...generateFlags, { name: 'json', kind: 'switch', help: '' }]
const parse = (...argv: string[]) => parseFlags(argv, flags)

test('the flags that fingers know', () => {
  const args = parse(
    ...['-m', 'a.gguf', '-n', '64', '-c', '512', '-t', '4', '-b', '7', '-s', '42', '--temp', '0'],
    ...['--top-k', '10', '--top-p=0.9', '--min-p', '0.1', '--repeat-penalty', '1.1'],
    ...['--stop', 'a', '--stop=b', '--presence-penalty', '-1', 'a prompt']
  )
  expect(args.operands).toEqual(['a prompt'])
  expect(args.text('model')).toBe('a.gguf')
  expect(toLoadOptions(args)).toEqual({ contextSize: 512, threads: 4, batchSize: 7 })
  expect(toGenerateOptions(args)).toEqual({
    maxTokens: 64,
    temperature: 0,
    topK: 10,
    topP: 0.9,
    minP: 0.1,
    repeatPenalty: 1.1,
    presencePenalty: -1,
    seed: 42n,
    stop: ['a', 'b']
  })
})

test('nothing given, nothing set', () => {
  expect(toLoadOptions(parse())).toEqual({})
  expect(toGenerateOptions(parse())).toEqual({})
})

test('minus one is no limit for -n and random for -s; a lone dash and -- are operands', () => {
  expect(toGenerateOptions(parse('-n', '-1', '-s', '-1'))).toEqual({})
  expect(parse('-').operands).toEqual(['-'])
  expect(parse('--', '--temp').operands).toEqual(['--temp'])
  expect(parse('-n200').number('predict')).toBe(200)
  expect(toGenerateOptions(parse('-s', '18446744073709551615')).seed).toBe(2n ** 64n - 1n)
})

describe('a usage error', () => {
  test.each([
    [['--tmep', '1'], 'no flag --tmep; did you mean --temp?'],
    [['--topk', '1'], 'did you mean --top-k?'],
    [['--max-batch', '1'], 'no flag --max-batch'],
    [['--modell=x'], 'did you mean --model?'],
    [['-z'], 'no flag -z'],
    [['--temp'], '--temp needs a value: N'],
    [['-m'], '-m needs a value: FILE'],
    [['--json=yes'], '--json takes no value']
  ])('%j', (argv, message) => {
    expect(() => parse(...argv)).toThrow(UsageError)
    expect(() => parse(...argv)).toThrow(message)
  })

  test.each([
    [['--temp', 'hot'], '--temp must be a number, got "hot"'],
    [['--temp', ''], '--temp must be a number, got ""'],
    [['--temp', '-1'], '--temp must be a number from 0 to 100, got -1'],
    [['--temp', 'NaN'], '--temp must be a number'],
    [['--top-k', '1.5'], '--top-k must be an integer from 0 to 2147483647, got 1.5'],
    [['-n', '0'], '--predict must be an integer from 1'],
    [['-n', '1e99'], '--predict must be an integer from 1'],
    [['-s', 'abc'], '--seed must be a whole number, got "abc"'],
    [['-s', '18446744073709551616'], '--seed must be'],
    [['--stop', ''], '--stop must be']
  ])('%j', (argv, message) => {
    const args = parse(...argv)
    expect(() => toGenerateOptions(args)).toThrow(UsageError)
    expect(() => toGenerateOptions(args)).toThrow(message)
  })

  test('in load flags', () => {
    expect(() => toLoadOptions(parse('-t', '0'))).toThrow(
      '--threads must be an integer from 1 to 256'
    )
    expect(() => toLoadOptions(parse('-c', '-5'))).toThrow('--ctx-size must be')
  })
})

test('the help names every flag, within 100 columns', () => {
  const help = commandHelp(runCommand)
  for (const { name } of runCommand.flags) expect(help).toContain(`--${name}`)
  const lines = `${help}${programHelp([runCommand])}`.split('\n')
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(100)
})

test('sizes, timings and texts for a terminal', () => {
  expect(bytes(0)).toBe('0 bytes')
  expect(bytes(999)).toBe('999 bytes')
  expect(bytes(5_633_632)).toBe('5.6 MB')
  expect(bytes(4e9)).toBe('4.0 GB')
  expect(visible('a\u001b[31mb\nc\u202e')).toBe('a\\u{1b}[31mb\\nc\\u{202e}')
  const timings = {
    queueMs: 0,
    prefillMs: 1,
    decodeMs: 1,
    prefillTokensPerSecond: 310,
    decodeTokensPerSecond: 1520.34,
    guessedTokens: 0,
    acceptedTokens: 0
  }
  const usage = { promptTokens: 12, cachedTokens: 3, completionTokens: 64 }
  expect(
    timingsLine({
      text: '',
      tokens: [],
      finishReason: 'length',
      droppedMessages: 0,
      usage,
      timings,
      toolCalls: []
    })
  ).toBe('12 prompt tokens (3 cached) at 310.0 tokens/s; 64 tokens at 1520.3 tokens/s (length)')
})
