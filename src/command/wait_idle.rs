//! `wait-idle`: before a restart that can wait. An exam survives a restart; its technician is told sooner without one.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::{DONE, FAILED, Outcome, configuration};

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The daemon is asked this often.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Args)]
pub struct WaitIdleArgs {
    /// Wait this long at most, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    at_most: u64,
    /// Configuration file of the daemon
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The metrics that say how many exams have no verdict, and of how many more comes after theirs (docs/metrics.md): a restart would
/// cut their scanners off. A daemon of an earlier version has the first alone.
const OPEN: &str = "tableside_exams_open ";
const TRAILING: &str = "tableside_exams_trailing ";

pub fn wait_idle(args: &WaitIdleArgs) -> Outcome {
    let config = configuration(args.config.as_deref())?;
    // A daemon of an earlier version, which is to be replaced, has its metrics on the console's port.
    let daemon = config.health_url();
    let earlier = format!("http://{}", config.console_listen);
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let until = Instant::now() + Duration::from_secs(args.at_most);
    loop {
        let metrics = match asked(&agent, &daemon).or_else(|error| asked(&agent, &earlier).map_err(|_| error)) {
            Ok(metrics) => metrics,
            Err(error) => {
                println!("No daemon answers at {daemon} ({error}): nobody is waited for");
                return Ok(DONE);
            }
        };
        let open = value(&metrics, OPEN).ok_or_else(|| format!("what answers at {daemon} is no daemon"))?;
        let open = open + value(&metrics, TRAILING).unwrap_or(0.0);
        if open == 0.0 {
            println!("Every exam is complete");
            return Ok(DONE);
        }
        if Instant::now() >= until {
            eprintln!("exams that are not complete after {} s: {open}", args.at_most);
            return Ok(FAILED);
        }
        thread::sleep(EVERY);
    }
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn asked(agent: &ureq::Agent, daemon: &str) -> Result<String, ureq::Error> {
    agent.get(format!("{daemon}/metrics")).call()?.body_mut().read_to_string()
}
