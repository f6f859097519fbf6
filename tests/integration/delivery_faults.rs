//! Receivers that fail: nothing is lost, the order per case holds, and no endpoint waits for another one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::config::DeliveryTimes;

use crate::harness::{
    Service,
    deliveries::{Behaviour, Hook, Receiver, fast, wait},
};

async fn create(service: &Service, count: usize) {
    for _ in 0..count {
        service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    }
}

async fn update(service: &Service, case: usize, note: &str) {
    let path = format!("/api/v1/cases/{case}");
    service.as_user("admin", "PUT", &path).json(json!({"notes": note})).send().await.expect(200);
}

/// Delivers one message to a receiver that behaves in this way, with one attempt, and returns its record.
async fn record_of(behaviour: Behaviour) -> (Value, Value, usize) {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    let hook = service.add_webhook(123, &receiver.url(), &[]).await;
    receiver.behave(move |_, _| behaviour.clone());
    create(&service, 1).await;
    service.process_streams().await;
    let _deliveries = service.deliver(DeliveryTimes { retries: Vec::new(), ..fast() });
    let record = hook.wait_for_end(&service, 1).await.remove(0);
    (record, hook.item(&service).await, receiver.received().len())
}

#[tokio::test]
async fn the_record_says_how_a_receiver_failed() {
    let elsewhere = Receiver::start().await;
    let redirect = Behaviour::AnswerWith(302, "location", elsewhere.url());
    for (behaviour, status, error) in [
        (Behaviour::Hang, Value::Null, "timeout"),
        (redirect, json!(302), "redirect"),
        (Behaviour::Answer(500), json!(500), "http_500"),
        (Behaviour::Answer(404), json!(404), "http_404"),
    ] {
        let (record, hook, requests) = record_of(behaviour.clone()).await;
        let found =
            [&record["state"], &record["error"], record.get("response_status").unwrap_or(&Value::Null)];
        assert_eq!(found, [&json!("failed"), &json!(error), &status], "{behaviour:?}");
        assert_eq!(requests, 1);
        assert_eq!((&hook["enabled"], &hook["failures"]), (&json!(true), &json!(1)), "{behaviour:?}");
        assert!(hook["failing_since"].is_string());
    }
    assert!(elsewhere.received().is_empty(), "a redirect was followed");
}

#[tokio::test]
async fn a_large_or_slow_body_is_not_waited_for() {
    for behaviour in [Behaviour::Large(10_000_000), Behaviour::SlowBody] {
        let started = Instant::now();
        let (record, _, _) = record_of(behaviour.clone()).await;
        assert_eq!(record["state"], "delivered", "{behaviour:?}");
        assert!(record["latency_ms"].as_u64().unwrap() < 700, "{record}");
        assert!(started.elapsed() < Duration::from_secs(10), "{behaviour:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_gone_gets_no_further_message() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    let hook = service.add_webhook(123, &receiver.url(), &[]).await;
    receiver.behave(|_, _| Behaviour::Answer(410));
    create(&service, 1).await;
    update(&service, 1, "one").await;
    service.process_streams().await;
    let _deliveries = service.deliver(fast());
    let records = hook.wait_for_end(&service, 2).await;
    assert_eq!([&records[0]["error"], &records[1]["error"]], ["http_410", "disabled"]);
    assert_eq!(receiver.received().len(), 1);
    let item = hook.item(&service).await;
    let found = [&item["enabled"], &item["disabled_reason"], &item["version"]];
    assert_eq!(found, [&json!(false), &json!("gone"), &json!(2)]);
    // Later changes have no messages for it.
    update(&service, 1, "two").await;
    service.process_streams().await;
    assert!(service.queue.bodies().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_fails_for_too_long_is_disabled() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    let hook = service.add_webhook(123, &receiver.url(), &[]).await;
    receiver.behave(|_, _| Behaviour::Answer(500));
    create(&service, 1).await;
    update(&service, 1, "one").await;
    service.process_streams().await;
    let _deliveries = service.deliver(DeliveryTimes { patience: Duration::from_millis(1), ..fast() });
    let records = hook.wait_for_end(&service, 2).await;
    assert_eq!([&records[0]["error"], &records[1]["error"]], ["http_500", "disabled"]);
    let item = hook.item(&service).await;
    assert_eq!([&item["enabled"], &item["disabled_reason"]], [&json!(false), &json!("failing")]);
}

#[tokio::test]
async fn a_message_is_tried_again_until_its_attempts_are_used_up_and_the_next_ones_follow() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    let hook = service.add_webhook(123, &receiver.url(), &[]).await;
    // It never accepts the second version.
    receiver.behave(|body, _| Behaviour::Answer(if body["data"]["version"] == 2 { 500 } else { 200 }));
    create(&service, 1).await;
    update(&service, 1, "one").await;
    update(&service, 1, "two").await;
    service.process_streams().await;
    let _deliveries = service.deliver(fast());
    let records = hook.wait_for_end(&service, 3).await;
    let found: Vec<(&Value, &Value)> =
        records.iter().map(|record| (&record["state"], &record["attempts"])).collect();
    let (delivered, failed, one, ten) = (json!("delivered"), json!("failed"), json!(1), json!(10));
    assert_eq!(found, [(&delivered, &one), (&failed, &ten), (&delivered, &one)]);
    let versions: Vec<u64> = receiver.received().iter().map(|received| received.version().1).collect();
    assert_eq!(versions, [&[1][..], &[2; 10], &[3]].concat());
    let ids: Vec<String> = receiver.received()[1..11].iter().map(|received| received.id.clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    // The success of the third one ended the pause.
    assert!(hook.item(&service).await.get("failing_since").is_none());
}

#[tokio::test]
async fn the_order_per_case_holds_while_a_receiver_fails_now_and_then() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    service.add_webhook(123, &receiver.url(), &[]).await;
    receiver.behave(|_, before| Behaviour::Answer(if before % 3 == 1 { 503 } else { 200 }));
    create(&service, 5).await;
    for version in 2..=4 {
        for case in 1..=5 {
            update(&service, case, &version.to_string()).await;
        }
    }
    service.process_streams().await;
    let _deliveries = service.deliver(fast());
    receiver.wait_for(20).await;
    assert_eq!(receiver.versions(), (1..=5).map(|case| (case, vec![1, 2, 3, 4])).collect());
}

#[tokio::test]
async fn after_a_receiver_was_down_every_message_arrives_once_and_in_order() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    let hook = service.add_webhook(123, &receiver.url(), &[]).await;
    receiver.behave(|_, _| Behaviour::Answer(503));
    create(&service, 6).await;
    for case in 1..=6 {
        update(&service, case, "one").await;
    }
    service.process_streams().await;
    let pause = Duration::from_secs(1);
    let times = DeliveryTimes { first_pause: pause, longest_pause: pause, probe: pause, ..fast() };
    let _deliveries = service.deliver(times);
    assert!(hook.wait_for_pause(&service).await["failing_since"].is_string());
    // While it is down, one message probes in each pause.
    let before = receiver.received().len();
    wait(|| receiver.received().len() > before + 1, || "no probes".into()).await;
    receiver.behave(|_, _| Behaviour::Answer(200));
    receiver.wait_for(12).await;
    hook.wait_for_end(&service, 12).await;
    assert_eq!(receiver.versions(), (1..=6).map(|case| (case, vec![1, 2])).collect());
    let item = hook.item(&service).await;
    assert!(item.get("paused_until").is_none() && item.get("failing_since").is_none(), "{item}");
}

#[tokio::test]
async fn a_paused_endpoint_gets_few_requests() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    let hook = service.add_webhook(123, &receiver.url(), &[]).await;
    receiver.behave(|_, _| Behaviour::Answer(500));
    create(&service, 20).await;
    service.process_streams().await;
    let hour = Duration::from_secs(3600);
    let _deliveries = service.deliver(DeliveryTimes { first_pause: hour, longest_pause: hour, ..fast() });
    hook.wait_for_pause(&service).await;
    let hidden = || service.queue.hidden_for(hour - Duration::from_secs(60));
    wait(|| hidden() == 20, || format!("{} messages are hidden", hidden())).await;
    // As many as there were executions when the pause began.
    assert!(receiver.received().len() <= 10, "{}", receiver.received().len());
}

#[tokio::test]
async fn a_receiver_can_ask_for_a_later_attempt() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    let hook = service.add_webhook(123, &receiver.url(), &[]).await;
    receiver.behave(|_, _| Behaviour::AnswerWith(429, "retry-after", "3600".into()));
    create(&service, 1).await;
    service.process_streams().await;
    let _deliveries = service.deliver(fast());
    let record = hook.wait_for_records(&service, |records| records.len() == 1).await.remove(0);
    let seconds = |item: &Value, from: &str, to: &str| {
        let at = |name: &str| shared::base::time::Timestamp::parse(item[name].as_str().unwrap()).unwrap();
        at(to).seconds_since(at(from))
    };
    assert_eq!(record["state"], "pending");
    assert!((3599..=3600).contains(&seconds(&record, "attempted_at", "next_attempt_at")), "{record}");
    let item = hook.item(&service).await;
    assert!((3599..=3600).contains(&seconds(&item, "failing_since", "paused_until")), "{item}");
}

#[tokio::test]
async fn no_endpoint_waits_for_one_that_hangs() {
    let service = Service::start_with_streams().await;
    let (slow, fast_one) = (Receiver::start().await, Receiver::start().await);
    service.add_webhook(123, &slow.url(), &[]).await;
    service.add_webhook(123, &fast_one.url(), &[]).await;
    slow.behave(|_, _| Behaviour::Hang);
    create(&service, 5).await;
    service.process_streams().await;
    let started = Instant::now();
    let timeout = Duration::from_secs(15);
    let _deliveries = service.deliver(DeliveryTimes { timeout, ..fast() });
    let received = fast_one.wait_for(5).await;
    let last = received.iter().map(|received| received.at).max().unwrap();
    assert!(last.duration_since(started) < Duration::from_secs(5), "{:?}", last.duration_since(started));
    assert!(slow.accepted().is_empty());
}

#[tokio::test]
async fn a_slow_endpoint_gets_one_request_at_a_time() {
    let service = Service::start_with_streams().await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    let hook = service.add_webhook(123, &slow.url(), &[]).await;
    slow.behave(|_, _| Behaviour::Slow(Duration::from_millis(500)));
    create(&service, 1).await;
    service.process_streams().await;
    let times = DeliveryTimes { slow: Duration::from_millis(300), probe: Duration::from_secs(1), ..fast() };
    let _deliveries = service.deliver(times);
    hook.wait_for_end(&service, 1).await;
    assert!(hook.item(&service).await["paused_until"].is_string());

    // Twelve messages for ten executions.
    service.add_webhook(123, &quick.url(), &[]).await;
    create(&service, 12).await;
    service.process_streams().await;
    quick.wait_for(12).await;
    assert!(slow.received().len() <= 6, "{}", slow.received().len());
    slow.behave(|_, _| Behaviour::Answer(200));
    slow.wait_for(13).await;
    hook.wait_for_end(&service, 13).await;
    assert!(hook.item(&service).await.get("paused_until").is_none());
}

#[tokio::test]
async fn a_message_that_the_queue_delivers_again_is_not_sent_again() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    let hook = service.add_webhook(123, &receiver.url(), &[]).await;
    create(&service, 1).await;
    service.process_streams().await;
    let body = service.queue.bodies().remove(0).to_string();
    let _deliveries = service.deliver(fast());
    let records = hook.wait_for_end(&service, 1).await;
    service.queue.send("group", "again", &body);
    wait(|| service.queue.bodies().is_empty(), || "it is still in the queue".into()).await;
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(hook.wait_for_end(&service, 1).await, records);
}

#[tokio::test]
async fn a_message_that_nobody_understands_blocks_no_other() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    service.add_webhook(123, &receiver.url(), &[]).await;
    for (number, poison) in ["", "null", "{}", "not json"].into_iter().enumerate() {
        service.queue.send("poison", &number.to_string(), poison);
    }
    create(&service, 1).await;
    service.process_streams().await;
    let _deliveries = service.deliver(fast());
    receiver.wait_for(1).await;
    wait(|| service.queue.bodies().len() == 4, || format!("{:?}", service.queue.bodies())).await;
}

#[tokio::test]
async fn messages_of_a_webhook_that_was_deleted_or_disabled_leave_the_queue() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    let (deleted, disabled): (Hook, Hook) = (
        service.add_webhook(123, &receiver.url(), &[]).await,
        service.add_webhook(123, &receiver.url(), &[]).await,
    );
    create(&service, 1).await;
    service.process_streams().await;
    assert_eq!(service.queue.bodies().len(), 2);
    service.delete_item(123, &deleted.sk()).await;
    let mut item = service.typed_item(123, &disabled.sk()).await;
    item["enabled"] = json!({"BOOL": false});
    service.put_typed_items(&[item]).await;
    let _deliveries = service.deliver(fast());
    let records = disabled.wait_for_end(&service, 1).await;
    assert_eq!([&records[0]["state"], &records[0]["error"]], ["failed", "disabled"]);
    wait(|| service.queue.bodies().is_empty(), || "it is still in the queue".into()).await;
    assert!(receiver.received().is_empty() && deleted.deliveries(&service).await.is_empty());
}
