//! Stories about `millrace::memory::vectors`: what is found beside comparing one by one, a random life against a
//! simple model, mistakes, and an index that comes back from its file, or does not.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;

use millrace::error::{ErrorCode, HasCode};
use millrace::memory::embedder::Embedder;
use millrace::memory::vectors::{Filter, Found, Metric, Opened, Options, Search, Storage, VectorError, Vectors, Way};

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn float(&mut self) -> f32 {
        self.below(2_000_001) as f32 / 1e6 - 1.0
    }

    /// Around one of some centres, as real vectors are.
    fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        let mut centre = Random(self.below(40) + 1);
        (0..dimensions).map(|_| centre.float() + 0.6 * self.float()).collect()
    }
}

/// A file of its own, gone with the test.
struct Cache(PathBuf);

impl Cache {
    fn new(name: &str) -> Self {
        Cache(std::env::temp_dir().join(format!("millrace-vectors-{}-{name}", std::process::id())))
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

const DIMENSIONS: usize = 40;

fn small(metric: Metric, storage: Storage) -> Options {
    Options { metric, storage, exact_up_to: 200, ..Options::new(DIMENSIONS) }
}

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let value = match metric {
        Metric::Dot => dot(a, b),
        Metric::Cosine => dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
        Metric::L2 => a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt(),
    };
    value as f32
}

type Model = BTreeMap<u32, Vec<f32>>;

/// Scores of the nearest `k`, one by one, best first.
fn nearest(model: &Model, metric: Metric, query: &[f32], k: usize, allowed: impl Fn(u32) -> bool) -> Vec<(f32, u32)> {
    let some = model.iter().filter(|&(&id, _)| allowed(id));
    let mut scored: Vec<_> = some.map(|(&id, vector)| (score(metric, vector, query), id)).collect();
    scored.sort_by(|a, b| if metric == Metric::L2 { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) });
    scored.truncate(k);
    scored
}

fn filled(options: Options, count: u32, random: &mut Random) -> (Vectors, Model) {
    let vectors = Vectors::new(options).unwrap();
    let model: Model = (0..count).map(|id| (id * 3, random.vector(DIMENSIONS))).collect();
    let ids: Vec<u32> = model.keys().copied().collect();
    vectors.put(&ids, &model.values().flatten().copied().collect::<Vec<_>>(), 1).unwrap();
    (vectors, model)
}

fn share_found(found: &Found, truth: &[(f32, u32)]) -> f64 {
    let ids: HashSet<u32> = found.hits.iter().map(|hit| hit.id).collect();
    truth.iter().filter(|(_, id)| ids.contains(id)).count() as f64 / truth.len() as f64
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let all: Vec<f64> = values.collect();
    all.iter().sum::<f64>() / all.len() as f64
}

#[test]
fn what_is_near_is_found_with_and_without_filters() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        for storage in [Storage::F32, Storage::F16, Storage::I8] {
            let mut random = Random(5);
            let (vectors, model) = filled(small(metric, storage), 2_000, &mut random);
            vectors.settle();
            let stats = vectors.stats();
            assert_eq!((stats.vectors, stats.linked, stats.to_link, stats.way), (2_000, 2_000, 0, Way::Graph));
            let queries: Vec<Vec<f32>> = (0..40).map(|_| random.vector(DIMENSIONS)).collect();
            let wanted = if storage == Storage::I8 { 0.85 } else { 0.95 };
            for percent in [50, 10, 1] {
                let allowed = |id: u32| id / 3 * 7_919 % 100 < percent;
                let ids: Vec<u32> = model.keys().copied().filter(|&id| allowed(id)).collect();
                let found = |query: &Vec<f32>| {
                    let filters = [Filter::Ids(&ids), Filter::Test(&allowed)];
                    let [by_ids, by_test] = filters
                        .map(|filter| vectors.search(query, &Search { k: 10, filter, threshold: None }).unwrap());
                    assert_eq!(by_ids, by_test);
                    assert_eq!(by_ids.hits.len(), 10);
                    assert!(by_ids.hits.iter().all(|hit| allowed(hit.id)));
                    share_found(&by_ids, &nearest(&model, metric, query, 10, allowed))
                };
                let recall = mean(queries.iter().map(found));
                assert!(recall >= wanted, "{metric:?} {storage:?} {percent} %: {recall}");
            }
            let recall = mean(queries.iter().map(|query| {
                let found = vectors.search(query, &Search::nearest(10)).unwrap();
                assert_eq!(found.way, Way::Graph);
                share_found(&found, &nearest(&model, metric, query, 10, |_| true))
            }));
            assert!(recall >= wanted, "{metric:?} {storage:?}: {recall}");
        }
    }
}

/// Of words, as the built-in embedder has them.
#[test]
fn real_vectors_are_found_with_and_without_filters() {
    let table = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/embedding/table.bin")).unwrap();
    let names = u32::from_le_bytes(table[16..20].try_into().unwrap()) as usize;
    let names = std::str::from_utf8(&table[20..20 + names]).unwrap();
    let words = names.split('\n').filter(|name| name.len() > 3 && name.bytes().all(|byte| byte.is_ascii_lowercase()));
    let words: Vec<&str> = words.step_by(8).take(1_540).collect();
    let embedder = Embedder::new(&table).unwrap();
    let dimensions = embedder.dimensions();
    let all = embedder.embed(words.iter().copied()).unwrap();
    let rows: Vec<&[f32]> = all.chunks(dimensions).collect();
    let (queries, kept) = rows.split_at(40);
    let model: Model = (0..).zip(kept).map(|(id, row)| (id, row.to_vec())).collect();
    let vectors = Vectors::new(Options { exact_up_to: 200, ..Options::new(dimensions) }).unwrap();
    vectors.put(&(0..kept.len() as u32).collect::<Vec<_>>(), &all[40 * dimensions..], 1).unwrap();
    vectors.settle();
    assert_eq!(vectors.stats().way, Way::Graph);
    for percent in [100, 50, 10, 1] {
        let allowed = |id: u32| id * 7_919 % 100 < percent;
        let recall = mean(queries.iter().map(|query| {
            let filter = if percent == 100 { Filter::All } else { Filter::Test(&allowed) };
            let found = vectors.search(query, &Search { k: 10, filter, threshold: None }).unwrap();
            assert_eq!(found.hits.len(), 10);
            share_found(&found, &nearest(&model, Metric::Cosine, query, 10, allowed))
        }));
        assert!(recall >= 0.95, "{percent} %: {recall}");
    }
}

#[test]
fn a_filter_that_leaves_many_goes_through_the_graph() {
    let mut random = Random(7);
    let options = Options { width: 16, ..small(Metric::Cosine, Storage::F32) };
    let (vectors, model) = filled(options, 4_000, &mut random);
    vectors.settle();
    let even = |id: u32| id.is_multiple_of(2);
    let recall = mean((0..50).map(|_| {
        let query = random.vector(DIMENSIONS);
        let filter = Filter::Test(&even);
        let found = vectors.search(&query, &Search { k: 3, threshold: None, filter }).unwrap();
        assert_eq!((found.way, found.hits.len()), (Way::Graph, 3));
        assert!(found.hits.iter().all(|hit| even(hit.id)));
        share_found(&found, &nearest(&model, Metric::Cosine, &query, 3, even))
    }));
    assert!(recall >= 0.9, "{recall}");
}

#[test]
fn scores_are_exact_and_so_is_a_small_set() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let mut random = Random(9);
        let (vectors, model) = filled(small(metric, Storage::F32), 200, &mut random);
        let query = random.vector(DIMENSIONS);
        let found = vectors.search(&query, &Search::nearest(500)).unwrap();
        assert_eq!((found.way, found.hits.len()), (Way::Exact, 200));
        let truth = nearest(&model, metric, &query, 200, |_| true);
        for (hit, &(score, id)) in found.hits.iter().zip(&truth) {
            assert!(hit.id == id && (hit.score - score).abs() < 1e-4, "{metric:?}: {hit:?}, not {id} with {score}");
        }
        let threshold = Some(truth[20].0);
        let some = vectors.search(&query, &Search { k: 100, threshold, ..Search::default() }).unwrap();
        assert!((20..=21).contains(&some.hits.len()), "{metric:?}: {}", some.hits.len());
        assert!(vectors.search(&query, &Search::nearest(0)).unwrap().hits.is_empty());
    }
}

#[test]
fn many_of_the_same_are_all_found() {
    let vectors = Vectors::new(small(Metric::Cosine, Storage::F32)).unwrap();
    let mut random = Random(3);
    let same = random.vector(DIMENSIONS);
    for id in 0..1_500 {
        let vector = if id % 2 == 0 { same.clone() } else { random.vector(DIMENSIONS) };
        vectors.put(&[id], &vector, 1).unwrap();
    }
    vectors.settle();
    let found = vectors.search(&same, &Search::nearest(40)).unwrap();
    assert_eq!(found.hits.len(), 40);
    assert!(found.hits.iter().all(|hit| hit.score > 0.999));
    let all = vectors.search(&same, &Search::nearest(1_500)).unwrap();
    assert_eq!(all.hits.len(), 1_500);
}

#[test]
fn a_search_is_right_while_the_graph_is_built() {
    let mut random = Random(11);
    let (vectors, model) = filled(small(Metric::Cosine, Storage::F32), 8_000, &mut random);
    // Whatever is linked by now.
    for _ in 0..20 {
        let query = random.vector(DIMENSIONS);
        let found = vectors.search(&query, &Search::nearest(10)).unwrap();
        assert!(share_found(&found, &nearest(&model, Metric::Cosine, &query, 10, |_| true)) >= 0.6);
    }
    vectors.put(&[1], &random.vector(DIMENSIONS), 2).unwrap();
    assert_eq!(vectors.remove(&[1, 1, 2], 3), 1);
    drop(vectors);
}

#[test]
fn a_random_life_is_like_the_model_s() {
    let long = std::env::var_os("MILLRACE_LONG").is_some();
    for seed in 1..=if long { 100 } else { 4 } {
        let metric = [Metric::Cosine, Metric::Dot, Metric::L2][seed as usize % 3];
        let cache = Cache::new(&format!("life-{seed}"));
        let mut random = Random(seed);
        let mut vectors = Vectors::new(small(metric, Storage::F32)).unwrap();
        let mut model = Model::new();
        let mut recalls = Vec::new();
        for step in 0..if long { 10_000 } else { 1_500 } {
            match random.below(100) {
                // More comes than goes: over the border to the graph and beyond.
                0..60 => {
                    let id = random.below(1_500) as u32;
                    let vector = random.vector(DIMENSIONS);
                    vectors.put(&[id], &vector, step).unwrap();
                    model.insert(id, vector);
                }
                60..85 => {
                    let id = random.below(1_500) as u32;
                    let was_there = usize::from(model.remove(&id).is_some());
                    assert_eq!(vectors.remove(&[id], step), was_there, "seed {seed}, step {step}");
                }
                85..87 => {
                    vectors.save(&cache.0).unwrap();
                    let seq = vectors.stats().seq;
                    let (again, opened) = Vectors::open(&cache.0, vectors.options()).unwrap();
                    assert_eq!((opened, again.stats().seq), (Opened::Loaded, seq));
                    vectors = again;
                }
                87 => vectors.settle(),
                _ => {
                    let query = random.vector(DIMENSIONS);
                    let odd = |id: u32| id % 2 == 1;
                    let some = random.below(2) == 0;
                    let filter = if some { Filter::Test(&odd) } else { Filter::All };
                    let found = vectors.search(&query, &Search { k: 10, threshold: None, filter }).unwrap();
                    let truth = nearest(&model, metric, &query, 10, |id| !some || odd(id));
                    assert_eq!(found.hits.len(), truth.len(), "seed {seed}, step {step}");
                    let stale = found.hits.iter().find(|hit| {
                        model.get(&hit.id).is_none_or(|vector| (score(metric, vector, &query) - hit.score).abs() > 1e-3)
                    });
                    assert_eq!(stale, None, "seed {seed}, step {step}");
                    if !truth.is_empty() {
                        recalls.push(share_found(&found, &truth));
                    }
                }
            }
            assert_eq!(vectors.stats().vectors, model.len(), "seed {seed}, step {step}");
        }
        let recall = mean(recalls.into_iter());
        assert!(recall > 0.97, "seed {seed}: {recall}");
        for (&id, vector) in &model {
            let kept = vectors.get(id).unwrap();
            assert!((score(Metric::Cosine, vector, &kept) - 1.0).abs() < 1e-4, "seed {seed}, id {id}");
        }
    }
}

#[test]
fn a_fourth_may_go_and_come_again() {
    let mut random = Random(21);
    let (vectors, mut model) = filled(small(Metric::Cosine, Storage::F32), 2_000, &mut random);
    vectors.settle();
    let before = vectors.stats().bytes;
    for round in 0..4 {
        let some: Vec<u32> = model.keys().copied().filter(|id| id / 3 % 4 == round).collect();
        assert_eq!(vectors.remove(&some, 2), some.len());
        for id in some {
            let vector = random.vector(DIMENSIONS);
            vectors.put(&[id], &vector, 3).unwrap();
            model.insert(id, vector);
        }
    }
    vectors.settle();
    let recall = mean((0..100).map(|_| {
        let query = random.vector(DIMENSIONS);
        let found = vectors.search(&query, &Search::nearest(10)).unwrap();
        assert_eq!(found.way, Way::Graph);
        share_found(&found, &nearest(&model, Metric::Cosine, &query, 10, |_| true))
    }));
    assert!(recall >= 0.95, "{recall}");
    assert!(vectors.stats().bytes < before + before / 10);
    // Down to nothing, and up again.
    let all: Vec<u32> = model.keys().copied().collect();
    assert_eq!(vectors.remove(&all, 4), 2_000);
    let query = random.vector(DIMENSIONS);
    assert!(vectors.search(&query, &Search::nearest(3)).unwrap().hits.is_empty());
    vectors.put(&[5], &query, 5).unwrap();
    vectors.settle();
    assert_eq!(vectors.search(&query, &Search::nearest(3)).unwrap().hits[0].id, 5);
}

#[test]
fn a_region_may_go_and_come_again() {
    let mut random = Random(23);
    let (vectors, mut model) = filled(small(Metric::Cosine, Storage::F32), 3_000, &mut random);
    vectors.settle();
    let centre = random.vector(DIMENSIONS);
    // Fewer than an eighth: they stay in the graph while the new ones come.
    let region: Vec<u32> = nearest(&model, Metric::Cosine, &centre, 300, |_| true).iter().map(|&(_, id)| id).collect();
    assert_eq!(vectors.remove(&region, 2), 300);
    let found = vectors.search(&centre, &Search::nearest(10)).unwrap();
    let rest = nearest(&model, Metric::Cosine, &centre, 10, |id| !region.contains(&id));
    assert!(share_found(&found, &rest) >= 0.9, "{found:?}");
    for &id in &region {
        let vector: Vec<f32> = model[&id].iter().map(|component| component + 0.1 * random.float()).collect();
        vectors.put(&[id], &vector, 3).unwrap();
        model.insert(id, vector);
    }
    vectors.settle();
    let recall = mean(region.iter().map(|id| {
        let found = vectors.search(&model[id], &Search::nearest(10)).unwrap();
        assert_eq!(found.way, Way::Graph);
        assert_eq!(found.hits[0].id, *id);
        share_found(&found, &nearest(&model, Metric::Cosine, &model[id], 10, |_| true))
    }));
    assert!(recall >= 0.95, "{recall}");
}

#[test]
fn mistakes_are_told_and_change_nothing() {
    let code = |result: Result<(), VectorError>| result.unwrap_err().code();
    let vectors = Vectors::new(Options { max_bytes: 40_000, ..Options::new(3) }).unwrap();
    vectors.put(&[1], &[1.0, 0.0, 0.0], 7).unwrap();
    for vector in
        [&[1.0, 2.0][..], &[1.0, f32::NAN, 0.0], &[1.0, f32::INFINITY, 0.0], &[0.0; 3], &[1e20, 0.0, 0.0], &[1e-20; 3]]
    {
        assert_eq!(code(vectors.put(&[2], vector, 8)), ErrorCode::InvalidInput, "{vector:?}");
        assert_eq!(vectors.search(vector, &Search::nearest(1)).unwrap_err().code(), ErrorCode::InvalidInput);
    }
    // The second of two is wrong: none is taken.
    assert_eq!(code(vectors.put(&[2, 3], &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 8)), ErrorCode::InvalidInput);
    assert_eq!(code(vectors.put(&[2, 3], &[1.0, 0.0, 0.0], 8)), ErrorCode::InvalidInput);
    assert_eq!(code(vectors.put(&[u32::MAX], &[1.0, 0.0, 0.0], 8)), ErrorCode::InvalidInput);
    let many: Vec<u32> = (0..1_000).collect();
    assert_eq!(code(vectors.put(&many, &[1.0; 3_000], 8)), ErrorCode::BufferFull);
    assert_eq!((vectors.stats().vectors, vectors.stats().seq), (1, 7));
    assert!(vectors.get(2).is_none());
    for options in [Options::new(0), Options::new(1 << 20), Options { width: 0, ..Options::new(3) }] {
        assert_eq!(Vectors::new(options).err().unwrap().code(), ErrorCode::InvalidOption);
    }
    // A point at the origin is a point, and half floats end early.
    let l2 = Vectors::new(Options { metric: Metric::L2, storage: Storage::F16, ..Options::new(3) }).unwrap();
    l2.put(&[1], &[0.0; 3], 1).unwrap();
    assert_eq!(code(l2.put(&[2], &[70_000.0, 0.0, 0.0], 1)), ErrorCode::InvalidInput);
    assert_eq!(l2.search(&[0.0, 3.0, 4.0], &Search::nearest(1)).unwrap().hits[0].score, 5.0);
}

#[test]
fn an_index_comes_back_as_it_was() {
    for storage in [Storage::F32, Storage::F16, Storage::I8] {
        let cache = Cache::new(&format!("back-{storage:?}"));
        let mut random = Random(31);
        let options = small(Metric::Dot, storage);
        assert!(matches!(Vectors::open(&cache.0, options.clone()).unwrap().1, Opened::New));
        let (vectors, _) = filled(options.clone(), 1_000, &mut random);
        vectors.settle();
        vectors.remove(&[3, 6], 41);
        vectors.save(&cache.0).unwrap();
        let (again, opened) = Vectors::open(&cache.0, options.clone()).unwrap();
        assert_eq!(opened, Opened::Loaded);
        let (before, after) = (vectors.stats(), again.stats());
        assert_eq!((after.vectors, after.linked, after.seq), (before.vectors, before.linked, 41));
        for _ in 0..20 {
            let query = random.vector(DIMENSIONS);
            let search = Search::nearest(7);
            assert_eq!(again.search(&query, &search).unwrap(), vectors.search(&query, &search).unwrap());
        }
        let other = Options { metric: Metric::Cosine, ..options };
        assert!(matches!(Vectors::open(&cache.0, other).unwrap().1, Opened::Rebuild(_)));
    }
}

#[test]
fn a_torn_or_damaged_file_is_none() {
    let cache = Cache::new("damaged");
    let options = small(Metric::Cosine, Storage::F32);
    let (vectors, _) = filled(options.clone(), 400, &mut Random(41));
    vectors.settle();
    vectors.save(&cache.0).unwrap();
    let whole = fs::read(&cache.0).unwrap();
    let unusable = |bytes: &[u8], what: &str| {
        fs::write(&cache.0, bytes).unwrap();
        let (index, opened) = Vectors::open(&cache.0, options.clone()).unwrap();
        assert!(matches!(opened, Opened::Rebuild(_)), "{what}: {opened:?}");
        assert_eq!(index.stats().vectors, 0);
    };
    for length in (0..whole.len()).step_by(997).chain([1, 8, 12, whole.len() - 1]) {
        unusable(&whole[..length], &format!("cut at {length}"));
    }
    for place in (0..whole.len()).step_by(613) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        unusable(&damaged, &format!("damaged at {place}"));
    }
    fs::write(&cache.0, &whole).unwrap();
    assert_eq!(Vectors::open(&cache.0, options).unwrap().1, Opened::Loaded);
    let nowhere = std::env::temp_dir().join("millrace-no-such-folder/index");
    assert_eq!(vectors.save(&nowhere).unwrap_err().code(), ErrorCode::StoreFailed);
}
