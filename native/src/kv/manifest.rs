//! What is looked at before fjall opens a store. It takes a damaged or lost list of tables for a new one without any: the
//! tables would then be gone without a word.
//!
//! ```text
//! spaces                     = the numbers below, as text: which folders there must be
//! keyspaces/<number>/current = number of the version u64 | sum of its file, xxh3 u128 | kind of sum u8; little-endian
//!                    v<number> = which tables there are
//!                    tables/   = these
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Result};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::disk::{sync_folder, write_whole};

const XXH3: u8 = 0;

/// What is wrong with a store that fjall would not tell; none: nothing, or there is no store. To `repair` is to go on without
/// what only the log had.
pub(super) fn problem(store: &Path, repair: bool) -> Result<Option<String>> {
    let there = there(store)?;
    // Without its own fjall knows of none.
    if let Some(number) = noted(store)?.difference(&there).find(|&&number| number == 0 || !repair) {
        return Ok(Some(format!("keyspaces/{number} is missing")));
    }
    let mut keyspaces = match std::fs::read_dir(store.join("keyspaces")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?.peekable(),
    };
    let is_marked = std::fs::metadata(store.join("version")).is_ok_and(|version| version.len() > 0);
    if keyspaces.peek().is_none() && !is_marked {
        // A process that made it ended before it was one: fjall begins anew where nothing of it is there.
        for made in ["version", "0.jnl"] {
            std::fs::remove_file(store.join(made)).or_else(missing)?;
        }
        return Ok(None);
    }
    if !is_marked {
        return Ok(Some("version is missing, or empty".into()));
    }
    // Only locked, never read: who takes it for what an ended process left behind, and removes it, does no harm.
    File::options().create(true).append(true).open(store.join("lock"))?;
    // It is there before the spaces are noted, and before the first one of ours is made: fjall's own has the number 0.
    let has_log = std::fs::read_dir(store.join("log")).is_ok_and(|mut log| log.next().is_some());
    let is_noted = store.join("spaces").exists();
    for keyspace in keyspaces {
        let folder = keyspace?.path();
        if !has_log && !repair && (is_noted || !folder.ends_with("0")) {
            return Ok(Some("log/ is missing, in which stands what was written last".into()));
        }
        if let Some(problem) = of_keyspace(&folder)? {
            let name = folder.strip_prefix(store).unwrap_or(&folder).display().to_string();
            return Ok(Some(format!("{name}/{problem}")));
        }
    }
    Ok(None)
}

/// Notes which folders there are. To be called before the log forgets what went into a new one.
pub(super) fn note(store: &Path) -> Result<()> {
    let there = there(store)?;
    if noted(store)? == there {
        return Ok(());
    }
    let text: Vec<String> = there.iter().map(u64::to_string).collect();
    write_whole(&store.join("spaces"), &store.join("spaces.part"), text.join(" ").as_bytes())?;
    sync_folder(store)
}

fn noted(store: &Path) -> Result<BTreeSet<u64>> {
    match std::fs::read_to_string(store.join("spaces")) {
        Ok(text) => Ok(text.split(' ').filter_map(|number| number.parse().ok()).collect()),
        // Of one that is no text other files will say that they are damaged.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

fn there(store: &Path) -> Result<BTreeSet<u64>> {
    let found = match std::fs::read_dir(store.join("keyspaces")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        found => found?,
    };
    let number = |entry: Result<std::fs::DirEntry>| Ok(entry?.file_name().to_str().and_then(|name| name.parse().ok()));
    found.filter_map(|entry| number(entry).transpose()).collect()
}

fn missing(error: std::io::Error) -> Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn of_keyspace(folder: &Path) -> Result<Option<String>> {
    let current = match std::fs::read(folder.join("current")) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // It was just made, or never came to be, as long as there are no tables.
            let has_tables = std::fs::read_dir(folder.join("tables")).is_ok_and(|mut tables| tables.next().is_some());
            return Ok(has_tables.then(|| "current is missing".into()));
        }
        read => read?,
    };
    let Some((version, sum)) = parts(&current) else { return Ok(Some("current cannot be read".into())) };
    let name = format!("v{version}");
    match std::fs::read(folder.join(&name)) {
        Ok(bytes) if xxh3_128(&bytes) == sum => Ok(None),
        Ok(_) => Ok(Some(format!("{name} is not what current says"))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Some(format!("{name}, which current names, is missing")))
        }
        Err(error) => Err(error),
    }
}

/// Number and sum.
fn parts(current: &[u8]) -> Option<(u64, u128)> {
    let (version, rest) = current.split_first_chunk()?;
    let (sum, kind) = rest.split_first_chunk()?;
    (kind == [XXH3]).then_some((u64::from_le_bytes(*version), u128::from_le_bytes(*sum)))
}
