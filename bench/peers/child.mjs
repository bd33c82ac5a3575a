/**
 * Each measurement is a process of its own, so that no engine computes beside the memory or the
 * threads of another. `inChild` starts this file as that process, which answers with one message.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What `measure(request)` of an engine's module gives, run in a process of its own. */
export function inChild(engine, request) {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), [engine, JSON.stringify(request)], {
      stdio: ['ignore', 2, 2, 'ipc'] // nothing but the table reaches standard output
    })
    let answer
    child.on('message', (message) => {
      answer = message
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (answer?.result) resolve(answer.result)
      else reject(new Error(`${engine}: ${answer?.error ?? `ended with ${signal ?? code}`}`))
    })
  })
}

async function answer([engine, request]) {
  process.on('disconnect', () => process.exit()) // also where nobody waits any longer
  const send = (message) => process.connected && process.send(message, () => process.disconnect())
  try {
    const { measure } = await import(`./engines/${engine}.mjs`)
    send({ result: await measure(JSON.parse(request)) })
  } catch (error) {
    send({ error: error.message })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await answer(process.argv.slice(2))
