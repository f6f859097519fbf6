//! Validation of bodies: all errors are reported at once, each with a JSON pointer, and nothing is written.

use serde_json::{Value, json};

use crate::harness::Service;

async fn refused(service: &Service, body: Value) -> Vec<String> {
    let reply = service.as_user("admin", "POST", "/api/v1/cases").json(body).send().await;
    reply.expect_problem(422, "validation_failed");
    reply.pointers()
}

#[tokio::test]
async fn all_errors_of_a_body_are_reported_at_once_and_nothing_is_written() {
    let service = Service::start().await;
    let body = json!({
        "patient_name": "", "procedure_type": "Crwn", "status": "delivered", "priority": "urgent", "rush_order": "no",
        "due_date": "2026-02-30", "doctor_id": "X?y=1", "colour": "A2", "id": 7,
        "patient_info": {"age": -1, "gender": "m", "patient_id": "", "name": "x"},
        "fixed_prosthetic": {
            "type": "crown", "tooth_numbers": [99, -1],
            "shade": {"shade_system": "vita_classical", "shade_value": "Z9"},
        },
    });
    assert_eq!(
        refused(&service, body).await,
        [
            "/status",
            "/patient_name",
            "/procedure_type",
            "/priority",
            "/rush_order",
            "/due_date",
            "/doctor_id",
            "/patient_info/patient_id",
            "/patient_info/age",
            "/patient_info/gender",
            "/patient_info/name",
            "/fixed_prosthetic/material",
            "/fixed_prosthetic/tooth_numbers",
            "/fixed_prosthetic/shade/shade_value",
            "/id",
            "/colour",
        ]
    );
    assert_eq!(service.items(123).await.len(), 0);
}

#[tokio::test]
async fn a_validation_error_never_repeats_the_value() {
    let service = Service::start().await;
    let body = json!({"procedure_type": "Jane Roe's crown", "patient_info": {"gender": "Jane Roe"}, "due_date": "Jane Roe"});
    let reply = service.as_user("admin", "POST", "/api/v1/cases").json(body).send().await;
    reply.expect_problem(422, "validation_failed");
    assert!(!String::from_utf8_lossy(&reply.bytes).contains("Jane"));
}

#[tokio::test]
async fn procedure_and_case_type_are_derived_from_each_other_and_the_details() {
    let service = Service::start().await;
    let denture = json!({"type": "partial_upper", "material": "metal_framework"});
    let implant = json!({"implant_system": "straumann", "implant_diameter": "4.1mm", "implant_length": "10mm", "tooth_number": 30});
    for (body, procedure, case_type) in [
        (json!({"procedure_type": "crown"}), json!("Crown"), "fixed_prosthetic"),
        (json!({"procedure_type": "NIGHT GUARD"}), json!("Night Guard"), "night_guard"),
        (json!({"case_type": "denture"}), json!("Denture"), "denture"),
        (json!({"case_type": "fixed_prosthetic"}), Value::Null, "fixed_prosthetic"),
        (json!({"denture": denture}), json!("Partial Denture"), "denture"),
        (json!({"case_type": "denture", "denture": denture}), json!("Partial Denture"), "denture"),
        (json!({"procedure_type": "Implant Crown"}), json!("Implant Crown"), "fixed_prosthetic"),
        (json!({"procedure_type": "Implant Crown", "implant": implant}), json!("Implant Crown"), "implant"),
        (json!({"implant": implant}), json!("Implant"), "implant"),
    ] {
        let case = service.create("admin", body.clone()).await;
        assert_eq!((&case["procedure_type"], &case["case_type"]), (&procedure, &json!(case_type)), "{body}");
    }
}

#[tokio::test]
async fn inconsistent_fields_are_rejected() {
    let service = Service::start().await;
    let night_guard = json!({"type": "soft_guard", "material": "soft_vinyl", "arch": "upper"});
    let crown = json!({"type": "crown", "material": "zirconia", "tooth_numbers": [3]});
    for (body, pointers) in [
        (json!({}), &["/procedure_type"][..]),
        (json!({"patient_name": "Jane Roe"}), &["/procedure_type"]),
        (json!({"procedure_type": null, "case_type": null}), &["/procedure_type"]),
        (json!({"procedure_type": "Crown", "case_type": "denture"}), &["/procedure_type"]),
        (json!({"procedure_type": "Bridge", "fixed_prosthetic": crown}), &["/procedure_type"]),
        (json!({"procedure_type": "Crown", "night_guard": night_guard}), &["/night_guard"]),
        (
            json!({"case_type": "other", "night_guard": night_guard, "fixed_prosthetic": crown}),
            &["/fixed_prosthetic", "/night_guard"],
        ),
    ] {
        assert_eq!(refused(&service, body.clone()).await, pointers, "{body}");
    }
}

#[tokio::test]
async fn an_update_is_validated_together_with_the_stored_case() {
    let service = Service::start().await;
    let crown = json!({"type": "crown", "material": "zirconia", "tooth_numbers": [3]});
    service.create("admin", json!({"fixed_prosthetic": crown})).await;
    let put = |body: Value| service.as_user("admin", "PUT", "/api/v1/cases/1").json(body);
    let reply = put(json!({"procedure_type": "Bridge"})).send().await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/procedure_type"]);
    let reply = put(json!({"procedure_type": "Denture"})).send().await;
    assert_eq!(reply.pointers(), ["/fixed_prosthetic"]);
    let case = put(json!({"procedure_type": "Denture", "fixed_prosthetic": null})).send().await.expect(200);
    assert_eq!((&case["procedure_type"], &case["case_type"]), (&json!("Denture"), &json!("denture")));
    let case = put(json!({"case_type": "night_guard"})).send().await.expect(200);
    assert_eq!((&case["procedure_type"], &case["case_type"]), (&json!("Night Guard"), &json!("night_guard")));
}

#[tokio::test]
async fn the_first_hundred_errors_are_reported() {
    let service = Service::start().await;
    let unknown: serde_json::Map<String, Value> =
        (0..20_000).map(|number| (format!("field_{number}"), json!(0))).collect();
    let reply = service.as_user("admin", "POST", "/api/v1/cases").json(unknown.into()).send().await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers().len(), 100);
    let query: Vec<String> = (0..500).map(|number| format!("p{number}=0")).collect();
    let path = format!("/api/v1/cases?{}", query.join("&"));
    let reply = service.as_user("admin", "GET", &path).send().await;
    reply.expect_problem(400, "invalid_parameter");
    assert_eq!(reply.pointers().len(), 100);
}

#[tokio::test]
async fn new_details_update_the_procedure() {
    let service = Service::start().await;
    let details = |kind: &str| json!({"type": kind, "material": "zirconia", "tooth_numbers": [3]});
    let case = service.create("admin", json!({"fixed_prosthetic": details("crown")})).await;
    assert_eq!(case["procedure_type"], "Crown");
    let put = |body: Value| service.as_user("admin", "PUT", "/api/v1/cases/1").json(body).send();
    let case = put(json!({"fixed_prosthetic": details("bridge")})).await.expect(200);
    assert_eq!((&case["procedure_type"], &case["version"]), (&json!("Bridge"), &json!(2)));
    let both = put(json!({"fixed_prosthetic": details("veneer"), "procedure_type": "Bridge"})).await;
    both.expect_problem(422, "validation_failed");
    assert_eq!(both.pointers(), ["/procedure_type"]);
}

#[tokio::test]
async fn a_changed_read_only_field_is_rejected() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let body = json!({
        "id": 2, "lab_id": 456, "version": 9, "created_by": "5", "created_at": "2020-01-01T00:00:00.000Z",
        "updated_at": null, "status": null, "notes": "x", "nothing": 1,
    });
    let reply = service.as_user("admin", "PUT", "/api/v1/cases/1").json(body).send().await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(
        reply.pointers(),
        ["/status", "/id", "/lab_id", "/version", "/created_by", "/created_at", "/updated_at", "/nothing"]
    );
    assert_eq!(service.items(123).await["CASE#0000000001"]["version"], 1);
}

#[tokio::test]
async fn a_status_change_needs_a_known_status() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    for (body, pointers) in [
        (json!({}), &["/status"][..]),
        (json!({"status": "done"}), &["/status"]),
        (json!({"status": null, "reason": ""}), &["/status", "/reason"]),
        (json!({"status": "completed", "by": "me"}), &["/by"]),
    ] {
        let reply = service.as_user("admin", "PATCH", "/api/v1/cases/1/status").json(body).send().await;
        reply.expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), pointers);
    }
}

#[tokio::test]
async fn an_unknown_doctor_or_product_is_rejected() {
    let service = Service::start().await;
    let body =
        json!({"procedure_type": "Crown", "doctor_id": "doctor_north", "product_id": "crown_gold_001"});
    assert_eq!(refused(&service, body).await, ["/doctor_id", "/product_id"]);
    let known = json!({"procedure_type": "Crown", "doctor_id": "DOC001", "product_id": "PROD001"});
    service.create("admin", known).await;
    let reply =
        service.as_user("admin", "PUT", "/api/v1/cases/1").json(json!({"doctor_id": "nobody"})).send().await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/doctor_id"]);
    service.linkshub_proxy.take_calls();
    service
        .as_user("admin", "PUT", "/api/v1/cases/1")
        .json(json!({"notes": "x", "doctor_id": "DOC001"}))
        .send()
        .await
        .expect(200);
    assert_eq!(service.linkshub_proxy.take_calls(), [""; 0], "what did not change is not asked about");
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_or_repeats_a_name_is_rejected_before_any_read() {
    let service = Service::start().await;
    let post = || service.as_user("admin", "POST", "/api/v1/cases");
    let json = |body: &[u8]| post().header("content-type", "application/json").bytes(body);
    for body in [&b""[..], b"[]", b"null", b"{\"procedure_type\":", b"{}{}", b"\xff\xfe{}"] {
        json(body).send().await.expect_problem(400, "malformed_json");
    }
    for body in [
        r#"{"procedure_type":"Crown","procedure_type":"Crown"}"#,
        r#"{"procedure_type":"Crown","notes":"one","\u006eotes":"two"}"#,
        r#"{"fixed_prosthetic":{"type":"crown","material":"zirconia","tooth_numbers":[3],"shade":{"Jane":1,"Jane":2}}}"#,
    ] {
        let problem = json(body.as_bytes()).send().await.expect_problem(400, "malformed_json");
        let column = problem["detail"]
            .as_str()
            .unwrap()
            .strip_prefix("An object in the body has the same name twice: line 1, column ");
        assert!(
            column.is_some_and(|column| column.trim_end_matches('.').parse::<usize>().is_ok()),
            "{problem}"
        );
    }
    let deep = "{\"a\":".repeat(10_000);
    json(deep.as_bytes()).send().await.expect_problem(400, "malformed_json");
    post()
        .header("content-type", "text/plain")
        .bytes("{}")
        .send()
        .await
        .expect_problem(415, "unsupported_media_type");
    post().bytes("{}").send().await.expect_problem(415, "unsupported_media_type");
    let large = format!("{{\"notes\":\"{}\"}}", "x".repeat(10_000_000));
    json(large.as_bytes()).send().await.expect_problem(413, "payload_too_large");
    assert_eq!(service.dynamodb.take_calls(), [""; 0]);
}
