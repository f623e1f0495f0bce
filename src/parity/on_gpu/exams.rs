//! Whole exams on the GPU and on the CPU: the same slices, the same rules, two tables of evidence.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::analysis::{Arrival, Conclusion, DecodeTimes, Decoded, DecodedSlice, ExamAnalysis, ReadInstance};
use crate::config::Config;
use crate::dicom::{ImageFile, InstanceFile};
use crate::engine::{Engine, Manifest, ModelPackage};
use crate::exam::{CompletionRule, Content, InstanceHeader, Part, PlaneCentre, SeriesKey, SliceHeader, stored_image};
use crate::gpu::{DevicePipeline, Failure, GpuError};
use crate::inference::{QueuedWindow, StoredSlice, WindowResult, infer_window};
use crate::preprocess::{InputGeometry, Plane, TissueCells};
use crate::raster::Mask;
use crate::scanner::Instance;
use crate::triage::{SlabEvidence, Verdict};

/// A slice that was decoded.
pub(super) struct ExamSlice {
    instance: Arc<ReadInstance>,
    pub header: SliceHeader,
    pub stored: StoredSlice,
    centre: PlaneCentre,
    file: ImageFile,
}

/// The series of an exam that has the most slices, one slice at each position, in ascending z.
pub(super) struct ExamSlices {
    pub name: String,
    pub slices: Vec<ExamSlice>,
    pub input: InputGeometry,
}

impl ExamSlices {
    pub(super) fn of(name: String, instances: &[Instance], input: &InputGeometry) -> Result<Self, Failure> {
        let mut by_series: BTreeMap<&str, BTreeMap<i64, &Instance>> = BTreeMap::new();
        for instance in instances {
            let Some(position_um) = instance.position_um else { continue };
            let of_series = by_series.entry(&instance.series_instance_uid).or_default();
            // One at each position, whichever: the same on the CPU and on the GPU.
            let there = of_series.entry(position_um).or_insert(instance);
            if instance.sop_instance_uid < there.sop_instance_uid {
                *there = instance;
            }
        }
        let longest = by_series.into_values().max_by_key(BTreeMap::len).ok_or("it holds no slices")?;
        let mut slices = Vec::new();
        let mut centre = None;
        for instance in longest.into_values() {
            let file = InstanceFile::of_bytes(instance.part_10()?)?;
            let header = InstanceHeader::read(&file.object)?;
            let read = Arc::new(ReadInstance { header, calling_ae_title: String::new() });
            for (frame, image) in read.header.images.iter().enumerate() {
                let Content::Slice(header) = image.clone() else { continue };
                let image = stored_image(&file, frame, &header)?;
                let lies_in = ImageFile { path: PathBuf::from(&instance.origin), frame };
                let series = SeriesKey {
                    exam: read.header.exam_key(),
                    series_instance_uid: read.header.series_instance_uid.clone(),
                    part: Part::WHOLE,
                };
                let centre = *centre.get_or_insert(PlaneCentre::of_image(header.geometry.centre));
                let stored = StoredSlice::new(series, &header, &lies_in, centre, image, input);
                slices.push(ExamSlice { instance: read.clone(), header, stored, centre, file: lies_in });
            }
        }
        let z_mm = |slice: &ExamSlice| slice.header.geometry.z_mm;
        slices.sort_by(|one, other| z_mm(one).total_cmp(&z_mm(other)));
        if slices.is_empty() {
            Err("it holds no slices".into())
        } else {
            Ok(Self { name, slices, input: input.clone() })
        }
    }

    /// Adds all slices to their slabs on the GPU.
    pub(super) fn upload(&self, pipeline: &mut DevicePipeline<'_>) -> Result<(), GpuError> {
        self.slices.iter().try_for_each(|slice| upload(pipeline, &slice.stored))
    }

    /// The series that the slices are of.
    pub(super) fn series(&self) -> &SeriesKey {
        &self.slices[0].stored.series
    }

    /// The windows that the exam asks for, in the order in which it does.
    pub(super) fn windows(&self) -> Vec<QueuedWindow> {
        let mut analysis = self.analysis();
        let asked = || {
            let window = analysis.next_window(&self.input, true)?;
            analysis.hand_over(&window);
            Some(window)
        };
        std::iter::from_fn(asked).collect()
    }

    /// The exam with all its slices and no evidence yet.
    fn analysis(&self) -> ExamAnalysis {
        let now = Instant::now();
        let mut analysis = ExamAnalysis::new(self.slices[0].instance.header.exam_key(), now);
        let mut arrived: Vec<Arrival> = Vec::new();
        for ExamSlice { instance, stored, centre, file: ImageFile { path, frame }, .. } in &self.slices {
            let (image, in_plane) = (stored.image.hounsfield(), &stored.in_plane);
            if analysis.take(path.clone(), now, None) {
                arrived.extend(analysis.waiting.pop_front().map(|waiting| waiting.arrival));
            }
            let decoded = Decoded {
                instance: Ok(instance.clone()),
                image: *frame,
                slice: Ok(Some(DecodedSlice {
                    plane: Plane::resample(&image, in_plane, &self.input),
                    centre: *centre,
                    noise_hu: TissueCells::of(&image, in_plane, self.input.pixel_mm).noise_hu(),
                    body_mm: None,
                    lung_at_border: None,
                    took: DecodeTimes::default(),
                })),
            };
            let Some(arrival) = arrived.iter().find(|arrival| arrival.path == *path) else { continue };
            analysis.add(decoded, arrival, &self.input);
        }
        analysis
    }
}

/// Adds a slice to its slab on the GPU, and waits for its plane.
pub(super) fn upload(pipeline: &mut DevicePipeline<'_>, slice: &StoredSlice) -> Result<(), GpuError> {
    if let Some(sent) = pipeline.add(slice)? {
        pipeline.plane(sent)?;
    }
    Ok(())
}

/// What became of an exam on the CPU and on the GPU.
pub(super) struct Compared {
    pub verdicts: (Verdict, Verdict),
    probabilities: (f64, f64),
    slabs: usize,
    /// Pixels of all masks that differ, of so many.
    pixels: (usize, usize),
    /// Sums that slices had not made on the GPU.
    pub uploaded: usize,
}

impl Compared {
    pub(super) fn probability_apart(&self) -> f64 {
        (self.probabilities.0 - self.probabilities.1).abs()
    }
}

impl Display for Compared {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let (Self { verdicts, probabilities, slabs, pixels, uploaded }, apart) = (self, self.probability_apart());
        write!(
            f,
            "{} with {:.4}, CPU {} with {:.4}: {apart:.1e} apart; {} of {} lung and lesion pixels of {slabs} slabs differ; \
             {uploaded} sums uploaded",
            verdicts.1.as_str(),
            probabilities.1,
            verdicts.0.as_str(),
            probabilities.0,
            pixels.0,
            pixels.1,
        )
    }
}

/// Runs an exam on the CPU and on the GPU.
pub(super) fn compare(
    pipeline: &mut DevicePipeline<'_>,
    cpu: &mut dyn Engine,
    package: &ModelPackage,
    config: &Config,
    exam: &ExamSlices,
) -> Result<Compared, Failure> {
    let manifest = &package.manifest;
    let (mut cpu_analysis, mut gpu_analysis) = (exam.analysis(), exam.analysis());
    while let Some(window) = cpu_analysis.next_window(&manifest.input, true) {
        cpu_analysis.take_result(&window, infer_window(cpu, &window.job, manifest), manifest)?;
    }
    let uploaded_before = pipeline.uploaded();
    exam.upload(pipeline)?;
    while let Some(window) = gpu_analysis.next_window(&manifest.input, true) {
        let evidence = pipeline.infer_window(&window.series, &window.job)?;
        gpu_analysis.take_result(&window, WindowResult { evidence: Ok(evidence), took: Duration::ZERO }, manifest)?;
    }
    pipeline.forget(&exam.series().exam);
    let (cpu_verdict, cpu_probability) = conclude(&mut cpu_analysis, config, manifest)?;
    let (gpu_verdict, gpu_probability) = conclude(&mut gpu_analysis, config, manifest)?;
    let (slabs, pixels) = differing(&cpu_analysis, &gpu_analysis);
    Ok(Compared {
        verdicts: (cpu_verdict, gpu_verdict),
        probabilities: (cpu_probability, gpu_probability),
        slabs,
        pixels,
        uploaded: pipeline.uploaded() - uploaded_before,
    })
}

fn conclude(analysis: &mut ExamAnalysis, config: &Config, manifest: &Manifest) -> Result<(Verdict, f64), Failure> {
    let now = Instant::now();
    let report = analysis.conclude(&Conclusion {
        manifest,
        engine: "",
        limits: &config.quality,
        densities: config.densities,
        rule: CompletionRule::AssociationReleased,
        over: now,
        now,
    });
    Ok((report.verdict, report.score.ok_or_else(|| report.reason.clone())?))
}

/// How many slabs both tables have, and how many of the pixels of their masks differ.
fn differing(one: &ExamAnalysis, other: &ExamAnalysis) -> (usize, (usize, usize)) {
    let (Some((_, one)), Some((_, other))) = (one.judged(), other.judged()) else { return (0, (0, 0)) };
    let (mut slabs, mut pixels) = (0, (0, 0));
    for slab in one.series.slab_indices() {
        let (Some(one), Some(other)) = (one.table.row(slab), other.table.row(slab)) else { continue };
        let masks = |row: &SlabEvidence| [row.lung.clone(), row.lesion.clone()];
        let apart = |(one, other): (Mask, Mask)| -> u32 {
            one.words().iter().zip(other.words().iter()).map(|(one, other)| (one ^ other).count_ones()).sum()
        };
        slabs += 1;
        pixels.0 += masks(one).into_iter().zip(masks(other)).map(apart).sum::<u32>() as usize;
        pixels.1 += 2 * one.lung.rows() * one.lung.columns();
    }
    (slabs, pixels)
}
