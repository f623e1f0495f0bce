//! The windows that engines are checked with: of a DICOM series or of the phantom, made as the pipeline makes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::dicom::{ImageFile, InstanceFile, UidSource};
use crate::exam::{
    Content, InstanceHeader, PlaneCentre, PreparedSlice, Series, SlabIndex, Thumbnail, hounsfield_image, is_ct_image,
};
use crate::preprocess::{InputGeometry, Plane, Window};
use crate::scanner::{Instance, Phantom, PhantomKind, PhantomOptions, ScannerError};

/// A window and the slab in its middle.
#[derive(Debug, Clone)]
pub struct SlabWindow {
    pub slab: SlabIndex,
    pub window: Window,
}

/// Why there are no windows.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    #[error(transparent)]
    Source(#[from] ScannerError),
    #[error("{origin} cannot be used: {reason}")]
    Slice { origin: String, reason: String },
    #[error("the exam holds no axial CT slice that can be analysed")]
    NoSlices,
}

/// The phantom with pneumonia in 3 mm slices, 256 x 256: the same on every machine.
///
/// # Errors
/// If the phantom cannot be encoded, which is a fault in this program.
pub fn phantom_exam() -> Result<Vec<Instance>, ScannerError> {
    Phantom::new(PhantomKind::Pneumonia, PhantomOptions::coarse(100, 256)).instances(UidSource::seeded(1))
}

/// At most `count` windows, evenly spread over the largest series of the exam.
///
/// # Errors
/// If a slice cannot be decoded or there is none.
pub fn windows_of(exam: &[Instance], input: &InputGeometry, count: usize) -> Result<Vec<SlabWindow>, WindowError> {
    let mut by_series: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    let is_slices = |instance: &&Instance| !instance.scout && is_ct_image(&instance.sop_class_uid);
    for instance in exam.iter().filter(is_slices) {
        by_series.entry(&instance.series_instance_uid).or_default().push(instance);
    }
    let bytes = |series: &Vec<&Instance>| series.iter().map(|instance| instance.data.len()).sum::<usize>();
    let longest = by_series.into_values().max_by_key(bytes).ok_or(WindowError::NoSlices)?;
    let mut series = Series::default();
    for instance in &longest {
        for (slice, plane) in prepare(instance, input)? {
            let read_again = |present: &PreparedSlice| {
                let same = longest.iter().find(|instance| Path::new(&instance.origin) == present.file.path);
                let again = same.and_then(|instance| prepare(instance, input).ok()).unwrap_or_default();
                let plane = again.into_iter().find(|(slice, _)| slice.file == present.file).map(|(_, plane)| plane);
                plane.ok_or_else(|| "a slice could not be read again".to_owned())
            };
            let added = series.add(slice, &plane, input, read_again);
            added.map_err(|reason| WindowError::Slice { origin: instance.origin.clone(), reason })?;
        }
    }
    let slabs: Vec<SlabIndex> = series.slab_indices().collect();
    let count = count.min(slabs.len());
    let chosen = (0..count).filter_map(|at| slabs.get((2 * at + 1) * slabs.len() / (2 * count)).copied());
    let window = |slab: SlabIndex| {
        let job = series.next_window(input, true, |other, _| other != slab)?;
        Some(SlabWindow { slab, window: job.window(input) })
    };
    let windows: Vec<SlabWindow> = chosen.filter_map(window).collect();
    if windows.is_empty() { Err(WindowError::NoSlices) } else { Ok(windows) }
}

/// The slices in an instance; none if it is something else.
fn prepare(instance: &Instance, input: &InputGeometry) -> Result<Vec<(PreparedSlice, Plane)>, WindowError> {
    let unusable = |reason: String| WindowError::Slice { origin: instance.origin.clone(), reason };
    let file = InstanceFile::of_bytes(instance.part_10()?).map_err(|error| unusable(error.to_string()))?;
    let header = InstanceHeader::read(&file.object).map_err(|error| unusable(error.to_string()))?;
    let mut prepared = Vec::new();
    for (frame, image) in header.images.into_iter().enumerate() {
        let slice = match image {
            Content::Slice(slice) => slice,
            Content::Kept(_) | Content::Unfit(_) => continue,
            Content::Defective(reason) => return Err(unusable(reason)),
        };
        let image = hounsfield_image(&file, frame, &slice).map_err(|error| unusable(error.to_string()))?;
        let centre = PlaneCentre::of_image(slice.geometry.centre);
        let plane = Plane::resample(&image, &slice.geometry.on_plane(centre), input);
        let sop_instance_uid = header.sop_instance_uid.clone();
        let file = ImageFile { path: PathBuf::from(&instance.origin), frame };
        let slice = PreparedSlice {
            sop_class_uid: header.sop_class_uid.clone(),
            sop_instance_uid,
            series_instance_uid: header.series_instance_uid.clone(),
            header: slice,
            noise_hu: None,
            file,
            centre,
            arrival: 0,
            thumbnail: Thumbnail::of(&plane, input),
            lung_at_border: None,
        };
        prepared.push((slice, plane));
    }
    Ok(prepared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ModelPackage;

    #[test]
    fn windows_are_spread_evenly_and_never_more_than_there_are_slabs() {
        let input = ModelPackage::built_in().unwrap().manifest.input;
        let exam = Phantom::new(PhantomKind::Normal, PhantomOptions::coarse(12, 32)).instances(UidSource::seeded(1));
        let exam = exam.unwrap();
        let all = windows_of(&exam, &input, 1000).unwrap();
        assert_eq!(all.len(), 12);
        let few: Vec<SlabIndex> = windows_of(&exam, &input, 3).unwrap().iter().map(|window| window.slab).collect();
        assert_eq!(few, [all[2].slab, all[6].slab, all[10].slab]);
        assert!(matches!(windows_of(&[], &input, 3), Err(WindowError::NoSlices)));
    }
}
