//! Deleted cases: administrators list and restore them, and their history continues.

use serde_json::{Value, json};

use crate::harness::Service;

async fn with_deleted_case() -> (Service, Value) {
    let service = Service::start().await;
    let body = json!({"procedure_type": "Crown", "patient_name": "Jane Roe", "due_date": "2999-12-24"});
    let case = service.create("admin", body).await;
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    (service, case)
}

#[tokio::test]
async fn a_restored_case_is_unchanged_and_its_history_continues() {
    let (service, before) = with_deleted_case().await;
    let reply = service.as_user("admin", "POST", "/api/v1/cases/1/restore").send().await;
    let restored = reply.expect(200);
    assert_eq!(reply.header("etag"), Some("\"3\""));
    let mut expected = before.clone();
    expected["version"] = json!(3);
    expected["updated_at"] = restored["updated_at"].clone();
    assert_eq!(restored, expected);
    assert_eq!(service.as_user("viewer", "GET", "/api/v1/cases/1").send().await.expect(200), restored);
    let items = service.items(123).await;
    assert!(!items.contains_key("DELETED#0000000001"));
    let item = &items["CASE#0000000001"];
    assert_eq!((&item["live_id"], &item["due_key"]), (&json!(1), &json!("2999-12-24#0000000001")));
    assert_eq!(item.get("expires_at"), None, "it does not expire any more");
    assert_eq!(service.statistics(123).await, [("pending".to_owned(), 1)].into());
    let verification =
        service.as_user("viewer", "GET", "/api/v1/cases/1/history/verify").send().await.expect(200);
    assert_eq!((&verification["valid"], &verification["events"]), (&json!(true), &json!(3)));
    assert_eq!(items["EVENT#0000000001#000003"]["action"], "restored");
}

#[tokio::test]
async fn a_repeated_restore_changes_nothing() {
    let (service, _) = with_deleted_case().await;
    let restore = |key: &'static str| {
        service.as_user("admin", "POST", "/api/v1/cases/1/restore").header("idempotency-key", key).send()
    };
    let first = restore("key-1").await.expect(200);
    service
        .as_user("admin", "PUT", "/api/v1/cases/1")
        .json(json!({"notes": "since"}))
        .send()
        .await
        .expect(200);
    let again = restore("key-1").await;
    assert_eq!((again.expect(200), again.header("idempotency-replayed")), (first, Some("true")));
    let live = service.as_user("admin", "POST", "/api/v1/cases/1/restore").send().await.expect(200);
    assert_eq!(
        (&live["version"], &live["notes"]),
        (&json!(4), &json!("since")),
        "a live case stays as it is"
    );
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let other =
        service.as_user("admin", "POST", "/api/v1/cases/2/restore").header("idempotency-key", "key-1");
    other.send().await.expect_problem(409, "idempotency_key_reused");
}

#[tokio::test]
async fn only_administrators_see_and_restore_deleted_cases_of_their_own_lab() {
    let (service, _) = with_deleted_case().await;
    for user in ["viewer", "technician", "member"] {
        service
            .as_user(user, "POST", "/api/v1/cases/1/restore")
            .send()
            .await
            .expect_problem(403, "forbidden");
        service
            .as_user(user, "GET", "/api/v1/cases?deleted=true")
            .send()
            .await
            .expect_problem(403, "forbidden");
    }
    service
        .as_user("admin", "POST", "/api/v1/cases/1/restore")
        .lab(456)
        .send()
        .await
        .expect_problem(403, "lab_forbidden");
    service
        .as_user("admin", "POST", "/api/v1/cases/7/restore")
        .send()
        .await
        .expect_problem(404, "case_not_found");
}

#[tokio::test]
async fn an_expired_case_is_not_found_even_before_it_is_removed() {
    let (service, _) = with_deleted_case().await;
    service.change_number(123, "DELETED#0000000001", "expires_at", 1_795_512_600).await;
    let list = service.as_user("admin", "GET", "/api/v1/cases?deleted=true").send().await.expect(200);
    assert_eq!(list["cases"], json!([]));
    let restore = service.as_user("admin", "POST", "/api/v1/cases/1/restore");
    restore.send().await.expect_problem(404, "case_not_found");
}

#[tokio::test]
async fn deleted_cases_have_a_list_of_their_own() {
    let service = Service::start().await;
    for number in 1..=5 {
        service.create("admin", json!({"procedure_type": "Crown"})).await;
        if number != 3 {
            service.as_user("admin", "DELETE", &format!("/api/v1/cases/{number}")).send().await.expect(204);
        }
    }
    let list = |query: String| service.as_user("admin", "GET", &format!("/api/v1/cases?{query}")).send();
    let ids = |page: &Value| -> Vec<u64> {
        page["cases"].as_array().unwrap().iter().map(|case| case["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids(&list(String::new()).await.expect(200)), [3]);
    assert_eq!(ids(&list("deleted=false".into()).await.expect(200)), [3]);
    let first = list("deleted=true&limit=3".into()).await.expect(200);
    assert_eq!(ids(&first), [5, 4, 2]);
    assert_eq!(first["cases"][0]["deleted_by"], "1");
    assert_eq!(first["cases"][0]["deleted_at"], first["cases"][0]["updated_at"]);
    let cursor = first["pagination"]["next_cursor"].as_str().unwrap();
    assert_eq!(ids(&list(format!("deleted=true&cursor={cursor}")).await.expect(200)), [1]);
    list(format!("cursor={cursor}")).await.expect_problem(400, "invalid_cursor");
    list("deleted=yes".into()).await.expect_problem(400, "invalid_parameter");
}
