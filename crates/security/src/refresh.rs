//! Refresh tokens: opaque, derived from session and generation.
//!
//! `base64url(session (16) || generation (4, big endian) || HMAC-SHA256 (32))`. The server makes the
//! same token again when a retry needs it, and keeps only its hash. Whether the generation lives is
//! not known here.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac;
use kith_domain::SessionId;
use kith_ports::{RefreshClaims, RefreshTokens, TokenHash};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    key::{Authenticator, Key},
    secret::ServerSecret,
};

const LABEL: &[u8] = b"kith refresh token v1\0";
const SESSION: usize = 16;
const GENERATION: usize = 4;
const TAG: usize = 32;
const TOKEN: usize = SESSION + GENERATION + TAG;

/// Refresh tokens under the server's secret.
#[derive(Debug)]
pub struct DerivedRefreshTokens {
    key: Key,
    previous: Vec<Key>,
}

impl DerivedRefreshTokens {
    /// Tokens under `secret`.
    pub fn new(secret: &ServerSecret) -> Self {
        Self { key: secret.key("refresh"), previous: Vec::new() }
    }

    /// Reads tokens made under an earlier secret too. New ones are made under the current secret.
    #[must_use]
    pub fn with_previous(mut self, secret: &ServerSecret) -> Self {
        self.previous.push(secret.key("refresh"));
        self
    }
}

impl RefreshTokens for DerivedRefreshTokens {
    fn derive(&self, session: SessionId, generation: u32) -> (String, TokenHash) {
        let mut bytes = [0; TOKEN];
        bytes[..SESSION].copy_from_slice(session.as_uuid().as_bytes());
        bytes[SESSION..SESSION + GENERATION].copy_from_slice(&generation.to_be_bytes());
        let tag = tag(&self.key, &bytes[..SESSION + GENERATION]).finalize().into_bytes();
        bytes[SESSION + GENERATION..].copy_from_slice(&tag);
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let hash = hash(&token);
        (token, hash)
    }

    fn read(&self, token: &str) -> Option<RefreshClaims> {
        let mut bytes = [0; TOKEN];
        if URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()? != TOKEN {
            return None;
        }
        let (named, tag_given) = bytes.split_at(SESSION + GENERATION);
        let (session, generation) = named.split_at(SESSION);
        // Compares in constant time.
        let made_here = std::iter::once(&self.key)
            .chain(&self.previous)
            .any(|key| tag(key, named).verify_slice(tag_given).is_ok());
        made_here.then_some(RefreshClaims {
            session_id: SessionId::from_uuid(Uuid::from_slice(session).ok()?),
            generation: u32::from_be_bytes(generation.try_into().ok()?),
            hash: hash(token),
        })
    }
}

fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token).into())
}

fn tag(key: &Key, named: &[u8]) -> Authenticator {
    key.mac().chain_update(LABEL).chain_update(named)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(seed: &str) -> ServerSecret {
        ServerSecret::from_text(&seed.repeat(32)).unwrap()
    }

    fn session(n: u128) -> SessionId {
        SessionId::from_uuid(Uuid::from_u128(n))
    }

    fn claims(n: u128, generation: u32, token: &str) -> RefreshClaims {
        RefreshClaims { session_id: session(n), generation, hash: hash(token) }
    }

    #[test]
    fn the_same_session_and_generation_have_the_same_token_anywhere() {
        let here = DerivedRefreshTokens::new(&secret("a"));
        let there = DerivedRefreshTokens::new(&secret("a"));
        assert_eq!(here.derive(session(1), 3), there.derive(session(1), 3));
        assert_ne!(here.derive(session(1), 3), here.derive(session(1), 4));
        assert_ne!(here.derive(session(1), 3), here.derive(session(2), 3));
    }

    #[test]
    fn what_is_stored_is_not_the_token() {
        let (token, hash) = DerivedRefreshTokens::new(&secret("a")).derive(session(1), 1);
        assert_eq!(hash, TokenHash(Sha256::digest(token.as_bytes()).into()));
        assert_eq!(token.len(), 70);
    }

    #[test]
    fn tokens_of_another_server_are_not_read() {
        let (token, _) = DerivedRefreshTokens::new(&secret("a")).derive(session(1), 1);
        assert_eq!(DerivedRefreshTokens::new(&secret("b")).read(&token), None);
    }

    #[test]
    fn a_changed_secret_still_reads_the_tokens_of_the_one_before() {
        let (old, _) = DerivedRefreshTokens::new(&secret("a")).derive(session(1), 7);
        let tokens = DerivedRefreshTokens::new(&secret("b")).with_previous(&secret("a"));
        assert_eq!(tokens.read(&old), Some(claims(1, 7, &old)));
        let (new, _) = tokens.derive(session(1), 8);
        assert_eq!(DerivedRefreshTokens::new(&secret("b")).read(&new), Some(claims(1, 8, &new)));
    }

    #[test]
    fn other_texts_are_not_read() {
        let tokens = DerivedRefreshTokens::new(&secret("a"));
        let (token, _) = tokens.derive(session(1), 1);
        for text in ["", "x", &token[..69], &format!("{token}A"), &format!("{token}=="), "ä"] {
            assert_eq!(tokens.read(text), None, "{text}");
        }
        assert_eq!(tokens.read(&"A".repeat(1_000_000)), None);
    }

    proptest! {
        #[test]
        fn every_token_is_read_back(id: u128, generation: u32) {
            let tokens = DerivedRefreshTokens::new(&secret("a"));
            let (token, _) = tokens.derive(session(id), generation);
            prop_assert_eq!(tokens.read(&token), Some(claims(id, generation, &token)));
        }

        #[test]
        fn no_edit_is_read(at in 0usize..70, replacement in "[A-Za-z0-9_-]") {
            let tokens = DerivedRefreshTokens::new(&secret("a"));
            let (token, _) = tokens.derive(session(1), 1);
            let mut edited = token.clone();
            edited.replace_range(at..=at, &replacement);
            prop_assume!(edited != token);
            prop_assert_eq!(tokens.read(&edited), None);
        }
    }
}
