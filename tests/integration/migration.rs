//! `make migrate`: items of an earlier release are found and listed after it, and nothing else changes.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use migrate::{Options, Progress, run};
use serde_json::{Value, json};
use shared::migration::{Counts, Mode};

use crate::harness::{Fault, Service};

/// The attributes of live cases that an earlier release did not write.
const NEW: [&str; 5] = ["doctor_key", "assignee_key", "patient_key", "due", "info"];

/// A lab with items as an earlier release wrote them: without the newer keys, without tokens, and not in the index of labs.
async fn old_table(cases: u64) -> Service {
    let service =
        Service::start_tuned(&[("LINKSHUB_BASE_URL", "")], |config| config.unindexed_age = Duration::ZERO)
            .await;
    let bodies = (1..=cases).map(|number| {
        json!({
            "procedure_type": "Crown", "patient_name": format!("Jane Number{number}"), "doctor_id": "DOC001",
            "patient_info": {"patient_id": "P-7"},
        })
    });
    stream::iter(bodies)
        .map(|body| service.create("admin", body))
        .buffer_unordered(8)
        .for_each(async |_| {})
        .await;
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    let mut old = Vec::new();
    for sk in (2..=cases).map(|id| format!("CASE#{id:010}")).chain(["COUNTER".to_owned()]) {
        let mut item = service.typed_item(123, &sk).await;
        for name in NEW.into_iter().chain(["registry"]) {
            item.as_object_mut().unwrap().remove(name);
        }
        old.push(item);
    }
    service.put_typed_items(&old).await;
    service
}

fn options(service: &Service) -> Options {
    Options { segments: 2, page: 20, ..Options::new(service.table_config()) }
}

async fn migrate(service: &Service) -> Counts {
    run(&options(service), |_| {}).await.unwrap().counts
}

async fn count(service: &Service, query: &str) -> usize {
    let path = format!("/api/v1/cases?limit=100&{query}");
    let page = service.as_user("admin", "GET", &path).send().await.expect(200);
    page["cases"].as_array().unwrap().len()
}

/// All items but tokens, without what a migration adds.
fn content(items: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut items: BTreeMap<_, _> = items.into_iter().filter(|(sk, _)| !sk.starts_with("TOKEN#")).collect();
    for item in items.values_mut() {
        item.as_object_mut().unwrap().retain(|name, _| !NEW.contains(&name.as_str()) && name != "registry");
    }
    items
}

fn tokens(items: &BTreeMap<String, Value>) -> usize {
    items.keys().filter(|sk| sk.starts_with("TOKEN#")).count()
}

#[tokio::test]
async fn items_of_an_earlier_release_are_found_and_listed_and_a_second_run_changes_nothing() {
    let service = old_table(30).await;
    let before = service.items(123).await;
    for query in ["q=jane", "doctor_id=DOC001", "patient_id=P-7", "unassigned=true", "q=jane&deleted=true"] {
        assert_eq!(count(&service, query).await, 0, "{query}");
    }
    let dry = Options { mode: Mode::DryRun, ..options(&service) };
    let expected = run(&dry, |_| {}).await.unwrap().counts;
    assert_eq!(service.items(123).await, before, "a dry run writes nothing");

    let counts = migrate(&service).await;
    // It reads the tokens that it has written as well.
    assert_eq!(Counts { units: counts.units, items: counts.items, ..expected }, counts);
    let found =
        (counts.cases, counts.keys, counts.words_added, counts.words_removed, counts.labs, counts.unreadable);
    assert_eq!(found, (30, 29, 60, 0, 1, 0));
    for query in [
        "q=jane",
        "doctor_id=DOC001",
        "patient_id=P-7",
        "unassigned=true",
        "q=number7",
        "q=jane&deleted=true",
    ] {
        let expected = if query == "q=number7" || query.contains("deleted") { 1 } else { 29 };
        assert_eq!(count(&service, query).await, expected, "{query}");
    }
    let after = service.items(123).await;
    assert_eq!(content(after.clone()), content(before), "no content has changed");
    assert_eq!(service.verify_all_labs().await.labs, 1);
    let verification =
        service.as_user("admin", "GET", "/api/v1/cases/7/history/verify").send().await.expect(200);
    assert_eq!(verification["valid"], true, "{verification}");

    let again = migrate(&service).await;
    assert!(again.is_unchanged(), "{again:?}");
    assert_eq!(service.items(123).await, after);
}

#[tokio::test]
async fn a_migration_that_is_killed_goes_on_where_it_stopped() {
    let service = old_table(60).await;
    // Killed again and again, always a few pages later.
    let mut kills = 0;
    loop {
        let pages = AtomicUsize::new(0);
        service.dynamodb.rule(move |name, _| {
            let is_late = name == "Scan" && pages.fetch_add(1, Ordering::SeqCst) >= 6;
            if is_late { Fault::Hang } else { Fault::Pass }
        });
        let options = options(&service);
        let killed = tokio::time::timeout(Duration::from_secs(3), run(&options, |_| {})).await;
        if let Ok(done) = killed {
            assert_eq!(done.unwrap().counts.cases, 60);
            break;
        }
        kills += 1;
        assert!(kills < 20);
    }
    assert!(kills > 1, "{kills}");
    service.dynamodb.heal();
    assert_eq!(tokens(&service.items(123).await), 120);
    assert_eq!(count(&service, "q=jane").await, 59);
    assert!(migrate(&service).await.is_unchanged());
}

#[tokio::test]
async fn a_failing_database_ends_the_migration_with_an_error_that_has_no_data() {
    let service = old_table(3).await;
    service.drop_table().await;
    let error = run(&options(&service), |_| {}).await.unwrap_err();
    assert_eq!(error, "GetItem: ResourceNotFoundException");
}

#[tokio::test]
async fn a_changed_index_of_words_is_corrected() {
    let service = old_table(5).await;
    migrate(&service).await;
    let expected = service.items(123).await;
    let token =
        |word: &str, id: u64| json!({"lab_id": {"S": "123"}, "sk": {"S": format!("TOKEN#{word}#{id:010}")}});
    service.put_typed_items(&[token("forged", 2), token("jane", 99), token("a#b", 3)]).await;
    service.delete_item(123, "TOKEN#jane#0000000003").await;
    service.change_item(123, "CASE#0000000004", json!({"doctor_key": "123#other"})).await;
    let counts = migrate(&service).await;
    assert_eq!((counts.words_added, counts.words_removed, counts.keys), (1, 3, 1));
    assert_eq!(service.items(123).await, expected);
}

#[tokio::test]
async fn a_limit_of_units_makes_a_migration_slower() {
    let service = old_table(20).await;
    let limited = Options { units_per_second: Some(60), ..options(&service) };
    let Progress { counts, time, .. } = run(&limited, |_| {}).await.unwrap();
    assert!(counts.units > 60.0);
    let most = counts.units / time.as_secs_f64();
    assert!(most <= 61.0, "{most} units in a second");
}

#[tokio::test]
async fn a_case_that_cannot_be_read_is_counted_and_the_others_are_migrated() {
    let service = old_table(4).await;
    service.change_item(123, "CASE#0000000002", json!({"status": "unheard of"})).await;
    let counts = migrate(&service).await;
    assert_eq!((counts.unreadable, counts.keys), (1, 2));
    assert_eq!(count(&service, "q=number3").await, 1);
}
