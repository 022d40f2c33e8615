//! `memory::embedder` and `memory::words` for Node.js. Texts cross as strings, vectors as one Float32Array.

use std::sync::{Arc, PoisonError, RwLock};

use napi::bindgen_prelude::{Float32Array, Uint32Array, spawn_blocking};
use napi_derive::napi;
use serde::Serialize;

use super::coded::Coded;
use crate::error::EngineError;
use crate::memory::embedder::Embedder;
use crate::memory::rag::{chunk, prompt};
use crate::memory::vectors::{Filter, Hit};
use crate::memory::words::{Fusion, Terms, Words, fuse, mmr};
use crate::options::from_json;

/// In the binary, so that it comes with the platform's package, is never of another version, and is found.
static TABLE: &[u8] = include_bytes!("../../embedding/table.bin");

/// The built-in embedder: a table in memory.
#[napi(js_name = "TextEmbedder")]
pub struct EmbedderHandle {
    embedder: Arc<Embedder>,
}

async fn behind<T: Send + 'static>(call: impl FnOnce() -> Result<T, EngineError> + Send + 'static) -> Coded<T> {
    Coded(spawn_blocking(call).await.unwrap_or_else(|panic| Err(EngineError::internal(&panic))))
}

#[napi]
impl EmbedderHandle {
    /// Reads the table that is part of this binary.
    #[napi]
    pub async fn open() -> Coded<EmbedderHandle> {
        behind(|| Ok(EmbedderHandle { embedder: Arc::new(Embedder::new(TABLE)?) })).await
    }

    #[napi(getter)]
    pub fn dimensions(&self) -> u32 {
        self.embedder.dimensions() as u32
    }

    /// The vectors of texts, of length 1, one after the other.
    #[napi]
    pub async fn embed(&self, texts: Vec<String>) -> Coded<Float32Array> {
        let embedder = Arc::clone(&self.embedder);
        behind(move || Ok(embedder.embed(texts.iter().map(String::as_str))?.into())).await
    }

    /// Where the pieces of a text end, in bytes of its UTF-8: what lengths in tokens are counted by.
    #[napi]
    pub async fn ends(&self, text: String) -> Coded<Uint32Array> {
        let embedder = Arc::clone(&self.embedder);
        behind(move || Ok(embedder.pieces(&text).into_iter().map(|(_, end)| end as u32).collect::<Vec<_>>().into()))
            .await
    }

    /// A document in chunks; `options` and the answer are JSON.
    #[napi]
    pub async fn chunks(&self, text: String, options: String) -> Coded<String> {
        let embedder = Arc::clone(&self.embedder);
        behind(move || told(&chunk(&text, &from_json(&options)?, |text| embedder.measure(text))?)).await
    }

    /// A prompt for a language model; `question` and the answer are JSON.
    #[napi]
    pub async fn prompt(&self, question: String) -> Coded<String> {
        let embedder = Arc::clone(&self.embedder);
        behind(move || told(&prompt(&from_json(&question)?, |text| embedder.pieces(text).len()))).await
    }
}

fn told(answer: &impl Serialize) -> Result<String, EngineError> {
    serde_json::to_string(answer).map_err(|error| EngineError::internal(&error))
}

/// What was found, best first.
#[napi(object)]
pub struct RankedHits {
    pub ids: Uint32Array,
    pub scores: Float32Array,
}

impl From<Vec<Hit>> for RankedHits {
    fn from(hits: Vec<Hit>) -> Self {
        let (ids, scores): (Vec<u32>, Vec<f32>) = hits.into_iter().map(|hit| (hit.id, hit.score)).unzip();
        RankedHits { ids: ids.into(), scores: scores.into() }
    }
}

/// A list to be brought together with others.
#[napi(object)]
pub struct WeightedHits {
    pub ids: Uint32Array,
    pub scores: Float32Array,
    pub weight: f64,
}

/// An index over the words of texts.
#[napi(js_name = "WordIndex")]
pub struct WordHandle {
    words: Arc<RwLock<Words>>,
}

#[napi]
impl WordHandle {
    /// Over groups of three letters, or over whole words.
    #[napi(constructor)]
    pub fn new(trigrams: bool) -> Self {
        let terms = if trigrams { Terms::Trigrams } else { Terms::Words };
        WordHandle { words: Arc::new(RwLock::new(Words::new(terms))) }
    }

    /// Takes texts, each with its id.
    #[napi]
    pub async fn put(&self, ids: Uint32Array, texts: Vec<String>) -> Coded<()> {
        let words = Arc::clone(&self.words);
        behind(move || {
            let mut words = words.write().unwrap_or_else(PoisonError::into_inner);
            ids.iter().zip(&texts).for_each(|(&id, text)| words.put(id, text));
            Ok(())
        })
        .await
    }

    /// Forgets texts; resolves to how many were there.
    #[napi]
    pub async fn remove(&self, ids: Uint32Array) -> Coded<u32> {
        let words = Arc::clone(&self.words);
        behind(move || {
            let mut words = words.write().unwrap_or_else(PoisonError::into_inner);
            Ok(ids.iter().filter(|&&id| words.remove(id)).count() as u32)
        })
        .await
    }

    /// The `k` texts that fit best, of all or of those with the ids.
    #[napi]
    pub async fn search(&self, text: String, k: u32, ids: Option<Uint32Array>) -> Coded<RankedHits> {
        let words = Arc::clone(&self.words);
        behind(move || {
            let filter = ids.as_deref().map_or(Filter::All, Filter::Ids);
            Ok(words.read().unwrap_or_else(PoisonError::into_inner).search(&text, k as usize, &filter).into())
        })
        .await
    }

    /// Texts in it.
    #[napi(getter)]
    pub fn size(&self) -> u32 {
        self.words.read().unwrap_or_else(PoisonError::into_inner).len() as u32
    }

    /// About the memory that it takes.
    #[napi(getter)]
    pub fn bytes(&self) -> i64 {
        self.words.read().unwrap_or_else(PoisonError::into_inner).bytes() as i64
    }
}

/// One list from several: by their scores, or by rank with a constant.
#[napi(catch_unwind)]
pub fn fuse_hits(lists: Vec<WeightedHits>, rank_constant: Option<f64>) -> RankedHits {
    let weighted: Vec<(f32, Vec<Hit>)> = lists
        .iter()
        .map(|list| {
            let pairs = list.ids.iter().zip(list.scores.iter());
            (list.weight as f32, pairs.map(|(&id, &score)| Hit { id, score }).collect())
        })
        .collect();
    let lists: Vec<(f32, &[Hit])> = weighted.iter().map(|(weight, hits)| (*weight, &hits[..])).collect();
    let fusion = rank_constant.map_or(Fusion::ZSum, |constant| Fusion::Rrf { constant: constant as f32 });
    fuse(&lists, fusion).into()
}

/// The places of `k` that fit and do not say the same again; vectors of length 1 lie one after the other.
#[napi(catch_unwind)]
pub fn diverse(relevance: Float32Array, vectors: Float32Array, balance: f64, k: u32) -> Uint32Array {
    let dimensions = (vectors.len() / relevance.len().max(1)).max(1);
    let rows: Vec<Vec<f32>> = vectors.chunks(dimensions).map(<[f32]>::to_vec).collect();
    let places = mmr(&relevance, &rows, balance as f32, k as usize);
    places.into_iter().map(|place| place as u32).collect::<Vec<_>>().into()
}
