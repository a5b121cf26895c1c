//! Labels whose values are known before the first request: [`label!`](crate::label).

/// A label with a few named values, declared with [`label!`](crate::label).
pub trait Label: Copy + 'static {
    /// What the label is called.
    const NAME: &'static str;
    /// All that it can be.
    const ALL: &'static [Self];

    /// Returns the value as it is written.
    fn value(self) -> &'static str;

    /// Returns the place of the value in [`Label::ALL`].
    fn index(self) -> usize;
}

/// Declares an enum that is a [`Label`](crate::telemetry::metrics::Label).
///
/// ```
/// use palisade::telemetry::metrics::{Label, Metrics};
///
/// palisade::label! {
///     /// Why mail was not sent.
///     pub enum Bounce in "reason" {
///         /// Nobody has that address.
///         Unknown = "unknown",
///         /// The mailbox is full.
///         Full = "full",
///     }
/// }
///
/// let metrics = Metrics::new();
/// let bounces = metrics.counters::<Bounce>("mail_bounces_total", "Mail that came back.", &[])?;
/// bounces.add(Bounce::Full, 1);
///
/// assert_eq!(Bounce::Full.index(), 1);
/// assert!(metrics.render()?.contains("mail_bounces_total{reason=\"full\"} 1\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! label {
    (
        $(#[doc = $about:literal])*
        $visibility:vis enum $name:ident in $label:literal {
            $(
                $(#[doc = $value_about:literal])*
                $value:ident = $written:literal
            ),+ $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visibility enum $name {
            $(
                $(#[doc = $value_about])*
                $value,
            )+
        }

        impl $crate::telemetry::metrics::Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$( Self::$value ),+];

            fn value(self) -> &'static str {
                match self { $( Self::$value => $written, )+ }
            }

            fn index(self) -> usize {
                // Counted and not cast, because the lints refuse `as`.
                let mut index = 0;
                $( if self == Self::$value { return index } else { index += 1 } )+
                index
            }
        }
    };
}
