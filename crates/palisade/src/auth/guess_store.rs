//! The budgets' SQL: the generic cell rate algorithm, in one statement.

use crate::args;
use crate::clock::Timestamp;
use crate::db::{DbError, Tx};

/// A budget: whose it is, what one guess costs and what all of them may, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) subject: [u8; 32],
    pub(super) interval: i64,
    pub(super) burst: i64,
}

/// Takes one guess from a budget; false if it has none left.
///
/// A budget that is full later than it can be was written before the clock was set back, and counts as
/// a full one.
pub(super) async fn take(
    tx: &mut Tx<'_>,
    budget: &Budget,
    now: Timestamp,
) -> Result<bool, DbError> {
    let Budget { subject, interval, burst } = *budget;
    let now = now.as_millis();
    let latest = now.saturating_add(burst);
    let taken = tx
        .execute(
            "INSERT INTO palisade_guesses (subject, full_at) VALUES ($1, $2 + $3)
             ON CONFLICT (subject) DO UPDATE SET full_at = $3 +
                 CASE WHEN palisade_guesses.full_at > $2 AND palisade_guesses.full_at <= $4
                 THEN palisade_guesses.full_at ELSE $2 END
             WHERE palisade_guesses.full_at <= $4 - $3 OR palisade_guesses.full_at > $4",
            args![subject, now, interval, latest],
        )
        .await?;
    Ok(taken == 1)
}

/// Gives one guess back.
pub(super) async fn give_back(tx: &mut Tx<'_>, budget: &Budget) -> Result<(), DbError> {
    let sql = "UPDATE palisade_guesses SET full_at = full_at - $2 WHERE subject = $1";
    tx.execute(sql, args![budget.subject, budget.interval]).await?;
    Ok(())
}

/// Removes budgets that are full, and returns how many.
pub(super) async fn delete_full(
    tx: &mut Tx<'_>,
    now: Timestamp,
    most: i64,
) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM palisade_guesses WHERE subject IN (
             SELECT subject FROM palisade_guesses WHERE full_at <= $1
             ORDER BY full_at LIMIT $2)",
        args![now, most],
    )
    .await
}
