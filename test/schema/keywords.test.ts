/** Every keyword: what its grammar takes, and what it does not; what is refused, and where. */
import { describe, expect, test } from 'vitest'
import { compileSchema } from '../../lib/schema/compile.js'
import { formatNames } from '../../lib/schema/formats.js'
import { Gbnf } from '../support/gbnf.js'
import { isValid } from './reference.js'

const grammar = (schema: unknown, open = true) => new Gbnf(compileSchema(schema, { open }).gbnf)

/** [schema, texts that it takes, texts that it does not]. */
const tables: Record<string, [unknown, string[], string[]][]> = {
  types: [
    [{ type: 'null' }, ['null'], ['0', '""', 'nul', ' null', 'null ']],
    [{ type: 'boolean' }, ['true', 'false'], ['1', '"true"']],
    [
      { type: 'integer' },
      ['0', '-1', '9007199254740991'],
      ['1.5', '01', '-0', '+1', '9007199254740992']
    ],
    [
      { type: 'number' },
      ['0', '-1.5', '1e5', '6.02e+23', '1E-7', '9.9e307'],
      ['1.', '.5', '1e308', '00']
    ],
    [
      { type: 'string' },
      ['""', '"é😀"', '"\\n\\u00e9\\ud83d\\ude00"'],
      ['"\n"', '"\\x"', '"\\ud83d"', '"', '"a"b']
    ],
    [{ type: ['string', 'null'] }, ['"x"', 'null'], ['1']],
    [{}, ['{"a": [1, "x", {}]}', '[]', 'null'], ['{"a":1,}', '[1 ,2]', '{ }', '']],
    [true, ['1'], ['']]
  ],
  'const and enum': [
    [
      { const: { a: [1, null], b: 'x' } },
      ['{"a":[1,null],"b":"x"}', '{"a": [1, null], "b": "x"}'],
      ['{"b":"x","a":[1,null]}', '{"a":[1]}']
    ],
    [{ enum: ['a', 'ab', 1, 12, null] }, ['"a"', '"ab"', '1', '12', 'null'], ['"b"', '2', '"abc"']],
    [{ enum: [1, 'x', 2.5, {}], type: 'number' }, ['1', '2.5'], ['"x"', '{}']],
    [{ enum: ['a', 'b', 'c'], not: { const: 'b' } }, ['"a"', '"c"'], ['"b"']],
    [{ enum: ['😀', '😁', '"', '\u2028'] }, ['"😀"', '"😁"', '"\\""', '"\u2028"'], ['"😂"']]
  ],
  integers: [
    [
      { type: 'integer', minimum: -12, maximum: 120 },
      ['-12', '-1', '0', '9', '99', '120'],
      ['-13', '121', '-99', '1000']
    ],
    [{ type: 'integer', exclusiveMinimum: 0, exclusiveMaximum: 10 }, ['1', '9'], ['0', '10']],
    [{ type: 'integer', minimum: 0.5 }, ['1', '123456789012345'], ['0', '-1']],
    [{ type: 'integer', multipleOf: 100, minimum: 50 }, ['100', '1200'], ['0', '50', '150']],
    [
      { type: 'integer', multipleOf: 10, minimum: -25, maximum: 25 },
      ['-20', '-10', '0', '10', '20'],
      ['-30', '5', '30', '-0']
    ],
    [{ type: 'number', multipleOf: 1 }, ['3'], ['3.5']]
  ],
  numbers: [
    [
      { type: 'number', minimum: 0.25, maximum: 1.5 },
      ['0.25', '0.250', '0.3', '1', '1.5', '1.50'],
      ['0.2', '0', '1.51', '1.500001', '-1']
    ],
    [
      { type: 'number', exclusiveMinimum: 0 },
      ['0.001', '5', '123456.5'],
      ['0', '0.0', '0.000', '-1']
    ],
    [{ type: 'number', exclusiveMaximum: 100 }, ['99.99', '-5', '0'], ['100', '100.0', '101']],
    [
      { type: 'number', minimum: -1.5, maximum: -0.5 },
      ['-1.5', '-1', '-0.5', '-0.75'],
      ['0', '-0.4', '-1.6', '1']
    ],
    [{ type: 'number', multipleOf: 0.01, minimum: 0 }, ['0', '1.5', '19.99'], ['1.001', '-1']],
    [{ minimum: 3 }, ['3', '"x"', 'null'], ['2']]
  ],
  strings: [
    [
      { type: 'string', minLength: 2, maxLength: 3 },
      ['"ab"', '"a\\n"', '"😀😀"', '"\\ud83d\\ude00\\u0041"'],
      ['"a"', '"abcd"', '"😀"']
    ],
    [
      { type: 'string', maxLength: 1000 },
      [`"${'x'.repeat(1000)}"`, '""'],
      [`"${'x'.repeat(1001)}"`]
    ],
    [{ type: 'string', minLength: 700 }, [`"${'x'.repeat(700)}"`], [`"${'x'.repeat(699)}"`]],
    [{ type: 'string', pattern: '^[a-c]+$' }, ['"abc"'], ['""', '"d"', '"\\u0061"']],
    [{ type: 'string', pattern: 'b' }, ['"b"', '"abc"'], ['"ac"']],
    [{ type: 'string', pattern: '^a|b$' }, ['"ax"', '"xb"'], ['"xa"']],
    [{ type: 'string', pattern: '^(a*)*$' }, ['""', '"aaa"'], ['"b"']],
    [{ type: 'string', pattern: '^(?:a?b?){2,}$' }, ['""', '"abab"', '"bbb"'], ['"c"']],
    [
      { type: 'string', pattern: '^["\\\\\\n]$' },
      ['"\\""', '"\\\\"', '"\\n"'],
      ['"n"', '"\\u000a"']
    ],
    [
      { type: 'string', pattern: '^[a-z]*$', maxLength: 2, minLength: 1 },
      ['"ab"'],
      ['""', '"abc"']
    ],
    [{ type: 'string', pattern: '^(?!ab)[a-z]+$' }, ['"a"', '"ba"', '"aab"'], ['"abc"', '"ab"']],
    [
      { allOf: [{ type: 'string', pattern: '^a' }, { pattern: 'z$' }], minLength: 3 },
      ['"abz"'],
      ['"az"', '"abc"']
    ],
    [{ type: 'string', pattern: '^\\d{3}-\\w\\s$' }, ['"123-a "', '"123-_\u00a0"'], ['"12-a "']]
  ],
  arrays: [
    [
      { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 3 },
      ['[1]', '[1,2, 3]'],
      ['[]', '[1,2,3,4]', '["a"]', '[1,]']
    ],
    [
      { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }], items: false },
      ['[]', '["a"]', '["a",1]'],
      ['[1]', '["a",1,2]']
    ],
    [
      {
        type: 'array',
        prefixItems: [{ const: 1 }, { const: 2 }],
        items: { const: 3 },
        minItems: 3
      },
      ['[1,2,3]', '[1,2,3,3]'],
      ['[1,2]', '[1,3,3]']
    ],
    [
      { type: 'array', prefixItems: [{ const: 1 }, { const: 2 }], maxItems: 1 },
      ['[]', '[1]'],
      ['[1,2]']
    ],
    [
      { items: [{ const: 1 }], additionalItems: { const: 2 } },
      ['[]', '[1]', '[1,2,2]', '5'],
      ['[2]', '[1,1]']
    ],
    [
      { type: 'array', contains: { const: 1 }, items: { type: 'integer' } },
      ['[1]', '[2,1,3]'],
      ['[]', '[2]', '["a",1]']
    ],
    [
      { type: 'array', contains: { const: 1 }, minContains: 2 },
      ['[1,1]', '[0,1,0,1]'],
      ['[1]', '[1,0]']
    ],
    [{ type: 'array', items: { type: 'null' }, maxItems: 0 }, ['[]'], ['[null]']],
    [
      { type: 'array', items: { const: 0 }, minItems: 300, maxItems: 700 },
      [`[${Array(300).fill(0)}]`, `[${Array(700).fill(0)}]`],
      [`[${Array(299).fill(0)}]`, `[${Array(701).fill(0)}]`]
    ]
  ],
  objects: [
    [
      {
        type: 'object',
        properties: { a: { type: 'integer' }, b: { type: 'string' } },
        required: ['b'],
        additionalProperties: false
      },
      ['{"b":"x"}', '{"a":1,"b":"x"}', '{"a": 1, "b": "x"}'],
      ['{}', '{"a":1}', '{"b":"x","a":1}', '{"b":"x","c":1}', '{"b":"x","b":"y"}']
    ],
    [
      { type: 'object', additionalProperties: { type: 'integer' } },
      ['{}', '{"x":1,"y":2}'],
      ['{"x":"a"}']
    ],
    [
      {
        type: 'object',
        properties: { ab: { type: 'integer' } },
        additionalProperties: { type: 'string' }
      },
      ['{"ab":1}', '{"ab":1,"a":"x","abc":"x"}', '{"b":"x"}'],
      ['{"ab":"x"}', '{"\\u0061b":"x"}', '{"a\\u0062":"x"}']
    ],
    [{ type: 'object', required: ['x'] }, ['{"x":1}', '{"x":1,"y":2}'], ['{}', '{"y":1}']],
    [{ type: 'object', properties: { a: false, b: true } }, ['{}', '{"b":1}'], ['{"a":1}']],
    [
      {
        type: 'object',
        patternProperties: { '^x': { type: 'integer' } },
        additionalProperties: false
      },
      ['{}', '{"x":1,"xy":2}'],
      ['{"x":"a"}', '{"y":1}']
    ],
    [
      {
        type: 'object',
        properties: { xa: { minimum: 5 } },
        patternProperties: { '^x': { type: 'integer' }, a$: { maximum: 9 } }
      },
      ['{"xa":7}', '{"xb":99}', '{"b":"x"}'],
      ['{"xa":3}', '{"xa":10}', '{"xb":"a"}']
    ],
    [{ type: 'object', propertyNames: { maxLength: 2 } }, ['{"ab":1}'], ['{"abc":1}']],
    [
      {
        type: 'object',
        propertyNames: { enum: ['a', 'b'] },
        additionalProperties: { type: 'integer' }
      },
      ['{"a":1}', '{"b":1,"a":2}'],
      ['{"c":1}', '{"a":""}']
    ],
    [
      {
        type: 'object',
        properties: { a: true, b: true, c: true },
        minProperties: 1,
        maxProperties: 2,
        additionalProperties: false
      },
      ['{"a":1}', '{"b":1,"c":2}', '{"a":1,"c":1}'],
      ['{}', '{"a":1,"b":1,"c":1}']
    ],
    [
      { type: 'object', minProperties: 1, maxProperties: 2 },
      ['{"x":1}', '{"x":1,"y":2}'],
      ['{}', '{"x":1,"y":2,"z":3}']
    ],
    [
      { type: 'object', properties: { a: true }, required: ['a'], minProperties: 2 },
      ['{"a":1,"b":2}'],
      ['{"a":1}']
    ],
    [
      JSON.parse(
        '{"type":"object","properties":{"__proto__":{"type":"integer"}},"required":["__proto__"]}'
      ),
      ['{"__proto__":1}'],
      ['{"__proto__":"a"}', '{}']
    ]
  ],
  combinations: [
    [
      { anyOf: [{ type: 'integer' }, { type: 'string', maxLength: 1 }] },
      ['1', '"a"'],
      ['"ab"', 'null']
    ],
    [
      {
        oneOf: [
          { type: 'integer', maximum: 3 },
          { type: 'integer', minimum: 4 }
        ]
      },
      ['3', '4'],
      ['"a"']
    ],
    [
      {
        oneOf: [
          {
            type: 'object',
            required: ['t'],
            properties: { t: { const: 'a' }, v: { type: 'integer' } }
          },
          {
            type: 'object',
            required: ['t'],
            properties: { t: { const: 'b' }, w: { type: 'string' } }
          }
        ]
      },
      ['{"t":"a","v":1}', '{"t":"b","w":"x"}'],
      ['{"t":"c"}', '{"t":"a","v":"x"}']
    ],
    [
      {
        oneOf: [
          { type: 'string', pattern: '^a' },
          { type: 'string', pattern: '^b' }
        ]
      },
      ['"ax"', '"b"'],
      ['"c"']
    ],
    [
      {
        allOf: [
          { properties: { a: { minimum: 2 } } },
          { properties: { a: { maximum: 5 } }, required: ['a'] }
        ]
      },
      ['{"a":3}', '5'],
      ['{"a":1}', '{"a":6}', '{}']
    ],
    [
      {
        allOf: [{ properties: { a: {} }, additionalProperties: false }, { properties: { b: {} } }]
      },
      ['{}', '{"a":1}'],
      ['{"b":1}']
    ],
    [{ not: { type: ['object', 'array'] } }, ['1', '"a"'], ['{}', '[]']],
    [
      { type: 'object', properties: { a: {}, b: {} }, not: { required: ['b'] } },
      ['{}', '{"a":1}'],
      ['{"b":1}']
    ],
    [{ type: 'string', not: { type: 'string', pattern: 'x' } }, ['"a"'], ['"axb"']],
    [
      {
        type: 'object',
        properties: { a: {}, b: {} },
        anyOf: [{ required: ['a'] }, { required: ['b'] }]
      },
      ['{"a":1}', '{"b":1}', '{"a":1,"b":2}'],
      ['{}']
    ]
  ],
  'trees of branches': [
    [
      {
        oneOf: [
          {
            type: 'object',
            properties: { child: { $ref: '#' }, k: { const: 1 } },
            required: ['child', 'k'],
            additionalProperties: false
          },
          {
            type: 'object',
            properties: { k: { enum: [2, 3] } },
            required: ['k'],
            additionalProperties: false
          }
        ]
      },
      ['{"k":2}', '{"child":{"child":{"k":3},"k":1},"k":1}'],
      ['{"k":1}', '{"child":{"k":4},"k":1}']
    ],
    [
      { anyOf: [{ type: 'null' }, { type: 'array', items: { $ref: '#' }, minItems: 1 }] },
      ['null', '[[null],null]'],
      ['[]']
    ]
  ],
  references: [
    [{ $defs: { n: { type: 'integer' } }, items: { $ref: '#/$defs/n' } }, ['[1,2]'], ['["a"]']],
    [
      {
        type: 'object',
        properties: { v: { type: 'integer' }, next: { $ref: '#' } },
        required: ['v'],
        additionalProperties: false
      },
      ['{"v":1,"next":{"v":2}}'],
      ['{"v":1,"next":{}}']
    ],
    [
      { $ref: '#tree', $defs: { t: { $anchor: 'tree', type: 'array', items: { $ref: '#tree' } } } },
      ['[]', '[[],[[]]]'],
      ['[1]']
    ],
    [
      { $ref: '#/definitions/a~1b', definitions: { 'a/b': { const: 1 } }, minimum: 0 },
      ['1'],
      ['2']
    ],
    [
      {
        $id: 'https://example.com/x',
        $ref: 'https://example.com/x#/$defs/a',
        $defs: { a: { type: 'null' } }
      },
      ['null'],
      ['1']
    ]
  ]
}

describe.each(Object.entries(tables))('%s', (_, rows) => {
  test.each(rows)('%j', (schema, taken, refused) => {
    const rules = grammar(schema)
    expect(taken.filter((text) => !rules.accepts(text))).toEqual([])
    expect(refused.filter((text) => rules.accepts(text))).toEqual([])
    for (const text of taken) expect(isValid(schema, JSON.parse(text)), text).toBe(true)
  })
})

describe('formats', () => {
  test.each(formatNames)('%s compiles, and what it draws is of its length', (format) => {
    const rules = grammar({ type: 'string', format })
    let state = 7
    const random = () => {
      state = (state * 48271) % 2147483647
      return state / 2147483647
    }
    for (let i = 0; i < 20; i++) {
      const value: unknown = JSON.parse(rules.draw(random))
      if (format === 'date' && typeof value === 'string') {
        expect(new Date(`${value}T00:00:00Z`).toISOString().slice(0, 10)).toBe(value)
      }
      if (format === 'uri') expect(value).toMatch(/^[A-Za-z][A-Za-z0-9+.-]*:/)
    }
  })

  test.each([
    ['date', ['2024-02-29', '1999-12-31'], ['2023-02-29', '2024-13-01', '24-01-01']],
    ['time', ['23:59:59Z', '00:00:00.5+01:30'], ['24:00:00Z', '12:00:00']],
    ['date-time', ['2024-02-29T12:00:00Z'], ['2024-02-29 12:00:00Z', '2024-02-30T12:00:00Z']],
    ['uuid', ['2eb8aa08-aa98-11ea-b4aa-73b441d16380'], ['2eb8aa08aa9811eab4aa73b441d16380']],
    ['ipv4', ['127.0.0.1', '255.255.255.255'], ['256.1.1.1', '1.2.3', '01.2.3.4']],
    [
      'ipv6',
      ['::', '::1', '1:2:3:4:5:6:7:8', '1::8', '::ffff:1.2.3.4'],
      ['1::2::3', '1:2:3:4:5:6:7', '12345::']
    ],
    ['email', ['a.b+c@example.com'], ['a@', '@b', 'a..b@c.de', 'a b@c.de']],
    ['hostname', ['example.com', 'a-b.c'], ['-a.com', 'a_b', '']],
    ['uri', ['https://example.com/a?b=c#d', 'mailto:a@b.c'], ['//x', 'a b:c', 'https://a b']]
  ])('%s', (format, valid, wrong) => {
    const rules = grammar({ type: 'string', format })
    expect(valid.filter((text) => !rules.accepts(JSON.stringify(text)))).toEqual([])
    expect(wrong.filter((text) => rules.accepts(JSON.stringify(text)))).toEqual([])
  })
})

test('an object that names properties and says nothing of others has none, where models write it', () => {
  const schema = { type: 'object', properties: { a: { type: 'integer' } } }
  expect(grammar(schema, false).accepts('{"a":1}')).toBe(true)
  expect(grammar(schema, false).accepts('{"b":1}')).toBe(false)
  expect(grammar(schema, true).accepts('{"b":1}')).toBe(true)
  const said = { ...schema, additionalProperties: true }
  expect(grammar(said, false).accepts('{"b":1}')).toBe(true)
  expect(grammar({ type: 'object' }, false).accepts('{"b":1}')).toBe(true)
})
