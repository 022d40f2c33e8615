//! Which version caused which, both ways and over many steps.

use std::collections::{HashSet, VecDeque};

use super::database::{Database, Store};
use super::record::{Cause, VersionId};
use super::{Result, names};

/// A version that stands in a lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kin {
    /// Its namespace.
    pub namespace: String,
    /// Its key.
    pub key: String,
    /// Its id.
    pub version: VersionId,
    /// Steps away from where the question began.
    pub steps: usize,
}

/// Where the question goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To what caused it.
    Causes,
    /// To what came of it.
    Effects,
}

impl Database {
    /// The lineage of a version, the nearest first: each version once, though many ways lead to it.
    pub fn lineage(
        &self,
        namespace: &str,
        key: &str,
        id: VersionId,
        way: Way,
        depth: usize,
        limit: usize,
    ) -> Result<Vec<Kin>> {
        let store = self.store()?;
        let start = Cause { document: names::document(namespace, key)?, id };
        self.version(&store, &start.document, id)?;
        let mut seen = HashSet::from([(start.document.clone(), id)]);
        let mut waiting = VecDeque::from([(start, 0)]);
        let mut found = Vec::new();
        while let Some((from, steps)) = waiting.pop_front() {
            if steps == depth {
                continue;
            }
            let next = match way {
                // What was given up since ends the way.
                Way::Causes => self.version(&store, &from.document, from.id).map_or(Vec::new(), |it| it.causes()),
                Way::Effects => self.effects(&store, &from)?,
            };
            for kin in next {
                if found.len() == limit || !seen.insert((kin.document.clone(), kin.id)) {
                    continue;
                }
                let (namespace, key) = names::of_document(&kin.document).unwrap_or_default();
                found.push(Kin { namespace: namespace.into(), key: key.into(), version: kin.id, steps: steps + 1 });
                waiting.push_back((kin, steps + 1));
            }
        }
        Ok(found)
    }

    fn effects(&self, store: &Store, cause: &Cause) -> Result<Vec<Cause>> {
        let prefix = names::version(&cause.document, cause.id.stamp);
        let mut found = Vec::new();
        for row in store.effects.prefix(&prefix) {
            let (key, len) = row?;
            // A longer name of another document may begin with the same bytes.
            if <[u8; 2]>::try_from(&len[..]).map(u16::from_le_bytes).ok() != Some(prefix.len() as u16) {
                continue;
            }
            let Some((document, stamp)) = names::of_version(&key[prefix.len()..]) else { continue };
            let at = self.version_at(store, document, stamp)?.filter(|it| it.head.id.stamp == stamp);
            found.extend(at.map(|record| Cause { document: document.to_vec(), id: record.head.id }));
        }
        Ok(found)
    }
}
