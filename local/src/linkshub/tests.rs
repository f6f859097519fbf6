use std::time::Duration;

use super::*;
use crate::{client::Client, seed, server};

async fn get_json(url: &str, token: Option<&str>) -> (u16, serde_json::Value) {
    let headers: Vec<(&str, &str)> = token.iter().map(|token| ("authorization", *token)).collect();
    let client = Client::new(Duration::from_secs(5));
    let answer = client.send(axum::http::Method::GET, url, &headers, "").await.unwrap();
    (answer.status.as_u16(), answer.json())
}

async fn linkshub() -> (server::Server, LinksHub) {
    let listener = server::listen("LinksHub", "LINKSHUB_PORT", 0).await.unwrap();
    let state = LinksHub::new(seed::catalogue());
    (server::Server::start("LinksHub", listener, router(state.clone())).unwrap(), state)
}

#[tokio::test]
async fn doctors_products_and_relations_answer_in_the_shape_of_the_contract() {
    let (server, _) = linkshub().await;
    let get = async |path: &str| get_json(&format!("{}{path}", server.url()), Some("Bearer x")).await;

    let (status, doctor) = get("/api/v1/doctors/doctor_123").await;
    assert_eq!(status, 200);
    let mut keys: Vec<&str> = doctor.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "address",
            "created_at",
            "doctor_id",
            "email",
            "first_name",
            "is_active",
            "lab_relations",
            "last_name",
            "license_number",
            "phone",
            "practice_name",
            "specialty"
        ]
    );
    assert_eq!(doctor["lab_relations"], json!(["123", "456"]));

    let product = get("/api/v1/products/crown_gold_001").await;
    assert_eq!(
        product,
        (200, json!({"product_id": "crown_gold_001", "name": "Gold crown", "is_active": false}))
    );
    let relation = get("/api/v1/doctors/doctor_north/labs/456/relation").await;
    assert_eq!(relation, (200, json!({"is_active": true})));
    for unknown in [
        "/api/v1/doctors/nobody",
        "/api/v1/products/nothing",
        "/api/v1/doctors/doctor_north/labs/123/relation",
        "/api/v1/doctors/X%3Fy=1/labs/123/relation",
        "/api/v1/unknown",
    ] {
        assert_eq!(get(unknown).await.0, 404, "{unknown}");
    }
}

#[tokio::test]
async fn a_token_is_required_except_for_health() {
    let (server, _) = linkshub().await;
    let doctor = format!("{}/api/v1/doctors/DOC001", server.url());
    for token in [None, Some("Bearer "), Some("Basic x")] {
        assert_eq!(get_json(&doctor, token).await.0, 401, "{token:?}");
    }
    assert_eq!(get_json(&format!("{}/health", server.url()), None).await.0, 200);
}

#[tokio::test]
async fn a_relation_that_ends_while_it_runs_is_seen_by_the_next_request() {
    let (server, state) = linkshub().await;
    state.update(|catalogue| {
        for relation in &mut catalogue.relations {
            relation.is_active = false;
        }
    });
    let url = format!("{}/api/v1/doctors/DOC001", server.url());
    let relation = get_json(&format!("{url}/labs/123/relation"), Some("Bearer x")).await;
    assert_eq!(relation, (200, json!({"is_active": false})));
    assert_eq!(get_json(&url, Some("Bearer x")).await.1["lab_relations"], json!([]));
}

#[tokio::test]
async fn doctors_and_products_can_be_listed() {
    let (server, _) = linkshub().await;
    let get = async |path: &str| get_json(&format!("{}{path}", server.url()), Some("Bearer x")).await;
    let ids = async |path: &str, list: &str, id: &str| {
        let (status, body) = get(path).await;
        assert_eq!(status, 200);
        body[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it[id].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = ["DOC001", "doctor_123", "doctor_456", "doctor_654", "doctor_789", "doctor_north"];
    assert_eq!(ids("/api/v1/doctors", "doctors", "doctor_id").await, all);
    assert_eq!(ids("/api/v1/doctors?lab_id=123", "doctors", "doctor_id").await, all[..5]);
    assert_eq!(ids("/api/v1/products", "products", "product_id").await.len(), 6);
    assert_eq!(get_json(&format!("{}/api/v1/doctors", server.url()), None).await.0, 401);
}

#[tokio::test]
async fn a_browser_may_ask_with_a_token() {
    let (server, _) = linkshub().await;
    let url = format!("{}/api/v1/doctors/DOC001", server.url());
    let headers = [
        ("origin", "http://localhost:3000"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization"),
    ];
    let client = Client::new(Duration::from_secs(5));
    let preflight = client.send(axum::http::Method::OPTIONS, &url, &headers, "").await.unwrap();
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.headers["access-control-allow-origin"], "*");
    assert_eq!(preflight.headers["access-control-allow-headers"], "authorization");
    // A page has to see what is wrong as well.
    let refused = client.send(axum::http::Method::GET, &url, &headers[..1], "").await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), &refused.headers["access-control-allow-origin"]),
        (401, &"*".parse().unwrap())
    );
}
