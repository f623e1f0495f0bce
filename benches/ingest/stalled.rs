//! What one stalled and one very slow association cost a third one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tableside::scanner::Quantiles;

use crate::exam::{Content, Exam};
use crate::receivers::Receiver;
use crate::sender::{self, Association, Message};
use crate::workspace::Workspace;

/// Slices of each series.
const SLICES: usize = 100;
/// How long the good association waits to be accepted.
const PATIENCE: Duration = Duration::from_secs(10);
/// The bad ones stand by then.
const SETTLED: Duration = Duration::from_secs(1);
/// The slow one sends so many bytes at a time: 10 KB a second.
const MORSEL: usize = 1000;
const PAUSE: Duration = Duration::from_millis(100);

pub fn run(receivers: &[Receiver], workspace: &Workspace) {
    let exam = Exam::chest(2 * SLICES + 2);
    println!("\n### One stalled and one very slow association, {SLICES} slices on a third one\n");
    println!("| receiver | alone: p50 / p99 ms | beside them: p50 / p99 ms |");
    println!("|---|---|---|");
    for receiver in receivers {
        match measure(receiver, &exam, workspace) {
            Ok((alone, beside)) => println!("| {} | {alone} | {beside} |", receiver.name),
            Err(reason) => println!("| {} | failed: {reason} | |", receiver.name),
        }
    }
}

fn measure(receiver: &Receiver, exam: &Exam, workspace: &Workspace) -> Result<(String, String), String> {
    let folder = workspace.fresh("receiver");
    let mut running = receiver.start(&folder)?;
    let mut messages = sender::encode(&exam.fresh(Content::Slices), running.max_pdu);
    let bad = messages.split_off(2 * SLICES);
    let (first, second) = messages.split_at(SLICES);
    let alone = good(running.address, first)?;
    let done = Arc::new(AtomicBool::new(false));
    let halves = [Duration::MAX, PAUSE].into_iter().zip(bad);
    let threads: Vec<_> = halves
        .map(|(pause, message)| {
            let (address, done) = (running.address, done.clone());
            std::thread::spawn(move || slow(address, &message, pause, &done))
        })
        .collect();
    std::thread::sleep(SETTLED);
    let beside = good(running.address, second).unwrap_or_else(|reason| {
        eprintln!("{}: {reason}", receiver.name);
        "not served".to_owned()
    });
    done.store(true, Ordering::Relaxed);
    // A receiver that serves one at a time has kept the slow one waiting: this ends its wait.
    running.kill();
    for thread in threads {
        // How the bad ones end is not asked.
        let _ = thread.join().unwrap();
    }
    Ok((alone, beside))
}

fn good(address: SocketAddr, messages: &[Message]) -> Result<String, String> {
    let mut association = Association::open(address, PATIENCE)?;
    let stores = messages.iter().map(|message| association.store(message)).collect::<Result<Vec<_>, _>>()?;
    association.release();
    let quantiles = Quantiles::of(stores);
    Ok(format!("{:.1} / {:.1}", quantiles.p50, quantiles.p99))
}

/// Sends half of a message, then nothing more, or the rest in morsels.
fn slow(address: SocketAddr, message: &Message, pause: Duration, done: &AtomicBool) -> Result<(), String> {
    let mut association = Association::open(address, sender::PATIENCE)?;
    let (half, rest) = message.bytes().split_at(message.bytes().len() / 2);
    association.write(half)?;
    let mut morsels = rest.chunks(MORSEL);
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(pause.min(PAUSE));
        if pause == PAUSE {
            association.write(morsels.next().unwrap_or_default())?;
        }
    }
    Ok(())
}
