/**
 * Messages that are none, through every type that comes along: truncated, absurd and spoilt CDR ends in an error with a code,
 * and allocates no more than the message could hold. MILLRACE_SEED repeats a run; MILLRACE_LONG makes it long.
 */
import assert from 'node:assert/strict'
import { Codec, stampOf, stampSteps } from '../../nodes/ros2/lib'
import { Definitions } from '../../nodes/ros2/lib/definitions'
import { EngineError } from '../../nodes/shared/errors'
import { Random } from './rtps'

const long = process.env.MILLRACE_LONG === '1'
const seed = Number(process.env.MILLRACE_SEED ?? 20_261_121)
const MUTATIONS = long ? 2000 : 40

type Definition = ReturnType<Definitions['resolve']>[number]

/** A message of a type with every list filled. */
function filled(definitions: readonly Definition[], name = '', depth = 0): Record<string, unknown> {
  const fields = definitions.find((one) => (one.name ?? '') === name || (name === '' && one === definitions[0]))
  const message: Record<string, unknown> = {}
  for (const field of fields?.definitions ?? []) {
    if (field.isConstant) continue
    const one = () => (field.isComplex ? filled(definitions, field.type, depth + 1) : sample(field.type))
    const count = field.arrayLength ?? Math.min(3, field.arrayUpperBound ?? 3)
    message[field.name] = field.isArray ? Array.from({ length: count }, one) : one()
  }
  return message
}

function sample(type: string): unknown {
  if (type === 'bool') return true
  if (type === 'string' || type === 'wstring') return 'text'
  if (type === 'time' || type === 'duration') return { sec: 1, nanosec: 2 }
  return type.endsWith('int64') ? 3n : 1
}

function spoil(cdr: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(cdr)
  for (let turn = 0; turn <= random.below(3); turn += 1) {
    const at = random.below(bytes.length)
    if (random.below(2) === 0) bytes[at] = random.pick([0, 1, 2, 6, 7, 0x7f, 0x80, 0xff, random.below(256)])
    else if (bytes.length >= 8)
      bytes.writeUInt32LE(random.pick([2 ** 31, 2 ** 32 - 1, 2 ** 24]), 4 * random.below(bytes.length >> 2))
  }
  return random.below(3) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes
}

/** How many values a message holds: no more than it has bytes, but for what takes none. */
function valuesIn(value: unknown): number {
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value)) return 1
  return Object.values(value).reduce<number>((sum, one) => sum + valuesIn(one), 1)
}

describe('ros2 codec under spoilt messages', function () {
  this.timeout(long ? 600_000 : 60_000)
  const definitions = new Definitions({})
  let failures = 0
  let decodes = 0

  for (const type of definitions.names()) {
    it(type, () => {
      const resolved = definitions.resolve(type)
      const random = new Random(seed)
      const steps = stampSteps(resolved)
      const codecs = [
        new Codec(type, resolved),
        new Codec(type, resolved, { int64: 'string', arrays: 'buffers' }),
      ] as const
      const whole = codecs[0].encode(filled(resolved))
      codecs[0].decode(whole)
      const most = 100 + 10 * valuesIn(codecs[0].decode(whole))
      const attempt = (cdr: Buffer, what: string) => {
        for (const codec of codecs) {
          decodes += 1
          try {
            const values = valuesIn(codec.decode(cdr))
            assert.ok(
              values <= most + 10 * cdr.length,
              `${values} values of ${cdr.length} bytes: ${what}, seed ${seed}`,
            )
          } catch (error) {
            if (error instanceof assert.AssertionError) throw error
            failures += 1
            assert.ok(error instanceof EngineError, `${error}: ${what}, seed ${seed}`)
            assert.equal(error.code, 'INVALID_INPUT')
          }
        }
        if (steps) assert.ok(['bigint', 'undefined'].includes(typeof stampOf(cdr, steps)))
      }
      // The last bytes may be missing where a message ends with filling.
      for (let cut = 0; cut < Math.min(whole.length, 400); cut += 1) attempt(whole.subarray(0, cut), `cut at ${cut}`)
      for (let turn = 0; turn < MUTATIONS; turn += 1) attempt(spoil(whole, random), `mutation ${turn}`)
    })
  }

  after(() => {
    console.log(`      ${decodes} decodes, ${failures} refused`)
    assert.ok(failures > 0)
  })
})
