//! Chunks as they lie in the memory, each a document with its text: the words of all chunks of a namespace, in an index
//! that is made by the first question and before each follows the log; and what fits a question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::changes::Followed;
use super::super::database::{Database, Store};
use super::super::embeddings::components;
use super::super::filter::Filter;
use super::super::near::{Near, beside};
use super::super::rows::Rows;
use super::super::vectors::{self, Hit};
use super::super::words::{Fusion, Terms, Words, fuse, mmr};
use super::super::{MemoryError, Result, names};

/// So many times as many as are wanted are looked at, and at least so many.
const MORE: usize = 4;
const CANDIDATES: usize = 50;
const RANK_CONSTANT: f32 = 60.0;

/// A question for passages. With a vector beside its text both are looked for, and ranks decide.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retrieve {
    namespace: String,
    /// Whose words are looked for.
    text: Option<String>,
    model: Option<String>,
    top_k: usize,
    /// How much passages must differ from each other: 0 to 1.
    #[serde(default)]
    diversity: f32,
    /// What must hold for the metadata, where `source` is one of them.
    filter: Option<Value>,
}

/// Many search at a time; one brings it what is new.
type Index = Arc<RwLock<Followed<Kept>>>;

/// By namespace.
#[derive(Default)]
pub(in crate::memory) struct Passages(Mutex<HashMap<String, Index>>);

struct Kept {
    words: Words,
    rows: Rows,
}

impl Kept {
    fn new() -> Self {
        Kept { words: Words::new(Terms::Words), rows: Rows::default() }
    }
}

/// A passage that was found: its key, its score, and what that is made of.
struct Found {
    key: String,
    score: f32,
    similarity: Option<f32>,
    words: Option<f32>,
}

impl Database {
    /// The passages that fit best, best first.
    pub(in crate::memory) fn retrieve(&self, ask: &Retrieve, vector: Option<&[f32]>) -> Result<Value> {
        if !(0.0..=1.0).contains(&ask.diversity) {
            return Err(MemoryError::input("diversity", format!("{} is not from 0 to 1", ask.diversity)));
        }
        let many = ask.top_k.saturating_mul(MORE).max(CANDIDATES);
        let near = match vector {
            Some(vector) => self.by_meaning(ask, vector, many)?,
            None => Vec::new(),
        };
        let worded = match &ask.text {
            Some(text) => self.by_words(ask, text, many)?,
            None => Vec::new(),
        };
        let mut found = together(near, worded);
        if ask.diversity > 0.0 {
            found = self.varied(ask, found)?;
        }
        found.truncate(ask.top_k);
        let store = self.store()?;
        let mut told = Vec::with_capacity(found.len());
        for Found { key, score, similarity, words } in found {
            // What was deleted meanwhile is no passage any more.
            let Some(record) = self.find(&store, &names::document(&ask.namespace, &key)?, None)? else { continue };
            let Ok(Value::Object(mut passage)) = serde_json::from_str(record.json()) else { continue };
            passage.insert("key".into(), key.into());
            passage.insert("score".into(), score.into());
            passage.insert("why".into(), json!({ "similarity": similarity, "words": words }));
            told.push(Value::Object(passage));
        }
        Ok(told.into())
    }

    fn by_meaning(&self, ask: &Retrieve, vector: &[f32], many: usize) -> Result<Vec<(String, f32)>> {
        let near = Near {
            namespace: ask.namespace.clone(),
            top_k: many,
            model: ask.model.clone(),
            filter: ask.filter.clone(),
            ..Near::default()
        };
        let near = self.nearest(&near, vector)?;
        Ok(near.hits.into_iter().map(|hit| (hit.key, hit.score)).collect())
    }

    fn by_words(&self, ask: &Retrieve, text: &str, many: usize) -> Result<Vec<(String, f32)>> {
        let filter = ask.filter.as_ref().map(Filter::read).transpose()?;
        let index = self.worded(&*self.store()?, &ask.namespace)?;
        let kept = &index.read().unwrap_or_else(PoisonError::into_inner).kept;
        let holds = |id: u32| {
            let row = kept.rows.get(id);
            row.is_some_and(|row| filter.as_ref().is_none_or(|filter| filter.holds(&row.metadata)))
        };
        let hits = kept.words.search(text, many, &vectors::Filter::Test(&holds));
        Ok(hits.iter().filter_map(|hit| Some((kept.rows.get(hit.id)?.key.clone(), hit.score))).collect())
    }

    /// Those that do not say the same again first.
    fn varied(&self, ask: &Retrieve, found: Vec<Found>) -> Result<Vec<Found>> {
        let store = self.store()?;
        let best = found.first().map_or(1.0, |first| first.score).max(f32::MIN_POSITIVE);
        let relevance: Vec<f32> = found.iter().map(|it| it.score / best).collect();
        let mut all = Vec::with_capacity(found.len());
        for it in &found {
            let record = self.find(&store, &names::document(&beside(&ask.namespace), &it.key)?, None)?;
            let value = record.and_then(|record| serde_json::from_str::<Value>(record.json()).ok());
            let vector = value.and_then(|value| components(value["vector"].as_str()?)).unwrap_or_default();
            let length = vector.iter().map(|part| part * part).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            all.push(vector.into_iter().map(|part| part / length).collect::<Vec<_>>());
        }
        let order = mmr(&relevance, &all, 1.0 - ask.diversity, ask.top_k);
        let mut found: Vec<Option<Found>> = found.into_iter().map(Some).collect();
        Ok(order.into_iter().filter_map(|place| found[place].take()).collect())
    }

    /// The words of a namespace as of now.
    fn worded(&self, store: &Store, namespace: &str) -> Result<Index> {
        let base = names::all(namespace)?;
        let index = {
            let mut all = self.passages.0.lock().unwrap_or_else(PoisonError::into_inner);
            let made = || Arc::new(RwLock::new(Followed::new(Kept::new())));
            Arc::clone(all.entry(namespace.to_owned()).or_insert_with(made))
        };
        // Who only reads does not wait for others who do.
        if !self.is_new(&index.read().unwrap_or_else(PoisonError::into_inner)) {
            let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
            let note = |kept: &mut Kept, document: &[u8]| self.note_words(store, kept, document);
            self.catch_up(store, &mut index, &base, |kept| *kept = Kept::new(), note)?;
        }
        Ok(index)
    }

    /// Brings the index what a key has now, and says when that expires.
    fn note_words(&self, store: &Store, kept: &mut Kept, document: &[u8]) -> Result<Option<u64>> {
        let Some((_, key)) = names::of_document(document) else { return Ok(None) };
        let found = self.find(store, document, None)?;
        let expires = found.as_ref().and_then(|record| record.head.expires);
        match found.and_then(|record| serde_json::from_str::<Value>(record.json()).ok()) {
            Some(value) => kept.put(key, &value),
            None => kept.remove(key),
        }
        Ok(expires)
    }
}

impl Kept {
    /// What has no text is no passage.
    fn put(&mut self, key: &str, value: &Value) {
        let Some(text) = value["text"].as_str() else { return self.remove(key) };
        let headings = value["headings"].as_array().map_or(&[][..], |all| all).iter().filter_map(Value::as_str);
        let words: String = headings.flat_map(|heading| [heading, "\n"]).chain([text]).collect();
        let mut metadata = value["metadata"].as_object().cloned().unwrap_or_default();
        metadata.insert("source".into(), value["source"].clone());
        let id = self.rows.put(key, metadata.into());
        self.words.put(id, &words);
    }

    fn remove(&mut self, key: &str) {
        if let Some(id) = self.rows.remove(key) {
            self.words.remove(id);
        }
    }
}

/// One list: as it is where there is one, and by ranks where there are two.
fn together(near: Vec<(String, f32)>, worded: Vec<(String, f32)>) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::with_capacity(near.len() + worded.len());
    let mut places: HashMap<String, u32> = HashMap::new();
    let fused = !near.is_empty() && !worded.is_empty();
    let mut lists = [Vec::new(), Vec::new()];
    let both = near
        .into_iter()
        .map(|(key, score)| (0, key, score))
        .chain(worded.into_iter().map(|(key, score)| (1, key, score)));
    for (list, key, score) in both {
        let id = *places.entry(key.clone()).or_insert_with(|| {
            all.push(Found { key, score, similarity: None, words: None });
            all.len() as u32 - 1
        });
        let found = &mut all[id as usize];
        if list == 0 {
            found.similarity = Some(score)
        } else {
            found.words = Some(score)
        }
        lists[list].push(Hit { id, score });
    }
    if !fused {
        return all;
    }
    let order = fuse(&[(1.0, &lists[0]), (1.0, &lists[1])], Fusion::Rrf { constant: RANK_CONSTANT });
    let mut all: Vec<Option<Found>> = all.into_iter().map(Some).collect();
    let scored = |hit: Hit| all[hit.id as usize].take().map(|found| Found { score: hit.score, ..found });
    order.into_iter().filter_map(scored).collect()
}
