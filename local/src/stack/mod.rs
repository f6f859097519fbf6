//! The whole stack: the parts, the functions under `cargo lambda watch`, and the gateway in front of them.

mod functions;
mod greeting;
mod mapping;

use std::{
    fs::{self, File, TryLockError},
    future::pending,
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::http::StatusCode;
use contract::Contract;
use futures_util::future::select_all;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    time::Instant,
};

pub use greeting::greeting;
use mapping::Mapping;

use crate::{
    Error, Result,
    client::Client,
    config::{CREDENTIALS, Settings},
    dynamodb::{self, Expiry, Storage},
    gateway::{Gateway, Limits, Times},
    linkshub::{self, LinksHub},
    process::Supervised,
    queue::Queue,
    realtime::{self, Realtime},
    receiver, s3, seed,
    server::{Server, listen},
    table::{self, Definition},
    ums::{self, Ums},
};

/// The time for cargo-lambda to listen, and for a function to answer its first request.
const START: Duration = Duration::from_secs(180);
/// How long the parts may take to become healthy.
const HEALTHY: Duration = Duration::from_secs(20);

/// The running stack. [`stop`](Self::stop) ends everything that [`start`](Self::start) has started, even if it failed.
#[derive(Debug, Default)]
pub struct Stack {
    servers: Vec<Server>,
    api: Option<Api>,
    urls: Urls,
    /// Locks the data as long as the stack runs.
    _lock: Option<File>,
}

/// The functions, and the gateway in front of them.
#[derive(Debug)]
struct Api {
    functions: Supervised,
    function_ended: Arc<Notify>,
    gateway: Option<(Gateway, Server)>,
    /// The WebSocket API.
    realtime: Option<Server>,
    /// Call the functions on the streams, on the queue and on the results of scans. Dropping them ends that.
    mappings: Vec<Mapping>,
}

/// Where clients reach the functions.
struct Listeners {
    api: TcpListener,
    realtime: TcpListener,
}

/// What functions are called for besides requests: the items that have expired, the messages of the queue, and new objects.
struct Sources {
    expiry: Expiry,
    queue: Queue,
    created: mpsc::UnboundedReceiver<s3::Created>,
}

/// The URLs of the parts, for example `http://127.0.0.1:5001`.
#[derive(Clone, Debug, Default)]
pub struct Urls {
    /// The API, whether or not the stack runs it.
    pub api: String,
    /// UMS: the stand-in, or the real one.
    pub ums: String,
    /// LinksHub: the stand-in, or the real one.
    pub linkshub: String,
    /// DynamoDB.
    pub dynamodb: String,
    /// S3.
    pub s3: String,
    /// SQS.
    pub sqs: String,
    /// The receiver of webhooks.
    pub receiver: String,
    /// The WebSocket API, whether or not the stack runs it; with `http`.
    pub realtime: String,
}

impl Stack {
    /// Starts everything and returns when all of it answers.
    ///
    /// # Errors
    /// A port is in use, or a part does not start. Call [`stop`](Self::stop) after an error as well.
    pub async fn start(&mut self, settings: &Settings) -> Result<()> {
        let functions = settings.function_names()?;
        let template = settings.root.join("template.yaml");
        let contract = Contract::read(&settings.root.join("openapi.yaml"));
        let contract = contract.map_err(|error| Error::new(error.to_string()))?;

        // All ports first, so that a port in use is reported before anything has started.
        let ports = settings.ports;
        let api_listener = listen("the API", "API_PORT", ports.api).await?;
        let dynamodb_listener = listen("DynamoDB", "DYNAMODB_PORT", ports.dynamodb).await?;
        let s3_listener = listen("S3", "S3_PORT", ports.s3).await?;
        let sqs_listener = listen("SQS", "SQS_PORT", ports.sqs).await?;
        let receiver_listener = listen("the receiver of webhooks", "RECEIVER_PORT", ports.receiver).await?;
        let realtime_listener = listen("the WebSocket API", "REALTIME_PORT", ports.realtime).await?;
        let ums_listener = match settings.ums {
            Some(_) => None,
            None => Some(listen("the stand-in UMS", "UMS_PORT", ports.ums).await?),
        };
        let linkshub_listener = match settings.linkshub {
            Some(_) => None,
            None => Some(listen("the stand-in LinksHub", "LINKSHUB_PORT", ports.linkshub).await?),
        };

        self._lock = Some(lock(&settings.data)?);
        let storage = Storage::File(settings.data.join("dynamodb.sqlite"));
        let (dynamodb, expiry) = dynamodb::serve(dynamodb_listener, &storage)?;
        self.urls.api = url_of(&api_listener)?;
        self.urls.realtime = url_of(&realtime_listener)?;
        self.urls.dynamodb = self.keep(dynamodb);
        for (resource, variable) in table::TABLES {
            let definition = Definition::read(&template, resource)?.with_stream();
            table::create(&self.urls.dynamodb, settings.function_variable(variable), &definition).await?;
        }
        let (resource, variable) = table::CONNECTIONS;
        let connections = Definition::read(&template, resource)?;
        table::create(&self.urls.dynamodb, settings.function_variable(variable), &connections).await?;
        let buckets =
            ["ARCHIVE_BUCKET_NAME", "FILES_BUCKET_NAME"].map(|name| settings.function_variable(name));
        let (on_created, created) = mpsc::unbounded_channel();
        let folder = settings.data.join("s3");
        let s3 = s3::serve(s3_listener, &folder, &buckets, CREDENTIALS, Some(on_created))?;
        self.urls.s3 = self.keep(s3);
        let queue = Queue::default();
        self.urls.sqs = self.keep(queue.serve(sqs_listener)?);
        let receiver = Server::start("the receiver of webhooks", receiver_listener, receiver::router()?)?;
        self.urls.receiver = self.keep(receiver);
        if settings.ums.is_none() {
            let (table, keys) =
                (settings.function_variable("TABLE_NAME"), settings.function_variable("WEBHOOK_KEYS"));
            receiver::register(&self.urls.dynamodb, table, keys, &self.urls.receiver).await?;
        }
        self.urls.ums = match (&settings.ums, ums_listener) {
            (None, Some(listener)) => self.keep(serve_ums(listener, settings)?),
            (real, _) => real.clone().unwrap_or_default(),
        };
        self.urls.linkshub = match (&settings.linkshub, linkshub_listener) {
            (None, Some(listener)) => {
                let linkshub = linkshub::router(LinksHub::new(seed::catalogue()));
                self.keep(Server::start("LinksHub", listener, linkshub)?)
            }
            (real, _) => real.clone().unwrap_or_default(),
        };
        if !settings.without_api {
            let sources = Sources { expiry, queue, created };
            let listeners = Listeners { api: api_listener, realtime: realtime_listener };
            self.start_api(settings, contract, listeners, &functions, sources).await?;
        }
        Ok(())
    }

    /// Starts cargo-lambda on a free port and the gateway in front of it, and a process of each function.
    async fn start_api(
        &mut self,
        settings: &Settings,
        contract: Contract,
        listeners: Listeners,
        functions: &[String],
        Sources { expiry, queue, created }: Sources,
    ) -> Result<()> {
        // cargo-lambda needs a port number. This port was free a moment ago, and nobody else is likely to take it meanwhile.
        let cargo_lambda = url_of(&listen("cargo-lambda", "API_PORT", 0).await?)?;
        let processes = functions::start(settings, &self.urls, &cargo_lambda)?;
        let function_ended = processes.printed();
        let api = self.api.insert(Api {
            functions: processes,
            function_ended,
            gateway: None,
            realtime: None,
            mappings: Vec::new(),
        });
        tokio::select! {
            how = api.functions.ended() => {
                return Err(Error::new(format!("cargo lambda watch {how}; see above")));
            }
            () = api.function_ended.notified() => {
                return Err(Error::new("a function ended as it started; see its output above"));
            }
            awake = functions::wake(&cargo_lambda, functions) => awake?,
        }
        let gateway = Gateway::new(
            contract,
            functions,
            &cargo_lambda,
            settings.function_variable("CORS_ORIGINS"),
            Limits::of_concurrency(settings.concurrency),
            Times::default(),
        );
        let server = Server::start("the API", listeners.api, gateway.router())?;
        api.gateway = Some((gateway, server));
        let realtime = Realtime::new(&cargo_lambda, settings.concurrency, realtime::Times::default());
        let server = Server::start("the WebSocket API", listeners.realtime, realtime.router())?;
        api.realtime = Some(server);
        let tables = table::TABLES.map(|(_, variable)| settings.function_variable(variable).to_owned());
        api.mappings.push(
            mapping::of_streams(&self.urls.dynamodb, &tables, &cargo_lambda, &settings.data, expiry).await?,
        );
        let cases = settings.function_variable("TABLE_NAME");
        let push = mapping::of_push(&self.urls.dynamodb, cases, &cargo_lambda, &settings.data).await?;
        api.mappings.push(push);
        api.mappings.push(mapping::of_queue(queue, &cargo_lambda, settings.concurrency));
        let files = settings.function_variable("FILES_BUCKET_NAME");
        api.mappings.push(mapping::of_files(created, files, &cargo_lambda));
        healthy(&self.urls.api).await
    }

    /// The URLs of the parts.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// Resolves when a part has ended by itself, with the reason.
    pub async fn failed(&mut self) -> Error {
        if self.servers.is_empty() {
            return Error::new("the stack does not run");
        }
        let parts = select_all(self.servers.iter_mut().map(|server| Box::pin(server.failed())));
        let api = async {
            match &mut self.api {
                Some(api) => api.failed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            error = api => error,
            (error, ..) = parts => error,
        }
    }

    /// Stops everything, the gateway and the functions first, because they use the other parts.
    pub async fn stop(mut self) {
        if let Some(Api { functions, gateway, realtime, mappings, .. }) = self.api.take() {
            drop(mappings);
            if let Some(server) = realtime {
                server.stop().await;
            }
            if let Some((_, server)) = gateway {
                server.stop().await;
            }
            functions.stop().await;
        }
        while let Some(server) = self.servers.pop() {
            server.stop().await;
        }
    }

    fn keep(&mut self, server: Server) -> String {
        let url = server.url().to_owned();
        self.servers.push(server);
        url
    }
}

impl Api {
    /// Resolves when cargo-lambda or the gateway has ended. A process of a function that has ended is only reported: the
    /// other functions still work, and with `WATCH=1` the next change of a source file restarts it.
    async fn failed(&mut self) -> Error {
        let (Some((gateway, server)), Some(realtime)) = (&mut self.gateway, &mut self.realtime) else {
            return pending().await;
        };
        let mut gateway_failed = std::pin::pin!(server.failed());
        let mut realtime_failed = std::pin::pin!(realtime.failed());
        loop {
            tokio::select! {
                how = self.functions.ended() => {
                    return Error::new(format!("cargo lambda watch {how}; see above"));
                }
                error = &mut gateway_failed => return error,
                error = &mut realtime_failed => return error,
                () = self.function_ended.notified() => {
                    gateway.process_ended();
                    eprintln!(
                        "lhcms-local: a process of a function ended; see its output above. cargo-lambda does not \
                         restart it: stop with Ctrl-C and run `make dev` (with WATCH=1: save a source file)"
                    );
                }
            }
        }
    }
}

/// Locks the data in this folder. The lock ends with this process.
fn lock(data: &Path) -> Result<File> {
    let failed = |why: &dyn std::fmt::Display| Error::new(format!("{}: {why}", data.display()));
    fs::create_dir_all(data).map_err(|error| failed(&error))?;
    let file = File::create(data.join("lock")).map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(failed(&"another stack uses this data; stop it, or set API_PORT or LOCAL_DATA_DIR"))
        }
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

fn url_of(listener: &TcpListener) -> Result<String> {
    let address = listener.local_addr().map_err(|error| Error::new(format!("a port: {error}")))?;
    Ok(format!("http://{address}"))
}

fn serve_ums(listener: TcpListener, settings: &Settings) -> Result<Server> {
    let mut directory = seed::directory();
    let key = settings.function_variable("UMS_API_KEY");
    directory.api_key = Some(key.to_owned()).filter(|key| !key.is_empty());
    let ums = Ums::new(directory, settings.function_variable("JWT_SECRET_KEY"));
    Server::start("UMS", listener, ums::router(ums))
}

/// Sends requests through the gateway, as clients do, until the API and all parts are healthy. On a busy machine the first
/// check can fail, because a part has only a second to answer, and the API reports a result for five seconds.
async fn healthy(api: &str) -> Result<()> {
    let (client, url) = (Client::new(START), format!("{api}/api/v1/health"));
    let deadline = Instant::now() + HEALTHY;
    loop {
        let health = client.get(&url).await?;
        if health.status == StatusCode::OK {
            return Ok(());
        }
        if Instant::now() > deadline {
            let (status, body) = (health.status, String::from_utf8_lossy(&health.body));
            return Err(Error::new(format!("the API is not healthy: GET {url} answers {status} {body}")));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[cfg(test)]
mod tests;
