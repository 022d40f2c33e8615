//! Pauses between attempts: any length up to a limit that doubles, so that many senders do not come back at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::config::Retry;

/// The pause after so many failures in a row.
pub(super) fn pause(retry: Retry, failures: u32) -> Duration {
    let limit = limit_ms(retry, failures);
    // Each state has other keys: as random as it needs to be.
    let random = RandomState::new().build_hasher().finish();
    Duration::from_millis(random % (limit + 1))
}

fn limit_ms(retry: Retry, failures: u32) -> u64 {
    let doubled = 1u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    retry.base_delay_ms.saturating_mul(doubled).min(retry.max_delay_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_doubles_up_to_its_own() {
        let retry = Retry { max_attempts: 5, base_delay_ms: 100, max_delay_ms: 30_000 };
        let limits: Vec<u64> = [1, 2, 3, 8, 9, 10, 64, 65, u32::MAX].map(|it| limit_ms(retry, it)).into();
        assert_eq!(limits, [100, 200, 400, 12_800, 25_600, 30_000, 30_000, 30_000, 30_000]);
        let pauses: Vec<u128> = (0..200).map(|_| pause(retry, 3).as_millis()).collect();
        assert!(pauses.iter().all(|it| *it <= 400));
        assert!(pauses.iter().any(|it| *it < 100) && pauses.iter().any(|it| *it > 300));
    }
}
