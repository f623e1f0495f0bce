//! Small words for sentences that people read, and which characters they cannot read.

/// A count with its noun: "1 slice", "2 slices".
#[must_use]
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Whether a character shows nothing, or changes how those beside it are shown: two names that differ in it would look alike
/// (categories Cc, Cf, Zl, Zp and Co of Unicode 16, and the variation selectors).
#[must_use]
pub(crate) fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
            | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

/// A text of so many characters at most, without those that cannot be seen: what a sender wrote into a header moves nothing else on a
/// page.
#[must_use]
pub(crate) fn legible(text: &str, longest: usize) -> String {
    let mut seen = text.chars().filter(|character| !is_unseen(*character));
    let mut legible: String = seen.by_ref().take(longest).collect();
    if seen.next().is_some() {
        legible.pop();
        legible.push('…');
    }
    legible
}

#[cfg(test)]
mod tests {
    use super::{counted, legible};

    #[test]
    fn one_is_singular_and_everything_else_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "slice")), ["0 slices", "1 slice", "2 slices"]);
    }

    #[test]
    fn a_text_has_no_more_than_can_be_read() {
        for (text, expected) in [
            ("BERG", "BERG"),
            ("BERGEN", "BER…"),
            ("\u{202e}LIVE", "LIVE"),
            ("\u{200b}\u{2060}", ""),
            ("山田太郎", "山田太郎"),
        ] {
            assert_eq!(legible(text, 4), expected, "{text:?}");
        }
    }
}
