//! A gate in front of a server, at the level of connections: it can be shut, and it can break connections off.

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

/// What the gate does with a connection.
#[derive(Clone, Copy)]
enum Way {
    /// Leads it on to the server.
    Through,
    /// Takes it, reads what comes first, and resets it (TCP RST).
    Reset,
}

/// A gate that stands at one address for as long as it lives.
pub(crate) struct Gate {
    address: SocketAddr,
    target: SocketAddr,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Gate {
    /// Opens in front of the server at `url`.
    pub(crate) async fn start(url: &str) -> Self {
        let target = url.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keeper = Mutex::new(Some(tokio::spawn(keep(listener, Way::Through, target))));
        Self { address, target, keeper }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// As if the server were killed: its connections end and nobody listens any more.
    pub(crate) async fn shut(&self) {
        let keeper = self.keeper.lock().unwrap().take();
        if let Some(keeper) = keeper {
            keeper.abort();
            let _ = keeper.await;
        }
    }

    /// Ends the connections and breaks off those that come.
    pub(crate) async fn reset(&self) {
        self.stand(Way::Reset).await;
    }

    /// As in the beginning.
    pub(crate) async fn open(&self) {
        self.stand(Way::Through).await;
    }

    async fn stand(&self, way: Way) {
        self.shut().await;
        let deadline = Instant::now() + Duration::from_secs(10);
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        *self.keeper.lock().unwrap() = Some(tokio::spawn(keep(listener, way, self.target)));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.lock().unwrap().take() {
            keeper.abort();
        }
    }
}

/// Serves connections; they end when this is aborted.
async fn keep(listener: TcpListener, way: Way, target: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        connections.spawn(async move {
            match way {
                Way::Through => {
                    if let Ok(mut server) = TcpStream::connect(target).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                }
                Way::Reset => {
                    let _ = client.read(&mut [0; 64]).await;
                    let _ = client.set_zero_linger();
                }
            }
        });
    }
}
