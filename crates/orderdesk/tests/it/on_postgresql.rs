//! What is special about a server: callers that go away in the middle of its work.

use std::time::Duration;

use palisade::crypto::random_bytes;
use tokio::task::JoinSet;

use crate::support::{TestService, order_body};
use crate::support_invariants::assert_invariants;

const DROPPED: usize = 400;

#[tokio::test]
#[ignore = "needs a server: run by the section PostgreSQL of test.sh"]
async fn clients_that_hang_up_at_any_moment_leave_no_transaction_open() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let id = ada.places_order("12.50").await;

    let mut requests = JoinSet::new();
    let mut answered = 0;
    for number in 0..DROPPED {
        let (ada, machine, path) = (ada.clone(), machine.clone(), format!("/orders/{id}"));
        requests.spawn(async move {
            // From before the first statement to after the last.
            let [random] = random_bytes::<1>();
            let moment = Duration::from_micros(u64::from(random) * 80);
            let call = match number % 3 {
                0 => ada.post("/orders").json(order_body("1.00")),
                1 => machine.get(&path),
                _ => ada.get("/orders?limit=200"),
            };
            tokio::time::timeout(moment, call.try_send()).await.is_ok()
        });
        if requests.len() > 20 {
            answered += usize::from(requests.join_next().await.unwrap().unwrap());
        }
    }
    while let Some(request) = requests.join_next().await {
        answered += usize::from(request.unwrap());
    }

    assert!((1..DROPPED - 50).contains(&answered), "{answered} of {DROPPED} were answered");
    assert_at_rest(&app).await;
    for _ in 0..50 {
        let id = ada.places_order("12.50").await;
        machine.pay(&id).await.assert_status(200);
        assert_eq!(ada.history(&id).await, ["place none->new", "pay new->paid"]);
    }
    assert_at_rest(&app).await;
    assert_invariants(&app.folder);
    assert!(!app.service.stderr().contains("panicked"));
}

/// Waits, for some seconds, until no connection of the service is in a transaction.
async fn assert_at_rest(app: &TestService) {
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'palisade' AND state <> 'idle'";
    for _ in 0..100 {
        if app.folder.number(open) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a transaction was left open");
}
