//! The data folder: private to its user, and used by one `chinwag up` at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a data folder cannot be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// Another process has it.
    #[error(
        "{folder} is used by another chinwag{holder}; stop that one, or name another with --data"
    )]
    Taken {
        /// The data folder.
        folder: PathBuf,
        /// " (process 123)", as far as known.
        holder: String,
    },
    /// It cannot be made or written to.
    #[error("data.dir: cannot use {folder}: {error}; name another folder with --data")]
    Unusable {
        /// The data folder.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Makes the folder if it is missing. Nobody else may look into what is made here.
///
/// # Errors
/// When that is impossible.
pub fn make(folder: &Path) -> Result<(), FolderError> {
    let unusable = |error| FolderError::Unusable {
        folder: folder.to_owned(),
        error,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(unusable)
}

/// Exclusive use of a data folder. The system ends it with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the folder, which must exist.
    ///
    /// # Errors
    /// [`FolderError::Taken`] when another process has it.
    pub fn take(folder: &Path) -> Result<Self, FolderError> {
        let unusable = |error| FolderError::Unusable {
            folder: folder.to_owned(),
            error,
        };
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&path).unwrap_or_default();
                let pid = pid.trim();
                let holder = if pid.is_empty() {
                    String::new()
                } else {
                    format!(" (process {pid})")
                };
                return Err(FolderError::Taken {
                    folder: folder.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        // Only now is the file ours to change. The number is for the message above and no more.
        file.set_len(0).map_err(unusable)?;
        write!(file, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_is_made_private_and_taken_once() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("deep/data");
        make(&folder).unwrap();
        make(&folder).unwrap();
        assert_eq!(
            fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
            0o700
        );
        let lock = Lock::take(&folder).unwrap();
        let message = Lock::take(&folder).unwrap_err().to_string();
        assert!(
            message.contains(&format!("(process {})", std::process::id())),
            "{message}"
        );
        drop(lock);
        Lock::take(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_why() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let message = make(&file.path().join("data")).unwrap_err().to_string();
        assert!(message.contains("Not a directory"), "{message}");
    }
}
