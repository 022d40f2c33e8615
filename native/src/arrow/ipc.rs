//! Arrow IPC, as a stream and as a file, in and out.
//!
//! What must hold:
//! - Bytes may come from anywhere. Every message is looked through before the Arrow library gets it: lengths lie within
//!   the bytes, and what it unpacks to is within the limit. The library then checks each array, always; what panics in it
//!   is an error here.
//! - Nothing is copied where the bytes are aligned and not compressed: the batch then holds them.
//! - Buffers of a batch that was read lie in one allocation, and whoever splits by capacity takes each of them for the
//!   whole: he makes them `tight` first.

use std::cell::Cell;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::ptr::NonNull;
use std::sync::{Arc, Once};

use arrow_array::{Array, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::{FileDecoder, StreamDecoder};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_ipc::{
    Block, CompressionType, Endianness, FieldNode, Footer, Message, MessageHeader, MetadataVersion,
    RecordBatch as RecordBatchMessage, Schema as SchemaMessage, root_as_footer, root_as_message,
};
use arrow_schema::{ArrowError, DataType, FieldRef, SchemaRef};
use serde::Deserialize;

use super::batch::Batch;
use super::fault::Fault;
use super::schema::checked;

/// How a batch is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Message by message.
    #[default]
    Stream,
    /// With an index at its end.
    File,
}

/// How bodies are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Quick.
    Lz4,
    /// Small.
    Zstd,
}

impl Compression {
    /// For the Arrow library.
    pub(super) fn options(self) -> Result<IpcWriteOptions, Fault> {
        let kind = match self {
            Compression::None => None,
            Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
            Compression::Zstd => Some(CompressionType::ZSTD),
        };
        IpcWriteOptions::default().try_with_compression(kind).map_err(|error| Fault::Internal(error.to_string()))
    }
}

/// Writes a batch.
pub fn encode(batch: &Batch, form: Form, compression: Compression) -> Result<Vec<u8>, Fault> {
    let (parts, options, schema) = (batch.writable()?, compression.options()?, batch.schema());
    let room = batch.bytes() + 4096;
    let write = || -> Result<Vec<u8>, ArrowError> {
        match form {
            Form::Stream => {
                let mut writer = StreamWriter::try_new_with_options(Vec::with_capacity(room), schema, options)?;
                parts.iter().try_for_each(|part| writer.write(part))?;
                writer.finish()?;
                writer.into_inner()
            }
            Form::File => {
                let mut writer = FileWriter::try_new_with_options(Vec::with_capacity(room), schema, options)?;
                parts.iter().try_for_each(|part| writer.write(part))?;
                writer.finish()?;
                writer.into_inner()
            }
        }
    };
    write().map_err(|error| Fault::Conversion(format!("the batch cannot be written: {error}")))
}

/// A file begins with it, filled up to how its writer aligns; a stream follows.
pub(super) const MAGIC: &[u8] = b"ARROW1";
const MAX_ALIGNMENT: usize = 64;
pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];
pub(super) const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// A buffer that is packed begins with what it unpacks to; this says that it is not packed.
const NOT_PACKED: i64 = -1;
/// A row may take no byte at all, as in a column of nulls. So many are taken all the same.
const FREE_ROWS: u64 = 1 << 16;
/// No packed buffer unpacks to more than so many times its size without being tried first.
const LZ4_RATIO: u64 = 255;

/// Reads a stream or a file. What it unpacks to takes `max_bytes` at most, also when each row gets its own value.
pub fn decode(bytes: Buffer, max_bytes: u64) -> Result<Batch, Fault> {
    guarded(|| decode_any(bytes, max_bytes))
}

thread_local! {
    /// A panic here is an error of the bytes, and no news.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}
static HOOK: Once = Once::new();

/// The library's decoder is not proven to be without panics, and the bytes may be made to find one.
fn guarded<T>(read: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !EXPECTED.get() {
                others(panic);
            }
        }));
    });
    EXPECTED.set(true);
    let done = catch_unwind(AssertUnwindSafe(read));
    EXPECTED.set(false);
    done.unwrap_or_else(|_| Err(Fault::Ipc("the decoder gave up on it".into())))
}

/// The schema alone, of whatever size the rest is.
pub fn schema_of(bytes: &[u8]) -> Result<SchemaRef, Fault> {
    guarded(|| {
        if let Some(found) = footer(bytes) {
            let (footer, _) = found?;
            return schema_from(footer.version(), footer.schema().ok_or_else(cut)?);
        }
        let rest = &bytes[beginning(bytes)..];
        let (head, length) = head(rest)?;
        let end = head.checked_add(length).and_then(|end| rest.get(..end)).ok_or_else(cut)?.len();
        let message = root_as_message(&rest[head..end]).map_err(|error| Fault::ipc(&error))?;
        let body = usize::try_from(message.bodyLength()).ok().and_then(|body| end.checked_add(body));
        let whole = body.and_then(|end| rest.get(..end)).ok_or_else(cut)?;
        look_through(whole, u64::MAX).map(|looked| looked.schema)
    })
}

fn decode_any(bytes: Buffer, max_bytes: u64) -> Result<Batch, Fault> {
    let limit = max_bytes.max(bytes.len() as u64);
    let batch = match footer(&bytes) {
        Some(found) => decode_file(&bytes, found?, limit)?,
        None => decode_stream(bytes, limit)?,
    };
    let size = batch.written_out();
    if size > limit {
        return Err(Fault::TooLarge { what: "the batch, with its dictionaries and views written out,", size, limit });
    }
    Ok(batch)
}

fn decode_stream(bytes: Buffer, limit: u64) -> Result<Batch, Fault> {
    let mut rest = bytes;
    let begin = beginning(&rest);
    rest.advance(begin);
    let Looked { schema, end, complete, uncounted } = look_through(&rest, limit)?;
    // Of a file that is what is left of its index. Else rows may be in it, which nobody would miss.
    if begin == 0 && rest[end..].iter().any(|&byte| byte != 0) {
        let behind = rest.len() - end;
        return Err(Fault::Ipc(format!("{behind} bytes lie behind its end; give each stream by itself")));
    }
    let rest = counted(rest, uncounted);
    let mut decoder = StreamDecoder::new();
    let mut parts = Vec::new();
    // A stream may end without a mark. The decoder needs one: what has no body is read only when something follows.
    let mark = if complete { None } else { Some(Buffer::from(END)) };
    for mut piece in [Some(rest.slice_with_length(0, end)), mark].into_iter().flatten() {
        while !piece.is_empty() {
            if let Some(part) = decoder.decode(&mut piece).map_err(|error| Fault::ipc(&error))? {
                parts.push(part);
            }
        }
    }
    Ok(Batch::new(schema, parts))
}

/// Where the stream begins.
pub(super) fn beginning(bytes: &[u8]) -> usize {
    if !bytes.starts_with(MAGIC) {
        return 0;
    }
    let mut at = 8.min(bytes.len());
    while at < MAX_ALIGNMENT && bytes.get(at..at + 8).is_some_and(|word| word == [0; 8]) {
        at += 8;
    }
    at
}

fn cut() -> Fault {
    Fault::Ipc("it ends within a message".into())
}

/// What is known of a stream before it is decoded.
struct Looked {
    schema: SchemaRef,
    /// How far the messages reach.
    end: usize,
    /// Whether the mark of the end is among them.
    complete: bool,
    uncounted: Vec<Uncounted>,
}

/// Where it stands how many nulls a column of nulls has, and how many rows it has. `apache-arrow` for JavaScript leaves the
/// number open in slices, and its other readers do not mind.
type Uncounted = (usize, i64);

/// For each node of a batch whether it is a column of nulls.
fn null_nodes<'a>(fields: impl IntoIterator<Item = &'a FieldRef>, nodes: &mut Vec<bool>) {
    for field in fields {
        nodes.push(field.data_type() == &DataType::Null);
        match field.data_type() {
            DataType::Struct(inner) => null_nodes(inner, nodes),
            DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
                null_nodes([inner], nodes);
            }
            DataType::Map(inner, _) => null_nodes([inner], nodes),
            _ => {}
        }
    }
}

fn uncounted_of(bytes: &[u8], message: &Message, nodes: &[bool], found: &mut Vec<Uncounted>) {
    let Some(all) = message.header_as_record_batch().and_then(|batch| batch.nodes()) else { return };
    let begin = all.bytes().as_ptr() as usize - bytes.as_ptr() as usize;
    for (place, node) in all.iter().enumerate() {
        if nodes.get(place) == Some(&true) && node.null_count() < 0 {
            found.push((begin + place * size_of::<FieldNode>() + size_of::<i64>(), node.length()));
        }
    }
}

fn counted(bytes: Buffer, uncounted: Vec<Uncounted>) -> Buffer {
    if uncounted.is_empty() {
        return bytes;
    }
    let mut bytes = bytes.to_vec();
    for (at, nulls) in uncounted {
        bytes[at..at + size_of::<i64>()].copy_from_slice(&nulls.to_le_bytes());
    }
    Buffer::from_vec(bytes)
}

fn look_through(bytes: &[u8], limit: u64) -> Result<Looked, Fault> {
    let mut budget = Budget { used: 0, dictionaries: 0, limit };
    let mut schema = None;
    let mut at = 0;
    let mut complete = false;
    let (mut nodes, mut uncounted) = (Vec::new(), Vec::new());
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (head, length) = head(rest)?;
        if length == 0 {
            at += head;
            complete = true;
            break;
        }
        let metadata = rest.get(head..head + length).ok_or_else(cut)?;
        let message = root_as_message(metadata).map_err(|error| Fault::ipc(&error))?;
        let body_length = usize::try_from(message.bodyLength()).map_err(|_| cut())?;
        let begin = head + length;
        let body = begin.checked_add(body_length).and_then(|end| rest.get(begin..end)).ok_or_else(cut)?;
        if let Some(found) = message.header_as_schema() {
            let found = schema_from(message.version(), found)?;
            nodes.clear();
            null_nodes(found.fields(), &mut nodes);
            schema = Some(found);
        } else {
            budget.message(&message, body)?;
            uncounted_of(bytes, &message, &nodes, &mut uncounted);
        }
        at += begin + body_length;
    }
    let schema = schema.ok_or_else(|| Fault::Ipc("there is no schema in it".into()))?;
    Ok(Looked { schema, end: at, complete, uncounted })
}

fn schema_from(version: MetadataVersion, schema: SchemaMessage) -> Result<SchemaRef, Fault> {
    if version < MetadataVersion::V4 {
        return Err(Fault::Ipc("it is of a version before 0.8; write it anew".into()));
    }
    if schema.endianness() != Endianness::Little {
        return Err(Fault::Ipc("it is big-endian; write it as little-endian".into()));
    }
    checked(fb_to_schema(schema)).map_err(|fault| Fault::Ipc(fault.to_string()))
}

/// The index at the end of a file; none where it is not whole, or no file.
fn footer(bytes: &[u8]) -> Option<Result<(Footer<'_>, usize), Fault>> {
    let end = bytes.len().checked_sub(MAGIC.len() + 4)?;
    if !bytes.starts_with(MAGIC) || !bytes.ends_with(MAGIC) {
        return None;
    }
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().ok()?) as usize;
    let begin = end.checked_sub(length)?;
    Some(root_as_footer(&bytes[begin..end]).map(|footer| (footer, begin)).map_err(|error| Fault::ipc(&error)))
}

/// A file by its index: others write the schema nowhere else.
fn decode_file(bytes: &Buffer, (footer, end): (Footer, usize), limit: u64) -> Result<Batch, Fault> {
    let schema = schema_from(footer.version(), footer.schema().ok_or_else(cut)?)?;
    let mut budget = Budget { used: 0, dictionaries: 0, limit };
    let mut nodes = Vec::new();
    null_nodes(schema.fields(), &mut nodes);
    let mut decoder = FileDecoder::new(Arc::clone(&schema), footer.version());
    let mut look = |block: &Block| -> Result<Buffer, Fault> {
        let number = |number: i64| usize::try_from(number).map_err(|_| cut());
        let (at, body) = (number(block.offset())?, number(block.bodyLength())?);
        let metadata = number(block.metaDataLength().into())?;
        let length = metadata.checked_add(body).ok_or_else(cut)?;
        let inside = at.checked_add(length).is_some_and(|last| last <= end);
        let piece = if inside { bytes.slice_with_length(at, length) } else { return Err(cut()) };
        let (head, length) = head(&piece)?;
        let message = head.checked_add(length).filter(|last| *last <= metadata).and_then(|last| piece.get(head..last));
        let message = root_as_message(message.ok_or_else(cut)?).map_err(|error| Fault::ipc(&error))?;
        budget.message(&message, &piece[metadata..])?;
        let mut uncounted = Vec::new();
        uncounted_of(&piece, &message, &nodes, &mut uncounted);
        Ok(counted(piece, uncounted))
    };
    for block in footer.dictionaries().into_iter().flatten() {
        let piece = look(block)?;
        decoder.read_dictionary(block, &piece).map_err(|error| Fault::ipc(&error))?;
    }
    let mut parts = Vec::new();
    for block in footer.recordBatches().into_iter().flatten() {
        let piece = look(block)?;
        if let Some(part) = decoder.read_record_batch(block, &piece).map_err(|error| Fault::ipc(&error))? {
            parts.push(part);
        }
    }
    Ok(Batch::new(schema, parts))
}

/// The sizes of what stands before a message's metadata, and of these; zero where the stream ends.
pub(super) fn head(rest: &[u8]) -> Result<(usize, usize), Fault> {
    let number = |at: usize| -> Result<[u8; 4], Fault> {
        let found = rest.get(at..at + 4).ok_or_else(cut)?;
        found.try_into().map_err(|_| cut())
    };
    // Before 0.15 there was no mark before the length.
    let (head, length) = match number(0)? {
        CONTINUATION => (8, number(4)?),
        length => (4, length),
    };
    Ok((head, u32::from_le_bytes(length) as usize))
}

struct Budget {
    used: u64,
    dictionaries: u64,
    limit: u64,
}

impl Budget {
    fn charge(&mut self, bytes: u64) -> Result<(), Fault> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.limit {
            return Err(Fault::TooLarge { what: "the unpacked batch", size: self.used, limit: self.limit });
        }
        Ok(())
    }

    /// A message that is no schema.
    fn message(&mut self, message: &Message, body: &[u8]) -> Result<(), Fault> {
        match message.header_type() {
            MessageHeader::RecordBatch => self.batch(message.header_as_record_batch().ok_or_else(cut)?, body),
            MessageHeader::DictionaryBatch => {
                let dictionary = message.header_as_dictionary_batch().ok_or_else(cut)?;
                if dictionary.isDelta() {
                    // All that is known so far is copied to add to it.
                    self.charge(self.dictionaries)?;
                }
                let before = self.used;
                self.batch(dictionary.data().ok_or_else(cut)?, body)?;
                self.dictionaries += self.used - before;
                Ok(())
            }
            other => Err(Fault::Ipc(format!("it has a message of kind {other:?}"))),
        }
    }

    fn batch(&mut self, batch: RecordBatchMessage, body: &[u8]) -> Result<(), Fault> {
        let damaged = || Fault::Ipc("a buffer lies outside of its message".into());
        let before = self.used;
        let compression = batch.compression().map(|compression| compression.codec());
        for buffer in batch.buffers().into_iter().flatten() {
            let begin = usize::try_from(buffer.offset()).map_err(|_| damaged())?;
            let length = usize::try_from(buffer.length()).map_err(|_| damaged())?;
            let end = begin.checked_add(length).ok_or_else(damaged)?;
            let bytes = body.get(begin..end).ok_or_else(damaged)?;
            match compression {
                Some(codec) if !bytes.is_empty() => self.packed(codec, bytes)?,
                _ => self.charge(length as u64)?,
            }
        }
        let rows = u64::try_from(batch.length()).map_err(|_| damaged())?;
        let room = (self.used - before).saturating_mul(8).saturating_add(FREE_ROWS);
        if rows > room {
            return Err(Fault::Ipc(format!("a batch says that it has {rows} rows, and has no bytes for them")));
        }
        Ok(())
    }

    fn packed(&mut self, codec: CompressionType, bytes: &[u8]) -> Result<(), Fault> {
        let Some((prefix, packed)) = bytes.split_first_chunk::<8>() else {
            return Err(Fault::Ipc("a packed buffer is too short".into()));
        };
        let size = match i64::from_le_bytes(*prefix) {
            NOT_PACKED => packed.len() as u64,
            size => u64::try_from(size).map_err(|_| Fault::Ipc("a packed buffer has a negative size".into()))?,
        };
        self.charge(size)?;
        // The library unpacks zstd to no more than the size, but LZ4 as far as it goes.
        let could_be = (packed.len() as u64).saturating_mul(LZ4_RATIO);
        if codec == CompressionType::LZ4_FRAME && could_be > self.limit - self.used {
            let mut frame = lz4_flex::frame::FrameDecoder::new(packed).take(size + 1);
            let real = std::io::copy(&mut frame, &mut std::io::sink()).map_err(|error| Fault::ipc(&error))?;
            if real > size {
                return Err(Fault::Ipc("a packed buffer is larger than it says".into()));
            }
        }
        Ok(())
    }
}

/// The same rows in buffers that know their own size.
pub(super) fn tight(batch: &RecordBatch) -> Result<RecordBatch, Fault> {
    let columns = batch.columns().iter().map(|column| make_array(tight_data(column.to_data()))).collect();
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &rows).map_err(|error| Fault::ipc(&error))
}

fn tight_buffer(buffer: &Buffer) -> Buffer {
    let Some(place) = NonNull::new(buffer.as_ptr().cast_mut()) else { return buffer.clone() };
    // SAFETY: the bytes are those of `buffer`, which the new one keeps alive.
    unsafe { Buffer::from_custom_allocation(place, buffer.len(), Arc::new(buffer.clone())) }
}

fn tight_data(data: ArrayData) -> ArrayData {
    let buffers = data.buffers().iter().map(tight_buffer).collect();
    let children = data.child_data().iter().cloned().map(tight_data).collect();
    let nulls = data.nulls().map(|nulls| {
        let bits = BooleanBuffer::new(tight_buffer(nulls.buffer()), nulls.offset(), nulls.len());
        NullBuffer::new(bits)
    });
    let rebuilt = data.into_builder().buffers(buffers).child_data(children).nulls(nulls);
    // SAFETY: each buffer has the bytes and the length that it had in the array, which was checked.
    unsafe { rebuilt.build_unchecked() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn sample(rows: i64) -> Batch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let texts: ArrayRef =
            Arc::new(StringArray::from_iter((0..rows).map(|row| (row % 3 > 0).then_some("some text"))));
        let batch = RecordBatch::try_from_iter_with_nullable([("n", numbers, false), ("t", texts, true)]).unwrap();
        Batch::new(batch.schema(), vec![batch])
    }

    #[test]
    fn what_is_written_is_read_without_a_copy() {
        let batch = sample(1000);
        for form in [Form::Stream, Form::File] {
            for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
                let bytes = Buffer::from(encode(&batch, form, compression).unwrap());
                let read = decode(bytes.clone(), 1 << 20).unwrap();
                assert_eq!(read.whole().unwrap(), batch.whole().unwrap());
                if compression == Compression::None {
                    let inside = bytes.as_ptr_range();
                    let tight = tight(&read.parts()[0]).unwrap();
                    let data = tight.column(0).to_data();
                    assert!(inside.contains(&data.buffers()[0].as_ptr()));
                    assert_eq!(data.buffers()[0].capacity(), data.buffers()[0].len());
                    assert_eq!(tight, read.parts()[0]);
                }
            }
        }
    }

    #[test]
    fn a_stream_may_end_without_a_mark_but_not_within_a_message() {
        let bytes = encode(&sample(10), Form::Stream, Compression::None).unwrap();
        let whole = bytes.len() - END.len();
        assert_eq!(decode(Buffer::from(&bytes[..whole]), 1 << 20).unwrap().rows(), 10);
        for end in 0..whole {
            // The schema alone is a batch without rows.
            if let Ok(read) = decode(Buffer::from(&bytes[..end]), 1 << 20) {
                assert_eq!(read.rows(), 0);
            }
        }
        let empty = encode(&sample(0), Form::Stream, Compression::None).unwrap();
        assert_eq!(decode(Buffer::from(&empty[..]), 1 << 20).unwrap().rows(), 0);
    }

    #[test]
    fn rows_that_name_one_value_count_as_if_each_had_its_own() {
        let (text, rows) = ("x".repeat(1000), 10_000);
        let values = Arc::new(StringArray::from(vec![Some(&text[..]), None]));
        let named = |row: i32| (row % 10 > 0).then_some(row % 2);
        let keys = arrow_array::Int32Array::from_iter((0..rows).map(named));
        let dictionary: ArrayRef = Arc::new(arrow_array::DictionaryArray::new(keys, values));
        let mut views = arrow_array::builder::StringViewBuilder::new();
        let block = views.append_block(Buffer::from(text.as_bytes()));
        (0..rows).for_each(|_| views.try_append_view(block, 0, 1000).unwrap());
        let views: ArrayRef = Arc::new(views.finish());
        let offsets = arrow_buffer::OffsetBuffer::from_lengths(vec![5; rows as usize / 5]);
        let item = Arc::new(arrow_schema::Field::new("item", dictionary.data_type().clone(), true));
        let list: ArrayRef = Arc::new(arrow_array::ListArray::new(item, offsets, dictionary.clone(), None));
        for (column, least) in [(dictionary, 4_000_000), (list, 4_000_000), (views, 10_000_000)] {
            let batch = RecordBatch::try_from_iter_with_nullable([("t", column, true)]).unwrap();
            let bytes = Buffer::from(
                encode(&Batch::new(batch.schema(), vec![batch]), Form::Stream, Compression::None).unwrap(),
            );
            assert!(bytes.len() < 1 << 18);
            for limit in [1 << 18, least - 1] {
                assert!(matches!(decode(bytes.clone(), limit), Err(Fault::TooLarge { .. })));
            }
            assert!(decode(bytes, 2 * least).is_ok());
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7; 1 << 20]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let batch = Batch::new(batch.schema(), vec![batch]);
        for compression in [Compression::Lz4, Compression::Zstd] {
            let bytes = encode(&batch, Form::Stream, compression).unwrap();
            assert!(bytes.len() < 1 << 16);
            assert!(matches!(decode(Buffer::from(&bytes[..]), 1 << 20), Err(Fault::TooLarge { .. })));
            assert_eq!(decode(Buffer::from(&bytes[..]), 1 << 24).unwrap().rows(), 1 << 20);
            // One that says less than it holds.
            let size = (8u64 << 20).to_le_bytes();
            let at = bytes.windows(8).position(|bytes| bytes == size).unwrap();
            let mut lying = bytes.clone();
            lying[at..at + 8].copy_from_slice(&64u64.to_le_bytes());
            assert!(matches!(decode(Buffer::from(lying), 1 << 20), Err(Fault::Ipc(_))));
        }
    }
}
