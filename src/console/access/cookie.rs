//! The cookie that a browser keeps: a session's token, or a kiosk's.

use axum::http::{HeaderMap, header};

use super::secret::Secret;

/// Browsers keep a cookie no longer than this, s (RFC 6265bis section 5.5): a kiosk's.
const KIOSK_S: u32 = 400 * 86_400;

/// A log-in at the OpenID provider is over by then, s.
#[cfg(feature = "openid")]
const BINDING_S: u32 = 600;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Session,
    Kiosk,
}

impl TokenKind {
    const fn letter(self) -> char {
        match self {
            Self::Session => 's',
            Self::Kiosk => 'k',
        }
    }
}

/// How the cookie is named and sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookies {
    /// Browsers keep it for this host alone and send it back encrypted alone (RFC 6265bis section 4.1.3.2); from loopback they take it
    /// without encryption too.
    pub secure: bool,
}

impl Cookies {
    const fn name(self) -> &'static str {
        if self.secure { "__Host-tableside" } else { "tableside-unencrypted" }
    }

    const fn binding(self) -> &'static str {
        if self.secure { "__Host-tableside-openid" } else { "tableside-openid-unencrypted" }
    }

    /// The header that binds a browser to a log-in at the OpenID provider. Unlike the others it comes back from another site's page.
    #[cfg(feature = "openid")]
    pub(super) fn bind(self, secret: &Secret) -> String {
        self.lax(&secret.text(), BINDING_S)
    }

    /// The header that ends that.
    pub(super) fn unbind(self) -> String {
        self.lax("", 0)
    }

    fn lax(self, value: &str, lasts_s: u32) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={lasts_s}", self.binding())
    }

    /// What binds the browser to a log-in at the provider.
    #[cfg(feature = "openid")]
    pub(super) fn bound(self, headers: &HeaderMap) -> Option<Secret> {
        Secret::presented(only(headers, self.binding())?)
    }

    /// The header that has a browser keep a token.
    pub(super) fn keep(self, kind: TokenKind, secret: &Secret) -> String {
        let lasts = match kind {
            // Until the browser is closed.
            TokenKind::Session => String::new(),
            TokenKind::Kiosk => format!("; Max-Age={KIOSK_S}"),
        };
        self.header(&format!("{}.{}", kind.letter(), secret.text()), &lasts)
    }

    /// The header that has a browser forget it.
    pub(super) fn forget(self) -> String {
        self.header("", "; Max-Age=0")
    }

    fn header(self, value: &str, lasts: &str) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{lasts}", self.name())
    }

    /// The token that a browser sends. None where it sends two: only one can be ours.
    pub(super) fn presented(self, headers: &HeaderMap) -> Option<(TokenKind, Secret)> {
        let (letter, text) = only(headers, self.name())?.split_once('.')?;
        let kind =
            [TokenKind::Session, TokenKind::Kiosk].into_iter().find(|kind| letter == kind.letter().to_string())?;
        Some((kind, Secret::presented(text)?))
    }
}

/// The value of the only cookie of this name.
fn only<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = texts.flat_map(|text| text.split(';')).filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == wanted).then_some(value)
    });
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(cookies: &[&str]) -> HeaderMap {
        cookies.iter().map(|cookie| (header::COOKIE, cookie.parse().unwrap())).collect()
    }

    #[test]
    fn what_a_browser_keeps_comes_back_and_nothing_else_is_taken_for_it() {
        let (cookies, secret) = (Cookies { secure: true }, Secret::new());
        for kind in [TokenKind::Session, TokenKind::Kiosk] {
            let header = cookies.keep(kind, &secret);
            assert!(
                header.starts_with("__Host-tableside=")
                    && header.contains("; Path=/; HttpOnly; SameSite=Strict; Secure")
            );
            let (pair, _) = header.split_once(';').unwrap();
            let (found, presented) = cookies.presented(&sent(&["other=1; x=y", pair])).unwrap();
            assert!(found == kind && presented.hash() == secret.hash());
            assert!(cookies.presented(&sent(&[pair, pair])).is_none());
            assert!(Cookies { secure: false }.presented(&sent(&[pair])).is_none());
            assert!(cookies.presented(&sent(&[&pair[..pair.len() - 1]])).is_none());
            assert!(cookies.presented(&sent(&[&pair.replace("__Host-", "")])).is_none());
        }
        for value in ["", "s.", "x.AAAA", "s"] {
            assert!(cookies.presented(&sent(&[&format!("__Host-tableside={value}")])).is_none(), "{value}");
        }
        assert!(!Cookies { secure: false }.keep(TokenKind::Session, &secret).contains("Secure"));
        assert!(cookies.forget().contains("Max-Age=0"));
    }
}
