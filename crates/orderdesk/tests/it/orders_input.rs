//! What an order may hold: money, quantities, articles, texts, and for whom it is.

use serde_json::{Value, json};

use crate::support::{TestService, order_body, text};
use crate::support_orders::{assert_problem, order_in, refused_values};

#[tokio::test]
async fn a_price_has_exactly_the_decimals_of_its_currency() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    for (currency, price) in [
        ("EUR", "12.50"),
        ("EUR", "0.00"),
        ("JPY", "15"),
        ("JPY", "0"),
        ("KWD", "0.001"),
        ("CLP", "7"),
    ] {
        let placed = ada.places(order_in(currency, 1, price)).await;
        placed.assert_status(201);
        assert_eq!(placed.json()["total"], price, "{currency}");
        assert_eq!(placed.json()["lines"][0]["unit_price"], price);
    }
    for (currency, price) in [
        ("EUR", "12.5"),
        ("EUR", "12"),
        ("EUR", "12.500"),
        ("JPY", "1.5"),
        ("JPY", "1.0"),
        ("KWD", "1.00"),
    ] {
        let reply = ada.places(order_in(currency, 1, price)).await;
        assert_eq!(refused_values(&reply), ["/lines/0/unit_price decimals"], "{currency} {price}");
    }
}

#[tokio::test]
async fn a_price_is_plain_digits_and_a_point() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    for price in [
        "12,50",
        "1e3",
        "-1.00",
        "+1.00",
        " 1.00",
        "1.00 ",
        "01.00",
        "1.",
        ".50",
        "",
        "1_000.00",
        "1,000.00",
        "NaN",
        "Infinity",
        "0x10",
        "١٢.٥٠",
        "1000000000000.00",
        "1.00\n",
        "1.00\0",
    ] {
        let reply = ada.places(order_in("EUR", 1, price)).await;
        assert_eq!(refused_values(&reply), ["/lines/0/unit_price pattern"], "{price:?}");
    }
    for price in [json!(12.50), json!(12), json!(null), json!(true), json!(["12.50"]), json!({})] {
        let mut body = order_body("1.00");
        body["lines"][0]["unit_price"] = price.clone();
        let problem = assert_problem(&ada.places(body).await, 400, "malformed_body");
        assert_eq!(problem["detail"], "/lines/0/unit_price: expected a string", "{price}");
    }
}

#[tokio::test]
async fn a_currency_is_one_that_people_pay_with() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    for currency in ["EUX", "eur", "Eur", "EUR ", "", "978", "XXX", "XAU", "EURO"] {
        let reply = ada.places(order_in(currency, 1, "1.00")).await;
        assert_eq!(refused_values(&reply), ["/currency currency"], "{currency:?}");
    }
    let reply = ada.places(json!({"lines": order_body("1.00")["lines"]})).await;
    assert_eq!(refused_values(&reply), ["/currency required"]);
}

#[tokio::test]
async fn a_total_is_exact_or_refused() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    for (currency, quantity, price, total) in [
        ("EUR", 3, "0.10", "0.30"),
        ("EUR", 1, "999999999999.99", "999999999999.99"),
        ("EUR", 1_000_000, "999999.99", "999999990000.00"),
        ("EUR", 7, "90071992547.41", "630503947831.87"),
        ("KWD", 3, "300000000000.001", "900000000000.003"),
        ("JPY", 999_999, "1000000", "999999000000"),
    ] {
        let placed = ada.places(order_in(currency, quantity, price)).await;
        placed.assert_status(201);
        assert_eq!(placed.json()["total"], total);
        let id = text(&placed.json(), "id").to_owned();
        assert_eq!(ada.order(&id).await.json()["total"], total);
    }
    let line =
        |price: &str, quantity: u32| json!({"sku": "A", "quantity": quantity, "unit_price": price});
    for lines in [
        vec![line("1000000.00", 1_000_000)],
        vec![line("999999999999.99", 1_000_000)],
        vec![line("999999999999.99", 1), line("0.01", 1)],
        vec![line("999999999999.99", 1_000_000); 100],
    ] {
        let reply = ada.places(json!({"currency": "EUR", "lines": lines})).await;
        assert_eq!(refused_values(&reply), ["/lines total"]);
    }
    assert_eq!(ada.page("/orders").await.0.len(), 6);
}

#[tokio::test]
async fn a_hundred_lines_add_up() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let line = |number: u32| json!({"sku": format!("SKU-{number}"), "quantity": number, "unit_price": "0.01"});

    let placed = ada
        .places(json!({"currency": "EUR", "lines": (1..=100).map(line).collect::<Vec<_>>()}))
        .await;

    placed.assert_status(201);
    assert_eq!(placed.json()["total"], "50.50");
    let lines = placed.json()["lines"].as_array().unwrap().clone();
    assert_eq!(lines, (1..=100).map(line).collect::<Vec<_>>(), "in the order they were sent");
    assert_eq!(ada.order(text(&placed.json(), "id")).await.json(), placed.json());
    for count in [0, 101, 150] {
        let lines: Vec<_> = (1..=count).map(line).collect();
        let reply = ada.places(json!({"currency": "EUR", "lines": lines})).await;
        assert_eq!(refused_values(&reply), ["/lines length"], "{count}");
    }
}

#[tokio::test]
async fn a_quantity_is_a_whole_number_from_1_to_a_million_however_it_is_written() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    for (quantity, value) in
        [("1", 1), ("1000000", 1_000_000), ("3.0", 3), ("3e0", 3), ("30E-1", 3), ("1e6", 1_000_000)]
    {
        let placed = ada.places_text(with_quantity(quantity)).await;
        placed.assert_status(201);
        assert_eq!(placed.json()["lines"][0]["quantity"], value, "{quantity}");
    }
    for quantity in [
        "0",
        "-0",
        "0.0",
        "-1",
        "1000001",
        "1000000.5",
        "1.5",
        "1e400",
        "1e-400",
        "1e7",
        "-1e400",
        "99999999999999999999",
        "4294967297",
        "18446744073709551617",
        "0.9999999999999999999999",
        "1.0000000000000000000001",
        "1e999999999999999999999",
    ] {
        let reply = ada.places_text(with_quantity(quantity)).await;
        let refused = refused_values(&reply);
        let expected = ["/lines/0/quantity range", "/lines/0/quantity integer"];
        assert!(refused.len() == 1 && expected.contains(&&*refused[0]), "{quantity}: {refused:?}");
    }
    for quantity in
        [r#""3""#, "null", "true", "[]", "{}", "01", "+1", ".5", "1.", "0x1", "NaN", "1n"]
    {
        let reply = ada.places_text(with_quantity(quantity)).await;
        assert_problem(&reply, 400, "malformed_body");
    }
}

#[tokio::test]
async fn an_article_is_named_by_1_to_64_plain_characters() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    for sku in ["A", "a.b_c-9", "..", &"x".repeat(64)] {
        let placed = ada.places(with_sku(sku)).await;
        placed.assert_status(201);
        assert_eq!(placed.json()["lines"][0]["sku"], sku);
    }
    for (sku, code) in [
        ("", "length"),
        (&*"x".repeat(65), "length"),
        ("a b", "characters"),
        ("ä", "characters"),
        ("a/b", "characters"),
        ("a\n", "characters"),
        (" a", "characters"),
        ("a\0", "characters"),
        ("=1", "characters"),
        ("\u{ff21}", "characters"),
    ] {
        let reply = ada.places(with_sku(sku)).await;
        assert_eq!(refused_values(&reply), [format!("/lines/0/sku {code}")], "{sku:?}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    let reply = ada
        .places(json!({
            "currency": "JPY",
            "reference": "",
            "customer": "a b",
            "lines": [
                {"sku": "", "quantity": 0, "unit_price": "1.50"},
                {"sku": "A", "quantity": 1, "unit_price": "1"},
                {"quantity": 1.5, "unit_price": "1,5"},
            ],
        }))
        .await;

    assert_eq!(
        refused_values(&reply),
        [
            "/customer characters",
            "/lines/0/quantity range",
            "/lines/0/sku length",
            "/lines/0/unit_price decimals",
            "/lines/2/quantity integer",
            "/lines/2/sku required",
            "/lines/2/unit_price pattern",
            "/reference length",
        ]
    );
    let nothing = ada.places(json!({})).await;
    assert_eq!(refused_values(&nothing), ["/currency required", "/lines required"]);
}

#[tokio::test]
async fn texts_are_one_safe_line_of_1_to_200_characters_in_nfc() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let good = [
        ("x".repeat(200), "x".repeat(200)),
        ("e\u{301}".repeat(200), "\u{e9}".repeat(200)),
        ("\u{1f375}".repeat(200), "\u{1f375}".repeat(200)),
        ("עברית 中文".to_owned(), "עברית 中文".to_owned()),
        ("<b>'\"; --".to_owned(), "<b>'\"; --".to_owned()),
    ];
    let bad = [
        (String::new(), "length"),
        ("x".repeat(201), "length"),
        ("\u{e9}".repeat(201), "length"),
        ("e\u{301}".repeat(201), "length"),
        ("x".repeat(60_000), "length"),
        ("a\nb".to_owned(), "characters"),
        ("a\tb".to_owned(), "characters"),
        ("a\0b".to_owned(), "characters"),
        ("a\u{7f}b".to_owned(), "characters"),
        ("a\u{85}b".to_owned(), "characters"),
        ("a\u{202e}b".to_owned(), "characters"),
        ("a\u{2066}b".to_owned(), "characters"),
        ("a\u{200f}b".to_owned(), "characters"),
    ];

    for (sent, stored) in &good {
        let mut body = order_body("1.00");
        body["reference"] = json!(sent);
        let placed = ada.places(body).await;
        placed.assert_status(201);
        assert_eq!(&placed.json()["reference"], stored);
        let id = text(&placed.json(), "id").to_owned();
        assert_eq!(&ada.order(&id).await.json()["reference"], stored);
        let body = json!({"payment_reference": sent});
        machine.post(&format!("/orders/{id}/pay")).json(body).send().await.assert_status(200);
    }
    let id = ada.places_order("1.00").await;
    for (sent, code) in &bad {
        let mut body = order_body("1.00");
        body["reference"] = json!(sent);
        assert_eq!(refused_values(&ada.places(body).await), [format!("/reference {code}")]);
        for (step, member) in
            [("pay", "payment_reference"), ("ship", "tracking"), ("cancel", "reason")]
        {
            let call = machine.post(&format!("/orders/{id}/{step}"));
            let reply = call.json(json!({member: sent})).send().await;
            assert_eq!(refused_values(&reply), [format!("/{member} {code}")]);
        }
    }
    assert_eq!(ada.history(&id).await, ["place none->new"]);
}

#[tokio::test]
async fn whom_an_order_is_for_is_the_operators_to_say() {
    let app = TestService::start().await;
    let (ada, bob) = (app.customer("ada").await, app.customer("bob").await);
    let machine = app.machine();
    let for_whom = |name: Value| {
        let mut body = order_body("1.00");
        body["customer"] = name;
        body
    };

    assert_eq!(refused_values(&machine.places(order_body("1.00")).await), ["/customer required"]);
    let unknown = machine.places(for_whom(json!("nobody1"))).await;
    assert_eq!(refused_values(&unknown), ["/customer unknown"]);
    let malformed = machine.places(for_whom(json!("no body"))).await;
    assert_eq!(refused_values(&malformed), ["/customer characters"]);
    for name in ["bob", "ada", "nobody1"] {
        assert_problem(&ada.places(for_whom(json!(name))).await, 403, "forbidden");
    }
    assert_problem(&ada.places(for_whom(json!(null))).await, 400, "malformed_body");

    assert_eq!(ada.page("/orders").await, (vec![], None));
    assert_eq!(bob.page("/orders").await, (vec![], None));
    assert_eq!(machine.page("/orders").await, (vec![], None));
}

fn with_quantity(quantity: &str) -> String {
    format!(
        r#"{{"currency":"EUR","lines":[{{"sku":"A","quantity":{quantity},"unit_price":"0.01"}}]}}"#
    )
}

fn with_sku(sku: &str) -> Value {
    let mut body = order_body("1.00");
    body["lines"][0]["sku"] = json!(sku);
    body
}
