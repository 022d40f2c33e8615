//! Stories of the sender to Zerobus, against a small server in this process: what arrives, what does not, and why.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod server;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int8Array, Int64Array, ListArray, RecordBatch, StringArray, StringViewArray, UInt64Array};
use millrace::arrow::zerobus::{
    Client, Debug, Delivery, Retry, SendError, SpoolConfig, TransmissionResult, WhenSpoolFull, ZerobusConfig,
    try_to_open,
};
use millrace::arrow::{Batch, Compression};
use millrace::error::{ErrorCode, HasCode};
use millrace::spool::{Options, Spool};
use server::{Reply, Server};
use tonic::Status;

const QUICK: Retry = Retry { max_attempts: 4, base_delay_ms: 1, max_delay_ms: 4 };

fn config(server: &Server) -> ZerobusConfig {
    ZerobusConfig {
        endpoint: server.endpoint.clone(),
        unity_catalog_url: server.tokens.clone(),
        table: "main.default.readings".into(),
        client_id: "id".into(),
        client_secret: "hush-hush".into(),
        retry: QUICK,
        ..ZerobusConfig::default()
    }
}

async fn open(config: ZerobusConfig) -> Arc<Client> {
    Arc::new(Client::open(config).await.unwrap())
}

fn of_column(name: &str, column: ArrayRef) -> Batch {
    let part = RecordBatch::try_from_iter([(name, column)]).unwrap();
    Batch::new(part.schema(), vec![part])
}

fn batch(first: i64, rows: i64) -> Batch {
    of_column("id", Arc::new((first..first + rows).collect::<Int64Array>()))
}

/// The numbers and codes of rows that did not arrive.
fn failed(result: &TransmissionResult) -> Vec<(usize, usize, ErrorCode)> {
    result.failed.iter().map(|rows| (rows.first, rows.count, rows.code)).collect()
}

fn kind(result: &TransmissionResult) -> &'static str {
    result.error.as_ref().map_or("", SendError::kind)
}

/// What would else hang.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it takes for ever")
}

/// Looks again and again.
async fn until(is_so: impl Fn() -> bool) {
    soon(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

fn keep(_: usize, _: &[i64]) -> Reply {
    Reply::Keep
}

struct Folder(PathBuf);

impl Folder {
    /// No other test's, whatever the names.
    fn new(name: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("millrace-zerobus-{}-{number}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }

    fn spool(&self, when_full: WhenSpoolFull) -> Option<SpoolConfig> {
        Some(SpoolConfig { folder: self.0.clone(), sync_ms: 1000, max_bytes: 1 << 20, when_full })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn rows_that_became_no_part_of_a_batch_count_as_failed() {
    let server = Server::start(keep).await;
    let client = open(config(&server)).await;
    for (first, rejected) in [(0, 3), (10, 0), (20, 4)] {
        let result = client.send_rest(batch(first, 5), rejected).await.unwrap();
        assert_eq!((result.total_rows, result.failed_count()), (5, 0));
    }
    assert_eq!((client.stats().rows, client.stats().rows_failed), (15, 7));
}

#[tokio::test]
async fn all_arrive_once_and_in_order_whatever_the_form() {
    for delivery in [Delivery::Flight, Delivery::Protobuf, Delivery::Json] {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let server = Server::start(keep).await;
            let client = open(ZerobusConfig { delivery, compression, ..config(&server) }).await;
            let sends: Vec<_> = (0..10).map(|number| client.send(batch(number * 100, 100))).collect();
            for send in sends {
                let result = send.await.unwrap();
                assert!(result.success && !result.spooled, "{result:?}");
                assert_eq!((result.attempts, result.successful_count(), result.failed_count()), (1, 100, 0));
                assert_eq!(result.batch_size_bytes, 800);
            }
            client.flush().await.unwrap();
            assert_eq!(server.kept(), (0..1000).collect::<Vec<_>>());
            let stats = client.stats();
            assert_eq!((stats.batches, stats.rows, stats.streams, stats.in_flight_bytes), (10, 1000, 1, 0));
            client.close(Duration::from_secs(5)).await;
            assert!(matches!(client.send(batch(0, 1)).await, Err(SendError::Closed)));
            assert_eq!(server.kept().len(), 1000);
        }
    }
}

#[tokio::test]
async fn only_what_was_not_acknowledged_goes_again() {
    for delivery in [Delivery::Flight, Delivery::Protobuf, Delivery::Json] {
        let turn = AtomicUsize::new(0);
        let server = Server::start(move |_, _| match turn.fetch_add(1, Ordering::Relaxed) {
            // A record stream acknowledges whole messages alone.
            2 if delivery == Delivery::Flight => Reply::Part(40),
            4 => Reply::Fail(Status::unavailable("for a while")),
            6 => Reply::End,
            8 => Reply::Leave,
            _ => Reply::Keep,
        })
        .await;
        let client = open(ZerobusConfig { delivery, ..config(&server) }).await;
        for number in 0..10 {
            let result = client.send(batch(number * 100, 100)).await.unwrap();
            assert!(result.success, "{result:?}");
        }
        assert_eq!(server.kept(), (0..1000).collect::<Vec<_>>(), "{delivery:?}");
        assert!(server.streams() >= 3);
        assert!(client.stats().retries > 0);
    }
}

#[tokio::test]
async fn many_that_are_under_way_keep_their_order_when_streams_fail() {
    let turn = AtomicUsize::new(0);
    let server = Server::start(move |_, _| match turn.fetch_add(1, Ordering::Relaxed) % 7 {
        3 => Reply::Part(5),
        6 => Reply::Fail(Status::internal("now and then")),
        _ => Reply::Keep,
    })
    .await;
    let client = open(ZerobusConfig { retry: Retry { max_attempts: 100, ..QUICK }, ..config(&server) }).await;
    let sends: Vec<_> = (0..40).map(|number| tokio::spawn(client.send(batch(number * 10, 10)))).collect();
    for send in sends {
        assert!(send.await.unwrap().unwrap().success);
    }
    assert_eq!(server.kept(), (0..400).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_row_that_is_refused_is_found_and_the_rest_arrives() {
    for delivery in [Delivery::Flight, Delivery::Protobuf, Delivery::Json] {
        for (status, code) in [
            (Status::invalid_argument("not so"), ErrorCode::Refused),
            (Status::resource_exhausted("Received message larger than max (9 vs. 4)"), ErrorCode::TooLarge),
        ] {
            let server = Server::start(move |_, ids| match ids.contains(&13) {
                true => Reply::Fail(status.clone()),
                false => Reply::Keep,
            })
            .await;
            let client = open(ZerobusConfig { delivery, ..config(&server) }).await;
            let sends: Vec<_> = (0..4).map(|number| tokio::spawn(client.send(batch(number * 10, 10)))).collect();
            for (number, send) in sends.into_iter().enumerate() {
                let result = send.await.unwrap().unwrap();
                let wanted = if number == 1 { vec![(3, 1, code)] } else { Vec::new() };
                assert_eq!(failed(&result), wanted, "{delivery:?} {number} {:?}", result.error);
            }
            let kept = server.kept();
            // What was refused did not arrive.
            assert!(delivery != Delivery::Flight || client.stats().bytes == 39 * 8);
            assert_eq!(kept.len(), 39);
            assert_eq!(kept.into_iter().collect::<HashSet<_>>(), (0..40).filter(|id| *id != 13).collect());
            assert_eq!(client.stats().rows_failed, 1);
        }
    }
}

#[tokio::test]
async fn a_batch_of_bad_rows_alone_is_given_up_as_a_whole() {
    let server = Server::start(|_, _| Reply::Fail(Status::invalid_argument("none of it"))).await;
    let client = open(config(&server)).await;
    let result = client.send(batch(0, 300)).await.unwrap();
    assert_eq!((result.failed_count(), kind(&result)), (300, "rejected"));
    // Not one by one.
    assert!(server.streams() < 300, "{}", server.streams());
}

#[tokio::test]
async fn it_is_given_up_after_so_many_attempts() {
    let server = Server::start(|_, _| Reply::Fail(Status::unavailable("not today"))).await;
    let client = open(config(&server)).await;
    let result = client.send(batch(0, 5)).await.unwrap();
    assert_eq!(failed(&result), [(0, 5, ErrorCode::Transport)]);
    assert_eq!((kind(&result), result.attempts, server.streams()), ("retry-exhausted", 4, 4));
    assert!(client.stats().last_error.unwrap().contains("not today"));
}

#[tokio::test]
async fn no_stream_opens() {
    let server = Server::start(keep).await;
    let refused = |status: Status, wanted: (&'static str, u32)| {
        let server = server.clone();
        async move {
            let client = open(config(&server)).await;
            server.refuse(status.clone());
            let result = client.send(batch(0, 5)).await.unwrap();
            assert_eq!((kind(&result), result.attempts), wanted, "{status}");
            assert_eq!(result.failed_count(), 5);
        }
    };
    refused(Status::not_found("no such table"), ("missing", 0)).await;
    refused(Status::invalid_argument("not these columns"), ("rejected", 0)).await;
    assert_eq!(server.streams(), 0);

    // What goes away is waited for.
    let client = open(config(&server)).await;
    server.refuse(Status::unavailable("soon"));
    server.refuse(Status::resource_exhausted("quota"));
    let result = client.send(batch(0, 5)).await.unwrap();
    assert_eq!((result.success, result.attempts), (true, 1));

    let nobody = ZerobusConfig { endpoint: "http://127.0.0.1:9".into(), ..config(&server) };
    let result = open(nobody).await.send(batch(0, 5)).await.unwrap();
    // Nothing was handed over.
    assert_eq!((kind(&result), result.attempts), ("retry-exhausted", 0));
    assert!(result.error.unwrap().to_string().starts_with("given up after 4 attempts"));
}

#[tokio::test]
async fn a_stream_that_ends_before_a_row_counts_as_one_that_did_not_open() {
    for delivery in [Delivery::Flight, Delivery::Protobuf, Delivery::Json] {
        let server = Server::start(keep).await;
        let client = open(ZerobusConfig { delivery, ..config(&server) }).await;
        // As often as it may be tried, and once less.
        for (endings, success) in [(4, false), (3, true)] {
            for _ in 0..endings {
                server.fail_at_once(Status::unavailable("not now"));
            }
            let before = server.streams();
            let result = client.send(batch(0, 5)).await.unwrap();
            assert_eq!(result.success, success, "{delivery:?}");
            // Rows may be handed over before it is heard that the stream is over.
            assert!((u32::from(success)..=4).contains(&result.attempts), "{delivery:?} {}", result.attempts);
            assert_eq!(server.streams() - before, 4, "{delivery:?}");
        }
    }
}

#[tokio::test]
async fn a_schema_that_is_not_taken_does_not_hold_up_another() {
    let server = Server::start(keep).await;
    let client = open(config(&server)).await;
    server.refuse(Status::invalid_argument("no column of this name"));
    let wide = of_column("other", Arc::new(Int64Array::from(vec![1])));
    let sends = [client.send(wide), client.send(batch(7, 2)), client.send(batch(9, 1))];
    let mut kinds = Vec::new();
    for send in sends.map(tokio::spawn) {
        kinds.push(kind(&send.await.unwrap().unwrap()));
    }
    assert_eq!(kinds, ["rejected", "", ""]);
    // And back to one that is: a stream each.
    assert!(client.send(of_column("more", Arc::new(Int64Array::from(vec![1])))).await.unwrap().success);
    assert_eq!((server.kept(), server.streams()), (vec![7, 8, 9, 1], 2));
}

/// The official client asks for tokens; with an authority of one's own we do.
const AUTHORITIES: [Option<&str>; 2] = [None, Some(include_str!("ca.pem"))];

#[tokio::test]
async fn credentials_decide() {
    for ca in AUTHORITIES {
        let server = Server::start(keep).await;
        let config = || ZerobusConfig { ca: ca.map(str::to_owned), ..config(&server) };
        let answers = |answers: &[(u16, &'static str)]| server.inner.tokens.lock().unwrap().extend(answers);
        answers(&[(401, "who is hush-hush?"); 2]);
        let client = open(config()).await;
        let result = client.send(batch(0, 1)).await.unwrap();
        assert_eq!(failed(&result), [(0, 1, ErrorCode::Unauthorized)]);
        assert!(!format!("{result:?}{:?}", client.stats()).contains("hush"), "{result:?}");
        // How long a token lasts may be said as text.
        let before = server.inner.asked_for_tokens.load(Ordering::Relaxed);
        answers(&[(200, r#"{"access_token":"token","expires_in":"3600"}"#)]);
        let client = open(config()).await;
        for schema in ["id", "other"] {
            let row = of_column(schema, Arc::new(Int64Array::from(vec![-1])));
            assert!(client.send(row).await.unwrap().success);
        }
        assert_eq!(server.inner.asked_for_tokens.load(Ordering::Relaxed), before + 1);
        // An endpoint that fails may come back; one that says nothing sensible, too.
        answers(&[(503, "later")]);
        assert!(open(config()).await.send(batch(0, 1)).await.unwrap().success);
        answers(&[(200, "{}"); 2]);
        assert_eq!(kind(&open(config()).await.send(batch(0, 1)).await.unwrap()), "authentication");
        // A stream that is not let in gets a new token, once.
        let before = server.inner.asked_for_tokens.load(Ordering::Relaxed);
        let client = open(config()).await;
        server.refuse(Status::unauthenticated("expired"));
        assert!(client.send(batch(1, 1)).await.unwrap().success);
        assert_eq!(server.inner.asked_for_tokens.load(Ordering::Relaxed), before + 2);
        // Another one takes the token that there is.
        let other = of_column("other", Arc::new(Int64Array::from(vec![2])));
        assert!(client.send(other).await.unwrap().success);
        assert_eq!(server.inner.asked_for_tokens.load(Ordering::Relaxed), before + 2);
        assert_eq!(server.kept(), [-1, -1, 0, 1, 2]);
        let nobody = ZerobusConfig { unity_catalog_url: "http://127.0.0.1:9".into(), ..config() };
        let result = open(nobody).await.send(batch(0, 1)).await.unwrap();
        assert_eq!(failed(&result), [(0, 1, ErrorCode::Transport)]);
    }
    let ca = Some("-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n".to_owned());
    let server = Server::start(keep).await;
    let error = Client::open(ZerobusConfig { ca, ..config(&server) }).await.map(drop).unwrap_err();
    assert!(error.to_string().starts_with("ca is ''"), "{error}");
}

#[tokio::test]
async fn a_stream_that_is_put_out_gets_one_more() {
    for (status, wanted, code) in [
        (Status::unauthenticated("expired"), "authentication", ErrorCode::Unauthorized),
        (Status::permission_denied("not any more"), "permission", ErrorCode::Unauthorized),
        (Status::not_found("dropped"), "missing", ErrorCode::Refused),
    ] {
        // Once is no reason to give up; for ever is.
        let put_out = status.clone();
        let server = Server::start(move |stream, _| match stream {
            0 => Reply::Fail(put_out.clone()),
            _ => Reply::Keep,
        })
        .await;
        let result = open(config(&server)).await.send(batch(0, 5)).await.unwrap();
        assert_eq!((result.success, result.attempts), (true, 2), "{status}");

        let put_out = status.clone();
        let server = Server::start(move |_, _| Reply::Fail(put_out.clone())).await;
        let result = open(config(&server)).await.send(batch(0, 5)).await.unwrap();
        assert_eq!((failed(&result), kind(&result)), (vec![(0, 5, code)], wanted));
        assert_eq!((result.attempts, server.streams()), (2, 2), "{status}");

        // In a spool they wait until somebody has mended it.
        let folder = Folder::new(wanted);
        let server = Server::start(move |stream, _| match stream {
            0..6 => Reply::Fail(status.clone()),
            _ => Reply::Keep,
        })
        .await;
        let client = open(ZerobusConfig { spool: folder.spool(WhenSpoolFull::Block), ..config(&server) }).await;
        assert!(client.send(batch(0, 5)).await.unwrap().spooled);
        client.flush().await.unwrap();
        assert_eq!((server.kept(), client.stats().rows_aside), ((0..5).collect::<Vec<_>>(), 0), "{wanted}");
    }
}

#[tokio::test]
async fn a_connection_can_be_tried_without_a_row() {
    let server = Server::start(keep).await;
    let schema = batch(0, 0).schema().clone();
    for delivery in [Delivery::Flight, Delivery::Protobuf, Delivery::Json] {
        try_to_open(ZerobusConfig { delivery, ..config(&server) }, &schema).await.unwrap();
    }
    server.refuse(Status::permission_denied("no"));
    let error = try_to_open(config(&server), &schema).await.unwrap_err();
    assert_eq!(error.kind(), "permission");
    server.refuse(Status::unauthenticated("no"));
    assert_eq!(try_to_open(config(&server), &schema).await.unwrap_err().kind(), "authentication");
    assert_eq!(try_to_open(ZerobusConfig::default(), &schema).await.unwrap_err().kind(), "configuration");
    assert_eq!(server.kept().len(), 0);
}

#[tokio::test]
async fn a_stream_without_acknowledgements_is_left() {
    let server = Server::start(|stream, _| if stream == 0 { Reply::Silent } else { Reply::Keep }).await;
    let client = open(ZerobusConfig { ack_timeout_ms: 100, ..config(&server) }).await;
    let result = soon(client.send(batch(0, 5))).await.unwrap();
    assert_eq!((result.success, result.attempts), (true, 2));
}

#[tokio::test]
async fn a_slow_stream_that_advances_is_not_left() {
    for delivery in [Delivery::Flight, Delivery::Protobuf, Delivery::Json] {
        let server = Server::start(keep).await;
        server.inner.pace.store(100, Ordering::Relaxed);
        let client = open(ZerobusConfig { delivery, ack_timeout_ms: 1000, ..config(&server) }).await;
        // Both take longer than a second: many batches, and, by Flight, which does not count rows one by one, a large one.
        let large = if delivery == Delivery::Flight { 4_000_000 } else { 10 };
        let many = (0..20).map(|number| client.send(batch(large + number * 10, 10)));
        let sends: Vec<_> = std::iter::once(client.send(batch(0, large))).chain(many).map(tokio::spawn).collect();
        for send in sends {
            let result = send.await.unwrap().unwrap();
            assert_eq!((result.success, result.attempts), (true, 1), "{delivery:?} {:?}", result.error);
        }
        assert!(server.kept() == (0..large + 200).collect::<Vec<_>>() && server.streams() == 1, "{delivery:?}");
    }
}

#[tokio::test]
async fn rows_that_do_not_fit_are_told_and_the_rest_arrives() {
    let server = Server::start(keep).await;
    let client = open(config(&server)).await;
    let rows = of_column("id", Arc::new(UInt64Array::from(vec![1, u64::MAX, 3])));
    let result = client.send(rows).await.unwrap();
    assert_eq!((failed(&result), kind(&result)), (vec![(1, 1, ErrorCode::Conversion)], "conversion"));
    assert!(!result.success);
    let message = "row 1, column id: 18446744073709551615 is beyond what the column can hold";
    assert_eq!(result.failed[0].message, message);
    assert_eq!((server.kept(), client.stats().rows_failed), (vec![1, 3], 1));
    // A batch without rows, and one that has none left.
    assert!(client.send(batch(0, 0)).await.unwrap().success);
    let none = of_column("id", Arc::new(UInt64Array::from(vec![u64::MAX])));
    assert_eq!(client.send(none).await.unwrap().failed_count(), 1);
    assert_eq!(server.kept().len(), 2);
}

#[tokio::test]
async fn a_record_that_no_call_takes_is_told() {
    for delivery in [Delivery::Protobuf, Delivery::Json] {
        let server = Server::start(keep).await;
        let client = open(ZerobusConfig { delivery, ..config(&server) }).await;
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a".to_owned(), "b".repeat(11 << 20), "c".to_owned()]));
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let part = RecordBatch::try_from_iter([("id", ids), ("text", text)]).unwrap();
        let result = client.send(Batch::new(part.schema(), vec![part])).await.unwrap();
        assert_eq!(failed(&result), [(1, 1, ErrorCode::TooLarge)], "{:?}", result.error);
        assert_eq!(server.kept(), [1, 3]);
    }
}

#[tokio::test]
async fn what_is_in_memory_is_bounded() {
    let open_gate = Arc::new(AtomicBool::new(false));
    let gate = open_gate.clone();
    let server = Server::start(move |_, _| match gate.load(Ordering::Relaxed) {
        true => Reply::Keep,
        false => Reply::Silent,
    })
    .await;
    let config = ZerobusConfig { max_in_flight_bytes: 1 << 20, ack_timeout_ms: 300, ..config(&server) };
    let client = open(config).await;
    // 400 kB each: two have room.
    let sends: Vec<_> = (0..6).map(|number| tokio::spawn(client.send(batch(number * 50_000, 50_000)))).collect();
    while client.stats().in_flight_bytes < 700 << 10 {
        tokio::task::yield_now().await;
    }
    assert!(client.stats().in_flight_bytes <= 1 << 20);
    open_gate.store(true, Ordering::Relaxed);
    for send in sends {
        assert!(send.await.unwrap().unwrap().success);
    }
    assert_eq!(server.kept().into_iter().collect::<HashSet<_>>().len(), 300_000);
}

#[tokio::test]
async fn a_batch_takes_room_by_its_own_bytes_in_any_form() {
    for delivery in [Delivery::Flight, Delivery::Protobuf, Delivery::Json] {
        let server = Server::start(|_, _| Reply::Silent).await;
        let client = open(ZerobusConfig { delivery, max_in_flight_bytes: 4 << 20, ..config(&server) }).await;
        let firsts = [10_000_000, 20_000_000];
        let sends = firsts.map(|first| tokio::spawn(client.send(batch(first, 50_000))));
        until(|| server.kept().len() == 100_000).await;
        // A varint of four bytes behind its tag; and `{"id":10000000}`.
        let row = match delivery {
            Delivery::Flight => 8,
            Delivery::Protobuf => 5,
            Delivery::Json => 15,
        };
        let held = 2 * (50_000_u64 * row).div_ceil(1024) * 1024;
        assert_eq!(client.stats().in_flight_bytes, held, "{delivery:?}");
        client.close(Duration::ZERO).await;
        for send in sends {
            assert!(matches!(send.await.unwrap(), Err(SendError::Closed)));
        }
    }
}

#[tokio::test]
async fn what_records_become_takes_room_too() {
    let server = Server::start(|_, _| Reply::Silent).await;
    let limit = 1 << 20;
    let client = open(ZerobusConfig { delivery: Delivery::Json, max_in_flight_bytes: limit, ..config(&server) }).await;
    let small: ArrayRef = Arc::new(Int8Array::from(vec![1; 10_000]));
    let sends = [0, 10_000].map(|first| {
        let ids: ArrayRef = Arc::new((first..first + 10_000).collect::<Int64Array>());
        let columns = (0..10).map(|place| (format!("a_column_with_a_long_name_{place}"), small.clone()));
        let part = RecordBatch::try_from_iter(std::iter::once(("id".to_owned(), ids)).chain(columns)).unwrap();
        tokio::spawn(client.send(Batch::new(part.schema(), vec![part])))
    });
    until(|| server.kept().len() == 10_000).await;
    // It fills the room, which is much more than it came with.
    assert_eq!(client.stats().in_flight_bytes, limit);
    client.close(Duration::ZERO).await;
    for send in sends {
        assert!(matches!(send.await.unwrap(), Err(SendError::Closed)));
    }
    assert_eq!(server.kept().len(), 10_000);
}

#[tokio::test]
async fn what_waits_for_its_turn_is_not_made_ready_yet() {
    let folder = Folder::new("turns");
    let server = Server::start(|_, _| Reply::Silent).await;
    // A copy is made of what is ready.
    let debug = Debug { protobuf: true, folder: Some(folder.0.clone()), ..Debug::default() };
    let client = open(ZerobusConfig { debug, max_in_flight_bytes: 1 << 20, ..config(&server) }).await;
    // 400 kB each: two have room.
    let sends: Vec<_> =
        (0..10).map(|number| tokio::spawn(client.send(batch(10_000_000 + number * 50_000, 50_000)))).collect();
    until(|| server.kept().len() == 100_000).await;
    client.close(Duration::ZERO).await;
    for send in sends {
        assert!(matches!(send.await.unwrap(), Err(SendError::Closed)));
    }
    let files = std::fs::read_dir(folder.0.join("protobuf")).unwrap().map(|entry| entry.unwrap().path());
    let records = files.filter(|path| path.extension().is_some_and(|it| it == "binpb"));
    let bytes: u64 = records.map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(bytes, 2 * 50_000 * 6);
}

#[tokio::test]
async fn one_that_cannot_be_prepared_lets_nobody_overtake() {
    let server = Server::start(keep).await;
    let client = open(config(&server)).await;
    // Texts of this form are copied one by one, which takes its time.
    let ids: ArrayRef = Arc::new((0..300_000).collect::<Int64Array>());
    let texts: ArrayRef =
        Arc::new((0..300_000).map(|id| Some(format!("a text of its own: {id}"))).collect::<StringViewArray>());
    let part = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap();
    let slow = client.send(Batch::new(part.schema(), vec![part]));
    let unfit = client.send(of_column("", Arc::new(Int64Array::from(vec![1]))));
    let quick = client.send(batch(300_000, 1));
    let sends = [slow, unfit, quick].map(tokio::spawn);
    let mut kinds = Vec::new();
    for send in sends {
        kinds.push(kind(&send.await.unwrap().unwrap()));
    }
    assert_eq!(kinds, ["", "conversion", ""]);
    assert_eq!(server.kept().last(), Some(&300_000));
}

#[tokio::test]
async fn whoever_closes_waits_no_longer_than_he_said() {
    let server = Server::start(|_, _| Reply::Silent).await;
    let client = open(config(&server)).await;
    let send = tokio::spawn(client.send(batch(0, 5)));
    while server.kept().is_empty() {
        tokio::task::yield_now().await;
    }
    client.close(Duration::from_millis(1)).await;
    assert!(matches!(send.await.unwrap(), Err(SendError::Closed)));
}

#[tokio::test]
async fn without_a_writer_there_are_copies_alone() {
    let folder = Folder::new("copies");
    let debug = Debug { arrow: true, protobuf: true, folder: Some(folder.0.clone()), ..Debug::default() };
    let config = ZerobusConfig { table: "a.b.c".into(), debug, writer_disabled: true, ..ZerobusConfig::default() };
    let client = open(config).await;
    assert!(client.send(batch(0, 3)).await.unwrap().success);
    client.close(Duration::ZERO).await;
    let count = |kind: &str, end: &str| {
        let files = std::fs::read_dir(folder.0.join(kind)).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|it| it == end)).count()
    };
    assert_eq!((count("arrow", "arrow"), count("protobuf", "pb"), count("protobuf", "binpb")), (1, 1, 1));
    // A folder that cannot be had is told of.
    let file = folder.0.join("file");
    std::fs::write(&file, "").unwrap();
    let debug = Debug { protobuf: true, folder: Some(file), ..Debug::default() };
    let config = ZerobusConfig { table: "a.b.c".into(), debug, writer_disabled: true, ..ZerobusConfig::default() };
    let result = open(config).await.send(batch(0, 3)).await.unwrap();
    assert_eq!(result.failed_count(), 3);
}

#[tokio::test]
async fn copies_that_fail_hold_nobody_up() {
    let folder = Folder::new("uncopied");
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("file");
    std::fs::write(&file, "").unwrap();
    let server = Server::start(keep).await;
    let debug = Debug { protobuf: true, folder: Some(file.clone()), ..Debug::default() };
    let client = open(ZerobusConfig { debug, ..config(&server) }).await;
    assert!(client.send(batch(0, 3)).await.unwrap().success);
    let told = client.stats().copies_error.unwrap();
    assert!(told.contains(file.to_str().unwrap()), "{told}");
    std::fs::remove_file(&file).unwrap();
    assert!(client.send(batch(3, 3)).await.unwrap().success);
    assert_eq!((server.kept(), client.stats().copies_error), ((0..6).collect(), None));
}

#[tokio::test]
async fn without_a_writer_rows_that_are_not_copied_are_told() {
    let folder = Folder::new("unfit");
    let debug = Debug { protobuf: true, folder: Some(folder.0.clone()), ..Debug::default() };
    let config = ZerobusConfig { table: "a.b.c".into(), debug, writer_disabled: true, ..ZerobusConfig::default() };
    // The first is no number of the column, the third no list that Protobuf has.
    let numbers: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 1, 2, 3]));
    let lists = [Some(vec![Some(0)]), Some(vec![Some(1)]), Some(vec![None]), Some(vec![Some(3)])];
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
    let part = RecordBatch::try_from_iter([("number", numbers), ("list", lists)]).unwrap();
    let result = open(config).await.send(Batch::new(part.schema(), vec![part])).await.unwrap();
    assert_eq!(failed(&result), [(0, 1, ErrorCode::Conversion), (2, 1, ErrorCode::Conversion)]);
}

#[tokio::test]
async fn who_is_closed_tells_which_rows_arrived() {
    let server = Server::start(|_, _| Reply::Stall(40)).await;
    let client = open(config(&server)).await;
    let send = tokio::spawn(client.send(batch(0, 100)));
    until(|| server.kept().len() == 40).await;
    client.close(Duration::ZERO).await;
    assert_eq!(failed(&send.await.unwrap().unwrap()), [(40, 60, ErrorCode::Closed)]);
    client.flush().await.unwrap();
}

#[tokio::test]
async fn a_flush_of_what_is_closed_says_whether_rows_wait() {
    let folder = Folder::new("closed");
    let server = Server::start(|_, _| Reply::Stall(0)).await;
    let client = open(ZerobusConfig { spool: folder.spool(WhenSpoolFull::Block), ..config(&server) }).await;
    assert!(client.send(batch(0, 5)).await.unwrap().spooled);
    let waiting = client.clone();
    let flushed = tokio::spawn(async move { waiting.flush().await });
    until(|| server.streams() > 0).await;
    client.close(Duration::ZERO).await;
    assert!(matches!(soon(flushed).await.unwrap(), Err(SendError::Closed)));
    assert!(matches!(client.flush().await, Err(SendError::Closed)));
    assert_eq!(client.stats().spooled, 1);
}

#[tokio::test]
async fn the_spool_takes_what_cannot_be_sent_now_and_sends_it_later() {
    let folder = Folder::new("later");
    let server = Server::start(keep).await;
    let spool = folder.spool(WhenSpoolFull::Block);
    let away = ZerobusConfig { endpoint: "http://127.0.0.1:9".into(), spool: spool.clone(), ..config(&server) };
    let first = open(away.clone()).await;
    for number in 0..5 {
        let result = first.send(batch(number * 10, 10)).await.unwrap();
        assert!(result.success && result.spooled);
    }
    assert_eq!(Client::open(away).await.map(drop).unwrap_err().code(), ErrorCode::StoreLocked);
    let stats = first.stats();
    assert_eq!((stats.spooled, stats.spool_bytes > 0, stats.spool_oldest_ms.is_some()), (5, true, true));
    first.close(Duration::ZERO).await;
    assert!(matches!(first.send(batch(0, 1)).await, Err(SendError::Closed)));

    let second = open(ZerobusConfig { spool, ..config(&server) }).await;
    second.flush().await.unwrap();
    assert!(second.send(batch(50, 10)).await.unwrap().spooled);
    second.flush().await.unwrap();
    assert_eq!((server.kept(), second.stats().spooled), ((0..60).collect::<Vec<_>>(), 0));
    second.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_spool_of_more_than_the_memory_has_room_for_arrives_in_order() {
    let folder = Folder::new("room");
    let server = Server::start(keep).await;
    let spool = SpoolConfig { max_bytes: 64 << 20, ..folder.spool(WhenSpoolFull::Block).unwrap() };
    let away = ZerobusConfig { endpoint: "http://127.0.0.1:9".into(), spool: Some(spool), ..config(&server) };
    let first = open(away.clone()).await;
    for number in 0..10 {
        assert!(first.send(batch(number * 50_000, 50_000)).await.unwrap().spooled);
    }
    first.close(Duration::from_secs(5)).await;

    // 400 kB each when they are unpacked: two have room.
    let here = ZerobusConfig { endpoint: config(&server).endpoint, max_in_flight_bytes: 1 << 20, ..away };
    let second = open(here).await;
    second.flush().await.unwrap();
    assert_eq!(server.kept(), (0..500_000).collect::<Vec<_>>());
    second.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_full_spool_refuses_drops_or_waits() {
    let server = Server::start(keep).await;
    let noise = |seed: i64| {
        let ids = (0..20_000_i64).map(|number| (number + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64));
        of_column("id", Arc::new(ids.collect::<Int64Array>()))
    };
    let away = |name: &Folder, when_full| ZerobusConfig {
        endpoint: "http://127.0.0.1:9".into(),
        spool: name.spool(when_full),
        ..config(&server)
    };
    let folder = Folder::new("refuse");
    let client = open(away(&folder, WhenSpoolFull::Refuse)).await;
    let mut last = Vec::new();
    for seed in 0..10 {
        last = failed(&client.send(noise(seed)).await.unwrap());
    }
    assert_eq!(last, [(0, 20_000, ErrorCode::BufferFull)]);

    let folder = Folder::new("drop");
    let client = open(away(&folder, WhenSpoolFull::DropOldest)).await;
    for seed in 0..10 {
        assert!(client.send(noise(seed)).await.unwrap().success);
    }
    assert!(client.stats().spool_lost > 0);

    // One that waits is freed by what arrives, or by the end.
    let folder = Folder::new("block");
    let client = open(away(&folder, WhenSpoolFull::Block)).await;
    let sends: Vec<_> = (0..10).map(|seed| tokio::spawn(client.send(noise(seed)))).collect();
    while client.stats().spool_bytes < 800 << 10 {
        tokio::task::yield_now().await;
    }
    client.close(Duration::ZERO).await;
    let mut closed = 0;
    for send in sends {
        closed += usize::from(matches!(send.await.unwrap(), Err(SendError::Closed)));
    }
    assert!(closed > 0);
    let client = open(ZerobusConfig { endpoint: server.endpoint.clone(), ..away(&folder, WhenSpoolFull::Block) }).await;
    for send in (0..10).map(|seed| tokio::spawn(client.send(noise(seed)))).collect::<Vec<_>>() {
        assert!(send.await.unwrap().unwrap().success);
    }
    client.flush().await.unwrap();
    assert_eq!(server.kept().len(), (20 - closed) * 20_000);
}

#[tokio::test]
async fn what_is_refused_is_put_beside_the_spool() {
    let folder = Folder::new("aside");
    let server = Server::start(|_, ids| match ids.contains(&14) || ids.contains(&17) {
        true => Reply::Fail(Status::invalid_argument("not so")),
        false => Reply::Keep,
    })
    .await;
    let client = open(ZerobusConfig { spool: folder.spool(WhenSpoolFull::Block), ..config(&server) }).await;
    for number in 0..3 {
        assert!(client.send(batch(number * 10, 10)).await.unwrap().success);
    }
    client.flush().await.unwrap();
    let kept: HashSet<i64> = server.kept().into_iter().collect();
    assert_eq!(kept, (0..30).filter(|id| ![14, 17].contains(id)).collect());
    let mut files: Vec<_> =
        std::fs::read_dir(folder.0.join("rejected")).unwrap().map(|it| it.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["1-4.arrow", "1-4.json"]);
    let reasons = std::fs::read(folder.0.join("rejected/1-4.json")).unwrap();
    let reasons: serde_json::Value = serde_json::from_slice(&reasons).unwrap();
    assert_eq!(
        (&reasons[0]["first"], &reasons[0]["count"], &reasons[0]["code"]),
        (&0.into(), &2.into(), &"REFUSED".into())
    );
    assert_eq!((client.stats().rows_aside, client.stats().rows_failed), (2, 2));
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_lies_beside_the_spool_and_stops_nobody() {
    let folder = Folder::new("unreadable");
    let server = Server::start(keep).await;
    let spool = Spool::open(&folder.0, Options::default()).unwrap();
    spool.append(&[b"no Arrow"]).unwrap();
    drop(spool);
    let client = open(ZerobusConfig { spool: folder.spool(WhenSpoolFull::Block), ..config(&server) }).await;
    assert!(client.send(batch(0, 10)).await.unwrap().success);
    soon(client.flush()).await.unwrap();
    assert_eq!(server.kept(), (0..10).collect::<Vec<_>>());
    assert_eq!(std::fs::read(folder.0.join("rejected/0.bin")).unwrap(), b"no Arrow");
    let reasons = std::fs::read(folder.0.join("rejected/0.json")).unwrap();
    let reasons: serde_json::Value = serde_json::from_slice(&reasons).unwrap();
    assert_eq!(reasons[0]["code"], "INVALID_INPUT");
    assert_eq!((client.stats().spool_lost, client.stats().rows_aside), (1, 0));
}

#[tokio::test]
async fn a_batch_that_could_not_be_unpacked_is_not_taken() {
    let folder = Folder::new("huge");
    let server = Server::start(keep).await;
    let spool = SpoolConfig { max_bytes: 1 << 40, ..folder.spool(WhenSpoolFull::Block).unwrap() };
    let client = open(ZerobusConfig { spool: Some(spool), ..config(&server) }).await;
    // One column a thousand times: it takes the memory of one.
    let column: ArrayRef = Arc::new(Int64Array::from(vec![0; 600_000]));
    let part = RecordBatch::try_from_iter((0..1000).map(|place| (format!("c{place}"), column.clone()))).unwrap();
    let result = client.send(Batch::new(part.schema(), vec![part])).await.unwrap();
    assert_eq!(failed(&result), [(0, 600_000, ErrorCode::TooLarge)]);
    assert_eq!(client.stats().spooled, 0);
}

/// A server that fails as long as it is told to, and a sender that has a batch for it on the disk: its only segment.
#[cfg(unix)]
async fn held_back(folder: &Folder) -> (Server, Arc<AtomicBool>, Arc<Client>, PathBuf) {
    let away = Arc::new(AtomicBool::new(true));
    let is_away = away.clone();
    let server = Server::start(move |_, _| match is_away.load(Ordering::Relaxed) {
        true => Reply::Fail(Status::unavailable("not yet")),
        false => Reply::Keep,
    })
    .await;
    let client = open(ZerobusConfig { spool: folder.spool(WhenSpoolFull::Block), ..config(&server) }).await;
    assert!(client.send(batch(0, 10)).await.unwrap().success);
    let segment = folder.0.join(format!("{:020}.spool", 0));
    (server, away, client, segment)
}

#[cfg(unix)]
#[tokio::test]
async fn a_spool_that_cannot_be_read_is_told_of_and_tried_again() {
    let folder = Folder::new("unread");
    let (server, away, client, segment) = held_back(&folder).await;
    // A folder in its place can be opened, and not be read.
    let (kept, strange) = (folder.0.join("kept"), folder.0.join("strange"));
    std::fs::hard_link(&segment, &kept).unwrap();
    std::os::unix::fs::symlink("/", &strange).unwrap();
    std::fs::rename(&strange, &segment).unwrap();
    let name = folder.0.to_str().unwrap();
    soon(async {
        while !client.stats().last_error.is_some_and(|error| error.contains(name)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((client.stats().spooled, client.stats().spool_lost), (1, 0));
    std::fs::rename(&kept, &segment).unwrap();
    away.store(false, Ordering::Relaxed);
    soon(client.flush()).await.unwrap();
    assert_eq!((server.kept(), client.stats().last_error), ((0..10).collect(), None));
}

#[cfg(unix)]
#[tokio::test]
async fn who_waits_for_an_empty_spool_hears_of_it_also_when_the_last_batch_is_lost() {
    let folder = Folder::new("lost");
    let (server, _, client, segment) = held_back(&folder).await;
    let waiting = client.clone();
    let flushed = tokio::spawn(async move { waiting.flush().await });
    tokio::task::yield_now().await;
    std::fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(20).unwrap();
    soon(flushed).await.unwrap().unwrap();
    assert_eq!((client.stats().spooled, client.stats().spool_lost, server.kept().len()), (0, 1, 0));
}

#[tokio::test]
async fn one_that_never_arrives_does_not_stop_the_others_and_is_set_aside() {
    let folder = Folder::new("stuck");
    // Not refused: it fails as a network would, each time.
    let server = Server::start(|_, ids| match ids.contains(&5) {
        true => Reply::Fail(Status::unavailable("for ever")),
        false => Reply::Keep,
    })
    .await;
    let client = open(ZerobusConfig { spool: folder.spool(WhenSpoolFull::Block), ..config(&server) }).await;
    for number in 0..40 {
        assert!(client.send(batch(number * 10, 10)).await.unwrap().success);
        // One after the other: each is an arrival beside the one that is stuck.
        while client.stats().spooled > 1 {
            tokio::task::yield_now().await;
        }
    }
    client.flush().await.unwrap();
    let kept: HashSet<i64> = server.kept().into_iter().collect();
    assert_eq!(kept, (10..400).collect());
    assert!(folder.0.join("rejected/0-0.arrow").exists());
    // Each attempt failed; its rows failed once.
    assert_eq!(client.stats().rows_failed, 10);
}

#[tokio::test]
async fn what_arrived_of_a_batch_does_not_go_again_after_a_restart() {
    // The stream fails, and the next takes nothing; or it takes no more itself.
    for fails in [true, false] {
        let folder = Folder::new("partly");
        let back = Arc::new(AtomicBool::new(false));
        let is_back = back.clone();
        let server = Server::start(move |stream, _| match stream {
            _ if is_back.load(Ordering::Relaxed) => Reply::Keep,
            0 if fails => Reply::Part(40),
            0 => Reply::Stall(40),
            _ => Reply::Stall(0),
        })
        .await;
        let config = ZerobusConfig { spool: folder.spool(WhenSpoolFull::Block), ..config(&server) };
        let first = open(config.clone()).await;
        assert!(first.send(batch(0, 100)).await.unwrap().success);
        soon(async {
            while server.kept().len() < 40 || (fails && server.streams() < 2) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        first.close(Duration::ZERO).await;
        assert!(folder.0.join("partly").exists());
        back.store(true, Ordering::Relaxed);
        let second = open(config).await;
        soon(second.flush()).await.unwrap();
        assert_eq!(server.kept(), (0..100).collect::<Vec<_>>(), "{fails}");
        // It goes with the batch.
        assert!(second.send(batch(100, 1)).await.unwrap().success);
        soon(second.flush()).await.unwrap();
        second.close(Duration::from_secs(5)).await;
        assert!(!folder.0.join("partly").exists());
    }
}

#[tokio::test]
async fn what_arrived_of_a_batch_is_written_down_before_anything_ends() {
    let folder = Folder::new("crash");
    let away = Arc::new(AtomicBool::new(true));
    let is_away = away.clone();
    let server = Server::start(move |stream, _| match stream {
        0 => Reply::Part(40),
        _ if is_away.load(Ordering::Relaxed) => Reply::Fail(Status::unavailable("not now")),
        _ => Reply::Keep,
    })
    .await;
    let spool = folder.spool(WhenSpoolFull::Block);
    let client = open(ZerobusConfig { spool, ..config(&server) }).await;
    assert!(client.send(batch(0, 100)).await.unwrap().success);
    soon(async {
        while !folder.0.join("partly").exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // As a crash leaves it.
    let copy = Folder::new("copy");
    std::fs::create_dir_all(&copy.0).unwrap();
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, copy.0.join(path.file_name().unwrap())).unwrap();
        }
    }
    client.close(Duration::ZERO).await;
    away.store(false, Ordering::Relaxed);
    let heir = open(ZerobusConfig { spool: copy.spool(WhenSpoolFull::Block), ..config(&server) }).await;
    soon(heir.flush()).await.unwrap();
    assert_eq!(server.kept(), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_table_that_is_missing_is_waited_for() {
    let folder = Folder::new("missing");
    let server = Server::start(keep).await;
    for _ in 0..3 {
        server.refuse(Status::not_found("not yet"));
    }
    let client = open(ZerobusConfig { spool: folder.spool(WhenSpoolFull::Block), ..config(&server) }).await;
    assert!(client.send(batch(0, 10)).await.unwrap().success);
    client.flush().await.unwrap();
    assert_eq!(server.kept(), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn options_that_cannot_work_are_told_when_it_opens() {
    assert!(matches!(Client::open(ZerobusConfig::default()).await, Err(SendError::Configuration(_))));
    let server = Server::start(keep).await;
    let folder = Folder::new("file");
    std::fs::write(&folder.0, "").unwrap();
    let with_file = ZerobusConfig { spool: folder.spool(WhenSpoolFull::Block), ..config(&server) };
    assert!(matches!(Client::open(with_file).await, Err(SendError::Spool(_))));
    std::fs::remove_file(&folder.0).unwrap();
}
