//! What is said beside the conversation.

use super::Request;
use super::written::{Format, OutputConfig, Tool, ToolChoice, Value};
use crate::chat::asked::{self, Choice, Form};
use crate::facts::RequestMistake;
use crate::reading::{Fields, Json};
use crate::writing::Pairs;

/// A function of which nothing is said takes nothing.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

pub(super) fn stops<'a>(chat: &mut Fields<'a, '_>, asked: &mut Request<'a>) -> Result<(), RequestMistake> {
    let Some(stop) = chat.take("stop") else { return Ok(()) };
    if stop.json.is_text() {
        return asked.put("stop_sequences", Value::Stops([stop.json]));
    }
    for text in stop.items().map_err(|_| stop.wrong("a string or an array of strings"))? {
        text.text()?;
    }
    if stop.json.is_empty() {
        return Ok(());
    }
    asked.put("stop_sequences", Value::Raw(stop.json))
}

/// `user` is whom Messages calls `user_id`; other pairs are what the caller says of the request.
pub(super) fn metadata<'a>(chat: &mut Fields<'a, '_>, asked: &mut Request<'a>) -> Result<(), RequestMistake> {
    let mut pairs = Vec::new();
    if let Some(user) = chat.text("user")? {
        pairs.push(("user_id".into(), user));
    }
    if let Some(metadata) = chat.take("metadata") {
        let mut metadata = metadata.fields()?;
        if let Some(name) = metadata.take("user_id") {
            return Err(name.at.refuse("the name that Messages has for `user`"));
        }
        pairs.extend(metadata.rest());
    }
    if pairs.is_empty() { Ok(()) } else { asked.put("metadata", Value::Pairs(Pairs(pairs))) }
}

/// `tools`, `tool_choice`, `parallel_tool_calls`.
pub(super) fn tools<'a>(chat: &mut Fields<'a, '_>, asked: &mut Request<'a>) -> Result<(), RequestMistake> {
    let functions = asked::functions(chat)?;
    let one_at_a_time = chat.flag("parallel_tool_calls")? == Some(false);
    let place = chat.take("tool_choice");
    let choice = place.map(|place| asked::choice(&place, &functions)).transpose()?;
    if let (Some(Choice::Allowed { .. }), Some(place)) = (&choice, place) {
        return Err(place.at.field("type").refuse("`allowed_tools`"));
    }
    let any = !functions.is_empty();
    if any {
        let tools = functions.into_iter().map(|function| Tool {
            name: function.name,
            description: function.description,
            input_schema: function.parameters.unwrap_or(Json::checked(NO_PARAMETERS)),
            strict: function.strict.filter(|strict| *strict),
        });
        asked.put("tools", Value::Tools(tools.collect()))?;
    }
    // Without tools a free choice asks for nothing, and engines refuse it.
    let choice = choice.filter(|choice| any || !choice.is_free());
    let (kind, name) = match choice {
        None if one_at_a_time && any => ("auto", None),
        None => return Ok(()),
        Some(Choice::None) => return put_choice(asked, ToolChoice::of("none")),
        Some(Choice::Required) => ("any", None),
        Some(Choice::Named(name)) => ("tool", Some(name)),
        Some(Choice::Auto | Choice::Allowed { .. }) => ("auto", None),
    };
    let disable_parallel_tool_use = one_at_a_time.then_some(true);
    put_choice(asked, ToolChoice { name, disable_parallel_tool_use, ..ToolChoice::of(kind) })
}

fn put_choice<'a>(asked: &mut Request<'a>, choice: ToolChoice<'a>) -> Result<(), RequestMistake> {
    asked.put("tool_choice", Value::ToolChoice(choice))
}

impl ToolChoice<'_> {
    fn of(kind: &'static str) -> Self {
        Self { kind, name: None, disable_parallel_tool_use: None }
    }
}

/// `response_format` and `reasoning_effort`.
pub(super) fn output<'a>(chat: &mut Fields<'a, '_>, asked: &mut Request<'a>) -> Result<(), RequestMistake> {
    let mut config = OutputConfig::default();
    if let Some(effort) = chat.take("reasoning_effort") {
        if !matches!(&*effort.word()?, "low" | "medium" | "high" | "xhigh") {
            return Err(effort.refuse());
        }
        config.effort = Some(effort.json);
    }
    if let Some(format) = chat.take("response_format") {
        config.format = match asked::form(&format)? {
            Form::Text => None,
            Form::JsonObject => return Err(format.at.field("type").refuse("`json_object`")),
            Form::Schema { description: Some(_), .. } => {
                return Err(format.at.field("json_schema").field("description").refuse("a string"));
            }
            // What the schema is called makes no difference, and Messages holds to every schema.
            Form::Schema { schema, .. } => Some(Format { kind: "json_schema", schema }),
        };
    }
    if config.effort.is_none() && config.format.is_none() {
        return Ok(());
    }
    asked.put("output_config", Value::OutputConfig(config))
}

/// Fields that leave the answer as it is, in the values that do.
pub(super) fn without_effect(chat: &mut Fields<'_, '_>) -> Result<(), RequestMistake> {
    asked::stream_options(chat)?;
    for (name, words) in [("service_tier", ["auto", "default"]), ("verbosity", ["medium", "medium"])] {
        if let Some(word) = chat.take(name)
            && !words.contains(&word.word()?.as_ref())
        {
            return Err(word.refuse());
        }
    }
    if let Some(top) = chat.take("top_logprobs")
        && top.count()? > 0
    {
        return Err(top.refuse());
    }
    for name in ["logprobs", "prompt_logprobs"] {
        chat.must_be_empty(name)?;
    }
    // What is kept of the answer, what of the prompt is in a cache, and who is asking.
    chat.flag("store")?;
    chat.drop_all(&[
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
    ]);
    asked::refuse_wordless(chat)
}
