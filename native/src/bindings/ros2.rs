//! `ros2` for Node.js. Messages cross as raw CDR; a subscription tells that some wait, and JavaScript
//! takes as many at a time as it likes.

use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{BigInt, Buffer, spawn_blocking};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use super::coded::Coded;
use super::sync::{SyncStats, SyncStatus};
use crate::error::{EngineError, ErrorCode};
use crate::options::from_json;
use crate::ros2::{
    Client, Context, EndpointOptions, Left, Options, Publisher, Queue, Refused, Reply, Request, RequestId, Sample,
    Server, ServiceOptions, Subscription, SyncOptions, Synchronized,
};

/// Called without arguments, on the JavaScript thread.
type Wake = ThreadsafeFunction<(), (), (), napi::Status, false>;

/// A received message.
#[napi(object)]
pub struct Ros2Sample {
    /// With its four-byte header.
    pub cdr: Buffer,
    pub received_ns: BigInt,
    pub source_ns: BigInt,
    /// The publisher's id, 16 bytes; zeros when it is not known any more.
    pub publisher: Buffer,
    /// The publisher's number of it, from 1 on; absent for what did not come over the network.
    pub sequence: Option<i64>,
}

impl From<Sample> for Ros2Sample {
    fn from(sample: Sample) -> Self {
        Ros2Sample {
            cdr: sample.cdr.into(),
            received_ns: sample.received_ns.into(),
            source_ns: sample.source_ns.into(),
            publisher: sample.publisher.to_vec().into(),
            sequence: sample.sequence,
        }
    }
}

/// What a call took, and whether more wait.
#[napi(object)]
pub struct Ros2Taken {
    pub samples: Vec<Ros2Sample>,
    pub more: bool,
}

/// How many messages came, and how many of them gave way to newer ones.
#[napi(object)]
pub struct Ros2Counts {
    pub received: i64,
    pub dropped: i64,
}

/// Those at the other end of a topic whose quality does not fit: how many since the beginning, and what the last one lacked.
#[napi(object)]
pub struct Ros2Refused {
    pub count: u32,
    pub policy: Option<String>,
}

impl From<Refused> for Ros2Refused {
    fn from(refused: Refused) -> Self {
        Ros2Refused { count: refused.count, policy: refused.policy.map(str::to_owned) }
    }
}

/// A group, by topic; null for an optional topic without a message.
#[napi(object)]
pub struct Ros2Group {
    pub samples: Vec<Option<Ros2Sample>>,
    /// The stamps of the samples; null where there is none.
    pub stamps: Vec<Option<BigInt>>,
}

/// What a call took, and whether more wait.
#[napi(object)]
pub struct Ros2Groups {
    pub groups: Vec<Ros2Group>,
    pub more: bool,
}

/// The answer to a call.
#[napi(object)]
pub struct Ros2Reply {
    /// The number that the call gave back.
    pub call: i64,
    /// With its four-byte header.
    pub cdr: Buffer,
}

/// What a call took, and whether more wait.
#[napi(object)]
pub struct Ros2Replies {
    pub replies: Vec<Ros2Reply>,
    pub more: bool,
}

/// What a client asks for.
#[napi(object)]
pub struct Ros2Request {
    /// For the reply.
    pub id: Buffer,
    /// With its four-byte header.
    pub cdr: Buffer,
    pub received_ns: BigInt,
}

/// What a call took, and whether more wait.
#[napi(object)]
pub struct Ros2Requests {
    pub requests: Vec<Ros2Request>,
    pub more: bool,
}

/// Calls one service.
#[napi]
pub struct Ros2Client {
    client: Mutex<Option<Client>>,
    queue: Arc<Queue<Reply>>,
}

/// Offers one service.
#[napi]
pub struct Ros2Server {
    server: Mutex<Option<Server>>,
    queue: Arc<Queue<Request>>,
}

/// Hears several topics and gives what belongs together.
#[napi]
pub struct Ros2Synchronizer {
    synchronized: Mutex<Option<Synchronized>>,
}

/// A ROS node in a domain.
#[napi]
pub struct Ros2Context {
    context: Mutex<Option<Context>>,
}

/// Publishes on one topic.
#[napi]
pub struct Ros2Publisher {
    publisher: Mutex<Option<Publisher>>,
}

/// Hears one topic.
#[napi]
pub struct Ros2Subscription {
    subscription: Mutex<Option<Subscription>>,
    queue: Arc<Queue>,
}

fn closed(what: &str) -> EngineError {
    EngineError { code: ErrorCode::Closed, message: format!("the {what} is closed; open it again") }
}

fn with<T, R, E: Into<EngineError>>(
    slot: &Mutex<Option<T>>,
    what: &str,
    call: impl FnOnce(&T) -> Result<R, E>,
) -> Coded<R> {
    let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    Coded(slot.as_ref().ok_or_else(|| closed(what)).and_then(|it| call(it).map_err(Into::into)))
}

/// Takes it out, and ends it where it may take its time.
async fn end<T: Send + 'static>(slot: &Mutex<Option<T>>) {
    let taken = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let _ = spawn_blocking(move || drop(taken)).await;
}

#[napi]
impl Ros2Context {
    /// `options` is JSON. `on_change` is called when the graph changes, and when an own endpoint found another
    /// one, lost one, or was refused by one.
    #[napi]
    pub async fn open(options: String, on_change: Wake) -> Coded<Ros2Context> {
        let changed = Arc::new(on_change);
        let changed = move || {
            changed.call((), ThreadsafeFunctionCallMode::NonBlocking);
        };
        let opened = spawn_blocking(move || {
            let options: Options = from_json(&options)?;
            Ok::<_, EngineError>(Context::open(&options, |name| std::env::var(name).ok(), changed)?)
        });
        let context = opened.await.unwrap_or_else(|panic| Err(EngineError::internal(&panic)));
        Coded(context.map(|context| Ros2Context { context: Mutex::new(Some(context)) }))
    }

    #[napi(catch_unwind)]
    pub fn publish(&self, endpoint: String) -> Coded<Ros2Publisher> {
        with(&self.context, "context", |context| {
            let wanted: EndpointOptions = from_json(&endpoint)?;
            let publisher = context.publish(&wanted.topic, &wanted.type_name, &wanted.qos)?;
            Ok::<_, EngineError>(Ros2Publisher { publisher: Mutex::new(Some(publisher)) })
        })
    }

    /// `on_ready` is called when messages wait where none did.
    #[napi(catch_unwind)]
    pub fn subscribe(&self, endpoint: String, on_ready: Wake) -> Coded<Ros2Subscription> {
        with(&self.context, "context", |context| {
            let wanted: EndpointOptions = from_json(&endpoint)?;
            let queue = Arc::new(Queue::new(wanted.max_samples, wanted.max_bytes));
            let filled = queue.clone();
            let subscription = context.subscribe(&wanted.topic, &wanted.type_name, &wanted.qos, move |sample| {
                if filled.push(sample) {
                    on_ready.call((), ThreadsafeFunctionCallMode::NonBlocking);
                }
            })?;
            Ok::<_, EngineError>(Ros2Subscription { subscription: Mutex::new(Some(subscription)), queue })
        })
    }

    /// `on_ready` is called when groups wait where none did. `options` is JSON.
    #[napi(catch_unwind)]
    pub fn synchronize(&self, options: String, on_ready: Wake) -> Coded<Ros2Synchronizer> {
        with(&self.context, "context", |context| {
            let options: SyncOptions = from_json(&options)?;
            let synchronized = Synchronized::start(context, &options, move || {
                on_ready.call((), ThreadsafeFunctionCallMode::NonBlocking);
            })?;
            Ok::<_, EngineError>(Ros2Synchronizer { synchronized: Mutex::new(Some(synchronized)) })
        })
    }

    /// `on_ready` is called when replies wait where none did.
    #[napi(catch_unwind)]
    pub fn client(&self, service: String, on_ready: Wake) -> Coded<Ros2Client> {
        with(&self.context, "context", |context| {
            let wanted: ServiceOptions = from_json(&service)?;
            let queue = Arc::new(Queue::new(wanted.max_samples, wanted.max_bytes));
            let filled = queue.clone();
            let client = Client::open(context, &wanted.service, &wanted.type_name, move |reply| {
                if filled.push(reply) {
                    on_ready.call((), ThreadsafeFunctionCallMode::NonBlocking);
                }
            })?;
            Ok::<_, EngineError>(Ros2Client { client: Mutex::new(Some(client)), queue })
        })
    }

    /// `on_ready` is called when requests wait where none did.
    #[napi(catch_unwind)]
    pub fn serve(&self, service: String, on_ready: Wake) -> Coded<Ros2Server> {
        with(&self.context, "context", |context| {
            let wanted: ServiceOptions = from_json(&service)?;
            let queue = Arc::new(Queue::new(wanted.max_samples, wanted.max_bytes));
            let filled = queue.clone();
            let server = Server::open(context, &wanted.service, &wanted.type_name, move |request| {
                if filled.push(request) {
                    on_ready.call((), ThreadsafeFunctionCallMode::NonBlocking);
                }
            })?;
            Ok::<_, EngineError>(Ros2Server { server: Mutex::new(Some(server)), queue })
        })
    }

    /// What is in the domain, as JSON.
    #[napi(catch_unwind)]
    pub fn graph(&self) -> Coded<String> {
        with(&self.context, "context", |context| {
            let graph = context.graph()?;
            serde_json::to_string(&graph).map_err(|error| EngineError::internal(&error))
        })
    }

    #[napi]
    pub async fn close(&self) {
        end(&self.context).await;
    }
}

#[napi]
impl Ros2Publisher {
    #[napi(catch_unwind)]
    pub fn send(&self, cdr: &[u8]) -> Coded<()> {
        with(&self.publisher, "publisher", |publisher| publisher.send(cdr))
    }

    /// How many subscriptions hear it.
    #[napi(catch_unwind)]
    pub fn matched(&self) -> Coded<u32> {
        with(&self.publisher, "publisher", Publisher::matched)
    }

    /// The subscriptions that want more than is offered.
    #[napi(catch_unwind)]
    pub fn refused(&self) -> Coded<Ros2Refused> {
        with(&self.publisher, "publisher", |publisher| publisher.refused().map(Into::into))
    }

    #[napi]
    pub async fn close(&self) {
        end(&self.publisher).await;
    }
}

#[napi]
impl Ros2Subscription {
    /// At most `limit` messages, the oldest first.
    #[napi(catch_unwind)]
    pub fn take(&self, limit: u32) -> Ros2Taken {
        let (samples, more) = self.queue.take(limit as usize);
        Ros2Taken { samples: samples.into_iter().map(Ros2Sample::from).collect(), more }
    }

    #[napi(catch_unwind)]
    pub fn counts(&self) -> Ros2Counts {
        let (received, dropped) = self.queue.counts();
        Ros2Counts { received: received as i64, dropped: dropped as i64 }
    }

    /// The publishers that offer less than is wanted.
    #[napi(catch_unwind)]
    pub fn refused(&self) -> Coded<Ros2Refused> {
        with(&self.subscription, "subscription", |subscription| subscription.refused().map(Into::into))
    }

    #[napi]
    pub async fn close(&self) {
        end(&self.subscription).await;
    }
}

#[napi]
impl Ros2Synchronizer {
    /// At most `limit` groups, the oldest first.
    #[napi(catch_unwind)]
    pub fn take(&self, limit: u32) -> Coded<Ros2Groups> {
        with(&self.synchronized, "synchronizer", |synchronized| {
            let (taken, more) = synchronized.take(limit as usize);
            let groups = taken.into_iter().map(|group| {
                let split =
                    |message: Option<(i64, Sample)>| message.map(|(stamp, sample)| (stamp.into(), sample.into()));
                let (stamps, samples) = group.messages.into_iter().map(|it| split(it).unzip()).unzip();
                Ros2Group { samples, stamps }
            });
            Ok::<_, EngineError>(Ros2Groups { groups: groups.collect(), more })
        })
    }

    /// Milliseconds until `take` is worth a call without being called for; null: never.
    #[napi(catch_unwind)]
    pub fn due_in_ms(&self) -> Coded<Option<f64>> {
        with(&self.synchronized, "synchronizer", |it| Ok::<_, EngineError>(it.due_in_ms()))
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> Coded<SyncStats> {
        with(&self.synchronized, "synchronizer", |it| Ok::<_, EngineError>(it.stats().0.into()))
    }

    /// Groups that nobody took in time.
    #[napi(catch_unwind)]
    pub fn lost(&self) -> Coded<i64> {
        with(&self.synchronized, "synchronizer", |it| Ok::<_, EngineError>(it.stats().1 as i64))
    }

    /// By topic, what left without a group: by reason, in the sync protocol's order, and last what had no stamp.
    #[napi(catch_unwind)]
    pub fn left(&self) -> Coded<Vec<Vec<i64>>> {
        let counts = |left: &Left| left.dropped.iter().chain([&left.unstamped]).map(|&count| count as i64).collect();
        with(&self.synchronized, "synchronizer", |it| Ok::<_, EngineError>(it.left().iter().map(counts).collect()))
    }

    /// Indices of the topics that a new stall waits for; null when there is none.
    #[napi(catch_unwind)]
    pub fn stall(&self) -> Coded<Option<Vec<u32>>> {
        with(&self.synchronized, "synchronizer", |it| Ok::<_, EngineError>(it.stall()))
    }

    #[napi(catch_unwind)]
    pub fn status(&self) -> Coded<SyncStatus> {
        with(&self.synchronized, "synchronizer", |it| Ok::<_, EngineError>(it.status().into()))
    }

    #[napi]
    pub async fn close(&self) {
        end(&self.synchronized).await;
    }
}

#[napi]
impl Ros2Client {
    /// Gives back the call's number, which its reply has, too.
    #[napi(catch_unwind)]
    pub fn call(&self, cdr: &[u8]) -> Coded<i64> {
        with(&self.client, "client", |client| client.call(cdr))
    }

    /// How many servers are there to answer.
    #[napi(catch_unwind)]
    pub fn servers(&self) -> Coded<u32> {
        with(&self.client, "client", Client::servers)
    }

    /// At most `limit` replies, the oldest first.
    #[napi(catch_unwind)]
    pub fn take(&self, limit: u32) -> Ros2Replies {
        let (replies, more) = self.queue.take(limit as usize);
        let replies = replies.into_iter().map(|it| Ros2Reply { call: it.call, cdr: it.cdr.into() }).collect();
        Ros2Replies { replies, more }
    }

    #[napi]
    pub async fn close(&self) {
        end(&self.client).await;
    }
}

#[napi]
impl Ros2Server {
    /// At most `limit` requests, the oldest first.
    #[napi(catch_unwind)]
    pub fn take(&self, limit: u32) -> Ros2Requests {
        let (requests, more) = self.queue.take(limit as usize);
        let requests = requests.into_iter().map(|it| Ros2Request {
            id: it.id.to_bytes().into(),
            cdr: it.cdr.into(),
            received_ns: it.received_ns.into(),
        });
        Ros2Requests { requests: requests.collect(), more }
    }

    /// False when the client cannot hear it: it is not there yet, or not any more.
    #[napi(catch_unwind)]
    pub fn reply(&self, id: &[u8], cdr: &[u8]) -> Coded<bool> {
        with(&self.server, "server", |server| server.reply(&RequestId::from_bytes(id)?, cdr))
    }

    /// How many clients are there that cannot be answered on this platform.
    #[napi(catch_unwind)]
    pub fn deaf(&self) -> Coded<u32> {
        with(&self.server, "server", Server::deaf)
    }

    #[napi(catch_unwind)]
    pub fn counts(&self) -> Ros2Counts {
        let (received, dropped) = self.queue.counts();
        Ros2Counts { received: received as i64, dropped: dropped as i64 }
    }

    #[napi]
    pub async fn close(&self) {
        end(&self.server).await;
    }
}
