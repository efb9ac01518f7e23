//! Where things are in this repository.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository.
pub fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .map(Path::to_owned)
        .context("xtask is not two folders below the root")
}

/// Where cargo puts what it builds.
pub fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => Ok(root()?.join(target)),
        None => Ok(root()?.join("target")),
    }
}

/// The files of this name below a folder, generated and downloaded ones left out.
pub fn find(folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
    const NOT_OURS: [&str; 4] = ["target", "node_modules", ".venv", "__pycache__"];
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in folder
        .read_dir()
        .with_context(|| format!("read {}", folder.display()))?
    {
        let path = entry?.path();
        let is_ours = !NOT_OURS.iter().any(|other| path.ends_with(other));
        if path.is_dir() && is_ours {
            found.extend(find(&path, name)?);
        } else if path.ends_with(name) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
