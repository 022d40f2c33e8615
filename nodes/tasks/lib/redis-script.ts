/**
 * What happens in Redis, each call in one step. `KEYS[1]` is what all keys begin with; `ARGV` is the operation, the
 * defaults of the caller, and the operation's own arguments. An answer is `[value, owed, full, thrown]`: what follows tasks
 * that ended and is not begun, joins whose parts are all there, and whether (1) there are more messages of the stream
 * that nobody needs. Who gets them sees to that next; where it does not, `tick` hands them to another. The keys are in
 * docs/tasks-distributed.md.
 *
 * Redis does one command at a time, and Lua costs more than the commands: what a call reads and writes of many tasks
 * goes through Redis in one command, and a task is a list and not a map, which takes three times as long to make. It is
 * always called `t`, and `t.q` is written here for its place in the list.
 *
 * Time is that of Redis, so clocks of workers need not agree.
 */
export const source = (states: Record<string, readonly string[]>) =>
  `${tableOf(states)}\n${body.replace(/\bt\.(\w+)/g, (_, name) => `t${placeOf(name)}`)}`

/**
 * Where a task has what, in the order of its row. What many have in common is read once a call and shared: `own` is what
 * it has of the take that it was handed out by, `kind` what it was sent with. Behind the row: whether it changed in this call.
 */
const FIELDS = nest({
  ...{ st: 0, ca: 0, r: 0, dv: 0, tk: 0, dl: 0, sa: 0, le: 0, sq: 0, o: 0, du: 0, cr: 0, ex: 0 },
  own: ['gt', 'lm', 'tn', 'w', 'wn', 'ownRow'],
  kind: ['p', 'th', 'ig', 'mx', 'to', 'tt', 'n', 'q', 'rk', 'rt', 'kindRow', 'named'],
  ...{ pg: 0, at: 0, mg: 0, changed: 0 },
})

function nest(fields: Record<string, 0 | string[]>): Map<string, string> {
  const places = new Map<string, string>()
  for (const [place, [name, parts]] of Object.entries(fields).entries()) {
    places.set(name, `[${place + 1}]`)
    for (const [part, inner] of (parts || []).entries()) places.set(inner, `[${place + 1}][${part + 1}]`)
  }
  return places
}

function placeOf(name: string): string {
  const place = FIELDS.get(name)
  if (!place) throw new Error(`a task has no ${name}`)
  return place
}

/** The one table of what may become what, as Lua. */
function tableOf(states: Record<string, readonly string[]>): string {
  const rows = Object.entries(states).map(([state, next]) => {
    return `${state} = { ${next.map((name) => `${name} = true`).join(', ')} }`
  })
  return `local NEXT = { ${rows.join(', ')} }`
}

const body = String.raw`
local P, op = KEYS[1], ARGV[1]
local TTL, WINDOW = tonumber(ARGV[2]), tonumber(ARGV[3])
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local NOW = string.format('%.0f', now)
local SECOND = 's' .. time[1] % 60
local HELD = { received = true, started = true }
-- Tasks of a lane by priority, those of one priority by their order: both in one score, exact as a double.
local LEVEL = 17592186044416
local PATIENCE = 32
local AT_ONCE = 1000
local TAKES_AT_ONCE = 10
-- More than ends in the time from one tick to the next.
local PAGES = 50
-- A message up to here stands in the row of its task.
local SMALL = 1024
local GONE_MS = 30000
-- What the clock moves beside the time that passes means, from so much on, that it was set.
local SET_MS = 1000
local OWED_MS = 1000

local owed, full, thrown = {}, {}, 0
local ready, soonest = false, nil

local format = string.format
local function int(number) return format('%d', number) end
-- Names come again and again.
local quoted = {}
local function json(value)
  local text = quoted[value]
  if not text then
    text = cjson.encode(value)
    quoted[value] = text
  end
  return text
end

local function failure(code, message)
  return '{"type":"EngineError","message":' .. json(message) .. ',"code":"' .. code .. '"}'
end
local OFF = failure('REVOKED', 'the task was called off')

-- Counts of queues, written once a call.
local counts = {}
local function countsOf(queue)
  local of = counts[queue]
  if not of then of = {} counts[queue] = of end
  return of
end
local function bump(queue, field, by)
  local of = countsOf(queue)
  of[field] = (of[field] or 0) + by
end

local listening
local function isHeard()
  if listening == nil then listening = call('PUBSUB', 'NUMSUB', P .. 'events')[2] > 0 end
  return listening
end

local function event(kind, id, t, more)
  if listening == false or not isHeard() then return end
  call('PUBLISH', P .. 'events', '{"event":"' .. kind .. '","at":' .. NOW .. ',"id":"' .. id .. '","name":' .. json(t.n)
    .. ',"queue":' .. json(t.q) .. ',"state":"' .. t.st .. '","retries":' .. t.r .. (more or '') .. '}')
end

local function workerEvent(kind, name)
  if not isHeard() then return end
  call('PUBLISH', P .. 'events', '{"event":"' .. kind .. '","at":' .. NOW .. ',"worker":' .. json(name) .. '}')
end

local function each(list, run)
  for i = 1, #list, AT_ONCE do run(unpack(list, i, math.min(i + AT_ONCE - 1, #list))) end
end

-- A task is one value: how far it is, and what it was sent with. What is not there is -1 or an empty text, and here
-- false; texts have their lengths before them. (MessagePack takes three times as long.)
local ROW = '<BBI4I4' .. string.rep('d', 9) .. string.rep('I4c0', 5)
local OWN_ROW = '<dddI4c0I4c0'
local KIND_ROW = '<BBBdddI4c0I4c0I4c0I4c0'
local LIVE = { 'pending', 'scheduled', 'received', 'started', 'retry' }
local PLACE = {}
for i, state in ipairs(LIVE) do PLACE[state] = i end
local owns, kinds = { [''] = { -1, -1, -1, '', '', '' } }, {}
local function ownOf(row)
  local own = owns[row]
  if not own then
    own = { struct.unpack(OWN_ROW, row) }
    own[6] = row
    owns[row] = own
  end
  return own
end
local function kindOf(row)
  local kind = kinds[row]
  if not kind then
    local p, th, ig, mx, to, tt, n, q, rk, rt = struct.unpack(KIND_ROW, row)
    -- The part of a result that all of them have, too.
    local named = '","name":' .. json(n) .. ',"queue":' .. json(q) .. (rt ~= '' and ',"rootId":"' .. rt .. '"' or '') .. ',"result":'
    kind = { p, th == 1, ig == 1, mx, to >= 0 and to, tt >= 0 and tt, n, q, rk ~= '' and rk, rt ~= '' and rt, row, named }
    kinds[row] = kind
  end
  return kind
end
local function unpacked(value)
  local t = { struct.unpack(ROW, value) }
  t.st, t.ca, t.own, t.kind, t.changed = LIVE[t.st], t.ca == 1, ownOf(t.own), kindOf(t.kind), false
  if t.dl < 0 then t.dl = false end
  if t.sa < 0 then t.sa = false end
  if t.ex < 0 then t.ex = false end
  if t.pg == '' then t.pg = false end
  if t.at == '' then t.at = false end
  if t.mg == '' then t.mg = false end
  return t
end
local function packed(t)
  local own, kind, pg, at, mg = t.ownRow, t.kindRow, t.pg or '', t.at or '', t.mg or ''
  return struct.pack(ROW, PLACE[t.st], t.ca and 1 or 0, t.r, t.dv, t.tk, t.dl or -1, t.sa or -1, t.le, t.sq, t.o, t.du,
    t.cr, t.ex or -1, #own, own, #kind, kind, #pg, pg, #at, at, #mg, mg)
end

-- The tasks of this call (false: there is none), the ids of those that changed or are gone, and new messages.
local tasks, changed, messages = {}, {}, {}
local function fetch(ids)
  local place = 0
  each(ids, function(...)
    for _, value in ipairs(call('HMGET', P .. 't', ...)) do
      place = place + 1
      local id = ids[place]
      if tasks[id] == nil then tasks[id] = value and unpacked(value) end
    end
  end)
end
local function load(id)
  local t = tasks[id]
  if t == nil then
    local value = call('HGET', P .. 't', id)
    t = value and unpacked(value)
    tasks[id] = t
  end
  return t
end
local function save(id, t)
  if t.changed then return end
  t.changed = true
  changed[#changed + 1] = id
end
local function messageOf(id, t) return t.mg or messages[id] or call('HGET', P .. 'm', id) end

-- Members of sorted sets (a score; false: gone) and of sets (true, false), written together.
local scores, members = {}, {}
-- Members of sorted sets that go, each once a call: a list for each key, which costs less. What comes in the same call
-- and goes again is gone.
local leaving = {}
local function leave(key, member)
  local of = leaving[key]
  if not of then of = {} leaving[key] = of end
  of[#of + 1] = member
end
-- What ended in this call, by its state; how many of each take its worker has no more; numbers of the stream that go.
local ended, freed, trash = {}, {}, {}
local function put(all, key, member, value)
  local of = all[key]
  if not of then of = {} all[key] = of end
  of[member] = value
end
-- Those that follow on one another are one entry: the first is its score, first and last are its name.
local function sweepings()
  if #trash == 0 then return end
  for i = 2, #trash do
    if trash[i] < trash[i - 1] then table.sort(trash) break end
  end
  local add, first, last = {}, trash[1], trash[1]
  for i = 2, #trash + 1 do
    local seq = trash[i]
    if not seq or seq > last + 1 then
      add[#add + 1] = int(first) add[#add + 1] = int(first) .. '-' .. int(last)
      first = seq
    end
    last = seq
  end
  each(add, function(...) call('ZADD', P .. 'trash', ...) end)
  trash = {}
end
local function write()
  local rows, dropped, large, texts = {}, {}, {}, {}
  local n = 0
  for i = 1, #changed do
    local id = changed[i]
    local t = tasks[id]
    if t then
      rows[n + 1], rows[n + 2] = id, packed(t)
      n = n + 2
      t.changed = false
    else dropped[#dropped + 1] = id end
  end
  for id, text in pairs(messages) do
    if text then texts[#texts + 1] = id texts[#texts + 1] = text else large[#large + 1] = id end
  end
  each(dropped, function(...) call('HDEL', P .. 't', ...) end)
  each(large, function(...) call('HDEL', P .. 'm', ...) end)
  each(rows, function(...) call('HSET', P .. 't', ...) end)
  each(texts, function(...) call('HSET', P .. 'm', ...) end)
  changed, messages = {}, {}
  for key, of in pairs(scores) do
    local add, gone = {}, {}
    for member, score in pairs(of) do
      if score then add[#add + 1] = score add[#add + 1] = member else gone[#gone + 1] = member end
    end
    each(add, function(...) call('ZADD', P .. key, ...) end)
    each(gone, function(...) call('ZREM', P .. key, ...) end)
  end
  for key, of in pairs(members) do
    local add, gone = {}, {}
    for member, is in pairs(of) do
      if is then add[#add + 1] = member else gone[#gone + 1] = member end
    end
    each(add, function(...) call('SADD', P .. key, ...) end)
    each(gone, function(...) call('SREM', P .. key, ...) end)
  end
  for key, gone in pairs(leaving) do each(gone, function(...) call('ZREM', P .. key, ...) end) end
  for state, places in pairs(ended) do each(places, function(...) call('RPUSH', P .. 'ended:' .. state, ...) end) end
  for worker, takes in pairs(freed) do
    for number, by in pairs(takes) do
      local take = int(number)
      if call('HINCRBY', P .. 'c:' .. worker, take, -by) <= 0 then
        call('HDEL', P .. 'c:' .. worker, take)
        call('HDEL', P .. 'g:' .. worker, take)
        call('ZREM', P .. 'h:' .. worker, take)
      end
    end
  end
  scores, members, leaving, ended, freed = {}, {}, {}, {}, {}
  sweepings()
end

-- Numbers that go up, written once a call.
local metas
local function meta(name, value)
  if not metas then
    local saved = call('HMGET', P .. 'meta', 'order', 'token', 'upto')
    metas = { order = tonumber(saved[1] or 0), token = tonumber(saved[2] or 0), upto = tonumber(saved[3] or 0) }
  end
  if value then
    metas[name] = value
    metas.changed = true
  end
  return metas[name]
end

local function lane(t) return t.q .. '\31' .. t.n end

local function throw(seq)
  if seq and seq > 0 then
    trash[#trash + 1] = seq
    thrown = 1
  end
end

-- The one place where a state changes. False where the table forbids it. Who calls it saves the task.
local function step(t, to)
  local was = t.st
  if not NEXT[was][to] then return false end
  local of = countsOf(t.q)
  of[was] = (of[was] or 0) - 1
  if PLACE[to] then of[to] = (of[to] or 0) + 1 end
  if HELD[was] ~= HELD[to] then of.running = (of.running or 0) + (HELD[to] and 1 or -1) end
  t.st = to
  return true
end

local function timer(at, id)
  put(scores, 'timers', id, at)
  if not soonest or at < soonest then soonest = at end
end

-- Puts a task where it waits: in its lane, or among the timers.
local function wait(id, t)
  if t.st == 'pending' then
    put(scores, 'l:' .. lane(t), id, (9 - t.p) * LEVEL + t.o)
    ready = true
    if t.ex then timer(t.ex, id) elseif t.du > 0 then put(scores, 'timers', id, false) end
  else
    timer(math.min(t.du, t.ex or t.du), id)
  end
end

-- Takes a task from its worker: when it was begun, and the worker's name.
local function release(id, t)
  if not HELD[t.st] then return nil, nil end
  local takes = freed[t.w]
  if not takes then takes = {} freed[t.w] = takes end
  takes[t.tn] = (takes[t.tn] or 0) + 1
  return t.sa or t.gt, t.wn
end

local function tellWorker(t, what)
  local instance = t.w ~= '' and call('HGET', P .. 'k:' .. t.w, 'i')
  if instance then call('PUBLISH', P .. 'i:' .. instance, what .. ' ' .. t.w .. ' ' .. int(t.tk)) end
end

local function addAttempt(t, started, worker, error)
  local text = '{"startedAt":' .. int(started or now) .. ',"endedAt":' .. NOW .. ',"workerId":'
    .. json(worker or '') .. ',"error":' .. error .. '}'
  t.at = t.at and (t.at .. ',' .. text) or text
end

local function forget(id, t)
  tasks[id] = false
  changed[#changed + 1] = id
  if not t.mg then messages[id] = false end
  leave('live', id)
  if t.ex or t.du > 0 then put(scores, 'timers', id, false) end
  if t.rk then put(scores, 'p:' .. t.rk, id, false) end
  if t.rt then put(members, 'fl:' .. t.rt, id, false) end
end

-- Results of this call, for who waits for them.
local news = {}
local function announce()
  if not next(news) or call('EXISTS', P .. 'watched') == 0 then return end
  local ids = {}
  for id in pairs(news) do ids[#ids + 1] = id end
  local place, heard = 0, {}
  each(ids, function(...)
    for _, is in ipairs(call('HMGET', P .. 'watched', ...)) do
      place = place + 1
      if is then heard[#heard + 1] = ids[place] end
    end
  end)
  for _, id in ipairs(heard) do call('PUBLISH', P .. 'w:' .. id, news[id]) end
  each(heard, function(...) call('HDEL', P .. 'watched', ...) end)
end

-- Records a result, the first one.
local function keep(id, state, text, ttl)
  if ttl > 0 then
    if not call('SET', P .. 'r:' .. id, text, 'PX', ttl == TTL and ARGV[2] or int(ttl), 'NX') then return end
    local places = ended[state]
    if not places then places = {} ended[state] = places end
    places[#places + 1] = NOW .. ':' .. id
  end
  news[id] = text
end

local function countInFlow(root, success)
  if root and call('EXISTS', P .. 'f:' .. root) == 1 then
    call('HINCRBY', P .. 'f:' .. root, success and 'completed' or 'failed', 1)
  end
end

local function isCancelled(root)
  return root and call('HGET', P .. 'f:' .. root, 'cancelled') == '1'
end

-- A result's times, up to its retries.
local function times(started)
  return ',"startedAt":' .. (started and int(started) or 'null') .. ',"completedAt":' .. NOW .. ',"runtimeMs":'
    .. (started and int(now - started) or 'null') .. ',"retries":'
end
local ENDED_AT_ONCE = times(now)

local finished = {}
local KIND = { success = 'succeeded', failure = 'failed', revoked = 'revoked', expired = 'expired', dead = 'dead' }

-- An error, as a workflow passes it on.
local function failed(id, name, error)
  return '{"error":' .. error:sub(1, -2) .. ',"taskId":"' .. id .. '","taskName":' .. json(name) .. '}}'
end
-- What follows a task is to be begun: see settle.
local function owe(key, message, outcome, root, seq)
  call('HSET', P .. 'o:' .. key, 'm', message, 'oc', outcome, 'rt', root or '', 'sq', seq)
  put(scores, 'owed', key, now)
  owed[#owed + 1] = key
end

-- The first final state is recorded; a second one changes nothing.
local function finish(id, t, state, result, error)
  local was = t.st
  if not NEXT[was][state] then return false end
  local started, worker = release(id, t)
  step(t, state)
  if was == 'pending' then put(scores, 'l:' .. lane(t), id, false) end
  if error and (t.at or state == 'dead') then addAttempt(t, started, worker, error) end
  -- Numbers become text slowly; most tasks end in the ms in which they are known to have begun, at the first attempt.
  local text = '{"id":"' .. id .. '","state":"' .. state .. t.named .. (result or 'null') .. ',"error":' .. (error or 'null')
    .. ',"createdAt":' .. int(t.cr)
    .. (started == now and ENDED_AT_ONCE or times(started)) .. (t.r == 0 and '0' or t.r)
    .. ',"workerId":' .. (worker and json(worker) or 'null') .. ',"progress":' .. (t.pg or 'null')
    .. (t.at and (',"attempts":[' .. t.at .. ']') or '') .. '}'
  local message = (t.th or state == 'dead') and messageOf(id, t)
  if state == 'dead' then
    call('HSET', P .. 'd:' .. id, 'm', message, 'r', text, 'q', t.q, 'n', t.n, 'sq', t.sq, 'at', t.at, 'died', int(now))
    put(scores, 'dead', id, now)
    bump(t.q, 'dead', 1)
  end
  local ignored = t.ig and state == 'success'
  keep(id, state, text, ignored and 0 or (t.tt or TTL))
  event(KIND[state], id, t)
  bump(t.q, 'finished', 1)
  bump(t.q, SECOND, 1)
  if worker then finished[t.w] = (finished[t.w] or 0) + 1 end
  forget(id, t)
  countInFlow(t.rt, state == 'success')
  if t.th then
    local outcome = error and failed(id, t.n, error) or '{"result":' .. (result or 'null') .. '}'
    owe(id, message, outcome, t.rt, state == 'dead' and 0 or t.sq)
  elseif state ~= 'dead' then
    throw(t.sq)
  end
  return true
end

local function expire(id, t)
  finish(id, t, 'expired', nil, failure('EXPIRED', 'nobody began the task before it expired'))
end

-- Which messages of the stream are known: all up to a number, and some behind it.
local function mark(seq)
  local upto = meta('upto')
  if seq <= upto then return end
  if seq > upto + 1 then put(scores, 'ahead', int(seq), seq) return end
  meta('upto', seq)
end

-- Those behind it that now follow.
local function absorb()
  if not metas or not metas.changed then return end
  local upto = metas.upto
  while true do
    local page = call('ZRANGE', P .. 'ahead', 0, AT_ONCE - 1)
    local before = upto
    for _, seq in ipairs(page) do
      if tonumber(seq) > upto + 1 then break end
      upto = math.max(upto, tonumber(seq))
    end
    if upto == before then break end
    call('ZREMRANGEBYSCORE', P .. 'ahead', '-inf', upto)
  end
  metas.upto = upto
end

-- The dead are kept longer than their results.
local function resultOf(id) return call('GET', P .. 'r:' .. id) or call('HGET', P .. 'd:' .. id, 'r') end

-- Whether something is known of an id beside a task that is not finished.
local function isOver(id) return call('EXISTS', P .. 'r:' .. id, P .. 'd:' .. id, P .. 'o:' .. id) > 0 end

local lanes = {}
-- Makes a task of a message. The id of the task that it repeats, or nothing. unseen: none of its call is over.
local function enrol(h, message, seq, attempts, unseen)
  local id = h.id
  local t = load(id)
  if t or (not unseen and isOver(id)) then
    local kept = t and t.sq or tonumber(call('HGET', P .. 'd:' .. id, 'sq') or call('HGET', P .. 'o:' .. id, 'sq') or -1)
    if kept ~= seq then throw(seq) end
    return id
  end
  if h.idempotencyKey then
    local key = P .. 'once:' .. h.idempotencyKey
    local first = call('GET', key)
    if first and first ~= id then throw(seq) return first end
    local window = h.idempotencyWindowMs or WINDOW
    if window > 0 then call('SET', key, id, 'PX', int(window)) end
  end
  local due = h.eta or 0
  local small = #message <= SMALL
  if not small then messages[id] = message end
  local rk, rt = h.rateKey or '', h.rootId or ''
  local kind = struct.pack(KIND_ROW, h.priority, h['then'] and 1 or 0, h.ignoreResult and 1 or 0, h.maxRetries, h.timeoutMs or -1,
    h.resultTtlMs or -1, #h.name, h.name, #h.queue, h.queue, #rk, rk, #rt, rt)
  t = {
    due > now and 'scheduled' or 'pending', false, 0, 0, -1, false, false, -1, seq, meta('order', meta('order') + 1), due,
    h.createdAt or now, h.expires or false, ownOf(''), kindOf(kind), false, attempts or false, small and message, false,
  }
  tasks[id] = t
  save(id, t)
  put(scores, 'live', id, t.o)
  local place = lane(t)
  if not lanes[place] then
    lanes[place] = true
    if call('SADD', P .. 'lanes', place) == 1 then
      call('SADD', P .. 'queues', t.q)
      call('PUBLISH', P .. 'wake', 'lanes')
    end
  end
  if t.rt then put(members, 'fl:' .. t.rt, id, true) end
  bump(t.q, t.st, 1)
  event('sent', id, t)
  wait(id, t)
  return nil, t
end

-- Leaves what a failed task's worker told. The wait is in ms.
local function again(id, t, after, error)
  local started, worker = release(id, t)
  addAttempt(t, started, worker, error)
  step(t, 'retry')
  t.r, t.du = t.r + 1, now + after
  t.pg = false
  save(id, t)
  event('retried', id, t, ',"due":' .. int(t.du))
  wait(id, t)
end

-- Its worker is gone: that was an attempt.
local function lost(id, t)
  local error = failure('WORKER_LOST', 'the worker was not heard of until its lease ended')
  if t.r >= t.mx then return finish(id, t, 'dead', nil, error) end
  local started, worker = release(id, t)
  addAttempt(t, started, worker, error)
  step(t, 'pending')
  t.r = t.r + 1
  t.pg = false
  save(id, t)
  event('retried', id, t, ',"reason":"lost"')
  wait(id, t)
end

local function begin(id, t)
  if t.st ~= 'received' then return end
  step(t, 'started')
  t.sa = now
  event('started', id, t)
end

-- Token buckets: of a task's name, a queue, a key, a worker.
local buckets = {}
local limited = nil
local function bucket(key, like)
  if limited == nil then limited = call('EXISTS', P .. 'rates') == 1 end
  if not limited then return nil end
  if buckets[key] ~= nil then return buckets[key] or nil end
  local rate = call('HGET', P .. 'rates', key) or (like and call('HGET', P .. 'rates', like))
  if not rate then buckets[key] = false return nil end
  rate = cjson.decode(rate)
  local most = type(rate.burst) == 'number' and rate.burst or math.max(rate.perSecond, 1)
  local saved = call('HMGET', P .. 'b:' .. key, 'tokens', 'at')
  local tokens = tonumber(saved[1] or most)
  local passed = math.max(0, now - tonumber(saved[2] or now)) / 1000
  local b = { tokens = math.min(most, tokens + passed * rate.perSecond), perSecond = rate.perSecond, most = most }
  buckets[key] = b
  return b
end
-- Sums of fractions end a hair below one.
local function has(b) return not b or b.tokens >= 1 - 1e-6 end
local function bucketsOf(queue, name)
  local all = { bucket('q' .. queue) }
  all[#all + 1] = bucket('t' .. name)
  return all
end
local function nextToken(b) return now + math.max(1, math.ceil((1 - b.tokens) / b.perSecond * 1000)) end

-- The workflow of a task that is known; a step that is repeated finds its own.
local function rootOf(id)
  local t = load(id)
  if t then return t.rt end
  return call('HGET', P .. 'o:' .. id, 'rt') or (resultOf(id) or ''):match('"rootId":"([^"]+)"')
end

-- What waits for a part whose id another task has would wait for ever.
local function refusePart(h, message)
  local key = h.id .. ':' .. h.rootId
  if not h['then'] or call('EXISTS', P .. 'o:' .. key) == 1 then return end
  countInFlow(h.rootId, false)
  local text = 'a part has the id ' .. h.id .. ', which another task has; leave it out, or make a new one'
  owe(key, message, failed(h.id, h.name, failure('INVALID_WORKFLOW', text)), h.rootId, 0)
end

local function effects(root, at)
  local function arg() at = at + 1 return ARGV[at] end
  for _ = 1, tonumber(arg()) do
    local id, count, definition = arg(), arg(), arg()
    if call('EXISTS', P .. 'j:' .. id) == 0 then
      call('HSET', P .. 'j:' .. id, 'def', definition, 'count', count, 'left', count, 'root', root or '')
    end
  end
  for _ = 1, tonumber(arg()) do
    local id, index, outcome = arg(), arg(), arg()
    local key = P .. 'j:' .. id
    if call('EXISTS', key) == 1 and call('HSETNX', key, 'p' .. index, outcome) == 1 then
      if call('HINCRBY', key, 'left', -1) == 0 then
        put(scores, 'full', id, now)
        full[#full + 1] = id
      end
    end
  end
  for _ = 1, tonumber(arg()) do
    local id, state, result, error, name = arg(), arg(), arg(), arg(), arg()
    if name ~= '' then countInFlow(root, false) end
    local flow = call('HMGET', P .. 'f:' .. id, 'total', 'completed', 'failed', 'createdAt', 'cancelled', 'sq')
    local whole = ''
    if flow[1] then
      whole = ',"workflow":{"total":' .. flow[1] .. ',"completed":' .. flow[2] .. ',"failed":' .. flow[3]
        .. ',"createdAt":' .. flow[4] .. ',"cancelled":' .. (flow[5] == '1' and 'true' or 'false') .. '}'
      call('DEL', P .. 'f:' .. id)
      put(scores, 'flows', id, false)
      throw(tonumber(flow[6]))
    end
    -- A task that has the id and is none of the workflow will have a result of its own.
    if not load(id) then keep(id, state, '{"id":"' .. id .. '","state":"' .. state .. '","name":' .. (name ~= '' and json(name) or 'null')
      .. ',"rootId":' .. (root and ('"' .. root .. '"') or 'null') .. ',"result":' .. (result ~= '' and result or 'null')
      .. ',"error":' .. (error ~= '' and error or 'null') .. ',"completedAt":' .. NOW .. whole .. '}', TTL) end
  end
  local cancelled = isCancelled(root)
  for _ = 1, tonumber(arg()) do
    local head, message = arg(), arg()
    local h = cjson.decode(head)
    local duplicate, t = enrol(h, message, 0)
    if duplicate and rootOf(h.id) ~= h.rootId then refusePart(h, message)
    elseif cancelled and not duplicate then finish(h.id, t, 'revoked', nil, OFF) end
  end
end

-- Brings back tasks whose key has tokens again.
local function unpark()
  local due = nil
  for _, key in ipairs(call('SMEMBERS', P .. 'parked')) do
    local b = bucket('k' .. key, 'k*')
    local count = b and math.floor(b.tokens + 1e-6) or -1
    if count ~= 0 then
      for _, id in ipairs(call('ZRANGE', P .. 'p:' .. key, 0, count > 0 and count - 1 or -1)) do
        put(scores, 'p:' .. key, id, false)
        local t = load(id)
        if t and t.st == 'pending' then wait(id, t) end
      end
      write()
    end
    if call('EXISTS', P .. 'p:' .. key) == 0 then call('SREM', P .. 'parked', key)
    elseif b then due = math.min(due or math.huge, nextToken(b)) end
  end
  return due
end

local ops = {}

-- [head, message, number in the stream]…: the ids of the tasks that they repeat, or ''.
function ops.enrol(at)
  local heads, ids, ends, over = {}, {}, {}, 0
  for i = at, #ARGV, 3 do
    local h = cjson.decode(ARGV[i])
    heads[#heads + 1] = h
    ids[#ids + 1] = h.id
    for _, kind in ipairs({ 'r:', 'd:', 'o:' }) do ends[#ends + 1] = P .. kind .. h.id end
  end
  fetch(ids)
  each(ends, function(...) over = over + call('EXISTS', ...) end)
  local repeats = {}
  for i, h in ipairs(heads) do
    local seq = tonumber(ARGV[at + i * 3 - 1])
    repeats[i] = enrol(h, ARGV[at + i * 3 - 2], seq, nil, over == 0) or ''
    if seq > 0 then mark(seq) end
  end
  return repeats
end

-- id, number in the stream, tasks (0: one alone), effects: 1 where it was one already.
function ops.workflow(at)
  local id, seq, total = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  mark(seq)
  local t = load(id)
  if t or isOver(id) or call('EXISTS', P .. 'f:' .. id) == 1 then
    local kept = t and t.sq or tonumber(call('HGET', P .. 'f:' .. id, 'sq') or call('HGET', P .. 'd:' .. id, 'sq') or call('HGET', P .. 'o:' .. id, 'sq') or -1)
    if kept ~= seq then throw(seq) end
    return 1
  end
  if total > 0 then
    call('HSET', P .. 'f:' .. id, 'total', total, 'completed', 0, 'failed', 0, 'createdAt', int(now), 'cancelled', 0, 'sq', int(seq))
    put(scores, 'flows', id, now)
  end
  effects(id, at + 2)
  t = total == 0 and load(id)
  if t then
    t.sq = seq
    save(id, t)
  end
  return 0
end

-- id, effects: what follows a task that ended.
function ops.settle(at)
  local id = ARGV[at]
  local debt = call('HMGET', P .. 'o:' .. id, 'rt', 'sq')
  if not debt[1] then return 0 end
  call('DEL', P .. 'o:' .. id)
  put(scores, 'owed', id, false)
  effects(debt[1] ~= '' and debt[1] or nil, at)
  throw(tonumber(debt[2]))
  return 1
end

-- id: what is needed to go on behind a task that ended.
function ops.debt(at)
  local debt = call('HMGET', P .. 'o:' .. ARGV[at], 'm', 'oc', 'rt')
  return { debt[1], debt[2], debt[3], isCancelled(debt[3]) and 1 or 0 }
end

-- id: a join and its outcomes.
function ops.join(at)
  local key = P .. 'j:' .. ARGV[at]
  local head = call('HMGET', key, 'def', 'count', 'root')
  if not head[1] then return {} end
  local answer = { head[1], isCancelled(head[3]) and 1 or 0 }
  for index = 0, tonumber(head[2]) - 1 do answer[#answer + 1] = call('HGET', key, 'p' .. index) end
  return answer
end

-- id, effects: what follows a join.
function ops.pass(at)
  local key = P .. 'j:' .. ARGV[at]
  local root = call('HGET', key, 'root')
  if not root then return 0 end
  call('DEL', key)
  put(scores, 'full', ARGV[at], false)
  effects(root ~= '' and root or nil, at)
  return 1
end

-- worker, name, lease, room, how often each priority was passed over, lanes…: when a limit lets more
-- through, how many lanes there are, what was passed over, the token of the first (the others follow), then messages:
-- with retries and deliveries before them where they are not 0 and 1, and before those of a lane its place.
function ops.take(at)
  local worker, name = ARGV[at], ARGV[at + 1]
  local lease, room = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local passed = cjson.decode(ARGV[at + 4])
  local due = unpark() or math.huge
  local rate = bucket('w' .. worker)
  local queues, heads = {}, {}
  for i = at + 5, #ARGV do
    local name = 'l:' .. ARGV[i]
    local key = P .. name
    local head = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if #head > 0 then
      local q, n = ARGV[i]:match('^(.-)\31(.*)$')
      local queue = queues[q]
      if not queue then
        local saved = call('HMGET', P .. 'q:' .. q, 'paused', 'limit', 'running')
        queue = { paused = saved[1] == '1', limit = tonumber(saved[2] or 'inf'), running = tonumber(saved[3] or 0) }
        queues[q] = queue
        queue.running = queue.running + (counts[q] and counts[q].running or 0)
      end
      if not queue.paused then
        local lane = { name = name, place = i - at - 5, queue = queue, buckets = bucketsOf(q, n) }
        while #head > 0 do
          local level = math.floor(head[2] / LEVEL)
          local upto = int((level + 1) * LEVEL)
          heads[#heads + 1] = { lane = lane, level = level, at = 1, from = head[2], upto = upto }
          head = call('ZRANGEBYSCORE', key, upto, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
        end
      end
    end
  end
  local only = #heads == 1
  local all = {}
  for _, head in ipairs(heads) do
    local key = P .. head.lane.name
    local found = call('ZRANGEBYSCORE', key, head.from, '(' .. head.upto, 'WITHSCORES', 'LIMIT', 0, room)
    local ids, scores = {}, {}
    for i = 1, #found, 2 do
      local place = (i + 1) / 2
      ids[place] = found[i]
      -- Where there is but one there is nothing to compare.
      if not only then scores[place] = tonumber(found[i + 1]) end
    end
    head.found, head.ids, head.scores = found, ids, scores
    if only then all = ids end
  end
  fetch(all)
  local taken, bodies, large, places, number, own, first = {}, {}, {}, {}, nil, nil, math.huge
  local place, token = nil, meta('token')
  local function isFree(lane)
    local free = lane.queue.running < lane.queue.limit
    for _, b in ipairs(lane.buckets) do
      if free and not has(b) then
        free = false
        due = math.min(due, nextToken(b))
      end
    end
    return free
  end
  -- The first of each priority, and of these the highest; a lower one that was passed over too often goes before.
  local function choose()
    if only then return heads[1].ids[heads[1].at] and isFree(heads[1].lane) and heads[1] end
    local first, highest, chosen = {}, nil, nil
    for _, head in ipairs(heads) do
      local score = head.scores[head.at]
      local best = first[head.level]
      if score and (not best or score < best.scores[best.at]) and isFree(head.lane) then first[head.level] = head end
    end
    for level = 0, 9 do
      if first[level] then
        if not highest then highest = level
        else passed[level + 1] = passed[level + 1] + 1 end
      end
    end
    if not highest then return nil end
    for level = 9, highest + 1, -1 do
      if first[level] and not chosen and passed[level + 1] > PATIENCE then chosen = level end
    end
    return first[chosen or highest]
  end
  while #bodies < room do
    if not has(rate) then due = math.min(due, nextToken(rate)) break end
    local head = choose()
    if not head then break end
    local lane = head.lane
    passed[head.level + 1] = 0
    local id = head.ids[head.at]
    head.at = head.at + 1
    local t = load(id)
    local key = t and t.rk and bucket('k' .. t.rk, 'k*')
    -- Its timer comes behind this.
    if t and t.ex and t.ex <= now then expire(id, t)
    elseif t and key and not has(key) then
      put(scores, 'p:' .. t.rk, id, t.o)
      call('SADD', P .. 'parked', t.rk)
      due = math.min(due, nextToken(key))
    elseif t and step(t, 'received') then
      for _, b in ipairs(lane.buckets) do b.tokens = b.tokens - 1 end
      if key then key.tokens = key.tokens - 1 end
      if rate then rate.tokens = rate.tokens - 1 end
      lane.queue.running = lane.queue.running + 1
      local ends = now + lease
      t.dl = t.to and now + t.to
      if t.dl then ends = math.min(ends, t.dl) end
      token = token + 1
      if not number then
        number = token
        own = ownOf(struct.pack(OWN_ROW, now, lease, number, #worker, worker, #name, name))
      end
      first = math.min(first, ends)
      t.tk, t.dv, t.own, t.sa, t.ca, t.le = token, t.dv + 1, own, false, false, ends
      save(id, t)
      if t.ex then put(scores, 'timers', id, false) end
      event('received', id, t)
      bodies[#bodies + 1] = id
      if place ~= lane.place then
        place = lane.place
        taken[#taken + 1] = place
      end
      -- Most are handed out for the first time.
      local before = (t.r > 0 or t.dv > 1) and (t.r .. ' ' .. t.dv .. ' ') or ''
      taken[#taken + 1] = t.mg and before .. t.mg or before
      if not t.mg then large[#large + 1] = id places[#places + 1] = #taken end
    end
  end
  -- What left its lane are the first of each head.
  for _, head in ipairs(heads) do
    if head.at > 1 then call('ZREMRANGEBYSCORE', P .. head.lane.name, head.from, head.found[2 * head.at - 2]) end
  end
  local from = 0
  each(large, function(...)
    for i, body in ipairs(call('HMGET', P .. 'm', ...)) do taken[places[from + i]] = taken[places[from + i]] .. body end
    from = from + AT_ONCE
  end)
  if number then
    meta('token', token)
    local take = int(number)
    call('HSET', P .. 'g:' .. worker, take, table.concat(bodies, ' '))
    call('HSET', P .. 'c:' .. worker, take, #bodies)
    call('ZADD', P .. 'h:' .. worker, int(first), take)
    call('SADD', P .. 'holders', worker)
    soonest = math.min(soonest or math.huge, first)
  end
  return { due < math.huge and int(math.ceil(due - now)) or '', call('SCARD', P .. 'lanes'), cjson.encode(passed), number or 0, taken }
end

-- [kind, id, token, payload, more]…: 0 where it came too late, 2 where the task was called off, else 1.
function ops.report(at)
  local answers, ids = {}, {}
  for i = at, #ARGV, 5 do ids[#ids + 1] = ARGV[i + 1] end
  fetch(ids)
  for i = at, #ARGV, 5 do
    local kind, id, token, payload, more = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
    local t = load(id)
    local answer = 1
    if not t or not HELD[t.st] or t.tk ~= tonumber(token) then
      -- A report whose answer was lost with the connection comes twice.
      local text = kind == 'done' and call('GET', P .. 'r:' .. id)
      local own = text and text:find('"state":"success"', 1, true) and text:find('"workerId":' .. json(more), 1, true)
      answer = own and 1 or 0
    elseif kind == 'done' then
      if isHeard() then begin(id, t) elseif t.st == 'received' then t.sa = now end
      finish(id, t, 'success', payload)
    elseif (kind == 'end' or kind == 'again') and t.ca then
      finish(id, t, 'revoked', nil, OFF)
    elseif kind == 'end' then
      finish(id, t, more, nil, payload)
    elseif kind == 'again' then
      again(id, t, tonumber(more), payload)
    elseif kind == 'started' then
      if t.st == 'received' then t.le = math.min(now + t.lm, t.dl or math.huge) end
      begin(id, t)
      save(id, t)
    elseif kind == 'revoked' then
      finish(id, t, 'revoked', nil, OFF)
    elseif kind == 'give-back' and t.dl and t.dl <= now then
      answer = 0
    elseif kind == 'give-back' then
      release(id, t)
      step(t, 'pending')
      t.dv = t.dv - 1
      save(id, t)
      wait(id, t)
    else
      if kind == 'progress' then
        t.pg = payload
        event('progress', id, t, ',"progress":' .. payload)
      end
      t.le = math.min(now + t.lm, t.dl or math.huge)
      save(id, t)
      if t.ca then answer = 2 end
    end
    answers[#answers + 1] = answer
  end
  return answers
end

-- worker, instance, JSON of it, its rate or '': it is there.
function ops.open(at)
  local worker = ARGV[at]
  call('HSET', P .. 'k:' .. worker, 'i', ARGV[at + 1], 'info', ARGV[at + 2], 'finished', 0, 'since', int(now))
  call('ZADD', P .. 'takers', now, worker)
  if ARGV[at + 3] ~= '' then call('HSET', P .. 'rates', 'w' .. worker, ARGV[at + 3]) end
  workerEvent('worker-online', cjson.decode(ARGV[at + 2]).name)
  return 1
end

local function gone(worker)
  local info = call('HGET', P .. 'k:' .. worker, 'info')
  if info then workerEvent('worker-offline', cjson.decode(info).name) end
  call('DEL', P .. 'k:' .. worker, P .. 'b:w' .. worker)
  call('HDEL', P .. 'rates', 'w' .. worker)
  call('ZREM', P .. 'takers', worker)
end

function ops.close(at) gone(ARGV[at]) return 1 end

function ops.drain(at) call('HSET', P .. 'k:' .. ARGV[at], 'draining', 1) return 1 end

-- What a worker still has of what it took together.
local function idsOf(worker, take)
  local ids, held = {}, {}
  for id in (call('HGET', P .. 'g:' .. worker, take) or ''):gmatch('%S+') do ids[#ids + 1] = id end
  fetch(ids)
  for _, id in ipairs(ids) do
    local t = load(id)
    if t and HELD[t.st] and t.w == worker and int(t.tn) == take then held[#held + 1] = id end
  end
  return held
end

-- worker…: they are there. Those that nobody knows any more, and for each what is held for it: worker, id, token.
function ops.alive(at)
  local unknown, held = {}, {}
  for i = at, #ARGV do
    local info = call('HGET', P .. 'k:' .. ARGV[i], 'info')
    if info then
      call('ZADD', P .. 'takers', now, ARGV[i])
      workerEvent('worker-heartbeat', cjson.decode(info).name)
    else unknown[#unknown + 1] = ARGV[i] end
    for _, take in ipairs(call('HKEYS', P .. 'g:' .. ARGV[i])) do
      for _, id in ipairs(idsOf(ARGV[i], take)) do
        local t = load(id)
        for _, value in ipairs({ ARGV[i], id, int(t.tk) }) do held[#held + 1] = value end
      end
    end
  end
  return { unknown, held }
end

-- The clock was set: what counts from a moment, and not to a time of day, goes on as if it had not been. Some of it may
-- be of the new time already, so nothing lies further ahead than it can.
local function moveTimes(by)
  local ahead = math.max(0, by)
  for _, worker in ipairs(call('SMEMBERS', P .. 'holders')) do
    for _, take in ipairs(call('ZRANGE', P .. 'h:' .. worker, 0, -1)) do
      local first = now
      for place, id in ipairs(idsOf(worker, take)) do
        local t = load(id)
        t.le = math.min(t.le + ahead, now + t.lm)
        if t.dl then
          t.dl = math.min(t.dl + ahead, now + t.to)
          t.le = math.min(t.le, t.dl)
        end
        if t.sa then t.sa = math.min(t.sa + ahead, now) end
        save(id, t)
        first = place == 1 and t.le or math.min(first, t.le)
      end
      put(scores, 'h:' .. worker, take, int(first))
    end
  end
  for _, key in ipairs({ 'takers', 'owed', 'full' }) do
    local saved = call('ZRANGE', P .. key, 0, -1, 'WITHSCORES')
    for i = 1, #saved, 2 do put(scores, key, saved[i], int(math.min(saved[i + 1] + ahead, now))) end
  end
  call('HDEL', P .. 'gap', 'at')
  local saved = call('HGETALL', P .. 'scheduled')
  for i = 1, #saved, 2 do
    local every = cjson.decode(saved[i + 1]).schedule.everyMs
    local due = call('ZSCORE', P .. 'scheduledAt', saved[i])
    if type(every) == 'number' and due and tonumber(due) > now + every then
      put(scores, 'scheduledAt', saved[i], int(now + every))
    end
  end
  write()
end

-- ms since this caller let time pass before, or '': ms until the next cause (or ''), names of periodic tasks that are
-- due, then id, token, retries and message of each task whose time is over.
function ops.tick(at)
  local before = tonumber(call('HGET', P .. 'meta', 'tick') or NOW)
  -- A Redis without room lets time pass, too.
  redis.pcall('HSET', P .. 'meta', 'tick', NOW)
  local by = now - before
  if by > 0 then by = ARGV[at] ~= '' and math.max(0, by - tonumber(ARGV[at])) or 0 end
  if math.abs(by) >= SET_MS then moveTimes(by) end
  for _, worker in ipairs(call('ZRANGEBYSCORE', P .. 'takers', '-inf', now - GONE_MS)) do gone(worker) end
  local late = {}
  local holders = call('SMEMBERS', P .. 'holders')
  for _, worker in ipairs(holders) do
    local key = 'h:' .. worker
    for _, take in ipairs(call('ZRANGEBYSCORE', P .. key, '-inf', now, 'LIMIT', 0, TAKES_AT_ONCE)) do
      local next = math.huge
      for _, id in ipairs(idsOf(worker, take)) do
        local t = load(id)
        if t.le > now then next = math.min(next, t.le)
        else
          tellWorker(t, 'lost')
          if t.dl and t.dl <= now then
            -- Its policy is looked at outside of Redis. Where nobody does it, another tick comes to it.
            t.le = now + OWED_MS
            save(id, t)
            next = math.min(next, t.le)
            for _, value in ipairs({ id, int(t.tk), t.r, messageOf(id, t) }) do late[#late + 1] = value end
          elseif t.ca then finish(id, t, 'revoked', nil, OFF)
          else lost(id, t) end
        end
      end
      put(scores, key, take, next < math.huge and int(next))
    end
  end
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'timers', '-inf', now, 'LIMIT', 0, AT_ONCE)) do
    local t = load(id)
    if not t or HELD[t.st] then put(scores, 'timers', id, false)
    elseif t.ex and t.ex <= now then
      expire(id, t)
    else
      if t.st ~= 'pending' then
        step(t, 'pending')
        save(id, t)
      end
      wait(id, t)
    end
  end
  for _, what in ipairs({ { 'owed', owed }, { 'full', full } }) do
    for _, id in ipairs(call('ZRANGEBYSCORE', P .. what[1], '-inf', now - OWED_MS, 'LIMIT', 0, AT_ONCE)) do
      what[2][#what[2] + 1] = id
      -- So that not every instance does it.
      put(scores, what[1], id, now)
    end
  end
  -- Who is asked for by its id is there as long as its own time says.
  for state in pairs(KIND) do
    local key = P .. 'ended:' .. state
    for _ = 1, PAGES do
      local over = 0
      for _, place in ipairs(call('LRANGE', key, 0, AT_ONCE - 1)) do
        if tonumber(place:match('^%d+')) > now - TTL then break end
        over = over + 1
      end
      if over > 0 then call('LTRIM', key, over, -1) end
      if over < AT_ONCE then break end
    end
  end
  local due = call('ZRANGEBYSCORE', P .. 'scheduledAt', '-inf', now)
  local soon = math.huge
  write()
  local function look(key)
    local head = call('ZRANGE', P .. key, 0, 0, 'WITHSCORES')
    if head[2] then soon = math.min(soon, tonumber(head[2])) end
    return head[2]
  end
  look('timers')
  look('scheduledAt')
  for _, worker in ipairs(holders) do
    if not look('h:' .. worker) then call('SREM', P .. 'holders', worker) end
  end
  soonest = nil
  return { soon < math.huge and int(math.ceil(soon - now)) or '', table.concat(due, '\31'), late }
end

-- first number of the stream: up to which number nobody needs any of it, and where that is none, single numbers.
function ops.sweep(at)
  local from, key = tonumber(ARGV[at]), P .. 'trash'
  local upto, rest, whole = from - 1, {}, true
  while whole do
    local gone = {}
    for _, entry in ipairs(call('ZRANGE', key, 0, AT_ONCE - 1)) do
      local first, last = entry:match('^(%d+)-(%d+)$')
      whole = tonumber(first) <= upto + 1
      if not whole then break end
      upto = math.max(upto, tonumber(last))
      gone[#gone + 1] = entry
    end
    if #gone == 0 then break end
    each(gone, function(...) call('ZREM', key, ...) end)
  end
  -- It is told again until the stream begins behind it.
  if upto >= from then
    call('ZADD', key, int(from), int(from) .. '-' .. int(upto))
    return { int(upto), {} }
  end
  local single = {}
  for _, entry in ipairs(call('ZRANGE', key, 0, AT_ONCE - 1)) do
    local first, last = entry:match('^(%d+)-(%d+)$')
    if first ~= last then call('ZREM', key, entry) end
    for seq = tonumber(first), tonumber(last) do
      if #single == AT_ONCE then
        call('ZADD', key, int(seq), int(seq) .. '-' .. last)
        break
      end
      single[#single + 1] = int(seq)
      if first ~= last then call('ZADD', key, int(seq), int(seq) .. '-' .. int(seq)) end
    end
    if #single == AT_ONCE then break end
  end
  return { int(upto), single }
end

-- numbers…: they are out of the stream.
function ops.binned(at)
  for i = at, #ARGV do put(scores, 'trash', ARGV[i] .. '-' .. ARGV[i], false) end
  return 1
end

-- first and last number of the stream: 1 where Redis knows nothing of it, and the number up to which it knows all.
function ops.hello(at)
  local first, last = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local saved = call('HMGET', P .. 'meta', 'born', 'upto')
  local upto = tonumber(saved[2] or -1)
  call('HSET', P .. 'meta', 'born', 1)
  if upto < 0 or upto > last then
    upto = math.max(0, math.min(first - 1, last))
    call('HSET', P .. 'meta', 'upto', int(upto))
    call('DEL', P .. 'ahead', P .. 'trash')
  end
  return { saved[1] and 0 or 1, int(upto) }
end

-- last number of the stream, how: the first that is missing, or ''. 0: where it has been for a while, and nobody else
-- is at it; 1: at once; 2: only whether.
function ops.gap(at)
  local last, how = tonumber(ARGV[at]), ARGV[at + 1]
  local upto = tonumber(call('HGET', P .. 'meta', 'upto') or '0')
  if upto >= last then return '' end
  if how ~= '0' then return int(upto + 1) end
  local seen = call('HMGET', P .. 'gap', 'at', 'since')
  if seen[1] ~= int(upto) then
    call('HSET', P .. 'gap', 'at', int(upto), 'since', int(now))
    return ''
  end
  if now - tonumber(seen[2]) < OWED_MS then return '' end
  call('HSET', P .. 'gap', 'since', int(now + 2 * OWED_MS))
  return int(upto + 1)
end

-- number: all of the stream up to it is known.
function ops.passed(at)
  local seq = tonumber(ARGV[at])
  local upto = tonumber(call('HGET', P .. 'meta', 'upto') or '0')
  if seq > upto then
    call('HSET', P .. 'meta', 'upto', int(seq))
    call('ZREMRANGEBYSCORE', P .. 'ahead', '-inf', seq)
  end
  return 1
end

-- id, refuse late reports: how many were called off, and how many signalled; nothing where nobody knows it.
function ops.revoke(at)
  local id, refuse = ARGV[at], ARGV[at + 1] == '1'
  local targets = { id }
  if call('EXISTS', P .. 'f:' .. id) == 1 then
    call('HSET', P .. 'f:' .. id, 'cancelled', 1)
    targets = call('SMEMBERS', P .. 'fl:' .. id)
  elseif not load(id) and not resultOf(id) then return {} end
  local revoked, signalled = 0, 0
  for _, target in ipairs(targets) do
    local t = load(target)
    if t and HELD[t.st] then
      t.ca = true
      save(target, t)
      tellWorker(t, 'cancel')
      signalled = signalled + 1
      if refuse then finish(target, t, 'revoked', nil, OFF) end
    elseif t then
      finish(target, t, 'revoked', nil, OFF)
      revoked = revoked + 1
    end
  end
  return { revoked, signalled }
end

local function summary(id, more)
  local t = load(id)
  if not t then return nil end
  local flat = { t.n, t.q, t.st, t.p, t.cr, t.du, t.ex, t.r, t.dv, t.wn, t.rt, t.pg, t.at, t.sa, t.gt }
  for i, value in ipairs(flat) do
    -- A list of Redis ends at the first gap.
    flat[i] = type(value) == 'number' and int(value) or value or ''
  end
  flat[#flat + 1] = id
  if more then flat[#flat + 1] = messageOf(id, t) or '' end
  return flat
end

-- Some tasks behind an order that fit: what to go on after, or ''. Stops where hear says so.
local function among(state, queue, name, root, after, hear)
  local page = call('ZRANGEBYSCORE', P .. 'live', '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, AT_ONCE)
  local ids = {}
  for i = 1, #page, 2 do ids[#ids + 1] = page[i] end
  fetch(ids)
  for i = 1, #page, 2 do
    local t = load(page[i])
    local fits = t and (state == '' or t.st == state) and (queue == '' or t.q == queue) and (name == '' or t.n == name)
      and (root == '' or t.rt == root)
    if fits and hear(page[i], t) then return page[i + 1] end
  end
  return page[#page] or ''
end

-- state, queue, name, workflow or '', order after, how many: [what to go on after, tasks…].
function ops.scan(at)
  local most, found = tonumber(ARGV[at + 5]), {}
  local last = among(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], function(id)
    found[#found + 1] = id
    return #found == most
  end)
  return { last, unpack(found) }
end

-- state, queue, name, workflow or '', order after: what to go on after, then states and how many there are of each.
function ops.tally(at)
  local numbers = {}
  local answer = { among(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], function(_, t)
    numbers[t.st] = (numbers[t.st] or 0) + 1
  end) }
  for state, number in pairs(numbers) do
    answer[#answer + 1] = state
    answer[#answer + 1] = number
  end
  return answer
end

-- ids…: what is known of tasks that are not finished.
function ops.tasks(at)
  local all = {}
  for i = at, #ARGV do all[#all + 1] = summary(ARGV[i]) end
  return all
end

-- id: 'task' and what is known, 'flow' and its counts, 'result' and the text, or nothing.
function ops.get(at)
  local id = ARGV[at]
  local flow = call('HMGET', P .. 'f:' .. id, 'total', 'completed', 'failed', 'createdAt', 'cancelled')
  if flow[1] then return { 'flow', flow, call('SCARD', P .. 'fl:' .. id) } end
  local task = summary(id, true)
  if task then return { 'task', task } end
  local text = resultOf(id)
  if text then return { 'result', text } end
  return {}
end

-- id: the result where it is there, 'wait' where it will be, or nothing.
function ops.watch(at)
  local id = ARGV[at]
  local text = resultOf(id)
  if text then return text end
  -- A later part of a workflow is no task yet.
  if not load(id) and call('EXISTS', P .. 'f:' .. id, P .. 'flows') == 0 then return '' end
  call('HSET', P .. 'watched', id, 1)
  return 'wait'
end

-- ids…: those that wait are called off.
function ops.purge(at)
  local purged = 0
  for i = at, #ARGV do
    local t = load(ARGV[i])
    if t and not HELD[t.st] and finish(ARGV[i], t, 'revoked', nil, OFF) then purged = purged + 1 end
  end
  return purged
end

-- queue, field, value or '': what a queue is told.
function ops.queue(at)
  call('SADD', P .. 'queues', ARGV[at])
  if ARGV[at + 2] == '' then call('HDEL', P .. 'q:' .. ARGV[at], ARGV[at + 1])
  else call('HSET', P .. 'q:' .. ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
  ready = true
  return 1
end

-- scope with name, rate or ''.
function ops.rate(at)
  if ARGV[at + 1] ~= '' then call('HSET', P .. 'rates', ARGV[at], ARGV[at + 1])
  else
    call('HDEL', P .. 'rates', ARGV[at])
    call('DEL', P .. 'b:' .. ARGV[at])
  end
  ready = true
  return 1
end

-- For each queue: name, and its fields.
function ops.queues()
  local all = {}
  for _, queue in ipairs(call('SMEMBERS', P .. 'queues')) do
    all[#all + 1] = { queue, call('HGET', P .. 'rates', 'q' .. queue) or '', unpack(call('HGETALL', P .. 'q:' .. queue)) }
  end
  local oldest = {}
  for _, name in ipairs(call('SMEMBERS', P .. 'lanes')) do
    local key = P .. 'l:' .. name
    local head = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    while #head > 0 do
      local t = load(head[1])
      if t then oldest[#oldest + 1] = t.q oldest[#oldest + 1] = int(t.cr) end
      head = call('ZRANGEBYSCORE', key, int((math.floor(head[2] / LEVEL) + 1) * LEVEL), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    end
  end
  return { int(now), all, oldest }
end

function ops.lanes() return call('SMEMBERS', P .. 'lanes') end

function ops.workers()
  local all = {}
  for _, worker in ipairs(call('ZRANGE', P .. 'takers', 0, -1)) do
    local saved = call('HMGET', P .. 'k:' .. worker, 'info', 'finished', 'since', 'draining')
    local running = 0
    for _, left in ipairs(call('HVALS', P .. 'c:' .. worker)) do running = running + left end
    if saved[1] then all[#all + 1] = { saved[1], saved[2], int(now - tonumber(saved[3])), saved[4] or '', running } end
  end
  return all
end

function ops.stats()
  local ended = 0
  for state in pairs(KIND) do ended = ended + call('LLEN', P .. 'ended:' .. state) end
  return { call('ZCARD', P .. 'live'), call('ZCARD', P .. 'dead'), ended, call('ZCARD', P .. 'flows'), call('ZCARD', P .. 'takers') }
end

-- state, after: place, result of each, the newest first.
function ops.results(at)
  local key, after = P .. 'ended:' .. ARGV[at], ARGV[at + 1]
  -- Where it is gone, so is all that is older.
  local upto = after == '' and -1 or (call('LPOS', key, after, 'RANK', -1) or 0) - 1
  local answer = {}
  if after ~= '' and upto < 0 then return answer end
  local found = call('LRANGE', key, after == '' and -AT_ONCE or math.max(0, upto - AT_ONCE + 1), upto)
  for i = #found, 1, -1 do
    answer[#answer + 1] = found[i]
    answer[#answer + 1] = call('GET', P .. 'r:' .. found[i]:match(':(.*)$')) or ''
  end
  return answer
end

-- Some of the dead behind a place, '' or time:id, with their times, the newest first.
local function deadBehind(place)
  local from = 0
  local score, id = place:match('^(%d+):(.+)$')
  if id then
    local rank = call('ZREVRANK', P .. 'dead', id)
    from = rank and rank + 1 or call('ZCOUNT', P .. 'dead', '(' .. score, '+inf')
  end
  return call('ZREVRANGE', P .. 'dead', from, from + AT_ONCE - 1, 'WITHSCORES')
end

-- place, queue or '': what to go on after, or '', and ids.
function ops.buried(at)
  local found, queue = deadBehind(ARGV[at]), ARGV[at + 1]
  local answer = { #found > 0 and found[#found] .. ':' .. found[#found - 1] or '' }
  for i = 1, #found, 2 do
    if queue == '' or call('HGET', P .. 'd:' .. found[i], 'q') == queue then answer[#answer + 1] = found[i] end
  end
  return answer
end

-- place: of each its place, id, queue, name, time of death, message, result.
function ops.dead(at)
  local found, answer = deadBehind(ARGV[at]), {}
  for i = 1, #found, 2 do
    answer[#answer + 1] = found[i + 1] .. ':' .. found[i]
    answer[#answer + 1] = found[i]
    for _, value in ipairs(call('HMGET', P .. 'd:' .. found[i], 'q', 'n', 'died', 'm', 'r')) do answer[#answer + 1] = value end
  end
  return answer
end

-- ids…: the place of the first that is no dead task, from 1 on; or 0.
function ops.stranger(at)
  for i = at, #ARGV do
    if call('EXISTS', P .. 'd:' .. ARGV[i]) == 0 then return i - at + 1 end
  end
  return 0
end

-- id: queue and message of a dead task.
function ops.body(at)
  local saved = call('HMGET', P .. 'd:' .. ARGV[at], 'q', 'm')
  return saved[1] and saved or {}
end

local function bury(id)
  local seq, queue = unpack(call('HMGET', P .. 'd:' .. id, 'sq', 'q'))
  if not seq then return false end
  call('DEL', P .. 'd:' .. id)
  put(scores, 'dead', id, false)
  bump(queue, 'dead', -1)
  return tonumber(seq)
end

-- id, head, message, number in the stream: sends a dead task again, as new but with its history.
function ops.resend(at)
  local id, seq = ARGV[at], tonumber(ARGV[at + 3])
  local attempts = call('HGET', P .. 'd:' .. id, 'at')
  local before = bury(id)
  mark(seq)
  if not before then
    -- Deleted or sent again meanwhile, or this very step was done before.
    local t = load(id)
    if t and t.sq == seq then return 1 end
    throw(seq)
    return 0
  end
  if before ~= seq then throw(before) end
  call('DEL', P .. 'r:' .. id)
  enrol(cjson.decode(ARGV[at + 1]), ARGV[at + 2], seq, attempts)
  return 1
end

-- ids…: dead tasks go for good.
function ops.bury(at)
  local count = 0
  for i = at, #ARGV do
    local seq = bury(ARGV[i])
    if seq then count = count + 1 throw(seq) end
  end
  return count
end

function ops.time() return NOW end

-- name, JSON, next time or '': a periodic task; one of the same schedule keeps its rhythm.
function ops.schedule(at)
  local name, fields, due = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local before = call('HGET', P .. 'scheduled', name)
  local saved = before and call('ZSCORE', P .. 'scheduledAt', name)
  if saved and json(cjson.decode(before).schedule) == json(cjson.decode(fields).schedule) then due = saved end
  call('HSET', P .. 'scheduled', name, fields)
  if due == '' then call('ZREM', P .. 'scheduledAt', name)
  else
    call('ZADD', P .. 'scheduledAt', due, name)
    soonest = math.min(soonest or math.huge, tonumber(due))
  end
  return due
end

function ops.unschedule(at)
  call('ZREM', P .. 'scheduledAt', ARGV[at])
  call('HDEL', P .. 'lastAt', ARGV[at])
  return call('HDEL', P .. 'scheduled', ARGV[at])
end

-- Each: name, JSON, next, last.
function ops.schedules()
  local all = {}
  local saved = call('HGETALL', P .. 'scheduled')
  for i = 1, #saved, 2 do
    all[#all + 1] = { saved[i], saved[i + 1], call('ZSCORE', P .. 'scheduledAt', saved[i]) or '', call('HGET', P .. 'lastAt', saved[i]) or '' }
  end
  return all
end

-- name: JSON, the time that is due, and now, for the one instance that gets them.
function ops.claim(at)
  local name = ARGV[at]
  local due = call('ZSCORE', P .. 'scheduledAt', name)
  if not due or tonumber(due) > now then return {} end
  if not call('SET', P .. 'firing:' .. name, due, 'PX', 10000, 'NX') then return {} end
  return { call('HGET', P .. 'scheduled', name), due, int(now) }
end

-- name, the time that was due, the next or '': it was sent.
function ops.fired(at)
  local name, due, next = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  call('DEL', P .. 'firing:' .. name)
  if call('ZSCORE', P .. 'scheduledAt', name) ~= due then return 0 end
  call('HSET', P .. 'lastAt', name, int(now))
  if next == '' then call('ZREM', P .. 'scheduledAt', name)
  else
    call('ZADD', P .. 'scheduledAt', next, name)
    soonest = math.min(soonest or math.huge, tonumber(next))
  end
  return 1
end

local value = ops[op](4)

write()
announce()
absorb()
if metas and metas.changed then
  call('HSET', P .. 'meta', 'order', int(metas.order), 'token', int(metas.token), 'upto', int(metas.upto))
end
for worker, by in pairs(finished) do
  if call('EXISTS', P .. 'k:' .. worker) == 1 then call('HINCRBY', P .. 'k:' .. worker, 'finished', by) end
end

for queue, fields in pairs(counts) do
  for field, by in pairs(fields) do
    if by ~= 0 then
      if field:sub(1, 1) == 's' and tonumber(field:sub(2)) then
        -- Finished in a second of the minute, with the second that it counts.
        local saved = call('HGET', P .. 'q:' .. queue, field)
        local second, count = (saved or ''):match('^(%d+) (%d+)$')
        if second ~= time[1] then count = 0 end
        call('HSET', P .. 'q:' .. queue, field, time[1] .. ' ' .. (count + by))
      else call('HINCRBY', P .. 'q:' .. queue, field, by) end
    end
  end
end
for key, b in pairs(buckets) do
  if b then
    call('HSET', P .. 'b:' .. key, 'tokens', tostring(b.tokens), 'at', int(now))
    call('PEXPIRE', P .. 'b:' .. key, int(math.ceil(b.most / b.perSecond * 1000) + 1000))
  end
end
if ready then call('PUBLISH', P .. 'wake', 'ready') end
if soonest and soonest - now < 1000 then call('PUBLISH', P .. 'wake', int(math.max(0, math.ceil(soonest - now)))) end
return { value, owed, full, thrown }
`
