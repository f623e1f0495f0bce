//! How much of what there is in the database: to help somebody who may not see what is in it.

use std::path::Path;

use super::{DatabaseError, connect_kept};

/// Each yields lines of a text and a number.
const COUNTED: [&str; 6] = [
    "SELECT 'exams ' || state || coalesce(' ' || verdict, ''), count(*) FROM exam GROUP BY state, verdict",
    "SELECT 'exams with a report', count(*) FROM report",
    "SELECT 'exams with what their objects are made from', count(*) FROM report_basis",
    "SELECT 'deliveries to ' || destination || ' ' || kind || ' ' || state, count(*) FROM delivery
        GROUP BY destination, kind, state",
    "SELECT 'outcomes ' || kind, count(*) FROM outcome GROUP BY kind",
    "SELECT 'results of shadow models' || iif(failure IS NULL, '', ' that failed'), count(*) FROM shadow_result
        GROUP BY failure IS NULL",
];

/// What there is, and how much of it. No row is told: names stand in some.
///
/// # Errors
/// If there is no database of this version's layout, or it cannot be read.
pub fn counts(path: &Path) -> Result<Vec<(String, i64)>, DatabaseError> {
    let connection = connect_kept(path)?;
    let mut counts = Vec::new();
    for counted in COUNTED {
        let mut statement = connection.prepare(counted)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        counts.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(counts)
}
