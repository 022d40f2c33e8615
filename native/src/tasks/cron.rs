//! When something is due again: an interval, or a cron line in a time zone.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::{Result, TaskError};

/// As it is written: `everyMs`, or `cron` with `tz`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "an object: {everyMs} or {cron, tz}")]
pub struct ScheduleOptions {
    /// An interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<f64>,
    /// `minute hour day month weekday`, with a field for seconds before them or without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// An IANA name; none: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tz: Option<String>,
}

/// A checked schedule.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// So many ms after the last time.
    Every(i64),
    /// At the times of a cron line.
    Cron(Box<Cron>),
}

/// A cron line: the values that fit, as bits.
#[derive(Clone, Debug)]
pub struct Cron {
    second: u64,
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    /// With both a day and a weekday either is enough.
    either: bool,
    zone: TimeZone,
}

impl Schedule {
    /// Checks what was written.
    pub fn new(options: &ScheduleOptions) -> Result<Schedule> {
        let wrong = |option: &str, problem: String| Err(TaskError::Option { option: option.into(), problem });
        match (options.every_ms, &options.cron) {
            (Some(ms), None) if (10.0..=3_155_760_000_000.0).contains(&ms) => Ok(Schedule::Every(ms as i64)),
            (Some(ms), None) => wrong("everyMs", format!("{ms} must be 10 ms to a hundred years")),
            (None, Some(line)) => {
                let zone = match options.tz.as_deref() {
                    None | Some("") => TimeZone::UTC,
                    Some(name) => match TimeZone::get(name) {
                        Ok(zone) => zone,
                        Err(_) => {
                            return wrong("tz", format!("'{name}' is no time zone; use a name like Europe/Berlin"));
                        }
                    },
                };
                match Cron::parse(line, zone) {
                    Ok(cron) if cron.next(0).is_none() => wrong("cron", format!("'{line}' never comes")),
                    Ok(cron) => Ok(Schedule::Cron(Box::new(cron))),
                    Err(problem) => wrong("cron", problem),
                }
            }
            _ => wrong("schedule", "needs either everyMs or cron".into()),
        }
    }

    /// The first time after `after`; none: never.
    pub fn next(&self, after: i64) -> Option<i64> {
        match self {
            Schedule::Every(ms) => after.checked_add(*ms),
            Schedule::Cron(cron) => cron.next(after),
        }
    }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Cron {
    fn parse(line: &str, zone: TimeZone) -> std::result::Result<Cron, String> {
        let mut fields: Vec<&str> = match line.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            line => line,
        }
        .split_whitespace()
        .collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let [second, minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!("'{line}' needs five fields, or six with seconds"));
        };
        let weekdays = field(weekday, 0, 7, &DAYS, 0)?;
        let cron = Cron {
            second: field(second, 0, 59, &[], 0)?,
            minute: field(minute, 0, 59, &[], 0)?,
            hour: field(hour, 0, 23, &[], 0)?,
            day: field(day, 1, 31, &[], 0)?,
            month: field(month, 1, 12, &MONTHS, 1)?,
            // Sunday is 0 and 7.
            weekday: (weekdays | weekdays >> 7) & 0x7f,
            either: !day.starts_with(['*', '?']) && !weekday.starts_with(['*', '?']),
            zone,
        };
        Ok(cron)
    }

    fn fits(&self, date: Date) -> bool {
        let day = self.day & 1 << date.day() != 0;
        let weekday = self.weekday & 1 << date.weekday().to_sunday_zero_offset() != 0;
        let days = if self.either { day || weekday } else { day && weekday };
        days && self.month & 1 << date.month() != 0
    }

    fn next(&self, after: i64) -> Option<i64> {
        let from = Timestamp::from_millisecond(after).ok()?.to_zoned(self.zone.clone());
        // A day earlier: a time that clocks skip before midnight comes after it.
        let mut date = from.date().yesterday().unwrap_or(from.date());
        // Eight years: a leap year may be so far away.
        for _ in 0..366 * 8 {
            if self.fits(date)
                && let Some(found) = self.in_day(date, after)
            {
                return Some(found);
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    fn in_day(&self, date: Date, after: i64) -> Option<i64> {
        let bits = |mask: u64| (0..60_i8).filter(move |bit| mask & 1 << bit != 0);
        for hour in bits(self.hour) {
            for minute in bits(self.minute) {
                // The whole minute is over: no need to look at its seconds.
                let last = self.at(date.at(hour, minute, 59, 0))?;
                if last <= after {
                    continue;
                }
                for second in bits(self.second) {
                    let at = self.at(date.at(hour, minute, second, 0))?;
                    if at > after {
                        return Some(at);
                    }
                }
            }
        }
        None
    }

    /// A time that clocks skip comes as much later; one that they show twice is the first.
    fn at(&self, time: DateTime) -> Option<i64> {
        Some(self.zone.to_ambiguous_zoned(time).compatible().ok()?.timestamp().as_millisecond())
    }
}

/// One field as bits: `*`, values, names, ranges, lists, steps.
fn field(text: &str, min: u32, max: u32, names: &[&str], first: u32) -> std::result::Result<u64, String> {
    let value = |text: &str| -> std::result::Result<u32, String> {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|at| at as u32 + first);
        let value = named.or_else(|| text.parse().ok()).filter(|value| (min..=max).contains(value));
        value.ok_or_else(|| format!("'{text}' is not {min} to {max}"))
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                (range, step.parse::<u32>().ok().filter(|&step| step > 0).ok_or(format!("'{part}' has no step"))?)
            }
            None => (part, 1),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (min, max),
            Some((low, high)) => (value(low)?, value(high)?),
            None if part.contains('/') => (value(range)?, max),
            None => (value(range)?, value(range)?),
        };
        if low > high {
            return Err(format!("'{part}' ends before it begins"));
        }
        (low..=high).step_by(step as usize).for_each(|value| bits |= 1_u64 << value);
    }
    Ok(bits)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn next(cron: &str, tz: &str, after: &str) -> String {
        let options = ScheduleOptions { cron: Some(cron.into()), tz: Some(tz.into()), every_ms: None };
        let after: Timestamp = after.parse().unwrap();
        let at = Schedule::new(&options).unwrap().next(after.as_millisecond()).unwrap();
        Timestamp::from_millisecond(at).unwrap().to_string()
    }

    #[test]
    fn times_of_cron_lines() {
        for (cron, after, wanted) in [
            ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
            ("*/15 * * * *", "2026-01-01T00:50:00Z", "2026-01-01T01:00:00Z"),
            ("30 5 * * mon-fri", "2026-01-02T05:30:00Z", "2026-01-05T05:30:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 1,15 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("0 12 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T12:00:00Z"),
            ("5-20/5 * * * * *", "2026-01-01T00:00:15Z", "2026-01-01T00:00:20Z"),
            ("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("0 0 * DEC *", "2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ] {
            assert_eq!(next(cron, "UTC", after), wanted, "{cron}");
        }
    }

    #[test]
    fn summer_time_skips_and_repeats_no_firing() {
        // 2026-03-29: 02:00 becomes 03:00. 2026-10-25: 03:00 becomes 02:00.
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:30:00Z");
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-29T01:30:00Z"), "2026-03-30T00:30:00Z");
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn what_cannot_work_is_named() {
        let check = |cron: Option<&str>, tz: Option<&str>, every_ms| {
            let options = ScheduleOptions { cron: cron.map(Into::into), tz: tz.map(Into::into), every_ms };
            match Schedule::new(&options) {
                Err(TaskError::Option { option, .. }) => option,
                other => panic!("{other:?}"),
            }
        };
        for cron in
            ["", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "* * * foo *", "x", "0 0 30 2 *"]
        {
            assert_eq!(check(Some(cron), None, None), "cron", "{cron}");
        }
        assert_eq!(check(Some("* * * * *"), Some("Mars/Base"), None), "tz");
        assert_eq!(check(None, None, Some(1.0)), "everyMs");
        assert_eq!(check(None, None, None), "schedule");
        let every = ScheduleOptions { every_ms: Some(50.0), ..ScheduleOptions::default() };
        assert_eq!(Schedule::new(&every).unwrap().next(7), Some(57));
    }
}
