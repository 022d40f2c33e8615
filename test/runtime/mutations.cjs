// Messages that nobody should send, for a function node of a Node-RED under test.

const names = [
  ...['payload', 'topic', 'timestamp', 'parts', 'headers', 'params', 'error', 'query', 'reset', 'flush', 'command'],
  ...['sync', 'ros2', 'tasks', 'arrow', 'memory', 'options', 'kwargs', 'taskId', 'id', 'key', 'namespace', 'value'],
  ...['sourceNodeId', 'metadata', 'alertType', 'alertId', 'severity', 'data', 'message', 'windowMs', 'limit', 'type'],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'then', 'length', 'concentration_ppm'],
]

const leaves = [
  ...[undefined, null, true, false, 0, -0, 1, -1, 0.1, 2 ** 31, 2 ** 53, -(2 ** 63), 1e308, NaN, Infinity, -Infinity],
  ...[
    0n,
    1n << 62n,
    1n << 70n,
    '',
    ' ',
    '0',
    '1e3',
    'a',
    'start',
    'stop',
    'reset',
    'history',
    'noon',
    '\u0000',
    '\ud800',
  ],
  ...[
    '__proto__',
    '../../etc/passwd',
    '{}',
    '[1,',

    '{{{payload}}}',
    '/a/b',
    'std_msgs/msg/String',
    '(a+)+$',
  ],
  ...[
    'x'.repeat(10_000),
    new Date(0),
    new Date(NaN),
    /a/,
    Buffer.alloc(0),
    Buffer.from([0, 1, 0, 0]),
    Buffer.alloc(5000, 7),
  ],
  ...[
    new Float64Array(3),
    new ArrayBuffer(4),
    new Map([[1, 2]]),
    new Set([1]),
    Symbol('s'),
    () => 1,
    new Error('an error'),
  ],
]

/** A message of random parts; `random` gives numbers from 0 to 1. */
module.exports = function message(random) {
  const pick = (list) => list[Math.floor(random() * list.length)]
  const value = (depth) => {
    const kind = random()
    if (depth === 0 || kind < 0.6) return pick(leaves)
    if (kind < 0.75) return Array.from({ length: Math.floor(random() * 5) }, () => value(depth - 1))
    const made = kind < 0.95 ? {} : Object.create(null)
    for (let left = Math.floor(random() * 4); left > 0; left -= 1) {
      // As JSON.parse does: `__proto__` becomes a property of its own.
      Object.defineProperty(made, pick(names), { value: value(depth - 1), enumerable: true, writable: true })
    }
    if (random() < 0.02) made.self = made
    return made
  }
  const made = { _msgid: 'm', payload: value(3), topic: random() < 0.5 ? pick(['a', 'b', 'camera', 'add']) : value(0) }
  for (let left = Math.floor(random() * 4); left > 0; left -= 1)
    made[pick(names.filter((name) => name !== '__proto__'))] = value(3)
  return made
}
