//! A set of numbers that mostly follow each other.

use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// The first number of each run, and the one behind its last. No two of them touch.
    runs: BTreeMap<u64, u64>,
    count: u64,
}

impl Runs {
    pub fn insert(&mut self, numbers: Range<u64>) {
        let Range { start: mut first, end: mut next } = numbers;
        if first >= next {
            return;
        }
        // Those that it overlaps or touches become one with it.
        while let Some((&begin, &end)) = self.runs.range(..=next).next_back().filter(|&(_, &end)| end >= first) {
            self.runs.remove(&begin);
            self.count -= end - begin;
            (first, next) = (first.min(begin), next.max(end));
        }
        self.runs.insert(first, next);
        self.count += next - first;
    }

    pub fn contains(&self, number: u64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, &end)| number < end)
    }

    /// So many numbers.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Behind the last of them.
    pub fn end(&self) -> u64 {
        self.runs.last_key_value().map_or(0, |(_, &end)| end)
    }

    /// Takes out those that follow each other from this number on, which is the lowest that may be there; where they end.
    pub fn pass(&mut self, from: u64) -> u64 {
        let Some(end) = self.runs.remove(&from) else { return from };
        self.count -= end - from;
        end
    }

    /// Takes out those before a number.
    pub fn drop_before(&mut self, number: u64) {
        while let Some((begin, end)) = self.runs.first_key_value().map(|(&begin, &end)| (begin, end))
            && begin < number
        {
            self.runs.remove(&begin);
            self.count -= end - begin;
            self.insert(number..end);
        }
    }

    /// Takes out this number and those behind it.
    pub fn drop_from(&mut self, number: u64) {
        while let Some((begin, end)) = self.runs.last_key_value().map(|(&begin, &end)| (begin, end))
            && end > number
        {
            self.runs.remove(&begin);
            self.count -= end - begin;
            self.insert(begin..number);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.runs.iter().map(|(&first, &next)| first..next)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn they_are_a_set_whatever_comes_and_goes() {
        for seed in 1..=50_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut below = |limit: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % limit
            };
            let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
            for step in 0..300 {
                let number = below(60);
                match below(8) {
                    0 => {
                        runs.drop_before(number);
                        set.retain(|&it| it >= number);
                    }
                    1 => {
                        runs.drop_from(number);
                        set.retain(|&it| it < number);
                    }
                    2 => {
                        let first = set.first().copied().unwrap_or(number);
                        let mut end = first;
                        while set.remove(&end) {
                            end += 1;
                        }
                        assert_eq!(runs.pass(first), end, "seed {seed}, step {step}");
                    }
                    _ => {
                        let next = number + below(6);
                        runs.insert(number..next);
                        set.extend(number..next);
                    }
                }
                let found: Vec<u64> = runs.iter().flatten().collect();
                assert_eq!(found, set.iter().copied().collect::<Vec<_>>(), "seed {seed}, step {step}");
                assert!((0..70).all(|it| runs.contains(it) == set.contains(&it)), "seed {seed}, step {step}");
                let end = set.last().map_or(0, |last| last + 1);
                assert_eq!((runs.len(), runs.end()), (set.len() as u64, end), "seed {seed}, step {step}");
                let apart = runs.iter().zip(runs.iter().skip(1)).all(|(one, other)| one.end < other.start);
                assert!(apart, "seed {seed}, step {step}");
            }
        }
    }
}
