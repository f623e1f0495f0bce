//! What was acknowledged and is not there any more: after SIGKILL, and after a power cut.

use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tableside::scanner::Instance;

use crate::disk::Disk;
use crate::exam::{Content, Exam};
use crate::receivers::{Kept, Receiver, Running};
use crate::sender::{self, Ledger, Message};
use crate::workspace::Workspace;

const ASSOCIATIONS: usize = 4;
/// The moment comes after this at the latest, for receivers that take long for a slice.
const LONGEST_LOAD: Duration = Duration::from_secs(3);
/// Once a receiver stands still, what it has answered arrives within this.
const IN_FLIGHT: Duration = Duration::from_millis(50);

/// How often each receiver is killed and its power cut.
pub struct Trials {
    pub kills: usize,
    pub cuts: usize,
}

/// All trials of one kind with one receiver.
#[derive(Default)]
struct Toll {
    trials: usize,
    acknowledged: usize,
    /// Missing, torn and doubled instances of all trials.
    kept: Kept,
    /// The most that was missing or torn in one trial.
    worst: usize,
}

pub fn run(trials: &Trials, receivers: &[Receiver], slices: usize, workspace: &Workspace) {
    let instances = Exam::chest(slices).fresh(Content::Slices);
    let mut random = StdRng::seed_from_u64(u64::from(std::process::id()));
    let table = |title: &str, tolls: &[Toll]| {
        if tolls.iter().all(|toll| toll.trials == 0) {
            return;
        }
        println!("\n### {title}, {ASSOCIATIONS} associations\n");
        println!("| receiver | trials | acknowledged | missing | torn | doubled | worst trial |");
        println!("|---|---|---|---|---|---|---|");
        for (receiver, toll) in receivers.iter().zip(tolls) {
            let Toll { trials, acknowledged, kept: Kept { missing, torn, doubled }, worst } = toll;
            println!("| {} | {trials} | {acknowledged} | {missing} | {torn} | {doubled} | {worst} |", receiver.name);
        }
    };
    let kill = |receiver: &Receiver, random: &mut StdRng| killed(receiver, &instances, random, workspace);
    table("SIGKILL under load", &tolls(trials.kills, receivers, &mut random, kill));
    let cut = |receiver: &Receiver, random: &mut StdRng| power_cut(receiver, &instances, random, workspace);
    table("Power cut under load", &tolls(trials.cuts, receivers, &mut random, cut));
}

/// The receivers in turns, so many times.
fn tolls(
    trials: usize,
    receivers: &[Receiver],
    random: &mut StdRng,
    trial: impl Fn(&Receiver, &mut StdRng) -> Result<(usize, Kept), String>,
) -> Vec<Toll> {
    let mut tolls: Vec<Toll> = receivers.iter().map(|_| Toll::default()).collect();
    for _ in 0..trials {
        for (receiver, toll) in receivers.iter().zip(&mut tolls) {
            match trial(receiver, random) {
                Ok((acknowledged, kept)) => toll.add(acknowledged, kept, &receiver.name),
                Err(reason) => println!("{}: {reason}", receiver.name),
            }
        }
    }
    tolls
}

impl Toll {
    fn add(&mut self, acknowledged: usize, kept: Kept, name: &str) {
        eprintln!("  {name}: of {acknowledged} acknowledged {} missing, {} torn", kept.missing, kept.torn);
        self.trials += 1;
        self.acknowledged += acknowledged;
        self.kept.missing += kept.missing;
        self.kept.torn += kept.torn;
        self.kept.doubled += kept.doubled;
        self.worst = self.worst.max(kept.missing + kept.torn);
    }
}

/// Kills the receiver under load, starts it again and looks for what it had acknowledged.
fn killed(
    receiver: &Receiver,
    instances: &[Instance],
    random: &mut StdRng,
    workspace: &Workspace,
) -> Result<(usize, Kept), String> {
    let folder = workspace.fresh("receiver");
    let mut running = receiver.start(&folder)?;
    let messages = sender::encode(instances, running.max_pdu);
    let ledger = Ledger::default();
    let address = running.address;
    std::thread::scope(|scope| {
        scope.spawn(|| sender::send(address, &messages, ASSOCIATIONS, Duration::MAX, &ledger));
        await_moment(&ledger, messages.len(), random);
        running.kill();
    });
    Ok(look_up(receiver, &folder, &messages, &ledger.indices()))
}

/// Copies the receiver's disk under load, starts the receiver on the copy and looks for what it had acknowledged before.
///
/// The receiver is stopped (SIGSTOP) before the copy is made. What the kernel writes back while it is made can only help
/// the receiver.
fn power_cut(
    receiver: &Receiver,
    instances: &[Instance],
    random: &mut StdRng,
    workspace: &Workspace,
) -> Result<(usize, Kept), String> {
    let disk = Disk::new(&workspace.fresh("disk"))?;
    let folder = disk.folder().join("receiver");
    let mut running = receiver.start(&folder)?;
    let messages = sender::encode(instances, running.max_pdu);
    let ledger = Ledger::default();
    let address = running.address;
    let (acknowledged, copy) = std::thread::scope(|scope| {
        scope.spawn(|| sender::send(address, &messages, ASSOCIATIONS, Duration::MAX, &ledger));
        await_moment(&ledger, messages.len(), random);
        running.stop();
        std::thread::sleep(IN_FLIGHT);
        let acknowledged = ledger.indices();
        let copy = disk.copy();
        running.kill();
        (acknowledged, copy)
    });
    drop(disk);
    let after = copy?.mount()?;
    Ok(look_up(receiver, &after.folder().join("receiver"), &messages, &acknowledged))
}

/// Waits until a random number of instances is acknowledged, and a little longer.
fn await_moment(ledger: &Ledger, messages: usize, random: &mut StdRng) {
    let began = Instant::now();
    let enough = random.random_range(1..messages.max(10) * 9 / 10);
    while ledger.count() < enough && began.elapsed() < LONGEST_LOAD {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_micros(random.random_range(0..5_000)));
}

/// Starts the receiver again and asks it, or its storage, for what it had acknowledged.
fn look_up(receiver: &Receiver, folder: &Path, messages: &[Message], acknowledged: &[usize]) -> (usize, Kept) {
    let wanted: Vec<&Message> = acknowledged.iter().map(|index| &messages[*index]).collect();
    let restarted: Result<Running, String> = receiver.start(folder);
    let kept = match restarted {
        Ok(running) => receiver.look_up(&running, folder, &wanted),
        Err(reason) => {
            println!("Nothing is found: {reason}");
            Kept::nothing_of(wanted.len())
        }
    };
    (wanted.len(), kept)
}
