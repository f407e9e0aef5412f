//! Count: how many tokens the prompt is, before anything is reserved for it.
//!
//! Three ways, from exact to safe: the model's own tokenizer in this process; the engine's own `/tokenize`; the bytes of
//! the request, which its tokens never exceed. Which one it was stands in [`PromptCount`] and in the record. A prompt
//! that is counted exactly and does not fit the model's context ends here, before the engine sees it.

mod ask;
mod measure;

use crate::context::Thread;
use crate::counting::CountSource;
use crate::refusal::{RefusalKind, Refused};
use crate::stage::route::Routed;
use hermetic_inference_api::Call;
use hermetic_ledger::record::CountedBy;
use hermetic_tokenizer::Cap;
pub(crate) use measure::MEDIA_TOKENS;
use measure::{Measure, Measuring};

/// Counting goes on to this many times the context, so that a refusal can say by how much a prompt is too long, and not
/// much further: a body of megabytes costs no more than that.
const COUNTED_CONTEXTS: u64 = 4;

/// A routed request whose prompt is counted.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) routed: Routed,
    pub(crate) prompt: PromptCount,
}

/// Proof of how many tokens the prompt is, or is at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PromptCount {
    tokens: u64,
    by: CountedBy,
}

impl PromptCount {
    /// Tokens of the prompt; of all prompts and inputs where there are several. Never fewer than the engine will count.
    pub(crate) fn tokens(self) -> u64 {
        self.tokens
    }

    pub(crate) fn by(self) -> CountedBy {
        self.by
    }
}

pub(crate) async fn count(thread: &Thread, routed: Routed) -> Result<Counted, Refused> {
    let context = routed.route.counting.context;
    let (measure, context) = match &routed.route.counting.source {
        CountSource::Bytes => (None, context),
        CountSource::Own { .. } => (own(thread, &routed).await, context),
        CountSource::Engine(engine) => match Box::pin(ask::ask(thread, &routed, engine)).await {
            Some((measure, window)) => (Some(measure), context.or(window)),
            None => (None, context),
        },
    };
    let measure = match measure {
        Some(measure) => {
            refuse_too_long(&routed, &measure, context)?;
            measure
        }
        None => Measure::of_bytes(
            &routed.asked.body,
            &routed.asked.facts,
            routed.asked.accepted.surface.call(),
            context,
        ),
    };
    let prompt = PromptCount { tokens: measure.tokens, by: measure.by };
    thread.shared.metrics.gateway.counted(match prompt.by {
        CountedBy::Tokenizer => hermetic_telemetry::CountedByLabel::Tokenizer,
        CountedBy::Engine => hermetic_telemetry::CountedByLabel::Engine,
        CountedBy::Bytes => hermetic_telemetry::CountedByLabel::Bytes,
    });
    Ok(Counted { routed, prompt })
}

/// By the model's own tokenizer: here when the body is small, else beside the serving thread, which other requests wait
/// for.
async fn own(thread: &Thread, routed: &Routed) -> Option<Measure> {
    let counting = &routed.route.counting;
    let cap = match counting.context {
        Some(context) => Cap::beyond(context.saturating_mul(COUNTED_CONTEXTS)),
        None => Cap::none(),
    };
    let measuring = Measuring::of(routed, cap)?;
    if routed.asked.body.len() <= thread.shared.options().count_inline_bytes_max {
        return measuring.run();
    }
    // Cannot be cancelled, but ends by itself soon: counting is linear in the body, which is capped.
    tokio::task::spawn_blocking(move || measuring.run()).await.ok().flatten()
}

fn refuse_too_long(routed: &Routed, measure: &Measure, context: Option<u64>) -> Result<(), Refused> {
    let Some(context) = context else { return Ok(()) };
    let asked = &routed.asked;
    // A text to be continued needs room for one token at least.
    let most = match asked.accepted.surface.call() {
        Call::Chat | Call::Completion => context.saturating_sub(1),
        Call::Embedding
        | Call::Rerank
        | Call::Transcription
        | Call::Translation
        | Call::ImageGeneration
        | Call::ImageEdit => context,
    };
    if measure.longest <= most || asked.facts.truncates {
        return Ok(());
    }
    let kind = RefusalKind::PromptTooLong {
        model: routed.route.model.clone(),
        field: asked.accepted.surface.input_field(),
        found: measure.longest,
        most,
    };
    Err(kind.of(asked.accepted.request))
}
