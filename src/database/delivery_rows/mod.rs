//! Deliveries as rows. Those of a verdict enter in its own transaction, one for each kind and destination and without an object
//! (part 0); once the objects are made, each has a row of its own in their place.

mod commitment;
mod entering;
mod looking;
mod making;
mod sending;

use rusqlite::Row;

pub(super) use commitment::{ask, committed, next_uncommitted, take_back_question};
pub(super) use entering::{catch_up, enter, number_earlier_verdicts};
pub use looking::{DeliveryCounts, DeliveryFilter};
pub(super) use looking::{counts, decide, list, needs_images, needs_objects, strays};
pub use making::Unmade;
pub(super) use making::{end_unmade, forget_half_made, last_revision_of, made_objects, next_unmade, put_objects};
pub use sending::Outcome;
pub(super) use sending::{claim, doubt_sending, mark, next_batch, next_notification};

use super::delivery::{Delivery, DeliveryObject};
use super::rows::{enumerated, key, time, unreadable};

/// States in which the worker of the destination has to do with a delivery, as a list in SQL.
const OPEN: &str = "('queued', 'sending', 'unsure')";

/// The states of what is not settled.
const UNSETTLED: &str = "('queued', 'sending', 'unsure', 'stored', 'commitment_asked', 'dead')";

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let path: Option<String> = row.get("path")?;
    let object = path.map(|path| -> rusqlite::Result<DeliveryObject> {
        Ok(DeliveryObject {
            path: path.into(),
            sop_class_uid: row.get("sop_class_uid")?,
            sop_instance_uid: row.get("sop_instance_uid")?,
            series_instance_uid: row.get("series_instance_uid")?,
            transfer_syntax_uid: row.get("transfer_syntax_uid")?,
            sha256: row.get("sha256")?,
        })
    });
    let notice = row
        .get::<_, Option<String>>("notice")?
        .map(|notice| serde_json::from_str(&notice).map_err(|error| unreadable(row, "notice", error)));
    Ok(Delivery {
        id: row.get("id")?,
        exam: key(row, "exam")?,
        revision: row.get("revision")?,
        kind: enumerated(row, "kind")?,
        destination: row.get("destination")?,
        state: enumerated(row, "state")?,
        reason: row.get("reason")?,
        queued: time(row, "queued_us")?,
        changed: time(row, "changed_us")?,
        failures: row.get("failures")?,
        object: object.transpose()?,
        notice: notice.transpose()?.map(Box::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::DeliveryState;

    #[test]
    fn the_states_in_sql_are_those_of_the_enum() {
        let list = |states: &[DeliveryState]| {
            let words: Vec<String> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
            format!("({})", words.join(", "))
        };
        let open: Vec<DeliveryState> = DeliveryState::UNSETTLED.into_iter().filter(|state| state.is_open()).collect();
        assert_eq!([OPEN.to_owned(), UNSETTLED.to_owned()], [list(&open), list(&DeliveryState::UNSETTLED)]);
    }
}
