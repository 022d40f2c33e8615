//! BERT's way to cut a text into pieces of words: lower case, no accents, punctuation alone, then the longest
//! piece that the vocabulary has.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use unicode_general_category::{GeneralCategory as Category, get_general_category};
use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::xxh3_64;

/// A longer word is unknown.
const LONGEST_WORD: usize = 100;
const INSIDE: &str = "##";

/// Cuts a text into words, and calls for each.
pub fn words(text: &str, mut each: impl FnMut(&str, Range<usize>)) {
    let mut word = String::new();
    let mut from = 0;
    let mut end = |word: &mut String, from: usize, to: usize| {
        if !word.is_empty() {
            each(word, from..to);
            word.clear();
        }
    };
    let mut behind = 0;
    while let Some(letter) = text[behind..].chars().next() {
        let at = behind;
        behind += letter.len_utf8();
        if letter.is_ascii_alphanumeric() {
            if word.is_empty() {
                from = at;
            }
            // Most words are such runs.
            behind += text.as_bytes()[behind..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            let known = word.len();
            word.push_str(&text[at..behind]);
            word[known..].make_ascii_lowercase();
        } else if letter.is_whitespace() {
            end(&mut word, from, at);
        } else if letter.is_ascii_punctuation() || is_alone(letter) {
            end(&mut word, from, at);
            if letter.is_ascii() {
                word.push(letter);
            } else {
                // Of a wide form, the usual one.
                word.extend(plain(letter));
            }
            end(&mut word, at, behind);
        } else if !is_noise(letter) {
            if word.is_empty() {
                from = at;
            }
            word.extend(plain(letter));
        }
    }
    end(&mut word, from, text.len());
}

/// In lower case and without what stands above and below it.
fn plain(letter: char) -> impl Iterator<Item = char> {
    let bare = letter.nfd().filter(|&part| get_general_category(part) != Category::NonspacingMark);
    bare.flat_map(char::to_lowercase)
}

fn is_noise(letter: char) -> bool {
    letter == char::REPLACEMENT_CHARACTER
        || matches!(
            get_general_category(letter),
            Category::Control | Category::Format | Category::PrivateUse | Category::Surrogate
        )
}

/// Punctuation, and the signs of scripts that put no space between words.
fn is_alone(letter: char) -> bool {
    matches!(letter,
        '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}' | '\u{20000}'..='\u{2A6DF}' | '\u{2A700}'..='\u{2B73F}'
        | '\u{2B740}'..='\u{2B81F}' | '\u{2B920}'..='\u{2CEAF}' | '\u{F900}'..='\u{FAFF}' | '\u{2F800}'..='\u{2FA1F}')
        || matches!(
            get_general_category(letter),
            Category::ConnectorPunctuation
                | Category::DashPunctuation
                | Category::OpenPunctuation
                | Category::ClosePunctuation
                | Category::InitialPunctuation
                | Category::FinalPunctuation
                | Category::OtherPunctuation
        )
}

/// Of names that nobody chooses to be in the way of others: the table is ours.
#[derive(Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    /// What ends a text tells nothing.
    fn write_u8(&mut self, _: u8) {}
}

/// Pieces of words by their places in the table.
pub struct Vocabulary {
    /// At the beginning of a word, and behind it.
    pieces: [HashMap<Box<str>, u32, BuildHasherDefault<NameHasher>>; 2],
    longest: usize,
}

impl Vocabulary {
    /// Pieces in the order of the table.
    pub fn new<'a>(pieces: impl Iterator<Item = &'a str>) -> Self {
        let mut vocabulary = Vocabulary { pieces: Default::default(), longest: 0 };
        for (place, piece) in pieces.enumerate() {
            let (kind, piece) =
                piece.strip_prefix(INSIDE).filter(|rest| !rest.is_empty()).map_or((0, piece), |rest| (1, rest));
            vocabulary.pieces[kind].insert(piece.into(), place as u32);
            vocabulary.longest = vocabulary.longest.max(piece.len());
        }
        vocabulary
    }

    /// A word's pieces; false where it has parts that are in none.
    pub fn cut(&self, word: &str, pieces: &mut Vec<u32>) -> bool {
        pieces.clear();
        if word.len() > LONGEST_WORD && word.chars().count() > LONGEST_WORD {
            return false;
        }
        let mut from = 0;
        while from < word.len() {
            let known = &self.pieces[usize::from(from > 0)];
            let longest = word.len().min(from + self.longest);
            let found = (from + 1..=longest)
                .rev()
                .filter(|&to| word.is_char_boundary(to))
                .find_map(|to| known.get(&word[from..to]).map(|&piece| (to, piece)));
            let Some((to, piece)) = found else { return false };
            pieces.push(piece);
            from = to;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        words(text, |word, range| found.push((word.to_owned(), &text[range])));
        found
    }

    #[test]
    fn words_know_where_they_stand() {
        let text = "Ça va,\u{200b} naïve\u{301}\tÜBER-Größe 数据 e\u{301}x\u{7}y";
        let expected = [
            ("ca", "Ça"),
            ("va", "va"),
            (",", ","),
            ("naive", "naïve\u{301}"),
            ("uber", "ÜBER"),
            ("-", "-"),
            ("große", "Größe"),
            ("数", "数"),
            ("据", "据"),
            ("exy", "e\u{301}x\u{7}y"),
        ];
        assert_eq!(cut(text), expected.map(|(word, origin)| (word.to_owned(), origin)));
        assert_eq!(cut(" \n\u{fffd} "), []);
    }

    #[test]
    fn the_longest_piece_wins_and_a_gap_makes_a_word_unknown() {
        let vocabulary = Vocabulary::new(["un", "##aff", "##able", "unaff", "##", "#"].into_iter());
        let mut pieces = Vec::new();
        assert!(vocabulary.cut("unaffable", &mut pieces));
        assert_eq!(pieces, [3, 2]);
        assert!(vocabulary.cut("##", &mut pieces));
        assert!(!vocabulary.cut("unaffablé", &mut pieces));
        assert!(!vocabulary.cut(&"un".repeat(60), &mut pieces));
    }
}
