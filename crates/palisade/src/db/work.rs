//! Work handed to a thread of the database: run once, in place, and answered when it counts.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::error::DbError;
use super::tx::Tx;
use crate::telemetry::RequestScope;

/// What work comes to: its own result, or why the database could not let it finish.
pub(super) type Outcome<T, E> = Result<Result<T, E>, DbError>;

/// A write on its way through the writer, without its types.
pub(super) trait Request: Send {
    /// Tells whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Runs the work and tells whether what it wrote is to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Runs the work on a server, which takes a while, and tells as [`Request::run`] does.
    fn run_remotely<'a>(
        &'a mut self,
        tx: &'a mut Tx<'_>,
    ) -> Pin<Box<dyn Future<Output = bool> + 'a>>;
    /// Answers the caller. With an `Err`, nothing was committed and nobody hears of success.
    fn answer(self: Box<Self>, committed: Result<(), DbError>);
}

/// Boxes `work` and returns it with where its answer will come.
pub(super) fn request<F, T, E>(work: F) -> (Box<dyn Request>, oneshot::Receiver<Outcome<T, E>>)
where
    F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let scope = RequestScope::current();
    (Box::new(Typed { work, outcome: Err(DbError::Closed), reply, scope }), answer)
}

/// Runs `work` to its end on this thread. It must not wait for anything but its transaction,
/// which answers at once: a future that stays pending is a bug, and is dropped.
pub(super) fn run_in_place<F, T, E>(work: &F, tx: &mut Tx<'_>) -> Outcome<T, E>
where
    F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
{
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let future = pin!(work(tx));
        future.poll(&mut Context::from_waker(Waker::noop()))
    }));
    match polled {
        Ok(Poll::Ready(result)) => Ok(result),
        Ok(Poll::Pending) => {
            tracing::error!("work inside a transaction waited for something else");
            Err(DbError::Stalled)
        }
        Err(_) => {
            tracing::error!("work inside a transaction panicked");
            Err(DbError::Panicked)
        }
    }
}

/// Runs `work` to its end, however long the database takes to answer.
async fn run_to_its_end<F, T, E>(work: &F, tx: &mut Tx<'_>, scope: RequestScope) -> Outcome<T, E>
where
    F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
{
    let mut future = pin!(AssertUnwindSafe(work(tx)).catch_unwind());
    let ended = poll_fn(|context| scope.run(|| future.as_mut().poll(context))).await;
    ended.map_err(|_| {
        scope.run(|| tracing::error!("work inside a transaction panicked"));
        DbError::Panicked
    })
}

impl<F, T, E> Typed<F, T, E> {
    /// Tells whether what was written is to be kept. Work that goes on as if nothing had been after
    /// one of its statements failed does not get its way.
    fn is_kept(&mut self, tx: &Tx<'_>) -> bool {
        if let (Ok(Ok(_)), Some(failure)) = (&self.outcome, tx.failure()) {
            tracing::error!("work inside a transaction went on after a statement had failed");
            self.outcome = Err(failure.clone());
        }
        matches!(self.outcome, Ok(Ok(_)))
    }
}

struct Typed<F, T, E> {
    work: F,
    outcome: Outcome<T, E>,
    reply: oneshot::Sender<Outcome<T, E>>,
    /// The request of a client that the work is done for.
    scope: RequestScope,
}

impl<F, T, E> Request for Typed<F, T, E>
where
    F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        self.outcome = self.scope.run(|| run_in_place(&self.work, tx));
        self.is_kept(tx)
    }

    fn run_remotely<'a>(
        &'a mut self,
        tx: &'a mut Tx<'_>,
    ) -> Pin<Box<dyn Future<Output = bool> + 'a>> {
        Box::pin(async move {
            // Until it has run: a caller whose transaction was given up hears of that.
            self.outcome = Err(DbError::Closed);
            self.outcome = run_to_its_end(&self.work, tx, self.scope).await;
            self.is_kept(tx)
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), DbError>) {
        let _entered = self.scope.enter();
        // What the feature captured or returns may panic when dropped: not on the writer's account.
        let answered = catch_unwind(AssertUnwindSafe(move || {
            let Self { outcome, reply, .. } = *self;
            let outcome = match (outcome, committed) {
                (Ok(Ok(_)) | Err(DbError::Closed), Err(error)) => Err(error),
                (outcome, _) => outcome,
            };
            // A caller that has gone needs no answer.
            drop(reply.send(outcome));
        }));
        if answered.is_err() {
            tracing::error!("a value that a transaction used panicked when it was dropped");
        }
    }
}
