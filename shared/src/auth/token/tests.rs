//! Hostile and invalid tokens. The verifier must reject all of them.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::FutureExt;
use jsonwebtoken::{EncodingKey, encode};
use lambda_http::{RequestExt, http};
use serde_json::{Value, json};

use super::{bearer::MAX_TOKEN_BYTES, *};
use crate::{base::error::ErrorCode, config::SecretConfig, upstream};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn config() -> TokenConfig {
    let secrets = SecretConfig { current: Secret::new(SECRET), previous: None };
    TokenConfig {
        keys: KeyConfig::Secret(secrets),
        issuer: None,
        audience: None,
        required_scope: None,
        max_lifetime: DAY,
        trusts_labs_claim: false,
    }
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
    verify_request(config, &builder.body(().into()).unwrap())
}

fn verify_request(config: &TokenConfig, request: &Request) -> Result<AccessToken, Error> {
    let verifier = Verifier::new(config, upstream::client().unwrap());
    verifier.verify(request).now_or_never().expect("with a secret the verifier fetches nothing")
}

fn verify(claims: &Value) -> Result<AccessToken, Error> {
    verify_header(&config(), &[&format!("Bearer {}", sign(claims))])
}

fn is_rejected(result: Result<AccessToken, Error>) -> bool {
    result.is_err_and(|error| error.code() == ErrorCode::Unauthorized)
}

#[test]
fn a_token_of_ums_is_accepted_with_its_integer_subject() {
    let token = verify(&claims()).ok().unwrap();
    assert_eq!(token.subject().as_str(), "7");
}

#[test]
fn the_time_of_the_sign_in_is_read_if_the_token_states_it() {
    assert_eq!(verify(&claims()).ok().unwrap().signed_in_at(), None);
    let signed_in_at = now() - 900;
    let token = verify(&with(json!({"auth_time": signed_in_at}))).ok().unwrap();
    assert_eq!(token.signed_in_at(), Some(signed_in_at));
    assert!(is_rejected(verify(&with(json!({"auth_time": "today"})))));
}

#[test]
fn a_subject_written_as_text_is_the_same_user() {
    assert_eq!(verify(&with(json!({"sub": "7"}))).ok().unwrap().subject().as_str(), "7");
}

#[test]
fn a_subject_that_is_not_a_user_id_is_rejected() {
    for subject in [json!("7/../8"), json!(""), json!("07"), json!(-7), json!(7.5), json!([7]), json!(null)] {
        assert!(is_rejected(verify(&with(json!({"sub": subject.clone()})))), "{subject}");
    }
}

#[test]
fn a_token_without_a_required_claim_is_rejected() {
    for claim in ["exp", "iat", "sub", "type"] {
        assert!(is_rejected(verify(&with(json!({claim: null})))), "{claim}");
    }
}

#[test]
fn times_are_honoured_with_thirty_seconds_of_leeway() {
    assert!(verify(&with(json!({"exp": now() - 20}))).is_ok());
    assert!(is_rejected(verify(&with(json!({"exp": now() - 40})))));
    assert!(verify(&with(json!({"nbf": now() + 20}))).is_ok());
    assert!(is_rejected(verify(&with(json!({"nbf": now() + 40})))));
    assert!(verify(&with(json!({"iat": now() + 20}))).is_ok());
    assert!(is_rejected(verify(&with(json!({"iat": now() + 40})))));
}

#[test]
fn a_token_with_a_longer_life_than_a_day_is_rejected() {
    let (now, day) = (now(), DAY.as_secs());
    for (iat, exp) in [(now, now + day), (now - day + 60, now + 60), (now + 20, now + 10)] {
        assert!(verify(&with(json!({"iat": iat, "nbf": null, "exp": exp}))).is_ok(), "{iat} {exp}");
    }
    for (iat, exp) in [
        (now, now + day + 1),
        (now - day, now + 60),
        (0, now + 60),
        (now, 10 * now),
        (now, u64::MAX - 1),
        (now, u64::MAX),
        (0, u64::MAX),
    ] {
        assert!(is_rejected(verify(&with(json!({"iat": iat, "exp": exp})))), "{iat} {exp}");
    }
}

#[test]
fn an_id_token_is_rejected() {
    for (claim, value) in [
        ("token_use", json!("id")),
        ("token_use", json!("Access")),
        ("token_use", json!(["access"])),
        ("nonce", json!("n-0S6_WzA2Mj")),
        ("nonce", json!(7)),
        ("at_hash", json!("MTIzNDU2Nzg5MDEyMzQ1Ng")),
        ("c_hash", json!("LDktKdoQak3Pk0cnXxCltA")),
    ] {
        assert!(is_rejected(verify(&with(json!({claim: value.clone()})))), "{claim} {value}");
    }
    assert!(verify(&with(json!({"token_use": "access"}))).is_ok());
}

#[test]
fn a_token_needs_the_required_scope_when_one_is_configured() {
    let config = TokenConfig { required_scope: Some("lhcms".into()), ..config() };
    let verify = |changes: Value| verify_header(&config, &[&format!("Bearer {}", sign(&with(changes)))]);
    for good in [
        json!({"scope": "lhcms"}),
        json!({"scope": "openid lhcms profile"}),
        json!({"scp": ["openid", "lhcms"]}),
        json!({"scp": "openid lhcms"}),
        json!({"scope": "openid", "scp": ["lhcms"]}),
    ] {
        assert!(verify(good.clone()).is_ok(), "{good}");
    }
    for bad in [
        json!({}),
        json!({"scope": ""}),
        json!({"scope": "lhcms2 LHCMS lhcms:read"}),
        json!({"scope": 7}),
        json!({"scp": []}),
        json!({"scp": ["openid lhcms"]}),
        json!({"scp": {"lhcms": true}}),
    ] {
        assert!(is_rejected(verify(bad.clone())), "{bad}");
    }
}

#[test]
fn tokens_of_the_current_and_the_previous_key_are_accepted_and_no_others() {
    let previous = "fedcba9876543210fedcba9876543210";
    let secrets = SecretConfig { current: Secret::new(SECRET), previous: Some(Secret::new(previous)) };
    let config = TokenConfig { keys: KeyConfig::Secret(secrets), ..config() };
    let verify = |secret: &str, claims: &Value| {
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = encode(&Header::default(), claims, &key).unwrap();
        verify_header(&config, &[&format!("Bearer {token}")])
    };
    for secret in [SECRET, previous] {
        assert!(verify(secret, &claims()).is_ok());
        assert!(is_rejected(verify(secret, &with(json!({"exp": now() - 60})))));
        assert!(is_rejected(verify(secret, &with(json!({"type": "refresh"})))));
    }
    assert!(is_rejected(verify("another secret of sufficient size", &claims())));
}

#[test]
fn a_time_that_is_not_a_number_of_seconds_is_rejected() {
    for claim in ["exp", "nbf", "iat"] {
        for time in [json!("soon"), json!(-1), json!(true), json!([now()]), json!(1e300)] {
            assert!(is_rejected(verify(&with(json!({claim: time.clone()})))), "{claim} {time}");
        }
    }
}

#[test]
fn a_token_of_another_type_is_rejected() {
    for kind in [json!("refresh"), json!("id"), json!("Access"), json!(""), json!(7)] {
        assert!(is_rejected(verify(&with(json!({"type": kind.clone()})))), "{kind}");
    }
    let typed = |typ: Option<&str>| {
        let header = Header { typ: typ.map(str::to_owned), ..Header::default() };
        let token = encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        verify_header(&config(), &[&format!("Bearer {token}")])
    };
    for good in [None, Some("JWT"), Some("jwt"), Some("at+jwt"), Some("AT+JWT"), Some("application/at+jwt")] {
        assert!(typed(good).is_ok(), "{good:?}");
    }
    for bad in
        ["", "id_token", "logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", "JWT ", "application/jwt", "id+jwt"]
    {
        assert!(is_rejected(typed(Some(bad))), "{bad}");
    }
}

#[test]
fn a_token_in_the_url_is_rejected_even_with_a_good_header() {
    let token = sign(&claims());
    let request = |name: &str, authorization: bool| {
        let mut builder = http::Request::builder();
        if authorization {
            builder = builder.header("authorization", format!("Bearer {token}"));
        }
        let query = HashMap::from([(name.to_owned(), vec![token.clone()])]);
        builder.body(().into()).unwrap().with_query_string_parameters(query)
    };
    for name in ["access_token", "token", "jwt"] {
        for authorization in [false, true] {
            assert!(is_rejected(verify_request(&config(), &request(name, authorization))), "{name}");
        }
    }
    assert!(verify_request(&config(), &request("lab_id", true)).is_ok());
}

#[test]
fn issuer_and_audience_are_required_when_configured() {
    let config = TokenConfig { issuer: Some("ums".into()), audience: Some("lhcms".into()), ..config() };
    let verify = |claims: &Value| verify_header(&config, &[&format!("Bearer {}", sign(claims))]);
    assert!(verify(&with(json!({"iss": "ums", "aud": "lhcms"}))).is_ok());
    assert!(verify(&with(json!({"iss": "ums", "aud": ["other", "lhcms"]}))).is_ok());
    assert!(is_rejected(verify(&claims())));
    assert!(is_rejected(verify(&with(json!({"iss": "else", "aud": "lhcms"})))));
    assert!(is_rejected(verify(&with(json!({"iss": "ums", "aud": "else"})))));
}

#[test]
fn a_wrong_signature_or_algorithm_is_rejected() {
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
            is_rejected(verify_header(&config(), &[&format!("Bearer {hostile}")])),
            "{}",
            &hostile[..hostile.len().min(80)]
        );
    }
}

#[test]
fn claims_that_are_not_utf8_are_rejected() {
    let signed = |claims: &[u8]| {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        verify_header(&config(), &[&format!("Bearer {message}.{signature}")])
    };
    let good = with(
        json!({"labs": [{"lab_id": 1, "lab_name": "?", "role": "admin", "membership_status": "active"}]}),
    );
    let good = good.to_string().into_bytes();
    assert!(signed(&good).is_ok());
    let bad: Vec<u8> = good.into_iter().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
    assert!(is_rejected(signed(&bad)));
}

#[test]
fn a_header_with_its_own_key_or_rules_is_rejected() {
    for (member, value) in [
        ("crit", json!(["exp"])),
        ("jku", json!("https://evil.example.com/jwks")),
        ("x5u", json!("https://evil.example.com/cert")),
        ("x5c", json!(["AAAA"])),
        ("jwk", json!({"kty": "oct", "k": "AAAA"})),
    ] {
        let header: Header = serde_json::from_value(json!({"alg": "HS256", member: value})).unwrap();
        let token = encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        assert!(is_rejected(verify_header(&config(), &[&format!("Bearer {token}")])), "{member}");
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
        assert!(is_rejected(verify_header(&config(), header)));
    }
}

#[test]
fn two_authorization_headers_are_rejected() {
    let header = format!("Bearer {}", sign(&claims()));
    assert!(is_rejected(verify_header(&config(), &[&header, &header])));
}
