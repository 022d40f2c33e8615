//! A small Zerobus server within the test's process: it keeps the ids of rows, and does to each message as it is told.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::utils::flight_data_to_arrow_batch;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, Result as FlightResult, SchemaResult, Ticket,
};
use databricks_zerobus_ingest_sdk::databricks::zerobus as proto;
use proto::ephemeral_stream_request::Payload as Ask;
use proto::ephemeral_stream_response::Payload as Answer;
use proto::ingest_record_batch_request::Batch as Records;
use proto::ingest_record_request::Record;
use proto::zerobus_server::{Zerobus, ZerobusServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tonic::codegen::tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::codegen::tokio_stream::{Stream, StreamExt};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

const MAX_MESSAGE: usize = 64 << 20;

/// What happens to a message.
pub enum Reply {
    /// Its rows are kept and acknowledged.
    Keep,
    /// So many of them are, then the stream fails.
    Part(usize),
    /// The stream fails.
    Fail(Status),
    /// Its rows are kept, and the client is asked to leave.
    Leave,
    /// The stream ends.
    End,
    /// Neither this nor a later one is acknowledged.
    Silent,
    /// So many of its rows are kept and acknowledged, and nothing that comes behind them.
    Stall(usize),
}

/// Asked for each message: the number of its stream, and the ids of its rows.
type Script = dyn Fn(usize, &[i64]) -> Reply + Send + Sync;
type Boxed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub struct Inner {
    script: Box<Script>,
    refuse: Mutex<VecDeque<Status>>,
    stillborn: Mutex<VecDeque<Status>>,
    /// Milliseconds that each message takes.
    pub pace: AtomicU64,
    kept: Mutex<Vec<i64>>,
    streams: AtomicUsize,
    /// What the token endpoint says instead of a token.
    pub tokens: Mutex<VecDeque<(u16, &'static str)>>,
    pub asked_for_tokens: AtomicUsize,
}

#[derive(Clone)]
pub struct Server {
    pub inner: Arc<Inner>,
    pub endpoint: String,
    pub tokens: String,
}

impl Server {
    pub async fn start(script: impl Fn(usize, &[i64]) -> Reply + Send + Sync + 'static) -> Server {
        let inner = Arc::new(Inner {
            script: Box::new(script),
            refuse: Mutex::default(),
            stillborn: Mutex::default(),
            pace: AtomicU64::default(),
            kept: Mutex::default(),
            streams: AtomicUsize::default(),
            tokens: Mutex::default(),
            asked_for_tokens: AtomicUsize::default(),
        });
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let endpoint = format!("http://{}", incoming.local_addr().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tokens = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(give_tokens(listener, inner.clone()));
        let server = Server { inner, endpoint, tokens };
        let router = tonic::transport::Server::builder()
            .add_service(FlightServiceServer::new(server.clone()).max_decoding_message_size(MAX_MESSAGE))
            .add_service(ZerobusServer::new(server.clone()).max_decoding_message_size(MAX_MESSAGE));
        tokio::spawn(router.serve_with_incoming(incoming));
        server
    }

    /// The ids of all rows that were kept, in order.
    pub fn kept(&self) -> Vec<i64> {
        self.inner.kept.lock().unwrap().clone()
    }

    /// Streams that were opened.
    pub fn streams(&self) -> usize {
        self.inner.streams.load(Ordering::Relaxed)
    }

    /// The next stream does not open.
    pub fn refuse(&self, status: Status) {
        self.inner.refuse.lock().unwrap().push_back(status);
    }

    /// The next stream that opens fails before it gets a row.
    pub fn fail_at_once(&self, status: Status) {
        self.inner.stillborn.lock().unwrap().push_back(status);
    }

    fn stillborn(&self) -> Option<Status> {
        self.inner.stillborn.lock().unwrap().pop_front()
    }

    fn open(&self) -> Result<usize, Status> {
        match self.inner.refuse.lock().unwrap().pop_front() {
            Some(status) => Err(status),
            None => Ok(self.inner.streams.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// One stream of either kind.
struct Session<T> {
    inner: Arc<Inner>,
    number: usize,
    rows: usize,
    silent: bool,
    out: UnboundedSender<Result<T, Status>>,
}

impl<T> Session<T> {
    /// Whether the stream goes on. `ack` says that so many rows, all of the message or not, are kept.
    async fn hear(&mut self, ids: &[i64], ack: impl Fn(usize, bool) -> Option<T>, leave: impl Fn() -> T) -> bool {
        tokio::time::sleep(Duration::from_millis(self.inner.pace.load(Ordering::Relaxed))).await;
        let reply = (self.inner.script)(self.number, ids);
        let kept = match &reply {
            Reply::Keep | Reply::Leave | Reply::Silent => ids.len(),
            Reply::Part(rows) | Reply::Stall(rows) => *rows,
            Reply::Fail(_) | Reply::End => 0,
        };
        self.inner.kept.lock().unwrap().extend(&ids[..kept]);
        self.rows += kept;
        self.silent |= matches!(reply, Reply::Silent);
        if kept > 0
            && !self.silent
            && let Some(ack) = ack(self.rows, kept == ids.len())
        {
            let _ = self.out.send(Ok(ack));
        }
        let error = match reply {
            Reply::Keep | Reply::Silent | Reply::Stall(_) => return true,
            Reply::Leave => return self.out.send(Ok(leave())).is_ok(),
            Reply::End => return false,
            Reply::Part(_) => Status::unavailable("on purpose"),
            Reply::Fail(status) => status,
        };
        let _ = self.out.send(Err(error));
        false
    }
}

/// What was said arrives before the stream is gone.
async fn end<T, U>(session: Session<T>, mut input: Streaming<U>) {
    drop(session);
    while let Some(Ok(_)) = input.next().await {}
}

/// A minimal OAuth endpoint: whoever asks gets a token.
async fn give_tokens(listener: TcpListener, inner: Arc<Inner>) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let mut request = Vec::new();
        while !is_whole(&request) {
            if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
                break;
            }
        }
        inner.asked_for_tokens.fetch_add(1, Ordering::Relaxed);
        let token = (200, r#"{"access_token":"token","expires_in":3600}"#);
        let (status, body) = inner.tokens.lock().unwrap().pop_front().unwrap_or(token);
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn put(offset: i64, rows: usize, leave: &str) -> PutResult {
    PutResult { app_metadata: format!(r#"{{"ack_up_to_offset":{offset},"ack_up_to_records":{rows}{leave}}}"#).into() }
}

#[tonic::async_trait]
impl Zerobus for Server {
    type EphemeralStreamStream = Boxed<proto::EphemeralStreamResponse>;
    type PersistentStreamStream = Boxed<proto::PersistentStreamResponse>;

    async fn ephemeral_stream(
        &self,
        request: Request<Streaming<proto::EphemeralStreamRequest>>,
    ) -> Result<Response<Self::EphemeralStreamStream>, Status> {
        let (number, mut input) = (self.open()?, request.into_inner());
        let (out, output) = unbounded_channel();
        let mut session = Session { inner: self.inner.clone(), number, rows: 0, silent: false, out };
        let stillborn = self.stillborn();
        tokio::spawn(async move {
            let say = |payload| proto::EphemeralStreamResponse { payload: Some(payload) };
            while let Some(Ok(request)) = input.next().await {
                let (offset, ids) = match request.payload.unwrap() {
                    Ask::IngestRecord(one) => (one.offset_id.unwrap(), vec![id_of(one.record.unwrap())]),
                    Ask::IngestRecordBatch(batch) => (batch.offset_id.unwrap(), ids_of(batch.batch.unwrap())),
                    Ask::CreateStream(_) => {
                        let opened = proto::CreateIngestStreamResponse { stream_id: Some("one".into()) };
                        let _ = session.out.send(Ok(say(Answer::CreateStreamResponse(opened))));
                        if let Some(status) = stillborn.clone() {
                            let _ = session.out.send(Err(status));
                            break;
                        }
                        continue;
                    }
                };
                let ack = |_, whole: bool| {
                    let up_to = whole.then_some(offset)?;
                    let ack = proto::IngestRecordResponse { durability_ack_up_to_offset: Some(up_to) };
                    Some(say(Answer::IngestRecordResponse(ack)))
                };
                let leave = || say(Answer::CloseStreamSignal(proto::CloseStreamSignal { duration: None }));
                if !session.hear(&ids, ack, leave).await {
                    break;
                }
            }
            end(session, input).await;
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(output))))
    }

    async fn persistent_stream(
        &self,
        _: Request<Streaming<proto::PersistentStreamRequest>>,
    ) -> Result<Response<Self::PersistentStreamStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn retire_stream(
        &self,
        _: Request<proto::RetireStreamRequest>,
    ) -> Result<Response<proto::RetireStreamResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

fn id_of(record: Record) -> i64 {
    match record {
        Record::JsonRecord(record) => id_of_json(&record),
        Record::ProtoEncodedRecord(record) => id_of_record(&record),
        Record::AvroEncodedRecord(_) => panic!("nobody sends Avro"),
    }
}

fn ids_of(batch: Records) -> Vec<i64> {
    match batch {
        Records::JsonBatch(batch) => batch.records.iter().map(|record| id_of_json(record)).collect(),
        Records::ProtoEncodedBatch(batch) => batch.records.iter().map(|record| id_of_record(record)).collect(),
        Records::AvroBatch(_) => panic!("nobody sends Avro"),
    }
}

fn id_of_json(record: &str) -> i64 {
    serde_json::from_str::<serde_json::Value>(record).unwrap()["id"].as_i64().unwrap()
}

/// Its first field, a varint.
fn id_of_record(record: &[u8]) -> i64 {
    assert_eq!(record[0], 1 << 3);
    let bytes = record[1..].iter().scan(true, |more, byte| std::mem::replace(more, byte & 0x80 != 0).then_some(byte));
    bytes.enumerate().fold(0, |id, (place, byte)| id | i64::from(byte & 0x7f) << (7 * place))
}

#[tonic::async_trait]
impl FlightService for Server {
    type HandshakeStream = Boxed<HandshakeResponse>;
    type ListFlightsStream = Boxed<FlightInfo>;
    type DoGetStream = Boxed<FlightData>;
    type DoPutStream = Boxed<PutResult>;
    type DoExchangeStream = Boxed<FlightData>;
    type DoActionStream = Boxed<FlightResult>;
    type ListActionsStream = Boxed<ActionType>;

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let (number, mut input) = (self.open()?, request.into_inner());
        let (out, output) = unbounded_channel();
        let mut session = Session { inner: self.inner.clone(), number, rows: 0, silent: false, out };
        let stillborn = self.stillborn();
        tokio::spawn(async move {
            let Some(Ok(first)) = input.next().await else { return };
            let schema = Arc::new(arrow_schema::Schema::try_from(&first).unwrap());
            let _ = session.out.send(Ok(put(-1, 0, "")));
            if let Some(status) = stillborn {
                let _ = session.out.send(Err(status));
                return end(session, input).await;
            }
            let mut offset = -1;
            while let Some(Ok(data)) = input.next().await {
                offset += 1;
                assert_eq!(data.app_metadata, format!(r#"{{"offset_id":{offset}}}"#));
                let batch = flight_data_to_arrow_batch(&data, schema.clone(), &HashMap::new()).unwrap();
                let ids = batch.column(0).as_primitive::<Int64Type>().values().to_vec();
                let (rows, leave) = (session.rows + ids.len(), r#","close_stream_duration_ms":5"#);
                let ack = |rows, whole| Some(put(if whole { offset } else { offset - 1 }, rows, ""));
                if !session.hear(&ids, ack, || put(offset, rows, leave)).await {
                    break;
                }
            }
            end(session, input).await;
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(output))))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn do_get(&self, _: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn do_action(&self, _: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(Status::unimplemented(""))
    }
}
