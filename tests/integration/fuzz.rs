//! Random and damaged input: the service never panics or answers 500, and every response matches the contract (the harness
//! checks that for every reply). proptest reduces an input that breaks a property and prints it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use lambda_http::request::LambdaRequest;
use local::ums::token;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use shared::http::make_readable;

use crate::harness::{
    Reply, Service,
    random::{any_json, damage, damaged, one_of, word},
    service::SECRET,
    spec,
};

/// The paths of a webhook.
const WEBHOOK: &str = "/api/v1/webhooks/wh_0123456789abcdef";
const REPLAY: &str = "/api/v1/webhooks/wh_0123456789abcdef/replay";

/// Checks a property for this number of random values. One service answers all of them.
fn holds<S: Strategy>(cases: u32, values: S, property: impl AsyncFn(&Service, S::Value)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = runtime.block_on(async {
        let service = Service::start_tuned(&[], |config| config.outage_pause = Duration::ZERO).await;
        service.create("admin", json!({"procedure_type": "Crown", "due_date": "2026-12-01"})).await;
        let comment =
            service.as_user("admin", "POST", "/api/v1/cases/1/comments").json(json!({"text": "a comment"}));
        comment.send().await.expect(201);
        service.put_webhooks_of_both_labs().await;
        service
    });
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let held = runner.run(&values, |value| {
        runtime.block_on(property(&service, value));
        Ok(())
    });
    held.unwrap_or_else(|failure| panic!("{failure}"));
}

/// All dependencies work, so only a defect can cause a failure.
#[track_caller]
fn assert_no_failure(reply: &Reply) {
    assert!(reply.status < 500, "{} {}", reply.status, String::from_utf8_lossy(&reply.bytes));
}

/// The operations that accept a body, each with a valid body.
fn operations() -> impl Strategy<Value = (&'static str, &'static str, Value)> {
    let case = spec::SPEC["components"]["examples"]["NewCrown"]["value"].clone();
    select(vec![
        ("POST", "/api/v1/cases", case.clone()),
        ("PUT", "/api/v1/cases/1", case),
        ("PATCH", "/api/v1/cases/1/status", json!({"status": "on_hold", "reason": "a reason"})),
        (
            "POST",
            "/api/v1/cases/1/remakes",
            json!({"reason_code": "fit", "reason": "a reason", "due_date": null}),
        ),
        (
            "POST",
            "/api/v1/cases/1/comments",
            json!({"text": "a comment", "mentions": ["5", "6"], "asks": true}),
        ),
        ("PUT", "/api/v1/cases/1/comments/1", json!({"text": "a comment", "mentions": ["5"]})),
        (
            "POST",
            "/api/v1/cases/1/attachments",
            spec::SPEC["components"]["examples"]["NewAttachment"]["value"].clone(),
        ),
        (
            "POST",
            "/api/v1/webhooks",
            json!({"url": "https://example.com/hook", "description": "a webhook", "types": ["case.created"], "enabled": true}),
        ),
        ("PUT", WEBHOOK, json!({"url": "https://example.com/hook", "description": "a webhook", "types": []})),
        ("POST", REPLAY, json!({"since": "2026-11-24T09:30:00.000Z"})),
        (
            "POST",
            "/api/v1/cases/bulk-status",
            json!({"ids": [1, 2, 3], "status": "on_hold", "reason": "a reason"}),
        ),
        (
            "POST",
            "/api/v1/cases/search",
            json!({"status": ["pending", "on_hold"], "q": "a b", "rush_order": false, "due_to": "2026-12-01", "sort": "due_date", "limit": 5}),
        ),
    ])
}

#[test]
fn random_and_damaged_json_bodies_get_documented_responses() {
    let body = prop_oneof![2 => damage().prop_map(Ok), 1 => any_json().prop_map(Err)];
    holds(600, (operations(), body), async |service, ((method, path, good), body)| {
        let body = match body {
            Ok(damage) => damaged(good, &damage),
            Err(any) => any,
        };
        assert_no_failure(&service.as_user("admin", method, path).json(body).send().await);
    });
}

/// Bytes that parsers often handle badly.
const SPLINTERS: &[&[u8]] = &[
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\0",
    b"\\u0000",
    b"\xff",
    b"\xed\xa0\x80",
    b"1e999",
    b"-0",
    b"1E+",
    b"\xef\xbb\xbf",
    b"{}",
    b"[]",
    b"null",
    b"\"",
    b"\\",
    b",",
    b":",
    b"NaN",
    b"/**/",
];

#[test]
fn bodies_that_are_almost_json_get_documented_responses() {
    let splinter = prop_oneof![
        select(SPLINTERS).prop_map(<[u8]>::to_vec),
        (1..300usize).prop_map(|depth| b"[".repeat(depth)),
        (1..300usize).prop_map(|depth| b"{\"notes\":".repeat(depth)),
        (1..400usize).prop_map(|digits| b"9".repeat(digits)),
        vec(any::<u8>(), 0..20),
    ];
    let splinters = vec((any::<Index>(), splinter, any::<bool>()), 1..4);
    holds(400, (operations(), splinters), async |service, ((method, path, good), splinters)| {
        let mut body = good.to_string().into_bytes();
        for (place, splinter, cut) in splinters {
            let place = place.index(body.len() + 1);
            let rest = body.split_off(place);
            body.extend(splinter);
            body.extend(if cut { &[] } else { &rest[..] });
        }
        let call = service.as_user("admin", method, path).header("content-type", "application/json");
        assert_no_failure(&call.bytes(body).send().await);
    });
}

/// Percent-encoded for a URL.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn random_query_strings_and_cursors_get_documented_responses() {
    let parameter = prop_oneof![
        4 => one_of("status case_number patient_id unassigned doctor_id case_type procedure_type priority rush_order waiting_for_answer assigned_to due_from due_to created_from created_to overdue q sort order deleted page limit per_page cursor since state lab_id format"),
        1 => word().prop_map(|word| encoded(&word)),
    ];
    let cursor = prop_oneof![
        vec(any::<u8>(), 0..80).prop_map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
        (any::<Index>(), any::<u8>()).prop_map(|(place, byte)| {
            let mut bytes = vec![0; 24];
            *place.get_mut(&mut bytes) = byte;
            URL_SAFE_NO_PAD.encode(bytes)
        }),
    ];
    let value =
        prop_oneof![4 => word().prop_map(|word| encoded(&word)), 1 => cursor, 1 => "[!$-;=?-~]{0,40}"];
    let path = one_of(
        "/api/v1/cases /api/v1/cases/export /api/v1/cases/changes /api/v1/cases/1/history /api/v1/cases/1/comments /api/v1/cases/1/attachments /api/v1/cases/1/attachments/att_0000000000000001 /api/v1/webhooks /api/v1/webhooks/wh_0123456789abcdef/deliveries /api/v1/cases/stats /api/v1/cases/1 /api/v1/cases/doctor-info/DOC001 /api/v1/cases/types /health /docs",
    );
    holds(600, (path, vec((parameter, value), 0..5)), async |service, (path, parameters)| {
        let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let reply = service.as_user("admin", "GET", &format!("{path}?{}", query.join("&"))).send().await;
        assert_no_failure(&reply);
    });
}

#[test]
fn a_damaged_cursor_is_rejected() {
    holds(200, (any::<Index>(), any::<u8>()), async |service, (place, flip)| {
        service.create("admin", json!({"procedure_type": "Crown"})).await;
        let page = service.as_user("admin", "GET", "/api/v1/cases?limit=1").send().await.expect(200);
        let good = page["pagination"]["next_cursor"].as_str().unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(good).unwrap();
        *place.get_mut(&mut bytes) ^= flip;
        let path = format!("/api/v1/cases?limit=1&cursor={}", URL_SAFE_NO_PAD.encode(bytes));
        let reply = service.as_user("admin", "GET", &path).send().await;
        if flip == 0 {
            reply.expect(200);
        } else {
            reply.expect_problem(400, "invalid_cursor");
        }
    });
}

#[test]
fn random_headers_and_paths_get_documented_responses() {
    let name = one_of(
        "x-lab-id if-match if-none-match idempotency-key content-type origin cookie accept accept-encoding access-control-request-method content-length transfer-encoding x-request-id",
    );
    let value = prop_oneof![
        "[ -~]{0,60}",
        "[ -~é🦷]{0,20}",
        "(W/)?\"[!#-~]{0,9}\"(, \"1\")?",
        word().prop_filter("no header has control characters", |word| !word.chars().any(char::is_control)),
    ];
    let path = prop_oneof![
        one_of("/api/v1/cases /api/v1/cases/1 /api/v1/cases/1/history /docs /"),
        word().prop_map(|word| format!("/api/v1/cases/{}", encoded(&word))),
        word().prop_map(|word| format!("/api/v1/cases/doctor-info/{}/", encoded(&word))),
        "(/[!$-.0-;=@-~]{0,8}){1,6}",
    ];
    let method = one_of("GET POST PUT PATCH DELETE HEAD OPTIONS TRACE X");
    holds(600, (method, path, vec((name, value), 0..4)), async |service, (method, path, headers)| {
        let call = service.as_user("admin", &method, &path).json(json!({"notes": "a"}));
        let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
        assert_no_failure(&call.send().await);
    });
}

/// A token with this header and these claims, with a valid signature.
fn sign(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn random_and_damaged_tokens_are_rejected_or_name_a_user() {
    let claims = || Value::Object(token::access_claims(1));
    let damaged_parts = (damage(), damage(), any::<bool>()).prop_map(move |(header, of_claims, both)| {
        let good = json!({"alg": "HS256", "typ": "JWT", "kid": "a"});
        let header = if both { damaged(good, &header) } else { good };
        sign(&header.to_string(), &damaged(claims(), &of_claims).to_string())
    });
    let good = || sign(r#"{"alg":"HS256"}"#, &Value::Object(token::access_claims(1)).to_string());
    let damaged_text = vec((any::<Index>(), "[A-Za-z0-9_.=+/-]?"), 1..4).prop_map(move |changes| {
        changes.into_iter().fold(good(), |mut token, (place, with)| {
            let place = place.index(token.len());
            token.replace_range(place..=place, &with);
            token
        })
    });
    let token = prop_oneof![
        4 => damaged_parts,
        2 => damaged_text,
        1 => (any_json(), any_json()).prop_map(|(header, claims)| sign(&header.to_string(), &claims.to_string())),
        1 => "[!-~]{0,200}",
        1 => "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}",
    ];
    holds(600, token, async |service, token| {
        let reply = service.request("GET", "/api/v1/cases/1").token(&token).send().await;
        let said = String::from_utf8_lossy(&reply.bytes).into_owned();
        // The damaged token can be a valid token of another user, or one with other labs.
        assert!([200, 400, 401, 403, 404, 503].contains(&reply.status), "{} {said}", reply.status);
        let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
        let claims: Value = serde_json::from_slice(&claims.unwrap_or_default()).unwrap_or_default();
        let subject = claims["sub"].as_str().map_or_else(|| claims["sub"].to_string(), str::to_owned);
        assert!(subject.parse::<u64>().is_ok() || reply.status != 200, "let in without a user: {said}");
    });
}

#[tokio::test]
async fn an_event_with_an_invalid_url_is_answered() {
    let service = Service::start().await;
    let event = std::fs::read_to_string(spec::root().join("tests/events/health.json")).unwrap();
    for (pointer, value) in [
        ("/rawQueryString", "a=\"<b>#\u{0}é"),
        ("/rawPath", "//[::1"),
        ("/rawPath", ":99999999"),
        ("/rawPath", "@\"<>"),
        ("/requestContext/domainName", "not a host"),
        ("/requestContext/stage", "\"<>"),
        ("/headers/host", "[not a host"),
        ("/headers/x-forwarded-proto", "\""),
        ("/body", "not Base64"),
    ] {
        let mut event: Value = serde_json::from_str(&event).unwrap();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = json!(value);
        event["isBase64Encoded"] = json!(true);
        let mut event: LambdaRequest = serde_json::from_str(&event.to_string()).unwrap();
        make_readable(&mut event);
        let reply = service.answer("health", event.into()).await;
        assert_eq!(reply.status, 200, "{pointer} {value}");
    }
}

#[test]
fn random_and_damaged_gateway_events_are_answered_unless_they_do_not_parse() {
    let events: BTreeMap<String, Value> = std::fs::read_dir(spec::root().join("tests/events"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let event = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), event)
        })
        .collect();
    // Most values of an event are text; an event with another type there does not parse.
    let other_text = vec((any::<Index>(), word().prop_map(|word| Some(word.into()))), 1..4);
    let event = prop_oneof![
        6 => other_text.prop_map(Ok),
        3 => damage().prop_map(Ok),
        1 => any_json().prop_map(Err),
    ];
    let functions: Vec<(String, Value)> = events.into_iter().collect();
    holds(600, (select(functions), event), async |service, ((function, good), event)| {
        let event = match event {
            Ok(damage) => damaged(good, &damage),
            Err(any) => any,
        };
        let event = event.to_string().replace("TOKEN", &service.token_of("admin"));
        if let Ok(mut event) = serde_json::from_str::<LambdaRequest>(&event) {
            make_readable(&mut event);
            assert_no_failure(&service.answer(&function, event.into()).await);
        }
    });
}

#[test]
fn random_and_damaged_messages_of_websockets_are_answered() {
    let message = select(vec![
        json!({"action": "subscribe", "lab_id": 123, "statuses": ["pending", "shipped"], "case_ids": [1, 2]}),
        json!({"action": "renew", "ticket": format!("123.{}", "A".repeat(43))}),
        json!({"action": "ping"}),
    ]);
    let text = prop_oneof![
        4 => (message, damage()).prop_map(|(message, damage)| damaged(message, &damage).to_string()),
        1 => any_json().prop_map(|value| value.to_string()),
        1 => word(),
    ];
    holds(400, text, async |service, text| {
        let client = service.connect("viewer").await;
        match client.send_text(&text).await {
            Some(answer) => assert_ne!(answer["code"], "internal_error", "{text}"),
            None => assert!(!client.is_open(), "{text}"),
        }
    });
}
