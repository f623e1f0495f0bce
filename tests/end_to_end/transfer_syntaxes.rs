//! Every transfer syntax that scanners and archives use: the same slices, the same pictures.
//!
//! dcmtk encodes what it can; JPEG 2000 and HTJ2K come encoded from `tests/data` (synthetic slices; see its README).

use std::path::{Path, PathBuf};

use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use serde_json::Value;
use tableside::scanner::{Instance, PhantomKind};
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::dicom::changed;
use crate::peers::{files, scan, storescu, succeed, text};
use crate::series::{folder_of, phantom};

/// Enough for an exam to be judged.
const SLICES: usize = 12;

/// Runs a converter of dcmtk on each file of a folder.
pub fn converted(program: &str, options: &[&str], folder: &Path) -> TempDir {
    let out = tempfile::tempdir().unwrap();
    for file in files(folder) {
        let target = out.path().join(file.file_name().unwrap());
        succeed(program, &[options, &[text(&file), text(&target)]].concat());
    }
    out
}

/// What the console shows of an exam: where its slabs lie, what was found in them, their pictures.
fn shown(daemon: &Daemon, slices: usize) -> Vec<(Value, Vec<u8>)> {
    let details = daemon.verdict_on(slices);
    let counts = &details["exam"]["slices"];
    assert_eq!((&counts["analysed"], &counts["failed"]), (&slices.into(), &0.into()), "{}", daemon.log());
    let show = |slab: &Value| {
        let picture = daemon.picture(slab);
        assert_eq!(picture.status, 200);
        (serde_json::json!([slab["z_mm"], slab["lung"], slab["lesion"], slab["logit"]]), picture.body)
    };
    details["slabs"].as_array().unwrap().iter().map(show).collect()
}

/// How a folder is sent: with dcmtk and the syntaxes it proposes, or with the simulated scanner, which proposes the files'.
enum Sent {
    Storescu(&'static str),
    Scan,
}

fn send(how: &Sent, folder: &Path, slices: usize) -> Vec<(Value, Vec<u8>)> {
    let daemon = Daemon::start_with("[completion]\nquiet_s = 2.0");
    match how {
        Sent::Storescu(option) => storescu(&daemon, &[option], folder),
        Sent::Scan => drop(scan(&daemon, folder, &["--rate", "0"])),
    }
    shown(&daemon, slices)
}

#[test]
fn every_lossless_transfer_syntax_that_dcmtk_writes_shows_the_same_pictures() {
    let plain = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    let expected = send(&Sent::Storescu("-xe"), plain.path(), SLICES);
    let syntaxes: [(&str, &[&str], Sent); 7] = [
        ("dcmconv", &["+ti"], Sent::Storescu("-xi")),
        ("dcmconv", &["+td"], Sent::Storescu("-xd")),
        ("dcmcrle", &[], Sent::Storescu("-xr")),
        ("dcmcjpeg", &["+e1", "+un"], Sent::Storescu("-xs")),
        ("dcmcjpeg", &["+el", "+un"], Sent::Scan),
        ("dcmcjpls", &["+el"], Sent::Storescu("-xt")),
        ("dcmcjpls", &["+el"], Sent::Scan),
    ];
    for (program, options, how) in syntaxes {
        let encoded = converted(program, options, plain.path());
        assert!(send(&how, encoded.path(), SLICES) == expected, "{program} {options:?} shows something else");
    }
}

/// The slices in 8 bits, which is all that JPEG baseline can hold.
fn in_8_bits(slice: &Instance) -> Instance {
    changed(slice, |object| {
        let stored = object.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
        let bytes: Vec<u8> = stored.iter().map(|value| (value / 16).min(255) as u8).collect();
        for (tag, value) in [(tags::BITS_ALLOCATED, 8_u16), (tags::BITS_STORED, 8), (tags::HIGH_BIT, 7)] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        object.put(DataElement::new(tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from("16")));
        object.remove_element(tags::PIXEL_PADDING_VALUE);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(bytes)));
    })
}

#[test]
fn jpeg_baseline_and_near_lossless_jpeg_ls_are_analysed() {
    let slices: Vec<Instance> = phantom(PhantomKind::Pneumonia, SLICES).iter().map(in_8_bits).collect();
    let encoded = converted("dcmcjpeg", &["+eb", "+un"], folder_of(&slices).path());
    send(&Sent::Storescu("-xy"), encoded.path(), SLICES);
    let plain = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    let encoded = converted("dcmcjpls", &["+en"], plain.path());
    send(&Sent::Storescu("-xu"), encoded.path(), SLICES);
}

pub fn samples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[test]
fn jpeg_2000_and_htj2k_without_loss_show_the_same_pictures_and_with_loss_are_analysed() {
    let slices = files(&samples("plain")).len();
    let expected = send(&Sent::Scan, &samples("plain"), slices);
    let by_storescu = Sent::Storescu("-xv");
    for (name, how) in
        [("jpeg2000-lossless", by_storescu), ("htj2k-lossless", Sent::Scan), ("htj2k-lossless-rpcl", Sent::Scan)]
    {
        assert!(send(&how, &samples(name), slices) == expected, "{name} shows something else");
    }
    for (name, how) in [("jpeg2000", Sent::Storescu("-xw")), ("htj2k", Sent::Scan)] {
        send(&how, &samples(name), slices);
    }
}

/// Files whose compressed frames are changed, each in one fragment.
fn with_frames(folder: &Path, change: impl Fn(&[u8]) -> Vec<u8>) -> TempDir {
    let out = tempfile::tempdir().unwrap();
    for file in files(folder) {
        let mut object = dicom_object::open_file(&file).unwrap();
        let frame = object.element(tags::PIXEL_DATA).unwrap().fragments().unwrap().concat();
        let mut changed = change(&frame);
        changed.resize(changed.len().next_multiple_of(2), 0);
        let one = PixelFragmentSequence::new(Vec::new(), vec![changed]);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, one));
        object.write_to_file(out.path().join(file.file_name().unwrap())).unwrap();
    }
    out
}

/// A codestream in the boxes of a JP2 file (ITU-T T.800 annex I).
fn in_jp2_boxes(codestream: &[u8]) -> Vec<u8> {
    let a_box =
        |kind: &[u8; 4], value: &[u8]| [&(8 + value.len() as u32).to_be_bytes(), kind.as_slice(), value].concat();
    let boxes = [
        a_box(b"jP  ", &[0x0D, 0x0A, 0x87, 0x0A]),
        a_box(b"ftyp", b"jp2 \0\0\0\0jp2 "),
        a_box(b"jp2h", &a_box(b"ihdr", &[0, 0, 0, 96, 0, 0, 0, 96, 0, 1, 15, 7, 0, 0])),
        a_box(b"jp2c", codestream),
    ];
    boxes.concat()
}

#[test]
fn jpeg_2000_in_the_wrapper_of_a_file_and_frames_with_bytes_behind_their_end_show_the_same_pictures() {
    let slices = files(&samples("plain")).len();
    let expected = send(&Sent::Scan, &samples("plain"), slices);
    let behind = |frame: &[u8]| [frame, b"\x00\xFF and something behind"].concat();
    let wrapped = with_frames(&samples("jpeg2000-lossless"), in_jp2_boxes);
    let longer = with_frames(&samples("jpeg2000-lossless"), behind);
    assert!(send(&Sent::Scan, wrapped.path(), slices) == expected, "the wrapper shows");
    assert!(send(&Sent::Scan, longer.path(), slices) == expected, "bytes behind JPEG 2000 show");
    let programs: [(&str, &[&str]); 2] = [("dcmcjpeg", &["+e1", "+un"]), ("dcmcjpls", &["+el"])];
    for (program, options) in programs {
        let encoded = converted(program, options, &samples("plain"));
        let longer = with_frames(encoded.path(), behind);
        assert!(send(&Sent::Scan, longer.path(), slices) == expected, "bytes behind what {program} wrote show");
    }
}
