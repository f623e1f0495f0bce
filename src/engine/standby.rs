//! An engine that may be replaced while it serves: by a faster one that is still being built, or, when the GPU fails, by one
//! on the CPU.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, TryRecvError};

use super::{Engine, EngineError, Inference};
use crate::preprocess::Window;
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
    pub(super) fn new(engine: &'static str, model: &str) -> Self {
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

/// An engine that is being built.
pub type Coming = Receiver<Result<Box<dyn Engine>, EngineError>>;

/// An engine with one on the CPU behind it.
pub struct Standby {
    /// The one that serves as long as it works.
    first: Option<Box<dyn Engine>>,
    /// The one that takes its place once it is built.
    coming: Option<Coming>,
    cpu: Box<dyn Engine>,
    state: EngineState,
}

impl Standby {
    pub fn new(
        first: Option<Box<dyn Engine>>,
        coming: Option<Coming>,
        cpu: Box<dyn Engine>,
        state: EngineState,
    ) -> Self {
        Self { first, coming, cpu, state }
    }

    fn look_for_the_coming(&mut self) {
        let Some(coming) = &self.coming else { return };
        match coming.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => tracing::error!("the engine that was being built will not come"),
            Ok(Err(reason)) => tracing::error!(%reason, "the engine that was being built cannot serve"),
            Ok(Ok(engine)) => {
                tracing::info!(engine = engine.name(), "the engine is built and serves from now on");
                self.state.serves(engine.name(), None);
                self.first = Some(engine);
            }
        }
        self.coming = None;
    }
}

impl Engine for Standby {
    fn name(&self) -> &'static str {
        self.first.as_ref().map_or(self.cpu.name(), |engine| engine.name())
    }

    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
        self.look_for_the_coming();
        let Some(first) = &mut self.first else { return self.cpu.infer(window) };
        let error = match first.infer(window) {
            Ok(inference) => return Ok(inference),
            Err(error) => error,
        };
        telemetry::gpu_failure();
        tracing::error!(%error, engine = self.cpu.name(), "the GPU failed: the engine on the CPU serves until a restart");
        self.first = None;
        self.state.serves(self.cpu.name(), Some(error.to_string()));
        self.cpu.infer(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EmbeddedEngine, ModelPackage};

    /// An engine whose GPU falls off the bus after so many windows.
    struct Failing(usize, EmbeddedEngine);

    impl Engine for Failing {
        fn name(&self) -> &'static str {
            "cuda"
        }

        fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
            self.0 =
                self.0.checked_sub(1).ok_or(EngineError::Run { engine: "cuda", reason: "no GPU any more".into() })?;
            self.1.infer(window)
        }
    }

    fn embedded() -> EmbeddedEngine {
        EmbeddedEngine::load(&ModelPackage::built_in().unwrap(), 1).unwrap()
    }

    #[test]
    fn when_the_gpu_fails_the_cpu_answers_for_the_same_window_and_all_later_ones() {
        let window = Window::empty(&ModelPackage::built_in().unwrap().manifest.input);
        let state = EngineState::new("cuda", "reference");
        let mut engine =
            Standby::new(Some(Box::new(Failing(1, embedded()))), None, Box::new(embedded()), state.clone());
        let first = engine.infer(&window).unwrap();
        assert_eq!((state.engine(), state.gpu_failure()), ("cuda", None));
        for _ in 0..2 {
            assert_eq!(engine.infer(&window).unwrap(), first);
            assert_eq!((engine.name(), state.engine()), ("embedded", "embedded"));
        }
        assert!(state.gpu_failure().unwrap().contains("no GPU any more"));
    }

    #[test]
    fn an_engine_that_is_built_takes_over_between_two_windows() {
        let window = Window::empty(&ModelPackage::built_in().unwrap().manifest.input);
        let state = EngineState::new("embedded", "reference");
        let (built, coming) = crossbeam_channel::bounded(1);
        let mut engine = Standby::new(None, Some(coming), Box::new(embedded()), state.clone());
        engine.infer(&window).unwrap();
        assert_eq!(state.engine(), "embedded");
        built.send(Ok(Box::new(Failing(1, embedded())) as Box<dyn Engine>)).unwrap();
        engine.infer(&window).unwrap();
        assert_eq!(state.engine(), "cuda");
        engine.infer(&window).unwrap();
        assert_eq!(state.engine(), "embedded");
    }
}
