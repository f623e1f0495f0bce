//! What is sent: a synthetic series, drawn once, with new UIDs for every run.

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::mem::InMemElement;
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;
use tableside::dicom::UidSource;
use tableside::scanner::{self, Instance, Phantom, PhantomKind, PhantomOptions};

/// Bytes of a slice's pixel data, which is the last element of its data set.
pub const PIXEL_BYTES: usize = 512 * 512 * 2;

/// What the slices say they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Axial CT slices, which Tableside analyses as they come.
    Slices,
    /// The same slices marked as scouts: Tableside stores them and does not analyse them.
    Scouts,
}

pub struct Exam {
    slices: Vec<Instance>,
    scouts: Vec<Instance>,
}

impl Exam {
    /// A chest in slices of 512 x 512 pixels, 0.5 MB each.
    pub fn chest(slices: usize) -> Self {
        let usual = PhantomOptions::default();
        let spacing_mm = usual.spacing_mm * usual.slices as f32 / slices as f32;
        eprintln!("drawing {slices} slices ...");
        Self::draw(PhantomOptions { slices, spacing_mm, ..usual })
    }

    /// A few slices of 64 x 64 pixels out of the middle of the lungs: headers and associations more than pixels.
    pub fn tiny() -> Self {
        const SLICES: usize = 20;
        let coarse = PhantomOptions::coarse(SLICES, 64);
        Self::draw(PhantomOptions { spacing_mm: 1.0, top_mm: 20.0, ..coarse })
    }

    fn draw(options: PhantomOptions) -> Self {
        let mut slices = Phantom::new(PhantomKind::Pneumonia, options).instances(UidSource::fresh()).unwrap();
        slices.retain(|instance| !instance.scout);
        let scouts = slices.iter().map(scout).collect();
        Self { slices, scouts }
    }

    /// The series as one that nobody has received before.
    pub fn fresh(&self, content: Content) -> Vec<Instance> {
        let drawn = match content {
            Content::Slices => &self.slices,
            Content::Scouts => &self.scouts,
        };
        scanner::new_uids(drawn, &mut UidSource::fresh()).unwrap()
    }
}

fn scout(slice: &Instance) -> Instance {
    let transfer_syntax = EXPLICIT_VR_LITTLE_ENDIAN.erased();
    let image_type = ["ORIGINAL", "PRIMARY", "LOCALIZER"].map(str::to_owned);
    let mut object = slice.object().unwrap().into_inner();
    object.put(InMemElement::new(tags::IMAGE_TYPE, VR::CS, PrimitiveValue::Strs(image_type.into_iter().collect())));
    let mut data = Vec::with_capacity(slice.data.len() + 16);
    object.write_dataset_with_ts(&mut data, &transfer_syntax).unwrap();
    Instance { scout: true, data: data.into(), ..slice.clone() }
}
