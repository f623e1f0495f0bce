//! Ingest: associations with scanners. What is acknowledged is in the spool; what is in the spool goes on to the exam.

mod association;
mod dimse;
mod extent;
mod object;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dicom_dictionary_std::uids;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub use association::AssociationError;
pub use dimse::Status;

use crate::exam::{AssociationId, ExamKey};
use crate::spool::Spool;
use crate::telemetry;

/// The transfer syntaxes that are taken: those whose pixel data can be decoded.
const TRANSFER_SYNTAXES: [&str; 14] = [
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    uids::RLE_LOSSLESS,
    uids::JPEG_LOSSLESS_SV1,
    uids::JPEG_LOSSLESS,
    uids::JPEGLS_LOSSLESS,
    uids::JPEGLS_NEAR_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
    uids::JPEG2000,
    uids::HTJ2K_LOSSLESS,
    uids::HTJ2K_LOSSLESS_RPCL,
    uids::HTJ2K,
    uids::JPEG_BASELINE8_BIT,
];

/// How ingest listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestOptions {
    pub ae_title: String,
    /// Whether a caller must name our AE title.
    pub require_called_ae_title: bool,
    pub max_associations: usize,
    pub max_pdu_bytes: u32,
    pub max_object_bytes: usize,
    /// How long a peer may take for its next message.
    pub idle_timeout: Duration,
}

/// An instance that was acknowledged.
#[derive(Debug, Clone)]
pub struct StoredInstance {
    pub exam: ExamKey,
    pub path: PathBuf,
    pub association: AssociationId,
    pub at: Instant,
}

/// What comes after ingest. Neither call may block: ingest never waits for the analysis.
pub trait InstanceSink: Send + Sync {
    fn stored(&self, instance: StoredInstance);
    fn association_closed(&self, association: AssociationId, at: Instant);
}

/// How long open associations may go on once the daemon is asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Accepting is tried again after this when the system refuses, so that a lack of file handles does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Accepts connections until `stop` is set, then lets open associations finish for a while.
pub async fn serve(
    listener: TcpListener,
    options: IngestOptions,
    spool: Arc<Spool>,
    sink: Arc<dyn InstanceSink>,
    mut stop: watch::Receiver<bool>,
) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let places = Arc::new(Semaphore::new(options.max_associations));
    let shared = Arc::new(association::Shared { options, spool, sink });
    let mut associations = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = associations.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let (socket, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let id = AssociationId(NEXT.fetch_add(1, Ordering::Relaxed));
        let shared = shared.clone();
        associations.spawn(async move {
            telemetry::associations_open(1.0);
            if let Err(error @ AssociationError::Establish(_)) = association::serve(socket, id, shared).await {
                tracing::warn!(association = id.0, peer = %peer, %error, "connection refused");
            }
            telemetry::associations_open(-1.0);
            drop(place);
        });
    }
    drop(listener);
    let drained = async { while associations.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("associations were still open at the end of the grace period");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (socket, peer) = listener.accept().await?;
    // A response is one small write; without this it waits for the peer's delayed acknowledgement.
    socket.set_nodelay(true)?;
    Ok((socket, peer, place))
}
