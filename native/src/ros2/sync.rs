//! Several topics through the sync engine before they reach anyone: frames that find no partner stay here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Deserialize;

use super::{Context, EndpointOptions, Ros2Error, Sample, Subscription};
use crate::error::EngineError;
use crate::sync::{self, MatchStatus, NO_SLOT, PushOutcome, STAMP_LIMIT, Stats, Synchronizer};

/// What to synchronise, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncOptions {
    /// The subscriptions; `sync.topics` has one entry for each, in this order.
    pub subscriptions: Vec<EndpointOptions>,
    /// By subscription, whether the message begins with a `std_msgs/Header`, whose stamp counts then.
    /// Else the time of arrival does.
    pub stamped: Vec<bool>,
    /// Window, buffer and the rest.
    pub sync: sync::Options,
}

/// A group, by topic; none for an optional topic without a message.
#[derive(Debug, PartialEq)]
pub struct Group {
    /// The smallest stamp.
    pub start: i64,
    /// The largest stamp.
    pub end: i64,
    /// A message and its stamp, by topic.
    pub messages: Vec<Option<(i64, Sample)>>,
}

struct State {
    matcher: Synchronizer,
    /// Held samples by slot, and the free slots.
    slots: Vec<Option<Sample>>,
    free: Vec<u32>,
    groups: VecDeque<Group>,
    max_groups: usize,
    /// Groups that nobody took in time.
    lost: u64,
    topics: usize,
}

impl State {
    fn push(&mut self, topic: usize, stamp: i64, sample: Sample, now: i64) -> PushOutcome {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        let pushed = self.matcher.push(topic, stamp, slot, now);
        if pushed.kept {
            self.slots[slot as usize] = Some(sample);
        } else {
            self.free.push(slot);
        }
        self.collect();
        pushed.outcome
    }

    /// Frees what was dropped, and moves groups to where they wait to be taken.
    fn collect(&mut self) {
        for dropped in self.matcher.drain_drops(usize::MAX) {
            self.slots[dropped.slot as usize] = None;
            self.free.push(dropped.slot);
        }
        loop {
            let mut messages = Vec::with_capacity(self.topics);
            let (slots, free) = (&mut self.slots, &mut self.free);
            let span = self.matcher.take(|_, stamp, slot| {
                let sample = if slot == NO_SLOT { None } else { slots[slot as usize].take() };
                if sample.is_some() {
                    free.push(slot);
                }
                messages.push(sample.map(|sample| (stamp, sample)));
            });
            let Some(span) = span else { return };
            if self.groups.len() >= self.max_groups {
                self.groups.pop_front();
                self.lost += 1;
            }
            self.groups.push_back(Group { start: span.start, end: span.end, messages });
        }
    }
}

/// Runs until it is dropped.
pub struct Synchronized {
    _subscriptions: Vec<Subscription>,
    state: Arc<Mutex<State>>,
    started: Instant,
}

impl Synchronized {
    /// `on_ready` is called when groups wait where none did, on a thread of the DDS.
    pub fn start(
        context: &Context,
        options: &SyncOptions,
        on_ready: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        options.check()?;
        let state = Arc::new(Mutex::new(State {
            matcher: Synchronizer::new(&options.sync)?,
            slots: Vec::new(),
            free: Vec::new(),
            groups: VecDeque::new(),
            max_groups: options.sync.buffer_size,
            lost: 0,
            topics: options.sync.topics.len(),
        }));
        let started = Instant::now();
        let on_ready = Arc::new(on_ready);
        let mut subscriptions = Vec::new();
        for (topic, wanted) in options.subscriptions.iter().enumerate() {
            let stamped = options.stamped.get(topic).copied().unwrap_or(false);
            let (state, on_ready) = (state.clone(), on_ready.clone());
            let hear = move |sample: Sample| {
                let stamp = if stamped { header_stamp(&sample.cdr) } else { Some(sample.received_ns) };
                let Some(stamp) = stamp else { return };
                let mut state = lock(&state);
                let before = state.groups.len();
                state.push(topic, stamp, sample, started.elapsed().as_nanos() as i64);
                let ready = before == 0 && !state.groups.is_empty();
                drop(state);
                if ready {
                    on_ready();
                }
            };
            subscriptions.push(context.subscribe(&wanted.topic, &wanted.type_name, &wanted.qos, hear)?);
        }
        Ok(Synchronized { _subscriptions: subscriptions, state, started })
    }

    /// At most `limit` groups, the oldest first, and whether more wait.
    pub fn take(&self, limit: usize) -> (Vec<Group>, bool) {
        let mut state = lock(&self.state);
        state.matcher.tick(self.started.elapsed().as_nanos() as i64);
        state.collect();
        let count = state.groups.len().min(limit);
        let groups = state.groups.drain(..count).collect();
        (groups, !state.groups.is_empty())
    }

    /// Milliseconds until [`Self::take`] may have a group that no message brings out.
    pub fn due_in_ms(&self) -> Option<f64> {
        let deadline = lock(&self.state).matcher.deadline()?;
        Some((deadline - self.started.elapsed().as_nanos() as i64).max(0) as f64 / 1e6)
    }

    /// The matcher's counters, and how many groups nobody took in time.
    pub fn stats(&self) -> (Stats, u64) {
        let state = lock(&self.state);
        (state.matcher.stats(), state.lost)
    }

    /// Why no group leaves.
    pub fn status(&self) -> MatchStatus {
        lock(&self.state).matcher.match_status()
    }
}

/// The stamp of a message that begins with a `std_msgs/Header`; none for what is cut off or absurd.
pub fn header_stamp(cdr: &[u8]) -> Option<i64> {
    let little = cdr.get(1)? & 1 == 1;
    let sec: [u8; 4] = cdr.get(4..8)?.try_into().ok()?;
    let nanosec: [u8; 4] = cdr.get(8..12)?.try_into().ok()?;
    let (sec, nanosec) = if little {
        (i32::from_le_bytes(sec), u32::from_le_bytes(nanosec))
    } else {
        (i32::from_be_bytes(sec), u32::from_be_bytes(nanosec))
    };
    let stamp = i64::from(sec) * 1_000_000_000 + i64::from(nanosec);
    // Zero is what a publisher sends that never set it.
    (stamp != 0 && (-STAMP_LIMIT..=STAMP_LIMIT).contains(&stamp)).then_some(stamp)
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SyncOptions {
    /// Fails when the lists do not fit together.
    fn check(&self) -> Result<(), Ros2Error> {
        let count = self.sync.topics.len();
        if self.subscriptions.len() == count && self.stamped.len() == count {
            Ok(())
        } else {
            Err(Ros2Error::Lists(self.subscriptions.len(), self.stamped.len(), count))
        }
    }
}
