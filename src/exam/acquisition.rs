//! How a slice was acquired and reconstructed, as its header says, and what of that the technician should know.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::attributes::{Attributes, text};

/// What a slice's header says of its acquisition; what is absent is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AcquisitionParameters {
    /// Instance Number (0020,0013): the image's number on the scanner's console.
    pub instance_number: Option<i32>,
    /// Convolution Kernel (0018,1210), its first value; see [`super::Kernel`].
    pub kernel: String,
    /// Contrast/Bolus Agent (0018,0010).
    pub contrast_agent: String,
    /// Patient Position (0018,5100), such as `HFS`.
    pub patient_position: String,
    /// Gantry/Detector Tilt (0018,1120), degrees.
    pub gantry_tilt_degrees: f64,
    /// Frame of Reference UID (0020,0052).
    pub frame_of_reference_uid: String,
    /// Acquisition Number (0020,0012).
    pub number: String,
    /// Temporal Position Identifier (0020,0100), or Temporal Position Index (0020,9128).
    pub temporal_position: String,
    /// Image Type (0008,0008).
    pub image_type: String,
    /// KVP (0018,0060).
    pub tube_voltage: String,
    /// When it was acquired (0008,002A, or 0008,0022 and 0008,0032), ms from an origin that all times share.
    pub time_ms: Option<i64>,
    /// The image was made after the examination from others (Image Type, value 2).
    pub is_secondary: bool,
    /// The image's values were computed from those of others (Image Type, value 1).
    pub is_derived: bool,
}

impl AcquisitionParameters {
    /// Reads the CT Image, Contrast/Bolus and General Series modules (PS3.3 C.8.2.1, C.7.6.4, C.7.3.1), or what stands for them in
    /// a frame's functional groups.
    pub(super) fn read(image: &Attributes<'_>) -> Self {
        let kernel = image.text(tags::CONVOLUTION_KERNEL);
        let image_type = image.text(tags::IMAGE_TYPE).to_ascii_uppercase();
        let of_type = |at: usize| image_type.split('\\').nth(at).unwrap_or_default().trim();
        let (is_derived, is_secondary) = (of_type(0) == "DERIVED", of_type(1) == "SECONDARY");
        let first_of = |tags: [Tag; 2]| tags.into_iter().map(|tag| image.text(tag)).find(|text| !text.is_empty());
        Self {
            instance_number: image.number(tags::INSTANCE_NUMBER).map(|number| number as i32),
            kernel: kernel.split('\\').next().unwrap_or_default().trim().to_owned(),
            contrast_agent: contrast_agent(image),
            patient_position: image.text(tags::PATIENT_POSITION),
            gantry_tilt_degrees: image.number(tags::GANTRY_DETECTOR_TILT).unwrap_or(0.0),
            frame_of_reference_uid: image.text(tags::FRAME_OF_REFERENCE_UID),
            number: image.text(tags::ACQUISITION_NUMBER),
            temporal_position: first_of([tags::TEMPORAL_POSITION_IDENTIFIER, tags::TEMPORAL_POSITION_INDEX])
                .unwrap_or_default(),
            tube_voltage: image.text(tags::KVP),
            time_ms: acquisition_ms(image),
            is_secondary,
            is_derived,
            image_type,
        }
    }

    /// How the patient lies if it is not on the back, from the end of Patient Position (PS3.3 C.7.3.1.1.2).
    #[must_use]
    pub fn unusual_posture(&self) -> Option<&'static str> {
        match self.patient_position.get(2..)? {
            "P" => Some("prone"),
            "DR" => Some("on the right side"),
            "DL" => Some("on the left side"),
            _ => None,
        }
    }

    /// The contrast agent, where one was given.
    #[must_use]
    pub fn contrast(&self) -> Option<&str> {
        let agent = self.contrast_agent.as_str();
        let is_none = ["", "NO", "NONE", "N", "N/A", "NATIVE"].iter().any(|none| agent.eq_ignore_ascii_case(none));
        (!is_none).then_some(agent)
    }
}

/// The time of acquisition, ms since an origin that is the same for all dates; leap seconds do not matter, pauses do.
fn acquisition_ms(image: &Attributes<'_>) -> Option<i64> {
    let frame = image.text(tags::FRAME_ACQUISITION_DATE_TIME);
    let whole = if frame.is_empty() { image.text(tags::ACQUISITION_DATE_TIME) } else { frame };
    let text = if whole.is_empty() {
        format!("{:0<8}{}", image.text(tags::ACQUISITION_DATE), image.text(tags::ACQUISITION_TIME))
    } else {
        whole
    };
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (days, hour) = (number(0..4)? * 372 + number(4..6)? * 31 + number(6..8)?, number(8..10)?);
    let (minute, second) = (number(10..12).unwrap_or(0), number(12..14).unwrap_or(0));
    let fraction = text.get(14..).and_then(|rest| rest.strip_prefix('.')).map(|digits| format!("{digits:0<3}"));
    let ms = fraction.and_then(|digits| digits.get(..3)?.parse::<i64>().ok()).unwrap_or(0);
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms)
}

/// The agent's name: a text of single images, a code of multi-frame ones, whose frames may say that it was not given (PS3.3 sections
/// C.7.6.4, C.7.6.4b and C.7.6.16.2.12).
fn contrast_agent(image: &Attributes<'_>) -> String {
    let usage = image.group(tags::CONTRAST_BOLUS_USAGE_SEQUENCE);
    let is_given = |usage: &InMemDicomObject| text(usage, tags::CONTRAST_BOLUS_AGENT_ADMINISTERED) != "NO";
    if !usage.is_empty() && !usage.iter().any(is_given) {
        return String::new();
    }
    let coded = || {
        let agents = image.get(tags::CONTRAST_BOLUS_AGENT_SEQUENCE)?.items()?;
        agents.first().map(|agent| text(agent, tags::CODE_MEANING))
    };
    let plain = image.text(tags::CONTRAST_BOLUS_AGENT);
    if plain.is_empty() { coded().unwrap_or_default() } else { plain }
}

/// Why images of this type are not analysed; `None` for those that are.
///
/// Image Type (0008,0008) names projections in its third value and further ones by the vendors' words, Rescale Type
/// (0028,1054) what values other than Hounsfield units mean (PS3.3 C.8.2.1.1.1, C.11.1.1.2). A derived image alone is no
/// reason: axial reformats and images that were compressed with loss are derived too.
pub(super) fn unfit_type(image: &Attributes<'_>) -> Option<&'static str> {
    const PROJECTIONS: [&str; 11] = [
        "MIP",
        "MAX_IP",
        "MAXIP",
        "MINIP",
        "MIN_IP",
        "MAXIMUM",
        "MINIMUM",
        "VRT",
        "SSD",
        "PROJECTION",
        "VOLUME_RENDER",
    ];
    let image_type = image.text(tags::IMAGE_TYPE).to_ascii_uppercase();
    if image_type.split(['\\', ' ']).any(|word| PROJECTIONS.contains(&word)) {
        return Some("a projection or rendering");
    }
    if image_type.contains("SCREEN SAVE") || image_type.contains("SCREENSAVE") {
        return Some("a screenshot");
    }
    let rescale_type = image.text(tags::RESCALE_TYPE).to_ascii_uppercase();
    let is_hounsfield = matches!(rescale_type.as_str(), "" | "HU" | "HU_MOD" | "US" | "UNSPECIFIED");
    (!is_hounsfield).then_some("not in Hounsfield units")
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR};

    use super::*;

    #[test]
    fn whoever_does_not_lie_on_the_back_is_named_head_or_feet_first() {
        let posture = |position: &str| {
            AcquisitionParameters { patient_position: position.to_owned(), ..AcquisitionParameters::default() }
                .unusual_posture()
        };
        assert_eq!((posture("HFS"), posture("FFS"), posture(""), posture("HF")), (None, None, None, None));
        assert_eq!((posture("HFP"), posture("FFP")), (Some("prone"), Some("prone")));
        assert_eq!((posture("HFDR"), posture("FFDL")), (Some("on the right side"), Some("on the left side")));
    }

    #[test]
    fn contrast_that_was_not_given_is_none() {
        let contrast = |agent: &str| {
            let parameters =
                AcquisitionParameters { contrast_agent: agent.to_owned(), ..AcquisitionParameters::default() };
            parameters.contrast().map(str::to_owned)
        };
        assert_eq!((contrast(""), contrast("None"), contrast("APPLIED").as_deref()), (None, None, Some("APPLIED")));
    }

    #[test]
    fn projections_and_values_that_are_no_hounsfield_units_are_unfit_and_derived_axial_images_are_not() {
        let unfit = |image_type: &str, rescale_type: &str| {
            let image = InMemDicomObject::from_element_iter([
                DataElement::new(tags::IMAGE_TYPE, VR::CS, PrimitiveValue::from(image_type)),
                DataElement::new(tags::RESCALE_TYPE, VR::LO, PrimitiveValue::from(rescale_type)),
            ]);
            unfit_type(&Attributes::of(&image))
        };
        for projection in ["DERIVED\\SECONDARY\\AXIAL\\CT_SOM5 MIP", "DERIVED\\SECONDARY\\REFORMATTED\\MIN_IP"] {
            assert_eq!(unfit(projection, "HU"), Some("a projection or rendering"), "{projection}");
        }
        assert_eq!(unfit("DERIVED\\PRIMARY\\AXIAL", "Z_EFF"), Some("not in Hounsfield units"));
        for fit in ["ORIGINAL\\PRIMARY\\AXIAL", "DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE", "DERIVED\\PRIMARY\\AXIAL"] {
            assert_eq!((unfit(fit, "HU"), unfit(fit, "")), (None, None), "{fit}");
        }
    }
}
