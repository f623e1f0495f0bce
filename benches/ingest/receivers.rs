//! The receivers: how each is started and stopped, and what lies on its storage.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::exam::{Content, PIXEL_BYTES};
use crate::sender::{Association, Message};
use crate::{http, measure};

/// How long a receiver may take until it answers.
const START: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A program with its options, and what is sent to it.
#[derive(Debug, Clone)]
pub struct Receiver {
    pub name: String,
    pub content: Content,
    program: Program,
    /// dcmtk, and Orthanc which is built on it, read this from the environment.
    no_delay: bool,
}

#[derive(Debug, Clone)]
enum Program {
    Tableside(PathBuf),
    Storescp { path: PathBuf, fork: bool },
    Orthanc(PathBuf),
    Pynetdicom(PathBuf),
    DicomStorescp { path: PathBuf, non_blocking: bool },
}

/// A further build of Tableside, `LABEL=PATH` on the command line.
#[derive(Debug, Clone)]
pub struct OtherBuild {
    label: String,
    path: PathBuf,
}

impl FromStr for OtherBuild {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (label, path) = text.split_once('=').ok_or("write LABEL=PATH")?;
        let path = PathBuf::from(path);
        if !path.is_file() {
            return Err(format!("there is no program {}", path.display()));
        }
        Ok(Self { label: label.to_owned(), path })
    }
}

/// All receivers that are there, Tableside first; says which are not.
pub fn all(other_builds: &[OtherBuild]) -> Vec<Receiver> {
    let mut receivers = tableside("Tableside", Path::new(env!("CARGO_BIN_EXE_tableside")));
    for build in other_builds {
        receivers.extend(tableside(&format!("Tableside {}", build.label), &build.path));
    }
    let peer =
        |name: &str, program, no_delay| Receiver { name: name.to_owned(), content: Content::Slices, program, no_delay };
    if let Some(path) = find("storescp") {
        let program = |fork| Program::Storescp { path: path.clone(), fork };
        receivers.push(peer("storescp", program(false), false));
        receivers.push(peer("storescp, TCP_NODELAY=1", program(false), true));
        receivers.push(peer("storescp --fork, TCP_NODELAY=1", program(true), true));
    }
    if let Some(path) = find("Orthanc") {
        receivers.push(peer("Orthanc", Program::Orthanc(path.clone()), false));
        receivers.push(peer("Orthanc, TCP_NODELAY=1", Program::Orthanc(path), true));
    }
    if let Some(path) = find("build/peers/python/bin/python") {
        receivers.push(peer("pynetdicom", Program::Pynetdicom(path), false));
    }
    if let Some(path) = find("build/peers/bin/dicom-storescp") {
        let program = |non_blocking| Program::DicomStorescp { path: path.clone(), non_blocking };
        receivers.push(peer("dicom-storescp", program(false), false));
        receivers.push(peer("dicom-storescp --non-blocking", program(true), false));
    }
    receivers
}

fn tableside(name: &str, path: &Path) -> Vec<Receiver> {
    let receiver = |name: String, content| Receiver {
        name,
        content,
        program: Program::Tableside(path.to_owned()),
        no_delay: false,
    };
    vec![receiver(name.to_owned(), Content::Slices), receiver(format!("{name}, storing only"), Content::Scouts)]
}

/// A path as it stands, or a program on the search path.
fn find(program: &str) -> Option<PathBuf> {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps Orthanc where the search path of ordinary users does not lead.
    let folders = std::env::split_paths(&search_path).chain(["".into(), "/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        println!("Left out: {program} is not here; benches/ingest/peers.sh installs it.");
    }
    found
}

impl Receiver {
    pub fn is_tableside(&self) -> bool {
        matches!(self.program, Program::Tableside(_))
    }

    /// Starts the program on what lies in a folder already, and returns once it takes associations.
    pub fn start(&self, folder: &Path) -> Result<Running, String> {
        let storage = folder.join("storage");
        fs::create_dir_all(&storage).map_err(|error| format!("{}: {error}", storage.display()))?;
        let (dicom, http) = (free_port(), free_port());
        let mut command = self.command(folder, dicom, http);
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        command.env_remove("TCP_NODELAY");
        if self.no_delay {
            command.env("TCP_NODELAY", "1");
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.name))?;
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut running = Running { process, address: address(dicom), http: address(http), max_pdu: 0 };
        running.wait_until_ready(self.is_tableside()).map_err(|reason| {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            format!("{} does not start: {reason}\n{log}", self.name)
        })?;
        Ok(running)
    }

    fn command(&self, folder: &Path, dicom: u16, http: u16) -> Command {
        let storage = folder.join("storage");
        let dicom = dicom.to_string();
        match &self.program {
            Program::Tableside(path) => {
                let text = format!(
                    "[dicom]\nlisten = \"127.0.0.1:{dicom}\"\n[console]\naccess = \"open\"\nlisten = \"127.0.0.1:{http}\"\n\
                     [data]\nfolder = \"{}\"\n",
                    storage.display()
                );
                with_arguments(path, &["serve".into(), "--config".into(), written(folder, "tableside.toml", &text)])
            }
            Program::Storescp { path, fork } => {
                let mut command = with_arguments(path, &["-od".into(), storage]);
                command.args(fork.then_some("--fork")).arg(dicom);
                command
            }
            Program::Orthanc(path) => {
                let text = serde_json::json!({
                    "StorageDirectory": storage, "IndexDirectory": storage,
                    "DicomPort": dicom.parse::<u16>().unwrap(), "HttpPort": http,
                });
                with_arguments(path, &[written(folder, "orthanc.json", &text.to_string())])
            }
            Program::Pynetdicom(path) => {
                let mut command = with_arguments(path, &["-m".into(), "pynetdicom".into(), "storescp".into()]);
                command.args(["-ba", "127.0.0.1", &dicom, "-od"]).arg(storage);
                command
            }
            Program::DicomStorescp { path, non_blocking } => {
                let mut command = with_arguments(path, &["-o".into(), storage]);
                command.args(["-p", &dicom]).args(non_blocking.then_some("--non-blocking"));
                command
            }
        }
    }

    /// Looks for instances on the storage of a running receiver.
    pub fn look_up(&self, running: &Running, folder: &Path, wanted: &[&Message]) -> Kept {
        match self.program {
            Program::Orthanc(_) => look_up_by_rest(running, wanted),
            Program::Tableside(_) => look_up_files(&folder.join("storage"), wanted, |data| data),
            // The others may encode the header anew; the pixels are the last element.
            _ => look_up_files(&folder.join("storage"), wanted, pixels),
        }
    }
}

fn with_arguments(program: &Path, arguments: &[PathBuf]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file
}

/// A port that nobody listens on, another one each time: some receivers cannot take one that was in use a moment ago. Ports
/// from 32768 on are those that Linux gives to outgoing connections.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const PORTS: std::ops::Range<u16> = 20_000..32_768;
    loop {
        let port = PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len() as u16;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// A receiver's process. It is killed when this goes.
pub struct Running {
    process: Child,
    pub address: SocketAddr,
    http: SocketAddr,
    /// The largest PDU that it takes, bytes.
    pub max_pdu: u32,
}

impl Running {
    fn wait_until_ready(&mut self, has_readiness: bool) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let refused = match Association::open(self.address, START) {
                Ok(association) => {
                    self.max_pdu = association.max_pdu();
                    association.release();
                    break;
                }
                Err(reason) => reason,
            };
            if let Some(status) = self.process.try_wait().map_err(|error| error.to_string())? {
                return Err(status.to_string());
            }
            if began.elapsed() > START {
                return Err(refused);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        while has_readiness && self.get("/readyz").is_err() {
            if began.elapsed() > START {
                return Err("it is not ready".to_owned());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Asks the receiver's web server.
    pub fn get(&self, path: &str) -> std::io::Result<Vec<u8>> {
        http::get(self.http, path)
    }

    /// SIGKILL for the program and its children.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.process.wait().unwrap();
    }

    /// SIGSTOP for the program and its children.
    pub fn stop(&self) {
        self.signal("STOP");
    }

    fn signal(&self, name: &str) {
        let processes = measure::tree(self.id()).iter().map(u32::to_string).collect::<Vec<_>>();
        // A child that has ended meanwhile needs no signal.
        let _ = Command::new("kill").args(["-s", name]).args(processes).stderr(Stdio::null()).status();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// What was found of the instances that were looked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    pub missing: usize,
    /// Found, but not with all its pixels (Tableside: not with the data set that was sent).
    pub torn: usize,
    /// Found more than once.
    pub doubled: usize,
}

impl Kept {
    pub fn nothing_of(wanted: usize) -> Self {
        Self { missing: wanted, ..Self::default() }
    }
}

fn pixels(data_set: &[u8]) -> &[u8] {
    &data_set[data_set.len() - PIXEL_BYTES..]
}

fn look_up_files(folder: &Path, wanted: &[&Message], tail: impl Fn(&[u8]) -> &[u8]) -> Kept {
    let mut kept = Kept::default();
    let files = files_by_uid(folder);
    for message in wanted {
        let found = files.get(&message.instance.sop_instance_uid).map_or(&[][..], Vec::as_slice);
        match found {
            [] => kept.missing += 1,
            [file] => {
                let whole = fs::read(file).is_ok_and(|bytes| bytes.ends_with(tail(&message.instance.data)));
                kept.torn += usize::from(!whole);
            }
            _ => kept.doubled += 1,
        }
    }
    kept
}

/// Files named `UID.dcm` (Tableside, dicom-rs), `CT.UID` (dcmtk, pynetdicom).
fn files_by_uid(folder: &Path) -> HashMap<String, Vec<PathBuf>> {
    let mut files: HashMap<String, Vec<PathBuf>> = HashMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            for (uid, below) in files_by_uid(&path) {
                files.entry(uid).or_default().extend(below);
            }
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let uid = name.strip_prefix("CT.").or_else(|| name.strip_suffix(".dcm"));
        if let Some(uid) = uid {
            files.entry(uid.to_owned()).or_default().push(path);
        }
    }
    files
}

/// Orthanc names its files by identifiers of its own, which its index maps to the instances.
fn look_up_by_rest(running: &Running, wanted: &[&Message]) -> Kept {
    let mut kept = Kept::default();
    let list = running.get("/instances?expand").unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&list).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let known: HashMap<String, String> =
        list.iter().map(|entry| (text(&entry["MainDicomTags"]["SOPInstanceUID"]), text(&entry["ID"]))).collect();
    for message in wanted {
        let Some(identifier) = known.get(&message.instance.sop_instance_uid) else {
            kept.missing += 1;
            continue;
        };
        let file = running.get(&format!("/instances/{identifier}/file"));
        let whole = file.is_ok_and(|bytes| bytes.ends_with(pixels(&message.instance.data)));
        kept.torn += usize::from(!whole);
    }
    kept
}
