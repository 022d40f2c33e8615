//! A sender to one table.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::SendError;
use super::config::ZerobusConfig;
use super::copies::Copies;
use super::lane::{Counters, Job, Lane, Outcome};
use super::outbox::Outbox;
use super::payload::{Shape, split};
use super::report::{Lost, Stats, TransmissionResult, gather, kept, lost, unfit};
use super::wire;
use crate::arrow::{Batch, RowError, cast_to_delta, delta_schema};

/// A lane that is halted has so long to end its stream.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes in memory are counted in these.
const UNIT: u64 = 1024;

/// Bytes in memory that a batch may take.
pub(super) type Room = OwnedSemaphorePermit;

/// What sends, shared by callers and by the spool's drain.
pub(super) struct Sender {
    pub config: Arc<ZerobusConfig>,
    pub counters: Arc<Counters>,
    jobs: Mutex<Option<mpsc::UnboundedSender<Job>>>,
    room: Arc<Semaphore>,
    units: u32,
    /// Batches that are being sent.
    open: AtomicU64,
    /// `open` became less, or the spool did.
    pub changed: Notify,
    last_error: Mutex<Option<String>>,
}

/// What became of rows that travelled.
#[derive(Default)]
pub(super) struct Sent {
    pub attempts: u32,
    /// As in [`Outcome`], of the part that has most.
    pub alone: u32,
    pub lost: Vec<Lost>,
    pub error: Option<SendError>,
}

impl Sent {
    /// None of the rows arrived.
    pub(super) fn nothing(numbers: &[usize], error: SendError) -> Self {
        Sent { attempts: 0, alone: 0, lost: Lost::each(numbers, &error).collect(), error: Some(error) }
    }
}

/// A batch that the lane has.
pub(super) struct Sending {
    sent: Sent,
    outcomes: Vec<(Vec<usize>, oneshot::Receiver<Outcome>)>,
}

impl Sending {
    /// When all of it arrived, or was given up.
    pub(super) async fn outcome(self, sender: &Sender) -> Result<Sent, SendError> {
        let Sending { mut sent, outcomes } = self;
        for (rows, outcome) in outcomes {
            let outcome = outcome.await.map_err(|_| SendError::Closed)?;
            sent.attempts = sent.attempts.max(outcome.attempts);
            sent.alone = sent.alone.max(outcome.alone);
            sent.lost.extend(lost(&rows, &outcome.refused));
            if let Some((_, _, error)) = outcome.refused.into_iter().next() {
                sent.error.get_or_insert(error);
            }
        }
        if !matches!(sent.error, Some(SendError::Closed)) {
            sender.ended(sent.error.as_ref());
        }
        Ok(sent)
    }
}

impl Sender {
    /// For who looks how it stands.
    pub(super) fn failed(&self, error: &SendError) {
        self.ended(Some(error));
    }

    fn ended(&self, error: Option<&SendError>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error.map(ToString::to_string);
    }

    /// Gives rows to the lane that are as the table takes them. `numbers` are the rows' own. `room` is what was taken for the batch; what it is in the
    /// form in which it travels is held until it has arrived. One at a time dispatches: it may have to wait for more room.
    pub(super) async fn dispatch(&self, batch: Batch, numbers: &[usize], room: Room) -> Result<Sending, SendError> {
        let delivery = self.config.delivery;
        let shape = Arc::new(Shape::of(delivery, batch.schema())?);
        let with = shape.clone();
        let (parts, unfit_rows) = blocking(move || split(delivery, &with, &batch)).await?;
        let held = parts.iter().map(|part| part.payload.bytes() as u64).sum();
        let room = Arc::new(self.resized(room, held).await?);
        let own = |row: usize| numbers.get(row).copied().unwrap_or(row);
        let (lost, error) = unfit(unfit_rows, own);
        let sent = Sent { lost, error, ..Sent::default() };
        let mut outcomes = Vec::with_capacity(parts.len());
        for part in parts {
            let (job, outcome) = Job::new(shape.clone(), part.payload, room.clone());
            let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
            jobs.ok_or(SendError::Closed)?.send(job).map_err(|_| SendError::Closed)?;
            outcomes.push((part.rows.into_iter().map(own).collect(), outcome));
        }
        Ok(Sending { sent, outcomes })
    }

    /// Room for so many bytes, when there is some.
    pub(super) async fn room(&self, bytes: u64) -> Result<Room, SendError> {
        self.room.clone().acquire_many_owned(self.units_of(bytes)).await.map_err(|_| SendError::Closed)
    }

    async fn resized(&self, mut room: Room, bytes: u64) -> Result<Room, SendError> {
        let (has, wanted) = (room.num_permits(), self.units_of(bytes) as usize);
        if wanted > has {
            let more = self.room.clone().acquire_many_owned((wanted - has) as u32).await;
            room.merge(more.map_err(|_| SendError::Closed)?);
        } else {
            drop(room.split(has - wanted));
        }
        Ok(room)
    }

    /// What is larger than all the room takes all of it.
    fn units_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units)
    }

    fn is_closed(&self) -> bool {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// Tells that a batch is no more on its way, however that ended.
struct Leaving<'a>(&'a Sender);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }
}

/// A batch in its turn.
struct Prepared {
    delta: Batch,
    /// Rows that are not in it.
    errors: Vec<RowError>,
    room: Option<Room>,
}

/// A sender to one table.
pub struct Client {
    sender: Arc<Sender>,
    outbox: Option<Arc<Outbox>>,
    copies: Option<Arc<Mutex<Copies>>>,
    /// Ends when the last batch that was given has had its turn.
    last: Mutex<Option<oneshot::Receiver<()>>>,
    batches: AtomicU64,
    /// Rows that calls were told of, or that came with them.
    failed: AtomicU64,
    /// The spool's drain, then the lane that it sends through.
    tasks: Mutex<[Option<JoinHandle<()>>; 2]>,
    /// Why the last copy was not written.
    copies_error: Mutex<Option<String>>,
    closed: AtomicBool,
    /// Halts the lane.
    halt: Mutex<Option<oneshot::Sender<()>>>,
}

impl Client {
    /// Checks the options and opens the spool. Streams are opened when there is something to send. To be called within a
    /// Tokio runtime.
    pub async fn open(config: ZerobusConfig) -> Result<Self, SendError> {
        config.validate()?;
        let config = Arc::new(config);
        let counters = Arc::new(Counters::default());
        let (halt, halted) = oneshot::channel();
        let (jobs, lane) = if config.writer_disabled {
            (None, None)
        } else {
            let access = wire::client(&config)?;
            let (jobs, queue) = mpsc::unbounded_channel();
            let lane = Lane::new(config.clone(), access, counters.clone(), queue);
            (Some(jobs), Some(tokio::spawn(lane.run(halted))))
        };
        let units = u32::try_from(config.max_in_flight_bytes / UNIT).unwrap_or(u32::MAX);
        let sender = Arc::new(Sender {
            room: Arc::new(Semaphore::new(units as usize)),
            units,
            config: config.clone(),
            counters,
            jobs: Mutex::new(jobs),
            open: AtomicU64::new(0),
            changed: Notify::new(),
            last_error: Mutex::new(None),
        });
        let opening = config.clone();
        let (spool, copies) = blocking(move || {
            let spool = match &opening.spool {
                Some(spool) if !opening.writer_disabled => Some(Outbox::open(spool)?),
                _ => None,
            };
            Ok((spool, Copies::open(&opening)?))
        })
        .await?;
        let outbox = spool.map(Arc::new);
        let drain = outbox.as_ref().map(|outbox| tokio::spawn(outbox.clone().drain(sender.clone())));
        let copies = copies.map(|copies| Arc::new(Mutex::new(copies)));
        if let Some(copies) = &copies {
            Copies::keep_time(copies, &config);
        }
        let (batches, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        let (tasks, halt) = (Mutex::new([drain, lane]), Mutex::new(Some(halt)));
        let (last, copies_error, closed) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Ok(Client { sender, outbox, copies, last, batches, failed, tasks, copies_error, closed, halt })
    }

    /// Sends a batch; done when it arrived, or was given up, or is in the spool. Batches go in the order of the calls,
    /// whenever their futures are polled.
    pub fn send(
        self: &Arc<Self>,
        batch: Batch,
    ) -> impl Future<Output = Result<TransmissionResult, SendError>> + Send + 'static {
        self.send_rest(batch, 0)
    }

    /// Sends what is left of rows of which so many became no part of the batch: they have failed.
    pub fn send_rest(
        self: &Arc<Self>,
        batch: Batch,
        rejected: u64,
    ) -> impl Future<Output = Result<TransmissionResult, SendError>> + Send + 'static {
        let (passed, next) = oneshot::channel::<()>();
        let before = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(next);
        let client = self.clone();
        self.failed.fetch_add(rejected, Ordering::Relaxed);
        async move { client.send_in_turn(batch, before, passed).await }
    }

    /// `before` ends when it is this batch's turn; the next one's turn comes when `passed` is dropped.
    async fn send_in_turn(
        &self,
        batch: Batch,
        before: Option<oneshot::Receiver<()>>,
        passed: oneshot::Sender<()>,
    ) -> Result<TransmissionResult, SendError> {
        let started = Instant::now();
        self.sender.open.fetch_add(1, Ordering::Relaxed);
        let _leaving = Leaving(&self.sender);
        self.batches.fetch_add(1, Ordering::Relaxed);
        let (total_rows, batch_size_bytes) = (batch.rows(), batch.bytes());
        let finish = |sent: Sent, spooled| {
            self.failed.fetch_add(sent.lost.len() as u64, Ordering::Relaxed);
            TransmissionResult {
                success: sent.lost.is_empty() && sent.error.is_none(),
                spooled,
                attempts: sent.attempts,
                latency_ms: started.elapsed().as_secs_f64() * 1000.0,
                batch_size_bytes,
                total_rows,
                failed: gather(sent.lost),
                error: sent.error,
            }
        };
        // In this order, and in its turn: what waits takes no more memory than it came with. Also one that fails keeps its place.
        if let Some(before) = before {
            let _ = before.await;
        }
        let prepared = self.prepare(batch).await;
        let Prepared { delta, errors, room } = match prepared {
            Ok(prepared) => prepared,
            Err(SendError::Closed) => return Err(SendError::Closed),
            Err(error) => {
                let rows: Vec<usize> = (0..total_rows).collect();
                return Ok(finish(Sent::nothing(&rows, error), false));
            }
        };
        let numbers = kept(total_rows, &errors);
        let (lost, error) = unfit(errors, |row| row);
        let mut sent = Sent { lost, error, ..Sent::default() };
        let is_sent = delta.rows() > 0 && !self.sender.config.writer_disabled;
        let result = match (&self.outbox, room) {
            _ if !is_sent => Ok(Sent::default()),
            (Some(outbox), _) => outbox.put(&delta).await.map(|()| Sent::default()),
            (None, Some(room)) => match self.sender.dispatch(delta, &numbers, room).await {
                Ok(sending) => {
                    drop(passed);
                    sending.outcome(&self.sender).await
                }
                Err(error) => Err(error),
            },
            (None, None) => Err(SendError::Internal("a batch has no room".into())),
        };
        let result = result.and_then(|sent| match sent.error {
            // Nobody has to be told which of none.
            Some(SendError::Closed) if sent.lost.len() == numbers.len() => Err(SendError::Closed),
            _ => Ok(sent),
        });
        let result = match result {
            Ok(result) => result,
            Err(SendError::Closed) => return Err(SendError::Closed),
            Err(error) => Sent::nothing(&numbers, error),
        };
        sent.attempts = result.attempts;
        sent.lost.extend(result.lost);
        sent.error = sent.error.or(result.error);
        let spooled = is_sent && self.outbox.is_some() && sent.lost.len() < total_rows;
        Ok(finish(sent, spooled))
    }

    /// Takes room, makes the batch what the table takes, and copies it. What goes to a spool takes none: an outage must not keep it from the disk.
    async fn prepare(&self, batch: Batch) -> Result<Prepared, SendError> {
        let alone = self.sender.config.writer_disabled;
        let room = match self.outbox {
            None if !alone => Some(self.sender.room(batch.written_out()).await?),
            _ => None,
        };
        if !alone && self.sender.is_closed() {
            return Err(SendError::Closed);
        }
        let (copies, total_rows) = (self.copies.clone(), batch.rows());
        let (delta, mut errors, copied) = blocking(move || {
            let (delta, errors) = cast_to_delta(&batch)?;
            let copied = copies.map(|copies| copies.lock().unwrap_or_else(PoisonError::into_inner).write(&delta));
            Ok((delta, errors, copied))
        })
        .await?;
        match copied {
            // They are all that is made of the rows.
            Some(copied) if alone => {
                let own = kept(total_rows, &errors);
                errors.extend(copied?.into_iter().map(|error| RowError { row: own[error.row], ..error }));
            }
            Some(copied) => {
                let error = copied.err().map(|error| error.to_string());
                *self.copies_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
            }
            None => {}
        }
        Ok(Prepared { delta, errors, room })
    }

    /// Resolves when nothing is on its way any more, and the spool is empty. Fails when it is closed before that.
    pub async fn flush(&self) -> Result<(), SendError> {
        loop {
            let changed = self.sender.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let spooled = self.outbox.as_ref().map_or(0, |outbox| outbox.stats().records);
            if self.sender.open.load(Ordering::Relaxed) == 0 && spooled == 0 {
                return Ok(());
            }
            if self.closed.load(Ordering::Relaxed) {
                return Err(SendError::Closed);
            }
            changed.await;
        }
    }

    /// Takes nothing more; what is on its way has so long to arrive. What is in the spool stays there.
    pub async fn close(&self, patience: Duration) {
        if let Some(outbox) = &self.outbox {
            outbox.stop();
        }
        let [mut drain, mut lane] = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let end = Instant::now() + patience;
        ends(&mut drain, end).await;
        self.sender.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        ends(&mut lane, end).await;
        // Who waits for rows is told which of them arrived, and the spool writes it down.
        let halt = self.halt.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = halt.map(|halt| halt.send(()));
        let end = end.max(Instant::now()) + LAST_WORDS;
        for task in [&mut lane, &mut drain] {
            ends(task, end).await;
            if let Some(task) = task.take() {
                task.abort();
                let _ = task.await;
            }
        }
        if let Some(outbox) = self.outbox.clone() {
            let _ = spawn_blocking(move || outbox.close()).await;
        }
        if let Some(copies) = self.copies.clone() {
            let _ = spawn_blocking(move || copies.lock().unwrap_or_else(PoisonError::into_inner).close()).await;
        }
        self.closed.store(true, Ordering::Relaxed);
        self.sender.changed.notify_waiters();
    }

    /// How it stands.
    pub fn stats(&self) -> Stats {
        let counters = &self.sender.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let free = self.sender.room.available_permits() as u64;
        let spool = self.outbox.as_ref().map(|outbox| outbox.stats()).unwrap_or_default();
        let rows_aside = self.outbox.as_ref().map_or(0, |outbox| outbox.rows_aside());
        let unreadable = self.outbox.as_ref().map_or(0, |outbox| outbox.unreadable());
        Stats {
            batches: read(&self.batches),
            rows: read(&counters.rows),
            rows_failed: read(&self.failed) + rows_aside,
            rows_aside,
            bytes: read(&counters.bytes),
            retries: read(&counters.retries),
            streams: read(&counters.streams),
            in_flight_bytes: u64::from(self.sender.units).saturating_sub(free) * UNIT,
            spooled: spool.records,
            spool_bytes: spool.bytes,
            spool_oldest_ms: spool.oldest_ms,
            spool_lost: spool.dropped + spool.damaged + unreadable,
            copies_error: self.copies_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            last_error: self.sender.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// Waits so long for the end of a task; what is left of it has not ended.
async fn ends(task: &mut Option<JoinHandle<()>>, end: Instant) {
    if let Some(running) = task
        && timeout(end.saturating_duration_since(Instant::now()), running).await.is_ok()
    {
        *task = None;
    }
}

/// Where it may take its time.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, SendError> + Send + 'static,
) -> Result<T, SendError> {
    spawn_blocking(call).await.unwrap_or_else(|panic| Err(SendError::Internal(panic.to_string())))
}

/// What a stream for this schema is opened with, without sending a row: each step fails with its own error.
pub async fn try_to_open(config: ZerobusConfig, schema: &arrow_schema::SchemaRef) -> Result<(), SendError> {
    config.validate()?;
    let shape = Shape::of(config.delivery, &delta_schema(schema)?)?;
    let access = wire::client(&config)?;
    let mut open = wire::Wire::open(&access, &config, &shape).await.map_err(|error| SendError::of(&error, &config))?;
    open.end().await.map(drop).map_err(|error| SendError::of(&error, &config))
}
