//! The log: what was committed and is not in the tables on the disk yet.
//!
//! ```text
//! file      = commits, then zeros; its name is the position of its first byte among all that was ever logged
//! commit    = "MRL\x01" | length u32 | sum u64 | synced u64 | operations
//! operation = kind u8 | space u8 | key length u16 | [value length u32] | key | [value]
//! ```
//!
//! Numbers are little-endian. The sum is xxh3 of what follows it, seeded with the commit's position. `synced` is the position
//! up to which all was on the disk when the commit was written: damage before it, with a valid commit behind, took
//! something that was acknowledged as synced, and is an error. Any other damage is a tail that a crash tore.

use std::fs::File;
use std::io::{Error, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Item, KvError, Result, failed_io};
use crate::disk::sync_folder;

const MAGIC: [u8; 4] = *b"MRL\x01";
/// Of a commit: magic, length, sum.
const HEAD: usize = 16;
/// What the sum covers begins with `synced`.
const SYNCED: usize = 8;
const PUT: u8 = 1;
const REMOVE: u8 = 2;
/// Says which name a space's number stands for, in this file from here on.
const NAME: u8 = 3;
/// A file grows in steps of this, so that not each commit changes its length.
const STEP: u64 = 1 << 20;

/// The file that is written, and those that are not synced yet.
pub(super) struct Log {
    folder: PathBuf,
    file: Arc<File>,
    base: u64,
    at: u64,
    /// The length of the file.
    length: u64,
    synced: u64,
    named: [bool; 256],
    frame: Vec<u8>,
    older: Vec<Arc<File>>,
}

/// A change that was logged: the space's name, the key, and the value that it got.
pub(super) type Logged<'a> = (&'a str, &'a [u8], Option<&'a [u8]>);

impl Log {
    /// Reads what is there, the oldest first, and opens it for more. Of `store`, whose path errors name.
    pub fn open(folder: &Path, store: &Path, repair: bool, each: &mut dyn FnMut(Logged<'_>)) -> Result<Log> {
        let io = |error: Error| failed_io(store, &error);
        std::fs::create_dir_all(folder).map_err(io)?;
        let mut files = files(folder).map_err(io)?;
        let mut end = files.first().map_or(0, |(base, _)| *base);
        let mut torn = None;
        for (place, (base, path)) in files.iter().enumerate() {
            let bytes = std::fs::read(path).map_err(io)?;
            let read = if *base == end { read(&bytes, *base, each) } else { 0 };
            end = end.max(base + read as u64);
            let tail = &bytes[read..];
            let next = files.get(place + 1).map(|(base, _)| *base);
            let whole = *base <= end && tail.iter().all(|&byte| byte == 0) && next.is_none_or(|next| next == end);
            if !whole {
                let mut synced = synced_behind(tail, end);
                for (base, path) in &files[place + 1..] {
                    synced = synced.max(synced_behind(&std::fs::read(path).map_err(io)?, *base));
                }
                if synced > end && !repair {
                    let problem = format!("{} cannot be read from byte {} on", path.display(), end - base);
                    return Err(KvError::Corrupt { path: store.into(), problem });
                }
                torn = Some(place);
                break;
            }
        }
        if let Some(place) = torn {
            for (place, (base, path)) in files.split_off(place).into_iter().enumerate() {
                set_aside(&path, end.saturating_sub(base)).map_err(io)?;
                if place == 0 && base < end {
                    files.push((base, path));
                }
            }
        }
        // From here on all of it counts as synced.
        for (_, path) in &files {
            File::options().write(true).open(path).and_then(|file| file.sync_all()).map_err(io)?;
        }
        let (base, path) = files.pop().unwrap_or_else(|| (end, name(folder, end)));
        let mut file = File::options().create(true).truncate(false).write(true).open(path).map_err(io)?;
        // What is behind the end is zeros from here on.
        file.set_len(end - base).map_err(io)?;
        file.seek(SeekFrom::Start(end - base)).map_err(io)?;
        file.sync_all().map_err(io)?;
        sync_folder(folder).and_then(|()| sync_folder(store)).map_err(io)?;
        Ok(Log {
            folder: folder.into(),
            file: Arc::new(file),
            base,
            at: end,
            length: end - base,
            synced: end,
            named: [false; 256],
            frame: Vec::new(),
            older: Vec::new(),
        })
    }

    /// Hands a commit to the system.
    pub fn append<'a>(&mut self, items: &[Item], space_name: impl Fn(u8) -> &'a str) -> std::io::Result<()> {
        self.frame.clear();
        self.frame.extend(MAGIC);
        self.frame.extend([0; HEAD - MAGIC.len()]);
        self.frame.extend(self.synced.to_le_bytes());
        for item in items {
            if !std::mem::replace(&mut self.named[usize::from(item.space)], true) {
                operation(&mut self.frame, NAME, item.space, space_name(item.space).as_bytes(), None);
            }
            let kind = if item.value.is_some() { PUT } else { REMOVE };
            operation(&mut self.frame, kind, item.space, &item.key, item.value.as_deref());
        }
        let length = u32::try_from(self.frame.len() - HEAD).map_err(|_| Error::other("a batch has over 4 GiB"))?;
        let sum = xxh3_64_with_seed(&self.frame[HEAD..], self.at);
        self.frame[4..8].copy_from_slice(&length.to_le_bytes());
        self.frame[8..HEAD].copy_from_slice(&sum.to_le_bytes());
        let end = self.at - self.base + self.frame.len() as u64;
        if end > self.length {
            self.length = end.next_multiple_of(STEP);
            self.file.set_len(self.length)?;
        }
        (&*self.file).write_all(&self.frame)?;
        self.at += self.frame.len() as u64;
        self.frame.shrink_to(STEP as usize);
        Ok(())
    }

    /// Begins another file. What is in those before begins below the position that it returns; with it those of them
    /// that are not synced yet.
    pub fn turn(&mut self) -> std::io::Result<(u64, Vec<Arc<File>>)> {
        // A start found this one empty: what is in memory stands in those before.
        if self.at == self.base {
            return Ok((self.at, self.older.clone()));
        }
        let file = File::options().create_new(true).write(true).open(name(&self.folder, self.at))?;
        sync_folder(&self.folder)?;
        let full = std::mem::replace(&mut self.file, Arc::new(file));
        if self.synced < self.at {
            self.older.push(full);
        }
        self.base = self.at;
        self.length = 0;
        self.named = [false; 256];
        Ok((self.at, self.older.clone()))
    }

    /// Removes the files that are below a position, the oldest first. One that cannot be removed now goes with the next.
    pub fn forget(folder: &Path, below: u64) {
        let old = files(folder).unwrap_or_default().into_iter().take_while(|(base, _)| *base < below);
        let _ = old.map(|(_, path)| std::fs::remove_file(path)).take_while(std::io::Result::is_ok).count();
    }

    /// What has to be synced, in this order, and the position that this brings to the disk.
    pub fn unsynced(&self) -> (Vec<Arc<File>>, u64) {
        let mut files = self.older.clone();
        files.push(self.file.clone());
        (files, self.at)
    }

    /// They were synced.
    pub fn set_synced(&mut self, files: &[Arc<File>], at: u64) {
        self.older.retain(|file| !files.iter().any(|synced| Arc::ptr_eq(file, synced)));
        self.synced = self.synced.max(at);
    }

    /// Whatever becomes of it.
    #[cfg(test)]
    pub fn write_to(&mut self, file: File) {
        self.file = Arc::new(file);
        self.length = u64::MAX;
    }

    /// Bytes of the file that is written.
    pub fn len(&self) -> u64 {
        self.at - self.base
    }
}

/// Bytes of all files.
pub(super) fn disk_size(folder: &Path) -> std::io::Result<u64> {
    // One that has just gone has no length any more.
    Ok(files(folder)?.iter().filter_map(|(_, path)| path.metadata().ok()).map(|found| found.len()).sum())
}

fn name(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}.log"))
}

/// With their first positions, the oldest first.
fn files(folder: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let base = path.extension().filter(|&it| it == "log").and(path.file_stem()).and_then(|stem| stem.to_str());
        if let Some(base) = base.and_then(|stem| stem.parse().ok()) {
            found.push((base, path));
        }
    }
    found.sort();
    Ok(found)
}

fn operation(frame: &mut Vec<u8>, kind: u8, space: u8, key: &[u8], value: Option<&[u8]>) {
    frame.extend([kind, space]);
    frame.extend((key.len() as u16).to_le_bytes());
    if let Some(value) = value {
        frame.extend((value.len() as u32).to_le_bytes());
    }
    frame.extend_from_slice(key);
    frame.extend_from_slice(value.unwrap_or_default());
}

/// How many bytes of a file are commits.
fn read(bytes: &[u8], base: u64, each: &mut dyn FnMut(Logged<'_>)) -> usize {
    let mut names: [&str; 256] = [""; 256];
    let mut at = 0;
    while let Some(commit) = Commit::at(&bytes[at..], base + at as u64) {
        for (kind, space, key, value) in Operations(commit.operations).flatten() {
            match kind {
                NAME => names[usize::from(space)] = std::str::from_utf8(key).unwrap_or_default(),
                PUT => each((names[usize::from(space)], key, Some(value))),
                _ => each((names[usize::from(space)], key, None)),
            }
        }
        at += commit.length;
    }
    at
}

/// The furthest position that a valid commit behind the damage knows to be synced.
fn synced_behind(bytes: &[u8], base: u64) -> u64 {
    let places = bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
    places
        .filter_map(|(place, _)| Commit::at(&bytes[place..], base + place as u64))
        .map(|it| it.synced)
        .max()
        .unwrap_or(0)
}

/// Cuts a file; what is cut off stays beside it for who wants to look.
fn set_aside(path: &Path, length: u64) -> std::io::Result<()> {
    let bytes = std::fs::read(path)?;
    let tail = bytes.get(length as usize..).unwrap_or_default();
    let used = tail.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    if used > 0 {
        std::fs::write(path.with_extension("damaged"), &tail[..used])?;
    }
    if length == 0 {
        return std::fs::remove_file(path);
    }
    let file = File::options().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}

struct Commit<'a> {
    length: usize,
    synced: u64,
    operations: &'a [u8],
}

impl<'a> Commit<'a> {
    /// The valid commit that begins here.
    fn at(bytes: &'a [u8], position: u64) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let (magic, head) = head.split_first_chunk::<4>()?;
        let (length, sum) = head.split_first_chunk::<4>()?;
        let body = rest.get(..u32::from_le_bytes(*length) as usize).filter(|_| *magic == MAGIC)?;
        let (synced, operations) = body.split_first_chunk::<SYNCED>()?;
        let valid = xxh3_64_with_seed(body, position).to_le_bytes() == sum
            && Operations(operations).all(|operation| operation.is_some());
        valid.then_some(Commit { length: HEAD + body.len(), synced: u64::from_le_bytes(*synced), operations })
    }
}

/// Kind, space, key and value of each; none for one that cannot be read, which is the last then.
struct Operations<'a>(&'a [u8]);

impl<'a> Iterator for Operations<'a> {
    type Item = Option<(u8, u8, &'a [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.0 = &[];
        }
        Some(read)
    }
}

impl<'a> Operations<'a> {
    fn read(&mut self) -> Option<(u8, u8, &'a [u8], &'a [u8])> {
        let ([kind, space], rest) = self.0.split_first_chunk()?;
        let (key_length, mut rest) = rest.split_first_chunk()?;
        let mut value_length = 0;
        if *kind == PUT {
            let (length, behind) = rest.split_first_chunk()?;
            (value_length, rest) = (u32::from_le_bytes(*length) as usize, behind);
        }
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*key_length)))?;
        let (value, rest) = rest.split_at_checked(value_length)?;
        self.0 = rest;
        matches!(*kind, PUT | REMOVE | NAME).then_some((*kind, *space, key, value))
    }
}
