//! The nearest that were seen, best first, at most so many.

/// An entry: nearness (order-preserving), slot, and whether its neighbours were looked at. One number, so that
/// comparing and moving are cheap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry(u64);

const EXPANDED: u64 = 1;

impl Entry {
    fn new(near: f32, slot: u32) -> Self {
        let bits = near.to_bits();
        // Negative numbers sort backwards by their bits.
        let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
        Entry(u64::from(ordered) << 32 | u64::from(slot) << 1)
    }

    fn near(self) -> f32 {
        let ordered = (self.0 >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
    }

    fn slot(self) -> u32 {
        (self.0 as u32) >> 1
    }
}

/// Slots have to leave a bit.
pub const MOST_SLOTS: usize = 1 << 31;

#[derive(Default)]
pub struct Beam {
    entries: Vec<Entry>,
    width: usize,
    /// All before it are expanded.
    cursor: usize,
}

impl Beam {
    pub fn new(width: usize) -> Self {
        Beam { entries: Vec::with_capacity(width.min(4096) + 1), width, cursor: 0 }
    }

    /// Whether so near a one would be kept.
    #[inline]
    pub fn takes(&self, near: f32) -> bool {
        self.entries.len() < self.width || self.entries.last().is_some_and(|last| near > last.near())
    }

    #[inline]
    pub fn push(&mut self, near: f32, slot: u32) {
        if !self.takes(near) {
            return;
        }
        let entry = Entry::new(near, slot);
        let place = self.entries.partition_point(|&other| other > entry);
        if self.entries.len() == self.width {
            self.entries.pop();
        }
        self.entries.insert(place, entry);
        self.cursor = self.cursor.min(place);
    }

    /// The nearest one that was not expanded yet; it counts as expanded from now on.
    #[inline]
    pub fn expand(&mut self) -> Option<u32> {
        while let Some(entry) = self.entries.get_mut(self.cursor) {
            self.cursor += 1;
            if entry.0 & EXPANDED == 0 {
                entry.0 |= EXPANDED;
                return Some(entry.slot());
            }
        }
        None
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nearness and slot, best first.
    pub fn iter(&self) -> impl Iterator<Item = (f32, u32)> {
        self.entries.iter().map(|entry| (entry.near(), entry.slot()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stay_in_order_and_are_expanded_once() {
        let mut beam = Beam::new(3);
        for (near, slot) in [(-2.5, 7), (0.0, 1), (3.0, 4), (-1.0, 9), (f32::MIN, 2)] {
            beam.push(near, slot);
        }
        assert_eq!(beam.iter().collect::<Vec<_>>(), [(3.0, 4), (0.0, 1), (-1.0, 9)]);
        assert_eq!([beam.expand(), beam.expand()], [Some(4), Some(1)]);
        // A nearer one comes in before those that are done.
        beam.push(5.0, (MOST_SLOTS - 1) as u32);
        assert_eq!([beam.expand(), beam.expand()], [Some((MOST_SLOTS - 1) as u32), None]);
        assert!(!beam.takes(0.0) && beam.takes(0.5));
    }
}
