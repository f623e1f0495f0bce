//! The thread that makes the objects of verdicts, and removes their files once they are delivered.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan as _};
use sha2::{Digest as _, Sha256};

use super::objects::objects;
use super::{POLL, Shared};
use crate::database::{Database, DatabaseError, DeliveryKind, DeliveryObject, DeliveryState, Unmade};
use crate::dicom::Head;
use crate::exam::ExamKey;
use crate::hex::hex;
use crate::preprocess::InputGeometry;
use crate::report::{ReportObject, ReportOptions, content_digest};
use crate::serving::lower_priority;
use crate::spool::Spool;

/// Files of delivered objects stay for so long, should somebody want them sent again.
const KEPT_HOURS: i64 = 24;

/// The folder is looked through this often.
const SWEEP: Duration = Duration::from_mins(10);

/// After an error of the database or the disk.
const AFTER_ERROR: Duration = Duration::from_secs(5);

pub(super) struct Maker {
    pub shared: Arc<Shared>,
    pub database: Arc<Database>,
    pub folder: PathBuf,
    pub spool: Arc<Spool>,
    pub plane: InputGeometry,
    pub options: ReportOptions,
}

/// Why there are no objects.
enum NotMade {
    /// The verdict does not stand any more.
    Superseded,
    /// They cannot be made from what there is.
    Dead(String),
    /// They could be another time.
    NotNow(String),
}

impl From<DatabaseError> for NotMade {
    fn from(error: DatabaseError) -> Self {
        Self::NotNow(error.to_string())
    }
}

impl Maker {
    pub(super) fn run(self) {
        // The next patient's slices come first.
        lower_priority();
        let mut swept: Option<Instant> = None;
        let mut patience = Duration::ZERO;
        while if patience.is_zero() { self.shared.wait(patience) } else { self.shared.pause(patience) } {
            if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
                swept = Some(Instant::now());
                self.sweep();
            }
            patience = match self.make_next() {
                Ok(true) => Duration::ZERO,
                Ok(false) => POLL,
                Err(error) => {
                    tracing::error!(%error, "the objects of a verdict cannot be made at present");
                    AFTER_ERROR
                }
            };
        }
    }

    /// `false` if there is nothing to make.
    fn make_next(&self) -> Result<bool, String> {
        let deliveries = &self.shared.deliveries;
        let Some(unmade) = deliveries.next_unmade().map_err(|error| error.to_string())? else { return Ok(false) };
        let end =
            |state, reason: &str| deliveries.end_unmade(&unmade, state, reason).map_err(|error| error.to_string());
        match self.make(&unmade) {
            Ok(objects) => {
                deliveries.put_objects(&unmade, &objects).map_err(|error| error.to_string())?;
                self.shared.changed.notify_all();
            }
            Err(NotMade::Superseded) => {
                end(DeliveryState::Superseded, "the exam went on before its objects were made")?;
            }
            Err(NotMade::Dead(reason)) => {
                tracing::error!(exam = %unmade.exam, reason, "the verdict has no objects");
                end(DeliveryState::Dead, &reason)?;
            }
            Err(NotMade::NotNow(reason)) => return Err(reason),
        }
        Ok(true)
    }

    /// Makes and stores a verdict's objects.
    fn make(&self, unmade: &Unmade) -> Result<Vec<(DeliveryKind, DeliveryObject)>, NotMade> {
        let key = &unmade.exam;
        let record = self.database.record(key).ok_or(NotMade::Superseded)?;
        let report = record.final_report().ok_or(NotMade::Superseded)?;
        let basis = self.database.basis(key).ok_or(NotMade::Superseded)?;
        if content_digest(report, &basis) != unmade.content {
            return Err(NotMade::Superseded);
        }
        let made = objects(report, &basis, unmade.replaces.as_ref(), &self.plane, &self.options)
            .map_err(|error| NotMade::Dead(error.to_string()))?;
        let folder = self.folder.join(key.to_string()).join(unmade.revision.to_string());
        let mut stored = if unmade.has_originals { self.originals(key)? } else { Vec::new() };
        for (number, object) in made.iter().enumerate() {
            let path = folder.join(format!("{:02}.dcm", number + 1));
            write(&path, &object.file)
                .map_err(|error| NotMade::NotNow(format!("cannot write {}: {error}", path.display())))?;
            stored.push((object.kind.into(), stored_object(path, object)));
        }
        Ok(stored)
    }

    /// The instances of an exam as they lie in the spool.
    fn originals(&self, key: &ExamKey) -> Result<Vec<(DeliveryKind, DeliveryObject)>, NotMade> {
        let files = self.spool.instances(key).map_err(|error| NotMade::NotNow(error.to_string()))?;
        // What the spool keeps was read when it came; a file that is no instance any more is told, and does not hold up the others.
        let original = |path: PathBuf| match original(&path) {
            Ok(object) => Some((DeliveryKind::Original, object)),
            Err(error) => {
                tracing::error!(exam = %key, file = %path.display(), error, "an instance cannot be forwarded");
                None
            }
        };
        Ok(files.into_iter().filter_map(original).collect())
    }

    /// Removes the files of exams that are settled.
    fn sweep(&self) {
        let since = Timestamp::now() - KEPT_HOURS.hours();
        let Ok(folders) = std::fs::read_dir(&self.folder) else { return };
        for folder in folders.filter_map(|entry| Some(entry.ok()?.path())) {
            let Some(key) = folder.file_name().and_then(|name| ExamKey::parse(name.to_str()?)) else { continue };
            if matches!(self.shared.deliveries.needs_objects(&key, since), Ok(false))
                && let Err(error) = std::fs::remove_dir_all(&folder)
            {
                tracing::warn!(exam = %key, %error, "the files of delivered objects cannot be removed");
            }
        }
    }
}

fn stored_object(path: PathBuf, object: &ReportObject) -> DeliveryObject {
    DeliveryObject {
        path,
        sop_class_uid: object.reference.sop_class_uid.clone(),
        sop_instance_uid: object.reference.sop_instance_uid.clone(),
        series_instance_uid: Some(object.reference.series_instance_uid.clone()),
        transfer_syntax_uid: dicom_dictionary_std::uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned(),
        sha256: Some(hex(&Sha256::digest(&object.file))),
    }
}

fn original(path: &Path) -> Result<DeliveryObject, String> {
    /// More than any file meta group.
    const HEAD_BYTES: u64 = 1 << 20;
    let mut start = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, HEAD_BYTES), &mut start)
        .map_err(|error| error.to_string())?;
    let meta = Head::read(&start).map_err(|error| error.to_string())?.meta;
    let uid = |text: &str| text.trim_end_matches(['\0', ' ']).to_owned();
    Ok(DeliveryObject {
        path: path.to_owned(),
        sop_class_uid: uid(&meta.media_storage_sop_class_uid),
        sop_instance_uid: uid(&meta.media_storage_sop_instance_uid),
        series_instance_uid: None,
        transfer_syntax_uid: uid(meta.transfer_syntax()),
        sha256: None,
    })
}

/// Writes a file that is whole and on the disk once it has its name.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("part");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}
