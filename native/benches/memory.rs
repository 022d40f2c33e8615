//! The versioned memory alone: writes of each kind, reads, questions, opening.
//!
//! `cargo bench --no-default-features --bench memory`; the number of keys from `MILLRACE_KEYS`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use millrace::memory::{At, Database, Durability, Options};
use serde_json::json;

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("millrace-bench-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn value(number: usize) -> serde_json::Value {
    json!({"number": number, "site": format!("site-{}", number % 100), "text": "x".repeat(140), "ok": true})
}

fn key(number: usize) -> String {
    format!("device-{:08}", number.wrapping_mul(2_654_435_761) % 100_000_000)
}

fn request(numbers: std::ops::Range<usize>) -> String {
    let put = |number: usize| json!({"put": {"namespace": "bench", "key": key(number), "value": value(number)}});
    json!([numbers.map(put).collect::<Vec<_>>()]).to_string()
}

fn write(database: &Database, request: &str) {
    let (_, failures) = database.write_text(database.place(), request).unwrap();
    assert!(failures.is_empty());
}

fn open(path: &Path, durability: Durability) -> Arc<Database> {
    Database::open(path, Options { durability, ..Options::default() }).unwrap()
}

fn rate(name: &str, count: usize, run: impl FnOnce()) {
    let begin = Instant::now();
    run();
    println!("{name:<52} {:>12.0}/s", count as f64 / begin.elapsed().as_secs_f64());
}

/// Bytes that this process gave to the system to write.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")).and_then(|it| it.parse().ok()).unwrap_or_default()
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn main() {
    let keys: usize = std::env::var("MILLRACE_KEYS").ok().and_then(|it| it.parse().ok()).unwrap_or(1_000_000);

    let path = folder("single");
    let database = open(&path, Durability::Sync);
    let requests: Vec<String> = (0..20_000).map(|number| request(number..number + 1)).collect();
    rate("durable single puts, one after another", 2_000, || {
        requests[..2_000].iter().for_each(|it| write(&database, it))
    });
    let next = AtomicUsize::new(2_000);
    rate("durable single puts, 50 at a time", 18_000, || {
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                        write(&database, request);
                    }
                });
            }
        });
    });
    drop(database);
    std::fs::remove_dir_all(&path).unwrap();

    let path = folder("amplification");
    let database = open(&path, Durability::Sync);
    let requests: Vec<String> = (0..1_000).map(|batch| request(batch * 100..batch * 100 + 100)).collect();
    let bytes: usize = (0..100_000).map(|number| key(number).len() + value(number).to_string().len()).sum();
    let before = written();
    rate("durable puts, 100 a batch", 100_000, || requests.iter().for_each(|it| write(&database, it)));
    database.close().unwrap();
    println!(
        "{:<52} {:>12.2}",
        "write amplification of it, closing included",
        (written() - before) as f64 / bytes as f64
    );
    std::fs::remove_dir_all(&path).unwrap();

    let path = folder("large");
    let database = open(&path, Durability::Sync);
    let requests: Vec<String> = (0..keys / 1000).map(|batch| request(batch * 1000..batch * 1000 + 1000)).collect();
    rate("durable puts, 1,000 a batch", keys, || requests.iter().for_each(|it| write(&database, it)));
    drop(requests);
    let names: Vec<String> = (0..20_000).map(key).collect();
    let read = |at: Option<At>| {
        for batch in names.chunks(1000) {
            database.get_many(batch.iter().map(|key| ("bench", key.as_str())), at).unwrap();
        }
    };
    rate(&format!("reads of {keys} keys, 1,000 a call, cold"), 20_000, || read(None));
    rate("the same again", 20_000, || read(None));
    let then = At::from_ms(database_time()).unwrap();
    for batch in 0..20 {
        write(&database, &request(batch * 1000..batch * 1000 + 1000));
    }
    rate("reads as of a time, one version back", 20_000, || read(Some(then)));
    let begin = Instant::now();
    database.suggestions("bench", "devce-00000001").unwrap();
    println!("{:<52} {:>12.2} ms", "suggestions, the first", begin.elapsed().as_secs_f64() * 1e3);
    let begin = Instant::now();
    while !database.suggestions_ready("bench") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    println!("{:<52} {:>12.0} ms", "names in memory after", begin.elapsed().as_secs_f64() * 1e3);
    let mut times: Vec<f64> = (0..1000)
        .map(|number| {
            let mut name = key(number);
            name.remove(number % name.len());
            let begin = Instant::now();
            database.suggestions("bench", &name).unwrap();
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    println!("{:<52} {:>7.2} / {:.2} ms", "suggestions then, median / 99 %", times[500], times[990]);
    let killed = folder("killed");
    copy_all(&path, &killed);
    let begin = Instant::now();
    drop(open(&killed, Durability::Sync).get("bench", &key(7), None).unwrap());
    println!(
        "{:<52} {:>12.0} ms",
        "opening what a killed process leaves, and a get",
        begin.elapsed().as_secs_f64() * 1e3
    );
    std::fs::remove_dir_all(&killed).unwrap();
    database.close().unwrap();
    drop(database);
    let begin = Instant::now();
    let database = open(&path, Durability::Sync);
    let opened = begin.elapsed();
    database.get("bench", &key(7), None).unwrap();
    println!("{:<52} {:>12.0} ms", "opening after a close", opened.as_secs_f64() * 1e3);
    println!("{:<52} {:>12.3} ms", "the first get then", (begin.elapsed() - opened).as_secs_f64() * 1e3);
    drop(database);
    std::fs::remove_dir_all(&path).unwrap();
}

fn database_time() -> f64 {
    std::thread::sleep(std::time::Duration::from_millis(2));
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as f64;
    std::thread::sleep(std::time::Duration::from_millis(2));
    time
}
