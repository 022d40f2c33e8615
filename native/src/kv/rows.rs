//! Rows of a scan: of the tables in memory, the newest first, and of those on the disk.

use std::sync::Arc;

use super::table::{Cursor, Row};
use super::{Bytes, Result, Shared, View};

/// Rows of a scan, in the order of their keys; it can be read from both ends.
pub struct Rows {
    /// The newest first: of a key that several have, the first one's row counts.
    sources: Vec<Ends>,
    shared: Arc<Shared>,
    /// As long as it lasts, what it sees is kept.
    _view: Arc<View>,
}

pub(super) enum Source {
    Memory(Cursor),
    Disk(fjall::Iter),
}

/// A source, and what was taken from its ends to be compared.
struct Ends {
    source: Source,
    front: Option<Row>,
    back: Option<Row>,
}

impl Ends {
    fn fill(&mut self, forward: bool) -> std::result::Result<Option<&Bytes>, fjall::Error> {
        let Ends { source, front, back } = self;
        let (here, there) = if forward { (front, back) } else { (back, front) };
        if here.is_none() {
            let next = match source {
                Source::Memory(cursor) => {
                    if forward {
                        cursor.next()
                    } else {
                        cursor.next_back()
                    }
                }
                Source::Disk(iter) => {
                    let row = if forward { iter.next() } else { iter.next_back() };
                    row.map(fjall::Guard::into_inner).transpose()?.map(|(key, value)| (key, Some(value)))
                }
            };
            // At the end of it, the other end's is the last one.
            *here = next.or_else(|| there.take());
        }
        Ok(here.as_ref().map(|(key, _)| key))
    }
}

impl Rows {
    pub(super) fn new(sources: Vec<Source>, shared: Arc<Shared>, view: Arc<View>) -> Rows {
        let sources = sources.into_iter().map(|source| Ends { source, front: None, back: None }).collect();
        Rows { sources, shared, _view: view }
    }

    fn step(&mut self, forward: bool) -> std::result::Result<Option<(Bytes, Bytes)>, fjall::Error> {
        loop {
            let mut best: Option<Bytes> = None;
            for source in &mut self.sources {
                if let Some(key) = source.fill(forward)?
                    && best.as_ref().is_none_or(|best| if forward { key < best } else { key > best })
                {
                    best = Some(key.clone());
                }
            }
            let Some(best) = best else { return Ok(None) };
            let mut newest = None;
            for source in &mut self.sources {
                let end = if forward { &mut source.front } else { &mut source.back };
                if let Some((_, value)) = end.take_if(|(key, _)| *key == best) {
                    newest.get_or_insert(value);
                }
            }
            if let Some(value) = newest.flatten() {
                return Ok(Some((best, value)));
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(true).map_err(|error| self.shared.failed(error)).transpose()
    }
}

impl DoubleEndedIterator for Rows {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(false).map_err(|error| self.shared.failed(error)).transpose()
    }
}
