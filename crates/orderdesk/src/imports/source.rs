//! The file of an import, read from where it was worked off, a transaction's rows at a time.

use palisade::db::{Db, DbError, Tx};
use palisade::input::{CsvDecoder, CsvLimits, CsvPosition};

use super::upload::CHUNK;
use super::{Gatherer, Group, HEADER, ImportId, ImportStatus, Lease, Rejection, store};

/// Rows of one transaction at least; the last order of it is whole. It shares its commit with the
/// requests of that moment, which so many rows do not hold up for long.
const ROWS: u64 = 200;
/// How often an import is begun at one place: what ends its process each time is given up.
pub(super) const ATTEMPTS: i64 = 5;

/// The rows of one transaction.
pub(super) struct Batch {
    pub(super) from: CsvPosition,
    pub(super) to: CsvPosition,
    pub(super) groups: Vec<Group>,
    pub(super) status: ImportStatus,
    pub(super) failure: Option<Rejection>,
}

/// The file of an import, from where it was worked off.
pub(super) struct Source {
    db: Db,
    id: ImportId,
    bytes: u64,
    decoder: CsvDecoder,
    gatherer: Gatherer,
    /// The next chunk, and how much of it was worked off before.
    chunk: u64,
    skipped: usize,
    has_ended: bool,
    reached: CsvPosition,
}

impl Source {
    pub(super) fn open(db: Db, lease: &Lease) -> Self {
        let import = &lease.import;
        let at = import.position;
        let size = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        let skipped = usize::try_from(at.offset % size).unwrap_or(0);
        let limits = CsvLimits::default();
        let decoder = match at.offset {
            0 => CsvDecoder::new(HEADER, limits),
            _ => CsvDecoder::resume(HEADER, limits, at),
        };
        Self {
            db,
            id: import.id,
            bytes: import.bytes,
            decoder,
            gatherer: Gatherer::default(),
            chunk: at.offset / size,
            skipped,
            has_ended: false,
            reached: at,
        }
    }

    /// Reads the rows of the next transaction.
    pub(super) async fn next_batch(&mut self) -> Result<Batch, DbError> {
        let from = self.reached;
        let mut failure = None;
        let mut status = ImportStatus::Running;
        while status == ImportStatus::Running && self.gatherer.ready_rows() < ROWS {
            let wants_more = match self.decoder.next_row() {
                Ok(Some(row)) => {
                    self.gatherer.add(&row);
                    false
                }
                Ok(None) => true,
                Err(error) => {
                    let detail = format!("The file cannot be read: {error}.");
                    failure = Some(Rejection::new(1, error.code(), detail));
                    status = ImportStatus::Failed;
                    false
                }
            };
            if wants_more && !self.feed().await? {
                self.gatherer.close();
                status = ImportStatus::Done;
            }
        }
        let groups = self.gatherer.take();
        let ended = groups.last().map_or(from, |group| group.end);
        self.reached = match status {
            // With whatever stands behind the last row.
            ImportStatus::Done => CsvPosition { offset: self.bytes, ..ended },
            _ => ended,
        };
        Ok(Batch { from, to: self.reached, groups, status, failure })
    }

    /// Ends an import that was begun too often.
    pub(super) fn given_up(&self) -> Batch {
        let (from, status) = (self.reached, ImportStatus::Failed);
        let detail = format!("It was given up here: {ATTEMPTS} times the work on it failed.");
        let failure = Some(Rejection::new(from.line, "given_up", detail));
        Batch { from, to: from, groups: Vec::new(), status, failure }
    }

    /// Reads the next chunk; false at the end of the file, which the decoder is told.
    async fn feed(&mut self) -> Result<bool, DbError> {
        let (id, number) = (self.id, self.chunk);
        let size = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        if number.saturating_mul(size) >= self.bytes {
            self.decoder.finish();
            return Ok(!std::mem::replace(&mut self.has_ended, true));
        }
        let chunk = self.db.read(async move |tx: &mut Tx<'_>| store::chunk(tx, id, number).await);
        let corrupt = || DbError::Corrupt { column: "content".into() };
        let chunk = chunk.await?.ok_or_else(corrupt)?;
        let skipped = std::mem::take(&mut self.skipped);
        self.decoder.feed(chunk.get(skipped..).unwrap_or_default());
        self.chunk += 1;
        Ok(true)
    }
}
