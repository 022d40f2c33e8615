//! `memory::vectors` for Node.js. Vectors cross as Float32Arrays that are only looked at; what is found comes back in
//! typed arrays, for all questions of a call.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{AsyncTask, Float32Array, Uint32Array, spawn_blocking};
use napi_derive::napi;

use super::coded::Coded;
use super::work::{Work, opened, work};
use crate::error::{EngineError, ErrorCode};
use crate::memory::vectors::{Filter, Opened, Options, Search, VectorError, Vectors, Way};
use crate::options::{from_json, to_json};

/// What was found, one question after the other.
#[napi(object)]
pub struct VectorHits {
    pub ids: Uint32Array,
    pub scores: Float32Array,
    /// So many of them for each question.
    pub counts: Uint32Array,
    /// Compared one by one, not through the graph.
    pub exact: bool,
}

/// How an index stands.
#[napi(object)]
pub struct VectorStats {
    pub vectors: i64,
    pub bytes: i64,
    pub linked: i64,
    pub to_link: i64,
    /// A search without a filter compares one by one.
    pub exact: bool,
    pub seq: i64,
}

/// An index over vectors.
#[napi(js_name = "VectorIndex")]
pub struct VectorHandle {
    vectors: Mutex<Option<Arc<Vectors>>>,
    rebuild: Option<String>,
    loaded: bool,
}

impl VectorHandle {
    fn get(&self) -> Result<Arc<Vectors>, EngineError> {
        let slot = self.vectors.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone().ok_or_else(|| EngineError {
            code: ErrorCode::Closed,
            message: "the vector index is closed; open it again".into(),
        })
    }

    /// Calls it where it may take its time.
    async fn call<T, E>(&self, call: impl FnOnce(&Vectors) -> Result<T, E> + Send + 'static) -> Coded<T>
    where
        T: Send + 'static,
        E: Into<EngineError> + Send + 'static,
    {
        let vectors = match self.get() {
            Ok(vectors) => vectors,
            Err(error) => return Coded(Err(error)),
        };
        let called = spawn_blocking(move || call(&vectors).map_err(Into::into));
        Coded(called.await.unwrap_or_else(|panic| Err(EngineError::internal(&panic))))
    }
}

#[napi]
impl VectorHandle {
    /// `options` is JSON: `memory.VectorOptions`. `path` is where it was saved, if it was.
    #[napi]
    pub async fn open(options: String, path: Option<String>) -> Coded<VectorHandle> {
        let opened = opened(move || {
            let options: Options = from_json(&options)?;
            Ok(match path {
                Some(path) => Vectors::open(Path::new(&path), options)?,
                None => (Vectors::new(options)?, Opened::New),
            })
        });
        Coded(opened.await.map(|(vectors, opened)| VectorHandle {
            vectors: Mutex::new(Some(Arc::new(vectors))),
            loaded: opened == Opened::Loaded,
            rebuild: if let Opened::Rebuild(why) = opened { Some(why) } else { None },
        }))
    }

    /// Whether it came from its file.
    #[napi(getter)]
    pub fn loaded(&self) -> bool {
        self.loaded
    }

    /// Why its file is of no use, where there is one: bring all vectors again.
    #[napi(getter)]
    pub fn rebuild(&self) -> Option<String> {
        self.rebuild.clone()
    }

    /// The options in force, as JSON.
    #[napi(catch_unwind)]
    pub fn options(&self) -> Coded<String> {
        Coded(self.get().and_then(|vectors| Ok(to_json(&vectors.options())?)))
    }

    /// Takes vectors, lying one after the other, all or none. The arrays must not change meanwhile.
    #[napi]
    pub async fn put(&self, ids: Uint32Array, vectors: Float32Array, seq: i64) -> Coded<()> {
        self.call(move |index| {
            index.put(&ids, &vectors, seq.max(0) as u64)?;
            index.link();
            Ok::<_, VectorError>(())
        })
        .await
    }

    /// Forgets vectors; resolves to how many were there.
    #[napi]
    pub async fn remove(&self, ids: Uint32Array, seq: i64) -> Coded<u32> {
        self.call(move |index| {
            let removed = index.remove(&ids, seq.max(0) as u64) as u32;
            index.link();
            Ok::<_, VectorError>(removed)
        })
        .await
    }

    /// The nearest `k` of each vector, of all or of those with the ids. The arrays must not change meanwhile.
    #[napi(ts_return_type = "Promise<Coded<VectorHits>>")]
    pub fn search(
        &self,
        vectors: Float32Array,
        k: u32,
        threshold: Option<f64>,
        ids: Option<Uint32Array>,
    ) -> AsyncTask<Work<VectorHits>> {
        // Let go before the call ends: the last one waits for the thread that links.
        let mut opened = Some(self.get());
        work(move || {
            let Some(index) = opened.take().transpose()? else { return Err(EngineError::internal(&"a search, twice")) };
            let dimensions = index.options().dimensions;
            if vectors.is_empty() || !vectors.len().is_multiple_of(dimensions) {
                return Err(VectorError::Dimensions { given: vectors.len(), wanted: dimensions }.into());
            }
            let (mut found_ids, mut scores, mut counts, mut exact) = (Vec::new(), Vec::new(), Vec::new(), true);
            for vector in vectors.chunks(dimensions) {
                let filter = ids.as_deref().map_or(Filter::All, Filter::Ids);
                let search = Search { k: k as usize, threshold: threshold.map(|least| least as f32), filter };
                let found = index.search(vector, &search)?;
                found_ids.extend(found.hits.iter().map(|hit| hit.id));
                scores.extend(found.hits.iter().map(|hit| hit.score));
                counts.push(found.hits.len() as u32);
                exact &= found.way == Way::Exact;
            }
            Ok(VectorHits { ids: found_ids.into(), scores: scores.into(), counts: counts.into(), exact })
        })
    }

    /// A vector as it is kept.
    #[napi(catch_unwind)]
    pub fn get_vector(&self, id: u32) -> Coded<Option<Float32Array>> {
        Coded(self.get().map(|vectors| vectors.get(id).map(Float32Array::from)))
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> Coded<VectorStats> {
        Coded(self.get().map(|vectors| {
            let stats = vectors.stats();
            VectorStats {
                vectors: stats.vectors as i64,
                bytes: stats.bytes as i64,
                linked: stats.linked as i64,
                to_link: stats.to_link as i64,
                exact: stats.way == Way::Exact,
                seq: stats.seq as i64,
            }
        }))
    }

    /// Resolves when the graph has all it should have.
    #[napi]
    pub async fn settle(&self) -> Coded<()> {
        self.call(|vectors| {
            vectors.settle();
            Ok::<_, VectorError>(())
        })
        .await
    }

    /// Writes it to a file, whole or not at all.
    #[napi]
    pub async fn save(&self, path: String) -> Coded<()> {
        self.call(move |vectors| vectors.save(Path::new(&path))).await
    }

    /// Resolves when it is let go. What was not saved is gone.
    #[napi]
    pub async fn close(&self) {
        let vectors = self.vectors.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last one to hold it waits for the thread that links.
        let _ = spawn_blocking(move || drop(vectors)).await;
    }
}
