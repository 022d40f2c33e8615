//! `nearest` against its definition, on random streams in random orders of arrival.

use millrace::sync::{Options, PushOutcome};

use crate::oracle::{Streams, nearest, random_arrival, random_streams};
use crate::support::{Feed, Group, MS, Rng, cases, full};

const WINDOWS: [Option<i64>; 8] = [Some(1), Some(3), Some(10), Some(20), Some(50), Some(200), None, None];

pub fn options(topics: usize, window: Option<i64>) -> Options {
    let mut options = Options::new((0..topics).map(|topic| format!("t{topic}")));
    options.window_ms = window.map(|ms| ms as f64);
    options
}

/// What the engine makes of the streams when they arrive like this and then end.
pub fn run(options: &Options, streams: &Streams, arrival: &[usize]) -> Vec<Group> {
    let mut feed = Feed::new(options);
    let mut at = vec![0; streams.len()];
    for &topic in arrival {
        assert_eq!(feed.push(topic, streams[topic][at[topic]]), PushOutcome::Accepted);
        at[topic] += 1;
    }
    feed.sync.flush(0);
    let groups = feed.groups();
    feed.drops();
    assert_eq!(feed.held(), 0, "a flush holds nothing back");
    groups
}

#[test]
fn groups_are_those_of_the_definition_in_every_order_of_arrival() {
    for seed in 0..cases(20_000, 400_000) {
        let mut rng = Rng::new(seed);
        let topics = rng.pick(&[2, 2, 2, 3, 3, 4]);
        let longest = [12, 8, 6][topics - 2];
        let streams = random_streams(&mut rng, topics, longest);
        let window = rng.pick(&WINDOWS);
        let wanted: Vec<Group> = nearest(&streams, window).iter().map(|group| full(group)).collect();
        for order in 0..3 {
            let arrival = random_arrival(&mut rng, &streams);
            let groups = run(&options(topics, window), &streams, &arrival);
            assert_eq!(groups, wanted, "seed {seed}, order {order}: {streams:?}, window {window:?}, {arrival:?}");
        }
    }
}

#[test]
fn large_inputs_agree_too() {
    for seed in 0..cases(30, 2_000) {
        let mut rng = Rng::new(1_000_000_000 + seed);
        let topics = rng.pick(&[3, 4]);
        let streams = random_streams(&mut rng, topics, 12);
        let window = rng.pick(&WINDOWS[..6]);
        let wanted: Vec<Group> = nearest(&streams, window).iter().map(|group| full(group)).collect();
        let arrival = random_arrival(&mut rng, &streams);
        let groups = run(&options(topics, window), &streams, &arrival);
        assert_eq!(groups, wanted, "seed {seed}: {streams:?}, window {window:?}, {arrival:?}");
    }
}

#[test]
fn groups_keep_within_the_window_and_rise_on_long_streams() {
    for seed in 0..cases(20, 500) {
        let mut rng = Rng::new(2_000_000_000 + seed);
        let topics = 2 + rng.below(6);
        let streams = random_streams(&mut rng, topics, 400);
        let window = rng.pick(&[5, 20, 50]);
        let mut options = options(topics, Some(window));
        options.buffer_size = 1000;
        let first = run(&options, &streams, &random_arrival(&mut rng, &streams));
        let second = run(&options, &streams, &random_arrival(&mut rng, &streams));
        assert_eq!(first, second, "seed {seed}");
        let mut last = vec![None; topics];
        for group in first {
            let stamps = || group.iter().flatten().copied();
            assert_eq!(stamps().count(), topics, "seed {seed}");
            assert!(stamps().max().unwrap() - stamps().min().unwrap() <= window, "seed {seed}: {group:?}");
            assert!(group.iter().zip(&last).all(|(new, old)| new > old), "seed {seed}: {group:?} after {last:?}");
            last = group;
        }
    }
}

#[test]
fn stamps_at_the_ends_of_the_range_do_not_overflow() {
    let limit = millrace::sync::STAMP_LIMIT;
    for window in [Some(50), None] {
        let mut feed = Feed::new(&options(2, window));
        for stamp in [-limit, -limit + MS, 0, limit - 1, limit] {
            feed.push_ns(0, stamp);
            feed.push_ns(1, stamp);
            assert_eq!(feed.groups_ns(), [full(&[stamp, stamp])], "window {window:?}");
        }
    }
}
