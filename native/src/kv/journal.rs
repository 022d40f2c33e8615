//! Looks at the store's journal before the store does.
//!
//! fjall ends the replay at the first entry that it cannot read and drops the rest without a word, and
//! refuses a last batch whose checksum fails. Neither tells a torn tail, which a crash leaves and which
//! holds nothing that was acknowledged as synced, from damage in the middle. This does: damage with a
//! valid batch behind it is no tail.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// What a look at the journal found.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    Whole,
    /// A crash left an incomplete batch from this offset on.
    TornTail(u64),
    /// Valid batches stand behind what cannot be read at this offset.
    Damaged(u64),
}

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const START_LEN: usize = 13;
const ITEM_HEAD: usize = 21;
const END_LEN: usize = 13;
const CLEAR_LEN: usize = 9;
const TRAILER: &[u8] = b"FJL\x03";

/// The journal that was written last. Older ones were synced when they were sealed.
pub(super) fn active(folder: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.extension().filter(|&it| it == "jnl").and(path.file_stem()).and_then(|stem| stem.to_str());
        if let Some(number) = number.and_then(|it| it.parse().ok())
            && newest.as_ref().is_none_or(|(other, _)| number > *other)
        {
            newest = Some((number, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

pub(super) fn look(path: &Path) -> std::io::Result<Found> {
    let bytes = std::fs::read(path)?;
    let mut at = 0;
    while let Some(len) = batch(&bytes[at..]) {
        at += len;
    }
    if bytes[at..].iter().all(|&byte| byte == 0) {
        return Ok(Found::Whole);
    }
    let behind = (at + 1..bytes.len()).any(|place| bytes[place] == START && batch(&bytes[place..]).is_some());
    Ok(if behind { Found::Damaged(at as u64) } else { Found::TornTail(at as u64) })
}

/// Cuts the journal; what is cut off stays beside it for who wants to look.
pub(super) fn cut(path: &Path, at: u64) -> std::io::Result<()> {
    std::fs::copy(path, path.with_extension("damaged"))?;
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(at)?;
    file.sync_all()
}

/// The length of the valid batch that begins here.
fn batch(bytes: &[u8]) -> Option<usize> {
    if *bytes.first()? != START {
        return None;
    }
    let mut at = START_LEN;
    let mut left = u32::from_le_bytes(bytes.get(1..5)?.try_into().ok()?);
    while left > 0 {
        at += match *bytes.get(at)? {
            ITEM => {
                let head = bytes.get(at..at + ITEM_HEAD)?;
                let key = u16::from_le_bytes(head[11..13].try_into().ok()?) as usize;
                let value = u32::from_le_bytes(head[17..21].try_into().ok()?) as usize;
                ITEM_HEAD + key + value
            }
            CLEAR => CLEAR_LEN,
            _ => return None,
        };
        left -= 1;
    }
    let end = bytes.get(at..at + END_LEN)?;
    let sum = u64::from_le_bytes(end[1..9].try_into().ok()?);
    let valid = end[0] == END && &end[9..] == TRAILER && xxh3_64(&bytes[START_LEN..at]) == sum;
    valid.then_some(at + END_LEN)
}
