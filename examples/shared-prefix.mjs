// Prompts that begin alike: the beginning is computed once, for all of them.
//
//   node examples/shared-prefix.mjs [MODEL.gguf]       (default: the demo model in the package)
import { Model } from 'cria'

const model = await Model.load(process.argv[2], { sequences: 4 })

const rules =
  'Once upon a time, in the garden, there lived a shy girl named Lino. Every day she sang. '
const beginning = rules.repeat(3)
const options = { temperature: 0, maxTokens: 12 }
const show = (name, { usage }) =>
  console.log(`${name}: ${usage.cachedTokens} of ${usage.promptTokens} prompt tokens were cached`)

const first = await model.generate(`${beginning}One day`, options)
show('first', first)
show('same beginning', await model.generate(`${beginning}Far away`, options))

// Requests that run at the same time share, too, and a session shares with them.
const ends = ['At night', 'In a house', 'Then']
const together = await Promise.all(ends.map((end) => model.generate(beginning + end, options)))
for (const [i, result] of together.entries()) show(ends[i], result)

// Another cacheKey shares nothing: neither memory nor the time it takes tells of other tenants.
const apart = await model.generate(`${beginning}One day`, { ...options, cacheKey: 'tenant 2' })
show('another key', apart)
console.log(`the same text: ${apart.text === first.text}`)

await model.dispose()
