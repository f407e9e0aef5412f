//! Errors as OpenAI's SDKs expect them, from what the engine refused.

use super::Body;
use bytes::Bytes;
use hermetic_engine_llama::{EmbedError, StepError, SubmitError};
use hermetic_inference_api::ErrorBody;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};

/// A request that gets no answer, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    kind: &'static str,
    param: Option<&'static str>,
    code: &'static str,
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), kind, param: None, code }
    }

    pub(crate) fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        Self { param: Some(param), ..Self::new(StatusCode::BAD_REQUEST, INVALID, "invalid_value", message) }
    }

    pub(crate) fn unsupported(param: &'static str) -> Self {
        Self::unsupported_at(param, param)
    }

    pub(crate) fn unsupported_at(param: &'static str, place: &str) -> Self {
        let message = format!("`{place}` asks for something this engine does not do");
        Self {
            param: Some(param),
            ..Self::new(StatusCode::BAD_REQUEST, INVALID, "unsupported_parameter", message)
        }
    }

    pub(crate) fn json(error: &serde_json::Error) -> Self {
        // What is missing may be named; what was found is somebody's prompt and may not.
        let text = error.to_string();
        let detail = if text.starts_with("missing field") { text } else { format!("line {}", error.line()) };
        let message = format!("expected a request of this API as JSON: {detail}");
        Self::new(StatusCode::BAD_REQUEST, INVALID, "invalid_json", message)
    }

    pub(crate) fn too_large(cap: usize) -> Self {
        let message = format!("expected a body of at most {cap} bytes, whole");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID, "request_too_large", message)
    }

    pub(crate) fn not_found(method: &Method, path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        Self::new(StatusCode::NOT_FOUND, INVALID, "unknown_url", format!("unknown request: {method} {path}"))
    }

    pub(crate) fn internal(message: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, SERVER, "internal_error", message)
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    fn body(&self) -> ErrorBody<'static> {
        let (message, kind, param, code) = (self.message.clone(), self.kind, self.param, self.code);
        ErrorBody { message, kind, param, code, hint: None }
    }

    /// As the last event of a stream that has begun: its status line is long gone.
    pub(crate) fn to_event(&self) -> Bytes {
        self.body().to_event().into()
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Full::new(Bytes::from(self.body().to_json())).boxed_unsync());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The message of an error and of what caused it, in one line.
fn line(error: &dyn std::error::Error) -> String {
    hermetic_diagnostics::chain(error).join(": ")
}

impl From<SubmitError> for Refusal {
    fn from(error: SubmitError) -> Self {
        let message = line(&error);
        let invalid = |param, code| Self {
            param: Some(param),
            ..Self::new(StatusCode::BAD_REQUEST, INVALID, code, message.clone())
        };
        match error {
            SubmitError::EmptyPrompt | SubmitError::Token { .. } => invalid("prompt", "invalid_value"),
            SubmitError::ContextOverflow { .. } => invalid("messages", "context_length_exceeded"),
            SubmitError::Parameter { key, .. } => invalid(key, "invalid_value"),
            SubmitError::Grammar(_) => invalid("response_format", "invalid_json_schema"),
            SubmitError::Calls(_) => invalid("tools", "invalid_json_schema"),
            SubmitError::Unsupported | SubmitError::NoTemplate => invalid("model", "unsupported_model"),
            SubmitError::Template(_) => invalid("messages", "invalid_messages"),
            SubmitError::QueueFull { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "engine_queue_full", message)
            }
            SubmitError::Stopped => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, "engine_stopped", message)
            }
        }
    }
}

impl From<StepError> for Refusal {
    fn from(error: StepError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, SERVER, "engine_failed", line(&error))
    }
}

impl From<EmbedError> for Refusal {
    fn from(error: EmbedError) -> Self {
        let message = line(&error);
        let invalid = |code| Self {
            param: Some("input"),
            ..Self::new(StatusCode::BAD_REQUEST, INVALID, code, message.clone())
        };
        match error {
            EmbedError::TooLong { .. } => invalid("context_length_exceeded"),
            EmbedError::Token { .. } => invalid("invalid_value"),
            EmbedError::Unsupported => invalid("unsupported_model"),
            EmbedError::QueueFull { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "engine_queue_full", message)
            }
            EmbedError::Encode { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, SERVER, "engine_failed", message)
            }
            EmbedError::Stopped => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, "engine_stopped", message)
            }
        }
    }
}
