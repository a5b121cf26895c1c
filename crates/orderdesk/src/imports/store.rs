//! The imports' SQL.

use palisade::args;
use palisade::auth::AccountId;
use palisade::clock::Timestamp;
use palisade::db::{DbError, Row, Tx};
use palisade::input::CsvPosition;

use super::{Import, ImportId, ImportStatus, Lease, Rejection};
use crate::accounts::Actor;
use crate::orders::{OrderId, Reference};

/// The columns that [`read`] reads.
macro_rules! imports {
    ($rest:literal) => {
        concat!(
            "SELECT id, status, bytes, byte_offset, next_line, rows_read, rows_rejected,
                    orders_created, actor, attempts FROM imports ",
            $rest
        )
    };
}

/// Begins an upload.
pub(crate) async fn begin(
    tx: &mut Tx<'_>,
    id: ImportId,
    actor: Actor,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO imports (id, actor, status, bytes, byte_offset, next_line, rows_read,
             rows_rejected, orders_created, attempts, created_at, updated_at)
         VALUES ($1, $2, 'uploading', 0, 0, 1, 0, 0, 0, 0, $3, $3)",
        args![id, actor.to_string(), now],
    )
    .await?;
    Ok(())
}

/// Returns how many imports are not over, up to `most`.
pub(crate) async fn count_open(tx: &mut Tx<'_>, most: i64) -> Result<i64, DbError> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM imports
                WHERE status IN ('uploading', 'queued', 'running') LIMIT $1) AS open";
    tx.query_one(sql, args![most], |row| row.get(0)).await
}

/// Adds a piece of the file; false if the upload was given up meanwhile.
pub(crate) async fn add_chunk(
    tx: &mut Tx<'_>,
    (id, number): (ImportId, u64),
    content: &[u8],
    now: Timestamp,
) -> Result<bool, DbError> {
    let length = i64::try_from(content.len()).unwrap_or(i64::MAX);
    let added = tx
        .execute(
            "UPDATE imports SET bytes = bytes + $2, updated_at = $3
             WHERE id = $1 AND status = 'uploading' AND updated_at > 0",
            args![id, length, now],
        )
        .await?;
    if added == 1 {
        tx.execute(
            "INSERT INTO import_chunks (import_id, number, content) VALUES ($1, $2, $3)",
            args![id, whole(number), content],
        )
        .await?;
    }
    Ok(added == 1)
}

/// Says that the file is whole and may be worked off; false if the upload was given up.
pub(crate) async fn enqueue(
    tx: &mut Tx<'_>,
    id: ImportId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let sql = "UPDATE imports SET status = 'queued', updated_at = $2
               WHERE id = $1 AND status = 'uploading' AND updated_at > 0";
    Ok(tx.execute(sql, args![id, now]).await? == 1)
}

/// Gives an upload up, for good: its last sign of life is that of 1970, and nothing is added to it
/// any more. False if it was enqueued or is gone.
pub(crate) async fn give_up(tx: &mut Tx<'_>, id: ImportId) -> Result<bool, DbError> {
    let sql = "UPDATE imports SET updated_at = 0 WHERE id = $1 AND status = 'uploading'";
    Ok(tx.execute(sql, args![id]).await? == 1)
}

/// Gives up the uploads that nobody has gone on with since `abandoned`.
pub(crate) async fn give_up_resting(tx: &mut Tx<'_>, abandoned: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE imports SET updated_at = 0
               WHERE status = 'uploading' AND updated_at BETWEEN 1 AND $1";
    tx.execute(sql, args![abandoned]).await?;
    Ok(())
}

/// Removes up to `most` chunks of an upload that was given up; true if it is gone with the last.
pub(crate) async fn remove_given_up(
    tx: &mut Tx<'_>,
    id: ImportId,
    most: i64,
) -> Result<bool, DbError> {
    let removed = tx
        .execute(
            "DELETE FROM import_chunks WHERE import_id = $1 AND number IN (
                 SELECT number FROM import_chunks WHERE import_id = $1 ORDER BY number LIMIT $2)",
            args![id, most],
        )
        .await?;
    if i64::try_from(removed).is_ok_and(|removed| removed == most) {
        return Ok(false);
    }
    let sql = "DELETE FROM imports WHERE id = $1 AND status = 'uploading' AND updated_at = 0";
    tx.execute(sql, args![id]).await?;
    Ok(true)
}

/// Returns the import `id`, once its file is whole.
pub(crate) async fn find(tx: &mut Tx<'_>, id: ImportId) -> Result<Option<Import>, DbError> {
    let sql = imports!("WHERE id = $1 AND status <> 'uploading'");
    Ok(tx.query_optional(sql, args![id], read).await?.map(|(import, ..)| import))
}

/// Returns a piece of the file.
pub(crate) async fn chunk(
    tx: &mut Tx<'_>,
    id: ImportId,
    number: u64,
) -> Result<Option<Vec<u8>>, DbError> {
    let sql = "SELECT content FROM import_chunks WHERE import_id = $1 AND number = $2";
    tx.query_optional(sql, args![id, whole(number)], |row| row.get(0)).await
}

/// What a process asks for that would work an import off.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// The import, if not the oldest.
    pub(crate) only: Option<ImportId>,
    /// A random text.
    pub(crate) token: String,
    /// How often an import may be begun at one place.
    pub(crate) attempts: i64,
    pub(crate) now: Timestamp,
    /// When the lease ends that is asked for.
    pub(crate) until: Timestamp,
    /// When any lease ends by that is given now. One that ends later was given by a clock that was
    /// set back since, and is over as well.
    pub(crate) latest: Timestamp,
}

/// Takes the lease of the oldest import that waits or whose lease is over. `None` if there is none,
/// or another process was faster.
pub(crate) async fn claim(tx: &mut Tx<'_>, claim: &Claim) -> Result<Option<Lease>, DbError> {
    let Claim { only, token, attempts, now, until, latest } = claim;
    let sql = imports!(
        "WHERE ($1 IS NULL OR id = $1)
           AND (status = 'queued'
                OR (status = 'running' AND (lease_until <= $2 OR lease_until > $3)))
         ORDER BY id LIMIT 1"
    );
    let found = tx.query_optional(sql, args![*only, *now, *latest], read).await?;
    let Some((import, actor, used)) = found else { return Ok(None) };
    let claimed = tx
        .execute(
            "UPDATE imports SET status = 'running', lease = $2, lease_until = $3,
                 attempts = attempts + 1, updated_at = $4
             WHERE id = $1
               AND (status = 'queued'
                    OR (status = 'running' AND (lease_until <= $4 OR lease_until > $5)))",
            args![import.id, token.as_str(), *until, *now, *latest],
        )
        .await?;
    let is_taken_over = import.status == ImportStatus::Running;
    let is_one_too_many = used >= *attempts;
    let lease = Lease { import, actor, token: token.clone(), is_taken_over, is_one_too_many };
    Ok((claimed == 1).then_some(lease))
}

/// What one transaction adds to an import.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progressed {
    /// Where it was.
    pub(crate) from: CsvPosition,
    /// Where it is.
    pub(crate) to: CsvPosition,
    /// Rows that were worked off.
    pub(crate) rows_read: u64,
    /// Rows that made no order.
    pub(crate) rows_rejected: u64,
    /// Orders that were made.
    pub(crate) orders_created: u64,
    /// Whether this was the last.
    pub(crate) status: ImportStatus,
}

/// Writes down how far an import is, and keeps its lease; false if the lease is somebody else's.
///
/// From here on the attempt under way is the first: what counts is how often the same rows failed.
pub(crate) async fn progress(
    tx: &mut Tx<'_>,
    lease: &Lease,
    made: &Progressed,
    (now, until): (Timestamp, Timestamp),
) -> Result<bool, DbError> {
    let is_over = made.status != ImportStatus::Running;
    let changed = tx
        .execute(
            "UPDATE imports
             SET byte_offset = $4, next_line = $5, rows_read = rows_read + $6,
                 rows_rejected = rows_rejected + $7, orders_created = orders_created + $8,
                 status = $9, lease = $10, lease_until = $11, updated_at = $12, attempts = 1
             WHERE id = $1 AND lease = $2 AND byte_offset = $3",
            args![
                lease.import.id,
                lease.token.as_str(),
                whole(made.from.offset),
                whole(made.to.offset),
                whole(made.to.line),
                whole(made.rows_read),
                whole(made.rows_rejected),
                whole(made.orders_created),
                made.status.as_str(),
                (!is_over).then_some(lease.token.as_str()),
                (!is_over).then_some(until),
                now
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Keeps the lease of an import that makes no rows yet; false if it is somebody else's.
pub(crate) async fn renew(
    tx: &mut Tx<'_>,
    lease: &Lease,
    (now, until): (Timestamp, Timestamp),
) -> Result<bool, DbError> {
    let sql = "UPDATE imports SET lease_until = $3, updated_at = $4 WHERE id = $1 AND lease = $2";
    let renewed = tx.execute(sql, args![lease.import.id, lease.token.as_str(), until, now]).await?;
    Ok(renewed == 1)
}

/// Gives the lease back, so that the next may take it at once; the attempt too, unless it `counts`.
pub(crate) async fn release(
    tx: &mut Tx<'_>,
    lease: &Lease,
    counts: bool,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE imports SET status = 'queued', lease = NULL, lease_until = NULL,
             attempts = attempts - $3, updated_at = $4
         WHERE id = $1 AND lease = $2",
        args![lease.import.id, lease.token.as_str(), i64::from(!counts), now],
    )
    .await?;
    Ok(())
}

/// Adds why rows made no order.
pub(crate) async fn reject(
    tx: &mut Tx<'_>,
    id: ImportId,
    rejections: &[Rejection],
) -> Result<(), DbError> {
    for Rejection { line, code, detail } in rejections {
        tx.execute(
            "INSERT INTO import_rejections (import_id, line, code, detail)
             VALUES ($1, $2, $3, $4)",
            args![id, whole(*line), *code, detail.as_str()],
        )
        .await?;
    }
    Ok(())
}

/// Returns up to `most` rejections behind `line`, as line, code and detail.
pub(crate) async fn rejections(
    tx: &mut Tx<'_>,
    id: ImportId,
    line: u64,
    most: i64,
) -> Result<Vec<(u64, String, String)>, DbError> {
    tx.query(
        "SELECT line, code, detail FROM import_rejections
         WHERE import_id = $1 AND line > $2 ORDER BY line LIMIT $3",
        args![id, whole(line), most],
        |row| Ok((number(row, "line")?, row.get("code")?, row.get("detail")?)),
    )
    .await
}

/// Returns the digest of what `customer` was sent under `reference` by an earlier row.
pub(crate) async fn known(
    tx: &mut Tx<'_>,
    customer: AccountId,
    reference: &Reference,
) -> Result<Option<Vec<u8>>, DbError> {
    let sql = "SELECT digest FROM imported_orders WHERE customer = $1 AND reference = $2";
    tx.query_optional(sql, args![customer, reference.as_str()], |row| row.get(0)).await
}

/// Remembers which order came of a reference.
pub(crate) async fn remember(
    tx: &mut Tx<'_>,
    (customer, reference): (AccountId, &Reference),
    (digest, order): ([u8; 32], OrderId),
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO imported_orders (customer, reference, digest, order_id)
         VALUES ($1, $2, $3, $4)",
        args![customer, reference.as_str(), digest, order],
    )
    .await?;
    Ok(())
}

/// Removes up to `most` pieces of files that nobody needs any more, those of uploads that were given
/// up among them; returns how many.
pub(crate) async fn remove_chunks(tx: &mut Tx<'_>, most: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM import_chunks WHERE (import_id, number) IN (
             SELECT c.import_id, c.number FROM import_chunks AS c
             JOIN imports AS i ON i.id = c.import_id
             WHERE i.status IN ('done', 'failed')
                OR (i.status = 'uploading' AND i.updated_at = 0)
             LIMIT $1)",
        args![most],
    )
    .await
}

/// Removes up to `most` rejections of imports that were over before `over`.
pub(crate) async fn remove_rejections(
    tx: &mut Tx<'_>,
    over: Timestamp,
    most: i64,
) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM import_rejections WHERE (import_id, line) IN (
             SELECT r.import_id, r.line FROM import_rejections AS r
             JOIN imports AS i ON i.id = r.import_id
             WHERE i.status IN ('done', 'failed') AND i.updated_at <= $1
             LIMIT $2)",
        args![over, most],
    )
    .await
}

/// Removes up to `most` imports that were over before `over`, and uploads that were given up, once
/// nothing else is left of them.
pub(crate) async fn remove(tx: &mut Tx<'_>, over: Timestamp, most: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM imports WHERE id IN (
             SELECT i.id FROM imports AS i
             WHERE ((i.status IN ('done', 'failed') AND i.updated_at <= $1)
                    OR (i.status = 'uploading' AND i.updated_at = 0))
               AND NOT EXISTS (SELECT 1 FROM import_chunks AS c WHERE c.import_id = i.id)
               AND NOT EXISTS (SELECT 1 FROM import_rejections AS r WHERE r.import_id = i.id)
             ORDER BY i.id LIMIT $2)",
        args![over, most],
    )
    .await
}

/// Returns an import with who brought it and how often it was begun.
fn read(row: &Row<'_>) -> Result<(Import, Actor, i64), DbError> {
    let import = Import {
        id: row.get("id")?,
        status: row.parse("status", |text: String| match text.as_str() {
            // Not seen by anybody: it becomes running with this row.
            "uploading" => None,
            text => ImportStatus::parse(text),
        })?,
        bytes: number(row, "bytes")?,
        position: CsvPosition {
            offset: number(row, "byte_offset")?,
            line: number(row, "next_line")?,
        },
        rows_read: number(row, "rows_read")?,
        rows_rejected: number(row, "rows_rejected")?,
        orders_created: number(row, "orders_created")?,
    };
    let actor = row.parse("actor", |text: String| Actor::parse(&text))?;
    Ok((import, actor, row.get("attempts")?))
}

/// Returns when the import came that waits longest to be begun or gone on with.
pub(crate) async fn oldest_waiting(tx: &mut Tx<'_>) -> Result<Option<Timestamp>, DbError> {
    let sql = "SELECT created_at FROM imports WHERE status = 'queued' ORDER BY id LIMIT 1";
    tx.query_optional(sql, args![], |row| row.get("created_at")).await
}

fn number(row: &Row<'_>, column: &'static str) -> Result<u64, DbError> {
    row.parse(column, |number: i64| u64::try_from(number).ok())
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
