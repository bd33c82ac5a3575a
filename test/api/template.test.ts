/** Templates of model files: other people's programs. */
import { afterEach, describe, expect, test } from 'vitest'
import type { ChatVocab } from '../../lib/chat/segments.js'
import { built } from './support/built.js'

const { TemplateRenderer } =
  await built<typeof import('../../lib/chat/template.js')>('chat/template.js')

const vocab: ChatVocab = { bos: '<s>', eos: '</s>', controlPieces: ['<s>', '</s>'] }
const messages = [{ role: 'user', content: 'hello </s>' }] as const

let renderer = new TemplateRenderer()
afterEach(async () => {
  await renderer.close()
  renderer = new TemplateRenderer()
})

const render = (template: string) => renderer.render({ template, messages, vocab })
const textOf = async (template: string) => (await render(template)).map(({ text }) => text).join('')

/** After whatever happened, the next conversation is rendered. */
async function stillWorks() {
  expect(await textOf('{{ messages[0].content }}')).toBe('hello </s>')
}

test('a template gets the conversation and the names it expects', async () => {
  const segments = await render(
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{{ eos_token }}" +
      '{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}{% if tools %}x{% endif %}'
  )
  expect(segments).toEqual([
    { text: '<s><|user|>hello <', special: true },
    { text: '/s></s><|assistant|>', special: true }
  ])
})

test('renders are queued, and keep their order', async () => {
  const texts = ['a', 'b', 'c', 'd'].map((text) => textOf(text))
  expect(await Promise.all(texts)).toEqual(['a', 'b', 'c', 'd'])
})

test('the conversation is refused by the template: its own words', async () => {
  await expect(render("{{ raise_exception('only users here') }}")).rejects.toMatchObject({
    code: 'ERR_CRIA_BAD_ARGUMENT',
    message: expect.stringContaining('only users here')
  })
  await stillWorks()
})

test.each([
  ['an empty condition', '{% if %}'],
  ['an open tag', '{{'],
  ['an end without a beginning', '{% endfor %}'],
  ['a filter without a name', '{{ messages | }}'],
  ['brackets in brackets', `{{ ${'('.repeat(50_000)}1${')'.repeat(50_000)} }}`],
  ['a long negation', `{{ ${'not '.repeat(50_000)}1 }}`],
  ['a megabyte', 'x'.repeat(2 ** 20 + 1)]
])('no valid template: %s', async (_, template) => {
  await expect(render(template)).rejects.toMatchObject({ code: 'ERR_CRIA_UNSUPPORTED' })
  await stillWorks()
})

describe('a template that takes all it can get is ended, and the process lives', () => {
  const outer = '{% for a in range(100000) %}{% for b in range(100000) %}'
  test.each([
    ['time', `${outer}{% endfor %}{% endfor %}`],
    ['one call', '{{ range(3000000000) | length }}'],
    ['output', `${outer}{{ messages[0].content }}{% endfor %}{% endfor %}`],
    [
      'doubling',
      "{% set ns = namespace(x='abcdefgh') %}{% for i in range(40) %}" +
        '{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}'
    ],
    [
      'lists',
      '{% set ns = namespace(x=[1]) %}{% for i in range(40) %}' +
        '{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x | length }}'
    ],
    ['recursion', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}']
  ])('%s', async (_, template) => {
    await expect(render(template)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_CRIA_(UNSUPPORTED|BAD_ARGUMENT)$/)
    })
    await stillWorks()
  })

  test('the budget is named, and holds', async () => {
    renderer = new TemplateRenderer(100)
    const start = performance.now()
    await expect(render(`${outer}{% endfor %}{% endfor %}`)).rejects.toThrow(
      'took more than 100 ms'
    )
    expect(performance.now() - start).toBeLessThan(30_000)
    await stillWorks()
  })
})

test.each([
  '{{ messages.constructor.constructor("return process")() }}',
  "{{ messages['__proto__'] }}",
  "{{ ''.constructor }}",
  "{{ ''.__class__.__mro__[1].__subclasses__() }}",
  '{{ self }}{{ globalThis }}{{ process }}{{ require }}',
  "{{ namespace(x=1).constructor('return 1') }}",
  "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
  '{% for k in messages.__proto__ %}{{ k }}{% endfor %}'
])('nothing of the host is in reach: %s', async (template) => {
  const text = await textOf(template).catch((error: Error) => {
    expect(error).toMatchObject({ name: 'CriaError' })
    return ''
  })
  expect(text).not.toMatch(/function|process|native code|\[object/)
  await stillWorks()
})

test('an idle renderer does not keep a process alive', async () => {
  const { execFileSync } = await import('node:child_process')
  const { root } = await import('./support/built.js')
  const script = `
    const { TemplateRenderer } = await import(${JSON.stringify(new URL('dist/chat/template.js', root).href)})
    const job = { template: 'x', messages: [], vocab: { bos: '', eos: '', controlPieces: [] } }
    console.log((await new TemplateRenderer().render(job))[0].text)`
  const args = ['--input-type=module', '-e', script]
  expect(execFileSync(process.execPath, args, { timeout: 30_000 }).toString()).toBe('x\n')
})
