//! What is said, before it is said in a language. Whatever decides what people are told makes a [`Phrase`]. Programs, logs and DICOM
//! objects get its English words from here; the page fills in those of its own language (`text.js`), by the same rules.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Texts, english};

/// A text with its parameters, or words that there is no text for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Phrase {
    Text {
        /// `section.key` in the languages' files.
        text: Cow<'static, str>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        parameters: BTreeMap<Cow<'static, str>, Parameter>,
    },
    /// What a library, a header or an earlier version said, in English.
    English { english: String },
}

/// What stands in the words of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Parameter {
    Count(u64),
    /// A figure as it is written, or a name in the data.
    Figure(String),
    Phrase(Phrase),
}

impl From<usize> for Parameter {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<String> for Parameter {
    fn from(figure: String) -> Self {
        Self::Figure(figure)
    }
}

impl From<Phrase> for Parameter {
    fn from(phrase: Phrase) -> Self {
        Self::Phrase(phrase)
    }
}

impl Phrase {
    /// `text` is `section.key`.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self::Text { text: Cow::Borrowed(text), parameters: BTreeMap::new() }
    }

    /// Words that there is no text for.
    #[must_use]
    pub fn english(words: impl Into<String>) -> Self {
        Self::English { english: words.into() }
    }

    /// Where there is nothing to say.
    #[must_use]
    pub fn nothing() -> Self {
        Self::english("")
    }

    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::English { english } if english.is_empty())
    }

    /// With a parameter; English words have none.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Parameter>) -> Self {
        if let Self::Text { parameters, .. } = &mut self {
            parameters.insert(Cow::Borrowed(name), value.into());
        }
        self
    }

    /// With a figure of so many decimals.
    #[must_use]
    pub fn figure(self, name: &'static str, value: f64, decimals: usize) -> Self {
        self.with(name, format!("{value:.decimals$}"))
    }

    /// All of them, with the text `joint` (`{first}`, `{rest}`) between each two; nothing where there are none.
    #[must_use]
    pub fn joined(joint: &'static str, phrases: impl IntoIterator<Item = Self>) -> Self {
        let join = |first: Self, rest: Self| Self::new(joint).with("first", first).with("rest", rest);
        phrases.into_iter().reduce(join).unwrap_or_else(Self::nothing)
    }

    /// The words in the language of these texts. A text that is not there is its name: it can be seen, and nothing stops.
    #[must_use]
    pub fn words(&self, texts: &Texts) -> String {
        let mut words = String::new();
        self.write(texts, &mut words);
        words
    }

    fn write(&self, texts: &Texts, words: &mut String) {
        let (text, parameters) = match self {
            Self::Text { text, parameters } => (text, parameters),
            Self::English { english } => return words.push_str(english),
        };
        let known = text.split_once('.').and_then(|(section, key)| texts.get(section)?.get(key));
        let mut rest = known.map_or(text.as_ref(), String::as_str);
        while let Some((before, (place, after))) =
            rest.split_once('{').and_then(|(before, from)| Some((before, from.split_once('}')?)))
        {
            words.push_str(before);
            write_parameter(place, parameters, texts, words);
            rest = after;
        }
        words.push_str(rest);
    }
}

/// `place` is `name`, or `name|one|many` of a count.
fn write_parameter(
    place: &str,
    parameters: &BTreeMap<Cow<'static, str>, Parameter>,
    texts: &Texts,
    words: &mut String,
) {
    let mut place = place.split('|');
    let value = place.next().and_then(|name| parameters.get(name));
    let nouns = place.next().zip(place.next());
    match value {
        Some(Parameter::Phrase(phrase)) => phrase.write(texts, words),
        Some(Parameter::Figure(figure)) => words.push_str(figure),
        Some(Parameter::Count(count)) => {
            words.push_str(&count.to_string());
            if let Some((one, many)) = nouns {
                words.push(' ');
                words.push_str(if *count == 1 { one } else { many });
            }
        }
        None => {}
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(english()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Case {
        texts: Texts,
        phrase: Phrase,
        words: String,
    }

    /// The page's renderer is held to the same cases (`tests/page/text.test.mjs`).
    #[test]
    fn phrases_are_filled_in_as_the_page_fills_them_in() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/page/phrases.json")).unwrap();
        assert!(cases.len() > 5);
        for Case { texts, phrase, words } in cases {
            assert_eq!(phrase.words(&texts), words);
            let written = serde_json::to_value(&phrase).unwrap();
            assert_eq!(serde_json::from_value::<Phrase>(written).unwrap(), phrase);
        }
    }

    #[test]
    fn a_phrase_is_said_in_english_where_no_language_is_asked_for() {
        let parts =
            [Phrase::new("side.left"), Phrase::english("B70f"), Phrase::new("count.slices").with("count", 1_usize)];
        assert_eq!(Phrase::joined("join.comma", parts).to_string(), "left, B70f, 1 slice");
        assert!(Phrase::joined("join.comma", []).is_nothing());
    }
}
