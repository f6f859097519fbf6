//! Conditional requests: `If-Match` prevents lost updates, `If-None-Match` saves a second transfer.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::Service;

#[tokio::test]
async fn an_update_of_an_old_version_is_rejected_on_every_route() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service
        .as_user("admin", "PUT", "/api/v1/cases/1")
        .json(json!({"notes": "second"}))
        .send()
        .await
        .expect(200);
    let before = service.items(123).await;
    for (method, path, body) in [
        ("PUT", "/api/v1/cases/1", Some(json!({"notes": "third"}))),
        ("PATCH", "/api/v1/cases/1/status", Some(json!({"status": "in_progress"}))),
        ("DELETE", "/api/v1/cases/1", None),
    ] {
        for stale in ["\"1\"", "\"3\"", "W/\"2\"", "\"1\", \"3\""] {
            let call = service.as_user("admin", method, path).header("if-match", stale);
            let call = match &body {
                Some(body) => call.json(body.clone()),
                None => call,
            };
            call.send().await.expect_problem(412, "precondition_failed");
        }
        let call = service.as_user("admin", method, path).header("if-match", "2");
        let call = match &body {
            Some(body) => call.json(body.clone()),
            None => call,
        };
        let reply = call.send().await;
        reply.expect_problem(400, "invalid_parameter");
        assert_eq!(reply.pointers(), ["/header/If-Match"]);
    }
    assert_eq!(service.items(123).await, before);
    let put = service.as_user("admin", "PUT", "/api/v1/cases/1").header("if-match", "\"1\", \"2\"");
    put.json(json!({"notes": "third"})).send().await.expect(200);
    let delete = service.as_user("admin", "DELETE", "/api/v1/cases/1").header("if-match", "*");
    delete.send().await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_with_the_same_version_one_gets_412() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let writers = ["first", "second"].map(|notes| {
        service
            .as_user("admin", "PUT", "/api/v1/cases/1")
            .header("if-match", "\"1\"")
            .json(json!({"notes": notes}))
            .send()
    });
    let mut statuses: Vec<u16> = join_all(writers).await.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn an_unchanged_case_is_answered_with_304() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    for known in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        let reply =
            service.as_user("viewer", "GET", "/api/v1/cases/1").header("if-none-match", known).send().await;
        reply.expect(304);
        assert_eq!((reply.bytes.len(), reply.header("etag")), (0, Some("\"1\"")), "{known}");
    }
    for other in ["\"2\"", "\"11\""] {
        service
            .as_user("viewer", "GET", "/api/v1/cases/1")
            .header("if-none-match", other)
            .send()
            .await
            .expect(200);
    }
}
