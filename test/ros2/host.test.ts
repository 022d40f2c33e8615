import assert from 'node:assert/strict'
import os from 'node:os'
import { EngineError, ros2 } from '../../nodes'
import { type ContextConfig, contextConfig } from '../../nodes/ros2/context.config'
import { ContextHost, type User } from '../../nodes/ros2/host'
import { haveMoved } from '../../nodes/ros2/network'
import { Inbox, ros2Suite } from './rig'

const DOMAIN = 105

function configOf(saved: Record<string, unknown> = {}): ContextConfig {
  const given: Record<string, unknown> = { domain: DOMAIN, discovery: 'localhost', ...saved }
  const read = Object.entries(contextConfig.fields).map(([name, field]) => [name, field.read(given[name])])
  return Object.fromEntries(read)
}

/** Writes down what it is told. */
function userOf(open: (context: ros2.Context) => void = () => {}) {
  const inbox = new Inbox<string>()
  const user: User = {
    opened(context) {
      inbox.put('opened')
      open(context)
    },
    failed: ({ code }) => inbox.put(code),
    changed: () => inbox.put('changed'),
  }
  return { inbox, user }
}

ros2Suite('shared context', () => {
  const { open } = ros2.Context
  let opens = 0
  let reports: string[] = []
  let host: ContextHost

  /** The first openings go as these say; then as they really do. */
  function hostOf(...failures: (EngineError | undefined)[]): ContextHost {
    ros2.Context.open = async (...options) => {
      opens += 1
      const failure = failures.shift()
      if (failure) throw failure
      return open.apply(ros2.Context, options)
    }
    host = new ContextHost(configOf(), ({ code }) => reports.push(code))
    return host
  }

  beforeEach(() => {
    opens = 0
    reports = []
  })
  afterEach(async () => {
    ros2.Context.open = open
    await host.close()
  })

  it('opens with its first user, once for all', async () => {
    hostOf()
    assert.equal(opens, 0)
    const [one, other] = [userOf(), userOf()]
    host.join(one.user)
    host.join(other.user)
    await Promise.all([one.inbox.until(2), other.inbox.until(2)])
    const late = userOf()
    host.join(late.user)
    assert.deepEqual(late.inbox.all, ['opened'], 'at once')
    assert.deepEqual(one.inbox.all.slice(0, 2), ['opened', 'changed'])
    assert.equal(opens, 1)
  })

  it('is tried again where the network failed, and the failure is reported once', async () => {
    hostOf(new EngineError('TRANSPORT', 'no network'))
    const { inbox, user } = userOf()
    host.join(user)
    await inbox.until(2)
    assert.deepEqual(inbox.all.slice(0, 2), ['TRANSPORT', 'opened'])
    assert.deepEqual(reports, ['TRANSPORT'])
  })

  it('is not tried again where that would not help', async () => {
    hostOf(new EngineError('UNAVAILABLE', 'not in this build'))
    const [one, other] = [userOf(), userOf()]
    host.join(one.user)
    await one.inbox.until(1)
    host.join(other.user)
    assert.deepEqual(other.inbox.all, ['UNAVAILABLE'])
    assert.deepEqual([opens, reports], [1, ['UNAVAILABLE']])
  })

  it('opens anew where a user finds that the network is gone', async () => {
    hostOf()
    let calls = 0
    const { inbox, user } = userOf(() => {
      calls += 1
      if (calls === 1) throw new EngineError('TRANSPORT', 'no network')
    })
    host.join(user)
    await inbox.until(3)
    assert.deepEqual(inbox.all.slice(0, 3), ['opened', 'TRANSPORT', 'opened'])
    assert.equal(opens, 2)
  })

  it('tells its users when it closes, and whoever comes later', async () => {
    hostOf()
    const [one, late] = [userOf(), userOf()]
    host.join(one.user)
    await one.inbox.until(1)
    await host.close()
    host.join(late.user)
    assert.equal(one.inbox.all.at(-1), 'CLOSED')
    assert.deepEqual(late.inbox.all, ['CLOSED'])
    await assert.rejects(host.look(), { code: 'CLOSED' })
  })

  it('closes while it opens, without a trace', async () => {
    hostOf()
    const { inbox, user } = userOf()
    host.join(user)
    await host.close()
    assert.deepEqual(inbox.all, ['CLOSED'])
    const { inbox: again, user: next } = userOf()
    host = new ContextHost({ ...configOf(), peers: ['127.0.0.2'] }, () => {})
    host.join(next)
    assert.deepEqual((await again.until(1)).slice(0, 1), ['opened'], 'with other settings')
  })

  it('a look opens it, too', async () => {
    hostOf()
    const { nodes } = await host.look()
    assert.deepEqual(nodes, ['/millrace'])
    await host.look()
    assert.equal(opens, 1)
  })

  const moves: [string, string[], string[], boolean][] = [
    ['another address', ['10.0.0.1'], ['10.0.0.2'], true],
    ['another network, of two', ['10.0.0.1', '10.1.0.1'], ['10.0.0.1', '10.2.0.1'], true],
    ['the first address', [], ['10.0.0.1'], true],
    ['nothing new', ['10.0.0.1'], ['10.0.0.1'], false],
    ['a link that is down', ['10.0.0.1'], [], false],
    ['one address more', ['10.0.0.1'], ['10.0.0.1', '10.1.0.1'], false],
  ]
  for (const [title, before, now, expected] of moves) {
    it(`${expected ? 'opens anew for' : 'stays with'} ${title}`, () => {
      assert.equal(haveMoved(new Set(before), new Set(now)), expected)
    })
  }

  it('opens anew when the machine has another address', async () => {
    const { networkInterfaces } = os
    const at = (address: string) => ({ v0: [{ family: 'IPv4', internal: false, address }] }) as never
    try {
      os.networkInterfaces = () => at('10.0.0.1')
      // Nobody is looked for, so that this stays on the machine.
      host = new ContextHost(configOf({ domain: '151', discovery: 'off', interface: '' }), ({ code }) =>
        reports.push(code),
      )
      const { inbox, user } = userOf()
      host.join(user)
      await inbox.until(1)
      os.networkInterfaces = () => at('10.0.0.2')
      const opened = () => inbox.all.filter((event) => event === 'opened').length
      for (let count = 2; opened() < 2; count += 1) await inbox.until(count)
      assert.deepEqual(reports, ['TRANSPORT'])
      assert.ok(inbox.all.includes('TRANSPORT'))
    } finally {
      os.networkInterfaces = networkInterfaces
    }
  })

  it('what is left blank comes from the environment', () => {
    const { domain, discovery, peers, folders } = configOf({ domain: '', discovery: '', peers: '' })
    assert.deepEqual([domain, discovery, peers, folders], [null, '', [], []])
    const given = configOf({ peers: ' 10.0.0.1; 10.0.0.2\n10.0.0.3 ;', folders: '/a\n\n /b ' })
    assert.deepEqual(
      [given.peers, given.folders],
      [
        ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
        ['/a', '/b'],
      ],
    )
  })
})
