//! What a folder holds when it is opened, mended.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{Error, ErrorKind};
use std::ops::Range;
use std::path::Path;

use super::AGE_STEP_MS;
use super::segment::{self, HEAD, Segment};

/// More than a missing segment or two would hold: such a gap is no damage but a foreign file.
const MOST_LOST: u64 = 10_000_000;

#[derive(Debug, Default)]
pub struct Found {
    pub segments: VecDeque<Segment>,
    /// The first record's number.
    pub first: u64,
    /// Behind the last record's.
    pub next: u64,
    /// Numbers of records that are damaged.
    pub lost: Vec<Range<u64>>,
    pub times: VecDeque<(u64, i64)>,
}

/// A segment read from the beginning to the end.
#[derive(Debug, Default, PartialEq)]
struct Scan {
    /// Where whole records lie.
    good: Vec<Range<usize>>,
    /// Numbers between them.
    lost: Vec<Range<u64>>,
    /// Behind the last record's.
    next: u64,
    /// Bytes behind the last record.
    rest: usize,
    times: Vec<(u64, i64)>,
}

/// `open_from` is the first record that is not acknowledged.
pub fn recover(folder: &Path, open_from: u64) -> std::io::Result<Found> {
    let files = segment::list(folder)?;
    let mut found = Found { first: files.first().map_or(0, |&(first, _)| first), ..Found::default() };
    for (place, (first, path)) in files.iter().enumerate() {
        let bytes = std::fs::read(path)?;
        let mut scan = scan(&bytes, *first);
        let following = files.get(place + 1).map(|&(first, _)| first);
        if let Some(following) = following.filter(|&following| following > scan.next) {
            if following - scan.next > MOST_LOST {
                let problem =
                    format!("after '{}' millions of records are missing; put it back or away", path.display());
                return Err(Error::new(ErrorKind::InvalidData, problem));
            }
            // The tail of a sealed segment was on the disk before the next one began.
            scan.lost.push(scan.next..following);
            scan.next = following;
        }
        let in_one = matches!(&scan.good[..], [] | [Range { start: 0, .. }]);
        let torn = following.is_none() && in_one;
        if scan.rest > 0 && !torn || !in_one {
            put_aside(path, &bytes, &scan.good)?;
        } else if scan.rest > 0 {
            // A crash tore the last append, which nobody was told of.
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len((bytes.len() - scan.rest) as u64)?;
            file.sync_all()?;
        }
        found.lost.append(&mut scan.lost);
        for (seq, at) in scan.times {
            if seq <= open_from {
                found.times.clear();
            }
            if found.times.back().is_none_or(|&(_, last)| at >= last + AGE_STEP_MS) {
                found.times.push_back((seq, at));
            }
        }
        let bytes = scan.good.iter().map(|range| range.len() as u64).sum();
        found.segments.push_back(Segment { path: path.as_path().into(), first: *first, next: scan.next, bytes });
        found.next = scan.next;
    }
    Ok(found)
}

fn scan(bytes: &[u8], first: u64) -> Scan {
    let mut scan = Scan { next: first, ..Scan::default() };
    let mut at = 0;
    while at < bytes.len() {
        let here = segment::record(&bytes[at..]).filter(|head| head.seq >= scan.next).map(|head| (at, head));
        let Some((place, head)) = here.or_else(|| behind(bytes, at + 1, scan.next)) else {
            scan.rest = bytes.len() - at;
            break;
        };
        if head.seq > scan.next {
            scan.lost.push(scan.next..head.seq);
        }
        let end = place + HEAD + head.len;
        match scan.good.last_mut() {
            Some(last) if last.end == place => last.end = end,
            _ => scan.good.push(place..end),
        }
        if scan.times.last().is_none_or(|&(_, last)| head.at_ms >= last + AGE_STEP_MS) {
            scan.times.push((head.seq, head.at_ms));
        }
        scan.next = head.seq + 1;
        at = end;
    }
    scan
}

/// The next whole record behind damage: damage with a record behind it is no torn tail.
fn behind(bytes: &[u8], from: usize, expected: u64) -> Option<(usize, segment::Head)> {
    let could_be = expected..=expected + (bytes.len() / HEAD) as u64;
    (from..bytes.len().saturating_sub(HEAD - 1)).find_map(|place| {
        let number = u64::from_le_bytes(bytes[place + 4..place + 12].try_into().ok()?);
        could_be.contains(&number).then(|| segment::record(&bytes[place..])).flatten().map(|head| (place, head))
    })
}

/// Leaves only whole records in a segment; what it held stays beside it for who wants to look.
fn put_aside(path: &Path, bytes: &[u8], good: &[Range<usize>]) -> std::io::Result<()> {
    std::fs::write(path.with_extension("damaged"), bytes)?;
    let whole: Vec<u8> = good.iter().flat_map(|range| &bytes[range.clone()]).copied().collect();
    crate::disk::write_whole(path, &path.with_extension("part"), &whole)?;
    path.parent().map_or(Ok(()), crate::disk::sync_folder)
}
