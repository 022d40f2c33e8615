//! How much of what the DDS has to say is said: it warns of each packet that is none, and anyone can send those.

use std::time::{Duration, Instant};

const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(60);

/// Lets so many lines pass in a period.
#[derive(Debug, Default)]
pub(super) struct Gate {
    since: Option<Instant>,
    passed: u32,
    held_back: u64,
}

/// What to do with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Say it, and before it that so many were held back.
    Say {
        held_back: u64,
    },
    HoldBack,
}

impl Gate {
    pub fn judge(&mut self, now: Instant) -> Verdict {
        if self.since.is_none_or(|since| now.duration_since(since) >= PERIOD) {
            self.since = Some(now);
            self.passed = 0;
        }
        if self.passed == LINES {
            self.held_back += 1;
            return Verdict::HoldBack;
        }
        self.passed += 1;
        Verdict::Say { held_back: std::mem::take(&mut self.held_back) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_held_back_and_counted() {
        let (mut gate, start) = (Gate::default(), Instant::now());
        let said = |gate: &mut Gate, at| (0..100).filter(|_| gate.judge(at) != Verdict::HoldBack).count();
        assert_eq!(said(&mut gate, start), 20);
        assert_eq!(said(&mut gate, start + PERIOD / 2), 0);
        assert_eq!(gate.judge(start + PERIOD), Verdict::Say { held_back: 180 });
        assert_eq!(gate.judge(start + PERIOD), Verdict::Say { held_back: 0 });
    }
}
