//! Filters and orders of lists, compared with a linear search over all cases, in two labs.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use futures_util::{StreamExt, stream};
use jiff::{ToSpan, civil::Date};
use serde_json::{Value, json};

use crate::harness::{Service, today};

/// The number of cases in each of the two labs.
const CASES: usize = 1000;
const LABS: [(i64, &str); 2] = [(123, "admin"), (456, "northgate")];

/// The cases of each lab as the API returns them, in the order of their ids.
type Model = BTreeMap<i64, Vec<Value>>;

async fn generate() -> (Service, Model) {
    let service = Service::start_with(&[("LINKSHUB_BASE_URL", "")]).await;
    let mut rng = Rng::with_seed(20_261_124);
    let mut model = Model::new();
    for (lab, user) in LABS {
        let bodies: Vec<Value> = (0..CASES).map(|_| body(&mut rng)).collect();
        stream::iter(bodies)
            .map(|body| service.create(user, body))
            .buffer_unordered(16)
            .for_each(|_| async {})
            .await;
        let moves: Vec<(usize, Vec<&str>)> = (1..=CASES).map(|id| (id, route(&mut rng))).collect();
        let service = &service;
        let moved = stream::iter(moves).map(|(id, route)| async move {
            for status in route {
                let change = json!({"status": status, "reason": "as the model wants it"});
                let path = format!("/api/v1/cases/{id}/status");
                let reply = service.as_user(user, "PATCH", &path).json(change).send().await;
                assert!([200, 409].contains(&reply.status));
            }
        });
        moved.buffer_unordered(16).for_each(|()| async {}).await;
        for id in (1..=CASES).filter(|id| id % 7 == 0) {
            let path = format!("/api/v1/cases/{id}/comments");
            let question = json!({"text": "Which shade?", "asks": true});
            service.as_user(user, "POST", &path).json(question).send().await.expect(201);
        }
        for id in (1..=CASES).filter(|id| id % 3 == 0) {
            let day = format!("2026-{:02}-{:02}", rng.u32(1..=10), rng.u32(1..=28));
            let created_at = json!({"created_at": format!("{day}T12:00:00.000Z")});
            service.change_item(lab, &format!("CASE#{id:010}"), created_at).await;
        }
        let read = stream::iter(1..=CASES).map(|id| async move {
            service.as_user(user, "GET", &format!("/api/v1/cases/{id}")).send().await.expect(200)
        });
        model.insert(lab, read.buffered(16).collect().await);
    }
    (service, model)
}

fn body(rng: &mut Rng) -> Value {
    let names = ["Ana Lima", "ana maria lopez", "Björn Öst", "Chen Wei", "LIMA Duarte", "Zoë Quinn"];
    let procedures =
        ["Crown", "Bridge", "Veneer", "Denture", "Night Guard", "Implant", "Orthodontic", "Other"];
    let mut body = json!({
        "procedure_type": rng.choice(procedures), "status": rng.choice(["pending", "in_progress"]),
        "priority": rng.choice(["low", "medium", "high"]), "rush_order": rng.bool(),
        "due_date": format!("20{:02}-{:02}-{:02}", rng.u32(26..=27), rng.u32(1..=12), rng.u32(1..=28)),
    });
    let mut maybe = |name: &str, values: &[&str]| {
        if rng.u8(0..4) > 0 {
            body[name] = json!(values[rng.usize(..values.len())]);
        }
    };
    maybe("patient_name", &names);
    maybe("case_name", &["Upper left", "Front TEETH", "lower bridge"]);
    maybe("doctor_id", &["DOC001", "doctor_123", "dr.x:1"]);
    maybe("product_id", &["PROD001", "PROD002"]);
    maybe("assigned_to", &["1", "2", "5", "tech_7"]);
    if rng.bool() {
        // Many cases of one patient, and some of others.
        let patient = rng.choice(["P-1", "P-1", "P-2", "p-2"]).unwrap();
        body["patient_info"] = json!({"patient_id": patient, "age": rng.u32(20..90)});
    }
    body
}

/// The statuses that a case goes through. The service rejects the illegal steps, and they change nothing.
fn route(rng: &mut Rng) -> Vec<&'static str> {
    let routes: [&[&str]; 5] = [
        &[],
        &["in_progress", "completed", "shipped", "delivered"],
        &["on_hold"],
        &["in_progress", "quality_check"],
        &["cancelled"],
    ];
    rng.choice(routes).unwrap().to_vec()
}

/// Whether a case passes the filters, decided by its JSON alone.
fn passes(case: &Value, filters: &[(&str, &str)], me: &str) -> bool {
    let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
    let open = !["shipped", "delivered", "cancelled"].contains(&text("status").as_str());
    let due = case["due_date"].as_str();
    let created = text("created_at")[..10].to_owned();
    filters.iter().all(|(name, value)| match *name {
        "status" | "doctor_id" | "priority" => value.split(',').any(|one| one == text(name)),
        "case_number" => text("case_number").eq_ignore_ascii_case(value),
        "patient_id" => case["patient_info"]["patient_id"] == *value,
        "unassigned" => *value == "false" || case["assigned_to"].is_null(),
        "assigned_to" if *value == "me" => text("assigned_to") == me,
        "procedure_type" => text(name).eq_ignore_ascii_case(&decoded(value)),
        "rush_order" | "waiting_for_answer" => case[*name] == (*value == "true"),
        "due_from" => due.is_some_and(|due| due >= *value),
        "due_to" => due.is_some_and(|due| due <= *value),
        "created_from" => *created >= **value,
        "created_to" => *created <= **value,
        "overdue" => *value == "false" || (open && due.is_some_and(|due| *due < *today())),
        "q" => {
            let plain = |text: String| text.to_lowercase().replace('ö', "o").replace('ë', "e");
            let names = plain(["patient_name", "case_name"].map(text).join(" "));
            let (number, id) = (plain(text("case_number")), case["id"].to_string());
            plain(decoded(value)).split(' ').map(|word| word.trim_matches('-')).all(|word| {
                names.split(' ').any(|name| name.starts_with(word)) || word == number || word == id
            })
        }
        other => text(other) == *value,
    })
}

fn sorted(mut cases: Vec<Value>, sort: &str, descending: bool) -> Vec<u64> {
    let due = |case: &Value| case["due_date"].as_str().unwrap_or("9999-12-31").to_owned();
    cases.sort_by_key(|case| {
        let id = case["id"].as_u64().unwrap();
        match sort {
            "due_date" => (due(case), id),
            "priority" => {
                let names = ["high", "medium", "low"];
                let urgency = names.iter().position(|name| case["priority"] == **name).unwrap();
                (format!("{urgency} {}", due(case)), id)
            }
            "updated_at" => (case["updated_at"].as_str().unwrap().to_owned(), id),
            _ => (String::new(), id),
        }
    });
    let ids = cases.iter().map(|case| case["id"].as_u64().unwrap());
    if descending { ids.rev().collect() } else { ids.collect() }
}

fn decoded(value: &str) -> String {
    value.replace("%20", " ").replace("%C3%96", "Ö")
}

/// The body of a search with these parameters of the list. `lab_id` stays in the URL.
fn search_body(query: &str) -> Value {
    let members = query.split('&').filter_map(|parameter| parameter.split_once('='));
    let value = |name: &str, value: &str| match name {
        "status" | "doctor_id" | "priority" => value.split(',').collect(),
        "rush_order" | "waiting_for_answer" | "overdue" | "unassigned" => json!(value == "true"),
        "limit" => json!(value.parse::<u64>().unwrap()),
        _ => json!(decoded(value)),
    };
    let members = members.filter(|(name, _)| *name != "lab_id");
    Value::Object(members.map(|(name, text)| (name.to_owned(), value(name, text))).collect())
}

/// All pages of a list, joined. The list and the search answer in turn.
async fn walk(service: &Service, user: &str, query: &str) -> Vec<Value> {
    let mut cases = Vec::new();
    let mut cursor = String::new();
    for turn in 0..200 {
        let query = format!("limit=100&{query}{cursor}");
        let call = if turn % 2 == query.len() % 2 {
            service.as_user(user, "GET", &format!("/api/v1/cases?{query}"))
        } else {
            let lab = if query.contains("lab_id=all") { "?lab_id=all" } else { "" };
            service.as_user(user, "POST", &format!("/api/v1/cases/search{lab}")).json(search_body(&query))
        };
        let page = call.send().await.expect(200);
        cases.extend(page["cases"].as_array().unwrap().iter().cloned());
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return cases,
        }
    }
    panic!("{query} never ends");
}

fn ids(cases: &[Value]) -> Vec<u64> {
    cases.iter().map(|case| case["id"].as_u64().unwrap()).collect()
}

const OPEN: &str = "pending,in_progress,on_hold,quality_check,completed,returned";

const FILTERS: [(&str, &[&str]); 20] = [
    (
        "status",
        &[
            "pending",
            "on_hold,quality_check",
            "delivered",
            "returned",
            "pending,delivered,cancelled",
            "in_progress,completed",
        ],
    ),
    ("doctor_id", &["DOC001", "dr.x:1", "nobody", "DOC001,dr.x:1"]),
    ("case_number", &["riverside-CREATED-42", "NORTHGATE-CREATED-41", "RIVERSIDE-190001-7", "X-1001"]),
    ("patient_id", &["P-1", "P-2", "nobody"]),
    ("unassigned", &["true", "false"]),
    ("product_id", &["PROD001"]),
    ("case_type", &["fixed_prosthetic", "implant"]),
    ("procedure_type", &["Crown", "night%20guard"]),
    ("priority", &["high", "high,low"]),
    ("rush_order", &["true", "false"]),
    ("waiting_for_answer", &["true", "true", "false"]),
    ("assigned_to", &["me", "tech_7"]),
    ("due_from", &["2026-07-01", "2027-12-01"]),
    ("due_to", &["2026-07-01", "2026-01-01"]),
    ("created_from", &["2026-06-15"]),
    ("created_to", &["2026-03-31", "2026-06-14"]),
    ("overdue", &["true", "false"]),
    ("q", &["lima", "LIMA%20ana", "%C3%96st", "ost", "zoe", "teeth", "ri", "RIVERSIDE-", "-42"]),
    ("sort", &["created_at", "due_date", "updated_at", "priority"]),
    ("order", &["asc", "desc"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_and_order_finds_the_same_cases_as_a_linear_search() {
    let (service, model) = generate().await;
    let mut rng = Rng::with_seed(1);
    let alone = FILTERS.iter().flat_map(|(name, values)| values.iter().map(|value| vec![(*name, *value)]));
    let mut queries: Vec<Vec<(&str, &str)>> = alone.collect();
    // Each filter in each order, because the plans differ.
    for sort in ["due_date", "updated_at", "priority"] {
        let filters = FILTERS.iter().filter(|(name, _)| !["sort", "order"].contains(name));
        let any = |(name, values): &(&'static str, &'static [&'static str])| {
            vec![("sort", sort), (*name, values[usize::from(values.len() > 1)])]
        };
        queries.extend(filters.map(any));
    }
    for _ in 0..40 {
        let mut names: Vec<_> = FILTERS.to_vec();
        rng.shuffle(&mut names);
        let few = names.into_iter().take(rng.usize(2..=5));
        queries.push(few.map(|(name, values)| (name, values[rng.usize(..values.len())])).collect());
    }
    queries.retain(|query| is_accepted(query));
    for (lab, user) in LABS {
        let me = if lab == 123 { "1" } else { "5" };
        for query in &queries {
            let of = |wanted: &str| query.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
            let month = &model[&lab][41]["case_number"].as_str().unwrap()[10..16];
            let query: Vec<(&str, String)> =
                query.iter().map(|(name, value)| (*name, value.replace("CREATED", month))).collect();
            let mut filters: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            filters.retain(|(name, _)| !["sort", "order"].contains(name));
            let sort = of("sort").unwrap_or("created_at");
            if sort == "priority" {
                filters.push(("status", OPEN));
            }
            // By priority, `desc` is the most urgent first, which is the beginning of the model's order.
            let order = of("order").unwrap_or(if sort == "due_date" { "asc" } else { "desc" });
            let descending = (order == "desc") != (sort == "priority");
            let expected = model[&lab].iter().filter(|case| passes(case, &filters, me)).cloned().collect();
            let text: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let found = walk(&service, user, &text.join("&")).await;
            assert_eq!(ids(&found), sorted(expected, sort, descending), "lab {lab}: {query:?}");
            for case in &found {
                assert_eq!(*case, model[&lab][case["id"].as_u64().unwrap() as usize - 1]);
            }
        }
    }
    // A span that ends before it begins contains nothing.
    for span in ["due_from=2026-07-02&due_to=2026-07-01", "created_from=2026-07-02&created_to=2026-07-01"] {
        for sort in ["created_at", "due_date", "updated_at"] {
            assert_eq!(walk(&service, "admin", &format!("{span}&sort={sort}")).await, [Value::Null; 0]);
        }
    }
    pages_by_number(&service, &model).await;
    all_labs(&service, &model).await;
    exports(&service, &model).await;
    check_statistics(&service, &model).await;
}

async fn pages_by_number(service: &Service, model: &Model) {
    for (query, filters) in [("", vec![]), ("&status=pending", vec![("status", "pending")])] {
        let all: Vec<Value> =
            model[&123].iter().filter(|case| passes(case, &filters, "1")).cloned().collect();
        let all = sorted(all, "created_at", true);
        for number in [1, 2, 4, 10, 11] {
            let path = format!("/api/v1/cases?page={number}&per_page=100{query}");
            let page = service.as_user("viewer", "GET", &path).send().await.expect(200);
            let expected: Vec<u64> = all.iter().copied().skip((number - 1) * 100).take(100).collect();
            assert_eq!(ids(page["cases"].as_array().unwrap()), expected, "{path}");
            let pagination = &page["pagination"];
            assert_eq!(pagination["page"], number);
            assert_eq!(pagination["total"], all.len());
            assert_eq!(pagination["pages"], all.len().div_ceil(100));
            assert_eq!(pagination["has_prev"], number > 1);
            assert_eq!(pagination["has_next"], all.len() > number * 100, "{path}");
        }
    }
    // A short list, one that was sorted as a whole, and a single case have a total as well.
    for (query, filters) in [
        ("patient_id=P-2&sort=due_date&per_page=1", vec![("patient_id", "P-2")]),
        ("unassigned=true&status=on_hold&per_page=100", vec![("unassigned", "true"), ("status", "on_hold")]),
        ("sort=priority&per_page=3&rush_order=true", vec![("status", OPEN), ("rush_order", "true")]),
        ("due_from=2026-07-02&due_to=2026-07-01", vec![("status", "none")]),
        ("case_number=RIVERSIDE-190001-7", vec![("status", "none")]),
    ] {
        let path = format!("/api/v1/cases?{query}");
        let page = service.as_user("viewer", "GET", &path).send().await.expect(200);
        let expected = model[&123].iter().filter(|case| passes(case, &filters, "1")).count();
        assert_eq!(page["pagination"]["total"], expected, "{path}");
    }
    // Otherwise, with a filter besides the status the total is unknown; the pages are still correct.
    let path = "/api/v1/cases?page=2&per_page=7&priority=high&sort=due_date";
    let page = service.as_user("viewer", "GET", path).send().await.expect(200);
    let high: Vec<Value> = model[&123].iter().filter(|case| case["priority"] == "high").cloned().collect();
    assert_eq!(ids(page["cases"].as_array().unwrap()), sorted(high, "due_date", false)[7..14]);
    assert_eq!((&page["pagination"]["total"], &page["pagination"]["pages"]), (&Value::Null, &Value::Null));
}

/// Whether the service accepts the parameters together.
fn is_accepted(query: &[(&str, &str)]) -> bool {
    let has = |name: &str, value: &str| query.contains(&(name, value));
    let names_assignee = query.iter().any(|(name, _)| *name == "assigned_to");
    let is_closed = has("status", "delivered") || has("status", "pending,delivered,cancelled");
    !(names_assignee && has("unassigned", "true") || is_closed && has("sort", "priority"))
}

/// The cases of both labs in one list: in the order of each lab, and merged by time.
async fn all_labs(service: &Service, model: &Model) {
    let key = |case: &Value, name: &str| case[name].as_str().unwrap_or("9999-12-31").to_owned();
    for query in ["overdue=true", "patient_id=P-2", "patient_id=P-2&sort=priority"] {
        let found = walk(service, "both", &format!("lab_id=all&{query}")).await;
        let (name, value) = query.split('&').next().unwrap().split_once('=').unwrap();
        let is_open = |case: &&Value| !query.contains("priority") || passes(case, &[("status", OPEN)], "");
        let of_labs = model.values().flatten().filter(|case| passes(case, &[(name, value)], ""));
        assert_eq!(found.len(), of_labs.filter(is_open).count(), "{query}");
        if !query.contains("sort") {
            let created: Vec<&str> = found.iter().map(|case| case["created_at"].as_str().unwrap()).collect();
            let of = |lab: i64| {
                found.iter().filter(move |case| case["lab_id"] == lab).cloned().collect::<Vec<_>>()
            };
            assert!(
                !created.is_empty() && LABS.iter().all(|(lab, _)| ids(&of(*lab)).is_sorted_by(|a, b| a > b))
            );
        }
    }
    for (sort, descending) in [("due_date", false), ("updated_at", true)] {
        let found = walk(service, "both", &format!("lab_id=all&sort={sort}&rush_order=true")).await;
        assert_eq!(found.len(), model.values().flatten().filter(|case| case["rush_order"] == true).count());
        let keys: Vec<String> = found.iter().map(|case| key(case, sort)).collect();
        assert!(keys.windows(2).all(|pair| if descending { pair[0] >= pair[1] } else { pair[0] <= pair[1] }));
    }
    let found = walk(service, "both", "lab_id=all").await;
    assert_eq!(found.len(), 2 * CASES);
    for (lab, cases) in model {
        let of_lab: Vec<Value> = found.iter().filter(|case| case["lab_id"] == *lab).cloned().collect();
        assert_eq!(ids(&of_lab), sorted(cases.clone(), "created_at", true));
    }
    // A member of one lab sees the cases of that lab only.
    let found = walk(service, "viewer", "lab_id=all&status=on_hold").await;
    assert!(!found.is_empty() && found.iter().all(|case| case["lab_id"] == 123));
}

async fn exports(service: &Service, model: &Model) {
    let (mut text, mut cursor) = (String::new(), String::new());
    loop {
        let path = format!("/api/v1/cases/export?format=ndjson&limit=130&sort=updated_at{cursor}");
        let reply = service.as_user("admin", "GET", &path).send().await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/x-ndjson")));
        text.push_str(std::str::from_utf8(&reply.bytes).unwrap());
        match reply.header("x-next-cursor") {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let exported: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids(&exported), sorted(model[&123].clone(), "updated_at", true));
    let unique: BTreeSet<u64> = ids(&exported).into_iter().collect();
    assert_eq!(unique.len(), CASES);
    assert!(exported.iter().all(|case| *case == model[&123][case["id"].as_u64().unwrap() as usize - 1]));
}

async fn check_statistics(service: &Service, model: &Model) {
    let board = service.as_user("viewer", "GET", "/api/v1/cases/stats").send().await.expect(200);
    let cases = &model[&123];
    let count = |test: &dyn Fn(&Value) -> bool| cases.iter().filter(|case| test(case)).count();
    let open = |case: &Value| passes(case, &[("status", OPEN)], "");
    assert_eq!(board["date"], today());
    assert_eq!(board["total"], CASES);
    for (status, number) in board["by_status"].as_object().unwrap() {
        assert_eq!(*number, count(&|case| case["status"] == **status), "{status}");
    }
    assert_eq!(board["open"], count(&open));
    assert_eq!(board["overdue"], count(&|case| passes(case, &[("overdue", "true")], "")));
    assert_eq!(board["due_today"], count(&|case| open(case) && case["due_date"] == today()));
    let first: Date = today().parse().unwrap();
    let in_7_days = (first + 7.days()).to_string();
    let soon =
        |case: &Value| case["due_date"].as_str().is_some_and(|due| *due >= *today() && *due <= *in_7_days);
    assert_eq!(board["due_in_7_days"], count(&|case| open(case) && soon(case)));
    assert_eq!(board["rush"], count(&|case| open(case) && case["rush_order"] == true));
    let assigned: usize = board["by_assignee"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let expected = count(&|case| open(case) && case["assigned_to"] == row["assigned_to"]);
            assert_eq!(row["open"], expected, "{row}");
            expected
        })
        .sum();
    assert_eq!(assigned, count(&open));
}
