//! The error body OpenAI's SDKs take apart: `{"error":{"message","type","param","code"}}`.

use serde::Serialize;

/// One error, as SDKs read it. `code` is ours (`E0808`), so that a person can look it up with `hermetic explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorBody<'a> {
    pub message: String,
    /// The word SDKs and people branch on: `invalid_request_error`, `authentication_error`, `server_error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The field at fault.
    pub param: Option<&'a str>,
    pub code: &'static str,
    /// What to do about it. Off-spec: OpenAI has no such field; SDKs ignore it, people read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: &'a ErrorBody<'a>,
}

impl ErrorBody<'_> {
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&Envelope { error: self }).unwrap_or_default()
    }

    /// As an event inside a stream that has already begun.
    pub fn to_event(&self) -> Vec<u8> {
        [b"data: ", self.to_json().as_slice(), b"\n\n"].concat()
    }
}
