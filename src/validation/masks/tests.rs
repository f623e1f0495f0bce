use std::io::Write;

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::engine::ModelPackage;
use crate::exam::made_slice;

/// Columns, rows, slabs: all different, so that axes that are taken for each other show.
const SIZE: [usize; 3] = [16, 12, 5];
const STEP_MM: [f64; 3] = [4.0, 4.0, 3.0];
/// Of the first column, row and slab.
const FIRST_MM: Lps = [-23.0, -33.0, -28.5];

fn input() -> InputGeometry {
    let built_in = ModelPackage::built_in().unwrap().manifest.input;
    InputGeometry { rows: SIZE[1], columns: SIZE[0], pixel_mm: STEP_MM[0], ..built_in }
}

fn series(input: &InputGeometry) -> Series {
    let mut series = Series::default();
    for slab in 0..SIZE[2] {
        let centre = |axis: usize| FIRST_MM[axis] + (SIZE[axis] as f64 - 1.0) / 2.0 * STEP_MM[axis];
        let z_mm = FIRST_MM[2] + slab as f64 * STEP_MM[2];
        let corner = [centre(0) - 3.0, centre(1) - 3.0, z_mm];
        let (slice, plane) = made_slice(corner, -800.0, &format!("1.{slab}"), input);
        series.add(slice, &plane, input, |_| Err("no slice comes twice".to_owned())).unwrap();
    }
    series
}

/// How a file's axes lie in the patient: which of x, y and z each runs along, and whether backwards.
#[derive(Debug, Clone, Copy)]
struct Axes {
    along: [usize; 3],
    reversed: [bool; 3],
}

impl Axes {
    fn size(&self) -> [usize; 3] {
        self.along.map(|axis| SIZE[axis])
    }

    /// A direction of the file in the patient, LPS, as long as a voxel.
    fn step(&self, at: usize) -> Lps {
        let mut step = [0.0; 3];
        let axis = self.along[at];
        step[axis] = if self.reversed[at] { -STEP_MM[axis] } else { STEP_MM[axis] };
        step
    }

    fn origin(&self) -> Lps {
        let mut origin = FIRST_MM;
        for (axis, reversed) in self.along.into_iter().zip(self.reversed) {
            if reversed {
                origin[axis] += (SIZE[axis] as f64 - 1.0) * STEP_MM[axis];
            }
        }
        origin
    }

    /// The number in the file of a voxel in patient order: columns fastest, then rows, then slabs.
    fn in_file(&self, voxel: usize) -> usize {
        let at = [voxel % SIZE[0], voxel / SIZE[0] % SIZE[1], voxel / SIZE[0] / SIZE[1]];
        let number = |file_axis: usize| {
            let axis = self.along[file_axis];
            if self.reversed[file_axis] { SIZE[axis] - 1 - at[axis] } else { at[axis] }
        };
        let [columns, rows, _] = self.size();
        number(0) + columns * (number(1) + rows * number(2))
    }
}

fn axes(along: Vec<[usize; 3]>) -> impl Strategy<Value = Axes> {
    (prop::sample::select(along), any::<[bool; 3]>()).prop_map(|(along, reversed)| Axes { along, reversed })
}

fn any_axes() -> impl Strategy<Value = Axes> {
    axes(vec![[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
}

/// Axes of a stack of axial planes.
fn axial_axes() -> impl Strategy<Value = Axes> {
    axes(vec![[0, 1, 2], [1, 0, 2]])
}

fn voxels() -> impl Strategy<Value = Vec<usize>> {
    let all = 0..SIZE.iter().product::<usize>();
    prop::collection::btree_set(all, 1..200).prop_map(|voxels| voxels.into_iter().collect())
}

/// How a `NIfTI` file says where it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Neither,
    Sform,
    /// For axes in the patient's order only.
    Qform,
}

/// A `NIfTI`-1 file with this value in these voxels and 0 elsewhere.
fn nifti(axes: &Axes, voxels: &[usize], value: i16, form: Form) -> Vec<u8> {
    let mut header = [0_u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let f32s = |values: &[f64]| -> Vec<u8> { values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect() };
    put(0, &348_i32.to_le_bytes());
    let [columns, rows, slices] = axes.size().map(|size| size as i16);
    put(40, &[3, columns, rows, slices, 1, 1, 1, 1].map(i16::to_le_bytes).concat());
    put(70, &[4_i16, 16].map(i16::to_le_bytes).concat());
    put(108, &f32s(&[352.0, 2.0, 0.0]));
    put(344, b"n+1\0");
    let ras = |[x, y, z]: Lps| [-x, -y, z];
    let (origin, steps) = (ras(axes.origin()), [0, 1, 2].map(|at| ras(axes.step(at))));
    match form {
        Form::Neither => {}
        Form::Sform => {
            put(254, &1_i16.to_le_bytes());
            for row in 0..3 {
                put(280 + row * 16, &f32s(&[steps[0][row], steps[1][row], steps[2][row], origin[row]]));
            }
        }
        Form::Qform => {
            put(252, &1_i16.to_le_bytes());
            // Signs on the diagonal: half a turn about one axis or none, after the third is turned for a left-handed form.
            let mut signs = [0, 1, 2].map(|axis| steps[axis][axis].signum());
            let flip = signs.iter().product::<f64>();
            signs[2] *= flip;
            let turned = |axis: usize| f64::from(signs[axis] > 0.0 && signs.iter().sum::<f64>() < 0.0);
            put(256, &f32s(&[turned(0), turned(1), turned(2), origin[0], origin[1], origin[2]]));
            put(76, &f32s(&[flip, STEP_MM[0], STEP_MM[1], STEP_MM[2]]));
        }
    }
    let mut values = vec![0_i16; SIZE.iter().product()];
    for voxel in voxels {
        // The slope is 2.
        values[axes.in_file(*voxel)] = value / 2;
    }
    [header.as_slice(), &values.into_iter().flat_map(i16::to_le_bytes).collect::<Vec<_>>()].concat()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

fn item(elements: Vec<DataElement<InMemDicomObject>>) -> InMemDicomObject {
    InMemDicomObject::from_element_iter(elements)
}

fn decimals(tag: Tag, values: &[f64]) -> DataElement<InMemDicomObject> {
    let strings = values.iter().map(f64::to_string).collect::<Vec<_>>();
    DataElement::new(tag, VR::DS, PrimitiveValue::Strs(strings.into()))
}

fn number_of(tag: Tag, value: u16) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::US, PrimitiveValue::from(value))
}

fn string(tag: Tag, vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

/// A binary segmentation with one segment for each of `segments`; frames in this order, those without a pixel left out.
fn write_segmentation(path: &Path, axes: &Axes, segments: &[Vec<usize>], frame_order: &[usize], kind: &str) {
    let [columns, rows, _] = axes.size();
    let unit = |at: usize| axes.step(at).map(|component| if component == 0.0 { 0.0 } else { component.signum() });
    let orientation = [unit(0), unit(1)].concat();
    let (mut bits, mut groups): (Vec<bool>, Vec<InMemDicomObject>) = (Vec::new(), Vec::new());
    for (segment, voxels) in segments.iter().enumerate() {
        let in_file: Vec<usize> = voxels.iter().map(|voxel| axes.in_file(*voxel)).collect();
        for frame in frame_order {
            let pixels = frame * rows * columns..(frame + 1) * rows * columns;
            if !in_file.iter().any(|voxel| pixels.contains(voxel)) {
                continue;
            }
            bits.extend(pixels.map(|pixel| in_file.contains(&pixel)));
            let position: Lps = std::array::from_fn(|axis| axes.origin()[axis] + *frame as f64 * axes.step(2)[axis]);
            groups.push(item(vec![
                sequence(
                    tags::PLANE_POSITION_SEQUENCE,
                    vec![item(vec![decimals(tags::IMAGE_POSITION_PATIENT, &position)])],
                ),
                sequence(
                    tags::SEGMENT_IDENTIFICATION_SEQUENCE,
                    vec![item(vec![number_of(tags::REFERENCED_SEGMENT_NUMBER, segment as u16 + 1)])],
                ),
            ]));
        }
    }
    let bytes: Vec<u8> =
        bits.chunks(8).map(|bits| bits.iter().enumerate().map(|(at, bit)| u8::from(*bit) << at).sum()).collect();
    let measures = item(vec![
        decimals(tags::PIXEL_SPACING, &[STEP_MM[1], STEP_MM[0]]),
        decimals(tags::SPACING_BETWEEN_SLICES, &[STEP_MM[2]]),
    ]);
    let shared = item(vec![
        sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![measures]),
        sequence(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![item(vec![decimals(tags::IMAGE_ORIENTATION_PATIENT, &orientation)])],
        ),
    ]);
    let described = (1..=segments.len())
        .map(|number| {
            let label = string(tags::SEGMENT_LABEL, VR::LO, "lesion");
            item(vec![number_of(tags::SEGMENT_NUMBER, number as u16), label])
        })
        .collect();
    let object = item(vec![
        string(tags::SOP_CLASS_UID, VR::UI, uids::SEGMENTATION_STORAGE),
        string(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3"),
        string(tags::SEGMENTATION_TYPE, VR::CS, kind),
        string(tags::NUMBER_OF_FRAMES, VR::IS, &groups.len().to_string()),
        number_of(tags::ROWS, rows as u16),
        number_of(tags::COLUMNS, columns as u16),
        number_of(tags::BITS_ALLOCATED, 1),
        sequence(tags::SEGMENT_SEQUENCE, described),
        sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]),
        sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups),
        DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(bytes.into())),
    ]);
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    object.with_meta(meta).unwrap().write_to_file(path).unwrap();
}

/// What a file says of the slabs, as voxels in patient order.
fn on_slabs(file: &MaskFile) -> Result<Vec<usize>, MaskError> {
    let input = input();
    let series = series(&input);
    let slabs: Vec<SlabIndex> =
        (0..SIZE[2]).map(|slab| SlabIndex::of(FIRST_MM[2] + slab as f64 * STEP_MM[2], input.slab_mm)).collect();
    let planes = file.on_slabs(&series, slabs.into_iter(), &input)?;
    let plane_len = input.plane_len();
    Ok(planes.iter().enumerate().flat_map(|(slab, mask)| mask.pixels().map(move |at| slab * plane_len + at)).collect())
}

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, MaskFile) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), bytes).unwrap();
    let file = MaskFile::parse(folder.path(), name);
    (folder, file)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_nifti_mask_comes_back_whichever_way_its_axes_run(
        axes in any_axes(), voxels in voxels(), compressed in any::<bool>(),
    ) {
        let bytes = nifti(&axes, &voxels, 2, Form::Sform);
        let (name, bytes) = if compressed { ("m.nii.gz", gzipped(&bytes)) } else { ("m.nii", bytes) };
        let (_folder, file) = written(name, &bytes);
        prop_assert_eq!(on_slabs(&file).unwrap(), voxels);
    }

    #[test]
    fn a_nifti_mask_with_a_qform_comes_back_whichever_way_it_is_turned(axes in axes(vec![[0, 1, 2]]), voxels in voxels()) {
        let (_folder, file) = written("m.nii", &nifti(&axes, &voxels, 2, Form::Qform));
        prop_assert_eq!(on_slabs(&file).unwrap(), voxels);
    }

    #[test]
    fn a_segmentation_comes_back_whichever_way_its_frames_run(
        axes in axial_axes(),
        one in voxels(),
        two in voxels(),
        frame_order in Just((0..SIZE[2]).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seg.dcm");
        write_segmentation(&path, &axes, &[one.clone(), two.clone()], &frame_order, "BINARY");
        let both: std::collections::BTreeSet<usize> = one.iter().chain(&two).copied().collect();
        let of = |name: &str| on_slabs(&MaskFile::parse(folder.path(), name)).unwrap();
        prop_assert_eq!(of("seg.dcm"), both.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(of("seg.dcm#1"), one);
        prop_assert_eq!(of("seg.dcm#2"), two);
    }
}

const STRAIGHT: Axes = Axes { along: [0, 1, 2], reversed: [false; 3] };

#[test]
fn a_label_of_a_nifti_file_is_asked_for_by_its_value() {
    let (folder, file) = written("m.nii", &nifti(&STRAIGHT, &[3, 77], 4, Form::Sform));
    assert_eq!(on_slabs(&file).unwrap(), [3, 77]);
    assert_eq!(on_slabs(&MaskFile::parse(folder.path(), "m.nii#4")).unwrap(), [3, 77]);
    assert!(on_slabs(&MaskFile::parse(folder.path(), "m.nii#2")).unwrap().is_empty());
}

#[test]
fn a_mask_of_another_place_is_refused() {
    let mut bytes = nifti(&STRAIGHT, &[3], 2, Form::Sform);
    bytes[324..328].copy_from_slice(&900_f32.to_le_bytes());
    let (_folder, file) = written("m.nii", &bytes);
    let error = on_slabs(&file).unwrap_err();
    assert!(matches!(error, MaskError::Elsewhere(_)), "{error}");
}

#[test]
fn what_is_no_usable_mask_is_refused_with_its_reason() {
    let refused = |name: &str, bytes: &[u8], reason: &str| {
        let (_folder, file) = written(name, bytes);
        let error = on_slabs(&file).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains(name), "{error}");
    };
    let whole = nifti(&STRAIGHT, &[3], 2, Form::Sform);
    refused("a.nii", &nifti(&STRAIGHT, &[3], 2, Form::Neither), "neither sform nor qform");
    refused("b.nii", &whole[..whole.len() - 100], "cannot be read");
    refused("c.nii.gz", b"no gzip", "cannot be read");
    refused("d.dcm", b"no DICOM", "neither a NIfTI file by its name");
    let folder = tempfile::tempdir().unwrap();
    write_segmentation(&folder.path().join("f.dcm"), &STRAIGHT, &[vec![3]], &[0], "FRACTIONAL");
    write_segmentation(&folder.path().join("g.dcm"), &STRAIGHT, &[vec![3]], &[0], "BINARY");
    let error = |name: &str| on_slabs(&MaskFile::parse(folder.path(), name)).unwrap_err().to_string();
    assert!(error("f.dcm").contains("only BINARY"), "{}", error("f.dcm"));
    assert!(error("g.dcm#7").contains("no segment 7; it has: 1 lesion"), "{}", error("g.dcm#7"));
}
