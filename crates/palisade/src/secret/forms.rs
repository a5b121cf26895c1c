//! The ways in which a secret may be written, in each of which it must be found.

use data_encoding::{
    BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXLOWER_PERMISSIVE,
    HEXUPPER,
};
use zeroize::Zeroizing;

use super::escape::escape;
use super::finder::LEAST_BYTES;

/// One writing; wiped when dropped.
pub(super) type Form = Zeroizing<Vec<u8>>;

/// Returns every form of `secret`, the plain one first. What is itself the encoding of bytes, as
/// a key in base64url is, also has the forms of those bytes.
pub(super) fn of(secret: &[u8]) -> Vec<Form> {
    let mut forms = vec![Form::new(secret.to_vec())];
    if let Ok(text) = std::str::from_utf8(secret) {
        add_texts(text, &mut forms);
    }
    add_bytes(secret, &mut forms);
    if let Some(bytes) = decoded(secret).filter(|bytes| bytes.len() >= LEAST_BYTES) {
        add_bytes(&bytes, &mut forms);
    }
    forms
}

/// Adds the ways to write a text: in JSON, for a person who debugs, both of these inside JSON,
/// and in a URL.
fn add_texts(text: &str, forms: &mut Vec<Form>) {
    let debugged = Form::new(format!("{text:?}").into_bytes());
    // Without the quotes.
    let debugged: Form = debugged.get(1..debugged.len() - 1).unwrap_or_default().to_vec().into();
    let written = [in_json(text.as_bytes()), in_log(text.as_bytes()), debugged];
    forms.extend(written.iter().flat_map(|form| [in_json(form), in_log(form)]));
    forms.extend(written);
    for set in [UNRESERVED, COMPONENT, FORM, USER_INFO] {
        for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
            forms.push(in_url(text.as_bytes(), (set, digits), b"%20"));
            forms.push(in_url(text.as_bytes(), (set, digits), b"+"));
        }
    }
}

/// Adds the ways to write bytes: in hex, in base64 wherever in a longer value they stand, as a
/// list of numbers (`[12, 34]`, `[c, 22]`), and with escapes (`b"\x8f"`).
fn add_bytes(bytes: &[u8], forms: &mut Vec<Form>) {
    for encoding in [HEXLOWER, HEXUPPER] {
        forms.push(Form::new(encoding.encode(bytes).into_bytes()));
    }
    for encoding in [BASE64_NOPAD, BASE64URL_NOPAD] {
        forms.extend((0..3).map(|before| inside_base64(&encoding, before, bytes)));
    }
    let written: [fn(&u8) -> String; 5] = [
        ToString::to_string,
        |byte| format!("{byte:x}"),
        |byte| format!("{byte:X}"),
        |byte| format!("{byte:02x}"),
        |byte| format!("{byte:02X}"),
    ];
    for written in written {
        let numbers: Zeroizing<Vec<String>> = Zeroizing::new(bytes.iter().map(written).collect());
        forms.push(Form::new(numbers.join(", ").into_bytes()));
    }
    let escaped = Form::new(bytes.escape_ascii().to_string().into_bytes());
    forms.push(in_json(&escaped));
    forms.push(escaped);
}

/// Returns what the base64 of a longer value holds of `bytes` if `before` bytes, modulo 3, stand
/// in front of them. The characters that also depend on a neighbour are left out.
fn inside_base64(encoding: &Encoding, before: usize, bytes: &[u8]) -> Form {
    let padded: Form = [0; 2].iter().take(before).chain(bytes).copied().collect::<Vec<_>>().into();
    let mut symbols = Form::new(encoding.encode(&padded).into_bytes());
    symbols.truncate(padded.len() * 8 / 6);
    symbols.drain(..(before * 8).div_ceil(6));
    symbols
}

/// Returns the bytes that `text` is the hex or base64 of.
fn decoded(text: &[u8]) -> Option<Form> {
    let encodings = [HEXLOWER_PERMISSIVE, BASE64URL_NOPAD, BASE64URL, BASE64_NOPAD, BASE64];
    encodings.iter().find_map(|encoding| encoding.decode(text).ok()).map(Form::new)
}

/// Escapes what JSON must escape, as `serde_json` does, and nothing else.
fn in_json(text: &[u8]) -> Form {
    let mut out = Form::new(Vec::with_capacity(text.len() * 6));
    for byte in text {
        match byte {
            0..b' ' | b'"' | b'\\' => escape(char::from(*byte).encode_utf8(&mut [0; 1]), &mut out),
            _ => out.push(*byte),
        }
    }
    out
}

/// Escapes as the log does; what is no text is left as it is.
fn in_log(text: &[u8]) -> Form {
    let mut out = Form::new(Vec::with_capacity(text.len() * 6));
    match std::str::from_utf8(text) {
        Ok(text) => escape(text, &mut out),
        Err(_) => out.extend_from_slice(text),
    }
    out
}

/// Encodes all but letters, digits and those in `plain` with `digits`, and a space as `space`.
fn in_url(text: &[u8], (plain, digits): (&[u8], &[u8; 16]), space: &[u8]) -> Form {
    let mut out = Form::new(Vec::with_capacity(text.len() * 3));
    for byte in text {
        match byte {
            b' ' => out.extend_from_slice(space),
            _ if byte.is_ascii_alphanumeric() || plain.contains(byte) => out.push(*byte),
            _ => {
                let digit = |half: u8| digits.get(usize::from(half)).copied().unwrap_or_default();
                out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    out
}

/// What strict encoders leave alone (RFC 3986, section 2.3).
const UNRESERVED: &[u8] = b"-._~";
/// What `encodeURIComponent` leaves alone.
const COMPONENT: &[u8] = b"-._~!*'()";
/// What forms leave alone (`application/x-www-form-urlencoded`).
const FORM: &[u8] = b"-._*";
/// What the user information of a URL may hold (RFC 3986, section 3.2.1).
const USER_INFO: &[u8] = b"-._~!$&'()*+,;=";
