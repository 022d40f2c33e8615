//! What the stories share: a generator of random numbers, and a synchroniser that is fed in
//! milliseconds and watched for every slot.

use std::collections::HashMap;

use millrace::sync::{NO_SLOT, Options, PushOutcome, Reason, Synchronizer};

pub const MS: i64 = 1_000_000;

/// The larger number of cases for a long run, the smaller otherwise.
pub fn cases(short: u64, long: u64) -> u64 {
    if std::env::var_os("MILLRACE_LONG").is_some_and(|value| value != "0") { long } else { short }
}

/// SplitMix64: seeded, so that a failure can be replayed from the seed it prints.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// The stamps of a group by topic, none for an optional topic without a message.
pub type Group = Vec<Option<i64>>;

/// A synchroniser whose slots are all accounted for: each kept one must come back exactly once, with
/// the topic and the stamp that it was pushed with.
pub struct Feed {
    pub sync: Synchronizer,
    pub now: i64,
    kept: HashMap<u32, (usize, i64)>,
    next_slot: u32,
}

impl Feed {
    pub fn new(options: &Options) -> Self {
        Feed { sync: Synchronizer::new(options).expect("options"), now: 0, kept: HashMap::new(), next_slot: 0 }
    }

    pub fn push_ns(&mut self, topic: usize, stamp: i64) -> PushOutcome {
        let slot = self.next_slot;
        self.next_slot += 1;
        let pushed = self.sync.push(topic, stamp, slot, self.now);
        if pushed.kept {
            self.kept.insert(slot, (topic, stamp));
        }
        pushed.outcome
    }

    pub fn push(&mut self, topic: usize, ms: i64) -> PushOutcome {
        self.push_ns(topic, ms * MS)
    }

    /// One push on each topic, in order.
    pub fn push_all(&mut self, stamps: &[i64]) {
        for (topic, &ms) in stamps.iter().enumerate() {
            self.push(topic, ms);
        }
    }

    /// Takes every ready group; stamps in ns.
    pub fn groups_ns(&mut self) -> Vec<Group> {
        let mut groups = Vec::new();
        let mut items = Vec::new();
        while let Some(span) = {
            items.clear();
            self.sync.take(|topic, stamp, slot| items.push((topic, stamp, slot)))
        } {
            let mut group = Group::new();
            for &(topic, stamp, slot) in &items {
                assert_eq!(topic, group.len(), "a group names its topics in order");
                if slot == NO_SLOT {
                    group.push(None);
                    continue;
                }
                assert_eq!(self.kept.remove(&slot), Some((topic, stamp)), "slot {slot} was grouped");
                group.push(Some(stamp));
            }
            let stamps = || group.iter().flatten().copied();
            assert_eq!((stamps().min(), stamps().max()), (Some(span.start), Some(span.end)));
            groups.push(group);
        }
        groups
    }

    /// Takes every ready group; stamps in ms.
    pub fn groups(&mut self) -> Vec<Group> {
        let in_ms = |group: Group| group.into_iter().map(|stamp| stamp.map(|ns| ns / MS)).collect();
        self.groups_ns().into_iter().map(in_ms).collect()
    }

    /// What left without a group: topic, stamp (ms) and reason.
    pub fn drops(&mut self) -> Vec<(usize, i64, Reason)> {
        let drops: Vec<_> = self.sync.drain_drops(usize::MAX).collect();
        let mut told = Vec::new();
        for drop in drops {
            let (topic, stamp) = self.kept.remove(&drop.slot).expect("a dropped slot is a kept one");
            told.push((topic, stamp / MS, drop.reason));
        }
        told
    }

    /// Slots that have neither been grouped nor dropped.
    pub fn held(&self) -> usize {
        self.kept.len()
    }

    pub fn dropped(&self, reason: Reason) -> u64 {
        self.sync.stats().dropped[reason as usize]
    }
}

/// A group whose topics all have a message.
pub fn full(stamps: &[i64]) -> Group {
    stamps.iter().copied().map(Some).collect()
}
