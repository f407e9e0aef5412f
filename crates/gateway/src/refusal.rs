//! Every reason for which a request is answered with an error of ours.

use crate::batches::BatchRefusal;
use crate::collect::CollectError;
use crate::limit_refusal::LimitRefused;
use crate::memory::MemoryError;
use crate::stage::call::CallError;
use crate::stage::guard::GuardRefusal;
use crate::stage::queue::QueueRefusal;
use crate::stored::StateRefusal;
use crate::tab::Overrun;
use crate::upstream::UpstreamError;
use hermetic_content_store::ContentError;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_identity::IdentifyError;
use hermetic_ids::{ModelKind, ModelName, RequestId};
use hermetic_inference_api::{JsonMistake, RequestMistake, Surface};
use hermetic_ledger_store::AppendError;
use hermetic_policy::Refusal;
use std::time::Duration;

/// A refusal and the request it is about.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) kind: RefusalKind,
    pub(crate) request: Option<RequestId>,
}

/// Messages are for the caller: they say what was expected and found, and hold neither keys nor content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefusalKind {
    #[error("there is nothing at this path")]
    NotFound,
    #[error("expected the method {allowed} at this path")]
    Method { allowed: &'static str },
    #[error("expected `content-type: {expected}` without content encoding, found {found}")]
    MediaType { expected: &'static str, found: String },
    #[error("{}", body_message(.0))]
    Body(CollectError),
    #[error("{0}")]
    Mistake(RequestMistake),
    #[error("{0}")]
    Identity(IdentifyError),
    #[error("the credential is not meant for the model `{model}` on the surface {}", .surface.as_str())]
    OutOfScope { model: ModelName, surface: Surface },
    #[error("the model `{model}` is not served here{}", suggestions(.near))]
    UnknownModel { model: ModelName, near: Vec<String> },
    #[error("expected one `x-hermetic-classification` of {known}")]
    Classification { known: String },
    #[error("{0}")]
    Policy(Refusal),
    #[error("{0}")]
    Guard(GuardRefusal),
    #[error("{0}")]
    Limit(LimitRefused),
    #[error("the engine took the {} s that limits on its time hold for one request", .after.as_secs())]
    EngineTime { after: Duration },
    #[error("expected an answer of at most {} tokens, the engine gave {}", .0.allowed, .0.found)]
    Overrun(Overrun),
    #[error("expected a model that serves {}, found the {} model `{model}`", .surface.as_str(), .kind.as_str())]
    WrongSurface { model: ModelName, kind: ModelKind, surface: Surface },
    #[error(
        "expected `{field}` to be at most {most} tokens long, which the context of `{model}` has room for, found {found}"
    )]
    PromptTooLong { model: ModelName, field: &'static str, found: u64, most: u64 },
    #[error("expected a chat completion of the engine, found something that cannot be told on this surface")]
    NoAnswer,
    #[error("the engine of the model `{model}` does not tell its tokens")]
    NoTokens { model: ModelName },
    #[error("the model `{model}` is being loaded")]
    ModelStarting { model: ModelName },
    #[error("the engine of the model `{model}` has failed")]
    ModelFailed { model: ModelName },
    #[error("no engine of the model `{model}` can be reached")]
    NoTarget { model: ModelName, after: Duration },
    #[error("the request cannot be put on record, so it is not answered")]
    Ledger(#[source] AppendError),
    #[error("the content of the request cannot be kept, so it is not answered")]
    Content(#[source] ContentError),
    #[error("{0}")]
    Queue(QueueRefusal),
    #[error("{0}")]
    Call(CallError),
    #[error("{}", answer_message(.0))]
    Answer(CollectError),
    #[error("the service is stopping")]
    Draining,
    #[error("expected at most {max} connections, found that so many are open")]
    TooManyConnections { max: usize },
    #[error("expected at most {max} connections from one address, found that so many are open")]
    TooManyFromAddress { max: usize },
    #[error("expected at most {max} requests at once, found that so many are being answered")]
    TooManyRequests { max: usize },
    #[error("the service is behind with its work")]
    Lagging,
    #[error("expected one host, and a body that is chunked or of declared length, found {found}")]
    Framing { found: String },
    #[error("{0}")]
    Batch(BatchRefusal),
    #[error("{0}")]
    State(StateRefusal),
    #[error("the system gives no random bytes")]
    NoRandomness,
}

fn body_message(error: &CollectError) -> String {
    match error {
        CollectError::BrokenOff => "the body ended before it was complete".to_owned(),
        CollectError::TooLarge { cap } => format!("expected a body of at most {cap} bytes, found more"),
        CollectError::Silent { after } => format!("expected the body within {} s", after.as_secs()),
        CollectError::Slow { bytes, within } => {
            format!(
                "expected a body that comes in without pause, found {bytes} bytes in {} s",
                within.as_secs()
            )
        }
        CollectError::Memory(error) => error.to_string(),
    }
}

fn answer_message(error: &CollectError) -> String {
    match error {
        CollectError::BrokenOff => "the engine broke off in the middle of its answer".to_owned(),
        CollectError::TooLarge { cap } => {
            format!("expected an answer of at most {cap} bytes, the engine sent more")
        }
        CollectError::Silent { after } => {
            format!("the engine fell silent for {} s in the middle of its answer", after.as_secs())
        }
        CollectError::Slow { bytes, within } => {
            format!("the engine sent {bytes} bytes of its answer in {} s", within.as_secs())
        }
        CollectError::Memory(_) => "there is no memory left to hold the answer in".to_owned(),
    }
}

fn suggestions(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; you may use {}", near.join(", ")) }
}

impl RefusalKind {
    /// A failed call, by where it failed: an answer that broke off is the same whether any of it had left.
    pub(crate) fn of_call(error: CallError) -> Self {
        match error {
            CallError::Answer(error) => Self::Answer(error),
            CallError::Unsayable(mistake) => Self::Mistake(mistake),
            CallError::Unheard(_) => Self::NoAnswer,
            error => Self::Call(error),
        }
    }

    pub(crate) fn of(self, request: RequestId) -> Refused {
        Refused { kind: self, request: Some(request) }
    }

    /// About something that has no id: a path that is none, a connection.
    pub(crate) fn unnamed(self) -> Refused {
        Refused { kind: self, request: None }
    }

    /// The field at fault, as the OpenAI error body names it.
    pub(crate) fn field(&self) -> Option<&str> {
        match self {
            Self::Mistake(mistake) => mistake.field(),
            Self::Batch(refusal) => refusal.field(),
            Self::PromptTooLong { field, .. }
            | Self::Guard(GuardRefusal::Unreadable { field } | GuardRefusal::ToldTwice { field }) => {
                Some(field)
            }
            Self::State(refusal) => refusal.field(),
            Self::UnknownModel { .. } | Self::WrongSurface { .. } | Self::OutOfScope { .. } => Some("model"),
            _ => None,
        }
    }
}

impl RefusalKind {
    /// Whether the connection cannot carry another request: the caller is told, and what it still sends is not read
    /// as one.
    pub(crate) fn ends_connection(&self) -> bool {
        matches!(
            self,
            Self::Body(_)
                | Self::Framing { .. }
                | Self::TooManyRequests { .. }
                | Self::Lagging
                | Self::TooManyConnections { .. }
                | Self::TooManyFromAddress { .. }
        )
    }
}

impl Diagnose for RefusalKind {
    fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::new("E0801"),
            Self::Method { .. } => Code::new("E0802"),
            Self::MediaType { .. } => Code::new("E0803"),
            Self::Body(CollectError::TooLarge { .. }) => Code::new("E0804"),
            Self::Body(CollectError::BrokenOff | CollectError::Silent { .. } | CollectError::Slow { .. }) => {
                Code::new("E0805")
            }
            Self::Body(CollectError::Memory(MemoryError::NeverFits { .. })) => Code::new("E0841"),
            Self::Body(CollectError::Memory(_)) => Code::new("E0840"),
            Self::Mistake(RequestMistake::Json(
                JsonMistake::TooDeep { .. } | JsonMistake::TooManyKeys { .. },
            )) => Code::new("E0807"),
            Self::Mistake(RequestMistake::Json(_) | RequestMistake::Form(_)) => Code::new("E0806"),
            Self::Mistake(RequestMistake::DuplicateKey { .. }) => Code::new("E0808"),
            Self::Mistake(RequestMistake::Untranslatable { .. } | RequestMistake::Unsayable { .. }) => {
                Code::new("E0824")
            }
            Self::Mistake(_) => Code::new("E0809"),
            Self::OutOfScope { .. } => Code::new("E0908"),
            Self::UnknownModel { .. } => Code::new("E0810"),
            Self::WrongSurface { .. } => Code::new("E0811"),
            Self::PromptTooLong { .. } => Code::new("E0712"),
            Self::NoAnswer => Code::new("E0823"),
            Self::NoTokens { .. } => Code::new("E0825"),
            Self::ModelStarting { .. } => Code::new("E0812"),
            Self::ModelFailed { .. } => Code::new("E0813"),
            Self::Call(
                CallError::Upstream(UpstreamError::Connect(_) | UpstreamError::ConnectSilent { .. })
                | CallError::Request(_),
            ) => Code::new("E0814"),
            Self::Call(CallError::Upstream(UpstreamError::Broken(_))) => Code::new("E0815"),
            Self::Call(CallError::Unsayable(_)) => Code::new("E0824"),
            Self::Call(CallError::Unheard(_)) => Code::new("E0823"),
            Self::Call(CallError::Silent { .. }) => Code::new("E0816"),
            Self::Call(CallError::OutOfTime { .. }) => Code::new("E0822"),
            Self::Call(CallError::Answer(error)) | Self::Answer(error) => match error {
                CollectError::BrokenOff => Code::new("E0815"),
                CollectError::Silent { .. } | CollectError::Slow { .. } => Code::new("E0816"),
                CollectError::TooLarge { .. } => Code::new("E0817"),
                CollectError::Memory(_) => Code::new("E0840"),
            },
            Self::NoTarget { .. } => Code::new("E0821"),
            Self::Draining => Code::new("E0818"),
            Self::TooManyConnections { .. } => Code::new("E0819"),
            Self::NoRandomness => Code::new("E0820"),
            Self::TooManyFromAddress { .. } => Code::new("E0842"),
            Self::TooManyRequests { .. } => Code::new("E0843"),
            Self::Lagging => Code::new("E0844"),
            Self::Framing { .. } => Code::new("E0845"),
            Self::Queue(error) => error.code(),
            Self::Batch(refusal) => refusal.code(),
            Self::State(refusal) => refusal.code(),
            Self::Identity(error) => error.code(),
            Self::Classification { .. } => Code::new("E0915"),
            Self::Policy(refusal) => refusal.code(),
            Self::Guard(GuardRefusal::Input { .. }) => Code::new("E0890"),
            Self::Guard(GuardRefusal::Output { .. }) => Code::new("E0891"),
            Self::Guard(GuardRefusal::Unreadable { .. } | GuardRefusal::ToldTwice { .. }) => {
                Code::new("E0892")
            }
            Self::Guard(GuardRefusal::Answer) => Code::new("E0893"),
            Self::Limit(refused) => refused.code(),
            Self::Overrun(_) => Code::new("E0934"),
            Self::EngineTime { .. } => Code::new("E0939"),
            Self::Ledger(error) => error.code(),
            Self::Content(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound => {
                Some("the base URL ends in /v1; the surfaces are listed in the manual".to_owned())
            }
            Self::PromptTooLong { .. } => {
                Some("shorten the prompt, or ask a model with a longer context".to_owned())
            }
            Self::Identity(error) => error.hint(),
            Self::Batch(refusal) => refusal.hint(),
            Self::State(refusal) => refusal.hint(),
            Self::Limit(refused) => refused.hint(),
            Self::OutOfScope { .. } => {
                Some("use a key that is meant for this, or ask the operator for a wider one".to_owned())
            }
            Self::UnknownModel { .. } => Some("GET /v1/models lists the models you may use".to_owned()),
            Self::Policy(_) => {
                Some("ask whoever keeps the policies; they find this request by its id".to_owned())
            }
            Self::Guard(GuardRefusal::Input { .. }) => Some(
                "take out what the rule names, or ask whoever keeps the guardrails; they find this request by its id".to_owned(),
            ),
            Self::Guard(GuardRefusal::Unreadable { .. } | GuardRefusal::ToldTwice { .. }) => {
                Some("leave the field out, or say it as text".to_owned())
            }
            Self::ModelStarting { .. }
            | Self::NoTarget { .. }
            | Self::TooManyConnections { .. }
            | Self::TooManyFromAddress { .. }
            | Self::TooManyRequests { .. }
            | Self::Lagging
            | Self::Draining => Some("try again shortly".to_owned()),
            Self::Body(CollectError::Memory(MemoryError::Busy { .. })) => {
                Some("try again shortly".to_owned())
            }
            _ => None,
        }
    }
}
