//! The feed of changes: every case once, in order, in its newest state; no change is ever skipped.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::harness::{Service, proxy::Fault};

/// One page of the feed: the changes, the cursor, and whether there are more changes.
async fn page(service: &Service, query: &str) -> (Vec<Value>, String, bool) {
    let reply = service.as_user("viewer", "GET", &format!("/api/v1/cases/changes?{query}")).send().await;
    let page = reply.expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let changes = page["changes"].as_array().unwrap().clone();
    (changes, page["next_cursor"].as_str().unwrap().to_owned(), page["has_more"].as_bool().unwrap())
}

/// All changes after a cursor.
async fn rest(service: &Service, mut cursor: Option<String>) -> (Vec<Value>, String) {
    let mut all = Vec::new();
    loop {
        let since = cursor.map_or(String::new(), |cursor| format!("&since={cursor}"));
        let (changes, next, more) = page(service, &format!("limit=3{since}")).await;
        all.extend(changes);
        if !more {
            return (all, next);
        }
        cursor = Some(next);
    }
}

fn summary(changes: &[Value]) -> Vec<(u64, u64, bool)> {
    changes
        .iter()
        .map(|change| {
            let number = |name: &str| change[name].as_u64().unwrap();
            (number("id"), number("version"), change["deleted"] == true)
        })
        .collect()
}

#[tokio::test]
async fn the_feed_returns_each_case_in_its_newest_state_and_then_the_changes() {
    let service = Service::start().await;
    for _ in 0..10 {
        service.create("admin", json!({"procedure_type": "Crown"})).await;
    }
    let put = service.as_user("admin", "PUT", "/api/v1/cases/4").json(json!({"notes": "new"}));
    put.send().await.expect(200);
    service.as_user("admin", "DELETE", "/api/v1/cases/7").send().await.expect(204);
    let (changes, cursor) = rest(&service, None).await;
    let newest: BTreeMap<u64, (u64, bool)> =
        summary(&changes).into_iter().map(|(id, version, deleted)| (id, (version, deleted))).collect();
    assert_eq!((changes.len(), newest.len()), (10, 10), "each case once: {changes:#?}");
    assert_eq!((newest[&4], newest[&7], newest[&1]), ((2, false), (2, true), (1, false)));
    for change in &changes {
        let path = format!("/api/v1/cases/{}", change["id"]);
        let reply = service.as_user("viewer", "GET", &path).send().await;
        if change["deleted"] == true {
            reply.expect_problem(404, "case_not_found");
            assert_eq!(change["case"], Value::Null);
        } else {
            assert_eq!(change["case"], reply.expect(200));
            assert_eq!(change["at"], change["case"]["updated_at"]);
        }
    }
    let (changes, cursor) = rest(&service, Some(cursor)).await;
    assert_eq!(summary(&changes), []);
    service.as_user("admin", "POST", "/api/v1/cases/7/restore").send().await.expect(200);
    let patch = json!({"status": "in_progress"});
    service.as_user("admin", "PATCH", "/api/v1/cases/1/status").json(patch).send().await.expect(200);
    let (changes, _) = rest(&service, Some(cursor)).await;
    let mut seen = summary(&changes);
    seen.sort_unstable();
    assert_eq!(seen, [(1, 2, false), (7, 3, false)]);
}

#[tokio::test]
async fn a_feed_from_now_returns_later_changes_and_costs_one_query_when_unchanged() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let (changes, cursor, more) = page(&service, "since=now").await;
    assert_eq!((changes.len(), more), (0, false));
    service.dynamodb.take_calls();
    let (changes, cursor, _) = page(&service, &format!("since={cursor}")).await;
    assert_eq!((changes.len(), service.dynamodb.take_calls()), (0, vec!["Query".to_owned()]));
    service.create("admin", json!({"procedure_type": "Bridge"})).await;
    service.create("northgate", json!({"procedure_type": "Inlay"})).await;
    let (changes, _, _) = page(&service, &format!("since={cursor}")).await;
    assert_eq!(summary(&changes), [(2, 1, false)], "and nothing of another lab");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_commits_late_is_not_skipped() {
    let service = Service::start().await;
    let (_, cursor, _) = page(&service, "since=now").await;
    // The first transaction is slow, so others overtake it.
    static HELD: AtomicBool = AtomicBool::new(false);
    service.dynamodb.rule(|name, _| {
        if name == "TransactWriteItems" && !HELD.swap(true, Ordering::Relaxed) {
            Fault::Slow(Duration::from_millis(700))
        } else {
            Fault::Pass
        }
    });
    let late = service.create("admin", json!({"procedure_type": "Crown", "case_name": "late"}));
    let follow = async {
        let (mut seen, mut cursor) = (Vec::new(), cursor);
        while !HELD.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        for number in 0..40 {
            service
                .create("admin", json!({"procedure_type": "Crown", "case_name": number.to_string()}))
                .await;
            let (changes, next) = rest(&service, Some(cursor)).await;
            seen.extend(summary(&changes));
            cursor = next;
        }
        (seen, cursor)
    };
    let (late, (mut seen, cursor)) = tokio::join!(late, follow);
    let (changes, _) = rest(&service, Some(cursor)).await;
    seen.extend(summary(&changes));
    seen.sort_unstable();
    let expected: Vec<_> = (1..=41).map(|id| (id, 1, false)).collect();
    assert_eq!(seen, expected);
    assert!(late["version"] == 1);
}

#[tokio::test]
async fn the_feed_waits_for_a_change_that_is_not_visible_yet() {
    let service = Service::start().await;
    for _ in 0..3 {
        service.create("admin", json!({"procedure_type": "Crown"})).await;
    }
    // The state in the middle of a transaction: its log entry is visible, its change of the case is not.
    let items = service.items(123).await;
    let (sk, change) =
        items.iter().find(|(sk, item)| sk.starts_with("CHANGE#") && item["case_id"] == 2).unwrap();
    service.change_number(123, sk, "version", 2).await;
    let (changes, cursor, more) = page(&service, "").await;
    assert!(more && !summary(&changes).iter().any(|(id, ..)| *id == 2), "{change}: {changes:#?}");
    let path = format!("/api/v1/cases/changes?since={cursor}");
    let again = service.as_user("viewer", "GET", &path).send().await;
    assert_eq!(again.header("retry-after"), Some("1"), "the next change is not visible yet");
    let again = again.expect(200);
    assert_eq!(again["has_more"], true);
    assert!(!summary(again["changes"].as_array().unwrap()).iter().any(|(id, ..)| *id == 2));
    service.change_number(123, "CASE#0000000002", "version", 2).await;
    let (after, _) = rest(&service, Some(cursor)).await;
    let mut seen = summary(&[changes, after].concat());
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1, false), (2, 2, false), (3, 1, false)]);
}

#[tokio::test]
async fn the_feed_rejects_the_paging_parameters_of_lists() {
    let service = Service::start().await;
    for name in ["cursor", "per_page", "page"] {
        let path = format!("/api/v1/cases/changes?{name}=1");
        let reply = service.as_user("viewer", "GET", &path).send().await;
        reply.expect_problem(400, "invalid_parameter");
        assert_eq!(reply.pointers(), [format!("/query/{name}")]);
    }
}

#[tokio::test]
async fn a_cursor_of_another_lab_or_of_a_list_is_rejected() {
    let service = Service::start().await;
    service.create("northgate", json!({"procedure_type": "Crown"})).await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let reply = service.as_user("northgate", "GET", "/api/v1/cases/changes").send().await.expect(200);
    let list = service.as_user("admin", "GET", "/api/v1/cases?limit=1").send().await.expect(200);
    for cursor in [&reply["next_cursor"], &list["pagination"]["next_cursor"], &json!("x"), &json!("")] {
        let path = format!("/api/v1/cases/changes?since={}", cursor.as_str().unwrap());
        service.as_user("viewer", "GET", &path).send().await.expect_problem(400, "invalid_cursor");
    }
}
