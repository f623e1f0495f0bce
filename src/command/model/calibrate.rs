//! `model calibrate`: thresholds for a false-flag rate, and a package that has them.

use clap::Args;
use tableside::config::Config;
use tableside::engine::ModelFolders;
use tableside::validation::calibration::{self, Calibration, needed_negatives};
use tableside::validation::with_operating_point;

use super::cases::CaseArgs;
use crate::command::{DONE, Outcome};

#[derive(Args)]
pub struct CalibrateArgs {
    /// "reference" for the package in the program, else the folder of one
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    cases: CaseArgs,
    /// The largest share of negative exams that each threshold may flag
    #[arg(long, value_name = "SHARE", value_parser = share)]
    false_flag_rate: f64,
}

fn share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    share.filter(|share| *share > 0.0 && *share < 1.0).ok_or_else(|| "expected a share between 0 and 1".to_owned())
}

pub fn calibrate(args: &CalibrateArgs, folders: &ModelFolders, config: &Config) -> Outcome {
    let package = folders.find(&args.name)?;
    let listed = args.cases.listed()?;
    let rate = args.false_flag_rate;
    let negatives = listed.iter().filter(|case| !case.positive && case.fault.is_none()).count();
    let needed = needed_negatives(rate);
    if negatives < needed {
        return Err(format!(
            "{negatives} negative cases are listed; a false-flag rate of {rate} needs at least {needed}: \
             add negative cases or allow a higher rate"
        )
        .into());
    }
    let run = args.cases.observe(&listed, &package, config)?;
    let calibration = calibration::calibrate(&run.results, rate)?;
    let note = format!(
        "Calibrated with Tableside {} on {} for a false-flag rate of {rate}. Of {}",
        env!("CARGO_PKG_VERSION"),
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        calibration.guarantee().trim_start_matches("of ")
    );
    let folder = args.cases.out.join(&package.manifest.name);
    package.write_with(&with_operating_point(&package.manifest_text, &calibration, &note)?, &folder)?;
    print(&calibration);
    eprintln!("wrote the package {}: name it as model in the configuration's [engine] section", folder.display());
    Ok(DONE)
}

fn print(calibration: &Calibration) {
    let Calibration { suspected, early, negatives, never_early, negatives_not_analysed, failed, .. } = calibration;
    println!("suspected from {suspected}, flagged early from {early}");
    println!("n = {negatives} negative cases, {never_early} of them never showed enough lung for an early flag");
    println!(
        "left out: {negatives_not_analysed} negative cases that were not analysed, {failed} that could not be run"
    );
    let positives = [("suspected", calibration.sensitivity), ("flagged early", calibration.early_sensitivity)];
    for (name, sensitivity) in positives {
        if let Some(found) = sensitivity {
            println!("positive cases {name}: {:.3} of {}", found.value, found.n);
        }
    }
    println!("{}", calibration.guarantee());
}
