//! Routes as a list: it can be put into an application, and be looked through.

use actix_web::{
    FromRequest, Handler, Resource, Responder, ResponseError as _, Route, Scope,
    http::{
        Method, StatusCode,
        header::{self, HeaderValue},
    },
    web::{self, ServiceConfig},
};

use super::conversations::Narrow;
use crate::problem::Problem;

/// A call: a method, and a path with names in braces.
pub type Call = (Method, String);

/// A path, and what answers it there. Other methods than those are answered with 405.
pub(crate) struct Entry {
    path: &'static str,
    resource: Resource,
    methods: Vec<Method>,
}

/// A path.
pub(crate) fn at(path: &'static str) -> Entry {
    Entry { path, resource: web::resource(path), methods: Vec::new() }
}

/// A method of [`Entry`] for each method of HTTP that is in use.
macro_rules! methods {
    ($($name:ident $method:ident)*) => {$(
        pub(crate) fn $name<F, Args>(self, handler: F) -> Self
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            self.route(Method::$method, web::$name().to(handler))
        }
    )*};
}

impl Entry {
    methods! { get GET post POST put PUT patch PATCH delete DELETE }

    /// A page or a file: HEAD is answered as GET is, and HTTP leaves the body out.
    pub(crate) fn file<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.get(handler.clone()).route(Method::HEAD, web::head().to(handler))
    }

    fn route(mut self, method: Method, route: Route) -> Self {
        self.resource = self.resource.route(route);
        self.methods.push(method);
        self
    }

    pub(crate) fn into_resource(self) -> Resource {
        let methods: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        let allow = methods.join(", ");
        self.resource.default_service(web::to(move || {
            let allow = allow.clone();
            async move {
                let mut refused = Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    format!("this path answers {allow}"),
                )
                .error_response();
                if let Ok(allow) = HeaderValue::from_str(&allow) {
                    refused.headers_mut().insert(header::ALLOW, allow);
                }
                refused
            }
        }))
    }

    fn calls(&self, base: &str) -> impl Iterator<Item = Call> {
        let path = format!("{base}{}", self.path);
        // HEAD is no call of its own.
        let methods = self.methods.iter().filter(|method| *method != Method::HEAD);
        methods.map(move |method| (method.clone(), path.clone()))
    }
}

/// Paths under a common beginning.
pub(crate) struct Section {
    base: &'static str,
    scope: Scope,
    calls: Vec<Call>,
}

/// Paths that begin with `base`.
pub(crate) fn section(base: &'static str) -> Section {
    Section { base, scope: web::scope(base), calls: Vec::new() }
}

impl Section {
    pub(crate) fn with(mut self, at: Entry) -> Self {
        self.calls.extend(at.calls(self.base));
        self.scope = self.scope.service(at.into_resource());
        self
    }

    /// Here only conversations of one kind exist.
    pub(crate) fn narrow(mut self, narrow: Narrow) -> Self {
        self.scope = self.scope.app_data(narrow);
        self
    }
}

/// All sections, and the paths that stand alone.
#[derive(Default)]
pub(crate) struct Table {
    sections: Vec<Section>,
    alone: Vec<Entry>,
}

impl Table {
    pub(crate) fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    pub(crate) fn with(mut self, at: Entry) -> Self {
        self.alone.push(at);
        self
    }

    /// Puts all of it into an application.
    pub(crate) fn mount(self, config: &mut ServiceConfig) {
        for section in self.sections {
            config.service(section.scope);
        }
        for at in self.alone {
            config.service(at.into_resource());
        }
    }

    /// Every call.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let sections = self.sections.iter().flat_map(|section| section.calls.iter().cloned());
        sections.chain(self.alone.iter().flat_map(|at| at.calls(""))).collect()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{
        App, HttpResponse,
        test::{TestRequest, call_service, init_service},
    };

    use super::*;

    async fn here() -> HttpResponse {
        HttpResponse::Ok().finish()
    }

    fn table() -> Table {
        Table::default()
            .section(
                section("/people").with(at("").get(here)).with(at("/{id}").put(here).get(here)),
            )
            .with(at("/sync").get(here))
    }

    #[test]
    fn a_table_knows_its_calls() {
        let calls: Vec<String> =
            table().calls().iter().map(|(method, path)| format!("{method} {path}")).collect();
        assert_eq!(calls, ["GET /people", "PUT /people/{id}", "GET /people/{id}", "GET /sync"]);
    }

    #[actix_web::test]
    async fn another_method_is_refused_with_those_there_are() {
        let app = init_service(App::new().configure(|config| table().mount(config))).await;
        for path in ["/people", "/people/7", "/sync"] {
            let request = TestRequest::get().uri(path).to_request();
            assert_eq!(call_service(&app, request).await.status(), 200, "{path}");
        }
        let request = TestRequest::delete().uri("/people/7").to_request();
        let refused = call_service(&app, request).await;
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers().get(header::ALLOW).unwrap(), "PUT, GET");
    }
}
