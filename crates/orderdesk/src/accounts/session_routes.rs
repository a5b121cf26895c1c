//! Sessions over HTTP: signing in and out, proving oneself again.

use std::sync::Arc;

use palisade::auth::{self, Session, SessionCaller};
use palisade::crypto::GivenPassword;
use palisade::http::problem::AUTHENTICATION_FAILED;
use palisade::http::{
    Anyone, Api, Body, ClientAddress, Created, Json, NoContent, Page, PathId, Problem, Route, State,
};
use palisade::secret::Secret;
use palisade::{body, view};
use serde_json::json;
use tracing::field::display;

use super::GivenUsername;
use super::actions::{self, Accounts};
use super::credentials::{self, ChangeError};
use super::proof::{Claim, Claimed, ProofError};
use super::routes::{Limiters, hash_problem};
use super::second_factor::Code;
use super::tokens::{DeviceToken, GivenReset, SessionToken};
use crate::audit::By;
use crate::state::AppState;
use palisade::crypto::Password;

body! {
    /// What somebody sends to sign in.
    pub struct SignIn {
        /// The name of the account.
        pub username: GivenUsername,
        /// Its password.
        pub password: GivenPassword,
        /// A code of its second factor, if it has one: of the app, or a recovery code.
        pub code: Option<Code>,
        /// The token of an earlier sign-in from this device.
        pub device_token: Option<DeviceToken>,
    }
}

body! {
    /// What somebody who is signed in sends to prove it again.
    pub struct StepUp {
        /// The account's password.
        pub password: GivenPassword,
        /// A code of its second factor, if it has one: of the app, or a recovery code.
        pub code: Option<Code>,
    }
}

body! {
    /// A password and the one in its place.
    pub struct ChangePassword {
        /// The password up to now.
        pub current: GivenPassword,
        /// The password from now on.
        pub new: Password,
    }
}

body! {
    /// A new password, chosen by a token that an operator made.
    pub struct ResetPassword {
        /// The token.
        pub token: GivenReset,
        /// The password from now on.
        pub new: Password,
    }
}

view! {
    /// A fresh session. The tokens are shown only here.
    pub struct SignedInView {
        /// What to send as the bearer token.
        pub token: SessionToken,
        /// When the session ends at the latest.
        pub expires_at: palisade::clock::Timestamp,
        /// What this device may send with its next sign-in, so that strangers' wrong guesses do
        /// not get in its way.
        pub device_token: DeviceToken,
    }
}

view! {
    /// An open session.
    pub struct SessionView {
        /// Names the session; it is not its token.
        pub id: palisade::auth::SessionId,
        /// When the account signed in.
        pub created_at: palisade::clock::Timestamp,
        /// When the session was last used, to about a minute.
        pub last_used_at: palisade::clock::Timestamp,
        /// When it ends at the latest.
        pub expires_at: palisade::clock::Timestamp,
        /// Whether this request was made with it.
        pub current: bool,
    }
}

/// Returns the routes of sessions and passwords.
pub(super) fn routes(limiters: &Limiters) -> Api<AppState> {
    // What computes a hash for somebody who is not known yet has one limit for all of it.
    let login = || Arc::clone(&limiters.login);
    Api::new()
        .route(
            Route::post("/sessions", "signIn")
                .limited_by("login", login())
                .about("Opens a session.")
                .tagged("sessions")
                .example(json!({"username": "ada", "password": "correct horse battery staple"}))
                .refuses(AUTHENTICATION_FAILED)
                .policy(Anyone)
                .handle(sign_in),
        )
        .route(
            Route::get("/sessions", "listSessions")
                .about("Lists the caller's open sessions, newest first.")
                .tagged("sessions")
                .policy(auth::session())
                .handle(list_sessions),
        )
        .route(
            Route::delete("/sessions/current", "signOut")
                .about("Ends the session that the request is made with.")
                .tagged("sessions")
                .policy(auth::session().even_without_second_factor())
                .handle(sign_out),
        )
        .route(
            Route::delete("/sessions/{id}", "endSession")
                .about("Ends one of the caller's sessions.")
                .tagged("sessions")
                .policy(auth::session())
                .handle(end_session),
        )
        .route(
            Route::post("/sessions/current/step-up", "stepUp")
                .limited_by("login", login())
                .about(
                    "Proves again whose session it is, for ten minutes: what could take the account \
                     over asks for that with 403 `step_up_required`.",
                )
                .tagged("sessions")
                .example(json!({"password": "correct horse battery staple"}))
                .policy(auth::session().even_without_second_factor())
                .handle(step_up),
        )
        .merge(password_routes(limiters))
}

fn password_routes(limiters: &Limiters) -> Api<AppState> {
    Api::new()
        .route(
            Route::put("/users/me/password", "changePassword")
                .limited_by("login", Arc::clone(&limiters.login))
                .about("Changes the caller's password, and ends its other sessions.")
                .tagged("accounts")
                .example(json!({
                    "current": "correct horse battery staple",
                    "new": "an even longer horse battery",
                }))
                .policy(auth::session().proved_recently())
                .handle(change_password),
        )
        .route(
            Route::post("/password-resets", "resetPassword")
                .limited_by("login", Arc::clone(&limiters.login))
                .about(
                    "Chooses a new password by a token that an operator made, and ends the account's \
                     sessions and API keys.",
                )
                .tagged("accounts")
                .example(json!({
                    "token": "odr_4FjwHLU1cWkQ0yPz3mR7vBn9aTqXe2oDsKgIu6hYlMc000000",
                    "new": "an even longer horse battery",
                }))
                .refuses(AUTHENTICATION_FAILED)
                .policy(Anyone)
                .handle(reset_password),
        )
}

async fn sign_in(
    State(accounts): State<Accounts>,
    client: ClientAddress,
    Body(body): Body<SignIn>,
) -> Result<Created<SignedInView>, Problem> {
    let SignIn { username, password, code, device_token } = body;
    let device = device_token.map(|token| token.expose().to_owned());
    let username = username.into_username();
    let pseudonym = username.as_ref().map(|name| accounts.pseudonyms.of(name.as_str()));
    let claim = Claim { who: Claimed::Named(username, device), password, code, client };
    let signed_in = credentials::sign_in(&accounts, claim).await;
    if let Err(ProofError::Refused(why)) = &signed_in {
        let (account, reason) = (pseudonym.map(display), why.word());
        tracing::info!(account, reason, "sign-in refused");
        accounts.refusals.count(why.word());
    }
    let (session, token) = signed_in?;
    let device_token = accounts.throttle.device_token(session.account);
    Ok(Created {
        location: "/sessions/current".into(),
        body: SignedInView {
            token: SessionToken::new(&token),
            expires_at: session.expires_at,
            device_token: DeviceToken::new(Secret::new(device_token)),
        },
    })
}

async fn list_sessions(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
) -> Result<Json<Page<SessionView>>, Problem> {
    let sessions = actions::sessions(&accounts, caller.account).await?;
    let items = sessions.into_iter().map(|session| session_view(&session, &caller)).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

fn session_view(session: &Session, caller: &SessionCaller) -> SessionView {
    SessionView {
        id: session.id,
        created_at: session.created_at,
        last_used_at: session.seen_at,
        expires_at: session.expires_at,
        current: session.id == caller.session,
    }
}

async fn sign_out(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
    by: By,
) -> Result<NoContent, Problem> {
    actions::sign_out(&accounts.registry, caller.account, caller.session, by).await?;
    Ok(NoContent)
}

async fn end_session(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
    by: By,
    PathId(id): PathId<Session>,
) -> Result<NoContent, Problem> {
    match actions::sign_out(&accounts.registry, caller.account, id, by).await? {
        true => Ok(NoContent),
        false => Err(Problem::not_found()),
    }
}

async fn step_up(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
    client: ClientAddress,
    Body(body): Body<StepUp>,
) -> Result<NoContent, Problem> {
    let StepUp { password, code } = body;
    let proved = credentials::step_up(&accounts, caller, (password, code), client).await;
    count_refusal(&accounts, proved.as_ref().err());
    proved?;
    Ok(NoContent)
}

async fn change_password(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
    client: ClientAddress,
    Body(body): Body<ChangePassword>,
) -> Result<NoContent, Problem> {
    let ChangePassword { current, new } = body;
    let changed = credentials::change_password(&accounts, caller, (current, new), client).await;
    if let Err(ChangeError::Proof(refused)) = &changed {
        count_refusal(&accounts, Some(refused));
    }
    changed?;
    tracing::info!(account.id = %caller.account, "a password was changed");
    Ok(NoContent)
}

async fn reset_password(
    State(accounts): State<Accounts>,
    by: By,
    Body(body): Body<ResetPassword>,
) -> Result<NoContent, Problem> {
    let ResetPassword { token, new } = body;
    let account = credentials::reset_password(&accounts, token.into_token(), new, by).await?;
    tracing::info!(account.id = %account, "a password was reset");
    Ok(NoContent)
}

fn count_refusal(accounts: &Accounts, refused: Option<&ProofError>) {
    if let Some(ProofError::Refused(why)) = refused {
        accounts.refusals.count(why.word());
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Refused(_) => Self::unauthenticated(),
            ProofError::TooManyGuesses(wait) => Self::rate_limited(wait),
            ProofError::Corrupt(error) => Self::internal(error),
            ProofError::Hash(error) => hash_problem(error),
            ProofError::Seal(error) => Self::internal(error),
            ProofError::Db(error) => error.into(),
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Proof(error) => error.into(),
            ChangeError::Password(why) => Self::invalid_value("/new", why),
        }
    }
}
