//! The thread that makes the objects of verdicts, and removes their files once they are delivered.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan as _};
use sha2::{Digest as _, Sha256};

use super::objects::{ObjectsError, objects_as_made};
use super::{POLL, Shared};
use crate::database::{Database, DatabaseError, DeliveryKind, DeliveryObject, DeliveryState, Unmade};
use crate::dicom::Head;
use crate::exam::ExamKey;
use crate::hex::hex;
use crate::meanwhile::Meanwhile;
use crate::preprocess::InputGeometry;
use crate::report::{ObjectKind, ReportError, ReportObject, ReportOptions, content_digest};
use crate::serving::lower_priority;
use crate::spool::{Spool, make_folders, write_durably};
use crate::texts::Phrase;

/// Files of delivered objects stay for so long, should somebody want them sent again.
const KEPT_HOURS: i64 = 24;

/// The folder, and what waits for nobody, are looked through this often.
const SWEEP: Duration = Duration::from_mins(1);

/// After an error of the database or the disk.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// What is made of a verdict, in two parts: [`objects_as_made`].
const SEGMENTATIONS: &[DeliveryKind] = &[DeliveryKind::Segmentation];
const OTHER_OBJECTS: &[DeliveryKind] = &[DeliveryKind::SecondaryCapture, DeliveryKind::StructuredReport];

pub(super) struct Maker {
    pub shared: Arc<Shared>,
    pub database: Arc<Database>,
    pub folder: PathBuf,
    pub spool: Arc<Spool>,
    pub plane: InputGeometry,
    pub options: ReportOptions,
    /// The destinations' names.
    pub names: Vec<String>,
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

impl From<ObjectsError> for NotMade {
    fn from(error: ObjectsError) -> Self {
        Self::Dead(error.to_string())
    }
}

impl From<ReportError> for NotMade {
    fn from(error: ReportError) -> Self {
        ObjectsError::from(error).into()
    }
}

impl Maker {
    pub(super) fn run(self) {
        // The next patient's slices come first.
        lower_priority();
        let (mut swept, mut strays): (Option<Instant>, Vec<Phrase>) = (None, Vec::new());
        let mut patience = Duration::ZERO;
        while if patience > POLL { self.shared.pause(patience) } else { self.shared.wait(patience) } {
            if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
                swept = Some(Instant::now());
                self.sweep();
                strays = self.strays();
            }
            let mut trouble = strays.clone();
            patience = match self.make_all() {
                Ok(()) => POLL,
                Err(error) => {
                    tracing::error!(error, "the objects of a verdict cannot be made at present");
                    trouble.push(Phrase::new("daemon.results_are_not_made").with("reason", Phrase::english(error)));
                    AFTER_ERROR
                }
            };
            *self.shared.trouble.lock() = trouble;
        }
    }

    /// Makes all that is to be made. One verdict whose objects cannot be made at present keeps none behind it waiting.
    fn make_all(&self) -> Result<(), String> {
        let (mut after, mut failed) = (0, Ok(()));
        let in_words = |error: DatabaseError| error.to_string();
        while let Some(unmade) = self.shared.deliveries.next_unmade(after).map_err(in_words)? {
            after = unmade.id;
            if let Err(error) = self.make_next(&unmade) {
                failed = Err(error);
            }
            if !self.shared.wait(Duration::ZERO) {
                break;
            }
        }
        failed
    }

    fn make_next(&self, unmade: &Unmade) -> Result<(), String> {
        let deliveries = &self.shared.deliveries;
        let end = |state, reason: &str| deliveries.end_unmade(unmade, state, reason).map_err(|error| error.to_string());
        if unmade.has_originals {
            let originals = self.originals(&unmade.exam)?;
            self.enter(unmade, &[DeliveryKind::Original], &originals).map_err(|error| error.to_string())?;
        }
        match self.make(unmade) {
            Ok(()) => Ok(()),
            Err(NotMade::Superseded) => end(DeliveryState::Superseded, "the exam went on before its objects were made"),
            Err(NotMade::Dead(reason)) => {
                tracing::error!(exam = %unmade.exam, reason, "the verdict has no objects");
                end(DeliveryState::Dead, &reason)
            }
            Err(NotMade::NotNow(reason)) => Err(reason),
        }
    }

    /// Makes, stores and enters a verdict's objects, unless they were made for another destination before.
    fn make(&self, unmade: &Unmade) -> Result<(), NotMade> {
        let made = self.shared.deliveries.made_objects(unmade)?;
        if !made.is_empty() && made.iter().all(|(_, object)| object.path.exists()) {
            return Ok(self.enter(unmade, &[SEGMENTATIONS, OTHER_OBJECTS].concat(), &made)?);
        }
        let key = &unmade.exam;
        let record = self.database.record(key).ok_or_else(|| NotMade::NotNow(format!("exam {key} cannot be read")))?;
        let report = record.final_report().ok_or(NotMade::Superseded)?;
        let basis = self
            .database
            .basis(key)
            .ok_or_else(|| NotMade::Dead("what the verdict was made from is not kept or cannot be read".to_owned()))?;
        // Another verdict than this one has a delivery of its own, or will have it once it is written.
        if basis.concluded != unmade.concluded && content_digest(report, &basis) != unmade.content {
            return Err(NotMade::Superseded);
        }
        let folder = self.folder.join(key.to_string()).join(unmade.revision.to_string());
        let stored = AtomicUsize::new(0);
        objects_as_made(report, &basis, unmade.replaces.as_ref(), &self.plane, &self.options, |made| {
            let first = stored.fetch_add(made.len(), Ordering::Relaxed) + 1;
            let is_first_part = made.iter().all(|object| object.kind == ObjectKind::Segmentation);
            let kinds = if is_first_part { SEGMENTATIONS } else { OTHER_OBJECTS };
            Ok(self.enter(unmade, kinds, &store_all(&folder, first, made)?)?)
        })
    }

    fn enter(
        &self,
        unmade: &Unmade,
        kinds: &[DeliveryKind],
        objects: &[(DeliveryKind, DeliveryObject)],
    ) -> Result<(), DatabaseError> {
        self.shared.deliveries.put_objects(unmade, kinds, objects)?;
        self.shared.changed.notify_all();
        Ok(())
    }

    /// What waits for destinations that are not configured any more, in words.
    fn strays(&self) -> Vec<Phrase> {
        let strays = self.shared.deliveries.strays(&self.names).unwrap_or_default();
        let told = |(name, waiting): (String, usize)| {
            Phrase::new("daemon.destination_is_gone").with("count", waiting).with("destination", name)
        };
        strays.into_iter().map(told).collect()
    }

    /// The instances of an exam as they lie in the spool.
    fn originals(&self, key: &ExamKey) -> Result<Vec<(DeliveryKind, DeliveryObject)>, String> {
        let files = self.spool.instances(key).map_err(|error| error.to_string())?;
        Ok(files.into_iter().map(|path| (DeliveryKind::Original, original(path))).collect())
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

/// Writes objects of a verdict's, which have the places from `first` on among all. The disk takes all files in the time of the largest.
fn store_all(
    folder: &Path,
    first: usize,
    objects: &[&ReportObject],
) -> Result<Vec<(DeliveryKind, DeliveryObject)>, NotMade> {
    thread::scope(|scope| {
        let write = |(place, object)| Meanwhile::begin(scope, move || store(folder, place, object));
        let writing: Vec<_> = (first..).zip(objects.iter().copied()).map(write).collect();
        writing.into_iter().map(Meanwhile::end).collect()
    })
}

/// Writes an object of a verdict's, which has this place among the others.
fn store(folder: &Path, place: usize, object: &ReportObject) -> Result<(DeliveryKind, DeliveryObject), NotMade> {
    let sha256 = hex(&Sha256::digest(&object.file));
    // Named by its content too: whatever is made another time overwrites nothing that is on its way.
    let path = folder.join(format!("{place:02}-{}.dcm", &sha256[..16]));
    make_folders(&path)
        .and_then(|()| write_durably(&path.with_extension("part"), &path, &[&object.file]))
        .map_err(|error| NotMade::NotNow(format!("cannot write {}: {error}", path.display())))?;
    Ok((object.kind.into(), stored_object(path, sha256, object)))
}

fn stored_object(path: PathBuf, sha256: String, object: &ReportObject) -> DeliveryObject {
    DeliveryObject {
        path,
        sop_class_uid: object.reference.sop_class_uid.clone(),
        sop_instance_uid: object.reference.sop_instance_uid.clone(),
        series_instance_uid: Some(object.reference.series_instance_uid.clone()),
        transfer_syntax_uid: dicom_dictionary_std::uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned(),
        sha256: Some(sha256),
    }
}

/// An instance in the spool. One that cannot be read names no SOP class: it is dead when its turn comes.
fn original(path: PathBuf) -> DeliveryObject {
    let [sop_class_uid, sop_instance_uid, transfer_syntax_uid] = named_in(&path).unwrap_or_default();
    DeliveryObject {
        path,
        sop_class_uid,
        sop_instance_uid,
        series_instance_uid: None,
        transfer_syntax_uid,
        sha256: None,
    }
}

fn named_in(path: &Path) -> Option<[String; 3]> {
    /// More than any file meta group.
    const HEAD_BYTES: u64 = 1 << 20;
    let mut start = Vec::new();
    File::open(path).ok()?.take(HEAD_BYTES).read_to_end(&mut start).ok()?;
    let meta = Head::read(&start).ok()?.meta;
    let uids = [&meta.media_storage_sop_class_uid, &meta.media_storage_sop_instance_uid, meta.transfer_syntax()];
    Some(uids.map(|uid| uid.trim_end_matches(['\0', ' ']).to_owned()))
}
