//! Passages: chunks that lie in the memory, found by meaning, by words, and by both.

use std::path::Path;
use std::sync::Arc;

use millrace::error::ErrorCode;
use millrace::memory::Database;
use millrace::memory::embedder::Embedder;
use millrace::memory::rag::{Format, Options, chunk};
use serde_json::{Value, json};

use crate::support::*;

const EAST: &[f32] = &[1.0, 0.0];
const NEAR_EAST: &[f32] = &[1.0, 0.25];
const NORTH: &[f32] = &[0.0, 1.0];
const WEST: &[f32] = &[-1.0, 0.0];

fn keep(database: &Database, key: &str, source: &str, text: &str, vector: &[f32]) {
    let metadata = json!({ "site": "A" });
    let passage = json!({"source": source, "text": text, "headings": ["Pump", key], "metadata": metadata});
    write(database, json!([{"put": {"namespace": "d", "key": key, "value": passage}}])).unwrap();
    let metadata = json!({"site": "A", "source": source});
    embed(database, json!({"namespace": "d", "key": key, "model": "m", "metadata": metadata}), vector).unwrap();
}

fn question(more: Value) -> Value {
    let mut question = json!({"namespace": "d", "topK": 10});
    question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "retrieve": question })
}

fn found(database: &Arc<Database>, more: Value) -> Vec<String> {
    let answer = asked(database, question(more));
    answer.as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap().to_owned()).collect()
}

fn filled(folder: &Folder) -> Arc<Database> {
    let database = open(folder);
    keep(&database, "oil", "a.md", "The pump takes oil of grade 46", EAST);
    keep(&database, "twin", "a.md", "Oil of grade 46 is what the pump takes", NEAR_EAST);
    keep(&database, "valve", "b.md", "Close the valve first", NORTH);
    database
}

#[test]
fn passages_are_found_by_meaning_by_words_and_by_both() {
    let folder = Folder::new("rag-ways");
    let database = filled(&folder);
    assert_eq!(found(&database, json!({"vector": NORTH, "model": "m", "topK": 1})), ["valve"]);
    assert_eq!(found(&database, json!({"text": "grade of the oil"})), ["oil", "twin", "valve"]);
    assert_eq!(found(&database, json!({"text": "VALVES?"})), [""; 0]);
    // Headings count as words, too.
    assert_eq!(found(&database, json!({"text": "twin"})), ["twin"]);
    let both = asked(&database, question(json!({"text": "valve", "vector": WEST})));
    assert_eq!(both[0]["key"], "valve");
    assert_eq!(both[0]["text"], "Close the valve first");
    assert!(both[0]["why"]["words"].as_f64().unwrap() > 0.0 && both[0]["why"]["similarity"] == 0.0);
    assert_eq!(both[1]["why"]["words"], json!(null));
    // Two first ranks are the best that ranks can give.
    let first = asked(&database, question(json!({"text": "valve", "vector": NORTH})));
    assert!((first[0]["score"].as_f64().unwrap() - 2.0 / 61.0).abs() < 1e-6);
    assert_eq!(found(&database, json!({})), [""; 0]);
}

#[test]
fn what_says_the_same_again_gives_way() {
    let folder = Folder::new("rag-diverse");
    let database = filled(&folder);
    assert_eq!(found(&database, json!({"vector": EAST, "topK": 2})), ["oil", "twin"]);
    assert_eq!(found(&database, json!({"vector": EAST, "topK": 2, "diversity": 0.7})), ["oil", "valve"]);
    // A passage without a vector is like none.
    write(&database, json!([{"delete": {"namespace": "d#vectors", "key": "twin"}}])).unwrap();
    assert_eq!(found(&database, json!({"text": "oil", "topK": 2, "diversity": 1})), ["oil", "twin"]);
}

#[test]
fn filters_hold_on_both_ways() {
    let folder = Folder::new("rag-filters");
    let database = filled(&folder);
    for way in [json!({"text": "oil of the valve"}), json!({"vector": EAST})] {
        let with = |filter: Value| {
            let mut more = way.clone();
            more["filter"] = filter;
            found(&database, more)
        };
        assert_eq!(with(json!({"source": "b.md"})), ["valve"]);
        assert_eq!(with(json!({"source": {"in": ["a.md"]}, "site": "A"})), ["oil", "twin"]);
        assert_eq!(with(json!({"site": "B"})), [""; 0]);
    }
}

#[test]
fn words_follow_what_is_written_and_survive_a_restart() {
    let folder = Folder::new("rag-follows");
    let database = filled(&folder);
    assert_eq!(found(&database, json!({"text": "close"})), ["valve"]);
    keep(&database, "valve", "b.md", "Open it", NORTH);
    keep(&database, "new", "c.md", "Never close it", WEST);
    assert_eq!(found(&database, json!({"text": "close"})), ["new"]);
    write(
        &database,
        json!([{"delete": {"namespace": "d", "key": "new"}}, {"delete": {"namespace": "d", "key": "none"}}]),
    )
    .unwrap();
    // Its vector is still there, and is no passage.
    assert_eq!(found(&database, json!({"text": "close", "vector": WEST})), ["valve", "twin", "oil"]);
    let other = json!([{"put": {"namespace": "d", "key": "oil", "value": 7}}, {"put": {"namespace": "e", "key": "x", "value": {"text": "grade"}}}]);
    write(&database, other).unwrap();
    assert_eq!(found(&database, json!({"text": "grade"})), ["twin"]);
    keep(&database, "again", "c.md", "Of no grade", WEST);
    assert_eq!(found(&database, json!({"text": "grade"})), ["again", "twin"]);
    database.close().unwrap();
    drop(database);
    assert_eq!(found(&open(&folder), json!({"text": "grade"})), ["again", "twin"]);
}

#[test]
fn words_of_what_expired_are_not_found_any_more() {
    let folder = Folder::new("rag-ttl");
    let database = filled(&folder);
    let put = json!({"namespace": "d", "key": "brief", "value": {"source": "c.md", "text": "brief"}, "ttlMs": 50});
    write(&database, json!([{ "put": put }])).unwrap();
    // Only one is wanted: what is gone must not take its place.
    let ranked = |database: &Arc<Database>| asked(database, question(json!({"text": "brief grade", "topK": 1})));
    assert_eq!(ranked(&database)[0]["key"], "brief");
    while database.contains("d", "brief").unwrap() {
        std::thread::yield_now();
    }
    assert_eq!(ranked(&database)[0]["key"], "oil", "the sweep comes later");
}

#[test]
fn questions_that_cannot_be_answered_are_refused() {
    let folder = Folder::new("rag-refused");
    let database = filled(&folder);
    let wrong = [
        json!({"text": "a", "diversity": 1.5}),
        json!({"text": "a", "filter": {"a": {"near": 1}}}),
        json!({"vector": [1.0]}),
        json!({"vector": EAST, "model": "other"}),
    ];
    for more in wrong {
        assert_eq!(code(ask(&database, question(more.clone()))), ErrorCode::InvalidInput, "{more}");
    }
}

#[test]
fn chunks_are_measured_in_tokens_of_the_embedder() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("embedding/table.bin");
    let embedder = Embedder::open(&table).unwrap();
    let source = "Unaffable hydrodynamics \u{1f642} of the pump. ".repeat(200);
    let options = Options { format: Format::Text, size: 64, overlap: 16 };
    let found = chunk(&source, &options, |text| embedder.measure(text)).unwrap();
    assert!(found.chunks.len() > 20);
    for chunk in &found.chunks {
        assert_eq!(embedder.pieces(&chunk.text).len(), chunk.tokens);
        assert!(chunk.tokens <= 64 && chunk.text.ends_with("pump."));
    }
}
