//! Acquisitions that went wrong: real series, spoilt on purpose, and each issue named with the slice to look at. What is
//! not spoilt has no issue.

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_pixeldata::PixelDecoder;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tableside::scanner::{Instance, PhantomKind};

use crate::daemon::{Daemon, flag, wait_for};
use crate::dicom::{Association, changed, set_text};
use crate::peers::{tableside, text};
use crate::series::{folder_of, phantom, real_series};

/// The report that `triage` prints, whatever the verdict.
fn report(folder: &Path) -> Value {
    let output = tableside(&["triage", "--json", text(folder)]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn report_on(instances: &[Instance]) -> Value {
    report(folder_of(instances).path())
}

fn issues(report: &Value) -> &[Value] {
    report["quality"].as_array().expect("a list of issues")
}

/// Slices left out and coarse phantoms stand far apart, and say so: that is `rescan`'s to test.
fn kinds(report: &Value) -> Vec<&str> {
    let kinds = issues(report).iter().map(|issue| issue["kind"].as_str().unwrap());
    kinds.filter(|kind| *kind != "far_apart").collect()
}

fn issue<'a>(report: &'a Value, kind: &str) -> &'a Value {
    issues(report).iter().find(|issue| issue["kind"] == kind).unwrap_or_else(|| panic!("no {kind} in {report}"))
}

fn z_mm(instance: &Instance) -> f64 {
    instance.position_mm().expect("a position")
}

/// A real series in ascending z.
fn loaded(name: &str) -> Option<Vec<Instance>> {
    let mut instances = tableside::scanner::series::load_folder(&real_series(name)?).unwrap().instances;
    instances.sort_by_key(|instance| instance.position_um);
    Some(instances)
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

/// Another position along z; the others of the instance's fields follow.
fn moved_to(instance: &Instance, z_mm: f64) -> Instance {
    let moved = changed(instance, |object| {
        let position = object.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
        set_text(object, tags::IMAGE_POSITION_PATIENT, &format!("{}\\{}\\{z_mm:.3}", position[0], position[1]));
    });
    Instance { position_um: Some((z_mm * 1000.0).round() as i64), ..moved }
}

/// The slice with other Hounsfield units, not compressed.
fn repainted(instance: &Instance, paint: impl FnOnce(&mut [f32], usize)) -> Instance {
    let mut object = instance.object().unwrap();
    let decoded = object.decode_pixel_data().unwrap();
    let mut hu: Vec<f32> = decoded.to_vec().unwrap();
    paint(&mut hu, decoded.columns() as usize);
    let stored: Vec<u16> = hu.iter().map(|hu| hu.round().clamp(-32768.0, 32767.0) as i16 as u16).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(stored.into())));
    for (tag, value) in
        [(tags::BITS_ALLOCATED, 16), (tags::BITS_STORED, 16), (tags::HIGH_BIT, 15), (tags::PIXEL_REPRESENTATION, 1)]
    {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value as u16)));
    }
    put(&mut object, tags::RESCALE_SLOPE, VR::DS, "1");
    put(&mut object, tags::RESCALE_INTERCEPT, VR::DS, "0");
    let mut data = Vec::new();
    let explicit = dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
    object.write_dataset_with_ts(&mut data, &explicit).unwrap();
    Instance { data: data.into(), transfer_syntax_uid: uids::EXPLICIT_VR_LITTLE_ENDIAN.into(), ..instance.clone() }
}

/// The content of each row so many columns further to the right.
fn shifted(columns_moved: usize) -> impl Fn(&mut [f32], usize) {
    move |hu, columns| hu.chunks_exact_mut(columns).for_each(|row| row.rotate_right(columns_moved))
}

#[test]
fn what_is_scanned_well_has_no_issue() {
    for name in ["pneumonia-cap001", "screening-nlst"] {
        let Some(series) = real_series(name) else { return };
        assert_eq!(kinds(&report(&series)), [""; 0], "{name}");
    }
}

#[test]
fn a_cut_off_apex_missing_and_double_slices_and_what_the_header_says_are_named_and_flagged() {
    let Some(mut slices) = loaded("normal-001") else { return };
    let number_at = |slices: &[Instance], z: f64| slices.iter().find(|slice| z_mm(slice) == z).unwrap().instance_number;
    let [before_gap, before_hole, double] = [-152.5, -230.5, -200.5].map(|z| number_at(&slices, z));
    let again = slices.iter().find(|slice| z_mm(slice) == -200.5).unwrap().clone();
    slices.retain(|slice| {
        let z = z_mm(slice);
        z < -80.0 && z != -150.5 && !(-230.0..-214.0).contains(&z)
    });
    // The scan began below the apex: its first image is number 1.
    let before = slices.last().unwrap().instance_number.unwrap() - 1;
    let [before_gap, before_hole, double] = [before_gap, before_hole, double].map(|number| number.unwrap() - before);
    slices.push(changed(&again, |object| set_text(object, tags::SOP_INSTANCE_UID, "2.25.7")));
    let spoilt: Vec<Instance> = slices
        .iter()
        .map(|slice| {
            changed(&repainted(slice, shifted(0)), |object| {
                put(object, tags::CONVOLUTION_KERNEL, VR::SH, "B70f");
                put(object, tags::CONTRAST_BOLUS_AGENT, VR::LO, "APPLIED");
                let number: i32 = object.element(tags::INSTANCE_NUMBER).unwrap().to_int().unwrap();
                put(object, tags::INSTANCE_NUMBER, VR::IS, &(number - before).to_string());
            })
        })
        .collect();
    // However slow the machine is: the scan goes on until its association is released.
    let daemon = Daemon::start_with("[completion]\nquiet_s = 600\nleast_quiet_s = 600\n");
    let mut from_the_head = spoilt.clone();
    from_the_head.sort_by(|one, other| z_mm(other).total_cmp(&z_mm(one)));
    let mut association = Association::open(&daemon);
    let mut store = |slices: &[Instance]| slices.iter().for_each(|slice| assert_eq!(association.store(slice), 0));
    let (first, rest) = from_the_head.split_at(80);
    store(first);
    wait_for("the flag while the scan goes on", || flag(daemon.exams().first()?, "rescan").cloned());
    store(rest);
    association.release();
    let details = daemon.verdict_on(spoilt.len());
    let report = &details["report"];
    assert_eq!(kinds(report), ["apex_cut_off", "gap", "gap", "duplicate_position", "bone_kernel", "contrast"]);
    assert_eq!(issue(report, "apex_cut_off")["instance_number"], 1);
    assert_eq!((&issues(report)[1]["from_z_mm"], &issues(report)[1]["to_z_mm"]), (&(-230.5).into(), &(-212.5).into()));
    let numbers = [&issues(report)[1], &issues(report)[2], issue(report, "duplicate_position")];
    assert_eq!(
        numbers.map(|issue| issue["instance_number"].as_i64()),
        [before_hole, before_gap, double].map(|number| Some(i64::from(number)))
    );
    assert_eq!(report["verdict"], "not_analysed");
    let rescan = flag(&details["exam"], "rescan").expect("a flag");
    assert_eq!((&rescan["severity"], &rescan["state"]), (&"warning".into(), &"confirmed".into()));
    let text = rescan["text"].as_str().unwrap();
    assert!(text.starts_with("rescan: the lung apex is cut off"), "{text}");
    assert!(
        text.contains("; send again, and rescan only if this stays: slices are missing")
            && text.contains("; send again: "),
        "{text}"
    );
}

#[test]
fn a_cut_off_base_a_patient_who_moved_and_another_spacing_are_named_and_the_finding_stands() {
    let Some(slices) = loaded("covid-p001") else { return };
    let spoilt: Vec<Instance> = slices
        .iter()
        .filter(|slice| z_mm(slice) > -290.0)
        .map(|slice| match z_mm(slice) {
            ..-200.0 => slice.clone(),
            z @ ..-100.0 => moved_to(&repainted(slice, shifted(8)), z),
            // Slices of 2 mm that the header puts 3 mm apart.
            z => moved_to(&repainted(slice, shifted(8)), -100.0 + (z + 100.0) * 1.5),
        })
        .collect();
    let report = report_on(&spoilt);
    assert_eq!(kinds(&report), ["base_cut_off", "anatomy_step", "spacing_change"], "{}", report["quality"]);
    let step = issue(&report, "anatomy_step");
    assert!((step["z_mm"].as_f64().unwrap() + 200.0).abs() <= 6.0, "{step}");
    let change = issue(&report, "spacing_change");
    assert!((change["spacing_mm"].as_f64().unwrap() - 3.0).abs() < 0.01, "{change}");
    assert_eq!(change["usual_mm"], 2.0, "{change}");
    assert_eq!(report["verdict"], "suspected");
}

#[test]
fn a_patient_who_breathed_between_two_slices_is_named() {
    let Some(slices) = loaded("screening-nlst") else { return };
    // 14 mm of the chest were never scanned, and no position says so.
    let missing = slices.len() / 2..slices.len() / 2 + 7;
    let first = z_mm(&slices[0]);
    let seen = slices.iter().enumerate().filter(|(at, _)| !missing.contains(at));
    let spoilt: Vec<Instance> =
        seen.enumerate().map(|(number, (_, slice))| moved_to(slice, first + 2.0 * number as f64)).collect();
    let report = report_on(&spoilt);
    assert_eq!(kinds(&report), ["anatomy_step"], "{}", report["quality"]);
    let step = issue(&report, "anatomy_step")["z_mm"].as_f64().unwrap();
    assert!((step - z_mm(&slices[missing.start])).abs() <= 6.0, "{step}");
}

/// Every third slice of a real series, repainted.
fn every_third(name: &str, mut paint: impl FnMut(&mut [f32], usize)) -> Option<Vec<Instance>> {
    Some(loaded(name)?.iter().step_by(3).map(|slice| repainted(slice, &mut paint)).collect())
}

fn noise(deviation: f32) -> impl FnMut(&mut [f32], usize) {
    let mut generator = StdRng::seed_from_u64(1);
    // The sum of four uniform numbers is normal enough.
    let mut normal = move || ((0..4).map(|_| generator.random::<f32>()).sum::<f32>() - 2.0) * 3.0_f32.sqrt();
    move |hu, _| {
        for hu in hu {
            *hu += deviation * normal();
        }
    }
}

#[test]
fn a_scan_that_is_too_noisy_is_not_analysed_and_one_as_noisy_as_the_model_was_tried_with_is() {
    let Some(noisy) = every_third("normal-001", noise(300.0)) else { return };
    let report = report_on(&noisy);
    assert_eq!(kinds(&report), ["too_noisy"], "{}", report["quality"]);
    assert_eq!(report["verdict"], "not_analysed");
    assert!(report["reason"].as_str().unwrap().starts_with("too noisy"), "{}", report["reason"]);
    let tried = report_on(&every_third("normal-001", noise(90.0)).unwrap());
    assert_eq!((kinds(&tried), &tried["verdict"]), (vec![], &"not_suspected".into()), "{}", tried["quality"]);
}

#[test]
fn an_upside_down_patient_contradicts_the_header_and_a_prone_one_does_not() {
    let flip = |hu: &mut [f32], columns: usize| {
        let flipped: Vec<f32> = hu.chunks_exact(columns).rev().flatten().copied().collect();
        hu.copy_from_slice(&flipped);
    };
    let Some(upside_down) = every_third("normal-001", flip) else { return };
    let report = report_on(&upside_down);
    assert_eq!(kinds(&report), ["orientation_mismatch"], "{}", report["quality"]);
    assert_eq!((&report["verdict"], &issues(&report)[0]["patient_position"]), (&"not_analysed".into(), &"HFS".into()));

    // Stored as a prone patient's images are, and the header says so: the same patient.
    let turned = every_third("normal-001", |hu, _| hu.reverse()).unwrap();
    let prone: Vec<Instance> = turned
        .iter()
        .map(|slice| {
            changed(slice, |object| {
                let spacing = object.element(tags::PIXEL_SPACING).unwrap().to_multi_float64().unwrap();
                let position = object.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
                let [x, y] = [0, 1].map(|axis: usize| position[axis] + 511.0 * spacing[1 - axis]);
                set_text(object, tags::IMAGE_POSITION_PATIENT, &format!("{x:.4}\\{y:.4}\\{}", position[2]));
                set_text(object, tags::IMAGE_ORIENTATION_PATIENT, "-1\\0\\0\\0\\-1\\0");
                set_text(object, tags::PATIENT_POSITION, "HFP");
            })
        })
        .collect();
    let prone = report_on(&prone);
    assert_eq!(kinds(&prone), ["unusual_posture"]);
    assert_eq!(issue(&prone, "unusual_posture")["posture"], "prone");
    assert_eq!(prone["verdict"], "not_suspected");
    let right_way_up = report_on(&every_third("normal-001", |_, _| {}).unwrap());
    let (turned, straight) = (prone["score"].as_f64().unwrap(), right_way_up["score"].as_f64().unwrap());
    assert!((turned - straight).abs() < 1e-3, "{turned} {straight}");
    assert_eq!(kinds(&right_way_up), [""; 0]);
}

const SLICES: usize = 40;

/// A healthy synthetic patient, each slice's header changed.
fn with_header(change: impl Fn(&mut InMemDicomObject)) -> Value {
    let slices: Vec<Instance> =
        phantom(PhantomKind::Normal, SLICES).iter().map(|slice| changed(slice, &change)).collect();
    report_on(&slices)
}

#[test]
fn slices_that_are_too_thick_are_not_analysed() {
    let report = with_header(|object| put(object, tags::SLICE_THICKNESS, VR::DS, "12"));
    assert_eq!(kinds(&report), ["too_thick"], "{}", report["quality"]);
    assert_eq!(report["verdict"], "not_analysed");
}

#[test]
fn a_tilted_gantry_is_refused_with_its_reason_or_named_where_it_is_tilted_little() {
    let tilted = |degrees: f64| {
        with_header(move |object| {
            let (sine, cosine) = degrees.to_radians().sin_cos();
            set_text(object, tags::IMAGE_ORIENTATION_PATIENT, &format!("1\\0\\0\\0\\{cosine:.6}\\{sine:.6}"));
            put(object, tags::GANTRY_DETECTOR_TILT, VR::DS, &degrees.to_string());
        })
    };
    let far = tilted(15.0);
    assert_eq!(kinds(&far), ["defective_slices"], "{}", far["quality"]);
    assert_eq!(far["verdict"], "not_analysed");
    assert!(far["reason"].as_str().unwrap().contains("gantry was tilted by 15 degrees"), "{}", far["reason"]);
    let little = tilted(5.0);
    assert_eq!((kinds(&little), &little["verdict"]), (vec!["gantry_tilt"], &"not_suspected".into()), "{little}");
}

#[test]
fn an_exam_of_projections_alone_is_the_wrong_series() {
    let report = with_header(|object| set_text(object, tags::IMAGE_TYPE, "DERIVED\\SECONDARY\\AXIAL\\MIP"));
    assert_eq!((kinds(&report), &report["verdict"]), (vec!["unfit_series"], &"not_analysed".into()));
    assert!(report["reason"].as_str().unwrap().contains("projection"), "{}", report["reason"]);
}
