//! Batches that wait on disk, and their way out.
//!
//! What must hold:
//! - A batch leaves the spool when each of its rows is acknowledged or set aside in a file, not before.
//! - Rows that are acknowledged are not sent again; what a killed process had not yet written down of them is.
//! - What Zerobus refuses, and what cannot be read any more, is set aside with the reason.
//! - What fails for other reasons is tried until it arrives, however long that takes. One that keeps failing alone on an open stream while others arrive is
//!   at fault itself, and is set aside, too: the network would have to choose it each time. No stream, or no leave to write, is no batch's fault.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_buffer::Buffer;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::SendError;
use super::aside::Aside;
use super::backoff::pause;
use super::client::{Sender, Sending, Sent, blocking};
use super::config::{SpoolConfig, WhenSpoolFull};
use super::error::Fate;
use super::partly::{Partly, runs, sum_of};
use super::report::{Lost, gather};
use crate::arrow::{Batch, Compression, Fault, Form, decode, encode};
use crate::spool::{Durability, Options, Record, Spool, SpoolError, Stats, WhenFull};

/// So many bytes are read from the spool, and sent, at a time.
const READ_BYTES: usize = 32 << 20;
/// A larger batch is not taken.
const MAX_BATCH: u64 = 4 << 30;
/// Packed batches unpack to no more: what was taken does not, however its size is counted.
const MAX_UNPACKED: u64 = 2 * MAX_BATCH;
/// So often a batch has to fail alone, in rounds in which others arrive, until it is set aside.
const MAX_SUSPICION: u32 = 20;
/// So many of them count in one round: an outage may last longer than any number of attempts.
const MOST_A_ROUND: u32 = 4;

pub(super) struct Outbox {
    spool: Mutex<Option<Arc<Spool>>>,
    /// How it stood when it was closed.
    left: Mutex<Stats>,
    aside: Arc<Aside>,
    partly: Arc<Mutex<Partly>>,
    blocks: bool,
    /// Who waits for room, in the order of their calls.
    turn: tokio::sync::Mutex<()>,
    wake: Notify,
    /// Batches left the spool, or it was stopped.
    room: Notify,
    stopped: AtomicBool,
}

/// Batches that were tried, and are not through: so often they failed alone while others arrived.
type Trouble = HashMap<u64, u32>;

/// A batch on its way.
struct Tried {
    seq: u64,
    sum: u64,
    rows: usize,
    batch: Batch,
    numbers: Vec<usize>,
    sending: Result<Sending, SendError>,
}

/// Batches that are sent together.
struct Round<'a> {
    trouble: &'a mut Trouble,
    /// One of them left the spool.
    through: bool,
    /// Rows of one of them arrived.
    arrived: bool,
    late: Vec<Late>,
}

/// One of which no row arrived.
struct Late {
    seq: u64,
    /// So often it failed alone on an open stream.
    alone: u32,
    why: Vec<Lost>,
}

/// Rows of a batch of the spool.
struct OpenRows {
    batch: Batch,
    /// Their numbers in it.
    numbers: Vec<usize>,
    /// So many it has in all.
    rows: usize,
    sum: u64,
}

impl Outbox {
    pub(super) fn open(config: &SpoolConfig) -> Result<Self, SendError> {
        let durability = match config.sync_ms {
            0 => Durability::Each,
            ms => Durability::Within(Duration::from_millis(ms)),
        };
        let when_full = match config.when_full {
            WhenSpoolFull::Block | WhenSpoolFull::Refuse => WhenFull::Refuse,
            WhenSpoolFull::DropOldest => WhenFull::DropOldest,
        };
        let options = Options { durability, max_bytes: config.max_bytes, when_full };
        let spool = Spool::open(&config.folder, options)?;
        Ok(Outbox {
            spool: Mutex::new(Some(Arc::new(spool))),
            left: Mutex::default(),
            aside: Arc::new(Aside::new(&config.folder, config.max_bytes)),
            partly: Arc::new(Mutex::new(Partly::open(&config.folder))),
            blocks: config.when_full == WhenSpoolFull::Block,
            turn: tokio::sync::Mutex::new(()),
            wake: Notify::new(),
            room: Notify::new(),
            stopped: AtomicBool::new(false),
        })
    }

    /// Done when it is on disk.
    pub(super) async fn put(&self, batch: &Batch) -> Result<(), SendError> {
        let (batch, size) = (batch.clone(), batch.bytes() as u64);
        if size > MAX_BATCH {
            return Err(Fault::TooLarge { what: "the batch", size, limit: MAX_BATCH }.into());
        }
        let record: Arc<[u8]> = blocking(move || Ok(encode(&batch, Form::Stream, Compression::Lz4)?.into())).await?;
        let _turn = self.turn.lock().await;
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.is_stopped() {
                return Err(SendError::Closed);
            }
            let (spool, record) = (self.spool().ok_or(SendError::Closed)?, record.clone());
            let appended = blocking(move || Ok(spool.append(&[&record]).map(drop))).await?;
            match appended {
                Err(SpoolError::Full { .. }) if self.blocks => room.await,
                Err(error) => return Err(error.into()),
                Ok(()) => break,
            }
        }
        self.wake.notify_one();
        Ok(())
    }

    pub(super) fn stats(&self) -> Stats {
        let left = || *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        self.spool().map_or_else(left, |spool| spool.stats())
    }

    /// Rows that were set aside since it was opened.
    pub(super) fn rows_aside(&self) -> u64 {
        self.aside.rows()
    }

    /// Batches that were set aside since it was opened because they cannot be read.
    pub(super) fn unreadable(&self) -> u64 {
        self.aside.unreadable()
    }

    /// Nothing more is read from it.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.wake.notify_one();
        self.room.notify_waiters();
    }

    /// Lets another process have it.
    pub(super) fn close(&self) {
        let Some(spool) = self.spool.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = spool.stats();
    }

    fn spool(&self) -> Option<Arc<Spool>> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Sends what is in the spool, in order, until it is stopped.
    pub(super) async fn drain(self: Arc<Self>, sender: Arc<Sender>) {
        let mut trouble = Trouble::new();
        let (mut from, mut failures) = (0, 0);
        while !self.is_stopped() {
            let Some(spool) = self.spool() else { return };
            let reading = spool.clone();
            let read = blocking(move || Ok(read_some(&reading, from)?)).await;
            self.forget_gone(&mut trouble, &spool).await;
            match read {
                Ok(records) if records.is_empty() => {
                    // What was there may have been lost.
                    self.less(&sender);
                    if trouble.is_empty() {
                        self.wake.notified().await;
                        continue;
                    }
                    // All that is behind the troubled ones was sent: their turn again.
                    failures += u32::from(failures == 0);
                }
                Ok(records) => {
                    let next = records.last().map_or(from, |record| record.seq + 1);
                    if self.send(&sender, records, &mut trouble).await {
                        (from, failures) = (next, 0);
                        continue;
                    }
                    failures += 1;
                }
                Err(error) => {
                    sender.failed(&error);
                    failures += 1;
                }
            }
            from = 0;
            let _ = timeout(pause(sender.config.retry, failures), self.stop_signal()).await;
        }
    }

    /// There is less in the spool than there was.
    fn less(&self, sender: &Sender) {
        self.room.notify_waiters();
        sender.changed.notify_waiters();
    }

    async fn stop_signal(&self) {
        while !self.is_stopped() {
            self.wake.notified().await;
        }
    }

    /// Sends them together, in order. Whether one of them is through.
    async fn send(&self, sender: &Sender, records: Vec<Record>, trouble: &mut Trouble) -> bool {
        let limit = sender.config.max_in_flight_bytes;
        let (mut under_way, mut held) = (VecDeque::new(), 0);
        let mut round = Round { trouble, through: false, arrived: false, late: Vec::new() };
        for record in records {
            let seq = record.seq;
            let record = Arc::new(record);
            let (reading, partly) = (record.clone(), self.partly.clone());
            match blocking(move || open_rows(&reading, &partly)).await {
                Ok(OpenRows { batch, numbers, rows, sum }) => {
                    let bytes = batch.bytes() as u64;
                    // They were packed on the disk, and are held as they are until they have arrived.
                    while held + bytes > limit
                        && let Some(first) = under_way.pop_front()
                    {
                        held -= self.conclude(sender, first, &mut round).await;
                        if self.is_stopped() {
                            return round.through;
                        }
                    }
                    let sending = match sender.room(bytes).await {
                        Ok(room) => sender.dispatch(batch.clone(), &numbers, room).await,
                        Err(error) => Err(error),
                    };
                    held += bytes;
                    under_way.push_back(Tried { seq, sum, rows, batch, numbers, sending });
                }
                Err(error) => self.set_raw_aside(sender, record, error, &mut round).await,
            }
        }
        for tried in under_way {
            self.conclude(sender, tried, &mut round).await;
        }
        self.judge(sender, &mut round).await;
        round.through
    }

    /// Who did not arrive may be at fault, where others did.
    async fn judge(&self, sender: &Sender, round: &mut Round<'_>) {
        let late = std::mem::take(&mut round.late);
        if !round.arrived {
            // One that nobody suspects fails like the others: it is none of them.
            if late.iter().any(|it| round.trouble.get(&it.seq) == Some(&0)) {
                round.trouble.values_mut().for_each(|suspicion| *suspicion = 0);
            }
            return;
        }
        for Late { seq, alone, why } in late {
            let suspicion = round.trouble.entry(seq).or_default();
            *suspicion += alone.min(MOST_A_ROUND);
            if *suspicion >= MAX_SUSPICION {
                match self.give_up(seq, &why).await {
                    Ok(()) => self.leaves(sender, seq, round).await,
                    Err(error) => sender.failed(&error),
                }
            }
        }
    }

    /// Sets the open rows of a batch aside.
    async fn give_up(&self, seq: u64, why: &[Lost]) -> Result<(), SendError> {
        let spool = self.spool().ok_or(SendError::Closed)?;
        let partly = self.partly.clone();
        let again = blocking(move || {
            let record = spool.read(seq, 1)?.pop().filter(|record| record.seq == seq);
            record.map(|record| open_rows(&record, &partly)).transpose()
        });
        match again.await? {
            Some(OpenRows { batch, numbers, .. }) => self.set_aside(seq, &batch, &numbers, why).await,
            // It went meanwhile.
            None => Ok(()),
        }
    }

    /// What became of a batch; gives back how much memory it held.
    async fn conclude(&self, sender: &Sender, tried: Tried, round: &mut Round<'_>) -> u64 {
        let Tried { seq, sum, rows, batch, numbers, sending } = tried;
        let bytes = batch.bytes() as u64;
        let sent = match sending {
            Ok(sending) => sending.outcome(sender).await,
            Err(error) => Err(error),
        };
        let Sent { lost, alone, .. } = match sent {
            Ok(sent) => sent,
            // It stays as it is.
            Err(SendError::Closed) => return bytes,
            Err(error) => Sent::nothing(&numbers, error),
        };
        let advanced = lost.len() < numbers.len();
        round.arrived |= advanced;
        let (aside, open): (Vec<Lost>, Vec<Lost>) = lost.into_iter().partition(|lost| lost.fate == Fate::Aside);
        let set_aside = match aside.is_empty() {
            true => Ok(()),
            false => self.set_aside(seq, &batch, &numbers, &aside).await,
        };
        let kept = set_aside.inspect_err(|error| sender.failed(error)).is_err();
        if open.is_empty() && !kept {
            self.leaves(sender, seq, round).await;
            return bytes;
        }
        let suspicion = round.trouble.entry(seq).or_default();
        if advanced {
            *suspicion = 0;
        } else {
            let counts = !kept && open.iter().all(|lost| lost.fate == Fate::Again);
            let alone = if counts { alone } else { 0 };
            round.late.push(Late { seq, alone, why: open.clone() });
        }
        let rest = if kept { aside.into_iter().chain(open).collect() } else { open };
        let mut left: Vec<usize> = rest.into_iter().map(|lost| lost.row).collect();
        left.sort_unstable();
        if left.len() < rows {
            self.note(move |partly| partly.put(seq, sum, left)).await;
        }
        bytes
    }

    /// Where the disk does not take it, rows are sent again after a restart.
    async fn note(&self, change: impl FnOnce(&mut Partly) -> std::io::Result<()> + Send + 'static) {
        let partly = self.partly.clone();
        let _ = blocking(move || Ok(change(&mut partly.lock().unwrap_or_else(PoisonError::into_inner)))).await;
    }

    /// Batches that were dropped, or lost, or acknowledged otherwise, are no trouble any more.
    async fn forget_gone(&self, trouble: &mut Trouble, spool: &Arc<Spool>) {
        trouble.retain(|&seq, _| spool.has(seq));
        let spool = spool.clone();
        self.note(move |partly| partly.retain(|seq| spool.has(seq))).await;
    }

    /// All of it arrived, or lies elsewhere.
    async fn leaves(&self, sender: &Sender, seq: u64, round: &mut Round<'_>) {
        round.through = true;
        round.trouble.remove(&seq);
        self.acknowledge(sender, seq).await;
    }

    async fn acknowledge(&self, sender: &Sender, seq: u64) {
        if let Some(spool) = self.spool() {
            // Where the disk fails it leaves later, or again.
            let _ = blocking(move || Ok(spool.ack([seq])?)).await;
        }
        self.less(sender);
    }

    /// What was whole when it was taken, and cannot be read: it would not get better by waiting.
    async fn set_raw_aside(&self, sender: &Sender, record: Arc<Record>, error: SendError, round: &mut Round<'_>) {
        sender.failed(&error);
        let (seq, aside) = (record.seq, self.aside.clone());
        match blocking(move || aside.put_raw(record.seq, &record.data, &error)).await {
            Ok(()) => self.leaves(sender, seq, round).await,
            Err(error) => {
                sender.failed(&error);
                round.trouble.entry(seq).or_default();
            }
        }
    }

    /// What Zerobus does not take goes to files beside the spool, with the reasons.
    async fn set_aside(&self, seq: u64, batch: &Batch, numbers: &[usize], lost: &[Lost]) -> Result<(), SendError> {
        let place = |lost: &Lost| Some(Lost { row: numbers.binary_search(&lost.row).ok()?, ..lost.clone() });
        let mut rows: Vec<Lost> = lost.iter().filter_map(place).collect();
        rows.sort_unstable_by_key(|lost| lost.row);
        let first = rows.first().and_then(|lost| numbers.get(lost.row)).copied().unwrap_or_default();
        let parts: Vec<Batch> = rows.iter().map(|lost| batch.slice(lost.row, 1)).collect();
        let why = rows.into_iter().enumerate().map(|(row, lost)| Lost { row, ..lost });
        let (why, schema, aside) = (gather(why.collect()), batch.schema().clone(), self.aside.clone());
        blocking(move || aside.put(seq, first, &Batch::join(schema, &parts)?, &why)).await
    }
}

/// What is sent together: more than one batch where there are more, as others show whether one is at fault.
fn read_some(spool: &Spool, from: u64) -> Result<Vec<Record>, SpoolError> {
    let mut records = spool.read(from, READ_BYTES)?;
    if let [only] = &records[..] {
        let next = only.seq + 1;
        // Where that fails it is told when it is its turn.
        records.extend(spool.read(next, READ_BYTES).unwrap_or_default());
    }
    Ok(records)
}

/// The rows of a record that are open.
fn open_rows(record: &Record, partly: &Mutex<Partly>) -> Result<OpenRows, SendError> {
    let whole = decode(Buffer::from(&record.data[..]), MAX_UNPACKED)?;
    let (rows, sum) = (whole.rows(), sum_of(record));
    let open = partly.lock().unwrap_or_else(PoisonError::into_inner).rows(record.seq, sum).map(<[usize]>::to_vec);
    let Some(numbers) = open else {
        return Ok(OpenRows { batch: whole, numbers: (0..rows).collect(), rows, sum });
    };
    let parts: Vec<Batch> = runs(&numbers).map(|(first, count)| whole.slice(first, count)).collect();
    Ok(OpenRows { batch: Batch::join(whole.schema().clone(), &parts)?, numbers, rows, sum })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn trouble_ends_with_the_batch() {
        let folder = std::env::temp_dir().join(format!("millrace-outbox-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let when_full = WhenSpoolFull::DropOldest;
        let config = SpoolConfig { folder: folder.clone(), sync_ms: 0, max_bytes: 4000, when_full };
        let outbox = Outbox::open(&config).unwrap();
        let spool = outbox.spool().unwrap();
        let mut trouble = Trouble::new();
        for _ in 0..4 {
            let seq = spool.append(&[&[0; 900]]).unwrap().start;
            trouble.entry(seq).or_default();
            outbox.note(move |partly| partly.put(seq, 5, vec![seq as usize])).await;
        }
        spool.ack([2]).unwrap();
        // The oldest gives way.
        spool.append(&[&[0; 900]]).unwrap();
        outbox.forget_gone(&mut trouble, &spool).await;
        let mut left: Vec<u64> = trouble.into_keys().collect();
        left.sort_unstable();
        assert_eq!(left, [1, 3]);
        let partly = Partly::open(&folder);
        let left: Vec<u64> = (0..5).filter(|&seq| partly.rows(seq, 5).is_some()).collect();
        assert_eq!(left, [1, 3]);
        drop((spool, outbox));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
