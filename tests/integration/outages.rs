//! UMS and LinksHub in every kind of trouble: a clear status in time, nothing written, and afterwards the service goes on by
//! itself.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use local::linkshub::{Catalogue, Doctor, Product, Relation};
use serde_json::{Value, json};

use crate::harness::{
    Reply, Service,
    proxy::{Fate, Proxy},
    reply::until_it_works,
    tcp_proxy::Gate,
};

/// Troubles in which connections are made and requests answered, if badly.
fn troubles(another: &Value) -> Vec<(&'static str, Fate)> {
    vec![
        ("hanging", Fate::Hang),
        ("slow", Fate::Slow(Duration::from_secs(5))),
        ("an answer that breaks off", Fate::LoseAnswer),
        ("html", Fate::Answer(200, "<html>It works!</html>".into())),
        ("500", Fate::Answer(500, "{\"error\": \"Invalid fields\"}".into())),
        ("502 in html", Fate::Answer(502, "<html>Bad gateway</html>".into())),
        ("ten megabytes", Fate::Answer(200, format!("{{\"is_active\":\"{}\"}}", "x".repeat(10_000_000)))),
        ("wrong json", Fate::Answer(200, "{\"user\":[],\"is_active\":\"yes\"}".into())),
        ("broken json", Fate::Answer(200, "{\"user\":{\"id\":1,".into())),
        ("the data of another", Fate::Answer(200, another.to_string())),
    ]
}

/// A request that needs the neighbour, in the middle of an outage and after it.
struct Outage<'a, F: Future<Output = Reply>, S: Fn() -> F> {
    neighbour: &'static str,
    service: &'a Service,
    send: S,
}

impl<F: Future<Output = Reply>, S: Fn() -> F> Outage<'_, F, S> {
    /// Says how long it took; `cargo test -p tests outages -- --nocapture` shows it.
    async fn refuses(&self, what: &str) {
        let before = self.service.items(123).await;
        let started = Instant::now();
        (self.send)().await.expect_problem(503, "service_unavailable");
        println!("{}, {what}: 503 after {} ms", self.neighbour, started.elapsed().as_millis());
        assert_eq!(self.service.items(123).await, before, "{} {what}", self.neighbour);
    }

    /// Every trouble, one after the other, each with a recovery.
    async fn go_through(&self, proxy: &Proxy, another: &Value) {
        for (what, fate) in troubles(another) {
            proxy.rule(move |_, _| fate.clone());
            self.refuses(what).await;
            proxy.heal();
            until_it_works(&self.send).await;
        }
    }

    /// The troubles of connections.
    async fn at(&self, gate: &Gate) {
        gate.shut().await;
        self.refuses("killed").await;
        gate.open().await;
        until_it_works(&self.send).await;
        gate.reset().await;
        self.refuses("resetting").await;
        gate.open().await;
        until_it_works(&self.send).await;
    }
}

#[tokio::test]
async fn no_ums_failure_lets_anybody_in_and_the_service_recovers_by_itself() {
    let another = json!({"user": {"id": 2, "is_active": true, "locked_until": null}, "is_active": true});
    let with_ums = Service::start().await;
    let send = || with_ums.as_user("admin", "GET", "/api/v1/cases").send();
    let outage = Outage { neighbour: "UMS", service: &with_ums, send };
    outage.go_through(&with_ums.ums_proxy, &another).await;

    // Behind the gate stands the UMS of the service before: the same people and the same key.
    let gate = Gate::start(with_ums.ums_proxy.url()).await;
    let service = Service::start_with(&[("UMS_BASE_URL", &gate.url())]).await;
    let send = || service.as_user("admin", "GET", "/api/v1/cases").send();
    Outage { neighbour: "UMS", service: &service, send }.at(&gate).await;
}

/// So many doctors and products that each request can name one that nothing is known of yet.
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
    let gate = Gate::start(with_linkshub.linkshub_proxy.url()).await;
    let behind_gate = Service::start_with(&[("LINKSHUB_BASE_URL", &gate.url())]).await;
    let next = AtomicU32::new(0);
    let next = || next.fetch_add(1, Ordering::Relaxed);
    for service in [&with_linkshub, &behind_gate] {
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
        let creation = Outage { neighbour: "LinksHub at a creation", service, send: create };
        let look = Outage { neighbour: "LinksHub at doctor-info", service, send: look };
        if std::ptr::eq(service, &with_linkshub) {
            creation.go_through(&service.linkshub_proxy, &another).await;
            look.go_through(&service.linkshub_proxy, &another).await;
        } else {
            creation.at(&gate).await;
            look.at(&gate).await;
        }
    }
}
