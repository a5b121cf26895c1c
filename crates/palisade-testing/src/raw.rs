//! Bytes as they are, for requests that no client would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fail::fail;

/// Sends `bytes` on a new connection and returns all that comes back until the peer closes.
///
/// Our side stays open meanwhile. A reset by the peer counts as closing, because a server that
/// refuses a request often does not read the rest of it.
///
/// # Panics
/// When the peer cannot be reached, or has not closed after 10 s: a well-formed request needs
/// `Connection: close`.
pub async fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut received = Vec::new();
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        // The answer may come, and the connection go, before everything is sent.
        stream.write_all(bytes.as_ref()).await.ok();
        while let Ok(1..) = stream.read_buf(&mut received).await {}
        std::io::Result::Ok(())
    };
    match tokio::time::timeout(DEADLINE, exchange).await {
        Ok(Ok(())) => received,
        Ok(Err(error)) => fail(format_args!("{address} cannot be reached: {error}")),
        Err(_) => fail(format_args!(
            "{address} kept the connection open for {DEADLINE:?} after:\n{}",
            String::from_utf8_lossy(&received)
        )),
    }
}

const DEADLINE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_go_out_as_they_are_and_all_of_the_answer_comes_back() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = [0; 5];
            stream.read_exact(&mut heard).await.unwrap();
            stream.write_all(b"no ").await.unwrap();
            stream.write_all(&heard).await.unwrap();
        });

        let answer = raw(address, b"\0\xff\r\nx").await;

        assert_eq!(answer, b"no \0\xff\r\nx");
        server.await.unwrap();
    }
}
