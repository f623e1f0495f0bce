//! Every sentence that flags and statements are made of. Reasons of verdicts have theirs in `triage`, issues of the acquisition in
//! `exam`.

use std::fmt::{Display, Formatter, Result};

use super::flag::{Flag, FlagKind};
use super::flag_text::{Advice, FlagText, Withdrawal};
use super::moment::{FlagEvent, FlagState};
use super::statement::{Basis, Message};
use crate::exam::Remedy;
use crate::words::counted;

const NOT_A_NEGATIVE: &str = "This is not a negative";

impl Message {
    /// What the headline rests on; empty where there is nothing to say.
    pub(super) fn lead(&self) -> String {
        match self {
            Self::SuspectedEarly { after_slices, scan_goes_on } => {
                let since = if *scan_goes_on { "the scan goes on" } else { "neither confirmed nor withdrawn" };
                format!("Early: after {}, {since}", counted(*after_slices, "slice"))
            }
            Self::Suspected { basis } | Self::SuspicionWithdrawn { basis: Some(basis) } => match basis {
                Basis::WholeLungs => "On the whole lungs, the scan goes on".to_owned(),
                Basis::WholeScan => "On the whole scan".to_owned(),
            },
            Self::Abnormal {} | Self::NotAnalysed {} | Self::NoVerdict {} => NOT_A_NEGATIVE.to_owned(),
            Self::Receiving { reopened: true, .. } => "More slices came: the verdict is open again".to_owned(),
            Self::Receiving { reopened: false, .. } => "No verdict yet".to_owned(),
            Self::NotSuspected { analysed } => format!("On the {} analysed", counted(*analysed, "slice")),
            Self::Rescan { .. }
            | Self::SendAgain { .. }
            | Self::CheckScan { .. }
            | Self::SlicesLost { .. }
            | Self::SuspicionWithdrawn { basis: None }
            | Self::Revised {} => String::new(),
        }
    }

    /// What to know or to do.
    pub(super) fn headline(&self) -> String {
        let headline = match self {
            Self::SuspectedEarly { .. } | Self::Suspected { .. } => "COVID-19 pneumonia suspected: isolate",
            Self::Abnormal {} => "Abnormal, not assessed: a radiologist must look",
            Self::Rescan { .. } => "Rescan before the patient leaves",
            Self::SendAgain { .. } => "Send again before the patient leaves",
            Self::CheckScan { .. } | Self::SlicesLost { .. } => "Check the scan",
            Self::NotAnalysed {} => "Not analysed",
            Self::NoVerdict {} => "No verdict",
            Self::SuspicionWithdrawn { .. } => "Suspicion withdrawn",
            Self::Receiving { received, expected: Some(expected), .. } => {
                return format!("Receiving: {received} of {}", counted(*expected, "slice"));
            }
            Self::Receiving { received, expected: None, .. } => {
                return format!("Receiving: {} so far", counted(*received, "slice"));
            }
            Self::NotSuspected { .. } => "COVID-19 pneumonia not suspected",
            Self::Revised {} => "Revised",
        };
        headline.to_owned()
    }

    /// A word or two for lists.
    pub(super) fn badge(&self) -> &'static str {
        match self {
            Self::SuspectedEarly { .. } => "Suspected, early",
            Self::Suspected { .. } => "Suspected",
            Self::Abnormal {} => "Abnormal",
            Self::Rescan { .. } => "Rescan",
            Self::SendAgain { .. } => "Send again",
            Self::CheckScan { .. } | Self::SlicesLost { .. } => "Check scan",
            Self::NotAnalysed {} => "Not analysed",
            Self::NoVerdict {} => "No verdict",
            Self::SuspicionWithdrawn { .. } => "Withdrawn",
            Self::Receiving { .. } => "Receiving",
            Self::NotSuspected { .. } => "Not suspected",
            Self::Revised {} => "Revised",
        }
    }

    /// What is said below the headline. `reason` is the verdict's, or the text of the flag.
    pub(super) fn detail(&self, reason: &str) -> String {
        match self {
            Self::SlicesLost { failed, refused, missing } => slices_lost(*failed, *refused, *missing),
            Self::NoVerdict {} if reason.is_empty() => {
                "The exam is over and Tableside has no verdict: treat it as not analysed.".to_owned()
            }
            Self::Receiving { place: Some(place), .. } => format!("Received, waiting, place {place}."),
            Self::Receiving { place: None, analysed, .. } => format!("{analysed} analysed."),
            Self::NotSuspected { .. } if reason.is_empty() => "Nothing else is looked for.".to_owned(),
            Self::NotSuspected { .. } => format!("Nothing else is looked for. {reason}"),
            Self::Revised {} => "more slices came after a first verdict.".to_owned(),
            _ => reason.to_owned(),
        }
    }

    /// All of it in one line.
    pub(super) fn line(&self, detail: &str) -> String {
        if let Self::NotSuspected { analysed } = self {
            return format!("COVID-19 pneumonia not suspected on the {} analysed.", counted(*analysed, "slice"));
        }
        let headline = self.headline();
        let colon = if headline.contains(':') { ". " } else { ": " };
        if detail.is_empty() { headline } else { headline + colon + detail }
    }

    /// What a screen reader says: counts that change twenty times a second are left out.
    pub(super) fn announcement(&self, line: &str) -> String {
        match self {
            Self::Receiving { .. } => "Receiving".to_owned(),
            Self::Revised {} => String::new(),
            _ => line.to_owned(),
        }
    }
}

fn slices_lost(failed: usize, refused: usize, missing: usize) -> String {
    let parts = [
        (failed, format!("{} could not be analysed", counted(failed, "slice"))),
        (refused, format!("{} refused", counted(refused, "object"))),
        (missing, format!("{} missing", counted(missing, "slice"))),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| words).collect();
    format!("{}.", parts.join(", "))
}

impl Flag {
    /// What the flag is about, and where it is in its life.
    #[must_use]
    pub fn title(&self) -> String {
        let kind = match (self.kind, self.remedy) {
            (_, Some(Remedy::Rescan)) => "Rescan",
            (FlagKind::Suspected, _) => "Suspected",
            (FlagKind::Abnormal, _) => "Abnormal",
            (FlagKind::Rescan, _) => "Check the scan",
            (FlagKind::NotAnalysed, _) => "Not analysed",
        };
        let state = match self.state {
            FlagState::Early => "early, to be confirmed or withdrawn",
            FlagState::Confirmed => "confirmed",
            FlagState::Withdrawn => "withdrawn",
            FlagState::Final => "final",
            FlagState::Pending => "pending, more slices came and the scan is judged again",
        };
        format!("{kind}: {state}")
    }
}

impl FlagEvent {
    /// What happened to the flag.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Early => "raised early",
            Self::Confirmed => "confirmed",
            Self::Withdrawn => "withdrawn",
            Self::Final => "raised",
            Self::Pending => "pending",
            Self::Acknowledged => "acknowledged",
        }
    }
}

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
