//! Delivery by STOW-RS (PS3.18 section 10.5): one request an object, so that each has its own answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::{Answer, NodeFault, Step, Tell, answer, file_of};
use crate::database::Delivery;

/// Where to, and as whom.
#[derive(Debug, Clone, PartialEq)]
pub struct StowOptions {
    /// The service's address, to which `/studies` belongs.
    pub url: String,
    /// User name, and the file with the password.
    pub user: Option<(String, PathBuf)>,
    /// PEM file of the authorities that may have signed the service's certificate.
    pub authorities: PathBuf,
    pub connect_timeout: Duration,
    pub answer_timeout: Duration,
}

pub(in crate::outbox) struct StowRs {
    options: StowOptions,
    agent: Agent,
}

/// Separates the parts of a body; nothing that begins like it is in a Part 10 file behind a line break by accident.
const BOUNDARY: &str = "tableside-part-10-9f3c2a71d85b4e06";

/// More of an answer is not read.
const LONGEST_ANSWER: u64 = 1 << 20;

impl StowRs {
    /// # Errors
    /// If the service is reached by TLS and the authorities cannot be read.
    pub(super) fn new(options: StowOptions) -> std::io::Result<Self> {
        let roots = if options.url.starts_with("https:") { authorities(&options.authorities)? } else { Vec::new() };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .build();
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

    pub(super) fn deliver(&self, batch: &[Delivery], tell: Tell<'_>) -> Result<(), NodeFault> {
        let authorization = self.authorization()?;
        for delivery in batch {
            let Some(object) = &delivery.object else { continue };
            let file = match file_of(object) {
                Ok(file) => file,
                Err(reason) => {
                    tell(delivery, Step::Dead(reason))?;
                    continue;
                }
            };
            tell(delivery, Step::Sending)?;
            match self.post(&file, authorization.as_deref()) {
                Ok(response) => {
                    let (answer, retry_after) = read(response);
                    match answer {
                        Answer::Stored(remark) => tell(delivery, Step::Done(remark))?,
                        Answer::Refused(reason) => tell(delivery, Step::Dead(reason))?,
                        Answer::NotNow(reason) => {
                            tell(delivery, Step::Back(reason.clone()))?;
                            return Err(NodeFault { reason, retry_after });
                        }
                    }
                }
                Err(error) => {
                    let reason = format!("{}: {error}", self.options.url);
                    let step = if never_left(&error) { Step::Back } else { Step::Unsure };
                    tell(delivery, step(reason.clone()))?;
                    return Err(NodeFault::new(reason));
                }
            }
        }
        Ok(())
    }

    /// The password is read anew each time, so that it can be changed.
    fn authorization(&self) -> Result<Option<String>, NodeFault> {
        let Some((user, file)) = &self.options.user else { return Ok(None) };
        let password = std::fs::read_to_string(file)
            .map_err(|error| NodeFault::new(format!("the password in {} cannot be read: {error}", file.display())))?;
        let credentials = format!("{user}:{}", password.trim_end_matches(['\r', '\n']));
        Ok(Some(format!("Basic {}", STANDARD.encode(credentials))))
    }

    fn post(&self, file: &[u8], authorization: Option<&str>) -> Result<Response<ureq::Body>, ureq::Error> {
        let mut body = format!("--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n").into_bytes();
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let url = format!("{}/studies", self.options.url.trim_end_matches('/'));
        let content_type = format!("multipart/related; type=\"application/dicom\"; boundary={BOUNDARY}");
        let mut request = self
            .agent
            .post(url)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, "application/dicom+json");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request.send(&body[..])
    }
}

fn authorities(file: &Path) -> std::io::Result<Vec<Certificate<'static>>> {
    let named = |error: String| std::io::Error::other(format!("{}: {error}", file.display()));
    let pem = std::fs::read(file).map_err(|error| named(error.to_string()))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { Err(named("it holds no certificate".to_owned())) } else { Ok(certificates) }
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

fn read(mut response: Response<ureq::Body>) -> (Answer, Option<Duration>) {
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_string().unwrap_or_default();
    (meaning(status, &body), retry_after.map(Duration::from_secs))
}

// Attributes of the answer (PS3.18 section 10.5.3), as DICOM JSON names them.
const FAILED_SOP_SEQUENCE: &str = "00081198";
const FAILURE_REASON: &str = "00081197";
const REFERENCED_SOP_SEQUENCE: &str = "00081199";
const WARNING_REASON: &str = "00081196";

/// What the answer to a request with one object means: the object's own status where there is one, else that of the request.
fn meaning(status: StatusCode, body: &str) -> Answer {
    let body: Option<Value> = serde_json::from_str(body).ok();
    let reason = |sequence: &str, reason: &str| {
        let item = body.as_ref()?.get(sequence)?.get("Value")?.get(0)?;
        let value = item.get(reason)?.get("Value")?.get(0)?;
        u16::try_from(value.as_u64().or_else(|| value.as_str()?.parse().ok())?).ok()
    };
    if let Some(failure) = reason(FAILED_SOP_SEQUENCE, FAILURE_REASON) {
        return match answer(failure) {
            // A failure that names no fault is one.
            Answer::Stored(_) => Answer::Refused(format!("it lists the object as failed, with reason {failure:04X}")),
            other => other,
        };
    }
    match status.as_u16() {
        200 | 202 => {
            let warning = reason(REFERENCED_SOP_SEQUENCE, WARNING_REASON);
            Answer::Stored(warning.map(|warning| format!("stored with warning {warning:04X}")))
        }
        // The address, the credentials, a load too high: whoever mends that wants nothing lost meanwhile.
        100..=399 | 401 | 403 | 404 | 405 | 407 | 408 | 425 | 429 | 500..=599 => {
            Answer::NotNow(format!("it answered {status}"))
        }
        _ => Answer::Refused(format!("it refused the object: {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_costs_the_object_nothing() {
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503, 507] {
            let answer = meaning(StatusCode::from_u16(status).unwrap(), "");
            assert!(matches!(answer, Answer::NotNow(_)), "{status}");
        }
        for status in [400, 406, 409, 413, 415] {
            let answer = meaning(StatusCode::from_u16(status).unwrap(), "");
            assert!(matches!(answer, Answer::Refused(_)), "{status}");
        }
    }

    #[test]
    fn the_objects_own_status_counts_before_the_requests() {
        let failed = |reason: u16| {
            let item = serde_json::json!({ "00081197": { "vr": "US", "Value": [reason] } });
            serde_json::json!({ "00081198": { "vr": "SQ", "Value": [item] } }).to_string()
        };
        assert!(matches!(meaning(StatusCode::CONFLICT, &failed(0xA700)), Answer::NotNow(_)));
        assert!(matches!(meaning(StatusCode::OK, &failed(0xC000)), Answer::Refused(_)));
        assert!(matches!(meaning(StatusCode::OK, &failed(0)), Answer::Refused(_)));
        let stored = serde_json::json!({ "00081199": { "vr": "SQ", "Value": [{}] } }).to_string();
        assert_eq!(meaning(StatusCode::OK, &stored), Answer::Stored(None));
    }
}
