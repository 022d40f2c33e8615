//! The `oldest` rule: the oldest message of every topic, once they fit into the window and no topic
//! can bring one that belongs to them instead.
//!
//! `inf` is the latest of the oldest stamps, `sup` the earliest of the newest. A group leaves when
//! `sup` has passed `inf` by the window, or when every topic holds exactly one message. Messages
//! before `inf - window` can be in no group. A full buffer ends the wait: either something fits, or what
//! is too old leaves until a topic has nothing, so that no input can wedge the streams.

use super::options::Rules;
use super::topics::Topics;
use super::tree::{MinTree, NO_KEY};
use super::{Clock, Found, Reason, Urge};

pub(super) struct Oldest {
    /// The oldest stamp per leaf, and the same negated, whose minimum gives the latest.
    fronts: MinTree,
    fronts_negated: MinTree,
    /// The newest stamp per leaf.
    backs: MinTree,
    empty: usize,
    single: usize,
    full: usize,
    /// Wall clock since which no topic is empty.
    complete_since: Option<i64>,
}

impl Oldest {
    pub fn new(leaves: usize) -> Self {
        Oldest {
            fronts: MinTree::new(leaves),
            fronts_negated: MinTree::new(leaves),
            backs: MinTree::new(leaves),
            empty: leaves,
            single: 0,
            full: 0,
            complete_since: None,
        }
    }

    pub fn rebuild(&mut self, topics: &Topics, rules: &Rules) {
        let front = |leaf: usize| topics.core.get(leaf).map_or(NO_KEY, |&topic| topics.all[topic].front());
        let back = |leaf: usize| topics.core.get(leaf).map_or(NO_KEY, |&topic| topics.all[topic].back());
        self.fronts.rebuild(front);
        self.fronts_negated.rebuild(|leaf| negated(front(leaf)));
        self.backs.rebuild(back);
        let lengths = || topics.core.iter().map(|&topic| topics.all[topic].queue.len());
        self.empty = lengths().filter(|&len| len == 0).count();
        self.single = lengths().filter(|&len| len == 1).count();
        self.full = lengths().filter(|&len| len >= rules.buffer_size).count();
        self.complete_since = None;
    }

    #[inline]
    pub fn pushed(&mut self, topics: &Topics, rules: &Rules, leaf: usize) {
        let topic = topics.at_leaf(leaf);
        let len = topic.queue.len();
        self.backs.set(leaf, topic.back());
        if len == 1 {
            self.empty -= 1;
            self.single += 1;
            self.set_front(topics, leaf);
        } else if len == 2 {
            self.single -= 1;
        }
        self.full += usize::from(len == rules.buffer_size);
    }

    /// The oldest message of `leaf` is gone.
    #[inline]
    pub fn front_dropped(&mut self, topics: &Topics, rules: &Rules, leaf: usize) {
        let len = topics.at_leaf(leaf).queue.len();
        self.set_front(topics, leaf);
        if len == 0 {
            self.empty += 1;
            self.single -= 1;
            self.backs.set(leaf, NO_KEY);
        } else if len == 1 {
            self.single += 1;
        }
        self.full -= usize::from(len + 1 == rules.buffer_size);
    }

    #[inline]
    pub fn next(&mut self, topics: &mut Topics, rules: &Rules, clock: Clock, urge: Urge) -> Option<Found> {
        let expiry = rules.timeout.map_or(i64::MIN, |timeout| clock.newest.saturating_sub(timeout));
        loop {
            if self.empty > 0 {
                self.complete_since = None;
                self.drop_before(topics, rules, expiry, Reason::Timeout);
                return None;
            }
            let since = *self.complete_since.get_or_insert(clock.now);
            let overdue = rules.max_delay.is_some_and(|delay| clock.now.saturating_sub(since) >= delay);
            let expired = self.fronts.min().0 <= expiry;
            let relaxed = urge == Urge::Settle || self.full > 0 || overdue || expired;
            if let Some(found) = self.try_match(topics, rules, relaxed, since) {
                return Some(found);
            }
            if self.empty == 0 {
                return None;
            }
        }
    }

    /// When the oldest messages have waited as long as they may.
    pub fn deadline(&self, rules: &Rules) -> Option<i64> {
        Some(self.complete_since?.saturating_add(rules.max_delay?))
    }

    /// How much `sup` has to grow until the oldest messages may leave.
    pub fn shortfall(&self, rules: &Rules) -> i64 {
        match rules.window {
            Some(window) if self.empty == 0 => {
                (self.inf().saturating_add(window)).saturating_sub(self.backs.min().0).max(0)
            }
            _ => 0,
        }
    }

    /// No group to come ends before this.
    pub fn horizon(&self) -> i64 {
        if self.fronts.min().0 == NO_KEY { i64::MIN } else { self.inf() }
    }

    fn inf(&self) -> i64 {
        -self.fronts_negated.min().0
    }

    fn try_match(&mut self, topics: &mut Topics, rules: &Rules, relaxed: bool, since: i64) -> Option<Found> {
        while self.empty == 0 {
            let start = self.fronts.min().0;
            let Some(window) = rules.window else { return Some(Found { start, since }) };
            let (inf, sup) = (self.inf(), self.backs.min().0);
            let all_one = self.single == topics.core.len();
            if !relaxed && !all_one && inf.saturating_add(window) > sup {
                return None;
            }
            if start >= inf.saturating_sub(window) {
                return Some(Found { start, since });
            }
            self.drop_before(topics, rules, inf.saturating_sub(window) - 1, Reason::Unmatched);
        }
        None
    }

    /// Drops all that is at or before `stamp`.
    fn drop_before(&mut self, topics: &mut Topics, rules: &Rules, stamp: i64, reason: Reason) {
        loop {
            let (front, leaf) = self.fronts.min();
            if front > stamp {
                return;
            }
            topics.drop_front(topics.core[leaf], reason);
            self.front_dropped(topics, rules, leaf);
        }
    }

    #[inline]
    fn set_front(&mut self, topics: &Topics, leaf: usize) {
        let front = topics.at_leaf(leaf).front();
        self.fronts.set(leaf, front);
        self.fronts_negated.set(leaf, negated(front));
    }
}

fn negated(stamp: i64) -> i64 {
    if stamp == NO_KEY { NO_KEY } else { stamp.saturating_neg() }
}
