//! An engine that costs nothing and can be told to misbehave: OpenAI's chat, completions and embeddings, plain and
//! streamed, vLLM's `/tokenize` and `/metrics`.
//!
//! It stands for an engine only where the engine is not what is measured: in front of a proxy, and in a soak, where it
//! knows to the token what it did. One thread, so that it can be pinned beside the load.

mod behaviour;
mod body;
mod counts;

pub(crate) use body::SENT_AT;

use crate::load::tally::Tokens;
use anyhow::Context as _;
use behaviour::{Behaviour, Fault, HEADER, UsageTold};
use body::{Feed, MockBody, Stage, TOKEN, usage_text, usage_told};
use bytes::Bytes;
use counts::Counts;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::convert::Infallible;
use std::io::Write as _;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinSet, LocalSet};

/// Largest request body.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Numbers in an embedding, as small sentence models have.
const EMBEDDING_WIDTH: usize = 384;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Port on the loopback address; 0 picks one. It is printed.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Tokens of an answer.
    #[arg(long, default_value_t = 57)]
    tokens: u32,
    /// Tokens per second of one stream; without it, at once.
    #[arg(long)]
    rate: Option<u32>,
}

/// Serves until its input ends.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(arguments))
}

struct Engine {
    plain: Behaviour,
    counts: Rc<Counts>,
    embedding: String,
}

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).await.context("the mock's port")?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?.port())?;
    out.flush()?;
    let plain = Behaviour {
        fault: None,
        usage: UsageTold::True,
        tokens: arguments.tokens,
        rate: arguments.rate,
        wait: Duration::ZERO,
    };
    let numbers: Vec<String> = (0..EMBEDDING_WIDTH).map(|i| format!("0.{:06}", i * 2_604)).collect();
    let engine = Rc::new(Engine { plain, counts: Rc::default(), embedding: numbers.join(",") });
    let mut connections = JoinSet::new();
    let mut ended =
        tokio::task::spawn_blocking(|| std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new()));
    loop {
        tokio::select! {
            _ = &mut ended => return Ok(()),
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                stream.set_nodelay(true)?;
                let engine = Rc::clone(&engine);
                connections.spawn_local(async move {
                    let service = service_fn(|request| answer(Rc::clone(&engine), request));
                    // An error is a client that left, or one of the faults.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What the mock reads of a request.
#[derive(Debug, Deserialize)]
struct Asked<'a> {
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl Asked<'_> {
    /// A token for every four bytes of what is asked, JSON and all: the mock's tokenizer.
    fn prompt_tokens(&self) -> u64 {
        let bytes: usize =
            [self.messages, self.prompt, self.input].iter().flatten().map(|raw| raw.get().len()).sum();
        bytes.div_ceil(4) as u64
    }
}

async fn answer(engine: Rc<Engine>, request: Request<Incoming>) -> Result<Response<MockBody>, Infallible> {
    let (head, body) = request.into_parts();
    let told = head.headers.get(HEADER).and_then(|value| value.to_str().ok().map(str::to_owned));
    let path = head.uri.path();
    match path {
        "/metrics" => return Ok(plain_text(engine.counts.render())),
        "/v1/models" => return Ok(json(StatusCode::OK, MODELS.to_owned())),
        "/health" | "/ping" => return Ok(plain_text(String::new())),
        _ => {}
    }
    let Ok(collected) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(json(StatusCode::BAD_REQUEST, "{}".to_owned()));
    };
    let bytes = collected.to_bytes();
    let Ok(asked) = serde_json::from_slice::<Asked<'_>>(&bytes) else {
        return Ok(json(StatusCode::BAD_REQUEST, "{\"error\":{\"message\":\"not a request\"}}".to_owned()));
    };
    let behaviour = engine.plain.with(&asked.model).with(told.as_deref().unwrap_or_default());
    if !behaviour.wait.is_zero() {
        tokio::time::sleep(behaviour.wait).await;
    }
    Ok(match (behaviour.fault, path) {
        (_, "/tokenize") => json(StatusCode::OK, tokenized(&asked)),
        (Some(Fault::Hang), _) => std::future::pending().await,
        (Some(Fault::Garbage), _) => json(StatusCode::OK, "\u{1}<html>}{".to_owned()),
        (Some(Fault::Busy), _) => busy(),
        (Some(Fault::Failing), _) => {
            json(StatusCode::INTERNAL_SERVER_ERROR, "{\"error\":{\"message\":\"out of memory\"}}".to_owned())
        }
        (_, "/v1/embeddings") => engine.embeddings(&asked, behaviour),
        _ if asked.stream => engine.stream(&asked, behaviour, path == TEXT_PATH),
        (Some(Fault::Reset | Fault::Stall), _) => engine.half(&asked, behaviour),
        _ => engine.whole(&asked, behaviour, path == TEXT_PATH),
    })
}

const TEXT_PATH: &str = "/v1/completions";

const MODELS: &str = "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\",\"created\":0,\"owned_by\":\"mock\"}]}";

fn tokenized(asked: &Asked<'_>) -> String {
    let count = asked.prompt_tokens();
    let tokens: Vec<String> = (0..count).map(|token| token.to_string()).collect();
    format!("{{\"count\":{count},\"max_model_len\":131072,\"tokens\":[{}]}}", tokens.join(","))
}

fn busy() -> Response<MockBody> {
    let mut response =
        json(StatusCode::TOO_MANY_REQUESTS, "{\"error\":{\"message\":\"no slot is free\"}}".to_owned());
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn json(status: StatusCode, text: String) -> Response<MockBody> {
    let mut response = Response::new(MockBody::Whole(Some(Bytes::from(text))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain_text(text: String) -> Response<MockBody> {
    let mut response = json(StatusCode::OK, text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    response
}

impl Engine {
    fn used(asked: &Asked<'_>, behaviour: Behaviour) -> Tokens {
        let cap = asked.max_completion_tokens.or(asked.max_tokens).unwrap_or(u32::MAX);
        Tokens { prompt: asked.prompt_tokens(), completion: behaviour.tokens.min(cap).into() }
    }

    fn whole(&self, asked: &Asked<'_>, behaviour: Behaviour, text: bool) -> Response<MockBody> {
        let used = Self::used(asked, behaviour);
        self.counts.completed(&asked.model, used);
        let told = usage_told(behaviour.usage, used);
        let usage = told.map(|usage| format!(",\"usage\":{}", usage_text(usage))).unwrap_or_default();
        let words = TOKEN.repeat(usize::try_from(used.completion).unwrap_or(0));
        let (object, said) = if text {
            ("text_completion", format!("\"text\":\"{words}\""))
        } else {
            ("chat.completion", format!("\"message\":{{\"role\":\"assistant\",\"content\":\"{words}\"}}"))
        };
        json(
            StatusCode::OK,
            format!(
                "{{\"id\":\"chatcmpl-mock\",\"object\":\"{object}\",\"created\":1795000000,\"model\":\"{}\",\
                 \"choices\":[{{\"index\":0,{said},\"logprobs\":null,\"finish_reason\":\"stop\"}}]{usage}}}",
                asked.model
            ),
        )
    }

    fn embeddings(&self, asked: &Asked<'_>, behaviour: Behaviour) -> Response<MockBody> {
        let used = Tokens { prompt: asked.prompt_tokens(), completion: 0 };
        self.counts.completed(&asked.model, used);
        let told = usage_told(behaviour.usage, used);
        let usage = told
            .map(|usage| format!(",\"usage\":{{\"prompt_tokens\":{0},\"total_tokens\":{0}}}", usage.prompt))
            .unwrap_or_default();
        let data = format!("{{\"object\":\"embedding\",\"index\":0,\"embedding\":[{}]}}", self.embedding);
        let text = format!("{{\"object\":\"list\",\"data\":[{data}],\"model\":\"{}\"{usage}}}", asked.model);
        json(StatusCode::OK, text)
    }

    fn feed(&self, asked: &Asked<'_>, behaviour: Behaviour, text: bool) -> Box<Feed> {
        self.counts.running.set(self.counts.running.get() + 1);
        let usage_asked =
            asked.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true));
        Box::new(Feed {
            model: asked.model.clone().into_owned(),
            text,
            behaviour,
            used: Self::used(asked, behaviour),
            usage_asked: usage_asked && behaviour.usage != UsageTold::Omitted,
            sent: 0,
            stage: Stage::Tokens,
            counts: Rc::clone(&self.counts),
            timer: None,
        })
    }

    fn stream(&self, asked: &Asked<'_>, behaviour: Behaviour, text: bool) -> Response<MockBody> {
        let mut response = Response::new(MockBody::Stream(self.feed(asked, behaviour, text)));
        // nginx holds events back until its buffer is full unless it is told not to.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response
    }

    /// A plain answer that never gets further than its first half.
    fn half(&self, asked: &Asked<'_>, behaviour: Behaviour) -> Response<MockBody> {
        let mut response = self.stream(asked, behaviour, false);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
