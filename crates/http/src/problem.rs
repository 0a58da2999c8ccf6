//! Every error as a problem document (RFC 9457).

use std::{borrow::Cow, fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use kith_app::Error;
use kith_domain::{Code, FieldError, Refusal};
use kith_protocol::rest;
use tracing::error;

use crate::gate;

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: Cow<'static, str>,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) fields: Vec<rest::FieldProblem>,
    pub(crate) retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: Cow::Borrowed(code),
            detail: detail.into(),
            fields: Vec::new(),
            retry_after: None,
        }
    }

    /// A request whose form is wrong in one place.
    pub(crate) fn field(
        code: &'static str,
        field: impl Into<String>,
        field_code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let (field, message) = (field.into(), message.into());
        let detail = if field.is_empty() { message.clone() } else { format!("{field}: {message}") };
        let problem = rest::FieldProblem { field, code: field_code.to_owned(), message };
        Self { fields: vec![problem], ..Self::new(StatusCode::BAD_REQUEST, code, detail) }
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed; its log has more under this request id",
        )
    }

    fn busy(code: &'static str, detail: &'static str) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
        }
    }

    pub(crate) fn rate_limited(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "more was asked than is allowed: ask more slowly",
            )
        }
    }

    /// The document.
    pub(crate) fn document(&self) -> rest::Problem {
        rest::Problem {
            kind: format!("urn:kith:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.to_string(),
            code: self.code.to_string(),
            request_id: gate::request_id(),
            errors: self.fields.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.insert_header((header::RETRY_AFTER, seconds.max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        let body = serde_json::to_string(&self.document()).unwrap_or_default();
        response.content_type("application/problem+json").body(body)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: status(refusal.code),
            code: Cow::Borrowed(refusal.code.as_str()),
            detail: refusal.detail,
            fields: refusal.fields.iter().map(rest::FieldProblem::from).collect(),
            retry_after: None,
        }
    }
}

impl From<Vec<FieldError>> for Problem {
    fn from(fields: Vec<FieldError>) -> Self {
        Refusal::invalid(fields).into()
    }
}

impl From<Error> for Problem {
    fn from(failure: Error) -> Self {
        match failure {
            Error::Refused(refusal) => refusal.into(),
            Error::RateLimited { retry_after } => Self::rate_limited(retry_after),
            Error::Overloaded => {
                Self::busy("overloaded", "the server has more than it can take: try again")
            }
            Error::Unavailable(cause) => {
                if let Some(cause) = &cause {
                    error!(error = cause as &dyn std::error::Error, "the store cannot be reached");
                }
                Self::busy("unavailable", "the database cannot be reached: try again")
            }
            Error::OutcomeUnknown => Self::busy(
                "outcome_unknown",
                "it may have happened or not: the same request again tells; a message needs the same client_message_id, and what has none may be made twice",
            ),
            Error::Internal(cause) => {
                let cause = cause.as_ref().map(|cause| cause as &dyn std::error::Error);
                error!(error = cause, "internal error");
                Self::internal()
            }
        }
    }
}

/// The status of a refusal.
fn status(code: Code) -> StatusCode {
    match code {
        Code::InvalidCredentials
        | Code::Unauthenticated
        | Code::InvalidRefreshToken
        | Code::RefreshReused => StatusCode::UNAUTHORIZED,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Forbidden
        | Code::NotAMember
        | Code::PeerDeleted
        | Code::Blocked
        | Code::EditWindow => StatusCode::FORBIDDEN,
        Code::EmailTaken
        | Code::UsernameTaken
        | Code::MessageDeleted
        | Code::LastOwner
        | Code::WrongKind
        | Code::TooManyMembers
        | Code::TooManyReactions
        | Code::ClientMessageIdReused
        | Code::Conflict => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_becomes_a_problem_document() {
        let refusal = Refusal::field("email", Code::EmailTaken, "log in instead");
        insta::assert_json_snapshot!(Problem::from(refusal).document(), @r#"
        {
          "type": "urn:kith:problem:email_taken",
          "title": "Conflict",
          "status": 409,
          "detail": "log in instead",
          "code": "email_taken",
          "request_id": "",
          "errors": [
            {
              "field": "email",
              "code": "email_taken",
              "message": "log in instead"
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_fault_of_the_server_tells_nothing_of_its_inside() {
        let corrupt = kith_ports::StoreError::Corrupt {
            table: "messages",
            id: "7".to_owned(),
            what: "kind is 99, which means nothing".to_owned(),
        };
        let problem = Problem::from(kith_app::Error::from(corrupt));
        assert_eq!((problem.status.as_u16(), &*problem.code), (500, "internal"));
        assert!(!problem.detail.contains("messages"), "{}", problem.detail);
    }

    #[test]
    fn every_refusal_has_a_status_of_its_kind() {
        let of = |code| Problem::from(Refusal::new(code, "no")).status.as_u16();
        assert_eq!(of(Code::Blocked), 403);
        assert_eq!(of(Code::TooManyReactions), 409);
        assert_eq!(of(Code::NotFound), 404);
        assert_eq!(of(Code::OneSelf), 400);
    }

    #[test]
    fn a_failure_says_nothing_of_the_inside() {
        let cause = kith_ports::StoreError::Other("near \"SELECT\": syntax error".into());
        let document = Problem::from(Error::Internal(Some(cause))).document();
        assert_eq!(document.status, 500);
        assert!(!serde_json::to_string(&document).unwrap().contains("SELECT"));
    }

    #[test]
    fn an_unknown_outcome_says_what_to_do_of_every_request() {
        let problem = Problem::from(Error::OutcomeUnknown);
        assert_eq!((problem.status.as_u16(), &*problem.code), (503, "outcome_unknown"));
        // Most requests have no client_message_id.
        assert!(problem.detail.contains("the same request again tells"), "{}", problem.detail);
    }

    #[test]
    fn who_is_to_come_back_is_told_when() {
        let response = Problem::from(Error::Overloaded).error_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "1");
        let response = Problem::rate_limited(Duration::from_millis(1_200)).error_response();
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "2");
    }
}
