//! The API surfaces that share the one pipeline, and what an engine is asked.

use hermetic_ids::ModelKind;

/// One way of asking a model, as a caller knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    ChatCompletions,
    Completions,
    Embeddings,
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Responses.
    Responses,
    /// Documents in the order of how well they answer a query, in the shape that Cohere and Jina share.
    Rerank,
    /// Speech as text, in the language it is spoken in.
    Transcriptions,
    /// Speech as English text.
    Translations,
    ImageGenerations,
    ImageEdits,
}

/// What an engine is asked. Surfaces that engines do not share are translated, so that everything between the caller and
/// the engine speaks of one of these calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Chat completions.
    Chat,
    /// The completion of a text.
    Completion,
    Embedding,
    Rerank,
    Transcription,
    Translation,
    ImageGeneration,
    ImageEdit,
}

/// Whose words a caller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// Those of the engines: bytes are forwarded as they came.
    Engines,
    Messages,
    Responses,
}

/// The form a body comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    /// `multipart/form-data`: fields, and files beside them.
    Multipart,
}

/// What is generated, as far as counting it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Vectors and scores are read off the prompt.
    Nothing,
    /// Text that the caller can cap (`max_tokens`), in answers whose pieces are known.
    Text,
    /// What was said in a recording, as JSON or as plain text.
    Transcript,
    /// Only the engine knows how many tokens they were.
    Pictures,
}

impl Surface {
    pub const ALL: [Self; 10] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Messages,
        Self::Responses,
        Self::Rerank,
        Self::Transcriptions,
        Self::Translations,
        Self::ImageGenerations,
        Self::ImageEdits,
    ];

    /// The path of the API it comes from.
    pub fn path(self) -> &'static str {
        match self {
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
            shared => shared.call().path(),
        }
    }

    /// Other paths that clients know it by.
    pub fn aliases(self) -> &'static [&'static str] {
        match self {
            // Cohere's second version, whose fields are those of the first; and without a version, as Jina's clients
            // and those of engines ask.
            Self::Rerank => &["/v2/rerank", "/rerank"],
            _ => &[],
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
            Self::Rerank => "rerank",
            Self::Transcriptions => "audio.transcriptions",
            Self::Translations => "audio.translations",
            Self::ImageGenerations => "images.generations",
            Self::ImageEdits => "images.edits",
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
            Self::Rerank => Call::Rerank,
            Self::Transcriptions => Call::Transcription,
            Self::Translations => Call::Translation,
            Self::ImageGenerations => Call::ImageGeneration,
            Self::ImageEdits => Call::ImageEdit,
        }
    }

    /// The models that serve it.
    pub fn kind(self) -> ModelKind {
        match self.call() {
            Call::Chat | Call::Completion => ModelKind::Chat,
            Call::Embedding => ModelKind::Embedding,
            Call::Rerank => ModelKind::Rerank,
            Call::Transcription | Call::Translation => ModelKind::Transcription,
            Call::ImageGeneration | Call::ImageEdit => ModelKind::Image,
        }
    }

    pub(crate) fn words(self) -> Words {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Rerank
            | Self::Transcriptions
            | Self::Translations
            | Self::ImageGenerations
            | Self::ImageEdits => Words::Engines,
            Self::Messages => Words::Messages,
            Self::Responses => Words::Responses,
        }
    }

    /// The field that holds what the model is asked.
    pub fn input_field(self) -> &'static str {
        match self.words() {
            Words::Engines => self.call().input_field(),
            Words::Messages => "messages",
            Words::Responses => "input",
        }
    }

    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|surface| surface.path() == path || surface.aliases().contains(&path))
    }
}

impl Call {
    pub const ALL: [Self; 8] = [
        Self::Chat,
        Self::Completion,
        Self::Embedding,
        Self::Rerank,
        Self::Transcription,
        Self::Translation,
        Self::ImageGeneration,
        Self::ImageEdit,
    ];

    /// The path that engines share: that of the OpenAI API, where it has one.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completion => "/v1/completions",
            Self::Embedding => "/v1/embeddings",
            Self::Rerank => "/v1/rerank",
            Self::Transcription => "/v1/audio/transcriptions",
            Self::Translation => "/v1/audio/translations",
            Self::ImageGeneration => "/v1/images/generations",
            Self::ImageEdit => "/v1/images/edits",
        }
    }

    /// The field that holds what the model is asked.
    pub fn input_field(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completion | Self::ImageGeneration => "prompt",
            Self::Embedding => "input",
            Self::Rerank => "documents",
            Self::Transcription | Self::Translation => "file",
            Self::ImageEdit => "image",
        }
    }

    pub fn form(self) -> Form {
        match self {
            Self::Chat | Self::Completion | Self::Embedding | Self::Rerank | Self::ImageGeneration => {
                Form::Json
            }
            Self::Transcription | Self::Translation | Self::ImageEdit => Form::Multipart,
        }
    }

    pub fn output(self) -> Output {
        match self {
            Self::Chat | Self::Completion => Output::Text,
            Self::Embedding | Self::Rerank => Output::Nothing,
            Self::Transcription | Self::Translation => Output::Transcript,
            Self::ImageGeneration | Self::ImageEdit => Output::Pictures,
        }
    }

    /// Whether answers can be streamed, and have a length that can be capped.
    pub fn streams(self) -> bool {
        self.output() == Output::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_surface_has_paths_and_a_name_of_its_own() {
        let paths: Vec<&str> =
            Surface::ALL.iter().flat_map(|surface| [&[surface.path()], surface.aliases()].concat()).collect();
        assert_eq!(paths.iter().collect::<HashSet<_>>().len(), paths.len());
        for surface in Surface::ALL {
            assert_eq!(Surface::of_name(surface.as_str()), Some(surface));
            for path in [&[surface.path()], surface.aliases()].concat() {
                assert_eq!(Surface::of_path(path), Some(surface));
            }
        }
        assert!(Call::ALL.iter().all(|call| Surface::ALL.iter().any(|surface| surface.call() == *call)));
    }
}
