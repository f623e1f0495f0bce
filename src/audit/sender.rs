//! The thread that sends the trail to a syslog server: RFC 5424 messages over TLS, framed by counting their octets (RFC 5425).
//!
//! It follows the files, so a server that is down loses nothing: what it did not get is sent once it is back. The protocol has no
//! acknowledgements, and TCP's own say only that the server's system has the bytes. So what was sent within [`DOUBTED`] before a
//! connection was lost, or before the daemon ended, is sent again, under the same sequence numbers. That covers all that can have been
//! on the way: a system that does not confirm bytes within [`UNCONFIRMED_BYTES`] counts as lost, and a server that ends is noticed
//! before the next record is written, or fails the write.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::follower::Follower;
use super::shared::Shared;
use crate::backoff::{Backoff, RetryLimits};
use crate::client_tls::{ClientTls, Encrypted, connect, host_of};
use crate::spool::write_durably;
use crate::telemetry;

/// What was sent longer ago, over a connection that still stands, is believed to have arrived.
const DOUBTED: Duration = Duration::from_secs(30);

/// A connection whose bytes are not confirmed by the server's system for so long is lost. Shorter than [`DOUBTED`].
const UNCONFIRMED_BYTES: Duration = Duration::from_secs(20);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that takes no certificate of ours says so only after the handshake (RFC 8446 section 4.4): that is waited for.
const SECOND_THOUGHTS: Duration = Duration::from_millis(500);

/// Whether the server has hung up is looked at before each of these many records, and this often while there are none.
const BURST: u64 = 200;
const LOOK: Duration = Duration::from_secs(1);

/// How far it has come is written down this often: what was sent since is sent again after a crash.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// A server that is down for the night is asked every minute.
const RETRIES: RetryLimits = RetryLimits { first: Duration::from_secs(1), longest: Duration::from_mins(1) };

/// The server that gets the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogOptions {
    /// `HOST:PORT`.
    pub address: String,
    pub tls: ClientTls,
}

impl SyslogOptions {
    /// The server's name or address, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        host_of(&self.address)
    }
}

/// The thread's own.
pub(super) struct Sender {
    shared: Arc<Shared>,
    options: SyslogOptions,
    follower: Follower,
    backoff: Backoff,
    /// When records were sent, and the last one of each time.
    doubted: VecDeque<(Instant, u64)>,
    /// The last record that is believed to have arrived.
    arrived: u64,
    position: Position,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>, folder: PathBuf, options: SyslogOptions) -> Self {
        let position = Position::of(&folder);
        let arrived = position.noted;
        shared.arrived(arrived);
        let follower = Follower::new(folder, arrived + 1);
        let backoff = Backoff::new(RETRIES);
        Self { shared, options, follower, backoff, doubted: VecDeque::new(), arrived, position }
    }

    pub(super) fn run(mut self) {
        if !self.shared.wait_until_open() {
            return;
        }
        loop {
            let ended = self.serve_connection();
            self.position.note(self.arrived, true);
            let Err(error) = ended else { return };
            self.follower.seek(self.arrived + 1);
            self.doubted.clear();
            self.shared.send_failed(self.arrived, &format!("{}: {error}", self.options.address));
            telemetry::audit_failed("send");
            if !self.shared.pause(self.backoff.pause(None)) {
                return;
            }
        }
    }

    /// Sends what there is over one connection until the trail is closed.
    fn serve_connection(&mut self) -> io::Result<()> {
        let mut stream = self.open()?;
        loop {
            is_open(&mut stream)?;
            let written = self.shared.head().sequence;
            // The trail may have been put back from an earlier copy.
            if self.follower.next() > written + 1 {
                self.follower.seek(written + 1);
                self.arrived = self.arrived.min(written);
            }
            let through = written.min(self.follower.next() + BURST - 1);
            let before = self.follower.next();
            self.follower.follow(through, |_, record| {
                stream.write_all(format!("{} ", record.len()).as_bytes())?;
                stream.write_all(record)
            })?;
            if self.follower.next() > before {
                stream.flush()?;
                self.doubted.push_back((Instant::now(), self.follower.next() - 1));
                self.backoff.reset();
            }
            self.believe();
            self.shared.sent(self.follower.next() - 1);
            if !self.shared.wait_for_more(self.follower.next() - 1, LOOK) {
                stream.conn.send_close_notify();
                // The server may be gone; then there is nobody to tell.
                let _ = stream.flush();
                return Ok(());
            }
        }
    }

    fn open(&self) -> io::Result<Encrypted> {
        let stream = connect(&self.options.address, CONNECT_TIMEOUT, CONNECT_TIMEOUT)?;
        let socket = socket2::SockRef::from(&stream);
        socket.set_tcp_user_timeout(Some(UNCONFIRMED_BYTES))?;
        let mut stream = self.options.tls.encrypted(stream, &self.options.address)?;
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        stream.sock.set_read_timeout(Some(SECOND_THOUGHTS))?;
        is_open(&mut stream)?;
        stream.sock.set_read_timeout(Some(Duration::from_millis(1)))?;
        Ok(stream)
    }

    fn believe(&mut self) {
        while let Some((_, last)) = self.doubted.pop_front_if(|(at, _)| at.elapsed() >= DOUBTED) {
            self.arrived = last;
        }
        self.shared.arrived(self.arrived);
        self.position.note(self.arrived, false);
    }
}

/// That the server has not hung up. A syslog server says nothing (RFC 5425 section 4.4); what it says all the same is passed over.
fn is_open(stream: &mut Encrypted) -> io::Result<()> {
    match stream.read(&mut [0; 256]) {
        Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "it hung up")),
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(error),
    }
}

/// How far the server's copy goes, in a file beside the trail.
#[derive(Debug)]
struct Position {
    file: PathBuf,
    noted: u64,
    at: Instant,
}

impl Position {
    /// What an earlier run noted.
    fn of(folder: &std::path::Path) -> Self {
        let file = folder.join("sent");
        let noted = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        Self { file, noted, at: Instant::now() }
    }

    fn note(&mut self, arrived: u64, is_now: bool) {
        if arrived == self.noted || !is_now && self.at.elapsed() < NOTE_EVERY {
            return;
        }
        self.at = Instant::now();
        match write_durably(&self.file.with_extension("part"), &self.file, &[format!("{arrived}\n").as_bytes()]) {
            Ok(()) => self.noted = arrived,
            Err(error) => {
                tracing::warn!(%error, "how far the audit trail was sent cannot be noted: after a restart more of it is sent again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_came_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut position = Position::of(folder.path());
        assert_eq!(position.noted, 0);
        position.note(3, false);
        assert_eq!(Position::of(folder.path()).noted, 0, "not noted at every record");
        position.note(3, true);
        assert_eq!(Position::of(folder.path()).noted, 3);
    }

    #[test]
    fn bytes_that_are_not_confirmed_are_doubted_for_longer_than_a_connection_may_live_without() {
        assert!(UNCONFIRMED_BYTES < DOUBTED);
    }
}
