//! Health: that the service runs, and the state of the services that it needs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Reply, Service, proxy::Fault};

const PATH: &str = "/api/v1/health";

async fn health(service: &Service) -> Reply {
    service.request("GET", PATH).send().await
}

/// The state of each service in a result.
fn states(health: &Value) -> BTreeMap<&str, &str> {
    let checks = health["checks"].as_object().unwrap().iter();
    checks.map(|(name, check)| (name.as_str(), check["status"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn liveness_calls_no_service_and_answers_as_the_predecessor_did() {
    let service = Service::start().await;
    service.drop_table().await;
    service.ums_proxy.rule(|_, _| Fault::Hang);
    service.linkshub_proxy.rule(|_, _| Fault::Hang);
    let alive = service.request("GET", "/health").send().await.expect(200);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        alive,
        json!({"status": "healthy", "service": "case_service", "version": version, "commit": "unknown"})
    );
    for proxy in [&service.dynamodb, &service.ums_proxy, &service.linkshub_proxy] {
        assert_eq!(proxy.take_calls(), [""; 0]);
    }
}

#[tokio::test]
async fn health_reports_the_state_and_the_latency_of_each_service() {
    let service = Service::start().await;
    service.ums_proxy.rule(|_, _| Fault::Slow(Duration::from_millis(50)));
    let mut found = health(&service).await.expect(200);
    assert!(found["checks"]["ums"]["latency_ms"].as_u64().unwrap() >= 50, "{found}");
    for name in ["table", "ums", "linkshub"] {
        assert!(found["checks"][name]["latency_ms"].take().as_u64().unwrap() <= 1100, "{found}");
    }
    let up = json!({"status": "up", "latency_ms": null});
    let checks = json!({"table": up, "ums": up, "linkshub": up});
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        found,
        json!({"status": "healthy", "service": "case_service", "version": version, "commit": "unknown", "checks": checks})
    );
}

#[tokio::test]
async fn a_service_is_down_without_an_answer_in_a_second_and_with_a_server_error() {
    for fault in
        [Fault::Hang, Fault::Answer(500, "{}".into()), Fault::Answer(503, "{}".into()), Fault::LoseAnswer]
    {
        let service = Service::start().await;
        let (ums, linkshub) = (fault.clone(), fault.clone());
        service.ums_proxy.rule(move |_, _| ums.clone());
        let reply = health(&service).await;
        assert_eq!(reply.header("retry-after"), Some("2"));
        let found = reply.expect(503);
        assert_eq!(found["status"], "unhealthy");
        assert_eq!(
            states(&found),
            [("linkshub", "up"), ("table", "up"), ("ums", "down")].into(),
            "{fault:?}"
        );

        let service = Service::start().await;
        service.linkshub_proxy.rule(move |_, _| linkshub.clone());
        let found = health(&service).await.expect(503);
        assert_eq!(
            states(&found),
            [("linkshub", "down"), ("table", "up"), ("ums", "up")].into(),
            "{fault:?}"
        );
    }
    // The real UMS has no health route.
    let service = Service::start().await;
    service.ums_proxy.rule(|_, _| Fault::Answer(404, "{}".into()));
    health(&service).await.expect(200);
}

#[tokio::test]
async fn the_services_are_asked_at_the_same_time() {
    let service = Service::start().await;
    service.dynamodb.rule(|_, _| Fault::Hang);
    service.ums_proxy.rule(|_, _| Fault::Hang);
    service.linkshub_proxy.rule(|_, _| Fault::Hang);
    let started = Instant::now();
    let found = health(&service).await.expect(503);
    assert_eq!(states(&found), [("linkshub", "down"), ("table", "down"), ("ums", "down")].into());
    assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn without_linkshub_health_does_not_mention_it() {
    let service = Service::start_with(&[("LINKSHUB_BASE_URL", "")]).await;
    let found = health(&service).await.expect(200);
    assert_eq!(states(&found), [("table", "up"), ("ums", "up")].into());
}

#[tokio::test]
async fn a_result_is_used_for_five_seconds_and_simultaneous_checks_share_one() {
    let service = Service::start().await;
    let status = Arc::new(AtomicU16::new(500));
    let answered = status.clone();
    service.ums_proxy.rule(move |_, _| Fault::Answer(answered.load(Ordering::Relaxed), "{}".into()));
    let started = Instant::now();
    for reply in join_all((0..64).map(|_| health(&service))).await {
        reply.expect(503);
    }
    assert_eq!(service.ums_proxy.take_calls(), ["/health"]);
    assert_eq!(service.linkshub_proxy.take_calls(), ["/health"]);
    assert_eq!(service.dynamodb.take_calls(), ["GetItem"]);
    status.store(200, Ordering::Relaxed);
    let deadline = started + Duration::from_secs(20);
    while health(&service).await.status == 503 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(started.elapsed() >= Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(service.ums_proxy.take_calls(), ["/health"]);
}

#[tokio::test]
async fn a_health_check_opens_no_circuit() {
    let service = Service::start_tuned(&[], |config| config.outage_pause = Duration::from_secs(3600)).await;
    service
        .ums_proxy
        .rule(|path, _| if path == "/health" { Fault::Answer(500, "{}".into()) } else { Fault::Pass });
    for _ in 0..10 {
        health(&service).await.expect(503);
    }
    service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
}
