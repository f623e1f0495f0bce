//! The real daemon and paced scanners: from the last slice to the verdict on the event stream, when a positive exam is flagged,
//! and what an exam costs. Prints one table a scenario; `docs/latency.md` says what is measured and has the figures.
//!
//! `cargo bench --bench latency -- --help`

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on stops")]

mod daemon;
mod destinations;
#[path = "../ingest/measure.rs"]
#[allow(dead_code, reason = "each benchmark uses a part of it")]
mod measure;
mod soak;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use tableside::dicom::{Target, UidSource};
use tableside::scanner::{
    self, Instance, Phantom, PhantomKind, PhantomOptions, Quantiles, ScanOptions, SendOptions, Source,
};

use daemon::{Daemon, Seen};
use destinations::Destinations;

#[derive(Parser)]
struct Arguments {
    /// Folder of DICOM files; without it the synthetic patient with pneumonia is sent
    #[arg(long)]
    series: Option<PathBuf>,
    /// Slices of the synthetic patient, from apex to base whatever their number
    #[arg(long, value_delimiter = ',', default_value = "150")]
    slices: Vec<usize>,
    /// Slices per second of each scanner
    #[arg(long, value_delimiter = ',', default_value = "20")]
    rates: Vec<f64>,
    /// Scanners that scan at the same time
    #[arg(long, value_delimiter = ',', default_value = "1")]
    scanners: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "embedded,onnxruntime")]
    engines: Vec<String>,
    #[arg(long, value_enum, value_delimiter = ',', default_value = "streaming,batch")]
    modes: Vec<Mode>,
    /// Exams of each scanner
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Measure each row also with an archive and a webhook that get all results (needs Orthanc)
    #[arg(long)]
    destinations: bool,
    /// Send so many exams of 20 slices through one daemon that delivers everything, one in ten of an ill patient, and show how memory,
    /// handles and times go, instead of all else (needs Orthanc)
    #[arg(long, value_name = "EXAMS")]
    soak: Option<usize>,
    /// With --soak: what more the daemon's configuration says
    #[arg(long, value_name = "TOML", default_value = "")]
    config: String,
    /// `cargo bench` says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// How the daemon is told to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// As it comes.
    Streaming,
    /// Analyses an exam when it is over.
    Batch,
    /// The same; over is an exam when nothing has come for 5 seconds.
    #[value(name = "batch-5s")]
    BatchAfter5s,
    /// When nothing has come for 60 seconds.
    #[value(name = "batch-60s")]
    BatchAfter60s,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Streaming => "streaming",
            Self::Batch => "batch",
            Self::BatchAfter5s => "batch, 5 s",
            Self::BatchAfter60s => "batch, 60 s",
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Streaming => "",
            Self::Batch => "[analysis]\nmode = \"batch\"\n",
            Self::BatchAfter5s => {
                "[analysis]\nmode = \"batch\"\n[completion]\nquiet_s = 5.0\nleast_quiet_s = 5.0\nrelease_grace_ms = 5000\n"
            }
            Self::BatchAfter60s => {
                "[analysis]\nmode = \"batch\"\n[completion]\nquiet_s = 60.0\nleast_quiet_s = 60.0\nrelease_grace_ms = 60000\n"
            }
        }
    }
}

/// What one exam took.
struct Exam {
    slices: usize,
    /// From the first byte of the last slice to the verdict that knows of all slices; 0 where it was there before.
    to_verdict: Duration,
    verdict: String,
    /// Share of the slices that had been sent when the early flag came.
    flagged_after: Option<f64>,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(exams) = arguments.soak {
        let [healthy, ill] = [PhantomKind::Normal, PhantomKind::Pneumonia].map(|kind| phantom(kind, 20));
        return soak::run(exams, [&healthy, &ill], &arguments.engines[0], &arguments.config);
    }
    let slices = if arguments.series.is_some() { &[0][..] } else { &arguments.slices };
    let destinations = arguments.destinations.then(Destinations::start);
    let mut delivered = Vec::new();
    println!("load before: {}\n", measure::load_average());
    println!(
        "| engine | mode | slices | slices/s | scanners | exams | verdict after the last slice, ms: p50 / p99 / worst | \
         flagged early | after % of the slices, median | CPU ms a slice | peak MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for slices in slices {
        let recorded = recorded(&arguments, *slices);
        for rate in &arguments.rates {
            for scanners in &arguments.scanners {
                delivered.extend(compare(&arguments, &recorded, destinations.as_ref(), *rate, *scanners));
            }
        }
    }
    if !delivered.is_empty() {
        println!(
            "\n| engine | mode | slices | exams | objects | MB an exam | verdict until the archive has the last object, s: \
             p50 / p99 / worst | flag to webhook accepted, ms: p50 / p99 / worst |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for row in delivered {
            println!("{row}");
        }
    }
}

/// The exam that is sent again and again under new names.
fn recorded(arguments: &Arguments, slices: usize) -> Vec<Instance> {
    if let Some(folder) = &arguments.series {
        return scanner::instances(&Source::Folder(folder.clone()), &ScanOptions::default()).unwrap();
    }
    phantom(PhantomKind::Pneumonia, slices)
}

fn phantom(kind: PhantomKind, slices: usize) -> Vec<Instance> {
    let usual = PhantomOptions::default();
    let spacing_mm = usual.spacing_mm * usual.slices as f32 / slices as f32;
    Phantom::new(kind, PhantomOptions { slices, spacing_mm, ..usual }).instances(UidSource::fresh()).unwrap()
}

/// One daemon's row of a table.
struct Row<'a> {
    engine: &'a str,
    mode: Mode,
    /// Where results go, where they go anywhere.
    destinations: Option<&'a Destinations>,
    daemon: Daemon,
    cpu: Duration,
    exams: Vec<Exam>,
}

/// All engines and modes in turns. Answers what was delivered, as rows of another table.
fn compare(
    arguments: &Arguments,
    recorded: &[Instance],
    destinations: Option<&Destinations>,
    rate: f64,
    scanners: usize,
) -> Vec<String> {
    let mut rows = Vec::new();
    for engine in &arguments.engines {
        for mode in arguments.modes.iter().copied() {
            for destinations in [None, destinations].into_iter().take(1 + usize::from(arguments.destinations)) {
                let config = destinations.map_or_else(String::new, Destinations::config);
                let daemon = Daemon::start(engine, &format!("{}{config}", mode.config()));
                rows.push(Row { engine, mode, destinations, daemon, cpu: Duration::ZERO, exams: Vec::new() });
            }
        }
    }
    for _ in 0..arguments.runs {
        for row in &mut rows {
            let watch = measure::Watch::begin(row.daemon.process());
            row.exams.extend(scan(&row.daemon, recorded, rate, scanners));
            // What is still on its way is this exam's, not the next daemon's.
            if row.destinations.is_some() {
                row.daemon.archived(row.exams.len());
            }
            row.cpu += watch.end().cpu;
        }
    }
    for Row { engine, mode, destinations, daemon, cpu, exams } in &rows {
        let delays = Quantiles::of(exams.iter().map(|exam: &Exam| exam.to_verdict).collect());
        let flagged: Vec<f64> = exams.iter().filter_map(|exam| exam.flagged_after).collect();
        let share =
            measure::median(flagged.iter().copied()).map_or("-".to_owned(), |share| format!("{:.0}", share * 100.0));
        let slices: usize = exams.iter().map(|exam| exam.slices).sum();
        let verdicts: std::collections::BTreeSet<&str> = exams.iter().map(|exam| exam.verdict.as_str()).collect();
        assert_eq!(verdicts.len(), 1, "the verdicts of one exam differ: {verdicts:?}");
        let with = if destinations.is_some() { ", delivering" } else { "" };
        println!(
            "| {engine} | {}{with} | {} | {rate} | {scanners} | {} | {:.0} / {:.0} / {:.0} | {} of {} | {share} | {:.1} | {:.0} |",
            mode.name(),
            recorded.len(),
            exams.len(),
            delays.p50,
            delays.p99,
            delays.max,
            flagged.len(),
            exams.len(),
            cpu.as_secs_f64() * 1000.0 / slices as f64,
            measure::memory_mb(daemon.process(), "VmHWM").unwrap_or(0.0),
        );
    }
    let slices = recorded.len();
    rows.iter().filter_map(|row| Some(delivery_row(row, row.destinations?, slices))).collect()
}

fn delivery_row(row: &Row<'_>, destinations: &Destinations, slices: usize) -> String {
    let Row { engine, mode, daemon, exams, .. } = row;
    let archived = daemon.archived(exams.len());
    let of_exam = |total: u64| total as f64 / archived.len() as f64;
    let exams: Vec<String> = archived.iter().map(|exam| exam.exam.clone()).collect();
    let stored = Quantiles::of(archived.iter().map(|exam| exam.after_verdict).collect());
    let told = Quantiles::of(destinations.flag_to_webhook(&exams));
    format!(
        "| {engine} | {} | {slices} | {} | {:.0} | {:.0} | {:.2} / {:.2} / {:.2} | {:.0} / {:.0} / {:.0} |",
        mode.name(),
        archived.len(),
        of_exam(archived.iter().map(|exam| exam.objects as u64).sum()),
        of_exam(archived.iter().map(|exam| exam.bytes).sum()) / 1e6,
        stored.p50 / 1000.0,
        stored.p99 / 1000.0,
        stored.max / 1000.0,
        told.p50,
        told.p99,
        told.max,
    )
}

/// One exam of each scanner, at the same time.
fn scan(daemon: &Daemon, recorded: &[Instance], rate: f64, scanners: usize) -> Vec<Exam> {
    let exams: Vec<Vec<Instance>> =
        (0..scanners).map(|_| scanner::new_uids(recorded, &mut UidSource::fresh()).unwrap()).collect();
    let events = daemon.events();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sent: Vec<Sent> = runtime.block_on(async {
        let mut scans = tokio::task::JoinSet::new();
        for (number, exam) in exams.into_iter().enumerate() {
            let options = SendOptions { rate, calling_ae: format!("CT{number}"), ..SendOptions::default() };
            let target = daemon.target();
            scans.spawn(async move { send(target, exam, options).await });
        }
        scans.join_all().await
    });
    let mut seen: Vec<Seen> = Vec::new();
    let is_final = |seen: &[Seen], sent: &Sent| {
        seen.iter().rev().any(|event| event.exam == sent.key && event.verdict.is_some() && event.slices == sent.slices)
    };
    while !sent.iter().all(|sent| is_final(&seen, sent)) {
        seen.push(events.recv_timeout(Duration::from_mins(3)).expect("a verdict within three minutes"));
    }
    sent.iter().map(|sent| exam(sent, &seen)).collect()
}

/// What a scanner sent, and when.
struct Sent {
    key: String,
    slices: usize,
    /// When each slice began to be written, ascending.
    began: Vec<Instant>,
}

async fn send(target: Target, instances: Vec<Instance>, options: SendOptions) -> Sent {
    let mut began = Vec::new();
    let report = scanner::send(&target, &instances, &options, |step| {
        began.extend(step.answered_at.zip(step.latency).and_then(|(answered, latency)| answered.checked_sub(latency)));
    });
    let report = report.await.unwrap();
    assert!(report.complete(), "{:?}", report.failures);
    began.sort_unstable();
    let last = instances.last().unwrap();
    Sent { key: last.exam_key().unwrap().to_string(), slices: instances.len(), began }
}

fn exam(sent: &Sent, seen: &[Seen]) -> Exam {
    let own = || seen.iter().filter(|event| event.exam == sent.key);
    let last = *sent.began.last().unwrap();
    // A verdict may stand before the last slice; it counts from when it stands for good.
    let verdict = own().rev().find_map(|event| event.verdict.clone()).unwrap();
    let stands_since = own().rev().take_while(|event| event.verdict.as_ref() == Some(&verdict)).last().unwrap().at;
    let early = own().find(|event| event.is_flagged_early);
    let sent_until = |at: Instant| sent.began.partition_point(|began| *began <= at) as f64 / sent.slices as f64;
    Exam {
        slices: sent.slices,
        to_verdict: stands_since.saturating_duration_since(last),
        verdict,
        flagged_after: early.map(|event| sent_until(event.at)),
    }
}
