//! The built-in embedder beside the tokenizer that its model was trained with, and what its vectors are worth;
//! texts by their words beside the formula.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use millrace::error::{ErrorCode, HasCode};
use millrace::memory::embedder::{Embedder, words};
use millrace::memory::vectors::Filter;
use millrace::memory::words::{Terms, Words};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn embedder() -> Embedder {
    Embedder::open(&file("embedding/table.bin")).unwrap()
}

fn likeness(a: &str, b: &str) -> f32 {
    let vectors = embedder().embed([a, b].into_iter()).unwrap();
    let (a, b) = vectors.split_at(vectors.len() / 2);
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn texts_are_cut_as_the_model_s_own_tokenizer_cuts_them() {
    let json = std::fs::read_to_string(file("tests/fixtures/tokenizer.json")).unwrap();
    let cases: Vec<(String, Vec<Option<u32>>)> = serde_json::from_str(&json).unwrap();
    assert!(cases.len() > 200);
    let embedder = embedder();
    for (text, expected) in cases {
        let pieces: Vec<_> = embedder.pieces(&text).into_iter().map(|(piece, _)| piece).collect();
        assert_eq!(pieces, expected, "{text:?}");
    }
}

#[test]
fn what_means_alike_is_near() {
    let near = likeness("a dog runs across the meadow", "the puppy is playing on the grass");
    let far = likeness("a dog runs across the meadow", "interest rates of central banks");
    assert!(near > far + 0.2, "{near}, {far}");
    assert!((likeness("The Motor OVERHEATS", "the motor overheats") - 1.0).abs() < 1e-5);
}

#[test]
fn unknown_words_have_a_direction_and_nothing_has_none() {
    let same = likeness("\u{1f642}\u{1f680}", "\u{1f642}\u{1f680}");
    let other = likeness("\u{1f642}\u{1f680}", "\u{1f341}\u{1f431}");
    assert!((same - 1.0).abs() < 1e-5 && other.abs() < 0.3, "{same}, {other}");
    for empty in ["", " \n", "\u{200b}"] {
        assert_eq!(embedder().embed(["text", empty].into_iter()).unwrap_err().code(), ErrorCode::InvalidInput);
    }
    let pieces = embedder().pieces("unaffable \u{1f642}!");
    assert!(pieces[0].0.is_some() && pieces[0].1 == 9);
    assert_eq!(pieces[pieces.len() - 2], (None, 14));
}

#[test]
fn a_table_that_is_not_whole_is_refused() {
    let whole = std::fs::read(file("embedding/table.bin")).unwrap();
    let mut other = whole.clone();
    other[7] = 9;
    for bytes in [&whole[..10], &whole[..30], &whole[..whole.len() - 1], &other, &[]] {
        assert_eq!(Embedder::new(bytes).err().unwrap().code(), ErrorCode::Unavailable);
    }
    assert_eq!(Embedder::open(&file("no-such-file")).err().unwrap().code(), ErrorCode::Unavailable);
    assert!(whole.len() <= 8_000_000);
    assert_eq!(embedder().dimensions(), 256);
}

/// The formula, from the texts.
fn expected(texts: &BTreeMap<u32, String>, query: &str) -> Vec<(u32, f64)> {
    let split = |text: &str| {
        let mut found = Vec::new();
        words(text, |word, _| found.push(word.to_owned()));
        found
    };
    let cut: BTreeMap<u32, Vec<String>> = texts.iter().map(|(&id, text)| (id, split(text))).collect();
    let mean = cut.values().map(Vec::len).sum::<usize>() as f64 / cut.len() as f64;
    let mut scored = Vec::new();
    for (&id, text) in &cut {
        let mut score = 0.0;
        for term in split(query) {
            let count = text.iter().filter(|&word| *word == term).count() as f64;
            let having = cut.values().filter(|text| text.contains(&term)).count() as f64;
            let rarity = (1.0 + (cut.len() as f64 - having + 0.5) / (having + 0.5)).ln();
            score += rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * text.len() as f64 / mean));
        }
        if score > 0.0 {
            scored.push((id, score));
        }
    }
    scored
}

#[test]
fn words_score_as_the_formula_says_whatever_came_and_went() {
    let mut state = 17_u64;
    let mut below = |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    let mut index = Words::new(Terms::Words);
    let mut model = BTreeMap::new();
    for step in 0..1_200 {
        let id = below(150) as u32;
        if below(10) < 6 {
            let text: Vec<String> = (0..1 + below(12)).map(|_| format!("w{}", below(40))).collect();
            index.put(id, &text.join(" "));
            model.insert(id, text.join(" "));
        } else {
            assert_eq!(index.remove(id), model.remove(&id).is_some(), "step {step}");
        }
        assert_eq!((index.len(), index.is_empty()), (model.len(), model.is_empty()));
        if step % 20 == 0 {
            let query = format!("w{} w{} w{}", below(40), below(40), below(40));
            let found: BTreeMap<u32, f32> =
                index.search(&query, 1_000, &Filter::All).into_iter().map(|hit| (hit.id, hit.score)).collect();
            let truth = expected(&model, &query);
            assert_eq!(found.len(), truth.len(), "step {step}");
            for (id, score) in truth {
                assert!((f64::from(found[&id]) - score).abs() < 1e-3, "step {step}, id {id}");
            }
        }
    }
    assert!(index.bytes() > 0);
}

#[test]
fn words_are_filtered_and_cut_to_the_best() {
    let mut index = Words::new(Terms::Trigrams);
    for (id, text) in
        ["Temperature of the motor", "motors and temperatures", "motorbike", "Überdruck!"].iter().enumerate()
    {
        index.put(id as u32, text);
    }
    let ids = |query: &str, k, filter| index.search(query, k, &filter).iter().map(|hit| hit.id).collect::<Vec<_>>();
    assert_eq!(ids("temprature motr", 2, Filter::All).len(), 2);
    assert_eq!(ids("uberdruck", 5, Filter::All), [3]);
    assert_eq!(ids("motor", 5, Filter::Ids(&[2, 3])), [2]);
    assert_eq!(ids("motor", 5, Filter::Test(&|id| id == 1)), [1]);
    assert_eq!(ids("...", 5, Filter::All), [0; 0]);
}
