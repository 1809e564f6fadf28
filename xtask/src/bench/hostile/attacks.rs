//! The attacks. Each thread of one goes on until it is told that it is over; whatever the server does to it is right.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::bench::load::{Connection, request};

/// Longest wait of an attacker for anything.
const TIMEOUT: Duration = Duration::from_millis(200);
/// The largest static file.
const LARGEST: &str = "/docs/swagger-ui-bundle.js";
/// Connections per thread of an attack that holds many open.
const HELD: usize = 75;

/// Something that somebody does to the server.
pub(super) struct Attack {
    /// Name in the report.
    pub(super) name: &'static str,
    pub(super) threads: u32,
    /// Runs one thread, by its number.
    pub(super) run: fn(SocketAddr, u32, &AtomicBool),
}

pub(super) const ATTACKS: [Attack; 12] = [
    Attack { name: "GET /livez, pipelined and never read", threads: 8, run: pipeline_unread },
    Attack { name: "GET /livez, pipelined and read", threads: 8, run: pipeline_read },
    Attack { name: "chunked bodies after a 401", threads: 4, run: drip },
    Attack { name: "heads that do not end", threads: 4, run: half_heads },
    Attack { name: "300 connections that read nothing", threads: 4, run: read_nothing },
    Attack { name: "unknown session tokens", threads: 16, run: guess_tokens },
    Attack { name: "wrong login codes", threads: 16, run: guess_codes },
    Attack { name: "unreadable requests", threads: 8, run: send_garbage },
    Attack { name: "bob: schedules that never fire", threads: 16, run: never_fire },
    Attack { name: "bob: 50 jobs, run by hand", threads: 8, run: run_jobs },
    Attack { name: "bob: exposes and removes", threads: 8, run: expose_and_remove },
    Attack { name: "bob: documents of 200 KiB", threads: 16, run: write_documents },
];

fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    Some(stream)
}

/// Repeats `step` until the attack is over.
fn repeat(is_over: &AtomicBool, mut step: impl FnMut()) {
    while !is_over.load(Ordering::Relaxed) {
        step();
    }
}

/// Sends requests one after another over one connection, and another one where it ends.
fn ask(address: SocketAddr, is_over: &AtomicBool, mut next: impl FnMut(u64) -> Vec<u8>) {
    let (mut connection, mut number) = (None, 0);
    repeat(is_over, || {
        number += 1;
        let request = next(number);
        // A connection on which a request was not answered is left.
        connection = connection
            .take()
            .or_else(|| Connection::open(address).ok())
            .and_then(|mut connection| connection.ask(&request).is_ok().then_some(connection));
    });
}

fn livez() -> Vec<u8> {
    b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200)
}

fn pipeline_unread(address: SocketAddr, _: u32, is_over: &AtomicBool) {
    let (requests, mut stream) = (livez(), connect(address));
    repeat(is_over, || {
        let is_open = stream.as_mut().is_some_and(|stream| match stream.write(&requests) {
            Ok(_) => true,
            // Full: the server waits for somebody to read.
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        });
        if !is_open {
            stream = connect(address);
        }
    });
}

fn pipeline_read(address: SocketAddr, _: u32, is_over: &AtomicBool) {
    let requests = livez();
    repeat(is_over, || {
        let Some(stream) = connect(address) else { return };
        let Ok(mut reader) = stream.try_clone() else { return };
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut answers = [0; 16 * 1024];
                while matches!(reader.read(&mut answers), Ok(1..)) {}
            });
            let mut stream = &stream;
            repeat(is_over, || drop(stream.write(&requests)));
            stream.shutdown(std::net::Shutdown::Both).ok();
        });
    });
}

/// Opens connections that each send `first`, then `next` over and over, a piece every 100 ms.
fn hold(address: SocketAddr, is_over: &AtomicBool, count: usize, first: &[u8], next: &[u8]) {
    let mut streams: Vec<TcpStream> = Vec::new();
    repeat(is_over, || {
        while streams.len() < count {
            let Some(mut stream) = connect(address) else { break };
            stream.write_all(first).ok();
            streams.push(stream);
        }
        streams.retain_mut(|stream| next.is_empty() || stream.write_all(next).is_ok());
        thread::park_timeout(Duration::from_millis(100));
    });
}

fn drip(address: SocketAddr, _: u32, is_over: &AtomicBool) {
    let head = "PUT /api/portal/workspace/memory HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    hold(address, is_over, HELD, head.as_bytes(), b"1\r\nx\r\n");
}

fn half_heads(address: SocketAddr, _: u32, is_over: &AtomicBool) {
    hold(address, is_over, HELD, b"GET /livez HTTP/1.1\r\nX-Half: ", b"x");
}

fn read_nothing(address: SocketAddr, _: u32, is_over: &AtomicBool) {
    let request = format!("GET {LARGEST} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(20);
    hold(address, is_over, HELD, request.as_bytes(), b"");
}

fn guess_tokens(address: SocketAddr, thread: u32, is_over: &AtomicBool) {
    ask(address, is_over, |number| request(address, "GET /api/portal/me", &format!("fps_{thread}_{number}"), ""));
}

fn guess_codes(address: SocketAddr, thread: u32, is_over: &AtomicBool) {
    ask(address, is_over, |number| {
        let body = format!(r#"{{"code": "fpl_{thread}_{number}"}}"#);
        request(address, "POST /api/auth/exchange", "none", &body)
    });
}

fn send_garbage(address: SocketAddr, _: u32, is_over: &AtomicBool) {
    repeat(is_over, || {
        let Some(mut stream) = connect(address) else { return };
        stream.write_all(b"\0\x01\x02\r\n\r\n").ok();
        while matches!(stream.read(&mut [0; 1024]), Ok(1..)) {}
    });
}

fn never_fire(address: SocketAddr, thread: u32, is_over: &AtomicBool) {
    ask(address, is_over, |number| {
        let body = format!(r#"{{"name": "n{thread}-{number}", "message": "m", "cron": "0 0 31W 2 +MON"}}"#);
        request(address, "POST /api/portal/workspace/crons", "demo-bob", &body)
    });
}

fn run_jobs(address: SocketAddr, thread: u32, is_over: &AtomicBool) {
    ask(address, is_over, |number| {
        let name = format!("job-{}", (u64::from(thread) + 8 * number) % 50);
        if number <= 7 {
            let body = format!(r#"{{"name": "{name}", "message": "m", "cron": "* * * * *"}}"#);
            return request(address, "POST /api/portal/workspace/crons", "demo-bob", &body);
        }
        request(address, &format!("POST /api/portal/workspace/crons/{name}/run"), "demo-bob", "{}")
    });
}

fn expose_and_remove(address: SocketAddr, thread: u32, is_over: &AtomicBool) {
    ask(address, is_over, |number| {
        let name = format!("app-{thread}");
        if number.is_multiple_of(2) {
            return request(address, &format!("DELETE /api/portal/namespace/expose/{name}"), "demo-bob", "");
        }
        let body = format!(r#"{{"name": "{name}", "service": "blog"}}"#);
        request(address, "POST /api/portal/namespace/expose", "demo-bob", &body)
    });
}

fn write_documents(address: SocketAddr, thread: u32, is_over: &AtomicBool) {
    let filler = "x".repeat(200 * 1024);
    ask(address, is_over, |number| {
        let body = format!(r#"{{"content": "{thread} {number} {filler}"}}"#);
        request(address, "PUT /api/portal/workspace/memory", "demo-bob", &body)
    });
}
