//! Every kind of failure of UMS and LinksHub: the service answers 503 in time, writes nothing, and recovers by itself.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use local::linkshub::{Catalogue, Doctor, Product, Relation};
use serde_json::{Value, json};

use crate::harness::{
    Reply, Service,
    proxy::{Fault, Proxy},
    reply::retry_until_success,
    tcp_proxy::TcpProxy,
};

/// Failures in which the dependency accepts the connection, but does not give a usable answer in time.
fn failures(another: &Value) -> Vec<(&'static str, Fault)> {
    vec![
        ("hanging", Fault::Hang),
        ("slow", Fault::Slow(Duration::from_secs(5))),
        ("an answer that breaks off", Fault::LoseAnswer),
        ("html", Fault::Answer(200, "<html>It works!</html>".into())),
        ("500", Fault::Answer(500, "{\"error\": \"Invalid fields\"}".into())),
        ("502 in html", Fault::Answer(502, "<html>Bad gateway</html>".into())),
        ("ten megabytes", Fault::Answer(200, format!("{{\"is_active\":\"{}\"}}", "x".repeat(10_000_000)))),
        ("wrong json", Fault::Answer(200, "{\"user\":[],\"is_active\":\"yes\"}".into())),
        ("broken json", Fault::Answer(200, "{\"user\":{\"id\":1,".into())),
        ("the data of another", Fault::Answer(200, another.to_string())),
    ]
}

/// A request that needs the dependency. It is sent during an outage and after it.
struct Outage<'a, F: Future<Output = Reply>, S: Fn() -> F> {
    dependency: &'static str,
    service: &'a Service,
    send: S,
}

impl<F: Future<Output = Reply>, S: Fn() -> F> Outage<'_, F, S> {
    /// Prints how long the request took: `cargo test -p tests outages -- --nocapture`.
    async fn expect_503(&self, what: &str) {
        let before = self.service.items(123).await;
        let started = Instant::now();
        (self.send)().await.expect_problem(503, "service_unavailable");
        println!("{}, {what}: 503 after {} ms", self.dependency, started.elapsed().as_millis());
        assert_eq!(self.service.items(123).await, before, "{} {what}", self.dependency);
    }

    /// Goes through all bad answers; the dependency recovers after each.
    async fn fail_answers(&self, proxy: &Proxy, another: &Value) {
        for (what, fault) in failures(another) {
            proxy.rule(move |_, _| fault.clone());
            self.expect_503(what).await;
            proxy.heal();
            retry_until_success(&self.send).await;
        }
    }

    /// Goes through all failures of connections; the dependency recovers after each.
    async fn fail_connections(&self, tcp_proxy: &TcpProxy) {
        tcp_proxy.stop().await;
        self.expect_503("killed").await;
        tcp_proxy.forward().await;
        retry_until_success(&self.send).await;
        tcp_proxy.reset().await;
        self.expect_503("resetting").await;
        tcp_proxy.forward().await;
        retry_until_success(&self.send).await;
    }
}

#[tokio::test]
async fn no_ums_failure_lets_anybody_in_and_the_service_recovers_by_itself() {
    let another = json!({"user": {"id": 2, "is_active": true, "locked_until": null}, "is_active": true});
    let with_ums = Service::start().await;
    let send = || with_ums.as_user("admin", "GET", "/api/v1/cases").send();
    let outage = Outage { dependency: "UMS", service: &with_ums, send };
    outage.fail_answers(&with_ums.ums_proxy, &another).await;

    // The TCP proxy leads to the UMS of the first service: it has the same users and the same key.
    let tcp_proxy = TcpProxy::start(with_ums.ums_proxy.url()).await;
    let service = Service::start_with(&[("UMS_BASE_URL", &tcp_proxy.url())]).await;
    let send = || service.as_user("admin", "GET", "/api/v1/cases").send();
    Outage { dependency: "UMS", service: &service, send }.fail_connections(&tcp_proxy).await;
}

/// Adds so many doctors and products that each request can name one that is not in any cache.
fn fill(catalogue: &mut Catalogue) {
    for number in 0..5000 {
        let id = format!("doctor_new_{number}");
        catalogue.relations.push(Relation::new(&id, 123));
        catalogue.doctors.push(Doctor::new(&id, "Mae", "Ito", "Prosthodontics"));
        catalogue.products.push(Product::new(&format!("product_new_{number}"), "Crown"));
    }
}

#[tokio::test]
async fn no_linkshub_failure_lets_an_unchecked_doctor_in_and_the_service_recovers_by_itself() {
    let another =
        json!({"doctor_id": "doctor_456", "first_name": "Tom", "product_id": "PROD001", "is_active": true});
    let with_linkshub = Service::start().await;
    with_linkshub.linkshub.update(fill);
    let tcp_proxy = TcpProxy::start(with_linkshub.linkshub_proxy.url()).await;
    let behind_tcp_proxy = Service::start_with(&[("LINKSHUB_BASE_URL", &tcp_proxy.url())]).await;
    let next = AtomicU32::new(0);
    let next = || next.fetch_add(1, Ordering::Relaxed);
    for service in [&with_linkshub, &behind_tcp_proxy] {
        let create = || {
            let number = next();
            let named = json!({"procedure_type": "Crown", "doctor_id": format!("doctor_new_{number}"),
                "product_id": format!("product_new_{number}")});
            service.as_user("admin", "POST", "/api/v1/cases").json(named).send()
        };
        let look = || {
            let path = format!("/api/v1/cases/doctor-info/doctor_new_{}", next());
            async move { service.as_user("admin", "GET", &path).send().await }
        };
        let creation = Outage { dependency: "LinksHub at a creation", service, send: create };
        let look = Outage { dependency: "LinksHub at doctor-info", service, send: look };
        if std::ptr::eq(service, &with_linkshub) {
            creation.fail_answers(&service.linkshub_proxy, &another).await;
            look.fail_answers(&service.linkshub_proxy, &another).await;
        } else {
            creation.fail_connections(&tcp_proxy).await;
            look.fail_connections(&tcp_proxy).await;
        }
    }
}
