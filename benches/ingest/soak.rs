//! Many small exams through one receiver: do memory and file handles stay where they are?

use std::time::{Duration, Instant};

use crate::exam::{Content, Exam};
use crate::measure;
use crate::receivers::{Receiver, Running};
use crate::sender::{self, Ledger};
use crate::workspace::Workspace;

/// How long the analysis may take for what it has not done yet at a quarter point.
const PATIENCE: Duration = Duration::from_mins(15);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub fn run(exams: usize, receivers: &[Receiver], workspace: &Workspace) {
    let exam = Exam::tiny();
    println!("\n### {exams} exams of 20 slices of 64 x 64, one association each\n");
    println!("| receiver | exams | seconds | resident MB | peak MB | file handles |");
    println!("|---|---|---|---|---|---|");
    for receiver in receivers {
        if let Err(reason) = soak(exams, receiver, &exam, workspace) {
            println!("| {} | failed: {reason} | | | | |", receiver.name);
        }
    }
}

fn soak(exams: usize, receiver: &Receiver, exam: &Exam, workspace: &Workspace) -> Result<(), String> {
    let folder = workspace.fresh("receiver");
    let running = receiver.start(&folder)?;
    let began = Instant::now();
    let line = |sent: usize| {
        let memory = |name| measure::memory_mb(running.id(), name).unwrap_or(f64::NAN);
        println!(
            "| {} | {sent} | {} | {:.0} | {:.0} | {} |",
            receiver.name,
            began.elapsed().as_secs(),
            memory("VmRSS"),
            memory("VmHWM"),
            measure::handles(running.id()),
        );
    };
    line(0);
    let quarter = exams.div_ceil(4).max(1);
    for sent in 1..=exams {
        let messages = sender::encode(&exam.fresh(Content::Slices), running.max_pdu);
        let result = sender::send(running.address, &messages, 1, Duration::MAX, &Ledger::default());
        if let Some(failure) = result.failures.first() {
            return Err(format!("exam {sent}: {failure}"));
        }
        if sent % quarter == 0 || sent == exams {
            if receiver.is_tableside() {
                wait_for_analysis(&running)?;
            }
            line(sent);
        }
    }
    Ok(())
}

/// Returns once no exam is open: what the receiver holds now it does not need any more.
fn wait_for_analysis(running: &Running) -> Result<(), String> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let metrics = running.get("/metrics").map_err(|error| error.to_string())?;
        let metrics = String::from_utf8_lossy(&metrics);
        let open = metrics.lines().find_map(|line| line.strip_prefix("tableside_exams_open "));
        if open.is_some_and(|open| open.trim() == "0") {
            return Ok(());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Err("exams are still open".to_owned())
}
