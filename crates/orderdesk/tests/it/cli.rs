//! The commands as a person or a script uses them: what they say, where, and how they end.

use std::collections::BTreeSet;

use palisade_testing::Finished;
use serde_json::{Value, json};

use crate::support::{PASSWORD, Setup, TestService, orderdesk};

const COMMANDS: [&[&str]; 13] = [
    &[],
    &["serve"],
    &["migrate"],
    &["config"],
    &["config", "show"],
    &["config", "example"],
    &["secret"],
    &["secret", "new"],
    &["user"],
    &["user", "add"],
    &["routes"],
    &["openapi"],
    &["health"],
];

#[tokio::test]
async fn every_command_explains_itself() {
    for command in COMMANDS {
        let help = run(&[command, &["--help"]].concat()).await;

        help.assert_code(0);
        assert!(help.stdout.contains("Usage: orderdesk"), "{command:?}: {}", help.stdout);
        assert_eq!(help.stderr, "", "{command:?}");
    }
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_is_told_on_standard_error_only() {
    for wrong in [
        &[][..],
        &["frobnicate"],
        &["--frobnicate"],
        &["serve", "--frobnicate"],
        &["serve", "surplus"],
        &["config"],
        &["user", "add"],
        &["user", "add", "--username", "a", "--email", "a@b", "--role", "king"],
        &[
            "user",
            "add",
            "--username",
            "a",
            "--email",
            "a@b",
            "--role",
            "customer",
            "--password",
            "x",
        ],
        &["health", "--url", "ftp://127.0.0.1:1"],
    ] {
        let finished = run(wrong).await;

        finished.assert_code(2);
        assert_eq!(finished.stdout, "", "{wrong:?}");
        assert!(
            finished.stderr.contains("Usage") || finished.stderr.contains("--help"),
            "{wrong:?}"
        );
    }
}

#[tokio::test]
async fn a_refusal_ends_with_1_and_is_told_on_standard_error_only() {
    for refused in [
        &["serve", "--config", "missing.toml"][..],
        &["migrate"],
        &["config", "show", "--config", "."],
        &["health", "--url", "http://127.0.0.1:1"],
    ] {
        let finished = run(refused).await;

        finished.assert_code(1);
        assert_eq!(finished.stdout, "", "{refused:?}");
        assert!(finished.stderr.starts_with("orderdesk: "), "{refused:?}: {}", finished.stderr);
    }
}

#[tokio::test]
async fn new_secrets_are_good_for_every_key_and_the_help_says_how_to_keep_them() {
    let make = async || run(&["secret", "new"]).await.assert_code(0).stdout.trim_end().to_owned();
    let (api_key, secret_key, previous) = (make().await, make().await, make().await);
    let setup = Setup::default()
        .variable("API_KEY", &api_key)
        .variable("SECRET_KEY", &secret_key)
        .variable("SECRET_KEY_PREVIOUS", &previous);

    let app = setup.start().await;
    let help = run(&["secret", "new", "--help"]).await.assert_code(0).stdout.clone();

    app.bearer(&api_key).get("/users").send().await.assert_status(200);
    assert!(help.contains("umask 077; orderdesk secret new > FILE"), "{help}");
}

#[tokio::test]
async fn every_new_secret_is_another_32_random_bytes() {
    let (one, other) = (run(&["secret", "new"]).await, run(&["secret", "new"]).await);

    for printed in [&one, &other] {
        let secret = printed.assert_code(0).stdout.strip_suffix('\n').unwrap();
        assert_eq!(secret.len(), 43);
        assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }
    assert_ne!(one.stdout, other.stdout);
    let keys = Setup::default()
        .variable("API_KEY", one.stdout.trim_end())
        .variable("SECRET_KEY", other.stdout.trim_end());
    let app = keys.start().await;
    let machine = app.bearer(one.stdout.trim_end());
    machine.get("/users").send().await.assert_status(200);
}

#[tokio::test]
async fn an_account_is_added_beside_a_running_service_also_with_a_reserved_name() {
    let app = TestService::start().await;

    for (name, role) in [("operator", "operator"), ("root", "customer")] {
        let add = app.folder.user_add(name, role).input(format!("{PASSWORD}\n"));
        assert!(add.run().await.assert_code(0).stdout.contains(name));

        let caller = app.signed_in(name).await;
        let account = caller.get("/users/me").send().await.json();
        assert_eq!(account["role"], role);
    }
}

#[tokio::test]
async fn an_account_that_would_not_be_allowed_is_not_added() {
    let app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);
    let add = async |name: &str, password: &str| {
        app.folder.user_add(name, "customer").input(password.to_owned()).run().await
    };

    for (name, password, words) in [
        ("bob", "short", "15 to 256 characters"),
        ("bob", "passwordpassword", "many people use"),
        ("whatshallwecallher", "WhatShallWeCallHer", "username"),
        ("bob", "", "no password on standard input"),
        ("bob", "correct horse battery staple\nand more", "more than one line"),
        ("ADA", PASSWORD, "ada is taken"),
        ("a b", PASSWORD, "--username"),
    ] {
        let refused = add(name, password).await;

        assert!(refused.assert_code(1).stderr.contains(words), "{}", refused.stderr);
        assert!(password.is_empty() || !refused.stderr.contains(password), "{}", refused.stderr);
    }
    let accounts = app.machine().get("/users").send().await.json();
    assert_eq!(accounts["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_password_comes_from_standard_input_and_from_nowhere_else() {
    let app = TestService::start().await;

    let add = app.folder.user_add("bob", "customer").env("PASSWORD", PASSWORD);
    let without_input = add.env("ORDERDESK_PASSWORD", PASSWORD).run().await;

    without_input.assert_code(1);
    app.sign_in("bob", PASSWORD).await.assert_status(401);
}

#[tokio::test]
async fn an_account_can_be_added_before_the_first_start() {
    let folder = Setup::default().folder();

    folder.user_add("ada", "customer").input(PASSWORD).run().await.assert_code(0);

    let migrated = folder.command(["migrate"]).run().await;
    assert_eq!(migrated.assert_code(0).stdout, "The database is up to date.\n");
}

#[tokio::test]
async fn adding_an_account_leaves_the_tables_alone_where_the_settings_say_so() {
    let folder = Setup::default().folder();
    let add = folder.user_add("ada", "customer").env("ORDERDESK__DATABASE__MIGRATE", "false");

    let refused = add.input(PASSWORD).run().await;

    assert!(refused.assert_code(1).stderr.contains("orderdesk migrate"), "{}", refused.stderr);
}

#[tokio::test]
async fn migrating_twice_changes_nothing_the_second_time() {
    let folder = Setup::default().folder();

    let first = folder.command(["migrate"]).run().await;
    let second = folder.command(["migrate"]).run().await;

    let count = folder.number("SELECT count(*) FROM palisade_migrations");
    assert!(count > 2);
    assert_eq!(first.assert_code(0).stdout, format!("{count} migrations were applied.\n"));
    assert_eq!(second.assert_code(0).stdout, "The database is up to date.\n");
    folder.serve().start().await;
}

#[tokio::test]
async fn migrating_may_go_on_beside_a_running_service() {
    let app = TestService::start().await;

    let migrated = app.folder.command(["migrate"]).run().await;

    migrated.assert_code(0);
    app.sign_up("ada").await.assert_status(201);
}

#[tokio::test]
async fn an_older_database_is_refused_when_the_settings_say_not_to_change_it() {
    let folder = Setup::default().setting("database.migrate", "false").folder();

    let refused = folder.serve().run().await;

    assert!(refused.assert_code(1).stderr.contains("orderdesk migrate"), "{}", refused.stderr);
    folder.command(["migrate"]).run().await.assert_code(0);
    folder.serve().start().await;
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let mut app = TestService::start().await;
    app.service.terminate().await;
    let known = "SELECT max(version) FROM palisade_migrations WHERE component = 'orderdesk'";
    let known = app.folder.number(known);
    let from_the_future = format!(
        "INSERT INTO palisade_migrations VALUES ('orderdesk', {known} + 1, 'future', 'x', 0)"
    );
    app.folder.tamper(&from_the_future).unwrap();

    let serve = app.folder.serve().run().await;
    let migrate = app.folder.command(["migrate"]).run().await;
    let add = app.folder.user_add("ada", "customer").input(PASSWORD).run().await;

    for refused in [serve, migrate, add] {
        let said = &refused.assert_code(1).stderr;
        let both = format!("version {}, this program knows {known}", known + 1);
        assert!(said.contains(&both), "{said}");
    }
}

#[tokio::test]
async fn a_second_service_on_the_same_database_is_refused() {
    let mut app = TestService::start().await;
    if app.folder.is_on_a_server() {
        return println!("skipped: a server is for several");
    }

    let second = app.folder.serve().run().await;

    let said = &second.assert_code(1).stderr;
    assert!(said.contains("another process already serves"), "{said}");
    app.sign_up("ada").await.assert_status(201);
    app.service.kill().await;
    app.folder.serve().start().await;
}

#[tokio::test]
async fn health_tells_whether_the_admin_listener_says_ready() {
    let mut app = TestService::start().await;
    let url = format!("http://{}", app.service.admin());
    let ask = async || run(&["health", "--url", &url]).await;

    let healthy = ask().await;
    app.service.terminate().await;
    let gone = ask().await;

    assert_eq!(healthy.assert_code(0).stdout, "ready\n");
    assert!(gone.assert_code(1).stderr.contains("no answer"), "{}", gone.stderr);
}

#[tokio::test]
async fn health_asks_where_the_settings_say_unless_it_is_told() {
    let app = TestService::start().await;
    let listen = app.service.admin().to_string();
    let elsewhere = app.service.public().to_string();

    let health = |address: &str| {
        orderdesk().args(["health"]).env("ORDERDESK__SERVER__ADMIN_LISTEN", address).run()
    };

    health(&listen).await.assert_code(0);
    health(&elsewhere).await.assert_code(1);
}

#[tokio::test]
async fn the_printed_document_is_the_served_one() {
    let app = TestService::start().await;

    let printed = app.folder.command(["openapi"]).run().await;
    let served = app.client().get("/openapi.json").send().await;

    let printed: Value = serde_json::from_str(&printed.assert_code(0).stdout).unwrap();
    assert_eq!(printed, served.assert_status(200).json());
    assert!(printed["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[tokio::test]
async fn the_route_table_and_the_document_list_the_same() {
    let routes = run(&["routes"]).await;
    let document: Value = serde_json::from_str(&run(&["openapi"]).await.stdout).unwrap();

    let listed: BTreeSet<(String, String)> = routes
        .assert_code(0)
        .stdout
        .lines()
        .map(|line| {
            let mut columns = line.split_whitespace();
            (columns.next().unwrap().to_owned(), columns.next().unwrap().to_owned())
        })
        .collect();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
            methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(listed, described);
    assert_eq!(listed.len(), routes.stdout.lines().count());
}

#[tokio::test]
async fn the_columns_of_the_route_table_stand_below_each_other() {
    let table = run(&["routes"]).await.stdout;

    let starts: BTreeSet<_> = table.lines().map(|line| line.find('/').unwrap()).collect();

    assert_eq!(starts.len(), 1, "{table}");
}

#[tokio::test]
async fn a_request_in_flight_is_finished_after_sigterm_and_new_ones_are_refused() {
    let mut app = TestService::start().await;
    let ada = app.customer("ada").await;
    let (public, admin, id) = (app.client(), app.admin(), ada.id.clone());
    let body =
        json!({"currency": "EUR", "lines": [{"sku": "A", "quantity": 1, "unit_price": "1.00"}]});
    let mut slow = SlowOrder::begin(&app, ada.token.as_deref().unwrap(), &body.to_string()).await;

    let end = app.service.terminate();
    let meanwhile = async {
        while admin.get("/ready").send().await.status() != 503 {
            tokio::task::yield_now().await;
        }
        let live = admin.get("/live").send().await.status();
        let refused = public.get("/openapi.json").try_send().await;
        (live, refused.map(|reply| reply.status()).unwrap_or(503), slow.finish().await)
    };
    let (ended, (live, refused, answer)) = tokio::join!(end, meanwhile);

    assert_eq!((live, refused), (200, 503));
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(ended.code(), Some(0));
    app.service = app.folder.serve().start().await;
    let orders = app.again(&ada).get("/orders").send().await.json();
    assert_eq!(orders["items"][0]["customer_id"], id);
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_when_the_time_to_drain_is_over() {
    let setup = Setup::default().setting("shutdown.drain", "100ms");
    let mut app = setup.start().await;
    let ada = app.customer("ada").await;
    let _stuck = SlowOrder::begin(&app, ada.token.as_deref().unwrap(), "{ }").await;

    let ended = app.service.terminate().await;

    assert_eq!(ended.code(), Some(0), "{}", app.service.stderr());
}

/// A `POST /orders` of which the last byte of the body has not been sent.
struct SlowOrder {
    stream: tokio::net::TcpStream,
    last: u8,
}

impl SlowOrder {
    async fn begin(app: &TestService, token: &str, body: &str) -> Self {
        use tokio::io::AsyncWriteExt as _;

        let (last, first) = body.as_bytes().split_last().unwrap();
        let address = app.service.public();
        let head = format!(
            "POST /orders HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(&[head.as_bytes(), first].concat()).await.unwrap();
        // An answer to a later request: the service has had this one in its hands.
        app.client().get("/openapi.json").send().await.assert_status(200);
        Self { stream, last: *last }
    }

    async fn finish(&mut self) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        self.stream.write_all(&[self.last]).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

async fn run(args: &[&str]) -> Finished {
    orderdesk().args(args.iter().copied()).run().await
}

#[tokio::test]
async fn a_command_that_handles_secrets_writes_no_core_file() {
    let folder = Setup::default().folder();
    let mut child = tokio::process::Command::new("/bin/sh")
        .args(["-c", "ulimit -S -c unlimited 2>/dev/null; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_orderdesk"))
        .args(["user", "add", "--username", "ada", "--email", "ada@example.com"])
        .args(["--role", "customer"])
        .envs(folder.environment())
        .stdin(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", child.id().unwrap());
    let most = || {
        let limits = std::fs::read_to_string(&limits).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        line.split_whitespace().skip(4).take(2).map(str::to_owned).collect::<Vec<_>>()
    };

    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while most() != ["0", "0"] {
        assert!(std::time::Instant::now() < until, "it waits for a password with {:?}", most());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    child.kill().await.unwrap();
}
