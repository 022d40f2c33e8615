//! The groups on their way out: first they get their optional messages, then the caller takes them.
//!
//! A group takes, on one optional topic after the other, the message that widens it least, within the
//! window and behind the one that an earlier group took. A message behind the group is left to the next
//! group where that is nearer to it. The choice is final as soon as no message still to come can change it.

use std::collections::VecDeque;

use super::options::Rules;
use super::topics::{Item, Topics};
use super::{Clock, Reason, Urge};

/// Stands for a topic that has no message in a group.
pub const NO_SLOT: u32 = u32::MAX;
const NOTHING: Item = Item { stamp: 0, slot: NO_SLOT };

#[derive(Clone, Copy)]
struct Group {
    /// The spread of the required messages.
    start: i64,
    end: i64,
    /// The spread of all messages so far.
    first: i64,
    last: i64,
    since: i64,
}

enum Choice {
    /// The message at this place of the queue.
    Take(usize),
    Nothing,
    /// Not known yet.
    Wait,
}

pub(super) struct Groups {
    optional: Vec<usize>,
    /// In order; the first `ready` have all their messages.
    queue: VecDeque<Group>,
    /// One item a topic for each group in `queue`.
    items: VecDeque<Item>,
    ready: usize,
    /// The group at `ready` has decided about so many optional topics.
    decided: usize,
    /// So many required topics are known to bring the next group no nearer to the message in question.
    cleared: usize,
}

impl Groups {
    pub fn new(topics: &Topics) -> Self {
        let optional = (0..topics.all.len()).filter(|&topic| topics.leaf[topic].is_none()).collect();
        Groups { optional, queue: VecDeque::new(), items: VecDeque::new(), ready: 0, decided: 0, cleared: 0 }
    }

    pub fn ready(&self) -> usize {
        self.ready
    }

    pub fn pending(&self) -> usize {
        self.queue.len() - self.ready
    }

    pub fn held(&self) -> usize {
        self.items.iter().filter(|item| item.slot != NO_SLOT).count()
    }

    /// Takes a group out of the buffers: the first message at or after `start` of each required topic.
    /// What is older leaves without a group.
    #[inline]
    pub fn collect(&mut self, topics: &mut Topics, start: i64, since: i64) {
        let width = topics.all.len();
        let base = self.items.len();
        self.items.resize(base + width, NOTHING);
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        for leaf in 0..topics.core.len() {
            let topic = topics.core[leaf];
            while topics.all[topic].front() < start {
                topics.drop_front(topic, Reason::Unmatched);
            }
            if let Some(item) = topics.all[topic].queue.pop_front() {
                first = first.min(item.stamp);
                last = last.max(item.stamp);
                self.items[base + topic] = item;
            }
        }
        self.queue.push_back(Group { start: first, end: last, first, last, since });
    }

    /// Decides what can be decided, and about the first `settle` waiting groups with what is known now.
    /// Returns the smallest stamp of the last group that became ready.
    #[inline]
    pub fn attach(&mut self, topics: &mut Topics, rules: &Rules, clock: Clock, mut settle: usize) -> Option<i64> {
        let mut left = None;
        while let Some(&group) = self.queue.get(self.ready) {
            let overdue = rules.max_delay.is_some_and(|delay| clock.now.saturating_sub(group.since) >= delay)
                || rules.timeout.is_some_and(|timeout| clock.newest.saturating_sub(group.start) >= timeout);
            let urge = if overdue || settle > 0 { Urge::Settle } else { Urge::Prove };
            while let Some(&topic) = self.optional.get(self.decided) {
                match self.choose(topics, rules, topic, self.queue[self.ready], urge) {
                    Choice::Wait => return left,
                    Choice::Nothing => {}
                    Choice::Take(place) => self.take_optional(topics, topic, place),
                }
                self.decided += 1;
                self.cleared = 0;
            }
            self.ready += 1;
            self.decided = 0;
            settle = settle.saturating_sub(1);
            left = Some(self.queue[self.ready - 1].first);
        }
        left
    }

    /// Hands the oldest ready group over: its items, by topic.
    #[inline]
    pub fn take(&mut self, width: usize, mut each: impl FnMut(usize, Item)) -> bool {
        if self.ready == 0 {
            return false;
        }
        self.ready -= 1;
        self.queue.pop_front();
        for (topic, item) in self.items.drain(..width).enumerate() {
            each(topic, item);
        }
        true
    }

    /// Empties everything; `each` gets every item held.
    pub fn clear(&mut self, mut each: impl FnMut(Item)) {
        self.items.drain(..).filter(|item| item.slot != NO_SLOT).for_each(&mut each);
        self.queue.clear();
        (self.ready, self.decided, self.cleared) = (0, 0, 0);
    }

    pub fn deadline(&self, rules: &Rules) -> Option<i64> {
        let group = self.queue.get(self.ready)?;
        Some(group.since.saturating_add(rules.max_delay?))
    }

    /// Messages that are too old for every group that ends at or after `end`.
    pub fn drop_hopeless(&self, topics: &mut Topics, rules: &Rules, topic: usize, end: i64) {
        let window = rules.window.unwrap_or(i64::MAX);
        while topics.all[topic].queue.front().is_some_and(|item| end.saturating_sub(item.stamp) > window) {
            topics.drop_front(topic, Reason::Unmatched);
        }
    }

    fn take_optional(&mut self, topics: &mut Topics, topic: usize, place: usize) {
        for _ in 0..place {
            topics.drop_front(topic, Reason::Unmatched);
        }
        if let Some(item) = topics.all[topic].queue.pop_front() {
            self.items[self.ready * topics.all.len() + topic] = item;
            let group = &mut self.queue[self.ready];
            group.first = group.first.min(item.stamp);
            group.last = group.last.max(item.stamp);
        }
    }

    fn choose(&mut self, topics: &mut Topics, rules: &Rules, topic: usize, group: Group, urge: Urge) -> Choice {
        let window = rules.window.unwrap_or(i64::MAX);
        // Too old for this group is too old for all that follow: they end later.
        self.drop_hopeless(topics, rules, topic, group.end);
        let Group { first, last, .. } = group;
        let queue = &topics.all[topic].queue;
        let behind = queue.partition_point(|item| item.stamp < first);
        let fitting = behind.checked_sub(1).filter(|&place| last.saturating_sub(queue[place].stamp) <= window);
        let before = fitting.map_or(Choice::Nothing, Choice::Take);
        let cost_before = fitting.map_or(i64::MAX, |place| first - queue[place].stamp);

        let Some(next) = queue.get(behind).map(|item| item.stamp) else {
            let bound = topics.all[topic].bound(rules);
            let cannot_match = bound.saturating_sub(first) > window;
            let cannot_improve = bound.saturating_sub(last) >= cost_before;
            let known = cannot_match || cannot_improve || urge == Urge::Settle;
            return if known { before } else { Choice::Wait };
        };
        if next <= last {
            return Choice::Take(behind);
        }
        let cost = next - last;
        if next.saturating_sub(first) > window || cost >= cost_before {
            return before;
        }
        match self.next_is_nearer(topics, rules, next, cost) {
            Some(true) => before,
            Some(false) => Choice::Take(behind),
            None if urge == Urge::Settle => Choice::Take(behind),
            None => Choice::Wait,
        }
    }

    /// Whether the group after this one is nearer than `cost` to a message at `stamp`.
    fn next_is_nearer(&mut self, topics: &Topics, rules: &Rules, stamp: i64, cost: i64) -> Option<bool> {
        if let Some(next) = self.queue.get(self.ready + 1) {
            let fits = rules.window.is_none_or(|window| next.end.max(stamp) - next.start.min(stamp) <= window);
            let distance = (next.start - stamp).max(stamp - next.end).max(0);
            return Some(fits && distance < cost);
        }
        // Far enough away, whatever the next group will be, once no required topic can bring a message
        // before `stamp + cost`.
        while let Some(&required) = topics.core.get(self.cleared) {
            let topic = &topics.all[required];
            let earliest = topic.queue.front().map_or_else(|| topic.bound(rules), |item| item.stamp);
            if earliest < stamp.saturating_add(cost) {
                return None;
            }
            self.cleared += 1;
        }
        Some(false)
    }
}
