//! Vectors of texts without a model server: the mean of a table's vectors, one a piece of a word.
//!
//! The table is distilled from a sentence model (`native/embedding` says how). It knows nothing of the order of
//! words, and little of other languages than English; it is quick, small and always there.

mod table;
mod tokenizer;

use std::ops::Range;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{ErrorCode, HasCode};
use table::Table;

pub use tokenizer::words;

/// A word that has no pieces counts like a rare one.
const UNKNOWN: f32 = 0.3;

/// Why there is no vector.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The table cannot be read.
    #[error("the embedding table '{path}' cannot be read: {reason}; install @millrace/node-red again")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// In the words of the operating system.
        reason: String,
    },
    /// The table is not what it should be.
    #[error("the embedding table of {length} bytes is damaged or of another version; install @millrace/node-red again")]
    Damaged {
        /// The file's length.
        length: usize,
    },
    /// There is nothing in it.
    #[error("text {place} has no word and no sign, so that it has no vector; leave empty texts out")]
    Empty {
        /// Its place among those that were given.
        place: usize,
    },
}

impl HasCode for EmbedError {
    fn code(&self) -> ErrorCode {
        match self {
            EmbedError::Unreadable { .. } | EmbedError::Damaged { .. } => ErrorCode::Unavailable,
            EmbedError::Empty { .. } => ErrorCode::InvalidInput,
        }
    }
}

/// A table in memory.
pub struct Embedder {
    table: Table,
}

impl Embedder {
    /// Reads a table.
    pub fn open(path: &Path) -> Result<Self, EmbedError> {
        let unreadable =
            |error: std::io::Error| EmbedError::Unreadable { path: path.into(), reason: error.to_string() };
        Embedder::new(&std::fs::read(path).map_err(unreadable)?)
    }

    /// A table from its file's bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, EmbedError> {
        Ok(Embedder { table: Table::read(bytes)? })
    }

    /// Components a vector.
    pub fn dimensions(&self) -> usize {
        self.table.dimensions
    }

    /// The vectors of texts, of length 1, one after the other.
    pub fn embed<'a>(&self, texts: impl ExactSizeIterator<Item = &'a str>) -> Result<Vec<f32>, EmbedError> {
        let dimensions = self.dimensions();
        let mut vectors = vec![0.0; texts.len() * dimensions];
        let mut pieces = Vec::new();
        for (place, (text, sum)) in texts.zip(vectors.chunks_mut(dimensions)).enumerate() {
            words(text, |word, _| {
                if self.table.vocabulary.cut(word, &mut pieces) {
                    pieces.iter().for_each(|&piece| self.table.add(piece, sum));
                } else {
                    add_unknown(word, sum);
                }
            });
            let length = sum.iter().map(|component| component * component).sum::<f32>().sqrt();
            if length == 0.0 {
                return Err(EmbedError::Empty { place });
            }
            sum.iter_mut().for_each(|component| *component /= length);
        }
        Ok(vectors)
    }

    /// A text's pieces: their places in the table, none for a word that is unknown, and where the word ends.
    pub fn pieces(&self, text: &str) -> Vec<(Option<u32>, usize)> {
        let (mut found, mut pieces) = (Vec::new(), Vec::new());
        words(text, |word, range| {
            if self.table.vocabulary.cut(word, &mut pieces) {
                found.extend(pieces.iter().map(|&piece| (Some(piece), range.end)));
            } else {
                found.push((None, range.end));
            }
        });
        found
    }

    /// A text's words: where they stand, and how many pieces each has.
    pub fn measure(&self, text: &str) -> Vec<(Range<usize>, usize)> {
        let (mut found, mut pieces) = (Vec::new(), Vec::new());
        words(text, |word, range| {
            // One that is unknown counts, too.
            let count = if self.table.vocabulary.cut(word, &mut pieces) { pieces.len() } else { 1 };
            found.push((range, count));
        });
        found
    }
}

/// A direction that is made of the word's groups of three letters: unknown words resemble their like.
fn add_unknown(word: &str, sum: &mut [f32]) {
    let letters: Vec<char> = std::iter::once('\u{2}').chain(word.chars()).chain(['\u{3}']).collect();
    let size = UNKNOWN / (sum.len() as f32 * (letters.len() - 2) as f32).sqrt();
    for three in letters.windows(3) {
        let text: String = three.iter().collect();
        for (block, sum) in sum.chunks_mut(64).enumerate() {
            let bits = xxh3_64_with_seed(text.as_bytes(), block as u64);
            sum.iter_mut().enumerate().for_each(|(bit, sum)| *sum += if bits >> bit & 1 == 1 { size } else { -size });
        }
    }
}
