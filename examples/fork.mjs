// A conversation that splits in two, and one that outlives its process.
//
//   node examples/fork.mjs [MODEL.gguf]                (default: the demo model in the package)
import { copyFile, mkdtemp, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CriaError, Model } from 'cria'

const options = { temperature: 0, maxTokens: 24 }
const folder = await mkdtemp(join(tmpdir(), 'cria-'))
const file = join(folder, 'chat.session')

const model = await Model.load(process.argv[2], { sequences: 2 })
const chat = model.session({ system: 'Answer in one sentence.' })
await chat.send('Who are you?', options)

// Both go on from here, and share what is computed so far.
const other = chat.fork()
for (const [session, question] of [
  [chat, 'What is the opposite of hot?'],
  [other, 'Where do you live?']
]) {
  const { usage } = await session.send(question, options)
  console.log(
    `${question} ${usage.cachedTokens} of ${usage.promptTokens} prompt tokens were cached`
  )
}

const { tokens } = await chat.save(file)
console.log(`saved ${chat.messages.length} messages and the state of ${tokens} tokens`)
const here = await chat.send('And of big?', options)
await model.dispose()

// Another day, another process: the conversation goes on as if nothing had been.
const again = await Model.load(process.argv[2])
const restored = await again.restore(file)
const there = await restored.send('And of big?', options)
console.log(`restored: ${there.usage.cachedTokens} of ${there.usage.promptTokens} were cached`)
console.log(`the same answer: ${there.text === here.text}`)

// A damaged file is an error, not a strange conversation.
const damaged = join(folder, 'damaged.session')
await copyFile(file, damaged)
await truncate(damaged, 1000)
const refusal = await again.restore(damaged).catch((error) => error)
if (!(refusal instanceof CriaError)) throw refusal
console.log(refusal.code)

await again.dispose()
await rm(folder, { recursive: true })
