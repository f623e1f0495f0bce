//! What serves: an accelerator as long as it works, else the engine on the CPU.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, TryRecvError};

use crate::engine::{Engine, EngineError, Manifest, ModelPackage};
use crate::exam::ExamKey;
use crate::inference::{Accelerator, Planes, QueuedWindow, WindowResult, infer_window};
use crate::telemetry;

/// Which engine serves at present; cheap to clone.
#[derive(Debug, Clone)]
pub struct EngineState(Arc<Mutex<Now>>);

#[derive(Debug)]
struct Now {
    engine: &'static str,
    model: String,
    gpu_failure: Option<String>,
}

impl EngineState {
    fn new(engine: &'static str, model: &str) -> Self {
        telemetry::engine(engine, model);
        Self(Arc::new(Mutex::new(Now { engine, model: model.to_owned(), gpu_failure: None })))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The serving engine's name.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.now().engine
    }

    /// Why the GPU no longer serves.
    #[must_use]
    pub fn gpu_failure(&self) -> Option<String> {
        self.now().gpu_failure.clone()
    }

    fn serves(&self, engine: &'static str, gpu_failure: Option<String>) {
        let mut now = self.now();
        telemetry::engine_replaced(now.engine, engine, &now.model);
        (now.engine, now.gpu_failure) = (engine, gpu_failure);
    }
}

/// An accelerator whose network is being built.
pub type PendingAccelerator = Receiver<Result<Box<dyn Accelerator>, EngineError>>;

/// Windows that an accelerator has at once: while the CPU makes evidence of one, the network judges the next.
const ON_ACCELERATOR_AT_ONCE: usize = 2;

/// The engine that serves, and the windows that were handed to it.
pub struct Serving {
    accelerator: Option<Box<dyn Accelerator>>,
    /// The accelerator that takes over once its network is built.
    pending: Option<PendingAccelerator>,
    /// The engine that serves where there is no accelerator, or when it fails.
    cpu: Box<dyn Engine>,
    manifest: Manifest,
    planes: Planes,
    queued: VecDeque<Queued>,
    state: EngineState,
}

struct Queued {
    window: Arc<QueuedWindow>,
    is_on_accelerator: bool,
}

impl Serving {
    /// With an accelerator, one that is pending, or the engine on the CPU alone.
    #[must_use]
    pub fn new(
        package: &ModelPackage,
        accelerator: Option<Box<dyn Accelerator>>,
        pending: Option<PendingAccelerator>,
        cpu: Box<dyn Engine>,
    ) -> Self {
        let name = accelerator.as_ref().map_or(cpu.name(), |accelerator| accelerator.name());
        let planes = Planes::new(&package.manifest.input);
        planes.set_accelerator(accelerator.as_ref().map(|accelerator| accelerator.slices()));
        Self {
            accelerator,
            pending,
            cpu,
            manifest: package.manifest.clone(),
            planes,
            queued: VecDeque::new(),
            state: EngineState::new(name, &package.title()),
        }
    }

    /// The serving engine's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.state.engine()
    }

    #[must_use]
    pub fn state(&self) -> &EngineState {
        &self.state
    }

    /// What makes planes of slices for this engine.
    #[must_use]
    pub fn planes(&self) -> &Planes {
        &self.planes
    }

    /// Whether a further window may be queued before one is collected.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queued.len() < if self.accelerator.is_some() { ON_ACCELERATOR_AT_ONCE } else { 1 }
    }

    /// Hands a window over.
    pub fn queue(&mut self, window: QueuedWindow) {
        let queued = self.hand_over(window);
        self.queued.push_back(queued);
    }

    /// Waits for what became of the window that was queued first; `None` if none was.
    pub fn collect(&mut self) -> Option<(Arc<QueuedWindow>, WindowResult)> {
        let queued = self.queued.pop_front()?;
        let judged = self.finish(&queued);
        Some((queued.window, judged))
    }

    /// One window alone, with none queued.
    pub fn judge(&mut self, window: QueuedWindow) -> WindowResult {
        debug_assert!(self.queued.is_empty());
        let handed_over = self.hand_over(window);
        self.finish(&handed_over)
    }

    fn hand_over(&mut self, window: QueuedWindow) -> Queued {
        self.look_for_pending();
        let window = Arc::new(window);
        let handed_over = self.accelerator.as_mut().map(|accelerator| accelerator.queue(&window));
        let is_on_accelerator = matches!(handed_over, Some(Ok(())));
        if let Some(Err(error)) = handed_over {
            self.accelerator_failed(&error);
        }
        Queued { window, is_on_accelerator }
    }

    fn finish(&mut self, queued: &Queued) -> WindowResult {
        if let Some(accelerator) = self.accelerator.as_mut().filter(|_| queued.is_on_accelerator) {
            match accelerator.collect() {
                Ok((evidence, took)) => return WindowResult { evidence: Ok(evidence), took },
                Err(error) => self.accelerator_failed(&error),
            }
        }
        infer_window(self.cpu.as_mut(), &queued.window.job, &self.manifest)
    }

    /// Lets go of what the accelerator has of an exam; what is needed again is uploaded again.
    pub fn forget(&mut self, exam: &ExamKey) {
        if let Some(accelerator) = &mut self.accelerator {
            accelerator.forget(exam);
        }
    }

    fn look_for_pending(&mut self) {
        let Some(pending) = &self.pending else { return };
        match pending.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => tracing::error!("the engine that was being built will not come"),
            Ok(Err(reason)) => tracing::error!(%reason, "the engine that was being built cannot serve"),
            Ok(Ok(accelerator)) => {
                tracing::info!(engine = accelerator.name(), "the engine is built and serves from now on");
                self.state.serves(accelerator.name(), None);
                self.serve_by(Some(accelerator));
            }
        }
        self.pending = None;
    }

    fn accelerator_failed(&mut self, error: &EngineError) {
        telemetry::gpu_failure();
        tracing::error!(%error, engine = self.cpu.name(), "the GPU failed: the engine on the CPU serves until a restart");
        self.state.serves(self.cpu.name(), Some(error.to_string()));
        self.pending = None;
        self.serve_by(None);
    }

    /// The CPU judges what the accelerator before has of windows.
    fn serve_by(&mut self, accelerator: Option<Box<dyn Accelerator>>) {
        self.planes.set_accelerator(accelerator.as_ref().map(|accelerator| accelerator.slices()));
        self.accelerator = accelerator;
        self.queued.iter_mut().for_each(|queued| queued.is_on_accelerator = false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::dicom::CellLayout;
    use crate::dicom::ImageFile;
    use crate::engine::{EmbeddedEngine, Inference};
    use crate::exam::{Part, PlaneCentre, SeriesKey, SlabIndex, SlabSlices, SliceId, WindowJob};
    use crate::inference::{AcceleratorSlices, StoredSlice};
    use crate::preprocess::{InPlane, Plane, SlabSum, SourceAxis, StoredImage, Window};
    use crate::triage::SlabEvidence;

    /// An accelerator that falls off the bus after so many windows were collected, or takes so many.
    struct FailingAccelerator {
        windows: usize,
        takes: usize,
        engine: EmbeddedEngine,
        queued: VecDeque<Arc<QueuedWindow>>,
        slices: Arc<CountedSlices>,
    }

    /// Takes slices and counts them, then fails.
    struct CountedSlices {
        taken: AtomicUsize,
        most: usize,
    }

    impl AcceleratorSlices for CountedSlices {
        fn plane(&self, slice: StoredSlice) -> Result<Option<Plane>, EngineError> {
            if self.taken.fetch_add(1, Ordering::SeqCst) >= self.most {
                return Err(FailingAccelerator::gone());
            }
            Ok(Some(Plane::resample(&slice.image.hounsfield(), &slice.in_plane, &package().manifest.input)))
        }
    }

    impl FailingAccelerator {
        fn new(windows: usize, slices: usize) -> Box<Self> {
            let slices = Arc::new(CountedSlices { taken: AtomicUsize::new(0), most: slices });
            Box::new(Self { windows, takes: usize::MAX, engine: embedded(), queued: VecDeque::new(), slices })
        }

        fn gone() -> EngineError {
            EngineError::Run { engine: "cuda", reason: "no GPU any more".into() }
        }
    }

    impl Engine for FailingAccelerator {
        fn name(&self) -> &'static str {
            "cuda"
        }

        fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
            self.engine.infer(window)
        }
    }

    impl Accelerator for FailingAccelerator {
        fn slices(&self) -> Arc<dyn AcceleratorSlices> {
            self.slices.clone()
        }

        fn queue(&mut self, window: &Arc<QueuedWindow>) -> Result<(), EngineError> {
            self.takes = self.takes.checked_sub(1).ok_or_else(Self::gone)?;
            self.queued.push_back(Arc::clone(window));
            Ok(())
        }

        fn collect(&mut self) -> Result<(SlabEvidence, Duration), EngineError> {
            self.windows = self.windows.checked_sub(1).ok_or_else(Self::gone)?;
            let window = self.queued.pop_front().unwrap();
            let judged = infer_window(&mut self.engine, &window.job, &package().manifest);
            Ok((judged.evidence?, Duration::from_secs(1)))
        }

        fn forget(&mut self, _: &ExamKey) {}
    }

    fn package() -> &'static ModelPackage {
        static PACKAGE: std::sync::LazyLock<ModelPackage> =
            std::sync::LazyLock::new(|| ModelPackage::built_in().unwrap());
        &PACKAGE
    }

    fn embedded() -> EmbeddedEngine {
        EmbeddedEngine::load(package(), 1).unwrap()
    }

    fn series() -> SeriesKey {
        SeriesKey {
            exam: ExamKey::new("1.2", &crate::exam::Patient::default()),
            series_instance_uid: "1.3".into(),
            part: Part::WHOLE,
        }
    }

    /// Windows that differ from each other.
    fn window(number: i64) -> QueuedWindow {
        let input = &package().manifest.input;
        let mut sum = SlabSum::default();
        sum.add(&Plane::from_steps((0..input.plane_len()).map(|at| (at as i64 * number % 65_535) as u16).collect()));
        let (sum, slab) = (Arc::new(sum), SlabIndex(number));
        let sums = [sum.clone(), sum.clone(), sum];
        QueuedWindow { series: series(), job: WindowJob { slab, inputs: [(slab, SlabSlices::default()); 3], sums } }
    }

    #[test]
    fn when_the_accelerator_fails_the_cpu_judges_what_the_accelerator_had_and_all_later_windows_in_their_order() {
        let mut serving = Serving::new(package(), Some(FailingAccelerator::new(1, 0)), None, Box::new(embedded()));
        let state = serving.state().clone();
        let mut alone = embedded();
        let mut found = Vec::new();
        for number in 1..=4 {
            while !serving.has_room() {
                found.push(serving.collect().unwrap());
            }
            serving.queue(window(number));
            // With room for two on the accelerator the first is waited for before the third, and the second, which fails, before the fourth.
            let failed = number == 4;
            assert_eq!(state.engine(), if failed { "embedded" } else { "cuda" });
            assert_eq!(state.gpu_failure().is_some(), failed);
        }
        while let Some(judged) = serving.collect() {
            found.push(judged);
        }
        assert!(state.gpu_failure().unwrap().contains("no GPU any more"));
        let slabs: Vec<i64> = found.iter().map(|(window, _)| window.job.slab.0).collect();
        assert_eq!(slabs, [1, 2, 3, 4]);
        for (window, judged) in &found {
            let expected = infer_window(&mut alone, &window.job, &package().manifest);
            assert_eq!(judged.evidence.as_ref().unwrap(), &expected.evidence.unwrap());
            // The accelerator of this test says that it takes a second.
            assert_eq!(judged.took == Duration::from_secs(1), window.job.slab.0 == 1);
        }
    }

    #[test]
    fn an_accelerator_whose_network_is_built_takes_over_between_two_windows() {
        let (built, pending) = crossbeam_channel::bounded(1);
        let mut serving = Serving::new(package(), None, Some(pending), Box::new(embedded()));
        let state = serving.state().clone();
        serving.judge(window(1)).evidence.unwrap();
        assert_eq!(state.engine(), "embedded");
        built.send(Ok(FailingAccelerator::new(1, 0) as Box<dyn Accelerator>)).unwrap();
        let on_accelerator = serving.judge(window(2));
        assert_eq!((state.engine(), on_accelerator.took), ("cuda", Duration::from_secs(1)));
        serving.judge(window(3)).evidence.unwrap();
        assert_eq!(state.engine(), "embedded");
    }

    /// Windows 1 to 3 queued, the third one after `before_third`, and which of them the accelerator has judged.
    fn judged_on_accelerator(serving: &mut Serving, before_third: impl FnOnce()) -> Vec<bool> {
        let mut alone = embedded();
        let mut found = Vec::new();
        serving.queue(window(1));
        serving.queue(window(2));
        before_third();
        serving.queue(window(3));
        while let Some((window, judged)) = serving.collect() {
            let expected = infer_window(&mut alone, &window.job, &package().manifest);
            assert_eq!(judged.evidence.unwrap(), expected.evidence.unwrap());
            assert_eq!(window.job.slab, SlabIndex(found.len() as i64 + 1));
            found.push(judged.took == Duration::from_secs(1));
        }
        found
    }

    #[test]
    fn an_accelerator_that_takes_no_window_leaves_those_that_it_took_to_the_cpu() {
        let accelerator = FailingAccelerator { takes: 2, ..*FailingAccelerator::new(usize::MAX, 0) };
        let mut serving = Serving::new(package(), Some(Box::new(accelerator)), None, Box::new(embedded()));
        assert_eq!(judged_on_accelerator(&mut serving, || ()), [false; 3]);
        assert!(serving.state().gpu_failure().is_some());
    }

    #[test]
    fn an_accelerator_that_comes_while_windows_are_queued_has_none_of_them() {
        let (built, pending) = crossbeam_channel::bounded(1);
        let before: Box<dyn Accelerator> = FailingAccelerator::new(usize::MAX, 0);
        let mut serving = Serving::new(package(), Some(before), Some(pending), Box::new(embedded()));
        let comes = || built.send(Ok(FailingAccelerator::new(1, 0) as Box<dyn Accelerator>)).unwrap();
        assert_eq!(judged_on_accelerator(&mut serving, comes), [false, false, true]);
        assert!(serving.state().gpu_failure().is_none());
    }

    #[test]
    fn slices_go_to_the_accelerator_until_it_fails_and_their_planes_are_the_same_without_it() {
        let accelerator = FailingAccelerator::new(0, 2);
        let slices = accelerator.slices.clone();
        let serving = Serving::new(package(), Some(accelerator), None, Box::new(embedded()));
        let without = Serving::new(package(), None, None, Box::new(embedded()));
        let axis = |along_columns| SourceAxis { along_columns, reversed: false, spacing_mm: 90.0, offset_mm: 0.0 };
        for number in 0..5_u8 {
            let slice = || StoredSlice {
                series: series(),
                slab: SlabIndex(0),
                id: SliceId::of(&ImageFile { path: "1.4".into(), frame: number.into() }, PlaneCentre::at(0.0, 0.0)),
                image: StoredImage {
                    rows: 2,
                    columns: 2,
                    cell_bytes: 1,
                    cells: vec![number, 10 * number, 20 * number, 30 * number],
                    layout: CellLayout::new(8, 7, false),
                    rescale_slope: 2.0,
                    rescale_intercept: -100.0,
                    padding: None,
                },
                in_plane: InPlane { x: axis(true), y: axis(false) },
            };
            let hounsfield = slice().image.hounsfield();
            assert_eq!(serving.planes().plane(slice(), &hounsfield), without.planes().plane(slice(), &hounsfield));
        }
        // The third one failed, and no more were asked for.
        assert_eq!(slices.taken.load(Ordering::SeqCst), 3);
    }
}
