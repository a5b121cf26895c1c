//! Whom a service may serve: other machines only behind TLS or a declared proxy.

use super::{Deployment, Finding};
use crate::http::{ListenAddress, TlsMode};

/// How far a service may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// As far as the settings say, off loopback only with a certificate or behind a declared
    /// proxy.
    AsSet,
    /// From this machine, whatever the settings say. The reason ends the sentence
    /// "... is not on loopback, and ...".
    ThisMachine(&'static str),
}

crate::rules! {
    /// Addresses that other machines reach.
    pub(super) RULES;

    /// Passwords and tokens would cross the network readable.
    IN_THE_CLEAR = "PAL102", Error, Settings, stops the start {
        title: "The service can be reached from other machines without TLS.",
        why: "Passwords and tokens would cross the network in the clear: whoever is on the way \
              reads and changes them.",
        mend: "Set tls.mode = \"files\" with a certificate and key, or name the proxy that \
               terminates TLS in server.trusted_proxies, or listen on 127.0.0.1.",
    }
    /// The certificate is one that anybody could have made.
    SELF_SIGNED = "PAL103", Error, Settings, stops the start {
        title: "The service can be reached from other machines with a certificate that it made \
                itself.",
        why: "No client can tell it from one that an attacker made. Clients that are told not to \
              look accept every one from then on.",
        mend: "Set tls.mode = \"files\" with a certificate that clients can trust.",
    }
    /// This start serves nobody but this machine.
    BEYOND_THIS_MACHINE = "PAL104", Error, Settings, stops the start {
        title: "A start for this machine only would listen for others.",
        why: "What is made for development (keys, a certificate, an operator with a printed \
              password) is not made to meet strangers.",
        mend: "Start without --dev, or listen on 127.0.0.1.",
    }
    /// The way between the proxy and the service is in the clear.
    BEHIND_A_PROXY = "PAL105", Warning, Settings {
        title: "The service listens without TLS for a proxy on another machine.",
        why: "Everything that the proxy protected is readable between it and the service.",
        mend: "Set tls.mode = \"files\" and have the proxy verify the certificate; or, where the \
               network between the two is private or encrypted by itself, silence this with the \
               reason.",
    }
    /// Nothing is encrypted, and nobody else can listen.
    PLAIN_ON_LOOPBACK = "PAL106", Note, Settings {
        title: "The service speaks plain HTTP on this machine.",
        why: "That is the default and nobody else can listen in. Clients on other machines need a \
              proxy with TLS on this one.",
        mend: "Nothing, if a proxy on this machine terminates TLS; else set tls.mode = \"files\".",
    }
}

/// Judges the addresses that are set.
pub(super) fn judge(deployment: &Deployment<'_>) -> Vec<Finding> {
    let listeners = &deployment.server.listen.0;
    let mut findings = deployment.exposed(listeners);
    if findings.is_empty() && deployment.tls.mode == TlsMode::Off {
        let shown: Vec<_> = listeners.iter().map(ListenAddress::to_string).collect();
        let rule = if listeners.iter().all(ListenAddress::is_local) {
            &PLAIN_ON_LOOPBACK
        } else {
            &BEHIND_A_PROXY
        };
        let what = format_args!("server.listen = \"{}\" and tls.mode = \"off\"", shown.join(","));
        findings.push(Finding::new(rule, what));
    }
    findings
}

impl Deployment<'_> {
    /// Returns a finding for each of `listeners` on which clients would be in danger. What systemd
    /// bound is known only after it was taken over, so this is asked about it then.
    pub fn exposed(&self, listeners: &[ListenAddress]) -> Vec<Finding> {
        let outside = listeners.iter().filter(|address| !address.is_local());
        outside.filter_map(|address| self.judge_outside(address)).collect()
    }

    fn judge_outside(&self, address: &ListenAddress) -> Option<Finding> {
        let off_loopback = format!("server.listen = \"{address}\" is not on loopback, and");
        if let Reach::ThisMachine(reason) = self.reach {
            let what = format_args!("{off_loopback} {reason}");
            return Some(Finding::new(&BEYOND_THIS_MACHINE, what));
        }
        let (rule, why) = match self.tls.mode {
            TlsMode::Files => return None,
            TlsMode::Off if !self.server.trusted_proxies.is_empty() => return None,
            TlsMode::Off => (
                &IN_THE_CLEAR,
                "tls.mode is \"off\": passwords and tokens would cross the network in the clear",
            ),
            TlsMode::SelfSigned => {
                (&SELF_SIGNED, "tls.mode is \"self-signed\", which no client can trust")
            }
        };
        Some(Finding::new(rule, format_args!("{off_loopback} {why}")).mended_by(rule.mend))
    }
}
