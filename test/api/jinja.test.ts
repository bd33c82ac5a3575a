/** What chat templates of well-known families need, as Jinja in Python renders it. */
import { expect, test } from 'vitest'
import { ChatTemplate } from '../../lib/chat/jinja.js'

const render = (template: string, variables: Record<string, unknown> = {}) =>
  new ChatTemplate(template).render(variables).text

// Each expectation is what Python's Jinja 3.1 gives, with trim_blocks and lstrip_blocks.
test.each<[string, string, string, Record<string, unknown>?]>([
  [
    'an empty text is not false',
    "{{ x == false }} {{ '' != false }} {{ ' ' == 0 }}",
    'False True False',
    { x: '' }
  ],
  [
    'true is one, one is 1.0',
    '{{ true == 1 }} {{ 1 == 1.0 }} {{ none == false }}',
    'True True False'
  ],
  [
    'lists and dicts by what they hold',
    '{{ a == b }} {{ a[0] in b }} {{ {"x": 1} == {"x": 2} }}',
    'True True False',
    { a: [{ x: [1] }], b: [{ x: [1] }] }
  ],
  [
    'values as Python writes them',
    '{{ x }} {{ none }} {{ true }} {{ (1, "a") }} {{ 0.5 }}',
    `{'a': ["it's", 'b\\n', None, True], 'c': 2} None True (1, 'a') 0.5`,
    { x: { a: ["it's", 'b\n', null, true], c: 2 } }
  ],
  [
    'so do string and ~',
    '{{ x | string }}|{{ "a" ~ 1 ~ none ~ x }}',
    "['b']|a1None['b']",
    { x: ['b'] }
  ],
  ['an undefined text is empty', '[{{ no | trim }}{{ no | upper }}{{ no }}]', '[]'],
  [
    'an undefined list is empty',
    "{% for x in no %}x{% else %}none{% endfor %}{{ no | selectattr('a') | list | length }}",
    'none0'
  ],
  [
    'attributes that are absent are undefined',
    "{{ x | selectattr('a', 'undefined') | list | length }} {{ x | rejectattr('a', 'equalto', 1) | list | length }}",
    '1 1',
    { x: [{ a: 1 }, { b: { c: 1 } }] }
  ],
  [
    'what came before continue and break stays',
    '{% for x in [1, 2, 3] %}<{% if x == 2 %}{{ x }}{% continue %}{% endif %}{{ x }}>{% endfor %}|{% for x in [1, 2] %}{{ x }}{% break %}{% endfor %}',
    '<1><2<3>|1'
  ],
  [
    'tuples are taken apart',
    '{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }};{% endfor %}{% for k, v in x.items() %}{{ k }}{{ v }}{% endfor %}',
    '12;34;a1',
    { x: { a: 1 } }
  ],
  ['dict()', '{{ dict(a=1, b="c") | tojson }}', '{"a": 1, "b": "c"}'],
  [
    'tojson with an indent',
    '{{ x | tojson(indent=2) }}',
    '{\n  "a": [\n    "é<"\n  ]\n}',
    { x: { a: ['é<'] } }
  ],
  [
    'loops know where they are',
    '{% for x in "ab" %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}',
    '1TrueFalse2 2FalseTrue2 '
  ],
  [
    'a loop keeps what its filter lets through',
    '{% for x in [1, 2, 3] if x != 2 %}{{ loop.index }}{{ x }} {% endfor %}',
    '11 23 '
  ],
  ['slices', '{{ [1, 2, 3][1:] }}{{ "abc"[::-1] }}{{ [1, 2][-1] }}', '[2, 3]cba2'],
  [
    'a namespace outlives a loop, a variable does not',
    '{% set ns = namespace(a=0) %}{% set b = 0 %}{% for x in [1] %}{% set ns.a = 1 %}{% set b = 1 %}{% endfor %}{{ ns.a }}{{ b }}',
    '10'
  ],
  [
    'macros',
    '{% macro f(a, b="x") %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, b=2) }}',
    '1x12'
  ],
  ['line ends are one character', '{{ "a" }}\r\nb\rc\n', 'a\nb\nc'],
  ['blocks take their line end with them', '  {% if true %}\na\n  {% endif %}\nb', 'a\nb'],
  ['chains of operators', `{{ ${Array(40).fill("'a'").join(' + ')} }}`, 'a'.repeat(40)],
  ['the text of generation blocks', '{% generation %}a{% endgeneration %}', 'a']
])('%s', (_, template, expected, variables) => {
  expect(render(template, variables)).toBe(expected)
})

test.each([
  ["{{ 'a' + 1 }}", 'cannot add'],
  ["{{ 'a' + {} }}", 'cannot add'],
  ['{% for a, b in [1] %}{% endfor %}', 'has not 2 parts'],
  ['{% for a in 7 %}{% endfor %}', 'cannot be iterated'],
  ["{{ raise_exception('no') }}", 'no'],
  ['{{ range(10000000000) | length }}', 'range()']
])('%s is refused', (template, message) => {
  expect(() => render(template)).toThrow(message)
})

test('dates are in English', () => {
  const now = new Date()
  const day = String(now.getDate()).padStart(2, '0')
  const month = now.toLocaleString('en', { month: 'short' })
  expect(render("{{ strftime_now('%d %b %Y %%') }}")).toBe(`${day} ${month} ${now.getFullYear()} %`)
})

test('a template that takes letters for parts is found out', () => {
  const template = new ChatTemplate('{% for part in x %}{{ part.text }}{% endfor %}')
  expect(template.render({ x: 'hello' })).toEqual({ text: '', tookLetters: true })
  expect(template.render({ x: [{ text: 'a' }] })).toEqual({ text: 'a', tookLetters: false })
})
