//! HTML in one pass: text, headings, blocks. What a browser would mend is read as it comes; nothing is nested here.

use super::plain::{Heading, Plain, title};

/// Their content is no text of the page, up to the end tag of the same name.
const RAW: &[&str] = &["script", "style", "iframe", "noembed", "noframes", "xmp"];
/// The same, but such may stand in each other.
const HIDDEN: &[&str] = &["template", "svg", "math"];
/// They stand apart from what is around them.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "head",
    "header",
    "hr",
    "html",
    "legend",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "tfoot",
    "thead",
    "title",
    "ul",
    "video",
];
/// They stand in lines of their own.
const LINES: &[&str] = &["br", "li", "optgroup", "option", "tr"];
/// What is longer was never closed.
const HEADING_MAX: usize = 500;
/// With its signs no reference is longer.
const REFERENCE_MAX: usize = 12;

struct Reader<'a> {
    source: &'a str,
    plain: Plain<'static>,
    /// A blank that is wanted before the next letter, and where it stands.
    blank: Option<usize>,
    /// In how many `pre` it is.
    kept: usize,
    /// A heading that is open: its level, and where it begins in the text.
    heading: Option<(u8, usize)>,
}

/// A tag, and where it ends.
struct Tag<'a> {
    name: &'a str,
    closes: bool,
    alone: bool,
    end: usize,
}

/// Reads it.
pub fn read(source: &str) -> Plain<'static> {
    let mut reader = Reader { source, plain: Plain::made(), blank: None, kept: 0, heading: None };
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let next = if !rest.starts_with('<') {
            let end = rest.find('<').map_or(source.len(), |length| at + length);
            reader.text(at, end);
            end
        } else if rest.starts_with("<!--") {
            behind(source, at + 4, "-->")
        } else if rest.starts_with("<!") || rest.starts_with("<?") {
            behind(source, at + 2, ">")
        } else {
            match tag(source, at) {
                Some(tag) => reader.tag(&tag),
                None => {
                    reader.text(at, at + 1);
                    at + 1
                }
            }
        };
        at = next;
    }
    reader.end_heading();
    reader.plain
}

/// Behind the next such text, or the end.
fn behind(source: &str, from: usize, text: &str) -> usize {
    source.get(from..).and_then(|rest| rest.find(text)).map_or(source.len(), |at| from + at + text.len())
}

/// The tag at a `<`. One that never ends takes the rest.
fn tag(source: &str, at: usize) -> Option<Tag<'_>> {
    let bytes = source.as_bytes();
    let closes = bytes.get(at + 1) == Some(&b'/');
    let from = at + 1 + usize::from(closes);
    if !bytes.get(from).is_some_and(u8::is_ascii_alphabetic) {
        return None;
    }
    let is_name = |byte: &u8| !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b'>');
    let to = from + bytes[from..].iter().position(|byte| !is_name(byte)).unwrap_or(bytes.len() - from);
    let mut end = to;
    let mut quote = None;
    // A quote opens a value only behind the sign for it.
    let mut last = b' ';
    while let Some(&byte) = bytes.get(end) {
        end += 1;
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => continue,
            None if byte == b'>' => break,
            None if last == b'=' && matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
    }
    let alone = bytes[..end].ends_with(b"/>");
    Some(Tag { name: &source[from..to], closes, alone, end })
}

/// The place of the end tag of this name, and the one behind it.
fn end_tag(source: &str, from: usize, name: &str) -> (usize, usize) {
    let bytes = source.as_bytes();
    let mut at = from;
    while let Some(found) = source[at..].find("</") {
        let begin = at + found;
        at = begin + 2;
        let named = bytes.get(at..at + name.len()).is_some_and(|read| read.eq_ignore_ascii_case(name.as_bytes()));
        if named && !bytes.get(at + name.len()).is_some_and(u8::is_ascii_alphanumeric) {
            return (begin, behind(source, at + name.len(), ">"));
        }
    }
    (source.len(), source.len())
}

/// Behind an element in which others of its name may stand.
fn behind_element(source: &str, from: usize, name: &str) -> usize {
    let mut depth = 1;
    let mut at = from;
    while let Some(found) = source[at..].find('<') {
        let begin = at + found;
        match tag(source, begin) {
            Some(tag) => {
                at = tag.end;
                if tag.name.eq_ignore_ascii_case(name) && !tag.alone {
                    depth = if tag.closes { depth - 1 } else { depth + 1 };
                }
            }
            None => at = begin + 1,
        }
        if depth == 0 {
            return at;
        }
    }
    source.len()
}

impl Reader<'_> {
    /// Deals with a tag, and tells where to go on.
    fn tag(&mut self, tag: &Tag<'_>) -> usize {
        // No name that matters is longer.
        if tag.name.len() > 10 {
            return tag.end;
        }
        let name = tag.name.to_ascii_lowercase();
        let name = name.as_str();
        let opens = !tag.closes && !tag.alone;
        if opens && RAW.contains(&name) {
            return end_tag(self.source, tag.end, name).1;
        }
        if opens && HIDDEN.contains(&name) {
            return behind_element(self.source, tag.end, name);
        }
        if opens && name == "title" {
            let (end, next) = end_tag(self.source, tag.end, name);
            let found = title(&decoded(&self.source[tag.end..end]));
            if self.plain.title.is_none() && !found.is_empty() {
                self.plain.title = Some(found);
            }
            return next;
        }
        match (name.as_bytes(), tag.closes) {
            ([b'h', level @ b'1'..=b'6'], closes) => {
                self.block();
                if !closes {
                    self.heading = Some((level - b'0', self.plain.text.len()));
                }
            }
            (b"td" | b"th", false) => self.blank = self.blank.or(Some(tag.end)),
            _ if BLOCKS.contains(&name) => self.block(),
            _ if LINES.contains(&name) && !tag.closes => {
                self.line(tag.end);
                if name == "li" {
                    self.plain.push("- ", tag.end, tag.end);
                }
            }
            _ => {}
        }
        if name == "pre" {
            self.kept = if tag.closes { self.kept.saturating_sub(1) } else { self.kept + 1 };
        }
        tag.end
    }

    /// What follows stands apart.
    fn block(&mut self) {
        self.end_heading();
        self.blank = None;
        let text = &self.plain.text;
        let length = text.len();
        if !text.is_empty() && self.plain.blocks.last() != Some(&length) {
            let missing = if text.ends_with('\n') { "\n" } else { "\n\n" };
            let end = self.plain.end(length);
            self.plain.push(missing, end, end);
            let length = self.plain.text.len();
            self.plain.blocks.push(length);
        }
    }

    /// What follows stands in a line of its own.
    fn line(&mut self, at: usize) {
        self.blank = None;
        if !self.plain.text.is_empty() && !self.plain.text.ends_with('\n') {
            self.plain.push("\n", at, at);
        }
    }

    fn end_heading(&mut self) {
        let Some((level, from)) = self.heading.take() else { return };
        let to = self.plain.text.len();
        let title = title(&self.plain.text[from..]);
        if !title.is_empty() && to - from <= HEADING_MAX {
            self.plain.headings.push(Heading { from, to, level, title });
        }
    }

    fn text(&mut self, from: usize, to: usize) {
        let source = self.source;
        let mut at = from;
        while at < to {
            let (letter, length) = letter(&source[at..to]);
            if letter.is_whitespace() && self.kept == 0 {
                self.blank = self.blank.or(Some(at));
            } else {
                if let Some(blank) = self.blank.take()
                    && !self.plain.text.is_empty()
                    && !self.plain.text.ends_with(['\n', ' '])
                {
                    self.plain.push(" ", blank, blank);
                }
                self.plain.push(letter.encode_utf8(&mut [0; 4]), at, at + length);
            }
            at += length;
        }
    }
}

/// The first letter of a text, and how many bytes of it say so.
fn letter(text: &str) -> (char, usize) {
    let first = text.chars().next().unwrap_or_default();
    if first == '&' { reference(text).unwrap_or((first, 1)) } else { (first, first.len_utf8()) }
}

fn decoded(text: &str) -> String {
    let mut read = String::new();
    let mut at = 0;
    while at < text.len() {
        let (letter, length) = letter(&text[at..]);
        read.push(letter);
        at += length;
    }
    read
}

/// A letter by its name or number.
fn reference(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(REFERENCE_MAX).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let letter = if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = hex.map_or_else(|| number.parse(), |digits| u32::from_str_radix(digits, 16)).ok()?;
        char::from_u32(code).filter(|&letter| letter != '\0').unwrap_or(char::REPLACEMENT_CHARACTER)
    } else {
        named(name)?
    };
    Some((letter, end + 1))
}

/// Those that HTML 2 to 4 had for Latin letters, in the order of their codes from 160.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 \
    acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig \
    Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave \
    Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave \
    iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

const OTHERS: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("lsaquo", '‹'),
    ("rsaquo", '›'),
    ("hellip", '…'),
    ("bull", '•'),
    ("euro", '€'),
    ("trade", '™'),
    ("permil", '‰'),
    ("prime", '′'),
    ("Prime", '″'),
    ("minus", '−'),
    ("le", '≤'),
    ("ge", '≥'),
    ("ne", '≠'),
    ("asymp", '≈'),
    ("infin", '∞'),
    ("larr", '←'),
    ("uarr", '↑'),
    ("rarr", '→'),
    ("darr", '↓'),
    ("mu", 'μ'),
    ("Omega", 'Ω'),
    ("alpha", 'α'),
    ("Delta", 'Δ'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'),
    ("zwnj", '\u{200c}'),
];

fn named(name: &str) -> Option<char> {
    let latin = LATIN.split_whitespace().position(|it| it == name).and_then(|place| char::from_u32(160 + place as u32));
    latin.or_else(|| OTHERS.iter().find(|(it, _)| *it == name).map(|&(_, letter)| letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(html: &str) -> String {
        read(html).text.trim().to_owned()
    }

    #[test]
    fn text_is_what_a_reader_sees() {
        let cases = [
            ("<p>One <b>two</b>\n three</p><p>four", "One two three\n\nfour"),
            ("<ul><li>a<li>b</ul>c<br>d", "- a\n- b\n\nc\nd"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc"),
            ("<pre>a\n  b</pre> <p> c", "a\n  b\n\nc"),
            ("a<script>if (a</b) '<p>'</script>b<STYLE>p {}</Style >c", "abc"),
            ("a<svg><svg/><svg>x</svg>y</svg>b<template>x</template>c", "abc"),
            ("a<!-- <p> -- > -->b<!doctype html>c<?php x ?>d", "abcd"),
            ("1 < 2 && 3 > 2 <", "1 < 2 && 3 > 2 <"),
            ("<a href='>' title=\">\">x</a>y<img alt=it's>z", "xyz"),
            (
                "&lt;p&gt; &auml;&#228;&#xE4; &amp;amp; &nope; &#0; &#x110000; &amp",
                "<p> äää &amp; &nope; \u{fffd} \u{fffd} &amp",
            ),
        ];
        for (html, expected) in cases {
            assert_eq!(text(html), expected, "{html}");
        }
        assert_eq!((named("nbsp"), named("yuml"), named("x")), (Some('\u{a0}'), Some('ÿ'), None));
    }

    #[test]
    fn headings_and_the_title_are_told() {
        let plain = read(
            "<head><title>The &quot;pump&quot;</title><title>no</title></head><h1>Oil <i>grade</i></h1>46<h3></h3><h2>Never closed<p>text",
        );
        assert_eq!(plain.title.as_deref(), Some("The \"pump\""));
        let found: Vec<_> =
            plain.headings.iter().map(|it| (it.level, it.title.as_str(), &plain.text[it.from..it.to])).collect();
        assert_eq!(found, [(1, "Oil grade", "Oil grade"), (2, "Never closed", "Never closed")]);
        assert_eq!(read(&format!("<h1>{}", "long ".repeat(200))).headings, []);
    }

    #[test]
    fn what_never_ends_takes_the_rest_and_no_time() {
        for open in [
            "<a ", "<a b=\"", "<!--", "<script>", "<svg>", "<title>", "<h1>", "<", "</", "&", "&#", "<pre>", "<li>",
            "<td>",
        ] {
            let bomb = open.repeat(100_000);
            let plain = read(&bomb);
            assert!(plain.text.len() <= 2 * bomb.len(), "{open}");
        }
    }

    #[test]
    fn places_lead_back_to_the_source() {
        let html = "<h1>A</h1><p>x &auml; <b>y</b> z";
        let plain = read(html);
        for (word, source) in [("A", "A"), ("x ä", "x &auml;"), ("y", "y"), ("ä y z", "&auml; <b>y</b> z")] {
            let at = plain.text.find(word).unwrap_or_default();
            assert_eq!(&html[plain.start(at)..plain.end(at + word.len())], source);
        }
    }
}
