//! API keys over HTTP.

use palisade::auth::{self, ApiKey, SessionCaller};
use palisade::clock::Timestamp;
use palisade::http::{Api, Body, Created, Json, NoContent, Page, PathId, Problem, Route, State};
use palisade::input::{FromText, Invalid, List};
use palisade::{body, view};
use serde_json::json;

use super::actions::Accounts;
use super::api_keys::{self, KeyName, MakeKeyError, NewApiKey, Scope};
use super::days::Days;
use super::tokens::ShownKey;
use crate::audit::By;
use crate::state::AppState;

body! {
    /// An API key that is to be.
    pub struct MakeKey {
        /// What to call it.
        pub name: KeyName,
        /// What it may be used for, as long as its account may do that.
        pub scopes: List<Scope, 1, 8>,
        /// For how many days it is good.
        pub expires_in_days: Days,
    }
}

view! {
    /// A fresh API key. It is shown only here.
    pub struct MadeKeyView {
        /// Names the key; it is not what is sent.
        pub id: palisade::auth::KeyId,
        /// What to send as the bearer token.
        pub key: ShownKey,
        /// What it is called.
        pub name: KeyName,
        /// What it may be used for.
        pub scopes: List<Scope, 1, 8>,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it ends.
        pub expires_at: Timestamp,
    }
}

view! {
    /// An API key.
    pub struct KeyView {
        /// Names the key; it is not what is sent.
        pub id: palisade::auth::KeyId,
        /// What it is called.
        pub name: KeyName,
        /// What it may be used for.
        pub scopes: List<Scope, 1, 8>,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it was last used, to about a minute; null is never.
        pub last_used_at: Option<Timestamp>,
        /// When it ends.
        pub expires_at: Timestamp,
    }
}

/// Returns the routes of API keys.
pub(super) fn routes() -> Api<AppState> {
    Api::new()
        .route(
            Route::post("/api-keys", "makeApiKey")
                .about("Makes an API key for the caller's account, and shows it this once.")
                .tagged("API keys")
                .example(json!({
                    "name": "nightly export",
                    "scopes": ["orders:read"],
                    "expires_in_days": 90,
                }))
                .policy(auth::session().proved_recently())
                .handle(make),
        )
        .route(
            Route::get("/api-keys", "listApiKeys")
                .about("Lists the caller's API keys that can be used, newest first.")
                .tagged("API keys")
                .policy(auth::session())
                .handle(list),
        )
        .route(
            Route::delete("/api-keys/{id}", "deleteApiKey")
                .about("Deletes one of the caller's API keys, which can be used no more at once.")
                .tagged("API keys")
                .policy(auth::session())
                .handle(delete),
        )
}

async fn make(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
    by: By,
    Body(body): Body<MakeKey>,
) -> Result<Created<MadeKeyView>, Problem> {
    let MakeKey { name, scopes, expires_in_days } = body;
    let scopes = scopes.into_vec();
    let new = NewApiKey { name, scopes, lasts: expires_in_days.duration() };
    let (key, token) = api_keys::make(&accounts, caller, new, by).await?;
    tracing::info!(account.id = %caller.account, key.id = %key.id, "an API key was made");
    let shown = ShownKey::new(&token);
    let KeyView { id, name, scopes, created_at, expires_at, .. } = view_of(key)?;
    let body = MadeKeyView { id, key: shown, name, scopes, created_at, expires_at };
    Ok(Created { location: format!("/api-keys/{id}"), body })
}

async fn list(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
) -> Result<Json<Page<KeyView>>, Problem> {
    let keys = api_keys::list(&accounts, caller.account).await?;
    let items: Result<Vec<_>, _> = keys.into_iter().map(view_of).collect();
    Ok(Json(Page { items: items?, next_cursor: None }))
}

async fn delete(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
    by: By,
    PathId(id): PathId<ApiKey>,
) -> Result<NoContent, Problem> {
    if !api_keys::delete(&accounts, caller.account, id, by).await? {
        return Err(Problem::not_found());
    }
    tracing::info!(account.id = %caller.account, key.id = %id, "an API key was deleted");
    Ok(NoContent)
}

fn view_of(key: ApiKey) -> Result<KeyView, Problem> {
    let ApiKey { id, name, scopes, created_at, used_at, expires_at, .. } = key;
    // What is stored was judged when it came in.
    let name = KeyName::from_text(&name).map_err(Problem::internal)?;
    let scopes = List::of_first(scopes.iter().filter_map(Scope::parse));
    Ok(KeyView { id, name, scopes, created_at, last_used_at: used_at, expires_at })
}

impl From<MakeKeyError> for Problem {
    fn from(error: MakeKeyError) -> Self {
        match error {
            MakeKeyError::TooMany => {
                let most = palisade::auth::keys::MOST_KEYS;
                let detail = format!("An account has {most} API keys at most: delete one first.");
                Self::invalid_value("", Invalid::new("too_many", detail))
            }
            MakeKeyError::Ended => Self::unauthenticated(),
            MakeKeyError::Db(error) => error.into(),
        }
    }
}
