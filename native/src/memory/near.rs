//! Vectors of documents, and the nearest of them.
//!
//! A vector is a document itself, in a namespace beside its document's: so it has history, and is copied and exported like any
//! other. The index over the vectors of a namespace is made by the first search, and before each search follows the log. So does
//! the index over the words of their texts, once a search asked for words, too. A search of the past looks at what there was, one by one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::changes::Followed;
use super::database::{Database, Store};
use super::embeddings::components;
use super::filter::Filter;
use super::read::At;
use super::rows::{Row, Rows};
use super::vectors::{self, Hit, Metric, Search, Storage, VectorError, Vectors, Way};
use super::words::{Fusion, Terms, Words, fuse};
use super::{MemoryError, Result, names};

/// How the indexes of vectors are kept in memory. The vectors in the store are whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VectorOptions {
    /// Fewer bytes for rounded scores.
    pub storage: Storage,
    /// The most memory that the index of a namespace takes.
    pub max_bytes: u64,
}

impl Default for VectorOptions {
    fn default() -> Self {
        let vectors::Options { storage, max_bytes, .. } = vectors::Options::new(1);
        VectorOptions { storage, max_bytes }
    }
}

/// A search as it crosses.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Near {
    pub(super) namespace: String,
    pub(super) top_k: usize,
    #[serde(default)]
    pub(super) metric: Metric,
    pub(super) threshold: Option<f32>,
    /// Keys that begin so.
    #[serde(default)]
    pub(super) prefix: String,
    /// What must hold for the metadata.
    pub(super) filter: Option<Value>,
    /// What must hold for the document of the same key.
    pub(super) documents: Option<Value>,
    pub(super) model: Option<String>,
    /// Words count, too.
    pub(super) words: Option<Wanted>,
    /// As it was at a time, in milliseconds.
    pub(super) as_of: Option<f64>,
}

/// What words are looked for, and how much they count beside the vector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    text: String,
    weight: f32,
}

/// What a search found.
#[derive(Debug, Serialize)]
pub(super) struct Nearest {
    /// Best first.
    pub hits: Vec<NearHit>,
    exact: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct NearHit {
    pub key: String,
    pub score: f32,
    /// Its share of the score, where words count, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    near: Option<f32>,
    /// As `near`; the best has 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<f32>,
    metadata: Value,
}

/// Many search at a time; one brings it what is new.
type Index = Arc<RwLock<Followed<Kept>>>;

/// By namespace and metric.
#[derive(Default)]
pub(super) struct Indexes(Mutex<HashMap<(String, Metric), Index>>);

struct Kept {
    options: vectors::Options,
    /// None: there is no vector yet, so that nobody knows how many components they have.
    vectors: Option<Vectors>,
    /// None: nobody asked for words yet.
    words: Option<Words>,
    model: String,
    rows: Rows,
}

/// What a search by words adds to a finding.
struct Both {
    fused: Hit,
    near: f32,
    /// Of the best, which has 1.
    words: f32,
}

/// Of each kind so many are brought together at least.
const CANDIDATES: usize = 100;

/// The namespace of the vectors of a namespace's documents.
pub(super) fn beside(namespace: &str) -> String {
    format!("{namespace}#vectors")
}

impl Database {
    /// The nearest vectors, best first: as many as asked for wherever there are so many, whatever the filters leave.
    pub(super) fn nearest(&self, ask: &Near, vector: &[f32]) -> Result<Nearest> {
        let at = ask.as_of.map(At::from_ms).transpose()?;
        let store = self.store()?;
        let index = match at {
            None => self.followed(&store, &ask.namespace, ask.metric, ask.words.is_some())?,
            Some(_) => Arc::new(RwLock::new(Followed::new(self.past(&store, ask, at)?))),
        };
        let index = index.read().unwrap_or_else(PoisonError::into_inner);
        let kept = &index.kept;
        let Some(vectors) = &kept.vectors else { return Ok(Nearest { hits: Vec::new(), exact: true }) };
        if ask.model.as_ref().is_some_and(|model| *model != kept.model) {
            let problem = format!(
                "it is of model '{}', and those in '{}' are of '{}'; use one model for all",
                ask.model.as_deref().unwrap_or_default(),
                ask.namespace,
                kept.model
            );
            return Err(MemoryError::input("the vector", problem));
        }
        let chosen = self.chosen(&store, kept, ask, at)?;
        let filter = || chosen.as_ref().map_or(vectors::Filter::All, |ids| vectors::Filter::Ids(ids));
        if let Some(wanted) = &ask.words {
            let hits = both(kept, vectors, vector, ask, wanted, filter)?;
            let told = |it: Both| kept.told(it.fused, Some(it.near), Some(it.words));
            return Ok(Nearest { hits: hits.into_iter().filter_map(told).collect(), exact: false });
        }
        let found = vectors.search(vector, &Search { k: ask.top_k, threshold: ask.threshold, filter: filter() })?;
        let hits = found.hits.into_iter().filter_map(|hit| kept.told(hit, None, None)).collect();
        Ok(Nearest { hits, exact: found.way == Way::Exact })
    }

    /// The ids that pass the filters; none: there is no filter.
    fn chosen(&self, store: &Store, kept: &Kept, ask: &Near, at: Option<At>) -> Result<Option<Vec<u32>>> {
        let filter = ask.filter.as_ref().map(Filter::read).transpose()?;
        let documents = ask.documents.as_ref().map(Filter::read).transpose()?;
        if ask.prefix.is_empty() && filter.is_none() && documents.is_none() {
            return Ok(None);
        }
        let mut chosen = Vec::new();
        for (id, row) in kept.rows.iter().filter(|(_, row)| row.key.starts_with(&ask.prefix)) {
            if filter.as_ref().is_some_and(|filter| !filter.holds(&row.metadata)) {
                continue;
            }
            if let Some(documents) = &documents {
                let found = self.find(store, &names::document(&ask.namespace, &row.key)?, at)?;
                let value = found.and_then(|record| serde_json::from_str::<Value>(record.json()).ok());
                if !value.is_some_and(|value| documents.holds(&value)) {
                    continue;
                }
            }
            chosen.push(id);
        }
        Ok(Some(chosen))
    }

    /// What the vectors of a namespace are, where there are any, and whether a search without a filter compares one by one.
    pub(super) fn nearest_what(&self, namespace: &str) -> Result<Value> {
        let index = self.followed(&*self.store()?, namespace, Metric::Cosine, false)?;
        let kept = &index.read().unwrap_or_else(PoisonError::into_inner).kept;
        Ok(kept.vectors.as_ref().map_or(Value::Null, |vectors| {
            let (dimensions, exact) = (vectors.options().dimensions, vectors.stats().way == Way::Exact);
            json!({ "dimensions": dimensions, "model": kept.model, "vectors": kept.rows.len(), "exact": exact })
        }))
    }

    /// The index of a namespace as of now.
    fn followed(&self, store: &Store, namespace: &str, metric: Metric, words: bool) -> Result<Index> {
        let space = beside(namespace);
        let base = names::all(&space)?;
        let index = {
            let mut all = self.near.0.lock().unwrap_or_else(PoisonError::into_inner);
            let made = || Arc::new(RwLock::new(Followed::new(Kept::new(self.options.vectors, metric))));
            Arc::clone(all.entry((space.clone(), metric)).or_insert_with(made))
        };
        // Who only reads does not wait for others who do.
        let serves = |index: &Followed<Kept>| self.is_new(index) && (index.kept.words.is_some() || !words);
        if serves(&index.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(index);
        }
        {
            let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
            let note = |kept: &mut Kept, document: &[u8]| self.note(store, kept, document, None);
            let caught_up = self.catch_up(store, &mut index, &base, Kept::clear, note);
            index.kept.vectors.iter().for_each(Vectors::link);
            caught_up?;
            if words && index.kept.words.is_none() {
                index.kept.words = Some(self.words_of(store, &space, &index.kept)?);
            }
        }
        Ok(index)
    }

    /// The words of all texts whose vectors are in the index.
    fn words_of(&self, store: &Store, space: &str, index: &Kept) -> Result<Words> {
        let mut words = Words::new(Terms::Trigrams);
        for (id, Row { key, .. }) in index.rows.iter() {
            let found = self.find(store, &names::document(space, key)?, None)?;
            let row = found.and_then(|record| serde_json::from_str::<Value>(record.json()).ok());
            words.put(id, row.as_ref().and_then(|row| row["text"].as_str()).unwrap_or_default());
        }
        Ok(words)
    }

    /// An index of what there was at a time.
    fn past(&self, store: &Store, ask: &Near, at: Option<At>) -> Result<Kept> {
        let mut kept = Kept::new(self.options.vectors, ask.metric);
        kept.options.exact_up_to = usize::MAX;
        kept.words = ask.words.is_some().then(|| Words::new(Terms::Trigrams));
        for row in store.documents.prefix(&names::all(&beside(&ask.namespace))?) {
            self.note(store, &mut kept, &row?.0, at)?;
        }
        Ok(kept)
    }

    /// Brings the index what a key has, and says when that expires.
    fn note(&self, store: &Store, kept: &mut Kept, document: &[u8], at: Option<At>) -> Result<Option<u64>> {
        let Some((_, key)) = names::of_document(document) else { return Ok(None) };
        let found = self.find(store, document, at)?;
        let expires = found.as_ref().and_then(|record| record.head.expires);
        match found.and_then(|record| serde_json::from_str::<Map<String, Value>>(record.json()).ok()) {
            Some(row) => kept.put(key, row)?,
            None => kept.remove(key),
        }
        Ok(expires)
    }
}

/// What is near, and what has the words, in one order. Of both kinds the best are looked at in both ways.
fn both<'a>(
    kept: &Kept,
    vectors: &Vectors,
    vector: &[f32],
    ask: &Near,
    wanted: &Wanted,
    filter: impl Fn() -> vectors::Filter<'a>,
) -> Result<Vec<Both>> {
    if ask.threshold.is_some() || ask.metric == Metric::L2 {
        return Err(MemoryError::input("words", "they go with cosine or dot, and without a threshold"));
    }
    if !(wanted.weight.is_finite() && wanted.weight > 0.0) {
        return Err(MemoryError::input("words", format!("weight {}; it must be more than 0", wanted.weight)));
    }
    let Some(words) = &kept.words else { return Ok(Vec::new()) };
    let k = CANDIDATES.max(ask.top_k.saturating_mul(4));
    let near = vectors.search(vector, &Search { k, threshold: None, filter: filter() })?.hits;
    let mut ids: Vec<u32> = near.iter().chain(&words.search(&wanted.text, k, &filter())).map(|hit| hit.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let of_these = || vectors::Filter::Ids(&ids);
    let near = vectors.search(vector, &Search { k: ids.len(), threshold: None, filter: of_these() })?.hits;
    let said = words.search(&wanted.text, ids.len(), &of_these());
    let best = said.first().map_or(1.0, |hit| hit.score);
    let shares: HashMap<u32, f32> = said.iter().map(|hit| (hit.id, hit.score / best)).collect();
    let nearness: HashMap<u32, f32> = near.iter().map(|hit| (hit.id, hit.score)).collect();
    let fused = fuse(&[(1.0, &near), (wanted.weight, &said)], Fusion::ZSum);
    Ok(fused
        .into_iter()
        .take(ask.top_k)
        .map(|fused| Both {
            near: nearness.get(&fused.id).copied().unwrap_or_default(),
            words: shares.get(&fused.id).copied().unwrap_or_default(),
            fused,
        })
        .collect())
}

impl Kept {
    fn new(VectorOptions { storage, max_bytes }: VectorOptions, metric: Metric) -> Self {
        Kept {
            options: vectors::Options { metric, storage, max_bytes, ..vectors::Options::new(1) },
            vectors: None,
            words: None,
            model: String::new(),
            rows: Rows::default(),
        }
    }

    fn told(&self, hit: Hit, near: Option<f32>, words: Option<f32>) -> Option<NearHit> {
        let Row { key, metadata } = self.rows.get(hit.id)?;
        Some(NearHit { key: key.clone(), score: hit.score, near, words, metadata: metadata.clone() })
    }

    /// What does not fit to the others was not put by the library, and is not found.
    fn put(&mut self, key: &str, mut row: Map<String, Value>) -> Result<()> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let (model, vector) = (text(row.get("model")), components(&text(row.get("vector"))).unwrap_or_default());
        let metadata = row.remove("metadata").unwrap_or_default();
        if self.vectors.is_none() {
            let options = vectors::Options { dimensions: vector.len(), ..self.options.clone() };
            let Ok(made) = Vectors::new(options) else { return Ok(()) };
            (self.vectors, self.model) = (Some(made), model.clone());
        }
        let id = self.rows.place(key);
        let fits = match &self.vectors {
            Some(all) if model == self.model => match all.put(&[id], &vector, 0) {
                // To leave some out would be a wrong answer.
                Err(full @ VectorError::Full { .. }) => return Err(full.into()),
                answer => answer.is_ok(),
            },
            _ => false,
        };
        if !fits {
            self.remove(key);
            self.forget();
            return Ok(());
        }
        self.rows.put(key, metadata);
        if let Some(words) = &mut self.words {
            words.put(id, &text(row.get("text")));
        }
        Ok(())
    }

    fn remove(&mut self, key: &str) {
        let Some(id) = self.rows.remove(key) else { return };
        if let Some(vectors) = &self.vectors {
            vectors.remove(&[id], 0);
        }
        if let Some(words) = &mut self.words {
            words.remove(id);
        }
        self.forget();
    }

    /// Where no vector is left the next ones may be of another model.
    fn forget(&mut self) {
        if self.rows.len() == 0 {
            self.clear();
        }
    }

    fn clear(&mut self) {
        (self.vectors, self.model, self.rows) = (None, String::new(), Rows::default());
        self.words = self.words.as_ref().map(|_| Words::new(Terms::Trigrams));
    }
}
