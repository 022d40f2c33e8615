//! Finds the stamp in a message without knowing its type: by steps over what lies before it, which whoever
//! knows the type makes of it. No length in a message is trusted.

use serde::Deserialize;

use crate::sync::STAMP_LIMIT;

/// The encapsulation header.
const HEADER: usize = 4;
/// From this encoding on (XCDR2), nothing is aligned to more than four bytes.
const FIRST_XCDR2: u16 = 6;

/// Over one thing that lies before the stamp. Numbers are aligned to their size.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// So many bytes a number, and so many numbers.
    Skip(usize, usize),
    /// A text, with so many bytes a character.
    Text(usize),
    /// A sequence of numbers of so many bytes.
    Numbers(usize),
    /// A sequence; the steps are those over one element.
    List(Vec<Step>),
    /// So many times the same steps.
    Repeat(usize, Vec<Step>),
    /// Into the first element of a sequence; an empty one has no stamp.
    First,
}

/// The stamp behind `steps`, ns since the epoch. None for what is cut off or absurd, and for zero, which is
/// what a publisher sends that never set it.
pub fn stamp(cdr: &[u8], steps: &[Step]) -> Option<i64> {
    let encoding = u16::from_be_bytes([*cdr.first()?, *cdr.get(1)?]);
    let max_align = if encoding >= FIRST_XCDR2 { 4 } else { 8 };
    let mut cursor = Cursor { cdr, at: HEADER, little: encoding & 1 == 1, max_align };
    cursor.over(steps)?;
    let sec = cursor.u32()?.cast_signed();
    let nanosec = cursor.u32()?;
    let stamp = i64::from(sec) * 1_000_000_000 + i64::from(nanosec);
    (stamp != 0 && (-STAMP_LIMIT..=STAMP_LIMIT).contains(&stamp)).then_some(stamp)
}

struct Cursor<'a> {
    cdr: &'a [u8],
    at: usize,
    little: bool,
    max_align: usize,
}

impl Cursor<'_> {
    fn over(&mut self, steps: &[Step]) -> Option<()> {
        for step in steps {
            match step {
                Step::Skip(size, count) => self.skip(*size, *count)?,
                Step::Text(size) | Step::Numbers(size) => {
                    let count = self.u32()? as usize;
                    self.skip(*size, count)?;
                }
                Step::List(steps) => {
                    let count = self.u32()? as usize;
                    self.repeat(count, steps)?;
                }
                Step::Repeat(count, steps) => self.repeat(*count, steps)?,
                Step::First => {
                    if self.u32()? == 0 {
                        return None;
                    }
                }
            }
        }
        Some(())
    }

    fn repeat(&mut self, count: usize, steps: &[Step]) -> Option<()> {
        for _ in 0..count {
            let before = self.at;
            self.over(steps)?;
            // What takes no place could be announced without end.
            if self.at == before {
                return None;
            }
        }
        Some(())
    }

    /// Nothing is no reason to align.
    fn skip(&mut self, size: usize, count: usize) -> Option<()> {
        if count == 0 {
            return Some(());
        }
        let align = size.min(self.max_align).max(1);
        let place = (self.at - HEADER).next_multiple_of(align) + HEADER;
        let end = place.checked_add(size.checked_mul(count)?)?;
        if end > self.cdr.len() {
            return None;
        }
        self.at = end;
        Some(())
    }

    fn u32(&mut self) -> Option<u32> {
        self.skip(4, 1)?;
        let bytes = self.cdr.get(self.at - 4..self.at)?.try_into().ok()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// One table for this and for what reads stamps in JavaScript.
    const CASES: &str = include_str!("../../../test/ros2/stamps.json");

    #[derive(Deserialize)]
    struct Case {
        title: String,
        steps: Vec<Step>,
        cdr: String,
        stamp: Option<String>,
    }

    fn cases() -> Vec<(Case, Vec<u8>)> {
        let bytes = |hex: &str| {
            let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
            digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
        };
        let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
        cases.into_iter().map(|case| (bytes(&case.cdr), case)).map(|(cdr, case)| (case, cdr)).collect()
    }

    #[test]
    fn stamps_are_found_behind_anything() {
        for (case, cdr) in cases() {
            let expected = case.stamp.filter(|stamp| stamp != "0").map(|stamp| stamp.parse().unwrap());
            assert_eq!(stamp(&cdr, &case.steps), expected, "{}", case.title);
        }
    }

    #[test]
    fn whatever_is_cut_off_or_absurd_has_none() {
        for (case, cdr) in cases() {
            if case.stamp.is_none() {
                continue;
            }
            let found = stamp(&cdr, &case.steps);
            let needed = (0..=cdr.len()).find(|&length| stamp(&cdr[..length], &case.steps) == found).unwrap();
            for length in 0..needed {
                assert_eq!(stamp(&cdr[..length], &case.steps), None, "{} cut to {length}", case.title);
            }
            // Every length becomes as large as it can.
            for at in HEADER..cdr.len().saturating_sub(3) {
                let mut absurd = cdr.clone();
                absurd[at..at + 4].fill(0xff);
                let _ = stamp(&absurd, &case.steps);
            }
        }
    }

    #[test]
    fn what_takes_no_place_is_not_repeated_without_end() {
        let cdr = [0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(stamp(&cdr, &[Step::List(Vec::new())]), None);
        assert_eq!(stamp(&cdr, &[Step::Repeat(usize::MAX, Vec::new())]), None);
        assert_eq!(stamp(&cdr, &[Step::Skip(usize::MAX, 2)]), None);
    }
}
