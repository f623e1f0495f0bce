//! Everything that people read, as codes with parameters: one JSON file per language has the words. The page fills them in itself
//! (`text.js`), so that what is stored and sent needs no language.
//!
//! A text is named `section.key`. In its words `{name}` stands for a parameter, and `{name|slice|slices}` for a count with its noun:
//! "1 slice", "2 slices".

use std::collections::BTreeMap;

/// The languages: how BCP 47 calls each, and its file.
pub const LANGUAGES: [(&str, &str); 2] = [("en", include_str!("en.json")), ("zh", include_str!("zh.json"))];

/// The texts of a language, by section and key.
pub type Texts = BTreeMap<String, BTreeMap<String, String>>;

/// The file of a language; `None` of one that there is none for.
#[must_use]
pub fn file(language: &str) -> Option<&'static str> {
    LANGUAGES.iter().find(|(name, _)| *name == language).map(|(_, file)| *file)
}

#[cfg(test)]
mod tests {
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
