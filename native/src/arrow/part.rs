//! A file that was not completed: how much of it is whole, and how it is completed where it lies. That takes the room of
//! the index alone, as the disk may be full.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use arrow_buffer::Buffer;
use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::writer::DictionaryTracker;
use arrow_ipc::{Block, FooterBuilder, MessageHeader, MetadataVersion, root_as_message};
use arrow_schema::SchemaRef;
use flatbuffers::FlatBufferBuilder;

use super::batch::Batch;
use super::ipc::{CONTINUATION, END, MAGIC, beginning, decode, head};

/// What is whole in the bytes of such a file.
pub(super) struct Part {
    /// None where not even that is whole.
    schema: Option<SchemaRef>,
    messages: Vec<(MessageHeader, Block)>,
    /// Its rows.
    pub rows: usize,
    /// So many bytes.
    pub end: usize,
    /// Something is behind it that no crash leaves: whole, and not to be read.
    pub is_damaged: bool,
}

impl Part {
    pub(super) fn of(bytes: &Buffer) -> Part {
        let (messages, mut is_damaged) = messages(bytes);
        let read = |count: usize| {
            let end = count.checked_sub(1).map_or(0, |last| end_of(&messages[last].1));
            decode(bytes.slice_with_length(0, end), u64::MAX).ok()
        };
        // Where some cannot be read, none behind them can.
        let (mut count, mut found) = (messages.len(), read(messages.len()));
        if found.is_none() && count > 0 {
            is_damaged = true;
            let (mut good, mut bad) = (0, count);
            while good + 1 < bad {
                let middle = good.midpoint(bad);
                match read(middle) {
                    Some(batch) => (good, found) = (middle, Some(batch)),
                    None => bad = middle,
                }
            }
            count = good;
        }
        let rows = found.as_ref().map_or(0, Batch::rows);
        let schema = found.map(|batch| batch.schema().clone());
        let messages = messages[..count].to_vec();
        let end = messages.last().map_or(0, |(_, block)| end_of(block));
        Part { schema, messages, rows, end, is_damaged }
    }

    /// Makes it a file that is complete, and on the disk; its size. What is behind the whole goes.
    pub(super) fn complete(&self, file: &mut File) -> std::io::Result<u64> {
        let end = self.end as u64;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        file.write_all(&self.index())?;
        file.sync_all()?;
        file.stream_position()
    }

    /// What stands behind the last batch.
    fn index(&self) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let of_kind = |kind: MessageHeader| -> Vec<Block> {
            self.messages.iter().filter(|(found, _)| *found == kind).map(|(_, block)| *block).collect()
        };
        let dictionaries = builder.create_vector(&of_kind(MessageHeader::DictionaryBatch));
        let batches = builder.create_vector(&of_kind(MessageHeader::RecordBatch));
        // It numbers dictionaries as the writer did.
        let mut tracker = DictionaryTracker::new(true);
        let schema = self.schema.as_ref().map(|schema| {
            let mut encoder = IpcSchemaEncoder::new().with_dictionary_tracker(&mut tracker);
            encoder.schema_to_fb_offset(&mut builder, schema)
        });
        let mut footer = FooterBuilder::new(&mut builder);
        footer.add_version(MetadataVersion::V5);
        schema.into_iter().for_each(|schema| footer.add_schema(schema));
        footer.add_dictionaries(dictionaries);
        footer.add_recordBatches(batches);
        let root = footer.finish();
        builder.finish(root, None);
        let footer = builder.finished_data();
        [&END, footer, &(footer.len() as u32).to_le_bytes(), MAGIC].concat()
    }
}

/// The messages that are whole, and whether what follows them is something else than one that was cut.
fn messages(bytes: &[u8]) -> (Vec<(MessageHeader, Block)>, bool) {
    let mut at = if MAGIC.starts_with(bytes) { bytes.len() } else { beginning(bytes) };
    let mut found = Vec::new();
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        if !rest.starts_with(&CONTINUATION) {
            // Nothing, or room that was never written to.
            let is_cut = CONTINUATION.starts_with(rest) || rest.iter().all(|&byte| byte == 0);
            return (found, !is_cut);
        }
        let Some((head, length)) = head(rest).ok().filter(|(_, length)| *length > 0) else { return (found, false) };
        let Some(metadata) = rest.get(head..head + length) else { return (found, false) };
        let message = root_as_message(metadata).ok();
        let Some((kind, body)) =
            message.and_then(|it| Some((it.header_type(), usize::try_from(it.bodyLength()).ok()?)))
        else {
            return (found, true);
        };
        let Some(next) = (at + head + length).checked_add(body).filter(|next| *next <= bytes.len()) else {
            return (found, false);
        };
        found.push((kind, Block::new(at as i64, (head + length) as i32, body as i64)));
        at = next;
    }
}

fn end_of(block: &Block) -> usize {
    (block.offset() + i64::from(block.metaDataLength()) + block.bodyLength()) as usize
}
