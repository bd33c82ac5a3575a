import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SourceFile } from './rules.js'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The project's own files under a folder whose names match; none where there is no folder. */
export function filesUnder(folder: string, names: RegExp): SourceFile[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => names.test(name) && !/(^|[\\/])node_modules[\\/]/.test(name))
    .map((name) => readFile(`${folder}/${name.replaceAll('\\', '/')}`))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

export function readFile(path: string): SourceFile {
  return { path, text: readFileSync(join(root, path), 'utf8') }
}

export const manifest = JSON.parse(readFile('package.json').text) as {
  scripts: Record<string, string>
  dependencies: Record<string, string>
}
