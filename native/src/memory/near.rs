//! Vectors of documents, and the nearest of them.
//!
//! A vector is a document itself, in a namespace beside its document's: so it has history, and is copied and exported like any
//! other. The index over the vectors of a namespace is made by the first search, and before each search follows the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::database::{Database, Store};
use super::filter::Filter;
use super::vectors::{self, Metric, Search, Vectors, Way};
use super::{MemoryError, Result, changes, names};

/// A search as it crosses.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Near {
    namespace: String,
    /// Components as base64 of little-endian f32.
    vector: String,
    top_k: usize,
    #[serde(default)]
    metric: Metric,
    threshold: Option<f32>,
    /// Keys that begin so.
    #[serde(default)]
    prefix: String,
    /// What must hold for the metadata.
    filter: Option<Value>,
    /// What must hold for the document of the same key.
    documents: Option<Value>,
    model: Option<String>,
}

/// Many search at a time; one brings it what is new.
type Index = Arc<RwLock<Kept>>;

/// By namespace and metric.
#[derive(Default)]
pub(super) struct Indexes(Mutex<HashMap<(String, Metric), Index>>);

/// An index, and up to where in the log it knows.
#[derive(Default)]
struct Kept {
    /// None: not made yet.
    place: Option<u64>,
    /// None: there is no vector yet, so that nobody knows how many components they have.
    vectors: Option<Vectors>,
    model: String,
    ids: HashMap<String, u32>,
    /// By id; none where one was given up.
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
}

struct Row {
    key: String,
    metadata: Value,
}

/// The namespace of the vectors of a namespace's documents.
pub(super) fn beside(namespace: &str) -> String {
    format!("{namespace}#vectors")
}

impl Database {
    /// The nearest vectors, best first: as many as asked for wherever there are so many, whatever the filters leave.
    pub(super) fn nearest(&self, ask: &Near) -> Result<Value> {
        let vector =
            components(&ask.vector).ok_or_else(|| MemoryError::input("vector", "it is no base64 of floats"))?;
        let filter = ask.filter.as_ref().map(Filter::read).transpose()?;
        let documents = ask.documents.as_ref().map(Filter::read).transpose()?;
        let store = self.store()?;
        let kept = self.followed(&store, &ask.namespace, ask.metric)?;
        let kept = kept.read().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = &kept.vectors else { return Ok(json!({ "hits": [], "exact": true })) };
        if ask.model.as_ref().is_some_and(|model| *model != kept.model) {
            let problem = format!(
                "it is of model '{}', and those in '{}' are of '{}'; use one model for all",
                ask.model.as_deref().unwrap_or_default(),
                ask.namespace,
                kept.model
            );
            return Err(MemoryError::input("the vector", problem));
        }
        let all = ask.prefix.is_empty() && filter.is_none() && documents.is_none();
        let mut chosen = Vec::new();
        if !all {
            for (id, row) in kept.rows.iter().enumerate() {
                let Some(row) = row.as_ref().filter(|row| row.key.starts_with(&ask.prefix)) else { continue };
                if filter.as_ref().is_some_and(|filter| !filter.holds(&row.metadata)) {
                    continue;
                }
                if let Some(documents) = &documents {
                    let found = self.find(&store, &names::document(&ask.namespace, &row.key)?, None)?;
                    let value = found.and_then(|record| serde_json::from_str::<Value>(record.json()).ok());
                    if !value.is_some_and(|value| documents.holds(&value)) {
                        continue;
                    }
                }
                chosen.push(id as u32);
            }
        }
        let filter = if all { vectors::Filter::All } else { vectors::Filter::Ids(&chosen) };
        let found = index.search(&vector, &Search { k: ask.top_k, threshold: ask.threshold, filter })?;
        let rows = found.hits.iter().filter_map(|hit| {
            let row = kept.rows.get(hit.id as usize)?.as_ref()?;
            Some(json!({ "key": row.key, "score": hit.score, "metadata": row.metadata }))
        });
        Ok(json!({ "hits": rows.collect::<Vec<_>>(), "exact": found.way == Way::Exact }))
    }

    /// What the vectors of a namespace are: components and model, where there are any.
    pub(super) fn nearest_what(&self, namespace: &str) -> Result<Value> {
        let kept = self.followed(&*self.store()?, namespace, Metric::Cosine)?;
        let kept = kept.read().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.vectors.as_ref().map_or(Value::Null, |vectors| {
            json!({ "dimensions": vectors.options().dimensions, "model": kept.model, "vectors": kept.ids.len() })
        }))
    }

    /// The index of a namespace as of now.
    fn followed(&self, store: &Store, namespace: &str, metric: Metric) -> Result<Index> {
        let space = beside(namespace);
        let base = names::all(&space)?;
        let kept = {
            let mut all = self.near.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry((space, metric)).or_default())
        };
        {
            let mut index = kept.write().unwrap_or_else(PoisonError::into_inner);
            let known = index.place.filter(|&place| changes::trimmed(store).is_ok_and(|trimmed| place >= trimmed));
            let mut place = match known {
                Some(place) => place,
                // What it missed is not in the log any more.
                None => {
                    *index = Kept::default();
                    let place = self.published();
                    for row in store.documents.prefix(&base) {
                        self.note(store, &mut index, metric, &row?.0)?;
                    }
                    place
                }
            };
            while self.follow(store, &mut place, usize::MAX, |_, document| {
                if document.starts_with(&base) {
                    self.note(store, &mut index, metric, document)?;
                }
                Ok(true)
            })? {}
            index.place = Some(place);
        }
        Ok(kept)
    }

    /// Brings the index what a key has now.
    fn note(&self, store: &Store, kept: &mut Kept, metric: Metric, document: &[u8]) -> Result<()> {
        let Some((_, key)) = names::of_document(document) else { return Ok(()) };
        let found = self.find(store, document, None)?;
        match found.and_then(|record| serde_json::from_str::<Map<String, Value>>(record.json()).ok()) {
            Some(row) => kept.put(key, row, metric),
            None => kept.remove(key),
        }
        Ok(())
    }
}

impl Kept {
    /// What does not fit to the others was not put by the library, and is not found.
    fn put(&mut self, key: &str, mut row: Map<String, Value>, metric: Metric) {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let (model, vector) = (text(row.get("model")), components(&text(row.get("vector"))).unwrap_or_default());
        let metadata = row.remove("metadata").unwrap_or_default();
        if self.vectors.is_none() {
            let options = vectors::Options { metric, ..vectors::Options::new(vector.len()) };
            let Ok(made) = Vectors::new(options) else { return };
            (self.vectors, self.model) = (Some(made), model.clone());
        }
        let id = self.ids.get(key).copied().or_else(|| self.free.last().copied()).unwrap_or(self.rows.len() as u32);
        let fits = model == self.model && self.vectors.as_ref().is_some_and(|all| all.put(&[id], &vector, 0).is_ok());
        if !fits {
            self.remove(key);
            return self.forget();
        }
        if self.ids.insert(key.to_owned(), id).is_none() && self.free.pop().is_none() {
            self.rows.push(None);
        }
        self.rows[id as usize] = Some(Row { key: key.to_owned(), metadata });
    }

    fn remove(&mut self, key: &str) {
        let Some(id) = self.ids.remove(key) else { return };
        if let Some(vectors) = &self.vectors {
            vectors.remove(&[id], 0);
        }
        self.rows[id as usize] = None;
        self.free.push(id);
        self.forget();
    }

    /// Where no vector is left the next ones may be of another model.
    fn forget(&mut self) {
        if self.ids.is_empty() {
            *self = Kept { place: self.place, ..Kept::default() };
        }
    }
}

/// The floats of a base64 text.
pub(super) fn components(text: &str) -> Option<Vec<f32>> {
    let bytes = text.trim_end_matches('=').as_bytes();
    let mut raw = Vec::with_capacity(bytes.len() * 3 / 4);
    for four in bytes.chunks(4) {
        let mut bits = 0_u32;
        for &letter in four {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - four.len());
        raw.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    let (floats, rest) = raw.as_chunks::<4>();
    (rest.is_empty() && !floats.is_empty()).then(|| floats.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::components;

    #[test]
    fn floats_come_out_of_base64_as_they_went_in() {
        assert_eq!(components("AACAPw=="), Some(vec![1.0]));
        assert_eq!(components("AACAPwAAAMA="), Some(vec![1.0, -2.0]));
        assert_eq!(components("AACAPwAAAMAAAAAA"), Some(vec![1.0, -2.0, 0.0]));
        for wrong in ["", "AACA", "AACA?w==", "A"] {
            assert_eq!(components(wrong), None, "{wrong}");
        }
    }
}
