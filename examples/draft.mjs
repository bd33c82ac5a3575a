// A draft model guesses what a larger one will say; the text stays as it is. Draft and model have to
// share a vocabulary, such as Llama 2 7B and 70B.
//
//   node examples/draft.mjs [MODEL.gguf DRAFT.gguf]      (default: the demo model is its own draft)
import { Model } from 'cria'

const [file, draft = 'models/cria-demo-q8_0.gguf'] = process.argv.slice(2)
const model = await Model.load(file, { draft })
const options = { maxTokens: 60, temperature: 0.7, seed: 1 }

const plain = await model.generate('Once upon a time', { ...options, speculation: 'off' })
const fast = await model.generate('Once upon a time', options)
const { guessedTokens, acceptedTokens } = fast.timings

console.log(fast.text)
console.log(`the same text without a draft: ${fast.text === plain.text}`)
console.log(`${acceptedTokens} of ${guessedTokens} guesses were right, each of them a step less`)
await model.dispose()
