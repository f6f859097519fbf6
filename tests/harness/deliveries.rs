//! Webhooks in tests: a receiver that behaves as it is told, and the function on the queue, called as an event source mapping does.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{ED25519, KeyPair, UnparsedPublicKey};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::stream;
use local::server::Server;
use serde_json::{Value, json};
use shared::{
    base::{LabId, encryption::EncryptionKeys, private::Secret, time::Timestamp},
    config::DeliveryTimes,
    webhook::{SigningSecrets, WebhookId},
};
use tokio::task::JoinHandle;

use super::{
    Service,
    service::{WEBHOOK_KEYS, plain},
};

/// How long a test waits for a delivery.
const DEADLINE: Duration = Duration::from_secs(20);

/// Times that let a test see several attempts in a second or two.
pub(crate) fn fast() -> DeliveryTimes {
    DeliveryTimes {
        timeout: Duration::from_millis(700),
        retries: vec![Duration::ZERO; 9],
        first_pause: Duration::ZERO,
        longest_pause: Duration::ZERO,
        probe: Duration::ZERO,
        ..DeliveryTimes::default()
    }
}

/// What a receiver does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// It answers with this status.
    Answer(u16),
    /// It answers with this status and these headers.
    AnswerWith(u16, &'static str, String),
    /// It answers 200 after this time.
    Slow(Duration),
    /// It never answers.
    Hang,
    /// It answers 200 with so many bytes.
    Large(usize),
    /// It answers 200, and the body never ends.
    SlowBody,
}

/// A request that a receiver got.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) body: Value,
    /// Whether the receiver accepted it.
    pub(crate) is_accepted: bool,
    pub(crate) at: Instant,
    text: Bytes,
    headers: HeaderMap,
}

impl Received {
    /// The case and its version.
    pub(crate) fn version(&self) -> (u64, u64) {
        let number = |name: &str| self.body["data"][name].as_u64().unwrap();
        (number("case_id"), number("version"))
    }

    /// Its headers and its body, as the code of another system gets them.
    pub(crate) fn parts(&self) -> Value {
        let headers =
            self.headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())));
        json!({"headers": headers.collect::<BTreeMap<_, _>>(), "body": String::from_utf8_lossy(&self.text)})
    }

    /// Checks both kinds of signature: `v1` with the package of Standard Webhooks, and `v1a` with the public key.
    pub(crate) fn verify(&self, secrets: &SigningSecrets) {
        let secret = secrets.secret();
        standardwebhooks::Webhook::new(secret.expose()).unwrap().verify(&self.text, &self.headers).unwrap();
        let header = |name: &str| self.headers[name].to_str().unwrap();
        let signed = [header("webhook-id"), header("webhook-timestamp")].join(".");
        let signed = [signed.as_bytes(), b".", &self.text].concat();
        let key = UnparsedPublicKey::new(&ED25519, secrets.ed25519().public_key().as_ref());
        let mut signatures =
            header("webhook-signature").split(' ').filter_map(|one| one.strip_prefix("v1a,"));
        assert!(signatures.any(|one| key.verify(&signed, &STANDARD.decode(one).unwrap()).is_ok()));
    }
}

type Behave = Box<dyn Fn(&Value, usize) -> Behaviour + Send>;

struct Shared {
    behave: Mutex<Behave>,
    received: Mutex<Vec<Received>>,
}

/// An endpoint of another system.
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    server: Server,
}

impl Receiver {
    /// Starts one that accepts everything.
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared {
            behave: Mutex::new(Box::new(|_, _| Behaviour::Answer(200))),
            received: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        Self { shared, server: Server::start("the receiver", listener, router).unwrap() }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/hook", self.server.url())
    }

    /// Sets what it does from now on. The function gets the body and the number of requests before.
    pub(crate) fn behave(&self, behave: impl Fn(&Value, usize) -> Behaviour + Send + 'static) {
        *self.shared.behave.lock().unwrap() = Box::new(behave);
    }

    /// All requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The requests that it accepted.
    pub(crate) fn accepted(&self) -> Vec<Received> {
        self.received().into_iter().filter(|received| received.is_accepted).collect()
    }

    /// Waits until it has accepted so many requests.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        wait(|| self.accepted().len() >= count, || format!("{} of {count} arrived", self.accepted().len()))
            .await;
        self.accepted()
    }

    /// The accepted versions of each case, in the order in which they came.
    pub(crate) fn versions(&self) -> BTreeMap<u64, Vec<u64>> {
        let mut versions: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (case, version) in self.accepted().iter().map(Received::version) {
            versions.entry(case).or_default().push(version);
        }
        versions
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, text: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&text).unwrap();
    let before = shared.received.lock().unwrap().len();
    let behaviour = (shared.behave.lock().unwrap())(&body, before);
    let status = match &behaviour {
        Behaviour::Answer(status) | Behaviour::AnswerWith(status, ..) => *status,
        Behaviour::Hang => 0,
        Behaviour::Slow(_) | Behaviour::Large(_) | Behaviour::SlowBody => 200,
    };
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let is_accepted = (200..300).contains(&status);
    let received = Received { id, body, is_accepted, at: Instant::now(), text, headers };
    shared.received.lock().unwrap().push(received);
    let code = StatusCode::from_u16(status).unwrap_or_default();
    match behaviour {
        Behaviour::Answer(_) => code.into_response(),
        Behaviour::AnswerWith(_, name, value) => (code, [(name, value)]).into_response(),
        Behaviour::Slow(time) => {
            tokio::time::sleep(time).await;
            code.into_response()
        }
        Behaviour::Hang => pending().await,
        Behaviour::Large(size) => vec![b'x'; size].into_response(),
        Behaviour::SlowBody => {
            let bytes = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Some((Ok::<_, std::io::Error>("x"), ()))
            });
            Body::from_stream(bytes).into_response()
        }
    }
}

/// Waits until something is so.
pub(crate) async fn wait(is_so: impl Fn() -> bool, why: impl Fn() -> String) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{}", why());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A webhook of a lab, written behind the service's back.
pub(crate) struct Hook {
    pub(crate) lab: i64,
    pub(crate) id: WebhookId,
    pub(crate) secrets: SigningSecrets,
}

impl Hook {
    pub(crate) fn sk(&self) -> String {
        format!("WEBHOOK#{}", self.id)
    }

    /// The records of its deliveries, by message.
    pub(crate) async fn deliveries(&self, service: &Service) -> BTreeMap<String, Value> {
        let prefix = format!("DELIVERY#{}#", self.id);
        let items = service.items(self.lab).await;
        items
            .into_iter()
            .filter_map(|(sk, item)| Some((sk.strip_prefix(&prefix)?.to_owned(), item)))
            .collect()
    }

    /// Waits until all of its so many deliveries are over, and their messages have left the queue. Returns their records.
    pub(crate) async fn wait_for_end(&self, service: &Service, count: usize) -> Vec<Value> {
        let is_over = |records: &[Value]| {
            records.len() == count && records.iter().all(|record| record["state"] != "pending")
        };
        let records = self.wait_for_records(service, is_over).await;
        let is_left = |body: &Value| body["webhook_id"] == json!(self.id);
        wait(|| !service.queue.bodies().iter().any(is_left), || "a message is still in the queue".into())
            .await;
        records
    }

    /// Waits until the records of its deliveries are so, and returns them.
    pub(crate) async fn wait_for_records(
        &self,
        service: &Service,
        is_so: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let records: Vec<Value> = self.deliveries(service).await.into_values().collect();
            if is_so(&records) {
                return records;
            }
            assert!(Instant::now() < deadline, "{records:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until its endpoint is paused, and returns its item.
    pub(crate) async fn wait_for_pause(&self, service: &Service) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let item = self.item(service).await;
            if item.get("paused_until").is_some() {
                return item;
            }
            assert!(Instant::now() < deadline, "{item}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its item.
    pub(crate) async fn item(&self, service: &Service) -> Value {
        plain(&json!({"M": service.typed_item(self.lab, &self.sk()).await}))
    }
}

/// The running function on the queue. Dropping it ends it.
pub(crate) struct Deliveries(JoinHandle<()>);

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Service {
    /// Adds a webhook for messages of these types, or of all types.
    pub(crate) async fn add_webhook(&self, lab: i64, url: &str, types: &[&str]) -> Hook {
        let (id, secrets) = (WebhookId::new(), SigningSecrets::generate().unwrap());
        let (name, key) = WEBHOOK_KEYS.split_once(':').unwrap();
        let keys = EncryptionKeys::new([(name, &Secret::new(key))]).unwrap();
        let lab_id = LabId::new(lab as u64).unwrap();
        let now = Timestamp::now().to_string();
        let hook = Hook { lab, id, secrets };
        let types: Vec<Value> = types.iter().map(|kind| json!({"S": kind})).collect();
        let encrypted = hook.secrets.encrypted(&keys, lab_id, &hook.id).unwrap();
        let item = json!({
            "lab_id": {"S": lab.to_string()}, "sk": {"S": hook.sk()}, "id": {"S": hook.id}, "url": {"S": url},
            "types": {"L": types}, "enabled": {"BOOL": true}, "version": {"N": "1"}, "created_at": {"S": now},
            "updated_at": {"S": now}, "created_by": {"S": "1"}, "secrets": {"S": encrypted},
            "public_key": {"S": hook.secrets.public_key()},
        });
        self.put_typed_items(&[item]).await;
        hook
    }

    /// Runs the function on the queue, several calls at a time.
    pub(crate) fn deliver(&self, times: DeliveryTimes) -> Deliveries {
        let (deliverer, queue) = (self.deliverer(times), self.queue.clone());
        Deliveries(tokio::spawn(async move {
            let call = |event: Value| {
                let deliverer = deliverer.clone();
                async move {
                    let event = serde_json::from_value(event).unwrap();
                    Ok(serde_json::to_value(deliver_webhooks::handler(deliverer, event).await).unwrap())
                }
            };
            queue.poll(10, call).await;
        }))
    }
}
