//! Segmentations read back by a plain reader, and compared with what was drawn.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use jiff::tz::Offset;

use super::*;
use crate::dicom::ImageFile;
use crate::exam::{PlaneCentre, SlabIndex, SliceGeometry, SourceImage};
use crate::report::{ReportBasis, SourceHeader};
use crate::triage::{CaseReport, Lesion, Segmentation, SegmentedRun, SegmentedSlab, Zone, example_report};

const SLAB_MM: f64 = 3.0;
const PLANE: usize = 40;
const PIXEL_MM: f64 = 3.0;
const SUPINE: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

/// What a series is like.
#[derive(Clone, Copy)]
struct Series {
    rows: usize,
    columns: usize,
    spacing_mm: [f64; 2],
    orientation: [f64; 6],
    distance_mm: f64,
}

const SERIES: Series = Series { rows: 64, columns: 64, spacing_mm: [2.0; 2], orientation: SUPINE, distance_mm: 1.5 };

impl Series {
    /// As many images upwards from z = 0, about x = 0 and y = 0.
    fn images(&self, count: usize) -> Vec<SourceImage> {
        (0..count).map(|at| self.image(at)).collect()
    }

    fn image(&self, at: usize) -> SourceImage {
        let half = |len: usize, mm: f64| (len as f64 - 1.0) / 2.0 * mm;
        let [down, across] = [half(self.rows, self.spacing_mm[0]), half(self.columns, self.spacing_mm[1])];
        let to_first = |axis: usize| -(across * self.orientation[axis] + down * self.orientation[axis + 3]);
        let position = [to_first(0), to_first(1), at as f64 * self.distance_mm];
        let geometry =
            SliceGeometry::new(self.rows, self.columns, position, self.orientation, self.spacing_mm).unwrap();
        SourceImage {
            sop_class_uid: uids::CT_IMAGE_STORAGE.into(),
            sop_instance_uid: format!("1.2.3.{}", at + 1),
            series_instance_uid: "1.2.3".into(),
            frame_number: None,
            slab: SlabIndex::of(geometry.z_mm, SLAB_MM),
            centre: PlaneCentre::of_image(geometry.centre),
            geometry,
            thickness_mm: Some(self.distance_mm),
            file: ImageFile { path: "image".into(), frame: 0 },
        }
    }
}

fn run(row: u16, columns: std::ops::Range<u16>, lung: Side, lesion: Option<u16>) -> SegmentedRun {
    SegmentedRun { row, columns, lung, lesion }
}

/// Both lungs in this many slabs from z = 0, and what else is drawn in each.
fn segmentation(slabs: i64, others: impl Fn(i64) -> Vec<SegmentedRun>) -> Segmentation {
    let slab = |slab: i64| {
        let lungs = (10..30).flat_map(|row| [run(row, 5..18, Side::Right, None), run(row, 22..35, Side::Left, None)]);
        SegmentedSlab { slab: SlabIndex(slab), runs: lungs.chain(others(slab)).collect() }
    };
    Segmentation { rows: PLANE, columns: PLANE, pixel_mm: PIXEL_MM, slabs: (0..slabs).map(slab).collect() }
}

fn source_header(frame_of_reference: Option<&str>) -> SourceHeader {
    let mut header = InMemDicomObject::new_empty();
    header.text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2").text(tags::PATIENT_ID, VR::LO, "P1");
    if let Some(uid) = frame_of_reference {
        header.text(tags::FRAME_OF_REFERENCE_UID, VR::UI, uid);
    }
    SourceHeader::of(&header).unwrap()
}

fn report(lesions: usize) -> CaseReport {
    CaseReport { lesions: (0..lesions).map(lesion).collect(), ..example_report() }
}

/// A lesion of the report, the first one on the left.
fn lesion(place: usize) -> Lesion {
    let side = if place == 0 { Side::Left } else { Side::Right };
    Lesion {
        volume_ml: 100.0 - place as f64,
        mean_hu: -500.0,
        p90_hu: -400.0,
        side,
        zone: Zone::of(side, 0.5),
        largest_extent_mm: 30.0,
        centre_mm: [0.0; 3],
        z_mm: [0.0, 9.0],
        key_slab: SlabIndex(1),
        ground_glass_share: 1.0,
        consolidation_share: 0.0,
        peripheral_share: 0.0,
        basal_share: 0.0,
        apical_share: 0.0,
        on_diaphragm_share: 0.0,
        compactness: 0.3,
    }
}

struct Case {
    report: CaseReport,
    basis: ReportBasis,
    source_header: SourceHeader,
    keeps_empty_frames: bool,
}

impl Case {
    fn new(images: Vec<SourceImage>, segmentation: Segmentation, lesions: usize) -> Self {
        let concluded = "2026-11-29T12:00:00Z".parse().unwrap();
        Self {
            report: report(lesions),
            basis: ReportBasis { concluded, images, segmentation: Some(segmentation), described_by: None },
            source_header: source_header(Some("1.2.9")),
            keeps_empty_frames: false,
        }
    }

    fn objects(&self) -> Vec<DrawnSegmentation> {
        let Self { report, basis, source_header, keeps_empty_frames } = self;
        let options = ReportOptions { keeps_empty_frames: *keeps_empty_frames, ..ReportOptions::default() };
        objects(&Exam { report, basis, source_header, site_offset: Offset::UTC, replaces: None }, &options).unwrap()
    }

    /// Its only object, read.
    fn read(&self) -> (DrawnSegmentation, Read) {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1);
        let drawn = objects.remove(0);
        let read = Read::of(&drawn.object.file);
        (drawn, read)
    }
}

struct Read {
    object: DefaultDicomObject,
    frames: Vec<ReadFrame>,
}

struct ReadFrame {
    segment: u16,
    index: Vec<u32>,
    position: Option<Vec<f64>>,
    source: String,
    source_frame: Option<u32>,
    pixels: Vec<bool>,
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.element(tag).unwrap().items().unwrap()
}

fn item(object: &InMemDicomObject, tag: Tag) -> &InMemDicomObject {
    let [item] = items(object, tag) else { panic!("not one item of {tag}") };
    item
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(object: &InMemDicomObject, tag: Tag) -> T {
    text(object, tag).parse().unwrap()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_end_matches([' ', '\0']).to_owned()
}

impl Read {
    fn of(file: &[u8]) -> Self {
        let object = dicom_object::from_reader(file).unwrap();
        let pixels = number::<usize>(&object, tags::ROWS) * number::<usize>(&object, tags::COLUMNS);
        let bytes = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
        let groups = items(&object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        assert_eq!(number::<usize>(&object, tags::NUMBER_OF_FRAMES), groups.len());
        assert_eq!(bytes.len(), (groups.len() * pixels).div_ceil(8).next_multiple_of(2));
        let bit = |at: usize| bytes[at / 8] >> (at % 8) & 1 == 1;
        let frames = groups.iter().enumerate().map(|(at, group)| {
            let bits = (at * pixels..(at + 1) * pixels).map(bit).collect();
            ReadFrame::of(group, bits)
        });
        let frames = frames.collect();
        Self { object, frames }
    }

    fn of_segment(&self, segment: u16) -> Vec<&ReadFrame> {
        self.frames.iter().filter(|frame| frame.segment == segment).collect()
    }

    fn labels(&self) -> Vec<String> {
        items(&self.object, tags::SEGMENT_SEQUENCE).iter().map(|segment| text(segment, tags::SEGMENT_LABEL)).collect()
    }
}

impl ReadFrame {
    fn of(group: &InMemDicomObject, pixels: Vec<bool>) -> Self {
        let content = item(group, tags::FRAME_CONTENT_SEQUENCE);
        let source = item(item(group, tags::DERIVATION_IMAGE_SEQUENCE), tags::SOURCE_IMAGE_SEQUENCE);
        let position = group.element_opt(tags::PLANE_POSITION_SEQUENCE).unwrap().map(|_| {
            let position = item(group, tags::PLANE_POSITION_SEQUENCE);
            position.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap()
        });
        let source_frame = source.element_opt(tags::REFERENCED_FRAME_NUMBER).unwrap();
        Self {
            segment: number(item(group, tags::SEGMENT_IDENTIFICATION_SEQUENCE), tags::REFERENCED_SEGMENT_NUMBER),
            index: content.element(tags::DIMENSION_INDEX_VALUES).unwrap().to_multi_int().unwrap(),
            position,
            source: text(source, tags::REFERENCED_SOP_INSTANCE_UID),
            source_frame: source_frame.map(|number| number.to_int().unwrap()),
            pixels,
        }
    }
}

/// What a segment shows of an image: each pixel is looked up where it lies in the patient.
fn expected(image: &SourceImage, segmentation: &Segmentation, shows: Shows) -> Vec<bool> {
    let Some(slab) = segmentation.slab(image.slab) else { return Vec::new() };
    let crate::exam::ImagePlane { position, orientation, spacing_mm } = image.geometry.stored;
    let is_shown = |row: usize, column: usize| {
        let mm = |axis: usize| {
            let across = column as f64 * spacing_mm[1] * orientation[axis];
            let down = row as f64 * spacing_mm[0] * orientation[axis + 3];
            position[axis] + across + down - image.centre.mm()[axis]
        };
        let on_plane = |axis: usize| (mm(axis) / segmentation.pixel_mm + (PLANE as f64 - 1.0) / 2.0).round() as i64;
        let [plane_column, plane_row] = [on_plane(0), on_plane(1)];
        let is_there = |run: &&SegmentedRun| {
            i64::from(run.row) == plane_row
                && (i64::from(run.columns.start)..i64::from(run.columns.end)).contains(&plane_column)
        };
        // Lesions are drawn over the lungs.
        slab.runs.iter().rfind(is_there).is_some_and(|run| match shows {
            Shows::Lung(side) => run.lung == side && run.lesion.is_none(),
            Shows::Lesion(lesion) => run.lesion.is_some_and(|of| usize::from(of) == lesion),
            Shows::OtherLesions => run.lesion.is_some_and(|of| of >= 20),
        })
    };
    let pixels = (0..image.geometry.rows).flat_map(|row| (0..image.geometry.columns).map(move |column| (row, column)));
    pixels.map(|(row, column)| is_shown(row, column)).collect()
}

fn z_mm(frames: &[&ReadFrame]) -> Vec<f64> {
    frames.iter().map(|frame| frame.position.as_ref().unwrap()[2]).collect()
}

#[test]
fn a_lesion_has_frames_on_the_images_of_the_slabs_in_which_it_was_drawn_and_nowhere_else() {
    let lesion = |slab: i64| if (4..6).contains(&slab) { vec![run(15, 18..21, Side::Right, Some(0))] } else { vec![] };
    let (drawn, read) = Case::new(SERIES.images(20), segmentation(10, lesion), 1).read();
    let shows: Vec<Shows> = drawn.segments.iter().map(|segment| segment.shows).collect();
    assert_eq!(shows, [Shows::Lung(Side::Right), Shows::Lung(Side::Left), Shows::Lesion(0)]);
    assert_eq!(z_mm(&read.of_segment(3)), [12.0, 13.5, 15.0, 16.5]);
    assert_eq!(read.of_segment(1).len(), 20);
}

#[test]
fn frames_hold_what_was_drawn_pixel_by_pixel_also_where_they_begin_within_a_byte() {
    let lesion =
        |slab: i64| vec![run(14 + slab as u16, 7..14, Side::Right, Some(0)), run(20, 30..33, Side::Left, Some(1))];
    let (sine, cosine) = 20_f64.to_radians().sin_cos();
    let lying = [
        SUPINE,
        [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0],
        [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        [cosine, sine, 0.0, -sine, cosine, 0.0],
    ];
    for orientation in lying {
        let series = Series { rows: 33, columns: 37, spacing_mm: [3.1, 2.3], orientation, ..SERIES };
        let case = Case::new(series.images(8), segmentation(4, lesion), 2);
        let (drawn, read) = case.read();
        assert_eq!(read.frames.len(), 4 * 8);
        for frame in &read.frames {
            let image = case.basis.images.iter().find(|image| image.sop_instance_uid == frame.source).unwrap();
            let mut pairs = frame.position.as_ref().unwrap().iter().zip(image.geometry.stored.position);
            assert!(pairs.all(|(read, written)| (read - written).abs() < 1e-6));
            let shows = drawn.segments[usize::from(frame.segment) - 1].shows;
            let expected = expected(image, case.basis.segmentation.as_ref().unwrap(), shows);
            assert!(expected.contains(&true));
            assert!(frame.pixels == expected, "{orientation:?} {shows:?} {}", frame.source);
        }
    }
}

#[test]
fn frames_stand_by_segment_then_upwards_and_are_indexed_without_a_gap() {
    let lesion = |slab: i64| if slab == 2 { vec![run(15, 7..9, Side::Right, Some(0))] } else { vec![] };
    let mut drawn = segmentation(4, lesion);
    drawn.slabs[0].runs.clear();
    let (_, read) = Case::new(SERIES.images(8), drawn.clone(), 1).read();
    let index: Vec<&[u32]> = read.frames.iter().map(|frame| frame.index.as_slice()).collect();
    let expected: Vec<[u32; 2]> =
        [1, 2].iter().flat_map(|lung| (1..=6).map(|at| [*lung, at])).chain([[3, 3], [3, 4]]).collect();
    assert_eq!(index, expected);
    assert!(read.frames.iter().all(|frame| frame.pixels.contains(&true)));

    let mut case = Case::new(SERIES.images(8), drawn, 22);
    case.keeps_empty_frames = true;
    let (drawn, read) = case.read();
    assert_eq!(drawn.segments.len(), 23);
    let expected: Vec<[u32; 2]> = (1..=23).flat_map(|segment| (1..=8).map(move |at| [segment, at])).collect();
    assert_eq!(read.frames.iter().map(|frame| frame.index.as_slice()).collect::<Vec<_>>(), expected);
    assert_eq!(read.frames.iter().filter(|frame| frame.pixels.contains(&true)).count(), 6 + 6 + 2);
}

#[test]
fn the_twenty_largest_lesions_have_segments_of_their_own_and_the_rest_one_together() {
    let lesions = |_| {
        (0..25)
            .map(|lesion| {
                run(12 + lesion % 13, 5 + 3 * (lesion / 13)..7 + 3 * (lesion / 13), Side::Right, Some(lesion))
            })
            .collect()
    };
    let case = Case::new(SERIES.images(2), segmentation(1, lesions), 25);
    let (drawn, read) = case.read();
    let labels = read.labels();
    assert_eq!(labels.len(), 23);
    assert_eq!(
        [&labels[0], &labels[1], &labels[2], &labels[21], &labels[22]].map(String::as_str),
        ["Right lung", "Left lung", "Lesion 1", "Lesion 20", "Other lesions"]
    );
    let drawn_of = |shows| expected(&case.basis.images[0], case.basis.segmentation.as_ref().unwrap(), shows);
    assert!(read.of_segment(23)[0].pixels == drawn_of(Shows::OtherLesions));
    let tracking: std::collections::BTreeSet<&str> =
        drawn.segments.iter().map(|segment| segment.tracking_uid.as_str()).collect();
    assert_eq!(tracking.len(), 23);
    let first = &items(&read.object, tags::SEGMENT_SEQUENCE)[2];
    assert_eq!(text(first, tags::TRACKING_ID), "lesion 1");
    assert_eq!(text(first, tags::TRACKING_UID), drawn.segments[2].tracking_uid);
    let region = item(first, tags::ANATOMIC_REGION_SEQUENCE);
    assert_eq!(text(item(region, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE), tags::CODE_MEANING), "Left");
}

#[test]
fn a_frame_of_a_multi_frame_source_says_which_frame_it_was_drawn_on() {
    let mut images = SERIES.images(6);
    for (at, image) in images.iter_mut().enumerate() {
        image.sop_class_uid = uids::ENHANCED_CT_IMAGE_STORAGE.into();
        image.sop_instance_uid = format!("1.2.3.{}", at % 2);
        image.frame_number = Some(3 - at as u32 / 2);
    }
    let (_, read) = Case::new(images, segmentation(3, |_| Vec::new()), 0).read();
    let sources: Vec<(&str, Option<u32>)> =
        read.of_segment(1).iter().map(|frame| (frame.source.as_str(), frame.source_frame)).collect();
    let expected = [(0, 3), (1, 3), (0, 2), (1, 2), (0, 1), (1, 1)];
    assert_eq!(sources, expected.map(|(instance, frame)| (["1.2.3.0", "1.2.3.1"][instance], Some(frame))));
    let series = item(&read.object, tags::REFERENCED_SERIES_SEQUENCE);
    assert_eq!(items(series, tags::REFERENCED_INSTANCE_SEQUENCE).len(), 2);
}

#[test]
fn a_volume_on_the_sources_grid_is_that_on_the_models_plane() {
    let is_ball = |slab: i64, row: u16, column: u16| {
        let mm = |at: u16| (f64::from(at) - 19.5) * PIXEL_MM;
        let z_mm = (slab as f64 - 14.5) * SLAB_MM;
        (mm(row).powi(2) + (mm(column) - 24.0).powi(2) + z_mm.powi(2)).sqrt() < 30.0
    };
    let pixels = |slab| {
        let places = (0..PLANE as u16).flat_map(|row| (0..PLANE as u16).map(move |column| (row, column)));
        let inside = places.filter(move |(row, column)| is_ball(slab, *row, *column));
        inside.map(|(row, column)| run(row, column..column + 1, Side::Left, Some(0))).collect::<Vec<_>>()
    };
    let drawn = segmentation(30, pixels);
    let drawn_pixels: usize = (0..30).map(|slab| pixels(slab).len()).sum();
    let drawn_mm3 = drawn_pixels as f64 * PIXEL_MM * PIXEL_MM * SLAB_MM;
    for (spacing_mm, distance_mm) in [([0.7, 0.7], 1.0), ([0.9, 0.6], 1.25), ([1.1, 1.1], 2.0)] {
        let series = Series { rows: 200, columns: 220, spacing_mm, distance_mm, ..SERIES };
        let (_, read) = Case::new(series.images((90.0 / distance_mm) as usize), drawn.clone(), 1).read();
        let count: usize =
            read.of_segment(3).iter().map(|frame| frame.pixels.iter().filter(|is_set| **is_set).count()).sum();
        let mm3 = count as f64 * spacing_mm[0] * spacing_mm[1] * distance_mm;
        assert!((mm3 / drawn_mm3 - 1.0).abs() < 0.02, "{spacing_mm:?} {distance_mm}: {mm3} of {drawn_mm3}");
    }
}

#[test]
fn images_of_another_series_or_grid_are_in_a_segmentation_of_their_own() {
    let mut images = SERIES.images(9);
    images[1].series_instance_uid = "1.2.4".into();
    images[4] = Series { spacing_mm: [2.0, 2.1], ..SERIES }.image(4);
    images[7].geometry.stored.orientation[1] = 1e-6;
    let case = Case::new(images, segmentation(5, |_| Vec::new()), 0);
    let objects = case.objects();
    let read: Vec<Read> = objects.iter().map(|drawn| Read::of(&drawn.object.file)).collect();
    assert_eq!(read.iter().map(|read| read.frames.len()).collect::<Vec<_>>(), [14, 2, 2]);
    let series: Vec<&str> = objects.iter().map(|drawn| drawn.source_series_uid.as_str()).collect();
    assert_eq!(series, ["1.2.3", "1.2.4", "1.2.3"]);
    let named = |tag| read.iter().map(|read| text(&read.object, tag)).collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(
        (named(tags::SOP_INSTANCE_UID), named(tags::SERIES_INSTANCE_UID), named(tags::INSTANCE_NUMBER)),
        (3, 1, 3)
    );
    assert_eq!(
        case.objects().iter().map(|drawn| &drawn.object).collect::<Vec<_>>(),
        objects.iter().map(|drawn| &drawn.object).collect::<Vec<_>>()
    );
}

#[test]
fn pixel_measures_say_thickness_and_distance_where_the_images_agree() {
    let measures = |images| {
        let (_, read) = Case::new(images, segmentation(4, |_| Vec::new()), 0).read();
        let shared = item(&read.object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let measures = item(shared, tags::PIXEL_MEASURES_SEQUENCE);
        [tags::SLICE_THICKNESS, tags::SPACING_BETWEEN_SLICES]
            .map(|tag| measures.element_opt(tag).unwrap().map(|element| element.to_str().unwrap().trim().to_owned()))
    };
    assert_eq!(measures(SERIES.images(8)), [Some("1.5".into()), Some("1.5".into())]);
    let mut uneven = SERIES.images(8);
    uneven.remove(3);
    uneven[2].thickness_mm = None;
    assert_eq!(measures(uneven), [None, None]);
    assert_eq!(measures(SERIES.images(1)), [Some("1.5".into()), None]);
}

#[test]
fn without_a_frame_of_reference_frames_lie_on_their_images_alone() {
    let mut case = Case::new(SERIES.images(4), segmentation(2, |_| Vec::new()), 0);
    case.source_header = source_header(None);
    let (_, read) = case.read();
    assert!(read.frames.iter().all(|frame| frame.position.is_none()));
    assert_eq!(read.frames.iter().map(|frame| frame.index[1]).collect::<Vec<_>>(), [1, 2, 3, 4, 1, 2, 3, 4]);
    assert!(read.object.element_opt(tags::FRAME_OF_REFERENCE_UID).unwrap().is_none());
    assert!(read.object.element_opt(tags::PATIENT_ORIENTATION).unwrap().is_some());
    let shared = item(&read.object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    assert_eq!(shared.iter().count(), 0);
}

#[test]
fn where_nothing_was_drawn_there_is_no_segmentation() {
    let mut case = Case::new(SERIES.images(4), segmentation(0, |_| Vec::new()), 0);
    assert!(case.objects().is_empty());
    case.keeps_empty_frames = true;
    assert!(case.objects().is_empty());
    case.basis.segmentation = None;
    assert!(case.objects().is_empty());
}
