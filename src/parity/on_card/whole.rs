//! Exams from files to reports over the card's thread, as the daemon takes them, and over the CPU.

use std::path::Path;
use std::time::{Duration, Instant};

use super::table::Report;
use super::{Holds, PROBABILITY_TOLERANCE, SLABS, on_cpu};
use crate::config::Config;
use crate::engine::{Engine as _, ModelPackage};
use crate::gpu::{AcceleratorNetwork, AcceleratorThread, Failure};
use crate::inference::{Accelerator, accelerator_test};
use crate::offline::triage_by;
use crate::serving::Serving;
use crate::triage::CaseReport;

pub(super) fn measure(
    report: &mut Report<'_>,
    network: AcceleratorNetwork,
    package: &ModelPackage,
    config: &Config,
    folder: &Path,
) -> Result<(), Failure> {
    let mut card = AcceleratorThread::open(network, package, SLABS)?;
    accelerator_test(&mut card, package)?;
    let name = card.name();
    let on_card = triage(Some(Box::new(card)), package, config, folder)?;
    let on_cpu = triage(None, package, config, folder)?;
    if on_card.reports.len() != on_cpu.reports.len() {
        return Err(format!("{} exams over the card, {} without", on_card.reports.len(), on_cpu.reports.len()).into());
    }
    for (card, cpu) in on_card.reports.iter().zip(&on_cpu.reports) {
        let apart = match (card.score, cpu.score) {
            (Some(card), Some(cpu)) => (card - cpu).abs(),
            (None, None) => 0.0,
            _ => f64::INFINITY,
        };
        let holds = card.verdict == cpu.verdict && apart <= PROBABILITY_TOLERANCE && on_card.gpu_failure.is_none();
        let found = format!(
            "{} in {:.2} s, CPU {} in {:.2} s: {apart:.1e} apart; GPU failure: {}",
            card.verdict.as_str(),
            on_card.took.as_secs_f64(),
            cpu.verdict.as_str(),
            on_cpu.took.as_secs_f64(),
            on_card.gpu_failure.as_deref().unwrap_or("none"),
        );
        let goal = format!("same verdict, within {PROBABILITY_TOLERANCE}, no failure");
        report.row(&format!("{name}: {} from files to report", folder.display()), &found, &goal, Holds::from(holds));
    }
    Ok(())
}

struct Triaged {
    reports: Vec<CaseReport>,
    took: Duration,
    gpu_failure: Option<String>,
}

fn triage(
    card: Option<Box<dyn Accelerator>>,
    package: &ModelPackage,
    config: &Config,
    folder: &Path,
) -> Result<Triaged, Failure> {
    let serving = Serving::new(package, card, None, on_cpu(config, package)?)?;
    let state = serving.state().clone();
    let started = Instant::now();
    let reports = triage_by(serving, package, folder, config)?.reports;
    Ok(Triaged { reports, took: started.elapsed(), gpu_failure: state.gpu_failure() })
}
