//! A table as an answer: CSV that is made page by page, as fast as its client reads.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http_body::Frame;
use http_body_util::StreamBody;

use super::payload::PIECE;
use super::{Answer, AnswerBody, BrokenOff, Operation, Problem, Response};
use crate::input::CsvEncoder;
use crate::telemetry::RequestScope;

type Pages = Pin<Box<dyn Stream<Item = Result<Bytes, BrokenOff>> + Send>>;

/// 200 with a CSV file to be saved (`text/csv; charset=utf-8; header=present`, RFC 4180 and 7111).
///
/// The next page is asked for when the client has read the one before, so nothing is held for one
/// that reads slowly but a page. If a page cannot be had, the answer breaks off, and the client sees
/// that it is not whole.
pub struct CsvFile {
    name: &'static str,
    pages: Pages,
}

impl CsvFile {
    /// Makes a file that is offered under `name`, with `header` as its first line.
    ///
    /// `next` writes a page of rows, of a MiB at most, and says where the page behind it
    /// begins: `None` if it was the last. The first page is made at once, so that a failure of it
    /// is answered as such.
    ///
    /// # Errors
    ///
    /// What `next` returns for the first page.
    ///
    /// ```
    /// use palisade::http::{CsvFile, Problem};
    ///
    /// async fn numbers() -> Result<CsvFile, Problem> {
    ///     CsvFile::of_pages("numbers.csv", &["number"], 0, |page| async move {
    ///         Ok((format!("{page}\r\n"), (page < 9).then_some(page + 1)))
    ///     })
    ///     .await
    /// }
    /// ```
    pub async fn of_pages<P, N, F>(
        name: &'static str,
        header: &[&str],
        first: P,
        next: N,
    ) -> Result<Self, Problem>
    where
        P: Send + 'static,
        N: Fn(P) -> F + Send + 'static,
        F: Future<Output = Result<(String, Option<P>), Problem>> + Send,
    {
        let mut text = String::new();
        CsvEncoder::new(&mut text).row(header.iter().copied());
        let (rows, rest) = next(first).await?;
        text.push_str(&rows);
        let scope = RequestScope::current();
        let begin = stream::iter([Ok(Bytes::from(text))]);
        let rest = stream::try_unfold((rest, next), move |(page, next)| async move {
            let Some(page) = page else { return Ok(None) };
            match next(page).await {
                Ok((rows, rest)) => Ok(Some((Bytes::from(rows), (rest, next)))),
                Err(problem) => {
                    let cause = problem.cause().unwrap_or_default();
                    scope.run(|| tracing::error!(cause, "a file broke off"));
                    Err(BrokenOff)
                }
            }
        });
        Ok(Self { name, pages: Box::pin(begin.chain(rest)) })
    }
}

impl Answer for CsvFile {
    fn describe(operation: &mut Operation) {
        operation.answers_stream(200, "The file.", "text/csv");
        operation.may_be_large();
    }

    fn into_response(self) -> Result<Response, Problem> {
        // Small pieces show whether the client reads.
        let pieces = self.pages.map_ok(|page| {
            let pieces = (0..page.len()).step_by(PIECE);
            let pieces = pieces.map(move |from| page.slice(from..page.len().min(from + PIECE)));
            stream::iter(pieces.map(Frame::data).map(Ok))
        });
        let mut response = Response::new(AnswerBody::stream(StreamBody::new(pieces.try_flatten())));
        let kind = "text/csv; charset=utf-8; header=present";
        let offered = format!("attachment; filename=\"{}\"", self.name);
        let offered = HeaderValue::from_str(&offered).map_err(Problem::internal)?;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(CONTENT_DISPOSITION, offered);
        Ok(response)
    }
}

impl fmt::Debug for CsvFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("CsvFile").field("name", &self.name).finish_non_exhaustive()
    }
}
