//! Pushes a second, both rules in the same run, and the memory after ten million messages.
//!
//! `cargo bench --no-default-features`

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use millrace::sync::{Dropped, Match, Options, Synchronizer};

const ROUNDS: usize = 7;
const MS: i64 = 1_000_000;

/// Messages in the order of their stamps: topic and stamp.
type Input = Vec<(usize, i64)>;

/// Regular streams with a little jitter; the phases differ.
fn streams(periods_ms: &[i64], messages: usize) -> Input {
    let mut state = 7_u64;
    let mut jitter = |period: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64 % (period * MS / 20)
    };
    let rate: f64 = periods_ms.iter().map(|&period| 1.0 / period as f64).sum();
    let until = messages as f64 / rate;
    let mut input = Input::with_capacity(messages + periods_ms.len());
    for (topic, &period) in periods_ms.iter().enumerate() {
        let phase = (topic as i64 * 7_919 % 1_000) * period * MS / 10_000;
        let count = (until / period as f64) as i64;
        input.extend((0..count).map(|i| (topic, phase + i * period * MS + jitter(period))));
    }
    input.sort_unstable_by_key(|&(topic, stamp)| (stamp, topic));
    input
}

/// The last `optional` topics need not be in a group.
fn synchronizer(matching: Match, topics: usize, optional: usize) -> Synchronizer {
    let mut options = Options::new((0..topics).map(|topic| format!("t{topic}")));
    options.matching = matching;
    options.window_ms = Some(50.0);
    options.topics[topics - optional..].iter_mut().for_each(|topic| topic.required = false);
    Synchronizer::new(&options).unwrap()
}

fn take(topic: usize, stamp: i64, slot: u32) {
    black_box((topic, stamp, slot));
}

fn dismiss(dropped: Dropped) {
    black_box(dropped);
}

/// Pushes everything, takes every group, drains every drop. Returns pushes a second, and groups.
fn run(matching: Match, topics: usize, optional: usize, input: &Input) -> (f64, u64) {
    let mut sync = synchronizer(matching, topics, optional);
    let begin = Instant::now();
    for (now, &(topic, stamp)) in input.iter().enumerate() {
        sync.push(topic, stamp, now as u32, now as i64);
        while sync.take(take).is_some() {}
        if sync.drops_waiting() > 64 {
            sync.drain_drops(usize::MAX).for_each(dismiss);
        }
    }
    (input.len() as f64 / begin.elapsed().as_secs_f64(), sync.stats().groups)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2] / 1e6
}

fn row(name: &str, periods_ms: &[i64], optional: usize, floor: Option<f64>) {
    let input = streams(periods_ms, 1_000_000);
    let (mut nearest, mut oldest) = (Vec::new(), Vec::new());
    let mut groups = (0, 0);
    for _ in 0..ROUNDS {
        let (rate, count) = run(Match::Nearest, periods_ms.len(), optional, &input);
        nearest.push(rate);
        groups.0 = count;
        let (rate, count) = run(Match::Oldest, periods_ms.len(), optional, &input);
        oldest.push(rate);
        groups.1 = count;
    }
    let (nearest, oldest) = (median(nearest), median(oldest));
    let floor = floor.map_or(String::new(), |floor| {
        format!("floor {floor:.0}: {}", if nearest >= floor { "met" } else { "MISSED" })
    });
    println!("{name:<28} {nearest:>8.2} {:>8} {oldest:>8.2} {:>8}   {floor}", groups.0, groups.1);
}

/// Resident pages of this process, in KiB; none where the system does not tell.
fn resident_kib() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages * 4)
}

fn memory() {
    let input = streams(&[33, 100, 10], 1_000_000);
    let span = input.last().map_or(0, |&(_, stamp)| stamp) + 1_000 * MS;
    let mut sync = synchronizer(Match::Nearest, 3, 0);
    let mut before = None;
    for lap in 0..11 {
        for (now, &(topic, stamp)) in input.iter().enumerate() {
            sync.push(topic, stamp + lap * span, now as u32, now as i64);
            while sync.take(take).is_some() {}
            if sync.drops_waiting() > 64 {
                sync.drain_drops(usize::MAX).for_each(dismiss);
            }
        }
        // The first lap fills the buffers; the other ten are the measure.
        if lap == 0 {
            before = resident_kib();
        }
    }
    match (before, resident_kib()) {
        (Some(before), Some(after)) => println!(
            "10 million messages: {before} KiB resident before, {after} KiB after ({:+} KiB); {} buffered",
            after as i64 - before as i64,
            sync.stats().buffered
        ),
        _ => println!("10 million messages: this system does not tell resident memory"),
    }
}

fn main() {
    println!("{:<28} {:>8} {:>8} {:>8} {:>8}", "million pushes a second", "nearest", "groups", "oldest", "groups");
    row("3 topics, 30/10/100 Hz", &[33, 100, 10], 0, Some(6.0));
    let mixed: Vec<i64> = (0..16).map(|topic| [10, 20, 33, 50, 100][topic % 5]).collect();
    row("16 topics, 10 to 100 Hz", &mixed, 0, Some(2.0));
    for topics in [2, 4, 8, 16, 64, 256, 1000] {
        row(&format!("{topics} topics, 30 Hz"), &vec![33; topics], 0, None);
    }
    for topics in [4, 16, 1000] {
        row(&format!("{topics} topics, half optional"), &vec![33; topics], topics / 2, None);
    }
    memory();
}
