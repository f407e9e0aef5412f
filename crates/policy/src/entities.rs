//! A question in Cedar's words: the entities policies can speak of, and the request about them.

use crate::levels::Levels;
use crate::question::{Circumstances, ModelFacts, Principal, Question};
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};
use std::str::FromStr;

/// What can go wrong while a question is put in Cedar's words. Its text is never shown: the answer is to deny.
pub(crate) type Unsayable = Box<dyn std::error::Error>;

/// A question as Cedar takes it.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
    /// What a policy's scope can name and this question fits.
    pub(crate) scopes: Vec<EntityUid>,
}

pub(crate) fn asked(question: &Question<'_>, levels: &Levels, schema: &Schema) -> Result<Asked, Unsayable> {
    let subject = subject(&question.principal, levels)?;
    let model = model(&question.model, levels)?;
    let metadata = metadata(&question.circumstances)?;
    let action = uid("Action", question.action.as_str())?;
    let context = context(&question.circumstances, metadata.uid(), levels)?;
    let mut scopes = vec![subject.uid(), model.uid()];
    scopes.extend(principal_parents(&question.principal)?);
    scopes.extend(labels(&question.model)?);
    let request =
        Request::new(subject.uid(), action, model.uid(), context, Some(schema)).map_err(Box::new)?;
    let entities = Entities::from_entities([subject, model, metadata], Some(schema)).map_err(Box::new)?;
    Ok(Asked { request, entities, scopes })
}

fn uid(type_name: &str, id: &str) -> Result<EntityUid, Unsayable> {
    let type_name = EntityTypeName::from_str(type_name).map_err(Box::new)?;
    Ok(EntityUid::from_type_name_and_id(type_name, EntityId::new(id)))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

/// A level as the schema's `Classified`.
fn classified(levels: &Levels, rank: usize) -> Result<RestrictedExpression, Unsayable> {
    let level = RestrictedExpression::new_entity_uid(uid("Level", levels.name(rank))?);
    let rank = RestrictedExpression::new_long(i64::try_from(rank)?);
    let record = [("rank".to_owned(), rank), ("level".to_owned(), level)];
    Ok(RestrictedExpression::new_record(record).map_err(Box::new)?)
}

fn principal_parents(principal: &Principal<'_>) -> Result<Vec<EntityUid>, Unsayable> {
    let mut parents = vec![
        uid("Project", principal.project.as_str())?,
        uid("Team", principal.team.as_str())?,
        uid("Workflow", principal.workflow.as_str())?,
    ];
    for group in principal.groups {
        parents.push(uid("Group", group.as_str())?);
    }
    Ok(parents)
}

fn subject(principal: &Principal<'_>, levels: &Levels) -> Result<Entity, Unsayable> {
    let attributes = [
        ("name".to_owned(), text(principal.subject.as_str())),
        ("project".to_owned(), text(principal.project.as_str())),
        ("team".to_owned(), text(principal.team.as_str())),
        ("workflow".to_owned(), text(principal.workflow.as_str())),
        ("clearance".to_owned(), classified(levels, levels.of_reader(principal.clearance))?),
        ("credential".to_owned(), text(principal.credential)),
    ];
    let uid = uid("Subject", principal.subject.as_str())?;
    let parents = principal_parents(principal)?;
    Ok(Entity::new_with_tags(uid, attributes, parents, tags(principal.metadata)).map_err(Box::new)?)
}

fn labels(model: &ModelFacts<'_>) -> Result<Vec<EntityUid>, Unsayable> {
    model.labels.iter().map(|label| uid("Label", label.as_str())).collect()
}

fn tags(pairs: &[(String, String)]) -> impl Iterator<Item = (String, RestrictedExpression)> + '_ {
    pairs.iter().map(|(key, value)| (key.clone(), text(value)))
}

fn model(model: &ModelFacts<'_>, levels: &Levels) -> Result<Entity, Unsayable> {
    let mut attributes = vec![
        ("name".to_owned(), text(model.name.as_str())),
        ("kind".to_owned(), text(model.kind)),
        ("target".to_owned(), text(model.target)),
        ("classification".to_owned(), classified(levels, levels.of_reader(model.classification))?),
    ];
    attributes.extend(model.digest.map(|digest| ("digest".to_owned(), text(&digest.to_string()))));
    let uid = uid("Model", model.name.as_str())?;
    Ok(Entity::new_with_tags(uid, attributes, labels(model)?, tags(model.tags)).map_err(Box::new)?)
}

fn metadata(circumstances: &Circumstances<'_>) -> Result<Entity, Unsayable> {
    let uid = uid("Metadata", "request")?;
    Ok(Entity::new_with_tags(uid, [], [], tags(circumstances.metadata)).map_err(Box::new)?)
}

fn context(
    circumstances: &Circumstances<'_>,
    metadata: EntityUid,
    levels: &Levels,
) -> Result<Context, Unsayable> {
    let classification = classified(levels, levels.of_request(circumstances.classification))?;
    let pairs = [
        ("surface".to_owned(), text(circumstances.surface)),
        ("stream".to_owned(), RestrictedExpression::new_bool(circumstances.stream)),
        ("classification".to_owned(), classification),
        ("metadata".to_owned(), RestrictedExpression::new_entity_uid(metadata)),
    ];
    Ok(Context::from_pairs(pairs).map_err(Box::new)?)
}
