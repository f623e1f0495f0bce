//! The scanner's side of the network: associations, one C-STORE after the other, at the scanner's pace.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dicom_dictionary_std::uids;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::report::{ScanReport, SendFailure, SendProgress};
use super::{Instance, ScannerError};
use crate::dicom::scu::{
    Calling, Connection, ScuError, associate, chain, context_for, echo_request, exchange, store_request,
};
use crate::dicom::target::{Target, check_ae_title};

/// Presentation context identifiers are the odd numbers up to 255 (PS3.8 9.3.2.2).
const MOST_CONTEXTS: usize = 128;

/// A peer that has ended an association, or refused one, is left alone for so long.
const BEFORE_RETRY: Duration = Duration::from_millis(200);

/// How to send.
#[derive(Debug, Clone, PartialEq)]
pub struct SendOptions {
    /// The AE title the scanner calls itself.
    pub calling_ae: String,
    /// The user identity that it presents, if any.
    pub user: Option<String>,
    /// Instances per second over all associations; 0 sends as fast as the peer answers.
    pub rate: f64,
    /// Over how many associations the instances are dealt out, at least 1.
    pub associations: usize,
    /// How long to try to go on over a new association where one is lost, counted from the first instance that is not answered;
    /// zero leaves the rest of its share unsent.
    pub retry: Duration,
    /// How long to wait for the TCP connection.
    pub connect_timeout: Duration,
    /// How long to wait for an answer.
    pub read_timeout: Duration,
    /// How long a message may take to be written.
    pub write_timeout: Duration,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self {
            calling_ae: "TABLESIDE-SCAN".to_owned(),
            user: None,
            rate: 20.0,
            associations: 1,
            retry: Duration::ZERO,
            connect_timeout: Duration::from_secs(10),
            // A peer that syncs its disk, or has run into its limits, can take a while.
            read_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_mins(1),
        }
    }
}

/// Sends the instances in their order, instance `i` at `t0 + i / rate`, on association `i` modulo their number; `t0` is when
/// all associations stand. On one association the next request waits for the response to the last: a slow peer makes the
/// scan late, which the report tells. A refused instance does not end the scan; a lost association ends its share of it, unless
/// another one can be established in the time that [`SendOptions::retry`] gives: it begins with the instance that was not answered.
///
/// `progress` is called after each instance.
///
/// # Errors
///
/// If the options make no sense, or an association cannot be established. What happens later is in the report.
pub async fn send(
    target: &Target,
    instances: &[Instance],
    options: &SendOptions,
    mut progress: impl FnMut(&SendProgress),
) -> Result<ScanReport, ScannerError> {
    check(options)?;
    let contexts = contexts(instances)?;
    let mut connections = Vec::new();
    for _ in 0..options.associations.max(1) {
        connections.push(connect(target, &contexts, options).await?);
    }
    let associations = connections.len();
    let (results, mut arriving) = unbounded_channel();
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (lane, connection) in connections.into_iter().enumerate() {
        let share = instances.iter().cloned().enumerate().skip(lane).step_by(associations).collect();
        let worker = Lane {
            connection,
            target: target.clone(),
            contexts: contexts.clone(),
            start,
            options: options.clone(),
            total: instances.len(),
            results: results.clone(),
        };
        tasks.spawn(worker.run(share));
    }
    drop(results);
    let mut report = ScanReport::new(instances.len(), options.rate, start);
    while let Some(step) = arriving.recv().await {
        progress(&step);
        report.add(&step);
    }
    while let Some(ended) = tasks.join_next().await {
        let release = ended.map_err(|_| ScannerError::Interrupted)?;
        report.release_errors.extend(release.err());
    }
    report.finish();
    Ok(report)
}

/// Asks the peer whether it is there (C-ECHO); gives the time from the connection to the response.
///
/// # Errors
///
/// If there is no connection, no association, or a status other than success.
pub async fn echo(target: &Target, options: &SendOptions) -> Result<Duration, ScannerError> {
    check(options)?;
    let start = Instant::now();
    let context = (uids::VERIFICATION.to_owned(), uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned());
    let mut connection = connect(target, &BTreeSet::from([context]), options).await?;
    let refused = |reason| ScannerError::Peer { target: target.clone(), reason };
    let id = connection
        .presentation_contexts()
        .first()
        .map(|context| context.id)
        .ok_or_else(|| refused("it accepts no Verification context".to_owned()))?;
    let failed = |error: ScuError| refused(error.to_string());
    let message = echo_request(id, connection.acceptor_max_pdu_length()).map_err(failed)?;
    let status = exchange(&mut connection, &message, 1, &calling(options)).await.map_err(failed)?;
    let took = start.elapsed();
    // The answer is there; a peer that does not release properly is not asked about that.
    let _ = connection.release().await;
    match status {
        0 => Ok(took),
        other => Err(refused(format!("it answered C-ECHO with status {other:#06x}"))),
    }
}

fn check(options: &SendOptions) -> Result<(), ScannerError> {
    if !options.rate.is_finite() || options.rate < 0.0 {
        return Err(ScannerError::Rate { rate: options.rate });
    }
    check_ae_title(&options.calling_ae)
        .map_err(|reason| ScannerError::CallingAe { title: options.calling_ae.clone(), reason })
}

/// SOP class and transfer syntax of everything to be sent.
fn contexts(instances: &[Instance]) -> Result<BTreeSet<(String, String)>, ScannerError> {
    let contexts: BTreeSet<_> =
        instances.iter().map(|i| (i.sop_class_uid.clone(), i.transfer_syntax_uid.clone())).collect();
    // One is kept for Verification.
    if contexts.len() >= MOST_CONTEXTS {
        return Err(ScannerError::TooManyContexts { count: contexts.len(), most: MOST_CONTEXTS - 1 });
    }
    Ok(contexts)
}

async fn connect(
    target: &Target,
    contexts: &BTreeSet<(String, String)>,
    options: &SendOptions,
) -> Result<Connection, ScannerError> {
    associate(target, contexts, &calling(options))
        .await
        .map_err(|error| ScannerError::Peer { target: target.clone(), reason: error.to_string() })
}

fn calling(options: &SendOptions) -> Calling {
    Calling {
        ae_title: options.calling_ae.clone(),
        user: options.user.clone(),
        connect_timeout: options.connect_timeout,
        read_timeout: options.read_timeout,
        write_timeout: options.write_timeout,
    }
}

/// One association and its share of the exam.
struct Lane {
    connection: Connection,
    target: Target,
    contexts: BTreeSet<(String, String)>,
    start: Instant,
    options: SendOptions,
    total: usize,
    results: UnboundedSender<SendProgress>,
}

impl Lane {
    /// Sends the share and releases. The error is that of the release.
    async fn run(mut self, share: Vec<(usize, Instance)>) -> Result<(), String> {
        let mut lost: Option<String> = None;
        for (turn, (index, instance)) in share.into_iter().enumerate() {
            let step = match &lost {
                None => self.store_or_retry(turn, index, &instance).await,
                Some(reason) => Sent::failed(format!("not sent, the association was lost: {reason}")),
            };
            if step.association_lost {
                lost = lost.or(step.failure.clone());
            }
            // The receiver lives as long as `send` is awaited.
            let _ = self.results.send(step.into_progress(index, self.total, instance));
        }
        if lost.is_some() {
            // A peer that is gone or out of step is not asked for a release.
            let _ = self.connection.abort().await;
            return Ok(());
        }
        self.connection.release().await.map_err(|e| chain(&e))
    }

    async fn store_or_retry(&mut self, turn: usize, index: usize, instance: &Instance) -> Sent {
        let mut sent = self.store(turn, index, instance).await;
        let until = Instant::now() + self.options.retry;
        let mut new_associations = 0;
        while sent.association_lost && Instant::now() < until {
            tokio::time::sleep(BEFORE_RETRY).await;
            if let Ok(connection) = connect(&self.target, &self.contexts, &self.options).await {
                self.connection = connection;
                new_associations += 1;
                sent = self.store(turn, index, instance).await;
            }
        }
        Sent { new_associations, ..sent }
    }

    async fn store(&mut self, turn: usize, index: usize, instance: &Instance) -> Sent {
        // Message identifiers are the peer's only handle on a request: 1..=65535, never 0.
        let message_id = u16::try_from(turn % 0xFFFF + 1).unwrap_or(1);
        let (class, syntax) = (&instance.sop_class_uid, &instance.transfer_syntax_uid);
        let Some(context) = context_for(&self.connection, class, syntax) else {
            return Sent::failed(format!(
                "the peer accepts no presentation context for SOP class {} in transfer syntax {}",
                instance.sop_class_uid, instance.transfer_syntax_uid
            ));
        };
        let peer_max = self.connection.acceptor_max_pdu_length();
        let message = match store_request(instance.outgoing(), context, message_id, peer_max) {
            Ok(message) => message,
            Err(error) => return Sent::failed(format!("cannot encode the request: {error}")),
        };
        let due = self.due(index);
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let began = Instant::now();
        let answer = exchange(&mut self.connection, &message, message_id, &calling(&self.options)).await;
        let ended = Instant::now();
        let mut sent = match answer {
            Ok(status) => Sent::answered(status),
            Err(error) => Sent { association_lost: true, ..Sent::failed(error.to_string()) },
        };
        sent.latency = sent.status.map(|_| ended - began);
        sent.late = due.map_or(Duration::ZERO, |due| began.saturating_duration_since(due));
        sent.answered_at = sent.status.map(|_| ended);
        sent
    }

    /// When an instance is due; at once where there is no pace.
    fn due(&self, index: usize) -> Option<Instant> {
        // An index is far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        let after = index as f64 / self.options.rate;
        let after = Duration::try_from_secs_f64(after).ok()?;
        (self.options.rate > 0.0).then(|| self.start + after)
    }
}

/// What came of one instance.
#[derive(Debug, Default)]
struct Sent {
    status: Option<u16>,
    failure: Option<String>,
    association_lost: bool,
    new_associations: usize,
    latency: Option<Duration>,
    late: Duration,
    answered_at: Option<Instant>,
}

impl Sent {
    fn failed(reason: String) -> Self {
        Self { failure: Some(reason), ..Self::default() }
    }

    /// Success is 0, warnings are Bxxx (PS3.4 B.2.3).
    fn answered(status: u16) -> Self {
        let accepted = status == 0 || status >> 12 == 0xB;
        Self {
            status: Some(status),
            failure: (!accepted).then(|| format!("the peer refused it with status {status:#06x}")),
            ..Self::default()
        }
    }

    fn into_progress(self, index: usize, total: usize, instance: Instance) -> SendProgress {
        SendProgress {
            index,
            total,
            bytes: instance.data.len(),
            status: self.status,
            latency: self.latency,
            late: self.late,
            answered_at: self.answered_at,
            new_associations: self.new_associations,
            failure: self.failure.map(|reason| SendFailure {
                index,
                sop_instance_uid: instance.sop_instance_uid,
                origin: instance.origin,
                status: self.status,
                reason,
            }),
        }
    }
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
