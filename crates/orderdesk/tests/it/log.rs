//! What the log holds of what clients send, and of who they are.

use palisade_testing::raw;
use serde_json::{Value, json};

use crate::support::{API_KEY, PASSWORD, SECRET_KEY, Setup, TestService, order_body};

/// Ends the line, begins another one, colours it, turns it round; and the words to look for.
const INJECTION: &str = "x\r\n{\"level\":\"ERROR\",\"message\":\"INJECTED\"}\u{1b}[2K\u{9b}31m\
                         \u{202e}\u{2066}\u{2028}\u{2029}\u{85}\u{7f}\0";

#[tokio::test]
async fn a_line_injected_in_any_place_that_a_client_reaches_is_not_in_the_log() {
    for format in ["json", "text"] {
        let setup = Setup::default().setting("log.level", "trace").setting("log.format", format);
        let app = setup.setting("server.trusted_proxies", "127.0.0.1/32").start().await;

        let sent = inject_everywhere(&app).await;

        let said = finished(app).await;
        let lines: Vec<&str> = said.lines().filter(|line| !line.contains("listening")).collect();
        let requests = lines.iter().filter(|line| line.contains("palisade::access"));
        assert_eq!(requests.count(), sent, "{said}");
        assert!(!said.contains("INJECTED"), "{said}");
        assert!(!said.contains(|symbol: char| symbol != '\n' && !(' '..='~').contains(&symbol)));
        for line in lines {
            match format {
                "json" => assert!(object(line)["timestamp"].is_string(), "{line}"),
                _ => assert_eq!((line.as_bytes()[10], line.as_bytes()[23]), (b'T', b'Z'), "{line}"),
            }
        }
    }
}

/// Returns how many requests were answered.
async fn inject_everywhere(app: &TestService) -> usize {
    let client = app.client();
    let encoded: String = INJECTION.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let bodies = [
        ("/users", json!({"username": INJECTION, "email": INJECTION, "password": INJECTION})),
        ("/users", json!({INJECTION: INJECTION})),
        ("/sessions", json!({"username": INJECTION, "password": INJECTION})),
        ("/sessions", json!({"username": "ada", "password": "x", "device_token": INJECTION})),
        ("/orders", json!({"currency": INJECTION, "reference": INJECTION, "lines": [INJECTION]})),
        ("/orders/x/pay", json!({"payment_reference": INJECTION})),
    ];
    let mut sent = 0;
    for (path, body) in bodies {
        client.post(path).bearer(API_KEY).json(body).send().await;
        sent += 1;
    }
    for path in ["/", "/orders/", "/orders?cursor=", "/orders?status=", "/problems/", "/users/?"] {
        client.get(&format!("{path}{encoded}")).bearer(API_KEY).send().await;
        sent += 1;
    }
    for (place, value) in [
        ("Host", "x\" INJECTED"),
        ("User-Agent", INJECTION),
        ("X-Request-Id", "a\" INJECTED"),
        ("X-Request-Id", "\u{202e}INJECTED"),
        ("X-Forwarded-For", "1.1.1.1 INJECTED"),
        ("Authorization", "Bearer INJECTED\u{1b}[2K"),
        ("Content-Type", "INJECTED/\u{9b}"),
        ("INJECTED\u{1b}", "x"),
    ] {
        let bytes =
            format!("GET /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{place}: {value}");
        raw(app.service.public(), format!("{bytes}\r\n\r\n")).await;
        sent += 1;
    }
    for line in ["INJECTED /INJECTED HTTP/1.1", "GET /\u{202e}INJECTED HTTP/1.1", "INJECTED\u{1b}"]
    {
        raw(app.service.public(), format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        sent += 1;
    }
    sent
}

#[tokio::test]
async fn people_and_their_secrets_are_not_in_the_log_whatever_they_do() {
    let app = Setup::default().setting("log.level", "trace").start().await;
    let ada = app.customer("adalovelace").await;
    let token = ada.token.clone().unwrap();
    ada.post("/orders").json(order_body("12.50")).send().await.assert_status(201);
    app.sign_up("adalovelace").await.assert_status(409);
    app.sign_in("adalovelace", "not the password").await.assert_status(401);
    app.sign_in("not the password of ada", PASSWORD).await.assert_status(401);
    // Where they do not belong.
    for secret in [API_KEY, &token] {
        let path = format!("/orders/{secret}?cursor={secret}");
        app.machine().get(&path).header("x-request-id", secret).send().await;
    }

    let said = finished(app).await;

    for private in ["adalovelace", "@example", PASSWORD, "not the password", "ods_", API_KEY] {
        assert!(!said.contains(private), "{private} is in\n{said}");
    }
    assert!(!said.contains(SECRET_KEY) && !said.contains("12.50"), "{said}");
}

#[tokio::test]
async fn a_refused_sign_in_is_told_with_a_pseudonym_and_a_word_and_found_again_by_both() {
    let app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);
    app.sign_up("bob").await.assert_status(201);
    let disable = "UPDATE accounts SET disabled_at = 1 WHERE username = 'bob'";
    assert_eq!(app.folder.tamper(disable).unwrap(), 1);

    for (name, password) in [
        ("ada", "not the password"),
        (" ADA ", "not the password"),
        ("bob", PASSWORD),
        ("nobody", PASSWORD),
        ("no name of ours", PASSWORD),
    ] {
        app.sign_in(name, password).await.assert_status(401);
    }

    let lines: Vec<Value> = finished(app).await.lines().map(object).collect();
    let opened: Vec<&Value> =
        lines.iter().filter(|line| line["message"] == "an account was opened").collect();
    let refused: Vec<&Value> =
        lines.iter().filter(|line| line["message"] == "sign-in refused").collect();
    let reasons: Vec<&str> = refused.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        ["wrong_password", "wrong_password", "disabled", "unknown_name", "unknown_name"]
    );
    let [ada, bob] = [0, 1].map(|place| opened[place]["account"].as_str().unwrap());
    assert!(ada.starts_with('~') && ada.len() == 14 && ada != bob, "{ada} {bob}");
    let told: Vec<Option<&str>> = refused.iter().map(|line| line["account"].as_str()).collect();
    assert_eq!(told[..3], [Some(ada), Some(ada), Some(bob)]);
    assert!(told[3].is_some_and(|nobody| nobody != ada && nobody != bob));
    assert_eq!(told[4], None, "what no account can be called may be anything, a password too");
    assert!(refused.iter().all(|line| line["request_id"].as_str().unwrap().len() == 32));
    assert_eq!(opened[0]["account.id"].as_str().unwrap().len(), 26);
}

#[tokio::test]
async fn an_error_at_the_start_does_not_show_a_secret_that_a_setting_repeats() {
    let refused = Setup::default()
        .setting("tls.mode", "files")
        .setting("tls.certificate", &format!("/nowhere/{SECRET_KEY}.pem"))
        .setting("tls.key", "/nowhere/key.pem")
        .folder();

    let refused = refused.serve().run().await;

    let said = &refused.assert_code(1).stderr;
    assert!(said.contains("/nowhere/[redacted].pem") && !said.contains(SECRET_KEY), "{said}");
    assert!(said.contains("PAL116: tls.certificate (variable "), "{said}");
}

/// Ends the service and returns all that it said.
async fn finished(mut app: TestService) -> String {
    assert!(app.service.terminate().await.success());
    app.service.stderr()
}

#[track_caller]
fn object(line: &str) -> Value {
    serde_json::from_str(line).expect(line)
}

/// Whoever looks at the log of a service that starts must see what the check would have said.
#[tokio::test]
async fn an_error_that_does_not_stop_the_start_is_in_the_log_unless_it_was_silenced() {
    let wide = Setup::default().setting("server.trusted_proxies", "64.0.0.0/2");
    let app = wide.clone().start().await;
    let silenced = "PAL107: a test that nobody else can reach";
    let quiet = wide.setting("check.silenced", silenced).start().await;

    app.service.wait_for_line(|line| line.contains("\"code\":\"PAL107\"")).await;
    assert!(!quiet.service.stderr().contains("PAL107"), "{}", quiet.service.stderr());
}

#[tokio::test]
async fn a_name_that_moves_the_cursor_is_shown_as_what_it_is() {
    let folder = Setup::default().folder();

    let refused = folder.command(["import", "no/\u{1b}[31m\u{202e}x"]).run().await;

    let said = &refused.assert_code(1).stderr;
    assert!(said.contains("\\u{1b}[31m\\u{202e}x"), "{said}");
}
