//! Putting a file away while it arrives, and letting go of one that comes to nothing.

use std::sync::{Arc, Mutex, PoisonError};

use palisade::clock::Clock;
use palisade::db::{Db, DbError, Tx};
use palisade::id::Id;
use palisade::input::{CsvDecoder, CsvFileError, CsvLimits};

use super::{HEADER, ImportId, ImportsSection, store};
use crate::accounts::Actor;
use crate::state::Bell;

/// The size of a chunk, in bytes: a thousand of them for the largest file that is taken, and some
/// hundred can be removed in one transaction.
pub(super) const CHUNK: usize = 64 * 1024;
/// Chunks that are removed in one transaction: a MiB.
const REMOVED: i64 = 16;

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

/// The uploads of this process; a clone is the same ones.
///
/// An upload has one of the places of open imports until it is enqueued or removed. However it ends,
/// it is told of here, so that a client that hangs up does not keep its place.
#[derive(Debug, Clone)]
pub struct Uploads {
    most: i64,
    /// No more than there are places.
    ended: Arc<Mutex<Vec<ImportId>>>,
    bell: Bell,
}

/// A file that arrives. Each chunk is on the disk before the next is taken; nothing counts before
/// `store::enqueue`. What is not enqueued when this is dropped, is removed.
#[derive(Debug)]
pub struct Upload {
    db: Db,
    clock: Arc<dyn Clock>,
    id: ImportId,
    uploads: Uploads,
    chunk: Vec<u8>,
    number: u64,
    /// Looks at the first line, until it is known to be right.
    header: Option<CsvDecoder>,
}

impl Uploads {
    /// Takes as many as `settings` say.
    pub fn new(settings: &ImportsSection) -> Self {
        let most = i64::try_from(settings.open).unwrap_or(i64::MAX);
        Self { most, ended: Arc::default(), bell: Bell::default() }
    }

    /// Begins an upload for `actor`.
    ///
    /// # Errors
    ///
    /// [`UploadError::TooMany`] if no place is free, and what the database answers.
    pub async fn begin(
        &self,
        db: Db,
        clock: Arc<dyn Clock>,
        actor: Actor,
    ) -> Result<Upload, UploadError> {
        let (now, most) = (clock.now(), self.most);
        // Whatever becomes of this future, the upload is told of when it ends.
        let upload = Upload {
            db: db.clone(),
            clock,
            id: Id::new_at(now),
            uploads: self.clone(),
            chunk: Vec::new(),
            number: 0,
            header: Some(CsvDecoder::new(HEADER, CsvLimits::default())),
        };
        let id = upload.id;
        db.write(async move |tx: &mut Tx<'_>| {
            if store::count_open(tx, most).await? >= most {
                return Err(UploadError::TooMany);
            }
            Ok(store::begin(tx, id, actor, now).await?)
        })
        .await?;
        Ok(upload)
    }

    /// Waits until an upload has ended, or one has since the last time.
    pub async fn one_ended(&self) {
        self.bell.heard().await;
    }

    /// Removes what is left of uploads that have ended and were not enqueued.
    ///
    /// # Errors
    ///
    /// What the database answers; what is left is removed the next time.
    pub async fn remove_ended(&self, db: &Db) -> Result<(), DbError> {
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        for (place, id) in ended.iter().enumerate() {
            if let Err(error) = remove(db, *id).await {
                self.tell(ended.get(place..).unwrap_or_default());
                return Err(error);
            }
        }
        Ok(())
    }

    fn tell(&self, ended: &[ImportId]) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(ended);
    }
}

async fn remove(db: &Db, id: ImportId) -> Result<(), DbError> {
    // In a transaction of its own: from here on nobody adds to it or enqueues it.
    let given_up = db.write(async move |tx: &mut Tx<'_>| store::give_up(tx, id).await).await?;
    if !given_up {
        return Ok(());
    }
    let remove = async move |tx: &mut Tx<'_>| store::remove_given_up(tx, id, REMOVED).await;
    while !db.write(remove).await? {}
    Ok(())
}

impl Upload {
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

    /// Says that the file is whole, and returns what it is called; it is still to be enqueued, and
    /// this to be kept until then.
    ///
    /// # Errors
    ///
    /// See [`UploadError`].
    pub async fn finish(&mut self) -> Result<ImportId, UploadError> {
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

impl Drop for Upload {
    fn drop(&mut self) {
        self.uploads.tell(&[self.id]);
        self.uploads.bell.ring();
    }
}
