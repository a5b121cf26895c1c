//! What happens to the server and on the way to it, under load, as real processes: what was
//! acknowledged stays, what is open is told, and no restart of the service is needed.

use std::time::Duration;

use crate::support::{Caller, Setup, TestService};
use crate::support_cluster::{Cluster, Stop};
use crate::support_invariants::assert_invariants;
use crate::support_ledger::{Book, Load, assert_kept, becomes_ready};
use crate::support_proxy::{Proxy, Way};

/// Longest that a request may take: the service's own time for one, and a margin for the machine.
const LONGEST: Duration = Duration::from_secs(10 + 10);

/// A service under load on a server that can be hurt, behind a way that can be cut.
struct Scene {
    callers: (Caller, Caller),
    load: Load,
    app: TestService,
    proxy: Proxy,
    // Last: the service has its database removed from it.
    cluster: Cluster,
}

impl Scene {
    async fn begin(writers: usize, setup: Setup) -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
        let proxy = Proxy::to(cluster.port()).await;
        let setup = setup.setting("limits.request_timeout", "10s").on_server(&cluster.address());
        let folder = setup.folder();
        let [direct, by_proxy] = [cluster.port(), proxy.port()].map(|port| format!(":{port}/"));
        let url = folder.secret("DATABASE_URL").replace(&direct, &by_proxy);
        let service = folder.serve().env("DATABASE_URL", url).start().await;
        let app = TestService { service, folder };
        let callers = (app.customer("ada").await, app.machine());
        let load = Load::start(writers, std::slice::from_ref(&callers));
        load.acknowledges(20).await;
        Self { callers, load, app, proxy, cluster }
    }

    fn database(&self) -> String {
        self.app.folder.server_database().name().to_owned()
    }

    /// Ends the load and asserts what must hold whatever happened.
    async fn end(self) -> Book {
        self.load.acknowledges(20).await;
        becomes_ready(&self.app, true).await;
        let (book, placed) = self.load.settle(&self.callers).await;
        assert_kept(&self.callers.0, &book).await;
        assert_eq!(book.acknowledged.len(), placed, "each key has one effect");
        assert_invariants(&self.app.folder);
        assert!(book.longest < LONGEST, "{:?}", book.longest);
        assert_eq!(book.answered(0), 0, "everything is answered: {:?}", book.answers);
        assert!(!self.app.service.stderr().contains("panicked"));
        println!("answers: {:?}, longest {:?}", book.answers, book.longest);
        book
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn a_server_that_restarts_crashes_or_loses_connections_costs_no_order_and_no_restart() {
    let mut scene = Scene::begin(4, Setup::default()).await;
    let database = scene.database();

    for stop in [Stop::Fast, Stop::Crash, Stop::Fast, Stop::Crash] {
        scene.cluster.stop(stop);
        becomes_ready(&scene.app, false).await;
        scene.load.is_refused_again().await;
        scene.cluster.run();
        becomes_ready(&scene.app, true).await;
        scene.load.acknowledges(20).await;
    }
    for _ in 0..20 {
        let all = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = '{database}'"
        );
        scene.cluster.ask(&all);
        scene.load.acknowledges(10).await;
    }
    for _ in 0..3 {
        scene.cluster.kill_a_backend_of(&database);
        scene.load.acknowledges(20).await;
    }

    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn a_way_that_is_cut_or_falls_silent_is_left_within_the_deadlines() {
    let setup = Setup::default().setting("database.statement_timeout", "1s");
    let scene = Scene::begin(8, setup).await;

    for _ in 0..5 {
        scene.proxy.set(Way::Cut);
        scene.load.is_refused_again().await;
        becomes_ready(&scene.app, false).await;
        scene.proxy.set(Way::Open);
        scene.load.acknowledges(20).await;
    }
    for _ in 0..2 {
        scene.proxy.set(Way::Silent);
        scene.load.is_refused_again().await;
        becomes_ready(&scene.app, false).await;
        // What was lost on the way never arrives, also after the way is open again.
        scene.proxy.set(Way::Open);
        scene.load.acknowledges(20).await;
        becomes_ready(&scene.app, true).await;
    }

    let book = scene.end().await;
    assert!(book.answered(503) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn a_commit_without_an_answer_is_told_as_unknown_and_settled_by_the_same_key() {
    let setup = Setup::default().setting("database.statement_timeout", "1s");
    let scene = Scene::begin(4, setup).await;

    for way in [Way::CutBeforeCommit, Way::CutAfterCommit, Way::SilentAfterCommit] {
        let before = scene.proxy.struck();
        scene.proxy.set(way);
        scene.load.is_refused_again().await;
        while scene.proxy.struck() < before + 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        scene.proxy.set(Way::Open);
        scene.load.acknowledges(20).await;
    }

    let struck = scene.proxy.struck();
    let book = scene.end().await;
    assert!(book.answered(500) > 0 && struck >= 30, "{struck}: {:?}", book.answers);
}
