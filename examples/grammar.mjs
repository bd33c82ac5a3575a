// Text held to a grammar or a regular expression: whatever the model would like to write, this is
// what comes.
//
//   node examples/grammar.mjs [MODEL.gguf]       (default: the demo model in the package)
import { Model } from 'cria'

const model = await Model.load(process.argv[2])

// A regular expression says what the whole text is.
const name = await model.generate('Once upon a time there was a little girl called', {
  regex: / [A-Z][a-z]{2,9}/,
  seed: 1
})
console.log(`a name: ${name.text}`)

// A grammar in GBNF, as llama.cpp has them, can nest.
const grammar = String.raw`
root   ::= "{ \"name\": " string ", \"age\": " [1-9] [0-9]? ", \"likes\": " list " }"
list   ::= "[" string (", " string){0,2} "]"
string ::= "\"" [A-Za-z ]{3,12} "\""
`
const prompt = 'The girl in this story, in JSON: '
const runs = [1, 2, 3].map((seed) => model.generate(prompt, { grammar, seed, maxTokens: 100 }))
for (const { text, complete } of await Promise.all(runs)) {
  // `complete` is false where maxTokens or the context cut the text off.
  if (complete) console.log(JSON.parse(text))
}

// What is wrong with a grammar is said before anything is generated, with its place.
try {
  await model.generate(prompt, { grammar: 'root ::= "yes" | nope' })
} catch (error) {
  console.log(`${error.code}: ${error.message}`)
}

await model.dispose()
