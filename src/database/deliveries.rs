//! The outbox's own way to its rows.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, TransactionBehavior};

use super::delivery_rows::{self as rows, DeliveryCounts, DeliveryFilter, Outcome, Unmade};
use super::{Addressee, Database, DatabaseError, Delivery, DeliveryKind, DeliveryObject, DeliveryState, connect_kept};
use crate::dicom::CommitmentReport;
use crate::exam::ExamKey;
use crate::report::content_digest;

/// All deliveries.
#[derive(Debug)]
pub struct Deliveries {
    connection: Mutex<Connection>,
}

impl Deliveries {
    /// Opens them in a database that is there already, while a daemon may be running.
    ///
    /// # Errors
    /// If there is none, or it has the layout of another version.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { connection: Mutex::new(connect_kept(path)?) })
    }

    /// Prepares a daemon's start: what was on its way may have arrived, and verdicts since `since` that an addressee never got
    /// anything of are entered for it. How many those are.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn start(
        &self,
        database: &Database,
        addressees: &[Addressee],
        since: Timestamp,
    ) -> Result<usize, DatabaseError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        rows::doubt_sending(&transaction)?;
        rows::forget_half_made(&transaction)?;
        rows::number_earlier_verdicts(&transaction, since, |exam| {
            let record = database.record(exam)?;
            Some(content_digest(record.final_report()?, &*database.basis(exam)?))
        })?;
        let caught = rows::catch_up(&transaction, addressees, since, Timestamp::now())?;
        transaction.commit()?;
        Ok(caught)
    }

    /// The next verdict whose objects are to be made, behind the delivery `after`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn next_unmade(&self, after: i64) -> Result<Option<Unmade>, DatabaseError> {
        rows::next_unmade(&self.connection(), after)
    }

    /// Puts the objects of these kinds that a verdict became in the place of what stood for them. The structured report comes with the
    /// last of the others: once it is there, all are.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn put_objects(
        &self,
        unmade: &Unmade,
        kinds: &[DeliveryKind],
        objects: &[(DeliveryKind, DeliveryObject)],
    ) -> Result<(), DatabaseError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        rows::put_objects(&transaction, unmade, kinds, objects, Timestamp::now())?;
        Ok(transaction.commit()?)
    }

    /// Says that a verdict's objects cannot be made, or need not be.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn end_unmade(&self, unmade: &Unmade, state: DeliveryState, reason: &str) -> Result<(), DatabaseError> {
        rows::end_unmade(&self.connection(), unmade, state, reason, Timestamp::now())
    }

    /// What a destination gets next: all that is open of one exam, in the order in which it is sent; empty if nothing is.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn next_batch(&self, destination: &str) -> Result<Vec<Delivery>, DatabaseError> {
        rows::next_batch(&self.connection(), destination, Timestamp::now())
    }

    /// The notification that a destination gets next, if one is due.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn next_notification(&self, destination: &str) -> Result<Option<Delivery>, DatabaseError> {
        rows::next_notification(&self.connection(), destination, Timestamp::now())
    }

    /// Takes an open delivery in hand; `false` if it is not to be sent any more.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn claim(&self, id: i64) -> Result<bool, DatabaseError> {
        rows::claim(&self.connection(), id, Timestamp::now())
    }

    /// Notes what became of a delivery.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn mark(&self, id: i64, outcome: &Outcome<'_>) -> Result<(), DatabaseError> {
        rows::mark(&self.connection(), id, outcome, Timestamp::now())
    }

    /// What a destination is to be asked about next under this transaction: all of one exam that it has stored, or was asked about
    /// longer ago than `patience` without a report since. It is noted as asked; empty if there is nothing to ask.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn ask_next(
        &self,
        destination: &str,
        transaction_uid: &str,
        patience: Duration,
    ) -> Result<Vec<Delivery>, DatabaseError> {
        let now = Timestamp::now();
        let asked_before = now.checked_sub(patience).unwrap_or(Timestamp::MIN);
        let mut connection = self.connection.lock();
        if rows::next_uncommitted(&connection, destination, asked_before)?.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let batch = rows::next_uncommitted(&transaction, destination, asked_before)?;
        let left = rows::ask(&transaction, batch, transaction_uid, now)?;
        transaction.commit()?;
        Ok(left)
    }

    /// The question of this transaction did not reach its destination.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn take_back_question(&self, transaction_uid: &str) -> Result<(), DatabaseError> {
        rows::take_back_question(&self.connection(), transaction_uid)
    }

    /// A destination reports what it has for good. How many deliveries it was asked about under the transaction.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn committed(&self, report: &CommitmentReport) -> Result<usize, DatabaseError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let asked = rows::committed(&transaction, report, Timestamp::now())?;
        transaction.commit()?;
        Ok(asked)
    }

    /// The deliveries that are meant, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn list(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, DatabaseError> {
        rows::list(&self.connection(), filter)
    }

    /// Has what is dead of those that are meant sent again; how many they are.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn send_again(&self, chosen: DeliveryFilter) -> Result<usize, DatabaseError> {
        let filter = DeliveryFilter { states: vec![DeliveryState::Dead], ..chosen };
        rows::decide(&self.connection(), &filter, DeliveryState::Queued, Timestamp::now())
    }

    /// Gives up what has not arrived of those that are meant; how many they are.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn give_up(&self, chosen: DeliveryFilter) -> Result<usize, DatabaseError> {
        let states = vec![DeliveryState::Queued, DeliveryState::Sending, DeliveryState::Unsure, DeliveryState::Dead];
        rows::decide(&self.connection(), &DeliveryFilter { states, ..chosen }, DeliveryState::Dropped, Timestamp::now())
    }

    /// The objects that an exam's last verdict became, in the order in which they are sent; empty if none were made.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_objects(&self, exam: &ExamKey) -> Result<Vec<(DeliveryKind, DeliveryObject)>, DatabaseError> {
        let connection = self.connection();
        match rows::last_revision_of(&connection, exam)? {
            Some(revision) => rows::made_objects(&connection, exam, revision),
            None => Ok(Vec::new()),
        }
    }

    /// The objects that a verdict became already; empty if none were made.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn made_objects(&self, unmade: &Unmade) -> Result<Vec<(DeliveryKind, DeliveryObject)>, DatabaseError> {
        rows::made_objects(&self.connection(), &unmade.exam, unmade.revision)
    }

    /// Unsettled deliveries to destinations that are none of these, by destination.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn strays(&self, known: &[String]) -> Result<Vec<(String, usize)>, DatabaseError> {
        rows::strays(&self.connection(), known)
    }

    /// What is not settled with a destination.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn counts(&self, destination: &str) -> Result<DeliveryCounts, DatabaseError> {
        rows::counts(&self.connection(), destination)
    }

    /// Whether an exam's images are needed for what is to be delivered.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn needs_images(&self, exam: &ExamKey) -> Result<bool, DatabaseError> {
        rows::needs_images(&self.connection(), exam)
    }

    /// Whether the files of an exam's objects are needed: something is not settled, or was settled after `since`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn needs_objects(&self, exam: &ExamKey, since: Timestamp) -> Result<bool, DatabaseError> {
        rows::needs_objects(&self.connection(), exam, since)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }
}
