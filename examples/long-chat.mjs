// A conversation that is longer than the context: the oldest turns are left out, and it says so.
//
//   node examples/long-chat.mjs [MODEL.gguf]           (default: the demo model in the package)
import { CriaError, Model } from 'cria'

const model = await Model.load(process.argv[2], { contextSize: 128 })
const chat = model.session({ system: 'Answer in one sentence.' })
const options = { temperature: 0, maxTokens: 24 }
const questions = [
  'Who are you?',
  'What is the opposite of hot?',
  'Where do you live?',
  'And of big?',
  'Tell me of a garden.'
]

// By default nothing is ever left out silently.
for (const question of questions) {
  try {
    const { usage } = await chat.send(question, options)
    console.log(`${question} [${usage.promptTokens} prompt tokens]`)
  } catch (error) {
    if (!(error instanceof CriaError)) throw error
    console.log(`${question} [${error.code}]`)
  }
}

chat.reset()
for (const question of questions) {
  const result = await chat.send(question, { ...options, onOverflow: 'shift' })
  const { usage, droppedMessages } = result
  console.log(
    `${question} [${usage.promptTokens} prompt tokens, ${droppedMessages} messages left out]`
  )
}
// The session keeps all of it; only prompts are shorter.
console.log(`${chat.messages.length} messages, the first of the ${chat.messages[0].role}`)

await model.dispose()
