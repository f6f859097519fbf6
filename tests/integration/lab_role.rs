//! With a role for labs, every call to DynamoDB is signed for the lab whose partition it names.

use std::{fs, time::Instant};

use serde_json::{Value, json};

use super::isolation::requests::TestRequest;
use crate::harness::{
    Service,
    proxy::{Fault, Proxy, RecordedCall},
    reply::retry_until_success,
    service::{AUDIT_TABLE, CONNECTIONS_TABLE, TABLE},
    spec::{operations, root},
    sts::Sts,
};

const ROLE: &str = "arn:aws:iam::111122223333:role/lhcms-lab";
/// What the tests of several functions pass as the policy of each.
const ANY_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

async fn with_role(sts: &str) -> Service {
    with_policy(sts, ANY_POLICY).await
}

async fn with_policy(sts: &str, policy: &str) -> Service {
    let role = ("LAB_ROLE_ARN", ROLE);
    Service::start_with(&[role, ("SESSION_POLICY", policy), ("AWS_ENDPOINT_URL_STS", sts)]).await
}

/// `SESSION_POLICY` of a function behind a login, as template.yaml sets it.
fn session_policy(template: &Value, function: &str) -> String {
    let properties = &template["Resources"]["Fn::ForEach::LabFunctions"][2]["${Name}Function"]["Properties"];
    // !If [PerLab, !Sub [text, values], '']
    let text = properties["Environment"]["Variables"]["SESSION_POLICY"][1][0].as_str().unwrap();
    let row = template["Mappings"]["Functions"][function].as_object().unwrap();
    let with_row = row.iter().fold(text.to_owned(), |text, (column, value)| {
        let names = value.as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
        let names = names.collect::<Vec<_>>().join("\",\"");
        text.replace(&format!("${{{column}}}"), value.as_str().unwrap_or(&names))
    });
    let policy = with_row.replace("${TableArn}", &arn(TABLE)).replace("${AuditTableArn}", &arn(AUDIT_TABLE));
    assert!(!policy.contains("${"), "{policy}");
    policy
}

fn arn(table: &str) -> String {
    format!("arn:aws:dynamodb:us-east-1:111122223333:table/{table}")
}

/// The rights that a call needs: each action with its resource. A transaction needs those of its parts.
fn rights(call: &RecordedCall) -> Vec<(String, String)> {
    let of = |action: &str, request: &Value| {
        let table = arn(request["TableName"].as_str().unwrap());
        let index = request["IndexName"].as_str().map(|index| format!("/index/{index}"));
        (format!("dynamodb:{action}"), format!("{table}{}", index.unwrap_or_default()))
    };
    match &call.name[..] {
        "TransactWriteItems" => {
            let parts = call.body["TransactItems"].as_array().unwrap().iter();
            let parts = parts.flat_map(|part| part.as_object().unwrap());
            parts.map(|(kind, request)| of(&format!("{kind}Item"), request)).collect()
        }
        "BatchGetItem" => {
            let tables = call.body["RequestItems"].as_object().unwrap().keys();
            tables.map(|table| ("dynamodb:BatchGetItem".to_owned(), arn(table))).collect()
        }
        name => vec![of(name, &call.body)],
    }
}

/// Whether the policy allows the action on the resource: a statement allows it and none denies it.
fn allows(policy: &Value, (action, resource): &(String, String)) -> bool {
    let has = |list: &Value, wanted: &str| {
        list.as_array().unwrap().iter().any(|entry| match entry.as_str().unwrap().strip_suffix('*') {
            Some(start) => wanted.starts_with(start),
            None => entry == wanted,
        })
    };
    let statements = policy["Statement"].as_array().unwrap().iter();
    let about = statements.filter(|one| has(&one["Action"], action) && has(&one["Resource"], resource));
    let effects: Vec<&Value> = about.map(|one| &one["Effect"]).collect();
    effects.contains(&&json!("Allow")) && !effects.contains(&&json!("Deny"))
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
    service.ums.update(|directory| {
        for lab in [123, 456] {
            directory.membership_mut(6, lab).unwrap().role = "admin".into();
        }
    });
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
        let question = json!({"text": "Which shade?", "asks": true});
        let comment = ask("POST", "/api/v1/cases/1/comments").json(question).send().await.expect(201);
        let comment = format!("/api/v1/cases/1/comments/{}", comment["id"]);
        ask("PUT", &comment).json(json!({"text": user})).send().await.expect(200);
        ask("DELETE", &comment).send().await.expect_success();
        let file = json!({
            "file_name": "jaw.stl", "content_type": "model/stl", "size": 1, "sha256": "0".repeat(64), "kind": "scan",
        });
        let file = ask("POST", "/api/v1/cases/1/attachments").json(file).send().await.expect(201);
        let file = format!("/api/v1/cases/1/attachments/{}", file["attachment"]["id"].as_str().unwrap());
        for path in [&file, &format!("{file}/upload")] {
            ask("GET", path).send().await.expect(200);
        }
        ask("POST", &format!("{file}/complete")).send().await.expect_problem(409, "upload_incomplete");
        ask("DELETE", &file).send().await.expect_success();
        ask("POST", "/api/v1/cases/search").json(json!({"q": "roe"})).send().await.expect(200);
        for path in [
            "",
            "?status=pending",
            "?page=2",
            "?sort=due_date",
            "?sort=priority",
            "?doctor_id=DOC001",
            "?assigned_to=me",
            "?unassigned=true",
            "?patient_id=4711",
            "?waiting_for_answer=true",
            "?case_number=RIVERSIDE-202611-1",
            "?sort=updated_at",
            "?q=roe",
            "/1",
            "/1/history",
            "/1/comments",
            "/1/attachments",
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
            ("Policy", ANY_POLICY),
            ("RoleArn", ROLE),
            ("RoleSessionName", &format!("lab-{lab}")),
            ("Tags.member.1.Key", "lab"),
            ("Tags.member.1.Value", lab),
            ("Version", "2011-06-15"),
        ];
        assert_eq!(request, &expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}

#[tokio::test]
async fn each_operation_works_in_sessions_that_have_only_its_own_rights() {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    let template = contract::parse_yaml(&text).unwrap();
    for operation in operations().iter().filter(|operation| !operation.is_public()) {
        let id = operation.id();
        let function = id[..1].to_uppercase() + &id[1..];
        let policy = session_policy(&template, &function);
        let sts = Sts::start().await;
        let mut service = with_policy(sts.url(), &policy).await;
        for _ in 0..2 {
            service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
        }
        service.put_file(123, 1, "att_0000000000000001", "clean", "scan.stl").await;
        service.put_webhooks_of_both_labs().await;
        service.restart_functions();
        sts.take_requests();
        service.dynamodb.record_calls();
        for user in ["viewer", "admin"] {
            let request = TestRequest::valid(operation, &service.token_of(user));
            assert_ne!(request.send(&service, operation).await.status, 503, "{id}");
        }
        if operation.value["x-permission"] == "read" {
            let mut request = TestRequest::valid(operation, &service.token_of("sysadmin"));
            request.headers =
                vec![("x-lab-id", "123".into()), ("x-break-glass", "support; asked by the lab".into())];
            request.send(&service, operation).await.expect_success();
        }
        let sessions = sts.take_requests();
        assert_eq!(sessions.len(), 1, "{id}");
        assert_eq!(sessions[0]["Policy"], policy, "{id}");
        let policy: Value = serde_json::from_str(&policy).unwrap();
        let calls = service.dynamodb.take_recorded_calls();
        assert!(!calls.is_empty(), "{id}");
        // Tickets belong to no lab's data: the function writes them with its own identity.
        let of_lab =
            calls.iter().flat_map(rights).filter(|(_, resource)| *resource != arn(CONNECTIONS_TABLE));
        for right in of_lab {
            assert!(
                allows(&policy, &right),
                "{id} needs {right:?}, which is not in its row of template.yaml"
            );
        }
        let may = |action: &str, table: &str| allows(&policy, &(format!("dynamodb:{action}"), arn(table)));
        for action in ["Scan", "DeleteTable", "UpdateTable"] {
            assert!(!may(action, TABLE) && !may(action, AUDIT_TABLE), "{id} {action}");
        }
        let deletes = ["deleteCase", "restoreCase", "completeAttachment", "deleteWebhook"];
        assert_eq!(may("DeleteItem", TABLE), deletes.contains(&id), "{id}");
        assert!(!may("DeleteItem", AUDIT_TABLE) && !may("UpdateItem", AUDIT_TABLE), "{id}");
        if ["read", "export", "audit"].contains(&operation.value["x-permission"].as_str().unwrap()) {
            assert!(!may("PutItem", TABLE) && !may("UpdateItem", TABLE), "{id}");
        }
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
