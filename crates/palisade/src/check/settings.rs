//! What was set, and what it weakens.

use std::net::IpAddr;

use ipnet::IpNet;

use super::limits::switched_off;
use super::{Deployment, Finding};
use crate::config::{KeyOutline, Mistakes, SectionOutline, Shown, quoted};
use crate::http::TlsMode;
use crate::secret::holds_a_secret;
use crate::telemetry::LogLevel;

crate::rules! {
    /// Settings.
    pub(super) RULES;

    /// The settings cannot be used.
    WRONG = "PAL101", Error, Settings, stops the start {
        title: "A setting is wrong.",
        why: "What is not known or impossible is refused: a guess could open a door. The rest of \
              the settings is judged once all of them can be read.",
        mend: "Correct it; `config example` shows every setting.",
    }
    /// A network of proxies is most of the Internet.
    TRUSTS_STRANGERS = "PAL107", Error, Settings {
        title: "Much of the Internet is trusted as a proxy.",
        why: "Whoever is in server.trusted_proxies may claim any client's address and request id: \
              rate limits and logs then say what strangers want them to.",
        mend: "Name the proxies' own addresses in server.trusted_proxies.",
    }
    /// Every private network is trusted.
    TRUSTS_EVERY_PRIVATE_NETWORK = "PAL108", Warning, Settings {
        title: "Every private network is trusted as a proxy.",
        why: "Every machine and container inside may claim any client's address: limits by \
              address no longer bind it.",
        mend: "Name the networks in which the proxies are, and no others.",
    }
    /// The log tells more than it must.
    TALKATIVE = "PAL109", Warning, Settings {
        title: "The log is at a level for finding defects.",
        why: "It grows fast, and tells more about clients than anybody has decided to keep.",
        mend: "Set log.level = \"info\".",
    }
    /// Browsers are not told to insist on TLS.
    NO_STRICT_TRANSPORT = "PAL110", Note, Settings {
        title: "The service does not tell browsers to insist on TLS (HSTS).",
        why: "It does so only with a certificate of its own for a name: without TLS and for an \
              address the header has no meaning (RFC 6797, sections 7.2 and 8.1.1). A browser's \
              first request may then be in the clear.",
        mend: "Have the proxy that terminates TLS send Strict-Transport-Security, and reach the \
               service by a name.",
    }
    /// Clients are told to come without TLS.
    PUBLIC_URL_IN_THE_CLEAR = "PAL111", Warning, Settings {
        title: "server.public_url begins with http.",
        why: "The OpenAPI document sends clients there: their tokens would cross the network in \
              the clear.",
        mend: "Write server.public_url with https.",
    }
    /// Nobody said what the service is called.
    NO_PUBLIC_URL = "PAL112", Note, Settings {
        title: "server.public_url is not set.",
        why: "Without it the check cannot tell whether the certificate covers the name that \
              clients use.",
        mend: "Set server.public_url, such as \"https://orders.example.com\".",
    }
    /// A setting whose name warns is in force.
    DANGER = "PAL114", Warning, Settings {
        title: "A setting weakens the service by name.",
        why: "Each `danger_` setting gives up a promise; its comment in `config example` says \
              which.",
        mend: "Remove the setting, or silence this with the reason why the promise is not needed.",
    }
    /// What must stay hidden stands where everybody looks.
    SECRET_IN_A_SETTING = "PAL116", Error, Settings, stops the start {
        title: "A setting holds a secret.",
        why: "Settings are shown, copied and kept with the code, and some are published: the \
              OpenAPI document has server.public_url.",
        mend: "Remove it from the setting, and replace the secret by a new one: somebody may have \
               read it.",
    }
}

/// Most mistakes that are listed; what comes after them is counted.
const MOST_LISTED: usize = 100;

/// Returns a finding for each mistake in the settings.
pub fn mistakes(mistakes: &Mistakes) -> Vec<Finding> {
    let all = mistakes.all();
    let listed = all.iter().take(MOST_LISTED).map(|mistake| Finding::new(&WRONG, mistake));
    let more = all.len().saturating_sub(MOST_LISTED);
    let rest = (more > 0).then(|| Finding::new(&WRONG, format_args!("and {more} more mistakes")));
    listed.chain(rest).collect()
}

/// Returns a finding for each setting that weakens something, whatever the section: one that is
/// called `danger_...`, and a rate that is switched off.
///
/// `shown` is every setting in force ([`Loaded::shown`](crate::config::Loaded::shown)), `outline`
/// what is known about each ([`Settings::outline`](crate::config::Settings::outline)).
pub fn shown(shown: &[Shown], outline: &[SectionOutline]) -> Vec<Finding> {
    let judge = |shown: &Shown| {
        let key = key(outline, shown)?;
        let is_changed = key.default != shown.value;
        if shown.key.starts_with("danger_") && is_changed {
            let about = key.about.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            let Shown { section, key, value, origin } = shown;
            let what = format_args!("{section}.{key} = {value} ({origin}): {}", about.trim_end());
            return Some(Finding::new(&DANGER, what));
        }
        let is_off = shown.section == "rate" && shown.value == quoted("off");
        is_off.then(|| switched_off(shown))
    };
    shown.iter().filter_map(judge).collect()
}

/// Returns a finding for each setting that holds a secret of this process, in whatever writing.
pub(crate) fn revealing(shown: &[Shown]) -> Vec<Finding> {
    let is_revealing = |shown: &&Shown| holds_a_secret(&shown.value);
    let found = shown.iter().filter(is_revealing).map(|Shown { section, key, origin, .. }| {
        Finding::new(
            &SECRET_IN_A_SETTING,
            format_args!("{section}.{key} ({origin}) holds a secret"),
        )
    });
    found.collect()
}

fn key<'a>(outline: &'a [SectionOutline], shown: &Shown) -> Option<&'a KeyOutline> {
    let section = outline.iter().find(|section| section.name == shown.section)?;
    section.keys.iter().find(|key| key.name == shown.key)
}

pub(super) fn judge(deployment: &Deployment<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(judge_proxies(&deployment.server.trusted_proxies));
    let level = deployment.log.level;
    if matches!(level, LogLevel::Debug | LogLevel::Trace) {
        findings.push(Finding::new(&TALKATIVE, format_args!("log.level = \"{level}\"")));
    }
    findings.extend(judge_public_url(deployment));
    findings
}

/// Returns what stops the start: that every address is trusted, in however many parts.
pub(super) fn fatal(deployment: &Deployment<'_>) -> Option<Finding> {
    let all = IpNet::aggregate(&deployment.server.trusted_proxies);
    let everything = all.iter().find(|network| network.prefix_len() == 0)?;
    let what = format_args!("server.trusted_proxies: its networks are {everything} together");
    Some(Finding::new(&WRONG, what).mended_by("Name the proxies' own addresses"))
}

fn judge_public_url(deployment: &Deployment<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_public = deployment.server.listen.0.iter().any(|address| !address.is_local());
    let Some(url) = public_url(deployment) else {
        if is_public || deployment.tls.mode == TlsMode::Files {
            findings.push(Finding::new(&NO_PUBLIC_URL, "server.public_url is not set"));
        }
        return findings;
    };
    let host = url.host().unwrap_or_default();
    if url.scheme_str() != Some("https") && !is_loopback_name(host) {
        let what = format_args!("server.public_url names http and the host {host}");
        findings.push(Finding::new(&PUBLIC_URL_IN_THE_CLEAR, what));
    }
    if deployment.tls.mode != TlsMode::Files && !is_loopback_name(host) {
        let what = format_args!("tls.mode = \"{}\" sends no HSTS", deployment.tls.mode);
        findings.push(Finding::new(&NO_STRICT_TRANSPORT, what));
    } else if bare_address(host).is_some_and(|address| !address.is_loopback()) {
        let what = format_args!("server.public_url names the address {host}, not a name");
        findings.push(Finding::new(&NO_STRICT_TRANSPORT, what));
    }
    findings
}

/// Returns the address that is set, if it is one.
pub(super) fn public_url(deployment: &Deployment<'_>) -> Option<http::Uri> {
    deployment.server.public_url.as_deref().and_then(|url| url.parse().ok())
}

/// Tells whether `host` is this machine itself.
pub(super) fn is_loopback_name(host: &str) -> bool {
    host == "localhost" || bare_address(host).is_some_and(|address| address.is_loopback())
}

/// Reads a host that is an address, with or without the brackets of IPv6.
pub(super) fn bare_address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The private networks of RFC 1918.
const PRIVATE: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
/// The private network of IPv6 (RFC 4193).
const UNIQUE_LOCAL: &str = "fc00::/7";
/// Public addresses that may be trusted: more than any proxy service has, far less than the
/// Internet. For IPv4 a /8, for IPv6 a /16.
const MOST_IPV4: u64 = 1 << 24;
const SHORTEST_IPV6: u8 = 16;

/// Judges the networks together, because two halves are the whole.
fn judge_proxies(networks: &[IpNet]) -> Vec<Finding> {
    let all = IpNet::aggregate(&networks.to_vec());
    let private: Vec<IpNet> = PRIVATE.iter().filter_map(|network| network.parse().ok()).collect();
    let local: Option<IpNet> = UNIQUE_LOCAL.parse().ok();
    let is_inside =
        |network: &IpNet| private.iter().chain(&local).any(|private| private.contains(network));
    let public: Vec<_> = all.iter().filter(|network| !is_inside(network)).collect();
    let addresses: u64 = public.iter().filter_map(|network| ipv4_addresses(network)).sum();
    let is_too_wide = |network: &&&IpNet| match network {
        IpNet::V4(_) => false,
        IpNet::V6(six) => six.prefix_len() < SHORTEST_IPV6,
    };
    if addresses > MOST_IPV4 || public.iter().any(|network| is_too_wide(&network)) {
        let shown: Vec<_> = networks.iter().map(IpNet::to_string).collect();
        let what = format_args!("server.trusted_proxies = {}", shown.join(", "));
        return vec![Finding::new(&TRUSTS_STRANGERS, what)];
    }
    let trusts = |private: &IpNet| all.iter().any(|network| network.contains(private));
    if private.iter().all(trusts) {
        let what = "server.trusted_proxies holds 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16";
        return vec![Finding::new(&TRUSTS_EVERY_PRIVATE_NETWORK, what)];
    }
    Vec::new()
}

/// Returns how many IPv4 addresses a network has, IPv4-mapped ones (RFC 4291) included.
fn ipv4_addresses(network: &IpNet) -> Option<u64> {
    let bits = match network {
        IpNet::V4(four) => 32 - four.prefix_len(),
        IpNet::V6(six) => {
            six.addr().to_ipv4_mapped()?;
            128_u8.saturating_sub(six.prefix_len()).min(32)
        }
    };
    Some(1 << bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(networks: &[&str]) -> Vec<&'static str> {
        let networks: Vec<IpNet> =
            networks.iter().map(|network| network.parse().unwrap()).collect();
        judge_proxies(&networks).iter().map(|finding| finding.rule().id).collect()
    }

    #[test]
    fn networks_are_judged_together() {
        for wide in [
            &["0.0.0.0/1", "128.0.0.0/1"][..],
            &["0.0.0.0/2"],
            &["203.0.0.0/7"],
            &["44.0.0.0/8", "45.0.0.0/9"],
            &["::/1"],
            &["2000::/3"],
            &["::ffff:0.0.0.0/97"],
        ] {
            assert_eq!(ids(wide), ["PAL107"], "{wide:?}");
        }
        let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
        assert_eq!(ids(&private), ["PAL108"]);
        let no_ids: [&str; 0] = [];
        for fine in [&[][..], &["127.0.0.1/32"], &["10.0.0.0/8"], &["173.245.48.0/20", "fd00::/8"]]
        {
            assert_eq!(ids(fine), no_ids, "{fine:?}");
        }
    }
}
