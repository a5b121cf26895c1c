//! Reading a body within the limits of its route, piece by piece or as a whole.

use bytes::Bytes;
use http_body_util::BodyExt;

use super::Request;
use super::gunzip::{Gunzip, NotGzip, Step};
use super::media_type::Coding;
use crate::http::payload::BodyError;
use crate::http::{Problem, RequestBody, problem};

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    body: RequestBody,
    limit: usize,
    /// Bytes as they were sent.
    arrived: usize,
    /// Bytes as they were handed on.
    inflated: usize,
    gunzip: Option<Box<Gunzip>>,
    failure: Option<Problem>,
}

/// A second reader of a body would find nothing, and take that for the body.
#[derive(Debug, thiserror::Error)]
#[error("the body was read already: one argument of a handler can read it")]
struct ReadAlready;

impl Reading {
    /// Takes the body of `request`, of which it is known how it is coded.
    ///
    /// # Errors
    ///
    /// 413 if it is announced as larger than the route takes; 500 if it was taken before.
    pub(super) fn begin(request: &mut Request, coding: Coding) -> Result<Self, Problem> {
        let limit = request.limits.bytes;
        let body = request.body.take().ok_or_else(|| Problem::internal(ReadAlready))?;
        let announced = http_body::Body::size_hint(&body).lower();
        if usize::try_from(announced).map_or(true, |announced| announced > limit) {
            return Err(too_large(limit));
        }
        let gunzip = (coding == Coding::Gzip).then(Box::default);
        Ok(Self { body, limit, arrived: 0, inflated: 0, gunzip, failure: None })
    }

    /// Returns the next piece, which is never empty; `None` at the end. What failed once fails
    /// again, so that a body that broke off is never taken for one that ended.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let next = match self.gunzip {
            None => self.arrive().await,
            Some(_) => self.inflate().await,
        };
        self.failure = next.as_ref().err().cloned();
        next
    }

    /// Returns the whole body.
    pub(super) async fn whole(mut self) -> Result<Bytes, Problem> {
        // Most bodies come in one piece, which need not be copied.
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else { return Ok(first) };
        let mut gathered = Vec::new();
        self.append(&mut gathered, &first);
        self.append(&mut gathered, &second);
        drop((first, second));
        while let Some(piece) = self.next().await? {
            self.append(&mut gathered, &piece);
        }
        Ok(gathered.into())
    }

    /// Appends what [`Self::next`] returned, in memory that doubles up to the limit.
    fn append(&self, gathered: &mut Vec<u8>, piece: &[u8]) {
        let needed = gathered.len().saturating_add(piece.len());
        if needed > gathered.capacity() {
            let doubled = gathered.capacity().saturating_mul(2).min(self.limit);
            gathered.reserve_exact(doubled.max(needed) - gathered.len());
        }
        gathered.extend_from_slice(piece);
    }

    /// Returns the next bytes that were sent.
    async fn arrive(&mut self) -> Result<Option<Bytes>, Problem> {
        while let Some(frame) = self.body.frame().await {
            let Ok(data) = frame.map_err(unreadable)?.into_data() else { continue };
            self.arrived = self.arrived.saturating_add(data.len());
            if self.arrived > self.limit {
                return Err(too_large(self.limit));
            }
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Returns the next inflated bytes; of those beyond the limit, no more than one is made.
    async fn inflate(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.gunzip.as_ref().is_some_and(|gunzip| gunzip.has_input()) {
            // A little that was sent may become a lot: others get their turn before each piece.
            tokio::task::yield_now().await;
        }
        loop {
            let Some(gunzip) = &mut self.gunzip else { return Ok(None) };
            let room = self.limit.saturating_sub(self.inflated).saturating_add(1);
            match gunzip.step(room).map_err(not_gzip)? {
                Step::Piece(piece) => {
                    self.inflated = self.inflated.saturating_add(piece.len());
                    let is_within = self.inflated <= self.limit;
                    return is_within.then_some(Some(piece)).ok_or_else(|| too_large(self.limit));
                }
                Step::Paused => tokio::task::yield_now().await,
                Step::Ended => return Ok(None),
                Step::Hungry => {
                    let arrived = self.arrive().await?;
                    if let Some(gunzip) = &mut self.gunzip {
                        gunzip.feed(arrived);
                    }
                }
            }
        }
    }
}

pub(in crate::http) fn too_large(limit: usize) -> Problem {
    let detail = format!("This route takes at most {limit} bytes.");
    Problem::new(problem::BODY_TOO_LARGE).detail(detail)
}

pub(in crate::http) fn unreadable(error: BodyError) -> Problem {
    match error {
        BodyError::TooSlow => Problem::new(problem::REQUEST_TIMEOUT),
        BodyError::Broken => {
            Problem::new(problem::BAD_REQUEST).detail("The body broke off or is framed wrongly.")
        }
    }
}

fn not_gzip(_: NotGzip) -> Problem {
    Problem::new(problem::MALFORMED_BODY).detail("The body is not exactly one whole gzip member.")
}
