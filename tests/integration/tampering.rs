//! Data that somebody changed behind the service's back. The verification of a history finds each kind of tampering.

use futures_util::{StreamExt, future::join_all, stream};
use serde_json::{Value, json};
use shared::case::event::Event;

use crate::harness::{Service, service::event_key, today};

const LAB: i64 = 123;

/// A way to tamper with the data of a case, and what the verification reports: the version and the contradiction.
struct Tampering {
    name: &'static str,
    /// Whether the case is deleted before.
    deleted: bool,
    expected: (u32, &'static str),
}

/// Creates a case with four versions in a lab, of which the last is on hold; with five, if it is deleted.
async fn case(service: &Service, user: &str, deleted: bool) -> u64 {
    let body = json!({"procedure_type": "Crown", "patient_name": "Jane Roe", "notes": "first"});
    let id = service.create(user, body).await["id"].as_u64().unwrap();
    let path = format!("/api/v1/cases/{id}");
    for body in [
        json!({"notes": "second", "reason": "Call from the practice"}),
        json!({"notes": "third"}),
        json!({"status": "on_hold", "reason": "No impression"}),
    ] {
        service.as_user(user, "PUT", &path).json(body).send().await.expect(200);
    }
    if deleted {
        service.as_user(user, "DELETE", &path).send().await.expect(204);
    }
    id
}

async fn verification(service: &Service, id: u64) -> Value {
    let path = format!("/api/v1/cases/{id}/history/verify");
    service.as_user("admin", "GET", &path).send().await.expect(200)
}

fn live_key(id: u64) -> String {
    format!("CASE#{id:010}")
}

fn deleted_key(id: u64) -> String {
    format!("DELETED#{id:010}")
}

/// Changes an item, as DynamoDB has it, and writes it back, under another sort key if `change` sets one.
async fn change(service: &Service, lab: i64, sk: &str, change: impl FnOnce(&mut Value)) {
    let mut item = service.typed_item(lab, sk).await;
    assert!(item.is_object(), "{sk}");
    change(&mut item);
    service.put_typed_items(&[item]).await;
}

/// Moves an item to another sort key.
async fn move_item(service: &Service, from: &str, to: &str, changes: Value) {
    let mut item = service.typed_item(LAB, from).await;
    service.delete_item(LAB, from).await;
    item["sk"] = json!({"S": to});
    item.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    item.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    service.put_typed_items(&[item]).await;
}

fn remove(item: &mut Value, name: &str) {
    item.as_object_mut().unwrap().remove(name).unwrap();
}

/// Computes the hash of a changed event with the service's own function.
async fn rehash(service: &Service, id: u64, version: u32, previous: Option<&str>) -> String {
    let sk = event_key(id, version);
    let mut plain = service.items(LAB).await.remove(&sk).unwrap();
    if let Some(previous) = previous {
        plain["previous_hash"] = json!(previous);
    }
    let hash = serde_json::from_value::<Event>(plain.clone()).unwrap().computed_hash().unwrap();
    change(service, LAB, &sk, |item| {
        item["hash"] = json!({"S": hash});
        if let Some(previous) = previous {
            item["previous_hash"] = json!({"S": previous});
        }
    })
    .await;
    hash
}

/// Tampers with the case `id` in the way of this name. `other` is another case with the same history.
async fn tamper(service: &Service, name: &str, id: u64, other: u64) {
    let (live, deleted) = (live_key(id), deleted_key(id));
    let event = |version| event_key(id, version);
    match name {
        "the notes of the case" => service.change_item(LAB, &live, json!({"notes": "forged"})).await,
        "the status of the case, with its key" => {
            let forged = json!({"status": "shipped", "status_key": "123#shipped"});
            service.change_item(LAB, &live, forged).await;
        }
        "a nested field of the case" => {
            change(service, LAB, &live, |item| item["remakes"] = json!({"L": [{"N": "7"}]})).await;
        }
        "a new attribute of the case" => service.change_item(LAB, &live, json!({"vip": "yes"})).await,
        "a removed attribute of the case" => {
            change(service, LAB, &live, |item| remove(item, "patient_name")).await;
        }
        "the case with the content of another case" => {
            let mut copy = service.typed_item(LAB, &live_key(other)).await;
            copy["sk"] = json!({"S": live});
            service.put_typed_items(&[copy]).await;
        }
        "a lower version of the case" => service.change_number(LAB, &live, "version", 3).await,
        "a higher version of the case" => service.change_number(LAB, &live, "version", 5).await,
        "the hash of the last event in the case" => {
            service.change_item(LAB, &live, json!({"last_event_hash": "0".repeat(64)})).await;
        }
        "the key of an index" => service.change_item(LAB, &live, json!({"status_key": "123#pending"})).await,
        "the removed key of an index, which hides the case" => {
            change(service, LAB, &live, |item| remove(item, "live_id")).await;
        }
        "an expiry of the live case" => service.change_number(LAB, &live, "expires_at", 1).await,
        "the removed case" => service.delete_item(LAB, &live).await,
        "the live case as a deleted one" => {
            let forged =
                json!({"deleted_at": {"S": "2026-11-25T00:00:00.000Z"}, "expires_at": {"N": "9999999999"}});
            move_item(service, &live, &deleted, forged).await;
        }
        "a deleted copy beside the live case" => {
            let mut copy = service.typed_item(LAB, &live).await;
            copy["sk"] = json!({"S": deleted});
            service.put_typed_items(&[copy]).await;
        }
        "the deleted case as a live one" => {
            let keys = json!({"deleted_at": null, "deleted_by": null, "expires_at": null, "live_id": {"N": id.to_string()}});
            move_item(service, &deleted, &live, keys).await;
        }
        "the expiry of the deleted case" => service.change_number(LAB, &deleted, "expires_at", 1).await,
        "the deleted case moved to the key of live ones" => {
            move_item(service, &deleted, &live, json!({})).await;
        }
        "the user of an event" => service.change_event(LAB, id, 2, json!({"user_id": "999"})).await,
        "the reason of an event" => service.change_event(LAB, id, 2, json!({"reason": "None"})).await,
        "a value in an event" => {
            change(service, LAB, &event(3), |item| {
                item["changes"]["L"][0]["M"]["to"] = json!({"S": "forged"})
            })
            .await;
        }
        "the time of an event" => {
            service.change_event(LAB, id, 2, json!({"at": "2020-01-01T00:00:00.000Z"})).await;
        }
        "an event that is none" => service.change_event(LAB, id, 2, json!({"version": "two"})).await,
        "an event that was hashed again" => {
            service.change_event(LAB, id, 4, json!({"user_id": "999"})).await;
            rehash(service, id, 4, None).await;
        }
        "a chain that was hashed again, up to the case" => {
            service.change_event(LAB, id, 1, json!({"user_id": "999"})).await;
            let mut hash = rehash(service, id, 1, None).await;
            for version in 2..=4 {
                hash = rehash(service, id, version, Some(&hash)).await;
            }
            service.change_item(LAB, &live, json!({"last_event_hash": hash})).await;
        }
        "a case and its last event, hashed again" => {
            service.change_item(LAB, &live, json!({"notes": "forged"})).await;
            service.change_event(LAB, id, 4, json!({"state_hash": "0".repeat(64)})).await;
            let hash = rehash(service, id, 4, None).await;
            service.change_item(LAB, &live, json!({"last_event_hash": hash})).await;
        }
        "a removed first event" => service.delete_event(LAB, id, 1).await,
        "a removed event" => service.delete_event(LAB, id, 2).await,
        "a removed last event" => service.delete_event(LAB, id, 4).await,
        "two swapped events" => {
            let [mut second, mut third] =
                [service.typed_item(LAB, &event(2)).await, service.typed_item(LAB, &event(3)).await];
            (second["sk"], third["sk"]) = (third["sk"].take(), second["sk"].take());
            service.put_typed_items(&[second, third]).await;
        }
        "an event of another case" => {
            let mut copy = service.typed_item(LAB, &event_key(other, 1)).await;
            copy["sk"] = json!({"S": event(1)});
            service.put_typed_items(&[copy]).await;
        }
        "an event of another lab" => {
            // The other lab has a case with the same id and the same history.
            let mut copy = service.typed_item(456, &event(1)).await;
            copy["lab_id"] = json!({"S": "123"});
            service.put_typed_items(&[copy]).await;
        }
        "an added event" => {
            let mut copy = service.typed_item(LAB, &event(4)).await;
            copy["previous_hash"] = copy["hash"].clone();
            (copy["sk"], copy["version"]) = (json!({"S": event(5)}), json!({"N": "5"}));
            service.put_typed_items(&[copy]).await;
            rehash(service, id, 5, None).await;
        }
        "an event without its seal" => {
            change(service, LAB, &event(3), |item| {
                remove(item, "key_id");
                remove(item, "mac");
            })
            .await;
        }
        "events as a release without seals wrote them" => {
            let mut previous: Option<String> = None;
            for version in 1..=4 {
                change(service, LAB, &event(version), |item| {
                    ["key_id", "mac", "state_hash", "log_entry"].iter().for_each(|name| remove(item, name));
                })
                .await;
                previous = Some(rehash(service, id, version, previous.as_deref()).await);
            }
            service
                .change_item(LAB, &live, json!({"notes": "forged", "last_event_hash": previous.unwrap()}))
                .await;
        }
        "a seal of an unknown key" => service.change_event(LAB, id, 2, json!({"key_id": "2019"})).await,
        "the seal of another event" => {
            let mac = service.typed_item(LAB, &event(1)).await["mac"]["S"].take();
            service.change_event(LAB, id, 2, json!({"mac": mac})).await;
        }
        "a removed entry of the change log" => {
            let place = service.typed_item(LAB, &event(2)).await["log_entry"]["S"].take();
            service.delete_item(LAB, &format!("CHANGE#{}", place.as_str().unwrap())).await;
        }
        "a changed entry of the change log" => {
            let place = service.typed_item(LAB, &event(2)).await["log_entry"]["S"].take();
            let sk = format!("CHANGE#{}", place.as_str().unwrap());
            service.change_number(LAB, &sk, "case_id", other).await;
        }
        "the place of an event in the change log" => {
            let mut place = service.typed_item(LAB, &event_key(other, 2)).await["log_entry"]["S"].take();
            service.change_event(LAB, id, 2, json!({"log_entry": place.take()})).await;
        }
        "an older state of the case from a backup" => {
            let mut old = service.typed_item(LAB, &live).await;
            let event = service.typed_item(LAB, &event(3)).await;
            old["version"] = json!({"N": "3"});
            old["status"] = json!({"S": "pending"});
            old["status_key"] = json!({"S": "123#pending"});
            old["info"] = json!({"S": "#pending#medium##=#"});
            old["updated_at"] = event["at"].clone();
            old["last_event_hash"] = event["hash"].clone();
            service.put_typed_items(&[old]).await;
        }
        other => panic!("{other}"),
    }
}

const fn of_live(name: &'static str, version: u32, fault: &'static str) -> Tampering {
    Tampering { name, deleted: false, expected: (version, fault) }
}

const fn of_deleted(name: &'static str, version: u32, fault: &'static str) -> Tampering {
    Tampering { name, deleted: true, expected: (version, fault) }
}

const TAMPERINGS: &[Tampering] = &[
    of_live("the notes of the case", 4, "case_changed"),
    of_live("the status of the case, with its key", 4, "case_changed"),
    of_live("a nested field of the case", 4, "case_changed"),
    of_live("a new attribute of the case", 4, "case_changed"),
    of_live("a removed attribute of the case", 4, "case_changed"),
    of_live("the case with the content of another case", 4, "case_changed"),
    of_live("a lower version of the case", 4, "case_rolled_back"),
    of_live("a higher version of the case", 5, "event_missing"),
    of_live("the hash of the last event in the case", 4, "case_changed"),
    of_live("the key of an index", 4, "case_keys_changed"),
    of_live("the removed key of an index, which hides the case", 4, "case_keys_changed"),
    of_live("an expiry of the live case", 4, "case_changed"),
    of_live("the removed case", 4, "case_missing"),
    of_live("the live case as a deleted one", 4, "case_changed"),
    of_live("a deleted copy beside the live case", 4, "case_doubled"),
    of_deleted("the deleted case as a live one", 5, "case_changed"),
    of_deleted("the expiry of the deleted case", 5, "case_changed"),
    of_deleted("the deleted case moved to the key of live ones", 5, "case_keys_changed"),
    of_live("the user of an event", 2, "event_changed"),
    of_live("the reason of an event", 2, "event_changed"),
    of_live("a value in an event", 3, "event_changed"),
    of_live("the time of an event", 2, "event_changed"),
    of_live("an event that is none", 2, "event_changed"),
    of_live("an event that was hashed again", 4, "event_forged"),
    of_live("a chain that was hashed again, up to the case", 1, "event_forged"),
    of_live("a case and its last event, hashed again", 4, "event_forged"),
    of_live("a removed first event", 1, "event_missing"),
    of_live("a removed event", 2, "event_missing"),
    of_live("a removed last event", 4, "event_missing"),
    of_live("two swapped events", 2, "event_missing"),
    of_live("an event of another case", 1, "event_misplaced"),
    of_live("an event of another lab", 1, "event_forged"),
    of_live("an added event", 5, "event_forged"),
    of_live("an event without its seal", 3, "seal_missing"),
    of_live("events as a release without seals wrote them", 1, "seal_missing"),
    of_live("a seal of an unknown key", 2, "unknown_key"),
    of_live("the seal of another event", 2, "event_forged"),
    of_live("a removed entry of the change log", 2, "log_entry_missing"),
    of_live("a changed entry of the change log", 2, "log_entry_changed"),
    of_live("the place of an event in the change log", 2, "event_changed"),
    of_live("an older state of the case from a backup", 4, "case_rolled_back"),
];

#[tokio::test]
async fn the_verification_of_a_history_finds_every_kind_of_tampering() {
    let service = Service::start_with(&[("SEALED_SINCE", &today())]).await;
    let other = case(&service, "admin", false).await;
    case(&service, "northgate", false).await;
    for Tampering { name, deleted, expected } in TAMPERINGS {
        let id = case(&service, "admin", *deleted).await;
        case(&service, "northgate", false).await;
        let found = verification(&service, id).await;
        assert_eq!((&found["valid"], &found["unsealed_to"]), (&json!(true), &Value::Null), "{name}: {found}");
        tamper(&service, name, id, other).await;
        let found = verification(&service, id).await;
        assert_eq!(
            (&found["valid"], &found["broken_at"], &found["fault_code"]),
            (&json!(false), &json!(expected.0), &json!(expected.1)),
            "{name}: {found}"
        );
        // No other case is accused.
        let found = verification(&service, other).await;
        assert_eq!(found["valid"], true, "{name}: {found}");
    }
}

#[tokio::test]
async fn events_of_a_release_without_seals_are_valid_and_reported_as_unsealed() {
    let service = Service::start().await;
    let id = case(&service, "admin", false).await;
    let mut previous: Option<String> = None;
    for version in 1..=4 {
        change(&service, LAB, &event_key(id, version), |item| {
            ["key_id", "mac", "state_hash", "log_entry"].iter().for_each(|name| remove(item, name));
        })
        .await;
        previous = Some(rehash(&service, id, version, previous.as_deref()).await);
    }
    service.change_item(LAB, &live_key(id), json!({"last_event_hash": previous.unwrap()})).await;
    let found = verification(&service, id).await;
    assert_eq!((&found["valid"], &found["unsealed_to"]), (&json!(true), &json!(4)), "{found}");
    // The next change seals the case, and through the chain the earlier events too.
    let path = format!("/api/v1/cases/{id}");
    service.as_user("admin", "PUT", &path).json(json!({"notes": "sealed"})).send().await.expect(200);
    let found = verification(&service, id).await;
    assert_eq!((&found["valid"], &found["unsealed_to"]), (&json!(true), &json!(4)), "{found}");
    service.change_event(LAB, id, 2, json!({"user_id": "999"})).await;
    assert_eq!(verification(&service, id).await["fault_code"], "event_changed");
}

#[tokio::test]
async fn a_new_key_seals_new_events_and_the_old_one_still_verifies() {
    const NEW: &str = "new:integration-tests-new-seal-key-0123456789abc";
    let mut service = Service::start().await;
    let id = case(&service, "admin", false).await;
    let both = format!("{NEW},{}", crate::harness::service::SEAL_KEYS);
    service.set("SEAL_KEYS", &both);
    let path = format!("/api/v1/cases/{id}");
    service.as_user("admin", "PUT", &path).json(json!({"notes": "x"})).send().await.expect(200);
    assert_eq!(verification(&service, id).await["valid"], true);
    let ids: Vec<Value> =
        [4, 5].map(|version| event_key(id, version)).to_vec().into_iter().map(Value::from).collect();
    let items = service.items(LAB).await;
    let keys: Vec<&Value> = ids.iter().map(|sk| &items[sk.as_str().unwrap()]["key_id"]).collect();
    assert_eq!(keys, ["test", "new"]);
    service.set("SEAL_KEYS", NEW);
    let found = verification(&service, id).await;
    assert_eq!((&found["broken_at"], &found["fault_code"]), (&json!(1), &json!("unknown_key")));
}

#[tokio::test]
async fn the_scheduled_verification_finds_what_was_taken_back_together_and_accuses_nobody_else() {
    let service = Service::start().await;
    let (first, second) = (case(&service, "admin", false).await, case(&service, "admin", true).await);
    case(&service, "northgate", false).await;
    let report = service.verify_all_labs().await;
    assert_eq!(
        (report.labs, report.cases, report.unsealed, report.unverified, &report.contradictions[..]),
        (2, 3, 0, 0, &[][..])
    );
    // Case, events and keys as they were at version 3: a history that agrees with itself.
    tamper(&service, "an older state of the case from a backup", first, second).await;
    service.change_item(LAB, &live_key(first), json!({"notes": "third"})).await;
    let at = service.typed_item(LAB, &event_key(first, 1)).await["at"]["S"].take();
    let update = service.typed_item(LAB, &event_key(first, 3)).await["at"]["S"].take();
    let update_key = format!("{}#{first:010}", update.as_str().unwrap());
    service
        .change_item(LAB, &live_key(first), json!({"update_key": update_key, "status_changed_at": at}))
        .await;
    service.delete_event(LAB, first, 4).await;
    assert_eq!(verification(&service, first).await["valid"], true);
    service.delete_item(LAB, &deleted_key(second)).await;
    let found = serde_json::to_value(service.verify_all_labs().await.contradictions).unwrap();
    assert_eq!(
        found,
        json!([
            {"lab_id": LAB, "case_id": first, "version": 4, "fault": "case_rolled_back"},
            {"lab_id": LAB, "case_id": second, "version": 5, "fault": "case_missing"},
        ])
    );
    // Then the traces in the log as well.
    let place = service.typed_item(LAB, &event_key(second, 5)).await["log_entry"]["S"].take();
    service.delete_item(LAB, &format!("CHANGE#{}", place.as_str().unwrap())).await;
    let found = serde_json::to_value(service.verify_all_labs().await.contradictions).unwrap();
    let of_log = json!({"lab_id": LAB, "case_id": null, "version": null, "fault": "log_entry_missing"});
    assert!(found.as_array().unwrap().contains(&of_log), "{found}");
}

#[tokio::test]
async fn the_scheduled_verification_samples_old_cases() {
    let service = Service::start().await;
    let id = case(&service, "admin", false).await;
    // The log says that the changes are old, so only the sample can find the case.
    let log: Vec<String> =
        service.items(LAB).await.into_keys().filter(|sk| sk.starts_with("CHANGE#")).collect();
    for sk in log {
        service.change_item(LAB, &sk, json!({"at": "2020-01-01T00:00:00.000Z"})).await;
    }
    let found = serde_json::to_value(service.verify_all_labs().await.contradictions).unwrap();
    assert_eq!(found, json!([{"lab_id": LAB, "case_id": id, "version": 1, "fault": "log_entry_changed"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_honest_history_is_accused_in_a_thousand_random_walks_with_parallel_writers() {
    const WALKS: u64 = 1000;
    let service = Service::start_patient().await;
    let mut wrong = stream::iter(0..WALKS)
        .map(|walk| {
            let service = &service;
            async move {
                let id =
                    service.create("admin", json!({"procedure_type": "Crown"})).await["id"].as_u64().unwrap();
                let writers = (0..3).map(|writer| walk_one(service, id, walk * 3 + writer));
                let verify = async { verification(service, id).await["valid"] == true };
                let (_, while_changing) = tokio::join!(join_all(writers), verify);
                let found = verification(service, id).await;
                (!while_changing || found["valid"] != true || !found["unsealed_to"].is_null())
                    .then_some(found)
            }
        })
        .buffer_unordered(4);
    while let Some(found) = wrong.next().await {
        assert_eq!(found, None);
    }
    let report = service.verify_all_labs().await;
    assert_eq!((report.unverified, report.contradictions), (0, Vec::new()));
    assert!(report.cases >= WALKS, "{}", report.cases);
}

/// Sends three random requests about a case. Any of them may be rejected.
async fn walk_one(service: &Service, id: u64, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let path = format!("/api/v1/cases/{id}");
    for step in 0..3 {
        let (method, path, body) = match random.u8(0..10) {
            0..3 => {
                ("PUT", path.clone(), json!({"notes": format!("{seed} {step}"), "rush_order": random.bool()}))
            }
            3 => ("POST", format!("{path}/comments"), json!({"text": "walk", "asks": random.bool()})),
            4..7 => {
                let status = random.choice(["in_progress", "on_hold", "pending", "completed"]).unwrap();
                ("PATCH", format!("{path}/status"), json!({"status": status, "reason": "walk"}))
            }
            7 => ("DELETE", path.clone(), Value::Null),
            8 => ("POST", format!("{path}/restore"), Value::Null),
            _ => ("POST", format!("{path}/remakes"), json!({"reason_code": "fit", "reason": "walk"})),
        };
        let call = service.as_user("admin", method, &path);
        let call = if body.is_null() { call } else { call.json(body) };
        let reply = call.send().await;
        assert_ne!(reply.status, 500, "{method} {path}");
    }
}

#[tokio::test]
async fn each_tampering_with_the_keys_of_newer_indexes_is_found_unless_all_are_removed() {
    let service = Service::start().await;
    let body =
        json!({"procedure_type": "Crown", "doctor_id": "DOC001", "patient_info": {"patient_id": "4711"}});
    let id = service.create("admin", body).await["id"].as_u64().unwrap();
    let original = service.typed_item(LAB, &live_key(id)).await;
    let keys = ["doctor_key", "assignee_key", "patient_key", "due", "info"];
    for name in keys {
        change(&service, LAB, &live_key(id), |item| remove(item, name)).await;
        assert_eq!(verification(&service, id).await["fault_code"], "case_keys_changed", "{name} removed");
        service.put_typed_items(std::slice::from_ref(&original)).await;
        service.change_item(LAB, &live_key(id), json!({name: "123#other"})).await;
        assert_eq!(verification(&service, id).await["fault_code"], "case_keys_changed", "{name} changed");
        service.put_typed_items(std::slice::from_ref(&original)).await;
    }
    // So is a case of the release before.
    change(&service, LAB, &live_key(id), |item| keys.iter().for_each(|name| remove(item, name))).await;
    assert_eq!(verification(&service, id).await["valid"], true);
}
