//! Who may do what: every route of the program's own table, tried by everybody.
//!
//! The rows come from `orderdesk routes`, so a route that is added without a line here fails.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use palisade_testing::Reply;
use serde_json::{Value, json};

use crate::support::{
    Caller, PASSWORD, Setup, TestService, assert_same_answer, order_body, sign_up_body, text,
};

/// One line of `orderdesk routes`.
#[derive(Debug, Clone)]
struct Line {
    method: Method,
    path: String,
    who: Who,
}

/// Who may call a route, as the table says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Anyone,
    Account,
    Session,
    OwnerOrOperator,
    Operator,
}

/// Everybody who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Nobody,
    Garbage,
    EndedSession,
    /// A session of an account that was disabled since.
    Disabled,
    /// An API key of an account that was disabled since.
    DisabledKey,
    /// An API key whose time is over.
    ExpiredKey,
    /// An API key that was deleted.
    DeletedKey,
    /// An API key of an operator without any scope that a route here asks for.
    NarrowKey,
    /// An API key of the owner with every scope.
    OwnerKey,
    /// An API key of an operator with every scope.
    OperatorKey,
    /// A customer to whom nothing here belongs.
    Stranger,
    Owner,
    Operator,
    Machine,
}

const ROLES: [Role; 14] = [
    Role::Nobody,
    Role::Garbage,
    Role::EndedSession,
    Role::Disabled,
    Role::DisabledKey,
    Role::ExpiredKey,
    Role::DeletedKey,
    Role::NarrowKey,
    Role::OwnerKey,
    Role::OperatorKey,
    Role::Stranger,
    Role::Owner,
    Role::Operator,
    Role::Machine,
];

#[tokio::test]
async fn every_route_lets_through_exactly_whom_its_policy_names() {
    let cast = Cast::start(Setup::default()).await;
    let lines = cast.lines().await;

    let mut cells = 0;
    for line in &lines {
        for role in ROLES {
            let reply = cast.attempt(line, role).await;
            let expected = expected_status(line, role);
            assert_eq!(reply.status(), expected, "{line:?} by {role:?}: {}", reply.text());
            cells += 1;
        }
    }

    assert_eq!(lines.len(), 34, "a route came or went: say here who may call it");
    println!("{cells} cells of {} routes and {} callers hold", lines.len(), ROLES.len());
}

#[tokio::test]
async fn what_belongs_to_another_is_what_never_existed_byte_for_byte() {
    let cast = Cast::start(Setup::default()).await;
    let mut compared = 0;

    for line in cast.lines().await.iter().filter(|line| line.path.contains("{id}")) {
        for role in [Role::Stranger, Role::Operator, Role::Machine] {
            if !is_let_through(line.who, role) {
                continue;
            }
            let never = cast.attempt_on(line, role, &"0".repeat(26)).await;
            assert_eq!(never.assert_status(404).problem_code(), "not_found");
            let mut others: Vec<String> = MALFORMED.map(str::to_owned).to_vec();
            let id = cast.object_of(line, Role::Owner).await;
            others.push(id.to_uppercase());
            others.push(format!("{id}0"));
            if role == Role::Stranger || line.who == Who::Session {
                others.push(id);
            }
            for other in others {
                assert_same_answer(&never, &cast.attempt_on(line, role, &other).await);
                compared += 1;
            }
        }
    }

    assert!(compared > 100, "only {compared} answers were compared");
}

#[tokio::test]
async fn whether_a_thing_exists_is_asked_after_its_form_and_before_its_version() {
    let cast = Cast::start(Setup::default()).await;
    let foreign = cast.owner.places_order("12.50").await;
    let stranger = &cast.stranger;
    let cancel = |id: &str| format!("/orders/{id}/cancel");

    for id in [foreign.as_str(), "0000000000000000000000000x", "no.id"] {
        let form = stranger.post(&cancel(id)).json(json!({"reason": ""})).send().await;
        let version = stranger.post(&cancel(id)).header("if-match", "\"77\"").send().await;

        assert_eq!(form.assert_status(400).problem_code(), "validation_failed");
        assert_eq!(version.assert_status(404).problem_code(), "not_found");
    }
    let own = cast.owner.post(&cancel(&foreign)).header("if-match", "\"77\"").send().await;
    own.assert_status(412);
}

#[tokio::test]
async fn the_caller_is_judged_before_what_the_caller_sends() {
    let cast = Cast::start(Setup::default()).await;
    let lines = cast.lines().await;

    for line in lines.iter().filter(|line| line.who != Who::Anyone && line.method == Method::POST) {
        let path = line.path.replace("{id}", "no.id");
        for (content_type, body) in [
            ("text/plain", "hello".to_owned()),
            ("application/json", "{\"broken\":".to_owned()),
            ("application/json", "x".repeat(200_000)),
        ] {
            let send = async |caller: &Caller| {
                caller
                    .post(&path)
                    .header("content-type", content_type)
                    .body(body.clone())
                    .send()
                    .await
            };
            for stranger in [&cast.nobody, &cast.garbage, &cast.ended] {
                assert_eq!(send(stranger).await.status(), 401, "{line:?}");
            }
            if line.who == Who::Operator {
                assert_eq!(send(&cast.owner).await.status(), 403, "{line:?}");
            }
            if has_no_body(line) {
                continue;
            }
            let let_through = send(&cast.operator).await.status();
            assert!([400, 413, 415].contains(&let_through), "{line:?}: {let_through}");
        }
    }
}

#[tokio::test]
async fn a_route_that_is_not_there_is_the_same_for_everybody() {
    let cast = Cast::start(Setup::default()).await;

    for caller in [&cast.nobody, &cast.garbage, &cast.stranger, &cast.operator, &cast.machine] {
        let unknown = caller.get("/no/such/route").send().await;
        let method = caller.put("/orders").json(json!({})).send().await;

        assert_eq!(unknown.assert_status(404).problem_code(), "not_found");
        assert_eq!(method.assert_status(405).problem_code(), "method_not_allowed");
    }
}

#[tokio::test]
async fn a_closed_sign_up_is_for_operators() {
    let cast = Cast::start(Setup::default().setting("accounts.sign_up", "closed")).await;
    let line = cast.line(&Method::POST, "/users").await;
    assert_eq!(line.who, Who::Operator);

    for role in ROLES {
        let reply = cast.attempt(&line, role).await;
        assert_eq!(reply.status(), expected_status(&line, role), "{role:?}: {}", reply.text());
    }
    let made = cast.machine.post("/users").json(sign_up_body("eve")).send().await;
    assert_eq!(made.assert_status(201).json()["role"], "customer");
}

#[tokio::test]
async fn a_customer_cannot_act_as_another_by_naming_one() {
    let cast = Cast::start(Setup::default()).await;
    let mut order = order_body("12.50");
    order["customer"] = json!("owner");

    let by_customer = cast.stranger.post("/orders").json(order.clone()).send().await;
    let by_owner = cast.owner.post("/orders").json(order.clone()).send().await;
    let by_operator = cast.operator.post("/orders").json(order).send().await;
    let by_nobody_in_particular =
        cast.machine.post("/orders").json(order_body("1.00")).send().await;

    by_customer.assert_status(403);
    by_owner.assert_status(403);
    assert_eq!(by_operator.assert_status(201).json()["customer_id"], cast.owner.id);
    by_nobody_in_particular.assert_status(400);
}

#[tokio::test]
async fn a_list_shows_a_customer_only_what_is_its_own() {
    let cast = Cast::start(Setup::default()).await;
    let own = cast.stranger.places_order("1.00").await;
    let foreign = cast.owner.places_order("2.00").await;
    let ids = async |caller: &Caller, path: &str| {
        let page = caller.get(path).send().await.assert_status(200).json();
        let orders = page["items"].as_array().unwrap().clone();
        orders.iter().map(|order| text(order, "id").to_owned()).collect::<Vec<_>>()
    };

    let (own, foreign) = (own.as_str(), foreign.as_str());
    assert_eq!(ids(&cast.stranger, "/orders").await, [own]);
    assert_eq!(ids(&cast.operator, "/orders").await, [foreign, own]);
    assert_eq!(ids(&cast.machine, "/orders").await, [foreign, own]);
}

#[tokio::test]
async fn a_cursor_of_one_caller_is_worth_nothing_to_another() {
    let cast = Cast::start(Setup::default()).await;
    for caller in [&cast.owner, &cast.owner, &cast.stranger, &cast.stranger] {
        caller.places_order("1.00").await;
    }

    let page = cast.owner.get("/orders?limit=1").send().await.assert_status(200).json();
    let next = format!("/orders?limit=1&cursor={}", text(&page, "next_cursor"));

    cast.owner.get(&next).send().await.assert_status(200);
    for other in [&cast.stranger, &cast.operator, &cast.machine] {
        let reply = other.get(&next).send().await;
        assert_eq!(reply.assert_status(400).problem_code(), "invalid_query");
    }
}

/// Tells whether a route reads no body: whatever is sent there is dropped.
fn has_no_body(line: &Line) -> bool {
    ["/disable", "/enable", "/reset", "/totp"].iter().any(|end| line.path.ends_with(end))
}

impl Role {
    /// Tells whether nothing holds that such a caller shows.
    fn is_unknown(self) -> bool {
        use Role::{DeletedKey, Disabled, DisabledKey, EndedSession, ExpiredKey, Garbage, Nobody};
        let ended = [Nobody, Garbage, EndedSession, Disabled, DisabledKey, ExpiredKey, DeletedKey];
        ended.contains(&self)
    }

    fn is_key(self) -> bool {
        [Self::NarrowKey, Self::OwnerKey, Self::OperatorKey].contains(&self)
    }
}

fn expected_status(line: &Line, role: Role) -> u16 {
    if !is_let_through(line.who, role) {
        return if role.is_unknown() { 401 } else { 403 };
    }
    let is_somebody_elses = matches!(
        (line.who, role),
        (Who::OwnerOrOperator, Role::Stranger) | (Who::Session, Role::Stranger | Role::Operator)
    );
    if line.path.contains("{id}") && is_somebody_elses {
        return 404;
    }
    success(line)
}

fn is_let_through(who: Who, role: Role) -> bool {
    match (who, role) {
        (Who::Anyone, _) => true,
        (_, role) if role.is_unknown() => false,
        (_, Role::NarrowKey) => false,
        (Who::Session, role) if role.is_key() => false,
        (Who::Account | Who::Session, Role::Machine) => false,
        (Who::Operator, Role::Stranger | Role::Owner | Role::OwnerKey) => false,
        (Who::Account | Who::Session | Who::OwnerOrOperator | Who::Operator, _) => true,
    }
}

/// Returns what a good request is answered by a route that lets it through.
#[track_caller]
fn success(line: &Line) -> u16 {
    match (line.method.as_str(), line.path.as_str()) {
        ("POST", "/users" | "/sessions" | "/orders" | "/api-keys" | "/users/me/totp") => 201,
        ("POST", "/users/{id}/reset") => 201,
        ("POST", "/users/{id}/disable" | "/users/{id}/enable") => 204,
        ("PUT", "/users/{id}/role" | "/users/me/password") => 204,
        ("POST", "/sessions/current/step-up" | "/password-resets") => 204,
        ("DELETE", "/api-keys/{id}" | "/users/me/totp") => 204,
        ("POST", "/users/me/totp/confirm") | ("GET", "/api-keys") => 200,
        ("POST", "/imports") => 202,
        ("DELETE", "/sessions/current" | "/sessions/{id}") => 204,
        ("GET", "/users/me" | "/users" | "/users/{id}" | "/sessions") => 200,
        ("GET", "/orders" | "/orders/export" | "/orders/{id}" | "/orders/{id}/events") => 200,
        ("GET", "/imports/{id}" | "/imports/{id}/rejections") => 200,
        ("POST", "/orders/{id}/pay" | "/orders/{id}/ship" | "/orders/{id}/cancel") => 200,
        ("GET", "/problems/{code}" | "/openapi.json") => 200,
        _ => panic!("{line:?} is new: say here how it succeeds, and below how it is called"),
    }
}

/// A service and one caller for each role.
struct Cast {
    app: TestService,
    nobody: Caller,
    garbage: Caller,
    ended: Caller,
    disabled: Caller,
    keys: HashMap<&'static str, Caller>,
    stranger: Caller,
    owner: Caller,
    operator: Caller,
    machine: Caller,
    fresh: AtomicUsize,
}

impl Cast {
    async fn start(setup: Setup) -> Self {
        let app = setup.start().await;
        for (name, role) in [
            ("owner", "customer"),
            ("stranger", "customer"),
            ("boss", "operator"),
            ("gone", "operator"),
        ] {
            let add = app.folder.user_add(name, role);
            add.input(PASSWORD).run().await.assert_code(0);
        }
        let ended = app.signed_in("boss").await;
        ended.delete("/sessions/current").send().await.assert_status(204);
        let (owner, operator) = (app.signed_in("owner").await, app.signed_in("boss").await);
        let disabled = app.signed_in("gone").await;
        let mut keys = HashMap::new();
        for (name, of, scopes) in [
            ("owner", &owner, ALL_SCOPES),
            ("operator", &operator, ALL_SCOPES),
            ("narrow", &operator, &["jobs:read"]),
            ("disabled", &disabled, ALL_SCOPES),
            ("deleted", &operator, ALL_SCOPES),
            ("expired", &operator, ALL_SCOPES),
        ] {
            let key = of.makes_key(name, scopes).await;
            let caller = app.bearer(text(&key, "key"));
            keys.insert(
                name,
                Caller { id: of.id.clone(), username: of.username.clone(), ..caller },
            );
            if name == "deleted" {
                let path = format!("/api-keys/{}", text(&key, "id"));
                operator.delete(&path).send().await.assert_status(204);
            }
        }
        let expire = "UPDATE palisade_api_keys SET expires_at = 1 WHERE name = 'expired'";
        assert_eq!(app.folder.tamper(expire), Ok(1));
        let disable = format!("/users/{}/disable", disabled.id);
        operator.post(&disable).send().await.assert_status(204);
        Self {
            disabled,
            keys,
            nobody: app.nobody(),
            garbage: app.bearer("ods_0123456789"),
            ended,
            stranger: app.signed_in("stranger").await,
            owner,
            operator,
            machine: app.machine(),
            fresh: AtomicUsize::new(0),
            app,
        }
    }

    fn caller(&self, role: Role) -> &Caller {
        match role {
            Role::Nobody => &self.nobody,
            Role::Garbage => &self.garbage,
            Role::EndedSession => &self.ended,
            Role::Disabled => &self.disabled,
            Role::DisabledKey => &self.keys["disabled"],
            Role::ExpiredKey => &self.keys["expired"],
            Role::DeletedKey => &self.keys["deleted"],
            Role::NarrowKey => &self.keys["narrow"],
            Role::OwnerKey => &self.keys["owner"],
            Role::OperatorKey => &self.keys["operator"],
            Role::Stranger => &self.stranger,
            Role::Owner => &self.owner,
            Role::Operator => &self.operator,
            Role::Machine => &self.machine,
        }
    }

    /// Reads the table that the program prints.
    async fn lines(&self) -> Vec<Line> {
        let printed = self.app.folder.command(["routes"]).run().await;
        printed.assert_code(0).stdout.lines().map(read_line).collect()
    }

    async fn line(&self, method: &Method, path: &str) -> Line {
        let lines = self.lines().await;
        lines.into_iter().find(|line| line.method == *method && line.path == path).unwrap()
    }

    /// Makes a good request, on something fresh of the owner's.
    async fn attempt(&self, line: &Line, role: Role) -> Reply {
        if line.path == "/sessions/current" && is_let_through(line.who, role) {
            let fresh = self.app.signed_in(&self.caller(role).username).await;
            return fresh.delete(&line.path).send().await;
        }
        if line.path.starts_with("/users/me/totp") && is_let_through(line.who, role) {
            return self.attempt_on_factor(line).await;
        }
        let id = self.object_of(line, Role::Owner).await;
        self.attempt_on(line, role, &id).await
    }

    /// Makes a good request about the second factor of somebody who has none else.
    async fn attempt_on_factor(&self, line: &Line) -> Reply {
        let caller = self.app.customer(&self.fresh_name()).await;
        let code = match line.path.ends_with("/confirm") || line.method == Method::DELETE {
            true => caller.enrols().await.code(),
            false => String::new(),
        };
        if line.method == Method::DELETE {
            caller.confirms(&code).await.assert_status(200);
        }
        let call = caller.authorized(caller.client.call(line.method.clone(), &line.path));
        call.json(json!({"code": code})).send().await
    }

    fn fresh_name(&self) -> String {
        format!("fresh{}", self.fresh.fetch_add(1, Ordering::SeqCst))
    }

    async fn attempt_on(&self, line: &Line, role: Role, id: &str) -> Reply {
        let caller = self.caller(role);
        let path = line.path.replace("{id}", id).replace("{code}", "not_found");
        let call = caller.authorized(caller.client.call(line.method.clone(), &path));
        match self.body(line, role).await {
            Some(_) if line.path == "/imports" => {
                call.header("content-type", "text/csv").body(IMPORT).send().await
            }
            Some(body) => call.json(body).send().await,
            None => call.send().await,
        }
    }

    async fn body(&self, line: &Line, role: Role) -> Option<Value> {
        if ![Method::POST, Method::PUT].contains(&line.method) || has_no_body(line) {
            return None;
        }
        Some(match line.path.as_str() {
            "/users/{id}/role" => json!({"role": "customer"}),
            "/users/me/password" => json!({"current": PASSWORD, "new": PASSWORD}),
            "/sessions/current/step-up" => json!({"password": PASSWORD}),
            "/password-resets" => {
                let account = self.app.customer(&self.fresh_name()).await;
                let reset = self.machine.post(&format!("/users/{}/reset", account.id)).send().await;
                json!({"token": text(&reset.json(), "token"), "new": PASSWORD})
            }
            "/api-keys" => {
                json!({"name": "x", "scopes": ["orders:read"], "expires_in_days": 1})
            }
            "/users" => sign_up_body(&format!("by{role:?}").to_lowercase()),
            "/sessions" => json!({"username": "owner", "password": PASSWORD}),
            "/orders" => match role {
                Role::Machine => {
                    let mut order = order_body("12.50");
                    order["customer"] = json!("owner");
                    order
                }
                _ => order_body("12.50"),
            },
            "/orders/{id}/pay" => json!({"payment_reference": "pi_3Nk1"}),
            _ => json!({}),
        })
    }

    /// Makes something that a good request on the line can name, and returns its id.
    async fn object_of(&self, line: &Line, owner: Role) -> String {
        let owner = self.caller(owner);
        match line.path.as_str() {
            "/users/{id}" => owner.id.clone(),
            path if path.starts_with("/users/{id}/") => {
                self.app.customer(&self.fresh_name()).await.id
            }
            "/api-keys/{id}" => {
                text(&owner.makes_key("x", &["orders:read"]).await, "id").to_owned()
            }
            "/sessions/{id}" => {
                let extra = self.app.signed_in(&owner.username).await;
                let list = extra.get("/sessions").send().await.json();
                let sessions = list["items"].as_array().unwrap();
                let current = sessions.iter().find(|session| session["current"] == true).unwrap();
                text(current, "id").to_owned()
            }
            path if path.starts_with("/orders/{id}") => {
                let id = owner.places_order("12.50").await;
                if path.ends_with("/ship") {
                    self.machine.pay(&id).await.assert_status(200);
                }
                id
            }
            path if path.starts_with("/imports/{id}") => {
                let upload = self.machine.post("/imports").header("content-type", "text/csv");
                text(&upload.body(IMPORT).send().await.json(), "id").to_owned()
            }
            path if path.contains("{id}") => panic!("{path} is new: say here what it names"),
            _ => String::new(),
        }
    }
}

const ALL_SCOPES: &[&str] = &[
    "accounts:read",
    "accounts:write",
    "orders:read",
    "orders:write",
    "imports:write",
    "webhooks:write",
    "jobs:read",
    "jobs:write",
];

const IMPORT: &str = "reference,customer,currency,sku,quantity,unit_price\n";

#[track_caller]
fn read_line(line: &str) -> Line {
    let (method, rest) = line.split_once(' ').unwrap();
    let (path, rest) = rest.trim_start().split_once(' ').unwrap();
    let who = rest.trim_start().split("  ").next().unwrap();
    let who = who.split(" (").next().unwrap().trim_end_matches(", step-up");
    Line {
        method: method.parse().unwrap(),
        path: path.to_owned(),
        who: match who {
            "anyone" => Who::Anyone,
            "signed-in account" => Who::Account,
            "signed-in account, by a session" => Who::Session,
            "owner or operator" => Who::OwnerOrOperator,
            "operator" => Who::Operator,
            _ => panic!("{who:?} is new: say here whom that lets through"),
        },
    }
}

const MALFORMED: [&str; 9] = [
    "x",
    "no.id",
    "%00",
    "..%2f..",
    "0000000000000000000000000%20",
    "8zzzzzzzzzzzzzzzzzzzzzzzzz",
    "%ff",
    "iiiiiiiiiiiiiiiiiiiiiiiiii",
    "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
];
