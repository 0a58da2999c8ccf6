//! Cursors and sync tokens: text a client carries for the server, and cannot edit or lend.
//!
//! The payload is readable to whoever decodes it, so nothing secret belongs into it. It is bound to
//! a purpose (which list) and an owner (whose): opened for another, it is nothing.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac;
use kith_domain::UserId;
use kith_ports::Seals;

use crate::{
    key::{Authenticator, Key},
    secret::ServerSecret,
};

/// Bytes of the MAC that are kept: guessing one takes 2^127 tries on average, each a request.
const TAG: usize = 16;

/// Makes texts that only this server can make.
#[derive(Debug)]
pub struct Sealer(Key);

impl Sealer {
    /// A sealer under the server's secret.
    pub fn new(secret: &ServerSecret) -> Self {
        Self(secret.key("cursor"))
    }

    /// Seals `payload` for `owner` and `purpose`: base64url of payload and tag.
    ///
    /// `purpose` names the list, and what in the request shapes it (`conversations?archived=true`):
    /// a cursor then does not fit another filter. `owner` is a user's id, or empty for nobody in
    /// particular.
    pub fn seal(&self, purpose: &str, owner: impl AsRef<[u8]>, payload: &[u8]) -> String {
        let tag = self.tag(purpose, owner.as_ref(), payload).finalize().into_bytes();
        let mut bytes = Vec::with_capacity(payload.len() + TAG);
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&tag[..TAG]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The payload of what was sealed for the same `owner` and `purpose`; `None` for all else.
    pub fn open(&self, purpose: &str, owner: impl AsRef<[u8]>, text: &str) -> Option<Vec<u8>> {
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let split = bytes.len().checked_sub(TAG)?;
        let (payload, tag) = bytes.split_at(split);
        // Compares in constant time.
        self.tag(purpose, owner.as_ref(), payload).verify_truncated_left(tag).ok()?;
        bytes.truncate(split);
        Some(bytes)
    }

    /// Lengths stand before what varies, so that no two triples are one text.
    fn tag(&self, purpose: &str, owner: &[u8], payload: &[u8]) -> Authenticator {
        let length = |part: &[u8]| (part.len() as u64).to_be_bytes();
        self.0
            .mac()
            .chain_update(length(purpose.as_bytes()))
            .chain_update(purpose)
            .chain_update(length(owner))
            .chain_update(owner)
            .chain_update(payload)
    }
}

impl Seals for Sealer {
    fn seal(&self, purpose: &str, owner: UserId, payload: &[u8]) -> String {
        self.seal(purpose, owner.as_uuid().as_bytes(), payload)
    }

    fn open(&self, purpose: &str, owner: UserId, sealed: &str) -> Option<Vec<u8>> {
        self.open(purpose, owner.as_uuid().as_bytes(), sealed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn sealer(seed: &str) -> Sealer {
        Sealer::new(&ServerSecret::from_text(&seed.repeat(32)).unwrap())
    }

    const ANN: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);

    #[test]
    fn what_was_sealed_is_opened_by_its_owner_for_its_purpose_alone() {
        let sealer = sealer("a");
        let text = sealer.seal("inbox", ANN, b"after 17");
        assert_eq!(sealer.open("inbox", ANN, &text).unwrap(), b"after 17");
        assert_eq!(sealer.open("inbox", BOB, &text), None);
        assert_eq!(sealer.open("members", ANN, &text), None);
        assert_eq!(self::sealer("b").open("inbox", ANN, &text), None);
    }

    #[test]
    fn purpose_and_owner_do_not_run_into_each_other() {
        let sealer = sealer("a");
        let text = sealer.seal("ab", b"c", b"d");
        assert_eq!(sealer.open("a", b"bc", &text), None);
        assert_eq!(sealer.open("abc", b"", &text), None);
    }

    #[test]
    fn other_texts_are_nothing() {
        let sealer = sealer("a");
        let good = sealer.seal("inbox", ANN, b"");
        for text in ["", "a", "AAAA", "%", "ä", &format!("{good}="), &format!("{good}AA")] {
            assert_eq!(sealer.open("inbox", ANN, text), None, "{text}");
        }
        assert_eq!(sealer.open("inbox", ANN, &good).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn every_payload_comes_back(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let sealer = sealer("a");
            let text = sealer.seal("p", ANN, &payload);
            prop_assert_eq!(sealer.open("p", ANN, &text), Some(payload));
        }

        #[test]
        fn no_edit_is_opened(at in 0usize..64, replacement in "[A-Za-z0-9_-]") {
            let sealer = sealer("a");
            let text = sealer.seal("p", ANN, b"thirty-two bytes of some payload");
            let mut edited = text.clone();
            edited.replace_range(at..=at, &replacement);
            prop_assume!(edited != text);
            prop_assert_eq!(sealer.open("p", ANN, &edited), None);
        }
    }
}
