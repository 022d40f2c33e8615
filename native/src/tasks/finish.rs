//! The end of a task: its result, which is recorded once, and the dead.

use serde::Serialize;
use serde_json::value::RawValue;

use super::engine::{Engine, Extra, HAS_THEN, HAS_TTL, IGNORE_RESULT, PROGRESSED};
use super::events::Kind;
use super::id::Id;
use super::retry::Failure;
use super::state::State;
use super::store::{Attempt, DeadTask, PlainResult, RESULT_HEAD, ResultHead, foreign, json};
use super::workflow::{Outcome, raw};
use super::{Message, Result};

/// A longer name of a worker goes into the JSON.
const MOST_NAME: usize = 1 << 16;

/// A result, as it is told, and stored where it is no [`PlainResult`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskResult<'a> {
    pub id: Id,
    pub state: State,
    pub name: &'a str,
    pub queue: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_id: Option<Id>,
    pub result: Option<&'a RawValue>,
    pub error: Option<&'a Failure>,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub completed_at: i64,
    pub runtime_ms: Option<i64>,
    pub retries: u16,
    pub worker_id: Option<&'a str>,
    pub progress: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "<[Attempt]>::is_empty")]
    pub attempts: &'a [Attempt],
}

impl Engine {
    pub(super) fn succeed(&mut self, index: u32, payload: &[u8], now: i64) -> Result<()> {
        // No payload: nothing was returned.
        let payload = if payload.is_empty() { b"null".as_slice() } else { payload };
        let text = std::str::from_utf8(payload).ok();
        match text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok()) {
            Some(result) => self.finish(index, State::Success, Some(result), None, now),
            None => {
                let failure = Failure::of("INVALID_INPUT", "the result is no JSON; return what JSON can say".into());
                self.end(index, State::Failure, failure, now)
            }
        }
    }

    pub(super) fn end(&mut self, index: u32, state: State, failure: Failure, now: i64) -> Result<()> {
        self.finish(index, state, None, Some(&failure), now)
    }

    pub(super) fn end_revoked(&mut self, index: u32, now: i64) -> Result<()> {
        self.end(index, State::Revoked, Failure::of("REVOKED", "the task was called off".into()), now)
    }

    pub(super) fn end_expired(&mut self, index: u32, now: i64) -> Result<()> {
        self.end(index, State::Expired, Failure::of("EXPIRED", "nobody began the task before it expired".into()), now)
    }

    /// Records the first final state; a second one changes nothing.
    fn finish(
        &mut self,
        index: u32,
        state: State,
        result: Option<&RawValue>,
        failure: Option<&Failure>,
        now: i64,
    ) -> Result<()> {
        if !self.tasks[index as usize].state.may_become(state) {
            return Ok(());
        }
        let flags = self.tasks[index as usize].flags;
        // The message is needed for what follows the task, or for its death; most have neither.
        let message = if flags & HAS_THEN != 0 || state == State::Dead { Some(self.message(index)?) } else { None };
        let held_by = self.tasks[index as usize].worker;
        let released = self.release(index);
        let started = released.map(|(at, _)| at);
        if let Some(worker) = self.workers.get_mut(&held_by) {
            worker.finished += 1;
        }
        self.step(index, state);
        let mut extra = self.tasks[index as usize].extra.take().map_or_else(Extra::default, |extra| *extra);
        let worker = started.map(|_| self.worker_name(held_by));
        if let (Some(error), false) = (failure, extra.attempts.is_empty() && state != State::Dead) {
            let started_at = started.unwrap_or(now);
            let worker_id = worker.unwrap_or_default().to_owned();
            extra.attempts.push(Attempt { started_at, ended_at: now, worker_id, error: error.clone() });
        }
        let progress = extra.progress.as_ref().and_then(|text| RawValue::from_string(text.to_string()).ok());
        let task = &self.tasks[index as usize];
        let (id, root) = (task.id, extra.root);
        let (queue, name) = self.names_of(index);
        let expires = now.saturating_add(self.ttl(flags, message.as_deref(), index)?);
        let lane = &self.lanes[task.lane as usize];
        let plain = progress.is_none() && extra.attempts.is_empty();
        let record = match (state, started, worker, result) {
            (State::Success, Some(started), Some(worker), Some(result)) if plain && worker.len() < MOST_NAME => {
                PlainResult {
                    created: task.created,
                    started,
                    completed: now,
                    retries: task.retries,
                    queue: lane.queue,
                    name: lane.name,
                    root,
                    worker,
                    result: result.get().as_bytes(),
                }
                .record(expires)
            }
            _ => ResultHead { state, expires }.record(&TaskResult {
                id,
                state,
                name,
                queue,
                root_id: root,
                result,
                error: failure,
                created_at: task.created,
                started_at: started,
                completed_at: now,
                runtime_ms: started.map(|at| now - at),
                retries: task.retries,
                worker_id: worker,
                progress: progress.as_deref(),
                attempts: &extra.attempts,
            })?,
        };
        let outcome = match (&message, failure) {
            (None, _) => None,
            (Some(_), None) => Some(Outcome::ok(result.map_or_else(|| RawValue::NULL.to_owned(), ToOwned::to_owned))),
            (Some(_), Some(failure)) => {
                let error = ErrorOf { failure, task_id: id.to_string(), task_name: name };
                Some(Outcome::failed(raw(&error)?))
            }
        };
        if state == State::Dead
            && let Some(message) = &message
        {
            let json_of = |text: &[u8]| RawValue::from_string(String::from_utf8_lossy(text).into_owned());
            let (Ok(message), Ok(result)) = (json_of(message), json_of(&record[RESULT_HEAD..])) else {
                return Err(foreign("tasks", &id.0));
            };
            let place = &self.lanes[task.lane as usize];
            let place = (place.queue, place.name);
            let dead = DeadTask { queue: queue.into(), name: name.into(), died_at: now, message, result };
            self.batch.put(&self.spaces.dead, id.0, json(&dead)?);
            self.dead.insert(id, place);
        }
        self.keep(id, record, flags & IGNORE_RESULT != 0 && state == State::Success)?;
        self.event(Kind::of(state), index, now, "");
        let queue = self.queue_of(index);
        queue.meter.count(now);
        if state != State::Dead {
            queue.counts[state as usize] -= 1;
        }
        self.forget(index);
        if let Some(root) = root {
            self.count_in_flow(root, state == State::Success);
        }
        if let (Some(message), Some(outcome)) = (message, outcome)
            && let Some(then) = Message::read(&message)?.then
        {
            self.go_on(id, root, then, outcome, now)?;
        }
        Ok(())
    }

    fn ttl(&self, flags: u8, message: Option<&[u8]>, index: u32) -> Result<i64> {
        if flags & HAS_TTL == 0 {
            return Ok(self.options.result_ttl_ms as i64);
        }
        let own;
        let message = match message {
            Some(message) => message,
            None => {
                own = self.message(index)?;
                &own
            }
        };
        Ok(Message::read(message)?.result_ttl_ms.unwrap_or(self.options.result_ttl_ms) as i64)
    }

    /// Records a result, and has who waits for it told. `record`: [`ResultHead`] and the result.
    pub(super) fn keep(&mut self, id: Id, record: Vec<u8>, ignore: bool) -> Result<()> {
        if self.watched.remove(&id) {
            let text = self.result_of(id, &record)?;
            self.finished.push(text);
        }
        if !ignore {
            let head = ResultHead::read(&record).ok_or_else(|| foreign("results", &id.0))?;
            self.note_result(id, &head);
            self.batch.put(&self.spaces.results, id.0, record);
        }
        Ok(())
    }

    pub(super) fn note_result(&mut self, id: Id, head: &ResultHead) {
        self.results.push(head.expires, id);
        self.newest_result = self.newest_result.max(id);
        if head.state.is_rare() {
            self.rare.insert((head.state as u8, id));
        }
    }

    /// The end of its time is noted no more.
    pub(super) fn forget_result(&mut self, id: Id) {
        self.batch.remove(&self.spaces.results, id.0);
        for state in State::ALL.into_iter().filter(|state| state.is_rare()) {
            self.rare.remove(&(state as u8, id));
        }
    }

    /// The JSON of a record.
    pub(super) fn result_of(&self, id: Id, record: &[u8]) -> Result<Vec<u8>> {
        let damaged = || foreign("results", &id.0);
        let Some(plain) = PlainResult::read(record) else {
            ResultHead::read(record).ok_or_else(damaged)?;
            return Ok(record[RESULT_HEAD..].to_vec());
        };
        let (queue, name) = (self.queues.get(plain.queue as usize), self.names.get(plain.name as usize));
        let (Some(queue), Some(name)) = (queue, name) else { return Err(damaged()) };
        json(&TaskResult {
            id,
            state: State::Success,
            name: &name.name,
            queue: &queue.name,
            root_id: plain.root,
            result: Some(serde_json::from_slice(plain.result).map_err(|_| damaged())?),
            error: None,
            created_at: plain.created,
            started_at: Some(plain.started),
            completed_at: plain.completed,
            runtime_ms: Some(plain.completed - plain.started),
            retries: plain.retries,
            worker_id: Some(plain.worker),
            progress: None,
            attempts: &[],
        })
    }

    /// A result that is kept; the dead are kept longer than their results.
    pub(super) fn result(&self, id: Id) -> Result<Option<Vec<u8>>> {
        if let Some(record) = self.spaces.results.get(&id.0)? {
            return self.result_of(id, &record).map(Some);
        }
        let record = if self.dead.contains_key(&id) { self.spaces.dead.get(&id.0)? } else { None };
        let Some(record) = record else { return Ok(None) };
        let dead: DeadTask = serde_json::from_slice(&record).map_err(|_| foreign("dead", &id.0))?;
        Ok(Some(dead.result.get().into()))
    }

    /// Has a result told when it is there, at once where it is. Call it after a commit.
    pub fn watch(&mut self, id: Id) -> Result<()> {
        if self.by_id.contains_key(&id) || self.flows.contains_key(&id) {
            self.watched.insert(id);
            return Ok(());
        }
        match self.result(id)? {
            Some(text) => self.finished.push(text),
            // A later part of a workflow is no task yet.
            None if !self.flows.is_empty() => drop(self.watched.insert(id)),
            None => self.finished.push(unknown(&id.to_string()).into()),
        }
        Ok(())
    }

    /// Nobody waits for it any more.
    pub fn unwatch(&mut self, id: Id) {
        self.watched.remove(&id);
    }

    /// Sends a dead task again, as new but with its history.
    pub(super) fn resend(&mut self, id: Id, now: i64) -> Result<bool> {
        // What was sent again in this turn is still in the store.
        if !self.dead.contains_key(&id) {
            return Ok(false);
        }
        let Some(record) = self.spaces.dead.get(&id.0)? else { return Ok(false) };
        let dead: DeadTask = serde_json::from_slice(&record).map_err(|_| foreign("dead", &id.0))?;
        let history = serde_json::from_str::<History>(dead.result.get()).unwrap_or_default();
        self.delete_dead(id);
        self.batch.remove(&self.spaces.results, id.0);
        self.resent.insert(id);
        // The store still has the result that is about to go; its time and its key are over.
        let mut message: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(dead.message.get()).map_err(|_| foreign("dead", &id.0))?;
        for gone in ["eta", "expires", "idempotencyKey"] {
            message.remove(gone);
        }
        message.insert("queue".into(), dead.queue.into());
        let message = json(&message)?;
        self.enrol(&message, &Message::read(&message)?, now)?;
        if let Some(&index) = self.by_id.get(&id) {
            self.tasks[index as usize].flags |= PROGRESSED;
            self.extra(index).attempts = history.attempts;
            self.save_progress(index, None)?;
        }
        Ok(true)
    }

    /// Deletes a dead task.
    pub(super) fn delete_dead(&mut self, id: Id) -> bool {
        self.batch.remove(&self.spaces.dead, id.0);
        let Some((queue, _)) = self.dead.remove(&id) else { return false };
        self.queues[queue as usize].counts[State::Dead as usize] -= 1;
        true
    }

    pub(super) fn restore_dead(&mut self) -> Result<()> {
        let rows: Vec<_> = self.spaces.dead.range(..).collect::<std::result::Result<_, _>>()?;
        for (key, value) in rows {
            let dead: Option<DeadTask> = serde_json::from_slice(&value).ok();
            let (Some(id), Some(dead)) = (Id::from_bytes(&key), dead) else { return Err(foreign("dead", &key)) };
            let place = (self.queue(&dead.queue), self.name(&dead.name));
            self.queues[place.0 as usize].counts[State::Dead as usize] += 1;
            self.dead.insert(id, place);
        }
        Ok(())
    }
}

/// An error, as a workflow passes it on.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorOf<'a> {
    #[serde(flatten)]
    pub failure: &'a Failure,
    pub task_id: String,
    pub task_name: &'a str,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct History {
    attempts: Vec<Attempt>,
}

/// What is told of an id that nobody knows.
pub(super) fn unknown(id: &str) -> String {
    let id = serde_json::Value::from(id);
    let message = "no task of this id is known; its result may be past its time";
    format!(
        r#"{{"id":{id},"state":null,"result":null,"error":{{"type":"EngineError","message":"{message}","code":"NOT_FOUND"}}}}"#
    )
}
