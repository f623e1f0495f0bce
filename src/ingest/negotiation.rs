//! Negotiates an association: the answer to an A-ASSOCIATE-RQ (PS3.8 section 7.1, PS3.7 annex D.3).

use std::collections::BTreeMap;

use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason,
    AssociationRJServiceProviderPresentationReason, AssociationRJServiceUserReason, AssociationRJSource, AssociationRQ,
    PresentationContextProposed, PresentationContextResult, PresentationContextResultReason, RequestorRoles,
    UserVariableItem,
};

/// The transfer syntaxes that are taken: those whose pixel data can be decoded, in the order of our preference. The first
/// of them that a peer proposes is used, whatever its own order: uncompressed ones cost it the least time.
const TRANSFER_SYNTAXES: [&str; 14] = [
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    uids::RLE_LOSSLESS,
    uids::JPEG_LOSSLESS_SV1,
    uids::JPEG_LOSSLESS,
    uids::JPEGLS_LOSSLESS,
    uids::JPEGLS_NEAR_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
    uids::JPEG2000,
    uids::HTJ2K_LOSSLESS,
    uids::HTJ2K_LOSSLESS_RPCL,
    uids::HTJ2K,
    uids::JPEG_BASELINE8_BIT,
];

/// For services other than storage, whose messages carry no pixels.
const PLAIN_TRANSFER_SYNTAXES: [&str; 2] = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];

const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
/// Bit 0 says version 1 (PS3.8 table 9-11).
const PROTOCOL_VERSION: u16 = 1;
const IMPLEMENTATION_CLASS_UID: &str = "2.25.188951033635178029077334530229461191077";
const IMPLEMENTATION_VERSION_NAME: &str = concat!("TABLESIDE_", env!("CARGO_PKG_VERSION"));

/// Asynchronous Operations Window (PS3.7 D.3.3.3) has this item type.
const ASYNCHRONOUS_OPERATIONS: u8 = 0x53;
/// One operation at a time, in both directions.
const SYNCHRONOUS: [u8; 4] = [0, 1, 0, 1];

/// PS3.4 B.3.1: level 2, all attributes are stored; digital signatures stay valid because every bit does; nothing is coerced.
const STORAGE_EXTENDED: [u8; 6] = [2, 0, 3, 0, 0, 0];

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Stores images and tells of procedure steps.
    Scanner,
    /// Reports what it has kept of what we sent it.
    Archive,
}

impl Caller {
    fn may_use(self, class: &str) -> bool {
        match self {
            Self::Scanner => true,
            Self::Archive => matches!(class, uids::VERIFICATION | uids::STORAGE_COMMITMENT_PUSH_MODEL),
        }
    }
}

/// What an accepted presentation context is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Context {
    pub abstract_syntax_uid: String,
    pub transfer_syntax_uid: &'static str,
}

/// What both sides have agreed on.
#[derive(Debug)]
pub(super) struct NegotiatedAssociation {
    pub calling_ae_title: String,
    pub contexts: BTreeMap<u8, Context>,
    /// The longest PDU that the peer takes.
    pub peer_max_pdu_bytes: u32,
    pub answer: AssociationAC,
}

/// Agrees on an association, or says why not.
///
/// # Errors
/// The rejection to send.
pub(super) fn negotiate(
    request: AssociationRQ,
    our_ae_title: Option<&str>,
    max_pdu_bytes: u32,
    caller: Caller,
) -> Result<NegotiatedAssociation, AssociationRJ> {
    if request.protocol_version & PROTOCOL_VERSION == 0 {
        let reason = AssociationRJServiceProviderASCEReason::ProtocolVersionNotSupported;
        return Err(permanent(AssociationRJSource::ServiceProviderASCE(reason)));
    }
    if trimmed(&request.application_context_name) != APPLICATION_CONTEXT {
        return Err(refused(AssociationRJServiceUserReason::ApplicationContextNameNotSupported));
    }
    if our_ae_title.is_some_and(|ours| ours.trim() != request.called_ae_title.trim()) {
        return Err(refused(AssociationRJServiceUserReason::CalledAETitleNotRecognized));
    }
    // Who reports on storage commitment says that it is its SCP (PS3.4 section J.3.3); commitment itself is not offered.
    let reports = request.user_variables.iter().any(|variable| match variable {
        UserVariableItem::ScuScpRoleSelectionSubItem(class, roles) => {
            trimmed(class) == uids::STORAGE_COMMITMENT_PUSH_MODEL && roles.scp
        }
        _ => false,
    });
    let mut contexts = BTreeMap::new();
    let mut results = Vec::new();
    for proposed in &request.presentation_contexts {
        let result = choose(proposed, caller, reports);
        if let Ok(context) = &result {
            contexts.insert(proposed.id, context.clone());
        }
        results.push(PresentationContextResult {
            id: proposed.id,
            // Where the context is rejected the transfer syntax means nothing, but must be there (PS3.8 table 9-18).
            transfer_syntax: result
                .as_ref()
                .map_or(uids::IMPLICIT_VR_LITTLE_ENDIAN, |c| c.transfer_syntax_uid)
                .to_owned(),
            reason: result.err().unwrap_or(PresentationContextResultReason::Acceptance),
        });
    }
    let mut peer_max_pdu_bytes = u32::MAX;
    let mut user_variables = vec![
        UserVariableItem::MaxLength(max_pdu_bytes),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.to_owned()),
    ];
    for variable in request.user_variables {
        match variable {
            // 0 says that there is no limit (PS3.8 D.1).
            UserVariableItem::MaxLength(0) => {}
            UserVariableItem::MaxLength(bytes) => peer_max_pdu_bytes = bytes,
            UserVariableItem::Unknown(ASYNCHRONOUS_OPERATIONS, _) => {
                user_variables.push(UserVariableItem::Unknown(ASYNCHRONOUS_OPERATIONS, SYNCHRONOUS.to_vec()));
            }
            UserVariableItem::SopClassExtendedNegotiationSubItem(class, _) if is_storage(trimmed(&class)) => {
                user_variables
                    .push(UserVariableItem::SopClassExtendedNegotiationSubItem(class, STORAGE_EXTENDED.to_vec()));
            }
            UserVariableItem::ScuScpRoleSelectionSubItem(class, proposed) => {
                // Everybody else is the SCU.
                let reports = trimmed(&class) == uids::STORAGE_COMMITMENT_PUSH_MODEL;
                let roles = RequestorRoles { scu: proposed.scu && !reports, scp: proposed.scp && reports };
                user_variables.push(UserVariableItem::ScuScpRoleSelectionSubItem(class, roles));
            }
            _ => {}
        }
    }
    let calling_ae_title = request.calling_ae_title.trim().to_owned();
    let answer = AssociationAC {
        protocol_version: PROTOCOL_VERSION,
        calling_ae_title: request.calling_ae_title,
        called_ae_title: request.called_ae_title,
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results,
        user_variables,
    };
    Ok(NegotiatedAssociation { calling_ae_title, contexts, peer_max_pdu_bytes, answer })
}

fn choose(
    proposed: &PresentationContextProposed,
    caller: Caller,
    reports: bool,
) -> Result<Context, PresentationContextResultReason> {
    if proposed.id.is_multiple_of(2) {
        return Err(PresentationContextResultReason::NoReason);
    }
    let abstract_syntax_uid = trimmed(&proposed.abstract_syntax);
    let ours: &[&'static str] = match abstract_syntax_uid {
        class if !caller.may_use(class) => return Err(PresentationContextResultReason::AbstractSyntaxNotSupported),
        uids::VERIFICATION | uids::MODALITY_PERFORMED_PROCEDURE_STEP => &PLAIN_TRANSFER_SYNTAXES,
        uids::STORAGE_COMMITMENT_PUSH_MODEL if reports => &PLAIN_TRANSFER_SYNTAXES,
        class if is_storage(class) => &TRANSFER_SYNTAXES,
        _ => return Err(PresentationContextResultReason::AbstractSyntaxNotSupported),
    };
    let is_proposed = |ours: &&&'static str| proposed.transfer_syntaxes.iter().any(|theirs| trimmed(theirs) == **ours);
    let transfer_syntax_uid =
        ours.iter().find(is_proposed).ok_or(PresentationContextResultReason::TransferSyntaxesNotSupported)?;
    Ok(Context { abstract_syntax_uid: abstract_syntax_uid.to_owned(), transfer_syntax_uid })
}

/// Standard storage SOP classes have this root (PS3.6 annex A); a class of a manufacturer's own is taken for one.
fn is_storage(class: &str) -> bool {
    class.starts_with("1.2.840.10008.5.1.4.1.1.") || !class.starts_with("1.2.840.10008.")
}

fn trimmed(uid: &str) -> &str {
    uid.trim_matches([' ', '\0'])
}

fn permanent(source: AssociationRJSource) -> AssociationRJ {
    AssociationRJ { result: AssociationRJResult::Permanent, source }
}

/// A refusal for good, such as of a caller that is not known.
pub(super) fn refused(reason: AssociationRJServiceUserReason) -> AssociationRJ {
    permanent(AssociationRJSource::ServiceUser(reason))
}

/// A refusal for now: too many associations are open.
pub(super) fn limit_exceeded() -> AssociationRJ {
    let reason = AssociationRJServiceProviderPresentationReason::LocalLimitExceeded;
    AssociationRJ {
        result: AssociationRJResult::Transient,
        source: AssociationRJSource::ServiceProviderPresentation(reason),
    }
}

#[cfg(test)]
mod tests {
    use PresentationContextResultReason::{
        AbstractSyntaxNotSupported, Acceptance, NoReason, TransferSyntaxesNotSupported,
    };

    use super::*;

    fn proposed(id: u8, class: &str, syntaxes: &[&str]) -> PresentationContextProposed {
        let transfer_syntaxes = syntaxes.iter().map(|uid| (*uid).to_owned()).collect();
        PresentationContextProposed { id, abstract_syntax: class.to_owned(), transfer_syntaxes }
    }

    fn request(contexts: Vec<PresentationContextProposed>, user_variables: Vec<UserVariableItem>) -> AssociationRQ {
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "CT1".into(),
            called_ae_title: "TABLESIDE".into(),
            application_context_name: APPLICATION_CONTEXT.into(),
            presentation_contexts: contexts,
            user_variables,
        }
    }

    fn agree(request: AssociationRQ) -> NegotiatedAssociation {
        negotiate(request, Some("TABLESIDE"), 65536, Caller::Scanner).unwrap()
    }

    #[test]
    fn our_order_of_transfer_syntaxes_decides_and_not_the_peers() {
        let syntaxes = [uids::JPEG_LOSSLESS_SV1, uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN];
        let negotiated = agree(request(vec![proposed(1, uids::CT_IMAGE_STORAGE, &syntaxes)], vec![]));
        assert_eq!(negotiated.contexts[&1].transfer_syntax_uid, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    }

    #[test]
    fn contexts_that_cannot_be_served_are_rejected_each_with_its_reason() {
        let negotiated = agree(request(
            vec![
                proposed(1, uids::CT_IMAGE_STORAGE, &[uids::MPEG2MPML]),
                proposed(3, "1.2.840.10008.5.1.4.1.2.2.1", &[uids::IMPLICIT_VR_LITTLE_ENDIAN]),
                proposed(4, uids::CT_IMAGE_STORAGE, &[uids::IMPLICIT_VR_LITTLE_ENDIAN]),
                proposed(5, "1.3.12.2.1107.5.9.1", &["1.2.840.10008.1.2\0"]),
                proposed(7, uids::VERIFICATION, &[uids::JPEG_LOSSLESS_SV1]),
            ],
            vec![],
        ));
        let reasons: Vec<_> = negotiated.answer.presentation_contexts.into_iter().map(|result| result.reason).collect();
        assert_eq!(
            reasons,
            [
                TransferSyntaxesNotSupported,
                AbstractSyntaxNotSupported,
                NoReason,
                Acceptance,
                TransferSyntaxesNotSupported
            ]
        );
        assert_eq!(negotiated.contexts.keys().copied().collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_window_of_operations_extended_negotiation_and_roles_are_answered() {
        let class = uids::CT_IMAGE_STORAGE.to_owned();
        let negotiated = agree(request(
            vec![],
            vec![
                UserVariableItem::MaxLength(0),
                UserVariableItem::Unknown(ASYNCHRONOUS_OPERATIONS, vec![0, 8, 0, 8]),
                UserVariableItem::SopClassExtendedNegotiationSubItem(class.clone(), vec![1]),
                UserVariableItem::ScuScpRoleSelectionSubItem(class.clone(), RequestorRoles { scu: true, scp: true }),
            ],
        ));
        assert_eq!(negotiated.peer_max_pdu_bytes, u32::MAX);
        assert_eq!(
            negotiated.answer.user_variables[3..],
            [
                UserVariableItem::Unknown(ASYNCHRONOUS_OPERATIONS, vec![0, 1, 0, 1]),
                UserVariableItem::SopClassExtendedNegotiationSubItem(class.clone(), STORAGE_EXTENDED.to_vec()),
                UserVariableItem::ScuScpRoleSelectionSubItem(class, RequestorRoles { scu: true, scp: false }),
            ]
        );
    }

    #[test]
    fn an_archive_reports_and_does_nothing_else() {
        let report = uids::STORAGE_COMMITMENT_PUSH_MODEL.to_owned();
        let contexts = [report.as_str(), uids::CT_IMAGE_STORAGE, uids::VERIFICATION];
        let contexts = contexts.iter().zip([1, 3, 5]);
        let contexts = contexts.map(|(class, id)| proposed(id, class, &[uids::IMPLICIT_VR_LITTLE_ENDIAN])).collect();
        let roles = RequestorRoles { scu: false, scp: true };
        let variables = vec![UserVariableItem::ScuScpRoleSelectionSubItem(report.clone(), roles)];
        let negotiated = negotiate(request(contexts, variables), None, 65536, Caller::Archive).unwrap();
        assert_eq!(negotiated.contexts.keys().copied().collect::<Vec<_>>(), [1, 5]);
        let role = UserVariableItem::ScuScpRoleSelectionSubItem(report, RequestorRoles { scu: false, scp: true });
        assert_eq!(negotiated.answer.user_variables.last(), Some(&role));
    }

    #[test]
    fn another_application_context_version_or_called_ae_title_is_rejected_for_good() {
        let asked = |change: &dyn Fn(&mut AssociationRQ)| {
            let mut request = request(vec![], vec![]);
            change(&mut request);
            negotiate(request, Some("TABLESIDE"), 65536, Caller::Scanner).unwrap_err()
        };
        let called = asked(&|request| request.called_ae_title = "OTHER".into());
        assert_eq!(called, refused(AssociationRJServiceUserReason::CalledAETitleNotRecognized));
        let context = asked(&|request| request.application_context_name = "1.2.3".into());
        assert_eq!(context, refused(AssociationRJServiceUserReason::ApplicationContextNameNotSupported));
        assert_eq!(asked(&|request| request.protocol_version = 2).result, AssociationRJResult::Permanent);
    }
}
