//! Whether the log is what was written down.

use std::collections::BTreeMap;

use super::store::{self, Checkpoint, Entry, Page};
use super::{Signing, chain};
use crate::db::{Db, DbError, Tx};

/// Records that are read at a time.
const PAGE: i64 = 1000;

/// A number and a hash that somebody kept apart from the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The record.
    pub number: i64,
    /// Its hash at that time, in hexadecimal digits.
    pub hash: String,
}

/// The first thing that is not as it was written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A number is missing, or there twice: a record was removed or put in.
    #[error("record {expected} is missing: {found} stands in its place")]
    Missing {
        /// The number that should be there.
        expected: i64,
        /// What stands there.
        found: i64,
    },
    /// The hash is not that of the record behind the one before it.
    #[error("record {0} was changed, or one before it was removed, put in or moved")]
    Changed(i64),
    /// The log ends before its head, or before a record that was signed or kept.
    #[error("the log ends at record {last}, and once had record {had}: its end was cut off")]
    CutOff {
        /// The last record.
        last: i64,
        /// What there was.
        had: i64,
    },
    /// The head is another than the last record.
    #[error("the head of the log names record {0} with another hash: it was changed")]
    Head(i64),
    /// A checkpoint or a kept hash names another hash: all up to there was written anew.
    #[error("record {0} had another hash when it was signed or kept: the log was written anew")]
    Rewritten(i64),
    /// The last checkpoint was signed with no key that is known.
    #[error(
        "the signature of checkpoint {0} is by no key of this service: it is forged, or SECRET_KEY was \
         replaced and the service has not run since"
    )]
    Signature(i64),
}

/// What was found to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Records.
    pub records: i64,
    /// Checkpoints with a signature that is known.
    pub signed: i64,
    /// Checkpoints of keys that are no longer known; those behind them stand for them.
    pub of_other_keys: i64,
    /// The last record that is signed; 0 if none is.
    pub signed_up_to: i64,
}

/// Goes through the log up to its present end, in bounded memory; `progress` is told of each record
/// that was reached. `known` is what somebody kept apart.
///
/// # Errors
///
/// What the database answers.
pub async fn verify(
    db: &Db,
    signing: &Signing,
    known: &[Known],
    mut progress: impl FnMut(i64),
) -> Result<Result<Verified, Fault>, DbError> {
    let ask = async |tx: &mut Tx<'_>| -> Result<_, DbError> {
        Ok((store::head(tx).await?, store::last_checkpoint(tx).await?))
    };
    let (head, last) = db.read(ask).await?;
    let known = known.iter().map(|known| (known.number, known.hash.as_str())).collect();
    let mut walk = Walk { signing, known, before: (0, String::new()), found: NOTHING };
    let mut progressed = 0;
    while progressed < head.number {
        let most = PAGE.min(head.number - progressed);
        let read = async move |tx: &mut Tx<'_>| store::page(tx, progressed, most).await;
        let page = db.read(read).await?;
        if page.entries.is_empty() {
            break;
        }
        if let Err(fault) = walk.take(&page) {
            return Ok(Err(fault));
        }
        progressed = walk.before.0;
        progress(progressed);
    }
    Ok(walk.end((head.number, &head.hash), last.as_ref()))
}

const NOTHING: Verified = Verified { records: 0, signed: 0, of_other_keys: 0, signed_up_to: 0 };

struct Walk<'a> {
    signing: &'a Signing,
    known: BTreeMap<i64, &'a str>,
    /// The last record's number and hash.
    before: (i64, String),
    found: Verified,
}

impl Walk<'_> {
    fn take(&mut self, page: &Page) -> Result<(), Fault> {
        let mut checkpoints = page.checkpoints.iter().peekable();
        for entry in &page.entries {
            self.take_entry(entry)?;
            while let Some(checkpoint) = checkpoints.next_if(|it| it.number == entry.number) {
                self.take_checkpoint(checkpoint, entry)?;
            }
        }
        Ok(())
    }

    fn take_entry(&mut self, entry: &Entry) -> Result<(), Fault> {
        let expected = self.before.0 + 1;
        if entry.number != expected {
            return Err(Fault::Missing { expected, found: entry.number });
        }
        if chain::hash(&self.before.1, entry) != entry.hash {
            return Err(Fault::Changed(entry.number));
        }
        if self.known.get(&entry.number).is_some_and(|hash| *hash != entry.hash) {
            return Err(Fault::Rewritten(entry.number));
        }
        self.before = (entry.number, entry.hash.clone());
        self.found.records += 1;
        Ok(())
    }

    fn take_checkpoint(&mut self, checkpoint: &Checkpoint, entry: &Entry) -> Result<(), Fault> {
        if checkpoint.hash != entry.hash {
            return Err(Fault::Rewritten(entry.number));
        }
        if self.signing.knows(checkpoint) {
            self.found.signed += 1;
            self.found.signed_up_to = checkpoint.number;
        } else {
            self.found.of_other_keys += 1;
        }
        Ok(())
    }

    fn end(self, head: (i64, &str), last: Option<&Checkpoint>) -> Result<Verified, Fault> {
        let (number, hash) = self.before;
        let kept = self.known.keys().next_back().copied().unwrap_or_default();
        let had = head.0.max(kept).max(last.map_or(0, |last| last.number));
        if number < had {
            return Err(Fault::CutOff { last: number, had });
        }
        if hash != head.1 {
            return Err(Fault::Head(head.0));
        }
        match last.filter(|last| !self.signing.knows(last)) {
            Some(last) => Err(Fault::Signature(last.number)),
            None => Ok(self.found),
        }
    }
}
