//! Bodies that are read as a whole: validated JSON.

use std::future::Future;

use bytes::Bytes;
use http::header::CONTENT_TYPE;

use super::Request;
use super::media_type::{Coding, JSON, check, wrong_media_type};
use super::reading::Reading;
use crate::http::{Extract, Operation, Problem};
use crate::input::{FromJson, Schema, read_json};

/// A validated JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A validated JSON body that may be left out altogether.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

/// A body that is read as a whole, and tells its bytes from another's.
pub trait WholeBody: Sized + Send {
    /// Adds to `operation` what the body is.
    fn describe(operation: &mut Operation);

    /// Reads the body; the bytes are those it was read from, inflated where the route does that.
    fn read(request: &mut Request) -> impl Future<Output = Result<(Self, Bytes), Problem>> + Send;
}

impl<T: FromJson + Schema + Send> WholeBody for Body<T> {
    fn describe(operation: &mut Operation) {
        operation.reads_json::<T>(true);
    }

    async fn read(request: &mut Request) -> Result<(Self, Bytes), Problem> {
        let coding = check(request, JSON)?;
        let bytes = Reading::begin(request, coding)?.whole().await?;
        Ok((Self(read_json(&bytes)?), bytes))
    }
}

impl<T: FromJson + Schema + Send> WholeBody for OptionalBody<T> {
    fn describe(operation: &mut Operation) {
        operation.reads_json::<T>(false);
    }

    async fn read(request: &mut Request) -> Result<(Self, Bytes), Problem> {
        let is_typed = request.parts.headers.contains_key(CONTENT_TYPE);
        let coding = if is_typed { check(request, JSON)? } else { Coding::Identity };
        match Reading::begin(request, coding)?.whole().await? {
            // Many clients name the type of the body that they leave out.
            bytes if bytes.is_empty() => Ok((Self(None), bytes)),
            bytes if is_typed => Ok((Self(Some(read_json(&bytes)?)), bytes)),
            _ => Err(wrong_media_type(request, JSON)),
        }
    }
}

impl<S: Sync, T: FromJson + Schema + Send> Extract<S> for Body<T> {
    fn describe(operation: &mut Operation) {
        <Self as WholeBody>::describe(operation);
    }

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        Ok(Self::read(request).await?.0)
    }
}

impl<S: Sync, T: FromJson + Schema + Send> Extract<S> for OptionalBody<T> {
    fn describe(operation: &mut Operation) {
        <Self as WholeBody>::describe(operation);
    }

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        Ok(Self::read(request).await?.0)
    }
}
