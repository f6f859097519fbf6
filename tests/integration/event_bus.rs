//! The event bus: it gets the message of each change, and what it does not take comes again.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, body::Bytes, extract::State, http::StatusCode, response::IntoResponse};
use local::server::Server;
use serde_json::{Value, json};

use crate::harness::Service;

/// A stand-in for EventBridge. It keeps the events that it takes.
#[derive(Clone, Default)]
struct Bus {
    taken: Arc<Mutex<Vec<Value>>>,
    /// What it does with the next calls: the places of the entries that it refuses; `None` for a failing call. Then it takes all.
    faults: Arc<Mutex<Vec<Option<Vec<usize>>>>>,
}

impl Bus {
    async fn serve(&self) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Server::start("EventBridge", listener, Router::new().fallback(put_events).with_state(self.clone()))
            .unwrap()
    }

    /// The case, the version and the type of each event that it took.
    fn taken(&self) -> Vec<(u64, u64, String)> {
        let details = self.taken.lock().unwrap().clone().into_iter().map(|event| {
            let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
            assert_eq!(event["DetailType"], detail["type"]);
            let data = &detail["data"];
            let (case, version) = (data["case_id"].as_u64().unwrap(), data["version"].as_u64().unwrap());
            (case, version, detail["type"].as_str().unwrap().to_owned())
        });
        details.collect()
    }
}

async fn put_events(State(bus): State<Bus>, body: Bytes) -> impl IntoResponse {
    let call: Value = serde_json::from_slice(&body).unwrap();
    let entries = call["Entries"].as_array().unwrap();
    assert!(entries.len() <= 10);
    let mut faults = bus.faults.lock().unwrap();
    let fault = if faults.is_empty() { Some(Vec::new()) } else { faults.remove(0) };
    let Some(refused) = fault else {
        return (StatusCode::BAD_REQUEST, Json(json!({"__type": "ResourceNotFoundException"})));
    };
    let answers = entries.iter().enumerate().map(|(place, entry)| {
        if refused.contains(&place) {
            return json!({"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"});
        }
        bus.taken.lock().unwrap().push(entry.clone());
        json!({"EventId": place.to_string()})
    });
    let answers: Vec<Value> = answers.collect();
    (StatusCode::OK, Json(json!({"FailedEntryCount": refused.len(), "Entries": answers})))
}

async fn service_with(bus: &Bus) -> (Service, Server) {
    let server = bus.serve().await;
    let mut service = Service::start_with_streams().await;
    service.set("EVENT_BUS_NAME", "lab-events");
    service.set("AWS_ENDPOINT_URL_EVENTBRIDGE", server.url());
    (service, server)
}

async fn create(service: &Service) {
    service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
}

#[tokio::test]
async fn the_bus_gets_the_message_of_each_change_without_patient_data() {
    let bus = Bus::default();
    let (service, _server) = service_with(&bus).await;
    create(&service).await;
    let body = json!({"status": "in_progress"});
    let changed = service.as_user("admin", "PATCH", "/api/v1/cases/1/status").json(body).send().await;
    let case = changed.expect(200);
    service.process_streams().await;

    let events = bus.taken.lock().unwrap().clone();
    assert!(!format!("{events:?}").contains("Jane"));
    let [_, event] = &events[..] else { panic!("{events:?}") };
    let mut event = event.clone();
    let detail: Value = serde_json::from_str(event["Detail"].take().as_str().unwrap()).unwrap();
    assert_eq!(
        event,
        json!({
            "Source": "lhcms", "DetailType": "case.status_changed", "EventBusName": "lab-events", "Detail": null,
        })
    );
    assert_eq!(
        detail,
        json!({
            "type": "case.status_changed", "timestamp": case["updated_at"], "schema": 1,
            "data": {
                "lab_id": 123, "case_id": 1, "case_number": case["case_number"], "version": 2,
                "status_from": "pending", "status_to": "in_progress",
            },
        })
    );
}

#[tokio::test]
async fn what_the_bus_does_not_take_comes_again_and_nothing_is_lost() {
    let bus = Bus::default();
    let (service, _server) = service_with(&bus).await;
    for _ in 0..12 {
        create(&service).await;
    }
    *bus.faults.lock().unwrap() = vec![None, Some(vec![]), Some(vec![3])];
    // The first batch is refused as a whole, the second in part.
    for _ in 0..2 {
        let (_, report) = service.process_next_batch().await.unwrap();
        assert_eq!(report.batch_item_failures.len(), 1);
    }
    service.process_streams().await;
    let mut taken = bus.taken();
    taken.sort();
    taken.dedup();
    let expected: Vec<(u64, u64, String)> = (1..=12).map(|case| (case, 1, "case.created".into())).collect();
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn nothing_is_put_on_a_bus_that_is_not_configured() {
    let bus = Bus::default();
    let server = bus.serve().await;
    let mut service = Service::start_with_streams().await;
    service.set("AWS_ENDPOINT_URL_EVENTBRIDGE", server.url());
    create(&service).await;
    service.process_streams().await;
    assert_eq!(bus.taken(), []);
}
