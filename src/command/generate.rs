//! `generate`: what a package holds beside the program: man pages, and completions for shells.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate_to};

use super::{DONE, Outcome};

#[derive(Args)]
pub struct GenerateArgs {
    /// Folder that gets man/ and completions/
    folder: PathBuf,
}

/// Writes them for the command line `C`.
pub fn generate<C: CommandFactory>(args: &GenerateArgs) -> Outcome {
    let [man, completions] = ["man", "completions"].map(|name| args.folder.join(name));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(C::command(), man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut C::command(), "tableside", &completions)?;
    }
    Ok(DONE)
}
