//! With a role for labs, every call to DynamoDB is signed for the lab whose partition it names.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{
    Service,
    proxy::{Fault, Proxy},
    reply::retry_until_success,
    sts::Sts,
};

const ROLE: &str = "arn:aws:iam::111122223333:role/lhcms-lab";

async fn with_role(sts: &str) -> Service {
    Service::start_with(&[("LAB_ROLE_ARN", ROLE), ("AWS_ENDPOINT_URL_STS", sts)]).await
}

/// All partition keys in the body of a call: of items, and of the index by status.
fn labs(call: &Value) -> Vec<&str> {
    let members = match call {
        Value::Object(members) => members,
        Value::Array(items) => return items.iter().flat_map(labs).collect(),
        _ => return Vec::new(),
    };
    let own = ["lab_id", ":partition"].into_iter().filter_map(|name| members.get(name)?["S"].as_str());
    own.map(|key| key.split('#').next().unwrap()).chain(members.values().flat_map(labs)).collect()
}

#[tokio::test]
async fn every_call_is_signed_for_the_lab_whose_partition_it_names() {
    let sts = Sts::start().await;
    let service = with_role(sts.url()).await;
    service.dynamodb.record_calls();
    let new = json!({"procedure_type": "Crown", "patient_name": "Jane Roe"});
    for (user, lab) in [("both", 123), ("both", 456), ("admin", 123)] {
        let ask = |method: &str, path: &str| service.as_user(user, method, path).lab(lab);
        ask("POST", "/api/v1/cases")
            .header("idempotency-key", "key")
            .json(new.clone())
            .send()
            .await
            .expect(201);
        ask("PUT", "/api/v1/cases/1").json(json!({"notes": user})).send().await.expect(200);
        ask("PATCH", "/api/v1/cases/1/status").json(json!({"status": "in_progress"})).send().await;
        let ids = json!({"ids": [1, 2], "status": "in_progress"});
        ask("POST", "/api/v1/cases/bulk-status").json(ids).send().await.expect(200);
        ask("POST", "/api/v1/cases/search").json(json!({"q": "roe"})).send().await.expect(200);
        for path in [
            "",
            "?status=pending",
            "?page=2",
            "?sort=due_date",
            "?sort=updated_at",
            "?q=roe",
            "/1",
            "/1/history",
            "/1/history/verify",
            "/stats",
            "/changes",
            "/export",
        ] {
            ask("GET", &format!("/api/v1/cases{path}")).send().await.expect_success();
        }
    }
    let remake = json!({"reason_code": "fit", "reason": "too tight"});
    service.as_user("admin", "POST", "/api/v1/cases/1/remakes").json(remake).send().await.expect(201);
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    service.as_user("admin", "POST", "/api/v1/cases/1/restore").send().await.expect(200);
    service.as_user("admin", "GET", "/api/v1/cases/1/access").send().await.expect(200);
    service.as_user("both", "GET", "/api/v1/cases?lab_id=all").send().await.expect(200);

    let seen = service.dynamodb.take_recorded_calls();
    assert!(seen.len() > 80, "{}", seen.len());
    for call in &seen {
        let named = labs(&call.body);
        assert!(!named.is_empty(), "{} {}", call.name, call.body);
        for lab in named {
            assert_eq!(call.access_key, format!("LAB{lab}"), "{} {}", call.name, call.body);
        }
    }
}

#[tokio::test]
async fn each_lab_gets_one_session() {
    let sts = Sts::start().await;
    let service = with_role(sts.url()).await;
    for _ in 0..3 {
        service.as_user("both", "GET", "/api/v1/cases?lab_id=all").send().await.expect(200);
        service.as_user("both", "GET", "/api/v1/cases").lab(456).send().await.expect(200);
    }
    let mut requests = sts.take_requests();
    requests.sort();
    assert_eq!(requests.len(), 2);
    for (request, lab) in requests.iter().zip(["123", "456"]) {
        let expected = [
            ("Action", "AssumeRole"),
            ("DurationSeconds", "3600"),
            ("RoleArn", "arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Flhcms-lab"),
            ("RoleSessionName", &format!("lab-{lab}")),
            ("Tags.member.1.Key", "lab"),
            ("Tags.member.1.Value", lab),
            ("Version", "2011-06-15"),
        ];
        assert_eq!(request, &expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}

/// Prints the times: `cargo test --release -p tests lab_role -- --nocapture`.
#[tokio::test]
async fn the_first_request_in_a_lab_costs_one_call_to_sts_and_the_next_none() {
    let sts = Sts::start().await;
    for service in [Service::start().await, with_role(sts.url()).await] {
        let token = service.token_of("both");
        let list = async |lab| {
            let started = Instant::now();
            service.request("GET", "/api/v1/cases").token(&token).lab(lab).send().await.expect(200);
            (started.elapsed(), sts.take_requests().len())
        };
        // After this request the caller is cached and all connections are open.
        list(456).await;
        let ((first, sessions), (next, none)) = (list(123).await, list(123).await);
        println!("the first request in a lab, with {sessions} calls to STS: {first:?}, the next: {next:?}");
        let has_role = service.is_set("LAB_ROLE_ARN");
        assert_eq!((sessions, none), (usize::from(has_role), 0));
    }
}

#[tokio::test]
async fn without_a_session_no_data_is_returned_and_no_other_identity_is_tried() {
    let sts = Sts::start().await;
    let denied =
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
    for fault in [
        Fault::Answer(403, denied.into()),
        Fault::Answer(200, "<html>".into()),
        Fault::LoseAnswer,
        Fault::Hang,
    ] {
        let proxy = Proxy::start(sts.url()).await;
        let service = with_role(proxy.url()).await;
        let broken = fault.clone();
        proxy.rule(move |_, _| broken.clone());
        let list = || service.as_user("admin", "GET", "/api/v1/cases").send();
        list().await.expect_problem(503, "service_unavailable");
        assert_eq!(service.dynamodb.take_calls(), [""; 0], "{fault:?}");
        proxy.heal();
        retry_until_success(list).await;
    }
}
