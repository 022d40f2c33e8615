//! What becomes of a push, and of the messages that leave without a group.

use millrace::sync::{DropPolicy, EqualStamps, OnClockJump, Options, PushOutcome, Reason};

use crate::support::{Feed, full};

use PushOutcome::{Accepted, ClockJump, Full, Late, OutOfOrder, UnknownTopic};

fn options() -> Options {
    Options::new(["a", "b"])
}

#[test]
fn every_outcome() {
    type Case = (&'static str, Options, &'static [(usize, i64, PushOutcome)]);
    let small = Options { buffer_size: 2, drop: DropPolicy::RejectNew, ..options() };
    let refuse = Options { on_clock_jump: OnClockJump::Refuse, ..options() };
    let cases: Vec<Case> = vec![
        ("in order", options(), &[(0, 10, Accepted), (0, 20, Accepted), (1, 5, Accepted)]),
        ("behind its topic", options(), &[(0, 20, Accepted), (0, 10, OutOfOrder), (0, 30, Accepted)]),
        ("behind the last group", options(), &[(0, 20, Accepted), (1, 20, Accepted), (1, 10, Late)]),
        ("at the last group", options(), &[(0, 20, Accepted), (1, 20, Accepted), (1, 20, Late)]),
        ("no room", small, &[(0, 10, Accepted), (0, 20, Accepted), (0, 30, Full), (1, 20, Accepted)]),
        ("no such topic", options(), &[(2, 10, UnknownTopic), (usize::MAX, 10, UnknownTopic)]),
        ("a clock set back", options(), &[(0, 5000, Accepted), (0, 100, ClockJump), (0, 110, Accepted)]),
        ("a jump refused", refuse, &[(0, 5000, Accepted), (0, 100, ClockJump), (0, 110, ClockJump)]),
        ("exactly the limit is no jump", options(), &[(0, 5000, Accepted), (0, 4000, OutOfOrder)]),
        ("ahead is no jump", options(), &[(0, 0, Accepted), (0, 1_000_000, Accepted)]),
        ("equal", options(), &[(0, 10, Accepted), (0, 10, OutOfOrder)]),
    ];
    for (name, options, pushes) in cases {
        let mut feed = Feed::new(&options);
        for (step, &(topic, ms, outcome)) in pushes.iter().enumerate() {
            assert_eq!(feed.push(topic, ms), outcome, "{name}, push {step}");
        }
    }
}

#[test]
fn a_refused_slot_is_counted_but_not_handed_back() {
    let mut feed = Feed::new(&options());
    feed.push(0, 20);
    assert_eq!(feed.push(0, 10), OutOfOrder);
    assert_eq!(feed.push(7, 10), UnknownTopic);
    assert_eq!(feed.drops(), []);
    assert_eq!((feed.dropped(Reason::OutOfOrder), feed.dropped(Reason::UnknownTopic)), (1, 1));
    assert_eq!(feed.sync.stats().received, 3);
}

#[test]
fn a_full_buffer_gives_up_the_oldest() {
    let mut feed = Feed::new(&Options { buffer_size: 3, ..options() });
    for ms in [10, 20, 30, 40, 50] {
        assert_eq!(feed.push(0, ms), Accepted);
    }
    assert_eq!(feed.drops(), [(0, 10, Reason::Full), (0, 20, Reason::Full)]);
}

#[test]
fn a_full_buffer_ends_the_wait_for_proof() {
    for drop in [DropPolicy::DropOldest, DropPolicy::RejectNew] {
        let mut feed = Feed::new(&Options { buffer_size: 2, drop, ..options() });
        for (topic, ms) in [(0, 10), (1, 50), (1, 60)] {
            feed.push(topic, ms);
        }
        assert_eq!(feed.sync.ready(), 0, "a message on topic a could still be nearer");
        assert_eq!(feed.push(1, 70), Accepted);
        assert_eq!(feed.groups(), [full(&[10, 50])], "{drop:?}");
    }
}

#[test]
fn equal_stamps_replace_or_are_refused() {
    for (equal_stamps, outcome, told) in
        [(EqualStamps::Replace, Accepted, vec![(0, 10, Reason::Replaced)]), (EqualStamps::Refuse, OutOfOrder, vec![])]
    {
        let mut feed = Feed::new(&Options { equal_stamps, ..options() });
        feed.push(0, 10);
        assert_eq!(feed.push(0, 10), outcome);
        assert_eq!(feed.drops(), told);
        // The group has the slot that was kept: the feed knows which.
        feed.push(1, 10);
        assert_eq!(feed.groups(), [full(&[10, 10])]);
        assert_eq!(feed.held(), 0);
        assert_eq!(feed.push(0, 10), Late, "its place is taken by a group");
    }
}

#[test]
fn a_clock_jump_lets_complete_groups_go_and_hands_the_rest_back() {
    let mut feed = Feed::new(&options());
    for (topic, ms) in [(0, 5000), (1, 5040), (1, 5300)] {
        feed.push(topic, ms);
    }
    feed.push(0, 5320);
    assert_eq!(feed.groups(), [full(&[5000, 5040])]);
    assert_eq!(feed.push(1, 100), ClockJump);
    assert_eq!(feed.groups(), [full(&[5320, 5300])], "complete, though not yet proven");
    assert_eq!(feed.push(0, 100), Accepted, "all clocks begin anew");
    assert_eq!(feed.groups(), [full(&[100, 100])]);
    assert_eq!(feed.sync.stats().clock_jumps, 1);
}

#[test]
fn what_a_clock_jump_leaves_comes_back_with_its_reason() {
    let mut feed = Feed::new(&options());
    feed.push(0, 5000);
    feed.push(0, 5100);
    assert_eq!(feed.push(0, 10), ClockJump);
    assert_eq!(feed.drops(), [(0, 5000, Reason::ClockJump), (0, 5100, Reason::ClockJump)]);
}

/// One late message is late; a run of them that rises is a clock that was set back a little.
#[test]
fn a_small_step_back_is_a_jump_once_it_lasts() {
    let mut feed = Feed::new(&options());
    feed.push(0, 1000);
    let outcomes: Vec<_> = (0..10).map(|i| feed.push(0, 500 + i * 10)).collect();
    assert_eq!(outcomes[..7], [OutOfOrder; 7]);
    assert_eq!(outcomes[7..], [ClockJump, Accepted, Accepted]);

    let mut feed = Feed::new(&options());
    feed.push(0, 1000);
    for _ in 0..20 {
        assert_eq!(feed.push(0, 500), OutOfOrder, "the same message again and again is no clock");
    }
}

#[test]
fn a_leap_ahead_is_counted() {
    let mut feed = Feed::new(&options());
    for i in 0..10 {
        feed.push_all(&[i * 10, i * 10]);
    }
    assert_eq!(feed.sync.stats().clock_jumps, 0);
    feed.push_all(&[1_000_000, 1_000_000]);
    assert_eq!(feed.sync.stats().clock_jumps, 1, "once, not once a topic");
    assert_eq!(feed.groups().len(), 11);
}

#[test]
fn groups_that_nobody_takes_are_bounded_too() {
    for (drop, kept) in [(DropPolicy::DropOldest, 16..20), (DropPolicy::RejectNew, 0..4)] {
        let mut feed = Feed::new(&Options { buffer_size: 4, drop, ..options() });
        for i in 0..20 {
            feed.push_all(&[i * 10, i * 10]);
        }
        let wanted: Vec<_> = kept.map(|i| full(&[i * 10, i * 10])).collect();
        assert_eq!(feed.groups(), wanted, "{drop:?}");
        assert_eq!(feed.dropped(Reason::Full), 32, "{drop:?}");
    }
}
