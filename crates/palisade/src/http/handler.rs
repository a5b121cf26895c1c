//! Handlers: plain functions whose argument types say what they read and whose result says what
//! they answer. The same types make the OpenAPI document, so that it cannot drift from the code.

use std::future::Future;

use axum::response::{IntoResponse, Response};

use super::{Operation, Problem, Request};

/// An argument of a handler, read from the request.
///
/// All arguments are read before the handler runs, and if several cannot be, the answer is that
/// of the check that comes first: media type and size, form, existence.
pub trait Extract<S>: Sized + Send {
    /// Adds to `operation` what the argument needs and which answers its refusal has.
    fn describe(operation: &mut Operation);

    /// Reads the argument.
    fn extract(
        request: &mut Request,
        state: &S,
    ) -> impl Future<Output = Result<Self, Problem>> + Send;
}

/// What a handler answers when all went well.
pub trait Answer {
    /// Adds the answer to `operation`.
    fn describe(operation: &mut Operation);

    /// Writes the answer.
    fn into_response(self) -> Response;
}

/// An async function of up to six [`Extract`] arguments that returns `Result<impl Answer, Problem>`.
pub trait Handler<Arguments, S>: Clone + Send + Sync + 'static {
    /// Adds what the function reads and answers to `operation`.
    fn describe(operation: &mut Operation);

    /// Reads the arguments, calls the function, and writes its answer.
    fn call(self, request: Request, state: S) -> impl Future<Output = Response> + Send;
}

/// Asks for a part of the service's state.
#[derive(Debug, Clone, Copy)]
pub struct State<T>(pub T);

impl<S, T> Extract<S> for State<T>
where
    T: axum::extract::FromRef<S> + Send,
    S: Sync,
{
    fn describe(_: &mut Operation) {}

    async fn extract(_: &mut Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(T::from_ref(state)))
    }
}

macro_rules! handler {
    ($($argument:ident $value:ident),*) => {
        impl<F, Fut, R, S, $($argument),*> Handler<($($argument,)*), S> for F
        where
            F: Fn($($argument),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Result<R, Problem>> + Send,
            R: Answer,
            S: Send + Sync + 'static,
            $($argument: Extract<S>,)*
        {
            fn describe(operation: &mut Operation) {
                R::describe(operation);
                $( $argument::describe(operation); )*
            }

            async fn call(self, mut request: Request, state: S) -> Response {
                $( let $value = $argument::extract(&mut request, &state).await; )*
                match ($($value,)*) {
                    ($(Ok($value),)*) => match self($($value),*).await {
                        Ok(answer) => answer.into_response(),
                        Err(problem) => problem.into_response(),
                    },
                    ($($value,)*) => {
                        let problems: [Option<Problem>; _] = [$($value.err()),*];
                        first(problems).into_response()
                    }
                }
            }
        }
    };
}

fn first<const N: usize>(problems: [Option<Problem>; N]) -> Problem {
    let found = problems.into_iter().flatten().min_by_key(Problem::rank);
    found.unwrap_or_else(|| Problem::new(super::problem::INTERNAL))
}

handler!(A1 a1);
handler!(A1 a1, A2 a2);
handler!(A1 a1, A2 a2, A3 a3);
handler!(A1 a1, A2 a2, A3 a3, A4 a4);
handler!(A1 a1, A2 a2, A3 a3, A4 a4, A5 a5);
handler!(A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6);
