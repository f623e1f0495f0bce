//! What is read of an instance before its pixels: who, which series, and whether it is a slice to be analysed.

use std::borrow::Cow;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::acquisition::{AcquisitionParameters, unfit_type};
use super::enhanced::{MULTI_FRAME_CT, frames, unfit_frame};
use super::geometry::{GeometryError, Lps, OtherPlane, SliceGeometry};
use crate::dicom::attributes::{Attributes, number, text};
use crate::hex::hex;

/// Names an exam in logs, metrics, paths and URLs without naming the patient: the first ten digits are derived from Study
/// Instance UID and Patient ID, the others from name, birth date and sex. Patient IDs are often empty or a dummy: two people
/// who share one and the study UID are two exams, and their keys begin alike, so that each can be shown beside the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ExamKey(String);

/// Bytes of a key that name study and Patient ID, and those that name the person.
const STUDY_BYTES: usize = 5;
const PERSON_BYTES: usize = 3;

/// What keys of the synthetic patient begin with: no digit of a patient's key.
const SYNTHETIC: char = 's';

impl ExamKey {
    /// The key of a study of a patient.
    #[must_use]
    pub fn new(study_instance_uid: &str, patient: &Patient) -> Self {
        let study = Sha256::digest(format!("{study_instance_uid}\n{}", patient.id));
        let person = Sha256::digest(patient.person());
        Self(hex(&study[..STUDY_BYTES]) + &hex(&person[..PERSON_BYTES]))
    }

    /// The key of an exam of which only refused objects are known, none of which says whose they are.
    #[must_use]
    pub fn unidentified(calling_ae_title: &str, at: jiff::Timestamp) -> Self {
        let digest = Sha256::digest(format!("unidentified\n{calling_ae_title}\n{}", at.as_nanosecond()));
        Self(hex(&digest[..STUDY_BYTES + PERSON_BYTES]))
    }

    /// The key of the synthetic patient in a study. Ingest alone gives it out, to what this program sends to itself
    /// (`ingest::SyntheticScans`). [`Self::parse`] does not take it: no request, no folder of the spool and no later run leads to it.
    #[must_use]
    pub fn synthetic(study_instance_uid: &str) -> Self {
        let study = Sha256::digest(format!("synthetic\n{study_instance_uid}"));
        let mut key = hex(&study[..STUDY_BYTES + PERSON_BYTES]);
        key.replace_range(..1, SYNTHETIC.encode_utf8(&mut [0; 4]));
        Self(key)
    }

    /// Whether it is the synthetic patient's: then it is nobody's exam, and counts in nothing that is said of exams.
    #[must_use]
    pub fn is_synthetic(&self) -> bool {
        self.0.starts_with(SYNTHETIC)
    }

    /// Whether another exam has the same Study Instance UID and Patient ID, and another person.
    #[must_use]
    pub fn is_sibling_of(&self, other: &Self) -> bool {
        self != other && self.study() == other.study()
    }

    /// What siblings have in common.
    #[must_use]
    pub fn study(&self) -> &str {
        &self.0[..2 * STUDY_BYTES]
    }

    /// Where keys of its study begin in a sorted list.
    pub(super) fn lowest_of_study(&self) -> Self {
        Self(format!("{}{}", self.study(), "0".repeat(2 * PERSON_BYTES)))
    }

    /// Reads a key back from a URL or a folder name; `None` if it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        well_formed.then(|| Self(text.to_owned()))
    }

    /// Reads a synthetic patient's key back from the name of its folder, for whoever removes it.
    #[must_use]
    pub fn parse_synthetic(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(SYNTHETIC)?;
        Self::parse(&format!("0{digits}")).map(|_| Self(text.to_owned()))
    }
}

impl std::fmt::Display for ExamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom the exam is of, as the instance says; shown on the console, never in logs or metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Patient {
    pub name: String,
    pub id: String,
    pub birth_date: String,
    pub sex: String,
}

impl Patient {
    /// What an object says of its patient.
    #[must_use]
    pub fn read(object: &InMemDicomObject) -> Self {
        Self {
            name: text(object, tags::PATIENT_NAME),
            id: text(object, tags::PATIENT_ID),
            birth_date: text(object, tags::PATIENT_BIRTH_DATE),
            sex: text(object, tags::PATIENT_SEX),
        }
    }

    /// Name, birth date and sex, without what scanners and archives write differently of one person: letter case, spaces,
    /// empty components at the end, and other spellings of the name (PS3.5 section 6.2.1.2).
    fn person(&self) -> String {
        let name = self.name.split('=').next().unwrap_or_default().to_uppercase();
        let components = name.trim_end_matches(['^', ' ']).split('^');
        let components: Vec<String> =
            components.map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        format!("{}\n{}\n{}", components.join("^"), self.birth_date.trim(), self.sex.trim().to_uppercase())
    }
}

/// Whose exam an object belongs to, as far as the object says: what is left of a header that cannot be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub study_instance_uid: String,
    pub series_instance_uid: String,
    pub patient: Patient,
}

impl Identity {
    #[must_use]
    pub fn read(object: &InMemDicomObject) -> Self {
        Self {
            study_instance_uid: text(object, tags::STUDY_INSTANCE_UID),
            series_instance_uid: text(object, tags::SERIES_INSTANCE_UID),
            patient: Patient::read(object),
        }
    }

    /// The exam; `None` where the study is not known.
    #[must_use]
    pub fn exam_key(&self) -> Option<ExamKey> {
        (!self.study_instance_uid.is_empty()).then(|| ExamKey::new(&self.study_instance_uid, &self.patient))
    }
}

/// Identity of one instance, and what each of its images is.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceHeader {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub study_instance_uid: String,
    pub series_instance_uid: String,
    pub patient: Patient,
    pub study_description: String,
    pub series_description: String,
    /// One for each frame, in their order; an instance of another kind, or one whose frames cannot be told apart has one that says
    /// so.
    pub images: Vec<Content>,
}

/// What an image is to the analysis.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all images are slices")]
pub enum Content {
    /// An axial CT slice.
    Slice(SliceHeader),
    /// Something that is rightly part of a study and not analysed, such as a scout; why.
    Kept(&'static str),
    /// A CT image of a kind that is not analysed, such as a projection: of no use unless axial slices come too; why.
    Unfit(Cow<'static, str>),
    /// A CT slice that cannot be analysed because something is wrong with it; what.
    Defective(String),
}

/// An axial slice with its geometry read.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceHeader {
    pub geometry: SliceGeometry,
    pub rescale_slope: f32,
    pub rescale_intercept: f32,
    /// Pixel Padding Value (0028,0120) and Pixel Padding Range Limit (0028,0121), the value again where there is no limit.
    pub padding: Option<[i32; 2]>,
    /// Slice Thickness (0018,0050), mm.
    pub thickness_mm: Option<f64>,
    /// Which frame of its instance it is, from 1; `None` for an instance of one image.
    pub frame_number: Option<u32>,
    /// Images in Acquisition (0020,1002).
    pub images_in_acquisition: Option<u32>,
    pub acquisition: AcquisitionParameters,
}

/// Why an object is no instance of anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("{0} is missing or empty")]
    Missing(&'static str),
    #[error(
        "{name} is no UID: it is longer than {MAX_NAME_CHARACTERS} characters, or has some that do not belong there"
    )]
    InvalidUid { name: &'static str },
}

impl InstanceHeader {
    /// Reads the header of a data set.
    ///
    /// # Errors
    /// If one of the four UIDs that place an instance is missing or cannot be a name. One that is no valid UID (PS3.5 section 9.1)
    /// is a name all the same.
    pub fn read(object: &InMemDicomObject) -> Result<Self, HeaderError> {
        let sop_class_uid = uid(object, tags::SOP_CLASS_UID, "SOP Class UID (0008,0016)")?;
        let sop_class_uid = sop_class_uid.trim_end_matches('.').to_owned();
        let images = images(object, &sop_class_uid);
        Ok(Self {
            sop_class_uid,
            sop_instance_uid: uid(object, tags::SOP_INSTANCE_UID, "SOP Instance UID (0008,0018)")?,
            study_instance_uid: uid(object, tags::STUDY_INSTANCE_UID, "Study Instance UID (0020,000D)")?,
            series_instance_uid: uid(object, tags::SERIES_INSTANCE_UID, "Series Instance UID (0020,000E)")?,
            patient: Patient::read(object),
            study_description: text(object, tags::STUDY_DESCRIPTION),
            series_description: text(object, tags::SERIES_DESCRIPTION),
            images,
        })
    }

    /// Which of its UIDs are names only, and no valid UIDs.
    pub fn invalid_uids(&self) -> impl Iterator<Item = &'static str> {
        let named = [
            ("SOP Instance UID (0008,0018)", &self.sop_instance_uid),
            ("Study Instance UID (0020,000D)", &self.study_instance_uid),
            ("Series Instance UID (0020,000E)", &self.series_instance_uid),
        ];
        named.into_iter().filter(|(_, uid)| !is_uid(uid)).map(|(name, _)| name)
    }

    /// The exam that the instance's own particulars name.
    #[must_use]
    pub fn exam_key(&self) -> ExamKey {
        ExamKey::new(&self.study_instance_uid, &self.patient)
    }
}

/// Numbers with dots between them, at most 64 characters.
#[must_use]
pub fn is_uid(text: &str) -> bool {
    let is_component = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 64 && text.split('.').all(is_component)
}

/// Whether instances of a SOP class are CT images, of one frame or of many.
#[must_use]
pub fn is_ct_image(sop_class_uid: &str) -> bool {
    sop_class_uid == uids::CT_IMAGE_STORAGE || MULTI_FRAME_CT.contains(&sop_class_uid)
}

fn images(object: &InMemDicomObject, sop_class_uid: &str) -> Vec<Content> {
    if MULTI_FRAME_CT.contains(&sop_class_uid) {
        return frames(object);
    }
    let image = if sop_class_uid != uids::CT_IMAGE_STORAGE {
        Content::Kept("not a CT image")
    } else if number(object, tags::NUMBER_OF_FRAMES).is_some_and(|frames| frames > 1.0) {
        Content::Defective("number of frames (0028,0008) is above 1, a CT image has one".to_owned())
    } else {
        image_content(&Attributes::of(object))
    };
    vec![image]
}

/// What a CT image is, by the attributes of the image or the frame.
pub(super) fn image_content(image: &Attributes<'_>) -> Content {
    let image_type = image.text(tags::IMAGE_TYPE);
    if image_type.split('\\').any(|value| value.trim() == "LOCALIZER") {
        return Content::Kept("a scout");
    }
    if let Some(reason) = unfit_type(image).or_else(|| unfit_frame(image)) {
        return Content::Unfit(reason.into());
    }
    match slice_header(image) {
        Ok(header) => Content::Slice(header),
        Err(SliceError::NotAxial(what)) => Content::Unfit(what),
        Err(SliceError::Defect(reason)) => Content::Defective(reason),
    }
}

/// Rescale slopes and intercepts beyond this make no Hounsfield units.
const MAX_RESCALE: f64 = 100_000.0;

/// A gantry that is tilted by less than this stands upright, degrees.
pub(crate) const MIN_TILT_DEGREES: f64 = 1.0;

enum SliceError {
    NotAxial(Cow<'static, str>),
    Defect(String),
}

fn slice_header(image: &Attributes<'_>) -> Result<SliceHeader, SliceError> {
    let defect = |reason: &str| SliceError::Defect(reason.to_owned());
    let rows = image.number(tags::ROWS).ok_or_else(|| defect("rows (0028,0010) is missing"))?;
    let columns = image.number(tags::COLUMNS).ok_or_else(|| defect("columns (0028,0011) is missing"))?;
    let position: Lps = image
        .numbers(tags::IMAGE_POSITION_PATIENT)
        .ok_or_else(|| defect("image position (0020,0032) is missing or not three numbers"))?;
    let orientation = image
        .numbers(tags::IMAGE_ORIENTATION_PATIENT)
        .ok_or_else(|| defect("image orientation (0020,0037) is missing or not six numbers"))?;
    let spacing_mm = image
        .numbers(tags::PIXEL_SPACING)
        .ok_or_else(|| defect("pixel spacing (0028,0030) is missing or not two numbers"))?;
    let slope = image.number(tags::RESCALE_SLOPE).filter(|slope| *slope != 0.0 && slope.abs() <= MAX_RESCALE);
    let slope =
        slope.ok_or_else(|| defect("rescale slope (0028,1053) is missing or senseless: no Hounsfield units"))?;
    let intercept = image.number(tags::RESCALE_INTERCEPT).filter(|intercept| intercept.abs() <= MAX_RESCALE);
    let intercept = intercept
        .ok_or_else(|| defect("rescale intercept (0028,1052) is missing or senseless: no Hounsfield units"))?;
    let acquisition = AcquisitionParameters::read(image);
    let geometry =
        SliceGeometry::new(rows as usize, columns as usize, position, orientation, spacing_mm).map_err(|error| {
            match error {
                GeometryError::NotAxial { tilt_degrees: tilt, .. }
                    if acquisition.gantry_tilt_degrees.abs() > MIN_TILT_DEGREES =>
                {
                    SliceError::Defect(format!("the gantry was tilted by {tilt:.0} degrees: scan without tilt"))
                }
                GeometryError::NotAxial { plane, tilt_degrees } => {
                    SliceError::NotAxial(plane_words(plane, tilt_degrees))
                }
                other => SliceError::Defect(other.to_string()),
            }
        })?;
    Ok(SliceHeader {
        geometry,
        rescale_slope: slope as f32,
        rescale_intercept: intercept as f32,
        padding: padding(image),
        thickness_mm: image.number(tags::SLICE_THICKNESS).filter(|mm| *mm > 0.0),
        frame_number: None,
        images_in_acquisition: image.number(tags::IMAGES_IN_ACQUISITION).filter(|n| *n >= 1.0).map(|n| n as u32),
        acquisition,
    })
}

fn padding(image: &Attributes<'_>) -> Option<[i32; 2]> {
    let value = image.number(tags::PIXEL_PADDING_VALUE)? as i32;
    let limit = image.number(tags::PIXEL_PADDING_RANGE_LIMIT).map_or(value, |limit| limit as i32);
    Some([value, limit])
}

/// A UID has at most 64 characters; what is taken for one all the same has to end somewhere.
const MAX_NAME_CHARACTERS: usize = 256;

fn plane_words(plane: OtherPlane, tilt_degrees: f64) -> Cow<'static, str> {
    match plane {
        OtherPlane::Sagittal => "a sagittal plane".into(),
        OtherPlane::Coronal => "a coronal plane".into(),
        OtherPlane::Oblique => format!("an oblique plane, {tilt_degrees:.0} degrees from axial").into(),
    }
}

fn uid(object: &InMemDicomObject, tag: Tag, name: &'static str) -> Result<String, HeaderError> {
    let stored = text(object, tag);
    let value = stored.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if value.is_empty() {
        return Err(HeaderError::Missing(name));
    }
    let is_name =
        value.len() <= MAX_NAME_CHARACTERS && value.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'\\');
    if !is_name {
        return Err(HeaderError::InvalidUid { name });
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, name: &str, birth_date: &str, sex: &str) -> ExamKey {
        let patient = Patient { name: name.into(), id: id.into(), birth_date: birth_date.into(), sex: sex.into() };
        ExamKey::new("1.2.3", &patient)
    }

    #[test]
    fn two_patients_under_one_study_are_two_exams() {
        let (one, other) = (key("A", "", "", ""), key("B", "", "", ""));
        assert!(one != other && !one.is_sibling_of(&other));
        assert_eq!(ExamKey::parse(&one.to_string()), Some(one));
        assert_eq!(ExamKey::parse("../../etc/passwd"), None);
    }

    #[test]
    fn a_synthetic_patient_has_a_key_that_no_patient_has_and_that_leads_to_no_exam() {
        let [one, other] = ["2.25.1", "2.25.2"].map(ExamKey::synthetic);
        assert!(one.is_synthetic() && !key("A", "", "", "").is_synthetic());
        assert!(one != other && !one.is_sibling_of(&other), "nothing is said of them as of two people in one study");
        assert_eq!((one.to_string().len(), ExamKey::parse(&one.to_string())), (16, None));
        assert_eq!(ExamKey::parse_synthetic(&one.to_string()), Some(one));
        for text in ["", "s", "s123", "0123456789abcdef", "s/../etc/passwd!", "s123456789abcde\u{e9}"] {
            assert_eq!(ExamKey::parse_synthetic(text), None, "{text}");
        }
    }

    #[test]
    fn two_people_under_one_study_and_patient_id_are_two_exams_that_know_of_each_other() {
        let one = key("0000", "DOE^JANE", "19500101", "F");
        for other in [
            key("0000", "ROE^JANE", "19500101", "F"),
            key("0000", "DOE^JANE", "19500102", "F"),
            key("0000", "DOE^JANE", "19500101", "M"),
            key("0000", "", "", ""),
        ] {
            assert!(one.is_sibling_of(&other) && other.is_sibling_of(&one));
        }
        assert!(!one.is_sibling_of(&one));
    }

    #[test]
    fn one_person_is_one_exam_however_the_name_is_written() {
        let one = key("0000", "DOE^JANE", "19500101", "F");
        for name in ["Doe^Jane", "DOE^JANE^^^", "DOE ^ JANE", "Doe^Jane =\u{5c71}\u{7530}", "DOE^JANE^ "] {
            assert_eq!(key("0000", name, "19500101", "f"), one, "{name}");
        }
    }

    #[test]
    fn refused_objects_that_name_nobody_are_an_exam_of_their_own_association() {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let key = ExamKey::unidentified("CT1", at);
        assert_eq!(ExamKey::parse(&key.to_string()), Some(key.clone()));
        assert_ne!(key, ExamKey::unidentified("CT2", at));
    }

    #[test]
    fn a_uid_is_digits_and_dots() {
        assert!(is_uid("1.2.840.10008.1.2"));
        assert!(!is_uid(""));
        assert!(!is_uid("../1.2"));
        assert!(!is_uid("1..2"));
        assert!(!is_uid("."));
        assert!(!is_uid("1.2."));
        assert!(!is_uid(&"1".repeat(65)));
    }
}
