//! What lies in a folder, sorted into exams as a daemon would have done with the same files: the same refusals, the same
//! exams, the newest version of each instance. Files stand in for what was sent in the order in which they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;

use super::{FolderError, files};
use crate::dicom::{Head, InstanceFile, OddityTally};
use crate::exam::{ExamKey, Holdings, InstanceHeader, Refusal, Siblings};
use crate::ingest::{CheckedFile, RefusedFile, check_file};

/// A file that holds an instance.
#[derive(Debug)]
pub(crate) struct FoundInstance {
    pub exam: ExamKey,
    pub path: PathBuf,
    /// How many files before it hold the same instance with other content.
    pub version: usize,
    pub sop_class_uid: String,
    pub series_instance_uid: String,
}

/// All that lies in a folder and those below it.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// In the order in which they were written.
    pub instances: Vec<FoundInstance>,
    /// What may be a slice and cannot be used, with the exams that miss it.
    pub refused: Vec<(BTreeSet<ExamKey>, Refusal)>,
    /// Files that are something else.
    pub others: usize,
}

impl Survey {
    /// Looks at all files.
    ///
    /// # Errors
    /// If a folder cannot be listed.
    pub(crate) fn of(folder: &Path) -> Result<Self, FolderError> {
        let mut survey = Self::default();
        let mut exams = Exams::default();
        let mut odd = OddityTally::default();
        let mut refused: Vec<(PathBuf, RefusedFile)> = Vec::new();
        for path in in_order_of_writing(files(folder)?) {
            match check_file(&path) {
                CheckedFile::Other => survey.others += 1,
                CheckedFile::Refused(file) => refused.push((path, file)),
                CheckedFile::Instance(header, oddities) => {
                    odd.add(&oddities);
                    // What was damaged and is there whole later is not missing.
                    refused.retain(|(_, file)| file.sop_instance_uid != header.sop_instance_uid);
                    survey.instances.extend(exams.take(path, &header));
                }
            }
        }
        odd.sentences().for_each(|sentence| tracing::warn!("{sentence}"));
        survey.refused = survey.assigned(folder, refused);
        Ok(survey)
    }

    /// All exams of which there is anything.
    pub(crate) fn exams(&self) -> BTreeSet<ExamKey> {
        let of_instances = self.instances.iter().map(|instance| instance.exam.clone());
        of_instances.chain(self.refused.iter().flat_map(|(exams, _)| exams.iter().cloned())).collect()
    }

    /// A file that does not say whose it is belongs to the exams of its folder; where it lies alone, to all of them.
    fn assigned(&self, folder: &Path, refused: Vec<(PathBuf, RefusedFile)>) -> Vec<(BTreeSet<ExamKey>, Refusal)> {
        let at = Timestamp::now();
        let unidentified = || ExamKey::unidentified(&folder.display().to_string(), at);
        let exams_of = |is_meant: &dyn Fn(&Path) -> bool| -> BTreeSet<ExamKey> {
            let meant = self.instances.iter().filter(|instance| is_meant(&instance.path));
            meant.map(|instance| instance.exam.clone()).collect()
        };
        let assign = |(path, file): (PathBuf, RefusedFile)| {
            let beside = || exams_of(&|other| other.parent() == path.parent());
            let mut exams: BTreeSet<ExamKey> = file.identity.exam_key().into_iter().collect();
            let guesses: [&dyn Fn() -> BTreeSet<ExamKey>; 3] =
                [&beside, &|| exams_of(&|_| true), &|| [unidentified()].into()];
            for guess in guesses {
                if exams.is_empty() {
                    exams = guess();
                }
            }
            (exams, refusal(&path, file, at))
        };
        refused.into_iter().map(assign).collect()
    }
}

fn refusal(path: &Path, file: RefusedFile, at: Timestamp) -> Refusal {
    let RefusedFile { sop_instance_uid, identity, reason } = file;
    let by_name = || path.display().to_string();
    let sop_instance_uid = Some(sop_instance_uid).filter(|uid| !uid.is_empty()).unwrap_or_else(by_name);
    Refusal { sop_instance_uid, reason, identity, scanner: String::new(), at }
}

/// By the time of their last change, then by name.
fn in_order_of_writing(files: Vec<PathBuf>) -> Vec<PathBuf> {
    let changed = |path: &PathBuf| path.metadata().and_then(|about| about.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut timed: Vec<(SystemTime, PathBuf)> = files.into_iter().map(|path| (changed(&path), path)).collect();
    timed.sort();
    timed.into_iter().map(|(_, path)| path).collect()
}

/// The instances so far, as a spool would hold them.
#[derive(Default)]
struct Exams {
    siblings: Siblings,
    /// By exam, series and SOP Instance UID: the newest file, and its version.
    newest: BTreeMap<(ExamKey, String, String), (PathBuf, usize)>,
}

impl Exams {
    /// Puts an instance in its exam; `None` if the same bytes are there already.
    fn take(&mut self, path: PathBuf, header: &InstanceHeader) -> Option<FoundInstance> {
        let own = header.exam_key();
        let exam = self.siblings.assign(own, &Known { newest: &self.newest, path: &path, header }).exam;
        let key = key(&exam, header);
        let version = match self.newest.get(&key) {
            Some((known, _)) if has_the_same_data_set(known, &path) => return None,
            Some((_, version)) => version + 1,
            None => 0,
        };
        self.newest.insert(key, (path.clone(), version));
        let (sop_class_uid, series_instance_uid) = (header.sop_class_uid.clone(), header.series_instance_uid.clone());
        Some(FoundInstance { exam, path, version, sop_class_uid, series_instance_uid })
    }
}

fn key(exam: &ExamKey, header: &InstanceHeader) -> (ExamKey, String, String) {
    (exam.clone(), header.series_instance_uid.clone(), header.sop_instance_uid.clone())
}

struct Known<'a> {
    newest: &'a BTreeMap<(ExamKey, String, String), (PathBuf, usize)>,
    path: &'a Path,
    header: &'a InstanceHeader,
}

impl Holdings for Known<'_> {
    fn has(&self, exam: &ExamKey) -> bool {
        self.newest.contains_key(&key(exam, self.header))
    }

    fn has_the_image(&self, exam: &ExamKey) -> bool {
        let Some((known, _)) = self.newest.get(&key(exam, self.header)) else { return false };
        let images = InstanceFile::open(known).and_then(|known| Ok((known, InstanceFile::open(self.path)?)));
        images.is_ok_and(|(known, here)| known.shows_the_same(&here))
    }
}

fn has_the_same_data_set(one: &Path, other: &Path) -> bool {
    let data_set = |path: &Path| {
        let mut bytes = std::fs::read(path).ok()?;
        let head = Head::read(&bytes).ok()?;
        Some(bytes.split_off(head.length))
    };
    data_set(one).is_some_and(|one| data_set(other) == Some(one))
}
