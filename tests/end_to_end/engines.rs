//! Two engines, one arithmetic.

use tableside::engine::{EmbeddedEngine, Engine, ModelPackage, OnnxRuntimeEngine};
use tableside::preprocess::{HounsfieldImage, InPlane, Plane, SourceAxis, Window};
use tableside::scanner::{Phantom, PhantomKind, PhantomOptions};

use crate::series::onnxruntime;

/// How far the engines may lie apart in any output.
const TOLERANCE: f32 = 1e-4;
/// Slices of the phantom whose windows are compared: from the apices to the recesses of the diaphragm.
const CENTRES: [usize; 8] = [10, 25, 40, 55, 70, 85, 100, 120];

#[test]
fn the_embedded_engine_and_the_onnx_runtime_agree_on_the_same_windows() {
    let Some(library) = onnxruntime() else { return };
    let package = ModelPackage::built_in().unwrap();
    let mut embedded = EmbeddedEngine::load(&package, 2).unwrap();
    let mut onnxruntime = OnnxRuntimeEngine::load(&package, Some(&library), 2).unwrap();
    let phantom = Phantom::new(PhantomKind::Pneumonia, PhantomOptions::default());
    let mut furthest = 0.0_f32;
    for centre in CENTRES {
        let window = window(&phantom, centre, &package);
        furthest = furthest.max(distance(&mut embedded, &mut onnxruntime, &window));
    }
    furthest = furthest.max(distance(&mut embedded, &mut onnxruntime, &Window::empty(&package.manifest.input)));
    eprintln!("the engines lie at most {furthest:e} apart");
    assert!(furthest <= TOLERANCE, "{furthest}");
}

/// The window around a slice of the phantom, each slice standing for its slab.
fn window(phantom: &Phantom, centre: usize, package: &ModelPackage) -> Window {
    let (options, input) = (phantom.options(), &package.manifest.input);
    let spacing_mm = f64::from(options.pixel_mm);
    let in_plane = InPlane {
        x: SourceAxis { along_columns: true, reversed: false, spacing_mm },
        y: SourceAxis { along_columns: false, reversed: false, spacing_mm },
    };
    // Slice 0 is the highest, a window's first slab the lowest.
    let slices = (0..input.slabs).map(|slab| centre + input.slabs / 2 - slab);
    let planes: Vec<Plane> = slices
        .map(|index| {
            let values = phantom.slice(index).hounsfield.into_iter().map(f32::from).collect();
            let image = HounsfieldImage { rows: options.matrix, columns: options.matrix, values };
            Plane::resample(&image, &in_plane, input)
        })
        .collect();
    let slabs: Vec<&[f32]> = planes.iter().map(Plane::values).collect();
    Window::of_slabs(&slabs, input)
}

/// The largest difference of two engines in any output.
fn distance(one: &mut dyn Engine, other: &mut dyn Engine, window: &Window) -> f32 {
    let (one, other) = (one.infer(window).unwrap(), other.infer(window).unwrap());
    let numbers = [(one.attention, other.attention), (one.logit, other.logit)];
    let lung = one.lung.into_iter().zip(other.lung);
    let lesion = one.lesion.into_iter().zip(other.lesion);
    lung.chain(lesion).chain(numbers).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}
