//! The stop.

use super::Daemon;

impl Daemon {
    /// Stops listening, lets open associations and requests finish, then stops the threads.
    pub async fn stop(self) {
        // The tasks hold receivers; where they have ended already there is nobody left to tell.
        let _ = self.stop.send(true);
        for task in [self.ingest, self.console] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task had stopped unexpectedly");
            }
        }
        drop(self.retention);
        let pipeline = self.pipeline.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(pipeline) = pipeline
            && tokio::task::spawn_blocking(move || pipeline.stop()).await.is_err()
        {
            tracing::error!("the pipeline did not stop in order");
        }
    }
}
