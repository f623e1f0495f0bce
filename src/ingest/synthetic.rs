//! The synthetic patient at the door: which association carries it.
//!
//! No scanner's exam may ever pass for it, whatever UIDs, Patient ID and AE title the scanner sends: it would be hidden. So an exam is
//! synthetic because of the association that carries it. That one comes from this machine and presents a credential (user identity,
//! PS3.7 section D.3.3.7) that the process has made for one scan, and of what it carries only the study counts that was made with
//! the credential. Such an exam has a key of its own kind ([`ExamKey::synthetic`]), which names it on the disk too: after a kill the
//! next run knows what it is. Whoever else sends into that study makes an ordinary exam with an ordinary key.

use std::net::IpAddr;
use std::sync::Arc;

use dicom_ul::pdu::{AssociationRQ, UserVariableItem};
use parking_lot::Mutex;

use crate::dicom::UidSource;
use crate::exam::ExamKey;

/// One scan of the synthetic patient.
#[derive(Debug, PartialEq, Eq)]
pub struct SyntheticScan {
    pub exam: ExamKey,
    study_instance_uid: String,
    /// What the association presents as its user identity.
    credential: String,
    /// Where the association comes from: this machine.
    address: IpAddr,
}

impl SyntheticScan {
    #[must_use]
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// The exam of an instance of this study that the scan's association carries; `None` for another study, which is no part of the
    /// scan.
    pub(super) fn exam_of(&self, study_instance_uid: &str) -> Option<&ExamKey> {
        (study_instance_uid == self.study_instance_uid).then_some(&self.exam)
    }
}

/// The scan that is expected at present, if any: what is shared between who sends it and the associations.
#[derive(Debug, Clone, Default)]
pub struct SyntheticScans(Arc<Mutex<Option<Arc<SyntheticScan>>>>);

/// A scan is expected for as long as this lives; an association that stands by then remains what it is.
#[derive(Debug)]
pub struct ExpectedScan {
    scan: Arc<SyntheticScan>,
    scans: SyntheticScans,
}

impl SyntheticScans {
    /// Expects a scan of this study from an address of this machine, and no other one any more.
    #[must_use]
    pub fn expect(&self, study_instance_uid: &str, address: IpAddr) -> ExpectedScan {
        let scan = Arc::new(SyntheticScan {
            exam: ExamKey::synthetic(study_instance_uid),
            study_instance_uid: study_instance_uid.to_owned(),
            // Random: nobody else knows it.
            credential: UidSource::fresh().next_uid(),
            address,
        });
        *self.0.lock() = Some(scan.clone());
        ExpectedScan { scan, scans: self.clone() }
    }

    /// Whether a connection from this address may be that of the expected scan.
    pub(super) fn may_connect(&self, address: IpAddr) -> bool {
        self.0.lock().as_ref().is_some_and(|scan| is_own(address, scan.address))
    }

    /// The expected scan, if it is that which asks for an association.
    pub(super) fn recognise(&self, request: &AssociationRQ, address: IpAddr) -> Option<Arc<SyntheticScan>> {
        let presented = request.user_variables.iter().find_map(|variable| match variable {
            UserVariableItem::UserIdentityItem(identity) => Some(identity.primary_field()),
            _ => None,
        })?;
        let expected = self.0.lock().clone()?;
        (is_own(address, expected.address) && presented == expected.credential.as_bytes()).then_some(expected)
    }
}

/// The system may answer a loopback address from another one.
fn is_own(address: IpAddr, expected: IpAddr) -> bool {
    address == expected || address.is_loopback() && expected.is_loopback()
}

impl std::ops::Deref for ExpectedScan {
    type Target = SyntheticScan;

    fn deref(&self) -> &SyntheticScan {
        &self.scan
    }
}

impl Drop for ExpectedScan {
    fn drop(&mut self) {
        *self.scans.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use dicom_ul::pdu::{UserIdentity, UserIdentityType};

    use super::*;
    use crate::exam::Patient;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

    fn request(user: &str) -> AssociationRQ {
        let identity = UserIdentity::new(false, UserIdentityType::Username, user.as_bytes().to_vec(), Vec::new());
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "CT1".to_owned(),
            called_ae_title: "TABLESIDE".to_owned(),
            application_context_name: "1.2.840.10008.3.1.1.1".to_owned(),
            presentation_contexts: Vec::new(),
            user_variables: vec![UserVariableItem::UserIdentityItem(identity)],
        }
    }

    #[test]
    fn only_who_presents_the_credential_from_this_machine_while_it_is_expected_is_the_synthetic_patient() {
        let scans = SyntheticScans::default();
        let expected = scans.expect("2.25.1", HERE);
        let recognised = |user: &str, address| scans.recognise(&request(user), address).is_some();
        assert!(recognised(expected.credential(), HERE) && scans.may_connect(HERE));
        assert!(!recognised("", HERE) && !recognised("2.25.1", HERE), "another credential");
        assert!(!recognised(expected.credential(), ELSEWHERE) && !scans.may_connect(ELSEWHERE));
        let anonymous = AssociationRQ { user_variables: Vec::new(), ..request("") };
        assert_eq!(scans.recognise(&anonymous, HERE), None);
        let used = expected.credential().to_owned();
        drop(expected);
        assert!(!recognised(&used, HERE) && !scans.may_connect(HERE), "it is over");
        let _next = scans.expect("2.25.2", HERE);
        assert!(!recognised(&used, HERE), "a credential is for one scan");
    }

    #[test]
    fn what_its_association_carries_of_another_study_is_no_part_of_it() {
        let scan = SyntheticScans::default().expect("2.25.1", HERE);
        assert_eq!((scan.exam_of("2.25.1"), scan.exam_of("2.25.9")), (Some(&scan.exam), None));
        assert_ne!(
            ExamKey::new("2.25.1", &Patient::default()),
            scan.exam,
            "whoever else sends into it makes another exam"
        );
    }
}
