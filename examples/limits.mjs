// What a service promises its callers: an order, a deadline, and a queue that says when it is full.
//
//   node examples/limits.mjs [MODEL.gguf]              (default: the demo model in the package)
import { CriaError, Model } from 'cria'

// A cache for one short context, so that few requests run at once, and three may wait.
const model = await Model.load(process.argv[2], { contextSize: 64, maxQueue: 3 })

const codeOf = (error) => {
  if (error instanceof CriaError) return error.code
  throw error
}
const prompt = (name) => `${name} lived in a small house. `.repeat(5)
const ask = (name, options) =>
  model.generate(prompt(name), { temperature: 0, ...options }).then(() => 'done', codeOf)

// Higher priorities go first, also before what runs already. The fifth finds the queue full.
const order = []
const names = { Ann: 0, Ben: 0, Cat: 5, Dan: 1, Eve: 0 }
const ends = await Promise.all(
  Object.entries(names).map(async ([name, priority]) => {
    const end = await ask(name, { priority })
    if (end === 'done') order.push(name)
    return `${name} ${end}`
  })
)
console.log(ends.join(', '))
console.log(`in this order: ${order.join(', ')}`)

// A timeout counts from the call, waiting included.
console.log(`with a timeout of 1 ms: ${await ask('Fay', { timeout: 1 })}`)
console.log(`afterwards: ${await ask('Gil', { maxTokens: 4 })}`)

await model.dispose()
