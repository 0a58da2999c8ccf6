//! Keys derived from the server's secret, and the one thing that is done with them.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;

/// HMAC-SHA256 (RFC 2104) under a key.
pub(crate) type Authenticator = Hmac<Sha256>;

/// A key for one purpose.
pub(crate) struct Key(SecretBox<[u8; 32]>);

impl Key {
    /// The key for `label` under `secret`.
    pub(crate) fn derive(secret: &[u8], label: &str) -> Self {
        let mac = authenticator(secret)
            .chain_update(b"kith key v1\0")
            .chain_update(label.as_bytes())
            .finalize();
        Self(SecretBox::new(Box::new(mac.into_bytes().into())))
    }

    /// A MAC under this key that waits for its text.
    pub(crate) fn mac(&self) -> Authenticator {
        authenticator(self.0.expose_secret())
    }

    /// The key itself, for libraries that make their own MAC.
    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

fn authenticator(key: &[u8]) -> Authenticator {
    Authenticator::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_has_a_key_of_its_own() {
        let keys = ["access", "refresh", "cursor"].map(|label| Key::derive(b"one secret", label));
        assert_ne!(keys[0].expose(), keys[1].expose());
        assert_ne!(keys[1].expose(), keys[2].expose());
        assert_eq!(keys[0].expose(), Key::derive(b"one secret", "access").expose());
        assert_ne!(keys[0].expose(), Key::derive(b"another", "access").expose());
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", Key::derive(b"one secret", "access")), "Key(..)");
    }
}
