//! `check-config`: a configuration's errors, all at once.

use std::path::PathBuf;

use clap::Args;

use super::{DONE, Outcome, configuration};

#[derive(Args)]
pub struct CheckConfigArgs {
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn check_config(args: &CheckConfigArgs) -> Outcome {
    configuration(Some(&args.file))?;
    println!("{}: valid", args.file.display());
    Ok(DONE)
}
