//! Limits that a model must keep, such as `--require sensitivity=0.95`, and whether it keeps them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::statistics::Estimate;
use super::summary::{Figure, Figures, Summary};

/// Why a limit cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("{0} is no limit: write NAME=NUMBER, such as sensitivity=0.95")]
    Form(String),
    #[error("{name} is no figure that can be limited; at least: {at_least}; at most: {at_most}", at_least = names(Bound::AtLeast), at_most = names(Bound::AtMost))]
    Name { name: String },
    #[error("{text} is no number for {name}: expected one from 0 to {}", if *share { "1" } else { "any size" })]
    Number { name: &'static str, text: String, share: bool },
    #[error("{name}:{end} cannot be limited: the end of the interval that counts for {name} is {name}:{expected}")]
    End { name: &'static str, end: String, expected: &'static str },
}

/// Whether a limit bounds its figure from below or from above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    AtLeast,
    AtMost,
}

impl Bound {
    /// The end of the interval that is nearer to failing.
    fn end(self) -> &'static str {
        match self {
            Self::AtLeast => "low",
            Self::AtMost => "high",
        }
    }
}

/// A figure that can be limited.
struct Metric {
    name: &'static str,
    bound: Bound,
    /// Lies between 0 and 1.
    share: bool,
    figure: fn(&Figures) -> &Figure,
}

static METRICS: [Metric; 9] = [
    Metric { name: "sensitivity", bound: Bound::AtLeast, share: true, figure: |f| &f.sensitivity },
    Metric { name: "specificity", bound: Bound::AtLeast, share: true, figure: |f| &f.specificity },
    Metric { name: "auc", bound: Bound::AtLeast, share: true, figure: |f| &f.auc },
    Metric { name: "lesion_dice", bound: Bound::AtLeast, share: true, figure: |f| &f.lesion_dice },
    Metric { name: "lung_dice", bound: Bound::AtLeast, share: true, figure: |f| &f.lung_dice },
    Metric { name: "lesion_recall", bound: Bound::AtLeast, share: true, figure: |f| &f.lesion_recall },
    Metric {
        name: "false_lesions_per_case",
        bound: Bound::AtMost,
        share: false,
        figure: |f| &f.false_lesions_per_case,
    },
    Metric { name: "time_to_flag_share", bound: Bound::AtMost, share: true, figure: |f| &f.time_to_flag_share.median },
    Metric { name: "not_analysed_share", bound: Bound::AtMost, share: true, figure: |f| &f.not_analysed_share },
];

fn names(bound: Bound) -> String {
    let names: Vec<&str> = METRICS.iter().filter(|metric| metric.bound == bound).map(|metric| metric.name).collect();
    names.join(", ")
}

/// A limit as `--require` takes it: `sensitivity=0.95` holds if the estimate is at least 0.95, `sensitivity:low=0.9` if
/// the lower end of its 95 % interval is at least 0.9; for figures that must be small, `:high` is the upper end.
#[derive(Clone)]
pub struct Limit {
    metric: &'static Metric,
    of_interval: bool,
    value: f64,
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let (left, number) = text.split_once('=').ok_or_else(|| LimitError::Form(text.to_owned()))?;
        let (name, end) = match left.split_once(':') {
            Some((name, end)) => (name.trim(), Some(end.trim())),
            None => (left.trim(), None),
        };
        let metric = METRICS
            .iter()
            .find(|metric| metric.name == name)
            .ok_or_else(|| LimitError::Name { name: name.to_owned() })?;
        let expected = metric.bound.end();
        if let Some(end) = end.filter(|end| *end != expected) {
            return Err(LimitError::End { name: metric.name, end: end.to_owned(), expected });
        }
        let value = number.trim().parse().ok().filter(|value: &f64| {
            let largest = if metric.share { 1.0 } else { f64::MAX };
            (0.0..=largest).contains(value)
        });
        let no_number =
            || LimitError::Number { name: metric.name, text: number.trim().to_owned(), share: metric.share };
        Ok(Self { metric, of_interval: end.is_some(), value: value.ok_or_else(no_number)? })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.metric.name)?;
        if self.of_interval {
            let end = if self.metric.bound == Bound::AtLeast { "lower" } else { "upper" };
            write!(f, ", {end} end of the interval,")?;
        }
        write!(f, " at {} {}", if self.metric.bound == Bound::AtLeast { "least" } else { "most" }, self.value)
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limit({self})")
    }
}

impl Limit {
    /// Checks the figures of all cases against the limit.
    #[must_use]
    pub fn check(&self, summary: &Summary) -> LimitOutcome {
        let figure = (self.metric.figure)(&summary.overall);
        let state = match figure {
            Figure::Absent { absent } => LimitState::CannotBeComputed { why: absent.clone() },
            Figure::Known(estimate) => match self.compared(estimate) {
                None => LimitState::CannotBeComputed {
                    why: format!("{} has no interval: too few or too equal cases", self.metric.name),
                },
                Some(found) if self.kept_by(found) => LimitState::Holds { found },
                Some(found) => LimitState::DoesNotHold { found },
            },
        };
        LimitOutcome { limit: self.to_string(), n: figure.estimate().map_or(0, |estimate| estimate.n), state }
    }

    fn compared(&self, estimate: &Estimate) -> Option<f64> {
        if !self.of_interval {
            return Some(estimate.value);
        }
        estimate.interval.map(|interval| match self.metric.bound {
            Bound::AtLeast => interval.low,
            Bound::AtMost => interval.high,
        })
    }

    fn kept_by(&self, found: f64) -> bool {
        match self.metric.bound {
            Bound::AtLeast => found >= self.value,
            Bound::AtMost => found <= self.value,
        }
    }
}

/// Whether a limit holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitOutcome {
    /// The limit in words, such as "sensitivity at least 0.95".
    pub limit: String,
    /// Cases that the figure rests on.
    pub n: usize,
    #[serde(flatten)]
    pub state: LimitState,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum LimitState {
    Holds {
        found: f64,
    },
    DoesNotHold {
        found: f64,
    },
    /// What cannot be shown is not kept.
    CannotBeComputed {
        why: String,
    },
}

impl LimitOutcome {
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self.state, LimitState::Holds { .. })
    }
}

impl fmt::Display for LimitOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, n, state } = self;
        match state {
            LimitState::Holds { found } => write!(f, "{limit}: holds ({found:.3}, n = {n})"),
            LimitState::DoesNotHold { found } => write!(f, "{limit}: does not hold ({found:.3}, n = {n})"),
            LimitState::CannotBeComputed { why } => write!(f, "{limit}: cannot be computed ({why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::made;
    use crate::validation::summary::summarise;

    fn summary() -> Summary {
        let flagged = (0..19).map(|i| made::judged(&format!("p{i}"), true, 0.9, None));
        let cases: Vec<_> = flagged.chain([made::judged("missed", true, 0.1, None)]).collect();
        summarise(&cases, made::subject())
    }

    fn check(limit: &str) -> LimitOutcome {
        limit.parse::<Limit>().unwrap().check(&summary())
    }

    #[test]
    fn a_limit_holds_on_its_very_value_and_not_above() {
        assert!(check("sensitivity=0.95").holds());
        assert!(!check("sensitivity=0.951").holds());
        assert!(check("not_analysed_share=0").holds());
        assert!(!check("time_to_flag_share=0.99").holds());
    }

    #[test]
    fn the_end_of_the_interval_is_compared_when_asked_for() {
        assert!(check("sensitivity:low=0.76").holds());
        assert!(!check("sensitivity:low=0.77").holds());
        assert!(check("not_analysed_share:high=0.17").holds());
        assert!(!check("not_analysed_share:high=0.16").holds());
    }

    #[test]
    fn what_cannot_be_computed_does_not_hold_and_says_why() {
        for limit in ["auc=0.5", "specificity=0.1", "lesion_dice=0.1", "false_lesions_per_case=9"] {
            let outcome = check(limit);
            assert!(!outcome.holds(), "{limit}");
            assert!(outcome.to_string().contains("cannot be computed"), "{outcome}");
        }
        // All flagged cases were flagged at the same moment.
        assert!(matches!(check("time_to_flag_share:high=1").state, LimitState::CannotBeComputed { .. }));
    }

    #[test]
    fn a_wrong_limit_is_refused_with_what_would_be_right() {
        let refused = |text: &str| text.parse::<Limit>().unwrap_err().to_string();
        assert!(refused("sensitivity").contains("NAME=NUMBER"));
        let names = refused("recall=0.9");
        assert!(METRICS.iter().all(|metric| names.contains(metric.name)), "{names}");
        for number in ["", "high", "1.1", "-0.1", "NaN", "95"] {
            assert!(refused(&format!("auc={number}")).contains("from 0 to 1"), "{number}");
        }
        assert!(refused("false_lesions_per_case=inf").contains("any size"));
        assert!(refused("sensitivity:high=0.9").contains("sensitivity:low"));
        assert!("false_lesions_per_case = 2.5".parse::<Limit>().is_ok());
    }
}
