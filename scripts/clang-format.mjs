/** Formats the C++ sources; with `--check` only looks, and fails where one differs. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './setup.mjs'

const check = process.argv.includes('--check')
const files = ['csrc', 'test'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter((name) => /\.(cpp|cu|h)$/.test(name))
    .map((name) => join(folder, name))
)
const mode = check ? ['--dry-run', '-Werror'] : ['-i']
const run = spawnSync('clang-format', [...mode, ...files], { cwd: root, stdio: 'inherit' })
if (run.error?.code === 'ENOENT') {
  console.error('clang-format was not found (Debian, Ubuntu: apt-get install clang-format)')
  // CI holds every file against it; elsewhere a missing formatter is no reason to fail.
  process.exit(process.env.CI ? 1 : 0)
}
process.exit(run.status ?? 1)
