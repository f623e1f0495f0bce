//! A DICOM peer that can misbehave: any bytes as a data set, announced as anything.

use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use dicom_ul::Pdu;
use dicom_ul::association::client::{ClientAssociation, ClientAssociationOptions};
use dicom_ul::pdu::{PDataValue, PDataValueType};
use tableside::scanner::Instance;

use crate::daemon::Daemon;

const TIMEOUT: Duration = Duration::from_mins(1);
const C_STORE_RQ: u16 = 0x0001;
const N_SET_RQ: u16 = 0x0120;
const N_CREATE_RQ: u16 = 0x0140;
const WITH_DATA_SET: u16 = 0x0001;
/// Small enough for any acceptor.
const FRAGMENT: usize = 16 * 1024;

/// An association for CT images of one frame and of many and for secondary captures in Explicit VR Little Endian.
pub struct Association {
    inner: ClientAssociation<std::net::TcpStream>,
    messages: u16,
}

impl Association {
    pub fn open(daemon: &Daemon) -> Self {
        let classes = [uids::CT_IMAGE_STORAGE, uids::ENHANCED_CT_IMAGE_STORAGE, uids::SECONDARY_CAPTURE_IMAGE_STORAGE];
        Self::try_open(daemon, "TEST", &classes).unwrap()
    }

    /// An association of any caller for any SOP classes.
    pub fn try_open(daemon: &Daemon, calling_ae_title: &str, classes: &[&'static str]) -> Result<Self, String> {
        let mut options = ClientAssociationOptions::new()
            .calling_ae_title(calling_ae_title)
            .called_ae_title("TABLESIDE")
            .read_timeout(TIMEOUT);
        for class in classes {
            options = options.with_presentation_context(*class, vec![uids::EXPLICIT_VR_LITTLE_ENDIAN]);
        }
        let inner = options.establish(daemon.dicom()).map_err(|error| format!("{error:?}"))?;
        Ok(Self { inner, messages: 0 })
    }

    /// N-CREATE of an instance.
    pub fn create(&mut self, class: &str, instance: &str, object: &InMemDicomObject) -> u16 {
        let names = [
            (tags::AFFECTED_SOP_CLASS_UID, VR::UI, class.into()),
            (tags::AFFECTED_SOP_INSTANCE_UID, VR::UI, instance.into()),
        ];
        self.normalized(N_CREATE_RQ, class, names, object)
    }

    /// N-SET of an instance.
    pub fn set(&mut self, class: &str, instance: &str, object: &InMemDicomObject) -> u16 {
        let names = [
            (tags::REQUESTED_SOP_CLASS_UID, VR::UI, class.into()),
            (tags::REQUESTED_SOP_INSTANCE_UID, VR::UI, instance.into()),
        ];
        self.normalized(N_SET_RQ, class, names, object)
    }

    fn normalized(
        &mut self,
        field: u16,
        class: &str,
        [one, other]: [(Tag, VR, PrimitiveValue); 2],
        object: &InMemDicomObject,
    ) -> u16 {
        self.messages += 1;
        let command = command([
            one,
            other,
            (tags::COMMAND_FIELD, VR::US, field.into()),
            (tags::MESSAGE_ID, VR::US, self.messages.into()),
            (tags::COMMAND_DATA_SET_TYPE, VR::US, WITH_DATA_SET.into()),
        ]);
        let mut data_set = Vec::new();
        object.write_dataset_with_ts(&mut data_set, &EXPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
        let context = self.context(class);
        self.send(context, &PDataValueType::Command, &command).unwrap();
        self.send(context, &PDataValueType::Data, &data_set).unwrap();
        self.status().expect("a response")
    }

    /// Stores an instance and returns the response's status.
    pub fn store(&mut self, instance: &Instance) -> u16 {
        self.store_bytes(&instance.sop_class_uid, &instance.sop_instance_uid, &instance.data)
    }

    /// Announces one thing and sends any bytes.
    pub fn store_bytes(&mut self, class: &str, instance: &str, data_set: &[u8]) -> u16 {
        self.try_store(class, instance, data_set).expect("a response")
    }

    /// `None` where the peer ends the association instead of answering.
    pub fn try_store(&mut self, class: &str, instance: &str, data_set: &[u8]) -> Option<u16> {
        self.messages += 1;
        let command = store_command(class, instance, self.messages);
        let context = self.context(class);
        self.send(context, &PDataValueType::Command, &command)?;
        self.send(context, &PDataValueType::Data, data_set)?;
        self.status()
    }

    /// Sends a command set without a data set, to which there is no answer.
    pub fn tell<const N: usize>(&mut self, elements: [(Tag, VR, PrimitiveValue); N]) {
        let context = self.context(uids::CT_IMAGE_STORAGE);
        self.send(context, &PDataValueType::Command, &command(elements)).unwrap();
    }

    /// Sends a command set without a data set and returns the response's status.
    pub fn ask<const N: usize>(&mut self, elements: [(Tag, VR, PrimitiveValue); N]) -> u16 {
        self.tell(elements);
        self.status().expect("a response")
    }

    /// Begins to store an instance, and is gone in the middle of it.
    pub fn break_off_in(mut self, instance: &Instance) {
        self.messages += 1;
        let command = store_command(&instance.sop_class_uid, &instance.sop_instance_uid, self.messages);
        let context = self.context(&instance.sop_class_uid);
        self.send(context, &PDataValueType::Command, &command).unwrap();
        let value = PDataValue {
            presentation_context_id: context,
            value_type: PDataValueType::Data,
            is_last: false,
            data: instance.data[..FRAGMENT].to_vec(),
        };
        self.inner.send(&Pdu::PData { data: vec![value] }).unwrap();
        self.into_stream().shutdown(std::net::Shutdown::Both).unwrap();
    }

    pub fn release(self) {
        self.inner.release().unwrap();
    }

    /// The bare connection, with the association standing.
    pub fn into_stream(mut self) -> std::net::TcpStream {
        self.inner.inner_stream().try_clone().unwrap()
    }

    fn context(&self, class: &str) -> u8 {
        let accepted = self.inner.presentation_contexts();
        accepted.iter().find(|context| context.abstract_syntax == class).unwrap_or(&accepted[0]).id
    }

    fn send(&mut self, context: u8, value_type: &PDataValueType, bytes: &[u8]) -> Option<()> {
        let mut fragments = bytes.chunks(FRAGMENT).peekable();
        while let Some(fragment) = fragments.next() {
            let value = PDataValue {
                presentation_context_id: context,
                value_type: value_type.clone(),
                is_last: fragments.peek().is_none(),
                data: fragment.to_vec(),
            };
            self.inner.send(&Pdu::PData { data: vec![value] }).ok()?;
        }
        Some(())
    }

    fn status(&mut self) -> Option<u16> {
        let Ok(Pdu::PData { data }) = self.inner.receive() else { return None };
        let transfer_syntax = IMPLICIT_VR_LITTLE_ENDIAN.erased();
        let response = InMemDicomObject::read_dataset_with_ts(data[0].data.as_slice(), &transfer_syntax).unwrap();
        Some(response.element(tags::STATUS).unwrap().to_int().unwrap())
    }
}

fn store_command(class: &str, instance: &str, message: u16) -> Vec<u8> {
    command([
        (tags::AFFECTED_SOP_CLASS_UID, VR::UI, class.into()),
        (tags::COMMAND_FIELD, VR::US, C_STORE_RQ.into()),
        (tags::MESSAGE_ID, VR::US, message.into()),
        (tags::PRIORITY, VR::US, 0_u16.into()),
        (tags::COMMAND_DATA_SET_TYPE, VR::US, WITH_DATA_SET.into()),
        (tags::AFFECTED_SOP_INSTANCE_UID, VR::UI, instance.into()),
    ])
}

fn command<const N: usize>(elements: [(Tag, VR, PrimitiveValue); N]) -> Vec<u8> {
    let elements = elements.map(|(tag, vr, value)| DataElement::new(tag, vr, value));
    let mut bytes = Vec::new();
    InMemDicomObject::command_from_element_iter(elements)
        .write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased())
        .unwrap();
    bytes
}

/// Stores these over one association and releases it.
pub fn store_all(daemon: &Daemon, slices: &[Instance]) {
    let mut association = Association::open(daemon);
    for slice in slices {
        assert_eq!(association.store(slice), 0x0000);
    }
    association.release();
}

/// An instance with something about it changed; what names it follows the change.
pub fn changed(instance: &Instance, change: impl FnOnce(&mut InMemDicomObject)) -> Instance {
    let transfer_syntax = EXPLICIT_VR_LITTLE_ENDIAN.erased();
    let mut object = InMemDicomObject::read_dataset_with_ts(&*instance.data, &transfer_syntax).unwrap();
    change(&mut object);
    let mut data = Vec::new();
    object.write_dataset_with_ts(&mut data, &transfer_syntax).unwrap();
    let text = |tag| object.element(tag).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned();
    Instance {
        sop_class_uid: text(tags::SOP_CLASS_UID),
        sop_instance_uid: text(tags::SOP_INSTANCE_UID),
        patient_id: text(tags::PATIENT_ID),
        study_instance_uid: text(tags::STUDY_INSTANCE_UID),
        series_instance_uid: text(tags::SERIES_INSTANCE_UID),
        data: data.into(),
        ..instance.clone()
    }
}

/// Puts a text where one was.
pub fn set_text(object: &mut InMemDicomObject, tag: Tag, value: &str) {
    let vr = object.element(tag).unwrap().vr();
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}
