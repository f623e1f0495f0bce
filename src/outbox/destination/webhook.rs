//! Notification by webhook: a `CloudEvents` 1.0 event in JSON, signed as Standard Webhooks 1.0 says.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::json;
use sha2::Sha256;

use super::http::{self, Http, HttpOptions};
use super::notification::{NoticeOptions, Notification};
use super::{NodeFault, Tell};
use crate::database::Delivery;

/// Where to, and what the receiver knows us by.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookOptions {
    pub http: HttpOptions,
    /// A secret a line, each as `whsec_` and Base64: while secrets change, two stand there, and both sign.
    pub secrets: PathBuf,
    pub notice: NoticeOptions,
}

pub(in crate::outbox) struct Webhook {
    options: WebhookOptions,
    http: Http,
}

impl Webhook {
    /// # Errors
    /// If the receiver is reached by TLS and the authorities cannot be read.
    pub(super) fn new(options: WebhookOptions) -> std::io::Result<Self> {
        Ok(Self { http: Http::new(options.http.clone())?, options })
    }

    pub(super) fn deliver(&self, delivery: &Delivery, tell: Tell<'_>) -> Result<(), NodeFault> {
        let now = Timestamp::now();
        let Some(notification) = Notification::of(delivery, &self.options.notice, now) else { return Ok(()) };
        let keys = self.keys()?;
        let body = event(&notification).to_string();
        let at = now.as_second();
        let signatures: Vec<String> =
            keys.iter().map(|key| signature(key, &notification.id, at, body.as_bytes())).collect();
        let headers = [
            ("content-type", "application/cloudevents+json; charset=UTF-8".to_owned()),
            ("webhook-id", notification.id.clone()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", signatures.join(" ")),
        ];
        let meaning = |status, _: &str| http::answer(status);
        self.http.deliver(delivery, &self.options.http.url, &headers, body.as_bytes(), meaning, tell)
    }

    /// Read anew each time, so that they can be changed.
    fn keys(&self) -> Result<Vec<Vec<u8>>, NodeFault> {
        let file = self.options.secrets.display();
        let text = std::fs::read_to_string(&self.options.secrets)
            .map_err(|error| NodeFault::new(format!("the secrets in {file} cannot be read: {error}")))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Option<Vec<Vec<u8>>> = lines.map(key).collect();
        keys.filter(|keys| !keys.is_empty())
            .ok_or_else(|| NodeFault::new(format!("{file} has a line that is not whsec_ and Base64, or none at all")))
    }
}

fn key(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix("whsec_")?).ok().filter(|key| !key.is_empty())
}

/// Standard Webhooks 1.0, "Signature scheme": HMAC-SHA256 over identifier, moment of the attempt and body.
fn signature(key: &[u8], id: &str, at: i64, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// `CloudEvents` 1.0, section 3.1, with the extension `sequence`.
fn event(Notification { id, number, due, is_late, notice }: &Notification) -> serde_json::Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "/tableside",
        "type": "tableside.exam.changed",
        "subject": notice.exam,
        "time": due.to_string(),
        "datacontenttype": "application/json",
        "sequence": format!("{number:010}"),
        "late": is_late,
        "data": notice,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's reference implementations.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_none() {
        for text in ["", "secret", "whsec_", "whsec_???"] {
            assert_eq!(key(text), None, "{text}");
        }
    }
}
