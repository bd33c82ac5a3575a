/** What a Markdown document says, taken apart: headings, links, command lines. */
import { posix } from 'node:path'
import type { SourceFile } from '../arch/rules.js'

/** A command line that a document shows, `$ cria …`, and the line shown after it. */
export interface Shown {
  readonly where: string
  /** What comes after `cria`, as a shell would split it. */
  readonly args: readonly string[]
  readonly answer: string
}

/** A document's lines, and whether each lies in a fenced block. */
function lines({ path, text }: SourceFile): { where: string; line: string; fenced: boolean }[] {
  let fenced = false
  return text.split('\n').map((line, i) => {
    if (/^\s*```/.test(line)) fenced = !fenced
    return { where: `${path}:${i + 1}`, line, fenced }
  })
}

/** The anchors that a renderer gives the headings: lower case, no punctuation, dashes for spaces. */
export function anchors(file: SourceFile): string[] {
  return lines(file)
    .filter(({ line, fenced }) => !fenced && /^#{1,6} /.test(line))
    .map(({ line }) =>
      line
        .replace(/^#+ /, '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-')
    )
}

/** Links to a heading that the linked document does not have. */
export function brokenAnchors(file: SourceFile, documents: readonly SourceFile[]): string[] {
  return lines(file).flatMap(({ where, line }) =>
    [...line.matchAll(/\]\(([^)#\s]*)#([^)\s]+)\)/g)].flatMap(([, path = '', anchor = '']) => {
      if (/^[a-z]+:/.test(path)) return []
      const target = path === '' ? file.path : posix.join(posix.dirname(file.path), path)
      const document = documents.find((known) => known.path === target)
      if (document && anchors(document).includes(anchor)) return []
      return [`${where}: ${target} has no heading #${anchor}`]
    })
  )
}

/** Words of a command line, quotes taken off; what comes after a pipe is not its own. */
function words(command: string): string[] {
  const own = /^(?:"[^"]*"|'[^']*'|[^|"'])*/.exec(command)?.[0] ?? ''
  return [...own.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '')
}

/** The `$ cria …` lines of the fenced blocks, also behind npx or a pipe. */
export function shownCommands(file: SourceFile): Shown[] {
  const all = lines(file)
  return all.flatMap(({ where, line, fenced }, i) => {
    const command = /^\$ (?:.*\| )?(?:npx )?cria (.*)$/.exec(line)?.[1]
    if (!fenced || command === undefined) return []
    return [{ where, args: words(command), answer: all[i + 1]?.line ?? '' }]
  })
}

/** The commands named in running text, as `cria run`. */
export function namedCommands(file: SourceFile): { where: string; command: string }[] {
  return lines(file).flatMap(({ where, line }) =>
    [...line.matchAll(/`(?:npx )?cria ([a-z]+)/g)].map(([, command = '']) => ({ where, command }))
  )
}
