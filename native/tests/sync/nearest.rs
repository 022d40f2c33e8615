//! The `nearest` rule: named cases, and how near and how soon it is beside the `oldest` rule.

use millrace::sync::{DropPolicy, Match, Options};

use crate::support::{Feed, Group, MS, full};

fn feed(topics: &[&str], window_ms: Option<f64>) -> Feed {
    let mut options = Options::new(topics.iter().copied());
    options.window_ms = window_ms;
    Feed::new(&options)
}

#[test]
fn pairs_the_nearest() {
    let mut feed = feed(&["a", "b"], Some(50.0));
    for (topic, ms) in [(0, 1000), (0, 1040), (1, 1045), (0, 1100), (1, 1100)] {
        feed.push(topic, ms);
    }
    assert_eq!(feed.groups(), [full(&[1040, 1045]), full(&[1100, 1100])]);
}

#[test]
fn named_cases() {
    type Case = (&'static str, Option<f64>, &'static [(usize, i64)], &'static [[i64; 2]]);
    let cases: &[Case] = &[
        ("equal stamps need no proof", Some(50.0), &[(0, 10), (1, 10)], &[[10, 10]]),
        ("a spread needs proof", Some(50.0), &[(0, 10), (1, 20)], &[]),
        ("the fast topic proves", Some(50.0), &[(0, 10), (1, 20), (0, 43)], &[[10, 20]]),
        ("a nearer message may not be the nearest", Some(50.0), &[(0, 10), (1, 20), (0, 15)], &[]),
        ("one on the other side is", Some(50.0), &[(0, 10), (1, 20), (0, 22)], &[[22, 20]]),
        ("of equals, the earliest", Some(50.0), &[(0, 10), (1, 15), (0, 20)], &[[10, 15]]),
        ("the window's edge belongs to it", Some(100.0), &[(0, 0), (1, 100), (0, 200)], &[[0, 100]]),
        ("beyond the edge", Some(100.0), &[(0, 0), (1, 101), (0, 202)], &[]),
        ("any spread without a window", None, &[(0, 0), (1, 5000), (0, 20_000)], &[[0, 5000]]),
    ];
    for (name, window, input, wanted) in cases {
        let mut feed = feed(&["a", "b"], *window);
        for &(topic, ms) in *input {
            feed.push(topic, ms);
        }
        let wanted: Vec<Group> = wanted.iter().map(|group| full(group)).collect();
        assert_eq!(feed.groups(), wanted, "{name}");
    }
}

#[test]
fn what_cannot_match_leaves_at_once() {
    let mut feed = feed(&["a", "b"], Some(50.0));
    feed.push(0, 100);
    feed.push(0, 200);
    assert_eq!(feed.drops(), []);
    feed.push(1, 190);
    assert_eq!(feed.drops(), [(0, 100, millrace::sync::Reason::Unmatched)]);
}

#[test]
fn a_divergence_does_not_wedge() {
    for drop in [DropPolicy::DropOldest, DropPolicy::RejectNew] {
        let mut options = Options::new(["a", "b"]);
        options.buffer_size = 2;
        options.drop = drop;
        let mut feed = Feed::new(&options);
        for (a, b) in [(1000, 2000), (1010, 2010)] {
            feed.push_all(&[a, b]);
        }
        let mut groups = 0;
        for i in 0..20 {
            feed.push_all(&[3000 + i * 100, 3000 + i * 100]);
            groups += feed.groups().len();
        }
        assert!(groups >= 19, "{drop:?}: {groups} of 20 groups");
    }
}

struct Figures {
    skew: f64,
    /// From the smallest stamp of a group to the newest stamp pushed when it left.
    delay: f64,
    groups: usize,
}

/// Two regular streams, arriving by stamp; means in ms.
fn two_rates(matching: Match, periods: [i64; 2]) -> Figures {
    let mut options = Options::new(["fast", "slow"]);
    options.matching = matching;
    let mut feed = Feed::new(&options);
    let (mut skew, mut delay, mut groups) = (0, 0, 0);
    let mut next = [0, 0];
    while next[0] < 2_000_000 {
        let topic = usize::from(next[1] < next[0]);
        let stamp = next[topic];
        feed.push(topic, stamp);
        next[topic] += periods[topic];
        for group in feed.groups() {
            let stamps = || group.iter().flatten();
            skew += stamps().max().unwrap() - stamps().min().unwrap();
            delay += stamp - stamps().min().unwrap();
            groups += 1;
        }
    }
    let mean = |sum: i64| sum as f64 / groups as f64;
    let figures = Figures { skew: mean(skew), delay: mean(delay), groups };
    assert!((feed.sync.stats().mean_skew / MS as f64 - figures.skew).abs() < 1e-6);
    println!("{matching:?} {periods:?}: skew {:.1} ms, delay {:.1} ms", figures.skew, figures.delay);
    figures
}

#[test]
fn is_near_and_prompt_at_33_and_100_ms() {
    let (nearest, oldest) = (two_rates(Match::Nearest, [33, 100]), two_rates(Match::Oldest, [33, 100]));
    assert!(nearest.groups >= 19_990, "{} of 20000 groups", nearest.groups);
    assert!(nearest.skew <= 8.5, "mean skew {}", nearest.skew);
    assert!(nearest.delay <= 35.0, "mean delay {}", nearest.delay);
    assert!(oldest.skew > 30.0 && oldest.delay > 90.0, "{} {}", oldest.skew, oldest.delay);
}

#[test]
fn is_near_and_prompt_at_33_ms_and_1_s() {
    let (nearest, oldest) = (two_rates(Match::Nearest, [33, 1000]), two_rates(Match::Oldest, [33, 1000]));
    assert!(nearest.groups >= 1_998, "{} of 2000 groups", nearest.groups);
    assert!(nearest.skew <= 8.5, "mean skew {}", nearest.skew);
    assert!(nearest.delay <= 35.0, "mean delay {}", nearest.delay);
    assert!(oldest.delay > 900.0, "{}", oldest.delay);
}
