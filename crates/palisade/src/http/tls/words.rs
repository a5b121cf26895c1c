//! What other libraries say about certificates and keys, in words for whoever has to mend it.
//!
//! Their own words are kept where they are words; what shows the inside of their types is not.

use rustls::pki_types::pem;
use rustls::{CertificateError, Error};

/// Says what rustls found wrong.
pub(super) fn said(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(wrong) => said_of_certificate(wrong),
        Error::InconsistentKeys(_) => "the key and the certificate do not belong together".into(),
        Error::NoCertificatesPresented => "there is no certificate".into(),
        // It speaks of keys that it cannot read, in words.
        Error::General(words) => words.clone(),
        other => other.to_string(),
    }
}

fn said_of_certificate(wrong: &CertificateError) -> String {
    let words = match wrong {
        CertificateError::BadEncoding => "the certificate is damaged: it cannot be read",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "a certificate has ended"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "a certificate is not valid yet"
        }
        CertificateError::UnknownIssuer => {
            "no authority that is trusted here has issued it, or a certificate in between is \
             missing from the chain"
        }
        CertificateError::BadSignature => "the signature of a certificate is not its issuer's",
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "a certificate is signed in a way that clients do not accept, such as over SHA-1"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "a certificate is not for servers: its extended key usage leaves serverAuth out"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for other names"
        }
        CertificateError::UnhandledCriticalExtension => {
            "a certificate has a critical extension that nobody here knows"
        }
        CertificateError::Other(cause) => return said_of_another(&cause.0.to_string()),
        _ => "the certificate cannot be used for a server",
    };
    words.to_owned()
}

/// Says what the verifier has no variant of its own for; its words are names of variants.
fn said_of_another(name: &str) -> String {
    let words = match name {
        "CaUsedAsEndEntity" => {
            "it is the certificate of an authority, which is not for servers: put the server's own \
             first"
        }
        "EndEntityUsedAsCa" => {
            "a certificate in the chain was issued by one that is no authority's"
        }
        "UnsupportedCertVersion" => "it is not of version 3 of X.509; have it made anew",
        "NameConstraintViolation" => {
            "an authority in the chain may not issue certificates for its names"
        }
        "PathLenConstraintViolated" | "MaximumPathDepthExceeded" => "the chain is too long",
        _ => return format!("the certificate is not accepted ({})", apart(name)),
    };
    words.to_owned()
}

/// Puts the words apart that a name in capitals runs together, up to what is no letter of it.
fn apart(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars().take_while(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// Says what is wrong with PEM, without what stands in the file.
pub(super) fn said_of_pem(error: &pem::Error) -> String {
    let words = match error {
        pem::Error::MissingSectionEnd { .. } => {
            "a line -----END ...----- is missing: it is cut off"
        }
        pem::Error::IllegalSectionStart { .. } => "a line -----BEGIN ...----- is damaged",
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is not base64",
        pem::Error::NoItemsFound => "nothing of the kind is in it",
        pem::Error::SectionTooLarge => "it is too large",
        pem::Error::Io(error) => return error.to_string(),
        _ => "it cannot be read",
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Named(&'static str);

    #[test]
    fn no_inside_of_a_type_is_shown() {
        let other = |name| CertificateError::Other(OtherError(Arc::new(Named(name)))).into();
        for (error, expected) in [
            (other("CaUsedAsEndEntity"), "the certificate of an authority"),
            (other("SomethingNew { of: 3 }"), "not accepted (something new)"),
            (CertificateError::BadEncoding.into(), "is damaged"),
            (CertificateError::UnknownIssuer.into(), "no authority that is trusted"),
        ] {
            let words = said(&error);
            assert!(words.contains(expected), "{words}");
            let is_debug = |word: &&str| words.contains(word);
            assert_eq!(["Other", "Error", "{", "\""].iter().find(|word| is_debug(word)), None);
        }
        let cut = pem::Error::MissingSectionEnd { end_marker: b"-----END".to_vec() };
        assert!(!said_of_pem(&cut).contains('['), "bytes are no words");
    }
}
