//! What can be found from outside.

crate::rules! {
    /// What answers.
    pub(in crate::check) RULES;

    /// Nobody is there.
    UNREACHABLE = "PAL901", Error, Live {
        title: "Nothing answers there as a service does.",
        why: "Clients find nobody, or this machine is not let through.",
        mend: "Start the service, and correct --url: a scheme, a host and a port.",
    }
    /// What is sent can be read on its way.
    IN_THE_CLEAR = "PAL902", Error, Live {
        title: "The service is reached by plain HTTP from another machine.",
        why: "Passwords and tokens cross the network in the clear.",
        mend: "Serve it by TLS, and name it with https.",
    }
    /// A browser is not held back.
    NO_SECURITY_HEADER = "PAL903", Error, Live {
        title: "An answer lacks a header that holds browsers back.",
        why: "A browser may then take data for a page, run it, frame it, or tell others where it \
              came from (OWASP ASVS 5.0, 3.4).",
        mend: "The service sends them on every answer: find what in front of it takes them away, \
               or answers by itself.",
    }
    /// It tells what it is made of.
    TELLS_ITS_MAKER = "PAL904", Warning, Live {
        title: "Answers tell which program and which version makes them.",
        why: "Whoever looks for a known hole need not try.",
        mend: "The service sends neither Server nor X-Powered-By: have what stands in front of it \
               leave them out.",
    }
    /// An error is no problem document.
    OTHER_ERRORS = "PAL905", Warning, Live {
        title: "An error is not answered as a problem document (RFC 9457).",
        why: "Clients cannot tell what went wrong, and something else than the service answers, \
              which may tell more than it should.",
        mend: "Have what stands in front of the service pass its errors on.",
    }
    /// An error tells about the inside.
    LEAKS = "PAL906", Error, Live {
        title: "An error tells about the inside of the service.",
        why: "Paths, names of libraries and texts of inner errors help an attacker, and may hold \
              data of others.",
        mend: "Answer with public words and log the cause.",
    }
    /// Browsers may come without TLS.
    NO_STRICT_TRANSPORT = "PAL907", Warning, Live {
        title: "Answers do not tell browsers to insist on TLS for half a year or more.",
        why: "A browser's next first request may be in the clear, where anybody on the way can \
              answer it.",
        mend: "Send Strict-Transport-Security (RFC 6797): the service does with tls.mode = \
               \"files\", else the proxy in front has to.",
    }
    /// Nobody vouches for the certificate.
    UNTRUSTED = "PAL910", Error, Live {
        title: "The certificate is not vouched for by anybody whom clients trust.",
        why: "Clients refuse the service, or were taught to accept every certificate.",
        mend: "Serve the whole chain of a certificate that an authority has issued; name an \
               authority of your own with --ca.",
    }
    /// It names somebody else.
    WRONG_NAME = "PAL911", Error, Live {
        title: "The certificate that is served is not for this host.",
        why: "Clients refuse the service.",
        mend: "Have a certificate made for this name.",
    }
    /// It has ended, or does so within days.
    EXPIRED = "PAL912", Error, Live {
        title: "The certificate that is served has ended, or ends within 7 days.",
        why: "From then on every client refuses the service.",
        mend: "Renew it. If the file is new already, what answers has not read it again.",
    }
    /// It should have been renewed.
    ENDS_SOON = "PAL913", Warning, Live {
        title: "The certificate that is served ends within 30 days.",
        why: "Renewal should have happened by now.",
        mend: "Find out why it was not renewed, or not read again.",
    }
    /// Versions of TLS that are broken are spoken.
    OLD_TLS = "PAL914", Error, Live {
        title: "TLS 1.1 or 1.0 is spoken.",
        why: "Both are broken and forbidden (RFC 8996).",
        mend: "The service speaks neither: switch them off in what stands in front of it.",
    }
    /// Who is asked is left open.
    ANY_HOST = "PAL915", Error, Live {
        title: "A request without exactly one Host is served.",
        why: "Two readers on the way may send it to two places (RFC 9112, section 3.2): caches \
              are poisoned and rules passed that way.",
        mend: "Have what stands in front of the service refuse it with 400.",
    }
    /// Headers may be huge.
    HUGE_HEADERS = "PAL917", Warning, Live {
        title: "A request with 64 KiB of headers is served.",
        why: "Memory for them is taken before anybody is asked who it is.",
        mend: "Have it refused with 431.",
    }
    /// Bodies may be huge.
    HUGE_BODIES = "PAL918", Warning, Live {
        title: "A body of 64 MiB is not refused when it is announced.",
        why: "Anybody may send it: the disk or the memory of what stands in front fills up.",
        mend: "Have it refused with 413.",
    }
    /// No route could be tried.
    NOT_TRIED = "PAL919", Note, Live {
        title: "No route was found to which anybody may send JSON.",
        why: "Malformed and huge bodies were not tried.",
        mend: "Nothing, if there is no such route; else serve /openapi.json.",
    }
    /// The request comes back.
    TRACE = "PAL920", Error, Live {
        title: "TRACE is answered.",
        why: "It repeats the request with its credentials, to whoever made a browser ask (RFC \
              9110, section 9.3.8).",
        mend: "Switch it off in what stands in front of the service.",
    }
    /// The inside is told to strangers.
    ADMIN_IN_PUBLIC = "PAL921", Error, Live {
        title: "Health or metrics are answered to strangers.",
        why: "They tell how busy the service is, what it refuses and which routes it has.",
        mend: "Pass only the public listener on; what the admin listener says is for this machine.",
    }
    /// TLS can be left out.
    PLAIN_BESIDE_TLS = "PAL922", Error, Live {
        title: "Plain HTTP is served on the port of TLS.",
        why: "Clients that are led there send their tokens in the clear.",
        mend: "Have it refused.",
    }
    /// HTTP/2 is not offered.
    NO_HTTP2 = "PAL923", Note, Live {
        title: "HTTP/2 is not offered.",
        why: "Clients open more connections than they need.",
        mend: "Offer h2 in ALPN, as the service itself does.",
    }
    /// The two clocks differ.
    OTHER_TIME = "PAL924", Warning, Live {
        title: "The clock of what answers and the one here differ by more than 5 minutes.",
        why: "One of the two is wrong: certificates, sessions and one-time codes depend on it.",
        mend: "Have both clocks kept by NTP.",
    }
}
