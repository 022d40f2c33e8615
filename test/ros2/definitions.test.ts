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

  it('what folders have is offered, once', async () => {
    for (const path of ['ros/a_msgs/msg/One.msg', 'prefix/share/a_msgs/msg/One.msg', 'ros/a_msgs/msg/Two.msg']) {
      file(path, 'uint8 a')
    }
    file('ros/a_msgs/srv/Ask.srv', '---')
    for (const path of ['ros/a_msgs/msg/One.idl', 'ros/a_msgs/msg/no-name.msg', 'ros/Bare.msg']) file(path, '')
    const folders = ['none', 'ros', 'prefix'].map((one) => join(folder, one))
    const { types, serviceTypes } = await new ros2.Definitions({ folders }).offered()
    const own = (names: string[]) => names.filter((name) => /a_msgs|Bare|no-name/.test(name))
    assert.deepEqual(own(types), ['a_msgs/msg/One', 'a_msgs/msg/Two'])
    assert.deepEqual(own(serviceTypes), ['a_msgs/srv/Ask'])
    assert.ok(types.includes('std_msgs/msg/String') && serviceTypes.includes('std_srvs/srv/Empty'))
  })

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

  const halves = (definitions: ros2.Definitions, type: string) => {
    const { request, response } = definitions.resolveService(type)
    return [request, response].map((half) => half[0]?.definitions.map((field) => `${field.type} ${field.name}`))
  }

  it('services are known, by both forms of their names, from texts and from folders', () => {
    file('my_msgs/srv/Stop.srv', 'Speed limit # how fast\n --- \nbool done')
    file('my_msgs/msg/Speed.msg', 'float64 value')
    const messages = { 'std_srvs/srv/Trigger': '---\nuint8 own', 'a/msg/Stop': 'bool other', 'a/srv/Stop': '---' }
    const definitions = new ros2.Definitions({ folders: [folder], messages })
    assert.deepEqual(halves(definitions, 'std_srvs/srv/SetBool'), [['bool data'], ['bool success', 'string message']])
    assert.deepEqual(halves(definitions, 'std_srvs/SetBool'), halves(definitions, 'std_srvs/srv/SetBool'))
    assert.deepEqual(halves(definitions, 'std_srvs/srv/Trigger'), [[], ['uint8 own']])
    assert.deepEqual(halves(definitions, 'my_msgs/srv/Stop'), [['my_msgs/Speed limit'], ['bool done']])
    assert.deepEqual(halves(definitions, 'a/srv/Stop'), [[], []])
    assert.deepEqual(fields(definitions, 'a/msg/Stop'), ['bool other'])
    const names = definitions.serviceNames()
    assert.ok(names.includes('a/srv/Stop') && names.includes('std_srvs/srv/Empty') && !names.includes('a/msg/Stop'))
    assert.ok(!definitions.names().includes('a/msg/Stop_Request'))
  })

  it('all services that come along can be read', () => {
    const definitions = new ros2.Definitions({ folders: [] })
    for (const name of definitions.serviceNames()) assert.equal(halves(definitions, name).length, 2, name)
  })

  it('a service without a definition, or with half of one, is an error', () => {
    const definitions = new ros2.Definitions({ folders: [], messages: { 'a/srv/Half': 'bool x' } })
    assert.throws(() => definitions.resolveService('a/srv/B'), { code: 'UNKNOWN_TYPE' })
    assert.throws(() => definitions.resolveService('a/srv/Half'), { code: 'INVALID_OPTION' })
    assert.throws(() => definitions.resolveService('B'), { code: 'INVALID_OPTION' })
  })

  const parts = (definitions: ros2.Definitions, type: string) =>
    Object.values(definitions.resolveAction(type)).map((part) => {
      return part[0]?.definitions.map((field) => `${field.type} ${field.name}`)
    })

  it('actions are known from texts and from folders, and what ROS 2 makes of them', () => {
    file('my_msgs/action/Move.action', '# where to\nPoint to\n---\n---\nfloat32 left')
    file('my_msgs/msg/Point.msg', 'float64 x')
    const messages = { 'a/msg/Walk': 'bool other', 'a/action/Walk': 'int8 steps\n---\nint8 done\n---' }
    const definitions = new ros2.Definitions({ folders: [folder], messages })
    assert.deepEqual(parts(definitions, 'my_msgs/action/Move'), [['my_msgs/Point to'], [], ['float32 left']])
    assert.deepEqual(parts(definitions, 'a/Walk'), [['int8 steps'], ['int8 done'], []])
    assert.deepEqual(fields(definitions, 'a/msg/Walk'), ['bool other'])
    assert.deepEqual(definitions.actionNames(), ['a/action/Walk'])
    // Without asking for the action first, too.
    const others = new ros2.Definitions({ folders: [folder], messages })
    assert.deepEqual(halves(others, 'a/action/Walk_SendGoal'), [
      ['unique_identifier_msgs/UUID goal_id', 'a/Walk_Goal goal'],
      ['bool accepted', 'time stamp'],
    ])
    assert.deepEqual(halves(others, 'my_msgs/action/Move_GetResult'), [
      ['unique_identifier_msgs/UUID goal_id'],
      ['int8 status', 'my_msgs/Move_Result result'],
    ])
    assert.deepEqual(fields(others, 'a/action/Walk_FeedbackMessage'), [
      'unique_identifier_msgs/UUID goal_id',
      'a/Walk_Feedback feedback',
    ])
  })

  it('an action without a definition, or with a part of one, is an error', () => {
    const messages = { 'a/action/Half': 'bool x\n---\nbool y', 'a/action/Lost': 'None none\n---\n---' }
    const definitions = new ros2.Definitions({ folders: [], messages })
    assert.throws(() => definitions.resolveAction('a/action/B'), { code: 'UNKNOWN_TYPE', message: /a\/action\/B/ })
    assert.throws(() => definitions.resolveAction('a/action/Half'), { code: 'INVALID_OPTION', message: /a\/Half/ })
    assert.throws(() => definitions.resolveAction('a/action/Lost'), { code: 'UNKNOWN_TYPE', message: /a\/None/ })
    assert.throws(() => definitions.resolveService('a/action/B_SendGoal'), { code: 'UNKNOWN_TYPE' })
  })
})
