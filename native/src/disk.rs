//! What the standard library leaves to those who write files that must outlive a loss of power.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Write};
use std::path::Path;

/// A new name is on the disk when its folder is. Elsewhere a folder cannot be opened, nor has it to be synced.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// A folder, and those above it where there are none, so that their names are on the disk.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    let missing = folder.ancestors().take_while(|it| !it.exists()).count();
    fs::create_dir_all(folder)?;
    // Whoever made one that is there already may not have waited for its name.
    for above in folder.ancestors().skip(1).take(missing.max(1)) {
        match sync_folder(if above.as_os_str().is_empty() { Path::new(".") } else { above }) {
            // Who may not look into a folder cannot bring it to the disk either.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Writes a file under another name and renames it when it is on the disk: it is whole, or as it was. The name is on
/// the disk when its folder is.
pub(crate) fn write_whole(path: &Path, part: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let written = File::create(part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    // A full disk needs its room.
    written.inspect_err(|_| drop(fs::remove_file(part)))?;
    fs::rename(part, path)
}

/// Whether there is no room, for all or for this user.
pub(crate) fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_down_to_the_last_and_files_are_whole() {
        let root = std::env::temp_dir().join(format!("millrace-disk-{}", std::process::id()));
        let deep = root.join("a/b/c");
        for _ in 0..2 {
            make_folder(&deep).unwrap();
            assert!(deep.is_dir());
        }
        make_folder(Path::new("src")).unwrap();
        let (path, part) = (deep.join("file"), deep.join("file.part"));
        for text in ["one", "another"] {
            write_whole(&path, &part, text.as_bytes()).unwrap();
            assert_eq!((fs::read_to_string(&path).unwrap().as_str(), part.exists()), (text, false));
        }
        assert!(make_folder(&path.join("below")).is_err());
        assert!(write_whole(&path, &deep.join("none/part"), b"").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "another");
        fs::remove_dir_all(&root).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_without_room_is_known() {
        let error = File::options().write(true).open("/dev/full").unwrap().write_all(b"more").unwrap_err();
        assert!(is_full(&error));
        assert!(!is_full(&ErrorKind::NotFound.into()));
    }
}
