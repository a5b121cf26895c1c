//! What a connection is doing, for the deadlines that watch over it.
//!
//! Requests, the stream and the bodies note what happens, each with a few atomic operations and
//! no timer; [`Watch`] looks at the notes often enough that no deadline can pass unseen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::ConnectionLimits;
use super::deadline::Timers;
use super::metrics::{CloseReason, ConnectionState, OpenConnection};

/// Bytes that a connection may send besides requests and their bodies: settings, pings, chunk
/// sizes. What comes on top of it for each request is a head.
const OVERHEAD: u64 = 256 * 1024;
/// HTTP/2 frames that a connection may send besides requests and bodies: its settings, priorities of
/// streams, pings that keep it alive. Enough for one every four seconds of an hour.
const OVERHEAD_FRAMES: u64 = 1000;
/// The same for each request: windows, a priority, a reset.
const OVERHEAD_FRAMES_OF_A_REQUEST: u64 = 8;
/// Bytes of answers for each of which one more may come: clients that enlarge their windows soonest
/// (Go's) do so for every 4 KiB, once for the stream and once for the connection.
const ANSWERED_BYTES_OF_A_FRAME: u64 = 1024;
/// Requests that a client may give up on without cause, on top of half of all it makes.
const ABANDONED: u64 = 100;
/// Most bytes of answers that wait for one client; its next request waits until it has read some.
const MOST_UNSENT: usize = 256 * 1024;

/// Large answers of one connection that are made at a time. The next one is made as soon as there is
/// room, while the client still reads, so that more would only take more memory.
const LARGE_AT_A_TIME: usize = 1;

/// A large answer's turn to be made, until it counts as unsent.
pub(super) type Turn<'a> = SemaphorePermit<'a>;

/// What happened on one connection.
#[derive(Debug)]
pub(super) struct Activity {
    started: Instant,
    /// Requests from their head until the last byte of their answer was handed over.
    busy: AtomicUsize,
    requests: AtomicU64,
    abandoned: AtomicU64,
    /// Milliseconds after `started`.
    idle_since: AtomicU64,
    /// Milliseconds after `started`, plus one; zero while no head is on its way.
    head_since: AtomicU64,
    read: AtomicU64,
    read_of_bodies: AtomicU64,
    written: AtomicU64,
    /// Whether the stream takes nothing more at the moment.
    is_blocked: AtomicBool,
    /// Whether what is about to be written holds a piece of a body that ends a line.
    ends_line: AtomicBool,
    has_sent_trailers: AtomicBool,
    unsent: AtomicUsize,
    sent: AtomicU64,
    room: Notify,
    turns: Semaphore,
    open: OpenConnection,
    /// Timers of requests that are over.
    pub(super) timers: Timers,
}

impl Verdict {
    pub(super) fn reason(self) -> CloseReason {
        match self {
            Self::HeaderTimeout => CloseReason::HeaderTimeout,
            Self::Idle => CloseReason::Idle,
            Self::WriteStalled => CloseReason::WriteStalled,
            Self::Abandoning => CloseReason::Abandoning,
            Self::Aged => CloseReason::Age,
            Self::Worn => CloseReason::Requests,
        }
    }
}

/// A request that is being worked on or answered.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Arc<Activity>,
    is_answered: bool,
}

/// Why a connection was closed from this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A head did not come to its end in time, or no first request came.
    HeaderTimeout,
    /// No request came for too long.
    Idle,
    /// The client does not read its answers.
    WriteStalled,
    /// The client gives up on its requests, one after the other.
    Abandoning,
    /// Old enough: to be ended at the next good moment.
    Aged,
    /// Used often enough: the same.
    Worn,
}

impl Activity {
    pub(super) fn new(open: OpenConnection) -> Self {
        Self {
            started: Instant::now(),
            busy: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            read: AtomicU64::new(0),
            read_of_bodies: AtomicU64::new(0),
            written: AtomicU64::new(0),
            is_blocked: AtomicBool::new(false),
            ends_line: AtomicBool::new(false),
            has_sent_trailers: AtomicBool::new(false),
            unsent: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            room: Notify::new(),
            turns: Semaphore::new(LARGE_AT_A_TIME),
            open,
            timers: Timers::default(),
        }
    }

    /// Says why the connection ends; what is said first counts.
    pub(super) fn ends_because(&self, reason: CloseReason) {
        self.open.ends_because(reason);
    }

    /// Notes that a request came.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        if self.busy.fetch_add(1, Relaxed) == 0 {
            self.open.enter(ConnectionState::Active);
        }
        self.requests.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        Busy { activity: Arc::clone(self), is_answered: false }
    }

    /// Returns how many requests came so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Notes that `bytes` were read from the stream; false if they are more than any honest
    /// client has reason to send.
    pub(super) fn note_read(&self, bytes: usize) -> bool {
        let read = self.read.fetch_add(wide(bytes), Relaxed).saturating_add(wide(bytes));
        if self.busy.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.now().saturating_add(1), Relaxed);
        }
        let heads =
            self.requests().saturating_add(1).saturating_mul(wide(super::connection::HEAD_BUFFER));
        let answers = self.written.load(Relaxed) / 8;
        let bodies = self.read_of_bodies.load(Relaxed).saturating_mul(2);
        read <= OVERHEAD.saturating_add(heads).saturating_add(answers).saturating_add(bodies)
    }

    /// Tells whether an honest client may have sent so many frames besides requests and bodies.
    pub(super) fn may_have_sent_frames(&self, frames: u64) -> bool {
        let of_requests = self.requests().saturating_mul(OVERHEAD_FRAMES_OF_A_REQUEST);
        let of_answers = self.written.load(Relaxed) / ANSWERED_BYTES_OF_A_FRAME;
        frames <= OVERHEAD_FRAMES.saturating_add(of_requests).saturating_add(of_answers)
    }

    /// Notes that `bytes` of what was read were a body.
    pub(super) fn note_body(&self, bytes: usize) {
        self.read_of_bodies.fetch_add(wide(bytes), Relaxed);
    }

    /// Notes that the stream took `bytes`.
    pub(super) fn note_written(&self, bytes: usize) {
        self.written.fetch_add(wide(bytes), Relaxed);
    }

    /// Notes whether the stream takes anything at the moment.
    pub(super) fn note_blocked(&self, is_blocked: bool) {
        if self.is_blocked.load(Relaxed) != is_blocked {
            self.is_blocked.store(is_blocked, Relaxed);
        }
    }

    /// Notes whether a piece of a body that ends a line is on its way to the stream. Only such a one
    /// can read like a refusal of the parser.
    pub(super) fn note_line_end(&self, is_on_its_way: bool) {
        if self.ends_line.load(Relaxed) != is_on_its_way {
            self.ends_line.store(is_on_its_way, Relaxed);
        }
    }

    /// Tells whether what is written may hold a piece of a body that ends a line.
    pub(super) fn may_write_line_end(&self) -> bool {
        self.ends_line.load(Relaxed)
    }

    /// Notes that an answer ends with fields, which on HTTP/2 may look like a bare status.
    pub(super) fn note_trailers(&self) {
        self.has_sent_trailers.store(true, Relaxed);
    }

    /// Tells whether any answer ended with fields.
    pub(super) fn has_sent_trailers(&self) -> bool {
        self.has_sent_trailers.load(Relaxed)
    }

    /// Notes that an answer of `bytes` waits to be sent.
    pub(super) fn note_unsent(&self, bytes: usize) {
        self.unsent.fetch_add(bytes, Relaxed);
    }

    /// Notes that `bytes` of an answer are on their way.
    pub(super) fn note_sent(&self, bytes: usize) {
        self.sent.fetch_add(wide(bytes), Relaxed);
    }

    /// Notes that `bytes` of an answer wait no more.
    pub(super) fn note_released(&self, bytes: usize) {
        let before = self.unsent.fetch_sub(bytes, Relaxed);
        if before > MOST_UNSENT {
            self.room.notify_waiters();
        }
    }

    /// Tells whether the client has read enough of its answers for another to be made.
    pub(super) fn has_room(&self) -> bool {
        self.unsent.load(Relaxed) <= MOST_UNSENT
    }

    /// Waits until the client has read enough of its answers.
    pub(super) async fn room(&self) {
        loop {
            let room = self.room.notified();
            if self.has_room() {
                return;
            }
            room.await;
        }
    }

    /// The same for an answer that may be large, which also waits for those before it.
    pub(super) async fn turn(&self) -> Option<Turn<'_>> {
        let turn = self.turns.acquire().await.ok();
        self.room().await;
        turn
    }

    /// Tells whether bytes of a head have come that is not complete.
    pub(super) fn is_reading_head(&self) -> bool {
        self.head_since.load(Relaxed) > 0
    }

    fn is_abandoning(&self) -> bool {
        let allowed = ABANDONED.saturating_add(self.requests() / 2);
        self.abandoned.load(Relaxed) > allowed
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Busy {
    /// Notes that the request has its answer, which only has to be sent.
    pub(super) fn is_answered(&mut self) {
        self.is_answered = true;
    }

    /// Returns the connection of the request.
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if !self.is_answered {
            self.activity.abandoned.fetch_add(1, Relaxed);
        }
        if self.activity.busy.fetch_sub(1, Relaxed) == 1 {
            self.activity.idle_since.store(self.activity.now(), Relaxed);
            self.activity.open.enter(ConnectionState::Idle);
        }
    }
}

/// What presses from outside of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    /// Half of the memory for answers is filled with what nobody reads.
    pub(super) is_pressed: bool,
    /// Half of the places for connections are taken.
    pub(super) is_filling: bool,
    /// All of them are.
    pub(super) is_full: bool,
    /// The service ends.
    pub(super) is_draining: bool,
}

/// Looks after one connection's deadlines.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    activity: &'a Activity,
    limits: &'a ConnectionLimits,
    is_retired: bool,
    blocked: Stall,
    unread: Stall,
}

/// Something that should go on and does not.
#[derive(Debug, Clone, Copy)]
struct Stall {
    since: u64,
    mark: u64,
}

impl<'a> Watch<'a> {
    pub(super) fn new(activity: &'a Activity, limits: &'a ConnectionLimits) -> Self {
        let none = Stall { since: 0, mark: 0 };
        Self { activity, limits, is_retired: false, blocked: none, unread: none }
    }

    /// Judges the connection: what is wrong with it, or how long nothing can go wrong.
    pub(super) fn judge(&mut self, around: Around) -> Result<Duration, Verdict> {
        let (activity, limits, now) = (self.activity, self.limits, self.activity.now());
        if activity.is_abandoning() {
            return Err(Verdict::Abandoning);
        }
        let mut rest = u64::MAX;
        let head_since = activity.head_since.load(Relaxed);
        if activity.busy.load(Relaxed) == 0 {
            let idle = now.saturating_sub(activity.idle_since.load(Relaxed));
            let (allowed, verdict) = match activity.requests() {
                0 => (limits.header_timeout.min(limits.idle_timeout), Verdict::HeaderTimeout),
                _ => (limits.idle_timeout, Verdict::Idle),
            };
            // Others wait for the place, or the service for its end.
            let is_in_the_way = around.is_full || around.is_draining;
            let most = if is_in_the_way { UNDER_PRESSURE } else { Duration::MAX };
            let allowed = allowed.min(most);
            rest = rest.min(left(allowed, idle).ok_or(verdict)?);
            if head_since > 0 {
                let waited = now.saturating_sub(head_since - 1);
                rest = rest.min(
                    left(limits.header_timeout.min(most), waited).ok_or(Verdict::HeaderTimeout)?,
                );
            }
        }
        let patience = if around.is_pressed { UNDER_PRESSURE } else { limits.write_timeout };
        let patience = patience.min(limits.write_timeout);
        let (written, sent) = (activity.written.load(Relaxed), activity.sent.load(Relaxed));
        let is_blocked = activity.is_blocked.load(Relaxed);
        rest = rest.min(self.blocked.check(is_blocked, (now, written), (patience, limits))?);
        let is_unread = activity.unsent.load(Relaxed) > 0;
        rest = rest.min(self.unread.check(is_unread, (now, sent), (patience, limits))?);
        if !self.is_retired {
            let is_worn = activity.requests() >= limits.requests_per_connection;
            let young = left(limits.connection_age, now);
            self.is_retired = is_worn || young.is_none();
            rest = rest.min(young.ok_or(Verdict::Aged)?);
            if is_worn {
                return Err(Verdict::Worn);
            }
        }
        // What begins after this look cannot be over before the shortest of all limits.
        let shortest = limits.header_timeout.min(limits.idle_timeout).min(limits.write_timeout);
        let is_hurried = around.is_pressed || around.is_filling || around.is_draining;
        let shortest = if is_hurried { shortest.min(UNDER_PRESSURE) } else { shortest };
        Ok(Duration::from_millis(rest).min(shortest).max(LEAST_WAIT))
    }
}

/// Keeps a deadline that lies within the present millisecond from being asked for again at once.
const LEAST_WAIT: Duration = Duration::from_millis(1);
/// How often what may stall is looked at within the patience for it: a client is cut off at most this
/// part of it late.
const LOOKS_AT_A_STALL: u32 = 4;
/// How long a client that reads nothing is borne while answers fill half of their memory, and one
/// that asks nothing while there is no place for others or the service ends.
const UNDER_PRESSURE: Duration = Duration::from_secs(1);

/// Returns the milliseconds that are left of `allowed`; `None` when it is over.
fn left(allowed: Duration, used: u64) -> Option<u64> {
    let allowed = u64::try_from(allowed.as_millis()).unwrap_or(u64::MAX);
    allowed.checked_sub(used).filter(|rest| *rest > 0)
}

impl Stall {
    /// Returns how long it may go on like this.
    fn check(
        &mut self,
        is_stalled: bool,
        (now, mark): (u64, u64),
        (patience, limits): (Duration, &ConnectionLimits),
    ) -> Result<u64, Verdict> {
        let span = now.saturating_sub(self.since);
        let least = limits.least_bytes_per_second.saturating_mul(span) / 1000;
        let moved = mark.saturating_sub(self.mark);
        if !is_stalled || self.since == 0 || (moved > 0 && moved >= least) {
            *self = Self { since: now.max(1), mark };
            // It may begin right after this look, and counts from it only if the next one is soon.
            let soon = patience / LOOKS_AT_A_STALL;
            return Ok(u64::try_from(soon.as_millis()).unwrap_or(u64::MAX));
        }
        left(patience, span).ok_or(Verdict::WriteStalled)
    }
}
