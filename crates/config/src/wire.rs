//! The shape of the file. Doc comments here *are* the reference: `config explain`, the JSON Schema and
//! `docs/configuration.md` print them. These types never leave the crate, apart from the plain enumerations.

pub(crate) mod batches;
pub(crate) mod guardrails;
mod identity;
pub(crate) mod limits;
pub(crate) mod limits_store;
pub(crate) mod queue;
pub(crate) mod responses;
mod tls;

pub(crate) use identity::{CertificateMatch, CertificateRule, Identity, Issuer, Metadata};
pub use identity::{SurfaceName, TokenAlgorithm};
pub(crate) use tls::Tls;
pub use tls::{ClientCertificates, CrlOverdue};
pub(crate) mod targets;

pub use targets::StickTo;

use crate::units::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod classification;

pub(crate) use classification::Classification;

mod durability;

pub use durability::Durability;
pub(crate) use durability::RelaxedWindow;

/// The configuration of one enclave.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// How far this installation is from the outside. The schema is the same in every tier; the tier is a set of
    /// promises that are checked at start. In `air-gapped` and `diode`, every endpoint must lie inside
    /// `network.enclave`.
    #[serde(default)]
    pub(crate) tier: Tier,
    /// The folder that holds everything this enclave keeps: blobs, rows, ledger, trust, keys. A relative path is
    /// relative to the folder of this file.
    #[serde(default = "default_state_dir")]
    #[schemars(extend("format" = "path"))]
    pub(crate) state_dir: String,
    /// What counts as inside.
    #[serde(default)]
    pub(crate) network: Network,
    /// The front door for applications.
    #[serde(default)]
    pub(crate) gateway: Gateway,
    /// Whose credentials count, beside the API keys this enclave issues itself.
    #[serde(default)]
    pub(crate) identity: Identity,
    /// Who may do what.
    #[serde(default)]
    pub(crate) policy: Policy,
    /// How grave data is, in this site's own words.
    #[serde(default)]
    pub(crate) classification: Classification,
    /// The models that are served. When empty, every model of the release in production is served under its own
    /// name.
    #[serde(default)]
    pub(crate) models: Vec<Model>,
    /// Limits and budgets: so much of a unit, in a window. A request must fit under all that speak of it.
    #[serde(default)]
    pub(crate) limits: Vec<limits::LimitRule>,
    /// Where limits that are `shared` are counted together with the other gateways of this site.
    #[serde(default)]
    pub(crate) limits_store: Option<limits_store::LimitsStore>,
    /// What must not reach a model and what must not come back from one: personal data, secrets, patterns of your own.
    #[serde(default)]
    pub(crate) guardrails: guardrails::Guardrails,
    /// Files, and batches of requests that are answered later.
    #[serde(default)]
    pub(crate) batches: batches::Batches,
    /// Responses that are kept, so that others can go on from them.
    #[serde(default)]
    pub(crate) responses: responses::Responses,
    /// The record of everything that happens.
    pub(crate) ledger: Ledger,
    /// Bringing bundles in.
    #[serde(default)]
    pub(crate) import: Import,
    /// What the process says about itself, on stderr. Never prompts, answers or keys.
    #[serde(default)]
    pub(crate) log: Log,
}

fn default_state_dir() -> String {
    "/var/lib/hermetic".to_owned()
}

/// How far an installation is from the outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// A network with a way out; endpoints may be anywhere.
    Connected,
    /// The customer's own cloud account; endpoints may be anywhere.
    Byoc,
    /// Data comes in through a one-way device; nothing goes out.
    Diode,
    /// Data comes in on media; nothing goes out.
    #[default]
    AirGapped,
}

impl Tier {
    /// Whether this tier promises that nothing leaves.
    pub fn is_sealed(self) -> bool {
        matches!(self, Self::Diode | Self::AirGapped)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Byoc => "byoc",
            Self::Diode => "diode",
            Self::AirGapped => "air-gapped",
        }
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Network {
    /// Address blocks (`10.0.0.0/8`) and DNS suffixes (`corp.example`) that are inside the enclave. Loopback is always
    /// inside. In `air-gapped` and `diode` a block wider than /8 (IPv4) or /7 (IPv6) is refused.
    #[schemars(extend("examples" = [["10.20.0.0/16", "corp.example"]]))]
    pub(crate) enclave: Vec<EnclaveEntry>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "enclave-entry"))]
pub(crate) struct EnclaveEntry(pub(crate) String);

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Gateway {
    /// Address and port to listen on. `0.0.0.0:8080` listens on every interface.
    #[schemars(extend("format" = "listen-address"))]
    pub(crate) listen: String,
    /// Threads that serve requests, each with connections of its own. One forwards thousands of requests a second; the
    /// other cores are better left to the engines.
    #[schemars(range(min = 1, max = 256))]
    pub(crate) threads: u32,
    /// TLS on the listener. Without it, requests come in over plain HTTP.
    pub(crate) tls: Option<Tls>,
    /// How long open requests may go on after the process was asked to stop.
    pub(crate) drain_grace: HumanDuration,
    /// How often a quiet event stream gets a comment, so that proxies in between do not cut it.
    pub(crate) keep_alive: HumanDuration,
    /// Whether answers name the target they came from, in the header `x-hermetic-target`.
    pub(crate) target_header: bool,
    /// Memory that all requests together may make the process hold: bodies, the copies of them that are edited, answers
    /// until they are taken, events of streams. When it is taken, requests are answered 503 until some of it is free.
    /// Default: an eighth of what the process may use (the machine's, or its cgroup's limit), at least 128 MiB and at most
    /// 4 GiB; the rest belongs to the models.
    #[schemars(extend("examples" = ["512 MiB"]))]
    pub(crate) memory: Option<ByteSize>,
    /// Who waits for an engine that has no room, and in which order.
    pub(crate) queue: queue::Queue,
    /// Every limit of the front door, each with the reason for its default.
    pub(crate) limits: Limits,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            threads: 1,
            tls: None,
            drain_grace: HumanDuration::from_millis(30_000),
            keep_alive: HumanDuration::from_millis(15_000),
            target_header: false,
            memory: None,
            queue: queue::Queue::default(),
            limits: Limits::default(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Largest request body. 4 MiB: a full 128k-token context is about half a megabyte of text; pictures in messages
    /// are the rest. A larger body is refused before it is read.
    pub(crate) request_body_bytes: ByteSize,
    /// Largest request head: line and headers together.
    pub(crate) header_bytes: ByteSize,
    /// Client connections open at the same time. When they are full, one that waits for its next request is closed to
    /// make room; when none does, one more is answered 503 and closed.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections: u32,
    /// Client connections open at the same time from one address; one more is answered 429 and closed. 0, the default,
    /// is no cap: behind a proxy all callers come from one address.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) connections_per_address: u32,
    /// Requests that are being answered at the same time; one more is answered 503 before its body is read. Twice the
    /// connections, so that it bounds nothing unless it is lowered.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) requests: u32,
    /// How far the gateway's threads may be behind with their work before new requests are answered 503.
    pub(crate) lag: HumanDuration,
    /// How long a request's head may take to arrive, and how long a connection may idle before it begins one. Ends
    /// connections that trickle.
    pub(crate) header_timeout: HumanDuration,
    /// How long a request's body may take to arrive once its head has.
    pub(crate) body_timeout: HumanDuration,
    /// The least of a body that must arrive in each second, judged over five. 500 B: the slowest line is faster, a client
    /// that sends a byte at a time is not. 0 B is no such limit.
    pub(crate) body_rate: ByteSize,
    /// Most time an engine may spend on a request where a limit counts `gpu-seconds`: so much is held for it, and there it
    /// is cut.
    pub(crate) engine_time: HumanDuration,
    /// Counters of limits in use at the same time, one for each scope: callers choose metadata values, so their number
    /// has an end. A new scope is refused when it is reached.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) limit_counters: u32,
    /// How long an engine may be silent before it is given up. Reading a long prompt on a CPU takes minutes.
    pub(crate) engine_timeout: HumanDuration,
    /// How long a client may take nothing of an answer, streamed or plain, before it counts as gone.
    pub(crate) client_stall_timeout: HumanDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_body_bytes: ByteSize::from_bytes(4 << 20),
            header_bytes: ByteSize::from_bytes(16 << 10),
            connections: 4096,
            connections_per_address: 0,
            requests: 8192,
            lag: HumanDuration::from_millis(1_000),
            header_timeout: HumanDuration::from_millis(30_000),
            body_timeout: HumanDuration::from_millis(30_000),
            body_rate: ByteSize::from_bytes(500),
            engine_time: HumanDuration::from_millis(300_000),
            limit_counters: 100_000,
            engine_timeout: HumanDuration::from_millis(300_000),
            client_stall_timeout: HumanDuration::from_millis(60_000),
        }
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Policy {
    /// Folder of the Cedar policies (`*.cedar`) that decide about each request. Without one, nothing is permitted. A
    /// relative path is relative to the folder of this file. Changes are put in force while serving, within a few
    /// seconds and only when every file is sound. Where the folder lies in a Git working tree, records name its commit.
    #[schemars(extend("format" = "path", "examples" = ["policy"]))]
    pub(crate) dir: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// The name applications ask for.
    #[schemars(extend("format" = "model-name", "examples" = ["smollm2-135m-instruct"]))]
    pub(crate) name: String,
    /// The artifact in the registry that answers, when it is called differently from `name`. Contradicts `endpoint`.
    #[serde(default)]
    #[schemars(extend("format" = "model-name", "examples" = ["smollm2-135m-instruct"]))]
    pub(crate) artifact: Option<String>,
    /// Which version of the artifact: the one that carries this label. Default `production`.
    #[serde(default)]
    #[schemars(extend("format" = "label", "examples" = ["production"]))]
    pub(crate) label: Option<String>,
    /// How the embedded engine runs the artifact.
    #[serde(default)]
    pub(crate) engine: Option<Engine>,
    /// Base URL of an OpenAI-compatible server inside the enclave that answers instead of the embedded engine.
    #[serde(default)]
    #[schemars(extend("format" = "endpoint", "examples" = ["http://vllm.corp.example:8000/v1"]))]
    pub(crate) endpoint: Option<String>,
    /// The name the server behind `endpoint` knows the model by, when it is called differently from `name`.
    #[serde(default)]
    #[schemars(extend("format" = "model-name", "examples" = ["meta-llama/Llama-3.1-8B-Instruct"]))]
    pub(crate) upstream_model: Option<String>,
    /// What the server behind `endpoint` speaks where chat is asked for. Whatever callers speak reaches it; what it has no
    /// words for is refused. Default `chat-completions`.
    #[serde(default)]
    pub(crate) speaks: Option<Speaks>,
    /// What the server behind `endpoint`, or a virtual model, does. Default `chat`. Artifacts say it themselves.
    #[serde(default)]
    pub(crate) kind: Option<Kind>,
    /// Requests at the engine at the same time; more wait in the gateway's queue. Default: what the embedded engine
    /// computes at the same time (`engine.parallel`); no bound for an `endpoint`, which has a queue of its own.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65_536), extend("examples" = [16]))]
    pub(crate) concurrency: Option<u32>,
    /// What the model costs. Without a price it costs nothing, and limits on tokens hold all the same.
    #[serde(default)]
    pub(crate) price: Option<limits::Price>,
    /// Tokens of an answer when the caller names no `max_tokens`, where a limit counts them: so many are held for it,
    /// and the engine is told. Default 4096.
    #[serde(default)]
    #[schemars(range(min = 1, max = 16_777_216), extend("examples" = [1024]))]
    pub(crate) output_tokens_default: Option<u32>,
    /// Most tokens of an answer, where a limit counts them; a caller who asks for more gets this many. Default: what the
    /// caller asks for.
    #[serde(default)]
    #[schemars(range(min = 1, max = 16_777_216), extend("examples" = [4096]))]
    pub(crate) output_tokens_max: Option<u32>,
    /// The artifact in the registry whose tokenizer and chat template count the prompts for the server behind
    /// `endpoint`: a GGUF, or a Hugging Face model with its `tokenizer.json`. It must be the model that is served there,
    /// or one with the same tokenizer. Default: as `tokenize` says.
    #[serde(default)]
    #[schemars(extend("format" = "model-name", "examples" = ["llama-3.1-8b-instruct"]))]
    pub(crate) tokenizer: Option<String>,
    /// Who counts the tokens of a prompt for the server behind `endpoint` when no `tokenizer` is named: `engine` asks the
    /// server's own `/tokenize` before each request (vLLM and llama.cpp's server have it), `bytes` takes the bytes of
    /// the request, which its tokens never exceed. Default `bytes`. Embedded models bring their own tokenizer.
    #[serde(default)]
    pub(crate) tokenize: Option<Tokenize>,
    /// Tokens of context one request has at the server behind `endpoint`, prompt and answer together; for an embedding
    /// model, of one input. A prompt that is counted exactly and is longer is refused before the server sees it.
    /// Default: not known here.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000_000), extend("examples" = [131_072]))]
    pub(crate) context_tokens: Option<u32>,
    /// Makes this a virtual model: each request goes to one of these. Contradicts `artifact` and `endpoint`.
    #[serde(default)]
    pub(crate) targets: Vec<targets::Target>,
    /// How a virtual model's targets are chosen.
    #[serde(default)]
    pub(crate) routing: Option<targets::Routing>,
    /// How long the model's answers may take.
    #[serde(default)]
    pub(crate) timeouts: Option<targets::Timeouts>,
    /// The highest level of data this model may see, one of `classification.levels`. It binds nobody by itself:
    /// policies compare it. Default: `classification.default`.
    #[serde(default)]
    #[schemars(extend("format" = "level", "examples" = ["confidential"]))]
    pub(crate) classification: Option<String>,
    /// Whatever else policies shall know of this model, as names and texts: `resource.getTag("region")`.
    /// Default: nothing.
    #[serde(default)]
    #[schemars(extend("examples" = [{"region": "eu", "licence": "apache-2.0"}]))]
    pub(crate) tags: BTreeMap<String, String>,
}

/// What a model does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Answers conversations and completes text.
    #[default]
    Chat,
    /// Turns text into vectors.
    Embedding,
    /// Says how well documents answer a query. For servers behind `endpoint`.
    Rerank,
    /// Turns speech into text. For servers behind `endpoint`.
    Transcription,
    /// Makes pictures, or edits them. For servers behind `endpoint`.
    Image,
}

/// What a server elsewhere speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    /// OpenAI's chat completions, at `/v1/chat/completions`.
    #[default]
    ChatCompletions,
    /// Anthropic's Messages, at `/v1/messages`.
    Messages,
    /// OpenAI's Responses, at `/v1/responses`.
    Responses,
}

/// Who counts the tokens of prompts for a server elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tokenize {
    /// The bytes of the request stand for its tokens.
    #[default]
    Bytes,
    /// The server is asked, at its `/tokenize`.
    Engine,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Engine {
    /// Threads that compute. Default: one less than there are cores, and at least one: llama.cpp waits by spinning.
    #[schemars(range(min = 1, max = 1024), extend("examples" = [8]))]
    pub(crate) threads: Option<u32>,
    /// Tokens of context for one request, prompt and answer together. Default: what the model was trained for, at
    /// most 4096.
    #[schemars(range(min = 64, max = 1_048_576), extend("examples" = [4096]))]
    pub(crate) context_tokens: Option<u32>,
    /// Requests computed at the same time. Each has its own context in memory. Default 4.
    #[schemars(range(min = 1, max = 256), extend("examples" = [4]))]
    pub(crate) parallel: Option<u32>,
    /// Requests that may wait for a place; one more is refused with 429. Default 64.
    #[schemars(range(min = 0, max = 65_536), extend("examples" = [64]))]
    pub(crate) queue: Option<u32>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ledger {
    /// The name of this ledger, as signed checkpoints and proofs carry it: a host name of yours and a path. It cannot
    /// be changed later.
    #[schemars(extend("format" = "ledger-origin", "examples" = ["llm.corp.example/ledger"]))]
    pub(crate) origin: String,
    /// How often a checkpoint is signed while records arrive.
    #[serde(default = "default_checkpoint_interval")]
    pub(crate) checkpoint_interval: HumanDuration,
    /// Records that may wait for the disk. When they are full, requests are refused rather than left unrecorded.
    #[serde(default = "default_queue_records")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) queue_records: u32,
    /// Whether an answer waits until its records are on the disk. `strict`: it does. `relaxed`: it does not, and a crash
    /// or a failing disk may lose the records of answers already given, at most `relaxed_window` of them.
    #[serde(default)]
    pub(crate) durability: Durability,
    /// With `durability: relaxed`, how many records, and for how long, may be on their way to the disk. A request that
    /// would exceed it waits for the disk, as with `strict`.
    #[serde(default)]
    pub(crate) relaxed_window: RelaxedWindow,
    /// Whether prompts and answers are kept besides their commitments. `none`: no content is kept, but for files and batches, which callers hand in to be kept, and responses where `responses.store` is on.
    /// `encrypted`: each request's content is sealed into a file of its own in `content/` before the request is
    /// settled, and a request whose content cannot be kept is not answered.
    #[serde(default)]
    pub(crate) capture: Capture,
}

/// Whether prompts and answers are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capture {
    /// Commitments in the ledger, no content anywhere.
    #[default]
    None,
    /// Sealed with AES-256-GCM, one file a request.
    Encrypted,
}

fn default_checkpoint_interval() -> HumanDuration {
    HumanDuration::from_millis(1000)
}

fn default_queue_records() -> u32 {
    4096
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Import {
    /// Who answers for imports when the command line does not say. Recorded with every import.
    #[schemars(extend("examples" = ["Ada Example <ada@corp.example>"]))]
    pub(crate) engineer: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// The least grave line that is still written.
    pub(crate) level: LogLevel,
    /// Lines for people or for a collector.
    pub(crate) format: LogFormat,
}

/// The least grave log line that is still written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
