//! A durable queue of records on disk: what has to leave, and cannot yet.
//!
//! ```text
//! append -> [segment][segment][active segment] -> read -> (sent elsewhere) -> ack -> segments are deleted
//! ```
//!
//! What must hold:
//! - An append that returned is on the disk as [`Durability`] says; one that failed left nothing behind.
//! - A record goes only when it is acknowledged, or when [`WhenFull::DropOldest`] says so, and is counted.
//! - Records keep their number through every restart. Acknowledgements may come in any order. The end of the process
//!   takes none of them; a loss of power may: so a record may leave twice, never not at all.
//! - Calls may wait for the disk. None belongs on a thread that must not.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::error::{ErrorCode, HasCode};

mod ahead;
mod cursor;
mod recovery;
mod segment;
mod watermark;

use ahead::Ahead;
use cursor::Cursor;
pub use segment::Record;
use segment::{HEAD, Segment};
use watermark::Watermark;

/// When an append returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the records are on the disk. Appends that come together share one wait.
    Each,
    /// When the operating system has them: safe from the end of this process. They are on the disk after
    /// so long: what a loss of power can take.
    Within(Duration),
}

/// What an append does that finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// It fails.
    Refuse,
    /// The oldest records go, a segment at a time.
    DropOldest,
}

/// How a spool is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// When an append returns.
    pub durability: Durability,
    /// So much it takes on the disk at most.
    pub max_bytes: u64,
    /// What an append does that finds no room.
    pub when_full: WhenFull,
}

impl Default for Options {
    fn default() -> Self {
        Options { durability: Durability::Each, max_bytes: 1 << 30, when_full: WhenFull::Refuse }
    }
}

/// A segment is deleted as a whole, so a small spool needs small ones.
const MAX_SEGMENT: u64 = 16 << 20;
/// A finer age of the oldest record is of no use.
const AGE_STEP_MS: i64 = 1000;
/// Held by the process that has the spool.
const LOCK: &str = "lock";

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// One process has it.
    #[error("spool '{0}' is open in another process; close it there, or use another folder")]
    Locked(PathBuf),
    /// No room within its limit.
    #[error("spool '{path}' holds {held} of {max} bytes; let it empty, or raise its limit")]
    Full {
        /// Its folder.
        path: PathBuf,
        /// Bytes on disk.
        held: u64,
        /// The limit.
        max: u64,
    },
    /// A record, or several in one append, that could never fit.
    #[error("{0} bytes are more than the {1} that a spool of this size takes at once; split them, or raise the limit")]
    TooLarge(u64, u64),
    /// The disk is full.
    #[error("the disk of spool '{0}' is full; earlier records are safe; make room on the disk")]
    DiskFull(PathBuf),
    /// The disk fails.
    #[error(
        "spool '{path}' cannot be used: {reason}; see whether the folder can be read and written, and open it again"
    )]
    Failed {
        /// Its folder.
        path: PathBuf,
        /// In the words of the operating system.
        reason: String,
    },
}

impl HasCode for SpoolError {
    fn code(&self) -> ErrorCode {
        match self {
            SpoolError::Locked(_) => ErrorCode::StoreLocked,
            SpoolError::Full { .. } => ErrorCode::BufferFull,
            SpoolError::TooLarge(..) => ErrorCode::TooLarge,
            SpoolError::DiskFull(_) => ErrorCode::DiskFull,
            SpoolError::Failed { .. } => ErrorCode::StoreFailed,
        }
    }
}

/// How a spool stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records that are not acknowledged.
    pub records: u64,
    /// Bytes on disk, acknowledged ones in the same segments included.
    pub bytes: u64,
    /// When the oldest open record came, ms since the epoch, to a second.
    pub oldest_ms: Option<i64>,
    /// Records that went since the opening because there was no room.
    pub dropped: u64,
    /// Records that were damaged on the disk when it was opened or read, and are lost.
    pub damaged: u64,
}

struct State {
    segments: VecDeque<Segment>,
    /// The last segment's file; none before the first append.
    active: Option<Arc<File>>,
    /// The next record's number.
    next: u64,
    /// Every record before this one is acknowledged.
    open_from: u64,
    /// Acknowledged ones behind it, and those that the disk lost.
    acked: BTreeSet<u64>,
    /// When records came, a step at a time: number and time.
    times: VecDeque<(u64, i64)>,
    watermark: Watermark,
    ahead: Ahead,
    dropped: u64,
    damaged: u64,
    /// Appends, and how many of them are on the disk.
    written: u64,
    synced: u64,
    syncing: bool,
    safe: Safe,
    /// A write that may be half there: nothing more is taken.
    failed: Option<String>,
    closed: bool,
}

/// What is on the disk for sure.
#[derive(Clone, Copy)]
struct Safe {
    /// Every record before this one.
    next: u64,
    /// The size of the segment that the last of them lies in.
    bytes: u64,
}

struct Shared {
    path: PathBuf,
    options: Options,
    segment_bytes: u64,
    state: Mutex<State>,
    cursor: Mutex<Cursor>,
    /// `synced`, `syncing` or `closed` changed.
    changed: Condvar,
    /// Held as long as the spool is.
    lock: File,
}

/// An open spool.
pub struct Spool {
    shared: Arc<Shared>,
    syncer: Option<JoinHandle<()>>,
}

impl Spool {
    /// Opens the spool in a folder, and makes the folder where there is none. What a crash left half
    /// written is cut off; what is damaged is put aside in a file `.damaged` and counted.
    pub fn open(path: &Path, options: Options) -> Result<Self, SpoolError> {
        let io = |error| failed(path, &error);
        crate::disk::make_folder(path).map_err(io)?;
        let lock = File::create(path.join(LOCK)).map_err(io)?;
        if lock.try_lock().is_err() {
            return Err(SpoolError::Locked(path.to_owned()));
        }
        let watermark = Watermark::open(&path.join("acked")).map_err(io)?;
        let found = recovery::recover(path, watermark.value()).map_err(io)?;
        let open_from = watermark.value().max(found.first);
        let next = found.next.max(open_from);
        let (ahead, mut acked) = Ahead::open(&path.join("ahead"), open_from..next).map_err(io)?;
        let damaged = found.lost.difference(&acked).count() as u64;
        acked.extend(found.lost);
        let mut state = State {
            active: None,
            next,
            open_from,
            acked,
            times: found.times,
            watermark,
            ahead,
            dropped: 0,
            damaged,
            written: 0,
            synced: 0,
            syncing: false,
            safe: Safe { next: 0, bytes: 0 },
            failed: None,
            closed: false,
            segments: found.segments,
        };
        state.safe = state.end();
        if let Some(last) = state.segments.back() {
            state.active = Some(Arc::new(File::options().append(true).open(&*last.path).map_err(io)?));
        }
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            options,
            segment_bytes: MAX_SEGMENT.min(options.max_bytes / 4),
            state: Mutex::new(state),
            cursor: Mutex::default(),
            changed: Condvar::new(),
            lock,
        });
        shared.settle(&mut shared.state());
        let syncer = match options.durability {
            Durability::Each => None,
            Durability::Within(interval) => {
                let shared = shared.clone();
                Some(
                    std::thread::Builder::new()
                        .name("millrace-spool".into())
                        .spawn(move || shared.sync_often(interval))
                        .map_err(io)?,
                )
            }
        };
        Ok(Spool { shared, syncer })
    }

    /// Takes records, all or none, and returns their numbers.
    pub fn append(&self, records: &[&[u8]]) -> Result<Range<u64>, SpoolError> {
        self.shared.append(records)
    }

    /// Records that are not acknowledged, from a number on: as many as fit into `max_bytes`, at least one
    /// where there is one. Where the disk fails behind some of them these are returned, and the next call fails.
    pub fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Record>, SpoolError> {
        let mut cursor = self.shared.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut at = from;
        loop {
            // The lock is not held while the disk is read: appends go on.
            let place = {
                let state = self.shared.state();
                let wanted = (at.max(state.open_from)..self.shared.readable(&state)).find(|seq| state.is_open(*seq));
                wanted.and_then(|seq| state.segment_of(seq).map(|segment| (seq, segment.clone())))
            };
            let Some((seq, segment)) = place else { return Ok(records) };
            match cursor.read(&segment, seq) {
                Err(error) if records.is_empty() => return Err(failed(&self.shared.path, &error)),
                Err(_) => return Ok(records),
                Ok(Some(record)) => {
                    bytes += record.data.len() + HEAD;
                    at = record.seq + 1;
                    if !records.is_empty() && bytes > max_bytes {
                        return Ok(records);
                    }
                    records.push(record);
                }
                // It was whole when the spool was opened; the disk lost it since. The rest goes on.
                Ok(None) => {
                    let mut state = self.shared.state();
                    // Unless it went meanwhile.
                    if state.is_open(seq) {
                        state.damaged += 1;
                        state.acked.insert(seq);
                        // It is found again when the spool is opened before this is written.
                        let _ = self.shared.move_on(&mut state);
                    }
                    at = seq + 1;
                }
            }
        }
    }

    /// These records arrived where they should: they are not read again, and go.
    pub fn ack(&self, numbers: impl IntoIterator<Item = u64>) -> Result<(), SpoolError> {
        let mut state = self.shared.state();
        // What cannot be read yet is acknowledged by nobody: its number may be given again.
        let behind = self.shared.readable(&state);
        let is_known = |number: &u64| *number < behind && state.is_open(*number);
        let mut numbers: Vec<u64> = numbers.into_iter().filter(is_known).collect();
        numbers.sort_unstable();
        numbers.dedup();
        state.acked.extend(&numbers);
        self.shared.move_on(&mut state)?;
        let State { ahead, acked, open_from, .. } = &mut *state;
        numbers.retain(|number| number > open_from);
        // Where the disk does not take it they may leave twice.
        let _ = ahead.add(&numbers, acked);
        Ok(())
    }

    /// Whether a record is neither acknowledged, nor dropped, nor lost.
    pub fn has(&self, seq: u64) -> bool {
        self.shared.state().is_open(seq)
    }

    /// How it stands.
    pub fn stats(&self) -> Stats {
        let state = self.shared.state();
        let records = state.next - state.open_from - state.acked.len() as u64;
        Stats {
            records,
            bytes: state.bytes(),
            oldest_ms: state.times.front().map(|&(_, at)| at).filter(|_| records > 0),
            dropped: state.dropped,
            damaged: state.damaged,
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_all();
        if let Some(syncer) = self.syncer.take() {
            let _ = syncer.join();
        }
        // By hand: a child process that is just starting has the file open, too.
        let _ = self.shared.lock.unlock();
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn is_open(&self, seq: u64) -> bool {
        (self.open_from..self.next).contains(&seq) && !self.acked.contains(&seq)
    }

    /// All that is there.
    fn end(&self) -> Safe {
        Safe { next: self.next, bytes: self.segments.back().map_or(0, |last| last.bytes) }
    }

    fn segment_of(&self, seq: u64) -> Option<&Segment> {
        let place = self.segments.partition_point(|segment| segment.first <= seq);
        self.segments.get(place.checked_sub(1)?)
    }

    fn came(&mut self, seq: u64, at: i64) {
        if self.times.back().is_none_or(|&(_, last)| at >= last + AGE_STEP_MS) {
            self.times.push_back((seq, at));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in it is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, records: &[&[u8]]) -> Result<Range<u64>, SpoolError> {
        let largest = records.iter().map(|record| record.len() as u64).max().unwrap_or(0);
        let most = self.options.max_bytes / 2;
        if largest + HEAD as u64 > most || largest > u64::from(u32::MAX) {
            return Err(SpoolError::TooLarge(largest, most));
        }
        let all: u64 = records.iter().map(|record| (HEAD + record.len()) as u64).sum();
        if all > self.options.max_bytes {
            return Err(SpoolError::TooLarge(all, self.options.max_bytes));
        }
        let now = now_ms();
        let mut state = self.state();
        if let Some(reason) = &state.failed {
            return Err(SpoolError::Failed { path: self.path.clone(), reason: reason.clone() });
        }
        let first = state.next;
        if records.is_empty() {
            return Ok(first..first);
        }
        let mut bytes = Vec::with_capacity(all as usize);
        for (record, seq) in records.iter().zip(first..) {
            segment::encode(&mut bytes, seq, now, record);
        }
        let numbers = first..first + records.len() as u64;
        self.make_room(&mut state, bytes.len() as u64)?;
        match self.write(&mut state, &bytes, numbers.end) {
            // Where nothing waits, what the disk lacks may lie in acknowledged records.
            Err(SpoolError::DiskFull(_)) if state.open_from == state.next && state.bytes() > 0 => {
                state.active = None;
                self.settle(&mut state);
                self.write(&mut state, &bytes, numbers.end)?;
            }
            written => written?,
        }
        state.came(first, now);
        state.written += 1;
        match self.options.durability {
            Durability::Each => self.wait_for_disk(state)?,
            Durability::Within(_) => {}
        }
        Ok(numbers)
    }

    fn make_room(&self, state: &mut State, wanted: u64) -> Result<(), SpoolError> {
        loop {
            let held = state.bytes();
            if held + wanted <= self.options.max_bytes {
                return Ok(());
            }
            let oldest = state.segments.front().map(|segment| segment.next);
            let (WhenFull::DropOldest, Some(next)) = (self.options.when_full, oldest) else {
                return Err(SpoolError::Full { path: self.path.clone(), held, max: self.options.max_bytes });
            };
            let kept = state.acked.split_off(&next);
            state.dropped += next.saturating_sub(state.open_from) - state.acked.len() as u64;
            state.acked = kept;
            state.open_from = state.open_from.max(next);
            if state.segments.len() == 1 {
                state.active = None;
            }
            self.settle(state);
            let value = state.open_from;
            state.watermark.write(value).map_err(|error| failed(&self.path, &error))?;
        }
    }

    fn write(&self, state: &mut State, bytes: &[u8], next: u64) -> Result<(), SpoolError> {
        let io = |error: std::io::Error| failed(&self.path, &error);
        let full = state.segments.back().is_some_and(|last| last.bytes + bytes.len() as u64 > self.segment_bytes);
        if full && let Some(file) = state.active.take() {
            // Only the active one is synced later.
            file.sync_data().map_err(|error| {
                self.fail(state, &error);
                io(error)
            })?;
            state.safe = state.end();
        }
        let file = match &state.active {
            // What is written to it is written to nowhere.
            Some(file) if segment::is_removed(file) => {
                let error = std::io::Error::from(ErrorKind::NotFound);
                self.fail(state, &error);
                return Err(io(error));
            }
            Some(file) => file.clone(),
            None => {
                let (segment, file) = segment::create(&self.path, state.next).map_err(io)?;
                state.segments.push_back(segment);
                let file = Arc::new(file);
                state.active = Some(file.clone());
                file
            }
        };
        let Some(last) = state.segments.back_mut() else { return Ok(()) };
        if let Err(error) = (&*file).write_all(bytes) {
            // Nothing of it may stay: its numbers are given again.
            if file.set_len(last.bytes).is_err() {
                self.fail(state, &error);
            }
            return Err(io(error));
        }
        last.bytes += bytes.len() as u64;
        last.next = next;
        state.next = next;
        Ok(())
    }

    /// The first who waits brings the records of all to the disk.
    fn wait_for_disk<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<(), SpoolError> {
        let wanted = state.written;
        loop {
            if state.synced >= wanted {
                return Ok(());
            }
            if let Some(reason) = &state.failed {
                return Err(SpoolError::Failed { path: self.path.clone(), reason: reason.clone() });
            }
            state = if state.syncing {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.sync(state)
            };
        }
    }

    fn sync<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let Some(file) = state.active.clone() else {
            state.synced = state.written;
            state.safe = state.end();
            return state;
        };
        let (written, end) = (state.written, state.end());
        state.syncing = true;
        drop(state);
        let result = file.sync_data();
        let mut state = self.state();
        state.syncing = false;
        match result {
            // What a failure meanwhile took back is not there any more.
            Ok(()) if state.failed.is_none() => {
                state.synced = state.synced.max(written);
                // A segment may have been completed meanwhile, and with it what came since.
                if end.next > state.safe.next {
                    state.safe = end;
                }
            }
            Ok(()) => {}
            // The system may have forgotten what it could not write: nobody can know what the disk holds.
            Err(error) => self.fail(&mut state, &error),
        }
        self.changed.notify_all();
        state
    }

    /// Nothing more is taken. What an append still waits for, which fails now, is taken back.
    fn fail(&self, state: &mut State, error: &std::io::Error) {
        state.failed = Some(error.to_string());
        let Safe { next, bytes } = state.safe;
        let next = next.max(state.open_from);
        // Others were told that the system has them.
        if self.options.durability != Durability::Each || next >= state.next {
            return;
        }
        // As far as such a disk lets: where it does not, they are there again when the spool is opened.
        while let Some(last) = state.segments.back().filter(|last| last.first >= next) {
            let _ = std::fs::remove_file(&*last.path);
            state.segments.pop_back();
        }
        if let Some(last) = state.segments.back_mut().filter(|last| last.next > next) {
            let _ = File::options().write(true).open(&*last.path).and_then(|file| file.set_len(bytes));
            (last.next, last.bytes) = (next, bytes);
        }
        state.times.retain(|&(seq, _)| seq < next);
        state.acked.retain(|&seq| seq < next);
        (state.active, state.next) = (None, next);
    }

    /// Behind the last record that may be read: one whose append may still fail is not.
    fn readable(&self, state: &State) -> u64 {
        match self.options.durability {
            Durability::Each => state.safe.next,
            Durability::Within(_) => state.next,
        }
    }

    fn sync_often(&self, interval: Duration) {
        let mut state = self.state();
        loop {
            // First: nothing is due yet, however late this thread begins. The end does not wait.
            let is_last = state.closed;
            if !is_last {
                state = self.changed.wait_timeout(state, interval).unwrap_or_else(PoisonError::into_inner).0;
            }
            if state.written > state.synced && state.failed.is_none() {
                state = self.sync(state);
            }
            if is_last {
                return;
            }
        }
    }

    /// Settles, and writes down how far it came.
    fn move_on(&self, state: &mut State) -> Result<(), SpoolError> {
        let first = state.open_from;
        self.settle(state);
        let value = state.open_from;
        if value == first {
            return Ok(());
        }
        state.watermark.write(value).map_err(|error| failed(&self.path, &error))
    }

    /// Moves on to the oldest open record, and lets go what lies before it.
    fn settle(&self, state: &mut State) {
        while state.acked.remove(&state.open_from) {
            state.open_from += 1;
        }
        let open = state.open_from;
        while state.times.get(1).is_some_and(|&(seq, _)| seq <= open) {
            state.times.pop_front();
        }
        while let Some(oldest) = state.segments.front()
            && oldest.next <= open
            // The active one stays, as the next append wants it, unless it is worth to be deleted.
            && (state.segments.len() > 1 || state.active.is_none() || oldest.bytes > self.segment_bytes / 4)
        {
            if state.segments.len() == 1 {
                state.active = None;
            }
            // A file that stays is found acknowledged when the spool is opened again.
            let _ = std::fs::remove_file(&*oldest.path);
            // A file that somebody holds open keeps its room on the disk. Who reads now moves on by himself.
            if let Ok(mut cursor) = self.cursor.try_lock() {
                cursor.leave(oldest);
            }
            state.segments.pop_front();
        }
    }
}

/// What a failure of the disk means here.
pub(crate) fn failed(path: &Path, error: &std::io::Error) -> SpoolError {
    if crate::disk::is_full(error) {
        return SpoolError::DiskFull(path.to_owned());
    }
    SpoolError::Failed { path: path.to_owned(), reason: error.to_string() }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What takes bytes and cannot bring them to a disk.
    fn break_disk(spool: &Spool) {
        spool.shared.state().active = Some(Arc::new(File::options().write(true).open("/dev/null").unwrap()));
    }

    fn left(spool: &Spool) -> Vec<Vec<u8>> {
        spool.read(0, usize::MAX).unwrap().into_iter().map(|record| record.data).collect()
    }

    #[test]
    fn what_did_not_reach_the_disk_for_sure_was_not_taken() {
        let folder = std::env::temp_dir().join(format!("millrace-spool-sync-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let spool = Spool::open(&folder, Options::default()).unwrap();
        spool.append(&[b"one"]).unwrap();
        spool.ack([0]).unwrap();
        spool.append(&[b"two"]).unwrap();
        // The system has all of the third, and loses it.
        let path = spool.shared.state().segments[0].path.clone();
        break_disk(&spool);
        let mut third = Vec::new();
        segment::encode(&mut third, 2, 0, b"three");
        File::options().append(true).open(&path).unwrap().write_all(&third).unwrap();
        assert_eq!(spool.append(&[b"three"]).unwrap_err().code(), ErrorCode::StoreFailed);
        assert_eq!((left(&spool), spool.stats().records), (vec![b"two".to_vec()], 1));
        assert_eq!(spool.append(&[b"four"]).unwrap_err().code(), ErrorCode::StoreFailed);
        drop(spool);
        let spool = Spool::open(&folder, Options::default()).unwrap();
        assert_eq!(left(&spool), [b"two"]);
        assert_eq!(spool.append(&[b"five"]).unwrap(), 2..3);
        drop(spool);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_whole_segment_that_did_not_reach_the_disk_goes() {
        let folder = std::env::temp_dir().join(format!("millrace-spool-sync-segment-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let spool = Spool::open(&folder, Options { max_bytes: 4000, ..Options::default() }).unwrap();
        spool.append(&[&[1; 900]]).unwrap();
        break_disk(&spool);
        // The segment is complete, and cannot be brought to the disk: no new one is begun.
        assert_eq!(spool.append(&[&[2; 900]]).unwrap_err().code(), ErrorCode::StoreFailed);
        assert_eq!(left(&spool), [[1; 900]]);
        drop(spool);
        let spool = Spool::open(&folder, Options { max_bytes: 4000, ..Options::default() }).unwrap();
        let mut second = Vec::new();
        segment::encode(&mut second, 1, 0, &[2; 900]);
        spool.shared.write(&mut spool.shared.state(), &second, 2).unwrap();
        assert_eq!(segment::list(&folder).unwrap().len(), 2);
        // It is there, and its append may still fail: nobody is to see it yet.
        assert_eq!(left(&spool), [[1; 900]]);
        spool.shared.fail(&mut spool.shared.state(), &ErrorKind::Other.into());
        assert_eq!(left(&spool), [[1; 900]]);
        assert_eq!(spool.shared.state().next, 1);
        assert_eq!(segment::list(&folder).unwrap().len(), 1);
        drop(spool);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
