//! Whether the data folder takes files: asked by writing one, for everything else may be right and the disk read-only or full.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::texts::Phrase;

/// That it takes files is believed for so long, so that many who ask do not make many writes. That it does not is asked anew each
/// time: nobody shall read of a disk that is mended.
const BELIEVED: Duration = Duration::from_secs(1);

/// A disk that does not answer within this time is no use to a scan.
const PATIENCE: Duration = Duration::from_secs(2);

/// The disk of the data folder.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    asked: Mutex<Asked>,
}

/// What has been asked of the disk.
#[derive(Debug, Default)]
struct Asked {
    /// When it took a file last, if it did so when it was asked last.
    writable: Option<Instant>,
    /// An attempt that has not come back. There is never a second one beside it: each would keep a thread.
    attempt: Option<JoinHandle<bool>>,
}

impl Disk {
    #[must_use]
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, asked: Mutex::default() }
    }

    /// Why nothing can be written there, if so.
    pub(super) async fn problem(&self) -> Option<Phrase> {
        let mut asked = self.asked.lock().await;
        if asked.writable.is_some_and(|at| at.elapsed() < BELIEVED) {
            return None;
        }
        // Those who ask while an attempt hangs do not wait for it one after the other.
        let patience = if asked.attempt.is_some() { Duration::ZERO } else { PATIENCE };
        let folder = self.folder.clone();
        let attempt = asked.attempt.get_or_insert_with(|| tokio::task::spawn_blocking(move || is_writable(&folder)));
        let Ok(attempted) = tokio::time::timeout(patience, attempt).await else {
            asked.writable = None;
            return Some(self.told("daemon.disk_is_silent"));
        };
        asked.attempt = None;
        let is_writable = attempted.unwrap_or(false);
        asked.writable = is_writable.then(Instant::now);
        (!is_writable).then(|| self.told("daemon.disk_takes_nothing"))
    }

    fn told(&self, text: &'static str) -> Phrase {
        Phrase::new(text).with("folder", self.folder.display().to_string())
    }
}

fn is_writable(folder: &Path) -> bool {
    let probe = folder.join(".writable");
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_takes_files_is_believed_for_a_second_and_one_that_does_not_is_asked_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let disk = Disk::new(data.clone());
        assert!(disk.problem().await.unwrap().to_string().contains("cannot be written to"));
        std::fs::create_dir(&data).unwrap();
        assert_eq!(disk.problem().await, None, "mended");
        std::fs::remove_dir(&data).unwrap();
        assert_eq!(disk.problem().await, None, "not asked again at once");
        disk.asked.lock().await.writable = Instant::now().checked_sub(BELIEVED);
        assert!(disk.problem().await.is_some());
    }

    #[tokio::test]
    async fn a_disk_that_does_not_answer_is_a_problem_and_is_not_asked_a_second_time_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path().to_owned());
        let (answer, hanging) = std::sync::mpsc::channel::<()>();
        disk.asked.lock().await.attempt = Some(tokio::task::spawn_blocking(move || hanging.recv().is_ok()));
        for _ in 0..3 {
            assert!(disk.problem().await.unwrap().to_string().contains("does not answer"));
        }
        answer.send(()).unwrap();
        let attempt = disk.asked.lock().await.attempt.take().unwrap();
        assert!(attempt.await.unwrap());
        assert_eq!(disk.problem().await, None);
    }
}
