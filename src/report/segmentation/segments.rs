//! The segments: what each shows, in codes, words and colour.

use std::rc::Rc;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::masks::{Masks, OWN_SEGMENTS};
use super::{DrawnSegment, Shows};
use crate::report::Exam;
use crate::report::codes::{self, Code};
use crate::report::elements::{MANUFACTURER, Put, shortened};
use crate::report::uids::Uids;
use crate::triage::Side;

/// Recommended Display `CIELab` Value (PS3.3 C.10.7.1.1) of lungs and lesions: the colours 86, 180, 233 and 240, 110, 0 of sRGB,
/// relative to its own white point D65, as readers take it.
const LUNG_COLOUR: [u16; 3] = [45761, 29808, 23959];
const LESION_COLOUR: [u16; 3] = [40222, 44678, 50775];

/// The segments that have a pixel on one of the images, and with `keeps_empty` those without that the report speaks of.
pub(super) fn chosen(exam: &Exam<'_>, uids: &Uids<'_>, masks: &[Rc<Masks>], keeps_empty: bool) -> Vec<DrawnSegment> {
    let lesions = exam.report.lesions.len();
    let is_reported = |shows: Shows| match shows {
        Shows::Lung(_) => true,
        Shows::Lesion(place) => place < lesions,
        Shows::OtherLesions => lesions > OWN_SEGMENTS,
    };
    let is_chosen =
        |shows: &Shows| masks.iter().any(|masks| masks.of(*shows).is_some()) || keeps_empty && is_reported(*shows);
    (1..)
        .zip(Shows::in_order().filter(is_chosen))
        .map(|(number, shows)| {
            let tracking_id = tracking_id(shows);
            DrawnSegment { number, shows, tracking_uid: uids.of(&tracking_id, "tracking"), tracking_id }
        })
        .collect()
}

fn tracking_id(shows: Shows) -> String {
    match shows {
        Shows::Lung(Side::Right) => "right lung".into(),
        Shows::Lung(Side::Left) => "left lung".into(),
        Shows::Lesion(place) => format!("lesion {}", place + 1),
        Shows::OtherLesions => "other lesions".into(),
    }
}

/// The Segment Sequence (PS3.3 C.8.20.2 and C.8.20.4).
pub(super) fn put_into(object: &mut InMemDicomObject, exam: &Exam<'_>, segments: &[DrawnSegment]) {
    object.items(tags::SEGMENT_SEQUENCE, segments.iter().map(|segment| item(exam, segment)).collect());
}

fn item(exam: &Exam<'_>, segment: &DrawnSegment) -> InMemDicomObject {
    let model = &exam.report.model;
    let mut item = InMemDicomObject::new_empty();
    item.u16(tags::SEGMENT_NUMBER, segment.number)
        .text(tags::SEGMENT_LABEL, VR::LO, label(segment.shows).as_str())
        .text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC")
        .text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, &shortened(&format!("{} {}", model.name, model.version), 64))
        .item(tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, algorithm(exam))
        .text(tags::TRACKING_ID, VR::UT, &segment.tracking_id)
        .text(tags::TRACKING_UID, VR::UI, &segment.tracking_uid);
    match segment.shows {
        Shows::Lung(side) => put_lung(&mut item, side),
        Shows::Lesion(place) => {
            let lesion = exam.report.lesions.get(place);
            put_lesion(&mut item, lesion.map(|lesion| lesion.side));
            if let Some(lesion) = lesion {
                item.text(tags::SEGMENT_DESCRIPTION, VR::ST, &shortened(&lesion.to_string(), 1024));
            }
        }
        Shows::OtherLesions => {
            put_lesion(&mut item, None);
            let description = format!("The lesions after the {OWN_SEGMENTS} largest");
            item.text(tags::SEGMENT_DESCRIPTION, VR::ST, &description);
        }
    }
    item
}

fn label(shows: Shows) -> String {
    match shows {
        Shows::Lung(Side::Right) => "Right lung".into(),
        Shows::Lung(Side::Left) => "Left lung".into(),
        Shows::Lesion(place) => format!("Lesion {}", place + 1),
        Shows::OtherLesions => "Other lesions".into(),
    }
}

fn put_lung(item: &mut InMemDicomObject, side: Side) {
    let mut lung = codes::LUNG.item();
    lung.code(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, laterality(side));
    item.text(tags::SEGMENT_DESCRIPTION, VR::ST, "Without its lesions, which have segments of their own")
        .code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, &codes::ANATOMICAL_STRUCTURE)
        .item(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, lung)
        .u16s(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &LUNG_COLOUR);
}

/// A lesion of the lung, of this side if of one.
fn put_lesion(item: &mut InMemDicomObject, side: Option<Side>) {
    let mut region = codes::LUNG.item();
    if let Some(side) = side {
        region.code(tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, laterality(side));
    }
    item.item(tags::ANATOMIC_REGION_SEQUENCE, region)
        .code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, &codes::MORPHOLOGICALLY_ABNORMAL)
        .code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, &codes::LESION)
        .u16s(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &LESION_COLOUR);
}

fn laterality(side: Side) -> &'static Code {
    match side {
        Side::Right => &codes::RIGHT,
        Side::Left => &codes::LEFT,
    }
}

/// The Algorithm Identification macro (PS3.3 section 10.16).
fn algorithm(exam: &Exam<'_>) -> InMemDicomObject {
    let model = &exam.report.model;
    let mut item = InMemDicomObject::new_empty();
    item.code(tags::ALGORITHM_FAMILY_CODE_SEQUENCE, &codes::ARTIFICIAL_INTELLIGENCE)
        .text(tags::ALGORITHM_NAME, VR::LO, &shortened(&model.name, 64))
        .text(tags::ALGORITHM_VERSION, VR::LO, &shortened(&model.version, 64))
        .text(tags::ALGORITHM_PARAMETERS, VR::LT, &shortened(&format!("SHA-256 of the weights {}", model.sha256), 1024))
        .text(tags::ALGORITHM_SOURCE, VR::LO, MANUFACTURER);
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sRGB (IEC 61966-2-1) to CIE 1976 L*a*b*, scaled to 16 bits.
    fn cielab(rgb: [f64; 3]) -> [u16; 3] {
        let [red, green, blue] = rgb.map(|value| {
            let value = value / 255.0;
            if value > 0.04045 { ((value + 0.055) / 1.055_f64).powf(2.4) } else { value / 12.92 }
        });
        let xyz = [
            (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047,
            0.2126 * red + 0.7152 * green + 0.0722 * blue,
            (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883,
        ];
        let [x, y, z] = xyz.map(|t: f64| if t > 216.0 / 24389.0 { t.cbrt() } else { t * 841.0 / 108.0 + 4.0 / 29.0 });
        let chroma = |value: f64| ((value + 128.0) / 255.0 * 65535.0).round() as u16;
        let lightness = (116.0 * y - 16.0) / 100.0 * 65535.0;
        [lightness.round() as u16, chroma(500.0 * (x - y)), chroma(200.0 * (y - z))]
    }

    #[test]
    fn lungs_are_blue_and_lesions_orange() {
        assert_eq!(LUNG_COLOUR, cielab([86.0, 180.0, 233.0]));
        assert_eq!(LESION_COLOUR, cielab([240.0, 110.0, 0.0]));
    }
}
