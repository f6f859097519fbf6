//! Remakes: a new case with the details of the first, linked to it.

use serde_json::{Value, json};

use crate::harness::{Reply, Service};

const PATH: &str = "/api/v1/cases/1/remakes";

fn margin() -> Value {
    json!({"reason_code": "margin", "reason": "Open margin, mesial"})
}

async fn with_case() -> (Service, Value) {
    let service = Service::start().await;
    let crown = json!({"type": "crown", "material": "zirconia", "tooth_numbers": [3]});
    let body = json!({"patient_name": "Jane Roe", "fixed_prosthetic": crown, "doctor_id": "DOC001", "due_date": "2020-01-02"});
    let case = service.create("admin", body).await;
    (service, case)
}

async fn remake(service: &Service, user: &str, body: Value) -> Reply {
    service.as_user(user, "POST", PATH).json(body).send().await
}

#[tokio::test]
async fn a_remake_copies_the_details_and_both_cases_link_to_each_other() {
    let (service, first) = with_case().await;
    let reply = remake(&service, "member", margin()).await;
    let second = reply.expect(201);
    assert_eq!(reply.header("location"), Some("/api/v1/cases/2"));
    for same in ["patient_name", "procedure_type", "case_type", "fixed_prosthetic", "doctor_id", "priority"] {
        assert_eq!(second[same], first[same], "{same}");
    }
    assert_eq!((&second["remake_of"], &second["remake_reason_code"]), (&json!(1), &json!("margin")));
    assert_eq!(
        (&second["status"], &second["version"], &second["created_by"]),
        (&json!("pending"), &json!(1), &json!("3"))
    );
    assert_eq!(second["due_date"], second["earliest_due_date"]);
    let original = service.as_user("viewer", "GET", "/api/v1/cases/1").send().await.expect(200);
    assert_eq!(
        (&original["remakes"], &original["version"], &original["status"]),
        (&json!([2]), &json!(2), &first["status"])
    );

    let later = json!({"reason_code": "shade", "reason": "Too dark", "due_date": "2999-01-04"});
    assert_eq!(remake(&service, "admin", later).await.expect(201)["due_date"], "2999-01-04");
    let original = service.as_user("viewer", "GET", "/api/v1/cases/1").send().await.expect(200);
    assert_eq!(original["remakes"], json!([2, 3]));

    let items = service.items(123).await;
    let event = &items["EVENT#0000000001#000002"];
    assert_eq!((&event["action"], &event["reason"]), (&json!("remade"), &json!("Open margin, mesial")));
    assert_eq!(event["changes"], json!([{"field": "remakes", "from": [], "to": [2]}]));
    assert_eq!(items["EVENT#0000000002#000001"]["reason"], "Open margin, mesial");
    assert_eq!(service.statistics(123).await, [("pending".to_owned(), 3)].into());
    for id in [1, 2] {
        let path = format!("/api/v1/cases/{id}/history/verify");
        assert_eq!(service.as_user("viewer", "GET", &path).send().await.expect(200)["valid"], true);
    }
    let put = service.as_user("admin", "PUT", "/api/v1/cases/1").json(original.clone());
    assert_eq!(put.send().await.expect(200), original, "it can be put back as it was read");
}

#[tokio::test]
async fn a_repeated_remake_request_creates_one_remake() {
    let (service, _) = with_case().await;
    let ask =
        || service.as_user("admin", "POST", PATH).header("idempotency-key", "key-1").json(margin()).send();
    let first = ask().await.expect(201);
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    let again = ask().await;
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (first, Some("true")));
    assert_eq!(service.items(123).await["COUNTER"]["last_id"], 2);
}

#[tokio::test]
async fn a_remake_needs_a_reason_a_permission_and_a_case_of_the_lab() {
    let (service, _) = with_case().await;
    let reply =
        remake(&service, "admin", json!({"reason_code": "ugly", "due_date": "soon", "status": "pending"}))
            .await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/reason_code", "/reason", "/due_date", "/status"]);
    remake(&service, "technician", margin()).await.expect_problem(403, "forbidden");
    remake(&service, "northgate", margin()).await.expect_problem(404, "case_not_found");
    assert_eq!(service.items(456).await.len(), 0, "not even an id was used");
    assert_eq!(service.items(123).await["COUNTER"]["last_id"], 1);
}
