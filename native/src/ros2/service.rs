//! Services: a request and its reply are messages on two topics, and two kinds of DDS name the request of a
//! reply in two ways. ROS 2 on Cyclone DDS puts a header before the fields of both: the client's id, 8 bytes, and
//! a number. Others use RTPS's own names of messages, see [`super::identity`]. Who speaks how shows in its id,
//! which begins with the vendor's number; both are served side by side.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::context::lock;
use super::dds::{Entity, Frame, Reader, Writer};
use super::identity::{Identity, Origin, UNKNOWN};
use super::sertype::CAN_RELATE;
use super::{Context, Gid, Qos, Ros2Error, Sample, Weighed};

const CYCLONE: [u8; 2] = [1, 16];
/// The host, process and participant of an id.
const PREFIX: usize = 12;
const CDR_HEADER: usize = 4;
const HEADER: usize = 16;

/// How a kind of DDS names the request of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Header,
    Identity,
}

fn form_of(gid: &Gid) -> Form {
    if gid.starts_with(&CYCLONE) { Form::Header } else { Form::Identity }
}

fn same_participant(one: &Gid, other: &Gid) -> bool {
    one[..PREFIX] == other[..PREFIX]
}

/// Puts the header between a message's encoding and its fields.
fn with_header(cdr: &[u8], client: &[u8; 8], number: i64) -> Result<Vec<u8>, Ros2Error> {
    let (encoding, fields) = cdr.split_at_checked(CDR_HEADER).ok_or(Ros2Error::Cdr(cdr.len()))?;
    let number = if is_little(cdr) { number.to_le_bytes() } else { number.to_be_bytes() };
    Ok([encoding, client, &number, fields].concat())
}

/// The header, and the message without it; none for what is too short.
fn without_header(mut cdr: Vec<u8>) -> Option<([u8; 8], i64, Vec<u8>)> {
    let client = cdr.get(CDR_HEADER..CDR_HEADER + 8)?.try_into().ok()?;
    let number = cdr.get(CDR_HEADER + 8..CDR_HEADER + HEADER)?.try_into().ok()?;
    let number = if is_little(&cdr) { i64::from_le_bytes(number) } else { i64::from_be_bytes(number) };
    cdr.drain(CDR_HEADER..CDR_HEADER + HEADER);
    Some((client, number, cdr))
}

fn is_little(cdr: &[u8]) -> bool {
    cdr.get(1).is_some_and(|encoding| encoding & 1 == 1)
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What [`Client::call`] gave back.
    pub call: i64,
    /// The response, with its four-byte header.
    pub cdr: Vec<u8>,
}

impl Weighed for Reply {
    fn bytes(&self) -> usize {
        self.cdr.len()
    }
}

type OnReply = Arc<dyn Fn(Reply) + Send + Sync>;

/// The way back of replies.
struct Back {
    reader: Reader,
    gid: Gid,
    /// Writers of others than Cyclone that know this very reader.
    greeted: Vec<Gid>,
    since: Instant,
}

/// Before others have told of what they wrote until now. See [`Client::ready`].
const GREETING: Duration = Duration::from_millis(100);

/// Calls one service until it is dropped.
pub struct Client {
    back: Mutex<Back>,
    /// Our writer, and the readers that we had.
    ends: Arc<Mutex<Vec<Gid>>>,
    writer: Writer,
    id: [u8; 8],
    replies: Entity,
    on_reply: OnReply,
    service: String,
    /// The last request's number, for both forms: DDS numbers what a writer writes from 1 on.
    sent: Mutex<i64>,
    context: Context,
}

impl Client {
    /// `service` as seen from `context`; `on_reply` gets each reply on a thread of the DDS.
    pub fn open(
        context: &Context,
        service: &str,
        type_name: &str,
        on_reply: impl Fn(Reply) + Send + Sync + 'static,
    ) -> Result<Self, Ros2Error> {
        let (requests, replies, service) = context.service_topics(service, type_name)?;
        let writer = Writer::new(context.participant(), &requests, &Qos::of_services(), context.on_match())?;
        let own = writer.gid()?;
        // One of a kind as the whole is: neighbours in a process differ in its second half, processes in both.
        let id = std::array::from_fn(|place| own[place] ^ own[place + 8]);
        let on_reply: OnReply = Arc::new(on_reply);
        let ends = Arc::new(Mutex::new(vec![own]));
        let reader = reader(context, &replies, &ends, id, &on_reply)?;
        let gid = reader.gid()?;
        lock(&ends).push(gid);
        join(context, [own, gid])?;
        let back = Mutex::new(Back { reader, gid, greeted: Vec::new(), since: Instant::now() });
        let context = context.clone();
        Ok(Client { back, ends, writer, id, replies, on_reply, service, sent: Mutex::new(0), context })
    }

    /// Sends a request and gives back its number; `cdr` begins with its four-byte header.
    pub fn call(&self, cdr: &[u8]) -> Result<i64, Ros2Error> {
        let form = self.form()?;
        let mut sent = lock(&self.sent);
        let number = *sent + 1;
        match form {
            Form::Header => self.writer.write(&with_header(cdr, &self.id, number)?)?,
            // The server then waits for the reader before it replies.
            Form::Identity => {
                let gid = lock(&self.back).gid;
                self.writer.write_related(cdr, Some(Identity { gid, number: UNKNOWN }))?;
            }
        }
        *sent = number;
        Ok(number)
    }

    /// How many servers get the requests and can reply.
    pub fn servers(&self) -> Result<u32, Ros2Error> {
        Ok(self.ready()?.len() as u32)
    }

    /// A writer of another DDS tells a reader that is new to it what it wrote until then. Cyclone hears that only
    /// from writers that it knows, and without it drops the next message of such a writer, the first reply. So, once
    /// such a writer is there, it gets a new reader.
    fn ready(&self) -> Result<Vec<Gid>, Ros2Error> {
        let mut back = lock(&self.back);
        let mut writers = back.reader.writers()?;
        let foreign: Vec<Gid> = writers.iter().filter(|gid| form_of(gid) == Form::Identity).copied().collect();
        if foreign.iter().any(|gid| !back.greeted.contains(gid)) {
            let reader = reader(&self.context, &self.replies, &self.ends, self.id, &self.on_reply)?;
            let gid = reader.gid()?;
            remember(&mut lock(&self.ends), gid);
            leave(&self.context, back.gid);
            join(&self.context, [gid])?;
            *back = Back { reader, gid, greeted: foreign, since: Instant::now() };
        }
        if back.since.elapsed() < GREETING {
            writers.retain(|gid| form_of(gid) == Form::Header);
        }
        let mut readers = self.writer.readers()?;
        readers.retain(|reader| writers.iter().any(|writer| same_participant(reader, writer)));
        Ok(readers)
    }

    /// A request goes to all servers, so that all have to read it in the same way.
    fn form(&self) -> Result<Form, Ros2Error> {
        let forms: Vec<Form> = self.ready()?.iter().map(form_of).collect();
        match forms.split_first() {
            None => Err(Ros2Error::NoServer(self.service.clone())),
            Some((first, others)) if others.iter().all(|form| form == first) => Ok(*first),
            Some(_) => Err(Ros2Error::MixedServers(self.service.clone())),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        lock(&self.ends).drain(..).for_each(|gid| leave(&self.context, gid));
    }
}

fn reader(
    context: &Context,
    replies: &Entity,
    ends: &Arc<Mutex<Vec<Gid>>>,
    id: [u8; 8],
    on_reply: &OnReply,
) -> Result<Reader, Ros2Error> {
    let (ends, on_reply) = (ends.clone(), on_reply.clone());
    let hear = move |frame: Frame, origin: Origin| {
        let reply = frame.sample().and_then(|sample| reply_of(sample, origin, &lock(&ends), &id));
        if let Some(reply) = reply {
            on_reply(reply);
        }
    };
    Reader::new(context.participant(), replies, &Qos::of_services(), context.on_match(), Box::new(hear))
}

/// The first is the writer; of the readers the last ones are enough.
fn remember(ends: &mut Vec<Gid>, reader: Gid) {
    const READERS: usize = 8;
    if ends.len() > READERS {
        ends.remove(1);
    }
    ends.push(reader);
}

/// None for the replies to others, which come here as well. `ends`: our writer and readers.
fn reply_of(sample: Sample, origin: Origin, ends: &[Gid], id: &[u8; 8]) -> Option<Reply> {
    if let Some(Identity { gid, number }) = origin.related {
        return ends.contains(&gid).then_some(Reply { call: number, cdr: sample.cdr });
    }
    let (client, call, cdr) = without_header(sample.cdr)?;
    (client == *id).then_some(Reply { call, cdr })
}

/// Names a request to the server that it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    form: Form,
    /// As the form has it: a client's id of eight bytes, or that of its reader or writer.
    asker: Gid,
    number: i64,
    /// Who wrote the request.
    writer: Gid,
}

impl RequestId {
    const SIZE: usize = 1 + 16 + 8 + 16;

    /// For those to whom it means nothing.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[u8::from(self.form == Form::Header)][..], &self.asker, &self.number.to_le_bytes(), &self.writer].concat()
    }

    /// What [`Self::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Ros2Error> {
        let parts = || {
            let form = if *bytes.first()? == 1 { Form::Header } else { Form::Identity };
            let asker = bytes.get(1..17)?.try_into().ok()?;
            let number = i64::from_le_bytes(bytes.get(17..25)?.try_into().ok()?);
            Some(RequestId { form, asker, number, writer: bytes.get(25..41)?.try_into().ok()? })
        };
        let whole = (bytes.len() == Self::SIZE).then(parts).flatten();
        whole.ok_or(Ros2Error::RequestId(bytes.len()))
    }
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// For the reply.
    pub id: RequestId,
    /// The request, with its four-byte header.
    pub cdr: Vec<u8>,
    /// When it came, ns since the epoch.
    pub received_ns: i64,
}

impl Weighed for Request {
    fn bytes(&self) -> usize {
        self.cdr.len()
    }
}

/// None for what is cut off, and for a request that came without its number.
fn request_of(sample: Sample, origin: Origin) -> Option<Request> {
    let Sample { cdr, received_ns, publisher: writer, .. } = sample;
    let form = form_of(&writer);
    let (asker, number, cdr) = match form {
        Form::Header => {
            let (client, number, cdr) = without_header(cdr)?;
            let mut asker = [0; 16];
            asker[..8].copy_from_slice(&client);
            (asker, number, cdr)
        }
        Form::Identity => (origin.related.map_or(writer, |related| related.gid), origin.number, cdr),
    };
    (number != 0).then_some(Request { id: RequestId { form, asker, number, writer }, cdr, received_ns })
}

/// Offers one service until it is dropped.
pub struct Server {
    writer: Writer,
    _reader: Reader,
    gids: [Gid; 2],
    context: Context,
}

impl Server {
    /// `service` as seen from `context`; `on_request` gets each request on a thread of the DDS.
    pub fn open(
        context: &Context,
        service: &str,
        type_name: &str,
        on_request: impl Fn(Request) + Send + Sync + 'static,
    ) -> Result<Self, Ros2Error> {
        let (requests, replies, _) = context.service_topics(service, type_name)?;
        // Whoever finds the reader shall find the writer.
        let writer = Writer::new(context.participant(), &replies, &Qos::of_services(), context.on_match())?;
        let hear = move |frame: Frame, origin: Origin| {
            if let Some(request) = frame.sample().and_then(|sample| request_of(sample, origin)) {
                on_request(request);
            }
        };
        let reader =
            Reader::new(context.participant(), &requests, &Qos::of_services(), context.on_match(), Box::new(hear))?;
        let gids = [writer.gid()?, reader.gid()?];
        join(context, gids)?;
        Ok(Server { writer, _reader: reader, gids, context: context.clone() })
    }

    /// False when the client cannot hear it: it is not there yet, or not any more. `cdr` begins with its four-byte
    /// header.
    pub fn reply(&self, id: &RequestId, cdr: &[u8]) -> Result<bool, Ros2Error> {
        if !self.writer.readers()?.iter().any(|reader| same_participant(reader, &id.writer)) {
            return Ok(false);
        }
        match id.form {
            Form::Header => {
                let [client @ .., _, _, _, _, _, _, _, _] = id.asker;
                self.writer.write(&with_header(cdr, &client, id.number)?)?;
            }
            Form::Identity if CAN_RELATE => {
                self.writer.write_related(cdr, Some(Identity { gid: id.asker, number: id.number }))?;
            }
            Form::Identity => return Err(Ros2Error::CannotRelate),
        }
        Ok(true)
    }

    /// How many clients are there that cannot be answered on this platform.
    pub fn deaf(&self) -> Result<u32, Ros2Error> {
        if CAN_RELATE {
            return Ok(0);
        }
        let readers = self.writer.readers()?;
        Ok(readers.iter().filter(|gid| form_of(gid) == Form::Identity).count() as u32)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for gid in self.gids {
            leave(&self.context, gid);
        }
    }
}

/// Tells the others to which node writers and readers belong.
fn join<const N: usize>(context: &Context, gids: [Gid; N]) -> Result<(), Ros2Error> {
    context.announce(|node| {
        for gid in gids {
            let list = if is_writer(&gid) { &mut node.writers } else { &mut node.readers };
            list.push(gid);
        }
    })
}

fn leave(context: &Context, gone: Gid) {
    // Others also see that the endpoint is gone.
    let _ = context.announce(|node| {
        node.writers.retain(|gid| *gid != gone);
        node.readers.retain(|gid| *gid != gone);
    });
}

/// RTPS's kinds of user endpoints: 2 and 3 are writers, 4 and 7 readers.
fn is_writer(gid: &Gid) -> bool {
    matches!(gid[15] & 0x0f, 2 | 3)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample(cdr: Vec<u8>, publisher: Gid) -> Sample {
        Sample { cdr, received_ns: 5, source_ns: 0, publisher, sequence: None }
    }

    const LITTLE: [u8; 6] = [0, 1, 0, 0, 9, 8];
    const BIG: [u8; 6] = [0, 0, 0, 0, 9, 8];

    #[test]
    fn a_header_is_put_and_taken_in_the_order_of_its_message() {
        for cdr in [LITTLE, BIG] {
            let whole = with_header(&cdr, &[7; 8], 3).unwrap();
            assert_eq!(whole.len(), cdr.len() + HEADER);
            assert_eq!(whole[12 + usize::from(cdr == BIG) * 7], 3);
            assert_eq!(without_header(whole.clone()), Some(([7; 8], 3, cdr.to_vec())));
            for cut in 0..CDR_HEADER + HEADER {
                assert_eq!(without_header(whole[..cut].to_vec()), None, "{cut}");
            }
        }
        assert!(matches!(with_header(&[0, 1], &[7; 8], 3), Err(Ros2Error::Cdr(2))));
    }

    #[test]
    fn a_request_is_known_by_the_form_of_its_writer() {
        let mut cyclone = [3; 16];
        cyclone[..2].copy_from_slice(&CYCLONE);
        let request = request_of(sample(with_header(&LITTLE, &[7; 8], 3).unwrap(), cyclone), Origin::default());
        let Request { id, cdr, received_ns } = request.unwrap();
        assert_eq!((id.form, id.asker[..8].to_vec(), id.number, id.writer), (Form::Header, vec![7; 8], 3, cyclone));
        assert_eq!((cdr, received_ns), (LITTLE.to_vec(), 5));
        assert_eq!(RequestId::from_bytes(&id.to_bytes()).unwrap(), id);

        let other = [4; 16];
        let reader = Identity { gid: [5; 16], number: UNKNOWN };
        for (related, asker) in [(None, other), (Some(reader), reader.gid)] {
            let request = request_of(sample(LITTLE.to_vec(), other), Origin { number: 6, related }).unwrap();
            assert_eq!(request.id, RequestId { form: Form::Identity, asker, number: 6, writer: other });
            assert_eq!(RequestId::from_bytes(&request.id.to_bytes()).unwrap(), request.id);
        }
        assert_eq!(request_of(sample(LITTLE.to_vec(), other), Origin::default()), None);
        assert_eq!(request_of(sample(LITTLE.to_vec(), cyclone), Origin::default()), None);
        for wrong in [vec![], vec![0; 40], vec![0; 42]] {
            assert!(matches!(RequestId::from_bytes(&wrong), Err(Ros2Error::RequestId(_))));
        }
    }

    #[test]
    fn a_reply_to_another_is_nothing_to_us() {
        let ends = [[1; 16], [2; 16]];
        let reply = |related, cdr| reply_of(sample(cdr, [4; 16]), Origin { number: 1, related }, &ends, &[7; 8]);
        let ours = Some(Reply { call: 3, cdr: LITTLE.to_vec() });
        for gid in ends {
            assert_eq!(reply(Some(Identity { gid, number: 3 }), LITTLE.to_vec()), ours);
        }
        assert_eq!(reply(Some(Identity { gid: [6; 16], number: 3 }), LITTLE.to_vec()), None);
        assert_eq!(reply(None, with_header(&LITTLE, &[7; 8], 3).unwrap()), ours);
        assert_eq!(reply(None, with_header(&LITTLE, &[6; 8], 3).unwrap()), None);
        assert_eq!(reply(None, LITTLE.to_vec()), None);
    }

    #[test]
    fn the_last_readers_are_remembered_and_the_writer_always() {
        let mut ends = vec![[0; 16]];
        for reader in 1..=20 {
            remember(&mut ends, [reader; 16]);
        }
        let last: Vec<Gid> = (13..=20).map(|reader| [reader; 16]).collect();
        assert_eq!((ends[0], &ends[1..]), ([0; 16], &last[..]));
    }
}
