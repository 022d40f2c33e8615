//! What can become of a task: the one table.

use serde::{Deserialize, Serialize};

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits in its queue.
    Pending,
    /// Waits for its time.
    Scheduled,
    /// A worker has it.
    Received,
    /// A worker runs it.
    Started,
    /// Failed, and waits for the next attempt.
    Retry,
    /// Done.
    Success,
    /// Failed with an error that another attempt would not mend.
    Failure,
    /// Called off.
    Revoked,
    /// Not begun in time.
    Expired,
    /// All attempts failed; kept with its history until someone deletes it or sends it again.
    Dead,
}

use State::{Dead, Expired, Failure, Pending, Received, Retry, Revoked, Scheduled, Started, Success};

impl State {
    /// All, in the order of their numbers.
    pub const ALL: [State; 10] =
        [Pending, Scheduled, Received, Started, Retry, Success, Failure, Revoked, Expired, Dead];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Pending => "pending",
            Scheduled => "scheduled",
            Received => "received",
            Started => "started",
            Retry => "retry",
            Success => "success",
            Failure => "failure",
            Revoked => "revoked",
            Expired => "expired",
            Dead => "dead",
        }
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// By its number.
    pub fn from_number(number: u8) -> Option<State> {
        State::ALL.get(usize::from(number)).copied()
    }

    /// Nothing follows, but that a dead task can be sent again.
    pub fn is_final(self) -> bool {
        matches!(self, Success | Failure | Revoked | Expired | Dead)
    }

    /// Most tasks do not end so. (The dead are kept by themselves.)
    pub fn is_rare(self) -> bool {
        matches!(self, Failure | Revoked | Expired)
    }

    /// A worker has it.
    pub fn is_held(self) -> bool {
        matches!(self, Received | Started)
    }

    /// Whether this can follow. A final state stays: the first one wins.
    pub fn may_become(self, next: State) -> bool {
        match self {
            Pending => matches!(next, Received | Revoked | Expired),
            Scheduled => matches!(next, Pending | Revoked | Expired),
            Received => matches!(next, Started | Pending | Retry | Success | Failure | Revoked | Dead),
            Started => matches!(next, Pending | Retry | Success | Failure | Revoked | Dead),
            Retry => matches!(next, Pending | Revoked | Expired),
            // Sent again by hand.
            Dead => next == Pending,
            Success | Failure | Revoked | Expired => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_the_table() {
        for (number, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
            assert_eq!(State::from_number(number as u8), Some(state));
            assert_eq!(State::from_name(state.name()), Some(state));
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.name()));
            let followers = State::ALL.into_iter().filter(|&next| state.may_become(next)).count();
            assert!(!state.may_become(state));
            assert_eq!(followers, [3, 3, 7, 6, 3, 0, 0, 0, 0, 1][number], "{}", state.name());
        }
        assert_eq!(State::from_number(10), None);
        assert_eq!(State::from_name("done"), None);
    }
}
