//! A tournament tree: which topic holds the smallest key, in O(log topics) a change.

/// The key of a topic that has none. Loses against every real key.
pub(super) const NO_KEY: i64 = i64::MAX;

pub(super) struct MinTree {
    /// A power of two, at least 1.
    width: usize,
    keys: Vec<i64>,
    /// `winners[1]` is the root; leaf `i` stands at `width + i`. Equal keys: the lower leaf wins.
    winners: Vec<u32>,
}

impl MinTree {
    pub fn new(leaves: usize) -> Self {
        let width = leaves.next_power_of_two();
        let mut tree = MinTree { width, keys: vec![NO_KEY; width], winners: vec![0; 2 * width] };
        for leaf in 0..width {
            tree.winners[width + leaf] = leaf as u32;
        }
        tree.rebuild(|_| NO_KEY);
        tree
    }

    /// Sets every key at once, in O(leaves).
    pub fn rebuild(&mut self, key: impl Fn(usize) -> i64) {
        for (leaf, slot) in self.keys.iter_mut().enumerate() {
            *slot = key(leaf);
        }
        for node in (1..self.width).rev() {
            self.replay(node);
        }
    }

    #[inline]
    pub fn set(&mut self, leaf: usize, key: i64) {
        self.keys[leaf] = key;
        let mut node = (self.width + leaf) / 2;
        while node >= 1 {
            self.replay(node);
            node /= 2;
        }
    }

    /// The smallest key and its leaf; [`NO_KEY`] when no topic has one.
    #[inline]
    pub fn min(&self) -> (i64, usize) {
        let leaf = self.winners[1] as usize;
        (self.keys[leaf], leaf)
    }

    #[inline]
    fn replay(&mut self, node: usize) {
        let (left, right) = (self.winners[2 * node], self.winners[2 * node + 1]);
        let left_wins = self.keys[left as usize] <= self.keys[right as usize];
        self.winners[node] = if left_wins { left } else { right };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_every_change() {
        for leaves in [1, 2, 3, 7, 16] {
            let mut tree = MinTree::new(leaves);
            assert_eq!(tree.min().0, NO_KEY);
            let mut keys = vec![NO_KEY; leaves];
            for step in 0..200_i64 {
                let leaf = (step as usize * 7 + 3) % leaves;
                let key = if step % 5 == 4 { NO_KEY } else { (step * 37) % 101 };
                keys[leaf] = key;
                tree.set(leaf, key);
                let smallest = keys.iter().copied().min().unwrap_or(NO_KEY);
                assert_eq!(tree.min().0, smallest);
                assert_eq!(keys.iter().position(|&k| k == smallest), Some(tree.min().1));
            }
        }
    }
}
