//! Copies: a backup while the memory is used, and text that any program can read.

use std::io::{BufRead, BufReader, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::database::{Database, Options, Store, now};
use super::query::ms;
use super::record::Record;
use super::write::{Delete, Put, Write};
use super::{MemoryError, Result, names};
use crate::kv::{self, Kv, KvError};

/// What a copy has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copied {
    /// Documents, deleted ones among them, or lines.
    pub documents: u64,
    /// Versions.
    pub versions: u64,
}

/// A line of an export.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    namespace: String,
    key: String,
    #[serde(borrow, default, deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<f64>,
    /// In milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<f64>,
}

/// A value that is `null` is there, too.
fn there<'de, D: Deserializer<'de>>(value: D) -> std::result::Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// So many rows are copied in one commit.
const CHUNK: usize = 2_000;
/// So many bytes, or one row more.
const CHUNK_BYTES: usize = 8 << 20;

fn failed(path: &Path) -> impl Fn(std::io::Error) -> MemoryError {
    let path = path.display().to_string();
    move |error| MemoryError::File { path: path.clone(), problem: error.to_string() }
}

impl Database {
    /// Copies all as it is at this moment into a new folder, which is a store itself. Writes go on meanwhile.
    pub fn backup(&self, target: &Path) -> Result<Copied> {
        let store = self.store()?;
        copy(&store, target)
    }

    /// Makes a store of a backup, in a folder that is not there yet or is empty.
    pub fn restore_backup(backup: &Path, target: &Path) -> Result<Copied> {
        // Opening would make what is missing.
        if !backup.join("owner.lock").is_file() {
            let problem = "there is no backup; name a folder that a backup made";
            return Err(MemoryError::input(backup.display().to_string(), problem));
        }
        let store = Store::open(backup, &Options::default())?;
        let copied = copy(&store, target)?;
        store.kv.close()?;
        Ok(copied)
    }

    /// Writes a line of JSON for each document, or for each version, the oldest of a key first.
    pub fn export(&self, target: &Path, namespace: Option<&str>, history: bool) -> Result<Copied> {
        let base = namespace.map(names::all).transpose()?.unwrap_or_default();
        let partial = with_ending(target, "partial");
        let copied = self.export_to(&partial, base, history).and_then(|copied| {
            std::fs::rename(&partial, target).map_err(failed(target))?;
            Ok(copied)
        });
        if copied.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        copied
    }

    fn export_to(&self, target: &Path, base: Vec<u8>, history: bool) -> Result<Copied> {
        let store = self.store()?;
        let failed = failed(target);
        let mut out = BufWriter::new(std::fs::File::create(target).map_err(&failed)?);
        let (snapshot, now) = (store.kv.snapshot(), now());
        let end = names::behind(&base).map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut copied = Copied::default();
        for row in snapshot.range(&store.documents, (std::ops::Bound::Included(base), end)) {
            let (document, bytes) = row?;
            let current = Record::read(bytes).map_err(|_| super::read::damaged(&document))?;
            copied.documents += 1;
            if history {
                let range = names::version(&document, 0)..=names::version(&document, u64::MAX);
                for row in snapshot.range(&store.history, range) {
                    let record = Record::read(row?.1).map_err(|_| super::read::damaged(&document))?;
                    write_line(&mut out, &document, &record).map_err(&failed)?;
                    copied.versions += 1;
                }
            }
            if history || current.head.alive(now) {
                write_line(&mut out, &document, &current).map_err(&failed)?;
                copied.versions += 1;
            }
        }
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(&failed)?;
        Ok(copied)
    }

    /// Writes what an export has, as new versions of now, in the order of its lines. Where one of them cannot be read, nothing
    /// of it is written.
    pub fn import(&self, source: &Path) -> Result<Copied> {
        for line in lines(source)? {
            let (number, line) = line?;
            readable(&line).map_err(|problem| MemoryError::input(format!("line {number}"), problem))?;
        }
        let mut copied = Copied::default();
        let (mut requests, mut bytes) = (Vec::<String>::new(), 0);
        for line in lines(source)? {
            let (_, line) = line?;
            bytes += line.len();
            requests.push(line);
            if requests.len() >= CHUNK || bytes >= CHUNK_BYTES {
                bytes = 0;
                self.import_lines(&std::mem::take(&mut requests), &mut copied)?;
            }
        }
        self.import_lines(&requests, &mut copied)?;
        Ok(copied)
    }

    fn import_lines(&self, lines: &[String], copied: &mut Copied) -> Result<()> {
        let writes = lines.iter().filter_map(|line| parse(line).ok()).map(|write| vec![write]).collect();
        for answer in self.write(self.place(), writes) {
            copied.documents += 1;
            copied.versions += answer?.iter().filter(|it| it.version.is_some()).count() as u64;
        }
        Ok(())
    }
}

/// The lines of a file that are not empty, with their numbers.
fn lines(source: &Path) -> Result<impl Iterator<Item = Result<(usize, String)>>> {
    let failed = failed(source);
    let file = std::fs::File::open(source).map_err(&failed)?;
    let lines = BufReader::new(file).split(b'\n').enumerate().map(move |(place, line)| {
        let line = String::from_utf8(line.map_err(&failed)?).map_err(|_| {
            let problem = "it is no UTF-8; give the file as an export writes it";
            MemoryError::input(format!("line {}", place + 1), problem)
        })?;
        Ok((place + 1, if place == 0 { line.trim_start_matches('\u{feff}').to_owned() } else { line }))
    });
    Ok(lines.filter(|line| line.as_ref().map_or(true, |(_, line)| !line.trim().is_empty())))
}

/// Whether a line can be written, and its value be asked for.
fn readable(line: &str) -> std::result::Result<(), String> {
    let write = parse(line)?;
    let (Write::Put(Put { namespace, key, .. }) | Write::Delete(Delete { namespace, key, .. })) = &write else {
        return Ok(());
    };
    names::document(namespace, key).map_err(|error| error.to_string())?;
    let Write::Put(put) = write else { return Ok(()) };
    serde_json::from_str::<Value>(put.value.get()).map(drop).map_err(|error| format!("its value: {error}"))
}

fn parse(line: &str) -> std::result::Result<Write<'_>, String> {
    let line: Line<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match (line.value, line.deleted) {
        (Some(value), false) => Ok(Write::Put(Put {
            namespace: line.namespace,
            key: line.key,
            value,
            if_version: None,
            // What expired already does so at once.
            ttl_ms: line.expires.map(|expires| (expires - ms(now())).max(0.001)),
            causes: Vec::new(),
        })),
        (None, true) => {
            Ok(Write::Delete(Delete { namespace: line.namespace, key: line.key, if_version: None, causes: Vec::new() }))
        }
        _ => Err("give it either a value or deleted".into()),
    }
}

fn write_line(out: &mut impl std::io::Write, document: &[u8], record: &Record) -> std::io::Result<()> {
    let (namespace, key) = names::of_document(document).unwrap_or_default();
    let line = Line {
        namespace: namespace.into(),
        key: key.into(),
        value: if record.head.deleted { None } else { serde_json::from_str(record.json()).ok() },
        deleted: record.head.deleted,
        version: Some(record.head.id.to_string()),
        time: Some(ms(record.head.id.stamp)),
        expires: record.head.expires.map(ms),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Copies a store into a folder that is complete once it has its name.
fn copy(store: &Store, target: &Path) -> Result<Copied> {
    let failed = failed(target);
    let taken = |path: &Path| {
        let problem = "there is something already; name a folder that is new or empty";
        MemoryError::input(path.display().to_string(), problem)
    };
    let is_free = match std::fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => !target.exists(),
        Err(error) => return Err(failed(error)),
    };
    if !is_free {
        return Err(taken(target));
    }
    let partial = with_ending(target, "partial");
    if partial.exists() {
        // What a copy left that was cut short, and nothing else; while it is made it is locked.
        if !partial.join("owner.lock").is_file() {
            return Err(taken(&partial));
        }
        if let Err(KvError::Locked(path)) = Kv::open(&partial, &kv::Options::default()).and_then(Kv::close) {
            return Err(KvError::Locked(path).into());
        }
        std::fs::remove_dir_all(&partial).map_err(&failed)?;
    }
    let copied = copy_to(store, Store::open(&partial, &Options::default())?)?;
    let _ = std::fs::remove_dir(target);
    std::fs::rename(&partial, target).map_err(&failed)?;
    Ok(copied)
}

fn copy_to(store: &Store, copy: Store) -> Result<Copied> {
    let snapshot = store.kv.snapshot();
    let mut copied = Copied::default();
    for ((name, from), (_, to)) in store.parts().into_iter().zip(copy.parts()) {
        let mut batch = copy.kv.batch();
        let mut bytes = 0;
        for row in snapshot.range(from, ..) {
            let (key, value) = row?;
            bytes += key.len() + value.len();
            match name {
                "documents" => {
                    copied.documents += 1;
                    copied.versions += 1;
                }
                "history" => copied.versions += 1,
                _ => {}
            }
            batch.put(to, key, value);
            if batch.len() >= CHUNK || bytes >= CHUNK_BYTES {
                bytes = 0;
                std::mem::replace(&mut batch, copy.kv.batch()).commit()?;
            }
        }
        batch.commit()?;
    }
    copy.kv.sync()?;
    copy.close()?;
    Ok(copied)
}
