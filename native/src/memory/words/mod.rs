//! Texts by their words (BM25), and how what several searches found is brought together.

mod fusion;

use std::collections::HashMap;

use xxhash_rust::xxh3::{Xxh3DefaultBuilder, xxh3_64};

use super::embedder::words;
use super::vectors::{Filter, Hit};

pub use fusion::{Fusion, fuse, mmr};

/// How much a word's repetition counts, and how much a text's length.
const K1: f32 = 1.2;
const B: f32 = 0.75;
/// Removed texts are swept out when they are more than a fourth, and at least so many.
const SWEEP_FROM: usize = 64;
const NO_ID: u32 = u32::MAX;

/// What a text is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Its words as they are.
    Words,
    /// Its words' groups of three letters, which bear other endings and mistakes.
    Trigrams,
}

#[derive(Clone, Copy)]
struct Posting {
    place: u32,
    count: u32,
}

/// An index over texts, for one writer.
pub struct Words {
    terms: Terms,
    /// By a term's hash: two terms that share one are one in 10^19 pairs.
    postings: HashMap<u64, Vec<Posting>, Xxh3DefaultBuilder>,
    places: HashMap<u32, u32, Xxh3DefaultBuilder>,
    /// By place: the text's id, none for one that was removed, and how many terms it has.
    texts: Vec<(u32, u32)>,
    /// Terms of all texts that are there.
    length: u64,
}

impl Words {
    /// An empty one.
    pub fn new(terms: Terms) -> Self {
        Words { terms, postings: HashMap::default(), places: HashMap::default(), texts: Vec::new(), length: 0 }
    }

    /// Texts in it.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// About the memory that it takes.
    pub fn bytes(&self) -> u64 {
        let lists: usize = self.postings.values().map(|list| list.capacity() * 8 + 48).sum();
        (lists + self.places.capacity() * 9 + self.texts.capacity() * 8) as u64
    }

    /// Takes a text; one whose id is there is replaced.
    pub fn put(&mut self, id: u32, text: &str) {
        self.remove(id);
        let place = self.texts.len() as u32;
        let counts = self.count(text);
        let length: u32 = counts.values().sum();
        for (term, count) in counts {
            self.postings.entry(term).or_default().push(Posting { place, count });
        }
        self.places.insert(id, place);
        self.texts.push((id, length));
        self.length += u64::from(length);
    }

    /// Forgets a text; tells whether it was there.
    pub fn remove(&mut self, id: u32) -> bool {
        let Some(place) = self.places.remove(&id) else { return false };
        let text = &mut self.texts[place as usize];
        self.length -= u64::from(text.1);
        text.0 = NO_ID;
        let gone = self.texts.len() - self.places.len();
        if gone > SWEEP_FROM.max(self.texts.len() / 4) {
            self.sweep();
        }
        true
    }

    fn sweep(&mut self) {
        let mut new_places = vec![NO_ID; self.texts.len()];
        let mut kept = Vec::with_capacity(self.places.len());
        for (place, &text) in self.texts.iter().enumerate() {
            if text.0 != NO_ID {
                new_places[place] = kept.len() as u32;
                self.places.insert(text.0, kept.len() as u32);
                kept.push(text);
            }
        }
        self.texts = kept;
        self.postings.retain(|_, list| {
            list.retain_mut(|posting| {
                posting.place = new_places[posting.place as usize];
                posting.place != NO_ID
            });
            !list.is_empty()
        });
    }

    /// The `k` texts that fit best, best first; only those that share a term.
    pub fn search(&self, text: &str, k: usize, filter: &Filter) -> Vec<Hit> {
        let mut scores = vec![0.0_f32; self.texts.len()];
        let mean = self.length as f32 / self.places.len().max(1) as f32;
        for (term, times) in self.count(text) {
            let list = self.postings.get(&term).map_or(&[][..], |list| list);
            let there = |posting: &&Posting| self.texts[posting.place as usize].0 != NO_ID;
            let having = list.iter().filter(there).count() as f32;
            let rarity = (1.0 + (self.places.len() as f32 - having + 0.5) / (having + 0.5)).ln();
            for posting in list.iter().filter(there) {
                let (count, length) = (posting.count as f32, self.texts[posting.place as usize].1 as f32);
                let fit = count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / mean));
                scores[posting.place as usize] += times as f32 * rarity * fit;
            }
        }
        let allowed: Box<dyn Fn(u32) -> bool> = match filter {
            Filter::All => Box::new(|_| true),
            Filter::Ids(ids) => {
                let ids: std::collections::HashSet<u32, Xxh3DefaultBuilder> = ids.iter().copied().collect();
                Box::new(move |id| ids.contains(&id))
            }
            Filter::Test(test) => Box::new(test),
        };
        let scored = scores.into_iter().zip(&self.texts).filter(|&(score, &(id, _))| score > 0.0 && allowed(id));
        let mut hits: Vec<Hit> = scored.map(|(score, &(id, _))| Hit { id, score }).collect();
        let order = |a: &Hit, b: &Hit| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id));
        if k < hits.len() {
            hits.select_nth_unstable_by(k, order);
            hits.truncate(k);
        }
        hits.sort_unstable_by(order);
        hits
    }

    fn count(&self, text: &str) -> HashMap<u64, u32, Xxh3DefaultBuilder> {
        let mut counts = HashMap::default();
        let mut add = |term: &str| *counts.entry(xxh3_64(term.as_bytes())).or_insert(0) += 1;
        words(text, |word, _| {
            if !word.chars().any(char::is_alphanumeric) {
                return;
            }
            match self.terms {
                Terms::Words => add(word),
                Terms::Trigrams => {
                    let padded = format!(" {word} ");
                    let starts: Vec<usize> = padded.char_indices().map(|(at, _)| at).chain([padded.len()]).collect();
                    starts.windows(4).for_each(|at| add(&padded[at[0]..at[3]]));
                }
            }
        });
        counts
    }
}
