//! A batch in its Delta form as Protobuf records (proto2), and the descriptor that the other side reads them by.
//!
//! Fields are numbered from 1 in the order of the columns. A null is a field that is not there, and so is an empty list.
//! A list or map with a null in it has no form here: such a row is refused. One table of kinds serves the descriptor and
//! the encoder, so that what the first declares the second writes.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema};

use super::fault::{Fault, Reason, RowError};

/// A larger record is refused.
pub const MAX_RECORD: usize = 10_000_000;

/// What is written for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Double,
    Float,
    Int64,
    Int32,
    Bool,
    String,
    Message,
    Bytes,
}

impl Kind {
    /// In a descriptor.
    fn number(self) -> u64 {
        match self {
            Kind::Double => 1,
            Kind::Float => 2,
            Kind::Int64 => 3,
            Kind::Int32 => 5,
            Kind::Bool => 8,
            Kind::String => 9,
            Kind::Message => 11,
            Kind::Bytes => 12,
        }
    }

    fn wire(self) -> u64 {
        match self {
            Kind::Int64 | Kind::Int32 | Kind::Bool => 0,
            Kind::Double => 1,
            Kind::String | Kind::Message | Kind::Bytes => 2,
            Kind::Float => 5,
        }
    }
}

/// The kind of a Delta column's values; that of a list is that of its items.
fn kind(data_type: &DataType) -> Result<Kind, Fault> {
    Ok(match data_type {
        DataType::Boolean => Kind::Bool,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Date32 => Kind::Int32,
        DataType::Int64 | DataType::Timestamp(..) => Kind::Int64,
        DataType::Float32 => Kind::Float,
        DataType::Float64 => Kind::Double,
        DataType::LargeUtf8 => Kind::String,
        DataType::LargeBinary => Kind::Bytes,
        DataType::Struct(_) | DataType::Map(..) => Kind::Message,
        DataType::List(item) => kind(item.data_type())?,
        other => return Err(Fault::Internal(format!("a Delta column of {other}"))),
    })
}

pub(super) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn tag(out: &mut Vec<u8>, field: usize, wire: u64) {
    varint(out, (field as u64) << 3 | wire);
}

fn number_field(out: &mut Vec<u8>, field: usize, number: u64) {
    tag(out, field, 0);
    varint(out, number);
}

fn bytes_field(out: &mut Vec<u8>, field: usize, bytes: &[u8]) {
    tag(out, field, 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// How a batch's rows are written as records.
pub struct Descriptor {
    bytes: Vec<u8>,
}

impl Descriptor {
    /// Of a Delta schema.
    pub fn new(schema: &Schema) -> Result<Self, Fault> {
        Ok(Descriptor { bytes: message(".", "Row", schema.fields(), false)? })
    }

    /// A serialised `DescriptorProto`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A record a row; what is too large, or has no form here, is told of and left out. `first` is the number of the first row.
    pub fn encode(&self, batch: &RecordBatch, first: usize) -> Result<(Vec<Vec<u8>>, Vec<RowError>), Fault> {
        let (mut records, mut errors) = (Vec::with_capacity(batch.num_rows()), Vec::new());
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let mut record = Vec::new();
            let columns = schema.fields().iter().zip(batch.columns()).enumerate();
            let mut stopped = columns.map(|(place, (field, column))| {
                let written = value_field(&mut record, place + 1, field.data_type(), column.as_ref(), row);
                written.map_err(|stop| stop.below(field.name()))
            });
            let stopped = stopped.find_map(Result::err);
            let row = first + row;
            match stopped {
                None if record.len() > MAX_RECORD => {
                    let value = format!("{} bytes", record.len());
                    errors.push(RowError { row, column: String::new(), value, reason: Reason::Size });
                }
                None => records.push(record),
                Some(Stop::Null(column)) => {
                    errors.push(RowError { row, column, value: "null".into(), reason: Reason::Null });
                }
                Some(Stop::Fault(fault)) => return Err(fault),
            }
        }
        Ok((records, errors))
    }
}

/// A message's descriptor. `scope` ends with a dot.
fn message(scope: &str, name: &str, fields: &Fields, is_entry: bool) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    let inner = format!("{scope}{name}.");
    // Fields and messages within a message share its names.
    let mut taken: HashSet<String> = fields.iter().map(|field| field.name().clone()).collect();
    bytes_field(&mut out, 1, name.as_bytes());
    for (place, field) in fields.iter().enumerate() {
        // Keys and values of a map have other names here.
        let name = if is_entry { ["key", "value"][place.min(1)] } else { field.name().as_str() };
        let (described, nested) = described(&inner, name, place + 1, field, &mut taken)?;
        bytes_field(&mut out, 2, &described);
        if let Some(nested) = nested {
            bytes_field(&mut out, 3, &nested);
        }
    }
    if is_entry {
        let mut options = Vec::new();
        number_field(&mut options, 7, 1);
        bytes_field(&mut out, 7, &options);
    }
    Ok(out)
}

type Described = (Vec<u8>, Option<Vec<u8>>);

fn described(
    scope: &str,
    name: &str,
    number: usize,
    field: &Field,
    taken: &mut HashSet<String>,
) -> Result<Described, Fault> {
    let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !word || name.starts_with(|first: char| first.is_ascii_digit()) {
        let problem = "a Protobuf record takes names of letters, digits and _ only; rename it, or send it as Arrow";
        return Err(Fault::schema(format!("column '{name}'"), problem));
    }
    let (item, is_list) = match field.data_type() {
        DataType::List(item) => (item.data_type(), true),
        other => (other, false),
    };
    let (message_name, nested) = match item {
        DataType::Struct(fields) => {
            let message_name = free(format!("{}Message", camel(name)), taken);
            let nested = message(scope, &message_name, fields, false)?;
            (Some(message_name), Some(nested))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(Fault::Internal("a map without keys and values".into()));
            };
            // Protobuf wants this name for it.
            let message_name = free(format!("{}Entry", camel(name)), taken);
            let nested = message(scope, &message_name, pair, true)?;
            (Some(message_name), Some(nested))
        }
        _ => (None, None),
    };
    let repeated = is_list || matches!(item, DataType::Map(..));
    let mut out = Vec::new();
    bytes_field(&mut out, 1, name.as_bytes());
    number_field(&mut out, 3, number as u64);
    number_field(&mut out, 4, if repeated { 3 } else { 1 });
    number_field(&mut out, 5, kind(item)?.number());
    if let Some(message_name) = message_name {
        bytes_field(&mut out, 6, format!("{scope}{message_name}").as_bytes());
    }
    Ok((out, nested))
}

/// The name, or one with a number where others have it.
fn free(name: String, taken: &mut HashSet<String>) -> String {
    let others = (2..).map(|number| format!("{name}{number}"));
    let found = std::iter::once(name.clone()).chain(others).find(|it| !taken.contains(it)).unwrap_or_default();
    taken.insert(found.clone());
    found
}

fn camel(name: &str) -> String {
    let parts = name.split('_').map(|part| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    parts.collect()
}

/// Why a value is not written.
enum Stop {
    /// A list or a map has a null in it: the way there.
    Null(String),
    Fault(Fault),
}

impl Stop {
    fn below(self, step: &str) -> Self {
        match self {
            Stop::Null(path) => Stop::Null(format!("{step}{path}")),
            fault => fault,
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

/// One of the items of a row; there may be no null among them.
fn item_field(
    out: &mut Vec<u8>,
    field: usize,
    data_type: &DataType,
    items: &dyn Array,
    place: usize,
    begin: usize,
) -> Result<(), Stop> {
    let written = match items.is_null(place) {
        true => Err(Stop::Null(String::new())),
        false => value_field(out, field, data_type, items, place),
    };
    written.map_err(|stop| stop.below(&format!("[{}]", place - begin)))
}

fn value_field(
    out: &mut Vec<u8>,
    field: usize,
    data_type: &DataType,
    array: &dyn Array,
    row: usize,
) -> Result<(), Stop> {
    if array.is_null(row) {
        return Ok(());
    }
    match data_type {
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let (begin, end) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
            for place in begin..end {
                item_field(out, field, item.data_type(), list.values().as_ref(), place, begin)?;
            }
            return Ok(());
        }
        DataType::Map(entries, _) => {
            let map = array.as_map();
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(Fault::Internal("a map without keys and values".into()).into());
            };
            let (begin, end) = (map.value_offsets()[row] as usize, map.value_offsets()[row + 1] as usize);
            for place in begin..end {
                let mut entry = Vec::new();
                item_field(&mut entry, 1, pair[0].data_type(), map.keys().as_ref(), place, begin)?;
                item_field(&mut entry, 2, pair[1].data_type(), map.values().as_ref(), place, begin)?;
                bytes_field(out, field, &entry);
            }
            return Ok(());
        }
        DataType::Struct(fields) => {
            let mut inner = Vec::new();
            for (place, (inside, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                let written = value_field(&mut inner, place + 1, inside.data_type(), column.as_ref(), row);
                written.map_err(|stop| stop.below(&format!(".{}", inside.name())))?;
            }
            bytes_field(out, field, &inner);
            return Ok(());
        }
        _ => {}
    }
    let kind = kind(data_type)?;
    tag(out, field, kind.wire());
    // A negative number of 32 bits takes ten bytes, like one of 64.
    let whole = |out: &mut Vec<u8>, number: i64| varint(out, number as u64);
    match data_type {
        DataType::Boolean => out.push(array.as_boolean().value(row).into()),
        DataType::Int8 => whole(out, array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => whole(out, array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => whole(out, array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Date32 => whole(out, array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Int64 => whole(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::Timestamp(..) => whole(out, array.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Float32 => out.extend_from_slice(&array.as_primitive::<Float32Type>().value(row).to_le_bytes()),
        DataType::Float64 => out.extend_from_slice(&array.as_primitive::<Float64Type>().value(row).to_le_bytes()),
        DataType::LargeUtf8 => {
            let text = array.as_string::<i64>().value(row);
            varint(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        DataType::LargeBinary => {
            let bytes = array.as_binary::<i64>().value(row);
            varint(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        other => return Err(Fault::Internal(format!("a Delta value of {other}")).into()),
    }
    Ok(())
}
