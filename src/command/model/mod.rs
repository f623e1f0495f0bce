//! `model`: model packages, what they are and what they are worth.

mod calibrate;
mod cases;
mod validate;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tableside::engine::{ModelPackage, PackageError};
use tableside::telemetry::{self, LogFormat};

use super::{EXIT_CODES, Outcome, configuration};

#[derive(Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
    /// Configuration file; its [engine] section names the ONNX Runtime's library and the threads
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum ModelCommand {
    /// Run labelled cases and say how well the package does, with intervals, and whether stated limits hold
    #[command(after_help = EXIT_CODES)]
    Validate(validate::ValidateArgs),
    /// Find the thresholds for a false-flag rate on labelled cases and write a package that has them
    #[command(after_help = EXIT_CODES)]
    Calibrate(calibrate::CalibrateArgs),
}

pub fn model(args: &ModelArgs) -> Outcome {
    telemetry::log_to_stderr(LogFormat::Text, "error");
    let config = configuration(args.config.as_deref())?;
    match &args.command {
        ModelCommand::Validate(args) => validate::validate(args, &config),
        ModelCommand::Calibrate(args) => calibrate::calibrate(args, &config),
    }
}

/// `reference` is the package in the program, all else a folder.
fn find(name: &str) -> Result<ModelPackage, PackageError> {
    if name == "reference" { ModelPackage::built_in() } else { ModelPackage::load(name.as_ref()) }
}
