//! What is sent again and again. Kept in the store, with its next time in the same transaction as the send.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cron::{Schedule, ScheduleOptions};
use super::engine::{Engine, INTAKE, meta_key};
use super::intake::Mark;
use super::message::VERSION;
use super::rate::{Bucket, Rate};
use super::ready::KeyLimit;
use super::store::{foreign, json};
use super::{Message, Result, TaskError};

/// Of the `meta` space.
pub(super) const QUEUE_SETTINGS: u8 = b'Q';
pub(super) const RATE: u8 = b'R';
pub(super) const PERIODIC: u8 = b'P';

/// As much as people set a clock back that was not wrong altogether.
const SET_A_LITTLE_MS: i64 = 3 * 3_600_000;

/// What a queue keeps over a restart.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct QueueSettings {
    pub paused: bool,
    pub limit: Option<u32>,
}

/// A periodic task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Periodic {
    pub schedule: ScheduleOptions,
    /// The message without id and times.
    pub message: Map<String, Value>,
    #[serde(default)]
    pub last_at: Option<i64>,
    #[serde(default)]
    next_at: Option<i64>,
    #[serde(skip)]
    parsed: Option<Schedule>,
}

impl Periodic {
    pub fn next(&self) -> Option<i64> {
        self.next_at
    }

    /// The next time is no later than one that is found now. False: it is, as the clock was set back.
    fn keep_beat(&mut self, now: i64) -> bool {
        let (Some(schedule), Some(next)) = (&self.parsed, self.next_at) else { return true };
        // A time of day that was kept does not come again where the clock was set back a little.
        let kept = self.last_at.is_some_and(|last| last > now && last - now <= SET_A_LITTLE_MS);
        if kept && matches!(schedule, Schedule::Cron(_)) {
            return true;
        }
        let latest = schedule.next(now).unwrap_or(next);
        self.next_at = Some(next.min(latest));
        next <= latest
    }
}

impl Engine {
    /// Sets a periodic task; one of the same name is replaced, and keeps its rhythm if that is the same.
    pub(super) fn schedule(
        &mut self,
        name: &str,
        schedule: ScheduleOptions,
        message: Map<String, Value>,
        now: i64,
    ) -> Result<Option<i64>> {
        let parsed = Schedule::new(&schedule)?;
        let before = self.periodic.get(name).filter(|before| before.schedule == schedule);
        let next_at = before.and_then(|before| before.next_at).or_else(|| parsed.next(now));
        let last_at = before.and_then(|before| before.last_at);
        let periodic = Periodic { schedule, message, last_at, next_at, parsed: Some(parsed) };
        // What cannot be sent is refused now and not in the night.
        let probe = self.message_of(&periodic, now)?;
        Message::parse(&probe)?;
        self.batch.put(&self.spaces.meta, meta_key(PERIODIC, name.as_bytes()), json(&periodic)?);
        self.periodic.insert(name.into(), periodic);
        Ok(next_at)
    }

    pub(super) fn keep_beats(&mut self, now: i64) -> Result<()> {
        for (name, periodic) in &mut self.periodic {
            if !periodic.keep_beat(now) {
                self.batch.put(&self.spaces.meta, meta_key(PERIODIC, name.as_bytes()), json(&*periodic)?);
            }
        }
        Ok(())
    }

    pub(super) fn unschedule(&mut self, name: &str) -> bool {
        self.batch.remove(&self.spaces.meta, meta_key(PERIODIC, name.as_bytes()));
        self.periodic.remove(name).is_some()
    }

    fn message_of(&mut self, periodic: &Periodic, now: i64) -> Result<Vec<u8>> {
        let mut message = periodic.message.clone();
        message.insert("v".into(), VERSION.into());
        message.insert("id".into(), self.chance.id(now).to_string().into());
        message.insert("createdAt".into(), now.into());
        json(&message)
    }

    /// Sends what is due: once, however often it was missed.
    pub(super) fn fire_periodic(&mut self, now: i64) -> Result<()> {
        let due: Vec<String> = self
            .periodic
            .iter()
            .filter(|(_, periodic)| periodic.next_at.is_some_and(|at| at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let Some(mut periodic) = self.periodic.remove(&name) else { continue };
            let message = self.message_of(&periodic, now)?;
            // A full queue misses a firing; the next one comes.
            match self.send(&message, now) {
                Ok(_) | Err(TaskError::Full(_)) => {}
                Err(error) => return Err(error),
            }
            let rhythm = match &periodic.parsed {
                // An interval keeps its beat, but for beats that were missed.
                Some(Schedule::Every(ms)) => {
                    periodic.next_at.map(|at| at + ms).filter(|&at| at > now).or(Some(now + ms))
                }
                Some(cron) => cron.next(now),
                None => None,
            };
            periodic.last_at = Some(now);
            periodic.next_at = rhythm;
            self.batch.put(&self.spaces.meta, meta_key(PERIODIC, name.as_bytes()), json(&periodic)?);
            self.periodic.insert(name, periodic);
        }
        Ok(())
    }

    pub(super) fn restore_meta(&mut self, now: i64) -> Result<()> {
        let rows: Vec<_> = self.spaces.meta.range(..).collect::<std::result::Result<_, _>>()?;
        // Names by number come first, as `Q`, `P` and `R` speak of them by name.
        for (key, value) in rows.iter().filter(|(key, _)| matches!(key.first(), Some(b'q' | b'n'))) {
            let name = std::str::from_utf8(value).map_err(|_| foreign("meta", key))?;
            if key[0] == b'q' {
                self.add_queue(name.into());
            } else {
                self.add_name(name.into());
            }
        }
        for (key, value) in &rows {
            let name = || std::str::from_utf8(&key[1..]).map_err(|_| foreign("meta", key));
            match key.first() {
                Some(&QUEUE_SETTINGS) => {
                    let settings: QueueSettings = serde_json::from_slice(value).map_err(|_| foreign("meta", key))?;
                    let number = self.queue(name()?) as usize;
                    self.queues[number].paused = settings.paused;
                    self.queues[number].limit = settings.limit;
                }
                Some(&RATE) => {
                    let rate: Rate = serde_json::from_slice(value).map_err(|_| foreign("meta", key))?;
                    let (scope, name) = name()?.split_at_checked(1).ok_or_else(|| foreign("meta", key))?;
                    self.set_rate(scope, name, Some(rate), now);
                }
                Some(&PERIODIC) => {
                    let mut periodic: Periodic = serde_json::from_slice(value).map_err(|_| foreign("meta", key))?;
                    periodic.parsed = Some(Schedule::new(&periodic.schedule)?);
                    periodic.keep_beat(now);
                    self.periodic.insert(name()?.into(), periodic);
                }
                Some(&INTAKE) => self.taken = Mark::from_bytes(value).ok_or_else(|| foreign("meta", key))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// `scope` is `t`, `q` or `k`: a task's name, a queue, a rate key.
    pub(super) fn set_rate(&mut self, scope: &str, name: &str, rate: Option<Rate>, now: i64) {
        let change = |bucket: &mut Option<Bucket>| match (rate, bucket.as_mut()) {
            (None, _) => *bucket = None,
            (Some(rate), Some(bucket)) => bucket.change(rate, now),
            (Some(rate), None) => *bucket = Some(Bucket::new(rate, now)),
        };
        match scope {
            "t" => {
                let number = self.name(name) as usize;
                change(&mut self.names[number].bucket);
            }
            "q" => {
                let number = self.queue(name) as usize;
                change(&mut self.queues[number].bucket);
            }
            _ => match (rate, self.key_limits.get_mut(name)) {
                (Some(rate), Some(limit)) => {
                    limit.bucket.change(rate, now);
                    limit.derived = false;
                    if name == "*" {
                        let derived = self.key_limits.values_mut().filter(|limit| limit.derived);
                        derived.for_each(|limit| limit.bucket.change(rate, now));
                    }
                }
                (Some(rate), None) => drop(self.key_limits.insert(name.into(), KeyLimit::new(rate, false, now))),
                (None, Some(_)) => self.drop_key_limit(name),
                (None, None) => {}
            },
        }
    }
}
