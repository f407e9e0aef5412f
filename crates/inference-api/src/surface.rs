//! The API surfaces that share the one pipeline, and what an engine is asked.

/// One way of asking a model, as a caller knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    ChatCompletions,
    Completions,
    Embeddings,
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Responses, without state.
    Responses,
}

/// What an engine is asked. Surfaces that engines do not share are translated, so that everything between the caller and
/// the engine speaks of one of three calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Chat completions.
    Chat,
    /// The completion of a text.
    Completion,
    Embedding,
}

impl Surface {
    pub const ALL: [Self; 5] =
        [Self::ChatCompletions, Self::Completions, Self::Embeddings, Self::Messages, Self::Responses];

    /// The path of the API it comes from.
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => Call::Chat.path(),
            Self::Completions => Call::Completion.path(),
            Self::Embeddings => Call::Embedding.path(),
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }

    /// As written in records, policies and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat.completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::Responses => "responses",
        }
    }

    /// The surface of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|surface| surface.as_str() == name)
    }

    /// What the engine is asked for it.
    pub fn call(self) -> Call {
        match self {
            Self::ChatCompletions | Self::Messages | Self::Responses => Call::Chat,
            Self::Completions => Call::Completion,
            Self::Embeddings => Call::Embedding,
        }
    }

    /// The field that holds what the model is asked.
    pub fn input_field(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Embeddings => self.call().input_field(),
            Self::Messages => "messages",
            Self::Responses => "input",
        }
    }

    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|surface| surface.path() == path)
    }
}

impl Call {
    /// The path of the OpenAI API, which engines share.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completion => "/v1/completions",
            Self::Embedding => "/v1/embeddings",
        }
    }

    /// The field that holds what the model is asked.
    pub fn input_field(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completion => "prompt",
            Self::Embedding => "input",
        }
    }

    /// Whether answers can be streamed, and have a length that can be capped.
    pub fn streams(self) -> bool {
        match self {
            Self::Chat | Self::Completion => true,
            Self::Embedding => false,
        }
    }
}
