//! The life of a task, from sending to its one result.

use millrace::error::{ErrorCode, HasCode};
use millrace::tasks::{Options, Report, Sent, WorkerOptions};
use serde_json::json;

use crate::support::{Rig, START, Told};

#[test]
fn a_task_is_sent_taken_and_done() {
    let mut rig = Rig::new();
    let worker = rig.worker_with(WorkerOptions { name: "w".into(), ..WorkerOptions::default() });
    let id = rig.send("add", json!({ "args": [1, 2], "kwargs": { "x": "ü" }, "headers": { "trace": "t" } }));
    let taken = rig.take_one(worker);
    assert_eq!((taken.id(), taken.name(), taken.queue.as_str()), (id.clone(), "add", "default"));
    assert_eq!((taken.retries, taken.deliveries), (0, 1));
    assert_eq!(taken.message["kwargs"], json!({ "x": "ü" }), "kwargs reach the task");
    assert_eq!(rig.state(&id), "received");
    rig.now += 5;
    assert!(rig.report(taken.token, Report::Started, ""));
    assert_eq!(rig.state(&id), "started");
    rig.now += 20;
    assert!(rig.report(taken.token, Report::Progress, r#"{"percent":50}"#));
    assert_eq!(rig.get(&id)["progress"], json!({ "percent": 50 }));
    assert!(rig.done(&taken, json!(3)));
    let result = rig.get(&id);
    assert_eq!(
        result,
        json!({
            "id": id, "state": "success", "name": "add", "queue": "default", "result": 3, "error": null,
            "createdAt": START, "startedAt": START + 5, "completedAt": START + 25, "runtimeMs": 20,
            "retries": 0, "workerId": "w", "progress": { "percent": 50 },
        })
    );
    assert_eq!(rig.watched(&id), Some(result));
}

#[test]
fn the_first_final_state_wins() {
    let mut rig = Rig::new();
    let worker = rig.worker(1);
    let id = rig.send("a", json!({}));
    let taken = rig.take_one(worker);
    assert!(rig.done(&taken, json!("first")));
    assert!(!rig.done(&taken, json!("second")), "late");
    assert!(!rig.fail(&taken, "Error"));
    assert!(!rig.report(taken.token, Report::Heartbeat, ""));
    assert_eq!(rig.get(&id)["result"], "first");
    assert_eq!(rig.control(json!({ "op": "revoke", "id": id })), json!({ "revoked": 0, "signalled": 0 }));
    assert_eq!(rig.state(&id), "success");
}

#[test]
fn what_is_no_message_is_refused() {
    let mut rig = Rig::with(Options { max_payload_bytes: 300, max_tasks: 2, ..Options::default() }, 1);
    let code = |sent: Result<Sent, millrace::tasks::TaskError>| sent.err().unwrap().code();
    assert_eq!(code(rig.try_send("a", json!({ "args": 5 }))), ErrorCode::InvalidInput);
    assert_eq!(code(rig.try_send("a", json!({ "args": ["x".repeat(300)] }))), ErrorCode::TooLarge);
    assert_eq!(code(rig.try_send("a", json!({ "v": 2 }))), ErrorCode::InvalidInput);
    rig.send("a", json!({}));
    rig.send("a", json!({}));
    assert_eq!(code(rig.try_send("a", json!({}))), ErrorCode::BufferFull);
    assert_eq!(rig.count("pending"), 2);
    let worker = rig.worker(1);
    let taken = rig.take_one(worker);
    rig.done(&taken, json!("x".repeat(400)));
    // The second attempt returns no JSON.
    assert_eq!(rig.get(&taken.id())["attempts"][0]["error"]["code"], "TOO_LARGE");
    let other = rig.take_one(worker);
    assert!(rig.report(other.token, Report::Done, "{no json"));
    assert_eq!(
        (rig.state(&other.id()).as_str(), &rig.get(&other.id())["error"]["code"]),
        ("failure", &json!("INVALID_INPUT"))
    );
}

#[test]
fn an_id_or_a_key_that_is_known_is_the_same_task() {
    let mut rig = Rig::new();
    let worker = rig.worker(10);
    let id = rig.send("a", json!({ "idempotencyKey": "order-7", "idempotencyWindowMs": 1000 }));
    let again = |rig: &mut Rig, more| rig.try_send("a", more).unwrap();
    let same = |sent: Sent| matches!(sent, Sent::Duplicate(known) if known.to_string() == id);
    assert!(same(again(&mut rig, json!({ "idempotencyKey": "order-7" }))));
    assert!(same(again(&mut rig, json!({ "id": id }))));
    rig.restart();
    assert!(same(again(&mut rig, json!({ "idempotencyKey": "order-7" }))), "after a restart");
    let worker = {
        let _ = worker;
        rig.worker(10)
    };
    let taken = rig.take_one(worker);
    rig.done(&taken, json!(1));
    assert!(same(again(&mut rig, json!({ "idempotencyKey": "order-7" }))), "after it is done");
    assert!(same(again(&mut rig, json!({ "id": id }))), "after it is done");
    rig.pass(1000);
    assert!(!same(again(&mut rig, json!({ "idempotencyKey": "order-7" }))), "after the window");
    assert_eq!(rig.take(worker).len(), 1);
}

#[test]
fn retries_wait_grow_and_end_among_the_dead() {
    let mut rig = Rig::new();
    let worker = rig.worker(1);
    let retry = json!({ "delayMs": 100, "factor": 3, "capMs": 500, "jitter": "none" });
    let id = rig.send("a", json!({ "maxRetries": 3, "retry": retry }));
    for (retries, wait) in [(0, 100), (1, 300), (2, 500)] {
        let taken = rig.take_one(worker);
        assert_eq!((taken.retries, taken.deliveries), (retries, retries + 1));
        rig.fail(&taken, "Error");
        assert_eq!(rig.state(&id), "retry");
        rig.pass(wait - 1);
        assert_eq!(rig.take(worker), [], "not before {wait} ms");
        rig.pass(1);
        assert_eq!(rig.state(&id), "received");
    }
    let taken = rig.take_one(worker);
    rig.fail(&taken, "Error");
    let result = rig.watched(&id).unwrap();
    assert_eq!((&result["state"], result["attempts"].as_array().unwrap().len()), (&json!("dead"), 4));
    assert_eq!((&result["error"]["type"], &result["retries"]), (&json!("Error"), &json!(3)));
    rig.restart();
    let dead = rig.control(json!({ "op": "list", "state": "dead" }));
    assert_eq!((&dead["tasks"][0]["id"], &dead["tasks"][0]["message"]["name"]), (&json!(id), &json!("a")));

    // Sent again it is as new, but knows what was.
    assert_eq!(rig.control(json!({ "op": "retryDead", "ids": [id] })), json!({ "sent": 1 }));
    assert_eq!((rig.state(&id).as_str(), rig.count("dead")), ("pending", 0));
    rig.crash();
    let worker = rig.worker(1);
    let taken = rig.take_one(worker);
    assert_eq!(taken.retries, 0);
    rig.done(&taken, json!("at last"));
    let result = rig.get(&id);
    assert_eq!((&result["result"], result["attempts"].as_array().unwrap().len()), (&json!("at last"), 4));
    rig.pass(2 * 86_400_000);
    assert_eq!(rig.state(&id), "unknown", "its time is over");
}

#[test]
fn dead_tasks_are_deleted_or_sent_again_by_queue() {
    let mut rig = Rig::new();
    let worker = rig.worker(10);
    for queue in ["a", "a", "b"] {
        rig.send("t", json!({ "queue": queue, "maxRetries": 0 }));
    }
    for taken in rig.take(worker) {
        rig.fail(&taken, "Error");
    }
    let by_queue = |rig: &mut Rig| {
        let queues = rig.control(json!({ "op": "queues" }));
        json!(queues.as_array().unwrap().iter().map(|it| (&it["name"], &it["dead"])).collect::<Vec<_>>())
    };
    assert_eq!((rig.count("dead"), by_queue(&mut rig)), (3, json!([["a", 2], ["b", 1]])));
    rig.restart();
    let worker = rig.worker(10);
    assert_eq!((rig.count("dead"), by_queue(&mut rig)), (3, json!([["a", 2], ["b", 1]])));
    assert_eq!(rig.control(json!({ "op": "deleteDead", "queue": "a" })), json!({ "deleted": 2 }));
    assert_eq!(by_queue(&mut rig), json!([["a", 0], ["b", 1]]));
    assert_eq!(rig.control(json!({ "op": "retryDead", "queue": "a" })), json!({ "sent": 0 }));
    assert_eq!(rig.control(json!({ "op": "retryDead" })), json!({ "sent": 1 }));
    assert_eq!((rig.count("dead"), by_queue(&mut rig)), (0, json!([["a", 0], ["b", 0]])));
    let unknown = rig.new_id();
    let error = rig.try_control(json!({ "op": "deleteDead", "ids": [unknown] })).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert_eq!(rig.take(worker).len(), 1);
}

#[test]
fn types_of_errors_and_wishes_of_workers_decide() {
    let mut rig = Rig::new();
    let worker = rig.worker(1);
    let id = rig.send("a", json!({ "retry": { "giveUpOn": ["TypeError"] } }));
    let taken = rig.take_one(worker);
    rig.fail(&taken, "TypeError");
    assert_eq!(rig.state(&id), "failure");

    let id = rig.send("a", json!({ "retry": { "giveUpOn": ["TypeError"] } }));
    let taken = rig.take_one(worker);
    rig.report(taken.token, Report::Retry, r#"{"delayMs":250,"error":{"type":"TypeError","message":"later"}}"#);
    rig.pass(249);
    assert_eq!(rig.state(&id), "retry");
    rig.pass(1);
    let taken = rig.take_one(worker);
    rig.report(taken.token, Report::Retry, "{}");
    assert_eq!(rig.state(&id), "retry", "after the wait of the policy");
}

#[test]
fn delays_are_exact_and_burn_no_delivery() {
    let mut rig = Rig::new();
    let worker = rig.worker(10);
    let id = rig.send("a", json!({ "eta": START + 3_600_000 }));
    let soon = rig.send("a", json!({ "eta": START + 40 }));
    assert_eq!((rig.state(&id).as_str(), rig.count("scheduled")), ("scheduled", 2));
    assert_eq!(rig.engine().next_due(), Some(START + 40));
    rig.pass(39);
    assert_eq!(rig.take(worker), []);
    rig.pass(1);
    let taken = rig.take_one(worker);
    assert_eq!(taken.id(), soon);
    rig.done(&taken, json!(null));
    for _ in 0..20 {
        rig.now += 60_000;
        rig.crash();
    }
    let worker = rig.worker(10);
    let taken = rig.take(worker).into_iter().find(|taken| taken.id() == id);
    assert_eq!(taken, None, "not yet");
    rig.pass(START + 3_600_000 - rig.now);
    let taken = rig.take_one(worker);
    assert_eq!((taken.id(), taken.deliveries, taken.retries), (id, 1, 0));
}

#[test]
fn what_nobody_begins_in_time_expires() {
    let mut rig = Rig::new();
    let pending = rig.send("a", json!({ "expires": START + 100 }));
    let scheduled = rig.send("a", json!({ "eta": START + 500, "expires": START + 100 }));
    let past = rig.send("a", json!({ "expires": START - 1 }));
    rig.pass(99);
    assert_eq!(rig.state(&pending), "pending");
    rig.pass(1);
    for id in [pending, scheduled, past] {
        let result = rig.watched(&id).unwrap();
        assert_eq!((&result["state"], &result["error"]["code"]), (&json!("expired"), &json!("EXPIRED")));
    }
    // What runs does not expire.
    let worker = rig.worker(1);
    let id = rig.send("a", json!({ "expires": rig.now + 100 }));
    let taken = rig.take_one(worker);
    rig.pass(200);
    assert!(rig.done(&taken, json!(1)));
    assert_eq!(rig.state(&id), "success");
}

#[test]
fn a_lease_ends_unless_the_worker_is_heard_of() {
    let mut rig = Rig::new();
    let worker = rig.worker_with(WorkerOptions { lease_ms: 1_000.0, ..WorkerOptions::default() });
    let id = rig.send("a", json!({}));
    let taken = rig.take_one(worker);
    for _ in 0..5 {
        rig.pass(900);
        assert!(rig.report(taken.token, Report::Heartbeat, ""), "a long task keeps its lease");
    }
    rig.pass(900);
    rig.report(taken.token, Report::Started, "");
    rig.pass(900);
    rig.report(taken.token, Report::Started, "");
    rig.pass(99);
    assert_eq!(rig.state(&id), "started");
    rig.pass(1);
    let told = rig.told_now(worker);
    assert_eq!(told[0], Told::Lost(taken.token));
    let Told::Task(again) = &told[1] else { panic!("{told:?}") };
    assert_eq!((again.id(), again.retries, again.deliveries), (id.clone(), 1, 2));
    assert!(!rig.done(&taken, json!("late")), "the first worker comes too late");
    assert!(rig.done(again, json!("second")));
    let result = rig.get(&id);
    assert_eq!(result["attempts"][0]["error"]["code"], "WORKER_LOST");
    assert_eq!(result["result"], "second");
}

#[test]
fn a_timeout_ends_an_attempt() {
    let mut rig = Rig::new();
    let worker = rig.worker(1);
    let retry = json!({ "delayMs": 0, "jitter": "none" });
    let id = rig.send("a", json!({ "timeoutMs": 200, "maxRetries": 1, "retry": retry }));
    for _ in 0..2 {
        let taken = rig.take_one(worker);
        rig.pass(199);
        assert!(rig.report(taken.token, Report::Heartbeat, ""));
        rig.now += 1;
        let told = rig.told(worker);
        assert_eq!(told[0], Told::Lost(taken.token));
        // Its second attempt may be in the same frames.
        if let Some(Told::Task(again)) = told.get(1) {
            assert_eq!(again.retries, 1);
            let again = again.clone();
            rig.pass(200);
            assert!(!rig.done(&again, json!(1)));
            break;
        }
    }
    let result = rig.get(&id);
    assert_eq!((&result["state"], &result["error"]["code"]), (&json!("dead"), &json!("TIMEOUT")));
}

#[test]
fn revoking_takes_back_what_waits_and_signals_what_runs() {
    let mut rig = Rig::new();
    let waits = rig.send("a", json!({}));
    let later = rig.send("a", json!({ "eta": START + 1_000 }));
    for id in [&waits, &later] {
        assert_eq!(rig.control(json!({ "op": "revoke", "id": id })), json!({ "revoked": 1, "signalled": 0 }));
        assert_eq!(rig.watched(id).unwrap()["error"]["code"], "REVOKED");
    }
    let worker = rig.worker(3);
    let ids = [0; 3].map(|_| rig.send("a", json!({})));
    let taken = rig.take(worker);
    for (id, refuse) in ids.iter().zip([false, false, true]) {
        rig.control(json!({ "op": "revoke", "id": id, "refuseLate": refuse }));
    }
    let cancels: Vec<_> = taken.iter().map(|taken| Told::Cancel(taken.token)).collect();
    assert_eq!(rig.told(worker), cancels);
    assert!(rig.done(&taken[0], json!("finished anyway")));
    assert!(rig.report(taken[1].token, Report::Revoked, ""));
    assert!(!rig.done(&taken[2], json!("refused")));
    assert_eq!(ids.each_ref().map(|id| rig.state(id)), ["success", "revoked", "revoked"]);
    let unknown = rig.new_id();
    assert_eq!(rig.try_control(json!({ "op": "revoke", "id": unknown })).unwrap_err().code(), ErrorCode::NotFound);
}

#[test]
fn a_worker_that_fails_a_cancelled_task_does_not_have_it_again() {
    let mut rig = Rig::new();
    let worker = rig.worker(1);
    let id = rig.send("a", json!({}));
    let taken = rig.take_one(worker);
    rig.control(json!({ "op": "revoke", "id": id }));
    rig.fail(&taken, "AbortError");
    assert_eq!(rig.state(&id), "revoked");
}

#[test]
fn what_goes_back_counts_as_nothing() {
    let mut rig = Rig::new();
    let worker = rig.worker(2);
    let ids = [rig.send("a", json!({ "maxRetries": 0 })), rig.send("a", json!({ "maxRetries": 0 }))];
    let taken = rig.take(worker);
    let now = rig.now;
    rig.engine().drain_worker(worker);
    assert!(rig.report(taken[0].token, Report::GiveBack, ""));
    rig.engine().close_worker(worker, now).unwrap();
    rig.turn();
    rig.crash();
    let worker = rig.worker(2);
    let taken = rig.take(worker);
    assert_eq!(taken.iter().map(|it| it.id()).collect::<Vec<_>>(), ids, "in their order");
    assert!(taken.iter().all(|taken| taken.retries == 0));
}

#[test]
fn results_can_be_ignored_bounded_and_short_lived() {
    let mut rig = Rig::with(Options { max_results: 2, ..Options::default() }, 1);
    let worker = rig.worker(10);
    let ignored = rig.send("a", json!({ "ignoreResult": true }));
    let short = rig.send("a", json!({ "resultTtlMs": 50 }));
    for taken in rig.take(worker) {
        rig.done(&taken, json!(1));
    }
    assert_eq!((rig.state(&ignored).as_str(), rig.state(&short).as_str()), ("unknown", "success"));
    rig.pass(1_100);
    assert_eq!(rig.state(&short), "unknown");
    let ids = [0; 3].map(|_| {
        rig.now += 1;
        let id = rig.send("a", json!({}));
        let taken = rig.take_one(worker);
        rig.done(&taken, json!(1));
        id
    });
    rig.turn();
    assert_eq!(ids.each_ref().map(|id| rig.state(id)), ["unknown", "success", "success"]);
    // A failure is told even then.
    let failed = rig.send("a", json!({ "ignoreResult": true, "maxRetries": 0 }));
    let taken = rig.take_one(worker);
    rig.fail(&taken, "Error");
    assert_eq!(rig.state(&failed), "dead");
}

#[test]
fn who_waits_is_told_by_itself_and_once() {
    let mut rig = Rig::new();
    let worker = rig.worker(1);
    let id = rig.send("a", json!({}));
    assert_eq!(rig.watched(&id), None);
    let taken = rig.take_one(worker);
    rig.done(&taken, json!(1));
    let told = rig.engine().take_finished();
    assert_eq!(told.len(), 1);
    assert!(rig.engine().take_finished().is_empty());
    let unknown = rig.new_id();
    assert_eq!(rig.watched(&unknown).unwrap()["error"]["code"], "NOT_FOUND");
    let other = rig.send("a", json!({}));
    assert_eq!(rig.watched(&other), None);
    rig.engine().unwatch(millrace::tasks::Id::parse(&other).unwrap());
    let taken = rig.take_one(worker);
    rig.done(&taken, json!(1));
    assert!(rig.engine().take_finished().is_empty());
}

#[test]
fn a_clock_that_jumps_stops_nothing() {
    let mut rig = Rig::new();
    let worker = rig.worker(10);
    let id = rig.send("a", json!({ "eta": START + 1_000 }));
    rig.now -= 3_600_000;
    rig.turn();
    assert_eq!(rig.take(worker), []);
    let now = rig.send("b", json!({}));
    assert_eq!(rig.take_one(worker).id(), now);
    rig.now = START + 86_400_000;
    let told = rig.take(worker);
    assert!(told.iter().any(|taken| taken.id() == id));
}

#[test]
fn where_the_clock_is_set_leases_limits_and_intervals_go_on() {
    for by in [3_600_000, -3_600_000] {
        let mut rig = Rig::new();
        let worker = rig.worker(100);
        let id = rig.send("long", json!({ "timeoutMs": 20_000, "maxRetries": 0 }));
        let silent = rig.send("silent", json!({ "maxRetries": 0 }));
        let taken = rig.take(worker);
        rig.control(
            json!({ "op": "rateLimit", "scope": "task", "name": "often", "rate": { "perSecond": 1, "burst": 1 } }),
        );
        let every = json!({ "everyMs": 1_000 });
        rig.control(json!({ "op": "schedule", "name": "beat", "schedule": every, "message": { "name": "often" } }));
        rig.pass(10_000);
        let beats = rig.take(worker).len();
        rig.now += by;
        let now = rig.now;
        rig.engine().clock_set(by, now).unwrap();
        rig.pass(9_900);
        assert!(rig.take(worker).len() + beats >= 18, "{by}: the interval goes on");
        let before = rig.get(&id);
        assert_eq!(before["state"], "received", "{by}: {before}");
        rig.pass(200);
        assert_eq!(rig.get(&id)["error"]["code"], "TIMEOUT", "{by}: by the time that passed");
        assert_eq!(rig.state(&silent), "received", "{by}");
        rig.pass(10_000);
        assert_eq!(rig.get(&silent)["error"]["code"], "WORKER_LOST", "{by}");
        assert!(!rig.done(&taken[0], json!(1)));
        // The beat is that of the new clock after a start, too.
        rig.now -= 3_600_000;
        rig.crash();
        let next = rig.control(json!({ "op": "schedules" }))[0]["nextAt"].as_i64().unwrap();
        assert!(next <= rig.now + 1_000, "{by}");
    }
}

#[test]
fn a_dead_task_is_known_longer_than_its_result() {
    let mut rig = Rig::new();
    let worker = rig.worker(1);
    let id = rig.send("a", json!({ "maxRetries": 0, "resultTtlMs": 50 }));
    let taken = rig.take_one(worker);
    rig.fail(&taken, "Error");
    let before = rig.get(&id);
    rig.pass(5_000);
    rig.turn();
    assert_eq!(rig.control(json!({ "op": "stats" }))["results"], 0);
    assert_eq!(rig.get(&id), before);
    assert_eq!(rig.watched(&id), Some(before));
    assert_eq!(rig.control(json!({ "op": "deleteDead", "ids": [id] })), json!({ "deleted": 1 }));
    assert_eq!(rig.get(&id)["error"]["code"], "NOT_FOUND");
}

#[test]
fn a_clock_that_was_days_ahead_keeps_no_time_of_day_back() {
    const HOUR: i64 = 3_600_000;
    for by_start in [false, true] {
        let mut rig = Rig::new();
        let worker = rig.worker(10);
        let daily = json!({ "cron": "0 6 * * *" });
        let next = |rig: &mut Rig| rig.control(json!({ "op": "schedules" }))[0]["nextAt"].as_i64().unwrap();
        let set = |rig: &mut Rig, by: i64| {
            rig.now += by;
            let now = rig.now;
            match by_start {
                true => rig.crash(),
                false => rig.engine().clock_set(by, now).unwrap(),
            }
        };
        rig.control(json!({ "op": "schedule", "name": "day", "schedule": daily, "message": { "name": "a" } }));
        set(&mut rig, -240 * HOUR);
        let first = next(&mut rig);
        assert!(first > rig.now && first <= rig.now + 24 * HOUR, "{first}");
        rig.now = first;
        if !by_start {
            assert_eq!(rig.take(worker).len(), 1);
        }
        rig.turn();
        assert_eq!(next(&mut rig), first + 24 * HOUR);
        set(&mut rig, -HOUR);
        assert_eq!(next(&mut rig), first + 24 * HOUR, "it was kept");
        set(&mut rig, -240 * HOUR);
        assert!(next(&mut rig) <= rig.now + 24 * HOUR);
    }
}

#[test]
fn frames_that_are_none_are_refused() {
    let mut rig = Rig::new();
    let now = rig.now;
    for broken in [&b"\x09"[..], b"\xff\0\0\0", b"\x01\0\0\0\0", b"\x09\0\0\0\x63\0\0\0\0\0\0\0\0"] {
        assert_eq!(rig.engine().report(broken, now).unwrap_err().code(), ErrorCode::InvalidInput);
    }
    assert!(!rig.report(u64::MAX, Report::Done, "1"));
    assert!(!rig.report(0, Report::Done, "1"));
}

#[test]
fn what_is_wrong_with_a_command_is_said_with_the_name_of_the_field() {
    let mut rig = Rig::new();
    let rate = json!({ "perSecond": "x" });
    for (command, option) in [
        (json!({ "op": "revoke", "id": 5 }), "id"),
        (json!({ "op": "revoke", "id": "a", "refuseLate": 5 }), "refuseLate"),
        (json!({ "op": "list", "limit": 0 }), "limit"),
        (json!({ "op": "count", "state": "x" }), "state"),
        (json!({ "op": "limit", "queue": "a", "max": 1.5 }), "max"),
        (json!({ "op": "rateLimit", "scope": "task", "name": "a", "rate": rate }), "rate.perSecond"),
        (json!({ "op": "deleteDead", "ids": "x" }), "ids"),
        (json!({ "op": "deleteDead", "ids": ["x", 5] }), "ids[1]"),
        (json!({ "op": "schedule", "name": "a", "schedule": { "everyMs": "x" }, "message": {} }), "schedule.everyMs"),
        (json!({ "op": "purge" }), "command"),
        (json!({ "op": "deleteDead", "queues": "x" }), "queues"),
        (json!({ "op": "purge", "queue": "" }), "queue"),
        (json!({ "op": "retryDead", "queue": "" }), "queue"),
        (json!({ "op": "count", "name": "" }), "name"),
        (json!({ "op": "stats", "queue": "x" }), "queue"),
        (json!({ "op": "x" }), "command"),
        (json!({ "op": 5 }), "command"),
        (json!([]), "command"),
    ] {
        let error = rig.try_control(command.clone()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidOption, "{command}");
        assert!(error.to_string().starts_with(&format!("{option}: ")), "{command}: {error}");
    }
}
