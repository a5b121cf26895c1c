//! The argument of a handler that takes keys.

use std::fmt;

use bytes::Bytes;
use serde_json::json;

use super::key::{HEADER, Key, LONGEST, Marks, Told};
use super::{Idempotency, Once};
use crate::auth::Caller;
use crate::crypto::RunningDigest;
use crate::http::{
    Extract, FromRef, MediaType, Method, Operation, Problem, Request, Stream, WholeBody, problem,
};

/// The body of a request that may bring an idempotency key: `Idempotent<Body<T>>` or
/// `Idempotent<OptionalBody<T>>`.
///
/// The body comes with a [`Once`], which does what was asked for. The route's policy must find out
/// who calls, as those of [`crate::auth`] do, and the handler must answer [`Answered`](super::Answered).
pub struct Idempotent<B> {
    body: B,
    once: Once,
}

impl<B> Idempotent<B> {
    /// Returns the body, and what the request is to be done by.
    pub fn into_parts(self) -> (B, Once) {
        (self.body, self.once)
    }
}

impl<B: fmt::Debug> fmt::Debug for Idempotent<B> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Idempotent").field("body", &self.body).finish_non_exhaustive()
    }
}

impl<S: Sync, B: WholeBody> Extract<S> for Idempotent<B>
where
    Idempotency: FromRef<S>,
{
    fn describe(operation: &mut Operation) {
        B::describe(operation);
        describe_key(operation);
    }

    async fn extract(request: &mut Request, state: &S) -> Result<Self, Problem> {
        let read = B::read(request).await;
        let ((body, bytes), key) = match (read, Key::of(&request.parts.headers)) {
            (Ok(read), Ok(key)) => (read, key),
            (Err(body), Err(key)) => return Err(body.and(&key)),
            (Err(problem), Ok(_)) | (Ok(_), Err(problem)) => return Err(problem),
        };
        let idempotency = Idempotency::from_ref(state);
        let keyed = key.map(|key| Keyed::of(request, key)).transpose()?;
        let marks = keyed.map(|keyed| keyed.marks(&idempotency, &bytes));
        Ok(Self { body, once: Once::new(idempotency, marks) })
    }
}

/// The body of a request that may bring an idempotency key, read piece by piece: what is large is
/// never in memory as a whole.
///
/// What the pieces are is known at the end, so the handler puts them away as they come, and does
/// with [`Once`] what makes them count. If the request was done before, the pieces that were put
/// away are left over: whoever owns them removes them.
pub struct IdempotentStream<M> {
    stream: Stream<M>,
    digest: RunningDigest,
    is_whole: bool,
    idempotency: Idempotency,
    keyed: Option<Keyed>,
}

impl<M: MediaType> IdempotentStream<M> {
    /// Returns the next piece as [`Stream::next`] does.
    ///
    /// # Errors
    ///
    /// Those of [`Stream::next`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let piece = self.stream.next().await?;
        match &piece {
            Some(piece) => self.digest.add(piece),
            None => self.is_whole = true,
        }
        Ok(piece)
    }

    /// Returns what the request is to be done by, once all pieces have come.
    ///
    /// # Errors
    ///
    /// 500 before [`IdempotentStream::next`] has returned `None`: the rest would not be told from
    /// that of another request.
    pub fn into_once(self) -> Result<Once, Problem> {
        let Self { digest, is_whole, idempotency, keyed, .. } = self;
        if !is_whole {
            return Err(Problem::internal(NotWhole));
        }
        let digest = digest.finish();
        let marks = keyed.map(|keyed| keyed.marks(&idempotency, &digest));
        Ok(Once::new(idempotency, marks))
    }
}

impl<M: MediaType> fmt::Debug for IdempotentStream<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("IdempotentStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<S: Sync, M: MediaType> Extract<S> for IdempotentStream<M>
where
    Idempotency: FromRef<S>,
{
    fn describe(operation: &mut Operation) {
        <Stream<M> as Extract<S>>::describe(operation);
        describe_key(operation);
    }

    async fn extract(request: &mut Request, state: &S) -> Result<Self, Problem> {
        // Judged first: nothing is read for a key that is none.
        let key = Key::of(&request.parts.headers)?;
        let keyed = key.map(|key| Keyed::of(request, key)).transpose()?;
        let stream = <Stream<M> as Extract<S>>::extract(request, state).await?;
        let (digest, idempotency) = (RunningDigest::default(), Idempotency::from_ref(state));
        Ok(Self { stream, digest, is_whole: false, idempotency, keyed })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a stream was judged by its key before it was read to its end")]
struct NotWhole;

/// A request with a key, before its body is known.
struct Keyed {
    caller: String,
    key: Vec<u8>,
    method: Method,
    target: String,
}

impl Keyed {
    fn of(request: &Request, key: Key<'_>) -> Result<Self, Problem> {
        let parts = &request.parts;
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        Ok(Self {
            caller: Caller::of(request)?.to_string(),
            key: key.as_bytes().to_vec(),
            method: parts.method.clone(),
            target: target.to_owned(),
        })
    }

    fn marks(&self, idempotency: &Idempotency, body: &[u8]) -> Marks {
        let Self { caller, key, method, target } = self;
        let method = method.as_str();
        Marks::of(&idempotency.0.fingerprints, &Told { caller, key, method, target, body })
    }
}

fn describe_key(operation: &mut Operation) {
    let about = "Makes sending again safe: the same request with the same key is done once, \
                 and its first 2xx or 409 is given again for 24 hours.";
    let schema =
        json!({"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!-~]+$"});
    operation.reads_header(HEADER, about, schema);
    operation.reads_idempotency_key();
    operation.may_answer(problem::VALIDATION_FAILED);
    operation.may_answer(problem::IDEMPOTENCY_CONFLICT);
}
