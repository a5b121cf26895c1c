//! Settings and secrets: where they come from, and what stops the start.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use palisade_testing::{Finished, Program};

use crate::support::{API_KEY, Folder, PASSWORD, SECRET_KEY, Setup, TestService, orderdesk, text};

#[tokio::test]
async fn every_setting_is_shown_with_its_value_and_where_it_comes_from() {
    let file = "[limits]\nbody_bytes = 1024\n\n[accounts]\nsign_up = \"closed\"\n";
    let folder = folder_with(&[("orderdesk.toml", file)]);
    let show =
        orderdesk().args(["config", "show", "--config", "orderdesk.toml"]).dir(folder.path());

    let shown = show
        .env("ORDERDESK__LIMITS__BODY_BYTES", "2KiB")
        .env("ORDERDESK__SESSIONS__IDLE", "5m")
        .env("API_KEY", API_KEY)
        .env("SECRET_KEY", SECRET_KEY)
        .env("DATABASE_URL", "sqlite:///nowhere/orderdesk.db")
        .run()
        .await;

    let lines: Vec<_> = shown.assert_code(0).stdout.lines().collect();
    for expected in [
        "server.listen = \"127.0.0.1:8443\"   # default",
        "server.admin_listen = \"127.0.0.1:9443\"   # default",
        "limits.body_bytes = \"2KiB\"   # variable ORDERDESK__LIMITS__BODY_BYTES",
        "accounts.sign_up = \"closed\"   # orderdesk.toml:5",
        "sessions.idle = \"5m\"   # variable ORDERDESK__SESSIONS__IDLE",
        "API_KEY = [redacted]   # from the variable API_KEY",
        "DATABASE_URL = [redacted]   # from the variable DATABASE_URL",
    ] {
        assert!(lines.contains(&expected), "{expected}\n{}", shown.stdout);
    }
    assert!(!shown.stdout.contains(API_KEY) && !shown.stdout.contains("nowhere"));
}

#[tokio::test]
async fn a_service_does_what_its_settings_file_says_unless_a_variable_says_otherwise() {
    let file = "[accounts]\nsign_up = \"closed\"\n\n[limits]\nbody_bytes = 200\n";
    let app = Setup::default().file(file).setting("limits.body_bytes", "300").start().await;

    let closed = app.sign_up("ada").await;
    let machine = app.machine();
    let send = async |body: String| {
        let call = machine.post("/users").header("content-type", "application/json");
        call.body(body).send().await
    };
    let (within, over) = (send("x".repeat(300)).await, send("x".repeat(301)).await);

    closed.assert_status(401);
    over.assert_status(413);
    assert_eq!(within.assert_status(400).problem_code(), "malformed_body");
}

#[tokio::test]
async fn the_example_reads_back_as_the_defaults() {
    let example = orderdesk().args(["config", "example"]).run().await.assert_code(0).stdout.clone();
    let uncommented: String =
        example.lines().map(|line| format!("{}\n", uncommented(line))).collect();
    let folder = folder_with(&[("as-it-is.toml", &example), ("uncommented.toml", &uncommented)]);
    let show = async |args: &[&str]| {
        let args = [&["config", "show"], args].concat();
        values(&orderdesk().args(args).dir(folder.path()).run().await)
    };

    let defaults = show(&[]).await;

    assert_eq!(show(&["--config", "as-it-is.toml"]).await, defaults);
    assert_eq!(show(&["--config", "uncommented.toml"]).await, defaults);
    assert!(defaults.len() > 30);
    let is_setting = |line: &&str| !line.starts_with(['#', '[']) && line.contains(" = ");
    assert_eq!(uncommented.lines().filter(is_setting).count(), defaults.len());
}

#[tokio::test]
async fn all_mistakes_are_told_at_once_with_file_and_line() {
    let file = "[server]\nlisten = \"nowhere\"\nlisen = \"127.0.0.1:1\"\n\n[limits]\n\
                body_bytes = \"lots\"\nconnections = 0\n\n[nothing]\nx = 1\n";
    let folder = folder_with(&[("orderdesk.toml", file)]);

    for command in [&["serve"][..], &["migrate"], &["config", "show"], &["routes"]] {
        let args = [command, &["--config", "orderdesk.toml"]].concat();
        let with_variables = orderdesk()
            .args(args)
            .dir(folder.path())
            .env("ORDERDESK__SESSIONS__IDLE", "soon")
            .env("ORDERDESK__LIMTS__BODY_BYTES", "1");
        let refused = with_variables.run().await;

        let said = &refused.assert_code(1).stderr;
        for expected in [
            "orderdesk.toml:2: server.listen",
            "orderdesk.toml:3: unknown key lisen in [server], did you mean `listen`?",
            "orderdesk.toml:6: limits.body_bytes",
            "orderdesk.toml:7: limits.connections",
            "orderdesk.toml:9: unknown section [nothing]",
            "variable ORDERDESK__SESSIONS__IDLE",
            "variable ORDERDESK__LIMTS__BODY_BYTES",
        ] {
            assert!(said.contains(expected), "{expected}\n{said}");
        }
        let is_shown = refused.stdout.contains("accounts.sign_up = \"open\"   # default");
        assert_eq!(is_shown, command == ["config", "show"], "what is right is shown there");
        assert!(!refused.stdout.contains("server.listen ="), "{}", refused.stdout);
    }
}

#[tokio::test]
async fn mistakes_of_settings_secrets_and_addresses_are_told_in_one_run() {
    let file = "[passwords]\nmemory_kib = 1\n";
    let folder = Setup::default().file(file).setting("sessions.idle", "soon").folder();
    let key = write_secret(&folder, "key", API_KEY, 0o644);

    let several = folder.serve().env("SECRET_KEY", "Zm9vYmFyMTIz").env("API_KEY_FILE", &key);
    let several = several.run().await;
    let exposed = Setup::default().setting("server.listen", "0.0.0.0:0,[::]:0").folder();
    let exposed = exposed.serve().env("SECRET_KEY", "Zm9vYmFyMTIz").run().await;

    let said = &several.assert_code(1).stderr;
    for expected in [
        "PAL101: orderdesk.toml:2: passwords.memory_kib: expected a whole number",
        "variable ORDERDESK__SESSIONS__IDLE: sessions.idle: expected a duration",
        "\nPAL206: SECRET_KEY: the key is shorter",
        "the secret API_KEY in the file",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert_eq!(said.lines().count(), 5, "the heading and a line for each mistake\n{said}");
    let said = &exposed.assert_code(1).stderr;
    for expected in ["server.listen = \"0.0.0.0:0\"", "server.listen = \"[::]:0\"", "SECRET_KEY:"] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}

#[tokio::test]
async fn a_secret_in_the_settings_is_refused_and_not_repeated() {
    for section in ["[server]\n", "[database]\n", ""] {
        let file = format!("{section}api_key = \"{API_KEY}\"\n");
        let folder = folder_with(&[("orderdesk.toml", &file)]);
        let show = orderdesk().args(["config", "show", "--config", "orderdesk.toml"]);

        let refused = show.dir(folder.path()).run().await;

        let said = &refused.assert_code(1).stderr;
        assert!(said.contains("orderdesk.toml:") && !said.contains(API_KEY), "{said}");
    }
}

#[tokio::test]
async fn a_missing_secret_is_one_of_the_mistakes_that_are_shown_beside_what_is_in_force() {
    let show = orderdesk().args(["config", "show"]).env("API_KEY", API_KEY);

    let shown = show.env("ORDERDESK__SESSIONS__IDLE", "soon").run().await;

    let said = &shown.assert_code(1).stderr;
    for expected in [
        "sessions.idle: expected",
        "PAL201: the secret DATABASE_URL",
        "PAL201: the secret SECRET_KEY",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert!(!said.contains("secret API_KEY"), "{said}");
    assert!(shown.stdout.contains("API_KEY = [redacted]   # from the variable API_KEY\n"));
}

#[tokio::test]
async fn each_wrong_element_of_a_list_is_told_with_its_place_and_no_more_than_a_few() {
    let file = "[server]\nlisten = [\"127.0.0.1:0\", \"nowhere\", 7]\ntrusted_proxies = \
                [\"postgres://me:hunter2@host\", \"10.0.0.0/8\"]\n";
    let many = vec!["x"; 500].join(",");
    let folder = Setup::default().file(file).folder();
    let command = orderdesk().args(["config", "show", "--config", "orderdesk.toml"]);

    let refused = command.dir(folder.path()).env("ORDERDESK__SERVER__TRUSTED_PROXIES", many);
    let refused = refused.run().await;

    let said = &refused.assert_code(1).stderr;
    for expected in [
        "orderdesk.toml:2: server.listen: expected an address and a port",
        "found \"nowhere\" (element 2), 7 (element 3)",
        "orderdesk.toml:3: server.trusted_proxies: expected a list",
        "may hold a secret (element 1)",
        "TRUSTED_PROXIES: server.trusted_proxies: expected a list",
        "\"x\" (element 8), and 492 more that are wrong",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert!(!said.contains("hunter2") && !said.contains("(element 9)"), "{said}");
}

#[tokio::test]
async fn both_files_of_a_certificate_that_are_missing_are_told_where_they_are_demanded() {
    let file = "[server]\n\n[tls]\nmode = \"files\"\n";
    let folder = folder_with(&[("orderdesk.toml", file)]);
    let serve = || orderdesk().args(["serve", "--config", "orderdesk.toml"]).dir(folder.path());

    let in_file = serve().run().await;
    let emptied = serve().env("ORDERDESK__TLS__KEY", "").run().await;

    for key in ["certificate", "key"] {
        let expected = format!(
            "orderdesk.toml:4: tls.{key}: expected the path of a PEM file, because tls.mode = \
             \"files\" needs it, found nothing"
        );
        assert!(in_file.assert_code(1).stderr.contains(&expected), "{}", in_file.stderr);
    }
    assert!(emptied.stderr.contains("variable ORDERDESK__TLS__KEY: tls.key"), "{}", emptied.stderr);
    assert!(!in_file.stderr.contains("default"), "{}", in_file.stderr);
}

#[tokio::test]
async fn what_is_a_section_and_written_as_something_else_is_told_as_that() {
    let file = "log = \"debug\"\n\n[[limits]]\nbody_bytes = 1\n\n[[limit]]\napi_key = \"x\"\n";
    let folder = folder_with(&[("orderdesk.toml", file)]);

    let show = orderdesk().args(["config", "show", "--config", "orderdesk.toml"]);
    let refused = show.dir(folder.path()).run().await;

    let said = &refused.assert_code(1).stderr;
    for expected in [
        "orderdesk.toml:1: log is a section: write `[log]` once",
        "orderdesk.toml:3: limits is a section: write `[limits]` once",
        "orderdesk.toml:6: unknown section [limit], did you mean `limits`?",
        "orderdesk.toml:7: limit.api_key looks like a secret",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}

#[tokio::test]
async fn an_empty_variable_means_none_or_an_empty_list_and_is_a_mistake_anywhere_else() {
    let file = "[server]\npublic_url = \"https://orders.example.com\"\n\
                trusted_proxies = [\"10.0.0.0/28\"]\n";
    let folder = Setup::default().file(file).folder();
    let show = || folder.command(["config", "show"]);

    let unset = show()
        .env("ORDERDESK__SERVER__PUBLIC_URL", "")
        .env("ORDERDESK__SERVER__TRUSTED_PROXIES", "");
    let unset = unset.run().await;
    let refused = show()
        .env("ORDERDESK__SERVER__LISTEN", "")
        .env("ORDERDESK__SESSIONS__IDLE", "")
        .env("ORDERDESK__LIMITS__CONNECTIONS", "")
        .env("ORDERDESK__LOG__LEVEL", "");
    let refused = refused.run().await;

    let shown = &unset.assert_code(0).stdout;
    for name in ["public_url = \"\"", "trusted_proxies = []"] {
        assert!(shown.contains(&format!("server.{name}   # variable")), "{name}\n{shown}");
    }
    let said = &refused.assert_code(1).stderr;
    for name in ["SERVER__LISTEN", "SESSIONS__IDLE", "LIMITS__CONNECTIONS", "LOG__LEVEL"] {
        assert!(said.contains(&format!("variable ORDERDESK__{name}: ")), "{name}\n{said}");
    }
}

#[tokio::test]
async fn missing_and_bad_secrets_are_told_at_once_and_not_repeated() {
    let serve = || orderdesk().args(["serve"]);

    let missing = serve().run().await;
    let bad = serve()
        .env("DATABASE_URL", "mysql://root:hunter2@localhost/orders")
        .env("API_KEY", "changeme-changeme-changeme-changeme-changeme-changeme")
        .env("SECRET_KEY", "Zm9vYmFyMTIz")
        .run()
        .await;

    for name in ["DATABASE_URL", "API_KEY", "SECRET_KEY"] {
        assert!(missing.assert_code(1).stderr.contains(&format!("secret {name} is missing")));
        assert!(bad.assert_code(1).stderr.contains(&format!("{name}: ")), "{}", bad.stderr);
    }
    for secret in ["hunter2", "changeme-", "Zm9v"] {
        assert!(!bad.stderr.contains(secret), "{}", bad.stderr);
    }
}

#[tokio::test]
async fn keys_that_a_machine_could_guess_are_refused() {
    for (key, words) in [
        ("q7Jx-2Lw9Zt5", "shorter than 32 bytes"),
        ("9f2ac4e17b035d8866f01b3ce94a72d5", "shorter than 32 bytes"),
        ("0000000000000000000000000000000000000000000000000000000000000000", "repeats"),
        ("REPLACE_ME_REPLACE_ME_REPLACE_ME_REPLACE_ME_", "placeholder"),
        ("not a key at all, but a sentence that somebody has typed", "key"),
    ] {
        let folder = Setup::default().variable("SECRET_KEY", key).folder();

        let refused = folder.serve().run().await;

        let said = &refused.assert_code(1).stderr;
        assert!(said.contains("SECRET_KEY") && said.contains(words), "{key}: {said}");
        assert!(!said.contains(key), "{said}");
        assert!(!folder.database().exists());
    }
    let same = Setup::default().variable("SECRET_KEY", API_KEY).folder().serve().run().await;
    assert!(same.assert_code(1).stderr.contains("the same"), "{}", same.stderr);
}

#[tokio::test]
async fn keys_may_be_written_in_hex() {
    let key = "9f2ac4e17b035d8866f01b3ce94a72d5108e3f6b57ac21d09be47f6d35c8a012";
    let app = Setup::default().variable("API_KEY", key).start().await;

    app.bearer(key).get("/users").send().await.assert_status(200);
    app.machine().get("/users").send().await.assert_status(401);
}

#[tokio::test]
async fn a_secret_file_that_others_can_open_is_refused_with_the_way_to_close_it() {
    for mode in [0o644, 0o640, 0o660, 0o602] {
        let folder = Setup::default().folder();
        let file = write_secret(&folder, "API_KEY", API_KEY, mode);

        let refused = serve_with_file(&folder, &file).run().await;

        let said = &refused.assert_code(1).stderr;
        assert!(said.contains("API_KEY") && said.contains("chmod 600"), "{mode:o}: {said}");
        assert!(!said.contains(API_KEY), "{said}");
    }
}

#[tokio::test]
async fn a_secret_comes_from_a_closed_file_also_through_a_link() {
    let folder = Setup::default().folder();
    let file = write_secret(&folder, "real", &format!("{API_KEY}\n"), 0o400);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();

    let service = serve_with_file(&folder, &link).start().await;

    let client = palisade_testing::Client::http(service.public());
    client.get("/users").bearer(API_KEY).send().await.assert_status(200);
}

#[tokio::test]
async fn a_secret_file_that_is_no_file_is_refused() {
    let folder = Setup::default().folder();

    let a_folder = serve_with_file(&folder, folder.path()).run().await;
    let nothing = serve_with_file(&folder, &folder.path().join("nothing")).run().await;

    assert!(a_folder.assert_code(1).stderr.contains("not a regular file"), "{}", a_folder.stderr);
    assert!(nothing.assert_code(1).stderr.contains("no such file"), "{}", nothing.stderr);
}

#[tokio::test]
async fn a_credentials_directory_gives_every_secret() {
    let folder = Setup::default().folder();
    let database = format!("sqlite://{}", folder.database().display());
    for (name, value) in
        [("DATABASE_URL", database.as_str()), ("API_KEY", API_KEY), ("SECRET_KEY", SECRET_KEY)]
    {
        write_secret(&folder, name, value, 0o440);
    }

    let serve = orderdesk()
        .args(["serve"])
        .dir(folder.path())
        .env("CREDENTIALS_DIRECTORY", folder.path())
        .env("ORDERDESK__SERVER__LISTEN", "127.0.0.1:0")
        .env("ORDERDESK__SERVER__ADMIN_LISTEN", "127.0.0.1:0");

    serve.start().await;
}

#[tokio::test]
async fn a_mount_as_kubernetes_makes_it_gives_every_secret() {
    let folder = Setup::default().folder();
    let mount = folder.path().join("mount");
    fs::create_dir_all(mount.join("..2026_11_23")).unwrap();
    fs::set_permissions(&mount, fs::Permissions::from_mode(0o1777)).unwrap();
    std::os::unix::fs::symlink("..2026_11_23", mount.join("..data")).unwrap();
    let database = format!("sqlite://{}", folder.database().display());
    for (name, value) in
        [("DATABASE_URL", database.as_str()), ("API_KEY", API_KEY), ("SECRET_KEY", SECRET_KEY)]
    {
        write_secret(&folder, &format!("mount/..2026_11_23/{name}"), value, 0o440);
        std::os::unix::fs::symlink(format!("..data/{name}"), mount.join(name)).unwrap();
    }
    let serve = || {
        orderdesk()
            .args(["serve"])
            .dir(folder.path())
            .env("CREDENTIALS_DIRECTORY", &mount)
            .env("ORDERDESK__SERVER__LISTEN", "127.0.0.1:0")
            .env("ORDERDESK__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
    };

    serve().start().await;

    // Anybody could now turn the links.
    fs::set_permissions(&mount, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = serve().run().await;
    assert!(refused.assert_code(1).stderr.contains("chmod go-w"), "{}", refused.stderr);
}

#[tokio::test]
async fn two_sources_of_one_secret_are_refused() {
    let folder = Setup::default().folder();
    let file = write_secret(&folder, "API_KEY", API_KEY, 0o600);

    let file_and_variable = folder.serve().env("API_KEY_FILE", &file).run().await;
    let all = folder.serve().env("CREDENTIALS_DIRECTORY", folder.path()).run().await;

    for refused in [file_and_variable, all] {
        let said = &refused.assert_code(1).stderr;
        assert!(said.contains("API_KEY is given twice"), "{said}");
        assert!(!said.contains(API_KEY), "{said}");
    }
}

#[tokio::test]
async fn during_a_rotation_both_keys_are_accepted() {
    let old = "v3Jr8wYt2LkQ9xHs5FbNc7Dm1ZaGe4PoUiTyRqWzKXE";
    let app = Setup::default().variable("API_KEY_PREVIOUS", old).start().await;

    for key in [API_KEY, old] {
        app.bearer(key).get("/users").send().await.assert_status(200);
    }
}

#[tokio::test]
async fn what_the_old_secret_key_sealed_is_still_good_during_a_rotation() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    for _ in 0..2 {
        ada.places_order("1.00").await;
    }
    let page = ada.get("/orders?limit=1").send().await.json();
    let next = format!("/orders?limit=1&cursor={}", text(&page, "next_cursor"));
    let TestService { mut service, folder } = app;
    service.terminate().await;
    let new_key = "v3Jr8wYt2LkQ9xHs5FbNc7Dm1ZaGe4PoUiTyRqWzKXE";

    let rotated = folder.serve().env("SECRET_KEY", new_key).env("SECRET_KEY_PREVIOUS", SECRET_KEY);
    let mut service = rotated.start().await;
    let ask = async |address| {
        let client = palisade_testing::Client::http(address);
        client.get(&next).bearer(ada.token.as_deref().unwrap()).send().await
    };
    ask(service.public()).await.assert_status(200);
    service.terminate().await;
    let service = folder.serve().env("SECRET_KEY", new_key).start().await;

    ask(service.public()).await.assert_status(400);
}

#[tokio::test]
async fn a_listener_off_loopback_needs_tls_or_a_declared_proxy() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let folder = Setup::default().setting("server.listen", address).folder();
        let refused = folder.serve().run().await;
        let said = &refused.assert_code(1).stderr;
        assert!(said.contains("server.listen") && said.contains("loopback"), "{said}");

        let self_signed = folder.serve().env("ORDERDESK__TLS__MODE", "self-signed").run().await;
        assert!(
            self_signed.assert_code(1).stderr.contains("self-signed"),
            "{}",
            self_signed.stderr
        );
        assert!(!folder.database().exists());
    }
    let behind_a_proxy = Setup::default()
        .setting("server.listen", "0.0.0.0:0")
        .setting("server.trusted_proxies", "192.0.2.0/24");
    behind_a_proxy.folder().serve().start().await;
}

#[tokio::test]
async fn the_admin_listener_stays_on_loopback() {
    for address in ["0.0.0.0:0", "192.0.2.1:0"] {
        let folder = Setup::default().setting("server.admin_listen", address).folder();

        let refused = folder.serve().run().await;

        assert!(refused.assert_code(1).stderr.contains("admin_listen"), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn password_hashing_below_the_floor_is_refused_before_anything_is_made() {
    for (key, value) in [("memory_kib", "19455"), ("memory_kib", "12288"), ("iterations", "1")] {
        let folder = Setup::default().setting(&format!("passwords.{key}"), value).folder();

        let refused = folder.serve().run().await;

        let said = &refused.assert_code(1).stderr;
        assert!(said.contains("PAL608: ") && said.contains("19456"), "{said}");
        assert!(!folder.database().exists());
    }
}

#[tokio::test]
async fn values_that_cannot_be_meant_stop_the_start() {
    for (setting, value) in [
        ("server.public_url", "not a url"),
        ("server.public_url", "ftp://orders.example.com"),
        ("sessions.idle", "13h"),
        ("passwords.memory_kib", "8"),
    ] {
        let folder = Setup::default().setting(setting, value).folder();

        let refused = folder.serve().run().await;

        let variable = format!("ORDERDESK__{}", setting.replace('.', "__").to_uppercase());
        assert!(refused.assert_code(1).stderr.contains(&variable), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn files_of_tls_that_are_missing_are_named() {
    let folder = Setup::default().setting("tls.mode", "files").folder();

    let unnamed = folder.serve().run().await;
    let certificate = folder.serve().env("ORDERDESK__TLS__CERTIFICATE", "none.pem");
    let missing = certificate.env("ORDERDESK__TLS__KEY", "none.key").run().await;

    assert!(unnamed.assert_code(1).stderr.contains("tls.certificate"), "{}", unnamed.stderr);
    assert!(missing.assert_code(1).stderr.contains("none."), "{}", missing.stderr);
}

#[tokio::test]
async fn the_listening_line_comes_whatever_is_logged() {
    let setup = Setup::default().setting("log.format", "text").setting("log.level", "error");

    let app = setup.start().await;

    let said = app.service.stderr();
    assert_eq!(said.lines().count(), 1, "{said}");
    let line: serde_json::Value = serde_json::from_str(said.trim_end()).unwrap();
    assert_eq!(line["message"], "listening");
    assert_eq!(line["public"], app.service.public().to_string());
    assert_eq!(line["admin"], app.service.admin().to_string());
}

#[tokio::test]
async fn no_secret_and_nothing_personal_is_logged() {
    let app = Setup::default().setting("log.level", "trace").start().await;
    let ada = app.customer("ada").await;
    app.sign_in("ada", "incorrect horse battery staple").await.assert_status(401);
    app.sign_up("ada").await.assert_status(409);
    app.bearer("ods_surely-not-a-token").get("/users/me?q=ada@example.com").send().await;
    ada.places_order("12.50").await;
    app.machine().get("/users").send().await.assert_status(200);

    let said = app.service.stderr();

    assert!(said.contains("/users"), "the log is empty");
    let token = ada.token.as_deref().unwrap();
    for private in [PASSWORD, "incorrect horse", "ada@", token, API_KEY, SECRET_KEY, "surely-not"] {
        assert!(!said.contains(private), "{private} is in the log");
    }
}

fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn write_secret(folder: &Folder, name: &str, value: &str, mode: u32) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, value).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// Describes a start where `API_KEY` is in `file` instead of the variable.
fn serve_with_file(folder: &Folder, file: &Path) -> Program {
    orderdesk()
        .args(["serve"])
        .dir(folder.path())
        .env("ORDERDESK__SERVER__LISTEN", "127.0.0.1:0")
        .env("ORDERDESK__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .env("DATABASE_URL", format!("sqlite://{}", folder.database().display()))
        .env("SECRET_KEY", SECRET_KEY)
        .env("API_KEY_FILE", file)
}

/// Takes the comment mark off a line that is a key of the example and not its description.
fn uncommented(line: &str) -> &str {
    match line.strip_prefix("# ") {
        Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| is_key(key)) => rest,
        _ => line,
    }
}

fn is_key(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Returns every setting that was shown, without where it comes from.
#[track_caller]
fn values(shown: &Finished) -> BTreeMap<String, String> {
    let setting = |line: &str| {
        let (setting, _) = line.split_once("   # ").unwrap();
        let (name, value) = setting.split_once(" = ").unwrap();
        (name.to_owned(), value.to_owned())
    };
    // Nobody gave it any secrets, and that is all that it has to say.
    let said = &shown.assert_code(1).stderr;
    assert_eq!(said.lines().count(), 4, "{said}");
    shown.stdout.lines().map(setting).collect()
}

#[tokio::test]
async fn a_secret_in_a_place_that_is_shown_is_refused_without_being_repeated() {
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\n";
    let long = "8oPFsB9GxK2m".repeat(30);
    for (variable, value, secret) in [
        ("ORDERDESK__TLS__KEY", key, "MC4CAQAwBQYDK2Vw"),
        ("ORDERDESK__SERVER__PUBLIC_URL", "https://u:hunter2hunter2@host", "hunter2"),
        ("ORDERDESK__SERVER__LISTEN", "postgres://u:hunter2hunter2@host/db", "hunter2"),
        ("API_KEY_FILE", &long, "8oPFsB9GxK2m"),
    ] {
        let folder = Setup::default().variable(variable, value).folder();

        for command in [&["serve"][..], &["config", "show"], &["check"]] {
            let refused = folder.command(command.iter().copied()).run().await;
            let said = format!("{}{}", refused.assert_code(1).stdout, refused.stderr);
            assert!(!said.contains(secret), "{variable}, {command:?}\n{said}");
        }
    }
}

#[tokio::test]
async fn a_variable_that_is_to_hold_a_secret_is_told_where_it_belongs() {
    for (variable, expected) in [
        ("ORDERDESK__DATABASE__PASSWORD", "PASSWORD_FILE"),
        ("ORDERDESK__LOG__TOKEN", "TOKEN_FILE"),
        ("ORDERDESK__LIMTS__BODY_BYTES", "did you mean `ORDERDESK__LIMITS__BODY_BYTES`?"),
        ("ORDERDESK__LOG_LEVEL", "did you mean `ORDERDESK__LOG__LEVEL`?"),
        ("ORDERDESK__SERVER_LISTN", "did you mean `ORDERDESK__SERVER__LISTEN`?"),
        ("ORDERDESK__LISTEN", "did you mean `ORDERDESK__SERVER__LISTEN`?"),
    ] {
        let folder = Setup::default().variable(variable, "s3cr3t").folder();

        let refused = folder.serve().run().await;

        let said = &refused.assert_code(1).stderr;
        assert!(said.contains(expected) && !said.contains("s3cr3t"), "{variable}\n{said}");
    }
}

#[tokio::test]
async fn a_secret_that_stands_in_a_setting_is_shown_by_no_command() {
    let key = crate::support::API_KEY;
    let silenced = format!("PAL701: because of {key}");
    let folder = Setup::default()
        .setting("check.silenced", &silenced)
        .setting("server.public_url", &format!("https://{key}.example.com"))
        .folder();

    for command in [&["config", "show"][..], &["check"], &["check", "--format", "json"]] {
        let shown = folder.command(command.iter().copied()).run().await;

        let said = format!("{}{}", shown.stdout, shown.stderr);
        assert!(said.contains("[redacted]") && !said.contains(key), "{command:?}: {said}");
    }
}

#[tokio::test]
async fn a_secret_behind_a_faulty_source_of_it_is_shown_by_no_mistake() {
    let key = crate::support::API_KEY;
    let folder = Setup::default()
        .file(&format!("[\"{key}\"]\n[rate]\n\"{key}\" = 1\n"))
        .variable("API_KEY_FILE", "/nowhere/at/all")
        .folder();

    for command in [&["config", "show"][..], &["check"], &["serve"]] {
        let refused = folder.command(command.iter().copied()).run().await;

        let said = format!("{}{}", refused.assert_code(1).stdout, refused.stderr);
        assert!(said.contains("unknown section") && !said.contains(key), "{command:?}: {said}");
    }
}

#[tokio::test]
async fn what_is_refused_beside_another_setting_is_not_shown_as_in_force() {
    let setup = Setup::default().setting("sessions.idle", "2h").setting("sessions.absolute", "1h");

    let shown = setup.folder().command(["config", "show"]).run().await;

    assert!(shown.assert_code(1).stderr.contains("sessions.idle"), "{}", shown.stderr);
    assert!(!shown.stdout.contains("sessions.idle = "), "{}", shown.stdout);
    assert!(shown.stdout.contains("log.level = "), "{}", shown.stdout);
}
