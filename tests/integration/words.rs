//! The index of words: the function on the streams keeps a token for each word of a case's names, and searches read them.

use std::{collections::BTreeSet, time::Duration};

use fastrand::Rng;
use futures_util::{StreamExt, stream};
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

fn ids(page: &Value) -> Vec<u64> {
    page["cases"].as_array().unwrap().iter().map(|case| case["id"].as_u64().unwrap()).collect()
}

/// All ids of a list, page by page.
async fn found(service: &Service, query: &str) -> Vec<u64> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/cases?limit=40&{query}{cursor}");
        let page = service.as_user("admin", "GET", &path).send().await.expect(200);
        found.extend(ids(&page));
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// A service whose searches find cases by the index of words only.
async fn indexed_only() -> Service {
    Service::start_with_streams_tuned(|config| config.unindexed_age = Duration::ZERO).await
}

#[tokio::test]
async fn a_case_just_written_is_found_before_and_after_it_is_in_the_index() {
    let service = Service::start_with_streams().await;
    service.create("admin", crown("Jane Roe", "Upper left")).await;
    service.create("northgate", json!({"procedure_type": "Crown", "patient_name": "Jane North"})).await;
    for is_indexed in [false, true] {
        for q in ["jane", "ROE%20upp", "1", "riverside-%20roe", "le%20up%20ro%20ja"] {
            let expected: &[u64] = if q.contains("riverside") { &[] } else { &[1] };
            assert_eq!(found(&service, &format!("q={q}")).await, expected, "{q}, {is_indexed}");
        }
        rename(&service, 1, json!({"case_name": "Upper left"})).await;
        service.process_streams().await;
    }
    rename(&service, 1, json!({"patient_name": "John Doe"})).await;
    // The index still has the former name, but the case does not.
    assert_eq!(found(&service, "q=jane").await, [0; 0]);
    assert_eq!(found(&service, "q=john").await, [1]);
    // A change that somebody lost is found by other words, and not forgotten by its number.
    let number =
        service.as_user("admin", "GET", "/api/v1/cases/1").send().await.expect(200)["case_number"].clone();
    let number = number.as_str().unwrap().to_lowercase();
    assert_eq!(found(&service, &format!("q={number}")).await, [1]);
    assert_eq!(found(&service, &format!("q={number}%20jane")).await, [0; 0]);
}

#[tokio::test]
async fn deleted_cases_are_found_by_the_index_until_the_end_of_their_lives() {
    let service = indexed_only().await;
    service.create("admin", crown("Jane Roe", "Upper left")).await;
    service.create("admin", crown("Jane Major", "Lower")).await;
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    assert_eq!(found(&service, "q=jane&deleted=true").await, [0; 0]);
    service.process_streams().await;
    assert_eq!(found(&service, "q=jane&deleted=true").await, [1]);
    assert_eq!(found(&service, "q=1&deleted=true").await, [1]);
    assert_eq!(found(&service, "q=jane").await, [2]);
    service.as_user("admin", "POST", "/api/v1/cases/1/restore").send().await.expect(200);
    assert_eq!(found(&service, "q=jane").await, [2, 1]);
    assert_eq!(found(&service, "q=jane&deleted=true").await, [0; 0]);
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    service.change_number(123, "DELETED#0000000001", "expires_at", 1_000_000_000).await;
    assert_eq!(found(&service, "q=jane&deleted=true").await, [0; 0], "its retention has ended");
}

#[tokio::test]
async fn a_token_that_somebody_added_shows_nothing_false_and_one_that_is_gone_only_hides() {
    let service = indexed_only().await;
    service.create("admin", crown("Jane Roe", "Upper left")).await;
    service.create("northgate", json!({"procedure_type": "Crown", "patient_name": "Jane North"})).await;
    service.process_streams().await;
    let token =
        |word: &str, id: u64| json!({"lab_id": {"S": "123"}, "sk": {"S": format!("TOKEN#{word}#{id:010}")}});
    service
        .put_typed_items(&[
            token("major", 1),
            token("jane", 2),
            token("jane", 99),
            json!({
                "lab_id": {"S": "123"}, "sk": {"S": "TOKEN#jane#x"},
            }),
        ])
        .await;
    assert_eq!(found(&service, "q=major").await, [0; 0]);
    assert_eq!(found(&service, "q=jane").await, [1]);
    service.delete_item(123, "TOKEN#jane#0000000001").await;
    assert_eq!(found(&service, "q=jane").await, [0; 0]);
    assert_eq!(found(&service, "q=roe").await, [1]);
}

/// Names of which many begin alike, so that a search finds one, some, hundreds or most of the cases.
fn name(rng: &mut Rng) -> String {
    let first =
        ["Ana", "Anna", "Anne-Marie", "Annabel", "Abel", "Amy", "Bo", "Chen", "Chenoa", "D'Arcy", "Zoë"];
    let last = ["Lima", "Lim", "Limbach", "Lopez", "Öst", "O'Neil", "Smith-Jones", "太郎", "Quinn"];
    format!("{} {}", rng.choice(first).unwrap(), rng.choice(last).unwrap())
}

/// Whether a case has each of the words, decided by its JSON alone.
fn has_words(case: &Value, words: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace('ö', "o").replace('ë', "e");
    let names: Vec<String> =
        ["patient_name", "case_name"].iter().filter_map(|name| Some(plain(case[name].as_str()?))).collect();
    let mut beginnings = BTreeSet::new();
    for word in names.iter().flat_map(|name| name.split(' ')) {
        beginnings.insert(word);
        beginnings.extend(word.match_indices(['-', '\'']).map(|(at, _)| &word[at + 1..]));
        beginnings.extend(word.strip_prefix('太'));
    }
    let (number, id) = (plain(case["case_number"].as_str().unwrap()), case["id"].to_string());
    plain(words).split(' ').all(|word| {
        word == number || word == id || beginnings.iter().any(|beginning| beginning.starts_with(word))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_search_finds_the_same_cases_as_a_linear_search() {
    const CASES: u64 = 700;
    let service = Service::start_with_streams_tuned(|config| {
        config.unindexed_age = Duration::ZERO;
        config.retry_budget = Duration::from_secs(8);
    })
    .await;
    let mut rng = Rng::with_seed(5);
    let bodies: Vec<Value> = (0..CASES)
        .map(|_| {
            let mut body = json!({
                "procedure_type": rng.choice(["Crown", "Bridge"]), "status": rng.choice(["pending", "in_progress"]),
                "priority": rng.choice(["low", "medium", "high"]), "patient_name": name(&mut rng),
                "due_date": format!("2027-{:02}-{:02}", rng.u32(1..=12), rng.u32(1..=28)),
            });
            if rng.bool() {
                body["case_name"] = json!(format!("Upper {}", rng.u32(1..=700)));
            }
            if rng.bool() {
                body["doctor_id"] = json!("doctor_123");
            }
            body
        })
        .collect();
    stream::iter(bodies)
        .map(|body| service.create("admin", body))
        .buffer_unordered(4)
        .for_each(async |_| {})
        .await;
    for id in (1..=CASES).filter(|id| id % 5 == 0) {
        if id % 10 == 0 {
            rename(&service, id, json!({"patient_name": name(&mut rng)})).await;
        } else {
            service.as_user("admin", "DELETE", &format!("/api/v1/cases/{id}")).send().await.expect(204);
        }
    }
    service.process_streams().await;
    let all: Vec<Value> = stream::iter(1..=CASES)
        .map(async |id| service.as_user("admin", "GET", &format!("/api/v1/cases/{id}")).send().await)
        .buffered(16)
        .filter_map(async |reply| (reply.status == 200).then(|| reply.expect(200)))
        .collect()
        .await;
    let (live, mut deleted, mut cursor) = (all, Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/cases?limit=100&deleted=true{cursor}");
        let page = service.as_user("admin", "GET", &path).send().await.expect(200);
        deleted.extend(page["cases"].as_array().unwrap().clone());
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(live.len() > 500 && deleted.len() > 50);
    let words = [
        "a",
        "an",
        "ann",
        "anna",
        "anne",
        "annabel lim",
        "an li",
        "zoë öst",
        "太",
        "郎",
        "o'n",
        "neil",
        "jones",
        "jones smith",
        "upper",
        "upper 7",
        "upper 42 chen",
        "42",
        "riverside-",
        "nobody",
        "an nobody",
        "bo 太郎",
        "lim lima",
        "d",
        "u",
    ];
    let mut seen = BTreeSet::new();
    for q in words {
        let encoded: String = q.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for filter in [
            "",
            "&status=pending",
            "&doctor_id=doctor_123",
            "&priority=high&procedure_type=crown",
            "&deleted=true",
        ] {
            let cases = if filter == "&deleted=true" { &deleted } else { &live };
            let passes = |case: &&Value| {
                let is = |name: &str, value: &str| case[name] == value;
                let rest = match filter {
                    "&status=pending" => is("status", "pending"),
                    "&doctor_id=doctor_123" => is("doctor_id", "doctor_123"),
                    "&priority=high&procedure_type=crown" => {
                        is("priority", "high") && is("procedure_type", "Crown")
                    }
                    _ => true,
                };
                rest && has_words(case, q.trim_end_matches('-'))
            };
            let expected: Vec<&Value> = cases.iter().filter(passes).collect();
            seen.insert(expected.len().min(300) / 100);
            for sort in ["created_at", "due_date", "updated_at"] {
                if sort != "created_at" && (filter == "&deleted=true" || rng.u8(0..3) > 0) {
                    continue;
                }
                let mut expected = expected.clone();
                let key =
                    |case: &&Value| (case[sort].as_str().unwrap().to_owned(), case["id"].as_u64().unwrap());
                match sort {
                    "created_at" => expected.sort_by_key(|case| case["id"].as_u64()),
                    _ => expected.sort_by_key(key),
                }
                let order = if rng.bool() { "asc" } else { "desc" };
                let mut expected: Vec<u64> =
                    expected.iter().map(|case| case["id"].as_u64().unwrap()).collect();
                if order == "desc" {
                    expected.reverse();
                }
                let query = format!("q={encoded}{filter}&sort={sort}&order={order}");
                assert_eq!(found(&service, &query).await, expected, "{q}{filter} {sort} {order}");
            }
        }
    }
    assert_eq!(seen.len(), 4, "searches find few, some and most of the cases: {seen:?}");
}

/// Tokens of many words that begin alike.
async fn with_tokens(service: &Service, beginning: &str, count: u64) {
    let tokens: Vec<Value> = (0..count)
        .map(|number| {
            let sk = format!("TOKEN#{beginning}{}#{:010}", number % 7, 100_000 + number);
            json!({"lab_id": {"S": "123"}, "sk": {"S": sk}})
        })
        .collect();
    service.put_typed_items(&tokens).await;
}

#[tokio::test]
async fn a_search_that_finds_most_of_a_large_lab_is_rejected_and_another_word_restricts_it() {
    let service = Service::start().await;
    service.create("admin", crown("Smith Roe", "Upper")).await;
    with_tokens(&service, "smith", 32_000).await;
    with_tokens(&service, "roe", 2_000).await;
    for (method, path, body, pointer, status, code) in [
        ("GET", "/api/v1/cases?q=smith", None, "/query/q", 400, "invalid_parameter"),
        ("POST", "/api/v1/cases/search", Some(json!({"q": "smi"})), "/q", 422, "validation_failed"),
        ("GET", "/api/v1/cases/export?format=csv&q=s", None, "/query/q", 400, "invalid_parameter"),
    ] {
        let call = service.as_user("admin", method, path);
        let reply = match body {
            Some(body) => call.json(body).send().await,
            None => call.send().await,
        };
        let problem = reply.expect_problem(status, code);
        let errors: Vec<_> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| (&error["pointer"], &error["code"]))
            .collect();
        assert_eq!(errors, [(&json!(pointer), &json!("search_too_broad"))]);
    }
    // A longer word, another word, or the number.
    for (q, expected) in [("smithx", &[][..]), ("smith%20upp", &[1]), ("smith%20nobody", &[])] {
        service.dynamodb.record_calls();
        assert_eq!(found(&service, &format!("q={q}")).await, expected, "{q}");
        let units: f64 = service
            .dynamodb
            .take_recorded_calls()
            .iter()
            .filter(|call| call.name != "PutItem")
            .map(|call| call.units)
            .sum();
        assert!(units <= 12.0, "{q} costs {units} units");
    }
}
