//! What serves: a card as long as it works, else the engine on the CPU.

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

/// A card whose network is being built.
pub type PendingAccelerator = Receiver<Result<Box<dyn Accelerator>, EngineError>>;

/// Windows that a card has at once: while the CPU makes evidence of one, the network judges the next.
const ON_CARD_AT_ONCE: usize = 2;

/// The engine that serves, and the windows that were handed to it.
pub struct Serving {
    card: Option<Box<dyn Accelerator>>,
    /// The card that takes over once its network is built.
    coming: Option<PendingAccelerator>,
    /// The engine that serves where there is no card, or when it fails.
    cpu: Box<dyn Engine>,
    manifest: Manifest,
    planes: Planes,
    queued: VecDeque<Queued>,
    state: EngineState,
}

struct Queued {
    window: Arc<QueuedWindow>,
    is_on_card: bool,
}

impl Serving {
    /// With a card, one that is coming, or the engine on the CPU alone.
    #[must_use]
    pub fn new(
        package: &ModelPackage,
        card: Option<Box<dyn Accelerator>>,
        coming: Option<PendingAccelerator>,
        cpu: Box<dyn Engine>,
    ) -> Self {
        let name = card.as_ref().map_or(cpu.name(), |card| card.name());
        let planes = Planes::new(&package.manifest.input);
        planes.set_card(card.as_ref().map(|card| card.slices()));
        Self {
            card,
            coming,
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
        self.queued.len() < if self.card.is_some() { ON_CARD_AT_ONCE } else { 1 }
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
        self.look_for_the_coming();
        let window = Arc::new(window);
        let handed_over = self.card.as_mut().map(|card| card.queue(&window));
        let is_on_card = matches!(handed_over, Some(Ok(())));
        if let Some(Err(error)) = handed_over {
            self.card_failed(&error);
        }
        Queued { window, is_on_card }
    }

    fn finish(&mut self, queued: &Queued) -> WindowResult {
        if let Some(card) = self.card.as_mut().filter(|_| queued.is_on_card) {
            match card.collect() {
                Ok((evidence, took)) => return WindowResult { evidence: Ok(evidence), took },
                Err(error) => self.card_failed(&error),
            }
        }
        infer_window(self.cpu.as_mut(), &queued.window.job, &self.manifest)
    }

    /// Lets go of what the card has of an exam; what is needed again is uploaded again.
    pub fn forget(&mut self, exam: &ExamKey) {
        if let Some(card) = &mut self.card {
            card.forget(exam);
        }
    }

    fn look_for_the_coming(&mut self) {
        let Some(coming) = &self.coming else { return };
        match coming.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => tracing::error!("the engine that was being built will not come"),
            Ok(Err(reason)) => tracing::error!(%reason, "the engine that was being built cannot serve"),
            Ok(Ok(card)) => {
                tracing::info!(engine = card.name(), "the engine is built and serves from now on");
                self.state.serves(card.name(), None);
                self.serve_by(Some(card));
            }
        }
        self.coming = None;
    }

    fn card_failed(&mut self, error: &EngineError) {
        telemetry::gpu_failure();
        tracing::error!(%error, engine = self.cpu.name(), "the GPU failed: the engine on the CPU serves until a restart");
        self.state.serves(self.cpu.name(), Some(error.to_string()));
        self.coming = None;
        self.serve_by(None);
    }

    /// The CPU judges what the card before has of windows.
    fn serve_by(&mut self, card: Option<Box<dyn Accelerator>>) {
        self.planes.set_card(card.as_ref().map(|card| card.slices()));
        self.card = card;
        self.queued.iter_mut().for_each(|queued| queued.is_on_card = false);
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

    /// A card that falls off the bus after so many windows were collected, or takes so many.
    struct FailingCard {
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
                return Err(FailingCard::gone());
            }
            Ok(Some(Plane::resample(&slice.image.hounsfield(), &slice.in_plane, &package().manifest.input)))
        }
    }

    impl FailingCard {
        fn new(windows: usize, slices: usize) -> Box<Self> {
            let slices = Arc::new(CountedSlices { taken: AtomicUsize::new(0), most: slices });
            Box::new(Self { windows, takes: usize::MAX, engine: embedded(), queued: VecDeque::new(), slices })
        }

        fn gone() -> EngineError {
            EngineError::Run { engine: "cuda", reason: "no GPU any more".into() }
        }
    }

    impl Engine for FailingCard {
        fn name(&self) -> &'static str {
            "cuda"
        }

        fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
            self.engine.infer(window)
        }
    }

    impl Accelerator for FailingCard {
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
        sum.add(&Plane::from_levels((0..input.plane_len()).map(|at| (at as i64 * number % 65_535) as u16).collect()));
        let (sum, slab) = (Arc::new(sum), SlabIndex(number));
        let sums = [sum.clone(), sum.clone(), sum];
        QueuedWindow { series: series(), job: WindowJob { slab, inputs: [(slab, SlabSlices::default()); 3], sums } }
    }

    #[test]
    fn when_the_card_fails_the_cpu_judges_what_the_card_had_and_all_later_windows_in_their_order() {
        let mut serving = Serving::new(package(), Some(FailingCard::new(1, 0)), None, Box::new(embedded()));
        let state = serving.state().clone();
        let mut alone = embedded();
        let mut found = Vec::new();
        for number in 1..=4 {
            while !serving.has_room() {
                found.push(serving.collect().unwrap());
            }
            serving.queue(window(number));
            // With room for two on the card the first is waited for before the third, and the second, which fails, before the fourth.
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
            // The card of this test says that it takes a second.
            assert_eq!(judged.took == Duration::from_secs(1), window.job.slab.0 == 1);
        }
    }

    #[test]
    fn a_card_whose_network_is_built_takes_over_between_two_windows() {
        let (built, coming) = crossbeam_channel::bounded(1);
        let mut serving = Serving::new(package(), None, Some(coming), Box::new(embedded()));
        let state = serving.state().clone();
        serving.judge(window(1)).evidence.unwrap();
        assert_eq!(state.engine(), "embedded");
        built.send(Ok(FailingCard::new(1, 0) as Box<dyn Accelerator>)).unwrap();
        let on_card = serving.judge(window(2));
        assert_eq!((state.engine(), on_card.took), ("cuda", Duration::from_secs(1)));
        serving.judge(window(3)).evidence.unwrap();
        assert_eq!(state.engine(), "embedded");
    }

    /// Windows 1 to 3 queued, the third one after `before_third`, and which of them the card has judged.
    fn judged_on_card(serving: &mut Serving, before_third: impl FnOnce()) -> Vec<bool> {
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
    fn a_card_that_takes_no_window_leaves_those_that_it_took_to_the_cpu() {
        let card = FailingCard { takes: 2, ..*FailingCard::new(usize::MAX, 0) };
        let mut serving = Serving::new(package(), Some(Box::new(card)), None, Box::new(embedded()));
        assert_eq!(judged_on_card(&mut serving, || ()), [false; 3]);
        assert!(serving.state().gpu_failure().is_some());
    }

    #[test]
    fn a_card_that_comes_while_windows_are_queued_has_none_of_them() {
        let (built, coming) = crossbeam_channel::bounded(1);
        let before: Box<dyn Accelerator> = FailingCard::new(usize::MAX, 0);
        let mut serving = Serving::new(package(), Some(before), Some(coming), Box::new(embedded()));
        let comes = || built.send(Ok(FailingCard::new(1, 0) as Box<dyn Accelerator>)).unwrap();
        assert_eq!(judged_on_card(&mut serving, comes), [false, false, true]);
        assert!(serving.state().gpu_failure().is_none());
    }

    #[test]
    fn slices_go_to_the_card_until_it_fails_and_their_planes_are_the_same_without_it() {
        let card = FailingCard::new(0, 2);
        let slices = card.slices.clone();
        let serving = Serving::new(package(), Some(card), None, Box::new(embedded()));
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
