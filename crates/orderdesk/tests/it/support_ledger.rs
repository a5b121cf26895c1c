//! Customers and an operator who write down what was acknowledged, while the ground shakes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use palisade_testing::Reply;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Caller, TestService, order_body, text};
use crate::support_orders::assert_problem;

/// What was written down.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Each order that was acknowledged, in its newest version.
    pub(crate) acknowledged: BTreeMap<String, Value>,
    /// What was sent and got no answer, or one that leaves it open.
    pub(crate) unknown: Vec<Request>,
    /// How often each status was answered; 0 is no answer.
    pub(crate) answers: BTreeMap<u16, usize>,
    /// The longest time until an answer.
    pub(crate) longest: Duration,
}

impl Book {
    pub(crate) fn answered(&self, status: u16) -> usize {
        self.answers.get(&status).copied().unwrap_or_default()
    }

    /// Writes down an order as it was acknowledged.
    pub(crate) fn note(&mut self, order: Value) {
        let newest = self.acknowledged.entry(text(&order, "id").to_owned()).or_default();
        if version(newest) < version(&order) {
            *newest = order;
        }
    }
}

/// What many rounds of load and faults have written down.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) book: Book,
    pub(crate) placed: usize,
}

impl Ledger {
    pub(crate) fn add(&mut self, (book, placed): (Book, usize)) {
        self.placed += placed;
        book.acknowledged.into_values().for_each(|order| self.book.note(order));
    }

    /// Asserts that every order is there, once, as it was acknowledged.
    pub(crate) async fn assert_kept(&self, customer: &Caller) {
        assert_eq!(self.book.acknowledged.len(), self.placed, "each key has one effect");
        assert_kept(customer, &self.book).await;
    }
}

/// A request that can be sent again as it was.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    is_placing: bool,
    key: String,
    path: String,
    body: Value,
}

/// Several writers at once, until they are told to stop.
pub(crate) struct Load {
    pub(crate) book: Arc<Mutex<Book>>,
    placed: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    working: Arc<AtomicUsize>,
    writers: JoinSet<()>,
}

impl Load {
    /// Starts writers, each at one of `services` in turn.
    pub(crate) fn start(writers: usize, callers: &[(Caller, Caller)]) -> Self {
        Self::start_after(0, writers, callers)
    }

    /// Starts writers whose keys are none of those of the load that had placed so many before.
    pub(crate) fn start_after(before: usize, writers: usize, callers: &[(Caller, Caller)]) -> Self {
        let mut load = Self {
            book: Arc::default(),
            placed: Arc::default(),
            is_over: Arc::default(),
            working: Arc::default(),
            writers: JoinSet::new(),
        };
        for (number, (customer, machine)) in (0..writers).zip(callers.iter().cycle()) {
            let (book, placed) = (Arc::clone(&load.book), Arc::clone(&load.placed));
            let (customer, machine) = (customer.clone(), machine.clone());
            let number = format!("{before}-{number}");
            let writer = Writer { number, customer, machine, book, placed };
            let (is_over, working) = (Arc::clone(&load.is_over), Arc::clone(&load.working));
            working.fetch_add(1, Ordering::SeqCst);
            load.writers.spawn(async move {
                writer.work(is_over).await;
                working.fetch_sub(1, Ordering::SeqCst);
            });
        }
        load
    }

    /// Waits until so many further requests were acknowledged.
    pub(crate) async fn acknowledges(&self, more: usize) {
        let (before, begun) = (self.successes(), Instant::now());
        while self.successes() < before + more {
            assert!(begun.elapsed() < PATIENCE, "not served: {:?}", self.book.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a further request was not done.
    pub(crate) async fn is_refused_again(&self) {
        let (before, begun) = (self.book.lock().unwrap().unknown.len(), Instant::now());
        while self.book.lock().unwrap().unknown.len() <= before {
            assert!(begun.elapsed() < PATIENCE, "nothing happens: {:?}", self.book.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn successes(&self) -> usize {
        let book = self.book.lock().unwrap();
        book.answered(200) + book.answered(201)
    }

    /// Ends the writers, each behind the request that it is at.
    pub(crate) async fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        while self.working.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the writers and sends once more what is unknown, which must be answered now; returns
    /// the book and how many orders there must be.
    pub(crate) async fn settle(mut self, (customer, machine): &(Caller, Caller)) -> (Book, usize) {
        self.is_over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.writers.join_next().await {
            ended.unwrap();
        }
        let unknown = self.book.lock().unwrap().unknown.clone();
        for request in &unknown {
            let caller = if request.is_placing { customer } else { machine };
            let reply = send(caller, request).await.expect("an answer now");
            assert!((200..300).contains(&reply.status()), "{request:?}: {}", reply.text());
            write_down(&mut self.book.lock().unwrap(), &reply);
        }
        let book = std::mem::take(&mut *self.book.lock().unwrap());
        (book, self.placed.load(Ordering::SeqCst))
    }
}

struct Writer {
    number: String,
    customer: Caller,
    machine: Caller,
    book: Arc<Mutex<Book>>,
    placed: Arc<AtomicUsize>,
}

impl Writer {
    /// Places orders, and pays, ships or cancels them.
    async fn work(self, is_over: Arc<AtomicBool>) {
        for round in 0.. {
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            self.placed.fetch_add(1, Ordering::SeqCst);
            let Some(id) = self.places(round).await else { continue };
            let steps: &[_] = match round % 4 {
                0 => &["pay", "ship"],
                1 => &["cancel"],
                2 => &["pay", "cancel"],
                _ => &["pay"],
            };
            for step in steps {
                if self.takes(&id, step).await.is_none() {
                    break;
                }
            }
        }
    }

    async fn places(&self, round: usize) -> Option<String> {
        let key = format!("place-{}-{round}", self.number);
        let (path, body) = ("/orders".to_owned(), order_body("12.50"));
        self.does(Request { is_placing: true, key, path, body }).await
    }

    async fn takes(&self, id: &str, step: &str) -> Option<String> {
        let body = if step == "pay" { json!({"payment_reference": "pi_3Nk1"}) } else { json!({}) };
        let (key, path) = (format!("{step}-{id}"), format!("/orders/{id}/{step}"));
        self.does(Request { is_placing: false, key, path, body }).await
    }

    /// Sends a request and returns the id of the order, if that was acknowledged.
    async fn does(&self, request: Request) -> Option<String> {
        let caller = if request.is_placing { &self.customer } else { &self.machine };
        let begun = Instant::now();
        let answered = send(caller, &request).await;
        let id = {
            let mut book = self.book.lock().unwrap();
            book.longest = book.longest.max(begun.elapsed());
            let status = answered.as_ref().map_or(0, Reply::status);
            *book.answers.entry(status).or_default() += 1;
            match &answered {
                Some(reply) if (200..300).contains(&status) => Some(write_down(&mut book, reply)),
                _ => {
                    book.unknown.push(request);
                    None
                }
            }
        };
        if id.is_none() {
            if let Some(reply) = &answered {
                assert_says_try_again(reply);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        id
    }
}

async fn send(caller: &Caller, request: &Request) -> Option<Reply> {
    let call = caller.post(&request.path).header("idempotency-key", &request.key);
    call.json(request.body.clone()).try_send().await.ok()
}

fn write_down(book: &mut Book, reply: &Reply) -> String {
    let order = reply.json();
    let id = text(&order, "id").to_owned();
    book.note(order);
    id
}

fn version(order: &Value) -> u64 {
    order["version"].as_u64().unwrap_or_default()
}

/// A 503 says when; a 500 says that nobody knows, and nothing else.
#[track_caller]
fn assert_says_try_again(reply: &Reply) {
    match reply.status() {
        503 => {
            assert_problem(reply, 503, "overloaded");
            assert!(reply.header("retry-after").is_some());
        }
        500 => drop(assert_problem(reply, 500, "internal")),
        _ => panic!("{} is no answer to a fault: {}", reply.status(), reply.text()),
    }
}

/// Asserts that the list holds every order that was acknowledged, in that version or a later one and
/// otherwise as it was, and no other.
pub(crate) async fn assert_kept(customer: &Caller, book: &Book) {
    let mut found = BTreeMap::new();
    let mut path = "/orders?limit=200".to_owned();
    loop {
        let (orders, cursor) = customer.page(&path).await;
        for order in orders {
            assert!(found.insert(text(&order, "id").to_owned(), order).is_none(), "twice");
        }
        let Some(cursor) = cursor else { break };
        path = format!("/orders?limit=200&cursor={cursor}");
    }
    for (id, acknowledged) in &book.acknowledged {
        let kept = found.remove(id).unwrap_or_else(|| panic!("{id} was acknowledged and is lost"));
        assert!(version(&kept) >= version(acknowledged), "{acknowledged} and then {kept}");
        if version(&kept) == version(acknowledged) {
            assert_eq!(&kept, acknowledged);
        }
        for name in ["currency", "reference", "lines", "total", "customer_id", "created_at"] {
            assert_eq!(kept[name], acknowledged[name], "{name} of {id}");
        }
    }
    assert!(found.is_empty(), "nobody was told of {found:?}");
}

/// Waits until the admin listener says whether the service is ready.
pub(crate) async fn becomes_ready(app: &TestService, is_ready: bool) {
    let begun = Instant::now();
    let expected = if is_ready { 200 } else { 503 };
    while app.admin().get("/ready").send().await.status() != expected {
        assert!(begun.elapsed() < PATIENCE, "never {expected}: {}", app.service.stderr());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Far beyond what anything here takes, also on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);
