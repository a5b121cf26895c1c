//! Orderdesk under test: the real program in a folder of its own, and people who use it.
//!
//! ```text
//! let app = TestService::start().await;
//! let ada = app.customer("ada").await;
//! let order = ada.places_order("12.50").await;
//! app.machine().pay(&order).await.assert_status(200);
//! ```

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use palisade_testing::{Call, Client, Program, Reply, Service};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support_postgresql::ServerDatabase;

/// A password that is good for every account.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// The machine operator's key of every test.
pub(crate) const API_KEY: &str = "0e17ANtzOYuuONzI8MsT_MJ8OkaMtCgOFHjBuF0nrnI";
/// The key ring of every test.
pub(crate) const SECRET_KEY: &str = "pL2f9Qx7Tz0wVb4RkNq8Yd3HsJm6CgEa1UoXiZ5_W-A";

/// The program itself, to run a command of it without a service: no arguments, no environment.
pub(crate) fn orderdesk() -> Program {
    Service::builder(Path::new(env!("CARGO_BIN_EXE_orderdesk")))
}

/// How a service is to be started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setup {
    environment: Vec<(String, String)>,
    file: Option<String>,
    is_dev: bool,
    user: Option<u32>,
    has_rates: bool,
    server: Option<String>,
    is_in_a_file: bool,
}

impl Setup {
    /// Keeps the data in a file, also where others use a server.
    pub(crate) fn in_a_file(self) -> Self {
        Self { is_in_a_file: true, ..self }
    }

    /// Keeps the data in a database of its own on this PostgreSQL server, whatever others use.
    pub(crate) fn on_server(self, server: &str) -> Self {
        Self { server: Some(server.to_owned()), ..self }
    }

    /// Overrides one setting, such as `("accounts.sign_up", "closed")`, by its variable.
    pub(crate) fn setting(self, name: &str, value: &str) -> Self {
        let variable = format!("ORDERDESK__{}", name.replace('.', "__").to_uppercase());
        self.variable(&variable, value)
    }

    /// Sets any variable; the last one of a name wins.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes `toml` as the settings file and gives it to every command.
    pub(crate) fn file(self, toml: &str) -> Self {
        Self { file: Some(toml.to_owned()), ..self }
    }

    /// Leaves the rate limits to the settings file and their defaults.
    pub(crate) fn with_rates(self) -> Self {
        Self { has_rates: true, ..self }
    }

    /// Starts with `--dev`: no secrets are given, TLS is on.
    pub(crate) fn dev(self) -> Self {
        Self { is_dev: true, ..self }
    }

    /// Runs everything as another user than root, who owns the folder; whoever is not root is one.
    pub(crate) fn by_somebody(self) -> Self {
        Self { user: is_root().then_some(SOMEBODY), ..self }
    }

    /// Makes the folder and starts the service in it.
    pub(crate) async fn start(self) -> TestService {
        let folder = self.folder();
        let service = folder.serve().start().await;
        TestService { service, folder }
    }

    /// Makes the folder without starting anything.
    pub(crate) fn folder(self) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        if let Some(toml) = &self.file {
            fs::write(folder.path().join(SETTINGS), toml).unwrap();
        }
        give(folder.path(), self.user);
        let program = self.user.map(|_| reachable_program());
        let on_a_server = match &self.server {
            Some(server) => Some(ServerDatabase::on(server)),
            None if self.is_dev || self.is_in_a_file => None,
            None => ServerDatabase::new(),
        };
        Folder { folder, setup: self, program, on_a_server }
    }
}

/// A folder with what a service needs to start, whether one runs there or not.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    setup: Setup,
    program: Option<TempDir>,
    on_a_server: Option<ServerDatabase>,
}

impl Folder {
    /// Tells whether the database is a server's: what is about files has nothing to test then.
    pub(crate) fn is_on_a_server(&self) -> bool {
        self.on_a_server.is_some()
    }

    /// Returns the database on a server.
    pub(crate) fn server_database(&self) -> &ServerDatabase {
        self.on_a_server.as_ref().expect("the setup or tests/postgresql.sh names a server")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns where the database is.
    pub(crate) fn database(&self) -> PathBuf {
        let data = if self.setup.is_dev { "orderdesk-data" } else { "" };
        self.path().join(data).join("orderdesk.db")
    }

    fn database_url(&self) -> String {
        match &self.on_a_server {
            Some(database) => database.url(),
            None => format!("sqlite://{}", self.database().display()),
        }
    }

    /// Has what starts here from now on use this address of the database.
    pub(crate) fn with_database(mut self, url: &str) -> Self {
        self.setup = self.setup.variable("DATABASE_URL", url);
        self
    }

    /// Describes `orderdesk serve` in this folder.
    pub(crate) fn serve(&self) -> Program {
        let serve = self.command(["serve"]);
        if self.setup.is_dev { serve.args(["--dev"]) } else { serve }
    }

    /// Describes a command with the settings and secrets of the service in this folder.
    pub(crate) fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Program {
        let mut command = match (&self.program, self.setup.user) {
            (Some(folder), Some(user)) => Service::builder(&folder.path().join(PROGRAM)).user(user),
            _ => orderdesk(),
        };
        command = command.args(args).dir(self.path());
        for (name, value) in self.environment() {
            command = command.env(name, value);
        }
        for (name, value) in &self.setup.environment {
            command = command.env(name, value);
        }
        if self.setup.file.is_some() {
            command = command.args(["--config", SETTINGS]);
        }
        command
    }

    /// Returns the variables that a service in this folder needs, before what the setup says.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut defaults = vec![
            ("ORDERDESK__SERVER__LISTEN", "127.0.0.1:0".to_owned()),
            ("ORDERDESK__SERVER__ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ];
        if let Some(mode) = sandbox_mode() {
            defaults.push(("ORDERDESK__SANDBOX__MODE", mode));
        }
        if !self.setup.has_rates {
            defaults.extend([
                ("ORDERDESK__RATE__PER_IP", "off".to_owned()),
                ("ORDERDESK__RATE__PER_ACCOUNT", "off".to_owned()),
                ("ORDERDESK__RATE__SIGN_UP", "off".to_owned()),
                ("ORDERDESK__RATE__LOGIN", "off".to_owned()),
            ]);
        }
        if !self.setup.is_dev {
            defaults.extend([
                ("DATABASE_URL", self.database_url()),
                ("API_KEY", API_KEY.to_owned()),
                ("SECRET_KEY", SECRET_KEY.to_owned()),
            ]);
        }
        defaults
    }

    /// Returns the value of a secret that is given as a variable.
    pub(crate) fn secret(&self, name: &str) -> String {
        let defaults = self.environment();
        let defaults = defaults.iter().map(|(known, value)| (*known, value.as_str()));
        let said = self.setup.environment.iter();
        let said = said.map(|(known, value)| (known.as_str(), value.as_str()));
        let mut all = said.rev().chain(defaults);
        let found = all.find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("{name} is not given")).1.to_owned()
    }

    /// Describes `user add`; its password still has to be given as input.
    pub(crate) fn user_add(&self, username: &str, role: &str) -> Program {
        let email = format!("{username}@example.com");
        let who = ["--username", username, "--email", &email, "--role", role];
        self.command(["user", "add"]).args(who)
    }

    /// Opens the database behind the service's back, to look or to tamper.
    pub(crate) fn open_database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.database()).unwrap()
    }

    /// Runs statements behind the service's back, however many.
    pub(crate) fn script(&self, sql: &str) {
        match &self.on_a_server {
            Some(database) => database.script(sql),
            None => self.open_database().execute_batch(sql).unwrap(),
        }
    }

    /// Asks the database for one number behind the service's back.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        match &self.on_a_server {
            Some(database) => database.number(sql),
            None => self.open_database().query_row(sql, [], |row| row.get(0)).unwrap(),
        }
    }

    /// Changes the database behind the service's back; returns how many rows were changed.
    pub(crate) fn tamper(&self, sql: &str) -> Result<usize, String> {
        match &self.on_a_server {
            Some(database) => database.change(sql),
            None => self.open_database().execute(sql, []).map_err(|error| error.to_string()),
        }
    }

    /// Returns the bytes of every file that the database consists of, the journal included; of a
    /// server's, a dump of it.
    pub(crate) fn database_bytes(&self) -> Vec<u8> {
        if let Some(database) = &self.on_a_server {
            return database.dump();
        }
        let folder = self.database().parent().unwrap().to_owned();
        let mut bytes = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("orderdesk.db") {
                bytes.extend(fs::read(path).unwrap());
            }
        }
        bytes
    }
}

/// Returns how much every service of every test locks itself down, if whoever runs the tests says so:
/// `ORDERDESK_TEST_SANDBOX=enforce`. Without it the default of the program is tested.
#[expect(
    clippy::disallowed_methods,
    reason = "what the tests are asked is no setting of a service"
)]
fn sandbox_mode() -> Option<String> {
    std::env::var("ORDERDESK_TEST_SANDBOX").ok()
}

/// Tells whether the tests run as root, who may become anybody.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives a file or folder to a user and the group of the same number.
pub(crate) fn give(path: &Path, user: Option<u32>) {
    if user.is_some() {
        std::os::unix::fs::chown(path, user, user).unwrap();
    }
}

/// Returns a folder with the program in it that everybody can reach: the checkout of whoever builds
/// it may be closed to others.
fn reachable_program() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (built, copy) = (env!("CARGO_BIN_EXE_orderdesk"), folder.path().join(PROGRAM));
    if fs::hard_link(built, &copy).is_err() {
        fs::copy(built, &copy).unwrap();
    }
    folder
}

/// A user and a group that are on no machine.
pub(crate) const SOMEBODY: u32 = 65_533;
const PROGRAM: &str = "orderdesk";

/// A running Orderdesk with an empty database; killed, and its folder removed, when dropped.
#[derive(Debug)]
pub(crate) struct TestService {
    // Before the folder: the process ends before its files go.
    pub(crate) service: Service,
    pub(crate) folder: Folder,
}

impl TestService {
    /// Starts one with the defaults but free ports and no rate limits.
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    /// Returns a client of the public listener, without credentials.
    pub(crate) fn client(&self) -> Client {
        if self.folder.setup.is_dev {
            let certificate = self.folder.path().join("orderdesk-data/certificate.pem");
            return Client::https(self.service.public(), &fs::read(certificate).unwrap()).unwrap();
        }
        Client::http(self.service.public())
    }

    /// Returns a client of the admin listener.
    pub(crate) fn admin(&self) -> Client {
        Client::http(self.service.admin())
    }

    /// Returns somebody without credentials.
    pub(crate) fn nobody(&self) -> Caller {
        Caller { client: self.client(), token: None, id: String::new(), username: String::new() }
    }

    /// Returns somebody with `token`, whatever it is.
    pub(crate) fn bearer(&self, token: &str) -> Caller {
        Caller { token: Some(token.to_owned()), ..self.nobody() }
    }

    /// Returns the machine operator: `API_KEY` as the bearer token.
    pub(crate) fn machine(&self) -> Caller {
        self.bearer(API_KEY)
    }

    /// Signs `username` up and in.
    pub(crate) async fn customer(&self, username: &str) -> Caller {
        let signed_up = self.sign_up(username).await;
        signed_up.assert_status(201);
        self.signed_in(username).await
    }

    /// Adds an operator with the command, beside the running service, and signs it in.
    pub(crate) async fn operator(&self, username: &str) -> Caller {
        let add = self.folder.user_add(username, "operator");
        add.input(format!("{PASSWORD}\n")).run().await.assert_code(0);
        self.signed_in(username).await
    }

    /// Asks for an account as anybody may.
    pub(crate) async fn sign_up(&self, username: &str) -> Reply {
        self.client().post("/users").json(sign_up_body(username)).send().await
    }

    /// Asks for a session with a password.
    pub(crate) async fn sign_in(&self, username: &str, password: &str) -> Reply {
        let body = json!({"username": username, "password": password});
        self.client().post("/sessions").json(body).send().await
    }

    /// Opens a session of an account that has [`PASSWORD`].
    pub(crate) async fn signed_in(&self, username: &str) -> Caller {
        let session = self.sign_in(username, PASSWORD).await;
        session.assert_status(201);
        let caller = self.bearer(text(&session.json(), "token"));
        let account = caller.get("/users/me").send().await;
        account.assert_status(200);
        let (id, username) = (text(&account.json(), "id").to_owned(), username.to_owned());
        Caller { id, username, ..caller }
    }

    /// Returns the same caller, as a client of this service's present address.
    pub(crate) fn again(&self, caller: &Caller) -> Caller {
        Caller { client: self.client(), ..caller.clone() }
    }

    /// Ends the service politely and starts it again on what it left; callers need [`Self::again`].
    pub(crate) async fn restart(&mut self) {
        assert!(self.service.terminate().await.success(), "{}", self.service.stderr());
        self.service = self.folder.serve().start().await;
    }

    /// Kills the service, as a power loss would, and starts it again on what it left.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.service.kill().await;
        self.service = self.folder.serve().start().await;
    }
}

/// Somebody who talks to the service.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) token: Option<String>,
    /// The account's id; empty for nobody and the machine operator.
    pub(crate) id: String,
    pub(crate) username: String,
}

impl Caller {
    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.authorized(self.client.get(path))
    }

    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        self.authorized(self.client.post(path))
    }

    pub(crate) fn put(&self, path: &str) -> Call<'_> {
        self.authorized(self.client.put(path))
    }

    pub(crate) fn delete(&self, path: &str) -> Call<'_> {
        self.authorized(self.client.delete(path))
    }

    /// Adds the caller's credential to a call of its client.
    pub(crate) fn authorized<'a>(&'a self, call: Call<'a>) -> Call<'a> {
        match &self.token {
            Some(token) => call.bearer(token),
            None => call,
        }
    }

    /// Places an order of one piece at `unit_price` in EUR and returns its id.
    pub(crate) async fn places_order(&self, unit_price: &str) -> String {
        let placed = self.post("/orders").json(order_body(unit_price)).send().await;
        placed.assert_status(201);
        text(&placed.json(), "id").to_owned()
    }

    pub(crate) async fn order(&self, id: &str) -> Reply {
        self.get(&format!("/orders/{id}")).send().await
    }

    pub(crate) async fn pay(&self, id: &str) -> Reply {
        let body = json!({"payment_reference": "pi_3Nk1"});
        self.post(&format!("/orders/{id}/pay")).json(body).send().await
    }

    pub(crate) async fn ship(&self, id: &str) -> Reply {
        self.post(&format!("/orders/{id}/ship")).send().await
    }

    pub(crate) async fn cancel(&self, id: &str) -> Reply {
        self.post(&format!("/orders/{id}/cancel")).send().await
    }
}

/// Returns what somebody sends to sign up, all of it good.
pub(crate) fn sign_up_body(username: &str) -> Value {
    let email = format!("{username}@example.com");
    json!({"username": username, "email": email, "password": PASSWORD})
}

/// Returns an order of one piece at `unit_price` in EUR.
pub(crate) fn order_body(unit_price: &str) -> Value {
    let line = json!({"sku": "TEA-100", "quantity": 1, "unit_price": unit_price});
    json!({"currency": "EUR", "lines": [line]})
}

/// Returns the text member `name` of `value`.
#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    match value.get(name).and_then(Value::as_str) {
        Some(text) => text,
        None => panic!("no text {name:?} in {value}"),
    }
}

/// Returns `(pointer, code)` of every violation that a problem document names, sorted.
#[track_caller]
pub(crate) fn violations(reply: &Reply) -> Vec<(String, String)> {
    assert_eq!(reply.problem_code(), "validation_failed");
    let body = reply.json();
    let errors = body["errors"].as_array().expect("errors");
    let pair = |error: &Value| (text(error, "pointer").to_owned(), text(error, "code").to_owned());
    let mut pairs: Vec<_> = errors.iter().map(pair).collect();
    pairs.sort();
    pairs
}

/// Asserts that two answers differ in nothing but the request id and the time of day.
#[track_caller]
pub(crate) fn assert_same_answer(left: &Reply, right: &Reply) {
    assert_eq!(everything_but_the_request_id(left), everything_but_the_request_id(right));
}

fn everything_but_the_request_id(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<_> = reply
        .headers()
        .iter()
        .filter(|(name, _)| *name != "x-request-id" && *name != "date")
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    headers.sort();
    (reply.status(), headers, reply.without_request_id())
}

const SETTINGS: &str = "orderdesk.toml";
