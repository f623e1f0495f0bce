//! Names, values and units of the content items: terms of DICOM, SNOMED CT, LOINC and UCUM as the templates of PS3.16 ask for
//! them, and a private coding scheme for what no term says.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::codes::{self, Code};
use super::super::elements::{MANUFACTURER, Put};
use super::super::uids::uid_of;
use crate::triage::{Side, Verdict, Zone};

const fn dcm(value: &'static str, meaning: &'static str) -> Code {
    Code::new(value, "DCM", meaning)
}

const fn sct(value: &'static str, meaning: &'static str) -> Code {
    Code::new(value, "SCT", meaning)
}

const fn ucum(value: &'static str, meaning: &'static str) -> Code {
    Code::new(value, "UCUM", meaning)
}

/// Designators that begin with 99 are private (PS3.3 section 8.2).
const PRIVATE_SCHEME: &str = "99TABLESIDE";

const fn private(value: &'static str, meaning: &'static str) -> Code {
    Code::new(value, PRIVATE_SCHEME, meaning)
}

/// The document (TID 1500, 1001, 1002, 1004, 1204).
pub(super) const IMAGING_MEASUREMENT_REPORT: Code = dcm("126000", "Imaging Measurement Report");
pub(super) const LANGUAGE: Code = dcm("121049", "Language of Content Item and Descendants");
pub(super) const ENGLISH: Code = Code::new("en", "RFC5646", "English");
pub(super) const OBSERVER_TYPE: Code = dcm("121005", "Observer Type");
pub(super) const DEVICE: Code = dcm("121007", "Device");
pub(super) const DEVICE_OBSERVER_UID: Code = dcm("121012", "Device Observer UID");
pub(super) const DEVICE_OBSERVER_NAME: Code = dcm("121013", "Device Observer Name");
pub(super) const DEVICE_OBSERVER_MANUFACTURER: Code = dcm("121014", "Device Observer Manufacturer");
pub(super) const DEVICE_OBSERVER_MODEL_NAME: Code = dcm("121015", "Device Observer Model Name");
pub(super) const DEVICE_OBSERVER_SERIAL_NUMBER: Code = dcm("121016", "Device Observer Serial Number");
pub(super) const PROCEDURE_REPORTED: Code = dcm("121058", "Procedure reported");
pub(super) const CT_CHEST: Code = Code::new("24627-2", "LN", "CT Chest");
pub(super) const IMAGING_MEASUREMENTS: Code = dcm("126010", "Imaging Measurements");

/// The algorithm (TID 4019).
pub(super) const ALGORITHM_NAME: Code = dcm("111001", "Algorithm Name");
pub(super) const ALGORITHM_VERSION: Code = dcm("111003", "Algorithm Version");
pub(super) const ALGORITHM_MANUFACTURER: Code = dcm("122405", "Algorithm Manufacturer");
pub(super) const ALGORITHM_PARAMETERS: Code = dcm("111002", "Algorithm Parameters");

/// The images (TID 1600, 1601, 1602, 1604).
pub(super) const IMAGE_LIBRARY: Code = dcm("111028", "Image Library");
pub(super) const IMAGE_LIBRARY_GROUP: Code = dcm("126200", "Image Library Group");
pub(super) const SOURCE: Code = sct("260753009", "Source");
pub(super) const MODALITY: Code = dcm("121139", "Modality");
pub(super) const COMPUTED_TOMOGRAPHY: Code = dcm("CT", "Computed Tomography");
pub(super) const TARGET_REGION: Code = dcm("123014", "Target Region");
pub(super) const CHEST: Code = sct("816094009", "Chest");
pub(super) const SERIES_INSTANCE_UID: Code = dcm("112002", "Series Instance UID");
pub(super) const FRAME_OF_REFERENCE_UID: Code = dcm("112227", "Frame of Reference UID");
pub(super) const PIXEL_DATA_ROWS: Code = dcm("110910", "Pixel Data Rows");
pub(super) const PIXEL_DATA_COLUMNS: Code = dcm("110911", "Pixel Data Columns");
pub(super) const HORIZONTAL_PIXEL_SPACING: Code = dcm("111026", "Horizontal Pixel Spacing");
pub(super) const VERTICAL_PIXEL_SPACING: Code = dcm("111066", "Vertical Pixel Spacing");
pub(super) const SLICE_THICKNESS: Code = dcm("112225", "Slice Thickness");

/// Groups of measurements (TID 1411, 1501).
pub(super) const MEASUREMENT_GROUP: Code = dcm("125007", "Measurement Group");
pub(super) const TRACKING_IDENTIFIER: Code = dcm("112039", "Tracking Identifier");
pub(super) const TRACKING_UNIQUE_IDENTIFIER: Code = dcm("112040", "Tracking Unique Identifier");
pub(super) const FINDING_CATEGORY: Code = sct("276214006", "Finding category");
pub(super) const FINDING: Code = dcm("121071", "Finding");
pub(super) const REFERENCED_SEGMENT: Code = dcm("121191", "Referenced Segment");
pub(super) const SOURCE_SERIES_FOR_SEGMENTATION: Code = dcm("121232", "Source series for segmentation");
pub(super) const ILLUSTRATION_OF_ROI: Code = dcm("121200", "Illustration of ROI");
pub(super) const FINDING_SITE: Code = sct("363698007", "Finding Site");
pub(super) const LATERALITY: Code = sct("272741003", "Laterality");
pub(super) const TOPOGRAPHICAL_MODIFIER: Code = sct("106233006", "Topographical modifier");

/// Measurements (TID 300, 1419; context groups 7464, 7470, 7472, 7474).
pub(super) const MEASUREMENT_METHOD: Code = sct("370129005", "Measurement Method");
pub(super) const DERIVATION: Code = dcm("121401", "Derivation");
pub(super) const MEAN: Code = sct("373098007", "Mean");
pub(super) const MAXIMUM: Code = sct("56851009", "Maximum");
pub(super) const PERCENTILE_90: Code = sct("371887004", "Ninetieth percentile");
pub(super) const VOLUME: Code = sct("118565006", "Volume");
pub(super) const SUM_OF_VOXELS: Code = dcm("126030", "Sum of segmented voxel method for volume");
pub(super) const DIAMETER: Code = sct("81827009", "Diameter");
pub(super) const ATTENUATION_COEFFICIENT: Code = dcm("112031", "Attenuation Coefficient");
pub(super) const THRESHOLD_ATTENUATION_COEFFICIENT: Code = dcm("112032", "Threshold Attenuation Coefficient");
pub(super) const QUALITY_FINDING: Code = dcm("111052", "Quality Finding");

/// Units (context group 7181 and UCUM).
pub(super) const MILLILITRE: Code = ucum("ml", "milliliter");
pub(super) const MILLIMETRE: Code = ucum("mm", "millimeter");
pub(super) const HOUNSFIELD_UNIT: Code = ucum("[hnsf'U]", "Hounsfield unit");
pub(super) const PERCENT: Code = ucum("%", "Percent");
pub(super) const NO_UNITS: Code = ucum("1", "no units");
pub(super) const PIXELS: Code = ucum("{pixels}", "pixels");

/// Methods that have no term.
pub(super) const GREATEST_DISTANCE: Code =
    private("voxel-extent", "Greatest distance of two points of whole voxels, 3D");
pub(super) const CLAMPED_DENSITY: Code = private("clamped-hu", "Hounsfield units clamped to the window of the model");

/// Measurements that have no term.
pub(super) const UPPER_THRESHOLD: Code = private("upper-threshold", "Upper threshold, not included");
pub(super) const GROUND_GLASS_SHARE: Code = private("ground-glass", "Share as dense as ground glass");
pub(super) const CONSOLIDATION_SHARE: Code = private("consolidation", "Share as dense as consolidation");
pub(super) const LESION_COUNT: Code = private("lesion-count", "Number of lesions");
pub(super) const LESION_VOLUME: Code = private("lesion-volume", "Volume of all lesions");
pub(super) const PROBABILITY: Code = private("probability", "Case probability of pneumonia-like opacities");
pub(super) const SUSPECTED_FROM: Code = private("suspected-from", "Probability from which an exam is suspected");
pub(super) const EARLY_FLAG_FROM: Code =
    private("early-flag-from", "Running probability from which a flag is raised early");
pub(super) const LESION_SHARE: Code = private("lesion-share", "Share of the lungs that is lesion");
pub(super) const HIGH_OPACITY_SHARE: Code =
    private("high-opacity", "Share of the lungs that is lesion of high opacity");
pub(super) const ZONE_SCORE_TOTAL: Code = private("zone-score-total", "Sum of the zones' scores, 0 to 24");
pub(super) const ZONE_SCORE: Code = private("zone-score", "Score of one zone's involvement, 0 to 4");

/// Evaluations that have no term.
pub(super) const VERDICT: Code = private("verdict", "Verdict");
pub(super) const REASON: Code = private("reason", "Reason of the verdict");
pub(super) const INTENDED_USE: Code = private("intended-use", "Intended use");

pub(super) fn verdict(verdict: Verdict) -> Code {
    let meaning = match verdict {
        Verdict::Suspected => "Pneumonia-like opacities suspected",
        Verdict::Abnormal => "Abnormal otherwise: a radiologist must look",
        Verdict::NotSuspected => "Pneumonia-like opacities not suspected",
        Verdict::NotAnalysed => "Not analysed",
    };
    private(verdict.as_str(), meaning)
}

pub(super) fn side(side: Side) -> Code {
    match side {
        Side::Right => codes::RIGHT,
        Side::Left => codes::LEFT,
    }
}

/// The zone's third of the lungs' height, which is no lobe.
pub(super) fn third(zone: Zone) -> Code {
    match zone {
        Zone::RightUpper | Zone::LeftUpper => private("upper-third", "Upper third of the height of the lungs"),
        Zone::RightMiddle | Zone::LeftMiddle => private("middle-third", "Middle third of the height of the lungs"),
        Zone::RightLower | Zone::LeftLower => private("lower-third", "Lower third of the height of the lungs"),
    }
}

/// Says whose the private coding scheme is: an item of the Coding Scheme Identification Sequence (PS3.3 C.12.1).
pub(super) fn private_scheme() -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    item.text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, PRIVATE_SCHEME)
        .text(tags::CODING_SCHEME_UID, VR::UI, &uid_of(b"coding scheme 99TABLESIDE"))
        .text(tags::CODING_SCHEME_NAME, VR::ST, "Terms of Tableside's reports")
        .text(tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, VR::ST, MANUFACTURER);
    item
}
