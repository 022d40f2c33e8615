//! `action::python` for Node.js. Values cross as JSON text and binary parts; what happens is told by a
//! bell, and JavaScript takes as much at a time as it likes.

use std::os::fd::IntoRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, spawn_blocking};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use super::coded::Coded;
use crate::action::python::{Answer, Event, Events, Options, Python, PythonError};
use crate::error::{EngineError, ErrorCode, HasCode};
use crate::options::from_json;

/// What an event tells.
#[napi(string_enum = "camelCase")]
pub enum PythonEventKind {
    Value,
    Raised,
    Failed,
    Started,
    StartRaised,
    StartFailed,
    Ended,
    Reloaded,
    ReloadRaised,
    Line,
    ErrorLine,
    LinesLost,
}

/// Something that happened.
#[napi(object)]
pub struct PythonEvent {
    pub kind: PythonEventKind,
    /// Of the call; or the worker's number; or how many lines.
    pub id: f64,
    /// JSON, a line, or a message.
    pub text: String,
    /// Then the text is JSON of the value and of their places in it.
    pub parts: Option<Vec<Buffer>>,
    pub code: Option<ErrorCode>,
    /// How long the call ran.
    pub took_ms: Option<f64>,
}

/// What a call took, and whether more wait.
#[napi(object)]
pub struct PythonEvents {
    pub events: Vec<PythonEvent>,
    pub more: bool,
}

/// The socket of a worker's process.
#[napi(object)]
pub struct PythonChannel {
    pub fd: i32,
    /// Which process of the worker.
    pub turn: u32,
}

impl PythonEvent {
    fn new(kind: PythonEventKind, id: f64, text: String) -> Self {
        PythonEvent { kind, id, text, parts: None, code: None, took_ms: None }
    }

    fn failed(kinds: (PythonEventKind, PythonEventKind), id: f64, error: PythonError) -> Self {
        match error {
            PythonError::Script(problem) => PythonEvent::new(kinds.0, id, problem.to_string()),
            error => PythonEvent { code: Some(error.code()), ..PythonEvent::new(kinds.1, id, error.to_string()) },
        }
    }

    fn answered(id: f64, answer: Result<Answer, PythonError>, took: Duration) -> Self {
        use PythonEventKind::{Failed, Raised, Value};
        let event = match answer {
            Ok(Answer::Value(json)) => PythonEvent::new(Value, id, json),
            Ok(Answer::WithParts(json, parts)) => {
                let parts = parts.into_iter().map(Buffer::from).collect();
                PythonEvent { parts: Some(parts), ..PythonEvent::new(Value, id, json) }
            }
            Ok(Answer::Raised(json)) => PythonEvent::new(Raised, id, json),
            Err(error) => PythonEvent::failed((Raised, Failed), id, error),
        };
        PythonEvent { took_ms: Some(took.as_secs_f64() * 1000.0), ..event }
    }
}

impl From<Event> for PythonEvent {
    fn from(event: Event) -> Self {
        use PythonEventKind::*;
        match event {
            Event::Answered { id, answer, took } => PythonEvent::answered(id as f64, answer, took),
            Event::Started { worker, about } => PythonEvent::new(Started, worker as f64, about),
            Event::StartFailed { worker, error } => {
                PythonEvent::failed((StartRaised, StartFailed), worker as f64, error)
            }
            Event::Ended { worker, how } => PythonEvent::new(Ended, worker as f64, how),
            Event::Reloaded { worker } => PythonEvent::new(Reloaded, worker as f64, String::new()),
            Event::ReloadFailed { worker, problem } => PythonEvent::new(ReloadRaised, worker as f64, problem),
            Event::Line { error, text } => PythonEvent::new(if error { ErrorLine } else { Line }, 0.0, text),
            Event::LinesLost(count) => PythonEvent::new(LinesLost, count as f64, String::new()),
        }
    }
}

/// A script and the processes that run it.
#[napi]
pub struct PythonScript {
    python: Mutex<Option<Arc<Python>>>,
    events: Arc<Events>,
}

impl PythonScript {
    fn get(&self) -> Option<Arc<Python>> {
        self.python.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[napi]
impl PythonScript {
    /// `options` is JSON. `on_event` is called when events wait where none did.
    #[napi(catch_unwind)]
    pub fn open(options: String, on_event: ThreadsafeFunction<(), (), (), napi::Status, false>) -> Coded<PythonScript> {
        Coded::of(|| {
            let options: Options = from_json(&options)?;
            let events = Arc::new(Events::new(move || {
                on_event.call((), ThreadsafeFunctionCallMode::NonBlocking);
            }));
            let python = Python::open(options, |name| std::env::var(name).ok(), &events)?;
            Ok::<_, EngineError>(PythonScript { python: Mutex::new(Some(Arc::new(python))), events })
        })
    }

    /// Puts a call into the line: its outcome is an event with the same id.
    #[napi(catch_unwind)]
    pub fn call(&self, id: f64, source: Option<String>, json: String, parts: Option<Vec<Buffer>>) -> Coded<()> {
        let parts = parts.unwrap_or_default();
        let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
        Coded::of(|| match self.get() {
            Some(python) => python.call(id as u64, source.as_deref(), &json, &parts),
            None => Err(PythonError::Closed),
        })
    }

    /// At most `limit` events, the oldest first.
    #[napi(catch_unwind)]
    pub fn take(&self, limit: u32) -> PythonEvents {
        let (events, more) = self.events.take(limit as usize);
        PythonEvents { events: events.into_iter().map(PythonEvent::from).collect(), more }
    }

    /// The socket of a worker's process, which the caller owns, and reads from now on: `hear` is told what comes.
    /// Null where there is none that can be given.
    #[napi(catch_unwind)]
    pub fn listen(&self, worker: u32) -> Option<PythonChannel> {
        let (socket, turn) = self.get()?.listen(worker as usize)?;
        Some(PythonChannel { fd: socket.into_raw_fd(), turn })
    }

    /// What came from there, or nothing at its end; then takes events.
    #[napi(catch_unwind)]
    pub fn hear(&self, worker: u32, turn: u32, bytes: &[u8], limit: u32) -> PythonEvents {
        if let Some(python) = self.get() {
            self.events.hushed(|| python.hear(worker as usize, turn, bytes));
        }
        self.take(limit)
    }

    /// The process id of each worker, while it has one.
    #[napi(catch_unwind)]
    pub fn processes(&self) -> Vec<Option<u32>> {
        self.get().map(|python| python.processes()).unwrap_or_default()
    }

    /// Lets the waiting calls finish and the script shut down, within a few seconds.
    #[napi]
    pub async fn close(&self) {
        if let Some(python) = self.get() {
            let _ = spawn_blocking(move || python.close()).await;
        }
        self.python.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The bell keeps Node.js running, and this object may be collected much later.
        self.events.silence();
    }
}
