//! What is done once: work in a transaction that also keeps its answer.

use std::fmt;
use std::marker::PhantomData;

use super::kept::{Kept, Unkept};
use super::key::{Mark, Marks};
use super::store::Stored;
use super::{Idempotency, Outcome, store};
use crate::clock::Timestamp;
use crate::db::{DbError, Tx};
use crate::http::{Answer, Operation, Problem, Response, problem};

/// Does what a request asks for, once for each key; a request without a key is done as it comes.
#[must_use = "nothing is done until something is written with it"]
pub struct Once {
    idempotency: Idempotency,
    marks: Option<Marks>,
}

/// A [`Once`] that knows how to answer.
#[must_use = "nothing is done until something is written with it"]
pub struct Answering<T, A> {
    once: Once,
    answer: fn(T) -> A,
}

/// The answer `A` to a request that was done just now, or the one that was kept of it. Only
/// [`Answering::write`] makes it.
pub struct Answered<A> {
    response: Response,
    answer: PhantomData<fn() -> A>,
}

impl Once {
    pub(super) fn new(idempotency: Idempotency, marks: Option<Marks>) -> Self {
        Self { idempotency, marks }
    }

    /// Says how to answer with what the work will return. The answer is written within the
    /// transaction, so `answer` does nothing but make it.
    pub fn answering<T, A>(self, answer: fn(T) -> A) -> Answering<T, A> {
        Answering { once: self, answer }
    }
}

impl<T, A> Answering<T, A>
where
    T: 'static,
    A: Answer + 'static,
{
    /// Runs `work` in a transaction, as [`Db::write`](crate::db::Db::write) does, and keeps the
    /// answer in it; or returns the answer that was kept of the same request.
    ///
    /// `may_see` is asked before a kept answer is given, and only then: whether the caller may
    /// still see what it tells of, beyond what the route's policy has judged just now. What it
    /// returns instead is the answer. `work` judges a new request by itself.
    ///
    /// # Errors
    ///
    /// What `work` or `may_see` returns, as a problem; 409 `idempotency_conflict` if the key was
    /// used for another request; 500, and nothing done, for an answer that cannot be kept: one of
    /// more than 64 KiB or one that is made while it is sent.
    pub async fn write<E, M, W>(self, may_see: M, work: W) -> Result<Answered<A>, Problem>
    where
        M: AsyncFn(&mut Tx<'_>) -> Result<(), E> + Clone + Send + 'static,
        W: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        E: From<DbError> + Into<Problem> + Send + 'static,
    {
        let Self { once: Once { idempotency, marks }, answer } = self;
        let Some(marks) = marks else {
            let done =
                idempotency.0.db.write(async move |tx: &mut Tx<'_>| -> Result<_, Failed<E>> {
                    let done = work(tx).await.map_err(Failed::Work)?;
                    answer(done).into_response().map_err(Failed::Answer)
                });
            return done.await.map(Answered::new).map_err(Failed::into_problem);
        };
        let claim = Claim::new(&idempotency, marks);
        let (judge, see) = (claim, may_see.clone());
        let done = idempotency.0.db.write(async move |tx: &mut Tx<'_>| {
            if let Some(found) = judge.find_or_take(tx, &see).await? {
                return Ok(found);
            }
            let done = work(tx).await.map_err(Failed::Work)?;
            let response = answer(done).into_response().map_err(Failed::Answer)?;
            let kept = Kept::of(&response).map_err(Failed::unkept)?;
            store::keep(tx, judge.marks.current.key_hash, &kept).await?;
            Ok::<_, Failed<E>>(Found::Nothing(response))
        });
        match done.await {
            Ok(found) => idempotency.answered(found),
            Err(Failed::Answer(problem)) => Err(problem),
            Err(Failed::Work(error)) => idempotency.refused(claim, error.into(), may_see).await,
        }
    }
}

impl Idempotency {
    /// Answers what was refused. A 409 is kept, in a transaction of its own because that of the
    /// work is undone; if the same request was answered meanwhile, that answer counts.
    async fn refused<A, E, M>(
        &self,
        claim: Claim,
        problem: Problem,
        may_see: M,
    ) -> Result<Answered<A>, Problem>
    where
        M: AsyncFn(&mut Tx<'_>) -> Result<(), E> + Send + 'static,
        E: From<DbError> + Into<Problem> + Send + 'static,
    {
        if problem.kind().status != 409 {
            return Err(problem);
        }
        let refusal = problem.clone();
        let kept = self.0.db.write(async move |tx: &mut Tx<'_>| {
            if let Some(found) = claim.find_or_take(tx, &may_see).await? {
                return Ok(Some(found));
            }
            store::keep(tx, claim.marks.current.key_hash, &Kept::refusal(&refusal)).await?;
            Ok::<_, Failed<E>>(None)
        });
        match kept.await.map_err(Failed::into_problem)? {
            Some(found) => self.answered(found),
            None => {
                self.0.outcomes.add(Outcome::Kept, 1);
                Err(problem)
            }
        }
    }

    fn answered<A>(&self, found: Found) -> Result<Answered<A>, Problem> {
        let outcomes = &self.0.outcomes;
        match found {
            Found::Nothing(response) => {
                outcomes.add(Outcome::Kept, 1);
                Ok(Answered::new(response))
            }
            Found::Answer(kept) => {
                outcomes.add(Outcome::Replayed, 1);
                kept.again().map(Answered::new).map_err(Problem::internal)
            }
            Found::OtherRequest => {
                outcomes.add(Outcome::Conflict, 1);
                Err(Problem::new(problem::IDEMPOTENCY_CONFLICT))
            }
        }
    }
}

/// What stood under a key.
enum Found {
    /// Nothing, and the request was done and answered.
    Nothing(Response),
    /// The answer to the same request.
    Answer(Kept),
    /// Another request.
    OtherRequest,
}

/// Why nothing was done.
enum Failed<E> {
    /// The work or the look at the caller says so.
    Work(E),
    /// There is no answer that could be given or kept.
    Answer(Problem),
}

impl<E> Failed<E> {
    fn unkept(why: Unkept) -> Self {
        Self::Answer(Problem::internal(why))
    }
}

impl<E: Into<Problem>> Failed<E> {
    fn into_problem(self) -> Problem {
        match self {
            Self::Work(error) => error.into(),
            Self::Answer(problem) => problem,
        }
    }
}

impl<E: From<DbError>> From<DbError> for Failed<E> {
    fn from(error: DbError) -> Self {
        Self::Work(error.into())
    }
}

/// A request's claim to its key.
#[derive(Clone, Copy)]
struct Claim {
    marks: Marks,
    now: Timestamp,
    expires_at: Timestamp,
}

impl Claim {
    fn new(idempotency: &Idempotency, marks: Marks) -> Self {
        let now = idempotency.0.clock.now();
        Self { marks, now, expires_at: now.after(idempotency.0.keep_for) }
    }

    /// Returns what stands under the key for a caller who may see it. `None`: nothing did, and
    /// the key is taken by this transaction.
    async fn find_or_take<E: From<DbError>>(
        &self,
        tx: &mut Tx<'_>,
        may_see: &impl AsyncFn(&mut Tx<'_>) -> Result<(), E>,
    ) -> Result<Option<Found>, Failed<E>> {
        let Marks { current, previous } = self.marks;
        if let Some(previous) = previous
            && let Some(stored) = store::find(tx, previous.key_hash, self.now).await?
        {
            return found(tx, (previous, stored), may_see).await.map(Some);
        }
        if store::claim(tx, &current, (self.now, self.expires_at)).await? {
            return Ok(None);
        }
        // It is gone if its time ended right now by the clock of another process.
        let stored = store::find(tx, current.key_hash, self.now).await?.ok_or(DbError::Busy)?;
        found(tx, (current, stored), may_see).await.map(Some)
    }
}

async fn found<E>(
    tx: &mut Tx<'_>,
    (mark, stored): (Mark, Stored),
    may_see: &impl AsyncFn(&mut Tx<'_>) -> Result<(), E>,
) -> Result<Found, Failed<E>> {
    may_see(tx).await.map_err(Failed::Work)?;
    Ok(match stored.request == mark.request {
        true => Found::Answer(stored.kept),
        false => Found::OtherRequest,
    })
}

impl<A> Answered<A> {
    fn new(response: Response) -> Self {
        Self { response, answer: PhantomData }
    }
}

impl<A: Answer> Answer for Answered<A> {
    fn describe(operation: &mut Operation) {
        A::describe(operation);
        operation.keeps_answers();
    }

    fn into_response(self) -> Result<Response, Problem> {
        Ok(self.response)
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Once({})", if self.marks.is_some() { "with a key" } else { "without a key" })
    }
}

impl<T, A> fmt::Debug for Answering<T, A> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.once.fmt(out)
    }
}

impl<A> fmt::Debug for Answered<A> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Answered({})", self.response.status())
    }
}
