//! What was sent one by one: written down by its sender at once, and taken into the store by the engine's thread.
//!
//! Who waits for each send would wait for two changes of threads and a commit. A message that needs nothing of the
//! engine's state to be accepted is appended to a file here instead, on the sender's thread, and is accepted when
//! the operating system has it. With the batch in which the engine takes it goes how far it has taken: what stands
//! behind that is sent again at the next start.
//!
//! ```text
//! file   = generation u64, records
//! record = length u32 | xxh3 u64 of the message, seeded with generation and place | message
//! ```
//!
//! Numbers are little-endian. When all is taken the file is written from its beginning, with the next generation:
//! what is left of older ones has other sums.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Of the file.
const HEAD: u64 = 8;
/// Of a record.
const RECORD_HEAD: usize = 12;
/// The largest file. With more, the messages go the other way until all is taken.
const LIMIT: u64 = 4 << 20;
/// The engine is behind when it has not taken for so long what came first.
pub(super) const BEHIND: Duration = Duration::from_millis(20);

/// A place in the file: generation, and the end of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub(super) generation: u64,
    pub(super) end: u64,
}

impl Mark {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.generation.to_be_bytes());
        bytes[8..].copy_from_slice(&self.end.to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Mark> {
        let (generation, end) = bytes.split_first_chunk()?;
        Some(Mark { generation: u64::from_be_bytes(*generation), end: u64::from_be_bytes(end.try_into().ok()?) })
    }
}

/// Messages that were not taken yet, each with its end.
type Left = Vec<(Vec<u8>, Mark)>;

/// The file, open for more.
pub struct Intake {
    file: File,
    /// Where the next record begins.
    at: Mark,
    taken: Mark,
    /// When the first came that is not taken.
    since: Instant,
    frame: Vec<u8>,
}

impl Intake {
    /// Opens the file, which is made where it is missing. With it what was not taken yet. A torn tail, which nobody was told of, is not among it.
    pub(super) fn open(path: &Path, taken: Mark) -> std::io::Result<(Intake, Left)> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let generation = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let from = if generation == taken.generation { taken.end.max(HEAD) } else { HEAD };
        let mut at = Mark { generation, end: from };
        let mut left = Vec::new();
        // An older generation than the one that was taken last was taken, too.
        while generation >= taken.generation
            && let Some(message) = record(&bytes, at)
        {
            at.end += (RECORD_HEAD + message.len()) as u64;
            left.push((message.to_vec(), at));
        }
        let at = Mark { generation: generation.max(taken.generation), end: LIMIT };
        Ok((Intake { file, at, taken: at, since: Instant::now(), frame: Vec::new() }, left))
    }

    /// Writes a message down. None where it should go the other way: there is no room, the engine is behind, or the
    /// disk fails, which the engine tells better.
    pub fn append(&mut self, message: &[u8]) -> Option<Mark> {
        let len = (RECORD_HEAD + message.len()) as u64;
        let all_taken = self.taken == self.at;
        if all_taken {
            self.since = Instant::now();
        } else if self.since.elapsed() > BEHIND {
            return None;
        }
        if self.at.end + len > LIMIT {
            if !all_taken || HEAD + len > LIMIT {
                return None;
            }
            self.begin().ok()?;
        }
        self.frame.clear();
        self.frame.extend((message.len() as u32).to_le_bytes());
        self.frame.extend(sum(message, self.at).to_le_bytes());
        self.frame.extend_from_slice(message);
        if self.file.write_all(&self.frame).is_err() {
            // What was written of it is no record, and the next one takes its place.
            let _ = self.file.seek(SeekFrom::Start(self.at.end));
            return None;
        }
        self.at.end += len;
        Some(self.at)
    }

    /// How far the engine has committed.
    pub(super) fn taken(&mut self, taken: Mark) {
        if taken > self.taken {
            self.taken = taken;
            self.since = Instant::now();
        }
    }

    /// Begins the next generation.
    fn begin(&mut self) -> std::io::Result<()> {
        let generation = self.at.generation + 1;
        // Should it fail, the next one begins again.
        self.at = Mark { generation, end: LIMIT };
        self.taken = self.at;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&generation.to_le_bytes())?;
        self.at.end = HEAD;
        self.taken = self.at;
        Ok(())
    }
}

/// The message of the record that begins here.
fn record(bytes: &[u8], at: Mark) -> Option<&[u8]> {
    let (head, rest) = bytes.get(at.end as usize..)?.split_first_chunk::<RECORD_HEAD>()?;
    let (len, known) = head.split_first_chunk()?;
    let message = rest.get(..u32::from_le_bytes(*len) as usize)?;
    (sum(message, at).to_le_bytes() == known).then_some(message)
}

fn sum(message: &[u8], at: Mark) -> u64 {
    xxh3_64_with_seed(message, at.generation << 32 ^ at.end)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("millrace-intake-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            Folder(folder)
        }

        fn file(&self) -> std::path::PathBuf {
            self.0.join("intake")
        }

        fn open(&self, taken: Mark) -> (Intake, Left) {
            Intake::open(&self.file(), taken).unwrap()
        }

        /// However slow the machine is.
        fn append<const N: usize>(intake: &mut Intake, texts: [&str; N]) -> [Mark; N] {
            texts.map(|text| {
                intake.since = Instant::now();
                intake.append(text.as_bytes()).unwrap()
            })
        }

        fn left(&self, taken: Mark) -> Vec<String> {
            self.open(taken).1.into_iter().map(|(message, _)| String::from_utf8(message).unwrap()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_behind_the_mark_comes_back_however_often() {
        let folder = Folder::new("mark");
        let (mut intake, left) = folder.open(Mark::default());
        assert!(left.is_empty());
        let marks = Folder::append(&mut intake, ["one", "two", "three"]);
        for _ in 0..2 {
            assert_eq!(folder.left(Mark::default()), ["one", "two", "three"]);
            assert_eq!(folder.left(marks[0]), ["two", "three"]);
            assert!(folder.left(marks[2]).is_empty());
        }
        assert_eq!(Mark::from_bytes(&marks[1].to_bytes()), Some(marks[1]));
        // A start does not go on behind what it found, but from the beginning.
        let (mut intake, _) = folder.open(marks[2]);
        let mark = intake.append(b"four").unwrap();
        assert!(mark > marks[2]);
        assert_eq!(folder.left(marks[2]), ["four"], "what is left of older generations is none of it");
        assert!(folder.left(mark).is_empty());
    }

    #[test]
    fn a_tail_that_is_torn_anywhere_is_no_message() {
        let folder = Folder::new("torn");
        let (mut intake, _) = folder.open(Mark::default());
        let ends = Folder::append(&mut intake, ["one", "", "the third"]).map(|mark| mark.end);
        let whole = std::fs::read(folder.file()).unwrap();
        for len in 0..=whole.len() {
            std::fs::write(folder.file(), &whole[..len]).unwrap();
            let expected = ends.iter().filter(|&&end| end <= len as u64).count();
            assert_eq!(folder.left(Mark::default()).len(), expected, "{len}");
        }
        for place in HEAD as usize..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            std::fs::write(folder.file(), damaged).unwrap();
            let expected = ends.iter().filter(|&&end| end <= place as u64).count();
            assert_eq!(folder.left(Mark::default()).len(), expected, "{place}");
        }
    }

    #[test]
    fn a_full_file_begins_again_when_all_is_taken() {
        let folder = Folder::new("full");
        let (mut intake, _) = folder.open(Mark::default());
        let large = vec![b'x'; 1 << 20];
        let mut last = Mark::default();
        while let Some(mark) = intake.append(&large) {
            last = mark;
            intake.since = Instant::now();
        }
        assert_eq!(folder.left(Mark::default()).len(), 3);
        intake.taken(last);
        let next = intake.append(&large).unwrap();
        assert!(next > last && next.end < last.end);
        assert_eq!(folder.left(last).len(), 1);
        assert!(intake.append(&vec![0; LIMIT as usize]).is_none(), "larger than the file may be");
    }

    #[test]
    fn it_is_closed_while_the_engine_is_behind() {
        let folder = Folder::new("behind");
        let (mut intake, _) = folder.open(Mark::default());
        let mark = intake.append(b"one").unwrap();
        intake.since = Instant::now().checked_sub(2 * BEHIND).unwrap();
        assert!(intake.append(b"two").is_none());
        intake.taken(mark);
        assert!(intake.append(b"two").is_some());
        assert_eq!(folder.left(mark), ["two"]);
    }
}
