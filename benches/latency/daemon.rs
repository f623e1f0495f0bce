//! The program itself, on ports and a folder of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tableside::dicom::Target;

pub struct Daemon {
    process: Child,
    dicom: SocketAddr,
    console: SocketAddr,
    folder: PathBuf,
    config: PathBuf,
}

/// What an archive was given of one exam.
pub struct Archived {
    pub exam: String,
    /// From the verdict's transaction until the archive had said that it has the last object.
    pub after_verdict: Duration,
    pub objects: usize,
    pub bytes: u64,
}

/// An exam as the event stream told of it.
pub struct Seen {
    pub exam: String,
    pub slices: usize,
    pub verdict: Option<String>,
    pub is_flagged_early: bool,
    pub at: Instant,
}

impl Daemon {
    pub fn start(engine: &str, config: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tableside-latency-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "[dicom]\nlisten = \"127.0.0.1:0\"\n[console]\naccess = \"open\"\nlisten = \"127.0.0.1:0\"\n[data]\nfolder = \"{}\"\n\
             [engine]\nkind = \"{engine}\"\n{config}",
            folder.join("state").display()
        );
        let path = folder.join("tableside.toml");
        std::fs::write(&path, text).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tableside"))
            .args(["serve", "--config"])
            .arg(&path)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let listening = lines.by_ref().map_while(Result::ok).find(|line| {
            said.extend([line.as_str(), "\n"]);
            line.contains("listening")
        });
        let Some(listening) = listening else {
            eprint!("the daemon did not start with the {engine} engine:\n{said}");
            std::process::exit(1);
        };
        std::thread::spawn(move || lines.for_each(drop));
        let address = |name: &str| {
            let rest = listening.split_once(name).expect("the line names its addresses").1;
            rest.split_whitespace().next().unwrap().parse().unwrap()
        };
        Self { dicom: address(" dicom="), console: address(" console="), process, folder, config: path }
    }

    pub fn process(&self) -> u32 {
        self.process.id()
    }

    pub fn console(&self) -> SocketAddr {
        self.console
    }

    pub fn target(&self) -> Target {
        Target { ae_title: "TABLESIDE".into(), host: self.dicom.ip().to_string(), port: self.dicom.port() }
    }

    /// What the archive has of each of so many exams, once it has everything.
    pub fn archived(&self, exams: usize) -> Vec<Archived> {
        let exams = loop {
            let rows = self.deliveries();
            let is_settled = rows.iter().all(|row| row["state"] == "done" || row["state"] == "superseded");
            let mut stored: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for row in rows.into_iter().filter(|row| row["state"] == "done" && row["object"].is_object()) {
                stored.entry(row["exam"].as_str().unwrap().to_owned()).or_default().push(row);
            }
            if is_settled && stored.len() == exams {
                break stored;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let moment = |row: &Value, name: &str| row[name].as_str().unwrap().parse::<Timestamp>().unwrap();
        let archived = |(exam, rows): (String, Vec<Value>)| {
            let verdict = rows.iter().map(|row| moment(row, "queued")).min().unwrap();
            let last = rows.iter().map(|row| moment(row, "changed")).max().unwrap();
            let bytes = |row: &Value| std::fs::metadata(row["object"]["path"].as_str().unwrap()).unwrap().len();
            Archived {
                exam,
                after_verdict: last.duration_since(verdict).try_into().unwrap(),
                objects: rows.len(),
                bytes: rows.iter().map(bytes).sum(),
            }
        };
        exams.into_iter().map(archived).collect()
    }

    fn deliveries(&self) -> Vec<Value> {
        let listed = Command::new(env!("CARGO_BIN_EXE_tableside"))
            .args(["outbox", "list", "--all", "--json", "--config"])
            .arg(&self.config)
            .output()
            .unwrap();
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        serde_json::from_slice(&listed.stdout).unwrap()
    }

    /// What the event stream tells from now on, with the time it was read.
    pub fn events(&self) -> Receiver<Seen> {
        let mut stream = TcpStream::connect(self.console).unwrap();
        stream
            .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
            .unwrap();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let at = Instant::now();
                let Some(json) = line.strip_prefix("data:") else { continue };
                let Ok(exam) = serde_json::from_str::<Value>(json) else { continue };
                let Some(key) = exam["key"].as_str() else { continue };
                let flags = exam["flags"].as_array();
                let seen = Seen {
                    exam: key.to_owned(),
                    slices: exam["slices"]["received"].as_u64().unwrap_or(0) as usize,
                    verdict: exam["verdict"].as_str().map(str::to_owned),
                    is_flagged_early: flags.is_some_and(|flags| {
                        flags.iter().any(|flag| flag["kind"] == "suspected" && flag["state"] == "early")
                    }),
                    at,
                };
                if sender.send(seen).is_err() {
                    return;
                }
            }
        });
        receiver
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
