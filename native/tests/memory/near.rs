//! Vectors of documents: searches that follow what is written.

use std::sync::Arc;

use millrace::error::{ErrorCode, HasCode};
use millrace::memory::{Database, Options};
use serde_json::{Value, json};

use crate::support::*;

const EAST: &str = "AACAPwAAAAA=";
const NORTH: &str = "AAAAAAAAgD8=";
const WEST: &str = "AACAvwAAAAA=";
const THREE: &str = "AACAPwAAAMAAAAAA";
const ZERO: &str = "AAAAAAAAAAA=";

fn keep(database: &Database, key: &str, vector: &str, metadata: Value) {
    let value = json!({"model": "m", "vector": vector, "metadata": metadata});
    write(database, json!([{"put": {"namespace": "n#vectors", "key": key, "value": value}}])).unwrap();
}

fn drop_vector(database: &Database, key: &str) {
    write(database, json!([{"delete": {"namespace": "n#vectors", "key": key}}])).unwrap();
}

fn near(vector: &str, more: Value) -> Value {
    let mut question = json!({"namespace": "n", "vector": vector, "topK": 10});
    question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "near": question })
}

fn found(database: &Arc<Database>, vector: &str, more: Value) -> Vec<String> {
    let answer = asked(database, near(vector, more));
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["key"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_search_follows_what_is_written() {
    let folder = Folder::new("near");
    let database = open(&folder);
    assert_eq!(found(&database, EAST, json!({})), [""; 0]);
    assert_eq!(asked(&database, json!({"nearWhat": "n"})), json!(null));
    keep(&database, "a", EAST, json!({"n": 1}));
    keep(&database, "b", NORTH, json!({"n": 2}));
    assert_eq!(found(&database, EAST, json!({})), ["a", "b"]);
    keep(&database, "a", WEST, json!({"n": 3}));
    assert_eq!(found(&database, EAST, json!({})), ["b", "a"]);
    let told = json!({"dimensions": 2, "model": "m", "vectors": 2});
    assert_eq!(asked(&database, json!({"nearWhat": "n"})), told);
    drop_vector(&database, "b");
    keep(&database, "c", EAST, json!(null));
    assert_eq!(found(&database, EAST, json!({})), ["c", "a"]);
    assert_eq!(found(&database, EAST, json!({"metric": "l2", "topK": 1})), ["c"]);
    drop_vector(&database, "a");
    drop_vector(&database, "c");
    // The next ones may be of another kind.
    keep(&database, "d", THREE, json!(null));
    assert_eq!(found(&database, THREE, json!({})), ["d"]);
}

#[test]
fn filters_choose_by_key_metadata_and_document() {
    let folder = Folder::new("near-filter");
    let database = open(&folder);
    for number in 0..60 {
        let key = format!("k{number:02}");
        keep(&database, &key, if number % 2 == 0 { EAST } else { NORTH }, json!({"n": number}));
        put(&database, &key, json!({"site": if number >= 50 { "far" } else { "near" }}));
    }
    delete(&database, "k58");
    let mut few = found(&database, EAST, json!({"filter": {"n": {"lt": 3}}}));
    assert_eq!(few.pop().as_deref(), Some("k01"));
    // Both are as near.
    few.sort();
    assert_eq!(few, ["k00", "k02"]);
    assert_eq!(found(&database, EAST, json!({"prefix": "k1", "topK": 1})).len(), 1);
    let far = found(&database, EAST, json!({"documents": {"site": "far"}}));
    assert_eq!(far.len(), 9);
    assert!(far.iter().all(|key| key.starts_with("k5") && key != "k58"), "{far:?}");
    assert_eq!(found(&database, EAST, json!({"threshold": 0.5, "topK": 100})).len(), 30);
}

#[test]
fn it_is_right_after_a_reopen_and_after_a_gap_in_the_log() {
    let folder = Folder::new("near-reopen");
    keep(&open(&folder), "a", EAST, json!(null));
    let database = Database::open(&folder.0, Options { changes_kept: 1, ..sync() }).unwrap();
    assert_eq!(found(&database, EAST, json!({})), ["a"]);
    for number in 0..5 {
        keep(&database, &format!("b{number}"), NORTH, json!(null));
    }
    asked(&database, json!({"compact": null}));
    assert_eq!(found(&database, EAST, json!({})).len(), 6);
}

#[test]
fn what_does_not_fit_is_refused_or_not_found() {
    let folder = Folder::new("near-wrong");
    let database = open(&folder);
    // None of them says of which kind the others are.
    keep(&database, "zero", ZERO, json!(null));
    keep(&database, "empty", "", json!(null));
    write(&database, json!([{"put": {"namespace": "n#vectors", "key": "text", "value": "x"}}])).unwrap();
    keep(&database, "a", EAST, json!(null));
    keep(&database, "three", THREE, json!(null));
    assert_eq!(found(&database, EAST, json!({"model": "m"})), ["a"]);
    keep(&database, "a", ZERO, json!(null));
    assert_eq!(found(&database, EAST, json!({})), [""; 0]);
    keep(&database, "a", EAST, json!(null));
    for question in [
        near("?", json!({})),
        near(THREE, json!({})),
        near(ZERO, json!({})),
        near(EAST, json!({"model": "other"})),
        near(EAST, json!({"filter": {"a": {"like": 1}}})),
    ] {
        assert_eq!(ask(&database, question.clone()).unwrap_err().code(), ErrorCode::InvalidInput, "{question}");
    }
}
