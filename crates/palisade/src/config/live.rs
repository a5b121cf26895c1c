//! Settings that can change while the service runs: [`Live`].
//!
//! A section is one of two kinds, and its type says which. A section that stands in the settings
//! as it is stays what it was at the start: there is no way to change it. One that was declared
//! `live struct` may stand there as `Live<Section>`: reading the settings again replaces it, and
//! tells whoever follows it. Nothing else can replace it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{Reader, Section, SectionOutline};

/// A section whose every key can change while the service runs; declared by
/// `pub live struct ... in ...` with [`settings!`](crate::settings).
///
/// Declaring it is a promise of the code that uses the section: it asks [`Live::now`] each time, or
/// follows with [`Live::on_change`].
pub trait LiveSection: Section + Clone + PartialEq + fmt::Debug + Send + Sync + 'static {}

/// The section in force; clones are the same one.
///
/// ```
/// use palisade::config::{Live, Rate, Throttle};
///
/// palisade::settings! {
///     /// How often somebody may ask.
///     pub live struct Rates in "rate" {
///         /// Requests of one address.
///         pub per_ip: Throttle = Throttle::At(Rate::per_second(500));
///     }
/// }
///
/// palisade::settings_of! {
///     /// Everything that can be set.
///     pub struct Settings in "ORDERDESK" {
///         /// How often somebody may ask.
///         pub rate: Live<Rates>,
///     }
/// }
///
/// let settings = Settings::default();
/// settings.rate.on_change(|rates| println!("{}", rates.per_ip));
/// assert_eq!(settings.rate.now().per_ip, Throttle::At(Rate::per_second(500)));
/// ```
///
/// A section that was not declared `live` cannot be one that changes:
///
/// ```compile_fail,E0277
/// use palisade::config::Live;
///
/// palisade::settings! {
///     /// Where the service listens.
///     pub struct Server in "server" {
///         /// Its port.
///         pub port: u16 = 8443;
///     }
/// }
///
/// palisade::settings_of! {
///     /// Everything that can be set.
///     pub struct Settings in "ORDERDESK" {
///         /// Where the service listens.
///         pub server: Live<Server>,
///     }
/// }
/// ```
///
/// and nobody can change one by hand:
///
/// ```compile_fail,E0624
/// # palisade::settings! {
/// #     /// How often somebody may ask.
/// #     pub live struct Rates in "rate" {
/// #         /// A number.
/// #         pub most: u16 = 1;
/// #     }
/// # }
/// let rates = palisade::config::Live::new(Rates::default());
/// rates.replace(Rates { most: 2 });
/// ```
pub struct Live<T>(Arc<Shared<T>>);

struct Shared<T> {
    present: ArcSwap<T>,
    followers: Mutex<Vec<Follower<T>>>,
}

type Follower<T> = Arc<dyn Fn(&T) + Send + Sync>;

impl<T: LiveSection> Live<T> {
    /// Puts `section` in force.
    pub fn new(section: T) -> Self {
        let present = ArcSwap::from_pointee(section);
        Self(Arc::new(Shared { present, followers: Mutex::default() }))
    }

    /// Returns the section in force at this moment; ask again each time.
    pub fn now(&self) -> Arc<T> {
        self.0.present.load_full()
    }

    /// Calls `follow` with the new section after each change, on a thread where blocking is
    /// allowed. What cannot be done there must not make the section `live`: nobody hears an error.
    pub fn on_change(&self, follow: impl Fn(&T) + Send + Sync + 'static) {
        let mut followers = self.0.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.push(Arc::new(follow));
    }

    /// Puts `section` in force and tells the followers, unless it is what is in force.
    fn replace(&self, section: T) {
        if *self.0.present.load_full() == section {
            return;
        }
        let section = Arc::new(section);
        self.0.present.store(Arc::clone(&section));
        // Not called under the lock: a follower may follow more.
        let followers = self.0.followers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        followers.iter().for_each(|follow| follow(&section));
    }
}

impl<T: LiveSection> Section for Live<T> {
    fn read(reader: &mut Reader) -> Option<Self> {
        T::read(reader).map(Self::new)
    }

    fn outline() -> SectionOutline {
        SectionOutline { is_live: true, ..T::outline() }
    }

    fn adopt(&self, fresh: &Self) {
        self.replace(T::clone(&fresh.now()));
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: LiveSection + Default> Default for Live<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: LiveSection> PartialEq for Live<T> {
    fn eq(&self, other: &Self) -> bool {
        self.now() == other.now()
    }
}

impl<T: fmt::Debug> fmt::Debug for Live<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Live").field(&*self.0.present.load()).finish()
    }
}
