//! Policies for callers with credentials: read the bearer token, find the caller, decide.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::request::Parts;

use super::recent::Recent;
use super::{ApiKey, Caller, Role, Scopes, Session, keys, sessions};
use crate::clock::Clock;
use crate::config::Reader;
use crate::crypto::{Token, TokenKind};
use crate::db::Db;
use crate::http::{AccountBudget, Admission, Audience, FromRef, Policy, Problem, problem};
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
    /// The prefix that marks the API keys of accounts.
    pub api_keys: TokenKind,
    /// A session ends after so long without a request (NIST SP 800-63B-4, section 2.2.3).
    pub idle: Duration,
    /// A session ends so long after sign-in, whatever happens.
    pub absolute: Duration,
    /// The machine operator's keys: the current one and, during a rotation, the previous one.
    pub machine_keys: Vec<Secret<String>>,
    /// The role that the machine operator's key has.
    pub machine_role: Role,
    /// The roles whose sessions can do nothing without a second factor but get one.
    pub second_factor_for: Vec<Role>,
}

/// Finds out who calls; policies ask it.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
    settings: AuthSettings,
    sessions: Recent<Session>,
    keys: Recent<ApiKey>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Auth({:?})", self.0.settings.session_tokens)
    }
}

/// What a request's credential is.
enum Credential {
    /// The machine operator's key.
    Machine,
    /// A session of an account.
    Session(Session),
    /// An API key of an account.
    Key(ApiKey),
}

impl Auth {
    /// Reads sessions and keys from `db` and times from `clock`. From now on the log holds neither
    /// a token of the service nor a machine operator's key.
    pub fn new(db: Db, clock: Arc<dyn Clock>, settings: AuthSettings) -> Self {
        settings.session_tokens.keep_out_of_the_log();
        settings.api_keys.keep_out_of_the_log();
        for key in &settings.machine_keys {
            // What is too short is for the check of the deployment to report.
            register(key).ok();
        }
        let (sessions, keys) = (Recent::default(), Recent::default());
        Self(Arc::new(Inner { db, clock, settings, sessions, keys }))
    }

    /// Returns how callers prove themselves.
    pub fn settings(&self) -> &AuthSettings {
        &self.0.settings
    }

    /// Returns what the request's one bearer token is.
    async fn authenticate(&self, parts: &Parts) -> Result<Credential, Problem> {
        let bearer = bearer_token(parts).ok_or_else(Problem::unauthenticated)?;
        let Inner { db, clock, settings, sessions, keys } = &*self.0;
        // Every key is compared, so that the time does not tell which one was near.
        let is_machine = settings
            .machine_keys
            .iter()
            .fold(false, |found, key| key.matches(bearer.as_bytes()) | found);
        if is_machine {
            return Ok(Credential::Machine);
        }
        let found = if let Some(token) = Token::parse(settings.session_tokens, bearer) {
            let found = sessions::find(db, (clock, sessions), token.hash(), settings.idle).await?;
            found.map(Credential::Session)
        } else if let Some(token) = Token::parse(settings.api_keys, bearer) {
            keys::find(db, (clock, keys), token.hash()).await?.map(Credential::Key)
        } else {
            None
        };
        found.ok_or_else(Problem::unauthenticated)
    }
}

impl Credential {
    fn caller(&self, settings: &AuthSettings) -> Caller {
        match self {
            Self::Machine => {
                let role = settings.machine_role.clone();
                Caller { account: None, session: None, key: None, role }
            }
            Self::Session(Session { id, account, role, .. }) => {
                let role = role.clone();
                Caller { account: Some(*account), session: Some(*id), key: None, role }
            }
            Self::Key(ApiKey { id, account, role, .. }) => {
                let role = role.clone();
                Caller { account: Some(*account), session: None, key: Some(*id), role }
            }
        }
    }

    /// Returns the scopes to which the credential is limited.
    fn limits(&self) -> Option<&Scopes> {
        match self {
            Self::Machine | Self::Session(_) => None,
            Self::Key(key) => Some(&key.scopes),
        }
    }
}

/// Lets an account through that is signed in by a session.
pub fn session() -> Signed {
    Signed::new("signed-in account, by a session", Needs::Session, None)
}

/// Lets any account through, by a session or by an API key with `scope`.
pub fn account(scope: &'static str) -> Signed {
    Signed::new("signed-in account", Needs::Account, Some(scope))
}

/// Lets any caller through, an API key only with `scope`: which things it sees is decided thing by
/// thing, as `who` says.
pub fn caller(who: &'static str, scope: &'static str) -> Signed {
    Signed::new(who, Needs::Credential, Some(scope))
}

/// Lets callers with `role` through, an API key only with `scope`.
pub fn role(role: &'static Role, scope: &'static str) -> Signed {
    Signed::new(role.as_str(), Needs::Role(role), Some(scope))
}

/// A policy that lets callers with a credential through; made by [`session`], [`account`],
/// [`caller()`] and [`role`].
#[derive(Debug, Clone, Copy)]
pub struct Signed {
    who: &'static str,
    needs: Needs,
    scope: Option<&'static str>,
    is_proof_needed: bool,
    is_factor_needed: bool,
}

/// What a caller must be.
#[derive(Debug, Clone, Copy)]
enum Needs {
    Credential,
    Account,
    Session,
    Role(&'static Role),
}

impl Signed {
    fn new(who: &'static str, needs: Needs, scope: Option<&'static str>) -> Self {
        Self { who, needs, scope, is_proof_needed: false, is_factor_needed: true }
    }

    /// Refuses a session whose account has not proved itself for ten minutes, with 403
    /// `step_up_required`: for what could take an account over (ASVS 5.0, 7.5.1).
    #[must_use]
    pub fn proved_recently(self) -> Self {
        Self { is_proof_needed: true, ..self }
    }

    /// Also lets a session through whose role needs a second factor and which has none: for the
    /// ways to get one, and to sign out.
    #[must_use]
    pub fn even_without_second_factor(self) -> Self {
        Self { is_factor_needed: false, ..self }
    }

    fn lets_through(&self, credential: &Credential, caller: &Caller) -> bool {
        let is_it = match self.needs {
            Needs::Credential => true,
            Needs::Account => caller.account.is_some(),
            Needs::Session => caller.session.is_some(),
            Needs::Role(role) => caller.is(role),
        };
        let is_in_scope =
            credential.limits().is_none_or(|scopes| self.scope.is_some_and(|it| scopes.has(it)));
        is_it && is_in_scope
    }

    /// Judges what a session's account has proved.
    fn judge_proof(&self, auth: &Auth, session: &Session) -> Result<(), Problem> {
        let Inner { clock, settings, .. } = &*auth.0;
        let is_factor_missing = self.is_factor_needed
            && !session.proof.has_second_factor
            && settings.second_factor_for.contains(&session.role);
        if is_factor_missing {
            return Err(Problem::forbidden().detail(WITHOUT_FACTOR));
        }
        if self.is_proof_needed && !session.proof.is_recent(clock.now()) {
            return Err(Problem::new(problem::STEP_UP_REQUIRED));
        }
        Ok(())
    }
}

const WITHOUT_FACTOR: &str = "Accounts of this role need a second factor: get one, then sign in \
                              with it.";

impl<S> Policy<S> for Signed
where
    Auth: FromRef<S>,
    S: Sync,
{
    fn audience(&self) -> Audience {
        // A key may always lack the scope, and a session the second factor.
        Audience {
            who: self.who,
            scope: self.scope,
            needs_credential: true,
            may_forbid: true,
            may_ask_for_proof: self.is_proof_needed,
        }
    }

    fn admit<'a>(
        &'a self,
        parts: &'a mut Parts,
        state: &'a S,
        budget: &'a AccountBudget,
    ) -> Admission<'a> {
        Admission::when(async move {
            let auth = Auth::from_ref(state);
            let credential = auth.authenticate(parts).await?;
            let caller = credential.caller(&auth.0.settings);
            if let Some(account) = caller.account {
                budget.spend(account.as_u128())?;
            }
            if !self.lets_through(&credential, &caller) {
                return Err(Problem::forbidden());
            }
            if let Credential::Session(session) = &credential {
                self.judge_proof(&auth, session)?;
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
