//! Values as bytes (PS3.5 section 6.2), and as what they say.

use dicom_core::value::C;
use dicom_core::{PrimitiveValue, Tag, VR};

/// Bytes of one value of the VRs that are numbers, 1 for all others (PS3.5 table 6.2-1).
pub(super) fn number_bytes(vr: VR) -> u32 {
    use VR::{AT, FD, FL, SL, SS, SV, UL, US, UV};
    match vr {
        SS | US => 2,
        AT | FL | SL | UL => 4,
        FD | SV | UV => 8,
        _ => 1,
    }
}

/// VRs of values that may be large and describe nothing.
pub(super) fn is_bulk(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, UN};
    matches!(vr, OB | OD | OF | OL | OV | OW | UN)
}

/// VRs whose text is in the character set of the data set (PS3.5 section 6.1.2.3).
pub(super) fn is_text(vr: VR) -> bool {
    use VR::{LO, LT, PN, SH, ST, UC, UT};
    matches!(vr, LO | LT | PN | SH | ST | UC | UT)
}

/// VRs of one value, in which a backslash separates nothing.
fn is_single(vr: VR) -> bool {
    use VR::{LT, ST, UR, UT};
    matches!(vr, LT | ST | UR | UT)
}

/// The values of a text, without the padding at their ends.
pub(super) fn text_value(vr: VR, text: &str) -> PrimitiveValue {
    let trimmed = |value: &str| value.trim_end_matches([' ', '\0']).to_owned();
    if trimmed(text).is_empty() {
        PrimitiveValue::Empty
    } else if is_single(vr) {
        PrimitiveValue::Str(trimmed(text))
    } else {
        PrimitiveValue::Strs(text.split('\\').map(trimmed).collect())
    }
}

/// A value that is no text of a character set; `None` where its length is no whole number of values.
pub(super) fn primitive(vr: VR, bytes: Vec<u8>) -> Option<PrimitiveValue> {
    if bytes.is_empty() {
        return Some(PrimitiveValue::Empty);
    }
    Some(match vr {
        VR::US => PrimitiveValue::U16(numbers(&bytes, u16::from_le_bytes)?),
        VR::SS => PrimitiveValue::I16(numbers(&bytes, i16::from_le_bytes)?),
        VR::UL => PrimitiveValue::U32(numbers(&bytes, u32::from_le_bytes)?),
        VR::SL => PrimitiveValue::I32(numbers(&bytes, i32::from_le_bytes)?),
        VR::UV | VR::OV => PrimitiveValue::U64(numbers(&bytes, u64::from_le_bytes)?),
        VR::SV => PrimitiveValue::I64(numbers(&bytes, i64::from_le_bytes)?),
        VR::FL => PrimitiveValue::F32(numbers(&bytes, f32::from_le_bytes)?),
        VR::FD => PrimitiveValue::F64(numbers(&bytes, f64::from_le_bytes)?),
        VR::AT => PrimitiveValue::Tags(numbers(&bytes, |[a, b, c, d]: [u8; 4]| {
            Tag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
        })?),
        VR::OB | VR::OD | VR::OF | VR::OL | VR::OW | VR::UN | VR::SQ => PrimitiveValue::U8(bytes.into()),
        _ => text_value(vr, &String::from_utf8_lossy(&bytes)),
    })
}

fn numbers<T, const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Option<C<T>> {
    let (values, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then(|| values.iter().map(|value| number(*value)).collect())
}
