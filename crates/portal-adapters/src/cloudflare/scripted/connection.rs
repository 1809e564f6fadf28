//! Just enough of HTTP/1.1 to be called by a real client, and to misbehave at every point of it.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Fault, Response, SCRIPTED_TOKEN, SeenCall, State, lock};

/// The longest request that is read, in bytes.
const LONGEST_REQUEST: usize = 1 << 20;

/// Serves until it is dropped.
pub(super) async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, state.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some((call, authorized)) = read(&mut stream, &mut buffer).await? else { return Ok(()) };
        let (fault, delay) = {
            let mut state = lock(&state);
            (state.admit(call.clone()), state.every_call)
        };
        tokio::time::sleep(delay).await;
        let answer = match &fault {
            Some(Fault::TooMany(retry_after)) => Response::too_many(*retry_after),
            Some(Fault::Broken) => Response::text(500, "<html>Internal Server Error</html>"),
            Some(Fault::CutBefore) => return Ok(()),
            _ if !authorized => {
                Response::refusal(403, &serde_json::json!([{"code": 10000, "message": "Authentication error"}]))
            }
            _ => lock(&state).perform(&call),
        };
        match fault {
            Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::LoseAnswer) => return lose(&mut stream).await,
            Some(Fault::CutAfter) => return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await,
            Some(Fault::BrokenAfter) => {
                write(&mut stream, &Response::text(500, "oops")).await?;
                continue;
            }
            Some(Fault::Babble) => {
                write(&mut stream, &Response::text(200, "<html>hello</html>")).await?;
                continue;
            }
            _ => {}
        }
        write(&mut stream, &answer).await?;
    }
}

/// Keeps silent until the client has had enough.
async fn lose(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 64];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

async fn write(stream: &mut TcpStream, answer: &Response) -> io::Result<()> {
    let Response { status, headers, body } = answer;
    let length = body.len();
    let text = format!("HTTP/1.1 {status} Scripted\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await
}

/// The next request and whether it carried the token; `None` at the end of the connection.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<(SeenCall, bool)>> {
    loop {
        if let Some((call, authorized, used)) = parse(buffer) {
            buffer.drain(..used);
            return Ok(Some((call, authorized)));
        }
        if buffer.len() > LONGEST_REQUEST || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// A whole request at the beginning of the buffer, and its length.
fn parse(buffer: &[u8]) -> Option<(SeenCall, bool, usize)> {
    let head_length = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(buffer.get(..head_length)?).ok()?;
    let mut lines = head.split("\r\n");
    let mut request = lines.next()?.split(' ');
    let (method, target) = (request.next()?.to_owned(), request.next()?);
    let header = |name: &str| {
        let mut headers = head.split("\r\n").filter_map(|line| line.split_once(':'));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let body_length: usize = header("content-length").and_then(|it| it.parse().ok()).unwrap_or_default();
    let body = buffer.get(head_length..head_length + body_length)?;
    let body = serde_json::from_slice(body).unwrap_or(Value::Null);
    let target = target.strip_prefix("/client/v4/").unwrap_or(target).to_owned();
    let authorized = header("authorization") == Some(&format!("Bearer {SCRIPTED_TOKEN}"));
    Some((SeenCall { method, target, body }, authorized, head_length + body_length))
}
