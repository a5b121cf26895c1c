//! Values that must never be shown: [`Secret`] has no `Display`, no `Serialize`, no `==`.
//!
//! Reading one takes a call to [`Secret::expose`], so that a search for that word lists every
//! place where a secret leaves its wrapper. The memory is overwritten when the value is dropped.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

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
/// It cannot be shown:
///
/// ```compile_fail
/// println!("{}", palisade::secret::Secret::new(String::from("s3cr3t")));
/// ```
///
/// and not be compared in a way that takes longer the better the guess:
///
/// ```compile_fail
/// use palisade::secret::Secret;
/// Secret::new(String::from("a")) == Secret::new(String::from("a"));
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
