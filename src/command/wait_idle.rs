//! `wait-idle`: before a restart that can wait. An exam survives a restart; its technician is told sooner without one.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;

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

/// Of the answer to `GET /api/v1/exams`.
#[derive(Deserialize)]
struct Shown {
    exams: Vec<Exam>,
}

#[derive(Deserialize)]
struct Exam {
    state: String,
}

pub fn wait_idle(args: &WaitIdleArgs) -> Outcome {
    let console = configuration(args.config.as_deref())?.console_listen;
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let until = Instant::now() + Duration::from_secs(args.at_most);
    loop {
        let answer = agent.get(format!("http://{console}/api/v1/exams")).call();
        let shown: Shown = match answer.and_then(|mut answer| answer.body_mut().read_to_string()) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(error) => {
                println!("No daemon answers at {console} ({error}): nobody is waited for");
                return Ok(DONE);
            }
        };
        // One that is trailing has its verdict, but its scanner still sends: the restart would cut it off.
        let open = shown.exams.iter().filter(|exam| exam.state != "complete").count();
        if open == 0 {
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
