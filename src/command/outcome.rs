//! `outcome`: what became of verdicts, as labelled cases for `model validate` and `model calibrate`. The daemon may be running.

use std::fs::File;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use tableside::alert::CaseOutcome;
use tableside::audit::{Event, ExportKind, person_at_shell};
use tableside::config::Config;
use tableside::database::last_outcomes;
use tableside::exam::ExamKey;
use tableside::spool::exam_folder;
use tableside::validation::cases::{self, LabelledCase};

use super::{DONE, Outcome, configuration, tell_audit};

#[derive(Args)]
pub struct OutcomeArgs {
    #[command(subcommand)]
    command: OutcomeCommand,
}

#[derive(Subcommand)]
enum OutcomeCommand {
    /// Write the exams with a clear outcome as a list of cases; it names no patient
    Export {
        /// The list, a CSV file; one that is there is replaced
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Configuration file; it says where the daemon keeps database and images
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

pub fn outcome(args: &OutcomeArgs) -> Outcome {
    let OutcomeCommand::Export { out, config } = &args.command;
    let config = configuration(config.as_deref())?;
    let Sorted { cases, unclear, removed } = sorted(&config, last_outcomes(&config.database())?)?;
    if unclear > 0 {
        eprintln!("exams left out because their outcome is unclear: {unclear}");
    }
    if removed > 0 {
        eprintln!("exams left out because their images have been removed (data.keep_days): {removed}");
    }
    if cases.is_empty() {
        return Err("no exam has a clear outcome and its images: record outcomes in the console first".into());
    }
    File::create(out)
        .and_then(|file| cases::write(file, &cases))
        .map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    println!("exams in {}: {}", out.display(), cases.len());
    let (kind, file) = (ExportKind::Cases, out.display().to_string());
    tell_audit(&config, Event::Exported { who: person_at_shell(), kind, file, subject: None })?;
    Ok(DONE)
}

/// What can be a case, and how much cannot.
#[derive(Default)]
struct Sorted {
    cases: Vec<LabelledCase>,
    unclear: usize,
    removed: usize,
}

fn sorted(config: &Config, outcomes: Vec<(ExamKey, CaseOutcome)>) -> std::io::Result<Sorted> {
    let spool = std::path::absolute(config.data.join("spool"))?;
    let mut sorted = Sorted::default();
    for (exam, outcome) in outcomes {
        let folder = exam_folder(&spool, &exam);
        match outcome.is_positive() {
            None => sorted.unclear += 1,
            Some(_) if !folder.is_dir() => sorted.removed += 1,
            Some(positive) => sorted.cases.push(LabelledCase { name: exam.to_string(), folder, positive }),
        }
    }
    Ok(sorted)
}
