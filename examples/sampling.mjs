// How tokens are drawn: log-probabilities, several samples of one prompt, the best, banned texts.
//
//   node examples/sampling.mjs [MODEL.gguf]      (default: the demo model in the package)
import { Model } from 'cria'

const model = await Model.load(process.argv[2])
const percent = (logprob) => `${(100 * Math.exp(logprob)).toFixed(1)}%`
const pieces = (tokens) =>
  tokens.map(({ id, logprob }) => `${model.tokenizer.pieceOf(id)} ${percent(logprob)}`).join('  ')

console.log('Each token, and what else might have come:')
const { logprobs } = await model.generate('Once upon a time', {
  temperature: 0,
  maxTokens: 6,
  logprobs: 3
})
for (const token of logprobs) console.log(`  ${pieces([token])}   of   ${pieces(token.top)}`)

console.log('Three samples of one prompt, which is computed once:')
const { samples, best, scores } = await model.generateMany(
  'Once upon a time, there was a frog named Leo',
  {
    n: 3,
    seed: 1,
    maxTokens: 12,
    best: 'mean'
  }
)
for (const [i, sample] of samples.entries()) {
  const { promptTokens, cachedTokens } = sample.usage
  const mark = sample === best ? 'best' : '    '
  console.log(
    `  ${mark} ${scores[i].toFixed(2)}  ${promptTokens - cachedTokens} computed  ${sample.text}`
  )
}

console.log('Without, and with banned texts:')
for (const banned of [[], ['garden', 'little']]) {
  const { text } = await model.generate('Once upon a time', {
    temperature: 0,
    maxTokens: 16,
    banned
  })
  console.log(`  Once upon a time${text}`)
}

await model.dispose()
