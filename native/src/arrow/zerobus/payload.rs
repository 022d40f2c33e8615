//! Rows in the form in which they travel.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, make_array};
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType, SchemaRef};

use super::SendError;
use super::config::Delivery;
use crate::arrow::batch::bytes_of;
use crate::arrow::ipc::tight;
use crate::arrow::{Batch, Descriptor, Layout, RowError, Style, write_text};

/// A call of a record stream takes no more than 10 MiB; a record more fits behind it. Nor is more of a batch handed over at once: each such part
/// that arrives shows that the line advances.
const MAX_CALL: usize = 4 << 20;

/// Rows that travel together.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    /// By Arrow Flight.
    Flight(RecordBatch),
    /// Protobuf records.
    Protobuf(Vec<Vec<u8>>),
    /// JSON records.
    Json(Vec<String>),
}

impl Payload {
    pub(super) fn rows(&self) -> usize {
        match self {
            Payload::Flight(batch) => batch.num_rows(),
            Payload::Protobuf(records) => records.len(),
            Payload::Json(records) => records.len(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Payload::Flight(batch) => bytes_of(batch),
            Payload::Protobuf(records) => records.iter().map(Vec::len).sum(),
            Payload::Json(records) => records.iter().map(String::len).sum(),
        }
    }

    /// Some of its rows.
    pub(super) fn slice(&self, from: usize, count: usize) -> Payload {
        match self {
            Payload::Flight(batch) => Payload::Flight(batch.slice(from, count)),
            Payload::Protobuf(records) => Payload::Protobuf(records[from..from + count].to_vec()),
            Payload::Json(records) => Payload::Json(records[from..from + count].to_vec()),
        }
    }
}

/// What a stream is opened with.
#[derive(Clone)]
pub(super) struct Shape {
    pub schema: SchemaRef,
    pub descriptor: Option<Arc<Descriptor>>,
}

impl Shape {
    pub(super) fn of(delivery: Delivery, schema: &SchemaRef) -> Result<Self, SendError> {
        let descriptor = match delivery {
            Delivery::Protobuf => Some(Arc::new(Descriptor::new(schema)?)),
            Delivery::Flight | Delivery::Json => None,
        };
        Ok(Shape { schema: schema.clone(), descriptor })
    }
}

/// A part of a batch on its way: its rows' numbers in the batch, as records may be left out.
pub(super) struct Part {
    pub payload: Payload,
    pub rows: Vec<usize>,
}

/// A batch in parts, and the rows that cannot travel.
pub(super) fn split(delivery: Delivery, shape: &Shape, batch: &Batch) -> Result<(Vec<Part>, Vec<RowError>), SendError> {
    match delivery {
        Delivery::Flight => {
            let (mut first, mut parts) = (0, Vec::new());
            for part in batch.parts().iter().flat_map(in_pieces) {
                let rows = (first..first + part.num_rows()).collect();
                first += part.num_rows();
                // The Flight encoder splits by capacity.
                parts.push(Part { payload: Payload::Flight(tight(&part)?), rows });
            }
            Ok((parts, Vec::new()))
        }
        Delivery::Protobuf => protobuf(shape, batch),
        Delivery::Json => Ok((json(batch)?, Vec::new())),
    }
}

/// Of about the same number of rows each.
fn in_pieces(part: &RecordBatch) -> Vec<RecordBatch> {
    let pieces = bytes_of(part).div_ceil(MAX_CALL).clamp(1, part.num_rows().max(1));
    if pieces == 1 {
        return vec![part.clone()];
    }
    let rows = part.num_rows().div_ceil(pieces);
    let starts = (0..part.num_rows()).step_by(rows);
    starts.map(|first| apart(&part.slice(first, rows.min(part.num_rows() - first)))).collect()
}

/// A slice without the texts of other rows, whose bytes would count for it, too.
fn apart(slice: &RecordBatch) -> RecordBatch {
    let column = |column: &ArrayRef| {
        let kind = column.data_type();
        if kind.is_primitive() || *kind == DataType::Boolean {
            return Ok(column.clone());
        }
        let data = column.to_data();
        let mut copy = MutableArrayData::new(vec![&data], false, data.len());
        copy.try_extend(0, 0, data.len())?;
        Ok(make_array(copy.freeze()))
    };
    let columns: Result<Vec<ArrayRef>, ArrowError> = slice.columns().iter().map(column).collect();
    columns.and_then(|columns| RecordBatch::try_new(slice.schema(), columns)).unwrap_or_else(|_| slice.clone())
}

fn protobuf(shape: &Shape, batch: &Batch) -> Result<(Vec<Part>, Vec<RowError>), SendError> {
    let Some(descriptor) = &shape.descriptor else {
        return Err(SendError::Internal("a stream of Protobuf records has no descriptor".into()));
    };
    let (mut first, mut records, mut errors) = (0, Vec::new(), Vec::new());
    for part in batch.parts() {
        let (encoded, refused) = descriptor.encode(part, first)?;
        records.extend(encoded);
        errors.extend(refused);
        first += part.num_rows();
    }
    let mut left_out = errors.iter().map(|error| error.row).peekable();
    let kept = (0..first).filter(|row| left_out.next_if_eq(row).is_none());
    let parts = chunks(kept.zip(records), Vec::len);
    Ok((parts.map(|(rows, records)| Part { payload: Payload::Protobuf(records), rows }).collect(), errors))
}

fn json(batch: &Batch) -> Result<Vec<Part>, SendError> {
    // The other side takes no ISO 8601.
    let style = Style { layout: Layout::Lines, quote_int64: false, numeric_times: true };
    let (mut at, mut lines) = (0, Vec::new());
    while at < batch.rows() {
        let (text, next) = write_text(batch, at, MAX_CALL, style)?;
        let text = String::from_utf8(text).map_err(|error| SendError::Internal(error.to_string()))?;
        lines.extend(text.lines().map(str::to_owned));
        at = next;
    }
    let parts = chunks(lines.into_iter().enumerate(), String::len);
    Ok(parts.map(|(rows, records)| Part { payload: Payload::Json(records), rows }).collect())
}

/// Records in parts that a call takes.
fn chunks<T>(
    records: impl Iterator<Item = (usize, T)>,
    size: impl Fn(&T) -> usize,
) -> impl Iterator<Item = (Vec<usize>, Vec<T>)> {
    let mut parts: Vec<(Vec<usize>, Vec<T>)> = Vec::new();
    let mut bytes = 0;
    for (row, record) in records {
        let length = size(&record);
        bytes += length;
        match parts.last_mut() {
            Some((rows, chunk)) if bytes <= MAX_CALL => {
                rows.push(row);
                chunk.push(record);
            }
            _ => {
                bytes = length;
                parts.push((vec![row], vec![record]));
            }
        }
    }
    parts.into_iter()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow_array::{Int64Array, LargeStringArray};
    use arrow_buffer::Buffer;

    use super::*;
    use crate::arrow::{Compression, Form, decode, encode};

    #[test]
    fn what_was_read_travels_in_buffers_of_their_own_size() {
        let columns = ["a", "b"].map(|name| (name, Arc::new(Int64Array::from_iter_values(0..1000)) as ArrayRef));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let batch = Batch::new(batch.schema(), vec![batch]);
        let bytes = encode(&batch, Form::Stream, Compression::None).unwrap();
        let read = decode(Buffer::from(&bytes[..]), 1 << 20).unwrap();
        let shape = Shape::of(Delivery::Flight, read.schema()).unwrap();
        let (parts, _) = split(Delivery::Flight, &shape, &read).unwrap();
        let Payload::Flight(sent) = &parts[0].payload else { panic!("{:?}", parts[0].payload) };
        assert_eq!(sent, &batch.parts()[0]);
        assert!(sent.get_array_memory_size() < 2 * 2 * 8000);
        assert!(read.parts()[0].get_array_memory_size() >= 2 * bytes.len());
    }

    #[test]
    fn a_large_batch_travels_in_parts_of_their_own_size() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100_000));
        let texts: ArrayRef = Arc::new((0..100_000).map(|id| Some(format!("{id:0100}"))).collect::<LargeStringArray>());
        let batch = RecordBatch::try_from_iter([("number", numbers), ("text", texts)]).unwrap();
        let whole = Batch::new(batch.schema(), vec![batch.clone()]);
        let shape = Shape::of(Delivery::Flight, whole.schema()).unwrap();
        let (parts, _) = split(Delivery::Flight, &shape, &whole).unwrap();
        assert_eq!(parts.len(), 3);
        let mut first = 0;
        for Part { payload, rows } in parts {
            let Payload::Flight(part) = payload else { panic!() };
            assert_eq!((rows[0], rows.len()), (first, part.num_rows()));
            assert_eq!(part, batch.slice(first, rows.len()));
            assert!(part.get_array_memory_size() < MAX_CALL + MAX_CALL / 8);
            first += rows.len();
        }
        assert_eq!(first, 100_000);
    }
}
