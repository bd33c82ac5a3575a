// Text as it comes, then what it cost.
//
//   node examples/stream.mjs [MODEL.gguf]        (default: the demo model in the package)
import { Model } from 'cria'

const model = await Model.load(process.argv[2])

const generation = model.generate('Once upon a time', { maxTokens: 60, seed: 7 })
for await (const { text } of generation) process.stdout.write(text)

// The same generation can be awaited as well: nothing is computed twice.
const { usage, finishReason } = await generation
console.log(`\n[${usage.completionTokens} tokens, ${finishReason}]`)

await model.dispose()
