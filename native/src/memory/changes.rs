//! The log of what happened, by stamp, and those who watch it.
//!
//! A watcher is a place in the log and nothing else: it takes what follows when it likes, it can begin at any
//! version, and a slow one costs no memory. The log is kept for so many writes; who is behind its beginning
//! is told.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::Value;

use super::database::{Database, Store, now};
use super::filter::Filter;
use super::record::Record;
use super::{Result, names};

/// What a watcher wants to hear of.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// One namespace; none: all.
    pub namespace: Option<String>,
    /// Keys that begin so.
    pub prefix: String,
    /// Values that are so. Deletions pass.
    pub filter: Option<Filter>,
}

/// A place in the log.
pub struct Watcher {
    wanted: Wanted,
    place: Mutex<u64>,
    /// Called when something may have happened: once, until the watcher looks.
    wake: Box<dyn Fn() + Send + Sync>,
    woken: AtomicBool,
}

impl Watcher {
    fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
    }
}

/// Those who watch.
#[derive(Default)]
pub(super) struct Watchers(Mutex<Vec<Weak<Watcher>>>);

impl Watchers {
    pub fn wake(&self) {
        let mut watchers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher.upgrade().inspect(|watcher| watcher.wake()).is_some());
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A version came to be.
    Change(Change),
    /// What happened after `from` and up to `to` is not in the log any more.
    Gap {
        /// A stamp.
        from: u64,
        /// A stamp.
        to: u64,
    },
}

/// A version that came to be.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its namespace.
    pub namespace: String,
    /// Its key.
    pub key: String,
    /// Its place in time.
    pub stamp: u64,
    /// None: it was given up since.
    pub(super) record: Option<Record>,
}

/// How many writes one call looks at.
const LOOK_MAX: usize = 10_000;
/// So many bytes of values one call takes, or those of one write.
const TAKE_BYTES: usize = 8 << 20;

pub(super) fn stamp_of(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}

/// Something made of documents that follows the log.
pub(super) struct Followed<T> {
    pub kept: T,
    /// Up to where it knows; none: it is to be made anew.
    place: Option<u64>,
    /// When documents expire; those that were replaced since among them.
    ends: BTreeSet<(u64, Vec<u8>)>,
}

impl<T> Followed<T> {
    pub fn new(kept: T) -> Self {
        Followed { kept, place: None, ends: BTreeSet::new() }
    }
}

const TRIMMED: &[u8] = b"t";
/// How many rows the log has.
pub(super) const LENGTH: &[u8] = b"l";

/// The last stamp that is not in the log any more; 0: all are.
pub(super) fn trimmed(store: &Store) -> Result<u64> {
    Ok(store.meta.get(TRIMMED)?.map_or(0, |bytes| stamp_of(&bytes)))
}

/// The documents of a row of the log.
fn documents(mut row: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = row.split_first_chunk::<2>()?;
        let (document, rest) = rest.split_at_checked(u16::from_le_bytes(*len) as usize)?;
        row = rest;
        Some(document)
    })
}

impl Database {
    /// Watches from now on, or from behind a stamp. `wake` is called when something may have happened.
    pub fn watch(
        &self,
        wanted: Wanted,
        since: Option<u64>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Arc<Watcher>> {
        let place = Mutex::new(since.unwrap_or(self.published()));
        let watcher = Arc::new(Watcher { wanted, place, wake: Box::new(wake), woken: AtomicBool::new(false) });
        self.store()?;
        self.watchers.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&watcher));
        Ok(watcher)
    }

    /// What happened, the oldest first, and whether more waits. A write's changes come together.
    pub fn take(&self, watcher: &Watcher, limit: usize) -> Result<(Vec<Event>, bool)> {
        let store = self.store()?;
        watcher.woken.store(false, Ordering::Release);
        let mut place = watcher.place.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut events, mut bytes) = (Vec::new(), 0);
        let trimmed = trimmed(&store)?;
        if *place < trimmed {
            events.push(Event::Gap { from: *place, to: trimmed });
            *place = trimmed;
        }
        let more = self.follow(&store, &mut place, LOOK_MAX, |stamp, document| {
            if let Some(change) = watcher.wanted.change(self, &store, stamp, document)? {
                bytes += change.record.as_ref().map_or(0, |record| record.json().len());
                events.push(Event::Change(change));
            }
            Ok(events.len() < limit && bytes < TAKE_BYTES)
        })?;
        Ok((events, more))
    }

    /// Goes through the log from a place on, and moves it. Whether something is left.
    pub(super) fn follow(
        &self,
        store: &Store,
        place: &mut u64,
        rows: usize,
        mut each: impl FnMut(u64, &[u8]) -> Result<bool>,
    ) -> Result<bool> {
        let end = self.published();
        if *place >= end {
            return Ok(false);
        }
        let range = (*place + 1).to_be_bytes().to_vec()..=end.to_be_bytes().to_vec();
        for (looked, row) in store.changes.range(range).enumerate() {
            if looked >= rows {
                return Ok(true);
            }
            let (key, row) = row?;
            let stamp = stamp_of(&key);
            let mut go_on = true;
            for document in documents(&row) {
                go_on = each(stamp, document)?;
            }
            *place = stamp;
            if !go_on {
                return Ok(stamp < end);
            }
        }
        *place = end;
        Ok(false)
    }

    /// Brings something that is made of the documents which begin so what is new. Where what it missed is not in the log
    /// any more, or where it failed before, it is made anew. `note` says when what it found expires: then it is asked again.
    pub(super) fn catch_up<T>(
        &self,
        store: &Store,
        followed: &mut Followed<T>,
        begin: &[u8],
        clear: impl FnOnce(&mut T),
        mut note: impl FnMut(&mut T, &[u8]) -> Result<Option<u64>>,
    ) -> Result<()> {
        let trimmed = trimmed(store)?;
        let place = followed.place.take().filter(|&place| place >= trimmed);
        let Followed { kept, ends, .. } = followed;
        let mut note = |kept: &mut T, document: &[u8]| -> Result<Option<(u64, Vec<u8>)>> {
            Ok(note(kept, document)?.map(|end| (end, document.to_vec())))
        };
        let mut place = match place {
            Some(place) => place,
            None => {
                let place = self.published();
                clear(kept);
                ends.clear();
                for row in store.documents.prefix(begin) {
                    ends.extend(note(kept, &row?.0)?);
                }
                place
            }
        };
        while self.follow(store, &mut place, usize::MAX, |_, document| {
            if document.starts_with(begin) {
                ends.extend(note(kept, document)?);
            }
            Ok(true)
        })? {}
        let now = now();
        while ends.first().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, document)) = ends.pop_first() {
                ends.extend(note(kept, &document)?);
            }
        }
        followed.place = Some(place);
        Ok(())
    }

    /// Whether there is nothing to catch up with.
    pub(super) fn is_new<T>(&self, followed: &Followed<T>) -> bool {
        let due = followed.ends.first().is_some_and(|(end, _)| *end <= now());
        followed.place == Some(self.published()) && !due
    }

    /// Gives up the beginning of the log.
    pub(super) fn trim_changes(&self) -> Result<()> {
        // Never the last row: it has the last stamp.
        let kept = self.options.changes_kept.max(1);
        loop {
            let store = self.store()?;
            let mut still = self.still();
            let log_len = still.log_len();
            // It may be a tenth longer: then many go at once.
            if *log_len <= kept + kept / 10 {
                return Ok(());
            }
            let excess = ((*log_len - kept) as usize).min(LOOK_MAX);
            let (mut last, mut batch) = (trimmed(&store)?, store.kv.batch());
            for row in store.changes.range((last + 1).to_be_bytes().to_vec()..).take(excess) {
                let (key, _) = row?;
                last = stamp_of(&key);
                batch.remove(&store.changes, key);
            }
            batch.put(&store.meta, TRIMMED, last.to_be_bytes());
            let left = *log_len - excess as u64;
            batch.put(&store.meta, LENGTH, left.to_be_bytes());
            batch.commit()?;
            *log_len = left;
        }
    }
}

impl Wanted {
    fn change(&self, database: &Database, store: &Store, stamp: u64, document: &[u8]) -> Result<Option<Change>> {
        let Some((namespace, key)) = names::of_document(document) else { return Ok(None) };
        if self.namespace.as_deref().is_some_and(|wanted| wanted != namespace) || !key.starts_with(&self.prefix) {
            return Ok(None);
        }
        let found = database.version_at(store, document, stamp)?.filter(|it| it.head.id.stamp == stamp);
        if let (Some(filter), Some(record)) = (&self.filter, &found)
            && !record.head.deleted
            && !serde_json::from_str::<Value>(record.json()).is_ok_and(|value| filter.holds(&value))
        {
            return Ok(None);
        }
        Ok(Some(Change { namespace: namespace.into(), key: key.into(), stamp, record: found }))
    }
}
