//! One lane to one table: rows go in order, what is acknowledged is told, what breaks is mended.
//!
//! ```text
//! job -> waiting -> under way (on a stream) -> acknowledged
//!           ^------- stream failed: what is not acknowledged goes back, in order
//! ```
//!
//! What must hold:
//! - Rows that are acknowledged are never sent again; all others are, until they are given up.
//! - A stream that opens, and fails without one more row acknowledged, has a first row that may be at fault. The lane
//!   then goes carefully: one piece at a time. A piece that is refused alone is halved until the rows at fault are
//!   known; those are set aside with the reason, and the rest goes on. So nothing is tried for ever.
//! - A stream on which nothing arrives for a while has failed; the size of what waits for it does not matter.
//! - Nobody is at fault for a failure of the network: pieces that were not alone on the stream are not counted.
//! - A stream that ends before a row was put on it did not open, and no row is at fault for that.
//! - What a failure means is said by [`SendError::fate`] alone. A stream that was let in, and then is put out, gets one
//!   more: its opening may bring a new token.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use databricks_zerobus_ingest_sdk::ZerobusError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::SendError;
use super::backoff::pause;
use super::config::ZerobusConfig;
use super::error::Fate;
use super::payload::{Payload, Shape};
use super::wire::{Access, Wire};

/// So many bytes are handed to a stream before some of them are acknowledged.
const WINDOW_BYTES: usize = 64 << 20;
/// And so many pieces.
const WINDOW_PIECES: usize = 1024;
/// A job with more rows at fault than can be found with so many attempts is given up as a whole.
const MAX_HALVINGS: u32 = 64;

/// Rows that wait for their turn.
struct Piece {
    payload: Payload,
    /// The number of its first row in the job.
    first: usize,
}

/// Rows that are sent together.
pub(super) struct Job {
    shape: Arc<Shape>,
    pieces: VecDeque<Piece>,
    bytes: usize,
    rows: usize,
    refused: Vec<(usize, usize, SendError)>,
    attempts: u32,
    failures: u32,
    /// Of these, those on an open stream with nothing else on it; none where a stream did not open since.
    alone: u32,
    /// A stream was put out with it, and none of its rows arrived since.
    put_out: bool,
    halvings: u32,
    done: oneshot::Sender<Outcome>,
    /// Of the batch that it is a part of.
    _room: Arc<OwnedSemaphorePermit>,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Outcome {
    /// How often rows of it were handed to a stream, at most.
    pub attempts: u32,
    /// So often in a row it failed alone on an open stream, until it was given up: it may be at fault, or the network.
    pub alone: u32,
    /// First row, number of rows, and why they did not arrive. All others did.
    pub refused: Vec<(usize, usize, SendError)>,
}

impl Job {
    pub(super) fn new(
        shape: Arc<Shape>,
        payload: Payload,
        room: Arc<OwnedSemaphorePermit>,
    ) -> (Self, oneshot::Receiver<Outcome>) {
        let (done, outcome) = oneshot::channel();
        let (bytes, rows) = (payload.bytes(), payload.rows());
        let job = Job {
            shape,
            pieces: VecDeque::from([Piece { payload, first: 0 }]),
            bytes,
            rows,
            refused: Vec::new(),
            attempts: 0,
            failures: 0,
            alone: 0,
            put_out: false,
            halvings: 0,
            done,
            _room: room,
        };
        (job, outcome)
    }

    /// The first piece will not arrive.
    fn refuse(&mut self, error: SendError) {
        if let Some(piece) = self.pieces.pop_front() {
            self.refused.push((piece.first, piece.payload.rows(), error));
        }
    }

    /// Nothing that is left will arrive.
    fn refuse_all(&mut self, error: &SendError) {
        while !self.pieces.is_empty() {
            self.refuse(error.clone());
        }
    }

    /// It was tried once more for nothing.
    fn fail(&mut self, error: &SendError, max_attempts: u32) {
        self.failures += 1;
        if self.failures >= max_attempts {
            self.refuse_all(&SendError::RetryExhausted { attempts: self.failures, last: Box::new(error.clone()) });
        }
    }

    /// What failed before has no weight any more.
    fn advanced(&mut self) {
        (self.failures, self.alone, self.put_out) = (0, 0, false);
    }

    /// The first rows of the first piece arrived; their bytes.
    fn arrived(&mut self, rows: usize) -> usize {
        let Some(piece) = self.pieces.front_mut() else { return 0 };
        let left = piece.payload.rows() - rows;
        let bytes = piece.payload.slice(0, rows).bytes();
        piece.payload = piece.payload.slice(rows, left);
        piece.first += rows;
        bytes
    }

    /// The first piece is refused alone: closer to the rows at fault, or these are found.
    fn narrow(&mut self, error: SendError) {
        let rows = self.pieces.front().map_or(0, |piece| piece.payload.rows());
        if rows > 1 && self.halvings < MAX_HALVINGS {
            self.halve();
        } else {
            self.refuse(error);
        }
        // What was found is no reason to wait.
        self.failures = 0;
    }

    fn halve(&mut self) {
        if let Some(piece) = self.pieces.pop_front() {
            let (rows, half) = (piece.payload.rows(), piece.payload.rows() / 2);
            let second = Piece { payload: piece.payload.slice(half, rows - half), first: piece.first + half };
            self.pieces.push_front(second);
            self.pieces.push_front(Piece { payload: piece.payload.slice(0, half), first: piece.first });
            self.halvings += 1;
        }
    }
}

/// What a lane did since it was opened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub rows: AtomicU64,
    pub bytes: AtomicU64,
    pub retries: AtomicU64,
    pub streams: AtomicU64,
}

impl Counters {
    fn arrived(&self, rows: usize, bytes: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

struct Open {
    wire: Wire,
    shape: Arc<Shape>,
    /// Rows were put on it.
    used: bool,
    /// Rows were acknowledged on it.
    progress: bool,
    /// Since then an acknowledgement is waited for: the last one, or the first rows behind a pause.
    since: Instant,
}

pub(super) struct Lane {
    config: Arc<ZerobusConfig>,
    access: Access,
    counters: Arc<Counters>,
    jobs: mpsc::UnboundedReceiver<Job>,
    open: Option<Open>,
    /// No more jobs will come.
    ended: bool,
    waiting: VecDeque<Job>,
    under_way: VecDeque<(i64, Job)>,
    /// So many jobs go one at a time before the lane trusts them again.
    careful: usize,
    /// Openings that failed in a row.
    shut: u32,
}

impl Lane {
    pub(super) fn new(
        config: Arc<ZerobusConfig>,
        access: Access,
        counters: Arc<Counters>,
        jobs: mpsc::UnboundedReceiver<Job>,
    ) -> Self {
        let (waiting, under_way) = (VecDeque::new(), VecDeque::new());
        Lane { config, access, counters, jobs, open: None, ended: false, waiting, under_way, careful: 0, shut: 0 }
    }

    /// Until nobody can give it jobs any more, and all it had are done; or until it is halted, and has told what did not arrive.
    pub(super) async fn run(mut self, halted: oneshot::Receiver<()>) {
        tokio::select! {
            () = self.work() => {}
            Ok(()) = halted => self.leave().await,
        }
    }

    /// May be left at any await: what is in hand stays in its place until it is told what became of it.
    async fn work(&mut self) {
        loop {
            while let Ok(job) = self.jobs.try_recv() {
                self.waiting.push_back(job);
            }
            if self.waiting.is_empty() && self.under_way.is_empty() {
                match self.jobs.recv().await {
                    Some(job) => self.waiting.push_back(job),
                    None => break,
                }
            }
            let Some(stream) = &self.open else {
                self.open = self.open().await;
                continue;
            };
            let other_shape = |job: &Job| job.shape.schema != stream.shape.schema;
            if self.under_way.is_empty() && self.waiting.front().is_some_and(other_shape) {
                self.end().await;
                continue;
            }
            let result = match self.feed().await {
                Ok(()) => self.wait().await,
                failed => failed,
            };
            if let Err(error) = result {
                self.mend(error).await;
            }
        }
        self.end().await;
    }

    /// What has not arrived does not any more.
    async fn leave(&mut self) {
        self.jobs.close();
        while let Ok(job) = self.jobs.try_recv() {
            self.waiting.push_back(job);
        }
        let unacknowledged = self.end().await;
        self.take_back(unacknowledged);
        for mut job in std::mem::take(&mut self.waiting) {
            job.refuse_all(&SendError::Closed);
            self.finish(job);
        }
    }

    /// Ends the stream. The rows of each that is under way that are not acknowledged, behind those that arrived; none where nobody
    /// knows.
    async fn end(&mut self) -> Option<Vec<usize>> {
        let open = self.open.as_mut()?;
        let unacknowledged = open.wire.end().await.ok();
        self.open = None;
        unacknowledged
    }

    async fn open(&mut self) -> Option<Open> {
        let shape = self.waiting.front()?.shape.clone();
        self.counters.streams.fetch_add(1, Ordering::Relaxed);
        let mut opened = Wire::open(&self.access, &self.config, &shape).await;
        if let Err(error) = &opened
            && matches!(SendError::of(error, &self.config), SendError::Authentication(_) | SendError::Permission(_))
        {
            // The client has forgotten the token, which may have been revoked: a new one decides.
            opened = Wire::open(&self.access, &self.config, &shape).await;
        }
        match opened {
            Ok(wire) => Some(Open { wire, shape, used: false, progress: false, since: Instant::now() }),
            Err(error) => {
                let error = SendError::of(&error, &self.config);
                self.no_stream(error).await;
                None
            }
        }
    }

    /// None opens: that is nobody's fault, but each job waits only so often.
    async fn no_stream(&mut self, error: SendError) {
        let schema = self.waiting.front().map(|job| job.shape.schema.clone());
        match error.fate() {
            Fate::Again => return self.stay_shut(error).await,
            // There is nothing but the schema yet that could be at fault. The table may take another.
            Fate::Aside => self.each_waiting(|job| {
                if schema.as_ref() == Some(&job.shape.schema) {
                    job.refuse_all(&error);
                }
            }),
            Fate::End => self.each_waiting(|job| job.refuse_all(&error)),
        }
        self.pause_shut().await;
    }

    /// It counts as an attempt of each, whatever the failure.
    async fn stay_shut(&mut self, error: SendError) {
        let attempts = self.config.retry.max_attempts;
        self.each_waiting(|job| {
            job.alone = 0;
            job.fail(&error, attempts);
        });
        self.pause_shut().await;
    }

    fn each_waiting(&mut self, mut change: impl FnMut(&mut Job)) {
        for mut job in std::mem::take(&mut self.waiting) {
            change(&mut job);
            if job.pieces.is_empty() {
                self.finish(job);
            } else {
                self.waiting.push_back(job);
            }
        }
    }

    async fn pause_shut(&mut self) {
        self.shut += 1;
        if !self.waiting.is_empty() {
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
            sleep(pause(self.config.retry, self.shut)).await;
        }
    }

    /// Hands over what the window takes.
    async fn feed(&mut self) -> Result<(), SendError> {
        while let Some(open) = &mut self.open {
            let bytes: usize = self.under_way.iter().map(|(_, job)| job.bytes).sum();
            let first = self.under_way.is_empty();
            let room = bytes < WINDOW_BYTES && self.under_way.len() < WINDOW_PIECES && self.careful == 0;
            let fits = |job: &&Job| (first || room) && job.shape.schema == open.shape.schema;
            let Some(job) = self.waiting.front().filter(fits) else { break };
            let handed_over = match job.pieces.front() {
                Some(piece) => Some(open.wire.put(piece.payload.clone()).await),
                None => None,
            };
            let Some(mut job) = self.waiting.pop_front() else { break };
            match handed_over {
                None => self.finish(job),
                Some(Ok(offset)) => {
                    self.shut = 0;
                    open.used = true;
                    if self.under_way.is_empty() {
                        open.since = Instant::now();
                    }
                    job.attempts += 1;
                    self.under_way.push_back((offset, job));
                }
                Some(Err(error)) => {
                    let by_client = matches!(error, ZerobusError::InvalidArgument(_));
                    let error = SendError::of(&error, &self.config);
                    // Other errors are those of a stream that ended meanwhile, whoever's fault that was.
                    if !by_client {
                        self.waiting.push_front(job);
                        return Err(error);
                    }
                    job.narrow(error);
                    if job.pieces.is_empty() { self.finish(job) } else { self.waiting.push_front(job) }
                }
            }
        }
        Ok(())
    }

    /// Until something is acknowledged, comes, or fails.
    async fn wait(&mut self) -> Result<(), SendError> {
        let (Some(open), Some((offset, _))) = (&mut self.open, self.under_way.front()) else { return Ok(()) };
        // A slow line that advances is left alone, however much waits for it.
        let patience = Duration::from_millis(self.config.ack_timeout_ms);
        tokio::select! {
            biased;
            acknowledged = open.wire.acknowledged(*offset) => {
                acknowledged.map_err(|error| SendError::of(&error, &self.config))?;
                open.progress = true;
                open.since = Instant::now();
                if let Some((_, job)) = self.under_way.pop_front() {
                    self.arrived(job);
                }
                Ok(())
            }
            () = sleep_until(open.since + patience) => {
                Err(SendError::Transmission(format!("there was no acknowledgement for {} ms", patience.as_millis())))
            }
            job = self.jobs.recv(), if !self.ended => {
                match job {
                    Some(job) => self.waiting.push_back(job),
                    None => self.ended = true,
                }
                Ok(())
            }
        }
    }

    /// A stream failed: what it did not acknowledge goes back, and whoever is at fault is found.
    async fn mend(&mut self, error: SendError) {
        let Some(Open { used, progress, .. }) = self.open else { return };
        let unacknowledged = self.end().await;
        let (count, advanced) = self.take_back(unacknowledged);
        self.go_on(count, used, progress || advanced, error).await;
    }

    /// How many were under way, and whether rows of them turn out to have arrived.
    fn take_back(&mut self, unacknowledged: Option<Vec<usize>>) -> (usize, bool) {
        let count = self.under_way.len();
        let unacknowledged = match unacknowledged {
            Some(mut left) => {
                left.truncate(count);
                left
            }
            // Then all is sent again, rather than lost.
            None => self.under_way.iter().filter_map(|(_, job)| Some(job.pieces.front()?.payload.rows())).collect(),
        };
        let done = count - unacknowledged.len();
        let mut progress = done > 0;
        for (_, job) in self.under_way.drain(..done).collect::<Vec<_>>() {
            self.arrived(job);
        }
        let mut back: Vec<Job> = Vec::new();
        for ((_, mut job), left) in self.under_way.drain(..).zip(unacknowledged) {
            let rows = job.pieces.front().map_or(0, |piece| piece.payload.rows());
            if left < rows {
                let bytes = job.arrived(rows - left);
                self.counters.arrived(rows - left, bytes);
                progress = true;
            }
            back.push(job);
        }
        back.into_iter().rev().for_each(|job| self.waiting.push_front(job));
        (count, progress)
    }

    /// Behind a stream that failed with so many under way.
    async fn go_on(&mut self, count: usize, used: bool, progress: bool, error: SendError) {
        if !used && !self.waiting.is_empty() {
            // Whatever it died of: an opening that said so would have told more.
            return self.stay_shut(error).await;
        }
        // A stream that dies while nothing is under way has nobody to blame; a leftover failure of it opens a new one.
        if count == 0 || self.waiting.is_empty() {
            return;
        }
        self.counters.retries.fetch_add(1, Ordering::Relaxed);
        if progress {
            // As at a rotation: it goes on at once.
            if let Some(job) = self.waiting.front_mut() {
                job.advanced();
            }
            return;
        }
        let failures = self.blame(error, count);
        if failures > 0 {
            sleep(pause(self.config.retry, failures)).await;
        }
    }

    /// No row arrived. The first job may be at fault; its failures so far.
    fn blame(&mut self, error: SendError, under_way: usize) -> u32 {
        let Some(mut job) = self.waiting.pop_front() else { return 0 };
        let fate = error.fate();
        // One of those that were under way is refused; a failure of another kind says less.
        self.careful = self.careful.max(if fate == Fate::Aside { under_way } else { 1 });
        match fate {
            Fate::Again => {
                job.alone += u32::from(under_way == 1);
                job.fail(&error, self.config.retry.max_attempts);
            }
            Fate::Aside if under_way == 1 => job.narrow(error),
            Fate::Aside => {}
            Fate::End if job.put_out => job.refuse_all(&error),
            Fate::End => job.put_out = true,
        }
        let failures = job.failures;
        if job.pieces.is_empty() {
            self.careful = self.careful.saturating_sub(1);
            self.finish(job);
        } else {
            self.waiting.push_front(job);
        }
        failures
    }

    /// The first piece of a job arrived.
    fn arrived(&mut self, mut job: Job) {
        let Some(piece) = job.pieces.pop_front() else { return };
        self.counters.arrived(piece.payload.rows(), piece.payload.bytes());
        job.advanced();
        if job.pieces.is_empty() {
            self.careful = self.careful.saturating_sub(1);
            self.finish(job);
        } else {
            self.waiting.push_front(job);
        }
    }

    fn finish(&self, job: Job) {
        let refused: usize = job.refused.iter().map(|(_, rows, _)| rows).sum();
        debug_assert!(refused <= job.rows);
        // Who does not wait for it any more does not want to know.
        let _ = job.done.send(Outcome { attempts: job.attempts, alone: job.alone, refused: job.refused });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    use tokio::sync::Semaphore;

    use super::super::config::{Delivery, Retry};
    use super::super::wire;
    use super::*;
    use crate::arrow::Batch;

    #[tokio::test]
    async fn a_stream_that_ends_unused_counts_against_all_and_blames_none() {
        let retry = Retry { max_attempts: 3, base_delay_ms: 1, max_delay_ms: 1 };
        let config = ZerobusConfig {
            endpoint: "http://127.0.0.1:9".into(),
            unity_catalog_url: "http://127.0.0.1:9".into(),
            retry,
            ..ZerobusConfig::default()
        };
        let (_jobs, queue) = mpsc::unbounded_channel();
        let mut lane = Lane::new(Arc::new(config.clone()), wire::client(&config).unwrap(), Arc::default(), queue);
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let part = RecordBatch::try_from_iter([("id", column)]).unwrap();
        let shape = Arc::new(Shape::of(Delivery::Flight, Batch::new(part.schema(), Vec::new()).schema()).unwrap());
        let room = Arc::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap());
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            let (job, outcome) = Job::new(shape.clone(), Payload::Flight(part.clone()), room.clone());
            lane.waiting.push_back(job);
            outcomes.push(outcome);
        }
        // One that was in use may end by itself.
        lane.go_on(0, true, true, SendError::Transmission("no".into())).await;
        assert_eq!((lane.shut, lane.waiting[0].failures), (0, 0));
        for ended in 1..=3 {
            assert_eq!(lane.waiting.len(), 2);
            lane.go_on(0, false, false, SendError::Rejected("no".into())).await;
            assert_eq!((lane.shut, lane.careful), (ended, 0));
        }
        for outcome in outcomes {
            let Outcome { attempts, alone, refused } = outcome.await.unwrap();
            let [(0, 2, SendError::RetryExhausted { .. })] = &refused[..] else { panic!("{refused:?}") };
            assert_eq!((attempts, alone), (0, 0));
        }
    }
}
