use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millrace::error::{ErrorCode, HasCode};
use millrace::memory::ask::Ask;
use millrace::memory::{Database, Durability, MemoryError, Options};
use serde_json::{Value, json};

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("millrace-memory-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn sync() -> Options {
    Options { durability: Durability::Sync, memory_bytes: 8 << 20, ..Options::default() }
}

/// Where one was dropped and not closed, the thread that tends it may be the last who has it: that closes it then.
pub fn open(folder: &Folder) -> Arc<Database> {
    for _ in 0..500 {
        match Database::open(&folder.0, sync()) {
            Err(error) if error.code() == ErrorCode::StoreLocked => std::thread::sleep(Duration::from_millis(20)),
            opened => return opened.unwrap(),
        }
    }
    panic!("{} stays locked", folder.0.display());
}

/// One atomic request, given as JSON: `[version, previous]` of each operation.
pub fn write(database: &Database, request: Value) -> Result<Vec<[Option<String>; 2]>, MemoryError> {
    let (outcomes, mut failures) = database.write_text(database.place(), &json!([request]).to_string())?;
    match failures.pop() {
        Some((_, error)) => Err(error),
        None => Ok(serde_json::from_str::<Vec<_>>(&outcomes).unwrap().remove(0)),
    }
}

pub fn put(database: &Database, key: &str, value: Value) -> String {
    let request = json!([{"put": {"namespace": "n", "key": key, "value": value}}]);
    write(database, request).unwrap().remove(0)[0].clone().unwrap()
}

pub fn delete(database: &Database, key: &str) -> Option<String> {
    write(database, json!([{"delete": {"namespace": "n", "key": key}}])).unwrap().remove(0)[0].clone()
}

pub fn get(database: &Database, key: &str) -> Option<Value> {
    match database.get("n", key, None) {
        Ok(json) => Some(serde_json::from_str(&json).unwrap()),
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::KeyNotFound);
            None
        }
    }
}

/// A `vector` in the question is an array, and crosses beside it.
pub fn ask(database: &Arc<Database>, mut question: Value) -> Result<Value, MemoryError> {
    let asked = question.as_object_mut().and_then(|question| question.values_mut().next()?.as_object_mut());
    let vector = asked.and_then(|asked| asked.remove("vector"));
    let vector: Option<Vec<f32>> = vector.map(|vector| serde_json::from_value(vector).unwrap());
    let ask: Ask = serde_json::from_value(question).unwrap();
    Ok(serde_json::from_str(&database.ask(ask, vector.as_deref())?).unwrap())
}

/// Keeps the vector of a document.
pub fn embed(database: &Database, about: Value, vector: &[f32]) -> Result<(), MemoryError> {
    let (_, mut failures) = database.embed_text(&json!([about]).to_string(), &[vector])?;
    failures.pop().map_or(Ok(()), |(_, error)| Err(error))
}

pub fn asked(database: &Arc<Database>, question: Value) -> Value {
    ask(database, question).unwrap()
}

pub fn keys(database: &Database) -> Vec<String> {
    database.keys("n", "", None, usize::MAX).unwrap().keys
}

pub fn code<T>(result: Result<T, MemoryError>) -> ErrorCode {
    result.err().expect("it should fail").code()
}

/// A small random source with a seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
