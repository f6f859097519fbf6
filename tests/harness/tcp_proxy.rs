//! A TCP proxy in front of a server: it can forward connections, refuse them, or reset them.

use std::{
    net::SocketAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// What the proxy does with a connection.
#[derive(Clone, Copy)]
enum Mode {
    /// Forwards it to the server.
    Forward,
    /// Accepts it, reads the first bytes, and resets it (TCP RST).
    Reset,
}

/// A proxy that keeps its address for its whole life.
pub(crate) struct TcpProxy {
    address: SocketAddr,
    target: SocketAddr,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl TcpProxy {
    /// Starts in front of the server at `url`.
    pub(crate) async fn start(url: &str) -> Self {
        let target = url.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = Mutex::new(Some(tokio::spawn(serve(listener, Mode::Forward, target))));
        Self { address, target, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends all connections and stops listening, as if the server were killed.
    pub(crate) async fn stop(&self) {
        let task = self.task.lock().unwrap().take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }

    /// Ends all connections and resets new ones.
    pub(crate) async fn reset(&self) {
        self.set_mode(Mode::Reset).await;
    }

    /// Forwards connections again.
    pub(crate) async fn forward(&self) {
        self.set_mode(Mode::Forward).await;
    }

    async fn set_mode(&self, mode: Mode) {
        self.stop().await;
        let deadline = Instant::now() + Duration::from_secs(10);
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        *self.task.lock().unwrap() = Some(tokio::spawn(serve(listener, mode, self.target)));
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().unwrap().take() {
            task.abort();
        }
    }
}

/// Serves connections, which end when this task is aborted.
async fn serve(listener: TcpListener, mode: Mode, target: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        connections.spawn(async move {
            match mode {
                Mode::Forward => {
                    if let Ok(mut server) = TcpStream::connect(target).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                }
                Mode::Reset => {
                    let _ = client.read(&mut [0; 64]).await;
                    let _ = client.set_zero_linger();
                }
            }
        });
    }
}
