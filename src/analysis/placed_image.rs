//! Which image stands for a slab, and on which plane.

use std::os::unix::fs::MetadataExt as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::dicom::ImageFile;
use crate::exam::{PlaneCentre, PreparedSlice};
use crate::hex::hex;

/// An image, and where the plane lies that it is shown on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "KeptImage")]
pub struct PlacedImage {
    pub image: ImageFile,
    /// About the image itself where nothing is said.
    pub centre: Option<PlaneCentre>,
}

impl PlacedImage {
    /// A slice on the plane that it was analysed on.
    #[must_use]
    pub fn of(slice: &PreparedSlice) -> Self {
        Self { image: slice.file.clone(), centre: Some(slice.centre) }
    }
}

/// An image in the database: before planes had places of their own it was all.
#[derive(Deserialize)]
#[serde(untagged)]
enum KeptImage {
    Placed { image: ImageFile, centre: Option<PlaneCentre> },
    Image(ImageFile),
}

impl From<KeptImage> for PlacedImage {
    fn from(kept: KeptImage) -> Self {
        match kept {
            KeptImage::Placed { image, centre } => Self { image, centre },
            KeptImage::Image(image) => Self { image, centre: None },
        }
    }
}

/// Names what a picture is drawn from: it changes when another slice stands for the slab, and when a file is replaced by a
/// corrected one. A file that is gone has an edition of its own.
#[must_use]
pub fn edition(PlacedImage { image: file, centre }: &PlacedImage) -> String {
    let written = std::fs::metadata(&file.path).ok();
    let written = written.map(|file| (file.ino(), file.len(), file.mtime(), file.mtime_nsec()));
    let digest = Sha256::digest(format!("{} {} {written:?} {centre:?}", file.path.display(), file.frame));
    hex(&digest[..8])
}
