//! Whether and when a failed task is tried again.

use serde::{Deserialize, Serialize};

use super::id::Chance;

/// How the wait before the next attempt is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Jitter {
    /// Anywhere from nothing to the whole wait: attempts of many tasks do not come together.
    Full,
    /// The whole wait.
    None,
}

/// The policy of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryPolicy {
    /// The wait before the second attempt.
    pub delay_ms: f64,
    /// How much longer each next one is.
    pub factor: f64,
    /// The longest.
    pub cap_ms: f64,
    /// How it is spread.
    pub jitter: Jitter,
    /// Only errors of these types or codes are tried again; empty: all.
    pub retry_on: Vec<String>,
    /// Errors of these types or codes are not.
    pub give_up_on: Vec<String>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            delay_ms: 1_000.0,
            factor: 2.0,
            cap_ms: 300_000.0,
            jitter: Jitter::Full,
            retry_on: Vec::new(),
            give_up_on: Vec::new(),
        }
    }
}

/// Why a task failed, as its worker tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// The error's class.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    pub message: String,
    /// For programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Where it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
    /// Another attempt finds the same, whatever the policy says. Not recorded.
    #[serde(rename = "final", skip_serializing)]
    pub is_final: bool,
}

impl Failure {
    /// One of the engine's own.
    pub fn of(code: &str, message: String) -> Self {
        Failure { kind: "EngineError".into(), message, code: Some(code.into()), ..Failure::default() }
    }
}

/// What follows a failure.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Another attempt after so many ms.
    Again(i64),
    /// Another attempt would not mend it.
    GiveUp,
    /// There was the last attempt.
    Exhausted,
}

impl RetryPolicy {
    /// `retries` were made; `asked_ms` is the wait that the worker asks for, NaN: another attempt after that of the
    /// policy.
    pub fn judge(
        &self,
        failure: &Failure,
        retries: u32,
        max: u32,
        asked_ms: Option<f64>,
        chance: &mut Chance,
    ) -> Verdict {
        let named = |list: &[String]| list.iter().any(|it| *it == failure.kind || Some(it) == failure.code.as_ref());
        // Who asks for a retry knows better than the lists.
        let wanted =
            asked_ms.is_some() || (self.retry_on.is_empty() || named(&self.retry_on)) && !named(&self.give_up_on);
        if failure.is_final || !wanted {
            return Verdict::GiveUp;
        }
        if retries >= max {
            return Verdict::Exhausted;
        }
        let asked_ms = asked_ms.filter(|ms| !ms.is_nan());
        Verdict::Again(asked_ms.unwrap_or_else(|| self.wait(retries, chance)).clamp(0.0, MAX_WAIT_MS) as i64)
    }

    fn wait(&self, retries: u32, chance: &mut Chance) -> f64 {
        let whole = (self.delay_ms * self.factor.powi(retries.min(1_000) as i32)).min(self.cap_ms);
        match self.jitter {
            Jitter::Full => whole * chance.unit(),
            Jitter::None => whole,
        }
    }
}

/// A century: far from any overflow.
const MAX_WAIT_MS: f64 = 100.0 * 365.25 * 86_400_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: &str, code: Option<&str>) -> Failure {
        Failure { kind: kind.into(), code: code.map(Into::into), ..Failure::default() }
    }

    #[test]
    fn waits_grow_to_the_cap_and_the_last_attempt_is_the_last() {
        let policy = RetryPolicy { jitter: Jitter::None, ..RetryPolicy::default() };
        let mut chance = Chance::seeded(1);
        let mut judge = |retries, max| policy.judge(&failure("Error", None), retries, max, None, &mut chance);
        assert_eq!(judge(0, 3), Verdict::Again(1_000));
        assert_eq!(judge(2, 3), Verdict::Again(4_000));
        assert_eq!(judge(3, 3), Verdict::Exhausted);
        assert_eq!(judge(0, 0), Verdict::Exhausted);
        assert_eq!(judge(4_000_000_000, u32::MAX), Verdict::Again(300_000));
    }

    #[test]
    fn full_jitter_takes_the_whole_range_and_no_more() {
        let policy = RetryPolicy::default();
        let mut chance = Chance::seeded(7);
        let waits: Vec<_> = (0..1_000)
            .map(|_| match policy.judge(&failure("Error", None), 1, 3, None, &mut chance) {
                Verdict::Again(ms) => ms,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(waits.iter().all(|ms| (0..2_000).contains(ms)));
        assert!(waits.iter().any(|&ms| ms < 200) && waits.iter().any(|&ms| ms > 1_800));
    }

    #[test]
    fn types_and_codes_decide() {
        let mut chance = Chance::seeded(1);
        let only = RetryPolicy { retry_on: vec!["TimeoutError".into(), "TRANSPORT".into()], ..RetryPolicy::default() };
        let never = RetryPolicy { give_up_on: vec!["TypeError".into()], ..RetryPolicy::default() };
        let again = |verdict| matches!(verdict, Verdict::Again(_));
        assert!(again(only.judge(&failure("TimeoutError", None), 0, 3, None, &mut chance)));
        assert!(again(only.judge(&failure("Error", Some("TRANSPORT")), 0, 3, None, &mut chance)));
        assert_eq!(only.judge(&failure("Error", None), 0, 3, None, &mut chance), Verdict::GiveUp);
        assert_eq!(never.judge(&failure("TypeError", None), 0, 3, None, &mut chance), Verdict::GiveUp);
        assert_eq!(never.judge(&failure("TypeError", None), 0, 3, Some(50.0), &mut chance), Verdict::Again(50));
        assert_eq!(never.judge(&failure("Error", None), 3, 3, Some(50.0), &mut chance), Verdict::Exhausted);
        assert_eq!(never.judge(&failure("Error", None), 0, 3, Some(-5.0), &mut chance), Verdict::Again(0));
        let last = Failure { is_final: true, ..failure("Error", None) };
        assert_eq!(RetryPolicy::default().judge(&last, 0, 3, Some(5.0), &mut chance), Verdict::GiveUp);
        assert!(serde_json::to_string(&last).is_ok_and(|text| !text.contains("final")));
    }
}
