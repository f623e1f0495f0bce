//! Slices that belong to another acquisition or to another patient, in between.

use std::sync::Arc;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::{Aspect, Expected, Transformation, slices};
use crate::plane::{self, Plane};
use crate::series::{Series, Slice};

pub fn mixed() -> Vec<Transformation> {
    let acquisitions = |name: &str, expected, aside_mm: f64, number: &'static str| {
        slices(name, Aspect::Mixture, expected, move |series: &mut Series| {
            let mut second = breathed_out(&series.slices);
            let mut uids = series.more_uids("breathed out");
            for slice in &mut second {
                slice.put(tags::SOP_INSTANCE_UID, VR::UI, &uids.next_uid());
                slice.z_mm += aside_mm;
                if number != "1" {
                    slice.put(tags::ACQUISITION_NUMBER, VR::IS, number);
                    slice.put(tags::ACQUISITION_TIME, VR::TM, "101500");
                }
            }
            series.slices.extend(second);
            series.slices.sort_by(|a, b| a.z_mm.total_cmp(&b.z_mm));
        })
    };
    let patients = |name: &str, one_series: bool| {
        slices(name, Aspect::Mixture, Expected::BothPatients, move |series: &mut Series| {
            let others = strangers(series, one_series);
            series.slices.extend(others);
            series.slices.sort_by(|a, b| a.z_mm.total_cmp(&b.z_mm));
        })
    };
    vec![
        acquisitions("breathed out 1 mm aside, nothing tells", Expected::NoNegative, 1.0, "1"),
        acquisitions("breathed out 1 mm aside, numbered", Expected::OneOfTwoAcquisitions, 1.0, "2"),
        acquisitions(
            "breathed out at the same positions, nothing tells",
            Expected::OneOfTwoAcquisitionsOrNone,
            0.0,
            "1",
        ),
        acquisitions("breathed out at the same positions, numbered", Expected::OneOfTwoAcquisitions, 0.0, "2"),
        patients("another patient under the same IDs", false),
        patients("another patient under the same IDs, in one series", true),
    ]
}

/// The same patient after breathing out: squeezed along the body and from front to back, and denser (Dougherty et al.,
/// "Use of registration-based contour propagation in texture analysis", and every inspiratory-expiratory pair).
pub fn breathed_out(slices: &[Slice]) -> Vec<Slice> {
    const SHORTER: f64 = 1.18;
    const FLATTER: f64 = 1.06;
    const DENSER_HU: f32 = 90.0;
    let top = slices.len() as f64 - 1.0;
    let squeezed = |(at, slice): (usize, &Slice)| {
        let from = (top - (top - at as f64) * SHORTER).max(0.0);
        let (low, share) = (from as usize, from.fract() as f32);
        let high = (low + 1).min(slices.len() - 1);
        let mut plane: Plane = plane::mixed(&[(&slices[low].plane, 1.0 - share), (&slices[high].plane, share)]);
        for hu in plane.hu.iter_mut().filter(|hu| (-990.0..-600.0).contains(*hu)) {
            *hu += DENSER_HU;
        }
        let centre = plane.grid.centre();
        plane.grid.between_rows_mm /= FLATTER;
        let moved = plane.grid.centre();
        plane.grid = plane.grid.moved([centre[0] - moved[0], centre[1] - moved[1]]);
        Slice { plane: Arc::new(plane), ..slice.clone() }
    };
    slices.iter().enumerate().map(squeezed).collect()
}

/// Somebody else's slices with the exam's Study Instance UID and Patient ID.
fn strangers(series: &Series, one_series: bool) -> Vec<Slice> {
    let (first, mut uids) = (&series.slices[0], series.more_uids("stranger"));
    let own_series = uids.next_uid();
    let frame_of_reference = uids.next_uid();
    let mut strangers = series.stranger.to_vec();
    for slice in &mut strangers {
        for tag in [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::PATIENT_ID] {
            slice.put(tag, first.header.element(tag).unwrap().vr(), &first.text(tag));
        }
        if !one_series {
            slice.put(tags::SERIES_INSTANCE_UID, VR::UI, &own_series);
        }
        slice.put(tags::FRAME_OF_REFERENCE_UID, VR::UI, &frame_of_reference);
        slice.put(tags::SOP_INSTANCE_UID, VR::UI, &uids.next_uid());
        slice.put(tags::PATIENT_NAME, VR::PN, "SOMEBODY^ELSE");
        slice.put(tags::PATIENT_BIRTH_DATE, VR::DA, "19610203");
        slice.put(tags::PATIENT_SEX, VR::CS, "F");
    }
    strangers
}
