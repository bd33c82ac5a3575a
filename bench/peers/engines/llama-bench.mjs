/** A llama-bench binary, of llama.cpp or ik_llama.cpp: its flags are looked up in its own help. */
import { spawnSync } from 'node:child_process'

/** Probes the binary: `{ name, flags }`. */
export function probe(binary) {
  const run = spawnSync(binary, ['--help'], { encoding: 'utf8' })
  if (run.error) throw new Error(`--llama-bench: ${run.error.message}`)
  return readHelp(`${run.stdout}${run.stderr}`)
}

/** `{ name, flags }` of a help text. */
export function readHelp(text) {
  const known = ['-d', '-gp', '-rtr', '-fa', '-ngl', '-b', '-ub', '-ctk', '-ctv']
  const flags = known.filter((flag) => new RegExp(`^\\s*${flag}[, ]`, 'm').test(text))
  if (!flags.includes('-fa')) {
    throw new Error('--llama-bench: the help of this binary does not look like that of llama-bench')
  }
  return { name: flags.includes('-rtr') ? 'ik_llama.cpp' : 'llama.cpp', flags }
}

/** With and without flash attention, and where the binary can, with weights repacked at run time. */
export function variants({ kvType }, { flags }) {
  const attentions = [{ label: 'flash attention', settings: ['-fa', '1'] }]
  if (kvType === 'f16') attentions.push({ label: 'plain attention', settings: ['-fa', '0'] })
  if (!flags.includes('-rtr')) return attentions
  return attentions.flatMap(({ label, settings }) => [
    { label, settings },
    { label: `${label}, repacked`, settings: [...settings, '-rtr', '1'] }
  ])
}

/** Whether the binary measures the case: it streams nothing, and may know no depth. */
export function measures({ kind, depth }, { flags }) {
  if (kind !== 'pp' && kind !== 'tg') return false
  return depth === 0 || flags.includes('-d') || (kind === 'tg' && flags.includes('-gp'))
}

/** The arguments of one measurement. */
export function toArguments(request) {
  const { kind, path, tokens, depth, kvType, threads, batchSize, repetitions } = request
  const { flags, settings } = request
  const afterPrompt = depth > 0 && !flags.includes('-d')
  const size = afterPrompt ? 0 : tokens
  const optional = {
    '-b': batchSize,
    '-ub': batchSize,
    '-ctk': kvType,
    '-ctv': kvType,
    '-ngl': 0,
    '-d': depth
  }
  return [
    ...['-m', path, '-t', threads, '-r', repetitions, '-o', 'json'],
    ...['-p', kind === 'pp' ? size : 0, '-n', kind === 'tg' ? size : 0],
    ...(afterPrompt ? ['-gp', `${depth},${tokens}`] : []),
    ...Object.entries(optional).flatMap(([flag, value]) =>
      flags.includes(flag) ? [flag, value] : []
    ),
    ...settings
  ].map(String)
}

export function measure(request) {
  const describe = request.kind === 'describe'
  const work = { kind: 'pp', tokens: 1, depth: 0, kvType: 'f16', repetitions: 1, settings: [] }
  const args = toArguments(describe ? { ...request, ...work } : request)
  const run = spawnSync(request.binary, args, { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (run.error) throw run.error
  if (run.status !== 0) {
    const reason = run.stderr.trim().split('\n').at(-1)
    throw new Error(`${args.join(' ')} ended with ${run.signal ?? run.status}: ${reason}`)
  }
  const rows = JSON.parse(run.stdout)
  if (rows.length !== 1) throw new Error(`${args.join(' ')}: expected one row, got ${rows.length}`)
  const [{ build_commit: commit, build_number: number, samples_ts: rates }] = rows
  return describe ? { version: `build ${number} (${commit})` } : { rates }
}
