//! What history is given up: by number and age of versions, and what expired. The newest version stays; so does
//! the one that was in force where the kept age begins, or a question about that time would be answered wrong.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::database::{Database, Store, damaged, now};
use super::record::Record;
use super::spaces::Change;
use super::write::{Operation, Still, expiry_key};
use super::{MemoryError, Result, names};

/// What is kept of a namespace's history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retention {
    /// So many versions of a key, the newest among them.
    pub versions: Option<usize>,
    /// What was replaced longer ago is given up; so is a key that was deleted longer ago.
    pub age_ms: Option<f64>,
}

/// So much is changed in one commit.
const CHUNK: usize = 2_000;

fn definition(namespace: &str) -> Vec<u8> {
    [b"r", namespace.as_bytes()].concat()
}

pub(super) fn read_all(store: &Store) -> Result<BTreeMap<String, Retention>> {
    let mut all = BTreeMap::new();
    for row in store.meta.prefix(b"r") {
        let (key, value) = row?;
        let retention = serde_json::from_slice(&value).map_err(|_| damaged("a retention"))?;
        all.insert(String::from_utf8_lossy(&key[1..]).into_owned(), retention);
    }
    Ok(all)
}

/// A version that is given up.
struct Doomed {
    document: Vec<u8>,
    stamp: u64,
    bytes: usize,
}

impl Retention {
    pub(super) fn check(&self) -> Result<()> {
        if self.versions == Some(0) || self.age_ms.is_some_and(|age| !(age.is_finite() && age >= 0.0)) {
            return Err(MemoryError::input("retention", "keep 1 version at least, and no negative age"));
        }
        Ok(())
    }
}

impl Database {
    /// Sets what is kept of a namespace's history, over what is kept of all; without any limit: all. The rest is given up by
    /// `compact`.
    pub fn retain(&self, namespace: &str, retention: Retention) -> Result<()> {
        names::all(namespace)?;
        retention.check()?;
        let store = self.store()?;
        let mut retentions = self.retentions.write().unwrap_or_else(PoisonError::into_inner);
        let mut batch = store.kv.batch();
        batch.put(&store.meta, definition(namespace), serde_json::to_vec(&retention).unwrap_or_default());
        batch.commit()?;
        retentions.insert(namespace.into(), retention);
        Ok(())
    }

    /// Gives up what no retention keeps, and gives its room on the disk back. Returns the number of versions.
    pub fn compact(&self) -> Result<u64> {
        let own = self.retentions.read().unwrap_or_else(PoisonError::into_inner).clone();
        // Of those without keys history may be left.
        let namespaces: Vec<String> =
            self.spaces.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        let mut given_up = 0;
        for namespace in namespaces {
            let retention = own.get(&namespace).copied().unwrap_or(self.options.retention);
            if retention != Retention::default() {
                given_up += self.give_up(&namespace, retention)?;
            }
        }
        self.trim_changes()?;
        let store = self.store()?;
        for (_, space) in store.parts() {
            space.compact()?;
        }
        Ok(given_up)
    }

    fn give_up(&self, namespace: &str, retention: Retention) -> Result<u64> {
        let cutoff = retention.age_ms.map(|age| now().saturating_sub((age * 1000.0) as u64));
        let base = names::all(namespace)?;
        let mut given_up = 0;
        let mut from = base.clone();
        loop {
            let store = self.store()?;
            let still = self.still();
            let mut doomed = Vec::new();
            let mut purged = Vec::new();
            let end = names::behind(&base).unwrap_or_default();
            let mut next = None;
            for row in store.documents.range(from.clone()..end) {
                let (document, bytes) = row?;
                if doomed.len() >= CHUNK {
                    next = Some(document.to_vec());
                    break;
                }
                let current = Record::read(bytes).map_err(|_| super::read::damaged(&document))?;
                if current.head.previous.is_some() {
                    self.doom(&store, &document, &current, retention, cutoff, &mut doomed)?;
                }
                if current.head.deleted && cutoff.is_some_and(|cutoff| current.head.id.stamp <= cutoff) {
                    doomed.push(Doomed { document: document.to_vec(), stamp: current.head.id.stamp, bytes: 0 });
                    purged.push(document.to_vec());
                }
            }
            given_up += doomed.len() as u64;
            self.remove(&store, &still, namespace, doomed, &purged)?;
            match next {
                Some(next) => from = next,
                None => return Ok(given_up),
            }
        }
    }

    /// The older versions of a key that are given up.
    fn doom(
        &self,
        store: &Store,
        document: &[u8],
        current: &Record,
        retention: Retention,
        cutoff: Option<u64>,
        doomed: &mut Vec<Doomed>,
    ) -> Result<()> {
        let kept = retention.versions.unwrap_or(usize::MAX);
        let mut replaced = current.head.id.stamp;
        let rows = store.history.range(names::version(document, 0)..=names::version(document, u64::MAX));
        for (place, row) in rows.rev().enumerate() {
            let (key, bytes) = row?;
            let Some((_, stamp)) = names::of_version(&key) else { continue };
            if place + 1 >= kept || cutoff.is_some_and(|cutoff| replaced <= cutoff) {
                let bytes = Record::read(bytes).map_or(0, |it| it.json().len());
                doomed.push(Doomed { document: document.into(), stamp, bytes });
            }
            replaced = stamp;
        }
        Ok(())
    }

    fn remove(
        &self,
        store: &Store,
        _still: &Still<'_>,
        namespace: &str,
        doomed: Vec<Doomed>,
        purged: &[Vec<u8>],
    ) -> Result<()> {
        if doomed.is_empty() {
            return Ok(());
        }
        let mut batch = store.kv.batch();
        let has_effects = store.effects.range(..).next().is_some();
        let mut change = Change::default();
        for Doomed { document, stamp, bytes } in doomed {
            let key = names::version(&document, stamp);
            if has_effects {
                for row in store.effects.prefix(&key) {
                    batch.remove(&store.effects, row?.0);
                }
            }
            batch.remove(&store.history, key);
            change.versions -= 1;
            change.bytes -= bytes as i64;
        }
        for document in purged {
            batch.remove(&store.documents, document.as_slice());
        }
        let mut counts = self.counts(namespace);
        counts.add(change);
        batch.put(&store.meta, [b"n", namespace.as_bytes()].concat(), counts.to_bytes());
        batch.commit()?;
        for document in purged {
            self.cache.forget(document);
        }
        self.spaces.write().unwrap_or_else(PoisonError::into_inner).insert(namespace.into(), counts);
        Ok(())
    }

    /// Makes deletions of what expired.
    pub(super) fn expire(&self) -> Result<()> {
        loop {
            let mut requests = Vec::new();
            {
                let store = self.store()?;
                for row in store.expiry.range(..=expiry_key(now(), &[])).take(CHUNK) {
                    requests.push(vec![Operation::expiry(row?.0[8..].to_vec())]);
                }
            }
            let last = requests.len() < CHUNK;
            let mut done = 0;
            for answer in self.operate(self.place(), requests) {
                done += usize::from(answer?.iter().any(|it| it.version.is_some()));
            }
            if last || done == 0 {
                return Ok(());
            }
        }
    }
}
