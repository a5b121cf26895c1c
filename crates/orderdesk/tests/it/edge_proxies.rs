//! Whom the service takes a request for when a proxy stands in front, and who can lie about it.

use crate::support::{Setup, TestService};

#[tokio::test]
async fn a_proxy_that_writes_the_standard_header_is_believed_in_that_one() {
    let app = Setup::default()
        .setting("rate.per_ip", "1/m burst 1")
        .setting("server.trusted_proxies", "127.0.0.1/32")
        .setting("server.forwarded_header", "forwarded")
        .start()
        .await;
    let asked_for = async |line| status_with(&app, &[("forwarded", line)]).await;

    assert_eq!(asked_for("for=192.0.2.1;proto=https").await, 200);
    assert_eq!(asked_for("For=\"192.0.2.2:4711\"").await, 200);
    assert_eq!(asked_for("for=\"[2001:db8::1]\", for=127.0.0.1").await, 200);

    assert_eq!(asked_for("for=203.0.113.1, for=\"192.0.2.1:80\"").await, 429);
    assert_eq!(asked_for("for=\"[2001:db8::2]:80\"").await, 429, "the same /64");
    assert_eq!(asked_for("for=203.0.113.2, for=unknown").await, 200, "the proxy's own");
    assert_eq!(asked_for("for=203.0.113.3, for=192.0.2.3;for=192.0.2.4").await, 429);
    let other = ("x-forwarded-for", "203.0.113.4");
    assert_eq!(status_with(&app, &[other]).await, 429, "the other header is ignored");
    assert_eq!(status_with(&app, &[other, ("forwarded", "for=192.0.2.1")]).await, 429);
}

#[tokio::test]
async fn the_header_that_a_proxy_passes_on_is_not_believed_beside_the_one_it_writes() {
    let app = Setup::default()
        .setting("rate.per_ip", "1/m burst 1")
        .setting("server.trusted_proxies", "127.0.0.1/32")
        .start()
        .await;
    let written = ("x-forwarded-for", "192.0.2.1");
    assert_eq!(status_with(&app, &[written]).await, 200);

    for sent in ["for=203.0.113.1", "for=\"[2001:db8::1]\"", "for=\"", "for=127.0.0.1", ""] {
        assert_eq!(status_with(&app, &[("forwarded", sent), written]).await, 429, "{sent}");
    }
    for sent in ["203.0.113.1", "127.0.0.1", "\u{fc}", "[::1", ",", "for=203.0.113.1", "\""] {
        assert_eq!(status_with(&app, &[("x-forwarded-for", sent), written]).await, 429, "{sent}");
        let appended = format!("{sent}, 192.0.2.1:4711");
        let one_line = [("x-forwarded-for", appended.as_str())];
        assert_eq!(status_with(&app, &one_line).await, 429, "{appended}");
    }
}

#[tokio::test]
async fn nobody_can_declare_everybody_a_proxy() {
    for network in ["0.0.0.0/0", "::/0", "10.0.0.0/8, 0.0.0.0/0"] {
        let folder = Setup::default().setting("server.trusted_proxies", network).folder();

        let refused = folder.serve().run().await;

        let said = &refused.assert_code(1).stderr;
        assert!(said.contains("trusted_proxies") && said.contains("everybody"), "{said}");
    }
}

/// Returns the status of the document for somebody who sends `lines` as headers.
async fn status_with(app: &TestService, lines: &[(&str, &str)]) -> u16 {
    let client = app.client();
    let call = client.get("/openapi.json");
    lines.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await.status()
}
