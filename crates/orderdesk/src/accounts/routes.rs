//! Accounts over HTTP.

use std::sync::Arc;

use palisade::auth::{self, AccountCaller, AccountId};
use palisade::crypto::HashError;
use palisade::http::{
    Anyone, Api, Body, Created, Json, Kind, Page, PathId, Problem, Query, RateLimiter, Route, State,
};
use serde_json::json;

use super::actions::{self, Accounts, CreateError, NewAccount};
use super::wire::SignUp;
use super::{Account, AccountView, OPERATOR, Role};
use super::{factor_routes, key_routes, operator_routes, session_routes};
use crate::audit::By;
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
        .merge(operator_routes::routes())
        .merge(session_routes::routes(limiters))
        .merge(key_routes::routes())
        .merge(factor_routes::routes())
}

async fn create(
    State(accounts): State<Accounts>,
    by: By,
    Body(body): Body<SignUp>,
) -> Result<Created<AccountView>, Problem> {
    let SignUp { username, email, password } = body;
    let username = username.into_username();
    let new = NewAccount { username, email, password, role: Role::Customer };
    let account = actions::create(&accounts.registry, new, by).await?;
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

pub(super) fn hash_problem(error: HashError) -> Problem {
    match error {
        HashError::Overloaded => Problem::overloaded(),
        error => Problem::internal(error),
    }
}
