//! Delivery by C-STORE: an association for each exam, one object after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use dicom_dictionary_std::uids;
use dicom_ul::association::client::AsyncClientAssociation;
use tokio::runtime::Runtime;

use super::{NodeFault, Report, Step, Tell, answer, file_of, lost, settle};
use crate::client_tls::ClientTls;
use crate::database::{Delivery, DeliveryObject};
use crate::dicom::commitment::commitment_request;
use crate::dicom::scu::{
    Calling, ScuError, Stream, answer_request, associate, associate_by_tls, commitment_message, context_for, exchange,
    next_request, store_request,
};
use crate::dicom::{CommitmentReport, Head, Keep, Outgoing, Status, Target, encoding_of, read_data_set};

/// Whom to call, and as whom.
#[derive(Debug, Clone, PartialEq)]
pub struct CStoreOptions {
    pub target: Target,
    pub calling: Calling,
    /// The node is asked for storage commitment, and again after so long without a report.
    pub commitment: Option<Duration>,
    /// `None` where the connection is plain.
    pub tls: Option<ClientTls>,
}

/// For messages without pixels, the one that we like best first.
const PLAIN: [&str; 2] = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];

/// How long a report is waited for on the association of its request.
const REPORTS_AT_ONCE: Duration = Duration::from_secs(1);

pub(in crate::outbox) struct CStore {
    options: CStoreOptions,
    runtime: Runtime,
}

impl CStore {
    /// # Errors
    /// If the system gives no runtime.
    pub(super) fn new(options: CStoreOptions) -> std::io::Result<Self> {
        Ok(Self { options, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()? })
    }

    pub(super) fn deliver(&self, batch: &[Delivery], tell: Tell<'_>) -> Result<(), NodeFault> {
        self.runtime.block_on(self.send(batch, tell))
    }

    pub(super) fn commitment_patience(&self) -> Option<Duration> {
        self.options.commitment
    }

    pub(super) fn ask(&self, batch: &[Delivery], transaction_uid: &str, report: Report<'_>) -> Result<(), NodeFault> {
        self.runtime.block_on(self.ask_for_commitment(batch, transaction_uid, report))
    }

    /// Asks on an association of its own, and waits a moment on it: many nodes report there.
    async fn ask_for_commitment(
        &self,
        batch: &[Delivery],
        transaction_uid: &str,
        report: Report<'_>,
    ) -> Result<(), NodeFault> {
        let CStoreOptions { target, calling, tls, .. } = &self.options;
        let contexts = PLAIN.map(|syntax| (uids::STORAGE_COMMITMENT_PUSH_MODEL.to_owned(), syntax.to_owned())).into();
        let failed = |error| NodeFault::new(format!("{target} cannot be asked for storage commitment: {error}"));
        match tls {
            None => {
                let connection = associate(target, &contexts, calling).await.map_err(failed)?;
                self.ask_on(connection, batch, transaction_uid, report).await
            }
            Some(tls) => {
                let tls = tls.config().map_err(|error| unusable(&error))?;
                let connection = associate_by_tls(target, &contexts, calling, tls).await.map_err(failed)?;
                self.ask_on(connection, batch, transaction_uid, report).await
            }
        }
    }

    async fn ask_on<S: Stream>(
        &self,
        mut connection: AsyncClientAssociation<S>,
        batch: &[Delivery],
        transaction_uid: &str,
        report: Report<'_>,
    ) -> Result<(), NodeFault> {
        let CStoreOptions { target, calling, .. } = &self.options;
        let failed =
            |error: ScuError| NodeFault::new(format!("{target} cannot be asked for storage commitment: {error}"));
        let class = uids::STORAGE_COMMITMENT_PUSH_MODEL;
        let accepted = PLAIN.into_iter().find_map(|syntax| Some((context_for(&connection, class, syntax)?, syntax)));
        let Some((context, syntax)) = accepted else {
            release(connection).await;
            return Err(NodeFault::new(format!(
                "{target} offers no storage commitment: set commitment = false for it"
            )));
        };
        let listed: Vec<(&str, &str)> =
            objects(batch).map(|(_, object)| (&*object.sop_class_uid, &*object.sop_instance_uid)).collect();
        let data =
            commitment_request(transaction_uid, &listed, syntax).map_err(|error| failed(ScuError::Encode(error)))?;
        let message = commitment_message(&data, context, 1, connection.acceptor_max_pdu_length()).map_err(failed)?;
        let status = exchange(&mut connection, &message, 1, calling).await.map_err(failed)?;
        if status != 0 {
            release(connection).await;
            return Err(NodeFault::new(format!("{target} refused to commit itself (status {status:04X})")));
        }
        // The request is taken. Whatever happens to this association now, the report may come on another one.
        if let Ok(Some((request, context, data_set))) = next_request(&mut connection, REPORTS_AT_ONCE).await {
            let read = read_data_set(&data_set, encoding_of(syntax), Keep::All).ok();
            let is_ours = read.and_then(|read| CommitmentReport::read(&read.object)).is_some_and(|read| report(&read));
            let status = if is_ours { Status::SUCCESS } else { Status::PROCESSING_FAILURE };
            let _ = answer_request(&mut connection, &request, context, status, calling.write_timeout).await;
        }
        release(connection).await;
        Ok(())
    }

    async fn send(&self, batch: &[Delivery], tell: Tell<'_>) -> Result<(), NodeFault> {
        let (first, rest) = within_contexts(batch);
        self.send_on_one_association(first, tell).await?;
        if rest.is_empty() { Ok(()) } else { Box::pin(self.send(rest, tell)).await }
    }

    async fn send_on_one_association(&self, batch: &[Delivery], tell: Tell<'_>) -> Result<(), NodeFault> {
        let CStoreOptions { target, calling, tls, .. } = &self.options;
        let contexts: BTreeSet<(String, String)> =
            objects(batch).map(|(_, object)| context_of(object)).map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        match tls {
            None => match associate(target, &contexts, calling).await {
                Ok(connection) => self.send_on(connection, batch, tell).await,
                Err(error) => self.not_associated(&error, batch, tell),
            },
            Some(tls) => {
                let tls = tls.config().map_err(|error| unusable(&error))?;
                match associate_by_tls(target, &contexts, calling, tls).await {
                    Ok(connection) => self.send_on(connection, batch, tell).await,
                    Err(error) => self.not_associated(&error, batch, tell),
                }
            }
        }
    }

    /// A node that accepts none of the objects' presentation contexts takes other objects perhaps.
    fn not_associated(&self, error: &ScuError, batch: &[Delivery], tell: Tell<'_>) -> Result<(), NodeFault> {
        let ScuError::NoContext = error else {
            return Err(NodeFault::new(format!("no association with {}: {error}", self.options.target)));
        };
        for (delivery, object) in objects(batch) {
            tell(delivery, Step::Dead(not_accepted(object)))?;
        }
        Ok(())
    }

    async fn send_on<S: Stream>(
        &self,
        mut connection: AsyncClientAssociation<S>,
        batch: &[Delivery],
        tell: Tell<'_>,
    ) -> Result<(), NodeFault> {
        let CStoreOptions { target, calling, .. } = &self.options;
        for (turn, (delivery, object)) in objects(batch).enumerate() {
            // Message identifiers are 1..=65535.
            let message_id = (turn % 0xFFFF) as u16 + 1;
            let message = match request(&connection, object, message_id) {
                Ok(message) => message,
                Err(reason) => {
                    tell(delivery, Step::Dead(reason))?;
                    continue;
                }
            };
            if !tell(delivery, Step::Sending)? {
                continue;
            }
            match exchange(&mut connection, &message, message_id, calling).await {
                Ok(status) => {
                    if let Err(fault) = settle(delivery, answer(status), tell) {
                        release(connection).await;
                        return Err(fault);
                    }
                }
                Err(error) => {
                    let told = lost(delivery, format!("{target} was lost before it answered: {error}"), tell);
                    let _ = connection.abort().await;
                    return told;
                }
            }
        }
        release(connection).await;
        Ok(())
    }
}

fn unusable(error: &std::io::Error) -> NodeFault {
    NodeFault::new(format!("no encrypted connection: {error}"))
}

/// Everything was answered; how a peer takes the release says nothing new.
async fn release<S: Stream>(connection: AsyncClientAssociation<S>) {
    /// A peer that does not answer is left alone then.
    const FAREWELL: Duration = Duration::from_secs(2);
    let _ = tokio::time::timeout(FAREWELL, connection.release()).await;
}

fn not_accepted(object: &DeliveryObject) -> String {
    let (class, syntax) = context_of(object);
    format!("it accepts no objects of SOP class {class} in transfer syntax {syntax}")
}

/// As much of a batch as fits into the presentation contexts of one association, and the rest.
fn within_contexts(batch: &[Delivery]) -> (&[Delivery], &[Delivery]) {
    /// Identifiers are the odd numbers up to 255 (PS3.8 9.3.2.2); one is kept for Verification.
    const MOST: usize = 127;
    let mut contexts = BTreeSet::new();
    let fits = batch.iter().take_while(|delivery| {
        contexts.extend(delivery.object.as_ref().map(context_of));
        contexts.len() <= MOST
    });
    batch.split_at(fits.count())
}

fn objects(batch: &[Delivery]) -> impl Iterator<Item = (&Delivery, &DeliveryObject)> {
    batch.iter().filter_map(|delivery| Some((delivery, delivery.object.as_ref()?)))
}

fn context_of(object: &DeliveryObject) -> (&str, &str) {
    (&object.sop_class_uid, &object.transfer_syntax_uid)
}

/// The C-STORE request of an object, with its data set as it lies in its file.
fn request<S: Stream>(
    connection: &AsyncClientAssociation<S>,
    object: &DeliveryObject,
    message_id: u16,
) -> Result<Vec<u8>, String> {
    let (class, syntax) = context_of(object);
    let file = file_of(object)?;
    let context = context_for(connection, class, syntax).ok_or_else(|| not_accepted(object))?;
    let head = Head::read(&file).map_err(|error| format!("{} is no instance: {error}", object.path.display()))?;
    let outgoing = Outgoing {
        sop_class_uid: class,
        sop_instance_uid: &object.sop_instance_uid,
        data: file.get(head.length..).unwrap_or_default(),
    };
    store_request(outgoing, context, message_id, connection.acceptor_max_pdu_length())
        .map_err(|error| format!("the request cannot be encoded: {error}"))
}
