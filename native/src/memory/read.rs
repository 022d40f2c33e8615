//! The present, the past, lists.

use std::ops::Bound;

use super::database::{Database, Store, now};
use super::record::{Record, VersionId};
use super::spaces::Counts;
use super::{MemoryError, Result, names};
use crate::kv::Snapshot;

/// A moment in a document's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Microseconds since 1970.
    Time(u64),
    /// That version itself.
    Version(VersionId),
}

impl At {
    /// A time in milliseconds. A whole one means its end: all that happened in it is seen.
    pub fn from_ms(ms: f64) -> Result<At> {
        if !ms.is_finite() || !(0.0..9.0e12).contains(&ms) {
            return Err(MemoryError::input(format!("time {ms}"), "it is no time in milliseconds since 1970"));
        }
        Ok(At::Time(if ms.fract() == 0.0 { ms as u64 * 1000 + 999 } else { (ms * 1000.0).round() as u64 }))
    }
}

/// Which part of a history, the newest first.
#[derive(Clone, Debug)]
pub struct HistoryRange {
    /// The oldest that is wanted, in microseconds.
    pub from: u64,
    /// The newest that is wanted.
    pub to: u64,
    /// At most so many.
    pub limit: usize,
}

impl Default for HistoryRange {
    fn default() -> Self {
        HistoryRange { from: 0, to: u64::MAX, limit: usize::MAX }
    }
}

/// A part of a list.
#[derive(Debug, PartialEq, serde::Serialize)]
pub struct Page {
    /// In their order.
    pub keys: Vec<String>,
    /// To be given as `after` for what follows; null at the end.
    pub next: Option<String>,
}

/// A page looks at so many keys at most: those that are deleted cost, too.
const SCAN_MAX: usize = 20_000;
/// So many versions back are read one by one: each costs a fraction of a range.
const NEAR: usize = 3;

impl Database {
    /// The newest version, deleted or not.
    pub(super) fn current(&self, store: &Store, document: &[u8]) -> Result<Option<Record>> {
        if let Some(record) = self.cache.get(document) {
            return Ok(Some(record));
        }
        let mark = self.cache.mark(document);
        let found = stored(store, document)?;
        if let Some(record) = &found {
            self.cache.fill(document, mark, record);
        }
        Ok(found)
    }

    /// As `current`, of a snapshot's moment. Where `seen` is its last stamp, what did not change since needs no look into the
    /// store.
    pub(super) fn current_in(
        &self,
        store: &Store,
        snapshot: &Snapshot,
        seen: Option<u64>,
        document: &[u8],
    ) -> Result<Option<Record>> {
        if let Some(seen) = seen
            && let Some(record) = self.current(store, document)?.filter(|it| it.head.id.stamp <= seen)
        {
            return Ok(Some(record));
        }
        let found = snapshot.get(&store.documents, document)?;
        found.map(|bytes| Record::read(bytes).map_err(|_| damaged(document))).transpose()
    }

    /// As `current`, for who replaces it: nobody reads it again.
    pub(super) fn overwritten(&self, store: &Store, document: &[u8]) -> Result<Option<Record>> {
        match self.cache.get(document) {
            Some(record) => Ok(Some(record)),
            None => stored(store, document),
        }
    }

    /// That version, and no other.
    pub(super) fn version(&self, store: &Store, document: &[u8], id: VersionId) -> Result<Record> {
        let found = match self.current(store, document)? {
            Some(record) if record.head.id == id => Some(record),
            _ => match store.history.get(&names::version(document, id.stamp))? {
                Some(bytes) => Some(Record::read(bytes).map_err(|_| damaged(document))?),
                None => None,
            },
        };
        let found = found.filter(|it| it.head.id == id);
        found.ok_or_else(|| MemoryError::NotFound { what: "version", name: id.to_string() })
    }

    /// The version that was the newest at a time, deleted or not.
    pub(super) fn version_at(&self, store: &Store, document: &[u8], time: u64) -> Result<Option<Record>> {
        match self.current(store, document)? {
            Some(record) if record.head.id.stamp > time => self.older(store, document, &record, time),
            found => Ok(found),
        }
    }

    /// The version of that time, which is older than `newest`.
    fn older(&self, store: &Store, document: &[u8], newest: &Record, time: u64) -> Result<Option<Record>> {
        let mut previous = newest.head.previous;
        for _ in 0..NEAR {
            let Some(id) = previous else { return Ok(None) };
            // What retention gave up: so it did with all that is older.
            let Some(bytes) = store.history.get(&names::version(document, id.stamp))? else { return Ok(None) };
            let record = Record::read(bytes).map_err(|_| damaged(document))?;
            if id.stamp <= time {
                return Ok(Some(record));
            }
            previous = record.head.previous;
        }
        let range = names::version(document, 0)..=names::version(document, time);
        match store.history.range(range).next_back() {
            Some(row) => Ok(Some(Record::read(row?.1).map_err(|_| damaged(document))?)),
            None => Ok(None),
        }
    }

    /// What a document is, or was; none: not there, then.
    pub(super) fn find(&self, store: &Store, document: &[u8], at: Option<At>) -> Result<Option<Record>> {
        match at {
            None => Ok(self.current(store, document)?.filter(|it| it.head.alive(now()))),
            Some(At::Time(time)) => {
                Ok(self.version_at(store, document, time)?.filter(|it| it.head.alive(time.min(now()))))
            }
            Some(At::Version(id)) => {
                let record = self.version(store, document, id)?;
                Ok(Some(record).filter(|it| !it.head.deleted))
            }
        }
    }

    /// The JSON text of a document; fails where it is not there, or was not then.
    pub fn get(&self, namespace: &str, key: &str, at: Option<At>) -> Result<String> {
        let store = self.store()?;
        let found = self.find(&store, &names::document(namespace, key)?, at)?;
        found.map(|it| it.json().to_owned()).ok_or_else(|| not_found(namespace, key))
    }

    /// As `find` of now, without what was published after `seen`.
    fn find_seen(&self, store: &Store, document: &[u8], seen: u64) -> Result<Option<Record>> {
        let found = match self.current(store, document)? {
            Some(newest) if newest.head.id.stamp > seen => match self.older(store, document, &newest, seen)? {
                // A retention gave up what was before, meanwhile.
                None if newest.head.previous.is_some() => Some(newest),
                found => found,
            },
            found => found,
        };
        Ok(found.filter(|it| it.head.alive(now())))
    }

    /// Many at once and of one moment, as one JSON text: for each `[value]`, or `0` where there is none.
    pub fn get_many<'k>(&self, keys: impl Iterator<Item = (&'k str, &'k str)>, at: Option<At>) -> Result<String> {
        let store = self.store()?;
        let seen = self.published();
        let mut text = String::from("[");
        for (namespace, key) in keys {
            if text.len() > 1 {
                text.push(',');
            }
            let document = names::document(namespace, key)?;
            let found = match at {
                None => self.find_seen(&store, &document, seen)?,
                at => self.find(&store, &document, at)?,
            };
            match found {
                Some(record) => {
                    text.push('[');
                    text.push_str(record.json());
                    text.push(']');
                }
                None => text.push('0'),
            }
            whole(&text)?;
        }
        text.push(']');
        Ok(text)
    }

    /// Whether it is there.
    pub fn contains(&self, namespace: &str, key: &str) -> Result<bool> {
        let store = self.store()?;
        Ok(self.find(&store, &names::document(namespace, key)?, None)?.is_some())
    }

    /// The versions of a document, the newest first. Fails where there never was one.
    pub(super) fn versions(
        &self,
        store: &Store,
        namespace: &str,
        key: &str,
        range: &HistoryRange,
    ) -> Result<Vec<Record>> {
        let document = names::document(namespace, key)?;
        let current = self.current(store, &document)?.ok_or_else(|| not_found(namespace, key))?;
        let wanted = |stamp: u64| (range.from..=range.to).contains(&stamp);
        let mut found: Vec<Record> = Some(current).into_iter().filter(|it| wanted(it.head.id.stamp)).collect();
        if range.from > range.to {
            return Ok(found);
        }
        let rows = store.history.range(names::version(&document, range.from)..=names::version(&document, range.to));
        for row in rows.rev().take(range.limit.saturating_sub(found.len())) {
            let record = Record::read(row?.1).map_err(|_| damaged(&document))?;
            // A commit between both reads moved it here.
            if found.last().is_none_or(|it| it.head.id != record.head.id) {
                found.push(record);
            }
        }
        found.truncate(range.limit);
        Ok(found)
    }

    /// Keys of a namespace that begin so, behind `after`.
    pub fn keys(&self, namespace: &str, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page> {
        let store = self.store()?;
        let base = names::all(namespace)?;
        let begin = [base.as_slice(), prefix.as_bytes()].concat();
        let start = match after.map(|after| [base.as_slice(), after.as_bytes()].concat()) {
            Some(after) if after >= begin => Bound::Excluded(after),
            _ => Bound::Included(begin.clone()),
        };
        let end = names::behind(&begin).map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = Page { keys: Vec::new(), next: None };
        let now = now();
        for (looked, row) in store.documents.range((start, end)).enumerate() {
            let (document, bytes) = row?;
            let Some((_, key)) = names::of_document(&document) else { return Err(damaged(&document)) };
            if page.keys.len() >= limit || looked >= SCAN_MAX {
                return Ok(page);
            }
            if Record::read(bytes).map_err(|_| damaged(&document))?.head.alive(now) {
                page.keys.push(key.to_owned());
            }
            page.next = Some(key.to_owned());
        }
        page.next = None;
        Ok(page)
    }

    /// Namespaces that have keys, with their counts.
    pub fn namespaces(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(String, Counts)> {
        let spaces = self.spaces.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let start = after.filter(|&after| after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let found = spaces.range::<str, _>((start, Bound::Unbounded)).take_while(|(name, _)| name.starts_with(prefix));
        found.filter(|(_, counts)| counts.keys > 0).take(limit).map(|(name, counts)| (name.clone(), *counts)).collect()
    }

    /// What a namespace has.
    pub fn counts(&self, namespace: &str) -> Counts {
        let spaces = self.spaces.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        spaces.get(namespace).copied().unwrap_or_default()
    }
}

/// No text of JavaScript's is longer.
const ANSWER_MAX: usize = (512 << 20) - 32;

/// Fails for an answer that cannot cross.
pub(super) fn whole(answer: &str) -> Result<()> {
    if answer.len() > ANSWER_MAX { Err(MemoryError::Answer { limit: ANSWER_MAX }) } else { Ok(()) }
}

fn stored(store: &Store, document: &[u8]) -> Result<Option<Record>> {
    let found = store.documents.get(document)?;
    found.map(|bytes| Record::read(bytes).map_err(|_| damaged(document))).transpose()
}

pub(super) fn not_found(namespace: &str, key: &str) -> MemoryError {
    MemoryError::KeyNotFound { namespace: namespace.into(), key: key.into() }
}

pub(super) fn damaged(document: &[u8]) -> MemoryError {
    let (namespace, key) = names::of_document(document).unwrap_or(("?", "?"));
    MemoryError::Damaged { name: format!("{namespace}/{key}"), problem: "it cannot be read".into() }
}
