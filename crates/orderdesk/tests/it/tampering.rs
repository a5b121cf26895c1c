//! Whoever writes to the database past the service: the tables keep their own rules.

use crate::support::TestService;

#[tokio::test]
async fn the_database_refuses_an_illegal_transition_on_its_own() {
    let app = TestService::start().await;
    let order = app.customer("ada").await.places_order("12.50").await;

    for illegal in [
        "status = 'shipped'",
        "status = 'paid'",
        "status = 'cancelled'",
        "status = 'lost'",
        "status = 'shipped', previous_status = 'new', version = 2",
        "status = 'shipped', previous_status = 'paid', version = 3",
        "status = 'shipped', version = 3, payment_reference = 'x', paid_at = 1",
        "status = 'paid', version = 2, payment_reference = 'x', paid_at = 1",
        "status = 'cancelled', version = 2",
        "payment_reference = 'x', paid_at = 1",
        "status = 'paid', previous_status = 'new', version = 2",
        "status = 'paid', previous_status = 'new', version = 3, payment_reference = 'x', paid_at = 1",
        "status = 'new', previous_status = 'new', version = 2",
        "tracking = 'x'",
        "total = -1",
        "customer = 'nobody'",
    ] {
        let refused = update(&app, &order, illegal).unwrap_err();
        assert!(refused.contains("constraint"), "{illegal}: {refused}");
    }

    let legal = "status = 'paid', previous_status = 'new', version = 2, payment_reference = 'x', paid_at = 1";
    assert_eq!(update(&app, &order, legal).unwrap(), 1);
    for illegal in [
        "status = 'new', previous_status = NULL, version = 1",
        "status = 'shipped'",
        "status = 'paid', previous_status = 'paid', version = 3",
        "payment_reference = NULL, paid_at = NULL",
    ] {
        let refused = update(&app, &order, illegal).unwrap_err();
        assert!(refused.contains("constraint"), "{illegal}: {refused}");
    }
}

#[tokio::test]
async fn the_history_takes_only_steps_that_exist() {
    let app = TestService::start().await;
    let order = app.customer("ada").await.places_order("12.50").await;
    let record = |action: &str, from: &str, to: &str| {
        app.folder.tamper(&format!(
            "INSERT INTO order_events VALUES ('{order}', 2, 0, 'api_key', '{action}', {from}, '{to}')"
        ))
    };

    for (action, from, to) in [
        ("ship", "'new'", "shipped"),
        ("pay", "'paid'", "paid"),
        ("cancel", "'shipped'", "cancelled"),
    ] {
        let refused = record(action, from, to).unwrap_err();
        assert!(refused.contains("constraint"), "{action}: {refused}");
    }
    for action in ["pay", "ship", "cancel"] {
        let refused = record(action, "NULL", "paid").unwrap_err();
        assert!(refused.contains("constraint"), "{action}: {refused}");
    }
    assert_eq!(record("pay", "'new'", "paid").unwrap(), 1);
}

#[tokio::test]
async fn an_account_has_a_known_role_and_a_name_of_its_own() {
    let app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);
    app.sign_up("bob").await.assert_status(201);

    for illegal in ["role = 'king'", "username = 'ada'", "username = ''", "id = NULL"] {
        let sql = format!("UPDATE accounts SET {illegal} WHERE username = 'bob'");
        let refused = app.folder.tamper(&sql).unwrap_err();
        assert!(refused.contains("constraint"), "{illegal}: {refused}");
    }
}

fn update(app: &TestService, order: &str, set: &str) -> Result<usize, String> {
    app.folder.tamper(&format!("UPDATE orders SET {set} WHERE id = '{order}'"))
}
