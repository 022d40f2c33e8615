//! Any input at all: nothing is lost, memory stays bounded, and the streams never wedge.

use millrace::sync::{DropPolicy, EqualStamps, Match, OnClockJump, Options, TopicOptions};

use crate::support::{Feed, MS, Rng, cases};

fn random_options(rng: &mut Rng, topics: &[TopicOptions]) -> Options {
    let mut options = Options::new([] as [&str; 0]);
    options.topics = topics.to_vec();
    options.window_ms = rng.pick(&[Some(5.0), Some(50.0), Some(50.0), None]);
    options.buffer_size = rng.pick(&[2, 3, 4, 64]);
    options.matching = rng.pick(&[Match::Nearest, Match::Nearest, Match::Oldest]);
    options.drop = rng.pick(&[DropPolicy::DropOldest, DropPolicy::RejectNew]);
    options.timeout_ms = rng.pick(&[None, None, Some(60.0), Some(500.0)]);
    options.max_delay_ms = rng.pick(&[None, None, Some(1.0), Some(200.0)]);
    options.equal_stamps = rng.pick(&[EqualStamps::Refuse, EqualStamps::Replace]);
    options.on_clock_jump = rng.pick(&[OnClockJump::Reset, OnClockJump::Reset, OnClockJump::Refuse]);
    options.clock_jump_ms = rng.pick(&[60.0, 1000.0]);
    options.learn_periods = rng.percent(30);
    options
}

fn random_topics(rng: &mut Rng) -> Vec<TopicOptions> {
    let required = 1 + rng.below(3);
    let topic = |index: usize| TopicOptions {
        name: format!("t{index}"),
        required: index < required,
        // Some promises are broken by what follows.
        min_period_ms: rng.pick(&[None, None, Some(5.0), Some(200.0), Some(1e6)]),
    };
    (0..required + [0, 0, 1, 2][required % 4]).map(topic).collect()
}

/// One topic's clock: regular for a while, then some trouble.
struct Source {
    at: i64,
    period: i64,
}

impl Source {
    fn next(&mut self, rng: &mut Rng) -> i64 {
        match rng.below(40) {
            0 => self.at -= rng.range(1, 100),
            1 => self.at -= rng.range(100, 100_000),
            2 => self.at += rng.range(100, 100_000),
            3 => return self.at + rng.range(1_000, 1_000_000),
            4 => return self.at - rng.range(1, 5_000),
            5 => return self.at,
            6 => self.period = rng.pick(&[1, 10, 33, 100, 1000]),
            _ => self.at += self.period + rng.range(0, self.period / 4),
        }
        self.at
    }
}

struct Garbage {
    rng: Rng,
    feed: Feed,
    options: Options,
    sources: Vec<Source>,
    largest_buffer: usize,
}

impl Garbage {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let topics = random_topics(&mut rng);
        let options = random_options(&mut rng, &topics);
        let source = |_| Source { at: rng.range(-1_000, 1_000), period: rng.pick(&[1, 10, 10, 33, 100]) };
        let sources = topics.iter().map(source).collect();
        Garbage { feed: Feed::new(&options), largest_buffer: options.buffer_size, rng, options, sources }
    }

    /// One random act; true if it made the engine forget the clocks.
    fn step(&mut self) -> bool {
        let jumps = self.feed.sync.stats().clock_jumps;
        let rng = &mut self.rng;
        self.feed.now += rng.range(0, 20) * MS;
        match rng.below(200) {
            0 => {
                self.feed.sync.reset();
                return true;
            }
            1 => self.feed.sync.flush(self.feed.now),
            2 | 3 => {
                let topics = self.options.topics.clone();
                self.options = random_options(rng, &topics);
                self.largest_buffer = self.largest_buffer.max(self.options.buffer_size);
                self.feed.sync.set_options(&self.options, self.feed.now).unwrap();
            }
            4..10 => {
                self.feed.sync.tick(self.feed.now);
                let next = self.feed.sync.deadline();
                assert!(next.is_none_or(|next| next > self.feed.now), "a timer on the deadline would spin");
            }
            10..20 => drop(self.feed.groups()),
            20..30 => drop(self.feed.drops()),
            30 => drop(self.feed.push(99, 0)),
            31..35 => {
                let topic = rng.below(self.sources.len());
                for _ in 0..rng.range(2, 100) {
                    let stamp = self.sources[topic].next(rng);
                    self.feed.push(topic, stamp);
                }
            }
            _ => {
                // Now and then one topic falls silent.
                let talking = self.sources.len() - usize::from(self.feed.now / MS % 3_000 < 800);
                let topic = rng.below(talking.max(1));
                let stamp = self.sources[topic].next(rng);
                self.feed.push(topic, stamp);
            }
        }
        self.feed.sync.stats().clock_jumps != jumps
    }

    fn check(&self, case: &str) {
        let stats = self.feed.sync.stats();
        let dropped: u64 = stats.dropped.iter().sum();
        assert_eq!(stats.received, stats.grouped + dropped + stats.buffered, "{case}: {stats:?}");
        // The buffers, the groups that wait for optional messages, and those that wait for the caller.
        let bound = 3 * self.sources.len() * (self.largest_buffer + 1);
        assert!(stats.buffered <= bound as u64, "{case}: {} held, at most {bound}", stats.buffered);
    }

    /// After `rounds` of aligned input, how many groups there were.
    fn aligned(&mut self, start: i64, rounds: usize) -> usize {
        let mut order: Vec<usize> = (0..self.sources.len()).collect();
        order.rotate_left(self.rng.below(self.sources.len()));
        let mut groups = 0;
        for round in 0..rounds as i64 {
            for &topic in &order {
                self.feed.push(topic, start + round * 10);
                groups += self.feed.groups().len();
            }
        }
        groups
    }
}

#[test]
fn nothing_is_lost_and_memory_is_bounded() {
    for seed in 0..cases(400, 20_000) {
        let mut garbage = Garbage::new(5_000_000_000 + seed);
        for step in 0..400 {
            garbage.step();
            garbage.check(&format!("seed {seed}, step {step}"));
        }
        garbage.feed.groups();
        garbage.feed.sync.reset();
        garbage.feed.drops();
        assert_eq!(garbage.feed.held(), 0, "seed {seed}: every slot comes back");
        assert_eq!(garbage.feed.sync.stats().buffered, 0, "seed {seed}");
    }
}

#[test]
fn stamps_rise_on_each_topic_until_a_clock_jumps() {
    for seed in 0..cases(300, 20_000) {
        let mut garbage = Garbage::new(6_000_000_000 + seed);
        let mut last = vec![None; garbage.sources.len()];
        for step in 0..300 {
            let forgot = garbage.step();
            let groups = garbage.feed.groups();
            if forgot {
                last.fill(None);
                continue;
            }
            for group in groups {
                for (topic, stamp) in group.iter().enumerate().filter(|(_, stamp)| stamp.is_some()) {
                    assert!(*stamp > last[topic], "seed {seed}, step {step}: {group:?} after {last:?}");
                    last[topic] = *stamp;
                }
            }
        }
    }
}

/// Aligned input yields groups within one buffer length, and from then on one a round. Very small
/// buffers take three rounds all the same: one message that is late by less than `clockJumpMs` is no
/// jump yet, the second is, and the third finds all clocks agreed. A period that no longer holds costs
/// one more. By the `oldest` rule a group can take that long twice, when an optional message may be
/// nearer to the group after it.
#[test]
fn nothing_wedges_the_streams() {
    for seed in 0..cases(2_000, 200_000) {
        let mut garbage = Garbage::new(7_000_000_000 + seed);
        for _ in 0..garbage.rng.below(300) {
            garbage.step();
        }
        garbage.options.on_clock_jump = OnClockJump::Reset;
        garbage.feed.sync.set_options(&garbage.options, garbage.feed.now).unwrap();
        garbage.feed.groups();
        let at = garbage.sources[garbage.rng.below(garbage.sources.len())].at;
        let away = match garbage.rng.below(4) {
            0 => 10_000_000,
            1 => -10_000_000,
            2 => -garbage.rng.range(0, 100),
            _ => garbage.rng.range(-3_000, 3_000),
        };
        let buffer = garbage.options.buffer_size;
        let context = format!("seed {seed}: away {away}, {:?}", garbage.options);
        let topics = &garbage.options.topics;
        let periods = garbage.options.learn_periods || topics.iter().any(|topic| topic.min_period_ms.is_some());
        let oldest = garbage.options.matching == Match::Oldest;
        let twice = if oldest && topics.iter().any(|topic| !topic.required) { 2 } else { 1 };
        let rounds = twice * buffer.max(if periods { 4 } else { 3 });
        let first = garbage.aligned(at + away, rounds);
        assert!(first > 0, "no group within one buffer of aligned input; {context}");
        let more = garbage.aligned(at + away + 10 * rounds as i64, 20);
        // The `oldest` rule may start to wait for its window to pass; nothing after that.
        let waits = if oldest { buffer.min(5) } else { 1 };
        assert!(more + waits >= 20, "{more} of 20 groups; {context}");
    }
}
