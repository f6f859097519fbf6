//! Random walks: several users send random requests about the cases of two labs, some of them at the same time.
//! Afterwards the table, the histories, the statistics and the feed must agree with each other and with the responses.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use crate::harness::{Reply, Service};

/// The users and their labs. The walks make `northgate` an administrator.
const USERS: [(&str, &[i64]); 5] = [
    ("admin", &[123]),
    ("member", &[123]),
    ("technician", &[123]),
    ("northgate", &[456]),
    ("both", &[123, 456]),
];

const STATUSES: [&str; 9] = [
    "pending",
    "in_progress",
    "on_hold",
    "quality_check",
    "completed",
    "shipped",
    "delivered",
    "returned",
    "cancelled",
];

/// The workflow, written a second time, so that a defect in the first does not hide.
fn is_legal(from: &str, to: &str) -> bool {
    let next: &[&str] = match from {
        "pending" => &["in_progress", "on_hold", "cancelled"],
        "in_progress" => &["quality_check", "completed", "on_hold", "returned", "cancelled"],
        "on_hold" => &["pending", "in_progress", "cancelled"],
        "quality_check" => &["completed", "in_progress", "on_hold"],
        "completed" => &["shipped", "in_progress", "returned"],
        "shipped" => &["delivered", "returned"],
        "returned" => &["in_progress", "cancelled"],
        _ => &[],
    };
    next.contains(&to)
}

/// One request.
#[derive(Clone, Debug)]
struct Step {
    user: usize,
    lab: usize,
    /// The id of the case. The labs have few cases, so that walks collide.
    case: u64,
    action: Action,
    /// The version in `If-Match`, if the header is sent.
    only: Option<u32>,
    /// The number of the idempotency key, if one is sent.
    key: Option<u8>,
    /// Whether the next step starts before this one ends.
    at_once: bool,
}

#[derive(Clone, Debug)]
enum Action {
    Create { status: usize },
    Update { notes: u8, status: Option<usize> },
    Move { status: usize, with_reason: bool },
    MoveMany { status: usize },
    Delete,
    Restore,
    Remake,
    Comment { asks: bool },
    RemoveComment { number: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let status = 0..STATUSES.len();
    let action = prop_oneof![
        3 => (0..3usize).prop_map(|status| Action::Create { status }),
        3 => (0..3u8, prop::option::weighted(0.2, status.clone())).prop_map(|(notes, status)| Action::Update { notes, status }),
        8 => (status.clone(), prop::bool::weighted(0.8)).prop_map(|(status, with_reason)| Action::Move { status, with_reason }),
        1 => status.prop_map(|status| Action::MoveMany { status }),
        1 => Just(Action::Delete),
        2 => Just(Action::Restore),
        1 => Just(Action::Remake),
        3 => prop::bool::ANY.prop_map(|asks| Action::Comment { asks }),
        1 => (1..4u8).prop_map(|number| Action::RemoveComment { number }),
    ];
    let user = select((0..USERS.len()).collect::<Vec<_>>());
    let only = prop::option::weighted(0.15, 1..5u32);
    let key = prop::option::weighted(0.2, 0..3u8);
    (user, 0..2usize, 1..6u64, action, only, key, prop::bool::weighted(0.3)).prop_map(
        |(user, lab, case, action, only, key, at_once)| Step { user, lab, case, action, only, key, at_once },
    )
}

async fn take(service: &Service, step: &Step) -> Reply {
    let (user, labs) = USERS[step.user];
    let path = |rest: &str| format!("/api/v1/cases/{}{rest}", step.case);
    let (method, path, body) = match &step.action {
        Action::Create { status } => {
            let body =
                json!({"procedure_type": "Crown", "status": STATUSES[*status], "patient_name": "Jane Roe"});
            ("POST", "/api/v1/cases".to_owned(), Some(body))
        }
        Action::Update { notes, status } => {
            let mut body = json!({"notes": format!("note {notes}"), "reason": "because"});
            if let Some(status) = status {
                body["status"] = json!(STATUSES[*status]);
            }
            ("PUT", path(""), Some(body))
        }
        Action::Move { status, with_reason } => {
            let mut body = json!({"status": STATUSES[*status]});
            if *with_reason {
                body["reason"] = json!("because");
            }
            ("PATCH", path("/status"), Some(body))
        }
        Action::MoveMany { status } => {
            let body = json!({"ids": [1, 2, 3, 9], "status": STATUSES[*status], "reason": "because"});
            ("POST", "/api/v1/cases/bulk-status".to_owned(), Some(body))
        }
        Action::Delete => ("DELETE", path(""), None),
        Action::Restore => ("POST", path("/restore"), None),
        Action::Remake => {
            ("POST", path("/remakes"), Some(json!({"reason_code": "fit", "reason": "too tight"})))
        }
        Action::Comment { asks } => {
            ("POST", path("/comments"), Some(json!({"text": "a comment", "asks": asks})))
        }
        Action::RemoveComment { number } => ("DELETE", path(&format!("/comments/{number}")), None),
    };
    let mut call = service.as_user(user, method, &path).lab(labs[step.lab % labs.len()]);
    match (method, step.only, step.key) {
        ("PUT" | "PATCH" | "DELETE", Some(version), _) => {
            call = call.header("if-match", &format!("\"{version}\""))
        }
        ("POST", _, Some(key)) => call = call.header("idempotency-key", &format!("key-{key}")),
        _ => {}
    }
    match body {
        Some(body) => call.json(body).send().await,
        None => call.send().await,
    }
}

/// The versions that a response mentions, each with its status.
fn versions_in(reply: &Reply) -> Vec<Value> {
    let body = reply.json();
    match body["results"].as_array() {
        _ if reply.status >= 300 || reply.status == 204 => Vec::new(),
        // A comment does not mention the version of its case.
        None if body["case_id"].is_u64() => Vec::new(),
        Some(results) => {
            results.iter().map(|result| result["case"].clone()).filter(|c| !c.is_null()).collect()
        }
        None => vec![body],
    }
}

type Versions = BTreeSet<(i64, u64, u64)>;

async fn walk(service: &Service, steps: &[Step]) -> Versions {
    let mut seen = Versions::new();
    let mut followers = [Follower::new("admin", 123), Follower::new("northgate", 456)];
    let mut rest = steps;
    while !rest.is_empty() {
        let together = 1 + rest.iter().take_while(|step| step.at_once).count();
        let (now, later) = rest.split_at(together.min(rest.len()));
        for (step, reply) in now.iter().zip(join_all(now.iter().map(|step| take(service, step))).await) {
            assert!(reply.status < 500, "{step:?} {}", String::from_utf8_lossy(&reply.bytes));
            for case in versions_in(&reply) {
                let number = |name: &str| case[name].as_u64().unwrap();
                seen.insert((case["lab_id"].as_i64().unwrap(), number("id"), number("version")));
            }
        }
        rest = later;
        for follower in &mut followers {
            follower.catch_up(service).await;
        }
    }
    for follower in followers {
        let mut from_zero = Follower::new(follower.user, follower.lab);
        from_zero.catch_up(service).await;
        assert_eq!(follower.cases, from_zero.cases, "a follower knows the same as a client that starts now");
    }
    seen
}

/// A client that keeps a copy of a lab's cases by reading the feed.
struct Follower {
    user: &'static str,
    lab: i64,
    since: String,
    /// The version and the case for each id; null for a deleted case.
    cases: BTreeMap<u64, (Value, Value)>,
}

impl Follower {
    fn new(user: &'static str, lab: i64) -> Self {
        Self { user, lab, since: String::new(), cases: BTreeMap::new() }
    }

    /// Reads everything new. No case comes twice in the same state.
    async fn catch_up(&mut self, service: &Service) {
        loop {
            let path = format!("/api/v1/cases/changes?limit=4{}", self.since);
            let page = service.as_user(self.user, "GET", &path).lab(self.lab).send().await.expect(200);
            for change in page["changes"].as_array().unwrap() {
                let state = (change["version"].clone(), change["case"].clone());
                let earlier = self.cases.insert(change["id"].as_u64().unwrap(), state);
                let is_newer =
                    earlier.is_none_or(|(version, _)| version.as_u64() < change["version"].as_u64());
                assert!(is_newer, "{change}");
            }
            self.since = format!("&since={}", page["next_cursor"].as_str().unwrap());
            if page["has_more"] == false {
                return;
            }
        }
    }
}

/// Checks everything that must be true of a lab after any requests.
async fn check(service: &Service, lab: i64, admin: &'static str, seen: &Versions) {
    let items = service.items(lab).await;
    let under = |prefix: &str| -> Vec<&Value> {
        items.iter().filter(|(sk, _)| sk.starts_with(prefix)).map(|(_, item)| item).collect()
    };
    let (live, deleted) = (under("CASE#"), under("DELETED#"));
    let mut events = BTreeMap::<u64, Vec<&Value>>::new();
    for event in under("EVENT#") {
        events.entry(event["case_id"].as_u64().unwrap()).or_default().push(event);
    }
    assert_eq!(events.len(), live.len() + deleted.len(), "each case has one history and one key");
    let mut made = Versions::new();
    for case in live.iter().chain(&deleted) {
        let id = case["id"].as_u64().unwrap();
        check_history(case, &events[&id], lab);
        let unmentioned = ["deleted", "remade", "commented", "comment_removed"].map(|action| json!(action));
        let versions = events[&id].iter().filter(|event| !unmentioned.contains(&event["action"]));
        made.extend(versions.map(|event| (lab, id, event["version"].as_u64().unwrap())));
        let path = format!("/api/v1/cases/{id}/history/verify");
        let verified = service.as_user(admin, "GET", &path).lab(lab).send().await.expect(200);
        assert_eq!(verified["valid"], true, "{verified}");
    }
    let seen: Versions = seen.iter().filter(|(of, ..)| *of == lab).copied().collect();
    assert!(made.is_subset(&seen), "changes that no response mentioned: {:?}", made.difference(&seen));
    for (_, id, version) in seen {
        assert!(
            version <= events[&id].len() as u64,
            "a response mentions version {version} of case {id}, which does not exist"
        );
    }

    let mut recount = BTreeMap::<String, i64>::new();
    for case in &live {
        *recount.entry(case["status"].as_str().unwrap().to_owned()).or_default() += 1;
        if case["waiting_for_answer"] == true {
            *recount.entry("waiting_for_answer".to_owned()).or_default() += 1;
        }
    }
    for case in live.iter().chain(&deleted) {
        let of_case = |comment: &&&Value| comment["case_id"] == case["id"] && comment["removed"].is_null();
        let comments = under("COMMENT#").iter().filter(of_case).count();
        assert_eq!(case["comment_count"].as_u64().unwrap_or(0), comments as u64, "{case}");
        assert_eq!(case["waiting_for_answer"] == true, !case["open_questions"].is_null(), "{case}");
    }
    assert_eq!(service.statistics(lab).await, recount);
    // The attributes of a month's days: c24 counts cases, r24 remakes.
    let of_days = |kind: char| -> i64 {
        let members = under("DAYS#").into_iter().flat_map(|month| month.as_object().unwrap());
        let days = members.filter(|(name, _)| {
            name.strip_prefix(kind).is_some_and(|day| day.len() == 2 && day.parse::<u8>().is_ok())
        });
        days.map(|(_, count)| count.as_i64().unwrap()).sum()
    };
    assert_eq!(of_days('c'), live.len() as i64);
    assert_eq!(of_days('r'), live.iter().filter(|case| !case["remake_of"].is_null()).count() as i64);
    check_feed(service, lab, admin, &live, &deleted).await;
}

/// Checks that each version has one event, that every status change is legal, and that members of the lab made all changes.
fn check_history(case: &Value, events: &[&Value], lab: i64) {
    let versions: Vec<u64> = events.iter().map(|event| event["version"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (1..=case["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, expected, "case {}", case["id"]);
    assert_eq!(events[0]["action"], "created");
    let mut status = None::<String>;
    for event in events {
        let by = event["user_id"].as_str().unwrap();
        let of_lab: &[&str] = if lab == 123 { &["1", "2", "3", "6"] } else { &["5", "6"] };
        assert!(of_lab.contains(&by), "{event}");
        let moved = event["changes"].as_array().unwrap().iter().find(|change| change["field"] == "status");
        let Some(moved) = moved else { continue };
        let to = moved["to"].as_str().unwrap();
        match &status {
            None => assert!(["pending", "in_progress"].contains(&to), "{event}"),
            Some(from) => {
                assert_eq!(moved["from"], from.as_str());
                assert!(is_legal(from, to), "{from} to {to}: {event}");
                let with_reason = event["reason"].is_string();
                assert!(with_reason || !["on_hold", "returned", "cancelled"].contains(&to), "{event}");
            }
        }
        status = Some(to.to_owned());
    }
    assert_eq!(case["status"].as_str(), status.as_deref());
}

/// Checks that the feed, replayed from its beginning, gives the table.
async fn check_feed(service: &Service, lab: i64, admin: &'static str, live: &[&Value], deleted: &[&Value]) {
    let mut follower = Follower::new(admin, lab);
    follower.catch_up(service).await;
    let replayed = follower.cases;
    assert_eq!(replayed.len(), live.len() + deleted.len());
    for case in deleted {
        assert_eq!(replayed[&case["id"].as_u64().unwrap()], (case["version"].clone(), Value::Null));
    }
    for case in live {
        let path = format!("/api/v1/cases/{}", case["id"]);
        let read = service.as_user(admin, "GET", &path).lab(lab).send().await.expect(200);
        assert_eq!(replayed[&case["id"].as_u64().unwrap()], (read["version"].clone(), read));
    }
}

#[test]
fn after_random_requests_histories_statistics_feed_and_table_agree() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let held = runner.run(&vec(step(), 20..60), |steps| {
        runtime.block_on(async {
            let service = Service::start().await;
            service.ums.update(|directory| directory.membership_mut(5, 456).unwrap().role = "admin".into());
            let seen = walk(&service, &steps).await;
            check(&service, 123, "admin", &seen).await;
            check(&service, 456, "northgate", &seen).await;
        });
        Ok(())
    });
    held.unwrap_or_else(|failure| panic!("{failure}"));
}
