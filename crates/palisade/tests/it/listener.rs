//! The sockets that a service listens on.

use std::net::SocketAddr;
use std::time::Duration;

use palisade::http::{InheritedSockets, ListenAddress, Socket};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_burst_of_connections_waits_to_be_accepted() {
    let loopback = ListenAddress::Tcp("127.0.0.1:0".parse::<SocketAddr>().unwrap());
    let socket = Socket::bind(&loopback, 0o600, &mut InheritedSockets::none()).unwrap();
    let Ok(ListenAddress::Tcp(address)) = socket.address() else { panic!("no address") };

    // Nobody accepts. What the kernel has no room for is tried again only after a second.
    let patience = Duration::from_millis(900);
    let mut burst = Vec::new();
    while burst.len() < 400 {
        match tokio::time::timeout(patience, TcpStream::connect(address)).await {
            Ok(connected) => burst.push(connected.unwrap()),
            Err(_) => break,
        }
    }

    assert_eq!(burst.len(), 400);
}
