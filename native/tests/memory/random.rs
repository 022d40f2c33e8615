//! Random work against a plain model: puts, deletes, batches, compare-and-set, reopening, killed writers, compaction,
//! and every question about the past that the model can answer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::time::Duration;

use millrace::memory::{At, Database, MemoryError, VersionId};
use serde_json::{Value, json};

use crate::support::*;

/// Versions of each key, the oldest first; none: deleted.
type Model = BTreeMap<String, Vec<(VersionId, Option<Value>)>>;

fn live(model: &Model) -> Vec<String> {
    let newest = |versions: &Vec<(VersionId, Option<Value>)>| versions.last().is_some_and(|(_, value)| value.is_some());
    model.iter().filter(|(_, versions)| newest(versions)).map(|(key, _)| key.clone()).collect()
}

fn compare(database: &Arc<Database>, model: &Model, random: &mut Random, seed: u64) {
    assert_eq!(keys(database), live(model), "seed {seed}");
    for (key, versions) in model {
        assert_eq!(get(database, key), versions.last().unwrap().1, "seed {seed}, {key}");
        let (at, value) = &versions[random.below(versions.len() as u64) as usize];
        let found = database.get("n", key, Some(At::Time(at.stamp))).ok().map(|it| serde_json::from_str(&it).unwrap());
        assert_eq!(found, *value, "seed {seed}, {key} at {at}");
        let history = asked(database, json!({"history": {"namespace": "n", "key": key}}));
        let told: Vec<_> = history.as_array().unwrap().iter().rev().map(|it| it["version"].as_str().unwrap()).collect();
        let known: Vec<_> = versions.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(told, known, "seed {seed}, {key}");
    }
    assert_eq!(asked(database, json!({"verify": null}))["problems"], json!([]), "seed {seed}");
}

/// What one request is to make of each key; none: delete.
type Request = BTreeMap<String, Option<Value>>;

/// A request, and its operations as they cross. One that is stale must be refused.
fn request(model: &Model, random: &mut Random, step: usize, stale: bool) -> (Request, Value) {
    let mut request = Request::new();
    for _ in 0..1 + random.below(3) * random.below(3) {
        let key = format!("k{}", random.below(40));
        let value = (random.below(5) > 0).then(|| json!({"step": step, "r": random.below(1000)}));
        request.insert(key, value);
    }
    let newest = |key: &str| {
        let last = model.get(key).and_then(|versions| versions.last());
        last.filter(|(_, value)| value.is_some()).map(|(id, _)| id.to_string())
    };
    let operation = |(key, value): (&String, &Option<Value>)| {
        let expected = if stale { Some("00000000000001-0000000000000001".into()) } else { newest(key) };
        match value {
            Some(value) => json!({"put": {"namespace": "n", "key": key, "value": value, "ifVersion": expected}}),
            None => json!({"delete": {"namespace": "n", "key": key, "ifVersion": expected}}),
        }
    };
    let operations = request.iter().map(operation).collect();
    (request, operations)
}

/// Takes what was answered into the model.
fn apply(model: &mut Model, request: Request, outcomes: Vec<[Option<String>; 2]>) {
    for ((key, value), [version, previous]) in request.into_iter().zip(outcomes) {
        let versions = model.entry(key).or_default();
        let Some(version) = version else {
            assert!(value.is_none() && versions.last().is_none_or(|(_, it)| it.is_none()));
            continue;
        };
        assert_eq!(previous, versions.last().map(|(id, _)| id.to_string()));
        versions.push((version.parse().unwrap(), value));
    }
    model.retain(|_, versions| !versions.is_empty());
}

/// Another process writes, and is killed while it does. What it did not answer is there whole or not at all.
#[cfg(unix)]
fn killed(folder: &Folder, model: &mut Model, random: &mut Random, step: usize) -> Arc<Database> {
    let mut child = crate::crash::child(&folder.0, "asked", None);
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..random.below(20) {
        let (request, operations) = request(model, random, step, false);
        writeln!(stdin, "{operations}").unwrap();
        apply(model, request, serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap());
    }
    let (request, operations) = request(model, random, step, false);
    writeln!(stdin, "{operations}").unwrap();
    std::thread::sleep(Duration::from_micros(random.below(1000)));
    child.kill().unwrap();
    child.wait().unwrap();
    let database = open(folder);
    let newest = |key: &str| {
        let history = match ask(&database, json!({"history": {"namespace": "n", "key": key, "limit": 1}})) {
            // It never was there.
            Err(MemoryError::KeyNotFound { .. }) => json!([]),
            history => history.unwrap(),
        };
        let id = |name: &str| history[0][name].as_str().map(str::to_owned);
        [id("version"), id("previous")]
    };
    let known = |key: &str| model.get(key).and_then(|it| it.last()).map(|(id, _)| id.to_string());
    let outcomes: Vec<_> = request.keys().map(|key| Some(newest(key)).filter(|[id, _]| *id != known(key))).collect();
    if outcomes.iter().any(Option::is_some) {
        apply(model, request, outcomes.into_iter().map(Option::unwrap_or_default).collect());
    }
    database
}

fn run(seed: u64, operations: usize) {
    let folder = Folder::new(&format!("random-{seed}"));
    let mut random = Random(seed);
    let mut model = Model::new();
    let mut database = open(&folder);
    for step in 0..operations {
        match random.below(1000) {
            0 => {
                database.close().unwrap();
                database = open(&folder);
            }
            1 => {
                drop(database);
                database = open(&folder);
            }
            2 => drop(asked(&database, json!({"compact": null}))),
            #[cfg(unix)]
            3..=4 => {
                database.close().unwrap();
                database = killed(&folder, &mut model, &mut random, step);
            }
            5..=8 => compare(&database, &model, &mut random, seed),
            _ => {
                let stale = random.below(10) == 0;
                let (request, operations) = request(&model, &mut random, step, stale);
                match write(&database, operations) {
                    Err(_) => assert!(stale, "seed {seed}, step {step}"),
                    Ok(outcomes) => {
                        assert!(!stale, "seed {seed}, step {step}");
                        apply(&mut model, request, outcomes);
                    }
                }
            }
        }
    }
    compare(&database, &model, &mut random, seed);
    drop(database);
    compare(&open(&folder), &model, &mut random, seed);
}

#[test]
fn it_is_as_the_model_says() {
    let long = std::env::var("MILLRACE_LONG").is_ok();
    for seed in 0..if long { 100 } else { 3 } {
        run(seed, if long { 10_000 } else { 600 });
        println!("seed {seed} passed");
    }
}
