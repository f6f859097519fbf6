//! Starts a function: configuration, clients, logging, and around every request the one wrapper that opens the lab for
//! the function's operation and turns failures into responses. Nothing else is repeated in the functions.

use std::{
    future::Future, marker::PhantomData, panic::AssertUnwindSafe, process::ExitCode, sync::Arc, time::Instant,
};

use futures_util::FutureExt;
use lambda_http::{
    Adapter, RequestExt,
    http::{HeaderValue, header},
    lambda_runtime,
    request::RequestContext,
    service_fn,
};
use tracing::Level;

use crate::{
    config::{Common, Config, Env},
    error::Error,
    gateway::Readable,
    health::{Probe, ProbeConfig},
    http::{self, Request, Response, add_standard_headers, allow_origin},
    lab::{LabScope, Labs, Opened, Operation},
    rate::Standing,
    services::Services,
    telemetry::{self, Failure, Line, Seen},
};

/// What a handler behind a login is given: the proof of what its request may reach.
pub trait Scope: Sized + Send + Sync + 'static {
    /// Verifies the caller, opens what the request means, and checks the permission that the operation needs.
    fn open(
        services: Arc<Services>,
        operation: Operation,
        request: &Request,
        seen: &Seen,
    ) -> impl Future<Output = Result<Opened<Self>, Error>> + Send;
}

impl Scope for LabScope {
    async fn open(
        services: Arc<Services>,
        operation: Operation,
        request: &Request,
        seen: &Seen,
    ) -> Result<Opened<Self>, Error> {
        LabScope::open(services, operation, request, seen).await
    }
}

impl Scope for Labs {
    async fn open(
        services: Arc<Services>,
        operation: Operation,
        request: &Request,
        seen: &Seen,
    ) -> Result<Opened<Self>, Error> {
        Labs::open(services, operation, request, seen).await
    }
}

/// Runs the function of one operation in a lab: the caller is verified, and permitted the operation, before the handler
/// sees the request.
pub fn run<S, H, F>(operation: Operation, handler: H) -> ExitCode
where
    S: Scope,
    H: Fn(S, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = http::Result> + Send + 'static,
{
    serve(|| {
        let config = Config::read(Env::process())?;
        let services = Arc::new(Services::new(&config)?);
        Ok((config.common.log_level, LabFunction::new(config.common, services, operation, handler)))
    })
}

/// Runs a function that anybody may call.
pub fn run_public<H, F>(handler: H) -> ExitCode
where
    H: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = http::Result> + Send + 'static,
{
    serve(|| {
        let mut env = Env::process();
        let common = Common::read(&mut env);
        env.finish()?;
        Ok((common.log_level, PublicFunction::new(common, handler)))
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
        Ok((config.common.log_level, PublicFunction::new(config.common, handler)))
    })
}

/// A function that can be called, in Lambda or in a test.
pub trait Function: Send + Sync + 'static {
    /// Answers a request; every failure is a response.
    fn call(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// A handler behind a login.
pub struct LabFunction<S, H> {
    common: Common,
    services: Arc<Services>,
    operation: Operation,
    handler: H,
    scope: PhantomData<fn() -> S>,
}

impl<S, H> LabFunction<S, H> {
    /// The function of `operation`, which runs `handler` over `services`.
    pub fn new(common: Common, services: Arc<Services>, operation: Operation, handler: H) -> Self {
        Self { common, services, operation, handler, scope: PhantomData }
    }
}

impl<S, H, F> Function for LabFunction<S, H>
where
    S: Scope,
    H: Fn(S, Request) -> F + Send + Sync + 'static,
    F: Future<Output = http::Result> + Send,
{
    async fn call(&self, request: Request) -> Response {
        let mut exchange = Exchange::start(&self.common, &request);
        let outcome = caught(async {
            let Opened { scope, standing, recorders } =
                S::open(self.services.clone(), self.operation, &request, &exchange.line.seen).await?;
            exchange.standing = standing;
            let outcome = match scope {
                Ok(scope) => (self.handler)(scope, request).await,
                Err(forbidden) => Err(forbidden),
            };
            for recorder in recorders {
                match &outcome {
                    Ok(_) => recorder.complete().await?,
                    Err(error) => recorder.refused(error).await?,
                }
            }
            outcome
        })
        .await;
        exchange.finish(outcome)
    }
}

/// A handler that anybody may call.
pub struct PublicFunction<H> {
    common: Common,
    handler: H,
}

impl<H> PublicFunction<H> {
    /// The function that runs `handler`.
    pub fn new(common: Common, handler: H) -> Self {
        Self { common, handler }
    }
}

impl<H, F> Function for PublicFunction<H>
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = http::Result> + Send,
{
    async fn call(&self, request: Request) -> Response {
        let exchange = Exchange::start(&self.common, &request);
        let outcome = caught((self.handler)(request)).await;
        exchange.finish(outcome)
    }
}

/// What goes around every request: its id, its log line, failures as responses, the headers of all responses.
struct Exchange<'a> {
    common: &'a Common,
    origin: Option<HeaderValue>,
    line: Line,
    standing: Option<Standing>,
    started: Instant,
}

impl<'a> Exchange<'a> {
    fn start(common: &'a Common, request: &Request) -> Self {
        let seen = Seen { request_id: request_id(request), ..Seen::default() };
        let line = Line { function: common.function.clone(), method: method(request).to_owned(), seen };
        let origin = request.headers().get(header::ORIGIN).cloned();
        Self { common, origin, line, standing: None, started: Instant::now() }
    }

    fn finish(self, outcome: http::Result) -> Response {
        let (mut response, failure) = match outcome {
            Ok(response) => (response, None),
            Err(error) => {
                let failure = Failure { code: error.code(), cause: error.cause().map(str::to_owned) };
                (error.into_response(&self.line.seen.request_id), Some(failure))
            }
        };
        if let Some(standing) = self.standing {
            standing.add_to(response.headers_mut());
        }
        add_standard_headers(&mut response, &self.line.seen.request_id);
        allow_origin(self.common, self.origin, &mut response);
        telemetry::request(&self.line, &response, failure.as_ref(), self.started.elapsed());
        response
    }
}

/// Turns a panic into an error: the client gets problem details, and the function lives on.
async fn caught(work: impl Future<Output = http::Result>) -> http::Result {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(Error::internal("panic")))
}

/// The request's method, if the contract knows it: a client can make up others.
fn method(request: &Request) -> &str {
    match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
}

/// The gateway's request id, else Lambda's.
fn request_id(request: &Request) -> String {
    let of_gateway = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    };
    let of_lambda = || request.lambda_context_ref().map(|context| context.request_id.clone());
    of_gateway.or_else(of_lambda).unwrap_or_default()
}

fn serve<F, S>(start: S) -> ExitCode
where
    F: Function,
    S: FnOnce() -> Result<(Level, F), Box<dyn std::error::Error>>,
{
    let (level, function) = match start() {
        Ok(started) => started,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    telemetry::start(level);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let function = &function;
    let service =
        service_fn(|request| async move { Ok::<_, lambda_http::Error>(function.call(request).await) });
    match runtime.block_on(lambda_runtime::run(Readable(Adapter::from(service)))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the Lambda runtime ended: {error}");
            ExitCode::FAILURE
        }
    }
}
