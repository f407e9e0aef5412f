//! From the pipeline's words to the metrics' labels.

use hermetic_inference_api::{AnswerFacts, Surface};
use hermetic_ledger::record::Outcome;
use hermetic_telemetry::{Metrics, OutcomeLabel, SettledRequest, SurfaceLabel};
use std::time::Duration;

/// Measured from the request's acceptance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) total: Duration,
    pub(crate) first_byte: Option<Duration>,
}

pub(crate) fn count_settled(
    metrics: &Metrics,
    surface: Surface,
    facts: &AnswerFacts,
    times: Times,
    outcome: Outcome,
) {
    metrics.gateway.settled(&SettledRequest {
        surface: match surface {
            Surface::ChatCompletions => SurfaceLabel::ChatCompletions,
            Surface::Completions => SurfaceLabel::Completions,
            Surface::Embeddings => SurfaceLabel::Embeddings,
            Surface::Messages => SurfaceLabel::Messages,
            Surface::Responses => SurfaceLabel::Responses,
            Surface::Rerank => SurfaceLabel::Rerank,
            Surface::Transcriptions => SurfaceLabel::Transcriptions,
            Surface::Translations => SurfaceLabel::Translations,
            Surface::ImageGenerations => SurfaceLabel::ImageGenerations,
            Surface::ImageEdits => SurfaceLabel::ImageEdits,
        },
        outcome: match outcome {
            Outcome::Completed => OutcomeLabel::Completed,
            Outcome::ClientLeft => OutcomeLabel::ClientLeft,
            Outcome::EngineFailed => OutcomeLabel::EngineFailed,
            Outcome::Rejected => OutcomeLabel::Rejected,
            Outcome::Withheld => OutcomeLabel::Withheld,
            // Settled by the process after the one that was interrupted, which counts it with its start.
            Outcome::Interrupted => OutcomeLabel::Interrupted,
        },
        total: times.total,
        first_byte: times.first_byte,
        input_tokens: facts.input_tokens.unwrap_or(0),
        output_tokens: facts.output_tokens.unwrap_or(0),
    });
}
