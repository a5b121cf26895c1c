//! The body of a request, lent to a router until it has answered.
//!
//! It is bounded while it is read. It is taken back with the answer, whoever still holds it: from
//! then on nobody watches how fast it arrives, and the connection must know what is left of it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::http::extract::{too_large, unreadable};
use crate::http::{Problem, RequestBody};

/// The lender's side: dropping it takes the body back.
pub(super) struct Loan(Arc<Mutex<Lent>>);

/// The borrower's side.
pub(super) struct Borrowed(Arc<Mutex<Lent>>);

struct Lent {
    state: State,
    limit: usize,
    /// Bytes that may still come.
    left: usize,
    /// Whoever waits for more.
    reader: Option<Waker>,
}

enum State {
    Open(RequestBody),
    Ended,
    Failed(Problem),
    TakenBack,
}

/// Why a borrower cannot read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the body is too large, too slow or broken")]
    Failed,
    #[error("the request was answered before its body was read")]
    TakenBack,
}

impl Loan {
    /// Lends a body, of which up to `limit` bytes can be read.
    ///
    /// # Errors
    ///
    /// 413 if it is announced as larger.
    pub(super) fn of(body: Option<RequestBody>, limit: usize) -> Result<(Self, Borrowed), Problem> {
        let announced = body.as_ref().map_or(0, |body| body.size_hint().lower());
        if usize::try_from(announced).map_or(true, |announced| announced > limit) {
            return Err(too_large(limit));
        }
        let state = body.map_or(State::TakenBack, State::Open);
        let lent = Arc::new(Mutex::new(Lent { state, limit, left: limit, reader: None }));
        Ok((Self(Arc::clone(&lent)), Borrowed(lent)))
    }

    /// Returns what kept the borrower from reading to the end, if that was the client's doing.
    pub(super) fn failure(&self) -> Option<Problem> {
        match &held(&self.0).state {
            State::Failed(problem) => Some(problem.clone()),
            State::Open(_) | State::Ended | State::TakenBack => None,
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut lent = held(&self.0);
        if !matches!(lent.state, State::Open(_)) {
            return;
        }
        let body = std::mem::replace(&mut lent.state, State::TakenBack);
        let reader = lent.reader.take();
        drop(lent);
        drop(body);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Body for Borrowed {
    type Data = Bytes;
    type Error = Unreadable;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        held(&self.0).poll(context)
    }

    fn is_end_stream(&self) -> bool {
        match &held(&self.0).state {
            State::Open(body) => body.is_end_stream(),
            State::Ended => true,
            State::Failed(_) | State::TakenBack => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &held(&self.0).state {
            State::Open(body) => body.size_hint(),
            State::Ended => SizeHint::with_exact(0),
            State::Failed(_) | State::TakenBack => SizeHint::default(),
        }
    }
}

impl Lent {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        let body = match &mut self.state {
            State::Open(body) => body,
            State::Ended => return Poll::Ready(None),
            State::Failed(_) => return Poll::Ready(Some(Err(Unreadable::Failed))),
            State::TakenBack => return Poll::Ready(Some(Err(Unreadable::TakenBack))),
        };
        self.reader = Some(context.waker().clone());
        let frame = match ready!(Pin::new(body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return self.fail(unreadable(error)),
            None => {
                self.state = State::Ended;
                return Poll::Ready(None);
            }
        };
        match self.left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => self.fail(too_large(self.limit)),
        }
    }

    /// What failed once fails again, and what was not read is left to the connection at once.
    fn fail(&mut self, why: Problem) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        self.state = State::Failed(why);
        Poll::Ready(Some(Err(Unreadable::Failed)))
    }
}

fn held(lent: &Mutex<Lent>) -> MutexGuard<'_, Lent> {
    lent.lock().unwrap_or_else(PoisonError::into_inner)
}
