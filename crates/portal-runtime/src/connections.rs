//! The HTTP/1.1 server, with the protections against hostile or slow clients that actix-web's `HttpServer` lacks.
//!
//! `HttpServer` reads as long as a client sends, executes up to 128 KiB of pipelined requests in one turn, drains the
//! rest of a refused chunked body without end, and waits for ever for a client that takes no answer. Here every
//! connection is a [`Connection`], which bounds all of that:
//!
//! 1. At most [`SLICE`] bytes, and at most one request, are handed to the protocol, then the worker serves the other
//!    connections. The next one of pipelined requests is handed over when the answer to the one before is complete:
//!    actix-http would decode sixteen of them, at 7 KiB each.
//! 2. At most [`WRITE_TURN`] bytes are written in one turn: the kernel buffers megabytes for a client that reads none.
//! 3. While a request is handled and does not ask for its body, at most [`SLICE`] bytes are read; while the client does not
//!    take its answers, nothing is read.
//! 4. A write without progress for [`WRITE_TIMEOUT`] fails, and so does an answer that is taken at less than
//!    [`MIN_RATE`] over [`RATE_WINDOW`]. Event streams are exempt from the rate.
//! 5. [`REQUEST_TIMEOUT`] after an answer the next request must have begun, whatever arrives instead: half a head, or
//!    the rest of a body that was refused. (Bodies that an operation reads have a deadline there.)
//! 6. An address has at most as many connections as configured; there is no limit by default.
//!
//! The middleware [`observe`] tells the connection, through the [`Clock`] that both share, when a request begins, when
//! it wants more of its body, and when its answer is complete.

mod addresses;
mod boundary;
mod clock;

use std::future::{Future, ready};
use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::web::ServiceConfig;
use actix_web::{App, Error};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use self::addresses::{Addresses, Admission};
use self::boundary::Boundary;
use self::clock::{Clock, Stage, observe};
use crate::metrics;

/// Bytes that a connection hands to the protocol in one turn.
const SLICE: usize = 4 * 1024;
/// Bytes of answers that a connection writes in one turn.
const WRITE_TURN: usize = 64 * 1024;
/// Longest wait for a client to take anything at all of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time over which the rate is measured at which a client takes an answer.
const RATE_WINDOW: Duration = Duration::from_mins(1);
/// Bytes that a client must take within [`RATE_WINDOW`]: 1 KiB/s.
const MIN_RATE: usize = 60 * 1024;
/// Time from the end of an answer within which the next request must begin: a connection on which only the rest of a
/// refused body arrives is closed within a minute.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(55);
/// Time for which a connection without anything under way is open. It also bounds the flush of an answer's last
/// 48 KiB, which actix-http counts as idle time.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Time in which a client may end a connection that the server ends.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes that are collected before they are written; an answer that nobody takes occupies twice as much at most.
const WRITE_BUFFER: usize = 16 * 1024;

/// Settings of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Time that open requests may take to end when the server stops.
    pub(crate) shutdown: Duration,
    /// Connections that one address may have; `None` for any number.
    pub(crate) per_address: Option<u32>,
}

/// Serves what `configure` mounts on every worker.
///
/// # Errors
/// The listener cannot be used.
pub(crate) fn serve(
    listener: TcpListener,
    options: Options,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let builder = Server::build().disable_signals().shutdown_timeout(options.shutdown.as_secs());
    let stopping = builder.graceful_shutdown_signal();
    let addresses = Addresses::new(options.per_address);
    let factory = move || {
        let addresses = addresses.clone();
        let accept = fn_service(move |stream| ready(accept(stream, &addresses)));
        accept.and_then(protocol(address, stopping.clone(), configure.clone())).map_err(|error| report(&error))
    };
    Ok(builder.listen("api", listener, factory)?.run())
}

/// The application behind actix-http's dispatcher, for connections over any stream.
fn protocol<T: AsyncRead + AsyncWrite + Unpin + 'static>(
    address: SocketAddr,
    stopping: GracefulShutdownSignal,
    configure: impl Fn(&mut ServiceConfig) + 'static,
) -> impl ServiceFactory<
    (Connection<T>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> {
    let app = App::new().wrap_fn(observe).configure(configure);
    let app = app.into_factory().map_err(|error: Error| error.error_response());
    // The constructor that `HttpServer` itself uses is private; this one is its public twin.
    let app = map_config(app, move |()| AppConfig::__priv_test_new(false, address.to_string(), address));
    HttpService::build()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .keep_alive(KEEP_ALIVE)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .h1_write_buffer_size(WRITE_BUFFER)
        .local_addr(address)
        .on_connect_ext(Connection::share_clock)
        .h1(app)
}

/// Takes a new connection, unless its address has too many already.
fn accept(stream: TcpStream, addresses: &Addresses) -> Result<(Connection, Option<SocketAddr>), DispatchError> {
    let peer = stream.peer_addr()?;
    // A compressed answer leaves in several writes; Nagle's algorithm would delay the last of them by 40 ms.
    stream.set_nodelay(true)?;
    let admission = addresses.admit(peer.ip()).ok_or_else(|| Closed::AddressLimit.into_error())?;
    Ok((Connection::new(stream, Some(admission)), Some(peer)))
}

/// Counts a connection that ended with an error. Strangers cause these at will, so none is logged above debug.
fn report(error: &DispatchError) {
    let cause = match error {
        DispatchError::Io(error) => error.get_ref().and_then(|error| error.downcast_ref::<Closed>()),
        _ => None,
    };
    let reason = match (cause, error) {
        (Some(closed), _) => closed.reason(),
        (None, DispatchError::Parse(_)) => "unreadable",
        (None, DispatchError::SlowRequestTimeout | DispatchError::DisconnectTimeout) => "timeout",
        (None, DispatchError::Io(_)) => "hung-up",
        (None, _) => "other",
    };
    metrics::connection_closed(reason);
    tracing::debug!(reason, error = error as &dyn std::error::Error, "a connection was closed");
}

/// Reason for which a connection is closed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Closed {
    #[error("the address has too many connections")]
    AddressLimit,
    #[error("the client takes nothing of its answer")]
    WriteTimeout,
    #[error("the client takes its answer too slowly")]
    SlowRead,
    #[error("no request followed in time")]
    RequestTimeout,
}

impl Closed {
    fn reason(self) -> &'static str {
        match self {
            Self::AddressLimit => "address-limit",
            Self::WriteTimeout => "write-timeout",
            Self::SlowRead => "slow-read",
            Self::RequestTimeout => "request-timeout",
        }
    }

    fn into_error(self) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, self)
    }
}

/// Bytes written that the client has not taken yet.
#[derive(Debug, Clone, Copy)]
struct Backlog {
    /// Last time that the client took something, while it now takes nothing.
    stalled: Option<Instant>,
    /// Beginning of the window in which its rate is measured.
    window: Instant,
    /// Bytes that it took in that window.
    taken: usize,
}

/// A client's connection.
pub(crate) struct Connection<T = TcpStream> {
    stream: T,
    clock: Rc<Clock>,
    /// Bytes that were read and not handed to the protocol yet.
    unread: Vec<u8>,
    /// End of the request that is handed over.
    boundary: Boundary,
    /// Whether the protocol was handed something in this turn.
    has_handed_over: bool,
    /// Bytes written in this turn.
    written: usize,
    backlog: Option<Backlog>,
    timer: Pin<Box<Sleep>>,
    /// Time at which the timer wakes the connection, and the task that it wakes; `None` when it has fired.
    armed: Option<(Instant, Waker)>,
    _admission: Option<Admission>,
}

impl<T> Connection<T> {
    fn new(stream: T, admission: Option<Admission>) -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        let clock = Clock::new();
        Self {
            stream,
            clock,
            unread: Vec::new(),
            boundary: Boundary::default(),
            has_handed_over: false,
            written: 0,
            backlog: None,
            timer,
            armed: None,
            _admission: admission,
        }
    }

    fn share_clock(&self, extensions: &mut Extensions) {
        extensions.insert(self.clock.clone());
    }

    /// Fails if a deadline has passed, and sees to it that the connection is woken at the next one.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_timed(cx) {
            return Ok(());
        }
        let now = Instant::now();
        if let Some(backlog) = &mut self.backlog
            && backlog.window + RATE_WINDOW <= now
            && backlog.taken >= MIN_RATE
        {
            (backlog.window, backlog.taken) = (now, 0);
        }
        let Some((deadline, reason)) = self.next_deadline() else { return Ok(()) };
        if deadline <= now {
            return Err(reason.into_error());
        }
        // A timer that is set too early costs one needless wake-up; moving it with every request would cost more.
        if self.armed.as_ref().is_none_or(|(armed, _)| *armed > deadline) {
            self.timer.as_mut().reset(deadline);
        }
        self.armed = Some((self.timer.deadline(), cx.waker().clone()));
        if self.timer.as_mut().poll(cx).is_ready() {
            self.armed = None;
            return self.check(cx);
        }
        Ok(())
    }

    /// Returns `true` if the timer wakes this task before anything is due. The time is read, and the timer polled, only
    /// where it does not: this is asked several times per request.
    fn is_timed(&self, cx: &Context<'_>) -> bool {
        let Some((deadline, _)) = self.next_deadline() else { return true };
        let is_armed = |(armed, waker): &(Instant, Waker)| *armed <= deadline && waker.will_wake(cx.waker());
        self.armed.as_ref().is_some_and(is_armed) && !self.timer.is_elapsed()
    }

    fn next_deadline(&self) -> Option<(Instant, Closed)> {
        let stage = self.clock.stage();
        let idle = match stage {
            Stage::Idle(since) => Some((since + REQUEST_TIMEOUT, Closed::RequestTimeout)),
            _ => None,
        };
        let Some(backlog) = &self.backlog else { return idle };
        let stalled = backlog.stalled.map(|since| (since + WRITE_TIMEOUT, Closed::WriteTimeout));
        let is_exempt = stage == Stage::Sending { is_event_stream: true };
        let slow = (!is_exempt).then_some((backlog.window + RATE_WINDOW, Closed::SlowRead));
        [idle, stalled, slow].into_iter().flatten().min_by_key(|(deadline, _)| *deadline)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        // Whoever does not take answers may not ask for more. The write that is stalled wakes this task.
        if this.backlog.is_some_and(|backlog| backlog.stalled.is_some()) {
            return this.end_turn();
        }
        // On the stack and not zeroed: most of the time a whole request comes, and goes on at once.
        let mut bytes = [const { MaybeUninit::uninit() }; SLICE];
        let mut slice = ReadBuf::uninit(&mut bytes);
        if this.unread.is_empty() {
            let polled = Pin::new(&mut this.stream).poll_read(cx, &mut slice);
            if polled.is_pending() {
                return this.end_turn();
            }
            if !matches!(polled, Poll::Ready(Ok(()))) || slice.filled().is_empty() {
                return polled;
            }
        }
        if this.has_handed_over {
            this.unread.extend_from_slice(slice.filled());
            this.has_handed_over = false;
            return yield_now(cx);
        }
        if this.clock.must_wait(cx) {
            this.unread.extend_from_slice(slice.filled());
            return Poll::Pending;
        }
        this.hand_over(slice.filled(), buffer);
        Poll::Ready(Ok(()))
    }
}

/// Ends a turn that goes on when the worker has served its other connections. Unlike a plain wake-up, this lets it look
/// at its sockets first.
fn yield_now<R>(cx: &mut Context<'_>) -> Poll<R> {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
    Poll::Pending
}

impl<T> Connection<T> {
    /// Hands over what was read of one request: before, or else just now.
    fn hand_over(&mut self, read: &[u8], buffer: &mut ReadBuf<'_>) {
        let bytes: &[u8] = if self.unread.is_empty() { read } else { &self.unread };
        let room = buffer.remaining().min(bytes.len());
        let length = self.boundary.next(bytes.get(..room).unwrap_or_default());
        let (request, rest) = bytes.split_at(length);
        buffer.put_slice(request);
        // A connection that waits for its next request holds no buffer.
        self.unread = rest.to_vec();
        self.has_handed_over = true;
        self.clock.body_handed_over();
    }

    /// actix-http reads until nothing comes, then executes: the next read is in another turn.
    fn end_turn<R>(&mut self) -> Poll<R> {
        self.has_handed_over = false;
        Poll::Pending
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check(cx)?;
        if this.written >= WRITE_TURN {
            this.written = 0;
            return yield_now(cx);
        }
        let slice = bytes.get(..WRITE_TURN).unwrap_or(bytes);
        let polled = Pin::new(&mut this.stream).poll_write(cx, slice);
        // A client that takes no more ends the turn as well.
        this.written = if let Poll::Ready(Ok(taken)) = &polled { this.written + taken } else { 0 };
        match (&polled, &mut this.backlog) {
            (Poll::Ready(Ok(taken)), Some(backlog)) => {
                backlog.stalled = None;
                backlog.taken += taken;
            }
            (Poll::Ready(_), _) => {}
            (Poll::Pending, backlog) => {
                let now = Instant::now();
                backlog.get_or_insert(Backlog { stalled: None, window: now, taken: 0 }).stalled.get_or_insert(now);
                this.check(cx)?;
            }
        }
        polled
    }

    /// actix-http flushes when all that it had was written; while an answer is being sent there is more to come.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !matches!(this.clock.stage(), Stage::Sending { .. }) {
            this.backlog = None;
        }
        this.check(cx)?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
