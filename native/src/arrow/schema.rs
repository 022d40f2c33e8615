//! Schemas: declared as a list of columns, as Arrow's JSON, or as an IPC schema message.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fault::Fault;
use super::types;
use crate::options::from_json;

/// More columns are refused, in a schema of any origin.
pub const MAX_COLUMNS: usize = 10_000;

/// A column as it is declared.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default = "yes")]
    nullable: bool,
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    metadata: HashMap<String, String>,
}

fn yes() -> bool {
    true
}

/// Reads a list of columns, or Arrow's JSON form of a schema.
pub fn from_declared(text: &str) -> Result<SchemaRef, Fault> {
    let json: Json = serde_json::from_str(text).map_err(|error| Fault::schema("schema", error.to_string()))?;
    let fields = if let Some(fields) = json.get("fields").and_then(Json::as_array) {
        fields.iter().map(arrow_field).collect::<Result<Vec<_>, _>>()?
    } else {
        let columns: Vec<Column> = from_json(text)
            .map_err(|error| Fault::schema(format!("schema{}", error.option.trim_start_matches('.')), error.problem))?;
        columns.into_iter().map(declared_field).collect::<Result<Vec<_>, _>>()?
    };
    checked(Schema::new(fields))
}

fn declared_field(column: Column) -> Result<Field, Fault> {
    let found = types::parse(&column.type_name)
        .map_err(|fault| Fault::schema(format!("column '{}'", column.name), fault.to_string()))?;
    Ok(Field::new(column.name, found, column.nullable).with_metadata(column.metadata))
}

/// A schema of any origin, where the rest of this module takes it.
pub fn checked(schema: Schema) -> Result<SchemaRef, Fault> {
    if schema.fields().len() > MAX_COLUMNS {
        return Err(Fault::TooLarge {
            what: "a schema",
            size: schema.fields().len() as u64,
            limit: MAX_COLUMNS as u64,
        });
    }
    let mut names = std::collections::HashSet::new();
    for field in schema.fields() {
        if !names.insert(field.name()) {
            return Err(Fault::schema(format!("column '{}'", field.name()), "it is there twice; rename one"));
        }
        types::check(field.name(), field.data_type())?;
    }
    Ok(Arc::new(schema))
}

/// The list of columns, as JSON.
pub fn to_declared(schema: &Schema) -> Result<String, Fault> {
    let columns: Vec<Column> = schema
        .fields()
        .iter()
        .map(|field| Column {
            name: field.name().clone(),
            type_name: types::name(field.data_type()),
            nullable: field.is_nullable(),
            metadata: field.metadata().clone(),
        })
        .collect();
    serde_json::to_string(&columns).map_err(|error| Fault::Internal(error.to_string()))
}

/// A stream with a schema and no batch.
pub fn to_ipc(schema: &Schema) -> Result<Vec<u8>, Fault> {
    let write = || {
        let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
        writer.finish()?;
        writer.into_inner()
    };
    write().map_err(|error| Fault::Internal(error.to_string()))
}

/// Schemas in words, for messages.
pub fn describe(schema: &Schema) -> String {
    let columns = schema.fields().iter().map(|field| {
        let not_null = if field.is_nullable() { "" } else { "!" };
        format!("{}: {}{not_null}", field.name(), types::name(field.data_type()))
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// A field of Arrow's JSON form, which other Arrow libraries write for their integration tests.
fn arrow_field(json: &Json) -> Result<Field, Fault> {
    let name = json.get("name").and_then(Json::as_str).unwrap_or_default();
    let wrong = |problem: &str| Fault::schema(format!("column '{name}'"), problem);
    let kind = json.get("type").ok_or_else(|| wrong("its type is missing"))?;
    let word = |key: &str| kind.get(key).and_then(Json::as_str);
    let number = |key: &str| kind.get(key).and_then(Json::as_i64);
    let no_children = Vec::new();
    let children = json.get("children").and_then(Json::as_array).unwrap_or(&no_children);
    let children = children.iter().map(arrow_field).collect::<Result<Vec<_>, _>>()?;
    let child = || children.first().cloned().map(Arc::new).ok_or_else(|| wrong("its child is missing"));
    let unit = || {
        Ok(match word("unit") {
            Some("SECOND") => TimeUnit::Second,
            Some("MILLISECOND") => TimeUnit::Millisecond,
            Some("MICROSECOND") => TimeUnit::Microsecond,
            Some("NANOSECOND") => TimeUnit::Nanosecond,
            _ => return Err(wrong("its unit has to be SECOND, MILLISECOND, MICROSECOND or NANOSECOND")),
        })
    };
    let small = |key: &str| {
        number(key).and_then(|number| i32::try_from(number).ok()).ok_or_else(|| wrong(&format!("its {key} is missing")))
    };
    let plain = match word("name").unwrap_or_default() {
        "null" => DataType::Null,
        "bool" => DataType::Boolean,
        "int" => integer(kind).ok_or_else(|| wrong("its bitWidth and isSigned are missing"))?,
        "floatingpoint" => match word("precision") {
            Some("HALF") => DataType::Float16,
            Some("SINGLE") => DataType::Float32,
            Some("DOUBLE") => DataType::Float64,
            _ => return Err(wrong("its precision has to be HALF, SINGLE or DOUBLE")),
        },
        "decimal" if number("bitWidth").is_none_or(|bits| bits == 128) => {
            let narrow = |key| small(key)?.try_into().map_err(|_| wrong(&format!("its {key} is too large")));
            let scale = small("scale")?.try_into().map_err(|_| wrong("its scale is too large"))?;
            DataType::Decimal128(narrow("precision")?, scale)
        }
        "utf8" => DataType::Utf8,
        "largeutf8" => DataType::LargeUtf8,
        "utf8view" => DataType::Utf8View,
        "binary" => DataType::Binary,
        "largebinary" => DataType::LargeBinary,
        "binaryview" => DataType::BinaryView,
        "fixedsizebinary" => DataType::FixedSizeBinary(small("byteWidth")?),
        "date" => match word("unit") {
            Some("DAY") => DataType::Date32,
            Some("MILLISECOND") => DataType::Date64,
            _ => return Err(wrong("its unit has to be DAY or MILLISECOND")),
        },
        "time" => match unit()? {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
            unit => DataType::Time64(unit),
        },
        "timestamp" => DataType::Timestamp(unit()?, word("timezone").map(Into::into)),
        "list" => DataType::List(child()?),
        "largelist" => DataType::LargeList(child()?),
        "fixedsizelist" => DataType::FixedSizeList(child()?, small("listSize")?),
        "struct" => DataType::Struct(children.clone().into()),
        "map" => DataType::Map(child()?, kind.get("keysSorted").and_then(Json::as_bool).unwrap_or(false)),
        // Known, so that the check names them.
        "duration" => DataType::Duration(unit()?),
        "interval" => DataType::Interval(IntervalUnit::MonthDayNano),
        other => return Err(wrong(&format!("the type '{other}' is not taken"))),
    };
    let found = match json.get("dictionary") {
        None | Some(Json::Null) => plain,
        Some(dictionary) => {
            let key = dictionary.get("indexType").map_or(Some(DataType::Int32), integer);
            DataType::Dictionary(Box::new(key.ok_or_else(|| wrong("its indexType is wrong"))?), Box::new(plain))
        }
    };
    let pairs = json.get("metadata").and_then(Json::as_array);
    let metadata = pairs
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair.get("key")?.as_str()?.to_owned(), pair.get("value")?.as_str()?.to_owned())));
    let nullable = json.get("nullable").and_then(Json::as_bool).unwrap_or(true);
    Ok(Field::new(name, found, nullable).with_metadata(metadata.collect()))
}

fn integer(kind: &Json) -> Option<DataType> {
    let signed = kind.get("isSigned")?.as_bool()?;
    Some(match (kind.get("bitWidth")?.as_i64()?, signed) {
        (8, true) => DataType::Int8,
        (16, true) => DataType::Int16,
        (32, true) => DataType::Int32,
        (64, true) => DataType::Int64,
        (8, false) => DataType::UInt8,
        (16, false) => DataType::UInt16,
        (32, false) => DataType::UInt32,
        (64, false) => DataType::UInt64,
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_schema_comes_back() {
        let text = r#"[{"name":"a","type":"int32"},{"name":"b","type":"list<utf8!>","nullable":false,"metadata":{"unit":"m"}}]"#;
        let schema = from_declared(text).unwrap();
        assert_eq!(describe(&schema), "a: int32, b: list<utf8!>!");
        assert_eq!(from_declared(&to_declared(&schema).unwrap()).unwrap(), schema);
    }

    #[test]
    fn arrow_s_json_form_is_read() {
        let text = r#"{"fields":[
            {"name":"i","nullable":false,"type":{"name":"int","bitWidth":16,"isSigned":false},"children":[]},
            {"name":"f","type":{"name":"floatingpoint","precision":"SINGLE"}},
            {"name":"d","type":{"name":"decimal","precision":10,"scale":2}},
            {"name":"t","type":{"name":"timestamp","unit":"MICROSECOND","timezone":"UTC"}},
            {"name":"m","type":{"name":"time","unit":"MILLISECOND"}},
            {"name":"n","type":{"name":"time","unit":"NANOSECOND"}},
            {"name":"day","type":{"name":"date","unit":"DAY"}},
            {"name":"x","type":{"name":"fixedsizebinary","byteWidth":3}},
            {"name":"l","type":{"name":"list"},"children":[{"name":"item","type":{"name":"utf8"}}]},
            {"name":"fl","type":{"name":"fixedsizelist","listSize":2},"children":[{"name":"item","type":{"name":"bool"}}]},
            {"name":"s","type":{"name":"struct"},"children":[{"name":"a","type":{"name":"null"}}]},
            {"name":"k","type":{"name":"utf8"},"dictionary":{"id":1,"indexType":{"name":"int","bitWidth":8,"isSigned":true}}}
        ]}"#;
        let expected = "i: uint16!, f: float32, d: decimal(10, 2), t: timestamp(us, UTC), m: time(ms), n: time(ns), \
                        day: date32, x: fixed-binary(3), l: list<utf8>, fl: fixed-list(2)<bool>, s: struct<a: null>, \
                        k: dictionary<int8, utf8>";
        assert_eq!(describe(&from_declared(text).unwrap()), expected);
    }

    #[test]
    fn what_is_no_schema_is_refused_by_place() {
        for text in [
            "{",
            "5",
            "[5]",
            r#"[{"name":"a"}]"#,
            r#"[{"name":"a","type":"int9"}]"#,
            r#"[{"name":"a","type":"int8"},{"name":"a","type":"int8"}]"#,
            r#"[{"name":"a","type":"int8","x":1}]"#,
            r#"{"fields":[{"name":"a"}]}"#,
            r#"{"fields":[{"name":"a","type":{"name":"duration","unit":"SECOND"}}]}"#,
            r#"{"fields":[{"name":"a","type":{"name":"union"}}]}"#,
            r#"{"fields":[{"name":"a","type":{"name":"list"}}]}"#,
            r#"{"fields":[{"name":"a","type":{"name":"int","bitWidth":7,"isSigned":true}}]}"#,
            r#"{"fields":[{"name":"a","type":{"name":"date","unit":"YEAR"}}]}"#,
            r#"{"fields":[{"name":"a","type":{"name":"time","unit":"YEAR"}}]}"#,
            r#"{"fields":[{"name":"a","type":{"name":"floatingpoint","precision":"MORE"}}]}"#,
            r#"{"fields":[{"name":"a","type":{"name":"interval"}}]}"#,
        ] {
            assert!(matches!(from_declared(text), Err(Fault::Schema { .. })), "{text}");
        }
        let many = (0..=MAX_COLUMNS).map(|i| Field::new(format!("c{i}"), DataType::Null, true)).collect::<Vec<_>>();
        assert!(matches!(checked(Schema::new(many)), Err(Fault::TooLarge { .. })));
    }
}
