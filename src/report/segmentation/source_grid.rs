//! The images of one series that share one pixel grid, but for their position.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::exam::{ImagePlane, SourceImage};
use crate::report::elements::{Put, sop_reference};

/// Direction cosines that differ by no more, or spacings in mm, are the same: over a whole image that is a twentieth of a
/// millimetre. Senders round them.
const SAME: f64 = 1e-4;

/// Images stand evenly if each distance is within this share of their mean distance; senders round positions.
const EVEN_SHARE: f64 = 0.05;

/// Thicknesses that differ by no more are the same, mm.
const SAME_THICKNESS_MM: f64 = 0.01;

/// Images of one series with the same rows, columns, orientation and spacing, in ascending z.
pub(super) struct SourceGrid<'a> {
    first: &'a SourceImage,
    pub images: Vec<&'a SourceImage>,
}

impl<'a> SourceGrid<'a> {
    /// Parts images, which stand in ascending z, by series and grid.
    pub(super) fn of_images(images: &'a [SourceImage]) -> Vec<Self> {
        let mut grids: Vec<Self> = Vec::new();
        for image in images {
            match grids.iter_mut().find(|grid| grid.holds(image)) {
                Some(grid) => grid.images.push(image),
                None => grids.push(Self { first: image, images: vec![image] }),
            }
        }
        grids
    }

    fn holds(&self, image: &SourceImage) -> bool {
        let (a, b) = (&self.first.geometry, &image.geometry);
        let are_near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= SAME);
        self.first.series_instance_uid == image.series_instance_uid
            && (a.rows, a.columns) == (b.rows, b.columns)
            && are_near(&a.stored.orientation, &b.stored.orientation)
            && are_near(&a.stored.spacing_mm, &b.stored.spacing_mm)
    }

    pub(super) fn series_instance_uid(&self) -> &'a str {
        &self.first.series_instance_uid
    }

    pub(super) fn rows(&self) -> usize {
        self.first.geometry.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.first.geometry.columns
    }

    /// Pixels of one image.
    pub(super) fn pixels(&self) -> usize {
        self.rows() * self.columns()
    }

    /// The grid, at the position of its lowest image.
    pub(super) fn plane(&self) -> &'a ImagePlane {
        &self.first.geometry.stored
    }

    /// How thick the images are, mm; `None` where they do not agree.
    pub(super) fn thickness_mm(&self) -> Option<f64> {
        let first = self.first.thickness_mm?;
        let is_alike =
            |image: &&SourceImage| image.thickness_mm.is_some_and(|mm| (mm - first).abs() <= SAME_THICKNESS_MM);
        self.images.iter().all(is_alike).then_some(first)
    }

    /// How far apart they stand along their normal, mm; `None` where they do not stand evenly.
    pub(super) fn distance_mm(&self) -> Option<f64> {
        let z_mm: Vec<f64> = self.images.iter().map(|image| image.geometry.z_mm).collect();
        let mean = (z_mm.last()? - z_mm.first()?) / z_mm.len().checked_sub(1).filter(|gaps| *gaps > 0)? as f64;
        let is_even = |pair: &[f64]| (pair[1] - pair[0] - mean).abs() <= EVEN_SHARE * mean;
        z_mm.windows(2).all(is_even).then_some(mean)
    }
}

/// The Common Instance Reference module (PS3.3 C.12.2): all images that were looked at, also those on which nothing was drawn.
pub(super) fn put_references(object: &mut InMemDicomObject, grid: &SourceGrid<'_>) {
    let mut instances: Vec<&SourceImage> = Vec::new();
    for image in &grid.images {
        // Frames of one instance need not stand together in z.
        if image.frame_number.is_none()
            || !instances.iter().any(|known| known.sop_instance_uid == image.sop_instance_uid)
        {
            instances.push(image);
        }
    }
    let instances =
        instances.iter().map(|image| sop_reference(&image.sop_class_uid, &image.sop_instance_uid)).collect();
    let mut series = InMemDicomObject::new_empty();
    series
        .text(tags::SERIES_INSTANCE_UID, VR::UI, grid.series_instance_uid())
        .items(tags::REFERENCED_INSTANCE_SEQUENCE, instances);
    object.item(tags::REFERENCED_SERIES_SEQUENCE, series);
}
