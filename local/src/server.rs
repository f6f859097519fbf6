//! Serves a part on a listener, and stops it.

use std::{future::Future, io::ErrorKind, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};
use tower_http::cors::{AllowHeaders, AllowMethods, Any, CorsLayer};

use crate::{Error, Result};

/// The time that a stopping server has to finish its requests.
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
    /// The listener has no address.
    pub fn start(name: &'static str, listener: TcpListener, router: Router) -> Result<Self> {
        Self::spawn(name, listener, |listener, stopped| async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
                .map_err(|error| Error::new(format!("{name} failed: {error}")))
        })
    }

    /// Runs `serve` with the listener and a future that resolves when the server has to stop.
    pub(crate) fn spawn<S, F>(name: &'static str, listener: TcpListener, serve: S) -> Result<Self>
    where
        S: FnOnce(TcpListener, Stopped) -> F,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let address = listener.local_addr().map_err(|error| Error::new(format!("{name}: {error}")))?;
        let (stop, stopped) = oneshot::channel();
        let stopped: Stopped = Box::pin(async move {
            // A dropped sender means the same.
            let _ = stopped.await;
        });
        let task = tokio::spawn(serve(listener, stopped));
        Ok(Self { name, url: format!("http://{address}"), stop: Some(stop), task })
    }

    /// Where it listens, for example `http://127.0.0.1:5000`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Resolves when the server has ended by itself, with the reason.
    pub async fn failed(&mut self) -> Error {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            _ => Error::new(format!("{} stopped unexpectedly", self.name)),
        }
    }

    /// Stops the server: it accepts no new connections, and running requests have a second to finish.
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

/// Lets pages of any origin send requests with a token to a stand-in, and read its answers.
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

/// Listens on `port` of 127.0.0.1; 0 means any free port. `name` and `variable` are for the error message.
///
/// # Errors
/// The port is in use or not allowed.
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
