//! What the standard library leaves to those who write files that must outlive a loss of power.

use std::fs::File;
use std::path::Path;

/// A new name is on the disk when its folder is. Elsewhere a folder cannot be opened, nor has it to be synced.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
