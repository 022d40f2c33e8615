//! What a worker gets and reports, leases, and what falls due.

use std::cmp::Reverse;

use super::engine::{Engine, NEVER, NONE, PROGRESSED};
use super::events::Kind;
use super::options::WorkerOptions;
use super::rate::Bucket;
use super::retry::{Failure, Verdict};
use super::state::State;
use super::store::{Attempt, Progressed, json};
use super::{Message, Result, TaskError};

/// Who takes tasks.
pub(super) struct Worker {
    pub options: WorkerOptions,
    pub lanes: Vec<u32>,
    /// The lanes that are open to it now; kept for its memory alone.
    pub open: Vec<u32>,
    pub bucket: Option<Bucket>,
    held: Vec<Held>,
    /// No lease ends before.
    check: i64,
    /// By priority, how many went before a task that waits there.
    passed: [u32; 10],
    /// Frames for it.
    outbox: Vec<u8>,
    pub since: i64,
    pub finished: u64,
    /// It takes nothing more.
    pub draining: bool,
}

/// A task that a worker has.
struct Held {
    index: u32,
    take: u64,
    at: i64,
    started: i64,
    lease: i64,
    deadline: i64,
    cancelled: bool,
}

impl Worker {
    pub fn has_room(&self) -> bool {
        !self.draining && self.held.len() < self.options.prefetch
    }

    pub fn held(&self) -> usize {
        self.held.len()
    }

    pub fn next_check(&self) -> i64 {
        if self.held.is_empty() { NEVER } else { self.check }
    }

    /// The highest priority of the mask, or one that was passed over too often.
    pub fn choose(&mut self, mask: u16) -> usize {
        let highest = 15 - mask.leading_zeros() as usize;
        let waiting = (0..highest).filter(|level| mask & 1 << level != 0);
        let mut chosen = highest;
        for level in waiting {
            self.passed[level] += 1;
            if self.passed[level] > super::ready::PATIENCE && chosen == highest {
                chosen = level;
            }
        }
        self.passed[chosen] = 0;
        chosen
    }

    fn frame(&mut self, kind: u8, token: u64, parts: &[&[u8]]) {
        let len = 9 + parts.iter().map(|part| part.len()).sum::<usize>();
        self.outbox.extend((len as u32).to_le_bytes());
        self.outbox.push(kind);
        self.outbox.extend((token as f64).to_le_bytes());
        for part in parts {
            self.outbox.extend_from_slice(part);
        }
    }
}

/// Kinds of frames for a worker.
const TASK: u8 = 0;
const CANCEL: u8 = 1;
const LOST: u8 = 2;

/// Kinds of reports from a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It runs.
    Started,
    /// It is done; the payload is the result.
    Done,
    /// It failed; the payload is a [`Failure`].
    Fail,
    /// The worker wants another attempt; the payload is `{delayMs?, error?}`.
    Retry,
    /// The payload says how far it is.
    Progress,
    /// It still runs.
    Heartbeat,
    /// It was not begun and goes back.
    GiveBack,
    /// It stopped because it was called off.
    Revoked,
}

impl Report {
    const ALL: [Report; 8] = [
        Report::Started,
        Report::Done,
        Report::Fail,
        Report::Retry,
        Report::Progress,
        Report::Heartbeat,
        Report::GiveBack,
        Report::Revoked,
    ];
}

/// Appends a report as it crosses: length, kind, token, payload.
pub fn report_frame(out: &mut Vec<u8>, report: Report, token: u64, payload: &[u8]) {
    out.extend((9 + payload.len() as u32).to_le_bytes());
    out.push(report as u8);
    out.extend((token as f64).to_le_bytes());
    out.extend_from_slice(payload);
}

/// A token names a task at one step of its life: place and step, exact as a number of JavaScript.
fn token(index: u32, step: u32) -> u64 {
    u64::from(step & STEP_MASK) << 32 | u64::from(index)
}

const STEP_MASK: u32 = (1 << 21) - 1;

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AskedRetry {
    delay_ms: Option<f64>,
    error: Failure,
}

impl Engine {
    /// A new worker; its number.
    pub fn open_worker(&mut self, options: WorkerOptions, now: i64) -> Result<u32> {
        options.check()?;
        let wants = |lane: &super::ready::Lane| {
            options.wants(&self.queues[lane.queue as usize].name, &self.names[lane.name as usize].name)
        };
        let lanes = (0..self.lanes.len()).filter(|&lane| wants(&self.lanes[lane])).map(|lane| lane as u32).collect();
        let number = self.next_worker;
        self.next_worker += 1;
        self.worker_event(Kind::WorkerOnline, &options.name, now);
        let bucket = options.rate.map(|rate| Bucket::new(rate, now));
        self.workers.insert(
            number,
            Worker {
                options,
                lanes,
                open: Vec::new(),
                bucket,
                held: Vec::new(),
                check: NEVER,
                passed: [0; 10],
                outbox: Vec::new(),
                since: now,
                finished: 0,
                draining: false,
            },
        );
        Ok(number)
    }

    /// It takes nothing more; what it has it may finish.
    pub fn drain_worker(&mut self, worker: u32) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.draining = true;
        }
    }

    /// Ends a worker. What it still has goes back, and counts as nothing.
    pub fn close_worker(&mut self, worker: u32, now: i64) -> Result<()> {
        while let Some(index) = self.workers.get(&worker).and_then(|it| it.held.last()).map(|held| held.index) {
            self.give_back(index)?;
        }
        if let Some(worker) = self.workers.remove(&worker) {
            self.worker_event(Kind::WorkerOffline, &worker.options.name, now);
        }
        Ok(())
    }

    /// The frames for a worker since the last call. Call it after a commit.
    pub fn take_frames(&mut self, worker: u32) -> Vec<u8> {
        self.workers.get_mut(&worker).map(|worker| std::mem::take(&mut worker.outbox)).unwrap_or_default()
    }

    /// Which workers have frames.
    pub fn workers_with_frames(&self) -> impl Iterator<Item = u32> {
        self.workers.iter().filter(|(_, worker)| !worker.outbox.is_empty()).map(|(number, _)| *number)
    }

    pub(super) fn give(&mut self, number: u32, index: u32, now: i64) -> Result<()> {
        self.load(index)?;
        if !self.step(index, State::Received) {
            return Ok(());
        }
        let take = self.next_take;
        let task = &mut self.tasks[index as usize];
        let deadline = task.extra.as_ref().and_then(|extra| extra.timeout_ms);
        let deadline = deadline.map_or(NEVER, |ms| now.saturating_add(ms));
        let Some(worker) = self.workers.get_mut(&number) else { return Ok(()) };
        let lease = now.saturating_add(worker.options.lease_ms as i64);
        task.worker = number;
        task.place = worker.held.len() as u32;
        task.deliveries = task.deliveries.saturating_add(1);
        worker.bucket.iter_mut().for_each(Bucket::take);
        worker.held.push(Held { index, take, at: now, started: 0, lease, deadline, cancelled: false });
        worker.check = worker.check.min(lease).min(deadline);
        let queue = &self.queues[self.lanes[task.lane as usize].queue as usize].name;
        let head = [
            u32::from(task.retries).to_le_bytes(),
            u32::from(task.deliveries).to_le_bytes(),
            (queue.len() as u32).to_le_bytes(),
        ];
        let message = task.message.as_deref().unwrap_or_default();
        worker.frame(TASK, token(index, task.step), &[head.as_flattened(), queue.as_bytes(), message]);
        self.event(Kind::Received, index, now, "");
        Ok(())
    }

    /// Notes what was handed out together: if the process ends now, it was lost.
    pub(super) fn note_take(&mut self, ids: Vec<u8>) {
        if !ids.is_empty() {
            let number = self.next_take;
            self.next_take += 1;
            self.takes.insert(number, (ids.len() / 16) as u32);
            self.batch.put_new(&self.spaces.takes, number.to_be_bytes(), ids);
        }
    }

    /// The task of a token, if its worker still has it.
    fn held_by_token(&self, token: f64) -> Option<u32> {
        let whole = token as u64;
        let (index, step) = (whole as u32, (whole >> 32) as u32);
        let task = self.tasks.get(index as usize)?;
        (task.worker != NONE && task.step & STEP_MASK == step && task.state.is_held()).then_some(index)
    }

    fn held(&mut self, index: u32) -> Option<&mut Held> {
        let task = &self.tasks[index as usize];
        self.workers.get_mut(&task.worker)?.held.get_mut(task.place as usize)
    }

    pub(super) fn worker_name(&self, worker: u32) -> &str {
        self.workers.get(&worker).map_or("", |worker| &worker.options.name)
    }

    /// Takes a task from its worker: when it was begun, and the take.
    pub(super) fn release(&mut self, index: u32) -> Option<(i64, u64)> {
        let task = &self.tasks[index as usize];
        let worker = self.workers.get_mut(&task.worker)?;
        let place = task.place as usize;
        if place >= worker.held.len() {
            return None;
        }
        let held = worker.held.swap_remove(place);
        if let Some(moved) = worker.held.get(place) {
            self.tasks[moved.index as usize].place = place as u32;
        }
        if worker.held.is_empty() {
            worker.check = NEVER;
        }
        let task = &mut self.tasks[index as usize];
        task.worker = NONE;
        task.place = NONE;
        if let Some(left) = self.takes.get_mut(&held.take) {
            *left -= 1;
            if *left == 0 {
                self.takes.remove(&held.take);
                self.batch.remove(&self.spaces.takes, held.take.to_be_bytes());
            }
        }
        Some((if held.started > 0 { held.started } else { held.at }, held.take))
    }

    /// Reads reports. The places, in their order, of those that came too late: their task is finished, or
    /// went to another worker.
    pub fn report(&mut self, frames: &[u8], now: i64) -> Result<Vec<u32>> {
        let mut late = Vec::new();
        let mut rest = frames;
        let mut place = 0;
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let len = u32::from_le_bytes(*len) as usize;
            let frame = after.get(..len).filter(|frame| frame.len() >= 9).ok_or_else(broken)?;
            rest = &after[len..];
            let report = *Report::ALL.get(usize::from(frame[0])).ok_or_else(broken)?;
            let token = f64::from_le_bytes(frame[1..9].try_into().map_err(|_| broken())?);
            let in_time = match self.held_by_token(token) {
                Some(index) => self.reported(index, report, &frame[9..], now)?,
                None => false,
            };
            if !in_time {
                late.push(place);
            }
            place += 1;
        }
        if rest.is_empty() { Ok(late) } else { Err(broken()) }
    }

    fn reported(&mut self, index: u32, report: Report, payload: &[u8], now: i64) -> Result<bool> {
        match report {
            Report::Started => {
                if let Some(held) = self.held(index)
                    && held.started == 0
                {
                    held.started = now;
                    self.start(index, now);
                    self.heartbeat(index, now);
                }
            }
            Report::Done => {
                if payload.len() > self.options.max_payload_bytes {
                    let max = self.options.max_payload_bytes;
                    let error = TaskError::TooLarge { what: "the result", bytes: payload.len(), max };
                    let failure = Failure::of("TOO_LARGE", error.to_string());
                    self.fail(index, failure, None, now)?;
                } else {
                    self.start(index, now);
                    self.succeed(index, payload, now)?;
                }
            }
            Report::Fail => {
                let failure = serde_json::from_slice(payload).unwrap_or_else(|_| Failure {
                    kind: "Error".into(),
                    message: String::from_utf8_lossy(payload).into_owned(),
                    ..Failure::default()
                });
                self.fail(index, failure, None, now)?;
            }
            Report::Retry => {
                let asked: AskedRetry = serde_json::from_slice(payload).unwrap_or_default();
                // No wait of its own: that of the policy, whatever the lists of types say.
                let wait = asked.delay_ms.filter(|ms| ms.is_finite()).unwrap_or(f64::NAN);
                self.fail(index, asked.error, Some(wait), now)?;
            }
            Report::Progress => {
                let text: Box<str> = String::from_utf8_lossy(payload).into();
                self.heartbeat(index, now);
                self.event(Kind::Progress, index, now, &format!(",\"progress\":{text}"));
                self.extra(index).progress = Some(text);
            }
            Report::Heartbeat => self.heartbeat(index, now),
            Report::GiveBack => self.give_back(index)?,
            Report::Revoked => self.end_revoked(index, now)?,
        }
        Ok(true)
    }

    /// Received becomes started, if it is not.
    fn start(&mut self, index: u32, now: i64) {
        if self.tasks[index as usize].state == State::Received {
            let step = self.tasks[index as usize].step;
            self.step(index, State::Started);
            // The worker's token stays good.
            self.tasks[index as usize].step = step;
            self.event(Kind::Started, index, now, "");
        }
    }

    fn heartbeat(&mut self, index: u32, now: i64) {
        let worker = self.tasks[index as usize].worker;
        let lease = self.workers.get(&worker).map_or(0.0, |worker| worker.options.lease_ms) as i64;
        if let Some(held) = self.held(index) {
            held.lease = now.saturating_add(lease);
        }
    }

    /// Back to its queue as if it had never been handed out.
    fn give_back(&mut self, index: u32) -> Result<()> {
        let Some((_, take)) = self.release(index) else { return Ok(()) };
        self.step(index, State::Pending);
        self.tasks[index as usize].deliveries = self.tasks[index as usize].deliveries.saturating_sub(1);
        self.extra(index).seen_take = take;
        self.save_progress(index, None)?;
        self.wait(index, true);
        Ok(())
    }

    /// A failed attempt: tried again, or the end. `asked_ms` is the wait that the worker asks for, NaN: one
    /// of the policy.
    fn fail(&mut self, index: u32, failure: Failure, asked_ms: Option<f64>, now: i64) -> Result<()> {
        let message = self.message(index)?;
        let message = Message::read(&message)?;
        let retries = u32::from(self.tasks[index as usize].retries);
        let cancelled = self.held(index).is_some_and(|held| held.cancelled);
        if cancelled {
            return self.end_revoked(index, now);
        }
        match message.retry.judge(&failure, retries, message.max_retries(), asked_ms, &mut self.chance) {
            Verdict::Again(wait) => self.again(index, failure, now.saturating_add(wait), now),
            Verdict::GiveUp => self.end(index, State::Failure, failure, now),
            Verdict::Exhausted => self.end(index, State::Dead, failure, now),
        }
    }

    /// Waits for the next attempt.
    fn again(&mut self, index: u32, failure: Failure, due: i64, now: i64) -> Result<()> {
        let worker = self.worker_name(self.tasks[index as usize].worker).to_owned();
        let Some((started, take)) = self.release(index) else { return Ok(()) };
        let extra = self.extra(index);
        extra.seen_take = take;
        extra.progress = None;
        extra.attempts.push(Attempt { started_at: started, ended_at: now, worker_id: worker, error: failure });
        self.step(index, State::Retry);
        let task = &mut self.tasks[index as usize];
        task.retries = task.retries.saturating_add(1);
        task.due = due;
        self.save_progress(index, Some(due))?;
        self.event(Kind::Retried, index, now, &format!(",\"due\":{due}"));
        self.wait(index, false);
        Ok(())
    }

    /// Its worker is gone: that was an attempt.
    fn lost(&mut self, index: u32, failure: Failure, now: i64) -> Result<()> {
        let message = self.message(index)?;
        let max = Message::read(&message)?.max_retries();
        if u32::from(self.tasks[index as usize].retries) >= max {
            return self.end(index, State::Dead, failure, now);
        }
        let worker = self.worker_name(self.tasks[index as usize].worker).to_owned();
        let Some((started, take)) = self.release(index) else { return Ok(()) };
        self.step(index, State::Pending);
        self.count_lost(
            index,
            take,
            Attempt { started_at: started, ended_at: now, worker_id: worker, error: failure },
        )?;
        self.event(Kind::Retried, index, now, ",\"reason\":\"lost\"");
        self.wait(index, true);
        Ok(())
    }

    fn count_lost(&mut self, index: u32, take: u64, attempt: Attempt) -> Result<()> {
        let extra = self.extra(index);
        extra.seen_take = take;
        extra.progress = None;
        extra.attempts.push(attempt);
        let task = &mut self.tasks[index as usize];
        task.retries = task.retries.saturating_add(1);
        self.save_progress(index, None)
    }

    /// It was handed out when the process ended.
    pub(super) fn lost_in_crash(&mut self, index: u32, take: u64, now: i64) -> Result<()> {
        let message = self.message(index)?;
        let max = Message::read(&message)?.max_retries();
        let error = Failure::of("WORKER_LOST", "the process ended while a worker had the task".into());
        if u32::from(self.tasks[index as usize].retries) >= max {
            // Only what a worker has can die.
            self.step(index, State::Received);
            return self.end(index, State::Dead, error, now);
        }
        let attempt = Attempt { started_at: now, ended_at: now, worker_id: String::new(), error };
        self.count_lost(index, take, attempt)
    }

    pub(super) fn save_progress(&mut self, index: u32, due: Option<i64>) -> Result<()> {
        let task = &mut self.tasks[index as usize];
        task.flags |= PROGRESSED;
        let extra = task.extra.get_or_insert_default();
        let progressed = Progressed {
            retries: u32::from(task.retries),
            seen_take: extra.seen_take,
            due,
            attempts: extra.attempts.clone(),
        };
        self.batch.put(&self.spaces.states, task.id.0, json(&progressed)?);
        Ok(())
    }

    /// Tells the worker of a task to stop.
    pub(super) fn cancel(&mut self, index: u32) {
        let task = &self.tasks[index as usize];
        let (token, place) = (token(index, task.step), task.place as usize);
        let Some(worker) = self.workers.get_mut(&task.worker) else { return };
        if let Some(held) = worker.held.get_mut(place)
            && !held.cancelled
        {
            held.cancelled = true;
            worker.frame(CANCEL, token, &[]);
        }
    }

    /// Lets time pass: what is due goes on, leases and deadlines end.
    pub fn tick(&mut self, now: i64) -> Result<()> {
        // First, as their next attempt may be due at once.
        self.end_leases(now)?;
        while let Some(&Reverse((at, index, step))) = self.timers.peek() {
            if at > now {
                break;
            }
            self.timers.pop();
            let Some(task) = self.tasks.get(index as usize).filter(|task| task.step == step) else { continue };
            if task.expires <= now {
                self.end_expired(index, now)?;
            } else if task.due <= now && task.state != State::Pending {
                self.step(index, State::Pending);
                self.wait(index, false);
            } else {
                self.wait(index, false);
            }
        }
        self.fire_periodic(now)?;
        self.tell_heartbeats(now);
        self.forget_idle_keys();
        self.sweep(now)
    }

    /// The wall clock was set: what counts from a moment, and not to a time of day, goes on as if it had not been.
    pub fn clock_set(&mut self, by: i64, now: i64) -> Result<()> {
        let moved = |at: &mut i64| {
            if *at < NEVER {
                *at = at.saturating_add(by);
            }
        };
        for worker in self.workers.values_mut() {
            moved(&mut worker.check);
            for held in &mut worker.held {
                moved(&mut held.lease);
                moved(&mut held.deadline);
                moved(&mut held.at);
                if held.started > 0 {
                    moved(&mut held.started);
                }
            }
        }
        moved(&mut self.events.heartbeat);
        self.keep_beats(now)
    }

    fn end_leases(&mut self, now: i64) -> Result<()> {
        let due: Vec<u32> =
            self.workers.iter().filter(|(_, worker)| worker.next_check() <= now).map(|(number, _)| *number).collect();
        for number in due {
            let over = |held: &Held| held.lease.min(held.deadline) <= now;
            let Some(worker) = self.workers.get_mut(&number) else { continue };
            let ended: Vec<(u32, bool)> =
                worker.held.iter().filter(|held| over(held)).map(|held| (held.index, held.deadline <= now)).collect();
            for (index, deadline) in ended {
                let step = self.tasks[index as usize].step;
                if let Some(worker) = self.workers.get_mut(&number) {
                    worker.frame(LOST, token(index, step), &[]);
                }
                if deadline {
                    let error = Failure::of("TIMEOUT", "the task took longer than its timeoutMs".into());
                    self.fail(index, error, None, now)?;
                } else if self.held(index).is_some_and(|held| held.cancelled) {
                    self.end_revoked(index, now)?;
                } else {
                    let error = Failure::of("WORKER_LOST", "the worker was not heard of until its lease ended".into());
                    self.lost(index, error, now)?;
                }
            }
            if let Some(worker) = self.workers.get_mut(&number) {
                let next = worker.held.iter().map(|held| held.lease.min(held.deadline)).min();
                worker.check = next.unwrap_or(NEVER);
            }
        }
        Ok(())
    }
}

fn broken() -> TaskError {
    TaskError::Message { path: "report".into(), problem: "frames do not fit their lengths".into() }
}
