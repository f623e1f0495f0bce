//! What takes a negative away: slices that are missing, blank, thick, refused or unreadable, and claims that cannot be true.

use std::sync::Arc;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use tableside::scanner::Instance;

use super::{Aspect, Expected, Transformation, objects, slices};
use crate::delivery::Delivery;
use crate::plane;
use crate::series::{Series, Slice, changed, put, text};

pub fn lost() -> Vec<Transformation> {
    let lost = |name: &str, change: fn(&mut Series)| slices(name, Aspect::Loss, Expected::NoNegative, change);
    vec![
        lost("the lower half blank", |series| {
            let half = series.slices.len() / 2;
            series.slices[..half].iter_mut().for_each(|slice| slice.blank = Some(0));
        }),
        lost("slices of the middle blank", |series| {
            for at in wider_than(10.0, series) {
                series.slices[at].blank = Some(0);
            }
        }),
        lost("slices of the middle all of soft tissue", |series| {
            for at in wider_than(10.0, series) {
                series.slices[at].blank = Some(1064);
            }
        }),
        lost("all blank", |series| series.slices.iter_mut().for_each(|slice| slice.blank = Some(0))),
        lost("slices of the middle show one of them", |series| {
            let middle = wider_than(20.0, series);
            let stuck = series.slices[middle.start].plane.clone();
            series.slices[middle].iter_mut().for_each(|slice| slice.plane = stuck.clone());
        }),
        lost("a third of the slices shows what another third does", |series| {
            let third = series.slices.len() / 3;
            for at in 0..third {
                series.slices[2 * third + at].plane = series.slices[third + at].plane.clone();
            }
        }),
        lost("a hole of more than 10 mm", |series| drop(series.slices.drain(wider_than(10.0, series)))),
        lost("a hole of more than 40 mm", |series| drop(series.slices.drain(wider_than(40.0, series)))),
        lost("apex not scanned", |series| {
            let (_, uppermost) = lung_slices(series);
            series.slices.truncate(uppermost + 1);
        }),
        lost("base not scanned", |series| {
            let (lowest, _) = lung_slices(series);
            series.slices.drain(..lowest);
        }),
        lost("slices said to be 12 mm thick", |series| series.put_on_all(tags::SLICE_THICKNESS, VR::DS, "12")),
        lost("slices of more than 12 mm", |series| series.slices = thick(&series.slices, 12.0)),
        lost("ten slices far apart", |series| {
            let step = series.slices.len() / 10;
            series.slices = series.slices.iter().step_by(step).cloned().collect();
        }),
    ]
}

/// Slices around the widest place of the lungs whose absence leaves a hole of more than so many mm.
fn wider_than(mm: f64, series: &Series) -> std::ops::Range<usize> {
    let areas = series.slices.iter().map(Slice::lung_cm2);
    let (widest, _) = areas.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).expect("slices");
    let spacing_mm = series.slices[widest].z_mm - series.slices[widest - 1].z_mm;
    widest..widest + (mm / spacing_mm) as usize + 1
}

/// The first and the last slice on which the lungs are well visible.
fn lung_slices(series: &Series) -> (usize, usize) {
    let areas: Vec<f64> = series.slices.iter().map(Slice::lung_cm2).collect();
    let most = areas.iter().copied().fold(0.0, f64::max);
    let is_wide = |area: &f64| *area > 0.5 * most;
    (areas.iter().position(is_wide).expect("lung"), areas.iter().rposition(is_wide).expect("lung"))
}

/// Neighbouring slices averaged until they are thicker than so many mm.
pub fn thick(slices: &[Slice], mm: f64) -> Vec<Slice> {
    let distance_mm = slices[1].z_mm - slices[0].z_mm;
    // Where all slices claim one position they still show what they did.
    let spacing_mm =
        if distance_mm > 0.0 { distance_mm } else { slices[0].text(tags::SLICE_THICKNESS).parse().expect("mm") };
    let count = (mm / spacing_mm) as usize + 1;
    let merged = slices.chunks_exact(count).map(|group| {
        let planes: Vec<_> = group.iter().map(|slice| &*slice.plane).collect();
        let z_mm = group.iter().map(|slice| slice.z_mm).sum::<f64>() / count as f64;
        let mut slice = Slice { plane: Arc::new(plane::mean(&planes)), z_mm, ..group[0].clone() };
        let thickness = (spacing_mm * count as f64).to_string();
        slice.put(tags::SLICE_THICKNESS, VR::DS, &thickness);
        slice.put(tags::SPACING_BETWEEN_SLICES, VR::DS, &thickness);
        slice
    });
    merged.collect()
}

pub fn claimed() -> Vec<Transformation> {
    let claimed = |name: &str, change: fn(&mut Series)| slices(name, Aspect::Claim, Expected::NoNegative, change);
    vec![
        claimed("one SOP Instance UID on all slices", |series| {
            let uid = series.slices[0].text(tags::SOP_INSTANCE_UID);
            series.put_on_all(tags::SOP_INSTANCE_UID, VR::UI, &uid);
        }),
        claimed("one position on all slices", |series| {
            let z_mm = series.slices[series.slices.len() / 2].z_mm;
            series.slices.iter_mut().for_each(|slice| slice.z_mm = z_mm);
        }),
    ]
}

/// Headers of the lower third that turn stored values into wrong Hounsfield units: the slope times `factor`, the intercept plus `hu`.
/// What is delivered beside the slices has no such header.
pub fn rescaled() -> Vec<Transformation> {
    let rescaled = |name: &str, factor: f64, hu: f64| {
        objects(name, Aspect::Damage, Expected::NoNegative, move |delivery, _| {
            let upper = 2 * (delivery.instances.len() / 3);
            for instance in &mut delivery.instances[upper..] {
                *instance = changed(instance, |object| {
                    let number = |tag| text(object, tag).parse::<f64>().ok();
                    let rescale = number(tags::RESCALE_SLOPE).zip(number(tags::RESCALE_INTERCEPT));
                    if let Some((slope, intercept)) = rescale {
                        put(object, tags::RESCALE_SLOPE, VR::DS, &(slope * factor).to_string());
                        put(object, tags::RESCALE_INTERCEPT, VR::DS, &(intercept + hu).to_string());
                    }
                });
            }
        })
    };
    vec![
        rescaled("Rescale Slope of the lower third doubled", 2.0, 0.0),
        rescaled("Rescale Slope of the lower third halved", 0.5, 0.0),
        // With an intercept of -1024 as if Hounsfield units were stored: tissue, near 0, hardly changes.
        rescaled("Rescale Slope of the lower third halved about 0 HU", 0.5, 512.0),
        rescaled("Rescale Slope of the lower third doubled about 0 HU", 2.0, -1024.0),
        rescaled("Rescale Intercept of the lower third 1000 HU too high", 1.0, 1000.0),
        rescaled("Rescale Intercept of the lower third 1000 HU too low", 1.0, -1000.0),
        rescaled("Rescale Intercept of the lower third 150 HU too low", 1.0, -150.0),
        rescaled("Rescale Intercept of the lower third 150 HU too high", 1.0, 150.0),
    ]
}

pub fn damaged() -> Vec<Transformation> {
    let damaged = |name: &str, change: fn(&mut Delivery)| {
        objects(name, Aspect::Damage, Expected::NoNegative, move |delivery, _| change(delivery))
    };
    vec![
        damaged("pixel data of a third too short", |delivery| {
            delivery.instances.iter_mut().step_by(3).for_each(|instance| *instance = with_half_the_pixels(instance));
        }),
        damaged("data sets of a third truncated", |delivery| {
            delivery.instances.iter_mut().step_by(3).for_each(|instance| *instance = truncated(instance));
        }),
        damaged("data sets of the second half truncated", |delivery| {
            let half = delivery.instances.len() / 2;
            delivery.instances[half..].iter_mut().for_each(|instance| *instance = truncated(instance));
        }),
        damaged("all data sets truncated", |delivery| {
            delivery.instances.iter_mut().for_each(|instance| *instance = truncated(instance));
        }),
        damaged("positions of a third missing", |delivery| {
            for instance in delivery.instances.iter_mut().step_by(3) {
                *instance = changed(instance, |object| assert!(object.remove_element(tags::IMAGE_POSITION_PATIENT)));
            }
        }),
        damaged("half of the files unreadable", |delivery| {
            let mut at = 0;
            let (torn, kept) = delivery.instances.drain(..).partition(|_| {
                at += 1;
                at % 2 == 0
            });
            delivery.instances = kept;
            delivery.other_files = as_rubbish(torn);
        }),
        damaged("the second half of the files unreadable", |delivery| {
            let half = delivery.instances.len() / 2;
            let torn = delivery.instances.split_off(half);
            delivery.other_files = as_rubbish(torn);
        }),
    ]
}

fn with_half_the_pixels(instance: &Instance) -> Instance {
    changed(instance, |object| {
        let Some(pixels) = object.get(tags::PIXEL_DATA).and_then(|pixels| pixels.to_bytes().ok()) else { return };
        let half = pixels[..pixels.len() / 4 * 2].to_vec();
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(half)));
    })
}

fn truncated(instance: &Instance) -> Instance {
    Instance { data: instance.data[..instance.data.len() * 2 / 3].into(), ..instance.clone() }
}

/// Files of the length that they had, of which a disk has given back nothing but zeros.
fn as_rubbish(torn: Vec<Instance>) -> Vec<Vec<u8>> {
    torn.into_iter().map(|instance| vec![0; instance.data.len()]).collect()
}
