//! Patients' names, as far as they are to be seen.

use super::options::Names;
use crate::console::view::ShownExam;
use crate::exam::Patient;
use crate::words::legible;

/// Characters of a component group of a name, of a Patient ID and of a description (PS3.5 section 6.2, PN and LO).
const LONGEST_TEXT: usize = 64;

impl Names {
    /// An exam as it may be seen.
    pub(in crate::console) fn of(self, mut exam: ShownExam) -> ShownExam {
        let view = &mut exam.exam;
        for text in [&mut view.patient.id, &mut view.description, &mut view.scanner] {
            *text = legible(text, LONGEST_TEXT);
        }
        let patient = &view.patient;
        view.patient = match self {
            Self::Full => Patient { name: legible_name(&patient.name), ..patient.clone() },
            Self::Initials => Patient {
                name: initials(&patient.name),
                id: String::new(),
                birth_date: String::new(),
                sex: patient.sex.clone(),
            },
            Self::Key => {
                Patient { name: view.key.to_string(), id: String::new(), birth_date: String::new(), sex: String::new() }
            }
        };
        exam
    }
}

/// Each component group, as far as one goes.
fn legible_name(name: &str) -> String {
    name.split('=').take(3).map(|group| legible(group, LONGEST_TEXT)).collect::<Vec<_>>().join("=")
}

/// The first letters of given and family name, of the first component group that has any (PS3.5 section 6.2.1).
fn initials(name: &str) -> String {
    let group = name.split('=').find(|group| !group.trim_matches(['^', ' ']).is_empty()).unwrap_or_default();
    let mut components = group.split('^').map(str::trim);
    let (family, given) = (components.next().unwrap_or_default(), components.next().unwrap_or_default());
    let first = |part: &str| part.chars().find(|letter| letter.is_alphanumeric());
    let letters = given.split(' ').filter_map(first).chain(first(family));
    letters.map(|letter| format!("{letter}.")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_three_groups_that_can_be_read() {
        let long = "A".repeat(1100);
        assert_eq!(legible_name(&format!("{long}^B=\u{202e}山田^太郎")), format!("{}…=山田^太郎", "A".repeat(63)));
        assert_eq!(legible_name("Yamada^Tarou=山田^太郎=やまだ^たろう"), "Yamada^Tarou=山田^太郎=やまだ^たろう");
        assert_eq!(legible_name(&"=".repeat(1100)), "==");
    }

    #[test]
    fn initials_are_of_given_names_and_the_family() {
        for (name, expected) in [
            ("BERG^ANN MARIE^^DR", "A. M. B."),
            ("BERG", "B."),
            ("Yamada^Tarou=山田^太郎", "T. Y."),
            ("=山田^太郎", "太. 山."),
            ("^^", ""),
            ("", ""),
        ] {
            assert_eq!(initials(name), expected, "{name}");
        }
    }
}
