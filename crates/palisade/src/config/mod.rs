//! Settings and secrets: what the operator says, where each word of it came from, what is wrong.
//!
//! The rules of this module:
//!
//! 1. One text ([`settings!`](crate::settings), [`settings_of!`](crate::settings_of),
//!    [`choice!`](crate::choice)) makes the type, its defaults, its reading and its
//!    documentation, so that they cannot drift apart.
//! 2. Three layers, later wins: defaults, the TOML file, the environment.
//! 3. What is not known is refused, and every mistake of every layer is reported at once.
//! 4. Only what is [`Live`] can change while the service runs, and only by reading the same layers
//!    again without a mistake ([`Reloader`]).
//! 5. Secrets never come from the settings file; they have sources of their own
//!    ([`Secrets`]), and are shown only as `[redacted]`.
//!
//! The environment is read once, into an [`Environment`], and handed on from there; the command
//! line is read by [`arguments`]. This module
//! leaves out what a setting means: that belongs to the code that declares the section.

mod arguments;
mod bounds;
mod choice;
mod document;
mod environment;
mod example;
mod field;
mod file;
mod key_material;
mod key_words;
mod kinds;
mod known_secrets;
mod list;
mod live;
mod load;
mod mistake;
mod nearest;
mod rate;
mod reader;
mod reload;
mod secret_file;
mod secret_path;
mod secrets;
mod section;
mod size;
mod sources;
mod span;
mod survey;
mod value;

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod reload_tests;
#[cfg(test)]
mod secret_path_tests;
#[cfg(test)]
mod tests;

pub use arguments::arguments;
pub use environment::{Environment, NotUtf8};
pub use example::example;
pub use field::Field;
pub use key_material::{KeyMaterial, WeakKey};
pub use live::{Live, LiveSection};
pub use load::{Loaded, Shown, load, load_text};
pub use mistake::{Mistake, Mistakes, Origin, Place, Wrong};
pub use rate::{Rate, Throttle};
pub use reader::Reader;
pub use reload::{Change, Reloader, Reread};
pub use secret_file::{FileFault, TextFault};
pub use secrets::{FoundSecret, SecretError, SecretOrigin, SecretSource, Secrets};
pub use section::{KeyOutline, Section, SectionOutline, Settings};
pub use size::Size;
pub use survey::survey;
pub use value::{FromSetting, Raw, Unfit, quoted};
