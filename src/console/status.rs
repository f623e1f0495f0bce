//! What the console shows of the daemon.

use schemars::JsonSchema;
use serde::Serialize;

use crate::outbox::DestinationState;
use crate::texts::Phrase;

/// The daemon's own state.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Status {
    pub version: String,
    pub ready: bool,
    pub problems: Vec<String>,
    /// The problems, for whoever reads another language than English.
    pub problem_phrases: Vec<Phrase>,
    /// What whoever looks should know although everything works.
    pub notices: Vec<String>,
    /// Likewise.
    pub notice_phrases: Vec<Phrase>,
    /// Who gets the results, and what of them has not arrived.
    pub destinations: Vec<DestinationState>,
    pub engine: String,
    pub model: String,
    pub ae_title: String,
    pub dicom_address: String,
    pub port: u16,
}
