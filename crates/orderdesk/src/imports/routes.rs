//! Imports over HTTP.

use std::sync::Arc;
use std::time::Duration;

use palisade::auth::{self, Caller};
use palisade::clock::Clock;
use palisade::db::{Db, DbError, Tx};
use palisade::http::problem::MALFORMED_BODY;
use palisade::http::{Accepted, Api, Csv, CsvFile, FromRef, Json, PathId, Problem, Route, State};
use palisade::idempotency::{Answered, IdempotentStream};
use palisade::input::CsvEncoder;
use serde_json::json;

use super::wire::AcceptedImport;
use super::{
    Import, ImportId, ImportStatus, ImportView, REJECTIONS_HEADER, UploadError, Uploads, store,
};
use crate::accounts::{Actor, OPERATOR};
use crate::state::{AppState, Bell};

/// The largest file that is taken, in bytes.
pub(super) const LARGEST: usize = 64 * 1024 * 1024;
/// A file of one order.
const EXAMPLE: &str = "reference,customer,currency,sku,quantity,unit_price\r\n\
                       spring-42,ada,EUR,TEA-100,2,12.50\r\n\
                       spring-42,ada,EUR,CUP-7,1,8.00\r\n";
/// How long the handler may take: the file arrives meanwhile.
const LONGEST: Duration = Duration::from_secs(900);
/// Rejections that are read at a time.
const PAGE: i64 = 500;

/// What handlers of imports need.
#[derive(Debug, Clone)]
struct Imports {
    db: Db,
    clock: Arc<dyn Clock>,
    bell: Bell,
}

impl FromRef<AppState> for Imports {
    fn from_ref(state: &AppState) -> Self {
        let AppState { db, clock, bell, .. } = state.clone();
        Self { db, clock, bell }
    }
}

/// Returns the routes of imports.
pub fn routes(uploads: &Uploads) -> Api<AppState> {
    let uploads = uploads.clone();
    let upload =
        move |State(imports): State<Imports>, caller: Caller, file: IdempotentStream<Csv>| {
            upload(imports, caller, file, uploads.clone())
        };
    Api::new()
        .route(
            Route::post("/imports", "importOrders")
                .about("Takes a CSV file of orders on; `docs/use/csv.md` says how it looks.")
                .tagged("imports")
                .takes_up_to(LARGEST)
                .within(LONGEST)
                .policy(auth::role(&OPERATOR, "imports:write"))
                .refuses(MALFORMED_BODY)
                .example(json!(EXAMPLE))
                .links_to("readImport")
                .links_to("readRejections")
                .handle(upload),
        )
        .route(
            Route::get("/imports/{id}", "readImport")
                .about("Returns how far an import is.")
                .tagged("imports")
                .policy(auth::role(&OPERATOR, "imports:write"))
                .handle(show),
        )
        .route(
            Route::get("/imports/{id}/rejections", "readRejections")
                .about("Returns the rows that made no order, and why, in the order of the file.")
                .tagged("imports")
                .policy(auth::role(&OPERATOR, "imports:write"))
                .handle(rejections),
        )
}

async fn upload(
    imports: Imports,
    caller: Caller,
    mut file: IdempotentStream<Csv>,
    uploads: Uploads,
) -> Result<Answered<Accepted<AcceptedImport>>, Problem> {
    let Imports { db, clock, bell } = imports;
    let actor = caller.account().map_or(Actor::Machine, Actor::Account);
    let mut upload = uploads.begin(db, Arc::clone(&clock), actor).await?;
    while let Some(piece) = file.next().await? {
        upload.add(&piece).await?;
    }
    let id = upload.finish().await?;
    let now = clock.now();
    // It tells of a file that the caller sent, and the route's policy has judged the caller.
    let may_see = async |_: &mut Tx<'_>| Ok(());
    let answered = file.into_once()?.answering(accepted).write(
        may_see,
        async move |tx: &mut Tx<'_>| -> Result<ImportId, UploadError> {
            match store::enqueue(tx, id, now).await? {
                true => Ok(id),
                false => Err(UploadError::GivenUp),
            }
        },
    );
    let answered = answered.await?;
    bell.ring();
    // Of a repeated request nothing was enqueued, and what is left is removed.
    drop(upload);
    Ok(answered)
}

fn accepted(id: ImportId) -> Accepted<AcceptedImport> {
    let body = AcceptedImport { id, status: ImportStatus::Queued };
    Accepted { location: format!("/imports/{id}"), body }
}

async fn show(
    State(imports): State<Imports>,
    PathId(id): PathId<Import>,
) -> Result<Json<ImportView>, Problem> {
    Ok(Json(ImportView::from(&found(&imports.db, id).await?)))
}

async fn rejections(
    State(imports): State<Imports>,
    PathId(id): PathId<Import>,
) -> Result<CsvFile, Problem> {
    let db = imports.db;
    found(&db, id).await?;
    CsvFile::of_pages("rejections.csv", REJECTIONS_HEADER, 0, move |line| {
        let db = db.clone();
        async move { Ok(page(&db, id, line).await?) }
    })
    .await
}

/// Writes the rejections behind `line`, and returns the line to go on behind.
pub(crate) async fn page(
    db: &Db,
    id: ImportId,
    line: u64,
) -> Result<(String, Option<u64>), DbError> {
    let found = db.read(async move |tx: &mut Tx<'_>| store::rejections(tx, id, line, PAGE).await);
    let found = found.await?;
    let mut text = String::new();
    let mut rows = CsvEncoder::new(&mut text);
    for (line, code, detail) in &found {
        rows.row([line.to_string().as_str(), code, detail]);
    }
    let is_full = i64::try_from(found.len()).unwrap_or(i64::MAX) == PAGE;
    Ok((text, found.last().map(|(line, ..)| *line).filter(|_| is_full)))
}

async fn found(db: &Db, id: ImportId) -> Result<Import, Problem> {
    let found = db.look_up(async move |tx: &mut Tx<'_>| store::find(tx, id).await).await?;
    found.ok_or_else(Problem::not_found)
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooMany | UploadError::GivenUp => Self::overloaded().caused_by(error),
            UploadError::File(why) => Self::new(MALFORMED_BODY).detail(sentence(&why)),
            UploadError::Db(error) => error.into(),
        }
    }
}

/// Begins with a capital letter and ends with a full stop.
fn sentence(why: &palisade::input::CsvFileError) -> String {
    let text = why.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
