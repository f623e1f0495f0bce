//! Every phrase that flags and statements are made of. Reasons of verdicts have theirs in `triage`, issues of the acquisition in
//! `exam`.

use super::flag::{Flag, FlagKind};
use super::flag_text::{Advice, FlagText, Withdrawal};
use super::moment::{FlagEvent, FlagState};
use super::statement::{Basis, Message};
use crate::exam::Remedy;
use crate::texts::Phrase;

impl Message {
    /// What the headline rests on; may be nothing.
    pub(super) fn lead(&self) -> Phrase {
        match self {
            Self::SuspectedEarly { after_slices, scan_goes_on } => {
                let text = if *scan_goes_on { "lead.early_going_on" } else { "lead.early_over" };
                Phrase::new(text).with("count", *after_slices)
            }
            Self::Suspected { basis } | Self::SuspicionWithdrawn { basis: Some(basis) } => Phrase::new(match basis {
                Basis::WholeLungs => "lead.whole_lungs",
                Basis::WholeScan => "lead.whole_scan",
            }),
            Self::Abnormal {} | Self::NotAnalysed {} | Self::NoVerdict {} => Phrase::new("lead.not_a_negative"),
            Self::Receiving { reopened: true, .. } => Phrase::new("lead.reopened"),
            Self::Receiving { reopened: false, .. } => Phrase::new("lead.no_verdict_yet"),
            Self::NotSuspected { analysed } => Phrase::new("lead.on_analysed").with("count", *analysed),
            Self::Rescan { .. }
            | Self::SendAgain { .. }
            | Self::CheckScan { .. }
            | Self::SlicesLost { .. }
            | Self::SuspicionWithdrawn { basis: None }
            | Self::Revised {} => Phrase::nothing(),
        }
    }

    /// What to know or to do.
    pub(super) fn headline(&self) -> Phrase {
        Phrase::new(match self {
            Self::SuspectedEarly { .. } | Self::Suspected { .. } => "headline.suspected",
            Self::Abnormal {} => "headline.abnormal",
            Self::Rescan { .. } => "headline.rescan",
            Self::SendAgain { .. } => "headline.send_again",
            Self::CheckScan { .. } | Self::SlicesLost { .. } => "headline.check_scan",
            Self::NotAnalysed {} => "headline.not_analysed",
            Self::NoVerdict {} => "headline.no_verdict",
            Self::SuspicionWithdrawn { .. } => "headline.withdrawn",
            Self::Receiving { received, expected: Some(expected), .. } => {
                return Phrase::new("headline.receiving_of").with("received", *received).with("expected", *expected);
            }
            Self::Receiving { received, expected: None, .. } => {
                return Phrase::new("headline.receiving").with("received", *received);
            }
            Self::NotSuspected { .. } => "headline.not_suspected",
            Self::Revised {} => "headline.revised",
        })
    }

    /// A word or two for lists.
    pub(super) fn badge(&self) -> Phrase {
        Phrase::new(match self {
            Self::SuspectedEarly { .. } => "badge.suspected_early",
            Self::Suspected { .. } => "badge.suspected",
            Self::Abnormal {} => "badge.abnormal",
            Self::Rescan { .. } => "badge.rescan",
            Self::SendAgain { .. } => "badge.send_again",
            Self::CheckScan { .. } | Self::SlicesLost { .. } => "badge.check_scan",
            Self::NotAnalysed {} => "badge.not_analysed",
            Self::NoVerdict {} => "badge.no_verdict",
            Self::SuspicionWithdrawn { .. } => "badge.withdrawn",
            Self::Receiving { .. } => "badge.receiving",
            Self::NotSuspected { .. } => "badge.not_suspected",
            Self::Revised {} => "badge.revised",
        })
    }

    /// What is said below the headline. `reason` is the verdict's, or the text of the flag.
    pub(super) fn detail(&self, reason: Phrase) -> Phrase {
        match self {
            Self::SlicesLost { failed, refused, missing } => slices_lost(*failed, *refused, *missing),
            Self::NoVerdict {} if reason.is_nothing() => Phrase::new("detail.no_verdict"),
            Self::Receiving { place: Some(place), .. } => Phrase::new("detail.waiting").with("place", *place),
            Self::Receiving { place: None, analysed, .. } => Phrase::new("detail.analysed").with("count", *analysed),
            Self::NotSuspected { .. } if reason.is_nothing() => Phrase::new("detail.nothing_else"),
            Self::NotSuspected { .. } => Phrase::new("detail.nothing_else_because").with("reason", reason),
            Self::Revised {} => Phrase::new("detail.revised"),
            _ => reason,
        }
    }

    /// All of it in one line.
    pub(super) fn line(&self, detail: &Phrase) -> Phrase {
        if let Self::NotSuspected { analysed } = self {
            return Phrase::new("line.not_suspected").with("count", *analysed);
        }
        let headline = self.headline();
        if detail.is_nothing() {
            return headline;
        }
        let joint = if self.headline_has_a_colon() { "line.then" } else { "line.because" };
        Phrase::new(joint).with("headline", headline).with("detail", detail.clone())
    }

    /// A second colon in one line could not be read.
    fn headline_has_a_colon(&self) -> bool {
        matches!(
            self,
            Self::SuspectedEarly { .. } | Self::Suspected { .. } | Self::Abnormal {} | Self::Receiving { .. }
        )
    }

    /// What a screen reader says: counts that change twenty times a second are left out.
    pub(super) fn announcement(&self, line: &Phrase) -> Phrase {
        match self {
            Self::Receiving { .. } => self.badge(),
            Self::Revised {} => Phrase::nothing(),
            _ => line.clone(),
        }
    }
}

fn slices_lost(failed: usize, refused: usize, missing: usize) -> Phrase {
    let counts =
        [(failed, "detail.slices_failed"), (refused, "detail.objects_refused"), (missing, "detail.slices_missing")];
    let lost = counts.into_iter().filter(|(count, _)| *count > 0);
    let parts = Phrase::joined("join.comma", lost.map(|(count, text)| Phrase::new(text).with("count", count)));
    Phrase::new("detail.slices_lost").with("parts", parts)
}

impl Flag {
    /// What the flag is about.
    #[must_use]
    pub fn subject(&self) -> Phrase {
        Phrase::new(match (self.kind, self.remedy) {
            (_, Some(Remedy::Rescan)) => "flag_subject.rescan",
            (FlagKind::Suspected, _) => "flag_subject.suspected",
            (FlagKind::Abnormal, _) => "flag_subject.abnormal",
            (FlagKind::Rescan, _) => "flag_subject.check_scan",
            (FlagKind::NotAnalysed, _) => "flag_subject.not_analysed",
        })
    }

    /// What the flag is about, and where it is in its life.
    #[must_use]
    pub fn title(&self) -> Phrase {
        let state = Phrase::new(match self.state {
            FlagState::Early => "flag_state.early",
            FlagState::Confirmed => "flag_state.confirmed",
            FlagState::Withdrawn => "flag_state.withdrawn",
            FlagState::Final => "flag_state.final",
            FlagState::Pending => "flag_state.pending",
        });
        Phrase::new("flag_text.title").with("subject", self.subject()).with("state", state)
    }
}

impl FlagEvent {
    /// What happened to the flag.
    #[must_use]
    pub fn phrase(self) -> Phrase {
        Phrase::new(match self {
            Self::Early => "flag_event.early",
            Self::Confirmed => "flag_event.confirmed",
            Self::Withdrawn => "flag_event.withdrawn",
            Self::Final => "flag_event.final",
            Self::Pending => "flag_event.pending",
            Self::Acknowledged => "flag_event.acknowledged",
        })
    }
}

impl FlagText<'_> {
    pub(super) fn phrase(&self) -> Phrase {
        let because = |text, reason: &Phrase| Phrase::new(text).with("reason", reason.clone());
        match self {
            Self::SuspectedEarly => Phrase::new("flag_text.suspected_early"),
            Self::Suspected { reason } => because("flag_text.suspected", reason),
            Self::Abnormal { reason } => because("flag_text.abnormal", reason),
            Self::NotAnalysed { reason } => because("flag_text.not_analysed", reason),
            Self::Advice(advice) => advice.phrase(),
        }
    }
}

impl Advice<'_> {
    fn phrase(&self) -> Phrase {
        let told = self.told.iter().map(|(remedy, issue)| {
            Phrase::new("flag_text.advice").with("remedy", remedy.phrase()).with("issue", issue.phrase())
        });
        let advice = Phrase::joined("join.semicolon", told);
        match self.more {
            0 => advice,
            more => Phrase::new("flag_text.more_advice").with("advice", advice).with("count", more),
        }
    }
}

impl Withdrawal<'_> {
    pub(super) fn phrase(self) -> Phrase {
        let because = |text, reason: &Phrase| Phrase::new(text).with("reason", reason.clone());
        match self {
            Self::NotSuspected { reason } => because("flag_text.withdrawn", reason),
            Self::Abnormal { reason } => because("flag_text.withdrawn_abnormal", reason),
            Self::SuspectedSince => Phrase::new("flag_text.suspected_since"),
            Self::AnalysedSince => Phrase::new("flag_text.analysed_since"),
            Self::ScanMended => Phrase::new("flag_text.scan_mended"),
        }
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
