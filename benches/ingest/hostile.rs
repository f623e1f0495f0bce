//! What slow and hostile connections cost a scanner that sends at its usual pace.
//!
//! The attackers come from addresses of their own in the loopback network, so that limits for each peer can tell them from
//! the scanner, and come again a second after they have been thrown out.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tableside::scanner::Quantiles;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::exam::{Content, Exam};
use crate::receivers::Receiver;
use crate::sender::{self, Association, Message};
use crate::workspace::Workspace;

/// 15 seconds of a scanner's work.
const SLICES: usize = 300;
const SLICES_PER_SECOND: f64 = 20.0;
/// How long the scanner waits to be accepted.
const PATIENCE: Duration = Duration::from_secs(10);
/// The attack is at its height by then.
const RAMP: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);
/// Attackers share so many addresses.
const ADDRESSES: usize = 250;

/// What an attacker does once it is connected.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Nothing.
    Silent,
    /// Sends bytes that are no PDU.
    Garbage,
    /// Sends an association request, one byte a second.
    Dripping,
}

pub fn run(connections: usize, receivers: &[Receiver], workspace: &Workspace) {
    let exam = Exam::chest(SLICES);
    println!("\n### {connections} hostile connections, a scanner at {SLICES_PER_SECOND} slices/s\n");
    println!(
        "| receiver | alone: opened in, p50 / p99 ms | under attack: opened in, p50 / p99 ms | attackers connected |"
    );
    println!("|---|---|---|---|");
    for receiver in receivers {
        match measure(connections, receiver, &exam, workspace) {
            Ok((alone, attacked, standing)) => {
                println!("| {} | {alone} | {attacked} | {standing} |", receiver.name);
            }
            Err(reason) => println!("| {} | failed: {reason} | | |", receiver.name),
        }
    }
}

fn measure(
    connections: usize,
    receiver: &Receiver,
    exam: &Exam,
    workspace: &Workspace,
) -> Result<(String, String, usize), String> {
    let folder = workspace.fresh("receiver");
    let running = receiver.start(&folder)?;
    let messages = || sender::encode(&exam.fresh(Content::Slices), running.max_pdu);
    let (before, during) = (messages(), messages());
    let alone = scan(running.address, &before)?;
    let standing = Arc::new(AtomicUsize::new(0));
    let attack = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for index in 0..connections {
        attack.spawn(attacker(index, running.address, standing.clone()));
    }
    std::thread::sleep(RAMP);
    let attacked = scan(running.address, &during).unwrap_or_else(|reason| {
        eprintln!("{}: {reason}", receiver.name);
        "not served".to_owned()
    });
    let connected = standing.load(Ordering::Relaxed);
    attack.shutdown_background();
    Ok((alone, attacked, connected))
}

fn scan(address: SocketAddr, messages: &[Message]) -> Result<String, String> {
    let began = Instant::now();
    let mut association = Association::open(address, PATIENCE)?;
    let opened = began.elapsed();
    let quantiles = Quantiles::of(association.store_at_pace(messages, SLICES_PER_SECOND)?);
    association.release();
    Ok(format!("{} ms, {:.1} / {:.1}", opened.as_millis(), quantiles.p50, quantiles.p99))
}

async fn attacker(index: usize, target: SocketAddr, standing: Arc<AtomicUsize>) {
    let own = Ipv4Addr::new(127, 0, 1, (index % ADDRESSES + 1) as u8);
    let behaviour = [Behaviour::Silent, Behaviour::Garbage, Behaviour::Dripping][index % 3];
    loop {
        if let Ok(stream) = connect(own, target).await {
            standing.fetch_add(1, Ordering::Relaxed);
            // However it ends, the attacker comes again.
            let _ = behave(behaviour, stream).await;
            standing.fetch_sub(1, Ordering::Relaxed);
        }
        tokio::time::sleep(SECOND).await;
    }
}

async fn connect(own: Ipv4Addr, target: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((own, 0).into())?;
    tokio::time::timeout(PATIENCE, socket.connect(target)).await?
}

/// Returns once the receiver has closed the connection.
async fn behave(behaviour: Behaviour, mut stream: TcpStream) -> std::io::Result<()> {
    match behaviour {
        Behaviour::Silent => {}
        Behaviour::Garbage => stream.write_all(&[0xA5; 100]).await?,
        Behaviour::Dripping => {
            // An A-ASSOCIATE-RQ (PS3.8 9.3.2) that announces 1000 bytes.
            let request = [0x01, 0x00, 0x00, 0x00, 0x03, 0xE8, 0x00, 0x01];
            for byte in request.into_iter().chain(std::iter::repeat_n(0, 994)) {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(SECOND).await;
            }
        }
    }
    let mut rest = [0; 64];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
