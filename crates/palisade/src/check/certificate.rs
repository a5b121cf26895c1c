//! The certificate and its key, as they lie on the disk.

use std::io::ErrorKind;
use std::time::Duration;

use super::owners::{Holder, this_user};
use super::process::becomes;
use super::settings::public_url;
use super::{Deployment, Finding, Rule};
use crate::clock::Timestamp;
use crate::http::{Chain, TlsError, TlsFiles, TlsMode, TlsSection, Validity};

crate::rules! {
    /// The certificate.
    pub(super) RULES;

    /// TLS could not be served.
    UNUSABLE = "PAL501", Error, Tls, stops the start {
        title: "The certificate or its key cannot be used.",
        why: "Without both there is no TLS, and off loopback no service.",
        mend: "Correct tls.certificate and tls.key: two PEM files that the service's user may \
               read, the service's own certificate first.",
    }
    /// Certificate and key are of two pairs.
    MISMATCH = "PAL502", Error, Tls, stops the start {
        title: "The key does not belong to the certificate.",
        why: "Nobody could prove to be whom the certificate names. A renewal may be half done.",
        mend: "Put the key there that the certificate was made for.",
    }
    /// Others have the key.
    KEY_OPEN = "PAL503", Error, Tls, stops the start {
        title: "Others may read the private key.",
        why: "Whoever has it can pretend to be the service until the certificate is revoked.",
        mend: "`chmod 600` it; if others were there, have a new certificate made with a new key.",
    }
    /// Somebody else owns the key.
    KEY_FOREIGN = "PAL504", Error, Tls {
        title: "The private key belongs to another user.",
        why: "Its owner can read and replace it.",
        mend: "`chown` it to root or to the service's user.",
    }
    /// It has ended, or does so within days.
    EXPIRED = "PAL505", Error, Tls {
        title: "The certificate has ended, or ends within 7 days.",
        why: "From then on every client refuses the service. For a certificate that is good for \
              less than 70 days, the last tenth of its time counts.",
        mend: "Renew it, and find out why that did not happen by itself. It is served within 4 \
               seconds, without a restart.",
    }
    /// It should have been renewed.
    ENDS_SOON = "PAL506", Warning, Tls {
        title: "The certificate ends within 30 days.",
        why: "Renewal should have happened by now: ACME clients renew with a third of the time \
              left. For a certificate that is good for less than 90 days, the last third of its \
              time counts.",
        mend: "Find out why it was not renewed.",
    }
    /// It begins later.
    NOT_YET = "PAL508", Error, Tls {
        title: "The certificate is not valid yet.",
        why: "Every client refuses it, or the clock of this machine is behind.",
        mend: "Set the clock, or use the present certificate until the new one begins.",
    }
    /// The key is too weak.
    WEAK_KEY = "PAL509", Error, Tls {
        title: "The key of the certificate is too weak.",
        why: "Clients refuse RSA keys of fewer than 2048 bits (NIST SP 800-131A), and curves that \
              they do not speak.",
        mend: "Have a certificate made for a new key: ECDSA on P-256, or RSA with 2048 bits or \
               more.",
    }
    /// It does not name the service.
    WRONG_NAME = "PAL510", Error, Tls {
        title: "The certificate does not name the host of server.public_url.",
        why: "Clients that come by that name refuse the service.",
        mend: "Have a certificate made for that name, or correct server.public_url.",
    }
    /// Nobody vouches for it.
    SELF_SIGNED = "PAL511", Warning, Tls {
        title: "The certificate was issued by itself.",
        why: "Only clients that were given this very certificate can trust it; others are taught \
              to look away.",
        mend: "Have it issued by an authority, one of your own if need be; or silence this with \
               how clients get the certificate.",
    }
    /// The chain leads nowhere.
    BROKEN_CHAIN = "PAL512", Error, Tls {
        title: "The certificates of the chain are in the wrong order, or one is missing.",
        why: "Some clients find their way, others refuse the service.",
        mend: "Put the service's own certificate first, and behind each the one that issued it \
               (often called fullchain.pem).",
    }
    /// There is no chain.
    ALONE = "PAL513", Note, Tls {
        title: "The file holds the service's own certificate and no other.",
        why: "That is right only if a root that clients trust has issued it directly; public \
              authorities put an intermediate certificate in between.",
        mend: "Use the file with the whole chain (often called fullchain.pem), if there is one.",
    }
    /// An authority's own certificate has ended.
    CHAIN_EXPIRED = "PAL514", Error, Tls {
        title: "A certificate of the chain has ended.",
        why: "Clients that follow it refuse the service.",
        mend: "Get the present chain from whoever issued the certificate.",
    }
    /// It is for something else.
    NOT_FOR_SERVERS = "PAL515", Error, Tls {
        title: "A certificate is not for servers.",
        why: "Its extended key usage leaves serverAuth out (RFC 5280, section 4.2.1.12), so every \
              client refuses the service.",
        mend: "Have it issued for a server: `extendedKeyUsage = serverAuth`, where openssl makes \
               it.",
    }
    /// Its signature can be forged.
    FORGEABLE = "PAL516", Error, Tls {
        title: "A certificate is signed over a digest that can be forged.",
        why: "Clients refuse signatures over SHA-1 and MD5 (RFC 8446, section 4.4.2.4), because \
              others could make a certificate of their own that has the same.",
        mend: "Have it issued anew, signed over SHA-256.",
    }
    /// Others can put another certificate there.
    FILE_OPEN = "PAL517", Error, Tls {
        title: "Others can change the file of the certificate.",
        why: "Whoever writes there decides what clients are shown, and whether the service \
              starts: with a certificate that does not fit the key there is no TLS.",
        mend: "`chown` it to root or to the service's user, and `chmod go-w` it.",
    }
}

/// Returns what keeps TLS from being served.
pub(super) fn fatal(tls: &TlsSection) -> Vec<Finding> {
    if tls.mode != TlsMode::Files {
        return Vec::new();
    }
    let Some(files) = files(tls) else { return missing(tls) };
    let Err(error) = files.check() else { return Vec::new() };
    let rule = match error {
        TlsError::SharedKey { .. } => &KEY_OPEN,
        TlsError::Mismatch { .. } => &MISMATCH,
        _ => &UNUSABLE,
    };
    vec![Finding::new(rule, format_args!("[tls]: {error}"))]
}

/// Names each file that is not set, or not there.
pub(super) fn absent(tls: &TlsSection) -> Vec<Finding> {
    if tls.mode != TlsMode::Files {
        return Vec::new();
    }
    let files = [("certificate", &tls.certificate), ("key", &tls.key)];
    let set = files.into_iter().filter_map(|(key, file)| file.as_ref().map(|file| (key, file)));
    let absent = set.filter(|(_, file)| {
        file.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
    });
    let absent = absent.map(|(key, file)| {
        let what = format_args!("tls.{key} names {}, which is not there", file.display());
        Finding::new(&UNUSABLE, what)
    });
    missing(tls).into_iter().chain(absent).collect()
}

/// Names each file that is not set.
fn missing(tls: &TlsSection) -> Vec<Finding> {
    let both = [("certificate", &tls.certificate), ("key", &tls.key)];
    let missing = both.into_iter().filter(|(_, file)| file.is_none());
    missing
        .map(|(key, _)| {
            let what = format_args!("tls.{key} is not set, and tls.mode = \"files\" needs it");
            Finding::new(&UNUSABLE, what)
        })
        .collect()
}

pub(super) fn judge(deployment: &Deployment<'_>) -> Vec<Finding> {
    let mut findings = fatal(deployment.tls);
    let Some(files) = files(deployment.tls).filter(|_| deployment.tls.mode == TlsMode::Files)
    else {
        return findings;
    };
    findings.extend(judge_holders(&files, becomes(deployment.sandbox)));
    let Ok(chain) = Chain::from_file(&files.certificate) else { return findings };
    findings.extend(judge_chain(&chain, deployment.now));
    findings.extend(judge_use(&chain));
    let url = public_url(deployment);
    let host = url.as_ref().and_then(http::Uri::host);
    findings.extend(host.and_then(|host| judge_names(&chain, host, &WRONG_NAME)));
    findings
}

fn judge_holders(files: &TlsFiles, user: Option<u32>) -> impl Iterator<Item = Finding> {
    let foreign = Holder::of(&files.key).filter(|key| key.is_foreign(user)).map(|key| {
        let what = format_args!("{}, the user here is {}", key.said(), this_user());
        Finding::new(&KEY_FOREIGN, what)
    });
    let is_open =
        |file: &Holder| file.is_open_to_all() || file.is_open_to_group() || file.is_foreign(user);
    let open = Holder::of(&files.certificate).filter(is_open);
    foreign.into_iter().chain(open.map(|file| Finding::new(&FILE_OPEN, file.said())))
}

/// Says that the certificate of `chain` is not for `host`, if that is so, and for whom it is.
pub(super) fn judge_names(chain: &Chain, host: &str, rule: &'static Rule) -> Option<Finding> {
    let names = chain.covers(host).err()?;
    let names = if names.is_empty() {
        "it has none (subjectAltName); a common name does not count".to_owned()
    } else {
        names.join(", ")
    };
    Some(Finding::new(rule, format_args!("{host} is not among its names: {names}")))
}

fn judge_use(chain: &Chain) -> impl Iterator<Item = Finding> {
    let other = chain.first_not_for_servers().map(|place| {
        let what =
            format_args!("the extended key usage of certificate {place} leaves out serverAuth");
        Finding::new(&NOT_FOR_SERVERS, what)
    });
    let forgeable = chain.first_weak_digest().map(|(place, digest)| {
        Finding::new(&FORGEABLE, format_args!("certificate {place} is signed over {digest}"))
    });
    other.into_iter().chain(forgeable)
}

fn files(tls: &TlsSection) -> Option<TlsFiles> {
    let (certificate, key) = tls.certificate.clone().zip(tls.key.clone())?;
    Some(TlsFiles { certificate, key })
}

fn judge_chain(chain: &Chain, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, validity) in (1..).zip(chain.validities()) {
        let Some(validity) = validity else { continue };
        let due = match place {
            1 => judge_time(validity, now, [&EXPIRED, &ENDS_SOON, &NOT_YET]),
            _ if validity.has_ended(now) => {
                let what = format_args!("certificate {place} ended at {}", validity.not_after);
                Some(Finding::new(&CHAIN_EXPIRED, what))
            }
            _ => None,
        };
        findings.extend(due);
    }
    findings.extend(chain.weak_key().map(|key| Finding::new(&WEAK_KEY, key)));
    if chain.is_self_signed() {
        findings.push(Finding::new(&SELF_SIGNED, "its issuer is its subject"));
    } else if chain.count() == 1 {
        findings.push(Finding::new(&ALONE, "there is one certificate in the file"));
    }
    let gap = chain.first_gap().map(|place| {
        let what = format_args!("certificate {place} was not issued by certificate {}", place + 1);
        Finding::new(&BROKEN_CHAIN, what)
    });
    findings.extend(gap);
    findings
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Judges from when and until when a server's certificate is good, by the rules for one that has
/// ended or nearly so, one that should have been renewed, and one that begins later.
pub(super) fn judge_time(
    validity: Validity,
    now: Timestamp,
    [ended, soon, not_yet]: [&'static Rule; 3],
) -> Option<Finding> {
    let Validity { not_before, not_after } = validity;
    if now < not_before {
        return Some(Finding::new(not_yet, format_args!("it begins at {not_before}")));
    }
    let whole = not_after.as_millis().saturating_sub(not_before.as_millis());
    let part = |of: i64| Duration::from_millis(u64::try_from(whole / of).unwrap_or_default());
    let ends_within = |time: Duration| now.after(time) > not_after;
    let rule = if ends_within(part(10).min(DAY * 7)) {
        ended
    } else if ends_within(part(3).min(DAY * 30)) {
        soon
    } else {
        return None;
    };
    Some(Finding::new(rule, format_args!("it ends at {not_after}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(whole_days: u32, days_left: u32) -> Option<&'static str> {
        let not_before = Timestamp::from_millis(1_000_000_000_000);
        let not_after = not_before.after(DAY * whole_days);
        let now = not_after.before(DAY * days_left);
        let found =
            judge_time(Validity { not_before, not_after }, now, [&EXPIRED, &ENDS_SOON, &NOT_YET]);
        found.map(|finding| finding.rule().id)
    }

    #[test]
    fn the_end_is_told_in_time_also_of_short_lives() {
        for (whole, left, expected) in [
            (365, 31, None),
            (365, 29, Some("PAL506")),
            (365, 6, Some("PAL505")),
            (90, 31, None),
            (90, 29, Some("PAL506")),
            (90, 6, Some("PAL505")),
            (47, 16, None),
            (47, 15, Some("PAL506")),
            (47, 4, Some("PAL505")),
            (6, 3, None),
            (6, 1, Some("PAL506")),
            (6, 0, Some("PAL505")),
        ] {
            assert_eq!(id(whole, left), expected, "{left} of {whole} days are left");
        }
    }
}
