//! The thread that keeps a worker's process running: starts it, gives it what callers could not write,
//! hears it, ends it when it takes too long, and starts the next one.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;

use super::events::Event;
use super::frame::{self, Frame, Kind};
use super::lines::Lines;
use super::process::{Process, TOO_OLD, how};
use super::worker::{Phase, Shared, State};
use super::{Mode, PythonError};

/// A process is looked at so often, at least: callers write without telling.
const TICK: Duration = Duration::from_millis(500);
/// An answer may be on its way through who reads the socket: then it is looked for again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// With reload a script that does not start is likely being written.
const RETRY_MAX_RELOAD: Duration = Duration::from_secs(2);
/// A process that ends so soon without a call is not started again at once.
const SOON: Duration = Duration::from_secs(1);
/// Below the 8 s that a node has to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Why a process is over.
enum End {
    /// It was wanted.
    Wanted,
    /// The script does not start: JSON of its exception.
    NotLoaded(String),
    TooLong,
    /// By itself.
    Died,
}

/// What the clock says.
enum Due {
    Wait(Duration),
    Shutdown,
    Over(End),
}

/// See above.
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    woken: UnixStream,
    /// Python's own path, once it has told it: the first one may be a script that only finds it.
    program: PathBuf,
    retry: Duration,
    not_before: Option<Instant>,
    /// When closing, or stopping one process, has to be over.
    deadline: Option<Instant>,
    /// Since when a call is over its time, and no answer is to be seen.
    late: Option<Instant>,
}

impl Supervisor {
    pub fn new(shared: Arc<Shared>, woken: UnixStream) -> Self {
        let program = shared.program.clone();
        Supervisor { shared, woken, program, retry: RETRY_MIN, not_before: None, deadline: None, late: None }
    }

    pub fn run(mut self) {
        // Isolated, too, begins with one: it shows whether the script loads.
        let mut is_wanted = true;
        while self.wait_for_work(is_wanted) {
            is_wanted = !self.is_isolated();
            match Process::start(&self.program, &self.shared.options) {
                Ok((process, socket)) => self.serve(process, socket),
                Err(error) => {
                    let program = self.program.to_string_lossy().into_owned();
                    self.fail(&mut self.shared.clone().lock(), PythonError::NotStarted(program, error.to_string()));
                }
            }
        }
        let mut state = self.shared.lock();
        state.enter(Phase::Failed(PythonError::Closed));
        self.shared.fail_all(&mut state, &PythonError::Closed);
    }

    fn is_isolated(&self) -> bool {
        self.shared.options.mode == Mode::Isolated
    }

    /// Until a process is to be started; false where none is any more.
    fn wait_for_work(&mut self, is_wanted: bool) -> bool {
        loop {
            let wait = {
                let mut state = self.shared.lock();
                let now = Instant::now();
                if state.closing {
                    let deadline = *self.deadline.get_or_insert(now + CLOSE_LIMIT);
                    // What waits is still done, in the time that is left.
                    if !state.has_calls() || now >= deadline {
                        return false;
                    }
                }
                let wait = self.not_before.map(|due| due.saturating_duration_since(now)).filter(|wait| !wait.is_zero());
                if wait.is_none() && (is_wanted || state.has_calls()) {
                    state.enter(Phase::Starting);
                    return true;
                }
                wait
            };
            let mut among = [PollFd::new(&self.woken, PollFlags::IN)];
            wait_for(&mut among, wait);
            self.drain_wakes();
        }
    }

    fn drain_wakes(&mut self) {
        let mut bytes = [0; 256];
        while matches!(self.woken.read(&mut bytes), Ok(read) if read > 0) {}
    }

    fn serve(&mut self, mut process: Process, socket: UnixStream) {
        let started = Instant::now();
        let socket = Arc::new(socket);
        {
            let mut state = self.shared.lock();
            state.socket = Some(socket.clone());
            state.process = Some(process.id());
            state.turn += 1;
        }
        let mut lines = [Lines::default(), Lines::default()];
        let end = self.talk(&mut process, &socket, &mut lines);
        let status = process.end();
        self.read_lines(&mut process, &mut lines);
        for (lines, error) in lines.iter_mut().zip([false, true]) {
            lines.finish(|text| self.shared.events.push(Event::Line { error, text }));
        }
        self.over(end, &status, started);
    }

    /// Until the process is over.
    fn talk(&mut self, process: &mut Process, mut socket: &UnixStream, lines: &mut [Lines; 2]) -> End {
        let load = frame::encode(frame::LOAD, &self.shared.options.load(), &[]);
        let mut to_load = load.as_slice();
        // Writing is of no use any more.
        let mut is_hung = false;
        loop {
            let is_behind = !to_load.is_empty() || self.shared.write(&mut self.shared.lock());
            let (is_heard, is_over) = {
                let state = self.shared.lock();
                (state.is_heard, state.is_over)
            };
            if is_over {
                return self.died();
            }
            let wait = match self.due(socket) {
                Due::Wait(wait) => wait,
                Due::Over(end) => return end,
                Due::Shutdown => {
                    self.shut_down(&mut self.shared.clone().lock());
                    continue;
                }
            };
            let mut wanted = if is_heard { PollFlags::empty() } else { PollFlags::IN };
            wanted.set(PollFlags::OUT, is_behind && !is_hung);
            let [came, woken, printed] = {
                let mut among = vec![PollFd::new(&self.woken, PollFlags::IN)];
                // Who asks for nothing is told of the end all the same, again and again.
                let is_asked = !wanted.is_empty();
                if is_asked {
                    among.push(PollFd::new(&socket, wanted));
                }
                if let [Lines { ended: false, .. }, _] = lines {
                    among.push(PollFd::new(&process.stdout, PollFlags::IN));
                }
                if let [_, Lines { ended: false, .. }] = lines {
                    among.push(PollFd::new(&process.stderr, PollFlags::IN));
                }
                wait_for(&mut among, Some(wait));
                let told = |fd: &PollFd| !fd.revents().is_empty();
                let (first, rest) = among.split_at(if is_asked { 2 } else { 1 });
                is_hung |= first.get(1).is_some_and(|fd| fd.revents().intersects(PollFlags::HUP | PollFlags::ERR));
                [first.get(1).is_some_and(told), first.first().is_some_and(told), rest.iter().any(told)]
            };
            if woken {
                self.drain_wakes();
            }
            if printed {
                self.read_lines(process, lines);
            }
            if came && !is_heard {
                // Where the process is gone, reading tells.
                if !to_load.is_empty()
                    && let Ok(written) = socket.write(to_load)
                {
                    to_load = to_load.get(written..).unwrap_or_default();
                }
                match self.read(socket) {
                    Ok(true) => {}
                    Ok(false) => return self.died(),
                    Err(end) => return end,
                }
            } else if !printed && process.has_ended() && !(is_heard && is_unread(socket)) {
                // A child of the script may hold the other end of the socket.
                return self.died();
            }
        }
    }

    /// What there is; false where nothing more comes, or nothing that can be understood.
    fn read(&mut self, mut socket: &UnixStream) -> Result<bool, End> {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        if state.is_heard {
            return Ok(true);
        }
        let more = state.reader.fill(&mut socket);
        loop {
            match state.reader.next() {
                Ok(None) => return Ok(matches!(more, Ok(true))),
                Err(_) => return Ok(false),
                Ok(Some(frame)) => self.hear(&mut state, frame)?,
            }
        }
    }

    fn died(&self) -> End {
        if self.shared.lock().phase == Phase::Stopping { End::Wanted } else { End::Died }
    }

    fn read_lines(&self, process: &mut Process, lines: &mut [Lines; 2]) {
        let [out, err] = lines;
        out.read(&mut process.stdout, |text| self.shared.events.push(Event::Line { error: false, text }));
        err.read(&mut process.stderr, |text| self.shared.events.push(Event::Line { error: true, text }));
    }

    fn due(&mut self, socket: &UnixStream) -> Due {
        let shared = self.shared.clone();
        let state = shared.lock();
        let options = &self.shared.options;
        let now = Instant::now();
        if state.closing {
            let deadline = *self.deadline.get_or_insert(now + CLOSE_LIMIT);
            if now >= deadline {
                return Due::Over(End::Wanted);
            }
            if state.phase == Phase::Up && !state.has_calls() {
                return Due::Shutdown;
            }
        }
        let end = match state.phase {
            Phase::Starting | Phase::Reloading => Some(state.since + options.start_timeout()),
            Phase::Up if state.is_running() => Some(state.since + options.timeout()),
            Phase::Stopping => self.deadline,
            _ => None,
        };
        let tick = TICK.min(options.timeout());
        match end.map(|end| end.saturating_duration_since(now)) {
            Some(Duration::ZERO) if state.phase == Phase::Stopping => Due::Over(End::Wanted),
            Some(Duration::ZERO) if state.is_heard && self.may_be_answered(socket) => Due::Wait(LOOK_AGAIN),
            Some(Duration::ZERO) => Due::Over(End::TooLong),
            left => {
                self.late = None;
                Due::Wait(left.map_or(tick, |left| left.min(tick)))
            }
        }
    }

    /// Who reads the socket may be busy: what lies in it, or was taken from it a moment ago, may be the answer.
    fn may_be_answered(&mut self, socket: &UnixStream) -> bool {
        if is_unread(socket) {
            self.late = None;
            return true;
        }
        self.late.get_or_insert_with(Instant::now).elapsed() < LOOK_AGAIN
    }

    fn shut_down(&mut self, state: &mut State) {
        state.enter(Phase::Stopping);
        self.deadline.get_or_insert(state.since + CLOSE_LIMIT);
        if let Some(socket) = &state.socket {
            // There is room for it. Where there is none, the deadline ends the process.
            let _ = (&**socket).write(&frame::encode(frame::SHUTDOWN, "null", &[]));
        }
    }

    fn hear(&mut self, state: &mut State, frame: Frame) -> Result<(), End> {
        let shared = self.shared.clone();
        let is_done = match frame.kind {
            Kind::StartFailed => return Err(End::NotLoaded(frame.json)),
            Kind::Started => {
                self.program = told_program(&frame.json).unwrap_or_else(|| shared.program.clone());
                (self.retry, self.not_before) = (RETRY_MIN, None);
                !state.has_calls()
            }
            kind => matches!(kind, Kind::Value | Kind::ValueWithParts | Kind::Failed),
        };
        shared.heard(state, frame);
        if self.is_isolated() && is_done {
            self.shut_down(state);
        }
        Ok(())
    }

    /// Who pays for the end of a process, and when the next one comes.
    fn over(&mut self, end: End, status: &std::io::Result<ExitStatus>, started: Instant) {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let phase = state.phase.clone();
        let is_running = state.is_running();
        state.forget_process();
        if !state.closing {
            self.deadline = None;
        }
        let is_starting = phase == Phase::Starting;
        let error = match end {
            End::Wanted => None,
            End::NotLoaded(problem) => Some(PythonError::Script(problem.into())),
            End::TooLong if is_starting => {
                Some(PythonError::Timeout("the start", shared.options.start_timeout_ms as u64))
            }
            End::TooLong => Some(PythonError::Timeout("a call", shared.options.timeout_ms as u64)),
            End::Died if is_starting && status.as_ref().is_ok_and(|status| status.code() == Some(TOO_OLD)) => {
                Some(PythonError::TooOld(shared.program.to_string_lossy().into_owned()))
            }
            End::Died => Some(PythonError::Ended(if is_starting { "the start" } else { "a call" }, how(status))),
        };
        match error {
            Some(error) if is_starting => self.fail(&mut state, error),
            Some(error) => {
                state.enter(Phase::Down);
                let how =
                    if matches!(error, PythonError::Timeout(..)) { "it took too long".to_owned() } else { how(status) };
                shared.events.push(Event::Ended { worker: shared.number, how });
                if is_running {
                    shared.answer(&mut state, Err(error));
                } else if started.elapsed() < SOON {
                    self.not_before = Some(Instant::now() + RETRY_MIN);
                }
            }
            None => state.enter(Phase::Down),
        }
    }

    /// There is no process, and none at once.
    fn fail(&mut self, state: &mut State, error: PythonError) {
        let shared = &self.shared;
        shared.events.push(Event::StartFailed { worker: shared.number, error: error.clone() });
        if self.is_isolated() {
            // Each call tries for itself.
            state.enter(Phase::Down);
            return shared.answer(state, Err(error));
        }
        shared.fail_all(state, &error);
        state.enter(Phase::Failed(error));
        self.not_before = Some(Instant::now() + self.retry);
        let most = if shared.options.auto_reload { RETRY_MAX_RELOAD } else { RETRY_MAX };
        self.retry = most.min(self.retry * 2);
    }
}

fn is_unread(socket: &UnixStream) -> bool {
    ioctl_fionread(socket).is_ok_and(|bytes| bytes > 0)
}

fn told_program(about: &str) -> Option<PathBuf> {
    let about: serde_json::Value = serde_json::from_str(about).ok()?;
    about.get("executable")?.as_str().map(PathBuf::from).filter(|program| program.is_file())
}

fn wait_for(among: &mut [PollFd<'_>], limit: Option<Duration>) {
    // Rounded up, or the time just before a deadline passes in a circle.
    let limit = limit.and_then(|limit| Timespec::try_from(limit + Duration::from_micros(100)).ok());
    // An interruption is a look too many.
    let _ = poll(among, limit.as_ref());
}
