//! Frames between the engine and the harness: kind, bytes of JSON, number of binary parts, the length of
//! each part, the JSON, the parts. Numbers are little-endian.

use std::io::{ErrorKind, Read, Result};

pub(super) const CALL: u8 = 0;
pub(super) const LOAD: u8 = 1;
pub(super) const SHUTDOWN: u8 = 2;

const HEAD: usize = 9;
const LENGTH: usize = 8;
const READ_BYTES: usize = 1 << 16;
const KEPT_BYTES: usize = 1 << 20;
const MOST_BYTES: usize = 1 << 31;

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
}

impl Reader {
    /// Reads what is there: true while more may come, false at the end.
    pub fn fill(&mut self, socket: &mut impl Read) -> Result<bool> {
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
        match socket.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
            Ok(read) => {
                self.end += read;
                Ok(read > 0)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The next whole frame.
    pub fn next(&mut self) -> Result<Option<Frame>> {
        let Some(wanted) = self.wanted()? else { return Ok(None) };
        let ahead = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some(frame) = ahead.get(..wanted).and_then(decode) else { return Ok(None) };
        self.start += wanted;
        Ok(Some(frame))
    }

    /// The size of the next frame, once it is known. A script may have written to the socket: then nothing is.
    fn wanted(&self) -> Result<Option<usize>> {
        let ahead = self.buffer.get(self.start..self.end).unwrap_or_default();
        if ahead.first().is_some_and(|kind| Kind::of(*kind).is_none()) {
            return Err(ErrorKind::InvalidData.into());
        }
        let Some((json, count)) = sizes(ahead) else { return Ok(None) };
        let mut size = HEAD + LENGTH * count + json;
        for index in 0..count {
            let Some(part) = number(ahead, HEAD + LENGTH * index, LENGTH) else { return Ok(None) };
            size = size.saturating_add(part);
        }
        if size > MOST_BYTES { Err(ErrorKind::InvalidData.into()) } else { Ok(Some(size)) }
    }
}

fn decode(whole: &[u8]) -> Option<Frame> {
    let (json_bytes, count) = sizes(whole)?;
    let lengths = (0..count).map(|index| number(whole, HEAD + LENGTH * index, LENGTH)).collect::<Option<Vec<_>>>()?;
    let mut rest = whole.get(HEAD + LENGTH * count..)?;
    let mut piece = |size: usize| {
        let (piece, after) = rest.split_at_checked(size)?;
        rest = after;
        Some(piece)
    };
    let json = String::from_utf8_lossy(piece(json_bytes)?).into_owned();
    let parts = lengths.into_iter().map(|size| piece(size).map(<[u8]>::to_vec)).collect::<Option<_>>()?;
    Some(Frame { kind: Kind::of(*whole.first()?)?, json, parts })
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
