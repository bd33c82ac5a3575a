// Several prompts at once, a time limit, and an error that says what to do.
//
//   node examples/batch.mjs [MODEL.gguf]         (default: the demo model in the package)
import { CriaError, Model } from 'cria'

// Room in the cache for four whole contexts, so that no request waits for another's pages.
const model = await Model.load(process.argv[2], { sequences: 4 })

// One step of the engine computes a token of every running request.
const prompts = ['Once upon a time', 'One day', 'In a small house', 'Far away']
const options = { temperature: 0, maxTokens: 12 }
const results = await Promise.all(prompts.map((prompt) => model.generate(prompt, options)))
for (const [i, { text }] of results.entries()) console.log(`${prompts[i]} …${text}`)

// Alone or together, a request gives the same tokens.
const alone = await model.generate(prompts[1], options)
console.log(`the same alone: ${alone.text === results[1].text}`)

// An aborted signal rejects with its reason, as fetch does; cancel() ends quietly instead.
const abort = new AbortController()
const story = model.generate('Once upon a time', { signal: abort.signal })
try {
  for await (const { tokens } of story) if (tokens.length > 0) abort.abort()
} catch (error) {
  console.log(`ended early: ${error.name}`)
}

try {
  await model.generate('Once upon a time', { temprature: 0 })
} catch (error) {
  if (!(error instanceof CriaError)) throw error
  console.log(`${error.code}: ${error.message}`)
}

await model.dispose()
