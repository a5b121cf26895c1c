//! What an import is.

use palisade::id::Id;
use palisade::input::CsvPosition;

use crate::accounts::Actor;

/// Names an import.
pub type ImportId = Id<Import>;

palisade::words! {
    /// How far an import is.
    pub enum ImportStatus {
        /// It waits for its turn.
        Queued = "queued",
        /// It is worked off.
        Running = "running",
        /// Every row was read, and made an order or was rejected.
        Done = "done",
        /// It ended before its last row.
        Failed = "failed",
    }
}

/// A file of orders, and what came of it so far.
#[derive(Debug, Clone)]
pub struct Import {
    /// Its permanent name.
    pub id: ImportId,
    /// How far it is.
    pub status: ImportStatus,
    /// How long the file is.
    pub bytes: u64,
    /// How far it was worked off.
    pub position: CsvPosition,
    /// Rows that were worked off, rejected ones included.
    pub rows_read: u64,
    /// Of these, those that made no order.
    pub rows_rejected: u64,
    /// Orders that were made.
    pub orders_created: u64,
}

/// The right to work an import off, until somebody else gets it.
#[derive(Debug, Clone)]
pub struct Lease {
    /// What may be worked off.
    pub import: Import,
    /// Who brought the file.
    pub actor: Actor,
    /// A random text that the database knows this lease by.
    pub token: String,
    /// Whether it was another's, who gave no sign any more.
    pub is_taken_over: bool,
    /// Whether this is one more than an import may take.
    pub is_one_too_many: bool,
}
