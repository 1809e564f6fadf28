//! A backend of a Service.

use std::net::IpAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::kubectl::tier_variable;

/// A server that says its name to whoever asks; it ends when this is dropped.
pub(crate) struct Backend {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    server: JoinHandle<()>,
}

impl Backend {
    /// Starts one on an address of this machine that Kubernetes takes for a backend's, which loopback is not.
    pub(crate) async fn start(name: &'static str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((tier_variable("TEST_BACKENDS")?.parse::<IpAddr>()?, 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, name));
            }
        });
        Ok(Self { address: address.ip(), port: address.port(), server })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Answers the requests of a connection, which have no bodies, until its other end closes it.
async fn serve(connection: TcpStream, name: &str) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut line = String::new();
    while connection.read_line(&mut line).await? > 0 {
        if line == "\r\n" {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            connection.write_all(answer.as_bytes()).await?;
        }
        line.clear();
    }
    Ok(())
}
