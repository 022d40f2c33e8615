//! Vectors of documents: searches that follow what is written.

use std::sync::Arc;

use millrace::error::{ErrorCode, HasCode};
use millrace::memory::{Database, Options};
use serde_json::{Value, json};

use crate::support::*;

const EAST: &[f32] = &[1.0, 0.0];
const NORTH: &[f32] = &[0.0, 1.0];
const WEST: &[f32] = &[-1.0, 0.0];
const THREE: &[f32] = &[1.0, -2.0, 0.0];
const ZERO: &[f32] = &[0.0, 0.0];

fn keep(database: &Database, key: &str, vector: &[f32], metadata: Value) {
    let about = json!({"namespace": "n", "key": key, "model": "m", "metadata": metadata});
    embed(database, about, vector).unwrap();
}

fn drop_vector(database: &Database, key: &str) {
    write(database, json!([{"delete": {"namespace": "n#vectors", "key": key}}])).unwrap();
}

fn near(vector: &[f32], more: Value) -> Value {
    let mut question = json!({"namespace": "n", "vector": vector, "topK": 10});
    question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "near": question })
}

fn found(database: &Arc<Database>, vector: &[f32], more: Value) -> Vec<String> {
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
    let told = json!({"dimensions": 2, "model": "m", "vectors": 2, "exact": true});
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

/// With `MILLRACE_LONG` so many that a graph is made, which takes longer than a search.
#[test]
fn right_after_a_reopen_all_who_search_at_once_are_told_what_is_right() {
    let folder = Folder::new("near-large");
    let count = if std::env::var("MILLRACE_LONG").is_ok() { 20_500 } else { 2_000 };
    let mut random = Random(7);
    let mut vector = || -> Vec<f32> { (0..8).map(|_| random.below(2_001) as f32 - 1_000.0).collect() };
    let rows: Vec<Vec<f32>> = (0..count).map(|_| vector()).collect();
    {
        let database = open(&folder);
        for (part, some) in rows.chunks(1_000).enumerate() {
            let about =
                |place: usize| json!({"namespace": "n", "key": (part * 1_000 + place).to_string(), "model": "m"});
            let asked: Vec<Value> = (0..some.len()).map(about).collect();
            let (_, failures) = database.embed_text(&json!(asked).to_string(), some).unwrap();
            assert!(failures.is_empty());
        }
    }
    let database = open(&folder);
    let length = |row: &[f32]| row.iter().map(|part| f64::from(part * part)).sum::<f64>().sqrt();
    let nearest = |query: &[f32]| {
        let score = |row: &[f32]| query.iter().zip(row).map(|(a, b)| f64::from(a * b)).sum::<f64>() / length(row);
        let best = rows.iter().enumerate().max_by(|(_, a), (_, b)| score(a).total_cmp(&score(b)));
        best.unwrap().0.to_string()
    };
    let queries: Vec<Vec<f32>> = (0..4).map(|_| vector()).collect();
    std::thread::scope(|scope| {
        for query in &queries {
            scope.spawn(|| assert_eq!(found(&database, query, json!({}))[0], nearest(query)));
        }
    });
    // What comes and goes while the graph is made is seen at once.
    let query = &queries[0];
    keep(&database, "new", query, json!(null));
    assert_eq!(found(&database, query, json!({}))[..2], ["new".to_owned(), nearest(query)]);
    drop_vector(&database, &nearest(query));
    drop_vector(&database, "new");
    assert!(!found(&database, query, json!({})).contains(&nearest(query)));
}

#[test]
fn what_does_not_fit_is_refused_or_not_found() {
    let folder = Folder::new("near-wrong");
    let database = open(&folder);
    // None of them says of which kind the others are.
    keep(&database, "zero", ZERO, json!(null));
    keep(&database, "empty", &[], json!(null));
    for (key, value) in [("text", json!("x")), ("wrong", json!({"model": "m", "vector": "?"}))] {
        write(&database, json!([{"put": {"namespace": "n#vectors", "key": key, "value": value}}])).unwrap();
    }
    keep(&database, "a", EAST, json!(null));
    keep(&database, "three", THREE, json!(null));
    assert_eq!(found(&database, EAST, json!({"model": "m"})), ["a"]);
    keep(&database, "a", ZERO, json!(null));
    assert_eq!(found(&database, EAST, json!({})), [""; 0]);
    keep(&database, "a", EAST, json!(null));
    for question in [
        json!({"near": {"namespace": "n", "topK": 10}}),
        near(THREE, json!({})),
        near(ZERO, json!({})),
        near(EAST, json!({"model": "other"})),
        near(EAST, json!({"filter": {"a": {"like": 1}}})),
    ] {
        assert_eq!(ask(&database, question.clone()).unwrap_err().code(), ErrorCode::InvalidInput, "{question}");
    }
}

fn keep_text(database: &Database, key: &str, vector: &[f32], text: &str) {
    let about = json!({"namespace": "n", "key": key, "model": "m", "text": text, "metadata": {"of": key}});
    embed(database, about, vector).unwrap();
}

#[test]
fn vectors_are_kept_each_by_itself_as_documents_that_say_what_they_are() {
    let folder = Folder::new("near-embed");
    let database = open(&folder);
    let about = |key: &str, more: Value| {
        let mut about = json!({"namespace": "n", "key": key, "model": "m \"1\""});
        about.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        about
    };
    let all = json!([
        about("a", json!({"text": "a \n b", "metadata": {"n": [1]}})),
        about("", json!({})),
        about("c", json!({"ttlMs": 1e9})),
    ]);
    let (outcomes, failures) = database.embed_text(&all.to_string(), &[EAST, NORTH, THREE]).unwrap();
    let outcomes: Value = serde_json::from_str(&outcomes).unwrap();
    assert_eq!((outcomes[0][0][1].clone(), outcomes[1].clone()), (json!(null), json!(null)));
    assert_eq!(
        failures.iter().map(|(place, error)| (*place, error.code())).collect::<Vec<_>>(),
        [(1, ErrorCode::InvalidInput)]
    );
    let kept = |key: &str| -> Value { serde_json::from_str(&database.get("n#vectors", key, None).unwrap()).unwrap() };
    let whole = json!({"model": "m \"1\"", "vector": "AACAPwAAAAA=", "text": "a \n b", "metadata": {"n": [1]}});
    assert_eq!(kept("a"), whole);
    assert_eq!(kept("c"), json!({"model": "m \"1\"", "vector": "AACAPwAAAMAAAAAA"}));
    let history = asked(&database, json!({"history": {"namespace": "n#vectors", "key": "c"}}));
    assert!(history[0]["expires"].is_number(), "{history}");
    let alone = json!([about("a", json!({}))]).to_string();
    assert_eq!(database.embed_text(&alone, &[EAST, EAST]).unwrap_err().code(), ErrorCode::InvalidInput);
    assert_eq!(database.embed_text("{}", &[EAST]).unwrap_err().code(), ErrorCode::InvalidInput);
    // What cannot be read at all concerns no other.
    let all = format!("[{},{{}},{}]", about("d", json!({})), about("e", json!({"ttlMs": "1"})));
    let (outcomes, failures) = database.embed_text(&all, &[EAST, EAST, EAST]).unwrap();
    let kept: Vec<Value> = serde_json::from_str(&outcomes).unwrap();
    assert_eq!(kept.iter().map(Value::is_array).collect::<Vec<_>>(), [true, false, false]);
    assert!(failures[1].1.to_string().starts_with("ttlMs: "), "{}", failures[1].1);
}

#[test]
fn what_expired_is_not_found_any_more() {
    let folder = Folder::new("near-ttl");
    let database = open(&folder);
    asked(&database, json!({"createView": {"name": "all", "query": {"namespace": "n#vectors"}}}));
    let passed = |database| asked(database, json!({"view": "all"}))["rows"].as_array().unwrap().len();
    keep(&database, "stays", NORTH, json!(null));
    embed(&database, json!({"namespace": "n", "key": "goes", "model": "m", "ttlMs": 50}), EAST).unwrap();
    keep(&database, "again", WEST, json!(null));
    embed(&database, json!({"namespace": "n", "key": "again", "model": "m", "ttlMs": 50}), WEST).unwrap();
    keep(&database, "again", WEST, json!(null));
    assert_eq!(found(&database, EAST, json!({})), ["goes", "stays", "again"]);
    assert_eq!(passed(&database), 3);
    while database.contains("n#vectors", "goes").unwrap() {
        std::thread::yield_now();
    }
    assert_eq!(found(&database, EAST, json!({})), ["stays", "again"], "the sweep comes later");
    assert_eq!(passed(&database), 2);
}

#[test]
fn words_count_beside_the_vector() {
    let folder = Folder::new("near-words");
    let database = open(&folder);
    keep_text(&database, "a", EAST, "the valve leaks");
    keep_text(&database, "b", NORTH, "part KX-4711 of the pump");
    assert_eq!(found(&database, EAST, json!({})), ["a", "b"]);
    let words = |weight: f32| json!({"words": {"text": "KX-4711", "weight": weight}});
    assert_eq!(found(&database, EAST, words(5.0)), ["b", "a"]);
    let answer = asked(&database, near(EAST, words(5.0)));
    let [hit, other] = [&answer["hits"][0], &answer["hits"][1]];
    assert_eq!((&hit["near"], &hit["words"], &hit["metadata"]), (&json!(0.0), &json!(1.0), &json!({"of": "b"})));
    assert_eq!((&other["near"], &other["words"]), (&json!(1.0), &json!(0.0)));
    // From now on the words follow the log, too.
    keep_text(&database, "b", NORTH, "nothing of that");
    keep_text(&database, "c", WEST, "KX-4711");
    assert_eq!(found(&database, EAST, words(9.0))[0], "c");
    drop_vector(&database, "c");
    assert_eq!(found(&database, EAST, words(9.0)), ["a", "b"]);
    assert_eq!(found(&database, EAST, json!({"prefix": "b", "words": {"text": "valve", "weight": 9}})), ["b"]);
    for key in ["a", "b"] {
        drop_vector(&database, key);
    }
    assert_eq!(found(&database, EAST, words(1.0)), [""; 0]);
    keep_text(&database, "d", THREE, "valve");
    assert_eq!(found(&database, THREE, json!({"words": {"text": "valve", "weight": 1}})), ["d"]);
    for wrong in [
        json!({"threshold": 0.5, "words": {"text": "x", "weight": 1}}),
        json!({"metric": "l2", "words": {"text": "x", "weight": 1}}),
        json!({"words": {"text": "x", "weight": 0}}),
    ] {
        let error = ask(&database, near(THREE, wrong.clone())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{wrong}");
    }
}

#[test]
fn a_search_of_the_past_sees_what_there_was() {
    let folder = Folder::new("near-past");
    let database = open(&folder);
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as f64 / 1e3;
    // A fraction, so that it is not the end of the millisecond.
    let moment = || {
        let time = (now() * 1e3).round() / 1e3;
        let time = if time.fract() == 0.0 { time + 0.001 } else { time };
        while now() <= time + 0.01 {
            std::hint::spin_loop();
        }
        time
    };
    let before = moment();
    keep_text(&database, "a", EAST, "valve");
    keep_text(&database, "b", NORTH, "pump");
    put(&database, "b", json!({"site": "A"}));
    let first = moment();
    keep_text(&database, "a", WEST, "valve");
    drop_vector(&database, "b");
    put(&database, "b", json!({"site": "B"}));
    assert_eq!(found(&database, EAST, json!({})), ["a"]);
    assert_eq!(found(&database, EAST, json!({"asOf": first})), ["a", "b"]);
    let answer = asked(&database, near(EAST, json!({"asOf": first})));
    assert_eq!((&answer["hits"][0]["score"], &answer["exact"]), (&json!(1.0), &json!(true)));
    assert_eq!(found(&database, EAST, json!({"asOf": first, "documents": {"site": "A"}})), ["b"]);
    assert_eq!(found(&database, EAST, json!({"asOf": first, "documents": {"site": "B"}})), [""; 0]);
    let words = json!({"asOf": first, "words": {"text": "pump", "weight": 9}});
    assert_eq!(found(&database, EAST, words), ["b", "a"]);
    assert_eq!(found(&database, EAST, json!({"asOf": before})), [""; 0]);
}

#[test]
fn the_index_is_kept_as_is_wanted_and_tells_when_it_is_full() {
    let folder = Folder::new("near-kept");
    let options = |vectors: Value| -> Options { serde_json::from_value(json!({ "vectors": vectors })).unwrap() };
    for storage in ["f32", "f16", "i8"] {
        let database = Database::open(&folder.0, options(json!({ "storage": storage }))).unwrap();
        keep(&database, "a", EAST, json!(null));
        keep(&database, "b", NORTH, json!(null));
        assert_eq!(found(&database, EAST, json!({})), ["a", "b"], "{storage}");
        database.close().unwrap();
    }
    let database = Database::open(&folder.0, options(json!({ "maxBytes": 1 }))).unwrap();
    for _ in 0..2 {
        assert_eq!(ask(&database, near(EAST, json!({}))).unwrap_err().code(), ErrorCode::BufferFull);
    }
}
