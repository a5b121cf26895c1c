//! What can be done with orders. Each function owns its transaction; what changes an order does so
//! once for each idempotency key.

use std::num::NonZeroU32;
use std::sync::Arc;

use palisade::auth::{AccountId, Caller};
use palisade::clock::{Clock, Timestamp};
use palisade::db::{Db, DbError, Tx};
use palisade::http::{Answer, FromRef, IfMatch, Problem};
use palisade::id::Id;
use palisade::idempotency::{Answered, Answering};

use super::store::{self, Entry, Filter};
use super::{
    Action, AnyOrder, Canceller, Lines, New, NotAllowed, Order, OrderId, PaymentReference, Reason,
    Reference, Scope, Tracking,
};
use crate::accounts::{self, Actor, OPERATOR, Username};
use crate::state::AppState;

/// What the actions on orders need.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Where orders are kept.
    pub db: Db,
    /// What the time is.
    pub clock: Arc<dyn Clock>,
}

impl FromRef<AppState> for Orders {
    fn from_ref(state: &AppState) -> Self {
        let AppState { db, clock, .. } = state.clone();
        Self { db, clock }
    }
}

/// For whom an order is placed.
#[derive(Debug, Clone)]
pub enum Customer {
    /// For the caller's own account.
    Own(AccountId),
    /// For the account of this name.
    Named(Username),
}

/// Why an order is not placed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Nobody has the username that the operator gave.
    #[error("the customer does not exist")]
    UnknownCustomer,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why an order does not move on.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// There is no such order that the caller may see.
    #[error("there is no such order")]
    Unknown,
    /// It changed since the version that the caller wants to change.
    #[error("the order has another version")]
    OtherVersion,
    /// Its status does not allow the step.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A step that somebody asks for.
#[derive(Debug, Clone)]
pub enum Step {
    /// Record the payment.
    Pay(PaymentReference),
    /// Record the shipment.
    Ship(Option<Tracking>),
    /// Call the order off.
    Cancel(Option<Reason>),
}

/// Places an order and answers with it.
///
/// # Errors
///
/// See [`PlaceError`].
pub async fn place<A: Answer + 'static>(
    orders: &Orders,
    caller: &Caller,
    customer: Customer,
    (reference, lines): (Option<Reference>, Lines),
    once: Answering<Order<New>, A>,
) -> Result<Answered<A>, Problem> {
    let now = orders.clock.now();
    let (id, actor) = (Id::new_at(now), actor(caller));
    // The answer tells of an order that the caller placed, which nothing takes from it.
    let may_see = async |_: &mut Tx<'_>| Ok(());
    once.write(may_see, async move |tx: &mut Tx<'_>| -> Result<Order<New>, PlaceError> {
        let customer = match &customer {
            Customer::Own(account) => *account,
            Customer::Named(username) => {
                accounts::store::find_id(tx, username).await?.ok_or(PlaceError::UnknownCustomer)?
            }
        };
        let order = Order::place(id, customer, reference.clone(), lines.clone(), now);
        store::insert(tx, &order, actor).await?;
        Ok(order)
    })
    .await
}

/// Takes the step on the order `id` and answers with the order after it.
///
/// # Errors
///
/// See [`StepError`].
pub async fn take<A: Answer + 'static>(
    orders: &Orders,
    caller: &Caller,
    id: OrderId,
    (step, if_match): (Step, IfMatch),
    once: Answering<AnyOrder, A>,
) -> Result<Answered<A>, Problem> {
    let scope = Scope::of(caller).ok_or(StepError::Unknown)?;
    let canceller = if caller.is(&OPERATOR) { Canceller::Operator } else { Canceller::Owner };
    let (now, actor) = (orders.clock.now(), actor(caller));
    let may_see = async move |tx: &mut Tx<'_>| {
        store::find(tx, scope, id).await?.map(drop).ok_or(StepError::Unknown)
    };
    once.write(may_see, async move |tx: &mut Tx<'_>| -> Result<AnyOrder, StepError> {
        // If somebody else moves the order on meanwhile, the step is judged anew. An order
        // takes at most two steps, so the third look is the last that can find it moved.
        for _ in 0..3 {
            let order = store::find(tx, scope, id).await?.ok_or(StepError::Unknown)?;
            if !if_match.holds(order.facts().version.number()) {
                return Err(StepError::OtherVersion);
            }
            let from = order.status();
            let (action, next) = apply(order, step.clone(), canceller, now)?;
            if store::advance(tx, from, &next, (action, actor)).await? {
                return Ok(next);
            }
        }
        Err(StepError::OtherVersion)
    })
    .await
}

/// Returns how the history names the caller.
fn actor(caller: &Caller) -> Actor {
    caller.account().map_or(Actor::Machine, Actor::Account)
}

fn apply(
    order: AnyOrder,
    step: Step,
    canceller: Canceller,
    now: Timestamp,
) -> Result<(Action, AnyOrder), NotAllowed> {
    Ok(match step {
        Step::Pay(reference) => (Action::Pay, order.pay(reference, now)?.into()),
        Step::Ship(tracking) => (Action::Ship, order.ship(tracking, now)?.into()),
        Step::Cancel(reason) => (Action::Cancel, order.cancel(canceller, reason, now)?.into()),
    })
}

/// Returns the order `id` if `caller` may see it.
///
/// # Errors
///
/// What the database answers.
pub async fn find(
    orders: &Orders,
    caller: &Caller,
    id: OrderId,
) -> Result<Option<AnyOrder>, DbError> {
    let Some(scope) = Scope::of(caller) else { return Ok(None) };
    orders.db.look_up(async move |tx: &mut Tx<'_>| store::find(tx, scope, id).await).await
}

/// Returns up to `limit` orders that `caller` may see, newest first.
///
/// # Errors
///
/// What the database answers.
pub async fn list(
    orders: &Orders,
    caller: &Caller,
    filter: Filter,
    limit: NonZeroU32,
) -> Result<Vec<AnyOrder>, DbError> {
    let Some(scope) = Scope::of(caller) else { return Ok(Vec::new()) };
    orders.db.read(async move |tx: &mut Tx<'_>| store::list(tx, scope, &filter, limit).await).await
}

/// Returns the history of the order `id`, oldest first; empty if `caller` may not see it.
///
/// # Errors
///
/// What the database answers.
pub async fn events(orders: &Orders, caller: &Caller, id: OrderId) -> Result<Vec<Entry>, DbError> {
    let Some(scope) = Scope::of(caller) else { return Ok(Vec::new()) };
    orders.db.read(async move |tx: &mut Tx<'_>| store::events(tx, scope, id).await).await
}
