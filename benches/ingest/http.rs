//! As much of HTTP as asking a receiver takes.

use std::io::{Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// The body of a `GET` that is answered with 200.
pub fn get(address: SocketAddr, path: &str) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // Version 1.0: the body ends with the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    let head = response.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let head = head.ok_or_else(|| Error::other("no HTTP response"))?;
    let status = String::from_utf8_lossy(&response[..head]).split_whitespace().nth(1).map(str::to_owned);
    match status.as_deref() {
        Some("200") => Ok(response.split_off(head + 4)),
        other => Err(Error::other(format!("{path}: status {}", other.unwrap_or("missing")))),
    }
}
