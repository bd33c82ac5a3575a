// The likeliest texts, found by following four at once, beside the one that greedy choice ends up with.
//
//   node examples/beams.mjs [MODEL.gguf]      (default: the demo model in the package)
import { Model } from 'cria'

const model = await Model.load(process.argv[2], { sequences: 4 })
const prompt = 'Once upon a time'
const options = { maxTokens: 40, stop: '.' }

const { beams } = await model.generate(prompt, { ...options, beams: 4 })
for (const { text, score } of beams) console.log(`${score.toFixed(3)} ${text.trim()}`)

const greedy = await model.generate(prompt, { ...options, temperature: 0 })
console.log(`greedy: ${greedy.text.trim()}`)
await model.dispose()
