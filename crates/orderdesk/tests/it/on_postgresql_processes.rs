//! Several processes on one database: they race, and there is one truth.

use futures_util::future::join_all;
use palisade_testing::{Reply, Service};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Caller, Folder, Setup, TestService, assert_same_answer, order_body, text};
use crate::support_invariants::assert_invariants;
use crate::support_ledger::{Load, assert_kept};

const PROCESSES: usize = 4;
const RACES: usize = 200;
const CLIENTS: usize = 50;

/// Several services on one database, and who talks to each of them.
struct Fleet {
    first: TestService,
    others: Vec<Service>,
    callers: Vec<(Caller, Caller)>,
}

impl Fleet {
    /// Starts all at once on an empty database.
    async fn start() -> Self {
        let folder = Setup::default().setting("database.connections", "8").folder();
        let starting = (0..PROCESSES).map(|_| start(&folder));
        let mut others = join_all(starting).await;
        let first = TestService { service: others.remove(0), folder };
        let ada = first.customer("ada").await;
        let mut callers = vec![(ada.clone(), first.machine())];
        for other in &others {
            let client = palisade_testing::Client::http(other.public());
            let at_it = |caller: &Caller| Caller { client: client.clone(), ..caller.clone() };
            callers.push((at_it(&ada), at_it(&first.machine())));
        }
        Self { first, others, callers }
    }

    /// Returns who talks to the process of this number, counted round.
    fn callers(&self, number: usize) -> &(Caller, Caller) {
        &self.callers[number % self.callers.len()]
    }
}

async fn start(folder: &Folder) -> Service {
    folder.serve().start().await
}

#[tokio::test]
#[ignore = "needs a server: run by the section PostgreSQL of test.sh"]
async fn processes_that_start_together_migrate_once_and_all_serve() {
    let fleet = Fleet::start().await;

    let migrated = |service: &Service| service.stderr().matches("schema migrated").count();
    let steps = migrated(&fleet.first.service) + fleet.others.iter().map(migrated).sum::<usize>();
    let applied = fleet.first.folder.number("SELECT count(*) FROM palisade_migrations");
    assert_eq!(i64::try_from(steps).unwrap(), applied);
    assert!(applied >= 6, "{applied}");
    for (customer, _) in &fleet.callers {
        customer.places_order("12.50").await;
    }
    assert_eq!(fleet.callers(0).0.page("/orders").await.0.len(), PROCESSES);
}

#[tokio::test]
#[ignore = "needs a server: run by the section PostgreSQL of test.sh"]
async fn of_a_payment_and_a_cancellation_at_two_processes_exactly_one_wins() {
    let fleet = Fleet::start().await;
    let mut races = JoinSet::new();
    let mut won = [0; 2];

    for number in 0..RACES {
        let id = fleet.callers(number).0.places_order("12.50").await;
        let (machine, ada) = (fleet.callers(number).1.clone(), fleet.callers(number + 1).0.clone());
        races.spawn(async move { tokio::join!(machine.pay(&id), ada.cancel(&id)) });
        while races.len() > 8 {
            judge(races.join_next().await.unwrap().unwrap(), &mut won);
        }
    }
    while let Some(race) = races.join_next().await {
        judge(race.unwrap(), &mut won);
    }

    assert_eq!(won.iter().sum::<usize>(), RACES);
    assert!(won.iter().all(|won| *won > 0), "paid and cancelled: {won:?}");
    assert_invariants(&fleet.first.folder);
}

#[track_caller]
fn judge((paid, cancelled): (Reply, Reply), won: &mut [usize; 2]) {
    let winner = match (paid.status(), cancelled.status()) {
        (200, 409) => 0,
        (409, 200) => 1,
        _ => panic!("{} and {}", paid.text(), cancelled.text()),
    };
    won[winner] += 1;
}

#[tokio::test]
#[ignore = "needs a server: run by the section PostgreSQL of test.sh"]
async fn one_key_at_all_processes_has_one_effect_and_one_answer() {
    let fleet = Fleet::start().await;

    let placed = at_once(&fleet, |(ada, _)| {
        ada.post("/orders").header("idempotency-key", "k").json(order_body("1.00"))
    });
    let placed = placed.await;
    let id = text(&placed[0].json(), "id").to_owned();
    let path = format!("/orders/{id}/pay");
    let paid = at_once(&fleet, |(_, machine)| {
        let call = machine.post(&path).header("idempotency-key", "k");
        call.json(json!({"payment_reference": "pi_3Nk1"}))
    });
    let paid = paid.await;

    for (replies, status) in [(placed, 201), (paid, 200)] {
        assert_eq!(replies.len(), CLIENTS);
        for reply in &replies {
            reply.assert_status(status);
            assert_eq!(reply.body(), replies[0].body());
            assert_same_answer(reply, &replies[0]);
        }
    }
    let ada = &fleet.callers(0).0;
    assert_eq!(ada.page("/orders").await.0.len(), 1);
    assert_eq!(ada.history(&id).await, ["place none->new", "pay new->paid"]);
}

/// Sends what `call` makes by many clients at once, at every process in turn.
async fn at_once<'a>(
    fleet: &'a Fleet,
    call: impl Fn(&'a (Caller, Caller)) -> palisade_testing::Call<'a>,
) -> Vec<Reply> {
    join_all((0..CLIENTS).map(|number| call(fleet.callers(number)).send())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: run by the section PostgreSQL of test.sh"]
async fn a_process_that_is_killed_under_load_takes_nothing_with_it_and_the_others_go_on() {
    let mut fleet = Fleet::start().await;
    let load = Load::start(8, &fleet.callers);
    load.acknowledges(40).await;

    fleet.others[0].kill().await;
    load.acknowledges(80).await;
    fleet.others[1].kill().await;
    load.acknowledges(80).await;

    let (book, placed) = load.settle(fleet.callers(0)).await;
    assert_kept(&fleet.callers(0).0, &book).await;
    assert_eq!(book.acknowledged.len(), placed, "each key has one effect");
    assert!(book.answered(0) > 0, "nobody was at the processes: {:?}", book.answers);
    assert_eq!((book.answered(500), book.answered(503)), (0, 0));
    assert_invariants(&fleet.first.folder);
}
