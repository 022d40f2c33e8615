//! The `nearest` rule: groups of smallest spread.
//!
//! A group is *contiguous* to the one before it if it holds, on some topic, the first message that
//! can still be in a group. Among the contiguous ones, the one of smallest spread leaves; of equal
//! ones the earliest. Three facts make that a single sweep:
//!
//! - Once messages too far from all that follows are gone, the oldest message of each topic is usable.
//!   The latest of these is the *pivot*: a group without it can swap its message on that topic for the
//!   pivot and only gain. So only groups that hold the pivot count.
//! - Of the groups that start at stamp `s`, the best takes the first message at or after `s` on each
//!   topic. So the sweep walks `s` from the oldest message up to the pivot.
//! - Stamps rise on each topic, so `end`, the largest stamp on the way, never falls; and a topic that
//!   ran out has a lower bound for what is still to come. `end - pivot` bounds all that is left.
//!
//! A topic that ran out stops the sweep only where its next message could make a better group. When
//! the message comes, the sweep goes on from there; it never has to go back.
//!
//! The cost is O(log topics) a message, plus O(topics) a group.

use super::options::Rules;
use super::topics::Topics;
use super::tree::{MinTree, NO_KEY};
use super::{Clock, Found, Reason, Urge};

struct Candidate {
    /// It holds the first message at or after this stamp on each topic.
    start: i64,
    end: i64,
    pivot: i64,
    /// Wall clock at which there was a first candidate for this pivot.
    since: i64,
}

pub(super) struct Nearest {
    /// Per leaf, the stamp under its cursor.
    cursors: MinTree,
    /// Per leaf, how many buffered messages the sweep has passed.
    passed: Vec<usize>,
    /// Leaves whose cursor stands behind their newest message.
    exhausted: usize,
    /// No group that the sweep can still find ends before this.
    end: i64,
    candidate: Option<Candidate>,
}

impl Nearest {
    pub fn new(leaves: usize) -> Self {
        Nearest {
            cursors: MinTree::new(leaves),
            passed: vec![0; leaves],
            exhausted: leaves,
            end: i64::MIN,
            candidate: None,
        }
    }

    /// Starts a new sweep at the oldest messages.
    pub fn rebuild(&mut self, topics: &Topics, rules: &Rules) {
        self.candidate = None;
        self.exhausted = 0;
        self.end = i64::MIN;
        self.passed.fill(0);
        self.cursors.rebuild(|leaf| topics.core.get(leaf).map_or(NO_KEY, |&topic| topics.all[topic].front()));
        for &topic in &topics.core {
            let topic = &topics.all[topic];
            let stamp = match topic.queue.front() {
                Some(item) => item.stamp,
                None => {
                    self.exhausted += 1;
                    topic.bound(rules)
                }
            };
            self.end = self.end.max(stamp);
        }
    }

    #[inline]
    pub fn pushed(&mut self, topics: &Topics, leaf: usize) {
        let topic = topics.at_leaf(leaf);
        if self.passed[leaf] + 1 != topic.queue.len() {
            return;
        }
        let stamp = topic.back();
        self.exhausted -= 1;
        self.end = self.end.max(stamp);
        self.cursors.set(leaf, stamp);
    }

    /// The oldest message of `leaf` is gone. Only between sweeps, when there is no candidate.
    #[inline]
    pub fn front_dropped(&mut self, topics: &Topics, rules: &Rules, leaf: usize) {
        self.point(topics, rules, leaf);
    }

    /// No group to come ends before this.
    pub fn horizon(&self) -> i64 {
        self.candidate.as_ref().map_or(self.end, |best| best.pivot)
    }

    /// How much later the streams have to get until the best group so far is proven.
    pub fn shortfall(&self) -> i64 {
        self.candidate.as_ref().map_or(0, |best| {
            let spread = best.end.saturating_sub(best.start);
            spread.saturating_sub(self.end.saturating_sub(best.pivot)).max(0)
        })
    }

    #[inline]
    pub fn next(&mut self, topics: &mut Topics, rules: &Rules, clock: Clock, urge: Urge) -> Option<Found> {
        loop {
            let (start, leaf) = self.cursors.min();
            let Some(best) = &mut self.candidate else {
                if start == NO_KEY {
                    return None;
                }
                let expired = rules.timeout.is_some_and(|timeout| clock.newest.saturating_sub(start) >= timeout);
                let lonely = rules.window.is_some_and(|window| self.end.saturating_sub(start) > window);
                if lonely || expired {
                    let reason = if lonely { Reason::Unmatched } else { Reason::Timeout };
                    topics.drop_front(topics.core[leaf], reason);
                    self.point(topics, rules, leaf);
                    continue;
                }
                if self.exhausted > 0 {
                    return None;
                }
                self.candidate = Some(Candidate { start, end: self.end, pivot: self.end, since: clock.now });
                continue;
            };
            let spread = best.end.saturating_sub(best.start);
            if self.end.saturating_sub(best.pivot) >= spread {
                return Some(Found { start: best.start, since: best.since });
            }
            if self.end.saturating_sub(start) >= spread {
                self.passed[leaf] += 1;
                self.point(topics, rules, leaf);
            } else if self.exhausted == 0 {
                best.start = start;
                best.end = self.end;
            } else {
                let overdue = rules.max_delay.is_some_and(|delay| clock.now.saturating_sub(best.since) >= delay)
                    || rules.timeout.is_some_and(|timeout| clock.newest.saturating_sub(best.start) >= timeout);
                let leaves = overdue || urge == Urge::Settle;
                return leaves.then_some(Found { start: best.start, since: best.since });
            }
        }
    }

    /// When the candidate has waited as long as it may.
    pub fn deadline(&self, rules: &Rules) -> Option<i64> {
        let since = self.candidate.as_ref()?.since;
        Some(since.saturating_add(rules.max_delay?))
    }

    /// Puts the cursor of `leaf` on the message behind the passed ones.
    #[inline]
    fn point(&mut self, topics: &Topics, rules: &Rules, leaf: usize) {
        let topic = topics.at_leaf(leaf);
        let stamp = match topic.queue.get(self.passed[leaf]) {
            Some(item) => {
                self.cursors.set(leaf, item.stamp);
                item.stamp
            }
            None => {
                self.exhausted += 1;
                self.cursors.set(leaf, NO_KEY);
                topic.bound(rules)
            }
        };
        self.end = self.end.max(stamp);
    }
}
