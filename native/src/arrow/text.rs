//! Rows as text: JSON, a piece at a time.
//!
//! What JSON cannot hold is text in it: NaN and the infinities by their names, bytes in base64, decimals as their digits,
//! moments and times in ISO 8601. 64-bit integers are digits, as numbers or in quotes. Maps are objects where their keys
//! are texts, and none is there twice; else lists of pairs.

use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, Date32Type, Date64Type, Decimal128Type, DecimalType, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, OffsetSizeTrait, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use serde::Deserialize;

use super::batch::Batch;
use super::fault::Fault;

/// What a piece of text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// A list of objects.
    Rows,
    /// A list of lists, in the order of the columns.
    Values,
    /// An object a line.
    Lines,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// What a piece looks like.
    pub layout: Layout,
    /// 64-bit integers in quotes.
    pub quote_int64: bool,
    /// As a Delta table keeps it: days since 1970, and microseconds; all keys of maps are names. Only for what it has room
    /// for.
    pub numeric_times: bool,
}

/// One row takes no more: references to one large value, over and over, could make it any size.
const ROW_LIMIT: usize = 256 << 20;

/// The rows from `from` on: as many as fit into `max_bytes`, at least one; and the number of the next.
pub fn write(batch: &Batch, from: usize, max_bytes: usize, style: Style) -> Result<(Vec<u8>, usize), Fault> {
    let mut out = Vec::with_capacity(max_bytes.min(1 << 20));
    let listed = style.layout != Layout::Lines;
    if listed {
        out.push(b'[');
    }
    let (mut next, mut first) = (from, 0);
    for part in batch.parts() {
        if next < first + part.num_rows() {
            let (begin, room) = (next - first, max_bytes);
            next += write_part(&mut out, part, begin, room, style, next > from)?;
            if out.len() >= max_bytes {
                break;
            }
        }
        first += part.num_rows();
    }
    if listed {
        out.push(b']');
    }
    Ok((out, next))
}

/// Writes an entry of a column.
type Cell<'a> = Box<dyn Fn(&mut Vec<u8>, usize) -> Result<(), Fault> + 'a>;

fn write_part(
    out: &mut Vec<u8>,
    part: &RecordBatch,
    from: usize,
    max_bytes: usize,
    style: Style,
    mut follows: bool,
) -> Result<usize, Fault> {
    let schema = part.schema();
    let fields = schema.fields().iter().zip(part.columns());
    let columns = fields
        .map(|(field, column)| Ok((name_of(field.name())?, cell(column.as_ref(), style)?)))
        .collect::<Result<Vec<_>, Fault>>()?;
    let named = style.layout != Layout::Values;
    let mut row = from;
    while row < part.num_rows() && (out.len() < max_bytes) {
        let begin = out.len();
        if follows && style.layout != Layout::Lines {
            out.push(b',');
        }
        out.push(if named { b'{' } else { b'[' });
        for (place, (name, cell)) in columns.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            if named {
                out.extend_from_slice(name);
            }
            cell(out, row)?;
            let size = out.len() - begin;
            if size > ROW_LIMIT {
                return Err(Fault::TooLarge { what: "a row as text", size: size as u64, limit: ROW_LIMIT as u64 });
            }
        }
        out.push(if named { b'}' } else { b']' });
        if style.layout == Layout::Lines {
            out.push(b'\n');
        }
        follows = true;
        row += 1;
    }
    Ok(row - from)
}

/// An error shows so much of a value.
const SHOWN: usize = 80;

/// How errors show entries of an array.
pub(super) fn shown(array: &dyn Array) -> Result<impl Fn(usize) -> String, Fault> {
    let cell = cell(array, Style { layout: Layout::Values, quote_int64: false, numeric_times: false })?;
    Ok(move |row| {
        let mut text = Vec::new();
        // What cannot be shown has its place all the same.
        let _ = cell(&mut text, row);
        let text = String::from_utf8_lossy(&text);
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.into_owned(),
        }
    })
}

/// With the colon behind it.
fn name_of(name: &str) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    quoted(&mut text, name)?;
    text.push(b':');
    Ok(text)
}

fn quoted(out: &mut Vec<u8>, text: &str) -> Result<(), Fault> {
    serde_json::to_writer(out, text).map_err(|error| Fault::Internal(error.to_string()))
}

/// A vector takes all that is written.
fn put(out: &mut Vec<u8>, text: std::fmt::Arguments) {
    let _ = out.write_fmt(text);
}

fn plain<'a, T: ArrowPrimitiveType>(
    array: &'a dyn Array,
    write: impl Fn(&mut Vec<u8>, T::Native) + 'a,
) -> Result<Cell<'a>, Fault> {
    let values = array.as_primitive::<T>();
    Ok(Box::new(move |out, row| {
        write(out, values.value(row));
        Ok(())
    }))
}

fn integer<'a, T: ArrowPrimitiveType>(array: &'a dyn Array, quote: bool) -> Result<Cell<'a>, Fault>
where
    T::Native: std::fmt::Display,
{
    plain::<T>(array, move |out, value| match quote {
        true => put(out, format_args!("\"{value}\"")),
        false => put(out, format_args!("{value}")),
    })
}

fn float(out: &mut Vec<u8>, value: f64) {
    match value {
        _ if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
        f64::INFINITY => out.extend_from_slice(b"\"Infinity\""),
        f64::NEG_INFINITY => out.extend_from_slice(b"\"-Infinity\""),
        _ => put(out, format_args!("{value:?}")),
    }
}

fn cell<'a>(array: &'a dyn Array, style: Style) -> Result<Cell<'a>, Fault> {
    let quote = style.quote_int64;
    let written: Cell<'a> = match array.data_type() {
        DataType::Null => Box::new(|_, _| Ok(())),
        DataType::Boolean => {
            let flags = array.as_boolean();
            Box::new(move |out, row| {
                put(out, format_args!("{}", flags.value(row)));
                Ok(())
            })
        }
        DataType::Int8 => integer::<Int8Type>(array, false)?,
        DataType::Int16 => integer::<Int16Type>(array, false)?,
        DataType::Int32 => integer::<Int32Type>(array, false)?,
        DataType::Int64 => integer::<Int64Type>(array, quote)?,
        DataType::UInt8 => integer::<UInt8Type>(array, false)?,
        DataType::UInt16 => integer::<UInt16Type>(array, false)?,
        DataType::UInt32 => integer::<UInt32Type>(array, false)?,
        DataType::UInt64 => integer::<UInt64Type>(array, quote)?,
        DataType::Float16 => plain::<Float16Type>(array, |out, value| float(out, value.to_f64()))?,
        DataType::Float32 => plain::<Float32Type>(array, |out, value| float(out, value.into()))?,
        DataType::Float64 => plain::<Float64Type>(array, float)?,
        DataType::Decimal128(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            plain::<Decimal128Type>(array, move |out, value| {
                put(out, format_args!("\"{}\"", Decimal128Type::format_decimal(value, precision, scale)));
            })?
        }
        DataType::Utf8 => text_cell(array.as_string::<i32>()),
        DataType::LargeUtf8 => text_cell(array.as_string::<i64>()),
        DataType::Utf8View => {
            let texts = array.as_string_view();
            Box::new(move |out, row| quoted(out, texts.value(row)))
        }
        DataType::Binary => bytes_cell(array.as_binary::<i32>()),
        DataType::LargeBinary => bytes_cell(array.as_binary::<i64>()),
        DataType::BinaryView => {
            let values = array.as_binary_view();
            Box::new(move |out, row| base64(out, values.value(row)))
        }
        DataType::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary();
            Box::new(move |out, row| base64(out, values.value(row)))
        }
        DataType::Date32 if style.numeric_times => integer::<Date32Type>(array, false)?,
        DataType::Timestamp(TimeUnit::Microsecond, _) if style.numeric_times => {
            integer::<TimestampMicrosecondType>(array, false)?
        }
        DataType::Date32 => plain::<Date32Type>(array, |out, days| {
            out.push(b'"');
            date(out, days.into());
            out.push(b'"');
        })?,
        DataType::Date64 => plain::<Date64Type>(array, |out, ms| match ms.rem_euclid(86_400_000) {
            0 => {
                out.push(b'"');
                date(out, ms.div_euclid(86_400_000));
                out.push(b'"');
            }
            _ => moment(out, ms, 1000, true),
        })?,
        DataType::Time32(TimeUnit::Second) => plain::<Time32SecondType>(array, |out, t| time_cell(out, t.into(), 1))?,
        DataType::Time32(_) => plain::<Time32MillisecondType>(array, |out, t| time_cell(out, t.into(), 1000))?,
        DataType::Time64(TimeUnit::Microsecond) => {
            plain::<Time64MicrosecondType>(array, |out, t| time_cell(out, t, 1_000_000))?
        }
        DataType::Time64(_) => plain::<Time64NanosecondType>(array, |out, t| time_cell(out, t, 1_000_000_000))?,
        DataType::Timestamp(unit, zone) => {
            let zoned = zone.is_some();
            match unit {
                TimeUnit::Second => plain::<TimestampSecondType>(array, move |out, t| moment(out, t, 1, zoned))?,
                TimeUnit::Millisecond => {
                    plain::<TimestampMillisecondType>(array, move |out, t| moment(out, t, 1000, zoned))?
                }
                TimeUnit::Microsecond => {
                    plain::<TimestampMicrosecondType>(array, move |out, t| moment(out, t, 1_000_000, zoned))?
                }
                TimeUnit::Nanosecond => {
                    plain::<TimestampNanosecondType>(array, move |out, t| moment(out, t, 1_000_000_000, zoned))?
                }
            }
        }
        DataType::List(_) => list_cell::<i32>(array, style)?,
        DataType::LargeList(_) => list_cell::<i64>(array, style)?,
        DataType::FixedSizeList(_, length) => {
            let list = array.as_fixed_size_list();
            let items = cell(list.values().as_ref(), style)?;
            let length = *length as usize;
            // Of a slice, the place in the values is that of its own first row.
            Box::new(move |out, row| {
                let begin = list.value_offset(row) as usize;
                sequence(out, b"[]", begin..begin + length, &items)
            })
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let cells = fields
                .iter()
                .zip(columns.columns())
                .map(|(field, column)| Ok((name_of(field.name())?, cell(column.as_ref(), style)?)))
                .collect::<Result<Vec<_>, Fault>>()?;
            Box::new(move |out, row| {
                out.push(b'{');
                for (place, (name, cell)) in cells.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name);
                    cell(out, row)?;
                }
                out.push(b'}');
                Ok(())
            })
        }
        DataType::Map(..) => map_cell(array, style)?,
        DataType::Dictionary(key, _) => match **key {
            DataType::Int8 => dictionary_cell::<Int8Type>(array, style)?,
            DataType::Int16 => dictionary_cell::<Int16Type>(array, style)?,
            DataType::Int32 => dictionary_cell::<Int32Type>(array, style)?,
            DataType::Int64 => dictionary_cell::<Int64Type>(array, style)?,
            DataType::UInt8 => dictionary_cell::<UInt8Type>(array, style)?,
            DataType::UInt16 => dictionary_cell::<UInt16Type>(array, style)?,
            DataType::UInt32 => dictionary_cell::<UInt32Type>(array, style)?,
            _ => dictionary_cell::<UInt64Type>(array, style)?,
        },
        other => return Err(Fault::Internal(format!("a column of {other} as text"))),
    };
    if array.data_type() == &DataType::Null {
        return Ok(Box::new(|out, _| {
            out.extend_from_slice(b"null");
            Ok(())
        }));
    }
    // A dictionary's values may be null, too.
    let Some(nulls) = array.nulls().cloned() else { return Ok(written) };
    Ok(Box::new(move |out, row| {
        if nulls.is_valid(row) {
            return written(out, row);
        }
        out.extend_from_slice(b"null");
        Ok(())
    }))
}

fn text_cell<O: OffsetSizeTrait>(texts: &arrow_array::GenericStringArray<O>) -> Cell<'_> {
    Box::new(move |out, row| quoted(out, texts.value(row)))
}

fn bytes_cell<O: OffsetSizeTrait>(values: &arrow_array::GenericBinaryArray<O>) -> Cell<'_> {
    Box::new(move |out, row| base64(out, values.value(row)))
}

fn sequence(
    out: &mut Vec<u8>,
    ends: &[u8; 2],
    range: Range<usize>,
    item: impl Fn(&mut Vec<u8>, usize) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let begin = out.len();
    out.push(ends[0]);
    for row in range.clone() {
        if row > range.start {
            out.push(b',');
        }
        item(out, row)?;
        let size = out.len() - begin;
        if size > ROW_LIMIT {
            return Err(Fault::TooLarge { what: "a row as text", size: size as u64, limit: ROW_LIMIT as u64 });
        }
    }
    out.push(ends[1]);
    Ok(())
}

fn list_cell<O: OffsetSizeTrait>(array: &dyn Array, style: Style) -> Result<Cell<'_>, Fault> {
    let list = array.as_list::<O>();
    let items = cell(list.values().as_ref(), style)?;
    let offsets = list.offsets();
    Ok(Box::new(move |out, row| sequence(out, b"[]", offsets[row].as_usize()..offsets[row + 1].as_usize(), &items)))
}

fn map_cell(array: &dyn Array, style: Style) -> Result<Cell<'_>, Fault> {
    let map = array.as_map();
    let (keys, values) = (cell(map.keys().as_ref(), style)?, cell(map.values().as_ref(), style)?);
    let offsets = map.offsets();
    let names = map.keys();
    let texts = matches!(names.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    Ok(Box::new(move |out, row| {
        let entries = offsets[row] as usize..offsets[row + 1] as usize;
        let (ends, around): (_, [&[u8]; 3]) = match (texts, style.numeric_times) {
            (true, true) => (b"{}", [b"", b":", b""]),
            (true, false) if !is_one_twice(names, entries.clone()) => (b"{}", [b"", b":", b""]),
            (false, true) => (b"{}", [b"\"", b"\":", b""]),
            (_, false) => (b"[]", [b"[", b",", b"]"]),
        };
        sequence(out, ends, entries, |out, entry| {
            out.extend_from_slice(around[0]);
            keys(out, entry)?;
            out.extend_from_slice(around[1]);
            values(out, entry)?;
            out.extend_from_slice(around[2]);
            Ok(())
        })
    }))
}

/// Of an object whoever reads it would see the last one alone.
fn is_one_twice(texts: &dyn Array, entries: Range<usize>) -> bool {
    let mut seen = HashSet::new();
    let mut all = entries.map(|place| match texts.data_type() {
        DataType::Utf8 => texts.as_string::<i32>().value(place),
        DataType::LargeUtf8 => texts.as_string::<i64>().value(place),
        _ => texts.as_string_view().value(place),
    });
    !all.all(|text| seen.insert(text))
}

fn dictionary_cell<K: ArrowDictionaryKeyType>(array: &dyn Array, style: Style) -> Result<Cell<'_>, Fault> {
    let dictionary = array.as_dictionary::<K>();
    let values = cell(dictionary.values().as_ref(), style)?;
    Ok(Box::new(move |out, row| match dictionary.key(row) {
        Some(key) => values(out, key),
        None => {
            out.extend_from_slice(b"null");
            Ok(())
        }
    }))
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Fault> {
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let mut bits = 0u32;
        for place in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(place).copied().unwrap_or(0));
        }
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { letter } else { b'=' });
        }
    }
    out.push(b'"');
    Ok(())
}

/// The day so many days after 1970-01-01, by the calendar of today.
fn date(out: &mut Vec<u8>, days: i64) {
    // Years begin in March here, so that the leap day is their last.
    let day = i128::from(days) + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let of_era_year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_era_year + of_era_year / 4 - of_era_year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = of_era_year + era * 400 + i128::from(month <= 2);
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    // Years of more digits have a sign, as JavaScript writes them.
    match year {
        0..=9999 => put(out, format_args!("{year:04}-{month:02}-{day:02}")),
        _ => put(out, format_args!("{}{:06}-{month:02}-{day:02}", if year < 0 { '-' } else { '+' }, year.abs())),
    }
}

pub(super) fn time_of_day(out: &mut Vec<u8>, time: i64, per_second: i64) {
    let (seconds, fraction) = (time.div_euclid(per_second), time.rem_euclid(per_second));
    put(out, format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    let digits = per_second.ilog10() as usize;
    if digits > 0 {
        put(out, format_args!(".{fraction:0digits$}"));
    }
}

fn time_cell(out: &mut Vec<u8>, time: i64, per_second: i64) {
    out.push(b'"');
    time_of_day(out, time, per_second);
    out.push(b'"');
}

fn moment(out: &mut Vec<u8>, time: i64, per_second: i64, zoned: bool) {
    let day = per_second * 86_400;
    out.push(b'"');
    date(out, time.div_euclid(day));
    out.push(b'T');
    time_of_day(out, time.rem_euclid(day), per_second);
    out.extend_from_slice(if zoned { b"Z\"" } else { b"\"" });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (-719_528, "0000-01-01"),
            (-719_529, "-000001-12-31"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+010000-01-01"),
        ] {
            assert_eq!(written(|out| date(out, days)), text);
        }
        assert_eq!(written(|out| moment(out, -1, 1_000_000_000, true)), "\"1969-12-31T23:59:59.999999999Z\"");
        assert_eq!(written(|out| moment(out, 1_700_000_000, 1, false)), "\"2023-11-14T22:13:20\"");
    }

    #[test]
    fn bytes_are_base64() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(written(|out| base64(out, bytes.as_bytes()).unwrap()), format!("\"{text}\""));
        }
    }
}
