//! Hostile and faulty tokens. All of them must be refused before anything else happens.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, encode};
use lambda_http::http;
use serde_json::{Value, json};

use super::*;
use crate::error::Code;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn config() -> TokenConfig {
    TokenConfig { secret: Secret::new(SECRET), issuer: None, audience: None }
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn claims() -> Value {
    json!({"fresh": false, "iat": now(), "jti": "j", "type": "access", "sub": 7, "nbf": now(), "csrf": "c", "exp": now() + 3600})
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn sign(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn verify_header(config: &TokenConfig, authorization: &[&str]) -> Result<AccessToken, Error> {
    let mut builder = http::Request::builder();
    for value in authorization {
        builder = builder.header("authorization", *value);
    }
    Verifier::new(config).verify(&builder.body(().into()).unwrap())
}

fn verify(claims: &Value) -> Result<AccessToken, Error> {
    verify_header(&config(), &[&format!("Bearer {}", sign(claims))])
}

fn refused(result: Result<AccessToken, Error>) -> bool {
    result.is_err_and(|error| error.code() == Code::Unauthorized)
}

#[test]
fn a_token_of_ums_is_accepted_with_its_integer_subject() {
    let token = verify(&claims()).ok().unwrap();
    assert_eq!(token.subject().as_str(), "7");
}

#[test]
fn a_subject_written_as_text_is_the_same_user() {
    assert_eq!(verify(&with(json!({"sub": "7"}))).ok().unwrap().subject().as_str(), "7");
}

#[test]
fn a_subject_that_is_no_user_id_is_refused() {
    for subject in [json!("7/../8"), json!(""), json!("07"), json!(-7), json!(7.5), json!([7]), json!(null)] {
        assert!(refused(verify(&with(json!({"sub": subject.clone()})))), "{subject}");
    }
}

#[test]
fn a_token_without_a_required_claim_is_refused() {
    for claim in ["exp", "sub", "type"] {
        assert!(refused(verify(&with(json!({claim: null})))), "{claim}");
    }
}

#[test]
fn times_are_honoured_with_thirty_seconds_of_leeway() {
    assert!(verify(&with(json!({"exp": now() - 20}))).is_ok());
    assert!(refused(verify(&with(json!({"exp": now() - 40})))));
    assert!(verify(&with(json!({"nbf": now() + 20}))).is_ok());
    assert!(refused(verify(&with(json!({"nbf": now() + 40})))));
}

#[test]
fn a_refresh_token_is_refused() {
    assert!(refused(verify(&with(json!({"type": "refresh"})))));
}

#[test]
fn issuer_and_audience_are_required_when_configured() {
    let config = TokenConfig { issuer: Some("ums".into()), audience: Some("lhcms".into()), ..config() };
    let verify = |claims: &Value| verify_header(&config, &[&format!("Bearer {}", sign(claims))]);
    assert!(verify(&with(json!({"iss": "ums", "aud": "lhcms"}))).is_ok());
    assert!(verify(&with(json!({"iss": "ums", "aud": ["other", "lhcms"]}))).is_ok());
    assert!(refused(verify(&claims())));
    assert!(refused(verify(&with(json!({"iss": "else", "aud": "lhcms"})))));
    assert!(refused(verify(&with(json!({"iss": "ums", "aud": "else"})))));
}

#[test]
fn a_wrong_signature_or_algorithm_is_refused() {
    let token = sign(&claims());
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (_, payload) = signed.split_once('.').unwrap();
    let other = encode(
        &Header::default(),
        &claims(),
        &EncodingKey::from_secret(b"another secret of sufficient size"),
    )
    .unwrap();
    let hs512 =
        encode(&Header::new(Algorithm::HS512), &claims(), &EncodingKey::from_secret(SECRET.as_bytes()))
            .unwrap();
    let header = |json: &str| URL_SAFE_NO_PAD.encode(json);
    for hostile in [
        other,
        hs512,
        format!("{signed}."),
        signed.to_owned(),
        format!("{}.{payload}.", header(r#"{"alg":"none","typ":"JWT"}"#)),
        format!("{}.{payload}.", header(r#"{"alg":"None"}"#)),
        format!("{token}A"),
        format!("{token}.{token}"),
        "...".to_owned(),
        "🦷".to_owned(),
        "a".repeat(MAX_TOKEN_BYTES + 1),
    ] {
        assert!(
            refused(verify_header(&config(), &[&format!("Bearer {hostile}")])),
            "{}",
            &hostile[..hostile.len().min(80)]
        );
    }
}

#[test]
fn a_header_that_brings_its_own_key_or_rules_is_refused() {
    for (member, value) in [
        ("crit", json!(["exp"])),
        ("jku", json!("https://evil.example.com/jwks")),
        ("x5u", json!("https://evil.example.com/cert")),
        ("x5c", json!(["AAAA"])),
        ("jwk", json!({"kty": "oct", "k": "AAAA"})),
    ] {
        let header: Header = serde_json::from_value(json!({"alg": "HS256", member: value})).unwrap();
        let token = encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        assert!(refused(verify_header(&config(), &[&format!("Bearer {token}")])), "{member}");
    }
}

#[test]
fn the_scheme_is_bearer_in_any_case_and_nothing_else() {
    let token = sign(&claims());
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert!(verify_header(&config(), &[&format!("{scheme} {token}")]).is_ok());
    }
    for header in [
        &[][..],
        &["Bearer"],
        &["Bearer "],
        &[&token],
        &[&format!("Basic {token}")],
        &[&format!("Token {token}")],
    ] {
        assert!(refused(verify_header(&config(), header)));
    }
}

#[test]
fn two_authorization_headers_are_refused() {
    let header = format!("Bearer {}", sign(&claims()));
    assert!(refused(verify_header(&config(), &[&header, &header])));
}
