//! What operators may do with accounts.

use palisade::auth;
use palisade::http::{Api, Body, Created, NoContent, PathId, Problem, Route, State};
use palisade::{body, view};
use serde_json::json;

use super::actions::Accounts;
use super::tokens::ShownReset;
use super::{OPERATOR, Role, credentials};
use crate::audit::By;
use crate::state::AppState;

body! {
    /// What an account may do from now on.
    pub struct ChangeRole {
        /// The role.
        pub role: Role,
    }
}

view! {
    /// A token for whoever is to choose a new password: `POST /password-resets`. It is shown only here.
    pub struct ResetView {
        /// The token. It is good once.
        pub token: ShownReset,
        /// Until when.
        pub expires_at: palisade::clock::Timestamp,
    }
}

/// Returns the routes by which operators change accounts.
pub(super) fn routes() -> Api<AppState> {
    let policy = || auth::role(&OPERATOR, "accounts:write");
    Api::new()
        .route(
            Route::post("/users/{id}/disable", "disableAccount")
                .about(
                    "Keeps an account from being used until it is enabled again; its sessions and API \
                     keys end at once.",
                )
                .tagged("accounts")
                .policy(policy())
                .handle(disable),
        )
        .route(
            Route::post("/users/{id}/enable", "enableAccount")
                .about("Lets an account sign in again.")
                .tagged("accounts")
                .policy(policy())
                .handle(enable),
        )
        .route(
            Route::post("/users/{id}/reset", "makePasswordReset")
                .about(
                    "Makes a token by which somebody chooses a new password for an account, once and \
                     within an hour.",
                )
                .tagged("accounts")
                .policy(policy())
                .handle(make_reset),
        )
        .route(
            Route::put("/users/{id}/role", "changeRole")
                .about("Gives an account another role; its sessions and API keys end at once.")
                .tagged("accounts")
                .example(json!({"role": "operator"}))
                .policy(policy())
                .handle(change_role),
        )
}

async fn disable(
    State(accounts): State<Accounts>,
    by: By,
    PathId(id): PathId<auth::Account>,
) -> Result<NoContent, Problem> {
    let now = accounts.registry.clock.now();
    done(credentials::disable(&accounts.registry.db, id, now, by).await?)?;
    tracing::info!(account.id = %id, "an account was disabled");
    Ok(NoContent)
}

async fn enable(
    State(accounts): State<Accounts>,
    by: By,
    PathId(id): PathId<auth::Account>,
) -> Result<NoContent, Problem> {
    let now = accounts.registry.clock.now();
    done(credentials::enable(&accounts.registry.db, id, now, by).await?)?;
    tracing::info!(account.id = %id, "an account was enabled");
    Ok(NoContent)
}

async fn make_reset(
    State(accounts): State<Accounts>,
    by: By,
    PathId(id): PathId<auth::Account>,
) -> Result<Created<ResetView>, Problem> {
    let now = accounts.registry.clock.now();
    let made = credentials::make_reset(&accounts.registry.db, id, now, by).await?;
    let made = made.ok_or_else(Problem::not_found)?;
    tracing::info!(account.id = %id, "a token for a new password was made");
    let body = ResetView { token: ShownReset::new(&made.token), expires_at: made.expires_at };
    Ok(Created { location: "/password-resets".into(), body })
}

async fn change_role(
    State(accounts): State<Accounts>,
    by: By,
    PathId(id): PathId<auth::Account>,
    Body(body): Body<ChangeRole>,
) -> Result<NoContent, Problem> {
    let (db, now) = (&accounts.registry.db, accounts.registry.clock.now());
    done(credentials::change_role(db, id, body.role, (now, by)).await?)?;
    tracing::info!(account.id = %id, role = body.role.as_str(), "a role was given");
    Ok(NoContent)
}

fn done(is_known: bool) -> Result<(), Problem> {
    if is_known { Ok(()) } else { Err(Problem::not_found()) }
}
