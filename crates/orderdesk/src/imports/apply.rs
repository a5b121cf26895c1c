//! What rows come to: orders, or a rejection for each row.

use std::collections::HashMap;

use palisade::auth::AccountId;
use palisade::clock::Timestamp;
use palisade::db::{DbError, Tx};
use palisade::id::Id;

use super::source::Batch;
use super::store::{self, Progressed};
use super::{Draft, Group, Lease, Rejection};
use crate::accounts;
use crate::orders::{self, Order};

/// Makes orders and rejections of a batch.
pub(super) async fn apply(
    tx: &mut Tx<'_>,
    lease: &Lease,
    batch: &Batch,
    now: Timestamp,
) -> Result<Progressed, DbError> {
    let Batch { from, to, status, .. } = *batch;
    let (mut rows_read, mut rows_rejected, mut orders_created) = (0, 0, 0);
    let mut customers = HashMap::new();
    for group in &batch.groups {
        rows_read += group.count;
        let verdict = match Draft::of(group) {
            Ok(draft) => place(tx, lease, (group, &draft), &mut customers, now).await?,
            Err(rejections) => Verdict::Rejected(rejections),
        };
        match verdict {
            Verdict::Created => orders_created += 1,
            Verdict::Known => {}
            Verdict::Rejected(rejections) => {
                rows_rejected += group.count;
                store::reject(tx, lease.import.id, &rejections).await?;
            }
        }
    }
    store::reject(tx, lease.import.id, batch.failure.as_slice()).await?;
    Ok(Progressed { from, to, rows_read, rows_rejected, orders_created, status })
}

/// What became of an order.
enum Verdict {
    Created,
    Known,
    Rejected(Vec<Rejection>),
}

async fn place(
    tx: &mut Tx<'_>,
    lease: &Lease,
    (group, draft): (&Group, &Draft),
    customers: &mut HashMap<String, Option<AccountId>>,
    now: Timestamp,
) -> Result<Verdict, DbError> {
    let reject = |code, detail| Ok(Verdict::Rejected(Draft::rejected(group, code, detail)));
    let name = draft.customer.as_str();
    let customer = match customers.get(name) {
        Some(known) => *known,
        None => {
            let found = accounts::store::find_id(tx, &draft.customer).await?;
            customers.insert(name.to_owned(), found);
            found
        }
    };
    let Some(customer) = customer else {
        return reject("unknown_customer", "customer: There is no account with this username.");
    };
    let digest = draft.digest();
    match store::known(tx, customer, &draft.reference).await? {
        Some(known) if known == digest => return Ok(Verdict::Known),
        Some(_) => {
            let detail = "reference: The customer has an imported order with this reference and \
                          other lines.";
            return reject("reference_conflict", detail);
        }
        None => {}
    }
    let (reference, lines) = (Some(draft.reference.clone()), draft.lines.clone());
    let order = Order::place(Id::new_at(now), customer, reference, lines, now);
    orders::store::insert(tx, &order, lease.actor).await?;
    store::remember(tx, (customer, &draft.reference), (digest, order.facts().id)).await?;
    Ok(Verdict::Created)
}
