//! Values that must never be shown: [`Secret`] has no `Display`, no `Serialize`, no `==`.
//!
//! Reading one takes a call to [`Secret::expose`], so that a search for that word lists every
//! place where a secret leaves its wrapper. The memory is overwritten when the value is dropped.
//!
//! What left its wrapper all the same, through a dependency that knows no better, is caught on
//! its way out: [`register`] makes a secret known to this process, and [`redacted`] replaces it
//! wherever it stands in a text. The log goes through that, line by line.

mod escape;
mod finder;
mod forms;
mod registry;

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

pub(crate) use escape::escape;
pub use finder::{LEAST_BYTES, MOST_SECRETS, Unregistered};
pub(crate) use registry::{holds_a_secret, is_legible, redacted_bytes};
pub use registry::{legible, redacted, register, register_prefix};

/// Keeps a value out of logs, errors and answers, and wipes it when dropped.
///
/// ```
/// use palisade::secret::Secret;
///
/// let key = Secret::new(String::from("s3cr3t"));
/// assert_eq!(format!("{key:?}"), "[redacted]");
/// assert_eq!(key.expose(), "s3cr3t");
/// ```
///
/// # What does not compile
///
/// Each example that compiles is followed by the same lines without [`expose`](Self::expose).
///
/// Printing:
///
/// ```
/// let key = palisade::secret::Secret::new(String::from("s3cr3t"));
/// println!("{}", key.expose());
/// ```
/// ```compile_fail,E0277
/// let key = palisade::secret::Secret::new(String::from("s3cr3t"));
/// println!("{}", key);
/// ```
///
/// Serialising:
///
/// ```
/// let key = palisade::secret::Secret::new(String::from("s3cr3t"));
/// serde_json::to_string(key.expose()).unwrap();
/// ```
/// ```compile_fail,E0277
/// let key = palisade::secret::Secret::new(String::from("s3cr3t"));
/// serde_json::to_string(&key).unwrap();
/// ```
///
/// Logging, as text and as a field of its own (with `?` it compiles, and logs `[redacted]`):
///
/// ```
/// let key = palisade::secret::Secret::new(String::from("s3cr3t"));
/// tracing::info!(key = %key.expose(), "asked");
/// ```
/// ```compile_fail,E0277
/// let key = palisade::secret::Secret::new(String::from("s3cr3t"));
/// tracing::info!(key = %key, "asked");
/// ```
/// ```
/// let key = palisade::secret::Secret::new(String::from("s3cr3t"));
/// tracing::info!(key = key.expose(), "asked");
/// ```
/// ```compile_fail,E0277
/// let key = palisade::secret::Secret::new(String::from("s3cr3t"));
/// tracing::info!(key = key, "asked");
/// ```
///
/// Comparing in a way that takes longer the better the guess ([`matches`](Self::matches) does
/// not):
///
/// ```
/// let key = palisade::secret::Secret::new(String::from("s3cr3t"));
/// assert!(key.expose() == key.expose());
/// ```
/// ```compile_fail,E0369
/// let key = palisade::secret::Secret::new(String::from("s3cr3t"));
/// assert!(key == key);
/// ```
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps `value`; copies made before this call are not wiped.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value itself: the caller now answers for where it goes.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Compares with `guess` in a time that depends on the lengths only.
    pub fn matches(&self, guess: &[u8]) -> bool {
        self.0.as_ref().ct_eq(guess).into()
    }
}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}
