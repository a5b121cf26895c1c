//! Bringing what lies in the database under the present key, once after each start: nobody has to sign in
//! for that, and once it has happened the previous key can go.

use palisade::auth::AccountId;
use palisade::crypto::{PasswordHash, Peppers, SealError, Sealer};
use palisade::db::{Db, DbError, Tx};

use super::{factor_store, store};

/// Accounts that are looked at together.
const PAGE: i64 = 200;

/// Why something is left under the previous key.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// A secret could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Brings every password hash under the present key, a few accounts at a time. Returns how many were.
///
/// # Errors
///
/// See [`RenewalError`]; what was not reached is left to the next start.
pub async fn renew_hashes(db: &Db, peppers: &Peppers) -> Result<u64, RenewalError> {
    let (mut after, mut renewed) = (None, 0_u64);
    loop {
        let read = async move |tx: &mut Tx<'_>| store::password_hashes(tx, after, PAGE).await;
        let page = db.read(read).await?;
        let Some((last, _)) = page.last() else { return Ok(renewed) };
        after = Some(*last);
        let outdated = page.into_iter().filter_map(|(id, old)| {
            let new = peppers.renew(&PasswordHash::parse(&old).ok()?)?;
            Some((id, old, new.expose()))
        });
        let (outdated, is_hash) = (outdated.collect(), true);
        renewed = renewed.saturating_add(replace(db, outdated, is_hash).await?);
    }
}

/// Seals every secret of a second factor with the present key, a few accounts at a time. Returns how many
/// were.
///
/// # Errors
///
/// See [`RenewalError`]; what was not reached is left to the next start.
pub async fn renew_factors(db: &Db, sealer: &Sealer) -> Result<u64, RenewalError> {
    let (mut after, mut renewed) = (None, 0_u64);
    loop {
        let read = async move |tx: &mut Tx<'_>| factor_store::page(tx, after, PAGE).await;
        let page = db.read(read).await?;
        let Some((last, _)) = page.last() else { return Ok(renewed) };
        after = Some(*last);
        let mut outdated = Vec::new();
        for (account, factor) in page {
            for old in [factor.secret, factor.pending].into_iter().flatten() {
                let new = sealer.renew(&account.to_string(), &old)?;
                outdated.extend(new.map(|new| (account, old, new)));
            }
        }
        renewed = renewed.saturating_add(replace(db, outdated, false).await?);
    }
}

/// Replaces each text by another, if it is still there: somebody may have changed it meanwhile.
async fn replace(
    db: &Db,
    outdated: Vec<(AccountId, String, String)>,
    is_hash: bool,
) -> Result<u64, DbError> {
    if outdated.is_empty() {
        return Ok(0);
    }
    let replace = async move |tx: &mut Tx<'_>| -> Result<u64, DbError> {
        let mut count = 0;
        for (account, old, new) in &outdated {
            let is_replaced = match is_hash {
                true => store::renew_password(tx, *account, (old, new)).await?,
                false => factor_store::reseal(tx, *account, (old, new)).await?,
            };
            count += u64::from(is_replaced);
        }
        Ok(count)
    };
    db.write(replace).await
}
