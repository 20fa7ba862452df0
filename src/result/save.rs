//! Writing a file of ours.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::workload::folder_of;

/// Writes a value as JSON, as [`save_file`] does.
///
/// # Errors
/// The folder cannot be written.
pub fn save_json<T: Serialize>(value: &T, path: &Path) -> std::io::Result<()> {
    save_file(path, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")
    })
}

/// Writes a file so that a crash at any point leaves either the old file or the new one: a temporary file in the same
/// folder, synced, renamed over the target, and the folder synced.
///
/// # Errors
/// The folder cannot be written, or `write` fails.
pub fn save_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<()> {
    let folder = folder_of(path);
    // A folder that is not there is told of here: below, the error would name the temporary file.
    std::fs::metadata(folder)?;
    let mut file = tempfile::Builder::new().prefix(".statebench-").tempfile_in(folder)?;
    let mut writer = std::io::BufWriter::new(&mut file);
    write(&mut writer)?;
    // A writer that is dropped does not tell that its last bytes were lost.
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    let file = file.persist(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    {
        // A temporary file is private; a result is an ordinary file.
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    drop(file);
    std::fs::File::open(folder)?.sync_all()
}
