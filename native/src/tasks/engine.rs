//! The state in memory, sending, and the one commit.
//!
//! Everything that decides what happens next is in memory and was built by one scan at the start; the
//! store is read for a message whose turn has come, and for a result that someone asks for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet, VecDeque};
use std::path::Path;

use super::alike::{Alike, Own};
use super::events::{Events, Kind};
use super::expiries::Expiries;
use super::flow::JoinState;
use super::id::{Chance, Id};
use super::intake::{Intake, Mark};
use super::message::Message;
use super::options::{Durability, Options};
use super::periodic::Periodic;
use super::rate::Bucket;
use super::ready::{KeyLimit, Lane};
use super::run::Worker;
use super::state::State;
use super::store::{Attempt, Flow, Kept, Progressed, ResultHead, Spaces, TASK_HEAD, TaskHead, foreign, json};
use super::workflow::Effects;
use super::{Result, TaskError};
use crate::kv::{Batch, Bytes, Kv, failed_io};

/// Ids are random or of whoever sends: a seed of its own for each table keeps them from being made to collide.
pub(super) type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is a task now.
    Accepted(Id),
    /// It is one already: of the same id, or of the same idempotency key.
    Duplicate(Id),
}

/// Of a time that never comes.
pub(super) const NEVER: i64 = i64::MAX;
pub(super) const NONE: u32 = u32::MAX;

/// The message has a `then`.
pub(super) const HAS_THEN: u8 = 1;
/// The message has a rate key or a timeout: they are read at the start and kept.
pub(super) const HAS_EXTRA: u8 = 2;
/// No result is kept of a success.
pub(super) const IGNORE_RESULT: u8 = 4;
/// There is a record of how far it has come.
pub(super) const PROGRESSED: u8 = 8;
/// The message says how long its result is kept.
pub(super) const HAS_TTL: u8 = 16;

/// A task that is not finished. Small: there may be millions.
pub(super) struct Task {
    pub id: Id,
    pub seq: u64,
    pub created: i64,
    pub due: i64,
    pub expires: i64,
    /// None: on the disk alone.
    pub message: Option<Kept>,
    pub extra: Option<Box<Extra>>,
    pub lane: u32,
    /// Moves with every step, so that what was noted for an earlier one is known to be stale.
    pub step: u32,
    pub worker: u32,
    /// Its place among what its worker holds.
    pub place: u32,
    pub retries: u16,
    pub deliveries: u16,
    pub state: State,
    pub priority: u8,
    pub flags: u8,
}

/// What only some tasks have.
#[derive(Default)]
pub(super) struct Extra {
    pub root: Option<Id>,
    pub rate_key: Option<Box<str>>,
    pub timeout_ms: Option<i64>,
    pub attempts: Vec<Attempt>,
    pub seen_take: u64,
    pub progress: Option<Box<str>>,
}

/// Counts of a queue.
pub(super) struct Queue {
    pub name: String,
    pub paused: bool,
    /// How many may run at once, over all workers.
    pub limit: Option<u32>,
    pub bucket: Option<Bucket>,
    pub running: u32,
    /// Live tasks by state, and the dead.
    pub counts: [u32; 10],
    pub meter: Meter,
}

/// A task's name.
pub(super) struct Name {
    pub name: String,
    pub bucket: Option<Bucket>,
}

/// Finished tasks of the last minute.
#[derive(Default)]
pub(super) struct Meter {
    seconds: VecDeque<(i64, u32)>,
    pub finished: u64,
}

impl Meter {
    pub fn count(&mut self, now: i64) {
        self.finished += 1;
        let second = now / 1_000;
        match self.seconds.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => {
                self.seconds.push_back((second, 1));
                while self.seconds.len() > 60 {
                    self.seconds.pop_front();
                }
            }
        }
    }

    /// A second, over the last minute.
    pub fn per_second(&self, now: i64) -> f64 {
        let second = now / 1_000;
        let recent = self.seconds.iter().filter(|(at, _)| (second - 60..=second).contains(at));
        recent.map(|(_, count)| f64::from(*count)).sum::<f64>() / 60.0
    }
}

/// The key of how far the intake is taken.
pub(super) const INTAKE: u8 = b'I';

/// The queue.
pub struct Engine {
    pub(super) kv: Kv,
    pub(super) spaces: Spaces,
    pub(super) batch: Batch,
    pub(super) options: Options,
    pub(super) chance: Chance,
    pub(super) tasks: Vec<Task>,
    free: Vec<u32>,
    pub(super) by_id: HashMap<Id, u32>,
    pub(super) lanes: Vec<Lane>,
    lane_of: HashMap<(u32, u32), u32>,
    queue_numbers: HashMap<Box<str>, u32>,
    name_numbers: HashMap<Box<str>, u32>,
    pub(super) queues: Vec<Queue>,
    pub(super) names: Vec<Name>,
    pub(super) timers: BinaryHeap<Reverse<(i64, u32, u32)>>,
    pub(super) workers: BTreeMap<u32, Worker>,
    pub(super) next_worker: u32,
    pub(super) takes: HashMap<u64, u32>,
    pub(super) next_take: u64,
    seq: u64,
    /// Results by the end of their time.
    pub(super) results: Expiries,
    /// Kept results of each state that is rare, so that who looks for them does not read all.
    pub(super) rare: BTreeSet<(u8, Id)>,
    /// Sent again while an end of their result is noted: what is noted may be of a result that is gone.
    pub(super) resent: HashSet<Id>,
    /// No id of a result that is kept is newer.
    pub(super) newest_result: Id,
    pub(super) dead: BTreeMap<Id, (u32, u32)>,
    pub(super) joins: HashMap<Id, JoinState>,
    pub(super) full_joins: Vec<Id>,
    /// Of workflows, and not done yet.
    pub(super) effects: VecDeque<(Effects, Option<Id>)>,
    pub(super) is_following: bool,
    pub(super) flows: HashMap<Id, Flow>,
    pub(super) dirty_flows: HashSet<Id>,
    pub(super) keys: HashMap<Box<str>, (Id, i64)>,
    key_ends: BinaryHeap<Reverse<(i64, Box<str>)>>,
    pub(super) key_limits: HashMap<Box<str>, KeyLimit>,
    /// Keys for which tasks wait beside their lanes.
    pub(super) parked_keys: HashSet<Box<str>>,
    pub(super) periodic: BTreeMap<String, Periodic>,
    /// When a limit lets the next task through.
    pub(super) rate_due: i64,
    pub(super) cached: usize,
    /// Messages that leave the memory once they are committed.
    to_disk: Vec<u32>,
    /// Where the steps of new places begin.
    epoch: u32,
    pub(super) watched: HashSet<Id>,
    /// Results for who waits; to be told after the commit.
    pub(super) finished: Vec<Vec<u8>>,
    pub(super) events: Events,
    intake: Option<Intake>,
    /// How far the intake is taken.
    pub(super) taken: Mark,
    /// What of it could not be taken, and ends the engine: it is accepted, so it must not be passed over.
    refused: Option<TaskError>,
    taken_moved: bool,
    /// For records in the making.
    scratch: Vec<u8>,
}

impl Engine {
    /// Opens a queue and brings its state back. What ran when the process ended goes back to its queue.
    pub fn open(path: &Path, options: Options, now: i64) -> Result<Engine> {
        Engine::open_with(path, options, Chance::new(), now)
    }

    /// With repeatable ids and jitter.
    pub fn open_with(path: &Path, options: Options, chance: Chance, now: i64) -> Result<Engine> {
        options.check()?;
        let kv = Kv::open(path, &options.kv())?;
        let spaces = Spaces::open(&kv)?;
        let mut engine = Engine {
            batch: kv.batch(),
            kv,
            spaces,
            events: Events::new(options.max_events),
            options,
            chance,
            tasks: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::default(),
            lanes: Vec::new(),
            lane_of: HashMap::default(),
            queue_numbers: HashMap::default(),
            name_numbers: HashMap::default(),
            queues: Vec::new(),
            names: Vec::new(),
            timers: BinaryHeap::new(),
            workers: BTreeMap::new(),
            next_worker: 0,
            takes: HashMap::default(),
            next_take: 1,
            seq: 0,
            results: Expiries::default(),
            rare: BTreeSet::new(),
            resent: HashSet::new(),
            newest_result: Id([0; 16]),
            dead: BTreeMap::new(),
            joins: HashMap::default(),
            full_joins: Vec::new(),
            effects: VecDeque::new(),
            is_following: false,
            flows: HashMap::default(),
            dirty_flows: HashSet::new(),
            keys: HashMap::default(),
            key_ends: BinaryHeap::new(),
            key_limits: HashMap::default(),
            parked_keys: HashSet::new(),
            periodic: BTreeMap::new(),
            rate_due: NEVER,
            cached: 0,
            to_disk: Vec::new(),
            epoch: 0,
            watched: HashSet::new(),
            finished: Vec::new(),
            intake: None,
            taken: Mark::default(),
            refused: None,
            taken_moved: false,
            scratch: Vec::new(),
        };
        engine.restore(now)?;
        let (intake, left) =
            Intake::open(&path.join("intake"), engine.taken).map_err(|error| failed_io(path, &error))?;
        for (message, mark) in left {
            engine.take_in(&message, mark, now);
        }
        engine.commit(now)?;
        engine.intake = Some(intake);
        Ok(engine)
    }

    /// The scan at the start.
    fn restore(&mut self, now: i64) -> Result<()> {
        self.restore_meta(now)?;
        let mut order = Vec::new();
        for row in self.spaces.tasks.range(..) {
            let (key, value) = row?;
            let seq = key.as_ref().try_into().ok().map(u64::from_be_bytes);
            let (Some(seq), Some(head)) = (seq, TaskHead::read(&value)) else {
                return Err(foreign("tasks", &key));
            };
            let id = head.id;
            if self.queues.len() <= head.queue as usize || self.names.len() <= head.name as usize {
                return Err(foreign("tasks", &key));
            }
            let mut extra = head.root.map(|root| Extra { root: Some(root), ..Extra::default() });
            if head.flags & HAS_EXTRA != 0 {
                let message = Message::read(value.get(TASK_HEAD..).unwrap_or_default())?;
                let extra = extra.get_or_insert_default();
                extra.rate_key = message.rate_key.as_deref().map(Into::into);
                extra.timeout_ms = message.timeout_ms.map(|ms| ms as i64);
            }
            let lane = self.lane(head.queue, head.name);
            let index = self.insert(Task {
                id,
                seq,
                created: head.created,
                due: head.due,
                expires: head.expires,
                message: None,
                extra: extra.map(Box::new),
                lane,
                step: 0,
                worker: NONE,
                place: NONE,
                retries: 0,
                deliveries: 0,
                state: if head.due > now { State::Scheduled } else { State::Pending },
                priority: head.priority,
                flags: head.flags,
            });
            self.seq = seq;
            order.push(index);
        }
        for row in self.spaces.states.range(..) {
            let (key, value) = row?;
            let progressed: Option<Progressed> = serde_json::from_slice(&value).ok();
            let (Some(id), Some(progressed)) = (Id::from_bytes(&key), progressed) else {
                return Err(foreign("states", &key));
            };
            // What is handed out from now on must not look as if it were accounted for.
            self.next_take = self.next_take.max(progressed.seen_take + 1);
            let Some(&index) = self.by_id.get(&id) else { continue };
            let task = &mut self.tasks[index as usize];
            task.flags |= PROGRESSED;
            task.retries = progressed.retries.min(u32::from(u16::MAX)) as u16;
            task.due = progressed.due.unwrap_or(i64::MIN);
            task.state = if task.due > now { State::Retry } else { State::Pending };
            let extra = task.extra.get_or_insert_default();
            extra.attempts = progressed.attempts;
            extra.seen_take = progressed.seen_take;
        }
        for index in order {
            let state = self.tasks[index as usize].state;
            self.queue_of(index).counts[state as usize] += 1;
            self.wait(index, false);
        }
        for row in self.spaces.results.range(..) {
            let (key, value) = row?;
            let (Some(id), Some(head)) = (Id::from_bytes(&key), ResultHead::read(&value)) else {
                return Err(foreign("results", &key));
            };
            self.note_result(id, &head);
        }
        for row in self.spaces.keys.range(..) {
            let (key, value) = row?;
            let parts = value.split_first_chunk::<16>();
            let parts = parts.and_then(|(id, end)| Some((Id(*id), i64::from_be_bytes(end.try_into().ok()?))));
            let (Ok(key), Some((id, end))) = (std::str::from_utf8(&key), parts) else {
                return Err(foreign("keys", &key));
            };
            self.keys.insert(key.into(), (id, end));
            self.key_ends.push(Reverse((end, key.into())));
        }
        self.restore_dead()?;
        self.restore_flows()?;
        self.restore_takes(now)
    }

    /// What was handed out and not reported on when the process ended is lost work, and counts as such: a
    /// task that ends its process ends among the dead and not in an endless round.
    fn restore_takes(&mut self, now: i64) -> Result<()> {
        let takes: Vec<_> = self.spaces.takes.range(..).collect::<std::result::Result<_, _>>()?;
        for (key, ids) in takes {
            let Some(number) = key.as_ref().try_into().ok().map(u64::from_be_bytes) else {
                return Err(foreign("takes", &key));
            };
            self.next_take = self.next_take.max(number + 1);
            for id in ids.chunks_exact(16).filter_map(Id::from_bytes) {
                let Some(&index) = self.by_id.get(&id) else { continue };
                let task = &self.tasks[index as usize];
                if task.extra.as_ref().is_none_or(|extra| extra.seen_take < number) {
                    self.lost_in_crash(index, number, now)?;
                }
            }
            self.batch.remove(&self.spaces.takes, key);
        }
        Ok(())
    }

    /// Sends a message.
    pub fn send(&mut self, json: &[u8], now: i64) -> Result<Sent> {
        if json.len() > self.options.max_payload_bytes {
            let max = self.options.max_payload_bytes;
            return Err(TaskError::TooLarge { what: "the task", bytes: json.len(), max });
        }
        if self.by_id.len() >= self.options.max_tasks {
            return Err(TaskError::Full(self.by_id.len()));
        }
        let message = Message::parse(json)?;
        // Of a workflow's own messages this is known.
        if let Some(then) = message.then {
            super::workflow::check(&super::workflow::frames(then)?, now)?;
        }
        self.accept(json, &message, now)
    }

    /// The intake, for whoever sends: its messages come by [`Engine::take_in`]. None where a send is acknowledged when
    /// it is on the disk.
    pub fn open_intake(&mut self) -> Option<Intake> {
        self.intake.take().filter(|_| self.options.durability == Durability::Bounded)
    }

    /// Whether a message can go into the intake: nothing in it asks for more than is known without the engine.
    pub fn may_take_in(json: &[u8], max_bytes: usize) -> bool {
        let fits = json.len() <= max_bytes;
        fits && Message::parse(json).is_ok_and(|it| it.then.is_none() && it.idempotency_key.is_none())
    }

    /// Takes a message that the intake has.
    pub fn take_in(&mut self, json: &[u8], mark: Mark, now: i64) {
        if self.refused.is_some() {
            return;
        }
        match Message::read(json).and_then(|message| self.accept(json, &message, now)) {
            Ok(_) => {
                self.taken = mark;
                self.taken_moved = true;
            }
            Err(error) => self.refused = Some(error),
        }
    }

    /// How far the intake is taken, and how many more tasks there may be.
    pub(super) fn intake_state(&self) -> (Mark, usize) {
        (self.taken, self.options.max_tasks.saturating_sub(self.by_id.len()))
    }

    /// Sends messages that have all but little in common, as [`super::alike`] has them: all, or none where one is
    /// refused. What each became, in order.
    pub fn send_all(&mut self, lines: &[u8], now: i64) -> Result<Vec<Sent>> {
        let alike = Alike::read(lines)?;
        let Some(first) = alike.all.first() else { return Ok(Vec::new()) };
        let (bytes, max) = (alike.most_bytes(), self.options.max_payload_bytes);
        if bytes > max {
            return Err(TaskError::TooLarge { what: "the task", bytes, max });
        }
        let (mut whole, mut json) = (Vec::new(), Vec::new());
        alike.write(first, &mut whole);
        let mut message = Message::parse(&whole)?;
        if message.then.is_some() {
            let problem = "belongs to a workflow, which is sent by itself".into();
            return Err(TaskError::Message { path: "then".into(), problem });
        }
        if self.by_id.len() + alike.all.len() > self.options.max_tasks {
            return Err(TaskError::Full(self.by_id.len()));
        }
        let send = |own: &Own| {
            alike.write(own, &mut json);
            message.rename(own.id);
            self.accept(&json, &message, now)
        };
        alike.all.iter().map(send).collect()
    }

    /// Sends without the limits: steps of a workflow that was accepted.
    pub(super) fn accept(&mut self, json: &[u8], message: &Message, now: i64) -> Result<Sent> {
        if self.is_known(message.id())? {
            return Ok(Sent::Duplicate(message.id()));
        }
        self.enrol(json, message, now)
    }

    /// Whether there is a task of this id, or what became of one.
    pub(super) fn is_known(&self, id: Id) -> Result<bool> {
        let is_task = self.by_id.contains_key(&id) || self.dead.contains_key(&id);
        // Ids grow with the time, so that most are too new to be looked for.
        Ok(is_task || id <= self.newest_result && self.spaces.results.contains(&id.0)?)
    }

    /// Makes a task of a message whose id is none yet.
    pub(super) fn enrol(&mut self, json: &[u8], message: &Message, now: i64) -> Result<Sent> {
        let id = message.id();
        if let Some(key) = &message.idempotency_key {
            if let Some((known, end)) = self.keys.get(key.as_str())
                && *end > now
            {
                return Ok(Sent::Duplicate(*known));
            }
            let window = message.idempotency_window_ms.unwrap_or(self.options.idempotency_window_ms);
            let end = now + window as i64;
            self.keys.insert(key.as_str().into(), (id, end));
            self.key_ends.push(Reverse((end, key.as_str().into())));
            let value = [id.0.as_slice(), &end.to_be_bytes()].concat();
            self.batch.put(&self.spaces.keys, key.as_bytes(), value);
        }
        let route = self.options.route(&message.name);
        let queue = match (&message.queue, self.queue_numbers.get(route)) {
            (Some(queue), _) => self.queue(queue),
            (None, Some(&number)) => number,
            (None, None) => {
                let route = route.to_owned();
                self.queue(&route)
            }
        };
        let name = self.name(&message.name);
        let root = message.root();
        let mut extra = root.map(|root| Extra { root: Some(root), ..Extra::default() });
        let mut flags = 0;
        if message.rate_key.is_some() || message.timeout_ms.is_some() {
            flags |= HAS_EXTRA;
            let extra = extra.get_or_insert_default();
            extra.rate_key = message.rate_key.as_deref().map(Into::into);
            extra.timeout_ms = message.timeout_ms.map(|ms| ms as i64);
        }
        for (flag, is) in [
            (HAS_THEN, message.then.is_some()),
            (IGNORE_RESULT, message.ignore_result),
            (HAS_TTL, message.result_ttl_ms.is_some()),
        ] {
            flags |= if is { flag } else { 0 };
        }
        self.seq += 1;
        let head = TaskHead {
            id,
            priority: message.priority(),
            flags,
            created: message.created_at().unwrap_or(now),
            due: message.eta().unwrap_or(0),
            expires: message.expires().unwrap_or(NEVER),
            queue,
            name,
            root,
        };
        self.scratch.clear();
        head.write(json, &mut self.scratch);
        let record = Bytes::from(self.scratch.as_slice());
        self.cached += json.len();
        self.batch.put_new(&self.spaces.tasks, self.seq.to_be_bytes(), record.clone());
        let lane = self.lane(queue, name);
        let index = self.insert(Task {
            id,
            seq: self.seq,
            created: head.created,
            due: head.due,
            expires: head.expires,
            message: Kept::of(record),
            extra: extra.map(Box::new),
            lane,
            step: 0,
            worker: NONE,
            place: NONE,
            retries: 0,
            deliveries: 0,
            state: if head.due > now { State::Scheduled } else { State::Pending },
            priority: head.priority,
            flags,
        });
        if self.cached > self.options.cache_bytes {
            self.to_disk.push(index);
        }
        let state = self.tasks[index as usize].state;
        self.queue_of(index).counts[state as usize] += 1;
        self.event(Kind::Sent, index, now, "");
        self.wait(index, false);
        Ok(Sent::Accepted(id))
    }

    fn insert(&mut self, task: Task) -> u32 {
        let id = task.id;
        let index = match self.free.pop() {
            Some(index) => {
                let slot = &mut self.tasks[index as usize];
                // What was noted for the task before it stays stale.
                let step = slot.step;
                *slot = task;
                slot.step = step;
                index
            }
            None => {
                self.tasks.push(Task { step: self.epoch, ..task });
                self.tasks.len() as u32 - 1
            }
        };
        self.by_id.insert(id, index);
        index
    }

    /// Takes a task out of the memory and the store.
    pub(super) fn forget(&mut self, index: u32) {
        let task = &mut self.tasks[index as usize];
        let id = task.id;
        task.step = task.step.wrapping_add(1);
        task.extra = None;
        if let Some(message) = task.message.take() {
            self.cached = self.cached.saturating_sub(message.len());
        }
        if task.flags & PROGRESSED != 0 {
            self.batch.remove(&self.spaces.states, id.0);
        }
        self.batch.remove(&self.spaces.tasks, task.seq.to_be_bytes());
        self.by_id.remove(&id);
        self.free.push(index);
        if self.by_id.is_empty() && self.tasks.len() > 100_000 {
            // A flood is over: give the memory back. What was noted for its tasks must stay stale.
            self.epoch = self.epoch.wrapping_add(100_003);
            self.tasks = Vec::new();
            self.free = Vec::new();
            self.by_id = HashMap::default();
            self.timers = BinaryHeap::new();
            self.to_disk.clear();
            self.lanes.iter_mut().for_each(Lane::clear);
            self.key_limits.values_mut().for_each(KeyLimit::clear);
        }
    }

    /// The one place where a state changes. False where the table forbids it.
    pub(super) fn step(&mut self, index: u32, next: State) -> bool {
        let task = &mut self.tasks[index as usize];
        if !task.state.may_become(next) {
            return false;
        }
        let before = std::mem::replace(&mut task.state, next);
        task.step = task.step.wrapping_add(1);
        let queue = self.queue_of(index);
        queue.counts[before as usize] -= 1;
        queue.counts[next as usize] += 1;
        match (before.is_held(), next.is_held()) {
            (false, true) => queue.running += 1,
            (true, false) => queue.running -= 1,
            _ => {}
        }
        true
    }

    pub(super) fn queue_of(&mut self, index: u32) -> &mut Queue {
        let lane = self.tasks[index as usize].lane;
        &mut self.queues[self.lanes[lane as usize].queue as usize]
    }

    /// The queue's and the task's name.
    pub(super) fn names_of(&self, index: u32) -> (&str, &str) {
        let lane = &self.lanes[self.tasks[index as usize].lane as usize];
        (&self.queues[lane.queue as usize].name, &self.names[lane.name as usize].name)
    }

    pub(super) fn extra(&mut self, index: u32) -> &mut Extra {
        self.tasks[index as usize].extra.get_or_insert_default()
    }

    /// The message, from memory or from the disk.
    pub(super) fn message(&self, index: u32) -> Result<Kept> {
        let task = &self.tasks[index as usize];
        if let Some(message) = &task.message {
            return Ok(message.clone());
        }
        let record = self.spaces.tasks.get(&task.seq.to_be_bytes())?;
        record.and_then(Kept::of).ok_or_else(|| foreign("tasks", &task.id.0))
    }

    /// Keeps the message in memory while a worker has the task. What stands behind it in the store comes with
    /// it, as it was sent after it and is most likely next.
    pub(super) fn load(&mut self, index: u32) -> Result<()> {
        const AHEAD: usize = 256;
        if self.tasks[index as usize].message.is_some() {
            return Ok(());
        }
        let from = self.tasks[index as usize].seq.to_be_bytes().to_vec();
        for row in self.spaces.tasks.range(from..).take(AHEAD) {
            let (_, record) = row?;
            let next = TaskHead::read(&record).and_then(|head| self.by_id.get(&head.id).copied());
            let Some(next) = next else { continue };
            let task = &mut self.tasks[next as usize];
            if task.message.is_none() && (next == index || self.cached < self.options.cache_bytes) {
                // A copy: what was read is a part of a block, which would stay as a whole.
                task.message = Kept::of(Bytes::from(&record[..]));
                self.cached += task.message.as_ref().map_or(0, |message| message.len());
            }
        }
        if self.tasks[index as usize].message.is_none() {
            return Err(foreign("tasks", &self.tasks[index as usize].id.0));
        }
        Ok(())
    }

    /// A queue's number by its name; the name gets one where it has none.
    pub(super) fn queue(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.queue_numbers.get(name) {
            return number;
        }
        let number = self.queues.len() as u32;
        self.batch.put(&self.spaces.meta, meta_key(b'q', &number.to_be_bytes()), name.as_bytes());
        self.add_queue(name.to_owned());
        number
    }

    pub(super) fn add_queue(&mut self, name: String) {
        self.queue_numbers.insert(name.as_str().into(), self.queues.len() as u32);
        self.queues.push(Queue {
            name,
            paused: false,
            limit: None,
            bucket: None,
            running: 0,
            counts: [0; 10],
            meter: Meter::default(),
        });
    }

    /// A task name's number; the name gets one where it has none.
    pub(super) fn name(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.name_numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.batch.put(&self.spaces.meta, meta_key(b'n', &number.to_be_bytes()), name.as_bytes());
        self.add_name(name.to_owned());
        number
    }

    pub(super) fn add_name(&mut self, name: String) {
        self.name_numbers.insert(name.as_str().into(), self.names.len() as u32);
        self.names.push(Name { name, bucket: None });
    }

    fn lane(&mut self, queue: u32, name: u32) -> u32 {
        if let Some(&lane) = self.lane_of.get(&(queue, name)) {
            return lane;
        }
        let lane = self.lanes.len() as u32;
        self.lanes.push(Lane::new(queue, name));
        self.lane_of.insert((queue, name), lane);
        let (queue, name) = (&self.queues[queue as usize].name, &self.names[name as usize].name);
        for worker in self.workers.values_mut().filter(|worker| worker.options.wants(queue, name)) {
            worker.lanes.push(lane);
        }
        lane
    }

    /// Writes what changed. Only then may anybody be told of it.
    pub fn commit(&mut self, now: i64) -> Result<()> {
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        if std::mem::take(&mut self.taken_moved) {
            self.batch.put(&self.spaces.meta, [INTAKE], self.taken.to_bytes());
        }
        loop {
            for id in std::mem::take(&mut self.dirty_flows) {
                match self.flows.get(&id) {
                    Some(flow) => self.batch.put(&self.spaces.flows, id.0, json(flow)?),
                    None => self.batch.remove(&self.spaces.flows, id.0),
                }
            }
            std::mem::replace(&mut self.batch, self.kv.batch()).commit()?;
            for index in std::mem::take(&mut self.to_disk) {
                let Some(task) = self.tasks.get_mut(index as usize) else { continue };
                if !task.state.is_held()
                    && let Some(message) = task.message.take()
                {
                    self.cached = self.cached.saturating_sub(message.len());
                }
            }
            // The outcomes of a join are read from the store, so it goes on in a transaction of its own.
            if self.full_joins.is_empty() {
                return Ok(());
            }
            self.pass_joins(now)?;
            // What follows them must not wait for another cause.
            self.deliver(now)?;
        }
    }

    /// When [`Engine::tick`] is due; none: never.
    pub fn next_due(&mut self) -> Option<i64> {
        while let Some(&Reverse((_, index, step))) = self.timers.peek() {
            if self.tasks.get(index as usize).is_some_and(|task| task.step == step) {
                break;
            }
            self.timers.pop();
        }
        let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
        let workers = self.workers.values().map(Worker::next_check).min();
        let periodic = self.periodic.values().filter_map(Periodic::next).min();
        // To the second: what is over its time need not go at once, but all of a second together.
        let coarse = |at: i64| at.saturating_add(1_000);
        let results = self.results.peek().map(|(at, _)| coarse(at));
        let keys = self.key_ends.peek().map(|Reverse((at, _))| coarse(*at));
        let beat = self.heartbeat_due();
        let all = [timer, workers, periodic, results, keys, beat, Some(self.rate_due)];
        all.into_iter().flatten().min().filter(|&at| at < NEVER)
    }

    /// Lets pass what is over its time.
    pub(super) fn sweep(&mut self, now: i64) -> Result<()> {
        const AT_ONCE: usize = 10_000;
        for _ in 0..AT_ONCE {
            let over = |at: i64, len: usize, max: usize| at <= now || len > max;
            match self.results.peek() {
                Some((at, id)) if over(at, self.results.len(), self.options.max_results) => {
                    self.results.pop();
                    if self.resent.contains(&id) {
                        let record = self.spaces.results.get(&id.0)?;
                        if record.is_none_or(|it| ResultHead::read(&it).is_some_and(|head| head.expires > at)) {
                            continue;
                        }
                        self.resent.remove(&id);
                    }
                    self.forget_result(id);
                }
                _ => break,
            }
        }
        while self.key_ends.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Some(Reverse((_, key))) = self.key_ends.pop() else { break };
            if self.keys.get(&key).is_some_and(|(_, end)| *end <= now) {
                self.keys.remove(&key);
                self.batch.remove(&self.spaces.keys, key.as_bytes());
            }
        }
        Ok(())
    }

    /// Results for who waits, since the last call. Call it after a commit.
    pub fn take_finished(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.finished)
    }

    /// Ends it: what workers hold goes back to its queue and counts as nothing.
    pub fn close(mut self, now: i64) -> Result<()> {
        let workers: Vec<u32> = self.workers.keys().copied().collect();
        for worker in workers {
            self.close_worker(worker, now)?;
        }
        self.commit(now)?;
        Ok(self.kv.close()?)
    }
}

pub(super) fn meta_key(kind: u8, name: &[u8]) -> Vec<u8> {
    [&[kind], name].concat()
}
