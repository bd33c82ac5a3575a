// Facts taken from a text as an object: of the form of a JSON Schema, whatever the model is.
//
//   node examples/schema.mjs [MODEL.gguf]         (default: the demo model in the package)
import { Model } from 'cria'

const model = await Model.load(process.argv[2])

// In TypeScript `object` has the type { name: string; kind: 'dog' | …; age: number; likes?: string[] }.
const { object, text, finishReason } = await model.generate(
  [{ role: 'user', content: 'Tell me about a pet: its name, kind and age, and what it likes.' }],
  {
    temperature: 0,
    maxTokens: 200,
    schema: {
      type: 'object',
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 12, pattern: '^[A-Z][a-z]*$' },
        kind: { enum: ['dog', 'cat', 'llama', 'bird'] },
        age: { type: 'integer', minimum: 0, maximum: 30 },
        likes: { type: 'array', items: { type: 'string', maxLength: 24 }, minItems: 1, maxItems: 3 }
      },
      required: ['name', 'kind', 'age']
    }
  }
)
console.log(text)
if (object) console.log(`${object.name} is a ${object.kind} of ${object.age}`)
else console.log(`the text was cut off: ${finishReason}`)

// What no grammar can hold to is refused before anything runs, with its place.
try {
  await model.generate('', { schema: { type: 'array', items: { type: 'integer', multipleOf: 7 } } })
} catch (error) {
  console.log(`${error.code}: ${error.message}`)
}

await model.dispose()
