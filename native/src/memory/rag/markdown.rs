//! Markdown line by line: headings, paragraphs, and code, in which nothing is a heading. The text stays as it is.

use super::plain::{Heading, Plain, lines, title};

/// What the line before was.
#[derive(PartialEq)]
enum Before {
    Blank,
    /// Of a paragraph that begins there.
    Paragraph(usize),
    Other,
}

/// Reads it.
pub fn read(source: &str) -> Plain<'_> {
    let mut plain = Plain::source(source);
    let mut fence: Option<(char, usize)> = None;
    let mut before = Before::Blank;
    let front = front_matter(source);
    for (at, whole) in lines(source).skip_while(|&(at, _)| at < front) {
        let line = whole.trim_end();
        let inner = line.trim_start_matches(' ');
        // Four blanks are code.
        let shallow = line.len() - inner.len() < 4;
        if let Some((sign, count)) = fence {
            if shallow && run(inner, sign) >= count && inner.trim_start_matches(sign).is_empty() {
                fence = None;
            }
            continue;
        }
        if inner.is_empty() {
            before = Before::Blank;
            continue;
        }
        if shallow && let Some(opened) = fence_of(inner) {
            plain.blocks.push(at);
            (fence, before) = (Some(opened), Before::Other);
            continue;
        }
        let atx = if shallow { atx(inner) } else { None };
        if let Some((level, text)) = atx {
            plain.head(at, at + whole.len(), level, text);
            before = Before::Other;
            continue;
        }
        if let (Before::Paragraph(from), Some(level)) = (&before, underline(inner).filter(|_| shallow)) {
            plain.head(*from, at + whole.len(), level, &source[*from..at]);
            before = Before::Other;
            continue;
        }
        match before {
            Before::Paragraph(_) if starts_paragraph(inner) => {}
            Before::Paragraph(_) => before = Before::Other,
            _ => {
                if before == Before::Blank {
                    plain.blocks.push(at);
                }
                before = if shallow && starts_paragraph(inner) { Before::Paragraph(at) } else { Before::Other };
            }
        }
    }
    plain
}

impl Plain<'_> {
    fn head(&mut self, from: usize, to: usize, level: u8, text: &str) {
        let bare: String = text.chars().filter(|sign| !matches!(sign, '*' | '`')).collect();
        let title = title(&bare);
        if title.is_empty() {
            return;
        }
        if level == 1 && self.title.is_none() {
            self.title = Some(title.clone());
        }
        self.headings.push(Heading { from, to, level, title });
    }
}

/// Where the settings that may stand first end.
fn front_matter(source: &str) -> usize {
    let mut all = lines(source);
    if all.next().is_none_or(|(_, line)| line.trim_end() != "---") {
        return 0;
    }
    all.find(|(_, line)| matches!(line.trim_end(), "---" | "...")).map_or(0, |(at, line)| at + line.len())
}

fn run(text: &str, sign: char) -> usize {
    text.len() - text.trim_start_matches(sign).len()
}

fn fence_of(line: &str) -> Option<(char, usize)> {
    let sign = line.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
    let count = run(line, sign);
    (count >= 3 && !(sign == '`' && line[count..].contains('`'))).then_some((sign, count))
}

fn atx(line: &str) -> Option<(u8, &str)> {
    let level = run(line, '#');
    let text = &line[level..];
    if !(1..=6).contains(&level) || !(text.is_empty() || text.starts_with([' ', '\t'])) {
        return None;
    }
    let text = text.trim();
    let bare = text.trim_end_matches('#');
    // Only a row of signs that stands alone closes it.
    Some((level as u8, if bare.is_empty() || bare.ends_with([' ', '\t']) { bare.trim_end() } else { text }))
}

fn underline(line: &str) -> Option<u8> {
    let all = |sign: char| run(line, sign) == line.len();
    if all('=') { Some(1) } else { all('-').then_some(2) }
}

/// Items, quotes, rows of tables and the like are not underlined.
fn starts_paragraph(line: &str) -> bool {
    !line.starts_with(['-', '*', '+', '>', '|', '<', '=']) && !line.starts_with(|sign: char| sign.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(source: &str) -> Vec<(u8, String)> {
        read(source).headings.into_iter().map(|heading| (heading.level, heading.title)).collect()
    }

    fn expected(list: &[(u8, &str)]) -> Vec<(u8, String)> {
        list.iter().map(|&(level, title)| (level, title.to_owned())).collect()
    }

    #[test]
    fn headings_of_both_kinds_are_found_and_nothing_else_is_one() {
        let source = "---\ntitle: no\n---\n# The **Pump** `P2` ##\n\nOil\n===\n\nGrade\nof it\n---\n\n#none\n####### none\n\n    # code\n\
            \n```\n# code\n~~~\n```\n\n~~~ x\n# code\n```\n~~~~\n\n- item\n---\n\n1. item\n---\n## C# and F#\n### \nlast";
        let found = [(1, "The Pump P2"), (1, "Oil"), (2, "Grade of it"), (2, "C# and F#")];
        assert_eq!(headings(source), expected(&found));
        assert_eq!(read(source).title.as_deref(), Some("The Pump P2"));
        assert_eq!(read(source).text, source);
    }

    #[test]
    fn what_never_ends_is_the_rest() {
        assert_eq!(headings("---\nno end\n# a"), expected(&[(1, "a")]));
        assert_eq!(headings("```\n# a"), []);
        assert_eq!(headings("```x`y\n# a"), expected(&[(1, "a")]));
    }

    #[test]
    fn blocks_begin_behind_blank_lines_and_with_code() {
        let source = "one\ntwo\n\nthree\n```\nfour\n\nfive\n```\n";
        let blocks: Vec<&str> = read(source).blocks.iter().map(|&at| &source[at..at + 3]).collect();
        assert_eq!(blocks, ["one", "thr", "```"]);
    }
}
