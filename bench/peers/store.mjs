/**
 * Keeps results while they come, so that a run which is cut short loses a measurement, not the hours
 * before it, and adds to what former runs on the same machine kept. A row names the versions that it was
 * measured with: ratios are of one run and stand, whatever the other rows are of.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'

/** What makes a row: a later measurement of the same takes its place. */
const KEYS = {
  check: ['model', 'peer', 'setting'],
  cases: ['model', 'name', 'kvType', 'threads'],
  load: ['model', 'cold']
}

/** What `path` keeps, where it is of this machine; else empty results. */
export function resume(path, { machine }, tell) {
  const empty = { machine, check: [], cases: [], load: [] }
  if (!path || !existsSync(path)) return empty
  const kept = JSON.parse(readFileSync(path, 'utf8'))
  if (!isDeepStrictEqual(kept.machine, machine)) {
    tell(`${path} is of another machine: it starts anew`)
    return empty
  }
  tell(`adding to ${path}`)
  return kept
}

/**
 * Puts a row of `check`, `cases` or `load` in the place of the same one before, or at the end, with the
 * versions that it was measured with: by the engine's name.
 */
export function put(results, kind, row, versions) {
  const rows = results[kind]
  const at = rows.findIndex((other) => KEYS[kind].every((key) => other[key] === row[key]))
  rows.splice(at < 0 ? rows.length : at, 1, { ...row, versions })
}

/** Writes a file that at every moment is the former or the new one as a whole. */
export function writeWhole(path, text) {
  const half = `${path}.part`
  writeFileSync(half, text)
  renameSync(half, path)
}
