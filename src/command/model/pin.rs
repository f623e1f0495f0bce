//! `model pin`: the self-test of a package.

use clap::Args;
use tableside::engine::ModelFolders;
use tableside::serving::choice::EngineOptions;

use crate::command::{DONE, Outcome};

#[derive(Args)]
pub struct PinArgs {
    #[arg(value_name = "NAME")]
    name: String,
}

pub fn pin(args: &PinArgs, folders: &ModelFolders, options: &EngineOptions) -> Outcome {
    let package = folders.find(&args.name)?;
    let Some(folder) = package.folder.clone() else {
        return Err("the package in the program cannot be written: name a folder".into());
    };
    let pinned = tableside::parity::pin(&package, options)?;
    package.write_with_self_test(&pinned.manifest_text, &pinned.png, &folder)?;
    eprintln!("{} is pinned: every engine has to pass its self-test", folder.display());
    Ok(DONE)
}
