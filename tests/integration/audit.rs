//! Audit records: every access to patient data is recorded before the data leaves, rejected requests too.

use local::ums::User;
use serde_json::{Value, json};

use crate::harness::{Reply, Service, leaks, proxy::Fault, spec::SPEC};

/// A reason that a system administrator may give.
const REASON: &str = "support; Ticket 4711, case 1";

async fn with_cases(count: usize) -> Service {
    let service = Service::start().await;
    for _ in 0..count {
        service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    }
    service
}

/// The audit records of a lab without those of the setup of the test.
async fn records_after_setup(service: &Service, lab: i64) -> Vec<Value> {
    let mut records = service.access_records(lab).await;
    records.retain(|record| record["action"] != "createCase" || record["user_id"] == "3");
    records
}

/// The audit records of the lab as the API returns them, newest first, without those of reading them.
async fn records(service: &Service, query: &str) -> Vec<Value> {
    let reply = service.as_user("admin", "GET", &format!("/api/v1/audit?limit=100&{query}")).send().await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    without_audit_reads(reply.expect(200)["records"].as_array().unwrap().clone())
}

fn without_audit_reads(mut records: Vec<Value>) -> Vec<Value> {
    let of_audit = [json!("listAccess"), json!("getCaseAccess")];
    records.retain(|record| record["user_id"] != "1" || !of_audit.contains(&record["action"]));
    records
}

async fn send(service: &Service, user: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
    let call = service.as_user(user, method, path).header("user-agent", "test/1.0");
    match body {
        Some(body) => call.json(body).send().await,
        None => call.send().await,
    }
}

#[tokio::test]
async fn every_read_writes_an_audit_record_with_the_returned_cases() {
    let service = with_cases(3).await;
    for (method, path, action, ids) in [
        ("GET", "/api/v1/cases/2", "getCase", json!([2])),
        ("GET", "/api/v1/cases?limit=2", "listCases", json!([3, 2])),
        ("GET", "/api/v1/cases?q=nobody", "listCases", json!([])),
        ("GET", "/api/v1/cases/1/history", "getCaseHistory", json!([1])),
        ("GET", "/api/v1/cases/1/comments", "listComments", json!([1])),
        ("GET", "/api/v1/cases/1/attachments", "listAttachments", json!([1])),
        ("GET", "/api/v1/cases/export?order=asc", "exportCases", json!([1, 2, 3])),
        ("GET", "/api/v1/cases/changes", "caseChanges", json!([1, 2, 3])),
        ("GET", "/api/v1/cases/1/history/verify", "verifyCaseHistory", json!([1])),
    ] {
        let before = service.access_records(123).await.len();
        // An export needs more than a viewer may do.
        let (user, user_id) = if action == "exportCases" { ("admin", "1") } else { ("viewer", "4") };
        send(&service, user, method, path, None).await.expect_success();
        let records = service.access_records(123).await;
        assert_eq!(records.len(), before + 1, "{path}");
        let mut record = records.last().unwrap().clone();
        let mut seen: Vec<u64> = serde_json::from_value(record["case_ids"].take()).unwrap();
        let mut expected: Vec<u64> = serde_json::from_value(ids).unwrap();
        if action == "caseChanges" {
            seen.sort_unstable();
            expected.sort_unstable();
        }
        assert_eq!(seen, expected, "{path}");
        let route = path.split('?').next().unwrap().replace("/1/", "/{id}/").replace("cases/2", "cases/{id}");
        for (name, value) in [
            ("user_id", json!(user_id)),
            ("role", json!(user)),
            ("action", json!(action)),
            ("outcome", json!("granted")),
            ("route", json!(format!("{method} {route}"))),
            ("request_id", json!("request-id-1")),
            ("source_ip", json!("192.0.2.1")),
            ("user_agent", json!("test/1.0")),
        ] {
            assert_eq!(record[name], value, "{path} {name}");
        }
        let four_hundred_days = 400 * 24 * 3600;
        let kept = record["expires_at"].as_i64().unwrap() - local::ums::token::now();
        assert!((four_hundred_days - 60..=four_hundred_days).contains(&kept));
        assert!(!record.to_string().contains("Roe") && !record.to_string().contains("nobody"));
    }
}

#[tokio::test]
async fn an_unchanged_feed_and_the_statistics_write_no_audit_record() {
    let service = with_cases(1).await;
    let page = send(&service, "viewer", "GET", "/api/v1/cases/changes?since=now", None).await.expect(200);
    let path = format!("/api/v1/cases/changes?since={}", page["next_cursor"].as_str().unwrap());
    send(&service, "viewer", "GET", &path, None).await.expect(200);
    send(&service, "viewer", "GET", "/api/v1/cases/stats", None).await.expect(200);
    assert_eq!(records_after_setup(&service, 123).await.len(), 0);
}

#[tokio::test]
async fn a_change_writes_its_audit_record_in_the_same_transaction() {
    let service = with_cases(1).await;
    for (user, method, path, body, action, ids) in [
        (
            "member",
            "POST",
            "/api/v1/cases",
            Some(json!({"procedure_type": "Inlay"})),
            "createCase",
            json!([2]),
        ),
        ("member", "PUT", "/api/v1/cases/1", Some(json!({"notes": "x"})), "updateCase", json!([1])),
        (
            "technician",
            "PATCH",
            "/api/v1/cases/1/status",
            Some(json!({"status": "in_progress"})),
            "updateCaseStatus",
            json!([1]),
        ),
        (
            "member",
            "POST",
            "/api/v1/cases/1/remakes",
            Some(json!({"reason_code": "fit", "reason": "x"})),
            "remakeCase",
            json!([3, 1]),
        ),
        (
            "technician",
            "POST",
            "/api/v1/cases/1/comments",
            Some(json!({"text": "x", "asks": true})),
            "createComment",
            json!([1]),
        ),
        (
            "technician",
            "PUT",
            "/api/v1/cases/1/comments/1",
            Some(json!({"text": "y"})),
            "updateComment",
            json!([1]),
        ),
        ("technician", "DELETE", "/api/v1/cases/1/comments/1", None, "deleteComment", json!([1])),
        (
            "technician",
            "POST",
            "/api/v1/cases/1/attachments",
            Some(SPEC["components"]["examples"]["NewAttachment"]["value"].clone()),
            "createAttachment",
            json!([1]),
        ),
        ("admin", "DELETE", "/api/v1/cases/1", None, "deleteCase", json!([1])),
        ("admin", "POST", "/api/v1/cases/1/restore", None, "restoreCase", json!([1])),
    ] {
        service.dynamodb.take_calls();
        let before = service.access_records(123).await.len();
        send(&service, user, method, path, body).await.expect_success();
        let records = service.access_records(123).await;
        let last = records.last().unwrap();
        assert_eq!(
            (records.len(), &last["action"], &last["outcome"], &last["case_ids"]),
            (before + 1, &json!(action), &json!("granted"), &ids)
        );
        assert!(!service.dynamodb.take_calls().contains(&"PutItem".to_owned()), "{action}");
    }
}

#[tokio::test]
async fn a_response_that_shows_a_case_without_changing_it_writes_an_audit_record() {
    let service = with_cases(1).await;
    send(&service, "member", "PUT", "/api/v1/cases/1", Some(json!({}))).await.expect(200);
    send(&service, "technician", "PATCH", "/api/v1/cases/1/status", Some(json!({"status": "pending"})))
        .await
        .expect(200);
    send(&service, "admin", "POST", "/api/v1/cases/1/restore", None).await.expect(200);
    for _ in 0..2 {
        let create = service.as_user("member", "POST", "/api/v1/cases").header("idempotency-key", "k");
        create.json(json!({"procedure_type": "Inlay"})).send().await.expect(201);
    }
    let bulk = json!({"ids": [1, 99], "status": "pending"});
    send(&service, "technician", "POST", "/api/v1/cases/bulk-status", Some(bulk)).await.expect(200);
    let line = |record: Value| format!("{} {} {}", record["action"], record["outcome"], record["case_ids"]);
    let mut found: Vec<String> = records_after_setup(&service, 123).await.into_iter().map(line).collect();
    found[5..].sort();
    assert_eq!(
        found,
        [
            r#""updateCase" "granted" [1]"#,
            r#""updateCaseStatus" "granted" [1]"#,
            r#""restoreCase" "granted" [1]"#,
            // Created, and answered again with the stored response.
            r#""createCase" "granted" [2]"#,
            r#""createCase" "granted" [2]"#,
            r#""bulkUpdateStatus" "attempted" [1,99]"#,
            r#""bulkUpdateStatus" "granted" [1]"#,
            r#""bulkUpdateStatus" "refused" [99]"#,
        ]
    );
}

#[tokio::test]
async fn a_rejected_request_writes_an_audit_record() {
    let service = with_cases(1).await;
    let put = || Some(json!({"notes": "x"}));
    send(&service, "viewer", "PUT", "/api/v1/cases/1", put()).await.expect_problem(403, "forbidden");
    send(&service, "viewer", "GET", "/api/v1/cases/7", None).await.expect_problem(404, "case_not_found");
    send(&service, "member", "GET", "/api/v1/audit", None).await.expect_problem(403, "forbidden");
    send(&service, "member", "PUT", "/api/v1/cases/8", put()).await.expect_problem(404, "case_not_found");
    send(&service, "viewer", "GET", "/api/v1/cases/9/history", None)
        .await
        .expect_problem(404, "case_not_found");
    let found: Vec<String> = records(&service, "outcome=refused")
        .await
        .iter()
        .map(|record| {
            format!("{} {} {} {}", record["user_id"], record["action"], record["code"], record["case_ids"])
        })
        .collect();
    assert_eq!(
        found,
        [
            r#""4" "getCaseHistory" "case_not_found" [9]"#,
            r#""3" "updateCase" "case_not_found" [8]"#,
            r#""3" "listAccess" "forbidden" []"#,
            r#""4" "getCase" "case_not_found" [7]"#,
            r#""4" "updateCase" "forbidden" [1]"#,
        ]
    );
}

#[tokio::test]
async fn no_data_is_returned_when_the_audit_record_cannot_be_written() {
    let service = with_cases(1).await;
    service.dynamodb.rule(|name, _| match name {
        "PutItem" => Fault::refused(),
        _ => Fault::Pass,
    });
    for path in [
        "/api/v1/cases/1",
        "/api/v1/cases",
        "/api/v1/cases/1/history",
        "/api/v1/cases/export",
        "/api/v1/cases/changes",
        "/api/v1/cases/7",
    ] {
        let reply = send(&service, "admin", "GET", path, None).await;
        reply.expect_problem(503, "service_unavailable");
        assert!(!String::from_utf8_lossy(&reply.bytes).contains("Roe"));
    }
    service.dynamodb.heal();
    send(&service, "viewer", "GET", "/api/v1/cases/1", None).await.expect(200);
}

#[tokio::test]
async fn the_audit_record_of_a_single_case_is_written_while_the_case_is_read() {
    let service = with_cases(1).await;
    service.dynamodb.take_calls();
    send(&service, "viewer", "GET", "/api/v1/cases/1", None).await.expect(200);
    let mut calls = service.dynamodb.take_calls();
    calls.sort();
    assert_eq!(calls, ["GetItem", "PutItem"]);
}

#[tokio::test]
async fn audit_records_are_filtered_by_user_case_action_outcome_and_time() {
    let service = with_cases(3).await;
    for (user, path) in [
        ("viewer", "/api/v1/cases/1"),
        ("viewer", "/api/v1/cases/2"),
        ("member", "/api/v1/cases/1/history"),
        ("technician", "/api/v1/cases"),
        ("member", "/api/v1/cases/9"),
    ] {
        send(&service, user, "GET", path, None).await;
    }
    let tomorrow = "2999-01-01";
    for (query, expected) in [
        // The record of the missing case was written while the case was looked for, and another says that it is missing.
        ("", 9),
        ("user_id=4", 2),
        ("case_id=1", 4),
        ("case_id=3", 2),
        ("action=getCase", 4),
        ("outcome=refused", 1),
        ("user_id=3&case_id=9&action=getCase&outcome=refused", 1),
        ("from=2020-01-01&to=2020-12-31", 0),
        ("from=2020-01-01", 9),
        ("to=2020-01-01T00:00:00Z", 0),
        (&format!("to={tomorrow}"), 9),
        ("break_glass=true", 0),
    ] {
        assert_eq!(records(&service, query).await.len(), expected, "{query}");
    }
    let of_case = service.as_user("admin", "GET", "/api/v1/cases/1/access").send().await.expect(200);
    let of_case = without_audit_reads(of_case["records"].as_array().unwrap().clone());
    let who: Vec<&Value> = of_case.iter().map(|record| &record["user_id"]).collect();
    assert_eq!(who, ["2", "3", "4", "1"]);
    // Page by page.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/audit?limit=2{cursor}");
        let page = service.as_user("admin", "GET", &path).send().await.expect(200);
        seen.extend(page["records"].as_array().unwrap().clone());
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(without_audit_reads(seen), records(&service, "").await);
    let wrong = "/api/v1/audit?from=soon&case_id=x&action=look&outcome=maybe&who=me";
    let reply = service.as_user("admin", "GET", wrong).send().await;
    reply.expect_problem(400, "invalid_parameter");
    assert_eq!(reply.pointers().len(), 5, "{:?}", reply.pointers());
}

#[tokio::test]
async fn audit_records_can_be_exported_as_csv() {
    let service = with_cases(2).await;
    for _ in 0..3 {
        let call = service.as_user("viewer", "GET", "/api/v1/cases").header("user-agent", "=cmd()");
        call.send().await.expect(200);
    }
    let first = service.as_user("admin", "GET", "/api/v1/audit?user_id=4&format=csv&limit=2").send().await;
    assert_eq!((first.status, first.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    assert_eq!(first.header("content-disposition"), Some("attachment; filename=\"access.csv\""));
    let cursor = first.header("x-next-cursor").unwrap();
    let path = format!("/api/v1/audit?user_id=4&format=csv&limit=2&cursor={cursor}");
    let second = service.as_user("admin", "GET", &path).send().await;
    assert_eq!(second.header("x-next-cursor"), None);
    let whole = [first.bytes, second.bytes].concat();
    let mut csv = csv::Reader::from_reader(&whole[..]);
    assert_eq!(csv.headers().unwrap().iter().take(3).collect::<Vec<_>>(), ["at", "user_id", "role"]);
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!((&rows[0][6], &rows[0][10]), ("2 1", "'=cmd()"));
    let reply = service.as_user("admin", "GET", "/api/v1/audit?format=xml").send().await;
    reply.expect_problem(400, "invalid_parameter");
}

#[tokio::test]
async fn reading_all_labs_writes_an_audit_record_in_each_lab() {
    let service = with_cases(1).await;
    service.create("northgate", json!({"procedure_type": "Crown"})).await;
    service.as_user("both", "GET", "/api/v1/cases?lab_id=all").send().await.expect(200);
    for lab in [123, 456] {
        let mut records = service.access_records(lab).await;
        records.retain(|record| record["action"] == "listCases");
        assert_eq!(
            (records.len(), &records[0]["user_id"], &records[0]["case_ids"]),
            (1, &json!("6"), &json!([1]))
        );
    }
}

#[tokio::test]
async fn a_system_administrator_reads_a_lab_only_with_a_recorded_reason() {
    // No other test uses these users, so their log lines are of this test.
    for (broken, id) in [(false, 880_001), (true, 880_002)] {
        let service = with_cases(1).await;
        service.ums.update(|directory| {
            directory.users.push(User { is_admin: true, ..User::new(id, "root", "password") });
        });
        let as_admin =
            |method: &str, path: &str| service.request(method, path).token(&service.ums.access_token(id));
        if broken {
            service.ums.update(|directory| {
                directory.memberships_route = local::ums::MembershipsRoute::PublishedDefect
            });
        }
        let sysadmin =
            |method: &str, path: &str| as_admin(method, path).lab(123).header("x-break-glass", REASON);
        let without = as_admin("GET", "/api/v1/cases/1").lab(123).send().await;
        without.expect_problem(403, "break_glass_required");
        assert_eq!(records_after_setup(&service, 123).await.len(), 0);
        let case = sysadmin("GET", "/api/v1/cases/1").send().await.expect(200);
        assert_eq!(case["patient_name"], "Jane Roe");
        sysadmin("GET", "/api/v1/cases/stats").send().await.expect(200);
        // Break-glass allows reading only.
        for (method, path) in [
            ("PUT", "/api/v1/cases/1"),
            ("DELETE", "/api/v1/cases/1"),
            ("GET", "/api/v1/audit"),
            ("GET", "/api/v1/audit?format=csv"),
            ("GET", "/api/v1/cases/export"),
        ] {
            let call = sysadmin(method, path);
            let call = if method == "PUT" { call.json(json!({"notes": "x"})) } else { call };
            call.send().await.expect_problem(403, "forbidden");
        }
        sysadmin("GET", "/api/v1/cases?deleted=true").send().await.expect_problem(403, "forbidden");
        let of_them = format!("\"user.id\":\"{id}\"");
        let logged = leaks::lines_with("\"event\":\"break_glass\"");
        let logged = logged.iter().filter(|line| line.contains(&of_them) && line.contains("\"lab.id\":123"));
        assert_eq!(logged.count(), 8);
        let found: Vec<(Value, Value)> = records_after_setup(&service, 123)
            .await
            .into_iter()
            .map(|mut record| {
                assert_eq!(
                    (&record["break_glass"], &record["role"]),
                    (&json!("support: Ticket 4711, case 1"), &json!("system_administrator"))
                );
                (record["action"].take(), record["outcome"].take())
            })
            .collect();
        let mut found: Vec<String> =
            found.iter().map(|(action, outcome)| format!("{action} {outcome}")).collect();
        found.sort();
        assert_eq!(
            found,
            [
                r#""caseStats" "attempted""#,
                r#""deleteCase" "attempted""#,
                r#""deleteCase" "refused""#,
                r#""exportCases" "attempted""#,
                r#""exportCases" "refused""#,
                r#""getCase" "attempted""#,
                r#""getCase" "granted""#,
                r#""listAccess" "attempted""#,
                r#""listAccess" "attempted""#,
                r#""listAccess" "refused""#,
                r#""listAccess" "refused""#,
                r#""listCases" "attempted""#,
                r#""listCases" "refused""#,
                r#""updateCase" "attempted""#,
                r#""updateCase" "refused""#,
            ]
        );
        assert_eq!(records(&service, "break_glass=true").await.len(), 15);
        // No lab is meant, an inactive one, or one that does not exist.
        let call = as_admin("GET", "/api/v1/cases").header("x-break-glass", REASON);
        call.send().await.expect_problem(400, "lab_required");
        let call = as_admin("GET", "/api/v1/cases").lab(999).header("x-break-glass", REASON);
        call.send().await.expect_problem(403, "lab_forbidden");
        for reason in ["", "Ticket 4711", "support; Ticket", "ticket; Ticket 4711, case 1"] {
            let call = as_admin("GET", "/api/v1/cases").lab(123).header("x-break-glass", reason);
            let reply = call.send().await;
            reply.expect_problem(400, "invalid_parameter");
            assert!(reply.pointers().iter().all(|pointer| pointer == "/header/X-Break-Glass"));
        }
        // For members it means nothing, is not put on record, and opens no other lab to them.
        let call = service.as_user("viewer", "GET", "/api/v1/cases/1").header("x-break-glass", REASON);
        call.send().await.expect(200);
        let call =
            service.as_user("viewer", "GET", "/api/v1/cases/1").lab(456).header("x-break-glass", REASON);
        call.send().await.expect_problem(403, "lab_forbidden");
        assert_eq!(records(&service, "break_glass=true").await.len(), 15);
    }
}

#[tokio::test]
async fn an_error_that_shows_something_of_a_case_is_recorded() {
    let service = with_cases(2).await;
    let put = |body: Value| service.as_user("member", "PUT", "/api/v1/cases/1").json(body);
    put(json!({"status": "shipped"})).send().await.expect_problem(409, "illegal_transition");
    put(json!({"version": 9})).send().await.expect_problem(422, "validation_failed");
    let call = put(json!({"notes": "x"})).header("if-match", "\"9\"");
    call.send().await.expect_problem(412, "precondition_failed");
    let path = "/api/v1/cases/2/status";
    send(&service, "technician", "PATCH", path, Some(json!({"status": "delivered"})))
        .await
        .expect_problem(409, "illegal_transition");
    // Such a body is rejected before the case is read, so it shows nothing.
    send(&service, "technician", "PATCH", path, Some(json!({"status": 7})))
        .await
        .expect_problem(422, "validation_failed");
    let bulk = json!({"ids": [1, 2, 9], "status": "delivered"});
    send(&service, "technician", "POST", "/api/v1/cases/bulk-status", Some(bulk)).await.expect(200);
    let line = |record: Value| {
        format!("{} {} {} {}", record["action"], record["outcome"], record["code"], record["case_ids"])
    };
    let mut found: Vec<String> = records_after_setup(&service, 123).await.into_iter().map(line).collect();
    found[4..].sort();
    assert_eq!(
        found,
        [
            r#""updateCase" "refused" "illegal_transition" [1]"#,
            r#""updateCase" "refused" "validation_failed" [1]"#,
            r#""updateCase" "refused" "precondition_failed" [1]"#,
            r#""updateCaseStatus" "refused" "illegal_transition" [2]"#,
            r#""bulkUpdateStatus" "attempted" null [1,2,9]"#,
            r#""bulkUpdateStatus" "granted" null []"#,
            r#""bulkUpdateStatus" "refused" "case_not_found" [9]"#,
            r#""bulkUpdateStatus" "refused" "illegal_transition" [1,2]"#,
        ]
    );
}

#[tokio::test]
async fn reading_audit_records_is_recorded() {
    let service = with_cases(1).await;
    for path in
        ["/api/v1/audit", "/api/v1/audit?format=csv", "/api/v1/cases/1/access", "/api/v1/audit?case_id=1"]
    {
        send(&service, "admin", "GET", path, None).await.expect_success();
    }
    let mut found = service.access_records(123).await;
    found.retain(|record| record["action"] != "createCase");
    let found: Vec<String> =
        found.iter().map(|record| format!("{} {}", record["action"], record["case_ids"])).collect();
    assert_eq!(
        found,
        [r#""listAccess" []"#, r#""listAccess" []"#, r#""getCaseAccess" [1]"#, r#""listAccess" [1]"#]
    );
}

#[tokio::test]
async fn a_stored_response_does_not_show_a_deleted_case_to_a_caller_who_could_not_read_it() {
    let service = with_cases(1).await;
    let create = |user: &str| {
        let call = service.as_user(user, "POST", "/api/v1/cases").header("idempotency-key", "k");
        call.json(json!({"procedure_type": "Inlay"}))
    };
    let status = || {
        let call =
            service.as_user("technician", "POST", "/api/v1/cases/bulk-status").header("idempotency-key", "b");
        call.json(json!({"ids": [2], "status": "in_progress"}))
    };
    for user in ["member", "admin"] {
        create(user).send().await.expect(201);
    }
    status().send().await.expect(200);
    for path in ["/api/v1/cases/2", "/api/v1/cases/3"] {
        send(&service, "admin", "DELETE", path, None).await.expect(204);
    }
    create("member").send().await.expect_problem(404, "case_not_found");
    let of_bulk = status().send().await.expect(200);
    assert_eq!(
        (&of_bulk["results"][0]["status"], &of_bulk["results"][0]["case"]),
        (&json!(404), &Value::Null)
    );
    let replayed = create("admin").send().await;
    assert_eq!((replayed.status, replayed.header("idempotency-replayed")), (201, Some("true")));
}

#[tokio::test]
async fn records_of_earlier_releases_follow_those_of_the_audit_table() {
    let service = with_cases(1).await;
    let earlier = |at: &str| {
        json!({
            "lab_id": {"S": "123"}, "sk": {"S": format!("ACCESS#{at}#x")}, "at": {"S": at}, "user_id": {"S": "4"},
            "outcome": {"S": "granted"}, "case_ids": {"L": [{"N": "1"}]}, "request_id": {"S": "r"}, "action": {"S": "getCase"},
        })
    };
    let times = ["2026-01-03T00:00:00.000Z", "2026-01-02T00:00:00.000Z", "2026-01-01T00:00:00.000Z"];
    service.put_typed_items(&times.map(earlier)).await;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/cases/1/access?limit=1{cursor}");
        let page = send(&service, "admin", "GET", &path, None).await.expect(200);
        found.extend(without_audit_reads(page["records"].as_array().unwrap().clone()));
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found[0]["action"], "createCase");
    let of_earlier: Vec<&Value> = found[1..].iter().map(|record| &record["at"]).collect();
    assert_eq!(of_earlier, times);
    assert_eq!(records(&service, "from=2026-01-02&to=2026-01-03").await.len(), 2);
}

#[tokio::test]
async fn every_audit_record_has_a_seal_and_is_never_replaced() {
    let service = with_cases(2).await;
    service.dynamodb.record_calls();
    send(&service, "viewer", "GET", "/api/v1/cases/9", None).await.expect_problem(404, "case_not_found");
    let bulk = json!({"ids": [1, 2], "status": "in_progress"});
    send(&service, "technician", "POST", "/api/v1/cases/bulk-status", Some(bulk)).await.expect(200);
    let calls = service.dynamodb.take_recorded_calls();
    for record in service.access_records(123).await {
        assert_eq!((&record["key_id"], record["mac"].as_str().unwrap().len()), (&json!("test"), 43));
    }
    let puts: Vec<Value> =
        calls.into_iter().filter(|call| call.name == "PutItem").map(|call| call.body).collect();
    assert_eq!(puts.len(), 4);
    for put in puts {
        assert_eq!(
            (&put["TableName"], &put["ConditionExpression"]),
            (&json!("lhcms-test-audit"), &json!("attribute_not_exists(sk)"))
        );
    }
}
