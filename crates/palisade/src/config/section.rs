//! Sections and what is made of them: [`settings!`](crate::settings) declares one section,
//! [`settings_of!`](crate::settings_of) the settings of a service.

use super::Reader;

/// What the example file says about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOutline {
    /// The key's name.
    pub name: &'static str,
    /// Its documentation, one line a line, each with the space that follows `///`.
    pub about: &'static str,
    /// Its default as TOML.
    pub default: String,
    /// What it accepts, in words.
    pub expected: String,
}

/// What the example file says about one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionOutline {
    /// The section's name, between the brackets.
    pub name: &'static str,
    /// Its documentation, one line a line.
    pub about: &'static str,
    /// Whether its keys can change while the service runs.
    pub is_live: bool,
    /// Its keys, in the order of the declaration.
    pub keys: Vec<KeyOutline>,
}

/// One section of the settings; made by [`settings!`](crate::settings).
pub trait Section: Sized {
    /// Reads the section, recording what is wrong; `None` if anything was.
    fn read(reader: &mut Reader) -> Option<Self>;

    /// Describes the section.
    fn outline() -> SectionOutline;

    /// Takes over what was read again, if the section can change while the service runs; any other
    /// stays what it is.
    fn adopt(&self, _fresh: &Self) {}
}

/// The settings of a service; made by [`settings_of!`](crate::settings_of).
pub trait Settings: Clone + Send + Sync + 'static {
    /// The word that begins every variable, as `ORDERDESK` in `ORDERDESK__SERVER__LISTEN`.
    const PREFIX: &'static str;

    /// Reads every section, recording what is wrong; `None` if anything was.
    fn read(reader: &mut Reader) -> Option<Self>;

    /// Describes the sections.
    fn outline() -> Vec<SectionOutline>;

    /// Takes over what was read again, section by section.
    fn adopt(&self, fresh: &Self);
}

/// Declares a section of the settings: the struct, its defaults, its reading and its
/// documentation, from one text.
///
/// Each key has a type that is [`FromSetting`](crate::config::FromSetting), a default, and
/// where it needs them bounds behind `in`. The documentation comments are what
/// [`example`](crate::config::example) shows. A rule over several keys is a function named
/// after `checked by`; it sees the section once each key by itself is right, and complains with
/// [`Reader::refuse`](crate::config::Reader::refuse).
///
/// `live struct` declares a section that may stand in the settings as
/// [`Live`](crate::config::Live), to change while the service runs.
///
/// ```
/// use palisade::config::{Reader, Size};
/// use std::time::Duration;
///
/// palisade::settings! {
///     /// What one request may cost.
///     pub struct Limits in "limits" checked by body_before_request {
///         /// Largest request body.
///         /// Enough for an order of 100 lines.
///         pub body_bytes: Size = Size::kib(64), in Size::bytes(1)..=Size::mib(16);
///         /// Longest wait for a body.
///         pub body_timeout: Duration = Duration::from_secs(10);
///         /// Longest time for a whole request.
///         pub request_timeout: Duration = Duration::from_secs(30);
///     }
/// }
///
/// fn body_before_request(limits: &Limits, reader: &mut Reader) {
///     if limits.body_timeout > limits.request_timeout {
///         reader.refuse("limits", "body_timeout", "at most request_timeout");
///     }
/// }
///
/// assert_eq!(Limits::default().body_bytes, Size::bytes(65_536));
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        $visibility:vis live struct $name:ident $($rest:tt)*
    ) => {
        $crate::settings! {
            $(#[doc = $about])*
            $visibility struct $name $($rest)*
        }

        impl $crate::config::LiveSection for $name {}
    };
    (
        $(#[doc = $about:literal])*
        $visibility:vis struct $name:ident in $section:literal $(checked by $check:path)? {
            $(
                $(#[doc = $key_about:literal])*
                $key_visibility:vis $key:ident: $kind:ty = $default:expr $(, in $bounds:expr)?;
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        $visibility struct $name {
            $(
                $(#[doc = $key_about])*
                $key_visibility $key: $kind,
            )*
        }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                Self { $( $key: $default, )* }
            }
        }

        impl $crate::config::Section for $name {
            fn read(reader: &mut $crate::config::Reader) -> Option<Self> {
                $(
                    let about = concat!($( $key_about, "\n" ),*);
                    let field = $crate::config::Field::new(stringify!($key), about, $default);
                    let $key = reader.take::<$kind>($section, field$( .within($bounds) )?);
                )*
                let section = Self { $( $key: $key?, )* };
                $( $check(&section, reader); )?
                Some(section)
            }

            fn outline() -> $crate::config::SectionOutline {
                $crate::config::SectionOutline {
                    name: $section,
                    about: concat!($( $about, "\n" ),*),
                    is_live: false,
                    keys: vec![
                        $({
                            let about = concat!($( $key_about, "\n" ),*);
                            $crate::config::Field::<$kind>::new(stringify!($key), about, $default)
                                $( .within($bounds) )?
                                .outline()
                        }),*
                    ],
                }
            }
        }
    };
}

/// Puts sections together to the settings of a service; the text behind `in` is the word that
/// begins every variable.
///
/// A section that stands there as [`Live`](crate::config::Live) is replaced when the settings are
/// read again; any other keeps its values until the next start.
///
/// ```
/// use palisade::config::{Environment, Size, load};
///
/// palisade::settings! {
///     /// What one request may cost.
///     pub struct Limits in "limits" {
///         /// Largest request body.
///         pub body_bytes: Size = Size::kib(64);
///     }
/// }
///
/// palisade::settings_of! {
///     /// Everything the operator can say.
///     pub struct Settings in "ORDERDESK" {
///         /// What one request may cost.
///         pub limits: Limits,
///     }
/// }
///
/// let environment = Environment::from_pairs([("ORDERDESK__LIMITS__BODY_BYTES", "1MiB")]);
/// let loaded = load::<Settings>(None, &environment).unwrap();
/// assert_eq!(loaded.settings().limits.body_bytes, Size::mib(1));
/// ```
#[macro_export]
macro_rules! settings_of {
    (
        $(#[doc = $about:literal])*
        $visibility:vis struct $name:ident in $prefix:literal {
            $(
                $(#[doc = $section_about:literal])*
                $section_visibility:vis $section:ident: $kind:ty
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, Default)]
        $visibility struct $name {
            $(
                $(#[doc = $section_about])*
                $section_visibility $section: $kind,
            )*
        }

        impl $crate::config::Settings for $name {
            const PREFIX: &'static str = $prefix;

            fn read(reader: &mut $crate::config::Reader) -> Option<Self> {
                $( let $section = <$kind as $crate::config::Section>::read(reader); )*
                Some(Self { $( $section: $section?, )* })
            }

            fn outline() -> Vec<$crate::config::SectionOutline> {
                vec![ $( <$kind as $crate::config::Section>::outline() ),* ]
            }

            fn adopt(&self, fresh: &Self) {
                $( $crate::config::Section::adopt(&self.$section, &fresh.$section); )*
            }
        }
    };
}
