//! Canaries: marked text in every place where a client, another service or a defect can put text. No error, header or log
//! line may contain one. The harness looks for canaries in every reply and in the log of the whole run; the tests here put
//! them where other tests do not.

use std::time::Duration;

use futures_util::future::join_all;
use local::ums::{User, token};
use serde_json::{Value, json};
use shared::{
    config::{Common, Env},
    http,
    runtime::{Function, PublicFunction},
};

use crate::harness::{
    Reply, Service,
    leaks::{self, CANARY},
    proxy::{Fault, Proxy},
    service::SECRET,
    spec,
    webhooks::DELIVERY,
};

/// The canary for a place.
fn plant(place: &str) -> String {
    format!("{CANARY}-{place}")
}

/// A case with canaries in every text field.
fn planted_case() -> Value {
    let shade = json!({
        "shade_id": plant("shade_id"), "shade_system": "custom", "shade_value": plant("shade_value"),
        "shade_description": plant("shade_description"), "notes": plant("shade_notes"),
    });
    json!({
        "patient_name": plant("patient_name"), "case_name": plant("case_name"), "description": plant("description"),
        "notes": plant("notes"), "special_instructions": plant("special_instructions"),
        "doctor_id": plant("doctor_id"), "product_id": plant("product_id"), "assigned_to": plant("assigned_to"),
        "patient_info": {"patient_id": plant("patient_id"), "age": 44, "medical_history": plant("history")},
        "fixed_prosthetic": {"type": "crown", "material": "zirconia", "tooth_numbers": [3], "shade": shade},
    })
}

/// The path of a webhook.
const WEBHOOK: &str = "/api/v1/webhooks/wh_0123456789abcdef";

/// A webhook with canaries in its URL, as a token in a path is, and in its description.
fn planted_webhook() -> Value {
    json!({"url": format!("https://example.com/{}", plant("url")), "description": plant("description")})
}

/// How many canaries are in a body.
fn canaries(reply: &Reply) -> usize {
    String::from_utf8_lossy(&reply.bytes).matches(CANARY).count()
}

#[test]
fn the_harness_finds_a_canary_in_a_body_a_header_and_the_log() {
    let reply = |status, header: &str, body: Value| {
        let mut headers = lambda_http::http::HeaderMap::new();
        headers.insert("location", header.parse().unwrap());
        leaks::in_reply(&Reply { status, headers, bytes: body.to_string().into_bytes(), sent_bytes: 0 }).len()
    };
    let found = json!({"detail": plant("detail")});
    assert_eq!(reply(422, "/", found.clone()), 1);
    assert_eq!(reply(422, "/", json!({"errors": [{"pointer": plant("name"), "detail": plant("value")}]})), 1);
    assert_eq!(reply(422, "/", json!({"errors": [{"pointer": plant("name"), "detail": "is unknown"}]})), 0);
    assert_eq!(reply(200, "/", found), 0);
    assert_eq!(reply(201, CANARY, json!({})), 1);
    assert_eq!(reply(308, CANARY, json!({})), 0);
}

#[tokio::test]
async fn the_harness_reads_the_log_of_the_functions() {
    let service = Service::start().await;
    service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
    let lines = leaks::lines_with("\"request.method\":\"GET\"");
    assert!(lines.iter().any(|line| line.contains("\"message\":\"request\"")), "{lines:?}");
}

#[tokio::test]
async fn the_content_of_a_case_appears_only_in_responses_about_that_case() {
    let service = Service::start_with(&[("LINKSHUB_BASE_URL", "")]).await;
    let admin = |method: &str, path: &str| service.as_user("admin", method, path);
    let key = plant("idempotency_key");
    for _ in 0..2 {
        let reply = admin("POST", "/api/v1/cases").header("idempotency-key", &key).json(planted_case());
        let reply = reply.send().await;
        reply.expect(201);
        assert_eq!(canaries(&reply), 14);
    }
    let on_hold = json!({"status": "on_hold", "reason": plant("reason")});
    for (method, path, body) in [
        ("PUT", "/api/v1/cases/1", json!({"notes": plant("other_notes"), "reason": plant("reason")})),
        ("PATCH", "/api/v1/cases/1/status", on_hold.clone()),
        ("POST", "/api/v1/cases/search", json!({"q": plant("patient_name")})),
        (
            "POST",
            "/api/v1/cases/bulk-status",
            json!({"ids": [1, 9], "status": "cancelled", "reason": plant("reason")}),
        ),
        (
            "POST",
            "/api/v1/cases/1/remakes",
            json!({"reason_code": "other", "reason": plant("remake_reason")}),
        ),
        (
            "POST",
            "/api/v1/cases/1/comments",
            json!({"text": plant("comment"), "mentions": [plant("mention")]}),
        ),
        ("PUT", "/api/v1/cases/1/comments/1", json!({"text": plant("edited_comment")})),
        (
            "POST",
            "/api/v1/cases/1/attachments",
            json!({
                "file_name": format!("{}.stl", plant("file")), "content_type": "model/stl", "size": 1, "kind": "scan",
                "sha256": "0".repeat(64),
            }),
        ),
    ] {
        let reply = admin(method, path).json(body).send().await;
        assert!(reply.status < 300 && canaries(&reply) > 0, "{path} {}", reply.status);
    }
    for path in [
        format!("/api/v1/cases?q={}", plant("patient_name")),
        format!("/api/v1/cases?assigned_to={}&limit=1", plant("assigned_to")),
        "/api/v1/cases/1".to_owned(),
        "/api/v1/cases/1/history".to_owned(),
        "/api/v1/cases/1/comments".to_owned(),
        "/api/v1/cases/1/attachments".to_owned(),
        "/api/v1/cases/changes".to_owned(),
        // Grouped by the user to whom the cases are assigned.
        "/api/v1/cases/stats".to_owned(),
        "/api/v1/cases/export".to_owned(),
        format!("/api/v1/cases/export?format=ndjson&doctor_id={}", plant("doctor_id")),
    ] {
        let reply = admin("GET", &path).send().await;
        assert!(reply.status == 200 && canaries(&reply) > 0, "{path} {}", reply.status);
    }
    let reply = admin("GET", "/api/v1/cases/1/history/verify").send().await;
    assert_eq!((reply.status, canaries(&reply)), (200, 0));
    assert_eq!(canaries(&admin("DELETE", "/api/v1/cases/1/comments/1").send().await), 0);
    admin("DELETE", "/api/v1/cases/1").send().await.expect(204);
    admin("POST", "/api/v1/cases/1/restore").send().await.expect(200);
    // The audit records of all this contain only ids.
    for path in ["/api/v1/audit?limit=100", "/api/v1/audit?format=csv", "/api/v1/cases/1/access"] {
        let reply = admin("GET", path).send().await;
        assert_eq!((reply.status, canaries(&reply)), (200, 0), "{path}");
    }
}

#[tokio::test]
async fn the_log_names_the_user_and_the_lab_of_a_rejected_request() {
    let service = Service::start().await;
    service.ums.update(|directory| directory.users.push(User::new(987_654, "curious", "password")));
    let call = service.request("GET", "/api/v1/cases").token(&service.ums.access_token(987_654)).lab(456);
    call.send().await.expect_problem(403, "lab_forbidden");
    let lines = leaks::lines_with("\"user.id\":\"987654\"");
    // The line of the security event, and the line of the request.
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert!(line.contains("\"lab.id\":456") && line.contains("\"error.code\":\"lab_forbidden\""));
    }
}

#[tokio::test]
async fn an_error_repeats_nothing_of_the_request_except_names_of_unknown_fields() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let comment =
        service.as_user("admin", "POST", "/api/v1/cases/1/comments").json(json!({"text": "a comment"}));
    comment.send().await.expect(201);
    let c = |place: &str| plant(place);
    let bodies = [
        json!({c("unknown_name"): c("unknown_value"), "patient_info": {c("inner_name"): {c("deep"): c("deep")}}}),
        json!({"procedure_type": c("enum"), "status": c("enum"), "priority": c("enum"), "due_date": c("date"),
            "rush_order": c("boolean"), "patient_info": c("object"), "patient_name": [c("item")], "case_type": c("enum"),
            "reason_code": c("enum"), "ids": [c("item")], "reason": {"a": c("object")}, "notes": c("x").repeat(500),
            "doctor_id": format!("{}/..", c("id")), "id": c("id"), "version": c("version"), "text": [c("text")], "asks": c("asks"),
            "mentions": [format!("{}/..", c("mention"))], "file_name": format!("{}/x.stl", c("file")),
            "content_type": c("enum"), "size": c("size"), "sha256": c("sum"), "kind": c("enum"), "part_sha256": [c("sum")]}),
        json!({"fixed_prosthetic": {"type": c("enum"), "material": c("enum"), "tooth_numbers": [c("item")],
            "shade": {"shade_system": "vita_classical", "shade_value": c("shade")}}}),
        json!({"procedure_type": "Crown", "doctor_id": c("doctor"), "product_id": c("product")}),
        json!({"procedure_type": "Crown", "case_name": format!("{}\u{0}", c("control")), "notes": "\u{1}"}),
        json!([c("list")]),
        json!(c("text")),
    ];
    let mut raw: Vec<Vec<u8>> = bodies.iter().map(|body| body.to_string().into_bytes()).collect();
    raw.push(format!("{{\"{}\": \"{}", c("name"), c("cut")).into_bytes());
    raw.push(format!("{{\"{}\": \"\\ud800\"}}", c("surrogate")).into_bytes());
    raw.push([c("not_utf8").as_bytes(), b"\xff"].concat());
    raw.push(format!("{{\"a\": {} }}", c("bare")).into_bytes());
    for (method, path) in [
        ("POST", "/api/v1/cases"),
        ("PUT", "/api/v1/cases/1"),
        ("PATCH", "/api/v1/cases/1/status"),
        ("POST", "/api/v1/cases/1/remakes"),
        ("POST", "/api/v1/cases/1/comments"),
        ("PUT", "/api/v1/cases/1/comments/1"),
        ("POST", "/api/v1/cases/1/attachments"),
        ("POST", "/api/v1/cases/bulk-status"),
        ("POST", "/api/v1/webhooks"),
        ("PUT", WEBHOOK),
        ("POST", &format!("{WEBHOOK}/replay")),
    ] {
        for body in &raw {
            let call = service.as_user("admin", method, path).header("content-type", "application/json");
            let reply = call.bytes(body.clone()).send().await;
            assert!((400..500).contains(&reply.status), "{method} {path} {}", reply.status);
        }
        let call = service.as_user("admin", method, path).header("content-type", &c("type"));
        call.bytes(c("body")).send().await.expect_problem(415, "unsupported_media_type");
    }
    let named = service.as_user("admin", "POST", "/api/v1/cases").json(bodies[0].clone()).send().await;
    assert_eq!(
        named.pointers(),
        [format!("/patient_info/{}", c("inner_name")), format!("/{}", c("unknown_name"))]
    );
}

#[tokio::test]
async fn no_error_repeats_the_path_query_header_or_method() {
    let service = Service::start().await;
    let id = plant("segment");
    let mut paths = vec![format!("/{id}"), format!("/api/v1/cases/{id}/{id}"), format!("/docs/{id}")];
    for operation in spec::operations() {
        let path = operation
            .path
            .replace("{id}", &id)
            .replace("{comment_id}", &id)
            .replace("{attachment_id}", &id)
            .replace("{webhook_id}", &id)
            .replace("{delivery_id}", &id)
            .replace("{doctor_id}", &format!("{id}%2F"))
            .replace("{asset}", &id);
        paths.push(format!("{path}/"));
        paths.push(path.clone());
        let names = [
            "q", "status", "cursor", "since", "limit", "page", "sort", "order", "due_from", "deleted",
            "lab_id",
        ];
        paths.extend(names.map(|name| format!("{path}?{name}={id}%00&{name}={id}&{id}={id}&lab_id=123")));
        paths.extend(names.map(|name| format!("{path}?{name}={id}%00")));
    }
    for path in &paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "C4N4RY"] {
            let reply =
                service.as_user("admin", method, path).header("x-trace", &id).json(json!({})).send().await;
            // Health, the catalogue and the docs ignore parameters.
            assert!(reply.status >= 300 || canaries(&reply) == 0, "{method} {path}");
        }
    }
    let headers = [
        "x-lab-id",
        "if-match",
        "if-none-match",
        "idempotency-key",
        "origin",
        "cookie",
        "user-agent",
        "accept",
    ];
    for name in headers {
        for (method, path) in [
            ("GET", "/api/v1/cases/1"),
            ("PUT", "/api/v1/cases/1"),
            ("POST", "/api/v1/cases"),
            ("GET", "/docs"),
        ] {
            let call = service.as_user("admin", method, path).header(name, &format!("\"{id}\" {id}"));
            let reply = call.json(json!({"notes": id})).send().await;
            assert_eq!(canaries(&reply), 0, "{name} {method} {path}");
        }
    }
    let reply = service.as_user("admin", "GET", &format!("/api/v1/cases?{id}=1")).send().await;
    reply.expect_problem(400, "invalid_parameter");
    assert_eq!(reply.pointers(), [format!("/query/{id}")]);
}

#[tokio::test]
async fn no_response_or_log_line_contains_a_token() {
    let service = Service::start().await;
    let with = |name: &str, value: Value| {
        let mut claims = token::access_claims(1);
        claims.insert(name.into(), value);
        token::sign(SECRET, &claims)
    };
    let good = service.token_of("admin");
    let tokens = [
        with("exp", json!(token::now() - 60)),
        with("type", json!(plant("type"))),
        with("sub", json!(plant("subject"))),
        with("labs", json!(plant("labs"))),
        token::sign(&plant("another-key"), &token::access_claims(1)),
        format!("{good}{CANARY}"),
        plant("token"),
        format!("{0}.{0}.{0}", plant("part")),
    ];
    for token in &tokens {
        service.request("GET", "/api/v1/cases").token(token).send().await.expect_problem(401, "unauthorized");
        for name in ["token", "access_token"] {
            let path = format!("/api/v1/cases?{name}={token}");
            service.request("GET", &path).token(&good).send().await.expect_problem(401, "unauthorized");
        }
    }
    for value in [format!("Basic {}", plant("basic")), plant("scheme"), format!("Bearer {good} {good}")] {
        let call = service.request("GET", "/api/v1/cases").header("authorization", &value);
        call.send().await.expect_problem(401, "unauthorized");
    }
    service
        .request("GET", "/api/v1/cases")
        .token(&with("name", json!(plant("name"))))
        .send()
        .await
        .expect(200);
}

/// Invalid answers with canaries in everything that a log line could quote.
fn bad_answers() -> Vec<Fault> {
    let c = plant("answer");
    let exception = "com.amazonaws.dynamodb.v20120810#";
    let error_body =
        json!({"message": c, "error": c, "msg": c, "detail": {"item": {"patient_name": {"S": c}}}});
    let typed = |name: &str| {
        json!({"__type": format!("{exception}{name}"), "message": c, "Item": {"patient_name": {"S": c}},
            "CancellationReasons": [{"Code": "ValidationError", "Message": c, "Item": {"notes": {"S": c}}}, {"Code": c}]})
    };
    let odd_item = json!({"sk": {"S": c}, "lab_id": {"S": c}, "status": {"S": c}, "patient_name": {"N": c}});
    vec![
        Fault::Answer(400, typed("ValidationException").to_string()),
        Fault::Answer(400, typed("TransactionCanceledException").to_string()),
        Fault::Answer(400, typed(&c).to_string()),
        Fault::Answer(403, error_body.to_string()),
        Fault::Answer(409, format!("<html>{c}</html>")),
        Fault::Answer(200, format!("<html>{c}</html>")),
        Fault::Answer(200, format!("{{\"Item\": {{\"{c}\": \"{c}")),
        Fault::Answer(
            200,
            json!({"Item": odd_item, "Items": [odd_item], "Responses": {"lhcms-test": [odd_item]}})
                .to_string(),
        ),
        Fault::Answer(
            200,
            json!({"user": c, "labs": c, "memberships": [{"role": c}], "doctor_id": [c], "is_active": c})
                .to_string(),
        ),
        Fault::Answer(200, json!({"user": {"id": 1, "is_active": true, "locked_until": c}}).to_string()),
        Fault::Answer(302, c.clone()),
        Fault::Answer(500, error_body.to_string()),
    ]
}

/// Sends every request to a service while one dependency gives an invalid answer.
async fn send_every_request(what: &str, proxy: fn(&Service) -> &Proxy, fault: Fault) {
    let service = Service::start_tuned(&[], |config| config.outage_pause = Duration::ZERO).await;
    service.create("admin", json!({"procedure_type": "Crown", "notes": plant("notes")})).await;
    service.put_webhooks_of_both_labs().await;
    // The functions have cached the caller, so these requests do not need UMS.
    let user = if what == "UMS" { "member" } else { "admin" };
    let answer = fault.clone();
    proxy(&service).rule(move |_, _| answer.clone());
    let new = json!({"procedure_type": "Crown", "doctor_id": "DOC001", "product_id": "PROD001", "notes": plant("notes")});
    let requests = [
        ("GET", "/health", None),
        ("GET", "/api/v1/cases", None),
        ("GET", "/api/v1/cases?q=c4n4ry", None),
        ("GET", "/api/v1/cases/1", None),
        ("GET", "/api/v1/cases/1/history", None),
        ("GET", "/api/v1/cases/1/comments", None),
        ("GET", "/api/v1/cases/changes", None),
        ("GET", "/api/v1/cases/stats", None),
        ("GET", "/api/v1/cases/export", None),
        ("GET", "/api/v1/cases/doctor-info/DOC001", None),
        ("POST", "/api/v1/cases/search", Some(json!({"q": plant("words")}))),
        ("POST", "/api/v1/cases", Some(new.clone())),
        ("PUT", "/api/v1/cases/1", Some(json!({"notes": plant("notes"), "doctor_id": "DOC001"}))),
        ("PATCH", "/api/v1/cases/1/status", Some(json!({"status": "on_hold", "reason": plant("reason")}))),
        ("POST", "/api/v1/cases/1/comments", Some(json!({"text": plant("comment")}))),
        ("PUT", "/api/v1/cases/1/comments/1", Some(json!({"text": plant("comment")}))),
        ("DELETE", "/api/v1/cases/1/comments/1", None),
        ("DELETE", "/api/v1/cases/1", None),
        ("GET", "/api/v1/webhooks", None),
        ("POST", "/api/v1/webhooks", Some(planted_webhook())),
        ("GET", WEBHOOK, None),
        ("PUT", WEBHOOK, Some(planted_webhook())),
        ("GET", &format!("{WEBHOOK}/deliveries"), None),
        ("POST", &format!("{WEBHOOK}/test"), None),
        ("POST", &format!("{WEBHOOK}/rotate-secret"), None),
        ("POST", &format!("{WEBHOOK}/deliveries/{DELIVERY}/retry"), None),
        ("POST", &format!("{WEBHOOK}/replay"), Some(json!({"since": "2026-11-24T09:30:00Z"}))),
        ("DELETE", WEBHOOK, None),
        ("POST", "/api/v1/realtime/tickets", None),
    ];
    let calls = requests.into_iter().map(|(method, path, body)| {
        let call = service.as_user(user, method, path);
        match body {
            Some(body) => call.json(body).send(),
            None => call.send(),
        }
    });
    for reply in join_all(calls).await {
        assert_eq!(leaks::in_reply(&reply), [""; 0], "{what} {fault:?}");
    }
}

#[tokio::test]
async fn no_response_repeats_an_invalid_answer_of_the_database() {
    for fault in bad_answers() {
        send_every_request("DynamoDB", |service| &service.dynamodb, fault).await;
    }
}

#[tokio::test]
async fn no_response_repeats_an_invalid_answer_of_ums_or_linkshub() {
    for fault in bad_answers() {
        send_every_request("UMS", |service| &service.ums_proxy, fault.clone()).await;
        send_every_request("LinksHub", |service| &service.linkshub_proxy, fault).await;
    }
}

#[tokio::test]
async fn a_panic_logs_its_location_and_nothing_else() {
    leaks::watch();
    let common = Common::read(&mut Env::new(&|_: &str| None));
    let function = PublicFunction::new(common, async |_| -> http::Result { panic!("{}", plant("panic")) });
    let response = function.call(http::Request::default()).await;
    let reply = Reply::of(response);
    assert_eq!((reply.status, leaks::in_reply(&reply)), (500, Vec::new()));
    assert_eq!(leaks::in_log(), [""; 0]);
    assert_eq!(leaks::lines_with(&format!("\"panic.at\":\"{}", file!())).len(), 1);
}
