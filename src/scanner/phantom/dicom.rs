//! The phantom as CT Image Storage instances (PS3.3 A.3) in Explicit VR Little Endian.

use dicom_core::chrono::Local;
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::render::{Grid, PADDING};
use super::{Phantom, PhantomOptions};
use crate::dicom::uid::UidSource;
use crate::scanner::{Instance, ScannerError, series};

/// `RescaleIntercept`, HU: stored value 0 is -1024 HU.
const INTERCEPT: i16 = -1024;
/// The scanner's z of the phantom's origin, mm: scanners seldom have the patient at 0.
const TABLE_OFFSET_MM: f32 = -214.5;

/// Identity of one exam: what its instances share.
pub(super) struct Exam<'a> {
    phantom: &'a Phantom,
    study_uid: String,
    scout_series_uid: String,
    series_uid: String,
    frame_of_reference_uid: String,
    instance_uids: Vec<String>,
    date: String,
    time: String,
    study_id: String,
}

impl<'a> Exam<'a> {
    pub(super) fn new(phantom: &'a Phantom, mut uids: UidSource) -> Self {
        let now = Local::now();
        let study_uid = uids.next_uid();
        let last_digits = study_uid[study_uid.len() - 6..].to_owned();
        Self {
            phantom,
            study_uid,
            scout_series_uid: uids.next_uid(),
            series_uid: uids.next_uid(),
            frame_of_reference_uid: uids.next_uid(),
            instance_uids: (0..=phantom.options().slices).map(|_| uids.next_uid()).collect(),
            date: now.format("%Y%m%d").to_string(),
            time: now.format("%H%M%S").to_string(),
            study_id: last_digits,
        }
    }

    /// Axial slice `index`, counted from the head; its instance number is one more.
    pub(super) fn slice(&self, index: usize) -> Result<Instance, ScannerError> {
        let options = self.phantom.options();
        let grid = self.phantom.grid();
        let drawn = self.phantom.slice(index);
        let stored = drawn.hounsfield.iter().map(|value| value.abs_diff(INTERCEPT));
        let z = f64::from(self.phantom.height(index) + TABLE_OFFSET_MM);
        let corner = f64::from(grid.x(0));
        let mut header = self.header(&self.instance_uids[index + 1], options);
        text(&mut header, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL");
        text(&mut header, tags::RESCALE_TYPE, VR::LO, "HU");
        text(&mut header, tags::SERIES_INSTANCE_UID, VR::UI, &self.series_uid);
        text(&mut header, tags::SERIES_NUMBER, VR::IS, "2");
        let spacing = decimal(f64::from(options.spacing_mm));
        let description = format!("Thorax {spacing} mm lung");
        text(&mut header, tags::SERIES_DESCRIPTION, VR::LO, &description);
        text(&mut header, tags::PROTOCOL_NAME, VR::LO, "Thorax routine");
        text(&mut header, tags::INSTANCE_NUMBER, VR::IS, &(index + 1).to_string());
        text(&mut header, tags::SLICE_THICKNESS, VR::DS, &spacing);
        text(&mut header, tags::SPACING_BETWEEN_SLICES, VR::DS, &spacing);
        text(&mut header, tags::SLICE_LOCATION, VR::DS, &decimal(z));
        text(&mut header, tags::CONVOLUTION_KERNEL, VR::SH, "LUNG");
        text(
            &mut header,
            tags::RECONSTRUCTION_DIAMETER,
            VR::DS,
            &decimal(f64::from(options.pixel_mm) * options.matrix as f64),
        );
        text(&mut header, tags::WINDOW_CENTER, VR::DS, "-500\\40");
        text(&mut header, tags::WINDOW_WIDTH, VR::DS, "1500\\400");
        text(&mut header, tags::WINDOW_CENTER_WIDTH_EXPLANATION, VR::LO, "LUNG\\MEDIASTINUM");
        text(&mut header, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
        let position = [corner, corner, z].map(decimal).join("\\");
        text(&mut header, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
        let padding = PrimitiveValue::from(PADDING.abs_diff(INTERCEPT));
        header.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::US, padding));
        pixels(&mut header, grid, f64::from(options.pixel_mm), stored.collect());
        series::from_object(&header, uids::EXPLICIT_VR_LITTLE_ENDIAN, format!("phantom slice {}", index + 1))
    }

    /// The projection from the front that every exam begins with. It is drawn from slices of a quarter of the resolution.
    pub(super) fn scout(&self) -> Result<Instance, ScannerError> {
        let options = *self.phantom.options();
        let length = f64::from(options.spacing_mm) * options.slices as f64;
        let width = f64::from(options.pixel_mm) * options.matrix as f64;
        let pixel = length.max(width) / options.matrix as f64;
        let grid = Grid { rows: options.matrix, columns: options.matrix, pixel_mm: pixel as f32 };
        let mut header = self.header(&self.instance_uids[0], &options);
        text(&mut header, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
        text(&mut header, tags::SERIES_INSTANCE_UID, VR::UI, &self.scout_series_uid);
        text(&mut header, tags::SERIES_NUMBER, VR::IS, "1");
        text(&mut header, tags::SERIES_DESCRIPTION, VR::LO, "Scout a.p.");
        text(&mut header, tags::PROTOCOL_NAME, VR::LO, "Thorax routine");
        text(&mut header, tags::INSTANCE_NUMBER, VR::IS, "1");
        text(&mut header, tags::SLICE_THICKNESS, VR::DS, "0.6");
        text(&mut header, tags::CONVOLUTION_KERNEL, VR::SH, "SCOUT");
        text(&mut header, tags::WINDOW_CENTER, VR::DS, "0");
        text(&mut header, tags::WINDOW_WIDTH, VR::DS, "1200");
        text(&mut header, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
        let top = f64::from(options.top_mm + TABLE_OFFSET_MM);
        let position = [f64::from(grid.x(0)), 0.0, top].map(decimal).join("\\");
        text(&mut header, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
        pixels(&mut header, grid, pixel, self.projection(grid));
        series::from_object(&header, uids::EXPLICIT_VR_LITTLE_ENDIAN, "phantom scout".to_owned())
    }

    /// Stored values of the scout: the mean attenuation along y, row by row downwards.
    fn projection(&self, grid: Grid) -> Vec<u16> {
        const COARSER: usize = 4;
        let small = Grid {
            rows: grid.rows / COARSER,
            columns: grid.columns / COARSER,
            pixel_mm: grid.pixel_mm * COARSER as f32,
        };
        let top = self.phantom.options().top_mm;
        let lines: Vec<Vec<f32>> = (0..=grid.rows / COARSER)
            .map(|line| {
                let z = top - (line * COARSER) as f32 * grid.pixel_mm;
                let painting = self.phantom.scene.paint(small, z);
                (0..small.columns)
                    .map(|column| {
                        let ray = painting.hounsfield.iter().skip(column).step_by(small.columns);
                        let attenuation: f32 = ray.map(|value| (value + 1000.0).max(0.0)).sum();
                        attenuation / 1000.0 * small.pixel_mm
                    })
                    .collect()
            })
            .collect();
        let sample = |row: usize, column: usize| {
            let (y, x) = (row as f32 / COARSER as f32, (column as f32 - 1.5).max(0.0) / COARSER as f32);
            let (top, left) = (y as usize, (x as usize).min(small.columns - 2));
            let (down, right) = (y - top as f32, (x - left as f32).min(1.0));
            let along = |line: &[f32]| line[left] + (line[left + 1] - line[left]) * right;
            let (upper, lower) = (along(&lines[top]), along(&lines[top + 1]));
            upper + (lower - upper) * down
        };
        (0..grid.rows * grid.columns)
            .map(|at| {
                let water_mm = sample(at / grid.columns, at % grid.columns);
                // 240 mm of water are in the middle of the range a scout shows.
                let value = water_mm * 6.0 - 700.0;
                value.round().clamp(-1024.0, 3071.0) as i16
            })
            .map(|value| value.abs_diff(INTERCEPT))
            .collect()
    }

    /// What scout and slices share: patient, study, equipment, acquisition.
    fn header(&self, instance_uid: &str, options: &PhantomOptions) -> InMemDicomObject {
        let mut header = InMemDicomObject::new_empty();
        let label = self.phantom.kind.label();
        let patient_id = format!("PHANTOM-{label}-{}", options.seed);
        let patient_name = format!("PHANTOM^{label}");
        let (date, time) = (self.date.as_str(), self.time.as_str());
        let elements: [(Tag, VR, &str); 38] = [
            (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
            (tags::INSTANCE_CREATION_DATE, VR::DA, date),
            (tags::INSTANCE_CREATION_TIME, VR::TM, time),
            (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
            (tags::SOP_INSTANCE_UID, VR::UI, instance_uid),
            (tags::STUDY_DATE, VR::DA, date),
            (tags::SERIES_DATE, VR::DA, date),
            (tags::ACQUISITION_DATE, VR::DA, date),
            (tags::CONTENT_DATE, VR::DA, date),
            (tags::STUDY_TIME, VR::TM, time),
            (tags::SERIES_TIME, VR::TM, time),
            (tags::ACQUISITION_TIME, VR::TM, time),
            (tags::CONTENT_TIME, VR::TM, time),
            (tags::ACCESSION_NUMBER, VR::SH, ""),
            (tags::MODALITY, VR::CS, "CT"),
            (tags::MANUFACTURER, VR::LO, "Tableside phantom"),
            (tags::INSTITUTION_NAME, VR::LO, "Nowhere"),
            (tags::REFERRING_PHYSICIAN_NAME, VR::PN, ""),
            (tags::STATION_NAME, VR::SH, "PHANTOM"),
            (tags::STUDY_DESCRIPTION, VR::LO, "CT chest, synthetic"),
            (tags::MANUFACTURER_MODEL_NAME, VR::LO, "Synthetic chest"),
            (tags::PATIENT_NAME, VR::PN, &patient_name),
            (tags::PATIENT_ID, VR::LO, &patient_id),
            (tags::PATIENT_BIRTH_DATE, VR::DA, "19700101"),
            (tags::PATIENT_SEX, VR::CS, "O"),
            (tags::PATIENT_AGE, VR::AS, "056Y"),
            (tags::BODY_PART_EXAMINED, VR::CS, "CHEST"),
            (tags::KVP, VR::DS, "120"),
            (tags::DEVICE_SERIAL_NUMBER, VR::LO, "0"),
            (tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION")),
            (tags::GANTRY_DETECTOR_TILT, VR::DS, "0"),
            (tags::EXPOSURE_TIME, VR::IS, "500"),
            (tags::X_RAY_TUBE_CURRENT, VR::IS, "180"),
            (tags::PATIENT_POSITION, VR::CS, "HFS"),
            (tags::STUDY_INSTANCE_UID, VR::UI, &self.study_uid),
            (tags::STUDY_ID, VR::SH, &self.study_id),
            (tags::FRAME_OF_REFERENCE_UID, VR::UI, &self.frame_of_reference_uid),
            (tags::ACQUISITION_NUMBER, VR::IS, "1"),
        ];
        for (tag, vr, value) in elements {
            text(&mut header, tag, vr, value);
        }
        text(&mut header, tags::POSITION_REFERENCE_INDICATOR, VR::LO, "");
        header
    }
}

fn text(header: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    let value = match value {
        "" => PrimitiveValue::Empty,
        // Several values are written as several, so that the object reads as it would from a file.
        several if several.contains('\\') => PrimitiveValue::Strs(several.split('\\').map(str::to_owned).collect()),
        one => PrimitiveValue::from(one),
    };
    header.put(DataElement::new(tag, vr, value));
}

/// A decimal string (DS) of at most 16 characters.
fn decimal(value: f64) -> String {
    let rounded = (value * 1e4).round() / 1e4;
    rounded.to_string()
}

/// Image Pixel and CT Image modules, 12 of 16 bits, unsigned.
fn pixels(header: &mut InMemDicomObject, grid: Grid, pixel_mm: f64, stored: Vec<u16>) {
    let spacing = [pixel_mm, pixel_mm].map(decimal).join("\\");
    text(header, tags::PIXEL_SPACING, VR::DS, &spacing);
    text(header, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    text(header, tags::RESCALE_INTERCEPT, VR::DS, &INTERCEPT.to_string());
    text(header, tags::RESCALE_SLOPE, VR::DS, "1");
    let numbers = [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, grid.rows as u16),
        (tags::COLUMNS, grid.columns as u16),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ];
    for (tag, value) in numbers {
        header.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let value = PrimitiveValue::U16(stored.into());
    header.put(DataElement::new(tags::PIXEL_DATA, VR::OW, value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_short_and_exact_to_a_tenth_of_a_micrometre() {
        assert_eq!(decimal(-178.850_000_6), "-178.85");
        assert_eq!(decimal(2.0), "2");
        assert_eq!(decimal(-0.699_219_77), "-0.6992");
    }
}
