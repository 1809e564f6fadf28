//! Callers who leave in the middle of a query.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use portal_adapters::db::{Db, DbSettings};
use portal_core::FriendStore;

use crate::registration::friend_and_audit;

/// Registers a friend but waits no more than 20 ms for it: what becomes of a request whose client hangs up.
async fn register_impatiently(friends: web::Data<Arc<dyn FriendStore>>, id: web::Path<String>) -> HttpResponse {
    let (friend, audit) = friend_and_audit(&id);
    match tokio::time::timeout(Duration::from_millis(20), friends.create(friend, audit)).await {
        Ok(_) => HttpResponse::Created().finish(),
        Err(_) => HttpResponse::RequestTimeout().finish(),
    }
}

async fn list(friends: web::Data<Arc<dyn FriendStore>>) -> HttpResponse {
    match friends.list().await {
        Ok(friends) => HttpResponse::Ok().body(friends.len().to_string()),
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}

/// A server with one worker, so that a worker that dies is missed; ends with the test.
fn serve(friends: Arc<dyn FriendStore>) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || {
                App::new()
                    .app_data(web::Data::new(friends.clone()))
                    .route("/friends", web::get().to(list))
                    .route("/friends/{id}", web::post().to(register_impatiently))
            };
            let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
            tell.send(*server.addrs().first().unwrap()).unwrap();
            server.run().await.unwrap();
        });
    });
    told.recv().unwrap()
}

fn ask(server: SocketAddr, request_line: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "{request_line} HTTP/1.1\r\nhost: portal\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn requests_dropped_in_the_middle_of_a_query_hurt_neither_the_worker_nor_the_query() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.db").display().to_string();
    let db = Db::open(&DbSettings::new(format!("sqlite:{path}")), runtime.handle().clone()).unwrap();
    runtime.block_on(db.migrate()).unwrap();
    let server = serve(db.friends());

    // Somebody else writes, so that every write of ours is a slow query.
    let mut other = SqliteConnection::establish(&path).unwrap();
    other.batch_execute("begin immediate").unwrap();
    for friend in ["a", "b", "c"] {
        let answer = ask(server, &format!("POST /friends/{friend}"));
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    assert!(ask(server, "GET /friends").ends_with("\r\n\r\n0"), "the worker lives on and answers");
    other.batch_execute("rollback").unwrap();

    let patience = Instant::now() + Duration::from_secs(10);
    while !ask(server, "GET /friends").ends_with("\r\n\r\n3") {
        assert!(Instant::now() < patience, "what nobody waited for was not brought to its end");
    }
}
