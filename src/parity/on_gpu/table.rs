//! The one table.

use std::error::Error;
use std::fmt::{Display, Formatter, Result};

use crate::config::Config;
use crate::engine::{Gpu, ModelPackage, cuda_version, find_onnxruntime, nvidia_driver};

/// Whether what was found is what should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Yes,
    No,
    /// There is no goal.
    Told,
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub what: String,
    pub found: String,
    pub goal: String,
    pub holds: Holds,
}

/// A line of the Markdown table whose head is [`TABLE_HEAD`].
impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let holds = match self.holds {
            Holds::Yes => "yes",
            Holds::No => "**no**",
            Holds::Told => "",
        };
        write!(f, "| {} | {} | {} | {holds} |", cell(&self.what), cell(&self.found), cell(&self.goal))
    }
}

pub const TABLE_HEAD: &str = "| what | found | goal | holds |\n|---|---|---|---|";

/// What was found on one GPU. Each row is reported as soon as it is known: a GPU that hangs takes the rest.
pub(super) struct Report<'a> {
    rows: Vec<Row>,
    tell: &'a mut dyn FnMut(&Row),
}

impl<'a> Report<'a> {
    /// A report whose first rows say what GPU, driver and libraries there are.
    pub(super) fn new(gpus: &[Gpu], config: &Config, package: &ModelPackage, tell: &'a mut dyn FnMut(&Row)) -> Self {
        let mut report = Self { rows: Vec::new(), tell };
        if let Some(gpu) = gpus.first() {
            let ((major, minor), gigabytes) = (gpu.compute_capability, gpu.memory_bytes as f64 / 1e9);
            let described = format!("{}, compute capability {major}.{minor}, {gigabytes:.1} GB", gpu.name);
            report.note("GPU", &described);
            report.note("CUDA that the driver knows", &cuda_version(gpu.driver_cuda));
        }
        report.note("driver", nvidia_driver().as_deref().unwrap_or("unknown"));
        let library = find_onnxruntime(config.engine.onnxruntime_library.as_deref());
        let library = library.map(|path| path.canonicalize().unwrap_or(path).display().to_string());
        report.note("ONNX Runtime", &library.unwrap_or_else(|reason| format!("none: {reason}")));
        report.note("model", &package.title());
        report
    }

    /// What does not meet its goal.
    #[must_use]
    pub(super) fn into_faults(self) -> Vec<Row> {
        self.rows.into_iter().filter(|row| row.holds == Holds::No).collect()
    }

    pub(super) fn row(&mut self, what: &str, found: &str, goal: &str, holds: Holds) {
        let row = Row { what: what.to_owned(), found: found.to_owned(), goal: goal.to_owned(), holds };
        (self.tell)(&row);
        self.rows.push(row);
    }

    pub(super) fn note(&mut self, what: &str, found: &str) {
        self.row(what, found, "", Holds::Told);
    }

    pub(super) fn failed(&mut self, what: &str, error: &(dyn Error + 'static)) {
        self.row(what, &error.to_string(), "runs", Holds::No);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_that_does_not_hold_is_named_and_is_a_line_of_the_table() {
        let package = ModelPackage::built_in().unwrap();
        let mut lines = Vec::new();
        let mut tell = |row: &Row| lines.push(row.to_string());
        let mut report = Report::new(&[], &Config::default(), &package, &mut tell);
        report.row("windows", "81 %", "80 %", Holds::Yes);
        report.note("tensorrt", "it is not here");
        report.failed("cuda", &std::io::Error::other("out of\nmemory | or so"));
        let faults = report.into_faults();
        assert_eq!(faults.iter().map(|row| row.what.as_str()).collect::<Vec<_>>(), ["cuda"]);
        assert_eq!(lines.last().unwrap(), "| cuda | out of memory \\| or so | runs | **no** |");
        assert!(lines.contains(&"| windows | 81 % | 80 % | yes |".to_owned()), "{lines:?}");
    }
}
