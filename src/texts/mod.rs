//! Everything that people read, as codes with parameters: one JSON file per language has the words. The page fills them in itself
//! (`text.js`), so that what is stored and sent needs no language; [`Phrase`] fills in the English ones.
//!
//! A text is named `section.key`. In its words `{name}` stands for a parameter, and `{name|slice|slices}` for a count with its noun:
//! "1 slice", "2 slices".

mod phrase;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use phrase::{Parameter, Phrase};

/// The languages: how BCP 47 calls each, and its file.
pub const LANGUAGES: [(&str, &str); 2] = [("en", include_str!("en.json")), ("zh", include_str!("zh.json"))];

/// The texts of a language, by section and key.
pub type Texts = BTreeMap<String, BTreeMap<String, String>>;

/// The file of a language; `None` of one that there is none for.
#[must_use]
pub fn file(language: &str) -> Option<&'static str> {
    LANGUAGES.iter().find(|(name, _)| *name == language).map(|(_, file)| *file)
}

/// What programs, logs and DICOM objects say.
fn english() -> &'static Texts {
    static ENGLISH: LazyLock<Texts> = LazyLock::new(|| {
        // A test reads every file. Without texts there are their names.
        serde_json::from_str(LANGUAGES[0].1).unwrap_or_default()
    });
    &ENGLISH
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn texts(file: &str) -> Texts {
        serde_json::from_str(file).unwrap()
    }

    /// The parameters that a text names, in no order.
    fn parameters(words: &str) -> BTreeSet<&str> {
        let named = words.split('{').skip(1).filter_map(|rest| rest.split(['}', '|']).next());
        named.collect()
    }

    /// Whether every language has the text of a phrase and of all phrases in it, with the parameters that it has and no others.
    pub(crate) fn assert_known(phrase: &Phrase) {
        let Phrase::Text { text, parameters: given } = phrase else { return };
        for (language, file) in LANGUAGES {
            let (section, key) = text.split_once('.').unwrap();
            let all = texts(file);
            let words = all.get(section).and_then(|texts| texts.get(key));
            let words = words.unwrap_or_else(|| panic!("{language} has no {text}"));
            assert_eq!(parameters(words), given.keys().map(AsRef::as_ref).collect(), "{language}: {text}");
        }
        for parameter in given.values() {
            if let Parameter::Phrase(phrase) = parameter {
                assert_known(phrase);
            }
        }
    }

    #[test]
    fn every_language_has_the_same_texts_with_the_same_parameters() {
        let english = texts(LANGUAGES[0].1);
        for (language, file) in LANGUAGES {
            let others = texts(file);
            let keys = |texts: &Texts| -> BTreeSet<String> {
                texts
                    .iter()
                    .flat_map(|(section, texts)| texts.keys().map(move |key| format!("{section}.{key}")))
                    .collect()
            };
            assert_eq!(keys(&english), keys(&others), "{language}");
            for (section, known) in &english {
                for (key, words) in known {
                    let translated = &others[section][key];
                    assert!(!translated.trim().is_empty(), "{language}: {section}.{key} is empty");
                    assert_eq!(parameters(words), parameters(translated), "{language}: {section}.{key}");
                }
            }
        }
    }
}
