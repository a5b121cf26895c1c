//! The filters as the kernel runs them: every instruction, on calls that were never made.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

use libc::{
    AF_ALG, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, CLONE_FILES, CLONE_FS,
    CLONE_NEWUSER, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM, EAFNOSUPPORT, ENOSYS, PR_SET_DUMPABLE,
    PR_SET_NAME, PROT_EXEC, PROT_READ, PROT_WRITE, SIGCHLD, SOCK_CLOEXEC, SOCK_DGRAM,
    SOCK_NONBLOCK, SOCK_RAW, SOCK_STREAM, SYS_bind, SYS_clone, SYS_clone3, SYS_connect, SYS_execve,
    SYS_fork, SYS_io_uring_setup, SYS_ioctl, SYS_kill, SYS_listen, SYS_memfd_create, SYS_mmap,
    SYS_mprotect, SYS_openat, SYS_prctl, SYS_prlimit64, SYS_ptrace, SYS_read, SYS_setuid,
    SYS_socket, SYS_socketpair, SYS_tgkill, TIOCSTI, c_long,
};
use proptest::prelude::*;
use seccompiler::BpfProgram;

use super::calls::{ANSWERED, ENDING};
use super::filters;

const US: u32 = 4711;

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const UNKNOWN: u32 = 0x0005_0000 | ENOSYS.unsigned_abs();
const NO_FAMILY: u32 = 0x0005_0000 | EAFNOSUPPORT.unsigned_abs();

/// x86-64, and what 32-bit programs are (linux/audit.h).
const NATIVE: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;

#[test]
fn what_only_an_attacker_calls_ends_the_process() {
    for call in [SYS_execve, SYS_ptrace, SYS_setuid] {
        assert_eq!(answer(call, &[]), KILL, "{call}");
    }
}

#[test]
fn no_memory_becomes_code() {
    for call in [SYS_mmap, SYS_mprotect] {
        assert_eq!(answer(call, &[0, 4096, bits(PROT_READ | PROT_WRITE)]), ALLOW);
        assert_eq!(answer(call, &[0, 4096, bits(PROT_READ | PROT_EXEC)]), UNKNOWN);
        assert_eq!(answer(call, &[0, 4096, bits(PROT_EXEC) | 1 << 40]), UNKNOWN);
    }
}

#[test]
fn there_are_threads_and_no_other_processes() {
    let thread = bits(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD);

    assert_eq!(answer(SYS_clone, &[thread]), ALLOW);
    assert_eq!(answer(SYS_clone, &[bits(SIGCHLD)]), UNKNOWN);
    assert_eq!(answer(SYS_clone, &[thread | bits(CLONE_NEWUSER)]), UNKNOWN);
    assert_eq!(answer(SYS_clone3, &[]), UNKNOWN);
    assert_eq!(answer(SYS_fork, &[]), UNKNOWN);
}

#[test]
fn a_service_that_connects_to_nothing_opens_no_socket() {
    for family in [AF_INET, AF_INET6, AF_UNIX, AF_NETLINK] {
        assert_eq!(answer(SYS_socket, &[bits(family), bits(SOCK_STREAM)]), NO_FAMILY);
    }
    assert_eq!(answer(SYS_socketpair, &[bits(AF_UNIX), bits(SOCK_STREAM)]), ALLOW);
    assert_eq!(answer(SYS_socketpair, &[bits(AF_INET), bits(SOCK_STREAM)]), UNKNOWN);
    for call in [SYS_bind, SYS_listen, SYS_connect] {
        assert_eq!(answer(call, &[]), UNKNOWN);
    }
    assert_eq!(connecting(SYS_connect, &[]), ALLOW);
}

#[test]
fn a_service_that_connects_opens_streams_and_datagrams_of_three_families() {
    let socket = |family, kind| connecting(SYS_socket, &[bits(family), bits(kind)]);

    for family in [AF_INET, AF_INET6, AF_UNIX] {
        assert_eq!(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC), ALLOW);
        assert_eq!(socket(family, SOCK_DGRAM | SOCK_CLOEXEC), ALLOW);
        assert_eq!(socket(family, SOCK_RAW), NO_FAMILY);
    }
    for family in [AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK] {
        assert_eq!(socket(family, SOCK_DGRAM), NO_FAMILY);
    }
}

#[test]
fn the_process_cannot_be_opened_up_again() {
    assert_eq!(answer(SYS_prctl, &[bits(PR_SET_NAME)]), ALLOW);
    assert_eq!(answer(SYS_prctl, &[bits(PR_SET_DUMPABLE), 1]), UNKNOWN);
    assert_eq!(answer(SYS_prlimit64, &[0, 7, 0, 1 << 46]), ALLOW);
    assert_eq!(answer(SYS_prlimit64, &[0, 7, 1 << 46, 0]), UNKNOWN);
    assert_eq!(answer(SYS_prlimit64, &[1, 7, 0, 1 << 46]), UNKNOWN);
    assert_eq!(answer(SYS_ioctl, &[0, TIOCSTI]), UNKNOWN);
}

#[test]
fn nothing_that_is_sent_opens_a_connection_or_chooses_who_gets_it() {
    let opening = bits(libc::MSG_FASTOPEN);
    for call in [libc::SYS_sendto, libc::SYS_sendmmsg] {
        assert_eq!(answer(call, &[0, 0, 0, bits(libc::MSG_NOSIGNAL)]), ALLOW);
        assert_eq!(answer(call, &[0, 0, 0, opening]), UNKNOWN);
    }
    assert_eq!(answer(libc::SYS_sendmsg, &[0, 0, bits(libc::MSG_NOSIGNAL)]), ALLOW);
    assert_eq!(answer(libc::SYS_sendmsg, &[0, 0, opening]), UNKNOWN);
    assert_eq!(answer(libc::SYS_sendto, &[0, 0, 0, 0, 1 << 46]), UNKNOWN);
    assert_eq!(answer(SYS_socketpair, &[bits(AF_UNIX), bits(SOCK_DGRAM)]), UNKNOWN);
}

#[test]
fn a_file_is_locked_and_closed_to_others_and_never_made_a_way_in() {
    assert_eq!(answer(libc::SYS_fcntl, &[0, bits(libc::F_SETLK)]), ALLOW);
    assert_eq!(answer(libc::SYS_fcntl, &[0, bits(libc::F_SETOWN)]), UNKNOWN);
    assert_eq!(answer(libc::SYS_fchmod, &[0, 0o600]), ALLOW);
    assert_eq!(answer(libc::SYS_fchmod, &[0, 0o4700]), UNKNOWN);
    assert_eq!(answer(libc::SYS_chmod, &[]), UNKNOWN);
}

#[test]
fn signals_go_to_this_process_only() {
    assert_eq!(answer(SYS_tgkill, &[u64::from(US), 1, 6]), ALLOW);
    assert_eq!(answer(SYS_tgkill, &[1, 1, 6]), UNKNOWN);
    assert_eq!(answer(SYS_kill, &[u64::from(US), 6]), UNKNOWN);
}

#[test]
fn what_gives_room_to_attacks_is_answered_as_by_an_older_kernel() {
    for call in [SYS_io_uring_setup, SYS_memfd_create, 9_999] {
        assert_eq!(answer(call, &[]), UNKNOWN);
    }
}

#[test]
fn calls_of_another_kind_of_program_end_the_process_or_are_unknown() {
    let filters = filters::all(US, false).unwrap();

    assert_eq!(judged(&filters, I386, 3, &[]), KILL);
    assert_eq!(judged(&filters, NATIVE, 0x4000_0000 | number(SYS_read), &[]), UNKNOWN);
}

#[test]
fn every_filter_but_the_last_lets_the_next_one_be_applied() {
    let filters = filters::all(US, false).unwrap();

    for filter in &filters[..2] {
        for call in [libc::SYS_seccomp, SYS_prctl] {
            assert_eq!(judged(std::slice::from_ref(filter), NATIVE, number(call), &[]), ALLOW);
        }
    }
    assert_eq!(answer(libc::SYS_seccomp, &[1]), UNKNOWN);
}

#[test]
fn no_call_is_on_two_lists() {
    let all: Vec<_> = ENDING.iter().chain(ANSWERED).flat_map(|list| list.iter()).collect();
    let once: std::collections::BTreeSet<_> = all.iter().collect();

    assert_eq!(once.len(), all.len());
    assert_eq!(answer(SYS_openat, &[]), ALLOW);
}

proptest! {
    /// What is allowed is listed: no number and no arguments find a gap.
    #[test]
    fn whatever_is_called_only_what_is_listed_is_answered(
        call in 0_i64..1_000,
        arguments in prop::collection::vec(any::<u64>(), 6),
    ) {
        let others = [
            libc::SYS_mmap, libc::SYS_mprotect, SYS_clone, SYS_ioctl, SYS_prctl, SYS_prlimit64,
            libc::SYS_setpriority, SYS_connect, SYS_socketpair, SYS_tgkill, libc::SYS_sendto,
            libc::SYS_sendmsg, libc::SYS_sendmmsg, libc::SYS_fchmod, libc::SYS_fcntl,
        ];
        let is_listed = others.contains(&call)
            || ANSWERED.iter().any(|list| list.contains(&call));

        for answer in [answer(call, &arguments), connecting(call, &arguments)] {
            prop_assert!(is_listed || answer != ALLOW, "{call} {arguments:?}");
        }
    }
}

/// Returns how a service that connects to nothing is answered.
fn answer(call: c_long, arguments: &[u64]) -> u32 {
    judged(&filters::all(US, false).unwrap(), NATIVE, number(call), arguments)
}

/// Returns how a service that connects somewhere is answered.
fn connecting(call: c_long, arguments: &[u64]) -> u32 {
    judged(&filters::all(US, true).unwrap(), NATIVE, number(call), arguments)
}

/// Returns the strictest answer of `filters`, of equal ones that of the last (seccomp(2)).
fn judged(filters: &[BpfProgram], architecture: u32, call: u32, arguments: &[u64]) -> u32 {
    let mut data = [0; 16];
    data[0] = call;
    data[1] = architecture;
    for (place, argument) in arguments.iter().enumerate() {
        let (low, high) = (argument & u64::from(u32::MAX), argument >> 32);
        data[4 + 2 * place] = u32::try_from(low).unwrap();
        data[5 + 2 * place] = u32::try_from(high).unwrap();
    }
    let strictness = |answer: &u32| i32::from_ne_bytes((answer & 0xffff_0000).to_ne_bytes());
    filters.iter().rev().map(|filter| run(filter, &data)).min_by_key(strictness).unwrap()
}

/// Runs one filter on `seccomp_data`, as linux/filter.h defines its instructions.
fn run(filter: &BpfProgram, data: &[u32; 16]) -> u32 {
    let (mut at, mut value) = (0, 0);
    loop {
        let instruction = &filter[at];
        let constant = instruction.k;
        let jump = |holds| usize::from(if holds { instruction.jt } else { instruction.jf });
        at += 1 + match instruction.code {
            0x20 => {
                value = data[usize::try_from(constant).unwrap() / 4];
                0
            }
            0x54 => {
                value &= constant;
                0
            }
            0x05 => usize::try_from(constant).unwrap(),
            0x15 => jump(value == constant),
            0x25 => jump(value > constant),
            0x35 => jump(value >= constant),
            0x06 => return constant,
            other => panic!("an instruction that is not understood: {other:#x}"),
        };
    }
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap()
}

fn bits(constant: i32) -> u64 {
    u64::from(constant.unsigned_abs())
}
