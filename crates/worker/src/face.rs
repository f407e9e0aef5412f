//! The face of an engine: OpenAI's API over HTTP/1.1, and vLLM's questions about tokens.
//!
//! A dropped answer body is a client that left: the generation inside it is dropped with it and frees its slots.

use crate::engine::Engine;
use bytes::Bytes;
use hermetic_clock::{Clock, UnixMillis};
use hermetic_engine_llama::{Load, ModelDescription};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::sync::Arc;

mod chat;
mod completions;
mod embeddings;
mod refusal;
mod stream;
mod tokens;

pub(crate) use refusal::Refusal;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Longest request. A full context of a large model is well under a megabyte of text; batches of inputs to embed are
/// the largest.
const BODY_BYTES_MAX: usize = 32 << 20;

/// One served model.
pub(crate) struct Face {
    pub(crate) engine: Box<dyn Engine>,
    /// The name answers carry.
    pub(crate) model: String,
    pub(crate) digest: String,
    pub(crate) kind: &'static str,
    pub(crate) clock: Clock,
    pub(crate) started: UnixMillis,
}

/// What every answer to one request carries.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: String,
    /// Changes when answers may: with the weights and with the engine.
    pub(crate) fingerprint: String,
}

/// `GET /internal/status`.
#[derive(serde::Serialize)]
struct Status<'a> {
    ready: bool,
    model: &'a str,
    digest: &'a str,
    kind: &'static str,
    load: Load,
    engine: &'a ModelDescription,
}

impl Face {
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answered = match (&method, path.as_str()) {
            (&Method::GET, "/internal/status") => json(&self.status()),
            (&Method::GET, "/v1/models") => json(&self.models()),
            (&Method::POST, "/v1/chat/completions") => self.with_body(request, chat::answer).await,
            (&Method::POST, "/v1/completions") => self.with_body(request, completions::answer).await,
            (&Method::POST, "/v1/embeddings") => self.with_body(request, embeddings::answer).await,
            (&Method::POST, "/tokenize") => self.with_body(request, tokens::tokenize).await,
            (&Method::POST, "/detokenize") => self.with_body(request, tokens::detokenize).await,
            _ => Err(Refusal::not_found(&method, &path)),
        };
        Ok(answered.unwrap_or_else(|refusal| refusal.into_response()))
    }

    async fn with_body<T, F, A>(
        self: &Arc<Self>,
        request: Request<Incoming>,
        answer: F,
    ) -> Result<Response<Body>, Refusal>
    where
        T: serde::de::DeserializeOwned,
        F: FnOnce(Arc<Self>, T) -> A,
        A: Future<Output = Result<Response<Body>, Refusal>>,
    {
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
        let bytes = body.map_err(|_| Refusal::too_large(BODY_BYTES_MAX))?.to_bytes();
        let wanted: T = serde_json::from_slice(&bytes).map_err(|error| Refusal::json(&error))?;
        answer(Arc::clone(self), wanted).await
    }

    fn status(&self) -> Status<'_> {
        let (model, digest, kind) = (&self.model, &self.digest, self.kind);
        Status {
            ready: true,
            model,
            digest,
            kind,
            load: self.engine.load_now(),
            engine: self.engine.describe(),
        }
    }

    fn models(&self) -> crate::wire::ModelList<'_> {
        let row = crate::wire::ModelRow {
            id: &self.model,
            object: "model",
            created: self.started / 1000,
            owned_by: "hermetic",
        };
        crate::wire::ModelList { object: "list", data: [row] }
    }

    fn stamp(&self, prefix: &str) -> Result<Stamp, Refusal> {
        let (high, low) = (random()?, random()?);
        Ok(Stamp {
            id: format!("{prefix}-{high:016x}{low:016x}"),
            created: self.clock.unix_millis() / 1000,
            model: self.model.clone(),
            fingerprint: format!(
                "hermetic-{}-{}",
                env!("CARGO_PKG_VERSION"),
                self.digest.get(7..19).unwrap_or("local")
            ),
        })
    }

    /// A seed for a request that names none.
    fn draw_seed() -> Result<u32, Refusal> {
        random().map(|bits| u32::try_from(bits >> 32).unwrap_or(0))
    }
}

fn random() -> Result<u64, Refusal> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Refusal::internal("the system gave no random bytes"))?;
    Ok(u64::from_le_bytes(bytes))
}

fn json(value: &impl serde::Serialize) -> Result<Response<Body>, Refusal> {
    let bytes =
        serde_json::to_vec(value).map_err(|_| Refusal::internal("an answer could not be written as JSON"))?;
    respond(StatusCode::OK, "application/json", Full::new(bytes.into()).boxed_unsync())
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Result<Response<Body>, Refusal> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .body(body)
        .map_err(|_| Refusal::internal("an answer could not be put together"))
}
