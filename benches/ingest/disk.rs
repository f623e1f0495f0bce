//! A disk whose power can be cut: an ext4 image, mounted over the loop device, copied while it is in use.
//!
//! The copy holds what the file system had given to its disk. What was only in the mounted file system's page cache is not
//! in it. Whether the disk's own cache had been flushed makes no difference here: a receiver that leaves out only the flush
//! is not caught.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SIZE: &str = "4G";
/// How long a disk that is still in use is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const TRY_AGAIN: Duration = Duration::from_millis(50);

pub struct Disk {
    image: PathBuf,
    mount_point: PathBuf,
}

impl Disk {
    /// An empty disk, mounted.
    pub fn new(folder: &Path) -> Result<Self, String> {
        let image = folder.join("disk.ext4");
        run(Command::new("truncate").args(["--size", SIZE]).arg(&image))?;
        // Nothing is left for the kernel to prepare in the background.
        let prepared = "lazy_itable_init=0,lazy_journal_init=0";
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", prepared]).arg(&image))?;
        Self::mount(image)
    }

    fn mount(image: PathBuf) -> Result<Self, String> {
        let mount_point = image.with_extension("mounted");
        std::fs::create_dir_all(&mount_point).map_err(|error| error.to_string())?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mount_point))?;
        Ok(Self { image, mount_point })
    }

    pub fn folder(&self) -> &Path {
        &self.mount_point
    }

    /// What would be on the disk if the power failed now, to be mounted.
    pub fn copy(&self) -> Result<UnmountedCopy, String> {
        let copy = self.image.with_file_name("copy.ext4");
        run(Command::new("cp").arg("--sparse=always").arg(&self.image).arg(&copy))?;
        Ok(UnmountedCopy(copy))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let began = Instant::now();
        while let Err(error) = run(Command::new("umount").arg(&self.mount_point)) {
            // Children of a receiver that was killed may still be on their way out.
            if began.elapsed() > PATIENCE {
                eprintln!("{error}");
                return;
            }
            std::thread::sleep(TRY_AGAIN);
        }
    }
}

/// A disk after the power cut.
pub struct UnmountedCopy(PathBuf);

impl UnmountedCopy {
    /// Mounts it, by which the file system replays its journal.
    pub fn mount(self) -> Result<Disk, String> {
        Disk::mount(self.0)
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", command.get_program().display(), String::from_utf8_lossy(&output.stderr).trim()))
}
