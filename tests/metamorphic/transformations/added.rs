//! What comes along with the slices and is none of them.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use tableside::scanner::Instance;

use super::spoilt::thick;
use super::{Aspect, Expected, SAME, Transformation, objects, slices};
use crate::answer::Tolerance;
use crate::series::{Series, Slice, instance_of, put};

pub fn added() -> Vec<Transformation> {
    let kept = || Expected::Same(Tolerance::SAME, &["duplicate_position"]);
    vec![
        objects("a scout first", Aspect::Added, SAME, |delivery, series| {
            delivery.instances.insert(0, scout(series));
        }),
        objects("a captured page at a slice's position", Aspect::Added, kept(), |delivery, series| {
            delivery.instances.push(page(series, "DERIVED\\SECONDARY\\OTHER"));
        }),
        objects("a dose sheet at a slice's position", Aspect::Added, kept(), |delivery, series| {
            delivery.instances.insert(0, page(series, "DERIVED\\SECONDARY"));
        }),
        objects("a dose report", Aspect::Added, SAME, |delivery, series| {
            delivery.instances.push(dose_report(series));
        }),
        slices("a second reconstruction of thick slices", Aspect::Added, SAME, |series| {
            let second = coarser(series);
            series.slices.extend(second);
        }),
    ]
}

fn middle(series: &Series) -> &Slice {
    &series.slices[series.slices.len() / 2]
}

fn scout(series: &Series) -> Instance {
    let mut uids = series.more_uids("scout");
    let mut object = middle(series).object(series.origin_mm, series.rounding);
    put(&mut object, tags::SERIES_INSTANCE_UID, VR::UI, &uids.next_uid());
    put(&mut object, tags::SOP_INSTANCE_UID, VR::UI, &uids.next_uid());
    put(&mut object, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
    put(&mut object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
    put(&mut object, tags::SERIES_NUMBER, VR::IS, "1");
    instance_of(&object)
}

/// A page of text of CT class with a slice's position and a UID that comes before all others.
fn page(series: &Series, image_type: &str) -> Instance {
    let slice = middle(series);
    let mut object = slice.object(series.origin_mm, series.rounding);
    let uid = series.more_uids("page").next_uid();
    put(
        &mut object,
        tags::SOP_INSTANCE_UID,
        VR::UI,
        &format!("1.2.{}", &uid[uid.len() - 20..].trim_start_matches('0')),
    );
    put(&mut object, tags::IMAGE_TYPE, VR::CS, image_type);
    let (rows, columns) = (slice.grid.rows, slice.grid.columns);
    let [air, ink] =
        [-1000.0, 900.0].map(|hu: f64| (((hu - slice.storage.intercept) / slice.storage.slope) as i32) as u16);
    let cells: Vec<u16> = (0..rows * columns)
        .map(|at| {
            let (row, column) = (at / columns, at % columns);
            let is_line = row % 12 < 6 && (columns / 10..columns - columns / 10).contains(&column);
            if is_line && (row / 12 * 31 + column / 3 * 17) % 5 < 2 { ink } else { air }
        })
        .collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(cells.into())));
    instance_of(&object)
}

/// X-Ray Radiation Dose SR with a container and nothing in it.
fn dose_report(series: &Series) -> Instance {
    let mut uids = series.more_uids("dose");
    let of_the_exam = [
        tags::SPECIFIC_CHARACTER_SET,
        tags::STUDY_DATE,
        tags::STUDY_TIME,
        tags::ACCESSION_NUMBER,
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::PATIENT_BIRTH_DATE,
        tags::PATIENT_SEX,
        tags::STUDY_INSTANCE_UID,
        tags::STUDY_ID,
    ];
    let header = &middle(series).header;
    let mut object =
        InMemDicomObject::from_element_iter(of_the_exam.iter().filter_map(|tag| header.get(*tag).cloned()));
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, uids::X_RAY_RADIATION_DOSE_SR_STORAGE),
        (tags::SOP_INSTANCE_UID, VR::UI, uids.next_uid().as_str()),
        (tags::SERIES_INSTANCE_UID, VR::UI, uids.next_uid().as_str()),
        (tags::MODALITY, VR::CS, "SR"),
        (tags::SERIES_NUMBER, VR::IS, "990"),
        (tags::INSTANCE_NUMBER, VR::IS, "1"),
        (tags::COMPLETION_FLAG, VR::CS, "COMPLETE"),
        (tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED"),
        (tags::VALUE_TYPE, VR::CS, "CONTAINER"),
        (tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE"),
    ] {
        put(&mut object, tag, vr, value);
    }
    let mut title = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::CODE_VALUE, VR::SH, "113701"),
        (tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM"),
        (tags::CODE_MEANING, VR::LO, "X-Ray Radiation Dose Report"),
    ] {
        put(&mut title, tag, vr, value);
    }
    object.put(DataElement::new(tags::CONCEPT_NAME_CODE_SEQUENCE, VR::SQ, DataSetSequence::from(vec![title])));
    instance_of(&object)
}

/// The same acquisition once more in slices of 10 mm.
fn coarser(series: &Series) -> Vec<Slice> {
    let mut uids = series.more_uids("coarser");
    let series_uid = uids.next_uid();
    // A little less than 10 mm, so that merging ends there.
    let mut coarser = thick(&series.slices, 9.0);
    for slice in &mut coarser {
        slice.put(tags::SERIES_INSTANCE_UID, VR::UI, &series_uid);
        slice.put(tags::SOP_INSTANCE_UID, VR::UI, &uids.next_uid());
        slice.put(tags::SERIES_NUMBER, VR::IS, "7");
        slice.put(tags::SERIES_DESCRIPTION, VR::LO, "Thorax thick");
    }
    coarser
}
