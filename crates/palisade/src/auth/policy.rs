//! Policies for callers with credentials: read the bearer token, find the caller, decide.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::request::Parts;

use super::recent::Recent;
use super::{Caller, Role, sessions};
use crate::clock::Clock;
use crate::config::Reader;
use crate::crypto::{Token, TokenKind};
use crate::db::Db;
use crate::http::{AccountBudget, Admission, Audience, FromRef, Policy, Problem};
use crate::secret::{Secret, register};

crate::settings! {
    /// How long a sign-in lasts.
    pub struct SessionsSection in "sessions" checked by idle_fits_into_absolute {
        /// A session ends after so long without a request.
        pub idle: Duration = Duration::from_secs(30 * 60),
            in Duration::from_secs(60)..=Duration::from_secs(24 * 3600);
        /// A session ends so long after sign-in, whatever happens.
        pub absolute: Duration = Duration::from_secs(12 * 3600),
            in Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);
    }
}

fn idle_fits_into_absolute(sessions: &SessionsSection, reader: &mut Reader) {
    if sessions.idle > sessions.absolute {
        let expected = "at most what sessions.absolute says";
        reader.refuse_beside("sessions", "idle", "absolute", expected);
    }
}

/// How callers prove themselves.
#[derive(Debug)]
pub struct AuthSettings {
    /// The prefix that marks the service's session tokens.
    pub session_tokens: TokenKind,
    /// A session ends after so long without a request (NIST SP 800-63B-4, section 2.2.3).
    pub idle: Duration,
    /// A session ends so long after sign-in, whatever happens.
    pub absolute: Duration,
    /// The machine operator's keys: the current one and, during a rotation, the previous one.
    pub machine_keys: Vec<Secret<String>>,
    /// The role that the machine operator's key has.
    pub machine_role: Role,
}

/// Finds out who calls; policies ask it.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
    settings: AuthSettings,
    recent: Recent,
}

impl fmt::Debug for Auth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Auth({:?})", self.0.settings.session_tokens)
    }
}

impl Auth {
    /// Reads sessions from `db` and times from `clock`. From now on the log holds neither a token
    /// of the service nor a machine operator's key.
    pub fn new(db: Db, clock: Arc<dyn Clock>, settings: AuthSettings) -> Self {
        settings.session_tokens.keep_out_of_the_log();
        for key in &settings.machine_keys {
            // What is too short is for the check of the deployment to report.
            register(key).ok();
        }
        Self(Arc::new(Inner { db, clock, settings, recent: Recent::default() }))
    }

    /// Returns how sessions are kept.
    pub fn settings(&self) -> &AuthSettings {
        &self.0.settings
    }

    /// Returns the caller that the request's one bearer token proves.
    async fn authenticate(&self, parts: &Parts) -> Result<Caller, Problem> {
        let bearer = bearer_token(parts).ok_or_else(Problem::unauthenticated)?;
        let settings = &self.0.settings;
        // Every key is compared, so that the time does not tell which one was near.
        let is_machine = settings
            .machine_keys
            .iter()
            .fold(false, |found, key| key.matches(bearer.as_bytes()) | found);
        if is_machine {
            let role = settings.machine_role.clone();
            return Ok(Caller { account: None, session: None, role });
        }
        let token = Token::parse(settings.session_tokens, bearer);
        let token = token.ok_or_else(Problem::unauthenticated)?;
        let session = sessions::find(
            &self.0.db,
            (&self.0.clock, &self.0.recent),
            token.hash(),
            settings.idle,
        )
        .await?
        .ok_or_else(Problem::unauthenticated)?;
        Ok(Caller { account: Some(session.account), session: Some(session.id), role: session.role })
    }
}

/// Lets an account through that is signed in by a session.
pub fn session() -> Signed {
    Signed { who: "signed-in account, by a session", needs: Needs::Account, scope: None }
}

/// Lets any account through.
pub fn account(scope: &'static str) -> Signed {
    Signed { who: "signed-in account", needs: Needs::Account, scope: Some(scope) }
}

/// Lets any caller through: which things it sees is decided thing by thing, as `who` says.
pub fn caller(who: &'static str, scope: &'static str) -> Signed {
    Signed { who, needs: Needs::Credential, scope: Some(scope) }
}

/// Lets callers with `role` through.
pub fn role(role: &'static Role, scope: &'static str) -> Signed {
    Signed { who: role.as_str(), needs: Needs::Role(role), scope: Some(scope) }
}

/// A policy that lets callers with a credential through; made by [`session`], [`account`],
/// [`caller()`] and [`role`].
#[derive(Debug, Clone, Copy)]
pub struct Signed {
    who: &'static str,
    needs: Needs,
    scope: Option<&'static str>,
}

/// What a caller must be.
#[derive(Debug, Clone, Copy)]
enum Needs {
    Credential,
    Account,
    Role(&'static Role),
}

impl<S> Policy<S> for Signed
where
    Auth: FromRef<S>,
    S: Sync,
{
    fn audience(&self) -> Audience {
        let may_forbid = !matches!(self.needs, Needs::Credential);
        Audience { who: self.who, scope: self.scope, needs_credential: true, may_forbid }
    }

    fn admit<'a>(
        &'a self,
        parts: &'a mut Parts,
        state: &'a S,
        budget: &'a AccountBudget,
    ) -> Admission<'a> {
        Admission::when(async move {
            let auth = Auth::from_ref(state);
            let caller = auth.authenticate(parts).await?;
            if let Some(account) = caller.account {
                budget.spend(account.as_u128())?;
            }
            let is_let_through = match self.needs {
                Needs::Credential => true,
                Needs::Account => caller.account.is_some(),
                Needs::Role(role) => caller.is(role),
            };
            if !is_let_through {
                return Err(Problem::forbidden());
            }
            parts.extensions.insert(caller);
            Ok(())
        })
    }
}

/// Returns the token of the one `Authorization: Bearer` header (RFC 6750, section 2.1).
fn bearer_token(parts: &Parts) -> Option<&str> {
    let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else { return None };
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}
