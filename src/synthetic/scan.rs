//! One scan of the synthetic patient, from its images to its verdict.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::events::{EventError, Events, OwnConsole};
use super::listener::{Conclusion, PatientsOnly};
use crate::dicom::{Target, UidSource};
use crate::ingest::SyntheticScan;
use crate::scanner::{self, Instance, Phantom, PhantomKind, PhantomOptions, ScannerError, SendOptions};
use crate::serving::lower_priority;
use crate::triage::Verdict;

/// Enough slices for the release of their association to end the exam, and for lesions to show.
const SLICES: usize = 32;
/// Rows and columns of a slice.
const MATRIX: usize = 128;

/// The calling AE title, which logs show.
const AE_TITLE: &str = "TABLESIDE-SELF";

/// For a connection, for an answer, for the event stream to begin.
const ANSWER: Duration = Duration::from_secs(30);
/// For all of the scan.
const SENDING: Duration = Duration::from_mins(1);

/// Where the synthetic patient failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("its images cannot be made: {0}")]
    Phantom(ScannerError),
    #[error(transparent)]
    EventStream(#[from] EventError),
    #[error("the event stream does not begin within {} s", ANSWER.as_secs())]
    NoEventStream,
    #[error(transparent)]
    Association(ScannerError),
    #[error("its association was not released: {0}")]
    Release(String),
    #[error("{count} of {SLICES} slices were not stored: {reason}")]
    Store { count: usize, reason: String },
    #[error("its slices were not stored within {} s", SENDING.as_secs())]
    StoreTimeout,
    #[error("its verdict is \"{}\": {reason}", verdict.as_str())]
    Verdict { verdict: Verdict, reason: String },
    #[error("there is no verdict {} s after its last slice", .0.as_secs())]
    NoVerdict(Duration),
    #[error("there is a verdict, and none on the event stream {} s after its last slice", .0.as_secs())]
    NoEvent(Duration),
}

impl Failure {
    /// The stage that failed, as logs and the console name it.
    #[must_use]
    pub fn stage(&self) -> &'static str {
        match self {
            Self::Phantom(_) => "phantom",
            Self::EventStream(_) | Self::NoEventStream | Self::NoEvent(_) => "event stream",
            Self::Association(_) | Self::Release(_) => "association",
            Self::Store { .. } | Self::StoreTimeout => "store",
            Self::Verdict { .. } | Self::NoVerdict(_) => "analysis",
        }
    }
}

/// What a scan needs.
pub(super) struct Scan<'a> {
    pub(super) instances: &'a [Instance],
    pub(super) expected: &'a SyntheticScan,
    pub(super) target: Target,
    pub(super) console: OwnConsole,
    pub(super) verdict_within: Duration,
    pub(super) listener: &'a PatientsOnly,
}

impl Scan<'_> {
    /// Sends the slices and waits for the verdict that they must have. Gives how long that took from the last slice. It may be given
    /// up at any time: the association ends with it.
    ///
    /// # Errors
    /// Where it failed.
    pub(super) async fn run(self) -> Result<Duration, Failure> {
        let opening = tokio::time::timeout(ANSWER, Events::open(&self.console));
        let mut events = opening.await.map_err(|_| Failure::NoEventStream)??;
        let last_slice = tokio::time::timeout(SENDING, self.send()).await.map_err(|_| Failure::StoreTimeout)??;
        let key = self.expected.exam.to_string();
        let told = tokio::time::timeout_at((last_slice + self.verdict_within).into(), events.verdict_on(&key)).await;
        let concluded = self.listener.concluded(&self.expected.exam);
        match (told, concluded) {
            (Ok(Ok(Verdict::Suspected)), _) => Ok(last_slice.elapsed()),
            (Ok(Ok(verdict)), concluded) => {
                let reason = concluded.map(|Conclusion { reason, .. }| reason).unwrap_or_default();
                Err(Failure::Verdict { verdict, reason })
            }
            (Ok(Err(error)), _) => Err(error.into()),
            (Err(_), None) => Err(Failure::NoVerdict(self.verdict_within)),
            (Err(_), Some(_)) => Err(Failure::NoEvent(self.verdict_within)),
        }
    }

    /// When the response to the last slice was there.
    async fn send(&self) -> Result<Instant, Failure> {
        let options = SendOptions {
            calling_ae: AE_TITLE.to_owned(),
            user: Some(self.expected.credential().to_owned()),
            rate: 0.0,
            connect_timeout: ANSWER,
            read_timeout: ANSWER,
            write_timeout: ANSWER,
            ..SendOptions::default()
        };
        let sent = scanner::send(&self.target, self.instances, &options, |_| ()).await.map_err(Failure::Association)?;
        if let Some(first) = sent.failures.first() {
            return Err(Failure::Store { count: sent.failures.len(), reason: first.reason.clone() });
        }
        match sent.release_errors.into_iter().next() {
            Some(error) => Err(Failure::Release(error)),
            None => Ok(sent.last_response_at.unwrap_or(sent.started_at)),
        }
    }
}

/// The slices of a phantom with pneumonia that nobody has seen before, drawn at the priority of the analysis.
///
/// # Errors
/// If there is no thread for it, or a slice cannot be encoded.
pub(super) async fn draw() -> Result<Vec<Instance>, Failure> {
    let (drawn, drawing) = oneshot::channel();
    let started = std::thread::Builder::new().name("phantom".to_owned()).spawn(move || {
        lower_priority();
        let phantom = Phantom::new(PhantomKind::Pneumonia, PhantomOptions::coarse(SLICES, MATRIX));
        // Nobody waits any more where the daemon stops.
        drop(drawn.send(phantom.instances(UidSource::fresh())));
    });
    let instances = match started {
        Ok(_) => drawing.await.unwrap_or(Err(ScannerError::Interrupted)),
        Err(_) => Err(ScannerError::Interrupted),
    };
    let mut instances = instances.map_err(Failure::Phantom)?;
    instances.retain(|instance| !instance.scout);
    Ok(instances)
}
