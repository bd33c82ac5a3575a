/** Every option: ranges, defaults, wrong types, misspellings, options of later versions. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CriaError } from '../../lib/errors.js'
import { checkEstimate, checkGenerate, checkLoad, checkSession } from '../../lib/options.js'
import { samplerNames } from '../../lib/sampling.js'

function refusal(check: () => unknown): CriaError {
  try {
    check()
  } catch (error) {
    if (error instanceof CriaError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

test('absent options take the documented defaults', () => {
  const { seed, ...defaults } = checkGenerate(undefined)
  expect(seed).toBeUndefined()
  expect(defaults).toEqual({
    maxTokens: 0,
    temperature: 0.8,
    topK: 40,
    topP: 0.95,
    minP: 0.05,
    typicalP: 1,
    repeatPenalty: 1,
    repeatWindow: 64,
    presencePenalty: 0,
    frequencyPenalty: 0,
    samplers: samplerNames,
    dynamicTemperatureRange: 0,
    dynamicTemperatureExponent: 1,
    topNSigma: 0,
    xtcProbability: 0,
    xtcThreshold: 0.1,
    dryMultiplier: 0,
    dryBase: 1.75,
    dryAllowedLength: 2,
    dryWindow: 0,
    dryBreakers: ['\n', ':', '"', '*'],
    mirostat: 0,
    mirostatTau: 5,
    mirostatEta: 0.1,
    logprobs: undefined,
    banned: [],
    stop: [],
    logitBias: new Map(),
    beams: 0,
    lengthPenalty: 1,
    speculation: 'auto',
    onOverflow: 'error',
    priority: 0,
    timeout: 0,
    cacheKey: '',
    tools: new Map(),
    toolChoice: 'auto',
    maxToolRounds: 8,
    signal: undefined
  })
  expect(checkGenerate({ temperature: undefined }).temperature).toBe(0.8)
  expect(checkGenerate(null)).toEqual(checkGenerate({}))
})

const numeric = [
  ['maxTokens', 1, 2 ** 31 - 1, true],
  ['temperature', 0, 100, false],
  ['topK', 0, 2 ** 31 - 1, true],
  ['topP', 1e-6, 1, false],
  ['minP', 0, 1, false],
  ['typicalP', 1e-6, 1, false],
  ['repeatPenalty', 0.01, 100, false],
  ['repeatWindow', 0, 2 ** 31 - 1, true],
  ['presencePenalty', -2, 2, false],
  ['frequencyPenalty', -2, 2, false],
  ['priority', -100, 100, true],
  ['timeout', 1, 2 ** 31 - 1, true]
] as const

describe.each(numeric)('%s', (name, min, max, whole) => {
  test('takes its bounds', () => {
    for (const value of [min, max]) {
      expect(checkGenerate({ [name]: value })).toMatchObject({ [name]: value })
    }
  })

  test('refuses what lies outside, NaN, infinities and other types, naming itself', () => {
    const outside = [min - (whole ? 1 : 1e-7), max + 1, Number.NaN, Infinity, -Infinity, 1e308]
    for (const value of [...outside, '1', true, null, [], {}, 1n, () => 1]) {
      const { code, message } = refusal(() => checkGenerate({ [name]: value }))
      expect(code).toBe('ERR_CRIA_BAD_ARGUMENT')
      expect(message).toContain(`${name} must be ${whole ? 'an integer' : 'a number'} from`)
    }
    if (whole) refusal(() => checkGenerate({ [name]: 1.5 }))
  })
})

test('any number at all is either in range and kept, or refused', () => {
  const names = numeric.map(([name]) => name)
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.double(), (name, value) => {
      try {
        expect(checkGenerate({ [name]: value })).toMatchObject({ [name]: value })
      } catch (error) {
        expect(error).toBeInstanceOf(CriaError)
      }
    }),
    { seed: 1 }
  )
})

test('the message says what was expected and what came', () => {
  expect(refusal(() => checkGenerate({ temperature: Number.NaN })).message).toBe(
    'generate options: temperature must be a number from 0 to 100, got NaN'
  )
  const long = 'x'.repeat(10_000)
  expect(refusal(() => checkGenerate({ topK: long })).message.length).toBeLessThan(200)
})

test.each([
  ['temprature', 'temperature'],
  ['max_tokens', 'maxTokens'],
  ['max_new_tokens', 'maxTokens'],
  ['top_k', 'topK'],
  ['topp', 'topP'],
  ['stops', 'stop'],
  ['repetitionPenalty', 'repeatPenalty'],
  ['sede', 'seed']
])('%s is refused and %s named', (wrong, right) => {
  const { code, message } = refusal(() => checkGenerate({ [wrong]: 1 }))
  expect(code).toBe('ERR_CRIA_BAD_ARGUMENT')
  expect(message).toContain(`did you mean ${right}?`)
})

test('a name like none of them gets the list', () => {
  expect(refusal(() => checkGenerate({ qqqqqqqq: 1 })).message).toContain('known: maxTokens,')
  refusal(() => checkGenerate(JSON.parse('{"__proto__": 1}')))
  refusal(() => checkGenerate({ constructor: 1 }))
})

test.each([[1], ['greedy'], [true], [[]], [() => ({})]])(
  'options that are no object: %s',
  (bad) => {
    expect(refusal(() => checkGenerate(bad)).message).toContain('expected an object')
  }
)

test('seed: numbers up to 2^53, bigints up to 2^64', () => {
  expect(checkGenerate({ seed: 7 }).seed).toBe(7n)
  expect(checkGenerate({ seed: 2n ** 64n - 1n }).seed).toBe(2n ** 64n - 1n)
  for (const seed of [-1, 0.5, 2 ** 53, 2n ** 64n, -1n, '7']) refusal(() => checkGenerate({ seed }))
})

test('stop: one text or several, none empty', () => {
  expect(checkGenerate({ stop: 'a' }).stop).toEqual(['a'])
  expect(checkGenerate({ stop: ['a', 'b'] }).stop).toEqual(['a', 'b'])
  for (const stop of ['', ['a', ''], [1], Array(65).fill('a'), 'x'.repeat(1025), {}]) {
    refusal(() => checkGenerate({ stop }))
  }
})

test('logitBias: ids as a record or a map; -Infinity bans', () => {
  expect(checkGenerate({ logitBias: { 5: -Infinity } }).logitBias).toEqual(
    new Map([[5, -Infinity]])
  )
  expect(checkGenerate({ logitBias: new Map([[1, 2]]) }).logitBias).toEqual(new Map([[1, 2]]))
  const bad = [
    { a: 1 },
    { 1: Infinity },
    { 1: Number.NaN },
    { '-1': 1 },
    { 1.5: 1 },
    { '': 1 },
    [1]
  ]
  for (const logitBias of bad) refusal(() => checkGenerate({ logitBias }))
})

test('onOverflow', () => {
  expect(checkGenerate({ onOverflow: 'shift' }).onOverflow).toBe('shift')
  for (const onOverflow of ['truncate', true, null]) refusal(() => checkGenerate({ onOverflow }))
})

test('cacheKey: a text that is not too long', () => {
  expect(checkGenerate({ cacheKey: 'tenant 1' }).cacheKey).toBe('tenant 1')
  for (const cacheKey of [1, null, 'x'.repeat(1025)]) refusal(() => checkGenerate({ cacheKey }))
})

test('signal: an AbortSignal, not its controller', () => {
  const { signal } = new AbortController()
  expect(checkGenerate({ signal }).signal).toBe(signal)
  expect(refusal(() => checkGenerate({ signal: new AbortController() })).message).toContain(
    'signal must be an AbortSignal'
  )
})

describe('load options', () => {
  test('devices by name, one at a time', () => {
    for (const devices of ['auto', 'cpu', 'cuda', 'cuda:0', 'cuda:12']) {
      expect(checkLoad({ devices }).devices).toBe(devices)
      expect(checkLoad({ devices: [devices] }).devices).toBe(devices)
    }
    expect(checkLoad({}).devices).toBe('cpu')
    for (const devices of [
      ['cpu', 'cpu'],
      ['cuda:0', 'cuda:1']
    ]) {
      expect(refusal(() => checkLoad({ devices })).code).toBe('ERR_CRIA_UNSUPPORTED')
    }
    for (const devices of ['gpu', 'cuda:', 'cuda:x', 'cuda:-1', 'Cuda', 'cuda:0000', [], 1, null]) {
      const { code, message } = refusal(() => checkLoad({ devices }))
      expect(code).toBe('ERR_CRIA_BAD_ARGUMENT')
      expect(message).toContain("'cuda:N'")
    }
  })

  test('sizes', () => {
    for (const name of ['threads', 'contextSize', 'batchSize', 'sequences']) {
      expect(checkLoad({ [name]: 1 })).toMatchObject({ [name]: 1 })
      for (const value of [0, -1, 1.5, Number.NaN, 2 ** 40, '4']) {
        refusal(() => checkLoad({ [name]: value }))
      }
    }
  })

  test('maxQueue: a number from 0 on; estimates have none', () => {
    expect(checkLoad({}).maxQueue).toBeUndefined()
    expect(checkLoad({ maxQueue: 0 }).maxQueue).toBe(0)
    for (const maxQueue of [-1, 0.5, '1', Infinity]) refusal(() => checkLoad({ maxQueue }))
    refusal(() => checkEstimate({ maxQueue: 1 }))
  })

  test('kvType', () => {
    expect(checkLoad({}).kvType).toBe('f16')
    expect(checkLoad({ kvType: 'q8_0' }).kvType).toBe('q8_0')
    expect(refusal(() => checkLoad({ kvType: 'f32' })).code).toBe('ERR_CRIA_BAD_ARGUMENT')
  })

  test('mapped', () => {
    expect(checkLoad({}).mapped).toBe(false)
    expect(checkLoad({ mapped: true }).mapped).toBe(true)
    refusal(() => checkLoad({ mapped: 1 }))
  })

  test('onProgress is a function; estimates take neither it nor a signal', () => {
    refusal(() => checkLoad({ onProgress: 1 }))
    refusal(() => checkEstimate({ onProgress: () => {} }))
    expect(checkEstimate({ contextSize: 64 }).contextSize).toBe(64)
  })
})

test('session options', () => {
  expect(checkSession(undefined)).toEqual({ system: undefined, messages: [], cacheKey: '' })
  expect(refusal(() => checkSession({ sytem: 'x' })).message).toContain('did you mean system?')
  refusal(() => checkSession({ system: 1 }))
  refusal(() => checkSession({ messages: 'x' }))
})
