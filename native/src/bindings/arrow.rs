//! `arrow` for Node.js. Rows cross packed, batches as handles or IPC bytes; all work is done off the JavaScript thread.

use std::ops::Deref;
use std::panic::RefUnwindSafe;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::SchemaRef;
use napi::bindgen_prelude::{AsyncTask, Buffer, ClassInstance, spawn_blocking};
use napi_derive::napi;
use serde::Deserialize;

use super::coded::Coded;
use super::work::{Work, work};
use crate::arrow::{
    Batch, Compression, Descriptor, FileOptions, FileWriter, Form, Layout, Reader, Reason, Recovered, RowError,
    RowKind, Style, Tag, Unknown, WrittenFile, cast_to_delta, convert, decode, describe, encode, from_declared, infer,
    schema_of, to_declared, to_ipc, write_text,
};
use crate::error::{EngineError, ErrorCode};
use crate::options::from_json;

/// The names behind the numbers that cross.
#[napi(object)]
pub struct ArrowProtocol {
    pub tags: Vec<String>,
    pub rows: Vec<String>,
    pub reasons: Vec<String>,
    /// What each of them means.
    pub words: Vec<String>,
}

#[napi]
pub fn arrow_protocol() -> ArrowProtocol {
    ArrowProtocol {
        tags: Tag::ALL.iter().map(|(_, name)| (*name).into()).collect(),
        rows: RowKind::ALL.iter().map(|(_, name)| (*name).into()).collect(),
        reasons: Reason::ALL.iter().map(|reason| reason.name().into()).collect(),
        words: Reason::ALL.iter().map(|reason| reason.words().into()).collect(),
    }
}

async fn blocking<T, E>(call: impl FnOnce() -> Result<T, E> + Send + 'static) -> Coded<T>
where
    T: Send + 'static,
    E: Into<EngineError> + Send + 'static,
{
    let called = spawn_blocking(move || call().map_err(Into::into));
    Coded(called.await.unwrap_or_else(|panic| Err(EngineError::internal(&panic))))
}

/// A row that did not become part of a batch.
#[napi(object)]
pub struct ArrowRowError {
    pub row: u32,
    pub column: String,
    pub reason: u32,
    /// Shortened; none where JavaScript has it.
    pub value: Option<String>,
}

impl From<RowError> for ArrowRowError {
    fn from(error: RowError) -> Self {
        let RowError { row, column, value, reason } = error;
        let value = (!value.is_empty()).then_some(value);
        ArrowRowError { row: row as u32, column, reason: reason as u32, value }
    }
}

/// What became of packed rows.
#[napi(object, object_from_js = false)]
pub struct ArrowPacked {
    pub batch: ArrowBatch,
    pub errors: Vec<ArrowRowError>,
}

/// Some rows as text.
#[napi(object)]
pub struct ArrowText {
    pub text: Buffer,
    /// The row that the next piece begins with.
    pub next: u32,
}

/// Protobuf records, one a row.
#[napi(object)]
pub struct ArrowRecords {
    /// A serialised `DescriptorProto`.
    pub descriptor: Buffer,
    pub records: Vec<Buffer>,
    pub errors: Vec<ArrowRowError>,
}

/// Columns with their types.
#[napi]
pub struct ArrowSchema {
    pub(super) schema: SchemaRef,
}

#[napi]
impl ArrowSchema {
    /// `declared` is JSON: a list of columns, or Arrow's form.
    #[napi(catch_unwind)]
    pub fn declare(declared: String) -> Coded<ArrowSchema> {
        Coded::of(|| from_declared(&declared).map(|schema| ArrowSchema { schema }))
    }

    /// From rows that were packed as objects.
    #[napi]
    pub async fn infer(values: Buffer, text: Buffer, rows: u32) -> Coded<ArrowSchema> {
        blocking(move || infer(rows as usize, &mut Reader::new(&values, &text)?).map(|schema| ArrowSchema { schema }))
            .await
    }

    /// A stream with this schema and no batch.
    #[napi(catch_unwind)]
    pub fn to_ipc(&self) -> Coded<Buffer> {
        Coded::of(|| to_ipc(&self.schema).map(Buffer::from))
    }

    /// The list of columns, as JSON.
    #[napi(catch_unwind)]
    pub fn to_declared(&self) -> Coded<String> {
        Coded::of(|| to_declared(&self.schema))
    }

    /// In words.
    #[napi(catch_unwind)]
    pub fn describe(&self) -> String {
        describe(&self.schema)
    }

    #[napi(catch_unwind)]
    pub fn equals(&self, other: &ArrowSchema) -> bool {
        self.schema == other.schema
    }
}

/// A Buffer of JavaScript that a batch holds on to.
struct Owned(#[expect(dead_code, reason = "it keeps the bytes alive")] Buffer);

// Nothing is changed through it, so nothing can be seen half done after a panic.
impl RefUnwindSafe for Owned {}

/// The bytes as they lie in JavaScript: whoever hands them over must not change them any more.
fn borrowed(buffer: Buffer) -> arrow_buffer::Buffer {
    let bytes: &[u8] = buffer.deref();
    let (place, length) = (NonNull::from(bytes).cast::<u8>(), bytes.len());
    if length == 0 {
        return arrow_buffer::Buffer::from(&[][..]);
    }
    // SAFETY: the bytes live as long as the napi reference, which moves into the allocation.
    unsafe { arrow_buffer::Buffer::from_custom_allocation(place, length, Arc::new(Owned(buffer))) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TextOptions {
    layout: Layout,
    max_bytes: usize,
    quote_int64: bool,
}

/// Rows of one schema.
#[napi]
pub struct ArrowBatch {
    pub(super) batch: Batch,
}

#[napi]
impl ArrowBatch {
    /// Rows as the library packs them.
    #[napi(ts_return_type = "Promise<Coded<ArrowPacked>>")]
    pub fn pack(
        schema: &ArrowSchema,
        values: Buffer,
        text: Buffer,
        rows: u32,
        ignore_unknown: bool,
    ) -> AsyncTask<Work<ArrowPacked>> {
        let schema = Arc::clone(&schema.schema);
        let unknown = if ignore_unknown { Unknown::Ignore } else { Unknown::Refuse };
        work(move || {
            let (part, errors) = convert(&schema, rows as usize, &mut Reader::new(&values, &text)?, unknown)?;
            let batch = ArrowBatch { batch: Batch::new(Arc::clone(&schema), vec![part]) };
            Ok(ArrowPacked { batch, errors: errors.into_iter().map(Into::into).collect() })
        })
    }

    /// An IPC stream or file. The batch may keep the bytes: they must not change any more, unless `copy`.
    #[napi(ts_return_type = "Promise<Coded<ArrowBatch>>")]
    pub fn from_ipc(bytes: Buffer, copy: bool, max_bytes: i64) -> AsyncTask<Work<ArrowBatch>> {
        let mut given = Some(bytes);
        work(move || {
            let bytes = match copy {
                true => arrow_buffer::Buffer::from(given.as_deref().unwrap_or_default()),
                false => given.take().map(borrowed).unwrap_or_default(),
            };
            Ok(decode(bytes, max_bytes.max(0) as u64).map(|batch| ArrowBatch { batch })?)
        })
    }

    /// Batches of one schema behind each other.
    #[napi(catch_unwind)]
    pub fn join(schema: &ArrowSchema, batches: Vec<ClassInstance<ArrowBatch>>) -> Coded<ArrowBatch> {
        Coded::of(|| {
            let batches: Vec<Batch> = batches.iter().map(|it| it.batch.clone()).collect();
            Batch::join(Arc::clone(&schema.schema), &batches).map(|batch| ArrowBatch { batch })
        })
    }

    #[napi(getter)]
    pub fn num_rows(&self) -> u32 {
        self.batch.rows() as u32
    }

    #[napi(getter)]
    pub fn byte_length(&self) -> i64 {
        self.batch.bytes() as i64
    }

    #[napi(catch_unwind)]
    pub fn schema(&self) -> ArrowSchema {
        ArrowSchema { schema: Arc::clone(self.batch.schema()) }
    }

    /// Some of its rows, without a copy.
    #[napi(catch_unwind)]
    pub fn slice(&self, from: u32, count: u32) -> ArrowBatch {
        ArrowBatch { batch: self.batch.slice(from as usize, count as usize) }
    }

    /// `form`: `stream` or `file`; `compression`: `none`, `lz4` or `zstd`.
    #[napi(ts_return_type = "Promise<Coded<Buffer>>")]
    pub fn to_ipc(&self, form: String, compression: String) -> AsyncTask<Work<Buffer>> {
        let batch = self.batch.clone();
        work(move || {
            let form: Form = from_json(&format!("{form:?}"))?;
            let compression: Compression = from_json(&format!("{compression:?}"))?;
            Ok(Buffer::from(encode(&batch, form, compression)?))
        })
    }

    /// Rows from a number on, as JSON; `options` is JSON.
    #[napi(ts_return_type = "Promise<Coded<ArrowText>>")]
    pub fn text(&self, from: u32, options: String) -> AsyncTask<Work<ArrowText>> {
        let batch = self.batch.clone();
        work(move || {
            let TextOptions { layout, max_bytes, quote_int64 } = from_json(&options)?;
            let (text, next) =
                write_text(&batch, from as usize, max_bytes, Style { layout, quote_int64, numeric_times: false })?;
            Ok(ArrowText { text: text.into(), next: next as u32 })
        })
    }

    /// As a Delta table takes it.
    #[napi]
    pub async fn to_delta(&self) -> Coded<ArrowPacked> {
        let batch = self.batch.clone();
        blocking(move || {
            let (batch, errors) = cast_to_delta(&batch)?;
            let errors = errors.into_iter().map(Into::into).collect();
            Ok::<_, EngineError>(ArrowPacked { batch: ArrowBatch { batch }, errors })
        })
        .await
    }

    /// A Delta batch as Protobuf records.
    #[napi]
    pub async fn to_records(&self) -> Coded<ArrowRecords> {
        let batch = self.batch.clone();
        blocking(move || {
            let descriptor = Descriptor::new(batch.schema())?;
            let (mut records, mut errors, mut first) = (Vec::new(), Vec::new(), 0);
            for part in batch.parts() {
                let (written, refused) = descriptor.encode(part, first)?;
                records.extend(written.into_iter().map(Buffer::from));
                errors.extend(refused.into_iter().map(ArrowRowError::from));
                first += part.num_rows();
            }
            let descriptor = descriptor.bytes().to_vec().into();
            Ok::<_, EngineError>(ArrowRecords { descriptor, records, errors })
        })
        .await
    }
}

/// The schema of an IPC stream or file.
#[napi]
pub async fn arrow_schema_of(bytes: Buffer) -> Coded<ArrowSchema> {
    blocking(move || schema_of(&bytes).map(|schema| ArrowSchema { schema })).await
}

/// A file that is complete.
#[napi(object)]
pub struct ArrowFile {
    pub path: String,
    pub rows: u32,
    pub bytes: i64,
}

impl From<WrittenFile> for ArrowFile {
    fn from(file: WrittenFile) -> Self {
        let path = file.path.to_string_lossy().into_owned();
        ArrowFile { path, rows: file.rows as u32, bytes: file.bytes as i64 }
    }
}

fn files(files: impl IntoIterator<Item = WrittenFile>) -> Vec<ArrowFile> {
    files.into_iter().map(ArrowFile::from).collect()
}

/// Writes Arrow files into a folder.
#[napi]
pub struct ArrowFileWriter {
    writer: Arc<Mutex<Option<FileWriter>>>,
    recovered: Recovered,
}

#[napi]
impl ArrowFileWriter {
    /// `options` is JSON: `folder`, `prefix`, `maxBytes`, `maxAgeMs`, `keep`, `compression`.
    #[napi]
    pub async fn open(options: String) -> Coded<ArrowFileWriter> {
        blocking(move || {
            let options: FileOptions = from_json(&options)?;
            let (writer, recovered) = FileWriter::open(options)?;
            Ok::<_, EngineError>(ArrowFileWriter { writer: Arc::new(Mutex::new(Some(writer))), recovered })
        })
        .await
    }

    /// What a crash left, and the opening completed.
    #[napi(catch_unwind)]
    pub fn recovered(&self) -> Vec<ArrowFile> {
        files(self.recovered.files.iter().cloned())
    }

    /// What cannot be read to its end, and was kept as it was.
    #[napi(catch_unwind)]
    pub fn damaged(&self) -> Vec<String> {
        self.recovered.damaged.iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    /// Resolves when the operating system has it, to the files that this completed.
    #[napi]
    pub async fn write(&self, batch: &ArrowBatch) -> Coded<Vec<ArrowFile>> {
        let batch = batch.batch.clone();
        self.call(move |writer| writer.write(&batch).map(files)).await
    }

    /// Completes the file that is being written, if it is old enough.
    #[napi]
    pub async fn tick(&self) -> Coded<Vec<ArrowFile>> {
        self.call(|writer| writer.tick().map(files)).await
    }

    /// Completes the file that is being written.
    #[napi]
    pub async fn rotate(&self) -> Coded<Vec<ArrowFile>> {
        self.call(|writer| writer.rotate().map(files)).await
    }

    /// Completes the file, and lets others write there.
    #[napi]
    pub async fn close(&self) -> Coded<Vec<ArrowFile>> {
        let writer = Arc::clone(&self.writer);
        blocking(move || {
            let taken = writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            taken.map_or(Ok(Vec::new()), |mut writer| writer.rotate().map(files))
        })
        .await
    }

    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut FileWriter) -> Result<T, crate::arrow::Fault> + Send + 'static,
    ) -> Coded<T> {
        let writer = Arc::clone(&self.writer);
        blocking(move || {
            let mut slot = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let closed =
                || EngineError { code: ErrorCode::Closed, message: "the writer is closed; open it again".into() };
            Ok::<_, EngineError>(call(slot.as_mut().ok_or_else(closed)?)?)
        })
        .await
    }
}
