//! Two ROS nodes in one process hear each other over loopback.
#![cfg(feature = "ros2")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use millrace::options::from_json;
use millrace::ros2::{
    Client, Context, Discovery, Durability, Options, Publisher, Qos, Refused, Reliability, Reply, Request, Sample,
    Server, SyncOptions, Synchronized,
};
use millrace::sync::{Blocked, Reason};

const LONG: Duration = Duration::from_secs(20);

fn options(name: &str, domain: u32) -> Options {
    Options { domain: Some(domain), name: name.into(), discovery: Some(Discovery::Localhost), ..Options::default() }
}

fn open(name: &str, domain: u32) -> (Context, Receiver<()>) {
    let (changed, changes) = channel();
    let context = Context::open(
        &options(name, domain),
        |_| None,
        move || {
            let _ = changed.send(());
        },
    )
    .unwrap();
    (context, changes)
}

fn text(words: &str) -> Vec<u8> {
    let mut cdr = vec![0, 1, 0, 0];
    cdr.extend((words.len() as u32 + 1).to_le_bytes());
    cdr.extend(words.as_bytes());
    cdr.push(0);
    cdr
}

/// Looks again at every change.
fn until<T>(changes: &Receiver<()>, mut look: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    while start.elapsed() < LONG {
        if let Some(found) = look() {
            return found;
        }
        let _ = changes.recv_timeout(LONG);
    }
    panic!("not seen in time");
}

#[test]
fn a_talker_is_heard_and_seen() {
    let (talker, matches) = open("talker", 71);
    let (listener, changes) = open("listener", 71);
    let reliable = Qos { reliability: Reliability::Reliable, depth: 10, ..Qos::default() };
    let publisher = talker.publish("chatter", "std_msgs/msg/String", &reliable).unwrap();
    let (samples, heard) = channel::<Sample>();
    let _subscription = listener
        .subscribe("/chatter", "std_msgs/msg/String", &reliable, move |sample| drop(samples.send(sample)))
        .unwrap();

    let endpoint = until(&changes, || {
        let graph = listener.graph().unwrap();
        let named = |name: &str| graph.nodes.iter().any(|node| node.name == name);
        let endpoint = graph.publishers.iter().find(|it| it.topic == "/chatter" && it.node.is_some()).cloned();
        endpoint.filter(|_| named("talker") && named("listener"))
    });
    until(&matches, || (publisher.matched().unwrap() == 1).then_some(()));
    assert_eq!(endpoint.type_name, "std_msgs/msg/String");
    assert!(!endpoint.own && talker.graph().unwrap().publishers.iter().any(|it| it.gid == endpoint.gid && it.own));
    let (own, others): (Vec<_>, Vec<_>) = talker.graph().unwrap().nodes.into_iter().partition(|node| node.own);
    assert_eq!((own[0].name.as_str(), others[0].name.as_str()), ("talker", "listener"));
    assert_eq!(endpoint.node.unwrap().name, "talker");
    assert_eq!(endpoint.qos.reliability, Reliability::Reliable);

    publisher.send(&text("hello")).unwrap();
    let sample = heard.recv_timeout(LONG).unwrap();
    assert_eq!(sample.cdr, text("hello"));
    assert!(sample.received_ns >= sample.source_ns && sample.source_ns > 0);
    let gid: String = sample.publisher.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(gid, endpoint.gid);

    drop(publisher);
    until(&changes, || listener.graph().unwrap().publishers.iter().all(|it| it.topic != "/chatter").then_some(()));
}

#[test]
fn late_subscribers_get_what_is_latched() {
    let (talker, _) = open("talker", 72);
    let (listener, _) = open("listener", 72);
    let latched = Qos { reliability: Reliability::Reliable, durability: Durability::TransientLocal, ..Qos::default() };
    let publisher = talker.publish("map", "std_msgs/msg/String", &latched).unwrap();
    publisher.send(&text("old")).unwrap();
    publisher.send(&text("new")).unwrap();
    let (samples, heard) = channel::<Sample>();
    let _subscription =
        listener.subscribe("map", "std_msgs/msg/String", &latched, move |sample| drop(samples.send(sample))).unwrap();
    assert_eq!(heard.recv_timeout(LONG).unwrap().cdr, text("new"));
}

#[test]
fn who_asks_for_more_than_is_offered_is_refused_by_name() {
    let (talker, matches) = open("talker", 150);
    let (listener, changes) = open("listener", 150);
    let offered = Qos { reliability: Reliability::Reliable, ..Qos::default() };
    let wanted = Qos { durability: Durability::TransientLocal, ..offered.clone() };
    let publisher = talker.publish("map", "std_msgs/msg/String", &offered).unwrap();
    let subscription = listener.subscribe("map", "std_msgs/msg/String", &wanted, drop).unwrap();
    let refused = Refused { count: 1, policy: Some("durability") };
    until(&matches, || (publisher.refused().unwrap() == refused).then_some(()));
    until(&changes, || (subscription.refused().unwrap() == refused).then_some(()));
    assert_eq!(publisher.matched().unwrap(), 0);
}

#[test]
fn large_messages_arrive_whole() {
    let (talker, changes) = open("talker", 73);
    let (listener, _) = open("listener", 73);
    let reliable = Qos { reliability: Reliability::Reliable, ..Qos::default() };
    let publisher = talker.publish("image", "sensor_msgs/msg/Image", &reliable).unwrap();
    let (samples, heard) = channel::<Sample>();
    let _subscription =
        listener.subscribe("image", "sensor_msgs/msg/Image", &reliable, move |it| drop(samples.send(it))).unwrap();
    until(&changes, || (publisher.matched().unwrap() == 1).then_some(()));
    let mut image = vec![0, 1, 0, 0];
    image.extend((0..6_000_000_u32).map(|byte| byte as u8));
    publisher.send(&image).unwrap();
    assert!(heard.recv_timeout(LONG).unwrap().cdr == image);
}

#[test]
fn wrong_names_types_and_settings_are_refused() {
    use millrace::error::{ErrorCode, HasCode};
    let (context, _) = open("node", 74);
    let qos = Qos::default();
    let refused = |result: Result<(), millrace::ros2::Ros2Error>| result.unwrap_err().code();
    assert_eq!(refused(context.publish("a b", "std_msgs/msg/String", &qos).map(drop)), ErrorCode::InvalidOption);
    assert_eq!(refused(context.publish("a", "String", &qos).map(drop)), ErrorCode::InvalidOption);
    let publisher = context.publish("a", "std_msgs/msg/String", &qos).unwrap();
    assert_eq!(refused(publisher.send(&[0, 1])), ErrorCode::InvalidInput);
    let other = Options { interface: Some("127.0.0.2".into()), ..options("node", 74) };
    assert_eq!(refused(Context::open(&other, |_| None, || {}).map(drop)), ErrorCode::InvalidOption);
    let nowhere = Options { interface: Some("203.0.113.1".into()), ..options("node", 75) };
    assert_eq!(refused(Context::open(&nowhere, |_| None, || {}).map(drop)), ErrorCode::Transport);
    let far = Options { domain: Some(233), ..options("node", 0) };
    assert_eq!(refused(Context::open(&far, |_| None, || {}).map(drop)), ErrorCode::InvalidOption);
}

#[test]
fn contexts_come_and_go() {
    let threads = || std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count());
    drop(open("node", 76));
    let before = threads();
    for _ in 0..20 {
        let (context, _) = open("node", 76);
        let _publisher = context.publish("a", "std_msgs/msg/String", &Qos::default()).unwrap();
        let _subscription = context.subscribe("b", "std_msgs/msg/String", &Qos::default(), drop).unwrap();
    }
    // Tests beside this one have threads of their own; a leak would be twenty times these of a domain.
    assert!(threads() < before + 60, "{before} threads became {}", threads());
}

fn stamped(ms: i64) -> Vec<u8> {
    let ns = ms * 1_000_000;
    let mut cdr = vec![0, 1, 0, 0];
    cdr.extend(((ns / 1_000_000_000) as i32).to_le_bytes());
    cdr.extend(((ns % 1_000_000_000) as u32).to_le_bytes());
    cdr.extend([1, 0, 0, 0, 0]);
    cdr
}

/// Two cameras, and who hears them.
struct Cameras {
    left: Publisher,
    right: Publisher,
    changes: Receiver<()>,
    listener: Context,
}

impl Cameras {
    fn open(domain: u32) -> Self {
        let (cameras, changes) = open("cameras", domain);
        let (listener, _) = open("listener", domain);
        let reliable = Qos { reliability: Reliability::Reliable, depth: 100, ..Qos::default() };
        let publish = |topic| cameras.publish(topic, "sensor_msgs/msg/Image", &reliable).unwrap();
        Cameras { left: publish("left"), right: publish("right"), changes, listener }
    }

    /// Begins, and is told when groups wait; returns when both cameras are heard.
    fn synchronize(&self, more: &str) -> (Synchronized, Receiver<()>) {
        let (ready, groups_wait) = channel();
        let told = move || {
            let _ = ready.send(());
        };
        let synchronized = Synchronized::start(&self.listener, &pairs("[[], []]", more), told).unwrap();
        let is_heard = |camera: &Publisher| camera.matched().unwrap() == 1;
        until(&self.changes, || (is_heard(&self.left) && is_heard(&self.right)).then_some(()));
        (synchronized, groups_wait)
    }
}

/// What belongs together of both cameras; `more`: further options of the match.
fn pairs(stamps: &str, more: &str) -> SyncOptions {
    let topics = ["left", "right"];
    let qos = r#"{"reliability": "reliable", "depth": 100}"#;
    let image = |topic| format!(r#"{{"topic": "{topic}", "type": "sensor_msgs/msg/Image", "qos": {qos}}}"#);
    let [left, right] = topics.map(image);
    let [first, second] = topics.map(|topic| format!(r#"{{"name": "{topic}"}}"#));
    let sync = format!(r#"{{"topics": [{first}, {second}], "windowMs": 10{more}}}"#);
    from_json(&format!(r#"{{"subscriptions": [{left}, {right}], "stamps": {stamps}, "sync": {sync}}}"#)).unwrap()
}

#[test]
fn frames_that_belong_together_come_together() {
    let cameras = Cameras::open(77);
    let (synchronized, groups_wait) = cameras.synchronize("");
    // Every other left frame has a partner.
    for frame in 0..20 {
        cameras.left.send(&stamped(1000 + frame * 33)).unwrap();
        if frame % 2 == 0 {
            cameras.right.send(&stamped(1002 + frame * 33)).unwrap();
        }
    }
    // No stamp: what never set its header is in no group.
    cameras.left.send(&stamped(0)).unwrap();
    let mut groups = Vec::new();
    while groups.len() < 9 {
        groups_wait.recv_timeout(LONG).unwrap();
        groups.extend(synchronized.take(100).0);
    }
    for (number, group) in groups.iter().enumerate() {
        let stamps: Vec<i64> = group.messages.iter().flatten().map(|(stamp, _)| stamp / 1_000_000).collect();
        let first = 1000 + number as i64 * 66;
        assert_eq!(stamps, [first, first + 2]);
        assert_eq!((group.start, group.end), (first * 1_000_000, (first + 2) * 1_000_000));
        assert!(group.messages.iter().flatten().all(|(stamp, it)| it.cdr == stamped(stamp / 1_000_000)));
    }
    while synchronized.stats().0.received < 30 {
        std::thread::yield_now();
    }
    assert_eq!(synchronized.stats().1, 0);
    assert_eq!(synchronized.status().blocked, Blocked::WaitingForData);
    // Of the left frames without a partner, the last may still get one.
    let lefts = synchronized.left();
    assert!(lefts[0].dropped[Reason::Unmatched as usize] >= 9, "{lefts:?}");
    assert_eq!((lefts[1].dropped, lefts[1].unstamped), Default::default());
    // Of the two, the stamp of zero was none.
    assert_eq!(lefts[0].unstamped, 1);
}

/// A group outlives the packets and the domain that its messages came from.
#[test]
fn large_frames_come_whole_however_long_they_waited() {
    let cameras = Cameras::open(165);
    let (synchronized, groups_wait) = cameras.synchronize("");
    let frame = |number: i64| {
        let mut cdr = stamped(1000 + number * 33);
        cdr.extend((0..2_000_000_u32).map(|byte| (byte / 7 + number as u32) as u8));
        cdr
    };
    // All of these wait for the other topic, then leave in groups or with the synchroniser.
    (0..4).for_each(|number| cameras.left.send(&frame(number)).unwrap());
    while synchronized.stats().0.received < 4 {
        std::thread::yield_now();
    }
    (0..8).for_each(|number| cameras.right.send(&frame(number)).unwrap());
    groups_wait.recv_timeout(LONG).unwrap();
    let groups = synchronized.take(100).0;
    drop((synchronized, cameras));
    for (stamp, sample) in groups.iter().filter_map(|group| group.messages[0].as_ref()) {
        assert!(sample.cdr == frame((stamp / 1_000_000 - 1000) / 33), "{stamp}");
    }
    assert!(!groups.is_empty() && groups.iter().flat_map(|group| &group.messages).all(Option::is_some));
}

/// A request or a reply of one number.
fn number(value: i64) -> Vec<u8> {
    [&[0, 1, 0, 0][..], &value.to_le_bytes()].concat()
}

#[test]
fn a_service_answers_each_client_what_it_asked() {
    let (asker, changes) = open("asker", 135);
    let (answerer, _) = open("answerer", 135);
    let (requests, asked) = channel::<Request>();
    let server = Server::open(&answerer, "double", "a/srv/B", move |it| drop(requests.send(it))).unwrap();
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let (replies, answered) = channel::<Reply>();
            let client = Client::open(&asker, "/double", "a/B", move |it| drop(replies.send(it))).unwrap();
            (client, answered)
        })
        .collect();
    until(&changes, || clients.iter().all(|(client, _)| client.servers().unwrap() == 1).then_some(()));
    // Both have numbers from 1 on, which are not mixed up.
    for value in [10, 20, 30] {
        for (place, (client, _)) in clients.iter().enumerate() {
            assert_eq!(client.call(&number(value + place as i64)).unwrap(), value / 10);
        }
    }
    let mut all: Vec<Request> = (0..6).map(|_| asked.recv_timeout(LONG).unwrap()).collect();
    // Replies may come in any order.
    all.reverse();
    for request in &all {
        let value = i64::from_le_bytes(request.cdr[4..].try_into().unwrap());
        until(&changes, || server.reply(&request.id, &number(value * 2)).unwrap().then_some(()));
    }
    for (place, (_, answered)) in clients.iter().enumerate() {
        let mut got: Vec<Reply> = (0..3).map(|_| answered.recv_timeout(LONG).unwrap()).collect();
        got.sort_by_key(|reply| reply.call);
        let wanted = |call: i64| Reply { call, cdr: number((call * 10 + place as i64) * 2) };
        assert_eq!(got, [1, 2, 3].map(wanted));
    }
    drop(clients);
    until(&changes, || (!server.reply(&all[0].id, &number(0)).unwrap()).then_some(()));
    assert_eq!(server.deaf().unwrap(), 0);
}

#[test]
fn nobody_to_ask_is_an_error() {
    use millrace::error::{ErrorCode, HasCode};
    let (context, changes) = open("asker", 136);
    let (other, _) = open("answerer", 136);
    let client = Client::open(&context, "/nothing", "a/srv/B", |_| {}).unwrap();
    assert_eq!(client.call(&number(1)).unwrap_err().code(), ErrorCode::Transport);
    let server = Server::open(&other, "/nothing", "a/srv/B", |_| {}).unwrap();
    until(&changes, || (client.servers().unwrap() == 1).then_some(()));
    assert_eq!(client.call(&[0, 1]).unwrap_err().code(), ErrorCode::InvalidInput);
    assert_eq!(client.call(&number(1)).unwrap(), 1);
    drop(server);
    until(&changes, || (client.servers().unwrap() == 0).then_some(()));
    let refused = Client::open(&context, "a b", "a/srv/B", |_| {}).map(drop).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidOption);
}

#[test]
fn what_a_synchroniser_waits_for_and_loses_can_be_asked() {
    let cameras = Cameras::open(78);
    let Err(unequal) = Synchronized::start(&cameras.listener, &pairs("[[]]", ""), || {}) else { panic!("it started") };
    assert_eq!(unequal.code, millrace::error::ErrorCode::InvalidOption);

    let (synchronized, _) = cameras.synchronize(r#", "bufferSize": 2, "maxDelayMs": 60000, "stallMs": 0.001"#);
    assert_eq!(synchronized.due_in_ms(), None);
    let received = |count: u64| {
        while synchronized.stats().0.received < count {
            std::thread::yield_now();
        }
    };
    // The right camera is silent, until the left one has sent for longer than the stall time.
    cameras.left.send(&stamped(1000)).unwrap();
    received(1);
    cameras.left.send(&stamped(1033)).unwrap();
    received(2);
    let waited_for = loop {
        if let Some(topics) = synchronized.stall() {
            break topics;
        }
        std::thread::yield_now();
    };
    assert_eq!((waited_for, synchronized.stall()), (vec![1], None));
    for frame in 0..6 {
        cameras.right.send(&stamped(1001 + frame * 33)).unwrap();
        received(3 + 2 * frame as u64);
        cameras.left.send(&stamped(1066 + frame * 33)).unwrap();
        received(4 + 2 * frame as u64);
    }
    // Nobody takes: of more than two groups, the oldest go.
    let (groups, more) = synchronized.take(1);
    assert_eq!((groups.len(), more), (1, true));
    assert!(synchronized.stats().1 > 0);
    // A frame that comes after its time.
    cameras.left.send(&stamped(1000)).unwrap();
    received(15);
    assert!(synchronized.left()[0].dropped[Reason::Late as usize] > 0, "{:?}", synchronized.left());
}
