//! The connections, and the one loop that runs a transaction until it is kept or given up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::LocalSet;

use super::super::error::DbError;
use super::super::tx::Tx;
use super::super::watch::Watch;
use super::super::work::{self, Outcome, Request};
use super::address::Address;
use super::fault::{Commit, Remedy, is_for_want_of_connections};
use super::session::{Mode, Session};

/// How often a transaction is tried that others are in the way of.
const TRIES: u32 = 10;
/// The longest pause before the second try; it doubles up to the longest of all.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// How long a connection that the server did not grant leaves the work to the others.
const REFUSED: Duration = Duration::from_secs(1);
/// How long one transaction may take at least: a few statements that each take all their time.
const LEAST_OF_A_TRANSACTION: Duration = Duration::from_secs(60);

/// How many connections there are, and how long work waits for one.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct PoolSettings {
    pub(in super::super) connections: usize,
    pub(in super::super) queue: usize,
    pub(in super::super) wait: Duration,
    /// How long one statement may take.
    pub(in super::super) longest: Duration,
}

/// The way to the connections. They end when the last of it is dropped.
pub(in super::super) struct Pool {
    sender: Lock<Option<mpsc::Sender<Job>>>,
    threads: Lock<Vec<JoinHandle<()>>>,
    wait: Duration,
}

struct Job {
    request: Box<dyn Request>,
    mode: Mode,
    since: Instant,
    /// Set once, by the connection that takes it or by who does not wait for one any longer.
    is_taken: Arc<AtomicBool>,
}

/// What the connections have in common.
struct Shared {
    address: Address,
    queue: Mutex<mpsc::Receiver<Job>>,
    /// The way back to the queue, which does not keep it open.
    back: mpsc::WeakSender<Job>,
    watch: Watch,
    generation: Arc<AtomicU64>,
    /// Each connection that is there has a share in it.
    presence: Arc<()>,
    wait: Duration,
    longest: Duration,
    longest_transaction: Duration,
}

impl Pool {
    /// Starts the threads that drive the connections, which are made when they are needed.
    pub(in super::super) fn start(
        address: Address,
        settings: PoolSettings,
        (watch, generation): (Watch, Arc<AtomicU64>),
    ) -> Result<Self, DbError> {
        let (sender, receiver) = mpsc::channel(settings.queue.max(1));
        let queue = Mutex::new(receiver);
        let PoolSettings { wait, longest, .. } = settings;
        let shared = Arc::new(Shared {
            address,
            queue,
            back: sender.downgrade(),
            watch,
            generation,
            presence: Arc::new(()),
            wait,
            longest,
            longest_transaction: LEAST_OF_A_TRANSACTION.max(longest.saturating_mul(2)),
        });
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = settings.connections.clamp(1, cores);
        let threads = (0..count).map(|number| {
            let shared = Arc::clone(&shared);
            let lanes = settings.connections.saturating_sub(number).div_ceil(count).max(1);
            let thread = std::thread::Builder::new().name(format!("db-{number}"));
            thread.spawn(move || drive(shared, lanes))
        });
        let threads: Result<_, _> = threads.collect();
        let threads = threads.map_err(|error| DbError::open("its threads cannot start", error))?;
        Ok(Self { sender: Lock::new(Some(sender)), threads: Lock::new(threads), wait })
    }

    /// Runs a transaction and returns its result once that is kept.
    pub(in super::super) async fn run_write<F, T, E>(&self, work: F) -> Outcome<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (request, answer) = work::request(work);
        self.run(request, Mode::Write, answer).await
    }

    /// Runs a transaction that only reads.
    pub(in super::super) async fn run_read<F, T, E>(&self, work: F) -> Outcome<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (request, answer) = work::request(work);
        self.run(request, Mode::Read, answer).await
    }

    /// Waits for a connection as long as work may, and then until it has ended.
    async fn run<T, E>(
        &self,
        request: Box<dyn Request>,
        mode: Mode,
        mut answer: oneshot::Receiver<Outcome<T, E>>,
    ) -> Outcome<T, E> {
        let is_taken = self.submit(request, mode)?;
        if let Ok(answered) = tokio::time::timeout(self.wait, &mut answer).await {
            return answered.unwrap_or(Err(DbError::Closed));
        }
        // Every connection may be waiting for a server that says nothing.
        if !is_taken.swap(true, Ordering::SeqCst) {
            return Err(DbError::Overloaded);
        }
        answer.await.unwrap_or(Err(DbError::Closed))
    }

    fn submit(&self, request: Box<dyn Request>, mode: Mode) -> Result<Arc<AtomicBool>, DbError> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = sender.as_ref() else { return Err(DbError::Closed) };
        let is_taken = Arc::new(AtomicBool::new(false));
        let job = Job { request, mode, since: Instant::now(), is_taken: Arc::clone(&is_taken) };
        sender.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => DbError::Overloaded,
            TrySendError::Closed(_) => DbError::Closed,
        })?;
        Ok(is_taken)
    }

    /// Takes on nothing new, and waits until what is queued is done.
    pub(in super::super) async fn close(&self) -> Result<(), DbError> {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = tokio::task::spawn_blocking(|| {
            threads.into_iter().map(JoinHandle::join).all(|ended| ended.is_ok())
        });
        if ended.await.unwrap_or(false) { Ok(()) } else { Err(DbError::Closed) }
    }
}

/// Runs connections on this thread until there is nothing more to do.
///
/// A transaction stays on its thread: what it borrows need not be fit to move to another.
fn drive(shared: Arc<Shared>, lanes: usize) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "a database thread cannot start"),
    };
    let local = LocalSet::new();
    for _ in 0..lanes {
        local.spawn_local(lane(Arc::clone(&shared)));
    }
    runtime.block_on(local);
}

/// One connection, and what it does one after the other.
async fn lane(shared: Arc<Shared>) {
    let mut session = None;
    loop {
        let next = shared.queue.lock().await.recv().await;
        let Some(mut job) = next else { break };
        if job.is_taken.swap(true, Ordering::SeqCst) || job.since.elapsed() > shared.wait {
            job.request.answer(Err(DbError::Overloaded));
        } else if job.request.is_abandoned() {
            job.request.answer(Err(DbError::Closed));
        } else {
            let done = shared.run(&mut session, job.request.as_mut(), job.mode).await;
            let is_elsewhere = done.as_ref().is_err_and(|error| shared.is_for_others(error));
            let Some((request, done)) = shared.answerable(job, done, is_elsewhere) else {
                // Others have what the server grants; this one lets them work for a while.
                tokio::time::sleep(REFUSED).await;
                continue;
            };
            request.answer(done);
        }
    }
    if let Some(session) = session {
        session.close().await;
    }
}

/// What became of one try.
enum Tried {
    /// It is kept, or nothing of it is.
    Ended(Result<(), DbError>),
    /// It may work next time.
    Again(DbError, Remedy),
}

impl Shared {
    /// Tells whether the server grants no further connection while others of this pool have one.
    fn is_for_others(&self, error: &DbError) -> bool {
        is_for_want_of_connections(error) && Arc::strong_count(&self.presence) > 1
    }

    /// Returns what is to be answered, unless the work went back to the queue for others.
    fn answerable(
        &self,
        job: Job,
        done: Result<(), DbError>,
        is_for_others: bool,
    ) -> Option<(Box<dyn Request>, Result<(), DbError>)> {
        let queue = if is_for_others { self.back.upgrade() } else { None };
        let Some(queue) = queue else { return Some((job.request, done)) };
        job.is_taken.store(false, Ordering::SeqCst);
        let handed_on = queue.try_send(job);
        handed_on.err().map(|error| (error.into_inner().request, done))
    }

    /// Runs a transaction until it is kept or given up.
    async fn run(
        &self,
        session: &mut Option<Session>,
        request: &mut dyn Request,
        mode: Mode,
    ) -> Result<(), DbError> {
        let begun = Instant::now();
        let mut last = DbError::Contended;
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(pause(attempt)).await;
            }
            if begun.elapsed() > self.longest_transaction {
                break;
            }
            let present = session.take().filter(|session| !session.is_closed());
            let usable = match present {
                Some(session) => session,
                None => {
                    let presence = Arc::clone(&self.presence);
                    Session::connect(&self.address, self.longest, presence).await?
                }
            };
            let (tried, is_sound) = self.try_once(&usable, request, mode).await;
            if is_sound {
                *session = Some(usable);
            }
            match tried {
                Tried::Ended(result) => return result,
                Tried::Again(error, remedy) => {
                    tracing::debug!(attempt, ?remedy, "a transaction is tried again");
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Runs the transaction once; tells also whether the connection can be used again.
    async fn try_once(
        &self,
        session: &Session,
        request: &mut dyn Request,
        mode: Mode,
    ) -> (Tried, bool) {
        session.arm(mode);
        let mut tx = Tx::remote(session, &self.watch);
        let run = request.run_remotely(&mut tx);
        let run = tokio::time::timeout(self.longest_transaction, run).await;
        let is_outdating = tx.is_outdating();
        let keep = match run {
            Ok(keep) => keep && mode == Mode::Write,
            // Whatever it waits for: the connection goes, and with it the transaction.
            Err(_) => return (Tried::Ended(Err(DbError::Stalled)), false),
        };
        if let Some(remedy) = session.failure() {
            return self.undo(session, remedy).await;
        }
        if !keep {
            return (Tried::Ended(Ok(())), session.roll_back().await);
        }
        let begun = Instant::now();
        let committed = session.commit().await;
        self.watch.committed();
        self.watch.note("COMMIT", begun, &Ok(()));
        // Even if it failed: nobody knows whether a failed commit is on the disk.
        if is_outdating {
            self.generation.fetch_add(1, Ordering::SeqCst);
        }
        match committed {
            Commit::Done => (Tried::Ended(Ok(())), true),
            Commit::Undone(remedy) => (again(remedy), remedy == Remedy::Again),
            Commit::Failed(error) => (Tried::Ended(Err(error)), false),
        }
    }

    async fn undo(&self, session: &Session, remedy: Remedy) -> (Tried, bool) {
        // A server that does not answer is not asked for more.
        let is_lost = matches!(remedy, Remedy::Reconnect | Remedy::Forsake);
        let is_sound = !is_lost && session.roll_back().await;
        match remedy {
            // The work was told, and has answered.
            Remedy::None | Remedy::Forsake => (Tried::Ended(Ok(())), is_sound),
            Remedy::Again | Remedy::Reconnect => (again(remedy), is_sound),
            Remedy::LearnKeys => match session.learn_keys().await {
                Ok(()) => (again(remedy), is_sound),
                Err(error) => (Tried::Ended(Err(error)), false),
            },
        }
    }
}

/// Says that another try may work, and what to say if it is the last one.
fn again(remedy: Remedy) -> Tried {
    let lost = || DbError::unreachable(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    let error = if remedy == Remedy::Reconnect { lost() } else { DbError::Contended };
    Tried::Again(error, remedy)
}

/// Full jitter: anything up to a bound that doubles.
fn pause(attempt: u32) -> Duration {
    let most = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST_PAUSE);
    let share = u32::from(crate::crypto::random_bytes::<1>()[0]);
    most.saturating_mul(share) / 255
}
