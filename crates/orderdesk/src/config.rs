//! Orderdesk's settings: the library's sections and its own.

use palisade::audit::AuditSection;
use palisade::auth::{GuessesSection, SessionsSection};
use palisade::check::CheckSection;
use palisade::config::{Live, Rate, Throttle};
use palisade::crypto::PasswordsSection;
use palisade::db::{DatabaseSection, RetentionSection};
use palisade::http::{LimitsSection, RateLimiter, ServerSection, TlsSection};
use palisade::idempotency::IdempotencySection;
use palisade::process::SandboxSection;
use palisade::service::{Basics, ServiceSettings, ShutdownSection};
use palisade::telemetry::LogSection;

use crate::accounts::OPERATOR;
use crate::imports::ImportsSection;

palisade::choice! {
    /// Who may open an account.
    pub enum SignUpMode {
        /// Anybody.
        Open = "open",
        /// Only operators, for somebody else.
        Closed = "closed",
    }
}

palisade::choice! {
    /// Whose sign-in takes a second factor.
    pub enum SecondFactorFor {
        /// Those who have set one up.
        Nobody = "none",
        /// Those, and every operator: without one an operator's session can only get one.
        Operators = "operators",
    }
}

impl SecondFactorFor {
    /// Returns the roles that need one.
    pub fn roles(self) -> Vec<palisade::auth::Role> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Operators => vec![OPERATOR.clone()],
        }
    }
}

palisade::settings! {
    /// Accounts.
    pub struct AccountsSection in "accounts" {
        /// Whether anybody may open an account, or only operators.
        pub sign_up: SignUpMode = SignUpMode::Open;
        /// Whose sign-in takes a second factor (TOTP): of those who have set one up, or of every
        /// operator. An operator without one can then do nothing but get one.
        pub require_second_factor: SecondFactorFor = SecondFactorFor::Nobody;
    }
}

palisade::settings! {
    /// How often somebody may ask; "off" switches a limit off. What is over it is answered 429.
    pub live struct RateSection in "rate" {
        /// Requests from one IPv4 address or one IPv6 /64.
        pub per_ip: Throttle = Throttle::At(Rate::per_second(500));
        /// Requests of one account.
        pub per_account: Throttle = Throttle::At(Rate::per_second(500));
        /// Accounts opened from one address.
        pub sign_up: Throttle = Throttle::At(Rate::per_minute(60).with_burst(60));
        /// Sign-ins from one address. Each costs a password hash.
        pub login: Throttle = Throttle::At(Rate::per_minute(60).with_burst(30));
    }
}

palisade::settings_of! {
    /// Everything that can be set.
    pub struct Settings in "ORDERDESK" {
        /// Where the service listens.
        pub server: ServerSection,
        /// Encryption.
        pub tls: TlsSection,
        /// What one client may cost.
        pub limits: LimitsSection,
        /// How often somebody may ask.
        pub rate: Live<RateSection>,
        /// Accounts.
        pub accounts: AccountsSection,
        /// Wrong passwords.
        pub guesses: GuessesSection,
        /// The audit log.
        pub audit: AuditSection,
        /// What hashing costs.
        pub passwords: PasswordsSection,
        /// How long a sign-in lasts.
        pub sessions: SessionsSection,
        /// Requests that are sent again.
        pub idempotency: IdempotencySection,
        /// Files of orders.
        pub imports: ImportsSection,
        /// The database.
        pub database: DatabaseSection,
        /// What is removed when it is over.
        pub retention: RetentionSection,
        /// What is logged.
        pub log: Live<LogSection>,
        /// What the process takes from itself.
        pub sandbox: SandboxSection,
        /// The deployment check.
        pub check: CheckSection,
        /// The end.
        pub shutdown: Live<ShutdownSection>,
    }
}

impl ServiceSettings for Settings {
    fn basics(&self) -> Basics {
        Basics {
            server: self.server.clone(),
            tls: self.tls.clone(),
            limits: self.limits.clone(),
            per_ip: RateLimiter::following(&self.rate, |rate| rate.per_ip),
            per_account: RateLimiter::following(&self.rate, |rate| rate.per_account),
            log: self.log.clone(),
            sandbox: self.sandbox.clone(),
            check: self.check.clone(),
            shutdown: self.shutdown.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_is_what_the_program_prints() {
        let kept = include_str!("../orderdesk.toml");

        assert!(
            kept == palisade::config::example::<Settings>(),
            "crates/orderdesk/orderdesk.toml is stale; at the root of the repository, run\n\n    \
             cargo run -p orderdesk -- config example > crates/orderdesk/orderdesk.toml\n"
        );
    }
}
