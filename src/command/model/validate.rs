//! `model validate`: how well a package does on labelled cases, and whether that is well enough.

use clap::Args;
use tableside::config::Config;
use tableside::engine::ModelFolders;
use tableside::engine::ModelPackage;
use tableside::validation::ValidationRun;
use tableside::validation::files::write_all;
use tableside::validation::limits::{Limit, LimitOutcome};
use tableside::validation::summary::{Counts, Figure, Figures, Subject, summarise};

use super::cases::CaseArgs;
use crate::command::{DONE, LIMIT_NOT_KEPT, Outcome};

#[derive(Args)]
pub struct ValidateArgs {
    /// "reference" for the package in the program, else the folder of one
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    cases: CaseArgs,
    /// A limit, such as sensitivity=0.95 or sensitivity:low=0.9 (the interval's lower end); may be given several times
    #[arg(long, value_name = "METRIC=VALUE")]
    require: Vec<Limit>,
}

pub fn validate(args: &ValidateArgs, folders: &ModelFolders, config: &Config) -> Outcome {
    let package = folders.find(&args.name)?;
    let run = args.cases.observe(&args.cases.listed()?, &package, config)?;
    let summary = summarise(&run.results, subject(&package, &run, args.cases.rate));
    let limits: Vec<LimitOutcome> = args.require.iter().map(|limit| limit.check(&summary)).collect();
    let files = write_all(&args.cases.out, &summary, &run.results, &limits)?;
    print(&summary.overall);
    for limit in &limits {
        println!("{limit}");
    }
    for file in files {
        eprintln!("wrote {}", file.display());
    }
    Ok(if limits.iter().all(LimitOutcome::holds) { DONE } else { LIMIT_NOT_KEPT })
}

fn subject(package: &ModelPackage, run: &ValidationRun, rate: f64) -> Subject {
    let manifest = &package.manifest;
    let point = &manifest.operating_point;
    Subject {
        model: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: manifest.sha256.clone(),
        intended_use: manifest.intended_use.clone(),
        engine: run.engine.to_owned(),
        suspected: point.suspected,
        early: point.early,
        early_min_lung_mm: point.early_min_lung_mm,
        slices_per_second: rate,
        at: jiff::Timestamp::now(),
    }
}

fn print(figures: &Figures) {
    let Counts { positives, negatives, .. } = figures.counts;
    println!("{positives} positive and {negatives} negative cases could be run");
    let lines = [("sensitivity", &figures.sensitivity), ("specificity", &figures.specificity), ("AUC", &figures.auc)];
    for (name, figure) in lines {
        println!("{name:12} {}", in_words(figure));
    }
}

fn in_words(figure: &Figure) -> String {
    match figure {
        Figure::Absent { absent } => format!("cannot be computed: {absent}"),
        Figure::Known(estimate) => {
            let interval = estimate.interval.map_or("none".to_owned(), |i| format!("{:.3} to {:.3}", i.low, i.high));
            format!("{:.3}, 95 % interval {interval}, n = {}", estimate.value, estimate.n)
        }
    }
}
