//! Errors as Anthropic's SDKs take them apart: `{"type":"error","error":{"type","message"},"request_id"}`.

use serde::Serialize;

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Detail<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
    /// Off-spec: SDKs skip it in their types and show it with the body.
    code: &'a str,
}

/// The body of an error.
///
/// `code` is ours (`E0808`), for `hermetic explain`; it stands in a field of its own, `error.code`, because people match
/// on messages. `request_id` is the one of the `request-id` header. The word is [`error_kind`] of `status`.
pub fn error_body(status: u16, message: &str, code: &str, request_id: &str) -> Vec<u8> {
    let error = Detail { kind: error_kind(status), message, code };
    serde_json::to_vec(&Body { kind: "error", error, request_id }).unwrap_or_default()
}

/// The word that goes with a status, from the table of errors in Anthropic's documentation of its API.
pub fn error_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}
