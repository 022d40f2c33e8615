//! The thread that owns an engine. Jobs come in at any time; all that wait are done together and committed
//! once, and only then answered: that is the group commit. While nothing waits and nothing is due, it sleeps.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Engine, Intake, Options, Result, TaskError};
use crate::error::EngineError;

/// What a job leaves for after the commit.
pub type After = Box<dyn FnOnce(std::result::Result<&mut Engine, EngineError>) + Send>;
/// Does something with the engine at a time; or hears why it cannot.
pub type Job = Box<dyn FnOnce(std::result::Result<(&mut Engine, i64), EngineError>) -> Option<After> + Send>;

/// Takes what the engine has for others, after each commit.
pub trait Outlet: Send + 'static {
    /// May take frames, results and events.
    fn ready(&mut self, engine: &mut Engine);

    /// The engine has ended by itself. What was accepted is there for the next one.
    fn ended(&mut self, _reason: &EngineError) {}
}

#[derive(Default)]
struct Mailbox {
    jobs: Vec<Job>,
    closing: bool,
    /// The thread has to be woken.
    asleep: bool,
    /// Under the same lock as the jobs, so that the engine takes messages in the order in which they came.
    intake: Option<Intake>,
    /// So many tasks more may come through the intake before the engine is asked.
    room: usize,
}

impl Mailbox {
    fn push(&mut self, job: Job, shared: &Shared) {
        self.jobs.push(job);
        shared.posted.store(true, Ordering::Release);
        if std::mem::take(&mut self.asleep) {
            shared.wake.notify_one();
        }
    }
}

#[derive(Default)]
struct Shared {
    mailbox: Mutex<Mailbox>,
    wake: Condvar,
    /// Whether the mailbox has something, without its lock.
    posted: AtomicBool,
}

impl Shared {
    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After work it looks so long for more before it sleeps: who answers at once finds it awake.
const LINGER: Duration = Duration::from_micros(50);

/// An engine at work.
pub struct Driver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
    max_bytes: usize,
}

/// The wall clock, in ms since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

/// What the wall clock moves beside the time that passes, from so many ms on, means that it was set.
const SET_MS: i64 = 1_000;

/// Sees that the wall clock was set.
struct Clock {
    now: i64,
    at: Instant,
}

impl Clock {
    fn new() -> Self {
        Clock { now: now_ms(), at: Instant::now() }
    }

    /// By how many ms it was set since it was last read.
    fn set_by(&self) -> i64 {
        let by = now_ms() - self.now - self.at.elapsed().as_millis() as i64;
        if by.abs() < SET_MS { 0 } else { by }
    }

    /// The time, and by how many ms it was set.
    fn read(&mut self) -> (i64, i64) {
        let by = self.set_by();
        *self = Clock::new();
        (self.now, by)
    }
}

impl Driver {
    /// Opens a queue and starts its thread. Waits for the disk.
    pub fn open(path: PathBuf, options: Options, outlet: impl Outlet) -> Result<Driver> {
        let max_bytes = options.max_payload_bytes;
        let mut engine = Engine::open(&path, options, now_ms())?;
        let shared = Arc::new(Shared::default());
        shared.mailbox().intake = engine.open_intake();
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("millrace-tasks".into());
        let thread = thread
            .spawn(move || run(&own, engine, outlet))
            .map_err(|error| TaskError::Option { option: "thread".into(), problem: error.to_string() })?;
        Ok(Driver { shared, thread: Some(thread), max_bytes })
    }

    /// Hands in a job. After the end it hears [`TaskError::Closed`].
    pub fn submit(&self, job: Job) {
        let mut mailbox = self.shared.mailbox();
        if mailbox.closing {
            drop(mailbox);
            let _ = job(Err(TaskError::Closed.into()));
            return;
        }
        mailbox.push(job, &self.shared);
    }

    /// Accepts a message at once, where that can be. False: send it by a job, which also tells what is wrong.
    pub fn take_in(&self, message: Vec<u8>) -> bool {
        if !Engine::may_take_in(&message, self.max_bytes) {
            return false;
        }
        let mut mailbox = self.shared.mailbox();
        if mailbox.closing || mailbox.room == 0 {
            return false;
        }
        let Some(mark) = mailbox.intake.as_mut().and_then(|intake| intake.append(&message)) else { return false };
        mailbox.room -= 1;
        let job: Job = Box::new(move |engine| {
            // An engine that has ended finds it at its next start.
            if let Ok((engine, now)) = engine {
                engine.take_in(&message, mark, now);
            }
            None
        });
        mailbox.push(job, &self.shared);
        true
    }

    /// Does what waits, and ends. Waits for the disk.
    pub fn close(mut self) -> Result<()> {
        self.shared.mailbox().closing = true;
        self.shared.wake.notify_one();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            // A panic: told by whoever waited for it.
            Some(Err(_)) | None => Err(TaskError::Closed),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.mailbox().closing = true;
        self.shared.wake.notify_one();
    }
}

fn run(shared: &Shared, mut engine: Engine, mut outlet: impl Outlet) -> Result<()> {
    // With one core it would keep the other thread from its work.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut worked = false;
    let mut clock = Clock::new();
    loop {
        if worked && cores > 1 {
            linger(shared);
        }
        let (jobs, closing) = wait(shared, &mut engine, &clock);
        worked = !jobs.is_empty();
        let done = catch_unwind(AssertUnwindSafe(|| cycle(&mut engine, jobs, &mut outlet, &mut clock)));
        let bug = |_| Err(EngineError::internal(&"the task queue's thread panicked; open the queue again"));
        if let Err(reason) = done.map_or_else(bug, |done| done.map_err(EngineError::from)) {
            // Nothing more is accepted for an engine that has ended.
            shared.mailbox().intake = None;
            // What is in memory is not what is on the disk. Only a new start knows what is true.
            drop(engine);
            outlet.ended(&reason);
            refuse(shared, &reason);
            return Ok(());
        }
        if closing {
            return engine.close(now_ms());
        }
    }
}

fn cycle(engine: &mut Engine, jobs: Vec<Job>, outlet: &mut impl Outlet, clock: &mut Clock) -> Result<()> {
    let (now, set_by) = clock.read();
    let mut after: Vec<After> = Vec::with_capacity(jobs.len());
    let mut done = if set_by == 0 { Ok(()) } else { engine.clock_set(set_by, now) };
    done = done.and_then(|()| engine.tick(now));
    for job in jobs {
        after.extend(job(match &done {
            Ok(()) => Ok((&mut *engine, now)),
            Err(error) => Err(told(error)),
        }));
    }
    if done.is_ok() {
        done = engine.deliver(now).and_then(|()| engine.commit(now));
    }
    for answer in after {
        answer(match &done {
            Ok(()) => Ok(&mut *engine),
            Err(error) => Err(told(error)),
        });
    }
    done?;
    outlet.ready(engine);
    Ok(())
}

fn told(error: &TaskError) -> EngineError {
    EngineError { code: crate::error::HasCode::code(error), message: error.to_string() }
}

fn linger(shared: &Shared) {
    let begin = Instant::now();
    while !shared.posted.load(Ordering::Acquire) && begin.elapsed() < LINGER {
        std::hint::spin_loop();
    }
}

/// Sleeps until there is something to do.
fn wait(shared: &Shared, engine: &mut Engine, clock: &Clock) -> (Vec<Job>, bool) {
    let due = engine.next_due();
    let mut mailbox = shared.mailbox();
    let (taken, room) = engine.intake_state();
    mailbox.intake.iter_mut().for_each(|intake| intake.taken(taken));
    mailbox.room = room.saturating_sub(mailbox.jobs.len());
    loop {
        mailbox.asleep = false;
        if !mailbox.jobs.is_empty() || mailbox.closing {
            shared.posted.store(false, Ordering::Release);
            return (std::mem::take(&mut mailbox.jobs), mailbox.closing);
        }
        mailbox.asleep = true;
        mailbox = match due.map(|due| due - now_ms()) {
            None => shared.wake.wait(mailbox).unwrap_or_else(PoisonError::into_inner),
            // What is due may be so at another time where the clock was set.
            Some(left) if left <= 0 || clock.set_by() != 0 => {
                mailbox.asleep = false;
                return (Vec::new(), false);
            }
            // The clock may be set meanwhile: look at it once a minute.
            Some(left) => {
                let left = Duration::from_millis(left.min(60_000) as u64);
                shared.wake.wait_timeout(mailbox, left).unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

/// Tells everybody, until it is closed, why nothing goes any more.
fn refuse(shared: &Shared, reason: &EngineError) {
    let mut mailbox = shared.mailbox();
    loop {
        for job in std::mem::take(&mut mailbox.jobs) {
            drop(mailbox);
            let _ = job(Err(reason.clone()));
            mailbox = shared.mailbox();
        }
        if mailbox.closing {
            return;
        }
        mailbox.asleep = true;
        mailbox = shared.wake.wait(mailbox).unwrap_or_else(PoisonError::into_inner);
    }
}
