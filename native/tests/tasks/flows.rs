//! Chains, groups, chords, in one another; errors in them; calling them off.

use std::collections::HashSet;

use millrace::error::{ErrorCode, HasCode};
use serde_json::{Value, json};

use crate::support::{Rig, Taken, Told};

fn task(name: &str, args: Value) -> Value {
    json!({ "task": name, "args": args })
}

/// Adds its numbers, flattened; `fail` fails.
fn work(taken: &Taken) -> Result<Value, ()> {
    fn sum(value: &Value) -> i64 {
        match value {
            Value::Array(list) => list.iter().map(sum).sum(),
            value => value.as_i64().unwrap_or(0),
        }
    }
    match taken.name() {
        "fail" => Err(()),
        "list" => Ok(taken.message["args"].clone()),
        _ => Ok(sum(&taken.message["args"]).into()),
    }
}

/// Works until nothing is left; the names in the order in which they began.
fn run(rig: &mut Rig) -> Vec<String> {
    let worker = rig.worker(3);
    let mut names = Vec::new();
    loop {
        let taken = rig.take(worker);
        if taken.is_empty() {
            let now = rig.now;
            rig.engine().close_worker(worker, now).unwrap();
            return names;
        }
        // The last first: the order of results must not depend on it.
        for taken in taken.iter().rev() {
            names.push(taken.name().to_owned());
            match work(taken) {
                Ok(result) => rig.done(taken, result),
                Err(()) => rig.report(taken.token, millrace::tasks::Report::Fail, r#"{"type":"Bad","message":"no"}"#),
            };
        }
    }
}

fn result(rig: &mut Rig, id: &str) -> Value {
    rig.watched(id).expect("it is not finished")
}

fn no_retry(mut signature: Value) -> Value {
    signature["options"] = json!({ "maxRetries": 0 });
    signature
}

#[test]
fn the_words_of_the_first_example() {
    let mut rig = Rig::new();
    let chain = rig.workflow(json!({ "chain": [task("add", json!([1, 2])), task("add", json!([3]))] }));
    let group = rig.workflow(json!({ "group": [task("add", json!([1, 2])), task("add", json!([3, 4]))] }));
    let header = [task("add", json!([1, 2])), task("add", json!([3, 4]))];
    let chord = rig.workflow(json!({ "chord": { "header": header, "body": { "task": "sum" } } }));
    run(&mut rig);
    assert_eq!(result(&mut rig, &chain)["result"], 6);
    assert_eq!(result(&mut rig, &group)["result"], json!([3, 7]));
    let chord = result(&mut rig, &chord);
    assert_eq!((&chord["result"], &chord["state"]), (&json!(10), &json!("success")));
    assert_eq!((&chord["workflow"]["total"], &chord["workflow"]["completed"]), (&json!(3), &json!(3)));
}

#[test]
fn nested_in_one_another_in_order() {
    let mut rig = Rig::new();
    let inner = json!({ "chord": {
        "header": [task("add", json!([1])), { "chain": [task("add", json!([2])), task("add", json!([10]))] }],
        "body": { "task": "list" },
    } });
    let group = json!({ "group": [inner, task("add", json!([5])), { "group": [task("add", json!([6])), task("add", json!([7]))] }] });
    let immutable = json!({ "task": "add", "args": [100], "immutable": true });
    let id = rig.workflow(json!({ "chain": [task("add", json!([1])), group, { "task": "list" }, { "group": [immutable, { "task": "list", "args": ["own"] }] }] }));
    run(&mut rig);
    // 1 goes into each part of the group.
    let all = json!([[[2, 13]], 6, [7, 8]]);
    assert_eq!(result(&mut rig, &id)["result"], json!([100, [[all], "own"]]));
}

#[test]
fn ids_of_parts_are_the_caller_s_and_each_has_its_result() {
    let mut rig = Rig::new();
    let ids: Vec<String> = (0..4).map(|_| rig.new_id()).collect();
    let mut first = task("add", json!([1]));
    first["id"] = json!(ids[0]);
    let mut second = task("add", json!([2]));
    second["id"] = json!(ids[1]);
    let mut group = json!({ "group": [first, second] });
    group["id"] = json!(ids[2]);
    let mut last = json!({ "task": "list" });
    last["id"] = json!(ids[3]);
    let root = rig.workflow(json!({ "chain": [group, last] }));
    assert_eq!(rig.watched(&ids[3]), None, "a part that is no task yet can be waited for");
    run(&mut rig);
    let results: Vec<Value> = ids.iter().map(|id| rig.get(id)["result"].clone()).collect();
    assert_eq!(results, [json!(1), json!(2), json!([1, 2]), json!([[1, 2]])]);
    assert_eq!(rig.get(&ids[3])["rootId"], json!(root));
}

#[test]
fn options_hold_for_each_part() {
    let mut rig = Rig::new();
    let later =
        json!({ "task": "add", "args": [1], "options": { "countdownMs": 500, "queue": "slow", "priority": 9 } });
    let id = rig.workflow(json!({ "chain": [task("add", json!([1])), later] }));
    run(&mut rig);
    assert_eq!(rig.count("scheduled"), 1);
    assert_eq!(rig.control(json!({ "op": "workflow", "id": id }))["completed"], 1);
    rig.pass(500);
    let worker = rig.worker(1);
    let taken = rig.take_one(worker);
    assert_eq!((taken.queue.as_str(), &taken.message["priority"]), ("slow", &json!(9)));
}

#[test]
fn a_failed_part_stops_what_needs_it_and_nothing_else() {
    let mut rig = Rig::new();
    let skipped = rig.new_id();
    let bad = no_retry(task("fail", json!([])));
    let mut after = task("add", json!([1]));
    after["id"] = json!(skipped);
    let chain = json!({ "chain": [bad, after, task("add", json!([1]))] });
    let id =
        rig.workflow(json!({ "chord": { "header": [chain, task("other", json!([5]))], "body": { "task": "never" } } }));
    assert_eq!(run(&mut rig), ["other", "fail"]);
    let whole = result(&mut rig, &id);
    assert_eq!((&whole["state"], &whole["error"]["type"]), (&json!("failure"), &json!("Bad")));
    assert_eq!(whole["error"]["taskName"], "fail");
    assert_eq!(
        (&whole["workflow"]["total"], &whole["workflow"]["completed"], &whole["workflow"]["failed"]),
        (&json!(5), &json!(1), &json!(4))
    );
    assert_eq!(rig.state(&skipped), "revoked");
    assert_eq!(rig.count("dead"), 1);
}

#[test]
fn continue_puts_the_error_in_place_of_the_result() {
    let mut rig = Rig::new();
    let bad = no_retry(task("fail", json!([])));
    let chord = json!({ "header": [bad, task("add", json!([5]))], "body": { "task": "list" } });
    let chord = rig.workflow(json!({ "chord": chord, "onError": "continue" }));
    let chain = rig.workflow(json!({ "chain": [bad, { "task": "list" }], "onError": "continue" }));
    run(&mut rig);
    let whole = result(&mut rig, &chord);
    assert_eq!(
        (&whole["state"], &whole["result"][0][0]["error"]["type"], &whole["result"][0][1]),
        (&json!("success"), &json!("Bad"), &json!(5))
    );
    assert_eq!(result(&mut rig, &chain)["result"][0]["error"]["type"], "Bad");
}

#[test]
fn an_error_task_runs_once_with_the_error() {
    let mut rig = Rig::new();
    let bad = no_retry(task("fail", json!([])));
    let group = json!({ "group": [bad, bad, task("add", json!([1]))], "errorTask": task("alarm", json!(["where"])) });
    let id = rig.workflow(group);
    let mut names = run(&mut rig);
    names.sort();
    assert_eq!(names, ["add", "alarm", "fail", "fail"]);
    assert_eq!(result(&mut rig, &id)["state"], "failure");
    // Where all goes well it does not run.
    rig.workflow(json!({ "group": [task("add", json!([1]))], "errorTask": task("alarm", json!([])) }));
    assert_eq!(run(&mut rig), ["add"]);
}

#[test]
fn calling_off_a_workflow_revokes_what_has_not_run() {
    let mut rig = Rig::new();
    let worker = rig.worker(1);
    let header: Vec<Value> = (0..5).map(|n| task("add", json!([n]))).collect();
    let body = rig.new_id();
    let id = rig.workflow(json!({ "chord": { "header": header, "body": { "task": "sum", "id": body } } }));
    let taken = rig.take_one(worker);
    assert_eq!(rig.control(json!({ "op": "revoke", "id": id })), json!({ "revoked": 4, "signalled": 1 }));
    assert_eq!(rig.told(worker), [Told::Cancel(taken.token)]);
    assert_eq!(rig.watched(&id), None, "one still runs");
    rig.crash();
    // What ran is lost with its worker, and not run again.
    let worker = rig.worker(5);
    for taken in rig.take(worker) {
        rig.done(&taken, json!(1));
    }
    assert_eq!(result(&mut rig, &id)["state"], "revoked");
    assert_eq!(rig.state(&body), "revoked");
    assert_eq!(rig.control(json!({ "op": "stats" }))["live"], 0);
    assert_eq!(rig.control(json!({ "op": "stats" }))["workflows"], 0);
}

#[test]
fn the_callback_runs_once_whenever_the_process_ends() {
    for crash_after in 0..12 {
        let mut rig = Rig::new();
        let header: Vec<Value> = (0..4).map(|n| task("add", json!([n]))).collect();
        let id = rig.workflow(json!({ "chord": { "header": header, "body": { "task": "sum" } } }));
        let mut worker = rig.worker(2);
        let (mut steps, mut callbacks, mut ended) = (0, HashSet::new(), 0);
        while rig.watched(&id).is_none() {
            for taken in rig.take(worker) {
                steps += 1;
                if steps == crash_after {
                    break;
                }
                if taken.name() == "sum" {
                    callbacks.insert(taken.id());
                }
                ended += usize::from(rig.done(&taken, work(&taken).unwrap()));
                steps += 1;
                if steps == crash_after {
                    break;
                }
            }
            if steps == crash_after {
                steps += 1;
                rig.crash();
                worker = rig.worker(2);
            }
        }
        assert_eq!(result(&mut rig, &id)["result"], 6, "crash after {crash_after}");
        assert_eq!((callbacks.len(), ended), (1, 5), "crash after {crash_after}");
    }
}

#[test]
fn a_large_chord_keeps_its_order() {
    let mut rig = Rig::new();
    let header: Vec<Value> = (0..2_000).map(|n| task("add", json!([n]))).collect();
    let id = rig.workflow(json!({ "chord": { "header": header, "body": { "task": "list" } } }));
    run(&mut rig);
    let whole = result(&mut rig, &id);
    let expected: Vec<i64> = (0..2_000).collect();
    assert_eq!(whole["result"], json!([expected]));
}

#[test]
fn what_cannot_run_is_refused_whole() {
    const ID: &str = "018f4e2a-7b1c-7def-8123-456789abcdef";
    let mut rig = Rig::new();
    let deep = (0..200).fold(task("a", json!([])), |inner, _| json!({ "chain": [inner] }));
    for signature in [
        json!({ "chain": [] }),
        json!({ "group": [] }),
        json!({ "chord": { "header": [], "body": task("a", json!([])) } }),
        json!({ "group": [task("a", json!([])), { "chain": [] }] }),
        json!({}),
        json!({ "task": "" }),
        json!({ "task": "a", "group": [] }),
        json!({ "task": "a", "options": { "priority": 11 } }),
        json!({ "task": "a", "options": { "countdownMs": -1 } }),
        json!({ "task": "a", "kwargs": [] }),
        json!({ "task": "a", "args": {} }),
        json!({ "tusk": "a" }),
        json!({ "group": [{ "task": "a", "id": "7" }] }),
        json!({ "group": [{ "task": "a", "id": ID }, { "task": "a", "id": ID }] }),
        json!({ "id": ID, "chain": [{ "task": "a", "errorTask": { "task": "b", "id": ID } }] }),
        json!({ "group": [{ "task": "a", "options": { "idempotencyKey": "k" } }] }),
        deep,
    ] {
        let now = rig.now;
        let error = rig.engine().send_workflow(signature.to_string().as_bytes(), now).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidWorkflow, "{signature}");
    }
    rig.turn();
    assert_eq!(rig.control(json!({ "op": "stats" }))["live"], 0);
}

#[test]
fn the_same_workflow_twice_is_one() {
    let mut rig = Rig::new();
    let id = rig.new_id();
    let signature = json!({ "id": id, "chain": [task("a", json!([])), task("b", json!([]))] }).to_string();
    let now = rig.now;
    let send = |rig: &mut Rig| rig.engine().send_workflow(signature.as_bytes(), now).unwrap();
    use millrace::tasks::Sent;
    assert!(matches!(send(&mut rig), Sent::Accepted(_)));
    assert!(matches!(send(&mut rig), Sent::Duplicate(_)));
    assert_eq!(run(&mut rig), ["a", "b"]);
    assert!(matches!(send(&mut rig), Sent::Duplicate(_)));
}

#[test]
fn a_then_from_outside_is_checked_when_it_is_sent() {
    let mut rig = Rig::new();
    let id = rig.new_id();
    for then in [
        json!([{ "sig": { "task": "a" } }]),
        json!([{ "sig": { "task": "a", "id": id, "options": { "priority": 99 } } }]),
        json!([{ "sig": { "id": id, "chain": [{ "task": "a" }] } }]),
        json!([{ "record": "7" }]),
        json!([{ "join": { "id": "7", "index": 0 } }]),
        json!(5),
    ] {
        let error = rig.try_send("a", json!({ "then": then })).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidWorkflow, "{then}");
    }
    let next = json!([{ "sig": { "task": "b", "id": id } }]);
    rig.send("a", json!({ "then": next }));
    assert_eq!(run(&mut rig), ["a", "b"]);
}

#[test]
fn a_part_whose_id_another_task_has_fails() {
    let mut rig = Rig::new();
    let waiting = rig.workflow(task("add", json!([7])));
    run(&mut rig);
    let live = rig.workflow(json!({ "task": "add", "args": [8], "options": { "countdownMs": 1000 } }));
    for taken in [&waiting, &live] {
        let mut part = task("add", json!([1]));
        part["id"] = json!(taken);
        let later = rig.workflow(json!({ "chain": [task("add", json!([1])), part, task("add", json!([1]))] }));
        let group =
            rig.workflow(json!({ "group": [task("add", json!([1])), part], "errorTask": task("alarm", json!([])) }));
        let on = rig.workflow(json!({ "chain": [part, { "task": "list" }], "onError": "continue" }));
        let mut names = run(&mut rig);
        names.sort();
        assert_eq!(names, ["add", "add", "alarm", "list"]);
        for id in [later, group] {
            let whole = result(&mut rig, &id);
            assert_eq!((&whole["state"], &whole["error"]["code"]), (&json!("failure"), &json!("INVALID_WORKFLOW")));
            assert_eq!((&whole["error"]["taskId"], &whole["error"]["taskName"]), (&json!(taken), &json!("add")));
            let flow = &whole["workflow"];
            assert_eq!(
                flow["completed"].as_u64().unwrap() + flow["failed"].as_u64().unwrap(),
                flow["total"].as_u64().unwrap()
            );
        }
        assert_eq!(result(&mut rig, &on)["result"][0]["error"]["code"], "INVALID_WORKFLOW");
    }
    assert_eq!(rig.get(&waiting)["result"], 7);
    assert_eq!(rig.state(&live), "scheduled");
    assert_eq!(rig.control(json!({ "op": "stats" }))["workflows"], 0);
}

#[test]
fn a_whole_whose_id_a_task_has_leaves_its_result_alone() {
    let mut rig = Rig::new();
    let done = rig.workflow(task("add", json!([7])));
    run(&mut rig);
    let live = rig.workflow(json!({ "task": "add", "args": [8], "options": { "countdownMs": 1000 } }));
    for id in [&done, &live] {
        let inner = json!({ "id": id, "chain": [task("add", json!([1])), task("add", json!([2]))] });
        let whole = rig.workflow(json!({ "group": [inner, task("add", json!([4]))] }));
        run(&mut rig);
        assert_eq!(result(&mut rig, &whole)["result"], json!([3, 4]));
    }
    rig.pass(1000);
    run(&mut rig);
    assert_eq!((&rig.get(&done)["result"], &rig.get(&live)["result"]), (&json!(7), &json!(8)));
}

#[test]
fn groups_of_one_id_have_each_its_own_parts() {
    let mut rig = Rig::new();
    let id = rig.new_id();
    let of = |number: i64| {
        let group = json!({ "id": id, "group": [task("add", json!([number])), task("add", json!([number, 1]))] });
        json!({ "chain": [group, { "task": "list" }] })
    };
    let (one, other) = (rig.workflow(of(10)), rig.workflow(of(20)));
    run(&mut rig);
    assert_eq!(result(&mut rig, &one)["result"], json!([[10, 11]]));
    assert_eq!(result(&mut rig, &other)["result"], json!([[20, 21]]));
}

#[test]
fn however_many_parts_of_a_chain_end_at_once() {
    let mut rig = Rig::new();
    let mut parts = Vec::new();
    parts.resize(600, task("a", json!([])));
    let id = rig.workflow(json!({ "chain": parts, "onError": "continue" }));
    assert_eq!(rig.control(json!({ "op": "revoke", "id": id })), json!({ "revoked": 1, "signalled": 0 }));
    assert_eq!(result(&mut rig, &id)["workflow"]["failed"], 600);
}
