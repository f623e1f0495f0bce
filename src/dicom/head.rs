//! What precedes the data set in a file (PS3.10 section 7.1): a preamble, and the file meta group. Files come without either, and
//! with groups that are not quite right; their elements say where the group ends, whatever its length says.

use std::io::Cursor;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTable, InMemDicomObject};

use super::FileError;
use super::element::{Encoding, Source, dictionary_vr};
use super::extent::ExtentError;
use super::oddity::{Oddities, Oddity};
use super::values::primitive;

const PREAMBLE_BYTES: usize = 128;
const MAGIC: &[u8] = b"DICM";
const META_GROUP: u16 = 0x0002;
/// A CT image begins with an element of this group, in the order of tags.
const IDENTIFYING_GROUP: u16 = 0x0008;
/// Before its first value an element of explicit VR has eight bytes, one of implicit VR too.
const ELEMENT_HEAD_BYTES: usize = 8;
/// No first value of a data set is longer: it is a group's length, a character set or a type.
const LONGEST_FIRST_VALUE: u32 = 1024;

/// Implementation Version Name (0002,0013) and application entity titles have at most 16 characters (PS3.5 table 6.2-1).
const LONGEST_NAME: usize = 16;

/// What precedes the data set in a file.
pub struct Head {
    pub meta: FileMetaTable,
    /// Where the data set begins, bytes.
    pub length: usize,
    pub oddities: Oddities,
}

impl Head {
    /// Reads the file meta group, with or without the preamble before it; where there is no group, what the data set shows.
    ///
    /// # Errors
    /// If this is no DICOM file, or the group cannot be read.
    pub fn read(file: &[u8]) -> Result<Self, FileError> {
        let is_magic = |at: &usize| file.get(*at..*at + MAGIC.len()) == Some(MAGIC);
        let begins = match [PREAMBLE_BYTES, 0].into_iter().find(is_magic) {
            Some(magic_at) => magic_at + MAGIC.len(),
            None if is_data_set(file) => 0,
            None => return Err(FileError::NotDicom),
        };
        let (group, length) = meta_group(&file[begins..])?;
        let length = begins + length;
        let mut oddities = Oddities::default();
        let mut meta = table(&group, &mut oddities);
        if group.iter().next().is_none() {
            oddities.note(Oddity::NoMeta);
        } else {
            let counted = group.get(tags::FILE_META_INFORMATION_GROUP_LENGTH).and_then(|e| e.to_int::<usize>().ok());
            // The group's length counts from behind the element that says it, which has 12 bytes.
            if counted.is_none_or(|counted| begins + 12 + counted != length) {
                oddities.note(Oddity::MetaLength);
            }
            if meta.transfer_syntax.is_empty() {
                oddities.note(Oddity::NoTransferSyntax);
            }
        }
        if meta.transfer_syntax.is_empty() {
            guessed_syntax(&file[length..]).clone_into(&mut meta.transfer_syntax);
        }
        Ok(Self { meta, length, oddities })
    }
}

/// Whether bytes begin as a data set or a file meta group does, without anything that says so.
fn is_data_set(file: &[u8]) -> bool {
    let Some((head, _)) = file.split_first_chunk::<ELEMENT_HEAD_BYTES>() else { return false };
    let two = |at: usize| [head[at], head[at + 1]];
    let tag = Tag(u16::from_le_bytes(two(0)), u16::from_le_bytes(two(2)));
    let length = match dicom_core::VR::from_binary(two(4)) {
        Some(_) => u32::from(u16::from_le_bytes(two(6))),
        None => u32::from(u16::from_le_bytes(two(4))) | u32::from(u16::from_le_bytes(two(6))) << 16,
    };
    let is_first_group = matches!(tag.group(), META_GROUP | IDENTIFYING_GROUP);
    is_first_group && (tag.element() == 0 || dictionary_vr(tag).is_some()) && length <= LONGEST_FIRST_VALUE
}

/// The elements of the file meta group, and its bytes.
fn meta_group(bytes: &[u8]) -> Result<(InMemDicomObject, usize), ExtentError> {
    let end = bytes.len();
    let mut source = Source::new(Cursor::new(bytes));
    // The group is explicit (PS3.10 section 7.1), but some write it as they write what follows.
    let encoding = source.sniff(Encoding::ExplicitVr, end)?;
    let mut group = InMemDicomObject::new_empty();
    loop {
        let next = source.peek::<4>(end)?;
        let [a, b, ..] = next.bytes;
        if next.count < 4 || u16::from_le_bytes([a, b]) != META_GROUP {
            return Ok((group, source.at));
        }
        let head = source.element_head(end, encoding)?;
        let value_end = source.value_end(&head, end)?;
        let value = source.value(value_end)?;
        let vr = head.vr.or_else(|| dictionary_vr(head.tag)).unwrap_or(dicom_core::VR::UN);
        if let Some(value) = primitive(vr, value)
            && group.get(head.tag).is_none()
        {
            group.put(dicom_core::DataElement::new(head.tag, vr, value));
        }
    }
}

/// The group as a table: texts as they can be written again.
fn table(group: &InMemDicomObject, oddities: &mut Oddities) -> FileMetaTable {
    let text = |tag: Tag| group.get(tag).and_then(|element| element.to_str().ok()).unwrap_or_default().into_owned();
    let mut name = |tag: Tag, called: &'static str| {
        let stored = text(tag);
        let whole = stored.trim_matches([' ', '\0']);
        let name: String = whole.chars().filter(|letter| matches!(letter, ' '..='~')).take(LONGEST_NAME).collect();
        if name != whole {
            oddities.note(Oddity::MetaText(called));
        }
        Some(name).filter(|name| !name.is_empty())
    };
    let implementation_version_name =
        name(tags::IMPLEMENTATION_VERSION_NAME, "the Implementation Version Name (0002,0013)");
    let source_application_entity_title =
        name(tags::SOURCE_APPLICATION_ENTITY_TITLE, "the Source Application Entity Title (0002,0016)");
    let uid = |tag: Tag| text(tag).trim_matches(|c: char| c.is_whitespace() || c.is_control()).to_owned();
    FileMetaTable {
        information_group_length: 0,
        information_version: [0, 1],
        media_storage_sop_class_uid: uid(tags::MEDIA_STORAGE_SOP_CLASS_UID),
        media_storage_sop_instance_uid: uid(tags::MEDIA_STORAGE_SOP_INSTANCE_UID),
        transfer_syntax: uid(tags::TRANSFER_SYNTAX_UID).trim_end_matches('.').to_owned(),
        implementation_class_uid: uid(tags::IMPLEMENTATION_CLASS_UID),
        implementation_version_name,
        source_application_entity_title,
        sending_application_entity_title: None,
        receiving_application_entity_title: None,
        private_information_creator_uid: None,
        private_information: None,
    }
}

/// The transfer syntax of a data set that nothing is known of: pixel data that turns out to be compressed cannot be read so.
fn guessed_syntax(data_set: &[u8]) -> &'static str {
    let sniffed = Source::new(Cursor::new(data_set)).sniff(Encoding::ExplicitVr, data_set.len());
    match sniffed {
        Ok(Encoding::ExplicitVr) => uids::EXPLICIT_VR_LITTLE_ENDIAN,
        _ => uids::IMPLICIT_VR_LITTLE_ENDIAN,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(number: u8, vr: [u8; 2], value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, 0, number, 0, vr[0], vr[1]];
        bytes.extend((value.len() as u16).to_le_bytes());
        bytes.extend(value);
        bytes
    }

    const SYNTAX: &[u8] = b"1.2.840.10008.1.2.1\0";

    fn file(group_length: Option<u32>, more: &[u8]) -> Vec<u8> {
        let mut file = vec![0; PREAMBLE_BYTES];
        file.extend(MAGIC);
        let length = group_length.map(|length| element(0, *b"UL", &length.to_le_bytes())).unwrap_or_default();
        file.extend([length, element(0x10, *b"UI", SYNTAX), more.to_vec()].concat());
        file.extend([8, 0, 0x16, 0, b'U', b'I', 2, 0, b'1', 0]);
        file
    }

    fn labels(head: &Head) -> Vec<&'static str> {
        head.oddities.iter().map(Oddity::label).collect()
    }

    #[test]
    fn the_group_ends_with_its_last_element_whatever_its_length_says() {
        for (length, odd) in
            [(Some(28), &[][..]), (Some(0), &["file_meta"]), (Some(9999), &["file_meta"]), (None, &["file_meta"])]
        {
            let file = file(length, &[]);
            let head = Head::read(&file).unwrap();
            assert_eq!(head.length, file.len() - 10, "{length:?}");
            assert_eq!(head.meta.transfer_syntax(), "1.2.840.10008.1.2.1");
            assert_eq!(labels(&head), odd, "{length:?}");
        }
    }

    #[test]
    fn a_version_name_that_is_too_long_or_unprintable_is_cut_to_what_it_may_be() {
        let head = Head::read(&file(None, &element(0x13, *b"SH", b"A NAME\x07OF MANY LETTERS"))).unwrap();
        assert_eq!(head.meta.implementation_version_name(), Some("A NAMEOF MANY LE"));
        assert!(head.oddities.iter().any(|odd| matches!(odd, Oddity::MetaText(_))));
    }

    #[test]
    fn a_data_set_alone_is_a_file_and_its_encoding_is_seen() {
        let explicit = [8, 0, 0x16, 0, b'U', b'I', 2, 0, b'1', 0];
        let implicit = [8, 0, 0x16, 0, 2, 0, 0, 0, b'1', 0];
        for (data_set, syntax) in
            [(explicit, uids::EXPLICIT_VR_LITTLE_ENDIAN), (implicit, uids::IMPLICIT_VR_LITTLE_ENDIAN)]
        {
            let head = Head::read(&data_set).unwrap();
            assert_eq!((head.length, head.meta.transfer_syntax()), (0, syntax));
            assert_eq!(labels(&head), ["no_file_meta"]);
        }
    }

    #[test]
    fn other_files_are_no_dicom_files() {
        for other in [
            &b"Dear scanner, this is only a letter"[..],
            b"",
            b"\x89PNG\r\n\x1a\n",
            &[8, 0, 0x16, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        ] {
            assert!(matches!(Head::read(other), Err(FileError::NotDicom)));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::read(&bytes);
            let _ = Head::read(&[MAGIC, &bytes].concat());
        }
    }
}
