//! Accounts and sessions over HTTP.

use std::sync::Arc;

use palisade::auth::{self, AccountCaller, AccountId, Session, SessionCaller};
use palisade::crypto::{GivenPassword, HashError};
use palisade::http::{
    Anyone, Api, Body, Created, Json, Kind, NoContent, Page, PathId, Problem, Query, RateLimiter,
    Route, State,
};
use palisade::{body, view};
use serde_json::json;
use tracing::field::display;

use super::actions::{self, Accounts, CreateError, NewAccount, SignInError};
use super::tokens::{DeviceToken, SessionToken};
use super::wire::SignUp;
use super::{Account, AccountView, GivenUsername, OPERATOR, Role};
use crate::config::SignUpMode;
use crate::paging::{Cursors, ListQuery};
use crate::state::AppState;

/// The username belongs to somebody else. Choose another.
pub const USERNAME_TAKEN: &Kind = &Kind {
    code: "username_taken",
    status: 409,
    title: "The username is taken.",
    about: "Another account has this username, or it was given to one before. Choose another.",
};

body! {
    /// What somebody sends to sign in.
    pub struct SignIn {
        /// The name of the account.
        pub username: GivenUsername,
        /// Its password.
        pub password: GivenPassword,
        /// The token of an earlier sign-in from this device.
        pub device_token: Option<DeviceToken>,
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

/// The limits of single routes.
#[derive(Debug, Clone)]
pub struct Limiters {
    /// Accounts opened from one address.
    pub sign_up: Arc<RateLimiter>,
    /// Sign-ins from one address.
    pub login: Arc<RateLimiter>,
}

/// Returns the routes of accounts and sessions.
pub fn routes(mode: SignUpMode, limiters: &Limiters) -> Api<AppState> {
    let sign_up = Route::post("/users", "signUp")
        .limited_by("sign_up", Arc::clone(&limiters.sign_up))
        .about("Opens an account.")
        .tagged("accounts")
        .example(json!({
            "username": "ada",
            "email": "ada@example.com",
            "password": "correct horse battery staple",
        }))
        .refuses(USERNAME_TAKEN)
        .links_to("readAccount");
    let sign_up = match mode {
        SignUpMode::Open => sign_up.policy(Anyone),
        SignUpMode::Closed => sign_up.policy(auth::role(&OPERATOR, "accounts:write")),
    };
    let sign_in = Route::post("/sessions", "signIn")
        .limited_by("login", Arc::clone(&limiters.login))
        .about("Opens a session.")
        .tagged("sessions")
        .example(json!({"username": "ada", "password": "correct horse battery staple"}))
        .refuses(palisade::http::problem::AUTHENTICATION_FAILED)
        .policy(Anyone);
    Api::new()
        .kinds(&[USERNAME_TAKEN])
        .route(sign_up.handle(create))
        .route(
            Route::get("/users/me", "readOwnAccount")
                .about("Returns the caller's account.")
                .tagged("accounts")
                .policy(auth::account("accounts:read"))
                .handle(show_own),
        )
        .route(
            Route::get("/users", "listAccounts")
                .about("Lists all accounts, newest first.")
                .tagged("accounts")
                .policy(auth::role(&OPERATOR, "accounts:read"))
                .handle(list),
        )
        .route(
            Route::get("/users/{id}", "readAccount")
                .about("Returns an account.")
                .tagged("accounts")
                .policy(auth::role(&OPERATOR, "accounts:read"))
                .handle(show),
        )
        .route(sign_in.handle(sign_in_handler))
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
                .policy(auth::session())
                .handle(sign_out),
        )
        .route(
            Route::delete("/sessions/{id}", "endSession")
                .about("Ends one of the caller's sessions.")
                .tagged("sessions")
                .policy(auth::session())
                .handle(end_session),
        )
}

async fn create(
    State(accounts): State<Accounts>,
    Body(body): Body<SignUp>,
) -> Result<Created<AccountView>, Problem> {
    let SignUp { username, email, password } = body;
    let username = username.into_username();
    let new = NewAccount { username, email, password, role: Role::Customer };
    let account = actions::create(&accounts.registry, new).await?;
    let pseudonym = accounts.pseudonyms.of(account.username.as_str());
    tracing::info!(account = %pseudonym, account.id = %account.id, "an account was opened");
    Ok(Created { location: format!("/users/{}", account.id), body: account.into() })
}

async fn show_own(
    State(accounts): State<Accounts>,
    AccountCaller(id): AccountCaller,
) -> Result<Json<AccountView>, Problem> {
    found(actions::find(&accounts.registry.db, id).await?)
}

async fn show(
    State(accounts): State<Accounts>,
    PathId(id): PathId<palisade::auth::Account>,
) -> Result<Json<AccountView>, Problem> {
    found(actions::find(&accounts.registry.db, id).await?)
}

fn found(account: Option<Account>) -> Result<Json<AccountView>, Problem> {
    account.map(|account| Json(account.into())).ok_or_else(Problem::not_found)
}

async fn list(
    State(accounts): State<Accounts>,
    State(cursors): State<Cursors>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<AccountView>>, Problem> {
    let list = cursors.list("users");
    let before: Option<AccountId> = list.open(query.cursor.as_ref())?;
    let limit = query.limit.unwrap_or_default();
    let found = actions::list(&accounts.registry.db, before, limit.with_one_more()).await?;
    let page = list.page(found, limit, |account| account.id);
    let items = page.items.into_iter().map(AccountView::from).collect();
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

async fn sign_in_handler(
    State(accounts): State<Accounts>,
    Body(body): Body<SignIn>,
) -> Result<Created<SignedInView>, Problem> {
    let SignIn { username, password, device_token } = body;
    let device = device_token.as_ref().map(DeviceToken::expose);
    let username = username.into_username();
    let pseudonym = username.as_ref().map(|name| accounts.pseudonyms.of(name.as_str()));
    let signed_in = actions::sign_in(&accounts, username, password, device).await;
    if let Err(SignInError::Refused(why)) = &signed_in {
        let (account, reason) = (pseudonym.map(display), why.word());
        tracing::info!(account, reason, "sign-in refused");
    }
    let signed_in = signed_in?;
    Ok(Created {
        location: "/sessions/current".into(),
        body: SignedInView {
            token: SessionToken::new(&signed_in.token),
            expires_at: signed_in.session.expires_at,
            device_token: DeviceToken::new(signed_in.device_token),
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
) -> Result<NoContent, Problem> {
    actions::sign_out(&accounts.registry.db, caller.account, caller.session).await?;
    Ok(NoContent)
}

async fn end_session(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
    PathId(id): PathId<Session>,
) -> Result<NoContent, Problem> {
    match actions::sign_out(&accounts.registry.db, caller.account, id).await? {
        true => Ok(NoContent),
        false => Err(Problem::not_found()),
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::UsernameTaken => Self::new(USERNAME_TAKEN),
            CreateError::Password(why) => Self::invalid_value("/password", why),
            CreateError::Hash(error) => hash_problem(error),
            CreateError::Db(error) => error.into(),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused(_) => Self::unauthenticated(),
            SignInError::Corrupt(error) => Self::internal(error),
            SignInError::Hash(error) => hash_problem(error),
            SignInError::Db(error) => error.into(),
        }
    }
}

fn hash_problem(error: HashError) -> Problem {
    match error {
        HashError::Overloaded => Problem::overloaded(),
        error => Problem::internal(error),
    }
}
