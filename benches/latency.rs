//! The real daemon and a paced scanner: from the last C-STORE response to the verdict on the event stream, and the
//! daemon's memory. Prints one table.
//!
//! `cargo bench --bench latency -- --series DIR --engine embedded --runs 10 --rate 20`

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on stops")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use clap::Parser;
use tableside::exam::ExamKey;
use tableside::scanner::{
    self, Instance, Phantom, PhantomKind, PhantomOptions, ScanOptions, Source, Target, UidSource,
};

#[derive(Parser)]
struct Arguments {
    /// Folder of DICOM files; without it the synthetic patient with pneumonia is sent
    #[arg(long)]
    series: Option<PathBuf>,
    /// Slices of the synthetic patient, from apex to base whatever their number
    #[arg(long, default_value_t = 150)]
    slices: usize,
    #[arg(long, default_value = "embedded")]
    engine: String,
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Slices per second
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// `cargo bench` says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let data = std::env::temp_dir().join(format!("tableside-latency-{}", std::process::id()));
    let daemon = Daemon::start(&arguments.engine, &data);
    let idle_mb = daemon.memory_mb("VmRSS");
    let options = ScanOptions { rate: arguments.rate, new_uids: true, ..ScanOptions::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();

    let mut delays_ms: Vec<f64> = Vec::new();
    let mut slices = 0;
    for run in 1..=arguments.runs {
        let instances = exam(&arguments, &options);
        slices = instances.len();
        let last = instances.last().unwrap();
        let exam = ExamKey::new(&last.study_instance_uid, &last.patient_id);
        let verdicts = daemon.verdicts();
        let scan =
            runtime.block_on(scanner::send(&daemon.target(), &instances, &options.send_options(), |_| {})).unwrap();
        assert!(scan.complete(), "{:?}", scan.failures);
        let (verdict, at) = wait_for(&verdicts, &exam);
        let delay = at - scan.last_response_at.unwrap();
        eprintln!("run {run}: {verdict} {:.0} ms after the last C-STORE response", delay.as_secs_f64() * 1000.0);
        delays_ms.push(delay.as_secs_f64() * 1000.0);
    }
    delays_ms.sort_by(f64::total_cmp);
    println!("| engine | slices | slices/s | runs | p50 ms | worst ms | idle MB | peak MB |");
    println!("|---|---|---|---|---|---|---|---|");
    println!(
        "| {} | {slices} | {} | {} | {:.0} | {:.0} | {idle_mb:.0} | {:.0} |",
        arguments.engine,
        arguments.rate,
        arguments.runs,
        delays_ms[delays_ms.len() / 2],
        delays_ms[delays_ms.len() - 1],
        daemon.memory_mb("VmHWM"),
    );
    drop(daemon);
    std::fs::remove_dir_all(data).unwrap();
}

/// A new exam, encoded.
fn exam(arguments: &Arguments, options: &ScanOptions) -> Vec<Instance> {
    if let Some(folder) = &arguments.series {
        return scanner::instances(&Source::Folder(folder.clone()), options).unwrap();
    }
    let usual = PhantomOptions::default();
    let spacing_mm = usual.spacing_mm * usual.slices as f32 / arguments.slices as f32;
    let phantom = PhantomOptions { slices: arguments.slices, spacing_mm, ..usual };
    Phantom::new(PhantomKind::Pneumonia, phantom).instances(UidSource::fresh()).unwrap()
}

/// The program itself, on ports of its own.
struct Daemon {
    process: Child,
    dicom: SocketAddr,
    console: SocketAddr,
}

impl Daemon {
    fn start(engine: &str, data: &Path) -> Self {
        std::fs::create_dir_all(data).unwrap();
        let config = data.join("tableside.toml");
        let text = format!(
            "[dicom]\nlisten = \"127.0.0.1:0\"\n[console]\nlisten = \"127.0.0.1:0\"\n[data]\nfolder = \"{}\"\n\
             [engine]\nkind = \"{engine}\"\n",
            data.join("state").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tableside"))
            .args(["serve", "--config"])
            .arg(&config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let listening =
            lines.by_ref().map_while(Result::ok).find(|line| line.contains("listening")).expect("it starts");
        std::thread::spawn(move || lines.for_each(drop));
        let address = |name: &str| {
            let rest = listening.split_once(name).expect("the line names its addresses").1;
            rest.split_whitespace().next().unwrap().parse().unwrap()
        };
        Self { process, dicom: address(" dicom="), console: address(" console=") }
    }

    fn target(&self) -> Target {
        Target { ae_title: "TABLESIDE".into(), host: self.dicom.ip().to_string(), port: self.dicom.port() }
    }

    /// Every verdict on the event stream with the time it was read.
    fn verdicts(&self) -> Receiver<(String, String, Instant)> {
        let mut stream = TcpStream::connect(self.console).unwrap();
        stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").unwrap();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let Some(json) = line.strip_prefix("data:") else { continue };
                let Ok(exam) = serde_json::from_str::<serde_json::Value>(json) else { continue };
                if let (Some(key), Some(verdict)) = (exam["key"].as_str(), exam["verdict"].as_str())
                    && sender.send((key.to_owned(), verdict.to_owned(), Instant::now())).is_err()
                {
                    return;
                }
            }
        });
        receiver
    }

    /// A figure of `/proc/PID/status`, MB.
    fn memory_mb(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait_for(verdicts: &Receiver<(String, String, Instant)>, exam: &ExamKey) -> (String, Instant) {
    loop {
        let (key, verdict, at) = verdicts.recv_timeout(Duration::from_mins(1)).expect("a verdict within a minute");
        if key == exam.to_string() {
            return (verdict, at);
        }
    }
}
