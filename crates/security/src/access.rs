//! Access tokens: JWT (RFC 7519, profile of RFC 9068), checked without a store.
//!
//! One form is accepted, the one made here: HS256, our `typ`, a `kid` we know, and no other header.
//! The time comes with the question; the JWT library's own clock decides nothing. Whether the
//! session still lives is not known here.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, crypto::rust_crypto::DEFAULT_PROVIDER,
};
use kith_domain::{SessionId, Timestamp, UserId};
use kith_ports::{AccessClaims, AccessTokens, TokenError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{key::Key, secret::ServerSecret};

/// Who made the token: `iss`.
pub const ISSUER: &str = "kith";
/// For whom: `aud`.
pub const AUDIENCE: &str = "kith-api";
/// What it is: `typ`, RFC 9068, section 2.1.
pub const TYPE: &str = "at+jwt";

/// Ours have about 450 bytes. What is much longer is not looked at.
const MAX_BYTES: usize = 2048;
const MICROS: i64 = 1_000_000;

/// Access tokens under the server's secret.
pub struct JwtTokens {
    signing: EncodingKey,
    /// The first is the current one.
    verifying: Vec<VerifyingKey>,
    validation: Validation,
}

struct VerifyingKey {
    header: Header,
    key: DecodingKey,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    iat: i64,
    exp: i64,
    jti: String,
}

impl JwtTokens {
    /// Signs and checks with the key of `secret`.
    pub fn new(secret: &ServerSecret) -> Self {
        // The library panics at the first token if features of other crates leave it undecided.
        // An error only says that a provider was chosen before.
        let _ = DEFAULT_PROVIDER.install_default();

        let mut validation = Validation::new(Algorithm::HS256);
        // Signature and algorithm are the library's part; claims are compared below, exactly.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();

        let key = secret.key("access");
        Self {
            signing: EncodingKey::from_secret(key.expose()),
            verifying: vec![VerifyingKey::new(&key)],
            validation,
        }
    }

    /// Checks tokens made under an earlier secret too, while they last. New ones are signed with
    /// the current secret.
    #[must_use]
    pub fn with_previous(mut self, secret: &ServerSecret) -> Self {
        self.verifying.push(VerifyingKey::new(&secret.key("access")));
        self
    }

    fn current(&self) -> &Header {
        &self.verifying[0].header
    }
}

impl VerifyingKey {
    fn new(key: &Key) -> Self {
        let id = key.mac().chain_update(b"kith key id v1").finalize().into_bytes();
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(URL_SAFE_NO_PAD.encode(&id[..8]));
        Self { header, key: DecodingKey::from_secret(key.expose()) }
    }
}

impl AccessTokens for JwtTokens {
    /// `exp` is in whole seconds, rounded up: a token never ends before it was promised to.
    fn sign(&self, claims: &AccessClaims) -> String {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: *claims.user_id.as_uuid(),
            sid: *claims.session_id.as_uuid(),
            iat: claims.issued_at.as_secs(),
            exp: claims.expires_at.as_micros().saturating_add(MICROS - 1).div_euclid(MICROS),
            jti: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 12]>()),
        };
        jsonwebtoken::encode(self.current(), &claims, &self.signing)
            .expect("an HMAC key signs anything, and the claims are plain JSON")
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        // The whole header must be the one we write: no other algorithm or type, no unknown key,
        // and none of `jku`, `jwk`, `x5u`, `crit` and what may come.
        let key =
            self.verifying.iter().find(|key| key.header == header).ok_or(TokenError::Invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.key, &self.validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        if claims.iss != ISSUER || claims.aud != AUDIENCE || claims.iat > claims.exp {
            return Err(TokenError::Invalid);
        }
        let expires_at = seconds(claims.exp)?;
        if now >= expires_at {
            return Err(TokenError::Expired);
        }
        Ok(AccessClaims {
            user_id: UserId::from_uuid(claims.sub),
            session_id: SessionId::from_uuid(claims.sid),
            issued_at: seconds(claims.iat)?,
            expires_at,
        })
    }
}

fn seconds(seconds: i64) -> Result<Timestamp, TokenError> {
    seconds.checked_mul(MICROS).map(Timestamp::from_micros).ok_or(TokenError::Invalid)
}

#[cfg(test)]
mod tests;
