//! Cyclone DDS's C interface, made safe: this file and `sertype` are the only ones of this engine with `unsafe`.
//!
//! An [`Entity`] deletes itself. Deleting a reader waits for its listener's running call, so what the
//! listener points to is freed after it. Listeners run on Cyclone's own threads, and no panic leaves them.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cyclors::qos::Qos;
use cyclors::*;

use super::identity::{Identity, Origin};
use super::log::{Gate, Verdict};
use super::{Gid, Refused, Ros2Error, Sample, sertype};

/// A domain, participant, topic, reader or writer.
#[derive(Debug)]
pub(super) struct Entity(dds_entity_t);

impl Drop for Entity {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and handles are checked by Cyclone.
        unsafe { dds_delete(self.0) };
    }
}

impl Entity {
    fn new(call: &'static str, handle: dds_entity_t) -> Result<Self, Ros2Error> {
        check(call, handle).map(Entity)
    }

    pub fn gid(&self) -> Result<Gid, Ros2Error> {
        let mut guid = dds_guid_t { v: [0; 16] };
        // SAFETY: `guid` outlives the call.
        check("dds_get_guid", unsafe { dds_get_guid(self.0, &mut guid) })?;
        Ok(guid.v)
    }
}

fn check(call: &'static str, code: i32) -> Result<i32, Ros2Error> {
    if code >= 0 {
        return Ok(code);
    }
    // SAFETY: returns a static text for every number.
    let text = unsafe { CStr::from_ptr(dds_strretcode(code)) };
    Err(Ros2Error::Dds { call, reason: text.to_string_lossy().into_owned() })
}

fn c_string(text: &str) -> Result<CString, Ros2Error> {
    CString::new(text).map_err(|_| Ros2Error::Name(text.to_owned()))
}

/// A quality of service in Cyclone's form.
struct NativeQos(*mut dds_qos_t);

impl NativeQos {
    fn new(qos: &Qos) -> Self {
        // SAFETY: makes a new one.
        NativeQos(unsafe { qos.to_qos_native() })
    }
}

impl Drop for NativeQos {
    fn drop(&mut self) {
        // SAFETY: made by `new`, deleted once.
        unsafe { Qos::delete_qos_native(self.0) };
    }
}

static LOG: Mutex<Option<Gate>> = Mutex::new(None);

/// From now on Cyclone's errors and warnings go through a gate to standard error.
fn gate_log() {
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    if log.is_none() {
        *log = Some(Gate::default());
        // SAFETY: the function is there for ever, and takes nothing along.
        unsafe { dds_set_log_sink(Some(on_log), ptr::null_mut()) };
    }
}

unsafe extern "C" fn on_log(_: *mut c_void, data: *const dds_log_data_t) {
    let _ = catch_unwind(|| {
        let verdict =
            LOG.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(|gate| gate.judge(Instant::now()));
        let Some(Verdict::Say { held_back }) = verdict else { return };
        // SAFETY: Cyclone gives a text that lives as long as the call.
        let text = unsafe { CStr::from_ptr((*data).message) }.to_string_lossy();
        let before = if held_back > 0 { format!("dds: {held_back} lines were left out\n") } else { String::new() };
        // In one piece, so that lines of several processes do not mix.
        let _ = std::io::stderr().write_all(format!("{before}dds: {}\n", text.trim_end()).as_bytes());
    });
}

pub(super) fn domain(id: u32, config: &str) -> Result<Entity, Ros2Error> {
    gate_log();
    let config = c_string(config)?;
    // SAFETY: Cyclone copies the text.
    Entity::new("dds_create_domain", unsafe { dds_create_domain(id, config.as_ptr()) })
}

pub(super) struct Participant {
    entity: Entity,
    domain: Arc<Entity>,
}

impl Participant {
    /// `id` is that of `domain`.
    pub fn new(domain: &Arc<Entity>, id: u32, qos: &Qos) -> Result<Self, Ros2Error> {
        let qos = NativeQos::new(qos);
        // SAFETY: Cyclone copies the quality.
        let handle = unsafe { dds_create_participant(id, qos.0, ptr::null()) };
        Ok(Participant { entity: Entity::new("dds_create_participant", handle)?, domain: domain.clone() })
    }

    pub fn gid(&self) -> Result<Gid, Ros2Error> {
        self.entity.gid()
    }
}

/// The quality of a participant that says `user_data` of itself.
pub(super) fn participant_qos(user_data: &[u8]) -> Qos {
    Qos { user_data: Some(user_data.to_vec()), ..super::qos::empty() }
}

pub(super) fn topic(participant: &Participant, name: &str, type_name: &str) -> Result<Entity, Ros2Error> {
    let (name, type_name) = (c_string(name)?, c_string(type_name)?);
    // SAFETY: two C texts.
    let handle = unsafe { sertype::create_topic(participant.entity.0, name.as_ptr(), type_name.as_ptr()) };
    Entity::new("dds_create_topic", handle)
}

/// A received message, which nobody has copied yet.
pub(super) struct Frame {
    data: Data,
    received_ns: i64,
    source_ns: i64,
    publisher: Gid,
    sequence: Option<i64>,
    /// Ends after what lies in its memory.
    _domain: Arc<Entity>,
}

enum Data {
    Received(sertype::Reference),
    Copied(Vec<u8>),
}

impl Frame {
    /// None where there is no memory for it.
    pub fn sample(self) -> Option<Sample> {
        let cdr = match self.data {
            Data::Received(reference) => reference.bytes()?,
            Data::Copied(cdr) => cdr,
        };
        let Frame { received_ns, source_ns, publisher, sequence, .. } = self;
        Some(Sample { cdr, received_ns, source_ns, publisher, sequence })
    }

    /// For who keeps it: it takes not much more memory than its size, if need be as a copy.
    pub fn settle(&mut self) -> Option<()> {
        if let Data::Received(reference) = &self.data
            && reference.keeps() > reference.size().saturating_mul(2)
        {
            self.data = Data::Copied(reference.bytes()?);
        }
        Some(())
    }

    /// What `look` finds in the first bytes, or else in all of them.
    pub fn find<T>(&mut self, look: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        match &self.data {
            Data::Copied(cdr) => return look(cdr),
            Data::Received(reference) => {
                let beginning = reference.beginning();
                let found = look(beginning);
                if found.is_some() || beginning.len() == reference.size() {
                    return found;
                }
                self.data = Data::Copied(reference.bytes()?);
            }
        }
        self.find(look)
    }

    pub fn received_ns(&self) -> i64 {
        self.received_ns
    }
}

type OnFrame = Box<dyn Fn(Frame, Origin) + Send + Sync>;

/// Called when an endpoint found another one, lost one, or was refused by one. On a thread of the DDS.
pub(super) type OnMatch = Arc<dyn Fn() + Send + Sync>;

struct Listening {
    on_frame: OnFrame,
    on_match: OnMatch,
    domain: Arc<Entity>,
    /// Asking Cyclone for a publisher's id costs more than a sample.
    publishers: Mutex<HashMap<dds_instance_handle_t, Gid>>,
}

/// A reader whose samples go to its listener.
pub(super) struct Reader {
    entity: Entity,
    /// Freed after the entity is deleted: fields drop in order.
    _listening: Box<Listening>,
}

impl Reader {
    pub fn new(
        participant: &Participant,
        topic: &Entity,
        qos: &Qos,
        on_match: OnMatch,
        on_frame: OnFrame,
    ) -> Result<Self, Ros2Error> {
        let domain = participant.domain.clone();
        let listening = Box::new(Listening { on_frame, on_match, domain, publishers: Mutex::default() });
        let qos = NativeQos::new(qos);
        // SAFETY: `listening` lives until the reader is deleted; Cyclone copies quality and listener.
        let handle = unsafe {
            let listener = dds_create_listener(ptr::from_ref(&*listening).cast_mut().cast());
            dds_lset_data_available(listener, Some(on_data));
            dds_lset_subscription_matched(listener, Some(on_subscription_matched));
            dds_lset_requested_incompatible_qos(listener, Some(on_requested_incompatible));
            let handle = dds_create_reader(participant.entity.0, topic.0, qos.0, listener);
            dds_delete_listener(listener);
            handle
        };
        Ok(Reader { entity: Entity::new("dds_create_reader", handle)?, _listening: listening })
    }

    pub fn gid(&self) -> Result<Gid, Ros2Error> {
        self.entity.gid()
    }

    /// The writers that it hears.
    pub fn writers(&self) -> Result<Vec<Gid>, Ros2Error> {
        matched(self.entity.0, dds_get_matched_publications, dds_get_matched_publication_data)
    }

    /// How many publishers offered less than is wanted, and what the last one lacked.
    pub fn refused(&self) -> Result<Refused, Ros2Error> {
        // SAFETY: plain numbers, for which zero is valid.
        let mut status: dds_requested_incompatible_qos_status_t = unsafe { std::mem::zeroed() };
        // SAFETY: `status` outlives the call.
        let code = unsafe { dds_get_requested_incompatible_qos_status(self.entity.0, &mut status) };
        check("dds_get_requested_incompatible_qos_status", code)?;
        Ok(Refused { count: status.total_count, policy: policy(status.last_policy_id) })
    }
}

/// The ends that match one of ours: `list` gives handles of them, and `look` what is known of one.
fn matched(
    entity: dds_entity_t,
    list: unsafe extern "C" fn(dds_entity_t, *mut dds_instance_handle_t, usize) -> dds_return_t,
    look: unsafe extern "C" fn(dds_entity_t, dds_instance_handle_t) -> *mut dds_builtintopic_endpoint_t,
) -> Result<Vec<Gid>, Ros2Error> {
    const MOST: usize = 1024;
    let mut handles: [dds_instance_handle_t; MOST] = [0; MOST];
    // SAFETY: there is room for what is asked.
    let count = check("dds_get_matched", unsafe { list(entity, handles.as_mut_ptr(), MOST) })?;
    let gid = |&handle: &dds_instance_handle_t| {
        // SAFETY: null for what has gone meanwhile, or a copy that is ours to free.
        unsafe {
            let endpoint = look(entity, handle);
            if endpoint.is_null() {
                return None;
            }
            let gid = (*endpoint).key.v;
            dds_builtintopic_free_endpoint(endpoint);
            Some(gid)
        }
    };
    // The count is of all, of which as many as there is room for are listed.
    Ok(handles.iter().take(count as usize).filter_map(gid).collect())
}

const TAKE: usize = 32;

unsafe extern "C" fn on_data(reader: dds_entity_t, listening: *mut c_void) {
    // SAFETY: see `Reader::new`.
    let listening = unsafe { &*listening.cast::<Listening>() };
    // A panic of the listener must not run into C.
    let _ = catch_unwind(AssertUnwindSafe(|| take(reader, listening)));
}

unsafe extern "C" fn on_subscription_matched(
    _: dds_entity_t,
    _: dds_subscription_matched_status_t,
    listening: *mut c_void,
) {
    // SAFETY: see `Reader::new`.
    tell(unsafe { &(*listening.cast::<Listening>()).on_match });
}

unsafe extern "C" fn on_requested_incompatible(
    _: dds_entity_t,
    _: dds_requested_incompatible_qos_status_t,
    listening: *mut c_void,
) {
    // SAFETY: see `Reader::new`.
    tell(unsafe { &(*listening.cast::<Listening>()).on_match });
}

fn tell(on_match: &OnMatch) {
    let _ = catch_unwind(AssertUnwindSafe(|| on_match()));
}

/// In ROS 2's words, where it has one.
#[allow(non_upper_case_globals)] // as the C header has them
fn policy(id: dds_qos_policy_id_t) -> Option<&'static str> {
    Some(match id {
        dds_qos_policy_id_DDS_DURABILITY_QOS_POLICY_ID => "durability",
        dds_qos_policy_id_DDS_PRESENTATION_QOS_POLICY_ID => "presentation",
        dds_qos_policy_id_DDS_DEADLINE_QOS_POLICY_ID => "deadline",
        dds_qos_policy_id_DDS_LATENCYBUDGET_QOS_POLICY_ID => "latency budget",
        dds_qos_policy_id_DDS_OWNERSHIP_QOS_POLICY_ID => "ownership",
        dds_qos_policy_id_DDS_LIVELINESS_QOS_POLICY_ID => "liveliness",
        dds_qos_policy_id_DDS_PARTITION_QOS_POLICY_ID => "partition",
        dds_qos_policy_id_DDS_RELIABILITY_QOS_POLICY_ID => "reliability",
        dds_qos_policy_id_DDS_DESTINATIONORDER_QOS_POLICY_ID => "destination order",
        dds_qos_policy_id_DDS_TYPE_CONSISTENCY_ENFORCEMENT_QOS_POLICY_ID => "type consistency",
        dds_qos_policy_id_DDS_DATA_REPRESENTATION_QOS_POLICY_ID => "data representation",
        _ => return None,
    })
}

fn take(reader: dds_entity_t, listening: &Listening) {
    loop {
        let mut data: [*mut ddsi_serdata; TAKE] = [ptr::null_mut(); TAKE];
        // SAFETY: plain numbers, for which zero is valid.
        let mut infos: [dds_sample_info_t; TAKE] = unsafe { std::mem::zeroed() };
        // SAFETY: both arrays have room for what is asked.
        let count = unsafe { dds_takecdr(reader, data.as_mut_ptr(), TAKE as u32, infos.as_mut_ptr(), DDS_ANY_STATE) };
        let count = usize::try_from(count).unwrap_or(0);
        let received_ns = now_ns();
        for (&serdata, info) in data.iter().zip(&infos).take(count) {
            // SAFETY: Cyclone gave us this reference to a sample of a topic of ours; the frame has the domain, too.
            let reference = unsafe { sertype::Reference::new(serdata) };
            if info.valid_data {
                let publisher = publisher(reader, info.publication_handle, listening);
                let (source_ns, origin) = (info.source_timestamp, reference.origin());
                let sequence = (origin.number > 0).then_some(origin.number);
                let (data, _domain) = (Data::Received(reference), listening.domain.clone());
                (listening.on_frame)(Frame { data, received_ns, source_ns, publisher, sequence, _domain }, origin);
            }
        }
        if count < TAKE {
            return;
        }
    }
}

fn publisher(reader: dds_entity_t, handle: dds_instance_handle_t, listening: &Listening) -> Gid {
    let mut known = listening.publishers.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&gid) = known.get(&handle) {
        return gid;
    }
    // SAFETY: null, or a copy that is ours to free.
    let gid = unsafe {
        let endpoint = dds_get_matched_publication_data(reader, handle);
        if endpoint.is_null() {
            return [0; 16];
        }
        let gid = (*endpoint).key.v;
        dds_builtintopic_free_endpoint(endpoint);
        gid
    };
    // Publishers come and go; what is forgotten is asked for again.
    if known.len() >= 1024 {
        known.clear();
    }
    known.insert(handle, gid);
    gid
}

/// Publishes serialised samples.
pub(super) struct Writer {
    entity: Entity,
    sertype: *const ddsi_sertype,
    /// Freed after the entity is deleted: fields drop in order.
    _on_match: Box<OnMatch>,
}

// SAFETY: Cyclone's handles and its reference-counted type description are shared between threads.
unsafe impl Send for Writer {}
// SAFETY: as above.
unsafe impl Sync for Writer {}

impl Writer {
    pub fn new(participant: &Participant, topic: &Entity, qos: &Qos, on_match: OnMatch) -> Result<Self, Ros2Error> {
        let on_match = Box::new(on_match);
        let qos = NativeQos::new(qos);
        // SAFETY: as in `Reader::new`.
        let handle = unsafe {
            let listener = dds_create_listener(ptr::from_ref(&*on_match).cast_mut().cast());
            dds_lset_publication_matched(listener, Some(on_publication_matched));
            dds_lset_offered_incompatible_qos(listener, Some(on_offered_incompatible));
            let handle = dds_create_writer(participant.entity.0, topic.0, qos.0, listener);
            dds_delete_listener(listener);
            handle
        };
        let entity = Entity::new("dds_create_writer", handle)?;
        let mut sertype = ptr::null();
        // SAFETY: the type lives as long as the writer.
        check("dds_get_entity_sertype", unsafe { dds_get_entity_sertype(entity.0, &mut sertype) })?;
        Ok(Writer { entity, sertype, _on_match: on_match })
    }

    pub fn gid(&self) -> Result<Gid, Ros2Error> {
        self.entity.gid()
    }

    /// `cdr` begins with its four-byte header.
    pub fn write(&self, cdr: &[u8]) -> Result<(), Ros2Error> {
        self.write_related(cdr, None)
    }

    /// Also says to which message this one belongs, where [`sertype::CAN_RELATE`].
    pub fn write_related(&self, cdr: &[u8], related: Option<Identity>) -> Result<(), Ros2Error> {
        // SAFETY: the type lives as long as the writer; `dds_writecdr` takes the reference over.
        unsafe {
            let serdata = sertype::sample(self.sertype, cdr, related);
            if serdata.is_null() {
                return Err(Ros2Error::Cdr(cdr.len()));
            }
            match dds_writecdr(self.entity.0, serdata) {
                // It never waits for room: `max_blocking_time` is 0.
                DDS_RETCODE_TIMEOUT => Err(Ros2Error::Full(cdr.len())),
                code => check("dds_writecdr", code).map(drop),
            }
        }
    }

    /// The readers that hear it.
    pub fn readers(&self) -> Result<Vec<Gid>, Ros2Error> {
        matched(self.entity.0, dds_get_matched_subscriptions, dds_get_matched_subscription_data)
    }

    /// How many subscriptions are matched.
    pub fn matched(&self) -> Result<u32, Ros2Error> {
        // SAFETY: plain numbers, for which zero is valid.
        let mut status: dds_publication_matched_status_t = unsafe { std::mem::zeroed() };
        // SAFETY: `status` outlives the call.
        let code = unsafe { dds_get_publication_matched_status(self.entity.0, &mut status) };
        check("dds_get_publication_matched_status", code)?;
        Ok(status.current_count)
    }

    /// How many subscriptions want more than is offered, and what the last one lacked.
    pub fn refused(&self) -> Result<Refused, Ros2Error> {
        // SAFETY: plain numbers, for which zero is valid.
        let mut status: dds_offered_incompatible_qos_status_t = unsafe { std::mem::zeroed() };
        // SAFETY: `status` outlives the call.
        let code = unsafe { dds_get_offered_incompatible_qos_status(self.entity.0, &mut status) };
        check("dds_get_offered_incompatible_qos_status", code)?;
        Ok(Refused { count: status.total_count, policy: policy(status.last_policy_id) })
    }
}

unsafe extern "C" fn on_publication_matched(
    _: dds_entity_t,
    _: dds_publication_matched_status_t,
    on_match: *mut c_void,
) {
    // SAFETY: see `Writer::new`.
    tell(unsafe { &*on_match.cast::<OnMatch>() });
}

unsafe extern "C" fn on_offered_incompatible(
    _: dds_entity_t,
    _: dds_offered_incompatible_qos_status_t,
    on_match: *mut c_void,
) {
    // SAFETY: see `Writer::new`.
    tell(unsafe { &*on_match.cast::<OnMatch>() });
}

/// A publisher or subscription somewhere in the domain.
pub(super) struct Discovered {
    pub gid: Gid,
    pub participant: Gid,
    pub topic: String,
    pub type_name: String,
    pub qos: Qos,
}

/// Which of the two kinds of endpoint a [`Watcher`] looks for.
#[derive(Clone, Copy)]
pub(super) enum Endpoints {
    Publications,
    Subscriptions,
}

/// Knows all endpoints of one kind in the domain.
pub(super) struct Watcher {
    entity: Entity,
    _on_change: Box<Box<dyn Fn() + Send + Sync>>,
}

impl Watcher {
    pub fn new(
        participant: &Participant,
        endpoints: Endpoints,
        on_change: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Self, Ros2Error> {
        let topic = match endpoints {
            Endpoints::Publications => DDS_BUILTIN_TOPIC_DCPSPUBLICATION,
            Endpoints::Subscriptions => DDS_BUILTIN_TOPIC_DCPSSUBSCRIPTION,
        };
        let on_change = Box::new(on_change);
        // SAFETY: as in `Reader::new`.
        let handle = unsafe {
            let listener = dds_create_listener(ptr::from_ref(&*on_change).cast_mut().cast());
            dds_lset_data_available(listener, Some(on_endpoints));
            let handle = dds_create_reader(participant.entity.0, topic, ptr::null(), listener);
            dds_delete_listener(listener);
            handle
        };
        Ok(Watcher { entity: Entity::new("dds_create_reader", handle)?, _on_change: on_change })
    }

    pub fn endpoints(&self) -> Result<Vec<Discovered>, Ros2Error> {
        const READ: usize = 4096;
        let mut samples: Vec<*mut c_void> = vec![ptr::null_mut(); READ];
        // SAFETY: plain numbers, for which zero is valid.
        let mut infos: Vec<dds_sample_info_t> = vec![unsafe { std::mem::zeroed() }; READ];
        let alive = DDS_ANY_SAMPLE_STATE | DDS_ANY_VIEW_STATE | DDS_ALIVE_INSTANCE_STATE;
        // SAFETY: both arrays have room; the loan is returned below, after everything is copied.
        let count =
            unsafe { dds_read_mask(self.entity.0, samples.as_mut_ptr(), infos.as_mut_ptr(), READ, READ as u32, alive) };
        let count = check("dds_read_mask", count)?;
        let found = samples
            .iter()
            .zip(&infos)
            .take(count as usize)
            .filter(|(_, info)| info.valid_data)
            // SAFETY: valid samples of these topics are endpoints.
            .map(|(sample, _)| unsafe { discovered(&*sample.cast::<dds_builtintopic_endpoint_t>()) })
            .collect();
        // SAFETY: the loan of the call above.
        unsafe { dds_return_loan(self.entity.0, samples.as_mut_ptr(), count) };
        Ok(found)
    }
}

unsafe extern "C" fn on_endpoints(_reader: dds_entity_t, on_change: *mut c_void) {
    // SAFETY: see `Watcher::new`.
    let on_change = unsafe { &*on_change.cast::<Box<dyn Fn() + Send + Sync>>() };
    let _ = catch_unwind(AssertUnwindSafe(on_change));
}

/// # Safety
/// All pointers of `endpoint` are valid.
unsafe fn discovered(endpoint: &dds_builtintopic_endpoint_t) -> Discovered {
    // SAFETY: C texts, by the caller's promise.
    let text = |text: *const c_char| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    Discovered {
        gid: endpoint.key.v,
        participant: endpoint.participant_key.v,
        topic: text(endpoint.topic_name),
        type_name: text(endpoint.type_name),
        // SAFETY: by the caller's promise.
        qos: unsafe { Qos::from_qos_native(endpoint.qos) },
    }
}

pub(super) fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}
