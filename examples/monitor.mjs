// What a model is doing, seen from outside: events of every request, and figures at any moment.
//
//   node examples/monitor.mjs [MODEL.gguf]       (default: the demo model in the package)
import { subscribe } from 'node:diagnostics_channel'
import { Model } from 'cria'

// Any part of a program may listen; the one that generates need not know.
subscribe('cria:request:start', ({ id, kind }) => console.log(`request ${id} (${kind}) begins`))
subscribe('cria:request:end', ({ id, reason, usage, error }) =>
  console.log(`request ${id} ends: ${error?.code ?? `${reason}, ${usage.completionTokens} tokens`}`)
)

const model = await Model.load(process.argv[2], { sequences: 2 })
const tooLong = new Int32Array(model.info.contextSize)
const prompts = ['Once upon a time', 'One day', tooLong]
const options = { temperature: 0, maxTokens: 20 }
const all = prompts.map((prompt) => model.generate(prompt, options))

// Reading the figures waits for nothing.
for await (const { tokens } of all[0]) {
  if (tokens.length === 0) continue
  const { requests, pages } = model.stats()
  console.log(`${requests.running} running, ${pages.used} of ${pages.total} pages used`)
  break
}
await Promise.allSettled(all)

const { requests, tokens, steps, recent } = model.stats()
console.log(
  `${requests.posted} requests: ${requests.finished} finished, ${requests.aborted} aborted`
)
console.log(`${tokens.computed} prompt tokens and ${tokens.generated} generated in ${steps} steps`)
console.log(
  `a step takes ${recent.stepMs.p50.toFixed(1)} ms, 99% at most ${recent.stepMs.p99.toFixed(1)} ms`
)

await model.dispose()
