//! The tokenizers of the models that are served: made once for each file of weights, when it enters service, on the
//! thread that watches the registry and never on one that serves.

use hermetic_bounded_io::{FileError, open_regular, read_capped};
use hermetic_config::{EndpointCounting, EngineSettings, Tokenize};
use hermetic_diagnostics::{Code, Diagnose, chain};
use hermetic_digest::Digest;
use hermetic_gateway::{CountSource, Counting, EngineCount};
use hermetic_gguf::{Header, Limits};
use hermetic_ids::ModelKind;
use hermetic_registry::{ServedFile, ServedModel};
use hermetic_tokenizer::{HuggingFaceFiles, Tokenizer};
use std::collections::HashMap;
use std::io::BufReader;
use std::sync::{Arc, Mutex, PoisonError};

/// Tokens of context the embedded engine gives a request when the configuration does not say.
const CONTEXT_TOKENS: u64 = 4_096;

/// Largest `tokenizer.json`: a quarter of a million tokens with their merges are about 35 MB.
const FILE_BYTES_MAX: u64 = 128 << 20;

/// What a model's files say about its tokens.
#[derive(Debug, Clone, Default)]
struct Known {
    tokenizer: Option<Arc<Tokenizer>>,
    /// Tokens the model was trained for.
    trained: Option<u64>,
    /// Tokens of one input, where the file says so apart.
    window: Option<u64>,
}

/// By digest of the weights.
#[derive(Default)]
pub(super) struct Tokenizers(Mutex<HashMap<Digest, Known>>);

impl Tokenizers {
    /// Reads what is new among `served`, and forgets what neither it nor `still` names.
    pub(super) fn follow(&self, served: &[&ServedModel], still: &[Digest]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|weights, _| {
            still.contains(weights) || served.iter().any(|model| model.weights == *weights)
        });
        for model in served {
            known.entry(model.weights).or_insert_with(|| read(model));
        }
    }

    /// How the prompts of an embedded model are counted.
    pub(super) fn embedded(&self, weights: Digest, kind: ModelKind, engine: EngineSettings) -> Counting {
        let Known { tokenizer, trained, window } = self.get(weights);
        let context = match kind {
            ModelKind::Chat => {
                let wanted = engine.context_tokens.map_or(CONTEXT_TOKENS, u64::from);
                trained.map(|trained| wanted.min(trained))
            }
            // The embedded engine serves none of the latter.
            ModelKind::Embedding | ModelKind::Rerank | ModelKind::Transcription | ModelKind::Image => {
                window.or(trained).map(|window| window.min(trained.unwrap_or(window)))
            }
        };
        let source = tokenizer.map(|tokenizer| CountSource::Own { tokenizer, open: false });
        Counting { source: source.unwrap_or_default(), context }
    }

    /// How the prompts for a server elsewhere are counted; `artifact` is the model whose tokenizer it shares.
    pub(super) fn endpoint(&self, settings: &EndpointCounting, artifact: Option<Digest>) -> Counting {
        let own = artifact.and_then(|weights| self.get(weights).tokenizer);
        let source = match (own, settings.tokenize) {
            (Some(tokenizer), _) => CountSource::Own { tokenizer, open: true },
            (None, Tokenize::Engine) => CountSource::Engine(Arc::new(EngineCount::default())),
            (None, Tokenize::Bytes) => CountSource::Bytes,
        };
        Counting { source, context: settings.context_tokens.map(u64::from) }
    }

    fn get(&self, weights: Digest) -> Known {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&weights).cloned().unwrap_or_default()
    }
}

/// A model without a tokenizer of ours is served all the same; its prompts are counted by their bytes, and that is said.
fn read(model: &ServedModel) -> Known {
    let mut known = Known::default();
    let files = |name: &str| model.files.iter().find(|file| file.name.rsplit('/').next() == Some(name));
    let read = match files("tokenizer.json") {
        Some(tokenizer) => {
            hugging_face(tokenizer, files("tokenizer_config.json"), files("chat_template.jinja"))
        }
        None => gguf(model, &mut known),
    };
    match read {
        Ok(tokenizer) => known.tokenizer = Some(Arc::new(tokenizer)),
        Err(problem) => tracing::warn!(
            code = problem.code.as_str(),
            model = %model.name,
            causes = problem.causes,
            "prompts are counted by their bytes"
        ),
    }
    known
}

/// Why there is no tokenizer, for the log.
struct Problem {
    code: Code,
    causes: String,
}

impl<E: Diagnose> From<E> for Problem {
    fn from(error: E) -> Self {
        Self { code: error.code(), causes: chain(&error).join(": ") }
    }
}

/// A file that cannot be read at all.
fn unread(error: FileError) -> Problem {
    Problem { code: Code::new("E0711"), causes: chain(&error).join(": ") }
}

fn gguf(model: &ServedModel, known: &mut Known) -> Result<Tokenizer, Problem> {
    let (file, _) = open_regular(&model.weights_path).map_err(unread)?;
    let header = Header::read(&mut BufReader::new(file), &Limits::default())?;
    known.trained = header.architecture_number("context_length");
    known.window = header.number("hermetic.window");
    Ok(Tokenizer::from_gguf(&header)?)
}

fn hugging_face(
    tokenizer: &ServedFile,
    config: Option<&ServedFile>,
    template: Option<&ServedFile>,
) -> Result<Tokenizer, Problem> {
    let bytes = |file: &ServedFile| read_capped(&file.path, FILE_BYTES_MAX).map_err(unread);
    let (tokenizer, config) = (bytes(tokenizer)?, config.map(bytes).transpose()?);
    let template = template.map(bytes).transpose()?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let files =
        HuggingFaceFiles { tokenizer: &tokenizer, config: config.as_deref(), template: template.as_deref() };
    Ok(Tokenizer::from_hugging_face(files)?)
}
