//! A batch: rows of one schema, in one part or several. Parts are shared, not copied.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, FieldRef, SchemaRef};
use arrow_select::concat::concat;

use super::dictionary;
use super::fault::Fault;
use super::schema::describe;

/// Rows of one schema.
#[derive(Clone, Debug)]
pub struct Batch {
    schema: SchemaRef,
    parts: Vec<RecordBatch>,
}

impl Batch {
    /// Of parts that have this schema.
    pub fn new(schema: SchemaRef, parts: Vec<RecordBatch>) -> Self {
        let parts = parts.into_iter().filter(|part| part.num_rows() > 0).collect();
        Batch { schema, parts }
    }

    /// Behind each other.
    pub fn join(schema: SchemaRef, batches: &[Batch]) -> Result<Self, Fault> {
        if let Some(other) = batches.iter().find(|batch| batch.schema != schema) {
            return Err(Fault::OtherSchema { found: describe(&other.schema), wanted: describe(&schema) });
        }
        Ok(Batch::new(schema, batches.iter().flat_map(|batch| batch.parts.iter().cloned()).collect()))
    }

    /// Its columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Its parts, none of them empty.
    pub fn parts(&self) -> &[RecordBatch] {
        &self.parts
    }

    /// So many rows.
    pub fn rows(&self) -> usize {
        self.parts.iter().map(RecordBatch::num_rows).sum()
    }

    /// Bytes that its rows take in memory.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(bytes_of).sum()
    }

    /// Bytes that they take when each row has its own: with its dictionaries and views written out.
    pub fn written_out(&self) -> u64 {
        self.parts.iter().flat_map(RecordBatch::columns).map(dictionary::written_out).sum()
    }

    /// Some of its rows, without a copy.
    pub fn slice(&self, from: usize, count: usize) -> Batch {
        let (mut skip, mut left) = (from, count);
        let mut parts = Vec::new();
        for part in &self.parts {
            let begin = skip.min(part.num_rows());
            let take = left.min(part.num_rows() - begin);
            if take > 0 {
                parts.push(part.slice(begin, take));
            }
            skip -= begin;
            left -= take;
        }
        Batch::new(Arc::clone(&self.schema), parts)
    }

    /// In one part.
    pub fn whole(&self) -> Result<RecordBatch, Fault> {
        match &self.parts[..] {
            [part] => Ok(part.clone()),
            [] => Ok(RecordBatch::new_empty(Arc::clone(&self.schema))),
            parts => joined(&self.schema, parts),
        }
    }

    /// In as few parts as can be written: each part may have its own dictionaries, a file has one of each.
    pub(super) fn writable(&self) -> Result<Vec<RecordBatch>, Fault> {
        let has_dictionary = self.schema.fields().iter().any(|field| has_dictionary(field.data_type()));
        if has_dictionary && self.parts.len() > 1 { Ok(vec![self.whole()?]) } else { Ok(self.parts.clone()) }
    }
}

/// Column by column, so that the one that cannot be joined is named.
fn joined(schema: &SchemaRef, parts: &[RecordBatch]) -> Result<RecordBatch, Fault> {
    let column = |(place, field): (usize, &FieldRef)| {
        let pieces: Vec<&dyn Array> = parts.iter().map(|part| part.column(place).as_ref()).collect();
        let joined = match concat(&pieces) {
            // It may take a value twice, for which the dictionary may have no room, though it has for all of them.
            Err(ArrowError::DictionaryKeyOverflowError) if matches!(field.data_type(), DataType::Dictionary(..)) => {
                encoded_anew(&pieces, field.data_type())
            }
            joined => joined.map_err(too_large),
        };
        joined.map_err(|fault| fault.in_column(field.name()))
    };
    let columns = schema.fields().iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
    let rows = parts.iter().map(RecordBatch::num_rows).sum();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| Fault::Internal(error.to_string()))
}

fn encoded_anew(pieces: &[&dyn Array], data_type: &DataType) -> Result<ArrayRef, Fault> {
    let values = pieces.iter().map(|piece| dictionary::decode(*piece)).collect::<Result<Vec<_>, _>>()?;
    let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
    dictionary::encode(&concat(&values).map_err(too_large)?, data_type)
}

fn too_large(error: ArrowError) -> Fault {
    let way_out = match error {
        ArrowError::DictionaryKeyOverflowError => "take a larger key for its dictionary, or smaller batches",
        _ => "take smaller batches",
    };
    Fault::Conversion(format!("{error}; {way_out}"))
}

/// Bytes that the rows of a part take in memory.
pub(super) fn bytes_of(part: &RecordBatch) -> usize {
    let of_column =
        |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size());
    part.columns().iter().map(of_column).sum()
}

fn has_dictionary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(..) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_dictionary(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_dictionary(field.data_type())),
        _ => false,
    }
}
