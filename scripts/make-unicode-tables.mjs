#!/usr/bin/env node
// Writes csrc/text/unicode_tables.cpp: the code points of \p{L}, \p{N} and \p{White_Space} as ranges,
// by the Unicode version that this Node knows.
//
//   node scripts/make-unicode-tables.mjs
import { writeFileSync } from 'node:fs'

const SETS = [
  ['kLetters', 'letters, \\p{L}', /^\p{L}$/u],
  ['kNumbers', 'numbers, \\p{N}', /^\p{N}$/u],
  ['kSpaces', 'white space, \\p{White_Space}', /^\p{White_Space}$/u]
]

function rangesOf(pattern) {
  const ranges = []
  for (let code = 0; code <= 0x10ffff; code++) {
    const surrogate = code >= 0xd800 && code <= 0xdfff
    if (surrogate || !pattern.test(String.fromCodePoint(code))) continue
    const last = ranges.at(-1)
    if (last && last[1] === code - 1) last[1] = code
    else ranges.push([code, code])
  }
  return ranges
}

const hex = (code) => `0x${code.toString(16).toUpperCase()}`

function table([name, title, pattern]) {
  const ranges = rangesOf(pattern)
  const rows = []
  for (const [first, last] of ranges) {
    const cell = `{${hex(first)}, ${hex(last)}},`
    const row = rows.at(-1)
    if (row !== undefined && row.length + cell.length + 1 <= 98)
      rows[rows.length - 1] = `${row} ${cell}`
    else rows.push(cell)
  }
  return `// ${title}: ${ranges.length} ranges.
constexpr CodeRange ${name}Table[] = {
${rows.map((row) => `  ${row}`).join('\n')}
};
const std::span<const CodeRange> ${name} = ${name}Table;
`
}

writeFileSync(
  new URL('../csrc/text/unicode_tables.cpp', import.meta.url),
  `// F1. Unicode ${process.versions.unicode} classes, written by scripts/make-unicode-tables.mjs: change that instead.
// clang-format off
#include "text/unicode.h"

namespace cria::text {

${SETS.map(table).join('\n')}
}  // namespace cria::text
`
)
