//! The service against a model in memory: random requests one after the other, and at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::future::join_all;
use palisade_testing::Reply;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Caller, TestService, text};
use crate::support_invariants::assert_invariants;
use crate::support_model::{Asked, Call, Order, Step, Wanted, Who, anything, is_impossible, step};

const REQUESTS: usize = 40;
const AT_ONCE: usize = 6;

#[test]
fn random_requests_are_answered_as_the_contract_has_it() {
    one_after_the_other(20);
}

#[test]
fn steps_at_once_are_answered_as_if_they_came_one_after_the_other() {
    at_once(20);
}

#[test]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
fn many_random_requests_are_answered_as_the_contract_has_it() {
    one_after_the_other(400);
    at_once(400);
}

fn one_after_the_other(cases: u32) {
    let (runtime, players) = Players::start();
    let requests = prop::collection::vec(anything(), 1..REQUESTS);
    runner(cases).run(&requests, |requests| runtime.block_on(players.compare(&requests))).unwrap();
    players.end(&runtime);
}

fn at_once(cases: u32) {
    let (runtime, players) = Players::start();
    let steps = prop::collection::vec(prop::collection::vec((0..2_usize, step()), 1..6), AT_ONCE);
    runner(cases).run(&steps, |steps| runtime.block_on(players.race(&steps))).unwrap();
    players.end(&runtime);
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// A service and those who use it. Each case has its orders under a reference of its own.
struct Players {
    app: TestService,
    ada: Caller,
    bob: Caller,
    machine: Caller,
    cases: AtomicUsize,
    keys: AtomicUsize,
}

impl Players {
    fn start() -> (Runtime, Self) {
        let runtime = Runtime::new().unwrap();
        let players = runtime.block_on(async {
            let app = TestService::start().await;
            let (ada, bob) = (app.customer("ada").await, app.customer("bob").await);
            let machine = app.machine();
            Self { app, ada, bob, machine, cases: AtomicUsize::new(0), keys: AtomicUsize::new(0) }
        });
        (runtime, players)
    }

    fn end(self, runtime: &Runtime) {
        assert_invariants(&self.app.folder);
        let _inside = runtime.enter();
        drop(self);
    }

    fn caller(&self, who: Who) -> &Caller {
        match who {
            Who::Ada => &self.ada,
            Who::Bob => &self.bob,
            Who::Machine => &self.machine,
        }
    }

    fn reference(&self) -> String {
        format!("case-{}", self.cases.fetch_add(1, Ordering::SeqCst))
    }

    /// Asks the service and the model the same, and compares what they say.
    async fn compare(&self, requests: &[Asked]) -> Result<(), TestCaseError> {
        let mut case = Case { players: self, reference: self.reference(), orders: Vec::new() };
        for asked in requests {
            case.ask(asked).await?;
        }
        for number in 0..case.orders.len() {
            case.find(Who::Machine, number).await?;
            case.events(Who::Machine, number).await?;
        }
        case.list(Who::Machine, None, 3).await
    }

    /// Has many take steps on two orders at once, each one step after the other.
    async fn race(&self, steps: &[Vec<(usize, Step)>]) -> Result<(), TestCaseError> {
        let mut case = Case { players: self, reference: self.reference(), orders: Vec::new() };
        case.place(Who::Ada, false, &[(1, 1_250)]).await?;
        case.place(Who::Bob, true, &[(1, 1_250)]).await?;
        let known = [AtomicU64::new(1), AtomicU64::new(1)];

        let callers = steps.iter().map(async |steps: &Vec<(usize, Step)>| {
            let mut calls = Vec::new();
            for (order, step) in steps {
                let before = known[*order].load(Ordering::SeqCst);
                let reply = self.take(&case.orders[*order].id, *step, Who::Machine, &[]).await;
                let made = match reply.status() {
                    200 => reply.json()["version"].as_u64(),
                    409 => None,
                    _ => return Err(TestCaseError::fail(reply.text())),
                };
                known[*order].fetch_max(made.unwrap_or(1), Ordering::SeqCst);
                calls.push((*order, Call { step: *step, known: before, made }));
            }
            Ok(calls)
        });
        let calls: Result<Vec<_>, _> = join_all(callers).await.into_iter().collect();

        let (first, second): (Vec<_>, Vec<_>) =
            calls?.into_iter().flatten().partition(|(order, _)| *order == 0);
        for (number, calls) in [first, second].into_iter().enumerate() {
            let calls: Vec<_> = calls.into_iter().map(|(_, call)| call).collect();
            let impossible = is_impossible(&calls);
            prop_assert!(impossible.is_none(), "{}", impossible.unwrap());
            let mut done: Vec<_> = calls.iter().filter(|call| call.made.is_some()).collect();
            done.sort_unstable_by_key(|call| call.made);
            for call in done {
                case.orders[number].take(call.step, Who::Machine, Wanted::Any);
            }
            case.find(Who::Machine, number).await?;
            case.events(Who::Machine, number).await?;
        }
        Ok(())
    }

    async fn take(&self, id: &str, step: Step, by: Who, headers: &[(&str, String)]) -> Reply {
        let path = format!("/orders/{id}/{}", step.name());
        let mut call = self.caller(by).post(&path).json(step.body());
        for (name, value) in headers {
            call = call.header(name, value);
        }
        call.send().await
    }
}

/// The orders of one case, in the model.
struct Case<'a> {
    players: &'a Players,
    reference: String,
    orders: Vec<Order>,
}

impl Case<'_> {
    async fn ask(&mut self, asked: &Asked) -> Result<(), TestCaseError> {
        if let Asked::Place { by, for_bob, lines } = asked {
            return self.place(*by, *for_bob, lines).await;
        }
        if let Asked::List { by, status, limit } = asked {
            return self.list(*by, *status, *limit).await;
        }
        if self.orders.is_empty() {
            return Ok(());
        }
        let count = self.orders.len();
        match *asked {
            Asked::Take { step, by, order, wanted, is_sent_twice } => {
                self.take((step, by), order % count, wanted, is_sent_twice).await
            }
            Asked::Find { by, order } => self.find(by, order % count).await,
            Asked::Events { by, order } => self.events(by, order % count).await,
            Asked::Place { .. } | Asked::List { .. } => Ok(()),
        }
    }

    async fn place(
        &mut self,
        by: Who,
        for_bob: bool,
        lines: &[(u32, u32)],
    ) -> Result<(), TestCaseError> {
        let line = |(number, (count, price)): (usize, &(u32, u32))| {
            let price = format!("{}.{:02}", price / 100, price % 100);
            json!({"sku": format!("TEA-{number}"), "quantity": count, "unit_price": price})
        };
        let lines_shown: Vec<_> = lines.iter().enumerate().map(line).collect();
        let mut body =
            json!({"currency": "EUR", "reference": self.reference, "lines": lines_shown});
        let owner = match (by, for_bob) {
            (Who::Machine, true) => Who::Bob,
            (Who::Machine, false) => Who::Ada,
            (own, _) => own,
        };
        if by == Who::Machine {
            body["customer"] = json!(if for_bob { "bob" } else { "ada" });
        }
        let reply = self.players.caller(by).post("/orders").json(body).send().await;
        prop_assert_eq!(reply.status(), 201, "{}", reply.text());
        let shown = reply.json();
        let order = Order::placed(text(&shown, "id"), owner, lines);
        prop_assert_eq!(order.differs_from(&shown), None);
        prop_assert_eq!(&shown["lines"], &Value::Array(lines_shown));
        self.orders.push(order);
        Ok(())
    }

    async fn take(
        &mut self,
        (step, by): (Step, Who),
        number: usize,
        wanted: Wanted,
        is_sent_twice: bool,
    ) -> Result<(), TestCaseError> {
        let order = &mut self.orders[number];
        let mut headers = Vec::new();
        match wanted {
            Wanted::Any => {}
            Wanted::Present => headers.push(("if-match", format!("\"{}\"", order.version))),
            Wanted::Another => headers.push(("if-match", format!("\"{}\"", order.version + 1))),
        }
        if is_sent_twice {
            let key = self.players.keys.fetch_add(1, Ordering::SeqCst);
            headers.push(("idempotency-key", format!("key-{key}")));
        }
        let reply = self.players.take(&order.id, step, by, &headers).await;
        let expected = order.take(step, by, wanted);
        prop_assert_eq!(reply.status(), expected, "{:?} by {:?}: {}", step, by, reply.text());
        if expected == 200 {
            prop_assert_eq!(order.differs_from(&reply.json()), None);
        }
        if is_sent_twice && [200, 409].contains(&expected) {
            let again = self.players.take(&order.id, step, by, &headers).await;
            prop_assert_eq!(again.status(), expected);
            prop_assert_eq!(again.without_request_id(), reply.without_request_id());
        }
        Ok(())
    }

    async fn find(&self, by: Who, number: usize) -> Result<(), TestCaseError> {
        let order = &self.orders[number];
        let reply = self.players.caller(by).order(&order.id).await;
        if !order.is_seen_by(by) {
            prop_assert_eq!(reply.status(), 404);
            return Ok(());
        }
        prop_assert_eq!(reply.status(), 200);
        prop_assert_eq!(order.differs_from(&reply.json()), None);
        Ok(())
    }

    async fn events(&self, by: Who, number: usize) -> Result<(), TestCaseError> {
        let order = &self.orders[number];
        if !order.is_seen_by(by) {
            let path = format!("/orders/{}/events", order.id);
            let reply = self.players.caller(by).get(&path).send().await;
            prop_assert_eq!(reply.status(), 404);
            return Ok(());
        }
        prop_assert_eq!(&self.players.caller(by).history(&order.id).await, &order.history);
        Ok(())
    }

    /// Walks the pages of the list, newest first.
    async fn list(
        &self,
        by: Who,
        status: Option<&'static str>,
        limit: usize,
    ) -> Result<(), TestCaseError> {
        let is_shown = |order: &&Order| {
            order.is_seen_by(by) && status.is_none_or(|status| status == order.status)
        };
        let mut expected = self.orders.iter().rev().filter(is_shown);
        let status = status.map_or_else(String::new, |status| format!("&status={status}"));
        let first = format!("/orders?reference={}&limit={limit}{status}", self.reference);
        let mut path = first.clone();
        loop {
            let (page, cursor) = self.players.caller(by).page(&path).await;
            prop_assert!(page.len() <= limit);
            for shown in &page {
                let Some(order) = expected.next() else {
                    return Err(TestCaseError::fail(format!("{shown} is too much")));
                };
                prop_assert_eq!(order.differs_from(shown), None);
            }
            let Some(cursor) = cursor else { break };
            path = format!("{first}&cursor={cursor}");
        }
        prop_assert_eq!(expected.next().map(|order| &order.id), None);
        Ok(())
    }
}
