//! Why an issue that looks like a fault of the scan may be one of what became of its images. A rescan is radiation: where
//! there is such a doubt the images are sent again or looked at first.

use serde::{Deserialize, Serialize};

use super::quality::Remedy;

/// What may be at fault instead of the scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Doubt {
    /// Slices of the exam were refused, or cannot be analysed: the missing lung may lie on them.
    SlicesLost { count: usize },
    /// Fewer images came than Images in Acquisition announces.
    Announced { came: usize, announced: usize },
    /// The images' numbers begin later than at 1.
    NumbersBeginAt { number: i32 },
    /// The sender has not hung up: more may come.
    StillSending,
    /// Another series of the exam goes further.
    SeriesGoesFurther { series_instance_uid: String },
    /// Slices are missing, double or unevenly spaced where it shows.
    Positions,
    /// The slices on either side were not acquired, reconstructed or framed alike.
    Mixed,
    /// It may be no lung: gas, air outside the body, or a mask that is wrong.
    MaybeNoLung,
}

impl Doubt {
    /// What to do first.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::SlicesLost { .. } | Self::Announced { .. } | Self::NumbersBeginAt { .. } | Self::Positions => {
                Remedy::SendAgain
            }
            Self::StillSending | Self::SeriesGoesFurther { .. } | Self::Mixed | Self::MaybeNoLung => {
                Remedy::CheckSeries
            }
        }
    }
}
