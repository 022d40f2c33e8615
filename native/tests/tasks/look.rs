//! What people see: lists, counts, events; and what is sent again and again.

use millrace::error::{ErrorCode, HasCode};
use millrace::tasks::{Options, Report, WorkerOptions};
use serde_json::{Value, json};

use crate::support::{Rig, START};

#[test]
fn lists_pages_and_counts() {
    let mut rig = Rig::new();
    let worker = rig.worker(1);
    let ids: Vec<String> = (0..25)
        .map(|n| {
            rig.now += 1;
            rig.send(["a", "b"][n % 2], json!({ "queue": (["x", "y", "z"][n % 3]) }))
        })
        .collect();
    rig.send("a", json!({ "eta": START + 90_000 }));
    let mut seen = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = rig.control(json!({ "op": "list", "limit": 10, "after": after }));
        seen.extend(page["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()));
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(seen[..25], ids);
    let list = |rig: &mut Rig, filter: Value| {
        let mut command = json!({ "op": "list" });
        command.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        rig.control(command)["tasks"].as_array().unwrap().len()
    };
    assert_eq!(list(&mut rig, json!({ "queue": "x", "name": "a" })), 5);
    assert_eq!(list(&mut rig, json!({ "state": "scheduled" })), 1);
    assert_eq!(rig.control(json!({ "op": "count", "queue": "x" }))["pending"], 8);
    assert_eq!(rig.control(json!({ "op": "count", "name": "b", "queue": "y" }))["pending"], 4);
    for _ in 0..12 {
        rig.now += 1;
        let taken = rig.take_one(worker);
        rig.done(&taken, json!(1));
    }
    let page = rig.control(json!({ "op": "list", "state": "success", "name": "a", "limit": 4 }));
    let next = page["next"].clone();
    let more = rig.control(json!({ "op": "list", "state": "success", "name": "a", "limit": 4, "after": next }));
    let found: Vec<&Value> =
        [&page, &more].iter().flat_map(|page| page["tasks"].as_array().unwrap()).map(|it| &it["id"]).collect();
    let wanted: Vec<&String> = ids[..12].iter().step_by(2).rev().collect();
    assert_eq!(json!(found), json!(wanted), "the youngest first");
    for after in ["x", "-"] {
        for state in ["pending", "success", "dead"] {
            let error = rig.try_control(json!({ "op": "list", "state": state, "after": after })).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidOption);
        }
    }
}

#[test]
fn a_failure_before_many_successes_is_on_the_first_page() {
    let mut rig = Rig::new();
    let worker = rig.worker(100);
    let failed = rig.send("a", json!({ "retry": { "giveUpOn": ["Error"] } }));
    let taken = rig.take_one(worker);
    rig.fail(&taken, "Error");
    let called_off = rig.send("a", json!({ "queue": "off", "resultTtlMs": 60_000 }));
    rig.control(json!({ "op": "revoke", "id": called_off }));
    rig.now += 1;
    for _ in 0..60 {
        (0..100).for_each(|_| drop(rig.send("a", json!({}))));
        for taken in rig.take(worker) {
            rig.done(&taken, json!(1));
        }
    }
    let list = |rig: &mut Rig, more: Value| {
        let mut command = json!({ "op": "list" });
        command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let page = rig.control(command);
        let ids = page["tasks"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), page["next"].clone())
    };
    for _ in 0..2 {
        assert_eq!(list(&mut rig, json!({ "state": "failure" })), (vec![failed.clone()], Value::Null));
        assert_eq!(list(&mut rig, json!({ "state": "revoked" })), (vec![called_off.clone()], Value::Null));
        assert_eq!(list(&mut rig, json!({ "state": "failure", "after": failed })), (vec![], Value::Null));
        rig.crash();
    }
    rig.pass(62_000);
    assert_eq!(list(&mut rig, json!({ "state": "revoked" })), (vec![], Value::Null));
}

#[test]
fn queues_workers_and_figures() {
    let mut rig = Rig::new();
    let options =
        WorkerOptions { name: "w1".into(), prefetch: 2, queues: vec!["q".into()], ..WorkerOptions::default() };
    let worker = rig.worker_with(options);
    for _ in 0..5 {
        rig.send("t", json!({ "queue": "q" }));
    }
    rig.pass(2_000);
    let taken = rig.take(worker);
    rig.done(&taken[0], json!(1));
    let queues = rig.control(json!({ "op": "queues" }));
    let queue = &queues[0];
    assert_eq!((&queue["name"], &queue["pending"], &queue["running"]), (&json!("q"), &json!(2), &json!(2)));
    assert_eq!((&queue["oldestAgeMs"], &queue["finished"]), (&json!(2_000), &json!(1)));
    assert!(queue["perSecond"].as_f64().unwrap() > 0.0);
    rig.pass(61_000);
    assert_eq!(rig.control(json!({ "op": "queues" }))[0]["perSecond"], 0.0);
    let workers = rig.control(json!({ "op": "workers" }));
    assert_eq!(
        (&workers[0]["name"], &workers[0]["running"], &workers[0]["finished"]),
        (&json!("w1"), &json!(2), &json!(1))
    );
    assert_eq!(rig.control(json!({ "op": "purge", "queue": "q" })), json!({ "purged": 2 }));
    assert_eq!(rig.control(json!({ "op": "stats" }))["live"], 2);
    for name in ["", &"x".repeat(70_000)] {
        for command in [
            json!({ "op": "pause", "queue": name }),
            json!({ "op": "limit", "queue": name, "max": 1 }),
            json!({ "op": "rateLimit", "scope": "key", "name": name, "rate": null }),
            json!({ "op": "schedule", "name": name, "schedule": { "everyMs": 1000 }, "message": { "name": "a" } }),
        ] {
            assert_eq!(rig.try_control(command).unwrap_err().code(), ErrorCode::InvalidOption);
        }
    }
    for command in [json!({ "op": "nothing" }), json!({}), json!({ "op": "pause" }), json!(5)] {
        assert_eq!(rig.try_control(command).unwrap_err().code(), ErrorCode::InvalidOption);
    }
}

fn events(rig: &mut Rig) -> Vec<String> {
    rig.turn();
    let events = rig.engine().take_events(1_000);
    events
        .iter()
        .map(|text| serde_json::from_str::<Value>(text).unwrap()["event"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn events_tell_every_step() {
    let mut rig = Rig::new();
    rig.send("unheard", json!({ "queue": "silent" }));
    let now = rig.now;
    rig.engine().want_events(true, now);
    let options = WorkerOptions { name: "w".into(), queues: vec!["default".into()], ..WorkerOptions::default() };
    let worker = rig.worker_with(options);
    rig.send("a\"b", json!({ "maxRetries": 1, "retry": { "delayMs": 5, "jitter": "none" } }));
    let taken = rig.take_one(worker);
    rig.report(taken.token, Report::Started, "");
    rig.report(taken.token, Report::Progress, "0.5");
    rig.fail(&taken, "Error");
    rig.pass(5);
    let taken = rig.take_one(worker);
    rig.fail(&taken, "Error");
    let id = rig.send("c", json!({ "eta": START + 99_000 }));
    rig.control(json!({ "op": "revoke", "id": id }));
    let soon = rig.now + 5;
    rig.send("c", json!({ "eta": START + 99_000, "expires": soon }));
    rig.pass(5);
    rig.send("ok", json!({}));
    let taken = rig.take_one(worker);
    rig.done(&taken, json!(1));
    rig.send("bad", json!({ "retry": { "giveUpOn": ["Error"] } }));
    let taken = rig.take_one(worker);
    rig.fail(&taken, "Error");
    assert_eq!(
        events(&mut rig),
        [
            "worker-online",
            "sent",
            "received",
            "started",
            "progress",
            "retried",
            "received",
            "dead",
            "sent",
            "revoked",
            "sent",
            "expired",
            "sent",
            "received",
            "started",
            "succeeded",
            "sent",
            "received",
            "failed",
        ]
    );
    rig.pass(10_000);
    assert_eq!(events(&mut rig), ["worker-heartbeat"]);
    let now = rig.now;
    rig.engine().close_worker(worker, now).unwrap();
    assert_eq!(events(&mut rig), ["worker-offline"]);
    rig.engine().want_events(false, now);
    rig.send("d", json!({}));
    assert!(events(&mut rig).is_empty());
}

#[test]
fn events_are_bounded_and_those_that_gave_way_are_counted() {
    let mut rig = Rig::with(Options { max_events: 3, ..Options::default() }, 1);
    let now = rig.now;
    rig.engine().want_events(true, now);
    for _ in 0..5 {
        rig.send("a", json!({}));
    }
    assert_eq!((events(&mut rig).len(), rig.engine().events_dropped()), (3, 2));
}

#[test]
fn periodic_tasks_fire_once_a_time_and_outlive_restarts() {
    let mut rig = Rig::new();
    let worker = rig.worker(100);
    let every = json!({ "op": "schedule", "name": "beat", "schedule": { "everyMs": 1000 }, "message": { "name": "t", "args": [1] } });
    assert_eq!(rig.control(every.clone()), json!({ "nextAt": START + 1_000 }));
    rig.pass(3_500);
    let taken = rig.take(worker);
    assert_eq!((taken.len(), &taken[0].message["args"]), (3, &json!([1])));
    rig.control(every);
    rig.restart();
    // Missed ones are one.
    rig.now += 60_000;
    let worker = rig.worker(100);
    rig.turn();
    let taken: Vec<_> =
        rig.take(worker).into_iter().filter(|taken| taken.retries == 0 && taken.deliveries == 1).collect();
    assert_eq!(taken.len(), 4, "three given back, and one for all that were missed");
    rig.pass(1_000);
    assert_eq!(rig.take(worker).len(), 1);
    let list = rig.control(json!({ "op": "schedules" }));
    assert_eq!((&list[0]["name"], &list[0]["schedule"]), (&json!("beat"), &json!({ "everyMs": 1000.0 })));
    rig.control(json!({ "op": "unschedule", "name": "beat" }));
    let error = rig.try_control(json!({ "op": "unschedule", "name": "beat" })).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    rig.crash();
    assert_eq!(rig.control(json!({ "op": "schedules" })), json!([]));

    let cron = json!({ "op": "schedule", "name": "c", "schedule": { "cron": "0 * * * *", "tz": "Asia/Tokyo" }, "message": { "name": "t" } });
    let next = rig.control(cron)["nextAt"].as_i64().unwrap();
    assert!(next > rig.now && next % 3_600_000 == 0);
    for (schedule, message) in [
        (json!({ "cron": "x" }), json!({ "name": "t" })),
        (json!({ "everyMs": 1000 }), json!({})),
        (json!({ "everyMs": 1000 }), json!({ "name": "t", "priority": 12 })),
    ] {
        let command = json!({ "op": "schedule", "name": "bad", "schedule": schedule, "message": message });
        assert!(rig.try_control(command).is_err());
    }
}

#[test]
fn the_oldest_of_a_queue_is_among_the_first_of_its_lanes() {
    let mut rig = Rig::new();
    let age = |rig: &mut Rig| rig.control(json!({ "op": "queues" }))[0]["oldestAgeMs"].clone();
    let send = |rig: &mut Rig, name: &str, more: Value| {
        let mut options = json!({ "queue": "q" });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let id = rig.send(name, options);
        rig.pass(1_000);
        id
    };
    let first = send(&mut rig, "a", json!({}));
    let second = send(&mut rig, "a", json!({}));
    let third = send(&mut rig, "b", json!({ "priority": 9 }));
    let fourth = send(&mut rig, "b", json!({ "priority": 1 }));
    assert_eq!(age(&mut rig), 4_000);
    // What is called off stays where it waited until somebody looks there.
    for (id, left) in [(&first, json!(3_000)), (&second, json!(2_000)), (&third, json!(1_000)), (&fourth, Value::Null)]
    {
        rig.control(json!({ "op": "revoke", "id": id }));
        assert_eq!(age(&mut rig), left);
    }
    // One whose key has no token waits beside its lane; one whose time has not come does not wait.
    rig.control(json!({ "op": "rateLimit", "scope": "key", "name": "k", "rate": { "perSecond": 0.001, "burst": 1 } }));
    let worker = rig.worker(3);
    send(&mut rig, "a", json!({ "rateKey": "k" }));
    send(&mut rig, "a", json!({ "rateKey": "k" }));
    let later = rig.now + 90_000;
    send(&mut rig, "a", json!({ "eta": later }));
    assert_eq!(rig.take(worker).len(), 1);
    assert_eq!(age(&mut rig), 2_000);
}

#[test]
fn a_result_says_the_same_however_it_is_kept() {
    let mut rig = Rig::new();
    let worker = rig.worker_with(WorkerOptions { name: "w \"1\"".into(), ..WorkerOptions::default() });
    let id = rig.send("t", json!({ "queue": "q" }));
    let sent = rig.now;
    rig.pass(5);
    let taken = rig.take_one(worker);
    rig.pass(7);
    rig.done(&taken, json!({ "a": [1, "é"] }));
    let whole = json!({
        "id": id, "state": "success", "name": "t", "queue": "q", "result": { "a": [1, "é"] }, "error": null,
        "createdAt": sent, "startedAt": sent, "completedAt": sent + 12, "runtimeMs": 12, "retries": 0,
        "workerId": "w \"1\"", "progress": null
    });
    assert_eq!(rig.get(&id), whole);
    assert_eq!(rig.watched(&id), Some(whole.clone()));
    rig.restart();
    assert_eq!(rig.get(&id), whole);
    assert_eq!(rig.control(json!({ "op": "list", "state": "success" }))["tasks"], json!([whole]));
    // With more to say it is kept as it is told.
    let worker = rig.worker(1);
    let other = rig.send("t", json!({ "queue": "q" }));
    let taken = rig.take_one(worker);
    rig.report(taken.token, Report::Progress, "0.5");
    rig.done(&taken, json!(1));
    let told = rig.get(&other);
    assert_eq!((&told["result"], &told["progress"]), (&json!(1), &json!(0.5)));
}
