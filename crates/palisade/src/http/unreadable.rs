//! Requests that cannot be read at all: the parser's bare refusals become problem documents.
//!
//! hyper answers what is no HTTP by itself, with a status and no body, and asks nobody. The only
//! place where that answer can be seen is the stream that it is written to: it is the last thing
//! written there, and made of nothing but a status and the headers in [`BARE_HEADERS`]. Every
//! answer of our own has more headers, so none is mistaken for it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::guard::App;

/// A stream on which every refusal explains itself.
pub(super) struct Explaining<IO> {
    stream: IO,
    app: App,
    /// What stands for a bare refusal and is not written yet.
    explanation: Vec<u8>,
    /// Whether the first line of the present request has come to its end. If a head is too large
    /// before that, it is its address that is too long.
    has_line: bool,
}

impl<IO> Explaining<IO> {
    pub(super) fn new(stream: IO, app: App) -> Self {
        Self { stream, app, explanation: Vec::new(), has_line: false }
    }
}

impl<IO: AsyncWrite + Unpin> Explaining<IO> {
    /// Writes what is left of the explanation.
    fn poll_explain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.explanation.is_empty() {
            let stream = Pin::new(&mut self.stream);
            let written = ready!(stream.poll_write(context, &self.explanation))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.explanation.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Explaining<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        self.has_line = self.has_line || new.contains(&b'\n');
        Poll::Ready(Ok(()))
    }
}

/// Vectored writes are left at their default, one piece at a time, so that a refusal is seen whole.
impl<IO: AsyncWrite + Unpin> AsyncWrite for Explaining<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_explain(context))?;
        let Some((before, refusal)) = split_refusal(bytes) else {
            self.has_line = false;
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        if !before.is_empty() {
            return Pin::new(&mut self.stream).poll_write(context, before);
        }
        let status = match refusal.status {
            431 if !self.has_line => 414,
            status => status,
        };
        self.explanation = self.app.explain(status);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_explain(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_explain(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A refusal that the parser wrote.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    status: u16,
}

/// All that the head of a bare refusal has.
const BARE_HEADERS: [&str; 3] = ["content-length: 0", "connection: close", "date: "];

/// Finds the refusal that `bytes` end with; returns it and what stands before it.
fn split_refusal(bytes: &[u8]) -> Option<(&[u8], Refusal)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let start = bytes.windows(START.len()).rposition(|window| window == START)?;
    let (before, head) = bytes.split_at_checked(start)?;
    let mut lines = std::str::from_utf8(head).ok()?.trim_end().split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let is_bare = lines.all(|line| BARE_HEADERS.iter().any(|known| line.starts_with(known)));
    (is_bare && (400..500).contains(&status)).then_some((before, Refusal { status }))
}

const START: &[u8] = b"HTTP/1.";

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
                        content-length: 0\r\ndate: Mon, 23 Nov 2026 13:43:13 GMT\r\n\r\n";

    #[test]
    fn a_bare_refusal_is_found_alone_and_behind_another_answer() {
        let other = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: 1\r\n\r\n{}";
        let both = format!("{other}{BARE}");

        assert_eq!(split_refusal(BARE.as_bytes()), Some((&b""[..], Refusal { status: 431 })));
        assert_eq!(
            split_refusal(both.as_bytes()),
            Some((other.as_bytes(), Refusal { status: 431 }))
        );
    }

    #[test]
    fn an_answer_of_our_own_is_not_taken_for_one() {
        let with_id = BARE.replace("date: ", "x-request-id: 1\r\ndate: ");
        let in_a_body = format!("{BARE}{{}}");
        let continues = "HTTP/1.1 100 Continue\r\n\r\n";

        for own in [&with_id, &in_a_body, continues, "", "\r\n\r\n", BARE.trim_end()] {
            assert_eq!(split_refusal(own.as_bytes()), None, "{own}");
        }
    }
}
