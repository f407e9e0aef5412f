//! What policies may know of each model, from the configuration: labels, where it runs, classification, tags.

use hermetic_config::{Model, ModelMarks, ModelSource, TargetSource};
use hermetic_gateway::{ModelProfile, Runs};
use hermetic_ids::{Label, ModelName};
use std::collections::HashMap;
use std::sync::Arc;

/// Profiles by model. Models that are served because their release is in production, and not because the configuration
/// lists them, share one.
#[derive(Debug, Clone)]
pub(crate) struct Profiles {
    listed: HashMap<ModelName, Arc<ModelProfile>>,
    unlisted: Arc<ModelProfile>,
}

impl Profiles {
    pub(crate) fn of(configured: &[Model]) -> Self {
        let listed =
            configured.iter().map(|model| (model.name.clone(), Arc::new(profile(model, configured))));
        let unlisted =
            ModelProfile { labels: "production".parse().into_iter().collect(), ..ModelProfile::default() };
        Self { listed: listed.collect(), unlisted: Arc::new(unlisted) }
    }

    pub(crate) fn get(&self, model: &ModelName) -> Arc<ModelProfile> {
        Arc::clone(self.listed.get(model).unwrap_or(&self.unlisted))
    }
}

fn profile(model: &Model, configured: &[Model]) -> ModelProfile {
    let ModelMarks { classification, tags } = model.marks.clone();
    let mut places = Vec::new();
    match &model.source {
        ModelSource::Artifact { label, .. } => places.push(Some(label)),
        ModelSource::Endpoint { .. } => places.push(None),
        ModelSource::Targets(several) => {
            places.extend(several.targets.iter().map(|target| place(&target.source, configured)));
        }
    }
    let mut labels: Vec<Label> = places.iter().copied().flatten().cloned().collect();
    labels.sort_unstable();
    labels.dedup();
    let embedded = places.iter().filter(|label| label.is_some()).count();
    let runs = match embedded {
        0 if !places.is_empty() => Runs::Endpoint,
        some if some < places.len() => Runs::Mixed,
        _ => Runs::Embedded,
    };
    ModelProfile { labels, runs, classification, tags }
}

/// The label of what a target runs; `None` for an endpoint.
fn place<'m>(source: &'m TargetSource, configured: &'m [Model]) -> Option<&'m Label> {
    match source {
        TargetSource::Artifact { label, .. } => Some(label),
        TargetSource::Endpoint { .. } => None,
        TargetSource::Model(name) => {
            let model = configured.iter().find(|model| model.name == *name)?;
            match &model.source {
                ModelSource::Artifact { label, .. } => Some(label),
                ModelSource::Endpoint { .. } | ModelSource::Targets(_) => None,
            }
        }
    }
}
