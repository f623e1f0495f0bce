//! As much of HTTP as the tests need: one request a connection, answers with their length or up to the end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long an answer or an event may take on a machine that is busy with other tests.
const TIMEOUT: Duration = Duration::from_mins(2);

pub struct Response {
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

pub fn get(address: &str, path: &str) -> Response {
    request(address, "GET", path, None)
}

pub fn post(address: &str, path: &str, body: &Value) -> Response {
    request(address, "POST", path, Some(body))
}

/// A page again, as a browser asks that has it in this edition.
pub fn get_unless(address: &str, path: &str, edition: &str) -> Response {
    request_with(address, "GET", path, None, &format!("If-None-Match: {edition}\r\n"))
}

/// A page, asked for with more lines of a header.
pub fn get_with(address: &str, path: &str, header: &str) -> Response {
    request_with(address, "GET", path, None, header)
}

/// The header of an answer, without waiting for its body.
pub fn head_of(address: &str, path: &str) -> String {
    head(&mut open(address, "GET", path, "HTTP/1.1", None, "")).1
}

pub fn request(address: &str, method: &str, path: &str, body: Option<&Value>) -> Response {
    request_with(address, method, path, body, "")
}

/// `header`: more lines of it.
pub fn request_with(address: &str, method: &str, path: &str, body: Option<&Value>, header: &str) -> Response {
    let mut reader = open(address, method, path, "HTTP/1.1", body, header);
    let (status, headers) = head(&mut reader);
    let mut body = Vec::new();
    // An answer that says that nothing has changed has no body, whatever length it names.
    match headers.lines().filter(|_| status != 304).find_map(|line| line.strip_prefix("content-length:")) {
        Some(length) => reader.take(length.trim().parse().unwrap()).read_to_end(&mut body).unwrap(),
        None => reader.read_to_end(&mut body).unwrap(),
    };
    Response { status, headers, body }
}

/// `header`: more lines of it.
fn open(
    address: &str,
    method: &str,
    path: &str,
    version: &str,
    body: Option<&Value>,
    header: &str,
) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let body = body.map(Value::to_string).unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    write!(stream, "{method} {path} {version}\r\nHost: {address}\r\nConnection: close\r\n{kind}{header}Content-Length: {length}\r\n\r\n{body}")
        .unwrap();
    BufReader::new(stream)
}

/// Status and header lines, names in lower case.
fn head(reader: &mut impl BufRead) -> (u16, String) {
    let mut status = String::new();
    reader.read_line(&mut status).unwrap();
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    let mut headers = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(':') else { return (status, headers) };
        headers.extend([&name.to_lowercase(), ": ", value.trim(), "\n"]);
    }
}

/// The stream of `GET /api/v1/events`.
pub struct Events(BufReader<TcpStream>);

impl Events {
    pub fn open(address: &str) -> Self {
        Self::open_at(address, "/api/v1/events")
    }

    /// The stream at another path, as a proxy gives it.
    pub fn open_at(address: &str, path: &str) -> Self {
        Self::open_as(address, path, "")
    }

    /// The stream for who is named in the header.
    pub fn open_as(address: &str, path: &str, header: &str) -> Self {
        // HTTP/1.0 has no chunks: the stream comes as it is.
        let mut reader = open(address, "GET", path, "HTTP/1.0", None, header);
        let (status, headers) = head(&mut reader);
        assert_eq!(status, 200, "{headers}");
        assert!(headers.contains("content-type: text/event-stream"), "{headers}");
        Self(reader)
    }

    /// The stream from the event after `last` on.
    pub fn open_after(address: &str, last: &str) -> Self {
        Self::open_at(address, &format!("/api/v1/events?after={last}"))
    }

    /// Reads until the daemon ends the stream.
    pub fn wait_for_end(&mut self) {
        std::io::copy(&mut self.0, &mut std::io::sink()).unwrap();
    }

    /// The next event's name and data.
    pub fn next(&mut self) -> (String, Value) {
        let (name, data, _) = self.next_with_id();
        (name, data)
    }

    /// The next event's name and data, and its id; "" for one without.
    pub fn next_with_id(&mut self) -> (String, Value, String) {
        let (mut name, mut data, mut id) = (String::new(), String::new(), String::new());
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream has ended");
            match line.trim_end().split_once(": ") {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("data", value)) => data += value,
                Some(("id", value)) => value.clone_into(&mut id),
                _ if !data.is_empty() => return (name, serde_json::from_str(&data).unwrap(), id),
                _ => {}
            }
        }
    }

    /// The first event, from now on, that `is_it` holds of.
    pub fn wait_for(&mut self, what: &str, is_it: impl Fn(&str, &Value) -> bool) -> Value {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let (name, data) = self.next();
            if is_it(&name, &data) {
                return data;
            }
            assert!(Instant::now() < deadline, "no {what} on the event stream");
        }
    }
}
