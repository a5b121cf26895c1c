//! Palisade with an order in and the order out, as Orderdesk reads and shows it, and no database.

use orderdesk::orders::{AnyOrder, Order, OrderView, PlaceOrder, Placement};
use palisade::auth::{AccountCaller, session};
use palisade::clock::{Clock as _, SystemClock};
use palisade::http::{Api, Body, Created, Problem, Route, Versioned};
use palisade::id::Id;
use tokio::net::TcpListener;

use super::{Started, guarded};

/// Serves callers with a session.
pub(super) async fn start(listener: TcpListener) -> anyhow::Result<Started> {
    let route = Route::post("/orders", "placeOrder").policy(session()).handle(place);
    guarded::serve_with_session(listener, Api::new().route(route)).await
}

async fn place(
    AccountCaller(account): AccountCaller,
    Body(body): Body<PlaceOrder>,
) -> Result<Versioned<Created<OrderView>>, Problem> {
    let Placement { reference, lines, .. } =
        body.into_parts().map_err(|why| Problem::invalid_value("/lines", why))?;
    let now = SystemClock.now();
    let order = AnyOrder::from(Order::place(Id::new_at(now), account, reference, lines, now));
    let facts = order.facts();
    let (version, location) = (facts.version.number(), format!("/orders/{}", facts.id));
    Ok(Versioned { version, answer: Created { location, body: OrderView::from(&order) } })
}
