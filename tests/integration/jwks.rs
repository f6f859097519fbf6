//! Tokens of an OpenID provider: verified with the keys that the provider publishes, also while keys change, while the
//! provider fails, and when tokens are forged.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use local::ums::token::now;
use serde_json::{Value, json};
use shared::config::{Config, JwksConfig, KeyConfig};

use crate::harness::{
    Reply, Service,
    provider::{EC, ED, JWKS, OTHER_RSA, Provider, RSA, Signer},
    proxy::Fault,
    reply::retry_until_success,
};

/// The answer of UMS about user 1. The stand-in for UMS accepts only its own tokens, so the proxy gives this answer.
const ME: &str = r#"{"user": {"id": 1, "is_active": true, "locked_until": null},
    "labs": [{"lab_id": 123, "lab_name": "Riverside Dental Lab", "role": "admin", "membership_status": "active"}]}"#;

/// A service that verifies tokens with what the provider publishes.
async fn service(provider: &Provider, changes: &[(&str, &str)], tune: fn(&mut Config)) -> Service {
    let url = provider.url();
    let all = [&[("JWT_SECRET_KEY", ""), ("UMS_JWKS_URL", &url)], changes].concat();
    let service = Service::start_tuned(&all, tune).await;
    service.ums_proxy.rule(|_, _| Fault::Answer(200, ME.into()));
    service
}

fn jwks(config: &mut Config) -> &mut JwksConfig {
    match &mut config.token.keys {
        KeyConfig::Url(jwks) => jwks,
        KeyConfig::Secret(_) => panic!("the keys are behind a URL"),
    }
}

/// Fetches the keys as often as needed, and keeps them as long as the tests run.
fn without_pause(config: &mut Config) {
    (jwks(config).pause, jwks(config).max_age) = (Duration::ZERO, Duration::from_secs(3600));
}

/// Fetches the keys for every token.
fn without_age(config: &mut Config) {
    (jwks(config).pause, jwks(config).max_age) = (Duration::ZERO, Duration::ZERO);
}

/// Fetches the keys once: the pause is longer than any test.
fn with_a_long_pause(config: &mut Config) {
    (jwks(config).pause, jwks(config).max_age) = (Duration::from_secs(3600), Duration::from_secs(3600));
}

fn claims() -> Value {
    json!({"iss": "https://id.example.com", "aud": "lhcms", "sub": "1", "iat": now(), "exp": now() + 600})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

async fn list(service: &Service, token: &str) -> Reply {
    service.request("GET", "/api/v1/cases").token(token).send().await
}

async fn good(signer: &Signer, service: &Service) {
    list(service, &signer.sign(&claims())).await.expect(200);
}

async fn refused(token: &str, service: &Service) {
    list(service, token).await.expect_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_token_of_each_algorithm_is_accepted_and_the_keys_are_fetched_once() {
    let provider = Provider::start(json!([RSA.jwk(), EC.jwk(), ED.jwk()])).await;
    let service = service(&provider, &[], |_| {}).await;
    for signer in [&RSA, &EC, &ED] {
        good(signer, &service).await;
    }
    assert_eq!(provider.proxy.take_calls(), [JWKS]);
}

#[tokio::test]
async fn access_tokens_of_a_provider_are_accepted_and_other_tokens_are_not() {
    let provider = Provider::start(json!([RSA.jwk()])).await;
    let changes = [("JWT_ISSUER", "https://id.example.com"), ("JWT_AUDIENCE", "lhcms")];
    let service = service(&provider, &changes, |_| {}).await;
    for (name, value) in [("type", json!("access")), ("aud", json!(["other", "lhcms"])), ("sub", json!(1))] {
        list(&service, &RSA.sign(&with(name, value))).await.expect(200);
    }
    list(&service, &RSA.sign_with_header(&json!({"typ": "at+JWT"}), &claims())).await.expect(200);
    for (name, value) in [
        ("type", json!("refresh")),
        ("type", json!("id")),
        ("iss", json!("https://evil.example.com")),
        ("iss", json!(null)),
        ("aud", json!("other")),
        ("aud", json!(null)),
        ("sub", json!("auth0|1")),
        ("sub", json!("1/../2")),
        ("exp", json!(now() - 60)),
        ("exp", json!(null)),
        ("nbf", json!(now() + 60)),
        ("iat", json!(now() + 60)),
    ] {
        refused(&RSA.sign(&with(name, value)), &service).await;
    }
    refused(&RSA.sign_with_header(&json!({"typ": "logout+jwt"}), &claims()), &service).await;
}

#[tokio::test]
async fn id_tokens_of_a_provider_are_rejected_although_they_are_for_this_api() {
    let provider = Provider::start(json!([RSA.jwk()])).await;
    let service = service(&provider, &[("JWT_AUDIENCE", "lhcms")], |_| {}).await;
    for (name, value) in
        [("token_use", json!("id")), ("nonce", json!("n")), ("at_hash", json!("h")), ("c_hash", json!("h"))]
    {
        refused(&RSA.sign(&with(name, value)), &service).await;
    }
    for typ in ["JWT", "at+jwt", "application/at+jwt"] {
        list(&service, &RSA.sign_with_header(&json!({"typ": typ}), &claims())).await.expect(200);
    }
}

#[tokio::test]
async fn memberships_in_the_tokens_of_a_provider_replace_those_of_ums_only_if_trusted() {
    let provider = Provider::start(json!([RSA.jwk()])).await;
    let lab =
        json!({"lab_id": 456, "lab_name": "Northgate", "role": "viewer", "membership_status": "active"});
    let token = RSA.sign(&with("labs", json!([lab])));
    for (trusted, status) in [("false", 403), ("true", 200)] {
        let service = service(&provider, &[("JWT_TRUST_LABS_CLAIM", trusted)], |_| {}).await;
        service.ums_proxy.rule(|path, _| match path {
            "/api/auth/me" => {
                Fault::Answer(200, r#"{"user": {"id": 1, "is_active": true, "locked_until": null}}"#.into())
            }
            _ => Fault::Answer(200, r#"{"memberships": []}"#.into()),
        });
        let reply = list(&service, &token).await;
        assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(&reply.bytes));
        let calls = service.ums_proxy.take_calls();
        assert_eq!(calls.len(), if trusted == "true" { 1 } else { 2 }, "{calls:?}");
        let create =
            service.request("POST", "/api/v1/cases").token(&token).json(json!({"procedure_type": "Crown"}));
        create.send().await.expect(403);
    }
}

#[tokio::test]
async fn a_new_key_works_without_a_restart_and_the_withdrawn_key_stops_working() {
    let provider = Provider::start(json!([RSA.jwk()])).await;
    let service = service(&provider, &[], without_pause).await;
    good(&RSA, &service).await;
    provider.publish(json!([OTHER_RSA.jwk()]));
    good(&OTHER_RSA, &service).await;
    refused(&RSA.sign(&claims()), &service).await;
}

#[tokio::test]
async fn a_withdrawn_key_stops_working_when_the_keys_expire() {
    let provider = Provider::start(json!([RSA.jwk(), EC.jwk()])).await;
    let service = service(&provider, &[], without_age).await;
    good(&RSA, &service).await;
    provider.publish(json!([EC.jwk()]));
    refused(&RSA.sign(&claims()), &service).await;
    provider.publish(json!([]));
    refused(&EC.sign(&claims()), &service).await;
}

/// The failures of the URL: everything that it can answer instead of keys.
fn failures() -> [Fault; 8] {
    [
        Fault::Answer(500, "{}".into()),
        Fault::Answer(404, "<html>Not found</html>".into()),
        Fault::Redirect,
        Fault::Answer(200, "<html>Sign in</html>".into()),
        Fault::Answer(200, r#"{"keys": "none"}"#.into()),
        Fault::Answer(200, format!("{{\"keys\":[\"{}\"]}}", "x".repeat(10_000_000))),
        Fault::LoseAnswer,
        Fault::Hang,
    ]
}

#[tokio::test]
async fn the_old_keys_are_kept_while_the_url_fails() {
    let provider = Provider::start(json!([RSA.jwk()])).await;
    let service = service(&provider, &[], without_age).await;
    good(&RSA, &service).await;
    for trouble in failures() {
        provider.proxy.rule(move |_, _| trouble.clone());
        good(&RSA, &service).await;
        refused(&EC.sign(&claims()), &service).await;
    }
}

#[tokio::test]
async fn keys_stop_working_when_the_url_fails_for_too_long() {
    let provider = Provider::start(json!([RSA.jwk()])).await;
    let service = service(&provider, &[], |config| {
        let jwks = jwks(config);
        (jwks.pause, jwks.max_age, jwks.max_stale_age) =
            (Duration::ZERO, Duration::ZERO, Duration::from_millis(1500));
    })
    .await;
    good(&RSA, &service).await;
    provider.proxy.rule(|_, _| Fault::Answer(500, "{}".into()));
    let token = RSA.sign(&claims());
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let reply = list(&service, &token).await;
        if reply.status != 200 {
            reply.expect_problem(503, "service_unavailable");
            break;
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    provider.proxy.heal();
    good(&RSA, &service).await;
}

#[tokio::test]
async fn without_keys_nobody_gets_in_and_the_service_recovers_by_itself() {
    for trouble in failures() {
        let provider = Provider::start(json!([RSA.jwk()])).await;
        let service = service(&provider, &[], |config| jwks(config).pause = Duration::from_millis(100)).await;
        provider.proxy.rule(move |_, _| trouble.clone());
        let token = RSA.sign(&claims());
        for _ in 0..3 {
            list(&service, &token).await.expect_problem(503, "service_unavailable");
        }
        assert_eq!(service.ums_proxy.take_calls(), [""; 0]);
        assert_eq!(service.dynamodb.take_calls(), [""; 0]);
        provider.proxy.heal();
        retry_until_success(|| list(&service, &token)).await;
    }
}

#[tokio::test]
async fn a_failing_jwks_url_is_not_called_for_every_token() {
    let provider = Provider::start(json!([])).await;
    provider.proxy.rule(|_, _| Fault::Answer(500, "{}".into()));
    let service = service(&provider, &[], with_a_long_pause).await;
    let token = RSA.sign(&claims());
    for reply in join_all((0..64).map(|_| list(&service, &token))).await {
        reply.expect_problem(503, "service_unavailable");
    }
    assert_eq!(provider.proxy.take_calls(), [JWKS]);
}

#[tokio::test]
async fn many_tokens_with_unknown_keys_cause_one_fetch() {
    let provider = Provider::start(json!([RSA.jwk()])).await;
    let service = service(&provider, &[], with_a_long_pause).await;
    let tokens = (0..64).map(|number| RSA.sign_with_header(&json!({"kid": format!("k{number}")}), &claims()));
    let tokens: Vec<String> = tokens.collect();
    for reply in join_all(tokens.iter().map(|token| list(&service, token))).await {
        reply.expect_problem(401, "unauthorized");
    }
    assert_eq!(provider.proxy.take_calls(), [JWKS]);
    good(&RSA, &service).await;
    assert_eq!(provider.proxy.take_calls(), [""; 0]);
}

#[tokio::test]
async fn simultaneous_first_tokens_share_one_fetch() {
    let provider = Provider::start(json!([RSA.jwk()])).await;
    let service = service(&provider, &[], |_| {}).await;
    join_all((0..64).map(|_| good(&RSA, &service))).await;
    assert_eq!(provider.proxy.take_calls(), [JWKS]);
}

#[tokio::test]
async fn an_obviously_invalid_token_causes_no_fetch() {
    let provider = Provider::start(json!([RSA.jwk()])).await;
    let service = service(&provider, &[], without_age).await;
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "RS512"}),
        json!({"alg": "PS256"}),
        json!({"alg": "ES384"}),
        json!({"typ": "JOSE"}),
        json!({"kid": 1}),
        json!({"crit": ["exp"]}),
        json!({"jku": provider.url()}),
        json!({"x5u": provider.url()}),
        json!({"x5c": ["AAAA"]}),
        json!({"jwk": RSA.jwk()}),
    ] {
        refused(&RSA.sign_with_header(&header, &claims()), &service).await;
    }
    assert_eq!(provider.proxy.take_calls(), [""; 0]);
}

#[tokio::test]
async fn a_published_key_is_never_used_as_a_shared_secret() {
    let symmetric = b"a published secret is none, whatever it looks like";
    let oct = json!({"kty": "oct", "kid": "oct-1", "alg": "HS256", "use": "sig",
        "k": base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(symmetric)});
    let provider = Provider::start(json!([RSA.jwk(), EC.jwk(), ED.jwk(), oct])).await;
    let service = service(&provider, &[], |_| {}).await;
    good(&RSA, &service).await;
    let mut secrets = vec![("oct-1", symmetric.to_vec())];
    for signer in [&RSA, &EC, &ED] {
        let der = signer.public_der();
        let pem = pem(&der);
        let jwk = signer.jwk();
        secrets.push((signer.id, jwk.to_string().into_bytes()));
        for member in ["n", "x"] {
            if let Some(number) = jwk[member].as_str() {
                secrets.push((signer.id, number.as_bytes().to_vec()));
            }
        }
        secrets.push((signer.id, pem.trim_end().as_bytes().to_vec()));
        secrets.push((signer.id, pem.into_bytes()));
        secrets.push((signer.id, der));
    }
    for (id, secret) in secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            for kid in [None, Some(id.to_owned())] {
                let header = Header { kid, ..Header::new(algorithm) };
                let token = encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
                refused(&token, &service).await;
            }
        }
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

#[tokio::test]
async fn a_key_verifies_only_its_own_tokens_with_its_own_algorithm() {
    let provider = Provider::start(json!([RSA.jwk(), OTHER_RSA.jwk(), EC.jwk(), ED.jwk()])).await;
    let service = service(&provider, &[], without_pause).await;
    let signers = [&RSA, &OTHER_RSA, &EC, &ED];
    for signer in signers {
        for other in signers {
            let named = signer.sign_with_header(&json!({"kid": other.id}), &claims());
            let claimed = signer.sign_with_header(&json!({"alg": other.algorithm()}), &claims());
            let both = json!({"kid": other.id, "alg": other.algorithm()});
            let both = signer.sign_with_header(&both, &claims());
            if signer.id != other.id {
                refused(&named, &service).await;
                refused(&both, &service).await;
            }
            if signer.algorithm() != other.algorithm() {
                refused(&claimed, &service).await;
            }
        }
        good(signer, &service).await;
        let token = signer.sign(&claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        refused(&format!("{signed}."), &service).await;
        refused(&format!("{signed}.{}", signature.chars().rev().collect::<String>()), &service).await;
    }
}

#[tokio::test]
async fn a_token_without_a_key_id_is_accepted_only_if_one_key_fits() {
    let provider = Provider::start(json!([RSA.jwk(), EC.jwk()])).await;
    let service = service(&provider, &[], without_age).await;
    let unnamed = |signer: &Signer| signer.sign_with_header(&json!({"kid": null}), &claims());
    list(&service, &unnamed(&RSA)).await.expect(200);
    list(&service, &unnamed(&EC)).await.expect(200);
    refused(&unnamed(&ED), &service).await;
    provider.publish(json!([RSA.jwk(), OTHER_RSA.jwk()]));
    refused(&unnamed(&RSA), &service).await;
    good(&RSA, &service).await;
}

#[tokio::test]
async fn a_key_that_is_published_for_another_use_verifies_nothing() {
    for (member, value) in [
        ("use", json!("enc")),
        ("alg", json!("RSA-OAEP")),
        ("alg", json!("PS256")),
        ("key_ops", json!(["encrypt", "wrapKey"])),
        ("kty", json!("oct")),
    ] {
        let mut jwk = RSA.jwk();
        jwk[member] = value;
        let provider = Provider::start(json!([jwk, EC.jwk()])).await;
        let service = service(&provider, &[], |_| {}).await;
        refused(&RSA.sign(&claims()), &service).await;
        good(&EC, &service).await;
    }
}
