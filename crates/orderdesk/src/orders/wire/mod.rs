//! Orders as the API takes and shows them.

mod body;
mod prices;
mod view;

pub use body::{CancelOrder, LineInput, PayOrder, PlaceOrder, Placement, ShipOrder};
pub use prices::UnitPrice;
pub use view::{EventView, LineView, LineViews, OrderView};
