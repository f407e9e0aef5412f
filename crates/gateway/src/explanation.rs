//! How an answer came about, for a caller who asks with `x-hermetic-explain: true` and whom policy lets ask.
//!
//! Stages add what they know to the [`Explanation`] that travels with the request; it leaves as one header of compact
//! JSON. Nothing is collected for a request that does not ask, and nothing leaves before policy permitted the action
//! `explain`: the ids of policies and rules say how a site guards itself.

use crate::refusal::{RefusalKind, Refused};
use bytes::Bytes;
use hermetic_diagnostics::Diagnose;
use hermetic_policy::Permit;
use http::{HeaderName, HeaderValue, Request, Response};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// In a request: whether to explain. In an answer: the explanation.
const X_EXPLAIN: HeaderName = HeaderName::from_static("x-hermetic-explain");

/// Longest explanation. Common servers in front take heads of 4 KiB at least; what is longer is left out and said so.
const EXPLANATION_BYTES_MAX: usize = 2_048;

/// Collected along the pipeline. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Explanation(Arc<Mutex<Explained>>);

#[derive(Debug, Default)]
struct Explained {
    /// Policy permits this caller to be told.
    allowed: bool,
    parts: Map<String, Value>,
}

impl Explanation {
    /// Travels with the request from here on. `None` unless the caller asks.
    pub(crate) fn begin<B>(request: &mut Request<B>) -> Option<Self> {
        let asks = request.headers().get(X_EXPLAIN)?.as_bytes().eq_ignore_ascii_case(b"true");
        let explanation = asks.then(|| Self(Arc::default()))?;
        request.extensions_mut().insert(explanation.clone());
        Some(explanation)
    }

    /// The header of an answer, or of a refusal, whose code is part of it.
    pub(crate) fn end<B>(self, refused: Option<&Refused>, response: &mut Response<B>) {
        if let Some(refused) = refused {
            self.add("code", refused.kind.code().as_str().into());
        }
        if let Some(header) = self.header() {
            response.headers_mut().insert(X_EXPLAIN, header);
        }
    }

    fn explained(&self) -> MutexGuard<'_, Explained> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a stage found, under a name of its own.
    pub(crate) fn add(&self, part: &'static str, value: Value) {
        self.explained().parts.insert(part.to_owned(), value);
    }

    /// Whether the caller may be told, and what policy said.
    pub(crate) fn decided(&self, allowed: bool, decided: &Result<Permit, RefusalKind>) {
        self.explained().allowed = allowed;
        let (decision, policies, revision) = match decided {
            Ok(permit) => ("permitted", permit.policies(), permit.revision()),
            Err(RefusalKind::Policy(refusal)) => ("refused", refusal.policies(), refusal.revision()),
            // The credential itself does not reach so far; policy was not asked.
            Err(_) => return self.add("decision", "out of scope".into()),
        };
        self.add("decision", decision.into());
        self.add("policies", policies.into());
        self.add("policy_digest", revision.digest.to_string().into());
        if let Some(commit) = &revision.commit {
            let state = commit.agreement.as_str();
            self.add("policy_commit", json!({"id": commit.id, "state": state}));
        }
    }

    fn header(&self) -> Option<HeaderValue> {
        let explained = self.explained();
        if !explained.allowed {
            return None;
        }
        let text = ascii(&Value::Object(explained.parts.clone()).to_string());
        let text = if text.len() <= EXPLANATION_BYTES_MAX {
            text
        } else {
            json!({"too_long": text.len(), "more": "hermetic policy explain --request"}).to_string()
        };
        HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
    }
}

/// JSON that fits into a header: what is not printable ASCII is escaped, in UTF-16 as JSON has it.
fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii_graphic() || c == ' ' {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_ascii_and_reads_back_as_it_was() {
        let value = json!({"policies": ["größe-\u{1f512}", "tab\there"]});
        let text = ascii(&value.to_string());
        assert!(text.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn nothing_leaves_before_policy_allows_it() {
        let explanation = Explanation(Arc::default());
        explanation.add("target", "unix".into());
        assert_eq!(explanation.header(), None);
        explanation.explained().allowed = true;
        assert_eq!(explanation.header().unwrap(), "{\"target\":\"unix\"}");
        explanation.add("target", "x".repeat(EXPLANATION_BYTES_MAX).into());
        assert!(explanation.header().unwrap().to_str().unwrap().contains("too_long"));
    }
}
