//! The senders: one of our own, which has everything encoded before the clock starts, and dcmtk's `storescu`.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dicom_dictionary_std::uids;
use dicom_ul::Pdu;
use dicom_ul::association::Error;
use dicom_ul::association::client::{ClientAssociation, ClientAssociationOptions};
use tableside::dicom;
use tableside::scanner::Instance;

/// How long a receiver may take for an answer.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// A receiver that has no place for another association is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// The one presentation context that is proposed (PS3.8 9.3.2.2).
const CONTEXT: u8 = 1;

/// A C-STORE request as bytes.
pub struct Message {
    pub instance: Instance,
    /// Message ID (0000,0110).
    identifier: u16,
    bytes: Vec<u8>,
}

/// Encodes a series for a receiver that takes PDUs of `max_pdu` bytes.
pub fn encode(instances: &[Instance], max_pdu: u32) -> Vec<Message> {
    let message = |(index, instance): (usize, &Instance)| {
        let identifier = (index % 0xFFFF + 1) as u16;
        let bytes = dicom::store_request(instance.outgoing(), CONTEXT, identifier, max_pdu).unwrap();
        Message { instance: instance.clone(), identifier, bytes }
    };
    instances.iter().enumerate().map(message).collect()
}

impl Message {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// An association for CT images, with one store outstanding at a time and `TCP_NODELAY` set.
pub struct Association(ClientAssociation<TcpStream>);

impl Association {
    /// Waits as long as `patience` for a receiver that is there but has no place, or does not answer.
    pub fn open(address: SocketAddr, patience: Duration) -> Result<Self, String> {
        let began = Instant::now();
        loop {
            match Self::ask(address, patience) {
                Err(Error::Rejected { .. }) if began.elapsed() < patience => std::thread::sleep(ASK_AGAIN),
                answer => return answer.map_err(|error| told(&error)).and_then(Self::accepted),
            }
        }
    }

    fn ask(address: SocketAddr, patience: Duration) -> Result<ClientAssociation<TcpStream>, Error> {
        ClientAssociationOptions::new()
            .calling_ae_title("BENCHMARK")
            .called_ae_title("TABLESIDE")
            .connection_timeout(patience)
            .read_timeout(patience)
            .write_timeout(PATIENCE)
            .with_presentation_context(uids::CT_IMAGE_STORAGE, vec![uids::EXPLICIT_VR_LITTLE_ENDIAN])
            .establish(address)
    }

    fn accepted(mut association: ClientAssociation<TcpStream>) -> Result<Self, String> {
        if association.presentation_contexts().iter().all(|context| context.id != CONTEXT) {
            return Err("it does not take CT images".to_owned());
        }
        let stream = association.inner_stream();
        stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE))).map_err(|e| e.to_string())?;
        Ok(Self(association))
    }

    pub fn max_pdu(&self) -> u32 {
        self.0.acceptor_max_pdu_length()
    }

    /// From the first byte written to the response read.
    pub fn store(&mut self, message: &Message) -> Result<Duration, String> {
        let began = Instant::now();
        self.write(&message.bytes)?;
        let mut command = Vec::new();
        loop {
            let Pdu::PData { data } = self.0.receive().map_err(|error| told(&error))? else {
                return Err("the receiver ended the association".to_owned());
            };
            let last = data.iter().any(|value| value.is_last);
            command.extend(data.into_iter().flat_map(|value| value.data));
            if last {
                break;
            }
        }
        let took = began.elapsed();
        match dicom::status_of(&command, message.identifier).map_err(|error| error.to_string())? {
            // Success, or a warning (PS3.4 B.2.3): the instance was stored.
            status if status == 0 || status >> 12 == 0xB => Ok(took),
            status => Err(format!("status {status:04X}")),
        }
    }

    /// Stores so many a second, as a scanner does.
    pub fn store_at_pace(&mut self, messages: &[Message], per_second: f64) -> Result<Vec<Duration>, String> {
        let began = Instant::now();
        let store = |(index, message): (usize, &Message)| {
            let due = began + Duration::from_secs_f64(index as f64 / per_second);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.store(message)
        };
        messages.iter().enumerate().map(store).collect()
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.0.inner_stream().write_all(bytes).map_err(|error| error.to_string())
    }

    pub fn release(self) {
        // Everything is acknowledged; how the receiver says goodbye is not measured.
        let _ = self.0.release();
    }
}

/// An error with what caused it.
fn told(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Which messages were acknowledged, while they are being sent.
#[derive(Default)]
pub struct Ledger(Mutex<Vec<usize>>);

impl Ledger {
    fn acknowledged(&self, index: usize) {
        self.0.lock().unwrap().push(index);
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub fn indices(&self) -> Vec<usize> {
        self.0.lock().unwrap().clone()
    }
}

/// What came of a series.
pub struct Sent {
    /// From before the associations are opened to the last response.
    pub took: Duration,
    /// Time of each store.
    pub stores: Vec<Duration>,
    /// Why associations ended early.
    pub failures: Vec<String>,
}

/// Deals a series out to associations, each on its own thread. An association ends at its first failure, and stores
/// nothing more once the time is over.
pub fn send(address: SocketAddr, messages: &[Message], associations: usize, within: Duration, ledger: &Ledger) -> Sent {
    let began = Instant::now();
    let lanes: Vec<Lane> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..associations)
            .map(|lane| {
                let share = messages.iter().enumerate().skip(lane).step_by(associations);
                let share = share.take_while(move |_| began.elapsed() < within);
                scope.spawn(move || Lane::run(address, share, ledger))
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    let last = lanes.iter().filter_map(|lane| lane.last_response).max().unwrap_or(began);
    Sent {
        took: last - began,
        stores: lanes.iter().flat_map(|lane| lane.stores.iter().copied()).collect(),
        failures: lanes.into_iter().filter_map(|lane| lane.failure).collect(),
    }
}

/// What came of one association's share.
#[derive(Default)]
struct Lane {
    stores: Vec<Duration>,
    last_response: Option<Instant>,
    failure: Option<String>,
}

impl Lane {
    fn run<'a>(address: SocketAddr, share: impl Iterator<Item = (usize, &'a Message)>, ledger: &Ledger) -> Self {
        let mut lane = Self::default();
        lane.failure = lane.send(address, share, ledger).err();
        lane
    }

    fn send<'a>(
        &mut self,
        address: SocketAddr,
        share: impl Iterator<Item = (usize, &'a Message)>,
        ledger: &Ledger,
    ) -> Result<(), String> {
        let mut association = Association::open(address, PATIENCE)?;
        for (index, message) in share {
            self.stores.push(association.store(message)?);
            self.last_response = Some(Instant::now());
            ledger.acknowledged(index);
        }
        association.release();
        Ok(())
    }
}

/// dcmtk's `storescu` as it comes, one process for each folder: from before they are started until the last has ended.
pub fn storescu(address: SocketAddr, folders: &[PathBuf]) -> Result<Duration, String> {
    let began = Instant::now();
    let start = |folder: &PathBuf| {
        Command::new("storescu")
            .args(["-aec", "TABLESIDE", "+sd", "+r", &address.ip().to_string(), &address.port().to_string()])
            .arg(folder)
            .env_remove("TCP_NODELAY")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    let processes = folders.iter().map(start).collect::<Result<Vec<_>, _>>();
    for mut process in processes.map_err(|error| format!("storescu: {error}"))? {
        let ended = process.wait().map_err(|error| error.to_string())?;
        if !ended.success() {
            return Err(format!("storescu: {ended}"));
        }
    }
    Ok(began.elapsed())
}
