//! Types by their names: `int32`, `timestamp(us, UTC)`, `list<struct<x: float64, y: float64!>>`.
//!
//! | name | |
//! |---|---|
//! | `null`, `bool` | |
//! | `int8` … `int64`, `uint8` … `uint64`, `float16`, `float32`, `float64` | |
//! | `decimal(precision, scale)` | 128 bits |
//! | `utf8`, `large-utf8`, `utf8-view`, `binary`, `large-binary`, `binary-view`, `fixed-binary(bytes)` | |
//! | `date32`, `date64`, `time(unit)`, `timestamp(unit)`, `timestamp(unit, zone)` | unit: `s`, `ms`, `us`, `ns` |
//! | `list<T>`, `large-list<T>`, `fixed-list(length)<T>`, `struct<name: T, …>`, `map<K, V>` | |
//! | `dictionary<T>`, `dictionary<K, T>` | K: an integer, `int32` where it is left out |
//!
//! A `!` behind an inner type: it takes no null. Names that are no word stand in quotes, as JSON has them.

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields, TimeUnit};

use super::fault::Fault;

/// Deeper types are refused, in a schema of any origin.
pub const MAX_DEPTH: usize = 32;

/// The type of this name.
pub fn parse(text: &str) -> Result<DataType, Fault> {
    let mut parser = Parser { text, rest: text, depth: 0 };
    let found = parser.data_type()?;
    parser.blank();
    if parser.rest.is_empty() { Ok(found) } else { Err(parser.wrong("nothing more")) }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn wrong(&self, wanted: &str) -> Fault {
        let place = self.text.len() - self.rest.len();
        Fault::schema(format!("type '{}'", self.text), format!("expected {wanted} at character {}", place + 1))
    }

    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn has(&mut self, sign: char) -> bool {
        self.blank();
        let found = self.rest.strip_prefix(sign);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn need(&mut self, sign: char) -> Result<(), Fault> {
        if self.has(sign) { Ok(()) } else { Err(self.wrong(&format!("'{sign}'"))) }
    }

    fn until(&mut self, ends: &[char]) -> &'a str {
        self.blank();
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (found, rest) = self.rest.split_at(end);
        self.rest = rest;
        found.trim_end()
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, Fault> {
        let before = self.rest;
        let digits = self.until(&[',', ')']);
        digits.parse().map_err(|_| {
            self.rest = before;
            self.wrong("a whole number")
        })
    }

    fn unit(&mut self) -> Result<TimeUnit, Fault> {
        let before = self.rest;
        Ok(match self.until(&[',', ')']) {
            "s" => TimeUnit::Second,
            "ms" => TimeUnit::Millisecond,
            "us" => TimeUnit::Microsecond,
            "ns" => TimeUnit::Nanosecond,
            _ => {
                self.rest = before;
                return Err(self.wrong("s, ms, us or ns"));
            }
        })
    }

    fn name(&mut self) -> Result<String, Fault> {
        self.blank();
        if !self.rest.starts_with('"') {
            let word = self.until(&[':', ',', '>', '<', '(']);
            return if word.is_empty() { Err(self.wrong("a name")) } else { Ok(word.into()) };
        }
        let mut names = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        let name = names.next().and_then(Result::ok);
        let Some(name) = name else { return Err(self.wrong("a name in quotes")) };
        self.rest = &self.rest[names.byte_offset()..];
        Ok(name)
    }

    /// An inner type, with what is said of nulls.
    fn inner(&mut self, name: &str) -> Result<Field, Fault> {
        let inner = self.data_type()?;
        Ok(Field::new(name, inner, !self.has('!')))
    }

    fn item(&mut self) -> Result<Arc<Field>, Fault> {
        self.need('<')?;
        let item = self.inner("item")?;
        self.need('>')?;
        Ok(Arc::new(item))
    }

    fn data_type(&mut self) -> Result<DataType, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(&format!("no more than {MAX_DEPTH} types within each other")));
        }
        self.blank();
        let before = self.rest;
        let found = match self.until(&['<', '>', '(', ')', ',', '!', ':']) {
            "null" => DataType::Null,
            "bool" => DataType::Boolean,
            "int8" => DataType::Int8,
            "int16" => DataType::Int16,
            "int32" => DataType::Int32,
            "int64" => DataType::Int64,
            "uint8" => DataType::UInt8,
            "uint16" => DataType::UInt16,
            "uint32" => DataType::UInt32,
            "uint64" => DataType::UInt64,
            "float16" => DataType::Float16,
            "float32" => DataType::Float32,
            "float64" => DataType::Float64,
            "utf8" => DataType::Utf8,
            "large-utf8" => DataType::LargeUtf8,
            "utf8-view" => DataType::Utf8View,
            "binary" => DataType::Binary,
            "large-binary" => DataType::LargeBinary,
            "binary-view" => DataType::BinaryView,
            "date32" => DataType::Date32,
            "date64" => DataType::Date64,
            "fixed-binary" => {
                self.need('(')?;
                let size = self.number::<i32>()?;
                self.need(')')?;
                DataType::FixedSizeBinary(size)
            }
            "decimal" => {
                self.need('(')?;
                let precision = self.number()?;
                self.need(',')?;
                let scale = self.number()?;
                self.need(')')?;
                DataType::Decimal128(precision, scale)
            }
            "time" => {
                self.need('(')?;
                let unit = self.unit()?;
                self.need(')')?;
                match unit {
                    TimeUnit::Second | TimeUnit::Millisecond => DataType::Time32(unit),
                    TimeUnit::Microsecond | TimeUnit::Nanosecond => DataType::Time64(unit),
                }
            }
            "timestamp" => {
                self.need('(')?;
                let unit = self.unit()?;
                // Times with a zone are UTC; its name is for who shows them.
                let zone = if self.has(',') { Some(self.until(&[')'])) } else { None };
                if zone == Some("") {
                    return Err(self.wrong("a time zone, such as UTC"));
                }
                self.need(')')?;
                DataType::Timestamp(unit, zone.map(Into::into))
            }
            "list" => DataType::List(self.item()?),
            "large-list" => DataType::LargeList(self.item()?),
            "fixed-list" => {
                self.need('(')?;
                let length = self.number::<i32>()?;
                self.need(')')?;
                DataType::FixedSizeList(self.item()?, length)
            }
            "struct" => {
                self.need('<')?;
                let mut fields = Vec::new();
                while !self.has('>') {
                    if !fields.is_empty() {
                        self.need(',')?;
                    }
                    let name = self.name()?;
                    self.need(':')?;
                    fields.push(self.inner(&name)?);
                }
                DataType::Struct(fields.into())
            }
            "map" => {
                self.need('<')?;
                let key = self.data_type()?;
                self.has('!');
                self.need(',')?;
                let value = self.inner("values")?;
                self.need('>')?;
                map_of(key, value)
            }
            "dictionary" => {
                self.need('<')?;
                let first = self.data_type()?;
                let second = if self.has(',') { Some(self.data_type()?) } else { None };
                self.need('>')?;
                let (key, value) = match second {
                    Some(value) => (first, value),
                    None => (DataType::Int32, first),
                };
                DataType::Dictionary(Box::new(key), Box::new(value))
            }
            _ => {
                self.rest = before;
                return Err(self.wrong("the name of a type, such as int32, utf8 or timestamp(us, UTC)"));
            }
        };
        self.depth -= 1;
        Ok(found)
    }
}

/// A map as Arrow has it.
pub fn map_of(key: DataType, value: Field) -> DataType {
    let entries = Fields::from(vec![Field::new("keys", key, false), value.with_name("values")]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

/// The name of a type; that of one which `check` refuses is Arrow's own.
pub fn name(data_type: &DataType) -> String {
    let mut text = String::new();
    write_name(&mut text, data_type);
    text
}

fn unit_name(unit: &TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

fn write_name(text: &mut String, data_type: &DataType) {
    let simple = match data_type {
        DataType::Null => "null",
        DataType::Boolean => "bool",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::UInt8 => "uint8",
        DataType::UInt16 => "uint16",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float16 => "float16",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Utf8 => "utf8",
        DataType::LargeUtf8 => "large-utf8",
        DataType::Utf8View => "utf8-view",
        DataType::Binary => "binary",
        DataType::LargeBinary => "large-binary",
        DataType::BinaryView => "binary-view",
        DataType::Date32 => "date32",
        DataType::Date64 => "date64",
        _ => "",
    };
    text.push_str(simple);
    if !simple.is_empty() {
        return;
    }
    match data_type {
        DataType::FixedSizeBinary(size) => text.push_str(&format!("fixed-binary({size})")),
        DataType::Decimal128(precision, scale) => text.push_str(&format!("decimal({precision}, {scale})")),
        DataType::Time32(unit) | DataType::Time64(unit) => text.push_str(&format!("time({})", unit_name(unit))),
        DataType::Timestamp(unit, None) => text.push_str(&format!("timestamp({})", unit_name(unit))),
        DataType::Timestamp(unit, Some(zone)) => text.push_str(&format!("timestamp({}, {zone})", unit_name(unit))),
        DataType::List(item) => write_inner(text, "list<", item),
        DataType::LargeList(item) => write_inner(text, "large-list<", item),
        DataType::FixedSizeList(item, length) => write_inner(text, &format!("fixed-list({length})<"), item),
        DataType::Struct(fields) => {
            text.push_str("struct<");
            for (place, field) in fields.iter().enumerate() {
                let word = field.name().chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
                let quoted = if word && !field.name().is_empty() {
                    field.name().clone()
                } else {
                    serde_json::Value::from(field.name().as_str()).to_string()
                };
                text.push_str(&format!("{}{quoted}: ", if place > 0 { ", " } else { "" }));
                write_name(text, field.data_type());
                text.push_str(if field.is_nullable() { "" } else { "!" });
            }
            text.push('>');
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                text.push_str("map<");
                write_name(text, fields[0].data_type());
                write_inner(text, ", ", &fields[1]);
            }
            other => text.push_str(&format!("map of {other}")),
        },
        DataType::Dictionary(key, value) => {
            text.push_str("dictionary<");
            if **key != DataType::Int32 {
                write_name(text, key);
                text.push_str(", ");
            }
            write_name(text, value);
            text.push('>');
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

fn write_inner(text: &mut String, before: &str, field: &Field) {
    text.push_str(before);
    write_name(text, field.data_type());
    text.push_str(if field.is_nullable() { ">" } else { "!>" });
}

/// Whether the rest of this module takes a type, whatever it came from.
pub fn check(place: &str, data_type: &DataType) -> Result<(), Fault> {
    check_at(place, data_type, 0)
}

fn check_at(place: &str, data_type: &DataType, depth: usize) -> Result<(), Fault> {
    let wrong = |problem: String| Err(Fault::schema(format!("column '{place}'"), problem));
    if depth >= MAX_DEPTH {
        return wrong(format!("more than {MAX_DEPTH} types within each other; flatten it"));
    }
    match data_type {
        DataType::Decimal128(precision, scale) => {
            let fits = (1..=DECIMAL128_MAX_PRECISION).contains(precision)
                && (0..=*precision as i16).contains(&(*scale as i16));
            if fits {
                Ok(())
            } else {
                wrong(format!("decimal({precision}, {scale}): the precision is 1 to 38, the scale 0 to the precision"))
            }
        }
        DataType::FixedSizeBinary(size) if *size < 0 => wrong(format!("fixed-binary({size}): the size is negative")),
        DataType::FixedSizeList(_, length) if *length < 0 => {
            wrong(format!("fixed-list({length}): the length is negative"))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            check_at(place, item.data_type(), depth + 1)
        }
        DataType::Struct(fields) => {
            let mut names = std::collections::HashSet::new();
            for field in fields {
                if !names.insert(field.name()) {
                    return wrong(format!("two fields are named '{}'; rename one", field.name()));
                }
                check_at(&format!("{place}.{}", field.name()), field.data_type(), depth + 1)?;
            }
            Ok(())
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                if fields[0].is_nullable() {
                    return wrong("the keys of a map take no null".into());
                }
                check_at(place, fields[0].data_type(), depth + 1)?;
                check_at(place, fields[1].data_type(), depth + 1)
            }
            _ => wrong("a map needs keys and values".into()),
        },
        DataType::Dictionary(key, value) => {
            if !key.is_dictionary_key_type() {
                return wrong(format!("the key of a dictionary is an integer, not {}", name(key)));
            }
            match **value {
                DataType::Dictionary(..) | DataType::Null => wrong(format!("no dictionary of {}", name(value))),
                _ if value.is_nested() => wrong(format!("no dictionary of {}; use it as it is", name(value))),
                _ => check_at(place, value, depth + 1),
            }
        }
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond)
        | DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond)
        | DataType::Timestamp(..) => Ok(()),
        other => wrong(format!("the type {other} is not taken; see the list of types")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_it_is_written() {
        for text in [
            "null",
            "bool",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "float16",
            "float32",
            "float64",
            "decimal(38, 10)",
            "utf8",
            "large-utf8",
            "utf8-view",
            "binary",
            "large-binary",
            "binary-view",
            "fixed-binary(16)",
            "date32",
            "date64",
            "time(s)",
            "time(ms)",
            "time(us)",
            "time(ns)",
            "timestamp(s)",
            "timestamp(ns, Europe/Berlin)",
            "timestamp(us, +02:00)",
            "list<int32>",
            "list<int32!>",
            "large-list<utf8>",
            "fixed-list(3)<float32>",
            "struct<>",
            "struct<a: int8!, \"b: c\": list<utf8>>",
            "map<utf8, int64>",
            "map<int32, struct<x: bool>!>",
            "dictionary<utf8>",
            "dictionary<uint8, utf8>",
        ] {
            let found = parse(text).unwrap();
            check("c", &found).unwrap();
            assert_eq!(name(&found), text);
        }
        assert_eq!(name(&parse(" list < struct<a:int8 , b :utf8 !> > ").unwrap()), "list<struct<a: int8, b: utf8!>>");
    }

    #[test]
    fn what_is_no_type_is_refused() {
        let deep = format!("{}int8{}", "list<".repeat(100), ">".repeat(100));
        for text in [
            "",
            "int",
            "int32 x",
            "list",
            "list<",
            "list<int8",
            "decimal",
            "decimal(a, 1)",
            "time(x)",
            "struct<a>",
            "struct<\"a: int8>",
            "map<utf8>",
            "timestamp(us",
            "fixed-list(x)<int8>",
            "struct<a: int8 b: int8>",
            &deep,
        ] {
            assert!(matches!(parse(text), Err(Fault::Schema { .. })), "{text}");
        }
        for text in [
            "decimal(39, 0)",
            "decimal(5, 6)",
            "fixed-binary(-1)",
            "fixed-list(-1)<int8>",
            "struct<a: int8, a: int8>",
            "dictionary<utf8, utf8>",
            "dictionary<list<int8>>",
            "dictionary<dictionary<utf8>>",
        ] {
            assert!(matches!(check("c", &parse(text).unwrap()), Err(Fault::Schema { .. })), "{text}");
        }
        for other in [DataType::Duration(TimeUnit::Second), DataType::Decimal256(10, 2)] {
            assert!(check("c", &other).is_err());
        }
    }
}
