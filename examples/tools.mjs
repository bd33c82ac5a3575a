// A model that calls functions: its call is run, and it answers with the result.
//
//   node examples/tools.mjs [MODEL.gguf]          (default: the demo model in the package)
//
// The demo model has five million parameters and was never shown a tool, so it is made to call one: with
// toolChoice its first answer is held to a call whose arguments fit the schema. What it says of the result
// is its own. Give a larger model, leave toolChoice out, and it decides by itself.
import { Model } from 'cria'

const model = await Model.load(process.argv[2])
const chat = model.session()

const garden = {
  description: 'What grows in a garden.',
  schema: {
    type: 'object',
    properties: { season: { enum: ['spring', 'summer', 'autumn', 'winter'] } },
    required: ['season']
  },
  async run({ season }, { signal }) {
    signal.throwIfAborted()
    return { season, plants: season === 'winter' ? ['moss'] : ['roses', 'beans'] }
  }
}

const turn = chat.send('What grows in the garden in spring?', {
  tools: { garden },
  toolChoice: { name: 'garden' },
  temperature: 0,
  maxTokens: 120
})
for await (const { text, toolCall, toolResult } of turn) {
  if (toolCall) console.log(`call: ${toolCall.name} ${JSON.stringify(toolCall.arguments)}`)
  else if (toolResult)
    console.log(`result: ${JSON.stringify(toolResult.result ?? toolResult.error)}`)
  else process.stdout.write(text)
}
const { finishReason, usage } = await turn
console.log(`\n${finishReason}, ${usage.completionTokens} tokens`)
console.log(chat.messages.map(({ role }) => role).join(' → '))

chat.dispose()
await model.dispose()
