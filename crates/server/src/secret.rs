//! Where secrets come from: the settings, a file that they name, or for the signing of tokens a
//! file in the data folder that is made at the first start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::folder::{self, FolderError};
use crate::settings::Settings;
use crate::settings::kind::Secret;

const GENERATED: &str = "token.secret";
/// As for secrets in the settings: what is shorter can be guessed.
const LEAST: usize = 32;

/// Why a secret cannot be had.
#[derive(Debug, Error)]
#[error("{place}: {problem}")]
pub struct SecretError {
    /// The file, or the setting that names it.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The secret that signs connection and subscription tokens.
///
/// # Errors
/// When a file that holds it, or should, cannot be used.
pub fn hmac(settings: &Settings) -> Result<Secret, SecretError> {
    match configured(settings, "token.hmac_secret")? {
        Some(secret) => Ok(secret),
        None => generated(&settings.data),
    }
}

/// The key of the server API, if there is one.
///
/// # Errors
/// When the file that should hold it cannot be used.
pub fn api_key(settings: &Settings) -> Result<Option<Secret>, SecretError> {
    configured(settings, "api.key")
}

/// Checks the files that hold secrets, and makes none.
///
/// # Errors
/// When one of them cannot be used.
pub fn check(settings: &Settings) -> Result<(), SecretError> {
    for key in ["token.hmac_secret", "api.key"] {
        configured(settings, key)?;
    }
    Ok(())
}

fn configured(settings: &Settings, key: &str) -> Result<Option<Secret>, SecretError> {
    let file = format!("{key}_file");
    match settings.keys().path(&file) {
        Some(path) => read(&path, &file).map(Some),
        None => Ok(settings.keys().secret(key)),
    }
}

fn read(path: &Path, place: &str) -> Result<Secret, SecretError> {
    let wrong = |problem: String| SecretError {
        place: place.to_owned(),
        problem,
    };
    let text = fs::read_to_string(path)
        .map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))?;
    let text = text.trim();
    if text.len() < LEAST {
        let (path, length) = (path.display(), text.len());
        return Err(wrong(format!(
            "{path} must hold at least {LEAST} bytes, holds {length}"
        )));
    }
    Ok(Secret::new(text))
}

/// Reads the generated secret, and generates it first if need be. When several processes do so at
/// once, all get the one that was there first.
fn generated(data: &Path) -> Result<Secret, SecretError> {
    let path = data.join(GENERATED);
    let place = path.display().to_string();
    if !path.exists() {
        let wrong = |error: FolderError| SecretError {
            place: "data.dir".to_owned(),
            problem: error.to_string(),
        };
        folder::make(data).map_err(wrong)?;
        generate(&path).map_err(|error| SecretError {
            place: place.clone(),
            problem: format!("cannot be made: {error}"),
        })?;
    }
    read(&path, &place)
}

fn generate(path: &Path) -> io::Result<()> {
    let mut bytes = [0_u8; LEAST];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = Draft(path.with_extension(format!("{}.draft", std::process::id())));
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft.0)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // Unlike a rename, a link does not replace what another process has put there meanwhile.
    match fs::hard_link(&draft.0, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A file that is gone when this is dropped.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), %error, "draft left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Role, Written};
    use std::os::unix::fs::PermissionsExt;

    fn settings(assignments: &[String]) -> Settings {
        let mut written = Written::defaults();
        assignments
            .iter()
            .for_each(|assignment| written.assignment("--set", assignment));
        Settings::mean(written, Role::Up).unwrap()
    }

    #[test]
    fn a_secret_is_generated_once_and_for_its_owner_only() {
        let data = tempfile::tempdir().unwrap();
        let settings = settings(&[format!("data.dir={}", data.path().display())]);
        let first = hmac(&settings).unwrap();
        assert_eq!(first.reveal().len(), 64);
        assert_eq!(hmac(&settings).unwrap(), first);
        let file = data.path().join(GENERATED);
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(data.path()).unwrap().count(),
            1,
            "a draft was left behind"
        );
    }

    #[test]
    fn a_written_secret_comes_before_a_generated_one() {
        let key = "0123456789abcdef0123456789abcdef";
        let settings = settings(&[format!("token.hmac_secret={key}"), format!("api.key={key}")]);
        assert_eq!(hmac(&settings).unwrap().reveal(), key);
        assert_eq!(api_key(&settings).unwrap().unwrap().reveal(), key);
    }

    #[test]
    fn a_file_must_exist_and_hold_enough() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display();
        let refuse = |text: &str, expected: &str| {
            fs::write(file.path(), text).unwrap();
            let error = api_key(&settings(&[format!("api.key_file={path}")])).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        refuse("too short\n", "must hold at least 32 bytes, holds 9");
        let missing = settings(&["api.key_file=/nonexistent".to_owned()]);
        assert!(check(&missing).is_err());
        let error = api_key(&missing).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("api.key_file: cannot read /nonexistent"),
            "{error}"
        );
        assert_eq!(api_key(&settings(&[])).unwrap(), None);
    }
}
