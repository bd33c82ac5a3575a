/** Worker threads, and processes that end while a model works. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { cria } from './support/built.js'
import { importCria, script } from './support/script.js'

function worker(code: string): Worker {
  const source = encodeURIComponent(importCria + code)
  return new Worker(new URL(`data:text/javascript,${source}`))
}

test.each([
  [
    'streams',
    `const model = await Model.load()
    for (;;) for await (const { text } of model.generate('Once')) parentPort.postMessage(text)`
  ],
  ['loads', 'for (;;) { const model = await Model.load(); await model.dispose() }'],
  [
    'encodes',
    `const model = await Model.load()
    for (;;) await model.tokenizer.encode('hello world '.repeat(5000))`
  ],
  ['inspects', 'for (;;) await Model.inspect()'],
  ['estimates', 'for (;;) await Model.estimate()']
])('workers terminated while one %s leave the process alive', async (_, code) => {
  for (let i = 0; i < 6; i++) {
    const thread = worker(`import { parentPort } from 'node:worker_threads'\n${code}`)
    await once(thread, 'online')
    await sleep(40 + i * 20)
    await thread.terminate()
  }
  await using model = await cria.Model.load()
  expect((await model.generate('Once', { maxTokens: 3 })).tokens).toHaveLength(3)
})

test('workers and the main thread generate side by side', async () => {
  const code = `
    import { parentPort } from 'node:worker_threads'
    const model = await Model.load()
    const { text } = await model.generate('Once upon a time', { temperature: 0, maxTokens: 20 })
    parentPort.postMessage(text)
    await model.dispose()
  `
  const threads = [worker(code), worker(code)]
  const texts = threads.map(async (thread) => {
    const [[text]] = await Promise.all([once(thread, 'message'), once(thread, 'exit')])
    return text as string
  })
  await using model = await cria.Model.load()
  const mine = await model.generate('Once upon a time', { temperature: 0, maxTokens: 20 })
  expect(await Promise.all(texts)).toEqual([mine.text, mine.text])
})

test('a generation keeps the process alive until it ends; an idle model does not', async () => {
  const out = await script(`
    const model = await Model.load()
    model.generate('Once', { maxTokens: 5, logitBias: { 2: -Infinity } })
      .then(({ tokens }) => console.log(tokens.length))
  `)
  expect(out).toBe('5\n')
})

test('process.exit in the middle of a generation is a clean end', async () => {
  const out = await script(`
    const model = await Model.load()
    let count = 0
    for await (const _ of model.generate('Once')) if (++count === 5) { console.log('bye'); process.exit(0) }
  `)
  expect(out).toBe('bye\n')
})

test('a model that nobody holds is collected with its memory', async () => {
  const out = await script(`
    import { setFlagsFromString } from 'node:v8'
    import { runInNewContext } from 'node:vm'
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc')
    const turn = () => new Promise((resolve) => setTimeout(resolve, 20))
    const round = async () => { await (await Model.load()).generate('Once', { maxTokens: 1 }) }
    for (let i = 0; i < 5; i++) await round()
    gc(); await turn(); gc(); await turn()
    const before = process.memoryUsage().rss
    for (let i = 0; i < 30; i++) { await round(); gc(); await turn() }
    console.log(process.memoryUsage().rss - before < 60e6 ? 'flat' : 'grows')
  `)
  expect(out).toBe('flat\n')
})
