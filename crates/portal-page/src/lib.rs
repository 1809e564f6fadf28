//! The web page of the portal, embedded in the binary: an actix-web scope that serves the files of `dist/`.
//!
//! `ui/` holds the sources, in TypeScript; `cargo xtask page` builds `dist/`, which is committed, so that the portal
//! itself needs nothing but Rust. Every address of the page gets the same `index.html`; the page reads its own address.
//!
//! The page is a client like any other: it talks to the portal over HTTP from the browser. This crate knows no use cases
//! and no ports. Nothing is loaded from elsewhere, and the code of a login link stands in the fragment of the address,
//! which no browser sends to a server.

use std::borrow::Cow;

use actix_web::guard::{self, GuardContext};
use actix_web::http::header::{self, CacheDirective};
use actix_web::web::{self, Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder, get};
use rust_embed::{Embed, EmbeddedFile};

/// Content security policy of every answer: own files only, no inline code, no frames, no forms.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Name of the page where none is configured, as the built files have it.
const DEFAULT_NAME: &str = "Friend Portal";
/// Lifetime of files whose name holds a hash of their content, in seconds: a year.
const ASSET_MAX_AGE: u32 = 365 * 24 * 60 * 60;

#[derive(Embed)]
#[folder = "dist/"]
struct Dist;

/// Tokens of the portal that serves the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// Nobody knows them but their owners.
    Secret,
    /// Those of the demo, with which the page offers to log in.
    Public,
}

/// Name and colour of the page, by which friends know whose portal it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// Shown at the top of every view, as the title, and as the name of the app on a home screen.
    pub name: String,
    /// A line below the name, as `#rrggbb`. It bears no text, so that any colour leaves the page readable.
    pub color: Option<String>,
}

impl Default for Brand {
    fn default() -> Self {
        Self { name: DEFAULT_NAME.to_owned(), color: None }
    }
}

/// The files that carry the brand.
struct Branded {
    index: Bytes,
    manifest: Bytes,
}

impl Branded {
    fn new(brand: &Brand) -> Self {
        let text =
            |name| Dist::get(name).map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap_or_default();
        let mut index = text("index.html").replace(DEFAULT_NAME, &escape(&brand.name));
        if let Some(color) = &brand.color {
            let meta = format!("<meta name=\"theme-color\" content=\"{}\">\n</head>", escape(color));
            index = index.replace("</head>", &meta);
        }
        // As a JSON text with its quotes: a name may hold any character.
        let name = serde_json::Value::from(brand.name.as_str()).to_string();
        let manifest = text("manifest.webmanifest").replace(&format!("\"{DEFAULT_NAME}\""), &name);
        Self { index: index.into(), manifest: manifest.into() }
    }
}

/// Makes a text fit to stand in an attribute or between tags.
fn escape(text: &str) -> String {
    // The ampersand first: the others bring new ones.
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Registers the page: `/` and everything below `/portal`. Mount it before the API's routes, which answer whatever no
/// other service takes.
pub fn configure(config: &mut ServiceConfig, tokens: Tokens, brand: &Brand) {
    config.app_data(Data::new(Branded::new(brand)));
    // One scope: a request to the API is compared with its beginning, and not with the pattern of each file.
    let page = web::scope("/portal").guard(guard::Get()).guard(guard::fn_guard(is_below_portal));
    let page = match tokens {
        Tokens::Public => page.service(show_demo),
        Tokens::Secret => page.service(show_no_demo),
    };
    let page = page.service(show_asset).service(show_manifest).service(show_icon).service(show_page);
    config.service(page).service(show_start);
}

/// `/portal` itself is no view; the API answers it with a problem document.
fn is_below_portal(context: &GuardContext<'_>) -> bool {
    context.head().uri.path() != "/portal"
}

#[get("/demo")]
async fn show_demo() -> HttpResponse {
    friends_of_demo(&["alice", "bob"])
}

#[get("/demo")]
async fn show_no_demo() -> HttpResponse {
    friends_of_demo(&[])
}

/// Names the friends whose tokens are public. A portal without any says so by an empty list: browsers report a 404 as an
/// error of the page.
fn friends_of_demo(friends: &[&str]) -> HttpResponse {
    HttpResponse::Ok().insert_header(header::CacheControl(vec![CacheDirective::NoStore])).json(friends)
}

#[get("/assets/{name}")]
async fn show_asset(name: Path<String>) -> HttpResponse {
    let cache = [CacheDirective::Public, CacheDirective::MaxAge(ASSET_MAX_AGE), immutable()];
    serve(&format!("assets/{name}"), cache.into())
}

#[get("/manifest.webmanifest")]
async fn show_manifest(branded: Data<Branded>) -> HttpResponse {
    send("manifest.webmanifest", branded.manifest.clone(), vec![CacheDirective::NoCache])
}

#[get("/icon.svg")]
async fn show_icon() -> HttpResponse {
    serve("icon.svg", vec![CacheDirective::NoCache])
}

#[get("/{path:.*}")]
async fn show_page(branded: Data<Branded>) -> HttpResponse {
    index(&branded)
}

#[get("/")]
async fn show_start(branded: Data<Branded>) -> HttpResponse {
    index(&branded)
}

fn index(branded: &Branded) -> HttpResponse {
    send(
        "index.html",
        branded.index.clone(),
        vec![CacheDirective::NoCache, CacheDirective::Extension("no-transform".to_owned(), None)],
    )
}

fn immutable() -> CacheDirective {
    CacheDirective::Extension("immutable".to_owned(), None)
}

fn serve(name: &str, cache: Vec<CacheDirective>) -> HttpResponse {
    let Some(EmbeddedFile { data, .. }) = Dist::get(name) else { return HttpResponse::NotFound().finish() };
    let body = match data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    send(name, body, cache)
}

fn send(name: &str, body: Bytes, cache: Vec<CacheDirective>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    secure(&mut response);
    response.content_type(media_type(name)).insert_header(header::CacheControl(cache)).body(body)
}

fn secure(response: &mut HttpResponseBuilder) {
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        // The address of the page may hold a code in its fragment; no other site learns the address.
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
    use actix_web::{App, HttpResponse, test as http, web};

    use super::{Brand, Dist, POLICY, Tokens, configure};

    async fn get(path: &str) -> (StatusCode, String, String) {
        let app =
            http::init_service(App::new().configure(|config| configure(config, Tokens::Secret, &Brand::default())))
                .await;
        let response = http::call_service(&app, http::TestRequest::get().uri(path).to_request()).await;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if response.status().is_success() {
            assert_eq!(header(CONTENT_SECURITY_POLICY), POLICY, "{path}");
        }
        (response.status(), header(CONTENT_TYPE).to_owned(), header(CACHE_CONTROL).to_owned())
    }

    #[actix_web::test]
    async fn every_address_of_the_page_is_the_page() {
        for path in ["/", "/portal/enter", "/portal/apps/my-app/publish?name=photos", "/portal/schedule/a%20b"] {
            let expected = (StatusCode::OK, "text/html; charset=utf-8".to_owned(), "no-cache, no-transform".to_owned());
            assert_eq!(get(path).await, expected, "{path}");
        }
    }

    #[actix_web::test]
    async fn the_page_carries_the_name_and_the_color_of_whose_it_is() {
        let brand = Brand { name: "Alice & \"Bob\" <3".to_owned(), color: Some("#aa3300".to_owned()) };
        let app = http::init_service(App::new().configure(|config| configure(config, Tokens::Secret, &brand))).await;
        let text = async |path: &str| {
            let request = http::TestRequest::get().uri(path).to_request();
            String::from_utf8(http::call_and_read_body(&app, request).await.to_vec()).unwrap()
        };
        let index = text("/").await;
        assert!(index.contains("<title>Alice &amp; &quot;Bob&quot; &lt;3</title>"), "{index}");
        assert!(index.contains("<meta name=\"theme-color\" content=\"#aa3300\">"), "{index}");
        assert!(!index.contains("Friend Portal") && !index.contains("<3"), "{index}");
        let manifest: serde_json::Value = serde_json::from_str(&text("/portal/manifest.webmanifest").await).unwrap();
        assert_eq!(manifest["name"], "Alice & \"Bob\" <3");
    }

    #[actix_web::test]
    async fn files_with_a_hash_in_their_name_are_cached_for_ever() {
        let assets: Vec<_> = Dist::iter().filter(|name| name.starts_with("assets/")).collect();
        assert!(assets.len() > 2, "{assets:?}");
        for name in assets {
            let (status, _, cache) = get(&format!("/portal/{name}")).await;
            assert_eq!((status, &*cache), (StatusCode::OK, "public, max-age=31536000, immutable"), "{name}");
        }
        assert_eq!(get("/portal/assets/none.js").await.0, StatusCode::NOT_FOUND);
    }

    #[actix_web::test]
    async fn only_a_demo_names_friends_whose_tokens_are_public() {
        for (tokens, expected) in [(Tokens::Secret, "[]"), (Tokens::Public, r#"["alice","bob"]"#)] {
            let app = App::new().configure(|config| configure(config, tokens, &Brand::default()));
            let request = http::TestRequest::get().uri("/portal/demo").to_request();
            let body = http::call_and_read_body(&http::init_service(app).await, request).await;
            assert_eq!(body, expected, "{tokens:?}");
        }
    }

    #[actix_web::test]
    async fn what_is_no_view_is_left_to_what_is_mounted_after_the_page() {
        let rest = web::scope("").default_service(web::to(|| async { HttpResponse::ImATeapot().finish() }));
        let app = App::new().configure(|config| configure(config, Tokens::Secret, &Brand::default())).service(rest);
        let app = http::init_service(app).await;
        let [get, post] = [http::TestRequest::get, http::TestRequest::post];
        for request in
            [get().uri("/portal"), get().uri("/portals/enter"), get().uri("/api/portal/me"), post().uri("/portal/demo")]
        {
            assert_eq!(http::call_service(&app, request.to_request()).await.status(), StatusCode::IM_A_TEAPOT);
        }
    }

    #[test]
    fn the_page_names_only_files_that_are_there() {
        let index = String::from_utf8(Dist::get("index.html").unwrap().data.into_owned()).unwrap();
        let named: Vec<_> = index.split('"').filter_map(|piece| piece.strip_prefix("/portal/")).collect();
        assert!(named.len() >= 4, "{named:?}");
        for name in named {
            assert!(Dist::get(name).is_some(), "{name}");
        }
    }
}
