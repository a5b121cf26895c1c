//! Orders over HTTP.

use palisade::auth::{self, Caller};
use palisade::clock::Timestamp;
use palisade::http::{
    Api, Body, Created, CsvFile, IfMatch, Json, Kind, OptionalBody, Page, PathId, Problem, Query,
    Route, State, Versioned,
};
use palisade::idempotency::{Answered, Idempotent, Once};
use palisade::input::{FromText, Invalid, Schema};
use palisade::query;
use serde_json::json;

use super::actions::{self, Customer, Orders, PlaceError, Step, StepError};
use super::store::{Entry, Filter};
use super::{
    AnyOrder, CancelOrder, EventView, New, Order, OrderId, OrderView, PayOrder, PlaceOrder,
    Placement, Reference, Scope, ShipOrder, Status, export,
};
use crate::accounts::OPERATOR;
use crate::paging::{Cursor, Cursors, Limit};
use crate::state::AppState;

/// The order is in a status that does not allow the step.
pub const ILLEGAL_TRANSITION: &Kind = &Kind {
    code: "illegal_transition",
    status: 409,
    title: "The order's status does not allow this.",
    about: "An order goes from new to paid to shipped, and from new or paid to cancelled; an \
            account cancels its own only while they are new. The detail says what the order is \
            now. Nothing was changed.",
};

/// A moment in a query, RFC 3339 with an offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(Timestamp);

impl FromText for Moment {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let expected = "Must be an RFC 3339 time such as 2026-01-31T09:30:00.000Z.";
        Timestamp::parse(raw).map(Self).ok_or_else(|| Invalid::new("format", expected))
    }
}

impl Schema for Moment {
    fn schema() -> serde_json::Value {
        json!({"type": "string", "format": "date-time", "maxLength": 40})
    }
}

query! {
    /// Which orders to list.
    pub struct OrderQuery {
        /// Only orders in this status.
        pub status: Option<Status>,
        /// Only orders with exactly this reference.
        pub reference: Option<Reference>,
        /// Only orders placed at this moment or later.
        pub from: Option<Moment>,
        /// Only orders placed before this moment.
        pub to: Option<Moment>,
        /// Most orders in the answer.
        pub limit: Option<Limit>,
        /// The `next_cursor` of the page before; the other parameters must be the same.
        pub cursor: Option<Cursor>,
    }
}

/// Returns the routes of orders.
pub fn routes() -> Api<AppState> {
    let owner_or_operator = "owner or operator";
    Api::new()
        .kinds(&[ILLEGAL_TRANSITION])
        .route(
            Route::post("/orders", "placeOrder")
                .about("Places an order; an operator may name the customer.")
                .tagged("orders")
                .policy(auth::caller(owner_or_operator, "orders:write"))
                .example(json!({
                    "currency": "EUR",
                    "reference": "spring-42",
                    "lines": [{"sku": "TEA-100", "quantity": 2, "unit_price": "12.50"}],
                }))
                .links_to("readOrder")
                .links_to("readOrderEvents")
                .links_to("payOrder")
                .links_to("shipOrder")
                .links_to("cancelOrder")
                .handle(place),
        )
        .route(
            Route::get("/orders", "listOrders")
                .about("Lists the caller's orders, an operator's list all; newest first.")
                .tagged("orders")
                .policy(auth::caller(owner_or_operator, "orders:read"))
                .handle(list),
        )
        .route(
            Route::get("/orders/export", "exportOrders")
                .about("Returns all orders as a CSV file, oldest first, a row for each line.")
                .tagged("orders")
                .policy(auth::role(&OPERATOR, "orders:read"))
                .handle(export),
        )
        .route(
            Route::get("/orders/{id}", "readOrder")
                .about("Returns an order.")
                .tagged("orders")
                .policy(auth::caller(owner_or_operator, "orders:read"))
                .handle(show),
        )
        .route(
            Route::get("/orders/{id}/events", "readOrderEvents")
                .about("Returns what happened to an order, oldest first.")
                .tagged("orders")
                .policy(auth::caller(owner_or_operator, "orders:read"))
                .handle(events),
        )
        .route(
            Route::post("/orders/{id}/pay", "payOrder")
                .about("Records that an order was paid.")
                .tagged("orders")
                .policy(auth::role(&OPERATOR, "orders:write"))
                .example(json!({"payment_reference": "pi_3Nk1"}))
                .refuses(ILLEGAL_TRANSITION)
                .handle(pay),
        )
        .route(
            Route::post("/orders/{id}/ship", "shipOrder")
                .about("Records that a paid order was shipped.")
                .tagged("orders")
                .policy(auth::role(&OPERATOR, "orders:write"))
                .example(json!({"tracking": "JD0146000035"}))
                .refuses(ILLEGAL_TRANSITION)
                .handle(ship),
        )
        .route(
            Route::post("/orders/{id}/cancel", "cancelOrder")
                .about("Cancels an order: its owner while it is new, an operator also when paid.")
                .tagged("orders")
                .policy(auth::caller(owner_or_operator, "orders:write"))
                .example(json!({"reason": "ordered twice"}))
                .refuses(ILLEGAL_TRANSITION)
                .handle(cancel),
        )
}

type Shown = Versioned<Json<OrderView>>;
type Placed = Versioned<Created<OrderView>>;

async fn place(
    State(orders): State<Orders>,
    caller: Caller,
    request: Idempotent<Body<PlaceOrder>>,
) -> Result<Answered<Placed>, Problem> {
    let (Body(body), once) = request.into_parts();
    let Placement { reference, customer, lines } =
        body.into_parts().map_err(|why| Problem::invalid_value("/lines", why))?;
    let customer = match (customer, caller.account()) {
        (Some(named), _) if caller.is(&OPERATOR) => Customer::Named(named),
        (Some(_), _) => {
            let detail = "Only an operator may place an order for somebody else.";
            return Err(Problem::forbidden().detail(detail));
        }
        (None, Some(account)) => Customer::Own(account),
        (None, None) => {
            let expected = "A caller without an account must name the customer.";
            return Err(Problem::invalid_value("/customer", Invalid::new("required", expected)));
        }
    };
    actions::place(&orders, &caller, customer, (reference, lines), once.answering(placed)).await
}

async fn list(
    State(orders): State<Orders>,
    State(cursors): State<Cursors>,
    caller: Caller,
    Query(query): Query<OrderQuery>,
) -> Result<Json<Page<OrderView>>, Problem> {
    let list = cursors.list(&format!(
        "orders {caller} {:?} {:?} {:?} {:?}",
        query.status, query.reference, query.from, query.to
    ));
    let filter = Filter {
        status: query.status,
        reference: query.reference,
        from: query.from.map(|Moment(at)| at),
        to: query.to.map(|Moment(at)| at),
        before: list.open(query.cursor.as_ref())?,
    };
    let limit = query.limit.unwrap_or_default();
    let found = actions::list(&orders, &caller, filter, limit.with_one_more()).await?;
    let page = list.page(found, limit, |order| order.facts().id);
    let items = page.items.iter().map(OrderView::from).collect();
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

async fn export(State(orders): State<Orders>, caller: Caller) -> Result<CsvFile, Problem> {
    let scope = Scope::of(&caller).ok_or_else(Problem::forbidden)?;
    let db = orders.db;
    CsvFile::of_pages("orders.csv", export::HEADER, export::begin(), move |after| {
        let db = db.clone();
        async move { Ok(export::page(&db, scope, after).await?) }
    })
    .await
}

async fn show(
    State(orders): State<Orders>,
    caller: Caller,
    PathId(id): PathId<AnyOrder>,
) -> Result<Shown, Problem> {
    let order = actions::find(&orders, &caller, id).await?.ok_or_else(Problem::not_found)?;
    Ok(shown(&order))
}

async fn events(
    State(orders): State<Orders>,
    caller: Caller,
    PathId(id): PathId<AnyOrder>,
) -> Result<Json<Page<EventView>>, Problem> {
    let events = actions::events(&orders, &caller, id).await?;
    // Every order has at least the entry of its beginning.
    if events.is_empty() {
        return Err(Problem::not_found());
    }
    Ok(Json(Page { items: events.into_iter().map(event_view).collect(), next_cursor: None }))
}

async fn pay(
    State(orders): State<Orders>,
    caller: Caller,
    PathId(id): PathId<AnyOrder>,
    if_match: IfMatch,
    request: Idempotent<Body<PayOrder>>,
) -> Result<Answered<Shown>, Problem> {
    let (Body(body), once) = request.into_parts();
    step(&orders, &caller, id, (Step::Pay(body.payment_reference), if_match), once).await
}

async fn ship(
    State(orders): State<Orders>,
    caller: Caller,
    PathId(id): PathId<AnyOrder>,
    if_match: IfMatch,
    request: Idempotent<OptionalBody<ShipOrder>>,
) -> Result<Answered<Shown>, Problem> {
    let (OptionalBody(body), once) = request.into_parts();
    let tracking = body.and_then(|body| body.tracking);
    step(&orders, &caller, id, (Step::Ship(tracking), if_match), once).await
}

async fn cancel(
    State(orders): State<Orders>,
    caller: Caller,
    PathId(id): PathId<AnyOrder>,
    if_match: IfMatch,
    request: Idempotent<OptionalBody<CancelOrder>>,
) -> Result<Answered<Shown>, Problem> {
    let (OptionalBody(body), once) = request.into_parts();
    let reason = body.and_then(|body| body.reason);
    step(&orders, &caller, id, (Step::Cancel(reason), if_match), once).await
}

async fn step(
    orders: &Orders,
    caller: &Caller,
    id: OrderId,
    what: (Step, IfMatch),
    once: Once,
) -> Result<Answered<Shown>, Problem> {
    let once = once.answering(|order| shown(&order));
    actions::take(orders, caller, id, what, once).await
}

fn shown(order: &AnyOrder) -> Shown {
    let version = order.facts().version.number();
    Versioned { version, answer: Json(OrderView::from(order)) }
}

fn placed(order: Order<New>) -> Placed {
    let location = format!("/orders/{}", order.facts().id);
    let version = order.facts().version.number();
    let body = OrderView::from(&AnyOrder::from(order));
    Versioned { version, answer: Created { location, body } }
}

fn event_view(entry: Entry) -> EventView {
    let Entry { at, actor, action, from, to } = entry;
    EventView { at, actor, action, from, to }
}

impl From<PlaceError> for Problem {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::UnknownCustomer => {
                let why = Invalid::new("unknown", "There is no account with this username.");
                Self::invalid_value("/customer", why)
            }
            PlaceError::Db(error) => error.into(),
        }
    }
}

impl From<StepError> for Problem {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Unknown => Self::not_found(),
            StepError::OtherVersion => Self::new(palisade::http::problem::PRECONDITION_FAILED),
            StepError::NotAllowed(why) => Self::new(ILLEGAL_TRANSITION).detail(why.to_string()),
            StepError::Db(error) => error.into(),
        }
    }
}
