#!/usr/bin/env node
/** The program `cria`. Everything it needs is imported late, so that a broken addon is one line. */
try {
  const { run } = await import('./program.js')
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  const line = error instanceof Error ? error.message : String(error)
  process.stderr.write(`cria: the native addon cannot be loaded: ${line.split('\n')[0]}\n`)
  process.stderr.write('      run `npm rebuild cria`, or `npm run build` in a checkout\n')
  if (process.env.CRIA_DEBUG === '1') process.stderr.write(`${String((error as Error).stack)}\n`)
  process.exitCode = 1
}
