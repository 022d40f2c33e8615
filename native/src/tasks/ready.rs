//! Which task goes next, and to whom.
//!
//! Tasks of one name in one queue wait in a lane: what a pause, a worker's choice or a limit of a queue or
//! a name says holds for the whole lane, so no task is looked at before its turn. Only limits of rate keys
//! hold for single tasks: those wait beside the lane until their key has a token.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::Result;
use super::engine::{Engine, NEVER};
use super::rate::{Bucket, Rate};
use super::state::State;

/// A lower priority goes first once after so many tasks that went before it.
pub(super) const PATIENCE: u32 = 32;

/// Tasks of one name in one queue that can go.
pub(super) struct Lane {
    pub queue: u32,
    pub name: u32,
    /// By priority: task and its step. Stale ones are passed over.
    levels: [VecDeque<(u32, u32)>; 10],
}

impl Lane {
    pub fn new(queue: u32, name: u32) -> Self {
        Lane { queue, name, levels: Default::default() }
    }

    pub fn clear(&mut self) {
        self.levels.iter_mut().for_each(|level| *level = VecDeque::new());
    }

    fn mask(&self) -> u16 {
        self.levels.iter().enumerate().map(|(level, tasks)| u16::from(!tasks.is_empty()) << level).sum()
    }
}

/// A rate key's limit, and who waits for it.
pub(super) struct KeyLimit {
    pub bucket: Bucket,
    /// It stands for one key of `*`.
    pub derived: bool,
    parked: VecDeque<(u32, u32)>,
}

impl KeyLimit {
    pub fn new(rate: Rate, derived: bool, now: i64) -> Self {
        KeyLimit { bucket: Bucket::new(rate, now), derived, parked: VecDeque::new() }
    }

    pub fn clear(&mut self) {
        self.parked.clear();
    }
}

impl Engine {
    /// Puts a task where it waits: in its lane, or among the timers.
    pub(super) fn wait(&mut self, index: u32, first: bool) {
        let task = &self.tasks[index as usize];
        let (step, expires, state) = (task.step, task.expires, task.state);
        let (lane, priority) = (task.lane as usize, usize::from(task.priority));
        if state == State::Pending {
            let level = &mut self.lanes[lane].levels[priority];
            if first { level.push_front((index, step)) } else { level.push_back((index, step)) }
        }
        let due = if state == State::Pending { expires } else { task.due.min(expires) };
        if due < NEVER {
            self.timers.push(Reverse((due, index, step)));
            // Of tasks that are long done: they would be as many as were sent before they expire.
            if self.timers.len() > 2 * self.by_id.len() + 1_024 {
                let tasks = &self.tasks;
                self.timers.retain(|Reverse((_, index, step))| tasks[*index as usize].step == *step);
            }
        }
    }

    /// Hands out what can go.
    pub fn deliver(&mut self, now: i64) -> Result<()> {
        self.rate_due = NEVER;
        self.release_keys(now);
        let workers: Vec<u32> = self.workers.keys().copied().collect();
        let mut taken = Vec::new();
        let mut idle = false;
        // One each in turn, so that no worker gets all.
        while !idle {
            idle = true;
            for &worker in &workers {
                let Some(index) = self.pick(worker, now) else { continue };
                idle = false;
                // Its timer comes behind this.
                if self.tasks[index as usize].expires <= now {
                    self.end_expired(index, now)?;
                    continue;
                }
                self.give(worker, index, now)?;
                taken.extend(self.tasks[index as usize].id.0);
            }
        }
        self.note_take(taken);
        Ok(())
    }

    /// The next task for a worker with room.
    fn pick(&mut self, id: u32, now: i64) -> Option<u32> {
        loop {
            let worker = self.workers.get_mut(&id).filter(|worker| worker.has_room())?;
            if worker.bucket.as_mut().is_some_and(|bucket| !bucket.ready(now)) {
                self.rate_due = worker.bucket.as_ref().map_or(NEVER, Bucket::next).min(self.rate_due);
                return None;
            }
            let (mut mask, mut open) = (0, std::mem::take(&mut worker.open));
            open.clear();
            for &lane in &worker.lanes {
                let (waits, queue, name) = {
                    let lane = &self.lanes[lane as usize];
                    (lane.mask(), lane.queue as usize, lane.name as usize)
                };
                let queue = &mut self.queues[queue];
                if waits == 0 || queue.paused || queue.limit.is_some_and(|limit| queue.running >= limit) {
                    continue;
                }
                let buckets = queue.bucket.iter_mut().chain(&mut self.names[name].bucket);
                let late = buckets.filter_map(|bucket| (!bucket.ready(now)).then(|| bucket.next())).max();
                if let Some(late) = late {
                    self.rate_due = self.rate_due.min(late);
                    continue;
                }
                mask |= waits;
                open.push(lane);
            }
            let level = if mask == 0 { None } else { Some(worker.choose(mask)) };
            let found = level.and_then(|level| self.first(&open, level));
            if let Some(worker) = self.workers.get_mut(&id) {
                worker.open = open;
            }
            let (index, step) = match (level, found) {
                (None, _) => return None,
                // All that was there is stale: look again.
                (Some(_), None) => continue,
                (Some(_), Some(found)) => found,
            };
            if self.park(index, step, now) {
                continue;
            }
            let lane = &self.lanes[self.tasks[index as usize].lane as usize];
            let queue = &mut self.queues[lane.queue as usize];
            queue.bucket.iter_mut().chain(&mut self.names[lane.name as usize].bucket).for_each(Bucket::take);
            return Some(index);
        }
    }

    /// The one that was sent first, of the same priority in several lanes.
    fn first(&mut self, open: &[u32], level: usize) -> Option<(u32, u32)> {
        let mut best: Option<(u64, u32)> = None;
        for &lane in open {
            let waiting = &mut self.lanes[lane as usize].levels[level];
            while let Some(&(index, step)) = waiting.front() {
                let task = &self.tasks[index as usize];
                if task.step != step {
                    waiting.pop_front();
                    continue;
                }
                if best.is_none_or(|(seq, _)| task.seq < seq) {
                    best = Some((task.seq, lane));
                }
                break;
            }
        }
        best.and_then(|(_, lane)| self.lanes[lane as usize].levels[level].pop_front())
    }

    /// What waits longest, of each lane and priority and of each key: few, however many wait behind them.
    pub(super) fn fronts(&mut self) -> Vec<u32> {
        let tasks = &self.tasks;
        let levels = self.lanes.iter_mut().flat_map(|lane| &mut lane.levels);
        let waiting = levels.chain(self.key_limits.values_mut().map(|limit| &mut limit.parked));
        let first = |waiting: &mut VecDeque<(u32, u32)>| {
            while waiting.front().is_some_and(|&(index, step)| tasks[index as usize].step != step) {
                waiting.pop_front();
            }
            waiting.front().map(|&(index, _)| index)
        };
        waiting.filter_map(first).collect()
    }

    /// True if its rate key has no token: then it waits beside its lane.
    fn park(&mut self, index: u32, step: u32, now: i64) -> bool {
        let Some(key) = self.tasks[index as usize].extra.as_ref().and_then(|extra| extra.rate_key.clone()) else {
            return false;
        };
        if !self.key_limits.contains_key(&key) {
            // A limit for `*` is one for each key that has none of its own.
            let Some(rate) = self.key_limits.get("*").map(|limit| limit.bucket.rate) else { return false };
            self.key_limits.insert(key.clone(), KeyLimit::new(rate, true, now));
        }
        let Some(limit) = self.key_limits.get_mut(&key) else { return false };
        if limit.bucket.ready(now) {
            limit.bucket.take();
            return false;
        }
        limit.parked.push_back((index, step));
        self.parked_keys.insert(key);
        self.rate_due = self.rate_due.min(limit.bucket.next());
        true
    }

    /// Brings back as many as there are tokens, in their order, before those that came later.
    fn release_keys(&mut self, now: i64) {
        for key in std::mem::take(&mut self.parked_keys) {
            let Some(limit) = self.key_limits.get_mut(&key) else { continue };
            let count = if limit.bucket.ready(now) { limit.bucket.available() } else { 0 };
            self.unpark(&key, count);
            let Some(limit) = self.key_limits.get(&key) else { continue };
            if !limit.parked.is_empty() {
                self.rate_due = self.rate_due.min(limit.bucket.next().max(now + 1));
                self.parked_keys.insert(key);
            }
        }
    }

    fn unpark(&mut self, key: &str, count: usize) {
        let Some(limit) = self.key_limits.get_mut(key) else { return };
        let released: Vec<_> = limit.parked.drain(..count.min(limit.parked.len())).collect();
        for (index, step) in released.into_iter().rev() {
            let task = &self.tasks[index as usize];
            if task.step == step {
                let lane = &mut self.lanes[task.lane as usize];
                lane.levels[usize::from(task.priority)].push_front((index, step));
            }
        }
    }

    /// Takes a limit away; one for `*` with all that stand for its keys.
    pub(super) fn drop_key_limit(&mut self, name: &str) {
        let all = name == "*";
        let keys: Vec<Box<str>> = self.key_limits.keys().filter(|key| ***key == *name || all).cloned().collect();
        for key in keys {
            if *key == *name || self.key_limits.get(&key).is_some_and(|limit| limit.derived) {
                self.unpark(&key, usize::MAX);
                self.key_limits.remove(&key);
            }
        }
    }

    /// Limits of keys that nobody uses any more need no place.
    pub(super) fn forget_idle_keys(&mut self) {
        if self.key_limits.len() > 10_000 {
            self.key_limits.retain(|_, limit| !limit.derived || !limit.parked.is_empty());
        }
    }
}
