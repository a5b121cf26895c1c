//! How the log writes text, so that one event is one line and looks like what it is.
//!
//! It stands here and not with the log because a secret has to be found in this writing, too.

/// Appends `text` as it stands between the quotes of a JSON string (RFC 8259, section 7).
///
/// Beyond what JSON asks for, everything is escaped that ends a line, moves the cursor, turns
/// the direction of writing or cannot be seen.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    let mut plain_from = 0;
    for (place, symbol) in text.char_indices() {
        if !is_escaped(symbol) {
            continue;
        }
        let plain = text.as_bytes().get(plain_from..place);
        out.extend_from_slice(plain.unwrap_or_default());
        escape_one(symbol, out);
        plain_from = place + symbol.len_utf8();
    }
    out.extend_from_slice(text.as_bytes().get(plain_from..).unwrap_or_default());
}

/// Returns `text` for a terminal: what cannot be seen, moves the cursor or turns the direction of writing
/// is shown as `\u{…}`, except for the ends of lines.
pub(crate) fn legible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for symbol in text.chars() {
        match symbol {
            '\n' | '"' | '\\' => out.push(symbol),
            _ if is_escaped(symbol) => out.extend(symbol.escape_unicode()),
            _ => out.push(symbol),
        }
    }
    out
}

/// Tells whether `symbol` does not stand for itself: quotes, the backslash, and of Unicode's
/// general categories Cc, Zl, Zp and Cf with whatever else is invisible by design.
fn is_escaped(symbol: char) -> bool {
    match symbol {
        '"' | '\\' => true,
        ' '..='~' => false,
        '\0'..='\u{9f}' => true,
        _ => matches!(
            symbol,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        ),
    }
}

fn escape_one(symbol: char, out: &mut Vec<u8>) {
    let short = match symbol {
        '"' => b'"',
        '\\' => b'\\',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        _ => {
            for unit in symbol.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                let digits = [12, 8, 4, 0].map(|shift| *unit >> shift & 15);
                out.extend(digits.map(|digit| {
                    let digit = u8::try_from(digit).unwrap_or_default();
                    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
                }));
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        escape(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_ends_a_line_or_plays_tricks_is_written_as_an_escape() {
        for (text, expected) in [
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[31mred\u{7f}", r"\u001b[31mred\u007f"),
            ("\u{85}\u{9b}", r"\u0085\u009b"),
            ("\u{202e}evil\u{2066}", r"\u202eevil\u2066"),
            ("\u{2028}\u{2029}", r"\u2028\u2029"),
            ("\u{200b}\u{feff}\u{ad}", r"\u200b\ufeff\u00ad"),
            ("\u{e0041}", r"\udb40\udc41"),
            (r#"say "hi" \o/"#, r#"say \"hi\" \\o/"#),
            ("Zoë, 日本, 🦀", "Zoë, 日本, 🦀"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back_and_is_one_visible_line(text: String) {
            let written = escaped(&text);

            let read: String = serde_json::from_str(&format!("\"{written}\"")).unwrap();
            prop_assert_eq!(read, text);
            let tricks = |symbol: char| {
                symbol.is_control() || "\u{2028}\u{2029}\u{202e}\u{feff}".contains(symbol)
            };
            prop_assert!(!written.chars().any(tricks));
        }
    }
}
