//! Masks in binary DICOM segmentations (PS3.3 A.51): frames of one bit a pixel, each with its place and segment.

use std::path::Path;

use dicom_core::Tag;
use dicom_core::value::Value;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::voxels::{Grid, VoxelMask};
use crate::dicom::attributes::{number, numbers, text};
use crate::exam::{Lps, cross, dot};

/// Frames may lie off the regular grid by this share of a step.
const MAX_OFF_GRID: f64 = 0.2;

/// Positions closer than this are one, mm.
const SAME_POSITION_MM: f64 = 0.01;

pub(super) fn read(path: &Path, label: Option<u16>) -> Result<VoxelMask, String> {
    let object = dicom_object::open_file(path)
        .map_err(|error| format!("it is neither a NIfTI file by its name (.nii, .nii.gz) nor a DICOM file: {error}"))?;
    if text(&object, tags::SOP_CLASS_UID) != uids::SEGMENTATION_STORAGE {
        return Err("it is a DICOM file but no segmentation".to_owned());
    }
    let kind = text(&object, tags::SEGMENTATION_TYPE);
    if kind != "BINARY" {
        return Err(format!("its segmentation type (0062,0001) is {kind:?}, only BINARY is read"));
    }
    check_segment(&object, label)?;
    let frames = frames(&object)?;
    let stack = Stack::of(&frames)?;
    let size = |tag| number(&object, tag).map(|size| usize::from(size as u16)).unwrap_or_default();
    let (rows, columns) = (size(tags::ROWS), size(tags::COLUMNS));
    let mut mask = VoxelMask::empty(stack.grid(rows, columns))?;
    let bits = pixel_bits(&object, frames.len() * rows * columns)?;
    for (frame_at, frame) in frames.iter().enumerate() {
        if label.is_some_and(|label| label != frame.segment) {
            continue;
        }
        let first = stack.slice_of(frame)? * rows * columns;
        for at in 0..rows * columns {
            // The first pixel is the lowest bit, and frames follow each other without padding (PS3.5 8.1.1, 8.2).
            let bit = frame_at * rows * columns + at;
            if bits[bit / 8] >> (bit % 8) & 1 == 1 {
                mask.set(first + at);
            }
        }
    }
    Ok(mask)
}

fn check_segment(object: &InMemDicomObject, label: Option<u16>) -> Result<(), String> {
    let Some(label) = label else { return Ok(()) };
    let segments = items(object, tags::SEGMENT_SEQUENCE);
    let numbers: Vec<f64> = segments.iter().filter_map(|segment| number(segment, tags::SEGMENT_NUMBER)).collect();
    if numbers.contains(&f64::from(label)) {
        return Ok(());
    }
    let titles: Vec<String> = segments
        .iter()
        .map(|segment| format!("{} {}", text(segment, tags::SEGMENT_NUMBER), text(segment, tags::SEGMENT_LABEL)))
        .collect();
    Err(format!("it has no segment {label}; it has: {}", titles.join(", ")))
}

fn pixel_bits(object: &InMemDicomObject, bits: usize) -> Result<Vec<u8>, String> {
    let element = object.element(tags::PIXEL_DATA).map_err(|_| "it has no pixel data".to_owned())?;
    let Value::Primitive(value) = element.value() else {
        return Err("its pixel data are compressed, which is not read".to_owned());
    };
    let bytes = value.to_bytes().into_owned();
    if bytes.len() < bits.div_ceil(8) {
        return Err(format!("its pixel data have {} bytes, expected {}", bytes.len(), bits.div_ceil(8)));
    }
    Ok(bytes)
}

/// One frame: a plane of one segment.
#[derive(Debug, Clone, PartialEq)]
struct Frame {
    segment: u16,
    /// The centre of the first pixel.
    position: Lps,
    plane: Plane,
}

/// What all frames have to share.
#[derive(Debug, Clone, PartialEq)]
struct Plane {
    orientation: [f64; 6],
    /// Distances of rows and of columns, mm.
    spacing_mm: [f64; 2],
    /// Distance of neighbouring frames, mm: Spacing Between Slices, else Slice Thickness.
    between_mm: Option<f64>,
}

fn frames(object: &InMemDicomObject) -> Result<Vec<Frame>, String> {
    let shared = items(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first();
    let own = items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let announced = number(object, tags::NUMBER_OF_FRAMES).unwrap_or_default() as usize;
    if own.is_empty() || own.len() != announced {
        return Err(format!("it has {announced} frames and says where {} of them lie", own.len()));
    }
    own.iter()
        .enumerate()
        .map(|(at, own)| frame(own, shared).ok_or_else(|| format!("frame {} has no place or no segment", at + 1)))
        .collect()
}

/// Each functional group (PS3.3 C.7.6.16) stands with its frame or with all of them.
fn frame(own: &InMemDicomObject, shared: Option<&InMemDicomObject>) -> Option<Frame> {
    let group = |tag| [Some(own), shared].into_iter().flatten().find_map(|groups| items(groups, tag).first());
    let measures = group(tags::PIXEL_MEASURES_SEQUENCE)?;
    let positive = |tag| number(measures, tag).filter(|mm| *mm > 0.0);
    Some(Frame {
        segment: number(group(tags::SEGMENT_IDENTIFICATION_SEQUENCE)?, tags::REFERENCED_SEGMENT_NUMBER)? as u16,
        position: numbers(group(tags::PLANE_POSITION_SEQUENCE)?, tags::IMAGE_POSITION_PATIENT)?,
        plane: Plane {
            orientation: numbers(group(tags::PLANE_ORIENTATION_SEQUENCE)?, tags::IMAGE_ORIENTATION_PATIENT)?,
            spacing_mm: numbers(measures, tags::PIXEL_SPACING)?,
            between_mm: positive(tags::SPACING_BETWEEN_SLICES).or_else(|| positive(tags::SLICE_THICKNESS)),
        },
    })
}

fn items(object: &InMemDicomObject, sequence: Tag) -> &[InMemDicomObject] {
    object.get(sequence).and_then(|element| element.items()).unwrap_or_default()
}

/// The frames as slices of one regular grid along their normal.
struct Stack {
    plane: Plane,
    normal: Lps,
    /// Position of the lowest frame.
    origin: Lps,
    step_mm: f64,
    slices: usize,
}

impl Stack {
    fn of(frames: &[Frame]) -> Result<Self, String> {
        let first = frames.first().ok_or("it has no frames")?;
        let plane = first.plane.clone();
        if frames.iter().any(|frame| frame.plane != plane) {
            return Err("its frames lie in different planes".to_owned());
        }
        let [along_row, along_column] = axes(&plane);
        let normal = cross(along_row, along_column);
        let mut heights: Vec<f64> = frames.iter().map(|frame| dot(frame.position, normal)).collect();
        heights.sort_by(f64::total_cmp);
        let reach_mm = heights[heights.len() - 1] - heights[0];
        let gaps = heights.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > SAME_POSITION_MM);
        let step_mm = gaps.chain(plane.between_mm).reduce(f64::min).ok_or("it does not say how thick its frame is")?;
        let steps = (reach_mm / step_mm).round();
        let lowest = frames.iter().min_by(|a, b| dot(a.position, normal).total_cmp(&dot(b.position, normal)));
        Ok(Self {
            normal,
            origin: lowest.unwrap_or(first).position,
            // The ends tell the step more exactly than two neighbours.
            step_mm: if steps > 0.0 { reach_mm / steps } else { step_mm },
            slices: (steps as usize).saturating_add(1),
            plane,
        })
    }

    fn grid(&self, rows: usize, columns: usize) -> Grid {
        let [along_row, along_column] = axes(&self.plane);
        let [between_rows, between_columns] = self.plane.spacing_mm;
        Grid {
            size: [columns, rows, self.slices],
            origin: self.origin,
            steps: [
                along_row.map(|component| component * between_columns),
                along_column.map(|component| component * between_rows),
                self.normal.map(|component| component * self.step_mm),
            ],
        }
    }

    fn slice_of(&self, frame: &Frame) -> Result<usize, String> {
        let offset: Lps = std::array::from_fn(|axis| frame.position[axis] - self.origin[axis]);
        let steps = dot(offset, self.normal) / self.step_mm;
        let sideways = axes(&self.plane).map(|axis| dot(offset, axis).abs());
        let [between_rows, between_columns] = self.plane.spacing_mm;
        if (steps - steps.round()).abs() > MAX_OFF_GRID {
            return Err("its frames are not evenly spaced".to_owned());
        }
        if sideways[0] > between_columns / 2.0 || sideways[1] > between_rows / 2.0 {
            return Err("its frames do not lie straight above each other".to_owned());
        }
        Ok((steps.round() as usize).min(self.slices - 1))
    }
}

/// The directions of increasing column and row number.
fn axes(plane: &Plane) -> [Lps; 2] {
    [0, 3].map(|first| std::array::from_fn(|axis| plane.orientation[first + axis]))
}
