//! A small HTTP client: one address, a fresh connection for each request unless one is kept.
//!
//! It adds nothing that a test did not ask for but `Host` and, with [`Call::json`], the content
//! type; it follows no redirect and reads every answer whole, within a deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::fail::fail;
use crate::reply::Reply;

/// A client of one service on this machine.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    tls: Option<Tls>,
    speaks: Speaks,
}

impl Client {
    /// Speaks HTTP/1.1 to `address`, without TLS.
    ///
    /// # Panics
    /// When `address` is not loopback: a test attacks nothing but its own service.
    #[track_caller]
    pub fn http(address: SocketAddr) -> Self {
        if !address.ip().is_loopback() {
            fail(format_args!("{address} is not a loopback address"));
        }
        Self { address, tls: None, speaks: Speaks::Http1 }
    }

    /// Speaks HTTP/1.1 to `address` over TLS and trusts the certificates of `root_pem` only.
    ///
    /// The certificate must be good for the IP address; see [`Self::server_name`].
    ///
    /// # Errors
    /// When `root_pem` holds no certificate or a broken one.
    ///
    /// # Panics
    /// When `address` is not loopback.
    pub fn https(address: SocketAddr, root_pem: &[u8]) -> anyhow::Result<Self> {
        let tls = Tls { config: trusting(root_pem)?, name: ServerName::from(address.ip()) };
        Ok(Self { tls: Some(tls), ..Self::http(address) })
    }

    /// Expects the certificate, and asks by SNI, for `name` instead of the IP address.
    ///
    /// # Panics
    /// When `name` is not a DNS name.
    #[must_use]
    #[track_caller]
    pub fn server_name(mut self, name: &str) -> Self {
        let Ok(name) = ServerName::try_from(name.to_owned()) else {
            fail(format_args!("{name:?} is not a DNS name"))
        };
        if let Some(tls) = &mut self.tls {
            tls.name = name;
        }
        self
    }

    /// Speaks HTTP/2 instead, with prior knowledge where there is no TLS.
    #[must_use]
    pub fn http2(self) -> Self {
        Self { speaks: Speaks::Http2, ..self }
    }

    /// Begins a GET of `path`.
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    /// Begins a POST to `path`.
    pub fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    /// Begins a PUT to `path`.
    pub fn put(&self, path: &str) -> Call<'_> {
        self.call(Method::PUT, path)
    }

    /// Begins a DELETE of `path`.
    pub fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// Begins a request with any method; `path` may have a query.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            client: self,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// Opens a connection to keep; see [`Call::send_on`].
    ///
    /// # Errors
    /// When the service cannot be reached or refuses the handshake.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        tokio::time::timeout(CONNECT, self.open())
            .await
            .with_context(|| format!("no connection to {} within {CONNECT:?}", self.address))?
            .with_context(|| format!("no connection to {}", self.address))
    }

    async fn open(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let Some(Tls { config, name }) = &self.tls else {
            return self.handshake(TokioIo::new(stream)).await;
        };

        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = vec![self.speaks.alpn().to_vec()];
        let stream = TlsConnector::from(Arc::new(config)).connect(name.clone(), stream).await?;
        self.handshake(TokioIo::new(stream)).await
    }

    async fn handshake<S>(&self, stream: TokioIo<S>) -> anyhow::Result<Connection>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        Ok(match self.speaks {
            Speaks::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                let driver = tokio::spawn(async move { connection.await.unwrap_or_default() });
                Connection { sender: Sender::Http1(sender), driver }
            }
            Speaks::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                let driver = tokio::spawn(async move { connection.await.unwrap_or_default() });
                Connection { sender: Sender::Http2(sender), driver }
            }
        })
    }

    /// Writes `path` the way the protocol wants it.
    fn uri(&self, path: &str) -> anyhow::Result<Uri> {
        let uri = match self.speaks {
            Speaks::Http1 => path.parse(),
            Speaks::Http2 => {
                let scheme = if self.tls.is_some() { "https" } else { "http" };
                format!("{scheme}://{}{path}", self.address).parse()
            }
        };
        uri.with_context(|| format!("{path:?} is no path; `raw` sends anything"))
    }
}

/// A request being put together.
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call<'_> {
    /// Adds `Authorization: Bearer <token>`.
    #[track_caller]
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// Adds a header; the same name twice is sent twice.
    ///
    /// # Panics
    /// When HTTP does not allow it; `raw` sends anything.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes())) {
            (Ok(name), Ok(value)) => self.headers.append(name, value),
            _ => fail(format_args!("{name:?}: {value:?} is no header; `raw` sends anything")),
        };
        self
    }

    /// Sends `value` as `application/json`, unless a content type is given already.
    pub fn json(mut self, value: serde_json::Value) -> Self {
        let content_type = HeaderValue::from_static("application/json");
        self.headers.entry(CONTENT_TYPE).or_insert(content_type);
        self.body(value.to_string())
    }

    /// Sends `bytes` as the body, without a content type of its own.
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = bytes.into();
        self
    }

    /// Sends the request on a connection of its own.
    ///
    /// # Panics
    /// When [`Self::try_send`] would return an error.
    pub async fn send(self) -> Reply {
        self.try_send().await.unwrap_or_else(|error| fail(format_args!("{error:#}")))
    }

    /// Sends the request on a connection of its own.
    ///
    /// # Errors
    /// When there is no connection or no whole answer within 30 s.
    pub async fn try_send(self) -> anyhow::Result<Reply> {
        let mut connection = self.client.connect().await?;
        self.send_on(&mut connection).await
    }

    /// Sends the request on a connection that was opened before and stays open.
    ///
    /// # Errors
    /// When the connection is gone or there is no whole answer within 30 s.
    pub async fn send_on(self, connection: &mut Connection) -> anyhow::Result<Reply> {
        let (method, path) = (self.method.clone(), self.path.clone());
        let exchange = self.exchange(connection);
        tokio::time::timeout(ANSWER, exchange)
            .await
            .with_context(|| format!("{method} {path}: no answer within {ANSWER:?}"))?
            .with_context(|| format!("{method} {path}: no answer"))
    }

    async fn exchange(self, connection: &mut Connection) -> anyhow::Result<Reply> {
        let Self { client, method, path, headers, body } = self;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = client.uri(&path)?;
        *request.headers_mut() = headers;
        client.speaks.prepare(&mut request, client.address)?;

        let (head, body) = connection.sender.send(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();

        Ok(Reply { method, path, status: head.status.as_u16(), headers: head.headers, body })
    }
}

/// A connection that stays open between requests, and closes when dropped.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Tells whether the service, or an error, has closed the connection.
    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        Ok(match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        })
    }
}

#[derive(Clone)]
struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.name).finish()
    }
}

#[derive(Debug, Clone, Copy)]
enum Speaks {
    Http1,
    Http2,
}

impl Speaks {
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    /// HTTP/1.1 names the host in a header, HTTP/2 in the URI.
    fn prepare<B>(self, request: &mut Request<B>, address: SocketAddr) -> anyhow::Result<()> {
        match self {
            Self::Http1 if !request.headers().contains_key(HOST) => {
                let host = HeaderValue::try_from(address.to_string())?;
                request.headers_mut().insert(HOST, host);
            }
            Self::Http1 => {}
            Self::Http2 => *request.version_mut() = Version::HTTP_2,
        }
        Ok(())
    }
}

fn trusting(root_pem: &[u8]) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(root_pem) {
        roots.add(certificate.context("the root certificate is not PEM")?)?;
    }
    ensure!(!roots.is_empty(), "there is no certificate in the root PEM");

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

const CONNECT: Duration = Duration::from_secs(10);
/// Longer than the time a service allows itself.
const ANSWER: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use hyper::service::service_fn;
    use hyper_util::server::conn::auto;
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use serde_json::json;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    #[tokio::test]
    async fn a_request_arrives_as_it_was_written() {
        let client = Client::http(echo(None).await);

        let reply = client
            .post("/things?x=1")
            .bearer("token")
            .header("x-one", "a")
            .header("x-one", "b")
            .json(json!({"a": 1}))
            .send()
            .await;

        reply.assert_status(201);
        assert_eq!(reply.header("x-version"), Some("HTTP/1.1"));
        let host = client.address.to_string();
        assert_eq!(
            reply.json(),
            json!({
                "method": "POST", "path": "/things?x=1", "body": "{\"a\":1}",
                "headers": [
                    ["authorization", "Bearer token"], ["x-one", "a"], ["x-one", "b"],
                    ["content-type", "application/json"], ["host", host], ["content-length", "7"],
                ],
            })
        );
    }

    #[tokio::test]
    async fn http2_is_spoken_with_and_without_tls() {
        let (server, pem) = certificate();
        let plain = Client::http(echo(None).await).http2();
        let secure = Client::https(echo(Some(server)).await, pem.as_bytes()).unwrap().http2();

        for client in [plain, secure] {
            let reply = client.get("/").send().await;
            assert_eq!(reply.header("x-version"), Some("HTTP/2.0"));
        }
    }

    #[tokio::test]
    async fn only_the_given_root_is_trusted() {
        let (server, pem) = certificate();
        let (_, other_pem) = certificate();
        let address = echo(Some(server)).await;

        let trusted = Client::https(address, pem.as_bytes()).unwrap();
        trusted.get("/").send().await.assert_status(201);
        trusted.server_name("localhost").get("/").send().await.assert_status(201);

        let stranger = Client::https(address, other_pem.as_bytes()).unwrap();
        assert!(stranger.get("/").try_send().await.is_err());
        assert!(Client::https(address, b"nothing").is_err());
    }

    #[tokio::test]
    async fn a_kept_connection_carries_several_requests() {
        for client in [Client::http(echo(None).await), Client::http(echo(None).await).http2()] {
            let mut connection = client.connect().await.unwrap();

            let first = client.get("/1").send_on(&mut connection).await.unwrap();
            let second = client.get("/2").send_on(&mut connection).await.unwrap();

            assert!(!connection.is_closed());
            assert_eq!(first.header("x-peer"), second.header("x-peer"));
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_an_error_with_its_address() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

        let error = Client::http(address).get("/").try_send().await.unwrap_err();

        assert_eq!(error.to_string(), format!("no connection to {address}"));
    }

    #[test]
    #[should_panic(expected = "192.0.2.1:80 is not a loopback address")]
    fn nothing_but_loopback_is_spoken_to() {
        Client::http("192.0.2.1:80".parse().unwrap());
    }

    /// Starts a server that answers 201 with what it was asked.
    async fn echo(tls: Option<ServerConfig>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let answer = service_fn(move |request| echo_one(request, peer));
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that does not trust us ends the connection, and that is its test.
                    match acceptor {
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            server.serve_connection(TokioIo::new(stream), answer).await.ok();
                        }
                        None => {
                            server.serve_connection(TokioIo::new(stream), answer).await.ok();
                        }
                    }
                });
            }
        });
        address
    }

    async fn echo_one(
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let headers = head.headers.iter();
        let headers = headers.map(|(name, value)| [name.as_str(), value.to_str().unwrap()]);
        let path = head.uri.path_and_query().unwrap().as_str();
        let answer = json!({
            "method": head.method.as_str(),
            "path": path,
            "headers": headers.collect::<Vec<_>>(),
            "body": String::from_utf8_lossy(&body.collect().await?.to_bytes()),
        });
        let mut response = Response::new(Full::from(answer.to_string()));
        *response.status_mut() = StatusCode::CREATED;
        let version = format!("{:?}", head.version).parse().unwrap();
        response.headers_mut().insert("x-version", version);
        response.headers_mut().insert("x-peer", peer.to_string().parse().unwrap());
        Ok(response)
    }

    fn certificate() -> (ServerConfig, String) {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        (config, made.cert.pem())
    }
}
