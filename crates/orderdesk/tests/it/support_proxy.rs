//! A way to a database server that a test can cut: at once, in silence, or around a commit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// They arrive.
    Open,
    /// They vanish, in both directions, and nobody is told.
    Silent,
    /// Every connection is reset, and so is every new one.
    Cut,
    /// The connection is reset where a commit would pass, which does not arrive.
    CutBeforeCommit,
    /// The connection is reset where the answer to a commit would pass.
    CutAfterCommit,
    /// The answer to a commit vanishes, and so does everything after it on this connection.
    SilentAfterCommit,
}

/// A port of loopback that leads to another one.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    struck: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Leads to the `port` of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, watched) = watch::channel(Way::Open);
        let struck = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(listener, port, watched, Arc::clone(&struck)));
        Self { address, way, struck, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Returns how many commits were met.
    pub(crate) fn struck(&self) -> usize {
        self.struck.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    way: watch::Receiver<Way>,
    struck: Arc<AtomicUsize>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (way, struck) = (way.clone(), Arc::clone(&struck));
        tokio::spawn(async move {
            if *way.borrow() == Way::Cut {
                return reset(client);
            }
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
                return reset(client);
            };
            lead(client, server, way, struck).await;
        });
    }
}

/// Leads one connection until an end of it is gone.
async fn lead(
    client: TcpStream,
    server: TcpStream,
    way: watch::Receiver<Way>,
    struck: Arc<AtomicUsize>,
) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let mut cut = way.clone();
    let is_cut = async { drop(cut.wait_for(|way| *way == Way::Cut).await) };
    let (met, is_met) = watch::channel(false);
    let there = ask(&mut from_client, &mut to_server, (&way, &struck, &met));
    let back = answer(&mut from_server, &mut to_client, (&way, is_met));
    let is_reset = tokio::select! {
        () = is_cut => true,
        is_reset = there => is_reset,
        is_reset = back => is_reset,
    };
    if is_reset && let Ok(client) = from_client.reunite(to_client) {
        reset(client);
    }
}

/// Passes on what the client says; true if the connection is to be reset.
async fn ask(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    (way, struck, met): (&watch::Receiver<Way>, &AtomicUsize, &watch::Sender<bool>),
) -> bool {
    let mut buffer = vec![0; 65_536];
    loop {
        let Some(said) = read(from, &mut buffer).await else { return false };
        let way = *way.borrow();
        let is_commit = said.windows(COMMIT.len()).any(|part| part == COMMIT);
        if is_commit && !matches!(way, Way::Open | Way::Silent) {
            struck.fetch_add(1, Ordering::SeqCst);
            if way == Way::CutBeforeCommit {
                return true;
            }
            met.send_replace(true);
        }
        if way != Way::Silent && to.write_all(said).await.is_err() {
            return false;
        }
    }
}

/// Passes on what the server says; true if the connection is to be reset.
async fn answer(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    (way, is_met): (&watch::Receiver<Way>, watch::Receiver<bool>),
) -> bool {
    let mut buffer = vec![0; 65_536];
    let mut is_silent = false;
    loop {
        let Some(said) = read(from, &mut buffer).await else { return false };
        let (way, is_met) = (*way.borrow(), *is_met.borrow());
        if is_met && way == Way::CutAfterCommit {
            return true;
        }
        is_silent |= is_met && way == Way::SilentAfterCommit;
        if !is_silent && way != Way::Silent && to.write_all(said).await.is_err() {
            return false;
        }
    }
}

async fn read<'a>(from: &mut OwnedReadHalf, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    match from.read(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(count) => Some(&buffer[..count]),
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().ok();
    drop(stream);
}

/// A simple query, as the protocol frames it.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
