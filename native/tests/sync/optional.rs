//! Optional topics: what a group takes of them, and how long it waits.

use millrace::sync::{DropPolicy, Match, Options, PushOutcome};

use crate::oracle::{Streams, random_arrival, random_streams, with_optional};
use crate::random;
use crate::support::{Feed, Group, Rng, cases, full};

/// Topics named `o…` are optional.
fn options(topics: &[&str]) -> Options {
    let mut options = Options::new(topics.iter().copied());
    for topic in &mut options.topics {
        topic.required = !topic.name.starts_with('o');
    }
    options
}

#[test]
fn named_cases() {
    type Case = (&'static str, &'static [(usize, i64)], &'static [[Option<i64>; 2]]);
    const NONE: Option<i64> = None;
    let cases: &[Case] = &[
        ("inside", &[(0, 100), (1, 100)], &[[Some(100), Some(100)]]),
        ("it waits while one can come", &[(0, 100)], &[]),
        ("before, until nothing nearer can come", &[(1, 90), (0, 100)], &[]),
        ("before, as the next is farther", &[(1, 90), (0, 100), (1, 111)], &[[Some(100), Some(90)]]),
        ("before, as the next is no nearer", &[(1, 90), (0, 100), (1, 110)], &[[Some(100), Some(90)]]),
        (
            "after, once the next group is known to be farther",
            &[(0, 100), (1, 104), (0, 110)],
            &[[Some(100), Some(104)]],
        ),
        (
            "left to the next group",
            &[(0, 100), (1, 109), (0, 110), (1, 120)],
            &[[Some(100), NONE], [Some(110), Some(109)]],
        ),
        ("none, once it is too late", &[(0, 100), (1, 151)], &[[Some(100), NONE]]),
    ];
    for (name, input, wanted) in cases {
        let mut feed = Feed::new(&options(&["a", "o"]));
        for &(topic, ms) in *input {
            feed.push(topic, ms);
        }
        let wanted: Vec<Group> = wanted.iter().map(|group| group.to_vec()).collect();
        assert_eq!(feed.groups(), wanted, "{name}");
    }
}

#[test]
fn a_known_period_decides_earlier() {
    for (period, wanted) in [(20.0, vec![full(&[100, 90])]), (19.0, vec![])] {
        let mut options = options(&["a", "o"]);
        options.topics[1].min_period_ms = Some(period);
        let mut feed = Feed::new(&options);
        feed.push(1, 90);
        feed.push(0, 100);
        assert_eq!(feed.groups(), wanted, "the next could come at {}", 90.0 + period);
    }
}

#[test]
fn a_message_inside_the_group_is_taken_at_once() {
    let mut options = options(&["a", "b", "o"]);
    options.matching = Match::Oldest;
    let mut feed = Feed::new(&options);
    feed.push_all(&[100, 120, 120]);
    assert_eq!(feed.groups(), [full(&[100, 120, 120])]);
}

/// Or a group that comes later than a full buffer of them would go without.
#[test]
fn what_is_too_old_for_every_group_makes_room() {
    for matching in [Match::Nearest, Match::Oldest] {
        let mut options = options(&["a", "b", "o"]);
        options.matching = matching;
        options.buffer_size = 2;
        options.drop = DropPolicy::RejectNew;
        let mut feed = Feed::new(&options);
        for (topic, ms) in [(2, 10), (2, 20), (0, 1000)] {
            feed.push(topic, ms);
        }
        assert_eq!(feed.push(2, 1000), PushOutcome::Accepted, "{matching:?}");
        feed.push(1, 1000);
        assert_eq!(feed.groups(), [full(&[1000, 1000, 1000])], "{matching:?}");
    }
}

/// The best group so far ends long before the newest messages, and may still be the one to leave.
#[test]
fn what_the_best_group_so_far_can_have_is_kept() {
    let mut options = options(&["a", "b", "c", "o"]);
    options.buffer_size = 2;
    let mut feed = Feed::new(&options);
    for (topic, ms) in [(0, 0), (1, 30), (2, 28), (0, 59), (3, -16), (3, -15), (3, 100)] {
        feed.push(topic, ms);
    }
    assert_eq!(feed.sync.ready(), 0);
    feed.sync.flush(0);
    assert_eq!(feed.groups(), [full(&[0, 30, 28, -15])]);
}

#[test]
fn a_silent_optional_topic_holds_back_one_buffer_of_groups() {
    let mut options = options(&["a", "o"]);
    options.buffer_size = 4;
    let mut feed = Feed::new(&options);
    let mut groups = Vec::new();
    for i in 0..10 {
        feed.push(0, i * 10);
        groups.extend(feed.groups());
    }
    let wanted: Vec<Group> = (0..6).map(|i| vec![Some(i * 10), None]).collect();
    assert_eq!(groups, wanted);
}

#[test]
fn a_full_optional_buffer_ends_the_wait() {
    let mut options = options(&["a", "o"]);
    options.buffer_size = 2;
    options.window_ms = None;
    let mut feed = Feed::new(&options);
    feed.push(1, 10);
    feed.push(1, 20);
    feed.push(0, 100);
    assert_eq!(feed.sync.ready(), 0);
    feed.push(1, 30);
    assert_eq!(feed.groups(), [full(&[100, 20])]);
}

/// Required groups come from an engine that knows no optional topics, the rest from the definition.
#[test]
fn random_streams_agree_with_the_definition_in_every_order_of_arrival() {
    let mut taken = 0;
    for seed in 0..cases(12_000, 300_000) {
        let mut rng = Rng::new(4_000_000_000 + seed);
        let (required, extra) = (1 + rng.below(3), 1 + rng.below(2));
        let streams = random_streams(&mut rng, required + extra, 10);
        let window = rng.pick(&[Some(3), Some(10), Some(30), Some(100), None]);
        let matching = rng.pick(&[Match::Nearest, Match::Oldest]);

        // The `oldest` rule depends on the order between required topics, so that one stays.
        let core = streams[..required].to_vec();
        let core_arrival = random_arrival(&mut rng, &core);
        let mut plain = random::options(required, window);
        plain.matching = matching;
        let groups = random::run(&plain, &core, &core_arrival);
        let groups: Vec<Vec<i64>> = groups.into_iter().map(|group| group.into_iter().flatten().collect()).collect();
        let wanted = with_optional(&groups, &streams[required..], window);
        taken += wanted.iter().filter(|group| group[required..].iter().any(Option::is_some)).count();

        let mut options = random::options(required + extra, window);
        options.matching = matching;
        for topic in &mut options.topics[required..] {
            topic.required = false;
        }
        for order in 0..3 {
            let arrival = merge(&mut rng, &core_arrival, &streams, required);
            let groups = random::run(&options, &streams, &arrival);
            assert_eq!(
                groups, wanted,
                "seed {seed}, order {order}: {matching:?}, {required} required of {streams:?}, window {window:?}, {arrival:?}"
            );
        }
    }
    assert!(taken > 10_000, "{taken} groups with an optional message prove little");
}

/// Mixes the optional topics' messages into an order of arrival of the required ones.
fn merge(rng: &mut Rng, core: &[usize], streams: &Streams, required: usize) -> Vec<usize> {
    let mut queues: Vec<Vec<usize>> = vec![core.to_vec()];
    queues.extend((required..streams.len()).map(|topic| vec![topic; streams[topic].len()]));
    let lengths: Vec<Vec<i64>> = queues.iter().map(|queue| (0..queue.len() as i64).collect()).collect();
    let mut at = vec![0; queues.len()];
    let mut arrival = Vec::new();
    for queue in random_arrival(rng, &lengths) {
        arrival.push(queues[queue][at[queue]]);
        at[queue] += 1;
    }
    arrival
}
