//! A model that generates text.

use crate::backend;
use crate::calls::CallReader;
use crate::chances::Chances;
use crate::error::{LoadError, SubmitError};
use crate::generate::{GenerateRequest, Generation, Load, Prompt};
use crate::grammar::Grammar;
use crate::model::{Loaded, ModelDescription};
use crate::options::LlamaOptions;
use crate::sampler::Sampler;
use crate::schedule::{Gauges, Scheduler};
use crate::sequence::Sequence;
use crate::stop::StopFilter;
use crate::vocabulary::Vocabulary;
use hermetic_tokenizer::{ChatTemplate, Conversation, TemplateError};
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use tokio::sync::{mpsc, watch};

/// A loaded chat or completion model. Cheap to clone; the last clone dropped ends its thread.
#[derive(Debug, Clone)]
pub struct ChatModel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    loaded: Loaded,
    template: Option<ChatTemplate>,
    description: ModelDescription,
    queue: usize,
    jobs: Sender<Vec<Sequence>>,
    gauges: Arc<Gauges>,
    /// Closed when the thread has ended, for whatever reason.
    alive: watch::Receiver<()>,
}

/// Bounds on what is asked for; beyond them is a mistake or an attack.
const SLOTS_MAX: u32 = 256;
const CHOICES_MAX: u32 = 16;
const STOPS_MAX: usize = 16;
const STOP_BYTES_MAX: usize = 1024;
const TOP_LOGPROBS_MAX: u8 = 20;

impl ChatModel {
    /// Loads the file, reserves memory for every slot, and starts the thread.
    pub fn load(options: &LlamaOptions) -> Result<Self, LoadError> {
        if options.slots == 0 || options.slots > SLOTS_MAX {
            let found = u64::from(options.slots);
            return Err(LoadError::Option { key: "slots", expected: "1 to 256", found });
        }
        let loaded = Loaded::load(&options.path)?;
        if loaded.is_encoder() {
            return Err(LoadError::Kind { expected: "a model that generates", found: loaded.architecture() });
        }
        let template = loaded.template().map_err(LoadError::Template)?;
        // Rounded up as the library does, so that the number we promise is the number there is.
        let context = options.context.min(loaded.model.n_ctx_train()).max(1);
        let description = loaded.describe(options, context);
        let (jobs, receiver) = std::sync::mpsc::channel();
        let gauges = Arc::new(Gauges::default());
        let (alive_sender, alive) = watch::channel(());
        let (ready_sender, ready) = std::sync::mpsc::sync_channel(1);
        let thread = Thread {
            loaded: loaded.clone(),
            options: LlamaOptions { context, ..options.clone() },
            jobs: receiver,
            gauges: Arc::clone(&gauges),
            alive: alive_sender,
        };
        std::thread::Builder::new()
            .name("llama-decode".to_owned())
            .spawn(move || thread.run(&ready_sender))
            .map_err(LoadError::Thread)?;
        ready.recv().map_err(|error| LoadError::Thread(std::io::Error::other(error)))??;
        let queue = options.queue;
        Ok(Self(Arc::new(Inner { loaded, template, description, queue, jobs, gauges, alive })))
    }

    pub fn describe(&self) -> &ModelDescription {
        &self.0.description
    }

    /// Slots in use and requests waiting.
    pub fn load_now(&self) -> Load {
        self.0.gauges.load()
    }

    /// Resolves when the engine's thread has ended. A worker ends with it: there is nothing left to serve.
    pub async fn stopped(&self) {
        let mut alive = self.0.alive.clone();
        while alive.changed().await.is_ok() {}
    }

    pub fn vocabulary(&self) -> Vocabulary<'_> {
        Vocabulary { loaded: &self.0.loaded, template: self.0.template.as_ref() }
    }

    /// Tokens the prompt of a request is, or why it is none.
    pub fn prompt_tokens(&self, prompt: &Prompt) -> Result<u32, SubmitError> {
        self.prompt(prompt).map(|tokens| u32::try_from(tokens.len()).unwrap_or(u32::MAX))
    }

    /// Accepts a request or refuses it now. Order of acceptance is order of service.
    pub fn generate(&self, request: &GenerateRequest) -> Result<Generation, SubmitError> {
        check_request(request)?;
        let prompt = Arc::new(self.prompt(&request.prompt)?);
        let prompt_tokens = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
        let answer_max = self.room(prompt_tokens, request.max_tokens)?;
        let (events, receiver) = mpsc::unbounded_channel();
        let sequences = (0..request.choices).map(|choice| {
            let sampler = Sampler::new(&self.0.loaded, &request.sampling, request.grammar.as_ref(), choice)?;
            Ok(Sequence {
                choice,
                prompt: Arc::clone(&prompt),
                read: 0,
                position: 0,
                next: None,
                answer_max,
                sampler,
                filter: StopFilter::new(&request.stop),
                calls: request.grammar.as_ref().is_some_and(Grammar::calls).then(CallReader::default),
                top_logprobs: request.top_logprobs,
                chances: Chances::default(),
                events: events.clone(),
                answered: 0,
            })
        });
        let sequences = sequences.collect::<Result<Vec<_>, SubmitError>>()?;
        self.submit(sequences)?;
        Ok(Generation { prompt_tokens, events: receiver, open: (0..request.choices).rev().collect() })
    }

    fn submit(&self, sequences: Vec<Sequence>) -> Result<(), SubmitError> {
        let (inner, wanted) = (&self.0, sequences.len());
        let slots = inner.description.slots;
        let most = usize::try_from(slots).unwrap_or(usize::MAX).saturating_add(inner.queue);
        let full = |held: usize| {
            let waiting = held.saturating_sub(usize::try_from(slots).unwrap_or(held));
            SubmitError::QueueFull { slots, waiting, capacity: inner.queue }
        };
        inner.gauges.reserve(wanted, most).map_err(full)?;
        inner.jobs.send(sequences).map_err(|_| {
            inner.gauges.give_back(wanted);
            SubmitError::Stopped
        })
    }

    fn prompt(&self, prompt: &Prompt) -> Result<Vec<LlamaToken>, SubmitError> {
        let loaded = &self.0.loaded;
        let tokens = match prompt {
            Prompt::Chat(conversation) => {
                let template = self.0.template.as_ref().ok_or(SubmitError::NoTemplate)?;
                chat_tokens(template, loaded, conversation).map_err(SubmitError::Template)?
            }
            Prompt::Text(text) => loaded.tokenize(text, true, false),
            Prompt::Tokens(tokens) => {
                let vocabulary = loaded.vocabulary;
                loaded.check_tokens(tokens).map_err(|found| SubmitError::Token { found, vocabulary })?
            }
        };
        if tokens.is_empty() { Err(SubmitError::EmptyPrompt) } else { Ok(tokens) }
    }

    /// How long the answer may be. An explicit wish that does not fit is refused, not quietly shortened.
    fn room(&self, prompt: u32, wanted: Option<u32>) -> Result<u32, SubmitError> {
        let context = self.0.description.context;
        let answer = wanted.unwrap_or_else(|| context.saturating_sub(prompt).max(1));
        if u64::from(prompt) + u64::from(answer) > u64::from(context) {
            return Err(SubmitError::ContextOverflow { prompt, answer, context });
        }
        Ok(answer)
    }
}

pub(crate) fn chat_tokens(
    template: &ChatTemplate,
    loaded: &Loaded,
    conversation: &Conversation,
) -> Result<Vec<LlamaToken>, TemplateError> {
    let rendered = template.render(conversation)?;
    Ok(rendered.pieces().flat_map(|piece| loaded.tokenize(piece.text, piece.edges, piece.control)).collect())
}

fn check_request(request: &GenerateRequest) -> Result<(), SubmitError> {
    let wrong =
        |key, expected, found: u64| SubmitError::Parameter { key, expected, found: found.to_string() };
    if request.choices == 0 || request.choices > CHOICES_MAX {
        return Err(wrong("n", "1 to 16", request.choices.into()));
    }
    if request.max_tokens == Some(0) {
        return Err(wrong("max_tokens", "at least 1", 0));
    }
    if request.stop.len() > STOPS_MAX {
        return Err(wrong("stop", "at most 16 strings", request.stop.len() as u64));
    }
    if let Some(stop) = request.stop.iter().find(|stop| stop.len() > STOP_BYTES_MAX) {
        return Err(wrong("stop", "strings of at most 1024 bytes", stop.len() as u64));
    }
    match request.top_logprobs {
        Some(top) if top > TOP_LOGPROBS_MAX => Err(wrong("top_logprobs", "0 to 20", top.into())),
        _ => Ok(()),
    }
}

/// What moves into the decode thread.
struct Thread {
    loaded: Loaded,
    options: LlamaOptions,
    jobs: Receiver<Vec<Sequence>>,
    gauges: Arc<Gauges>,
    alive: watch::Sender<()>,
}

impl Thread {
    fn run(self, ready: &SyncSender<Result<(), LoadError>>) {
        let options = &self.options;
        let backend = match backend::started() {
            Ok(backend) => backend,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let (slots, context) = (options.slots, options.context);
        let context = match self.loaded.model.new_context(backend, parameters(options)) {
            Ok(context) => context,
            Err(source) => {
                let (slots, context) = (slots, context);
                return drop(ready.send(Err(LoadError::Context { slots, context, source })));
            }
        };
        let batch_max = usize::try_from(options.batch.max(slots)).unwrap_or(512);
        let scheduler = Scheduler {
            loaded: &self.loaded,
            context,
            batch: LlamaBatch::new(batch_max, 1),
            batch_max,
            jobs: self.jobs,
            gauges: self.gauges,
            slots: (0..slots).map(|_| None).collect(),
            waiting: VecDeque::new(),
        };
        let _ = ready.send(Ok(()));
        scheduler.run();
        drop(self.alive);
    }
}

/// One stream of key-value memory per slot: a sequence attends over its own tokens only, and costs the same whoever
/// runs beside it.
fn parameters(options: &LlamaOptions) -> LlamaContextParams {
    let batch = options.batch.max(options.slots);
    let total = options.context.next_multiple_of(256).saturating_mul(options.slots);
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(total))
        .with_n_seq_max(options.slots)
        .with_kv_unified(false)
        .with_n_batch(batch)
        .with_n_ubatch(batch)
        .with_n_threads(options.threads())
        .with_n_threads_batch(options.threads())
        .with_no_perf(true)
}
