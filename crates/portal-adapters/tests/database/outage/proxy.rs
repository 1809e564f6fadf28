//! A stretch of network before a server that can be cut and mended.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

/// Behaviour of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Everything passes.
    Through,
    /// Connections are closed at once, those that stood too.
    Refusing,
    /// Connections are taken and nothing ever passes.
    Silent,
}

/// Ends with the test's runtime.
pub(super) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    /// Before the server of this database.
    pub(super) async fn before(url: &str) -> Self {
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
    pub(super) fn url(&self, url: &str) -> String {
        let mut url = Url::parse(url).unwrap();
        url.set_host(Some(&self.address.ip().to_string())).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    pub(super) fn turn(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn pass(mut client: TcpStream, server: (String, u16), mut mode: watch::Receiver<Mode>) {
    if *mode.borrow() == Mode::Through {
        let mut server = TcpStream::connect(server).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = mode.wait_for(|mode| *mode != Mode::Through) => {}
        }
    }
    if *mode.borrow() == Mode::Silent {
        // A connection that was silent once is closed when the network is mended, as a real one is in the end.
        mode.wait_for(|mode| *mode != Mode::Silent).await.ok();
    }
}
