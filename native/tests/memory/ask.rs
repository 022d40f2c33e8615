//! Questions, views, watching, suggestions, copies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use millrace::error::{ErrorCode, HasCode};
use millrace::memory::ask::{Watch, told_events};
use millrace::memory::changes::Watcher;
use millrace::memory::{Database, Options};
use serde_json::{Value, json};

use crate::support::*;

/// Forty parts of four sites; every tenth has no weight.
fn parts(database: &Database) {
    for number in 0..40 {
        let mut value = json!({"site": format!("s{}", number % 4), "n": number, "at": {"x": number % 7}});
        if number % 10 != 0 {
            value["weight"] = json!(f64::from(number) / 2.0);
        }
        put(database, &format!("p{number:02}"), value);
    }
}

fn rows(answer: &Value) -> Vec<&str> {
    answer["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect()
}

#[test]
fn queries_filter_sort_page_and_project() {
    let folder = Folder::new("query");
    let database = open(&folder);
    parts(&database);
    let query = |query: Value| {
        let mut question = json!({"namespace": "n"});
        question.as_object_mut().unwrap().extend(query.as_object().unwrap().clone());
        asked(&database, json!({"query": question}))
    };
    assert_eq!(rows(&query(json!({"filter": {"n": {"gte": 5, "lt": 8}}}))), ["p05", "p06", "p07"]);
    assert_eq!(rows(&query(json!({"prefix": "p3", "filter": {"site": "s0"}}))), ["p32", "p36"]);
    let sorted = query(json!({"sort": [{"path": "at.x", "descending": true}, {"path": "n"}], "limit": 3, "offset": 1}));
    assert_eq!(rows(&sorted), ["p13", "p20", "p27"]);
    let next = query(
        json!({"sort": [{"path": "at.x", "descending": true}, {"path": "n"}], "limit": 3, "after": sorted["next"]}),
    );
    assert_eq!(rows(&next), ["p34", "p05", "p12"]);
    let selected = query(json!({"select": ["at.x", "none"], "limit": 1, "offset": 9}));
    assert_eq!((rows(&selected), &selected["rows"][0]["value"]), (vec!["p09"], &json!({"at": {"x": 2}})));
    let (mut after, mut found) = (json!(null), Vec::new());
    loop {
        let page = query(json!({"filter": {"site": "s1"}, "limit": 4, "after": after}));
        found.extend(rows(&page).into_iter().map(String::from));
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!((found.len(), found.is_sorted()), (10, true));
    for wrong in
        [json!({"after": "x"}), json!({"groupBy": ["a"]}), json!({"filter": {"a": {"b": 1}}}), json!({"asOf": -1})]
    {
        let mut question = json!({"namespace": "n"});
        question.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        assert_eq!(code(ask(&database, json!({"query": question}))), ErrorCode::InvalidInput, "{wrong}");
    }
}

#[test]
fn aggregates_see_all_of_it_before_any_limit() {
    let folder = Folder::new("aggregate");
    let database = open(&folder);
    parts(&database);
    let all = json!({"n": {"count": true}, "w": {"count": "weight"}, "sum": {"sum": "n"}, "avg": {"avg": "weight"},
        "min": {"min": "weight"}, "max": {"max": "site"}, "sites": {"distinct": "site"}});
    let answer = asked(&database, json!({"query": {"namespace": "n", "aggregate": all, "limit": 1, "select": ["x"]}}));
    let expected = json!({"n": 40, "w": 36, "sum": 780, "avg": 10.0, "min": 0.5, "max": "s3", "sites": 4});
    assert_eq!(answer["rows"], json!([expected]));
    let grouped = json!({"namespace": "n", "filter": {"n": {"lt": 10}}, "aggregate": {"n": {"count": true}},
        "groupBy": ["site"], "sort": [{"path": "n", "descending": true}], "limit": 3});
    let answer = asked(&database, json!({"query": &grouped}));
    assert_eq!(answer["rows"], json!([{"site": "s0", "n": 3}, {"site": "s1", "n": 3}, {"site": "s2", "n": 2}]));
    assert_eq!(answer["next"], "o:3");
    // Pages of nothing would never end.
    let mut empty = grouped;
    empty["limit"] = json!(0);
    assert_eq!(asked(&database, json!({"query": empty}))["next"], json!(null));
    let sorted = json!({"namespace": "n", "sort": [{"path": "n"}], "limit": 0});
    assert_eq!(asked(&database, json!({"query": sorted}))["next"], json!(null));
    let none = json!({"namespace": "m", "aggregate": {"n": {"count": true}, "a": {"avg": "x"}, "m": {"min": "x"}}});
    assert_eq!(asked(&database, json!({"query": none}))["rows"], json!([{"n": 0, "a": null, "m": null}]));
    for wrong in [json!({"a": {"median": "x"}}), json!({"site": {"count": true}})] {
        let wrong = json!({"namespace": "n", "aggregate": wrong, "groupBy": ["site"]});
        assert_eq!(code(ask(&database, json!({"query": wrong}))), ErrorCode::InvalidInput);
    }
}

#[test]
fn an_index_is_used_told_and_changes_no_answer() {
    let folder = Folder::new("index");
    let mut database = open(&folder);
    parts(&database);
    let filters = [
        json!({"site": "s1"}),
        json!({"site": {"in": ["s1", "s3"]}, "n": {"gt": 5}}),
        // Fewer rows have this than that, though that one is of one value.
        json!({"site": "s1", "n": {"gt": 35}}),
        json!({"n": {"gte": 5, "lt": 8}}),
        json!({"n": {"gt": 35}}),
        json!({"n": {"lte": 3.5}}),
        json!({"n": {"gt": 9, "lt": 3}}),
        json!({"n": {"gt": "a"}}),
        json!({"weight": null}),
        json!({"weight": {"in": [null, 0.5]}}),
        json!({"or": [{"site": "s1"}, {"n": 2}]}),
    ];
    let answers = |database: &Arc<Database>| -> Vec<Value> {
        filters.iter().map(|filter| asked(database, json!({"query": {"namespace": "n", "filter": filter}}))).collect()
    };
    let plain = answers(&database);
    for path in ["site", "n", "weight"] {
        asked(&database, json!({"createIndex": {"namespace": "n", "path": path}}));
    }
    for round in 0..2 {
        let indexed = answers(&database);
        for ((filter, plain), indexed) in filters.iter().zip(&plain).zip(&indexed) {
            assert_eq!(rows(plain), rows(indexed), "round {round}, {filter}");
        }
        let used: Vec<_> = indexed.iter().map(|it| it["plan"]["index"].as_str().unwrap_or("-")).collect();
        assert_eq!(used, ["site", "site", "n", "n", "n", "n", "n", "n", "-", "-", "-"]);
        assert_eq!(indexed[0]["plan"]["scanned"], 10);
        assert_eq!(indexed[2]["plan"]["scanned"], 5);
        database.close().unwrap();
        database = open(&folder);
    }
    put(&database, "p01", json!({"site": "s9"}));
    delete(&database, "p05");
    let by = |site: &str| asked(&database, json!({"query": {"namespace": "n", "filter": {"site": site}}}));
    assert_eq!(rows(&by("s9")), ["p01"]);
    assert_eq!(rows(&by("s1")).len(), 8);
    assert_eq!(asked(&database, json!({"indexes": "n"})), json!(["n", "site", "weight"]));
    asked(&database, json!({"dropIndex": {"namespace": "n", "path": "site"}}));
    assert_eq!(by("s9")["plan"]["index"], json!(null));
    assert_eq!(code(ask(&database, json!({"dropIndex": {"namespace": "n", "path": "site"}}))), ErrorCode::NotFound);
}

#[test]
fn a_query_sees_the_past_with_what_was_deleted_since() {
    let folder = Folder::new("as-of");
    let database = open(&folder);
    parts(&database);
    asked(&database, json!({"createIndex": {"namespace": "n", "path": "site"}}));
    let newest = asked(&database, json!({"history": {"namespace": "n", "key": "p39"}}));
    let then = newest[0]["time"].clone();
    delete(&database, "p01");
    put(&database, "p05", json!({"site": "s0"}));
    put(&database, "q", json!({"site": "s1"}));
    let by =
        |as_of: Value| asked(&database, json!({"query": {"namespace": "n", "filter": {"site": "s1"}, "asOf": as_of}}));
    assert_eq!(rows(&by(json!(null))).len(), 9);
    let past = by(then);
    assert_eq!((rows(&past).len(), rows(&past)[0], rows(&past)[1]), (10, "p01", "p05"));
}

#[test]
fn a_view_follows_and_looks_only_at_what_changed() {
    let folder = Folder::new("view");
    let mut database = open(&folder);
    parts(&database);
    let query = json!({"namespace": "n", "filter": {"site": "s1"}, "aggregate": {"n": {"count": true}}});
    asked(&database, json!({"createView": {"name": "v", "query": query}}));
    let view = |database: &Arc<Database>| {
        let answer = asked(database, json!({"view": "v"}));
        (answer["rows"][0]["n"].as_u64().unwrap(), answer["plan"]["scanned"].as_u64().unwrap())
    };
    assert_eq!(view(&database), (10, 40));
    assert_eq!(view(&database), (10, 0));
    put(&database, "p02", json!({"site": "s1"}));
    delete(&database, "p01");
    put(&database, "p05", json!({"site": "s2"}));
    assert_eq!(view(&database), (9, 3));
    drop(database);
    database = open(&folder);
    assert_eq!(view(&database).0, 9);
    assert_eq!(asked(&database, json!({"views": null})).as_array().unwrap().len(), 1);
    asked(&database, json!({"dropView": "v"}));
    assert_eq!(code(ask(&database, json!({"view": "v"}))), ErrorCode::NotFound);
}

fn watch(database: &Arc<Database>, wanted: Value) -> (Arc<Watcher>, Arc<AtomicUsize>) {
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    let wanted: Watch = serde_json::from_value(wanted).unwrap();
    let watcher = database.watch_asked(&wanted, move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    (watcher.unwrap(), woken)
}

fn taken(database: &Database, watcher: &Watcher, limit: usize) -> (Vec<String>, bool) {
    let (events, more) = database.take(watcher, limit).unwrap();
    let told: Value = serde_json::from_str(&told_events(&events).unwrap()).unwrap();
    let tell = |it: &Value| match &it["gap"] {
        Value::Null if it["lost"] == true => format!("{} lost", it["key"].as_str().unwrap()),
        Value::Null if it["deleted"] == true => format!("{} deleted", it["key"].as_str().unwrap()),
        Value::Null => format!("{} {}", it["key"].as_str().unwrap(), it["value"]),
        _ => "gap".into(),
    };
    (told.as_array().unwrap().iter().map(tell).collect(), more)
}

#[test]
fn what_one_batch_did_is_told_in_the_order_in_which_it_was_asked_for() {
    let folder = Folder::new("order");
    let database = open(&folder);
    let (all, _) = watch(&database, json!({}));
    let one = |key: &str, value: u32| json!({"put": {"namespace": "n", "key": key, "value": value}});
    let first = write(&database, json!([one("c", 1), one("a", 2)])).unwrap();
    let gone = json!({"delete": {"namespace": "n", "key": "never"}});
    let second = write(&database, json!([one("c", 3), gone, one("b", 4), one("a", 5)])).unwrap();
    let previous: Vec<_> = second.iter().map(|[_, previous]| previous.clone()).collect();
    assert_eq!(previous, [first[0][0].clone(), None, None, first[1][0].clone()]);
    assert_eq!(second.iter().map(|[version, _]| version.is_some()).collect::<Vec<_>>(), [true, false, true, true]);
    assert_eq!(taken(&database, &all, 100).0, ["c 1", "a 2", "c 3", "b 4", "a 5"]);
    assert_eq!(["a", "b", "c"].map(|key| get(&database, key)), [Some(json!(5)), Some(json!(4)), Some(json!(3))]);
}

#[test]
fn a_watcher_hears_every_put_resumes_and_is_told_what_it_missed() {
    let folder = Folder::new("watch");
    let options = Options { changes_kept: 20, ..sync() };
    let mut database = Database::open(&folder.0, options.clone()).unwrap();
    let (all, woken) = watch(&database, json!({}));
    let (some, _) = watch(&database, json!({"namespace": "n", "prefix": "b", "filter": {"v": {"gt": 1}}}));
    let first = put(&database, "a", json!({"v": 1}));
    put(&database, "b1", json!({"v": 1}));
    put(&database, "b2", json!({"v": 2}));
    delete(&database, "b1");
    write(&database, json!([{"put": {"namespace": "m", "key": "b", "value": {"v": 5}}}])).unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 1, "once, until it looks");
    assert_eq!(taken(&database, &all, 2), (vec![r#"a {"v":1}"#.into(), r#"b1 {"v":1}"#.into()], true));
    assert_eq!(taken(&database, &all, 10).0, [r#"b2 {"v":2}"#, "b1 deleted", r#"b {"v":5}"#]);
    assert_eq!(taken(&database, &all, 10), (vec![], false));
    assert_eq!(taken(&database, &some, 10).0, [r#"b2 {"v":2}"#, "b1 deleted"]);
    // Closing and opening does not matter to who resumes.
    database.close().unwrap();
    database = Database::open(&folder.0, options).unwrap();
    let (resumed, _) = watch(&database, json!({"since": first, "namespace": "n"}));
    assert_eq!(taken(&database, &resumed, 10).0.len(), 3);
    let (late, _) = watch(&database, json!({"since": first}));
    for number in 0..60 {
        put(&database, "c", json!(number));
    }
    asked(&database, json!({"retain": {"namespace": "n", "retention": {"versions": 2}}}));
    asked(&database, json!({"compact": null}));
    let (events, more) = taken(&database, &late, 100);
    assert_eq!((events[0].as_str(), more), ("gap", false));
    // The log may be a tenth longer than what is kept, where it was cut meanwhile.
    assert!((21..=23).contains(&events.len()), "{}", events.len());
    assert_eq!(events[1..].iter().filter(|it| *it == "c lost").count(), events.len() - 3);
    assert_eq!(events.last().map(String::as_str), Some("c 59"));
    drop(late);
    assert_eq!(woken.load(Ordering::Relaxed), 2, "closing wakes, and nothing after it");
}

#[test]
fn a_watcher_takes_a_few_of_what_is_large() {
    let folder = Folder::new("watch-large");
    let database = open(&folder);
    let (watcher, _) = watch(&database, json!({}));
    for number in 0..20 {
        put(&database, &format!("k{number:02}"), json!("x".repeat(1 << 20)));
    }
    let (mut all, mut more) = (Vec::new(), true);
    while more {
        let (some, left) = database.take(&watcher, 500).unwrap();
        assert!((1..=8).contains(&some.len()), "{}", some.len());
        (all, more) = ([all, some].concat(), left);
    }
    assert_eq!(all.len(), 20);
}

#[test]
fn near_names_are_suggested_in_small_and_large_namespaces() {
    let folder = Folder::new("suggest");
    let database = Database::open(&folder.0, Options::default()).unwrap();
    put(&database, "temperature", json!(1));
    put(&database, "pressure", json!(1));
    put(&database, "gone", json!(1));
    delete(&database, "gone");
    let suggested = |namespace: &str, key: &str| -> Vec<String> {
        let found = asked(&database, json!({"suggestions": {"namespace": namespace, "key": key}}));
        found
            .as_array()
            .unwrap()
            .iter()
            .map(|it| format!("{}/{}", it["namespace"].as_str().unwrap(), it["key"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(suggested("n", "temprature"), ["n/temperature"]);
    assert_eq!(suggested("n", "PRESSURE"), ["n/pressure"]);
    assert_eq!(suggested("n", "press"), ["n/pressure"]);
    assert_eq!(suggested("n", "gonee"), [""; 0], "not what is deleted");
    assert_eq!(suggested("m", "pressure"), ["n/pressure"], "another namespace");
    let count = if std::env::var("MILLRACE_LONG").is_ok() { 1_000_000 } else { 20_000 };
    for begin in (0..count).step_by(1000) {
        let puts: Vec<_> = (begin..begin + 1000)
            .map(|number| json!({"put": {"namespace": "big", "key": format!("sensor-{number:07}-kitchen"), "value": number}}))
            .collect();
        write(&database, json!(puts)).unwrap();
    }
    let start = Instant::now();
    suggested("big", "sensr-0000123-kitchen");
    while !database.suggestions_ready("big") {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(suggested("big", "snsor-0000123-kitchen")[0], "big/sensor-0000123-kitchen");
    assert_eq!(suggested("big", "sensor-0000123-kitchne"), ["big/sensor-0000123-kitchen"]);
    assert_eq!(suggested("big", "sensor-0000123-kitche").len(), 3, "others are two edits away");
    write(&database, json!([{"put": {"namespace": "big", "key": "entirely-new", "value": 1}}])).unwrap();
    assert_eq!(suggested("big", "entirly-new"), ["big/entirely-new"], "also what came since");
}

#[test]
fn copies_are_whole_and_open_by_themselves() {
    let (folder, backup, target) = (Folder::new("copied"), Folder::new("backup"), Folder::new("restored"));
    let database = open(&folder);
    parts(&database);
    delete(&database, "p00");
    put(&database, "p01", json!("new"));
    let text = |folder: &Folder| folder.0.to_str().unwrap().to_owned();
    let copied = asked(&database, json!({"backup": text(&backup)}));
    assert_eq!(copied, json!({"documents": 40, "versions": 42}));
    put(&database, "later", json!(1));
    Database::restore_backup(&backup.0, &target.0).unwrap();
    let restored = open(&target);
    assert_eq!((get(&restored, "later"), get(&restored, "p01")), (None, Some(json!("new"))));
    assert_eq!(asked(&restored, json!({"verify": null}))["problems"], json!([]));
    assert_eq!(asked(&restored, json!({"history": {"namespace": "n", "key": "p00"}})).as_array().unwrap().len(), 2);

    let lines = target.0.join("export.ndjson");
    let path = lines.to_str().unwrap();
    assert_eq!(asked(&database, json!({"export": {"path": path, "history": true}}))["versions"], 43);
    let imported = Folder::new("imported");
    let other = open(&imported);
    assert_eq!(asked(&other, json!({"import": path}))["versions"], 43);
    assert_eq!(keys(&other), keys(&database));
    assert_eq!(asked(&other, json!({"history": {"namespace": "n", "key": "p00"}}))[0]["deleted"], true);
    std::fs::write(&lines, "{\"namespace\":\"n\",\"key\":\"x\"}\n").unwrap();
    assert_eq!(code(ask(&other, json!({"import": path}))), ErrorCode::InvalidInput);
    assert_eq!(code(ask(&other, json!({"import": "/no/such/file"}))), ErrorCode::StoreFailed);
    let deep = [vec!["["; 300], vec!["]"; 300]].concat().concat();
    std::fs::write(&lines, format!("{{\"namespace\":\"n\",\"key\":\"deep\",\"value\":{deep}}}\n")).unwrap();
    assert_eq!(code(ask(&other, json!({"import": path}))), ErrorCode::InvalidInput, "no question would find it");
}

#[test]
fn a_copy_takes_no_place_of_something_else() {
    let (folder, taken, new) = (Folder::new("copying"), Folder::new("taken"), Folder::new("copy"));
    let database = open(&folder);
    put(&database, "a", json!(1));
    std::fs::create_dir_all(&taken.0).unwrap();
    let file = taken.0.join("file");
    std::fs::write(&file, "mine").unwrap();
    let refused = |target: &std::path::Path| {
        let error = ask(&database, json!({"backup": target})).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
        assert!(error.to_string().contains(target.to_str().unwrap()), "{error}");
        assert!(error.to_string().contains("new or empty"), "{error}");
    };
    refused(&taken.0);
    refused(&file);
    let below = file.join("copy");
    assert_eq!(code(ask(&database, json!({"backup": below}))), ErrorCode::StoreFailed, "no folder can be made there");
    // Beside it stands what has the name of an unfinished one.
    let partial = Folder(new.0.with_extension("partial"));
    std::fs::create_dir_all(&partial.0).unwrap();
    std::fs::write(partial.0.join("mine"), "").unwrap();
    let error = ask(&database, json!({"backup": new.0})).unwrap_err();
    assert!(error.to_string().contains("partial: there is something already"), "{error}");
    assert!(partial.0.join("mine").exists());
    // One that is made at this moment, and one that was cut short.
    std::fs::remove_file(partial.0.join("mine")).unwrap();
    let other = open(&partial);
    assert_eq!(code(ask(&database, json!({"backup": new.0}))), ErrorCode::StoreLocked);
    other.close().unwrap();
    asked(&database, json!({"backup": new.0}));
    assert!(!partial.0.exists());
    assert_eq!(std::fs::read_dir(&taken.0).unwrap().count(), 1, "nothing was left behind");

    let error = Database::restore_backup(&taken.0, &Folder::new("restored-none").0).err().unwrap();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
    assert!(error.to_string().contains(taken.0.to_str().unwrap()), "{error}");
    assert_eq!(code(Database::restore_backup(&new.0, &folder.0)), ErrorCode::InvalidInput, "a store is there");
    assert_eq!(code(ask(&database, json!({"export": {"path": taken.0}}))), ErrorCode::StoreFailed);
    assert!(!taken.0.with_extension("partial").exists());
}

#[test]
fn an_import_takes_all_lines_or_says_which_one_it_cannot_read() {
    let folder = Folder::new("importing");
    let database = open(&folder);
    let file = folder.0.join("lines.ndjson");
    let line = |number: usize| format!("{{\"namespace\":\"n\",\"key\":\"k{number}\",\"value\":null}}\r\n");
    let many: String = (0..5_000).map(line).collect();
    let harms: [&[u8]; 5] = [
        b"{\"namespace\":\"n\",\"key\":\"x\",\"val",
        b"{\"namespace\":\"n\",\"key\":\"\",\"value\":1}",
        b"{\"namespace\":\"n\",\"key\":\"x\"}",
        b"{\"namespace\":\"n\",\"key\":\"x\",\"value\":null,\"deleted\":true}",
        b"{\"namespace\":\"n\",\"key\":\"\xff\",\"value\":1}",
    ];
    for harm in harms {
        std::fs::write(&file, [many.as_bytes(), harm, b"\n", line(1).as_bytes()].concat()).unwrap();
        let error = ask(&database, json!({"import": file})).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput);
        assert!(error.to_string().starts_with("line 5001: "), "{error}");
        assert_eq!(keys(&database), Vec::<String>::new());
    }
    std::fs::write(&file, format!("\u{feff}{many}\n")).unwrap();
    assert_eq!(asked(&database, json!({"import": file}))["versions"], 5_000);
    assert_eq!(get(&database, "k0"), Some(json!(null)), "a value like others");
    asked(&database, json!({"export": {"path": file}}));
    assert_eq!(asked(&database, json!({"import": file}))["versions"], 5_000);
}

#[test]
fn what_expires_does_so_in_an_import_too() {
    let (folder, imported) = (Folder::new("expiring"), Folder::new("expiring-imported"));
    let database = open(&folder);
    let put = |key: &str, ms: f64| json!({"put": {"namespace": "n", "key": key, "value": 1, "ttlMs": ms}});
    write(&database, json!([put("brief", 50.0), put("long", 3_600_000.0)])).unwrap();
    let lines = folder.0.join("export.ndjson");
    let path = lines.to_str().unwrap();
    let history = |database, key| asked(database, json!({"history": {"namespace": "n", "key": key}}))[0].clone();
    let ends = history(&database, "long")["expires"].as_f64().unwrap();
    asked(&database, json!({"export": {"path": path, "history": true}}));
    while get(&database, "brief").is_some() {
        std::thread::yield_now();
    }
    let other = open(&imported);
    asked(&other, json!({"import": path}));
    assert!((history(&other, "long")["expires"].as_f64().unwrap() - ends).abs() < 1.0);
    while get(&other, "brief").is_some() {
        assert!(history(&other, "brief")["expires"].is_number(), "it would stay");
    }
    assert_eq!(keys(&other), ["long"]);
}
