//! How long a message or a group waits: timeouts, delays, periods, stalls, and what the status says.

use millrace::sync::{Blocked, Match, Options, Reason};

use crate::support::{Feed, Group, MS, full};

fn options() -> Options {
    Options::new(["a", "b"])
}

#[test]
fn a_lonely_message_times_out_in_message_time() {
    for matching in [Match::Nearest, Match::Oldest] {
        let mut feed = Feed::new(&Options { timeout_ms: Some(100.0), matching, ..options() });
        feed.push(0, 0);
        feed.push(0, 99);
        assert_eq!(feed.drops(), [], "{matching:?}");
        feed.push(0, 100);
        assert_eq!(feed.drops(), [(0, 0, Reason::Timeout)], "{matching:?}");
    }
}

#[test]
fn a_timeout_ends_the_wait_for_proof() {
    for (timeout_ms, wanted) in [(None, vec![]), (Some(100.0), vec![full(&[0, 10])])] {
        let mut feed = Feed::new(&Options { timeout_ms, ..options() });
        for (topic, ms) in [(0, 0), (1, 10), (1, 100)] {
            feed.push(topic, ms);
        }
        assert_eq!(feed.groups(), wanted, "{timeout_ms:?}");
    }
}

#[test]
fn a_delay_ends_the_wait_for_proof() {
    for matching in [Match::Nearest, Match::Oldest] {
        let mut feed = Feed::new(&Options { max_delay_ms: Some(20.0), matching, ..options() });
        feed.now = 7 * MS;
        feed.push(0, 0);
        feed.push(0, 1);
        assert_eq!(feed.sync.deadline(), None, "nothing to let go");
        feed.now = 10 * MS;
        feed.push(1, 10);
        assert_eq!(feed.sync.deadline(), Some(30 * MS), "from the first complete group on");
        feed.sync.tick(30 * MS - 1);
        assert_eq!(feed.sync.ready(), 0, "{matching:?}");
        feed.sync.tick(30 * MS);
        let start = if matching == Match::Nearest { 1 } else { 0 };
        assert_eq!(feed.groups(), [full(&[start, 10])], "{matching:?}");
        assert_eq!(feed.sync.deadline(), None, "{matching:?}");
    }
}

#[test]
fn a_delay_ends_the_wait_for_optional_messages() {
    let mut options = Options { max_delay_ms: Some(20.0), ..options() };
    options.topics[1].required = false;
    let mut feed = Feed::new(&options);
    feed.push(0, 100);
    assert_eq!(feed.sync.deadline(), Some(20 * MS));
    feed.sync.tick(20 * MS);
    assert_eq!(feed.groups(), [vec![Some(100), None]]);
}

/// Groups of two streams, and how much message time passed on average until they left.
fn regular(options: &Options, periods: [i64; 2]) -> (Vec<Group>, f64) {
    let mut feed = Feed::new(options);
    let (mut all, mut delay) = (Vec::new(), 0);
    let mut next = [0, 7];
    for _ in 0..2_000 {
        let topic = usize::from(next[1] < next[0]);
        feed.push(topic, next[topic]);
        for group in feed.groups() {
            delay += next[topic] - group.iter().flatten().min().unwrap();
            all.push(group);
        }
        next[topic] += periods[topic];
    }
    let mean = delay as f64 / all.len() as f64;
    (all, mean)
}

#[test]
fn a_known_period_proves_earlier_and_changes_no_group() {
    let (groups, unknown) = regular(&options(), [33, 100]);
    let mut declared = options();
    declared.topics[0].min_period_ms = Some(33.0);
    declared.topics[1].min_period_ms = Some(100.0);
    let learned = Options { learn_periods: true, ..options() };
    for (name, options) in [("declared", declared), ("learned", learned)] {
        let (same, delay) = regular(&options, [33, 100]);
        assert_eq!(same[..groups.len()], groups, "{name}");
        assert!(delay < unknown / 1.5, "{name}: {delay} ms, {unknown} ms without");
    }
}

#[test]
fn a_declared_period_proves_at_once() {
    for (period, wanted) in [(None, vec![]), (Some(20.0), vec![full(&[0, 10])]), (Some(19.0), vec![])] {
        let mut options = options();
        options.topics[0].min_period_ms = period;
        let mut feed = Feed::new(&options);
        feed.push(0, 0);
        feed.push(1, 10);
        assert_eq!(feed.groups(), wanted, "{period:?}");
    }
}

/// Messages that came sooner than promised must not look too old for the rest.
#[test]
fn a_broken_promise_does_not_wedge() {
    let mut options = options();
    options.topics[0].min_period_ms = Some(1e6);
    let mut feed = Feed::new(&options);
    for i in 0..20 {
        feed.push_all(&[i * 10, i * 10]);
    }
    assert!(feed.groups().len() >= 19);
}

#[test]
fn a_learned_period_that_shrinks_does_not_wedge() {
    let mut feed = Feed::new(&Options { learn_periods: true, ..options() });
    for i in 0..30 {
        feed.push_all(&[i * 1000, i * 1000]);
    }
    feed.groups();
    for i in 0..20 {
        feed.push_all(&[30_000 + i * 10, 30_000 + i * 10]);
    }
    assert!(feed.groups().len() >= 19);
}

#[test]
fn the_status_tells_what_blocks() {
    let mut feed = Feed::new(&Options { buffer_size: 3, ..options() });
    let status = |feed: &Feed| {
        let status = feed.sync.match_status();
        (status.blocked, status.topics)
    };
    assert_eq!(status(&feed), (Blocked::WaitingForData, vec![0, 1]));
    feed.push(0, 0);
    assert_eq!(status(&feed), (Blocked::WaitingForData, vec![1]));
    assert_eq!(feed.sync.match_status().inf, None);
    feed.push(1, 30);
    assert_eq!(status(&feed), (Blocked::SpreadTooNarrow, vec![0]));
    let told = feed.sync.match_status();
    assert_eq!((told.inf, told.sup, told.shortfall), (Some(30 * MS), Some(0), 30 * MS));
    feed.push(0, 10);
    assert_eq!(status(&feed), (Blocked::SpreadTooNarrow, vec![0]));
    assert_eq!(feed.sync.match_status().shortfall, 20 * MS);
    feed.push(0, 40);
    assert_eq!(status(&feed), (Blocked::No, vec![]));
    assert_eq!(feed.groups(), [full(&[40, 30])]);
    for ms in [70, 80, 90] {
        feed.push(0, ms);
    }
    assert_eq!(status(&feed), (Blocked::BufferFull, vec![1]));
}

/// The streams have come 5 ms beyond the latest of the oldest stamps; 15 would prove the group.
#[test]
fn the_shortfall_shrinks_as_proof_draws_near() {
    let mut feed = Feed::new(&Options::new(["a", "b", "c"]));
    for (topic, ms) in [(0, 0), (1, 30), (2, 20), (0, 35)] {
        feed.push(topic, ms);
    }
    assert_eq!(feed.sync.match_status().shortfall, 10 * MS);
    feed.push(2, 45);
    assert_eq!(feed.groups(), [full(&[35, 30, 20])]);
}

#[test]
fn the_status_names_the_optional_topic_that_a_group_waits_for() {
    let mut options = Options::new(["a", "o", "p"]);
    options.topics[1].required = false;
    options.topics[2].required = false;
    let mut feed = Feed::new(&options);
    feed.push(0, 100);
    feed.push(2, 100);
    let status = feed.sync.match_status();
    assert_eq!((status.blocked, status.topics), (Blocked::SpreadTooNarrow, vec![1]));
}

#[test]
fn a_stall_is_told_once_and_again_after_it_is_over() {
    let mut feed = Feed::new(&options());
    let second = 1000 * MS;
    let push = |feed: &mut Feed, topic: usize, stamp: i64, now: i64| {
        feed.now = now;
        feed.push(topic, stamp);
    };
    assert_eq!(feed.sync.stall(), None, "silence on all topics is no stall");
    push(&mut feed, 0, 0, 0);
    push(&mut feed, 0, 100, 10 * second - 1);
    assert_eq!(feed.sync.stall(), None);
    push(&mut feed, 0, 200, 10 * second);
    assert_eq!(feed.sync.stall(), Some(vec![1]));
    push(&mut feed, 0, 300, 11 * second);
    assert_eq!(feed.sync.stall(), None, "told already");
    feed.now = 20 * second;
    feed.push_all(&[1000, 1000]);
    assert_eq!(feed.groups().len(), 1);
    assert_eq!(feed.sync.stall(), None);
    push(&mut feed, 1, 2000, 21 * second);
    push(&mut feed, 1, 2100, 30 * second);
    assert_eq!(feed.sync.stall(), None, "counted from the first message without a group");
    push(&mut feed, 1, 2200, 31 * second);
    assert_eq!(feed.sync.stall(), Some(vec![0]));
}

#[test]
fn an_input_that_has_ended_is_no_stall() {
    let mut feed = Feed::new(&options());
    feed.push_all(&[0, 0]);
    feed.push(0, 100);
    feed.now = i64::MAX;
    feed.sync.tick(feed.now);
    assert_eq!(feed.sync.stall(), None);
}

#[test]
fn no_stall_time_no_stall() {
    let mut feed = Feed::new(&Options { stall_ms: None, ..options() });
    feed.push(0, 0);
    feed.now = i64::MAX;
    feed.push(0, 100);
    assert_eq!(feed.sync.stall(), None);
}
