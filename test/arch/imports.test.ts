/** Who may import whom: the real tree keeps the rules, and each rule sees when it is broken. */
import { describe, expect, test } from 'vitest'
import {
  importViolations,
  includeViolations,
  instructionSetConditionals,
  ROOMS,
  type SourceFile
} from './rules.js'
import { filesUnder, manifest } from './tree.js'

const cxx = filesUnder('csrc', /\.(cpp|h)$/)
const lib = filesUnder('lib', /\.ts$/)

/** What a rule says about one more file of csrc/ beside the real ones. */
function including(path: string, line: string): string[] {
  const found = includeViolations([...cxx, { path, text: `// a file\n${line}\n` }])
  return found.filter((violation) => violation.startsWith(`${path}:`))
}

describe('csrc/', () => {
  test('every include goes down', () => {
    expect(cxx.length).toBeGreaterThan(20)
    expect(includeViolations(cxx)).toEqual([])
  })

  test('the table itself has no cycle', () => {
    for (const [room, below] of Object.entries(ROOMS)) {
      for (const target of below) expect(ROOMS[target], `${room} → ${target}`).not.toContain(room)
    }
  })

  test.each([
    ['csrc/base/x.cpp', '#include "quant/dtype.h"', 'base may not include quant'],
    ['csrc/text/x.cpp', '#include "gguf/gguf.h"', 'text may not include gguf'],
    ['csrc/model/x.cpp', '#include "cpu/cpu_backend.h"', 'model may not include cpu'],
    ['csrc/model/x.cpp', '  #  include "parallel/comm_single.h"', 'model may not include parallel'],
    ['csrc/engine/x.cpp', '#include "cpu/cpu_backend.h"', 'engine may not include cpu'],
    ['csrc/engine/x.cpp', '#include "cuda/cuda_backend.h"', 'engine may not include cuda'],
    ['csrc/napi/x.cpp', '#include "cuda/plugin.h"', 'napi may not include cuda'],
    ['csrc/cuda/x.cpp', '#include "cpu/cpu_backend.h"', 'cuda may not include cpu'],
    ['csrc/cpu/x.cpp', '#include "cuda/plugin.h"', 'cpu may not include cuda'],
    ['csrc/cpu/x.cpp', '#include "model/config.h"', 'cpu may not include model'],
    ['csrc/engine/x.cpp', '#include <napi.h>', 'engine includes napi.h'],
    ['csrc/engine/x.cpp', '#include "node_api.h"', 'engine includes node_api.h'],
    ['csrc/engine/x.cpp', '#include "batch.h"', 'does not name its room'],
    ['csrc/engine/x.cpp', '#include "engine/no_such_file.h"', 'is not a file'],
    ['csrc/cellar/x.cpp', '', 'is no room']
  ])('%s with %s is refused', (path, line, message) => {
    expect(including(path, line)).toEqual([expect.stringContaining(message)])
  })

  test('an instruction set is read by itself and by those that contain it', () => {
    const own: SourceFile = { path: 'csrc/cpu/avx512/own.h', text: '' }
    const check = (path: string, line: string) => includeViolations([own, { path, text: line }])
    expect(check('csrc/cpu/avx512/x.cpp', '#include "own.h"')).toEqual([])
    expect(check('csrc/cpu/avx512_vnni/x.h', '#include "cpu/avx512/own.h"')).toEqual([])
    expect(check('csrc/cpu/avx2/x.cpp', '#include "cpu/avx512/own.h"')).toHaveLength(1)
    expect(check('csrc/cpu/avx2/x.cpp', '#include "own.h"')).toHaveLength(1)
    expect(check('csrc/cpu/backend.cpp', '#include "cpu/avx512/own.h"')).toHaveLength(1)
  })

  test('the registry alone names concrete backends', () => {
    const line = '#include "cpu/cpu_backend.h"\n#include "parallel/comm_single.h"'
    expect(including('csrc/engine/registry.cpp', line)).toEqual([])
    expect(including('csrc/engine/registry_2.cpp', line)).toHaveLength(2)
  })

  test('no kernel asks the preprocessor for its instruction set', () => {
    expect(instructionSetConditionals(cxx)).toEqual([])
    const kernel = (text: string) =>
      instructionSetConditionals([{ path: 'csrc/cpu/avx2/x.cpp', text }])
    expect(kernel('#ifdef __AVX512VNNI__')).toHaveLength(1)
    expect(kernel('# if defined(__FMA__) && 1')).toHaveLength(1)
    expect(kernel('#elif CRIA_X86_TABLES')).toHaveLength(1)
    expect(kernel('#if CRIA_TILE > 4')).toEqual([])
  })
})

describe('lib/', () => {
  const dependencies = Object.keys(manifest.dependencies)
  const check = (path: string, text: string) => importViolations([{ path, text }], dependencies)

  test('every import keeps its place', () => {
    expect(lib.length).toBeGreaterThan(5)
    expect(importViolations(lib, dependencies)).toEqual([])
  })

  test.each([
    ['lib/model.ts', "const build = require('node-gyp-build')", 'only lib/native.ts'],
    ['lib/model.ts', "const path = 'build/Release/cria.node'", 'only lib/native.ts'],
    ['lib/cli/run.ts', "import { Model } from '../model.js'", 'cli/ imports only'],
    ['lib/cli/run.ts', "export type { A } from '../errors.js'", 'cli/ imports only'],
    ['lib/cli/run.ts', "await import('../native.js')", 'cli/ imports only'],
    ['lib/cli/run.ts', "import { Template } from '@huggingface/jinja'", 'may not import'],
    ['lib/chat/a.ts', "import x from 'left-pad/deep'", 'may not import the package "left-pad"'],
    ['lib/chat/a.ts', "import { bar } from '../cli/bar.js'", 'from the command line'],
    ['lib/a.ts', "import '../test/arch/rules.js'", 'outside lib/']
  ])('%s with %s is refused', (path, text, message) => {
    expect(check(path, text)).toEqual([expect.stringContaining(message)])
  })

  test.each([
    ['lib/cli/run.ts', "import { Model } from '../index.js'"],
    ['lib/cli/run.ts', "import { bar } from './bar.js'"],
    ['lib/cli/run.ts', "import { parseArgs } from 'node:util'"],
    ['lib/chat/a.ts', "import { Template } from '@huggingface/jinja'"]
  ])('%s with %s is allowed', (path, text) => {
    expect(check(path, text)).toEqual([])
  })
})
