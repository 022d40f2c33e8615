//! Token buckets: so many begin in a second, and a burst of so many at once.

use serde::{Deserialize, Serialize};

/// A limit as it is set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object: {perSecond, burst}")]
pub struct Rate {
    /// Tokens that come in a second.
    pub per_second: f64,
    /// The most that lie ready; none: those of a second, and one at least.
    #[serde(default)]
    pub burst: Option<f64>,
}

impl Rate {
    /// Why it cannot work.
    pub fn problem(&self) -> Option<&'static str> {
        let sound = |value: f64| value.is_finite() && value > 0.0;
        let is_sound = sound(self.per_second) && self.burst.is_none_or(|burst| sound(burst) && burst >= 1.0);
        (!is_sound).then_some("perSecond must be above 0, burst 1 or more")
    }
}

/// A limit at work.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub rate: Rate,
    tokens: f64,
    at: i64,
}

impl Bucket {
    pub fn new(rate: Rate, now: i64) -> Self {
        let mut bucket = Bucket { rate, tokens: 0.0, at: now };
        bucket.tokens = bucket.most();
        bucket
    }

    /// A new limit keeps what was used of the old one.
    pub fn change(&mut self, rate: Rate, now: i64) {
        self.fill(now);
        self.rate = rate;
        self.tokens = self.tokens.min(self.most());
    }

    fn most(&self) -> f64 {
        self.rate.burst.unwrap_or(self.rate.per_second.max(1.0))
    }

    fn fill(&mut self, now: i64) {
        // A clock that goes back fills nothing, and starts anew from there.
        let passed = (now - self.at).max(0) as f64 / 1_000.0;
        self.tokens = (self.tokens + passed * self.rate.per_second).min(self.most());
        self.at = now;
    }

    /// Whether a token lies ready.
    pub fn ready(&mut self, now: i64) -> bool {
        self.fill(now);
        // Sums of fractions end a hair below one.
        self.tokens >= 1.0 - 1e-6
    }

    /// How many tokens lie ready.
    pub fn available(&self) -> usize {
        (self.tokens + 1e-6) as usize
    }

    pub fn take(&mut self) {
        self.tokens -= 1.0;
    }

    /// When the next token is there.
    pub fn next(&self) -> i64 {
        let missing = (1.0 - self.tokens).max(0.0);
        self.at + (missing / self.rate.per_second * 1_000.0).ceil().max(1.0) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate_and_never_more() {
        let rate = Rate { per_second: 10.0, burst: Some(3.0) };
        assert_eq!(rate.problem(), None);
        let mut bucket = Bucket::new(rate, 1_000);
        let mut taken = Vec::new();
        for now in 1_000..2_000 {
            while bucket.ready(now) {
                bucket.take();
                taken.push(now);
            }
            assert!(bucket.next() > now);
        }
        assert_eq!(taken[..5], [1_000, 1_000, 1_000, 1_100, 1_200]);
        assert_eq!(taken.len(), 12);
    }

    #[test]
    fn a_clock_that_jumps_gives_no_flood_and_no_standstill() {
        let mut bucket = Bucket::new(Rate { per_second: 1.0, burst: None }, 10_000);
        assert!(bucket.ready(10_000));
        bucket.take();
        assert!(!bucket.ready(5_000), "back");
        assert!(bucket.ready(6_000));
        bucket.take();
        assert!(bucket.ready(9_000_000), "forward");
        bucket.take();
        assert!(!bucket.ready(9_000_000));
        bucket.change(Rate { per_second: 1_000.0, burst: None }, 9_000_000);
        assert!(bucket.ready(9_000_001));
    }

    #[test]
    fn rates_that_cannot_work() {
        for (per_second, burst) in
            [(0.0, None), (-1.0, None), (f64::NAN, None), (1.0, Some(0.5)), (1.0, Some(f64::NAN))]
        {
            assert!(Rate { per_second, burst }.problem().is_some());
        }
    }
}
