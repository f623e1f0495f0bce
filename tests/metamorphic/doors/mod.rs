//! The ways to an answer that people have: a folder, a scanner, a list of labelled cases.

pub mod network;
pub mod triage;
pub mod validate;

/// The engine that is fastest here serves everywhere.
pub const ENGINE: &str = "auto";
