//! A daemon of a test's own: its own ports, its own folder, gone when the test is.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{self, Response};

/// The built program.
pub const TABLESIDE: &str = env!("CARGO_BIN_EXE_tableside");

/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);

/// Waits until `look` finds something.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_patiently_for(PATIENCE, what, look)
}

/// The same for what comes only when the machine has nothing else to do.
pub fn wait_patiently_for<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}");
        std::thread::sleep(POLL);
    }
}

/// A configuration for tests: any free ports, the embedded engine. `extra` is more TOML, sections of its own or keys of
/// `[dicom]`, which comes last; keys of `[data]` begin with `data.`.
pub fn config(data: &Path, extra: &str) -> String {
    let (of_data, rest): (Vec<&str>, Vec<&str>) = extra.lines().partition(|line| line.starts_with("data."));
    let of_data: Vec<&str> = of_data.iter().filter_map(|line| line.strip_prefix("data.")).collect();
    format!(
        "[console]\nlisten = \"127.0.0.1:0\"\naccess = \"open\"\n[data]\nfolder = \"{}\"\njournal_mib = 64\n{}\n[engine]\nkind = \"embedded\"\n[dicom]\nlisten = \"127.0.0.1:0\"\n{}",
        data.join("state").display(),
        of_data.join("\n"),
        rest.join("\n")
    )
}

/// A running `tableside serve`.
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<String>>,
    /// Ends with the daemon's log.
    reader: Option<JoinHandle<()>>,
    dicom: String,
    console: String,
    data: Arc<tempfile::TempDir>,
}

impl Daemon {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts with more configuration; see [`config`].
    pub fn start_with(extra: &str) -> Self {
        Self::start_on(Arc::new(tempfile::tempdir().unwrap()), extra)
    }

    /// Starts on a data folder that an earlier daemon may have left.
    pub fn start_on(data: Arc<tempfile::TempDir>, extra: &str) -> Self {
        let config = config(data.path(), extra);
        Self::start_configured(data, &config)
    }

    /// Starts with this configuration.
    pub fn start_configured(data: Arc<tempfile::TempDir>, config: &str) -> Self {
        Self::start_in(data, config, &[])
    }

    /// Starts with this configuration and more environment variables.
    pub fn start_in(data: Arc<tempfile::TempDir>, config: &str, environment: &[(&str, &str)]) -> Self {
        let file = data.path().join("tableside.toml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(TABLESIDE)
            .args(["serve", "--config"])
            .arg(&file)
            .env_remove("RUST_LOG")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let reader = std::thread::spawn({
            let log = log.clone();
            move || lines.map_while(Result::ok).for_each(|line| *log.lock().unwrap() += &(line + "\n"))
        });
        let mut daemon = Self { child, log, reader: Some(reader), dicom: String::new(), console: String::new(), data };
        let listening = wait_for("the daemon to listen", || {
            assert!(daemon.child.try_wait().unwrap().is_none(), "the daemon ended:\n{}", daemon.log());
            daemon.log().lines().find(|line| line.contains(" listening ")).map(str::to_owned)
        });
        let address = |name: &str| {
            let found = listening.split_whitespace().find_map(|word| word.strip_prefix(name));
            found.expect("an address").to_owned()
        };
        (daemon.dicom, daemon.console) = (address("dicom="), address("console="));
        daemon
    }

    /// Kills it as a power cut would and starts another on the same data.
    pub fn kill_and_start_again(mut self) -> Self {
        self.kill();
        Self::start_on(self.data.clone(), "")
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop as systemd does.
    pub fn ask_to_stop(&self) {
        self.signal("TERM");
    }

    /// Has it read this configuration in place of its own.
    pub fn reload(&self, config: &str) {
        std::fs::write(self.data.path().join("tableside.toml"), config).unwrap();
        self.signal("HUP");
    }

    /// Sends a signal, named as for `kill -s`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to stop and waits for its end.
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.ask_to_stop();
        let status = wait_for("the daemon to stop", || self.child.try_wait().unwrap());
        self.reader.take().unwrap().join().unwrap();
        (status, self.log())
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `HOST:PORT` for scanners.
    pub fn dicom(&self) -> &str {
        &self.dicom
    }

    pub fn port(&self) -> &str {
        self.dicom.rsplit(':').next().unwrap()
    }

    /// The port for scanners that encrypt.
    pub fn tls_port(&self) -> String {
        let log = self.log();
        let address = log.split_whitespace().find_map(|word| word.strip_prefix("dicom_tls=")).expect("a TLS address");
        address.rsplit(':').next().unwrap().to_owned()
    }

    /// `HOST:PORT` for browsers.
    pub fn console(&self) -> &str {
        &self.console
    }

    /// `HOST:PORT` for Prometheus, where that is not the console's.
    pub fn metrics(&self) -> Option<String> {
        self.log().split_whitespace().find_map(|word| word.strip_prefix("metrics=")).map(str::to_owned)
    }

    /// The configuration file.
    pub fn configuration(&self) -> std::path::PathBuf {
        self.data.path().join("tableside.toml")
    }

    /// The folder with spool and database.
    pub fn state(&self) -> std::path::PathBuf {
        self.data.path().join("state")
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn wait_for_log(&self, text: &str) {
        wait_for(&format!("{text:?} in the log"), || self.log().contains(text).then_some(()));
    }

    pub fn get(&self, path: &str) -> Response {
        http::get(&self.console, path)
    }

    /// The picture of a slab of [`Self::details`], whose address is relative to the console's.
    pub fn picture(&self, slab: &Value) -> Response {
        self.get(&format!("/{}", slab["picture"].as_str().unwrap()))
    }

    /// The exams of `GET /api/v1/exams`, newest first.
    pub fn exams(&self) -> Vec<Value> {
        self.get("/api/v1/exams").json()["exams"].as_array().unwrap().clone()
    }

    /// `GET /api/v1/exams/{key}`: `exam`, `slabs` and `report`.
    pub fn details(&self, key: &str) -> Value {
        self.get(&format!("/api/v1/exams/{key}")).json()
    }

    /// Waits until one exam has so many instances and a verdict on them. Returns its details.
    pub fn verdict_on(&self, received: usize) -> Value {
        let key = wait_for(&format!("a verdict on {received} instances"), || {
            let complete = self
                .exams()
                .into_iter()
                .find(|exam| exam["state"] == "complete" && exam["slices"]["received"] == received);
            Some(complete?["key"].as_str().unwrap().to_owned())
        });
        self.details(&key)
    }

    /// The sum of a metric over all its labels that contain `labels`.
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        let address = self.metrics().unwrap_or_else(|| self.console.clone());
        let text = http::get(&address, "/metrics").text();
        let samples = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}---", self.log());
        }
    }
}

/// The flag of a kind, if the exam has it.
pub fn flag<'a>(exam: &'a Value, kind: &str) -> Option<&'a Value> {
    exam["flags"].as_array()?.iter().find(|flag| flag["kind"] == kind)
}
