//! What is known of an exam's files: the headers of their slices.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::SlicesError;
use crate::audit::Subject;
use crate::dicom::InstanceFile;
use crate::exam::{Content, InstanceHeader, SliceHeader, image_as_it_lies};
use crate::hex::hex;

/// A slice and the file it lies in.
#[derive(Debug)]
pub(super) struct KnownSlice {
    /// Names it in addresses: as long as it is there, and after a restart.
    pub id: String,
    /// Names its bytes: another one if they are replaced.
    pub edition: String,
    pub path: PathBuf,
    /// Which of its file's images it is, from 0.
    pub frame: usize,
    pub series_instance_uid: String,
    pub series_description: String,
    pub sop_instance_uid: String,
    pub header: SliceHeader,
}

/// Which bytes lie in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    inode: u64,
    bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

#[derive(Debug)]
struct KnownFile {
    written: Written,
    /// None of a file without slices, or one that cannot be read.
    slices: Vec<Arc<KnownSlice>>,
}

/// The files of an exam that have been read.
#[derive(Debug, Default)]
pub(super) struct KnownExam {
    /// Whose exam it is, as the audit trail names it.
    pub subject: Option<Subject>,
    files: BTreeMap<PathBuf, KnownFile>,
}

/// A slice whose pixels can be had.
#[derive(Debug)]
pub struct FoundSlice(Arc<KnownSlice>);

impl FoundSlice {
    /// Names the slice's bytes: another one if they are replaced.
    #[must_use]
    pub fn edition(&self) -> &str {
        &self.0.edition
    }

    /// Its Hounsfield units as they lie in the file, row by row; see [`crate::preprocess::StoredImage::whole_hounsfield`].
    ///
    /// # Errors
    /// If the file is gone, does not read, or its pixels do not decode.
    pub fn hounsfield(&self) -> Result<Vec<i16>, SlicesError> {
        let file = InstanceFile::open(&self.0.path)?;
        Ok(image_as_it_lies(&file, self.0.frame, &self.0.header)?.whole_hounsfield())
    }
}

impl KnownExam {
    /// Reads what has come, and forgets what is gone.
    pub(super) fn refresh(&mut self, files: Vec<PathBuf>) {
        let mut before = std::mem::take(&mut self.files);
        for path in files {
            let Ok(written) = std::fs::metadata(&path).map(|metadata| Written::of(&metadata)) else { continue };
            let known = before.remove(&path).filter(|known| known.written == written);
            let file = known.unwrap_or_else(|| KnownFile { written, slices: slices_of(&path, written) });
            self.files.insert(path, file);
        }
    }

    pub(super) fn slices(&self) -> impl Iterator<Item = &Arc<KnownSlice>> {
        self.files.values().flat_map(|file| &file.slices)
    }

    /// Whether there is any file, a slice or not.
    pub(super) fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// A slice whose file still has the bytes that were read.
    pub(super) fn find(&self, id: &str) -> Option<FoundSlice> {
        let slice = self.slices().find(|slice| slice.id == id)?;
        let written = std::fs::metadata(&slice.path).ok().map(|metadata| Written::of(&metadata));
        (written == Some(self.files.get(&slice.path)?.written)).then(|| FoundSlice(slice.clone()))
    }
}

impl Written {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            bytes: metadata.len(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }
}

fn slices_of(path: &Path, written: Written) -> Vec<Arc<KnownSlice>> {
    let header = InstanceFile::open(path)
        .map_err(|error| error.to_string())
        .and_then(|file| InstanceHeader::read(&file.object).map_err(|error| error.to_string()));
    let header = match header {
        Ok(header) => header,
        Err(error) => {
            tracing::warn!(path = %path.display(), error, "an instance of the spool cannot be shown");
            return Vec::new();
        }
    };
    let in_exam: PathBuf = path.components().rev().take(2).collect();
    let named = |what: String| hex(&Sha256::digest(what)[..8]);
    let slice = |(frame, content): (usize, &Content)| {
        let Content::Slice(slice) = content else { return None };
        let id = named(format!("{} {frame}", in_exam.display()));
        Some(Arc::new(KnownSlice {
            edition: named(format!("{id} {written:?}")),
            id,
            path: path.to_owned(),
            frame,
            series_instance_uid: header.series_instance_uid.clone(),
            series_description: header.series_description.clone(),
            sop_instance_uid: header.sop_instance_uid.clone(),
            header: slice.clone(),
        }))
    };
    header.images.iter().enumerate().filter_map(slice).collect()
}
