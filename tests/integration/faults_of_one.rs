//! A caller or an id whose look-ups fail: nobody else notices. Twenty users work while one to three others fail.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use local::{
    linkshub::{Doctor, Relation},
    ums::{Directory, Membership, User},
};
use serde_json::json;

use crate::harness::{Service, proxy::Fault, reply::retry_until_success};

/// The users who work, and the users whose calls fail.
const WORKING: std::ops::Range<i64> = 100..120;
const FAILING: std::ops::Range<i64> = 200..203;
/// The rounds of requests that each user sends, one after the other.
const ROUNDS: usize = 4;

fn add_users(directory: &mut Directory) {
    for id in WORKING.chain(FAILING) {
        directory.users.push(User::new(id, &format!("user-{id}"), "password"));
        directory.memberships.push(Membership::new(id, 123, "member"));
    }
}

/// A service with these users. A circuit that opens stays open for longer than the test runs.
async fn service() -> Service {
    let service = Service::start_tuned(&[], |config| {
        config.outage_pause = Duration::from_secs(3600);
        config.retry_budget = Duration::from_secs(8);
    })
    .await;
    service.ums.update(add_users);
    service.linkshub.update(|catalogue| {
        for number in 0..200 {
            let id = format!("doctor_new_{number}");
            catalogue.relations.push(Relation::new(&id, 123));
            catalogue.doctors.push(Doctor::new(&id, "Mae", "Ito", "Prosthodontics"));
        }
    });
    service
}

/// How many requests got which status.
type Figures = BTreeMap<u16, usize>;

fn sum(all: Vec<Figures>) -> Figures {
    let mut sum = Figures::new();
    for (status, count) in all.into_iter().flatten() {
        *sum.entry(status).or_default() += count;
    }
    sum
}

/// The requests of one user: each round reads, and the last one creates a case. Each request has a new token, so UMS is
/// asked for each; each doctor is new, so LinksHub is too.
async fn work(service: &Service, user: i64) -> Figures {
    let mut figures = Figures::new();
    let mut count = |status| *figures.entry(status).or_default() += 1;
    let token = || service.ums.access_token(user);
    let doctor = |round| format!("doctor_new_{}", (user - WORKING.start) as usize * 2 * ROUNDS + round);
    for round in 0..ROUNDS {
        let path = format!("/api/v1/cases/doctor-info/{}", doctor(round));
        for path in ["/api/v1/cases", &path] {
            count(service.request("GET", path).token(&token()).send().await.status);
        }
    }
    let named = json!({"procedure_type": "Crown", "doctor_id": doctor(ROUNDS)});
    count(service.request("POST", "/api/v1/cases").token(&token()).json(named).send().await.status);
    figures
}

/// The requests of a user for whom UMS fails.
async fn fail(service: &Service, user: i64) -> Figures {
    let mut figures = Figures::new();
    for _ in 0..ROUNDS * 4 {
        let call = service.request("GET", "/api/v1/cases").token(&service.ums.access_token(user));
        *figures.entry(call.send().await.status).or_default() += 1;
        tokio::task::yield_now().await;
    }
    figures
}

/// Requests about a doctor for whom LinksHub fails, as the seeded admin.
async fn ask_for_failing_doctor(service: &Service, doctor: &str) -> Figures {
    let mut figures = Figures::new();
    for _ in 0..ROUNDS * 4 {
        let path = format!("/api/v1/cases/doctor-info/{doctor}");
        let reply = service.as_user("admin", "GET", &path).send().await;
        *figures.entry(reply.status).or_default() += 1;
        let named = json!({"procedure_type": "Crown", "doctor_id": doctor, "product_id": "PROD001"});
        let reply = service.as_user("admin", "POST", "/api/v1/cases").json(named).send().await;
        *figures.entry(reply.status).or_default() += 1;
    }
    figures
}

#[tokio::test]
async fn twenty_users_work_while_a_user_and_a_doctor_fail() {
    for failing_users in [1, 3] {
        let service = service().await;
        service.ums.update(|directory| {
            directory.failing_users = vec![FAILING.start, FAILING.start + 1];
            // The answer about the third is too large.
            directory.user_mut(FAILING.start + 2).unwrap().first_name = "x".repeat(300_000);
        });
        service.linkshub_proxy.rule(|path, _| {
            if path.contains("doctor_bad") { Fault::Answer(500, "{}".into()) } else { Fault::Pass }
        });
        // An answer to somebody else comes first, as on an instance that is in use.
        service.as_user("admin", "GET", "/api/v1/cases/doctor-info/DOC001").send().await.expect(200);
        let failing = FAILING.start..FAILING.start + failing_users;
        let (working, failed, doctor) = tokio::join!(
            join_all(WORKING.map(|user| work(&service, user))),
            join_all(failing.map(|user| fail(&service, user))),
            ask_for_failing_doctor(&service, "doctor_bad"),
        );
        let (working, failed) = (sum(working), sum(failed));
        println!(
            "{failing_users} failing users: {failed:?}; failing doctor: {doctor:?}; twenty other users: {working:?}"
        );
        assert_eq!(working, [(200, 20 * 2 * ROUNDS), (201, 20)].into());
        let all_failed = failing_users as usize * ROUNDS * 4;
        assert_eq!(failed, [(503, all_failed)].into());
        assert_eq!(doctor, [(503, ROUNDS * 8)].into());
    }
}

#[tokio::test]
async fn a_failing_user_gets_fast_answers_and_causes_few_calls() {
    let service = service().await;
    service.ums.update(|directory| directory.failing_users = vec![FAILING.start]);
    for _ in 0..50 {
        let call = service.request("GET", "/api/v1/cases").token(&service.ums.access_token(FAILING.start));
        call.send().await.expect_problem(503, "service_unavailable");
    }
    let mut calls = service.ums_proxy.take_calls();
    calls.dedup();
    let about_the_user = calls.iter().filter(|path| path.as_str() == "/api/auth/me").count();
    assert_eq!(about_the_user, 2, "{calls:?}");
}

#[tokio::test]
async fn the_last_answer_of_a_failing_doctor_does_not_cancel_the_product_of_the_same_case() {
    let service = service().await;
    service.linkshub_proxy.rule(|path, _| {
        if path.contains("doctor_bad") {
            Fault::Answer(500, "{}".into())
        } else {
            Fault::Slow(Duration::from_millis(20))
        }
    });
    for _ in 0..10 {
        let named = json!({"procedure_type": "Crown", "doctor_id": "doctor_bad", "product_id": "PROD001"});
        let reply = service.as_user("admin", "POST", "/api/v1/cases").json(named).send().await;
        reply.expect_problem(503, "service_unavailable");
    }
    let named = json!({"procedure_type": "Crown", "doctor_id": "DOC001", "product_id": "PROD001"});
    service.create("admin", named).await;
}

#[tokio::test]
async fn a_real_outage_gets_fast_answers_for_all_and_ends_by_itself() {
    let service = Service::start().await;
    service.ums.update(add_users);
    service.ums_proxy.rule(|_, _| Fault::Hang);
    let ask = |user| {
        let call = service.request("GET", "/api/v1/cases").token(&service.ums.access_token(user));
        async { (Instant::now(), call.send().await) }
    };
    for (_, reply) in join_all((100..103).map(ask)).await {
        reply.expect_problem(503, "service_unavailable");
    }
    service.ums_proxy.take_calls();
    let started = Instant::now();
    for user in (100..120).chain(100..120) {
        ask(user).await.1.expect_problem(503, "service_unavailable");
    }
    println!("40 requests of 20 users in an outage: {} ms", started.elapsed().as_millis());
    // A probe is allowed after the pause; it waits for two seconds.
    assert!(service.ums_proxy.take_calls().len() <= 4);
    service.ums_proxy.heal();
    for user in WORKING {
        retry_until_success(|| async { ask(user).await.1 }).await;
    }
}
