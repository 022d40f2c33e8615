//! Dictionaries: values that repeat are there once, and each row has the number of its own.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, DictionaryArray, PrimitiveArray, make_array};
use arrow_buffer::NullBuffer;
use arrow_data::ArrayData;
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType};

use super::fault::Fault;
use super::types;

/// These values as a dictionary of that type; its values are in the order of their first rows.
pub fn encode(values: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, Fault> {
    let DataType::Dictionary(key, _) = data_type else {
        return Err(Fault::Internal(format!("a dictionary as a {data_type}")));
    };
    let data = values.to_data();
    let bytes = bytes_of(values, &data)?;
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    let mut firsts = Vec::new();
    let mut numbers = Vec::with_capacity(values.len());
    for row in 0..values.len() {
        numbers.push(values.is_valid(row).then(|| {
            *known.entry(bytes(row)).or_insert_with(|| {
                firsts.push(Some(row));
                firsts.len() - 1
            })
        }));
    }
    let distinct = picked(&data, &firsts)?;
    let built = match **key {
        DataType::Int8 => keyed::<Int8Type>(&numbers, distinct),
        DataType::Int16 => keyed::<Int16Type>(&numbers, distinct),
        DataType::Int32 => keyed::<Int32Type>(&numbers, distinct),
        DataType::Int64 => keyed::<Int64Type>(&numbers, distinct),
        DataType::UInt8 => keyed::<UInt8Type>(&numbers, distinct),
        DataType::UInt16 => keyed::<UInt16Type>(&numbers, distinct),
        DataType::UInt32 => keyed::<UInt32Type>(&numbers, distinct),
        _ => keyed::<UInt64Type>(&numbers, distinct),
    };
    let built = built.ok_or_else(|| {
        let (count, name) = (firsts.len(), types::name(data_type));
        Fault::Conversion(format!("{count} different values do not become a {name}; take a larger key"))
    })?;
    built.map_err(|error| Fault::Internal(error.to_string()))
}

/// The value of each row.
pub fn decode(array: &dyn Array) -> Result<ArrayRef, Fault> {
    let dictionary = array.as_any_dictionary();
    let keys = dictionary.keys();
    if keys.null_count() == keys.len() {
        return picked(&dictionary.values().to_data(), &vec![None; keys.len()]);
    }
    let numbers = dictionary.normalized_keys().into_iter().enumerate();
    let numbers: Vec<_> = numbers.map(|(row, number)| keys.is_valid(row).then_some(number)).collect();
    picked(&dictionary.values().to_data(), &numbers)
}

/// Bytes that the rows take when each has its own value. In dictionaries and in views any number of rows can name the
/// same bytes.
pub fn written_out(array: &ArrayRef) -> u64 {
    let views = |views: &[u128], nulls: Option<&NullBuffer>| {
        let valid = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
        // The length is what a view begins with.
        let bytes = views.iter().enumerate().filter(|(row, _)| valid(*row)).map(|(_, view)| u64::from(*view as u32));
        bytes.sum::<u64>() + 8 * views.len() as u64
    };
    let items = |values: &ArrayRef, first: usize, end: usize| {
        written_out(&values.slice(first, end - first)) + 8 * array.len() as u64
    };
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let (keys, values) = (dictionary.keys(), dictionary.values());
            if keys.null_count() == keys.len() {
                return 0;
            }
            let sizes: Vec<u64> = (0..values.len()).map(|at| written_out(&values.slice(at, 1))).collect();
            let numbers = dictionary.normalized_keys().into_iter().enumerate();
            numbers.filter(|(row, _)| keys.is_valid(*row)).map(|(_, number)| sizes[number]).sum()
        }
        DataType::Utf8View => views(array.as_string_view().views(), array.nulls()),
        DataType::BinaryView => views(array.as_binary_view().views(), array.nulls()),
        DataType::Struct(_) => array.as_struct().columns().iter().map(written_out).sum(),
        DataType::List(_) => {
            let (list, last) = (array.as_list::<i32>(), array.len());
            items(list.values(), list.offsets()[0] as usize, list.offsets()[last] as usize)
        }
        DataType::LargeList(_) => {
            let (list, last) = (array.as_list::<i64>(), array.len());
            items(list.values(), list.offsets()[0] as usize, list.offsets()[last] as usize)
        }
        DataType::FixedSizeList(..) => {
            items(array.as_fixed_size_list().values(), 0, array.as_fixed_size_list().values().len())
        }
        DataType::Map(..) => {
            let (map, last) = (array.as_map(), array.len());
            let entries: ArrayRef = Arc::new(map.entries().clone());
            items(&entries, map.offsets()[0] as usize, map.offsets()[last] as usize)
        }
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()) as u64,
    }
}

/// Nothing where such a key cannot tell so many values apart.
fn keyed<K: ArrowDictionaryKeyType>(numbers: &[Option<usize>], values: ArrayRef) -> Option<Result<ArrayRef, ArrowError>>
where
    K::Native: TryFrom<usize>,
{
    if let Some(last) = values.len().checked_sub(1) {
        K::Native::try_from(last).ok()?;
    }
    let keys = numbers.iter().map(|number| number.and_then(|number| K::Native::try_from(number).ok()));
    let keys: PrimitiveArray<K> = keys.collect();
    Some(DictionaryArray::try_new(keys, values).map(|array| Arc::new(array) as ArrayRef))
}

/// The values of these rows, each after the other.
fn picked(values: &ArrayData, rows: &[Option<usize>]) -> Result<ArrayRef, Fault> {
    let mut picked = MutableArrayData::new(vec![values], true, rows.len());
    for row in rows {
        let added = match row {
            Some(row) => picked.try_extend(0, *row, row + 1),
            None => picked.try_extend_nulls(1),
        };
        added.map_err(|error| {
            Fault::Conversion(format!("the values of a dictionary, written out: {error}; split the batch"))
        })?;
    }
    Ok(make_array(picked.freeze()))
}

type Bytes<'a> = Box<dyn Fn(usize) -> &'a [u8] + 'a>;

/// What tells a row's value from others.
fn bytes_of<'a>(values: &'a ArrayRef, data: &'a ArrayData) -> Result<Bytes<'a>, Fault> {
    Ok(match values.data_type() {
        DataType::Boolean => {
            let flags = values.as_boolean();
            Box::new(|row| if flags.value(row) { &[1] } else { &[0] })
        }
        DataType::Utf8 => Box::new(|row| values.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => Box::new(|row| values.as_string::<i64>().value(row).as_bytes()),
        DataType::Utf8View => Box::new(|row| values.as_string_view().value(row).as_bytes()),
        DataType::Binary => Box::new(|row| values.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Box::new(|row| values.as_binary::<i64>().value(row)),
        DataType::BinaryView => Box::new(|row| values.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Box::new(|row| values.as_fixed_size_binary().value(row)),
        other => {
            let width = other.primitive_width().ok_or_else(|| Fault::Internal(format!("a dictionary of {other}")))?;
            let bytes = &data.buffers()[0].as_slice()[data.offset() * width..];
            Box::new(move |row| &bytes[row * width..][..width])
        }
    })
}
