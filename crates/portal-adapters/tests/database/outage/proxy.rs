//! A stretch of network before a server that can be cut and mended.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

/// Behaviour of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything passes.
    Through,
    /// Connections are closed at once, those that stood too.
    Refusing,
    /// Connections are taken and nothing ever passes.
    Silent,
    /// Nothing passes for now, and what was sent meanwhile arrives later: the server's process stands still.
    Paused,
}

/// Ends with the test's runtime.
pub(crate) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    /// Before the server of this database.
    pub(crate) async fn before(url: &str) -> Self {
        let url = Url::parse(url).unwrap();
        let server = (url.host_str().unwrap().to_owned(), url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, seen) = watch::channel(Mode::Through);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(client, server.clone(), seen.clone()));
            }
        });
        Self { address, mode }
    }

    /// URL of the database through the proxy.
    pub(crate) fn url(&self, url: &str) -> String {
        let mut url = Url::parse(url).unwrap();
        url.set_host(Some(&self.address.ip().to_string())).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    pub(crate) fn turn(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn pass(mut client: TcpStream, server: (String, u16), mut mode: watch::Receiver<Mode>) {
    if mode.wait_for(|mode| *mode != Mode::Paused).await.is_err() {
        return;
    }
    if *mode.borrow() == Mode::Through {
        let mut server = TcpStream::connect(server).await.unwrap();
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let (there, back) = (pump(from_client, to_server, mode.clone()), pump(from_server, to_client, mode.clone()));
        tokio::select! {
            _ = futures::future::join(there, back) => return,
            _ = mode.wait_for(|mode| matches!(mode, Mode::Refusing | Mode::Silent)) => {}
        }
    }
    if *mode.borrow() == Mode::Silent {
        // A connection that was silent once is closed when the network is mended, as a real one is in the end.
        mode.wait_for(|mode| *mode != Mode::Silent).await.ok();
    }
}

/// Passes bytes on in one direction, none while the proxy is paused.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if mode.wait_for(|mode| *mode != Mode::Paused).await.is_err() {
            return;
        }
        if to.write_all(buffer.get(..count).unwrap_or_default()).await.is_err() {
            return;
        }
    }
    to.shutdown().await.ok();
}
