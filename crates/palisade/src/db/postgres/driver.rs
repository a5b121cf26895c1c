//! The task behind a connection: it reads and writes the socket, and never outlives its use.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;

/// The task that reads and writes a connection; it ends with this, whatever it waits for.
pub(super) struct Driver(JoinHandle<()>);

impl Driver {
    /// Starts to drive `connection` on this thread.
    pub(super) fn of(
        connection: impl Future<Output = Result<(), tokio_postgres::Error>> + 'static,
    ) -> Self {
        // Who uses the connection hears of its end by every answer that is missing.
        Self(tokio::task::spawn_local(async { drop(connection.await) }))
    }

    /// Waits until everything was said, for some time.
    pub(super) async fn end_within(mut self, most: Duration) {
        drop(tokio::time::timeout(most, &mut self.0).await);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
