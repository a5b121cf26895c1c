//! Nobody learns from the answer of a sign-in who has an account, and nobody learns it from its time.
//!
//! Four ways to be refused are compared with a wrong password, in bytes and by the two-sample test of
//! Kolmogorov and Smirnov, idle and while others sign in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use palisade::crypto::random_bytes;
use palisade_testing::{Call, Reply};
use serde_json::json;

use crate::support::{PASSWORD, Setup, TestService, assert_same_answer};

/// Samples of each kind.
const SAMPLES: usize = 320;
/// Accounts among which wrong passwords are spread, so that no budget is spent.
const PLAIN: usize = 16;
/// Above this two samples of that size differ with an error of one in ten thousand:
/// `sqrt(-ln(0.0001 / 2) / 2 * 2 / SAMPLES)`.
const DIFFERENT: f64 = 0.176;
const WRONG: &str = "incorrect horse battery staple";

/// Why somebody is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    WrongPassword,
    UnknownName,
    Disabled,
    BudgetSpent,
    MissingCode,
    /// What pays for no hash: to see that the comparison sees it.
    NoSignIn,
}

const KINDS: [Kind; 6] = [
    Kind::WrongPassword,
    Kind::UnknownName,
    Kind::Disabled,
    Kind::BudgetSpent,
    Kind::MissingCode,
    Kind::NoSignIn,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: run by tests/slow/75-sign-in-timing.sh"]
async fn refused_sign_ins_are_told_apart_neither_by_bytes_nor_by_time() {
    let app = Arc::new(scene().await);

    compare(&app, "idle").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..6).map(|number| spawn_flood(&app, number, &is_over)).collect();
    compare(&app, "while others sign in").await;
    is_over.store(true, Ordering::SeqCst);
    for flooding in flood {
        flooding.await.unwrap();
    }
}

/// Makes the accounts that are refused in each way.
async fn scene() -> TestService {
    let setup = Setup::default().setting("guesses.per_address", "1000000/h");
    // What is spent stays so.
    let setup = setup.setting("guesses.per_account", "1/d burst 100");
    let app = setup.setting("guesses.total", "1000000/h").start().await;
    for number in 0..PLAIN {
        app.sign_up(&format!("plain{number}")).await.assert_status(201);
    }
    let disabled = app.customer("disabled").await;
    app.machine().does("disable", &disabled.id).await.assert_status(204);
    app.customer("factor").await.gets_factor().await;
    app.sign_up("spent").await.assert_status(201);
    for _ in 0..100 {
        app.sign_in("spent", WRONG).await.assert_status(401);
    }
    app
}

fn spawn_flood(
    app: &Arc<TestService>,
    number: usize,
    is_over: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<()> {
    let (app, is_over) = (Arc::clone(app), Arc::clone(is_over));
    tokio::spawn(async move {
        while !is_over.load(Ordering::SeqCst) {
            app.sign_in(&format!("flood{number}"), WRONG).await;
        }
    })
}

/// Compares each kind with a wrong password; one that differs is measured a second time, because of so
/// many comparisons one may be unlucky.
#[expect(clippy::print_stdout, reason = "what was measured is told with --nocapture")]
async fn compare(app: &TestService, when: &str) {
    let mut suspects: Vec<Kind> = KINDS.iter().copied().skip(1).collect();
    for _ in 0..2 {
        let times = measure(app, &suspects).await;
        suspects.retain(|kind| {
            let distance = distance(&times[0], &times[place_of(*kind)]);
            let medians = [&times[0], &times[place_of(*kind)]].map(|times| times[times.len() / 2]);
            println!(
                "{when}: {kind:?}: distance {distance:.3} (of {DIFFERENT}), medians {:.2} and {:.2} ms",
                medians[0] * 1e3,
                medians[1] * 1e3
            );
            distance > DIFFERENT
        });
    }
    assert_eq!(suspects, [Kind::NoSignIn], "{when}: only what pays for no hash is told apart");
}

fn place_of(kind: Kind) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap()
}

/// Returns the sorted times of each kind in seconds, taken in turn; a wrong password's first.
async fn measure(app: &TestService, kinds: &[Kind]) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(SAMPLES); KINDS.len()];
    let mut first: Option<Reply> = None;
    let client = app.client();
    let mut connection = client.connect().await.unwrap();
    for sample in 0..SAMPLES {
        // In another order each time: what comes behind a certain one must not matter.
        let mut turn: Vec<Kind> = [Kind::WrongPassword].into_iter().chain(kinds.to_vec()).collect();
        shuffle(&mut turn);
        for kind in turn {
            let call = call(kind, sample, &client);
            let begun = Instant::now();
            let reply = call.send_on(&mut connection).await.unwrap();
            times[place_of(kind)].push(begun.elapsed().as_secs_f64());
            reply.assert_status(401);
            match &first {
                Some(first) => assert_same_answer(first, &reply),
                None => first = Some(reply),
            }
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    times
}

fn shuffle(kinds: &mut [Kind]) {
    for place in (1..kinds.len()).rev() {
        let [byte] = random_bytes::<1>();
        kinds.swap(place, usize::from(byte) % (place + 1));
    }
}

fn call<'a>(kind: Kind, sample: usize, client: &'a palisade_testing::Client) -> Call<'a> {
    let (username, password) = match kind {
        Kind::WrongPassword => (format!("plain{}", sample % PLAIN), WRONG),
        Kind::UnknownName => (format!("other{}", sample % PLAIN), WRONG),
        Kind::Disabled => ("disabled".to_owned(), PASSWORD),
        Kind::BudgetSpent => ("spent".to_owned(), PASSWORD),
        Kind::MissingCode => ("factor".to_owned(), PASSWORD),
        Kind::NoSignIn => return client.get("/users/me"),
    };
    client.post("/sessions").json(json!({"username": username, "password": password}))
}

/// Returns the largest distance between two distributions, by their sorted samples.
fn distance(one: &[f64], other: &[f64]) -> f64 {
    let count = |count: usize| f64::from(u32::try_from(count).unwrap());
    let share = |times: &[f64], below: f64| {
        count(times.partition_point(|time| *time <= below)) / count(times.len())
    };
    let all = one.iter().chain(other);
    all.map(|time| (share(one, *time) - share(other, *time)).abs()).fold(0.0, f64::max)
}
