use std::time::Duration;

use kith_ports::RefreshTokens;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::refresh::DerivedRefreshTokens;

const NOW: Timestamp = Timestamp::from_micros(1_795_200_000_000_000);

fn secret(seed: &str) -> ServerSecret {
    ServerSecret::from_text(&seed.repeat(32)).unwrap()
}

fn tokens() -> JwtTokens {
    JwtTokens::new(&secret("a"))
}

fn claims() -> AccessClaims {
    AccessClaims {
        user_id: UserId::from_uuid(Uuid::from_u128(1)),
        session_id: SessionId::from_uuid(Uuid::from_u128(2)),
        issued_at: NOW,
        expires_at: NOW.after(Duration::from_secs(900)),
    }
}

fn good_header() -> Value {
    serde_json::to_value(tokens().current()).unwrap()
}

fn good_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": Uuid::from_u128(1), "sid": Uuid::from_u128(2),
        "iat": NOW.as_secs(), "exp": NOW.as_secs() + 900, "jti": "x",
    })
}

/// A token with a valid signature under our key, whatever stands in it.
fn forge(header: &Value, claims: &Value) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let tag = secret("a").key("access").mac().chain_update(&message).finalize().into_bytes();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}

fn without(mut object: Value, field: &str) -> Value {
    object.as_object_mut().unwrap().remove(field);
    object
}

#[test]
fn a_token_says_what_was_signed() {
    let token = tokens().sign(&claims());
    assert_eq!(tokens().verify(&token, NOW), Ok(claims()));
    assert!(token.len() < MAX_BYTES / 2, "{}", token.len());
}

#[test]
fn two_tokens_of_one_moment_differ() {
    assert_ne!(tokens().sign(&claims()), tokens().sign(&claims()));
}

#[test]
fn a_token_ends_exactly_at_exp() {
    let token = tokens().sign(&claims());
    let last = NOW.after(Duration::from_micros(900_000_000 - 1));
    assert!(tokens().verify(&token, last).is_ok());
    let end = NOW.after(Duration::from_secs(900));
    assert_eq!(tokens().verify(&token, end), Err(TokenError::Expired));
}

#[test]
fn a_token_lives_for_the_fraction_of_its_last_second() {
    let promised = AccessClaims { expires_at: NOW.after(Duration::from_millis(1_500)), ..claims() };
    let token = tokens().sign(&promised);
    let read = tokens().verify(&token, NOW.after(Duration::from_millis(1_499))).unwrap();
    assert_eq!(read.expires_at, NOW.after(Duration::from_secs(2)));
}

#[test]
fn the_clock_that_decides_is_the_callers() {
    let long_ago = Timestamp::from_micros(0);
    let old = AccessClaims {
        issued_at: long_ago,
        expires_at: long_ago.after(Duration::from_secs(900)),
        ..claims()
    };
    assert_eq!(tokens().verify(&tokens().sign(&old), long_ago), Ok(old));
}

#[test]
fn the_forgery_tool_makes_good_tokens_of_good_parts() {
    let token = forge(&good_header(), &good_claims());
    assert_eq!(tokens().verify(&token, NOW), Ok(claims()));
}

#[rstest]
#[case::none("alg", json!("none"))]
#[case::none_in_capitals("alg", json!("None"))]
#[case::longer_hmac("alg", json!("HS512"))]
#[case::rsa_with_our_secret("alg", json!("RS256"))]
#[case::ecdsa("alg", json!("ES256"))]
#[case::no_string("alg", json!(null))]
#[case::a_refresh_token_type("typ", json!("rt+jwt"))]
#[case::the_usual_type("typ", json!("JWT"))]
#[case::unknown_key("kid", json!("AAAAAAAAAAA"))]
#[case::path_as_key("kid", json!("../../dev/null"))]
#[case::key_by_url("jku", json!("https://evil.example/keys"))]
#[case::key_inside("jwk", json!({"kty": "oct", "k": "AAAA"}))]
#[case::certificate_by_url("x5u", json!("https://evil.example/cert"))]
#[case::certificate_inside("x5c", json!(["AAAA"]))]
#[case::critical("crit", json!(["exp"]))]
#[case::packed("zip", json!("DEF"))]
#[case::nested("cty", json!("JWT"))]
#[case::invented("kith", json!(true))]
fn a_token_with_another_header_is_refused(#[case] field: &str, #[case] value: Value) {
    let token = forge(&with(good_header(), field, value), &good_claims());
    assert_eq!(tokens().verify(&token, NOW), Err(TokenError::Invalid));
}

#[rstest]
#[case("alg")]
#[case("typ")]
#[case("kid")]
fn a_token_without_a_header_is_refused(#[case] field: &str) {
    let token = forge(&without(good_header(), field), &good_claims());
    assert_eq!(tokens().verify(&token, NOW), Err(TokenError::Invalid));
}

#[rstest]
#[case::issuer("iss", json!("https://evil.example"))]
#[case::issuers("iss", json!(["kith", "evil"]))]
#[case::audience("aud", json!("another-api"))]
#[case::audiences("aud", json!(["kith-api", "another-api"]))]
#[case::exp_as_text("exp", json!("4102444800"))]
#[case::exp_as_fraction("exp", json!(4_102_444_800.5))]
#[case::exp_as_null("exp", json!(null))]
#[case::exp_beyond_all("exp", json!(u64::MAX))]
#[case::exp_beyond_time("exp", json!(i64::MAX))]
#[case::issued_after_its_end("iat", json!(4_102_444_800_i64))]
#[case::nobody("sub", json!("ann"))]
#[case::no_session("sid", json!(7))]
fn a_token_with_other_claims_is_refused(#[case] field: &str, #[case] value: Value) {
    let token = forge(&good_header(), &with(good_claims(), field, value));
    assert_eq!(tokens().verify(&token, NOW), Err(TokenError::Invalid));
}

#[rstest]
#[case("iss")]
#[case("aud")]
#[case("sub")]
#[case("sid")]
#[case("iat")]
#[case("exp")]
#[case("jti")]
fn a_token_without_a_claim_is_refused(#[case] field: &str) {
    let token = forge(&good_header(), &without(good_claims(), field));
    assert_eq!(tokens().verify(&token, NOW), Err(TokenError::Invalid));
}

#[test]
fn an_unsigned_token_is_refused() {
    let token = forge(&good_header(), &good_claims());
    let unsigned = token.rsplit_once('.').unwrap().0;
    for text in [unsigned.to_owned(), format!("{unsigned}."), format!("{unsigned}.AAAA")] {
        assert_eq!(tokens().verify(&text, NOW), Err(TokenError::Invalid));
    }
}

#[test]
fn a_token_signed_with_the_bare_secret_is_refused() {
    let key = EncodingKey::from_secret("a".repeat(32).as_bytes());
    let token = jsonwebtoken::encode(tokens().current(), &good_claims(), &key).unwrap();
    assert_eq!(tokens().verify(&token, NOW), Err(TokenError::Invalid));
}

#[test]
fn a_refresh_token_is_no_access_token() {
    let (token, _) = DerivedRefreshTokens::new(&secret("a")).derive(claims().session_id, 1);
    assert_eq!(tokens().verify(&token, NOW), Err(TokenError::Invalid));
}

#[test]
fn an_access_token_is_no_refresh_token() {
    let token = tokens().sign(&claims());
    assert_eq!(DerivedRefreshTokens::new(&secret("a")).read(&token), None);
}

#[test]
fn other_texts_are_refused() {
    for text in ["", ".", "..", "a.b.c", "....", "ä.ö.ü", &"A".repeat(1_000_000)] {
        assert_eq!(tokens().verify(text, NOW), Err(TokenError::Invalid));
    }
}

#[test]
fn after_a_change_of_secret_both_are_known_for_a_while() {
    let old = JwtTokens::new(&secret("a"));
    let new = JwtTokens::new(&secret("b")).with_previous(&secret("a"));
    assert!(new.verify(&old.sign(&claims()), NOW).is_ok());
    assert!(new.verify(&new.sign(&claims()), NOW).is_ok());
    assert_eq!(old.verify(&new.sign(&claims()), NOW), Err(TokenError::Invalid));
    let closed = JwtTokens::new(&secret("b"));
    assert_eq!(closed.verify(&old.sign(&claims()), NOW), Err(TokenError::Invalid));
}

#[test]
fn a_key_id_cannot_be_swapped_for_another_known_one() {
    let both = JwtTokens::new(&secret("b")).with_previous(&secret("a"));
    let header = serde_json::to_value(both.current()).unwrap();
    let token = forge(&header, &good_claims());
    assert_eq!(both.verify(&token, NOW), Err(TokenError::Invalid));
}

#[test]
fn a_key_id_says_nothing_of_the_key() {
    let kid = tokens().current().kid.clone().unwrap();
    assert_eq!(kid.len(), 11);
    assert_eq!(Some(kid), tokens().current().kid.clone(), "the same on every node");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_edit_is_accepted(at in any::<prop::sample::Index>(), replacement in "[A-Za-z0-9_.-]") {
        let token = forge(&good_header(), &good_claims());
        let mut edited = token.clone();
        let at = at.index(token.len());
        edited.replace_range(at..=at, &replacement);
        prop_assume!(edited != token);
        prop_assert_eq!(tokens().verify(&edited, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn no_noise_is_accepted(text in "\\PC{0,300}") {
        prop_assert_eq!(tokens().verify(&text, NOW), Err(TokenError::Invalid));
    }
}
