//! Random schedules with crashes, against what must hold of every accepted task: it ends in exactly one final
//! state, its result never changes, no callback is lost or doubled, and nothing is stuck.

use std::collections::HashMap;

use millrace::tasks::{Report, Sent};
use serde_json::{Value, json};

use crate::support::{Rig, Taken};

struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[derive(Default)]
struct Model {
    /// Final state and result of every id that was seen to end.
    ended: HashMap<String, Value>,
    sent: Vec<String>,
    flows: Vec<(String, usize)>,
    /// Ids of callbacks, by workflow.
    callbacks: HashMap<String, String>,
}

fn cases() -> u64 {
    if std::env::var("MILLRACE_LONG").is_ok() { 500 } else { 40 }
}

#[test]
fn every_accepted_task_ends_once() {
    for seed in 0..cases() {
        let mut rng = Rng(seed * 7_919 + 1);
        let mut rig = Rig::with(Default::default(), seed);
        let mut model = Model::default();
        let mut worker = rig.worker(4);
        let mut held: Vec<Taken> = Vec::new();
        for step in 0..120 {
            match rng.below(20) {
                0..4 => send(&mut rig, &mut rng, &mut model),
                4 => {
                    send_through_intake(&mut rig, &mut rng, &mut model);
                    held.clear();
                    worker = rig.worker(4);
                }
                5..7 => send_flow(&mut rig, &mut rng, &mut model),
                7 => {
                    rig.crash();
                    held.clear();
                    worker = rig.worker(4);
                }
                8 => {
                    let now = rig.now;
                    rig.engine().close_worker(worker, now).unwrap();
                    held.clear();
                    worker = rig.worker(4);
                }
                9 if !model.sent.is_empty() => {
                    let id = model.sent[rng.below(model.sent.len() as u64) as usize].clone();
                    let refuse = rng.below(2) == 0;
                    let _ = rig.try_control(json!({ "op": "revoke", "id": id, "refuseLate": refuse }));
                }
                10 => rig.pass(rng.below(40_000) as i64),
                // The clock is set back, or forward by more than a lease.
                12 if rng.below(4) == 0 => {
                    rig.now += [-20_000, 60_000][rng.below(2) as usize];
                    rig.turn();
                }
                11 => rig.pass(rng.below(300) as i64),
                _ => {
                    let more = rig.take(worker);
                    held.extend(more);
                    if !held.is_empty() {
                        let at = rng.below(held.len() as u64) as usize;
                        report(&mut rig, &mut rng, &mut model, held.swap_remove(at));
                    }
                }
            }
            if step % 8 == 7 {
                observe(&mut rig, &mut model, seed);
            }
        }
        settle(&mut rig, &mut model, worker, held, seed);
    }
}

fn send(rig: &mut Rig, rng: &mut Rng, model: &mut Model) {
    let now = rig.now;
    let mut more = json!({
        "priority": rng.below(10), "maxRetries": rng.below(4), "queue": (["a", "b"][rng.below(2) as usize]),
        "retry": { "delayMs": rng.below(2_000) },
    });
    match rng.below(6) {
        0 => more["eta"] = json!(now + rng.below(5_000) as i64),
        1 => more["expires"] = json!(now + rng.below(5_000) as i64),
        2 => more["timeoutMs"] = json!(rng.below(5_000) + 1),
        3 => more["idempotencyKey"] = json!(format!("k{}", rng.below(5))),
        _ => {}
    }
    if let Ok(Sent::Accepted(id)) = rig.try_send("t", more) {
        model.sent.push(id.to_string());
    }
    // Only what was committed is accepted.
    rig.turn();
}

/// Messages are accepted when the intake has them: some before a crash, which the engine has not taken.
fn send_through_intake(rig: &mut Rig, rng: &mut Rng, model: &mut Model) {
    let Some(mut intake) = rig.engine().open_intake() else { return };
    let taken = rng.below(4);
    for number in 0..1 + rng.below(4) {
        let message = rig.message("t", json!({ "maxRetries": rng.below(4), "retry": { "delayMs": 100 } }));
        let text = message.to_string();
        // On a machine that is slow the engine counts as behind.
        let Some(mark) = intake.append(text.as_bytes()) else { break };
        model.sent.push(message["id"].as_str().unwrap().to_owned());
        if number < taken {
            let now = rig.now;
            rig.engine().take_in(text.as_bytes(), mark, now);
        }
    }
    // An engine gives its intake once; the next one has another.
    let commits = rng.below(2) == 0;
    if commits {
        rig.turn();
    }
    rig.crash();
}

fn send_flow(rig: &mut Rig, rng: &mut Rng, model: &mut Model) {
    let task =
        |rng: &mut Rng| json!({ "task": "t", "options": { "maxRetries": rng.below(3), "retry": { "delayMs": 100 } } });
    let parts = 1 + rng.below(4);
    let header: Vec<Value> = (0..parts)
        .map(|_| if rng.below(3) == 0 { json!({ "chain": [task(rng), task(rng)] }) } else { task(rng) })
        .collect();
    let body = rig.new_id();
    let on_error = ["stop", "continue"][rng.below(2) as usize];
    let signature =
        json!({ "chord": { "header": header, "body": { "task": "body", "id": body } }, "onError": on_error });
    let id = rig.workflow(signature);
    rig.turn();
    model.flows.push((id.clone(), parts as usize));
    model.sent.push(id.clone());
    model.sent.push(body.clone());
    model.callbacks.insert(id, body);
}

fn report(rig: &mut Rig, rng: &mut Rng, model: &mut Model, taken: Taken) {
    let payload = json!({ "type": "E", "message": "m" }).to_string();
    let in_time = match rng.below(10) {
        0 | 1 => rig.report(taken.token, Report::Fail, &payload),
        2 => rig.report(taken.token, Report::Retry, "{\"delayMs\":10}"),
        3 => rig.report(taken.token, Report::GiveBack, ""),
        4 => {
            rig.report(taken.token, Report::Heartbeat, "");
            false
        }
        _ => rig.done(&taken, json!(taken.deliveries)),
    };
    if in_time && taken.name() == "body" {
        assert!(model.callbacks.values().any(|id| *id == taken.id()), "a callback that nobody sent");
    }
}

/// What ended stays as it ended.
fn observe(rig: &mut Rig, model: &mut Model, seed: u64) {
    let ids: Vec<String> = model.sent.clone();
    for id in ids {
        let task = rig.get(&id);
        let state = task["state"].as_str().unwrap_or("none").to_owned();
        let is_final = ["success", "failure", "revoked", "expired", "dead"].contains(&state.as_str());
        if let Some(before) = model.ended.get(&id) {
            assert_eq!(*before, task, "seed {seed}: {id} ended twice");
        } else if is_final {
            model.ended.insert(id, task);
        }
    }
}

fn settle(rig: &mut Rig, model: &mut Model, worker: u32, held: Vec<Taken>, seed: u64) {
    for taken in held {
        rig.done(&taken, json!("end"));
    }
    for _ in 0..200 {
        for taken in rig.take(worker) {
            rig.done(&taken, json!("end"));
        }
        rig.pass(5_000);
    }
    observe(rig, model, seed);
    let open: Vec<&String> = model.sent.iter().filter(|id| !model.ended.contains_key(*id)).collect();
    assert!(open.is_empty(), "seed {seed}: never ended: {open:?}");
    let stats = rig.control(json!({ "op": "stats" }));
    assert_eq!((&stats["live"], &stats["workflows"]), (&json!(0), &json!(0)), "seed {seed}");
    for (id, parts) in &model.flows {
        let (whole, body) = (&model.ended[id], &model.ended[&model.callbacks[id]]);
        // One that was called off may have had its callback running.
        let called_off = whole["state"] == "revoked";
        let agree = (whole["state"] == "success") == (body["state"] == "success");
        assert!(agree || called_off, "seed {seed}: {whole} {body}");
        if whole["state"] == "success" {
            assert_eq!(whole["result"], body["result"], "seed {seed}");
        }
        assert!(whole["workflow"]["total"].as_u64().unwrap() > *parts as u64);
    }
    let counts = rig.control(json!({ "op": "count" }));
    for state in ["pending", "scheduled", "received", "started", "retry"] {
        assert_eq!(counts[state], 0, "seed {seed}: {state}");
    }
    // Nothing comes back.
    rig.crash();
    let stats = rig.control(json!({ "op": "stats" }));
    assert_eq!(stats["live"], 0, "seed {seed}");
    observe(rig, model, seed);
}
