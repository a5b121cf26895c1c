//! Lists of orders: pages, cursors, filters.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::{Caller, PASSWORD, TestService, order_body, text};
use crate::support_orders::assert_problem;

#[tokio::test]
async fn a_list_is_read_page_by_page_newest_first_and_each_order_once() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let placed = place_many(&machine, "ada", 55).await;
    let newest_first: Vec<_> = placed.iter().rev().cloned().collect();

    let (first, cursor) = ada.page("/orders").await;
    assert_eq!(first.len(), 50, "the default");
    let (rest, end) = ada.page(&format!("/orders?cursor={}", cursor.unwrap())).await;
    assert_eq!((rest.len(), end), (5, None));
    assert_eq!(ids(&[first, rest].concat()), newest_first);

    for (limit, pages) in [(1, 55), (7, 8), (11, 5), (54, 2), (55, 1), (200, 1)] {
        let (found, count) = read_all(&ada, &format!("/orders?limit={limit}")).await;
        assert_eq!((found, count), (newest_first.clone(), pages), "{limit}");
    }
    assert_eq!(read_all(&machine, "/orders?limit=20").await, (newest_first, 3));
}

#[tokio::test]
async fn what_was_signed_for_another_purpose_is_no_cursor() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    for _ in 0..2 {
        ada.places_order("1.00").await;
    }
    let session = app.sign_in("ada", PASSWORD).await.json();
    let page = ada.get("/orders?limit=1").send().await.json();
    let ask = async |cursor: &str| {
        ada.get(&format!("/orders?limit=1&cursor={cursor}")).send().await.status()
    };

    assert_eq!(ask(text(&page, "next_cursor")).await, 200);
    assert_eq!(ask(text(&session, "device_token")).await, 400);
    assert_eq!(ask(text(&session, "token")).await, 400);
}

#[tokio::test]
async fn orders_that_arrive_between_pages_do_not_disturb_them() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let placed = place_many(&machine, "ada", 12).await;

    let mut found = Vec::new();
    let mut path = "/orders?limit=5".to_owned();
    loop {
        let (items, cursor) = ada.page(&path).await;
        found.extend(ids(&items));
        let Some(cursor) = cursor else { break };
        path = format!("/orders?limit=5&cursor={cursor}");
        place_many(&machine, "ada", 3).await;
    }

    let newest_first: Vec<_> = placed.into_iter().rev().collect();
    assert_eq!(found, newest_first);
}

#[tokio::test]
async fn a_cursor_is_good_only_for_the_list_and_the_caller_it_was_made_for() {
    let app = TestService::start().await;
    let (ada, bob, machine) = (app.customer("ada").await, app.customer("bob").await, app.machine());
    place_many(&machine, "ada", 3).await;
    let cursor = ada.page("/orders?limit=1").await.1.unwrap();

    let same = format!("/orders?cursor={cursor}");
    assert_eq!(ada.page(&same).await.0.len(), 2, "another limit is the same list");
    for (caller, path) in [
        (&bob, same.clone()),
        (&machine, same),
        (&ada, format!("/orders?status=new&cursor={cursor}")),
        (&ada, format!("/orders?reference=x&cursor={cursor}")),
        (&ada, format!("/orders?from=2026-01-01T00:00:00Z&cursor={cursor}")),
        (&ada, format!("/orders?to=2036-01-01T00:00:00Z&cursor={cursor}")),
        (&machine, format!("/users?cursor={cursor}")),
        (&ada, "/orders?cursor=".into()),
        (&ada, "/orders?cursor=AAAA".into()),
        (&ada, format!("/orders?cursor={cursor}A")),
        (&ada, format!("/orders?cursor={}", "A".repeat(201))),
    ] {
        let problem = assert_problem(&caller.get(&path).send().await, 400, "invalid_query");
        assert_eq!(problem["errors"][0]["pointer"], "/cursor", "{path}");
    }
    for place in 0..cursor.len() {
        let mut changed = cursor.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let path = format!("/orders?cursor={}", String::from_utf8(changed).unwrap());
        assert_problem(&ada.get(&path).send().await, 400, "invalid_query");
    }
}

#[tokio::test]
async fn a_list_is_filtered_by_status_reference_and_time() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let bob = app.customer("bob").await;
    let mut orders = Vec::new();
    for reference in ["one", "two", "two", "tä&=+ %"] {
        let mut body = order_body("1.00");
        body["reference"] = json!(reference);
        orders.push(ada.places(body).await.json());
    }
    let of_bob = bob.places_order("1.00").await;
    machine.pay(text(&orders[1], "id")).await.assert_status(200);
    let id = |number: usize| text(&orders[number], "id").to_owned();
    let at = |number: usize| text(&orders[number], "created_at").to_owned();

    let all = vec![id(3), id(2), id(1), id(0)];
    for (query, expected) in [
        ("status=paid".to_owned(), vec![id(1)]),
        ("status=new".to_owned(), vec![id(3), id(2), id(0)]),
        ("status=shipped".to_owned(), vec![]),
        ("reference=two".to_owned(), vec![id(2), id(1)]),
        ("reference=Two".to_owned(), vec![]),
        ("reference=t%C3%A4%26%3D%2B+%25".to_owned(), vec![id(3)]),
        ("reference=ta%CC%88%26%3D%2B%20%25".to_owned(), vec![id(3)]),
        ("reference=two&status=paid".to_owned(), vec![id(1)]),
        (format!("from={}", at(0)), all.clone()),
        (format!("to={}", at(0)), vec![]),
        (format!("from={}&to=2036-01-01T00:00:00Z", at(0)), all.clone()),
        ("from=2036-01-01T00:00:00%2B01:00".to_owned(), vec![]),
        ("to=2016-01-01T00:00:00.000Z".to_owned(), vec![]),
    ] {
        let (found, _) = ada.page(&format!("/orders?{query}")).await;
        assert_eq!(ids(&found), expected, "{query}");
        let (found, _) = machine.page(&format!("/orders?{query}")).await;
        let found: Vec<_> = ids(&found).into_iter().filter(|id| *id != of_bob).collect();
        assert_eq!(found, expected, "{query}");
    }
    for number in 0..4 {
        let since = ada.page(&format!("/orders?from={}", at(number))).await.0;
        let before = ada.page(&format!("/orders?to={}", at(number))).await.0;
        let moment = |order: &Value| text(order, "created_at").to_owned();
        assert!(since.iter().all(|order| moment(order) >= at(number)));
        assert!(before.iter().all(|order| moment(order) < at(number)));
        assert_eq!(since.len() + before.len(), 4, "each order is in one half");
    }
    assert_eq!(ids(&ada.page("/orders?").await.0), all);
}

#[tokio::test]
async fn a_query_is_known_given_once_and_well_formed() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    for (query, pointer) in [
        ("status=", "/status"),
        ("status", "/status"),
        ("status=NEW", "/status"),
        ("status=lost", "/status"),
        ("status=new&status=new", "/status"),
        ("limit=", "/limit"),
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=1.0", "/limit"),
        ("limit=1e1", "/limit"),
        ("limit=+5", "/limit"),
        ("limit=99999999999999999999", "/limit"),
        ("limit=5&limit=6", "/limit"),
        ("reference=", "/reference"),
        ("reference=%0A", "/reference"),
        ("reference=%E2%80%AE", "/reference"),
        ("from=", "/from"),
        ("from=yesterday", "/from"),
        ("from=2026-02-30T00:00:00Z", "/from"),
        ("from=2026-01-01", "/from"),
        ("to=2026-01-01T25:00:00Z", "/to"),
        ("sort=up", "/sort"),
        ("Limit=5", "/Limit"),
        ("customer_id=1", "/customer_id"),
        ("status[]=new", "/status[]"),
        ("=x", "/"),
        ("a~/b=1", "/a~0~1b"),
    ] {
        let reply = ada.get(&format!("/orders?{query}")).send().await;
        let problem = assert_problem(&reply, 400, "invalid_query");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{query}");
    }
    for query in ["status=%zz", "status=%4", "reference=%ff", "%C3%28=1", &"a&".repeat(40)] {
        assert_problem(&ada.get(&format!("/orders?{query}")).send().await, 400, "invalid_query");
    }
    let several = ada.get("/orders?limit=0&status=x&sort=up").send().await;
    let problem = assert_problem(&several, 400, "invalid_query");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3, "all of them at once");
}

async fn place_many(machine: &Caller, customer: &str, count: usize) -> Vec<String> {
    let mut body = order_body("1.00");
    body["customer"] = json!(customer);
    let mut connection = machine.client.connect().await.unwrap();
    let mut placed = Vec::new();
    for _ in 0..count {
        let call = machine.post("/orders").json(body.clone());
        let reply = call.send_on(&mut connection).await.unwrap();
        reply.assert_status(201);
        placed.push(text(&reply.json(), "id").to_owned());
    }
    placed
}

/// Reads a list to its end; returns the ids and the number of pages.
async fn read_all(caller: &Caller, path: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, None::<String>);
    loop {
        let tail = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let (items, next) = caller.page(&format!("{path}{tail}")).await;
        found.extend(ids(&items));
        pages += 1;
        cursor = next;
        if cursor.is_none() {
            let distinct: HashSet<_> = found.iter().collect();
            assert_eq!(distinct.len(), found.len());
            return (found, pages);
        }
    }
}

fn ids(orders: &[Value]) -> Vec<String> {
    orders.iter().map(|order| text(order, "id").to_owned()).collect()
}
