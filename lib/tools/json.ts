/** JSON as models write it: one value or several, in a fence or not, with text around or not. */

const opening = new Map([
  ['{', '}'],
  ['[', ']']
])

/** The text without a Markdown fence around all of it. */
export function withoutFence(text: string): string {
  const fenced = /^\s*```[\w-]*\s*\n([\s\S]*?)\n?\s*```\s*$/.exec(text)
  return (fenced?.[1] ?? text).trim()
}

/**
 * The objects and arrays that stand one after another in a text, with nothing but white space, commas
 * or semicolons between them; undefined where there is anything else, or one is no JSON.
 */
export function jsonValues(text: string): unknown[] | undefined {
  const values: unknown[] = []
  let at = 0
  for (;;) {
    while (at < text.length && /[\s,;]/.test(text[at] as string)) at++
    if (at === text.length) return values
    const end = endOfValue(text, at)
    if (end === undefined) return undefined
    try {
      values.push(JSON.parse(text.slice(at, end)))
    } catch {
      return undefined
    }
    at = end
  }
}

/** Where the object or array ends that begins at `at`; undefined: nowhere, or none begins there. */
export function endOfValue(text: string, at: number): number | undefined {
  if (!opening.has(text[at] ?? '')) return undefined
  const closing: string[] = []
  let quoted = false
  for (let i = at; i < text.length; i++) {
    const character = text[i] as string
    if (quoted) {
      if (character === '\\') i++
      else if (character === '"') quoted = false
      continue
    }
    if (character === '"') quoted = true
    const close = opening.get(character)
    if (close !== undefined) closing.push(close)
    else if (character === '}' || character === ']') {
      if (closing.pop() !== character) return undefined
      if (closing.length === 0) return i + 1
    }
  }
  return undefined
}
