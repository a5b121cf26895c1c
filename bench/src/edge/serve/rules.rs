//! The job: what a request says, what is allowed in it, what is answered.
//!
//! The rules are the same functions for every variant, so that only what is around them differs.

/// A valid body.
pub(crate) const BODY: &str = r#"{"username":"ada1815","email":"ada.lovelace@example.com","password":"an engine that weaves"}"#;

/// What a valid body is answered with.
pub(crate) const ANSWER: &str = r#"{"username":"ada1815","email":"ada.lovelace@example.com"}"#;

/// Tells whether `text` is 1 to 32 ASCII letters and digits.
pub(super) fn is_username(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Tells whether `text` is at most 254 visible ASCII characters around one `@`.
pub(super) fn is_email(text: &str) -> bool {
    let is_visible = text.len() <= 254 && text.bytes().all(|byte| byte.is_ascii_graphic());
    let parts = text.split_once('@');
    is_visible
        && parts
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
}

/// Tells whether `text` has 15 to 256 characters.
pub(super) fn is_password(text: &str) -> bool {
    (15..=256).contains(&text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_or_has_other_characters_is_refused() {
        assert!(is_username("ada1815") && is_username(&"a".repeat(32)));
        assert!(!is_username("") && !is_username("a b") && !is_username(&"a".repeat(33)));

        assert!(is_email("ada@example.com"));
        for wrong in ["ada", "@example.com", "ada@", "a@b@c", "a b@c", "\u{e4}@b"] {
            assert!(!is_email(wrong), "{wrong}");
        }

        assert!(is_password("an engine that weaves"));
        assert!(!is_password("short") && !is_password(&"x".repeat(257)));
    }
}
