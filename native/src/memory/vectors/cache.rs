//! An index in a file: `head` (JSON, its length before it), then the arrays as they lie in memory,
//! little-endian, then the xxh3 of all before it. Written beside and renamed, so that it is whole or not there.

use std::fs::File;
use std::io::{BufReader, BufWriter, Error, ErrorKind, Read, Write};
use std::path::Path;

use half::f16;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::codes::Codes;
use super::graph::Graph;
use super::index::Index;
use super::options::Options;
use super::rows::{Rows, Storage};

const MAGIC: [u8; 8] = *b"mrvecs\x01\n";
const MOST_HEAD: u32 = 1 << 16;

#[cfg(target_endian = "big")]
compile_error!("arrays are written as they lie in memory, little-endian");

#[derive(Serialize, Deserialize)]
struct Head {
    options: Options,
    seq: u64,
    slots: usize,
    refit_at: usize,
    /// Scale, and the longest row's length.
    codes: Option<(f32, f32)>,
    rows: bool,
}

/// Why a file is of no use.
#[derive(Debug)]
pub enum Unusable {
    Missing,
    Because(String),
}

impl From<Error> for Unusable {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Unusable::Missing,
            ErrorKind::UnexpectedEof => Unusable::Because("the file is cut".into()),
            _ => Unusable::Because(error.to_string()),
        }
    }
}

/// Numbers of which every pattern of bits is one.
///
/// # Safety
/// The type has no padding and no pattern that is not allowed.
unsafe trait Plain: Copy {}
// SAFETY: plain numbers.
unsafe impl Plain for i8 {}
// SAFETY: plain numbers.
unsafe impl Plain for u32 {}
// SAFETY: plain numbers.
unsafe impl Plain for f32 {}
// SAFETY: a `u16` with another name.
unsafe impl Plain for f16 {}

fn bytes<T: Plain>(numbers: &[T]) -> &[u8] {
    // SAFETY: `Plain` says so.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

fn bytes_mut<T: Plain>(numbers: &mut [T]) -> &mut [u8] {
    // SAFETY: `Plain` says so.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), size_of_val(numbers)) }
}

struct Summed<F> {
    file: F,
    sum: Xxh3,
}

impl<F: Write> Summed<F> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sum.update(bytes);
        self.file.write_all(bytes)
    }
}

impl<F: Read> Summed<F> {
    fn get(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact(bytes)?;
        self.sum.update(bytes);
        Ok(())
    }
}

pub fn save(path: &Path, index: &Index) -> Result<(), Error> {
    let partial = path.with_extension("part");
    let written = write(&partial, index).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

fn write(path: &Path, index: &Index) -> Result<(), Error> {
    let head = Head {
        options: index.options.clone(),
        seq: index.seq,
        slots: index.slot_ids.len(),
        refit_at: index.refit_at,
        codes: index.codes.as_ref().map(|codes| (codes.scale(), codes.longest())),
        rows: !index.rows.is_none(),
    };
    let head = serde_json::to_vec(&head)?;
    let mut out = Summed { file: BufWriter::with_capacity(1 << 20, File::create(path)?), sum: Xxh3::new() };
    out.put(&MAGIC)?;
    out.put(&(head.len() as u32).to_le_bytes())?;
    out.put(&head)?;
    out.put(bytes(&index.slot_ids))?;
    match &index.rows {
        Rows::F32(rows) => out.put(bytes(rows))?,
        Rows::F16(rows) => out.put(bytes(rows))?,
        Rows::None => {}
    }
    if let Some(codes) = &index.codes {
        let (lines, sides) = codes.parts();
        out.put(bytes(lines))?;
        out.put(bytes(sides))?;
    }
    let (linked, links) = index.graph.parts();
    out.put(&linked.map(u8::from).collect::<Vec<_>>())?;
    for part in links {
        out.put(bytes(part))?;
    }
    let sum = out.sum.digest();
    out.file.write_all(&sum.to_le_bytes())?;
    out.file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
}

pub fn load(path: &Path, options: &Options) -> Result<Index, Unusable> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut from = Summed { file: BufReader::with_capacity(1 << 20, file), sum: Xxh3::new() };
    let mut magic = [0; MAGIC.len()];
    let mut size = [0; 4];
    from.get(&mut magic)?;
    from.get(&mut size)?;
    let size = u32::from_le_bytes(size);
    if magic != MAGIC || size > MOST_HEAD {
        return Err(Unusable::Because("the file is of another kind or version".into()));
    }
    let mut head = vec![0; size as usize];
    from.get(&mut head)?;
    let head: Head = serde_json::from_slice(&head).map_err(|error| Unusable::Because(error.to_string()))?;
    let fixed = |options: &Options| (options.dimensions, options.metric, options.storage);
    if fixed(&head.options) != fixed(options) {
        return Err(Unusable::Because("it was made with other dimensions, metric or storage".into()));
    }
    // Before memory is taken on the word of a head that may be damaged.
    if (head.slots as u64).saturating_mul(options.dimensions as u64) > length {
        return Err(Unusable::Because("the file is cut".into()));
    }
    let mut index = Index::new(options.clone());
    (index.seq, index.refit_at) = (head.seq, head.refit_at);
    index.slot_ids = numbers(&mut from, head.slots, 0)?;
    let components = head.slots * options.dimensions;
    index.rows = match (head.rows, options.storage) {
        (false, _) => Rows::None,
        (true, Storage::F16) => Rows::F16(numbers(&mut from, components, f16::ZERO)?),
        (true, _) => Rows::F32(numbers(&mut from, components, 0.0)?),
    };
    if let Some((scale, longest)) = head.codes {
        let mut codes = Codes::new(options.metric, options.dimensions, scale, longest);
        codes.read_parts(head.slots, |lines, sides| {
            from.get(bytes_mut(lines))?;
            from.get(bytes_mut(sides))
        })?;
        index.codes = Some(codes);
    }
    let mut linked = vec![0; head.slots];
    from.get(&mut linked)?;
    let linked = linked.into_iter().map(|linked| linked == 1).collect();
    let graph = Graph::from_parts(linked, |links| from.get(bytes_mut(links)))?;
    let mut sum = [0; 8];
    from.file.read_exact(&mut sum)?;
    match graph {
        Some(graph) if from.sum.digest() == u64::from_le_bytes(sum) => index.graph = graph,
        _ => return Err(Unusable::Because("the file is damaged: its sum is wrong".into())),
    }
    Ok(index.restored())
}

fn numbers<T: Plain>(from: &mut Summed<impl Read>, count: usize, zero: T) -> Result<Vec<T>, Error> {
    let mut numbers = vec![zero; count];
    from.get(bytes_mut(&mut numbers))?;
    Ok(numbers)
}
