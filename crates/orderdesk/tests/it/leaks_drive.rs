//! Drives a service through every route that it has, with good and with broken input.

use std::fs;

use http::Method;
use palisade::config::KeyMaterial;
use palisade_testing::{Reply, raw};
use serde_json::{Value, json};

use crate::support::{Caller, TestService, text};

/// What a customer says of itself and writes into orders: for its eyes and the operator's only.
pub(crate) const PERSONAL: [(&str, &str); 6] = [
    ("username", USERNAME),
    ("e-mail address", "marta.markerova@example.org"),
    ("reference", "reference of marta"),
    ("payment reference", "payment reference of marta"),
    ("tracking", "tracking number of marta"),
    ("reason", "why marta cancelled"),
];
const USERNAME: &str = "martamarkerova1984";
/// Holds what must be escaped in JSON, in URLs and in shells.
const PASSWORD: &str = "Marta's \"long\" pässword & 100%/+";
/// Nearly right, as what people mistype is.
const MISTYPED: &str = "Marta's \"long\" pässwort & 100%/+";
/// What somebody sends that is no credential of this service, but of another one.
const FOREIGN: &str = "AKIAIOSFODNN7EXAMPLE/wJalrXUtnFEMI";

/// What was sent and answered.
pub(crate) struct Driven {
    /// The secrets that came up on the way.
    pub(crate) secrets: Vec<(&'static str, String)>,
    /// Every answer but those that hand a token to its owner: heads and bodies.
    pub(crate) refusals: Vec<u8>,
    caller: Caller,
    order: String,
}

/// Opens an account, uses it, and then calls every route in every wrong way.
pub(crate) async fn drive(app: &TestService) -> Driven {
    let person = json!({"username": USERNAME, "email": PERSONAL[1].1, "password": PASSWORD});
    app.client().post("/users").json(person).send().await.assert_status(201);
    let session = app.sign_in(USERNAME, PASSWORD).await;
    let token = text(&session.assert_status(201).json(), "token").to_owned();
    let caller = app.bearer(&token);
    let mut driven = Driven {
        secrets: vec![
            ("password", PASSWORD.to_owned()),
            ("mistyped password", MISTYPED.to_owned()),
            ("session token", token),
            ("foreign credential", FOREIGN.to_owned()),
            ("key of tomorrow", KeyMaterial::generate().expose().clone()),
        ],
        refusals: Vec::new(),
        order: String::new(),
        caller,
    };
    driven.keep(&app.sign_in(USERNAME, MISTYPED).await);
    driven.order = driven.lives_of_orders(app).await;
    for (method, path) in operations(app).await {
        driven.abuse(app, &method, &path).await;
    }
    driven.break_the_wire(app).await;
    driven
}

impl Driven {
    /// Keeps an answer without the names that it repeats: a parameter or a member that is not known
    /// is named to whoever sent it.
    fn keep(&mut self, reply: &Reply) {
        self.refusals.extend(format!("{:?}\n", reply.headers()).bytes());
        let mut body = reply.body().to_vec();
        if let Ok(mut problem) = serde_json::from_slice::<Value>(&body) {
            forget_unknown_names(&mut problem);
            body = serde_json::to_vec(&problem).unwrap();
        }
        self.refusals.extend(body);
        self.refusals.push(b'\n');
    }

    /// Returns the secret of a name.
    pub(crate) fn secret(&self, name: &str) -> &str {
        let found = self.secrets.iter().find(|(known, _)| *known == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// Takes orders through every step, and returns one.
    async fn lives_of_orders(&mut self, app: &TestService) -> String {
        let line = json!({"sku": "TEA-100", "quantity": 1, "unit_price": "12.50"});
        let order = json!({"currency": "EUR", "reference": PERSONAL[2].1, "lines": [line]});
        let mut ids = Vec::new();
        for _ in 0..2 {
            let placed = self.caller.post("/orders").json(order.clone()).send().await;
            ids.push(text(&placed.assert_status(201).json(), "id").to_owned());
        }
        let machine = app.bearer(&app.folder.secret("API_KEY"));
        for (id, step, body) in [
            (&ids[0], "pay", json!({"payment_reference": PERSONAL[3].1})),
            (&ids[0], "ship", json!({"tracking": PERSONAL[4].1})),
            (&ids[1], "cancel", json!({"reason": PERSONAL[5].1})),
        ] {
            let reply = machine.post(&format!("/orders/{id}/{step}")).json(body).send().await;
            reply.assert_status(200);
        }
        ids.swap_remove(0)
    }

    /// Calls one route with every credential and every kind of broken input.
    async fn abuse(&mut self, app: &TestService, method: &Method, template: &str) {
        let secrets = self.secrets.clone();
        let callers =
            [app.nobody(), app.bearer(&app.folder.secret("API_KEY")), self.caller.clone()];
        for (_, secret) in &secrets {
            let quoted = Value::from(secret.clone());
            let path =
                template.replace("{id}", &escaped(secret)).replace("{code}", &escaped(secret));
            let real = template.replace("{id}", &self.order).replace("{code}", "not_found");
            let bodies = [
                ("application/json", format!("{{\"password\": {quoted}, \"password\": 1}}")),
                ("application/json", format!("{{\"password\": {quoted}, {quoted}: {quoted}}}")),
                ("application/json", format!("[{quoted}")),
                ("text/plain", secret.clone()),
            ];
            // Only a session that is to live on is not signed out with.
            for caller in callers.iter().filter(|_| !template.ends_with("/current")) {
                for (path, (kind, body)) in [&path, &real].into_iter().zip(bodies.iter().cycle()) {
                    let query = format!("{path}?cursor={0}&{0}={0}", escaped(secret));
                    for target in [path, &query] {
                        let call = caller.client.call(method.clone(), target);
                        let call = caller.authorized(call).header("content-type", kind);
                        let call = call.header("cookie", &format!("session={}", escaped(secret)));
                        self.keep(&call.body(body.clone()).send().await);
                    }
                }
            }
            for (kind, body) in &bodies {
                let call = callers[2].client.call(method.clone(), &real);
                let call = call.header("authorization", &basic(secret));
                let call = call.header("content-type", kind).body(body.clone());
                self.keep(&call.send().await);
            }
        }
    }

    /// Sends secrets in what is not even a request.
    async fn break_the_wire(&mut self, app: &TestService) {
        for (_, secret) in self.secrets.clone() {
            let long = secret.repeat(1_000);
            for bytes in [
                format!(
                    "GET /{0} HTTP/1.1\r\nHost: {0}\r\nConnection: close\r\n\r\n",
                    escaped(&secret)
                ),
                format!(
                    "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{secret}: {secret}\r\n\r\n"
                ),
                format!("{secret}\r\n\r\n"),
                format!(
                    "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {long}\r\n\r\n"
                ),
                format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", escaped(&long)),
            ] {
                self.refusals.extend(raw(app.service.public(), bytes).await);
            }
        }
    }

    /// Overwrites the database below the service, and returns what it answers then.
    pub(crate) async fn without_a_database(&self, app: &TestService) -> Vec<u8> {
        let database = app.folder.database();
        for file in fs::read_dir(database.parent().unwrap()).unwrap() {
            let file = file.unwrap().path();
            if file.to_string_lossy().contains("orderdesk.db") {
                let length = fs::metadata(&file).unwrap().len();
                fs::write(&file, vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
            }
        }
        let caller = app.again(&self.caller);
        let mut answers = Vec::new();
        for path in ["/users/me", "/orders", "/sessions"] {
            let reply = caller.get(path).send().await;
            assert!(reply.status() >= 500, "{path} answered {}", reply.status());
            answers.extend_from_slice(reply.body());
        }
        answers.extend_from_slice(app.sign_in(USERNAME, PASSWORD).await.body());
        answers.extend_from_slice(app.admin().get("/ready").send().await.body());
        answers
    }
}

/// Returns every route of the service's own document.
async fn operations(app: &TestService) -> Vec<(Method, String)> {
    let document = app.client().get("/openapi.json").send().await.json();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            if let Ok(method) = method.to_uppercase().parse() {
                all.push((method, path.clone()));
            }
        }
    }
    assert!(all.len() > 15, "{all:?}");
    all
}

fn forget_unknown_names(problem: &mut Value) {
    if problem["detail"].as_str().is_some_and(|detail| detail.ends_with("is not known here")) {
        problem["detail"] = Value::Null;
    }
    let errors = problem.get_mut("errors").and_then(Value::as_array_mut);
    for error in errors.into_iter().flatten().filter(|error| error["code"] == "unknown") {
        error["pointer"] = Value::Null;
    }
}

fn escaped(secret: &str) -> String {
    secret.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn basic(secret: &str) -> String {
    let pair = format!("{USERNAME}:{secret}");
    format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
}
