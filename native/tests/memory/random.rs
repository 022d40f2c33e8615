//! Random work against a plain model: puts, deletes, batches, compare-and-set, reopening, compaction, and
//! every question about the past that the model can answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace::memory::{At, Database, VersionId};
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
            3..=6 => compare(&database, &model, &mut random, seed),
            _ => {
                let mut request = BTreeMap::new();
                for _ in 0..1 + random.below(3) * random.below(3) {
                    let key = format!("k{}", random.below(40));
                    let value = (random.below(5) > 0).then(|| json!({"step": step, "r": random.below(1000)}));
                    request.insert(key, value);
                }
                let stale = random.below(10) == 0;
                let newest = |key: &str| {
                    let last = model.get(key).and_then(|versions| versions.last());
                    last.filter(|(_, value)| value.is_some()).map(|(id, _)| id.to_string())
                };
                let operations: Vec<Value> = request
                    .iter()
                    .map(|(key, value)| {
                        let expected = if stale { Some("00000000000001-0000000000000001".into()) } else { newest(key) };
                        match value {
                            Some(value) => {
                                json!({"put": {"namespace": "n", "key": key, "value": value, "ifVersion": expected}})
                            }
                            None => json!({"delete": {"namespace": "n", "key": key, "ifVersion": expected}}),
                        }
                    })
                    .collect();
                match write(&database, json!(operations)) {
                    Err(_) => assert!(stale, "seed {seed}, step {step}"),
                    Ok(outcomes) => {
                        assert!(!stale, "seed {seed}, step {step}");
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
    }
}
