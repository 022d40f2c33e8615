//! What a document says, as text, and where that stands in the document.

use std::borrow::Cow;

/// A longer one is cut where it is told, and what is much longer is no heading.
pub const TITLE_MAX: usize = 200;

/// A heading, as it stands in the text.
#[derive(Debug, PartialEq, Eq)]
pub struct Heading {
    pub from: usize,
    pub to: usize,
    /// From 1.
    pub level: u8,
    pub title: String,
}

/// A run of the text that stands in one piece in the source: as it is, or, where the lengths differ, in other letters.
struct Run {
    at: usize,
    from: usize,
    to: usize,
}

/// A document without its markup.
#[derive(Default)]
pub struct Plain<'a> {
    pub text: Cow<'a, str>,
    /// None: the text is the source.
    runs: Option<Vec<Run>>,
    /// Where paragraphs and the like begin.
    pub blocks: Vec<usize>,
    pub headings: Vec<Heading>,
    pub title: Option<String>,
}

impl<'a> Plain<'a> {
    /// A source that is its own text.
    pub fn source(text: &'a str) -> Self {
        Plain { text: Cow::Borrowed(text), ..Plain::default() }
    }

    /// A text with blank lines between its paragraphs.
    pub fn of_text(text: &'a str) -> Self {
        let mut plain = Plain::source(text);
        let mut blank = true;
        for (at, line) in lines(text) {
            let is_blank = line.trim().is_empty();
            if blank && !is_blank {
                plain.blocks.push(at);
            }
            blank = is_blank;
        }
        plain
    }

    /// A text that is made piece by piece.
    pub fn made() -> Self {
        Plain { runs: Some(Vec::new()), ..Plain::default() }
    }

    /// Adds what stands at a place of the source.
    pub fn push(&mut self, text: &str, from: usize, to: usize) {
        let at = self.text.len();
        if let Some(runs) = &mut self.runs {
            match runs.last_mut() {
                Some(last) if last.to == from && at - last.at == from - last.from && text.len() == to - from => {
                    last.to = to;
                }
                _ => runs.push(Run { at, from, to }),
            }
        }
        self.text.to_mut().push_str(text);
    }

    /// Where in the source what stands at a place of the text begins.
    pub fn start(&self, at: usize) -> usize {
        let Some(runs) = &self.runs else { return at };
        let place = runs.partition_point(|run| run.at <= at);
        place.checked_sub(1).map_or(0, |place| (runs[place].from + at - runs[place].at).min(runs[place].to))
    }

    /// Where in the source what stands before a place of the text ends.
    pub fn end(&self, at: usize) -> usize {
        let Some(runs) = &self.runs else { return at };
        let place = runs.partition_point(|run| run.at < at);
        let Some(run) = place.checked_sub(1).map(|place| &runs[place]) else { return 0 };
        let whole = runs.get(place).map_or(self.text.len(), |next| next.at) == at;
        if whole { run.to } else { (run.from + at - run.at).min(run.to) }
    }
}

/// The lines of a text, each with its place.
pub fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let from = at;
        at += line.len();
        (from, line)
    })
}

/// A title in one line.
pub fn title(text: &str) -> String {
    let mut title = String::new();
    for word in text.split_whitespace() {
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
        if title.len() > TITLE_MAX {
            let end = (0..=TITLE_MAX).rev().find(|&end| title.is_char_boundary(end)).unwrap_or_default();
            title.truncate(end);
            title.push('…');
            break;
        }
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_knows_where_it_stood() {
        let mut plain = Plain::made();
        // a&amp;b <i>c</i>
        plain.push("a", 0, 1);
        plain.push("&", 1, 6);
        plain.push("b", 6, 7);
        plain.push(" ", 7, 8);
        plain.push("c", 11, 12);
        assert_eq!(plain.text, "a&b c");
        let starts: Vec<usize> = (0..5).map(|at| plain.start(at)).collect();
        assert_eq!(starts, [0, 1, 6, 7, 11]);
        let ends: Vec<usize> = (0..=5).map(|at| plain.end(at)).collect();
        assert_eq!(ends, [0, 1, 6, 7, 8, 12]);
        assert_eq!((Plain::made().start(0), Plain::source("x").start(1), Plain::source("x").end(1)), (0, 1, 1));
    }

    #[test]
    fn paragraphs_stand_apart() {
        assert_eq!(Plain::of_text("\none\nstill\n \ntwo").blocks, [1, 13]);
    }

    #[test]
    fn titles_are_one_short_line() {
        assert_eq!(title(" a\n b\t"), "a b");
        let long = title(&"ö".repeat(300));
        assert!(long.len() <= TITLE_MAX + 3 && long.ends_with('…'));
    }
}
