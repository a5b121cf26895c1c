//! From settings to a drained exit, in an order that the types enforce.
//!
//! [`Program::main`] is all that a service without commands of its own needs: it reads the
//! settings, asks for the service's [`Offer`], and serves it with everything around it.
//! [`Prepared`] is the same for a service that does more between its settings and its start.
//!
//! Below them, [`Bound`] holds the sockets, [`LockedDown`] comes only from it, and only that can
//! [`LockedDown::run`]. Threads are started last, because what a process takes from itself does
//! not reach threads that already run.

mod bound;
mod checking;
mod command_line;
mod hangup;
mod offer;
mod prepared;
mod program;
mod reloading;
mod serving;
mod settings;

pub use crate::check::Reach;
pub use bound::{BindError, Bound};
pub use checking::{CheckRequest, Explained, OwnChecks, OwnPart, explained};
pub use hangup::keep_hangups;
pub use offer::{Failure, Offer, Setup};
pub use prepared::{Prepared, StartError};
pub use program::{Program, in_full};
pub use reloading::Reloading;
pub use serving::{Applications, LockedDown, ServeError};
pub use settings::{Basics, RateSection, ServiceSettings, ShutdownSection};
