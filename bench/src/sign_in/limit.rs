//! What hashing alone would allow: the library's workers with nothing around them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use palisade::crypto::{GivenPassword, HashSettings, Hasher, Password, Verdict};
use tokio::task::JoinSet;

use super::people::PASSWORD;

/// Returns the passwords that so many workers compare in a second, each kept busy all the time.
///
/// # Errors
/// When a password is not compared.
pub(super) async fn hashes_per_second(workers: usize, span: Duration) -> anyhow::Result<f64> {
    let hasher = Arc::new(Hasher::start(HashSettings { workers, ..HashSettings::default() })?);
    let stored = hasher.hash(&Password::new(PASSWORD)?).await?;
    let end = Instant::now() + span;
    let mut busy = JoinSet::new();
    // Two for each worker: the next one waits when it is done.
    for _ in 0..workers * 2 {
        let (hasher, stored) = (Arc::clone(&hasher), stored.clone());
        busy.spawn(async move {
            let given = GivenPassword::new(PASSWORD)?;
            let mut count = 0_u32;
            while Instant::now() < end {
                let verdict = hasher.verify(&given, Some(stored.clone())).await?;
                ensure!(verdict == Verdict::Right, "the right password was wrong");
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let begun = end - span;
    let mut count = 0;
    while let Some(counted) = busy.join_next().await {
        count += counted??;
    }
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    tokio::task::spawn_blocking(move || hasher.shutdown()).await?;
    Ok(rate)
}
