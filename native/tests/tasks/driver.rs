//! The thread that owns an engine.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use millrace::error::{EngineError, ErrorCode, HasCode};
use millrace::tasks::driver::{Driver, Outlet, now_ms};
use millrace::tasks::{Chance, Engine, Options, WorkerOptions};
use serde_json::json;

use crate::support::Folder;

/// Frames for workers, results.
struct Post(Sender<(usize, usize)>);

impl Outlet for Post {
    fn ready(&mut self, engine: &mut Engine) {
        let workers: Vec<u32> = engine.workers_with_frames().collect();
        let frames = workers.iter().map(|&worker| engine.take_frames(worker).len()).sum();
        let _ = self.0.send((frames, engine.take_finished().len()));
    }
}

fn open(folder: &Folder) -> (Driver, Receiver<(usize, usize)>) {
    let (tell, told) = channel();
    (Driver::open(folder.0.clone(), Options::default(), Post(tell)).unwrap(), told)
}

fn ask(driver: &Driver, command: serde_json::Value) -> Result<String, EngineError> {
    let (tell, told) = channel();
    driver.submit(Box::new(move |engine| match engine {
        Ok((engine, now)) => {
            let answer = engine.control(&command.to_string(), now).map_err(EngineError::from);
            Some(Box::new(move |committed| {
                let _ = tell.send(committed.map(drop).and(answer));
            }))
        }
        Err(error) => {
            let _ = tell.send(Err(error));
            None
        }
    }));
    // Dropped unanswered: by a panic in another job of its turn.
    told.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|error| Err(EngineError::internal(&error)))
}

#[test]
fn it_wakes_for_what_is_due_and_sleeps_else() {
    let folder = Folder::new();
    let (driver, told) = open(&folder);
    let due = now_ms() + 120;
    driver.submit(Box::new(move |engine| {
        let (engine, now) = engine.unwrap();
        engine.open_worker(WorkerOptions::default(), now).unwrap();
        let id = Chance::new().id(now).to_string();
        engine.send(json!({ "v": 1, "id": id, "name": "a", "eta": due }).to_string().as_bytes(), now).unwrap();
        None
    }));
    let mut cycles = 0;
    loop {
        let (frames, _) = told.recv_timeout(Duration::from_secs(20)).unwrap();
        cycles += 1;
        if frames > 0 {
            break;
        }
    }
    assert!(now_ms() >= due, "not before its time");
    assert!(cycles < 10, "{cycles} turns for one task: it does not sleep");
    driver.close().unwrap();
}

#[test]
fn after_a_close_everybody_hears_it() {
    let folder = Folder::new();
    let (driver, _) = open(&folder);
    assert!(ask(&driver, json!({ "op": "stats" })).is_ok());
    let second = Driver::open(folder.0.clone(), Options::default(), Post(channel().0)).err().unwrap();
    assert_eq!(second.code(), ErrorCode::StoreLocked);
    driver.close().unwrap();
    let (driver, _) = open(&folder);
    assert!(ask(&driver, json!({ "op": "nothing" })).is_err());
    drop(driver);
    // Its thread ends by itself.
    for _ in 0..200 {
        if let Ok(driver) = Driver::open(folder.0.clone(), Options::default(), Post(channel().0)) {
            return driver.close().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the folder stays locked");
}

#[test]
fn a_panic_in_a_job_ends_the_queue_and_not_the_process() {
    let folder = Folder::new();
    let (driver, _) = open(&folder);
    driver.submit(Box::new(|_| panic!("on purpose")));
    // The first may have been of the same turn; the others hear why nothing goes any more.
    for _ in 0..3 {
        assert_eq!(ask(&driver, json!({ "op": "stats" })).unwrap_err().code, ErrorCode::Internal);
    }
    driver.close().unwrap();
    let (driver, _) = open(&folder);
    assert!(ask(&driver, json!({ "op": "stats" })).is_ok());
    driver.close().unwrap();
}

#[test]
fn what_can_be_is_accepted_at_once_and_is_there_after_a_start() {
    let folder = Folder::new();
    let (driver, _told) = open(&folder);
    // How much room there is, is known after a turn.
    ask(&driver, json!({ "op": "queues" })).unwrap();
    let message = |more: serde_json::Value| {
        let mut message = json!({ "v": 1, "id": Chance::new().id(now_ms()).to_string(), "name": "a" });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message.to_string().into_bytes()
    };
    assert!(driver.take_in(message(json!({}))));
    assert!(driver.take_in(message(json!({ "queue": "other" }))));
    // These need the engine to say yes or no.
    assert!(!driver.take_in(message(json!({ "idempotencyKey": "k" }))));
    assert!(!driver.take_in(message(json!({ "priority": 10 }))));
    assert!(!driver.take_in(message(json!({ "args": ["x".repeat(2 << 20)] }))));
    let pending = |driver: &Driver| {
        let answer: serde_json::Value = serde_json::from_str(&ask(driver, json!({ "op": "count" })).unwrap()).unwrap();
        answer["pending"].clone()
    };
    assert_eq!(pending(&driver), 2);
    driver.close().unwrap();
    let (driver, _told) = open(&folder);
    assert_eq!(pending(&driver), 2);
    driver.close().unwrap();
}
