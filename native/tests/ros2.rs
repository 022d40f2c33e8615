//! Two ROS nodes in one process hear each other over loopback.
#![cfg(feature = "ros2")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use millrace::options::from_json;
use millrace::ros2::{
    Context, Discovery, Durability, Options, Qos, Refused, Reliability, Sample, SyncOptions, Synchronized, header_stamp,
};
use millrace::sync::Blocked;

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

#[test]
fn frames_that_belong_together_come_together() {
    let (cameras, changes) = open("cameras", 77);
    let (listener, _) = open("listener", 77);
    let reliable = Qos { reliability: Reliability::Reliable, depth: 100, ..Qos::default() };
    let publish = |topic: &str| cameras.publish(topic, "sensor_msgs/msg/Image", &reliable).unwrap();
    let (left, right) = (publish("left"), publish("right"));
    let options = from_json::<SyncOptions>(
        r#"{"subscriptions": [
                {"topic": "left", "type": "sensor_msgs/msg/Image", "qos": {"reliability": "reliable", "depth": 100}},
                {"topic": "right", "type": "sensor_msgs/msg/Image", "qos": {"reliability": "reliable", "depth": 100}}],
            "stamped": [true, true],
            "sync": {"topics": [{"name": "left"}, {"name": "right"}], "windowMs": 10}}"#,
    );
    let (ready, groups_wait) = channel::<()>();
    let told = move || {
        let _ = ready.send(());
    };
    let synchronized = Synchronized::start(&listener, &options.unwrap(), told).unwrap();
    until(&changes, || (left.matched().unwrap() == 1 && right.matched().unwrap() == 1).then_some(()));
    // Every other left frame has a partner.
    for frame in 0..20 {
        left.send(&stamped(1000 + frame * 33)).unwrap();
        if frame % 2 == 0 {
            right.send(&stamped(1002 + frame * 33)).unwrap();
        }
    }
    // No stamp: what never set its header is in no group.
    left.send(&stamped(0)).unwrap();
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
    assert_eq!(header_stamp(&stamped(5)[..11]), None);
}
