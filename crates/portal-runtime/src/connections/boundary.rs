//! Boundaries of pipelined requests.
//!
//! actix-http parses what it gets; this only says how much it gets at once. A wrong boundary costs memory or a turn of the
//! worker, and changes the meaning of nothing.

use std::io::BufRead as _;

/// Place of a connection within its requests.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    /// Bytes of the body that follow.
    body_left: usize,
    /// Whether lengths of bodies are not known any more: after a body in chunks, or a head that came in pieces. Every
    /// empty line may then be the end of a head.
    is_lost: bool,
}

impl Boundary {
    /// Returns the number of `bytes` that belong to the request at hand: the rest of its body, or its head with as much
    /// of the body as there is. A small body comes with its head: actix-http closes the connection of an operation that
    /// leaves its body unread.
    pub(super) fn next(&mut self, bytes: &[u8]) -> usize {
        if self.body_left > 0 {
            let length = self.body_left.min(bytes.len());
            self.body_left -= length;
            return length;
        }
        let Some((head, body)) = read_head(bytes) else {
            self.is_lost = true;
            return bytes.len();
        };
        let body = if self.is_lost { Body::Length(0) } else { body };
        let Body::Length(body) = body else {
            self.is_lost = true;
            return head;
        };
        let length = head.saturating_add(body).min(bytes.len());
        self.body_left = body - (length - head);
        length
    }
}

/// Body that a head announces.
enum Body {
    Length(usize),
    Chunked,
}

/// Returns the number of bytes up to the first empty line, with it, and the body that the lines before announce; `None`
/// if there is no empty line. Lines may end without a carriage return: so httparse reads them.
fn read_head(bytes: &[u8]) -> Option<(usize, Body)> {
    let (mut rest, mut length, mut is_chunked) = (bytes, 0, false);
    loop {
        let start = rest;
        // A slice is a reader, and its search for a byte is the C library's.
        let end = rest.skip_until(b'\n').ok()?;
        let line = start.get(..end)?.strip_suffix(b"\n")?;
        // An empty line before the request line ends no head.
        if matches!(line, b"" | b"\r") && start.len() < bytes.len() {
            let body = if is_chunked { Body::Chunked } else { Body::Length(length) };
            return Some((bytes.len() - rest.len(), body));
        }
        is_chunked |= value_of(line, b"transfer-encoding").is_some();
        if let Some(value) = value_of(line, b"content-length") {
            length = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        }
    }
}

/// Returns the value of a line that is a header of this name.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    rest.strip_prefix(b":").filter(|_| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::Boundary;

    /// Returns the pieces in which these bytes are handed over, as text.
    fn pieces(mut bytes: &str) -> Vec<&str> {
        let (mut boundary, mut pieces) = (Boundary::default(), Vec::new());
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(boundary.next(bytes.as_bytes()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }

    #[test]
    fn each_request_is_a_piece() {
        let requests = [
            "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /b HTTP/1.1\n\n",
            "PUT /c HTTP/1.1\r\ncontent-length: 6\r\n\r\n\r\n\r\n12",
            "GET /d HTTP/1.1\n\r\n",
            "PUT /e HTTP/1.1\r\nContent-Length:0\r\n\r\n",
            "GET /f HTTP/1.1\r\n",
        ];
        assert_eq!(pieces(&requests.concat()), requests);
    }

    #[test]
    fn an_empty_line_before_a_request_ends_no_head() {
        let requests = ["\r\nGET /a HTTP/1.1\r\n\r\n", "\nPUT /b HTTP/1.1\nContent-Length: 2\n\n12", "\n\n"];
        assert_eq!(pieces(&requests.concat()), requests);
        let longer = "X-Content-Length: 4\r\nContent-Length-X: 4\r\nContent: 4\r\n: 4\r\n\r\n";
        assert_eq!(Boundary::default().next(format!("{longer}GET").as_bytes()), longer.len());
    }

    #[test]
    fn a_body_that_comes_later_belongs_to_its_request() {
        let mut boundary = Boundary::default();
        let head = b"PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12";
        assert_eq!(boundary.next(head), head.len());
        assert_eq!(boundary.next(b"3\n\n67"), 5);
        assert_eq!(boundary.next(b"890GET / HTTP/1.1\r\n\r\n"), 3);
        assert_eq!(boundary.next(b"GET / HTTP/1.1\r\n\r\nGET"), 18);
    }

    #[test]
    fn where_lengths_are_not_known_every_empty_line_is_a_boundary() {
        let requests = [
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "15\r\nContent-Length: 4000\n\r\n",
            "0\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
            "123",
        ];
        assert_eq!(pieces(&requests.concat()), requests);
        let mut boundary = Boundary::default();
        assert_eq!(boundary.next(b"GET / HTTP/1.1\r\nX-Long: "), 24);
        assert_eq!(boundary.next(b"x\r\nContent-Length: 9\r\n\r\nGET / HTTP/1.1\r\n\r\n"), 24);
    }
}
