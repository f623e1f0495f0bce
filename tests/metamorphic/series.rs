//! A scanned series: slices that know their patient, their grid and their header, until they are encoded.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use tableside::dicom::UidSource;
use tableside::scanner::Instance;

use crate::grid::{Across, Grid};
use crate::plane::Plane;
use crate::storage::Storage;

/// One axial CT image. Changing its grid scans the same patient otherwise; nothing is resampled twice.
#[derive(Debug, Clone)]
pub struct Slice {
    pub plane: Arc<Plane>,
    pub z_mm: f64,
    pub grid: Grid,
    /// Everything but the Image Pixel and Image Plane modules.
    pub header: InMemDicomObject,
    pub storage: Storage,
    /// One stored value all over, instead of the patient.
    pub blank: Option<u16>,
}

/// How coordinates are written: to how many decimal places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rounding {
    pub position: usize,
    pub spacing: usize,
    pub orientation: usize,
}

impl Rounding {
    pub const FINE: Self = Self { position: 5, spacing: 6, orientation: 8 };
}

/// The slices of one exam with what belongs to all of them, from the feet to the head.
#[derive(Debug, Clone)]
pub struct Series {
    pub slices: Vec<Slice>,
    /// Slices of somebody else, for mixtures.
    pub stranger: Arc<[Slice]>,
    /// Where the scanner's origin lies in the patient: added to all coordinates.
    pub origin_mm: [f64; 3],
    pub rounding: Rounding,
}

impl Series {
    /// The same slices as an exam of its own, which no other exam of the test shares a UID with.
    pub fn renamed(&self, patient_id: &str, uids: &mut UidSource) -> Self {
        let mut renamed = self.clone();
        let [study, series, frame_of_reference] = [(); 3].map(|()| uids.next_uid());
        for slice in &mut renamed.slices {
            slice.put(tags::STUDY_INSTANCE_UID, VR::UI, &study);
            slice.put(tags::SERIES_INSTANCE_UID, VR::UI, &series);
            slice.put(tags::FRAME_OF_REFERENCE_UID, VR::UI, &frame_of_reference);
            slice.put(tags::SOP_INSTANCE_UID, VR::UI, &uids.next_uid());
            slice.put(tags::PATIENT_ID, VR::LO, patient_id);
        }
        renamed
    }

    pub fn study_instance_uid(&self) -> String {
        self.slices[0].text(tags::STUDY_INSTANCE_UID)
    }

    /// UIDs that the exam does not have yet, others for each purpose.
    pub fn more_uids(&self, purpose: &str) -> UidSource {
        let mut hasher = DefaultHasher::new();
        (self.study_instance_uid(), purpose).hash(&mut hasher);
        UidSource::seeded(hasher.finish())
    }

    pub fn put_on_all(&mut self, tag: Tag, vr: VR, value: &str) {
        self.slices.iter_mut().for_each(|slice| slice.put(tag, vr, value));
    }

    pub fn regrid(&mut self, grid: impl Fn(&Grid) -> Grid) {
        self.slices.iter_mut().for_each(|slice| slice.grid = grid(&slice.grid));
    }

    pub fn restore(&mut self, change: impl Fn(&mut Storage)) {
        self.slices.iter_mut().for_each(|slice| change(&mut slice.storage));
    }

    /// The slices in the order of the acquisition, from the head down, encoded on all cores.
    pub fn encoded(&self) -> Vec<Instance> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let part = self.slices.len().div_ceil(threads).max(1);
        let mut instances: Vec<Instance> = std::thread::scope(|scope| {
            let parts: Vec<_> = self
                .slices
                .chunks(part)
                .map(|slices| scope.spawn(|| slices.iter().map(|slice| self.instance(slice)).collect::<Vec<_>>()))
                .collect();
            parts.into_iter().flat_map(|part| part.join().expect("a part of the series")).collect()
        });
        instances.reverse();
        instances
    }

    pub fn instance(&self, slice: &Slice) -> Instance {
        instance_of(&slice.object(self.origin_mm, self.rounding))
    }
}

impl Slice {
    /// The data set with its pixels.
    pub fn object(&self, origin_mm: [f64; 3], rounding: Rounding) -> InMemDicomObject {
        let cells = match self.blank {
            Some(value) => vec![value; self.grid.rows * self.grid.columns],
            None => self.storage.cells(&self.plane.seen_on(&self.grid), &self.grid),
        };
        let mut object = self.header.clone();
        self.storage.write_into(&mut object);
        self.write_plane_into(&mut object, origin_mm, rounding);
        for (tag, value) in [(tags::ROWS, self.grid.rows), (tags::COLUMNS, self.grid.columns)] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value as u16)));
        }
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(cells.into())));
        object
    }

    /// The Image Plane module (PS3.3 section C.7.6.2).
    fn write_plane_into(&self, object: &mut InMemDicomObject, origin_mm: [f64; 3], rounding: Rounding) {
        let Grid { first_mm: [x, y], along_row, along_column, between_rows_mm, between_columns_mm, .. } = self.grid;
        let position = [x + origin_mm[0], y + origin_mm[1], self.z_mm + origin_mm[2]];
        let orientation = [along_row[0], along_row[1], 0.0, along_column[0], along_column[1], 0.0];
        put_decimals(object, tags::IMAGE_POSITION_PATIENT, &position, rounding.position);
        put_decimals(object, tags::SLICE_LOCATION, &position[2..], rounding.position);
        put_decimals(object, tags::PIXEL_SPACING, &[between_rows_mm, between_columns_mm], rounding.spacing);
        put_decimals(object, tags::IMAGE_ORIENTATION_PATIENT, &orientation, rounding.orientation);
    }

    pub fn put(&mut self, tag: Tag, vr: VR, value: &str) {
        put(&mut self.header, tag, vr, value);
    }

    pub fn text(&self, tag: Tag) -> String {
        text(&self.header, tag)
    }

    /// Aerated lung as far as its CT numbers tell, cm².
    pub fn lung_cm2(&self) -> f64 {
        let pixel_mm2 = self.plane.grid.between_rows_mm * self.plane.grid.between_columns_mm;
        self.lung_points().count() as f64 * pixel_mm2 / 100.0
    }

    /// Centres of pixels with the CT numbers of aerated lung and a chest wall before and behind them, which the foam of a
    /// table does not have.
    pub fn lung_points(&self) -> impl Iterator<Item = Across> + '_ {
        let Plane { grid, hu, .. } = &*self.plane;
        let wall = (WALL_MM / grid.between_rows_mm) as usize;
        (0..grid.columns).flat_map(move |column| {
            let in_column = move |row: usize| hu[row * grid.columns + column];
            let is_tissue = move |row: &usize| in_column(*row) > TISSUE_HU;
            let all = (0..grid.rows).filter(is_tissue).count();
            let mut before = 0;
            (0..grid.rows).filter_map(move |row| {
                before += usize::from(is_tissue(&row));
                let is_between = before >= wall && all - before >= wall;
                let is_lung = is_between && (-950.0..-650.0).contains(&in_column(row));
                is_lung.then(|| grid.point(row as f64, column as f64))
            })
        })
    }
}

/// A chest wall is thicker than this, a table's shell thinner, mm.
const WALL_MM: f64 = 15.0;
/// Fat and all that is denser, HU.
const TISSUE_HU: f32 = -200.0;

pub fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    let values = value.split('\\').map(str::to_owned).collect();
    object.put(DataElement::new(tag, vr, PrimitiveValue::Strs(values)));
}

pub fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let value = object.get(tag).and_then(|element| element.to_str().ok());
    value.map(|value| value.trim_matches([' ', '\0']).to_owned()).unwrap_or_default()
}

fn put_decimals(object: &mut InMemDicomObject, tag: Tag, values: &[f64], places: usize) {
    let decimal = |value: &f64| {
        let scale = 10_f64.powi(places as i32);
        // Adding zero makes a negative zero positive.
        ((value * scale).round() / scale + 0.0).to_string()
    };
    put(object, tag, VR::DS, &values.iter().map(decimal).collect::<Vec<_>>().join("\\"));
}

/// An instance in Explicit VR Little Endian with something about its data set changed.
pub fn changed(instance: &Instance, change: impl FnOnce(&mut InMemDicomObject)) -> Instance {
    let mut object = instance.object().unwrap().into_inner();
    change(&mut object);
    instance_of(&object)
}

/// An object as it is sent, in Explicit VR Little Endian.
pub fn instance_of(object: &InMemDicomObject) -> Instance {
    instance_in(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)
}

/// An object as it is sent in a transfer syntax that leaves its pixels as they are.
pub fn instance_in(object: &InMemDicomObject, transfer_syntax_uid: &str) -> Instance {
    use dicom_encoding::TransferSyntaxIndex;
    use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

    let syntax = TransferSyntaxRegistry.get(transfer_syntax_uid).expect("a known transfer syntax");
    let mut data = Vec::new();
    object.write_dataset_with_ts(&mut data, syntax).expect("an object that can be written");
    let is_axial = text(object, tags::IMAGE_TYPE).contains("AXIAL");
    let z_mm = object.get(tags::IMAGE_POSITION_PATIENT).and_then(|position| position.to_multi_float64().ok());
    Instance {
        sop_class_uid: text(object, tags::SOP_CLASS_UID),
        sop_instance_uid: text(object, tags::SOP_INSTANCE_UID),
        transfer_syntax_uid: transfer_syntax_uid.to_owned(),
        patient_id: text(object, tags::PATIENT_ID),
        study_instance_uid: text(object, tags::STUDY_INSTANCE_UID),
        series_instance_uid: text(object, tags::SERIES_INSTANCE_UID),
        series_number: None,
        instance_number: None,
        position_um: z_mm.filter(|_| is_axial).map(|position| (position[2] * 1000.0).round() as i64),
        scout: text(object, tags::IMAGE_TYPE).contains("LOCALIZER"),
        origin: "metamorphic".to_owned(),
        data: data.into(),
    }
}
