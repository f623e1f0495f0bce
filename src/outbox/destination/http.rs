//! What all deliveries by HTTP have in common: one POST, whose answer says what became of it.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::{Answer, NodeFault, Step, Tell, lost, settle};
use crate::client_tls::agent_tls;
use crate::database::Delivery;

/// Where to, and as whom.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpOptions {
    pub url: String,
    /// User name, and the file with the password.
    pub user: Option<(String, PathBuf)>,
    /// PEM file of the authorities that may have signed the service's certificate.
    pub authorities: PathBuf,
    pub connect_timeout: Duration,
    pub answer_timeout: Duration,
}

/// More of an answer is not read.
const LONGEST_ANSWER: u64 = 1 << 20;

/// A service that is gone (410) asks not to be called any more: it is called as seldom as possible.
const GONE: Duration = Duration::MAX;

pub(super) struct Http {
    options: HttpOptions,
    agent: Agent,
}

impl Http {
    /// # Errors
    /// If the service is reached by TLS and the authorities cannot be read.
    pub(super) fn new(options: HttpOptions) -> std::io::Result<Self> {
        let tls = agent_tls(&options.url, &options.authorities)?;
        // A redirect is followed nowhere: results go where the configuration says.
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_send_body(Some(options.answer_timeout))
            .timeout_recv_response(Some(options.answer_timeout))
            .timeout_recv_body(Some(options.answer_timeout))
            .user_agent(concat!("tableside/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { options, agent })
    }

    /// Sends a delivery as one request and tells what became of it; `meaning` reads status and body of the answer.
    pub(super) fn deliver(
        &self,
        delivery: &Delivery,
        url: &str,
        headers: &[(&str, String)],
        body: &[u8],
        meaning: impl Fn(StatusCode, &str) -> Answer,
        tell: Tell<'_>,
    ) -> Result<(), NodeFault> {
        let authorization = self.authorization()?;
        if !tell(delivery, Step::Sending)? {
            return Ok(());
        }
        let mut request = self.agent.post(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let (status, retry_after, text) = match request.send(body).and_then(read) {
            Ok(answer) => answer,
            Err(error) => {
                let reason = format!("{}: {error}", host_of(url));
                if never_left(&error) {
                    tell(delivery, Step::NotSent(reason.clone()))?;
                    return Err(NodeFault::new(reason));
                }
                return lost(delivery, reason, tell);
            }
        };
        let retry_after = retry_after.or_else(|| (status == StatusCode::GONE).then_some(GONE));
        settle(delivery, meaning(status, &text), tell).map_err(|fault| NodeFault { retry_after, ..fault })
    }

    /// The password is read anew each time, so that it can be changed.
    fn authorization(&self) -> Result<Option<String>, NodeFault> {
        let Some((user, file)) = &self.options.user else { return Ok(None) };
        let password = std::fs::read_to_string(file)
            .map_err(|error| NodeFault::new(format!("the password in {} cannot be read: {error}", file.display())))?;
        let credentials = format!("{user}:{}", password.trim_end_matches(['\r', '\n']));
        Ok(Some(format!("Basic {}", STANDARD.encode(credentials))))
    }
}

/// What a status means where no body says more.
pub(super) fn answer(status: StatusCode) -> Answer {
    match status.as_u16() {
        200..=299 => Answer::Stored(None),
        // The address, the credentials, a load too high: whoever mends that wants nothing lost meanwhile.
        100..=199 | 300..=399 | 401 | 403 | 404 | 405 | 407 | 408 | 410 | 425 | 429 | 500..=599 => {
            Answer::NotNow(format!("it answered {status}"))
        }
        _ => Answer::Refused(format!("it refused what it got: {status}")),
    }
}

/// Whether the destination cannot have got anything.
fn never_left(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BadUri(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

/// Status, `Retry-After` in seconds, and the body.
fn read(mut response: Response<ureq::Body>) -> Result<(StatusCode, Option<Duration>, String), ureq::Error> {
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec()?;
    Ok((response.status(), retry_after.map(Duration::from_secs), String::from_utf8_lossy(&body).into_owned()))
}

/// What an address names, for messages: its path or query may hold a secret.
pub(super) fn host_of(url: &str) -> &str {
    let from = url.find("://").map_or(0, |at| at + 3);
    let to = url[from..].find(['/', '?', '#']).map_or(url.len(), |at| from + at);
    &url[..to]
}
