//! The response object (`Response`), as it stands at any time of its making.

use super::echo::Echo;
use super::items::{Item, Status};
use crate::chat::answer::Usage;
use serde::Serialize;
use serde_json::Number;
use serde_json::value::RawValue;

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Complete,
    /// Cut off, and the word for why.
    Cut(&'static str),
    /// With what the engine said.
    Failed {
        code: &'static str,
        message: String,
    },
}

impl Ending {
    /// What a `finish_reason` means. Words no engine documents, and none at all, end an answer like any other.
    pub(super) fn of(finish_reason: Option<&str>) -> Self {
        match finish_reason {
            Some("length") => Self::Cut("max_output_tokens"),
            Some("content_filter") => Self::Cut("content_filter"),
            Some(reason @ ("abort" | "error")) => Self::failed(
                "server_error",
                format!("expected the engine to end its answer, found the finish reason `{reason}`"),
            ),
            Some(_) | None => Self::Complete,
        }
    }

    /// A response has few codes for what went wrong; what is none of these is an error of the server.
    pub(super) fn failed(code: &str, message: String) -> Self {
        let codes = ["rate_limit_exceeded", "invalid_prompt"];
        let code = codes.into_iter().find(|known| *known == code).unwrap_or("server_error");
        Self::Failed { code, message }
    }

    pub(super) fn of_last_item(&self) -> Status {
        match self {
            Self::Complete => Status::Completed,
            Self::Cut(_) | Self::Failed { .. } => Status::Incomplete,
        }
    }

    /// The event that ends a stream so.
    pub(super) fn event(&self) -> &'static str {
        match self {
            Self::Complete => "response.completed",
            Self::Cut(_) => "response.incomplete",
            Self::Failed { .. } => "response.failed",
        }
    }

    fn status(&self) -> &'static str {
        match self {
            Self::Complete => "completed",
            Self::Cut(_) => "incomplete",
            Self::Failed { .. } => "failed",
        }
    }
}

/// What an answer says of itself, once.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) created: Option<Number>,
    pub(super) model: Option<String>,
    pub(super) service_tier: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Response<'a> {
    id: String,
    object: &'static str,
    created_at: Number,
    status: &'static str,
    background: bool,
    error: Option<Failure<'a>>,
    incomplete_details: Option<Incomplete>,
    model: &'a str,
    output: &'a [Item],
    previous_response_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    store: bool,
    truncation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a ResponseUsage>,
    #[serde(flatten)]
    echo: &'a Echo,
}

/// A response as it is handed out.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) json: Box<RawValue>,
    /// It is to be stored.
    pub(super) stored: bool,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    code: &'static str,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct Incomplete {
    reason: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct ResponseUsage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Debug, Clone, Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Debug, Clone, Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl ResponseUsage {
    /// Counts an engine does not give are zero, and the total is the sum.
    pub(super) fn of(usage: &Usage) -> Self {
        let (input_tokens, output_tokens) =
            (usage.prompt_tokens.or_zero(), usage.completion_tokens.or_zero());
        Self {
            input_tokens,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cached_tokens().unwrap_or(0),
                cache_write_tokens: usage.cache_write_tokens().unwrap_or(0),
            },
            output_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning_tokens().unwrap_or(0) },
            total_tokens: usage.total_tokens.0.unwrap_or(input_tokens.saturating_add(output_tokens)),
        }
    }
}

impl<'a> Response<'a> {
    /// `name` is what the ids of its items are made of too. Without an ending it is in progress, and says of `store` what is
    /// meant to become of it.
    pub(super) fn new(name: &str, head: &'a Head, echo: &'a Echo, output: &'a [Item]) -> Self {
        Self {
            id: format!("resp_{name}"),
            object: "response",
            created_at: head.created.clone().unwrap_or_else(|| 0.into()),
            status: "in_progress",
            background: false,
            error: None,
            incomplete_details: None,
            model: head.model.as_deref().unwrap_or_else(|| echo.model()),
            output,
            previous_response_id: echo.state().previous.as_deref(),
            service_tier: head.service_tier.as_deref(),
            store: echo.state().stored.is_some(),
            truncation: "disabled",
            usage: None,
            echo,
        }
    }

    /// One that failed is not stored.
    pub(super) fn ended(mut self, ending: &'a Ending, usage: Option<&'a ResponseUsage>) -> Self {
        self.store &= !matches!(ending, Ending::Failed { .. });
        self.status = ending.status();
        self.usage = usage;
        match ending {
            Ending::Complete => {}
            Ending::Cut(reason) => self.incomplete_details = Some(Incomplete { reason }),
            Ending::Failed { code, message } => self.error = Some(Failure { code, message }),
        }
        self
    }

    /// As JSON, and whether it is to be stored: one that has become too large for that says that it is not.
    pub(super) fn written(mut self) -> Option<Written> {
        let json = serde_json::value::to_raw_value(&self).ok()?;
        let most = self.echo.state().stored.as_ref().map_or(0, |stored| stored.bytes_max);
        if self.store && json.get().len() > most {
            self.store = false;
            let json = serde_json::value::to_raw_value(&self).ok()?;
            return Some(Written { json, stored: false });
        }
        Some(Written { json, stored: self.store })
    }
}
