//! The stage of a connection's request, as the middleware [`observe`] tells it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage as _};
use futures::Stream;
use tokio::time::Instant;

/// Stage of the request that a connection is at. There is one at a time: later ones wait in actix-http's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// No request since then.
    Idle(Instant),
    /// A request is handled.
    Handling,
    /// Its answer is being sent.
    Sending { is_event_stream: bool },
}

/// The state that a connection shares with [`observe`].
pub(super) struct Clock {
    stage: Cell<Stage>,
    /// Whether the request waits for more of its body.
    wants_body: Cell<bool>,
    /// The connection's task, while it waits for the request to ask for more or to end.
    waiting: RefCell<Option<Waker>>,
}

impl Clock {
    pub(super) fn new() -> Rc<Self> {
        let stage = Cell::new(Stage::Idle(Instant::now()));
        Rc::new(Self { stage, wants_body: Cell::new(false), waiting: RefCell::new(None) })
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.get()
    }

    fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        self.wants_body.set(false);
        self.wake();
    }

    /// Allows more of the request's body to be handed over.
    fn ask_for_body(&self) {
        self.wants_body.set(true);
        self.wake();
    }

    /// Takes that allowance back, until the request has used what it got.
    pub(super) fn body_handed_over(&self) {
        self.wants_body.set(false);
    }

    fn wake(&self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Returns `true` if nothing may be handed over for now; the connection is woken when that changes.
    pub(super) fn must_wait(&self, cx: &Context<'_>) -> bool {
        let waits = !matches!(self.stage.get(), Stage::Idle(_)) && !self.wants_body.get();
        if waits {
            *self.waiting.borrow_mut() = Some(cx.waker().clone());
        }
        waits
    }
}

/// The connection's stage is idle again when this is dropped, however the request ends.
struct InProgress(Rc<Clock>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.enter(Stage::Idle(Instant::now()));
    }
}

/// Middleware that keeps the connection's clock.
pub(super) fn observe<S>(
    mut request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<ResponseBody>, Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    let in_progress = request.conn_data::<Rc<Clock>>().cloned().map(InProgress);
    if let Some(InProgress(clock)) = &in_progress {
        clock.enter(Stage::Handling);
        let payload: Payload = match request.take_payload() {
            Payload::None => Payload::None,
            payload => Payload::Stream { payload: Box::pin(Body { payload, clock: clock.clone() }) },
        };
        request.set_payload(payload);
    }
    let response = service.call(request);
    async move {
        let response = response.await?;
        if let Some(InProgress(clock)) = &in_progress {
            clock.enter(Stage::Sending { is_event_stream: is_event_stream(&response) });
        }
        Ok(response.map_body(|_, body| ResponseBody { body, _in_progress: in_progress }))
    }
}

fn is_event_stream(response: &ServiceResponse) -> bool {
    // The size first, which costs no search: nothing that has a length is a stream.
    response.response().body().size() == BodySize::Stream
        && response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// A request's body. An operation that waits for more of it lets the connection read on.
struct Body {
    payload: Payload,
    clock: Rc<Clock>,
}

impl Stream for Body {
    type Item = <Payload as Stream>::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.payload).poll_next(cx);
        if polled.is_pending() {
            self.clock.ask_for_body();
        }
        polled
    }
}

/// An answer's body. The request is in progress until it was handed over to the last byte, or given up.
pub(super) struct ResponseBody {
    body: BoxBody,
    _in_progress: Option<InProgress>,
}

impl MessageBody for ResponseBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
