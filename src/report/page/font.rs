//! Letters that were rasterised beforehand, and text in lines of them. All letters of a style are equally wide.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width};

use crate::words::counted;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// How letters look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    weight: Weight,
    size: RasterHeight,
    /// How much larger they are than they were rasterised.
    scale: f64,
}

impl Style {
    /// Letters in lines of 20, 24 or 32 pixels; of any other height they are the largest, enlarged.
    pub(super) const fn new(weight: Weight, height: u32) -> Self {
        match height {
            20 => Self { weight, size: RasterHeight::Size20, scale: 1.0 },
            24 => Self { weight, size: RasterHeight::Size24, scale: 1.0 },
            _ => Self { weight, size: RasterHeight::Size32, scale: height as f64 / 32.0 },
        }
    }

    const fn weight(self) -> FontWeight {
        match self.weight {
            Weight::Regular => FontWeight::Regular,
            Weight::Bold => FontWeight::Bold,
        }
    }

    pub(super) fn scale(self) -> f64 {
        self.scale
    }

    /// Height of a line of text, pixels.
    pub(super) fn height(self) -> f64 {
        self.size.val() as f64 * self.scale
    }

    /// From one letter to the next, pixels.
    pub(super) fn advance(self) -> f64 {
        get_raster_width(self.weight(), self.size) as f64 * self.scale
    }

    pub(super) fn width_of(self, text: &str) -> f64 {
        text.chars().count() as f64 * self.advance()
    }

    /// How many letters fit into so many pixels; at least one.
    pub(super) fn letters_in(self, width: f64) -> usize {
        ((width / self.advance()) as usize).max(1)
    }

    /// The letter, or a question mark where the font has none.
    pub(super) fn letter(self, letter: char) -> Option<RasterizedChar> {
        let raster = |letter| get_raster(letter, self.weight(), self.size);
        raster(letter).or_else(|| raster('?'))
    }
}

/// What does not begin a line: it belongs to the number before it.
const UNITS: [&str; 8] = ["%", "ml", "ml,", "ml)", "mm", "mm,", "HU", "cm\u{b2}"];

/// The words of a text, each number with its unit, each equation as one.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if word == "=" || last.ends_with('=') || UNITS.contains(&word) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// A text in lines of at most so many letters, broken between words, and within a word that is longer than a line.
pub(super) fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let letters = letters.max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in words(text) {
        let mut word: Vec<char> = word.chars().collect();
        let taken = line.chars().count();
        if taken > 0 && taken + 1 + word.len() <= letters {
            line.push(' ');
        } else if taken > 0 {
            lines.push(std::mem::take(&mut line));
        }
        while word.len() > letters {
            lines.push(word.drain(..letters).collect());
        }
        line.extend(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The same in at most so many lines. Where they do not hold the text, the last one says how many words are not there.
pub(super) fn fitted(text: &str, letters: usize, most_lines: usize) -> Vec<String> {
    let mut lines = wrapped(text, letters);
    if lines.len() > most_lines {
        let left_out = lines.split_off(most_lines.saturating_sub(1));
        let words = left_out.iter().flat_map(|line| line.split(' ')).count();
        lines.push(format!("[{} more]", counted(words, "word")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_breaks_between_words_and_a_long_word_within_itself() {
        assert_eq!(wrapped("the lung apex is cut off", 9), ["the lung", "apex is", "cut off"]);
        assert_eq!(wrapped("a 1.2.840.10008 b", 6), ["a", "1.2.84", "0.1000", "8 b"]);
        assert_eq!(wrapped("  ", 6), Vec::<String>::new());
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        assert_eq!(fitted("one two three four five", 9, 2), ["one two", "[3 words more]"]);
        assert_eq!(fitted("one two three", 9, 2), ["one two", "three"]);
    }

    #[test]
    fn a_letter_that_the_font_does_not_have_is_a_question_mark() {
        let style = Style::new(Weight::Regular, 24);
        assert_eq!(style.letter('\u{5c71}'), style.letter('?'));
        assert_ne!(style.letter('\u{b2}'), style.letter('?'), "square centimetres");
    }

    proptest! {
        #[test]
        fn wrapping_keeps_every_letter_and_fitting_counts_what_it_leaves_out(
            text in "[a-z0-9 \u{e4}]{0,200}", letters in 14_usize..60, most_lines in 1_usize..5,
        ) {
            let lines = wrapped(&text, letters);
            prop_assert!(lines.iter().all(|line| !line.is_empty() && line.chars().count() <= letters));
            let solid = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(solid(&lines.concat()), solid(&text));
            let fitted = fitted(&text, letters, most_lines);
            prop_assert!(fitted.len() <= most_lines);
            let is_cut = lines.len() > most_lines;
            prop_assert_eq!(fitted.last().is_some_and(|line| line.ends_with(" more]")), is_cut);
        }
    }
}
