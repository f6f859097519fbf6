//! Walks through lists by cursor while others create, move, reassign and delete cases: no case appears twice, and no case is
//! missing that matches all the time.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::Service;

const CASES: u64 = 90;

/// What happens to a case while others walk through the lists.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Untouched,
    /// It gets other open statuses.
    Moved,
    /// It gets another assignee.
    Reassigned,
    /// It is shipped.
    Shipped,
    Deleted,
}

fn fate(id: u64) -> Fate {
    match id % 9 {
        0..=3 => Fate::Untouched,
        4 | 5 => Fate::Moved,
        6 => Fate::Reassigned,
        7 => Fate::Shipped,
        _ => Fate::Deleted,
    }
}

async fn change(service: &Service, id: u64, round: u64) {
    let path = format!("/api/v1/cases/{id}");
    let put = async |body: Value| {
        service.as_user("admin", "PUT", &path).json(body).send().await.expect(200);
    };
    match (fate(id), round) {
        (Fate::Untouched, _) => {}
        (Fate::Moved, 0) => put(json!({"status": "in_progress"})).await,
        (Fate::Moved, 1) => put(json!({"status": "quality_check"})).await,
        (Fate::Moved, _) => put(json!({"status": "in_progress"})).await,
        (Fate::Reassigned, _) => put(json!({"assigned_to": format!("tech_{}", round + 2)})).await,
        (Fate::Shipped, _) => {
            let status = ["in_progress", "completed", "shipped"][round as usize];
            put(json!({"status": status})).await;
        }
        (Fate::Deleted, 1) => {
            service.as_user("admin", "DELETE", &path).send().await.expect(204);
        }
        (Fate::Deleted, _) => {}
    }
}

/// All ids of a list, four at a time.
async fn walk(service: &Service, query: &str) -> Vec<u64> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/cases?limit=4&{query}{cursor}");
        let page = service.as_user("viewer", "GET", &path).send().await.expect(200);
        seen.extend(page["cases"].as_array().unwrap().iter().map(|case| case["id"].as_u64().unwrap()));
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_through_a_list_skips_and_repeats_nothing_while_others_write() {
    let service = Service::start_with(&[("LINKSHUB_BASE_URL", "")]).await;
    for id in 1..=CASES {
        let priority = ["low", "medium", "high"][(id % 3) as usize];
        let body = json!({
            "procedure_type": "Crown", "doctor_id": "doctor_7", "assigned_to": "tech_1", "rush_order": id % 2 == 0,
            "priority": priority, "due_date": format!("2030-01-{:02}", 1 + id % 28),
            "patient_info": {"patient_id": "4711"},
        });
        assert_eq!(service.create("admin", body).await["id"], id);
    }
    use Fate::{Moved, Reassigned, Shipped, Untouched};
    let all = [Untouched, Moved, Reassigned, Shipped];
    // The lists, and the cases that match all the time and whose entries stay in their place.
    let lists: [(&str, &[Fate]); 14] = [
        ("", &all),
        ("order=asc", &all),
        ("doctor_id=doctor_7", &all),
        ("doctor_id=doctor_7,doctor_8&rush_order=true", &all),
        ("patient_id=4711", &all),
        ("patient_id=4711&sort=due_date", &all),
        ("doctor_id=doctor_7&sort=due_date&order=desc", &all),
        ("priority=low,high", &all),
        ("assigned_to=tech_1", &[Untouched, Moved, Shipped]),
        ("assigned_to=tech_1&sort=due_date", &[Untouched, Moved, Shipped]),
        ("status=pending,in_progress", &[Untouched, Reassigned]),
        // Open cases and others are two lists: a case that is shipped at that moment can be missing.
        ("sort=due_date", &[Untouched, Moved, Reassigned]),
        ("sort=priority", &[Untouched, Moved, Reassigned]),
        ("sort=updated_at", &[Untouched]),
    ];
    let write = async {
        for round in 0..3 {
            for id in 1..=CASES {
                change(&service, id, round).await;
                if id % 10 == round {
                    let new =
                        json!({"procedure_type": "Inlay", "doctor_id": "doctor_7", "due_date": "2030-01-15"});
                    service.create("admin", new).await;
                }
            }
        }
    };
    let (walks, ()) = tokio::join!(join_all(lists.iter().map(|(query, _)| walk(&service, query))), write);
    for ((query, fates), seen) in lists.iter().zip(walks) {
        let once: BTreeSet<u64> = seen.iter().copied().collect();
        assert_eq!(once.len(), seen.len(), "{query}: twice in {seen:?}");
        let is_in = |id: &u64| match *query {
            "doctor_id=doctor_7,doctor_8&rush_order=true" => id.is_multiple_of(2),
            "priority=low,high" => id % 3 != 1,
            _ => true,
        };
        let expected = (1..=CASES).filter(|id| fates.contains(&fate(*id)) && is_in(id));
        let missing: Vec<u64> = expected.filter(|id| !once.contains(id)).collect();
        assert_eq!(missing, [0; 0], "{query}: missing in {seen:?}");
    }
}
