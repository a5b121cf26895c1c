//! The caller of a request, as the policy found it.

use std::borrow::Cow;
use std::fmt;

use super::{KeyId, SessionId};
use crate::http::{Extract, Operation, Problem, Request};
use crate::id::Id;

/// What an [`AccountId`] names: somebody who can sign in.
#[derive(Debug, Clone, Copy)]
pub enum Account {}

/// The id of an account.
pub type AccountId = Id<Account>;

/// What a caller is allowed by its station, such as `customer` or `operator`; the service says
/// which there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role(Cow<'static, str>);

impl Role {
    /// Names a role of the service.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    pub(super) fn stored(name: String) -> Self {
        Self(Cow::Owned(name))
    }

    /// Returns the role's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who asks: an account by one of its sessions or API keys, or the machine operator, which has no account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub(super) account: Option<AccountId>,
    pub(super) session: Option<SessionId>,
    pub(super) key: Option<KeyId>,
    pub(super) role: Role,
}

impl Caller {
    /// Returns the caller's account; the machine operator has none.
    pub fn account(&self) -> Option<AccountId> {
        self.account
    }

    /// Returns the API key that the request was made with, if that is how the account proved itself.
    pub fn key(&self) -> Option<KeyId> {
        self.key
    }

    /// Returns the caller that the policy of the request's route let through.
    pub(crate) fn of(request: &Request) -> Result<&Self, Problem> {
        found(request)
    }

    /// Tells whether the caller has `role`.
    pub fn is(&self, role: &Role) -> bool {
        self.role == *role
    }
}

impl fmt::Display for Caller {
    /// Writes the caller as logs and histories name it: the account's id, or `api_key`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account {
            Some(account) => account.fmt(out),
            None => out.write_str("api_key"),
        }
    }
}

/// A caller that is an account: what routes under an account's policy are handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountCaller(pub AccountId);

/// A caller that is signed in by a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCaller {
    /// The account.
    pub account: AccountId,
    /// The session that the request was made with.
    pub session: SessionId,
}

/// The route's policy admits callers that are not what its handler asks for.
#[derive(Debug, thiserror::Error)]
#[error("the route's policy does not provide the caller that its handler asks for")]
struct PolicyMismatch;

fn found(request: &Request) -> Result<&Caller, Problem> {
    request.parts.extensions.get::<Caller>().ok_or_else(|| Problem::internal(PolicyMismatch))
}

impl<S: Sync> Extract<S> for Caller {
    fn describe(_: &mut Operation) {}

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        found(request).cloned()
    }
}

impl<S: Sync> Extract<S> for AccountCaller {
    fn describe(_: &mut Operation) {}

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        let account = found(request)?.account.ok_or_else(|| Problem::internal(PolicyMismatch))?;
        Ok(Self(account))
    }
}

impl<S: Sync> Extract<S> for SessionCaller {
    fn describe(_: &mut Operation) {}

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        let caller = found(request)?;
        match (caller.account, caller.session) {
            (Some(account), Some(session)) => Ok(Self { account, session }),
            _ => Err(Problem::internal(PolicyMismatch)),
        }
    }
}
