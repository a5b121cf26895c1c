//! The check from outside: nothing is found at the service itself, everything at a bad server.

use std::collections::BTreeSet;

use palisade_testing::Service;

use crate::support_bad_server::{BadServer, DOCUMENT};
use crate::support_certificates::{THIS_YEAR, self_issued};
use crate::support_site::{Checked, HOST, Site};

/// Starts the service of a site on free ports, and returns its port as clients name it.
async fn start(site: &mut Site) -> (Service, String) {
    site.set("server.listen", "127.0.0.1:0");
    site.set("server.admin_listen", "127.0.0.1:0");
    let service = site.command(["serve"]).start().await;
    let port = service.public().port().to_string();
    (service, port)
}

async fn look(site: &Site, url: &str) -> Checked {
    site.check(&["--url", url, "--ca", &site.shown("root.pem")]).await
}

#[tokio::test]
async fn nothing_is_found_at_the_service_itself() {
    let mut site = Site::good("localhost").await;
    site.write("root.pem", &site.authority.root, 0o644);
    let (mut service, port) = start(&mut site).await;

    let checked = look(&site, &format!("https://localhost:{port}")).await;

    checked.finished.assert_code(0);
    assert_eq!(checked.live(), BTreeSet::new(), "{:#}", checked.report);
    assert!(service.terminate().await.success());
    let log = service.stderr();
    for status in ["400", "404", "405", "413", "431"] {
        assert!(log.contains(&format!("\"status\":{status}")), "{status} was not tried\n{log}");
    }
}

#[tokio::test]
async fn nothing_is_found_at_a_service_that_speaks_plain_http_on_this_machine() {
    let mut site = Site::good("localhost").await;
    site.set("tls.mode", "off");
    let (_service, port) = start(&mut site).await;

    let checked = site.check(&["--url", &format!("http://127.0.0.1:{port}")]).await;

    assert_eq!(checked.live(), BTreeSet::new(), "{:#}", checked.report);
}

#[tokio::test]
async fn a_certificate_is_trusted_only_by_the_word_of_an_authority() {
    let mut site = Site::good("localhost").await;
    let (_service, port) = start(&mut site).await;

    let by_the_system = site.check(&["--url", &format!("https://localhost:{port}")]).await;
    site.write("root.pem", &Site::good(HOST).await.authority.root, 0o644);
    let by_another = look(&site, &format!("https://localhost:{port}")).await;
    site.write("root.pem", &site.authority.root, 0o644);
    let by_its_own = look(&site, &format!("https://127.0.0.1:{port}")).await;

    assert_eq!(by_the_system.live(), BTreeSet::from(["PAL910"]), "{:#}", by_the_system.report);
    assert_eq!(by_another.live(), BTreeSet::from(["PAL910"]));
    // The certificate is for the name, not for the address.
    assert_eq!(by_its_own.live(), BTreeSet::from(["PAL911"]));
}

#[tokio::test]
async fn everything_is_found_at_a_bad_server() {
    let site = Site::good(HOST).await;
    site.write("root.pem", &site.authority.root, 0o644);
    let server = BadServer::start(&self_issued("old.example.com", [-360, 5]), DOCUMENT).await;

    let checked = look(&site, &format!("https://localhost:{}", server.address.port())).await;

    checked.finished.assert_code(1);
    let planted = [
        "PAL903", // no header that holds browsers back
        "PAL904", // Server and X-Powered-By
        "PAL905", // errors are no problem documents
        "PAL906", // a panic in an answer
        "PAL907", // no HSTS
        "PAL910", // nobody vouches for the certificate
        "PAL911", // it is another host's
        "PAL912", // and ends within days
        "PAL914", // TLS 1.0 and 1.1
        "PAL915", // no Host, two Hosts
        "PAL917", // 64 KiB of headers
        "PAL918", // a body of 64 MiB
        "PAL920", // TRACE
        "PAL921", // metrics for strangers
        "PAL922", // plain HTTP on the port of TLS
        "PAL923", // no HTTP/2
        "PAL924", // a clock that stands still
    ];
    assert_eq!(checked.live(), BTreeSet::from(planted), "{:#}", checked.report);
    for (id, count) in [("PAL903", 4), ("PAL904", 2), ("PAL914", 2), ("PAL915", 2), ("PAL921", 3)] {
        assert_eq!(checked.what(id).len(), count, "{id}: {:?}", checked.what(id));
    }
    // What the other side wrote does not reach the terminal as it is.
    assert!(!checked.finished.stdout.contains('\u{1b}'));
    let url = format!("https://localhost:{}", server.address.port());
    let text = site.command(["check"]).args(["--url", &url]).run().await.stdout;
    assert!(text.contains("x-powered-by: hope\\u{1b}[31m"), "{text}");
}

#[tokio::test]
async fn a_certificate_that_should_have_been_renewed_and_one_that_is_not_valid_yet_are_found() {
    let mut site = Site::good("localhost").await;
    site.write("root.pem", &site.authority.root, 0o644);
    for (days, expected) in [([-345, 20], "PAL913"), ([1, 365], "PAL910")] {
        site.serve_with(&site.authority.issue("localhost", days));
        let (_service, port) = start(&mut site).await;

        let checked = look(&site, &format!("https://localhost:{port}")).await;

        assert_eq!(checked.live(), BTreeSet::from([expected]), "{:#}", checked.report);
    }
}

#[tokio::test]
async fn nobody_a_silent_server_and_one_without_routes_are_told_apart() {
    let site = Site::good(HOST).await;
    let server = BadServer::start(&self_issued("localhost", THIS_YEAR), "{}").await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);

    let gone = site.check(&["--url", &format!("https://127.0.0.1:{port}")]).await;
    let plain = site.check(&["--url", &format!("http://0.0.0.0:{}", server.address.port())]).await;

    assert_eq!(gone.live(), BTreeSet::from(["PAL901"]));
    assert!(gone.what("PAL901")[0].contains("cannot be reached"), "{:?}", gone.what("PAL901"));
    // The address is this machine's, but does not say so.
    assert!(plain.live().is_superset(&BTreeSet::from(["PAL902", "PAL919"])), "{:?}", plain.live());
}
