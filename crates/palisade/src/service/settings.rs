//! The settings that every service has, and how its own join them.

use std::sync::Arc;
use std::time::Duration;

use super::Reach;
use crate::check::{CheckSection, Deployment};
use crate::clock::Timestamp;
use crate::config::{Live, Rate, Settings, Throttle};
use crate::http::{LimitsSection, RateLimiter, ServerSection, TlsSection};
use crate::process::SandboxSection;
use crate::telemetry::LogSection;

crate::settings! {
    /// The end of the service.
    pub live struct ShutdownSection in "shutdown" {
        /// Longest time for requests in flight to finish after SIGTERM or SIGINT.
        pub drain: Duration = Duration::from_secs(20),
            in Duration::from_millis(100)..=Duration::from_secs(600);
        /// How long requests are still taken after that signal, while `/ready` says no already: as
        /// long as a load balancer needs to look. Without one there is nothing to wait for.
        pub grace: Duration = Duration::ZERO, in Duration::ZERO..=Duration::from_secs(300);
    }
}

crate::settings! {
    /// How often somebody may ask; "off" switches a limit off. What is over it is answered 429.
    pub live struct RateSection in "rate" {
        /// Requests from one IPv4 address or one IPv6 /64. The default is more than people ask,
        /// also many behind one address, and keeps one client from taking the service to itself.
        pub per_ip: Throttle = Throttle::At(Rate::per_second(500));
        /// Requests of one account, where the service knows accounts; the default is that of an
        /// address.
        pub per_account: Throttle = Throttle::At(Rate::per_second(500));
    }
}

/// What [`Prepared`](super::Prepared) assembles a service from, whatever else can be set.
#[derive(Debug, Clone)]
pub struct Basics {
    /// Where it listens, and behind whom.
    pub server: ServerSection,
    /// How the public listener is encrypted.
    pub tls: TlsSection,
    /// What one client may cost.
    pub limits: LimitsSection,
    /// Counts requests from one IPv4 address or one IPv6 /64.
    pub per_ip: Arc<RateLimiter>,
    /// Counts requests of one account.
    pub per_account: Arc<RateLimiter<u128>>,
    /// What is logged.
    pub log: Live<LogSection>,
    /// What the process takes from itself.
    pub sandbox: SandboxSection,
    /// What was judged and accepted.
    pub check: CheckSection,
    /// The end.
    pub shutdown: Live<ShutdownSection>,
}

impl Basics {
    /// Returns what the deployment check judges, for a start that reaches as far as `reach`.
    pub fn deployment(&self, reach: Reach, now: Timestamp) -> Deployment<'_> {
        Deployment {
            server: &self.server,
            tls: &self.tls,
            limits: &self.limits,
            log: self.log.now(),
            sandbox: &self.sandbox,
            reach,
            now,
        }
    }
}

/// Settings with everything that a service is assembled from.
///
/// [`service_settings!`](crate::service_settings) makes them; write it by hand where a service
/// has a section of its own in the place of one of these.
pub trait ServiceSettings: Settings {
    /// The secrets without which the service does not start: [`Program`](super::Program) looks
    /// for them together with the settings, so that one run tells what is wrong with either.
    const SECRETS: &'static [&'static str] = &[];

    /// Returns what the service is assembled from.
    fn basics(&self) -> Basics;
}

/// Declares the settings of a service: the sections that every service has, and its own.
///
/// The sections that come by themselves are `server`, `tls`, `limits`, `rate`, `log`, `sandbox`,
/// `check` and `shutdown`; `rate`, `log` and `shutdown` can change while the service runs
/// ([`Live`](crate::config::Live)), the others with the next start. The text behind `in` is the
/// word that begins every variable, as in [`settings_of!`](crate::settings_of). Behind it may
/// stand what the service cannot do without: `with secrets ["SMTP_PASSWORD"]`.
///
/// ```
/// use palisade::config::{Environment, Size, load};
///
/// palisade::settings! {
///     /// Greetings.
///     pub struct GreetingsSection in "greetings" {
///         /// Whether the greeting is friendly. It is, because that costs nothing.
///         pub friendly: bool = true;
///     }
/// }
///
/// palisade::service_settings! {
///     /// Everything that can be set.
///     pub struct Settings in "GREETER" {
///         /// Greetings.
///         pub greetings: GreetingsSection,
///     }
/// }
///
/// let environment = Environment::from_pairs([("GREETER__LIMITS__BODY_BYTES", "1KiB")]);
/// let settings = load::<Settings>(None, &environment).unwrap().into_settings();
/// assert!(settings.greetings.friendly);
/// assert_eq!(settings.limits.body_bytes, Size::kib(1));
/// ```
#[macro_export]
macro_rules! service_settings {
    (
        $(#[doc = $about:literal])*
        $visibility:vis struct $name:ident in $prefix:literal
        $(with secrets [$($secret:literal),* $(,)?])?
        {
            $(
                $(#[doc = $section_about:literal])*
                $section_visibility:vis $section:ident: $kind:ty
            ),* $(,)?
        }
    ) => {
        $crate::settings_of! {
            $(#[doc = $about])*
            $visibility struct $name in $prefix {
                /// Where the service listens, and who stands in front of it.
                pub server: $crate::http::ServerSection,
                /// Encryption of the public listener.
                pub tls: $crate::http::TlsSection,
                /// What one client may cost.
                pub limits: $crate::http::LimitsSection,
                /// How often somebody may ask.
                pub rate: $crate::config::Live<$crate::service::RateSection>,
                $(
                    $(#[doc = $section_about])*
                    $section_visibility $section: $kind,
                )*
                /// What is logged.
                pub log: $crate::config::Live<$crate::telemetry::LogSection>,
                /// What the process takes from itself.
                pub sandbox: $crate::process::SandboxSection,
                /// The deployment check.
                pub check: $crate::check::CheckSection,
                /// The end.
                pub shutdown: $crate::config::Live<$crate::service::ShutdownSection>,
            }
        }

        impl $crate::service::ServiceSettings for $name {
            $( const SECRETS: &'static [&'static str] = &[$($secret),*]; )?

            fn basics(&self) -> $crate::service::Basics {
                $crate::service::Basics {
                    server: self.server.clone(),
                    tls: self.tls.clone(),
                    limits: self.limits.clone(),
                    per_ip: $crate::http::RateLimiter::following(&self.rate, |rate| rate.per_ip),
                    per_account: $crate::http::RateLimiter::following(&self.rate, |rate| {
                        rate.per_account
                    }),
                    log: self.log.clone(),
                    sandbox: self.sandbox.clone(),
                    check: self.check.clone(),
                    shutdown: self.shutdown.clone(),
                }
            }
        }
    };
}
