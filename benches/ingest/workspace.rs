//! The folder that receivers and senders work in; gone at the end.

use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Workspace(PathBuf);

impl Workspace {
    pub fn new(below: Option<&Path>) -> Self {
        let below = below.map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = below.join(format!("tableside-ingest-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// An empty folder. What lay there is removed, and nothing of it is left for the disk to write.
    pub fn fresh(&self, name: &str) -> PathBuf {
        let folder = self.0.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        std::fs::create_dir(&folder).unwrap();
        self.settle();
        folder
    }

    /// Returns once the disk has written what was written so far: nobody pays for what came before.
    pub fn settle(&self) {
        let synced = Command::new("sync").arg("--file-system").arg(&self.0).status().unwrap();
        assert!(synced.success(), "sync {}: {synced}", self.0.display());
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left over: {error}", self.0.display());
        }
    }
}
