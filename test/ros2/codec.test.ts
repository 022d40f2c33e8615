import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { ros2 } from '../../nodes'

const TYPE = 'my_msgs/msg/Mine'

function codecOf(text: string, options: ros2.DecodeOptions = {}, more: Record<string, string> = {}): ros2.Codec {
  const definitions = new ros2.Definitions({ messages: { [TYPE]: text, ...more }, folders: [] })
  return new ros2.Codec(TYPE, definitions.resolve(TYPE), options)
}

/** Behind the header of little-endian CDR. */
const cdr = (hex: string) => Buffer.from(`00010000${hex.replaceAll(' ', '')}`, 'hex')
const numbers = (...bytes: number[]) => Buffer.from(bytes)

interface Case {
  title: string
  text: string
  message: Record<string, unknown>
  /** What follows the header. */
  bytes: string
  /** Where it is not what went in. */
  decoded?: Record<string, unknown>
  options?: ros2.DecodeOptions
  more?: Record<string, string>
}

const one = (type: string, value: unknown, bytes: string, decoded = value): Case => ({
  title: `${type} ${inspect(value, { breakLength: Number.POSITIVE_INFINITY })}`,
  text: `${type} data`,
  message: { data: value },
  bytes,
  decoded: { data: decoded },
})

const cases: Case[] = [
  one('bool', true, '01'),
  one('bool', false, '00'),
  one('byte', 255, 'ff'),
  one('char', 65, '41'),
  one('int8', -128, '80'),
  one('int8', 127, '7f'),
  one('uint8', 255, 'ff'),
  one('int16', -32768, '0080'),
  one('uint16', 65535, 'ffff'),
  one('int32', -2147483648, '00000080'),
  one('uint32', 4294967295, 'ffffffff'),
  one('int64', -(2n ** 63n), '0000000000000080'),
  one('int64', 2n ** 63n - 1n, 'ffffffffffffff7f'),
  one('int64', 5, '0500000000000000', 5n),
  one('int64', '-5', 'fbffffffffffffff', -5n),
  one('uint64', 2n ** 64n - 1n, 'ffffffffffffffff'),
  one('int32', 5n, '05000000', 5),
  one('float32', 1.5, '0000c03f'),
  one('float64', -0.1, '9a9999999999b9bf'),
  one('float64', Number.POSITIVE_INFINITY, '000000000000f07f'),
  one('string', '', '01000000 00'),
  one('string', 'hé', '04000000 68c3a900'),
  one('wstring', 'h€', '02000000 68000000 ac200000'),
  one('string<=3', 'abc', '04000000 61626300'),
  one('builtin_interfaces/Time', { sec: -1, nanosec: 999999999 }, 'ffffffff ffc99a3b'),
  one('builtin_interfaces/Duration', { sec: 1 }, '01000000 00000000', { sec: 1, nanosec: 0 }),
  one('uint8[3]', numbers(1, 2, 3), '010203'),
  one('uint8[]', [1, 2], '02000000 0102', numbers(1, 2)),
  one('int8[]', [-1], '01000000 ff', numbers(255)),
  one('int16[]', [1, -1], '02000000 0100ffff'),
  one('int32[<=2]', [7], '01000000 07000000'),
  one('float64[]', [], '00000000'),
  one('float64[1]', [1], '000000000000f03f'),
  one('int64[]', [1, 2n], '02000000 00000000 0100000000000000 0200000000000000', [1n, 2n]),
  one('bool[]', [true, false], '02000000 0100'),
  one('string[]', ['a', 'b'], '02000000 02000000 6100 0000 02000000 6200'),
  {
    title: 'values lie at places of their own size',
    text: 'uint8 a\nfloat64 b\nuint8 c\nuint16 d\nuint8 e\nuint32 f',
    message: { a: 1, b: 1, c: 2, d: 3, e: 4, f: 5 },
    bytes: '01 00000000000000 000000000000f03f 02 00 0300 04 000000 05000000',
  },
  {
    title: 'constants are no fields',
    text: 'uint8 KIND=5\nuint8 kind',
    message: { kind: 5 },
    bytes: '05',
  },
  {
    title: 'defaults stand for what is missing',
    text: 'uint8 a 7\nstring b "x"\nfloat64 c\nbool d true\nint64 e\nuint8[2] f\nstring[] g',
    message: {},
    bytes:
      '07 000000 02000000 7800 000000000000 0000000000000000 01 00000000000000 0000000000000000 0000 0000 00000000',
    decoded: { a: 7, b: 'x', c: 0, d: true, e: 0n, f: numbers(0, 0), g: [] },
  },
  { title: 'a message without fields is one byte', text: 'uint8 KIND=5', message: {}, bytes: '00' },
  {
    title: 'messages in messages',
    text: 'Part part\nPart[] parts\nother_msgs/Name[1] names',
    more: { 'my_msgs/msg/Part': 'uint8 a\nuint16 b', 'other_msgs/msg/Name': 'string text' },
    message: { part: { a: 1, b: 2 }, parts: [{ a: 3, b: 4 }], names: [{ text: 'n' }] },
    bytes: '01 00 0200 01000000 03 00 0400 02000000 6e00',
  },
  {
    title: '64 bits as text',
    text: 'int64 a\nuint64[] b',
    options: { int64: 'string' },
    message: { a: -3n, b: [4n] },
    bytes: 'fdffffffffffffff 01000000 00000000 0400000000000000',
    decoded: { a: '-3', b: ['4'] },
  },
  {
    title: 'arrays of numbers as bytes',
    text: 'float32[] a\nint16[2] b\nstring[] c\nbool[] d',
    options: { arrays: 'buffers' },
    message: { a: [1], b: [1, 2], c: ['x'], d: [true] },
    bytes: '01000000 0000803f 01000200 01000000 02000000 7800 0000 01000000 01',
    decoded: { a: numbers(0, 0, 128, 63), b: numbers(1, 0, 2, 0), c: ['x'], d: [true] },
  },
]

describe('ros2 codec', () => {
  for (const { title, text, message, bytes, decoded = message, options, more } of cases) {
    it(`writes and reads ${title}`, () => {
      const codec = codecOf(text, options, more)
      const written = codec.encode(message)
      assert.equal(written.toString('hex'), cdr(bytes).toString('hex'))
      assert.deepEqual(codec.decode(written), decoded)
      assert.deepEqual(codec.encode(codec.decode(written)), written, 'what was read can be written')
    })
  }

  it('a stamp may be left to the clock', () => {
    const codec = codecOf('std_msgs/Header header')
    const before = Math.floor(Date.now() / 1000) - 1
    const { header } = codec.decode(codec.encode({ header: { stamp: 'auto' } })) as {
      header: { stamp: { sec: number; nanosec: number } }
    }
    assert.ok(header.stamp.sec >= before && header.stamp.nanosec < 1e9)
  })

  it('typed arrays are written as they are', () => {
    const codec = codecOf('float32[] a\nuint16[] b')
    const message = { a: new Float32Array([1, 2]), b: new Uint16Array([3]) }
    assert.deepEqual(codec.decode(codec.encode(message)), { a: [1, 2], b: [3] })
  })

  it('bytes are views of the message', () => {
    const codec = codecOf('uint8[] data')
    const written = codec.encode({ data: [1, 2, 3] })
    const { data } = codec.decode(written) as { data: Buffer }
    assert.equal(data.buffer, written.buffer)
  })

  it('reads big-endian messages', () => {
    const text = 'uint8 a\nint16 b\nuint32 c\nint64 d\nfloat64 e\nstring f\nint16[] g\nbuiltin_interfaces/Time h'
    const hex =
      '00000000' +
      '01 00 fffe 00000003 0000000000000004 3ff0000000000000 00000002 7800 0000 00000002 0005 0006 00000007 00000008'
    const big = Buffer.from(hex.replaceAll(' ', ''), 'hex')
    const message = { a: 1, b: -2, c: 3, d: 4n, e: 1, f: 'x', g: [5, 6], h: { sec: 7, nanosec: 8 } }
    assert.deepEqual(codecOf(text).decode(big), message)
    const { g } = codecOf(text, { arrays: 'buffers' }).decode(big)
    assert.deepEqual(g, numbers(5, 0, 6, 0), 'bytes leave little-endian')
  })

  const wrong: [string, string, unknown, RegExp][] = [
    ['a field too many', 'uint8 a', { b: 1 }, /\bb\b/],
    ['a field too many, deep inside', 'geometry_msgs/Point[] a', { a: [{}, { w: 1 }] }, /a\[1\]\.w/],
    ['a text for a number', 'uint8 a', { a: '1' }, /\ba\b/],
    ['a number too large', 'uint8 a', { a: 256 }, /\ba\b/],
    ['a number too small', 'int16 a', { a: -32769 }, /\ba\b/],
    ['a negative number', 'uint32 a', { a: -1 }, /\ba\b/],
    ['half a number', 'int32 a', { a: 0.5 }, /\ba\b/],
    ['no number', 'int32 a', { a: Number.NaN }, /\ba\b/],
    ['a number beyond what doubles hold', 'int64 a', { a: 2 ** 53 }, /\ba\b/],
    ['a bigint too large', 'int64 a', { a: 2n ** 63n }, /\ba\b/],
    ['a negative bigint', 'uint64 a', { a: -1n }, /\ba\b/],
    ['a text that is no number', 'int64 a', { a: 'x' }, /\ba\b/],
    ['a text for a float', 'float64 a', { a: '1' }, /\ba\b/],
    ['a number beyond what floats hold', 'float32[] a', { a: [1, -1e39] }, /a\[1\]/],
    ['a number for a bool', 'bool a', { a: 1 }, /\ba\b/],
    ['a number for a text', 'string a', { a: 1 }, /\ba\b/],
    ['a text too long', 'string<=2 a', { a: 'abc' }, /\ba\b/],
    ['a number for a message', 'geometry_msgs/Point a', { a: 1 }, /\ba\b/],
    ['a list for a message', 'geometry_msgs/Point a', { a: [] }, /\ba\b/],
    ['a wrong value deep inside', 'geometry_msgs/Pose[] a', { a: [{ position: { x: 'x' } }] }, /a\[0\]\.position\.x/],
    ['a text for a list', 'int32[] a', { a: 'x' }, /\ba\b/],
    ['a wrong value in a list', 'int32[] a', { a: [1, 'x'] }, /a\[1\]/],
    ['too few of a fixed number', 'int32[2] a', { a: [1] }, /\ba\b/],
    ['too many of a bounded number', 'int32[<=2] a', { a: [1, 2, 3] }, /\ba\b/],
    ['too many bytes of a fixed number', 'uint8[2] a', { a: numbers(1, 2, 3) }, /\ba\b/],
    ['bytes that are no whole numbers', 'int32[] a', { a: numbers(1, 2, 3) }, /\ba\b/],
    ['half a time', 'builtin_interfaces/Time a', { a: { sec: 0.5 } }, /\ba\b/],
    ['a time with more', 'builtin_interfaces/Time a', { a: { sec: 1, ns: 1 } }, /\ba\b/],
    ['a duration left to the clock', 'builtin_interfaces/Duration a', { a: 'auto' }, /\ba\b/],
    ['a number for the whole', 'uint8 a', 5, /5/],
    ['a list for the whole', 'uint8 a', [], /\[\]/],
  ]
  for (const [title, text, message, path] of wrong) {
    it(`refuses ${title}, and names it`, () => {
      const codec = codecOf(text)
      assert.throws(() => codec.encode(message), { code: 'INVALID_INPUT', message: path })
    })
  }

  it('a message that ends too early is refused at every length', () => {
    const text = 'uint8 a\nstring b\nint64[] c\nstring[] d\nPart[2] e\nbuiltin_interfaces/Time f\nwstring g\nuint8[] h'
    const codec = codecOf(text, {}, { 'my_msgs/msg/Part': 'float64 x' })
    const message = { a: 1, b: 'text', c: [1n, 2n], d: ['x', 'y'], e: [{ x: 1 }, {}], f: {}, g: 'w', h: [1, 2] }
    const whole = codec.encode(message)
    codec.decode(whole)
    for (let length = 0; length < whole.length; length += 1) {
      assert.throws(() => codec.decode(whole.subarray(0, length)), { code: 'INVALID_INPUT' }, `${length} bytes`)
    }
  })

  for (const type of ['uint8[]', 'int64[]', 'string', 'wstring', 'string[]', 'geometry_msgs/Point[]', 'bool[]']) {
    it(`an absurd length costs nothing: ${type}`, () => {
      const codec = codecOf(`${type} a`)
      const absurd = cdr('ffffffff 0000000000000000')
      for (const options of [{}, { arrays: 'buffers' } as const]) {
        assert.throws(() => codecOf(`${type} a`, options).decode(absurd), { code: 'INVALID_INPUT' })
      }
      assert.throws(() => codec.decode(absurd), { code: 'INVALID_INPUT' })
    })
  }

  for (const distribution of ['jazzy', 'humble'] as const) {
    const definitions = new ros2.Definitions({ distribution, folders: [] })
    it(`every standard type of ${distribution} is written and read`, () => {
      const names = definitions.names()
      assert.ok(names.length > 100)
      for (const name of names) {
        for (const options of [{}, { int64: 'string', arrays: 'buffers' } as const]) {
          const codec = new ros2.Codec(name, definitions.resolve(name), options)
          const written = codec.encode({})
          assert.deepEqual(codec.encode(codec.decode(written)), written, name)
        }
      }
    })
  }
})
