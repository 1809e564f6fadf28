use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::{Head, Load, Request};

/// A server that answers each connection with what `answer` makes of the number of the request.
fn serve(answer: fn(usize) -> &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || talk(&stream, answer));
        }
    });
    address
}

fn talk(mut stream: &TcpStream, answer: fn(usize) -> &'static str) {
    let ends = BufReader::new(stream).lines().map_while(Result::ok).filter(String::is_empty);
    for (number, _) in ends.enumerate() {
        if stream.write_all(answer(number).as_bytes()).is_err() {
            return;
        }
    }
}

const LOAD: Load = Load { connections: 3, slice: Duration::from_millis(50) };
const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"a\"\r\n\r\n{}";

#[test]
fn answers_are_counted_on_every_connection() {
    let address = serve(|_| GOOD);
    let (request, answer) = Request::learn(address, "/", &[("Authorization", "Bearer x")]).unwrap();
    assert_eq!((answer.status, answer.body.as_slice(), answer.etag.as_deref()), (200, &b"{}"[..], Some("\"a\"")));
    let (count, elapsed) = LOAD.drive(address, std::slice::from_ref(&request)).unwrap();
    assert!(count >= 3, "{count}");
    assert!(elapsed >= LOAD.slice);
}

#[test]
fn an_answer_that_changes_ends_the_measurement() {
    let address = serve(|number| if number < 2 { GOOD } else { "HTTP/1.1 503 Down\r\nContent-Length: 2\r\n\r\n{}" });
    let (request, _) = Request::learn(address, "/", &[]).unwrap();
    let error = LOAD.drive(address, std::slice::from_ref(&request)).unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
}

#[test]
fn a_server_that_hangs_up_ends_the_measurement() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().take(1).for_each(drop));
    assert!(Request::learn(address, "/", &[]).is_err());
}

#[test]
fn a_head_tells_status_length_and_tag() {
    let head = Head::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: \"a\"").unwrap();
    assert_eq!((head.status, head.length, head.etag.as_deref()), (200, Some(12), Some("\"a\"")));
}

#[test]
fn an_answer_without_a_length_is_refused_and_not_guessed() {
    assert!(Head::parse(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain").is_err());
    assert_eq!(Head::parse(b"HTTP/1.1 304 Not Modified").unwrap().length, Some(0));
}

#[test]
fn a_body_in_chunks_is_received_to_its_end() {
    const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let (request, answer) = Request::learn(serve(|_| CHUNKS), "/", &[]).unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 12));
    let longer = serve(|number| if number == 0 { CHUNKS } else { GOOD });
    let one = [request.of_any_length()];
    assert!(LOAD.drive(longer, &one).is_ok());
}
