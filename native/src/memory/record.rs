//! One version as it lies in the store, and its id.
//!
//! ```text
//! hash   8  of the document's name and of all that follows, the previous version's hash among it
//! flags  1  1 deleted, 2 has a previous version, 4 expires, 8 has causes
//! stamp  8  little-endian, as all numbers here
//! [previous: stamp 8, hash 8] [expires 8] [causes: count 2, each: length 2, name, stamp 8, hash 8]
//! the JSON text, as it came; nothing for a deleted one
//! ```

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{MemoryError, Result};
use crate::kv::Bytes;

const DELETED: u8 = 1;
const PREVIOUS: u8 = 2;
const EXPIRES: u8 = 4;
const CAUSES: u8 = 8;

/// Names a version: its place in time, and the hash of its content and of all versions before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId {
    /// Microseconds since 1970.
    pub stamp: u64,
    /// Of name, content and previous version.
    pub hash: u64,
}

impl fmt::Display for VersionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:014x}-{:016x}", self.stamp, self.hash)
    }
}

impl FromStr for VersionId {
    type Err = MemoryError;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('-').filter(|(stamp, hash)| stamp.len() == 14 && hash.len() == 16).and_then(
            |(stamp, hash)| {
                Some(VersionId {
                    stamp: u64::from_str_radix(stamp, 16).ok()?,
                    hash: u64::from_str_radix(hash, 16).ok()?,
                })
            },
        );
        parsed.ok_or_else(|| MemoryError::input(format!("version '{text}'"), "it is no version id"))
    }
}

/// A version that caused another: the document's store key, and which of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub document: Vec<u8>,
    pub id: VersionId,
}

/// What is known of a version beside its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub id: VersionId,
    pub previous: Option<VersionId>,
    pub expires: Option<u64>,
    pub deleted: bool,
    has_causes: bool,
    /// Where causes, or else the value, begin.
    rest: u32,
}

impl Head {
    /// Whether it can be read at this time.
    pub fn alive(&self, now: u64) -> bool {
        !self.deleted && self.expires.is_none_or(|expires| expires > now)
    }
}

/// What a new version is made of.
pub(super) struct Draft<'a> {
    pub document: &'a [u8],
    pub stamp: u64,
    pub previous: Option<VersionId>,
    pub expires: Option<u64>,
    pub causes: &'a [Cause],
    /// None: deleted.
    pub json: Option<&'a str>,
}

impl Draft<'_> {
    pub fn write(&self) -> (VersionId, Vec<u8>) {
        let json = self.json.unwrap_or_default();
        let mut bytes = Vec::with_capacity(48 + json.len());
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        bytes.extend_from_slice(&[0; 8]);
        bytes.push(
            flag(self.json.is_none(), DELETED)
                | flag(self.previous.is_some(), PREVIOUS)
                | flag(self.expires.is_some(), EXPIRES)
                | flag(!self.causes.is_empty(), CAUSES),
        );
        bytes.extend_from_slice(&self.stamp.to_le_bytes());
        if let Some(previous) = self.previous {
            push_id(&mut bytes, previous);
        }
        if let Some(expires) = self.expires {
            bytes.extend_from_slice(&expires.to_le_bytes());
        }
        if !self.causes.is_empty() {
            bytes.extend_from_slice(&(self.causes.len() as u16).to_le_bytes());
            for cause in self.causes {
                bytes.extend_from_slice(&(cause.document.len() as u16).to_le_bytes());
                bytes.extend_from_slice(&cause.document);
                push_id(&mut bytes, cause.id);
            }
        }
        bytes.extend_from_slice(json.as_bytes());
        let hash = hash(self.document, &bytes[8..]);
        bytes[..8].copy_from_slice(&hash.to_le_bytes());
        (VersionId { stamp: self.stamp, hash }, bytes)
    }
}

fn push_id(bytes: &mut Vec<u8>, id: VersionId) {
    bytes.extend_from_slice(&id.stamp.to_le_bytes());
    bytes.extend_from_slice(&id.hash.to_le_bytes());
}

fn hash(document: &[u8], content: &[u8]) -> u64 {
    xxh3_64_with_seed(content, xxh3_64(document))
}

/// A version that was read.
#[derive(Clone, Debug)]
pub(super) struct Record {
    bytes: Bytes,
    pub head: Head,
    /// Where the value begins.
    body: u32,
}

impl Record {
    pub fn read(bytes: Bytes) -> Result<Record> {
        let parsed = read_head(&bytes).and_then(|head| {
            let body = if head.has_causes { read_causes(&bytes, head.rest as usize)?.1 } else { head.rest as usize };
            std::str::from_utf8(bytes.get(body..)?).ok()?;
            Some((head, body as u32))
        });
        match parsed {
            Some((head, body)) => Ok(Record { bytes, head, body }),
            None => Err(MemoryError::Damaged { name: "a version".into(), problem: "it cannot be read".into() }),
        }
    }

    /// The JSON text; empty for a deleted one.
    pub fn json(&self) -> &str {
        // It was looked at when it was read.
        std::str::from_utf8(&self.bytes[self.body as usize..]).unwrap_or_default()
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// One that shares no memory with its block.
    pub fn detached(&self) -> Record {
        Record { bytes: Bytes::from(&self.bytes[..]), ..*self }
    }

    pub fn causes(&self) -> Vec<Cause> {
        if !self.head.has_causes {
            return Vec::new();
        }
        read_causes(&self.bytes, self.head.rest as usize).map_or_else(Vec::new, |(causes, _)| causes)
    }

    /// Whether it is what was written under this name.
    pub fn is_whole(&self, document: &[u8]) -> bool {
        hash(document, &self.bytes[8..]) == self.head.id.hash
    }
}

fn number(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let found = bytes.get(*at..*at + 8)?;
    *at += 8;
    Some(u64::from_le_bytes(found.try_into().ok()?))
}

fn short(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let found = bytes.get(*at..*at + 2)?;
    *at += 2;
    Some(u16::from_le_bytes(found.try_into().ok()?) as usize)
}

fn read_id(bytes: &[u8], at: &mut usize) -> Option<VersionId> {
    Some(VersionId { stamp: number(bytes, at)?, hash: number(bytes, at)? })
}

fn read_head(bytes: &[u8]) -> Option<Head> {
    let mut at = 0;
    let hash = number(bytes, &mut at)?;
    let flags = *bytes.get(at)?;
    at += 1;
    let id = VersionId { stamp: number(bytes, &mut at)?, hash };
    let previous = if flags & PREVIOUS == 0 { None } else { Some(read_id(bytes, &mut at)?) };
    let expires = if flags & EXPIRES == 0 { None } else { Some(number(bytes, &mut at)?) };
    let (deleted, has_causes) = (flags & DELETED != 0, flags & CAUSES != 0);
    Some(Head { id, previous, expires, deleted, has_causes, rest: at as u32 })
}

fn read_causes(bytes: &[u8], mut at: usize) -> Option<(Vec<Cause>, usize)> {
    let count = short(bytes, &mut at)?;
    let mut causes = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let len = short(bytes, &mut at)?;
        let document = bytes.get(at..at + len)?.to_vec();
        at += len;
        causes.push(Cause { document, id: read_id(bytes, &mut at)? });
    }
    Some((causes, at))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_changed_bit_shows() {
        let previous = VersionId { stamp: 3, hash: 4 };
        let causes = [Cause { document: b"a\0b".to_vec(), id: VersionId { stamp: 1, hash: 2 } }];
        for (previous, expires, causes, json) in [
            (None, None, &[][..], Some("1")),
            (Some(previous), Some(9), &causes[..], Some(r#"{"ä":1}"#)),
            (Some(previous), None, &[][..], None),
        ] {
            let draft = Draft { document: b"n\0k", stamp: 5, previous, expires, causes, json };
            let (id, bytes) = draft.write();
            let record = Record::read(Bytes::from(bytes.as_slice())).unwrap();
            assert_eq!((record.head.id, record.head.previous, record.head.expires), (id, previous, expires));
            assert_eq!((record.causes().as_slice(), record.json()), (causes, json.unwrap_or_default()));
            assert_eq!(record.head.deleted, json.is_none());
            assert!(record.is_whole(b"n\0k") && !record.is_whole(b"n\0j"));
            assert_eq!(id.to_string().parse::<VersionId>().unwrap(), id);
            for place in 0..bytes.len() {
                let mut harmed = bytes.clone();
                harmed[place] ^= 1;
                let whole = Record::read(Bytes::from(harmed)).is_ok_and(|it| it.is_whole(b"n\0k"));
                assert!(!whole, "byte {place}");
            }
            for length in 0..17 {
                assert!(Record::read(Bytes::from(&bytes[..length])).is_err());
            }
        }
        assert!("x-1".parse::<VersionId>().is_err());
    }
}
