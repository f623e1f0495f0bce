//! `backup` and `restore`: the database, which has verdicts, flags and what is to be delivered. Images are the archive's.

use std::path::PathBuf;

use clap::Args;
use tableside::audit::{Event, ExportKind, person_at_shell};
use tableside::{database, spool};

use super::{DONE, Outcome, configuration, tell_audit};

#[derive(Args)]
pub struct BackupArgs {
    /// The copy, a file that is not there yet
    file: PathBuf,
    /// Configuration file; it says where the daemon keeps its database
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
pub struct RestoreArgs {
    /// The copy
    file: PathBuf,
    /// Configuration file; it says where the daemon keeps its database
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn backup(args: &BackupArgs) -> Outcome {
    let config = configuration(args.config.as_deref())?;
    database::backup(&config.database(), &args.file)?;
    println!("{} is a copy of {}", args.file.display(), config.database().display());
    let (kind, file) = (ExportKind::Backup, args.file.display().to_string());
    tell_audit(&config, Event::Exported { who: person_at_shell(), kind, file, subject: None })?;
    Ok(DONE)
}

pub fn restore(args: &RestoreArgs) -> Outcome {
    let config = configuration(args.config.as_deref())?;
    let _lock = spool::lock(&config.data.join("spool"))?;
    let kept = database::restore(&args.file, &config.database())?;
    println!("{} is in the place of {}", args.file.display(), config.database().display());
    if let Some(kept) = kept {
        println!("what was there is {}", kept.display());
    }
    tell_audit(&config, Event::Restored { who: person_at_shell(), file: args.file.display().to_string() })?;
    Ok(DONE)
}
