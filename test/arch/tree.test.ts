/** Sizes of files, symbols of the kernel tables, and documents that tell the truth. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { brokenLinks, foreignSymbols, longFiles, unknownCommands } from './rules.js'
import { filesUnder, manifest, readFile, root } from './tree.js'

describe('files that one sitting can read', () => {
  test('the tree', () => {
    const folders = ['csrc', 'lib', 'test', 'scripts', 'bench']
    const files = folders.flatMap((folder) => filesUnder(folder, /\.(cpp|h|cu|cuh|ts|mjs)$/))
    expect(longFiles([...files, readFile('CMakeLists.txt')])).toEqual([])
  })

  test('450 lines are few enough, 451 are not', () => {
    const file = (count: number) => [{ path: 'a.cpp', text: 'x\n'.repeat(count) }]
    expect(longFiles(file(450))).toEqual([])
    expect(longFiles(file(451))).toEqual(['a.cpp: 451 lines, more than 450'])
  })
})

describe('kernel tables', () => {
  /** Object files of a table in the build tree, wherever CMake put them. */
  function objects(table: string): string[] {
    const folder = join(root, 'build-native', 'CMakeFiles', `cria_cpu_${table}.dir`)
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.o'))
      .map((name) => join(folder, name))
  }
  const x86 = process.arch === 'x64' ? ['avx2', 'avx_vnni', 'avx512', 'avx512_vnni'] : []

  // The scalar table runs everywhere: whatever it exports, any machine can execute.
  test.each(x86)('%s exports its own namespace alone', (table) => {
    const files = objects(table)
    expect(files.length).toBeGreaterThan(1)
    const nm = execFileSync('nm', ['-C', '--defined-only', '--extern-only', ...files], {
      encoding: 'utf8'
    })
    expect(nm).toContain(`cria::cpu::${table}::kernels`)
    expect(foreignSymbols(table, nm)).toEqual([])
  })

  test('a foreign symbol is seen', () => {
    const nm = [
      '/tree/matmul.cpp.o:',
      '0000000000000000 T cria::cpu::avx2::matmul_q4_0(cria::cpu::MatmulArgs const&)',
      '0000000000000010 R cria::cpu::avx2::kernels',
      '0000000000000000 V DW.ref.__gxx_personality_v0',
      '                 U memcpy',
      '                 w __cxa_pure_virtual',
      '0000000000000000 W float const& std::max<float>(float const&, float const&)',
      '0000000000000000 T cria::cpu::avx512::kernels'
    ].join('\n')
    expect(foreignSymbols('avx2', nm)).toEqual([
      'float const& std::max<float>(float const&, float const&)',
      'cria::cpu::avx512::kernels'
    ])
  })
})

describe('documents', () => {
  const scripts = Object.keys(manifest.scripts)
  const documents = [
    ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', '.ci/run'],
    ...['docs', 'csrc', 'bench'].flatMap((folder) => filesUnder(folder, /\.md$/)).map((f) => f.path)
  ]

  test.each(documents)('%s names commands and places that exist', (path) => {
    const file = readFile(path)
    expect(unknownCommands(file, scripts)).toEqual([])
    if (path.endsWith('.md')) {
      expect(brokenLinks(file, (link) => existsSync(join(root, link)))).toEqual([])
    }
  })

  test('the README shows how to start and to test', () => {
    expect(readFile('README.md').text).toMatch(/npm start[\s\S]*npm test/)
  })

  test('an unknown command and a broken link are seen', () => {
    const file = {
      path: 'docs/a.md',
      text: 'npm run fly\nnpm test\n[x](b.md#top) [y](https://a.b)'
    }
    expect(unknownCommands(file, scripts)).toEqual([
      'docs/a.md:1: package.json has no script "fly"'
    ])
    expect(brokenLinks(file, () => false)).toEqual(['docs/a.md:3: b.md does not exist'])
    expect(brokenLinks(file, (path) => path === 'docs/b.md')).toEqual([])
  })
})
