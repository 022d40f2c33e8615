//! A queue under test: its own folder, its own clock, and workers that are played by hand.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use millrace::tasks::{Chance, Engine, Id, Options, Report, Sent, TaskError, WorkerOptions, report_frame};
use serde_json::{Value, json};

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("millrace-tasks-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a worker was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Task(Taken),
    Cancel(u64),
    Lost(u64),
}

/// A task in a worker's hands.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    pub token: u64,
    pub retries: u32,
    pub deliveries: u32,
    pub queue: String,
    pub message: Value,
}

impl Taken {
    pub fn id(&self) -> String {
        self.message["id"].as_str().unwrap().to_owned()
    }

    pub fn name(&self) -> &str {
        self.message["name"].as_str().unwrap()
    }
}

pub struct Rig {
    engine: Option<Engine>,
    pub folder: Folder,
    pub options: Options,
    pub now: i64,
    seed: u64,
    ids: Chance,
}

pub const START: i64 = 1_700_000_000_000;

impl Rig {
    pub fn new() -> Self {
        Rig::with(Options::default(), 1)
    }

    pub fn with(options: Options, seed: u64) -> Self {
        let folder = Folder::new();
        let engine = Engine::open_with(&folder.0, options.clone(), Chance::seeded(seed), START).unwrap();
        Rig { engine: Some(engine), folder, options, now: START, seed, ids: Chance::seeded(seed ^ 0xabcd) }
    }

    pub fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().unwrap()
    }

    /// Ends without a close, as a crash does, and opens again.
    pub fn crash(&mut self) {
        self.engine = None;
        self.open();
    }

    pub fn restart(&mut self) {
        let now = self.now;
        self.engine.take().unwrap().close(now).unwrap();
        self.open();
    }

    fn open(&mut self) {
        self.seed += 1;
        let chance = Chance::seeded(self.seed);
        self.engine = Some(Engine::open_with(&self.folder.0, self.options.clone(), chance, self.now).unwrap());
    }

    pub fn new_id(&mut self) -> String {
        self.ids.id(self.now).to_string()
    }

    pub fn message(&mut self, name: &str, more: Value) -> Value {
        let mut message = json!({ "v": 1, "id": self.new_id(), "name": name, "createdAt": self.now });
        for (key, value) in more.as_object().unwrap() {
            message[key] = value.clone();
        }
        message
    }

    pub fn try_send(&mut self, name: &str, more: Value) -> Result<Sent, TaskError> {
        let message = self.message(name, more).to_string();
        let now = self.now;
        self.engine().send(message.as_bytes(), now)
    }

    /// Sends; the id of the task.
    pub fn send(&mut self, name: &str, more: Value) -> String {
        match self.try_send(name, more).unwrap() {
            Sent::Accepted(id) => id.to_string(),
            Sent::Duplicate(id) => panic!("{id} is a duplicate"),
        }
    }

    /// Sends a workflow, ids and all filled in; its id.
    pub fn workflow(&mut self, mut signature: Value) -> String {
        signature["id"] = self.new_id().into();
        let now = self.now;
        match self.engine().send_workflow(signature.to_string().as_bytes(), now).unwrap() {
            Sent::Accepted(id) => id.to_string(),
            Sent::Duplicate(id) => panic!("{id} is a duplicate"),
        }
    }

    pub fn worker(&mut self, prefetch: usize) -> u32 {
        self.worker_with(WorkerOptions { prefetch, ..WorkerOptions::default() })
    }

    pub fn worker_with(&mut self, options: WorkerOptions) -> u32 {
        let now = self.now;
        self.engine().open_worker(options, now).unwrap()
    }

    /// One turn of the thread that drives an engine.
    pub fn turn(&mut self) {
        let now = self.now;
        let engine = self.engine();
        engine.tick(now).unwrap();
        engine.deliver(now).unwrap();
        engine.commit(now).unwrap();
    }

    /// Time passes, turn by turn, as the engine asks for them.
    pub fn pass(&mut self, ms: i64) {
        let until = self.now + ms;
        self.turn();
        while let Some(due) = self.engine().next_due().filter(|&due| due <= until) {
            assert!(due >= self.now || self.now >= START, "an engine that is due in the past");
            self.now = due.max(self.now);
            self.turn();
            let next = self.engine().next_due();
            assert!(next.is_none_or(|next| next > self.now), "due again at once: the thread would spin");
        }
        self.now = until;
        self.turn();
    }

    pub fn told(&mut self, worker: u32) -> Vec<Told> {
        self.turn();
        self.told_now(worker)
    }

    pub fn told_now(&mut self, worker: u32) -> Vec<Told> {
        let frames = self.engine().take_frames(worker);
        let mut rest = frames.as_slice();
        let mut told = Vec::new();
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (frame, next) = after.split_at(u32::from_le_bytes(*len) as usize);
            rest = next;
            let token = f64::from_le_bytes(frame[1..9].try_into().unwrap()) as u64;
            let int = |at: usize| u32::from_le_bytes(frame[at..at + 4].try_into().unwrap());
            told.push(match frame[0] {
                0 => {
                    let queue = int(17) as usize;
                    Told::Task(Taken {
                        token,
                        retries: int(9),
                        deliveries: int(13),
                        queue: String::from_utf8(frame[21..21 + queue].to_vec()).unwrap(),
                        message: serde_json::from_slice(&frame[21 + queue..]).unwrap(),
                    })
                }
                1 => Told::Cancel(token),
                2 => Told::Lost(token),
                kind => panic!("kind {kind}"),
            });
        }
        told
    }

    /// The tasks that a worker gets.
    pub fn take(&mut self, worker: u32) -> Vec<Taken> {
        self.told(worker)
            .into_iter()
            .filter_map(|told| if let Told::Task(taken) = told { Some(taken) } else { None })
            .collect()
    }

    /// The one task that a worker gets.
    pub fn take_one(&mut self, worker: u32) -> Taken {
        let mut taken = self.take(worker);
        assert_eq!(taken.len(), 1, "{taken:?}");
        taken.remove(0)
    }

    /// Whether it came in time.
    pub fn report(&mut self, token: u64, report: Report, payload: &str) -> bool {
        let mut frame = Vec::new();
        report_frame(&mut frame, report, token, payload.as_bytes());
        let now = self.now;
        let late = self.engine().report(&frame, now).unwrap();
        self.turn();
        late.is_empty()
    }

    pub fn done(&mut self, taken: &Taken, result: Value) -> bool {
        self.report(taken.token, Report::Done, &result.to_string())
    }

    pub fn fail(&mut self, taken: &Taken, kind: &str) -> bool {
        self.report(taken.token, Report::Fail, &json!({ "type": kind, "message": "no" }).to_string())
    }

    pub fn control(&mut self, command: Value) -> Value {
        self.try_control(command).unwrap()
    }

    pub fn try_control(&mut self, command: Value) -> Result<Value, TaskError> {
        let now = self.now;
        let answer = self.engine().control(&command.to_string(), now)?;
        self.turn();
        Ok(serde_json::from_str(&answer).unwrap())
    }

    /// A task or a result.
    pub fn get(&mut self, id: &str) -> Value {
        self.turn();
        self.control(json!({ "op": "get", "id": id }))
    }

    pub fn state(&mut self, id: &str) -> String {
        self.get(id)["state"].as_str().unwrap_or("unknown").to_owned()
    }

    /// The result of an id, if it is there now, as one who waits gets it.
    pub fn watched(&mut self, id: &str) -> Option<Value> {
        self.turn();
        // What a watch before this one brought.
        let mut finished = self.engine().take_finished();
        self.engine().watch(Id::parse(id).unwrap()).unwrap();
        finished.extend(self.engine().take_finished());
        let mut finished = finished.iter().map(|text| serde_json::from_slice::<Value>(text).unwrap());
        finished.find(|result| result["id"] == id)
    }

    pub fn count(&mut self, state: &str) -> u64 {
        self.turn();
        self.control(json!({ "op": "count" }))[state].as_u64().unwrap()
    }
}
