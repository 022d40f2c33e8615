//! What happened, for who listens: bounded, and what gave way is counted.

use std::collections::VecDeque;

use serde_json::Value;

use super::engine::Engine;
use super::state::State;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sent,
    Received,
    Started,
    Progress,
    Succeeded,
    Failed,
    Retried,
    Revoked,
    Expired,
    Dead,
    WorkerOnline,
    WorkerOffline,
    WorkerHeartbeat,
}

impl Kind {
    /// Of a final state.
    pub fn of(state: State) -> Kind {
        match state {
            State::Success => Kind::Succeeded,
            State::Revoked => Kind::Revoked,
            State::Expired => Kind::Expired,
            State::Dead => Kind::Dead,
            _ => Kind::Failed,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Sent => "sent",
            Kind::Received => "received",
            Kind::Started => "started",
            Kind::Progress => "progress",
            Kind::Succeeded => "succeeded",
            Kind::Failed => "failed",
            Kind::Retried => "retried",
            Kind::Revoked => "revoked",
            Kind::Expired => "expired",
            Kind::Dead => "dead",
            Kind::WorkerOnline => "worker-online",
            Kind::WorkerOffline => "worker-offline",
            Kind::WorkerHeartbeat => "worker-heartbeat",
        }
    }
}

/// Events that nobody took yet.
pub(super) struct Events {
    pub wanted: bool,
    waiting: VecDeque<String>,
    max: usize,
    pub dropped: u64,
    /// When workers tell again that they are there.
    pub heartbeat: i64,
}

const HEARTBEAT_MS: i64 = 10_000;

impl Events {
    pub fn new(max: usize) -> Self {
        Events { wanted: false, waiting: VecDeque::new(), max, dropped: 0, heartbeat: 0 }
    }

    fn push(&mut self, text: String) {
        if self.waiting.len() >= self.max {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(text);
    }
}

impl Engine {
    /// Begins or ends to note what happens.
    pub fn want_events(&mut self, wanted: bool, now: i64) {
        self.events.wanted = wanted;
        self.events.heartbeat = now + HEARTBEAT_MS;
        if !wanted {
            self.events.waiting = VecDeque::new();
        }
    }

    /// Events as JSON, the oldest first. Call it after a commit.
    pub fn take_events(&mut self, limit: usize) -> Vec<String> {
        let count = limit.min(self.events.waiting.len());
        self.events.waiting.drain(..count).collect()
    }

    /// How many events gave way because nobody took them.
    pub fn events_dropped(&self) -> u64 {
        self.events.dropped
    }

    /// `more` is the rest of the JSON.
    pub(super) fn event(&mut self, kind: Kind, index: u32, now: i64, more: &str) {
        if !self.events.wanted {
            return;
        }
        let task = &self.tasks[index as usize];
        let (queue, name) = self.names_of(index);
        let (queue, name) = (Value::from(queue), Value::from(name));
        let text = format!(
            r#"{{"event":"{}","at":{now},"id":"{}","name":{name},"queue":{queue},"state":"{}","retries":{}{more}}}"#,
            kind.name(),
            task.id,
            task.state.name(),
            task.retries,
        );
        self.events.push(text);
    }

    pub(super) fn worker_event(&mut self, kind: Kind, worker: &str, now: i64) {
        if self.events.wanted {
            let text = format!(r#"{{"event":"{}","at":{now},"worker":{}}}"#, kind.name(), Value::from(worker));
            self.events.push(text);
        }
    }

    pub(super) fn heartbeat_due(&self) -> Option<i64> {
        (self.events.wanted && !self.workers.is_empty()).then_some(self.events.heartbeat)
    }

    pub(super) fn tell_heartbeats(&mut self, now: i64) {
        if self.heartbeat_due().is_some_and(|due| due <= now) {
            self.events.heartbeat = now + HEARTBEAT_MS;
            let names: Vec<String> = self.workers.values().map(|worker| worker.options.name.clone()).collect();
            names.iter().for_each(|name| self.worker_event(Kind::WorkerHeartbeat, name, now));
        }
    }
}
