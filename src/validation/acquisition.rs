//! The CT images in a case's folder, in the order in which a scanner would have sent them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;

use crate::exam::{ExamKey, InstanceHeader, is_ct_image, number};
use crate::folder;
use crate::part10::InstanceFile;

/// One exam on the disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Acquisition {
    pub exam: ExamKey,
    /// Its CT images by series number and `InstanceNumber` (0020,0013).
    pub files: Vec<PathBuf>,
}

impl Acquisition {
    /// Finds the CT images in a folder and those below it; other files are passed over.
    ///
    /// # Errors
    /// If the folder cannot be listed, holds no CT image, or images of more than one exam.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let files = folder::files(folder).map_err(|error| error.to_string())?;
        let mut images: Vec<Image> = files.into_iter().filter_map(Image::read).collect();
        images.sort();
        let exams: BTreeSet<&ExamKey> = images.iter().map(|image| &image.exam).collect();
        let exam = match (exams.first(), exams.len()) {
            (None, _) => return Err(format!("{} holds no CT image", folder.display())),
            (Some(exam), 1) => (*exam).clone(),
            (Some(_), several) => {
                return Err(format!(
                    "{} holds {several} exams, a case is one: give each its own folder",
                    folder.display()
                ));
            }
        };
        Ok(Self { exam, files: images.into_iter().map(|image| image.path).collect() })
    }
}

/// Sorted by its fields in their order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Image {
    series_number: i64,
    series_instance_uid: String,
    instance_number: i64,
    path: PathBuf,
    exam: ExamKey,
}

impl Image {
    fn read(path: PathBuf) -> Option<Self> {
        let object = InstanceFile::open(&path).ok()?.object;
        let header = InstanceHeader::read(&object).ok()?;
        let whole = |tag| number(&object, tag).map_or(i64::MAX, |value| value as i64);
        is_ct_image(&header.sop_class_uid).then(|| Self {
            series_number: whole(tags::SERIES_NUMBER),
            instance_number: whole(tags::INSTANCE_NUMBER),
            exam: header.exam_key(),
            series_instance_uid: header.series_instance_uid,
            path,
        })
    }
}
