//! Cuts a text into chunks: never across a heading, of so many tokens, and if possible where a paragraph or a sentence ends.

use std::ops::Range;

use super::plain::Plain;

/// A longer word is taken in parts, each of about so many tokens.
const WORD_MAX: usize = 100;
const WORD_TOKENS: usize = 25;

/// What stands behind a word; the later ones part better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    Word,
    Line,
    Sentence,
    Block,
}

struct Word {
    range: Range<usize>,
    tokens: usize,
    gap: Gap,
}

/// A chunk to be.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub range: Range<usize>,
    pub headings: Vec<String>,
    pub tokens: usize,
}

/// All parts, in the order of the text.
pub fn parts(plain: &Plain<'_>, measured: &[(Range<usize>, usize)], size: usize, overlap: usize) -> Vec<Part> {
    let words = words_of(plain, measured);
    let mut parts = Vec::new();
    let mut path: Vec<(u8, &str)> = Vec::new();
    let mut next = 0;
    // What stands before the first heading, then each with what stands below it.
    for place in 0..=plain.headings.len() {
        let to = plain.headings.get(place).map_or(plain.text.len(), |heading| heading.from);
        let mut heading = None;
        if let Some(above) = place.checked_sub(1).map(|place| &plain.headings[place]) {
            path.truncate(path.iter().position(|&(level, _)| level >= above.level).unwrap_or(path.len()));
            path.push((above.level, &above.title));
            let begin = next;
            next += words[next..].partition_point(|word| word.range.start < above.to);
            heading = Some((begin..next, above.level));
        }
        let from = next;
        next += words[next..].partition_point(|word| word.range.start < to);
        let mut sections = cut(&words[from..next], size, overlap);
        sections.iter_mut().for_each(|it| *it = it.start + from..it.end + from);
        if let (true, Some((range, level))) = (sections.is_empty(), heading) {
            // A heading with nothing below it is what there is to say.
            let has_parts = plain.headings.get(place).is_some_and(|below| below.level > level);
            if !range.is_empty() && !has_parts {
                sections.extend(
                    cut(&words[range.clone()], size, 0).first().map(|it| it.start + range.start..it.end + range.start),
                );
            }
        }
        parts.extend(sections.into_iter().map(|range| Part {
            headings: path.iter().map(|&(_, title)| title.to_owned()).collect(),
            tokens: words[range.clone()].iter().map(|word| word.tokens).sum(),
            range: words[range.start].range.start..words[range.end - 1].range.end,
        }));
    }
    parts
}

fn words_of(plain: &Plain<'_>, measured: &[(Range<usize>, usize)]) -> Vec<Word> {
    let text = &*plain.text;
    let mut words = Vec::with_capacity(measured.len());
    let mut blocks = plain.blocks.iter().copied().peekable();
    for (place, (range, tokens)) in measured.iter().enumerate() {
        let gap = match measured.get(place + 1) {
            None => Gap::Block,
            Some((next, _)) => {
                while blocks.next_if(|&block| block <= range.start).is_some() {}
                let begins = blocks.peek().is_some_and(|&block| block <= next.start);
                if begins {
                    Gap::Block
                } else {
                    gap(&text[range.clone()], &text[range.end..next.start], &text[next.clone()])
                }
            }
        };
        let mut from = range.start;
        let mut left = *tokens;
        while range.end - from > WORD_MAX {
            let to = (from + WORD_MAX - 3..=from + WORD_MAX)
                .rev()
                .find(|&to| text.is_char_boundary(to))
                .unwrap_or(range.end);
            words.push(Word { range: from..to, tokens: WORD_TOKENS, gap: Gap::Word });
            from = to;
            left = WORD_TOKENS;
        }
        words.push(Word { range: from..range.end, tokens: left, gap });
    }
    words
}

fn gap(word: &str, between: &str, next: &str) -> Gap {
    let ends = matches!(word, "." | "!" | "?" | "…");
    if matches!(word, "。" | "！" | "？") || (ends && between.contains(char::is_whitespace)) {
        return Gap::Sentence;
    }
    if !between.contains('\n') {
        return Gap::Word;
    }
    // Items of a list and rows of a table.
    if matches!(next, "-" | "*" | "+" | "|" | "•") { Gap::Sentence } else { Gap::Line }
}

/// Ranges of words. Each but the last has at least three quarters of the size, and the next one goes at least a quarter beyond.
fn cut(words: &[Word], size: usize, overlap: usize) -> Vec<Range<usize>> {
    let mut cuts: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while from < words.len() {
        let (mut to, mut sum) = (from, 0);
        while to < words.len() && (to == from || sum + words[to].tokens <= size) {
            sum += words[to].tokens;
            to += 1;
        }
        let done = cuts.last().map_or(0, |last| last.end);
        if to == words.len() {
            cuts.push(from..to);
            break;
        }
        let mut best = to;
        let mut place = to;
        while place > from + 1 && (sum - words[place - 1].tokens) * 4 >= size * 3 {
            place -= 1;
            sum -= words[place].tokens;
            if words[place - 1].gap > words[best - 1].gap {
                best = place;
            }
        }
        if best <= done {
            // One long word left no room beside the overlap.
            from = done;
            continue;
        }
        cuts.push(from..best);
        let (mut start, mut shared) = (best, 0);
        let mut sentence = None;
        while start > from + 1 && shared + words[start - 1].tokens <= overlap {
            start -= 1;
            shared += words[start].tokens;
            if words[start - 1].gap >= Gap::Sentence {
                sentence = Some(start);
            }
        }
        from = sentence.unwrap_or(start);
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::super::{Chunked, Format, Options, RagError, chunk};
    use super::*;
    use crate::error::{ErrorCode, HasCode};
    use crate::memory::embedder::words;

    /// Each word is a token.
    fn measure(text: &str) -> Vec<(Range<usize>, usize)> {
        let mut found = Vec::new();
        words(text, |_, range| found.push((range, 1)));
        found
    }

    fn chunks(format: Format, source: &str, size: usize, overlap: usize) -> Result<Chunked, RagError> {
        chunk(source, &Options { format, size, overlap }, measure)
    }

    fn texts(found: &Chunked) -> Vec<&str> {
        found.chunks.iter().map(|chunk| chunk.text.as_str()).collect()
    }

    #[test]
    fn sections_stand_apart_and_know_their_headings() -> Result<(), RagError> {
        let source = "Intro ä😀.\n\n# Pump\n\n## Oil\n\nGrade 46.\n\n## Empty\n# Valve\nClose it.\n## Leaf";
        let found = chunks(Format::Markdown, source, 512, 128)?;
        let told: Vec<_> = found.chunks.iter().map(|it| (it.text.as_str(), it.headings.join(" > "), it.line)).collect();
        let expected = [
            ("Intro ä😀.", String::new(), 1),
            ("Grade 46.", "Pump > Oil".into(), 7),
            ("## Empty", "Pump > Empty".into(), 9),
            ("Close it.", "Valve".into(), 11),
            ("## Leaf", "Valve > Leaf".into(), 12),
        ];
        assert_eq!(told, expected);
        let units: Vec<u16> = source.encode_utf16().collect();
        for chunk in &found.chunks {
            assert_eq!(String::from_utf16_lossy(&units[chunk.start..chunk.end]), chunk.text);
        }
        assert_eq!(found.title.as_deref(), Some("Pump"));
        Ok(())
    }

    #[test]
    fn chunks_end_with_sentences_and_share_some() -> Result<(), RagError> {
        // Sentences of five tokens.
        let source = (0..40).map(|place| format!("The mill {place} turns.")).collect::<Vec<_>>().join(" ");
        let found = chunks(Format::Text, &source, 32, 11)?;
        for pair in found.chunks.windows(2) {
            assert!(pair[0].text.ends_with('.') && pair[1].text.starts_with("The"), "{pair:?}");
            assert!(pair[0].tokens <= 32 && pair[0].tokens >= 24, "{}", pair[0].tokens);
            let shared = measure(&source[pair[1].start..pair[0].end]).len();
            assert_eq!(shared, 10);
        }
        assert_eq!(found.chunks.last().map(|last| last.end), Some(source.len()));
        // A paragraph parts better than a sentence, and a sentence better than a line.
        let paragraphs = format!("{}\n\n{}", "One two three. ".repeat(7), "Four five six. ".repeat(7));
        assert!(texts(&chunks(Format::Text, &paragraphs, 32, 0)?)[0].ends_with("three."));
        let list = "- one two three\n".repeat(20);
        assert!(texts(&chunks(Format::Markdown, &list, 18, 0)?).iter().all(|text| text.starts_with("- one")));
        let lines = "one two three four\n".repeat(20);
        assert!(texts(&chunks(Format::Text, &lines, 18, 0)?).iter().all(|text| text.starts_with("one")));
        let chinese = "水泵需要油。".repeat(20);
        assert!(texts(&chunks(Format::Text, &chinese, 16, 0)?).iter().all(|text| text.ends_with('。')));
        Ok(())
    }

    #[test]
    fn without_any_sentence_words_are_shared() -> Result<(), RagError> {
        let source = (0..100).map(|place| format!("w{place}")).collect::<Vec<_>>().join(" ");
        let found = chunks(Format::Text, &source, 20, 5)?;
        assert_eq!(found.chunks[1].text.split(' ').next(), Some("w15"));
        assert_eq!(found.chunks.len(), 7);
        Ok(())
    }

    #[test]
    fn a_word_without_end_is_taken_in_parts() -> Result<(), RagError> {
        for word in ["x", "é"] {
            let found = chunks(Format::Text, &word.repeat(100_000), 512, 128)?;
            assert!(found.chunks.iter().all(|chunk| chunk.text.len() <= 2_100 && chunk.tokens <= 512), "{word}");
        }
        // Where one part has more tokens than a chunk, chunks are of one part.
        let found = chunks(Format::Text, &format!("a b c d e f g h {}", "x".repeat(1_000)), 16, 8)?;
        assert!(found.chunks.iter().all(|chunk| chunk.text.len() <= 100));
        assert!(found.chunks.windows(2).all(|pair| pair[0].end < pair[1].end));
        Ok(())
    }

    #[test]
    fn what_cannot_be_cut_is_refused() -> Result<(), RagError> {
        let code =
            |found: Result<Chunked, RagError>| found.err().map(|error| (error.code(), error.to_string().contains(';')));
        for (size, overlap) in [(15, 0), (9_000, 0), (64, 33)] {
            assert_eq!(code(chunks(Format::Text, "a", size, overlap)), Some((ErrorCode::InvalidOption, true)));
        }
        let bombs = ["x".repeat((16 << 20) + 1), "# a\n".repeat(50_001)];
        for bomb in bombs {
            assert_eq!(code(chunks(Format::Markdown, &bomb, 512, 128)), Some((ErrorCode::TooLarge, true)));
        }
        assert_eq!(chunks(Format::Html, " <p>\n", 512, 128)?, Chunked { title: None, chunks: Vec::new() });
        Ok(())
    }

    #[test]
    fn a_bomb_costs_no_more_than_its_length() -> Result<(), RagError> {
        let bombs = [
            (Format::Html, "<div>".repeat(100_000) + "deep"),
            (Format::Html, "<h1><h2><p>".repeat(50_000)),
            (Format::Html, "<b>x</b> ".repeat(50_000)),
            (Format::Markdown, "> ".repeat(100_000) + "deep"),
            (Format::Markdown, "[".repeat(200_000)),
            (Format::Markdown, "a\n".repeat(100_000) + "==="),
            (Format::Markdown, "```\n~~~\n".repeat(50_000)),
            (Format::Text, ". ".repeat(100_000)),
        ];
        for (format, bomb) in bombs {
            let found = chunks(format, &bomb, 512, 128)?;
            let length: usize = found.chunks.iter().map(|chunk| chunk.text.len()).sum();
            assert!(length <= 4 * bomb.len(), "{format:?} {length} of {}", bomb.len());
            assert!(found.chunks.iter().all(|chunk| chunk.tokens <= 512));
        }
        Ok(())
    }
}
