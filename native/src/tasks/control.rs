//! What people ask for: one command in, one answer out, both JSON.

use serde::Deserialize;
use serde_json::{Map, Value, json as value};

use super::cron::ScheduleOptions;
use super::engine::{Engine, meta_key};
use super::finish::unknown;
use super::id::Id;
use super::inspect::Filter;
use super::message::MAX_KEY;
use super::periodic::{QUEUE_SETTINGS, QueueSettings, RATE};
use super::rate::Rate;
use super::state::State;
use super::store::json;
use super::{Result, TaskError};
use crate::options::{OptionError, from_value};

/// A command: an object with its `op` and its fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Command {
    /// One task, or all of a workflow that has not run.
    Revoke {
        id: String,
        /// What a running task still reports is refused.
        #[serde(default)]
        refuse_late: bool,
    },
    Purge {
        queue: String,
    },
    Pause {
        queue: String,
    },
    Resume {
        queue: String,
    },
    /// How many of a queue may run at once.
    Limit {
        queue: String,
        max: Option<u32>,
    },
    RateLimit {
        scope: Scope,
        name: String,
        rate: Option<Rate>,
    },
    RetryDead(Which),
    DeleteDead(Which),
    Schedule {
        name: String,
        schedule: ScheduleOptions,
        message: Map<String, Value>,
    },
    Unschedule {
        name: String,
    },
    Schedules {},
    Get {
        id: String,
    },
    Workflow {
        id: String,
    },
    List(Filter),
    Count(Filter),
    Queues {},
    Workers {},
    Stats {},
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    Task,
    Queue,
    Key,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    /// These; none: all of the queue, or all.
    ids: Option<Vec<String>>,
    queue: Option<String>,
}

impl Command {
    fn read(json: &str) -> Result<Self> {
        let mut fields: Map<String, Value> = serde_json::from_str(json)
            .map_err(|error| TaskError::Option { option: "command".into(), problem: error.to_string() })?;
        let op = fields.remove("op").unwrap_or_default();
        // As the content of its `op`: of a field beside it serde does not know the name when it is wrong.
        let command = Map::from_iter([(op.as_str().unwrap_or_default().to_owned(), Value::Object(fields))]);
        let command: Self = from_value(command.into()).map_err(|OptionError { option, problem }| {
            let field = option.split_once('.').map(|(_, field)| field).filter(|field| !field.is_empty());
            let option = field.unwrap_or("command").into();
            TaskError::Option { option, problem }
        })?;
        let (queue, name) = match &command {
            Command::Pause { queue }
            | Command::Resume { queue }
            | Command::Limit { queue, .. }
            | Command::Purge { queue } => (Some(queue), None),
            Command::RateLimit { name, .. } | Command::Schedule { name, .. } => (None, Some(name)),
            Command::RetryDead(Which { queue, .. }) | Command::DeleteDead(Which { queue, .. }) => {
                (queue.as_ref(), None)
            }
            Command::List(Filter { queue, name, .. }) | Command::Count(Filter { queue, name, .. }) => {
                (queue.as_ref(), name.as_ref())
            }
            _ => (None, None),
        };
        for (option, name) in [("queue", queue), ("name", name)] {
            name.map_or(Ok(()), |name| check_name(option, name))?;
        }
        if let Command::RateLimit { rate: Some(rate), .. } = command
            && let Some(problem) = rate.problem()
        {
            return Err(TaskError::Option { option: "rate".into(), problem: problem.into() });
        }
        Ok(command)
    }
}

/// Refuses what [`Engine::control`] would, for a queue that is elsewhere.
pub fn check_command(json: &str) -> Result<()> {
    Command::read(json).map(drop)
}

pub(super) fn id_of(text: &str) -> Result<Id> {
    Id::parse(text).ok_or_else(|| TaskError::NotFound { what: "task", name: text.into() })
}

/// What becomes a part of a key of the store.
fn check_name(option: &str, name: &str) -> Result<()> {
    if (1..=MAX_KEY).contains(&name.len()) {
        return Ok(());
    }
    let problem = format!("has {} bytes; it must have 1 to {MAX_KEY}", name.len());
    Err(TaskError::Option { option: option.into(), problem })
}

impl Engine {
    /// Does one command. The answer may be told after the commit.
    pub fn control(&mut self, command: &str, now: i64) -> Result<String> {
        let answer = match Command::read(command)? {
            Command::Revoke { id, refuse_late } => self.revoke(&id, refuse_late, now)?,
            Command::Purge { queue } => value!({ "purged": self.purge(&queue, now)? }),
            Command::Pause { queue } => self.settle_queue(&queue, |it| it.paused = true)?,
            Command::Resume { queue } => self.settle_queue(&queue, |it| it.paused = false)?,
            Command::Limit { queue, max } => self.settle_queue(&queue, |it| it.limit = max)?,
            Command::RateLimit { scope, name, rate } => self.rate_limit(scope, &name, rate, now)?,
            Command::RetryDead(which) => {
                let mut sent = 0;
                for id in self.which_dead(&which)? {
                    sent += usize::from(self.resend(id, now)?);
                }
                value!({ "sent": sent })
            }
            Command::DeleteDead(which) => {
                let ids = self.which_dead(&which)?;
                value!({ "deleted": ids.into_iter().filter(|&id| self.delete_dead(id)).count() })
            }
            Command::Schedule { name, schedule, message } => {
                value!({ "nextAt": self.schedule(&name, schedule, message, now)? })
            }
            Command::Unschedule { name } => {
                if !self.unschedule(&name) {
                    return Err(TaskError::NotFound { what: "periodic task", name });
                }
                value!({})
            }
            Command::Schedules {} => self.schedules(),
            Command::Get { id } => return Id::parse(&id).map_or_else(|| Ok(unknown(&id)), |id| self.get(id)),
            Command::Workflow { id } => return Id::parse(&id).map_or_else(|| Ok(unknown(&id)), |id| self.workflow(id)),
            Command::List(filter) => return self.list(&filter, now),
            Command::Count(filter) => self.count(&filter)?,
            Command::Queues {} => self.list_queues(now),
            Command::Workers {} => self.list_workers(now),
            Command::Stats {} => self.stats(now)?,
        };
        Ok(answer.to_string())
    }

    fn revoke(&mut self, id: &str, refuse_late: bool, now: i64) -> Result<Value> {
        let id = id_of(id)?;
        let mut targets: Vec<u32> = self.by_id.get(&id).copied().into_iter().collect();
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.cancelled = true;
            self.dirty_flows.insert(id);
            targets = self.live().filter(|&index| self.root_of(index) == Some(id)).collect();
        } else if targets.is_empty() && self.result(id)?.is_none() {
            return Err(TaskError::NotFound { what: "task", name: id.to_string() });
        }
        let (mut revoked, mut signalled) = (0, 0);
        for index in targets {
            if self.tasks[index as usize].state.is_held() {
                self.cancel(index);
                signalled += 1;
                if refuse_late {
                    self.end_revoked(index, now)?;
                }
            } else {
                self.end_revoked(index, now)?;
                revoked += 1;
            }
        }
        Ok(value!({ "revoked": revoked, "signalled": signalled }))
    }

    /// Calls off all that waits in a queue.
    fn purge(&mut self, queue: &str, now: i64) -> Result<usize> {
        let waits = |&index: &u32| !self.tasks[index as usize].state.is_held() && self.names_of(index).0 == queue;
        let targets: Vec<u32> = self.live().filter(waits).collect();
        for &index in &targets {
            self.end_revoked(index, now)?;
        }
        Ok(targets.len())
    }

    fn settle_queue(&mut self, name: &str, change: impl FnOnce(&mut super::engine::Queue)) -> Result<Value> {
        let number = self.queue(name) as usize;
        change(&mut self.queues[number]);
        let settings = QueueSettings { paused: self.queues[number].paused, limit: self.queues[number].limit };
        self.batch.put(&self.spaces.meta, meta_key(QUEUE_SETTINGS, name.as_bytes()), json(&settings)?);
        Ok(value!({}))
    }

    fn rate_limit(&mut self, scope: Scope, name: &str, rate: Option<Rate>, now: i64) -> Result<Value> {
        let scope = match scope {
            Scope::Task => "t",
            Scope::Queue => "q",
            Scope::Key => "k",
        };
        let key = meta_key(RATE, format!("{scope}{name}").as_bytes());
        match rate {
            Some(rate) => self.batch.put(&self.spaces.meta, key, json(&rate)?),
            None => self.batch.remove(&self.spaces.meta, key),
        }
        self.set_rate(scope, name, rate, now);
        Ok(value!({}))
    }

    fn which_dead(&self, which: &Which) -> Result<Vec<Id>> {
        if let Some(ids) = &which.ids {
            let ids = ids.iter().map(|id| id_of(id)).collect::<Result<Vec<_>>>()?;
            return match ids.iter().find(|id| !self.dead.contains_key(id)) {
                Some(id) => Err(TaskError::NotFound { what: "dead task", name: id.to_string() }),
                None => Ok(ids),
            };
        }
        let fits = |queue: u32| which.queue.as_ref().is_none_or(|it| *it == self.queues[queue as usize].name);
        Ok(self.dead.iter().filter(|(_, (queue, _))| fits(*queue)).map(|(id, _)| *id).collect())
    }

    pub(super) fn live(&self) -> impl Iterator<Item = u32> {
        self.by_id.values().copied()
    }

    pub(super) fn root_of(&self, index: u32) -> Option<Id> {
        self.tasks[index as usize].extra.as_ref().and_then(|extra| extra.root)
    }

    fn schedules(&self) -> Value {
        let all = self.periodic.iter().map(|(name, it)| {
            value!({
                "name": name, "schedule": it.schedule, "message": it.message,
                "lastAt": it.last_at, "nextAt": it.next(),
            })
        });
        Value::Array(all.collect())
    }
}

/// All states that a task can have while it lives.
pub(super) const LIVE: [State; 5] = [State::Pending, State::Scheduled, State::Received, State::Started, State::Retry];
