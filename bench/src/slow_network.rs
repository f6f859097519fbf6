//! DynamoDB as if it were in another building: with TLS, and with a round trip that takes time.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use local::{Error, Result};
use rustls::{ServerConfig, crypto::aws_lc_rs::default_provider, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional, duplex, split},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};
use tokio_rustls::TlsAcceptor;

/// The time of a round trip, added to that of the machine itself.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(5);

/// A proxy with TLS and a slow network in front of it. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct SlowNetwork {
    port: u16,
    certificate: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for SlowNetwork {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SlowNetwork {
    /// Starts in front of the server at `url`. The certificate is written to the folder.
    pub(crate) async fn start(url: &str, folder: &Path) -> Result<Self> {
        let target = url.trim_start_matches("http://").to_owned();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])
            .map_err(|error| Error::new(format!("no certificate: {error}")))?;
        let certificate = folder.join("certificate.pem");
        std::fs::write(&certificate, certified.cert.pem())
            .map_err(|error| Error::new(format!("{}: {error}", certificate.display())))?;
        let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|tls| {
                tls.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key)
            })
            .map_err(|error| Error::new(format!("no TLS: {error}")))?;
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|error| Error::new(format!("no port: {error}")))?;
        let port = listener.local_addr().map_err(|error| Error::new(format!("no port: {error}")))?.port();
        let task = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), target));
        Ok(Self { port, certificate, task })
    }

    /// The variables with which a function uses it.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", format!("https://localhost:{}", self.port)),
            ("AWS_CA_BUNDLE", self.certificate.display().to_string()),
        ]
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, target: String) {
    // Its connections end with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (tls, target) = (tls.clone(), target.clone());
        connections.spawn(async move {
            // An error ends the connection, and the client sees that.
            let _ = client.set_nodelay(true);
            // The handshake of TCP is a round trip, which the loopback has made already.
            sleep(ROUND_TRIP).await;
            let (network, near_server) = duplex(1 << 20);
            let (from_client, to_client) = split(client);
            let (from_server, to_server) = split(network);
            tokio::join!(
                copy_later(from_client, to_server, Duration::ZERO),
                // All of the round trip on one way: the same for the client, and more exact with timers of a millisecond.
                copy_later(from_server, to_client, ROUND_TRIP),
                async {
                    if let (Ok(mut stream), Ok(mut server)) =
                        (tls.accept(near_server).await, TcpStream::connect(&target).await)
                    {
                        let _ = server.set_nodelay(true);
                        let _ = copy_bidirectional(&mut stream, &mut server).await;
                    }
                }
            );
        });
    }
}

/// Copies what is read, each piece after this time.
async fn copy_later(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, time: Duration) {
    let (pieces, mut due) = mpsc::unbounded_channel();
    let read = async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if pieces.send((Instant::now() + time, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((at, piece)) = due.recv().await {
            if !time.is_zero() {
                sleep_until(at).await;
            }
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use rustls::{ClientConfig, RootCertStore, pki_types::pem::PemObject};
    use tokio_rustls::TlsConnector;

    use super::*;

    #[tokio::test]
    async fn each_round_trip_takes_at_least_its_time_and_keeps_the_bytes() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut connection, _) = server.accept().await.unwrap();
            let mut word = [0; 4];
            while connection.read_exact(&mut word).await.is_ok() {
                connection.write_all(&word).await.unwrap();
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let network = SlowNetwork::start(&url, folder.path()).await.unwrap();
        let mut roots = RootCertStore::empty();
        for certificate in rustls::pki_types::CertificateDer::pem_file_iter(&network.certificate).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connection = TcpStream::connect(("127.0.0.1", network.port)).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let mut connection = TlsConnector::from(Arc::new(tls)).connect(name, connection).await.unwrap();
        let began = Instant::now();
        for word in [b"ping", b"pong"] {
            connection.write_all(word).await.unwrap();
            let mut answer = [0; 4];
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, word);
        }
        assert!(began.elapsed() >= 2 * ROUND_TRIP, "{:?}", began.elapsed());
    }
}
