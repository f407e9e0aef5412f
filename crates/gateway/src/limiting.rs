//! The limits in force, and what models cost: handed in by the composition, swapped when the configuration is.

use arc_swap::ArcSwap;
use hermetic_ids::ModelName;
use hermetic_limits::{Fold, Headroom, Limits, Price, RuleSet};
use std::collections::HashMap;
use std::sync::Arc;

/// Tokens held for an answer whose length neither the caller nor the configuration bounds, where a limit counts them:
/// the engine is told so, too. 4,096: what the embedded engine gives prompt and answer together by default.
pub const OUTPUT_TOKENS_DEFAULT: u64 = 4_096;

/// What limits need to know of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelTerms {
    pub price: Price,
    /// Tokens of an answer when the caller names no number.
    pub output_tokens_default: u64,
    /// Most tokens of an answer; a caller who asks for more gets this many.
    pub output_tokens_max: Option<u64>,
}

impl Default for ModelTerms {
    fn default() -> Self {
        Self {
            price: Price::default(),
            output_tokens_default: OUTPUT_TOKENS_DEFAULT,
            output_tokens_max: None,
        }
    }
}

impl ModelTerms {
    /// The most tokens one answer may have.
    pub fn output_tokens(&self, asked: Option<u64>) -> u64 {
        let wanted = asked.unwrap_or(self.output_tokens_default);
        self.output_tokens_max.map_or(wanted, |max| wanted.min(max))
    }
}

/// Limits, prices, and where headroom of shared caps comes from. Shared by all threads.
#[derive(Debug)]
pub struct Limiting {
    pub(crate) limits: Arc<Limits>,
    terms: ArcSwap<HashMap<ModelName, ModelTerms>>,
    headroom: Option<Arc<dyn Headroom>>,
}

impl Limiting {
    /// `counters_max`: see [`hermetic_limits::COUNTERS_MAX`].
    pub fn new(rules: RuleSet, terms: HashMap<ModelName, ModelTerms>, counters_max: usize) -> Self {
        let limits = Arc::new(Limits::new(rules, counters_max));
        Self { limits, terms: ArcSwap::from_pointee(terms), headroom: None }
    }

    /// No limits.
    pub fn none() -> Self {
        Self::new(RuleSet::default(), HashMap::new(), hermetic_limits::COUNTERS_MAX)
    }

    /// Rules that are shared with other replicas take their headroom from here.
    #[must_use]
    pub fn with_headroom(mut self, headroom: Arc<dyn Headroom>) -> Self {
        self.headroom = Some(headroom);
        self
    }

    /// Puts other rules and prices in force, for the requests that come from now on. Counters go on where they are.
    pub fn replace(&self, rules: RuleSet, terms: HashMap<ModelName, ModelTerms>) {
        self.terms.store(Arc::new(terms));
        self.limits.replace(rules);
    }

    /// Begins where the records end. Before the first request.
    pub fn restore(&self, fold: &Fold) {
        self.limits.restore(fold);
    }

    /// The counters themselves, for whoever moves headroom and for whoever shows them.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    pub(crate) fn headroom(&self) -> Option<&dyn Headroom> {
        self.headroom.as_deref()
    }

    pub(crate) fn terms(&self, model: &ModelName) -> ModelTerms {
        self.terms.load().get(model).copied().unwrap_or_default()
    }
}
