// The same text with and without speculation: where it repeats what was there before, a step brings
// several tokens.
//
//   node examples/speculation.mjs [MODEL.gguf]      (default: the demo model in the package)
import { Model } from 'cria'

const model = await Model.load(process.argv[2])
const options = { maxTokens: 80, temperature: 0 }
const story = `Once upon a time${(await model.generate('Once upon a time', options)).text}`
const prompt = `${story}\n\n${story.slice(0, story.length / 3)}` // it tells the story again

const plain = await model.generate(prompt, { ...options, speculation: 'off' })
const fast = await model.generate(prompt, options)
const { guessedTokens, acceptedTokens } = fast.timings

console.log(fast.text)
console.log(`the same text without speculation: ${fast.text === plain.text}`)
console.log(`${acceptedTokens} of ${guessedTokens} guesses were right, each of them a step less`)
await model.dispose()
