//! `model`: what model packages are, whether they run, and how good they are.

mod build;
mod calibrate;
mod cases;
mod check;
mod inspect;
mod list;
mod pin;
mod promote;
mod shadow_report;
mod validate;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tableside::engine::ModelFolders;
use tableside::telemetry::{self, LogFormat};

use super::{Outcome, configuration};

const EXIT_CODES: &str =
    "NAME is a package's: \"reference\" is the one in this program, else the path of a folder with a
model.toml, else a folder of that name in engines/ or /usr/lib/tableside/models (see --models).

Exit codes:
  0  done, and all holds
  1  could not be done, or something does not hold: list: a package is damaged; check: an engine fails or differs;
     shadow-report: too few exams
  2  the command line is wrong
  5  validate: a limit of --require does not hold or cannot be computed

Research use only. Not a medical device.";

#[derive(Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
    /// Look for packages by name in this folder and not in engines/ and /usr/lib/tableside/models
    #[arg(long, value_name = "DIR", global = true)]
    models: Option<PathBuf>,
    /// Configuration file; its [engine] section names the ONNX Runtime's library and the threads, [data] the daemon's folder
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum ModelCommand {
    /// List the packages that are found by name and the engines that can serve them
    #[command(after_help = EXIT_CODES)]
    List(list::ListArgs),
    /// Say what a package is: input, operating point, weights, work, intended use
    #[command(after_help = EXIT_CODES)]
    Inspect(inspect::InspectArgs),
    /// Run a package in every engine on this machine, compare the outputs and take the time
    #[command(after_help = EXIT_CODES)]
    Check(check::CheckArgs),
    /// Build TensorRT's plan of a package for the GPU that is here, so that the daemon need not
    #[command(after_help = EXIT_CODES)]
    Build(build::BuildArgs),
    /// Write what the embedded engine finds in a window into a package: its self-test, that every engine has to pass
    #[command(after_help = EXIT_CODES)]
    Pin(pin::PinArgs),
    /// Run labelled cases and say how well the package does, with intervals, and whether stated limits hold
    #[command(after_help = EXIT_CODES)]
    Validate(validate::ValidateArgs),
    /// Find the thresholds for a false-flag rate on labelled cases and write a package that has them
    #[command(after_help = EXIT_CODES)]
    Calibrate(calibrate::CalibrateArgs),
    /// Copy a package that passes its self-test into the data folder, to serve from the daemon's next start on
    #[command(after_help = EXIT_CODES)]
    Promote(promote::PromoteArgs),
    /// Let the package serve again that served before the last promotion
    #[command(after_help = EXIT_CODES)]
    Rollback,
    /// Say how often the shadow model agrees with the one that serves, and name the exams where it does not
    #[command(after_help = EXIT_CODES)]
    ShadowReport(shadow_report::ShadowReportArgs),
}

pub fn model(args: &ModelArgs) -> Outcome {
    telemetry::log_to_stderr(LogFormat::Text, "error");
    let config = configuration(args.config.as_deref())?;
    let folders = ModelFolders::new(args.models.clone());
    match &args.command {
        ModelCommand::List(args) => list::list(args, &folders, &config.engine),
        ModelCommand::Inspect(args) => inspect::inspect(args, &folders),
        ModelCommand::Check(args) => check::check(args, &folders, &config.engine),
        ModelCommand::Build(args) => build::build(args, &folders, &config.engine),
        ModelCommand::Pin(args) => pin::pin(args, &folders, &config.engine),
        ModelCommand::Validate(args) => validate::validate(args, &folders, &config),
        ModelCommand::Calibrate(args) => calibrate::calibrate(args, &folders, &config),
        ModelCommand::Promote(args) => promote::promote(args, &folders, &config),
        ModelCommand::Rollback => promote::rollback(&config),
        ModelCommand::ShadowReport(args) => shadow_report::print_shadow_report(args, &config),
    }
}
