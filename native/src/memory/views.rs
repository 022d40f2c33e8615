//! Questions whose answers are kept. A view has the documents that its filter lets through, and a place in the
//! log; before it answers it follows the log, and looks only at what changed.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use serde_json::{Value, json};

use super::changes::Followed;
use super::database::{Database, Store, damaged};
use super::query::{Gather, Query, told};
use super::{MemoryError, Result, names};

/// By name.
#[derive(Default)]
pub(super) struct Views(BTreeMap<String, View>);

struct View {
    query: Query,
    passed: Followed<BTreeMap<String, Passed>>,
}

impl View {
    fn new(query: Query) -> View {
        View { query, passed: Followed::new(BTreeMap::new()) }
    }
}

/// A document that passed: version and time, value.
type Passed = ((String, f64), Value);

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
            views.0.insert(name, View::new(query));
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
        views.0.insert(name.into(), View::new(query));
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
        self.catch_up(&store, &mut view.passed, &prefix, BTreeMap::clear, |passed, document| {
            looked += 1;
            self.look(&store, &filter, passed, document)
        })?;
        let mut gather = filter;
        for (key, (record, value)) in &view.passed.kept {
            if !gather.push(key, record.clone(), value.clone()) {
                break;
            }
        }
        gather.finish(json!({ "view": name, "scanned": looked }))
    }

    /// Says when what passed expires.
    fn look(
        &self,
        store: &Store,
        filter: &Gather,
        all: &mut BTreeMap<String, Passed>,
        document: &[u8],
    ) -> Result<Option<u64>> {
        let Some((_, key)) = names::of_document(document) else { return Ok(None) };
        let found = self.find(store, document, None)?;
        let expires = found.as_ref().and_then(|it| it.head.expires);
        let passed = found.and_then(|it| Some((told(&it), serde_json::from_str::<Value>(it.json()).ok()?)));
        match passed.filter(|(_, value)| filter.holds(value)) {
            Some(row) => all.insert(key.into(), row),
            None => all.remove(key),
        };
        Ok(expires)
    }
}

fn unknown(name: &str) -> MemoryError {
    MemoryError::NotFound { what: "view", name: name.into() }
}
