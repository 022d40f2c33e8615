//! The buffers: one queue of stamps and slots a topic, and the list of what left without a group.

use std::collections::VecDeque;

use super::options::{Options, Rules};
use super::report::{Dropped, REASONS, Reason};
use super::tree::NO_KEY;

/// One message, as far as the engine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub stamp: i64,
    pub slot: u32,
}

/// Gaps to see before the shortest of them counts as a period.
const GAPS_TO_LEARN: u32 = 16;

pub(super) struct Topic {
    /// Ascending stamps.
    pub queue: VecDeque<Item>,
    /// The newest stamp ever accepted since the last reset.
    pub last: Option<i64>,
    /// A promised lower bound of the gap between two stamps.
    min_period: i64,
    shortest_gap: i64,
    longest_gap: i64,
    gaps: u32,
    /// Consecutive refused stamps that rise among themselves: a clock that was set back a little.
    refused_last: i64,
    refused_run: u32,
}

impl Topic {
    fn new(min_period: i64) -> Self {
        Topic {
            queue: VecDeque::new(),
            last: None,
            min_period,
            shortest_gap: i64::MAX,
            longest_gap: 0,
            gaps: 0,
            refused_last: i64::MIN,
            refused_run: 0,
        }
    }

    #[inline]
    pub fn front(&self) -> i64 {
        self.queue.front().map_or(NO_KEY, |item| item.stamp)
    }

    #[inline]
    pub fn back(&self) -> i64 {
        self.queue.back().map_or(NO_KEY, |item| item.stamp)
    }

    /// No message that is still to come on this topic can have a smaller stamp.
    #[inline]
    pub fn bound(&self, rules: &Rules) -> i64 {
        let Some(last) = self.last else { return i64::MIN };
        let learned = if rules.learn_periods && self.gaps >= GAPS_TO_LEARN { self.shortest_gap } else { 1 };
        last.saturating_add(learned.max(self.min_period))
    }

    /// False when the message came before [`Self::bound`]: the period was a wrong guess or a broken
    /// promise. It is corrected, but whoever relied on it has to look again.
    #[inline]
    pub fn push(&mut self, item: Item, rules: &Rules) -> bool {
        let as_promised = item.stamp >= self.bound(rules);
        if let Some(last) = self.last {
            let gap = item.stamp.saturating_sub(last);
            self.min_period = self.min_period.min(gap);
            self.shortest_gap = self.shortest_gap.min(gap);
            self.longest_gap = self.longest_gap.max(gap);
            self.gaps = self.gaps.saturating_add(1);
        }
        self.last = Some(item.stamp);
        self.refused_run = 0;
        self.queue.push_back(item);
        as_promised
    }

    /// Counts a stamp that is not newer than the last one; true when it looks like a clock that was
    /// set back rather than one late message.
    pub fn refuse(&mut self, stamp: i64, rules: &Rules) -> bool {
        let rises = self.refused_run > 0 && stamp > self.refused_last;
        self.refused_run = if rises { self.refused_run + 1 } else { 1 };
        self.refused_last = stamp;
        let back = self.last.map_or(0, |last| last.saturating_sub(stamp));
        back > rules.clock_jump || self.refused_run >= rules.clock_jump_run
    }

    /// A gap far beyond what this topic has shown.
    pub fn leaps(&self, stamp: i64, rules: &Rules) -> bool {
        let Some(last) = self.last else { return false };
        let gap = stamp.saturating_sub(last);
        gap > rules.clock_jump && self.gaps >= 4 && gap / 10 > self.longest_gap
    }
}

pub(super) struct Topics {
    pub all: Vec<Topic>,
    /// Indices of the required topics, ascending. A matcher's leaf `i` is topic `core[i]`.
    pub core: Vec<usize>,
    /// The leaf of each topic; none for an optional one.
    pub leaf: Vec<Option<usize>>,
    pub drops: Vec<Dropped>,
    pub dropped: [u64; REASONS],
}

impl Topics {
    pub fn new(options: &Options, rules: &Rules) -> Self {
        let mut topics = Topics {
            all: Vec::with_capacity(options.topics.len()),
            core: Vec::new(),
            leaf: Vec::with_capacity(options.topics.len()),
            drops: Vec::new(),
            dropped: [0; REASONS],
        };
        for (index, (topic, period)) in options.topics.iter().zip(&rules.periods).enumerate() {
            topics.all.push(Topic::new(period.unwrap_or(1)));
            topics.leaf.push(topic.required.then_some(topics.core.len()));
            if topic.required {
                topics.core.push(index);
            }
        }
        topics
    }

    #[inline]
    pub fn at_leaf(&self, leaf: usize) -> &Topic {
        &self.all[self.core[leaf]]
    }

    #[inline]
    pub fn drop_slot(&mut self, slot: u32, reason: Reason) {
        self.dropped[reason as usize] += 1;
        self.drops.push(Dropped { slot, reason });
    }

    #[inline]
    pub fn drop_front(&mut self, topic: usize, reason: Reason) {
        if let Some(item) = self.all[topic].queue.pop_front() {
            self.drop_slot(item.slot, reason);
        }
    }

    pub fn drop_all(&mut self, reason: Reason) {
        for topic in 0..self.all.len() {
            while !self.all[topic].queue.is_empty() {
                self.drop_front(topic, reason);
            }
        }
    }

    /// Forgets what the clocks said; the buffers must be empty.
    pub fn forget_clocks(&mut self) {
        for topic in &mut self.all {
            *topic = Topic::new(topic.min_period);
        }
    }

    pub fn buffered(&self) -> usize {
        self.all.iter().map(|topic| topic.queue.len()).sum()
    }
}
