//! What lies between DDS and its listener: bounded by count and by bytes, the oldest gives way.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Sample;

/// What takes up room in a queue.
pub trait Weighed {
    /// How many bytes.
    fn bytes(&self) -> usize;
}

impl Weighed for Sample {
    fn bytes(&self) -> usize {
        self.cdr.len()
    }
}

struct State<T> {
    samples: VecDeque<T>,
    bytes: usize,
    dropped: u64,
    received: u64,
}

/// Samples, or the like, that wait to be taken.
pub struct Queue<T = Sample> {
    state: Mutex<State<T>>,
    max_samples: usize,
    max_bytes: usize,
}

impl<T: Weighed> Queue<T> {
    /// At least one sample is always kept, however large.
    pub fn new(max_samples: usize, max_bytes: usize) -> Self {
        let state = State { samples: VecDeque::new(), bytes: 0, dropped: 0, received: 0 };
        Queue { state: Mutex::new(state), max_samples: max_samples.max(1), max_bytes }
    }

    /// True when the queue was empty: whoever takes from it has to be told.
    pub fn push(&self, sample: T) -> bool {
        let mut state = self.lock();
        let was_empty = state.samples.is_empty();
        state.received += 1;
        state.bytes += sample.bytes();
        state.samples.push_back(sample);
        while state.samples.len() > self.max_samples || (state.bytes > self.max_bytes && state.samples.len() > 1) {
            if let Some(oldest) = state.samples.pop_front() {
                state.bytes -= oldest.bytes();
                state.dropped += 1;
            }
        }
        was_empty
    }

    /// At most `limit` of the oldest, and whether more wait.
    pub fn take(&self, limit: usize) -> (Vec<T>, bool) {
        let mut state = self.lock();
        let count = state.samples.len().min(limit);
        let taken: Vec<T> = state.samples.drain(..count).collect();
        state.bytes -= taken.iter().map(Weighed::bytes).sum::<usize>();
        (taken, !state.samples.is_empty())
    }

    /// How many came, and how many of these gave way.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.received, state.dropped)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        // A queue has no state that a panic could leave half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(number: u8, size: usize) -> Sample {
        Sample { cdr: vec![number; size], received_ns: 0, source_ns: 0, publisher: [0; 16], sequence: None }
    }

    #[test]
    fn the_oldest_gives_way_to_count_and_to_bytes() {
        let queue = Queue::new(3, 100);
        assert!(queue.push(sample(0, 10)));
        for number in 1..5 {
            assert!(!queue.push(sample(number, 10)));
        }
        queue.push(sample(5, 85));
        assert_eq!(queue.counts(), (6, 4));
        let (taken, more) = queue.take(1);
        assert_eq!((taken[0].cdr[0], more), (4, true));
        queue.push(sample(6, 1000));
        let (taken, more) = queue.take(10);
        assert_eq!((taken.len(), taken[0].cdr[0], more), (1, 6, false));
        assert!(queue.push(sample(7, 1)));
    }
}
