//! Bare axum: a router, its JSON extractor and `axum::serve`, as in its first example.

use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::Started;
use super::rules::{is_email, is_password, is_username};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    username: String,
    email: String,
    password: String,
}

#[derive(Serialize)]
struct UserView {
    username: String,
    email: String,
}

/// Serves the router as it is.
pub(super) fn start(listener: TcpListener) -> Started {
    tokio::spawn(async move { axum::serve(listener, router()).await });
    Started { token: None, keeps: Box::new(()) }
}

/// Returns the one route without any layer.
pub(super) fn router() -> Router {
    Router::new().route("/users", post(create))
}

async fn create(Json(new): Json<NewUser>) -> Result<Json<UserView>, StatusCode> {
    let NewUser { username, email, password } = new;
    match is_username(&username) && is_email(&email) && is_password(&password) {
        true => Ok(Json(UserView { username, email })),
        false => Err(StatusCode::BAD_REQUEST),
    }
}
