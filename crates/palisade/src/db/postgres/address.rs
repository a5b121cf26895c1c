//! Where a PostgreSQL server is, and how it is spoken to.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use super::super::error::DbError;
use super::super::url::DatabaseUrlError;
use super::driver::Driver;
use super::fault::Refusal;
use super::tls::{Tls, advice};

/// The port that PostgreSQL listens on.
const PORT: u16 = 5432;

/// What is asked of every session, beside how long a statement may take. It may wait 10 s for a
/// lock. Between two statements no time passes here, so a transaction that does nothing for 10 s
/// has lost its client, and ends by itself before others have waited too long for its locks.
const OPTIONS: &str = "-c lock_timeout=10s \
     -c idle_in_transaction_session_timeout=10s -c client_min_messages=error -c TimeZone=UTC";

/// The address of a server: `postgres://user:password@host:port/database`.
#[derive(Clone)]
pub(in super::super) struct Address {
    host: Host,
    port: u16,
    config: Arc<Config>,
    security: Security,
}

#[derive(Clone, PartialEq, Eq)]
enum Host {
    Folder(PathBuf),
    Named(String),
}

#[derive(Clone, PartialEq, Eq)]
enum Security {
    /// To this machine only.
    None,
    /// Certificate and name are verified, by the authorities of a file or of the system.
    VerifyFull(Option<PathBuf>),
}

impl Address {
    /// Reads what stands behind the scheme.
    pub(in super::super) fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        let (before, query) = text.split_once('?').map_or((text, None), |(a, b)| (a, Some(b)));
        let (authority, database) = before.split_once('/').ok_or(DatabaseUrlError::NoDatabase)?;
        let (user, place) = authority.rsplit_once('@').ok_or(DatabaseUrlError::NoUser)?;
        let (user, password) = user.split_once(':').map_or((user, None), |(a, b)| (a, Some(b)));
        let (named, port) = place_and_port(place)?;
        let given = Query::parse(query)?;
        let host = match (named.as_str(), &given.folder) {
            ("", Some(folder)) => Host::Folder(folder.clone()),
            ("", None) | (_, Some(_)) => return Err(DatabaseUrlError::NoHost),
            (name, None) => Host::Named(name.to_owned()),
        };
        let security = security(&host, &given)?;
        let mut config = Config::new();
        config.user(plain(user)?).dbname(plain(database)?).port(port);
        config.application_name("palisade").connect_timeout(Duration::from_secs(5));
        config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_secs(20));
        if let Some(password) = password {
            config.password(decoded(password)?);
        }
        match &host {
            Host::Folder(folder) => config.host_path(folder),
            Host::Named(name) => config.host(name),
        };
        let is_plain = security == Security::None;
        config.ssl_mode(if is_plain { SslMode::Disable } else { SslMode::Require });
        if is_plain {
            config.channel_binding(ChannelBinding::Disable);
        }
        Ok(Self { host, port, config: Arc::new(config), security })
    }

    /// Has the server end statements that take longer.
    pub(in super::super) fn with_deadline(mut self, longest: Duration) -> Self {
        let options = format!("-c statement_timeout={} {OPTIONS}", longest.as_millis());
        Arc::make_mut(&mut self.config).options(&options);
        self
    }

    /// Returns the TCP port, if the server is spoken to by TCP.
    pub(in super::super) fn port(&self) -> Option<u16> {
        matches!(self.host, Host::Named(_)).then_some(self.port)
    }

    /// Returns the file of authorities that the address names.
    pub(in super::super) fn authorities(&self) -> Option<&Path> {
        match &self.security {
            Security::VerifyFull(file) => file.as_deref(),
            Security::None => None,
        }
    }

    /// Tells whether the host has to be looked up.
    pub(in super::super) fn has_a_name(&self) -> bool {
        matches!(&self.host, Host::Named(name) if name.parse::<IpAddr>().is_err())
    }

    /// Connects, and has the connection driven by a task of this thread.
    pub(super) async fn connect(&self) -> Result<(Client, Driver), DbError> {
        match &self.security {
            Security::None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(unreachable)?;
                Ok((client, Driver::of(connection)))
            }
            Security::VerifyFull(file) => {
                let tls = Tls::new(file.as_deref())?;
                let (client, connection) = self.config.connect(tls).await.map_err(unreachable)?;
                Ok((client, Driver::of(connection)))
            }
        }
    }
}

/// Says why there is no connection, and which setting to look at.
fn unreachable(error: tokio_postgres::Error) -> DbError {
    let Some(report) = error.as_db_error() else {
        let advice = advice(&error).or_else(|| is_plain(&error).then_some(NO_TLS));
        return match advice {
            Some(advice) => DbError::unreachable(Advised { advice, cause: error }),
            None => DbError::unreachable(error),
        };
    };
    // Who may not come in is told so; what was said of others is left out.
    let (cause, class) = (Refusal::from(report), report.code().code().get(..2));
    match class {
        Some("28" | "3D") => DbError::unreachable(Advised { advice: REFUSED, cause }),
        _ => DbError::unreachable(cause),
    }
}

/// A failure, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
struct Advised<E: std::error::Error> {
    advice: &'static str,
    #[source]
    cause: E,
}

/// Tells whether the server was asked for TLS and said that it has none.
fn is_plain(error: &tokio_postgres::Error) -> bool {
    let cause = std::error::Error::source(error);
    cause.is_some_and(|cause| cause.to_string().contains("does not support TLS"))
}

const NO_TLS: &str =
    "it speaks no TLS, without which only this machine is spoken to: set it up there (ssl = on)";
const REFUSED: &str = "it does not let in whom DATABASE_URL names";

/// The kind of the address only: it may hold a password.
impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Address(postgres)")
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config && self.security == other.security
    }
}

impl Eq for Address {}

/// What may stand behind the question mark.
#[derive(Default)]
struct Query {
    folder: Option<PathBuf>,
    mode: Option<String>,
    authorities: Option<PathBuf>,
}

impl Query {
    fn parse(query: Option<&str>) -> Result<Self, DatabaseUrlError> {
        let mut read = Self::default();
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = pair.split_once('=').ok_or(DatabaseUrlError::UnknownParameter)?;
            let value = plain(value)?;
            let is_path = value.starts_with('/');
            let before = match name {
                "host" if is_path => read.folder.replace(value.into()).map(drop),
                "sslrootcert" if is_path => read.authorities.replace(value.into()).map(drop),
                "sslmode" => read.mode.replace(value).map(drop),
                _ => return Err(DatabaseUrlError::UnknownParameter),
            };
            if before.is_some() {
                return Err(DatabaseUrlError::UnknownParameter);
            }
        }
        Ok(read)
    }
}

/// A server elsewhere is spoken to only by TLS with a certificate that is verified.
fn security(host: &Host, given: &Query) -> Result<Security, DatabaseUrlError> {
    let is_here = match host {
        Host::Folder(_) => true,
        Host::Named(name) => {
            let address = name.parse::<IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
    };
    match given.mode.as_deref() {
        Some("verify-full") => Ok(Security::VerifyFull(given.authorities.clone())),
        None if !is_here || given.authorities.is_some() => {
            Ok(Security::VerifyFull(given.authorities.clone()))
        }
        None => Ok(Security::None),
        Some("disable") if is_here && given.authorities.is_none() => Ok(Security::None),
        Some(_) => Err(DatabaseUrlError::Unverified),
    }
}

fn place_and_port(place: &str) -> Result<(String, u16), DatabaseUrlError> {
    let behind = place.rfind(']').map_or(0, |end| end + 1);
    let colon = place.get(behind..).and_then(|rest| rest.find(':')).map(|at| behind + at);
    let (name, port) = match colon.and_then(|at| place.split_at_checked(at)) {
        Some((name, port)) => {
            let port = port.get(1..).and_then(|digits| digits.parse().ok());
            (name, port.filter(|port| *port != 0).ok_or(DatabaseUrlError::NoHost)?)
        }
        None => (place, PORT),
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if name.contains([',', '%', '/', '[', ']']) {
        return Err(DatabaseUrlError::NoHost);
    }
    Ok((name.to_owned(), port))
}

/// Undoes percent encoding where nothing may be left out.
fn plain(text: &str) -> Result<String, DatabaseUrlError> {
    let text = decoded(text)?;
    let is_plain = !text.is_empty() && !text.contains(char::is_control);
    if is_plain { Ok(text) } else { Err(DatabaseUrlError::NotPlain) }
}

fn decoded(text: &str) -> Result<String, DatabaseUrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| DatabaseUrlError::NotPlain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> DatabaseUrlError {
        Address::parse(text).map(drop).unwrap_err()
    }

    #[test]
    fn an_address_elsewhere_is_spoken_to_by_verified_tls_and_nothing_less() {
        let parsed = |text| Address::parse(text).unwrap();

        assert!(parsed("u:p@db.example.com/x").security == Security::VerifyFull(None));
        let own = parsed("u:p@10.0.0.1:6432/x?sslmode=verify-full&sslrootcert=/etc/ca.pem");
        assert_eq!(own.authorities(), Some(Path::new("/etc/ca.pem")));
        assert_eq!((own.port(), own.has_a_name()), (Some(6432), false));
        for here in ["u@127.0.0.1/x", "u@[::1]/x", "u@localhost/x", "u@/x?host=/run/postgresql"] {
            assert!(parsed(here).security == Security::None, "{here}");
        }
        for mode in ["disable", "allow", "prefer", "require", "verify-ca", ""] {
            let url = format!("u:hunter2@db.example.com/x?sslmode={mode}");
            let error = refused(&url);
            assert!(!error.to_string().contains("hunter2"));
            assert!([DatabaseUrlError::Unverified, DatabaseUrlError::NotPlain].contains(&error));
        }
    }

    #[test]
    fn what_is_missing_or_not_understood_is_refused() {
        for (text, error) in [
            ("u:p@host", DatabaseUrlError::NoDatabase),
            ("host/x", DatabaseUrlError::NoUser),
            ("u@/x", DatabaseUrlError::NoHost),
            ("u@host:0/x", DatabaseUrlError::NoHost),
            ("u@host:port/x", DatabaseUrlError::NoHost),
            ("u@a,b/x", DatabaseUrlError::NoHost),
            ("u@host/", DatabaseUrlError::NotPlain),
            ("u@host/x?options=-c", DatabaseUrlError::UnknownParameter),
            (
                "u@host/x?sslmode=verify-full&sslmode=verify-full",
                DatabaseUrlError::UnknownParameter,
            ),
            ("u@host/x?sslrootcert=relative.pem", DatabaseUrlError::UnknownParameter),
            ("u%00@host/x", DatabaseUrlError::NotPlain),
        ] {
            assert_eq!(refused(text), error, "{text}");
        }
    }

    #[test]
    fn a_password_may_hold_anything_that_is_percent_encoded() {
        let address = Address::parse("ada:a%2Fb%40c%3A@localhost/orders").unwrap();

        assert_eq!(address.config.get_password(), Some(b"a/b@c:".as_slice()));
        assert_eq!(address.config.get_user(), Some("ada"));
        assert_eq!(format!("{address:?}"), "Address(postgres)");
    }
}
