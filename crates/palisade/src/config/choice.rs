//! Settings with a few named values: [`choice!`](crate::choice).

/// Declares an enum of which one value is chosen by its written name.
///
/// ```
/// use palisade::config::{FromSetting, Raw};
///
/// palisade::choice! {
///     /// Where the certificate comes from.
///     pub enum TlsMode {
///         /// From two files.
///         Files = "files",
///         /// Made at the start.
///         SelfSigned = "self-signed",
///     }
/// }
///
/// assert_eq!(TlsMode::from_text("self-signed"), Some(TlsMode::SelfSigned));
/// assert_eq!(TlsMode::Files.to_string(), "files");
/// let wrong = TlsMode::from_raw(&Raw::Text("file".into())).unwrap_err();
/// assert_eq!(wrong.to_string(), r#"expected "files" or "self-signed", found "file""#);
/// ```
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $about:literal])*
        $visibility:vis enum $name:ident {
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

        impl ::std::fmt::Display for $name {
            fn fmt(&self, out: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                out.pad(match self { $( Self::$value => $written, )+ })
            }
        }

        impl $crate::config::FromSetting for $name {
            fn expected() -> ::std::borrow::Cow<'static, str> {
                [$( concat!("\"", $written, "\"") ),+].join(" or ").into()
            }

            fn from_text(text: &str) -> Option<Self> {
                match text {
                    $( $written => Some(Self::$value), )+
                    _ => None,
                }
            }

            fn written(&self) -> String {
                self.to_string()
            }
        }
    };
}
