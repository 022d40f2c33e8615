//! What is left after the process ended without a word, and while the disk fails.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use millrace::error::{ErrorCode, HasCode};
use millrace::tasks::driver::{Driver, Outlet, now_ms};
use millrace::tasks::{Chance, Engine, Options, WorkerOptions};
use serde_json::json;

use crate::support::{Folder, Rig};

#[test]
fn every_state_comes_back() {
    let mut rig = Rig::new();
    let worker = rig.worker(2);
    let retried = rig.send("a", json!({ "retry": { "delayMs": 60_000, "jitter": "none" } }));
    let held = rig.send("b", json!({}));
    let taken = rig.take(worker);
    rig.fail(&taken[0], "Error");
    let done = rig.send("c", json!({}));
    let third = rig.take_one(worker);
    rig.done(&third, json!(3));
    let waits = rig.send("d", json!({ "queue": "other" }));
    rig.control(json!({ "op": "pause", "queue": "other" }));
    rig.crash();
    assert_eq!(rig.state(&retried), "retry");
    assert_eq!((rig.state(&done).as_str(), rig.state(&waits).as_str()), ("success", "pending"));
    assert_eq!(rig.state(&held), "pending");
    assert_eq!(rig.get(&held)["retries"], 1, "it was lost once");
    assert_eq!(rig.get(&held)["attempts"][0]["error"]["code"], "WORKER_LOST");
    assert!(!rig.done(&taken[1], json!(1)), "a token of the time before");
    let counts = rig.control(json!({ "op": "count" }));
    assert_eq!((&counts["pending"], &counts["retry"], &counts["received"]), (&json!(2), &json!(1), &json!(0)));
    rig.pass(60_000);
    assert_eq!(rig.state(&retried), "pending");
}

#[test]
fn a_task_that_ends_its_process_ends_among_the_dead() {
    let mut rig = Rig::new();
    let id = rig.send("poison", json!({ "maxRetries": 3 }));
    let mut runs = 0;
    while rig.state(&id) != "dead" {
        let worker = rig.worker(1);
        rig.take_one(worker);
        runs += 1;
        rig.crash();
    }
    assert_eq!(runs, 4);
    let result = rig.watched(&id).unwrap();
    assert_eq!((&result["error"]["code"], result["attempts"].as_array().unwrap().len()), (&json!("WORKER_LOST"), 4));
}

#[test]
fn what_ran_long_beside_others_is_lost_once_and_not_twice() {
    let mut rig = Rig::new();
    let worker = rig.worker(2);
    let quick = rig.send("quick", json!({ "retry": { "delayMs": 10, "jitter": "none" } }));
    let long = rig.send("long", json!({}));
    let taken = rig.take(worker);
    // Of one take, the first fails and is accounted for, the second still runs.
    rig.fail(&taken[0], "Error");
    rig.crash();
    assert_eq!((rig.get(&quick)["retries"].clone(), rig.get(&long)["retries"].clone()), (json!(1), json!(1)));
    rig.crash();
    assert_eq!((rig.get(&quick)["retries"].clone(), rig.get(&long)["retries"].clone()), (json!(1), json!(1)));
}

#[cfg(unix)]
#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    for durability in ["fsync", "bounded"] {
        let folder = Folder::new();
        let mut child = start(&folder, durability, None);
        let mut sent = Vec::new();
        let mut done = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines().take(2_000) {
            let line = line.unwrap();
            match line.split_once(' ') {
                Some(("sent", id)) => sent.push(id.to_owned()),
                Some(("done", id)) => done.push(id.to_owned()),
                _ => {}
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(sent.len() > 100 && done.len() > 100);
        let now = now_ms();
        let mut engine = Engine::open_with(&folder.0, Options::default(), Chance::seeded(1), now).unwrap();
        let mut state = |id: &str| {
            let text = engine.control(&json!({ "op": "get", "id": id }).to_string(), now).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["state"].clone()
        };
        assert!(sent.iter().all(|id| !state(id).is_null()), "{durability}");
        assert!(done.iter().all(|id| state(id) == "success"), "{durability}");
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_takes_nothing_away() {
    let folder = Folder::new();
    drop(Engine::open(&folder.0, Options::default(), now_ms()).unwrap());
    let mut child = start(&folder, "bounded", Some(2_048));
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    child.wait().unwrap();
    assert_eq!(lines.last().unwrap(), "code DiskFull");
    let sent: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("sent ")).collect();
    assert!(sent.len() > 100);
    let now = now_ms();
    let mut engine = Engine::open(&folder.0, Options::default(), now).unwrap();
    for id in sent {
        let text = engine.control(&json!({ "op": "get", "id": id }).to_string(), now).unwrap();
        assert!(!text.contains("\"state\":null"), "{id}");
    }
}

#[cfg(unix)]
#[test]
fn kill_9_loses_and_doubles_nothing_of_what_was_sent_one_by_one() {
    for _ in 0..3 {
        let folder = Folder::new();
        let mut child = start(&folder, "intake", None);
        let (mut sent, mut done) = (HashSet::new(), HashSet::new());
        for (number, line) in BufReader::new(child.stdout.take().unwrap()).lines().enumerate() {
            let line = line.unwrap();
            match line.split_once(' ') {
                // The last line may be torn.
                Some((_, id)) if id.len() < 36 => {}
                Some(("sent", id)) => assert!(sent.insert(id.to_owned())),
                Some(("done", id)) => assert!(done.insert(id.to_owned()), "done twice"),
                _ => {}
            }
            // What it has told until then is read to its end.
            if number >= 5_000 && done.len() > 100 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(sent.len() > 100 && done.len() > 100, "{} {}", sent.len(), done.len());
        // The second start finds what the first one took, and no more.
        for _ in 0..2 {
            let now = now_ms();
            let mut engine = Engine::open_with(&folder.0, Options::default(), Chance::seeded(1), now).unwrap();
            let mut state = |id: &str| {
                let text = engine.control(&json!({ "op": "get", "id": id }).to_string(), now).unwrap();
                serde_json::from_str::<serde_json::Value>(&text).unwrap()["state"].clone()
            };
            // Of what is done no result is kept: were it sent again, it would have a state.
            assert!(done.iter().all(|id| state(id).is_null()));
            let unknown = sent.iter().filter(|id| !done.contains(*id) && state(id).is_null()).count();
            // Those may be done without having been told.
            assert!(unknown <= 32, "{unknown}");
        }
    }
}

#[test]
fn what_the_intake_has_is_taken_at_the_start_and_once() {
    let folder = Folder::new();
    let message = |id: &str| json!({ "v": 1, "id": id, "name": "n", "ignoreResult": true }).to_string().into_bytes();
    let mut chance = Chance::seeded(5);
    let ids: Vec<String> = (0..3).map(|_| chance.id(now_ms()).to_string()).collect();
    let open = || Engine::open_with(&folder.0, Options::default(), Chance::seeded(1), now_ms()).unwrap();
    let live = |engine: &mut Engine| {
        let text = engine.control("{\"op\":\"stats\"}", now_ms()).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["live"].as_u64().unwrap()
    };
    // The engine ends before it takes the last two.
    let messages: Vec<_> = ids.iter().map(|id| message(id)).collect();
    let (mut engine, marks) = loop {
        let mut engine = open();
        let mut intake = engine.open_intake().unwrap();
        let marks: Option<Vec<_>> = messages.iter().map(|message| intake.append(message)).collect();
        // On a machine that is slow the engine counts as behind; those that it has come back as the same tasks.
        if let Some(marks) = marks {
            break (engine, marks);
        }
    };
    engine.take_in(&message(&ids[0]), marks[0], now_ms());
    engine.commit(now_ms()).unwrap();
    drop(engine);
    let mut engine = open();
    assert_eq!(live(&mut engine), 3);
    // All are done and forgotten; nothing brings them back.
    let worker = engine.open_worker(WorkerOptions { prefetch: 10, ..WorkerOptions::default() }, now_ms()).unwrap();
    engine.deliver(now_ms()).unwrap();
    engine.commit(now_ms()).unwrap();
    assert_eq!(finish(&mut engine, worker).len(), 3);
    engine.commit(now_ms()).unwrap();
    drop(engine);
    let mut engine = open();
    assert_eq!(live(&mut engine), 0);
    assert!(engine.open_intake().unwrap().append(&message(&ids[0])).unwrap() > marks[2]);
}

#[test]
fn two_engines_do_not_share_a_folder() {
    let rig = Rig::new();
    let error = Engine::open(&rig.folder.0, Options::default(), 0).err().unwrap();
    assert_eq!(error.code(), ErrorCode::StoreLocked);
}

#[cfg(unix)]
fn start(folder: &Folder, durability: &str, blocks: Option<u64>) -> std::process::Child {
    let program = std::env::current_exe().unwrap();
    let limit = blocks.map_or(String::new(), |blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
    Command::new("bash")
        .args(["-c", &format!("{limit}exec \"$0\" --exact --nocapture crash::the_writer"), program.to_str().unwrap()])
        .env("MILLRACE_TASKS_CHILD", durability)
        .env("MILLRACE_TASKS_FOLDER", &folder.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reports all that a worker has as done; their ids.
fn finish(engine: &mut Engine, worker: u32) -> Vec<String> {
    let frames = engine.take_frames(worker);
    let mut rest = frames.as_slice();
    let (mut done, mut reports) = (Vec::new(), Vec::new());
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let (frame, next) = after.split_at(u32::from_le_bytes(*len) as usize);
        let token = f64::from_le_bytes(frame[1..9].try_into().unwrap()) as u64;
        let queue = u32::from_le_bytes(frame[17..21].try_into().unwrap()) as usize;
        let message: serde_json::Value = serde_json::from_slice(&frame[21 + queue..]).unwrap();
        millrace::tasks::report_frame(&mut reports, millrace::tasks::Report::Done, token, b"1");
        done.push(message["id"].as_str().unwrap().to_owned());
        rest = next;
    }
    engine.report(&reports, now_ms()).unwrap();
    done
}

/// Does all that it gets, and tells it when it is committed.
struct Doer {
    worker: Option<u32>,
    done: Vec<String>,
}

impl Outlet for Doer {
    fn ready(&mut self, engine: &mut Engine) {
        self.done.drain(..).for_each(|id| tell(&format!("done {id}\n")));
        let options = WorkerOptions { prefetch: 16, ..WorkerOptions::default() };
        let worker = *self.worker.get_or_insert_with(|| engine.open_worker(options, now_ms()).unwrap());
        self.done = finish(engine, worker);
    }
}

/// In one write, as two threads tell.
fn tell(line: &str) {
    std::fs::File::options().write(true).open("/dev/stdout").unwrap().write_all(line.as_bytes()).unwrap();
}

/// Sends one by one, with results that nobody keeps.
fn send_one_by_one(path: PathBuf) {
    let driver = Driver::open(path, Options::default(), Doer { worker: None, done: Vec::new() }).unwrap();
    let mut chance = Chance::new();
    tell("\n");
    loop {
        let id = chance.id(now_ms()).to_string();
        let message = json!({ "v": 1, "id": id, "name": "n", "args": ["x".repeat(500)], "ignoreResult": true });
        if driver.take_in(message.to_string().into_bytes()) {
            tell(&format!("sent {id}\n"));
        } else {
            std::thread::yield_now();
        }
    }
}

/// Not a test of its own: the process that others start and kill. It tells what was committed.
#[test]
fn the_writer() {
    let Ok(durability) = std::env::var("MILLRACE_TASKS_CHILD") else { return };
    let path = std::env::var("MILLRACE_TASKS_FOLDER").unwrap();
    if durability == "intake" {
        return send_one_by_one(path.into());
    }
    let options: Options = serde_json::from_value(json!({ "durability": durability })).unwrap();
    let mut chance = Chance::new();
    let mut engine = Engine::open(std::path::Path::new(&path), options, now_ms()).unwrap();
    let worker = engine.open_worker(WorkerOptions { prefetch: 10, ..WorkerOptions::default() }, now_ms()).unwrap();
    let mut out = std::fs::File::options().write(true).open("/dev/stdout").unwrap();
    writeln!(out).unwrap();
    for number in 0.. {
        let now = now_ms();
        let id = chance.id(now).to_string();
        let message = json!({ "v": 1, "id": id, "name": "n", "args": [number, "x".repeat(500)] }).to_string();
        engine.send(message.as_bytes(), now).unwrap();
        let done = finish(&mut engine, worker);
        if let Err(error) = engine.deliver(now).and_then(|()| engine.commit(now)) {
            writeln!(out, "code {:?}", error.code()).unwrap();
            std::process::exit(0);
        }
        writeln!(out, "sent {id}").unwrap();
        done.iter().for_each(|id| writeln!(out, "done {id}").unwrap());
    }
}
