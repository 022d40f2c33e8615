//! Tasks a second through the engine, by durability; a million that wait, and what a new start costs them.
//!
//! `cargo bench --no-default-features --bench tasks`

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millrace::tasks::driver::now_ms;
use millrace::tasks::{Chance, Engine, Options, Report, WorkerOptions, report_frame};
use serde_json::json;

const ROUNDS: usize = 3;

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("millrace-bench-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn options(durability: &str) -> Options {
    serde_json::from_value(json!({ "durability": durability })).unwrap()
}

/// About 170 bytes, as the peers' benchmarks send.
fn message(chance: &mut Chance, now: i64) -> Vec<u8> {
    let id = chance.id(now);
    format!(
        r#"{{"v":1,"id":"{id}","name":"noop","queue":"default","args":[1,"{}"],"createdAt":{now}}}"#,
        "x".repeat(40)
    )
    .into()
}

fn send(engine: &mut Engine, chance: &mut Chance, count: usize, batch: usize) -> f64 {
    let mut spent = Duration::ZERO;
    for _ in 0..count.div_ceil(batch) {
        let now = now_ms();
        let messages: Vec<Vec<u8>> = (0..batch).map(|_| message(chance, now)).collect();
        let begin = Instant::now();
        for message in messages {
            engine.send(&message, now).unwrap();
        }
        engine.commit(now).unwrap();
        spent += begin.elapsed();
    }
    count as f64 / spent.as_secs_f64()
}

/// Takes and finishes, `window` in flight, all reports of a turn together.
fn work(engine: &mut Engine, window: usize, most: usize) -> f64 {
    let worker = engine.open_worker(WorkerOptions { prefetch: window, ..WorkerOptions::default() }, now_ms()).unwrap();
    let begin = Instant::now();
    let mut done = 0;
    engine.deliver(now_ms()).unwrap();
    engine.commit(now_ms()).unwrap();
    while done < most {
        let frames = engine.take_frames(worker);
        if frames.is_empty() {
            break;
        }
        let mut reports = Vec::new();
        let mut rest = frames.as_slice();
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (frame, next) = after.split_at(u32::from_le_bytes(*len) as usize);
            rest = next;
            let token = f64::from_le_bytes(frame[1..9].try_into().unwrap()) as u64;
            report_frame(&mut reports, Report::Done, token, b"42");
            done += 1;
        }
        let now = now_ms();
        engine.tick(now).unwrap();
        engine.report(&reports, now).unwrap();
        engine.deliver(now).unwrap();
        engine.commit(now).unwrap();
    }
    let rate = done as f64 / begin.elapsed().as_secs_f64();
    engine.close_worker(worker, now_ms()).unwrap();
    engine.commit(now_ms()).unwrap();
    rate
}

fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default() / 1024
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|it| it.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2] / 1e3
}

fn row(name: &str, measure: impl Fn() -> f64) {
    println!("{name:<52}{:>9.1} k/s", median((0..ROUNDS).map(|_| measure()).collect()));
}

fn speeds(durability: &'static str, count: usize) {
    let fresh = |name: &str| {
        let path = folder(name);
        (Engine::open(&path, options(durability), now_ms()).unwrap(), Chance::new(), path)
    };
    for (title, batch, share) in [("send, 1 a commit", 1, 10), ("send, 512 a commit", 512, 1)] {
        row(&format!("{durability}: {title}"), || {
            let (mut engine, mut chance, path) = fresh("send");
            let rate = send(&mut engine, &mut chance, count / share, batch);
            drop(engine);
            std::fs::remove_dir_all(path).unwrap();
            rate
        });
    }
    for window in [1, 50, 500] {
        let share = if window == 1 { 10 } else { 1 };
        row(&format!("{durability}: take, run, record a result; {window} in flight"), || {
            let (mut engine, mut chance, path) = fresh("work");
            send(&mut engine, &mut chance, count / share, 512);
            let rate = work(&mut engine, window, usize::MAX);
            drop(engine);
            std::fs::remove_dir_all(path).unwrap();
            rate
        });
    }
}

fn a_million(path: &Path) {
    let mut engine = Engine::open(path, options("bounded"), now_ms()).unwrap();
    let mut chance = Chance::new();
    let empty = send(&mut engine, &mut chance, 100_000, 512);
    let taken = work(&mut engine, 50, usize::MAX);
    let before = rss_mb();
    let rate = send(&mut engine, &mut chance, 1_000_000, 512);
    println!("a million: {before} MB before, {} MB after, sent at {:.1} k/s", rss_mb(), rate / 1e3);
    let full = send(&mut engine, &mut chance, 100_000, 512);
    let taken_full = work(&mut engine, 50, 100_000);
    println!(
        "a million wait: send {:.1} k/s (empty {:.1}), take {:.1} k/s (empty {:.1})",
        full / 1e3,
        empty / 1e3,
        taken_full / 1e3,
        taken / 1e3
    );
    drop(engine);
    let begin = Instant::now();
    let mut engine = Engine::open(path, options("bounded"), now_ms()).unwrap();
    println!("opened again without a close: {:.2} s, {} MB", begin.elapsed().as_secs_f64(), rss_mb());
    println!("{:.1} k/s taken after that", work(&mut engine, 50, 100_000) / 1e3);
    let begin = Instant::now();
    engine.close(now_ms()).unwrap();
    let closed = begin.elapsed();
    let begin = Instant::now();
    drop(Engine::open(path, options("bounded"), now_ms()).unwrap());
    println!("closed in {:.2} s, opened after that in {:.2} s", closed.as_secs_f64(), begin.elapsed().as_secs_f64());
}

struct Silent;

impl millrace::tasks::driver::Outlet for Silent {
    fn ready(&mut self, _: &mut Engine) {}
}

fn idle() {
    let path = folder("idle");
    let driver = millrace::tasks::driver::Driver::open(path.clone(), options("bounded"), Silent).unwrap();
    driver.submit(Box::new(|engine| {
        let (engine, now) = engine.unwrap();
        let mut chance = Chance::new();
        for n in 0..100_000 {
            let id = chance.id(now);
            let eta = now + 3_600_000 + n;
            engine.send(format!(r#"{{"v":1,"id":"{id}","name":"later","eta":{eta}}}"#).as_bytes(), now).unwrap();
        }
        None
    }));
    std::thread::sleep(Duration::from_secs(3));
    let before = cpu();
    std::thread::sleep(Duration::from_secs(5));
    println!("100,000 delayed: {:?} of CPU in 5 s", cpu() - before);
    driver.close().unwrap();
    std::fs::remove_dir_all(path).unwrap();
}

fn main() {
    // `-- million` measures that part alone.
    if !std::env::args().any(|arg| arg == "million") {
        speeds("bounded", 200_000);
        speeds("fsync", 100_000);
        idle();
    }
    let path = folder("million");
    a_million(&path);
    std::fs::remove_dir_all(path).unwrap();
}
