// A conversation that keeps its cache: the second turn computes only what is new.
//
//   node examples/chat.mjs [MODEL.gguf]          (default: the demo model in the package)
import { Model } from 'cria'

const model = await Model.load(process.argv[2])
const chat = model.session({ system: 'Answer in one sentence.' })

for (const question of ['Who are you?', 'What is the opposite of hot?']) {
  const { text, usage } = await chat.send(question, { temperature: 0, maxTokens: 60 })
  console.log(`> ${question}\n${text}`)
  console.log(`[${usage.promptTokens} prompt tokens, ${usage.cachedTokens} of them cached]`)
}
console.log(`${chat.messages.length} messages so far, the first of the ${chat.messages[0].role}`)

chat.dispose()
await model.dispose()
