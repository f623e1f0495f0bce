//! The start: everything is configured before anything listens.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use listenfd::ListenFd;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::disk::Disk;
use super::health::Health;
use super::kept_exams::KeptExams;
use super::machine::MachineParts;
use super::resume::resume;
use super::standstill::Standstill;
use super::{Daemon, listed};
use crate::audit::{self, Audit};
use crate::config::Config;
use crate::console::access::{Access, AccessError};
use crate::console::{self, Hub, MachineOf, MetricsOf, StatusOf, WebOptions};
use crate::database::{Database, DatabaseError};
use crate::engine::{EngineError, ModelPackage};
use crate::ingest::{self, Door, Hearers, Senders, Tls, TlsError};
use crate::outbox::{Outbox, OutboxError, OutboxOptions};
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::promotion::{ModelSource, PromotionError};
use crate::serving::choice::{self, EngineOptions};
use crate::serving::{EngineState, Serving, lower_priority};
use crate::shadow::{Shadow, ShadowParts};
use crate::slices::Slices;
use crate::spool::{Retention, Spool, SpoolError};
use crate::synthetic::{OwnConsole, OwnPorts, PatientsOnly, SyntheticOptions, SyntheticPatient, Trouble};
use crate::telemetry::{self, Metrics, MetricsError, WorkProgress};

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Model(#[from] PromotionError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the promoted model package cannot serve: {0}; tableside model rollback goes back to the one before")]
    Promoted(EngineError),
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
    #[error("the console cannot be served at {address}: {why}")]
    Exposed { address: SocketAddr, why: &'static str },
    #[error("who may use the console cannot be looked up: {0}")]
    Access(#[from] AccessError),
    #[error("the outbox cannot start: {0}")]
    Outbox(#[from] OutboxError),
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    #[error("the sockets that systemd opened cannot be used: {0}")]
    Sockets(std::io::Error),
    #[error(
        "systemd opened {0}, whose port the configuration does not name: correct tableside.socket or the configuration"
    )]
    UnknownSocket(SocketAddr),
}

/// Sockets that listen already; where there is none, the daemon opens one at the address that the configuration has.
#[derive(Debug, Default)]
pub struct Listening {
    pub dicom: Option<std::net::TcpListener>,
    pub dicom_tls: Option<std::net::TcpListener>,
    pub console: Option<std::net::TcpListener>,
}

impl Listening {
    /// The sockets that systemd has opened (`sd_listen_fds(3)`), if any: clients that come while the daemon is restarted wait there.
    /// Each one serves what has its port in the configuration.
    ///
    /// # Errors
    /// If one is no TCP socket, or the configuration does not name its port.
    pub fn from_systemd(config: &Config) -> Result<Self, StartError> {
        let mut opened = ListenFd::from_env();
        let mut listening = Self::default();
        for place in 0..opened.len() {
            let Some(socket) = opened.take_tcp_listener(place).map_err(StartError::Sockets)? else { continue };
            let address = socket.local_addr().map_err(StartError::Sockets)?;
            let tls = config.tls.as_ref().map(|tls| tls.listen.port());
            let use_it = match address.port() {
                port if port == config.dicom_listen.port() => &mut listening.dicom,
                port if Some(port) == tls => &mut listening.dicom_tls,
                port if port == config.console_listen.port() => &mut listening.console,
                _ => return Err(StartError::UnknownSocket(address)),
            };
            *use_it = Some(socket);
        }
        Ok(listening)
    }
}

impl Daemon {
    /// Starts everything that `config` describes.
    ///
    /// # Errors
    /// If the model, the engine, the folders, the database or a port cannot be used; nothing listens then.
    pub async fn start(config: Config, listening: Listening) -> Result<Self, StartError> {
        let holds = Mutex::new(config.clone());
        let metrics = telemetry::metrics()?;
        let (package, source, serving) = load_model(&config)?;
        let engine_state = serving.state().clone();
        let spool = Arc::new(open_spool(&config)?);
        let database = open_database(&config)?;
        let hub = Arc::new(Hub::new(Some(database.clone())));
        let audit = Arc::new(start_audit(&config)?);
        let outbox = Arc::new(start_outbox(&config, database, spool.clone(), &package, audit.clone())?);

        let (doors, dicom_address) = open_doors(&config, listening.dicom, listening.dicom_tls).await?;
        let doors_of_console = ConsoleDoors::open(&config, listening.console).await?;
        let console_address = doors_of_console.address;
        let access = Access::start(config.access.clone(), console_address, &config.database(), audit.clone())?;
        let access = Arc::new(access);

        let listener = Arc::new(PatientsOnly::new(hub.clone()));
        let pipeline =
            Pipeline::start(pipeline_options(&config), &package, serving, listener.clone(), Box::new(spool.clone()))
                .map_err(StartError::Threads)?;
        let input = Arc::new(pipeline.input());
        resume(&spool, &hub, input.as_ref())?;
        let pipeline = Arc::new(Mutex::new(Some(pipeline)));

        let retention = start_retention(&config, &spool, &hub, &outbox)?;

        let shadow = start_shadow(&config, &spool, &hub, &pipeline).map_err(StartError::Threads)?;
        let certificates = certificates(&doors_of_console, &doors);
        let machine = machine(&config, &package, source, &engine_state, &spool, shadow.as_ref(), certificates);

        let accepting = doors.iter().map(|door| door.progress.clone()).collect();
        let (stop, stopping) = watch::channel(None);
        let ae_title = config.ingest.ae_title.clone();
        telemetry::scanners_listed(listed(&config.ingest.scanners));
        let (scanners, may_send) = watch::channel(config.ingest.scanners.clone());
        let senders = Senders::new(may_send);
        let trouble = Trouble::default();
        let synthetic = synthetic_options(&config).map(|options| {
            let ports =
                OwnPorts { dicom: dicom_address, ae_title: ae_title.clone(), console: doors_of_console.own(&access) };
            let (scans, traffic) = (senders.synthetic.clone(), senders.traffic.clone());
            let (pipeline, spool, trouble) = (input.as_ref().clone(), spool.clone(), trouble.clone());
            let patient = SyntheticPatient { options, ports, scans, traffic, pipeline, listener, spool, trouble };
            tokio::spawn(patient.send_regularly())
        });
        let hearers = Hearers { spool: spool.clone(), sink: input, commitments: outbox.clone(), audit: audit.clone() };
        let ingest = tokio::spawn(ingest::serve(doors, config.ingest, senders.clone(), hearers, stopping.clone()));
        let health = Arc::new(Health {
            engine: engine_state.clone(),
            model: package.title(),
            ae_title,
            dicom_address,
            pipeline: pipeline.clone(),
            ingest: ingest.abort_handle(),
            accepting,
            hub: Arc::downgrade(&hub),
            spool: Arc::downgrade(&spool),
            outbox: Arc::downgrade(&outbox),
            audit: audit.clone(),
            standstill: Standstill::after(&config.data),
            disk: Disk::new(config.data),
            insecure: config.insecure,
            exposed: config.access.notice(console_address.ip()),
            trouble,
        });
        let watched = health.clone();
        let watch = tokio::spawn(async move { watched.watch().await });
        let slices = Slices::start(&spool, package.manifest.input.clone()).map_err(StartError::Threads)?;
        let console = doors_of_console.serve(WebOptions {
            hub: hub.clone(),
            outbox: outbox.clone(),
            metrics: metrics_of(&health, metrics),
            status: status_of(&health),
            machine,
            senders,
            plane: package.manifest.input,
            audit: audit.clone(),
            slices: Arc::new(slices),
            access,
            stop: stopping,
        });
        tracing::info!(dicom = %dicom_address, console = %console_address, engine = engine_state.engine(), "listening");
        Ok(Self {
            dicom_address,
            console_address,
            hub,
            health,
            watch,
            config: holds,
            scanners,
            stop,
            synthetic,
            ingest,
            console,
            pipeline,
            retention,
            shadow,
            outbox,
            audit,
            spool,
        })
    }
}

/// Opens the spool, without the synthetic patient of a run that was cut short: it is no exam that could go on.
fn open_spool(config: &Config) -> Result<Spool, SpoolError> {
    let spool = Spool::open(&config.data.join("spool"), config.journal_bytes)?;
    let recovery = spool.recovery();
    tracing::info!(placed = recovery.placed, set_aside = recovery.set_aside, "the spool is open");
    telemetry::spool_recovered(recovery.placed, recovery.set_aside);
    // Nobody is shown what stays: no start fails over it.
    if let Err(error) = spool.remove_synthetic() {
        tracing::error!(%error, "a synthetic patient's images cannot be removed");
    }
    Ok(spool)
}

fn open_database(config: &Config) -> Result<Arc<Database>, StartError> {
    let path = config.database();
    Database::open(&path).map(Arc::new).map_err(|source| StartError::Database { path, source })
}

fn start_audit(config: &Config) -> Result<Audit, StartError> {
    let trail = audit::folder(&config.data);
    Audit::start(config.audit.clone(), trail, &config.ingest.ae_title).map_err(StartError::Threads)
}

fn metrics_of(health: &Arc<Health>, metrics: Metrics) -> MetricsOf {
    let health = health.clone();
    Arc::new(move || {
        health.measure();
        metrics.render()
    })
}

fn status_of(health: &Arc<Health>) -> StatusOf {
    let health = health.clone();
    Arc::new(move || {
        let health = health.clone();
        Box::pin(async move { health.status().await })
    })
}

/// Where browsers come in, and Prometheus.
struct ConsoleDoors {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    metrics: Option<TcpListener>,
}

impl ConsoleDoors {
    async fn open(config: &Config, given: Option<std::net::TcpListener>) -> Result<Self, StartError> {
        let tls = console::console_tls(&config.access)?;
        let (listener, address) = listen(given, config.console_listen, "console").await?;
        // The address may be systemd's.
        if let Some(why) = config.access.forbids(address.ip()) {
            return Err(StartError::Exposed { address, why });
        }
        let metrics = match config.metrics_listen() {
            None => None,
            Some(address) => {
                let (listener, address) = listen(None, address, "metrics").await?;
                tracing::info!(metrics = %address, "metrics and health are served");
                Some(listener)
            }
        };
        Ok(Self { listener, address, tls, metrics })
    }

    /// As this process finds it.
    fn own(&self, access: &Access) -> OwnConsole {
        OwnConsole { address: self.address, token: access.own_token(), tls: self.tls.clone() }
    }

    /// Serves until the stop.
    fn serve(self, web: WebOptions) -> JoinHandle<()> {
        let Self { listener, tls, metrics, .. } = self;
        tokio::spawn(async move {
            let metrics_of = web.clone();
            let metrics = async move {
                match metrics {
                    Some(listener) => console::serve_metrics(listener, metrics_of).await,
                    None => Ok(()),
                }
            };
            let (console, metrics) = tokio::join!(console::serve(listener, tls, web), metrics);
            for (what, served) in [("the console", console), ("the listener of metrics", metrics)] {
                if let Err(error) = served {
                    tracing::error!(%error, "{what} has stopped");
                }
            }
        })
    }
}

fn start_outbox(
    config: &Config,
    database: Arc<Database>,
    spool: Arc<Spool>,
    package: &ModelPackage,
    audit: Arc<Audit>,
) -> Result<Outbox, OutboxError> {
    Outbox::start(OutboxOptions {
        destinations: config.destinations.clone(),
        database,
        database_path: config.database(),
        folder: config.data.join("outbox"),
        spool,
        plane: package.manifest.input.clone(),
        report: config.report,
        audit,
    })
}

fn start_retention(
    config: &Config,
    spool: &Arc<Spool>,
    hub: &Arc<Hub>,
    outbox: &Arc<Outbox>,
) -> Result<Retention, StartError> {
    let path = config.database();
    let kept =
        KeptExams::open(&path, hub.clone(), outbox.clone()).map_err(|source| StartError::Database { path, source })?;
    Retention::start(spool.clone(), config.retention, Box::new(kept)).map_err(StartError::Threads)
}

/// Starts the shadow model, if there is to be one: it works while no exam is open and nothing waits.
fn start_shadow(
    config: &Config,
    spool: &Arc<Spool>,
    hub: &Arc<Hub>,
    pipeline: &Arc<Mutex<Option<Pipeline>>>,
) -> std::io::Result<Option<Shadow>> {
    let (hub, pipeline) = (hub.clone(), pipeline.clone());
    let is_idle = move || pipeline.lock().as_ref().is_some_and(Pipeline::is_idle) && !hub.has_open_exams();
    Shadow::start(ShadowParts {
        options: config.shadow.clone(),
        engine: config.engine.clone(),
        limits: config.quality,
        densities: config.densities,
        database: config.database(),
        spool: spool.clone(),
        is_idle: Box::new(is_idle),
    })
}

/// How the machine is looked at.
fn machine(
    config: &Config,
    package: &ModelPackage,
    source: ModelSource,
    engine: &EngineState,
    spool: &Arc<Spool>,
    shadow: Option<&Shadow>,
    certificates: Vec<(&'static str, Arc<Tls>)>,
) -> MachineOf {
    let parts = MachineParts {
        started: Timestamp::now(),
        engine: engine.clone(),
        model: package.title(),
        source,
        configured: config.model.clone(),
        shadow: config.shadow.model.clone().zip(shadow.map(Shadow::life)),
        data: config.data.clone(),
        database: config.database(),
        spool: Arc::downgrade(spool),
        certificates,
    };
    parts.look()
}

/// The certificates that TLS is served with, and for whom.
fn certificates(console: &ConsoleDoors, doors: &[Door]) -> Vec<(&'static str, Arc<Tls>)> {
    let of_console = console.tls.iter().map(|tls| ("console", tls.clone()));
    of_console.chain(doors.iter().filter_map(|door| Some(("dicom", door.tls.clone()?)))).collect()
}

/// Loads the package that serves, and its engine.
fn load_model(config: &Config) -> Result<(ModelPackage, ModelSource, Serving), StartError> {
    let source = config.model_source()?;
    let package = source.load()?;
    let serving = load_engine(&package, &config.engine).map_err(|error| match (error, &source) {
        (StartError::Engine(error), ModelSource::Promoted(_)) => StartError::Promoted(error),
        (error, _) => error,
    })?;
    tracing::info!(model = package.title(), package = package.sha256(), %source, "the model serves");
    Ok((package, source, serving))
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

fn pipeline_options(config: &Config) -> PipelineOptions {
    PipelineOptions {
        mode: config.mode,
        completion: config.completion,
        limits: config.quality,
        densities: config.densities,
        decoders: config.decoders,
    }
}

/// How the synthetic patient is sent, if it is. Its exam ends a while after its association is released.
fn synthetic_options(config: &Config) -> Option<SyntheticOptions> {
    let options = config.synthetic_patient?;
    Some(SyntheticOptions { verdict_within: options.verdict_within + config.completion.release_grace, ..options })
}

/// Where scanners come in, and the address of those that do not encrypt.
async fn open_doors(
    config: &Config,
    dicom: Option<std::net::TcpListener>,
    dicom_tls: Option<std::net::TcpListener>,
) -> Result<(Vec<Door>, SocketAddr), StartError> {
    let (listener, plain) = listen(dicom, config.dicom_listen, "DICOM").await?;
    let mut doors = vec![Door { listener, tls: None, progress: WorkProgress::default() }];
    if let Some(options) = &config.tls {
        let (listener, address) = listen(dicom_tls, options.listen, "DICOM by TLS").await?;
        let tls = Some(Arc::new(options.load()?));
        tracing::info!(dicom_tls = %address, "encrypted connections are accepted");
        doors.push(Door { listener, tls, progress: WorkProgress::default() });
    }
    Ok((doors, plain))
}

async fn listen(
    given: Option<std::net::TcpListener>,
    address: SocketAddr,
    what: &'static str,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, what, source };
    let listener = match given {
        Some(given) => given.set_nonblocking(true).and_then(|()| TcpListener::from_std(given)),
        None => TcpListener::bind(address).await,
    };
    let listener = listener.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
