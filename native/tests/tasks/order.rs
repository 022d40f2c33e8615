//! What goes next, and what has to wait.

use millrace::error::{ErrorCode, HasCode};
use millrace::tasks::{Options, WorkerOptions};
use serde_json::json;

use crate::support::{Rig, Taken};

fn names(taken: &[Taken]) -> Vec<&str> {
    taken.iter().map(Taken::name).collect()
}

#[test]
fn priorities_first_then_the_order_of_sending_over_all_queues_and_names() {
    let mut rig = Rig::new();
    for (name, queue, priority) in
        [("a", "x", 5), ("b", "y", 9), ("c", "x", 0), ("d", "y", 5), ("e", "x", 9), ("a", "x", 5)]
    {
        rig.send(name, json!({ "queue": queue, "priority": priority }));
    }
    rig.restart();
    let worker = rig.worker(10);
    assert_eq!(names(&rig.take(worker)), ["b", "e", "a", "d", "a", "c"]);
}

#[test]
fn the_lowest_priority_does_not_starve() {
    let mut rig = Rig::new();
    let worker = rig.worker(1);
    rig.send("low", json!({ "priority": 0 }));
    rig.send("middle", json!({ "priority": 4 }));
    let mut seen = Vec::new();
    for _ in 0..80 {
        // There is always more of the highest than the worker can do.
        rig.send("high", json!({ "priority": 9 }));
        rig.send("high", json!({ "priority": 9 }));
        let taken = rig.take_one(worker);
        seen.push(taken.name().to_owned());
        rig.done(&taken, json!(null));
    }
    let place = |name: &str| seen.iter().position(|it| it == name);
    assert!(place("low").is_some_and(|at| at > 10) && place("middle").is_some_and(|at| at > 10), "{seen:?}");
    assert!(seen.iter().filter(|name| *name == "high").count() >= 78);
}

#[test]
fn workers_get_what_they_ask_for_and_share_it() {
    let mut rig = Rig::new();
    let options = |queues: &[&str], tasks: &[&str], prefetch| WorkerOptions {
        queues: queues.iter().map(|it| (*it).to_owned()).collect(),
        tasks: tasks.iter().map(|it| (*it).to_owned()).collect(),
        prefetch,
        ..WorkerOptions::default()
    };
    let mails = rig.worker_with(options(&["mail*"], &[], 10));
    let adds = rig.worker_with(options(&["math"], &["add"], 10));
    for (name, queue) in [("send", "mail"), ("send", "mail.bulk"), ("add", "math"), ("mul", "math"), ("x", "other")] {
        rig.send(name, json!({ "queue": queue }));
    }
    assert_eq!(names(&rig.take(mails)), ["send", "send"]);
    assert_eq!(names(&rig.take(adds)), ["add"]);
    let one = rig.worker(2);
    let two = rig.worker(2);
    rig.send("y", json!({}));
    rig.send("y", json!({}));
    rig.turn();
    let (one, two) = (rig.take(one), rig.take(two));
    assert_eq!((one.len(), two.len()), (2, 2), "in turn");
}

#[test]
fn no_more_than_the_prefetch_are_out() {
    let mut rig = Rig::new();
    let worker = rig.worker(3);
    for _ in 0..5 {
        rig.send("a", json!({}));
    }
    let taken = rig.take(worker);
    assert_eq!(taken.len(), 3);
    rig.done(&taken[1], json!(null));
    assert_eq!(rig.take(worker).len(), 1);
    let error = WorkerOptions { prefetch: 0, ..WorkerOptions::default() };
    let now = rig.now;
    assert_eq!(rig.engine().open_worker(error, now).unwrap_err().code(), ErrorCode::InvalidOption);
}

#[test]
fn a_queue_s_limit_holds_over_all_workers() {
    let mut rig = Rig::new();
    rig.control(json!({ "op": "limit", "queue": "default", "max": 2 }));
    rig.restart();
    let (one, two) = (rig.worker(5), rig.worker(5));
    for _ in 0..6 {
        rig.send("a", json!({}));
    }
    rig.turn();
    let mut out: Vec<Taken> = rig.take(one);
    out.extend(rig.take(two));
    assert_eq!(out.len(), 2);
    rig.done(&out[0], json!(null));
    let more = rig.take(one).len() + rig.take(two).len();
    assert_eq!(more, 1);
    rig.control(json!({ "op": "limit", "queue": "default", "max": null }));
    assert_eq!(rig.take(one).len() + rig.take(two).len(), 3);
}

#[test]
fn a_pause_holds_a_queue_and_outlives_a_restart() {
    let mut rig = Rig::new();
    rig.control(json!({ "op": "pause", "queue": "a" }));
    rig.crash();
    let worker = rig.worker(10);
    rig.send("t", json!({ "queue": "a" }));
    rig.send("t", json!({ "queue": "b" }));
    assert_eq!(rig.take_one(worker).queue, "b");
    rig.control(json!({ "op": "resume", "queue": "a" }));
    assert_eq!(rig.take_one(worker).queue, "a");
}

/// How many began in each of some steps of time.
fn starts(rig: &mut Rig, worker: u32, steps: usize, ms: i64) -> Vec<usize> {
    (0..steps)
        .map(|_| {
            let mut begun = 0;
            let until = rig.now + ms;
            while rig.now < until {
                rig.pass(1);
                for taken in rig.take(worker) {
                    begun += 1;
                    rig.done(&taken, json!(null));
                }
            }
            begun
        })
        .collect()
}

#[test]
fn rates_of_tasks_queues_and_workers() {
    for (scope, name) in [("task", "t"), ("queue", "q")] {
        let mut rig = Rig::new();
        let rate = json!({ "perSecond": 20, "burst": 2 });
        rig.control(json!({ "op": "rateLimit", "scope": scope, "name": name, "rate": rate }));
        rig.restart();
        let worker = rig.worker(100);
        for _ in 0..20 {
            rig.send("t", json!({ "queue": "q" }));
        }
        rig.send("other", json!({ "queue": "other" }));
        // Two at once, the other beside them, then one each 50 ms.
        assert_eq!(starts(&mut rig, worker, 3, 100), [2 + 1 + 2, 2, 2], "{scope}");
        rig.control(json!({ "op": "rateLimit", "scope": scope, "name": name, "rate": null }));
        assert_eq!(starts(&mut rig, worker, 1, 1), [12]);
    }
    let mut rig = Rig::new();
    let rate = Some(millrace::tasks::Rate { per_second: 10.0, burst: Some(1.0) });
    let worker = rig.worker_with(WorkerOptions { prefetch: 100, rate, ..WorkerOptions::default() });
    for _ in 0..10 {
        rig.send("t", json!({}));
    }
    assert_eq!(starts(&mut rig, worker, 2, 200), [1 + 2, 2]);
    let wrong = json!({ "op": "rateLimit", "scope": "key", "name": "k", "rate": { "perSecond": 0 } });
    assert_eq!(rig.try_control(wrong).unwrap_err().code(), ErrorCode::InvalidOption);
}

#[test]
fn rates_of_keys_hold_nobody_else_up() {
    let mut rig = Rig::new();
    let worker = rig.worker(100);
    let limit =
        |name: &str, rate: serde_json::Value| json!({ "op": "rateLimit", "scope": "key", "name": name, "rate": rate });
    rig.control(limit("*", json!({ "perSecond": 10, "burst": 1 })));
    rig.control(limit("fast", json!({ "perSecond": 1_000_000 })));
    for _ in 0..5 {
        for key in ["a", "b", "fast"] {
            rig.send(key, json!({ "rateKey": key }));
        }
    }
    rig.send("none", json!({}));
    let first: Vec<String> = rig.take(worker).iter().map(|it| it.name().to_owned()).collect();
    let count = |name: &str| first.iter().filter(|it| *it == name).count();
    assert_eq!((count("a"), count("b"), count("fast"), count("none")), (1, 1, 5, 1));
    rig.pass(99);
    assert_eq!(rig.take(worker).len(), 0);
    rig.pass(1);
    assert_eq!(rig.take(worker).len(), 2);
    rig.control(limit("*", json!(null)));
    assert_eq!(rig.take(worker).len(), 6, "the rest, of all keys");
}

#[test]
fn a_rate_may_change_while_it_holds() {
    for (scope, name, extra) in [("task", "t", json!({})), ("key", "*", json!({ "rateKey": "k" }))] {
        let mut rig = Rig::new();
        let worker = rig.worker(100);
        let limit = |rate: serde_json::Value| json!({ "op": "rateLimit", "scope": scope, "name": name, "rate": rate });
        // What was never limited may be set free.
        rig.control(limit(json!(null)));
        rig.control(limit(json!({ "perSecond": 10, "burst": 1 })));
        for _ in 0..12 {
            rig.send("t", extra.clone());
        }
        assert_eq!(starts(&mut rig, worker, 2, 100), [1 + 1, 1], "{scope}");
        rig.control(limit(json!({ "perSecond": 100, "burst": 1 })));
        assert_eq!(starts(&mut rig, worker, 1, 100)[0], 9, "{scope}");
    }
}

#[test]
fn routes_give_tasks_their_queues() {
    let routes = serde_json::from_value(json!([
        { "match": "mail.*", "queue": "mails" },
        { "match": "mail.now", "queue": "fast" },
    ]));
    let mut rig = Rig::with(Options { routes: routes.unwrap(), ..Options::default() }, 1);
    let worker = rig.worker(10);
    for name in ["mail.send", "mail.now", "other"] {
        rig.send(name, json!({}));
    }
    rig.send("mail.send", json!({ "queue": "mine" }));
    let queues: Vec<String> = rig.take(worker).into_iter().map(|taken| taken.queue).collect();
    assert_eq!(queues, ["mails", "fast", "default", "mine"]);
}

#[test]
fn messages_beyond_the_cache_come_from_the_disk() {
    let mut rig = Rig::with(Options { cache_bytes: 1_000, ..Options::default() }, 1);
    let ids: Vec<String> = (0..200).map(|n| rig.send("a", json!({ "args": [n] }))).collect();
    rig.turn();
    assert!(rig.control(json!({ "op": "stats" }))["cachedBytes"].as_u64().unwrap() <= 1_200);
    let worker = rig.worker(7);
    let mut taken_ids = Vec::new();
    loop {
        let taken = rig.take(worker);
        if taken.is_empty() {
            break;
        }
        for taken in taken {
            assert_eq!(taken.message["args"][0], taken_ids.len());
            taken_ids.push(taken.id());
            rig.done(&taken, json!(null));
        }
    }
    assert_eq!(taken_ids, ids);
    assert_eq!(rig.control(json!({ "op": "stats" }))["cachedBytes"], 0);
}
