//! The connections, and the one loop that runs a transaction until it is kept or given up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc};
use tokio::task::LocalSet;

use super::super::error::DbError;
use super::super::tx::Tx;
use super::super::watch::Watch;
use super::super::work::{self, Outcome, Request};
use super::address::Address;
use super::fault::Remedy;
use super::session::{Mode, Session};

/// How often a transaction is tried that others are in the way of.
const TRIES: u32 = 10;
/// The longest pause before the second try; it doubles up to the longest of all.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
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
}

struct Job {
    request: Box<dyn Request>,
    mode: Mode,
    since: Instant,
}

/// What the connections have in common.
struct Shared {
    address: Address,
    queue: Mutex<mpsc::Receiver<Job>>,
    watch: Watch,
    generation: Arc<AtomicU64>,
    wait: Duration,
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
        let wait = settings.wait;
        let longest_transaction = LEAST_OF_A_TRANSACTION.max(settings.longest.saturating_mul(2));
        let shared = Shared { address, queue, watch, generation, wait, longest_transaction };
        let shared = Arc::new(shared);
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
        Ok(Self { sender: Lock::new(Some(sender)), threads: Lock::new(threads) })
    }

    /// Queues a transaction, or refuses it at once.
    pub(in super::super) fn write(&self, request: Box<dyn Request>) -> Result<(), DbError> {
        self.submit(request, Mode::Write)
    }

    /// Runs a transaction that only reads.
    pub(in super::super) async fn run_read<F, T, E>(&self, work: F) -> Outcome<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (request, answer) = work::request(work);
        self.submit(request, Mode::Read)?;
        answer.await.unwrap_or(Err(DbError::Closed))
    }

    fn submit(&self, request: Box<dyn Request>, mode: Mode) -> Result<(), DbError> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = sender.as_ref() else { return Err(DbError::Closed) };
        sender.try_send(Job { request, mode, since: Instant::now() }).map_err(|error| match error {
            TrySendError::Full(_) => DbError::Overloaded,
            TrySendError::Closed(_) => DbError::Closed,
        })
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
        let Some(Job { mut request, mode, since }) = next else { return };
        if request.is_abandoned() {
            request.answer(Err(DbError::Closed));
        } else if since.elapsed() > shared.wait {
            request.answer(Err(DbError::Overloaded));
        } else {
            let done = shared.run(&mut session, request.as_mut(), mode).await;
            request.answer(done);
        }
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
    /// Runs a transaction until it is kept or given up.
    async fn run(
        &self,
        session: &mut Option<Session>,
        request: &mut dyn Request,
        mode: Mode,
    ) -> Result<(), DbError> {
        let mut last = DbError::Contended;
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(pause(attempt)).await;
            }
            let present = session.take().filter(|session| !session.is_closed());
            let usable = match present {
                Some(session) => session,
                None => Session::connect(&self.address).await?,
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
            let is_sound = session.roll_back().await.is_ok();
            return (Tried::Ended(Ok(())), is_sound);
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
            Ok(()) => (Tried::Ended(Ok(())), true),
            Err(error) => session.judge_commit(error).map_or_else(
                |unknown| (Tried::Ended(Err(unknown)), false),
                |contended| (Tried::Again(contended, Remedy::Again), true),
            ),
        }
    }

    async fn undo(&self, session: &Session, remedy: Remedy) -> (Tried, bool) {
        let is_sound = session.roll_back().await.is_ok() && remedy != Remedy::Reconnect;
        let again = |error| (Tried::Again(error, remedy), is_sound);
        match remedy {
            // The work was told, and has answered.
            Remedy::None => (Tried::Ended(Ok(())), is_sound),
            Remedy::Again => again(DbError::Contended),
            Remedy::Reconnect => again(DbError::unreachable(std::io::Error::from(
                std::io::ErrorKind::ConnectionReset,
            ))),
            Remedy::LearnKeys => match session.learn_keys().await {
                Ok(()) => again(DbError::Contended),
                Err(error) => (Tried::Ended(Err(error)), false),
            },
        }
    }
}

/// Full jitter: anything up to a bound that doubles.
fn pause(attempt: u32) -> Duration {
    let most = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST_PAUSE);
    let share = u32::from(crate::crypto::random_bytes::<1>()[0]);
    most.saturating_mul(share) / 255
}
