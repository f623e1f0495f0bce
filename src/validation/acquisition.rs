//! The CT images in a case's folder, in the order in which a scanner would have sent them.

use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;

use crate::dicom::InstanceFile;
use crate::dicom::attributes::number;
use crate::exam::{ExamKey, Refusal, is_ct_image};
use crate::offline::{FolderError, FoundInstance, Survey};

/// Why a case's folder is not one exam.
#[derive(Debug, thiserror::Error)]
pub(super) enum AcquisitionError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{0} holds no CT image")]
    NoCtImage(PathBuf),
    #[error("{folder} holds {exams} exams, a case is one: give each its own folder", folder = folder.display())]
    SeveralExams { folder: PathBuf, exams: usize },
}

/// One exam on the disk.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Acquisition {
    pub exam: ExamKey,
    /// Its CT images by series number and `InstanceNumber` (0020,0013); those that correct others come last.
    pub files: Vec<PathBuf>,
    /// What a daemon would have refused of it.
    pub refused: Vec<Refusal>,
}

impl Acquisition {
    /// Finds the CT images in a folder and those below it; other objects are passed over.
    ///
    /// # Errors
    /// If the folder cannot be listed, holds no CT image and nothing that may be one, or images of more than one exam.
    pub(super) fn read(folder: &Path) -> Result<Self, AcquisitionError> {
        let Survey { mut instances, refused, .. } = Survey::of(folder)?;
        instances.retain(|instance| is_ct_image(&instance.sop_class_uid));
        let mut exams: Vec<ExamKey> = instances.iter().map(|instance| instance.exam.clone()).collect();
        if exams.is_empty() {
            exams.extend(refused.iter().flat_map(|(exams, _)| exams.iter().cloned()));
        }
        exams.sort();
        exams.dedup();
        let exam = match exams.as_slice() {
            [] => return Err(AcquisitionError::NoCtImage(folder.to_owned())),
            [exam] => exam.clone(),
            several => {
                return Err(AcquisitionError::SeveralExams { folder: folder.to_owned(), exams: several.len() });
            }
        };
        instances.sort_by_cached_key(order_of_acquisition);
        let of_exam = refused.into_iter().filter(|(exams, _)| exams.contains(&exam));
        let refused = of_exam.map(|(_, refusal)| refusal).collect();
        Ok(Self { exam, files: instances.into_iter().map(|instance| instance.path).collect(), refused })
    }
}

/// Version, series number and UID, instance number, path.
fn order_of_acquisition(instance: &FoundInstance) -> (usize, i64, String, i64, PathBuf) {
    let object = InstanceFile::open(&instance.path).map(|file| file.object);
    let whole =
        |tag| object.as_ref().ok().and_then(|object| number(object, tag)).map_or(i64::MAX, |value| value as i64);
    let (series, path) = (instance.series_instance_uid.clone(), instance.path.clone());
    (instance.version, whole(tags::SERIES_NUMBER), series, whole(tags::INSTANCE_NUMBER), path)
}
