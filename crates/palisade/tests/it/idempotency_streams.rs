//! Idempotency keys of requests whose body is read piece by piece.

use http_body_util::BodyExt as _;
use palisade::args;
use palisade::auth::{self, Caller};
use palisade::db::Tx;
use palisade::http::{Api, App, OctetStream, Problem, RequestBody, Route};
use palisade::idempotency::{Answered, IdempotentStream};

use crate::idempotency::{KEY, MACHINE, NoteError, Notes, Shared, Shown, app};
use crate::support::gzip;

/// More than is read of a body at a time.
const LONG: usize = 300_000;
const LIMIT: usize = 1_000_000;

#[tokio::test]
async fn the_same_bytes_under_one_key_are_one_request_however_they_come() {
    let test = Notes::start().await;
    let app = files(&test.shared);
    let bytes = vec![b'a'; LONG];

    let first = send(&app, "k", bytes.clone(), None).await;
    let in_pieces = send(&app, "k", gzip(&bytes), Some("gzip")).await;
    let other_key = send(&app, "l", bytes, None).await;

    assert_eq!(first, (200, format!("\"{LONG} 1\"")));
    assert_eq!(in_pieces, first);
    assert_eq!(other_key, (200, format!("\"{LONG} 2\"")));
    assert_eq!((test.notes().await, test.rows().await), (2, 2));
}

#[tokio::test]
async fn bytes_that_differ_anywhere_are_another_request() {
    let test = Notes::start().await;
    let app = files(&test.shared);
    let bytes = vec![b'a'; LONG];
    send(&app, "k", bytes.clone(), None).await;

    let mut last_differs = bytes.clone();
    last_differs[LONG - 1] = b'b';
    for other in [last_differs, bytes[..LONG - 1].to_vec(), [&bytes[..], b"a"].concat(), vec![]] {
        let (status, body) = send(&app, "k", other, None).await;
        assert!(status == 409 && body.contains("idempotency_conflict"), "{status} {body}");
    }

    assert_eq!(test.notes().await, 1);
    assert_eq!(send(&app, "k", bytes, None).await, (200, format!("\"{LONG} 1\"")));
}

#[tokio::test]
async fn a_body_that_does_not_come_to_its_end_takes_no_key() {
    let test = Notes::start().await;
    let app = files(&test.shared);

    let too_large = send(&app, "k", vec![b'a'; LIMIT + 1], None).await;
    let broken = gzip(&[b'a'; 1_000]);
    let broken = send(&app, "k", broken[..broken.len() / 2].to_vec(), Some("gzip")).await;

    assert_eq!((too_large.0, broken.0), (413, 400));
    assert_eq!((test.notes().await, test.rows().await), (0, 0));
    assert_eq!(send(&app, "k", vec![b'b'; 2], None).await, (200, "\"2 1\"".to_owned()));
}

#[tokio::test]
async fn a_handler_that_judges_a_key_before_it_knows_the_body_does_nothing() {
    let test = Notes::start().await;
    let app = files(&test.shared);

    // It reads one piece only of what begins so.
    let (status, body) = send(&app, "k", [b"!".repeat(LONG)].concat(), None).await;

    assert_eq!(status, 500, "{body}");
    assert_eq!((test.notes().await, test.rows().await), (0, 0));
}

/// Notes how many bytes came.
async fn file(
    _: Caller,
    mut stream: IdempotentStream<OctetStream>,
) -> Result<Answered<Shown>, Problem> {
    let mut length = 0;
    while let Some(piece) = stream.next().await? {
        length += piece.len();
        if piece.first() == Some(&b'!') {
            break;
        }
    }
    let may_see = async |_: &mut Tx<'_>| Ok::<(), NoteError>(());
    let work = async move |tx: &mut Tx<'_>| {
        tx.execute("INSERT INTO notes SELECT count(*) + 1 FROM notes", args![]).await?;
        let sql = "SELECT max(number) FROM notes";
        let number: i64 = tx.query_one(sql, args![], |row| row.get(0)).await?;
        Ok(format!("{length} {number}"))
    };
    stream.into_once()?.answering(Shown).write(may_see, work).await
}

fn files(shared: &Shared) -> App {
    let route = Route::post("/files", "file").takes_up_to(LIMIT).inflates();
    let route = route.policy(auth::role(&MACHINE, "files:write")).handle(file);
    app(Api::new().route(route), shared)
}

async fn send(app: &App, key: &str, body: Vec<u8>, coding: Option<&str>) -> (u16, String) {
    let request = http::Request::post("/files")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/octet-stream")
        .header("idempotency-key", key)
        .header("content-encoding", coding.unwrap_or("identity"));
    let request = request.body(RequestBody::whole(body)).unwrap();
    let response = app.respond(request, [127, 0, 0, 1].into()).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}
