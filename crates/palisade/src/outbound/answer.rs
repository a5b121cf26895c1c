//! The answer to a request, as far as it came.

use std::str::FromStr;

/// The head and the body of an answer in HTTP/1.1. Lines that are no header are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body as it was framed; of a chunked one, the sizes of the chunks are in it.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// Reads what came back; `None` if it is not HTTP/1.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END)?;
        let (head, rest) = bytes.split_at_checked(end)?;
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let status_line = lines.next()?.strip_prefix("HTTP/1.")?;
        let status = status_line.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.filter_map(header).collect();
        let body = rest.get(HEAD_END.len()..).unwrap_or_default().to_vec();
        Some(Self { status, headers, body })
    }

    /// Returns the first value of a header, whose `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Tells whether nothing more can come.
    pub(super) fn is_whole(&self) -> bool {
        if self.header("transfer-encoding").is_some() {
            return self.body.ends_with(b"0\r\n\r\n");
        }
        let length = self.header("content-length").map(usize::from_str);
        matches!(length, Some(Ok(length)) if self.body.len() >= length)
    }
}

const HEAD_END: &[u8] = b"\r\n\r\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_length_is_there() {
        let half =
            HttpAnswer::read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\n{").unwrap();
        let whole =
            HttpAnswer::read(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();

        assert!(!half.is_whole() && whole.is_whole());
        assert_eq!((half.status, whole.status), (200, 404));
        assert_eq!(half.header("a"), Some("b"));
        assert_eq!(HttpAnswer::read(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"), None);
        assert_eq!(HttpAnswer::read(b"\x15\x03\x03\x00\x02\x02\x46\r\n\r\n"), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_back_is_read_or_not_without_a_panic(
            bytes: Vec<u8>,
            head in "HTTP/1.1 [ -~\r\n]{0,80}\r\n\r\n",
        ) {
            HttpAnswer::read(&bytes);
            HttpAnswer::read(head.as_bytes());
        }
    }
}
