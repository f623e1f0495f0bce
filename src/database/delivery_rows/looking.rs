//! What somebody sees of the deliveries, and decides.

use std::fmt;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{OPEN, UNSETTLED, delivery};
use crate::database::DatabaseError;
use crate::database::delivery::{Delivery, DeliveryState};
use crate::database::rows::{count, enumerated};
use crate::exam::ExamKey;

/// Which deliveries are meant: all that it does not exclude.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryFilter {
    #[serde(rename = "numbers")]
    pub ids: Vec<i64>,
    pub exam: Option<ExamKey>,
    pub destination: Option<String>,
    /// Empty for all.
    #[serde(skip)]
    pub states: Vec<DeliveryState>,
}

impl fmt::Display for DeliveryFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.ids.iter().map(i64::to_string).collect();
        let numbers = (!numbers.is_empty()).then(|| format!("numbers {}", numbers.join(" ")));
        let exam = self.exam.as_ref().map(|exam| format!("exam {exam}"));
        let destination = self.destination.as_ref().map(|name| format!("destination {name}"));
        let chosen: Vec<String> = numbers.into_iter().chain(exam).chain(destination).collect();
        formatter.write_str(if chosen.is_empty() { "all" } else { "" })?;
        formatter.write_str(&chosen.join(", "))
    }
}

impl DeliveryFilter {
    /// Whether it excludes anything.
    #[must_use]
    pub fn names_some(&self) -> bool {
        !self.ids.is_empty() || self.exam.is_some() || self.destination.is_some()
    }

    fn condition(&self) -> (String, Vec<Value>) {
        let mut conditions = vec!["TRUE".to_owned()];
        let mut values: Vec<Value> = Vec::new();
        let mut among = |column: &str, of: Vec<Value>| {
            if !of.is_empty() {
                conditions.push(format!("{column} IN ({})", vec!["?"; of.len()].join(", ")));
                values.extend(of);
            }
        };
        among("id", self.ids.iter().map(|id| Value::from(*id)).collect());
        among("exam", self.exam.iter().map(|exam| Value::from(exam.to_string())).collect());
        among("destination", self.destination.iter().map(|name| Value::from(name.clone())).collect());
        among("state", self.states.iter().map(|state| Value::from(state.as_str().to_owned())).collect());
        (conditions.join(" AND "), values)
    }
}

/// The deliveries that are meant, the oldest first.
pub(in crate::database) fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
) -> Result<Vec<Delivery>, DatabaseError> {
    let (condition, values) = filter.condition();
    let mut statement = connection.prepare(&format!("SELECT * FROM delivery WHERE {condition} ORDER BY id"))?;
    let found = statement.query_map(params_from_iter(values), delivery)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Sets the state of those that are meant; how many they are. Who wants them sent again begins anew.
pub(in crate::database) fn decide(
    connection: &Connection,
    filter: &DeliveryFilter,
    state: DeliveryState,
    now: Timestamp,
) -> Result<usize, DatabaseError> {
    let (condition, values) = filter.condition();
    let sql = format!(
        "UPDATE delivery SET state = ?, reason = NULL, failures = 0, asked = 0, not_before_us = 0, changed_us = ? WHERE {condition}"
    );
    let first = [Value::from(state.as_str().to_owned()), Value::from(now.as_microsecond())];
    Ok(connection.execute(&sql, params_from_iter(first.into_iter().chain(values)))?)
}

/// How many unsettled deliveries of a destination are in each state, and since when the oldest open one waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    pub by_state: Vec<(DeliveryState, usize)>,
    pub oldest_open: Option<Timestamp>,
}

impl DeliveryCounts {
    #[must_use]
    pub fn of(&self, state: DeliveryState) -> usize {
        self.by_state.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count)
    }

    #[must_use]
    pub fn open(&self) -> usize {
        self.by_state.iter().filter(|(state, _)| state.is_open()).map(|(_, count)| count).sum()
    }
}

pub(in crate::database) fn counts(connection: &Connection, destination: &str) -> Result<DeliveryCounts, DatabaseError> {
    let by_state = connection
        .prepare_cached(&format!(
            "SELECT state, count(*) AS deliveries FROM delivery WHERE destination = ?1 AND state IN {UNSETTLED}
                GROUP BY state"
        ))?
        .query_map([destination], |row| Ok((enumerated(row, "state")?, count(row, "deliveries")?)))?
        .collect::<rusqlite::Result<_>>()?;
    let oldest: Option<i64> = connection
        .prepare_cached(&format!("SELECT min(queued_us) FROM delivery WHERE destination = ?1 AND state IN {OPEN}"))?
        .query_row([destination], |row| row.get(0))?;
    Ok(DeliveryCounts { by_state, oldest_open: oldest.and_then(|us| Timestamp::from_microsecond(us).ok()) })
}

/// Whether an exam's images are needed still: objects are to be made from them, or they are to be delivered themselves. What is
/// dead counts too: somebody has to decide on it.
pub(in crate::database) fn needs_images(connection: &Connection, exam: &ExamKey) -> Result<bool, DatabaseError> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM delivery WHERE exam = ?1 AND (part = 0 OR kind = 'original') AND state IN {UNSETTLED})"
    );
    Ok(connection.prepare_cached(&sql)?.query_row([exam.to_string()], |row| row.get(0))?)
}

/// Whether files of an exam's objects are needed: some are not delivered, or were a moment ago.
pub(in crate::database) fn needs_objects(
    connection: &Connection,
    exam: &ExamKey,
    since: Timestamp,
) -> Result<bool, DatabaseError> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM delivery WHERE exam = ?1 AND (state IN {UNSETTLED} OR changed_us >= ?2))"
    );
    Ok(connection
        .prepare_cached(&sql)?
        .query_row(params![exam.to_string(), since.as_microsecond()], |row| row.get(0))?)
}

/// Unsettled deliveries to destinations that are none of these, by destination.
pub(in crate::database) fn strays(
    connection: &Connection,
    known: &[String],
) -> Result<Vec<(String, usize)>, DatabaseError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT destination, count(*) AS deliveries FROM delivery WHERE state IN {UNSETTLED} GROUP BY destination"
    ))?;
    let all: Vec<(String, usize)> = statement
        .query_map([], |row| Ok((row.get("destination")?, count(row, "deliveries")?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(all.into_iter().filter(|(destination, _)| !known.contains(destination)).collect())
}
