/**
 * `npm test`: sets a checkout up and runs every test: the C++ suites through CTest, then vitest.
 *
 *   npm run test:native [-- CTEST OPTIONS]     npm run test:js [-- VITEST OPTIONS]
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { root, setup } from './setup.mjs'

const suites = {
  native(options) {
    const jobs = String(availableParallelism())
    const args = ['--test-dir', 'build-native', '--output-on-failure', '--no-tests=error']
    return ['ctest', [...args, '--parallel', jobs, ...options]]
  },
  js(options) {
    const require = createRequire(import.meta.url)
    const vitest = join(dirname(require.resolve('vitest/package.json')), 'vitest.mjs')
    return [process.execPath, [vitest, 'run', ...options]]
  }
}

const [only, ...options] = process.argv.slice(2)
if (only && !suites[only]) {
  console.error(`test.mjs: no suite "${only}"; there are: ${Object.keys(suites).join(', ')}`)
  process.exit(2)
}
setup({ tests: true })
const results = (only ? [only] : Object.keys(suites)).map((name) => {
  const [command, args] = suites[name](options)
  const run = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (run.error) console.error(`${command}: ${run.error.message}`)
  return run.status === 0
})
process.exit(results.every(Boolean) ? 0 : 1)
