use serde::{Deserialize, Serialize};

/// What went wrong, as RFC 9457 writes it (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `urn:kith:problem:<code>`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(example = "urn:kith:problem:not_found"))]
    pub kind: String,
    /// The status in words.
    #[cfg_attr(feature = "openapi", schema(example = "Not Found"))]
    pub title: String,
    /// The status.
    #[cfg_attr(feature = "openapi", schema(example = 404))]
    pub status: u16,
    /// For a person: what was wrong, and what would be right.
    pub detail: String,
    /// The stable code.
    #[cfg_attr(feature = "openapi", schema(example = "not_found"))]
    pub code: String,
    /// The request, as the server's log names it.
    pub request_id: String,
    /// The fields at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldProblem {
    /// The field.
    #[cfg_attr(feature = "openapi", schema(example = "password"))]
    pub field: String,
    /// The stable code.
    #[cfg_attr(feature = "openapi", schema(example = "too_short"))]
    pub code: String,
    /// For a person.
    #[cfg_attr(feature = "openapi", schema(example = "must have at least 8 characters"))]
    pub message: String,
}

/// How the server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok`, `degraded`, `draining` or `unavailable`.
    #[cfg_attr(feature = "openapi", schema(example = "ok"))]
    pub status: String,
    /// The server's version.
    #[cfg_attr(feature = "openapi", schema(example = "0.1.0"))]
    pub version: String,
}

/// What the root says to a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Welcome {
    /// `Kith`.
    #[cfg_attr(feature = "openapi", schema(example = "Kith"))]
    pub name: String,
    /// The server's version.
    #[cfg_attr(feature = "openapi", schema(example = "0.1.0"))]
    pub version: String,
    /// Where the documentation is.
    #[cfg_attr(feature = "openapi", schema(example = "/docs"))]
    pub docs: String,
}
