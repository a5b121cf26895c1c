//! The system calls that are left to the process (seccomp).
//!
//! Three filters, and the strictest answer of them wins (seccomp(2)):
//!
//! 1. What only an attacker calls ends the process: starting programs, tracing, mounting, loading
//!    code into the kernel, changing users. There is no way on from there that is worth keeping.
//! 2. A socket of a family that is not needed is answered `EAFNOSUPPORT`, as on a machine that does
//!    not have that family. A look-up of a name asks for a netlink socket and can do without.
//! 3. Whatever else is not on the list is answered `ENOSYS`, as by an older kernel. Libraries are
//!    written for that: a new libc that tries a new call first goes on with the old one, and the
//!    service with it. `clone3`, whose arguments a filter cannot see, is such a call.
//!
//! The list is one for Linux on x86-64. On other processors nothing is filtered, because nothing
//! was tried there.

#[cfg(target_arch = "x86_64")]
mod calls;
#[cfg(target_arch = "x86_64")]
mod filters;

use super::needs::Needs;
use super::report::{Measure, Report, State};

/// Leaves the system calls that such a service makes, and notes whether that took effect.
#[cfg(target_arch = "x86_64")]
pub(super) fn restrict(needs: &Needs, report: &mut Report) {
    let process = rustix::process::getpid().as_raw_nonzero().get().unsigned_abs();
    let has_network = needs.has_sockets();
    let applied = filters::all(process, has_network).and_then(|filters| {
        filters.iter().try_for_each(|filter| Ok(seccompiler::apply_filter(filter)?))
    });
    match applied {
        Ok(()) => report.note(Measure::SystemCalls, State::InEffect, "seccomp"),
        Err(why) => report.note(Measure::SystemCalls, State::Missing, why.to_string()),
    }
}

/// Says that nothing is filtered.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn restrict(_: &Needs, report: &mut Report) {
    let why = "there is no list of calls for this processor, only for x86-64";
    report.note(Measure::SystemCalls, State::Missing, why);
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
