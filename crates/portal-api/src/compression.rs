//! Compression of answers, for those who accept it.

use std::rc::Rc;

use actix_web::Error;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Compress;
use futures::future::{Either, LocalBoxFuture};
use futures::{FutureExt, TryFutureExt};

/// Smallest body worth compressing, in bytes.
const COMPRESS_FROM: u64 = 1024;

/// Middleware that compresses answers. A request that names no coding passes it by: most programs send none, and
/// [`Compress`] would look at each answer to leave it as it is.
pub(crate) struct Compression;

impl<S> Transform<S, ServiceRequest> for Compression
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = Compressing<S>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let plain = Rc::new(service);
        let compressed = Compress::default().new_transform(Choosing(plain.clone()));
        async { Ok(Compressing { plain, compressed: compressed.await? }) }.boxed_local()
    }
}

/// The routes as they are, and behind [`Compress`].
pub(crate) struct Compressing<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static,
{
    plain: Rc<S>,
    compressed: <Compress as Transform<Choosing<S>, ServiceRequest>>::Transform,
}

impl<S> Service<ServiceRequest> for Compressing<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Either<S::Future, LocalBoxFuture<'static, Result<ServiceResponse, Error>>>;

    forward_ready!(plain);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if !request.headers().contains_key(header::ACCEPT_ENCODING) {
            return Either::Left(self.plain.call(request));
        }
        Either::Right(self.compressed.call(request).map_ok(ServiceResponse::map_into_boxed_body).boxed_local())
    }
}

/// Leaves uncompressed what is small, and what has a strong tag: such a tag names exact bytes.
pub(crate) struct Choosing<S>(Rc<S>);

impl<S> Service<ServiceRequest> for Choosing<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse, Error>>;

    fn poll_ready(&self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Error>> {
        self.0.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        self.0.call(request).map_ok(choose).boxed_local()
    }
}

fn choose(mut response: ServiceResponse) -> ServiceResponse {
    // An empty body is nothing to compress.
    let is_small = matches!(response.response().body().size(), BodySize::Sized(1..COMPRESS_FROM));
    let tag = response.headers().get(header::ETAG);
    let is_exact = tag.is_some_and(|tag| !tag.as_bytes().starts_with(b"W/"));
    if (is_small || is_exact) && !response.headers().contains_key(header::CONTENT_ENCODING) {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
    }
    response
}
