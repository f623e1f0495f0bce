//! A synthetic chest CT exam, drawn from formulas: no patient's data, the same for a seed on every machine.
//!
//! The trunk is an ellipse-like body with skin, fat, muscle and bones around two lungs with their vessels and bronchi, and a
//! mediastinum and an upper abdomen between and below them; the patient lies on a curved table. It begins above the apices
//! of the lungs and ends below the recesses of the diaphragm. It looks enough like a person for a network trained on real
//! CT, and for a demonstration; it is no model of anatomy and measures nothing.

// Pixels, voxels and CT numbers are small: the conversions between their integers and `f32` lose nothing that is seen.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::many_single_char_names,
    clippy::suboptimal_flops
)]

mod bones;
mod dicom;
mod field;
mod lesions;
mod lung;
mod organs;
mod render;
mod scanner_room;
mod thorax;

use std::num::NonZeroUsize;

use field::{Noise, SplitMix};
use lesions::Lesions;
use lung::{Breath, Trees};
use render::{Grid, PADDING, Scene};
use scanner_room::add_noise;

use super::{Instance, ScannerError};
use crate::dicom::UidSource;

/// What the synthetic patient has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum PhantomKind {
    /// Healthy lungs.
    Normal,
    /// Ground glass and small consolidations in both lungs, about an eighth of their volume.
    Pneumonia,
    /// Healthy lungs that hold little air: denser, most so at the back, over a high diaphragm with fat below it.
    BreathedOut,
}

impl PhantomKind {
    const fn label(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Pneumonia => "PNEUMONIA",
            Self::BreathedOut => "BREATHED-OUT",
        }
    }
}

/// How the phantom is scanned. The defaults are those of a routine chest CT.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhantomOptions {
    /// Number of axial slices.
    pub slices: usize,
    /// Distance and thickness of the slices, mm.
    pub spacing_mm: f32,
    /// Rows and columns of a slice.
    pub matrix: usize,
    /// Width of a pixel, mm.
    pub pixel_mm: f32,
    /// Height of the first slice in the phantom, mm; the apices lie at 120, the lowest recesses at -128.
    pub top_mm: f32,
    /// Decides vessels, lesions and noise.
    pub seed: u64,
}

impl Default for PhantomOptions {
    fn default() -> Self {
        Self { slices: 150, spacing_mm: 2.0, matrix: 512, pixel_mm: 0.7, top_mm: 146.0, seed: 1 }
    }
}

impl PhantomOptions {
    /// The whole chest in few small slices: for tests.
    #[must_use]
    pub fn coarse(slices: usize, matrix: usize) -> Self {
        let full = Self::default();
        Self {
            slices,
            spacing_mm: full.spacing_mm * full.slices as f32 / slices.max(1) as f32,
            matrix,
            pixel_mm: full.pixel_mm * full.matrix as f32 / matrix.max(1) as f32,
            ..full
        }
    }
}

/// One axial slice with what is true of it. Rows run to the patient's back, columns to the patient's left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhantomSlice {
    /// CT numbers, HU, row by row; -1024 outside the reconstructed circle.
    pub hounsfield: Vec<i16>,
    /// Whether a pixel's centre lies in a lung.
    pub lung: Vec<bool>,
    /// Whether a pixel's centre lies in a lesion.
    pub lesion: Vec<bool>,
}

/// A synthetic patient on the table; slices are drawn when asked for.
#[derive(Debug, Clone)]
pub struct Phantom {
    kind: PhantomKind,
    options: PhantomOptions,
    scene: Scene,
}

impl Phantom {
    /// Lays out the patient: grows the vessels and scatters the lesions. Takes some 0.2 s.
    #[must_use]
    pub fn new(kind: PhantomKind, options: PhantomOptions) -> Self {
        let lesions = match kind {
            PhantomKind::Normal | PhantomKind::BreathedOut => None,
            PhantomKind::Pneumonia => Some(Lesions::scatter(options.seed)),
        };
        Self {
            kind,
            options,
            scene: Scene {
                trees: Trees::grow(options.seed),
                lesions,
                noise: Noise::new(options.seed, 30),
                breath: if kind == PhantomKind::BreathedOut { Breath::OUT } else { Breath::IN },
            },
        }
    }

    /// How the phantom is scanned.
    #[must_use]
    pub const fn options(&self) -> &PhantomOptions {
        &self.options
    }

    /// Height of a slice in the phantom, mm; slice 0 is the highest.
    fn height(&self, index: usize) -> f32 {
        self.options.top_mm - index as f32 * self.options.spacing_mm
    }

    fn grid(&self) -> Grid {
        Grid { rows: self.options.matrix, columns: self.options.matrix, pixel_mm: self.options.pixel_mm }
    }

    /// Draws slice `index`, counted from the head, with its ground truth. The same for an index whatever was drawn before.
    #[must_use]
    pub fn slice(&self, index: usize) -> PhantomSlice {
        let (grid, z) = (self.grid(), self.height(index));
        let mut painting = self.scene.paint(grid, z);
        let generator = SplitMix::new(self.options.seed, 1000 + index as u64);
        add_noise(&mut painting, grid, z, generator);
        let field = 0.25 * (grid.pixel_mm * grid.columns as f32).powi(2);
        let hounsfield = painting.hounsfield.iter().enumerate().map(|(at, value)| {
            let (x, y) = (grid.x(at % grid.columns), grid.y(at / grid.columns));
            if x * x + y * y > field {
                PADDING
            } else {
                // The padding's value must not occur in the picture.
                value.round().clamp(f32::from(PADDING) + 1.0, 3071.0) as i16
            }
        });
        PhantomSlice { hounsfield: hounsfield.collect(), lung: painting.lung, lesion: painting.lesion }
    }

    /// The whole exam as DICOM instances, the scout first, then the slices from the head down; drawn on all cores.
    ///
    /// # Errors
    ///
    /// If a data set cannot be encoded, which is a fault in this program.
    pub fn instances(&self, uids: UidSource) -> Result<Vec<Instance>, ScannerError> {
        let exam = dicom::Exam::new(self, uids);
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let drawn = std::thread::scope(|scope| {
            let exam = &exam;
            let scout = scope.spawn(move || Ok(vec![exam.scout()?]));
            let slices = (0..threads).map(|first| {
                let own = (first..self.options.slices).step_by(threads);
                scope.spawn(move || own.map(|index| exam.slice(index)).collect::<Result<Vec<_>, _>>())
            });
            // All have to be started before the first is waited for.
            let workers: Vec<_> = std::iter::once(scout).chain(slices).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().map_err(|_| ScannerError::Interrupted)?)
                .collect::<Result<Vec<_>, _>>()
        })?;
        let mut instances: Vec<Instance> = drawn.into_iter().flatten().collect();
        instances.sort_by_key(|instance| (instance.series_number, instance.instance_number));
        Ok(instances)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use dicom_dictionary_std::{tags, uids};
    use dicom_object::InMemDicomObject;

    use super::*;
    use crate::scanner::series::transfer_syntax;

    fn coarse(kind: PhantomKind, seed: u64) -> Phantom {
        let options = PhantomOptions { seed, ..PhantomOptions::coarse(40, 96) };
        Phantom::new(kind, options)
    }

    fn count(mask: &[bool]) -> usize {
        mask.iter().filter(|set| **set).count()
    }

    #[test]
    fn the_same_seed_gives_the_same_pixels_and_another_seed_others() {
        let first = coarse(PhantomKind::Pneumonia, 3).slice(20);
        // Slices do not depend on those drawn before.
        let again = coarse(PhantomKind::Pneumonia, 3);
        let _ = again.slice(5);
        assert_eq!(first, again.slice(20));
        assert_ne!(first, coarse(PhantomKind::Pneumonia, 4).slice(20));
    }

    #[test]
    fn the_lungs_begin_and_end_inside_the_scan() {
        let phantom = coarse(PhantomKind::Normal, 1);
        let lung: Vec<usize> = (0..40).map(|i| count(&phantom.slice(i).lung)).collect();
        assert_eq!((lung[0], lung[1]), (0, 0));
        assert_eq!((lung[38], lung[39]), (0, 0));
        let first = lung.iter().position(|n| *n > 0).expect("lungs");
        let last = lung.iter().rposition(|n| *n > 0).expect("lungs");
        assert!(lung[first..=last].iter().all(|n| *n > 0), "{lung:?}");
    }

    #[test]
    fn pneumonia_fills_an_eighth_of_both_lungs_and_the_healthy_have_none() {
        for seed in [1, 2] {
            let (sick, well) = (coarse(PhantomKind::Pneumonia, seed), coarse(PhantomKind::Normal, seed));
            let (mut lung, mut lesion, mut left) = (0, 0, 0);
            for index in 0..40 {
                let slice = sick.slice(index);
                lung += count(&slice.lung);
                lesion += count(&slice.lesion);
                let rows = slice.lesion.chunks(96);
                left += rows.map(|row| count(&row[48..])).sum::<usize>();
                assert!(slice.lesion.iter().zip(&slice.lung).all(|(a, b)| !a || *b));
                assert_eq!(count(&well.slice(index).lesion), 0);
            }
            let share = lesion as f32 / lung as f32;
            assert!((0.08..0.15).contains(&share), "{share}");
            let left_share = left as f32 / lesion as f32;
            assert!((0.2..0.8).contains(&left_share), "{left_share}");
        }
    }

    #[test]
    fn lungs_that_are_breathed_out_are_smaller_and_denser_most_so_at_the_back() {
        let measured = |kind: PhantomKind| {
            let slices: Vec<PhantomSlice> = (0..40).map(|index| coarse(kind, 1).slice(index)).collect();
            let in_rows = |rows: std::ops::Range<usize>| {
                let lung = slices.iter().flat_map(|slice| slice.hounsfield.iter().zip(&slice.lung).enumerate());
                let chosen = lung.filter(|(at, (_, lung))| **lung && rows.contains(&(at / 96)));
                let hu: Vec<f32> = chosen.map(|(_, (hu, _))| f32::from(*hu)).collect();
                hu.iter().sum::<f32>() / hu.len() as f32
            };
            let volume: usize = slices.iter().map(|slice| count(&slice.lung)).sum();
            (volume, in_rows(20..40), in_rows(56..76))
        };
        let (full, full_front, full_back) = measured(PhantomKind::Normal);
        let (small, front, back) = measured(PhantomKind::BreathedOut);
        assert!(small * 10 < full * 9, "{small} of {full} pixels");
        assert!(front > full_front + 60.0 && back > full_back + 150.0, "{front} and {back} HU");
    }

    #[test]
    fn tissues_have_their_ct_numbers() {
        let phantom = coarse(PhantomKind::Normal, 1);
        let slice = phantom.slice(24);
        let mean = |pixels: &mut dyn Iterator<Item = f32>| {
            let (sum, count) = pixels.fold((0.0, 0), |(sum, n), hu| (sum + hu, n + 1));
            sum / count as f32
        };
        let values = || slice.hounsfield.iter().map(|hu| f32::from(*hu));
        let lung = mean(&mut values().zip(&slice.lung).filter(|(_, l)| **l).map(|(hu, _)| hu));
        assert!((-880.0..-760.0).contains(&lung), "lung {lung}");
        // Heart, a little left of the middle and before it.
        let heart = mean(&mut (0..6).map(|i| f32::from(slice.hounsfield[(40 + i) * 96 + 54])));
        assert!((20.0..70.0).contains(&heart), "heart {heart}");
        let air = f32::from(slice.hounsfield[10 * 96 + 48]);
        assert!(air < -900.0, "air {air}");
        assert_eq!(slice.hounsfield[0], -1024);
        assert!(values().any(|hu| hu > 250.0), "no bone");
    }

    #[test]
    fn the_data_sets_read_back_with_the_geometry_of_a_scanner() {
        let phantom = coarse(PhantomKind::Pneumonia, 1);
        let instances = phantom.instances(UidSource::seeded(1)).expect("encoded");
        assert_eq!(instances.len(), 41);
        assert!(instances[0].scout && instances[0].position_um.is_none());
        let syntax = transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN).expect("known");
        let step = f64::from(phantom.options().spacing_mm);
        let mut last_z: Option<f64> = None;
        for (index, instance) in instances.iter().enumerate().skip(1) {
            let read = InMemDicomObject::read_dataset_with_ts(Cursor::new(&instance.data), syntax).expect("readable");
            let numbers = |tag| read.element(tag).expect("there").to_multi_float64().expect("DS");
            let text = |tag| read.element(tag).expect("there").to_str().expect("text").into_owned();
            let position = numbers(tags::IMAGE_POSITION_PATIENT);
            let expected = -0.5 * 95.0 * f64::from(phantom.options().pixel_mm);
            assert!((position[0] - expected).abs() < 1e-3);
            if let Some(last) = last_z {
                assert!((last - position[2] - step).abs() < 1e-3);
            }
            last_z = Some(position[2]);
            assert_eq!(instance.position_mm(), Some((position[2] * 1000.0).round() / 1000.0));
            assert_eq!(instance.instance_number, i32::try_from(index).ok());
            assert_eq!(numbers(tags::IMAGE_ORIENTATION_PATIENT), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
            assert_eq!(text(tags::PATIENT_NAME), "PHANTOM^PNEUMONIA");
            assert_eq!(text(tags::SOP_CLASS_UID), uids::CT_IMAGE_STORAGE);
            assert_eq!(text(tags::PATIENT_POSITION), "HFS");
            let pixels = read.element(tags::PIXEL_DATA).expect("there").to_multi_int::<u16>();
            let pixels = pixels.expect("words");
            assert_eq!(pixels.len(), 96 * 96);
            assert!(pixels.iter().all(|stored| *stored < 4096));
        }
    }
}
