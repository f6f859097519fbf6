//! Simultaneous writers: no change is lost, and none is counted twice.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::Service;

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_simultaneous_creates_get_ids_events_and_exact_statistics() {
    let service = Service::start_patient().await;
    let statuses = ["pending", "in_progress"];
    let creations = (0..64).map(|number| {
        service.create("admin", json!({"procedure_type": "Crown", "status": statuses[number % 2]}))
    });
    let ids: BTreeSet<u64> =
        join_all(creations).await.iter().map(|case| case["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), 64);
    let items = service.items(123).await;
    let count = |prefix: &str| items.keys().filter(|key| key.starts_with(prefix)).count();
    assert_eq!((count("CASE#"), count("EVENT#")), (64, 64));
    assert_eq!(
        service.statistics(123).await,
        [("in_progress".to_owned(), 32), ("pending".to_owned(), 32)].into()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_updates_of_one_case_all_happen_in_sequence() {
    let service = Service::start_patient().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let fields = ["case_name", "description", "notes", "special_instructions"];
    let changes = fields.map(|field| {
        service.as_user("admin", "PUT", "/api/v1/cases/1").json(json!({field: format!("the {field}")})).send()
    });
    for reply in join_all(changes).await {
        reply.expect(200);
    }
    let case = service.as_user("admin", "GET", "/api/v1/cases/1").send().await.expect(200);
    assert_eq!(case["version"], 5);
    for field in fields {
        assert_eq!(case[field], format!("the {field}"));
    }
    let items = service.items(123).await;
    for version in 1..=5 {
        assert_eq!(items[&format!("EVENT#0000000001#{version:06}")]["version"], version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_simultaneous_deletes_delete_a_case_once() {
    let service = Service::start_patient().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let deletions = [(); 2].map(|()| service.as_user("admin", "DELETE", "/api/v1/cases/1").send());
    let mut statuses: Vec<u16> = join_all(deletions).await.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404]);
    assert_eq!(service.statistics(123).await, [].into());
    let events = service.items(123).await.keys().filter(|key| key.starts_with("EVENT#")).count();
    assert_eq!(events, 2);
}
