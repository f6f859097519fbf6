//! Failures of DynamoDB and LinksHub: the service answers 503 in time and writes nothing half.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use local::linkshub::Relation;
use serde_json::json;

use crate::harness::{Service, proxy::Fault, reply::retry_until_success};

const CONFLICT: &str = r#"{"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "message": "Transaction cancelled",
    "CancellationReasons": [{"Code": "None"}, {"Code": "None"}, {"Code": "TransactionConflict", "Message": "busy"}]}"#;
const THROTTLED: &str =
    r#"{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "slow down"}"#;

#[tokio::test]
async fn without_its_table_every_route_answers_503() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.drop_table().await;
    let health = service.request("GET", "/api/v1/health").send().await.expect(503);
    assert_eq!(
        (&health["checks"]["table"]["status"], &health["checks"]["ums"]["status"]),
        (&json!("down"), &json!("up"))
    );
    for (method, path, body) in [
        ("GET", "/api/v1/cases", None),
        ("POST", "/api/v1/cases", Some(json!({"procedure_type": "Crown"}))),
        ("GET", "/api/v1/cases/1", None),
        ("PUT", "/api/v1/cases/1", Some(json!({"notes": "x"}))),
        ("PATCH", "/api/v1/cases/1/status", Some(json!({"status": "completed"}))),
        ("DELETE", "/api/v1/cases/1", None),
    ] {
        let call = service.as_user("admin", method, path);
        let call = match body {
            Some(body) => call.json(body),
            None => call,
        };
        let problem = call.send().await.expect_problem(503, "service_unavailable");
        assert!(!problem.to_string().contains("lhcms-test"), "the problem shows no internal names");
    }
}

#[tokio::test]
async fn a_failing_or_hanging_database_means_503_in_time_and_no_partial_write() {
    for (what, fault) in [
        ("error", Fault::Answer(500, "{}".into())),
        ("html", Fault::Answer(200, "<html>".into())),
        ("throttling", Fault::Answer(400, THROTTLED.into())),
        ("silence", Fault::Hang),
    ] {
        let service = Service::start().await;
        let broken = fault.clone();
        service
            .dynamodb
            .rule(move |name, _| if name == "TransactWriteItems" { broken.clone() } else { Fault::Pass });
        let reply = service
            .as_user("admin", "POST", "/api/v1/cases")
            .json(json!({"procedure_type": "Crown"}))
            .send()
            .await;
        reply.expect_problem(503, "service_unavailable");
        let keys: Vec<String> = service.items(123).await.into_keys().collect();
        assert_eq!(keys, ["COUNTER"], "{what}: an id is used, and nothing else is written");
        service.dynamodb.heal();
        assert_eq!(service.create("admin", json!({"procedure_type": "Crown"})).await["id"], 2);
    }
}

#[tokio::test]
async fn an_unreachable_database_means_503_in_time() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let service = Service::start_with(&[("AWS_ENDPOINT_URL_DYNAMODB", &format!("http://{nobody}"))]).await;
    for (method, path) in
        [("GET", "/api/v1/cases"), ("GET", "/api/v1/cases/1"), ("DELETE", "/api/v1/cases/1")]
    {
        service.as_user("admin", method, path).send().await.expect_problem(503, "service_unavailable");
    }
    service.request("GET", "/api/v1/health").send().await.expect(503);
    service.request("GET", "/health").send().await.expect(200);
}

#[tokio::test]
async fn a_transaction_with_conflicts_is_tried_again() {
    let service = Service::start().await;
    static CONFLICTS: AtomicU32 = AtomicU32::new(0);
    service.dynamodb.rule(|name, _| {
        if name == "TransactWriteItems" && CONFLICTS.fetch_add(1, Ordering::Relaxed) < 3 {
            Fault::Answer(400, CONFLICT.into())
        } else {
            Fault::Pass
        }
    });
    assert_eq!(service.create("admin", json!({"procedure_type": "Crown"})).await["id"], 1);
    assert_eq!(service.statistics(123).await, [("pending".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_write_whose_response_was_lost_is_not_done_twice() {
    let service = Service::start().await;
    static WRITES: AtomicU32 = AtomicU32::new(0);
    service.dynamodb.rule(|name, _| {
        if name == "TransactWriteItems" && WRITES.fetch_add(1, Ordering::Relaxed) == 0 {
            Fault::LoseAnswer
        } else {
            Fault::Pass
        }
    });
    assert_eq!(service.create("admin", json!({"procedure_type": "Crown"})).await["version"], 1);
    assert_eq!(WRITES.load(Ordering::Relaxed), 2);
    assert_eq!(service.statistics(123).await, [("pending".to_owned(), 1)].into());
    assert_eq!(service.items(123).await.len(), 6);
}

#[tokio::test]
async fn while_linkshub_fails_a_case_with_a_doctor_is_not_created() {
    for fault in [Fault::Answer(500, "{}".into()), Fault::Answer(200, "<html>".into()), Fault::Hang] {
        let service = Service::start().await;
        service.linkshub_proxy.rule(move |_, _| fault.clone());
        let named = json!({"procedure_type": "Crown", "doctor_id": "DOC001"});
        let reply = service.as_user("admin", "POST", "/api/v1/cases").json(named).send().await;
        reply.expect_problem(503, "service_unavailable");
        assert_eq!(service.items(123).await.len(), 0);
        let path = "/api/v1/cases/doctor-info/DOC001";
        service.as_user("admin", "GET", path).send().await.expect_problem(503, "service_unavailable");
        service.create("admin", json!({"procedure_type": "Crown"})).await;
    }
}

#[tokio::test]
async fn linkshub_is_called_once_a_minute_for_a_valid_id() {
    let service = Service::start().await;
    let named = json!({"procedure_type": "Crown", "doctor_id": "DOC001", "product_id": "PROD001"});
    for _ in 0..3 {
        service.create("admin", named.clone()).await;
        service.create("member", json!({"procedure_type": "Crown", "doctor_id": "DOC001"})).await;
    }
    let mut calls = service.linkshub_proxy.take_calls();
    calls.sort();
    let asked =
        ["/api/v1/doctors/DOC001", "/api/v1/doctors/DOC001/labs/123/relation", "/api/v1/products/PROD001"];
    assert_eq!(calls, asked);
    let path = "/api/v1/cases/doctor-info/DOC001";
    let first = service.as_user("admin", "GET", path).send().await.expect(200);
    assert_eq!(service.as_user("viewer", "GET", path).send().await.expect(200), first);
    assert_eq!(service.linkshub_proxy.take_calls(), [""; 0]);
}

#[tokio::test]
async fn an_inactive_doctor_gets_no_new_cases_and_can_still_be_read() {
    let service = Service::start().await;
    service.linkshub.update(|catalogue| {
        let doctor = catalogue.doctors.iter_mut().find(|doctor| doctor.doctor_id == "DOC001").unwrap();
        doctor.is_active = false;
    });
    let path = "/api/v1/cases/doctor-info/DOC001";
    let shown = service.as_user("admin", "GET", path).send().await.expect(200);
    assert_eq!(shown["is_active"], false);
    let named = json!({"procedure_type": "Crown", "doctor_id": "DOC001"});
    let reply = service.as_user("admin", "POST", "/api/v1/cases").json(named).send().await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/doctor_id"]);
}

#[tokio::test]
async fn a_new_doctor_or_product_can_be_used_as_soon_as_linkshub_knows_it() {
    let service = Service::start().await;
    let named =
        json!({"procedure_type": "Crown", "doctor_id": "doctor_north", "product_id": "crown_gold_001"});
    let reply = service.as_user("admin", "POST", "/api/v1/cases").json(named.clone()).send().await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/doctor_id", "/product_id"]);
    let path = "/api/v1/cases/doctor-info/doctor_north";
    service.as_user("admin", "GET", path).send().await.expect_problem(404, "doctor_not_found");
    service.linkshub.update(|catalogue| {
        catalogue.relations.push(Relation::new("doctor_north", 123));
        catalogue.products.iter_mut().for_each(|product| product.is_active = true);
    });
    service.create("admin", named).await;
    service.as_user("admin", "GET", path).send().await.expect(200);
}

#[tokio::test]
async fn an_answer_of_linkshub_for_one_lab_is_not_used_for_another() {
    let service = Service::start().await;
    let path = "/api/v1/cases/doctor-info/doctor_north";
    let named = json!({"procedure_type": "Crown", "doctor_id": "doctor_north"});
    service.as_user("northgate", "GET", path).send().await.expect(200);
    service.create("northgate", named.clone()).await;
    service.as_user("admin", "GET", path).send().await.expect_problem(404, "doctor_not_found");
    let reply = service.as_user("admin", "POST", "/api/v1/cases").json(named.clone()).send().await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/doctor_id"]);
    // The same is true for one user in two labs.
    service.as_user("both", "GET", path).lab(456).send().await.expect(200);
    service.as_user("both", "GET", path).lab(123).send().await.expect_problem(404, "doctor_not_found");
}

#[tokio::test]
async fn the_circuit_to_linkshub_opens_after_failures_and_closes_by_itself() {
    let service = Service::start_tuned(&[], |config| config.outage_pause = Duration::from_secs(3600)).await;
    let create = |doctor: &str| {
        let named = json!({"procedure_type": "Crown", "doctor_id": doctor});
        service.as_user("admin", "POST", "/api/v1/cases").json(named).send()
    };
    create("DOC001").await.expect(201);
    service.linkshub_proxy.rule(|_, _| Fault::Answer(500, "{}".into()));
    for _ in 0..3 {
        create("doctor_123").await.expect_problem(503, "service_unavailable");
    }
    service.linkshub_proxy.take_calls();
    for _ in 0..20 {
        create("doctor_123").await.expect_problem(503, "service_unavailable");
    }
    create("DOC001").await.expect(201);
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    assert_eq!(service.linkshub_proxy.take_calls(), [""; 0]);

    let service = Service::start().await;
    service.linkshub_proxy.rule(|_, _| Fault::Answer(500, "{}".into()));
    let path = "/api/v1/cases/doctor-info/DOC001";
    for _ in 0..10 {
        service.as_user("admin", "GET", path).send().await.expect_problem(503, "service_unavailable");
    }
    service.linkshub_proxy.heal();
    retry_until_success(|| service.as_user("admin", "GET", path).send()).await;
}

#[tokio::test]
async fn without_linkshub_ids_are_accepted_unchecked() {
    let service = Service::start_with(&[("LINKSHUB_BASE_URL", "")]).await;
    let case = service.create("admin", json!({"procedure_type": "Crown", "doctor_id": "anybody"})).await;
    assert_eq!(case["doctor_id"], "anybody");
    let path = "/api/v1/cases/doctor-info/DOC001";
    service.as_user("admin", "GET", path).send().await.expect_problem(404, "doctor_not_found");
}
