//! Rows in the form in which they travel.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::SendError;
use super::config::Delivery;
use crate::arrow::batch::bytes_of;
use crate::arrow::ipc::tight;
use crate::arrow::{Batch, Descriptor, Layout, RowError, Style, write_text};

/// A call of a record stream takes no more than 10 MiB; a record more fits behind it.
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
            let mut first = 0;
            let parts = batch.parts().iter().map(|part| {
                let rows = (first..first + part.num_rows()).collect();
                first += part.num_rows();
                // The Flight encoder splits by capacity.
                Ok(Part { payload: Payload::Flight(tight(part)?), rows })
            });
            Ok((parts.collect::<Result<_, SendError>>()?, Vec::new()))
        }
        Delivery::Protobuf => protobuf(shape, batch),
        Delivery::Json => Ok((json(batch)?, Vec::new())),
    }
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
    use arrow_array::{ArrayRef, Int64Array};
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
}
