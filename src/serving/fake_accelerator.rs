//! An accelerator for tests: it answers, fails, hangs and ends when a test says so.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::engine::{EmbeddedEngine, Engine, EngineError, Inference, ModelPackage};
use crate::exam::ExamKey;
use crate::inference::{
    Accelerator, AcceleratorSlices, QueuedWindow, StoredSlice, WindowReply, WindowResult, infer_window,
};
use crate::preprocess::{Plane, Window};

/// What it says that every window took, by which a test knows whose result it is.
pub(crate) const TOOK: Duration = Duration::from_secs(1);

pub(crate) fn package() -> &'static ModelPackage {
    static PACKAGE: LazyLock<ModelPackage> = LazyLock::new(|| ModelPackage::built_in().unwrap());
    &PACKAGE
}

pub(crate) fn embedded() -> EmbeddedEngine {
    EmbeddedEngine::load(package(), 1).unwrap()
}

pub(crate) fn gone() -> EngineError {
    EngineError::Run { engine: "cuda", reason: "no GPU any more".into() }
}

/// What becomes of the windows that it is given.
enum Answers {
    WhenTold,
    /// So many at once, then it fails.
    ThenFails(usize),
}

/// The accelerator as the test has it in its hands.
pub(crate) struct FakeDevice {
    answers: Mutex<Answers>,
    held: Mutex<VecDeque<(Arc<QueuedWindow>, WindowReply)>>,
    engine: Mutex<Box<dyn Engine>>,
    package: ModelPackage,
    /// Windows that it takes before it fails.
    takes: AtomicUsize,
    slices: AtomicUsize,
    takes_slices: usize,
    hangs: AtomicBool,
}

impl FakeDevice {
    fn new(
        answers: Answers,
        takes: usize,
        takes_slices: usize,
        package: ModelPackage,
        engine: Box<dyn Engine>,
    ) -> Self {
        Self {
            answers: Mutex::new(answers),
            held: Mutex::default(),
            engine: Mutex::new(engine),
            package,
            takes: AtomicUsize::new(takes),
            slices: AtomicUsize::new(0),
            takes_slices,
            hangs: AtomicBool::new(false),
        }
    }

    fn of_embedded(answers: Answers, takes: usize, takes_slices: usize) -> Arc<Self> {
        Arc::new(Self::new(answers, takes, takes_slices, package().clone(), Box::new(embedded())))
    }

    /// Answers windows when told, by this engine.
    pub(crate) fn silent_with(package: ModelPackage, engine: Box<dyn Engine>) -> Arc<Self> {
        Arc::new(Self::new(Answers::WhenTold, usize::MAX, usize::MAX, package, engine))
    }

    /// Answers windows when told.
    pub(crate) fn silent() -> Arc<Self> {
        Self::of_embedded(Answers::WhenTold, usize::MAX, usize::MAX)
    }

    /// Takes so many windows and answers none of them, then fails.
    pub(crate) fn taking(windows: usize) -> Arc<Self> {
        Self::of_embedded(Answers::WhenTold, windows, usize::MAX)
    }

    /// Answers so many windows at once, then fails.
    pub(crate) fn answering(windows: usize) -> Arc<Self> {
        Self::of_embedded(Answers::ThenFails(windows), usize::MAX, usize::MAX)
    }

    /// Takes so many slices, then fails.
    pub(crate) fn taking_slices(slices: usize) -> Arc<Self> {
        Self::of_embedded(Answers::ThenFails(0), usize::MAX, slices)
    }

    pub(crate) fn accelerator(self: &Arc<Self>) -> Box<dyn Accelerator> {
        Box::new(FakeAccelerator(Arc::clone(self)))
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<(Arc<QueuedWindow>, WindowReply)>> {
        self.held.lock()
    }

    /// Windows that it has not answered.
    pub(crate) fn holds(&self) -> usize {
        self.held().len()
    }

    /// Slices that it was asked for.
    pub(crate) fn slices(&self) -> usize {
        self.slices.load(Ordering::SeqCst)
    }

    /// Answers the window that it has had for longest.
    pub(crate) fn answer(&self) {
        let (window, reply) = self.held().pop_front().unwrap();
        reply.send(self.infer(&window));
    }

    /// From now on every window is answered at once, those that it has included.
    pub(crate) fn answer_all(&self) {
        let mut answers = self.answers.lock();
        *answers = Answers::ThenFails(usize::MAX);
        while self.holds() > 0 {
            self.answer();
        }
    }

    fn infer(&self, window: &QueuedWindow) -> WindowResult {
        let result = infer_window(self.engine.lock().as_mut(), &window.job, &self.package.manifest);
        WindowResult { took: TOOK, ..result }
    }

    /// Falls off the bus: the window that it has had for longest is answered with why, the others are dropped.
    pub(crate) fn fail(&self) {
        let (_, reply) = self.held().pop_front().unwrap();
        reply.send(WindowResult::failed(gone()));
        self.held().clear();
    }

    /// Whether its thread ends when it is told to.
    pub(crate) fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }
}

impl AcceleratorSlices for FakeDevice {
    fn plane(&self, slice: StoredSlice) -> Result<Option<Plane>, EngineError> {
        if self.slices.fetch_add(1, Ordering::SeqCst) >= self.takes_slices {
            return Err(gone());
        }
        Ok(Some(Plane::resample(&slice.image.hounsfield(), &slice.in_plane, &self.package.manifest.input)))
    }
}

struct FakeAccelerator(Arc<FakeDevice>);

impl Engine for FakeAccelerator {
    fn name(&self) -> &'static str {
        "cuda"
    }

    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
        self.0.engine.lock().infer(window)
    }
}

impl Accelerator for FakeAccelerator {
    fn slices(&self) -> Arc<dyn AcceleratorSlices> {
        self.0.clone()
    }

    fn queue(&mut self, window: &Arc<QueuedWindow>, reply: WindowReply) {
        let mut answers = self.0.answers.lock();
        let takes = self.0.takes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |takes| takes.checked_sub(1));
        match &mut *answers {
            Answers::ThenFails(0) => reply.send(WindowResult::failed(gone())),
            _ if takes.is_err() => reply.send(WindowResult::failed(gone())),
            Answers::ThenFails(windows) => {
                *windows -= 1;
                reply.send(self.0.infer(window));
            }
            Answers::WhenTold => self.0.held().push_back((Arc::clone(window), reply)),
        }
    }

    fn forget(&mut self, _: &ExamKey) {}

    fn end(&mut self) -> bool {
        !self.0.hangs.load(Ordering::SeqCst)
    }
}
