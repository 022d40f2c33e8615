//! Documents that were read lately, within a limit of bytes.
//!
//! A reader that read the store before a commit must not put its old find here after it: what it brings
//! counts only while nothing of the same stripe was published since it began to read.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::{Cache as Quick, DefaultLifecycle};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::record::Record;
use crate::kv::Bytes;

const STRIPES: usize = 256;
/// What an entry costs beside its bytes, roughly.
const OVERHEAD: u64 = 96;

pub(super) struct Cache {
    entries: Quick<Box<[u8]>, Record, Weight, Hash>,
    /// Rise with each publication.
    stripes: Box<[AtomicU64]>,
    filling: Mutex<()>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Box<[u8]>, Record> for Weight {
    fn weight(&self, key: &Box<[u8]>, record: &Record) -> u64 {
        key.len() as u64 + record.bytes().len() as u64 + OVERHEAD
    }
}

#[derive(Clone, Default)]
struct Hash(u64);

impl Hasher for Hash {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl BuildHasher for Hash {
    type Hasher = Hash;

    fn build_hasher(&self) -> Hash {
        Hash(0)
    }
}

impl Cache {
    pub fn new(bytes: u64) -> Cache {
        let items = (bytes / 256).clamp(16, 1 << 22) as usize;
        Cache {
            entries: Quick::with(items, bytes, Weight, Hash(0), DefaultLifecycle::default()),
            stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            filling: Mutex::new(()),
        }
    }

    pub fn get(&self, document: &[u8]) -> Option<Record> {
        self.entries.get(document)
    }

    /// To be taken before the store is read.
    pub fn mark(&self, document: &[u8]) -> u64 {
        self.stripe(document).load(Ordering::Acquire)
    }

    /// What a reader found in the store.
    pub fn fill(&self, document: &[u8], mark: u64, record: &Record) {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if self.mark(document) == mark {
            self.entries.insert(document.into(), record.detached());
        }
    }

    /// What a commit made of documents: called after it, before it is acknowledged.
    pub fn publish<'a>(&self, documents: impl IntoIterator<Item = (&'a Bytes, &'a Record)>) {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        for (document, record) in documents {
            self.stripe(document).fetch_add(1, Ordering::AcqRel);
            if self.entries.contains_key(&document[..]) {
                self.entries.insert(document[..].into(), record.clone());
            }
        }
    }

    /// What was taken out of the store for good.
    pub fn forget(&self, document: &[u8]) {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        self.stripe(document).fetch_add(1, Ordering::AcqRel);
        self.entries.remove(document);
    }

    /// Bytes held.
    pub fn weight(&self) -> u64 {
        self.entries.weight()
    }

    fn stripe(&self, document: &[u8]) -> &AtomicU64 {
        &self.stripes[xxh3_64(document) as usize % STRIPES]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::record::Draft;

    fn record(json: &str) -> Record {
        let draft = Draft { document: b"a", stamp: 1, previous: None, expires: None, causes: &[], json: Some(json) };
        Record::read(Bytes::from(draft.write().1)).unwrap()
    }

    #[test]
    fn a_late_reader_does_not_bring_the_past_back() {
        let cache = Cache::new(10_000);
        let mark = cache.mark(b"a");
        cache.publish([(&Bytes::from(&b"a"[..]), &record("2"))]);
        cache.fill(b"a", mark, &record("1"));
        assert!(cache.get(b"a").is_none());
        cache.fill(b"a", cache.mark(b"a"), &record("2"));
        cache.publish([(&Bytes::from(&b"a"[..]), &record("3"))]);
        assert_eq!(cache.get(b"a").unwrap().json(), "3");
        for number in 0..1000 {
            let key = format!("k{number}");
            cache.fill(key.as_bytes(), cache.mark(key.as_bytes()), &record("1"));
        }
        assert!(cache.weight() <= 10_000);
        cache.forget(b"a");
        assert!(cache.get(b"a").is_none());
    }
}
