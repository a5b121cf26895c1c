use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use proptest::prelude::*;

use super::*;

fn finder(secrets: &[&[u8]]) -> Finder {
    let mut finder = Finder::new();
    finder.add_prefix("ods_");
    secrets.iter().for_each(|secret| finder.add(secret).unwrap());
    finder
}

fn redacted(finder: &Finder, text: &str) -> String {
    String::from_utf8(finder.redact(text.as_bytes()).into_owned()).unwrap()
}

fn percent(text: &str, keep: &str, is_upper: bool) -> String {
    let encode = |byte: u8| match char::from(byte) {
        plain if plain.is_ascii_alphanumeric() || keep.contains(plain) => plain.to_string(),
        _ if is_upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(encode).collect()
}

/// Returns `text` without the quotes or brackets around it.
fn unwrapped(text: &str) -> String {
    text.get(1..text.len() - 1).unwrap().to_owned()
}

/// Every writing of `secret` that is promised to be found, made by others than `forms`.
fn writings(secret: &str) -> Vec<String> {
    let quoted = |text: &str| {
        let json = serde_json::to_string(text).unwrap();
        unwrapped(&json)
    };
    let logged = |text: &str| {
        let mut out = Vec::new();
        crate::secret::escape(text, &mut out);
        String::from_utf8(out).unwrap()
    };
    let debugged = format!("{secret:?}");
    let debugged = &unwrapped(&debugged);
    let numbers = format!("{:?}", secret.as_bytes());
    let hexadecimal = format!("{:02X?}", secret.as_bytes());
    vec![
        secret.to_owned(),
        quoted(secret),
        quoted(&quoted(secret)),
        debugged.clone(),
        quoted(debugged),
        logged(secret),
        logged(&quoted(secret)),
        logged(debugged),
        percent(secret, "-._~", false),
        percent(secret, "-._~", true),
        percent(secret, "-._~!*'()", true),
        percent(secret, "-._* ", true).replace(' ', "+"),
        HEXLOWER.encode(secret.as_bytes()),
        HEXUPPER.encode(secret.as_bytes()),
        unwrapped(&numbers),
        unwrapped(&hexadecimal),
        bytes::Bytes::copy_from_slice(secret.as_bytes()).escape_ascii().to_string(),
    ]
}

/// Eight bytes or more of any characters, those that are escaped among them.
fn secret() -> impl Strategy<Value = String> {
    let symbol = prop_oneof![any::<char>(), "[ -~]".prop_map(|text| text.chars().next().unwrap())];
    prop::collection::vec(symbol, 8..40).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn a_secret_is_replaced_in_every_writing_wherever_it_stands(
        secrets in prop::collection::vec(secret(), 1..4),
        before in "[^ods]{0,20}",
        behind in "\\PC{0,20}",
    ) {
        let bytes: Vec<&[u8]> = secrets.iter().map(String::as_bytes).collect();
        let finder = finder(&bytes);

        for writing in secrets.iter().flat_map(|secret| writings(secret)) {
            let said = redacted(&finder, &format!("{before}{writing}{behind}"));

            prop_assert!(!said.contains(&writing), "{writing:?} is left in {said:?}");
            prop_assert!(said.contains("[redacted]"));
            prop_assert!(said.starts_with(&before) || said.len() < before.len() + 10 + behind.len());
        }
    }

    #[test]
    fn a_secret_inside_of_base64_is_replaced_but_for_what_it_shares_with_its_neighbours(
        secret in prop::collection::vec(any::<u8>(), 8..40),
        before in prop::collection::vec(any::<u8>(), 0..10),
        behind in prop::collection::vec(any::<u8>(), 0..10),
    ) {
        let finder = finder(&[&secret]);
        let all = [&before[..], &secret, &behind].concat();

        for written in [BASE64.encode(&all), BASE64URL_NOPAD.encode(&all)] {
            let said = redacted(&finder, &written);

            let left = said.replace("[redacted]", "").len();
            let own = before.len() * 8 / 6 + 1 + behind.len() * 8 / 6 + 4;
            prop_assert!(said.contains("[redacted]") && left <= own + 2, "{written} {said}");
        }
    }

    #[test]
    fn text_without_a_secret_is_left_alone(
        secrets in prop::collection::vec("[a-f ]{8,9}", 1..20),
        text in "[a-f ]{0,60}",
    ) {
        let bytes: Vec<&[u8]> = secrets.iter().map(String::as_bytes).collect();
        let said = redacted(&finder(&bytes), &text);

        let is_in = secrets.iter().any(|secret| text.contains(secret.as_str()));
        prop_assert_eq!(said != text, is_in, "{}", said);
        prop_assert!(!secrets.iter().any(|secret| said.contains(secret.as_str())));
    }

    #[test]
    fn no_text_is_a_panic_or_changed_by_a_registry_of_others(text: String) {
        prop_assert_eq!(redacted(&finder(&[b"correct horse battery"]), &text), text);
    }

    #[test]
    fn what_begins_like_a_token_and_is_long_enough_is_replaced(
        before in "( |\"|=|%20|/)",
        token in "[A-Za-z0-9_-]{20,60}",
    ) {
        let said = redacted(&finder(&[]), &format!("x{before}ods_{token}\" y"));
        prop_assert_eq!(said, format!("x{before}[redacted]\" y"));
    }
}

#[test]
fn secrets_that_overlap_or_touch_leave_nothing_of_either() {
    let finder = finder(&[b"correct horse", b"horse battery"]);

    assert_eq!(redacted(&finder, "a correct horse battery b"), "a [redacted] b");
    assert_eq!(redacted(&finder, "correct horsehorse battery"), "[redacted]");
    assert_eq!(redacted(&finder, "correct horscorrect horse"), "correct hors[redacted]");
}

#[test]
fn the_longer_of_two_secrets_that_begin_alike_is_replaced() {
    for secrets in [[&b"correct horse"[..], b"correct horse battery"], [b"12345678", b"123456789"]]
    {
        let said = redacted(&finder(&secrets), std::str::from_utf8(secrets[1]).unwrap());
        assert_eq!(said, "[redacted]");
    }
}

#[test]
fn the_bytes_behind_a_key_in_base64_or_hex_are_replaced_too() {
    let key: Vec<u8> = (0..32_u8).map(|number| number.wrapping_mul(37) ^ 0x5a).collect();

    for written in [BASE64URL_NOPAD.encode(&key), HEXLOWER.encode(&key), BASE64.encode(&key)] {
        let finder = finder(&[written.as_bytes()]);
        for shown in [format!("{key:?}"), HEXUPPER.encode(&key), BASE64.encode(&key)] {
            let said = redacted(&finder, &shown);
            assert!(said.contains("[redacted]") && said.len() <= 14, "{shown} {said}");
        }
    }
}

#[test]
fn words_that_end_like_a_prefix_are_no_tokens() {
    let finder = finder(&[]);

    for plain in [
        "methods_that_are_allowed_here",
        "ods_tooshort",
        "pods_and_other_things_that_follow",
        "ods-0e17ANtzOYuuONzI8MsT_MJ8OkaM",
    ] {
        assert_eq!(redacted(&finder, plain), plain);
    }
    let inside = "xods_0e17ANtzOYuuONzI8MsT_MJ8OkaM";
    assert_eq!(redacted(&finder, inside), "x[redacted]");
    let many = "ods_".repeat(100_000);
    assert_eq!(redacted(&finder, &many), "[redacted]");
}

#[test]
fn a_secret_that_cannot_be_replaced_is_an_error_and_not_a_silence() {
    let mut finder = finder(&[]);
    assert_eq!(finder.add(b"s3cr3t!"), Err(Unregistered::TooShort));
    assert_eq!(redacted(&finder, "s3cr3t!"), "s3cr3t!");

    let number = |number: usize| format!("number {number:08}").into_bytes();
    for known in 0..MOST_SECRETS {
        assert_eq!(finder.add(&number(known)), Ok(()), "{known}");
    }

    assert_eq!(finder.add(&number(MOST_SECRETS)), Err(Unregistered::TooMany));
    assert_eq!(finder.add(&number(0)), Ok(()), "it is known already");
    assert_eq!(redacted(&finder, "number 00000000"), "[redacted]");
}

#[test]
fn what_is_kept_of_a_secret_is_not_the_secret() {
    let secret = b"correct horse battery staple";
    let finder = finder(&[secret]);

    let kept: Vec<u8> = finder
        .forms
        .iter()
        .flat_map(|form| [form.window, form.whole].map(u64::to_ne_bytes).concat())
        .chain(finder.marks.iter().flat_map(|word| word.to_ne_bytes()))
        .collect();

    assert!(!kept.windows(8).any(|bytes| secret.windows(8).any(|part| part == bytes)));
}
