//! Archives that get results: a real Orthanc, and a node that answers what a test wants to see answered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use dicom_ul::association::server::ServerAssociationOptions;
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tableside::dicom::Head;

use crate::daemon::wait_for;
use crate::http;

/// SOP Instance UIDs and the hash of each one's data set.
pub type Stored = BTreeSet<(String, String)>;

/// What an archive should have of these Part 10 files.
pub fn stored_of(files: &[PathBuf]) -> Stored {
    files.iter().map(|file| of_file(&std::fs::read(file).unwrap(), false)).collect()
}

/// The same in spite of an archive that writes sequences with their lengths, as Orthanc does with what comes by C-STORE.
pub fn contents_of(files: &[PathBuf]) -> Stored {
    files.iter().map(|file| of_file(&std::fs::read(file).unwrap(), true)).collect()
}

fn of_file(file: &[u8], is_rewritten: bool) -> (String, String) {
    let head = Head::read(file).unwrap();
    let uid = head.meta.media_storage_sop_instance_uid.trim_end_matches('\0').to_owned();
    let data_set = &file[head.length..];
    if !is_rewritten {
        return (uid, hash(data_set));
    }
    let syntax = EXPLICIT_VR_LITTLE_ENDIAN.erased();
    let mut rewritten = Vec::new();
    let object = InMemDicomObject::read_dataset_with_ts(data_set, &syntax).unwrap();
    object.write_dataset_with_ts(&mut rewritten, &syntax).unwrap();
    (uid, hash(&rewritten))
}

fn hash(data_set: &[u8]) -> String {
    Sha256::digest(data_set).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// dcmtk's `storescp`, which keeps bit by bit what it gets.
pub struct StoreScp {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl StoreScp {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more options.
    pub fn start_with(options: &[&str]) -> Self {
        let (folder, [port, _]) = (tempfile::tempdir().unwrap(), free_ports());
        let args = ["--bit-preserving", "--promiscuous", "--output-directory", folder.path().to_str().unwrap()];
        let child = Command::new("storescp").args(args).args(options).arg(port.to_string()).spawn();
        let child = child.expect("storescp; it is in the Debian package dcmtk");
        wait_for("storescp to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, port, folder }
    }

    pub fn node(&self) -> String {
        format!("STORESCP@127.0.0.1:{}", self.port)
    }

    pub fn stored(&self) -> Stored {
        stored_of(&crate::peers::files(self.folder.path()))
    }
}

impl Drop for StoreScp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two ports that nobody uses.
pub fn free_ports() -> [u16; 2] {
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    free.each_ref().map(|listener| listener.local_addr().unwrap().port())
}

/// A running Orthanc of Debian with `DICOMweb`.
pub struct Orthanc {
    child: Child,
    http: u16,
    dicom: u16,
    _folder: tempfile::TempDir,
}

const DICOM_WEB: &str = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so";

impl Orthanc {
    pub fn start() -> Self {
        Self::start_at(free_ports())
    }

    /// Starts it at these ports: HTTP, DICOM.
    pub fn start_at(ports: [u16; 2]) -> Self {
        Self::start_knowing(ports, &json!({}))
    }

    /// The same, with modalities that it knows: what it calls each, AE title, host and port.
    pub fn start_knowing([http, dicom]: [u16; 2], modalities: &serde_json::Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orthanc.json");
        let config = json!({
            "StorageDirectory": folder.path().join("archive"), "IndexDirectory": folder.path().join("index"),
            "Plugins": [DICOM_WEB], "HttpPort": http, "DicomPort": dicom, "AuthenticationEnabled": false,
            "OverwriteInstances": false, "DicomModalities": modalities, "DicomAlwaysAllowStore": true, "DicomWeb": { "Enable": true, "Root": "/dicom-web/" },
        });
        std::fs::write(&file, config.to_string()).unwrap();
        let program = ["/usr/sbin/Orthanc", "/usr/bin/Orthanc"].into_iter().find(|path| Path::new(path).exists());
        let program = program.expect("Orthanc; it is in the Debian package orthanc");
        let child = Command::new(program).arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut orthanc = Self { child, http, dicom, _folder: folder };
        wait_for("Orthanc to listen", || {
            assert!(orthanc.child.try_wait().unwrap().is_none(), "Orthanc ended");
            (TcpStream::connect(("127.0.0.1", http)).is_ok() && TcpStream::connect(("127.0.0.1", dicom)).is_ok())
                .then_some(())
        });
        orthanc
    }

    pub fn node(&self) -> String {
        format!("ORTHANC@127.0.0.1:{}", self.dicom)
    }

    pub fn dicom_web(&self) -> String {
        format!("http://127.0.0.1:{}/dicom-web", self.http)
    }

    /// All that it has, as it stored it.
    pub fn stored(&self) -> Stored {
        self.all(false)
    }

    /// All that it has, however it wrote it; see [`contents_of`].
    pub fn contents(&self) -> Stored {
        self.all(true)
    }

    fn all(&self, is_rewritten: bool) -> Stored {
        let address = format!("127.0.0.1:{}", self.http);
        let instances = http::get(&address, "/instances").json();
        let files = instances.as_array().unwrap().iter().map(|id| {
            let file = http::get(&address, &format!("/instances/{}/file", id.as_str().unwrap())).body;
            of_file(&file, is_rewritten)
        });
        files.collect()
    }
}

impl Drop for Orthanc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a node does with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Below 0xA000 only 0 means that it is stored, as do 0xB000 and above up to 0xBFFF.
    Status(u16),
    /// A-ABORT in place of an answer.
    Abort,
    /// Keeps the object and hangs up before it answers.
    StoreAndHangUp,
}

/// An object on its way to a node.
#[derive(Debug, Clone)]
pub struct Sent {
    pub sop_class_uid: String,
    /// How often it came before.
    pub before: usize,
}

type Answer = Box<dyn Fn(&Sent) -> Reply + Send + Sync>;

#[derive(Default)]
struct NodeState {
    stored: Stored,
    came: BTreeMap<String, usize>,
    order: Vec<String>,
}

/// A node that answers as a test says.
pub struct Node {
    port: u16,
    state: Arc<Mutex<NodeState>>,
}

impl Node {
    /// Takes objects of these classes, of all classes if there is none.
    pub fn start(classes: &'static [&'static str], answer: impl Fn(&Sent) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<NodeState>> = Arc::default();
        let (answer, of_thread): (Arc<Answer>, _) = (Arc::new(Box::new(answer)), state.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state, answer) = (stream.unwrap(), of_thread.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, classes, &state, &answer));
            }
        });
        Self { port, state }
    }

    pub fn node(&self) -> String {
        format!("NODE@127.0.0.1:{}", self.port)
    }

    pub fn stored(&self) -> Stored {
        self.state.lock().unwrap().stored.clone()
    }

    /// The SOP classes of what came, in the order in which it came.
    pub fn order(&self) -> Vec<String> {
        self.state.lock().unwrap().order.clone()
    }
}

fn serve(stream: TcpStream, classes: &[&'static str], state: &Mutex<NodeState>, answer: &Answer) {
    let mut options = ServerAssociationOptions::new().accept_any().promiscuous(classes.is_empty());
    for class in classes.iter().chain(&[uids::VERIFICATION]) {
        options = options.with_abstract_syntax(*class);
    }
    let Ok(mut association) = options.establish(stream) else { return };
    let (mut command, mut data_set) = (Vec::new(), Vec::new());
    loop {
        match association.receive() {
            Ok(Pdu::PData { data }) => {
                for value in data {
                    if value.value_type == PDataValueType::Command {
                        command.extend_from_slice(&value.data);
                        continue;
                    }
                    data_set.extend_from_slice(&value.data);
                    if !value.is_last {
                        continue;
                    }
                    let reply = receive(state, answer, &command, &data_set);
                    let status = match reply {
                        Reply::Status(status) => status,
                        Reply::Abort => return drop(association.abort()),
                        Reply::StoreAndHangUp => return,
                    };
                    let response = PDataValue {
                        presentation_context_id: value.presentation_context_id,
                        value_type: PDataValueType::Command,
                        is_last: true,
                        data: response(&command, status),
                    };
                    command.clear();
                    data_set.clear();
                    if association.send(&Pdu::PData { data: vec![response] }).is_err() {
                        return;
                    }
                }
            }
            Ok(Pdu::ReleaseRQ) => return drop(association.send(&Pdu::ReleaseRP)),
            _ => return,
        }
    }
}

fn receive(state: &Mutex<NodeState>, answer: &Answer, command: &[u8], data_set: &[u8]) -> Reply {
    let request = read(command);
    let text = |tag: Tag| request.element(tag).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned();
    let (class, uid) = (text(tags::AFFECTED_SOP_CLASS_UID), text(tags::AFFECTED_SOP_INSTANCE_UID));
    let before = {
        let mut state = state.lock().unwrap();
        state.order.push(class.clone());
        let came = state.came.entry(uid.clone()).or_default();
        *came += 1;
        *came - 1
    };
    let reply = answer(&Sent { sop_class_uid: class, before });
    let is_stored = match reply {
        Reply::Status(status) => status == 0 || status >> 12 == 0xB,
        Reply::Abort => false,
        Reply::StoreAndHangUp => true,
    };
    if is_stored {
        state.lock().unwrap().stored.insert((uid, hash(data_set)));
    }
    reply
}

fn read(command: &[u8]) -> InMemDicomObject {
    InMemDicomObject::read_dataset_with_ts(command, &IMPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap()
}

fn response(command: &[u8], status: u16) -> Vec<u8> {
    let request = read(command);
    let number = |tag| request.element(tag).unwrap().to_int::<u16>().unwrap();
    let us = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let response = InMemDicomObject::command_from_element_iter([
        us(tags::COMMAND_FIELD, number(tags::COMMAND_FIELD) | 0x8000),
        us(tags::MESSAGE_ID_BEING_RESPONDED_TO, number(tags::MESSAGE_ID)),
        us(tags::COMMAND_DATA_SET_TYPE, 0x0101),
        us(tags::STATUS, status),
    ]);
    let mut bytes = Vec::new();
    response.write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
    bytes
}

/// What `tableside report` writes of an exam that a daemon keeps.
pub fn results(config: &Path, exam: &str, out: &Path) -> Vec<PathBuf> {
    let (config, out_text) = (config.to_str().unwrap(), out.to_str().unwrap());
    let report = ["report", exam, "--out", out_text, "--config", config];
    // The database has a verdict a moment after the console.
    wait_for("the objects of the verdict", || {
        crate::peers::run(crate::daemon::TABLESIDE, &report).status.success().then_some(())
    });
    crate::peers::files(&crate::peers::files(out)[0])
}
