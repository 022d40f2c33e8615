//! Moments as text, by ISO 8601.

use super::fault::Reason;

/// A moment, without loss.
#[derive(Debug, PartialEq, Eq)]
pub struct Instant {
    /// Since 1970, in UTC.
    pub seconds: i64,
    /// Of that second.
    pub nanos: u32,
}

impl Instant {
    /// Of JavaScript's time.
    pub fn from_ms(ms: i64) -> Self {
        Instant { seconds: ms.div_euclid(1000), nanos: ms.rem_euclid(1000) as u32 * 1_000_000 }
    }

    /// The day, of a midnight.
    pub fn days(&self) -> Result<i64, Reason> {
        let midnight = self.nanos == 0 && self.seconds.rem_euclid(86_400) == 0;
        if midnight { Ok(self.seconds.div_euclid(86_400)) } else { Err(Reason::Fraction) }
    }

    /// `2024-02-29`, `2024-02-29T12:30:15`, with a fraction of up to nine digits and a zone: `Z`, `+01:00`, `-0730`, `+01`.
    /// A space may stand for the `T`, and before the zone. What has no zone is UTC: one meaning, wherever it runs.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let mut rest = Rest(text.as_bytes());
        let day = rest.day()?;
        if rest.0.is_empty() {
            return Ok(Instant { seconds: day * 86_400, nanos: 0 });
        }
        if !(rest.has(b'T') || rest.has(b't') || rest.has(b' ')) {
            return Err(Reason::Form);
        }
        let hour = rest.below(24)?;
        let colons = rest.has(b':');
        let minute = rest.below(60)?;
        if colons && !rest.has(b':') {
            return Err(Reason::Form);
        }
        // A leap second has no number of its own.
        let second = rest.below(60)?;
        let nanos = if rest.has(b'.') { rest.fraction()? } else { 0 };
        let ahead = rest.zone()?;
        Ok(Instant { seconds: day * 86_400 + hour * 3600 + minute * 60 + second - ahead, nanos })
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn has(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    /// A number of so many digits.
    fn digits(&mut self, count: usize) -> Result<i64, Reason> {
        let (digits, rest) = self.0.split_at_checked(count).ok_or(Reason::Form)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(Reason::Form);
        }
        self.0 = rest;
        Ok(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    fn below(&mut self, limit: i64) -> Result<i64, Reason> {
        let number = self.digits(2)?;
        if number < limit { Ok(number) } else { Err(Reason::Form) }
    }

    /// A date, as the days since 1970-01-01.
    fn day(&mut self) -> Result<i64, Reason> {
        let year = self.digits(4)?;
        let month = if self.has(b'-') { self.digits(2)? } else { 0 };
        let day = if self.has(b'-') { self.digits(2)? } else { 0 };
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 => 28 + i64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        if !(1..=last).contains(&day) {
            return Err(Reason::Form);
        }
        // Years begin in March here, so that the leap day is their last.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        Ok(year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - 719_468)
    }

    fn fraction(&mut self) -> Result<u32, Reason> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match count {
            0 => Err(Reason::Form),
            1..=9 => Ok(self.digits(count)? as u32 * 10u32.pow(9 - count as u32)),
            _ => Err(Reason::Fraction),
        }
    }

    /// How far its clock is ahead of UTC, in seconds. Nothing is behind it.
    fn zone(&mut self) -> Result<i64, Reason> {
        if self.0.is_empty() || matches!(self.0, b"Z" | b"z") {
            return Ok(0);
        }
        self.has(b' ');
        let east = self.has(b'+');
        if !east && !self.has(b'-') {
            return Err(Reason::Form);
        }
        let hours = self.below(24)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.has(b':');
            self.below(60)?
        };
        let ahead = hours * 3600 + minutes * 60;
        if self.0.is_empty() { Ok(if east { ahead } else { -ahead }) } else { Err(Reason::Form) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_all_their_forms() {
        let moment = |seconds, nanos| Ok(Instant { seconds, nanos });
        for (text, read) in [
            ("1970-01-01", moment(0, 0)),
            ("1969-12-31", moment(-86_400, 0)),
            ("2000-02-29", moment(951_782_400, 0)),
            ("2024-12-31", moment(1_735_603_200, 0)),
            ("0000-03-01", moment(-62_162_035_200, 0)),
            ("0000-01-01", moment(-62_167_219_200, 0)),
            ("9999-12-31T23:59:59.999999999Z", moment(253_402_300_799, 999_999_999)),
            ("1970-01-01t00:00:01z", moment(1, 0)),
            ("1970-01-01 000001.5", moment(1, 500_000_000)),
            ("1970-01-01T01:00:00+01:00", moment(0, 0)),
            ("1970-01-01T01:00:00 -0130", moment(9_000, 0)),
            ("1970-01-01T01:00:00.000000001+01", moment(0, 1)),
            ("1970-01-01T00:00:00.1234567891", Err(Reason::Fraction)),
        ] {
            assert_eq!(Instant::parse(text), read, "{text}");
        }
        for text in [
            "",
            "1970",
            "1970-1-1",
            "1970-00-01",
            "1970-13-01",
            "1970-01-00",
            "1970-04-31",
            "2023-02-29",
            "1900-02-29",
            "1970-01-01T",
            "1970-01-01_00:00:00",
            "1970-01-01T24:00:00",
            "1970-01-01T00:60:00",
            "1970-01-01T23:59:60Z",
            "1970-01-01T00:0000",
            "1970-01-01T00:00",
            "1970-01-01T00:00:00.",
            "1970-01-01T00:00:00ZZ",
            "1970-01-01T00:00:00+",
            "1970-01-01T00:00:00+1",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+01:0",
            "1970-01-01T00:00:00+01:00:00",
            "1970-01-01T00:00:00 Europe/Berlin",
            "１970-01-01",
            "+1970-01-01",
        ] {
            assert_eq!(Instant::parse(text), Err(Reason::Form), "{text}");
        }
        assert_eq!(Instant::from_ms(-1), Instant { seconds: -1, nanos: 999_000_000 });
    }
}
