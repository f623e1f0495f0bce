//! Who is scanned: the phantom always, real patients where their series are at hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_pixeldata::PixelDecoder;
use tableside::dicom::UidSource;
use tableside::scanner::series::load_folder;
use tableside::scanner::{Instance, Phantom, PhantomKind, PhantomOptions};

use crate::grid::Grid;
use crate::plane::Plane;
use crate::series::{Rounding, Series, Slice};
use crate::storage::{Padding, Storage};

/// Two patients: what one is mixed with is the other.
pub struct Patients {
    pub healthy: Series,
    pub ill: Series,
}

impl Patients {
    /// The phantom: known twice as finely as it is scanned, so that no grid of a test sees more than there is. Its slices
    /// stand as far apart as a negative allows, for time is short.
    pub fn synthetic() -> Self {
        let options = PhantomOptions { slices: 34, spacing_mm: 8.0, top_mm: 133.0, ..PhantomOptions::default() };
        let scanned = |kind| {
            let instances = Phantom::new(kind, options).instances(UidSource::fresh()).unwrap();
            let mut slices = slices_of(&instances);
            for slice in &mut slices {
                slice.grid = Grid::upright(slice.grid.centre(), [256, 256], 1.4);
                slice.storage = Storage { padding: Some(Padding::of(0)), ..Storage::USUAL };
            }
            slices
        };
        Self::of(&scanned(PhantomKind::Normal), &scanned(PhantomKind::Pneumonia))
    }

    /// A healthy and an ill patient of `../shared/data`; says so where they are not there.
    pub fn real() -> Option<Self> {
        let [healthy, ill] = ["normal-001", "covid-p001"].map(real_series);
        let scanned = |folder: &Path| slices_of(&load_folder(folder).unwrap().instances);
        Some(Self::of(&scanned(&healthy?), &scanned(&ill?)))
    }

    fn of(healthy: &[Slice], ill: &[Slice]) -> Self {
        let series = |slices: &[Slice], stranger: &[Slice]| Series {
            slices: slices.to_vec(),
            stranger: stranger.into(),
            origin_mm: [0.0; 3],
            rounding: Rounding::FINE,
        };
        Self { healthy: series(healthy, ill), ill: series(ill, healthy) }
    }
}

/// A series of the shared data, whose folder may lie elsewhere by `TABLESIDE_SHARED_DATA`.
fn real_series(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("TABLESIDE_SHARED_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let folder = data.join("series").join(name);
    let found = folder.is_dir();
    if !found {
        eprintln!("SKIPPED: {} is not there", folder.display());
    }
    found.then_some(folder)
}

/// The axial slices among instances, from the feet to the head.
fn slices_of(instances: &[Instance]) -> Vec<Slice> {
    let mut axial: Vec<&Instance> = instances.iter().filter(|instance| instance.position_um.is_some()).collect();
    axial.sort_by_key(|instance| instance.position_um);
    axial.into_iter().map(slice_of).collect()
}

fn slice_of(instance: &Instance) -> Slice {
    let object = instance.object().unwrap();
    let hu: Vec<f32> = object.decode_pixel_data().unwrap().to_vec().unwrap();
    let grid = grid_of(&object);
    let storage = storage_of(&object);
    let z_mm = numbers(&object, tags::IMAGE_POSITION_PATIENT)[2];
    let mut header = object.into_inner();
    header.remove_element(tags::PIXEL_DATA);
    Slice { plane: Arc::new(Plane::new(grid.clone(), hu)), z_mm, grid, header, storage, blank: None }
}

fn numbers(object: &InMemDicomObject, tag: dicom_core::Tag) -> Vec<f64> {
    object.element(tag).unwrap().to_multi_float64().unwrap()
}

fn grid_of(object: &InMemDicomObject) -> Grid {
    let size = |tag| object.element(tag).unwrap().to_int::<usize>().unwrap();
    let (position, orientation) =
        (numbers(object, tags::IMAGE_POSITION_PATIENT), numbers(object, tags::IMAGE_ORIENTATION_PATIENT));
    let spacing = numbers(object, tags::PIXEL_SPACING);
    Grid {
        rows: size(tags::ROWS),
        columns: size(tags::COLUMNS),
        between_rows_mm: spacing[0],
        between_columns_mm: spacing[1],
        first_mm: [position[0], position[1]],
        along_row: [orientation[0], orientation[1]],
        along_column: [orientation[3], orientation[4]],
    }
}

/// As the series is stored; its padding is part of its picture.
fn storage_of(object: &InMemDicomObject) -> Storage {
    let bits_stored = object.element(tags::BITS_STORED).unwrap().to_int().unwrap();
    Storage {
        signed: object.element(tags::PIXEL_REPRESENTATION).unwrap().to_int::<u16>().unwrap() == 1,
        bits_stored,
        slope: numbers(object, tags::RESCALE_SLOPE)[0],
        intercept: numbers(object, tags::RESCALE_INTERCEPT)[0],
        padding: None,
    }
}
