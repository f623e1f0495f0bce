//! Multi-frame CT: each frame of an Enhanced CT Image or of a Legacy Converted one is a slice (PS3.3 sections A.38 and A.70).

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::header::{Content, image_content};
use crate::dicom::attributes::{Attributes, items, number};

/// More frames than this are taken for an attack on memory: a scan of 10 m in 1 mm slices.
const MAX_FRAMES: usize = 10_000;

/// The SOP classes of CT images whose frames are slices.
pub(super) const MULTI_FRAME_CT: [&str; 2] =
    [uids::ENHANCED_CT_IMAGE_STORAGE, uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE];

/// What each frame is. Where functional groups and frames do not match nobody knows which frame lies where: then every frame
/// is defective, so that they count for as many as they are.
pub(super) fn frames(object: &InMemDicomObject) -> Vec<Content> {
    let groups = items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let count = match frame_count(object) {
        Ok(count) => count,
        Err(reason) => return vec![Content::Defective(reason); groups.len().clamp(1, MAX_FRAMES)],
    };
    if groups.len() != count {
        let reason = format!(
            "per-frame functional groups sequence (5200,9230) has {} items, number of frames (0028,0008) is {count}",
            groups.len()
        );
        return vec![Content::Defective(reason); count];
    }
    let shared = items(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first();
    let frame = |(at, own)| match image_content(&Attributes::of_frame(object, own, shared)) {
        Content::Defective(reason) => Content::Defective(format!("frame {}: {reason}", at + 1)),
        Content::Slice(slice) => Content::Slice(super::SliceHeader { frame_number: Some(at as u32 + 1), ..slice }),
        other => other,
    };
    groups.iter().enumerate().map(frame).collect()
}

fn frame_count(object: &InMemDicomObject) -> Result<usize, String> {
    let count = number(object, tags::NUMBER_OF_FRAMES).filter(|count| *count >= 1.0);
    let count = count.ok_or("number of frames (0028,0008) is missing or none")?;
    if count > MAX_FRAMES as f64 {
        return Err(format!("number of frames (0028,0008) is {count}, {MAX_FRAMES} at most are read"));
    }
    Ok(count as usize)
}

/// Values of Frame Type (0008,9007) in its fourth place, derived pixel contrast (PS3.3 section C.8.16.1.4), that are no density.
const OTHER_CONTRASTS: [&str; 8] =
    ["ADDITION", "DIVISION", "MASKED", "MAXIMUM", "MINIMUM", "MULTIPLICATION", "STD_DEVIATION", "SUBTRACTION"];

/// Why a frame of this kind is not analysed, beyond what its type says: Volumetric Properties (0008,9206) and Volume Based
/// Calculation Technique (0008,9207) name what was made from a volume (PS3.3 section C.8.16.2.1). A flat reformat is judged by its
/// plane, as single images are.
pub(super) fn unfit_frame(frame: &Attributes<'_>) -> Option<&'static str> {
    match frame.text(tags::VOLUME_BASED_CALCULATION_TECHNIQUE).as_str() {
        "" | "NONE" | "MPR" => {}
        "CURVED_MPR" => return Some("a curved reformat"),
        _ => return Some("a projection or rendering"),
    }
    match frame.text(tags::VOLUMETRIC_PROPERTIES).as_str() {
        "" | "VOLUME" => {}
        _ => return Some("no slice of a volume"),
    }
    let frame_type = frame.text(tags::IMAGE_TYPE);
    let contrast = frame_type.split('\\').nth(3).map(str::trim);
    contrast.filter(|contrast| OTHER_CONTRASTS.contains(contrast)).map(|_| "computed from other images")
}

#[cfg(test)]
#[path = "enhanced_tests.rs"]
mod tests;
