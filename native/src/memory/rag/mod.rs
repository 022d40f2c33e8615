//! Documents for retrieval: cut into chunks by their structure, found again by meaning and by words, put into a prompt.
//!
//! | module | job |
//! |---|---|
//! | `plain` | what a document says, and where that stands in it |
//! | `markdown`, `html` | the same of these two |
//! | `cut` | chunks of so many tokens, which end where a sentence does |
//! | `passages` | chunks that lie in the memory: their words, and what fits a question |
//! | `prompt` | passages and a question as a text for a language model |
//!
//! What must hold: time and memory grow with the length of a document and no faster, whatever stands in it; nothing recurses.

mod cut;
mod html;
mod markdown;
pub(super) mod passages;
mod plain;
mod prompt;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, HasCode};
use plain::Plain;

pub use prompt::{Passage, Prompt, Question, prompt};

/// A document has no more chunks.
const CHUNKS_MAX: usize = 50_000;
/// A document has no more bytes.
const BYTES_MAX: usize = 16 << 20;
const SIZES: Range<usize> = 16..8193;

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Paragraphs with blank lines between them.
    #[default]
    Text,
    /// Headings, paragraphs, code.
    Markdown,
    /// Pages, whole or in parts.
    Html,
}

/// How a document is cut.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// How it is written.
    pub format: Format,
    /// Tokens a chunk has at most.
    pub size: usize,
    /// Tokens that a chunk shares with the one before, at most.
    pub overlap: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { format: Format::Text, size: 512, overlap: 128 }
    }
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chunk {
    /// What it says.
    pub text: String,
    /// The headings above it, the outermost first.
    pub headings: Vec<String>,
    /// Where it begins in the document, in UTF-16 units as JavaScript counts.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// The line in which it begins, from 1.
    pub line: usize,
    /// How long it is.
    pub tokens: usize,
}

/// A document in parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chunked {
    /// As the document calls itself.
    pub title: Option<String>,
    /// In the order of the document.
    pub chunks: Vec<Chunk>,
}

/// Why a document cannot be cut.
#[derive(Debug, thiserror::Error)]
pub enum RagError {
    /// The size.
    #[error("a size of {size} tokens cannot be; use {} to {}", SIZES.start, SIZES.end - 1)]
    Size {
        /// As it was given.
        size: usize,
    },
    /// The overlap.
    #[error("an overlap of {overlap} tokens is too much for chunks of {size}; use at most half of that")]
    Overlap {
        /// As it was given.
        overlap: usize,
        /// Tokens a chunk.
        size: usize,
    },
    /// The document.
    #[error("the document has {has} {what} of at most {limit}; split it")]
    TooLarge {
        /// As it is.
        has: usize,
        /// Of what.
        what: &'static str,
        /// As it may be.
        limit: usize,
    },
}

impl HasCode for RagError {
    fn code(&self) -> ErrorCode {
        match self {
            RagError::Size { .. } | RagError::Overlap { .. } => ErrorCode::InvalidOption,
            RagError::TooLarge { .. } => ErrorCode::TooLarge,
        }
    }
}

/// Cuts a document. `measure` tells a text's words: where they stand, and how many tokens each has.
pub fn chunk(
    source: &str,
    options: &Options,
    measure: impl Fn(&str) -> Vec<(Range<usize>, usize)>,
) -> Result<Chunked, RagError> {
    let &Options { format, size, overlap } = options;
    if !SIZES.contains(&size) {
        return Err(RagError::Size { size });
    }
    if overlap > size / 2 {
        return Err(RagError::Overlap { overlap, size });
    }
    let limited =
        |has: usize, what, limit| if has > limit { Err(RagError::TooLarge { has, what, limit }) } else { Ok(()) };
    limited(source.len(), "bytes", BYTES_MAX)?;
    let plain = match format {
        Format::Text => Plain::of_text(source),
        Format::Markdown => markdown::read(source),
        Format::Html => html::read(source),
    };
    let words = measure(&plain.text);
    let parts = cut::parts(&plain, &words, size, overlap);
    limited(parts.len(), "chunks", CHUNKS_MAX)?;
    let (mut starts, mut ends) = (Place::new(source), Place::new(source));
    let chunks = parts.into_iter().map(|part| {
        starts.go(plain.start(part.range.start));
        ends.go(plain.end(part.range.end));
        Chunk {
            text: plain.text[part.range].to_owned(),
            headings: part.headings,
            start: starts.units,
            end: ends.units,
            line: starts.line,
            tokens: part.tokens,
        }
    });
    Ok(Chunked { chunks: chunks.collect(), title: plain.title })
}

/// A place in a text, which only goes on.
struct Place<'a> {
    rest: std::str::CharIndices<'a>,
    units: usize,
    line: usize,
}

impl<'a> Place<'a> {
    fn new(text: &'a str) -> Self {
        Place { rest: text.char_indices(), units: 0, line: 1 }
    }

    fn go(&mut self, to: usize) {
        while self.rest.offset() < to {
            let Some((_, letter)) = self.rest.next() else { return };
            self.units += letter.len_utf16();
            self.line += usize::from(letter == '\n');
        }
    }
}
