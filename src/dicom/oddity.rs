//! What is wrong with an object that can be read all the same.

use std::collections::BTreeMap;

use dicom_core::Tag;

/// Something against the standard that leaves no doubt about what was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    #[error("element {0} stands behind one of a higher tag: elements belong in the order of their tags")]
    OutOfOrder(Tag),
    #[error("element {0} stands there twice, both times with the same value")]
    Repeated(Tag),
    #[error("element {0} has a VR that the standard does not have: that of the dictionary was taken")]
    UnknownVr(Tag),
    #[error("the sequence {0} is of unknown VR and cannot be read: it was passed over")]
    UnreadableSequence(Tag),
    #[error("a sequence or an item of known length has a delimiter too")]
    NeedlessDelimiter,
    #[error("VRs are explicit where the transfer syntax says implicit, or the other way round: it was read as it is")]
    OtherEncoding,
    #[error("bytes that are no elements follow the data set: they were ignored")]
    TrailingBytes,
    #[error("the pixel data (7FE0,0010) has {0} bytes more than rows x columns need: they were ignored")]
    ExcessPixels(u64),
    #[error("{0} is missing in the data set: that of the C-STORE request or of the file meta group was taken")]
    UidFromOutside(&'static str),
    #[error(
        "{name} is {spelled} in the data set, but written otherwise in the C-STORE request: that of the data set was taken"
    )]
    SpelledOtherwise { name: &'static str, spelled: String },
    #[error("{0} is no valid UID (digits and dots, at most 64 characters): it was taken as a name all the same")]
    InvalidUid(&'static str),
    #[error("the file has no file meta group: its transfer syntax was guessed")]
    NoMeta,
    #[error("the file meta group has no length (0002,0000), or another one than its elements")]
    MetaLength,
    #[error("the file meta group names no transfer syntax (0002,0010): it was guessed")]
    NoTransferSyntax,
    #[error("{0} in the file meta group is not as it should be: too long, or with characters that do not belong there")]
    MetaText(&'static str),
}

impl Oddity {
    /// The kind in metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::OutOfOrder(_) => "order",
            Self::Repeated(_) => "repeated",
            Self::UnknownVr(_) => "unknown_vr",
            Self::UnreadableSequence(_) => "unreadable_sequence",
            Self::NeedlessDelimiter => "delimiter",
            Self::OtherEncoding => "encoding",
            Self::TrailingBytes => "trailing_bytes",
            Self::ExcessPixels(_) => "excess_pixels",
            Self::UidFromOutside(_) => "uid_missing",
            Self::SpelledOtherwise { .. } => "uid_spelled_otherwise",
            Self::InvalidUid(_) => "invalid_uid",
            Self::NoMeta => "no_file_meta",
            Self::MetaLength | Self::NoTransferSyntax | Self::MetaText(_) => "file_meta",
        }
    }
}

/// The oddities of many files, counted by kind.
#[derive(Debug, Default)]
pub struct OddityTally(BTreeMap<&'static str, (usize, String)>);

impl OddityTally {
    pub fn add(&mut self, oddities: &Oddities) {
        for oddity in oddities.iter() {
            self.0.entry(oddity.label()).or_insert_with(|| (0, oddity.to_string())).0 += 1;
        }
    }

    /// One sentence for each kind, with the first of its kind as the example.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        self.0.values().map(|(files, example)| {
            let files = if *files == 1 { "1 file is".to_owned() } else { format!("{files} files are") };
            format!("{files} not as the standard says, and used all the same: {example}")
        })
    }
}

/// The oddities of one object, the first of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oddities(Vec<Oddity>);

impl Oddities {
    pub fn note(&mut self, oddity: Oddity) {
        if !self.0.iter().any(|noted| std::mem::discriminant(noted) == std::mem::discriminant(&oddity)) {
            self.0.push(oddity);
        }
    }

    /// These and those of another part of the object.
    #[must_use]
    pub fn joined_by(mut self, others: Self) -> Self {
        for oddity in others.0 {
            self.note(oddity);
        }
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = &Oddity> {
        self.0.iter()
    }
}
