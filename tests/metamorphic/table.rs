//! The table of what was run, for people.

use std::fmt;

use crate::answer::Answer;

/// Everything that was run, in order.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

/// One case: what was done, what `triage` said, what was wrong with that.
#[derive(Debug)]
pub struct Row {
    pub input: &'static str,
    pub transformation: String,
    pub answers: Vec<Answer>,
    pub failures: Vec<String>,
}

impl Table {
    /// Adds a row and shows it at once, for whoever waits.
    pub fn add(&mut self, row: Row) {
        eprint!("{row}");
        self.0.push(row);
    }

    /// Fails if any row does; what was wrong is listed at the end, and in `$TABLESIDE_METAMORPHIC_TABLE` all of it.
    pub fn assert_all_right(&self, what: &str) {
        let failed: Vec<&Row> = self.0.iter().filter(|row| !row.failures.is_empty()).collect();
        let summary = format!("{what}: {} cases, {} failed", self.0.len(), failed.len());
        eprintln!("{self}\n{summary}");
        if let Some(file) = std::env::var_os("TABLESIDE_METAMORPHIC_TABLE") {
            use std::io::Write;
            let mut file = std::fs::File::options().create(true).append(true).open(file).unwrap();
            writeln!(file, "{self}\n{summary}").unwrap();
        }
        let listed: String = failed.iter().map(ToString::to_string).collect();
        assert!(failed.is_empty(), "{summary}\n{listed}");
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<60} {:<8} {:<14} {:>6} {:>7} {:>7}",
            "transformation", "input", "verdict", "prob.", "lung ml", "lesions"
        )?;
        self.0.iter().try_for_each(|row| write!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, transformation, answers, failures } = self;
        let outcome = if failures.is_empty() { "pass" } else { "FAIL" };
        if answers.is_empty() {
            writeln!(f, "{transformation:<60} {input:<8} {:<38} {outcome}", "no report")?;
        }
        for Answer { verdict, probability, lung_ml, lesion_ml, .. } in answers {
            let probability = probability.map_or("-".to_owned(), |probability| format!("{probability:.3}"));
            writeln!(
                f,
                "{transformation:<60} {input:<8} {verdict:<14} {probability:>6} {lung_ml:>7.0} {lesion_ml:>7.1} {outcome}"
            )?;
        }
        failures.iter().try_for_each(|failure| writeln!(f, "    {failure}"))
    }
}
