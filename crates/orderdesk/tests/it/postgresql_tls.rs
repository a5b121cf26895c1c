//! TLS to the server: who it is is verified, or nothing is said to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use palisade_testing::Service;

use crate::support::{Folder, Setup, give};
use crate::support_certificates::{Authority, Issued, THIS_YEAR};
use crate::support_cluster::{Cluster, other_than_root};

const PASSWORD: &str = "hunter2-of-the-database";

/// A server that speaks TLS, and the folder of a service with a file of authorities.
struct Scene {
    folder: Folder,
    authority: Authority,
    cluster: Cluster,
}

impl Scene {
    fn begin() -> Self {
        let (cluster, authority) = (Cluster::start(), Authority::new());
        let folder = Setup::default().on_server(&cluster.address()).folder();
        let database = folder.server_database().name().to_owned();
        cluster.ask(&format!("CREATE ROLE served LOGIN PASSWORD '{PASSWORD}'"));
        cluster.ask(&format!("ALTER DATABASE {database} OWNER TO served"));
        cluster.admit(
            "hostssl all served 127.0.0.1/32 scram-sha-256\n\
             host all postgres 127.0.0.1/32 trust\n\
             local all postgres trust",
        );
        fs::write(folder.path().join("ca.pem"), &authority.root).unwrap();
        let mut scene = Self { folder, authority, cluster };
        scene.cluster.configure("ssl = on\nlog_connections = on");
        scene.presents(&scene.authority.issue("127.0.0.1", THIS_YEAR));
        scene
    }

    /// Has the server show this certificate from now on.
    fn presents(&mut self, issued: &Issued) {
        let Issued { certificate, key } = issued;
        let chain = format!("{certificate}{}", self.authority.intermediate);
        for (name, pem) in [("server.crt", &chain), ("server.key", key)] {
            let file = self.cluster.folder().join("data").join(name);
            fs::write(&file, pem).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            give(&file, other_than_root());
        }
        self.cluster.restart();
    }

    fn address(&self, password: &str, query: &str) -> String {
        let (port, database) = (self.cluster.port(), self.folder.server_database().name());
        let authorities = self.folder.path().join("ca.pem");
        let query = query.replace("CA", &authorities.display().to_string());
        format!("postgres://served:{password}@127.0.0.1:{port}/{database}{query}")
    }

    async fn start(&self, password: &str, query: &str) -> anyhow::Result<Service> {
        let address = self.address(password, query);
        self.folder.serve().env("DATABASE_URL", address).try_start().await
    }

    /// Asserts that a service does not start, and says why.
    async fn refuses(&self, query: &str, why: &str) {
        let said = self.start(PASSWORD, query).await.unwrap_err().to_string();
        assert!(said.contains(why), "{why}: {said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

/// What the server logs of whoever has signed in.
const AUTHORIZED: &str = "connection authorized: user=served";
const VERIFIED: &str = "?sslmode=verify-full&sslrootcert=CA";

#[tokio::test]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn only_the_server_that_the_authority_vouches_for_is_spoken_to() {
    let scene = Scene::begin();

    let mut service = scene.start(PASSWORD, VERIFIED).await.unwrap();
    let database = scene.folder.server_database().name();
    let encrypted = format!(
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
         WHERE datname = '{database}' AND usename = 'served'"
    );
    assert_eq!(scene.cluster.ask(&encrypted), ["t"]);
    assert!(scene.cluster.log().contains(AUTHORIZED));
    assert!(service.terminate().await.success());

    let wrong = scene.start("wrong-hunter3", VERIFIED).await.unwrap_err().to_string();
    assert!(wrong.contains("does not let in whom DATABASE_URL names: password"), "{wrong}");
    assert!(!wrong.contains("hunter"), "{wrong}");
}

#[tokio::test]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn a_server_that_nobody_vouches_for_is_told_nothing_and_the_setting_is_named() {
    let mut scene = Scene::begin();
    let file = scene.folder.path().join("ca.pem");

    fs::write(&file, Authority::new().root).unwrap();
    scene.refuses(VERIFIED, "name who does by sslrootcert in DATABASE_URL").await;
    scene.refuses("?sslmode=verify-full", "name who does by sslrootcert in DATABASE_URL").await;
    fs::write(&file, "no certificate").unwrap();
    scene.refuses(VERIFIED, "sslrootcert in DATABASE_URL, holds none").await;
    fs::remove_file(&file).unwrap();
    scene.refuses(VERIFIED, "the file of its authorities cannot be read").await;
    fs::write(&file, &scene.authority.root).unwrap();
    scene.presents(&scene.authority.issue("db.example.com", THIS_YEAR));
    scene.refuses(VERIFIED, "for another name than the host in DATABASE_URL").await;
    scene.presents(&scene.authority.issue("127.0.0.1", [-60, -30]));
    scene.refuses(VERIFIED, "its certificate is not good at this time").await;
    scene.cluster.configure("ssl = off");
    scene.cluster.restart();
    scene.refuses(VERIFIED, "it speaks no TLS").await;

    assert!(!scene.cluster.log().contains(AUTHORIZED), "{}", scene.cluster.log());
}

#[tokio::test]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn this_machine_needs_no_tls_by_loopback_or_a_socket() {
    let scene = Scene::begin();
    let (folder, name) = (&scene.folder, scene.folder.server_database().name());
    let socket = scene.cluster.folder().display();
    let port = scene.cluster.port();

    for address in [
        format!("postgres://postgres@127.0.0.1:{port}/{name}"),
        format!("postgres://postgres@localhost:{port}/{name}"),
        format!("postgres://postgres@:{port}/{name}?host={socket}"),
    ] {
        let mut service = folder.serve().env("DATABASE_URL", address).start().await;
        assert!(service.terminate().await.success());
    }
}
