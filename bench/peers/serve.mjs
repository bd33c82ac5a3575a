/**
 * Conversations at once, driven as `cria bench load` drives them. Its modules are of the build, which a
 * run makes first, so they are imported when they are needed.
 */
const built = (module) => import(new URL(`../../dist/cli/${module}.js`, import.meta.url))

/** Tokens of context that the longest conversation of a case takes. */
export async function roomFor(load) {
  return (await built('load-plan')).roomFor(load)
}

/** Generated tokens per second of a `LoadTarget` (lib/cli/load-run.ts), and how long its readers waited. */
export async function serve(target, load, vocabulary) {
  const { planLoad } = await built('load-plan')
  const { runLoad } = await built('load-run')
  const figures = await runLoad(target, planLoad(load, vocabulary), load.predict)
  return { rates: [figures.generatedTokens / figures.seconds], figures }
}
