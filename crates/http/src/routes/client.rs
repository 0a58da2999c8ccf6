//! The web client: its page, its modules, its worker.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderMap},
    },
    web::{self, ServiceConfig},
};
use kith_web::{CONTENT_SECURITY_POLICY, File, client};

use super::table::at;
use crate::problem::Problem;

/// What stands under the name of its own contents never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// What may change is asked for each time, and mostly answered with 304.
const ASK_AGAIN: &str = "no-cache";

pub(crate) fn configure(config: &mut ServiceConfig) {
    config
        .service(at("/invite/{code}").file(invite).into_resource())
        .service(at("/worker.js").file(worker).into_resource())
        .service(at("/app/{build}/{path:.*}").file(module).into_resource())
        .default_service(web::to(elsewhere));
}

/// The page.
pub(crate) fn page(request: &HttpRequest) -> HttpResponse {
    send(request, client().page(), ASK_AGAIN)
}

/// The page too: it reads the code from its own address.
async fn invite(request: HttpRequest) -> HttpResponse {
    page(&request)
}

/// An address that leads nowhere. A person comes to the page all the same, which says so.
async fn elsewhere(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if !looks || !takes_pages(&request) || super::is_beside_calls(request.path()) {
        return Err(nowhere());
    }
    let mut page = page(&request);
    if page.status() == StatusCode::OK {
        *page.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(page)
}

/// Whether it is a browser that somebody has sent there, rather than a program.
pub(crate) fn takes_pages(request: &HttpRequest) -> bool {
    words(request.headers(), header::ACCEPT).any(|kind| kind == "text/html")
}

async fn worker(request: HttpRequest) -> HttpResponse {
    send(&request, client().worker(), ASK_AGAIN)
}

/// A module, out of the build that is here.
async fn module(
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (build, path) = path.into_inner();
    let file = client().file(&path).filter(|_| build == client().build());
    let file = file.ok_or_else(nowhere)?;
    Ok(send(&request, file, FOR_EVER))
}

fn nowhere() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
}

fn send(request: &HttpRequest, file: &File, cache: &'static str) -> HttpResponse {
    let asked = request.headers();
    let compressed = words(asked, header::ACCEPT_ENCODING).any(|coding| coding == "gzip");
    let etag = if compressed { &file.gzip_etag } else { &file.etag };
    let known = words(asked, header::IF_NONE_MATCH)
        .any(|known| known == "*" || known.trim_start_matches("W/") == etag);
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((header::ETAG, etag.as_str()))
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::VARY, "Accept, Accept-Encoding"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"));
    if known {
        return answer.finish();
    }
    answer.content_type(file.content_type);
    if compressed {
        return answer.insert_header((header::CONTENT_ENCODING, "gzip")).body(file.gzip.clone());
    }
    answer.body(file.body.clone())
}

/// The members of a list in a header, without parameters; those refused by `q=0` left out.
fn words(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|member| !member.replace(' ', "").ends_with(";q=0"))
        .map(|member| member.split(';').next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use actix_web::{
        App,
        body::to_bytes,
        dev::ServiceResponse,
        test::{TestRequest, call_service, init_service},
    };

    use super::*;

    async fn get(path: &str, headers: &[(&str, &str)]) -> ServiceResponse {
        ask(TestRequest::get(), path, headers).await
    }

    async fn ask(request: TestRequest, path: &str, headers: &[(&str, &str)]) -> ServiceResponse {
        let app = init_service(App::new().configure(configure)).await;
        let request = request.uri(path);
        let request =
            headers.iter().fold(request, |request, header| request.insert_header(*header));
        call_service(&app, request.to_request()).await
    }

    fn header<'a>(answer: &'a ServiceResponse, name: &str) -> &'a str {
        answer.headers().get(name).unwrap().to_str().unwrap()
    }

    #[actix_web::test]
    async fn a_module_is_kept_for_ever_and_the_page_asked_for_again() {
        let main = format!("/app/{}/main.js", client().build());
        let module = get(&main, &[]).await;
        assert_eq!(module.status(), 200);
        assert_eq!(header(&module, "cache-control"), FOR_EVER);
        assert_eq!(header(&module, "content-type"), "text/javascript; charset=utf-8");

        let page = get("/invite/abc", &[]).await;
        assert_eq!(header(&page, "cache-control"), ASK_AGAIN);
        let etag = header(&page, "etag");
        let again = get("/invite/abc", &[("if-none-match", etag)]).await;
        assert_eq!(again.status(), 304);
        assert!(to_bytes(again.into_body()).await.unwrap().is_empty());
    }

    #[actix_web::test]
    async fn a_module_of_another_build_is_not_there() {
        for path in ["/app/0123456789abcdef/main.js", "/app/x/../main.js"] {
            assert_eq!(get(path, &[]).await.status(), 404, "{path}");
        }
        let unknown = format!("/app/{}/nothing.js", client().build());
        assert_eq!(get(&unknown, &[]).await.status(), 404);
    }

    #[actix_web::test]
    async fn it_is_compressed_for_those_who_take_it() {
        let worker = client().worker();
        for (accepts, compressed) in
            [("gzip, deflate, br", true), ("gzip;q=0", false), ("identity", false)]
        {
            let answer = get("/worker.js", &[("accept-encoding", accepts)]).await;
            assert_eq!(answer.headers().contains_key("content-encoding"), compressed, "{accepts}");
            let sent = to_bytes(answer.into_body()).await.unwrap();
            assert_eq!(sent, if compressed { &worker.gzip } else { &worker.body }, "{accepts}");
        }
    }

    #[actix_web::test]
    async fn what_is_compressed_has_an_etag_of_its_own() {
        let (plain, gzip) = (("accept-encoding", "identity"), ("accept-encoding", "gzip"));
        let plain_etag = header(&get("/worker.js", &[plain]).await, "etag").to_owned();
        let gzip_etag = header(&get("/worker.js", &[gzip]).await, "etag").to_owned();
        assert_ne!(plain_etag, gzip_etag);
        for (coding, etag, status) in
            [(gzip, &gzip_etag, 304), (plain, &plain_etag, 304), (gzip, &plain_etag, 200)]
        {
            let answer = get("/worker.js", &[coding, ("if-none-match", etag)]).await;
            assert_eq!(answer.status(), status, "{coding:?} {etag}");
            assert_eq!(header(&answer, "vary"), "Accept, Accept-Encoding");
        }
    }

    #[actix_web::test]
    async fn head_has_the_headers_of_get() {
        for path in ["/invite/abc", "/worker.js", &format!("/app/{}/main.js", client().build())] {
            let (head, get) = (
                ask(TestRequest::default().method(Method::HEAD), path, &[]).await,
                get(path, &[]).await,
            );
            assert_eq!(head.status(), 200, "{path}");
            for name in ["etag", "cache-control", "content-type", "content-security-policy"] {
                assert_eq!(header(&head, name), header(&get, name), "{path}");
            }
        }
    }

    #[actix_web::test]
    async fn an_address_that_leads_nowhere_is_a_page_for_people_alone() {
        let page = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
        for path in ["/nope", "/invite/", "/invite/a/b"] {
            let answer = get(path, &[page]).await;
            assert_eq!(answer.status(), 404, "{path}");
            assert_eq!(header(&answer, "content-type"), "text/html; charset=utf-8", "{path}");
            let etag = header(&answer, "etag");
            assert_eq!(get(path, &[page, ("if-none-match", etag)]).await.status(), 304, "{path}");
        }
        let json = "application/problem+json";
        for (path, accept) in [
            ("/nope", ("accept", "application/json")),
            ("/nope", ("accept", "*/*")),
            ("/v1/nope", page),
            ("/users/a/b", page),
            ("/health/nope", page),
            ("/app/0123456789abcdef/main.js", page),
        ] {
            let answer = get(path, &[accept]).await;
            assert_eq!(answer.status(), 404, "{path}");
            assert_eq!(header(&answer, "content-type"), json, "{path} {accept:?}");
        }
        let posted = ask(TestRequest::post(), "/nope", &[page]).await;
        assert_eq!(
            (posted.status(), header(&posted, "content-type")),
            (StatusCode::NOT_FOUND, json)
        );
    }

    #[actix_web::test]
    async fn everything_comes_with_the_policy() {
        let page = get("/invite/abc", &[]).await;
        let policy = header(&page, "content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(header(&page, "referrer-policy"), "no-referrer");
    }
}
