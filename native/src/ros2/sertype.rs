//! Our own kind of topic for Cyclone DDS: samples are their bytes, and what the wire says of them is kept.
//!
//! Cyclone shows an application neither the number of a received sample nor the parameters before it, but it
//! hands the packet to the topic's type, which makes the sample of it. On the way out there is no such place:
//! on Linux the linker puts [`wire`] where Cyclone appends a sample to its packet, for first transmissions and
//! repetitions alike. Elsewhere nothing is appended; see [`CAN_RELATE`].
//!
//! A received sample stays in the packets that it came in until someone wants its bytes: one copy then, and none for
//! a sample that nobody wants.
//!
//! What Cyclone calls here must not panic: a panic cannot leave it. All lengths are checked before use.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use cyclors::*;

use super::identity::{Identity, Origin};

/// Whether an outgoing sample can say which one it belongs to.
pub(super) const CAN_RELATE: bool = cfg!(target_os = "linux");

/// A sample: Cyclone's part first. Cyclone changes its part, so references are made to the body alone.
#[repr(C)]
struct Sample {
    common: ddsi_serdata,
    body: Body,
}

#[derive(Default)]
struct Body {
    /// In one piece, padded with zeros to a multiple of four, as Cyclone sends it. Made of the packets if need be.
    payload: OnceLock<Vec<u8>>,
    packets: Option<Packets>,
    size: u32,
    origin: Origin,
}

/// Cyclone's `struct ddsi_rdata`, as far as it is used: a part of a received sample.
#[repr(C)]
struct Part {
    packet: *const Packet,
    next: *const Part,
    /// Its place in the sample.
    begin: u32,
    end: u32,
    /// Places in the packet; 0 for a submessage that is not known.
    submessage: u16,
    payload: u16,
}

/// Cyclone's `struct ddsi_rmsg`; the packet's bytes follow it.
#[repr(C)]
struct Packet {
    references: u32,
    last_chunk: *const c_void,
    trace: bool,
    buffer: *const c_void,
    next: *const c_void,
    /// A union of integers, a double and a pointer.
    size: u64,
}

unsafe extern "C" {
    // An inline function, which the bindings leave out.
    fn ddsi_serdata_ref(sample: *const ddsi_serdata) -> *mut ddsi_serdata;
    // Gives back one reference to each packet; on any thread.
    fn ddsi_fragchain_unref(first: *const Part);
}

/// Counted references to the packets of a received sample. They must be given back before the domain ends.
struct Packets {
    first: *const Part,
    size: usize,
}

// SAFETY: nothing changes the parts or the bytes of a sample that was delivered, and references are counted atomically.
unsafe impl Send for Packets {}
// SAFETY: as above.
unsafe impl Sync for Packets {}

impl Packets {
    /// None where the parts are not the whole sample.
    ///
    /// # Safety
    /// `first` is Cyclone's list of parts, whose packets are alive during this call.
    unsafe fn hold(first: *const Part, size: usize) -> Option<Self> {
        // SAFETY: by the caller's promise.
        if unsafe { pieces(first, size) }.map(<[u8]>::len).sum::<usize>() != size {
            return None;
        }
        let mut part = first;
        while !part.is_null() {
            // SAFETY: alive by the caller's promise, so that the counter is not 0 and may be raised; Cyclone only ever
            // changes it atomically.
            unsafe {
                let references = ptr::addr_of!((*(*part).packet).references).cast_mut();
                AtomicU32::from_ptr(references).fetch_add(1, Ordering::Relaxed);
                part = (*part).next;
            }
        }
        Some(Packets { first, size })
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        // SAFETY: the references keep the packets, and with them the parts, alive.
        unsafe { pieces(self.first, self.size) }
    }

    /// In one piece, with room for `room` bytes. None where there is no memory for it.
    fn gather(&self, room: usize) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        whole.try_reserve_exact(room).ok()?;
        self.pieces().for_each(|piece| whole.extend_from_slice(piece));
        Some(whole)
    }

    /// How much of Cyclone's memory they keep: packets of many samples lie in one buffer, which is free when all are.
    fn keep(&self) -> usize {
        let (mut part, mut buffer, mut count) = (self.first, ptr::null(), 0);
        while !part.is_null() {
            // SAFETY: alive as above; where a packet lies never changes.
            unsafe {
                let of = ptr::addr_of!((*(*part).packet).buffer).read();
                count += usize::from(of != buffer);
                (part, buffer) = ((*part).next, of);
            }
        }
        count * BUFFER
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        // SAFETY: the references of `hold`, given back once.
        unsafe { ddsi_fragchain_unref(self.first) };
    }
}

/// Cyclone's default for the size of a receive buffer.
const BUFFER: usize = 1 << 20;

/// The bytes of a sample from its beginning on, without what comes twice, up to the first hole.
///
/// # Safety
/// `first` is Cyclone's list of parts, whose packets are alive for as long as the result is used.
unsafe fn pieces<'a>(first: *const Part, size: usize) -> impl Iterator<Item = &'a [u8]> {
    let (mut part, mut at) = (first, 0);
    std::iter::from_fn(move || {
        while !part.is_null() {
            // SAFETY: by the caller's promise. A part has `end - begin` bytes.
            unsafe {
                let Part { begin, end, payload, .. } = *part;
                let (begin, end) = (begin as usize, end as usize);
                let here = packet(part).add(usize::from(payload));
                part = (*part).next;
                if begin <= at && at < end && end <= size {
                    let piece = std::slice::from_raw_parts(here.add(at - begin), end - at);
                    at = end;
                    return Some(piece);
                }
            }
        }
        None
    })
}

struct Shared<T>(T);
// SAFETY: nothing in these tables is ever written.
unsafe impl<T> Sync for Shared<T> {}

static TYPE: Shared<ddsi_sertype_ops> = Shared(ddsi_sertype_ops {
    #[cfg(not(windows))]
    version: Some(ddsi_sertype_v0),
    // SAFETY: what the header defines there; Cyclone compares it and never calls it.
    #[cfg(windows)]
    version: unsafe { std::mem::transmute::<usize, ddsi_sertype_v0_t>(1) },
    arg: ptr::null_mut(),
    free: Some(free_type),
    zero_samples: Some(zero_samples),
    realloc_samples: Some(realloc_samples),
    free_samples: Some(free_samples),
    equal: Some(equal),
    hash: Some(hash),
    type_id: None,
    type_map: None,
    type_info: None,
    derive_sertype: None,
    get_serialized_size: None,
    serialize_into: None,
});

static SAMPLE: Shared<ddsi_serdata_ops> = Shared(ddsi_serdata_ops {
    eqkey: Some(eqkey),
    get_size: Some(get_size),
    from_ser: Some(from_ser),
    from_ser_iov: Some(from_ser_iov),
    from_keyhash: Some(from_keyhash),
    from_sample: Some(from_sample),
    to_ser: Some(to_ser),
    to_ser_ref: Some(to_ser_ref),
    to_ser_unref: Some(to_ser_unref),
    to_sample: Some(to_sample),
    to_untyped: Some(to_untyped),
    untyped_to_sample: Some(untyped_to_sample),
    free: Some(free_sample),
    print: Some(print),
    get_keyhash: Some(get_keyhash),
    from_loaned_sample: None,
    from_psmx: None,
});

/// Creates a topic of a type without key.
///
/// # Safety
/// Both texts are C texts.
pub(super) unsafe fn create_topic(participant: dds_entity_t, name: *const c_char, type_name: *const c_char) -> i32 {
    // SAFETY: Cyclone fills the type in, copies the names and owns the type as soon as the topic is there.
    unsafe {
        let mut sertype = Box::into_raw(Box::new(std::mem::zeroed::<ddsi_sertype>()));
        ddsi_sertype_init_flags(sertype, type_name, &TYPE.0, &SAMPLE.0, DDSI_SERTYPE_FLAG_TOPICKIND_NO_KEY);
        let topic = dds_create_topic_sertype(participant, name, &mut sertype, ptr::null(), ptr::null(), ptr::null());
        if topic < 0 {
            ddsi_sertype_unref(sertype);
        }
        topic
    }
}

/// A sample to write; it says that it belongs to `related` where that can be.
///
/// # Safety
/// `sertype` is a live type of a topic that was made here.
pub(super) unsafe fn sample(sertype: *const ddsi_sertype, cdr: &[u8], related: Option<Identity>) -> *mut ddsi_serdata {
    let Some(mut body) = Body::of(cdr.len(), [cdr]) else { return ptr::null_mut() };
    body.origin.related = related;
    // SAFETY: by the caller's promise.
    unsafe { make(sertype, ddsi_serdata_kind_SDK_DATA, body) }
}

/// A counted reference to a sample.
pub(super) struct Reference(*mut ddsi_serdata);

// SAFETY: nothing changes a body once it is made, and references are counted atomically.
unsafe impl Send for Reference {}

impl Reference {
    /// Takes the reference over.
    ///
    /// # Safety
    /// A live reference to a sample of a topic that was made here. It must be dropped before the domain ends.
    pub unsafe fn new(sample: *mut ddsi_serdata) -> Self {
        Reference(sample)
    }

    fn body(&self) -> &Body {
        // SAFETY: alive by the promise of `new`.
        unsafe { body(self.0) }
    }

    /// A copy of the bytes, in one piece. None where there is no memory for it.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let body = self.body();
        match &body.packets {
            Some(packets) => packets.gather(packets.size),
            None => Some(body.payload().get(..body.size as usize)?.to_vec()),
        }
    }

    /// So many of the first bytes as lie in one piece.
    pub fn beginning(&self) -> &[u8] {
        let body = self.body();
        match &body.packets {
            Some(packets) => packets.pieces().next().unwrap_or_default(),
            None => body.payload().get(..body.size as usize).unwrap_or_default(),
        }
    }

    pub fn size(&self) -> usize {
        self.body().size as usize
    }

    /// How much memory it takes as it is.
    pub fn keeps(&self) -> usize {
        let body = self.body();
        body.packets.as_ref().map_or(body.size as usize, Packets::keep)
    }

    /// What the wire said of it.
    pub fn origin(&self) -> Origin {
        self.body().origin
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: the reference of `new`.
        unsafe { ddsi_serdata_unref(self.0) };
    }
}

impl Body {
    /// None where there is no memory for it, and where the parts are larger than `size`.
    fn of<'a>(size: usize, parts: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let padded = size.checked_next_multiple_of(4)?;
        let size = u32::try_from(size).ok()?;
        let mut payload = Vec::new();
        payload.try_reserve_exact(padded).ok()?;
        for part in parts {
            if part.len() > padded - payload.len() {
                return None;
            }
            payload.extend_from_slice(part);
        }
        payload.resize(padded, 0);
        Some(Body { payload: payload.into(), size, ..Body::default() })
    }

    /// Empty where there is no memory for it.
    fn payload(&self) -> &[u8] {
        self.payload.get_or_init(|| {
            let padded = (self.size as usize).next_multiple_of(4);
            let whole = self.packets.as_ref().and_then(|packets| packets.gather(padded));
            whole.map_or_else(Vec::new, |mut whole| {
                whole.resize(padded, 0);
                whole
            })
        })
    }
}

/// # Safety
/// `sertype` is alive.
unsafe fn make(sertype: *const ddsi_sertype, kind: ddsi_serdata_kind, body: Body) -> *mut ddsi_serdata {
    // SAFETY: Cyclone fills in its part, for which zeros are valid until then.
    unsafe {
        let sample = Box::into_raw(Box::new(Sample { common: std::mem::zeroed(), body }));
        let common = ptr::addr_of_mut!((*sample).common);
        ddsi_serdata_init(common, sertype, kind);
        // From the whole again: who gets it may ask for the body.
        sample.cast()
    }
}

/// # Safety
/// `sample` was made by [`make`] and is alive for as long as the result is used.
unsafe fn body<'a>(sample: *const ddsi_serdata) -> &'a Body {
    // SAFETY: by the caller's promise; nothing changes a body once it is made.
    unsafe { &(*sample.cast::<Sample>()).body }
}

unsafe extern "C" fn from_ser(
    sertype: *const ddsi_sertype,
    kind: ddsi_serdata_kind,
    parts: *const ddsi_rdata,
    size: usize,
) -> *mut ddsi_serdata {
    let Ok(length) = u32::try_from(size) else { return ptr::null_mut() };
    let first: *const Part = parts.cast();
    // SAFETY: Cyclone's list of parts, whose packets are alive during this call. The submessage up to the payload lies
    // in the first part's packet.
    unsafe {
        let Some(packets) = Packets::hold(first, size) else { return ptr::null_mut() };
        let mut origin = Origin::default();
        if !first.is_null() {
            let (from, to) = (usize::from((*first).submessage), usize::from((*first).payload));
            if from != 0 && from < to {
                origin = Origin::of(std::slice::from_raw_parts(packet(first).add(from), to - from));
            }
        }
        make(sertype, kind, Body { packets: Some(packets), size: length, origin, payload: OnceLock::new() })
    }
}

/// # Safety
/// `part` is alive.
unsafe fn packet(part: *const Part) -> *const u8 {
    // SAFETY: the bytes follow the packet's head.
    unsafe { (*part).packet.add(1).cast() }
}

#[allow(clippy::unnecessary_cast, reason = "Windows has smaller lengths")]
unsafe extern "C" fn from_ser_iov(
    sertype: *const ddsi_sertype,
    kind: ddsi_serdata_kind,
    count: ddsrt_msg_iovlen_t,
    parts: *const ddsrt_iovec_t,
    size: usize,
) -> *mut ddsi_serdata {
    let parts = (0..count as usize).map(|place| {
        // SAFETY: Cyclone's array of `count` parts, each with as many bytes as it says.
        unsafe {
            let part = &*parts.add(place);
            std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len as usize)
        }
    });
    let Some(body) = Body::of(size, parts) else { return ptr::null_mut() };
    // SAFETY: Cyclone's type is alive.
    unsafe { make(sertype, kind, body) }
}

/// No type here has a key.
unsafe extern "C" fn from_keyhash(_: *const ddsi_sertype, _: *const ddsi_keyhash) -> *mut ddsi_serdata {
    ptr::null_mut()
}

/// Samples are written and taken as bytes alone.
unsafe extern "C" fn from_sample(_: *const ddsi_sertype, _: ddsi_serdata_kind, _: *const c_void) -> *mut ddsi_serdata {
    ptr::null_mut()
}

unsafe extern "C" fn to_sample(_: *const ddsi_serdata, _: *mut c_void, _: *mut *mut c_void, _: *mut c_void) -> bool {
    false
}

unsafe extern "C" fn untyped_to_sample(
    _: *const ddsi_sertype,
    _: *const ddsi_serdata,
    _: *mut c_void,
    _: *mut *mut c_void,
    _: *mut c_void,
) -> bool {
    false
}

unsafe extern "C" fn to_untyped(sample: *const ddsi_serdata) -> *mut ddsi_serdata {
    // SAFETY: Cyclone's reference; an untyped sample has no type.
    unsafe {
        let untyped = make((*sample).type_, ddsi_serdata_kind_SDK_KEY, Body::default());
        (*untyped).type_ = ptr::null();
        untyped
    }
}

unsafe extern "C" fn get_size(sample: *const ddsi_serdata) -> u32 {
    // SAFETY: Cyclone's reference.
    unsafe { body(sample) }.size
}

unsafe extern "C" fn to_ser(sample: *const ddsi_serdata, offset: usize, size: usize, buffer: *mut c_void) {
    // SAFETY: Cyclone's reference, and a buffer of `size` bytes.
    unsafe {
        if let Some(bytes) = body(sample).payload().get(offset..offset + size) {
            ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast(), size);
        }
    }
}

unsafe extern "C" fn to_ser_ref(
    sample: *const ddsi_serdata,
    offset: usize,
    size: usize,
    part: *mut ddsrt_iovec_t,
) -> *mut ddsi_serdata {
    // SAFETY: Cyclone's reference, which is counted until `to_ser_unref`. It only reads.
    unsafe {
        let bytes = body(sample).payload().get(offset..offset + size).unwrap_or_default();
        *part = ddsrt_iovec_t { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() as _ };
        ddsi_serdata_ref(sample)
    }
}

unsafe extern "C" fn to_ser_unref(sample: *mut ddsi_serdata, _: *const ddsrt_iovec_t) {
    // SAFETY: the reference of `to_ser_ref`.
    unsafe { ddsi_serdata_unref(sample) };
}

unsafe extern "C" fn free_sample(sample: *mut ddsi_serdata) {
    // SAFETY: made by `make`; Cyclone has given the last reference back.
    drop(unsafe { Box::from_raw(sample.cast::<Sample>()) });
}

unsafe extern "C" fn eqkey(_: *const ddsi_serdata, _: *const ddsi_serdata) -> bool {
    true
}

unsafe extern "C" fn get_keyhash(_: *const ddsi_serdata, hash: *mut ddsi_keyhash, _: bool) {
    // SAFETY: Cyclone's place for a hash.
    unsafe { ptr::write_bytes(hash, 0, 1) };
}

unsafe extern "C" fn print(_: *const ddsi_sertype, _: *const ddsi_serdata, text: *mut c_char, size: usize) -> usize {
    if size > 0 {
        // SAFETY: there is room for `size` characters.
        unsafe { *text = 0 };
    }
    0
}

unsafe extern "C" fn free_type(sertype: *mut ddsi_sertype) {
    // SAFETY: made by `create_topic`; Cyclone has given the last reference back.
    unsafe {
        ddsi_sertype_fini(sertype);
        drop(Box::from_raw(sertype));
    }
}

unsafe extern "C" fn equal(_: *const ddsi_sertype, _: *const ddsi_sertype) -> bool {
    // Cyclone has compared the names and these tables.
    true
}

unsafe extern "C" fn hash(_: *const ddsi_sertype) -> u32 {
    // Cyclone adds the name's.
    0
}

/// There are no samples in any other form than bytes.
unsafe extern "C" fn zero_samples(_: *const ddsi_sertype, _: *mut c_void, _: usize) {}

unsafe extern "C" fn realloc_samples(
    pointers: *mut *mut c_void,
    _: *const ddsi_sertype,
    _: *mut c_void,
    _: usize,
    count: usize,
) {
    for place in 0..count {
        // SAFETY: Cyclone's array of `count` pointers.
        unsafe { *pointers.add(place) = ptr::null_mut() };
    }
}

unsafe extern "C" fn free_samples(_: *const ddsi_sertype, _: *mut *mut c_void, _: usize, _: dds_free_op_t) {}

/// Puts the related identity before the payload of what leaves.
#[cfg(target_os = "linux")]
mod wire {
    use std::ffi::c_void;
    use std::ptr;

    use cyclors::ddsi_serdata;

    use super::super::identity::{FLAG_PARAMETERS, parameters};
    use super::SAMPLE;

    /// Cyclone's `struct ddsi_xmsg_marker`: a place in a packet.
    #[repr(C)]
    struct Marker(usize);

    // Cyclone's own functions. `build.rs` tells the linker that calls of the first, from where Cyclone makes its
    // packets, come to `__wrap_`.
    unsafe extern "C" {
        #[link_name = "__real_ddsi_xmsg_serdata"]
        fn append_sample(packet: *mut c_void, sample: *mut ddsi_serdata, from: usize, size: usize, writer: *mut c_void);
        #[link_name = "ddsi_xmsg_size"]
        fn size_of(packet: *const c_void) -> usize;
        #[link_name = "ddsi_xmsg_append"]
        fn append(packet: *mut c_void, marker: *mut Marker, size: usize) -> *mut c_void;
        #[link_name = "ddsi_xmsg_submsg_from_marker"]
        fn at(packet: *mut c_void, marker: Marker) -> *mut c_void;
    }

    const DATA: u8 = 0x15;
    const DATA_FRAG: u8 = 0x16;
    /// An INFO_TS comes before the beginning of a sample.
    const INFO_TS_SIZE: usize = 12;

    /// Cyclone has put the head of a DATA or DATA_FRAG at the end of its packet, and is about to add the payload.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __wrap_ddsi_xmsg_serdata(
        packet: *mut c_void,
        sample: *mut ddsi_serdata,
        from: usize,
        size: usize,
        writer: *mut c_void,
    ) {
        // SAFETY: called as Cyclone calls the function that this stands for, with its lock held.
        unsafe {
            relate(packet, sample, from);
            append_sample(packet, sample, from, size, writer);
        }
    }

    /// # Safety
    /// As Cyclone calls it.
    unsafe fn relate(packet: *mut c_void, sample: *const ddsi_serdata, from: usize) {
        // SAFETY: the sample is ours if its table is. A head is read and changed where Cyclone has just put it,
        // and `append` gives as much room as it is asked for, which may move the packet.
        unsafe {
            if !ptr::eq((*sample).ops, &SAMPLE.0) {
                return;
            }
            let Some(related) = super::body(sample).origin.related else { return };
            let begin = if from == 0 { INFO_TS_SIZE } else { 0 };
            let Some(head_size) = size_of(packet).checked_sub(begin) else { return };
            if head_size < 4 {
                return;
            }
            let head: *mut u8 = at(packet, Marker(begin)).cast();
            let expected = match *head {
                DATA => 24,
                DATA_FRAG => 36,
                _ => return,
            };
            // With parameters of its own, the packet is none that we know how to add to.
            if head_size != expected || *head.add(1) & FLAG_PARAMETERS != 0 {
                return;
            }
            *head.add(1) |= FLAG_PARAMETERS;
            let list = parameters(&related);
            let room = append(packet, ptr::null_mut(), list.len());
            ptr::copy_nonoverlapping(list.as_ptr(), room.cast(), list.len());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::super::config::{Discovery, Options};
    use super::super::dds::{self, Frame, Participant, Reader, Writer};
    use super::super::{Qos, Reliability};

    /// References to a packet by its receiver.
    const RECEIVED: u64 = 1;

    fn contents(sample: *mut ddsi_serdata) -> (Vec<u8>, Origin) {
        // SAFETY: `sample` is alive, and the reference is forgotten again.
        let reference = std::mem::ManuallyDrop::new(unsafe { Reference::new(sample) });
        let bytes = reference.bytes().unwrap();
        assert!(bytes.starts_with(reference.beginning()) && reference.size() == bytes.len());
        (bytes, reference.origin())
    }

    /// A type that no domain knows.
    struct Type(*mut ddsi_sertype);

    impl Type {
        fn new() -> Self {
            // SAFETY: as in `create_topic`.
            unsafe {
                let sertype = Box::into_raw(Box::new(std::mem::zeroed::<ddsi_sertype>()));
                let flags = DDSI_SERTYPE_FLAG_TOPICKIND_NO_KEY;
                ddsi_sertype_init_flags(sertype, c"a::srv::dds_::B_".as_ptr(), &TYPE.0, &SAMPLE.0, flags);
                Type(sertype)
            }
        }

        /// What [`from_ser`] makes of a packet in which these parts lie; a part is its place in the sample.
        fn receive(&self, submessage: &[u8], parts: &[(u32, &[u8])], size: usize) -> Option<(Vec<u8>, Origin)> {
            let packets: Vec<Vec<u64>> = parts.iter().map(|(_, bytes)| packet_of(submessage, bytes)).collect();
            let mut list: Vec<Part> = packets
                .iter()
                .zip(parts)
                .map(|(packet, (begin, bytes))| Part {
                    packet: packet.as_ptr().cast(),
                    next: ptr::null(),
                    begin: *begin,
                    end: begin + bytes.len() as u32,
                    submessage: 4,
                    payload: 4 + submessage.len() as u16,
                })
                .collect();
            for place in (1..list.len()).rev() {
                list[place - 1].next = &list[place];
            }
            // SAFETY: a list as Cyclone makes it; the reference is given back once.
            unsafe {
                let made = from_ser(self.0, ddsi_serdata_kind_SDK_DATA, list.as_ptr().cast(), size);
                let held = u64::from(!made.is_null());
                // All references but those of who received them are given back.
                assert!(packets.iter().all(|packet| packet[0] == RECEIVED + held));
                let found = (held > 0).then(|| contents(made));
                if held > 0 {
                    let mut whole = vec![9; size.next_multiple_of(4)];
                    to_ser(made, 0, whole.len(), whole.as_mut_ptr().cast());
                    let (bytes, _) = found.as_ref().unwrap();
                    assert_eq!((&whole[..size], &whole[size..]), (&bytes[..], &[0; 4][..whole.len() - size]));
                    ddsi_serdata_unref(made);
                }
                assert!(packets.iter().all(|packet| packet[0] == RECEIVED));
                found
            }
        }
    }

    impl Drop for Type {
        fn drop(&mut self) {
            // SAFETY: the only reference.
            unsafe { ddsi_sertype_unref(self.0) };
        }
    }

    /// The head of a packet, four bytes, a submessage and a payload, aligned as Cyclone has it.
    fn packet_of(submessage: &[u8], payload: &[u8]) -> Vec<u64> {
        let mut head = vec![0; size_of::<Packet>()];
        head[..8].copy_from_slice(&RECEIVED.to_ne_bytes());
        let mut bytes = [&head, &[0; 4][..], submessage, payload].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.chunks(8).map(|chunk| u64::from_ne_bytes(chunk.try_into().unwrap())).collect()
    }

    #[test]
    fn received_parts_become_one_sample_whatever_they_say() {
        let sertype = Type::new();
        let mut submessage = vec![0; 24];
        submessage[20..24].copy_from_slice(&9_u32.to_ne_bytes());
        let origin = Origin { number: 9, related: None };
        let whole = Some((vec![0, 1, 2, 3, 4, 5], origin));
        assert_eq!(sertype.receive(&submessage, &[(0, &[0, 1, 2, 3, 4, 5])], 6), whole);
        // One after the other, overlapping, and one within another.
        assert_eq!(sertype.receive(&submessage, &[(0, &[0, 1, 2, 3]), (4, &[4, 5])], 6), whole);
        assert_eq!(sertype.receive(&submessage, &[(0, &[0, 1, 2, 3]), (1, &[9, 9]), (2, &[9, 9, 4, 5])], 6), whole);
        // With a hole, cut off, and beyond the end.
        assert_eq!(sertype.receive(&submessage, &[(0, &[0, 1, 2, 3]), (5, &[5])], 6), None);
        assert_eq!(sertype.receive(&submessage, &[(0, &[0, 1, 2, 3])], 6), None);
        assert_eq!(sertype.receive(&submessage, &[(0, &[0, 1, 2, 3, 4, 5, 6])], 6), None);
        assert_eq!(sertype.receive(&submessage, &[(0, &[0, 1, 2, 3])], usize::MAX), None);
        assert_eq!(sertype.receive(&[], &[(0, &[0, 1])], 2), Some((vec![0, 1], Origin::default())));
    }

    #[test]
    fn a_sample_is_its_bytes() {
        let sertype = Type::new();
        let related = Identity { gid: [1; 16], number: 2 };
        let cdr = [0, 1, 0, 0, 7, 8];
        // SAFETY: the tables are called as Cyclone does, with samples that are alive, and each is given back once.
        unsafe {
            let made = sample(sertype.0, &cdr, Some(related));
            assert_eq!(contents(made), (cdr.to_vec(), Origin { number: 0, related: Some(related) }));
            assert_eq!(ddsi_serdata_size(made), 6);
            let mut bytes = [9_u8; 4];
            to_ser(made, 4, 4, bytes.as_mut_ptr().cast());
            assert_eq!(bytes, [7, 8, 0, 0], "what pads is zero");
            to_ser(made, 8, 4, bytes.as_mut_ptr().cast());
            assert_eq!(bytes, [7, 8, 0, 0], "nothing is beyond the end");

            let mut part = ddsrt_iovec_t { iov_base: ptr::null_mut(), iov_len: 0 };
            let reference = to_ser_ref(made, 0, 6, &mut part);
            let copy = from_ser_iov(sertype.0, ddsi_serdata_kind_SDK_DATA, 1, &part, 6);
            assert_eq!(contents(copy), (cdr.to_vec(), Origin::default()));
            assert!(from_ser_iov(sertype.0, ddsi_serdata_kind_SDK_DATA, 1, &part, 1).is_null());
            to_ser_unref(reference, &part);

            let untyped = to_untyped(made);
            assert!(contents(untyped).0.is_empty() && eqkey(untyped, made));
            let mut hash: ddsi_keyhash = std::mem::zeroed();
            get_keyhash(made, &mut hash, false);
            let mut text = [1; 2];
            assert_eq!(print(sertype.0, made, text.as_mut_ptr(), text.len()), 0);
            assert_eq!(text[0], 0);
            for one in [made, copy, untyped] {
                ddsi_serdata_unref(one);
            }
        }
    }

    #[test]
    fn there_is_no_other_form_than_bytes() {
        let sertype = Type::new();
        let nothing = ptr::null_mut();
        // SAFETY: none of these looks at what it is given, except for the list of pointers.
        unsafe {
            let hash: ddsi_keyhash = std::mem::zeroed();
            assert!(from_keyhash(sertype.0, &hash).is_null());
            assert!(from_sample(sertype.0, ddsi_serdata_kind_SDK_DATA, nothing).is_null());
            assert!(!to_sample(ptr::null(), nothing, ptr::null_mut(), nothing));
            assert!(!untyped_to_sample(sertype.0, ptr::null(), nothing, ptr::null_mut(), nothing));
            let mut place = 1;
            let mut pointers = [ptr::from_mut(&mut place).cast()];
            realloc_samples(pointers.as_mut_ptr(), sertype.0, nothing, 0, 1);
            assert!(pointers[0].is_null());
            zero_samples(sertype.0, nothing, 0);
            free_samples(sertype.0, ptr::null_mut(), 0, 0);
            assert!(equal(sertype.0, sertype.0) && ddsi_sertype_equal(sertype.0, sertype.0));
        }
        assert!(Body::of(usize::MAX, []).is_none());
    }

    /// Two domains in this process that are one on the wire: within a domain Cyclone uses none.
    #[test]
    fn a_message_names_on_the_wire_the_one_that_it_belongs_to() {
        let options = Options { discovery: Some(Discovery::Localhost), ..Options::default() };
        let config = options.setting(|_| None).unwrap().config;
        let config = config.replace("<Discovery>", "<Discovery><ExternalDomainId>77</ExternalDomainId>");
        let side = |id| {
            let domain = Arc::new(dds::domain(id, &config).unwrap());
            let participant = Participant::new(&domain, id, &dds::participant_qos(b"")).unwrap();
            let topic = dds::topic(&participant, "rr/wireReply", "a::srv::dds_::B_Response_").unwrap();
            (topic, participant, domain)
        };
        let (sending, receiving) = (side(75), side(76));
        let qos = Qos { reliability: Reliability::Reliable, ..Qos::default() }.to_dds();
        let (matched, changes) = mpsc::channel();
        let writer =
            Writer::new(&sending.1, &sending.0, &qos, Arc::new(move || matched.send(()).unwrap_or(()))).unwrap();
        let (heard, samples) = mpsc::channel();
        let hear = move |frame: Frame, origin: Origin| drop(heard.send((frame.sample().unwrap().cdr, origin.related)));
        let _reader = Reader::new(&receiving.1, &receiving.0, &qos, Arc::new(|| {}), Box::new(hear)).unwrap();
        let within = Duration::from_secs(20);
        while writer.matched().unwrap() == 0 {
            changes.recv_timeout(within).unwrap();
        }
        // The last ones are cut into fragments, of which the first says it.
        for (number, size) in [(1, 8), (2, 1000), (3, 100_000), (4, 3_000_000)] {
            let cdr: Vec<u8> = [0, 1, 0, 0].into_iter().chain((0..size).map(|place| place as u8)).collect();
            let related = Identity { gid: [number as u8; 16], number };
            writer.write_related(&cdr, Some(related)).unwrap();
            assert!(samples.recv_timeout(within).unwrap() == (cdr, CAN_RELATE.then_some(related)), "message {number}");
        }
    }
}
