//! Where a listener is, as a URL says it.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// A scheme, a host and a port, and nothing else.
///
/// ```
/// use palisade::outbound::Target;
///
/// let target: Target = "https://orders.example.com/".parse().unwrap();
/// assert_eq!((target.host(), target.port(), target.is_tls()), ("orders.example.com", 443, true));
/// assert!("https://user:password@orders.example.com".parse::<Target>().is_err());
/// assert!("https://orders.example.com/path".parse::<Target>().is_err());
/// assert!("https://orders.example.com:99999".parse::<Target>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
    is_tls: bool,
}

/// The text is not the address of a listener. It is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a scheme, a host and perhaps a port, such as https://orders.example.com")]
pub struct NotATarget;

impl Target {
    /// Returns the name or the address, without brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns the port; 443 or 80 unless the URL has one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Tells whether it is spoken to by TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Returns what a request says in `Host`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let uri: Uri = text.parse().map_err(|_| NotATarget)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(NotATarget),
        };
        let authority = uri.authority().ok_or(NotATarget)?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !is_bare || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(NotATarget);
        }
        // What stands behind the host and is no port would be left unread.
        let port = authority.port_u16();
        if authority.as_str() != authority.host() && port.is_none() {
            return Err(NotATarget);
        }
        let port = port.unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { host: authority.host().to_owned(), port, is_tls })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(out, "{scheme}://{}", self.authority())
    }
}
