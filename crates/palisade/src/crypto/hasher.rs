//! The workers that hash passwords: as many as there are cores, each with its own memory.
//!
//! Hashing is meant to be dear, so a flood of sign-ins is a flood of work. The rules:
//!
//! 1. What waits is bounded. When the queue is full the answer is [`HashError::Overloaded`], at
//!    once, and memory use stays at one block for each worker.
//! 2. Work that nobody waits for any more, or that waited too long, is dropped before it starts.
//! 3. On Linux the workers run at the lowest priority (nice 19), so that a flood of sign-ins
//!    delays sign-ins and nothing else. When other programs fill every core for long, a sign-in
//!    may therefore take seconds; it ends with the caller's own deadline.
//! 4. A pepper covers every hash, if the hasher was given one: [`Hasher::with_peppers`].
//! 5. An account that does not exist costs the same as a wrong password: see [`Hasher::verify`].

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use argon2::Block;
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;

use super::hashing_watch::{Shed, Waiting, Watch, timed};
use super::phc::{Cost, PasswordHash};
use super::{GivenPassword, Password, Peppers, random_bytes};
use crate::secret::Secret;
use crate::telemetry::RequestScope;
use crate::telemetry::metrics::{MetricError, Metrics};

const SALT: usize = 16;
const OUTPUT: usize = 32;

/// How long a worker without work keeps its memory for the next sign-in: long enough for a busy
/// service, short enough for an idle one to be small.
const KEEPS_MEMORY: Duration = Duration::from_secs(1);

/// Blocks to reserve at least, 33 MiB. From there on glibc always maps memory apart and gives it
/// back when it is freed; what is reserved and never touched costs nothing.
const LEAST_RESERVED_BLOCKS: usize = 33 * 1024;

/// What hashing costs, and how much of it may go on at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashSettings {
    /// Memory of one hash in KiB; 19456 (19 MiB) unless set, at most 262144.
    pub memory_kib: u32,
    /// Passes over that memory; 2 unless set, at most 10.
    pub iterations: u32,
    /// Lanes of that memory; 1 unless set, at most 4. They are computed one after the other.
    pub parallelism: u32,
    /// Threads; as many as there are cores unless set, at most 64.
    pub workers: usize,
    /// Passwords that may wait for a worker; 64 unless set, at most 4096.
    pub queue: usize,
    /// How long one may wait before it is dropped; 5 seconds unless set.
    pub longest_wait: Duration,
}

crate::settings! {
    /// What hashing a password costs (argon2id, RFC 9106).
    pub struct PasswordsSection in "passwords" {
        /// Memory of one hash in KiB. 19456 with 2 iterations is the least that OWASP ASVS 5.0,
        /// appendix C, accepts; weaker settings do not start.
        pub memory_kib: u32 = 19_456, in 12_288..=262_144;
        /// Passes over the memory.
        pub iterations: u32 = 2, in 1..=10;
        /// Lanes of the memory.
        pub parallelism: u32 = 1, in 1..=4;
        /// Hashes computed at a time; 0 is as many as there are cores, if a quarter of the memory that
        /// there is, or that a container has, holds their memory.
        pub workers: usize = 0, in 0..=64;
        /// Sign-ins that may wait for a worker; a further one is answered 503 at once.
        pub queue: usize = 64, in 1..=4096;
    }
}

impl From<&PasswordsSection> for HashSettings {
    fn from(section: &PasswordsSection) -> Self {
        let default = Self::default();
        Self {
            memory_kib: section.memory_kib,
            iterations: section.iterations,
            parallelism: section.parallelism,
            workers: if section.workers == 0 { default.workers } else { section.workers },
            queue: section.queue,
            longest_wait: default.longest_wait,
        }
    }
}

impl HashSettings {
    /// Refuses what [`Hasher::start`] would refuse, before anything else is started.
    ///
    /// # Errors
    ///
    /// [`WeakParameters`] for settings that protect too little or cost too much.
    pub fn check(&self) -> Result<(), WeakParameters> {
        let cost = self.cost();
        if is_too_cheap(cost) {
            return Err(WeakParameters::TooCheap);
        }
        if !cost.is_allowed() {
            return Err(WeakParameters::TooDear);
        }
        if !(1..=MOST_WORKERS).contains(&self.workers) || !(1..=MOST_WAITING).contains(&self.queue)
        {
            return Err(WeakParameters::OutOfRange);
        }
        Ok(())
    }

    /// Has no more workers than fit into a quarter of `memory` bytes, and at least one: a machine or a
    /// container that is small has other things to remember.
    #[must_use]
    pub fn within(self, memory: Option<u64>) -> Self {
        let one = u64::from(self.memory_kib).saturating_mul(1024).max(1);
        let fit = memory.map_or(u64::MAX, |memory| memory / 4 / one);
        let fit = usize::try_from(fit).unwrap_or(usize::MAX).max(1);
        Self { workers: self.workers.min(fit), ..self }
    }

    fn cost(&self) -> Cost {
        let Self { memory_kib, iterations, parallelism, .. } = *self;
        Cost { memory_kib, iterations, parallelism }
    }
}

impl Default for HashSettings {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            workers: std::thread::available_parallelism().map_or(1, Into::into).min(MOST_WORKERS),
            queue: 64,
            longest_wait: Duration::from_secs(5),
        }
    }
}

const MOST_WORKERS: usize = 64;
const MOST_WAITING: usize = 4096;

/// Why a [`Hasher`] does not start.
#[derive(Debug, thiserror::Error)]
pub enum WeakParameters {
    /// A stolen hash would be too cheap to try passwords against (OWASP ASVS 5.0, appendix C).
    #[error(
        "argon2id needs at least 19456 KiB with 2 passes, 12288 KiB with 3 or 47104 KiB with 1"
    )]
    TooCheap,
    /// A sign-in would cost more than a service can afford.
    #[error("argon2id is limited to 262144 KiB, 10 passes and 4 lanes")]
    TooDear,
    /// The workers or the queue are out of range.
    #[error("password hashing needs 1 to 64 workers and a queue of 1 to 4096")]
    OutOfRange,
    /// The operating system refused a thread.
    #[error("no thread for hashing passwords")]
    NoThread(#[from] std::io::Error),
}

/// Why a password was not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many wait already, or this one waited too long: 503, try again later.
    #[error("too many passwords are waiting to be hashed")]
    Overloaded,
    /// The worker failed or is shut down.
    #[error("the password could not be hashed")]
    Failed,
}

/// What comes of comparing a password with a stored hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the password.
    Right,
    /// It is the password, and its hash was made with other parameters than today's: store this.
    RightButOutdated(PasswordHash),
    /// It is not, or there is none.
    Wrong,
}

/// Hashes and verifies passwords on threads of its own; shared behind an `Arc`.
///
/// ```
/// use palisade::crypto::{GivenPassword, HashSettings, Hasher, Password, Verdict};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let hasher = Hasher::start(HashSettings::default())?;
/// let hash = hasher.hash(&Password::new("correct horse battery staple")?).await?;
///
/// let given = GivenPassword::new("correct horse battery staple")?;
/// assert_eq!(hasher.verify(&given, Some(hash)).await?, Verdict::Right);
/// assert_eq!(hasher.verify(&given, None).await?, Verdict::Wrong);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Hasher {
    cost: Cost,
    longest_wait: Duration,
    pool: Arc<Pool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    peppers: Arc<Peppers>,
    watch: Option<Arc<Watch>>,
    /// Stands in for the hash of an account that has none; no password leads to its output.
    decoy: PasswordHash,
}

impl Hasher {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// [`WeakParameters`] for settings that protect too little or cost too much.
    pub fn start(settings: HashSettings) -> Result<Self, WeakParameters> {
        settings.check()?;
        let (cost, HashSettings { workers, queue, longest_wait, .. }) = (settings.cost(), settings);
        let salt = random_bytes::<SALT>().to_vec();
        let output = random_bytes::<OUTPUT>().to_vec();
        let decoy = PasswordHash { cost, key: None, salt, output };
        let pool = Arc::new(Pool::with_room_for(queue));
        let (threads, peppers) = (Mutex::default(), Arc::default());
        let hasher = Self { cost, longest_wait, pool, threads, peppers, watch: None, decoy };
        for _ in 0..workers {
            // If one thread is refused, dropping `hasher` stops those before it.
            let pool = Arc::clone(&hasher.pool);
            let thread = std::thread::Builder::new().name("password-hasher".into());
            unpoisoned(hasher.threads.lock()).push(thread.spawn(move || pool.work())?);
        }
        Ok(hasher)
    }

    /// Has a secret cover every new hash that is not where the hashes are. Hashes without it, and those
    /// of the key before the present one, are still verified, and outdated.
    #[must_use]
    pub fn with_peppers(mut self, peppers: Peppers) -> Self {
        self.peppers = Arc::new(peppers);
        self
    }

    /// Counts in `metrics` what waits, how long, what a hash takes, and what is turned away.
    ///
    /// # Errors
    ///
    /// `metrics` counts for a hasher already.
    pub fn watched_by(mut self, metrics: &Metrics) -> Result<Self, MetricError> {
        self.watch = Some(Arc::new(Watch::new(metrics)?));
        Ok(self)
    }

    /// Returns what to store of `password`, with a new salt.
    ///
    /// # Errors
    ///
    /// [`HashError`]; nothing was stored.
    pub async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        let (text, cost, peppers) = (password.0.clone(), self.cost, Arc::clone(&self.peppers));
        self.submit(move |memory| new_hash(&text, (cost, &peppers), memory)).await
    }

    /// Compares `given` with the hash of an account, in constant time.
    ///
    /// Pass `None` where there is nothing to compare with (no such account, no password set, the
    /// account disabled or locked): the answer is [`Verdict::Wrong`] after the same queue and the
    /// same work, so that its time tells nothing. Do call it in those cases.
    ///
    /// # Errors
    ///
    /// [`HashError`]; it says nothing about the password.
    pub async fn verify(
        &self,
        given: &GivenPassword,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HashError> {
        let (text, cost, peppers) = (given.0.clone(), self.cost, Arc::clone(&self.peppers));
        let mut stored = stored.unwrap_or_else(|| self.decoy.clone());
        let expected = peppers.uncovered(&stored).unwrap_or_else(|why| {
            // Nobody can compare with it any more; this costs as much.
            tracing::error!(error = %why, "a stored password hash cannot be compared with");
            stored = self.decoy.clone();
            Secret::new(stored.output.clone())
        });
        self.submit(move |memory| {
            let output =
                compute(&text, stored.cost, &stored.salt, memory, expected.expose().len())?;
            if !bool::from(output.ct_eq(expected.expose())) {
                return Ok(Verdict::Wrong);
            }
            let is_current = stored.cost == cost
                && stored.key == peppers.name()
                && stored.salt.len() == SALT
                && expected.expose().len() == OUTPUT;
            match is_current {
                true => Ok(Verdict::Right),
                false => new_hash(&text, (cost, &peppers), memory).map(Verdict::RightButOutdated),
            }
        })
        .await
    }

    /// Drops what waits and joins the workers. It blocks for one hash at most, so call it where
    /// that is allowed; dropping the `Hasher` does the same.
    pub fn shutdown(&self) {
        self.pool.stop();
        let threads = std::mem::take(&mut *unpoisoned(self.threads.lock()));
        // A worker that panicked has nothing left to tell: its callers got `Failed`.
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }

    /// Has a worker do `work` and waits for it.
    async fn submit<T, F>(&self, work: F) -> Result<T, HashError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Memory) -> Result<T, HashError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + self.longest_wait;
        let scope = RequestScope::current();
        let waiting = self.watch.as_ref().map(|watch| watch.waits());
        let watch = self.watch.clone();
        let offered = self.pool.offer(Box::new(move |memory| {
            let _entered = scope.enter();
            waiting.into_iter().for_each(Waiting::ends);
            if reply.is_closed() {
                return;
            }
            let outcome = match Instant::now() > deadline {
                true => {
                    watch.iter().for_each(|watch| watch.sheds(Shed::Late));
                    Err(HashError::Overloaded)
                }
                false => timed(watch.as_deref(), || work(memory)),
            };
            // A caller that left in the meantime wants no answer.
            drop(reply.send(outcome));
        }));
        if offered == Err(HashError::Overloaded) {
            self.watch.iter().for_each(|watch| watch.sheds(Shed::Full));
        }
        offered?;
        answer.await.unwrap_or(Err(HashError::Failed))
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Hasher").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// Returns whether `cost` is below every line of the table in appendix C of OWASP ASVS 5.0.
fn is_too_cheap(cost: Cost) -> bool {
    let least = match cost.iterations {
        0 => u32::MAX,
        1 => 47_104,
        2 => 19_456,
        _ => 12_288,
    };
    cost.memory_kib < least || cost.parallelism == 0
}

fn new_hash(
    text: &Secret<String>,
    (cost, peppers): (Cost, &Peppers),
    memory: &mut Memory,
) -> Result<PasswordHash, HashError> {
    let salt = random_bytes::<SALT>().to_vec();
    let output = compute(text, cost, &salt, memory, OUTPUT)?;
    peppers.covered(PasswordHash { cost, key: None, salt, output }).map_err(|_| HashError::Failed)
}

fn compute(
    text: &Secret<String>,
    cost: Cost,
    salt: &[u8],
    memory: &mut Memory,
    length: usize,
) -> Result<Vec<u8>, HashError> {
    let argon2 = cost.argon2(length).map_err(|_| HashError::Failed)?;
    let blocks = memory.blocks(argon2.params().block_count())?;
    let mut output = vec![0; length];
    argon2
        .hash_password_into_with_memory(text.expose().as_bytes(), salt, &mut output, blocks)
        .map_err(|_| HashError::Failed)?;
    Ok(output)
}

/// The memory of one worker, kept from one password to the next.
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    /// Returns `count` blocks, the old ones unless those are too few or far too many: one dear
    /// hash from elsewhere does not make the worker large for good.
    fn blocks(&mut self, count: usize) -> Result<&mut [Block], HashError> {
        if self.0.len() < count || self.0.len() / 4 > count {
            self.0 = Vec::new();
            let reserved = count.max(LEAST_RESERVED_BLOCKS);
            self.0.try_reserve_exact(reserved).map_err(|_| HashError::Overloaded)?;
            self.0.resize(count, Block::new());
        }
        self.0.get_mut(..count).ok_or(HashError::Failed)
    }
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// The queue, and what wakes the workers.
struct Pool {
    queue: Mutex<Queue>,
    wake: Condvar,
}

struct Queue {
    jobs: VecDeque<Job>,
    room: usize,
    is_stopped: bool,
}

impl Pool {
    fn with_room_for(room: usize) -> Self {
        let queue = Queue { jobs: VecDeque::with_capacity(room), room, is_stopped: false };
        Self { queue: Mutex::new(queue), wake: Condvar::new() }
    }

    fn offer(&self, job: Job) -> Result<(), HashError> {
        let mut queue = unpoisoned(self.queue.lock());
        if queue.is_stopped {
            return Err(HashError::Failed);
        }
        if queue.jobs.len() >= queue.room {
            return Err(HashError::Overloaded);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }

    fn stop(&self) {
        let mut queue = unpoisoned(self.queue.lock());
        queue.is_stopped = true;
        let unstarted = std::mem::take(&mut queue.jobs);
        drop(queue);
        drop(unstarted);
        self.wake.notify_all();
    }

    /// Works until the pool is stopped: the body of every worker thread.
    fn work(&self) {
        lower_priority();
        let mut memory = Memory::default();
        while let Some(job) = self.next(&mut memory) {
            // The job answers its caller, or drops the reply on a panic, which answers too.
            if catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
                memory = Memory::default();
            }
        }
    }

    /// Waits for a job, giving the memory back if none comes for a while; `None` once stopped.
    fn next(&self, memory: &mut Memory) -> Option<Job> {
        let mut queue = unpoisoned(self.queue.lock());
        loop {
            if queue.is_stopped {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if memory.0.capacity() == 0 {
                queue = unpoisoned(self.wake.wait(queue));
                continue;
            }
            let (again, waited) = unpoisoned(self.wake.wait_timeout(queue, KEEPS_MEMORY));
            queue = again;
            if waited.timed_out() && queue.jobs.is_empty() {
                drop(queue);
                *memory = Memory::default();
                queue = unpoisoned(self.queue.lock());
            }
        }
    }
}

/// Lets every thread that answers requests go first. The limits of a container may forbid it,
/// and passwords are hashed all the same.
fn lower_priority() {
    // Only Linux takes this for the calling thread alone.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::debug!(%error, "a password worker keeps its priority");
    }
}

/// Goes on with a lock whose holder panicked: every change under these locks is one step.
fn unpoisoned<T>(lock: Result<T, PoisonError<T>>) -> T {
    lock.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "hasher_tests.rs"]
mod tests;
