//! Frames read from functional groups, in the places where scanners put them.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};

use super::super::InstanceHeader;
use super::*;
use crate::exam::SliceHeader;

type Element = DataElement<InMemDicomObject>;

fn text(tag: Tag, vr: VR, value: &str) -> Element {
    let values: Vec<String> = value.split('\\').map(str::to_owned).collect();
    DataElement::new(tag, vr, PrimitiveValue::Strs(values.into()))
}

fn item(elements: Vec<Element>) -> InMemDicomObject {
    InMemDicomObject::from_element_iter(elements)
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> Element {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

/// A functional group: a sequence of one item.
fn group(tag: Tag, elements: Vec<Element>) -> Element {
    sequence(tag, vec![item(elements)])
}

fn position(z: &str) -> Element {
    let position = text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("-10\\-20\\{z}"));
    group(tags::PLANE_POSITION_SEQUENCE, vec![position])
}

fn measures(thickness: &str) -> Element {
    let spacing = text(tags::PIXEL_SPACING, VR::DS, "0.8\\0.7");
    group(tags::PIXEL_MEASURES_SEQUENCE, vec![spacing, text(tags::SLICE_THICKNESS, VR::DS, thickness)])
}

fn rescale(intercept: &str, rescale_type: &str) -> Element {
    group(
        tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
        vec![
            text(tags::RESCALE_INTERCEPT, VR::DS, intercept),
            text(tags::RESCALE_SLOPE, VR::DS, "1"),
            text(tags::RESCALE_TYPE, VR::LO, rescale_type),
        ],
    )
}

fn frame_type(frame_type: &str) -> Element {
    let elements = vec![
        text(tags::FRAME_TYPE, VR::CS, frame_type),
        text(tags::VOLUMETRIC_PROPERTIES, VR::CS, "VOLUME"),
        text(tags::VOLUME_BASED_CALCULATION_TECHNIQUE, VR::CS, "NONE"),
    ];
    group(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, elements)
}

fn shared() -> Vec<Element> {
    let orientation = text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
    vec![
        group(tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]),
        measures("3"),
        rescale("-1024", "HU"),
        frame_type("ORIGINAL\\PRIMARY\\VOLUME\\NONE"),
        group(tags::CT_RECONSTRUCTION_SEQUENCE, vec![text(tags::CONVOLUTION_KERNEL, VR::SH, "LUNG")]),
        group(tags::CT_ACQUISITION_DETAILS_SEQUENCE, vec![text(tags::GANTRY_DETECTOR_TILT, VR::DS, "2")]),
    ]
}

/// An object that counts as many frames as it describes.
fn object(shared: Vec<Element>, frames: Vec<Vec<Element>>) -> InMemDicomObject {
    let mut object = item(vec![
        text(tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_CT_IMAGE_STORAGE),
        text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3"),
        text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\VOLUME\\MIXED"),
        text(tags::PATIENT_POSITION, VR::CS, "FFP"),
        text(tags::INSTANCE_NUMBER, VR::IS, "7"),
        text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.len().to_string()),
    ]);
    for (tag, value) in [(tags::ROWS, 512_u16), (tags::COLUMNS, 512)] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    object.put(sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![item(shared)]));
    object.put(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames.into_iter().map(item).collect()));
    object
}

fn images(object: &InMemDicomObject) -> Vec<Content> {
    InstanceHeader::read(object).unwrap().images
}

fn slice(content: &Content) -> &SliceHeader {
    match content {
        Content::Slice(slice) => slice,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_frame_takes_from_its_own_groups_and_then_from_the_shared_ones() {
    let own = vec![position("5"), measures("1.5"), rescale("-1000", "HU")];
    let images = images(&object(shared(), vec![vec![position("2")], own]));
    let (one, other) = (slice(&images[0]), slice(&images[1]));
    assert_eq!((one.geometry.z_mm, other.geometry.z_mm), (2.0, 5.0));
    assert_eq!((one.thickness_mm, other.thickness_mm), (Some(3.0), Some(1.5)));
    assert_eq!((one.rescale_intercept, other.rescale_intercept), (-1024.0, -1000.0));
    assert_eq!((one.frame_number, other.frame_number), (Some(1), Some(2)));
    for slice in [one, other] {
        let acquisition = &slice.acquisition;
        assert_eq!((acquisition.kernel.as_str(), acquisition.gantry_tilt_degrees), ("LUNG", 2.0));
        assert_eq!((acquisition.unusual_posture(), acquisition.instance_number), (Some("prone"), Some(7)));
        assert_eq!(slice.geometry.in_plane.y.spacing_mm, 0.8);
    }
}

#[test]
fn what_stands_outside_the_groups_is_no_geometry_of_a_frame() {
    let mut flat = object(shared(), vec![Vec::new()]);
    flat.put(text(tags::IMAGE_POSITION_PATIENT, VR::DS, "0\\0\\0"));
    let images = images(&flat);
    let [Content::Defective(reason)] = &images[..] else { panic!("{images:?}") };
    assert!(reason.starts_with("frame 1: image position (0020,0032) is missing"), "{reason}");
}

#[test]
fn each_missing_group_is_named_with_its_frame() {
    let missing = [
        (tags::PLANE_ORIENTATION_SEQUENCE, "image orientation"),
        (tags::PIXEL_MEASURES_SEQUENCE, "pixel spacing"),
        (tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, "rescale slope"),
    ];
    for (tag, name) in missing {
        let shared = shared().into_iter().filter(|group| group.header().tag != tag).collect();
        let images = images(&object(shared, vec![vec![position("0")], vec![position("1")]]));
        let Content::Defective(reason) = &images[1] else { panic!("{name}") };
        assert!(reason.starts_with(&format!("frame 2: {name}")), "{reason}");
    }
}

#[test]
fn groups_that_do_not_match_the_number_of_frames_make_every_frame_defective() {
    for (count, defects) in [("3", 3), ("1", 1), ("0", 2), ("-1", 2), ("10001", 2), ("4000000000", 2)] {
        let mut object = object(shared(), vec![vec![position("0")], vec![position("1")]]);
        object.put(text(tags::NUMBER_OF_FRAMES, VR::IS, count));
        let images = images(&object);
        assert_eq!(images.len(), defects, "{count}");
        assert!(images.iter().all(|image| matches!(image, Content::Defective(_))), "{images:?}");
    }
    for tag in [tags::NUMBER_OF_FRAMES, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE] {
        let mut object = object(shared(), vec![vec![position("0")]]);
        object.remove_element(tag);
        assert!(matches!(images(&object)[..], [Content::Defective(_)]), "{tag}");
    }
}

#[test]
fn frames_of_other_kinds_are_kept_for_the_reason_that_single_images_are() {
    let of_type = |value: &str| images(&object(shared(), vec![vec![position("0"), frame_type(value)]])).remove(0);
    assert_eq!(of_type("ORIGINAL\\PRIMARY\\LOCALIZER\\NONE"), Content::Kept("a scout"));
    assert_eq!(of_type("DERIVED\\PRIMARY\\VOLUME\\MAXIMUM"), Content::Unfit("a projection or rendering".into()));
    assert_eq!(of_type("DERIVED\\PRIMARY\\AXIAL\\SUBTRACTION"), Content::Unfit("computed from other images".into()));
    for value in ["ORIGINAL\\PRIMARY\\AXIAL\\NONE", "DERIVED\\PRIMARY\\VOLUME\\RESAMPLED", "ORIGINAL\\PRIMARY\\VOLUME"]
    {
        assert!(matches!(of_type(value), Content::Slice(_)), "{value}");
    }
    let z_eff = images(&object(shared(), vec![vec![position("0"), rescale("0", "Z_EFF")]])).remove(0);
    assert_eq!(z_eff, Content::Unfit("not in Hounsfield units".into()));
    let coronal = text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
    let coronal = vec![position("0"), group(tags::PLANE_ORIENTATION_SEQUENCE, vec![coronal])];
    let upright = shared().into_iter().filter(|group| group.header().tag != tags::CT_ACQUISITION_DETAILS_SEQUENCE);
    assert_eq!(images(&object(upright.collect(), vec![coronal])), [Content::Unfit("a coronal plane".into())]);
}

#[test]
fn without_a_frame_type_the_image_type_of_the_instance_says_what_the_frames_are() {
    let shared: Vec<Element> =
        shared().into_iter().filter(|group| group.header().tag != tags::CT_IMAGE_FRAME_TYPE_SEQUENCE).collect();
    let mut object = object(shared, vec![vec![position("0")]]);
    assert!(matches!(images(&object)[..], [Content::Slice(_)]));
    object.put(text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER\\NONE"));
    assert_eq!(images(&object), [Content::Kept("a scout")]);
}

#[test]
fn what_was_made_from_a_volume_is_no_slice_of_it() {
    let made = |properties: &str, technique: &str| {
        let elements = vec![
            text(tags::FRAME_TYPE, VR::CS, "DERIVED\\PRIMARY\\VOLUME\\NONE"),
            text(tags::VOLUMETRIC_PROPERTIES, VR::CS, properties),
            text(tags::VOLUME_BASED_CALCULATION_TECHNIQUE, VR::CS, technique),
        ];
        let frame = vec![position("0"), group(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, elements)];
        images(&object(shared(), vec![frame])).remove(0)
    };
    assert_eq!(made("VOLUME", "MAX_IP"), Content::Unfit("a projection or rendering".into()));
    assert_eq!(made("VOLUME", "SURFACE_RENDER"), Content::Unfit("a projection or rendering".into()));
    assert_eq!(made("DISTORTED", "CURVED_MPR"), Content::Unfit("a curved reformat".into()));
    assert_eq!(made("SAMPLED", "NONE"), Content::Unfit("no slice of a volume".into()));
    assert!(matches!(made("VOLUME", "MPR"), Content::Slice(_)), "its plane is axial");
}

#[test]
fn a_converted_object_keeps_what_has_no_group_of_its_own() {
    let unassigned = vec![
        text(tags::CONVOLUTION_KERNEL, VR::SH, "B70f"),
        text(tags::CONTRAST_BOLUS_AGENT, VR::LO, "APPLIED"),
        text(tags::IMAGES_IN_ACQUISITION, VR::IS, "99"),
    ];
    let mut shared: Vec<Element> =
        shared().into_iter().filter(|group| group.header().tag != tags::CT_RECONSTRUCTION_SEQUENCE).collect();
    shared.push(group(tags::UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES_SEQUENCE, unassigned));
    let mut converted = object(shared, vec![vec![position("0")]]);
    converted.put(text(tags::SOP_CLASS_UID, VR::UI, uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE));
    let images = images(&converted);
    let slice = slice(&images[0]);
    assert_eq!((slice.acquisition.kernel.as_str(), slice.acquisition.contrast()), ("B70f", Some("APPLIED")));
    assert_eq!(slice.images_in_acquisition, Some(99));
}

#[test]
fn contrast_is_that_of_the_agents_unless_the_frame_says_that_none_was_given() {
    let agent = |meaning: &str| item(vec![text(tags::CODE_MEANING, VR::LO, meaning)]);
    let contrast_of = |administered: Option<&str>| {
        let usage = administered.map(|administered| {
            let administered = text(tags::CONTRAST_BOLUS_AGENT_ADMINISTERED, VR::CS, administered);
            group(tags::CONTRAST_BOLUS_USAGE_SEQUENCE, vec![administered])
        });
        let mut object = object(shared(), vec![[position("0")].into_iter().chain(usage).collect()]);
        object.put(sequence(tags::CONTRAST_BOLUS_AGENT_SEQUENCE, vec![agent("Iodine")]));
        slice(&images(&object)[0]).acquisition.contrast().map(str::to_owned)
    };
    assert_eq!(contrast_of(None).as_deref(), Some("Iodine"));
    assert_eq!(contrast_of(Some("YES")).as_deref(), Some("Iodine"));
    assert_eq!(contrast_of(Some("NO")), None);
}
