//! What happens to the server and on the way to it, under load, as real processes: what was
//! acknowledged stays, what is open is told, and no restart of the service is needed.

use std::time::{Duration, Instant};

use crate::support::{Caller, Setup, TestService, order_body};
use crate::support_cluster::{Cluster, Stop};
use crate::support_invariants::assert_invariants;
use crate::support_ledger::{Book, Load, assert_kept, becomes_ready};
use crate::support_orders::assert_problem;
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
        let owned = format!("ALTER DATABASE {} OWNER TO served", folder.server_database().name());
        cluster.ask("CREATE ROLE served LOGIN");
        cluster.ask(&owned);
        let [direct, by_proxy] = [cluster.port(), proxy.port()].map(|port| format!(":{port}/"));
        let url = folder.secret("DATABASE_URL").replace(&direct, &by_proxy);
        let url = url.replace("postgres@", "served@");
        let folder = folder.with_database(&url);
        let service = folder.serve().start().await;
        let app = TestService { service, folder };
        let callers = (app.customer("ada").await, app.machine());
        let load = Load::start(writers, std::slice::from_ref(&callers));
        load.acknowledges(20).await;
        Self { callers, load, app, proxy, cluster }
    }

    fn database(&self) -> String {
        self.app.folder.server_database().name().to_owned()
    }

    /// Ends the service's connections and lets it have so many from now on; -1 is any number.
    fn grant_connections(&self, most: i32) {
        self.cluster.ask(&format!("ALTER ROLE served CONNECTION LIMIT {most}"));
        self.cluster.ask(&terminate(&self.database()));
    }

    /// Ends the load and asserts what must hold whatever happened.
    #[expect(clippy::print_stdout, reason = "what was counted is told with --nocapture")]
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

fn terminate(database: &str) -> String {
    format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'"
    )
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
        scene.cluster.ask(&terminate(&database));
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
async fn nobody_waits_longer_for_a_connection_because_all_of_them_wait() {
    let setup = Setup::default().setting("database.connections", "1");
    let scene = Scene::begin(2, setup).await;
    let id = scene.callers.0.places_order("12.50").await;
    let machine = scene.callers.1.clone();

    scene.proxy.set(Way::Silent);
    becomes_ready(&scene.app, false).await;
    let mut waits = Vec::new();
    for _ in 0..4 {
        let begun = Instant::now();
        assert_problem(&machine.pay(&id).await, 503, "overloaded");
        waits.push(begun.elapsed());
    }
    // The one connection gives up its work after 5 s at the soonest, which may be this one; it waits 2 s
    // for another then. Who waits for the connection of others waits no more than those 2 s.
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(9)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait < Duration::from_secs(4)), "{waits:?}");
    scene.proxy.set(Way::Open);
    becomes_ready(&scene.app, true).await;
    machine.pay(&id).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn a_commit_without_an_answer_is_told_as_unknown_and_settled_by_the_same_key() {
    let setup = Setup::default().setting("database.statement_timeout", "1s");
    let scene = Scene::begin(4, setup).await;
    let bob = scene.app.customer("bob").await;

    // Without a key nothing is done again that may have been done.
    for (way, kept) in [(Way::CutBeforeCommit, 0), (Way::CutAfterCommit, 1)] {
        scene.proxy.set(way);
        assert_problem(&bob.places(order_body("12.50")).await, 500, "internal");
        scene.proxy.set(Way::Open);
        assert_eq!(bob.page("/orders").await.0.len(), kept, "{way:?}");
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn a_standby_is_read_from_and_written_to_once_it_is_promoted() {
    let mut scene = Scene::begin(4, Setup::default()).await;
    let (bob, machine) = (scene.app.customer("bob").await, scene.callers.1.clone());
    let id = bob.places_order("12.50").await;

    scene.cluster.become_standby();
    becomes_ready(&scene.app, false).await;
    scene.load.is_refused_again().await;
    bob.order(&id).await.assert_status(200);
    assert_problem(&machine.pay(&id).await, 503, "overloaded");
    scene.cluster.promote();
    scene.load.acknowledges(20).await;

    // An administrator is not overruled, and is heard while connections are open.
    scene.cluster.configure("default_transaction_read_only = on");
    scene.cluster.reload();
    becomes_ready(&scene.app, false).await;
    bob.order(&id).await.assert_status(200);
    assert_problem(&machine.pay(&id).await, 503, "overloaded");
    scene.cluster.configure("default_transaction_read_only = off");
    scene.cluster.reload();
    becomes_ready(&scene.app, true).await;
    machine.pay(&id).await.assert_status(200);

    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn a_service_goes_on_with_the_connections_that_a_full_server_grants() {
    let scene = Scene::begin(1, Setup::default()).await;
    let bob = (scene.app.customer("bob").await, scene.callers.1.clone());

    // It would take twelve.
    scene.grant_connections(5);
    scene.load.acknowledges(20).await;
    let others = Load::start(16, std::slice::from_ref(&bob));
    others.acknowledges(200).await;
    let (book, placed) = others.settle(&bob).await;
    println!("on 5 connections: {:?}, longest {:?}", book.answers, book.longest);
    assert_eq!((book.acknowledged.len(), book.answered(503)), (placed, 0));

    scene.grant_connections(0);
    becomes_ready(&scene.app, false).await;
    scene.load.is_refused_again().await;
    let refused = scene.app.folder.serve().try_start().await.unwrap_err().to_string();
    assert!(refused.contains("too many connections for role"), "{refused}");
    scene.grant_connections(-1);
    scene.load.acknowledges(20).await;

    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn a_statement_that_waits_too_long_is_ended_and_its_request_can_be_sent_again() {
    let setup = Setup::default().setting("database.statement_timeout", "500ms");
    let scene = Scene::begin(2, setup).await;
    let (bob, machine) = (scene.app.customer("bob").await, scene.callers.1.clone());
    let id = bob.places_order("12.50").await;
    let lock = format!("UPDATE orders SET version = version WHERE id = '{id}'");
    let held = scene.app.folder.server_database().hold(&lock);

    let begun = Instant::now();
    assert_problem(&machine.pay(&id).await, 503, "overloaded");

    assert!(begun.elapsed() < LONGEST);
    drop(held);
    while machine.pay(&id).await.status() == 503 {
        assert!(begun.elapsed() < LONGEST);
    }
    assert_eq!(bob.history(&id).await, ["place none->new", "pay new->paid"]);
    scene.end().await;
}
