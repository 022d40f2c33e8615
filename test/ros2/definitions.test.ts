import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ros2 } from '../../nodes'

const TYPE = 'my_msgs/msg/Speed'

/** Names and kinds of the fields of a message. */
function fields(definitions: ros2.Definitions, type = TYPE): string[] {
  return definitions.resolve(type)[0]?.definitions.map((field) => `${field.type} ${field.name}`) ?? []
}

describe('ros2 definitions', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-msgs-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  function file(path: string, text: string): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }

  it('the standard messages are known, by both forms of their names', () => {
    const definitions = new ros2.Definitions({ folders: [] })
    assert.deepEqual(fields(definitions, 'std_msgs/msg/String'), ['string data'])
    assert.deepEqual(fields(definitions, 'std_msgs/String'), ['string data'])
    assert.ok(definitions.names().includes('sensor_msgs/msg/Image'))
  })

  it('a text of its own goes before the standard one, and is among the names', () => {
    const definitions = new ros2.Definitions({
      messages: { 'std_msgs/msg/String': 'uint8 x', [TYPE]: '' },
      folders: [],
    })
    assert.deepEqual(fields(definitions, 'std_msgs/msg/String'), ['uint8 x'])
    assert.ok(definitions.names().includes(TYPE))
    assert.equal(definitions.names().filter((name) => name === 'std_msgs/msg/String').length, 1)
  })

  it('Header is that of std_msgs, and a name alone is of the same package', () => {
    const definitions = new ros2.Definitions({
      messages: { [TYPE]: 'Header header\nLevel level', 'my_msgs/msg/Level': 'uint8 of' },
      folders: [],
    })
    assert.deepEqual(fields(definitions), ['std_msgs/Header header', 'my_msgs/Level level'])
    const names = definitions.resolve(TYPE).map(({ name }) => name)
    assert.deepEqual(names, [undefined, 'std_msgs/Header', 'my_msgs/Level'])
  })

  for (const path of ['my_msgs/msg/Speed.msg', 'share/my_msgs/msg/Speed.msg', 'Speed.msg']) {
    it(`is found in a folder: ${path}`, () => {
      file(`${path}-in/${path}`, 'float64 value')
      const definitions = new ros2.Definitions({ folders: [join(folder, 'none'), join(folder, `${path}-in`)] })
      assert.deepEqual(fields(definitions), ['float64 value'])
    })
  }

  it('without folders those of a sourced ROS 2 are searched', () => {
    file('ros/share/my_msgs/msg/Speed.msg', 'int8 sourced')
    const before = process.env.AMENT_PREFIX_PATH
    process.env.AMENT_PREFIX_PATH = `${join(folder, 'nowhere')}:${join(folder, 'ros')}`
    try {
      assert.deepEqual(fields(new ros2.Definitions()), ['int8 sourced'])
    } finally {
      if (before === undefined) delete process.env.AMENT_PREFIX_PATH
      else process.env.AMENT_PREFIX_PATH = before
    }
  })

  const bad: [string, Record<string, string>, string, string, RegExp][] = [
    ['a type that is not there', {}, 'my_msgs/msg/None', 'UNKNOWN_TYPE', /my_msgs\/None/],
    ['a part that is not there', { [TYPE]: 'None none' }, TYPE, 'UNKNOWN_TYPE', /my_msgs\/None.*my_msgs\/Speed/],
    ['a name that is none', {}, 'String', 'INVALID_OPTION', /'String'/],
    ['a path that leads elsewhere', {}, '../msg/passwd', 'INVALID_OPTION', /passwd/],
    [
      'a type that contains itself',
      { [TYPE]: 'Part part', 'my_msgs/Part': 'Speed[] more' },
      TYPE,
      'INVALID_OPTION',
      /my_msgs\/Speed/,
    ],
    ['a text that is none', { [TYPE]: '%%' }, TYPE, 'INVALID_OPTION', /my_msgs\/Speed/],
  ]
  for (const [title, messages, type, code, message] of bad) {
    it(`refuses ${title}, and names it`, () => {
      const definitions = new ros2.Definitions({ messages, folders: [] })
      assert.throws(() => definitions.resolve(type), { code, message })
    })
  }
})
