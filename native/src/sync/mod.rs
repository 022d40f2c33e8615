//! Aligns timestamped streams into groups.
//!
//! The engine never sees a message: a push brings a topic, a stamp (ns) and a slot number, and the
//! slot comes back exactly once, in a group or among the dropped. The way of a message:
//!
//! ```text
//! push -> topics (a bounded queue each) -> matcher (nearest | oldest) -> groups -> take
//!                    \______________________ drops ______________________/
//! ```
//!
//! Invariants: stamps rise on each topic; every buffer is bounded by `buffer_size`, the groups waiting
//! for the caller included; no input wedges the streams, since a full buffer always ends a wait.
//! Nothing here reads a clock: the caller says what time it is.

mod groups;
mod nearest;
mod oldest;
mod options;
mod report;
mod topics;
mod tree;

pub use groups::NO_SLOT;
pub use options::{DropPolicy, EqualStamps, Match, OnClockJump, Options, TopicOptions};
pub use report::{Blocked, Dropped, MatchStatus, PushOutcome, Pushed, REASONS, Reason, Stats};

use crate::error::{ErrorCode, HasCode};
use groups::Groups;
use nearest::Nearest;
use oldest::Oldest;
use options::Rules;
use topics::{Item, Topics};

/// Stamps beyond this, either way, are refused before they reach the engine: sums of two must fit.
pub const STAMP_LIMIT: i64 = (1 << 62) - 1;

/// An option that cannot work.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum SyncError {
    /// No topics.
    #[error("no topics; name at least one")]
    NoTopics,
    /// Only optional topics.
    #[error("no required topic; a group needs at least one that drives it")]
    NoRequiredTopic,
    /// A topic without a name.
    #[error("a topic's name is ''; give every topic a name")]
    EmptyTopic,
    /// A topic named twice.
    #[error("topic '{0}' is named twice; name each topic once")]
    DuplicateTopic(String),
    /// A buffer size out of range.
    #[error("bufferSize is {0}; use 2 to 1000000 messages a topic")]
    BufferSize(usize),
    /// A time out of range.
    #[error("{option} is {value}; use a time above 0, at most 100 years, or leave it out")]
    Duration {
        /// The option's name.
        option: String,
        /// What was given.
        value: f64,
    },
}

impl HasCode for SyncError {
    fn code(&self) -> ErrorCode {
        match self {
            SyncError::NoTopics
            | SyncError::NoRequiredTopic
            | SyncError::EmptyTopic
            | SyncError::DuplicateTopic(_)
            | SyncError::BufferSize(_)
            | SyncError::Duration { .. } => ErrorCode::InvalidOption,
        }
    }
}

/// What time it is: on the wall, and in the messages.
#[derive(Clone, Copy)]
struct Clock {
    now: i64,
    newest: i64,
}

/// Whether a group has to be proven the best, or the best known will do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Urge {
    Prove,
    Settle,
}

/// A complete group: the first message at or after `start` on each required topic.
struct Found {
    start: i64,
    since: i64,
}

enum Matcher {
    Nearest(Nearest),
    Oldest(Oldest),
}

impl Matcher {
    fn new(matching: Match, leaves: usize) -> Self {
        match matching {
            Match::Nearest => Matcher::Nearest(Nearest::new(leaves)),
            Match::Oldest => Matcher::Oldest(Oldest::new(leaves)),
        }
    }

    #[inline]
    fn rebuild(&mut self, topics: &Topics, rules: &Rules) {
        match self {
            Matcher::Nearest(nearest) => nearest.rebuild(topics, rules),
            Matcher::Oldest(oldest) => oldest.rebuild(topics, rules),
        }
    }

    #[inline]
    fn pushed(&mut self, topics: &Topics, rules: &Rules, leaf: usize) {
        match self {
            Matcher::Nearest(nearest) => nearest.pushed(topics, leaf),
            Matcher::Oldest(oldest) => oldest.pushed(topics, rules, leaf),
        }
    }

    #[inline]
    fn front_dropped(&mut self, topics: &Topics, rules: &Rules, leaf: usize) {
        match self {
            Matcher::Nearest(nearest) => nearest.front_dropped(topics, rules, leaf),
            Matcher::Oldest(oldest) => oldest.front_dropped(topics, rules, leaf),
        }
    }

    #[inline]
    fn next(&mut self, topics: &mut Topics, rules: &Rules, clock: Clock, urge: Urge) -> Option<Found> {
        match self {
            Matcher::Nearest(nearest) => nearest.next(topics, rules, clock, urge),
            Matcher::Oldest(oldest) => oldest.next(topics, rules, clock, urge),
        }
    }

    fn deadline(&self, rules: &Rules) -> Option<i64> {
        match self {
            Matcher::Nearest(nearest) => nearest.deadline(rules),
            Matcher::Oldest(oldest) => oldest.deadline(rules),
        }
    }

    fn horizon(&self) -> i64 {
        match self {
            Matcher::Nearest(nearest) => nearest.horizon(),
            Matcher::Oldest(oldest) => oldest.horizon(),
        }
    }

    fn shortfall(&self, rules: &Rules) -> i64 {
        match self {
            Matcher::Nearest(nearest) => nearest.shortfall(),
            Matcher::Oldest(oldest) => oldest.shortfall(rules),
        }
    }
}

/// A group that the caller took: where it begins and ends, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The smallest stamp.
    pub start: i64,
    /// The largest stamp.
    pub end: i64,
}

/// Aligns streams. See the module's head.
pub struct Synchronizer {
    rules: Rules,
    topics: Topics,
    matcher: Matcher,
    groups: Groups,
    /// The largest stamp accepted.
    newest: i64,
    /// The smallest stamp of the last group that became ready: nothing at or before it can leave in a group.
    commit: i64,
    /// Wall clock of the first message accepted since the last group became ready.
    waiting_since: Option<i64>,
    /// Wall clock of the last message accepted.
    last_push: i64,
    stall_reported: bool,
    received: u64,
    grouped: u64,
    taken: u64,
    clock_jumps: u64,
    last_jump: Option<u32>,
    skew_sum: f64,
    max_skew: i64,
}

impl Synchronizer {
    /// Fails with the option that cannot work.
    pub fn new(options: &Options) -> Result<Self, SyncError> {
        let rules = options.rules()?;
        let topics = Topics::new(options, &rules);
        Ok(Synchronizer {
            matcher: Matcher::new(options.matching, topics.core.len()),
            groups: Groups::new(&topics),
            rules,
            topics,
            newest: i64::MIN,
            commit: i64::MIN,
            waiting_since: None,
            last_push: i64::MIN,
            stall_reported: false,
            received: 0,
            grouped: 0,
            taken: 0,
            clock_jumps: 0,
            last_jump: None,
            skew_sum: 0.0,
            max_skew: 0,
        })
    }

    /// Changes everything but the topics; what is buffered stays.
    pub fn set_options(&mut self, options: &Options, now: i64) -> Result<(), SyncError> {
        self.rules = options.rules()?;
        self.matcher = Matcher::new(options.matching, self.topics.core.len());
        for topic in 0..self.topics.all.len() {
            while self.topics.all[topic].queue.len() > self.rules.buffer_size {
                self.topics.drop_front(topic, Reason::Full);
            }
        }
        self.matcher.rebuild(&self.topics, &self.rules);
        self.pump(now);
        Ok(())
    }

    /// Brings one message. `stamp` lies within [`STAMP_LIMIT`], `now` is a wall clock in ns that never
    /// goes backwards.
    #[inline]
    pub fn push(&mut self, topic: usize, stamp: i64, slot: u32, now: i64) -> Pushed {
        self.received += 1;
        let Some(&leaf) = self.topics.leaf.get(topic) else {
            return self.refuse(PushOutcome::UnknownTopic, Reason::UnknownTopic);
        };
        let mut outcome = PushOutcome::Accepted;
        if self.topics.all[topic].last.is_some_and(|last| stamp <= last) {
            if self.replaces(topic, stamp, slot) {
                return Pushed { outcome, kept: true };
            }
            if !self.topics.all[topic].refuse(stamp, &self.rules) {
                return self.refuse_behind(stamp);
            }
            self.note_jump(topic);
            outcome = PushOutcome::ClockJump;
            if self.rules.on_clock_jump == OnClockJump::Refuse {
                return self.refuse(outcome, Reason::ClockJump);
            }
            self.restart(now);
        } else if stamp <= self.commit {
            return self.refuse_behind(stamp);
        } else if stamp.saturating_sub(self.newest) > self.rules.clock_jump
            && self.topics.all[topic].leaps(stamp, &self.rules)
        {
            self.note_jump(topic);
        }
        if !self.make_room(topic, leaf, now) {
            return self.refuse(PushOutcome::Full, Reason::Full);
        }
        self.newest = self.newest.max(stamp);
        let as_promised = self.topics.all[topic].push(Item { stamp, slot }, &self.rules);
        match leaf {
            Some(leaf) if as_promised => self.matcher.pushed(&self.topics, &self.rules, leaf),
            Some(_) => self.matcher.rebuild(&self.topics, &self.rules),
            None => {}
        }
        self.last_push = now;
        if self.waiting_since.is_none() {
            self.waiting_since = Some(now);
        }
        self.pump(now);
        Pushed { outcome, kept: true }
    }

    /// Takes the next group: `each` gets topic, stamp and slot of its messages, [`NO_SLOT`] for an
    /// optional topic that has none.
    #[inline]
    pub fn take(&mut self, mut each: impl FnMut(usize, i64, u32)) -> Option<Span> {
        let mut span = Span { start: i64::MAX, end: i64::MIN };
        let mut messages = 0;
        let taken = self.groups.take(self.topics.all.len(), |topic, item| {
            if item.slot != NO_SLOT {
                span.start = span.start.min(item.stamp);
                span.end = span.end.max(item.stamp);
                messages += 1;
            }
            each(topic, item.stamp, item.slot);
        });
        if !taken {
            return None;
        }
        let skew = span.end - span.start;
        self.taken += 1;
        self.grouped += messages;
        self.skew_sum += skew as f64;
        self.max_skew = self.max_skew.max(skew);
        Some(span)
    }

    /// Groups that [`Self::take`] would give now.
    #[inline]
    pub fn ready(&self) -> usize {
        self.groups.ready()
    }

    /// What left without a group since the last call, at most `limit` of it.
    #[inline]
    pub fn drain_drops(&mut self, limit: usize) -> impl Iterator<Item = Dropped> + '_ {
        let count = self.topics.drops.len().min(limit);
        self.topics.drops.drain(..count)
    }

    /// How many wait for [`Self::drain_drops`].
    #[inline]
    pub fn drops_waiting(&self) -> usize {
        self.topics.drops.len()
    }

    /// Lets time pass: groups that have waited for the longest delay leave.
    pub fn tick(&mut self, now: i64) {
        self.pump(now);
    }

    /// When [`Self::tick`] should be called next.
    pub fn deadline(&self) -> Option<i64> {
        let waits = [self.matcher.deadline(&self.rules), self.groups.deadline(&self.rules)];
        waits.into_iter().flatten().min()
    }

    /// The end of the input: complete groups become ready, all else leaves without a group.
    pub fn flush(&mut self, now: i64) {
        self.settle_all(now);
        self.topics.drop_all(Reason::Flush);
        self.matcher.rebuild(&self.topics, &self.rules);
        self.waiting_since = None;
    }

    /// Lets everything go, groups that nobody took included, and forgets what the clocks said.
    pub fn reset(&mut self) {
        let topics = &mut self.topics;
        self.groups.clear(|item| topics.drop_slot(item.slot, Reason::Reset));
        topics.drop_all(Reason::Reset);
        self.forget();
    }

    /// Topics (indices) that a stall waits for: once, when messages have come for the stall time
    /// without a group.
    pub fn stall(&mut self) -> Option<Vec<u32>> {
        let (since, limit) = (self.waiting_since?, self.rules.stall?);
        // An input that has ended does not stall: messages have to come all that time.
        if self.stall_reported || self.last_push.saturating_sub(since) < limit {
            return None;
        }
        self.stall_reported = true;
        Some(self.behind())
    }

    /// Why no group leaves.
    pub fn match_status(&self) -> MatchStatus {
        let core = || self.topics.core.iter().map(|&topic| &self.topics.all[topic]);
        let complete = core().all(|topic| !topic.queue.is_empty());
        let full = core().any(|topic| topic.queue.len() >= self.rules.buffer_size);
        let blocked = if self.groups.ready() > 0 {
            Blocked::No
        } else if full {
            Blocked::BufferFull
        } else if complete || self.groups.pending() > 0 {
            Blocked::SpreadTooNarrow
        } else {
            Blocked::WaitingForData
        };
        MatchStatus {
            blocked,
            topics: if blocked == Blocked::No { Vec::new() } else { self.behind() },
            inf: if complete { core().map(|topic| topic.front()).max() } else { None },
            sup: if complete { core().map(|topic| topic.back()).min() } else { None },
            shortfall: self.matcher.shortfall(&self.rules),
        }
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        let groups = self.taken;
        Stats {
            received: self.received,
            grouped: self.grouped,
            dropped: self.topics.dropped,
            groups,
            buffered: (self.topics.buffered() + self.groups.held()) as u64,
            clock_jumps: self.clock_jumps,
            last_jump: self.last_jump,
            mean_skew: if groups == 0 { 0.0 } else { self.skew_sum / groups as f64 },
            max_skew: self.max_skew,
        }
    }

    /// The required topics with nothing buffered; where all have something, the one whose newest
    /// message is the oldest; while a group waits for optional topics, those behind it.
    fn behind(&self) -> Vec<u32> {
        let of = |wanted: &dyn Fn(usize) -> bool| -> Vec<u32> {
            (0..self.topics.all.len()).filter(|&topic| wanted(topic)).map(|topic| topic as u32).collect()
        };
        let newest = |topic: usize| self.topics.all[topic].last.unwrap_or(i64::MIN);
        if self.groups.pending() > 0 {
            let optional = |topic: usize| self.topics.leaf[topic].is_none();
            let slowest = of(&optional).into_iter().map(|topic| newest(topic as usize)).min();
            return of(&|topic| optional(topic) && Some(newest(topic)) == slowest);
        }
        let required = |topic: usize| self.topics.leaf[topic].is_some();
        let empty = of(&|topic| required(topic) && self.topics.all[topic].queue.is_empty());
        if !empty.is_empty() {
            return empty;
        }
        let slowest = self.topics.core.iter().map(|&topic| newest(topic)).min();
        of(&|topic| required(topic) && Some(newest(topic)) == slowest)
    }

    fn clock(&self, now: i64) -> Clock {
        Clock { now, newest: self.newest }
    }

    /// Moves all that can move.
    #[inline]
    fn pump(&mut self, now: i64) {
        let clock = self.clock(now);
        while self.match_one(clock, Urge::Prove) {}
        let waiting = self.groups.pending();
        if waiting == 0 {
            return;
        }
        // Groups that wait for optional messages are bounded like every buffer.
        self.attach(clock, waiting.saturating_sub(self.rules.buffer_size));
    }

    #[inline]
    fn match_one(&mut self, clock: Clock, urge: Urge) -> bool {
        let Some(found) = self.matcher.next(&mut self.topics, &self.rules, clock, urge) else {
            return false;
        };
        self.groups.collect(&mut self.topics, found.start, found.since);
        self.matcher.rebuild(&self.topics, &self.rules);
        true
    }

    #[inline]
    fn attach(&mut self, clock: Clock, settle: usize) {
        if let Some(start) = self.groups.attach(&mut self.topics, &self.rules, clock, settle) {
            self.commit = start;
            self.waiting_since = None;
            self.stall_reported = false;
        }
    }

    fn settle_all(&mut self, now: i64) {
        let clock = self.clock(now);
        while self.match_one(clock, Urge::Settle) {}
        self.attach(clock, usize::MAX);
    }

    /// Makes room for one message on `topic`; false where the policy is to refuse it.
    #[inline]
    fn make_room(&mut self, topic: usize, leaf: Option<usize>, now: i64) -> bool {
        let limit = self.rules.buffer_size;
        if self.groups.ready() >= limit {
            if self.rules.drop == DropPolicy::RejectNew {
                return false;
            }
            let topics = &mut self.topics;
            self.groups.take(topics.all.len(), |_, item| {
                if item.slot != NO_SLOT {
                    topics.drop_slot(item.slot, Reason::Full);
                }
            });
        }
        if self.topics.all[topic].queue.len() < limit {
            return true;
        }
        // A full buffer ends the wait for proof.
        match leaf {
            Some(_) => {
                if self.match_one(self.clock(now), Urge::Settle) {
                    self.pump(now);
                }
            }
            None => {
                self.attach(self.clock(now), usize::MAX);
                let horizon = self.matcher.horizon();
                self.groups.drop_hopeless(&mut self.topics, &self.rules, topic, horizon);
            }
        }
        if self.topics.all[topic].queue.len() < limit {
            return true;
        }
        if self.rules.drop == DropPolicy::RejectNew {
            return false;
        }
        self.topics.drop_front(topic, Reason::Full);
        if let Some(leaf) = leaf {
            self.matcher.front_dropped(&self.topics, &self.rules, leaf);
        }
        true
    }

    fn note_jump(&mut self, topic: usize) {
        self.clock_jumps += 1;
        self.last_jump = Some(topic as u32);
    }

    fn replaces(&mut self, topic: usize, stamp: i64, slot: u32) -> bool {
        if self.rules.equal_stamps == EqualStamps::Refuse {
            return false;
        }
        let Some(item) = self.topics.all[topic].queue.back_mut() else { return false };
        if item.stamp != stamp {
            return false;
        }
        let replaced = std::mem::replace(&mut item.slot, slot);
        self.topics.drop_slot(replaced, Reason::Replaced);
        true
    }

    fn refuse_behind(&mut self, stamp: i64) -> Pushed {
        if stamp <= self.commit {
            self.refuse(PushOutcome::Late, Reason::Late)
        } else {
            self.refuse(PushOutcome::OutOfOrder, Reason::OutOfOrder)
        }
    }

    fn refuse(&mut self, outcome: PushOutcome, reason: Reason) -> Pushed {
        self.topics.dropped[reason as usize] += 1;
        Pushed { outcome, kept: false }
    }

    /// The old clock's complete groups leave, the rest is handed back, and a new clock begins.
    fn restart(&mut self, now: i64) {
        self.settle_all(now);
        self.topics.drop_all(Reason::ClockJump);
        self.forget();
    }

    fn forget(&mut self) {
        self.topics.forget_clocks();
        self.matcher.rebuild(&self.topics, &self.rules);
        self.newest = i64::MIN;
        self.commit = i64::MIN;
        self.waiting_since = None;
        self.stall_reported = false;
    }
}
