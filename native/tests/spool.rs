//! Stories about the public face of `millrace::spool`: crashes, damage, a full disk, and a random life
//! against a simple model. `MILLRACE_LONG=1` runs the random test at full length; use `--release` with it.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use millrace::error::{ErrorCode, HasCode};
use millrace::spool::{Durability, Options, Spool, SpoolError, WhenFull};

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Folder::within(&std::env::temp_dir(), name)
    }

    /// In memory where there is such a place: for many restarts, which wait for the disk.
    fn quick(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Folder::within(memory, name) } else { Folder::new(name) }
    }

    fn within(folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("millrace-spool-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const QUICK: Options =
    Options { durability: Durability::Within(Duration::from_secs(1)), max_bytes: 1 << 20, when_full: WhenFull::Refuse };

fn texts(spool: &Spool, from: u64) -> Vec<(u64, String)> {
    let records = spool.read(from, usize::MAX).unwrap();
    records.into_iter().map(|record| (record.seq, String::from_utf8(record.data).unwrap())).collect()
}

fn some(from: u64, count: u64) -> Vec<(u64, String)> {
    (from..from + count).map(|number| (number, format!("record {number}"))).collect()
}

fn fill(spool: &Spool, count: u64) {
    let next = spool.append(&[]).unwrap().start;
    for number in next..next + count {
        assert_eq!(spool.append(&[format!("record {number}").as_bytes()]).unwrap(), number..number + 1);
    }
}

fn segments(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|it| it == "spool"));
    found.sort();
    found
}

#[test]
fn what_was_taken_leaves_once_it_is_acknowledged() {
    let folder = Folder::new("leaves");
    let spool = Spool::open(&folder.0, QUICK).unwrap();
    fill(&spool, 5);
    assert_eq!(texts(&spool, 0), some(0, 5));
    assert_eq!(spool.read(1, 40).unwrap().len(), 1);
    assert_eq!(spool.read(1, 80).unwrap().len(), 2);
    spool.ack([1, 0, 3, 99]).unwrap();
    assert_eq!(texts(&spool, 0), [some(2, 1), some(4, 1)].concat());
    assert_eq!(spool.stats().records, 2);
    drop(spool);
    // What was acknowledged behind an open record does not come again.
    let spool = Spool::open(&folder.0, QUICK).unwrap();
    assert_eq!(texts(&spool, 0), [some(2, 1), some(4, 1)].concat());
    assert_eq!((spool.stats().records, spool.stats().damaged), (2, 0));
    spool.ack(2..5).unwrap();
    assert_eq!((spool.stats().records, spool.stats().oldest_ms), (0, None));
    fill(&spool, 1);
    drop(spool);
    let spool = Spool::open(&folder.0, QUICK).unwrap();
    assert_eq!(texts(&spool, 0), some(5, 1));
}

#[test]
fn no_number_is_given_again_to_what_left_and_was_lost() {
    let folder = Folder::new("power");
    let spool = Spool::open(&folder.0, QUICK).unwrap();
    fill(&spool, 6);
    spool.ack([3, 4]).unwrap();
    drop(spool);
    let [path] = &segments(&folder.0)[..] else { panic!("one segment") };
    let whole = fs::read(path).unwrap();
    // A loss of power takes the last four, and leaves what was written down of them.
    fs::write(path, &whole[..whole.len() / 3]).unwrap();
    let spool = Spool::open(&folder.0, QUICK).unwrap();
    assert_eq!((texts(&spool, 0), spool.stats().records, spool.stats().damaged), (some(0, 2), 2, 1));
    fill(&spool, 2);
    assert_eq!(texts(&spool, 0), [some(0, 2), some(5, 2)].concat());
    spool.ack([0, 1]).unwrap();
    drop(spool);
    // All of them, and the file with it.
    fs::remove_file(path).unwrap();
    let spool = Spool::open(&folder.0, QUICK).unwrap();
    fill(&spool, 1);
    assert_eq!(texts(&spool, 0), some(5, 1));
}

#[test]
fn many_segments_are_one_queue_and_go_when_they_are_done() {
    let folder = Folder::new("segments");
    let options = Options { max_bytes: 64 << 10, ..QUICK };
    let spool = Spool::open(&folder.0, options).unwrap();
    let record = [7_u8; 1000];
    for _ in 0..60 {
        spool.append(&[&record]).unwrap();
    }
    assert!(segments(&folder.0).len() >= 3);
    let refused = spool.append(&[&[0; 10_000]]).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::BufferFull);
    assert_eq!(spool.stats().records, 60);
    spool.ack(0..50).unwrap();
    spool.append(&[&[1; 10_000]]).unwrap();
    assert_eq!(spool.read(0, usize::MAX).unwrap().len(), 11);
    spool.ack(50..61).unwrap();
    assert!(spool.stats().bytes <= 16 << 10, "{:?}", spool.stats());
    drop(spool);
    let spool = Spool::open(&folder.0, options).unwrap();
    assert_eq!(spool.append(&[b"next"]).unwrap(), 61..62);
}

#[test]
fn the_oldest_give_way_where_that_is_wanted() {
    let folder = Folder::new("oldest");
    let options = Options { max_bytes: 8 << 10, when_full: WhenFull::DropOldest, ..QUICK };
    let spool = Spool::open(&folder.0, options).unwrap();
    for number in 0..100_u64 {
        spool.append(&[&[number as u8; 1000]]).unwrap();
        assert!(spool.stats().bytes <= 8 << 10);
    }
    let left = spool.read(0, usize::MAX).unwrap();
    assert_eq!(left.last().unwrap().seq, 99);
    assert!(left.len() >= 5);
    assert_eq!(spool.stats().dropped + left.len() as u64, 100);
    // What could never fit drops nothing.
    let before = spool.stats();
    assert_eq!(spool.append(&[&[1; 5000]]).unwrap_err().code(), ErrorCode::TooLarge);
    assert_eq!(spool.append(&[&[1; 3000][..]; 3]).unwrap_err().code(), ErrorCode::TooLarge);
    assert_eq!(spool.stats(), before);
    // What needs all the room takes it.
    spool.append(&[&[1; 4000]]).unwrap();
    spool.append(&[&[1; 2700][..]; 3]).unwrap();
    assert_eq!(spool.read(0, usize::MAX).unwrap().len(), 3);
}

#[test]
fn a_second_process_is_kept_out_until_the_first_is_gone() {
    let folder = Folder::new("lock");
    let spool = Spool::open(&folder.0, QUICK).unwrap();
    let Err(error) = Spool::open(&folder.0, QUICK) else { panic!("it opened") };
    assert_eq!(error.code(), ErrorCode::StoreLocked);
    drop(spool);
    Spool::open(&folder.0, QUICK).unwrap();
}

#[test]
fn a_crash_at_any_byte_loses_only_what_was_torn() {
    let folder = Folder::quick("torn");
    let spool = Spool::open(&folder.0, QUICK).unwrap();
    fill(&spool, 6);
    drop(spool);
    let [path] = &segments(&folder.0)[..] else { panic!("one segment") };
    let whole = fs::read(path).unwrap();
    let each = whole.len() / 6;
    for length in 0..=whole.len() {
        fs::write(path, &whole[..length]).unwrap();
        let spool = Spool::open(&folder.0, QUICK).unwrap();
        let left = (length / each) as u64;
        assert_eq!(texts(&spool, 0), some(0, left), "{length} bytes");
        assert_eq!(spool.stats().damaged, 0);
        // The number of what was torn is free again.
        assert_eq!(spool.append(&[b"new"]).unwrap(), left..left + 1);
        assert_eq!(texts(&spool, left), [(left, "new".to_owned())]);
    }
}

#[test]
fn a_damaged_byte_costs_one_record_and_is_counted() {
    let folder = Folder::quick("damage");
    let spool = Spool::open(&folder.0, QUICK).unwrap();
    fill(&spool, 6);
    drop(spool);
    let [path] = &segments(&folder.0)[..] else { panic!("one segment") };
    let whole = fs::read(path).unwrap();
    let each = whole.len() / 6;
    for place in 0..each * 5 {
        let mut broken = whole.clone();
        broken[place] ^= 0x41;
        fs::write(path, &broken).unwrap();
        let lost = (place / each) as u64;
        for _ in 0..2 {
            let spool = Spool::open(&folder.0, QUICK).unwrap();
            assert_eq!(texts(&spool, 0), [some(0, lost), some(lost + 1, 5 - lost)].concat(), "byte {place}");
            assert_eq!(spool.stats().damaged, 1, "byte {place}");
            assert_eq!(fs::read(path.with_extension("damaged")).unwrap(), broken);
        }
    }
}

#[test]
fn damage_in_an_older_segment_leaves_the_younger_ones() {
    let folder = Folder::new("older");
    let options = Options { max_bytes: 4 << 10, ..QUICK };
    let spool = Spool::open(&folder.0, options).unwrap();
    fill(&spool, 60);
    drop(spool);
    let paths = segments(&folder.0);
    let first = fs::read(&paths[0]).unwrap();
    fs::write(&paths[0], &first[..first.len() - 50]).unwrap();
    let spool = Spool::open(&folder.0, options).unwrap();
    assert_eq!(spool.stats().damaged, 2);
    assert_eq!(spool.stats().records, 58);
    let left = texts(&spool, 0);
    assert_eq!(left.len(), 58);
    assert_eq!(left.last().unwrap().0, 59);
    spool.ack(0..60).unwrap();
    assert_eq!(spool.stats().records, 0);
    drop(spool);
    // A foreign file is no queue of millions.
    fs::write(folder.0.join("99999999999999999999.spool"), b"").unwrap_or_default();
    fs::write(folder.0.join("09999999999999999999.spool"), b"").unwrap();
    fs::write(folder.0.join("00000000000000000000.spool"), b"").unwrap();
    let Err(error) = Spool::open(&folder.0, options) else { panic!("it opened") };
    assert_eq!(error.code(), ErrorCode::StoreFailed);
}

#[test]
fn what_the_disk_loses_meanwhile_is_counted_and_the_rest_goes_on() {
    let folder = Folder::new("meanwhile");
    let spool = Spool::open(&folder.0, QUICK).unwrap();
    fill(&spool, 6);
    let [path] = &segments(&folder.0)[..] else { panic!("one segment") };
    let mut bytes = fs::read(path).unwrap();
    let each = bytes.len() / 6;
    bytes[each * 2 + 30] ^= 1;
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all(&bytes).unwrap();
    assert_eq!(texts(&spool, 0), [some(0, 2), some(3, 3)].concat());
    assert_eq!((spool.stats().damaged, spool.stats().records), (1, 5));
}

#[test]
fn what_became_shorter_or_vanished_is_lost_and_counted() {
    let folder = Folder::new("shorter");
    let options = Options { max_bytes: 4 << 10, ..QUICK };
    let spool = Spool::open(&folder.0, options).unwrap();
    fill(&spool, 60);
    let paths = segments(&folder.0);
    let first: u64 = paths[1].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let length = fs::metadata(&paths[0]).unwrap().len();
    fs::OpenOptions::new().write(true).open(&paths[0]).unwrap().set_len(length - 50).unwrap();
    assert_eq!(texts(&spool, 0), [some(0, first - 2), some(first, 60 - first)].concat());
    assert_eq!((spool.stats().damaged, spool.stats().records), (2, 58));
    fs::remove_file(&paths[0]).unwrap();
    assert_eq!(texts(&spool, 0), some(first, 60 - first));
    assert_eq!((spool.stats().damaged, spool.stats().records), (first, 60 - first));
    assert!(!spool.has(first - 1) && spool.has(first) && spool.has(59) && !spool.has(60));
    spool.ack([first]).unwrap();
    assert!(!spool.has(first));
    drop(spool);
    // What was lost is not lost once more.
    let spool = Spool::open(&folder.0, options).unwrap();
    assert_eq!((texts(&spool, 0), spool.stats().damaged), (some(first + 1, 59 - first), 0));
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_an_error_behind_all_that_can() {
    let folder = Folder::new("unreadable");
    let options = Options { max_bytes: 4 << 10, ..QUICK };
    let spool = Spool::open(&folder.0, options).unwrap();
    fill(&spool, 60);
    let path = &segments(&folder.0)[1];
    let first: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    // A folder where the segment is can be opened, and not be read.
    let kept = folder.0.join("kept");
    fs::hard_link(path, &kept).unwrap();
    std::os::unix::fs::symlink("/", folder.0.join("strange")).unwrap();
    fs::rename(folder.0.join("strange"), path).unwrap();
    for _ in 0..2 {
        assert_eq!(texts(&spool, 0), some(0, first));
        assert_eq!(spool.read(first, usize::MAX).unwrap_err().code(), ErrorCode::StoreFailed);
    }
    fs::rename(&kept, path).unwrap();
    assert_eq!(texts(&spool, 0), some(0, 60));
    // A folder that is away may come back: nothing of it is given up.
    let away = folder.0.with_extension("away");
    fs::rename(&folder.0, &away).unwrap();
    assert_eq!(spool.read(first - 1, usize::MAX).unwrap_err().code(), ErrorCode::StoreFailed);
    fs::rename(&away, &folder.0).unwrap();
    assert_eq!((texts(&spool, 0), spool.stats().damaged), (some(0, 60), 0));
}

#[cfg(unix)]
#[test]
fn nothing_is_taken_into_a_file_that_was_removed() {
    let folder = Folder::new("removed");
    let small = Options { max_bytes: 4000, ..QUICK };
    let spool = Spool::open(&folder.0, small).unwrap();
    let record = [b'x'; 600];
    for _ in 0..3 {
        spool.append(&[&record]).unwrap();
    }
    fs::remove_file(segments(&folder.0).last().unwrap()).unwrap();
    for _ in 0..2 {
        assert_eq!(spool.append(&[b"lost"]).unwrap_err().code(), ErrorCode::StoreFailed);
    }
    drop(spool);
    let spool = Spool::open(&folder.0, small).unwrap();
    let next = spool.append(&[b"more"]).unwrap().start;
    let numbers: Vec<u64> = texts(&spool, 0).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [0, 1, next]);
    drop(spool);
    fs::remove_dir_all(&folder.0).unwrap();
    let spool = Spool::open(&folder.0, small).unwrap();
    assert_eq!(spool.append(&[b"anew"]).unwrap(), 0..1);
}

#[test]
fn appends_that_come_together_all_reach_the_disk() {
    let folder = Folder::new("together");
    let spool = Arc::new(Spool::open(&folder.0, Options { durability: Durability::Each, ..QUICK }).unwrap());
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let spool = spool.clone();
            std::thread::spawn(move || {
                (0..50)
                    .map(|number| spool.append(&[format!("{thread}/{number}").as_bytes()]).unwrap().start)
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut numbers: Vec<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..400).collect::<Vec<_>>());
    assert_eq!(texts(&spool, 0).len(), 400);
}

/// Run by `a_killed_process_loses_nothing_that_it_was_told_of`: appends until it is killed.
#[test]
#[ignore = "a part of another test"]
fn child() {
    let spool = Spool::open(Path::new(&std::env::var("MILLRACE_SPOOL").unwrap()), Options::default()).unwrap();
    let mut out = std::io::stdout();
    loop {
        let numbers = spool.append(&[b"one", b"two"]).unwrap();
        writeln!(out, "acknowledged {}", numbers.end).unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_was_told_of() {
    let folder = Folder::new("killed");
    let mut acknowledged = 0;
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env("MILLRACE_SPOOL", &folder.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let numbers = told.by_ref().filter_map(|line| line.split("acknowledged ").nth(1)?.parse::<u64>().ok());
        acknowledged = numbers.take(100 * round).last().unwrap();
        child.kill().unwrap();
        let rest = told.filter_map(|line| line.split("acknowledged ").nth(1)?.parse::<u64>().ok()).last();
        acknowledged = rest.unwrap_or(acknowledged);
        child.wait().unwrap();
    }
    let spool = Spool::open(&folder.0, Options::default()).unwrap();
    let left = spool.read(0, usize::MAX).unwrap();
    assert!(left.len() as u64 >= acknowledged, "{} of {acknowledged}", left.len());
    assert!(left.iter().zip(0..).all(|(record, number)| record.seq == number));
    assert_eq!(left.len() % 2, 0);
}

/// A file system of 256 KB, where this test may make one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_earlier_records_are_safe() {
    let folder = Folder::new("disk");
    fs::create_dir_all(&folder.0).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(&folder.0).output();
    if !mount.is_ok_and(|done| done.status.success()) {
        eprintln!("SKIPPED: a full disk needs the right to mount one");
        return;
    }
    let _mounted = Mounted(&folder.0);
    let path = folder.0.join("spool");
    // The active segment is far from the size at which it would go by itself.
    let options = Options { max_bytes: 16 << 20, ..QUICK };
    let spool = Spool::open(&path, options).unwrap();
    let mut taken = 0;
    let error = loop {
        match spool.append(&[&[3; 3000]]) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::DiskFull(_)), "{error}");
    assert_eq!(spool.read(0, usize::MAX).unwrap().len(), taken);
    spool.ack(0..taken as u64).unwrap();
    let next = taken as u64;
    assert_eq!(spool.append(&[&[4; 3000]]).unwrap(), next..next + 1);
    drop(spool);
    let spool = Spool::open(&path, options).unwrap();
    assert_eq!(spool.stats().records, 1);
}

#[cfg(target_os = "linux")]
struct Mounted<'a>(&'a Path);

#[cfg(target_os = "linux")]
impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // What the test still has open leaves with the last of it.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// xorshift: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn any_life_is_that_of_the_simple_model() {
    let seeds = if std::env::var_os("MILLRACE_LONG").is_some() { 300 } else { 30 };
    for seed in 1..=seeds {
        life(seed);
    }
}

/// Appends, acknowledgements, restarts and torn tails; the model is a map.
fn life(seed: u64) {
    let folder = Folder::quick(&format!("life-{seed}"));
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let options = Options { max_bytes: 40_000, ..QUICK };
    let mut spool = Spool::open(&folder.0, options).unwrap();
    let mut open: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut next = 0;
    for step in 0..400 {
        match random.below(10) {
            0..=4 => {
                let records: Vec<Vec<u8>> =
                    (0..random.below(4)).map(|_| vec![random.below(256) as u8; random.below(600) as usize]).collect();
                let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
                match spool.append(&slices) {
                    Ok(numbers) => {
                        assert_eq!(numbers.start, next, "seed {seed}, step {step}");
                        open.extend(numbers.clone().zip(records));
                        next = numbers.end;
                    }
                    Err(error) => assert_eq!(error.code(), ErrorCode::BufferFull, "seed {seed}, step {step}"),
                }
            }
            5..=7 => {
                let some: Vec<u64> = open.keys().take(20).copied().filter(|_| random.below(3) > 0).collect();
                spool.ack(some.iter().copied()).unwrap();
                open.retain(|number, _| !some.contains(number));
            }
            8 => {
                let from = random.below(next + 2);
                let read: Vec<_> =
                    spool.read(from, usize::MAX).unwrap().into_iter().map(|it| (it.seq, it.data)).collect();
                let wanted: Vec<_> = open.range(from..).map(|(seq, data)| (*seq, data.clone())).collect();
                assert_eq!(read, wanted, "seed {seed}, step {step}");
            }
            _ => {
                drop(spool);
                if let Some(path) = segments(&folder.0).last() {
                    let garbage = vec![9_u8; random.below(40) as usize];
                    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(&garbage).unwrap();
                }
                spool = Spool::open(&folder.0, options).unwrap();
            }
        }
        assert_eq!(spool.stats().records, open.len() as u64, "seed {seed}, step {step}");
    }
    assert_eq!(spool.stats().damaged, 0, "seed {seed}");
}
