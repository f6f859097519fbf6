//! `make export-lab`, the import of its folder, and `make destroy-lab`: a lab that moves is equal afterwards, and a lab that is
//! destroyed is gone, and only it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use lab_data::{
    destroy::{self, Certificate},
    export,
    import::folder,
};
use serde_json::{Value, json};
use shared::{
    base::LabId,
    case::repair::{Mode, Repair},
};

use crate::harness::{Fault, Service};

fn lab() -> LabId {
    LabId::new(123).unwrap()
}

/// A lab with cases in every state, histories, words, stored responses and audit records; and another lab.
async fn service() -> Service {
    let service = Service::start_with_streams().await;
    for number in 1..=12 {
        let body = json!({
            "procedure_type": "Crown", "patient_name": format!("Jürgen \"Number\" {number}\u{2028}"), "notes": "a\nb\\",
            "patient_info": {"patient_id": "P-7", "age": 40},
        });
        let key = format!("key-number-{number}-of-the-test");
        service
            .as_user("admin", "POST", "/api/v1/cases")
            .header("idempotency-key", &key)
            .json(body)
            .send()
            .await
            .expect(201);
    }
    let put = json!({"notes": "second"});
    service.as_user("admin", "PUT", "/api/v1/cases/3").json(put).send().await.expect(200);
    service.as_user("admin", "DELETE", "/api/v1/cases/4").send().await.expect(204);
    let remake = json!({"reason_code": "fit", "reason": "Margin open"});
    service.as_user("admin", "POST", "/api/v1/cases/5/remakes").json(remake).send().await.expect(201);
    let question = json!({"text": "Which shade?", "mentions": ["5"], "asks": true});
    service.as_user("admin", "POST", "/api/v1/cases/6/comments").json(question).send().await.expect(201);
    for result in ["NO_THREATS_FOUND", "THREATS_FOUND"] {
        service.add_file("admin", 6, b"solid upper jaw", result).await;
    }
    service.process_streams().await;
    service
}

/// All items of the lab, in both tables.
async fn items(service: &Service) -> (Value, Vec<Value>) {
    (json!(service.items(123).await), service.access_records(123).await)
}

#[tokio::test]
async fn a_lab_that_moves_out_and_in_again_is_equal() {
    let (old, parent) = (service().await, tempfile::tempdir().unwrap());
    let path = parent.path().join("lab");
    let manifest = export::run(&old.lab_data_config(), lab(), &path).await.unwrap();
    let count = |kind: &str| manifest.files[kind].items;
    assert_eq!(
        (count("cases"), count("deleted_cases"), count("events"), count("log_entries"), count("comments")),
        (12, 1, 21, 21, 1)
    );
    assert_eq!((count("attachments"), manifest.attachments.len()), (2, 1), "only the clean one can be read");
    assert_eq!(count("audit_records") as usize, old.access_records(123).await.len());
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        let (metadata, name) = (entry.metadata().unwrap(), entry.file_name());
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, expected, "{name:?}");
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);

    let new = Service::start_with_streams().await;
    let config = new.lab_data_config();
    let (dry, missing) = folder::run(&config, &path, Mode::DryRun, |_| {}).await.unwrap();
    assert_eq!(dry, manifest);
    assert_eq!(items(&new).await, (json!({}), vec![]), "a dry run writes nothing");
    // Killed in the middle, and started again.
    let calls = AtomicUsize::new(0);
    new.dynamodb.rule(move |name, _| {
        let is_late = name == "BatchWriteItem" && calls.fetch_add(1, Ordering::SeqCst) >= 2;
        if is_late { Fault::Hang } else { Fault::Pass }
    });
    let killed =
        tokio::time::timeout(Duration::from_secs(1), folder::run(&config, &path, Mode::Write, |_| {}));
    assert!(killed.await.is_err());
    new.dynamodb.heal();
    let (_, rest) = folder::run(&config, &path, Mode::Write, |_| {}).await.unwrap();
    assert!(0 < rest && rest < missing, "{rest} of {missing}");
    assert_eq!(items(&new).await, items(&old).await);
    for name in manifest.attachments.keys() {
        assert_eq!(fs::read(new.object(&format!("lab=123/{name}"))).unwrap(), b"solid upper jaw");
    }
    assert_eq!(
        folder::run(&config, &path, Mode::Write, |_| {}).await.unwrap().1,
        0,
        "a second run writes nothing"
    );

    let again = parent.path().join("again");
    assert_eq!(export::run(&config, lab(), &again).await.unwrap().files, manifest.files);
    let mut repair = Repair::new(&new.verification_config(), Mode::DryRun).unwrap();
    repair.unindexed_age = Duration::ZERO;
    assert_eq!(repair.run(lab(), |_, _| {}).await.unwrap().faults, []);
    assert_eq!(new.verify_all_labs().await.contradictions, []);
    assert_eq!(new.create("admin", json!({"procedure_type": "Crown"})).await["id"], 14);
}

#[tokio::test]
async fn a_changed_folder_and_a_lab_with_other_data_are_refused() {
    let (old, parent) = (service().await, tempfile::tempdir().unwrap());
    let path = parent.path().join("lab");
    export::run(&old.lab_data_config(), lab(), &path).await.unwrap();
    let new = Service::start().await;
    new.create("admin", json!({"procedure_type": "Crown"})).await;
    let error = folder::run(&new.lab_data_config(), &path, Mode::Write, |_| {}).await.unwrap_err();
    assert_eq!(error, "the lab has other data already");
    let file = path.join("cases.ndjson");
    let text = fs::read_to_string(&file).unwrap().replace("second", "forged");
    fs::write(&file, text).unwrap();
    let error = folder::run(&new.lab_data_config(), &path, Mode::Write, |_| {}).await.unwrap_err();
    assert!(error.ends_with("cases.ndjson is not the file that was exported"), "{error}");
    let error = export::run(&old.lab_data_config(), lab(), &path).await.unwrap_err();
    assert!(error.contains("exists"), "an export overwrites nothing: {error}");
}

#[tokio::test]
async fn only_the_code_of_the_plan_destroys_a_lab_and_the_certificate_says_what() {
    let (service, parent) = (service().await, tempfile::tempdir().unwrap());
    let (config, certificate) = (service.lab_data_config(), parent.path().join("certificate.json"));
    let other = json!({"procedure_type": "Crown"});
    service.create("northgate", other).await;
    let others = service.items(456).await;
    let before = items(&service).await;
    let (plan, code) = destroy::plan(&config, lab()).await.unwrap();
    let error = destroy::run(&config, lab(), "000000000000", "Jo", &certificate).await.unwrap_err();
    assert!(error.starts_with("CONFIRM is not the code"), "{error}");
    assert_eq!(items(&service).await, before, "a plan and a wrong code change nothing");
    assert!(!certificate.exists());
    // A code of a plan that is not up to date is refused.
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    destroy::run(&config, lab(), &code, "Jo", &certificate).await.unwrap_err();
    let (plan, code) = {
        let now = destroy::plan(&config, lab()).await.unwrap();
        assert_ne!(now.0.files, plan.files);
        now
    };
    // Killed in the middle, and started again with the same code.
    let calls = AtomicUsize::new(0);
    service.dynamodb.rule(move |name, _| {
        let is_late = name == "BatchWriteItem" && calls.fetch_add(1, Ordering::SeqCst) >= 2;
        if is_late { Fault::Hang } else { Fault::Pass }
    });
    let killed =
        tokio::time::timeout(Duration::from_secs(1), destroy::run(&config, lab(), &code, "Jo", &certificate));
    assert!(killed.await.is_err());
    service.dynamodb.heal();
    let done = destroy::run(&config, lab(), &code, "Jo", &certificate).await.unwrap();
    assert_eq!(items(&service).await, (json!({}), vec![]));
    assert_eq!(service.items(456).await, others, "another lab keeps its data");
    let left = fs::read_dir(service.object("lab=123/case=6")).unwrap().count();
    assert_eq!((plan.attachments.len(), left), (2, 0));
    assert_eq!(done.destroyed.files, plan.files);
    assert!(done.finished_at.is_some() && done.remains[0].contains("Object Lock"));
    let written: Certificate = serde_json::from_str(&fs::read_to_string(&certificate).unwrap()).unwrap();
    assert_eq!(written, done);
    assert_eq!(fs::metadata(&certificate).unwrap().permissions().mode() & 0o777, 0o600);
    // The function on the streams sees the removals, and brings nothing back.
    service.process_streams().await;
    assert_eq!(items(&service).await, (json!({}), vec![]));
}
