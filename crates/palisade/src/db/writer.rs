//! The one thread that writes: it takes what has queued, as a [`Batches`] works it off.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::batch::Batches;
use super::connection::Location;
use super::error::DbError;
use super::watch::Watch;
use super::work::Request;

/// Most requests that share one commit: past this, more of them no longer make it cheaper.
const BATCH: usize = 256;

enum Message {
    Work(Box<dyn Request>),
    Close,
}

/// The way to the thread. When the last one is dropped, the thread finishes and ends.
pub(super) struct Writer {
    sender: mpsc::Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Opens the connection and starts the thread, which also keeps the `lock`.
    pub(super) fn start(
        (location, lock): (Location, Option<File>),
        queue: usize,
        shared: (Watch, Arc<AtomicU64>),
    ) -> Result<Self, DbError> {
        let connection = location.open_first_writer()?;
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let thread = std::thread::Builder::new()
            .name("db-writer".into())
            .spawn(move || {
                run(Batches::new((connection, location), shared), receiver);
                // After the connection, so that who serves next finds the file at rest.
                drop(lock);
            })
            .map_err(|error| DbError::open("its writer thread cannot be started", error))?;
        Ok(Self { sender, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a request, or refuses it at once.
    pub(super) fn submit(&self, request: Box<dyn Request>) -> Result<(), DbError> {
        self.sender.try_send(Message::Work(request)).map_err(|error| match error {
            TrySendError::Full(_) => DbError::Overloaded,
            TrySendError::Closed(_) => DbError::Closed,
        })
    }

    /// Waits until the thread has done what is queued, and ended. It takes on nothing new.
    pub(super) async fn close(&self) -> Result<(), DbError> {
        // An error says that the thread has ended before, which is what is wanted.
        drop(self.sender.send(Message::Close).await);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else {
            return Ok(());
        };
        match tokio::task::spawn_blocking(|| thread.join()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(DbError::Closed),
        }
    }
}

/// What runs on the thread.
fn run(mut batches: Batches, mut receiver: mpsc::Receiver<Message>) {
    let mut messages = Vec::with_capacity(BATCH);
    while receiver.blocking_recv_many(&mut messages, BATCH) > 0 {
        let mut batch = VecDeque::with_capacity(messages.len());
        for message in messages.drain(..) {
            match message {
                Message::Work(request) => batch.push_back(request),
                Message::Close => receiver.close(),
            }
        }
        batches.work_off(batch);
    }
    batches.end();
}
