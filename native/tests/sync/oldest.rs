//! The `oldest` rule: conflux's named cases and its later fixes.

use millrace::sync::{DropPolicy, Match, Options, PushOutcome, Reason, SyncError, Synchronizer};

use crate::support::{Feed, Group, MS, full};

fn options(topics: &[&str], window_ms: Option<f64>) -> Options {
    let mut options = Options::new(topics.iter().copied());
    options.matching = Match::Oldest;
    options.window_ms = window_ms;
    options
}

/// Two topics, pushed alternately; the groups that leave without a flush.
fn pairs(window_ms: Option<f64>, pairs: &[(i64, i64)]) -> Vec<Group> {
    let mut feed = Feed::new(&options(&["a", "b"], window_ms));
    for &(a, b) in pairs {
        feed.push_all(&[a, b]);
    }
    feed.groups()
}

#[test]
fn named_cases() {
    let every_100: Vec<_> = (0..12).map(|i| (i * 100, i * 100)).collect();
    type Case<'a> = (&'static str, Option<f64>, &'a [(i64, i64)], usize);
    let cases: &[Case] = &[
        ("perfect pairs", Some(50.0), &[(100, 100), (200, 200), (300, 300)], 3),
        ("close pairs", Some(50.0), &[(100, 110), (200, 195), (300, 320)], 3),
        ("200 ms apart", Some(50.0), &[(0, 200), (1000, 1200), (2000, 2200)], 0),
        ("sequential", Some(50.0), &[(0, 5), (100, 105), (200, 205), (300, 305)], 4),
        ("the window's edge belongs to it", Some(100.0), &[(1000, 1100), (2000, 2100)], 2),
        ("one beyond the edge", Some(100.0), &[(1000, 1101), (2000, 2101)], 0),
        ("12 aligned pairs", Some(50.0), &every_100, 12),
        ("no window", None, &[(0, 5000), (1, 9000), (70_000, 9001)], 3),
    ];
    for (name, window, input, count) in cases {
        assert_eq!(pairs(*window, input).len(), *count, "{name}");
    }
}

#[test]
fn pairs_the_oldest_that_fit() {
    let mut feed = Feed::new(&options(&["a", "b"], Some(50.0)));
    for (topic, ms) in [(0, 1000), (0, 1040), (1, 1045), (0, 1100), (1, 1100)] {
        feed.push(topic, ms);
    }
    assert_eq!(feed.groups(), [full(&[1000, 1045])]);
}

#[test]
fn three_topics_wait_for_each_other() {
    let mut feed = Feed::new(&options(&["a", "b", "c"], Some(50.0)));
    feed.push(0, 100);
    feed.push(1, 110);
    assert_eq!(feed.sync.ready(), 0);
    feed.push(2, 120);
    assert_eq!(feed.groups(), [full(&[100, 110, 120])]);
}

/// A real-time set-up, a short divergence that fills the buffers, then aligned pairs: conflux
/// gave no group ever after.
#[test]
fn a_divergence_does_not_wedge() {
    for drop in [DropPolicy::DropOldest, DropPolicy::RejectNew] {
        let mut options = options(&["a", "b"], Some(50.0));
        options.buffer_size = 2;
        options.drop = drop;
        let mut feed = Feed::new(&options);
        for (a, b) in [(1000, 2000), (1010, 2010)] {
            feed.push_all(&[a, b]);
        }
        assert!(feed.groups().is_empty(), "{drop:?}");
        let mut groups = 0;
        for i in 0..20 {
            feed.push_all(&[3000 + i * 100, 3000 + i * 100]);
            groups += feed.groups().len();
        }
        assert!(groups >= 19, "{drop:?}: {groups} of 20 groups");
    }
}

#[test]
fn a_full_buffer_ends_the_wait_for_the_spread() {
    let mut options = options(&["a", "b"], Some(50.0));
    options.buffer_size = 2;
    let mut feed = Feed::new(&options);
    for (topic, ms) in [(0, 0), (0, 10), (1, 30)] {
        feed.push(topic, ms);
    }
    assert_eq!(feed.groups(), [full(&[0, 30])]);
}

#[test]
fn slow_and_fast_streams_keep_going_with_a_small_buffer() {
    let mut options = options(&["fast", "slow"], Some(50.0));
    options.buffer_size = 4;
    let mut feed = Feed::new(&options);
    let mut groups = 0;
    for i in 0..300 {
        feed.push(0, i * 33);
        if i % 30 == 0 {
            feed.push(1, i * 33);
        }
        groups += feed.groups().len();
    }
    assert!(groups >= 9, "{groups} of 10 groups");
}

/// The stamp is judged before a full buffer gives way, or a late message would cost a good one too.
#[test]
fn a_refused_message_evicts_nothing() {
    for matching in [Match::Oldest, Match::Nearest] {
        let mut options = options(&["a", "b"], Some(50.0));
        options.matching = matching;
        options.buffer_size = 2;
        let mut feed = Feed::new(&options);
        feed.push(0, 100);
        feed.push(0, 200);
        assert_eq!(feed.push(0, 150), PushOutcome::OutOfOrder);
        assert_eq!(feed.drops(), []);
        assert_eq!(feed.sync.stats().buffered, 2);
        assert_eq!(feed.push(0, 300), PushOutcome::Accepted);
        assert_eq!(feed.drops(), [(0, 100, Reason::Full)]);
    }
}

#[test]
fn a_window_of_zero_is_an_error() {
    let error = Synchronizer::new(&options(&["a", "b"], Some(0.0))).err();
    assert_eq!(error, Some(SyncError::Duration { option: "windowMs".into(), value: 0.0 }));
}

#[test]
fn reset_forgets_the_clocks() {
    let mut feed = Feed::new(&options(&["a", "b"], Some(50.0)));
    feed.push_all(&[1000, 1000]);
    feed.push(0, 1100);
    assert_eq!(feed.groups().len(), 1);
    feed.sync.reset();
    assert_eq!(feed.drops(), [(0, 1100, Reason::Reset)]);
    assert_eq!(feed.push(0, 10), PushOutcome::Accepted);
    assert_eq!(feed.push(1, 10), PushOutcome::Accepted);
    assert_eq!(feed.groups(), [full(&[10, 10])]);
}

#[test]
fn the_shortfall_is_what_the_spread_lacks() {
    let mut feed = Feed::new(&options(&["a", "b"], Some(50.0)));
    feed.push(0, 100);
    feed.push(1, 110);
    feed.groups();
    feed.push(0, 200);
    feed.push(0, 210);
    feed.push(1, 205);
    let status = feed.sync.match_status();
    assert_eq!((status.inf, status.sup), (Some(205 * MS), Some(205 * MS)));
    assert_eq!(status.shortfall, 50 * MS);
}
