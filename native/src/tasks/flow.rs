//! The place of workflows in the store: every step happens in one transaction with what caused it.

use std::collections::hash_map::Entry;

use serde::Serialize;
use serde_json::value::RawValue;

use super::engine::{Engine, Sent};
use super::finish::ErrorOf;
use super::id::Id;
use super::retry::Failure;
use super::state::State;
use super::store::{Flow, ResultHead, foreign, json};
use super::workflow::{self, Context, Effects, Join, Outcome, PartDone, Record, raw};
use super::{Message, Result, TaskError};

/// A join that waits.
pub(super) struct JoinState {
    left: u32,
}

const JOIN: u8 = 0;
const PART: u8 = 1;

fn join_key(id: Id) -> Vec<u8> {
    [id.0.as_slice(), &[JOIN]].concat()
}

fn part_key(id: Id, index: u32) -> Vec<u8> {
    [id.0.as_slice(), &[PART], &index.to_be_bytes()].concat()
}

fn id_of(text: &str) -> Result<Id> {
    Id::parse(text).ok_or_else(|| TaskError::Workflow(format!("'{text}' is no UUID")))
}

impl Engine {
    /// Sends a workflow: a signature as JSON. Its id is that of the whole.
    pub fn send_workflow(&mut self, text: &[u8], now: i64) -> Result<Sent> {
        let mut signature = workflow::read(text)?;
        let total = workflow::prepare(&mut signature, &mut self.chance, now)? as u64;
        let id = id_of(signature.id.as_deref().unwrap_or_default())?;
        if self.flows.contains_key(&id) || self.is_known(id)? {
            return Ok(Sent::Duplicate(id));
        }
        let single = signature.task.is_some();
        let effects = workflow::begin(signature, now)?;
        // Nothing of it is sent if a part cannot be.
        for message in &effects.sends {
            let (bytes, max) = (message.get().len(), self.options.max_payload_bytes);
            if bytes > max {
                return Err(TaskError::TooLarge { what: "a task of the workflow", bytes, max });
            }
        }
        if self.by_id.len() + effects.sends.len() > self.options.max_tasks {
            return Err(TaskError::Full(self.by_id.len()));
        }
        // One task alone is its own workflow: nothing is recorded for it beside its result.
        if !single {
            self.flows.insert(id, Flow { total, created_at: now, ..Flow::default() });
            self.dirty_flows.insert(id);
        }
        self.follow(effects, Some(id), now)?;
        Ok(Sent::Accepted(id))
    }

    /// What follows a task that ended.
    pub(super) fn go_on(
        &mut self,
        id: Id,
        root: Option<Id>,
        then: &RawValue,
        outcome: Outcome,
        now: i64,
    ) -> Result<()> {
        let outcome = if self.is_cancelled(root) { called_off()? } else { outcome };
        let root_id = root.unwrap_or(id).to_string();
        let context = Context { root_id: &root_id, parent_id: Some(&id.to_string()), now };
        let effects = workflow::advance(workflow::frames(then)?, outcome, &context)?;
        self.follow(effects, root, now)
    }

    pub(super) fn is_cancelled(&self, root: Option<Id>) -> bool {
        root.and_then(|root| self.flows.get(&root)).is_some_and(|flow| flow.cancelled)
    }

    pub(super) fn count_in_flow(&mut self, root: Id, success: bool) {
        if let Some(flow) = self.flows.get_mut(&root) {
            *(if success { &mut flow.completed } else { &mut flow.failed }) += 1;
            self.dirty_flows.insert(root);
        }
    }

    /// Does effects and what they cause at once, in turn: parts that end when they are sent may be as many as a chain is
    /// long, and a stack is not so deep.
    fn follow(&mut self, effects: Effects, root: Option<Id>, now: i64) -> Result<()> {
        self.effects.push_back((effects, root));
        if std::mem::replace(&mut self.is_following, true) {
            return Ok(());
        }
        let mut done = Ok(());
        while done.is_ok()
            && let Some((effects, root)) = self.effects.pop_front()
        {
            done = self.apply(effects, root, now);
        }
        self.is_following = false;
        done
    }

    fn apply(&mut self, effects: Effects, root: Option<Id>, now: i64) -> Result<()> {
        for join in effects.joins {
            let id = id_of(&join.id)?;
            self.batch.put(&self.spaces.joins, join_key(id), json(&join)?);
            self.joins.insert(id, JoinState { left: join.count });
        }
        for PartDone { part, outcome } in effects.parts {
            let id = id_of(&part.id)?;
            self.batch.put(&self.spaces.joins, part_key(id, part.index), json(&outcome)?);
            if let Some(join) = self.joins.get_mut(&id) {
                join.left = join.left.saturating_sub(1);
                if join.left == 0 {
                    self.full_joins.push(id);
                }
            }
        }
        for record in effects.records {
            self.record(record, root, now)?;
        }
        let cancelled = self.is_cancelled(root);
        for message in effects.sends {
            let json = message.get().as_bytes();
            let message = Message::read(json)?;
            match self.accept(json, &message, now)? {
                Sent::Accepted(id) => {
                    if let (true, Some(&index)) = (cancelled, self.by_id.get(&id)) {
                        self.end_revoked(index, now)?;
                    }
                }
                // Each step is done once here, so that it is another task, and what waits for this part would wait for ever.
                Sent::Duplicate(id) => self.refuse_part(id, &message, root, now)?,
            }
        }
        Ok(())
    }

    fn refuse_part(&mut self, id: Id, message: &Message, root: Option<Id>, now: i64) -> Result<()> {
        if let Some(root) = root {
            self.count_in_flow(root, false);
        }
        let Some(then) = message.then else { return Ok(()) };
        let task_id = id.to_string();
        let problem = format!("a part has the id {task_id}, which another task has; leave it out, or make a new one");
        let failure = &Failure::of("INVALID_WORKFLOW", problem);
        let error = raw(&ErrorOf { failure, task_id, task_name: &message.name })?;
        self.go_on(id, root, then, Outcome::failed(error), now)
    }

    /// The outcome of a whole, or of a task that is not run any more.
    fn record(&mut self, record: Record, root: Option<Id>, now: i64) -> Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Whole<'a> {
            id: &'a str,
            state: State,
            name: Option<&'a str>,
            root_id: Option<String>,
            result: Option<&'a RawValue>,
            error: Option<&'a RawValue>,
            completed_at: i64,
            #[serde(skip_serializing_if = "Option::is_none")]
            workflow: Option<&'a Flow>,
        }
        let id = id_of(&record.id)?;
        let error = record.outcome.error.as_deref();
        let revoked = record.skipped.is_some()
            || error.and_then(|error| serde_json::from_str::<Failure>(error.get()).ok()?.code).as_deref()
                == Some("REVOKED");
        let state = match error {
            None => State::Success,
            Some(_) if revoked => State::Revoked,
            Some(_) => State::Failure,
        };
        if record.skipped.is_some()
            && let Some(root) = root
        {
            self.count_in_flow(root, false);
        }
        let flow = self.flows.remove(&id);
        if flow.is_some() {
            self.dirty_flows.insert(id);
        }
        // The first final state stays, also that of a task that has the id and is none of the workflow.
        if self.is_known(id)? {
            return Ok(());
        }
        let expires = now.saturating_add(self.options.result_ttl_ms as i64);
        let kept = ResultHead { state, expires }.record(&Whole {
            id: &record.id,
            state,
            name: record.skipped.as_deref(),
            root_id: root.map(|root| root.to_string()),
            result: record.outcome.result.as_deref(),
            error,
            completed_at: now,
            workflow: flow.as_ref(),
        })?;
        self.keep(id, kept, false)
    }

    /// Goes on behind the joins whose parts are all there.
    pub(super) fn pass_joins(&mut self, now: i64) -> Result<()> {
        for id in std::mem::take(&mut self.full_joins) {
            self.joins.remove(&id);
            let Some(record) = self.spaces.joins.get(&join_key(id))? else { continue };
            let join: Join = serde_json::from_slice(&record).map_err(|_| foreign("joins", &id.0))?;
            let mut outcomes = Vec::with_capacity(join.count as usize);
            for row in self.spaces.joins.prefix(&[id.0.as_slice(), &[PART]].concat()) {
                let (key, value) = row?;
                outcomes.push(serde_json::from_slice(&value).map_err(|_| foreign("joins", &key))?);
                self.batch.remove(&self.spaces.joins, key);
            }
            self.batch.remove(&self.spaces.joins, join_key(id));
            let root = Id::parse(&join.root_id);
            if self.is_cancelled(root) {
                outcomes = vec![called_off()?];
            }
            let effects = workflow::complete(join, &outcomes, now)?;
            self.follow(effects, root, now)?;
        }
        Ok(())
    }

    pub(super) fn restore_flows(&mut self) -> Result<()> {
        for row in self.spaces.flows.range(..) {
            let (key, value) = row?;
            let flow = serde_json::from_slice(&value).ok();
            let (Some(id), Some(flow)) = (Id::from_bytes(&key), flow) else { return Err(foreign("flows", &key)) };
            self.flows.insert(id, flow);
        }
        let mut done: std::collections::HashMap<Id, u32> = std::collections::HashMap::new();
        for row in self.spaces.joins.range(..) {
            let (key, value) = row?;
            let id = key.get(..16).and_then(Id::from_bytes).ok_or_else(|| foreign("joins", &key))?;
            if key.get(16) == Some(&PART) {
                *done.entry(id).or_default() += 1;
            } else {
                let join: Join = serde_json::from_slice(&value).map_err(|_| foreign("joins", &key))?;
                self.joins.insert(id, JoinState { left: join.count });
            }
        }
        for (id, count) in done {
            if let Entry::Occupied(mut join) = self.joins.entry(id) {
                join.get_mut().left = join.get().left.saturating_sub(count);
                if join.get().left == 0 {
                    self.full_joins.push(id);
                }
            }
        }
        Ok(())
    }
}

fn called_off() -> Result<Outcome> {
    Ok(Outcome::failed(raw(&Failure::of("REVOKED", "the workflow was called off".into()))?))
}
