/**
 * The house's rules as functions over files: each gives one line for every violation, none for a
 * tree that keeps the rule. They look at nothing but their arguments, so that the tests can show
 * that a broken rule is seen.
 */
import { posix } from 'node:path'

export interface SourceFile {
  /** Relative to the project's root, with forward slashes. */
  readonly path: string
  readonly text: string
}

/** What each room of csrc/ may include besides itself: always floors below its own. */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  quant: ['base'],
  gguf: ['base', 'quant'],
  text: ['base'],
  grammar: ['base', 'text'],
  sampling: ['base'],
  backend: ['base', 'quant'],
  cpu: ['base', 'quant', 'backend'],
  bench: ['base', 'quant', 'backend', 'cpu'],
  cuda: ['base', 'quant', 'backend'],
  parallel: ['base', 'backend'],
  model: ['base', 'quant', 'gguf', 'text', 'backend'],
  engine: ['base', 'quant', 'gguf', 'text', 'grammar', 'sampling', 'backend', 'model'],
  napi: [
    'base',
    'quant',
    'gguf',
    'text',
    'grammar',
    'sampling',
    'backend',
    'cpu',
    'bench',
    'parallel',
    'model',
    'engine'
  ],
  // Test only, and above napi, whose conversions it shares.
  probe: [
    'base',
    'quant',
    'gguf',
    'text',
    'sampling',
    'backend',
    'cpu',
    'parallel',
    'model',
    'engine',
    'napi'
  ]
}

/** The one place that names concrete backends, besides the boundary above it. */
const REGISTRY = /^csrc\/engine\/registry\.(cpp|h)$/
const CONCRETE = ['cpu', 'cuda', 'parallel']
const NODE_HEADERS = ['napi.h', 'node_api.h', 'js_native_api.h']

/** The instruction-set folder of a kernel: "avx2" of csrc/cpu/avx2/…; undefined elsewhere. */
function instructionSet(path: string): string | undefined {
  return /^csrc\/cpu\/([^/]+)\//.exec(path)?.[1]
}

/** Instruction sets that contain another, and may build on its headers; never the other way. */
const BUILDS_ON: Readonly<Record<string, readonly string[]>> = {
  avx_vnni: ['avx2'],
  avx512: ['avx2'],
  avx512_vnni: ['avx2', 'avx512']
}

function lines(file: SourceFile): { where: string; line: string }[] {
  return file.text.split('\n').map((line, i) => ({ where: `${file.path}:${i + 1}`, line }))
}

/** The include lines of csrc/ against ROOMS. */
export function includeViolations(files: readonly SourceFile[]): string[] {
  const known = new Set(files.map((file) => file.path))
  const found: string[] = []
  for (const file of files) {
    const room = file.path.split('/')[1] as string
    const allowed = ROOMS[room]
    if (!allowed) {
      found.push(`${file.path}: csrc/${room} is no room of the house; add it to ROOMS`)
      continue
    }
    for (const { where, line } of lines(file)) {
      const match = /^\s*#\s*include\s*(["<])([^">]+)[">]/.exec(line)
      if (!match) continue
      const name = match[2] as string
      if (NODE_HEADERS.includes(name)) {
        if (room !== 'napi' && room !== 'probe') found.push(`${where}: ${room} includes ${name}`)
      } else if (match[1] === '"') {
        found.push(...quotedInclude(file.path, name, allowed, known).map((v) => `${where}: ${v}`))
      }
    }
  }
  return found
}

function quotedInclude(
  path: string,
  name: string,
  allowed: readonly string[],
  known: ReadonlySet<string>
): string[] {
  const room = path.split('/')[1] as string
  const from = instructionSet(path)
  if (!name.includes('/')) {
    // A kernel's own header, which a variant of its instruction set may replace.
    const own = from && known.has(`csrc/cpu/${from}/${name}`)
    return own ? [] : [`"${name}" does not name its room; write "room/${name}"`]
  }
  if (!known.has(`csrc/${name}`)) return [`"${name}" is not a file of csrc/`]
  const target = name.split('/')[0] as string
  const registry = REGISTRY.test(path) && CONCRETE.includes(target)
  if (target !== room && !allowed.includes(target) && !registry) {
    return [`${room} may not include ${target} ("${name}")`]
  }
  const to = instructionSet(`csrc/${name}`)
  if (to && to !== from && !(from && BUILDS_ON[from]?.includes(to))) {
    return [`${from ?? room} may not include the instruction set ${to} ("${name}")`]
  }
  return []
}

/** The folder is the instruction set: no kernel asks the preprocessor for it. */
export function instructionSetConditionals(files: readonly SourceFile[]): string[] {
  const pattern =
    /^\s*#\s*(if|ifdef|ifndef|elif)\b.*(__(AVX|SSE|FMA|F16C|BMI|x86_64|i386|ARM|aarch64)|CRIA_X86)/
  return files
    .filter((file) => instructionSet(file.path))
    .flatMap(lines)
    .filter(({ line }) => pattern.test(line))
    .map(({ where, line }) => `${where}: ${line.trim()}`)
}

/** What one sitting can read. */
export const LONGEST_FILE = 450

export function longFiles(files: readonly SourceFile[]): string[] {
  return files
    .map((file) => ({ path: file.path, count: file.text.replace(/\n$/, '').split('\n').length }))
    .filter(({ count }) => count > LONGEST_FILE)
    .map(({ path, count }) => `${path}: ${count} lines, more than ${LONGEST_FILE}`)
}

/** The import lines of lib/; `dependencies` are the run-time dependencies of the package. */
export function importViolations(
  files: readonly SourceFile[],
  dependencies: readonly string[]
): string[] {
  const found: string[] = []
  for (const file of files) {
    const native = file.path === 'lib/native.ts'
    const cli = file.path.startsWith('lib/cli/')
    for (const { where, line } of lines(file)) {
      if (!native && /node-gyp-build|\.node['"`]/.test(line)) {
        found.push(`${where}: only lib/native.ts touches the addon`)
      }
      for (const specifier of specifiers(line)) {
        if (specifier.startsWith('node:')) continue
        if (!specifier.startsWith('.')) {
          const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
          if (cli || !dependencies.includes(name)) {
            found.push(`${where}: may not import the package "${name}"`)
          }
          continue
        }
        const target = posix.join(posix.dirname(file.path), specifier)
        const inside = target.startsWith('lib/cli/')
        if (cli && !inside && target !== 'lib/index.js') {
          found.push(`${where}: cli/ imports only ../index.js and its own files, not ${specifier}`)
        }
        if (!cli && inside) found.push(`${where}: imports ${specifier} from the command line`)
        if (!target.startsWith('lib/')) found.push(`${where}: ${specifier} lies outside lib/`)
      }
    }
  }
  return found
}

function specifiers(line: string): string[] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)(['"])([^'"]+)\1/g
  return [...line.matchAll(pattern)].map((match) => match[2] as string)
}

/**
 * Symbols that a table's objects may not export: everything outside the table's namespace. An
 * inline function kept there out of line could be the copy the linker picks for the whole program,
 * and would then run instructions that the machine lacks. `nm` is the output of `nm -C`.
 */
export function foreignSymbols(table: string, nm: string): string[] {
  return nm
    .split('\n')
    .map((line) => /^[0-9a-f]* +([A-Zuvw]) (.+)$/.exec(line))
    .filter((match) => match !== null && match[1] !== 'U' && match[1] !== 'w')
    .map((match) => (match as RegExpExecArray)[2] as string)
    .filter((name) => !name.startsWith('DW.ref.')) // a pointer, no code
    .filter((name) => !name.startsWith(`cria::cpu::${table}::`))
}

/** npm commands that a text names and package.json does not have. */
export function unknownCommands(file: SourceFile, scripts: readonly string[]): string[] {
  return lines(file).flatMap(({ where, line }) =>
    [...line.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)]
      .map((match) => (match[1] ?? match[2]) as string)
      .filter((name) => !scripts.includes(name))
      .map((name) => `${where}: package.json has no script "${name}"`)
  )
}

/** Relative links of a Markdown file to places that `exists` does not know. */
export function brokenLinks(file: SourceFile, exists: (path: string) => boolean): string[] {
  return lines(file).flatMap(({ where, line }) =>
    [...line.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1] as string)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => !exists(posix.join(posix.dirname(file.path), link)))
      .map((link) => `${where}: ${link} does not exist`)
  )
}
