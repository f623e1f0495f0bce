//! Content items of a structured report: a name, a value and the items that say more about it (PS3.3 section C.17.3).

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::codes::Code;
use super::super::elements::{Put, ascii};

/// An item and what stands below it.
pub(super) struct ContentItem {
    object: InMemDicomObject,
    content: Vec<InMemDicomObject>,
}

impl ContentItem {
    fn new(value_type: &str, name: &Code) -> Self {
        let mut object = InMemDicomObject::new_empty();
        object.text(tags::VALUE_TYPE, VR::CS, value_type).code(tags::CONCEPT_NAME_CODE_SEQUENCE, name);
        Self { object, content: Vec::new() }
    }

    /// A heading.
    pub(super) fn container(name: &Code) -> Self {
        let mut item = Self::new("CONTAINER", name);
        item.object.text(tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE");
        item
    }

    /// A heading whose content follows this template of PS3.16.
    pub(super) fn container_by_template(name: &Code, template: &str) -> Self {
        let mut item = Self::container(name);
        let mut by = InMemDicomObject::new_empty();
        by.text(tags::MAPPING_RESOURCE, VR::CS, "DCMR")
            .text(tags::MAPPING_RESOURCE_UID, VR::UI, "1.2.840.10008.8.1.1")
            .text(tags::TEMPLATE_IDENTIFIER, VR::CS, template);
        item.object.item(tags::CONTENT_TEMPLATE_SEQUENCE, by);
        item
    }

    pub(super) fn text(name: &Code, value: &str) -> Self {
        let mut item = Self::new("TEXT", name);
        item.object.text(tags::TEXT_VALUE, VR::UT, &ascii(value));
        item
    }

    pub(super) fn code(name: &Code, value: &Code) -> Self {
        let mut item = Self::new("CODE", name);
        item.object.code(tags::CONCEPT_CODE_SEQUENCE, value);
        item
    }

    pub(super) fn uid(name: &Code, value: &str) -> Self {
        let mut item = Self::new("UIDREF", name);
        item.object.text(tags::UID, VR::UI, value);
        item
    }

    /// A number, rounded to so many digits after the decimal point.
    pub(super) fn number(name: &Code, value: f64, digits: i32, unit: &Code) -> Self {
        let scale = 10_f64.powi(digits);
        let mut measured = InMemDicomObject::new_empty();
        measured
            .decimals(tags::NUMERIC_VALUE, &[(value * scale).round() / scale])
            .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit);
        let mut item = Self::new("NUM", name);
        item.object.item(tags::MEASURED_VALUE_SEQUENCE, measured);
        item
    }

    /// A reference to an image, or to what of it the reference names.
    pub(super) fn image(name: &Code, reference: InMemDicomObject) -> Self {
        let mut item = Self::new("IMAGE", name);
        item.object.item(tags::REFERENCED_SOP_SEQUENCE, reference);
        item
    }

    fn with(mut self, relationship: &str, item: Self) -> Self {
        let mut object = item.into_object();
        object.text(tags::RELATIONSHIP_TYPE, VR::CS, relationship);
        self.content.push(object);
        self
    }

    pub(super) fn containing(self, item: Self) -> Self {
        self.with("CONTAINS", item)
    }

    pub(super) fn containing_all(self, items: impl IntoIterator<Item = Self>) -> Self {
        items.into_iter().fold(self, Self::containing)
    }

    /// With an item that makes its name more precise.
    pub(super) fn modified_by(self, item: Self) -> Self {
        self.with("HAS CONCEPT MOD", item)
    }

    /// With an item that says who observed, and what.
    pub(super) fn observed_in(self, item: Self) -> Self {
        self.with("HAS OBS CONTEXT", item)
    }

    /// With an item that says how it was acquired.
    pub(super) fn acquired_in(self, item: Self) -> Self {
        self.with("HAS ACQ CONTEXT", item)
    }

    /// With an item that the value rests on.
    pub(super) fn inferred_from(self, item: Self) -> Self {
        self.with("INFERRED FROM", item)
    }

    /// The item with all below it.
    pub(super) fn into_object(self) -> InMemDicomObject {
        let Self { mut object, content } = self;
        if !content.is_empty() {
            object.items(tags::CONTENT_SEQUENCE, content);
        }
        object
    }
}
