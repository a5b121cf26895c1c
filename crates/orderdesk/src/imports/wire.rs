//! What clients are shown of imports.

use palisade::input::Schema;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::routes::LARGEST;
use super::{Import, ImportId, ImportStatus};

/// How much of a file was worked off: 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress(f64);

/// A count of rows or orders.
#[derive(Debug, Clone, Copy)]
pub struct Count(u64);

palisade::view! {
    /// A file of orders that was taken on.
    pub struct AcceptedImport {
        /// Names the import.
        pub id: ImportId,
        /// How far it is.
        pub status: ImportStatus,
    }
}

palisade::view! {
    /// What came of a file of orders so far.
    pub struct ImportView {
        /// Names the import.
        pub id: ImportId,
        /// How far it is.
        pub status: ImportStatus,
        /// How much of the file was worked off.
        pub progress: Progress,
        /// Rows that were worked off, rejected ones included.
        pub rows_read: Count,
        /// Of these, those that made no order.
        pub rows_rejected: Count,
        /// Orders that were made.
        pub orders_created: Count,
    }
}

impl Progress {
    /// Returns how much of `import` was worked off, to the thousandth. Only what is done is 1.
    pub fn of(import: &Import) -> Self {
        if import.status == ImportStatus::Done {
            return Self(1.0);
        }
        let thousandths = import.position.offset.saturating_mul(1000) / import.bytes.max(1);
        Self(f64::from(u32::try_from(thousandths.min(999)).unwrap_or(0)) / 1000.0)
    }

    /// Returns the share.
    pub fn share(self) -> f64 {
        self.0
    }
}

impl Serialize for Progress {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_f64(self.0)
    }
}

impl Schema for Progress {
    fn schema() -> Value {
        json!({"type": "number", "minimum": 0, "maximum": 1})
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(self.0)
    }
}

impl Schema for Count {
    fn schema() -> Value {
        // No file has more lines than bytes.
        json!({"type": "integer", "minimum": 0, "maximum": LARGEST})
    }
}

impl From<&Import> for ImportView {
    fn from(import: &Import) -> Self {
        Self {
            id: import.id,
            status: import.status,
            progress: Progress::of(import),
            rows_read: Count(import.rows_read),
            rows_rejected: Count(import.rows_rejected),
            orders_created: Count(import.orders_created),
        }
    }
}
