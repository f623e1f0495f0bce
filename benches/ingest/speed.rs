//! Side by side and in turns: slices per second, time of one store, processor time and memory.

use std::path::PathBuf;
use std::time::Duration;

use tableside::scanner::{Quantiles, series};

use crate::exam::Exam;
use crate::measure::{Usage, Watch, median};
use crate::receivers::Receiver;
use crate::sender::{self, Ledger};
use crate::workspace::Workspace;

/// How many `storescu` are started at a time.
const STORESCU: [usize; 2] = [1, 4];
/// They get one slice in so many: with some receivers they take 44 ms for each.
const STORESCU_SHARE: usize = 2;

/// A run that takes longer ends then and is measured on the slices that were stored until then.
const LONGEST_RUN: Duration = Duration::from_secs(3);

/// What is measured.
pub struct Plan {
    pub rounds: usize,
    pub slices: usize,
    pub associations: Vec<usize>,
}

/// One line of a table: a receiver, a sender, and what was measured in each round.
struct Line<'a> {
    receiver: &'a Receiver,
    associations: usize,
    runs: Vec<Run>,
}

/// What was measured in one round.
struct Run {
    slices: f64,
    took: Duration,
    /// Times of one store; zero where the sender does not tell them.
    stores: Quantiles,
    usage: Usage,
}

pub fn run(plan: &Plan, receivers: &[Receiver], workspace: &Workspace) {
    let exam = Exam::chest(plan.slices);
    let mut own = lines(receivers, &plan.associations);
    let mut storescu = lines(receivers, &STORESCU);
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        for line in &mut own {
            line.add(with_own_sender(line.receiver, line.associations, &exam, workspace));
        }
        for line in &mut storescu {
            line.add(with_storescu(line.receiver, line.associations, &exam, workspace));
        }
    }
    println!("\n### Pre-encoded sender, {} slices, medians of {} rounds\n", plan.slices, plan.rounds);
    println!("| associations | receiver | slices/s | p50 ms | p99 ms | CPU ms a slice | peak MB |");
    println!("|---|---|---|---|---|---|---|");
    for line in &own {
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            line.associations,
            line.receiver.name,
            line.median(0, Run::per_second),
            line.median(1, |run| run.stores.p50),
            line.median(1, |run| run.stores.p99),
            line.median(2, Run::cpu_ms_per_slice),
            line.median(0, |run| run.usage.peak_mb),
        );
    }
    println!("\n### Unmodified storescu, {} slices, medians of {} rounds\n", plan.slices / STORESCU_SHARE, plan.rounds);
    println!("| storescu at a time | receiver | slices/s | CPU ms a slice |");
    println!("|---|---|---|---|");
    for line in &storescu {
        println!(
            "| {} | {} | {} | {} |",
            line.associations,
            line.receiver.name,
            line.median(0, Run::per_second),
            line.median(2, Run::cpu_ms_per_slice),
        );
    }
}

fn lines<'a>(receivers: &'a [Receiver], associations: &[usize]) -> Vec<Line<'a>> {
    let line = |associations| receivers.iter().map(move |receiver| Line { receiver, associations, runs: Vec::new() });
    associations.iter().copied().flat_map(line).collect()
}

impl Run {
    fn per_second(&self) -> f64 {
        self.slices / self.took.as_secs_f64()
    }

    fn cpu_ms_per_slice(&self) -> f64 {
        self.usage.cpu.as_secs_f64() * 1e3 / self.slices
    }
}

impl Line<'_> {
    fn add(&mut self, run: Result<Run, String>) {
        match run {
            Ok(run) => {
                eprintln!("  {} x {}: {:.0} slices/s", self.associations, self.receiver.name, run.per_second());
                self.runs.push(run);
            }
            Err(reason) => println!("{} x {}: {reason}", self.associations, self.receiver.name),
        }
    }

    fn median(&self, decimals: usize, figure: impl Fn(&Run) -> f64) -> String {
        let value = median(self.runs.iter().map(figure));
        value.map_or("failed".to_owned(), |value| format!("{value:.decimals$}"))
    }
}

fn with_own_sender(
    receiver: &Receiver,
    associations: usize,
    exam: &Exam,
    workspace: &Workspace,
) -> Result<Run, String> {
    let folder = workspace.fresh("receiver");
    let instances = exam.fresh(receiver.content);
    let running = receiver.start(&folder)?;
    let messages = sender::encode(&instances, running.max_pdu);
    let watch = Watch::begin(running.id());
    let sent = sender::send(running.address, &messages, associations, LONGEST_RUN, &Ledger::default());
    let usage = watch.end();
    if !sent.failures.is_empty() {
        return Err(format!("only {} of {} stored: {:?}", sent.stores.len(), messages.len(), sent.failures));
    }
    Ok(Run { slices: sent.stores.len() as f64, took: sent.took, stores: Quantiles::of(sent.stores), usage })
}

fn with_storescu(receiver: &Receiver, processes: usize, exam: &Exam, workspace: &Workspace) -> Result<Run, String> {
    let mut instances = exam.fresh(receiver.content);
    instances.truncate(instances.len() / STORESCU_SHARE);
    let sending = workspace.fresh("sender");
    let folders: Vec<PathBuf> = (0..processes).map(|process| sending.join(process.to_string())).collect();
    for folder in &folders {
        std::fs::create_dir(folder).unwrap();
    }
    for (index, instance) in instances.iter().enumerate() {
        series::write_file(instance, &folders[index % processes].join(format!("{index:04}.dcm"))).unwrap();
    }
    // Making this folder also lets the disk write the files that are to be sent.
    let folder = workspace.fresh("receiver");
    let running = receiver.start(&folder)?;
    let watch = Watch::begin(running.id());
    let took = sender::storescu(running.address, &folders)?;
    Ok(Run { slices: instances.len() as f64, took, stores: Quantiles::default(), usage: watch.end() })
}
