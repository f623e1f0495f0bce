//! Pictures of slabs: kept by browsers, and drawn anew once their slice is another one.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use tableside::scanner::{Instance, PhantomKind};

use crate::daemon::{Daemon, wait_for};
use crate::dicom::changed;
use crate::http::get_unless;
use crate::peers::scan;
use crate::series::{folder_of, phantom, write_file};

const SLICES: usize = 20;

fn edition(headers: &str) -> &str {
    headers.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an edition")
}

#[test]
fn a_picture_is_kept_by_browsers_until_its_slice_is_replaced() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let daemon = Daemon::start();
    scan(&daemon, folder_of(&slices).path(), &["--rate", "0"]);
    let details = daemon.verdict_on(SLICES);
    let slab = &details["slabs"][8];
    let address = format!("/{}", slab["picture"].as_str().unwrap());
    let exam = daemon.state().join("spool/exams").join(details["exam"]["key"].as_str().unwrap());
    let file_of =
        |slice: &Instance| exam.join(&slice.series_instance_uid).join(format!("{}.dcm", slice.sop_instance_uid));
    wait_for("the slices in their places", || slices.iter().all(|slice| file_of(slice).exists()).then_some(()));
    let first = daemon.picture(slab);
    assert!(first.headers.contains("cache-control: private, no-cache\n"), "{}", first.headers);
    let known = get_unless(daemon.console(), &address, edition(&first.headers));
    assert_eq!((known.status, known.body.len()), (304, 0));

    let z_mm = slab["z_mm"].as_f64().unwrap();
    let slice = slices.iter().find(|slice| (slice.position_mm().unwrap() - z_mm).abs() < 0.01).expect("its slice");
    let corrected = changed(slice, |object| {
        let pixels = object.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
        let turned: Vec<u16> = pixels.into_iter().rev().collect();
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(turned.into())));
    });
    write_file(&file_of(slice), &corrected);
    let again = get_unless(daemon.console(), &address, edition(&first.headers));
    assert_eq!(again.status, 200, "{}", again.headers);
    assert!(again.body != first.body && again.body.starts_with(b"\x89PNG"));
}
