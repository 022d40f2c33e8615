//! Stories about the store: what a crash, a second process, damage and a full disk do.
//!
//! Some need a process of their own: the test program starts itself with `MILLRACE_KV_CHILD` set.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use millrace::error::{ErrorCode, HasCode};
use millrace::kv::{Kv, KvError, Options, Sync};

mod random;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("millrace-kv-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn each() -> Options {
    Options { sync: Sync::Each, ..Options::default() }
}

fn put(kv: &Kv, key: &str, value: &str) -> Result<(), KvError> {
    let space = kv.space("a")?;
    let mut batch = kv.batch();
    batch.put(&space, key.as_bytes(), value.as_bytes());
    batch.commit()
}

fn keys(kv: &Kv) -> Vec<String> {
    let rows = kv.space("a").unwrap().range(..);
    rows.map(|row| String::from_utf8(row.unwrap().0.to_vec()).unwrap()).collect()
}

#[test]
fn batches_scans_and_snapshots() {
    let folder = Folder::new("basics");
    let kv = Kv::open(&folder.0, &Options::default()).unwrap();
    let (a, b) = (kv.space("a").unwrap(), kv.space("b").unwrap());
    let mut batch = kv.batch();
    assert!(batch.is_empty());
    for key in ["x1", "x2", "y1"] {
        batch.put(&a, key.as_bytes(), b"old".as_slice());
    }
    batch.put(&b, b"x1".as_slice(), b"other".as_slice());
    assert_eq!(batch.len(), 4);
    assert_eq!(a.get(b"x1").unwrap(), None, "not before it is committed");
    batch.commit().unwrap();

    let before = kv.snapshot();
    let mut batch = kv.batch();
    batch.put(&a, b"x2".as_slice(), b"new".as_slice());
    batch.remove(&a, b"x1".as_slice());
    batch.commit().unwrap();
    kv.batch().commit().unwrap();

    let text = |value: Option<millrace::kv::Bytes>| value.map(|it| String::from_utf8(it.to_vec()).unwrap());
    assert_eq!(text(a.get(b"x2").unwrap()).as_deref(), Some("new"));
    assert!(!a.contains(b"x1").unwrap() && b.contains(b"x1").unwrap());
    assert_eq!(text(before.get(&a, b"x1").unwrap()).as_deref(), Some("old"));
    assert_eq!(before.range(&a, ..).count(), 3);
    let backward: Vec<_> = a.prefix(b"").rev().map(|row| row.unwrap().0.to_vec()).collect();
    assert_eq!(backward, [b"y1".to_vec(), b"x2".to_vec()]);
    assert_eq!(a.prefix(b"x").count(), 1);
    assert_eq!(a.range(b"x3".to_vec()..).count(), 1);
    a.compact().unwrap();
    assert_eq!(keys(&kv), ["x2", "y1"]);
    assert!(kv.disk_size().unwrap() > 0);
    kv.sync().unwrap();
}

#[test]
fn what_was_committed_is_there_after_a_close_and_after_none() {
    let folder = Folder::new("reopen");
    for (round, options) in [Options::default(), each(), Options::default(), each()].iter().enumerate() {
        let kv = Kv::open(&folder.0, options).unwrap();
        assert_eq!(keys(&kv).len(), round);
        put(&kv, &format!("k{round}"), "v").unwrap();
        if round % 2 == 0 { kv.close().unwrap() } else { drop(kv) }
    }
}

#[test]
fn the_bounded_mode_reaches_the_disk_by_itself_and_sleeps_then() {
    let folder = Folder::new("bounded");
    let options = Options { sync: Sync::Within(Duration::from_millis(5)), ..Options::default() };
    let kv = Kv::open(&folder.0, &options).unwrap();
    for round in 0..5 {
        put(&kv, &format!("k{round}"), "v").unwrap();
        std::thread::sleep(Duration::from_millis(8));
    }
    drop(kv);
    assert_eq!(keys(&Kv::open(&folder.0, &options).unwrap()).len(), 5);
}

/// Fills more than the memory for what was written last takes.
fn fill_tables(kv: &Kv, round: usize) -> Result<(), KvError> {
    (0..40).try_for_each(|number| put(kv, &format!("{round}-{number}"), &"x".repeat(1_000)))
}

fn small() -> Options {
    Options { write_buffer_bytes: 16_000, ..Options::default() }
}

#[test]
fn tables_that_cannot_be_written_end_the_store_and_lose_nothing() {
    let folder = Folder::new("unflushed");
    let kv = Kv::open(&folder.0, &small()).unwrap();
    std::fs::rename(folder.0.join("keyspaces"), folder.0.join("away")).unwrap();
    let error = (0..).find_map(|round| fill_tables(&kv, round).err()).unwrap();
    assert_eq!(error.code(), ErrorCode::StoreFailed);
    assert_eq!(put(&kv, "b", "v").unwrap_err().code(), ErrorCode::StoreFailed);
    let before = keys(&kv).len();
    drop(kv);
    let _ = std::fs::remove_dir_all(folder.0.join("keyspaces"));
    std::fs::rename(folder.0.join("away"), folder.0.join("keyspaces")).unwrap();
    assert_eq!(keys(&Kv::open(&folder.0, &small()).unwrap()).len(), before);
}

#[test]
fn the_log_forgets_what_the_tables_have() {
    let folder = Folder::new("forgets");
    let kv = Kv::open(&folder.0, &small()).unwrap();
    for round in 0..50 {
        fill_tables(&kv, round).unwrap();
    }
    kv.space("a").unwrap().compact().unwrap();
    let logs = || std::fs::read_dir(folder.0.join("log")).unwrap().count();
    assert_eq!(logs(), 1);
    assert_eq!(keys(&kv).len(), 2_000);
    kv.close().unwrap();
    let kv = Kv::open(&folder.0, &small()).unwrap();
    assert_eq!((keys(&kv).len(), logs()), (2_000, 1));
}

#[test]
fn a_log_that_was_just_begun_when_the_process_ended() {
    let folder = Folder::new("begun");
    let kv = Kv::open(&folder.0, &each()).unwrap();
    put(&kv, "a", "v").unwrap();
    drop(kv);
    let log = |at: usize| folder.0.join("log").join(format!("{at:020}.log"));
    let bytes = std::fs::read(log(0)).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    std::fs::write(log(end), "").unwrap();
    for _ in 0..2 {
        let kv = Kv::open(&folder.0, &each()).unwrap();
        kv.space("a").unwrap().compact().unwrap();
        assert_eq!(keys(&kv), ["a"]);
        drop(kv);
        assert!(!log(0).exists() && log(end).exists());
    }
}

#[test]
fn a_key_that_is_too_long_or_empty_is_refused_and_harms_nothing() {
    let folder = Folder::new("long");
    let kv = Kv::open(&folder.0, &each()).unwrap();
    put(&kv, &"k".repeat(65_535), "v").unwrap();
    for key in ["", &"k".repeat(65_536)] {
        assert_eq!(put(&kv, key, "v").unwrap_err().code(), ErrorCode::InvalidInput);
    }
    put(&kv, "b", "v").unwrap();
    drop(kv);
    assert_eq!(keys(&Kv::open(&folder.0, &each()).unwrap()).len(), 2);
}

#[test]
fn a_log_over_several_files_is_whole_after_kill_9_in_the_middle_of_a_flush() {
    let folder = Folder::new("several");
    let big = Options { write_buffer_bytes: 1 << 30, ..each() };
    let kv = Kv::open(&folder.0, &big).unwrap();
    put(&kv, "a", "first").unwrap();
    kv.space("a").unwrap().compact().unwrap();
    put(&kv, "b", "second").unwrap();
    drop(kv);
    // Damage in what the log of a table had, with a synced commit in the file behind it.
    let logs = || {
        let mut found: Vec<_> =
            std::fs::read_dir(folder.0.join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    };
    assert_eq!(logs().len(), 1);
    let first = logs().remove(0);
    let bytes = std::fs::read(&first).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let base: usize = first.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    std::fs::write(&first, &bytes[..end]).unwrap();
    std::fs::write(folder.0.join("log").join(format!("{:020}.log", base + end)), "").unwrap();
    let kv = Kv::open(&folder.0, &each()).unwrap();
    put(&kv, "c", "third").unwrap();
    put(&kv, "d", "fourth").unwrap();
    drop(kv);
    assert_eq!((logs().len(), keys(&Kv::open(&folder.0, &each()).unwrap()).len()), (2, 4));
    let mut harmed = std::fs::read(&first).unwrap();
    harmed[end - 1] ^= 1;
    std::fs::write(&first, &harmed).unwrap();
    assert_eq!(Kv::open(&folder.0, &each()).err().unwrap().code(), ErrorCode::StoreCorrupt);
    let kv = Kv::open(&folder.0, &Options { repair: true, ..each() }).unwrap();
    assert_eq!(keys(&kv), ["a"]);
    put(&kv, "e", "fifth").unwrap();
    drop(kv);
    assert_eq!(keys(&Kv::open(&folder.0, &each()).unwrap()), ["a", "e"]);
}

#[test]
fn one_owner_at_a_time() {
    let folder = Folder::new("owner");
    let kv = Kv::open(&folder.0, &Options::default()).unwrap();
    let second = Kv::open(&folder.0, &Options::default()).err().unwrap();
    assert_eq!(second.code(), ErrorCode::StoreLocked);
    assert!(second.to_string().contains(folder.0.to_str().unwrap()));
    kv.close().unwrap();
    Kv::open(&folder.0, &Options::default()).unwrap();
}

#[test]
fn a_torn_tail_is_cut_and_damage_before_it_is_named() {
    let folder = Folder::new("torn");
    let fill = || {
        let _ = std::fs::remove_dir_all(&folder.0);
        let kv = Kv::open(&folder.0, &each()).unwrap();
        for number in 0..10 {
            put(&kv, &format!("key-{number}"), &format!("value-{number}")).unwrap();
        }
    };
    let journal = folder.0.join("log").join(format!("{:020}.log", 0));
    let find = |bytes: &[u8], text: &str| bytes.windows(text.len()).position(|it| it == text.as_bytes()).unwrap();
    // What is done to the journal, and how many keys are left; none: it is refused.
    type Harm = fn(&mut Vec<u8>, usize, usize);
    let cases: [(&str, Harm, Option<usize>); 7] = [
        ("the last batch ends early", |bytes, _, last| bytes.truncate(last + 3), Some(9)),
        ("zeros in the last batch", |bytes, _, last| bytes[last..].fill(0), Some(9)),
        ("a flipped bit in the last batch", |bytes, _, last| bytes[last] ^= 1, Some(9)),
        ("garbage behind the end", |bytes, _, last| bytes[last + 200..last + 300].fill(0xab), Some(10)),
        ("a flipped bit in the first batch", |bytes, first, _| bytes[first] ^= 1, None),
        ("a tag that is none in the first batch", |bytes, first, _| bytes[first - 13] = 9, None),
        ("a length beyond the end in the first batch", |bytes, first, _| bytes[first - 6] = 0xff, None),
    ];
    for (case, harm, left) in cases {
        fill();
        let mut bytes = std::fs::read(&journal).unwrap();
        let (first, last) = (find(&bytes, "value-0"), find(&bytes, "value-9"));
        harm(&mut bytes, first, last);
        std::fs::write(&journal, &bytes).unwrap();
        match left {
            Some(left) => {
                let kv = Kv::open(&folder.0, &each()).unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_eq!(keys(&kv).len(), left, "{case}");
                put(&kv, "later", "v").unwrap();
                drop(kv);
                assert_eq!(keys(&Kv::open(&folder.0, &each()).unwrap()).len(), left + 1, "{case}");
            }
            None => {
                let error = Kv::open(&folder.0, &each()).err().expect(case);
                assert_eq!(error.code(), ErrorCode::StoreCorrupt, "{case}");
                let kv = Kv::open(&folder.0, &Options { repair: true, ..each() }).unwrap();
                assert_eq!(keys(&kv).len(), 0, "{case}");
                assert!(journal.with_extension("damaged").exists());
            }
        }
    }
}

#[test]
fn damage_to_what_was_not_synced_yet_is_a_torn_tail() {
    let folder = Folder::new("unsynced");
    let hour = Options { sync: Sync::Within(Duration::from_secs(3_600)), ..Options::default() };
    let kv = Kv::open(&folder.0, &hour).unwrap();
    put(&kv, "a", "synced").unwrap();
    kv.sync().unwrap();
    for key in ["b", "c", "d"] {
        put(&kv, key, &format!("value-{key}")).unwrap();
    }
    let log = folder.0.join("log").join(format!("{:020}.log", 0));
    let mut bytes = std::fs::read(&log).unwrap();
    // A loss of power may bring later pages to the disk, and not this one.
    let at = bytes.windows(7).position(|it| it == b"value-b").unwrap();
    bytes[at..at + 7].fill(0);
    drop(kv);
    std::fs::write(&log, &bytes).unwrap();
    assert_eq!(keys(&Kv::open(&folder.0, &each()).unwrap()), ["a"]);
    let kept = std::fs::read(log.with_extension("damaged")).unwrap();
    assert!(kept.windows(7).any(|it| it == b"value-d"));
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Which keys can be read; or the first error.
fn all_keys(folder: &Path) -> Result<usize, KvError> {
    let kv = Kv::open(folder, &small())?;
    let rows = kv.space("a")?.range(..);
    rows.map(|row| row.map(|_| 1)).sum()
}

#[test]
fn a_file_that_is_damaged_or_gone_is_named_and_takes_no_row_without_a_word() {
    let folder = Folder::new("harmed");
    let kv = Kv::open(&folder.0, &small()).unwrap();
    (0..5).for_each(|round| fill_tables(&kv, round).unwrap());
    kv.space("a").unwrap().compact().unwrap();
    kv.close().unwrap();
    let mut all = Vec::new();
    files(&folder.0, &mut all);
    let log = folder.0.join("log");
    type Harm = fn(&Path, Vec<u8>) -> std::io::Result<()>;
    let harms: [(&str, Harm); 5] = [
        ("gone", |path, _| std::fs::remove_file(path)),
        ("empty", |path, _| std::fs::write(path, "")),
        ("zeros", |path, bytes| std::fs::write(path, vec![0; bytes.len()])),
        ("cut", |path, bytes| std::fs::write(path, &bytes[..bytes.len() / 2])),
        ("another first byte", |path, mut bytes| {
            bytes.iter_mut().take(1).for_each(|byte| *byte ^= 0xff);
            std::fs::write(path, bytes)
        }),
    ];
    let mut named = 0;
    for (file, (name, harm)) in
        all.iter().filter(|file| !file.starts_with(&log)).flat_map(|file| harms.map(|it| (file, it)))
    {
        let copy = Folder::new("harmed-copy");
        for file in &all {
            let to = copy.0.join(file.strip_prefix(&folder.0).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(file, to).unwrap();
        }
        let file = copy.0.join(file.strip_prefix(&folder.0).unwrap());
        harm(&file, std::fs::read(&file).unwrap()).unwrap();
        match all_keys(&copy.0) {
            Ok(left) => assert_eq!(left, 200, "{} {name}", file.display()),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::StoreCorrupt, "{} {name}: {error}", file.display());
                named += 1;
            }
        }
    }
    assert!(named > 10, "{named}");
    let keyspaces = folder.0.join("keyspaces");
    let mut folders = vec![keyspaces.clone()];
    folders.extend(std::fs::read_dir(&keyspaces).unwrap().map(|entry| entry.unwrap().path()));
    assert!(folders.len() > 2);
    let aside = folder.0.join("aside");
    for gone in folders {
        std::fs::rename(&gone, &aside).unwrap();
        let error = all_keys(&folder.0).unwrap_err();
        assert_eq!(error.code(), ErrorCode::StoreCorrupt, "{}: {error}", gone.display());
        assert!(error.to_string().contains("keyspaces/"), "{error}");
        std::fs::rename(&aside, &gone).unwrap();
        assert_eq!(all_keys(&folder.0).unwrap(), 200);
    }
    let copy = Folder::new("harmed-folder");
    let mut now = Vec::new();
    files(&folder.0, &mut now);
    for file in &now {
        let inside = file.strip_prefix(&folder.0).unwrap();
        if !inside.starts_with("keyspaces/1") {
            std::fs::create_dir_all(copy.0.join(inside).parent().unwrap()).unwrap();
            std::fs::copy(file, copy.0.join(inside)).unwrap();
        }
    }
    assert!(all_keys(&copy.0).is_err());
    drop(Kv::open(&copy.0, &Options { repair: true, ..small() }).unwrap());
    all_keys(&copy.0).unwrap();
    // What looks like something to read, and may go to make room.
    std::fs::remove_dir_all(&log).unwrap();
    assert_eq!(all_keys(&folder.0).unwrap_err().code(), ErrorCode::StoreCorrupt);
    let kv = Kv::open(&folder.0, &Options { repair: true, ..small() }).unwrap();
    put(&kv, "later", "v").unwrap();
    drop(kv);
    assert!(all_keys(&folder.0).unwrap() > 0);
}

#[test]
fn a_small_store_without_its_version_or_its_log_is_damaged() {
    for gone in ["version", "log"] {
        let folder = Folder::new(&format!("small-without-{gone}"));
        let kv = Kv::open(&folder.0, &each()).unwrap();
        put(&kv, "a", "v").unwrap();
        kv.close().unwrap();
        let (path, aside) = (folder.0.join(gone), folder.0.join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        let error = Kv::open(&folder.0, &each()).err().unwrap();
        assert_eq!(error.code(), ErrorCode::StoreCorrupt);
        assert!(error.to_string().contains(gone), "{error}");
        assert!(error.to_string().contains("is missing"), "{error}");
        std::fs::rename(&aside, &path).unwrap();
        assert_eq!(keys(&Kv::open(&folder.0, &each()).unwrap()).len(), 1);
    }
}

#[test]
fn a_store_whose_making_was_cut_short_anywhere_is_made() {
    for made in 0..=4 {
        let folder = Folder::new(&format!("unmade-{made}"));
        std::fs::create_dir_all(&folder.0).unwrap();
        for name in ["lock", "keyspaces", "0.jnl", "version"].iter().take(made) {
            match *name {
                "keyspaces" => std::fs::create_dir(folder.0.join(name)).unwrap(),
                _ => std::fs::write(folder.0.join(name), "").unwrap(),
            }
        }
        for round in 0..2 {
            let kv = Kv::open(&folder.0, &each()).unwrap_or_else(|error| panic!("{made} {round}: {error}"));
            put(&kv, &round.to_string(), "v").unwrap();
            assert_eq!(keys(&kv).len(), round + 1);
        }
    }
}

#[test]
fn a_folder_that_is_no_store_is_an_error() {
    let folder = Folder::new("foreign");
    std::fs::create_dir_all(&folder.0).unwrap();
    std::fs::write(folder.0.join("version"), "something else").unwrap();
    assert_eq!(Kv::open(&folder.0, &each()).err().unwrap().code(), ErrorCode::StoreCorrupt);
    let file = Folder::new("file");
    std::fs::write(&file.0, "a file").unwrap();
    let error = Kv::open(&file.0, &each()).err().unwrap();
    std::fs::remove_file(&file.0).unwrap();
    assert_eq!(error.code(), ErrorCode::StoreFailed);
}

#[cfg(unix)]
#[test]
fn after_kill_9_everything_acknowledged_is_there_and_the_lock_is_free() {
    for mode in ["each", "within"] {
        let folder = Folder::new(&format!("kill-{mode}"));
        let mut child = child(&folder.0, mode, None);
        let mut acknowledged = Vec::new();
        // Open until the end, or the child would end by itself.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref().take(500) {
            acknowledged.push(line.unwrap());
        }
        assert_eq!(Kv::open(&folder.0, &each()).err().unwrap().code(), ErrorCode::StoreLocked);
        child.kill().unwrap();
        child.wait().unwrap();
        let found = keys(&Kv::open(&folder.0, &each()).unwrap());
        assert!(acknowledged.iter().all(|key| found.contains(key)), "{mode}");
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_named_and_takes_nothing_away() {
    // A limit of the file's size fails a write as a full disk does, for this one process: the journal has its
    // whole length from the first open, so that it is no new file that fails.
    let folder = Folder::new("full");
    drop(Kv::open(&folder.0, &each()).unwrap());
    let mut child = child(&folder.0, "full", Some(1_024));
    let lines: Vec<_> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    child.wait().unwrap();
    let (last, acknowledged) = lines.split_last().unwrap();
    assert_eq!(last, "code DiskFull");
    assert!(!acknowledged.is_empty());
    let found = keys(&Kv::open(&folder.0, &each()).unwrap());
    assert!(acknowledged.iter().all(|key| found.contains(key)));
}

/// Starts this program again as a writer; `blocks` limits the size of its files, in units of 1,024 bytes.
fn child(folder: &Path, mode: &str, blocks: Option<u64>) -> Child {
    let program = std::env::current_exe().unwrap();
    let limit = blocks.map_or(String::new(), |blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
    Command::new("bash")
        .args(["-c", &format!("{limit}exec \"$0\" --exact --nocapture the_writer"), program.to_str().unwrap()])
        .env("MILLRACE_KV_CHILD", mode)
        .env("MILLRACE_KV_FOLDER", folder)
        .stdout(Stdio::piped())
        .spawn()
        .map(|mut child| {
            // What the test program says before and after is not the writer's.
            let mut lines = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            while !line.contains("begin") {
                line.clear();
                assert!(lines.read_line(&mut line).unwrap() > 0, "the writer did not start");
            }
            assert!(lines.buffer().is_empty());
            child.stdout = Some(lines.into_inner());
            child
        })
        .unwrap()
}

/// Not a test of its own: the process that others start and kill.
#[test]
fn the_writer() {
    let Ok(mode) = std::env::var("MILLRACE_KV_CHILD") else { return };
    let options = if mode == "within" { Options::default() } else { each() };
    let kv = Kv::open(Path::new(&std::env::var("MILLRACE_KV_FOLDER").unwrap()), &options).unwrap();
    let mut out = std::fs::File::options().write(true).open("/dev/stdout").unwrap();
    writeln!(out, "begin").unwrap();
    // Let the other side see that line alone.
    std::thread::sleep(Duration::from_millis(100));
    let filler = "x".repeat(if mode == "full" { 2_000 } else { 100 });
    for number in 0.. {
        let key = format!("k{number:06}");
        match put(&kv, &key, &format!("{number}{filler}")) {
            Ok(()) => writeln!(out, "{key}").unwrap(),
            Err(error) => {
                writeln!(out, "code {:?}", error.code()).unwrap();
                std::process::exit(0);
            }
        }
    }
}
