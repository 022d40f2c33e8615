//! The form on the disk. `native/DESIGN.md` has the table of it.

use serde::{Deserialize, Serialize};

use super::id::Id;
use super::retry::Failure;
use super::state::State;
use super::{Result, TaskError};
use crate::kv::{Bytes, Kv, KvError, Space};

/// Of every record that begins with bytes of ours.
const VERSION: u8 = 1;
/// Of a [`PlainResult`].
const PLAIN: u8 = 2;

pub(super) struct Spaces {
    /// Place in the order of sending → [`TaskHead`] and the message. What is sent last stands last, so the
    /// store has nothing to sort, and what is next stands together.
    pub tasks: Space,
    /// Id → [`Progressed`], once a task is not as it was sent.
    pub states: Space,
    /// Number → the ids that were handed out together: what was running when the process ended.
    pub takes: Space,
    /// Id → [`ResultHead`] and the result.
    pub results: Space,
    /// Id → the queue's name, the message and the result of a dead task.
    pub dead: Space,
    /// Id + 0 → join; id + 1 + index → outcome.
    pub joins: Space,
    /// Id → a workflow's counts.
    pub flows: Space,
    /// Idempotency key → id and end of its window.
    pub keys: Space,
    /// Kind and name → names by number, pauses, limits, periodic tasks.
    pub meta: Space,
}

impl Spaces {
    pub fn open(kv: &Kv) -> std::result::Result<Spaces, KvError> {
        Ok(Spaces {
            tasks: kv.space("tasks")?,
            states: kv.space("states")?,
            takes: kv.space("takes")?,
            results: kv.space("results")?,
            dead: kv.space("dead")?,
            joins: kv.space("joins")?,
            flows: kv.space("flows")?,
            keys: kv.space("keys")?,
            meta: kv.space("meta")?,
        })
    }
}

/// What the scan at the start reads of a task, so that it need not read the message.
#[derive(Debug, PartialEq)]
pub(super) struct TaskHead {
    pub id: Id,
    pub priority: u8,
    pub flags: u8,
    pub created: i64,
    pub due: i64,
    pub expires: i64,
    pub queue: u32,
    pub name: u32,
    pub root: Option<Id>,
}

pub(super) const TASK_HEAD: usize = 3 + 16 + 8 * 3 + 4 * 2 + 16;

/// A message as the store has it: behind the head of its record.
#[derive(Clone)]
pub(super) struct Kept(Bytes);

impl Kept {
    /// None: it is shorter than a head.
    pub fn of(record: Bytes) -> Option<Kept> {
        (record.len() >= TASK_HEAD).then_some(Kept(record))
    }
}

impl std::ops::Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0[TASK_HEAD..]
    }
}

impl TaskHead {
    /// With the message behind it.
    pub fn write(&self, message: &[u8], out: &mut Vec<u8>) {
        out.extend([VERSION, self.priority, self.flags]);
        out.extend(self.id.0);
        for time in [self.created, self.due, self.expires] {
            out.extend(time.to_be_bytes());
        }
        out.extend(self.queue.to_be_bytes());
        out.extend(self.name.to_be_bytes());
        out.extend(self.root.unwrap_or(NO_ID).0);
        out.extend(message);
    }

    pub fn read(record: &[u8]) -> Option<TaskHead> {
        let mut at = Reader(record);
        if at.u8()? != VERSION {
            return None;
        }
        let (priority, flags) = (at.u8()?, at.u8()?);
        Some(TaskHead {
            id: at.id()?,
            priority,
            flags,
            created: at.u64()? as i64,
            due: at.u64()? as i64,
            expires: at.u64()? as i64,
            queue: at.u32()?,
            name: at.u32()?,
            root: Some(at.id()?).filter(|&id| id != NO_ID),
        })
    }
}

const NO_ID: Id = Id([0; 16]);

/// What stands before a result.
#[derive(Debug, PartialEq)]
pub(super) struct ResultHead {
    pub state: State,
    pub expires: i64,
}

pub(super) const RESULT_HEAD: usize = 2 + 8;
/// As large as most are.
const RESULT: usize = 384;

impl ResultHead {
    /// With the result behind it.
    pub fn record<T: Serialize>(&self, result: &T) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(RESULT_HEAD + RESULT);
        out.extend([VERSION, self.state as u8]);
        out.extend(self.expires.to_be_bytes());
        write_json(&mut out, result)?;
        Ok(out)
    }

    pub fn read(record: &[u8]) -> Option<ResultHead> {
        let mut at = Reader(record);
        if !matches!(at.u8()?, VERSION | PLAIN) {
            return None;
        }
        Some(ResultHead { state: State::from_number(at.u8()?)?, expires: at.u64()? as i64 })
    }
}

/// A success of which there is no more to say, as most are: a third of the bytes of its JSON, which is made when it is
/// asked for.
#[derive(Debug, PartialEq)]
pub(super) struct PlainResult<'a> {
    pub created: i64,
    pub started: i64,
    pub completed: i64,
    pub retries: u16,
    pub queue: u32,
    pub name: u32,
    pub root: Option<Id>,
    pub worker: &'a str,
    /// JSON.
    pub result: &'a [u8],
}

const PLAIN_RESULT: usize = RESULT_HEAD + 8 * 3 + 2 + 4 * 2 + 16 + 2;

impl<'a> PlainResult<'a> {
    /// With the head before it.
    pub fn record(&self, expires: i64) -> Vec<u8> {
        let mut out = Vec::with_capacity(PLAIN_RESULT + self.worker.len() + self.result.len());
        out.extend([PLAIN, State::Success as u8]);
        for time in [expires, self.created, self.started, self.completed] {
            out.extend(time.to_be_bytes());
        }
        out.extend(self.retries.to_be_bytes());
        out.extend(self.queue.to_be_bytes());
        out.extend(self.name.to_be_bytes());
        out.extend(self.root.unwrap_or(NO_ID).0);
        out.extend((self.worker.len() as u16).to_be_bytes());
        out.extend(self.worker.as_bytes());
        out.extend(self.result);
        out
    }

    /// None: the record is no such, and has JSON behind its head.
    pub fn read(record: &'a [u8]) -> Option<Self> {
        let mut at = Reader(record.strip_prefix(&[PLAIN])?);
        at.take::<{ RESULT_HEAD - 1 }>()?;
        let (created, started, completed) = (at.u64()? as i64, at.u64()? as i64, at.u64()? as i64);
        let retries = at.take().map(u16::from_be_bytes)?;
        let (queue, name) = (at.u32()?, at.u32()?);
        let root = Some(at.id()?).filter(|&id| id != NO_ID);
        let len = at.take().map(u16::from_be_bytes)?;
        let (worker, result) = at.0.split_at_checked(usize::from(len))?;
        let worker = std::str::from_utf8(worker).ok()?;
        Some(PlainResult { created, started, completed, retries, queue, name, root, worker, result })
    }
}

/// One attempt that did not end well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    pub started_at: i64,
    pub ended_at: i64,
    pub worker_id: String,
    pub error: Failure,
}

/// How far a task has come that is not as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Progressed {
    pub retries: u32,
    /// The last take that is accounted for here.
    pub seen_take: u64,
    /// When the next attempt is due; none: at once.
    pub due: Option<i64>,
    pub attempts: Vec<Attempt>,
}

/// A workflow's counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Flow {
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
    pub created_at: i64,
    pub cancelled: bool,
}

/// A dead task: all that it takes to send it again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeadTask {
    pub queue: String,
    pub name: String,
    pub died_at: i64,
    pub message: Box<serde_json::value::RawValue>,
    pub result: Box<serde_json::value::RawValue>,
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn id(&mut self) -> Option<Id> {
        self.take().map(Id)
    }
}

/// A record that is not as this version writes it.
pub(super) fn foreign(space: &str, key: &[u8]) -> TaskError {
    let problem = format!("the record {key:02x?} in '{space}' was written by another version or is damaged");
    TaskError::Store(KvError::Corrupt { path: space.into(), problem })
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    write_json(&mut out, value)?;
    Ok(out)
}

fn write_json<T: Serialize>(out: &mut Vec<u8>, value: &T) -> Result<()> {
    let wrong = |error: serde_json::Error| TaskError::Message { path: "value".into(), problem: error.to_string() };
    serde_json::to_writer(out, value).map_err(wrong)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_back_as_they_were() {
        let head = TaskHead {
            id: Id([7; 16]),
            priority: 9,
            flags: 3,
            created: 1_700_000_000_000,
            due: 5,
            expires: i64::MAX,
            queue: 7,
            name: 8,
            root: Some(Id([1; 16])),
        };
        let mut record = Vec::new();
        head.write(b"{}", &mut record);
        assert_eq!(TaskHead::read(&record), Some(head));
        assert_eq!(&record[TASK_HEAD..], b"{}");
        assert_eq!(TaskHead::read(&record[..TASK_HEAD - 1]), None);
        assert_eq!(TaskHead::read(b"\x02"), None);
        let head = ResultHead { state: State::Dead, expires: 9 };
        let record = head.record(&1).unwrap();
        assert_eq!((ResultHead::read(&record), &record[RESULT_HEAD..]), (Some(head), b"1".as_slice()));
        assert_eq!(ResultHead::read(b"\x01\x63"), None);
        assert_eq!(PlainResult::read(&record), None);
        let plain = PlainResult {
            created: 1_700_000_000_000,
            started: 5,
            completed: 6,
            retries: 7,
            queue: 8,
            name: 9,
            root: Some(Id([1; 16])),
            worker: "here",
            result: b"[1]",
        };
        let record = plain.record(10);
        assert_eq!(ResultHead::read(&record), Some(ResultHead { state: State::Success, expires: 10 }));
        assert_eq!(PlainResult::read(&record), Some(plain));
        assert_eq!(PlainResult::read(&record[..record.len() - 5]), None);
    }
}
