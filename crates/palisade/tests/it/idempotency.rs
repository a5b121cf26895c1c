//! Idempotency keys of a service that is asked without a socket, with a clock turned by hand.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use palisade::args;
use palisade::auth::{self, Auth, AuthSettings, Caller, Role};
use palisade::clock::{Clock, ManualClock, Timestamp};
use palisade::config::Throttle;
use palisade::crypto::{KeyRing, TokenKind};
use palisade::db::{DatabaseUrl, Db, DbError, DbSettings, Migration, Purpose, Tx};
use palisade::http::{
    Answer, AnswerBody, Anyone, Api, App, Body, Endpoint, FromRef, Json, Kind, Lifecycle,
    LimitsSection, Operation, Problem, RequestBody, Response, Route, ServerSection,
};
use palisade::idempotency::{self, Answered, Idempotency, IdempotencySection, Idempotent};
use palisade::input::Line;
use palisade::secret::Secret;
use palisade::telemetry::metrics::Metrics;
use tempfile::TempDir;

pub(crate) static MACHINE: Role = Role::new("machine");
pub(crate) const KEY: &str = "machine-key-machine-key-machine-key";
const DAY: Duration = Duration::from_secs(24 * 3600);
const NO_ROOM: &Kind = &Kind { code: "full", status: 409, title: "Full.", about: "Full." };

type Text = Line<1, 100>;

palisade::body! {
    /// A note.
    pub struct NewNote {
        /// What it says; `full` is refused after it was written, `long` has a long answer.
        text: Text,
    }
}

#[tokio::test]
async fn what_is_done_once_is_done_anew_when_its_day_is_over() {
    let test = Notes::start().await;

    assert_eq!(test.ask("k", "milk").await, (200, r#""milk 1""#.to_owned()));
    test.clock.advance(DAY - Duration::from_millis(1));
    assert_eq!(test.ask("k", "milk").await, (200, r#""milk 1""#.to_owned()));
    assert_eq!(test.ask("k", "tea").await.0, 409);
    test.clock.advance(Duration::from_millis(1));

    assert_eq!(test.ask("k", "tea").await, (200, r#""tea 2""#.to_owned()));
    assert_eq!(test.ask("k", "tea").await, (200, r#""tea 2""#.to_owned()));
}

#[tokio::test]
async fn a_refusal_by_409_is_kept_and_what_it_had_written_is_not() {
    let test = Notes::start().await;

    let (status, refused) = test.ask("k", "full").await;
    assert_eq!((status, test.notes().await), (409, 0));
    test.ask("other", "milk").await;
    test.clock.advance(Duration::from_secs(3600));

    let (status, again) = test.ask("k", "full").await;
    assert_eq!(status, 409);
    assert_eq!(without_request_id(&again), without_request_id(&refused));
    assert_eq!(test.ask("fresh", "full").await.0, 409);
    assert_eq!((test.notes().await, test.rows().await), (1, 3));
    assert!(test.ask("k", "milk").await.1.contains("idempotency_conflict"));
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_done() {
    let test = Notes::start().await;

    for text in ["long", "stream"] {
        let (status, body) = test.ask("k", text).await;
        assert_eq!(status, 500, "{body}");
        assert!(body.contains(r#""code":"internal""#) && !body.contains("kept"), "{body}");
    }
    assert_eq!((test.notes().await, test.rows().await), (0, 0));

    assert_eq!(send(&test.app, None, "long").await.0, 200, "without a key nothing is kept");
}

#[tokio::test]
async fn a_key_used_before_the_secret_key_changed_is_known_after_it() {
    let test = Notes::start().await;
    let first = test.ask("k", "milk").await;

    let after = test.with_keys(2, Some(1));

    assert_eq!(after.ask("k", "milk").await, first);
    assert!(after.ask("k", "tea").await.1.contains("idempotency_conflict"));
    assert_eq!(after.ask("new", "tea").await.1, r#""tea 2""#);
    let much_later = after.with_keys(3, None);
    assert_eq!(much_later.ask("k", "milk").await.1, r#""milk 3""#, "nothing tells it any more");
}

#[tokio::test]
async fn forgetting_takes_as_many_as_asked_and_none_that_still_counts() {
    let test = Notes::start().await;
    for key in ["a", "b", "c", "d", "e"] {
        test.ask(key, "milk").await;
    }
    test.clock.advance(DAY);
    let last = test.ask("f", "tea").await;

    assert_eq!(test.forget(2).await, 2);
    assert_eq!(test.rows().await, 4);
    assert_eq!(test.forget(100).await, 3);
    assert_eq!(test.forget(100).await, 0);

    assert_eq!(test.ask("f", "tea").await, last);
}

#[tokio::test]
async fn a_kept_answer_is_given_to_nobody_who_may_not_see_it_any_more() {
    let test = Notes::start().await;
    test.ask("k", "milk").await;

    let close = async |tx: &mut Tx<'_>| -> Result<u64, DbError> {
        tx.execute("INSERT INTO closed (number) VALUES (1)", args![]).await
    };
    test.shared.db.write(close).await.unwrap();

    for text in ["milk", "tea"] {
        let (status, body) = test.ask("k", text).await;
        assert_eq!(status, 404, "neither the answer nor that it is a conflict: {body}");
    }
}

#[tokio::test]
async fn of_equal_requests_at_once_one_is_done() {
    let test = Arc::new(Notes::start().await);

    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let test = Arc::clone(&test);
        asking.spawn(async move { test.ask("k", "milk").await });
    }

    for answer in asking.join_all().await {
        assert_eq!(answer, (200, r#""milk 1""#.to_owned()));
    }
    assert_eq!((test.notes().await, test.rows().await), (1, 1));
}

#[tokio::test]
async fn a_route_that_lets_strangers_in_takes_no_key() {
    let test = Notes::start().await;
    let api = Api::new().route(Route::post("/notes", "note").policy(Anyone).handle(note));
    let app = app(api, &test.shared);

    assert_eq!(send(&app, Some("k"), "milk").await.0, 500, "there is no caller to keep it for");
    assert_eq!(test.notes().await, 0);
}

#[test]
#[should_panic(expected = "`Idempotent` as an argument and `Answered` go together")]
fn a_handler_that_reads_a_key_and_does_not_answer_by_it_does_not_start() {
    async fn careless(_: Idempotent<Body<NewNote>>) -> Result<Json<Text>, Problem> {
        Err(Problem::not_found())
    }

    let route: Endpoint<Shared> = Route::post("/notes", "note").policy(Anyone).handle(careless);
    drop(route);
}

/// Writes a note and answers with its text and number.
async fn note(_: Caller, request: Idempotent<Body<NewNote>>) -> Result<Answered<Shown>, Problem> {
    let (Body(NewNote { text }), once) = request.into_parts();
    let may_see = async |tx: &mut Tx<'_>| {
        let sql = "SELECT count(*) FROM closed";
        let closed: i64 = tx.query_one(sql, args![], |row| row.get(0)).await?;
        if closed == 0 { Ok(()) } else { Err(NoteError::Gone) }
    };
    let work = async move |tx: &mut Tx<'_>| {
        tx.execute("INSERT INTO notes SELECT count(*) + 1 FROM notes", args![]).await?;
        let sql = "SELECT max(number) FROM notes";
        let number: i64 = tx.query_one(sql, args![], |row| row.get(0)).await?;
        match text.as_str() {
            "full" => Err(NoteError::Full),
            text => Ok(format!("{text} {number}")),
        }
    };
    once.answering(Shown).write(may_see, work).await
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NoteError {
    #[error("full")]
    Full,
    #[error("gone")]
    Gone,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<NoteError> for Problem {
    fn from(error: NoteError) -> Self {
        match error {
            NoteError::Full => Self::new(NO_ROOM).detail("No room."),
            NoteError::Gone => Self::not_found(),
            NoteError::Db(error) => error.into(),
        }
    }
}

pub(crate) struct Shown(pub(crate) String);

impl Answer for Shown {
    fn describe(operation: &mut Operation) {
        operation.answers::<Text>(200, "Done.");
    }

    fn into_response(self) -> Result<Response, Problem> {
        let body = format!("\"{}\"", self.0);
        Ok(Response::new(match body.as_str() {
            long if long.contains("long") => AnswerBody::whole(body.repeat(64 * 1024)),
            stream if stream.contains("stream") => {
                AnswerBody::stream(Full::from(body).map_err(|never| match never {}))
            }
            _ => AnswerBody::whole(body),
        }))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Shared {
    db: Db,
    auth: Auth,
    idempotency: Idempotency,
}

impl FromRef<Shared> for Auth {
    fn from_ref(shared: &Shared) -> Self {
        shared.auth.clone()
    }
}

impl FromRef<Shared> for Idempotency {
    fn from_ref(shared: &Shared) -> Self {
        shared.idempotency.clone()
    }
}

/// A service of notes.
pub(crate) struct Notes {
    app: App,
    pub(crate) shared: Shared,
    clock: Arc<ManualClock>,
    folder: Arc<TempDir>,
}

impl Notes {
    pub(crate) async fn start() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let url = format!("sqlite://{}/notes.db", folder.path().display());
        let url = DatabaseUrl::parse(&url).unwrap();
        let db = Db::open(&url, DbSettings::new(Purpose::Serve)).await.unwrap();
        db.migrate(idempotency::COMPONENT, idempotency::MIGRATIONS).await.unwrap();
        let sql = "CREATE TABLE notes (number BIGINT NOT NULL PRIMARY KEY);
                   CREATE TABLE closed (number BIGINT NOT NULL PRIMARY KEY);";
        db.migrate("notes", &[Migration { version: 1, name: "notes", sql }]).await.unwrap();
        let clock = Arc::new(ManualClock::starting_at(Timestamp::from_millis(1_700_000_000_000)));
        Self::around(db, clock, folder, (1, None))
    }

    fn around(
        db: Db,
        clock: Arc<ManualClock>,
        folder: Arc<TempDir>,
        (key, previous): (u8, Option<u8>),
    ) -> Self {
        let secret = |byte: u8| Secret::new(vec![byte; 32]);
        let ring = KeyRing::new(&secret(key), previous.map(secret).as_ref()).unwrap();
        let (metrics, settings) = (Metrics::new(), IdempotencySection::default());
        let shared_clock: Arc<dyn Clock> = clock.clone();
        let auth = AuthSettings {
            session_tokens: TokenKind::new("nts_"),
            api_keys: TokenKind::new("ntk_"),
            idle: Duration::from_secs(60),
            absolute: Duration::from_secs(60),
            machine_keys: vec![Secret::new(KEY.to_owned())],
            machine_role: MACHINE.clone(),
            second_factor_for: Vec::new(),
        };
        let auth = Auth::new(db.clone(), Arc::clone(&shared_clock), auth);
        let idempotency =
            Idempotency::new(db.clone(), shared_clock, &ring, &settings, &metrics).unwrap();
        let shared = Shared { db, auth, idempotency };
        let policy = auth::role(&MACHINE, "notes:write");
        let route = Route::post("/notes", "note").policy(policy).handle(note);
        Self { app: app(Api::new().route(route), &shared), shared, clock, folder }
    }

    /// Returns the same service after a change of its secret key.
    fn with_keys(&self, key: u8, previous: Option<u8>) -> Self {
        let (db, clock) = (self.shared.db.clone(), Arc::clone(&self.clock));
        Self::around(db, clock, Arc::clone(&self.folder), (key, previous))
    }

    async fn ask(&self, key: &str, text: &str) -> (u16, String) {
        send(&self.app, Some(key), text).await
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let count = async move |tx: &mut Tx<'_>| -> Result<i64, DbError> {
            tx.query_one(sql, args![], |row| row.get(0)).await
        };
        self.shared.db.read(count).await.unwrap()
    }

    pub(crate) async fn notes(&self) -> i64 {
        self.count("SELECT count(*) FROM notes").await
    }

    async fn forget(&self, most: i64) -> u64 {
        let now = self.clock.now();
        let forget = async move |tx: &mut Tx<'_>| idempotency::remove_expired(tx, now, most).await;
        self.shared.db.write(forget).await.unwrap()
    }

    pub(crate) async fn rows(&self) -> i64 {
        self.count("SELECT count(*) FROM palisade_idempotency").await
    }
}

pub(crate) fn app(api: Api<Shared>, shared: &Shared) -> App {
    let edge = LimitsSection::default().public_edge(&ServerSection::default(), Throttle::Off);
    App::new(api, shared, edge, Lifecycle::new(), &Metrics::new()).unwrap()
}

async fn send(app: &App, key: Option<&str>, text: &str) -> (u16, String) {
    let request = http::Request::post("/notes")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json");
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    let body = RequestBody::whole(format!(r#"{{"text": "{text}"}}"#));
    let response = app.respond(request.body(body).unwrap(), [127, 0, 0, 1].into()).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn without_request_id(problem: &str) -> serde_json::Value {
    let mut problem: serde_json::Value = serde_json::from_str(problem).unwrap();
    problem.as_object_mut().unwrap().remove("request_id").unwrap();
    problem
}
