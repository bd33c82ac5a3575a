/**
 * Keeps results while they come, so that a run which is cut short loses a measurement, not the hours
 * before it, and adds to what a former run of the same machine and versions kept.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'

/** What makes a row: a later measurement of the same takes its place. */
const KEYS = {
  check: ['model', 'peer', 'setting'],
  cases: ['model', 'name', 'kvType', 'threads'],
  load: ['model', 'cold']
}

/** What `path` keeps, where it is of this machine and these versions; else empty results. */
export function resume(path, { machine, engines }, tell) {
  const empty = { machine, engines, check: [], cases: [], load: [] }
  if (!path || !existsSync(path)) return empty
  const { check, cases, load, ...kept } = JSON.parse(readFileSync(path, 'utf8'))
  if (!isDeepStrictEqual(kept.machine, machine) || !agree(kept.engines, engines)) {
    tell(`${path} is of another machine or of other versions: it starts anew`)
    return empty
  }
  tell(`adding to ${path}`)
  const names = new Set(engines.map(({ name }) => name))
  const others = kept.engines.filter(({ name }) => !names.has(name))
  return { machine, engines: [...engines, ...others], check, cases, load }
}

/** Whether the engines that both lists name are of the same versions. */
function agree(kept, engines) {
  const versions = new Map(engines.map(({ name, version }) => [name, version]))
  return kept.every(({ name, version }) => (versions.get(name) ?? version) === version)
}

/** Puts a row of `check`, `cases` or `load` in the place of the same one before, or at the end. */
export function put(results, kind, row) {
  const rows = results[kind]
  const at = rows.findIndex((other) => KEYS[kind].every((key) => other[key] === row[key]))
  rows.splice(at < 0 ? rows.length : at, 1, row)
}

/** Writes a file that at every moment is the former or the new one as a whole. */
export function writeWhole(path, text) {
  const half = `${path}.part`
  writeFileSync(half, text)
  renameSync(half, path)
}
