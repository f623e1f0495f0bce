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
        "| receiver | alone: opened in, p50 / p99 ms | attackers busy elsewhere | under attack | attackers connected |"
    );
    println!("|---|---|---|---|---|");
    for receiver in receivers {
        match measure(connections, receiver, &exam, workspace) {
            Ok(Measured { alone, elsewhere, attacked, connected }) => {
                println!("| {} | {alone} | {elsewhere} | {attacked} | {connected} |", receiver.name);
            }
            Err(reason) => println!("| {} | failed: {reason} | | | |", receiver.name),
        }
    }
}

/// How a scanner was served.
struct Measured {
    alone: String,
    /// While the attackers are thrown out by somebody else on the same machine: what their own work costs.
    elsewhere: String,
    attacked: String,
    /// Attackers whose connection stood at the end.
    connected: usize,
}

fn measure(connections: usize, receiver: &Receiver, exam: &Exam, workspace: &Workspace) -> Result<Measured, String> {
    let folder = workspace.fresh("receiver");
    let running = receiver.start(&folder)?;
    let messages = || sender::encode(&exam.fresh(Content::Slices), running.max_pdu);
    let alone = scan(running.address, &messages())?;
    let during_attack = |on: Option<SocketAddr>| {
        let messages = messages();
        let standing = Arc::new(AtomicUsize::new(0));
        let attack = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let target = on.unwrap_or_else(|| attack.block_on(bouncer()));
        for index in 0..connections {
            attack.spawn(attacker(index, target, standing.clone()));
        }
        std::thread::sleep(RAMP);
        let served = scan(running.address, &messages).unwrap_or_else(|reason| {
            eprintln!("{}: {reason}", receiver.name);
            "not served".to_owned()
        });
        let connected = standing.load(Ordering::Relaxed);
        attack.shutdown_background();
        (served, connected)
    };
    let (elsewhere, _) = during_attack(None);
    let (attacked, connected) = during_attack(Some(running.address));
    Ok(Measured { alone, elsewhere, attacked, connected })
}

/// Resets whoever connects, unread: the least that can be done about an attacker.
async fn bouncer() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    });
    address
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
