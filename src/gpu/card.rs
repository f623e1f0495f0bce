//! A card as the analysis knows it: one thread that owns the device, and channels to it. A card that no longer answers so costs one
//! deadline, and whatever goes wrong there is an error like any other.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, unbounded};

use super::pipeline::SLABS;
use super::upload::{SLOTS, SentSlice};
use super::{CardNetwork, Device, DeviceNetwork, DevicePipeline, Failure, GpuError, JudgedWindow};
use crate::engine::{Engine, EngineError, EngineKind, Inference, ModelPackage, OutputNames, checked};
use crate::exam::ExamKey;
use crate::inference::{Card, CardSlices, DueWindow, StoredSlice};
use crate::preprocess::{Plane, Window};
use crate::triage::SlabEvidence;

/// A card that has not answered by then hangs.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Opening the card and loading the network also loads its kernels.
const OPENING_TIME: Duration = Duration::from_mins(2);

/// Where the answer to a request goes; nobody may be waiting for it any more.
type Reply<T> = Sender<T>;

enum Request {
    Slice(StoredSlice, Reply<Option<Plane>>),
    Window(Arc<DueWindow>, Reply<(SlabEvidence, Duration)>),
    /// A window that the host made.
    Inference(Window, Reply<[Vec<f32>; 4]>),
    Forget(ExamKey),
}

/// The way to the thread; cheap to clone.
#[derive(Clone)]
struct Requests {
    engine: &'static str,
    sender: Sender<Request>,
    /// Why the thread has ended.
    failure: Arc<OnceLock<String>>,
}

/// The first card with a package's network.
pub struct CardThread {
    requests: Requests,
    /// Of the windows that were queued.
    answers: VecDeque<Receiver<(SlabEvidence, Duration)>>,
    names: OutputNames,
}

impl CardThread {
    /// Opens the card and loads the network there.
    ///
    /// # Errors
    /// [`EngineError::Load`] if the card or the engine refuses; another error if they do not answer, or the engine is not here.
    pub fn open(network: CardNetwork, package: &ModelPackage) -> Result<Self, EngineError> {
        let package_there = package.clone();
        Self::start(network.kind(), package, SLABS, move |device, work| network.run(&package_there, device, work))
    }

    /// A thread on whose device `with_network` makes the network, with room for so many slabs.
    pub(crate) fn start(
        kind: EngineKind,
        package: &ModelPackage,
        slabs: usize,
        with_network: impl FnOnce(&Device, &mut Work<'_>) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Self, EngineError> {
        let (sender, inbox) = unbounded();
        let (opened, opening) = bounded(1);
        let manifest = package.manifest.clone();
        let requests = Requests { engine: kind.name(), sender, failure: Arc::default() };
        let failure = requests.failure.clone();
        let thread = move || {
            let run = || -> Result<(), Failure> {
                let device = Device::open()?;
                with_network(&device, &mut |network| {
                    let pipeline = &mut DevicePipeline::new(&device, network, &manifest, slabs)?;
                    // Whoever opens the card may have given up.
                    let _ = opened.send(Ok(()));
                    Worker { pipeline, slices: VecDeque::new(), window: None, failure: &failure }.serve(&inbox)
                })
            };
            if let Err(error) = run() {
                // Once the card has been opened nobody waits for this.
                let _ = opened.try_send(Err(error.to_string()));
            }
        };
        let spawned = std::thread::Builder::new().name("card".to_owned()).spawn(thread);
        spawned.map_err(|error| requests.failed(error.to_string()))?;
        match opening.recv_timeout(OPENING_TIME) {
            Ok(Ok(())) => Ok(Self { requests, answers: VecDeque::new(), names: package.manifest.outputs.clone() }),
            Ok(Err(reason)) => Err(EngineError::Load { engine: kind.name(), model: package.title(), reason }),
            Err(error) => Err(requests.no_answer(error)),
        }
    }
}

impl Requests {
    fn send<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<Receiver<T>, EngineError> {
        let (reply, answer) = bounded(1);
        self.sender.send(request(reply)).map_err(|_| self.no_answer(RecvTimeoutError::Disconnected))?;
        Ok(answer)
    }

    fn receive<T>(&self, answer: &Receiver<T>) -> Result<T, EngineError> {
        answer.recv_timeout(ANSWER_TIME).map_err(|error| self.no_answer(error))
    }

    fn no_answer(&self, error: RecvTimeoutError) -> EngineError {
        self.failed(match (error, self.failure.get()) {
            (RecvTimeoutError::Timeout, _) => "the GPU does not answer".to_owned(),
            (RecvTimeoutError::Disconnected, Some(failure)) => failure.clone(),
            (RecvTimeoutError::Disconnected, None) => "the GPU's thread has ended".to_owned(),
        })
    }

    fn failed(&self, reason: String) -> EngineError {
        EngineError::Run { engine: self.engine, reason }
    }
}

/// What is done with the network once it is there.
pub(crate) type Work<'a> = dyn FnMut(&mut dyn DeviceNetwork) -> Result<(), Failure> + 'a;

impl Engine for CardThread {
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

impl Card for CardThread {
    fn slices(&self) -> Arc<dyn CardSlices> {
        Arc::new(self.requests.clone())
    }

    fn queue(&mut self, window: &Arc<DueWindow>) -> Result<(), EngineError> {
        let answer = self.requests.send(|reply| Request::Window(Arc::clone(window), reply))?;
        self.answers.push_back(answer);
        Ok(())
    }

    fn collect(&mut self) -> Result<(SlabEvidence, Duration), EngineError> {
        let nothing = || self.requests.failed("no window was queued".to_owned());
        let answer = self.answers.pop_front().ok_or_else(nothing)?;
        self.requests.receive(&answer)
    }

    fn forget(&mut self, exam: &ExamKey) {
        // A thread that has ended has forgotten everything.
        let _ = self.requests.sender.send(Request::Forget(exam.clone()));
    }
}

impl CardSlices for Requests {
    fn plane(&self, slice: StoredSlice) -> Result<Option<Plane>, EngineError> {
        let answer = self.send(|reply| Request::Slice(slice, reply))?;
        self.receive(&answer)
    }
}

/// The thread's work: what is under way on the card, and for whom.
struct Worker<'worker, 'card> {
    pipeline: &'worker mut DevicePipeline<'card>,
    slices: VecDeque<(SentSlice, Reply<Option<Plane>>)>,
    window: Option<UnderWay>,
    failure: &'worker OnceLock<String>,
}

struct UnderWay {
    judged: JudgedWindow,
    /// Since when no window before it kept the card.
    since: Instant,
    reply: Reply<(SlabEvidence, Duration)>,
}

impl Worker<'_, '_> {
    /// Answers requests until nobody can send any more. The first error ends it: whoever waits sees that the thread is gone, and
    /// why.
    fn serve(mut self, requests: &Receiver<Request>) -> Result<(), Failure> {
        loop {
            let is_idle = self.slices.is_empty() && self.window.is_none();
            let request = if is_idle { requests.recv().map_err(TryRecvError::from) } else { requests.try_recv() };
            match request {
                Ok(request) => self.take(request)?,
                Err(_) if is_idle => return Ok(()),
                Err(_) => self.wait()?,
            }
        }
    }

    fn take(&mut self, request: Request) -> Result<(), Failure> {
        match request {
            Request::Slice(slice, reply) => {
                if self.slices.len() == SLOTS {
                    self.wait_for_slice()?;
                }
                match told(self.failure, self.pipeline.add(&slice))? {
                    Some(sent) => self.slices.push_back((sent, reply)),
                    None => answer(&reply, None),
                }
            }
            Request::Window(window, reply) => self.begin(&window, reply)?,
            Request::Inference(window, reply) => {
                while self.window.is_some() {
                    self.wait()?;
                }
                answer(&reply, told(self.failure, self.pipeline.infer(&window))?);
            }
            Request::Forget(exam) => self.pipeline.forget(&exam),
        }
        Ok(())
    }

    /// Queues a window, and waits for the one before while the network runs.
    fn begin(&mut self, window: &DueWindow, reply: Reply<(SlabEvidence, Duration)>) -> Result<(), Failure> {
        let mut since = Instant::now();
        let earlier = self.window.take();
        let mut begun = told(self.failure, self.pipeline.begin(&window.series, &window.job))?;
        if let Some(earlier) = earlier {
            let evidence = told(self.failure, begun.evidence_of(earlier.judged))?;
            answer(&earlier.reply, (evidence, earlier.since.elapsed()));
            since = Instant::now();
        }
        let judged = told(self.failure, begun.queue_evidence())?;
        self.window = Some(UnderWay { judged, since, reply });
        Ok(())
    }

    /// Waits for what was queued first of the kind that is quicker.
    fn wait(&mut self) -> Result<(), Failure> {
        if !self.slices.is_empty() {
            return self.wait_for_slice();
        }
        if let Some(UnderWay { judged, since, reply }) = self.window.take() {
            let evidence = told(self.failure, self.pipeline.evidence(judged))?;
            answer(&reply, (evidence, since.elapsed()));
        }
        Ok(())
    }

    fn wait_for_slice(&mut self) -> Result<(), Failure> {
        if let Some((sent, reply)) = self.slices.pop_front() {
            answer(&reply, Some(told(self.failure, self.pipeline.plane(sent))?));
        }
        Ok(())
    }
}

fn answer<T>(reply: &Reply<T>, answer: T) {
    // Whoever asked may have given up.
    let _ = reply.send(answer);
}

/// Notes an error before anybody who waits sees that the thread is gone.
fn told<T>(failure: &OnceLock<String>, result: Result<T, GpuError>) -> Result<T, Failure> {
    result.map_err(|error| {
        let _ = failure.set(error.to_string());
        error.into()
    })
}
