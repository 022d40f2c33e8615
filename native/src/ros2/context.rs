//! A participant in a domain, which is one ROS node, and its publishers and subscriptions.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use super::config::{Options, Setting};
use super::dds::{self, Endpoints, Entity, Frame, OnMatch, Participant, Reader, Watcher, Writer};
use super::discovery::{self, NodeInfo, ParticipantInfo};
use super::graph::Graph;
use super::names::{Kind, absolute, to_dds_topic, to_dds_type};
use super::{Durability, Gid, Qos, Refused, Reliability, Ros2Error, Sample};

/// A domain exists once a process, however many contexts are in it.
struct Domain {
    config: String,
    entity: Arc<Entity>,
}

static DOMAINS: LazyLock<Mutex<HashMap<u32, Weak<Domain>>>> = LazyLock::new(Mutex::default);

impl Domain {
    fn open(setting: &Setting) -> Result<Arc<Self>, Ros2Error> {
        let mut domains = lock(&DOMAINS);
        if let Some(domain) = domains.get(&setting.domain).and_then(Weak::upgrade) {
            let same = domain.config == setting.config;
            return if same { Ok(domain) } else { Err(Ros2Error::Settings(setting.domain)) };
        }
        let entity = Arc::new(dds::domain(setting.domain, &setting.config)?);
        let domain = Arc::new(Domain { config: setting.config.clone(), entity });
        domains.insert(setting.domain, Arc::downgrade(&domain));
        Ok(domain)
    }
}

/// Fields drop in order: what is inside a participant before it, and it before its domain.
struct Shared {
    own: Mutex<ParticipantInfo>,
    announcer: Writer,
    _others: Reader,
    publications: Watcher,
    subscriptions: Watcher,
    known: Arc<Mutex<HashMap<Gid, ParticipantInfo>>>,
    on_change: OnMatch,
    namespace: String,
    participant: Participant,
    _domain: Arc<Domain>,
}

/// A ROS node in a domain. Cheap to clone; it is gone with the last clone, publisher and subscription.
#[derive(Clone)]
pub struct Context(Arc<Shared>);

impl Context {
    /// Joins a domain. `env` looks up environment variables. `on_change` is called when the graph changes, and
    /// when an own endpoint found another one, lost one, or was refused by one.
    pub fn open(
        options: &Options,
        env: impl Fn(&str) -> Option<String>,
        on_change: impl Fn() + Send + Sync + Clone + 'static,
    ) -> Result<Self, Ros2Error> {
        let setting = options.setting(env)?;
        let domain = Domain::open(&setting)?;
        // ROS 2 counts only participants that name their enclave.
        let user_data = dds::participant_qos(b"enclave=/;");
        let participant = Participant::new(&domain.entity, setting.domain, &user_data)?;
        let topic = dds::topic(&participant, discovery::TOPIC, discovery::TYPE)?;
        let said = Qos { reliability: Reliability::Reliable, durability: Durability::TransientLocal, ..Qos::default() };
        let known: Arc<Mutex<HashMap<Gid, ParticipantInfo>>> = Arc::default();
        let (hear, changed) = (known.clone(), on_change.clone());
        let hear = move |frame: Frame, _| {
            if let Some(info) = frame.sample().and_then(|sample| discovery::decode(&sample.cdr)) {
                lock(&hear).insert(info.gid, info);
                changed();
            }
        };
        let gid = participant.gid()?;
        let node = NodeInfo { namespace: options.namespace.clone(), name: options.name.clone(), ..NodeInfo::default() };
        let context = Context(Arc::new(Shared {
            own: Mutex::new(ParticipantInfo { gid, nodes: vec![node] }),
            announcer: Writer::new(&participant, &topic, &said.to_dds(), Arc::new(|| {}))?,
            _others: Reader::new(&participant, &topic, &said.to_dds(), Arc::new(|| {}), Box::new(hear))?,
            publications: Watcher::new(&participant, Endpoints::Publications, Box::new(on_change.clone()))?,
            subscriptions: Watcher::new(&participant, Endpoints::Subscriptions, Box::new(on_change.clone()))?,
            known,
            on_change: Arc::new(on_change),
            namespace: options.namespace.clone(),
            participant,
            _domain: domain,
        }));
        context.announce(|_| {})?;
        Ok(context)
    }

    /// Offers messages on a topic.
    pub fn publish(&self, topic: &str, type_name: &str, qos: &Qos) -> Result<Publisher, Ros2Error> {
        let topic = self.topic(topic, type_name)?;
        let writer = Writer::new(&self.0.participant, &topic, &qos.to_dds(), self.on_match())?;
        let gid = writer.gid()?;
        self.announce(|node| node.writers.push(gid))?;
        Ok(Publisher { context: self.clone(), gid, writer })
    }

    /// Hears a topic: `on_sample` gets each message on a thread of the DDS.
    pub fn subscribe(
        &self,
        topic: &str,
        type_name: &str,
        qos: &Qos,
        on_sample: impl Fn(Sample) + Send + Sync + 'static,
    ) -> Result<Subscription, Ros2Error> {
        self.subscribe_frames(topic, type_name, qos, move |frame| {
            if let Some(sample) = frame.sample() {
                on_sample(sample);
            }
        })
    }

    /// The same before any copy.
    pub(super) fn subscribe_frames(
        &self,
        topic: &str,
        type_name: &str,
        qos: &Qos,
        on_frame: impl Fn(Frame) + Send + Sync + 'static,
    ) -> Result<Subscription, Ros2Error> {
        let topic = self.topic(topic, type_name)?;
        let hear = move |frame, _| on_frame(frame);
        let reader = Reader::new(&self.0.participant, &topic, &qos.to_dds(), self.on_match(), Box::new(hear))?;
        let gid = reader.gid()?;
        self.announce(|node| node.readers.push(gid))?;
        Ok(Subscription { context: self.clone(), gid, reader })
    }

    /// What is in the domain now.
    pub fn graph(&self) -> Result<Graph, Ros2Error> {
        let publishers = self.0.publications.endpoints()?;
        let subscriptions = self.0.subscriptions.endpoints()?;
        let mut known = lock(&self.0.known);
        known.retain(|gid, _| publishers.iter().any(|endpoint| endpoint.participant == *gid));
        let known: Vec<ParticipantInfo> = known.values().cloned().collect();
        Ok(Graph::new(publishers, subscriptions, &known, lock(&self.0.own).gid))
    }

    fn topic(&self, name: &str, type_name: &str) -> Result<Entity, Ros2Error> {
        let name = absolute(name, &self.0.namespace)?;
        let type_name = to_dds_type(type_name, "msg")?;
        dds::topic(&self.0.participant, &to_dds_topic(&name, Kind::Topic), &type_name)
    }

    /// Both topics of a service, requests first, and its absolute name.
    pub(super) fn service_topics(&self, name: &str, type_name: &str) -> Result<(Entity, Entity, String), Ros2Error> {
        let name = absolute(name, &self.0.namespace)?;
        let topic = |kind, suffix| {
            let type_name = to_dds_type(&format!("{type_name}_{suffix}"), "srv")?;
            dds::topic(&self.0.participant, &to_dds_topic(&name, kind), &type_name)
        };
        Ok((topic(Kind::Request, "Request")?, topic(Kind::Reply, "Response")?, name))
    }

    pub(super) fn participant(&self) -> &Participant {
        &self.0.participant
    }

    pub(super) fn on_match(&self) -> OnMatch {
        self.0.on_change.clone()
    }

    pub(super) fn announce(&self, change: impl FnOnce(&mut NodeInfo)) -> Result<(), Ros2Error> {
        let mut own = lock(&self.0.own);
        if let [node] = &mut own.nodes[..] {
            change(node);
        }
        self.0.announcer.write(&discovery::encode(&own))
    }
}

/// Publishes on one topic until it is dropped.
pub struct Publisher {
    writer: Writer,
    gid: Gid,
    context: Context,
}

impl Publisher {
    /// `cdr` begins with its four-byte header. Never waits: fails with [`Ros2Error::Full`] where all is kept
    /// and subscriptions do not keep up.
    pub fn send(&self, cdr: &[u8]) -> Result<(), Ros2Error> {
        if cdr.len() < 4 {
            return Err(Ros2Error::Cdr(cdr.len()));
        }
        self.writer.write(cdr)
    }

    /// How many subscriptions hear it.
    pub fn matched(&self) -> Result<u32, Ros2Error> {
        self.writer.matched()
    }

    /// The subscriptions that want more than is offered.
    pub fn refused(&self) -> Result<Refused, Ros2Error> {
        self.writer.refused()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Others also see that the endpoint is gone.
        let _ = self.context.announce(|node| node.writers.retain(|gid| *gid != self.gid));
    }
}

/// Hears one topic until it is dropped.
pub struct Subscription {
    reader: Reader,
    gid: Gid,
    context: Context,
}

impl Subscription {
    /// The publishers that offer less than is wanted.
    pub fn refused(&self) -> Result<Refused, Ros2Error> {
        self.reader.refused()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.context.announce(|node| node.readers.retain(|gid| *gid != self.gid));
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in these is left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
