//! Frames between the engine and the harness: kind, bytes of JSON, number of binary parts, the length of
//! each part, the JSON, the parts. Numbers are little-endian.

use std::io::{ErrorKind, Read, Result};
use std::vec::IntoIter;

pub(super) const CALL: u8 = 0;
pub(super) const LOAD: u8 = 1;
pub(super) const SHUTDOWN: u8 = 2;

const HEAD: usize = 9;
const LENGTH: usize = 8;
const READ_BYTES: usize = 1 << 16;
const KEPT_BYTES: usize = 1 << 20;
const MOST_BYTES: usize = 1 << 31;
/// Kept ready for a part that is announced; it may never come.
const MOST_AHEAD: usize = 1 << 26;

/// What a frame from the harness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Value,
    ValueWithParts,
    Failed,
    Started,
    StartFailed,
    Reloading,
    Reloaded,
    ReloadFailed,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        use Kind::*;
        let all = [Value, ValueWithParts, Failed, Started, StartFailed, Reloading, Reloaded, ReloadFailed];
        all.get(byte as usize).copied()
    }
}

/// A frame from the harness.
#[derive(Debug, PartialEq)]
pub(super) struct Frame {
    pub kind: Kind,
    pub json: String,
    pub parts: Vec<Vec<u8>>,
}

/// What a function returned, or raised.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// JSON of the value.
    Value(String),
    /// JSON of the value and of the places of its binary parts, and these.
    WithParts(String, Vec<Vec<u8>>),
    /// JSON of the exception.
    Raised(String),
}

pub(super) fn encode(kind: u8, json: &str, parts: &[&[u8]]) -> Vec<u8> {
    let size = HEAD + json.len() + parts.iter().map(|part| LENGTH + part.len()).sum::<usize>();
    let mut frame = Vec::with_capacity(size);
    frame.push(kind);
    frame.extend((json.len() as u32).to_le_bytes());
    frame.extend((parts.len() as u32).to_le_bytes());
    for part in parts {
        frame.extend((part.len() as u64).to_le_bytes());
    }
    frame.extend(json.as_bytes());
    for part in parts {
        frame.extend(*part);
    }
    frame
}

/// Puts frames together from what a socket gives.
#[derive(Default)]
pub(super) struct Reader {
    /// What was read is in `start..end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// A frame whose parts are still to come.
    open: Option<Open>,
}

struct Open {
    /// The last of its parts may be one that still comes,
    frame: Frame,
    /// of this length.
    length: usize,
    /// Of the parts after it.
    lengths: IntoIter<usize>,
}

impl Open {
    /// The part that comes, and how much of it is missing; none where all are there.
    fn part(&mut self) -> Option<(&mut Vec<u8>, usize)> {
        while self.frame.parts.last().is_none_or(|part| part.len() == self.length) {
            self.length = self.lengths.next()?;
            self.frame.parts.push(Vec::with_capacity(self.length.min(MOST_AHEAD)));
        }
        let part = self.frame.parts.last_mut()?;
        let missing = self.length - part.len();
        Some((part, missing))
    }
}

impl Reader {
    /// Reads what is there: true while more may come, false at the end.
    pub fn fill(&mut self, socket: &mut impl Read) -> Result<bool> {
        let read = match &mut self.open {
            // A large part is not copied again.
            Some(open) if self.start == self.end => {
                let Some((part, missing)) = open.part() else { return Ok(true) };
                let before = part.len();
                let read = socket.take(missing as u64).read_to_end(part);
                if part.len() > before { Ok(part.len() - before) } else { read }
            }
            _ => self.fill_buffer(socket),
        };
        match read {
            Ok(read) => Ok(read > 0),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn fill_buffer(&mut self, socket: &mut impl Read) -> Result<usize> {
        let wanted = self.wanted()?.unwrap_or(0).max(READ_BYTES);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            // One large frame is no reason to keep so much for all others.
            if self.buffer.len() > KEPT_BYTES && wanted == READ_BYTES {
                self.buffer = Vec::new();
            }
        }
        if self.start + wanted + READ_BYTES > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            self.buffer.resize(self.buffer.len().max(wanted + READ_BYTES), 0);
        }
        let read = socket.read(self.buffer.get_mut(self.end..).unwrap_or_default())?;
        self.end += read;
        Ok(read)
    }

    /// The next whole frame.
    pub fn next(&mut self) -> Result<Option<Frame>> {
        if self.open.is_none() {
            let Some(wanted) = self.wanted()? else { return Ok(None) };
            self.open = self.ahead().get(..wanted).and_then(begin);
            if self.open.is_some() {
                self.start += wanted;
            }
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        while let Some((part, missing)) = open.part() {
            let ahead = self.buffer.get(self.start..self.end).unwrap_or_default();
            let ahead = ahead.get(..missing).unwrap_or(ahead);
            if ahead.is_empty() {
                return Ok(None);
            }
            part.extend(ahead);
            self.start += ahead.len();
        }
        Ok(self.open.take().map(|open| open.frame))
    }

    fn ahead(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The size of the next frame without its parts, once it is known. A script may have written to the socket: then
    /// nothing is.
    fn wanted(&self) -> Result<Option<usize>> {
        let ahead = self.ahead();
        if ahead.first().is_some_and(|kind| Kind::of(*kind).is_none()) {
            return Err(ErrorKind::InvalidData.into());
        }
        let Some((json, count)) = sizes(ahead) else { return Ok(None) };
        let size = HEAD + LENGTH * count + json;
        let mut whole = size;
        for index in 0..count {
            let Some(part) = number(ahead, HEAD + LENGTH * index, LENGTH) else { return Ok(None) };
            whole = whole.saturating_add(part);
        }
        if whole > MOST_BYTES { Err(ErrorKind::InvalidData.into()) } else { Ok(Some(size)) }
    }
}

fn begin(ahead: &[u8]) -> Option<Open> {
    let (_, count) = sizes(ahead)?;
    let lengths = (0..count).map(|index| number(ahead, HEAD + LENGTH * index, LENGTH)).collect::<Option<Vec<_>>>()?;
    let json = String::from_utf8_lossy(ahead.get(HEAD + LENGTH * count..)?).into_owned();
    Some(Open {
        frame: Frame { kind: Kind::of(*ahead.first()?)?, json, parts: Vec::new() },
        length: 0,
        lengths: lengths.into_iter(),
    })
}

fn sizes(frame: &[u8]) -> Option<(usize, usize)> {
    Some((number(frame, 1, 4)?, number(frame, 5, 4)?))
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let digits = bytes.get(at..at + size)?;
    Some(digits.iter().rev().fold(0, |value, digit| value << 8 | *digit as usize))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let size = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(size);
            buffer[..size].copy_from_slice(now);
            self.0 = later;
            Ok(size)
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let large = vec![7; 300_000];
        let mut bytes = encode(0, "[1]", &[]);
        bytes.extend(encode(1, "[null,[[]]]", &[&large, b"", b"ab"]));
        bytes.extend(encode(6, "null", &[]));
        for size in [1, 7, 4096, 1 << 20] {
            let (mut reader, mut frames) = (Reader::default(), Vec::new());
            let mut source = Trickle(&bytes, size);
            while reader.fill(&mut source).unwrap() {
                while let Some(frame) = reader.next().unwrap() {
                    frames.push(frame);
                }
            }
            let kinds: Vec<_> = frames.iter().map(|frame| frame.kind).collect();
            assert_eq!(kinds, [Kind::Value, Kind::ValueWithParts, Kind::Reloaded]);
            assert_eq!(frames[0].json, "[1]");
            assert_eq!(frames[1].parts, [large.clone(), vec![], b"ab".to_vec()]);
        }
    }

    #[test]
    fn an_end_within_a_part_is_an_end() {
        let bytes = encode(1, "[null,[[]]]", &[&[7; 1000]]);
        let (mut reader, mut source) = (Reader::default(), Trickle(&bytes[..500], 100));
        while reader.fill(&mut source).unwrap() {
            assert_eq!(reader.next().unwrap(), None);
        }
        let mut rest = Trickle(&bytes[500..], 100);
        while !rest.0.is_empty() {
            assert!(reader.fill(&mut rest).unwrap());
        }
        assert_eq!(reader.next().unwrap().unwrap().parts, [vec![7; 1000]]);
    }

    #[test]
    fn what_a_script_wrote_into_the_socket_is_no_frame() {
        let endless = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255];
        for bytes in [&b"hello"[..], &endless] {
            let mut reader = Reader::default();
            assert!(reader.fill(&mut Trickle(bytes, 100)).unwrap());
            assert_eq!(reader.next().unwrap_err().kind(), ErrorKind::InvalidData);
            assert!(reader.fill(&mut Trickle(bytes, 100)).is_err());
        }
    }
}
