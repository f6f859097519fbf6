//! Epochs of the change log: after a restore of the table to an earlier time, readers of the feed learn what is gone, and ids are
//! not given out again.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use lab_data::begin_epoch;
use serde_json::{Value, json};
use shared::{
    base::{LabId, time::Timestamp},
    case::{
        begin_epoch::{LabEpoch, RestoreFacts},
        repair::{Mode, Repair},
    },
    config::TableConfig,
};

use crate::harness::{Reply, Service, service::TABLE};

const FEED: &str = "/api/v1/cases/changes";

/// A reader of the feed, which does what the contract says.
#[derive(Default)]
struct Reader {
    /// The time of the last change, and the case; `None` if it is deleted.
    cases: BTreeMap<u64, (String, Option<Value>)>,
    cursor: Option<String>,
    restarts: u32,
}

impl Reader {
    async fn page(&self, service: &Service, limit: u32) -> Reply {
        let since = self.cursor.as_ref().map_or(String::new(), |cursor| format!("&since={cursor}"));
        service.as_user("viewer", "GET", &format!("{FEED}?limit={limit}{since}")).send().await
    }

    /// Reads the next page. Returns whether there are more.
    async fn read(&mut self, service: &Service, limit: u32) -> bool {
        let reply = self.page(service, limit).await;
        if reply.status == 410 {
            let problem = reply.expect_problem(410, "feed_restarted");
            let restored_to = problem["restored_to"].as_str().unwrap();
            let again =
                self.cases.iter().filter(|(_, (at, _))| at.as_str() >= restored_to).map(|(id, _)| *id);
            for id in again.collect::<Vec<_>>() {
                let reply = service.as_user("viewer", "GET", &format!("/api/v1/cases/{id}")).send().await;
                if reply.status == 404 {
                    self.cases.remove(&id);
                } else {
                    let case = reply.expect(200);
                    self.cases.insert(id, (case["updated_at"].as_str().unwrap().to_owned(), Some(case)));
                }
            }
            self.cursor = Some(problem["next_cursor"].as_str().unwrap().to_owned());
            self.restarts += 1;
            return true;
        }
        let page = reply.expect(200);
        for change in page["changes"].as_array().unwrap() {
            let id = change["id"].as_u64().unwrap();
            let case = (change["deleted"] == false).then(|| change["case"].clone());
            self.cases.insert(id, (change["at"].as_str().unwrap().to_owned(), case));
        }
        self.cursor = Some(page["next_cursor"].as_str().unwrap().to_owned());
        page["has_more"] == true
    }

    async fn follow(&mut self, service: &Service) {
        while self.read(service, 3).await {}
    }

    fn state(&self) -> BTreeMap<u64, Value> {
        self.cases.iter().filter_map(|(id, (_, case))| Some((*id, case.clone()?))).collect()
    }
}

/// Every live case of the lab.
async fn cases(service: &Service) -> BTreeMap<u64, Value> {
    let page = service.as_user("viewer", "GET", "/api/v1/cases?limit=100").send().await.expect(200);
    assert_eq!(page["pagination"]["next_cursor"], Value::Null);
    let cases = page["cases"].as_array().unwrap().iter();
    cases.map(|case| (case["id"].as_u64().unwrap(), case.clone())).collect()
}

async fn create(service: &Service) -> u64 {
    service.create("admin", json!({"procedure_type": "Crown"})).await["id"].as_u64().unwrap()
}

async fn update(service: &Service, id: u64, notes: &str) {
    let put = service.as_user("admin", "PUT", &format!("/api/v1/cases/{id}")).json(json!({"notes": notes}));
    put.send().await.expect(200);
}

/// A backup, and the time of it: later than the changes before, and not later than those after.
async fn back_up(service: &Service) -> (Vec<Value>, Timestamp) {
    let backup = service.back_up().await;
    let last = Timestamp::now();
    while Timestamp::now() == last {
        tokio::task::yield_now().await;
    }
    (backup, Timestamp::now())
}

fn facts(service: &Service, restored_to: Timestamp) -> RestoreFacts {
    RestoreFacts {
        table: service.table_config(),
        former: None,
        restored_to,
        // The tests have one clock, and begin no transaction before a backup.
        margin: Duration::ZERO,
        spare_ids: 10,
    }
}

/// Restores a backup into a new table and begins its epoch.
async fn restore(service: &mut Service, (backup, at): (Vec<Value>, Timestamp), name: &str) -> Vec<LabEpoch> {
    service.restore(backup, name).await;
    begin_epoch::run(&facts(service, at)).await.unwrap()
}

/// The content of a cursor.
fn content(cursor: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).unwrap()[16..]).unwrap()
}

#[tokio::test]
async fn a_reader_who_has_read_nothing_that_is_gone_goes_on() {
    let mut service = Service::start().await;
    for _ in 0..5 {
        create(&service).await;
    }
    let mut reader = Reader::default();
    reader.follow(&service).await;
    let cursor = content(reader.cursor.as_ref().unwrap());
    assert!(cursor.is_array(), "as in the release before epochs: {cursor}");
    let backup = back_up(&service).await;
    create(&service).await;
    update(&service, 2, "lost").await;
    let epochs = restore(&mut service, backup, "restored").await;
    let lab = LabId::new(123).unwrap();
    assert_eq!(epochs, [LabEpoch { lab, is_new: true, kept: 5, last_id: 15 }]);
    service.dynamodb.take_calls();
    assert!(!reader.read(&service, 3).await);
    assert_eq!(service.dynamodb.take_calls(), ["Query"], "the epochs cost no call");
    assert_eq!(content(reader.cursor.as_ref().unwrap())["position"], cursor);
    update(&service, 2, "kept").await;
    reader.follow(&service).await;
    assert_eq!((reader.state(), reader.restarts), (cases(&service).await, 0));
}

#[tokio::test]
async fn a_reader_of_lost_changes_is_told_what_is_gone_and_where_to_go_on() {
    let mut service = Service::start().await;
    for _ in 0..5 {
        create(&service).await;
    }
    let (backup, at) = back_up(&service).await;
    let lost = create(&service).await;
    update(&service, 2, "lost").await;
    service.as_user("admin", "DELETE", "/api/v1/cases/3").send().await.expect(204);
    let mut reader = Reader::default();
    reader.follow(&service).await;
    assert!(reader.state().contains_key(&lost) && !reader.state().contains_key(&3));
    restore(&mut service, (backup, at), "restored").await;
    // The numbers of the lost changes are used again.
    for _ in 0..40 {
        update(&service, 1, &fastrand::u64(..).to_string()).await;
    }
    let reply = reader.page(&service, 3).await;
    let problem = reply.expect_problem(410, "feed_restarted");
    let expected = json!({
        "type": "urn:lhcms:problem:feed_restarted", "title": "Feed restarted", "status": 410, "code": "feed_restarted",
        "detail": "The data was restored to an earlier time, and changes that you have read are gone. Read the cases again that \
            changed or were deleted at or after restored_to, and go on with next_cursor.",
        "request_id": problem["request_id"], "restored_to": at.to_string(), "next_cursor": problem["next_cursor"],
    });
    assert_eq!(problem, expected);
    reader.follow(&service).await;
    assert_eq!((reader.state(), reader.restarts), (cases(&service).await, 1));
    assert!(!reader.state().contains_key(&lost) && reader.state().contains_key(&3));
    // A new reader, and one that starts now, need not know of it.
    let mut new = Reader::default();
    new.follow(&service).await;
    assert_eq!((new.state(), new.restarts), (cases(&service).await, 0));
    let now = service.as_user("viewer", "GET", &format!("{FEED}?since=now")).send().await.expect(200);
    let mut now = Reader { cursor: now["next_cursor"].as_str().map(str::to_owned), ..Reader::default() };
    let next = create(&service).await;
    now.follow(&service).await;
    assert_eq!((now.state().into_keys().collect::<Vec<_>>(), now.restarts), (vec![next], 0));
}

#[tokio::test]
async fn a_restore_without_an_epoch_is_not_silent_while_the_log_is_behind_the_reader() {
    let mut service = Service::start().await;
    create(&service).await;
    let (backup, _) = back_up(&service).await;
    for _ in 0..3 {
        create(&service).await;
    }
    let mut reader = Reader::default();
    reader.follow(&service).await;
    service.restore(backup, "restored").await;
    let problem = reader.page(&service, 3).await.expect_problem(410, "feed_restarted");
    assert_eq!(problem["restored_to"], "1970-01-01T00:00:00.000Z");
    assert_eq!(content(problem["next_cursor"].as_str().unwrap()), json!(vec![0; 16]));
    reader.follow(&service).await;
    assert_eq!(reader.state(), cases(&service).await);
    assert_eq!(reader.state().len(), 1);
}

#[tokio::test]
async fn a_cursor_of_an_epoch_that_the_table_does_not_have_starts_from_the_beginning() {
    let mut service = Service::start().await;
    create(&service).await;
    let backup = back_up(&service).await;
    create(&service).await;
    restore(&mut service, backup, "restored").await;
    let mut reader = Reader::default();
    create(&service).await;
    reader.follow(&service).await;
    assert_eq!(reader.state().len(), 2);
    // Back to the former table.
    service.set("TABLE_NAME", TABLE);
    let problem = reader.page(&service, 3).await.expect_problem(410, "feed_restarted");
    assert_eq!(problem["restored_to"], "1970-01-01T00:00:00.000Z");
    reader.follow(&service).await;
    assert_eq!(reader.state(), cases(&service).await);
}

#[tokio::test]
async fn ids_that_were_given_out_after_the_restored_time_are_given_to_no_other_case() {
    let mut service = Service::start().await;
    for _ in 0..3 {
        create(&service).await;
    }
    let (backup, at) = back_up(&service).await;
    for _ in 0..20 {
        create(&service).await;
    }
    service.create("northgate", json!({"procedure_type": "Crown"})).await;
    let former = TableConfig { name: TABLE.to_owned(), ..service.table_config() };
    service.restore(backup, "restored").await;
    let facts = RestoreFacts { former: Some(former), ..facts(&service, at) };
    let epochs = begin_epoch::run(&facts).await.unwrap();
    let [one, other] = [123, 456].map(|lab| LabId::new(lab).unwrap());
    let expected = [
        LabEpoch { lab: one, is_new: true, kept: 3, last_id: 33 },
        LabEpoch { lab: other, is_new: true, kept: 0, last_id: 11 },
    ];
    assert_eq!(epochs, expected, "also a lab that only the former table has");
    assert_eq!(create(&service).await, 34);
    let first = service.create("northgate", json!({"procedure_type": "Crown"})).await;
    assert_eq!(first["id"], 12);
}

#[tokio::test]
async fn a_second_run_changes_nothing_and_repair_finds_nothing() {
    let mut service = Service::start().await;
    for _ in 0..3 {
        create(&service).await;
    }
    let (backup, at) = back_up(&service).await;
    create(&service).await;
    restore(&mut service, (backup, at), "restored").await;
    // A run that was stopped before it raised the counter is completed.
    service.change_number(123, "COUNTER", "last_id", 3).await;
    begin_epoch::run(&facts(&service, at)).await.unwrap();
    assert_eq!(create(&service).await, 14);
    let before = service.items(123).await;
    let again = begin_epoch::run(&facts(&service, at)).await.unwrap();
    assert_eq!(again, [LabEpoch { lab: LabId::new(123).unwrap(), is_new: false, kept: 3, last_id: 13 }]);
    assert_eq!(service.items(123).await, before);
    for mode in [Mode::DryRun, Mode::Write] {
        let repair = Repair::new(&service.verification_config(), mode).unwrap();
        assert_eq!(repair.run(LabId::new(123).unwrap(), |_, _| {}).await.unwrap().faults, []);
        assert_eq!(service.items(123).await, before);
    }
    assert_eq!(service.verify_all_labs().await.contradictions, []);
}

/// Random changes with several readers, who follow now and then and stop anywhere, and several restores.
#[tokio::test]
async fn readers_of_random_changes_and_restores_lose_nothing_and_keep_nothing_that_is_gone() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut service = Service::start().await;
        let mut readers: Vec<Reader> = (0..6).map(|_| Reader::default()).collect();
        for round in 0..3 {
            work(&service, &mut readers, &mut random).await;
            let backup = back_up(&service).await;
            work(&service, &mut readers, &mut random).await;
            restore(&mut service, backup, &format!("restored-{round}")).await;
            if random.bool() {
                work(&service, &mut readers, &mut random).await;
            }
        }
        let expected = cases(&service).await;
        for (number, reader) in readers.iter_mut().enumerate() {
            reader.follow(&service).await;
            assert_eq!(reader.state(), expected, "reader {number} with seed {seed}");
        }
        assert!(readers.iter().any(|reader| reader.restarts > 0), "seed {seed} restarts no reader");
    }
}

/// Some random changes of few cases, with readers that read a page now and then.
async fn work(service: &Service, readers: &mut [Reader], random: &mut fastrand::Rng) {
    for _ in 0..12 {
        let live: Vec<u64> = cases(service).await.into_keys().collect();
        match random.u8(0..10) {
            _ if live.len() < 3 => drop(create(service).await),
            0..2 => drop(create(service).await),
            2 => {
                let path = format!("/api/v1/cases/{}", live[random.usize(..live.len())]);
                service.as_user("admin", "DELETE", &path).send().await.expect(204);
            }
            _ => update(service, live[random.usize(..live.len())], &random.u64(..).to_string()).await,
        }
        for reader in readers.iter_mut() {
            if random.u8(0..4) == 0 {
                reader.read(service, random.u32(1..4)).await;
            }
        }
    }
}

#[tokio::test]
async fn the_trail_is_valid_after_a_restore_and_counts_the_lost_events() {
    let mut service = Service::start_with_streams().await;
    create(&service).await;
    let backup = back_up(&service).await;
    update(&service, 1, "lost").await;
    create(&service).await;
    service.process_streams().await;
    service.restore(backup.0, "restored").await;
    let verify = async |service: &Service| {
        service.as_user("admin", "GET", "/api/v1/audit/verify").send().await.expect(200)
    };
    let found = verify(&service).await;
    assert_eq!(
        (&found["valid"], &found["lost_events"], &found["fault_count"]),
        (&json!(false), &json!(0), &json!(2))
    );
    begin_epoch::run(&facts(&service, backup.1)).await.unwrap();
    let found = verify(&service).await;
    assert_eq!(
        (&found["valid"], &found["lost_events"], &found["faults"]),
        (&json!(true), &json!(2), &json!([]))
    );
    // The version of the lost change is used again, in the same hour.
    update(&service, 1, "kept").await;
    service.process_streams().await;
    let found = verify(&service).await;
    assert_eq!((&found["valid"], &found["lost_events"]), (&json!(true), &json!(2)));
    // What a restore does not explain is still found.
    service.delete_event(123, 1, 1).await;
    let found = verify(&service).await;
    let fault = &found["faults"][0];
    assert_eq!((&fault["fault"], &fault["id"]), (&json!("removed"), &json!("EVENT#0000000001#000001")));
    assert_eq!((&found["fault_count"], &found["lost_events"]), (&json!(1), &json!(2)));
}
