//! Serving a part on a listener, and stopping it.

use std::{future::Future, io::ErrorKind, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};
use tower_http::cors::{AllowHeaders, AllowMethods, Any, CorsLayer};

use crate::{Error, Result};

/// How long a stopping server may finish the requests that it is answering.
const FAREWELL: Duration = Duration::from_secs(1);

/// A part that is being served in the background. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<()>>,
}

impl Server {
    /// Serves `router` on `listener` until it is stopped. `name` is for messages.
    ///
    /// # Errors
    /// When the listener has no address any more.
    pub fn start(name: &'static str, listener: TcpListener, router: Router) -> Result<Self> {
        Self::spawn(name, listener, |listener, stopped| async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
                .map_err(|error| Error::new(format!("{name} failed: {error}")))
        })
    }

    /// Runs `serve`, which gets the listener and a future that resolves when it has to stop.
    pub(crate) fn spawn<S, F>(name: &'static str, listener: TcpListener, serve: S) -> Result<Self>
    where
        S: FnOnce(TcpListener, Stopped) -> F,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let address = listener.local_addr().map_err(|error| Error::new(format!("{name}: {error}")))?;
        let (stop, stopped) = oneshot::channel();
        let stopped: Stopped = Box::pin(async move {
            // A dropped sender means stop as well.
            let _ = stopped.await;
        });
        let task = tokio::spawn(serve(listener, stopped));
        Ok(Self { name, url: format!("http://{address}"), stop: Some(stop), task })
    }

    /// Where it listens, for example `http://127.0.0.1:5000`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Resolves when it has ended without being told to, with the reason.
    pub async fn failed(&mut self) -> Error {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            _ => Error::new(format!("{} stopped unexpectedly", self.name)),
        }
    }

    /// Stops it: no new connections, a second for the requests that are running, then an end.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if timeout(FAREWELL, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// Lets the pages of any origin ask a stand-in, with a token: its preflights are answered and its answers can be read.
pub(crate) fn for_browsers() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(AllowMethods::mirror_request())
        // `*` would leave out Authorization.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(Any)
}

/// Resolves when a server has to stop.
pub(crate) type Stopped = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Listens on `port` of 127.0.0.1; 0 takes any free port. `name` and `variable` tell a person what to change.
///
/// # Errors
/// When the port is in use or cannot be had.
pub async fn listen(name: &str, variable: &str, port: u16) -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
        Error::new(match error.kind() {
            ErrorKind::AddrInUse => format!(
                "port {port} is in use, so {name} cannot start; stop what uses it or set {variable} to another port"
            ),
            _ => format!("{name} cannot listen on port {port}: {error}"),
        })
    })
}
