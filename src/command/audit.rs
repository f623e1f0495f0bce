//! `audit verify`: whether the audit trail is what was written. The daemon may be running.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use tableside::audit::{self, Event, Head, Outcome as Ended, Verified, person_at_shell};

use super::{DONE, EXIT_CODES, Outcome, configuration, tell_audit};

#[derive(Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Say which record was changed, dropped, moved or cut off, if one was
    #[command(after_help = EXIT_CODES)]
    Verify(VerifyArgs),
}

#[derive(Args)]
struct VerifyArgs {
    /// The trail's folder, or a copy of it; without it the one of the configuration
    folder: Option<PathBuf>,
    /// Configuration file; it says where the daemon keeps its trail
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A head that was kept elsewhere, as the log has it behind "audit head"; may be given several times
    #[arg(long = "head", value_name = "NUMBER:HASH")]
    heads: Vec<Head>,
    /// A file with the daemon's log, of which all heads are taken; `-` for standard input
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

pub fn audit(args: &AuditArgs) -> Outcome {
    let AuditCommand::Verify(args) = &args.command;
    let config = configuration(args.config.as_deref())?;
    let folder = args.folder.clone().unwrap_or_else(|| audit::folder(&config.data));
    let mut heads = args.heads.clone();
    if let Some(journal) = &args.journal {
        let text = log(journal).map_err(|error| format!("{}: {error}", journal.display()))?;
        heads.extend(Head::of_log(&text));
    }
    let verified = audit::verify(&folder, &heads);
    // Of a copy elsewhere the daemon is not told.
    if args.folder.is_none() {
        let outcome = verified.as_ref().map_or_else(|fault| Ended::Failed(fault.to_string()), |_| Ended::Done);
        if let Err(error) = tell_audit(&config, Event::TrailVerified { who: person_at_shell(), outcome }) {
            eprintln!("{error}");
        }
    }
    println!("{}", told(&verified?));
    Ok(DONE)
}

fn log(file: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = fs::read(file)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn told(verified: &Verified) -> String {
    let Verified { first, previous, head, heads, removed_heads, unfinished } = verified;
    let whole = format!("records {first} to {} are as they were written\nhead {head}", head.sequence);
    let before = (*first > 1).then(|| {
        let before = Head { sequence: first - 1, hash: *previous };
        format!("the records before {first} were removed for their age; the first one follows {before}")
    });
    let elsewhere = match (heads, removed_heads) {
        (0, _) => "no head that was kept elsewhere: records that were cut off at the end would not be missed (--journal, --head)"
            .to_owned(),
        (heads, 0) => format!("{heads} heads that were kept elsewhere are in it"),
        (heads, gone) => format!("{heads} heads that were kept elsewhere are in it; {gone} are of removed records"),
    };
    let unfinished = (*unfinished > 0).then(|| {
        format!("{unfinished} bytes at the end are no whole record: it is being written, or the daemon ended meanwhile")
    });
    let lines: Vec<String> = [Some(whole), before, Some(elsewhere), unfinished].into_iter().flatten().collect();
    lines.join("\n")
}
