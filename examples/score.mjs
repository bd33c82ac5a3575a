// How likely a model finds each token of a text, and which of two sentences it prefers.
//
//   node examples/score.mjs [MODEL.gguf]         (default: the demo model in the package)
import { Model } from 'cria'

const model = await Model.load(process.argv[2])

const { tokens, from, logprobs } = await model.score(
  'Once upon a time, in the garden, there lived a shy girl.'
)
for (const [i, logprob] of logprobs.entries()) {
  const piece = model.tokenizer.pieceOf(tokens[from + i])
  console.log(`${(100 * Math.exp(logprob)).toFixed(1).padStart(5)}%  ${piece}`)
}

// Perplexity: the exponential of the mean surprise. Lower is likelier.
const perplexity = ({ logprobs }) =>
  Math.exp(-logprobs.reduce((sum, value) => sum + value, 0) / logprobs.length)
for (const text of ['One day the girl sang a song.', 'Song the a day girl one sang.']) {
  console.log(`${perplexity(await model.score(text)).toFixed(1)}  ${text}`)
}

await model.dispose()
