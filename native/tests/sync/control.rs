//! What the caller can do: end, reset or change a synchroniser, and read its counters.

use millrace::error::{ErrorCode, HasCode};
use millrace::options::{from_json, to_json};
use millrace::sync::{
    Blocked, DropPolicy, EqualStamps, Match, Options, PushOutcome, Reason, SyncError, Synchronizer, TopicOptions,
};

use crate::support::{Feed, MS, full};

fn options() -> Options {
    Options::new(["a", "b"])
}

#[test]
fn options_that_cannot_work_are_refused_by_name() {
    let unnamed = Options::new([""]);
    let twice = Options::new(["a", "b", "a"]);
    let mut none_required = options();
    none_required.topics.iter_mut().for_each(|topic| topic.required = false);
    let mut period = options();
    period.topics[1] = TopicOptions { name: "b".into(), required: true, min_period_ms: Some(-1.0) };
    let time = |option: &str, value: f64| SyncError::Duration { option: option.into(), value };
    let cases = [
        (Options::new([] as [&str; 0]), SyncError::NoTopics),
        (none_required, SyncError::NoRequiredTopic),
        (unnamed, SyncError::EmptyTopic),
        (twice, SyncError::DuplicateTopic("a".into())),
        (Options { buffer_size: 1, ..options() }, SyncError::BufferSize(1)),
        (Options { buffer_size: 1_000_001, ..options() }, SyncError::BufferSize(1_000_001)),
        (Options { window_ms: Some(-5.0), ..options() }, time("windowMs", -5.0)),
        (Options { window_ms: Some(f64::INFINITY), ..options() }, time("windowMs", f64::INFINITY)),
        (Options { timeout_ms: Some(0.0), ..options() }, time("timeoutMs", 0.0)),
        (Options { max_delay_ms: Some(0.0), ..options() }, time("maxDelayMs", 0.0)),
        (Options { clock_jump_ms: 0.0, ..options() }, time("clockJumpMs", 0.0)),
        (Options { stall_ms: Some(1e30), ..options() }, time("stallMs", 1e30)),
        (period, time("minPeriodMs of topic 'b'", -1.0)),
    ];
    for (options, wanted) in cases {
        let error = Synchronizer::new(&options).err().unwrap();
        assert_eq!(error, wanted);
        assert_eq!(error.code(), ErrorCode::InvalidOption);
    }
    let not_a_number = Options { window_ms: Some(f64::NAN), ..options() };
    assert!(Synchronizer::new(&not_a_number).is_err());
}

#[test]
fn options_are_read_as_people_write_them() {
    let read = from_json::<Options>(
        r#"{"topics": [{"name": "a"}, {"name": "b", "required": false, "minPeriodMs": 20}],
            "windowMs": null, "match": "oldest", "drop": "reject-new", "equalStamps": "replace"}"#,
    );
    let read = read.unwrap();
    assert_eq!((read.topics[0].required, read.topics[0].min_period_ms), (true, None));
    assert_eq!((read.topics[1].required, read.topics[1].min_period_ms), (false, Some(20.0)));
    assert_eq!((read.window_ms, read.matching, read.drop), (None, Match::Oldest, DropPolicy::RejectNew));
    assert_eq!((read.equal_stamps, read.buffer_size), (EqualStamps::Replace, Options::default().buffer_size));

    let again = from_json::<Options>(&to_json(&read).unwrap()).unwrap();
    assert_eq!(to_json(&again), to_json(&read));
}

#[test]
fn json_that_is_no_options_is_refused_by_its_place() {
    let cases = [
        (r#"{"windowMS": 5}"#, "windowMS"),
        (r#"{"match": "newest"}"#, "match"),
        (r#"{"topics": [{"name": "a"}, {"name": 7}]}"#, "topics[1].name"),
    ];
    for (text, place) in cases {
        match from_json::<Options>(text) {
            Err(error) => assert_eq!(error.option, place),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn names_and_numbers_agree() {
    for (number, outcome) in PushOutcome::ALL.into_iter().enumerate() {
        assert_eq!(outcome as usize, number, "{}", outcome.name());
    }
    for (number, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, number, "{}", reason.name());
    }
    let distinct = |names: &[&str]| names.iter().collect::<std::collections::HashSet<_>>().len() == names.len();
    assert!(distinct(&Reason::ALL.map(Reason::name)));
    assert!(distinct(&PushOutcome::ALL.map(PushOutcome::name)));
    let blocked = [Blocked::No, Blocked::WaitingForData, Blocked::SpreadTooNarrow, Blocked::BufferFull];
    assert!(distinct(&blocked.map(Blocked::name)));
}

#[test]
fn flush_lets_complete_groups_go_and_hands_the_rest_back() {
    let mut feed = Feed::new(&options());
    for (topic, ms) in [(0, 190), (0, 200), (1, 210), (1, 300)] {
        feed.push(topic, ms);
    }
    assert_eq!(feed.sync.ready(), 0);
    feed.sync.flush(0);
    assert_eq!(feed.groups(), [full(&[200, 210])]);
    assert_eq!(feed.drops(), [(0, 190, Reason::Unmatched), (1, 300, Reason::Flush)]);
    assert_eq!(feed.sync.stats().buffered, 0);
    // The clocks go on.
    assert_eq!(feed.push(0, 150), PushOutcome::Late);
    assert_eq!(feed.push(0, 310), PushOutcome::Accepted);
}

#[test]
fn flush_settles_what_waits_for_optional_messages() {
    let mut options = options();
    options.topics[1].required = false;
    let mut feed = Feed::new(&options);
    for ms in [100, 200] {
        feed.push(0, ms);
    }
    feed.push(1, 90);
    assert!(feed.groups().is_empty());
    feed.sync.flush(0);
    assert_eq!(feed.groups(), [vec![Some(100), Some(90)], vec![Some(200), None]]);
}

#[test]
fn reset_hands_everything_back_ready_groups_too() {
    let mut feed = Feed::new(&options());
    feed.push_all(&[10, 10]);
    feed.push(0, 20);
    assert_eq!(feed.sync.ready(), 1);
    feed.sync.reset();
    let mut drops = feed.drops();
    drops.sort_unstable_by_key(|&(topic, stamp, _)| (topic, stamp));
    assert_eq!(drops, [(0, 10, Reason::Reset), (0, 20, Reason::Reset), (1, 10, Reason::Reset)]);
    assert_eq!((feed.sync.ready(), feed.sync.stats().buffered, feed.held()), (0, 0, 0));
    feed.push_all(&[5, 5]);
    assert_eq!(feed.groups(), [full(&[5, 5])]);
}

#[test]
fn options_change_while_messages_wait() {
    let mut feed = Feed::new(&Options { window_ms: Some(5.0), ..options() });
    for (topic, ms) in [(0, 100), (1, 103), (1, 200)] {
        feed.push(topic, ms);
    }
    feed.sync.set_options(&Options { window_ms: Some(500.0), ..options() }, 0).unwrap();
    assert!(feed.groups().is_empty(), "what waited still waits for its proof");
    feed.push(0, 106);
    assert_eq!(feed.groups(), [full(&[100, 103])]);
    feed.push(0, 650);
    assert_eq!(feed.groups(), [full(&[106, 200])], "the wider window holds");

    let error = feed.sync.set_options(&Options { buffer_size: 0, ..options() }, 0);
    assert_eq!(error, Err(SyncError::BufferSize(0)));
    assert_eq!(feed.push(0, 660), PushOutcome::Accepted, "a refused change changes nothing");
}

#[test]
fn the_rule_changes_while_messages_wait() {
    let mut feed = Feed::new(&options());
    for (topic, ms) in [(0, 0), (0, 20), (1, 30)] {
        feed.push(topic, ms);
    }
    assert_eq!(feed.sync.ready(), 0);
    feed.sync.set_options(&Options { matching: Match::Oldest, ..options() }, 0).unwrap();
    feed.push_all(&[90, 90]);
    assert_eq!(feed.groups(), [full(&[0, 30])]);
}

#[test]
fn a_smaller_buffer_gives_up_the_oldest() {
    let mut feed = Feed::new(&options());
    for ms in [10, 20, 30, 40] {
        feed.push(0, ms);
    }
    feed.sync.set_options(&Options { buffer_size: 2, ..options() }, 0).unwrap();
    assert_eq!(feed.drops(), [(0, 10, Reason::Full), (0, 20, Reason::Full)]);
}

#[test]
fn the_counters_add_up() {
    let mut feed = Feed::new(&options());
    for (topic, ms) in [(0, 0), (1, 10), (0, 100), (1, 120), (0, 300), (0, 290)] {
        feed.push(topic, ms);
    }
    assert_eq!(feed.groups().len(), 2);
    let stats = feed.sync.stats();
    assert_eq!((stats.received, stats.grouped, stats.groups, stats.buffered), (6, 4, 2, 1));
    assert_eq!(stats.dropped.iter().sum::<u64>(), 1);
    assert_eq!((stats.mean_skew, stats.max_skew), (15.0 * MS as f64, 20 * MS));
}

#[test]
fn a_thousand_topics_work() {
    for matching in [Match::Nearest, Match::Oldest] {
        let mut options = Options::new((0..1000).map(|topic| format!("t{topic}")));
        options.matching = matching;
        let mut feed = Feed::new(&options);
        let mut groups = 0;
        for round in 0..20 {
            for topic in 0..1000 {
                feed.push(topic, round * 100 + (topic as i64 * 7) % 20);
            }
            groups += feed.groups().len();
        }
        feed.sync.flush(0);
        groups += feed.groups().len();
        assert_eq!(groups, 20, "{matching:?}");
        assert_eq!(feed.sync.stats().max_skew, 19 * MS, "{matching:?}");
    }
}
