//! Searches and building on real sentence embeddings: 100,000 of 384 components, queries that are not among
//! them, one thread. `native/embedding/corpus.py` makes the vectors; without them there is nothing to measure.
//!
//! `cargo bench --no-default-features --bench vectors`

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use millrace::memory::vectors::{Filter, Options, Search, Storage, Vectors, Way};

const DIMENSIONS: usize = 384;
const BASE: usize = 100_000;
const QUERIES: usize = 1_000;
const K: usize = 10;

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/embedding/wordnet.f32");
    let Ok(bytes) = std::fs::read(&path) else {
        println!("No vectors at {}: run native/embedding/corpus.py first.", path.display());
        return;
    };
    let all: Vec<f32> = bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let (base, rest) = all.split_at(BASE * DIMENSIONS);
    let queries: Vec<&[f32]> = rest.chunks(DIMENSIONS).take(QUERIES).collect();
    let ids: Vec<u32> = (0..BASE as u32).collect();
    let truth: Vec<HashSet<u32>> = queries.iter().map(|query| nearest(base, query, |_| true)).collect();

    for storage in [Storage::F32, Storage::F16, Storage::I8] {
        let vectors = Vectors::new(Options { storage, ..Options::new(DIMENSIONS) }).unwrap();
        let start = Instant::now();
        vectors.put(&ids, base, 1).unwrap();
        let put = start.elapsed().as_secs_f64();
        vectors.settle();
        let built = start.elapsed().as_secs_f64();
        let stats = vectors.stats();
        println!(
            "{storage:?}: put {:.0}/s, built {:.0}/s, {:.0} MB",
            BASE as f64 / put,
            BASE as f64 / built,
            stats.bytes as f64 / 1e6
        );
        if storage == Storage::F32 {
            let file = std::env::temp_dir().join(format!("millrace-bench-{}.vectors", std::process::id()));
            let start = Instant::now();
            vectors.save(&file).unwrap();
            let saved = start.elapsed().as_secs_f64();
            for width in [16, 32, 48, 64, 96, 128, 192] {
                let start = Instant::now();
                let (again, _) = Vectors::open(&file, Options { width, ..Options::new(DIMENSIONS) }).unwrap();
                let loaded = start.elapsed().as_secs_f64();
                if width == 16 {
                    println!("  saved in {saved:.2} s, loaded in {loaded:.2} s");
                }
                measure(&format!("graph, width {width}"), &again, &queries, &truth, |_| Search::nearest(K));
            }
            std::fs::remove_file(&file).unwrap();
        }
        measure("graph", &vectors, &queries, &truth, |_| Search::nearest(K));
        for percent in [1, 10, 50] {
            let allowed: Vec<u32> = ids.iter().copied().filter(|id| id * 7919 % 100 < percent).collect();
            let some = &queries[..200];
            let truth: Vec<_> = some.iter().map(|query| nearest(base, query, |id| id * 7919 % 100 < percent)).collect();
            measure(&format!("filter {percent} %"), &vectors, some, &truth, |_| Search {
                k: K,
                filter: Filter::Ids(&allowed),
                ..Search::default()
            });
        }
        let exact = Vectors::new(Options { storage, exact_up_to: BASE, ..Options::new(DIMENSIONS) }).unwrap();
        exact.put(&ids, base, 1).unwrap();
        measure("exact", &exact, &queries[..200], &truth[..200], |_| Search::nearest(K));
    }
}

fn measure<'a>(
    label: &str,
    vectors: &Vectors,
    queries: &[&[f32]],
    truth: &[HashSet<u32>],
    search: impl Fn(usize) -> Search<'a>,
) {
    let mut rates = Vec::new();
    let mut right = 0;
    let mut way = Way::Exact;
    for round in 0..5 {
        let start = Instant::now();
        for (place, query) in queries.iter().enumerate() {
            let found = vectors.search(query, &search(place)).unwrap();
            way = found.way;
            if round == 0 {
                right += found.hits.iter().filter(|hit| truth[place].contains(&hit.id)).count();
            }
        }
        rates.push(queries.len() as f64 / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    let recall = right as f64 / (K * queries.len()) as f64;
    println!("  {label:<18} {:>8.0}/s ({:.0}-{:.0}), recall@{K} {recall:.4}, {way:?}", rates[2], rates[0], rates[4]);
}

/// The nearest by cosine, one by one.
fn nearest(base: &[f32], query: &[f32], allowed: impl Fn(u32) -> bool) -> HashSet<u32> {
    let kernels = millrace::memory::vectors::Kernels::best();
    let rows = base.chunks(DIMENSIONS).enumerate().map(|(id, row)| (id as u32, row));
    let mut scored: Vec<_> =
        rows.filter(|&(id, _)| allowed(id)).map(|(id, row)| (kernels.dot(row, query), id)).collect();
    scored.select_nth_unstable_by(K - 1, |a, b| b.0.total_cmp(&a.0));
    scored[..K].iter().map(|&(_, id)| id).collect()
}
