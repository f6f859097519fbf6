//! Lists: newest case first, page by page, with cursors that work in one lab only.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::Service;

async fn with_cases(count: usize) -> Service {
    let service = Service::start().await;
    for number in 1..=count {
        service
            .create("admin", json!({"procedure_type": "Crown", "case_name": format!("Case {number}")}))
            .await;
    }
    service
}

fn ids(page: &Value) -> Vec<u64> {
    page["cases"].as_array().unwrap().iter().map(|case| case["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_list_starts_with_the_newest_case() {
    let service = with_cases(3).await;
    let reply = service.as_user("viewer", "GET", "/api/v1/cases").send().await;
    let page = reply.expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(ids(&page), [3, 2, 1]);
    assert_eq!(
        page["pagination"],
        json!({"page": 1, "per_page": 20, "total": 3, "pages": 1, "has_prev": false, "has_next": false, "next_cursor": null})
    );
    assert_eq!(
        page["cases"][0],
        service.as_user("viewer", "GET", "/api/v1/cases/3").send().await.expect(200)
    );
}

#[tokio::test]
async fn an_empty_lab_has_an_empty_list() {
    let service = Service::start().await;
    let page = service.as_user("viewer", "GET", "/api/v1/cases").send().await.expect(200);
    assert_eq!(page["cases"], json!([]));
    assert_eq!(page["pagination"]["has_next"], false);
}

#[tokio::test]
async fn paging_returns_each_case_once_while_cases_are_created() {
    let service = with_cases(7).await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/cases?limit=3".to_owned();
    loop {
        let page = service.as_user("viewer", "GET", &path).send().await.expect(200);
        assert_eq!(page["pagination"]["has_prev"], !seen.is_empty());
        seen.extend(ids(&page));
        service.create("admin", json!({"procedure_type": "Crown"})).await;
        match page["pagination"]["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/cases?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn paging_returns_each_case_once_while_cases_are_created_and_updated() {
    let service = with_cases(30).await;
    let original: BTreeSet<u64> = (1..=30).collect();
    let walk = async |query: &str| {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/cases?limit=4&{query}{cursor}");
            let page = service.as_user("viewer", "GET", &path).send().await.expect(200);
            seen.extend(ids(&page));
            match page["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        (query.to_owned(), seen)
    };
    let write = async {
        for (round, status) in ["in_progress", "completed", "shipped"].into_iter().enumerate() {
            for id in 1..=30 {
                let patch = service.as_user("admin", "PATCH", &format!("/api/v1/cases/{id}/status"));
                patch.json(json!({"status": status})).send().await.expect(200);
                if id % 5 == round as u64 {
                    service.create("admin", json!({"procedure_type": "Inlay"})).await;
                }
            }
        }
    };
    let queries = [
        "",
        "sort=due_date",
        "sort=due_date&order=desc",
        "order=asc",
        "priority=medium",
        "priority=medium&order=asc",
    ];
    let (walks, ()) = tokio::join!(join_all(queries.iter().map(|query| walk(query))), write);
    for (query, seen) in walks {
        let once: BTreeSet<u64> = seen.iter().copied().collect();
        assert_eq!(once.len(), seen.len(), "{query}: none twice in {seen:?}");
        // Lists by due date query each status in turn, so a case that changes status in between can be missed.
        let may_miss = query.contains("due_date");
        assert!(may_miss || once.is_superset(&original), "{query}: none is missing in {seen:?}");
    }
}

#[tokio::test]
async fn the_last_page_has_no_next_cursor() {
    let service = with_cases(4).await;
    let page = service.as_user("viewer", "GET", "/api/v1/cases?per_page=4").send().await.expect(200);
    assert_eq!((ids(&page).len(), &page["pagination"]["has_next"]), (4, &json!(false)));
    let page = service.as_user("viewer", "GET", "/api/v1/cases?per_page=3").send().await.expect(200);
    assert_eq!((ids(&page).len(), &page["pagination"]["has_next"]), (3, &json!(true)));
}

#[tokio::test]
async fn a_cursor_of_another_lab_or_with_a_changed_byte_is_rejected() {
    let service = with_cases(2).await;
    service.create("northgate", json!({"procedure_type": "Crown"})).await;
    service.create("northgate", json!({"procedure_type": "Crown"})).await;
    let page = service.as_user("northgate", "GET", "/api/v1/cases?limit=1").send().await.expect(200);
    let foreign = page["pagination"]["next_cursor"].as_str().unwrap().to_owned();
    let page = service.as_user("viewer", "GET", "/api/v1/cases?limit=1").send().await.expect(200);
    let own = page["pagination"]["next_cursor"].as_str().unwrap().to_owned();
    let mut changed = own.clone().into_bytes();
    changed[3] = if changed[3] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for cursor in [foreign.as_str(), changed.as_str(), "1", "%00", "MTIz"] {
        let path = format!("/api/v1/cases?cursor={cursor}");
        service.as_user("viewer", "GET", &path).send().await.expect_problem(400, "invalid_cursor");
    }
    let page =
        service.as_user("viewer", "GET", &format!("/api/v1/cases?cursor={own}")).send().await.expect(200);
    assert_eq!(ids(&page), [1]);
}

#[tokio::test]
async fn all_invalid_parameters_are_reported() {
    let service = Service::start().await;
    for (query, pointers) in [
        ("limit=0", &["/query/limit"][..]),
        ("limit=101", &["/query/limit"]),
        ("limit=ten&per_page=-1", &["/query/limit", "/query/per_page"]),
        ("limit=5&per_page=6", &["/query/per_page"]),
        ("limit=5&limit=6", &["/query/limit"]),
        ("page_size=5&colour=blue", &["/query/colour", "/query/page_size"]),
        ("limit=", &["/query/limit"]),
        ("limit=%2B5", &["/query/limit"]),
    ] {
        let reply = service.as_user("viewer", "GET", &format!("/api/v1/cases?{query}")).send().await;
        reply.expect_problem(400, "invalid_parameter");
        assert_eq!(reply.pointers(), pointers, "{query}");
    }
    service.as_user("viewer", "GET", "/api/v1/cases?limit=5&per_page=5").send().await.expect(200);
}
