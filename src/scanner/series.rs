//! Instances as they go over the wire: from a folder of DICOM files, or encoded from an object.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntaxIndex;
use dicom_encoding::transfer_syntax::TransferSyntax;
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::ScannerError;
use crate::dicom::Outgoing;
use crate::dicom::{Head, InstanceFile, is_something_else};
use crate::exam::{ExamKey, InstanceHeader};

/// What a file is shows in its first bytes.
const BEGINNING: u64 = 64;

/// One instance, encoded and ready to be sent. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `SOPClassUID`.
    pub sop_class_uid: String,
    /// `SOPInstanceUID`.
    pub sop_instance_uid: String,
    /// The transfer syntax of [`data`](Self::data).
    pub transfer_syntax_uid: String,
    /// `PatientID`; empty where the instance has none.
    pub patient_id: String,
    /// `StudyInstanceUID`.
    pub study_instance_uid: String,
    /// `SeriesInstanceUID`.
    pub series_instance_uid: String,
    /// `SeriesNumber`.
    pub series_number: Option<i32>,
    /// `InstanceNumber`.
    pub instance_number: Option<i32>,
    /// Position along the slice normal, LPS, thousandths of a millimetre; none for scouts and what has no plane.
    pub position_um: Option<i64>,
    /// Whether `ImageType` says that it is a scout (localizer).
    pub scout: bool,
    /// Where it came from, for messages: the file, or the phantom's slice.
    pub origin: String,
    /// The data set without preamble and file meta group.
    pub data: Arc<[u8]>,
}

impl Instance {
    /// Position along the slice normal, LPS, mm.
    #[must_use]
    pub fn position_mm(&self) -> Option<f64> {
        // A scanner's coordinates are metres at most: exact in an f64.
        #[allow(clippy::cast_precision_loss)]
        self.position_um.map(|um| um as f64 / 1000.0)
    }

    /// What of it goes over the wire.
    #[must_use]
    pub fn outgoing(&self) -> Outgoing<'_> {
        Outgoing { sop_class_uid: &self.sop_class_uid, sop_instance_uid: &self.sop_instance_uid, data: &self.data }
    }

    /// The instance read.
    ///
    /// # Errors
    ///
    /// If its bytes are no data set.
    pub fn object(&self) -> Result<DefaultDicomObject, ScannerError> {
        dicom_object::from_reader(Cursor::new(self.part_10()?)).map_err(|e| ScannerError::encoding(&self.origin, &e))
    }

    /// The exam that a receiver puts it into.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or lacks the UIDs that place it.
    pub fn exam_key(&self) -> Result<ExamKey, ScannerError> {
        let object = self.object()?;
        let header = InstanceHeader::read(&object);
        Ok(header.map_err(|e| ScannerError::encoding(&self.origin, &e))?.exam_key())
    }

    /// The instance as a Part 10 file.
    ///
    /// # Errors
    ///
    /// If its UIDs are none.
    pub fn part_10(&self) -> Result<Vec<u8>, ScannerError> {
        let meta = dicom_object::FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(self.sop_class_uid.as_str())
            .media_storage_sop_instance_uid(self.sop_instance_uid.as_str())
            .transfer_syntax(self.transfer_syntax_uid.as_str())
            .build()
            .map_err(|e| ScannerError::encoding(&self.origin, &e))?;
        let mut bytes = vec![0; 128];
        bytes.extend_from_slice(b"DICM");
        meta.write(&mut bytes).map_err(|e| ScannerError::encoding(&self.origin, &e))?;
        bytes.extend_from_slice(&self.data);
        Ok(bytes)
    }
}

/// A file that cannot be sent, although it may be a DICOM instance.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// In words.
    pub reason: String,
}

/// What was found in a folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// All instances in the order of acquisition: by study, series, instance number, then file name.
    pub instances: Vec<Instance>,
    /// Files that are something else.
    pub skipped: Vec<(PathBuf, String)>,
    /// Files that may be DICOM instances and cannot be read as such.
    pub unreadable: Vec<Unreadable>,
}

/// Reads all Part 10 files below a folder, or one file, keeping each one's transfer syntax and bytes.
///
/// # Errors
///
/// If the folder cannot be listed or holds no DICOM file.
pub fn load_folder(folder: &Path) -> Result<Folder, ScannerError> {
    let mut instances = Vec::new();
    let (mut skipped, mut unreadable) = (Vec::new(), Vec::new());
    for path in files_below(folder)? {
        match load_file(&path) {
            Ok(instance) => instances.push(instance),
            Err(reason) if is_other(&path) => skipped.push((path, reason)),
            Err(reason) => unreadable.push(Unreadable { path, reason }),
        }
    }
    if instances.is_empty() {
        let skipped = skipped.len() + unreadable.len();
        return Err(ScannerError::NothingToSend { folder: folder.to_owned(), skipped });
    }
    in_order_of_acquisition(&mut instances);
    Ok(Folder { instances, skipped, unreadable })
}

/// Sorts by study, series number and UID, instance number, then origin. A scout's series has the lower number.
pub(super) fn in_order_of_acquisition(instances: &mut [Instance]) {
    instances.sort_by(|a, b| {
        let key = |i: &Instance| (i.series_number.unwrap_or(i32::MAX), i.instance_number);
        a.study_instance_uid
            .cmp(&b.study_instance_uid)
            .then(key(a).0.cmp(&key(b).0))
            .then_with(|| a.series_instance_uid.cmp(&b.series_instance_uid))
            .then(key(a).1.cmp(&key(b).1))
            .then_with(|| a.origin.cmp(&b.origin))
    });
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>, ScannerError> {
    let unreadable = |path: &Path, source| ScannerError::Folder { folder: path.to_owned(), source };
    let kind = std::fs::metadata(folder).map_err(|e| unreadable(folder, e))?;
    if kind.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut files = Vec::new();
    let mut to_visit = vec![folder.to_owned()];
    while let Some(current) = to_visit.pop() {
        for entry in std::fs::read_dir(&current).map_err(|e| unreadable(&current, e))? {
            let entry = entry.map_err(|e| unreadable(&current, e))?;
            let kind = entry.file_type().map_err(|e| unreadable(&current, e))?;
            // Links to folders are not followed: they can lead in a circle.
            if kind.is_dir() {
                to_visit.push(entry.path());
            } else if entry.path().is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

fn is_other(path: &Path) -> bool {
    let mut beginning = Vec::new();
    // A file that cannot be read at all may be anything.
    let _ = std::fs::File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut beginning));
    is_something_else(path, &beginning)
}

fn load_file(path: &Path) -> Result<Instance, String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let length = Head::read(&bytes).map_err(|e| e.to_string())?.length;
    let data: Arc<[u8]> = bytes[length..].into();
    let file = InstanceFile::of_bytes(bytes).map_err(|e| e.to_string())?;
    let origin = path.display().to_string();
    describe(&file.object, file.object.meta().transfer_syntax(), origin, data)
}

/// Encodes an object.
///
/// # Errors
///
/// If the transfer syntax is unknown or the object cannot be written in it, or lacks its SOP UIDs.
pub(super) fn from_object(
    object: &InMemDicomObject,
    transfer_syntax_uid: &str,
    origin: String,
) -> Result<Instance, ScannerError> {
    let syntax = transfer_syntax(transfer_syntax_uid)?;
    let mut data = Vec::with_capacity(640 * 1024);
    object.write_dataset_with_ts(&mut data, syntax).map_err(|e| ScannerError::encoding(&origin, &e))?;
    describe(object, transfer_syntax_uid, origin.clone(), data.into())
        .map_err(|reason| ScannerError::Encoding { origin, reason })
}

pub(super) fn transfer_syntax(uid: &str) -> Result<&'static TransferSyntax, ScannerError> {
    TransferSyntaxRegistry.get(uid).ok_or_else(|| ScannerError::TransferSyntax { uid: uid.to_owned() })
}

fn describe(
    header: &InMemDicomObject,
    transfer_syntax_uid: &str,
    origin: String,
    data: Arc<[u8]>,
) -> Result<Instance, String> {
    let required = |tag: Tag, name: &str| string(header, tag).ok_or(format!("{name} is missing"));
    let scout = string(header, tags::IMAGE_TYPE)
        .is_some_and(|image_type| image_type.split('\\').any(|v| v.trim() == "LOCALIZER"));
    Ok(Instance {
        sop_class_uid: required(tags::SOP_CLASS_UID, "SOPClassUID")?,
        sop_instance_uid: required(tags::SOP_INSTANCE_UID, "SOPInstanceUID")?,
        transfer_syntax_uid: trimmed(transfer_syntax_uid),
        patient_id: string(header, tags::PATIENT_ID).unwrap_or_default(),
        study_instance_uid: string(header, tags::STUDY_INSTANCE_UID).unwrap_or_default(),
        series_instance_uid: string(header, tags::SERIES_INSTANCE_UID).unwrap_or_default(),
        series_number: integer(header, tags::SERIES_NUMBER),
        instance_number: integer(header, tags::INSTANCE_NUMBER),
        position_um: position(header).filter(|_| !scout),
        scout,
        origin,
        data,
    })
}

/// Projection of `ImagePositionPatient` on the slice normal, µm.
fn position(header: &InMemDicomObject) -> Option<i64> {
    let numbers = |tag| header.get(tag)?.to_multi_float64().ok();
    let corner: [f64; 3] = numbers(tags::IMAGE_POSITION_PATIENT)?.try_into().ok()?;
    let [rx, ry, rz, cx, cy, cz]: [f64; 6] = numbers(tags::IMAGE_ORIENTATION_PATIENT)?.try_into().ok()?;
    let normal = [ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx];
    let along: f64 = corner.iter().zip(normal).map(|(c, n)| c * n).sum();
    // `as` saturates, and no scanner is that long.
    #[allow(clippy::cast_possible_truncation)]
    along.is_finite().then_some((along * 1000.0).round() as i64)
}

fn string(header: &InMemDicomObject, tag: Tag) -> Option<String> {
    let value = trimmed(&header.get(tag)?.to_str().ok()?);
    (!value.is_empty()).then_some(value)
}

fn integer(header: &InMemDicomObject, tag: Tag) -> Option<i32> {
    header.get(tag)?.to_int().ok()
}

fn trimmed(value: &str) -> String {
    value.trim_matches(['\0', ' ']).to_owned()
}

/// For messages: how many instances there are in each transfer syntax.
#[must_use]
pub fn transfer_syntaxes(instances: &[Instance]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for instance in instances {
        *counts.entry(instance.transfer_syntax_uid.clone()).or_default() += 1;
    }
    counts
}

/// Writes an instance as a Part 10 file.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_file(instance: &Instance, path: &Path) -> Result<(), ScannerError> {
    std::fs::write(path, instance.part_10()?).map_err(|source| ScannerError::Folder { folder: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_dictionary_std::uids;

    use super::*;
    use crate::dicom::UidSource;
    use crate::scanner::phantom::{Phantom, PhantomKind, PhantomOptions};

    fn exam() -> Vec<Instance> {
        Phantom::new(PhantomKind::Normal, PhantomOptions::coarse(6, 16))
            .instances(UidSource::seeded(1))
            .expect("encoded")
    }

    #[test]
    fn a_folder_gives_back_the_bytes_that_were_written_in_order_of_acquisition() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::create_dir(folder.path().join("below")).expect("folder");
        let exam = exam();
        for (index, instance) in exam.iter().enumerate() {
            // Names that sort against the instance numbers, at two depths.
            let place = if index % 2 == 0 { "below/" } else { "" };
            let name = format!("{place}{:02}.dcm", 50 - index);
            write_file(instance, &folder.path().join(name)).expect("written");
        }
        std::fs::write(folder.path().join("notes.txt"), "not DICOM").expect("written");
        let found = load_folder(folder.path()).expect("read");
        assert_eq!(found.skipped.len(), 1);
        assert_eq!(found.instances.len(), exam.len());
        for (read, written) in found.instances.iter().zip(&exam) {
            assert_eq!(read.data, written.data);
            assert_eq!(read.sop_instance_uid, written.sop_instance_uid);
            assert_eq!(read.position_um, written.position_um);
            assert_eq!(read.scout, written.scout);
        }
    }

    #[test]
    fn the_data_set_begins_where_the_file_says_not_where_we_would_have_written_it() {
        let instance = exam().remove(1);
        // A meta group with a private element at its end, as some scanners write it.
        let mut meta = Vec::new();
        for (element, value) in [
            (2_u16, instance.sop_class_uid.as_str()),
            (3, instance.sop_instance_uid.as_str()),
            (0x10, "1.2.840.10008.1.2.1\0"),
            (0x12, "1.2.3\0"),
        ] {
            let padded = format!("{value}{}", "\0".repeat(value.len() % 2));
            meta.extend_from_slice(&[2, 0]);
            meta.extend_from_slice(&element.to_le_bytes());
            meta.extend_from_slice(b"UI");
            meta.extend_from_slice(&u16::try_from(padded.len()).expect("short").to_le_bytes());
            meta.extend_from_slice(padded.as_bytes());
        }
        meta.extend_from_slice(b"\x02\x00\x16\x00AE\x04\x00CT  ");
        let mut bytes = vec![0; 128];
        bytes.extend_from_slice(b"DICM\x02\x00\x00\x00UL\x04\x00");
        bytes.extend_from_slice(&u32::try_from(meta.len()).expect("short").to_le_bytes());
        bytes.extend_from_slice(&meta);
        bytes.extend_from_slice(&instance.data);
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), bytes).expect("written");
        let found = load_folder(file.path()).expect("read");
        assert_eq!(found.instances[0].data, instance.data);
    }

    #[test]
    fn a_folder_without_dicom_says_so() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("a"), [0; 200]).expect("written");
        let error = load_folder(folder.path()).expect_err("nothing there");
        assert!(error.to_string().contains("no DICOM file"), "{error}");
    }

    #[test]
    fn positions_are_along_the_slice_normal_whatever_the_orientation() {
        let mut object = InMemDicomObject::new_empty();
        let mut put = |tag, vr, value: &str| {
            let values = value.split('\\').map(str::to_owned).collect();
            object.put(DataElement::new(tag, vr, PrimitiveValue::Strs(values)));
        };
        put(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE);
        put(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3");
        put(tags::IMAGE_POSITION_PATIENT, VR::DS, "-10\\20\\-30.5");
        put(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
        let syntax = uids::EXPLICIT_VR_LITTLE_ENDIAN;
        let coronal = from_object(&object, syntax, "test".to_owned()).expect("encoded");
        assert_eq!(coronal.position_mm(), Some(20.0));
    }
}
