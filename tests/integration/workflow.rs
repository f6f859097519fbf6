//! The workflow: only legal status changes, on both routes, with their times and reasons.

use serde_json::{Value, json};
use shared::{base::wire_enum::WireEnum, case::workflow::Status};

use crate::harness::{Reply, Service};

async fn patch(service: &Service, status: &str, reason: Option<&str>) -> Reply {
    let body = json!({"status": status, "reason": reason});
    service.as_user("technician", "PATCH", "/api/v1/cases/1/status").json(body).send().await
}

#[tokio::test]
async fn a_case_passes_the_whole_workflow_and_gets_its_timestamps() {
    let service = Service::start().await;
    let created = service.create("admin", json!({"procedure_type": "Crown"})).await;
    assert_eq!(created["status_changed_at"], created["created_at"]);
    let way = [
        ("on_hold", Some("No impression")),
        ("in_progress", None),
        ("quality_check", None),
        ("completed", None),
        ("shipped", None),
        ("returned", Some("Margin open")),
        ("in_progress", None),
        ("completed", None),
        ("shipped", None),
        ("delivered", None),
    ];
    let mut case = created;
    for (status, reason) in way {
        assert!(case["allowed_transitions"].as_array().unwrap().contains(&json!(status)));
        case = patch(&service, status, reason).await.expect(200);
        assert_eq!(case["status"], status);
        assert_eq!(case["status_changed_at"], case["updated_at"]);
    }
    assert_eq!(case["allowed_transitions"], json!([]));
    assert_eq!(case["delivered_at"], case["updated_at"]);
    let times = ["created_at", "completed_at", "shipped_at", "delivered_at"]
        .map(|name| case[name].as_str().unwrap().to_owned());
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(case["version"], 11);
    let read = service.as_user("viewer", "GET", "/api/v1/cases/1").send().await.expect(200);
    assert_eq!(read, case);
}

#[tokio::test]
async fn an_illegal_status_change_lists_the_legal_ones_and_changes_nothing() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let legal = json!(["in_progress", "on_hold", "cancelled"]);
    for status in Status::ALL.iter().map(|status| status.as_str()) {
        if status == "pending" || legal.as_array().unwrap().contains(&json!(status)) {
            continue;
        }
        let problem =
            patch(&service, status, Some("because")).await.expect_problem(409, "illegal_transition");
        assert_eq!(problem["allowed_transitions"], legal);
        let put =
            service.as_user("admin", "PUT", "/api/v1/cases/1").json(json!({"status": status, "notes": "x"}));
        let problem = put.send().await.expect_problem(409, "illegal_transition");
        assert_eq!(problem["allowed_transitions"], legal);
    }
    let case = service.as_user("admin", "GET", "/api/v1/cases/1").send().await.expect(200);
    assert_eq!((&case["version"], &case["notes"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn on_hold_returned_and_cancelled_need_a_reason_on_both_routes() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    for status in ["on_hold", "cancelled"] {
        let reply = patch(&service, status, None).await;
        reply.expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), ["/reason"]);
        let reply =
            service.as_user("admin", "PUT", "/api/v1/cases/1").json(json!({"status": status})).send().await;
        reply.expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), ["/reason"]);
    }
    let put = json!({"status": "on_hold", "reason": "Waiting for the doctor", "notes": "called twice"});
    let case = service.as_user("admin", "PUT", "/api/v1/cases/1").json(put).send().await.expect(200);
    assert_eq!(case["status"], "on_hold");
    assert_eq!(service.items(123).await["EVENT#0000000001#000002"]["reason"], "Waiting for the doctor");
}

#[tokio::test]
async fn a_change_to_the_present_status_changes_nothing() {
    let service = Service::start().await;
    let created = service.create("admin", json!({"procedure_type": "Crown"})).await;
    assert_eq!(patch(&service, "pending", None).await.expect(200), created);
}
