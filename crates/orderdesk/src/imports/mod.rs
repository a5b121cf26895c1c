//! Orders that come as a CSV file: put away as they arrive, answered 202, and worked off afterwards
//! by whichever process holds the lease.
//!
//! The rules of this module:
//!
//! 1. What was answered 202 is in the database, and is worked off whatever happens to the process
//!    that took it.
//! 2. Orders, rejections, counts and the place in the file are written in one transaction, by the
//!    holder of the lease only: after a crash the work goes on where it was, and nothing is done
//!    twice.
//! 3. Rows of one reference that follow each other are one order. One bad row rejects its whole
//!    reference, and nothing else.
//! 4. A reference that a customer has from an earlier row, of this file or another, makes no second
//!    order.

mod apply;
mod draft;
mod gather;
mod importer;
mod model;
mod routes;
mod source;
pub(crate) mod store;
mod upload;
mod wire;
mod worker;

pub use draft::{Draft, Rejection, Row};
pub use gather::{Gatherer, Group};
pub(crate) use importer::remove_chunks;
pub use importer::{Ended, Importer, ImportsSection};
pub use model::{Import, ImportId, ImportStatus, Lease};
pub(crate) use routes::page as rejections_page;
pub use routes::routes;
pub use upload::{Upload, UploadError, Uploads};
pub use wire::{ImportView, Progress};
pub use worker::Worker;

use palisade::db::Migration;

/// The tables of imports.
pub const MIGRATION: Migration = Migration {
    version: 4,
    name: "imports",
    sql: include_str!("../../migrations/0004_imports.sql"),
};

/// The first line of every file.
pub const HEADER: &[&str] = &["reference", "customer", "currency", "sku", "quantity", "unit_price"];

/// The first line of a list of rejections.
pub const REJECTIONS_HEADER: &[&str] = &["line", "code", "detail"];
