//! Searches with the filters in the body: the answer is that of the list, and no name is in a URL.

use serde_json::{Value, json};

use crate::harness::{Call, Service};

fn search<'s>(service: &'s Service, user: &str, body: Value) -> Call<'s> {
    service.as_user(user, "POST", "/api/v1/cases/search").json(body)
}

async fn with_cases(count: usize) -> Service {
    let service = Service::start_with(&[("LINKSHUB_BASE_URL", "")]).await;
    for number in 0..count {
        let body = json!({
            "procedure_type": "Crown", "patient_name": format!("Mary Major {number}"), "rush_order": number % 2 == 0,
            "status": if number % 3 == 0 { "in_progress" } else { "pending" },
        });
        service.create("admin", body).await;
    }
    service
}

#[tokio::test]
async fn a_search_answers_like_the_list_and_a_cursor_of_one_works_in_the_other() {
    let service = with_cases(9).await;
    for (query, body) in [
        ("", json!({})),
        ("q=major&limit=2", json!({"q": "major", "limit": 2})),
        (
            "status=pending,in_progress&per_page=2",
            json!({"status": ["pending", "in_progress"], "per_page": 2}),
        ),
        ("status=in_progress&limit=1", json!({"status": "in_progress", "limit": 1})),
        (
            "rush_order=true&sort=due_date&order=desc&limit=2",
            json!({"rush_order": true, "sort": "due_date", "order": "desc", "limit": 2}),
        ),
        (
            "overdue=false&due_from=2026-01-01&procedure_type=crown&sort=updated_at&limit=3",
            json!({"overdue": false, "due_from": "2026-01-01", "procedure_type": "crown", "sort": "updated_at", "limit": 3}),
        ),
        ("page=2&per_page=4", json!({"page": 2, "per_page": 4})),
        ("assigned_to=me", json!({"assigned_to": "me"})),
        ("due_from=2026-02-01&due_to=2026-01-01", json!({"due_from": "2026-02-01", "due_to": "2026-01-01"})),
        ("deleted=true", json!({"deleted": true})),
    ] {
        let listed =
            service.as_user("admin", "GET", &format!("/api/v1/cases?{query}")).send().await.expect(200);
        let reply = search(&service, "admin", body.clone()).send().await;
        assert_eq!(reply.expect(200), listed, "{body}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let Some(cursor) = listed["pagination"]["next_cursor"].as_str() else { continue };
        if body.get("page").is_some() {
            continue;
        }
        let path = format!("/api/v1/cases?{query}&cursor={cursor}");
        let listed = service.as_user("admin", "GET", &path).send().await.expect(200);
        let mut next = body.clone();
        next["cursor"] = json!(cursor);
        assert_eq!(search(&service, "admin", next.clone()).send().await.expect(200), listed, "{body}");
        next["q"] = json!("other words");
        search(&service, "admin", next).send().await.expect_problem(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn all_errors_of_a_search_are_reported_with_pointers_into_the_body() {
    let service = Service::start().await;
    let body = json!({
        "status": ["done"], "doctor_id": "?", "case_type": 7, "rush_order": "true", "due_from": "2026-02-30", "q": " ",
        "sort": null, "order": ["asc"], "deleted": 1, "limit": "5", "page": 0, "cursor": 5, "lab_id": 456, "colour/": "blue",
    });
    let reply = search(&service, "viewer", body).send().await;
    reply.expect_problem(422, "validation_failed");
    let mut pointers = reply.pointers();
    pointers.sort();
    assert_eq!(
        pointers,
        [
            "/case_type",
            "/colour~1",
            "/cursor",
            "/deleted",
            "/doctor_id",
            "/due_from",
            "/lab_id",
            "/limit",
            "/order",
            "/page",
            "/q",
            "/rush_order",
            "/sort",
            "/status",
        ]
    );
    for (body, pointer, code) in [
        (json!({"deleted": true, "sort": "due_date"}), "/sort", "inconsistent"),
        (json!({"limit": 5, "per_page": 6}), "/per_page", "inconsistent"),
        (json!({"page": 2, "cursor": "x"}), "/page", "inconsistent"),
        (json!({"page": 100_000}), "/page", "page_too_far"),
        (json!({"status": []}), "/status", "items"),
        (json!({"status": ["pending", "pending"]}), "/status", "duplicate"),
        (json!({"status": "pending,on_hold"}), "/status", "one_of"),
        (json!({"limit": 101}), "/limit", "range"),
        (json!({"q": "\u{301}"}), "/q", "blank"),
        (json!({"q": 1}), "/q", "wrong_type"),
        (json!({"format": "csv"}), "/format", "unknown_field"),
    ] {
        let reply = search(&service, "admin", body.clone()).send().await;
        let problem = reply.expect_problem(422, "validation_failed");
        let error = &problem["errors"][0];
        assert_eq!((&error["pointer"], &error["code"]), (&json!(pointer), &json!(code)), "{body}");
        let with = error["params"]["with"].as_str().unwrap_or("/");
        assert!(!with.starts_with("/query"), "{problem}");
    }
    for (path, pointer) in [("?q=major", "/query/q"), ("?limit=5&colour=blue", "/query/colour")] {
        let call = service.as_user("viewer", "POST", &format!("/api/v1/cases/search{path}")).json(json!({}));
        let reply = call.send().await;
        reply.expect_problem(400, "invalid_parameter");
        assert!(reply.pointers().contains(&pointer.to_owned()), "{path}");
    }
    let call = || service.as_user("viewer", "POST", "/api/v1/cases/search");
    call().send().await.expect_problem(415, "unsupported_media_type");
    let twice = call().header("content-type", "application/json").bytes(r#"{"q":"a","q":"b"}"#);
    twice.send().await.expect_problem(400, "malformed_json");
}

#[tokio::test]
async fn a_search_with_every_filter_and_as_many_words_as_fit_is_answered() {
    let service = with_cases(1).await;
    let body = json!({
        "status": ["pending", "in_progress", "on_hold", "quality_check", "completed", "shipped", "delivered", "returned", "cancelled"],
        "doctor_id": "d", "product_id": "p", "case_type": "denture", "procedure_type": "Denture", "priority": "low",
        "rush_order": false, "assigned_to": "me", "due_from": "2026-01-01", "due_to": "2026-12-31",
        "created_from": "2026-01-01", "created_to": "2027-12-31", "sort": "updated_at", "q": "é ".repeat(50),
    });
    assert_eq!(search(&service, "viewer", body).send().await.expect(200)["cases"], json!([]));
}

#[tokio::test]
async fn a_search_reads_only_labs_of_the_caller_and_is_recorded_without_its_words() {
    let service = with_cases(2).await;
    service.create("northgate", json!({"procedure_type": "Crown", "patient_name": "Mary Major North"})).await;
    let found = async |user: &str, lab: &str| {
        let path = format!("/api/v1/cases/search{lab}");
        let reply = service.as_user(user, "POST", &path).json(json!({"q": "major"})).send().await;
        let page = reply.expect(200);
        page["cases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|case| (case["lab_id"].as_i64().unwrap(), case["id"].as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(found("viewer", "").await, [(123, 2), (123, 1)]);
    assert_eq!(found("both", "?lab_id=456").await, [(456, 1)]);
    let mut all = found("both", "?lab_id=all").await;
    all.sort_unstable();
    assert_eq!(all, [(123, 1), (123, 2), (456, 1)]);
    let record =
        service.access_records(123).await.into_iter().find(|record| record["action"] == "searchCases");
    let record = record.expect("a record of the search");
    assert_eq!(
        (&record["case_ids"], &record["route"]),
        (&json!([2, 1]), &json!("POST /api/v1/cases/search"))
    );
    assert!(!record.to_string().to_lowercase().contains("major"));
    // Deleted cases need the permission to restore, as in the list.
    search(&service, "viewer", json!({"deleted": true})).send().await.expect_problem(403, "forbidden");
}
