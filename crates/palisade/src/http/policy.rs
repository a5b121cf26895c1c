//! Who may call a route: stated where the route is registered, checked before anything is read.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::request::Parts;

use super::{AccountBudget, Problem};

/// Decides who may call a route, asking the service's state `S` about credentials.
/// [`crate::auth`] has the policies for callers that show one.
pub trait Policy<S>: Send + Sync + 'static {
    /// Says in words and for the OpenAPI document whom the policy lets through.
    fn audience(&self) -> Audience;

    /// Lets the request through, adding to it who the caller is, or refuses it. Once an account is
    /// known, its request is taken from `budget`.
    fn admit<'a>(
        &'a self,
        parts: &'a mut Parts,
        state: &'a S,
        budget: &'a AccountBudget,
    ) -> Admission<'a>;
}

/// The decision of a [`Policy`], made or pending.
pub struct Admission<'a>(Decision<'a>);

enum Decision<'a> {
    Made(Result<(), Problem>),
    Pending(Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>>),
}

impl<'a> Admission<'a> {
    /// Lets the request through at once.
    pub fn granted() -> Self {
        Self(Decision::Made(Ok(())))
    }

    /// Refuses the request at once.
    pub fn refused(why: Problem) -> Self {
        Self(Decision::Made(Err(why)))
    }

    /// Decides when `asking` is done.
    pub fn when(asking: impl Future<Output = Result<(), Problem>> + Send + 'a) -> Self {
        Self(Decision::Pending(Box::pin(asking)))
    }
}

impl fmt::Debug for Admission<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            Decision::Made(_) => "Admission(made)",
            Decision::Pending(_) => "Admission(pending)",
        })
    }
}

impl Future for Admission<'_> {
    type Output = Result<(), Problem>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Decision::Made(decision) => Poll::Ready(decision.clone()),
            Decision::Pending(asking) => asking.as_mut().poll(context),
        }
    }
}

/// Whom a policy lets through.
#[derive(Debug, Clone)]
pub struct Audience {
    /// For people: `anyone`, `operator`, `owner or operator`.
    pub who: &'static str,
    /// The scope that an API key needs.
    pub scope: Option<&'static str>,
    /// Whether a credential must be sent; if so the route may answer 401.
    pub needs_credential: bool,
    /// Whether a known caller may be refused; if so the route may answer 403.
    pub may_forbid: bool,
    /// Whether a caller may be asked to prove itself again; if so the route may answer 403
    /// `step_up_required`.
    pub may_ask_for_proof: bool,
}

impl fmt::Display for Audience {
    /// Writes whom, `, step-up` if a proof must be recent, and the scope in brackets.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.who)?;
        if self.may_ask_for_proof {
            out.write_str(", step-up")?;
        }
        self.scope.map_or(Ok(()), |scope| write!(out, " ({scope})"))
    }
}

/// Lets everybody through and looks at no credential.
#[derive(Debug, Clone, Copy)]
pub struct Anyone;

impl<S> Policy<S> for Anyone {
    fn audience(&self) -> Audience {
        Audience {
            who: "anyone",
            scope: None,
            needs_credential: false,
            may_forbid: false,
            may_ask_for_proof: false,
        }
    }

    fn admit<'a>(&'a self, _: &'a mut Parts, _: &'a S, _: &'a AccountBudget) -> Admission<'a> {
        Admission::granted()
    }
}
