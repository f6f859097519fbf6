//! Data of a newer release. While two releases run side by side, and after a roll-back, the older one shows what it does not
//! understand as it is, keeps it when it writes, and does not fail.

use serde_json::{Value, json};
use shared::case::ScanOutcome;

use crate::harness::{Call, Service};

const LAB: i64 = 123;

fn live_key(id: u64) -> String {
    format!("CASE#{id:010}")
}

/// Creates a crown and puts attributes of a newer release into its item.
async fn case_of_newer_release(service: &Service, newer: Value) -> u64 {
    let body = json!({
        "procedure_type": "Crown", "patient_name": "Jane Roe", "patient_info": {"patient_id": "P-1", "age": 44},
        "fixed_prosthetic": {"type": "crown", "material": "zirconia", "tooth_numbers": [3]},
    });
    let id = service.create("admin", body).await["id"].as_u64().unwrap();
    let mut item = service.typed_item(LAB, &live_key(id)).await;
    merge(&mut item, &newer);
    service.put_typed_items(&[item]).await;
    id
}

/// Sets the members of a typed item that `newer` has, also inside of maps.
fn merge(item: &mut Value, newer: &Value) {
    for (name, value) in newer.as_object().unwrap() {
        match value.get("M") {
            Some(members) if item[name].is_object() => merge(&mut item[name]["M"], members),
            _ => item[name] = value.clone(),
        }
    }
}

fn call<'s>(service: &'s Service, method: &str, path: &str) -> Call<'s> {
    service.as_user("admin", method, path).of_newer_release()
}

async fn get(service: &Service, id: u64) -> Value {
    call(service, "GET", &format!("/api/v1/cases/{id}")).send().await.expect(200)
}

#[tokio::test]
async fn values_of_a_newer_release_are_shown_as_they_are_everywhere() {
    let service = Service::start().await;
    let newer = json!({
        "status": {"S": "in_quality_control"}, "priority": {"S": "critical"}, "case_type": {"S": "aligner"},
        "fixed_prosthetic": {"M": {"material": {"S": "graphene"}, "milled_at": {"S": "site 2"}}},
    });
    let id = case_of_newer_release(&service, newer).await;
    let case = get(&service, id).await;
    for (pointer, expected) in [
        ("/status", json!("in_quality_control")),
        ("/priority", json!("critical")),
        ("/case_type", json!("aligner")),
        ("/allowed_transitions", json!([])),
        ("/fixed_prosthetic/material", json!("graphene")),
        ("/fixed_prosthetic/milled_at", json!("site 2")),
        ("/fixed_prosthetic/tooth_numbers", json!([3])),
        ("/patient_name", json!("Jane Roe")),
    ] {
        assert_eq!(case.pointer(pointer), Some(&expected), "{pointer}");
    }
    for path in ["/api/v1/cases", "/api/v1/cases?patient_id=P-1", "/api/v1/cases?sort=updated_at"] {
        assert_eq!(call(&service, "GET", path).send().await.expect(200)["cases"], json!([case]));
    }
    let changes = call(&service, "GET", "/api/v1/cases/changes").send().await.expect(200);
    assert_eq!(changes["changes"][0]["case"], case);
    let export = call(&service, "GET", "/api/v1/cases/export?format=csv").send().await;
    export.expect_success();
    assert!(String::from_utf8(export.bytes).unwrap().contains("in_quality_control"));
    call(&service, "GET", "/api/v1/cases/stats").send().await.expect(200);
}

#[tokio::test]
async fn what_this_release_does_not_know_survives_its_writes() {
    let service = Service::start().await;
    let newer = json!({
        "courier": {"S": "north"}, "scans": {"SS": ["a", "b"]}, "procedure_type": {"S": "Aligner"},
        "patient_info": {"M": {"insurer": {"S": "ACME"}}},
    });
    let id = case_of_newer_release(&service, newer).await;
    let path = format!("/api/v1/cases/{id}");
    let put = |body: Value| call(&service, "PUT", &path).json(body);
    put(json!({"notes": "older"})).send().await.expect(200);
    let mut whole = get(&service, id).await;
    whole["notes"] = json!("all of it, as it was read");
    put(whole).send().await.expect(200);
    call(&service, "PATCH", &format!("{path}/status"))
        .json(json!({"status": "in_progress"}))
        .send()
        .await
        .expect(200);
    call(&service, "DELETE", &path).send().await.expect(204);
    call(&service, "POST", &format!("{path}/restore")).send().await.expect(200);

    let item = service.typed_item(LAB, &live_key(id)).await;
    assert_eq!(
        [&item["courier"], &item["scans"], &item["procedure_type"], &item["patient_info"]["M"]["insurer"]],
        [&json!({"S": "north"}), &json!({"SS": ["a", "b"]}), &json!({"S": "Aligner"}), &json!({"S": "ACME"})]
    );
    assert_eq!(item["patient_key"], json!({"S": "123#P-1"}), "the index of patients has it still");
    let found = call(&service, "GET", "/api/v1/cases?patient_id=P-1").send().await.expect(200);
    assert_eq!(found["cases"][0]["id"], json!(id));

    // A value that the client sets replaces the newer one.
    let cleared =
        put(json!({"patient_info": null, "procedure_type": "Bridge", "fixed_prosthetic": {"type": "bridge",
        "material": "gold", "tooth_numbers": [3, 4]}}))
        .send()
        .await
        .expect(200);
    assert_eq!([&cleared["patient_info"], &cleared["procedure_type"]], [&Value::Null, &json!("Bridge")]);
}

#[tokio::test]
async fn a_case_with_a_newer_status_is_not_written_by_this_release() {
    let service = Service::start().await;
    let id = case_of_newer_release(&service, json!({"status": {"S": "in_quality_control"}})).await;
    let before = service.items(LAB).await;
    let path = format!("/api/v1/cases/{id}");
    for (method, path, body) in [
        ("PUT", path.clone(), json!({"notes": "older"})),
        ("PATCH", format!("{path}/status"), json!({"status": "in_progress"})),
        ("DELETE", path.clone(), json!({})),
    ] {
        let reply = call(&service, method, &path).json(body).send().await;
        reply.expect_problem(409, "conflict");
    }
    assert_eq!(service.items(LAB).await, before);
}

#[tokio::test]
async fn a_history_with_an_event_of_a_newer_release_is_readable() {
    let service = Service::start().await;
    let id = service.create("admin", json!({"procedure_type": "Crown"})).await["id"].as_u64().unwrap();
    service.change_event(LAB, id, 1, json!({"action": "scanned"})).await;
    let path = format!("/api/v1/cases/{id}/history");
    let history = call(&service, "GET", &path).send().await.expect(200);
    assert_eq!(history["events"][0]["action"], json!("scanned"));
}

#[tokio::test]
async fn a_file_of_a_newer_release_is_shown_as_it_is_and_nobody_gets_it() {
    let service = Service::start().await;
    let case = service.create("admin", json!({"procedure_type": "Crown"})).await["id"].as_u64().unwrap();
    let (one, newer) = ("att_0000000000000001", "att_0000000000000002");
    service.put_file(LAB, case, one, "clean", "scan.stl").await;
    service.put_file(LAB, case, newer, "disarmed", "scan.3mf").await;
    let sk = format!("FILE#{case:010}#{newer}");
    service.change_item(LAB, &sk, json!({"content_type": "model/3mf", "kind": "bite"})).await;
    let path = format!("/api/v1/cases/{case}/attachments");
    let list = call(&service, "GET", &path).send().await.expect(200);
    let ids: Vec<&Value> = list["attachments"].as_array().unwrap().iter().map(|file| &file["id"]).collect();
    assert_eq!(ids, [one, newer]);
    let read = call(&service, "GET", &format!("{path}/{newer}")).send().await.expect(200);
    let file = &read["attachment"];
    assert_eq!(*file, list["attachments"][1]);
    assert_eq!(
        [&file["content_type"], &file["kind"], &file["state"], &read["download"]],
        [&json!("model/3mf"), &json!("bite"), &json!("disarmed"), &Value::Null]
    );
    let upload = call(&service, "GET", &format!("{path}/{newer}/upload")).send().await;
    upload.expect_problem(409, "upload_finished");
    let completed = call(&service, "POST", &format!("{path}/{newer}/complete")).send().await.expect(200);
    assert_eq!(completed["state"], "disarmed");
    // A release does not weaken a state that it does not know, and does not overlook malware.
    let key = format!("lab={LAB}/case={case}/{newer}");
    assert_eq!(service.scan_result(&key, "NO_THREATS_FOUND").await, ScanOutcome::Ignored);
    assert_eq!(service.scan_result(&key, "THREATS_FOUND").await, ScanOutcome::Changed);
    let read = call(&service, "GET", &format!("{path}/{newer}")).send().await.expect(200);
    assert_eq!(read["attachment"]["state"], "infected");
}

#[tokio::test]
async fn a_record_of_an_operation_of_a_newer_release_is_shown_as_it_is() {
    let service = Service::start().await;
    let id = service.create("admin", json!({"procedure_type": "Crown"})).await["id"].as_u64().unwrap();
    let [record] = &service.access_records(LAB).await[..] else { panic!("one record") };
    let newer = json!({"action": "scanCase", "outcome": "postponed"});
    service.change_record(LAB, record["sk"].as_str().unwrap(), newer).await;
    for path in [format!("/api/v1/cases/{id}/access"), "/api/v1/audit".into()] {
        let page = call(&service, "GET", &path).send().await.expect(200);
        // The second list also has the record of the first one.
        let oldest = page["records"].as_array().unwrap().last().unwrap();
        assert_eq!(
            [&oldest["action"], &oldest["outcome"]],
            [&json!("scanCase"), &json!("postponed")],
            "{path}"
        );
    }
    let csv = call(&service, "GET", "/api/v1/audit?format=csv").send().await;
    csv.expect_success();
    assert!(String::from_utf8(csv.bytes).unwrap().contains(",scanCase,postponed,"));
}
