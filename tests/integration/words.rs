//! The index of words: the function on the streams keeps a token for each word of a case's names.

use serde_json::{Value, json};

use crate::harness::{Fault, Service};

/// The tokens of a lab, without their prefix, and with short ids.
async fn tokens(service: &Service, lab: i64) -> Vec<String> {
    let items = service.items(lab).await;
    let tokens = items.into_iter().filter_map(|(sk, item)| {
        let token = sk.strip_prefix("TOKEN#")?.replace("#00000000", "#");
        assert_eq!(item.as_object().unwrap().len(), 2, "a token has no attributes but its key");
        Some(token)
    });
    tokens.collect()
}

async fn rename(service: &Service, id: u64, names: Value) {
    service.as_user("admin", "PUT", &format!("/api/v1/cases/{id}")).json(names).send().await.expect(200);
}

fn crown(patient_name: &str, case_name: &str) -> Value {
    json!({"procedure_type": "Crown", "patient_name": patient_name, "case_name": case_name})
}

/// The calls to DynamoDB that write tokens.
fn token_writes(service: &Service) -> usize {
    let calls = service.dynamodb.take_recorded_calls();
    calls.iter().filter(|call| call.name == "BatchWriteItem").count()
}

#[tokio::test]
async fn each_word_of_the_names_gets_a_token_and_loses_it_when_the_names_change() {
    let service = Service::start_with_streams().await;
    service.create("admin", crown("Jürgen Müller-Lüdenscheidt", "Jurgen 太郎")).await;
    service.create("northgate", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.process_streams().await;
    let of_case = ["jurgen#01", "ludenscheidt#01", "muller-ludenscheidt#01", "太郎#01", "郎#01"];
    assert_eq!(tokens(&service, 123).await, of_case);
    assert_eq!(tokens(&service, 456).await, ["jane#01", "roe#01"]);

    // One of the two names with `jurgen` goes, so the word stays.
    rename(&service, 1, json!({"case_name": "Upper left"})).await;
    service.process_streams().await;
    let renamed = ["jurgen#01", "left#01", "ludenscheidt#01", "muller-ludenscheidt#01", "upper#01"];
    assert_eq!(tokens(&service, 123).await, renamed);
    rename(&service, 1, json!({"patient_name": null, "case_name": "Upper"})).await;
    service.process_streams().await;
    assert_eq!(tokens(&service, 123).await, ["upper#01"]);

    // A long word has a short token.
    rename(&service, 1, json!({"case_name": format!("{} x", "ä".repeat(60))})).await;
    service.process_streams().await;
    assert_eq!(tokens(&service, 123).await, [format!("{}#01", "a".repeat(40)), "x#01".to_owned()]);
}

#[tokio::test]
async fn changes_of_other_fields_deletes_and_restores_leave_the_tokens() {
    let service = Service::start_with_streams().await;
    service.create("admin", crown("Jane Roe", "Upper")).await;
    service.process_streams().await;
    let before = tokens(&service, 123).await;
    service.dynamodb.record_calls();
    rename(&service, 1, json!({"notes": "Contact is open"})).await;
    service
        .as_user("admin", "PATCH", "/api/v1/cases/1/status")
        .json(json!({"status": "in_progress"}))
        .send()
        .await
        .expect(200);
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    service.process_streams().await;
    assert_eq!(tokens(&service, 123).await, before);
    assert_eq!(token_writes(&service), 0, "no names have changed");
    service.as_user("admin", "POST", "/api/v1/cases/1/restore").send().await.expect(200);
    service.process_streams().await;
    assert_eq!(tokens(&service, 123).await, before);
}

#[tokio::test]
async fn the_end_of_a_case_s_life_removes_its_tokens() {
    let service = Service::start_with_streams_tuned(|config| config.retention_days = 0).await;
    service.create("admin", crown("Jane Roe", "Upper")).await;
    service.create("admin", crown("Jane Major", "Lower")).await;
    service.process_streams().await;
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    service.process_streams().await;
    assert_eq!(tokens(&service, 123).await.len(), 6);
    assert_eq!(service.expire_items().await, 1);
    // The tombstone says that nothing of the patient is left, so it waits for the tokens.
    service.dynamodb.rule(|name, _| if name == "BatchWriteItem" { Fault::refused() } else { Fault::Pass });
    let (_, report) = service.process_next_batch().await.unwrap();
    assert_eq!(report.batch_item_failures.len(), 1);
    assert!(!service.items(123).await.contains_key("TOMBSTONE#0000000001"));
    service.dynamodb.heal();
    service.process_streams().await;
    assert_eq!(tokens(&service, 123).await, ["jane#02", "lower#02", "major#02"]);
    assert!(service.items(123).await.contains_key("TOMBSTONE#0000000001"));
}

#[tokio::test]
async fn changes_that_are_delivered_again_after_later_ones_leave_the_words_of_the_case_as_it_is() {
    let service = Service::start_with_streams_tuned(|config| config.retention_days = 0).await;
    service.create("admin", crown("Jane Roe", "Upper")).await;
    rename(&service, 1, json!({"patient_name": "John Roe"})).await;
    rename(&service, 1, json!({"patient_name": "Jane Roe"})).await;
    service.create("admin", crown("Mary Major", "Lower")).await;
    service.as_user("admin", "DELETE", "/api/v1/cases/2").send().await.expect(204);
    service.create("admin", crown("Erika Muster", "Gone")).await;
    service.as_user("admin", "DELETE", "/api/v1/cases/3").send().await.expect(204);
    service.process_streams().await;
    let mut expired = 0;
    while expired < 2 {
        expired += service.expire_items().await;
    }
    service.process_streams().await;
    let expected = tokens(&service, 123).await;
    assert_eq!(expected, ["jane#01", "roe#01", "upper#01"]);
    // All changes again, in batches of one, two and a hundred.
    for size in [1, 2, 100] {
        service.deliver_again(size).await;
        assert_eq!(tokens(&service, 123).await, expected, "batches of {size}");
    }
    // Somebody removed the token: the next delivery of the change does not know, but a change of the name does.
    service.delete_item(123, "TOKEN#jane#0000000001").await;
    rename(&service, 1, json!({"patient_name": "Janet Roe"})).await;
    service.process_streams().await;
    assert_eq!(tokens(&service, 123).await, ["janet#01", "roe#01", "upper#01"]);
}

#[tokio::test]
async fn tokens_that_cannot_be_written_are_written_when_the_changes_come_again() {
    let service = Service::start_with_streams().await;
    for number in 0..40 {
        service.create("admin", crown(&format!("Patient Number{number}"), "Upper left")).await;
    }
    // The second call fails, so a part of the tokens is written.
    let calls = std::sync::atomic::AtomicUsize::new(0);
    service.dynamodb.rule(move |name, _| {
        let is_second =
            name == "BatchWriteItem" && calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 1;
        if is_second { Fault::refused() } else { Fault::Pass }
    });
    let mut failures = 0;
    while failures == 0 {
        let (_, report) = service.process_next_batch().await.unwrap();
        failures = report.batch_item_failures.len();
    }
    assert!(tokens(&service, 123).await.len() < 160);
    service.dynamodb.heal();
    service.process_streams().await;
    assert_eq!(tokens(&service, 123).await.len(), 160);
}

#[tokio::test]
async fn items_that_this_service_would_not_write_do_not_stop_the_stream() {
    let service = Service::start_with_streams().await;
    let case = |id: u64, names: Value| {
        let mut item = json!({"lab_id": {"S": "123"}, "sk": {"S": format!("CASE#{id:010}")}});
        item.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
        item
    };
    let items = [
        case(1, json!({})),
        case(2, json!({"patient_name": {"N": "7"}, "case_name": {"L": []}})),
        case(3, json!({"patient_name": {"S": format!("太{}", "郎".repeat(5000))}})),
        case(4, json!({"patient_name": {"S": "#\u{10ffff} a#b \u{0}"}})),
        json!({"lab_id": {"S": "0"}, "sk": {"S": "CASE#0000000001"}, "patient_name": {"S": "Jane"}}),
        json!({"lab_id": {"S": "123"}, "sk": {"S": "CASE#x"}, "patient_name": {"S": "Jane"}}),
    ];
    service.put_typed_items(&items).await;
    service.process_streams().await;
    let found = tokens(&service, 123).await;
    assert!(found.len() <= 410 && found.contains(&"a#b#04".to_owned()), "{}", found.len());
}
