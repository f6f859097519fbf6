//! Webhooks from the change to the receiver: what is sent, in which order, and what is recorded.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{
    Service,
    deliveries::{Receiver, fast, wait},
};

fn crown(name: &str) -> Value {
    json!({"procedure_type": "Crown", "patient_name": name, "notes": "Upper left molar"})
}

async fn change(service: &Service, method: &str, path: &str, body: Value) {
    let reply = service.as_user("admin", method, &format!("/api/v1/cases/{path}")).json(body).send().await;
    assert!((200..300).contains(&reply.status), "{method} {path}: {}", reply.status);
}

/// Makes one change of each kind, and hands them to the queue.
async fn change_in_every_way(service: &Service) {
    service.create("admin", crown("Jane Roe")).await;
    change(service, "PUT", "1", json!({"notes": "Contact is open"})).await;
    change(service, "PATCH", "1/status", json!({"status": "in_progress"})).await;
    change(service, "POST", "1/comments", json!({"text": "Jane Roe called"})).await;
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    service.as_user("admin", "POST", "/api/v1/cases/1/restore").send().await.expect(200);
    service.process_streams().await;
}

#[tokio::test]
async fn each_change_is_delivered_in_its_order_signed_and_without_patient_data() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    let hook = service.add_webhook(123, &receiver.url(), &[]).await;
    let _deliveries = service.deliver(fast());
    change_in_every_way(&service).await;

    let received = receiver.wait_for(6).await;
    let case = service.as_user("admin", "GET", "/api/v1/cases/1").send().await.expect(200);
    let number = &case["case_number"];
    let told: Vec<(&str, Value)> = received
        .iter()
        .map(|received| (received.body["type"].as_str().unwrap(), received.body["data"].clone()))
        .collect();
    let data = |version: u64, from: Option<&str>, to: Option<&str>| {
        json!({
            "lab_id": 123, "case_id": 1, "case_number": number, "version": version, "status_from": from, "status_to": to,
        })
    };
    let (pending, progress) = (Some("pending"), Some("in_progress"));
    let expected = [
        ("case.created", data(1, None, pending)),
        ("case.updated", data(2, pending, pending)),
        ("case.status_changed", data(3, pending, progress)),
        ("case.commented", data(4, progress, progress)),
        ("case.deleted", data(5, progress, None)),
        ("case.restored", data(6, None, progress)),
    ];
    assert_eq!(told, expected);
    for received in &received {
        received.verify(&hook.secrets);
        let members: Vec<&String> = received.body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["type", "timestamp", "schema", "data"]);
        let digits: String = received.body["timestamp"].as_str().unwrap().replace(['-', ':', '.'], "");
        let (case, version) = received.version();
        assert_eq!(received.id, format!("{digits}-{case}-{version}"));
        assert!(!received.body.to_string().contains("Jane"));
    }

    let records = hook.wait_for_end(&service, 6).await;
    for (record, received) in records.iter().zip(&received) {
        assert_eq!(record["message"], received.body);
        let outcome = [&record["state"], &record["attempts"], &record["round"], &record["response_status"]];
        assert_eq!(outcome, [&json!("delivered"), &json!(1), &json!(1), &json!(200)]);
        assert!(record["latency_ms"].is_u64() && record["attempted_at"].is_string());
        assert!(record.get("error").is_none() && record.get("next_attempt_at").is_none());
    }
    assert!(service.queue.bodies().is_empty());
    // Deliveries that succeed leave the webhook as it is.
    assert_eq!(hook.item(&service).await["version"], 1);
    assert!(hook.item(&service).await.get("paused_until").is_none());
}

#[tokio::test]
async fn a_webhook_gets_the_types_that_it_wants_of_its_own_lab() {
    let service = Service::start_with_streams().await;
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    service.add_webhook(123, &one.url(), &["case.status_changed", "case.deleted"]).await;
    service.add_webhook(456, &other.url(), &[]).await;
    let _deliveries = service.deliver(fast());
    service.create("northgate", crown("Jane Roe")).await;
    change_in_every_way(&service).await;
    let of_one: Vec<Value> = one.wait_for(2).await.into_iter().map(|it| it.body["type"].clone()).collect();
    assert_eq!(of_one, ["case.status_changed", "case.deleted"]);
    let of_other = other.wait_for(1).await;
    assert_eq!(of_other[0].body["data"]["lab_id"], 456);
    wait(|| service.queue.bodies().is_empty(), || "a message is still in the queue".into()).await;
    assert_eq!((one.received().len(), other.received().len()), (2, 1));
}

#[tokio::test]
async fn changes_that_are_published_again_have_the_same_ids() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    service.add_webhook(123, &receiver.url(), &[]).await;
    change_in_every_way(&service).await;
    let first = service.queue.bodies();
    assert_eq!(first.len(), 6);
    // Within five minutes the queue drops them; later the record of the delivery does.
    service.deliver_again(2).await;
    assert_eq!(service.queue.bodies(), first);
    let _deliveries = service.deliver(fast());
    receiver.wait_for(6).await;
    service.queue.forget_duplicates();
    service.deliver_again(2).await;
    wait(|| service.queue.bodies().is_empty(), || format!("{:?}", service.queue.bodies())).await;
    assert_eq!(receiver.received().len(), 6);
}

#[tokio::test]
async fn publishing_that_fails_in_the_middle_loses_nothing_and_keeps_the_order() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    service.add_webhook(123, &receiver.url(), &[]).await;
    for number in 1..=4 {
        service.create("admin", crown("Jane Roe")).await;
        change(&service, "PUT", &number.to_string(), json!({"notes": "Contact is open"})).await;
        change(&service, "PATCH", &format!("{number}/status"), json!({"status": "in_progress"})).await;
    }
    for accepted in [0, 1, 5, 7] {
        service.queue.refuse_after(accepted);
        let (_, report) = service.process_next_batch().await.unwrap();
        assert_eq!(report.batch_item_failures.len(), 1, "{accepted}");
    }
    service.queue.heal();
    service.process_streams().await;
    let _deliveries = service.deliver(fast());
    receiver.wait_for(12).await;
    let ids: BTreeSet<String> = receiver.received().into_iter().map(|received| received.id).collect();
    assert_eq!((ids.len(), receiver.received().len()), (12, 12));
    assert_eq!(receiver.versions(), (1..=4).map(|case| (case, vec![1, 2, 3])).collect());
}
