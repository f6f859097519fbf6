//! Starts a function: configuration, clients, logging. It also wraps every request: it opens the lab for the function's
//! operation and turns errors into responses. So the code of a function has only its handler.

pub mod health;
mod in_flight;

use std::{
    future::Future,
    marker::PhantomData,
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::FutureExt;
use lambda_http::{Adapter, lambda_runtime, service_fn};
use mimalloc::MiMalloc;
use tracing::Level;

use crate::{
    auth::{Operation, SourceLimit},
    base::{error::Error, wire_enum::WireEnum},
    case::{ScanEvent, ScanOutcome, ScanProcessor, ScheduledVerification, VerificationReport},
    config::{
        Common, Config, DeliveryConfig, Env, RealtimeConfig, ScansConfig, Stage, StreamsConfig,
        VerificationConfig,
    },
    http::{self, Readable, Request, Response, pass_origin},
    lab::{Scope, Services},
    realtime::{ChangePusher, Socket, SocketEvent, SocketResponse},
    streams::{StreamEvent, StreamProcessor, StreamReport},
    telemetry::{self, Incident},
    webhook::{Deliverer, QueueEvent, QueueReport},
};
use health::{Probe, ProbeConfig};
use in_flight::{InFlightRequest, LoggedOperation};

/// Items and their JSON are many small pieces: with the system's allocator, a fifth of a request's instructions were its own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Runs the function of an operation in a lab. The handler gets a request only after the caller was verified and has the
/// operation's permission.
pub fn run<S, H, F>(operation: Operation, handler: H) -> ExitCode
where
    S: Scope,
    H: Fn(S, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = http::Result> + Send + 'static,
{
    serve(|| {
        let config = Config::read(Env::process(), operation.needs())?;
        let services = Arc::new(Services::new(&config)?);
        Ok((LogSettings::of(&config.common), LabFunction::new(config.common, services, operation, handler)))
    })
}

/// Runs a function that needs no access token.
pub fn run_public<H, F>(handler: H) -> ExitCode
where
    H: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = http::Result> + Send + 'static,
{
    serve(|| {
        let mut env = Env::process();
        let common = Common::read(&mut env);
        env.finish()?;
        Ok((LogSettings::of(&common), PublicFunction::new(common, handler)))
    })
}

/// Runs the health check.
pub fn run_probe<H, F>(handler: H) -> ExitCode
where
    H: Fn(Arc<Probe>, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = http::Result> + Send + 'static,
{
    serve(|| {
        let config = ProbeConfig::read(Env::process())?;
        let probe = Arc::new(Probe::new(&config)?);
        let handler = move |request| handler(probe.clone(), request);
        Ok((LogSettings::of(&config.common), PublicFunction::new(config.common, handler)))
    })
}

/// Runs the function on the tables' streams.
pub fn run_streams<H, F>(handler: H) -> ExitCode
where
    H: Fn(Arc<StreamProcessor>, StreamEvent) -> F,
    F: Future<Output = StreamReport>,
{
    let start = || {
        let config = StreamsConfig::read(Env::process())?;
        Ok((LogSettings::of(&config.common), Arc::new(StreamProcessor::new(&config)?)))
    };
    run_triggered(start, handler)
}

/// Runs the function on the queue of webhooks.
pub fn run_deliveries<H, F>(handler: H) -> ExitCode
where
    H: Fn(Arc<Deliverer>, QueueEvent) -> F,
    F: Future<Output = QueueReport>,
{
    let start = || {
        let config = DeliveryConfig::read(Env::process())?;
        Ok((LogSettings::of(&config.common), Arc::new(Deliverer::new(&config)?)))
    };
    run_triggered(start, handler)
}

/// Runs the function of the WebSocket API.
pub fn run_socket<H, F>(handler: H) -> ExitCode
where
    H: Fn(Arc<Socket>, SocketEvent) -> F,
    F: Future<Output = SocketResponse>,
{
    let start = || {
        let config = RealtimeConfig::read(Env::process())?;
        Ok((LogSettings::of(&config.common), Arc::new(Socket::new(&config)?)))
    };
    run_triggered(start, handler)
}

/// Runs the function that sends signals of changes. A batch whose connections cannot be read is a failed call, and is delivered again.
pub fn run_push<H, F>(handler: H) -> ExitCode
where
    H: Fn(Arc<ChangePusher>, StreamEvent) -> F,
    F: Future<Output = Result<(), Error>>,
{
    let start = || {
        let config = RealtimeConfig::read(Env::process())?;
        Ok((LogSettings::of(&config.common), Arc::new(ChangePusher::new(&config)?)))
    };
    launch(start, async |pusher: Arc<ChangePusher>| {
        let (handler, pusher) = (&handler, &pusher);
        let service = service_fn(|event: lambda_runtime::LambdaEvent<StreamEvent>| async move {
            Box::pin(handler(pusher.clone(), event.payload)).await.map_err(failed_call)
        });
        lambda_runtime::run(service).await
    })
}

/// Runs a function that gets events, and answers each: with what must be delivered again, or with a response.
fn run_triggered<T, H, F, E, R>(
    start: impl FnOnce() -> Result<(LogSettings, Arc<T>), Box<dyn std::error::Error>>,
    handler: H,
) -> ExitCode
where
    H: Fn(Arc<T>, E) -> F,
    F: Future<Output = R>,
    E: for<'de> serde::Deserialize<'de>,
    R: serde::Serialize,
{
    launch(start, async |worker: Arc<T>| {
        let (handler, worker) = (&handler, &worker);
        let service = service_fn(|event: lambda_runtime::LambdaEvent<E>| async move {
            // On the heap, so that the compiler can compute the layout of what is around it.
            let report = Box::pin(handler(worker.clone(), event.payload)).await;
            Ok::<_, lambda_http::Error>(report)
        });
        lambda_runtime::run(service).await
    })
}

/// Runs the scheduled verification. The handler gets the time at which it must end.
pub fn run_verification<H, F>(handler: H) -> ExitCode
where
    H: Fn(Arc<ScheduledVerification>, Instant) -> F,
    F: Future<Output = Result<VerificationReport, Error>>,
{
    let start = || {
        let config = VerificationConfig::read(Env::process())?;
        Ok((LogSettings::of(&config.common), Arc::new(ScheduledVerification::new(&config)?)))
    };
    launch(start, async |verification: Arc<ScheduledVerification>| {
        let (handler, verification) = (&handler, &verification);
        let service = service_fn(|event: lambda_runtime::LambdaEvent<serde_json::Value>| async move {
            let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
            let deadline = Instant::now() + left.saturating_sub(END_MARGIN);
            Box::pin(handler(verification.clone(), deadline)).await.map_err(failed_call)
        });
        lambda_runtime::run(service).await
    })
}

/// Runs the function that gets the results of scans for malware. A result that cannot be written is a failed call, and EventBridge
/// delivers it again.
pub fn run_scans<H, F>(handler: H) -> ExitCode
where
    H: Fn(Arc<ScanProcessor>, ScanEvent) -> F,
    F: Future<Output = Result<ScanOutcome, Error>>,
{
    let start = || {
        let config = ScansConfig::read(Env::process())?;
        Ok((LogSettings::of(&config.common), Arc::new(ScanProcessor::new(&config)?)))
    };
    launch(start, async |processor: Arc<ScanProcessor>| {
        let (handler, processor) = (&handler, &processor);
        let service = service_fn(|event: lambda_runtime::LambdaEvent<ScanEvent>| async move {
            let outcome = Box::pin(handler(processor.clone(), event.payload)).await.map_err(failed_call)?;
            telemetry::scan_result(outcome.as_str());
            Ok::<_, String>(outcome.as_str())
        });
        lambda_runtime::run(service).await
    })
}

/// The error of a call without a request. Lambda counts it as an error of the function, which an alarm watches.
fn failed_call(error: Error) -> String {
    format!("{}: {}", error.code().as_str(), error.cause().unwrap_or_default())
}

/// How long before its time-out a function without a request stops to begin work. One read may take 2 s.
const END_MARGIN: Duration = Duration::from_secs(5);

/// A function that can be called, in Lambda or in a test.
pub trait Function: Send + Sync + 'static {
    /// Prepares for the first request, while the function starts. The default has nothing to prepare.
    fn warm_up(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Handles a request. Every failure becomes a response.
    fn call(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// The function of a handler that needs an access token.
pub struct LabFunction<S, H> {
    common: Common,
    services: Arc<Services>,
    operation: Operation,
    handler: H,
    scope: PhantomData<fn() -> S>,
    is_warm: AtomicBool,
}

impl<S, H> LabFunction<S, H> {
    /// Makes the function of `operation`, which runs `handler` with `services`.
    pub fn new(common: Common, services: Arc<Services>, operation: Operation, handler: H) -> Self {
        Self { common, services, operation, handler, scope: PhantomData, is_warm: AtomicBool::new(false) }
    }
}

impl<S, H, F> Function for LabFunction<S, H>
where
    S: Scope,
    H: Fn(S, Request) -> F + Send + Sync + 'static,
    F: Future<Output = http::Result> + Send,
{
    async fn warm_up(&self) {
        self.services.warm_up().await;
    }

    async fn call(&self, mut request: Request) -> Response {
        let operation = LoggedOperation { id: self.operation.as_str(), route: self.operation.route() };
        let is_cold = !self.is_warm.swap(true, Ordering::Relaxed);
        let in_flight = InFlightRequest::start(&self.common, operation, is_cold, &request);
        if let Err(error) = pass_origin(&mut request, &self.common.origin_secrets) {
            return in_flight.finish(Err(error));
        }
        let log = in_flight.log_context().clone();
        // On the heap, because the layers below move what they run, and this holds the state of every call.
        let work = Box::pin(async {
            let scope =
                S::open(self.services.clone(), self.operation, &request, in_flight.log_context()).await?;
            let recorders = scope.recorders();
            let outcome = (self.handler)(scope, request).await;
            if let Err(error) = &outcome {
                for recorder in recorders {
                    recorder.record_denied(error).await?;
                }
            }
            outcome
        });
        let outcome = telemetry::within(log, catch_panics(work)).await;
        in_flight.finish(outcome)
    }
}

/// The function of a handler that needs no access token.
pub struct PublicFunction<H> {
    common: Common,
    sources: SourceLimit,
    handler: H,
    is_warm: AtomicBool,
}

impl<H> PublicFunction<H> {
    /// Makes the function that runs `handler`.
    pub fn new(common: Common, handler: H) -> Self {
        let sources = SourceLimit::new(common.rate_limit_per_source);
        Self { common, sources, handler, is_warm: AtomicBool::new(false) }
    }
}

impl<H, F> Function for PublicFunction<H>
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = http::Result> + Send,
{
    async fn call(&self, mut request: Request) -> Response {
        let operation = LoggedOperation::public(request.method().as_str(), http::raw_path(&request));
        let is_cold = !self.is_warm.swap(true, Ordering::Relaxed);
        let in_flight = InFlightRequest::start(&self.common, operation, is_cold, &request);
        let passed = pass_origin(&mut request, &self.common.origin_secrets);
        let outcome = match passed.and_then(|()| self.sources.count(&request)) {
            Ok(()) => {
                let log = in_flight.log_context().clone();
                // The handler's own code may panic before its future does.
                let work = async { (self.handler)(request).await };
                telemetry::within(log, catch_panics(work)).await
            }
            Err(error) => Err(error),
        };
        in_flight.finish(outcome)
    }
}

/// Turns a panic into an error. The client gets problem details, the request's line counts the panic, and the function
/// continues to work.
async fn catch_panics(work: impl Future<Output = http::Result>) -> http::Result {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        telemetry::count(Incident::Panic);
        Err(Error::internal("panic"))
    })
}

/// What the log needs to start.
struct LogSettings {
    level: Level,
    stage: Stage,
}

impl LogSettings {
    fn of(common: &Common) -> Self {
        Self { level: common.log_level, stage: common.stage }
    }
}

fn serve<F, S>(start: S) -> ExitCode
where
    F: Function,
    S: FnOnce() -> Result<(LogSettings, F), Box<dyn std::error::Error>>,
{
    launch(start, async |function: F| {
        function.warm_up().await;
        let function = &function;
        let service =
            service_fn(|request| async move { Ok::<_, lambda_http::Error>(function.call(request).await) });
        lambda_runtime::run(Readable(Adapter::from(service))).await
    })
}

/// Starts logging and the async runtime, and runs the function until Lambda ends it.
fn launch<T>(
    start: impl FnOnce() -> Result<(LogSettings, T), Box<dyn std::error::Error>>,
    run: impl AsyncFnOnce(T) -> Result<(), lambda_http::Error>,
) -> ExitCode {
    let (log, function) = match start() {
        Ok(started) => started,
        Err(error) => {
            telemetry::start_failure(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    telemetry::start(log.level, log.stage);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            telemetry::start_failure(&format!("no async runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(function)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::start_failure(&format!("the Lambda runtime ended: {error}"));
            ExitCode::FAILURE
        }
    }
}
