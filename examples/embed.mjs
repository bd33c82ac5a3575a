// Which of some texts is nearest to a question.
//
//   node examples/embed.mjs [MODEL.gguf]         (default: the demo model in the package)
import { Model } from 'cria'

const model = await Model.load(process.argv[2])

const texts = [
  'The small dog ran in the garden.',
  'It was a cold day with much snow.',
  'Two plus two is four.'
]
const embeddings = await model.embed(texts)
const question = await model.embed('Where did the little puppy play?')

// They have length 1, so that the dot product is the cosine of the angle between them.
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0)
const ranked = texts
  .map((text, i) => ({ text, similarity: dot(question, embeddings[i]) }))
  .sort((a, b) => b.similarity - a.similarity)
for (const { text, similarity } of ranked) console.log(`${similarity.toFixed(3)}  ${text}`)

await model.dispose()
