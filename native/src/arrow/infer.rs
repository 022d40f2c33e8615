//! A schema from the first rows.
//!
//! | values seen in a column | its type |
//! |---|---|
//! | whole numbers, bigints of 64 bits | `int64` |
//! | numbers with a fraction, NaN, infinities; whole numbers among them | `float64` |
//! | bigints beyond 64 bits; whole numbers among them | `decimal(38, 0)` |
//! | flags, texts, bytes, dates | `bool`, `utf8`, `binary`, `timestamp(ms, UTC)` |
//! | lists, objects, Maps | `list`, `struct` of all fields seen, `map<utf8, …>`, of what is in them |
//! | only nulls, or only empty lists | `utf8`, or a list of it |
//!
//! Every column takes nulls. Other mixtures have no type that holds them all, and are an error that names the column.
//! A row that is no object, and a value that no column takes, tell nothing beside others: the conversion refuses them.

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::fault::Fault;
use super::schema::checked;
use super::types::map_of;
use super::value::{Reader, Value};

/// What is known of a column. Fields keep the order in which they were first seen.
enum Seen {
    Nothing,
    /// Nothing but what no column takes, and what that is.
    Odd(String),
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
            seen = widen("", seen, look("", &row)?)?;
        }
    }
    let columns = match seen {
        Seen::Object(columns) => columns,
        _ if rows > 0 => return Err(Fault::Conversion("row 0 is no object; give rows as objects".into())),
        _ => return Err(Fault::schema("schema", "there is no row to infer it from; declare it, or give a row")),
    };
    let fields = columns.into_iter().map(|(name, seen)| {
        let data_type = settle(&name, seen)?;
        Ok(Field::new(name, data_type, true))
    });
    checked(Schema::new(fields.collect::<Result<Vec<_>, Fault>>()?))
}

fn look(place: &str, value: &Value) -> Result<Seen, Fault> {
    Ok(match value {
        Value::Null => Seen::Nothing,
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
        Value::List(items) => {
            let place = format!("{place}[]");
            let mut item = Seen::Nothing;
            for value in items {
                item = widen(&place, item, look(&place, value)?)?;
            }
            Seen::List(Box::new(item))
        }
        Value::Object(pairs) => {
            let fields = pairs.iter().map(|(name, value)| Ok(((*name).to_owned(), look(&inside(place, name), value)?)));
            Seen::Object(fields.collect::<Result<_, Fault>>()?)
        }
        Value::Map(pairs) => {
            let mut held = Seen::Nothing;
            for (key, value) in pairs {
                if !matches!(key, Value::Text(_)) {
                    return Err(Fault::schema(column(place), "a Map has keys that are no texts; declare its type"));
                }
                held = widen(place, held, look(place, value)?)?;
            }
            Seen::Map(Box::new(held))
        }
        Value::Odd(what) => Seen::Odd((*what).to_owned()),
    })
}

fn inside(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn column(place: &str) -> String {
    format!("column '{place}'")
}

fn widen(place: &str, a: Seen, b: Seen) -> Result<Seen, Fault> {
    use DataType::{Decimal128, Float64, Int64};
    Ok(match (a, b) {
        (Seen::Nothing, other) | (other, Seen::Nothing) => other,
        (Seen::Odd(_), other) | (other, Seen::Odd(_)) => other,
        (Seen::Simple(a), Seen::Simple(b)) if a == b => Seen::Simple(a),
        (Seen::Simple(Int64), Seen::Simple(b @ (Float64 | Decimal128(..)))) => Seen::Simple(b),
        (Seen::Simple(a @ (Float64 | Decimal128(..))), Seen::Simple(Int64)) => Seen::Simple(a),
        (Seen::List(a), Seen::List(b)) => Seen::List(Box::new(widen(&format!("{place}[]"), *a, *b)?)),
        (Seen::Map(a), Seen::Map(b)) => Seen::Map(Box::new(widen(place, *a, *b)?)),
        (Seen::Object(mut fields), Seen::Object(others)) => {
            for (name, other) in others {
                match fields.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, seen)) => {
                        *seen = widen(&inside(place, &name), std::mem::replace(seen, Seen::Nothing), other)?;
                    }
                    None => fields.push((name, other)),
                }
            }
            Seen::Object(fields)
        }
        (a, b) => {
            let (a, b) = (super::types::name(&settle(place, a)?), super::types::name(&settle(place, b)?));
            let problem =
                format!("it holds {a} and {b}, which no type takes both; declare one, and make the values fit");
            return Err(Fault::schema(column(place), problem));
        }
    })
}

fn settle(place: &str, seen: Seen) -> Result<DataType, Fault> {
    Ok(match seen {
        Seen::Nothing => DataType::Utf8,
        Seen::Odd(what) => {
            return Err(Fault::schema(column(place), format!("it holds {what}, which no column takes")));
        }
        Seen::Simple(data_type) => data_type,
        Seen::List(item) => DataType::List(Field::new("item", settle(&format!("{place}[]"), *item)?, true).into()),
        Seen::Object(fields) => {
            let fields = fields.into_iter().map(|(name, seen)| {
                let data_type = settle(&inside(place, &name), seen)?;
                Ok(Field::new(name, data_type, true))
            });
            DataType::Struct(fields.collect::<Result<_, Fault>>()?)
        }
        Seen::Map(value) => map_of(DataType::Utf8, Field::new("values", settle(place, *value)?, true)),
    })
}
