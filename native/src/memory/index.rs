//! Secondary indexes: by namespace, path and value, the keys that have it. An index gives candidates, never
//! the answer: each is looked at again, so that it may be coarser than the values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use serde_json::Value;

use super::database::{Database, Store};
use super::filter::{Bound, Filter, Path, Test};
use super::record::Record;
use super::{MemoryError, Result, names};
use crate::kv::{Batch, Snapshot};

/// Paths that have an index, by namespace.
#[derive(Default)]
pub(super) struct Indexes(BTreeMap<String, BTreeSet<Path>>);

/// Longer texts are told apart by their beginning only.
const TEXT_MAX: usize = 256;
/// Of several indexes so many rows each are counted.
const LOOK: usize = 1_000;
/// So many rows of an index are written at a time.
const CHUNK: usize = 5_000;

fn definition(namespace: &str, path: &Path) -> Vec<u8> {
    [b"i", namespace.as_bytes(), b"\0", path.0.as_bytes()].concat()
}

fn base(namespace: &str, path: &Path) -> Vec<u8> {
    [namespace.as_bytes(), b"\0", path.0.as_bytes(), b"\0"].concat()
}

/// The value's bytes, which sort as the values do.
fn encoded(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => vec![1],
        Value::Bool(value) => vec![2 + u8::from(*value)],
        Value::Number(number) => {
            // Minus zero is zero.
            let bits = (number.as_f64().unwrap_or_default() + 0.0).to_bits();
            let sorted = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
            [&[4], sorted.to_be_bytes().as_slice()].concat()
        }
        Value::String(text) => {
            let mut bytes = vec![5];
            for &byte in &text.as_bytes()[..text.len().min(TEXT_MAX)] {
                bytes.push(byte);
                if byte == 0 {
                    bytes.push(0xff);
                }
            }
            bytes.extend_from_slice(&[0, 0]);
            bytes
        }
        Value::Array(_) | Value::Object(_) => vec![6],
    }
}

fn row(base: &[u8], value: &Value, key: &str) -> Vec<u8> {
    [base, &encoded(value), key.as_bytes()].concat()
}

/// How a query finds its candidates.
pub(super) struct Plan {
    /// The path whose index it uses.
    pub path: String,
    /// Parts of the index, from and to, both inclusive.
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Indexes {
    pub fn read_all(store: &Store) -> Result<Indexes> {
        let mut all = Indexes::default();
        for row in store.meta.prefix(b"i") {
            let (key, _) = row?;
            if let Some((namespace, path)) = names::of_document(&key[1..]) {
                all.0.entry(namespace.into()).or_default().insert(Path(path.into()));
            }
        }
        Ok(all)
    }

    /// Adds to a commit what a new version changes.
    pub fn stage(&self, store: &Store, batch: &mut Batch, document: &[u8], old: Option<&Record>, new: &Record) {
        let Some((namespace, key)) = names::of_document(document) else { return };
        let Some(paths) = self.0.get(namespace) else { return };
        let value = |record: &Record| serde_json::from_str::<Value>(record.json()).ok();
        let (old, new) = (old.and_then(value), value(new));
        for path in paths {
            let [before, after] = [&old, &new].map(|value| {
                let found = value.as_ref().and_then(|value| path.of(value));
                found.map(|found| row(&base(namespace, path), found, key))
            });
            if before == after {
                continue;
            }
            if let Some(before) = before {
                batch.remove(&store.indexes, before);
            }
            if let Some(after) = after {
                batch.put(&store.indexes, after, key.as_bytes());
            }
        }
    }

    /// The indexes that narrow a filter, first those that most likely do it most.
    pub fn plans(&self, namespace: &str, filter: &Filter) -> Vec<Plan> {
        let Some(paths) = self.0.get(namespace) else { return Vec::new() };
        let required = filter.required();
        let usable = |(path, _): &&(&Path, &Test)| paths.contains(*path);
        let plans = required.iter().filter(usable).filter_map(|&(path, test)| {
            let base = base(namespace, path);
            let one = |value: &Value| {
                let from = [base.as_slice(), &encoded(value)].concat();
                let to = names::behind(&from).unwrap_or_default();
                (from, to)
            };
            let (rank, ranges) = match test {
                // What is not there has no row.
                Test::Eq(value) if !value.is_null() => (0, vec![one(value)]),
                Test::In(values) if !values.iter().any(Value::is_null) => (1, values.iter().map(one).collect()),
                Test::Order(..) => (2, vec![range(&base, path, &required)?]),
                _ => return None,
            };
            Some((rank, Plan { path: path.0.clone(), ranges }))
        });
        let mut plans: Vec<(u8, Plan)> = plans.collect();
        plans.sort_by_key(|(rank, _)| *rank);
        plans.into_iter().map(|(_, plan)| plan).collect()
    }

    /// Paths of a namespace.
    pub fn of(&self, namespace: &str) -> Vec<String> {
        self.0.get(namespace).map_or_else(Vec::new, |paths| paths.iter().map(|path| path.0.clone()).collect())
    }
}

/// All orders on a path together.
fn range(base: &[u8], path: &Path, required: &[(&Path, &Test)]) -> Option<(Vec<u8>, Vec<u8>)> {
    let orders = required.iter().filter_map(|(other, test)| match test {
        Test::Order(bound, value) if *other == path => Some((*bound, value)),
        _ => None,
    });
    let (mut kind, mut low, mut high) = (None, None::<Vec<u8>>, None::<Vec<u8>>);
    for (bound, value) in orders {
        let bytes = encoded(value);
        let (first, key) = (*bytes.first()?, [base, bytes.as_slice()].concat());
        if *kind.get_or_insert(first) != first {
            return None;
        }
        match bound {
            Bound::Gt | Bound::Gte => low = Some(low.map_or(key.clone(), |low| low.max(key))),
            Bound::Lt | Bound::Lte => {
                let end = names::behind(&key)?;
                high = Some(high.map_or(end.clone(), |high| high.min(end)));
            }
        }
    }
    let edge = |kind: u8| [base, &[kind]].concat();
    Some((low.unwrap_or(edge(kind?)), high.unwrap_or(edge(kind? + 1))))
}

impl Plan {
    /// The one with the fewest rows, as far as a look at each tells: of those with many the first.
    pub fn narrowest(plans: Vec<Plan>, store: &Store, snapshot: &Snapshot) -> Result<Option<Plan>> {
        let several = plans.len() > 1;
        let mut best: Option<(usize, Plan)> = None;
        for plan in plans {
            let most = best.as_ref().map_or(LOOK, |(least, _)| *least);
            let count = if several { plan.count(store, snapshot, most)? } else { 0 };
            if best.as_ref().is_none_or(|(least, _)| count < *least) {
                best = Some((count, plan));
            }
        }
        Ok(best.map(|(_, plan)| plan))
    }

    /// Its rows, or so many where there are more.
    fn count(&self, store: &Store, snapshot: &Snapshot, most: usize) -> Result<usize> {
        let mut count = 0;
        for (from, to) in self.ranges.iter().filter(|(from, to)| from <= to) {
            for row in snapshot.range(&store.indexes, from.clone()..=to.clone()).take(most - count) {
                row?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// The keys that may do, in their order, each once.
    pub fn candidates(&self, store: &Store, snapshot: &Snapshot) -> Result<BTreeSet<String>> {
        let mut keys = BTreeSet::new();
        for (from, to) in self.ranges.iter().filter(|(from, to)| from <= to) {
            for row in snapshot.range(&store.indexes, from.clone()..=to.clone()) {
                let (_, key) = row?;
                keys.insert(String::from_utf8_lossy(&key).into_owned());
            }
        }
        Ok(keys)
    }
}

impl Database {
    /// Makes an index. Writes wait until it is made.
    pub fn create_index(&self, namespace: &str, path: &str) -> Result<()> {
        if path.is_empty() || path.len() > 256 || path.contains('\0') {
            return Err(MemoryError::input(format!("path '{path}'"), "it is no path of an index"));
        }
        let store = self.store()?;
        let all = names::all(namespace)?;
        let path = Path(path.into());
        let _still = self.still();
        let base = base(namespace, &path);
        let mut batch = store.kv.batch();
        for found in store.documents.prefix(&all) {
            let (document, bytes) = found?;
            let record = Record::read(bytes).map_err(|_| super::read::damaged(&document))?;
            let value = serde_json::from_str::<Value>(record.json()).ok();
            if let (Some(value), Some((_, key))) =
                (value.as_ref().and_then(|value| path.of(value)), names::of_document(&document))
            {
                batch.put(&store.indexes, row(&base, value, key), key.as_bytes());
            }
            if batch.len() >= CHUNK {
                std::mem::replace(&mut batch, store.kv.batch()).commit()?;
            }
        }
        batch.put(&store.meta, definition(namespace, &path), [1]);
        batch.commit()?;
        let mut indexes = self.indexes.write().unwrap_or_else(PoisonError::into_inner);
        indexes.0.entry(namespace.into()).or_default().insert(path);
        Ok(())
    }

    /// Drops an index.
    pub fn drop_index(&self, namespace: &str, path: &str) -> Result<()> {
        let store = self.store()?;
        let path = Path(path.into());
        let _still = self.still();
        let known = {
            let mut indexes = self.indexes.write().unwrap_or_else(PoisonError::into_inner);
            indexes.0.get_mut(namespace).is_some_and(|paths| paths.remove(&path))
        };
        if !known {
            return Err(MemoryError::NotFound { what: "index", name: path.0 });
        }
        let mut batch = store.kv.batch();
        batch.remove(&store.meta, definition(namespace, &path));
        for found in store.indexes.prefix(&base(namespace, &path)) {
            batch.remove(&store.indexes, found?.0);
            if batch.len() >= CHUNK {
                std::mem::replace(&mut batch, store.kv.batch()).commit()?;
            }
        }
        Ok(batch.commit()?)
    }
}
