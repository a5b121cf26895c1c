//! Which request a thread works on, so that every line it writes can say so.
//!
//! There is no span for each request: the id is put in place whenever a request's work goes on,
//! and taken away when it waits. That costs two copies of 65 bytes.

use std::cell::Cell;
use std::marker::PhantomData;

/// Longest id of a request, in bytes.
const LONGEST: usize = 64;

thread_local! {
    static CURRENT: Cell<RequestScope> = const { Cell::new(RequestScope::NONE) };
}

/// The request that is worked on, or none: what `request_id` in a line of the log comes from.
///
/// Work that goes on elsewhere takes it along. Palisade does that for work on its own threads, such
/// as the database's and those that hash passwords; tasks and threads of yours do it so:
///
/// ```
/// use palisade::telemetry::RequestScope;
///
/// # let heavy = || ();
/// let request = RequestScope::current();
/// let thread = std::thread::spawn(move || request.run(heavy));
/// # thread.join().unwrap();
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RequestScope {
    id: [u8; LONGEST],
    length: u8,
}

impl RequestScope {
    /// No request.
    const NONE: Self = Self { id: [0; LONGEST], length: 0 };

    /// Returns the request that this thread works on.
    pub fn current() -> Self {
        CURRENT.try_with(Cell::get).unwrap_or(Self::NONE)
    }

    /// Does `work` as part of the request.
    pub fn run<T>(self, work: impl FnOnce() -> T) -> T {
        let _entered = self.enter();
        work()
    }

    /// Names the request `id`; one that is too long is none.
    pub(crate) fn of(id: &str) -> Self {
        let mut scope = Self::NONE;
        if let Some(place) = scope.id.get_mut(..id.len()) {
            place.copy_from_slice(id.as_bytes());
            scope.length = u8::try_from(id.len()).unwrap_or_default();
        }
        scope
    }

    /// What this thread does is part of the request until the guard is dropped, which must not be
    /// held while a task waits.
    pub(crate) fn enter(self) -> Entered {
        let before = CURRENT.try_with(|current| current.replace(self)).unwrap_or(Self::NONE);
        Entered { before, _stays_on_its_thread: PhantomData }
    }

    /// Returns the id of the request: 1 to 64 of `[A-Za-z0-9._-]`. `None` outside of requests.
    pub fn id(&self) -> Option<&str> {
        let id = self.id.get(..usize::from(self.length))?;
        std::str::from_utf8(id).ok().filter(|id| !id.is_empty())
    }
}

/// Puts back what was before.
#[must_use = "dropping it leaves the request"]
pub(crate) struct Entered {
    before: RequestScope,
    _stays_on_its_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // A thread that ends has no current request any more.
        CURRENT.try_with(|current| current.set(self.before)).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_with_its_scope_also_by_a_panic_and_the_one_around_it_goes_on() {
        let (outer, inner) = (RequestScope::of("outer"), RequestScope::of("inner"));

        outer.run(|| {
            assert_eq!(inner.run(|| RequestScope::current().id().unwrap().to_owned()), "inner");
            std::panic::catch_unwind(|| inner.run(|| panic!("at work"))).unwrap_err();
            assert_eq!(RequestScope::current().id(), Some("outer"));
        });

        assert_eq!(RequestScope::current().id(), None);
        assert_eq!(RequestScope::of(&"x".repeat(LONGEST + 1)).id(), None);
        assert!(RequestScope::of(&"x".repeat(LONGEST)).id().is_some());
    }
}
