//! What happens, on its way to who opened Python.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::PythonError;
use super::frame::Answer;

/// So many printed lines wait; what is printed beyond is counted.
const MOST_LINES: usize = 1000;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A call was answered, or failed.
    Answered {
        /// The call.
        id: u64,
        /// Its outcome.
        answer: Result<Answer, PythonError>,
        /// How long it ran.
        took: Duration,
    },
    /// A worker's process runs the script.
    Started {
        /// The worker.
        worker: usize,
        /// JSON: the version, the interpreter, the functions that were found.
        about: String,
    },
    /// It does not; it is tried again after a while.
    StartFailed {
        /// The worker.
        worker: usize,
        /// Why.
        error: PythonError,
    },
    /// A process ended though nobody wanted it to; there will be another one.
    Ended {
        /// The worker.
        worker: usize,
        /// How.
        how: String,
    },
    /// A new version of the script runs.
    Reloaded {
        /// The worker.
        worker: usize,
    },
    /// A new version does not start: JSON of its exception. The old one goes on.
    ReloadFailed {
        /// The worker.
        worker: usize,
        /// JSON.
        problem: String,
    },
    /// The script printed a line.
    Line {
        /// On standard error.
        error: bool,
        /// Without its end.
        text: String,
    },
    /// So many lines were printed too fast to be told.
    LinesLost(u64),
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    lines: usize,
    lost: u64,
    is_hushed: bool,
    ring: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// A queue with a bell.
pub struct Events {
    waiting: Mutex<Waiting>,
}

impl Events {
    /// `ring` is called when events wait where none did.
    pub fn new(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Events { waiting: Mutex::new(Waiting { ring: Some(Arc::new(ring)), ..Waiting::default() }) }
    }

    /// The bell is let go; what waits can still be taken.
    pub fn silence(&self) {
        self.lock().ring = None;
    }

    /// The bell is not rung meanwhile: who makes events takes them at once.
    pub fn hushed(&self, work: impl FnOnce()) {
        self.lock().is_hushed = true;
        work();
        self.lock().is_hushed = false;
    }

    /// At most `limit` events, the oldest first, and whether more wait.
    pub fn take(&self, limit: usize) -> (Vec<Event>, bool) {
        let mut waiting = self.lock();
        let count = limit.min(waiting.events.len());
        let mut taken: Vec<_> = waiting.events.drain(..count).collect();
        waiting.lines -= taken.iter().filter(|event| matches!(event, Event::Line { .. })).count();
        let more = !waiting.events.is_empty();
        if !more && waiting.lost > 0 {
            taken.push(Event::LinesLost(std::mem::take(&mut waiting.lost)));
        }
        (taken, more)
    }

    pub(super) fn push(&self, event: Event) {
        let mut waiting = self.lock();
        let is_first = waiting.events.is_empty();
        if matches!(event, Event::Line { .. }) {
            if waiting.lines == MOST_LINES {
                waiting.lost += 1;
                return;
            }
            waiting.lines += 1;
        }
        waiting.events.push_back(event);
        let ring = waiting.ring.clone().filter(|_| is_first && !waiting.is_hushed);
        drop(waiting);
        if let Some(ring) = ring {
            ring();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn lines_beyond_the_bound_are_counted_and_the_bell_rings_once() {
        let rung = Arc::new(AtomicUsize::new(0));
        let bell = rung.clone();
        let events = Events::new(move || {
            bell.fetch_add(1, Ordering::Relaxed);
        });
        let line = || Event::Line { error: false, text: "x".into() };
        for _ in 0..MOST_LINES + 7 {
            events.push(line());
        }
        events.push(Event::Reloaded { worker: 0 });
        assert_eq!(rung.load(Ordering::Relaxed), 1);
        let (taken, more) = events.take(MOST_LINES);
        assert!(more && taken.len() == MOST_LINES);
        let (rest, more) = events.take(10);
        assert!(!more);
        assert!(matches!(rest[..], [Event::Reloaded { .. }, Event::LinesLost(7)]), "{rest:?}");
        events.push(line());
        assert_eq!(rung.load(Ordering::Relaxed), 2);
        assert!(matches!(events.take(10).0[..], [Event::Line { .. }]));
        events.silence();
        events.push(line());
        assert_eq!((rung.load(Ordering::Relaxed), Arc::strong_count(&rung)), (2, 1));
        assert_eq!(events.take(10).0.len(), 1);
    }
}
