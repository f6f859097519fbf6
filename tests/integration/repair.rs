//! `make check-data` and `make repair`: each kind of fault is named, mended, and gone after that; data without a fault stays as
//! it is, also while requests change it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use lab_data::repair;
use serde_json::{Value, json};
use shared::{
    base::{LabId, wire_enum::WireEnum},
    case::repair::{Mode, Repair, RepairReport},
};

use crate::harness::{Service, service::event_key, today};

const LAB: i64 = 123;

/// A lab with live, deleted, restored and remade cases, and its words.
async fn lab() -> Service {
    let service = Service::start_with_streams().await;
    for number in 1..=8 {
        let body = json!({
            "procedure_type": "Crown", "patient_name": format!("Jane Number{number}"), "assigned_to": "tech_1",
            "patient_info": {"patient_id": "P-7"},
        });
        service.create("admin", body).await;
    }
    let send = async |method: &str, path: &str, body: Value, status: u16| {
        service.as_user("admin", method, path).json(body).send().await.expect(status)
    };
    send("PATCH", "/api/v1/cases/2/status", json!({"status": "in_progress"}), 200).await;
    send("PUT", "/api/v1/cases/3", json!({"patient_name": "Joan Roe"}), 200).await;
    send("POST", "/api/v1/cases/4/remakes", json!({"reason_code": "fit", "reason": "Margin open"}), 201)
        .await;
    for id in [5, 6] {
        service.as_user("admin", "DELETE", &format!("/api/v1/cases/{id}")).send().await.expect(204);
    }
    service.as_user("admin", "POST", "/api/v1/cases/6/restore").send().await.expect(200);
    service.process_streams().await;
    service
}

async fn run(service: &Service, mode: Mode) -> RepairReport {
    let mut repair = Repair::new(&service.verification_config(), mode).unwrap();
    repair.unindexed_age = Duration::ZERO;
    repair.run(LabId::new(123).unwrap(), |_, _| {}).await.unwrap()
}

fn found(report: &RepairReport) -> Vec<(&'static str, &str)> {
    report.faults.iter().map(|fault| (fault.kind.as_str(), fault.place.as_str())).collect()
}

/// The items of the lab without the time of the last repair.
async fn items(service: &Service) -> BTreeMap<String, Value> {
    let mut items = service.items(LAB).await;
    for item in items.values_mut() {
        item.as_object_mut().unwrap().remove("repaired_at");
    }
    items
}

/// Sums of the statistics: by status, and of each month.
async fn sums(service: &Service) -> BTreeMap<String, i64> {
    let mut sums = service.statistics(LAB).await;
    for (sk, item) in service.items(LAB).await.range("DAYS#".to_owned().."DAYS$".to_owned()) {
        for (name, count) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "expires_at") {
            if let Some(count) = count.as_i64() {
                *sums.entry(format!("{} {name}", &sk[..12])).or_default() += count;
            }
        }
    }
    sums.retain(|_, count| *count != 0);
    sums
}

/// The place in the log of a version of a case.
async fn place(service: &Service, case: u64, version: u32) -> String {
    let event = service.items(LAB).await.remove(&event_key(case, version)).unwrap();
    event["log_entry"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_sound_lab_has_no_faults_and_stays_as_it_is() {
    let service = lab().await;
    let before = service.items(LAB).await;
    let report = run(&service, Mode::Write).await;
    assert_eq!(found(&report), []);
    assert_eq!((report.live, report.deleted, report.events, report.log_entries), (8, 1, 15, 15));
    assert_eq!(service.items(LAB).await, before);
    let text = repair::text(&report, Mode::Write);
    assert!(text.contains("         8 live cases\n") && text.contains("         0 faults\n"), "{text}");
}

/// Plants a fault, and checks that the dry run names it and writes nothing, that the repair names and mends it, and that a
/// second run finds nothing. Returns the items after that.
async fn mends(service: &Service, expected: &[(&str, &str)]) -> BTreeMap<String, Value> {
    let planted = service.items(LAB).await;
    let dry = run(service, Mode::DryRun).await;
    assert_eq!(found(&dry), expected);
    assert_eq!(service.items(LAB).await, planted, "a dry run writes nothing");
    let report = run(service, Mode::Write).await;
    assert_eq!(report, dry);
    assert_eq!(report.unmended(), 0, "{report:?}");
    let again = run(service, Mode::Write).await;
    assert_eq!(found(&again), [], "{again:?}");
    items(service).await
}

#[tokio::test]
async fn the_keys_and_the_texts_of_cases_are_mended() {
    let service = lab().await;
    let sound = items(&service).await;
    service
        .change_item(LAB, "CASE#0000000001", json!({"assignee_key": "123#tech_9", "due": "123#closed"}))
        .await;
    service.change_item(LAB, "CASE#0000000002", json!({"search": "someone else"})).await;
    let mut item = service.typed_item(LAB, "CASE#0000000003").await;
    item.as_object_mut().unwrap().remove("live_id");
    service.put_typed_items(&[item]).await;
    let expected = [
        ("index_keys", "CASE#0000000001"),
        ("search_text", "CASE#0000000002"),
        ("index_keys", "CASE#0000000003"),
    ];
    assert_eq!(mends(&service, &expected).await, sound);
}

#[tokio::test]
async fn the_index_of_words_is_mended_and_the_report_has_no_words() {
    let service = lab().await;
    let sound = items(&service).await;
    let token =
        |word: &str, id: u64| json!({"lab_id": {"S": "123"}, "sk": {"S": format!("TOKEN#{word}#{id:010}")}});
    service.put_typed_items(&[token("forged", 2), token("forged", 99)]).await;
    service.delete_item(LAB, "TOKEN#jane#0000000001").await;
    let expected = [
        ("words_missing", "CASE#0000000001"),
        ("words_stale", "CASE#0000000002"),
        ("words_stale", "CASE#0000000099"),
    ];
    let report = repair::text(&run(&service, Mode::DryRun).await, Mode::DryRun);
    assert!(!report.contains("jane") && !report.contains("forged"), "{report}");
    assert_eq!(mends(&service, &expected).await, sound);
}

#[tokio::test]
async fn the_counter_and_the_list_of_labs_are_mended() {
    let service = lab().await;
    let sound = items(&service).await;
    service.change_number(LAB, "COUNTER", "last_id", 4).await;
    let mut item = service.typed_item(LAB, "COUNTER").await;
    item.as_object_mut().unwrap().remove("registry");
    service.put_typed_items(&[item]).await;
    let expected = [("counter_behind", "COUNTER"), ("lab_unlisted", "COUNTER")];
    assert_eq!(mends(&service, &expected).await, sound);
    service.delete_item(LAB, "COUNTER").await;
    assert_eq!(mends(&service, &expected).await, sound);
    let created = service.create("admin", json!({"procedure_type": "Crown"})).await;
    assert_eq!(created["id"], 10);
}

#[tokio::test]
async fn the_statistics_are_mended() {
    let service = lab().await;
    let sound = sums(&service).await;
    let shards: Vec<String> =
        service.items(LAB).await.into_keys().filter(|sk| sk.starts_with("STATS#")).collect();
    service.change_number(LAB, &shards[0], "pending", 40).await;
    service.change_number(LAB, &shards[1], "delivered", 7).await;
    let month = format!("DAYS#{}#03", &today()[..7]);
    service.change_number(LAB, &month, &format!("c{}", &today()[8..]), 100).await;
    let expected = [("status_count", "STATS#"), ("status_count", "STATS#"), ("day_count", "DAYS#")];
    mends(&service, &expected).await;
    assert_eq!(sums(&service).await, sound);
}

#[tokio::test]
async fn the_change_log_is_mended() {
    let service = lab().await;
    let sound = items(&service).await;
    let (lost, wrong) = (place(&service, 1, 1).await, place(&service, 2, 2).await);
    service.delete_item(LAB, &format!("CHANGE#{lost}")).await;
    service.change_number(LAB, &format!("CHANGE#{wrong}"), "case_id", 7).await;
    let (lost, wrong) = (format!("CHANGE#{lost}"), format!("CHANGE#{wrong}"));
    let mut expected = [("log_entry_missing", lost.as_str()), ("log_entry_wrong", wrong.as_str())];
    expected.sort_by_key(|(_, place)| *place);
    assert_eq!(mends(&service, &expected).await, sound);
}

#[tokio::test]
async fn a_shard_that_was_lost_is_mended_with_its_counts() {
    let service = lab().await;
    let (sound, counts) = (items(&service).await, sums(&service).await);
    let last = place(&service, 3, 2).await;
    let shard = format!("STATS#{}", &last[..2]);
    service.delete_item(LAB, &shard).await;
    let report = run(&service, Mode::Write).await;
    let kinds = found(&report);
    assert!(kinds.contains(&("shard_behind", &shard)), "{kinds:?}");
    assert_eq!(report.unmended(), 0);
    assert_eq!(found(&run(&service, Mode::Write).await), []);
    assert_eq!(sums(&service).await, counts);
    assert_eq!(items(&service).await[&shard]["last_change"], sound[&shard]["last_change"]);
    // Every shard can be written again, and the feed has all cases.
    for _ in 0..40 {
        service.create("admin", json!({"procedure_type": "Crown"})).await;
    }
    assert_eq!(feed(&service).await.len(), 49);
}

/// All cases that the feed returns.
async fn feed(service: &Service) -> BTreeMap<u64, u64> {
    let (mut cases, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let path = format!("/api/v1/cases/changes?limit=100{cursor}");
        let page = service.as_user("admin", "GET", &path).send().await.expect(200);
        for change in page["changes"].as_array().unwrap() {
            cases.insert(change["id"].as_u64().unwrap(), change["version"].as_u64().unwrap());
        }
        if page["has_more"] == false {
            return cases;
        }
        assert!(!page["changes"].as_array().unwrap().is_empty(), "the feed has stopped");
        cursor = format!("&since={}", page["next_cursor"].as_str().unwrap());
    }
}

#[tokio::test]
async fn the_feed_goes_on_after_a_case_came_back_from_a_backup() {
    let service = lab().await;
    let backup = service.typed_item(LAB, "CASE#0000000001").await;
    for notes in ["second", "third"] {
        service
            .as_user("admin", "PUT", "/api/v1/cases/1")
            .json(json!({"notes": notes}))
            .send()
            .await
            .expect(200);
    }
    let lost = [place(&service, 1, 2).await, place(&service, 1, 3).await];
    service.put_typed_items(&[backup]).await;
    for version in [2, 3] {
        service.delete_event(LAB, 1, version).await;
    }
    let mut places = lost.map(|place| format!("CHANGE#{place}"));
    places.sort();
    let expected: Vec<_> = places.iter().map(|place| ("log_entry_wrong", place.as_str())).collect();
    mends(&service, &expected).await;
    let cases = feed(&service).await;
    assert_eq!((cases.len(), cases[&1]), (9, 1));
}

#[tokio::test]
async fn a_broken_history_is_reported_and_not_mended() {
    let service = lab().await;
    service.change_event(LAB, 2, 1, json!({"user_id": "someone"})).await;
    service.change_item(LAB, "CASE#0000000003", json!({"notes": "changed"})).await;
    let before = service.items(LAB).await;
    let report = run(&service, Mode::Write).await;
    assert_eq!(
        found(&report),
        [("history", "EVENT#0000000002#000001"), ("history", "EVENT#0000000003#000002")]
    );
    assert_eq!(report.unmended(), 2);
    assert_eq!(service.items(LAB).await, before);
}

#[tokio::test]
async fn while_requests_change_the_lab_a_repair_mends_only_what_is_wrong() {
    let service = lab().await;
    service.change_number(LAB, "STATS#15", "returned", 5).await;
    let over = AtomicBool::new(false);
    let writers = join_all((0..4).map(|writer| {
        let (service, over) = (&service, &over);
        async move {
            let mut created = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let body = json!({"procedure_type": "Crown", "patient_name": format!("Writer {writer}")});
                let id = service.create("admin", body).await["id"].as_u64().unwrap();
                let path = format!("/api/v1/cases/{id}");
                let status = json!({"status": "in_progress"});
                service
                    .as_user("admin", "PATCH", &format!("{path}/status"))
                    .json(status)
                    .send()
                    .await
                    .expect(200);
                service.as_user("admin", "DELETE", &path).send().await.expect(204);
                if id % 2 == 0 {
                    service.as_user("admin", "POST", &format!("{path}/restore")).send().await.expect(200);
                }
                created.push(id);
            }
            created
        }
    }));
    let repairs = async {
        let mut mended = 0;
        for _ in 0..6 {
            let report = run(&service, Mode::Write).await;
            let others = found(&report);
            let others: Vec<_> = others.iter().filter(|(kind, _)| !kind.starts_with("words")).collect();
            mended += others.len();
            assert!(others.is_empty() || *others == [&("status_count", "STATS#")], "{report:?}");
        }
        over.store(true, Ordering::SeqCst);
        mended
    };
    let (created, mended) = tokio::join!(writers, repairs);
    assert_eq!(mended, 1, "the planted fault, once");
    let created: Vec<u64> = created.into_iter().flatten().collect();
    assert!(created.len() > 5, "{}", created.len());
    while service.process_streams().await > 0 {}
    assert_eq!(found(&run(&service, Mode::DryRun).await), []);
}
