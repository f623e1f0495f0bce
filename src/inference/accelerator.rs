//! What an accelerator does for the analysis.

use std::sync::Arc;
use std::time::Duration;

use super::planes::StoredSlice;
use super::window_result::{QueuedWindow, WindowReply, infer_window};
use crate::dicom::{CellLayout, ImageFile};
use crate::engine::{Engine, EngineError, Manifest, ModelPackage, self_test};
use crate::exam::{ExamKey, Part, PlaneCentre, SeriesKey, SlabIndex, SlabSlices, SliceId, WindowJob};
use crate::preprocess::{InPlane, InputGeometry, Plane, SlabSum, SourceAxis, StoredImage, Window};

/// An accelerator that has not answered by then hangs, or is so slow that the CPU is faster.
pub const ANSWER_TIME: Duration = Duration::from_secs(2);

/// An engine that keeps exams' slabs in a memory of its own. Nobody waits for it: its results come as messages. After an error
/// it is of no more use.
pub trait Accelerator: Engine {
    /// The way by which slices come to it.
    fn slices(&self) -> Arc<dyn AcceleratorSlices>;

    /// Hands a window over and returns at once. Of its slabs those whose slices do not lie on the accelerator just so are
    /// uploaded. Windows are answered in the order in which they were handed over, an error included; only an accelerator that
    /// hangs answers nothing.
    fn queue(&mut self, window: &Arc<QueuedWindow>, reply: WindowReply);

    /// Frees the memory that an exam has on the accelerator.
    fn forget(&mut self, exam: &ExamKey);

    /// Asks it to give back its memory and libraries, and does not wait for that. Whether it has; one that hangs has not.
    fn end(&mut self) -> bool;
}

/// The way by which slices come to an accelerator, for many threads at once.
pub trait AcceleratorSlices: Send + Sync {
    /// Adds a slice to its slab and gives its plane; `None` if the accelerator does not take its size.
    ///
    /// # Errors
    /// If the accelerator fails or does not answer in time.
    fn plane(&self, slice: StoredSlice) -> Result<Option<Plane>, EngineError>;
}

/// Compares an accelerator with what the package names and, bit by bit, with the CPU: the planes of slices, and the evidence
/// that it makes of what its model says of them, whichever way the slabs came to lie there.
///
/// # Errors
/// If the accelerator fails or says anything else.
pub fn accelerator_test(accelerator: &mut dyn Accelerator, package: &ModelPackage) -> Result<(), EngineError> {
    self_test(accelerator, package)?;
    match package.self_test() {
        Some((_, window)) => agrees_with_the_cpu(accelerator, &package.manifest, &window),
        None => Ok(()),
    }
}

/// The second half of [`accelerator_test`], with slices that look like the slabs of this window.
pub(crate) fn agrees_with_the_cpu(
    accelerator: &mut dyn Accelerator,
    manifest: &Manifest,
    window: &Window,
) -> Result<(), EngineError> {
    let input = &manifest.input;
    let differs = |engine: &dyn Accelerator, what: &str| EngineError::SelfTest {
        engine: engine.name(),
        reason: format!("{what} is not what the CPU makes of it"),
    };
    let series = SeriesKey {
        exam: ExamKey::new("self-test", &crate::exam::Patient::default()),
        series_instance_uid: String::new(),
        part: Part::WHOLE,
    };
    let mut slabs = Vec::new();
    for (at, values) in window.values().chunks_exact(input.plane_len()).enumerate() {
        let index = SlabIndex(at as i64);
        let id = SliceId::of(&ImageFile { path: "self-test".into(), frame: at }, PlaneCentre::at(0.0, 0.0));
        let slice = stored_slice(values, &series, index, id, input);
        let plane = Plane::resample(&slice.image.hounsfield(), &slice.in_plane, input);
        if accelerator.slices().plane(slice)?.as_ref() != Some(&plane) {
            return Err(differs(accelerator, "a slice's plane"));
        }
        let (mut slices, mut sum) = (SlabSlices::default(), SlabSum::default());
        slices.add(id);
        sum.add(&plane);
        slabs.push((index, slices, Arc::new(sum)));
    }
    let Ok([below, middle, above]) = <[_; 3]>::try_from(slabs) else { return Ok(()) };
    let job = |slabs: [(SlabIndex, SlabSlices, Arc<SlabSum>); 3]| {
        let inputs = slabs.each_ref().map(|(index, slices, _)| (*index, *slices));
        WindowJob { slab: inputs[1].0, inputs, sums: slabs.map(|(_, _, sum)| sum) }
    };
    let elsewhere = (SlabIndex(i64::MAX), above.1, above.2.clone());
    let jobs = [job([below.clone(), middle.clone(), above]), job([middle, elsewhere, below])];
    let mut expected = Vec::new();
    for job in &jobs {
        expected.push(infer_window(accelerator, job, manifest).evidence?);
    }
    let (replies, results) = crossbeam_channel::unbounded();
    for (job, number) in jobs.into_iter().zip(0..) {
        let reply = WindowReply::new(number, accelerator.name(), replies.clone());
        accelerator.queue(&Arc::new(QueuedWindow { series: series.clone(), job }), reply);
    }
    for (expected, way) in expected.into_iter().zip(["its slices", "their sum"]) {
        let answer = results.recv_timeout(ANSWER_TIME).map_err(|_| no_answer(accelerator))?;
        if answer.result.evidence? != expected {
            return Err(differs(accelerator, &format!("the evidence of a slab that came by {way}")));
        }
    }
    accelerator.forget(&series.exam);
    Ok(())
}

fn no_answer(accelerator: &dyn Accelerator) -> EngineError {
    EngineError::Run { engine: accelerator.name(), reason: "it does not answer".to_owned() }
}

/// A slice with these values of the model's plane, in pixels a little smaller than the plane's.
fn stored_slice(
    values: &[f32],
    series: &SeriesKey,
    slab: SlabIndex,
    id: SliceId,
    input: &InputGeometry,
) -> StoredSlice {
    let stored = |value: &f32| (input.hounsfield(*value).round() as i16).to_le_bytes();
    let axis =
        |along_columns| SourceAxis { along_columns, reversed: false, spacing_mm: 0.9 * input.pixel_mm, offset_mm: 0.0 };
    StoredSlice {
        series: series.clone(),
        slab,
        id,
        image: StoredImage {
            rows: input.rows,
            columns: input.columns,
            cell_bytes: 2,
            cells: values.iter().flat_map(stored).collect(),
            layout: CellLayout::new(16, 15, true),
            rescale_slope: 1.0,
            rescale_intercept: 0.0,
            padding: None,
        },
        in_plane: InPlane { x: axis(true), y: axis(false) },
    }
}
