//! A whole service: settings, log, limits, TLS by a setting, metrics, health, an orderly end.
//!
//! `cargo run -p palisade --example minimal`, and in a second terminal
//! `curl --json '{"name": "Ada"}' http://127.0.0.1:8443/greetings`.

use std::process::ExitCode;

use palisade::clock::{Clock, SystemClock, Timestamp};
use palisade::http::{Anyone, Api, Body, Json, Problem, Route};
use palisade::input::Line;
use palisade::service::{Offer, Program, Setup};

palisade::service_settings! {
    /// Everything that can be set: in a file, or as `MINIMAL__SECTION__KEY`.
    struct Settings in "MINIMAL" {}
}

palisade::body! {
    /// What somebody sends.
    struct Greet {
        /// Whom to greet: one line of 1 to 40 characters.
        name: Line<1, 40>,
    }
}

palisade::view! {
    /// What is answered.
    struct Greeting {
        /// Who is greeted.
        hello: Line<1, 40>,
    }
}

async fn greet(Body(body): Body<Greet>) -> Result<Json<Greeting>, Problem> {
    Ok(Json(Greeting { hello: body.name }))
}

async fn time() -> Result<Json<Timestamp>, Problem> {
    Ok(Json(SystemClock.now()))
}

fn main() -> ExitCode {
    let minimal = Program { name: "minimal", version: "1.0.0", about: "Greets, tells the time." };
    minimal.main(async |_: Setup<Settings>| {
        let greet = Route::post("/greetings", "greet").policy(Anyone).handle(greet);
        let time = Route::get("/time", "readTime").policy(Anyone).handle(time);
        Ok(Offer::new(Api::new().route(greet).route(time), ()))
    })
}
