//! All that the labels of the edge can be.

use crate::telemetry::metrics::Label as _;

crate::label! {
    /// Which listener counts.
    pub enum Listener in "listener" {
        /// The one for everybody.
        Public = "public",
        /// The one for whoever runs the service.
        Admin = "admin",
    }
}

crate::label! {
    /// What an answer's status means (RFC 9110, section 15).
    pub enum StatusClass in "status_class" {
        /// All went well.
        Successful = "2xx",
        /// The client should look elsewhere, or has it already.
        Redirection = "3xx",
        /// The client is at fault.
        ClientError = "4xx",
        /// The service is at fault.
        ServerError = "5xx",
    }
}

impl StatusClass {
    /// Returns the class of `status`. No answer of ours is below 200 or above 599, so one that is
    /// would be the service's fault.
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Successful,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

crate::label! {
    /// Why the edge itself refused a request.
    pub enum Refusal in "reason" {
        /// No host, two, or a malformed one.
        BadHost = "bad_host",
        /// The address is too long.
        UriTooLong = "uri_too_long",
        /// Too many header lines, or too large ones.
        HeadersTooLarge = "headers_too_large",
        /// The service is on its way to its end.
        Draining = "draining",
        /// Too many requests are worked on.
        InFlight = "in_flight",
        /// Too much of earlier answers was not taken in.
        Unsent = "unsent",
        /// The time for the whole request was over.
        Deadline = "deadline",
        /// The client went away before its answer was there.
        Abandoned = "abandoned",
        /// The body is larger than the route takes.
        BodyTooLarge = "body_too_large",
        /// The body came too slowly.
        BodyTooSlow = "body_too_slow",
        /// The parser answered 400 before there was a request.
        Unreadable400 = "unreadable_400",
        /// The head of a request never came to its end.
        Unreadable408 = "unreadable_408",
        /// The parser answered 414 before there was a request.
        Unreadable414 = "unreadable_414",
        /// The parser answered 431 before there was a request.
        Unreadable431 = "unreadable_431",
        /// The parser answered with another status before there was a request.
        UnreadableOther = "unreadable_other",
    }
}

impl Refusal {
    /// Returns the reason for a request that the parser refused with `status`.
    pub fn unreadable(status: u16) -> Self {
        match status {
            400 => Self::Unreadable400,
            408 => Self::Unreadable408,
            414 => Self::Unreadable414,
            431 => Self::Unreadable431,
            _ => Self::UnreadableOther,
        }
    }
}

crate::label! {
    /// Why HTTP/2 itself refused a stream or a connection (RFC 9113, section 7).
    pub enum Http2Error in "code" {
        /// What came is malformed, in a way that has no code of its own.
        Protocol = "protocol_error",
        /// An answer broke off on our side.
        Internal = "internal_error",
        /// More was sent than the window had room for, or the window grew beyond its limit.
        FlowControl = "flow_control_error",
        /// Settings were not acknowledged.
        SettingsTimeout = "settings_timeout",
        /// A frame came for a stream that was over.
        StreamClosed = "stream_closed",
        /// A frame had a length that its kind cannot have, or was too long.
        FrameSize = "frame_size_error",
        /// There were as many streams as there may be, and it was not looked at.
        RefusedStream = "refused_stream",
        /// Our side wants no more of it.
        Cancel = "cancel",
        /// The fields cannot be unpacked.
        Compression = "compression_error",
        /// What a CONNECT led to broke off.
        Connect = "connect_error",
        /// Too much came of what costs more than it says.
        EnhanceYourCalm = "enhance_your_calm",
        /// TLS is too weak for it.
        InadequateSecurity = "inadequate_security",
        /// Only HTTP/1.1 will do.
        Http11Required = "http_1_1_required",
        /// A code that RFC 9113 does not know.
        Other = "other",
    }
}

impl Http2Error {
    /// Returns the error with this code; `None` for 0, which says that there is none.
    pub fn of(code: u32) -> Option<Self> {
        let place = usize::try_from(code).unwrap_or(usize::MAX).checked_sub(1)?;
        // They stand in the order of their codes.
        Some(Self::ALL.get(place).copied().unwrap_or(Self::Other))
    }
}

crate::label! {
    /// What a rate limit decided.
    pub enum Decision in "decision" {
        /// The request went on.
        Allowed = "allowed",
        /// It was answered 429.
        Refused = "refused",
    }
}

impl Decision {
    /// Returns what it was for a request that `is_allowed` or not.
    pub fn of(is_allowed: bool) -> Self {
        if is_allowed { Self::Allowed } else { Self::Refused }
    }
}

crate::label! {
    /// What a connection is doing.
    pub enum ConnectionState in "state" {
        /// It agrees on TLS.
        Handshake = "handshake",
        /// A request is worked on.
        Active = "active",
        /// It waits for a request.
        Idle = "idle",
    }
}

crate::label! {
    /// Why a connection ended.
    pub enum CloseReason in "reason" {
        /// Both sides were done with it.
        Done = "done",
        /// No request came for too long.
        Idle = "idle",
        /// The head of a request did not come in time.
        HeaderTimeout = "header_timeout",
        /// The TLS handshake did not end in time.
        HandshakeTimeout = "handshake_timeout",
        /// The TLS handshake failed.
        HandshakeFailed = "handshake_failed",
        /// The client did not take in its answer.
        WriteStalled = "write_stalled",
        /// It was open for as long as any may be.
        Age = "age",
        /// It carried as many requests as any may.
        Requests = "requests",
        /// The client gave up on its requests, one after the other.
        Abandoning = "abandoning",
        /// The client broke it off.
        Broken = "broken",
        /// What came on it was no request, or not HTTP/2.
        Unreadable = "unreadable",
        /// More came on it than requests and their bodies.
        Flooding = "flooding",
        /// Its address had as many as it may.
        PerIp = "per_ip",
        /// The service was on its way to its end.
        Draining = "draining",
        /// Its task ended without a word: a defect, or the process going down.
        Aborted = "aborted",
    }
}

crate::label! {
    /// How a TLS handshake ended.
    pub enum Handshake in "result" {
        /// Both sides agreed.
        Ok = "ok",
        /// They did not.
        Failed = "failed",
        /// It took too long.
        Timeout = "timeout",
    }
}
