//! Handlers: plain functions whose argument types say what they read and whose result says what
//! they answer. The same types make the OpenAPI document, so that it cannot drift from the code.

use std::future::Future;

use super::{Operation, Problem, Request, Response};

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
    ///
    /// # Errors
    ///
    /// A value that cannot be written is a failure of ours.
    fn into_response(self) -> Result<Response, Problem>;
}

/// An async function of up to six [`Extract`] arguments that returns `Result<impl Answer, Problem>`.
pub trait Handler<Arguments, S>: Send + Sync + 'static {
    /// Adds what the function reads and answers to `operation`.
    fn describe(operation: &mut Operation);

    /// Reads the arguments, calls the function, and writes its answer.
    fn call(
        &self,
        request: Request,
        state: &S,
    ) -> impl Future<Output = Result<Response, Problem>> + Send;
}

/// Asks for a part of the service's state.
#[derive(Debug, Clone, Copy)]
pub struct State<T>(pub T);

impl<S, T> Extract<S> for State<T>
where
    T: FromRef<S> + Send,
    S: Sync,
{
    fn describe(_: &mut Operation) {}

    async fn extract(_: &mut Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(T::from_ref(state)))
    }
}

/// A part that can be had from the whole `S`, such as the database from a service's state.
pub trait FromRef<S> {
    /// Returns the part.
    fn from_ref(whole: &S) -> Self;
}

impl<S: Clone> FromRef<S> for S {
    fn from_ref(whole: &S) -> Self {
        whole.clone()
    }
}

macro_rules! handler {
    ($($argument:ident $value:ident),*) => {
        impl<F, Fut, R, S, $($argument),*> Handler<($($argument,)*), S> for F
        where
            F: Fn($($argument),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<R, Problem>> + Send,
            R: Answer,
            S: Send + Sync + 'static,
            $($argument: Extract<S>,)*
        {
            fn describe(operation: &mut Operation) {
                R::describe(operation);
                $( $argument::describe(operation); )*
            }

            async fn call(&self, mut request: Request, state: &S) -> Result<Response, Problem> {
                $( let $value = $argument::extract(&mut request, state).await; )*
                match ($($value,)*) {
                    ($(Ok($value),)*) => self($($value),*).await?.into_response(),
                    ($($value,)*) => {
                        let problems: [Option<Problem>; _] = [$($value.err()),*];
                        Err(first(problems))
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

impl<F, Fut, R, S> Handler<(), S> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, Problem>> + Send,
    R: Answer,
    S: Send + Sync + 'static,
{
    fn describe(operation: &mut Operation) {
        R::describe(operation);
    }

    async fn call(&self, _: Request, _: &S) -> Result<Response, Problem> {
        self().await?.into_response()
    }
}

handler!(A1 a1);
handler!(A1 a1, A2 a2);
handler!(A1 a1, A2 a2, A3 a3);
handler!(A1 a1, A2 a2, A3 a3, A4 a4);
handler!(A1 a1, A2 a2, A3 a3, A4 a4, A5 a5);
handler!(A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6);
