//! A model that turns texts into unit vectors.
//!
//! Encoders attend over everything in a batch and mask what is another text's, so a batch's cost grows with the square
//! of its tokens: batches are kept near the window, not as large as memory allows.

use crate::backend;
use crate::error::{EmbedError, LoadError};
use crate::generate::Load;
use crate::model::{Loaded, ModelDescription, Token};
use crate::options::LlamaOptions;
use crate::vocabulary::Vocabulary;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use tokio::sync::{oneshot, watch};

/// A loaded embedding model. Cheap to clone; the last clone dropped ends its thread.
#[derive(Debug, Clone)]
pub struct EmbeddingModel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    loaded: Loaded,
    description: ModelDescription,
    queue: usize,
    jobs: Sender<Job>,
    waiting: Arc<AtomicUsize>,
    alive: watch::Receiver<()>,
}

/// One vector per input, in order, with the tokens that were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    pub vectors: Vec<Vec<f32>>,
    pub tokens: u32,
}

#[derive(Debug)]
struct Job {
    inputs: Vec<Vec<LlamaToken>>,
    vectors: Vec<Vec<f32>>,
    /// Inputs already put into a batch.
    sent: usize,
    reply: oneshot::Sender<Result<Vec<Vec<f32>>, EmbedError>>,
}

/// Texts in one batch: a bound on sequence ids, not on a request.
const SEQUENCES: u32 = 64;

impl EmbeddingModel {
    pub fn load(options: &LlamaOptions) -> Result<Self, LoadError> {
        let loaded = Loaded::load(&options.path)?;
        if !loaded.is_encoder() {
            return Err(LoadError::Kind { expected: "a model that embeds", found: loaded.architecture() });
        }
        let tuned = loaded.header.number("hermetic.window").and_then(|window| u32::try_from(window).ok());
        let trained = loaded.model.n_ctx_train();
        let window = tuned.unwrap_or(trained).min(trained).max(3);
        let description = ModelDescription { slots: SEQUENCES, ..loaded.describe(options, window) };
        let (jobs, receiver) = std::sync::mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let (alive_sender, alive) = watch::channel(());
        let (ready_sender, ready) = std::sync::mpsc::sync_channel(1);
        let thread = Thread {
            loaded: loaded.clone(),
            threads: options.threads(),
            batch: options.batch.max(window),
            jobs: receiver,
            waiting: Arc::clone(&waiting),
            alive: alive_sender,
        };
        std::thread::Builder::new()
            .name("llama-embed".to_owned())
            .spawn(move || thread.run(&ready_sender))
            .map_err(LoadError::Thread)?;
        ready.recv().map_err(|error| LoadError::Thread(std::io::Error::other(error)))??;
        let queue = options.queue;
        Ok(Self(Arc::new(Inner { loaded, description, queue, jobs, waiting, alive })))
    }

    pub fn describe(&self) -> &ModelDescription {
        &self.0.description
    }

    pub fn load_now(&self) -> Load {
        let waiting = self.0.waiting.load(Ordering::SeqCst);
        Load { active: waiting.min(1), waiting: waiting.saturating_sub(1) }
    }

    /// Resolves when the engine's thread has ended.
    pub async fn stopped(&self) {
        let mut alive = self.0.alive.clone();
        while alive.changed().await.is_ok() {}
    }

    pub fn vocabulary(&self) -> Vocabulary<'_> {
        Vocabulary { loaded: &self.0.loaded, template: None }
    }

    /// Embeds inputs of tokens. One longer than the window is refused, or cut when `truncate` says so.
    pub async fn embed(&self, inputs: &[Vec<Token>], truncate: bool) -> Result<Embeddings, EmbedError> {
        let inner = &self.0;
        let inputs = self.check(inputs, truncate)?;
        let tokens = inputs.iter().map(|input| u32::try_from(input.len()).unwrap_or(u32::MAX)).sum();
        let most = inner.queue.saturating_add(1);
        let reserve = |waiting: usize| (waiting < most).then_some(waiting + 1);
        let reserved = inner.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, reserve);
        reserved.map_err(|waiting| EmbedError::QueueFull { waiting, capacity: inner.queue })?;
        let (reply, answer) = oneshot::channel();
        let job = Job { inputs, vectors: Vec::new(), sent: 0, reply };
        inner.jobs.send(job).map_err(|_| EmbedError::Stopped)?;
        let vectors = answer.await.map_err(|_| EmbedError::Stopped)??;
        Ok(Embeddings { vectors, tokens })
    }

    fn check(&self, inputs: &[Vec<Token>], truncate: bool) -> Result<Vec<Vec<LlamaToken>>, EmbedError> {
        let (loaded, window) = (&self.0.loaded, self.0.description.context);
        let separator = loaded.model.vocab().sep();
        let check = |(index, input): (usize, &Vec<Token>)| {
            let vocabulary = loaded.vocabulary;
            let mut tokens =
                loaded.check_tokens(input).map_err(|found| EmbedError::Token { found, vocabulary })?;
            let found = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
            if found > window {
                if !truncate {
                    return Err(EmbedError::TooLong { index, found, window });
                }
                // The last place belongs to the separator, as in the reference.
                tokens.truncate(usize::try_from(window).unwrap_or(1).saturating_sub(1));
                tokens.push(separator);
            }
            Ok(tokens)
        };
        inputs.iter().enumerate().map(check).collect()
    }
}

struct Thread {
    loaded: Loaded,
    threads: i32,
    batch: u32,
    jobs: Receiver<Job>,
    waiting: Arc<AtomicUsize>,
    alive: watch::Sender<()>,
}

impl Thread {
    fn run(self, ready: &SyncSender<Result<(), LoadError>>) {
        let backend = match backend::started() {
            Ok(backend) => backend,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let parameters = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(self.batch))
            .with_n_seq_max(SEQUENCES)
            .with_kv_unified(true)
            .with_n_batch(self.batch)
            .with_n_ubatch(self.batch)
            .with_n_threads(self.threads)
            .with_n_threads_batch(self.threads)
            .with_embeddings(true)
            .with_no_perf(true);
        let context = match self.loaded.model.new_context(backend, parameters) {
            Ok(context) => context,
            Err(source) => {
                let (slots, context) = (SEQUENCES, self.batch);
                return drop(ready.send(Err(LoadError::Context { slots, context, source })));
            }
        };
        let size = usize::try_from(self.batch).unwrap_or(512);
        let encoder = Encoder { context, batch: LlamaBatch::new(size, 1), size };
        let _ = ready.send(Ok(()));
        serve(encoder, &self.jobs, &self.waiting);
        drop(self.alive);
    }
}

fn serve(mut encoder: Encoder<'_>, jobs: &Receiver<Job>, waiting: &AtomicUsize) {
    let mut open: VecDeque<Job> = VecDeque::new();
    loop {
        if open.is_empty() {
            match jobs.recv() {
                Ok(job) => open.push_back(job),
                Err(_) => return,
            }
        }
        open.extend(jobs.try_iter());
        let before = open.len();
        open.retain(|job| !job.reply.is_closed());
        waiting.fetch_sub(before - open.len(), Ordering::SeqCst);
        let result = encoder.step(&mut open);
        // Jobs are filled in order, so those that are complete stand in front; a failure ends all that took part.
        while let Some(job) = open.pop_front() {
            let complete = job.vectors.len() == job.inputs.len();
            let failed = result.as_ref().err().filter(|_| job.sent > 0);
            if !complete && failed.is_none() {
                open.push_front(job);
                break;
            }
            waiting.fetch_sub(1, Ordering::SeqCst);
            let answer = failed.map_or(Ok(job.vectors), |error| Err(error.clone()));
            let _ = job.reply.send(answer);
        }
    }
}

struct Encoder<'m> {
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    size: usize,
}

impl Encoder<'_> {
    /// Encodes as many whole inputs as fit, oldest job first.
    fn step(&mut self, open: &mut VecDeque<Job>) -> Result<(), EmbedError> {
        self.batch.clear();
        // Which job each sequence of the batch belongs to.
        let mut owners = Vec::new();
        'jobs: for (index, job) in open.iter_mut().enumerate() {
            while let Some(input) = job.inputs.get(job.sent) {
                let used = usize::try_from(self.batch.n_tokens()).unwrap_or(self.size);
                if used + input.len() > self.size || owners.len() >= SEQUENCES as usize {
                    break 'jobs;
                }
                let sequence = i32::try_from(owners.len()).unwrap_or(0);
                // Every token is an output: pooling is over all of them.
                let added = self.batch.add_sequence(input, sequence, true);
                added.map_err(|error| self.failed(&error.to_string()))?;
                owners.push(index);
                job.sent += 1;
            }
        }
        if owners.is_empty() {
            return Ok(());
        }
        self.context.encode(&mut self.batch).map_err(|error| self.failed(&error.to_string()))?;
        for (sequence, owner) in (0..).zip(owners) {
            let pooled = self.context.embeddings_seq_ith(sequence);
            let pooled = pooled.map_err(|error| self.failed(&error.to_string()))?;
            let vector = unit(pooled);
            if let Some(job) = open.get_mut(owner) {
                job.vectors.push(vector);
            }
        }
        Ok(())
    }

    fn failed(&self, reason: &str) -> EmbedError {
        let tokens = usize::try_from(self.batch.n_tokens()).unwrap_or(0);
        EmbedError::Encode { tokens, reason: reason.to_owned() }
    }
}

/// L2-normalised, summed in double precision. A zero vector stays zero.
fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if length == 0.0 {
        return vector.to_vec();
    }
    #[expect(clippy::cast_possible_truncation, reason = "back to the precision it came in")]
    vector.iter().map(|x| (f64::from(*x) / length) as f32).collect()
}
