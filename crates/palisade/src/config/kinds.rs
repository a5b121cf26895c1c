//! The types of the standard library that a setting can have.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;

use super::{FromSetting, Raw, Unfit, list, quoted};

impl FromSetting for bool {
    fn expected() -> Cow<'static, str> {
        "true or false".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn written(&self) -> String {
        self.to_string()
    }

    fn from_raw(raw: &Raw) -> Result<Self, Unfit> {
        match raw {
            Raw::Boolean(truth) => Some(*truth),
            Raw::Variable(text) => Self::from_text(text),
            Raw::Text(_) | Raw::Integer(_) | Raw::List(_) | Raw::Other(_) => None,
        }
        .ok_or_else(|| Unfit::for_type::<Self>(raw))
    }

    fn to_toml(&self) -> String {
        self.written()
    }
}

macro_rules! whole_numbers {
    ($( $kind:ty )*) => { $(
        impl FromSetting for $kind {
            fn expected() -> Cow<'static, str> {
                "a whole number".into()
            }

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn written(&self) -> String {
                self.to_string()
            }

            fn from_raw(raw: &Raw) -> Result<Self, Unfit> {
                match raw {
                    Raw::Integer(number) => Self::try_from(*number).ok(),
                    Raw::Variable(text) => Self::from_text(text),
                    Raw::Text(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other(_) => None,
                }
                .ok_or_else(|| Unfit::for_type::<Self>(raw))
            }

            fn to_toml(&self) -> String {
                self.written()
            }

            fn natural_bounds() -> Option<(String, String)> {
                Some((Self::MIN.to_string(), Self::MAX.to_string()))
            }
        }
    )* };
}

whole_numbers!(u8 u16 u32 u64 usize i32 i64);

macro_rules! parsed_text {
    ($( $kind:ty, $expected:literal; )*) => { $(
        impl FromSetting for $kind {
            fn expected() -> Cow<'static, str> {
                $expected.into()
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::from_str(text).ok()
            }

            fn written(&self) -> String {
                self.to_string()
            }
        }
    )* };
}

parsed_text! {
    String, "a text";
    SocketAddr, "an address and a port such as \"127.0.0.1:8443\"";
    IpAddr, "an IP address such as \"192.0.2.1\"";
    IpNet, "a network such as \"10.0.0.0/8\"";
}

/// A path must not be empty or hold a control character: what has several lines is the content of a
/// file, perhaps of a key. Only a UTF-8 path is written back as it was.
impl FromSetting for PathBuf {
    fn expected() -> Cow<'static, str> {
        "a path".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains(char::is_control)).then(|| Self::from(text))
    }

    fn written(&self) -> String {
        self.to_string_lossy().into_owned()
    }
}

/// Nothing is written as an empty text, so that a later layer can unset an earlier one.
impl<T: FromSetting> FromSetting for Option<T> {
    fn expected() -> Cow<'static, str> {
        format!("{}, or \"\" for none", T::expected()).into()
    }

    fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::from_text(text).map(Some) }
    }

    fn written(&self) -> String {
        self.as_ref().map(T::written).unwrap_or_default()
    }

    fn from_raw(raw: &Raw) -> Result<Self, Unfit> {
        match raw {
            Raw::Text(text) | Raw::Variable(text) if text.is_empty() => Ok(None),
            given => {
                let unfit = |why: Unfit| Unfit { expected: Self::expected().into_owned(), ..why };
                T::from_raw(given).map(Some).map_err(unfit)
            }
        }
    }

    fn to_toml(&self) -> String {
        self.as_ref().map_or_else(|| quoted(""), T::to_toml)
    }

    fn natural_bounds() -> Option<(String, String)> {
        T::natural_bounds()
    }
}

/// A TOML array; in the environment the elements are separated by commas.
impl<T: FromSetting> FromSetting for Vec<T> {
    fn expected() -> Cow<'static, str> {
        format!("a list, each element {}", T::expected()).into()
    }

    fn from_text(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::new());
        }
        text.split(',').map(|element| T::from_text(element.trim())).collect()
    }

    fn written(&self) -> String {
        let elements: Vec<String> = self.iter().map(T::written).collect();
        elements.join(",")
    }

    fn from_raw(raw: &Raw) -> Result<Self, Unfit> {
        match raw {
            Raw::List(elements) => list::read(elements, Self::expected()),
            Raw::Variable(text) if text.trim().is_empty() => Ok(Self::new()),
            Raw::Variable(text) => list::read(&list::elements(text), Self::expected()),
            Raw::Text(_) | Raw::Integer(_) | Raw::Boolean(_) | Raw::Other(_) => {
                Err(Unfit::for_type::<Self>(raw))
            }
        }
    }

    fn to_toml(&self) -> String {
        let elements: Vec<String> = self.iter().map(T::to_toml).collect();
        format!("[{}]", elements.join(", "))
    }
}
