// Readers that are slow, gone, or no longer wanted: what each costs the others.
//
//   node examples/slow-reader.mjs [MODEL.gguf]   (default: the demo model in the package)
import { setTimeout as sleep } from 'node:timers/promises'
import { Model } from 'cria'

const model = await Model.load(process.argv[2], { sequences: 2 })
const { eosId } = model.tokenizer
const options = { temperature: 0, maxTokens: 300, logitBias: { [eosId]: -Infinity } }

// A reader that takes one chunk and then sleeps: its generation waits for it, 64 chunks ahead.
const slow = model.generate('Once upon a time', options)
const reader = slow[Symbol.asyncIterator]()
let tokens = (await reader.next()).value.tokens.length
while (model.stats().requests.paused === 0) await sleep(5)
console.log(`paused after ${model.stats().tokens.generated} tokens, ${tokens} of them read`)

// The engine is free for others, and the pages as well.
console.log(`${model.stats().pages.used} pages are held`)
const other = await model.generate('One day', { ...options, maxTokens: 50 })
console.log(`another one: ${other.finishReason}, ${other.tokens.length} tokens`)

// It reads on, and gets every token.
for await (const chunk of reader) tokens += chunk.tokens.length
console.log(`the slow one: ${tokens} tokens read`)

// Whoever awaits the result wants all of it: such a generation never waits.
const { tokens: all } = await model.generate('Once upon a time', options)
console.log(`awaited: ${all.length} tokens`)

// Leaving a loop cancels; the engine lets go within a step.
for await (const _ of model.generate('Once upon a time', options)) break
// So does dispose, with everything that runs.
const late = model.generate('Once upon a time', options)
await model.dispose()
await late.catch(({ code }) => console.log(`after dispose: ${code}`))
