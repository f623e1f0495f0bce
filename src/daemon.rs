//! The daemon: everything is configured before anything listens, started in one place and stopped in one place.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::console::{self, Hub, Status, WebOptions};
use crate::database::{Database, DatabaseError};
use crate::engine::{EngineError, ModelPackage, PackageError};
use crate::exam::{AssociationId, Contents, ExamKey};
use crate::ingest::{self, Door, InstanceSink, RefusedInstance, StoredInstance, Tls, TlsError};
use crate::pipeline::{Earlier, Pipeline, PipelineOptions};
use crate::serving::choice::{self, EngineOptions};
use crate::serving::{EngineState, Serving, lower_priority};
use crate::spool::{Retention, Spool, SpoolError};
use crate::telemetry::{self, MetricsError};

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Model(#[from] PackageError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("{path}: {source}")]
    Database { path: PathBuf, source: DatabaseError },
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error("cannot listen on {address} ({what}): {source}; is another program using the port?")]
    Listen { address: SocketAddr, what: &'static str, source: std::io::Error },
    #[error("TLS cannot be served: {0}")]
    Tls(#[from] TlsError),
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
}

/// A running daemon.
pub struct Daemon {
    /// Where scanners connect.
    pub dicom_address: SocketAddr,
    /// Where browsers connect.
    pub console_address: SocketAddr,
    pub hub: Arc<Hub>,
    stop: watch::Sender<bool>,
    ingest: JoinHandle<()>,
    console: JoinHandle<()>,
    pipeline: Arc<std::sync::Mutex<Option<Pipeline>>>,
    retention: Retention,
}

impl Daemon {
    /// Starts everything that `config` describes.
    ///
    /// # Errors
    /// If the model, the engine, the folders, the database or a port cannot be used; nothing listens then.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let metrics = telemetry::metrics()?;
        let package = ModelPackage::find(config.model.as_deref())?;
        let serving = load_engine(&package, &config.engine)?;
        let engine_state = serving.state().clone();
        let spool = Arc::new(Spool::open(&config.data.join("spool"), config.journal_bytes)?);
        let recovery = spool.recovery();
        tracing::info!(placed = recovery.placed, set_aside = recovery.set_aside, "the spool is open");
        telemetry::spool_recovered(recovery.placed, recovery.set_aside);
        let path = config.data.join("tableside.db");
        let database = Database::open(&path).map_err(|source| StartError::Database { path, source })?;
        let hub = Arc::new(Hub::new(Some(database)));

        let (dicom_listener, dicom_address) = listen(config.dicom_listen, "DICOM").await?;
        let mut doors = vec![Door { listener: dicom_listener, tls: None }];
        let mut tls_address = None;
        if let Some(options) = config.tls {
            let (listener, address) = listen(options.listen, "DICOM by TLS").await?;
            tls_address = Some(address);
            doors.push(Door { listener, tls: Some(Arc::new(Tls::load(options)?)) });
        }
        let (console_listener, console_address) = listen(config.console_listen, "console").await?;

        let options = PipelineOptions {
            mode: config.mode,
            completion: config.completion,
            limits: config.quality,
            densities: config.densities,
            decoders: config.decoders,
        };
        let earlier = spool.clone();
        let pipeline =
            Pipeline::start(options, &package, serving, hub.clone(), Box::new(move |key| earlier_of(&earlier, key)))
                .map_err(StartError::Threads)?;
        let input = Arc::new(pipeline.input());
        resume(&spool, &hub, input.as_ref())?;
        let pipeline = Arc::new(std::sync::Mutex::new(Some(pipeline)));

        let is_analysed = {
            let hub = hub.clone();
            Box::new(move |key: &ExamKey, contents| hub.judged_contents(key) == Some(contents))
        };
        let retention = Retention::start(spool.clone(), config.retention, is_analysed).map_err(StartError::Threads)?;

        let (stop, stopping) = watch::channel(false);
        let ae_title = config.ingest.ae_title.clone();
        let ingest = tokio::spawn(ingest::serve(doors, config.ingest, spool.clone(), input, stopping.clone()));
        let state = State {
            engine: engine_state.clone(),
            model: package.title(),
            ae_title,
            dicom_address,
            pipeline: pipeline.clone(),
            ingest: ingest.abort_handle(),
            spool: Arc::downgrade(&spool),
            data: config.data,
            insecure: config.insecure,
        };
        let web = WebOptions {
            hub: hub.clone(),
            metrics,
            status: Arc::new(move || state.status()),
            plane: package.manifest.input,
        };
        let console = tokio::spawn(async move {
            if let Err(error) = console::serve(console_listener, web, stopping).await {
                tracing::error!(%error, "the console has stopped");
            }
        });
        if let Some(address) = tls_address {
            tracing::info!(dicom_tls = %address, "encrypted connections are accepted");
        }
        tracing::info!(dicom = %dicom_address, console = %console_address, engine = engine_state.engine(), "listening");
        Ok(Self { dicom_address, console_address, hub, stop, ingest, console, pipeline, retention })
    }

    /// Stops listening, lets open associations and requests finish, then stops the threads.
    pub async fn stop(self) {
        // The tasks hold receivers; where they have ended already there is nobody left to tell.
        let _ = self.stop.send(true);
        for task in [self.ingest, self.console] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task had stopped unexpectedly");
            }
        }
        drop(self.retention);
        let pipeline = self.pipeline.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(pipeline) = pipeline
            && tokio::task::spawn_blocking(move || pipeline.stop()).await.is_err()
        {
            tracing::error!("the pipeline did not stop in order");
        }
    }
}

/// Loads the engine in a thread of lower priority, which the engine's own threads inherit.
fn load_engine(package: &ModelPackage, options: &EngineOptions) -> Result<Serving, StartError> {
    std::thread::scope(|scope| {
        let loading = std::thread::Builder::new().name("engine".to_owned()).spawn_scoped(scope, || {
            lower_priority();
            choice::serving(package, &EngineOptions { build_plans: true, ..options.clone() })
        });
        match loading.map_err(StartError::Threads)?.join() {
            Ok(serving) => Ok(serving?),
            Err(_) => Err(StartError::Threads(std::io::Error::other("the engine's thread ended while it was loaded"))),
        }
    })
}

async fn listen(address: SocketAddr, what: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, what, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn earlier_of(spool: &Spool, key: &ExamKey) -> Earlier {
    let instances = spool.instances(key).unwrap_or_else(|error| {
        tracing::error!(exam = %key, %error, "earlier instances of the exam cannot be listed");
        Vec::new()
    });
    Earlier { instances, refusals: spool.refusals(key) }
}

/// Procedure steps that ended within this time before a start may be those of exams that go on.
const RECENT_STEPS: Duration = Duration::from_hours(24);

/// Exams in the spool that have no verdict, or one that knows nothing of some of their instances or of what was refused of
/// them, go on where they were.
fn resume(spool: &Spool, hub: &Hub, input: &dyn InstanceSink) -> Result<(), SpoolError> {
    for exam in spool.exams()? {
        let Earlier { instances, refusals } = earlier_of(spool, &exam);
        let contents = Contents { instances: instances.len(), refused: refusals.count() };
        if hub.judged_contents(&exam) == Some(contents) {
            continue;
        }
        let (association, at) = (AssociationId(0), std::time::Instant::now());
        // The first of what is there brings all of it.
        if let Some(path) = instances.into_iter().next() {
            tracing::info!(%exam, "the exam goes on from the spool");
            input.stored(StoredInstance { exam, path, images: 1, association, at });
        } else if let Some(refusal) = refusals.iter().next().cloned() {
            tracing::info!(%exam, "the exam goes on, of which all was refused");
            input.refused(RefusedInstance { exam, refusal, association, at });
        }
    }
    input.association_closed(AssociationId(0), std::time::Instant::now());
    for step in ingest::ended_steps(&spool.procedure_steps(), RECENT_STEPS) {
        input.procedure_step_ended(step);
    }
    Ok(())
}

/// What the console's status is made from.
struct State {
    engine: EngineState,
    model: String,
    ae_title: String,
    dicom_address: SocketAddr,
    pipeline: Arc<std::sync::Mutex<Option<Pipeline>>>,
    ingest: tokio::task::AbortHandle,
    spool: Weak<Spool>,
    data: PathBuf,
    insecure: bool,
}

impl State {
    fn status(&self) -> Status {
        let problems = self.problems();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: problems.is_empty(),
            problems,
            notices: self.notices(),
            engine: self.engine.engine().to_owned(),
            model: self.model.clone(),
            ae_title: self.ae_title.clone(),
            dicom_address: self.dicom_address.to_string(),
            port: self.dicom_address.port(),
        }
    }

    fn notices(&self) -> Vec<String> {
        let open =
            self.insecure.then(|| "Not secured: anyone on the network may send slices (dicom.insecure)".to_owned());
        open.into_iter().chain(self.engine.notice()).collect()
    }

    fn problems(&self) -> Vec<String> {
        let pipeline = self.pipeline.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let checks = [
            (
                pipeline.as_ref().is_some_and(Pipeline::is_alive),
                "the analysis has stopped: restart tableside".to_owned(),
            ),
            (!self.ingest.is_finished(), "no DICOM connections are accepted: restart tableside".to_owned()),
            (is_writable(&self.data), format!("{} cannot be written to", self.data.display())),
        ];
        let spool = self.spool.upgrade().and_then(|spool| spool.problem());
        let failing = checks.into_iter().filter(|(holds, _)| !holds).map(|(_, problem)| problem);
        failing.chain(spool.map(|problem| format!("nothing can be stored: {problem}"))).collect()
    }
}

fn is_writable(folder: &std::path::Path) -> bool {
    let probe = folder.join(".writable");
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).is_ok()
}
