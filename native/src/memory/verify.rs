//! Whether all is as it was written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::database::Database;
use super::record::{Record, VersionId};
use super::spaces::Counts;
use super::{Result, names};

/// What a check found.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Verified {
    /// Documents, deleted ones among them.
    pub documents: u64,
    /// Versions.
    pub versions: u64,
    /// What is wrong, up to a hundred lines.
    pub problems: Vec<String>,
}

impl Database {
    /// Reads everything: each version's hash, each chain of versions, each count.
    pub fn verify(&self) -> Result<Verified> {
        let store = self.store()?;
        // Between two commits: counts and versions are of the same moment.
        let (snapshot, spaces) = {
            let _still = self.still();
            let spaces = self.spaces.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            (store.kv.snapshot(), spaces)
        };
        let mut found = Verified::default();
        let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
        for row in snapshot.range(&store.documents, ..) {
            let (document, bytes) = row?;
            found.documents += 1;
            let Some((namespace, key)) = names::of_document(&document) else {
                found.tell("a name that is none".into());
                continue;
            };
            let name = format!("{namespace}/{key}");
            let sum = counts.entry(namespace.into()).or_default();
            let range = names::version(&document, 0)..=names::version(&document, u64::MAX);
            let older = snapshot.range(&store.history, range).rev().map(|row| row.map(|(_, bytes)| bytes));
            let mut wanted: Option<Option<VersionId>> = None;
            for bytes in std::iter::once(Ok(bytes)).chain(older) {
                found.versions += 1;
                sum.versions += 1;
                let Ok(record) = Record::read(bytes?) else {
                    found.tell(format!("{name}: a version cannot be read"));
                    continue;
                };
                if wanted.is_none() && !record.head.deleted {
                    sum.keys += 1;
                }
                sum.bytes += record.json().len() as u64;
                if !record.is_whole(&document) {
                    found.tell(format!("{name}: version {} is not what was written", record.head.id));
                }
                if wanted.is_some_and(|wanted| wanted != Some(record.head.id)) {
                    found.tell(format!("{name}: version {} is not the one before", record.head.id));
                }
                wanted = Some(record.head.previous);
            }
        }
        for (namespace, kept) in spaces.iter().filter(|(_, counts)| **counts != Counts::default()) {
            let counted = counts.get(namespace).copied().unwrap_or_default();
            if counted != *kept {
                found.tell(format!("{namespace}: counted {counted:?}, kept {kept:?}"));
            }
        }
        Ok(found)
    }
}

impl Verified {
    fn tell(&mut self, problem: String) {
        if self.problems.len() < 100 {
            self.problems.push(problem);
        }
    }
}
