//! Secrets that are given out: 32 random bytes, of which only the SHA-256 is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::database::SecretHash;

/// A secret, as it is given out once.
pub struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    #[must_use]
    pub fn new() -> Self {
        Self(random())
    }

    /// For a cookie, a header or a link.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    #[must_use]
    pub fn hash(&self) -> SecretHash {
        Sha256::digest(self.0).into()
    }

    /// What somebody presents; `None` for what cannot be a secret.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        // 43 characters: nothing longer is decoded.
        let bytes = if text.len() == 43 { URL_SAFE_NO_PAD.decode(text).ok()? } else { return None };
        bytes.try_into().ok().map(Self)
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether both are the same, in a time that does not say how much of them is.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}
