/** The python node in a running flow, with a real Python. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import helper from 'node-red-node-test-helper'
import { action } from '../../nodes'
import type { Tested } from '../../nodes/action/outlet'
import pythonNode from '../../nodes/action/python'
import { pythonConfig } from '../../nodes/action/python.config'
import { closeAll, eventually, file, folder, interpreter, isAlive, pythonSuite } from './interpreter'
import { alert, type Json, measurement, Rig, type Seen } from './rig'

const SCRIPT = `
count = 0
def initialize(config):
    global count
    count = config.get("from", 0)
    print("initialize")
def on_measurement(data):
    global count
    count += 1
    return {"count": count, "value": data["value"]}
def on_alert(alert):
    return alert["alertId"]
def on_clear(alert):
    raise RuntimeError("cannot clear %s" % alert["alertId"])
def on_message(payload):
    return ["message", payload, f"\${count}"]
def get_status():
    return {"count": count}
def shutdown():
    print("shutdown")
`

function start(config: Json = {}, wiring: Json = {}): Promise<Rig> {
  return Rig.start(pythonNode, 'millrace-action-python', { interpreter, code: SCRIPT, ...config }, wiring)
}

function tryOut(given: Json): Promise<Tested & { code?: string }> {
  return new Promise((resolve, reject) => {
    helper
      .request()
      .post('/millrace-action-python/undeployed/test')
      .send(given)
      .end((error: Error | null, response: Seen) => (error ? reject(error) : resolve(response.body)))
  })
}

pythonSuite('python node', () => {
  beforeEach(() => helper.startServer())
  afterEach(async () => {
    await Rig.stop()
    await closeAll()
    await helper.stopServer()
  })

  it('calls the functions, whose results go on with the unchanged message', async () => {
    const rig = await start({ settings: '{"from": 5}' })
    rig.send(
      { action: 'measurement', payload: measurement(1), own: 7 },
      { action: 'measurement', payload: measurement(2) },
    )
    const [first, second] = await rig.until('first', 2)
    assert.deepEqual([first.result, first.own, first.payload], [{ count: 6, value: 1 }, 7, measurement(1)])
    assert.deepEqual(second.result, { count: 7, value: 2 })
    assert.equal(first.delivery.attempts, 1)
    rig.send({ action: 'alert', payload: alert('a1') })
    assert.equal((await rig.until('first', 3))[2].result, 'a1')
    await rig.until('completed', 3)
    await rig.status(({ fill, text }) => fill === 'green' && text === 'status.sent')
  })

  it('gives failures with what was raised by the second output, once', async () => {
    const rig = await start()
    rig.send({ action: 'clear', payload: alert('a1') })
    const [{ delivery }] = await rig.until('second')
    assert.deepEqual([delivery.attempts, delivery.error.code, delivery.error.retryable], [1, 'SCRIPT_FAILED', false])
    const { type, message, line, traceback } = delivery.error.cause
    assert.deepEqual([type, message, line], ['RuntimeError', 'cannot clear a1', 14])
    assert.match(traceback, /on_clear/)
  })

  it('or as errors with a code, where nothing is wired there', async () => {
    const rig = await start({}, { wired: [true, false] })
    rig.send({ action: 'clear', payload: alert('a1') })
    const [{ error }] = await rig.until('caught')
    assert.equal(error.code, 'SCRIPT_FAILED')
  })

  it('gives any message to a function, where it may', async () => {
    const rig = await start({ accept: 'any', messageFunction: 'on_message' })
    const payload = { bytes: Buffer.from('abc') }
    rig.send({ payload, topic: 't' })
    // What looks like a variable in code is none of ours.
    assert.deepEqual((await rig.until('first'))[0].result, ['message', payload, '$0'])
  })

  it('answers with its status and that of the script, and with its history', async () => {
    const rig = await start({ historyCapacity: 2 })
    for (const value of [1, 2, 3]) rig.send({ action: 'measurement', payload: measurement(value) })
    await rig.until('first', 3)
    rig.send({ action: 'status' }, { action: 'history' })
    const [, , , one, other] = await rig.until('first', 5)
    const answers = [one.payload, other.payload]
    const status = answers.find(({ details }) => details)
    assert.deepEqual([status.sent, status.details.state, status.details.script], [3, 'running', { count: 3 }])
    const history = answers.find(({ entries }) => entries)
    assert.deepEqual(
      history.entries.map((entry: Seen) => entry.data.value),
      [3, 2],
    )
  })

  it('writes what the script prints to the log, and lets it shut down when it is deployed anew', async () => {
    const rig = await start()
    await rig.status(({ fill }) => fill === 'green')
    const lines: string[] = []
    rig.node.log = (line: string) => lines.push(line)
    await rig.redeploy({ interpreter, code: `${SCRIPT}\n# changed\n` })
    assert.deepEqual(lines, ['shutdown'])
    rig.send({ action: 'measurement', payload: measurement(1) })
    assert.equal((await rig.until('first'))[0].result.count, 1)
  })

  it('a call that takes too long fails, and the next one is done', async () => {
    const code = 'import time\ndef on_measurement(d):\n    if d["value"] < 0: time.sleep(1000)\n    return d["value"]\n'
    const rig = await start({ code, timeoutMs: 300 })
    rig.send({ action: 'measurement', payload: measurement(-1) }, { action: 'measurement', payload: measurement(2) })
    assert.equal((await rig.until('second'))[0].delivery.error.code, 'TIMEOUT')
    assert.equal((await rig.until('first'))[0].result, 2)
    assert.ok(rig.seen.warn.length > 0)
  })

  it('a script that does not start shows, and is ready by itself once it does', async () => {
    const scriptPath = file('script.py', 'def broken(:\n')
    const rig = await start({ script: 'file', scriptPath, autoReload: true })
    const [error] = await rig.until('error')
    assert.match(String(error), /SyntaxError.*line 1: def broken\(:/)
    await rig.status(({ fill, text }) => fill === 'red' && text === 'error.SCRIPT_FAILED')
    writeFileSync(scriptPath, SCRIPT)
    await rig.status(({ fill }) => fill === 'green')
    rig.send({ action: 'measurement', payload: measurement(1) })
    await rig.until('first')
  })

  it('says that there is no Python, and fails each message', async () => {
    const rig = await start({ interpreter: '/no/such/python' })
    assert.match(String((await rig.until('error'))[0]), /\/no\/such\/python/)
    await rig.status(({ fill, text }) => fill === 'red' && text === 'error.UNAVAILABLE')
    rig.send({ action: 'measurement', payload: measurement(1) })
    assert.equal((await rig.until('second'))[0].delivery.error.code, 'UNAVAILABLE')
  })

  it('needs a file where it takes one', async () => {
    const rig = await start({ script: 'file', scriptPath: '' })
    await rig.status(({ text }) => text === 'error.INVALID_OPTION')
  })

  it('uses its surroundings as they are set', async () => {
    const [paths, work] = [folder(), folder()]
    file('from_path.py', 'value = "path"\n', paths)
    const code =
      'import os, from_path\ndef on_measurement(d): return [from_path.value, os.getcwd(), os.environ["SITE"]]\n' +
      'def alarm(a): return len(bytearray(300 << 20))\n'
    const rig = await start({
      ...{ code, pythonPaths: `${paths}\n`, workingDir: work, env: 'SITE=north\n' },
      ...{ functions: 'alert = alarm', memoryLimitMb: '100' },
    })
    rig.send({ action: 'measurement', payload: measurement(1) }, { action: 'alert', payload: alert('a') })
    assert.deepEqual((await rig.until('first'))[0].result, ['path', work, 'north'])
    assert.equal((await rig.until('second'))[0].delivery.error.cause.type, 'MemoryError')
  })

  it('the test tries what is in the dialog: the interpreter and the script, without initialize', async () => {
    await start()
    const code = 'def initialize(c): raise ValueError()\ndef on_alert(a): pass\n'
    const good = await tryOut({ interpreter, code })
    assert.ok(good.ok && /^Python 3\.\d+\.\d+, .+: alert, initialize$/.test(good.found), JSON.stringify(good))
    const bad = await tryOut({ interpreter, code: 'x = 1\ny = (\n' })
    assert.ok(!bad.ok && bad.fault === 'other' && /SyntaxError.*line 2: y = \(/.test(bad.message), JSON.stringify(bad))
    const none = await tryOut({ interpreter: '/no/such/python', code })
    assert.ok(!none.ok && none.message.includes('/no/such/python'))
    const wrong = await tryOut({ interpreter, code, timeoutMs: 'x' })
    assert.ok(!wrong.ok && wrong.message.includes('timeoutMs'))
  })

  it('the driver does alike from code', async () => {
    const lines: string[] = []
    const driver = action.createDriver('python', { interpreter, code: SCRIPT, printed: (line) => lines.push(line) })
    await driver.initialize()
    const [pid] = ((await driver.status()).details as { processes: number[] }).processes
    const { result } = await driver.onMeasurement({ sourceNodeId: 's', timestamp: 1, value: 9 })
    assert.deepEqual(result, { count: 1, value: 9 })
    assert.equal((await driver.onAlert(alert('x') as never)).result, 'x')
    await assert.rejects(driver.clear(alert('x') as never), { code: 'SCRIPT_FAILED' })
    assert.deepEqual(
      driver.history().map(({ kind, code }) => [kind, code]),
      [
        ['clear', 'SCRIPT_FAILED'],
        ['alert', null],
        ['measurement', null],
      ],
    )
    await driver.shutdown()
    assert.deepEqual(lines, ['initialize', 'shutdown'])
    await eventually(() => !isAlive(pid as number))
  })
})

describe('action python: what is saved', () => {
  const { settings, env, functions, pythonPaths, code } = pythonConfig.fields
  it('reads the texts of the panel', () => {
    assert.deepEqual(settings.read('{"a": 1}'), { a: 1 })
    assert.deepEqual(env.read('A=1\n\n B=x=y '), { A: '1', B: 'x=y' })
    assert.deepEqual(functions.read('alert = alarm\nclear=übrig'), { alert: 'alarm', clear: 'übrig' })
    assert.deepEqual(pythonPaths.read(' /a \n/b\n'), ['/a', '/b'])
    assert.match(code.read(undefined), /def on_measurement/)
    for (const [field, saved, key] of [
      [settings, '{', 'config.json'],
      [env, 'no', 'config.variable'],
      [functions, 'other = x', 'config.role'],
      [functions, 'alert = 1x', 'config.role'],
    ] as const) {
      assert.throws(() => field.read(saved), { key })
    }
  })
})
