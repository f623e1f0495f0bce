//! A GPU as the analysis knows it: one thread that owns the device, and channels to it.
//!
//! A call into NVIDIA's libraries may never return, and nothing can interrupt it. So this thread alone makes such
//! calls. Windows are answered by messages, and whoever asks for a slice's plane waits no longer than a deadline. A GPU
//! that misses the deadline or fails costs one window: that is an error like any other, and the CPU takes over. Nothing
//! more is asked of it; a thread that hangs is left behind, and no other is started beside it (`given_up`).
//!
//! The first error ends the thread, since after a failed launch nothing that lies on the GPU can be trusted. Its reason
//! is noted before the channels close (`noted`), so that whoever waits reads the reason and not only that the thread
//! is gone.
//!
//! One thread also fixes the order: slices come onto the stream before the window that is made of them, and what was
//! queued first is answered first. While one window's model runs, the CPU makes the evidence of the window before: two
//! are under way, no more.

use std::collections::VecDeque;
use std::fmt::{Display, Formatter};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, unbounded};
use cudarc::driver::DriverError;
use parking_lot::{Mutex, MutexGuard};

use super::upload::{SLOTS, SentSlice};
use super::{AcceleratorEngine, Device, DeviceModel, DevicePipeline, Failure, GpuError, QueuedEvidence};
use crate::engine::{Engine, EngineError, EngineKind, Inference, ModelPackage, OutputNames, checked};
use crate::exam::ExamKey;
use crate::inference::{
    ANSWER_TIME, Accelerator, AcceleratorSlices, QueuedWindow, StoredSlice, WindowReply, WindowResult,
};
use crate::preprocess::{Plane, Window};
use crate::triage::SlabEvidence;

/// Opening the GPU loads the model, and its first window loads and tries kernels.
const OPENING_TIME: Duration = Duration::from_mins(2);
/// A GPU that has not given everything back by then never will.
const ENDING_TIME: Duration = Duration::from_secs(10);

/// Threads that were given up because they hang. They still have the card: none is started beside them, so that trying again
/// and again leaves one thread behind and not many.
static GIVEN_UP: Mutex<Vec<Receiver<()>>> = Mutex::new(Vec::new());

fn given_up() -> MutexGuard<'static, Vec<Receiver<()>>> {
    let mut given_up = GIVEN_UP.lock();
    given_up.retain(|ended| ended.try_recv() != Err(TryRecvError::Disconnected));
    given_up
}

/// Where the answer to a request goes; nobody may be waiting for it any more.
type Reply<T> = Sender<T>;

#[expect(clippy::large_enum_variant, reason = "a few at a time, most of them slices")]
enum Request {
    Slice(StoredSlice, Reply<Option<Plane>>),
    Window(Arc<QueuedWindow>, EvidenceReply),
    /// A window that the host made.
    Inference(Window, Reply<[Vec<f32>; 4]>),
    Forget(ExamKey),
    End,
}

/// Where the evidence of a window goes. Dropped unanswered it says why the thread has ended.
struct EvidenceReply {
    /// Absent once it has been used.
    reply: Option<WindowReply>,
    engine: &'static str,
    failure: Arc<OnceLock<Ending>>,
}

impl EvidenceReply {
    fn send(mut self, evidence: SlabEvidence, took: Duration) {
        if let Some(reply) = self.reply.take() {
            reply.send(WindowResult { evidence: Ok(evidence), took });
        }
    }
}

impl Drop for EvidenceReply {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            let reason = self.failure.get().unwrap_or(&Ending::Gone).to_string();
            reply.send(WindowResult::failed(EngineError::Run { engine: self.engine, reason }));
        }
    }
}

/// The way to the thread; cheap to clone.
#[derive(Clone)]
struct Requests {
    engine: &'static str,
    sender: Sender<Request>,
    failure: Arc<OnceLock<Ending>>,
}

/// Why nothing more is to be expected.
enum Ending {
    Failed(String),
    DoesNotAnswer,
    Gone,
}

impl Display for Ending {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Failed(reason) => reason,
            Self::DoesNotAnswer => "the GPU does not answer",
            Self::Gone => "the GPU's thread has ended",
        })
    }
}

/// The first GPU with a package's model.
pub struct AcceleratorThread {
    requests: Requests,
    names: OutputNames,
    /// Is closed when the thread has ended.
    ended: Receiver<()>,
}

impl AcceleratorThread {
    /// Opens the GPU with room for `slabs` slabs and loads the model there.
    ///
    /// # Errors
    /// [`EngineError::Load`] if the engine refuses the model; another error if it is not here, or the GPU refuses or does not answer.
    pub fn open(engine: AcceleratorEngine, package: &ModelPackage, slabs: usize) -> Result<Self, EngineError> {
        let package_there = package.clone();
        Self::start(engine.kind(), package, slabs, move |device, work| engine.run(&package_there, device, work))
    }

    /// A thread on whose device `with_model` makes the model.
    pub(crate) fn start(
        kind: EngineKind,
        package: &ModelPackage,
        slabs: usize,
        with_model: impl FnOnce(&Device, &mut Work<'_>) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Self, EngineError> {
        let (sender, inbox) = unbounded();
        let (opened, opening) = bounded(1);
        let (ending, ended) = bounded(0);
        let engine = kind.name();
        let requests = Requests { engine, sender, failure: Arc::default() };
        let (manifest, model, failure) = (package.manifest.clone(), package.title(), requests.failure.clone());
        let thread = move || {
            let of_gpu = |error: GpuError| EngineError::Run { engine, reason: error.to_string() };
            let run = || -> Result<(), Failure> {
                let device = Device::open().map_err(GpuError::from).map_err(of_gpu)?;
                with_model(&device, &mut |model| {
                    let pipeline = DevicePipeline::new(&device, model, &manifest, slabs);
                    let mut pipeline = pipeline.map_err(of_gpu)?;
                    pipeline.infer(&Window::empty(&manifest.input))?;
                    // Whoever opens the GPU may have given up.
                    let _ = opened.send(Ok(()));
                    Worker { pipeline: &mut pipeline, under_way: VecDeque::new(), failure: &failure }.serve(&inbox)
                })
            };
            if let Err(error) = run() {
                let reason = error.to_string();
                let error = match error.downcast::<EngineError>() {
                    Ok(error) => *error,
                    Err(error) if is_of_the_driver(error.as_ref()) => EngineError::Run { engine, reason },
                    Err(_) => EngineError::Load { engine, model, reason },
                };
                // Once the GPU has been opened nobody waits for this.
                let _ = opened.try_send(Err(error));
            }
            drop(ending);
        };
        if !given_up().is_empty() {
            return Err(requests.failed("an earlier thread still hangs on the GPU".to_owned()));
        }
        let spawned = std::thread::Builder::new().name("accelerator".to_owned()).spawn(thread);
        spawned.map_err(|error| requests.failed(error.to_string()))?;
        match opening.recv_timeout(OPENING_TIME) {
            Ok(opened) => opened.map(|()| Self { requests, names: package.manifest.outputs.clone(), ended }),
            Err(error) => {
                given_up().push(ended);
                Err(requests.no_answer(error))
            }
        }
    }
}

impl Drop for AcceleratorThread {
    /// Waits until memory and libraries have been given back: the process may end next, or open the GPU again.
    fn drop(&mut self) {
        // A thread that has ended takes no requests.
        let _ = self.requests.sender.send(Request::End);
        let hangs = matches!(self.requests.failure.get(), Some(Ending::DoesNotAnswer));
        let patience = if hangs { Duration::ZERO } else { ENDING_TIME };
        if self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            given_up().push(self.ended.clone());
            tracing::error!(
                "the GPU's thread has not ended: what it holds on the GPU is free again once this program ends"
            );
        }
    }
}

impl Requests {
    fn send<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<Receiver<T>, EngineError> {
        if let Some(failure) = self.failure.get() {
            return Err(self.failed(failure.to_string()));
        }
        let (reply, answer) = bounded(1);
        self.sender.send(request(reply)).map_err(|_| self.no_answer(RecvTimeoutError::Disconnected))?;
        Ok(answer)
    }

    fn receive<T>(&self, answer: &Receiver<T>) -> Result<T, EngineError> {
        answer.recv_timeout(ANSWER_TIME).map_err(|error| self.no_answer(error))
    }

    /// Nothing more is asked of a GPU that has not answered.
    fn no_answer(&self, error: RecvTimeoutError) -> EngineError {
        let ending = match error {
            RecvTimeoutError::Timeout => Ending::DoesNotAnswer,
            RecvTimeoutError::Disconnected => Ending::Gone,
        };
        self.failed(self.failure.get_or_init(|| ending).to_string())
    }

    fn failed(&self, reason: String) -> EngineError {
        EngineError::Run { engine: self.engine, reason }
    }
}

/// What is done with the model once it is there.
pub(crate) type Work<'a> = dyn FnMut(&mut dyn DeviceModel) -> Result<(), Failure> + 'a;

impl Engine for AcceleratorThread {
    fn name(&self) -> &'static str {
        self.requests.engine
    }

    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
        let answer = self.requests.send(|reply| Request::Inference(window.clone(), reply))?;
        let outputs = self.requests.receive(&answer)?;
        let [_, _, rows, columns] = window.shape();
        checked(self.name(), &self.names, rows * columns, outputs.each_ref().map(Vec::as_slice))
    }
}

impl Accelerator for AcceleratorThread {
    fn slices(&self) -> Arc<dyn AcceleratorSlices> {
        Arc::new(self.requests.clone())
    }

    fn queue(&mut self, window: &Arc<QueuedWindow>, reply: WindowReply) {
        let Requests { engine, failure, sender } = &self.requests;
        let reply = EvidenceReply { reply: Some(reply), engine, failure: Arc::clone(failure) };
        // One that failed a slice gets no more windows. What is not sent is dropped, and so answered.
        if failure.get().is_none() {
            let _ = sender.send(Request::Window(Arc::clone(window), reply));
        }
    }

    fn forget(&mut self, exam: &ExamKey) {
        // A thread that has ended has forgotten everything.
        let _ = self.requests.sender.send(Request::Forget(exam.clone()));
    }

    fn end(&mut self) -> bool {
        // It is asked for nothing more; where it has not failed by itself it is given up because it hangs.
        let _ = self.requests.failure.set(Ending::DoesNotAnswer);
        let _ = self.requests.sender.send(Request::End);
        self.ended.try_recv() == Err(TryRecvError::Disconnected)
    }
}

impl AcceleratorSlices for Requests {
    fn plane(&self, slice: StoredSlice) -> Result<Option<Plane>, EngineError> {
        let answer = self.send(|reply| Request::Slice(slice, reply))?;
        self.receive(&answer)
    }
}

/// The thread's work.
struct Worker<'worker, 'device> {
    pipeline: &'worker mut DevicePipeline<'device>,
    /// In the order in which it was queued on the stream, which is that in which it will be done; of windows one at most.
    under_way: VecDeque<UnderWay>,
    failure: &'worker OnceLock<Ending>,
}

enum UnderWay {
    Slice {
        sent: SentSlice,
        reply: Reply<Option<Plane>>,
    },
    Window {
        evidence: QueuedEvidence,
        /// When the window before it had left the GPU.
        since: Instant,
        reply: EvidenceReply,
    },
}

impl Worker<'_, '_> {
    /// Answers requests until one says to end. The first error ends it too: whoever waits sees that the thread is gone, and why.
    fn serve(mut self, requests: &Receiver<Request>) -> Result<(), Failure> {
        loop {
            let is_idle = self.under_way.is_empty();
            let request = if is_idle { requests.recv().map_err(TryRecvError::from) } else { requests.try_recv() };
            match request {
                Ok(request) => {
                    if !self.take(request)? {
                        return Ok(());
                    }
                }
                Err(_) if is_idle => return Ok(()),
                Err(_) => self.wait_for_first()?,
            }
        }
    }

    /// `false` if this was the last request.
    fn take(&mut self, request: Request) -> Result<bool, Failure> {
        match request {
            Request::Slice(slice, reply) => {
                let is_slice = |under_way: &&UnderWay| matches!(under_way, UnderWay::Slice { .. });
                while self.under_way.iter().filter(is_slice).count() >= SLOTS {
                    self.wait_for_first()?;
                }
                match noted(self.failure, self.pipeline.add(&slice))? {
                    Some(sent) => self.under_way.push_back(UnderWay::Slice { sent, reply }),
                    None => answer(&reply, None),
                }
            }
            Request::Window(window, reply) => self.begin(&window, reply)?,
            Request::Inference(window, reply) => {
                self.wait_for_all()?;
                answer(&reply, noted(self.failure, self.pipeline.infer(&window))?);
            }
            Request::Forget(exam) => self.pipeline.forget(&exam),
            Request::End => {
                self.wait_for_all()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Queues a window, and waits for the one before while the model runs.
    fn begin(&mut self, window: &QueuedWindow, reply: EvidenceReply) -> Result<(), Failure> {
        let mut since = Instant::now();
        let is_window = |under_way: &UnderWay| matches!(under_way, UnderWay::Window { .. });
        let before_earlier = self.under_way.iter().position(is_window).unwrap_or(0);
        for _ in 0..before_earlier {
            self.wait_for_first()?;
        }
        let earlier = self.under_way.pop_front_if(|first| is_window(first));
        let mut begun = noted(self.failure, self.pipeline.begin(&window.series, &window.job))?;
        if let Some(UnderWay::Window { evidence, since: earlier_since, reply }) = earlier {
            let evidence = noted(self.failure, begun.evidence_of(evidence))?;
            reply.send(evidence, earlier_since.elapsed());
            since = Instant::now();
        }
        let evidence = noted(self.failure, begun.queue_evidence())?;
        self.under_way.push_back(UnderWay::Window { evidence, since, reply });
        Ok(())
    }

    fn wait_for_all(&mut self) -> Result<(), Failure> {
        while !self.under_way.is_empty() {
            self.wait_for_first()?;
        }
        Ok(())
    }

    fn wait_for_first(&mut self) -> Result<(), Failure> {
        match self.under_way.pop_front() {
            Some(UnderWay::Slice { sent, reply }) => {
                answer(&reply, Some(noted(self.failure, self.pipeline.plane(sent))?));
            }
            Some(UnderWay::Window { evidence, since, reply }) => {
                let evidence = noted(self.failure, self.pipeline.evidence(evidence))?;
                reply.send(evidence, since.elapsed());
            }
            None => {}
        }
        Ok(())
    }
}

fn answer<T>(reply: &Reply<T>, answer: T) {
    // Whoever asked may have given up.
    let _ = reply.send(answer);
}

/// Notes an error before anybody who waits sees that the thread is gone.
fn noted<T>(failure: &OnceLock<Ending>, result: Result<T, GpuError>) -> Result<T, Failure> {
    result.map_err(|error| {
        let _ = failure.set(Ending::Failed(error.to_string()));
        error.into()
    })
}

/// The driver, and so the GPU, is at fault, not the model.
fn is_of_the_driver(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<DriverError>() || matches!(error.downcast_ref(), Some(GpuError::Driver(_)))
}
