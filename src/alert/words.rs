//! Every sentence that flags are made of. Reasons of verdicts have theirs in `triage`, issues of the acquisition in `exam`.

use std::fmt::{Display, Formatter, Result};

use super::flag_text::{Advice, FlagText, Withdrawal};
use crate::words::counted;

impl Display for FlagText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::SuspectedEarly => {
                f.write_str("COVID-19 pneumonia suspected while the scan runs: isolate the patient")
            }
            Self::Suspected { reason } => write!(f, "COVID-19 pneumonia suspected, isolate the patient: {reason}"),
            Self::Abnormal { reason } => write!(f, "abnormal, not assessed: {reason}"),
            Self::NotAnalysed { reason } => write!(f, "not analysed: {reason}"),
            Self::Advice(advice) => advice.fmt(f),
        }
    }
}

impl Display for Advice<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let told: Vec<String> =
            self.told.iter().map(|(remedy, issue)| format!("{}: {issue}", remedy.words())).collect();
        f.write_str(&told.join("; "))?;
        if self.more > 0 { write!(f, "; and {} more", counted(self.more, "issue")) } else { Ok(()) }
    }
}

impl Display for Withdrawal<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::NotSuspected { reason } => write!(f, "withdrawn: {reason}"),
            Self::Abnormal { reason } => write!(f, "withdrawn, the exam is abnormal: {reason}"),
            Self::SuspectedSince => f.write_str("the exam has been suspected since"),
            Self::AnalysedSince => f.write_str("the exam has been analysed since"),
            Self::ScanMended => f.write_str("what was wrong with the scan has been mended since"),
        }
    }
}
