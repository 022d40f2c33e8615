//! A schema from the first rows.
//!
//! | values seen in a column | its type |
//! |---|---|
//! | whole numbers, bigints of 64 bits | `int64` |
//! | numbers with a fraction, NaN, infinities; whole numbers among them | `float64` |
//! | bigints beyond 64 bits; whole numbers among them | `decimal(38, 0)` |
//! | flags, texts, bytes, dates | `bool`, `utf8`, `binary`, `timestamp(ms, UTC)` |
//! | lists, objects, Maps | `list`, `struct` of all fields seen, `map<utf8, …>`, of what is in them |
//! | only nulls | `null`; within lists, objects and Maps `utf8` |
//!
//! Every column takes nulls. Of other mixtures the kind that comes first is the column's. What does not go into a column
//! of that kind, a row that is no object, and a value that no column takes tell nothing: the conversion refuses them.

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::fault::Fault;
use super::schema::checked;
use super::types::map_of;
use super::value::{Reader, Value};

/// What is known of a column. Fields keep the order in which they were first seen.
enum Seen {
    Nothing,
    Simple(DataType),
    List(Box<Seen>),
    Object(Vec<(String, Seen)>),
    Map(Box<Seen>),
}

/// From rows that were packed as objects.
pub fn infer(rows: usize, reader: &mut Reader) -> Result<SchemaRef, Fault> {
    let mut seen = Seen::Nothing;
    for _ in 0..rows {
        let row = reader.value()?;
        if let Value::Object(_) = row {
            seen = widen(seen, look(&row));
        }
    }
    let columns = match seen {
        Seen::Object(columns) => columns,
        _ if rows > 0 => return Err(Fault::Conversion("row 0 is no object; give rows as objects".into())),
        _ => return Err(Fault::schema("schema", "there is no row to infer it from; declare it, or give a row")),
    };
    let fields = columns.into_iter().map(|(name, seen)| {
        let data_type = match seen {
            Seen::Nothing => DataType::Null,
            seen => settle(seen),
        };
        Field::new(name, data_type, true)
    });
    checked(Schema::new(fields.collect::<Vec<_>>()))
}

fn look(value: &Value) -> Seen {
    match value {
        Value::Null | Value::Odd => Seen::Nothing,
        Value::Bool(_) => Seen::Simple(DataType::Boolean),
        // What is larger is whole by chance.
        Value::Number(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
            Seen::Simple(DataType::Int64)
        }
        Value::Number(_) => Seen::Simple(DataType::Float64),
        Value::Integer(_) => Seen::Simple(DataType::Int64),
        Value::Digits(_) => Seen::Simple(DataType::Decimal128(38, 0)),
        Value::Text(_) => Seen::Simple(DataType::Utf8),
        Value::Date(_) => Seen::Simple(DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        Value::Bytes(_) => Seen::Simple(DataType::Binary),
        Value::List(items) => Seen::List(all(items.iter())),
        Value::Object(pairs) => {
            Seen::Object(pairs.iter().map(|(name, value)| ((*name).to_owned(), look(value))).collect())
        }
        // Keys of other kinds are for declared types alone.
        Value::Map(pairs) => Seen::Map(all(pairs.iter().map(|(_, value)| value))),
    }
}

fn all<'a>(values: impl Iterator<Item = &'a Value<'a>>) -> Box<Seen> {
    Box::new(values.fold(Seen::Nothing, |seen, value| widen(seen, look(value))))
}

fn widen(first: Seen, next: Seen) -> Seen {
    use DataType::{Decimal128, Float64, Int64};
    match (first, next) {
        (Seen::Nothing, other) => other,
        (Seen::Simple(Int64), Seen::Simple(wider @ (Float64 | Decimal128(..)))) => Seen::Simple(wider),
        (Seen::List(first), Seen::List(next)) => Seen::List(Box::new(widen(*first, *next))),
        (Seen::Map(first), Seen::Map(next)) => Seen::Map(Box::new(widen(*first, *next))),
        (Seen::Object(mut fields), Seen::Object(others)) => {
            for (place, (name, next)) in others.into_iter().enumerate() {
                // Most rows have their columns in one order.
                let is_there = fields.get(place).is_some_and(|(known, _)| *known == name);
                let place = if is_there { Some(place) } else { fields.iter().position(|(known, _)| *known == name) };
                match place.and_then(|place| fields.get_mut(place)) {
                    Some((_, seen)) => *seen = widen(std::mem::replace(seen, Seen::Nothing), next),
                    None => fields.push((name, next)),
                }
            }
            Seen::Object(fields)
        }
        (first, _) => first,
    }
}

fn settle(seen: Seen) -> DataType {
    match seen {
        Seen::Nothing => DataType::Utf8,
        Seen::Simple(data_type) => data_type,
        Seen::List(item) => DataType::List(Field::new("item", settle(*item), true).into()),
        Seen::Object(fields) => {
            DataType::Struct(fields.into_iter().map(|(name, seen)| Field::new(name, settle(seen), true)).collect())
        }
        Seen::Map(value) => map_of(DataType::Utf8, Field::new("values", settle(*value), true)),
    }
}
