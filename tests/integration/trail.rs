//! The verification of the audit trail: each way to tamper with the tables is found by comparison with the archive.

use serde_json::{Value, json};
use shared::config::Config;

use crate::harness::{Service, today};

/// A lab with two cases, some reads, and all of it archived.
async fn with_trail() -> Service {
    with_trail_tuned(|_| {}).await
}

/// The same with other settings.
async fn with_trail_tuned(tune: fn(&mut Config)) -> Service {
    let service = Service::start_with_streams_tuned(tune).await;
    for _ in 0..2 {
        service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    }
    let put = service.as_user("member", "PUT", "/api/v1/cases/1").json(json!({"notes": "Contact is open"}));
    put.send().await.expect(200);
    for path in ["/api/v1/cases/1", "/api/v1/cases", "/api/v1/cases/1/history"] {
        service.as_user("viewer", "GET", path).send().await.expect(200);
    }
    service.as_user("viewer", "DELETE", "/api/v1/cases/1").send().await.expect_problem(403, "forbidden");
    service.process_streams().await;
    service
}

async fn verify(service: &Service) -> Value {
    service.as_user("admin", "GET", "/api/v1/audit/verify").send().await.expect(200)
}

/// The faults of a verification: item, fault and id of each.
fn faults(found: &Value) -> Vec<(&str, &str, &str)> {
    assert_eq!(found["valid"], found["fault_count"] == 0, "{found}");
    let faults = found["faults"].as_array().unwrap().iter();
    faults
        .map(|fault| {
            (fault["item"].as_str().unwrap(), fault["fault"].as_str().unwrap(), fault["id"].as_str().unwrap())
        })
        .collect()
}

async fn first_record(service: &Service) -> Value {
    service.access_records(123).await.remove(0)
}

#[tokio::test]
async fn an_untouched_trail_is_valid_and_new_records_are_pending() {
    let service = with_trail().await;
    let first = verify(&service).await;
    let records = service.access_records(123).await.len();
    // The verification itself is recorded, and is not archived yet.
    let expected = json!({
        "day": today(), "valid": true, "records": records, "archived_records": records - 1, "archived_events": 3, "lost_events": 0, "pending": 1,
        "fault_count": 0, "faults": [], "table_reaches_back_to": first["table_reaches_back_to"],
        "archive_reaches_back_to": today(), "next_cursor": null,
    });
    assert_eq!(first, expected);
    service.process_streams().await;
    let second = verify(&service).await;
    assert_eq!((&second["pending"], &second["valid"]), (&json!(1), &json!(true)));
    let other =
        service.as_user("admin", "GET", "/api/v1/audit/verify?day=2020-02-29").send().await.expect(200);
    assert_eq!(
        (&other["records"], &other["valid"], &other["day"]),
        (&json!(0), &json!(true), &json!("2020-02-29"))
    );
    for query in ["day=yesterday", "cursor=x", "hour=3"] {
        let reply = service.as_user("admin", "GET", &format!("/api/v1/audit/verify?{query}")).send().await;
        assert_eq!(reply.status, 400, "{query}");
    }
    service.as_user("viewer", "GET", "/api/v1/audit/verify").send().await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn a_changed_record_is_found() {
    let service = with_trail().await;
    let sk = first_record(&service).await["sk"].as_str().unwrap().to_owned();
    service.change_record(123, &sk, json!({"user_id": "999"})).await;
    assert_eq!(faults(&verify(&service).await), [("audit_record", "changed", &*sk)]);
    service.process_streams().await;
    assert_eq!(faults(&verify(&service).await), [("audit_record", "changed", &*sk)]);
}

#[tokio::test]
async fn a_record_that_was_changed_and_changed_back_is_found() {
    let service = with_trail().await;
    let record = first_record(&service).await;
    let sk = record["sk"].as_str().unwrap();
    service.change_record(123, sk, json!({"user_id": "999"})).await;
    service.change_record(123, sk, json!({"user_id": record["user_id"]})).await;
    service.process_streams().await;
    assert_eq!(faults(&verify(&service).await), [("audit_record", "changed", sk)]);
}

#[tokio::test]
async fn a_removed_record_is_found() {
    let service = with_trail().await;
    let sk = first_record(&service).await["sk"].as_str().unwrap().to_owned();
    service.delete_record(123, &sk).await;
    assert_eq!(faults(&verify(&service).await), [("audit_record", "removed", &*sk)]);
    service.process_streams().await;
    assert_eq!(faults(&verify(&service).await), [("audit_record", "removed", &*sk)]);
}

#[tokio::test]
async fn an_added_record_is_found() {
    let service = with_trail().await;
    // A copy of a record under another time, and one in the past that nothing archived.
    let mut copy = service.typed_record(123, first_record(&service).await["sk"].as_str().unwrap()).await;
    let past = format!("{}T00:00:00.000Z#copy", today());
    copy["sk"] = json!({"S": past});
    service.put_typed_record(&copy).await;
    let found = verify(&service).await;
    let [(item, fault, id)] = faults(&found)[..] else { panic!("{found}") };
    assert_eq!((item, id), ("audit_record", &*past));
    // Within 15 minutes of midnight, only the seal shows it.
    assert!(["added", "forged"].contains(&fault), "{fault}");
}

#[tokio::test]
async fn a_changed_a_removed_and_a_rehashed_event_are_found() {
    let service = with_trail().await;
    service.change_event(123, 1, 1, json!({"user_id": "999"})).await;
    service.delete_event(123, 1, 2).await;
    service.change_event(123, 2, 1, json!({"reason": "forged"})).await;
    let found = verify(&service).await;
    assert_eq!(
        faults(&found),
        [
            ("event", "changed", "EVENT#0000000001#000001"),
            ("event", "forged", "EVENT#0000000002#000001"),
            ("event", "removed", "EVENT#0000000001#000002"),
        ]
    );
    assert_eq!((&found["faults"][0]["case_id"], &found["faults"][0]["version"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_disposed_case_is_no_fault_and_an_erased_event_of_a_live_case_is_one() {
    let service = with_trail_tuned(|config| config.retention_days = 0).await;
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    assert_eq!(service.expire_items().await, 1);
    service.process_streams().await;
    let found = verify(&service).await;
    assert_eq!(faults(&found), [], "{found}");
    service.erase_event(123, 2, 1, "2001-09-09T01:46:40.000Z").await;
    assert_eq!(faults(&verify(&service).await), [("event", "changed", "EVENT#0000000002#000001")]);
}

#[tokio::test]
async fn a_day_with_too_much_for_one_request_is_verified_in_parts() {
    let service =
        Service::start_with_streams_tuned(|config| config.retry_budget = std::time::Duration::ZERO).await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.process_streams().await;
    let (mut path, mut events, mut parts) = ("/api/v1/audit/verify".to_owned(), 0, 0);
    loop {
        let part = service.as_user("admin", "GET", &path).send().await.expect(200);
        assert_eq!(part["valid"], true, "{part}");
        events += part["archived_events"].as_u64().unwrap();
        parts += 1;
        let Some(cursor) = part["next_cursor"].as_str() else { break };
        path = format!("/api/v1/audit/verify?cursor={cursor}");
    }
    assert_eq!((events, parts), (1, 24));
    let other_day = path.replace("?", "?day=2020-01-01&");
    service.as_user("admin", "GET", &other_day).send().await.expect_problem(400, "invalid_cursor");
}

#[tokio::test]
async fn the_audit_routes_say_how_far_back_they_reach() {
    let service = Service::start_with(&[("AUDIT_TABLE_DAYS", "1")]).await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let yesterday = today().parse::<jiff::civil::Date>().unwrap().yesterday().unwrap().to_string();
    for path in ["/api/v1/audit", "/api/v1/cases/1/access"] {
        let page = service.as_user("admin", "GET", path).send().await.expect(200);
        assert_eq!(page["reaches_back_to"], yesterday, "{path}");
    }
    let csv = service.as_user("admin", "GET", "/api/v1/audit?format=csv").send().await;
    assert_eq!(csv.header("x-reaches-back-to"), Some(&*yesterday));
    for record in service.access_records(123).await {
        let at: jiff::Timestamp = record["at"].as_str().unwrap().parse().unwrap();
        assert_eq!(record["expires_at"], at.as_second() + 24 * 3600);
    }
}
