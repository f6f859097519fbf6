//! PATCH merges into a case, where PUT sets nested objects as a whole.

use serde_json::{Value, json};

use crate::harness::{Reply, Service};

async fn patch(service: &Service, patch: Value) -> Reply {
    let call = service.as_user("admin", "PATCH", "/api/v1/cases/1");
    call.header("content-type", "application/merge-patch+json").bytes(patch.to_string()).send().await
}

async fn with_a_crown() -> Service {
    let service = Service::start().await;
    let crown = json!({"type": "crown", "material": "zirconia", "tooth_numbers": [3, 4],
        "shade": {"shade_system": "vita_classical", "shade_value": "A2", "notes": "warm"}});
    let patient = json!({"patient_id": "P-1", "age": 44, "gender": "female"});
    service
        .create("admin", json!({"fixed_prosthetic": crown, "patient_info": patient, "notes": "first"}))
        .await;
    service
}

#[tokio::test]
async fn a_patch_merges_nested_objects_and_null_removes() {
    let service = with_a_crown().await;
    let before = service.as_user("admin", "GET", "/api/v1/cases/1").send().await.expect(200);
    let body = json!({"notes": null, "patient_info": {"age": 45, "gender": null},
        "fixed_prosthetic": {"shade": {"shade_value": "A3", "notes": null}, "tooth_numbers": [5]}});
    let after = patch(&service, body).await.expect(200);
    let mut expected = before;
    expected["notes"] = Value::Null;
    expected["patient_info"]["age"] = json!(45);
    expected["patient_info"]["gender"] = Value::Null;
    expected["fixed_prosthetic"]["shade"]["shade_value"] = json!("A3");
    expected["fixed_prosthetic"]["shade"]["notes"] = Value::Null;
    expected["fixed_prosthetic"]["tooth_numbers"] = json!([5]);
    expected["version"] = json!(2);
    expected["updated_at"] = after["updated_at"].clone();
    assert_eq!(after, expected);
}

#[tokio::test]
async fn a_put_sets_the_nested_object_that_a_patch_would_merge() {
    let service = with_a_crown().await;
    let put = service.as_user("admin", "PUT", "/api/v1/cases/1");
    let after = put.json(json!({"patient_info": {"age": 45}})).send().await.expect(200);
    let expected = json!({"patient_id": null, "age": 45, "gender": null, "medical_history": null});
    assert_eq!(after["patient_info"], expected);
}

#[tokio::test]
async fn a_patch_that_breaks_a_rule_reports_every_error_and_changes_nothing() {
    let service = with_a_crown().await;
    let before = service.items(123).await;
    let body = json!({"version": 7, "colour": "red", "priority": null,
        "fixed_prosthetic": {"material": null, "shade": {"shade_value": "Z9"}}, "denture": {"material": "titanium"}});
    let reply = patch(&service, body).await;
    let problem = reply.expect_problem(422, "validation_failed");
    let found: Vec<Value> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| json!([error["pointer"], error["code"], error["params"]]))
        .collect();
    let shade_system = json!({"with": "/fixed_prosthetic/shade/shade_system"});
    for expected in [
        json!(["/fixed_prosthetic/material", "required", {}]),
        json!(["/fixed_prosthetic/shade/shade_value", "inconsistent", shade_system]),
        json!(["/denture/type", "required", {}]),
        json!(["/version", "read_only", {}]),
        json!(["/colour", "unknown_field", {}]),
    ] {
        assert!(found.contains(&expected), "{expected} is not in {found:?}");
    }
    assert_eq!(found.len(), 5);
    assert_eq!(service.items(123).await, before);
}

#[tokio::test]
async fn a_patch_must_be_declared_as_one_and_be_an_object() {
    let service = with_a_crown().await;
    let call = || service.as_user("admin", "PATCH", "/api/v1/cases/1");
    call().json(json!({"notes": "x"})).send().await.expect_problem(415, "unsupported_media_type");
    patch(&service, json!([1])).await.expect_problem(400, "malformed_json");
    let reply = call().header("content-type", "application/merge-patch+json").header("if-match", "\"7\"");
    reply.bytes("{\"notes\": \"x\"}").send().await.expect_problem(412, "precondition_failed");
}

#[tokio::test]
async fn a_patch_without_a_change_makes_no_version() {
    let service = with_a_crown().await;
    let before = service.items(123).await;
    let case = patch(&service, json!({"notes": "first", "patient_info": {"age": 44}, "denture": null})).await;
    assert_eq!(case.expect(200)["version"], 1);
    assert_eq!(service.items(123).await, before);
}
