//! Every phrase that this file can make is there in every language.

use super::*;
use crate::alert::flag_text::Severity;
use crate::exam::{QualityIssue, QualityKind};
use crate::texts::tests::assert_known;

/// The variant that follows in the list below; the compiler names the place where one is missing.
fn next(message: &Message) -> Option<Message> {
    let remedy = Some(Remedy::Rescan);
    Some(match message {
        Message::SuspectedEarly { .. } => Message::Suspected { basis: Basis::WholeScan },
        Message::Suspected { .. } => Message::Abnormal {},
        Message::Abnormal {} => Message::Rescan { remedy },
        Message::Rescan { .. } => Message::SendAgain { remedy },
        Message::SendAgain { .. } => Message::CheckScan { remedy },
        Message::CheckScan { .. } => Message::SlicesLost { failed: 1, refused: 2, missing: 3 },
        Message::SlicesLost { .. } => Message::NotAnalysed {},
        Message::NotAnalysed {} => Message::NoVerdict {},
        Message::NoVerdict {} => Message::SuspicionWithdrawn { basis: Some(Basis::WholeLungs) },
        Message::SuspicionWithdrawn { .. } => {
            Message::Receiving { received: 4, expected: Some(9), analysed: 3, reopened: false, place: Some(2) }
        }
        Message::Receiving { .. } => Message::NotSuspected { analysed: 90 },
        Message::NotSuspected { .. } => Message::Revised {},
        Message::Revised {} => return None,
    })
}

#[test]
fn every_statement_is_said_in_every_language() {
    let early = |scan_goes_on| Message::SuspectedEarly { after_slices: 40, scan_goes_on };
    let others = [
        early(false),
        Message::SuspicionWithdrawn { basis: None },
        Message::Receiving { received: 4, expected: None, analysed: 3, reopened: true, place: None },
    ];
    for message in std::iter::successors(Some(early(true)), next).chain(others) {
        for reason in [Phrase::nothing(), Phrase::new("reason.no_spine")] {
            let detail = message.detail(reason);
            let line = message.line(&detail);
            let said = [message.lead(), message.headline(), message.badge(), message.announcement(&line), line, detail];
            said.iter().for_each(assert_known);
        }
    }
}

#[test]
fn no_line_has_two_colons_of_its_own() {
    let early = Message::SuspectedEarly { after_slices: 40, scan_goes_on: true };
    for message in std::iter::successors(Some(early), next) {
        let headline = message.headline().to_string();
        assert_eq!(headline.contains(':'), message.headline_has_a_colon(), "{headline}");
    }
}

#[test]
fn every_flag_is_said_in_every_language() {
    let states = [FlagState::Early, FlagState::Confirmed, FlagState::Withdrawn, FlagState::Final, FlagState::Pending];
    let kinds = [FlagKind::Suspected, FlagKind::Abnormal, FlagKind::Rescan, FlagKind::NotAnalysed];
    for (kind, state) in kinds.into_iter().flat_map(|kind| states.map(|state| (kind, state))) {
        for remedy in [None, Some(Remedy::Rescan)] {
            let flag = Flag {
                id: Flag::id_of(kind),
                kind,
                severity: Severity::Notice,
                state,
                text: String::new(),
                phrase: None,
                remedy,
                raised: jiff::Timestamp::UNIX_EPOCH,
                after_slices: 0,
                score: None,
                acknowledged: None,
                life: Vec::new(),
            };
            assert_known(&flag.title());
        }
        assert_known(&FlagEvent::from(state).phrase());
    }
    assert_known(&FlagEvent::Acknowledged.phrase());
    let reason = &Phrase::new("reason.no_spine");
    let issue = QualityIssue::of_series(QualityKind::DuplicatePosition);
    let advice = |more| Advice { remedy: Remedy::SendAgain, told: vec![(Remedy::SendAgain, &issue); 2], more };
    for text in [
        FlagText::SuspectedEarly,
        FlagText::Suspected { reason },
        FlagText::Abnormal { reason },
        FlagText::NotAnalysed { reason },
        FlagText::Advice(advice(0)),
        FlagText::Advice(advice(2)),
    ] {
        assert_known(&text.phrase());
    }
    for why in [
        Withdrawal::NotSuspected { reason },
        Withdrawal::Abnormal { reason },
        Withdrawal::SuspectedSince,
        Withdrawal::AnalysedSince,
        Withdrawal::ScanMended,
    ] {
        assert_known(&why.phrase());
    }
}
