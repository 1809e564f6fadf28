use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_server::Server;
use actix_service::{Service, ServiceFactory};
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, rt};
use futures::stream;
use futures::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, sleep, timeout};

use super::addresses::Addresses;
use super::{Closed, Connection, REQUEST_TIMEOUT, SLICE, WRITE_TIMEOUT, accept, protocol};

/// Bytes that the "network" holds in each direction.
const NETWORK: usize = 1024;

/// The paths of the requests that reached their handlers, in order.
type Order = Rc<RefCell<Vec<String>>>;

/// A client's end of a connection that is served on this thread.
struct Client {
    stream: DuplexStream,
    served: JoinHandle<Result<(), DispatchError>>,
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until `count` bytes arrived or the connection ended.
    async fn take(&mut self, count: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        (&mut self.stream).take(count as u64).read_to_end(&mut taken).await.unwrap();
        taken
    }

    /// The time until the server ended the connection, and its reason.
    async fn closed(self, since: Instant) -> (Duration, Closed) {
        let error = self.served.await.unwrap().unwrap_err();
        let DispatchError::Io(error) = error else { panic!("{error}") };
        (since.elapsed(), *error.get_ref().unwrap().downcast_ref().unwrap())
    }
}

async fn record(request: HttpRequest, order: web::Data<Order>) -> HttpResponse {
    order.borrow_mut().push(request.path().to_owned());
    HttpResponse::Ok().body("ok")
}

async fn measure(mut body: web::Payload) -> HttpResponse {
    let mut length = 0;
    while let Some(chunk) = body.next().await {
        length += chunk.unwrap().len();
    }
    HttpResponse::Ok().body(length.to_string())
}

/// Answers without its body, as an operation does that has none.
async fn ignore() -> HttpResponse {
    tokio::task::yield_now().await;
    HttpResponse::Ok().body("ok")
}

/// A byte every second, for ever.
async fn tick() -> HttpResponse {
    let ticks = stream::repeat(()).then(|()| async {
        sleep(Duration::from_secs(1)).await;
        Ok::<_, actix_web::Error>(Bytes::from_static(b"."))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(ticks)
}

fn mount(config: &mut ServiceConfig, order: Order) {
    config
        .app_data(web::Data::new(order))
        .route("/large", web::get().to(|| async { HttpResponse::Ok().body(vec![b'x'; 1024 * 1024]) }))
        .route("/length", web::put().to(measure))
        .route("/events", web::get().to(tick))
        .route("/never", web::get().to(std::future::pending::<HttpResponse>))
        .route("/ignored", web::put().to(ignore))
        .route("/refused", web::put().to(|| async { HttpResponse::Unauthorized().body("no") }))
        .default_service(web::to(record));
}

/// Connects a client per network capacity, all to one worker.
async fn connect<const N: usize>(order: &Order, capacities: [usize; N]) -> [Client; N] {
    let (address, stopping) = (([127, 0, 0, 1], 0).into(), Server::build().graceful_shutdown_signal());
    let order = order.clone();
    let service = protocol(address, stopping, move |config| mount(config, order.clone()));
    let service = Rc::new(service.new_service(()).await.unwrap());
    capacities.map(|capacity| {
        let (stream, end) = duplex(capacity);
        let serving = service.call((Connection::new(end, None), None));
        let service = service.clone();
        let served = rt::spawn(async move {
            let served = serving.await;
            drop(service);
            served
        });
        Client { stream, served }
    })
}

/// Runs a test with a clock that stands still while something can be done.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn pipelined_requests_wait_for_those_of_others() {
    run(async {
        let order = Order::default();
        let [mut flooder, mut victim] = connect(&order, [64 * 1024; 2]).await;
        flooder.send(&"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n".repeat(300)).await;
        victim.send("GET /victim HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(victim.take(12).await.ends_with(b"200"));
        let order = order.borrow();
        let place = order.iter().position(|path| path == "/victim").unwrap();
        assert!(place <= 2, "{place} requests of another connection came first");
    });
}

#[test]
fn large_answers_wait_for_those_of_others() {
    run(async {
        let [mut greedy, mut victim] = connect(&Order::default(), [64 * 1024 * 1024, NETWORK]).await;
        greedy.send(&"GET /large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20)).await;
        victim.send("GET /victim HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(victim.take(12).await.ends_with(b"200"));
        let mut taken = vec![0; 20 * 1024 * 1024];
        let length = greedy.stream.read(&mut taken).now_or_never().unwrap_or(Ok(0)).unwrap();
        assert!(length <= 256 * 1024, "{length} bytes were written to another connection first");
    });
}

#[test]
fn a_pipelined_request_is_handed_over_when_the_one_before_is_answered() {
    run(async {
        let order = Order::default();
        let [mut client] = connect(&order, [NETWORK]).await;
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\nHost: a\n\n").await;
        // An answer of which the client takes nothing is not complete.
        sleep(Duration::from_secs(5)).await;
        assert!(order.borrow().is_empty());
        client.take(1024 * 1024).await;
        sleep(Duration::from_secs(1)).await;
        assert!(order.borrow().is_empty(), "the head is missing from what was taken");
        client.take(1024).await;
        assert_eq!(*order.borrow(), ["/next"]);
    });
}

#[test]
fn what_follows_a_small_body_that_nobody_reads_is_the_next_request() {
    run(async {
        let order = Order::default();
        let [mut client] = connect(&order, [NETWORK]).await;
        let ignored = "PUT /ignored HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n\r\n\r\n12";
        client.send(&format!("{ignored}GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let answers = String::from_utf8(client.take(4096).await).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{answers}");
        assert_eq!(*order.borrow(), ["/next"]);
    });
}

#[test]
fn every_pipelined_request_is_answered() {
    run(async {
        let order = Order::default();
        let [mut client] = connect(&order, [NETWORK]).await;
        let mut requests = "GET /one HTTP/1.1\r\nHost: a\r\n\r\n".repeat(999);
        requests.push_str("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (mut read, mut write) = tokio::io::split(client.stream);
        let writing = rt::spawn(async move {
            write.write_all(requests.as_bytes()).await.unwrap();
            write
        });
        let mut answers = String::new();
        read.read_to_string(&mut answers).await.unwrap();
        writing.await.unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 1000);
        assert!((&mut client.served).await.unwrap().is_ok());
    });
}

#[test]
fn a_large_body_arrives_whole() {
    run(async {
        let [mut client] = connect(&Order::default(), [NETWORK]).await;
        client.send("PUT /length HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2097152\r\n\r\n").await;
        client.send(&"x".repeat(2 * 1024 * 1024)).await;
        let answer = String::from_utf8(client.take(4096).await).unwrap();
        assert!(answer.ends_with("2097152"), "{answer}");
    });
}

#[test]
fn an_answer_of_which_nothing_is_taken_ends_the_connection() {
    run(async {
        let begun = Instant::now();
        let [mut client] = connect(&Order::default(), [NETWORK]).await;
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let (time, reason) = client.closed(begun).await;
        assert_eq!(reason, Closed::WriteTimeout);
        assert!((WRITE_TIMEOUT..WRITE_TIMEOUT + Duration::from_secs(1)).contains(&time), "{time:?}");
    });
}

#[test]
fn an_answer_that_is_taken_too_slowly_ends_the_connection() {
    run(async {
        let begun = Instant::now();
        let [mut client] = connect(&Order::default(), [NETWORK]).await;
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
        while !client.served.is_finished() {
            client.take(900).await;
            sleep(Duration::from_secs(1)).await;
        }
        let (time, reason) = client.closed(begun).await;
        assert_eq!(reason, Closed::SlowRead);
        assert!(time < Duration::from_secs(62), "{time:?}");
    });
}

#[test]
fn an_answer_that_is_taken_at_the_least_rate_arrives_whole() {
    run(async {
        let [mut client] = connect(&Order::default(), [NETWORK]).await;
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut taken = 0;
        while taken < 1024 * 1024 {
            let part = client.take(1100).await.len();
            assert!(part > 0, "the connection ended after {taken} bytes");
            taken += part;
            sleep(Duration::from_secs(1)).await;
        }
    });
}

#[test]
fn an_event_stream_may_be_slow() {
    run(async {
        let [mut client] = connect(&Order::default(), [8]).await;
        client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await;
        for _ in 0..300 {
            assert_eq!(client.take(4).await.len(), 4);
            sleep(Duration::from_secs(1)).await;
        }
        assert!(!client.served.is_finished());
    });
}

#[test]
fn the_rest_of_a_refused_body_is_not_drained_for_ever() {
    run(async {
        let [mut client] = connect(&Order::default(), [NETWORK]).await;
        let begun = Instant::now();
        client.send("PUT /refused HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        while client.stream.write_all(b"1\r\nx\r\n").await.is_ok() {
            sleep(Duration::from_secs(2)).await;
        }
        let (time, reason) = client.closed(begun).await;
        assert_eq!(reason, Closed::RequestTimeout);
        assert!(time < Duration::from_mins(1), "{time:?}");
    });
}

#[test]
fn a_second_head_that_does_not_end_ends_the_connection() {
    run(async {
        let [mut client] = connect(&Order::default(), [NETWORK]).await;
        let begun = Instant::now();
        client.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\nX-Half: ").await;
        while client.stream.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(5)).await;
        }
        let (time, reason) = client.closed(begun).await;
        assert_eq!(reason, Closed::RequestTimeout);
        assert!((REQUEST_TIMEOUT..=Duration::from_mins(1)).contains(&time), "{time:?}");
    });
}

#[test]
fn nothing_is_read_that_nobody_asks_for() {
    run(async {
        let [mut client] = connect(&Order::default(), [NETWORK]).await;
        client.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut sent = 0;
        while let Ok(written) = timeout(Duration::from_secs(1), client.stream.write_all(b"x")).await {
            written.unwrap();
            sent += 1;
        }
        assert!(sent <= SLICE + NETWORK, "{sent} bytes were read");
        assert!(!client.served.is_finished());
    });
}

#[tokio::test]
async fn the_last_write_of_an_answer_is_not_delayed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (connection, _) = accept(accepted.unwrap().0, &Addresses::new(None)).unwrap();
    assert!(connection.stream.nodelay().unwrap());
}

#[test]
fn an_address_has_as_many_connections_as_it_may() {
    let addresses = Addresses::new(Some(2));
    let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
    let admitted = [addresses.admit(one), addresses.admit(one)];
    assert!(admitted.iter().all(Option::is_some));
    assert!(addresses.admit(one).is_none());
    assert!(addresses.admit(other).is_some());
    drop(admitted);
    assert!(addresses.admit(one).is_some());
    assert!(addresses.open.lock().is_empty(), "an address without connections is forgotten");
}
