//! `nearest` emits a group as soon as no message to come can change it: as long as it waits, there is
//! a continuation of the streams whose next group is another one.

use crate::oracle::{Streams, nearest, random_arrival, random_streams};
use crate::random::options;
use crate::support::{Feed, MS, Rng, cases};

/// Feeds the streams one message at a time, and asks after each whether waiting was right.
/// Returns how often the engine waited although a group was there, and how often it emitted before
/// the end of the input.
fn check(streams: &Streams, window: Option<i64>, arrival: &[usize], case: &str) -> (usize, usize) {
    let mut feed = Feed::new(&options(streams.len(), window));
    let window = window.map(|ms| ms * MS);
    let mut seen: Streams = vec![Vec::new(); streams.len()];
    let (mut waits, mut emitted) = (0, 0);
    for &topic in arrival {
        let stamp = streams[topic][seen[topic].len()];
        seen[topic].push(stamp * MS);
        feed.push(topic, stamp);
        emitted += feed.groups_ns().len();
        let known = nearest(&seen.iter().map(|s| s.to_vec()).collect::<Vec<_>>(), window);
        if let Some(best) = known.get(emitted) {
            waits += 1;
            assert!(
                can_change(&seen, window, emitted, best),
                "{case}: group {best:?} waits for nothing; window {window:?}, seen {seen:?}"
            );
        }
    }
    (waits, emitted)
}

/// Whether some continuation, at most one more message a topic, changes the group at `place`.
///
/// What matters about a later stamp is its order among the others: so it suffices to try the earliest
/// that a topic can still have, and the stamps of the other topics.
fn can_change(seen: &Streams, window: Option<i64>, place: usize, best: &[i64]) -> bool {
    let later = |stream: &Vec<i64>| {
        let last = stream.last().copied().unwrap_or(i64::MIN / 4);
        let mut stamps: Vec<_> = seen.iter().flatten().copied().filter(|&stamp| stamp > last).collect();
        stamps.push(last + 1);
        stamps.sort_unstable();
        stamps.dedup();
        stamps
    };
    let choices: Vec<Vec<i64>> = seen.iter().map(later).collect();
    let mut continued = seen.clone();
    try_all(&mut continued, &choices, 0, &|streams| {
        nearest(streams, window).get(place).map(Vec::as_slice) != Some(best)
    })
}

fn try_all(streams: &mut Streams, choices: &[Vec<i64>], topic: usize, wanted: &dyn Fn(&Streams) -> bool) -> bool {
    if topic == streams.len() {
        return wanted(streams);
    }
    if try_all(streams, choices, topic + 1, wanted) {
        return true;
    }
    choices[topic].iter().any(|&stamp| {
        streams[topic].push(stamp);
        let found = try_all(streams, choices, topic + 1, wanted);
        streams[topic].pop();
        found
    })
}

#[test]
fn random_streams_never_wait_without_cause() {
    let (mut waits, mut emitted) = (0, 0);
    for seed in 0..cases(3_000, 50_000) {
        let mut rng = Rng::new(3_000_000_000 + seed);
        let topics = rng.pick(&[2, 2, 3]);
        let streams = random_streams(&mut rng, topics, 11 - 2 * topics);
        let window = rng.pick(&[Some(3), Some(10), Some(30), Some(100), None]);
        let arrival = random_arrival(&mut rng, &streams);
        let counts = check(&streams, window, &arrival, &format!("seed {seed}"));
        waits += counts.0;
        emitted += counts.1;
    }
    assert!(waits > 3_000 && emitted > 3_000, "{waits} waits and {emitted} groups prove little");
}

/// Every pair of streams with stamps out of 1..=5, in the order of the stamps and topic by topic.
#[test]
fn all_small_streams_never_wait_without_cause() {
    let subsets: Vec<Vec<i64>> =
        (1..32_u32).map(|bits| (1..=5).filter(|stamp| bits >> (stamp - 1) & 1 == 1).collect()).collect();
    let windows: &[Option<i64>] = if cases(0, 1) == 1 { &[Some(1), Some(2), Some(3), None] } else { &[Some(2)] };
    for a in &subsets {
        for b in &subsets {
            let streams = vec![a.clone(), b.clone()];
            let mut by_stamp: Vec<_> = a.iter().map(|&s| (s, 0)).chain(b.iter().map(|&s| (s, 1))).collect();
            by_stamp.sort_unstable();
            let by_stamp: Vec<usize> = by_stamp.into_iter().map(|(_, topic)| topic).collect();
            let by_topic = [vec![0; a.len()], vec![1; b.len()]].concat();
            for &window in windows {
                for arrival in [&by_stamp, &by_topic] {
                    check(&streams, window, arrival, &format!("{a:?} and {b:?}, {arrival:?}"));
                }
            }
        }
    }
}
