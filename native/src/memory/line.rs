//! Calls that are prepared beside each other, and then go on in the order in which they came.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Who stands in it.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    /// The next place that is given.
    last: u64,
    /// All before it have left.
    first: u64,
    /// Those behind it that have left.
    left: BTreeSet<u64>,
}

/// A place in the line. Who drops it leaves: also when nothing came of his call.
pub struct Place {
    number: u64,
    line: Line,
}

impl Line {
    /// The last place.
    pub fn place(&self) -> Place {
        let mut state = self.state();
        state.last += 1;
        Place { number: state.last - 1, line: self.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Until all before it have left.
    pub(super) fn wait(&self) {
        let first = self.line.0.moved.wait_while(self.line.state(), |state| state.first < self.number);
        drop(first.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guard = self.line.state();
        let state = &mut *guard;
        state.left.insert(self.number);
        while state.left.remove(&state.first) {
            state.first += 1;
        }
        self.line.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn who_came_first_goes_first_whatever_becomes_of_the_others() {
        let line = Line::default();
        let mut places: Vec<Place> = (0..5).map(|_| line.place()).collect();
        // One leaves without having had its turn: nobody overtakes for that.
        drop(places.remove(1));
        let (told, order) = channel();
        let threads = places.into_iter().rev().map(|place| {
            let told = told.clone();
            std::thread::spawn(move || {
                place.wait();
                told.send(place.number).is_ok()
            })
        });
        let threads: Vec<_> = threads.collect();
        assert_eq!(order.iter().take(4).collect::<Vec<_>>(), [0, 2, 3, 4]);
        assert!(threads.into_iter().all(|thread| thread.join().is_ok_and(|told| told)));
        let state = line.state();
        assert_eq!((state.first, state.left.len()), (5, 0));
    }
}
