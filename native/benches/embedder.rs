//! Texts embedded a second, and how well the built-in embedder finds, alone and with words, beside the model that
//! it was distilled from. `native/embedding/sets.py` makes the questions and texts.
//!
//! `cargo bench --no-default-features --bench embedder`

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use millrace::memory::embedder::Embedder;
use millrace::memory::vectors::{Filter, Hit, Options, Search, Vectors};
use millrace::memory::words::{Fusion, Terms, Words, fuse};
use serde::Deserialize;

/// So many of each list are brought together.
const DEPTH: usize = 100;

#[derive(Deserialize)]
struct Set {
    questions: Vec<String>,
    texts: Vec<String>,
    minilm: f64,
}

fn crate_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn main() {
    let start = Instant::now();
    let embedder = Embedder::open(&crate_file("embedding/table.bin")).unwrap();
    println!("opened in {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    for name in ["wordnet", "programs"] {
        let Ok(json) = std::fs::read(crate_file(&format!("../.cache/embedding/{name}.eval.json"))) else {
            println!("No set {name}: run native/embedding/sets.py first.");
            continue;
        };
        judge(name, &embedder, &serde_json::from_slice(&json).unwrap());
    }
}

fn judge(name: &str, embedder: &Embedder, set: &Set) {
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            embedder.embed(set.texts.iter().map(String::as_str)).unwrap();
            set.texts.len() as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    let letters = set.texts.iter().map(String::len).sum::<usize>() / set.texts.len();
    println!("\n{name}: {} texts of {letters} bytes, {:.0} embedded a second", set.texts.len(), rates[2]);

    let ids: Vec<u32> = (0..set.texts.len() as u32).collect();
    let vectors = Vectors::new(Options::new(embedder.dimensions())).unwrap();
    vectors.put(&ids, &embedder.embed(set.texts.iter().map(String::as_str)).unwrap(), 1).unwrap();
    let mut words = [Words::new(Terms::Words), Words::new(Terms::Trigrams)];
    for index in &mut words {
        set.texts.iter().zip(&ids).for_each(|(text, &id)| index.put(id, text));
    }
    let most = set.texts.len().min(1_000);
    let found: Vec<[Vec<Hit>; 3]> = set
        .questions
        .iter()
        .map(|question| {
            let vector = embedder.embed([question.as_str()].into_iter()).unwrap();
            let near = vectors.search(&vector, &Search::nearest(most)).unwrap().hits;
            let [by_words, by_trigrams] = &words;
            [near, by_words.search(question, most, &Filter::All), by_trigrams.search(question, most, &Filter::All)]
        })
        .collect();
    println!("  {:<34} MRR {:.4}", "MiniLM", set.minilm);
    let show = |label: &str, weights: [f32; 3], fusion: Fusion, depth: usize| {
        let ranks = found.iter().enumerate().map(|(own, lists)| {
            let some = lists.iter().map(|list| &list[..depth.min(list.len())]);
            let lists: Vec<_> = weights.into_iter().zip(some).filter(|&(weight, _)| weight > 0.0).collect();
            let fused = fuse(&lists, fusion);
            fused.iter().position(|hit| hit.id as usize == own).map_or(0.0, |rank| 1.0 / (rank + 1) as f64)
        });
        let mrr = ranks.sum::<f64>() / found.len() as f64;
        println!("  {label:<34} MRR {mrr:.4}, {:.1} % of MiniLM's", 100.0 * mrr / set.minilm);
    };
    let rrf = Fusion::Rrf { constant: 60.0 };
    show("table", [1.0, 0.0, 0.0], Fusion::ZSum, most);
    show("words", [0.0, 1.0, 0.0], Fusion::ZSum, most);
    show("trigrams", [0.0, 0.0, 1.0], Fusion::ZSum, most);
    // Weight and depth were chosen on `wordnet`.
    for weight in [0.25, 0.5, 1.0] {
        show(&format!("table + {weight} trigrams"), [1.0, 0.0, weight], Fusion::ZSum, DEPTH);
    }
    show("table + 0.5 words", [1.0, 0.5, 0.0], Fusion::ZSum, DEPTH);
    show("table and trigrams by rank", [1.0, 0.0, 1.0], rrf, DEPTH);
    show("table and words by rank", [1.0, 1.0, 0.0], rrf, DEPTH);
}
