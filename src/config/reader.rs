//! Reads a TOML document key by key and collects what is wrong with it.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", match line { Some(line) => format!("line {line}: "), None => String::new() })]
pub struct ConfigError {
    line: Option<usize>,
    message: String,
}

impl ConfigError {
    pub(super) fn whole_file(message: String) -> Self {
        Self { line: None, message }
    }

    /// The line of the file, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

/// A parsed file and what has been found wrong so far.
pub(super) struct Document<'a> {
    text: &'a str,
    root: DeTable<'a>,
    known: BTreeSet<&'static str>,
    errors: Vec<ConfigError>,
}

impl<'a> Document<'a> {
    /// All syntax errors, or the document.
    pub(super) fn parse(text: &'a str) -> Result<Self, Vec<ConfigError>> {
        let (root, syntax) = DeTable::parse_recoverable(text);
        let document = Self { text, root: root.into_inner(), known: BTreeSet::new(), errors: Vec::new() };
        if syntax.is_empty() {
            return Ok(document);
        }
        let error = |error: &toml::de::Error| ConfigError {
            line: error.span().map(|span| line_of(text, span.start)),
            message: error.message().to_owned(),
        };
        Err(syntax.iter().map(error).collect())
    }

    /// Lets `read` read a section's keys, an absent one being empty, and collects what is wrong with them.
    pub(super) fn section(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'a, '_>)) {
        self.known.insert(name);
        let mut entries = DeTable::new();
        if let Some(value) = self.root.get(name) {
            match value.get_ref().as_table() {
                Some(table) => entries = table.clone(),
                None => self.errors.push(ConfigError {
                    line: Some(line_of(self.text, value.span().start)),
                    message: format!("{name} is not a section: write [{name}]"),
                }),
            }
        }
        let mut section = Section { document: self, name, entries, known: BTreeSet::new() };
        read(&mut section);
        section.refuse_unknown_keys();
    }

    /// Lets `read` read each table of a list such as `[[scanner]]`.
    pub(super) fn list(&mut self, name: &'static str, mut read: impl FnMut(&mut Section<'a, '_>)) {
        self.known.insert(name);
        let Some(value) = self.root.get(name).cloned() else { return };
        let items: Option<Vec<DeTable<'a>>> = value
            .get_ref()
            .as_array()
            .and_then(|items| items.iter().map(|item| item.get_ref().as_table().cloned()).collect());
        let Some(items) = items else {
            let line = Some(line_of(self.text, value.span().start));
            self.errors
                .push(ConfigError { line, message: format!("{name} is not a list of sections: write [[{name}]]") });
            return;
        };
        for entries in items {
            let mut section = Section { document: self, name, entries, known: BTreeSet::new() };
            read(&mut section);
            section.refuse_unknown_keys();
        }
    }

    /// Whether a section is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.root.contains_key(name)
    }

    /// Something that is wrong with the whole.
    pub(super) fn refuse(&mut self, message: &str) {
        self.errors.push(ConfigError::whole_file(message.to_owned()));
    }

    /// Nothing, if nothing is wrong; else all errors in the order of their lines.
    pub(super) fn finish(mut self) -> Result<(), Vec<ConfigError>> {
        for key in self.root.keys().filter(|key| !self.known.contains(key.get_ref().as_ref())) {
            let known: Vec<String> = self.known.iter().map(|name| format!("[{name}]")).collect();
            self.errors.push(ConfigError {
                line: Some(line_of(self.text, key.span().start)),
                message: format!("unknown section {}, expected one of {}", key.get_ref(), known.join(", ")),
            });
        }
        self.errors.sort_by_key(|error| error.line);
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}

fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|byte| *byte == b'\n').count()
}

/// One section's keys.
pub(super) struct Section<'a, 'd> {
    document: &'d mut Document<'a>,
    name: &'static str,
    entries: DeTable<'a>,
    known: BTreeSet<&'static str>,
}

impl<'a> Section<'a, '_> {
    fn value(&mut self, key: &'static str) -> Option<Spanned<DeValue<'a>>> {
        self.known.insert(key);
        self.entries.get(key).cloned()
    }

    /// Something that is wrong with the section as a whole.
    pub(super) fn refuse_section(&mut self, message: String) {
        let line = self.entries.keys().map(|key| line_of(self.document.text, key.span().start)).min();
        self.document.errors.push(ConfigError { line, message });
    }

    fn refuse(&mut self, key: &str, span: Range<usize>, expected: &str) {
        let line = Some(line_of(self.document.text, span.start));
        let found = self.document.text.get(span).unwrap_or_default();
        self.document
            .errors
            .push(ConfigError { line, message: format!("{}.{key} is {found}, expected {expected}", self.name) });
    }

    /// Reads a string with `read`; what that does not take is an error.
    fn string(&mut self, key: &'static str, expected: &str, mut read: impl FnMut(&str) -> bool) {
        if let Some(value) = self.value(key)
            && !value.get_ref().as_str().is_some_and(&mut read)
        {
            self.refuse(key, value.span(), expected);
        }
    }

    pub(super) fn text(
        &mut self,
        key: &'static str,
        target: &mut String,
        expected: &str,
        is_valid: impl Fn(&str) -> bool,
    ) {
        self.string(key, expected, |text| {
            let valid = is_valid(text);
            if valid {
                text.clone_into(target);
            }
            valid
        });
    }

    pub(super) fn parsed<T: FromStr>(&mut self, key: &'static str, target: &mut T, expected: &str) {
        self.string(key, expected, |text| text.parse().map(|value| *target = value).is_ok());
    }

    /// The same for what has no default.
    pub(super) fn parsed_into<T: FromStr>(&mut self, key: &'static str, expected: &str, mut set: impl FnMut(T)) {
        self.string(key, expected, |text| text.parse().map(&mut set).is_ok());
    }

    pub(super) fn path(&mut self, key: &'static str, mut set: impl FnMut(PathBuf)) {
        self.string(key, "a path", |text| {
            let named = !text.is_empty();
            if named {
                set(PathBuf::from(text));
            }
            named
        });
    }

    /// Reads a list of strings; one that `read` does not take is an error.
    pub(super) fn strings(&mut self, key: &'static str, expected: &str, mut read: impl FnMut(&str) -> bool) {
        if let Some(value) = self.value(key) {
            let is_valid = |item: &Spanned<DeValue<'a>>| item.get_ref().as_str().is_some_and(&mut read);
            if !value.get_ref().as_array().is_some_and(|items| items.iter().all(is_valid)) {
                self.refuse(key, value.span(), expected);
            }
        }
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, target: &mut T, choices: &[(&str, T)]) {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let expected = match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => names.join(", "),
        };
        self.string(key, &expected, |text| {
            let chosen = choices.iter().find(|(name, _)| *name == text);
            chosen.map(|(_, value)| *target = *value).is_some()
        });
    }

    pub(super) fn boolean(&mut self, key: &'static str, target: &mut bool) {
        if let Some(value) = self.value(key) {
            match value.get_ref().as_bool() {
                Some(value) => *target = value,
                None => self.refuse(key, value.span(), "true or false"),
            }
        }
    }

    pub(super) fn count(&mut self, key: &'static str, range: RangeInclusive<usize>, set: impl FnOnce(usize)) {
        if let Some(value) = self.value(key) {
            let number = value
                .get_ref()
                .as_integer()
                .and_then(|integer| usize::from_str_radix(integer.as_str(), integer.radix()).ok());
            match number.filter(|number| range.contains(number)) {
                Some(number) => set(number),
                None => {
                    self.refuse(
                        key,
                        value.span(),
                        &format!("a whole number from {} to {}", range.start(), range.end()),
                    );
                }
            }
        }
    }

    pub(super) fn integer(&mut self, key: &'static str, target: &mut i16, range: RangeInclusive<i16>) {
        if let Some(value) = self.value(key) {
            let integer = value.get_ref().as_integer();
            let number = integer.and_then(|integer| i16::from_str_radix(integer.as_str(), integer.radix()).ok());
            if let Some(number) = number.filter(|number| range.contains(number)) {
                *target = number;
            } else {
                let expected = format!("a whole number from {} to {}", range.start(), range.end());
                self.refuse(key, value.span(), &expected);
            }
        }
    }

    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<f64>, set: impl FnOnce(f64)) {
        if let Some(value) = self.value(key) {
            let text = match value.get_ref() {
                DeValue::Float(float) => Some(float.as_str()),
                DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.as_str()),
                _ => None,
            };
            match text.and_then(|text| text.parse().ok()).filter(|number| range.contains(number)) {
                Some(number) => set(number),
                None => self.refuse(key, value.span(), &format!("a number from {} to {}", range.start(), range.end())),
            }
        }
    }

    fn refuse_unknown_keys(self) {
        let known: Vec<&str> = self.known.iter().copied().collect();
        for key in self.entries.keys().filter(|key| !self.known.contains(key.get_ref().as_ref())) {
            self.document.errors.push(ConfigError {
                line: Some(line_of(self.document.text, key.span().start)),
                message: format!("unknown key {}.{}, expected one of {}", self.name, key.get_ref(), known.join(", ")),
            });
        }
    }
}
