//! Details: masks, and what objects are made from. They take most of the file, and say nothing without the images that they lie on. So
//! they go with those; exam, verdict, report, flags, deliveries and what was measured of each slab stay.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior, params};

use super::rows::{key, time};
use super::{DatabaseError, basis_rows, connect_kept};
use crate::exam::ExamKey;
use crate::raster::PackedMask;

/// A connection of its own to the details: nobody who reads or writes exams waits for it, but for the file's own lock.
#[derive(Debug)]
pub struct Details {
    connection: Mutex<Connection>,
}

impl Details {
    /// Opens them in a database that is there already.
    ///
    /// # Errors
    /// If there is none, or it has the layout of another version.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { connection: Mutex::new(connect_kept(path)?) })
    }

    /// The exams that have some, and when each was judged.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn judged(&self) -> Result<BTreeMap<ExamKey, Timestamp>, DatabaseError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached("SELECT exam, concluded_us FROM report_basis")?;
        let exams = statement.query_map([], |row| Ok((key(row, "exam")?, time(row, "concluded_us")?)))?;
        Ok(exams.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets those of an exam, unless it has been judged at another time than `judged`.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn forget(&self, exam: &ExamKey, judged: Timestamp) -> Result<(), DatabaseError> {
        let mut connection = self.connection.lock();
        let exam = exam.to_string();
        let nothing = PackedMask::empty();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let forgotten = transaction
            .prepare_cached("DELETE FROM report_basis WHERE exam = ?1 AND concluded_us = ?2")?
            .execute(params![exam, judged.as_microsecond()])?;
        if forgotten > 0 {
            basis_rows::delete(&transaction, &exam)?;
            transaction
                .prepare_cached(
                    "UPDATE slab SET mask_rows = 0, mask_columns = 0, lung_mask = ?2, lesion_mask = ?2, image_path = NULL,
                        image_frame = NULL, centre_x_mm = NULL, centre_y_mm = NULL WHERE exam = ?1",
                )?
                .execute(params![exam, nothing.deflated()])?;
        }
        Ok(transaction.commit()?)
    }
}
