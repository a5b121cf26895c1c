//! The ways in which a secret may be written.

use data_encoding::{BASE64, BASE64URL, HEXLOWER};

/// Returns the ways to write `secret`: a name, the bytes, and whether the case of letters is free.
pub(super) fn of(secret: &[u8]) -> Vec<(&'static str, Vec<u8>, bool)> {
    let mut forms = vec![
        ("plain text", secret.to_vec(), false),
        ("hexadecimal", HEXLOWER.encode(secret).into_bytes(), true),
        ("URL encoding", percent(secret, |byte| byte.is_ascii_alphanumeric()), true),
        ("URL encoding", percent(secret, is_unreserved), true),
        ("URL encoding", percent(secret, |_| false), true),
        ("a form field", form_field(secret), true),
        ("a list of bytes", list(secret, ", ", |byte| byte.to_string()), false),
        ("a list of bytes", list(secret, ",", |byte| byte.to_string()), false),
        ("a list of bytes", list(secret, ", ", |byte| format!("{byte:02x}")), true),
        ("a list of bytes", list(secret, ", ", |byte| format!("{byte:x}")), true),
        ("UTF-16", secret.iter().flat_map(|byte| [*byte, 0]).collect(), false),
        ("backwards", secret.iter().rev().copied().collect(), false),
    ];
    if let Ok(text) = std::str::from_utf8(secret) {
        let quoted = serde_json::Value::from(text).to_string();
        forms.push(("JSON", quoted.trim_matches('"').into(), false));
        forms.push(("Rust", format!("{text:?}").trim_matches('"').into(), false));
    }
    for offset in 0..3 {
        forms.push(("base64", inner_base64(&BASE64, offset, secret), false));
        forms.push(("base64", inner_base64(&BASE64URL, offset, secret), false));
    }
    forms
}

/// Returns what is left of base64 when `offset` unknown bytes stand in front of the secret and
/// any number behind it.
fn inner_base64(encoding: &data_encoding::Encoding, offset: usize, secret: &[u8]) -> Vec<u8> {
    let shifted = [vec![0; offset], secret.to_vec()].concat();
    let text = encoding.encode(&shifted).into_bytes();
    // A character is six bits: the first ones hold bits of what is in front, the last ones of
    // what is behind.
    let first = (offset * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    text.get(first..last).unwrap_or_default().to_vec()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn percent(secret: &[u8], is_kept: impl Fn(u8) -> bool) -> Vec<u8> {
    let written = |byte: &u8| if is_kept(*byte) { vec![*byte] } else { escaped(*byte) };
    secret.iter().flat_map(written).collect()
}

fn form_field(secret: &[u8]) -> Vec<u8> {
    let written = |byte: &u8| match *byte {
        b' ' => vec![b'+'],
        byte if is_unreserved(byte) => vec![byte],
        byte => escaped(byte),
    };
    secret.iter().flat_map(written).collect()
}

fn escaped(byte: u8) -> Vec<u8> {
    format!("%{byte:02X}").into_bytes()
}

fn list(secret: &[u8], separator: &str, written: impl Fn(&u8) -> String) -> Vec<u8> {
    let numbers: Vec<String> = secret.iter().map(written).collect();
    numbers.join(separator).into_bytes()
}
