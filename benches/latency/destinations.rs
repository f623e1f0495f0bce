//! What an exam's results go to beside the console: a real Orthanc, and a receiver of webhooks that notes when each came.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, State};
use axum::routing::post;
use jiff::Timestamp;
use serde_json::{Value, json};

/// When a notification came, and what it says.
type Notified = Arc<Mutex<Vec<(Timestamp, Value)>>>;

pub struct Destinations {
    orthanc: Child,
    dicom: SocketAddr,
    webhook: SocketAddr,
    notified: Notified,
    folder: tempfile::TempDir,
    _receiver: tokio::runtime::Runtime,
}

impl Destinations {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [http, dicom] = [(); 2]
            .map(|()| TcpListener::bind("127.0.0.1:0").unwrap())
            .each_ref()
            .map(|free| free.local_addr().unwrap());
        let file = folder.path().join("orthanc.json");
        let config = json!({
            "StorageDirectory": folder.path().join("archive"), "IndexDirectory": folder.path().join("index"),
            "HttpPort": http.port(), "DicomPort": dicom.port(), "AuthenticationEnabled": false,
        });
        std::fs::write(&file, config.to_string()).unwrap();
        std::fs::write(folder.path().join("secrets"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let program = ["/usr/sbin/Orthanc", "/usr/bin/Orthanc"].into_iter().find(|path| Path::new(path).exists());
        let program = program.expect("Orthanc; it is in the Debian package orthanc");
        let orthanc = Command::new(program).arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while TcpStream::connect(dicom).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let receiver = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let notified = Notified::default();
        let router = Router::new().route("/", post(note)).with_state(notified.clone());
        let listener = receiver.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let webhook = listener.local_addr().unwrap();
        receiver.spawn(async move { axum::serve(listener, router).await });
        Self { orthanc, dicom, webhook, notified, folder, _receiver: receiver }
    }

    /// The daemon's configuration.
    pub fn config(&self) -> String {
        format!(
            "[[destination]]\nname = \"archive\"\nc_store = \"ORTHANC@{}\"\n\
             [[destination]]\nname = \"clinic\"\nwebhook = \"http://{}/\"\nsecrets_file = \"{}\"\n",
            self.dicom,
            self.webhook,
            self.folder.path().join("secrets").display()
        )
    }

    /// From when an exam's flag was raised until the first notification of it was accepted, for these exams.
    pub fn flag_to_webhook(&self, exams: &[String]) -> Vec<Duration> {
        let notified = self.notified.lock().unwrap();
        let first = |exam: &String| {
            let of_exam = notified.iter().filter(|(_, notice)| notice["subject"] == **exam);
            let mut raised = of_exam.filter_map(|(at, notice)| {
                let raised: Timestamp = notice["data"]["flags"][0]["raised"].as_str()?.parse().ok()?;
                Duration::try_from(at.duration_since(raised)).ok()
            });
            raised.next()
        };
        exams.iter().filter_map(first).collect()
    }
}

async fn note(State(notified): State<Notified>, Json(notice): Json<Value>) {
    notified.lock().unwrap().push((Timestamp::now(), notice));
}

impl Drop for Destinations {
    fn drop(&mut self) {
        let _ = self.orthanc.kill();
        let _ = self.orthanc.wait();
    }
}
