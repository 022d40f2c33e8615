//! What a script prints, line by line.

use std::io::Read;

const READ_BYTES: usize = 1 << 14;
/// So often in one turn, that printing without end does not hold up the answers.
const MOST_READS: usize = 16;
/// A line longer than this is cut.
const MOST_BYTES: usize = 1 << 16;

/// One stream.
#[derive(Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
    /// Nothing more comes.
    pub ended: bool,
}

impl Lines {
    /// Reads what is there, without waiting.
    pub fn read(&mut self, stream: &mut impl Read, mut tell: impl FnMut(String)) {
        let mut bytes = [0; READ_BYTES];
        for _ in 0..MOST_READS {
            let read = match stream.read(&mut bytes) {
                Ok(0) => {
                    self.ended = true;
                    return;
                }
                Ok(read) => read,
                Err(_) => return,
            };
            for piece in bytes.get(..read).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
                self.begun.extend(piece);
                if self.begun.ends_with(b"\n") || self.begun.len() >= MOST_BYTES {
                    self.finish(&mut tell);
                }
            }
        }
    }

    /// What has begun is a line, too.
    pub fn finish(&mut self, mut tell: impl FnMut(String)) {
        if self.begun.is_empty() {
            return;
        }
        tell(String::from_utf8_lossy(&self.begun).trim_end_matches(['\n', '\r']).to_owned());
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_whole_and_the_last_one_at_the_end() {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        let long = "x".repeat(MOST_BYTES + 5);
        for text in ["on", "e\r\ntwo\n\nthr", "ee", &long] {
            lines.read(&mut text.as_bytes(), |line| told.push(line));
        }
        lines.finish(|line| told.push(line));
        assert_eq!(told[..3], ["one", "two", ""]);
        let rest: String = told[3..].concat();
        assert_eq!((told.len(), rest), (5, format!("three{long}")));
        assert!(lines.ended);
    }
}
