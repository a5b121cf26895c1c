//! Orders: what a customer asked for and how far we are with it.
//!
//! The rules of this module:
//!
//! 1. An order only moves forward, along [`Status::apply`]; the types say it a second time, so that
//!    code that ships an unpaid order does not compile (see [`Order`]).
//! 2. Money is whole minor units of one currency, never a float; what does not fit is refused.
//! 3. Lines and total are fixed when the order is placed.
//!
//! Payment itself happens elsewhere; this module only records the outcome.

pub mod actions;
mod currency;
pub mod export;
mod lines;
mod money;
mod order;
mod quantity;
mod routes;
mod scope;
mod sku;
mod stages;
mod status;
pub mod store;
mod text;
mod wire;

pub use currency::Currency;
pub use lines::{Line, Lines};
pub use money::{Money, MoneyError};
pub use order::{Facts, Order, OrderId, Version};
pub use quantity::Quantity;
pub use routes::{ILLEGAL_TRANSITION, routes};
pub use scope::Scope;
pub use sku::Sku;
pub use stages::{AnyOrder, Cancelled, New, Paid, Shipped, Stage};
pub use status::{Action, Canceller, Event, NotAllowed, Status};
pub use text::{PaymentReference, Reason, Reference, Tracking};
pub use wire::{
    CancelOrder, EventView, LineInput, LineView, LineViews, OrderView, PayOrder, PlaceOrder,
    Placement, ShipOrder, UnitPrice,
};

use palisade::db::Migration;

/// The tables of orders.
pub const MIGRATION: Migration =
    Migration { version: 2, name: "orders", sql: include_str!("../../migrations/0002_orders.sql") };

/// The index that the list's filters need on top.
pub const FILTERS_MIGRATION: Migration = Migration {
    version: 3,
    name: "order filters",
    sql: include_str!("../../migrations/0003_order_filters.sql"),
};

/// The indexes of two lists, which no other list takes for its own.
pub const STATUS_MIGRATION: Migration = Migration {
    version: 5,
    name: "orders by status",
    sql: include_str!("../../migrations/0005_orders_by_status.sql"),
};
