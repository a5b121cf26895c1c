//! Requests that cannot be read at all: how the parser's bare refusals are told from answers.
//!
//! A refusal of hyper's own is the last thing written to a stream, and made of nothing but a
//! status and the headers in [`BARE_HEADERS`]. Every answer of ours has more headers, so none is
//! mistaken for it. A body could read like one, if it ends with an empty line: nothing is looked for
//! where such a body may be written.

/// All that the head of a bare refusal has.
const BARE_HEADERS: [&str; 3] = ["content-length: 0", "connection: close", "date: "];

/// Finds the refusal that `bytes` end with; returns what stands before it, and its status.
pub(super) fn split_refusal(bytes: &[u8]) -> Option<(&[u8], u16)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let start = bytes.windows(START.len()).rposition(|window| window == START)?;
    let (before, head) = bytes.split_at_checked(start)?;
    let mut lines = std::str::from_utf8(head).ok()?.trim_end().split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let is_bare = lines.all(|line| BARE_HEADERS.iter().any(|known| line.starts_with(known)));
    (is_bare && (400..500).contains(&status)).then_some((before, status))
}

const START: &[u8] = b"HTTP/1.";

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
                        content-length: 0\r\ndate: Mon, 23 Nov 2026 13:43:13 GMT\r\n\r\n";

    #[test]
    fn a_bare_refusal_is_found_alone_and_behind_another_answer() {
        let other = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: 1\r\n\r\n{}";
        let both = format!("{other}{BARE}");

        assert_eq!(split_refusal(BARE.as_bytes()), Some((&b""[..], 431)));
        assert_eq!(split_refusal(both.as_bytes()), Some((other.as_bytes(), 431)));
    }

    #[test]
    fn an_answer_of_our_own_is_not_taken_for_one() {
        let with_id = BARE.replace("date: ", "x-request-id: 1\r\ndate: ");
        let in_a_body = format!("{BARE}{{}}");
        let continues = "HTTP/1.1 100 Continue\r\n\r\n";

        for own in [&with_id, &in_a_body, continues, "", "\r\n\r\n", BARE.trim_end()] {
            assert_eq!(split_refusal(own.as_bytes()), None, "{own}");
        }
    }
}
