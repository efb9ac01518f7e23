//! Where the archive is, and whether there is room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A SQLite archive on a disk of its own, if we may mount one; or an archive that was given.
pub(crate) struct Disk {
    archive: String,
    /// Where a file system of ours is mounted.
    mounted: Option<PathBuf>,
}

/// Plenty for any run.
const ROOMY: &str = "size=4g";

impl Disk {
    /// Makes room for an archive in the folder of a run.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn make(folder: &Path, archive: Option<&str>) -> Result<Self> {
        if let Some(archive) = archive {
            return Ok(Self {
                archive: archive.to_owned(),
                mounted: None,
            });
        }
        let folder = folder.join("archive");
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let target = folder.display().to_string();
        let mounted = mount(&["-t", "tmpfs", "-o", ROOMY, "chinwag-chaos", &target]).is_ok();
        Ok(Self {
            archive: format!("sqlite:{}", folder.join("archive.sqlite").display()),
            mounted: mounted.then_some(folder),
        })
    }

    /// The archive's URL.
    pub fn archive(&self) -> &str {
        &self.archive
    }

    /// Whether it can be made full.
    pub fn can_be_full(&self) -> bool {
        self.mounted.is_some()
    }

    /// From now on there is no room for anything more.
    ///
    /// # Errors
    /// If the disk is none of ours.
    pub fn fill(&self) -> Result<()> {
        let used = self.used()?;
        self.resize(&format!("size={used}"))
    }

    /// There is room again.
    ///
    /// # Errors
    /// If the disk is none of ours.
    pub fn make_room(&self) -> Result<()> {
        self.resize(ROOMY)
    }

    fn resize(&self, size: &str) -> Result<()> {
        let mounted = self.mounted.as_ref().context("a disk of somebody else")?;
        let target = mounted.display().to_string();
        mount(&["-o", &format!("remount,{size}"), &target])
    }

    /// What is in use, in bytes of whole blocks.
    fn used(&self) -> Result<u64> {
        use std::os::unix::fs::MetadataExt;
        let mounted = self.mounted.as_ref().context("a disk of somebody else")?;
        let mut blocks = 0;
        for entry in fs::read_dir(mounted)? {
            blocks += entry?.metadata()?.blocks();
        }
        Ok((blocks * 512).next_multiple_of(4096))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(mounted) = self.mounted.take() {
            // What is in memory would go with it, and is to be looked at.
            let kept = mounted.with_extension("kept");
            if fs::create_dir_all(&kept).is_ok() {
                for entry in fs::read_dir(&mounted).into_iter().flatten().flatten() {
                    drop(fs::copy(entry.path(), kept.join(entry.file_name())));
                }
            }
            let unmount = Command::new("umount").arg("--lazy").arg(&mounted).status();
            if let Err(error) = unmount {
                tracing::warn!(%error, "{} stays mounted", mounted.display());
            }
        }
    }
}

fn mount(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("mount");
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status().context("run mount")?;
    if !status.success() {
        bail!("mount {}: {status}", arguments.join(" "));
    }
    Ok(())
}
