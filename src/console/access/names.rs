//! Patients' names, as far as they are to be seen.

use super::options::Names;
use crate::console::view::ShownExam;
use crate::exam::Patient;

impl Names {
    /// An exam as it may be seen.
    pub(in crate::console) fn of(self, mut exam: ShownExam) -> ShownExam {
        let patient = &exam.exam.patient;
        exam.exam.patient = match self {
            Self::Full => return exam,
            Self::Initials => Patient {
                name: initials(&patient.name),
                id: String::new(),
                birth_date: String::new(),
                sex: patient.sex.clone(),
            },
            Self::Key => Patient {
                name: exam.exam.key.to_string(),
                id: String::new(),
                birth_date: String::new(),
                sex: String::new(),
            },
        };
        exam
    }
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
