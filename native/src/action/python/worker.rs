//! One worker: a line of calls, which a supervised process answers.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use super::events::{Event, Events};
use super::frame::{Answer, Frame, Kind, Reader};
use super::supervisor::Supervisor;
use super::{Mode, Options, PythonError};

/// So many calls may wait.
const MOST_CALLS: usize = 100_000;

struct Call {
    id: u64,
    frame: Vec<u8>,
    written: usize,
}

/// Where a worker's process stands.
#[derive(Clone, PartialEq)]
pub(super) enum Phase {
    /// There is no process.
    Down,
    /// It loads the script.
    Starting,
    /// It answers.
    Up,
    /// It loads a new version of the script.
    Reloading,
    /// It shuts down.
    Stopping,
    /// It does not start; calls fail until it does.
    Failed(PythonError),
}

/// What the callers and the supervisor know.
pub(super) struct State {
    pub phase: Phase,
    pub socket: Option<Arc<UnixStream>>,
    pub process: Option<u32>,
    /// Which process it is, counted from 1.
    pub turn: u32,
    pub reader: Reader,
    /// Who calls reads the socket, too; only then the supervisor does not.
    pub is_heard: bool,
    /// Who read it found its end, or nonsense.
    pub is_over: bool,
    /// In their order; the first one is running.
    calls: VecDeque<Call>,
    /// So many of them the process has been given.
    sent: usize,
    /// Since when the phase lasts, or the first call has run.
    pub since: Instant,
    pub closing: bool,
}

impl State {
    pub fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Whether the process has the first call, or a part of it.
    pub fn is_running(&self) -> bool {
        self.sent > 0 || self.calls.front().is_some_and(|call| call.written > 0)
    }

    /// The next process gets all of it.
    pub fn forget_process(&mut self) {
        self.socket = None;
        self.process = None;
        self.reader = Reader::default();
        (self.is_heard, self.is_over) = (false, false);
        self.sent = 0;
        for call in &mut self.calls {
            call.written = 0;
        }
    }

    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }
}

/// Callers on one side, the supervisor on the other.
pub(super) struct Shared {
    pub number: usize,
    pub program: PathBuf,
    pub options: Arc<Options>,
    pub events: Arc<Events>,
    state: Mutex<State>,
    waker: UnixStream,
}

/// See above.
pub(super) struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    pub fn start(
        number: usize,
        program: PathBuf,
        options: Arc<Options>,
        events: Arc<Events>,
    ) -> Result<Worker, PythonError> {
        let failed =
            |error: std::io::Error| PythonError::NotStarted(program.to_string_lossy().into(), error.to_string());
        let (waker, woken) = UnixStream::pair().map_err(failed)?;
        waker.set_nonblocking(true).map_err(failed)?;
        woken.set_nonblocking(true).map_err(failed)?;
        let state = Mutex::new(State {
            phase: Phase::Down,
            socket: None,
            process: None,
            turn: 0,
            reader: Reader::default(),
            is_heard: false,
            is_over: false,
            calls: VecDeque::new(),
            sent: 0,
            since: Instant::now(),
            closing: false,
        });
        let shared = Arc::new(Shared { number, program: program.clone(), options, events, state, waker });
        let supervised = shared.clone();
        let run = move || Supervisor::new(supervised, woken).run();
        let thread = std::thread::Builder::new().name("millrace-python".into()).spawn(run).map_err(failed)?;
        Ok(Worker { shared, thread: Mutex::new(Some(thread)) })
    }

    pub fn call(&self, id: u64, frame: Vec<u8>) -> Result<(), PythonError> {
        let mut state = self.shared.lock();
        if state.closing {
            return Err(PythonError::Closed);
        }
        if let Phase::Failed(error) = &state.phase {
            return Err(error.clone());
        }
        if state.calls.len() == MOST_CALLS {
            return Err(PythonError::Full(MOST_CALLS));
        }
        if state.calls.is_empty() {
            state.since = Instant::now();
        }
        state.calls.push_back(Call { id, frame, written: 0 });
        // Written from here, one change of threads less; the rest, if any, goes from the supervisor.
        let is_behind = state.phase == Phase::Down || self.shared.write(&mut state);
        drop(state);
        if is_behind {
            self.shared.wake();
        }
        Ok(())
    }

    /// The socket of the process that answers now, and its turn, for who reads it from now on and gives what
    /// comes to `hear`.
    pub fn listen(&self) -> Option<(OwnedFd, u32)> {
        let mut state = self.shared.lock();
        let is_up = matches!(state.phase, Phase::Up | Phase::Reloading) && !state.is_heard;
        if !is_up || self.shared.options.mode == Mode::Isolated {
            return None;
        }
        let socket = state.socket.as_ref()?.try_clone().ok()?;
        state.is_heard = true;
        let turn = state.turn;
        drop(state);
        self.shared.wake();
        Some((socket.into(), turn))
    }

    /// What came from the process of that turn; nothing: its end.
    pub fn hear(&self, turn: u32, bytes: &[u8]) {
        let mut state = self.shared.lock();
        if state.turn != turn || !state.is_heard {
            return;
        }
        if bytes.is_empty() || self.shared.read(&mut state, bytes).is_err() {
            state.is_over = true;
            drop(state);
            self.shared.wake();
        }
    }

    pub fn process(&self) -> Option<u32> {
        self.shared.lock().process
    }

    pub fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.wake();
    }

    pub fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // A full pipe wakes as well.
        let _ = (&self.waker).write(&[1]);
    }

    /// Gives the process what it may have now and what fits; true where some did not.
    pub fn write(&self, state: &mut State) -> bool {
        if !matches!(state.phase, Phase::Up | Phase::Reloading) {
            return false;
        }
        let Some(socket) = state.socket.clone() else { return false };
        let window = if self.options.mode == Mode::Isolated { 1 } else { usize::MAX };
        while state.sent < window {
            let Some(call) = state.calls.get_mut(state.sent) else { return false };
            match (&*socket).write(call.frame.get(call.written..).unwrap_or_default()) {
                Ok(written) => call.written += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Where the process is gone, reading tells.
                Err(_) => return true,
            }
            if call.written == call.frame.len() {
                state.sent += 1;
            }
        }
        false
    }

    fn read(&self, state: &mut State, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            state.reader.fill(&mut bytes)?;
            while let Some(frame) = state.reader.next()? {
                self.heard(state, frame);
            }
        }
        Ok(())
    }

    /// A frame of a process that answers.
    pub fn heard(&self, state: &mut State, frame: Frame) {
        let worker = self.number;
        let event = match frame.kind {
            Kind::Value => return self.answer(state, Ok(Answer::Value(frame.json))),
            Kind::ValueWithParts => return self.answer(state, Ok(Answer::WithParts(frame.json, frame.parts))),
            Kind::Failed => return self.answer(state, Ok(Answer::Raised(frame.json))),
            Kind::Reloading => return state.enter(Phase::Reloading),
            Kind::Reloaded => Event::Reloaded { worker },
            Kind::ReloadFailed => Event::ReloadFailed { worker, problem: frame.json },
            Kind::Started => Event::Started { worker, about: frame.json },
            // That is its end, which follows.
            Kind::StartFailed => return,
        };
        state.enter(Phase::Up);
        self.events.push(event);
    }

    /// The first call is over.
    pub fn answer(&self, state: &mut State, answer: Result<Answer, PythonError>) {
        let Some(call) = state.calls.pop_front() else { return };
        state.sent = state.sent.saturating_sub(1);
        let now = Instant::now();
        let took = now - state.since;
        state.since = now;
        self.events.push(Event::Answered { id: call.id, answer, took });
    }

    pub fn fail_all(&self, state: &mut State, error: &PythonError) {
        while !state.calls.is_empty() {
            self.answer(state, Err(error.clone()));
        }
    }
}
