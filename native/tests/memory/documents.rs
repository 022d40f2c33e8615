//! Documents, their past, compare-and-set, time to live, retention.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millrace::error::ErrorCode;
use millrace::kv::{self, Kv};
use millrace::memory::{At, Database, Options};
use serde_json::json;

use crate::support::*;

#[test]
fn many_values_of_a_namespace_are_one_of_a_requests_operations() {
    let folder = Folder::new("many");
    let database = open(&folder);
    put(&database, "gone", json!(0));
    let many = json!({"putMany": {"namespace": "n", "keys": ["a", "b"], "values": [1, {"x": "y"}]}});
    let versions = write(&database, json!([many, {"delete": {"namespace": "n", "key": "gone"}}])).unwrap();
    assert!(versions.len() == 3 && versions.iter().all(|[version, _]| version.is_some()));
    assert_eq!((get(&database, "a"), get(&database, "b")), (Some(json!(1)), Some(json!({"x": "y"}))));
    assert_eq!(keys(&database), ["a", "b"]);
    for (keys, values) in
        [(json!(["c"]), json!([1, 2])), (json!(["c", ""]), json!([1, 2])), (json!(["c", "c"]), json!([1, 2]))]
    {
        let wrong = json!([{"putMany": {"namespace": "n", "keys": keys, "values": values}}]);
        assert_eq!(code(write(&database, wrong)), ErrorCode::InvalidInput);
    }
    assert_eq!(get(&database, "c"), None);
    database.close().unwrap();
}

#[test]
fn a_document_has_its_whole_past() {
    let folder = Folder::new("past");
    let database = open(&folder);
    let first = put(&database, "a", json!({"count": 1, "tags": ["x"]}));
    let second = put(&database, "a", json!({"count": 2, "tags": ["x", "y"]}));
    let deletion = delete(&database, "a").unwrap();
    assert_eq!(delete(&database, "a"), None, "there is nothing to delete");
    assert_eq!(get(&database, "a"), None, "a deleted document is not found");
    assert_eq!(keys(&database), [""; 0], "nor is it listed");
    assert!(!database.contains("n", "a").unwrap());
    assert_eq!(asked(&database, json!({"namespaces": {}}))["namespaces"], json!([]));

    let history = asked(&database, json!({"history": {"namespace": "n", "key": "a"}}));
    let versions: Vec<_> = history.as_array().unwrap().iter().map(|it| it["version"].as_str().unwrap()).collect();
    assert_eq!(versions, [&deletion, &second, &first], "the newest first");
    assert_eq!(history[0]["deleted"], true);
    assert_eq!(history[1]["previous"], json!(first));
    assert_eq!(history[2]["previous"], json!(null));
    let part = asked(&database, json!({"history": {"namespace": "n", "key": "a", "to": second, "limit": 1}}));
    assert_eq!(part.as_array().unwrap().len(), 1);
    assert_eq!(part[0]["version"], json!(second));
    let part = asked(&database, json!({"history": {"namespace": "n", "key": "a", "from": history[1]["time"]}}));
    assert_eq!(part.as_array().unwrap().len(), 2);

    for (version, count) in [(&first, 1), (&second, 2)] {
        let id = version.parse().unwrap();
        for at in [At::Version(id), At::Time(id.stamp)] {
            let json: serde_json::Value = serde_json::from_str(&database.get("n", "a", Some(at)).unwrap()).unwrap();
            assert_eq!(json["count"], count);
        }
    }
    let before = At::Time(first.parse::<millrace::memory::VersionId>().unwrap().stamp - 1);
    assert_eq!(code(database.get("n", "a", Some(before))), ErrorCode::KeyNotFound);
    assert_eq!(code(database.get("n", "a", Some(At::Version(deletion.parse().unwrap())))), ErrorCode::KeyNotFound);
    let foreign = At::Version("00000000000001-0000000000000001".parse().unwrap());
    assert_eq!(code(database.get("n", "a", Some(foreign))), ErrorCode::NotFound);
    assert_eq!(code(ask(&database, json!({"history": {"namespace": "n", "key": "b"}}))), ErrorCode::KeyNotFound);

    let diff = asked(&database, json!({"diff": {"namespace": "n", "key": "a", "from": first, "to": second}}));
    assert_eq!(
        diff,
        json!([
            {"op": "replace", "path": "/count", "from": 1, "value": 2},
            {"op": "add", "path": "/tags/1", "value": "y"},
        ])
    );
    asked(&database, json!({"restore": {"namespace": "n", "key": "a", "at": first}}));
    assert_eq!(get(&database, "a"), Some(json!({"count": 1, "tags": ["x"]})));
    assert_eq!(keys(&database), ["a"]);
    assert_eq!(asked(&database, json!({"verify": null}))["problems"], json!([]));
}

#[test]
fn a_batch_happens_whole_or_not_at_all() {
    let folder = Folder::new("batch");
    let database = open(&folder);
    let old = put(&database, "a", json!(1));
    let put_of = |key: &str, version: serde_json::Value| json!({"put": {"namespace": "n", "key": key, "value": 2, "ifVersion": version}});
    let new = |key: &str| json!({"put": {"namespace": "n", "key": key, "value": 2}});
    for request in [
        json!([new("b"), put_of("a", json!(null))]),
        json!([new("b"), put_of("c", json!(old))]),
        json!([{"delete": {"namespace": "n", "key": "a"}}, put_of("b", json!(old))]),
    ] {
        assert_eq!(code(write(&database, request)), ErrorCode::Conflict);
    }
    assert_eq!(code(write(&database, json!([new("b"), new("b")]))), ErrorCode::InvalidInput);
    assert_eq!(code(write(&database, json!([new("b"), new("")]))), ErrorCode::InvalidInput);
    assert_eq!(code(write(&database, json!([{"put": {"namespace": "n", "key": "b"}}]))), ErrorCode::InvalidInput);
    assert_eq!((keys(&database), get(&database, "a")), (vec!["a".into()], Some(json!(1))));
    let done = write(&database, json!([new("b"), put_of("a", json!(old)), put_of("c", json!(null))])).unwrap();
    assert_eq!(done[1][1].as_ref(), Some(&old));
    // One moment for all of it.
    let stamps: Vec<_> = done.iter().map(|[version, _]| version.as_ref().unwrap()[..14].to_owned()).collect();
    assert!(stamps.iter().all(|stamp| *stamp == stamps[0]));
    assert_eq!(keys(&database), ["a", "b", "c"]);
    // One failure among many requests fails alone, and null is a value.
    let requests =
        json!([[new("d")], [put_of("d", json!(null))], [{"put": {"namespace": "n", "key": "e", "value": null}}]]);
    let (outcomes, failures) = database.write_text(database.place(), &requests.to_string()).unwrap();
    let outcomes: serde_json::Value = serde_json::from_str(&outcomes).unwrap();
    assert_eq!((failures.len(), failures[0].0, &outcomes[1]), (1, 1, &json!(null)));
    assert_eq!((get(&database, "d"), get(&database, "e")), (Some(json!(2)), Some(json!(null))));
}

#[test]
fn a_write_that_cannot_be_read_concerns_no_other() {
    let folder = Folder::new("wrong");
    let database = open(&folder);
    let put = |key: &str, more: &str| format!(r#"[{{"put":{{"namespace":"n","key":{key},"value":1{more}}}}}]"#);
    let requests = [
        put(r#""a""#, ""),
        put(r#""b""#, r#","ttlMs":"100""#),
        put(r#""\ud800""#, ""),
        put(r#""c""#, r#","causes":"x""#),
        put(r#""d""#, ""),
    ];
    let all = format!("[{}]", requests.join(","));
    let (outcomes, failures) = database.write_text(database.place(), &all).unwrap();
    let outcomes: Vec<serde_json::Value> = serde_json::from_str(&outcomes).unwrap();
    assert_eq!(outcomes.iter().map(serde_json::Value::is_array).collect::<Vec<_>>(), [true, false, false, false, true]);
    let told: Vec<_> = failures.iter().map(|(place, error)| (*place, error.to_string())).collect();
    assert_eq!(told[0], (1, "[0].put.ttlMs: invalid type: string \"100\", expected a number".into()));
    assert_eq!(told[1].0, 2);
    assert_eq!(told[2], (3, "[0].put.causes: invalid type: string \"x\", expected a list".into()));
    assert_eq!(keys(&database), ["a", "d"]);
}

#[test]
fn who_reads_many_sees_a_batch_whole_or_not_at_all() {
    let folder = Folder::new("moment");
    let database = Database::open(&folder.0, Options::default()).unwrap();
    let names: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
    let set = |number: u32| {
        let put = |key: &String| json!({"put": {"namespace": "n", "key": key, "value": {"on": true, "at": number}}});
        write(&database, names.iter().map(put).collect()).unwrap();
    };
    set(0);
    asked(&database, json!({"createIndex": {"namespace": "n", "path": "on"}}));
    let done = AtomicBool::new(false);
    let all_same = |mut numbers: Vec<serde_json::Value>| {
        assert_eq!(numbers.len(), names.len());
        numbers.dedup();
        assert_eq!(numbers.len(), 1, "half of a batch was seen");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (1..300).for_each(&set);
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            let found = database.get_many(names.iter().map(|key| ("n", key.as_str())), None).unwrap();
            let found: Vec<[serde_json::Value; 1]> = serde_json::from_str(&found).unwrap();
            all_same(found.into_iter().map(|[value]| value["at"].clone()).collect());
            let answer = asked(&database, json!({"query": {"namespace": "n", "filter": {"on": true}}}));
            assert_eq!(answer["plan"]["index"], "on");
            all_same(answer["rows"].as_array().unwrap().iter().map(|row| row["value"]["at"].clone()).collect());
        }
    });
}

#[test]
fn writes_are_done_in_the_order_of_their_places_whoever_is_read_first() {
    let folder = Folder::new("places");
    let database = open(&folder);
    let places: Vec<_> = (0..20).map(|number| (number, database.place())).collect();
    std::thread::scope(|scope| {
        for (number, place) in places.into_iter().rev() {
            let database = &database;
            scope.spawn(move || {
                let text = match number {
                    // One that cannot be read holds nobody up.
                    7 => "no JSON".into(),
                    _ => json!([[{"put": {"namespace": "n", "key": "a", "value": number}}]]).to_string(),
                };
                database.write_text(place, &text).is_ok()
            });
        }
    });
    let history = asked(&database, json!({"history": {"namespace": "n", "key": "a"}}));
    let values: Vec<u64> = history.as_array().unwrap().iter().map(|it| it["value"].as_u64().unwrap()).collect();
    assert_eq!(values, (0..20).rev().filter(|number| *number != 7).collect::<Vec<_>>());
}

#[test]
fn many_writers_share_a_commit_and_none_is_lost() {
    let folder = Folder::new("group");
    let database = open(&folder);
    put(&database, "counter", json!(0));
    let writing = std::sync::atomic::AtomicUsize::new(8);
    std::thread::scope(|scope| {
        // Who looks in between sees whole commits, and gives up what nobody is building upon.
        scope.spawn(|| {
            while writing.load(std::sync::atomic::Ordering::Relaxed) > 0 {
                assert_eq!(database.verify().unwrap().problems, Vec::<String>::new());
                asked(&database, json!({"retain": {"namespace": "beside", "retention": {"versions": 2}}}));
                asked(&database, json!({"compact": null}));
            }
        });
        for writer in 0..8 {
            let (database, writing) = (&database, &writing);
            scope.spawn(move || {
                for _ in 0..25 {
                    loop {
                        let newest = asked(database, json!({"history": {"namespace": "n", "key": "counter", "limit": 1}}));
                        let next = newest[0]["value"].as_u64().unwrap() + 1;
                        let request = json!([
                            {"put": {"namespace": "n", "key": "counter", "value": next, "ifVersion": newest[0]["version"]}},
                            {"put": {"namespace": "beside", "key": next.to_string(), "value": writer}},
                            {"put": {"namespace": "beside", "key": "last", "value": writer}},
                        ]);
                        match write(database, request) {
                            Ok(_) => break,
                            Err(error) => assert_eq!(code::<()>(Err(error)), ErrorCode::Conflict),
                        }
                    }
                }
                writing.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            });
        }
    });
    assert_eq!(get(&database, "counter"), Some(json!(200)));
    assert_eq!(
        asked(&database, json!({"history": {"namespace": "n", "key": "counter"}})).as_array().unwrap().len(),
        201
    );
    assert_eq!(asked(&database, json!({"keys": {"namespace": "beside"}}))["keys"].as_array().unwrap().len(), 201);
    assert_eq!(database.verify().unwrap().problems, Vec::<String>::new());
}

#[test]
fn what_has_a_time_to_live_ends_by_itself_and_in_time() {
    let folder = Folder::new("ttl");
    let database = open(&folder);
    let request = |ms: f64| json!([{"put": {"namespace": "n", "key": "a", "value": 1, "ttlMs": ms}}]);
    assert_eq!(code(write(&database, request(-1.0))), ErrorCode::InvalidInput);
    let version: millrace::memory::VersionId =
        write(&database, request(800.0)).unwrap()[0][0].as_ref().unwrap().parse().unwrap();
    put(&database, "b", json!(1));
    assert_eq!(get(&database, "a"), Some(json!(1)));
    std::thread::sleep(Duration::from_millis(810));
    assert_eq!(get(&database, "a"), None);
    assert_eq!(keys(&database), ["b"]);
    assert_eq!(asked(&database, json!({"query": {"namespace": "n"}}))["rows"].as_array().unwrap().len(), 1);
    assert!(database.get("n", "a", Some(At::Time(version.stamp + 10_000))).is_ok(), "it was there then");
    assert_eq!(code(database.get("n", "a", Some(At::Time(version.stamp + 805_000)))), ErrorCode::KeyNotFound);
    // The sweep makes a deletion of it.
    let watcher = database.watch(Default::default(), Some(version.stamp), || {}).unwrap();
    let begin = std::time::Instant::now();
    let mut deleted = false;
    while !deleted && begin.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
        let (events, _) = database.take(&watcher, 100).unwrap();
        let told: serde_json::Value =
            serde_json::from_str(&millrace::memory::ask::told_events(&events).unwrap()).unwrap();
        deleted = told.as_array().unwrap().iter().any(|it| it["key"] == "a" && it["deleted"] == true);
    }
    assert!(deleted);
    assert_eq!(asked(&database, json!({"stats": null}))["keys"], 1);
    put(&database, "a", json!(2));
    assert_eq!(get(&database, "a"), Some(json!(2)), "a new one without a time stays");
}

#[test]
fn retention_gives_up_the_old_and_keeps_what_is_asked_for() {
    let folder = Folder::new("retention");
    let database = open(&folder);
    for round in 0..10 {
        put(&database, "a", json!(round));
        put(&database, "b", json!(round));
    }
    delete(&database, "b");
    let count =
        |key: &str| asked(&database, json!({"history": {"namespace": "n", "key": key}})).as_array().unwrap().len();
    assert_eq!(asked(&database, json!({"compact": null})), 0, "without a retention all is kept");
    asked(&database, json!({"retain": {"namespace": "n", "retention": {"versions": 3}}}));
    assert_eq!(asked(&database, json!({"compact": null})), 7 + 8);
    assert_eq!((count("a"), count("b")), (3, 3));
    assert_eq!(get(&database, "a"), Some(json!(9)));
    assert_eq!(asked(&database, json!({"stats": null}))["versions"], 6);
    asked(&database, json!({"retain": {"namespace": "n", "retention": {"ageMs": 0}}}));
    asked(&database, json!({"compact": null}));
    assert_eq!(count("a"), 1, "the newest stays, however old");
    assert_eq!(code(ask(&database, json!({"history": {"namespace": "n", "key": "b"}}))), ErrorCode::KeyNotFound);
    let verified = asked(&database, json!({"verify": null}));
    assert_eq!((&verified["documents"], &verified["problems"]), (&json!(1), &json!([])));
    put(&database, "b", json!("again"));
    assert_eq!((get(&database, "b"), count("b")), (Some(json!("again")), 1));
    for wrong in [json!({"versions": 0}), json!({"ageMs": -1})] {
        let question = json!({"retain": {"namespace": "n", "retention": wrong}});
        assert_eq!(code(ask(&database, question)), ErrorCode::InvalidInput);
    }
    drop(database);
    let database = open(&folder);
    put(&database, "a", json!(10));
    assert_eq!(asked(&database, json!({"compact": null})), 1, "the retention is kept, too");
}

#[test]
fn what_is_kept_of_all_is_for_those_who_have_nothing_of_their_own() {
    let folder = Folder::new("retention-all");
    let mut options = sync();
    options.retention.versions = Some(1);
    for number in 1..=2 {
        let database = Database::open(&folder.0, options.clone()).unwrap();
        for namespace in ["all", "two", "every"] {
            for value in 0..3 {
                write(&database, json!([{"put": {"namespace": namespace, "key": "a", "value": value}}])).unwrap();
            }
        }
        asked(&database, json!({"retain": {"namespace": "two", "retention": {"versions": 2}}}));
        if number == 1 {
            asked(&database, json!({"retain": {"namespace": "every", "retention": {}}}));
        }
        asked(&database, json!({"compact": null}));
        let versions = |namespace| {
            asked(&database, json!({"history": {"namespace": namespace, "key": "a"}})).as_array().unwrap().len()
        };
        assert_eq!(["all", "two", "every"].map(versions), [1, 2, number * 3]);
        database.close().unwrap();
    }
    options.retention.versions = Some(0);
    assert_eq!(code(Database::open(&folder.0, options)), ErrorCode::InvalidInput);
}

#[test]
fn limits_hold() {
    let folder = Folder::new("limits");
    let options = Options { value_bytes: 100, disk_bytes: Some(1), ..sync() };
    let database = Database::open(&folder.0, options).unwrap();
    let big = json!([{"put": {"namespace": "n", "key": "a", "value": "x".repeat(200)}}]);
    assert_eq!(code(write(&database, big)), ErrorCode::TooLarge);
    let small = json!([{"put": {"namespace": "n", "key": "a", "value": 1}}]);
    write(&database, small.clone()).unwrap();
    assert_eq!(code(write(&database, small)), ErrorCode::DiskFull);
    assert!(delete(&database, "a").is_some(), "what makes room may be done");
    database.close().unwrap();
    assert_eq!(code(database.get("n", "a", None)), ErrorCode::Closed);
    assert_eq!(code(write(&database, json!([{"delete": {"namespace": "n", "key": "a"}}]))), ErrorCode::Closed);
    database.close().unwrap();
}

#[test]
fn lists_come_in_pages() {
    let folder = Folder::new("pages");
    let database = open(&folder);
    for number in 0..25 {
        put(&database, &format!("k{number:02}"), json!(number));
    }
    put(&database, "other", json!(1));
    delete(&database, "k03");
    let (mut after, mut found, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = database.keys("n", "k", after.as_deref(), 7).unwrap();
        found.extend(page.keys);
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!((found.len(), pages), (24, 4));
    assert!(found.is_sorted() && !found.contains(&"k03".into()));
    write(&database, json!([{"put": {"namespace": "m", "key": "a", "value": 1}}])).unwrap();
    let first = asked(&database, json!({"namespaces": {"limit": 1}}));
    assert_eq!((&first["namespaces"][0]["name"], &first["next"]), (&json!("m"), &json!("m")));
    let second = asked(&database, json!({"namespaces": {"limit": 1, "after": "m"}}));
    assert_eq!(second, json!({"namespaces": [{"name": "n", "keys": 25, "versions": 27, "bytes": 41}], "next": null}));
}

#[test]
fn lineage_goes_both_ways() {
    let folder = Folder::new("lineage");
    let database = open(&folder);
    let cause = |key: &str, version: &str| json!({"namespace": "n", "key": key, "version": version});
    let caused = |key: &str, causes: serde_json::Value| {
        let request = json!([{"put": {"namespace": "n", "key": key, "value": 1, "causes": causes}}]);
        write(&database, request).unwrap().remove(0)[0].clone().unwrap()
    };
    let a = put(&database, "a", json!(1));
    let b = caused("b", json!([cause("a", &a)]));
    let c = caused("c", json!([cause("a", &a), cause("b", &b)]));
    let d = caused("d", json!([cause("c", &c)]));
    put(&database, "b", json!(2));
    let lineage = |key: &str, version: &str, effects: bool, depth: Option<u32>| {
        let found = asked(
            &database,
            json!({"lineage": {"namespace": "n", "key": key, "version": version, "effects": effects, "depth": depth}}),
        );
        let steps =
            found.as_array().unwrap().iter().map(|it| format!("{}{}", it["key"].as_str().unwrap(), it["steps"]));
        steps.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(lineage("d", &d, false, None), "c1 a2 b2");
    assert_eq!(lineage("a", &a, true, None), "b1 c1 d2");
    assert_eq!(lineage("a", &a, true, Some(1)), "b1 c1");
    assert_eq!(lineage("d", &d, true, None), "");
    let unknown = json!([{"put": {"namespace": "n", "key": "e", "value": 1, "causes": [cause("a", &b)]}}]);
    assert_eq!(code(write(&database, unknown)), ErrorCode::NotFound);
}

#[test]
fn times_to_live_and_long_histories_last() {
    let folder = Folder::new("last");
    {
        let database = open(&folder);
        write(&database, json!([{"put": {"namespace": "n", "key": "a", "value": 1, "ttlMs": 50}}])).unwrap();
        for batch in 0..50 {
            let requests: Vec<_> = (0..100)
                .map(|number| json!([{"put": {"namespace": "n", "key": "b", "value": batch * 100 + number}}]))
                .collect();
            let (_, failures) = database.write_text(database.place(), &json!(requests).to_string()).unwrap();
            assert!(failures.is_empty());
        }
        database.close().unwrap();
    }
    std::thread::sleep(Duration::from_millis(60));
    let database = open(&folder);
    assert_eq!(keys(&database), ["b"]);
    let history = asked(&database, json!({"history": {"namespace": "n", "key": "b"}}));
    let values = history.as_array().unwrap().iter().map(|it| it["value"].as_u64().unwrap());
    assert!(values.eq((0..5000).rev()));
}

#[test]
fn what_was_read_before_a_batch_is_not_read_after_it() {
    let folder = Folder::new("stale");
    let database = open(&folder);
    let value = |database: &Database| database.get_many([("n", "a")].into_iter(), None).unwrap();
    assert_eq!(value(&database), "[0]");
    for number in 0..3 {
        write(&database, json!([{"put": {"namespace": "n", "key": "a", "value": number}}])).unwrap();
        for _ in 0..2 {
            assert_eq!(value(&database), format!("[[{number}]]"));
        }
    }
    delete(&database, "a");
    assert_eq!(value(&database), "[0]");
    assert_eq!(code(database.get_many([("n", "")].into_iter(), None)), ErrorCode::InvalidInput);
}

#[test]
fn what_is_not_as_it_was_written_is_found() {
    let folder = Folder::new("verify");
    let database = open(&folder);
    for key in ["changed", "older", "cut", "gone"] {
        for value in 0..3 {
            put(&database, key, json!({ "value": value }));
        }
    }
    drop(database);
    // Behind the database's back.
    let store = Kv::open(&folder.0, &kv::Options::default()).unwrap();
    let (documents, history) = (store.space("documents").unwrap(), store.space("history").unwrap());
    let named = |key: &str| [b"n\0", key.as_bytes()].concat();
    let mut batch = store.batch();
    let mut bytes = documents.get(&named("changed")).unwrap().unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    batch.put(&documents, named("changed"), bytes);
    let older = |key: &str| history.prefix(&[named(key), vec![0]].concat()).map(|row| row.unwrap()).collect::<Vec<_>>();
    // The middle one of three.
    batch.remove(&history, older("older").pop().unwrap().0);
    batch.put(&history, older("cut").pop().unwrap().0, vec![1, 2, 3]);
    batch.remove(&documents, named("gone"));
    batch.put(&documents, b"no name".to_vec(), b"x".to_vec());
    batch.commit().unwrap();
    store.close().unwrap();
    drop((documents, history));

    let database = open(&folder);
    let verified = asked(&database, json!({"verify": null}));
    let problems = verified["problems"].as_array().unwrap();
    let tells = |words: &str| problems.iter().any(|problem| problem.as_str().unwrap().contains(words));
    for words in [
        "a name that is none",
        "n/changed: version",
        "is not what was written",
        "n/older: version",
        "is not the one before",
        "n/cut: a version cannot be read",
        "n: counted",
    ] {
        assert!(tells(words), "{words}: {problems:?}");
    }
}
