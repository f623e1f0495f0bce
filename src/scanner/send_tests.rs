//! The scanner against a receiver that does what each test asks of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;
use dicom_ul::association::server::ServerAssociationOptions;
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};
use tokio::net::TcpListener;

use super::*;
use crate::dicom::UidSource;
use crate::scanner::phantom::{Phantom, PhantomKind, PhantomOptions};

/// What the receiver does with the n-th message, counted over all associations.
type Answer = fn(usize) -> Option<u16>;

/// Listens on a free port and answers; `None` hangs up.
async fn receiver(class: &'static str, answer: Answer) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let port = listener.local_addr().expect("bound").port();
    let count = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            socket.set_nodelay(true).expect("socket");
            tokio::spawn(serve(socket, class, answer, Arc::clone(&count)));
        }
    });
    Target { ae_title: "RECEIVER".to_owned(), host: "127.0.0.1".to_owned(), port }
}

async fn serve(socket: tokio::net::TcpStream, class: &'static str, answer: Answer, count: Arc<AtomicUsize>) {
    let mut association = ServerAssociationOptions::new()
        .accept_any()
        .with_abstract_syntax(class)
        .with_abstract_syntax(uids::VERIFICATION)
        .establish_async(socket)
        .await
        .expect("association");
    let mut command = Vec::new();
    loop {
        match association.receive().await {
            Ok(Pdu::PData { data }) => {
                for value in data {
                    let of_command = value.value_type == PDataValueType::Command;
                    if of_command {
                        command.extend_from_slice(&value.data);
                    }
                    let echo = of_command && value.is_last && is_echo(&command);
                    if !value.is_last || (of_command && !echo) {
                        continue;
                    }
                    let Some(status) = answer(count.fetch_add(1, Ordering::SeqCst)) else {
                        return;
                    };
                    let response = response(&command, status);
                    command.clear();
                    let data = vec![PDataValue {
                        presentation_context_id: value.presentation_context_id,
                        value_type: PDataValueType::Command,
                        is_last: true,
                        data: response,
                    }];
                    association.send(&Pdu::PData { data }).await.expect("sent");
                }
            }
            Ok(Pdu::ReleaseRQ) => {
                association.send(&Pdu::ReleaseRP).await.expect("sent");
                return;
            }
            _ => return,
        }
    }
}

fn read(command: &[u8]) -> InMemDicomObject {
    InMemDicomObject::read_dataset_with_ts(command, &IMPLICIT_VR_LITTLE_ENDIAN.erased()).expect("command")
}

fn is_echo(command: &[u8]) -> bool {
    let field = read(command).element(tags::COMMAND_FIELD).expect("there").to_int::<u16>();
    field.expect("US") == 0x0030
}

fn response(command: &[u8], status: u16) -> Vec<u8> {
    let request = read(command);
    let number = |tag| request.element(tag).expect("there").to_int::<u16>().expect("US");
    let us = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let response = InMemDicomObject::command_from_element_iter([
        us(tags::COMMAND_FIELD, number(tags::COMMAND_FIELD) | 0x8000),
        us(tags::MESSAGE_ID_BEING_RESPONDED_TO, number(tags::MESSAGE_ID)),
        us(tags::COMMAND_DATA_SET_TYPE, 0x0101),
        us(tags::STATUS, status),
    ]);
    let mut bytes = Vec::new();
    response.write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased()).expect("encoded");
    bytes
}

fn exam(slices: usize) -> Vec<Instance> {
    Phantom::new(PhantomKind::Normal, PhantomOptions::coarse(slices, 64))
        .instances(UidSource::seeded(1))
        .expect("encoded")
}

fn as_fast_as_possible() -> SendOptions {
    SendOptions { rate: 0.0, read_timeout: Duration::from_secs(5), ..SendOptions::default() }
}

#[tokio::test]
async fn every_instance_is_stored_and_reported_once_over_several_associations() {
    let target = receiver(uids::CT_IMAGE_STORAGE, |_| Some(0)).await;
    let options = SendOptions { associations: 3, ..as_fast_as_possible() };
    let exam = exam(19);
    let mut seen = Vec::new();
    let report = send(&target, &exam, &options, |step| seen.push(step.index)).await.expect("scan");
    assert!(report.complete(), "{:?}", report.failures);
    assert_eq!(report.bytes, exam.iter().map(|i| i.data.len() as u64).sum::<u64>());
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    assert!(report.release_errors.is_empty());
    assert!(report.last_response_at > Some(report.started_at));
}

#[tokio::test]
async fn a_refused_instance_is_a_failure_with_its_status_and_the_scan_goes_on() {
    let answer: Answer = |n| Some([0, 0xB000, 0xA700, 0, 0xC000][n % 5]);
    let target = receiver(uids::CT_IMAGE_STORAGE, answer).await;
    let report = send(&target, &exam(9), &as_fast_as_possible(), |_| {}).await.expect("scan");
    assert_eq!((report.sent, report.warnings, report.failures.len()), (6, 2, 4));
    assert_eq!(report.failures[0].status, Some(0xA700));
    assert!(report.failures[0].sop_instance_uid.starts_with("2.25."));
}

#[tokio::test]
async fn when_the_receiver_hangs_up_the_rest_of_the_share_is_reported_as_not_sent() {
    let target = receiver(uids::CT_IMAGE_STORAGE, |n| (n < 4).then_some(0)).await;
    let report = send(&target, &exam(9), &as_fast_as_possible(), |_| {}).await.expect("scan");
    assert_eq!((report.sent, report.failures.len()), (4, 6));
    assert!(report.failures[1].reason.contains("association was lost"));
}

#[tokio::test]
async fn over_a_new_association_it_goes_on_with_the_instance_that_was_not_answered() {
    // Of ten instances the fifth and the ninth are not answered the first time.
    let target = receiver(uids::CT_IMAGE_STORAGE, |n| (n % 5 < 4).then_some(0)).await;
    let options = SendOptions { retry: Duration::from_mins(1), ..as_fast_as_possible() };
    let report = send(&target, &exam(9), &options, |_| {}).await.expect("scan");
    assert!(report.complete(), "{:?}", report.failures);
    assert_eq!((report.sent, report.new_associations), (10, 2));
}

#[tokio::test]
async fn a_receiver_that_never_answers_an_instance_is_given_up_when_the_time_is_over() {
    let target = receiver(uids::CT_IMAGE_STORAGE, |n| (n < 4).then_some(0)).await;
    let options = SendOptions { retry: Duration::from_millis(300), ..as_fast_as_possible() };
    let report = send(&target, &exam(9), &options, |_| {}).await.expect("scan");
    assert_eq!((report.sent, report.failures.len()), (4, 6));
    assert!(report.new_associations > 0);
}

#[tokio::test]
async fn a_receiver_that_takes_no_ct_is_told_apart_from_one_that_is_not_there() {
    let target = receiver(uids::MR_IMAGE_STORAGE, |_| Some(0)).await;
    let report = send(&target, &exam(3), &as_fast_as_possible(), |_| {}).await.expect("scan");
    assert_eq!((report.sent, report.failures.len()), (0, 4));
    assert!(report.failures[0].reason.contains("no presentation context"));

    let nobody = Target { port: 1, ..target };
    let error = send(&nobody, &exam(3), &as_fast_as_possible(), |_| {}).await.expect_err("nobody there");
    assert!(error.to_string().contains("does not take part"), "{error}");
}

#[tokio::test]
async fn slices_leave_at_the_pace_of_the_scanner() {
    let target = receiver(uids::CT_IMAGE_STORAGE, |_| Some(0)).await;
    let options = SendOptions { rate: 50.0, associations: 2, ..as_fast_as_possible() };
    let report = send(&target, &exam(10), &options, |_| {}).await.expect("scan");
    // Eleven instances: the last leaves after ten intervals.
    assert!(report.duration_s >= 0.2, "{}", report.duration_s);
    assert!(report.achieved_rate <= 55.5, "{}", report.achieved_rate);
}

#[tokio::test]
async fn an_echo_is_answered_and_a_refusal_is_an_error() {
    let well = receiver(uids::CT_IMAGE_STORAGE, |_| Some(0)).await;
    assert!(echo(&well, &as_fast_as_possible()).await.is_ok());
    let ill = receiver(uids::CT_IMAGE_STORAGE, |_| Some(0x0211)).await;
    let error = echo(&ill, &as_fast_as_possible()).await.expect_err("refused");
    assert!(error.to_string().contains("0x0211"), "{error}");
}

#[tokio::test]
async fn senseless_options_are_refused_before_anything_is_sent() {
    let target: Target = "A@localhost:1".parse().expect("target");
    for rate in [f64::NAN, -1.0, f64::INFINITY] {
        let options = SendOptions { rate, ..SendOptions::default() };
        let error = send(&target, &[], &options, |_| {}).await.expect_err("rate");
        assert!(matches!(error, ScannerError::Rate { .. }));
    }
    let options = SendOptions { calling_ae: "MUCH TOO LONG A TITLE".to_owned(), ..SendOptions::default() };
    let error = send(&target, &[], &options, |_| {}).await.expect_err("title");
    assert!(matches!(error, ScannerError::CallingAe { .. }));
}
