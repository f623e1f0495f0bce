//! Text in the character sets that DICOM has (PS3.3 section C.12.1.1.2, PS3.5 section 6.1). What cannot be decoded becomes U+FFFD:
//! a strange letter in a name costs no slice.
//!
//! `encoding_rs` has the tables; the code extensions of ISO 2022, by which a text changes its set midway, are here. A byte below 80H
//! is of the set in G0, one above of that in G1; escape sequences put sets there.

use std::borrow::Borrow;

use dicom_core::VR;
use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7,
    ISO_8859_8, ISO_8859_15, UTF_8, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

/// A set of bytes below 80H.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Low {
    Ascii,
    /// JIS X 0201, which has an overline for the tilde.
    Romaji,
    /// JIS X 0208, two bytes a character.
    Kanji,
    /// JIS X 0212, two bytes a character.
    SupplementaryKanji,
}

/// A set of bytes above 7FH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum High {
    /// None that was declared.
    Unknown,
    /// Half-width katakana of JIS X 0201.
    Katakana,
    Single(&'static Encoding),
    Pairs(&'static Encoding),
}

/// How the text of a data set is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CharacterSet {
    /// One encoding for all, without code extensions (`ISO_IR 192`, GB18030, GBK).
    Whole(&'static Encoding),
    Iso2022(Sets),
}

/// The sets that are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sets {
    low: Low,
    high: High,
}

impl Default for CharacterSet {
    fn default() -> Self {
        Self::Iso2022(Sets { low: Low::Ascii, high: High::Unknown })
    }
}

impl CharacterSet {
    /// By the values of Specific Character Set (0008,0005), in the spellings that occur.
    pub(super) fn of<T: Borrow<str>>(terms: &[T]) -> Self {
        let terms: Vec<String> = terms.iter().map(|term| term.borrow().trim().to_ascii_uppercase()).collect();
        let whole = terms.iter().find_map(|term| match term.as_str() {
            term if term.contains("UTF") || number_of(term) == Some(192) => Some(UTF_8),
            term if term.contains("18030") => Some(GB18030),
            term if term.contains("GBK") || term.contains("2312") => Some(GBK),
            _ => None,
        });
        if let Some(encoding) = whole {
            return Self::Whole(encoding);
        }
        let numbers: Vec<Option<u32>> = terms.iter().map(|term| number_of(term)).collect();
        let low = if numbers.first() == Some(&Some(13)) { Low::Romaji } else { Low::Ascii };
        // The first value's set is there from the beginning; where it has none, one of the others whose escape was forgotten.
        let high = numbers.into_iter().flatten().find_map(high_of).unwrap_or(High::Unknown);
        Self::Iso2022(Sets { low, high })
    }

    /// Reads the text of a value, or of several with backslashes between them.
    pub(super) fn decode(&self, bytes: &[u8], vr: VR) -> String {
        const UTF_8_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];
        if bytes.is_ascii() && !bytes.contains(&ESCAPE) && !matches!(self, Self::Iso2022(Sets { low: Low::Romaji, .. }))
        {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        match self {
            Self::Whole(encoding) => encoding.decode_with_bom_removal(bytes).0.into_owned(),
            Self::Iso2022(sets) => {
                let is_utf_8 = std::str::from_utf8(bytes).is_ok() && !bytes.contains(&ESCAPE);
                if is_utf_8 && (bytes.starts_with(UTF_8_MARK) || sets.high == High::Unknown) {
                    return UTF_8.decode_with_bom_removal(bytes).0.into_owned();
                }
                with_extensions(bytes, *sets, vr)
            }
        }
    }
}

const ESCAPE: u8 = 0x1B;

/// The number in `ISO_IR 100`, `ISO 2022 IR 87` and their misspellings.
fn number_of(term: &str) -> Option<u32> {
    let (_, number) = term.rsplit_once("IR")?;
    number.trim_start_matches([' ', '_', '-']).parse().ok()
}

/// The set that a registration puts into G1, if it does.
fn high_of(number: u32) -> Option<High> {
    Some(match number {
        13 => High::Katakana,
        58 => High::Pairs(GBK),
        100 => High::Single(WINDOWS_1252),
        101 => High::Single(ISO_8859_2),
        109 => High::Single(ISO_8859_3),
        110 => High::Single(ISO_8859_4),
        126 => High::Single(ISO_8859_7),
        127 => High::Single(ISO_8859_6),
        138 => High::Single(ISO_8859_8),
        144 => High::Single(ISO_8859_5),
        148 => High::Single(WINDOWS_1254),
        149 => High::Pairs(EUC_KR),
        166 => High::Single(WINDOWS_874),
        203 => High::Single(ISO_8859_15),
        _ => return None,
    })
}

/// What an escape sequence puts where (PS3.3 tables C.12-3 and C.12-4), and its bytes.
fn escape(text: &[u8], sets: &mut Sets) -> Option<usize> {
    let low = |sets: &mut Sets, low| sets.low = low;
    let high = |sets: &mut Sets, number| sets.high = high_of(number).unwrap_or(High::Unknown);
    let bytes = match text {
        [ESCAPE, b'$', b'(' | b')', _, ..] => 4,
        [ESCAPE, _, _, ..] => 3,
        _ => return None,
    };
    match &text[1..bytes] {
        b"(B" => low(sets, Low::Ascii),
        b"(J" => low(sets, Low::Romaji),
        b"$B" | b"$@" | b"$(B" => low(sets, Low::Kanji),
        b"$(D" => low(sets, Low::SupplementaryKanji),
        b")I" => high(sets, 13),
        b"$)A" => high(sets, 58),
        b"$)C" => high(sets, 149),
        b"-A" => high(sets, 100),
        b"-B" => high(sets, 101),
        b"-C" => high(sets, 109),
        b"-D" => high(sets, 110),
        b"-F" => high(sets, 126),
        b"-G" => high(sets, 127),
        b"-H" => high(sets, 138),
        b"-L" => high(sets, 144),
        b"-M" => high(sets, 148),
        b"-T" => high(sets, 166),
        b"-b" => high(sets, 203),
        _ => return None,
    }
    Some(bytes)
}

fn with_extensions(mut rest: &[u8], initial: Sets, vr: VR) -> String {
    let mut sets = initial;
    let mut text = String::with_capacity(rest.len());
    while let Some(byte) = rest.first().copied() {
        if byte == ESCAPE {
            let known = escape(rest, &mut sets);
            if known.is_none() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            rest = &rest[known.unwrap_or(1)..];
            continue;
        }
        let taken = if byte < 0x80 {
            low_character(rest, sets.low, &mut text)
        } else {
            high_character(rest, sets.high, &mut text)
        };
        // PS3.5 section 6.1.2.5.3: behind these the sets are those of the beginning.
        if taken == 1
            && (matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b'\\') || vr == VR::PN && matches!(byte, b'^' | b'='))
        {
            sets = initial;
        }
        rest = &rest[taken..];
    }
    text
}

/// Appends the first character and says how many bytes it has.
fn low_character(bytes: &[u8], low: Low, text: &mut String) -> usize {
    let pair = match (low, bytes) {
        (Low::Romaji, [b'~', ..]) => {
            text.push('\u{203E}');
            return 1;
        }
        (Low::Kanji | Low::SupplementaryKanji, [first @ 0x21..=0x7E, second @ 0x21..=0x7E, ..]) => {
            [first | 0x80, second | 0x80]
        }
        (Low::Kanji | Low::SupplementaryKanji, [0x21..=0x7E, ..]) => {
            text.push(char::REPLACEMENT_CHARACTER);
            return 1;
        }
        _ => {
            text.push(char::from(bytes[0]));
            return 1;
        }
    };
    let decoded = match low {
        Low::SupplementaryKanji => EUC_JP.decode_without_bom_handling(&[0x8F, pair[0], pair[1]]).0.into_owned(),
        _ => EUC_JP.decode_without_bom_handling(&pair).0.into_owned(),
    };
    text.push_str(&decoded);
    2
}

/// Appends the first character and says how many bytes it has.
fn high_character(bytes: &[u8], high: High, text: &mut String) -> usize {
    let first = bytes[0];
    let (encoding, count) = match (high, bytes) {
        (High::Katakana, _) => {
            let half_width = char::from_u32(0xFF61 + u32::from(first.wrapping_sub(0xA1)));
            text.push(half_width.filter(|_| (0xA1..=0xDF).contains(&first)).unwrap_or(char::REPLACEMENT_CHARACTER));
            return 1;
        }
        (High::Single(encoding), _) => (encoding, 1),
        (High::Unknown, _) => (WINDOWS_1252, 1),
        (High::Pairs(encoding), [_, 0x80..=0xFF, ..]) => (encoding, 2),
        (High::Pairs(_), _) => {
            text.push(char::REPLACEMENT_CHARACTER);
            return 1;
        }
    };
    text.push_str(&encoding.decode_without_bom_handling(&bytes[..count]).0);
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(terms: &[&str], bytes: &[u8]) -> String {
        CharacterSet::of(terms).decode(bytes, VR::PN)
    }

    #[test]
    fn the_examples_of_the_standard_are_read_as_it_says() {
        // PS3.5 annexes H.3.1, H.3.2, I.2 and K.2, J.
        let kanji = b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B";
        assert_eq!(name(&["", "ISO 2022 IR 87"], kanji), "Yamada^Tarou=山田^太郎=やまだ^たろう");
        let half_width =
            b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J=\x1B$B$d$^$@\x1B(J^\x1B$B$?$m$&\x1B(J";
        assert_eq!(name(&["ISO 2022 IR 13", "ISO 2022 IR 87"], half_width), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう");
        let hangul = b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF";
        assert_eq!(name(&["", "ISO 2022 IR 149"], hangul), "Hong^Gildong=洪^吉洞=홍^길동");
        let chinese = b"Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB=";
        assert_eq!(name(&["", "ISO 2022 IR 58"], chinese), "Zhang^XiaoDong=张^小东=");
        assert_eq!(name(&["GB18030"], b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB="), "Wang^XiaoDong=王^小东=");
    }

    #[test]
    fn escapes_that_were_forgotten_and_terms_that_are_misspelt_cost_no_letter() {
        assert_eq!(name(&["", "ISO 2022 IR 149"], b"\xC8\xAB^\xB1\xE6\xB5\xBF"), "홍^길동");
        assert_eq!(name(&["ISO_IR_100"], b"M\xFCller"), "Müller");
        assert_eq!(name(&["iso-ir 192"], "Żółć".as_bytes()), "Żółć");
        assert_eq!(name(&["ISO 2022 IR 6", "ISO 2022 IR 159"], b"\x1B$(D0!\x1B(B"), "丂");
        assert_eq!(name(&["ISO_IR 148"], b"Ay\xFEe"), "Ayşe");
    }

    #[test]
    fn a_mark_of_utf_8_is_no_letter_whatever_was_declared() {
        let marked = "\u{FEFF}Müller^Jürgen".as_bytes();
        for terms in [&["ISO_IR 192"][..], &["ISO_IR 100"], &[]] {
            assert_eq!(name(terms, marked), "Müller^Jürgen", "{terms:?}");
        }
    }

    #[test]
    fn text_without_a_character_set_is_unicode_if_it_can_be_and_latin_otherwise() {
        assert_eq!(name(&[], "Müller".as_bytes()), "Müller");
        assert_eq!(name(&["no such set"], b"M\xFCller"), "Müller");
    }

    #[test]
    fn what_cannot_be_decoded_is_a_replacement_character_and_the_rest_is_there() {
        assert_eq!(name(&["ISO_IR 192"], b"A\xFFB"), "A\u{FFFD}B");
        assert_eq!(name(&["", "ISO 2022 IR 87"], b"A\x1B!B"), "A\u{FFFD}!B");
        assert_eq!(name(&["", "ISO 2022 IR 149"], b"\x1B$)C\xC8"), "\u{FFFD}");
        assert_eq!(name(&["", "ISO 2022 IR 87"], b"\x1B$B;"), "\u{FFFD}");
    }

    #[test]
    fn the_second_byte_of_a_chinese_letter_may_be_a_backslash() {
        assert_eq!(CharacterSet::of(&["GBK"]).decode(b"\x81\x5C", VR::LO), "乗");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), first in 0..9_usize, second in 0..9_usize) {
            const TERMS: [&str; 9] = ["", "ISO 2022 IR 13", "ISO 2022 IR 87", "ISO 2022 IR 159", "ISO 2022 IR 149",
                "ISO 2022 IR 58", "ISO_IR 192", "GB18030", "ISO_IR 100"];
            for vr in [VR::PN, VR::LO, VR::LT] {
                let text = CharacterSet::of(&[TERMS[first], TERMS[second]]).decode(&bytes, vr);
                prop_assert!(text.chars().count() <= bytes.len());
            }
        }
    }
}
