//! Questions whose answers are kept. A view has the documents that its filter lets through, and a place in the
//! log; before it answers it follows the log, and looks only at what changed.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use serde_json::{Value, json};

use super::database::{Database, Store, damaged, now};
use super::query::{Gather, Query, told};
use super::{MemoryError, Result, changes, names};

/// By name.
#[derive(Default)]
pub(super) struct Views(BTreeMap<String, View>);

struct View {
    query: Query,
    /// None: not built since the start.
    kept: Option<Kept>,
}

/// A document that passed: version and time, when it expires, value.
type Passed = ((String, f64), Option<u64>, Value);

struct Kept {
    rows: BTreeMap<String, Passed>,
    place: u64,
}

fn definition(name: &str) -> Vec<u8> {
    [b"v", name.as_bytes()].concat()
}

impl Views {
    pub fn read_all(store: &Store) -> Result<Views> {
        let mut views = Views::default();
        for row in store.meta.prefix(b"v") {
            let (key, value) = row?;
            let name = String::from_utf8_lossy(&key[1..]).into_owned();
            let query = serde_json::from_slice(&value).map_err(|_| damaged("a view"))?;
            views.0.insert(name, View { query, kept: None });
        }
        Ok(views)
    }
}

impl Database {
    /// Keeps a question under a name; replaces one of the same name.
    pub fn create_view(&self, name: &str, query: Query) -> Result<()> {
        if name.is_empty() || name.len() > 256 {
            return Err(MemoryError::input(format!("view '{name}'"), "its name has 1 to 256 bytes"));
        }
        if query.as_of.is_some() || query.after.is_some() {
            return Err(MemoryError::input(format!("view '{name}'"), "asOf and after are not for views"));
        }
        names::all(&query.namespace)?;
        Gather::new(query.clone())?;
        let store = self.store()?;
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = store.kv.batch();
        batch.put(&store.meta, definition(name), serde_json::to_vec(&query).unwrap_or_default());
        batch.commit()?;
        views.0.insert(name.into(), View { query, kept: None });
        Ok(())
    }

    /// Forgets a view.
    pub fn drop_view(&self, name: &str) -> Result<()> {
        let store = self.store()?;
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.0.remove(name).ok_or_else(|| unknown(name))?;
        let mut batch = store.kv.batch();
        batch.remove(&store.meta, definition(name));
        Ok(batch.commit()?)
    }

    /// Names and questions.
    pub fn views(&self) -> Value {
        let views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.0.iter().map(|(name, view)| json!({ "name": name, "query": view.query })).collect()
    }

    /// The answer as it is now. The plan tells how many documents were looked at for it.
    pub fn view(&self, name: &str) -> Result<Value> {
        let store = self.store()?;
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let view = views.0.get_mut(name).ok_or_else(|| unknown(name))?;
        let mut looked = 0_usize;
        let filter = Gather::new(view.query.clone())?;
        let base = names::all(&view.query.namespace)?;
        let prefix = [base.as_slice(), view.query.prefix.as_bytes()].concat();
        let trimmed = changes::trimmed(&store)?;
        let kept = match view.kept.take() {
            Some(kept) if kept.place >= trimmed => view.kept.insert(kept),
            // What it missed is not in the log any more.
            _ => {
                let mut kept = Kept { rows: BTreeMap::new(), place: self.published() };
                for row in store.documents.prefix(&prefix) {
                    looked += 1;
                    self.look(&store, &filter, &mut kept, &row?.0)?;
                }
                view.kept.insert(kept)
            }
        };
        let mut place = kept.place;
        while self.follow(&store, &mut place, usize::MAX, |_, document| {
            if document.starts_with(&prefix) {
                looked += 1;
                self.look(&store, &filter, kept, document)?;
            }
            Ok(true)
        })? {}
        kept.place = place;
        let mut gather = filter;
        let now = now();
        for (key, (record, expires, value)) in &kept.rows {
            let alive = expires.is_none_or(|expires| expires > now);
            if alive && !gather.push(key, record.clone(), value.clone()) {
                break;
            }
        }
        gather.finish(json!({ "view": name, "scanned": looked }))
    }

    fn look(&self, store: &Store, filter: &Gather, kept: &mut Kept, document: &[u8]) -> Result<()> {
        let Some((_, key)) = names::of_document(document) else { return Ok(()) };
        let found = self.find(store, document, None)?;
        let passed =
            found.and_then(|it| Some((told(&it), it.head.expires, serde_json::from_str::<Value>(it.json()).ok()?)));
        match passed.filter(|(_, _, value)| filter.holds(value)) {
            Some(row) => kept.rows.insert(key.into(), row),
            None => kept.rows.remove(key),
        };
        Ok(())
    }
}

fn unknown(name: &str) -> MemoryError {
    MemoryError::NotFound { what: "view", name: name.into() }
}
