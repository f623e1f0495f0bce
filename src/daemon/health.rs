//! Whether the daemon does its work.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use crate::console::Status;
use crate::pipeline::Pipeline;
use crate::serving::EngineState;
use crate::spool::Spool;

/// What the console's status is made from.
pub struct State {
    pub engine: EngineState,
    pub model: String,
    pub ae_title: String,
    pub dicom_address: SocketAddr,
    pub pipeline: Arc<std::sync::Mutex<Option<Pipeline>>>,
    pub ingest: tokio::task::AbortHandle,
    pub spool: Weak<Spool>,
    pub data: PathBuf,
    pub insecure: bool,
}

impl State {
    pub fn status(&self) -> Status {
        let problems = self.problems();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: problems.is_empty(),
            problems,
            notices: self.notices(),
            engine: self.engine.engine().to_owned(),
            model: self.model.clone(),
            ae_title: self.ae_title.clone(),
            dicom_address: self.dicom_address.to_string(),
            port: self.dicom_address.port(),
        }
    }

    fn notices(&self) -> Vec<String> {
        let open =
            self.insecure.then(|| "Not secured: anyone on the network may send slices (dicom.insecure)".to_owned());
        let gpu = self.engine.gpu_failure().map(|reason| {
            format!("The GPU failed, the {} engine serves until a restart: {reason}", self.engine.engine())
        });
        open.into_iter().chain(gpu).collect()
    }

    fn problems(&self) -> Vec<String> {
        let pipeline = self.pipeline.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let checks = [
            (
                pipeline.as_ref().is_some_and(Pipeline::is_alive),
                "the analysis has stopped: restart tableside".to_owned(),
            ),
            (!self.ingest.is_finished(), "no DICOM connections are accepted: restart tableside".to_owned()),
            (is_writable(&self.data), format!("{} cannot be written to", self.data.display())),
        ];
        let spool = self.spool.upgrade().and_then(|spool| spool.problem());
        let failing = checks.into_iter().filter(|(holds, _)| !holds).map(|(_, problem)| problem);
        failing.chain(spool.map(|problem| format!("nothing can be stored: {problem}"))).collect()
    }
}

fn is_writable(folder: &std::path::Path) -> bool {
    let probe = folder.join(".writable");
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).is_ok()
}
