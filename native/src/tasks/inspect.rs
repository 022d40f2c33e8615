//! What is in the queue, for people.

use std::num::NonZeroUsize;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json as value};

use super::control::LIVE;
use super::engine::{Engine, NONE};
use super::finish::unknown;
use super::id::Id;
use super::state::State;
use super::store::{ResultHead, foreign};
use super::{Result, TaskError};
use crate::kv::Bytes;

/// Which tasks.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Filter {
    /// None: all that are not finished.
    state: Option<State>,
    pub(super) queue: Option<String>,
    pub(super) name: Option<String>,
    /// The id of a workflow.
    workflow: Option<String>,
    /// At most so many; 100 by default.
    limit: Option<NonZeroUsize>,
    /// Where the page before ended: its `next`.
    after: Option<String>,
}

/// A page of finished tasks reads so many results at most, whether they fit or not: others wait meanwhile.
const READ_AT_ONCE: usize = 5_000;
const MOST: usize = 1_000;

impl Engine {
    /// One task with its history, or its result.
    pub(super) fn get(&self, id: Id) -> Result<String> {
        let Some(&index) = self.by_id.get(&id) else {
            let text = self.result(id)?.unwrap_or_else(|| unknown(&id.to_string()).into());
            return Ok(String::from_utf8_lossy(&text).into_owned());
        };
        let message = self.message(index)?;
        let message = String::from_utf8_lossy(&message).into_owned();
        let message = RawValue::from_string(message).map_err(|_| foreign("tasks", &id.0))?;
        let mut task = self.summary(index);
        if let (Some(fields), Some(extra)) = (task.as_object_mut(), &self.tasks[index as usize].extra) {
            let progress = extra.progress.as_deref().and_then(|text| serde_json::from_str(text).ok());
            fields.insert("progress".into(), progress.unwrap_or(Value::Null));
            fields.insert("attempts".into(), value!(extra.attempts));
        }
        let text = task.to_string();
        // The message stays as it was written.
        Ok(format!("{},\"message\":{message}}}", text.trim_end_matches('}')))
    }

    /// How far a workflow is.
    pub(super) fn workflow(&self, id: Id) -> Result<String> {
        match self.flows.get(&id) {
            Some(flow) => {
                let running = self.live().filter(|&index| self.root_of(index) == Some(id)).count();
                let mut flow = value!(flow);
                flow["id"] = id.to_string().into();
                flow["live"] = running.into();
                Ok(flow.to_string())
            }
            None => self.get(id),
        }
    }

    fn summary(&self, index: u32) -> Value {
        let task = &self.tasks[index as usize];
        let (queue, name) = self.names_of(index);
        let worker = (task.worker != NONE).then(|| self.workers.get(&task.worker)).flatten();
        value!({
            "id": task.id.to_string(),
            "name": name,
            "queue": queue,
            "state": task.state,
            "priority": task.priority,
            "createdAt": task.created,
            "due": (task.due > 0).then_some(task.due),
            "expires": (task.expires < i64::MAX).then_some(task.expires),
            "retries": task.retries,
            "deliveries": task.deliveries,
            "workerId": worker.map(|worker| &worker.options.name),
            "rootId": self.root_of(index).map(|root| root.to_string()),
        })
    }

    fn fits(&self, filter: &Filter, index: u32) -> bool {
        let (queue, name) = self.names_of(index);
        filter.state.is_none_or(|state| state == self.tasks[index as usize].state)
            && filter.queue.as_ref().is_none_or(|it| it == queue)
            && filter.name.as_ref().is_none_or(|it| it == name)
            && filter.workflow.as_ref().is_none_or(|it| self.root_of(index).is_some_and(|root| root.to_string() == *it))
    }

    /// A page of tasks: `{tasks, next}`.
    pub(super) fn list(&self, filter: &Filter, now: i64) -> Result<String> {
        let limit = filter.limit.map_or(100, NonZeroUsize::get).min(MOST);
        match filter.state {
            None => self.list_live(filter, limit),
            Some(state) if !state.is_final() => self.list_live(filter, limit),
            Some(State::Dead) => self.list_dead(filter, limit),
            Some(state) => self.list_results(filter, state, limit, now),
        }
    }

    fn list_live(&self, filter: &Filter, limit: usize) -> Result<String> {
        let after: u64 = match &filter.after {
            None => 0,
            Some(text) => text.parse().map_err(|_| bad_after(text))?,
        };
        let fits = |&index: &u32| self.tasks[index as usize].seq > after && self.fits(filter, index);
        let mut found: Vec<(u64, u32)> =
            self.live().filter(fits).map(|index| (self.tasks[index as usize].seq, index)).collect();
        if found.len() > limit {
            found.select_nth_unstable(limit);
            found.truncate(limit);
            found.sort_unstable();
        } else {
            found.sort_unstable();
        }
        let next = found.last().filter(|_| found.len() == limit).map(|(seq, _)| seq.to_string());
        let tasks: Vec<Value> = found.into_iter().map(|(_, index)| self.summary(index)).collect();
        Ok(value!({ "tasks": tasks, "next": next }).to_string())
    }

    fn list_dead(&self, filter: &Filter, limit: usize) -> Result<String> {
        let after = match &filter.after {
            None => None,
            Some(text) => Some(Id::parse(text).ok_or_else(|| bad_after(text))?),
        };
        #[derive(Deserialize)]
        struct Buried<'a> {
            #[serde(borrow)]
            result: Ended<'a>,
        }
        #[derive(Deserialize)]
        struct Ended<'a> {
            #[serde(borrow)]
            error: Option<&'a RawValue>,
        }
        let mut tasks = Vec::new();
        let mut next = None;
        for (id, (queue, name)) in self.dead.iter().rev().filter(|(id, _)| after.is_none_or(|after| **id < after)) {
            let (queue, name) = (&self.queues[*queue as usize].name, &self.names[*name as usize].name);
            if filter.queue.as_ref().is_some_and(|it| it != queue) || filter.name.as_ref().is_some_and(|it| it != name)
            {
                continue;
            }
            if !self.is_dead_of(*id, filter)? {
                continue;
            }
            if let Some(record) = self.spaces.dead.get(&id.0)? {
                let text = String::from_utf8_lossy(&record).into_owned();
                let dead: Buried = serde_json::from_str(&text).map_err(|_| foreign("dead", &id.0))?;
                let error = dead.result.error.map_or("null", RawValue::get);
                let rest = text.trim_start_matches('{');
                tasks.push(format!(r#"{{"id":"{id}","state":"dead","error":{error},{rest}"#));
            }
            if tasks.len() == limit {
                next = Some(id.to_string());
                break;
            }
        }
        Ok(page(&tasks, next))
    }

    /// Whether it is of the workflow that is asked for: that stands in its record alone.
    fn is_dead_of(&self, id: Id, filter: &Filter) -> Result<bool> {
        #[derive(Deserialize)]
        struct Dead {
            message: Root,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Root {
            root_id: Option<String>,
        }
        let Some(workflow) = &filter.workflow else { return Ok(true) };
        let Some(record) = self.spaces.dead.get(&id.0)? else { return Ok(false) };
        let dead: Dead = serde_json::from_slice(&record).map_err(|_| foreign("dead", &id.0))?;
        Ok(dead.message.root_id.is_some_and(|root| root.eq_ignore_ascii_case(workflow)))
    }

    fn list_results(&self, filter: &Filter, state: State, limit: usize, now: i64) -> Result<String> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Fields {
            queue: Option<String>,
            name: Option<String>,
            root_id: Option<String>,
        }
        let after = match &filter.after {
            None => Id([255; 16]),
            Some(text) => Id::parse(text).ok_or_else(|| bad_after(text))?,
        };
        let (mut tasks, mut next) = (Vec::new(), None);
        for (read, row) in self.results_before(after, state).enumerate() {
            let (id, value) = row?;
            let head = ResultHead::read(&value).ok_or_else(|| foreign("results", &id.0))?;
            if head.state == state && head.expires > now {
                let text = self.result_of(id, &value)?;
                let fields: Fields = serde_json::from_slice(&text).map_err(|_| foreign("results", &id.0))?;
                let same = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
                if same(&filter.queue, &fields.queue)
                    && same(&filter.name, &fields.name)
                    && same(&filter.workflow, &fields.root_id)
                {
                    tasks.push(String::from_utf8_lossy(&text).into_owned());
                }
            }
            if tasks.len() == limit || read + 1 == READ_AT_ONCE {
                next = Some(id.to_string());
                break;
            }
        }
        Ok(page(&tasks, next))
    }

    /// Results among which are all of a state, the youngest first.
    fn results_before(&self, after: Id, state: State) -> Box<dyn Iterator<Item = Result<(Id, Bytes)>> + '_> {
        let results = &self.spaces.results;
        if state.is_rare() {
            let ids = self.rare.range((state as u8, Id([0; 16]))..(state as u8, after)).rev();
            return Box::new(ids.filter_map(move |(_, id)| match results.get(&id.0) {
                Ok(value) => value.map(|value| Ok((*id, value))),
                Err(error) => Some(Err(error.into())),
            }));
        }
        Box::new(results.range(..after.0.to_vec()).rev().map(|row| {
            let (key, value) = row?;
            Id::from_bytes(&key).map(|id| (id, value)).ok_or_else(|| foreign("results", &key))
        }))
    }

    /// Live tasks by state, and the dead, that fit.
    pub(super) fn count(&self, filter: &Filter) -> Result<Value> {
        const COUNTED: [State; 6] = [LIVE[0], LIVE[1], LIVE[2], LIVE[3], LIVE[4], State::Dead];
        let mut counts = [0_u64; 10];
        if filter.name.is_none() && filter.workflow.is_none() {
            for queue in self.queues.iter().filter(|queue| filter.queue.as_ref().is_none_or(|it| *it == queue.name)) {
                COUNTED.iter().for_each(|&state| counts[state as usize] += u64::from(queue.counts[state as usize]));
            }
        } else {
            for index in self.live().filter(|&index| self.fits(filter, index)) {
                counts[self.tasks[index as usize].state as usize] += 1;
            }
            let dead = self.dead.iter().filter(|(_, (queue, name))| {
                filter.queue.as_ref().is_none_or(|it| *it == self.queues[*queue as usize].name)
                    && filter.name.as_ref().is_none_or(|it| *it == self.names[*name as usize].name)
            });
            for (id, _) in dead {
                counts[State::Dead as usize] += u64::from(self.is_dead_of(*id, filter)?);
            }
        }
        let named = COUNTED.iter().map(|&state| (state.name().to_owned(), counts[state as usize].into()));
        Ok(Value::Object(named.collect()))
    }

    pub(super) fn list_queues(&mut self, now: i64) -> Value {
        let mut oldest = vec![i64::MAX; self.queues.len()];
        for index in self.fronts() {
            let task = &self.tasks[index as usize];
            let place = &mut oldest[self.lanes[task.lane as usize].queue as usize];
            *place = (*place).min(task.created);
        }
        let all = self.queues.iter().enumerate().map(|(number, queue)| {
            let counts = |state: State| queue.counts[state as usize];
            value!({
                "name": queue.name,
                "paused": queue.paused,
                "limit": queue.limit,
                "rate": queue.bucket.as_ref().map(|bucket| bucket.rate),
                "pending": counts(State::Pending),
                "scheduled": counts(State::Scheduled),
                "retry": counts(State::Retry),
                "running": queue.running,
                "dead": counts(State::Dead),
                "oldestAgeMs": (oldest[number] < i64::MAX).then(|| (now - oldest[number]).max(0)),
                "finished": queue.meter.finished,
                "perSecond": queue.meter.per_second(now),
            })
        });
        Value::Array(all.collect())
    }

    pub(super) fn list_workers(&self, now: i64) -> Value {
        let all = self.workers.iter().map(|(number, worker)| {
            value!({
                "number": number,
                "name": worker.options.name,
                "queues": worker.options.queues,
                "tasks": worker.options.tasks,
                "prefetch": worker.options.prefetch,
                "running": worker.held(),
                "finished": worker.finished,
                "draining": worker.draining,
                "upMs": (now - worker.since).max(0),
            })
        });
        Value::Array(all.collect())
    }

    pub(super) fn stats(&self, now: i64) -> Result<Value> {
        let finished: u64 = self.queues.iter().map(|queue| queue.meter.finished).sum();
        Ok(value!({
            "live": self.by_id.len(),
            "dead": self.dead.len(),
            "results": self.results.len(),
            "workflows": self.flows.len(),
            "workers": self.workers.len(),
            "finished": finished,
            "perSecond": self.queues.iter().map(|queue| queue.meter.per_second(now)).sum::<f64>(),
            "diskBytes": self.kv.disk_size()?,
            "cachedBytes": self.cached,
            "eventsDropped": self.events_dropped(),
        }))
    }
}

fn page(tasks: &[String], next: Option<String>) -> String {
    format!(r#"{{"tasks":[{}],"next":{}}}"#, tasks.join(","), value!(next))
}

fn bad_after(text: &str) -> TaskError {
    TaskError::Option { option: "after".into(), problem: format!("'{text}' is not the next of a page before") }
}
