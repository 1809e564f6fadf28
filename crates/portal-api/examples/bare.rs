//! The least that an actix-web server can do for a request: answer bytes that it holds.
//!
//! `bare ADDRESS PATH=FILE..` answers `GET PATH` with the content of `FILE`. `cargo xtask bench api` measures it beside
//! the portal, to tell what the portal's own work costs.

use std::io::{Error, Result};

use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::Bytes;

#[actix_web::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or_else(|| Error::other("usage: bare ADDRESS PATH=FILE.."))?;
    let routes: Vec<(String, Bytes)> = arguments.map(|route| read(&route)).collect::<Result<_>>()?;
    HttpServer::new(move || {
        routes.iter().fold(App::new(), |app, (path, body)| {
            let body = body.clone();
            let answer = move || {
                let body = body.clone();
                async move { HttpResponse::Ok().content_type("application/json").body(body) }
            };
            app.route(path, web::get().to(answer))
        })
    })
    .bind(address)?
    .run()
    .await
}

fn read(route: &str) -> Result<(String, Bytes)> {
    let (path, file) = route.split_once('=').ok_or_else(|| Error::other("a route is PATH=FILE"))?;
    Ok((path.to_owned(), std::fs::read(file)?.into()))
}
