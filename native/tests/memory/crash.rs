//! What a crash, a second process, a torn write and a full disk do.
//!
//! Some need a process of their own: the test program starts itself with `MILLRACE_MEMORY_CHILD` set.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use millrace::error::{ErrorCode, HasCode};
use millrace::memory::{Database, Durability, Options};
use serde_json::json;

use crate::support::*;

/// Three keys a request: half of a request must never be seen.
fn request(number: usize, filler: &str) -> serde_json::Value {
    let put = |part: usize| {
        let value = json!({"number": number, "filler": filler});
        json!({"put": {"namespace": "n", "key": format!("k{part}-{}", number % 50), "value": value}})
    };
    json!([put(0), put(1), put(2)])
}

fn numbers(database: &Database) -> Vec<u64> {
    let mut newest = Vec::new();
    for slot in 0..50 {
        let parts: Vec<_> = (0..3)
            .map(|part| get(database, &format!("k{part}-{slot}")).map(|it| it["number"].as_u64().unwrap()))
            .collect();
        assert!(parts.iter().all(|part| *part == parts[0]), "half of a request: {parts:?}");
        newest.extend(parts[0]);
    }
    newest
}

#[test]
fn a_write_that_was_torn_at_any_byte_is_there_or_is_not() {
    let folder = Folder::new("torn");
    {
        let database = open(&folder);
        for number in 0..4 {
            write(&database, request(number, "x")).unwrap();
        }
        // As a killed process leaves it.
        std::mem::forget(database);
    }
    // The lock ends with the process that holds it: work on a copy.
    let journal = std::fs::read(log(&folder)).unwrap();
    let used = journal.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let begin = journal[..used].windows(4).rposition(|it| it == b"k0-3").unwrap() - 60;
    let step = if std::env::var("MILLRACE_LONG").is_ok() { 1 } else { 37 };
    for cut in (begin..=used).step_by(step) {
        let copy = Folder::new(&format!("torn-{cut}"));
        std::fs::create_dir_all(&copy.0).unwrap();
        copy_all(&folder.0, &copy.0);
        std::fs::write(log(&copy), &journal[..cut]).unwrap();
        let database = open(&copy);
        let found = numbers(&database);
        assert!(found.starts_with(&[0, 1, 2]), "cut at {cut}: {found:?}");
        assert_eq!(asked(&database, json!({"verify": null}))["problems"], json!([]), "cut at {cut}");
        write(&database, request(5, "x")).unwrap();
        assert!(numbers(&database).contains(&5));
    }
}

fn log(folder: &Folder) -> std::path::PathBuf {
    folder.0.join("log").join(format!("{:020}.log", 0))
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn after_kill_9_it_opens_by_itself_with_all_that_was_answered() {
    for mode in ["sync", "batch"] {
        let folder = Folder::new(&format!("kill-{mode}"));
        let mut child = child(&folder.0, mode, None);
        // Held until it is killed: a writer that nobody reads would end by itself.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let answered: Vec<u64> = lines.by_ref().take(300).map(|line| line.unwrap().parse().unwrap()).collect();
        assert_eq!(code(Database::open(&folder.0, sync())), ErrorCode::StoreLocked);
        child.kill().unwrap();
        child.wait().unwrap();
        let database = open(&folder);
        let found = numbers(&database);
        let last = answered.last().unwrap();
        assert_eq!(found.len(), 50);
        assert!(found.iter().all(|number| number + 50 > *last), "{mode}: {last} was answered, {found:?} is there");
        assert_eq!(asked(&database, json!({"verify": null}))["problems"], json!([]));
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_takes_nothing_away() {
    let folder = Folder::new("full");
    drop(open(&folder));
    let mut child = child(&folder.0, "full", Some(1_024));
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    child.wait().unwrap();
    let (last, answered) = lines.split_last().unwrap();
    assert_eq!(last, "code DiskFull");
    let found = numbers(&open(&folder));
    let answered: u64 = answered.last().unwrap().parse().unwrap();
    assert!(found.contains(&answered));
}

/// Starts this program again as a writer; `blocks` limits the size of its files, in units of 1,024 bytes.
pub fn child(folder: &Path, mode: &str, blocks: Option<u64>) -> Child {
    let program = std::env::current_exe().unwrap();
    let limit = blocks.map_or(String::new(), |blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
    let mut child = Command::new("bash")
        .args(["-c", &format!("{limit}exec \"$0\" --exact --nocapture crash::the_writer"), program.to_str().unwrap()])
        .env("MILLRACE_MEMORY_CHILD", mode)
        .env("MILLRACE_MEMORY_FOLDER", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // What the test program says before is not the writer's.
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("begin") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the writer did not start");
    }
    assert!(lines.buffer().is_empty());
    child.stdout = Some(lines.into_inner());
    child
}

/// Not a test of its own: the process that others start and kill.
#[test]
fn the_writer() {
    let Ok(mode) = std::env::var("MILLRACE_MEMORY_CHILD") else { return };
    let durability = if mode == "batch" { Durability::Batch } else { Durability::Sync };
    let folder = std::env::var("MILLRACE_MEMORY_FOLDER").unwrap();
    let database = Database::open(Path::new(&folder), Options { durability, ..sync() }).unwrap();
    let mut out = std::fs::File::options().write(true).open("/dev/stdout").unwrap();
    writeln!(out, "begin").unwrap();
    if mode == "asked" {
        for line in std::io::stdin().lines() {
            let outcomes = write(&database, serde_json::from_str(&line.unwrap()).unwrap()).unwrap();
            writeln!(out, "{}", json!(outcomes)).unwrap();
        }
        return;
    }
    // Let the other side see that line alone.
    std::thread::sleep(std::time::Duration::from_millis(100));
    let filler = "x".repeat(if mode == "full" { 1_000 } else { 50 });
    for number in 0.. {
        match write(&database, request(number, &filler)) {
            Ok(_) => writeln!(out, "{number}").unwrap(),
            Err(error) => {
                writeln!(out, "code {:?}", error.code()).unwrap();
                std::process::exit(0);
            }
        }
    }
}
