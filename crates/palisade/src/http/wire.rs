//! The stream under a connection: it notes what goes through and explains refusals.
//!
//! hyper answers what is no HTTP by itself, with a status and no body, and asks nobody. The only
//! place where that answer can be seen is the stream that it is written to; [`super::unreadable`]
//! knows it by its form.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::activity::Activity;
use super::frames::Frames;
use super::guard::App;
use super::metrics::CloseReason;
use super::outgoing::Outgoing;
use super::unreadable::split_refusal;

/// A stream that is watched.
pub(super) struct Wire<IO> {
    stream: IO,
    app: App,
    activity: Arc<Activity>,
    /// What was read to see which protocol is spoken, and not yet given on.
    first: Vec<u8>,
    /// What stands for a bare refusal and is not written yet.
    explanation: Vec<u8>,
    /// Whether the first line of the present request has come to its end. If a head is too large
    /// before that, it is its address that is too long.
    has_line: bool,
    /// The frames that have come and gone, on HTTP/2.
    frames: Option<(Frames, Outgoing)>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    /// Watches `stream`, of which `first` was read already.
    pub(super) fn new(stream: IO, first: Vec<u8>, app: App, activity: Arc<Activity>) -> Self {
        let (explanation, has_line, frames) = (Vec::new(), false, None);
        Self { stream, app, activity, first, explanation, has_line, frames }
    }

    /// Holds the client to a number of HTTP/2 frames, too, and counts what is refused with one.
    pub(super) fn counting_frames(self) -> Self {
        Self { frames: Some((Frames::new(), Outgoing::new())), ..self }
    }

    /// Writes the answer to a request whose head never came to its end, and ends the stream.
    pub(super) async fn refuse(mut self, status: u16) -> io::Result<()> {
        let answer = self.app.explain(status);
        self.stream.write_all(&answer).await?;
        self.stream.shutdown().await
    }

    /// Notes what the stream took.
    fn note_written(&mut self, bytes: &[u8]) {
        self.activity.note_written(bytes.len());
        if let Some((_, outgoing)) = &mut self.frames {
            outgoing.note(bytes, &self.app, &self.activity);
        }
    }

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

    fn poll_read_more(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.first.len().min(buffer.remaining());
        let rest = self.first.split_off(length);
        buffer.put_slice(&self.first);
        self.first = rest;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.poll_read_more(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        self.has_line = self.has_line || new.contains(&b'\n');
        let frames = self.frames.as_mut().map_or(0, |(frames, _)| frames.count(new));
        let is_fair = self.activity.may_have_sent_frames(frames);
        if new.is_empty() || (self.activity.note_read(new.len()) && is_fair) {
            return Poll::Ready(Ok(()));
        }
        self.activity.ends_because(CloseReason::Flooding);
        Poll::Ready(Err(io::Error::other("more was sent than requests and their bodies")))
    }
}

/// Vectored writes are left at their default, one piece at a time, so that a refusal is seen whole.
impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_explain(context))?;
        // What a body says is never taken for what the parser says.
        let is_plain = self.frames.is_some() || self.activity.may_write_line_end();
        let refusal = if is_plain { None } else { split_refusal(bytes) };
        let Some((before, refused)) = refusal else {
            self.has_line = false;
            let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
            self.activity.note_blocked(polled.is_pending());
            if let Poll::Ready(Ok(written)) = &polled {
                self.note_written(bytes.get(..*written).unwrap_or_default());
            }
            return polled;
        };
        if !before.is_empty() {
            return Pin::new(&mut self.stream).poll_write(context, before);
        }
        let status = match refused {
            431 if !self.has_line => 414,
            status => status,
        };
        self.activity.ends_because(CloseReason::Unreadable);
        self.explanation = self.app.explain(status);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_explain(context))?;
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.activity.note_blocked(polled.is_pending());
        if polled.is_ready() {
            // The parser flushes once all that it was given is written.
            self.activity.note_line_end(false);
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_explain(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
