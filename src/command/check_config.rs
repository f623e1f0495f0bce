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
    let config = configuration(Some(&args.file))?;
    println!("{}: valid", args.file.display());
    // Whoever checks a file for another machine, or as another user, cannot see what was promoted there.
    match config.model_source() {
        Ok(source) => println!("model package: {source}"),
        Err(error) => println!("model package: cannot be told here: {error}"),
    }
    if let Some(folder) = &config.shadow.model {
        println!("shadow model: {}", folder.display());
    }
    Ok(DONE)
}
