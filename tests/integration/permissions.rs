//! Permissions that only some requests of an operation need, and members whose permissions follow from UMS attributes.

use local::ums::MembershipsRoute;
use serde_json::{Value, json};

use crate::harness::{Reply, Service};

const READ: &str = "lab.patient.read";

/// A service with one case, in which the member of lab 123 has exactly these attributes and no role.
async fn member_with(attributes: &[&str]) -> Service {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.ums.update(|directory| {
        directory.memberships_route = MembershipsRoute::PublishedDefect;
        let membership = directory.membership_mut(3, 123).unwrap();
        membership.attributes = Some(attributes.iter().map(|name| (*name).to_owned()).collect());
    });
    service
}

async fn send(service: &Service, method: &str, path: &str, body: Value) -> Reply {
    let call = service.as_user("member", method, &format!("/api/v1{path}"));
    match body {
        Value::Null => call.send().await,
        body if method == "PATCH" && !path.ends_with("/status") => {
            let call = call.header("content-type", "application/merge-patch+json");
            call.bytes(body.to_string()).send().await
        }
        body => call.json(body).send().await,
    }
}

#[tokio::test]
async fn a_caller_who_may_write_but_not_track_cannot_move_a_case_on_any_route() {
    let service = member_with(&[READ, "lab.patient.write"]).await;
    let before = service.items(123).await;
    let to = json!({"status": "in_progress"});
    for (method, path, body) in [
        ("PUT", "/cases/1", json!({"status": "in_progress", "notes": "moved"})),
        ("PATCH", "/cases/1", to.clone()),
        ("PATCH", "/cases/1/status", to),
        ("POST", "/cases/bulk-status", json!({"ids": [1], "status": "in_progress"})),
        // Not even an illegal move, so that it does not reveal which moves are legal.
        ("PUT", "/cases/1", json!({"status": "shipped"})),
    ] {
        let problem = send(&service, method, path, body).await.expect_problem(403, "forbidden");
        assert_eq!(problem["detail"], "Your role in this lab does not include the permission update_status.");
    }
    assert_eq!(service.items(123).await, before);
    // Other fields can change, and the case can be sent back as it was read.
    let mut case = send(&service, "GET", "/cases/1", Value::Null).await.expect(200);
    case["notes"] = json!("changed");
    case.as_object_mut().unwrap().retain(|name, _| name != "allowed_transitions" && name != "warnings");
    assert_eq!(send(&service, "PUT", "/cases/1", case).await.expect(200)["version"], 2);
    send(&service, "PATCH", "/cases/1", json!({"status": "pending", "notes": "x"})).await.expect(200);
    // A new case has its first status, which is not a move.
    let new = json!({"procedure_type": "Crown", "status": "in_progress"});
    send(&service, "POST", "/cases", new).await.expect(201);
}

#[tokio::test]
async fn a_caller_who_may_track_moves_cases_and_changes_nothing_else() {
    let service = member_with(&[READ, "lab.samples.track"]).await;
    let to = json!({"status": "in_progress"});
    send(&service, "PATCH", "/cases/1/status", to).await.expect(200);
    let bulk = json!({"ids": [1], "status": "quality_check"});
    assert_eq!(send(&service, "POST", "/cases/bulk-status", bulk).await.expect(200)["succeeded"], 1);
    for (method, path, body) in [
        ("PUT", "/cases/1", json!({"status": "completed"})),
        ("PATCH", "/cases/1", json!({"notes": "x"})),
        ("POST", "/cases", json!({"procedure_type": "Crown"})),
        ("POST", "/cases/1/remakes", json!({"reason_code": "fit", "reason": "x"})),
        ("DELETE", "/cases/1", Value::Null),
        ("GET", "/cases/export", Value::Null),
    ] {
        send(&service, method, path, body).await.expect_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn a_caller_who_may_track_or_export_but_not_read_gets_nothing() {
    let service =
        member_with(&["lab.samples.track", "lab.patient.write", "lab.patient.export", "lab.audit.export"])
            .await;
    let before = service.items(123).await;
    for (method, path, body) in [
        ("GET", "/cases/1", Value::Null),
        ("GET", "/cases/export", Value::Null),
        ("PATCH", "/cases/1/status", json!({"status": "in_progress"})),
        ("PUT", "/cases/1", json!({"notes": "x"})),
        // It needs the permission `audit` as well.
        ("GET", "/audit?format=csv", Value::Null),
    ] {
        send(&service, method, path, body).await.expect_problem(403, "forbidden");
    }
    assert_eq!(service.items(123).await, before);
}

#[tokio::test]
async fn cases_leave_as_a_file_only_with_the_permission_to_export() {
    let service = member_with(&[READ, "lab.patient.export"]).await;
    send(&service, "GET", "/cases/export", Value::Null).await.expect_success();
    for user in ["viewer", "technician", "both"] {
        let export = service.as_user(user, "GET", "/api/v1/cases/export").lab(123);
        let problem = export.send().await.expect_problem(403, "forbidden");
        assert_eq!(problem["detail"], "Your role in this lab does not include the permission export.");
    }
    let refused = service.access_records(123).await;
    let refused = refused.iter().filter(|record| record["outcome"] == "refused");
    let refused: Vec<_> = refused.map(|record| (&record["action"], &record["user_id"])).collect();
    let expected = ["4", "2", "6"].map(|user| (json!("exportCases"), json!(user)));
    assert_eq!(refused, expected.iter().map(|(action, user)| (action, user)).collect::<Vec<_>>());
}

#[tokio::test]
async fn audit_records_leave_as_a_file_only_with_the_permission_to_export_them() {
    let service = member_with(&[READ, "lab.audit.view"]).await;
    send(&service, "GET", "/audit", Value::Null).await.expect(200);
    send(&service, "GET", "/audit?format=json", Value::Null).await.expect(200);
    let problem =
        send(&service, "GET", "/audit?format=csv", Value::Null).await.expect_problem(403, "forbidden");
    assert_eq!(problem["detail"], "Your role in this lab does not include the permission audit_export.");
    let service = member_with(&[READ, "lab.audit.view", "lab.audit.export"]).await;
    send(&service, "GET", "/audit?format=csv", Value::Null).await.expect_success();
    service.as_user("admin", "GET", "/api/v1/audit?format=csv").lab(123).send().await.expect_success();
}

#[tokio::test]
async fn only_who_may_edit_the_settings_of_the_lab_manages_its_webhooks_and_needs_no_patients_for_it() {
    let service = member_with(&["lab.settings.edit"]).await;
    let new = json!({"url": "https://example.com/hook"});
    send(&service, "POST", "/webhooks", new.clone()).await.expect(201);
    send(&service, "GET", "/webhooks", Value::Null).await.expect(200);
    send(&service, "GET", "/cases/1", Value::Null).await.expect_problem(403, "forbidden");
    let service = member_with(&[READ, "lab.patient.write", "lab.audit.view"]).await;
    for (method, path, body) in [("POST", "/webhooks", new), ("GET", "/webhooks", Value::Null)] {
        let problem = send(&service, method, path, body).await.expect_problem(403, "forbidden");
        assert_eq!(
            problem["detail"],
            "Your role in this lab does not include the permission manage_webhooks."
        );
    }
}
