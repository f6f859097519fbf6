//! The whole service in one process: the real handlers, routed by `openapi.yaml`, over an embedded DynamoDB and
//! stand-ins for UMS and LinksHub, each behind a proxy that can fail.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use local::{
    dynamodb::{self, Expiry},
    linkshub::LinksHub,
    queue::Queue,
    s3, seed,
    server::Server,
    streams::{Positions, StreamReader},
    table,
    ums::Ums,
};
use serde_json::{Value, json};
use shared::{
    auth::Operation,
    case::{ScanOutcome, ScanProcessor, ScheduledVerification, VerificationReport},
    config::{
        Common, Config, DeliveryConfig, DeliveryTimes, Env, LabDataConfig, Needs, ScansConfig, StreamsConfig,
        TableConfig, VerificationConfig,
    },
    http::{self, Request, Response},
    lab::{Scope, Services},
    runtime::{
        Function, LabFunction, PublicFunction,
        health::{Probe, ProbeConfig},
    },
    streams::{StreamProcessor, StreamReport},
    webhook::Deliverer,
};

use super::{
    Reply,
    call::Call,
    leaks,
    proxy::Proxy,
    registry,
    sockets::{self, Sockets},
    spec,
};

/// The key that the stand-in UMS signs tokens with.
pub(crate) const SECRET: &str = "integration-tests-sign-with-this-key-0123456789";
/// The key that cursors are signed with.
pub(crate) const CURSOR_SECRET: &str = "integration-tests-sign-cursors-with-this-key";
/// The secret of the CDN, in tests with one.
pub(crate) const ORIGIN_SECRET: &str = "integration-tests-come-from-this-cdn-0123456789";
/// The key that seals events and audit records.
pub(crate) const SEAL_KEYS: &str = "test:integration-tests-seal-with-this-key-0123456789";
pub(crate) const TABLE: &str = "lhcms-test";
pub(crate) const AUDIT_TABLE: &str = "lhcms-test-audit";
/// The table of tickets and WebSocket connections.
pub(crate) const CONNECTIONS_TABLE: &str = "lhcms-test-connections";
/// The key that encrypts the secrets of webhooks.
pub(crate) const WEBHOOK_KEYS: &str = "test:aW50ZWdyYXRpb24gdGVzdHMgZW5jcnlwdCBob29rcy4=";
const BUCKET: &str = "lhcms-test-archive";
/// The bucket of the files of cases.
pub(crate) const FILES_BUCKET: &str = "lhcms-test-files";

pub(super) type Answering<'a> = Pin<Box<dyn Future<Output = Response> + Send + 'a>>;

/// A function that can be kept in a list with others.
pub(super) trait AnyFunction: Send + Sync {
    fn answer(&self, request: Request) -> Answering<'_>;
}

impl<T: Function> AnyFunction for T {
    fn answer(&self, request: Request) -> Answering<'_> {
        Box::pin(self.call(request))
    }
}

/// A running service of its own: nothing is shared between tests.
pub(crate) struct Service {
    functions: BTreeMap<&'static str, Box<dyn AnyFunction>>,
    pub(crate) ums: Ums,
    pub(crate) linkshub: LinksHub,
    /// In front of DynamoDB.
    pub(crate) dynamodb: Proxy,
    /// In front of UMS.
    pub(crate) ums_proxy: Proxy,
    /// In front of LinksHub.
    pub(crate) linkshub_proxy: Proxy,
    /// In front of S3.
    pub(crate) s3: Proxy,
    /// The queue of webhooks.
    pub(crate) queue: Queue,
    /// The WebSocket API.
    pub(crate) sockets: Sockets,
    database: Server,
    expiry: Expiry,
    streams: tokio::sync::Mutex<Vec<StreamReader>>,
    /// The second reader of the stream of cases.
    push_stream: tokio::sync::Mutex<Option<StreamReader>>,
    archive: tempfile::TempDir,
    _servers: [Server; 5],
    settings: BTreeMap<String, String>,
    tune: fn(&mut Config),
}

impl Service {
    /// Starts with the labs, people, doctors and products of `make dev`.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts with some environment variables of the functions changed.
    pub(crate) async fn start_with(changes: &[(&str, &str)]) -> Self {
        Self::start_tuned(changes, |_| {}).await
    }

    /// Starts with a longer time budget than the functions have, for many simultaneous requests on a slow machine.
    pub(crate) async fn start_patient() -> Self {
        Self::start_tuned(&[], |config| config.retry_budget = Duration::from_secs(8)).await
    }

    /// Starts with streams, which make the emulator slower.
    pub(crate) async fn start_with_streams() -> Self {
        Self::start_with_streams_tuned(|_| {}).await
    }

    /// Starts with streams, and with settings changed by `tune`.
    pub(crate) async fn start_with_streams_tuned(tune: fn(&mut Config)) -> Self {
        Self::begin(&[], tune, true).await
    }

    /// Starts with some environment variables changed, and with other settings changed by `tune`: pauses and ages.
    pub(crate) async fn start_tuned(changes: &[(&str, &str)], tune: fn(&mut Config)) -> Self {
        Self::begin(changes, tune, false).await
    }

    async fn begin(changes: &[(&str, &str)], tune: fn(&mut Config), has_streams: bool) -> Self {
        leaks::watch();
        let ums = Ums::new(seed::directory(), SECRET);
        let linkshub = LinksHub::new(seed::catalogue());
        let (database, expiry) = dynamodb::serve(listener().await, &dynamodb::Storage::Memory).unwrap();
        let mut streams = Vec::new();
        for ((resource, _), name) in table::TABLES.into_iter().zip([TABLE, AUDIT_TABLE]) {
            let definition = table::Definition::read(&spec::root().join("template.yaml"), resource).unwrap();
            let definition = if has_streams { definition.with_stream() } else { definition };
            table::create(database.url(), name, &definition).await.unwrap();
            if has_streams {
                streams.push(StreamReader::open(database.url(), name, Positions::new()).await.unwrap());
            }
        }
        let (resource, _) = table::CONNECTIONS;
        let definition = table::Definition::read(&spec::root().join("template.yaml"), resource).unwrap();
        table::create(database.url(), CONNECTIONS_TABLE, &definition).await.unwrap();
        let push_stream = if has_streams {
            Some(StreamReader::open(database.url(), TABLE, Positions::new()).await.unwrap())
        } else {
            None
        };
        let archive = tempfile::tempdir().unwrap();
        let sockets = Sockets::default();
        let queue = Queue::default();
        let servers = [
            Server::start("UMS", listener().await, local::ums::router(ums.clone())).unwrap(),
            Server::start("LinksHub", listener().await, local::linkshub::router(linkshub.clone())).unwrap(),
            s3::serve(listener().await, archive.path(), &[BUCKET, FILES_BUCKET], ("test", "test"), None)
                .unwrap(),
            queue.serve(listener().await).unwrap(),
            sockets.serve(listener().await),
        ];
        let dynamodb = Proxy::start(database.url()).await;
        let ums_proxy = Proxy::start(servers[0].url()).await;
        let linkshub_proxy = Proxy::start(servers[1].url()).await;
        let s3 = Proxy::start(servers[2].url()).await;
        let mut settings: BTreeMap<String, String> = [
            ("STAGE", "dev"),
            ("TABLE_NAME", TABLE),
            ("AUDIT_TABLE_NAME", AUDIT_TABLE),
            ("ARCHIVE_BUCKET_NAME", BUCKET),
            ("FILES_BUCKET_NAME", FILES_BUCKET),
            ("AWS_ENDPOINT_URL_S3", s3.url()),
            ("AWS_ENDPOINT_URL_SQS", servers[3].url()),
            ("WEBHOOK_QUEUE_URL", servers[3].url()),
            ("WEBHOOK_KEYS", WEBHOOK_KEYS),
            ("CONNECTIONS_TABLE", CONNECTIONS_TABLE),
            ("REALTIME_URL", "wss://live.example.com/live"),
            ("REALTIME_ENDPOINT", &format!("{}/{}", servers[4].url(), sockets::STAGE)),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.url()),
            ("UMS_BASE_URL", ums_proxy.url()),
            ("LINKSHUB_BASE_URL", linkshub_proxy.url()),
            ("JWT_SECRET_KEY", SECRET),
            ("CURSOR_SECRET_KEY", CURSOR_SECRET),
            ("SEAL_KEYS", SEAL_KEYS),
            ("CORS_ORIGINS", "https://app.example.com"),
            // Tests send thousands of requests as one user.
            ("RATE_LIMIT_PER_USER", "0"),
            ("RATE_LIMIT_PER_LAB", "0"),
            ("RATE_LIMIT_PER_SOURCE", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        settings.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self {
            functions: functions(&settings, tune),
            ums,
            linkshub,
            dynamodb,
            ums_proxy,
            linkshub_proxy,
            s3,
            queue,
            sockets,
            database,
            expiry,
            streams: tokio::sync::Mutex::new(streams),
            push_stream: tokio::sync::Mutex::new(push_stream),
            archive,
            _servers: servers,
            settings,
            tune,
        }
    }

    /// Starts the functions again, with empty caches.
    pub(crate) fn restart_functions(&mut self) {
        self.functions = functions(&self.settings, self.tune);
    }

    /// Starts the functions again with another value of an environment variable.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
        self.restart_functions();
    }

    /// The value of an environment variable of the functions.
    pub(super) fn setting(&self, name: &str) -> Option<String> {
        self.settings.get(name).cloned()
    }

    /// Whether an environment variable of the functions was set.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.settings.contains_key(name)
    }

    /// Calls the function on the streams until it has processed every change. Returns how many changes there were.
    pub(crate) async fn process_streams(&self) -> usize {
        let mut count = 0;
        while let Some((changes, report)) = self.process_next_batch().await {
            let failures = leaks::lines_with("stream failure");
            assert_eq!(report.batch_item_failures, [], "the function on the streams failed: {failures:?}");
            count += changes;
        }
        count
    }

    /// Calls the function that sends signals with the next changes, as an event source mapping does. Returns how many there were;
    /// an error leaves the changes for the next call.
    pub(crate) async fn push_changes(&self) -> Result<usize, String> {
        let mut stream = self.push_stream.lock().await;
        let stream = stream.as_mut().expect("the test must start the service with streams");
        let mut count = 0;
        while let Some(batch) = stream.next_event().await.unwrap() {
            self.push(batch.event.clone()).await?;
            count += batch.event["Records"].as_array().unwrap().len();
            stream.advance(&batch, &Value::Null);
        }
        Ok(count)
    }

    /// Calls the function once more with every change since the start, in batches of `size`.
    pub(crate) async fn deliver_again(&self, size: usize) {
        let processor = self.stream_processor();
        for table in [TABLE, AUDIT_TABLE] {
            let mut stream = StreamReader::open(self.database.url(), table, Positions::new()).await.unwrap();
            while let Some(batch) = stream.next_event().await.unwrap() {
                for records in batch.event["Records"].as_array().unwrap().chunks(size) {
                    let event = serde_json::from_value(json!({"Records": records})).unwrap();
                    let report = process_streams::handler(processor.clone(), event).await;
                    assert_eq!(report.batch_item_failures, []);
                }
                stream.advance(&batch, &Value::Null);
            }
        }
    }

    fn stream_processor(&self) -> Arc<StreamProcessor> {
        let lookup = |name: &str| self.settings.get(name).cloned();
        let config = StreamsConfig::read(Env::new(&lookup)).unwrap();
        Arc::new(StreamProcessor::new(&config).unwrap())
    }

    /// Calls the function on the streams with the next batch, as an event source mapping does. Returns the number of changes
    /// and the report; `None` if there is nothing new.
    pub(crate) async fn process_next_batch(&self) -> Option<(usize, StreamReport)> {
        let processor = self.stream_processor();
        let mut streams = self.streams.lock().await;
        assert!(!streams.is_empty(), "the test must start the service with streams");
        for stream in streams.iter_mut() {
            if let Some(batch) = stream.next_event().await.unwrap() {
                let changes = batch.event["Records"].as_array().unwrap().len();
                let event = serde_json::from_value(batch.event.clone()).unwrap();
                let report = process_streams::handler(processor, event).await;
                stream.advance(&batch, &serde_json::to_value(&report).unwrap());
                return Some((changes, report));
            }
        }
        None
    }

    /// Delivers the result of a scan of an object in the bucket of files.
    pub(crate) async fn scan_result(&self, key: &str, result: &str) -> ScanOutcome {
        self.deliver_scan(local::scanner::event(FILES_BUCKET, key, None, result)).await
    }

    /// Calls the function that gets the results of scans.
    pub(crate) async fn deliver_scan(&self, event: Value) -> ScanOutcome {
        let lookup = |name: &str| self.settings.get(name).cloned();
        let config = ScansConfig::read(Env::new(&lookup)).unwrap();
        let processor = Arc::new(ScanProcessor::new(&config).unwrap());
        scan_results::handler(processor, serde_json::from_value(event).unwrap()).await.unwrap()
    }

    /// Adds a scan to a case of lab 123: announces, sends and completes it, and delivers the result of its scan. Returns its id.
    pub(crate) async fn add_file(&self, user: &str, case: u64, content: &[u8], result: &str) -> String {
        let path = format!("/api/v1/cases/{case}/attachments");
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
        let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({
            "file_name": "Jane Roe.stl", "content_type": "model/stl", "size": content.len(), "sha256": sum, "kind": "scan",
        });
        let announced = self.as_user(user, "POST", &path).json(body).send().await.expect(201);
        let id = announced["attachment"]["id"].as_str().unwrap().to_owned();
        let part = &announced["upload"]["parts"][0];
        let url = part["url"].as_str().unwrap();
        assert_eq!(self.send_to_store("PUT", url, &part["headers"], content.to_vec()).await.0, 200);
        self.as_user(user, "POST", &format!("{path}/{id}/complete")).send().await.expect(200);
        let outcome = self.scan_result(&format!("lab=123/case={case}/{id}"), result).await;
        assert_eq!(outcome, ScanOutcome::Changed);
        id
    }

    /// The file of an object in the bucket of files.
    pub(crate) fn object(&self, key: &str) -> std::path::PathBuf {
        self.archive.path().join(FILES_BUCKET).join(key)
    }

    /// Sends a request to the store, as a client does with a signed one. Returns the status and the body.
    pub(crate) async fn send_to_store(
        &self,
        method: &str,
        url: &str,
        headers: &Value,
        body: Vec<u8>,
    ) -> (u16, axum::http::HeaderMap, Vec<u8>) {
        let headers: Vec<(&str, &str)> = headers
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        let client = local::client::Client::new(Duration::from_secs(60)).max_body(512 << 20);
        let answer = client.send(method.parse().unwrap(), url, &headers, body).await.unwrap();
        (answer.status.as_u16(), answer.headers, answer.body.to_vec())
    }

    /// Makes the function on the queue of webhooks.
    pub(crate) fn deliverer(&self, times: DeliveryTimes) -> Arc<Deliverer> {
        let lookup = |name: &str| self.settings.get(name).cloned();
        let config = DeliveryConfig { times, ..DeliveryConfig::read(Env::new(&lookup)).unwrap() };
        Arc::new(Deliverer::new(&config).unwrap())
    }

    /// Lets DynamoDB remove the items whose time has come, as soon as there is one: an item expires in the second after its
    /// time.
    pub(crate) async fn expire_items(&self) -> usize {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.expiry.run().unwrap() {
                0 if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(50)).await,
                count => return count,
            }
        }
    }

    /// The lines of the archive, by the keys of the objects.
    pub(crate) fn archive(&self) -> BTreeMap<String, Vec<Value>> {
        let bucket = self.archive.path().join(BUCKET);
        let mut folders = vec![bucket.clone()];
        let mut objects = BTreeMap::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let mut text = String::new();
                let mut file = flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap());
                std::io::Read::read_to_string(&mut file, &mut text).unwrap();
                let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                let key = path.strip_prefix(&bucket).unwrap().to_str().unwrap().to_owned();
                objects.insert(key, lines);
            }
        }
        objects
    }

    /// Begins a request without a token.
    pub(crate) fn request(&self, method: &str, path: &str) -> Call<'_> {
        Call::new(self, method, path)
    }

    /// The answer of a function to a request as Lambda passes it on. The answer is not checked against the contract.
    pub(crate) async fn answer(&self, function: &str, request: Request) -> Reply {
        Reply::of(self.functions[function].answer(request).await)
    }

    /// Begins a request of a seeded user.
    pub(crate) fn as_user(&self, username: &str, method: &str, path: &str) -> Call<'_> {
        self.request(method, path).token(&self.token_of(username))
    }

    /// A valid access token of a seeded user.
    pub(crate) fn token_of(&self, username: &str) -> String {
        let person =
            seed::PEOPLE.into_iter().find(|person| person.username == username).expect("a seeded user");
        self.ums.access_token(person.id)
    }

    /// Creates a case as a user and returns it.
    pub(crate) async fn create(&self, username: &str, body: Value) -> Value {
        self.as_user(username, "POST", "/api/v1/cases").json(body).send().await.expect(201)
    }

    /// The table of cases, behind the proxy.
    pub(crate) fn table_config(&self) -> TableConfig {
        TableConfig::alone(Env::new(&|name: &str| self.settings.get(name).cloned())).unwrap()
    }

    /// The configuration of the programs that verify and repair.
    pub(crate) fn verification_config(&self) -> VerificationConfig {
        VerificationConfig::read(Env::new(&|name: &str| self.settings.get(name).cloned())).unwrap()
    }

    /// The configuration of the tools that move or destroy all data of a lab.
    pub(crate) fn lab_data_config(&self) -> LabDataConfig {
        LabDataConfig::read(Env::new(&|name: &str| self.settings.get(name).cloned())).unwrap()
    }

    /// The name of the table of cases.
    fn table(&self) -> &str {
        &self.settings["TABLE_NAME"]
    }

    /// A backup of the table of cases: all its items as DynamoDB has them, with types.
    pub(crate) async fn back_up(&self) -> Vec<Value> {
        let mut items = Vec::new();
        let mut scan = json!({"TableName": self.table(), "ConsistentRead": true, "Limit": 200});
        loop {
            let mut answer = self.call_database("Scan", &scan).await;
            items.append(answer["Items"].as_array_mut().unwrap());
            scan["ExclusiveStartKey"] = answer["LastEvaluatedKey"].take();
            if scan["ExclusiveStartKey"].is_null() {
                return items;
            }
        }
    }

    /// Restores a backup into a new table of cases, which the functions use from now on. The former table stays.
    pub(crate) async fn restore(&mut self, backup: Vec<Value>, name: &str) {
        let definition =
            table::Definition::read(&spec::root().join("template.yaml"), table::TABLES[0].0).unwrap();
        let mut streams = self.streams.lock().await;
        let has_streams = !streams.is_empty();
        let definition = if has_streams { definition.with_stream() } else { definition };
        table::create(self.database.url(), name, &definition).await.unwrap();
        self.expiry.load(name, backup).unwrap();
        if has_streams {
            let mut stream = StreamReader::open(self.database.url(), name, Positions::new()).await.unwrap();
            // A restore is no change.
            while let Some(batch) = stream.next_event().await.unwrap() {
                stream.advance(&batch, &Value::Null);
            }
            streams[0] = stream;
        }
        drop(streams);
        self.set("TABLE_NAME", name);
    }

    /// Every item of a lab, by sort key, directly from the table of cases.
    pub(crate) async fn items(&self, lab: i64) -> BTreeMap<String, Value> {
        self.items_of(self.table(), lab).await
    }

    /// The audit records of a lab, oldest first, directly from their table.
    pub(crate) async fn access_records(&self, lab: i64) -> Vec<Value> {
        self.items_of(AUDIT_TABLE, lab).await.into_values().collect()
    }

    /// The tickets and connections of a lab, directly from their table.
    pub(crate) async fn connections(&self, lab: i64) -> BTreeMap<String, Value> {
        self.items_of(CONNECTIONS_TABLE, lab).await
    }

    /// Sets a number of a ticket or a connection behind the service's back.
    pub(crate) async fn change_connection(&self, lab: i64, sk: &str, name: &str, value: i64) {
        self.set_number(CONNECTIONS_TABLE, lab, sk, name, &value.to_string()).await;
    }

    async fn items_of(&self, table: &str, lab: i64) -> BTreeMap<String, Value> {
        let mut items = BTreeMap::new();
        let mut start = Value::Null;
        loop {
            let mut query = json!({
                "TableName": table, "KeyConditionExpression": "lab_id = :lab",
                "ExpressionAttributeValues": {":lab": {"S": lab.to_string()}}, "ConsistentRead": true,
                // The client of the tests reads no larger answers.
                "Limit": 200,
            });
            if !start.is_null() {
                query["ExclusiveStartKey"] = start;
            }
            let mut answer = self.call_database("Query", &query).await;
            for item in answer["Items"].as_array().unwrap() {
                let item = plain(&json!({"M": item}));
                items.insert(item["sk"].as_str().unwrap().to_owned(), item);
            }
            start = answer["LastEvaluatedKey"].take();
            if start.is_null() {
                return items;
            }
        }
    }

    /// The lab's statistics, added up over the shards, without statuses that have no cases.
    pub(crate) async fn statistics(&self, lab: i64) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for (_, item) in self.items(lab).await.range("STATS#".to_owned().."STATS$".to_owned()) {
            let counts = item.as_object().unwrap().iter().filter(|(name, _)| *name != "last_change");
            for (status, count) in counts.filter(|(_, count)| count.is_i64()) {
                *sums.entry(status.clone()).or_default() += count.as_i64().unwrap();
            }
        }
        sums.retain(|_, count| *count != 0);
        sums
    }

    /// Tampers with an event: sets text attributes behind the service's back.
    pub(crate) async fn change_event(&self, lab: i64, case: u64, version: u32, attributes: Value) {
        self.change_item(lab, &event_key(case, version), attributes).await;
    }

    /// Tampers with an item: sets text attributes behind the service's back.
    pub(crate) async fn change_item(&self, lab: i64, sk: &str, attributes: Value) {
        self.change_item_of(self.table(), lab, sk, attributes).await;
    }

    /// Tampers with an audit record: sets text attributes behind the service's back.
    pub(crate) async fn change_record(&self, lab: i64, sk: &str, attributes: Value) {
        self.change_item_of(AUDIT_TABLE, lab, sk, attributes).await;
    }

    async fn change_item_of(&self, table: &str, lab: i64, sk: &str, attributes: Value) {
        for (name, value) in attributes.as_object().unwrap() {
            let update = json!({
                "TableName": table, "Key": key(lab, sk), "UpdateExpression": "SET #name = :value",
                "ExpressionAttributeNames": {"#name": name}, "ExpressionAttributeValues": {":value": {"S": value}},
            });
            self.call_database("UpdateItem", &update).await;
        }
    }

    /// Tampers with an item: sets one number behind the service's back.
    pub(crate) async fn change_number(&self, lab: i64, sk: &str, name: &str, value: u64) {
        self.set_number(self.table(), lab, sk, name, &value.to_string()).await;
    }

    async fn set_number(&self, table: &str, lab: i64, sk: &str, name: &str, value: &str) {
        let update = json!({
            "TableName": table, "Key": key(lab, sk), "UpdateExpression": "SET #name = :value",
            "ExpressionAttributeNames": {"#name": name}, "ExpressionAttributeValues": {":value": {"N": value}},
        });
        self.call_database("UpdateItem", &update).await;
    }

    /// An item as DynamoDB has it, with types.
    pub(crate) async fn typed_item(&self, lab: i64, sk: &str) -> Value {
        let get = json!({"TableName": self.table(), "Key": key(lab, sk), "ConsistentRead": true});
        self.call_database("GetItem", &get).await["Item"].take()
    }

    /// Fills the table behind the service's back, with items as DynamoDB has them.
    pub(crate) async fn put_typed_items(&self, items: &[Value]) {
        for batch in items.chunks(25) {
            let puts: Vec<Value> = batch.iter().map(|item| json!({"PutRequest": {"Item": item}})).collect();
            self.call_database("BatchWriteItem", &json!({"RequestItems": {self.table(): puts}})).await;
        }
    }

    /// Fills the table in the same way with so many items that calls of the API would take too long.
    pub(crate) fn load_typed_items(&self, items: Vec<Value>) {
        self.expiry.load(self.table(), items).unwrap();
    }

    /// Adds a file of a case behind the service's back, without an event and without an object; a pending one with its upload.
    pub(crate) async fn put_file(&self, lab: i64, case: u64, id: &str, state: &str, file_name: &str) {
        let text = |value: &str| json!({"S": value});
        let at = "2026-11-24T09:30:00.000Z";
        let mut file = key(lab, &format!("FILE#{case:010}#{id}"));
        for (name, value) in [
            ("id", text(id)),
            ("case_id", json!({"N": case.to_string()})),
            ("file_name", text(file_name)),
            ("content_type", text("model/stl")),
            ("size", json!({"N": "15"})),
            ("sha256", text(&"0".repeat(64))),
            ("kind", text("scan")),
            ("state", text(state)),
            ("uploaded_by", text("1")),
            ("created_at", text(at)),
            ("version", json!({"N": "1"})),
        ] {
            file[name] = value;
        }
        let mut items = vec![file];
        if state == "pending" {
            let mut upload = key(lab, &format!("UPLOAD#{case:010}#{id}"));
            upload["expires_at"] = json!({"N": "4102444800"});
            upload["version"] = json!({"N": "1"});
            items.push(upload);
        }
        self.put_typed_items(&items).await;
    }

    /// Deletes an event behind the service's back.
    pub(crate) async fn delete_event(&self, lab: i64, case: u64, version: u32) {
        self.delete_item(lab, &event_key(case, version)).await;
    }

    /// Deletes an item behind the service's back.
    pub(crate) async fn delete_item(&self, lab: i64, sk: &str) {
        self.call_database("DeleteItem", &json!({"TableName": self.table(), "Key": key(lab, sk)})).await;
    }

    /// Deletes an audit record behind the service's back.
    pub(crate) async fn delete_record(&self, lab: i64, sk: &str) {
        self.call_database("DeleteItem", &json!({"TableName": AUDIT_TABLE, "Key": key(lab, sk)})).await;
    }

    /// An audit record as DynamoDB has it, with types.
    pub(crate) async fn typed_record(&self, lab: i64, sk: &str) -> Value {
        let get = json!({"TableName": AUDIT_TABLE, "Key": key(lab, sk), "ConsistentRead": true});
        self.call_database("GetItem", &get).await["Item"].take()
    }

    /// Adds an audit record behind the service's back.
    pub(crate) async fn put_typed_record(&self, item: &Value) {
        self.call_database("PutItem", &json!({"TableName": AUDIT_TABLE, "Item": item})).await;
    }

    /// Erases the patient data of an event behind the service's back, as the end of a case's life does.
    pub(crate) async fn erase_event(&self, lab: i64, case: u64, version: u32, at: &str) {
        let update = json!({
            "TableName": self.table(), "Key": key(lab, &event_key(case, version)),
            "UpdateExpression": "SET erased_at = :at REMOVE changes, reason", "ExpressionAttributeValues": {":at": {"S": at}},
        });
        self.call_database("UpdateItem", &update).await;
    }

    /// Runs the scheduled verification of all labs.
    pub(crate) async fn verify_all_labs(&self) -> VerificationReport {
        let verification = ScheduledVerification::new(&self.verification_config()).unwrap();
        verification.run(Instant::now() + Duration::from_secs(60)).await.unwrap()
    }

    /// Deletes the table.
    pub(crate) async fn drop_table(&self) {
        self.call_database("DeleteTable", &json!({"TableName": self.table()})).await;
    }

    async fn call_database(&self, operation: &str, body: &Value) -> Value {
        table::Api::new(self.database.url()).call(operation, body).await.unwrap()
    }
}

/// The sort key of an event.
pub(crate) fn event_key(case: u64, version: u32) -> String {
    format!("EVENT#{case:010}#{version:06}")
}

fn key(lab: i64, sk: &str) -> Value {
    json!({"lab_id": {"S": lab.to_string()}, "sk": {"S": sk}})
}

/// The date in UTC.
pub(crate) fn today() -> String {
    shared::base::time::Timestamp::now().date().to_string()
}

async fn listener() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn functions(
    settings: &BTreeMap<String, String>,
    tune: fn(&mut Config),
) -> BTreeMap<&'static str, Box<dyn AnyFunction>> {
    let lookup = |name: &str| settings.get(name).cloned();
    let mut config = Config::read(Env::new(&lookup), Needs::ALL).unwrap();
    tune(&mut config);
    let probe_config = ProbeConfig::read(Env::new(&lookup)).unwrap();
    registry::functions(&Start {
        common: config.common.clone(),
        services: Arc::new(Services::new(&config).unwrap()),
        probe: Arc::new(Probe::new(&probe_config).unwrap()),
    })
}

/// Starts functions as `shared::runtime` does, but in the test's process.
pub(super) struct Start {
    common: Common,
    services: Arc<Services>,
    probe: Arc<Probe>,
}

impl Start {
    /// A function behind a login, for its operation.
    pub(super) fn lab<S, H, F>(&self, operation: Operation, handler: H) -> Box<dyn AnyFunction>
    where
        S: Scope,
        H: Fn(S, Request) -> F + Send + Sync + 'static,
        F: Future<Output = http::Result> + Send + 'static,
    {
        Box::new(LabFunction::new(self.common.clone(), self.services.clone(), operation, handler))
    }

    /// A function that anybody may call.
    pub(super) fn public<H, F>(&self, handler: H) -> Box<dyn AnyFunction>
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = http::Result> + Send + 'static,
    {
        Box::new(PublicFunction::new(self.common.clone(), handler))
    }

    /// The health check.
    pub(super) fn probe<H, F>(&self, handler: H) -> Box<dyn AnyFunction>
    where
        H: Fn(Arc<Probe>, Request) -> F + Send + Sync + 'static,
        F: Future<Output = http::Result> + Send + 'static,
    {
        let probe = self.probe.clone();
        self.public(move |request| handler(probe.clone(), request))
    }
}

/// DynamoDB's typed JSON as plain JSON.
pub(crate) fn plain(value: &Value) -> Value {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "N" => serde_json::from_str(value.as_str().unwrap()).unwrap(),
        "M" => value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        "L" => value.as_array().unwrap().iter().map(plain).collect(),
        "NULL" => Value::Null,
        _ => value.clone(),
    }
}
