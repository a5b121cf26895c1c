//! The second factor over HTTP.

use palisade::auth::{self, SessionCaller};
use palisade::http::problem::AUTHENTICATION_FAILED;
use palisade::http::{Api, Body, Created, Json, NoContent, Problem, Route, State};
use palisade::input::List;
use palisade::{body, view};
use serde_json::json;

use super::actions::Accounts;
use super::second_factor::{self, Code};
use super::tokens::ShownSecret;
use crate::audit::By;
use crate::state::AppState;

body! {
    /// A code of the app that a second factor was set up in.
    pub struct ConfirmFactor {
        /// The code.
        pub code: Code,
    }
}

view! {
    /// What an authenticator app needs. It is shown only here.
    pub struct EnrolmentView {
        /// The secret, for who types it into an app: base 32.
        pub secret: ShownSecret,
        /// The same as an address, to be shown as a QR code.
        pub uri: ShownSecret,
    }
}

view! {
    /// What opens the account when the app is lost. It is shown only here.
    pub struct RecoveryView {
        /// Ten codes, each good once in the place of the app's.
        pub recovery_codes: List<ShownSecret, 10, 10>,
    }
}

/// Returns the routes of the second factor.
pub(super) fn routes() -> Api<AppState> {
    let policy = || auth::session().proved_recently().even_without_second_factor();
    Api::new()
        .route(
            Route::post("/users/me/totp", "setUpSecondFactor")
                .about(
                    "Makes the secret of a second factor for an authenticator app. It counts once a \
                     code of it was confirmed.",
                )
                .tagged("second factor")
                .policy(policy())
                .handle(enrol),
        )
        .route(
            Route::post("/users/me/totp/confirm", "confirmSecondFactor")
                .about(
                    "Has the second factor count from now on, and returns recovery codes, which \
                     replace earlier ones. The caller's other sessions end.",
                )
                .tagged("second factor")
                .example(json!({"code": "123456"}))
                .refuses(AUTHENTICATION_FAILED)
                .policy(policy())
                .handle(confirm),
        )
        .route(
            Route::delete("/users/me/totp", "removeSecondFactor")
                .about("Removes the second factor. The caller's other sessions end.")
                .tagged("second factor")
                .policy(auth::session().proved_recently())
                .handle(remove),
        )
}

async fn enrol(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
) -> Result<Created<EnrolmentView>, Problem> {
    let made = second_factor::enrol(&accounts, caller).await?;
    let (secret, uri) = (ShownSecret::new(made.secret), ShownSecret::new(made.uri));
    Ok(Created { location: "/users/me/totp".into(), body: EnrolmentView { secret, uri } })
}

async fn confirm(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
    by: By,
    Body(body): Body<ConfirmFactor>,
) -> Result<Json<RecoveryView>, Problem> {
    let codes = second_factor::confirm(&accounts, caller, body.code, by).await?;
    tracing::info!(account.id = %caller.account, "a second factor was set up");
    let recovery_codes = List::of_first(codes.into_iter().map(ShownSecret::new));
    Ok(Json(RecoveryView { recovery_codes }))
}

async fn remove(
    State(accounts): State<Accounts>,
    caller: SessionCaller,
    by: By,
) -> Result<NoContent, Problem> {
    if !second_factor::remove(&accounts, caller, by).await? {
        return Err(Problem::not_found());
    }
    tracing::info!(account.id = %caller.account, "a second factor was removed");
    Ok(NoContent)
}
