//! A batch as a Delta table takes it through Zerobus.
//!
//! | Arrow | Delta | as |
//! |---|---|---|
//! | `bool`, `int8` … `int64`, `float32`, `float64` | BOOLEAN, BYTE … LONG, FLOAT, DOUBLE | itself |
//! | `uint8`, `uint16`, `uint32` | SHORT, INT, LONG | the next wider integer |
//! | `uint64` | LONG | `int64`; what does not fit is refused |
//! | `float16` | FLOAT | `float32` |
//! | `null` | any that takes nulls | nothing: the column is left out; within others `large-utf8` |
//! | `decimal`, `utf8` of all kinds, `time` | DECIMAL, STRING | `large-utf8` |
//! | `binary` of all kinds | BINARY | `large-binary` |
//! | `date32`, `date64` | DATE | `date32` |
//! | `timestamp` with a zone, without | TIMESTAMP, TIMESTAMP_NTZ | `timestamp(us, UTC)`, `timestamp(us)`; finer moments are refused |
//! | `list` of all kinds, `struct`, `map` | ARRAY, STRUCT, MAP | of the above |
//! | `dictionary` | that of its values | its values |
//!
//! Lists of lists or of maps, and maps whose values are lists or maps, have no way in; that is said of the schema, before
//! a row is tried.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, DecimalType, Float16Type, Float32Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, LargeBinaryArray, LargeStringArray, ListArray, PrimitiveArray,
    RecordBatch, RecordBatchOptions, StructArray, make_array, new_null_array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow_select::filter::filter_record_batch;

use super::batch::Batch;
use super::dictionary;
use super::fault::{Fault, Reason, RowError};
use super::text::{shown, time_of_day};
use super::types;

/// Fields within fields, at most.
const MAX_DEPTH: usize = 10;
/// Columns, and fields of structs, at most. Items of lists, and keys and values of maps, have no name, and do not count.
const MAX_FIELDS: usize = 2000;

/// The schema that a table's stream is opened with.
pub fn delta_schema(schema: &Schema) -> Result<SchemaRef, Fault> {
    let mut count = 0;
    let told = schema.fields().iter().filter(|field| is_told(field.data_type()));
    let fields = told.map(|field| named_field(field.name(), field, 1, &mut count));
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>, _>>()?)))
}

/// Of which type the table's column is, one of nulls does not know; what is left out is null there.
fn is_told(column: &DataType) -> bool {
    column != &DataType::Null
}

fn named_field(place: &str, field: &Field, depth: usize, count: &mut usize) -> Result<Field, Fault> {
    *count += 1;
    if *count > MAX_FIELDS {
        let problem = format!("a table takes {MAX_FIELDS} fields at most, nested ones included");
        return Err(Fault::schema(format!("column '{place}'"), problem));
    }
    delta_field(place, field, depth, count)
}

fn delta_field(place: &str, field: &Field, depth: usize, count: &mut usize) -> Result<Field, Fault> {
    let wrong = |problem: String| Err(Fault::schema(format!("column '{place}'"), problem));
    if depth > MAX_DEPTH {
        return wrong(format!("a table takes {MAX_DEPTH} fields within each other at most; flatten it"));
    }
    if field.name().is_empty() || !field.name().is_ascii() {
        return wrong("a table takes names of ASCII letters only; rename it".into());
    }
    let is_container =
        |field: &Field| matches!(flat(field.data_type()), DataType::Map(..)) || is_list(field.data_type());
    let target = match flat(field.data_type()) {
        DataType::Null
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Decimal128(..)
        | DataType::Time32(_)
        | DataType::Time64(_) => DataType::LargeUtf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::LargeBinary
        }
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into())),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            if is_container(item) {
                return wrong("a table's stream takes no lists of lists or maps; use objects, or text".into());
            }
            let item = Field::clone(item).with_name("item");
            DataType::List(Arc::new(delta_field(place, &item, depth + 1, count)?))
        }
        DataType::Struct(fields) => {
            let inner =
                fields.iter().map(|field| named_field(&format!("{place}.{}", field.name()), field, depth + 1, count));
            DataType::Struct(inner.collect::<Result<Fields, _>>()?)
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return wrong("a map needs keys and values".into());
            };
            if is_container(&pair[1]) {
                return wrong("a table's stream takes no maps of lists or maps; use objects, or text".into());
            }
            let key = delta_field(place, &Field::clone(&pair[0]).with_name("keys"), depth + 1, count)?;
            let is_key =
                key.data_type().is_integer() || matches!(key.data_type(), DataType::Boolean | DataType::LargeUtf8);
            if !is_key {
                return wrong(format!(
                    "the keys of a map are texts, integers or flags, not {}",
                    types::name(key.data_type())
                ));
            }
            let value = delta_field(place, &Field::clone(&pair[1]).with_name("values"), depth + 1, count)?;
            types::map_of(key.data_type().clone(), value)
        }
        same => same.clone(),
    };
    Ok(Field::new(field.name(), target, field.is_nullable()))
}

/// Without the dictionary.
fn flat(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}

fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

/// The rows that fit, as `delta_schema` has it, and the others' errors.
pub fn cast_to_delta(batch: &Batch) -> Result<(Batch, Vec<RowError>), Fault> {
    let schema = delta_schema(batch.schema())?;
    let (mut parts, mut errors, mut first) = (Vec::new(), Vec::new(), 0);
    for part in batch.parts() {
        let mut good = vec![true; part.num_rows()];
        let mut columns = Vec::new();
        let told = part.columns().iter().filter(|column| is_told(column.data_type()));
        for (field, column) in schema.fields().iter().zip(told) {
            let (column, refused) = cast(column, field.data_type())?;
            columns.push(column);
            for Refused { row, path, value, reason } in refused {
                if std::mem::replace(&mut good[row], false) {
                    let column = format!("{}{path}", field.name());
                    errors.push(RowError { row: first + row, column, value, reason });
                }
            }
        }
        let clean = good.iter().all(|good| *good);
        // A refused value is null for now, where there may be none.
        let open = Schema::new(
            schema.fields().iter().map(|field| Field::clone(field).with_nullable(true)).collect::<Vec<_>>(),
        );
        let rows = RecordBatchOptions::new().with_row_count(Some(part.num_rows()));
        let cast = RecordBatch::try_new_with_options(Arc::new(open), columns, &rows)
            .and_then(|cast| if clean { Ok(cast) } else { filter_record_batch(&cast, &BooleanArray::from(good)) })
            .and_then(|cast| cast.with_schema_unchecked_nulls(&schema));
        parts.push(cast.map_err(|error| Fault::Internal(error.to_string()))?);
        first += part.num_rows();
    }
    errors.sort_by_key(|error| error.row);
    Ok((Batch::new(schema, parts), errors))
}

/// The same columns under a schema that allows fewer nulls; checked anew.
trait Narrower: Sized {
    fn with_schema_unchecked_nulls(self, schema: &SchemaRef) -> Result<Self, ArrowError>;
}

impl Narrower for RecordBatch {
    fn with_schema_unchecked_nulls(self, schema: &SchemaRef) -> Result<Self, ArrowError> {
        let rows = RecordBatchOptions::new().with_row_count(Some(self.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(schema), self.columns().to_vec(), &rows)
    }
}

/// A value that does not fit.
struct Refused {
    row: usize,
    /// From the column to the value.
    path: String,
    value: String,
    reason: Reason,
}

type Cast = (ArrayRef, Vec<Refused>);
type LeafCast = (ArrayRef, Vec<(usize, Reason)>);

fn leaf(array: &ArrayRef, target: &DataType) -> Result<LeafCast, Fault> {
    let fits = |array: ArrayRef| Ok((array, Vec::new()));
    match (array.data_type(), target) {
        (same, target) if same == target => fits(array.clone()),
        (DataType::Null, _) => fits(new_null_array(target, array.len())),
        (DataType::UInt8, _) => Ok(each::<UInt8Type, Int16Type>(array, |value| Ok(value.into()))),
        (DataType::UInt16, _) => Ok(each::<UInt16Type, Int32Type>(array, |value| Ok(value.into()))),
        (DataType::UInt32, _) => Ok(each::<UInt32Type, Int64Type>(array, |value| Ok(value.into()))),
        (DataType::UInt64, _) => Ok(each::<UInt64Type, Int64Type>(array, narrow)),
        (DataType::Float16, _) => Ok(each::<Float16Type, Float32Type>(array, |value| Ok(value.to_f32()))),
        (DataType::Utf8, _) => {
            let texts = array.as_string::<i32>();
            let (offsets, values, nulls) = (wide(texts.offsets()), texts.values().clone(), texts.nulls().cloned());
            fits(Arc::new(LargeStringArray::try_new(offsets, values, nulls).map_err(internal)?))
        }
        (DataType::Utf8View, _) => fits(Arc::new(array.as_string_view().iter().collect::<LargeStringArray>())),
        (DataType::Binary, _) => {
            let bytes = array.as_binary::<i32>();
            let (offsets, values, nulls) = (wide(bytes.offsets()), bytes.values().clone(), bytes.nulls().cloned());
            fits(Arc::new(LargeBinaryArray::try_new(offsets, values, nulls).map_err(internal)?))
        }
        (DataType::BinaryView, _) => fits(Arc::new(array.as_binary_view().iter().collect::<LargeBinaryArray>())),
        (DataType::FixedSizeBinary(_), _) => {
            fits(Arc::new(array.as_fixed_size_binary().iter().collect::<LargeBinaryArray>()))
        }
        (DataType::Decimal128(precision, scale), _) => {
            fits(texts::<Decimal128Type>(array, |value| Decimal128Type::format_decimal(value, *precision, *scale)))
        }
        (DataType::Time32(TimeUnit::Second), _) => fits(texts::<Time32SecondType>(array, |t| clock(t.into(), 1))),
        (DataType::Time32(_), _) => fits(texts::<Time32MillisecondType>(array, |t| clock(t.into(), 1_000))),
        (DataType::Time64(TimeUnit::Microsecond), _) => {
            fits(texts::<Time64MicrosecondType>(array, |t| clock(t, 1_000_000)))
        }
        (DataType::Time64(_), _) => fits(texts::<Time64NanosecondType>(array, |t| clock(t, 1_000_000_000))),
        (DataType::Date64, _) => Ok(each::<Date64Type, Date32Type>(array, |ms| {
            let day = narrow(ms.div_euclid(86_400_000))?;
            if ms.rem_euclid(86_400_000) == 0 { Ok(day) } else { Err(Reason::Fraction) }
        })),
        (DataType::Timestamp(unit, _), DataType::Timestamp(_, zone)) => {
            let times = |factor: i64| move |time: i64| time.checked_mul(factor).ok_or(Reason::Overflow);
            let (array, refused) = match unit {
                TimeUnit::Second => each::<TimestampSecondType, TimestampMicrosecondType>(array, times(1_000_000)),
                TimeUnit::Millisecond => {
                    each::<TimestampMillisecondType, TimestampMicrosecondType>(array, times(1_000))
                }
                TimeUnit::Microsecond => each::<TimestampMicrosecondType, TimestampMicrosecondType>(array, Ok),
                TimeUnit::Nanosecond => each::<TimestampNanosecondType, TimestampMicrosecondType>(array, |time| {
                    if time % 1000 == 0 { Ok(time / 1000) } else { Err(Reason::Fraction) }
                }),
            };
            let zoned = array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(zone.clone());
            Ok((Arc::new(zoned), refused))
        }
        (other, target) => Err(Fault::Internal(format!("a column of {other} as {target}"))),
    }
}

fn internal(error: ArrowError) -> Fault {
    Fault::Internal(error.to_string())
}

fn narrow<A, B: TryFrom<A>>(value: A) -> Result<B, Reason> {
    B::try_from(value).map_err(|_| Reason::Overflow)
}

/// Value by value. A refused one is null for now.
fn each<A, B>(array: &ArrayRef, convert: impl Fn(A::Native) -> Result<B::Native, Reason>) -> LeafCast
where
    A: ArrowPrimitiveType,
    B: ArrowPrimitiveType,
{
    let mut refused = Vec::new();
    let converted = array.as_primitive::<A>().iter().enumerate().map(|(row, value)| match convert(value?) {
        Ok(value) => Some(value),
        Err(reason) => {
            refused.push((row, reason));
            None
        }
    });
    let converted: PrimitiveArray<B> = converted.collect();
    (Arc::new(converted), refused)
}

fn texts<A: ArrowPrimitiveType>(array: &ArrayRef, write: impl Fn(A::Native) -> String) -> ArrayRef {
    Arc::new(array.as_primitive::<A>().iter().map(|value| value.map(&write)).collect::<LargeStringArray>())
}

/// `12:30:15`, with as many digits behind it as the unit has.
fn clock(time: i64, per_second: i64) -> String {
    let mut text = Vec::new();
    time_of_day(&mut text, time, per_second);
    String::from_utf8_lossy(&text).into_owned()
}

fn wide(offsets: &OffsetBuffer<i32>) -> OffsetBuffer<i64> {
    OffsetBuffer::new(offsets.iter().map(|&offset| offset.into()).collect())
}

fn cast(array: &ArrayRef, target: &DataType) -> Result<Cast, Fault> {
    match (array.data_type(), target) {
        (DataType::Dictionary(..), _) => cast(&dictionary::decode(array)?, target),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let columns = array.as_struct();
            let mut refused = Vec::new();
            let mut children = Vec::new();
            for (field, column) in fields.iter().zip(columns.columns()) {
                let (child, inner) = cast(column, field.data_type())?;
                children.push(child);
                // What lies under a null is nobody's.
                let inner = inner.into_iter().filter(|it| columns.is_valid(it.row));
                refused.extend(inner.map(|it| Refused { path: format!(".{}{}", field.name(), it.path), ..it }));
            }
            let (fields, nulls, rows) = (loose_fields(fields), columns.nulls().cloned(), array.len());
            let built = StructArray::try_new_with_length(fields, children, nulls, rows).map_err(internal)?;
            Ok((retyped(Arc::new(built), target), refused))
        }
        (DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..), DataType::List(item)) => {
            let (values, offsets): (ArrayRef, Vec<i32>) = match array.data_type() {
                DataType::List(_) => {
                    let list = array.as_list::<i32>();
                    (list.values().clone(), list.offsets().to_vec())
                }
                DataType::LargeList(_) => {
                    let list = array.as_list::<i64>();
                    let narrow = list.offsets().iter().map(|&offset| i32::try_from(offset)).collect::<Result<_, _>>();
                    let too_many =
                        |_| Fault::Conversion("a column of lists has more than 2^31 items; split the batch".into());
                    (list.values().clone(), narrow.map_err(too_many)?)
                }
                _ => {
                    let list = array.as_fixed_size_list();
                    let length = list.value_length();
                    let first = if array.is_empty() { 0 } else { list.value_offset(0) };
                    let offsets = (0..=array.len() as i32).map(|row| first + row * length).collect();
                    (list.values().clone(), offsets)
                }
            };
            let (items, inner) = cast(&values, item.data_type())?;
            let refused = outward(&offsets, inner, array.nulls(), |place, _| format!("[{place}]"));
            let loose = Arc::new(Field::clone(item).with_nullable(true));
            let list = ListArray::try_new(
                loose,
                OffsetBuffer::new(ScalarBuffer::from(offsets)),
                items,
                array.nulls().cloned(),
            );
            Ok((retyped(Arc::new(list.map_err(internal)?), target), refused))
        }
        (DataType::Map(..), DataType::Map(entries, _)) => {
            let map = array.as_map();
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(Fault::Internal("a map without keys and values".into()));
            };
            let (keys, bad_keys) = cast(map.keys(), pair[0].data_type())?;
            let (values, bad_values) = cast(map.values(), pair[1].data_type())?;
            let offsets = map.offsets().to_vec();
            let mut refused = outward(&offsets, bad_keys, array.nulls(), |place, _| format!("[{place}]"));
            if !bad_values.is_empty() {
                let key = shown(map.keys().as_ref())?;
                let named = |_, entry| format!(".{}", key(entry).trim_matches('"'));
                refused.extend(outward(&offsets, bad_values, array.nulls(), named));
            }
            let inner = StructArray::try_new(loose_fields(pair), vec![keys, values], None).map_err(internal)?;
            let inner = retyped(Arc::new(inner), entries.data_type()).to_data();
            let built = ArrayData::builder(target.clone())
                .len(array.len())
                .add_buffer(map.offsets().inner().inner().clone())
                .add_child_data(inner)
                .nulls(array.nulls().cloned());
            // SAFETY: offsets and nulls are those of the map, and there are as many entries. A refused key is null for
            // as long as its row is there.
            let built = make_array(unsafe { built.build_unchecked() });
            Ok((built, refused))
        }
        _ => {
            let (cast, refused) = leaf(array, target)?;
            if refused.is_empty() {
                return Ok((cast, Vec::new()));
            }
            let value = shown(array.as_ref())?;
            let told = |(row, reason)| Refused { row, path: String::new(), value: value(row), reason };
            Ok((cast, refused.into_iter().map(told).collect()))
        }
    }
}

/// All of them may be null, for as long as refused rows are among the others.
fn loose_fields(fields: &Fields) -> Fields {
    fields.iter().map(|field| Field::clone(field).with_nullable(true)).collect()
}

/// The same data under a type that differs in what may be null; refused rows are left out later.
fn retyped(array: ArrayRef, target: &DataType) -> ArrayRef {
    let data = array.to_data().into_builder().data_type(target.clone());
    // SAFETY: the types have the same form, and whether a child may be null changes nothing of how it is read.
    make_array(unsafe { data.build_unchecked() })
}

/// The rows that refused items belong to; `step` is an item's place in its row, by its own number and that in the array.
fn outward(
    offsets: &[i32],
    items: Vec<Refused>,
    nulls: Option<&NullBuffer>,
    step: impl Fn(usize, usize) -> String,
) -> Vec<Refused> {
    let rows = offsets.len() - 1;
    let found = items.into_iter().filter_map(|item| {
        let row = offsets.partition_point(|&offset| offset as usize <= item.row).checked_sub(1)?;
        let is_ours = row < rows && nulls.is_none_or(|nulls| nulls.is_valid(row));
        let path = || format!("{}{}", step(item.row - offsets[row] as usize, item.row), item.path);
        is_ours.then(|| Refused { row, path: path(), ..item })
    });
    found.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::arrow::{Fault, from_declared};

    fn of(type_name: &str) -> Result<DataType, Fault> {
        let schema = from_declared(&serde_json::json!([{ "name": "c", "type": type_name }]).to_string())?;
        Ok(delta_schema(&schema)?.field(0).data_type().clone())
    }

    #[test]
    fn each_type_has_its_place_in_a_table() {
        for (from, to) in [
            ("list<null>", "list<large-utf8>"),
            ("bool", "bool"),
            ("int8", "int8"),
            ("int64", "int64"),
            ("uint8", "int16"),
            ("uint16", "int32"),
            ("uint32", "int64"),
            ("uint64", "int64"),
            ("float16", "float32"),
            ("float64", "float64"),
            ("decimal(10, 2)", "large-utf8"),
            ("utf8-view", "large-utf8"),
            ("fixed-binary(2)", "large-binary"),
            ("date64", "date32"),
            ("time(ns)", "large-utf8"),
            ("timestamp(s, Europe/Berlin)", "timestamp(us, UTC)"),
            ("timestamp(ns)", "timestamp(us)"),
            ("fixed-list(2)<uint8>", "list<int16>"),
            ("dictionary<utf8>", "large-utf8"),
            ("map<utf8, uint64>", "map<large-utf8, int64>"),
            ("struct<a: list<float16!>>", "struct<a: list<float32!>>"),
        ] {
            assert_eq!(types::name(&of(from).unwrap()), to);
        }
        let deep = format!("{}int8{}", "struct<a: ".repeat(10), ">".repeat(10));
        for bad in [
            "list<list<int8>>",
            "list<map<utf8, int8>>",
            "map<utf8, list<int8>>",
            "map<float64, int8>",
            "struct<\"é\": int8>",
            &deep,
        ] {
            assert!(matches!(of(bad), Err(Fault::Schema { .. })), "{bad}");
        }
    }

    #[test]
    fn only_what_has_a_name_counts_as_a_field() {
        let of = |count: usize, data_type: &DataType| {
            let fields = (0..count).map(|place| Field::new(format!("c{place}"), data_type.clone(), true));
            delta_schema(&Schema::new(fields.collect::<Vec<_>>()))
        };
        for (name, fields) in [
            ("int8", 1),
            ("list<int8>", 1),
            ("map<utf8, int8>", 1),
            ("struct<a: int8>", 2),
            ("list<struct<a: list<int8>, b: int8>>", 3),
        ] {
            let schema = from_declared(&serde_json::json!([{ "name": "c", "type": name }]).to_string()).unwrap();
            let data_type = schema.field(0).data_type();
            assert!(of(MAX_FIELDS / fields, data_type).is_ok(), "{name}");
            assert!(matches!(of(MAX_FIELDS / fields + 1, data_type), Err(Fault::Schema { .. })), "{name}");
        }
    }
}
