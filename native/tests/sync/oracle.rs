//! The definitions, done the slow way: every combination is looked at.

use crate::support::{Group, Rng};

/// One stream's stamps, ascending, for each topic.
pub type Streams = Vec<Vec<i64>>;

/// The groups of the `nearest` rule for a complete input.
///
/// Each message is used at most once and groups do not cross. Usable is a message that some set of
/// remaining messages, one a topic and within the window, contains. A set is contiguous to the group
/// before it if it contains the first usable message of some topic. Of the contiguous sets the one of
/// smallest spread is the next group; of equal ones the first in the order of their indices.
pub fn nearest(streams: &[Vec<i64>], window: Option<i64>) -> Vec<Vec<i64>> {
    let mut used = vec![0; streams.len()];
    let mut groups = Vec::new();
    loop {
        let mut sets = Vec::new();
        list_sets(streams, &used, window, &mut Vec::new(), &mut sets);
        let first_usable = |topic: usize| sets.iter().map(|(set, _)| set[topic]).min();
        let firsts: Vec<_> = (0..streams.len()).map(first_usable).collect();
        let contiguous = |set: &[usize]| set.iter().zip(&firsts).any(|(&index, &first)| Some(index) == first);
        let best = sets.iter().filter(|(set, _)| contiguous(set)).min_by_key(|(set, spread)| (*spread, set.clone()));
        let Some((set, _)) = best else { return groups };
        groups.push(set.iter().zip(streams).map(|(&index, stream)| stream[index]).collect());
        used = set.iter().map(|index| index + 1).collect();
    }
}

/// All sets of one message a topic, from `used` on, that lie within the window, with their spreads.
fn list_sets(
    streams: &[Vec<i64>],
    used: &[usize],
    window: Option<i64>,
    set: &mut Vec<usize>,
    sets: &mut Vec<(Vec<usize>, i64)>,
) {
    let topic = set.len();
    let stamps = || set.iter().zip(streams).map(|(&index, stream)| stream[index]);
    let spread = stamps().max().unwrap_or(0) - stamps().min().unwrap_or(0);
    if window.is_some_and(|window| spread > window) {
        return;
    }
    if topic == streams.len() {
        sets.push((set.clone(), spread));
        return;
    }
    for index in used[topic]..streams[topic].len() {
        set.push(index);
        list_sets(streams, used, window, set, sets);
        set.pop();
    }
}

/// Adds the messages of optional topics to groups of required ones.
///
/// A group takes, on one optional topic after the other, the message that widens it least, within the
/// window and later than the one that an earlier group took; of equal ones the earliest. A message later
/// than the group's end is left to the next group if that can have it within the window and is strictly
/// nearer to it.
pub fn with_optional(groups: &[Vec<i64>], optional: &[Vec<i64>], window: Option<i64>) -> Vec<Group> {
    let span = |group: &[i64]| (*group.iter().min().unwrap(), *group.iter().max().unwrap());
    let fits =
        |(start, end): (i64, i64), stamp: i64| window.is_none_or(|window| end.max(stamp) - start.min(stamp) <= window);
    let distance = |(start, end): (i64, i64), stamp: i64| (start - stamp).max(stamp - end).max(0);
    let mut used = vec![i64::MIN; optional.len()];
    let mut out: Vec<Group> = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        let next = groups.get(place + 1).map(|next| span(next));
        let mut own = span(group);
        let mut whole: Group = group.iter().copied().map(Some).collect();
        for (topic, stream) in optional.iter().enumerate() {
            let belongs_to_next = |stamp: i64| {
                stamp > own.1
                    && next.is_some_and(|next| fits(next, stamp) && distance(next, stamp) < distance(own, stamp))
            };
            let usable = |&stamp: &i64| stamp > used[topic] && fits(own, stamp) && !belongs_to_next(stamp);
            let best = stream.iter().copied().filter(usable).min_by_key(|&stamp| (distance(own, stamp), stamp));
            if let Some(stamp) = best {
                used[topic] = stamp;
                own = (own.0.min(stamp), own.1.max(stamp));
            }
            whole.push(best);
        }
        out.push(whole);
    }
    out
}

/// Streams of different rates with jitter, gaps, and stamps shared between topics.
pub fn random_streams(rng: &mut Rng, topics: usize, longest: usize) -> Streams {
    let grain = rng.pick(&[1, 1, 5, 10]);
    let periods = [3, 7, 10, 10, 33, 40, 100];
    let same = rng.percent(50).then(|| rng.pick(&periods));
    let stream = |_| {
        let period = same.unwrap_or_else(|| rng.pick(&periods));
        let jitter = rng.pick(&[0, 0, 2, period / 2, period]);
        let gaps = rng.pick(&[0, 0, 20, 50]);
        let count = rng.range(4.min(longest as i64), longest as i64);
        let mut at = rng.range(-50, 50);
        let mut last = i64::MIN;
        let mut stamps = Vec::new();
        for _ in 0..count {
            at += period * if rng.percent(gaps) { rng.range(2, 4) } else { 1 };
            let stamp = ((at + rng.range(-jitter, jitter)) / grain * grain).max(last.saturating_add(1));
            last = stamp;
            stamps.push(stamp);
        }
        stamps
    };
    (0..topics).map(stream).collect()
}

/// A random order of arrival that keeps each stream's own: which topic comes when.
pub fn random_arrival(rng: &mut Rng, streams: &[Vec<i64>]) -> Vec<usize> {
    let left = |at: &[usize]| (0..streams.len()).filter(|&t| at[t] < streams[t].len()).collect::<Vec<_>>();
    let mut at = vec![0; streams.len()];
    let mut arrival = Vec::new();
    let by_stamp = rng.percent(30);
    let burst = rng.pick(&[1, 1, 3, 20]);
    loop {
        let open = left(&at);
        if open.is_empty() {
            return arrival;
        }
        let earliest = open.iter().copied().min_by_key(|&t| streams[t][at[t]]).unwrap();
        let topic = if by_stamp { earliest } else { rng.pick(&open) };
        let run = if by_stamp { 1 } else { burst.min(streams[topic].len() - at[topic]) };
        at[topic] += run;
        arrival.extend(std::iter::repeat_n(topic, run));
    }
}
