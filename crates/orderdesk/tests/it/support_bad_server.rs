//! A server that does everything wrong that the deployment check looks for.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support_certificates::Issued;

/// A running server; gone when dropped.
pub(crate) struct BadServer {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for BadServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What the server says of itself.
pub(crate) const DOCUMENT: &str =
    r#"{"paths": {"/things": {"post": {"requestBody": {"content": {"application/json": {}}}}}}}"#;

impl BadServer {
    /// Answers plain HTTP, and TLS of every version with `issued`; `document` is its OpenAPI
    /// document.
    pub(crate) async fn start(issued: &Issued, document: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = acceptor(issued);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), document));
            }
        });
        Self { address, serving }
    }
}

fn acceptor(Issued { certificate, key }: &Issued) -> TlsAcceptor {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.unwrap(), key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// The type of a record that begins a handshake.
const HANDSHAKE: u8 = 22;
/// The beginning of the answer to an old hello: a record of TLS 1.0 with a `ServerHello`.
const OLD_HELLO: [u8; 9] = [HANDSHAKE, 3, 1, 0, 4, 2, 0, 0, 0];

async fn serve(mut stream: TcpStream, acceptor: TlsAcceptor, document: &str) {
    let mut start = [0; 11];
    while stream.peek(&mut start).await.unwrap_or(start.len()) < start.len() {
        tokio::task::yield_now().await;
    }
    match (start[0], [start[9], start[10]]) {
        (HANDSHAKE, [3, 3]) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, document).await;
            }
        }
        (HANDSHAKE, _) => stream.write_all(&OLD_HELLO).await.unwrap_or_default(),
        _ => answer(stream, document).await,
    }
}

/// Reads the head of one request and says yes to nearly everything.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, document: &str) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (status, body) = match head.split(' ').nth(1).unwrap_or_default() {
        "/openapi.json" => ("200 OK", document),
        "/metrics" | "/ready" | "/live" | "/things" => ("200 OK", "ok"),
        _ => ("404 Not Found", "thread 'main' panicked at src/main.rs:7: not found"),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nServer: ancient/0.1\r\nX-Powered-By: hope\x1b[31m\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/html\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await.ok();
    stream.shutdown().await.ok();
}
