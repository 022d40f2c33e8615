//! Several topics through the sync engine before they reach anyone: frames that find no partner stay here, in the
//! packets that they came in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Deserialize;

use super::dds::Frame;
use super::stamp::{Step, stamp};
use super::{Context, EndpointOptions, Ros2Error, Sample, Subscription};
use crate::error::EngineError;
use crate::sync::{self, MatchStatus, NO_SLOT, PushOutcome, REASONS, Reason, Stats, Synchronizer};

/// What to synchronise, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncOptions {
    /// The subscriptions; `sync.topics` has one entry for each, in this order.
    pub subscriptions: Vec<EndpointOptions>,
    /// By subscription, the way to the message's stamp; none: the time of arrival counts.
    pub stamps: Vec<Option<Vec<Step>>>,
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

/// What a topic's messages came to, apart from groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// By [`Reason`].
    pub dropped: [u64; REASONS],
    /// No stamp could be read.
    pub unstamped: u64,
}

struct Held {
    topic: usize,
    frame: Frame,
}

struct State {
    matcher: Synchronizer,
    /// What is held, by slot, and the free slots.
    slots: Vec<Option<Held>>,
    free: Vec<u32>,
    groups: VecDeque<Group>,
    max_groups: usize,
    /// Groups that nobody took in time.
    lost: u64,
    /// By topic.
    left: Vec<Left>,
}

impl State {
    fn push(&mut self, topic: usize, stamp: i64, frame: Frame, now: i64) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        let pushed = self.matcher.push(topic, stamp, slot, now);
        if pushed.kept {
            self.slots[slot as usize] = Some(Held { topic, frame });
        } else {
            self.free.push(slot);
            if let Some(reason) = refusal(pushed.outcome) {
                self.left[topic].dropped[reason as usize] += 1;
            }
        }
        self.collect();
    }

    /// Frees what was dropped, and moves groups to where they wait to be taken.
    fn collect(&mut self) {
        for dropped in self.matcher.drain_drops(usize::MAX) {
            if let Some(held) = self.slots[dropped.slot as usize].take() {
                self.left[held.topic].dropped[dropped.reason as usize] += 1;
            }
            self.free.push(dropped.slot);
        }
        loop {
            let mut messages = Vec::with_capacity(self.left.len());
            let (slots, free) = (&mut self.slots, &mut self.free);
            let span = self.matcher.take(|_, stamp, slot| {
                let held = if slot == NO_SLOT { None } else { slots[slot as usize].take() };
                if held.is_some() {
                    free.push(slot);
                }
                messages.push(held.and_then(|held| Some((stamp, held.frame.sample()?))));
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

/// Why a push was refused; what is buffered leaves with a reason of its own.
fn refusal(outcome: PushOutcome) -> Option<Reason> {
    match outcome {
        PushOutcome::Accepted => None,
        PushOutcome::Late => Some(Reason::Late),
        PushOutcome::OutOfOrder => Some(Reason::OutOfOrder),
        PushOutcome::Full => Some(Reason::Full),
        PushOutcome::UnknownTopic => Some(Reason::UnknownTopic),
        PushOutcome::ClockJump => Some(Reason::ClockJump),
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
            left: vec![Left::default(); options.sync.topics.len()],
        }));
        let started = Instant::now();
        let on_ready = Arc::new(on_ready);
        let mut subscriptions = Vec::new();
        for (topic, wanted) in options.subscriptions.iter().enumerate() {
            let steps = options.stamps.get(topic).cloned().flatten();
            let (state, on_ready) = (state.clone(), on_ready.clone());
            let hear = move |mut frame: Frame| {
                let stamp = match &steps {
                    Some(steps) => frame.find(|cdr| stamp(cdr, steps)),
                    None => Some(frame.received_ns()),
                };
                if frame.settle().is_none() {
                    return;
                }
                let mut state = lock(&state);
                let Some(stamp) = stamp else {
                    state.left[topic].unstamped += 1;
                    return;
                };
                let before = state.groups.len();
                state.push(topic, stamp, frame, started.elapsed().as_nanos() as i64);
                let ready = before == 0 && !state.groups.is_empty();
                drop(state);
                if ready {
                    on_ready();
                }
            };
            subscriptions.push(context.subscribe_frames(&wanted.topic, &wanted.type_name, &wanted.qos, hear)?);
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

    /// By topic, what left without a group.
    pub fn left(&self) -> Vec<Left> {
        lock(&self.state).left.clone()
    }

    /// Topics (indices) that a stall waits for, once a stall.
    pub fn stall(&self) -> Option<Vec<u32>> {
        lock(&self.state).matcher.stall()
    }

    /// Why no group leaves.
    pub fn status(&self) -> MatchStatus {
        lock(&self.state).matcher.match_status()
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SyncOptions {
    /// Fails when the lists do not fit together.
    fn check(&self) -> Result<(), Ros2Error> {
        let count = self.sync.topics.len();
        if self.subscriptions.len() == count && self.stamps.len() == count {
            Ok(())
        } else {
            Err(Ros2Error::Lists(self.subscriptions.len(), self.stamps.len(), count))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_counted_by_its_reason() {
        let reasons: Vec<Option<&str>> =
            PushOutcome::ALL.iter().map(|&outcome| refusal(outcome).map(Reason::name)).collect();
        let named: Vec<Option<&str>> = PushOutcome::ALL
            .iter()
            .map(|&outcome| (outcome != PushOutcome::Accepted).then(|| outcome.name()))
            .collect();
        assert_eq!(reasons, named);
    }
}
