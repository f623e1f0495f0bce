//! `model shadow-report`: how a shadow model compares with the one that serves.

use clap::Args;
use tableside::config::Config;
use tableside::database::ShadowResults;
use tableside::engine::ModelPackage;
use tableside::validation::shadow_report::{Flip, LeftOut, NamedModel, ShadowReport, shadow_report};

use crate::command::{DONE, Outcome, print_json};

#[derive(Args)]
pub struct ShadowReportArgs {
    /// Refuse a report on fewer exams that both models judged
    #[arg(long, value_name = "N", default_value_t = 100)]
    least: usize,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub fn print_shadow_report(args: &ShadowReportArgs, config: &Config) -> Outcome {
    let results = ShadowResults::open(&config.database())?;
    let package = match &config.shadow.model {
        Some(folder) => Some(ModelPackage::load(folder)?.sha256()),
        None => results.last_package()?,
    };
    let package = package.ok_or("no shadow model has judged an exam: name one as shadow.model in the configuration")?;
    let report = shadow_report(&results.of_package(&package)?, args.least)?;
    if args.json {
        return print_json(&report);
    }
    print(&report);
    Ok(DONE)
}

fn print(report: &ShadowReport) {
    let ShadowReport { agreement, left_out, .. } = report;
    print_model("shadow", &report.shadow);
    println!("{:15}package {}", "", report.package_sha256);
    print_model("production", &report.production);
    println!(
        "{:15}{} judged by both, the shadow's part from {} to {}",
        "exams", agreement.n, report.from, report.until
    );
    let interval = agreement.interval.map_or("none".to_owned(), |i| format!("{:.3} to {:.3}", i.low, i.high));
    let count = agreement.count.unwrap_or_default();
    println!(
        "{:15}{:.3} ({count} of {}), 95 % interval {interval} (Wilson)",
        "agreement", agreement.value, agreement.n
    );
    if let Some(difference) = &report.probability_difference {
        println!(
            "{:15}shadow less production {:+.3} on average; 95 % of them lie at most {:.3} apart",
            "probability", difference.mean, difference.apart_p95
        );
    }
    print_flips("to suspected", &report.to_suspected);
    print_flips("from suspected", &report.from_suspected);
    let LeftOut {
        failed,
        assessed_by_production_alone,
        assessed_by_shadow_alone,
        assessed_by_neither,
        another_production_model,
    } = left_out;
    println!(
        "{:15}{failed} that the shadow could not judge, {another_production_model} under another production model; \
         suspected or not suspected by production alone {assessed_by_production_alone}, by the shadow alone \
         {assessed_by_shadow_alone}, by neither {assessed_by_neither}",
        "left out"
    );
}

fn print_model(label: &str, model: &NamedModel) {
    println!("{label:15}{}, suspected from {}, weights {}", model.model, model.suspected_from, model.weights_sha256);
}

fn print_flips(label: &str, flips: &[Flip]) {
    println!("{label:15}{}", flips.len());
    let probability = |probability: Option<f64>| probability.map_or("none".to_owned(), |p| format!("{p:.3}"));
    for flip in flips {
        println!(
            "{:15}{}  {} -> {}",
            "",
            flip.exam,
            probability(flip.production_probability),
            probability(flip.shadow_probability)
        );
    }
}
