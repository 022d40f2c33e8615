//! `tasks` for Node.js. Calls hand in jobs and never wait; everything that comes back, answers too, lies in
//! one outbox of frames, and one wake says when it stopped being empty.
//!
//! A frame: its length without itself (u32), its kind (u8), its body. All numbers are little-endian.
//!
//! | kind | body |
//! |---|---|
//! | 0 task | worker u32, token f64, retries u32, deliveries u32, length of the queue's name u32, that name, the message (JSON) |
//! | 1 cancel | worker u32, token f64: stop this task |
//! | 2 lost | worker u32, token f64: its time is over, a report of it comes too late |
//! | 3 result | a result (JSON) of a watched id |
//! | 4 answer | ticket f64, 1 for done or 0 for failed u8, JSON: the answer, or `{code, message}` |
//! | 5 event | an event (JSON) |
//! | 6 ended | `{code, message}` (JSON): the queue fails all calls from now on; open it anew |

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{Buffer, spawn_blocking};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use super::coded::Coded;
use super::work::opened;
use crate::error::{EngineError, ErrorCode};
use crate::options::from_json;
use crate::tasks::driver::{self, Driver, Outlet};
use crate::tasks::{
    Engine, Head, Id, Message, Options, Sent, State, TaskError, Verdict, WorkerOptions, glob, workflow,
};

/// Called without arguments, on the JavaScript thread.
type Wake = ThreadsafeFunction<(), (), (), napi::Status, false>;

const RESULT: u8 = 3;
const ANSWER: u8 = 4;
const EVENT: u8 = 5;
const ENDED: u8 = 6;

/// So many events cross at once; others wait where they are bounded.
const EVENTS_AT_ONCE: usize = 1_000;
/// With so much in the outbox no more events are put into it.
const EVENTS_ROOM: usize = 4 << 20;

struct Outbox {
    frames: Mutex<Vec<u8>>,
    /// Gone after the end: it would keep Node.js from ending.
    wake: Mutex<Option<Wake>>,
}

impl Outbox {
    /// Runs on the engine's thread, once a cycle.
    fn push(&self, more: &[u8]) {
        if more.is_empty() {
            return;
        }
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = frames.is_empty();
        frames.extend_from_slice(more);
        drop(frames);
        let wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        if let (true, Some(wake)) = (was_empty, &*wake) {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    fn answer(&self, ticket: f64, answer: &Result<String, EngineError>) {
        let mut frame = Vec::new();
        put_answer(&mut frame, ticket, answer);
        self.push(&frame);
    }
}

/// What is asked for is answered, also where a bug ends the job.
struct Ticket {
    number: f64,
    outbox: Option<Arc<Outbox>>,
}

impl Ticket {
    fn answer(&mut self, answer: &Result<String, EngineError>) {
        if let Some(outbox) = self.outbox.take() {
            outbox.answer(self.number, answer);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.answer(&Err(EngineError::internal(&"the task queue dropped a call; this is a bug")));
    }
}

fn put(frames: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let len = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    frames.extend((len as u32).to_le_bytes());
    frames.push(kind);
    parts.iter().for_each(|part| frames.extend_from_slice(part));
}

fn put_answer(frames: &mut Vec<u8>, ticket: f64, answer: &Result<String, EngineError>) {
    let error;
    let (done, json) = match answer {
        Ok(json) => (1, json),
        Err(failed) => {
            error = error_json(failed);
            (0, &error)
        }
    };
    put(frames, ANSWER, &[&ticket.to_le_bytes(), &[done], json.as_bytes()]);
}

fn error_json(error: &EngineError) -> String {
    let code = serde_json::Value::from(code_name(error));
    format!(r#"{{"code":{code},"message":{}}}"#, serde_json::Value::from(error.message.as_str()))
}

/// As JavaScript knows it.
fn code_name(error: &EngineError) -> String {
    let mut name = String::new();
    for letter in format!("{:?}", error.code).chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

struct Post(Arc<Outbox>);

impl Outlet for Post {
    fn ready(&mut self, engine: &mut Engine) {
        let mut out = Vec::new();
        let workers: Vec<u32> = engine.workers_with_frames().collect();
        for worker in workers {
            // The engine's frames have no worker: it goes behind the kind.
            let frames = engine.take_frames(worker);
            let mut rest = frames.as_slice();
            while let Some((len, after)) = rest.split_first_chunk::<4>() {
                let (frame, next) = after.split_at(u32::from_le_bytes(*len) as usize);
                put(&mut out, frame[0], &[&worker.to_le_bytes(), &frame[1..]]);
                rest = next;
            }
        }
        for result in engine.take_finished() {
            put(&mut out, RESULT, &[&result]);
        }
        let room = self.0.frames.lock().unwrap_or_else(PoisonError::into_inner).len() < EVENTS_ROOM;
        for event in engine.take_events(if room { EVENTS_AT_ONCE } else { 0 }) {
            put(&mut out, EVENT, &[event.as_bytes()]);
        }
        self.0.push(&out);
    }

    fn ended(&mut self, reason: &EngineError) {
        let mut out = Vec::new();
        put(&mut out, ENDED, &[error_json(reason).as_bytes()]);
        self.0.push(&out);
    }
}

/// An embedded queue. `ticket` is any number of the caller's; the answer carries it.
#[napi]
pub struct TaskQueue {
    driver: Mutex<Option<Driver>>,
    outbox: Arc<Outbox>,
}

#[napi]
impl TaskQueue {
    /// `options` is JSON: `tasks.Options`. `on_ready` is called when the outbox stops being empty.
    #[napi]
    pub async fn open(path: String, options: String, on_ready: Wake) -> Coded<TaskQueue> {
        let outbox = Arc::new(Outbox { frames: Mutex::default(), wake: Mutex::new(Some(on_ready)) });
        let post = Post(outbox.clone());
        let driver = opened(move || {
            let options: Options = from_json(&options)?;
            Ok(Driver::open(PathBuf::from(path), options, post)?)
        });
        Coded(driver.await.map(|driver| TaskQueue { driver: Mutex::new(Some(driver)), outbox }))
    }

    /// What came since the last call; null: nothing.
    #[napi(catch_unwind)]
    pub fn drain(&self) -> Option<Buffer> {
        let frames = std::mem::take(&mut *self.outbox.frames.lock().unwrap_or_else(PoisonError::into_inner));
        (!frames.is_empty()).then(|| frames.into())
    }

    /// Sends messages: each its length (u32) and its JSON. The answer is a list, in order, of what is not
    /// simply accepted: `[{index, id}]` for a duplicate, `[{index, code, message}]` for a refused one.
    #[napi(catch_unwind)]
    pub fn send(&self, ticket: f64, messages: Buffer) -> Coded<()> {
        self.job(ticket, move |engine, now| {
            let (mut rest, mut index) = (messages.as_ref(), 0);
            let mut odd = Vec::new();
            while let Some((len, after)) = rest.split_first_chunk::<4>() {
                let Some((message, next)) = after.split_at_checked(u32::from_le_bytes(*len) as usize) else {
                    return Err(broken("messages"));
                };
                rest = next;
                match engine.send(message, now) {
                    Ok(Sent::Accepted(_)) => {}
                    Ok(Sent::Duplicate(id)) => odd.push(format!(r#"{{"index":{index},"id":"{id}"}}"#)),
                    Err(error @ TaskError::Store(_)) => return Err(error.into()),
                    Err(error) => {
                        let error = error_json(&error.into());
                        odd.push(format!(r#"{{"index":{index},{}"#, error.trim_start_matches('{')));
                    }
                }
                index += 1;
            }
            Ok(format!("[{}]", odd.join(",")))
        })
    }

    /// Sends messages that have all but little in common, in the lines of `tasks::alike`: all, or none where one is
    /// refused. The answer is a list of the duplicates: `[{index, id}]`.
    #[napi(catch_unwind)]
    pub fn send_all(&self, ticket: f64, lines: Buffer) -> Coded<()> {
        self.job(ticket, move |engine, now| {
            let sent = engine.send_all(&lines, now)?;
            let odd = sent.iter().enumerate().filter_map(|(index, sent)| match sent {
                Sent::Accepted(_) => None,
                Sent::Duplicate(id) => Some(format!(r#"{{"index":{index},"id":"{id}"}}"#)),
            });
            Ok(format!("[{}]", odd.collect::<Vec<_>>().join(",")))
        })
    }

    /// Accepts a message at once, where that can be. False: `send` it, which also tells what is wrong.
    #[napi(catch_unwind)]
    pub fn take_in(&self, message: String) -> bool {
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        driver.as_ref().is_some_and(|driver| driver.take_in(message.into_bytes()))
    }

    /// Sends a workflow: a signature as JSON. The answer is `{id, duplicate}`.
    #[napi(catch_unwind)]
    pub fn send_workflow(&self, ticket: f64, signature: String) -> Coded<()> {
        self.job(ticket, move |engine, now| {
            let (id, duplicate) = match engine.send_workflow(signature.as_bytes(), now)? {
                Sent::Accepted(id) => (id, false),
                Sent::Duplicate(id) => (id, true),
            };
            Ok(format!(r#"{{"id":"{id}","duplicate":{duplicate}}}"#))
        })
    }

    /// `options` is JSON: `tasks.WorkerOptions`. The answer is the worker's number.
    #[napi(catch_unwind)]
    pub fn open_worker(&self, ticket: f64, options: String) -> Coded<()> {
        self.job(ticket, move |engine, now| {
            let options: WorkerOptions = from_json(&options)?;
            Ok(engine.open_worker(options, now)?.to_string())
        })
    }

    /// It takes no more tasks.
    #[napi(catch_unwind)]
    pub fn drain_worker(&self, ticket: f64, worker: u32) -> Coded<()> {
        self.job(ticket, move |engine, _| {
            engine.drain_worker(worker);
            Ok("null".into())
        })
    }

    /// What it still has goes back to the queue.
    #[napi(catch_unwind)]
    pub fn close_worker(&self, ticket: f64, worker: u32) -> Coded<()> {
        self.job(ticket, move |engine, now| {
            engine.close_worker(worker, now)?;
            Ok("null".into())
        })
    }

    /// Reports on tasks: each its length (u32), its kind (u8), the token (f64) and a payload. Kinds: 0 started,
    /// 1 done (result), 2 failed (error), 3 retry (`{delayMs?, error?}`), 4 progress (JSON), 5 heartbeat,
    /// 6 give back, 7 revoked. The answer lists the places of those that came too late.
    #[napi(catch_unwind)]
    pub fn report(&self, ticket: f64, reports: Buffer) -> Coded<()> {
        self.job(ticket, move |engine, now| {
            let late = engine.report(&reports, now)?;
            serde_json::to_string(&late).map_err(|error| EngineError::internal(&error))
        })
    }

    /// One command as JSON, by its `op`. The answer is the command's.
    #[napi(catch_unwind)]
    pub fn control(&self, ticket: f64, command: String) -> Coded<()> {
        self.job(ticket, move |engine, now| Ok(engine.control(&command, now)?))
    }

    /// Has the results of these ids told, as soon as they are there. An id that nobody knows is told as such.
    #[napi(catch_unwind)]
    pub fn watch(&self, ids: Vec<String>) -> Coded<()> {
        self.with(Box::new(move |engine| {
            engine.ok()?;
            Some(Box::new(move |engine| {
                let Ok(engine) = engine else { return };
                for id in ids.iter().filter_map(|id| Id::parse(id)) {
                    // What cannot be read now is told by the next command.
                    let _ = engine.watch(id);
                }
            }))
        }))
    }

    #[napi(catch_unwind)]
    pub fn unwatch(&self, ids: Vec<String>) -> Coded<()> {
        self.with(Box::new(move |engine| {
            let (engine, _) = engine.ok()?;
            ids.iter().filter_map(|id| Id::parse(id)).for_each(|id| engine.unwatch(id));
            None
        }))
    }

    /// Begins or ends to tell events.
    #[napi(catch_unwind)]
    pub fn want_events(&self, wanted: bool) -> Coded<()> {
        self.with(Box::new(move |engine| {
            let (engine, now) = engine.ok()?;
            engine.want_events(wanted, now);
            None
        }))
    }

    /// Does what waits, gives back what workers hold, and ends. Drain once more after it.
    #[napi]
    pub async fn close(&self) -> Coded<()> {
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(driver) = driver else { return Coded(Ok(())) };
        let closed = spawn_blocking(move || driver.close().map_err(EngineError::from)).await;
        self.outbox.wake.lock().unwrap_or_else(PoisonError::into_inner).take();
        Coded(closed.unwrap_or_else(|panic| Err(EngineError::internal(&panic))))
    }
}

impl TaskQueue {
    /// After the end nothing comes through the outbox any more: then the call itself fails.
    fn with(&self, job: driver::Job) -> Coded<()> {
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        Coded(driver.as_ref().ok_or_else(|| TaskError::Closed.into()).map(|driver| driver.submit(job)))
    }

    /// A job whose answer is told after the commit.
    fn job(
        &self,
        ticket: f64,
        job: impl FnOnce(&mut Engine, i64) -> Result<String, EngineError> + Send + 'static,
    ) -> Coded<()> {
        let mut ticket = Ticket { number: ticket, outbox: Some(self.outbox.clone()) };
        self.with(Box::new(move |engine| {
            let answer = match engine {
                Ok((engine, now)) => job(engine, now),
                Err(error) => Err(error),
            };
            if answer.is_err() {
                ticket.answer(&answer);
                return None;
            }
            Some(Box::new(move |committed| ticket.answer(&committed.map(drop).and(answer))))
        }))
    }
}

fn broken(what: &str) -> EngineError {
    EngineError { code: ErrorCode::InvalidInput, message: format!("{what}: frames do not fit their lengths") }
}

/// Checks a workflow and gives its parts their ids. For a broker that has its own store: `{signature, tasks}`.
#[napi(catch_unwind)]
pub fn prepare_workflow(signature: String) -> Coded<String> {
    Coded::of(|| {
        let mut signature = workflow::read(signature.as_bytes())?;
        let tasks = workflow::prepare(&mut signature, &mut crate::tasks::Chance::new(), driver::now_ms())?;
        Ok::<_, EngineError>(format!(r#"{{"signature":{},"tasks":{tasks}}}"#, json(&signature)?))
    })
}

/// The first effects of a prepared workflow.
#[napi(catch_unwind)]
pub fn begin_workflow(signature: String) -> Coded<String> {
    Coded::of(|| {
        let signature = workflow::read(signature.as_bytes())?;
        json(&workflow::begin(signature, driver::now_ms())?)
    })
}

/// The effects of a task's outcome, `{result}` or `{error}`, on what follows it, its message's `then`.
#[napi(catch_unwind)]
pub fn advance_workflow(then: String, outcome: String, root_id: String, parent_id: String) -> Coded<String> {
    Coded::of(|| {
        let then = parsed(&then, "then")?;
        let outcome = parsed(&outcome, "outcome")?;
        let context = workflow::Context { root_id: &root_id, parent_id: Some(&parent_id), now: driver::now_ms() };
        json(&workflow::advance(then, outcome, &context)?)
    })
}

/// The effects of a join whose outcomes are all there: a list in order.
#[napi(catch_unwind)]
pub fn complete_join(join: String, outcomes: String) -> Coded<String> {
    Coded::of(|| {
        let outcomes: Vec<workflow::Outcome> = parsed(&outcomes, "outcomes")?;
        json(&workflow::complete(parsed(&join, "join")?, &outcomes, driver::now_ms())?)
    })
}

/// When a schedule, `{everyMs}` or `{cron, tz}` as JSON, is due next after a time; null: never.
#[napi(catch_unwind)]
pub fn next_firing(schedule: String, after_ms: f64) -> Coded<Option<f64>> {
    Coded::of(|| {
        let schedule = crate::tasks::Schedule::new(&from_json(&schedule)?)?;
        Ok::<_, EngineError>(schedule.next(after_ms as i64).map(|at| at as f64))
    })
}

/// What a broker with a store of its own has to know of a message, as JSON: `tasks::Head`. Checks it.
#[napi(catch_unwind)]
pub fn read_message(message: String) -> Coded<String> {
    Coded::of(|| {
        let message = Message::parse(message.as_bytes())?;
        if let Some(then) = message.then {
            workflow::check(&workflow::frames(then)?, driver::now_ms())?;
        }
        json(&Head::from(message))
    })
}

/// What follows a failed attempt of a message's task: `again <ms>`, `failure` or `dead`. `asked_ms` is the wait that the
/// worker asks for, NaN: that of the policy.
#[napi(catch_unwind)]
pub fn judge_failure(message: String, failure: String, retries: u32, asked_ms: Option<f64>) -> Coded<String> {
    Coded::of(|| {
        let message = Message::read(message.as_bytes())?;
        let failure = parsed(&failure, "failure")?;
        let chance = &mut crate::tasks::Chance::new();
        Ok::<_, EngineError>(match message.retry.judge(&failure, retries, message.max_retries(), asked_ms, chance) {
            Verdict::Again(ms) => format!("again {ms}"),
            Verdict::GiveUp => "failure".into(),
            Verdict::Exhausted => "dead".into(),
        })
    })
}

/// Which states may follow which: JSON, `{state: [state]}`.
#[napi(catch_unwind)]
pub fn task_states() -> String {
    let next = |state: State| State::ALL.into_iter().filter(move |next| state.may_become(*next)).map(State::name);
    let table = State::ALL.into_iter().map(|state| (state.name().to_owned(), next(state).collect()));
    serde_json::Value::Object(table.collect()).to_string()
}

/// Whether a name fits a pattern with `*` and `?`.
#[napi(catch_unwind)]
pub fn fits_pattern(pattern: String, name: String) -> bool {
    glob(&pattern, &name)
}

/// Checks the options of a worker.
#[napi(catch_unwind)]
pub fn check_worker(options: String) -> Coded<()> {
    Coded::of(|| Ok::<_, EngineError>(from_json::<WorkerOptions>(&options)?.check()?))
}

/// Checks a command.
#[napi(catch_unwind)]
pub fn check_command(command: String) -> Coded<()> {
    Coded::of(|| Ok::<_, EngineError>(crate::tasks::check_command(&command)?))
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, EngineError> {
    serde_json::to_string(value).map_err(|error| EngineError::internal(&error))
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T, EngineError> {
    serde_json::from_str(text).map_err(|error| EngineError {
        code: ErrorCode::InvalidWorkflow,
        message: format!("{what}: {error}; pass it on as it was given"),
    })
}
