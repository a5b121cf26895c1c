//! The filters that are made of the lists, and the calls whose arguments decide.

use std::collections::BTreeMap;

use libc::{
    AF_INET, AF_INET6, AF_UNIX, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS,
    CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_THREAD, EAFNOSUPPORT, ENOSYS, F_DUPFD,
    F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETFD,
    F_SETFL, F_SETLK, F_SETLKW, MSG_FASTOPEN, PR_GET_NAME, PR_SET_NAME, PRIO_PROCESS, PROT_EXEC,
    SOCK_DCCP, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_STREAM, SYS_clone, SYS_connect, SYS_fchmod,
    SYS_fcntl, SYS_ioctl, SYS_mmap, SYS_mprotect, SYS_prctl, SYS_prlimit64, SYS_sendmmsg,
    SYS_sendmsg, SYS_sendto, SYS_setpriority, SYS_socket, SYS_socketpair, SYS_tgkill,
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::calls::{ANSWERED, ENDING};

/// Why there are no filters.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfiltered {
    #[error("{0}")]
    Unwritable(#[from] BackendError),
    #[error("{0}")]
    Refused(#[from] seccompiler::Error),
}

/// The calls of one filter, each with the rules of which one has to fit; with none it always fits.
type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// Returns the filters for the process of this id, in the order in which they must be applied: the
/// last one no longer answers what it takes to apply another.
pub(super) fn all(process: u32, has_network: bool) -> Result<Vec<BpfProgram>, Unfiltered> {
    let unsupported = SeccompAction::Errno(EAFNOSUPPORT.unsigned_abs());
    let unknown = SeccompAction::Errno(ENOSYS.unsigned_abs());
    let mut answered = whatever_their_arguments(ANSWERED);
    answered.extend(by_their_arguments(process)?);
    if has_network {
        answered.insert(SYS_connect, Vec::new());
    }
    Ok(vec![
        compiled(
            whatever_their_arguments(ENDING),
            SeccompAction::Allow,
            SeccompAction::KillProcess,
        )?,
        compiled(foreign_sockets(has_network)?, SeccompAction::Allow, unsupported)?,
        compiled(answered, unknown, SeccompAction::Allow)?,
    ])
}

fn compiled(
    calls: Calls,
    other: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(calls, other, listed, TargetArch::x86_64)?.try_into()
}

fn whatever_their_arguments(lists: &[&[i64]]) -> Calls {
    lists.iter().flat_map(|list| list.iter()).map(|call| (*call, Vec::new())).collect()
}

/// Returns the calls that are answered only with some arguments.
fn by_their_arguments(process: u32) -> Result<Calls, BackendError> {
    let int = |argument, value| only(argument, SeccompCmpOp::Eq, value);
    // No page that can be written becomes code, and no file is mapped as code.
    let no_code = [only(2, SeccompCmpOp::MaskedEq(wide(PROT_EXEC)), 0)];
    // Threads of this process, in the world that it knows: no other process.
    let flags = NAMESPACES.iter().fold(wide(CLONE_THREAD), |flags, flag| flags | wide(*flag));
    let thread = [only(0, SeccompCmpOp::MaskedEq(flags), wide(CLONE_THREAD))];
    // Limits are read, not set, and only one's own; both halves of the pointer must be 0.
    let no_new_limit = (2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0);
    // A listener that was shut down becomes a client by the first bytes it sends (tcp(7)).
    let no_opening = |argument| only(argument, SeccompCmpOp::MaskedEq(wide(MSG_FASTOPEN)), 0);
    // A pair of datagram sockets could send to any other of this machine by its path.
    let stream = only(1, SeccompCmpOp::MaskedEq(SOCKET_KIND), wide(SOCK_STREAM));
    Ok(Calls::from([
        (SYS_mmap, vec![rule(no_code.clone())?]),
        (SYS_mprotect, vec![rule(no_code)?]),
        (SYS_clone, vec![rule(thread)?]),
        (SYS_ioctl, one_of(1, ASKED_OF_DEVICES)?),
        (SYS_prctl, one_of(0, [wide(PR_SET_NAME), wide(PR_GET_NAME)])?),
        (SYS_prlimit64, vec![rule([int(0, 0), no_new_limit])?]),
        (SYS_setpriority, vec![rule([int(0, u64::from(PRIO_PROCESS)), int(1, 0)])?]),
        (SYS_socketpair, vec![rule([int(0, wide(AF_UNIX)), stream])?]),
        (
            SYS_sendto,
            vec![rule([no_opening(3), (4, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)])?],
        ),
        (SYS_sendmsg, vec![rule([no_opening(2)])?]),
        (SYS_sendmmsg, vec![rule([no_opening(3)])?]),
        (SYS_fchmod, vec![rule([only(1, SeccompCmpOp::MaskedEq(0o7000), 0)])?]),
        (SYS_fcntl, one_of(1, ASKED_OF_DESCRIPTORS.map(wide))?),
        (SYS_tgkill, vec![rule([int(0, u64::from(process))])?]),
    ]))
}

/// Returns the sockets that are answered as if the machine had no such thing: all but streams and
/// datagrams of the Internet and of this machine; without a network, all.
fn foreign_sockets(has_network: bool) -> Result<Calls, BackendError> {
    if !has_network {
        return Ok(Calls::from([(SYS_socket, Vec::new())]));
    }
    let families = [AF_INET, AF_INET6, AF_UNIX];
    let mut rules = vec![rule(families.map(|family| only(0, SeccompCmpOp::Ne, wide(family))))?];
    for kind in [SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET] {
        rules.push(rule([only(1, SeccompCmpOp::MaskedEq(SOCKET_KIND), wide(kind))])?);
    }
    Ok(Calls::from([(SYS_socket, rules)]))
}

/// Is it a terminal, how large, how much is there to read, do not block, close in other programs
/// (asm-generic/ioctls.h: `TCGETS`, `TIOCGWINSZ`, `FIONREAD`, `FIONBIO`, `FIOCLEX`). Nothing else is
/// asked of a device; above all nothing is typed into a terminal.
const ASKED_OF_DEVICES: [u64; 5] = [0x5401, 0x5413, 0x541b, 0x5421, 0x5451];

/// Copies, flags and locks. What is not there has the kernel send signals to others (`F_SETOWN`,
/// `F_SETSIG`), or tells of what others do with a file.
const ASKED_OF_DESCRIPTORS: [i32; 12] = [
    F_DUPFD,
    F_GETFD,
    F_SETFD,
    F_GETFL,
    F_SETFL,
    F_GETLK,
    F_SETLK,
    F_SETLKW,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_DUPFD_CLOEXEC,
];

/// An old name for sockets below IP that the kernel still takes with `AF_INET`; libc calls it
/// deprecated.
const SOCK_PACKET: i32 = 10;

/// The bits of a socket's type below its flags (linux/net.h, `SOCK_TYPE_MASK`).
const SOCKET_KIND: u64 = 0xf;

const NAMESPACES: [i32; 7] = [
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
];

/// What one argument must be: its place from 0, its width, the comparison and the value.
type Condition = (u8, SeccompCmpArgLen, SeccompCmpOp, u64);

/// Compares 32 bits, of which the kernel reads no more in these arguments.
fn only(argument: u8, comparison: SeccompCmpOp, value: u64) -> Condition {
    (argument, SeccompCmpArgLen::Dword, comparison, value)
}

/// Returns rules of which each wants another value of one argument.
fn one_of<const N: usize>(
    argument: u8,
    values: [u64; N],
) -> Result<Vec<SeccompRule>, BackendError> {
    let rules = values.map(|value| rule([only(argument, SeccompCmpOp::Eq, value)]));
    rules.into_iter().collect()
}

/// Returns a rule of conditions that must all hold.
fn rule<const N: usize>(conditions: [Condition; N]) -> Result<SeccompRule, BackendError> {
    let conditions = conditions
        .map(|(argument, width, comparison, value)| {
            SeccompCondition::new(argument, width, comparison, value)
        })
        .into_iter()
        .collect::<Result<_, _>>()?;
    SeccompRule::new(conditions)
}

/// Widens a constant of the C library as the kernel reads it: bits, not a number with a sign.
fn wide(constant: i32) -> u64 {
    u64::from(u32::from_ne_bytes(constant.to_ne_bytes()))
}
