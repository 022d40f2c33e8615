/** Python scripts through the library, with a real Python. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { action, type EngineError } from '../../nodes'
import { closeAll, eventually, file, folder, interpreter, isAlive, pythonSuite, run, Told } from './interpreter'

const root = join(__dirname, '../..')
const ECHO = 'def on_measurement(data):\n    return data\n'

async function failure(promise: Promise<unknown>): Promise<EngineError & { cause: action.PythonProblem }> {
  return promise.then(
    (value) => assert.fail(`got ${JSON.stringify(value)}`),
    (error) => error,
  )
}

pythonSuite('python: functions', () => {
  afterEach(closeAll)

  it('keeps the state of initialize across 1000 calls', async () => {
    const code = `
count = None
def initialize(config):
    global count
    count = config["from"]
def on_measurement(data):
    global count
    count += data["step"]
    return count
`
    const { python } = await run(code, { config: { from: 5 } })
    const [process] = python.status().processes
    for (let index = 1; index <= 1000; index += 1) {
      assert.equal(await python.call('measurement', { step: 2 }), 5 + 2 * index)
    }
    assert.deepEqual(python.status().processes, [process])
  })

  it('calls each function for its kind, by other names too, and any by its name', async () => {
    const code = `
def initialize(config): print("initialized")
def on_measurement(data): return ["measurement", data]
def alarm(data): return ["alert", data]
def on_clear(data): return ["clear", data]
def get_status(): return {"fine": True}
def other(data): return ["other", data]
def shutdown(): print("shut down")
`
    const { python, told } = await run(code, { functions: { alert: 'alarm' } })
    assert.deepEqual(await python.call('measurement', 1), ['measurement', 1])
    assert.deepEqual(await python.call('alert', 2), ['alert', 2])
    assert.deepEqual(await python.call('clear', 3), ['clear', 3])
    assert.deepEqual(await python.callFunction('other', 4), ['other', 4])
    assert.deepEqual(await python.scriptStatus(), { fine: true })
    const roles = ['alert', 'clear', 'initialize', 'measurement', 'shutdown', 'status']
    assert.deepEqual(python.status().about?.functions, roles)
    await python.close()
    assert.deepEqual(told.lines, ['initialized', 'shut down'])
    assert.equal((await failure(python.call('measurement', 1))).code, 'CLOSED')
  })

  it('does without functions that the script does not have', async () => {
    const { python } = await run('x = 1\n')
    for (const kind of ['measurement', 'alert', 'clear'] as const) assert.equal(await python.call(kind, {}), null)
    assert.equal(await python.scriptStatus(), null)
    const error = await failure(python.callFunction('missing', {}))
    assert.deepEqual([error.code, error.cause.type], ['SCRIPT_FAILED', 'AttributeError'])
  })

  it('runs async functions on one event loop, whose tasks go on between the calls', async () => {
    const code = `
import asyncio
ticks = 0
async def tick():
    global ticks
    while True:
        await asyncio.sleep(0.001)
        ticks += 1
async def initialize(config):
    global loop
    loop = asyncio.get_running_loop()
    loop.create_task(tick())
async def on_measurement(data):
    return [ticks, asyncio.get_running_loop() is loop]
def on_alert(data):
    return ticks
`
    const { python } = await run(code)
    const [, isSame] = (await python.call('measurement', {})) as [number, boolean]
    assert.equal(isSame, true)
    const ticks = async () => (await python.call('alert', {})) as number
    const before = await ticks()
    while ((await ticks()) < before + 3) await new Promise((resolve) => setImmediate(resolve))
  })

  it('answers in the order of the calls', async () => {
    const { python } = await run(ECHO)
    const order: number[] = []
    const calls = Array.from({ length: 2000 }, (_, index) =>
      python.call('measurement', index).then((value) => {
        assert.equal(value, index)
        order.push(index)
      }),
    )
    await Promise.all(calls)
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    )
  })

  it('stays awake while calls come one by one, and sleeps while none comes or one takes long', async () => {
    const code = `
import resource, time
def on_measurement(data): return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
def on_alert(data): time.sleep(data)
`
    const { python } = await run(code)
    const slept = async (during: () => Promise<unknown>) => {
      const [before, own] = [(await python.call('measurement', null)) as number, performance.eventLoopUtilization()]
      for (let round = 0; round < 10; round += 1) {
        for (let index = 0; index < 30; index += 1) await python.call('measurement', null)
        await during()
      }
      const { idle } = performance.eventLoopUtilization(own)
      return [((await python.call('measurement', null)) as number) - before, idle]
    }
    for (const during of [() => new Promise((resolve) => setTimeout(resolve, 100)), () => python.call('alert', 0.1)]) {
      const [times = 0, idle = 0] = await slept(during)
      assert.ok(times >= 10, `Python slept ${times} times`)
      assert.ok(idle > 500, `Node.js slept ${idle} ms`)
    }
  })

  it('tells what the script prints as lines of the log, and loses no frame to it', async () => {
    const code = `
import os, sys, subprocess
def on_measurement(data):
    print("grüße", data)
    print("to stderr", file=sys.stderr)
    os.write(1, b"raw\\n")
    subprocess.run(["echo", "from a child"])
    print("input:", repr(sys.stdin.read()))
    return data
`
    const { python, told } = await run(code)
    assert.equal(await python.call('measurement', 7), 7)
    await told.until(() => told.lines.length === 5)
    assert.deepEqual([...told.lines].sort(), ['from a child', 'grüße 7', "input: ''", 'raw', 'to stderr'].sort())
  })

  it('counts lines that are printed too fast', async () => {
    const { python, told } = await run('def on_measurement(n):\n    for i in range(n): print(i)\n')
    // The JavaScript thread takes none while it is held.
    const done = python.call('measurement', 20_000)
    const end = performance.now() + 1000
    while (performance.now() < end);
    await done
    await python.close()
    const lost = told.lines.map((line) => Number(/^… (\d+) lines/.exec(line)?.[1] ?? 0)).reduce((a, b) => a + b, 0)
    const kept = told.lines.filter((line) => /^\d+$/.test(line)).length
    assert.ok(lost > 0 && kept + lost <= 20_000, `${kept} kept, ${lost} lost`)
  })

  it('warns of slow calls with the measured time, and not of each', async () => {
    const { python, told } = await run('import time\ndef on_measurement(s): time.sleep(s)\n', { timeoutMs: 3000 })
    await python.call('measurement', 0.01)
    assert.equal(told.warnings.length, 0)
    await python.call('measurement', 1.8)
    await python.call('measurement', 1.8)
    assert.equal(told.warnings.length, 1)
    const [, ms] = /took (\d+) of 3000 ms/.exec(told.warnings[0]?.message ?? '') ?? []
    assert.ok(Number(ms) >= 1790 && Number(ms) < 3000, told.warnings[0]?.message)
  })
})

pythonSuite('python: values', () => {
  afterEach(closeAll)

  const same: [title: string, value: unknown][] = [
    ['null', null],
    ['texts', 'grüße, 世界 \u{1f600} \ud800 \u0000 "\\'],
    ['numbers', [0, -1.5, 1e300, 2 ** 53 - 1]],
    ['nested data', { a: [{ b: { c: [true, false, null] } }], '': {}, __proto__x: [] }],
    ['bytes', Buffer.from([0, 255, 10, 13])],
    ['bytes in many places', { a: Buffer.from('x'), list: [1, Buffer.alloc(0), { deep: Buffer.from('y') }] }],
    ['8 MB of bytes', { big: Buffer.alloc(8 << 20, 7) }],
    ['a long text', 'x'.repeat(3_000_000)],
  ]
  for (const [title, value] of same) {
    it(`gives back ${title}`, async () => {
      const { python } = await run(ECHO)
      const data = structuredCloneWithBuffers(value)
      assert.deepEqual(await python.call('measurement', data), value)
      assert.deepEqual(data, value, 'the data was changed')
    })
  }

  it('gives Python what JSON has no form for', async () => {
    const code =
      'def on_measurement(d):\n    return [repr(d["big"]), type(d["bytes"]).__name__, d["floats"], d["date"]]\n'
    const { python } = await run(code)
    const data = {
      big: 2n ** 70n,
      bytes: new Uint8Array([1]),
      floats: new Float32Array([0.5, 1]),
      date: new Date(0),
      nothing: undefined,
    }
    const made = await python.call('measurement', data)
    assert.deepEqual(made, ['1180591620717411303424', 'bytes', [0.5, 1], '1970-01-01T00:00:00.000Z'])
  })

  it('brings back tuples, sets, dates, views and numbers that JSON does not have', async () => {
    const code = `
import array, datetime
def on_measurement(data):
    return {"tuple": (1, (2,)), "set": {3}, "nan": float("nan"), "inf": [float("-inf")], 5: None, None: 6,
            "date": datetime.date(2026, 1, 2), "array": array.array("d", [0.5]), "view": memoryview(b"abcd")[::2],
            "bytearray": bytearray(b"x")}
`
    const { python } = await run(code)
    assert.deepEqual(await python.call('measurement', {}), {
      ...{ tuple: [1, [2]], set: [3], nan: null, inf: [null], 5: null, null: 6, date: '2026-01-02', array: [0.5] },
      ...{ view: Buffer.from('ac'), bytearray: Buffer.from('x') },
    })
  })

  const circular: Record<string, unknown> = {}
  circular.list = [circular]
  const unfit: [data: unknown, named: string][] = [
    [{ a: [0, { call: () => 0 }] }, 'data.a[1].call'],
    [{ map: new Map() }, 'data.map'],
    [Symbol('x'), 'data'],
    [circular, 'data.list[0]'],
  ]
  for (const [data, named] of unfit) {
    it(`names ${named} that Python cannot be given`, async () => {
      const { python } = await run(ECHO)
      const error = await failure(python.call('measurement', data))
      assert.equal(error.code, 'INVALID_INPUT')
      assert.ok(error.message.startsWith(`${named} is `), error.message)
      assert.equal(await python.call('measurement', 1), 1)
    })
  }

  const returned: [expression: string, named: string][] = [
    ['{"a": [1, {"b": object()}]}', 'result.a[1].b'],
    ['[1j]', 'result[0]'],
    ['{"a": {(1, 2): 3}}', 'result.a'],
    ['loop', 'result[0]'],
  ]
  for (const [expression, named] of returned) {
    it(`names ${named} of ${expression} that has no form in JSON`, async () => {
      const { python } = await run(`loop = []\nloop.append(loop)\ndef on_measurement(d): return ${expression}\n`)
      const error = await failure(python.call('measurement', {}))
      assert.deepEqual([error.code, error.cause.type], ['SCRIPT_FAILED', 'Unfit'])
      assert.ok(error.cause.message.startsWith(named), error.cause.message)
    })
  }
})

function structuredCloneWithBuffers(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return Buffer.from(value)
  if (Array.isArray(value)) return value.map(structuredCloneWithBuffers)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, structuredCloneWithBuffers(item)]))
}

pythonSuite('python: what goes wrong', () => {
  afterEach(closeAll)

  it('an exception is an error with its type, message, traceback and line', async () => {
    const code = 'def inner(x):\n    return 1 / x\n\ndef on_measurement(data):\n    return inner(0)\n'
    const { python } = await run(code)
    const { code: failed, cause, retryable } = await failure(python.call('measurement', {}))
    assert.deepEqual([failed, retryable], ['SCRIPT_FAILED', false])
    assert.deepEqual([cause.type, cause.message, cause.line], ['ZeroDivisionError', 'division by zero', 2])
    assert.equal(cause.text, 'return 1 / x')
    assert.match(cause.traceback, /in on_measurement[\s\S]+in inner/)
    assert.doesNotMatch(cause.traceback, /<millrace>/)
    assert.equal(python.status().restarts, 0)
  })

  it('sys.exit, endless recursion and an exception that cannot be told are errors, too', async () => {
    const code = `
import sys
class Odd(Exception):
    def __str__(self): raise ValueError("no")
def stop(d): sys.exit(4)
def recur(d): return recur(d)
def odd(d): raise Odd()
`
    const { python } = await run(code)
    for (const [name, type] of [
      ['stop', 'SystemExit'],
      ['recur', 'RecursionError'],
      ['odd', 'Odd'],
    ] as const) {
      assert.equal((await failure(python.callFunction(name, 1))).cause.type, type)
    }
    assert.equal(python.status().restarts, 0)
  })

  const fatal: [title: string, body: string][] = [
    ['os._exit', 'os._exit(3)'],
    ['a segfault', 'ctypes.string_at(0)'],
    ['abort', 'os.abort()'],
    ['a signal', 'os.kill(os.getpid(), 9)'],
  ]
  for (const [title, body] of fatal) {
    it(`${title} costs its own call, and the next process begins with initialize`, async () => {
      const code = `
import ctypes, os, sys
started = 0
def initialize(config):
    global started
    started += 1
def on_measurement(d):
    ${body}
def on_alert(d): return [started, d]
`
      const { python, told } = await run(code)
      const [before] = python.status().processes
      const calls = [
        python.call('alert', 0),
        python.call('measurement', {}),
        python.call('alert', 1),
        python.call('alert', 2),
      ]
      const [first, fallen, second, third] = await Promise.allSettled(calls)
      assert.deepEqual(
        [first, second, third].map((it) => it?.status === 'fulfilled' && it.value),
        [
          [1, 0],
          [1, 1],
          [1, 2],
        ],
      )
      assert.ok(fallen?.status === 'rejected')
      assert.deepEqual([fallen.reason.code, fallen.reason.retryable], ['SCRIPT_ENDED', false])
      assert.notDeepEqual(python.status().processes, [before])
      assert.equal(python.status().restarts, 1)
      assert.equal(told.warnings.filter(({ code }) => code === 'SCRIPT_ENDED').length, 1)
    })
  }

  it('a call that was answered in time is not ended because JavaScript was busy', async () => {
    const { python } = await run('def on_measurement(d): return d', { timeoutMs: 300 })
    const [process] = python.status().processes
    const answer = python.call('measurement', 7)
    const end = performance.now() + 1000
    while (performance.now() < end);
    assert.equal(await answer, 7)
    assert.deepEqual(python.status().processes, [process])
  })

  it('processes that ended leave nothing open', async function () {
    if (!existsSync('/proc/self/fd')) return this.skip()
    const { python, told } = await run('import os\ndef on_alert(d): os._exit(1)\ndef on_measurement(d): return d')
    const open = () => readdirSync('/proc/self/fd').length
    const again = async () => {
      await assert.rejects(python.call('alert', 0))
      await python.call('measurement', 0)
    }
    await again()
    const before = open()
    for (let turn = 0; turn < 5; turn += 1) await again()
    await told.until(() => python.status().restarts === 6)
    assert.ok(open() <= before + 2, `${open()} after ${before}`)
  })

  it('recursion without a limit costs its own call at most', async () => {
    const code = `
import sys
class Deep:
    def __repr__(self): return repr([self])
def on_measurement(d):
    sys.setrecursionlimit(10**9)
    return repr(Deep())
def on_alert(d): return d
`
    const { python } = await run(code)
    const error = await failure(python.call('measurement', {}))
    // Newer versions notice it before the stack is full.
    assert.ok(error.code === 'SCRIPT_ENDED' || error.cause?.type === 'RecursionError', error.message)
    assert.equal(await python.call('alert', 1), 1)
  })

  it('a call over its timeout fails, is ended with its children, and does not block the next', async () => {
    const code = `
import os, subprocess, time
def hang(path):
    child = subprocess.Popen(["sleep", "1000"])
    open(path, "w").write("%d %d" % (os.getpid(), child.pid))
    while True: time.sleep(1000)
def on_measurement(d): return d
`
    const { python } = await run(code, { timeoutMs: 300 })
    const path = join(folder(), 'pids')
    const [hung, next] = await Promise.allSettled([python.callFunction('hang', path), python.call('measurement', 5)])
    assert.ok(hung.status === 'rejected' && hung.reason.code === 'TIMEOUT')
    assert.ok(next.status === 'fulfilled' && next.value === 5)
    const pids = readFileSync(path, 'utf8').split(' ').map(Number)
    assert.deepEqual(pids.map(isAlive), [false, false])
    assert.equal(await python.call('measurement', 6), 6)
  })

  it('counts the timeout of a call from when it begins', async () => {
    const { python } = await run('import time\ndef on_measurement(d):\n    time.sleep(0.1)\n    return d\n', {
      timeoutMs: 700,
    })
    const calls = Array.from({ length: 12 }, (_, index) => python.call('measurement', index))
    assert.deepEqual(
      await Promise.all(calls),
      calls.map((_, index) => index),
    )
  })

  it('a script that holds the interpreter lock is ended, too', async () => {
    const code = 'import re\ndef on_measurement(d): re.match("(a+)+$", "a" * 64 + "b")\ndef on_alert(d): return d\n'
    const { python } = await run(code, { timeoutMs: 200 })
    assert.equal((await failure(python.call('measurement', {}))).code, 'TIMEOUT')
    assert.equal(await python.call('alert', 1), 1)
  })

  it('the limit of memory makes a MemoryError, and the process lives on', async () => {
    const code = 'def on_measurement(n): return len(bytearray(n))\n'
    const { python } = await run(code, { memoryLimitMb: 100 })
    assert.equal((await failure(python.call('measurement', 300 << 20))).cause.type, 'MemoryError')
    assert.equal(await python.call('measurement', 10 << 20), 10 << 20)
    assert.equal(python.status().restarts, 0)
    const free = await run(code)
    assert.equal(await free.python.call('measurement', 300 << 20), 300 << 20)
  })

  it('a syntax error is told at load with its line and text', async () => {
    const error = await failure(run('x = 1\n\ndef broken(:\n    pass\n'))
    assert.deepEqual([error.code, error.cause.type], ['SCRIPT_FAILED', 'SyntaxError'])
    assert.deepEqual([error.cause.line, error.cause.text], [3, 'def broken(:'])
    assert.match(error.message, /line 3: def broken\(:/)
  })

  it('a start that fails is told, fails the calls, and is tried again', async () => {
    const path = join(folder(), 'ready')
    const told = new Told()
    const code = `import os\ndef initialize(c):\n    assert os.path.exists(${JSON.stringify(path)}), "not yet"\n${ECHO}`
    const error = await failure(run(code, {}, told))
    assert.deepEqual(
      [error.code, error.cause.type, error.cause.message],
      ['SCRIPT_FAILED', 'AssertionError', 'not yet'],
    )
    const { python } = await run(ECHO)
    assert.equal(await python.call('measurement', 1), 1)
    const waiting = new action.Python({ interpreter, code }, told.listener)
    await assert.rejects(waiting.started())
    await assert.rejects(
      waiting.call('measurement', 1),
      ({ code, cause }) => code === 'SCRIPT_FAILED' && cause.message === 'not yet',
    )
    writeFileSync(path, '')
    await told.until(() => waiting.status().state === 'running')
    assert.equal(await waiting.call('measurement', 2), 2)
    assert.equal(waiting.status().lastError, null)
    await waiting.close()
  })

  it('a start that hangs is ended', async () => {
    const error = await failure(run('import time\ntime.sleep(1000)\n', { startTimeoutMs: 300 }))
    assert.deepEqual([error.code, error.cause], ['TIMEOUT', undefined])
  })

  it('an interpreter that is missing, too old, or none is named', async () => {
    const old = file('python', '#!/bin/sh\nexit 78\n')
    const none = file('python', '#!/bin/sh\necho hello\nexit 0\n')
    spawnSync('chmod', ['+x', old, none])
    for (const [options, code, named] of [
      [{ interpreter: '/no/such/python' }, 'UNAVAILABLE', '/no/such/python'],
      [{ interpreter: 'no-such-python' }, 'UNAVAILABLE', 'no-such-python'],
      [{ venvPath: '/no/venv' }, 'UNAVAILABLE', '/no/venv/bin/python'],
      [{ interpreter: old }, 'UNAVAILABLE', old],
      [{ interpreter: none }, 'SCRIPT_ENDED', 'exit code 0'],
      [{ env: { PATH: '/nowhere' }, interpreter: 'python3' }, 'UNAVAILABLE', 'python3'],
      [{ workingDir: '/no/such/folder' }, 'UNAVAILABLE', 'No such file'],
      [{ timeoutMs: 0 }, 'INVALID_OPTION', 'timeoutMs'],
    ] as [action.PythonOptions, string, string][]) {
      const error = await failure(Promise.resolve().then(() => run(ECHO, options)))
      assert.equal(error.code, code)
      assert.ok(error.message.includes(named), error.message)
    }
  })

  it('a process that ends between calls is replaced', async () => {
    const code = `import os, threading\ndef on_measurement(d):\n    threading.Timer(0.05, os._exit, [9]).start()\n    return os.getpid()\ndef on_alert(d): return os.getpid()\n`
    const { python, told } = await run(code)
    const first = await python.call('measurement', {})
    await told.until(() => python.status().restarts === 1)
    assert.notEqual(await python.call('alert', {}), first)
  })

  it('a process that ends while its child goes on is replaced, and the child ended', async () => {
    const code = `
import os, time
def on_measurement(d):
    child = os.fork()
    if child == 0:
        time.sleep(1000)
    print(child, flush=True)
    os._exit(1)
def on_alert(d): return d
`
    const { python, told } = await run(code)
    assert.equal((await failure(python.call('measurement', {}))).code, 'SCRIPT_ENDED')
    assert.equal(await python.call('alert', 1), 1)
    assert.equal(isAlive(Number(told.lines[0])), false)
  })

  it('a script that writes into the socket is ended, and nothing else', async () => {
    const code = `
import os, stat
def on_measurement(d):
    for fd in range(3, 20):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode): os.write(fd, b"hello there")
        except OSError: pass
def on_alert(d): return d
`
    const { python } = await run(code)
    assert.equal((await failure(python.call('measurement', {}))).code, 'SCRIPT_ENDED')
    assert.equal(await python.call('alert', 1), 1)
  })

  for (const [kind, text] of [
    [0, 'nonsense'],
    [1, '[null,[["a","b"]]]'],
    [1, '{}'],
    [2, 'nonsense'],
    [3, 'nonsense'],
    [7, 'null'],
  ] as const) {
    it(`a script that writes ${text} as a frame of kind ${kind} fails its call at most`, async () => {
      const code = `
import os, stat, struct, time
def on_measurement(text):
    for fd in range(3, 20):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.write(fd, struct.pack("<BII", ${kind}, len(text), 0) + text.encode())
        except OSError: pass
    os._exit(1)
def on_alert(d): return d
`
      const { python, told } = await run(code)
      const error = await failure(python.call('measurement', text))
      assert.ok(['SCRIPT_FAILED', 'SCRIPT_ENDED'].includes(error.code), error.code)
      await told.until(() => python.status().restarts === 1)
      assert.equal(await python.call('alert', 1), 1)
    })
  }

  it('a program that has closed it ends', async () => {
    const parent = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'python-parent.ts')], {
      env: { ...process.env, SCRIPT: 'def on_measurement(d): print("done")\n', PYTHON: interpreter },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: parent.stdout })
    await once(lines, 'line')
    const timer = setTimeout(() => parent.kill('SIGKILL'), 4000)
    const [code] = await once(parent, 'exit')
    clearTimeout(timer)
    assert.equal(code, 0)
  })

  it('kill -9 of the parent leaves nobody, whatever the script does', async () => {
    const code = `
import os, subprocess, time
def on_measurement(d):
    child = subprocess.Popen(["sleep", "1000"])
    print("pids", os.getpid(), child.pid, flush=True)
    while True: pass
`
    const parent = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'python-parent.ts')], {
      env: { ...process.env, SCRIPT: code, PYTHON: interpreter },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: parent.stdout })
    const [line] = (await once(lines, 'line')) as [string]
    const pids = line.split(' ').slice(1).map(Number)
    assert.deepEqual(pids.map(isAlive), [true, true])
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    await eventually(() => !pids.some(isAlive))
  })
})

pythonSuite('python: its surroundings', () => {
  afterEach(closeAll)

  it('uses the interpreter and the packages of a virtual environment', async () => {
    const venv = join(folder(), 'venv')
    const made = spawnSync(interpreter, ['-m', 'venv', '--without-pip', venv], { encoding: 'utf8' })
    assert.equal(made.status, 0, made.stderr)
    const ask = 'import sysconfig; print(sysconfig.get_paths()["purelib"])'
    const packages = spawnSync(join(venv, 'bin/python'), ['-c', ask], { encoding: 'utf8' }).stdout.trim()
    writeFileSync(join(packages, 'only_in_venv.py'), 'value = 42\n')
    const code = 'import sys\nimport only_in_venv\ndef on_measurement(d): return [sys.prefix, only_in_venv.value]\n'
    const { python } = await run(code, { venvPath: venv })
    assert.deepEqual(await python.call('measurement', {}), [venv, 42])
    const without = await failure(run(code))
    assert.equal(without.cause.type, 'ModuleNotFoundError')
  })

  it('uses the paths, the working folder, the environment, and the folder of the script', async () => {
    const [paths, work, own] = [folder(), folder(), folder()]
    file('from_path.py', 'value = "path"\n', paths)
    file('beside.py', 'value = "beside"\n', own)
    const script = `
import os, beside, from_path
def on_measurement(d): return [beside.value, from_path.value, os.getcwd(), os.environ["SITE"], bool(os.environ["PATH"]), __file__]
`
    const scriptPath = file('script.py', script, own)
    const { python } = await run('', { scriptPath, pythonPaths: [paths], workingDir: work, env: { SITE: 'north' } })
    assert.deepEqual(await python.call('measurement', {}), ['beside', 'path', work, 'north', true, scriptPath])
  })

  it('tells of the interpreter and the script without initialize', async () => {
    const code = 'def initialize(c): raise ValueError()\ndef shutdown(): raise ValueError()\ndef on_alert(a): pass\n'
    const about = await action.Python.probe({ interpreter, code, mode: 'pool' })
    assert.deepEqual(about.functions, ['alert', 'initialize', 'shutdown'])
    assert.match(about.python, /^3\.\d+\.\d+$/)
    const error = await failure(action.Python.probe({ interpreter, code: 'if:\n' }))
    assert.deepEqual([error.cause.type, error.cause.line], ['SyntaxError', 1])
  })

  it('numpy scalars and arrays come back as numbers and lists', async function () {
    const venvPath = process.env.MILLRACE_NUMPY_VENV
    if (!venvPath) {
      console.log('\nSKIPPED action python with numpy: MILLRACE_NUMPY_VENV names no environment that has it\n')
      this.skip()
    }
    const code = `
import numpy as np
def on_measurement(d):
    image = np.frombuffer(d["image"], dtype=np.uint8)
    return {"mean": np.float64(1.5), "f32": np.float32(0.5), "int": np.int64(7), "bool": np.bool_(True),
            "array": np.arange(6, dtype=np.float32).reshape(2, 3), "nan": np.array([np.nan, 1.0]), "sum": image.sum(),
            "text": np.str_("x"), "raw": image.tobytes(), np.int32(3): np.array(4)}
`
    const { python } = await run(code, { venvPath })
    assert.deepEqual(await python.call('measurement', { image: Buffer.from([1, 2, 3]) }), {
      ...{
        mean: 1.5,
        f32: 0.5,
        int: 7,
        bool: true,
        array: [
          [0, 1, 2],
          [3, 4, 5],
        ],
        nan: [null, 1],
        sum: 6,
        text: 'x',
      },
      ...{ raw: Buffer.from([1, 2, 3]), 3: 4 },
    })
    const error = await failure(
      run('import numpy as np\ndef on_measurement(d): return {"z": np.array([1j])}\n', { venvPath }).then(
        ({ python }) => python.call('measurement', {}),
      ),
    )
    assert.ok(error.cause.message.startsWith('result.z[0]'), error.cause.message)
  })

  it('what runs the script is written in the Python of 3.8', () => {
    const harness = readFileSync(join(root, 'native/src/action/python/harness.py'), 'utf8')
    const parse = 'import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 8))'
    const isOld = (input: string) => spawnSync(interpreter, ['-c', parse], { input }).status === 0
    assert.equal(isOld(harness), true)
    // Where this Python is of 3.8, it says so as well.
    assert.equal(isOld(`${harness}\nmatch MODULE:\n    case _: pass\n`), false)
  })

  it('every other Python of this machine runs it, from 3.8 on', async function () {
    const others = (process.env.MILLRACE_PYTHONS ?? '').split(':').filter(Boolean)
    if (others.length === 0) {
      console.log('\nSKIPPED action python with other versions: MILLRACE_PYTHONS names none\n')
      this.skip()
    }
    for (const other of others) {
      const { python } = await run(`async def on_alert(d): return d\n${ECHO}`, { interpreter: other })
      const data = { a: [1, Buffer.from('x')] }
      assert.deepEqual(await python.call('measurement', data), data)
      assert.deepEqual(await python.call('alert', data), data)
    }
  })
})

pythonSuite('python: reload', () => {
  afterEach(closeAll)

  /** Two writes within a tick of the file system's clock would look alike: the size differs in all of these. */
  async function reloaded(): Promise<{ python: action.Python; told: Told; own: string; scriptPath: string }> {
    const own = folder()
    file('helper.py', 'value = 1\n', own)
    const scriptPath = file('script.py', version('one'), own)
    const { python, told } = await run('', { scriptPath, autoReload: true })
    return { python, told, own, scriptPath }
  }
  const version = (name: string) => `
import helper
calls = 0
def initialize(config): print("initialize ${name}")
def shutdown(): print("shutdown ${name}")
def on_measurement(d):
    global calls
    calls += 1
    return ["${name}", helper.value, calls]
`

  it('swaps the script when its file changes, without a call, and not the process', async () => {
    const { python, told, scriptPath } = await reloaded()
    const [process] = python.status().processes
    assert.deepEqual(await python.call('measurement', {}), ['one', 1, 1])
    writeFileSync(scriptPath, version('number two'))
    await told.until(() => python.status().reloads === 1)
    assert.deepEqual(await python.call('measurement', {}), ['number two', 1, 1])
    assert.deepEqual(python.status().processes, [process])
    await python.close()
    assert.deepEqual(told.lines, ['initialize one', 'initialize number two', 'shutdown one', 'shutdown number two'])
  })

  it('swaps it when a module of its own folder changes', async () => {
    const { python, told, own } = await reloaded()
    file('helper.py', 'value = "changed"\n', own)
    await told.until(() => python.status().reloads === 1)
    assert.deepEqual(await python.call('measurement', {}), ['one', 'changed', 1])
  })

  for (const [title, breakIt, type] of [
    ['does not compile', (path: string) => writeFileSync(path, 'def broken(:\n'), 'SyntaxError'],
    [
      'fails in initialize',
      (path: string) => writeFileSync(path, 'def initialize(c): raise ValueError("no")\n'),
      'ValueError',
    ],
    [
      'imports what is not there',
      (path: string) => writeFileSync(path, 'import helper\nimport later\n'),
      'ModuleNotFoundError',
    ],
    ['is gone', (path: string) => rmSync(path), 'FileNotFoundError'],
  ] as [string, (path: string) => void, string][]) {
    it(`a version that ${title} leaves the old one running, and the next good one runs`, async () => {
      const { python, told, own, scriptPath } = await reloaded()
      await python.call('measurement', {})
      breakIt(scriptPath)
      await told.until(() => told.warnings.length === 1)
      assert.equal((told.warnings[0]?.cause as action.PythonProblem | undefined)?.type, type)
      assert.deepEqual(await python.call('measurement', {}), ['one', 1, 2])
      assert.equal(python.status().lastError, told.warnings[0])
      if (type === 'ModuleNotFoundError') file('later.py', 'def x(): pass\n', own)
      else writeFileSync(scriptPath, version('good again'))
      await told.until(() => python.status().reloads === 1)
      assert.equal(python.status().lastError, null)
    })
  }

  it('never shows half of a version while calls come', async () => {
    const own = folder()
    const both = (name: string) => `import helper\ndef on_measurement(d): return [${name}, helper.value]\n`
    const write = (value: number) => {
      // The helper first: a version is whole when the script has it.
      file('helper.py', `value = ${value}\n`, own)
      return file('script.py', both(`helper.value`), own)
    }
    const { python } = await run('', { scriptPath: write(0), autoReload: true })
    const seen = new Set<number>()
    for (let value = 1; seen.size < 3; value += 1) {
      write(value)
      for (let index = 0; index < 2000; index += 1) {
        const [one, other] = (await python.call('measurement', {})) as [number, number]
        assert.equal(one, other)
        seen.add(one)
      }
    }
  })

  it('leaves a script alone without the option', async () => {
    const scriptPath = file('script.py', version('one').replace('import helper', 'class helper: value = 1'))
    const { python } = await run('', { scriptPath })
    writeFileSync(scriptPath, 'broken(:')
    await new Promise((resolve) => setTimeout(resolve, 400))
    assert.deepEqual(await python.call('measurement', {}), ['one', 1, 1])
  })
})

pythonSuite('python: isolated and pool', () => {
  afterEach(closeAll)

  it('isolated: each call has its own process, which is gone when it is answered', async () => {
    const code = `
import os, subprocess
calls = 0
def initialize(c):
    global calls
    calls = c["from"]
def on_measurement(d):
    global calls
    calls += 1
    child = subprocess.Popen(["sleep", "1000"])
    return [calls, os.getpid(), child.pid, d]
`
    const { python } = await run(code, { mode: 'isolated', config: { from: 10 } })
    const calls = [1, Buffer.from('x'), 3].map((data) => python.call('measurement', data))
    const answers = (await Promise.all(calls)) as [number, number, number, unknown][]
    assert.deepEqual(
      answers.map(([count, , , data]) => [count, data]),
      [
        [11, 1],
        [11, Buffer.from('x')],
        [11, 3],
      ],
    )
    const pids = answers.flatMap(([, pid, child]) => [pid, child])
    assert.equal(new Set(pids).size, 6)
    await eventually(() => !pids.some(isAlive))
    assert.equal(python.status().restarts, 0)
  })

  it('isolated: a timeout ends the process with its children, and the next call is done', async () => {
    const code = `
import os, subprocess, time
def hang(path):
    child = subprocess.Popen(["sleep", "1000"])
    open(path, "w").write("%d %d" % (os.getpid(), child.pid))
    time.sleep(1000)
${ECHO}`
    const { python } = await run(code, { mode: 'isolated', timeoutMs: 500 })
    const path = join(folder(), 'pids')
    assert.equal((await failure(python.callFunction('hang', path))).code, 'TIMEOUT')
    assert.deepEqual(readFileSync(path, 'utf8').split(' ').map(Number).map(isAlive), [false, false])
    assert.equal(await python.call('measurement', 1), 1)
    assert.equal((await failure(python.callFunction('missing', 1))).cause.type, 'AttributeError')
  })

  it('isolated: a script that breaks later fails each call for itself', async () => {
    const scriptPath = file('script.py', ECHO)
    const { python } = await run('', { mode: 'isolated', scriptPath })
    writeFileSync(scriptPath, 'if:\n')
    for (let round = 0; round < 2; round += 1) {
      assert.equal((await failure(python.call('measurement', 1))).cause.type, 'SyntaxError')
    }
    writeFileSync(scriptPath, ECHO)
    assert.equal(await python.call('measurement', 2), 2)
  })

  it('pool: works at the same time, in order by source', async () => {
    const code = `
import os, random, time
seen = []
def on_measurement(d):
    time.sleep(random.random() * 0.002)
    seen.append(d)
    return [os.getpid(), d["source"], [one["n"] for one in seen if one["source"] == d["source"]]]
`
    const { python } = await run(code, { mode: 'pool', workers: 3 })
    assert.equal(python.status().processes.length, 3)
    const sources = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const calls = Array.from({ length: 210 }, (_, n) => {
      const source = sources[n % sources.length] as string
      return python.call('measurement', { source, n }, source) as Promise<[number, string, number[]]>
    })
    const answers = await Promise.all(calls)
    for (const source of sources) {
      const own = answers.filter(([, from]) => from === source)
      assert.equal(new Set(own.map(([pid]) => pid)).size, 1)
      const order = own.at(-1)?.[2] ?? []
      assert.deepEqual([order.length, order], [30, [...order].sort((a, b) => a - b)])
    }
    assert.ok(new Set(answers.map(([pid]) => pid)).size > 1)
    // Without a source they go around.
    const around = await Promise.all(Array.from({ length: 6 }, () => python.call('measurement', { source: 'x', n: 0 })))
    assert.equal(new Set((around as [number][]).map(([pid]) => pid)).size, 3)
  })

  it('pool: one worker that hangs holds up no other source', async () => {
    const code = 'import time\ndef on_measurement(d):\n    if d == "hang": time.sleep(1000)\n    return d\n'
    const { python } = await run(code, { mode: 'pool', workers: 2, timeoutMs: 1500 })
    // One of these goes to the other worker.
    const hung = python.call('measurement', 'hang', 'a')
    let isOver = false
    hung.catch(() => {
      isOver = true
    })
    const others = ['b', 'c', 'd', 'e', 'f', 'g'].map((source) => python.call('measurement', source, source))
    await Promise.race(others)
    assert.equal(isOver, false)
    assert.equal((await failure(hung)).code, 'TIMEOUT')
    assert.deepEqual(await Promise.all(others), ['b', 'c', 'd', 'e', 'f', 'g'])
  })

  it('closing lets the waiting calls finish, and ends what does not', async () => {
    const code =
      'import time\ndef on_measurement(s):\n    time.sleep(s)\n    return s\ndef shutdown(): print("shut down")\n'
    const { python, told } = await run(code)
    const calls = [0.01, 0.02, 0.03].map((seconds) => python.call('measurement', seconds))
    await python.close()
    assert.deepEqual(await Promise.all(calls), [0.01, 0.02, 0.03])
    assert.deepEqual(told.lines, ['shut down'])
    const stubborn = await run(code)
    const [pid] = stubborn.python.status().processes
    const endless = failure(stubborn.python.call('measurement', 1000))
    await stubborn.python.close()
    assert.equal((await endless).code, 'CLOSED')
    assert.equal(isAlive(pid as number), false)
  })
})
