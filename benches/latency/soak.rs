//! A day of exams through one daemon that delivers everything: do memory, handles, time to verdict and scrapes stay as they are?

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tableside::scanner::{Instance, Quantiles};

use super::daemon::Daemon;
use super::destinations::Destinations;
use super::measure;

/// Exams of a line of the table.
const BLOCK: usize = 100;

/// One exam in so many is the ill patient's.
const ILL_ONE_IN: usize = 10;

/// How long an archive may take for an exam's results.
const PATIENCE: Duration = Duration::from_mins(5);

/// `config` is added to the daemon's configuration.
pub fn run(exams: usize, [healthy, ill]: [&[Instance]; 2], engine: &str, config: &str) {
    let destinations = Destinations::start();
    let daemon = Daemon::start(engine, &format!("{}{config}", destinations.config()));
    println!(
        "\n| exams | minutes | verdict after the last slice, ms: p50 / p99 / worst | resident MB | handles | scrape ms |"
    );
    println!("|---|---|---|---|---|---|");
    let began = Instant::now();
    let line = |done: usize, delays: Vec<Duration>| {
        let delays = Quantiles::of(delays);
        let (_, scrape) = metrics(&daemon);
        println!(
            "| {done} | {:.1} | {:.0} / {:.0} / {:.0} | {:.0} | {} | {:.1} |",
            began.elapsed().as_secs_f64() / 60.0,
            delays.p50,
            delays.p99,
            delays.max,
            measure::memory_mb(daemon.process(), "VmRSS").unwrap_or(f64::NAN),
            measure::handles(daemon.process()),
            scrape.as_secs_f64() * 1000.0,
        );
    };
    let mut delays = Vec::new();
    for number in 1..=exams {
        let recorded = if number % ILL_ONE_IN == 0 { ill } else { healthy };
        delays.extend(super::scan(&daemon, recorded, 0.0, 1).iter().map(|exam| exam.to_verdict));
        until_delivered(&daemon);
        if number % BLOCK == 0 || number == exams {
            line(number, std::mem::take(&mut delays));
        }
    }
}

/// Waits until nothing is on its way.
fn until_delivered(daemon: &Daemon) {
    let began = Instant::now();
    loop {
        let (metrics, _) = metrics(daemon);
        let of_outbox = |line: &&str| line.starts_with("tableside_outbox_deliveries{");
        if metrics.lines().filter(of_outbox).all(|line| line.ends_with(" 0")) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "results are still on their way");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What Prometheus reads, and how long it takes.
fn metrics(daemon: &Daemon) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(daemon.console()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    (text, began.elapsed())
}
