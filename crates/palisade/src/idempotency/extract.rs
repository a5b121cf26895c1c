//! The argument of a handler that takes keys.

use std::fmt;

use serde_json::json;

use super::key::{HEADER, Key, LONGEST, Marks, Told};
use super::{Idempotency, Once};
use crate::auth::Caller;
use crate::http::{Extract, FromRef, Operation, Problem, Request, WholeBody, problem};

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
        let about = "Makes sending again safe: the same request with the same key is done once, \
                     and its first 2xx or 409 is given again for 24 hours.";
        let schema =
            json!({"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!-~]+$"});
        operation.reads_header(HEADER, about, schema);
        operation.reads_idempotency_key();
        operation.may_answer(problem::VALIDATION_FAILED);
        operation.may_answer(problem::IDEMPOTENCY_CONFLICT);
    }

    async fn extract(request: &mut Request, state: &S) -> Result<Self, Problem> {
        let read = B::read(request).await;
        let ((body, bytes), key) = match (read, Key::of(&request.parts.headers)) {
            (Ok(read), Ok(key)) => (read, key),
            (Err(body), Err(key)) => return Err(body.and(&key)),
            (Err(problem), Ok(_)) | (Ok(_), Err(problem)) => return Err(problem),
        };
        let idempotency = Idempotency::from_ref(state);
        let marks = match key {
            None => None,
            Some(key) => {
                let caller = Caller::of(request)?.to_string();
                let parts = &request.parts;
                let told = Told {
                    caller: &caller,
                    key: &key,
                    method: parts.method.as_str(),
                    target: parts.uri.path_and_query().map_or("", |target| target.as_str()),
                    body: &bytes,
                };
                Some(Marks::of(&idempotency.0.fingerprints, &told))
            }
        };
        Ok(Self { body, once: Once::new(idempotency, marks) })
    }
}
