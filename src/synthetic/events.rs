//! The console's event stream, asked for as a browser does: over TCP, from outside.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::server_tls::ServerTls;
use crate::triage::Verdict;

/// The daemon's own console, and what lets us in.
#[derive(Debug, Clone)]
pub struct OwnConsole {
    pub address: SocketAddr,
    /// Sent as `Authorization: Bearer`.
    pub token: String,
    /// What it is served with, where it is encrypted.
    pub tls: Option<Arc<ServerTls>>,
}

/// Why nothing can be read of the event stream.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("the event stream cannot be read: {0}")]
    Connection(#[from] io::Error),
    #[error("the event stream was refused: {0}")]
    Refused(String),
    #[error("the event stream has ended")]
    Ended,
    #[error("an event cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// The stream of `GET /api/v1/events`, from its first event on.
pub(super) struct Events(Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>);

/// The data of an event `synthetic`.
#[derive(Debug, Deserialize)]
struct Told {
    exam: String,
    verdict: Verdict,
}

impl Events {
    /// Opens the stream and waits for its first event: from then on no event is missed.
    ///
    /// # Errors
    /// If nobody answers, or with something else.
    pub(super) async fn open(console: &OwnConsole) -> Result<Self, EventError> {
        let OwnConsole { address, token, tls } = console;
        let mut stream = TcpStream::connect(address).await?;
        // HTTP/1.0 has no chunks: the stream comes as it is.
        let request = format!(
            "GET /api/v1/events HTTP/1.0\r\nHost: {address}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let stream: Box<dyn AsyncRead + Send + Unpin> = match tls {
            None => {
                stream.write_all(request.as_bytes()).await?;
                Box::new(stream)
            }
            Some(tls) => {
                let connector = TlsConnector::from(tls.client_of_this_server().map_err(io::Error::other)?);
                let mut stream = connector.connect(address.ip().into(), stream).await?;
                stream.write_all(request.as_bytes()).await?;
                stream.flush().await?;
                Box::new(stream)
            }
        };
        let mut events = Self(BufReader::new(stream).lines());
        let status = events.line().await?;
        if status.split(' ').nth(1) != Some("200") {
            return Err(EventError::Refused(status));
        }
        while !events.line().await?.starts_with("event:") {}
        Ok(events)
    }

    /// The verdict on a synthetic patient, once it is told.
    ///
    /// # Errors
    /// If the stream ends before.
    pub(super) async fn verdict_on(&mut self, exam: &str) -> Result<Verdict, EventError> {
        loop {
            if self.line().await? != "event: synthetic" {
                continue;
            }
            // The console writes an event's data in one line.
            let data = loop {
                if let Some(data) = self.line().await?.strip_prefix("data: ") {
                    break data.to_owned();
                }
            };
            let told: Told = serde_json::from_str(&data)?;
            if told.exam == exam {
                return Ok(told.verdict);
            }
        }
    }

    async fn line(&mut self) -> Result<String, EventError> {
        self.0.next_line().await?.ok_or(EventError::Ended)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// The verdict on exam `s2` of a console that answers this and ends.
    async fn told(answer: &'static str) -> Result<Verdict, EventError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let console = OwnConsole { address, token: "token".to_owned(), tls: None };
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            // What is not read would take the answer with it when the connection is closed.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap();
        });
        Events::open(&console).await?.verdict_on("s2").await
    }

    const HEAD: &str = "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: status\ndata: {}\n\n";

    #[tokio::test]
    async fn the_verdict_on_this_patient_is_found_among_all_other_events() {
        const EVENTS: &str = "HTTP/1.0 200 OK\r\n\r\nevent: status\ndata: {}\n\n:\n\nevent: exam\ndata: {\"key\":\"s2\"}\n\n\
            event: synthetic\nid: 7-1\ndata: {\"exam\":\"s1\",\"verdict\":\"not_analysed\"}\n\n\
            event: synthetic\nid: 7-2\ndata: {\"exam\":\"s2\",\"verdict\":\"suspected\"}\n\n";
        assert_eq!(told(EVENTS).await.unwrap(), Verdict::Suspected);
    }

    #[tokio::test]
    async fn a_stream_that_ends_or_is_none_is_no_verdict() {
        assert!(matches!(told(HEAD).await, Err(EventError::Ended)));
        let refused = told("HTTP/1.0 503 Service Unavailable\r\n\r\n").await.unwrap_err();
        assert!(refused.to_string().contains("503"), "{refused}");
        assert!(matches!(told("").await, Err(EventError::Ended)));
    }
}
