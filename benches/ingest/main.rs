//! Ingest beside other receivers: how fast, at what cost, and what is lost. Prints Markdown tables; `docs/benchmarks.md`
//! says what they mean.
//!
//! `cargo bench --bench ingest` measures speed; `-- --loss`, `--stalled`, `--hostile N` and `--soak EXAMS` the rest.
//! `benches/ingest/peers.sh` installs the other receivers; those that are absent are left out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on stops")]

mod disk;
mod exam;
mod hostile;
mod http;
mod loss;
mod measure;
mod receivers;
mod sender;
mod soak;
mod speed;
mod stalled;
mod workspace;

use std::path::PathBuf;

use clap::Parser;
use receivers::{OtherBuild, Receiver};
use workspace::Workspace;

#[derive(Parser)]
struct Arguments {
    /// How often each receiver is measured; the tables give medians
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Slices of the series
    #[arg(long, default_value_t = 400)]
    slices: usize,
    /// Numbers of associations that the series is dealt out to
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16])]
    associations: Vec<usize>,
    /// Measure another build of Tableside too
    #[arg(long = "tableside", value_name = "LABEL=PATH")]
    other_builds: Vec<OtherBuild>,
    /// Only receivers whose name contains this; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Where the receivers store [default: the folder for temporary files]
    #[arg(long)]
    folder: Option<PathBuf>,
    /// What is lost when the receiver is killed, and when the power fails
    #[arg(long)]
    loss: bool,
    /// Kills per receiver
    #[arg(long, default_value_t = 5)]
    kills: usize,
    /// Power cuts per receiver; mounting their disk needs root
    #[arg(long, default_value_t = 3)]
    cuts: usize,
    /// What a stalled and a slow association cost a third one
    #[arg(long)]
    stalled: bool,
    /// What N slow or hostile connections cost a scanner at 20 slices/s; only Tableside unless --only says otherwise
    #[arg(long, value_name = "N")]
    hostile: Option<usize>,
    /// Memory and file handles over many small exams; only Tableside unless --only says otherwise
    #[arg(long, value_name = "EXAMS")]
    soak: Option<usize>,
    /// `cargo bench` says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn receivers(&self) -> Vec<Receiver> {
        let mut receivers = receivers::all(&self.other_builds);
        if !self.only.is_empty() {
            receivers.retain(|receiver| self.only.iter().any(|name| receiver.name.contains(name)));
        }
        receivers
    }

    /// Where it is not about speed, each program once.
    fn receivers_once(&self) -> Vec<Receiver> {
        let mut receivers = self.receivers();
        receivers.retain(|receiver| receiver.content == exam::Content::Slices);
        receivers
    }

    fn own_builds(&self) -> Vec<Receiver> {
        let mut receivers = self.receivers_once();
        receivers.retain(|receiver| !self.only.is_empty() || receiver.is_tableside());
        receivers
    }
}

fn main() {
    let arguments = Arguments::parse();
    let workspace = Workspace::new(arguments.folder.as_deref());
    println!("Load average at the start: {}.", measure::load_average());
    if arguments.loss {
        let trials = loss::Trials { kills: arguments.kills, cuts: arguments.cuts };
        loss::run(&trials, &arguments.receivers_once(), arguments.slices, &workspace);
    }
    if arguments.stalled {
        stalled::run(&arguments.receivers_once(), &workspace);
    }
    if let Some(connections) = arguments.hostile {
        hostile::run(connections, &arguments.own_builds(), &workspace);
    }
    if let Some(exams) = arguments.soak {
        soak::run(exams, &arguments.own_builds(), &workspace);
    }
    if !arguments.loss && !arguments.stalled && arguments.hostile.is_none() && arguments.soak.is_none() {
        let plan = speed::Plan {
            rounds: arguments.rounds,
            slices: arguments.slices,
            associations: arguments.associations.clone(),
        };
        speed::run(&plan, &arguments.receivers(), &workspace);
    }
    println!("\nLoad average at the end: {}.", measure::load_average());
}
