//! Puts and deletes. Whoever comes while a commit is made waits in the queue; who waited longest makes the next one, of
//! all: that is the group commit. A request is atomic, has one stamp, and names a key once.
//!
//! ```text
//! staged (one at a time) -> published (one at a time, in the same order)
//! ```
//!
//! While one commit is brought to the disk the next is staged: it looks first into what the one before made. Should that
//! one fail, so does what was built upon it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use foldhash::fast::RandomState;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::changes::LENGTH;
use super::database::{Database, Store, now};
use super::line::Place;
use super::names;
use super::record::{Cause, Draft, Record, VersionId};
use super::spaces::Change;
use super::{MemoryError, Result};
use crate::kv::{Batch, Bytes};

/// A version that caused another, as it is given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CauseRef {
    /// Its namespace.
    pub namespace: String,
    /// Its key.
    pub key: String,
    /// Its id.
    pub version: String,
}

/// One operation as it crosses.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Write<'a> {
    /// Sets a value.
    #[serde(borrow)]
    Put(Put<'a>),
    /// Sets many values.
    #[serde(borrow)]
    PutMany(PutMany<'a>),
    /// Deletes; history stays.
    Delete(Delete),
}

/// Sets a value.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Put<'a> {
    /// Where.
    pub namespace: String,
    /// Under which name.
    pub key: String,
    /// JSON text.
    #[serde(borrow)]
    pub value: &'a RawValue,
    /// Only if this is the newest version; null: only if there is none.
    #[serde(default, deserialize_with = "given")]
    pub if_version: Option<Option<String>>,
    /// Gone after so long.
    #[serde(default)]
    pub ttl_ms: Option<f64>,
    /// The versions that caused it.
    #[serde(default)]
    pub causes: Vec<CauseRef>,
}

/// Sets values of one namespace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutMany<'a> {
    /// Where.
    pub namespace: String,
    /// Under which names.
    pub keys: Vec<String>,
    /// JSON texts, one for each name.
    #[serde(borrow)]
    pub values: Vec<&'a RawValue>,
}

/// Deletes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delete {
    /// Where.
    pub namespace: String,
    /// What.
    pub key: String,
    /// Only if this is the newest version.
    #[serde(default, deserialize_with = "given")]
    pub if_version: Option<Option<String>>,
    /// The versions that caused it.
    #[serde(default)]
    pub causes: Vec<CauseRef>,
}

/// A field that is null is given; one that is left out is not.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// None: there was nothing to delete.
    pub version: Option<VersionId>,
    /// The version before it.
    pub previous: Option<VersionId>,
}

/// An operation that was checked as far as it can be alone.
pub(super) struct Operation {
    document: Vec<u8>,
    json: Option<Box<str>>,
    expected: Option<Option<VersionId>>,
    ttl_us: Option<u64>,
    causes: Vec<Cause>,
    /// Only if it expired: the sweep's deletion.
    only_expired: bool,
}

impl Operation {
    pub fn expiry(document: Vec<u8>) -> Operation {
        Operation { document, json: None, expected: None, ttl_us: None, causes: Vec::new(), only_expired: true }
    }

    /// Those of a request.
    fn all(request: Vec<Write<'_>>) -> Result<Vec<Operation>> {
        let mut all = Vec::with_capacity(request.len());
        for write in request {
            match write {
                Write::Put(Put { namespace, key, value, if_version, ttl_ms, causes }) => {
                    all.push(Operation::of(&namespace, &key, Some(value), if_version, causes, ttl_ms)?);
                }
                Write::Delete(Delete { namespace, key, if_version, causes }) => {
                    all.push(Operation::of(&namespace, &key, None, if_version, causes, None)?);
                }
                Write::PutMany(PutMany { namespace, keys, values }) => {
                    if keys.len() != values.len() {
                        let problem = format!("{} for {} keys; give each one", values.len(), keys.len());
                        return Err(MemoryError::input("the values", problem));
                    }
                    for (key, value) in keys.iter().zip(values) {
                        all.push(Operation::of(&namespace, key, Some(value), None, Vec::new(), None)?);
                    }
                }
            }
        }
        Ok(all)
    }

    fn of(
        namespace: &str,
        key: &str,
        value: Option<&RawValue>,
        if_version: Option<Option<String>>,
        causes: Vec<CauseRef>,
        ttl_ms: Option<f64>,
    ) -> Result<Operation> {
        let ttl_us = match ttl_ms {
            Some(ms) if ms.is_finite() && ms > 0.0 => Some((ms * 1000.0) as u64),
            Some(ms) => return Err(MemoryError::input(format!("ttlMs {ms}"), "it is no time above zero")),
            None => None,
        };
        let causes = causes.into_iter().map(|cause| {
            let document = names::document(&cause.namespace, &cause.key)?;
            Ok(Cause { document, id: cause.version.parse()? })
        });
        let expected = match if_version {
            Some(Some(version)) => Some(Some(version.parse()?)),
            Some(None) => Some(None),
            None => None,
        };
        Ok(Operation {
            document: names::document(namespace, key)?,
            json: value.map(|value| value.get().into()),
            expected,
            ttl_us,
            causes: causes.collect::<Result<_>>()?,
            only_expired: false,
        })
    }
}

/// Requests that wait, and whether somebody commits.
#[derive(Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    tickets: VecDeque<Arc<Ticket>>,
    led: bool,
}

pub(super) type Answers = Vec<Result<Vec<Outcome>>>;

/// Answers for all in their order: of what is wrong already why, of the others what the work makes of them.
pub(super) fn answered<T>(all: Vec<Result<T>>, work: impl FnOnce(Vec<T>) -> Answers) -> Answers {
    let (mut wrong, mut right) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
    for one in all {
        match one {
            Ok(one) => {
                right.push(one);
                wrong.push(None);
            }
            Err(error) => wrong.push(Some(error)),
        }
    }
    let mut answers = work(right).into_iter();
    let answer = |wrong: Option<MemoryError>| match wrong {
        Some(error) => Err(error),
        None => answers.next().unwrap_or(Err(MemoryError::Closed)),
    };
    wrong.into_iter().map(answer).collect()
}

struct Ticket {
    requests: Mutex<Vec<Vec<Operation>>>,
    turn: Mutex<Turn>,
    /// Its own, so that one who is done wakes nobody else.
    wake: Condvar,
}

enum Turn {
    Waits,
    /// It commits for all that wait.
    Leads,
    Done(Answers),
}

impl Ticket {
    fn set(&self, turn: Turn) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
        self.wake.notify_one();
    }
}

impl Queue {
    /// The answers, once another one committed; none: commit for all.
    fn enter(&self, place: Place, ticket: &Arc<Ticket>) -> Option<Answers> {
        place.wait();
        {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.tickets.push_back(ticket.clone());
            if !std::mem::replace(&mut waiting.led, true) {
                return None;
            }
        }
        drop(place);
        let turn = ticket.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut turn =
            ticket.wake.wait_while(turn, |turn| matches!(turn, Turn::Waits)).unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *turn, Turn::Waits) {
            Turn::Done(answers) => Some(answers),
            Turn::Leads | Turn::Waits => None,
        }
    }
}

/// The turn of who commits. However it ends, the next one gets it.
struct Lead<'a>(&'a Queue);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.tickets.front() {
            Some(next) => next.set(Turn::Leads),
            None => waiting.led = false,
        }
    }
}

/// Those for whom one commits. Should that end in a panic, they do not wait for ever: no answer is a failure.
struct Taken(VecDeque<Arc<Ticket>>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|ticket| ticket.set(Turn::Done(Vec::new())));
    }
}

/// What the one who stages knows.
pub(super) struct Writer {
    stamp: u64,
    /// What was on the disk when it was looked at, and what was written since.
    disk: Option<(u64, u64)>,
    /// The commit before, which readers may not see yet.
    before: Option<Arc<Staged>>,
}

/// What the one who publishes knows.
pub(super) struct Publisher {
    /// Rows of the log.
    pub log_len: u64,
}

/// As long as it lasts nothing is staged or published.
pub(super) struct Still<'a> {
    _writer: MutexGuard<'a, Writer>,
    publisher: MutexGuard<'a, Publisher>,
}

impl Still<'_> {
    pub fn log_len(&mut self) -> &mut u64 {
        &mut self.publisher.log_len
    }
}

/// What a commit makes of documents.
type Made = HashMap<Bytes, Record, RandomState>;

/// A commit that others are built upon.
struct Staged {
    made: Made,
    /// Set when it is through: why it failed, if it did.
    failure: OnceLock<Option<MemoryError>>,
}

impl Staged {
    /// Not before it had its turn.
    fn check(&self) -> Result<()> {
        // One that ended in a panic has said nothing.
        self.failure.get().cloned().unwrap_or(Some(MemoryError::Closed)).map_or(Ok(()), Err)
    }
}

impl Writer {
    pub fn new(last: u64) -> Writer {
        Writer { stamp: last, disk: None, before: None }
    }

    /// Rises always, also when the clock does not. No stamp is a whole millisecond, so that one means its
    /// end: who asks for a time in milliseconds gets all that happened in it.
    fn next_stamp(&mut self) -> u64 {
        let stamp = now().max(self.stamp + 1);
        self.stamp = if stamp.is_multiple_of(1000) { stamp + 1 } else { stamp };
        self.stamp
    }
}

/// A commit in the making.
struct Stage {
    batch: Batch,
    made: Made,
    counts: BTreeMap<String, Change>,
    bytes: u64,
    /// Rows for the log.
    rows: u64,
    /// Its last.
    stamp: u64,
}

impl Database {
    /// The last place in the order of writes. Requests for which it is taken are done after those of the places
    /// before it, whoever is read and checked first.
    pub fn place(&self) -> Place {
        self.line.place()
    }

    /// Does requests, each atomic, in their order; what fails in one does not concern the others.
    pub fn write(&self, place: Place, requests: Vec<Vec<Write<'_>>>) -> Vec<Result<Vec<Outcome>>> {
        let checked = requests.into_iter().map(Operation::all).collect();
        answered(checked, |right| self.operate(place, right))
    }

    /// One atomic request.
    pub fn write_one(&self, request: Vec<Write<'_>>) -> Result<Vec<Outcome>> {
        self.write(self.place(), vec![request]).pop().unwrap_or(Err(MemoryError::Closed))
    }

    pub(super) fn operate(&self, place: Place, requests: Vec<Vec<Operation>>) -> Answers {
        if requests.is_empty() {
            return Vec::new();
        }
        let turn = Mutex::new(Turn::Waits);
        let ticket = Arc::new(Ticket { requests: Mutex::new(requests), turn, wake: Condvar::new() });
        if let Some(answers) = self.queue.enter(place, &ticket) {
            return answers;
        }
        let lead = Lead(&self.queue);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let tickets = std::mem::take(&mut self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).tickets);
        let mut taken = Taken(tickets);
        let mut answers = self.commit(lead, writer, &taken.0).into_iter();
        // Its own is the first: who leads has waited longest.
        taken.0.pop_front();
        let own = answers.next().unwrap_or_default();
        for answers in answers {
            if let Some(ticket) = taken.0.pop_front() {
                ticket.set(Turn::Done(answers));
            }
        }
        own
    }

    /// Answers for each ticket.
    fn commit(
        &self,
        lead: Lead<'_>,
        mut writer: MutexGuard<'_, Writer>,
        tickets: &VecDeque<Arc<Ticket>>,
    ) -> Vec<Answers> {
        let requests: Vec<Vec<Vec<Operation>>> = tickets
            .iter()
            .map(|ticket| std::mem::take(&mut *ticket.requests.lock().unwrap_or_else(PoisonError::into_inner)))
            .collect();
        let committed = self.store().and_then(|store| {
            let (made, counts) = (HashMap::default(), BTreeMap::new());
            let mut stage = Stage { batch: store.kv.batch(), made, counts, bytes: 0, rows: 0, stamp: 0 };
            let full = self.full(&store, &mut writer)?;
            let mut answers = Vec::with_capacity(requests.len());
            for of_ticket in &requests {
                let mut answer =
                    |request: &Vec<Operation>| self.stage(&store, &mut writer, &mut stage, request, full.as_ref());
                answers.push(of_ticket.iter().map(&mut answer).collect());
            }
            stage.stamp = writer.stamp;
            if let Some((_, written)) = &mut writer.disk {
                *written += stage.bytes;
            }
            // From here on the commit before is through, and its turn is this one's.
            let publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
            writer.before.take().map_or(Ok(()), |before| before.check())?;
            let staged = Arc::new(Staged { made: std::mem::take(&mut stage.made), failure: OnceLock::new() });
            writer.before = Some(staged.clone());
            drop(writer);
            drop(lead);
            let published = self.publish(&store, publisher, stage, &staged);
            published.map(|()| answers)
        });
        // Those that failed by themselves are not there either.
        committed.unwrap_or_else(|error| {
            requests.iter().map(|of_ticket| of_ticket.iter().map(|_| Err(error.clone())).collect()).collect()
        })
    }

    /// Checks a request whole, and then adds it whole.
    fn stage(
        &self,
        store: &Store,
        writer: &mut Writer,
        stage: &mut Stage,
        request: &[Operation],
        full: Option<&MemoryError>,
    ) -> Result<Vec<Outcome>> {
        let now = now();
        // In the order of keys: who looks for one after the other in the store's memory finds the way there still warm.
        let mut order: Vec<usize> = (0..request.len()).collect();
        order.sort_unstable_by_key(|&place| request[place].document.as_slice());
        if let Some(pair) = order.windows(2).find(|pair| request[pair[0]].document == request[pair[1]].document) {
            let (namespace, key) = names::of_document(&request[pair[0]].document).unwrap_or_default();
            let what = format!("'{key}' in '{namespace}'");
            return Err(MemoryError::input(what, "one batch has it twice; give each key once"));
        }
        let mut found = Vec::with_capacity(request.len());
        for &place in &order {
            let operation = &request[place];
            let current = match stage.made.get(operation.document.as_slice()) {
                Some(record) => Some(record.clone()),
                None => {
                    match writer.before.as_ref().and_then(|before| before.made.get(operation.document.as_slice())) {
                        Some(record) => Some(record.clone()),
                        None => self.overwritten(store, &operation.document)?,
                    }
                }
            };
            self.check(store, operation, current.as_ref(), now, full)?;
            found.push(current);
        }
        let stamp = writer.next_stamp();
        let mut outcomes = vec![Outcome { version: None, previous: None }; request.len()];
        for (place, current) in order.into_iter().zip(found) {
            let operation = &request[place];
            let alive = current.as_ref().is_some_and(|it| it.head.alive(now));
            let expired = current.as_ref().is_some_and(|it| !it.head.deleted && !it.head.alive(now));
            let idle = if operation.only_expired { !expired } else { operation.json.is_none() && !alive };
            if !idle {
                outcomes[place] = self.add(store, stage, operation, current, stamp)?;
            }
        }
        let mut changed = Vec::new();
        for (operation, _) in request.iter().zip(&outcomes).filter(|(_, outcome)| outcome.version.is_some()) {
            changed.extend_from_slice(&(operation.document.len() as u16).to_le_bytes());
            changed.extend_from_slice(&operation.document);
        }
        if !changed.is_empty() {
            stage.bytes += changed.len() as u64;
            stage.rows += 1;
            stage.batch.put(&store.changes, stamp.to_be_bytes(), changed);
        }
        Ok(outcomes)
    }

    fn check(
        &self,
        store: &Store,
        operation: &Operation,
        current: Option<&Record>,
        now: u64,
        full: Option<&MemoryError>,
    ) -> Result<()> {
        let (namespace, key) = names::of_document(&operation.document).unwrap_or_default();
        if let Some(json) = &operation.json {
            if json.len() > self.options.value_bytes {
                let (bytes, limit) = (json.len(), self.options.value_bytes);
                return Err(MemoryError::TooLarge { namespace: namespace.into(), key: key.into(), bytes, limit });
            }
            if let Some(full) = full {
                return Err(full.clone());
            }
        }
        if let Some(expected) = operation.expected {
            let found = current.filter(|it| it.head.alive(now)).map(|it| it.head.id);
            if found != expected {
                let told = |id: Option<VersionId>| id.map_or("no version".into(), |id| format!("version {id}"));
                let (expected, found) = (told(expected), told(found));
                return Err(MemoryError::Conflict { namespace: namespace.into(), key: key.into(), expected, found });
            }
        }
        if !operation.causes.is_empty() {
            // They may be of the commit before: when it is through, it can be seen.
            drop(self.publisher.lock().unwrap_or_else(PoisonError::into_inner));
        }
        for cause in &operation.causes {
            self.version(store, &cause.document, cause.id)?;
        }
        Ok(())
    }

    fn add(
        &self,
        store: &Store,
        stage: &mut Stage,
        operation: &Operation,
        current: Option<Record>,
        stamp: u64,
    ) -> Result<Outcome> {
        let document = operation.document.as_slice();
        let previous = current.as_ref().map(|it| it.head.id);
        let expires = operation.ttl_us.map(|ttl| stamp.saturating_add(ttl));
        let (causes, json) = (operation.causes.as_slice(), operation.json.as_deref());
        let (id, bytes) = Draft { document, stamp, previous, expires, causes, json }.write();
        let record = Record::read(Bytes::from(bytes))?;
        let batch = &mut stage.batch;
        let mut change = Change { versions: 1, bytes: json.map_or(0, str::len) as i64, keys: 0 };
        change.keys += i64::from(json.is_some());
        if let Some(old) = &current {
            change.keys -= i64::from(!old.head.deleted);
            batch.put(&store.history, names::version(document, old.head.id.stamp), old.bytes().clone());
            if let Some(expires) = old.head.expires {
                batch.remove(&store.expiry, expiry_key(expires, document));
            }
        }
        if let Some(expires) = expires {
            batch.put(&store.expiry, expiry_key(expires, document), Bytes::from(&[][..]));
        }
        for cause in causes {
            let mut key = names::version(&cause.document, cause.id.stamp);
            key.extend_from_slice(&names::version(document, stamp));
            let len = (cause.document.len() + 9) as u16;
            batch.put(&store.effects, key, len.to_le_bytes());
        }
        let indexes = self.indexes.read().unwrap_or_else(PoisonError::into_inner);
        indexes.stage(store, batch, document, current.as_ref(), &record);
        let name = Bytes::from(document);
        batch.put(&store.documents, name.clone(), record.bytes().clone());
        stage.bytes += record.bytes().len() as u64;
        if let Some((namespace, _)) = names::of_document(document) {
            match stage.counts.get_mut(namespace) {
                Some(counts) => {
                    counts.keys += change.keys;
                    counts.versions += change.versions;
                    counts.bytes += change.bytes;
                }
                None => {
                    stage.counts.insert(namespace.into(), change);
                }
            }
        }
        stage.made.insert(name, record);
        Ok(Outcome { version: Some(id), previous })
    }

    /// No other commit is under way as long as it lasts.
    pub(super) fn still(&self) -> Still<'_> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        // All that it made is in the store, where it may be changed now.
        writer.before = None;
        Still { _writer: writer, publisher }
    }

    /// Commits, and lets readers see it. Its turn ends with it.
    fn publish(
        &self,
        store: &Store,
        mut publisher: MutexGuard<'_, Publisher>,
        stage: Stage,
        staged: &Staged,
    ) -> Result<()> {
        let published =
            if stage.batch.is_empty() { Ok(()) } else { self.commit_stage(store, &mut publisher, stage, &staged.made) };
        // Nobody sets it twice.
        let _ = staged.failure.set(published.as_ref().err().cloned());
        // Who stages holds on to it, until it asks; without such a one nobody needs it.
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.before = None;
        }
        published
    }

    fn commit_stage(&self, store: &Store, publisher: &mut Publisher, mut stage: Stage, made: &Made) -> Result<()> {
        let mut counts = Vec::with_capacity(stage.counts.len());
        {
            let spaces = self.spaces.read().unwrap_or_else(PoisonError::into_inner);
            for (namespace, change) in stage.counts {
                let mut sum = spaces.get(&namespace).copied().unwrap_or_default();
                sum.add(change);
                stage.batch.put(&store.meta, [b"n", namespace.as_bytes()].concat(), sum.to_bytes());
                counts.push((namespace, sum));
            }
        }
        let log_len = publisher.log_len + stage.rows;
        stage.batch.put(&store.meta, LENGTH, log_len.to_be_bytes());
        stage.batch.commit()?;
        publisher.log_len = log_len;
        self.cache.publish(made);
        self.spaces.write().unwrap_or_else(PoisonError::into_inner).extend(counts);
        self.published.store(stage.stamp, Ordering::Release);
        self.watchers.wake();
        Ok(())
    }

    /// Why nothing can be put, where the disk's limit is reached.
    fn full(&self, store: &Store, writer: &mut Writer) -> Result<Option<MemoryError>> {
        let Some(limit) = self.options.disk_bytes else { return Ok(None) };
        let used = match writer.disk {
            // Looked at again when a hundredth of the limit was written since.
            Some((found, written)) if written < limit / 100 => found + written,
            _ => {
                let found = store.kv.disk_size()?;
                writer.disk = Some((found, 0));
                found
            }
        };
        Ok((used > limit).then_some(MemoryError::DiskLimit { bytes: used, limit }))
    }
}

pub(super) fn expiry_key(expires: u64, document: &[u8]) -> Vec<u8> {
    [&expires.to_be_bytes(), document].concat()
}
