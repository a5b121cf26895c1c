//! Putting a file away while it arrives.

use std::sync::Arc;

use palisade::clock::Clock;
use palisade::db::{Db, DbError, Tx};
use palisade::id::Id;
use palisade::input::{CsvDecoder, CsvFileError, CsvLimits};

use super::{HEADER, ImportId, store};
use crate::accounts::Actor;

/// The size of a chunk, in bytes: a thousand of them for the largest file that is taken, and some
/// hundred can be removed in one transaction.
pub(super) const CHUNK: usize = 64 * 1024;

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// As many imports as may be open are.
    #[error("too many imports wait for their turn")]
    TooMany,
    /// It took so long that it was given up.
    #[error("the upload was given up meanwhile")]
    GivenUp,
    /// It is no table of orders.
    #[error(transparent)]
    File(#[from] CsvFileError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A file that arrives. Each chunk is on the disk before the next is taken; nothing counts before
/// [`store::enqueue`], and what is given up is removed later.
#[derive(Debug)]
pub struct Upload {
    db: Db,
    clock: Arc<dyn Clock>,
    id: ImportId,
    chunk: Vec<u8>,
    number: u64,
    /// Looks at the first line, until it is known to be right.
    header: Option<CsvDecoder>,
}

impl Upload {
    /// Begins an upload for `actor`, unless `most` imports are open.
    ///
    /// # Errors
    ///
    /// [`UploadError::TooMany`], and what the database answers.
    pub async fn begin(
        db: Db,
        clock: Arc<dyn Clock>,
        actor: Actor,
        most: i64,
    ) -> Result<Self, UploadError> {
        let now = clock.now();
        let id = Id::new_at(now);
        db.write(async move |tx: &mut Tx<'_>| {
            if store::count_open(tx, most).await? >= most {
                return Err(UploadError::TooMany);
            }
            Ok(store::begin(tx, id, actor, now).await?)
        })
        .await?;
        let header = Some(CsvDecoder::new(HEADER, CsvLimits::default()));
        Ok(Self { db, clock, id, chunk: Vec::with_capacity(CHUNK), number: 0, header })
    }

    /// Adds the next piece of the file.
    ///
    /// # Errors
    ///
    /// See [`UploadError`].
    pub async fn add(&mut self, mut piece: &[u8]) -> Result<(), UploadError> {
        self.look_at_header(piece, false)?;
        while !piece.is_empty() {
            let room = CHUNK.saturating_sub(self.chunk.len()).min(piece.len());
            let (fitting, rest) = piece.split_at_checked(room).unwrap_or((piece, &[]));
            self.chunk.extend_from_slice(fitting);
            piece = rest;
            if self.chunk.len() == CHUNK {
                self.put_away().await?;
            }
        }
        Ok(())
    }

    /// Says that the file is whole, and returns what it is called; it is still to be enqueued.
    ///
    /// # Errors
    ///
    /// See [`UploadError`].
    pub async fn finish(mut self) -> Result<ImportId, UploadError> {
        self.look_at_header(&[], true)?;
        if !self.chunk.is_empty() {
            self.put_away().await?;
        }
        Ok(self.id)
    }

    /// Refuses at once what would fail at its first line.
    fn look_at_header(&mut self, piece: &[u8], is_last: bool) -> Result<(), CsvFileError> {
        let Some(decoder) = &mut self.header else { return Ok(()) };
        decoder.feed(piece);
        if is_last {
            decoder.finish();
        }
        decoder.next_row()?;
        if decoder.position().offset > 0 {
            self.header = None;
        }
        Ok(())
    }

    async fn put_away(&mut self) -> Result<(), UploadError> {
        let (id, number, now) = (self.id, self.number, self.clock.now());
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        let added = self.db.write(async move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
            store::add_chunk(tx, (id, number), &chunk, now).await
        });
        self.number += 1;
        if added.await? { Ok(()) } else { Err(UploadError::GivenUp) }
    }
}
